/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * resize: the file's length and the window change together, or both stay. In parts: resize_later.c.
 *
 * Invariant: no published byte is ever outside the file or outside the mapped region. Growth is
 * published last, shrinking first.
 */
#include "map/resize.h"

#include "base/error.h"
#include "map/change.h"
#include "map/extent.h"
#include "map/growth.h"
#include "map/remap.h"
#include "sys/sys.h"

static const char *const step_check = "check resize";

int fm__filemap_file_size(const struct filemap *map, uint64_t *ret)
{
	struct stat status;
	int r = fm__sys_fstat(fm__filemap_fd(map), &status);
	if (r < 0)
		return r;
	*ret = (uint64_t)status.st_size;
	return 0;
}

int fm__resize_check(const struct filemap *map, uint64_t file_size, const char *step,
		     struct filemap_error *reterr)
{
	int r;

	if (map->mode != FILEMAP_WRITE || map->frozen != FM_THAWED)
		return fm__fail(reterr, FILEMAP_EMODE, step, map->frozen ? "frozen mapping" : "mode");
	if (fm__origin_is_inherited(map->origin))
		return fm__fail(reterr, FILEMAP_EFORKED, step, "process");
	r = fm__origin_check_unchanging(map->origin, step, reterr);
	if (r < 0)
		return r;
	r = fm__filemap_check_window(map);
	if (r < 0)
		return fm__fail(reterr, r, step, "mapping");
	if (file_size > FM_FILE_MAX)
		return fm__fail(reterr, FILEMAP_ERANGE, step, "file_size");
	return 0;
}

int fm__resize_check_cut(const struct filemap *map, uint64_t old_size, uint64_t file_size, const char *step,
			 struct filemap_error *reterr)
{
	if (file_size >= old_size || map->origin->sharing != FILEMAP_SHARING_COOPERATE ||
	    fm__lock_held(&map->origin->lock) == FILEMAP_EXCLUSIVE_LOCK)
		return 0;
	fm__fail(reterr, FILEMAP_EMODE, step, "lock");
	fm__fail_hint(reterr, "to cut a file that others share, take the exclusive lock first");
	return FILEMAP_EMODE;
}

int fm__resize_plan(const struct filemap *map, uint64_t file_size, struct fm__span *ret,
		    struct filemap_error *reterr)
{
	int r = fm__window_span(&map->window, file_size, map->reserve, fm__filemap_page(map), ret);
	if (r < 0)
		return fm__fail(reterr, r, step_check, "address space");
	if (map->reserve != 0 && ret->map_length > map->region_length) {
		fm__fail(reterr, FILEMAP_ERANGE, step_check, "reserve");
		fm__fail_hint(reterr, "a mapping with a reserve never moves, so it cannot outgrow it");
		return FILEMAP_ERANGE;
	}
	return 0;
}

/* Everything that can fail; *step says what did. */
static int try_growth(const struct fm__change *change, const char **step)
{
	struct fm__call call;
	int r;

	*step = "clear old end";
	r = fm__change_clear_tail(change);
	if (r < 0)
		return r;
	*step = fm__change_growth_step(change);
	call = fm__change_growth_call(change);
	r = fm__extent_make(&call);
	if (r < 0)
		return r;
	return fm__change_make_room(change, step);
}

static int grow(const struct fm__change *change, struct filemap_error *reterr)
{
	const char *step;
	int r = try_growth(change, &step);
	if (r < 0)
		return fm__change_undo_growth(change, r, step, reterr);
	fm__filemap_publish(change->map, &change->span);
	return 0;
}

static int shrink(const struct fm__change *change, struct filemap_error *reterr)
{
	struct filemap *map = change->map;
	size_t old_view;
	int r;

	r = fm__region_widen(map, change->span.map_length); /* others may have grown what is cut now */
	if (r < 0)
		return fm__fail(reterr, r, "remap", "file");
	old_view = fm__view_size(map);
	fm__filemap_publish(map, &change->span);
	r = fm__sys_ftruncate(fm__filemap_fd(map), change->new_size);
	if (r < 0)
		return fm__change_undo_cut(change, old_view, r, reterr);
	fm__region_narrow(map, change->span.map_length);
	return 0;
}

static int look_and_change(struct fm__change *change, struct filemap_error *reterr)
{
	int r = fm__change_look(change, reterr);
	if (r < 0)
		return r;
	r = fm__change_check(change, reterr);
	if (r < 0)
		return r;
	return change->new_size < change->old_size ? shrink(change, reterr) : grow(change, reterr);
}

int fm__resize_file(struct filemap *map, uint64_t file_size, struct filemap_error *reterr)
{
	struct fm__change change;
	int r;

	if (file_size < map->window.offset) /* then the window's end is not the file's */
		__atomic_store_n(&map->origin->size_is_ours, false, __ATOMIC_RELAXED);
	r = fm__change_plan(map, file_size, &change, reterr);
	if (r < 0)
		return r;
	r = fm__growth_begin(map->origin, reterr);
	if (r < 0)
		return r;
	r = look_and_change(&change, reterr);
	fm__growth_end(map->origin);
	return r;
}

int fm__resize_check_own(const struct filemap *map, uint64_t file_size, struct filemap_error *reterr)
{
	int r = fm__resize_check(map, file_size, step_check, reterr);
	if (r < 0)
		return r;
	return file_size < map->window.offset ? fm__fail(reterr, FILEMAP_ERANGE, step_check, "offset") : 0;
}

/*
 * Where it can fail, and what that leaves:
 *   1. checks, the lock for growth (COOPERATE), reading the size, planning: everything as it was
 *   2. clearing the old end (growth)         the file is cut back to its old size, the window stays
 *   3. allocating blocks (growth)            as 2
 *   4. locking in memory (MLOCK, reserve)    as 2; pages behind the window may be locked already
 *   5. remapping (growth)                    as 2; the old region stays intact. Pinned: before 2, see 1
 *   6. cutting back in 2 to 5                the file stays longer, the window is as it was: not poisoned.
 *                                            With COOPERATE it is not tried: others may have stored there
 *   7. cutting the file (shrinking)          the file's size is read again: unchanged - the old window is
 *                                            published again; cut - the smaller window stays
 *   8. reading the size in 7, or finding a third one: POISONED, the cause is that of the cut
 *   9. unmapping what was cut off            no harm: the address space is lost until the process ends
 *  10. giving the lock for growth back       it goes with the descriptor; nothing is reported
 * Memory (resize_memory.c) can fail in 1 and 5 only. A crash leaves the old size, the new one, or, between
 * 2 and 3, that of the old end's page: nothing of resize is durable before filemap_sync().
 */
int filemap_resize(struct filemap *map, uint64_t file_size, struct filemap_error *reterr)
{
	int r = fm__resize_check_own(map, file_size, reterr);
	if (r < 0)
		return r;
	if (map->kind == FM_KIND_MEMORY)
		return fm__resize_memory(map, file_size, reterr);
	return fm__resize_file(map, file_size, reterr);
}
