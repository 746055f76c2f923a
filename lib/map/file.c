/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * file: regular files opened without being mapped, and names made durable.
 *
 * Invariant: the type is asked for before opening, because opening a FIFO or a device can have effects, and
 * again after it; only then is a file emptied. A file that was made is removed again if anything fails.
 *
 * Descriptors are opened with O_NONBLOCK, so that a FIFO that slipped in does not hold us up, and lose it
 * again: regular files ignore it in read(2), but not everywhere (io_uring, leases).
 */
#include <filemap/file.h>

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "base/util.h"
#include "map/locate.h"
#include "map/name.h"
#include "map/parent.h"
#include "map/removal.h"
#include "sys/sys.h"

#define HOW_CREATE (FILEMAP_FILE_CREATE | FILEMAP_FILE_CREATE_NEW)
#define HOW_WITH_WRITE (FILEMAP_FILE_APPEND | HOW_CREATE | FILEMAP_FILE_TRUNCATE | FILEMAP_FILE_DURABLE)
#define HOW_KNOWN (FILEMAP_FILE_READ | FILEMAP_FILE_WRITE | HOW_WITH_WRITE)

struct opening {
	unsigned how, permissions;
	int dirfd;        /* where `name` starts; a directory of our own if a file may be made */
	const char *name; /* borrowed */
	int fd;
	bool created; /* by this call */
};

static int check_how(unsigned how, struct filemap_error *reterr)
{
	if (how & ~HOW_KNOWN)
		return fm__options_refuse(reterr, "how", "a bit that this version does not know is set");
	if (!(how & (FILEMAP_FILE_READ | FILEMAP_FILE_WRITE)))
		return fm__options_refuse(reterr, "how", "READ or WRITE is needed");
	if (!(how & FILEMAP_FILE_WRITE) && (how & HOW_WITH_WRITE))
		return fm__options_refuse(reterr, "how", "all but READ need WRITE");
	if (!(how & FILEMAP_FILE_CREATE_NEW))
		return 0;
	if (how & FILEMAP_FILE_CREATE)
		return fm__options_refuse(reterr, "how", "choose one of CREATE and CREATE_NEW");
	if (how & FILEMAP_FILE_TRUNCATE)
		return fm__options_refuse(reterr, "how", "a file made by CREATE_NEW is empty already");
	return 0;
}

static int check_arguments(const char *path, unsigned how, unsigned permissions, const int *ret_fd,
			   struct filemap_error *reterr)
{
	if (!path || !*path)
		return fm__options_refuse(reterr, "path", "a name is needed");
	if (permissions & ~07777u)
		return fm__options_refuse(reterr, "permissions", "only the bits 07777 may be set");
	if (permissions != 0 && !(how & HOW_CREATE))
		return fm__options_refuse(reterr, "permissions", "only CREATE and CREATE_NEW use them");
	if (!ret_fd)
		return fm__options_refuse(reterr, "ret_fd", NULL);
	return check_how(how, reterr);
}

/* A file that may be made is made, removed and synced in one and the same directory. */
static int start(struct opening *o, const char *path, struct filemap_error *reterr)
{
	int r;

	o->dirfd = AT_FDCWD;
	o->name = path;
	if (!(o->how & HOW_CREATE))
		return 0;
	r = fm__parent_open(AT_FDCWD, path, o->how & FILEMAP_FILE_DURABLE ? O_RDONLY : O_PATH, &o->name);
	if (r < 0)
		return fm__fail(reterr, r, "open parent directory", "parent directory");
	o->dirfd = r;
	return *o->name ? 0 : fm__fail(reterr, -EISDIR, "open file", "file");
}

static int open_flags(unsigned how)
{
	int flags = O_NOCTTY | (how & FILEMAP_FILE_APPEND ? O_APPEND : 0);
	if (!(how & FILEMAP_FILE_WRITE))
		return flags | O_RDONLY;
	return flags | (how & FILEMAP_FILE_READ ? O_RDWR : O_WRONLY);
}

static int create_new(struct opening *o, struct filemap_error *reterr)
{
	int r = fm__sys_openat(o->dirfd, o->name, open_flags(o->how) | O_CREAT | O_EXCL, o->permissions);
	if (r == -EEXIST && (o->how & FILEMAP_FILE_CREATE))
		return fm__name_explain_exists(o->dirfd, o->name, reterr);
	if (r < 0)
		return fm__fail(reterr, r, "create file", "file");
	o->fd = r;
	o->created = true;
	return 0;
}

static int check_type(const struct stat *status, struct filemap_error *reterr)
{
	int r = fm__locate_check_type(status, reterr);
	if (r < 0)
		fm__fail_hint(reterr, "only regular files are opened");
	return r;
}

/* The descriptor stays with `o` also after a failure. */
static int open_existing(struct opening *o, struct filemap_error *reterr)
{
	struct stat status;
	int r = fm__sys_openat(o->dirfd, o->name, open_flags(o->how) | O_NONBLOCK, 0);
	if (r == -ENOENT && (o->how & FILEMAP_FILE_CREATE))
		return FM_NAME_CHANGED;
	if (r < 0)
		return fm__fail(reterr, r, "open file", "file");
	o->fd = r;
	r = fm__sys_fstat(o->fd, &status);
	if (r < 0)
		return fm__fail(reterr, r, "identify file", "file");
	r = check_type(&status, reterr);
	if (r < 0)
		return r;
	r = fm__sys_set_blocking(o->fd);
	return r < 0 ? fm__fail(reterr, r, "open file", "file") : 0;
}

