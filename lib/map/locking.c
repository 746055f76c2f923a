/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * locking: the advisory lock as the program sees it.
 *
 * Invariant: the exclusive lock of a mapping that can store is never shared with readers, unless COOPERATE.
 * Who gave it up may take what there is. What a change of size or name in flight relies on stays as it is.
 */
#include "base/error.h"
#include "map/permit.h"

static const char *const step = "lock";

static bool is_memory(const struct fm__origin *origin)
{
	return origin->lock.family == FILEMAP_LOCK_DEFAULT;
}

/* For files: 0, or why this process cannot change the lock. */
static int check(const struct fm__origin *origin)
{
	if (origin->lock.family == FILEMAP_LOCK_NONE)
		return FILEMAP_EMODE;
	return fm__origin_is_inherited(origin) ? FILEMAP_EFORKED : 0;
}

/* To be shared, while a window of the file would go on storing. */
static int check_sharing(const struct fm__origin *origin, struct filemap_error *reterr)
{
	if (origin->sharing == FILEMAP_SHARING_COOPERATE ||
	    fm__lock_held(&origin->lock) != FILEMAP_EXCLUSIVE_LOCK ||
	    !fm__origin_any(origin, NULL, fm__can_store, 0))
		return 0;
	fm__fail(reterr, FILEMAP_ELOCKED, step, "mapping");
	fm__fail_hint(reterr, "freeze it first: what can store needs the exclusive lock, or COOPERATE");
	return FILEMAP_ELOCKED;
}

int filemap_lock(struct filemap *map, unsigned kind, uint32_t wait_ms, struct filemap_error *reterr)
{
	struct fm__origin *origin = map->origin;
	int r;

	if (kind != FILEMAP_SHARED_LOCK && kind != FILEMAP_EXCLUSIVE_LOCK)
		return fm__fail(reterr, FILEMAP_EOPTION, step, "kind");
	if (is_memory(origin))
		return 0;
	r = check(origin);
	if (r < 0)
		return fm__fail(reterr, r, step, r == FILEMAP_EFORKED ? "process" : "lock_family");
	r = fm__origin_check_unchanging(origin, step, reterr);
	if (r < 0)
		return r;
	if (kind == FILEMAP_SHARED_LOCK) {
		r = check_sharing(origin, reterr);
		if (r < 0)
			return r;
	}
	return fm__lock_change(&origin->lock, fm__filemap_fd(map), kind, wait_ms, reterr);
}

int filemap_unlock(struct filemap *map)
{
	struct fm__origin *origin = map->origin;
	int r;

	if (is_memory(origin))
		return 0;
	r = check(origin);
	if (r < 0)
		return r;
	r = fm__origin_check_unchanging(origin, step, NULL);
	if (r < 0)
		return r;
	return fm__lock_change(&origin->lock, fm__filemap_fd(map), FILEMAP_UNLOCKED, 0, NULL);
}

unsigned filemap_lock_state(const struct filemap *map)
{
	return fm__lock_held(&map->origin->lock);
}
