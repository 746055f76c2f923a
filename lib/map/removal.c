/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * removal: a name goes, if it means the file that is open, and durably so.
 *
 * Invariant: a file is unlinked only where it was seen to be the one that is open, and where others do not come
 * by; what was moved there and is another one goes back, over nothing. What can fail, and what it leaves:
 *   1. looking at the name                       NEEDS_UNLINK; everything as it was
 *   2. hiding the file                           NEEDS_UNLINK; likewise, unless the kernel says so in vain
 *   3. looking at what was hidden, unlinking it  NEEDS_UNLINK; it is put back, or, if that fails, too, left there
 *                                                and remembered
 *   4. counting links, syncing the directory (and one of our own that cannot be removed)
 *                                                NEEDS_PARENT_SYNC; the name is gone, maybe not for ever
 * Where there is no room to hide it in, 2 and 3 are one step after the look at the name.
 */
#include "map/removal.h"

#include <errno.h>

#include "base/error.h"
#include "map/name.h"
#include "sys/sys.h"

struct attempt {
	struct fm__removal *removal;
	const struct fm__target *target;
	struct stat file;
	struct filemap_error *reterr;
};

static int look(const struct attempt *a)
{
	struct stat named;
	int r = fm__sys_fstatat(a->target->dirfd, a->target->name, &named, AT_SYMLINK_NOFOLLOW);
	if (r == -ENOENT)
		return fm__fail_errno(a->reterr, FILEMAP_EGONE, ENOENT, "look up file", "file");
	if (r < 0)
		return fm__fail(a->reterr, r, "look up file", "file");
	if (S_ISLNK(named.st_mode)) {
		fm__fail(a->reterr, FILEMAP_EMODE, "look up file", "symbolic link");
		fm__fail_hint(a->reterr, "symbolic links are not removed, nor what they lead to");
		return FILEMAP_EMODE;
	}
	return fm__is_same_file(&named, &a->file)
		       ? 0
		       : fm__fail(a->reterr, FILEMAP_EREPLACED, "compare file", "file");
}

/* It is a foreign file's name that was disturbed: a crash must not do so again. */
static void sync_put_back(const struct attempt *a, int put_back)
{
	if (fm__sys_fsync(a->target->dirfd) < 0 && put_back >= 0)
		fm__fail_hint(a->reterr, "syncing failed: see filemap_recover_quarantine() after a crash");
}

static void keep(const struct attempt *a, const struct fm__quarantine *q, int code, int put_back)
{
	fm__quarantine_describe(q, a->reterr);
	fm__fail_hint(a->reterr, put_back == -EEXIST ? "the name was taken meanwhile: what it meant is kept"
						     : "it could not be moved back, and is kept");
	if (code != FILEMAP_EREPLACED || put_back != -EEXIST)
		a->removal->hideout = q->at;
}

/* What is in the quarantine is not to be unlinked, or cannot be. Returns `code`. */
static int give_back(const struct attempt *a, struct fm__quarantine *q, int code, const char *step)
{
	int r = fm__quarantine_put_back(q);

	fm__fail(a->reterr, code, step, "file");
	if (r < 0 && r != -ENOENT)
		keep(a, q, code, r);
	fm__quarantine_end(q);
	if (code == FILEMAP_EREPLACED)
		sync_put_back(a, r);
	return code;
}

static int name_changed(const struct attempt *a, struct fm__quarantine *q)
{
	int r = fm__quarantine_end(q);
	if (r >= 0)
		return FM_NAME_CHANGED;
	a->removal->hideout = q->at;
	return fm__fail(a->reterr, r, "sync hidden directory", "parent directory");
}

/* Moving a file can give it another number: overlayfs copies it, and tells that to its open descriptors, too. */
static int holds_ours(const struct attempt *a, const struct fm__quarantine *q)
{
	struct stat now;
	int r = fm__quarantine_holds(q, &a->file);
	if (r != 0)
		return r;
	r = fm__sys_fstat(a->target->fd, &now);
	if (r < 0)
		return r;
	return fm__is_same_file(&now, &a->file) ? 0 : fm__quarantine_holds(q, &now);
}

