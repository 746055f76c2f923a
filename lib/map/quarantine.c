/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * quarantine: moves what a name means to where it can be looked at, and back or out.
 *
 * Invariant: nothing is ever replaced, neither on the way there nor on the way back; what was moved is in the
 * quarantine until it was unlinked or moved back, and the quarantine can be found by its number.
 */
#include "map/quarantine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "base/error.h"
#include "base/util.h"
#include "map/name.h"
#include "sys/sys.h"

#define ATTEMPTS 8 /* at a random name that is not taken */

static int is_of_others(const struct stat *status)
{
	return status->st_uid != 0 && fm__sys_is_user(status->st_uid) != 1;
}

/* In a directory that is sticky they can rename only what is their own. */
int fm__directory_is_shared(int dirfd, const struct stat *file)
{
	struct stat dir;
	int r = fm__sys_fstat(dirfd, &dir);
	if (r < 0)
		return r;
	if (is_of_others(&dir))
		return true;
	if ((dir.st_mode & (S_IWGRP | S_IWOTH)) == 0)
		return false;
	return !(dir.st_mode & S_ISVTX) || is_of_others(file);
}

/* No room for one more name or directory, or no support for them. */
static int is_impossible(int r)
{
	switch (r) {
	case -EINVAL:
	case -ENOSYS:
	case -EOPNOTSUPP:
	case -ENOSPC:
	case -EDQUOT:
	case -EMLINK:
	case -ENAMETOOLONG:
	case -EXDEV:
	case -ENOKEY: /* an encrypted directory that is locked: names can go, but not come */
		return true;
	default:
		return false;
	}
}

static int answer(int r)
{
	return is_impossible(r) ? FM_QUARANTINE_IMPOSSIBLE : r;
}

static void begin(struct fm__quarantine *q, int parent_fd, const char *name, const struct fm__hideout *at)
{
	q->at = *at;
	q->parent_fd = parent_fd;
	q->name = name;
	q->fd = at->kind == FM_HIDEOUT_NAME ? parent_fd : -1;
	q->held = at->kind == FM_HIDEOUT_NAME ? q->hidden : name;
}

static int write_hidden(struct fm__quarantine *q)
{
	if (q->at.kind == FM_HIDEOUT_NAME)
		return fm__hidden_write(q->name, q->at.number, FM_HIDDEN_REMOVED, q->hidden);
	fm__hidden_write_cut(q->name, q->at.number, FM_HIDDEN_REMOVED_FROM, q->hidden);
	return 0;
}

/* It could be another one by now: only one that nobody else can enter will do. */
static int check_private(int fd)
{
	struct stat status;
	int r = fm__sys_fstat(fd, &status);
	if (r < 0)
		return r;
	return fm__sys_is_user(status.st_uid) == 1 && (status.st_mode & 077) == 0 ? 0 : -EEXIST;
}

