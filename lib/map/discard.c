/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * discard: gives pages back to the system, with what they held.
 *
 * Invariant: only whole pages are dropped, and no byte of the file that lies outside the range is lost.
 */
#include <errno.h>

#include "map/memory.h"
#include "sys/sys.h"

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24 /* Linux 5.18 */
#endif

/* Whether pages of this kind and mode can be dropped so. */
static int check_how(const struct filemap *map, unsigned how)
{
	bool memory = map->kind == FM_KIND_MEMORY, fits;

	if (how < FILEMAP_DISCARD_DONTNEED || how > FILEMAP_DISCARD_REMOVE)
		return FILEMAP_EOPTION;
	if (how == FILEMAP_DISCARD_DONTNEED)
		fits = memory || map->mode == FILEMAP_COW;
	else if (how == FILEMAP_DISCARD_FREE)
		fits = memory;
	else
		fits = !memory && map->mode == FILEMAP_WRITE;
	return fits && fm__filemap_is_writable(map) ? 0 : FILEMAP_EMODE;
}

static bool is_on_page(const struct filemap *map, size_t offset)
{
	return (map->window.offset + offset) % fm__filemap_page(map) == 0;
}

/* Whole pages; the last one may end with the window. */
static int check_pages(const struct filemap *map, size_t offset, size_t *length)
{
	size_t size = fm__view_size(map);

	int r = fm__range_resolve(size, offset, length);
	if (r < 0 || *length == 0)
		return r;
	if (!is_on_page(map, offset))
		return FILEMAP_ERANGE;
	return is_on_page(map, offset + *length) || offset + *length == size ? 0 : FILEMAP_ERANGE;
}

/* Locked pages refuse both (EINVAL) and have an advice of their own, huge ones know nothing of FREE. */
static int drop(const struct fm__pages *pages, unsigned how)
{
	int r = -EINVAL;

	if (how == FILEMAP_DISCARD_FREE)
		r = fm__sys_madvise(pages->at, pages->length, MADV_FREE);
	if (r == -EINVAL)
		r = fm__sys_madvise(pages->at, pages->length, MADV_DONTNEED);
	if (r == -EINVAL)
		r = fm__sys_madvise(pages->at, pages->length, MADV_DONTNEED_LOCKED);
	return r;
}

/* By the exact bytes, not by pages: behind a window that ends within one the file may go on. */
static int punch(const struct filemap *map, size_t offset, size_t length)
{
	return fm__sys_fallocate(fm__filemap_fd(map), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				 map->window.offset + offset, length);
}

int filemap_discard(struct filemap *map, unsigned how, size_t offset, size_t length)
{
	struct fm__pages pages;

	int r = fm__memory_check(map);
	if (r < 0)
		return r;
	r = check_how(map, how);
	if (r < 0)
		return r;
	r = check_pages(map, offset, &length);
	if (r < 0 || length == 0)
		return r;
	if (how == FILEMAP_DISCARD_REMOVE)
		return punch(map, offset, length);
	r = fm__memory_pages(map, offset, length, &pages);
	return r < 0 ? r : drop(&pages, how);
}