static int try_round(struct opening *o, struct filemap_error *reterr)
{
	struct stat status;
	int r;

	if (o->how & FILEMAP_FILE_CREATE_NEW)
		return create_new(o, reterr);
	r = fm__sys_fstatat(o->dirfd, o->name, &status, 0);
	if (r == -ENOENT && (o->how & FILEMAP_FILE_CREATE))
		return create_new(o, reterr);
	if (r < 0)
		return fm__fail(reterr, r, "look up file", "file");
	r = check_type(&status, reterr);
	return r < 0 ? r : open_existing(o, reterr);
}

static int open_by_name(struct opening *o, struct filemap_error *reterr)
{
	for (int round = 0; round < FM_NAME_ROUNDS; round++) {
		int r = try_round(o, reterr);
		if (r != FM_NAME_CHANGED)
			return r;
	}
	fm__fail(reterr, FILEMAP_EREPLACED, "open file", "file");
	fm__fail_hint(reterr, "somebody makes and removes the file again and again");
	return FILEMAP_EREPLACED;
}

/* The file itself because of its link count, without which a file system that has no journal loses the name. */
static int make_name_durable(const struct opening *o, struct filemap_error *reterr)
{
	int r = fm__sys_fsync(o->fd);
	if (r < 0)
		return fm__fail(reterr, r, "sync file", "file");
	r = fm__sys_fsync(o->dirfd);
	return r < 0 ? fm__fail(reterr, r, "sync parent directory", "parent directory") : 0;
}

/* Nothing can fail after the file was emptied. */
static int finish(const struct opening *o, struct filemap_error *reterr)
{
	int r = 0;
	if (o->created && (o->how & FILEMAP_FILE_DURABLE))
		return make_name_durable(o, reterr);
	if (!o->created && (o->how & FILEMAP_FILE_TRUNCATE))
		r = fm__sys_ftruncate(o->fd, 0);
	return r < 0 ? fm__fail(reterr, r, "truncate", "file") : 0;
}

static int open_all(struct opening *o, const char *path, struct filemap_error *reterr)
{
	int r = start(o, path, reterr);
	if (r < 0)
		return r;
	r = open_by_name(o, reterr);
	if (r < 0)
		return r;
	r = finish(o, reterr);
	if (r < 0 && o->created)
		fm__removal_undo_creation(o->dirfd, o->name, o->fd, reterr);
	return r;
}

int filemap_file_open(const char *path, unsigned how, unsigned permissions, int *ret_fd,
		      struct filemap_error *reterr)
{
	struct opening o = {.how = how, .permissions = permissions ? permissions : 0666, .fd = -1};
	int r = check_arguments(path, how, permissions, ret_fd, reterr);

	if (r < 0)
		return r;
	r = open_all(&o, path, reterr);
	if (o.dirfd != AT_FDCWD)
		fm__sys_close(o.dirfd);
	if (r < 0) {
		fm__sys_close(o.fd);
		fm__fail_detail_if_none(reterr, path);
		return r;
	}
	*ret_fd = o.fd;
	return 0;
}

/* Takes the descriptor, or -errno in its place. */
static int sync_and_close(int fd, const char *path, const char *subject, struct filemap_error *reterr)
{
	const char *step = "open directory";
	int r = fd;

	if (fd >= 0) {
		step = "sync directory";
		r = fm__sys_fsync(fd);
		fm__sys_close(fd);
	}
	if (r >= 0)
		return 0;
	fm__fail(reterr, r, step, subject);
	fm__fail_detail(reterr, path);
	return r;
}

int filemap_sync_dir(const char *path, struct filemap_error *reterr)
{
	if (!path || !*path)
		return fm__options_refuse(reterr, "path", "a name is needed");
	return sync_and_close(fm__sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0), path, "directory",
			      reterr);
}

/* Bytes of a path without the slashes at its end; 0 if nothing is left. */
static size_t length_without_slashes(const char *path)
{
	size_t length = strlen(path);
	while (length > 0 && path[length - 1] == '/')
		length--;
	return length;
}

static int is_dot_or_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int sync_parent_of(const char *name_path, const char *path, struct filemap_error *reterr)
{
	const char *slash = strrchr(name_path, '/'), *name;
	if (*name_path == '\0' || is_dot_or_dots(slash ? slash + 1 : name_path))
		return fm__options_refuse(reterr, "path", "its last component must be a name");
	return sync_and_close(fm__parent_open(AT_FDCWD, name_path, O_RDONLY, &name), path, "parent directory",
			      reterr);
}

int filemap_sync_parent(const char *path, struct filemap_error *reterr)
{
	char *copy;
	int r;

	if (!path)
		return fm__options_refuse(reterr, "path", "a name is needed");
	copy = fm__strdup(path);
	if (!copy)
		return fm__fail(reterr, -ENOMEM, "allocate memory", "path");
	copy[length_without_slashes(path)] = '\0';
	r = sync_parent_of(copy, path, reterr);
	fm__free(copy);
	return r;
}
