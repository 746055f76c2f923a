/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The directory of a log: its names, its descriptors, its one lock. Invariant: whoever holds the
 * write lock on byte 0 of the file that is named LOCK is the only writer; opening changes nothing.
 */
#include "log/dir.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/util.h"
#include "log/fork.h"
#include "sys/sys.h"

void fm__log_segment_name(uint64_t n, const char *suffix, char name[FM_LOG_NAME_SIZE])
{
	int length = snprintf(name, FM_LOG_NAME_SIZE, "%016llx.%s", (unsigned long long)n, suffix);

	assert(length > 0 && length < FM_LOG_NAME_SIZE);
	(void)length;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool fm__log_segment_parse(const char *name, const char *suffix, uint64_t *ret_n)
{
	uint64_t n = 0;

	for (int i = 0; i < 16; i++) {
		int digit = hex_digit(name[i]);

		if (digit < 0)
			return false;
		n = n << 4 | (unsigned)digit;
	}
	if (name[16] != '.' || strcmp(name + 17, suffix) != 0)
		return false;
	*ret_n = n;
	return true;
}

/* LOCK's descriptor gets into the struct and out of it while no fork can come between: see fork.c. */
int fm__log_dir_open_lock(struct fm__log_dir *dir, int flags, unsigned permissions)
{
	int fd;

	fm__log_fork_hold();
	fd = fm__sys_openat(dir->fd, "LOCK", flags, permissions);
	if (fd >= 0)
		dir->lock_fd = fd;
	fm__log_fork_release();
	return fd < 0 ? fd : 0;
}

static void close_lock(struct fm__log_dir *dir)
{
	fm__log_fork_hold();
	fm__sys_close(fm__take_fd(&dir->lock_fd));
	fm__log_fork_release();
}

void fm__log_dir_close(struct fm__log_dir *dir)
{
	close_lock(dir);
	fm__sys_close(dir->meta_fd);
	fm__sys_close(dir->fd);
	fm__free(dir->path);
	*dir = FM_LOG_DIR_CLOSED;
}

static int sync_parent(const struct fm__log_dir *dir)
{
	int fd = fm__sys_openat(dir->fd, "..", O_RDONLY | O_DIRECTORY, 0);
	int r;

	if (fd < 0)
		return fd;
	r = fm__sys_fsync(fd);
	fm__sys_close(fd);
	return r;
}

int fm__log_dir_sync_names(const struct fm__log_dir *dir, struct filemap_error *reterr)
{
	const char *step = "sync directory", *subject = "log directory";
	int r = fm__sys_fsync(dir->fd);

	if (r >= 0) {
		step = "sync parent directory";
		subject = "parent directory";
		r = sync_parent(dir);
	}
	if (r >= 0)
		return 0;
	r = fm__fail(reterr, r, step, subject);
	fm__fail_detail(reterr, dir->path);
	return r;
}

int fm__log_dir_start(const char *path, struct fm__log_dir *ret, struct filemap_error *reterr)
{
	*ret = FM_LOG_DIR_CLOSED;
	ret->path = fm__strdup(path);
	if (!ret->path)
		return fm__fail(reterr, -ENOMEM, "allocate memory", "path");
	ret->fd = fm__sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
	if (ret->fd < 0) {
		int r = fm__fail(reterr, ret->fd, "open", "log directory");

		fm__fail_detail(reterr, path);
		fm__log_dir_close(ret);
		return r;
	}
	return 0;
}

static int open_lock(struct fm__log_dir *dir, int flags, struct filemap_error *reterr)
{
	int r = fm__log_dir_open_lock(dir, flags, 0);

	return r < 0 ? fm__fail(reterr, r, "open", "LOCK") : 0;
}

static int open_meta(struct fm__log_dir *dir, int flags, struct filemap_error *reterr)
{
	struct stat st;
	int r;

	dir->meta_fd = fm__sys_openat(dir->fd, "meta", flags, 0);
	if (dir->meta_fd < 0) {
		r = fm__fail(reterr, dir->meta_fd, "open", "meta");
		if (r == -ENOENT)
			fm__fail_hint(reterr, "not a log");
		return r;
	}
	r = fm__sys_fstat(dir->meta_fd, &st);
	if (r < 0)
		return fm__fail(reterr, r, "read file status", "meta");
	if (!S_ISREG(st.st_mode))
		return fm__fail(reterr, FILEMAP_ECORRUPT, "open", "meta");
	dir->permissions = st.st_mode & 0777;
	return 0;
}

int fm__log_dir_open(const char *path, unsigned access, struct fm__log_dir *dir, struct filemap_error *reterr)
{
	/* O_NONBLOCK: a FIFO in the place of a file must not hold us up */
	int flags = (access == FM_LOG_RW ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK;
	int r = fm__log_dir_start(path, dir, reterr);

	if (r < 0)
		return r;
	r = open_meta(dir, flags, reterr);
	if (r == 0)
		r = open_lock(dir, flags, reterr);
	if (r < 0) {
		fm__fail_detail(reterr, path);
		fm__log_dir_close(dir);
	}
	return r;
}

/* A lock on a file that lost its name would let a second writer in through the new one. */
static int check_lock_name(const struct fm__log_dir *dir, struct filemap_error *reterr)
{
	struct stat locked, named;
	int r = fm__sys_fstat(dir->lock_fd, &locked);

	if (r < 0)
		return fm__fail(reterr, r, "read file status", "LOCK");
	r = fm__sys_fstatat(dir->fd, "LOCK", &named, AT_SYMLINK_NOFOLLOW);
	if (r < 0 && r != -ENOENT)
		return fm__fail(reterr, r, "read file status", "LOCK");
	if (r == 0 && locked.st_dev == named.st_dev && locked.st_ino == named.st_ino)
		return 0;
	r = fm__fail(reterr, FILEMAP_EREPLACED, "check name after locking", "LOCK");
	fm__fail_hint(reterr, "LOCK was replaced or removed; it must stay");
	return r;
}

int fm__log_dir_lock(struct fm__log_dir *dir, struct filemap_error *reterr)
{
	int r = fm__sys_ofd_lock(dir->lock_fd, F_WRLCK, 0, 1);

	if (r == -EAGAIN || r == -EACCES) {
		r = fm__fail_errno(reterr, FILEMAP_ELOCKED, -r, "lock", "LOCK");
		fm__fail_hint(reterr, "another process writes this log");
	} else if (r < 0) {
		r = fm__fail(reterr, r, "lock", "LOCK");
	} else {
		r = check_lock_name(dir, reterr);
		if (r < 0)
			(void)fm__sys_ofd_lock(dir->lock_fd, F_UNLCK, 0, 1);
	}
	if (r < 0)
		fm__fail_detail(reterr, dir->path);
	return r;
}

int fm__log_dir_writer_lives(const struct fm__log_dir *dir)
{
	return fm__sys_ofd_test(dir->lock_fd, F_RDLCK, 0, 1);
}
