/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * resize: the file's length and the window change together, or both stay.
 *
 * Invariant: no published byte is ever outside the file or outside the mapped region. Growth is
 * published last, shrinking first.
 */
#include <stdbool.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/fork.h"
#include "base/util.h"
#include "map/extent.h"
#include "map/private.h"
#include "sys/sys.h"

static const char *const step_check = "check resize";

static int check_allowed(const struct filemap *map, uint64_t file_size, struct filemap_error *reterr)
{
	int r;

	if (map->mode != FILEMAP_WRITE)
		return fm__fail(reterr, FILEMAP_EMODE, step_check, "mode");
	if (map->generation != fm__fork_generation())
		return fm__fail(reterr, FILEMAP_EFORKED, step_check, "process");
	r = fm__filemap_check_window(map);
	if (r < 0)
		return fm__fail(reterr, r, step_check, "mapping");
	if (file_size > FM_FILE_MAX)
		return fm__fail(reterr, FILEMAP_ERANGE, step_check, "file_size");
	if (file_size < map->window.offset)
		return fm__fail(reterr, FILEMAP_ERANGE, step_check, "offset");
	return 0;
}

static int plan_span(const struct filemap *map, uint64_t file_size, struct fm__span *ret,
		     struct filemap_error *reterr)
{
	int r = fm__window_span(&map->window, file_size, map->reserve, fm__sys_page_size(), ret);
	if (r < 0)
		return fm__fail(reterr, r, step_check, "address space");
	if (map->reserve != 0 && ret->map_length > map->region_length) {
		fm__fail(reterr, FILEMAP_ERANGE, step_check, "reserve");
		fm__fail_hint(reterr, "a mapping with a reserve never moves, so it cannot outgrow it");
		return FILEMAP_ERANGE;
	}
	return 0;
}

static int read_size(const struct filemap *map, uint64_t *ret)
{
	struct stat status;
	int r = fm__sys_fstat(map->backing->fd, &status);
	if (r < 0)
		return r;
	*ret = (uint64_t)status.st_size;
	return 0;
}

/* Stores beyond the end, in its page, may have left bytes there: they must not become content. */
static int zero_old_tail(int fd, uint64_t old_size, uint64_t new_size)
{
	uint64_t page_end;
	if (!fm__align_up(old_size, fm__sys_page_size(), &page_end))
		page_end = new_size;
	return fm__extent_zero(fd, old_size, FM_MIN(page_end, new_size));
}

/* Where the region may not move, it is large enough already. */
static int widen_region(struct filemap *map, size_t map_length)
{
	void *region;
	int r;

	if (map_length <= map->region_length)
		return 0;
	r = fm__sys_remap(map->region, map->region_length, map_length, MREMAP_MAYMOVE, &region);
	if (r < 0)
		return r;
	map->region = region;
	map->region_length = map_length;
	return 0;
}

/* A region that stays wider than needed is no harm: nothing of it is published. */
static void narrow_region(struct filemap *map, size_t map_length)
{
	void *region;
	if (map->reserve != 0 || map_length >= map->region_length)
		return;
	if (fm__sys_remap(map->region, map->region_length, map_length, 0, &region) >= 0)
		map->region_length = map_length;
}

/* Everything that can fail; *step says what did. */
static int try_growth(struct filemap *map, uint64_t old_size, uint64_t new_size, size_t map_length,
		      const char **step)
{
	int r;

	*step = "allocate blocks";
	r = fm__extent_grow(map->backing->fd, old_size, new_size, map->flags);
	if (r < 0)
		return r;
	*step = "clear old end";
	r = zero_old_tail(map->backing->fd, old_size, new_size);
	if (r < 0)
		return r;
	*step = "remap";
	return widen_region(map, map_length);
}

static int grow(struct filemap *map, uint64_t old_size, uint64_t new_size, const struct fm__span *span,
		struct filemap_error *reterr)
{
	const char *step;
	int r = try_growth(map, old_size, new_size, span->map_length, &step);

	if (r >= 0) {
		fm__filemap_publish(map, span);
		return 0;
	}
	fm__fail(reterr, r, step, "file");
	if (fm__sys_ftruncate(map->backing->fd, old_size) < 0)
		fm__fail_hint(reterr, "the file may have kept a larger size; the window is as it was");
	return r;
}

/* The cut failed: the size that the file has now decides what can be shown. */
static int after_failed_cut(struct filemap *map, uint64_t old_size, uint64_t new_size,
			    const struct fm__span *old_span, int cause, struct filemap_error *reterr)
{
	uint64_t size;

	fm__fail(reterr, cause, "truncate", "file");
	if (read_size(map, &size) < 0 || (size != old_size && size != new_size)) {
		fm__filemap_poison(map, cause);
		fm__fail_hint(reterr, "the file's size is unknown now: the mapping is poisoned");
		return cause;
	}
	if (size == old_size)
		fm__filemap_publish(map, old_span);
	else
		fm__fail_hint(reterr, "the file was cut nevertheless; so was the window");
	return cause;
}

static int shrink(struct filemap *map, uint64_t old_size, uint64_t new_size, const struct fm__span *span,
		  struct filemap_error *reterr)
{
	struct fm__span old_span = *span;
	int r;

	old_span.size = fm__view_size(map);
	fm__filemap_publish(map, span);
	r = fm__sys_ftruncate(map->backing->fd, new_size);
	if (r < 0)
		return after_failed_cut(map, old_size, new_size, &old_span, r, reterr);
	narrow_region(map, span->map_length);
	return 0;
}

/*
 * Where it can fail, and what that leaves:
 *   1. checks, reading the size, planning    everything as it was
 *   2. allocating blocks (growth)            the file is cut back to its old size, the window stays
 *   3. clearing the old end (growth)         as 2
 *   4. remapping (growth)                    as 2; the kernel leaves the old mapping intact
 *   5. cutting back in 2 to 4                the file stays longer, the window is as it was: not poisoned
 *   6. cutting the file (shrinking)          the file's size is read again: unchanged - the old window is
 *                                            published again; cut - the smaller window stays
 *   7. reading the size in 6, or finding a third one: POISONED, the cause is that of the cut
 *   8. unmapping what was cut off            no harm: the region stays wider than the window
 * A crash leaves the old or the new size; between 2 and 3 the new bytes may show what stores beyond the
 * old end had left, until 3 reached the device: nothing of resize is durable before filemap_sync().
 */
int filemap_resize(struct filemap *map, uint64_t file_size, struct filemap_error *reterr)
{
	struct fm__span span;
	uint64_t old_size;
	int r;

	r = check_allowed(map, file_size, reterr);
	if (r < 0)
		return r;
	r = plan_span(map, file_size, &span, reterr);
	if (r < 0)
		return r;
	r = read_size(map, &old_size);
	if (r < 0)
		return fm__fail(reterr, r, "read file size", "file");
	if (file_size < old_size)
		return shrink(map, old_size, file_size, &span, reterr);
	return grow(map, old_size, file_size, &span, reterr);
}
