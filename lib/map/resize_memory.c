/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * resize_memory: private memory gets larger or smaller, as if it were a file.
 *
 * Invariant: what becomes visible is zero: whole pages that were cut off are given back or cleared at once,
 * the rest of the last one is cleared when the memory grows, because stores may have gone there meanwhile.
 */
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/util.h"
#include "map/remap.h"
#include "map/resize.h"
#include "sys/sys.h"

/* It fits: the region ends there, or later. */
static size_t page_end(const struct filemap *map, size_t size)
{
	size_t page = fm__filemap_page(map);
	return (size_t)fm__align_down(size + page - 1, page);
}

/* Only with a reserve there are pages left; those that are locked in memory cannot be given back. */
static void clear_pages(struct filemap *map, size_t from, size_t to)
{
	if (from < to && fm__sys_madvise(map->region + from, to - from, MADV_DONTNEED) < 0)
		memset(map->region + from, 0, to - from);
}

static int shrink(struct filemap *map, const struct fm__span *span)
{
	size_t old_end = page_end(map, fm__view_size(map));

	fm__filemap_publish(map, span);
	fm__region_narrow(map, span->map_length);
	clear_pages(map, page_end(map, span->size), FM_MIN(old_end, map->region_length));
	return 0;
}

static int grow(struct filemap *map, const struct fm__span *span, struct filemap_error *reterr)
{
	size_t old_size = fm__view_size(map);
	size_t tail_end = FM_MIN(page_end(map, old_size), span->size);
	int r;

	r = fm__region_lock(map, old_size, span->size);
	if (r < 0)
		return fm__fail(reterr, r, "lock in memory", "memory");
	r = fm__region_widen(map, span->map_length);
	if (r < 0)
		return fm__fail(reterr, r, "remap", r == FILEMAP_EBUSY ? "pin" : "memory");
	memset(map->region + old_size, 0, tail_end - old_size);
	fm__filemap_publish(map, span);
	return 0;
}

int fm__resize_memory(struct filemap *map, uint64_t file_size, struct filemap_error *reterr)
{
	struct fm__span span;
	int r = fm__resize_plan(map, file_size, &span, reterr);
	if (r < 0)
		return r;
	if (span.size > fm__view_size(map))
		return grow(map, &span, reterr);
	if (span.size < fm__view_size(map) && fm__filemap_is_pinned(map))
		return fm__fail(reterr, FILEMAP_EBUSY, "check resize", "pin");
	return shrink(map, &span);
}
