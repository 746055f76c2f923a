/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * name: looks at what a name means.
 *
 * Invariant: nothing is removed that was not seen, a moment before, to be the file that is open.
 */
#include "map/name.h"

#include <errno.h>
#include <fcntl.h>

#include "base/error.h"
#include "sys/sys.h"

bool fm__is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

int fm__name_means(int dirfd, const char *name, const struct stat *file, int flags, struct stat *ret)
{
	int r = fm__sys_fstatat(dirfd, name, ret, flags);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	return fm__is_same_file(ret, file);
}

/* The kernel says EEXIST for a symbolic link to nothing, too; CREATE does not go through it. */
int fm__name_explain_exists(int dirfd, const char *name, struct filemap_error *reterr)
{
	struct stat status;
	int r = fm__sys_fstatat(dirfd, name, &status, AT_SYMLINK_NOFOLLOW);
	if (r < 0 && r != -ENOENT)
		return fm__fail(reterr, r, "look up file", "file");
	if (r < 0 || !S_ISLNK(status.st_mode))
		return FM_NAME_CHANGED;
	if (fm__sys_fstatat(dirfd, name, &status, 0) >= 0)
		return FM_NAME_CHANGED;
	fm__fail(reterr, -ELOOP, "create file", "file");
	fm__fail_hint(reterr, "CREATE never creates through a symbolic link");
	return -ELOOP;
}

/* Asked for anew: that it could not be known may have been the failure. */
void fm__name_remove_own(int dirfd, const char *name, int fd)
{
	struct stat own, named;
	if (fm__sys_fstat(fd, &own) < 0)
		return;
	if (fm__name_means(dirfd, name, &own, AT_SYMLINK_NOFOLLOW, &named) == 1)
		fm__sys_unlinkat(dirfd, name, 0);
}
