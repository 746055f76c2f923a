/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * prefault: touches pages in the kernel, where what would be a signal is an error.
 *
 * Invariant: 0 means that every page of the range was there at some moment of the call.
 */
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

int filemap_prefault(struct filemap *map, unsigned how, size_t offset, size_t length)
{
	struct fm__pages pages;

	int r = fm__memory_check(map);
	if (r < 0)
		return r;
	r = check_how(map, how);
	if (r < 0)
		return r;
	r = fm__memory_pages(map, offset, length, &pages);
	if (r < 0 || pages.length == 0)
		return r;
	return fm__touch(pages.at, pages.length, fm__filemap_page(map), how == FILEMAP_PREFAULT_WRITE);
}
