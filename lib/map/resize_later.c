/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * resize_later: a change of the file's size in parts, around the one call that takes long.
 *
 * begin and end run where the handle may be changed; what is between them only knows the file. Invariant: the window
 * shows nothing that the file may not have: it is cut by begin, and grows in end, when the file has. Meanwhile
 * nobody else changes size, name or lock of the origin, and the pin keeps it alive.
 *
 * Where it can fail, and what that leaves (what is undone, and how, is resize.c's):
 *   1. begin: checks, the size                everything as it was; nothing is pinned
 *   2. the lock for growth, the size, checks  as it was: end gives back what begin cut off the window
 *   3. clearing the old end (growth)          the file is cut back to its old size, but with COOPERATE
 *   4. the call: blocks (growth)              as 3. Where it was not made it is made by hand, and zeros are written
 *                                             where there is no fallocate(2). Under the lock for growth it
 *                                             is made by prepare
 *   5. the call: the cut                      end reads the file's size: unchanged - the window is given back; cut -
 *                                             it stays small; neither, or no answer - POISONED
 *   6. end: locking in memory, remapping      growth: as 3; a pin of others that came meanwhile forbids to move. After
 *                                             a cut of what others had grown, the window stays as it was
 *   7. cutting back in 3, 4 and 6             the file stays longer, the window is as it was
 *   8. cancelled before 2                     everything as it was
 * Memory is resized in end. A process that forked in between has no part in it: its copy of the handle is only unpinned.
 */
#include <errno.h>

#include "base/error.h"
#include "map/change.h"
#include "map/extent.h"
#include "map/growth.h"
#include "map/remap.h"
#include "map/resize.h"
#include "sys/sys.h"

/* How far it has come. */
enum state {
	STATE_BEGUN,   /* the file is as it was, or it was undone */
	STATE_GROWING, /* the call is being made */
	STATE_GROWN,   /* the file is longer */
	STATE_CUTTING, /* as GROWING */
	STATE_CUT,     /* the file is shorter */
	STATE_UNCUT,   /* the call has failed: who knows */
};

static bool is_memory(const struct fm__resizing *resizing)
{
	return resizing->map->kind == FM_KIND_MEMORY;
}

/* It was possible in begin, and depends on what is constant. */
static struct fm__change change_of(const struct fm__resizing *resizing)
{
	struct fm__change change = {.map = resizing->map};
	(void)fm__change_plan(resizing->map, resizing->new_size, &change, NULL);
	change.old_size = resizing->old_size;
	return change;
}

static int check_memory(const struct fm__change *change, struct filemap_error *reterr)
{
	if (change->span.size < fm__view_size(change->map) && fm__filemap_is_pinned(change->map))
		return fm__fail(reterr, FILEMAP_EBUSY, "check resize", "pin");
	return 0;
}

static int check_file(struct fm__change *change, struct filemap_error *reterr)
{
	int r = fm__change_look(change, reterr);
	return r < 0 ? r : fm__change_check(change, reterr);
}

int fm__map_resize_begin(struct filemap *map, uint64_t file_size, struct fm__resizing *ret,
			 struct filemap_error *reterr)
{
	struct fm__change change;
	int r = fm__resize_check_own(map, file_size, reterr);
	if (r < 0)
		return r;
	r = fm__change_plan(map, file_size, &change, reterr);
	if (r < 0)
		return r;
	r = map->kind == FM_KIND_MEMORY ? check_memory(&change, reterr) : check_file(&change, reterr);
	if (r < 0)
		return r;
	*ret = (struct fm__resizing){.map = map,
				     .old_size = change.old_size,
				     .new_size = file_size,
				     .old_view = fm__view_size(map),
				     .state = STATE_BEGUN};
	fm__origin_set_change(map->origin, FM_CHANGE_SIZE);
	fm__map_hold(map);
	if (change.span.size < ret->old_view)
		fm__filemap_publish(map, &change.span);
	return 0;
}

static int prepare_growth(struct fm__resizing *resizing, const struct fm__change *change,
			  struct filemap_error *reterr)
{
	int r = fm__change_clear_tail(change);
	if (r < 0)
		return fm__change_undo_growth(change, r, "clear old end", reterr);
	resizing->call = fm__change_growth_call(change);
	resizing->state = STATE_GROWING;
	return 0;
}

static int prepare_cut(struct fm__resizing *resizing, const struct fm__change *change,
		       struct filemap_error *reterr)
{
	int r = fm__change_check_cut(change, reterr);
	if (r < 0)
		return r;
	resizing->call = (struct fm__call){
		.kind = FM_CALL_TRUNCATE, .fd = fm__filemap_fd(change->map), .length = change->new_size};
	resizing->state = STATE_CUTTING;
	return 0;
}

/* The size of this moment decides, not that of begin: others who cooperate may have grown the file. */
static int look_and_prepare(struct fm__resizing *resizing, struct filemap_error *reterr)
{
	struct fm__change change;
	int r = fm__filemap_file_size(resizing->map, &resizing->old_size);
	if (r < 0)
		return fm__fail(reterr, r, "read file size", "file");
	change = change_of(resizing);
	return change.new_size < change.old_size ? prepare_cut(resizing, &change, reterr)
						 : prepare_growth(resizing, &change, reterr);
}

static int settle_growing(struct fm__resizing *resizing, int r, struct filemap_error *reterr)
{
	const struct fm__change change = change_of(resizing);

	resizing->state = r < 0 ? STATE_BEGUN : STATE_GROWN;
	if (r < 0)
		return fm__change_undo_growth(&change, r, fm__change_growth_step(&change), reterr);
	return 0;
}

/* The lock for growth is not held while somebody else gets round to the call: in the same process another mapping of
 * the file may be next, on the very thread that would have to see the answer. */
static int make_locked(struct fm__resizing *resizing, struct filemap_error *reterr)
{
	if (resizing->state != STATE_GROWING || !fm__growth_is_needed(resizing->map->origin))
		return 0;
	return settle_growing(resizing, fm__extent_make(&resizing->call), reterr);
}

int fm__map_resize_prepare(struct fm__resizing *resizing, struct fm__call *ret_call,
			   struct filemap_error *reterr)
{
	struct fm__origin *origin = resizing->map->origin;
	int r = 0;

	*ret_call = (struct fm__call){.kind = FM_CALL_NONE, .fd = -1};
	if (is_memory(resizing))
		return 0;
	r = fm__growth_begin(origin, reterr);
	if (r < 0)
		return r;
	r = look_and_prepare(resizing, reterr);
	if (r >= 0)
		r = make_locked(resizing, reterr);
	if (r >= 0 && resizing->state != STATE_GROWN && resizing->call.kind != FM_CALL_NONE) {
		*ret_call = resizing->call;
		return 0;
	}
	fm__growth_end(origin);
	if (r >= 0)
		resizing->state = STATE_GROWN;
	return r;
}

static int end_cutting(struct fm__resizing *resizing, int answer, struct filemap_error *reterr)
{
	int r = fm__extent_answer(&resizing->call, answer);
	resizing->state = r < 0 ? STATE_UNCUT : STATE_CUT;
	return r < 0 ? fm__fail(reterr, r, "truncate", "file") : 0;
}

int fm__map_resize_answer(struct fm__resizing *resizing, int answer, struct filemap_error *reterr)
{
	if (resizing->state != STATE_GROWING && resizing->state != STATE_CUTTING)
		return answer < 0 ? answer : 0;
	if (resizing->state == STATE_CUTTING)
		return end_cutting(resizing, answer, reterr);
	return settle_growing(resizing, fm__extent_answer(&resizing->call, answer), reterr);
}

static void give_window_back(const struct fm__resizing *resizing)
{
	struct fm__span span = change_of(resizing).span;

	if (fm__view_size(resizing->map) == resizing->old_view)
		return;
	span.size = resizing->old_view;
	fm__filemap_publish(resizing->map, &span);
}

static int show_growth(const struct fm__change *change, struct filemap_error *reterr)
{
	const char *step;
	int r = fm__change_make_room(change, &step);
	if (r < 0)
		return fm__change_undo_growth(change, r, step, reterr);
	fm__filemap_publish(change->map, &change->span);
	return 0;
}

/* Only what others had grown can need room. */
static int show_cut(const struct fm__change *change, struct filemap_error *reterr)
{
	struct filemap *map = change->map;
	int r = fm__region_widen(map, change->span.map_length);
	if (r < 0) {
		fm__fail(reterr, r, "remap", r == FILEMAP_EBUSY ? "pin" : "file");
		fm__fail_hint(reterr, "the file was cut; the window is as it was");
		return r;
	}
	fm__filemap_publish(map, &change->span);
	fm__region_narrow(map, change->span.map_length);
	return 0;
}

/* Whoever resizes memory begins with what was there. */
static int finish_memory(const struct fm__resizing *resizing, int result, struct filemap_error *reterr)
{
	give_window_back(resizing);
	return result < 0 ? result : fm__resize_memory(resizing->map, resizing->new_size, reterr);
}

static int finish_file(const struct fm__resizing *resizing, int result, struct filemap_error *reterr)
{
	const struct fm__change change = change_of(resizing);

	switch (resizing->state) {
	case STATE_GROWN:
		return show_growth(&change, reterr);
	case STATE_CUT:
		return show_cut(&change, reterr);
	case STATE_UNCUT:
		return fm__change_undo_cut(&change, resizing->old_view, result, reterr);
	default:
		give_window_back(resizing);
		return result;
	}
}

int fm__map_resize_end(struct fm__resizing *resizing, int result, struct filemap_error *reterr)
{
	struct filemap *map = resizing->map;

	if (fm__origin_is_inherited(map->origin)) {
		filemap_unpin(map);
		return fm__fail(reterr, FILEMAP_EFORKED, "resize", "process");
	}
	if (result == -ECANCELED)
		fm__fail(reterr, result, "resize", "request");
	/* Our own pin forbids nothing; it is the last use of a handle that was closed. */
	map->own_pins = __atomic_load_n(&map->is_closed, __ATOMIC_RELAXED) ? 0 : 1;
	result = is_memory(resizing) ? finish_memory(resizing, result, reterr)
				     : finish_file(resizing, result, reterr);
	map->own_pins = 0;
	fm__origin_set_change(map->origin, FM_CHANGE_NONE);
	filemap_unpin(map);
	return result;
}