/* 0: unlinked. FM_NAME_CHANGED: somebody gave it back, as filemap_recover_quarantine() does. */
static int settle(const struct attempt *a, struct fm__quarantine *q)
{
	int r = holds_ours(a, q);
	if (r == -ENOENT)
		return name_changed(a, q);
	if (r < 0)
		return give_back(a, q, r, "look up hidden file");
	if (r == 0)
		return give_back(a, q, FILEMAP_EREPLACED, "compare file");
	r = fm__quarantine_unlink(q);
	if (r == -ENOENT)
		return name_changed(a, q);
	if (r < 0)
		return give_back(a, q, r, "unlink file");
	if (fm__quarantine_end(q) < 0)
		a->removal->hideout = q->at; /* to be made durable, as the name is */
	return 0;
}

/* Moving back by a link stopped half way: the file has its name again, and the hidden one is a second. It can be
 * anybody's: the name is made durable before the second one goes. */
static int settle_second(const struct attempt *a, struct fm__quarantine *q)
{
	int r = fm__sys_fsync(a->target->dirfd);
	if (r >= 0)
		r = fm__quarantine_unlink(q);
	if (r < 0 && r != -ENOENT) {
		a->removal->hideout = q->at;
		fm__fail(a->reterr, r, "unlink file", "file");
		fm__quarantine_describe(q, a->reterr);
		fm__quarantine_end(q);
		return r;
	}
	return name_changed(a, q);
}

/* Where an earlier attempt had to leave it. */
static int settle_left(const struct attempt *a)
{
	struct fm__quarantine q;
	const struct fm__hideout at = a->removal->hideout;
	struct stat named;
	int r;

	a->removal->hideout.kind = FM_HIDEOUT_NONE;
	r = fm__quarantine_find(&q, a->target->dirfd, a->target->name, &at);
	if (r == -ENOENT)
		return FM_NAME_CHANGED;
	if (r < 0) {
		a->removal->hideout = at;
		fm__fail(a->reterr, r, "find hidden file", "file");
		fm__quarantine_describe(&q, a->reterr);
		return r;
	}
	r = fm__sys_fstatat(a->target->dirfd, a->target->name, &named, AT_SYMLINK_NOFOLLOW);
	if (r >= 0 && fm__quarantine_holds(&q, &named) == 1)
		return settle_second(a, &q);
	return settle(a, &q);
}

/* 0, FM_NAME_CHANGED, FM_QUARANTINE_IMPOSSIBLE or an error. */
static int hide_and_settle(const struct attempt *a, enum fm__hideout_kind kind)
{
	struct fm__quarantine q;
	int r = fm__quarantine_take(&q, a->target->dirfd, a->target->name, kind);
	if (r == FM_QUARANTINE_IMPOSSIBLE)
		return r;
	if (r == -ENOENT)
		return FM_NAME_CHANGED;
	if (r >= 0)
		return settle(a, &q);
	a->removal->hideout = q.at; /* servers and broken disks can do what they say they could not */
	return fm__fail(a->reterr, r, "hide file", "file");
}

static int unlink_weakly(const struct attempt *a)
{
	int r = look(a);
	if (r < 0)
		return r;
	r = fm__sys_unlinkat(a->target->dirfd, a->target->name, 0);
	if (r == -ENOENT)
		return FM_NAME_CHANGED;
	if (r < 0)
		return fm__fail(a->reterr, r, "unlink file", "file");
	a->removal->notices |= FILEMAP_WEAKLY_CHECKED;
	return 0;
}

static int unlink_alone(const struct attempt *a)
{
	int r = hide_and_settle(a, FM_HIDEOUT_NAME);
	if (r == FM_QUARANTINE_IMPOSSIBLE)
		r = hide_and_settle(a, FM_HIDEOUT_DIRECTORY);
	return r == FM_QUARANTINE_IMPOSSIBLE ? unlink_weakly(a) : r;
}

/* Another name in their sight is better than nothing, but not what was promised. */
static int unlink_among_others(const struct attempt *a)
{
	int r = hide_and_settle(a, FM_HIDEOUT_DIRECTORY);
	if (r != FM_QUARANTINE_IMPOSSIBLE)
		return r;
	r = hide_and_settle(a, FM_HIDEOUT_NAME);
	if (r == FM_QUARANTINE_IMPOSSIBLE)
		return unlink_weakly(a);
	a->removal->notices |= FILEMAP_WEAKLY_CHECKED; /* also for what a later call finishes */
	return r;
}

static int try_round(const struct attempt *a)
{
	int r, shared;

	if (a->removal->hideout.kind != FM_HIDEOUT_NONE)
		return settle_left(a);
	r = look(a);
	if (r < 0)
		return r;
	shared = fm__directory_is_shared(a->target->dirfd, &a->file);
	if (shared < 0)
		return fm__fail(a->reterr, shared, "identify parent directory", "parent directory");
	return shared ? unlink_among_others(a) : unlink_alone(a);
}