static int enter(struct fm__quarantine *q)
{
	int r = fm__sys_openat(q->parent_fd, q->hidden, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (r < 0)
		return r;
	q->fd = r;
	r = check_private(q->fd);
	if (r < 0)
		fm__sys_close(fm__take_fd(&q->fd));
	return r;
}

static int make_directory(struct fm__quarantine *q)
{
	int r = fm__sys_mkdirat(q->parent_fd, q->hidden, 0700);
	if (r < 0)
		return r;
	r = enter(q);
	if (r < 0)
		fm__sys_unlinkat(q->parent_fd, q->hidden, AT_REMOVEDIR);
	return r == -EACCES ? -EEXIST : r; /* another one, or the umask took our permissions away */
}

/* The directory can be another one of this user's by now, moved there by somebody who may not enter it. */
static int check_room(const struct fm__quarantine *q)
{
	struct stat held;
	if (q->at.kind == FM_HIDEOUT_NAME)
		return 0;
	int r = fm__sys_fstatat(q->fd, q->held, &held, AT_SYMLINK_NOFOLLOW);
	return r == -ENOENT ? 0 : r < 0 ? r : -EEXIST;
}

/* Where the file system cannot refuse to replace, there is nothing to be replaced: nobody foresees the number, and
 * nobody else can enter a directory of our own. */
static int move_in(const struct fm__quarantine *q)
{
	int r = fm__sys_move(q->parent_fd, q->name, q->fd, q->held, FM_MOVE_NEW);
	if (r != -EINVAL && r != -ENOSYS)
		return r;
	r = check_room(q);
	return r < 0 ? r : fm__sys_move(q->parent_fd, q->name, q->fd, q->held, FM_MOVE_OVER);
}

/* -EEXIST: the number is taken. */
static int make_room(struct fm__quarantine *q)
{
	int r = fm__hidden_number(&q->at.number);
	if (r < 0)
		return r;
	r = write_hidden(q);
	if (r < 0)
		return r;
	return q->at.kind == FM_HIDEOUT_DIRECTORY ? make_directory(q) : 0;
}

static int take_once(struct fm__quarantine *q)
{
	int r = make_room(q);
	if (r < 0) {
		q->at.kind = FM_HIDEOUT_NONE;
		return r;
	}
	r = move_in(q);
	if (r < 0)
		fm__quarantine_end(q);
	return r;
}

int fm__quarantine_take(struct fm__quarantine *q, int parent_fd, const char *name, enum fm__hideout_kind kind)
{
	const struct fm__hideout at = {.kind = kind};
	int r = -EEXIST;

	for (int i = 0; i < ATTEMPTS && r == -EEXIST; i++) {
		begin(q, parent_fd, name, &at);
		r = take_once(q);
	}
	/* Some file systems give every directory the same owner and permissions: none is for us alone there. */
	return r == -EEXIST && kind == FM_HIDEOUT_DIRECTORY ? FM_QUARANTINE_IMPOSSIBLE : answer(r);
}

int fm__quarantine_find(struct fm__quarantine *q, int parent_fd, const char *name,
			const struct fm__hideout *at)
{
	begin(q, parent_fd, name, at);
	int r = write_hidden(q);
	if (r < 0 || at->kind == FM_HIDEOUT_NAME)
		return r;
	return enter(q);
}

void fm__quarantine_describe(const struct fm__quarantine *q, struct filemap_error *reterr)
{
	char place[FM_HIDDEN_SIZE + NAME_MAX + 1];

	if (q->at.kind == FM_HIDEOUT_DIRECTORY)
		snprintf(place, sizeof place, "%s/%.*s", q->hidden, NAME_MAX, q->name);
	else
		snprintf(place, sizeof place, "%s", q->hidden);
	fm__fail_detail(reterr, place);
}

int fm__quarantine_holds(const struct fm__quarantine *q, const struct stat *file)
{
	struct stat held;
	int r = fm__sys_fstatat(q->fd, q->held, &held, AT_SYMLINK_NOFOLLOW);
	if (r < 0)
		return r;
	return fm__is_same_file(&held, file);
}

int fm__quarantine_unlink(const struct fm__quarantine *q)
{
	return fm__sys_unlinkat(q->fd, q->held, 0);
}

/* A crash in between leaves both names, never none: the new one is durable before the old one goes. */
static int link_back(const struct fm__quarantine *q)
{
	int r = fm__sys_linkat(q->fd, q->held, q->parent_fd, q->name);
	if (r < 0)
		return r;
	r = fm__sys_fsync(q->parent_fd);
	if (r < 0)
		return r;
	r = fm__quarantine_unlink(q);
	return r == -ENOENT ? 0 : r;
}

int fm__quarantine_put_back(const struct fm__quarantine *q)
{
	int r = fm__sys_move(q->fd, q->held, q->parent_fd, q->name, FM_MOVE_NEW);
	return r == -EINVAL || r == -ENOSYS ? link_back(q) : r;
}

/* A directory that stays keeps what was unlinked in it, until it is synced itself. */
static int remove_directory(const struct fm__quarantine *q)
{
	int r = fm__sys_unlinkat(q->parent_fd, q->hidden, AT_REMOVEDIR);
	return r < 0 && r != -ENOENT ? fm__sys_fsync(q->fd) : 0;
}

int fm__quarantine_end(struct fm__quarantine *q)
{
	if (q->at.kind != FM_HIDEOUT_DIRECTORY || q->fd < 0)
		return 0;
	int r = remove_directory(q);
	fm__sys_close(fm__take_fd(&q->fd));
	return r;
}
