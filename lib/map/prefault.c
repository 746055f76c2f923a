/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * prefault: touches pages in the kernel, where what would be a signal is an error.
 *
 * Invariant: 0 means that every page of the range was there at some moment of the call.
 */
#include <errno.h>

#include "map/memory.h"
#include "map/touch.h"

static int check_how(const struct filemap *map, unsigned how)
{
	if (how != FILEMAP_PREFAULT_READ && how != FILEMAP_PREFAULT_WRITE)
		return FILEMAP_EOPTION;
	if (how == FILEMAP_PREFAULT_WRITE && !fm__filemap_is_writable(map))
		return FILEMAP_EMODE;
	return 0;
}

static int find(const struct filemap *map, unsigned how, size_t offset, size_t length, struct fm__pages *ret)
{
	int r = fm__memory_check(map);
	if (r < 0)
		return r;
	r = check_how(map, how);
	if (r < 0)
		return r;
	return fm__memory_pages(map, offset, length, ret);
}

static int touch(const struct filemap *map, unsigned how, void *at, size_t length)
{
	return fm__touch(at, length, fm__filemap_page(map), how == FILEMAP_PREFAULT_WRITE);
}

int filemap_prefault(struct filemap *map, unsigned how, size_t offset, size_t length)
{
	struct fm__pages pages;
	int r = find(map, how, offset, length, &pages);
	if (r < 0 || pages.length == 0)
		return r;
	return touch(map, how, pages.at, pages.length);
}

int fm__map_prefault_begin(struct filemap *map, unsigned how, size_t offset, size_t length,
			   struct fm__prefault *ret)
{
	struct fm__pages pages;
	int r = find(map, how, offset, length, &pages);
	if (r < 0)
		return r;
	fm__map_hold(map);
	*ret = (struct fm__prefault){.map = map, .at = pages.at, .length = pages.length, .how = how};
	return 0;
}

int fm__map_prefault_advice(const struct fm__prefault *prefault)
{
	return fm__touch_advice(prefault->how == FILEMAP_PREFAULT_WRITE);
}

int fm__map_prefault_answer(const struct fm__prefault *prefault, int answer)
{
	if (answer == -EINVAL && prefault->length != 0)
		return touch(prefault->map, prefault->how, prefault->at, prefault->length);
	return fm__touch_answer(answer);
}
