/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * remove_later: the removal of a mapped file's name in parts, around the sync of its directory.
 *
 * Invariant: what is between begin and end works on a copy of the removal's record: who asks the handle meanwhile is
 * told what was true before, and close, which the pin puts off, finds what end has brought home. Where it can fail,
 * and what that leaves, is said in removal.c; begin fails with nothing changed.
 */
#include <errno.h>

#include "base/error.h"
#include "map/private.h"
#include "map/remove.h"
#include "sys/sys.h"

struct fm__removing_state {
	struct fm__removal removal;
	struct fm__target target;
	bool is_found; /* the target is there, to be let go of */
	bool is_tried; /* the record has something to tell */
};

int fm__map_remove_begin(struct filemap *map, struct fm__removing *ret, struct filemap_error *reterr)
{
	struct fm__origin *origin = map->origin;
	struct fm__removing removing = {.map = map};
	int r = fm__remove_check(origin, reterr);
	if (r < 0)
		return r;
	if (r != FM_REMOVE_NOTHING) {
		removing.state = fm__zalloc(sizeof *removing.state);
		if (!removing.state)
			return fm__fail(reterr, -ENOMEM, "allocate", "removal");
		removing.state->removal = origin->removal;
		fm__origin_set_change(origin, FM_CHANGE_NAME);
	}
	fm__map_hold(map);
	*ret = removing;
	return 0;
}

static void let_go(const struct fm__removing *removing)
{
	if (removing->state->is_found)
		fm__remove_let_go(removing->map->origin, &removing->state->target);
	removing->state->is_found = false;
}

static int unlink_name(struct fm__removing_state *state, struct filemap_error *reterr)
{
	int r;

	state->is_tried = true;
	r = fm__removal_unlink(&state->removal, &state->target, reterr);
	return r < 0 ? r : fm__removal_sync_begin(&state->removal, &state->target, reterr);
}

int fm__map_remove_prepare(struct fm__removing *removing, struct fm__call *ret_call,
			   struct filemap_error *reterr)
{
	struct fm__removing_state *state = removing->state;
	int r;

	*ret_call = (struct fm__call){.kind = FM_CALL_NONE, .fd = -1};
	if (!state)
		return 0;
	r = fm__remove_find(removing->map->origin, &state->target, reterr);
	if (r < 0)
		return r;
	state->is_found = true;
	r = unlink_name(state, reterr);
	if (r < 0) {
		let_go(removing);
		return r;
	}
	*ret_call = (struct fm__call){.kind = FM_CALL_SYNC, .fd = state->target.dirfd};
	return 0;
}

/* What was not made is made here: the name is gone already, so nobody can call it off any more. */
int fm__map_remove_answer(struct fm__removing *removing, int answer, struct filemap_error *reterr)
{
	struct fm__removing_state *state = removing->state;
	int r;

	if (!state || !state->is_found)
		return answer < 0 ? answer : 0;
	if (answer == -EINTR || answer == -EAGAIN || answer == -ECANCELED)
		answer = fm__sys_fsync(state->target.dirfd);
	r = fm__removal_sync_end(&state->removal, answer, reterr);
	let_go(removing);
	return r;
}

static int bring_home(struct fm__origin *origin, const struct fm__removing_state *state, int result,
		      struct filemap_error *reterr)
{
	if (state->is_tried) {
		origin->removal = state->removal;
		fm__remove_tried(origin, result);
	}
	fm__origin_set_change(origin, FM_CHANGE_NONE);
	return fm__remove_name_path(origin, result, reterr);
}

static int finish(const struct fm__removing *removing, int result, struct filemap_error *reterr)
{
	struct fm__origin *origin = removing->map->origin;

	if (fm__origin_is_inherited(origin))
		return fm__fail(reterr, FILEMAP_EFORKED, "remove", "process");
	if (result == -ECANCELED)
		fm__fail(reterr, result, "remove", "request");
	if (removing->state)
		return bring_home(origin, removing->state, result, reterr);
	return result < 0 ? result : (int)origin->removal.notices;
}

int fm__map_remove_end(struct fm__removing *removing, int result, struct filemap_error *reterr)
{
	int r = finish(removing, result, reterr);

	if (removing->state) {
		let_go(removing);
		fm__free(removing->state);
		removing->state = NULL;
	}
	filemap_unpin(removing->map);
	return r;
}
