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
#include "sys/sys.h"

#define ROUNDS 8
#define NAME_CHANGED 1 /* somebody replaced, removed or created it: look again */

static const char *base_name(const struct filemap *map)
{
	const char *slash = strrchr(map->path, '/');
	return slash && map->mode == FILEMAP_WRITE ? slash + 1 : map->path;
}

static int base_dir(const struct filemap *map)
{
	return map->parent_fd >= 0 ? map->parent_fd : AT_FDCWD;
}

static int open_parent(const char *path, int *ret_fd)
{
	const char *slash = strrchr(path, '/');
	char *directory = fm__strdup(slash ? path : ".");
	int r;

	if (!directory)
		return -ENOMEM;
	if (slash)
		directory[slash - path + (slash == path)] = '\0';
	r = fm__sys_openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY, 0);
	fm__free(directory);
	if (r < 0)
		return r;
	*ret_fd = r;
	return 0;
}

int fm__locate_pin(struct filemap *map, struct filemap_error *reterr)
{
	int r;
	if (map->mode != FILEMAP_WRITE)
		return 0;
	r = open_parent(map->path, &map->parent_fd);
	if (r < 0)
		return fm__fail(reterr, r, "open parent directory", "parent directory");
	if (*base_name(map) == '\0')
		return fm__fail(reterr, -EISDIR, "open file", "file");
	return 0;
}

static int follow_flag(const struct filemap *map)
{
	return map->flags & FILEMAP_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0;
}

static int check_type(const struct stat *status)
{
	if (S_ISREG(status->st_mode))
		return 0;
	if (S_ISDIR(status->st_mode))
		return -EISDIR;
	return S_ISLNK(status->st_mode) ? -ELOOP : -ENODEV;
}

static int refuse_type(int r, struct filemap_error *reterr)
{
	fm__fail(reterr, r, "check file type", "file");
	fm__fail_hint(reterr, r == -ELOOP ? "the flag NOFOLLOW refuses symbolic links"
					  : "only regular files can be mapped");
	return r;
}

/* The kernel says EEXIST for a symbolic link to nothing, too; CREATE does not go through it. */
static int explain_exists(const struct filemap *map, struct filemap_error *reterr)
{
	struct stat status;
	int r = fm__sys_fstatat(base_dir(map), base_name(map), &status, AT_SYMLINK_NOFOLLOW);
	if (r == -ENOENT)
		return NAME_CHANGED;
	if (r < 0)
		return fm__fail(reterr, r, "look up file", "file");
	if (!S_ISLNK(status.st_mode))
		return NAME_CHANGED;
	r = fm__sys_fstatat(base_dir(map), base_name(map), &status, 0);
	if (r >= 0)
		return NAME_CHANGED;
	fm__fail(reterr, -ELOOP, "create file", "file");
	fm__fail_hint(reterr, "CREATE never creates through a symbolic link");
	return -ELOOP;
}

/* A window that a new file cannot satisfy is refused while there is no file yet. */
static int create_file(struct filemap *map, const struct fm__plan *plan, struct fm__found *found,
		       struct filemap_error *reterr)
{
	int flags = O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK | O_NOCTTY;
	int r = fm__window_check(&plan->window, plan->size);
	if (r < 0)
		return fm__fail(reterr, r, "plan window", "size");
	r = fm__sys_openat(map->parent_fd, base_name(map), flags, plan->permissions);
	if (r == -EEXIST && (plan->flags & FILEMAP_CREATE))
		return explain_exists(map, reterr);
	if (r < 0)
		return fm__fail(reterr, r, "create file", "file");
	map->backing->fd = r;
	found->created = 1;
	return 0;
}

static int open_existing(struct filemap *map, const struct fm__plan *plan, struct filemap_error *reterr)
{
	int flags = map->mode == FILEMAP_WRITE ? O_RDWR : O_RDONLY;
	int r;

	if (plan->flags & FILEMAP_NOFOLLOW)
		flags |= O_NOFOLLOW;
	r = fm__sys_openat(base_dir(map), base_name(map), flags | O_NONBLOCK | O_NOCTTY, 0);
	if (r == -ENOENT)
		return NAME_CHANGED;
	if (r < 0)
		return fm__fail(reterr, r, "open file", "file");
	map->backing->fd = r;
	return 0;
}

