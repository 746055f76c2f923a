/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * refresh: the window follows what others did to the file's size.
 *
 * Invariant: as in resize.c, with the file's part done by others: wider regions are published last, smaller
 * windows first. The size is that of one moment; a file that is cut after it leaves pages that fault.
 */
#include "base/error.h"
#include "base/util.h"
#include "map/remap.h"
#include "map/resize.h"
#include "sys/sys.h"

static const char *const step = "refresh";

static int refuse_pinned(struct filemap_error *reterr)
{
	fm__fail(reterr, FILEMAP_EBUSY, step, "pin");
	fm__fail_hint(reterr, "while it is pinned the window neither moves nor shrinks");
	return FILEMAP_EBUSY;
}

static int lock_and_publish(struct filemap *map, const struct fm__span *span, struct filemap_error *reterr)
{
	int r = fm__region_lock(map, fm__view_size(map), span->size);
	if (r < 0)
		return fm__fail(reterr, r, "lock in memory", "window");
	fm__filemap_publish(map, span);
	return 0;
}

/* What the reserve can hold is shown, the rest is the error. */
static int fill_reserve(struct filemap *map, struct fm__span *span, struct filemap_error *reterr)
{
	int r;

	span->size = map->region_length - span->skew;
	r = lock_and_publish(map, span, reterr);
	if (r < 0)
		return r;
	fm__fail(reterr, FILEMAP_ERANGE, step, "reserve");
	fm__fail_hint(reterr, "the file has outgrown the reserve, which the window now fills");
	return FILEMAP_ERANGE;
}

static int grow(struct filemap *map, struct fm__span *span, struct filemap_error *reterr)
{
	int r;

	if (map->reserve != 0 && span->map_length > map->region_length)
		return fill_reserve(map, span, reterr);
	r = fm__region_widen(map, span->map_length);
	if (r == FILEMAP_EBUSY)
		return refuse_pinned(reterr);
	if (r < 0)
		return fm__fail(reterr, r, "remap", "window");
	return lock_and_publish(map, span, reterr);
}

static int follow(struct filemap *map, uint64_t file_size, struct filemap_error *reterr)
{
	struct fm__span span;
	int r = fm__window_span(&map->window, file_size, map->reserve, fm__filemap_page(map), &span);
	if (r < 0)
		return fm__fail(reterr, r, step, "address space");
	if (span.size >= fm__view_size(map))
		return grow(map, &span, reterr);
	if (fm__filemap_is_pinned(map))
		return refuse_pinned(reterr);
	fm__filemap_publish(map, &span);
	fm__region_narrow(map, span.map_length);
	return 0;
}

/* A size that is not the window's end was changed by somebody else. */
static int refresh_file(struct filemap *map, uint64_t *ret_file_size, struct filemap_error *reterr)
{
	int r;

	if (fm__filemap_is_absent(map))
		return fm__fail(reterr, FILEMAP_EFORKED, step, "process");
	r = fm__filemap_file_size(map, ret_file_size);
	if (r < 0)
		return fm__fail(reterr, r, "read file size", "file");
	if (*ret_file_size != map->window.offset + fm__view_size(map))
		__atomic_store_n(&map->origin->size_is_ours, false, __ATOMIC_RELAXED);
	return follow(map, *ret_file_size, reterr);
}

int filemap_refresh(struct filemap *map, uint64_t *ret_file_size, struct filemap_error *reterr)
{
	uint64_t file_size = fm__view_size(map);
	int r = fm__filemap_check_window(map);
	if (r < 0)
		return fm__fail(reterr, r, step, "mapping");
	r = fm__origin_check_unchanging(map->origin, step, reterr);
	if (r < 0)
		return r;
	if (map->kind == FM_KIND_FILE) {
		r = refresh_file(map, &file_size, reterr);
		if (r < 0)
			return r;
	}
	if (ret_file_size)
		*ret_file_size = file_size;
	return 0;
}
