/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * change: the steps of changing a file's size, and how each of them is undone.
 *
 * Invariant: what is said to be for any thread leaves the handle alone: it looks at what is constant, and at the
 * lock, which nobody changes meanwhile.
 */
#include "map/change.h"

#include "base/checked.h"
#include "base/error.h"
#include "base/util.h"
#include "map/extent.h"
#include "map/remap.h"
#include "map/resize.h"
#include "sys/sys.h"

static const char *const step_check = "check resize";

int fm__change_plan(struct filemap *map, uint64_t file_size, struct fm__change *ret,
		    struct filemap_error *reterr)
{
	struct fm__change change = {.map = map, .new_size = file_size};
	int r = fm__resize_plan(map, file_size, &change.span, reterr);
	if (r < 0)
		return r;
	change.shared = map->origin->sharing == FILEMAP_SHARING_COOPERATE;
	*ret = change;
	return 0;
}

/* Alone under the exclusive lock ever since it was opened: the window ends where the file does. */
static bool knows_size(const struct filemap *map)
{
	return __atomic_load_n(&map->origin->size_is_ours, __ATOMIC_RELAXED) && map->origin->lock.is_unbroken;
}

int fm__change_look(struct fm__change *change, struct filemap_error *reterr)
{
	const struct filemap *map = change->map;
	uint64_t known = map->window.offset + fm__view_size(map);
	int r;

	change->known = knows_size(map) && change->new_size >= known;
	if (change->known) {
		change->old_size = known;
		return 0;
	}
	r = fm__filemap_file_size(map, &change->old_size);
	return r < 0 ? fm__fail(reterr, r, "read file size", "file") : 0;
}

static bool shows_behind(const struct filemap *other, uint64_t file_size)
{
	size_t size = fm__view_size(other);
	return size != 0 && other->window.offset + size > file_size;
}

int fm__change_check_cut(const struct fm__change *change, struct filemap_error *reterr)
{
	const struct filemap *map = change->map;
	int r = fm__resize_check_cut(map, change->old_size, change->new_size, step_check, reterr);
	if (r < 0)
		return r;
	if (change->new_size < change->old_size &&
	    fm__origin_any(map->origin, map, shows_behind, change->new_size))
		return fm__fail(reterr, FILEMAP_EBUSY, step_check, "window");
	return 0;
}

int fm__change_check(const struct fm__change *change, struct filemap_error *reterr)
{
	struct filemap *map = change->map;
	int r = fm__change_check_cut(change, reterr);
	if (r < 0)
		return r;
	if (!fm__filemap_is_pinned(map))
		return 0;
	if (change->span.size < fm__view_size(map) || fm__region_widen(map, change->span.map_length) < 0)
		return fm__fail(reterr, FILEMAP_EBUSY, step_check, "pin");
	return 0;
}

static uint64_t end_of_old_page(const struct fm__change *change)
{
	uint64_t page_end;
	if (!fm__align_up(change->old_size, fm__sys_page_size(), &page_end))
		return change->new_size;
	return FM_MIN(page_end, change->new_size);
}

/* Stores beyond the end, in its page, may have left bytes there: they must not become content. Writing over them
 * is what makes the file longer: whoever sees the new bytes and stores there loses nothing to it. */
int fm__change_clear_tail(const struct fm__change *change)
{
	return fm__extent_zero(fm__filemap_fd(change->map), change->old_size, end_of_old_page(change));
}

/* Not of the old end's page, which has been written: zeros, where they are written here, are never written twice,
 * because others may see the first ones and store there. */
struct fm__call fm__change_growth_call(const struct fm__change *change)
{
	return fm__extent_plan(fm__filemap_fd(change->map), end_of_old_page(change), change->new_size,
			       change->map->flags, change->shared);
}

const char *fm__change_growth_step(const struct fm__change *change)
{
	return change->map->flags & FILEMAP_SPARSE ? "set size" : "allocate blocks";
}

int fm__change_make_room(const struct fm__change *change, const char **ret_step)
{
	struct filemap *map = change->map;
	int r;

	*ret_step = "lock in memory";
	r = fm__region_lock(map, fm__view_size(map), change->span.size);
	if (r < 0)
		return r;
	*ret_step = "remap";
	return fm__region_widen(map, change->span.map_length);
}

int fm__change_undo_growth(const struct fm__change *change, int cause, const char *step,
			   struct filemap_error *reterr)
{
	fm__fail(reterr, cause, step, cause == FILEMAP_EBUSY ? "pin" : "file");
	if (!change->shared && fm__sys_ftruncate(fm__filemap_fd(change->map), change->old_size) >= 0)
		return cause;
	__atomic_store_n(&change->map->origin->size_is_ours, false, __ATOMIC_RELAXED);
	fm__fail_hint(reterr, "the file may have kept a larger size; the window is as it was");
	return cause;
}

int fm__change_undo_cut(const struct fm__change *change, size_t old_view, int cause,
			struct filemap_error *reterr)
{
	struct fm__span old_span = change->span;
	uint64_t size;

	old_span.size = old_view;
	fm__fail(reterr, cause, "truncate", "file");
	if (fm__filemap_file_size(change->map, &size) < 0 ||
	    (size != change->old_size && size != change->new_size)) {
		fm__filemap_poison(change->map, cause);
		fm__fail_hint(reterr, "the file's size is unknown now: the mapping is poisoned");
		return cause;
	}
	if (size == change->old_size)
		fm__filemap_publish(change->map, &old_span);
	else
		fm__fail_hint(reterr, "the file was cut nevertheless; so was the window");
	return cause;
}