/* Opening a FIFO or a device can have effects: the type is asked for before, and again after. */
static int open_by_name(struct filemap *map, const struct fm__plan *plan, struct fm__found *found,
			struct filemap_error *reterr)
{
	int r;

	if (plan->flags & FILEMAP_CREATE_NEW)
		return create_file(map, plan, found, reterr);
	r = fm__sys_fstatat(base_dir(map), base_name(map), &found->status, follow_flag(map));
	if (r == -ENOENT && (plan->flags & FILEMAP_CREATE))
		return create_file(map, plan, found, reterr);
	if (r < 0)
		return fm__fail(reterr, r, "look up file", "file");
	r = check_type(&found->status);
	if (r < 0)
		return refuse_type(r, reterr);
	return open_existing(map, plan, reterr);
}

static int identify(struct filemap *map, struct fm__found *found, struct filemap_error *reterr)
{
	int r = fm__sys_fstat(map->backing->fd, &found->status);
	if (r < 0)
		return fm__fail(reterr, r, "identify file", "file");
	r = check_type(&found->status);
	return r < 0 ? refuse_type(r, reterr) : 0;
}

/* 1 = this name means this file, 0 = it means another one or nothing. */
static int names_it(const struct filemap *map, const struct stat *status, int flags)
{
	struct stat named;
	int r = fm__sys_fstatat(base_dir(map), base_name(map), &named, flags);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	return named.st_dev == status->st_dev && named.st_ino == status->st_ino;
}

static int check_name(struct filemap *map, const struct fm__found *found, struct filemap_error *reterr)
{
	int r = names_it(map, &found->status, follow_flag(map));
	if (r < 0)
		return fm__fail(reterr, r, "check name after locking", "file");
	return r ? 0 : NAME_CHANGED;
}

void fm__locate_remove_own(const struct filemap *map, const struct fm__found *found)
{
	struct stat own; /* asked for anew: the failure may have been that it could not be known */
	if (!found->created || fm__sys_fstat(map->backing->fd, &own) < 0)
		return;
	if (names_it(map, &own, AT_SYMLINK_NOFOLLOW) == 1)
		fm__sys_unlinkat(map->parent_fd, base_name(map), 0);
}

static int lock_and_check(struct filemap *map, const struct fm__plan *plan, struct fm__found *found,
			  struct filemap_error *reterr)
{
	const struct stat *status = &found->status;
	int r = fm__lock_take(&map->lock, map->backing->fd, status->st_dev, status->st_ino, plan, reterr);
	/* Who holds the lock of our new file has found it, and may rely on it. */
	if (r == FILEMAP_ELOCKED || r == -EINTR)
		found->created = 0;
	return r < 0 ? r : check_name(map, found, reterr);
}

/* One round: 0, NAME_CHANGED or an error; nothing is kept unless 0. */
static int try_round(struct filemap *map, const struct fm__plan *plan, struct fm__found *found,
		     struct filemap_error *reterr)
{
	int r;

	found->created = 0;
	r = open_by_name(map, plan, found, reterr);
	if (r != 0)
		return r;
	r = identify(map, found, reterr);
	if (r == 0)
		r = lock_and_check(map, plan, found, reterr);
	if (r == 0)
		return 0;
	if (r < 0)
		fm__locate_remove_own(map, found);
	fm__lock_give(&map->lock, map->backing->fd);
	fm__sys_close(fm__take_fd(&map->backing->fd));
	return r;
}

int fm__locate_lock(struct filemap *map, const struct fm__plan *plan, struct fm__found *ret,
		    struct filemap_error *reterr)
{
	for (int round = 0; round < ROUNDS; round++) {
		int r = try_round(map, plan, ret, reterr);
		if (r != NAME_CHANGED)
			return r;
	}
	fm__fail(reterr, FILEMAP_EREPLACED, "check name after locking", "file");
	fm__fail_hint(reterr, "somebody replaces the file again and again");
	return FILEMAP_EREPLACED;
}
