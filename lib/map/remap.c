/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * remap: moves, widens and narrows the region of a mapping.
 *
 * Invariant: the old region stays mapped until the new one is complete, and one with a reserve or a pin stays
 * where it is. mremap(2) grows only what is of one piece; protection, advice or mlock on a part has made two
 * of it (-EFAULT), and huge pages may refuse as well: then the pages are mapped anew.
 */
#include "map/remap.h"

#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "base/util.h"
#include "map/memory.h"
#include "sys/sys.h"

/* Advice that was given to parts of the region is lost; what the options asked for is not. */
static int map_anew(struct filemap *map, size_t length)
{
	const struct fm__plan plain = {.mode = map->mode};
	unsigned char *old = map->region;
	size_t old_length = map->region_length;
	void *region;
	int r;

	r = fm__sys_map(NULL, length, fm__filemap_prot(map), fm__filemap_map_flags(map), fm__filemap_fd(map),
			map->file_start, &region);
	if (r < 0)
		return r;
	map->region = region;
	map->region_length = length;
	r = fm__memory_prepare(map, &plain, length, NULL);
	if (r >= 0 && (map->flags & FILEMAP_MLOCK))
		r = fm__memory_lock(map, region, length, false);
	if (r < 0) {
		map->region = old;
		map->region_length = old_length;
		fm__sys_unmap(region, length);
		return r;
	}
	if (map->kind == FM_KIND_MEMORY)
		memcpy(region, old, old_length);
	fm__sys_unmap(old, old_length);
	return 0;
}

/* Private pages of a file are changes that only the kernel could carry over. */
static bool can_be_made_anew(const struct filemap *map, int r)
{
	if (map->mode == FILEMAP_COW && map->kind == FM_KIND_FILE)
		return false;
	return r == -EFAULT || (r == -EINVAL && fm__filemap_page(map) != fm__sys_page_size());
}

int fm__region_widen(struct filemap *map, size_t length)
{
	bool stays = fm__filemap_is_pinned(map);
	void *region;
	int r;

	if (length <= map->region_length)
		return 0;
	r = fm__sys_remap(map->region, map->region_length, length, stays ? 0 : MREMAP_MAYMOVE, &region);
	if (r < 0 && stays)
		return FILEMAP_EBUSY;
	if (can_be_made_anew(map, r))
		return map_anew(map, length);
	if (r < 0)
		return r;
	map->region = region;
	map->region_length = length;
	return 0;
}

/* Cutting off a tail needs no memory, so it cannot fail; if it did, some address space would be lost. */
void fm__region_narrow(struct filemap *map, size_t length)
{
	if (map->reserve != 0 || length >= map->region_length)
		return;
	fm__sys_unmap(map->region + length, map->region_length - length);
	map->region_length = length;
}

int fm__region_lock(const struct filemap *map, size_t old_size, size_t new_size)
{
	uint64_t start, length;

	if (!(map->flags & FILEMAP_MLOCK) || map->reserve == 0 || new_size <= old_size)
		return 0;
	fm__range_cover(map->window.offset + old_size, new_size - old_size, fm__filemap_page(map), &start,
			&length);
	return fm__memory_lock(map, map->region + (size_t)(start - map->file_start), (size_t)length, false);
}
