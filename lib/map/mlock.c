/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * mlock: keeps pages in memory. The kernel holds the record and counts no locks; unmapping ends them, so
 * that nothing has to be remembered here.
 */
#include "map/memory.h"
#include "sys/sys.h"

static int find(const struct filemap *map, size_t offset, size_t length, struct fm__pages *ret)
{
	int r = fm__memory_check(map);
	if (r < 0)
		return r;
	return fm__memory_pages(map, offset, length, ret);
}

int filemap_mlock(struct filemap *map, size_t offset, size_t length)
{
	struct fm__pages pages;

	int r = find(map, offset, length, &pages);
	if (r < 0 || pages.length == 0)
		return r;
	return fm__memory_lock(map, pages.at, pages.length, false);
}

int filemap_munlock(struct filemap *map, size_t offset, size_t length)
{
	struct fm__pages pages;

	int r = find(map, offset, length, &pages);
	if (r < 0 || pages.length == 0)
		return r;
	return fm__sys_munlock(pages.at, pages.length);
}
