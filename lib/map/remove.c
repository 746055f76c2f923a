/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * remove: the name of a mapped file goes, now or with the last window. In parts: remove_later.c.
 *
 * Invariant: nothing is tried without the exclusive lock (but where there is to be none), nor in a process that
 * did not open the file. The lock is held until the removal is over.
 */
#include "map/remove.h"

#include <errno.h>
#include <fcntl.h>

#include "base/error.h"
#include "base/options.h"
#include "map/locate.h"
#include "sys/sys.h"

static const char *const step = "check removal";

static bool is_memory(const struct fm__origin *origin)
{
	return origin->lock.family == FILEMAP_LOCK_DEFAULT;
}

static bool is_exclusive(const struct fm__origin *origin)
{
	return origin->lock.family == FILEMAP_LOCK_NONE ||
	       fm__lock_held(&origin->lock) == FILEMAP_EXCLUSIVE_LOCK;
}

static int check(const struct fm__origin *origin, struct filemap_error *reterr)
{
	if (origin->parent_fd < 0) {
		fm__fail(reterr, FILEMAP_EMODE, step, "parent directory");
		fm__fail_hint(reterr, "none is pinned: open by name, with WRITE or PIN_PARENT");
		return FILEMAP_EMODE;
	}
	if (!is_exclusive(origin)) {
		fm__fail(reterr, FILEMAP_ELOCKED, step, "lock");
		fm__fail_hint(reterr, "take the exclusive lock first: filemap_lock()");
		return FILEMAP_ELOCKED;
	}
	return fm__origin_check_unchanging(origin, step, reterr);
}

/* What was tried and failed is tried again at close; what was refused is not. */
void fm__remove_tried(struct fm__origin *origin, int result)
{
	if (result != FILEMAP_EMODE)
		origin->remove_on_close = result < 0;
}

/* A directory that could only be searched at opening may be readable by now. */
int fm__remove_find(const struct fm__origin *origin, struct fm__target *ret, struct filemap_error *reterr)
{
	int dirfd = origin->parent_fd;

	if (origin->parent_is_path) {
		dirfd = fm__sys_openat(origin->parent_fd, ".", O_RDONLY | O_DIRECTORY, 0);
		if (dirfd < 0)
			return fm__fail(reterr, dirfd, "open parent directory", "parent directory");
	}
	*ret = (struct fm__target){dirfd, fm__locate_name(origin), origin->backing->fd};
	return 0;
}

void fm__remove_let_go(const struct fm__origin *origin, const struct fm__target *target)
{
	if (target->dirfd != origin->parent_fd)
		fm__sys_close(target->dirfd);
}

static int run(struct fm__origin *origin, struct filemap_error *reterr)
{
	struct fm__target target;
	int r = fm__remove_find(origin, &target, reterr);
	if (r < 0)
		return r;
	r = fm__removal_run(&origin->removal, &target, reterr);
	fm__remove_tried(origin, r);
	fm__remove_let_go(origin, &target);
	return r;
}

int fm__remove_name_path(const struct fm__origin *origin, int r, struct filemap_error *reterr)
{
	if (r < 0)
		fm__fail_detail_if_none(reterr, origin->path);
	return r;
}

int fm__remove_check(const struct fm__origin *origin, struct filemap_error *reterr)
{
	int r;

	if (is_memory(origin))
		return FM_REMOVE_NOTHING;
	if (fm__origin_is_inherited(origin))
		return fm__fail(reterr, FILEMAP_EFORKED, step, "process");
	if (origin->removal.state == FILEMAP_STATE_REMOVED)
		return FM_REMOVE_NOTHING;
	r = check(origin, reterr);
	return fm__remove_name_path(origin, r, reterr);
}

int filemap_remove(struct filemap *map, struct filemap_error *reterr)
{
	struct fm__origin *origin = map->origin;
	int r = fm__remove_check(origin, reterr);
	if (r < 0)
		return r;
	if (r == FM_REMOVE_NOTHING)
		return (int)origin->removal.notices;
	r = run(origin, reterr);
	return fm__remove_name_path(origin, r, reterr);
}

int filemap_set_remove_on_close(struct filemap *map, unsigned on)
{
	struct fm__origin *origin = map->origin;

	if (on > 1)
		return FILEMAP_EOPTION;
	if (is_memory(origin))
		return 0;
	if (fm__origin_is_inherited(origin))
		return FILEMAP_EFORKED;
	if (fm__origin_change(origin) != FM_CHANGE_NONE)
		return FILEMAP_EBUSY;
	if (on && origin->parent_fd < 0)
		return FILEMAP_EMODE;
	if (on && origin->lock.family == FILEMAP_LOCK_OFD && !origin->is_writable)
		return FILEMAP_EMODE;
	origin->remove_on_close = on;
	return 0;
}

void fm__remove_arm(struct fm__origin *origin, const struct fm__plan *plan)
{
	origin->is_writable = plan->mode == FILEMAP_WRITE;
	origin->remove_on_close = (plan->flags & FILEMAP_REMOVE_ON_CLOSE) != 0;
	origin->on_remove = plan->on_remove;
	origin->on_remove_context = plan->on_remove_context;
}

static bool is_due(const struct fm__origin *origin)
{
	return origin->remove_on_close && origin->removal.state != FILEMAP_STATE_REMOVED &&
	       !fm__origin_is_inherited(origin);
}

/* What is shared is given back first: of several that close at the same time each would find the others, and all
 * of them leave the file. So the last one to give it back finds nobody. */
static int lock_exclusively(struct fm__origin *origin, struct filemap_error *reterr)
{
	const int fd = origin->backing->fd;
	int r = fm__lock_change(&origin->lock, fd, FILEMAP_UNLOCKED, 0, reterr);
	return r < 0 ? r : fm__lock_change(&origin->lock, fd, FILEMAP_EXCLUSIVE_LOCK, 0, reterr);
}

/* What only has to be synced nobody else can have a say in any more. */
static int lock_and_run(struct fm__origin *origin, struct filemap_error *reterr)
{
	int r = 0;

	if (!is_exclusive(origin) && origin->removal.state != FILEMAP_STATE_NEEDS_PARENT_SYNC)
		r = lock_exclusively(origin, reterr);
	return r < 0 ? r : run(origin, reterr);
}

/* It is told when all is given back: who is told may open the file, or another one of the name. */
void fm__remove_last(struct fm__origin *origin)
{
	void (*const tell)(void *, int, const struct filemap_error *) = origin->on_remove;
	void *const context = origin->on_remove_context;
	const bool due = is_due(origin);
	struct filemap_error error = {.code = 0};
	int r = 0;

	if (due)
		r = fm__remove_name_path(origin, lock_and_run(origin, &error), &error);
	fm__origin_free(origin);
	if (due && tell)
		tell(context, r, r < 0 ? &error : NULL);
}
