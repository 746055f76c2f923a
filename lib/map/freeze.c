/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * freeze: stores and execution are allowed and forbidden, for a mapping that stays where it is.
 *
 * Invariant: of all windows of a file either some can store or some can execute: the state is claimed under
 * the process lock, where those of the others are looked at, before the pages get its protection. The lock is
 * shared only after the stores were forbidden.
 *
 * Where it can fail, and what that leaves:
 *   1. checks, claiming the state           everything as it was
 *   2. protecting the pages                 the old protection is set again, for parts may have the new one
 *   3. setting it again                     what could store is frozen: safe, and thawing may be tried again
 *   4. sharing the lock (DOWNGRADE)         the pages can be stored to again; filemap_lock_state() tells what
 *                                           is held. If protecting them fails as well they stay frozen
 */
#include "base/error.h"
#include "map/permit.h"
#include "sys/sys.h"

/* FILEMAP_EBUSY if another window is in a state that `conflicts` with the one that is wanted. */
static int claim(struct filemap *map, unsigned frozen, bool (*conflicts)(const struct filemap *, uint64_t))
{
	const struct filemap *other;

	fm__process_lock();
	for (other = map->origin->windows; other; other = other->next_window)
		if (other != map && conflicts && conflicts(other, 0))
			break;
	if (!other)
		map->frozen = frozen;
	fm__process_unlock();
	return other ? FILEMAP_EBUSY : 0;
}

static void publish_state(struct filemap *map)
{
	const struct fm__span span = {
		.file_start = map->file_start,
		.skew = (size_t)(map->window.offset - map->file_start),
		.size = fm__view_size(map),
	};
	fm__filemap_publish(map, &span);
}

static int protect(const struct filemap *map)
{
	return fm__sys_protect(map->region, map->region_length, fm__filemap_prot(map));
}

/* What another window must not be while this one is in a state. */
static bool (*opposite(const struct filemap *map, unsigned frozen))(const struct filemap *, uint64_t)
{
	if (frozen == FM_FROZEN_EXEC)
		return fm__can_store;
	return frozen == FM_THAWED && map->mode == FILEMAP_WRITE ? fm__can_execute : NULL;
}

static void restore(struct filemap *map, unsigned before)
{
	bool done = claim(map, before, opposite(map, before)) >= 0 && protect(map) >= 0;
	if (!done && (map->mode & (FILEMAP_WRITE | FILEMAP_COW))) {
		claim(map, FM_FROZEN, NULL);
		protect(map);
	}
	publish_state(map);
}

static int change_state(struct filemap *map, unsigned frozen,
			bool (*conflicts)(const struct filemap *, uint64_t), const char *step,
			struct filemap_error *reterr)
{
	unsigned before = map->frozen;
	int r;

	if (fm__filemap_is_pinned(map))
		return fm__fail(reterr, FILEMAP_EBUSY, step, "pin");
	r = claim(map, frozen, conflicts);
	if (r < 0)
		return fm__fail(reterr, r, step, "window");
	r = protect(map);
	if (r < 0) {
		restore(map, before);
		return fm__fail(reterr, r, step, "mapping");
	}
	publish_state(map);
	return 0;
}

static bool shares_lock(const struct filemap *map)
{
	return (map->flags & FILEMAP_DOWNGRADE_ON_FREEZE) && map->mode == FILEMAP_WRITE;
}

static int check_mapping(const struct filemap *map, const char *step, struct filemap_error *reterr)
{
	int r = fm__filemap_check_window(map);
	if (r < 0)
		return fm__fail(reterr, r, step, "mapping");
	if (map->kind == FM_KIND_BORROWED)
		return fm__fail(reterr, FILEMAP_EMODE, step, "mapping");
	return fm__filemap_is_absent(map) ? fm__fail(reterr, FILEMAP_EFORKED, step, "process") : 0;
}

/* From thawed, or to executable. */
static int freeze(struct filemap *map, unsigned frozen, const char *step, struct filemap_error *reterr)
{
	struct fm__origin *origin = map->origin;
	unsigned before = map->frozen;
	bool share = shares_lock(map) && before == FM_THAWED;
	int r;

	if (share && fm__origin_is_inherited(origin))
		return fm__fail(reterr, FILEMAP_EFORKED, step, "process");
	r = share ? fm__origin_check_unchanging(origin, step, reterr) : 0;
	if (r < 0)
		return r;
	r = change_state(map, frozen, share ? fm__can_store : opposite(map, frozen), step, reterr);
	if (r < 0 || !share || fm__lock_held(&origin->lock) != FILEMAP_EXCLUSIVE_LOCK)
		return r;
	r = fm__lock_change(&origin->lock, fm__filemap_fd(map), FILEMAP_SHARED_LOCK, 0, reterr);
	if (r < 0)
		restore(map, before);
	return r;
}

int filemap_freeze(struct filemap *map, struct filemap_error *reterr)
{
	static const char *const step = "freeze";
	int r = check_mapping(map, step, reterr);
	if (r < 0)
		return r;
	if (map->frozen == FM_FROZEN_EXEC)
		return fm__fail(reterr, FILEMAP_EMODE, step, "executable");
	if (!fm__filemap_is_writable(map))
		return 0;
	return freeze(map, FM_FROZEN, step, reterr);
}

/* Others who cooperate store when they like: not into code. */
static int check_alone(const struct filemap *map, const char *step, struct filemap_error *reterr)
{
	const struct fm__origin *origin = map->origin;
	if (origin->sharing != FILEMAP_SHARING_COOPERATE ||
	    fm__lock_held(&origin->lock) == FILEMAP_EXCLUSIVE_LOCK)
		return 0;
	fm__fail(reterr, FILEMAP_EMODE, step, "lock");
	fm__fail_hint(reterr, "with COOPERATE take the exclusive lock first");
	return FILEMAP_EMODE;
}

int filemap_freeze_exec(struct filemap *map, struct filemap_error *reterr)
{
	static const char *const step = "make executable";
	char *data;
	int r = check_mapping(map, step, reterr);
	if (r < 0)
		return r;
	if (filemap_is_exec(map))
		return 0;
	r = check_alone(map, step, reterr);
	if (r < 0)
		return r;
	r = freeze(map, FM_FROZEN_EXEC, step, reterr);
	if (r < 0)
		return r;
	data = (char *)map->region + (map->window.offset - map->file_start);
	__builtin___clear_cache(data, data + fm__view_size(map));
	return 0;
}

int filemap_thaw(struct filemap *map, struct filemap_error *reterr)
{
	static const char *const step = "thaw";
	int r = check_mapping(map, step, reterr);
	if (r < 0)
		return r;
	if (!(map->mode & (FILEMAP_WRITE | FILEMAP_COW)))
		return fm__fail(reterr, FILEMAP_EMODE, step, "mode");
	if (map->frozen == FM_THAWED)
		return 0;
	if (map->mode == FILEMAP_WRITE && !fm__lock_permits_stores(map->origin))
		return fm__fail(reterr, FILEMAP_EMODE, step, "lock");
	return change_state(map, FM_THAWED, opposite(map, FM_THAWED), step, reterr);
}

void (*filemap_code(const struct filemap *map, size_t offset))(void)
{
	if (!filemap_is_exec(map) || offset >= fm__view_size(map))
		return NULL;
	return (void (*)(void))((uintptr_t)filemap_data(map) + offset);
}
