/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * publish: a file without a name in the directory of the new one is filled, synced, named, and the directory
 * synced. Where there are no such files, or they cannot be named, a hidden one takes its place.
 *
 * Invariant: until its content is durable the file has no name, or one that nobody asked for; the name is
 * given in one step, which never overwrites. What can fail, and what it leaves:
 *   1. looking, making, filling, syncing, naming: nothing (a crash can leave a hidden file)
 *   2. syncing the directory: the complete file, whose name a crash may lose
 */
#include "map/publish.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/util.h"
#include "map/parent.h"
#include "sys/sys.h"

#define ATTEMPTS 8 /* at a random name that is not taken */
#define NAME_IN_HIDDEN \
	96 /* bytes of the name that a hidden one repeats: some file systems allow 143 in all */
#define HIDDEN_SIZE (NAME_IN_HIDDEN + 32)

struct new_file {
	int parent_fd;
	int fd;
	const char *name;         /* in the directory; within the caller's path */
	char hidden[HIDDEN_SIZE]; /* the name that it has now; "" = none */
};

/* What can be known before the content is written should not be found out after it. */
static int check_name(const struct new_file *file, struct filemap_error *reterr)
{
	struct stat status;
	int r;

	if (*file->name == '\0')
		return fm__fail(reterr, -EISDIR, "create file", "file");
	r = fm__sys_fstatat(file->parent_fd, file->name, &status, AT_SYMLINK_NOFOLLOW);
	if (r == -ENOENT)
		return 0;
	return fm__fail(reterr, r < 0 ? r : -EEXIST, r < 0 ? "look up file" : "create file", "file");
}

static int open_directory(struct new_file *file, const char *path, struct filemap_error *reterr)
{
	int r = fm__parent_open(AT_FDCWD, path, O_RDONLY, &file->name);
	if (r < 0)
		return fm__fail(reterr, r, "open parent directory", "parent directory");
	file->parent_fd = r;
	return check_name(file, reterr);
}

/* ".NAME.RANDOM.tmp"; a name that is cut is cut before a character of UTF-8. */
static int choose_hidden(struct new_file *file)
{
	size_t length = strnlen(file->name, NAME_IN_HIDDEN);
	uint64_t number;
	int r = fm__sys_random(&number, sizeof number);

	if (r < 0)
		return r;
	while (length > 0 && ((unsigned char)file->name[length] & 0xC0) == 0x80)
		length--;
	snprintf(file->hidden, sizeof file->hidden, ".%.*s.%016llx.tmp", (int)length, file->name,
		 (unsigned long long)number);
	return 0;
}

static int make_hidden(struct new_file *file, unsigned permissions)
{
	int r = -EEXIST;
	for (int i = 0; i < ATTEMPTS && r == -EEXIST; i++) {
		r = choose_hidden(file);
		if (r < 0)
			break;
		r = fm__sys_openat(file->parent_fd, file->hidden, O_RDWR | O_CREAT | O_EXCL, permissions);
	}
	if (r < 0) {
		file->hidden[0] = '\0';
		return r;
	}
	file->fd = r;
	return 0;
}

/* How kernels and file systems say that they have no files without names. */
static int has_no_unnamed(int r)
{
	return r == -EOPNOTSUPP || r == -EISDIR || r == -EINVAL || r == -ENOSYS;
}

static int make(struct new_file *file, unsigned permissions, struct filemap_error *reterr)
{
	int r = fm__sys_openat(file->parent_fd, ".", O_RDWR | O_TMPFILE, permissions);
	if (r >= 0)
		file->fd = r;
	else if (has_no_unnamed(r))
		r = make_hidden(file, permissions);
	return r < 0 ? fm__fail(reterr, r, "create file", "file") : 0;
}

static int fill_and_sync(const struct new_file *file, fm__fill_fn *fill, void *context,
			 struct filemap_error *reterr)
{
	int r = fill(file->fd, context, reterr);
	if (r < 0)
		return r;
	r = fm__sys_fsync(file->fd);
	return r < 0 ? fm__fail(reterr, r, "sync file", "file") : 0;
}

/* ENOENT: the kernel wants /proc for it, and there is none. The others: a file system without links, or a
 * security module that does not know what this is about. Where it is for good, a hidden file fails, too. */
static int cannot_be_named(const struct new_file *file, int r)
{
	return file->hidden[0] == '\0' &&
	       (r == -ENOENT || r == -EPERM || r == -EACCES || r == -EOPNOTSUPP || r == -ENOSYS);
}

static int give_name(struct new_file *file)
{
	int r;
	if (file->hidden[0] == '\0')
		return fm__sys_link_fd(file->fd, file->parent_fd, file->name);
	r = fm__sys_rename(file->parent_fd, file->hidden, file->name, false);
	if (r >= 0)
		file->hidden[0] = '\0';
	return r;
}

static int refill_hidden(struct new_file *file, unsigned permissions, fm__fill_fn *fill, void *context,
			 struct filemap_error *reterr)
{
	int r;

	fm__sys_close(fm__take_fd(&file->fd));
	r = make_hidden(file, permissions);
	if (r < 0)
		return fm__fail(reterr, r, "create file", "file");
	return fill_and_sync(file, fill, context, reterr);
}

static int make_complete(struct new_file *file, unsigned permissions, fm__fill_fn *fill, void *context,
			 struct filemap_error *reterr)
{
	int r = make(file, permissions, reterr);
	if (r < 0)
		return r;
	r = fill_and_sync(file, fill, context, reterr);
	if (r < 0)
		return r;
	r = give_name(file);
	if (cannot_be_named(file, r)) {
		r = refill_hidden(file, permissions, fill, context, reterr);
		if (r < 0)
			return r;
		r = give_name(file);
	}
	return r < 0 ? fm__fail(reterr, r, "name file", "file") : 0;
}

static int sync_directory(const struct new_file *file, struct filemap_error *reterr)
{
	int r = fm__sys_fsync(file->parent_fd);
	if (r >= 0)
		return 0;
	fm__fail(reterr, r, "sync parent directory", "parent directory");
	fm__fail_hint(reterr, "the file is complete and has its name, but a crash may lose it");
	return r;
}

int fm__publish(const char *path, unsigned permissions, fm__fill_fn *fill, void *context,
		struct filemap_error *reterr)
{
	struct new_file file = {.parent_fd = -1, .fd = -1};
	int r = open_directory(&file, path, reterr);

	if (r >= 0)
		r = make_complete(&file, permissions, fill, context, reterr);
	if (r >= 0)
		r = sync_directory(&file, reterr);
	if (file.hidden[0] != '\0')
		fm__sys_unlinkat(file.parent_fd, file.hidden, 0);
	fm__sys_close(file.fd);
	fm__sys_close(file.parent_fd);
	if (r < 0 && reterr && reterr->detail[0] == '\0')
		fm__fail_detail(reterr, path);
	return r;
}
