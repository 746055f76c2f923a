/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * resize: the file's length and the window change together, or both stay.
 *
 * Invariant: no published byte is ever outside the file or outside the mapped region. Growth is
 * published last, shrinking first.
 */
#include "map/resize.h"

#include "base/checked.h"
#include "base/error.h"
#include "base/util.h"
#include "map/extent.h"
#include "map/growth.h"
#include "map/remap.h"
#include "sys/sys.h"

static const char *const step_check = "check resize";

/* One change of the file's size, once it is known from what to what. */
struct change {
	struct filemap *map;
	uint64_t old_size, new_size;
	struct fm__span span; /* of the new size */
	bool shared;          /* COOPERATE: the file is never cut behind somebody's back */
	bool known;           /* the old size was not asked for: nobody else can have changed it */
};

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

static uint64_t end_of_old_page(const struct change *change)
{
	uint64_t page_end;
	if (!fm__align_up(change->old_size, fm__sys_page_size(), &page_end))
		return change->new_size;
	return FM_MIN(page_end, change->new_size);
}

/* Stores beyond the end, in its page, may have left bytes there: they must not become content. Writing over them
 * is what makes the file longer: whoever sees the new bytes and stores there loses nothing to it. */
static int zero_old_tail(const struct change *change)
{
	return fm__extent_zero(fm__filemap_fd(change->map), change->old_size, end_of_old_page(change));
}

/* Not of the old end's page, which has been written: zeros, where they are written here, are never written twice,
 * because others may see the first ones and store there. */
static int give_blocks(const struct change *change)
{
	const uint64_t from = end_of_old_page(change), to = change->new_size;
	int fd = fm__filemap_fd(change->map);

	if (change->shared)
		return fm__extent_grow_shared(fd, from, to, change->map->flags);
	return fm__extent_grow(fd, from, to, change->map->flags);
}

/* Everything that can fail; *step says what did. */
static int try_growth(const struct change *change, const char **step)
{
	struct filemap *map = change->map;
	int r;

	*step = "clear old end";
	r = zero_old_tail(change);
	if (r < 0)
		return r;
	*step = map->flags & FILEMAP_SPARSE ? "set size" : "allocate blocks";
	r = give_blocks(change);
	if (r < 0)
		return r;
	*step = "lock in memory";
	r = fm__region_lock(map, fm__view_size(map), change->span.size);
	if (r < 0)
		return r;
	*step = "remap";
	return fm__region_widen(map, change->span.map_length);
}

static int grow(const struct change *change, struct filemap_error *reterr)
{
	const char *step;
	int r = try_growth(change, &step);

	if (r >= 0) {
		fm__filemap_publish(change->map, &change->span);
		return 0;
	}
	fm__fail(reterr, r, step, "file");
	if (change->shared || fm__sys_ftruncate(fm__filemap_fd(change->map), change->old_size) < 0) {
		change->map->origin->size_is_ours = false;
		fm__fail_hint(reterr, "the file may have kept a larger size; the window is as it was");
	}
	return r;
}

/* The cut failed: the size that the file has now decides what can be shown. */
static int after_failed_cut(const struct change *change, const struct fm__span *old_span, int cause,
			    struct filemap_error *reterr)
{
	uint64_t size;

	fm__fail(reterr, cause, "truncate", "file");
	if (fm__filemap_file_size(change->map, &size) < 0 ||
	    (size != change->old_size && size != change->new_size)) {
		fm__filemap_poison(change->map, cause);
		fm__fail_hint(reterr, "the file's size is unknown now: the mapping is poisoned");
		return cause;
	}
	if (size == change->old_size)
		fm__filemap_publish(change->map, old_span);
	else
		fm__fail_hint(reterr, "the file was cut nevertheless; so was the window");
	return cause;
}

static int shrink(const struct change *change, struct filemap_error *reterr)
{
	struct fm__span old_span = change->span;
	struct filemap *map = change->map;
	int r;

	r = fm__region_widen(map, change->span.map_length); /* others may have grown what is cut now */
	if (r < 0)
		return fm__fail(reterr, r, "remap", "file");
	old_span.size = fm__view_size(map);
	fm__filemap_publish(map, &change->span);
	r = fm__sys_ftruncate(fm__filemap_fd(map), change->new_size);
	if (r < 0)
		return after_failed_cut(change, &old_span, r, reterr);
	fm__region_narrow(map, change->span.map_length);
	return 0;
}

static bool shows_behind(const struct filemap *other, uint64_t file_size)
{
	size_t size = fm__view_size(other);
	return size != 0 && other->window.offset + size > file_size;
}

/* Refused while nothing is changed; a pinned region that has to grow does so now, behind the file's end. */
static int check_change(const struct change *change, struct filemap_error *reterr)
{
	struct filemap *map = change->map;
	int r = fm__resize_check_cut(map, change->old_size, change->new_size, step_check, reterr);
	if (r < 0)
		return r;
	if (change->new_size < change->old_size &&
	    fm__origin_any(map->origin, map, shows_behind, change->new_size))
		return fm__fail(reterr, FILEMAP_EBUSY, step_check, "window");
	if (!fm__filemap_is_pinned(map))
		return 0;
	if (change->span.size < fm__view_size(map) || fm__region_widen(map, change->span.map_length) < 0)
		return fm__fail(reterr, FILEMAP_EBUSY, step_check, "pin");
	return 0;
}

/* Alone under the exclusive lock ever since it was opened: the window ends where the file does. */
static bool knows_size(const struct filemap *map)
{
	return map->origin->size_is_ours && map->origin->lock.is_unbroken;
}

static int look(struct change *change)
{
	const struct filemap *map = change->map;
	uint64_t known = map->window.offset + fm__view_size(map);

	change->known = knows_size(map) && change->new_size >= known;
	if (!change->known)
		return fm__filemap_file_size(map, &change->old_size);
	change->old_size = known;
	return 0;
}

static int look_and_change(struct change *change, struct filemap_error *reterr)
{
	int r = look(change);
	if (r < 0)
		return fm__fail(reterr, r, "read file size", "file");
	r = check_change(change, reterr);
	if (r < 0)
		return r;
	return change->new_size < change->old_size ? shrink(change, reterr) : grow(change, reterr);
}

int fm__resize_file(struct filemap *map, uint64_t file_size, struct filemap_error *reterr)
{
	struct change change = {.map = map, .new_size = file_size};
	int r;

	change.shared = map->origin->sharing == FILEMAP_SHARING_COOPERATE;
	if (file_size < map->window.offset) /* then the window's end is not the file's */
		map->origin->size_is_ours = false;
	r = fm__resize_plan(map, file_size, &change.span, reterr);
	if (r < 0)
		return r;
	r = fm__growth_begin(map->origin, reterr);
	if (r < 0)
		return r;
	r = look_and_change(&change, reterr);
	fm__growth_end(map->origin);
	return r;
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
	int r = fm__resize_check(map, file_size, step_check, reterr);
	if (r < 0)
		return r;
	if (file_size < map->window.offset)
		return fm__fail(reterr, FILEMAP_ERANGE, step_check, "offset");
	if (map->kind == FM_KIND_MEMORY)
		return fm__resize_memory(map, file_size, reterr);
	return fm__resize_file(map, file_size, reterr);
}
