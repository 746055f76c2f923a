/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * reflink: clones of files, made by the file system in one step.
 *
 * Invariant: the clone never has a name, and cannot get one; what leaves this file cannot be written through.
 */
#include "map/reflink.h"

#include <errno.h>
#include <fcntl.h>

#include "base/error.h"
#include "map/parent.h"
#include "sys/sys.h"

#define PERMISSIONS 0400

static int make_unnamed(const char *path, struct filemap_error *reterr)
{
	const char *unused;
	int dirfd, r;

	dirfd = fm__parent_open(AT_FDCWD, path, O_PATH, &unused);
	if (dirfd < 0)
		return fm__fail(reterr, dirfd, "open parent directory", "parent directory");
	r = fm__sys_openat(dirfd, ".", O_RDWR | O_TMPFILE | O_EXCL, PERMISSIONS);
	fm__sys_close(dirfd);
	if (r >= 0)
		return r;
	if (r == -EISDIR || r == -EINVAL || r == -ENOSYS)
		r = -EOPNOTSUPP; /* as kernels and file systems say that they have no unnamed files */
	return fm__fail(reterr, r, "create clone", "file");
}

/* EINVAL: not these two files, as where one of them has no checksums; ENOTTY: no such call. */
static int clone_into(int to_fd, int from_fd, struct filemap_error *reterr)
{
	int r = fm__sys_clone(to_fd, from_fd);
	if (r >= 0)
		return 0;
	if (r == -EINVAL || r == -ENOTTY)
		r = -EOPNOTSUPP;
	fm__fail(reterr, r, "clone", "file");
	if (r == -EOPNOTSUPP)
		fm__fail_hint(reterr, "without REFLINK the file is copied into memory");
	return r;
}

int fm__reflink(int fd, const char *path, struct filemap_error *reterr)
{
	int writable_fd, r;

	writable_fd = make_unnamed(path, reterr);
	if (writable_fd < 0)
		return writable_fd;
	r = clone_into(writable_fd, fd, reterr);
	if (r >= 0) {
		r = fm__sys_reopen(writable_fd, O_RDONLY);
		if (r < 0)
			fm__fail(reterr, r, "open again", "file");
	}
	fm__sys_close(writable_fd);
	return r;
}
