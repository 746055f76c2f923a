/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * locate: opens files by name, tied to the directory they were found in.
 *
 * Invariant: what fm__locate_lock() returns is a regular file that is locked and that the name named
 * after the lock was granted. Type first, lock second, name third; only then is the file looked at.
 */
#include "map/locate.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/error.h"
#include "base/util.h"
#include "map/name.h"
#include "map/parent.h"
#include "sys/sys.h"

const char *fm__locate_name(const struct fm__origin *origin)
{
	const char *slash = strrchr(origin->path, '/');
	return slash && origin->parent_fd >= 0 ? slash + 1 : origin->path;
}

static int base_dir(const struct fm__origin *origin, const struct fm__plan *plan)
{
	return origin->parent_fd >= 0 ? origin->parent_fd : plan->dirfd;
}

/* A directory that may only be searched is good for everything but syncing it. */
static int open_parent(struct fm__origin *origin, int dirfd)
{
	const char *unused;
	int r = fm__parent_open(dirfd, origin->path, O_RDONLY, &unused);
	if (r == -EACCES) {
		r = fm__parent_open(dirfd, origin->path, O_PATH, &unused);
		origin->parent_is_path = r >= 0;
	}
	if (r < 0)
		return r;
	origin->parent_fd = r;
	return 0;
}

int fm__locate_pin(struct fm__origin *origin, const struct fm__plan *plan, struct filemap_error *reterr)
{
	int r;
	if (plan->mode != FILEMAP_WRITE && !(plan->flags & FILEMAP_PIN_PARENT))
		return 0;
	r = open_parent(origin, plan->dirfd);
	if (r < 0)
		return fm__fail(reterr, r, "open parent directory", "parent directory");
	if (*fm__locate_name(origin) == '\0')
		return fm__fail(reterr, -EISDIR, "open file", "file");
	return 0;
}

static int follow_flag(const struct fm__plan *plan)
{
	return plan->flags & FILEMAP_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0;
}

static int refuse_type(int r, struct filemap_error *reterr)
{
	fm__fail(reterr, r, "check file type", "file");
	fm__fail_hint(reterr, r == -ELOOP ? "the flag NOFOLLOW refuses symbolic links"
					  : "only regular files can be mapped");
	return r;
}

int fm__locate_check_type(const struct stat *status, struct filemap_error *reterr)
{
	if (S_ISREG(status->st_mode))
		return 0;
	if (S_ISDIR(status->st_mode))
		return refuse_type(-EISDIR, reterr);
	return refuse_type(S_ISLNK(status->st_mode) ? -ELOOP : -ENODEV, reterr);
}

/* What a new file cannot satisfy is refused while there is none yet. */
static int check_creation(const struct fm__origin *origin, const struct fm__plan *plan,
			  struct filemap_error *reterr)
{
	if (fm__window_check(&plan->window, plan->size) < 0)
		return fm__fail(reterr, FILEMAP_ERANGE, "plan window", "size");
	if (!origin->parent_is_path || (plan->flags & FILEMAP_NO_DURABLE_NAME))
		return 0;
	fm__fail(reterr, -EACCES, "open parent directory", "parent directory");
	fm__fail_hint(reterr, "a name is made durable through its directory, which may not be read");
	return -EACCES;
}

static int create_file(struct fm__origin *origin, const struct fm__plan *plan, struct fm__found *found,
		       struct filemap_error *reterr)
{
	int flags = O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK | O_NOCTTY;
	int r = check_creation(origin, plan, reterr);
	if (r < 0)
		return r;
	r = fm__sys_openat(origin->parent_fd, fm__locate_name(origin), flags, plan->permissions);
	if (r == -EEXIST && (plan->flags & FILEMAP_CREATE))
		return fm__name_explain_exists(origin->parent_fd, fm__locate_name(origin), reterr);
	if (r < 0)
		return fm__fail(reterr, r, "create file", "file");
	origin->backing->fd = r;
	found->created = 1;
	return 0;
}

static int open_flags(const struct fm__plan *plan)
{
	int flags = plan->mode == FILEMAP_WRITE ? O_RDWR : O_RDONLY;
	if (plan->flags & FILEMAP_NOFOLLOW)
		flags |= O_NOFOLLOW;
	return flags | O_NONBLOCK | O_NOCTTY;
}

static int open_existing(struct fm__origin *origin, const struct fm__plan *plan, struct filemap_error *reterr)
{
	int r = fm__sys_openat(base_dir(origin, plan), fm__locate_name(origin), open_flags(plan), 0);
	if (r == -ENOENT)
		return FM_NAME_CHANGED;
	if (r < 0)
		return fm__fail(reterr, r, "open file", "file");
	origin->backing->fd = r;
	return 0;
}