static int unlink_name(const struct attempt *a)
{
	for (int round = 0; round < FM_NAME_ROUNDS; round++) {
		int r = try_round(a);
		if (r != FM_NAME_CHANGED)
			return r;
	}
	fm__fail(a->reterr, -EBUSY, "hide file", "file");
	fm__fail_hint(a->reterr, "somebody moves the file again and again");
	return -EBUSY;
}

/* A directory of our own that could neither be removed nor synced. */
static int clear_hideout(struct fm__removal *removal, const struct fm__target *target)
{
	struct fm__quarantine q;
	int r;

	if (removal->hideout.kind == FM_HIDEOUT_NONE)
		return 0;
	r = fm__quarantine_find(&q, target->dirfd, target->name, &removal->hideout);
	if (r >= 0)
		r = fm__quarantine_end(&q);
	if (r < 0 && r != -ENOENT)
		return r;
	removal->hideout.kind = FM_HIDEOUT_NONE;
	return 0;
}

static int fail_unsynced(struct filemap_error *reterr, int r, const char *step)
{
	fm__fail_errno(reterr, FILEMAP_EUNSYNCED, -r, step, "parent directory");
	fm__fail_hint(reterr, "the name is gone, but a crash may bring it back");
	return FILEMAP_EUNSYNCED;
}

static int unlink_first(struct fm__removal *removal, const struct fm__target *target,
			struct filemap_error *reterr)
{
	struct attempt a = {.removal = removal, .target = target, .reterr = reterr};
	int r = fm__sys_fstat(target->fd, &a.file);
	r = r < 0 ? fm__fail(reterr, r, "identify file", "file") : unlink_name(&a);
	if (r != FILEMAP_EMODE)
		removal->state = r < 0 ? FILEMAP_STATE_NEEDS_UNLINK : FILEMAP_STATE_NEEDS_PARENT_SYNC;
	return r;
}

static void undo(const struct fm__target *target, struct filemap_error *reterr)
{
	struct fm__removal removal = {.state = 0};
	struct filemap_error error = {.code = 0};

	if (unlink_first(&removal, target, &error) >= 0 || error.detail[0] == '\0')
		return;
	fm__fail_detail(reterr, error.detail);
	fm__fail_hint(reterr, error.hint);
}

/* A foreign file that is put back needs a directory that can be synced; where it cannot be read it goes without. */
void fm__removal_undo_creation(int dirfd, const char *name, int fd, struct filemap_error *reterr)
{
	int directory = fm__sys_openat(dirfd, ".", O_RDONLY | O_DIRECTORY, 0);
	const struct fm__target target = {.dirfd = directory < 0 ? dirfd : directory, .name = name, .fd = fd};

	undo(&target, reterr);
	if (directory >= 0)
		fm__sys_close(directory);
}

int fm__removal_sync_begin(struct fm__removal *removal, const struct fm__target *target,
			   struct filemap_error *reterr)
{
	struct stat file;
	int r = fm__sys_fstat(target->fd, &file);
	if (r < 0)
		return fail_unsynced(reterr, r, "count links");
	r = clear_hideout(removal, target);
	if (r < 0)
		return fail_unsynced(reterr, r, "sync hidden directory");
	removal->is_linked = file.st_nlink > 0;
	return 0;
}

int fm__removal_sync_end(struct fm__removal *removal, int synced, struct filemap_error *reterr)
{
	if (synced < 0)
		return fail_unsynced(reterr, synced, "sync parent directory");
	if (removal->is_linked)
		removal->notices |= FILEMAP_STILL_LINKED;
	removal->state = FILEMAP_STATE_REMOVED;
	return (int)removal->notices;
}

int fm__removal_unlink(struct fm__removal *removal, const struct fm__target *target,
		       struct filemap_error *reterr)
{
	int r = 0;

	if (removal->state != FILEMAP_STATE_NEEDS_PARENT_SYNC)
		r = unlink_first(removal, target, reterr);
	return r < 0 ? r : 0;
}

int fm__removal_run(struct fm__removal *removal, const struct fm__target *target,
		    struct filemap_error *reterr)
{
	int r = fm__removal_unlink(removal, target, reterr);
	if (r < 0)
		return r;
	r = fm__removal_sync_begin(removal, target, reterr);
	if (r < 0)
		return r;
	return fm__removal_sync_end(removal, fm__sys_fsync(target->dirfd), reterr);
}