/* Opening a FIFO or a device can have effects: the type is asked for before, and again after. */
static int open_by_name(struct fm__origin *origin, const struct fm__plan *plan, struct fm__found *found,
			struct filemap_error *reterr)
{
	int r;

	if (plan->flags & FILEMAP_CREATE_NEW)
		return create_file(origin, plan, found, reterr);
	r = fm__sys_fstatat(base_dir(origin, plan), fm__locate_name(origin), &found->status,
			    follow_flag(plan));
	if (r == -ENOENT && (plan->flags & FILEMAP_CREATE))
		return create_file(origin, plan, found, reterr);
	if (r < 0)
		return fm__fail(reterr, r, "look up file", "file");
	r = fm__locate_check_type(&found->status, reterr);
	if (r < 0)
		return r;
	return open_existing(origin, plan, reterr);
}

static int identify(struct fm__origin *origin, struct fm__found *found, struct filemap_error *reterr)
{
	int r = fm__sys_fstat(origin->backing->fd, &found->status);
	if (r < 0)
		return fm__fail(reterr, r, "identify file", "file");
	return fm__locate_check_type(&found->status, reterr);
}

/* What the name tells of the file is what is true under the lock: its size, too. */
static int check_name(const struct fm__origin *origin, const struct fm__plan *plan, struct fm__found *found,
		      struct filemap_error *reterr)
{
	struct stat named;
	int r = fm__name_means(base_dir(origin, plan), fm__locate_name(origin), &found->status,
			       follow_flag(plan), &named);
	if (r < 0)
		return fm__fail(reterr, r, "check name after locking", "file");
	found->status = named;
	return r ? 0 : FM_NAME_CHANGED;
}

void fm__locate_remove_own(const struct fm__origin *origin, const struct fm__found *found,
			   struct filemap_error *reterr)
{
	if (found->created)
		fm__removal_undo_creation(origin->parent_fd, fm__locate_name(origin), origin->backing->fd,
					  reterr);
}

static int lock_and_check(struct fm__origin *origin, const struct fm__plan *plan, struct fm__found *found,
			  struct filemap_error *reterr)
{
	const struct stat *status = &found->status;
	int r = fm__lock_take(&origin->lock, origin->backing->fd, status->st_dev, status->st_ino, plan,
			      reterr);
	/* Who holds the lock of our new file has found it, and may rely on it. */
	if (r == FILEMAP_ELOCKED || r == -EINTR)
		found->created = 0;
	return r < 0 ? r : check_name(origin, plan, found, reterr);
}

/* One round: 0, FM_NAME_CHANGED or an error; nothing is kept unless 0. */
static int try_round(struct fm__origin *origin, const struct fm__plan *plan, struct fm__found *found,
		     struct filemap_error *reterr)
{
	int r;

	found->created = 0;
	r = open_by_name(origin, plan, found, reterr);
	if (r != 0)
		return r;
	r = identify(origin, found, reterr);
	if (r == 0)
		r = lock_and_check(origin, plan, found, reterr);
	if (r == 0)
		return 0;
	if (r < 0)
		fm__locate_remove_own(origin, found, reterr);
	fm__lock_give(&origin->lock, origin->backing->fd);
	fm__sys_close(fm__take_fd(&origin->backing->fd));
	return r;
}

int fm__locate_lock(struct fm__origin *origin, const struct fm__plan *plan, struct fm__found *ret,
		    struct filemap_error *reterr)
{
	for (int round = 0; round < FM_NAME_ROUNDS; round++) {
		int r = try_round(origin, plan, ret, reterr);
		if (r != FM_NAME_CHANGED)
			return r;
	}
	fm__fail(reterr, FILEMAP_EREPLACED, "check name after locking", "file");
	fm__fail_hint(reterr, "somebody replaces the file again and again");
	return FILEMAP_EREPLACED;
}

/* No name is checked: the caller vouches for the descriptor, not for what it is called. */
int fm__locate_again(struct fm__origin *origin, int fd, const struct fm__plan *plan, struct fm__found *ret,
		     struct filemap_error *reterr)
{
	struct stat asked;
	int r = fm__sys_fstat(fd, &asked);
	if (r < 0)
		return fm__fail(reterr, r, "identify file", "file");
	r = fm__locate_check_type(&asked, reterr);
	if (r < 0)
		return r;
	r = fm__sys_reopen(fd, open_flags(plan));
	if (r < 0)
		return fm__fail(reterr, r, "open file", "file");
	origin->backing->fd = r;
	ret->created = 0;
	r = identify(origin, ret, reterr);
	if (r < 0)
		return r;
	if (!fm__is_same_file(&ret->status, &asked))
		return fm__fail(reterr, FILEMAP_EREPLACED, "open file", "file");
	r = fm__lock_take(&origin->lock, origin->backing->fd, asked.st_dev, asked.st_ino, plan, reterr);
	return r < 0 ? r : identify(origin, ret, reterr); /* once more: its size under the lock */
}
