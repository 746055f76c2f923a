/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * remove_file: removes the name of a file that is not mapped. Owns nothing beyond a call.
 *
 * Invariant: the directory and the file are open from the first look to the last: what is compared, removed and
 * synced is one file in one directory, whatever happens to their names.
 */
#include <filemap/file.h>

#include <errno.h>

#include "base/error.h"
#include "map/identity.h"
#include "map/parent.h"
#include "map/removal.h"
#include "sys/sys.h"

static int pin(struct fm__target *target, struct filemap_error *reterr)
{
	int r;

	if (!*target->name)
		return fm__fail(reterr, -EISDIR, "look up file", "file");
	r = fm__identity_pin(target->dirfd, target->name, reterr);
	if (r == -ELOOP) {
		fm__fail(reterr, FILEMAP_EMODE, "look up file", "symbolic link");
		fm__fail_hint(reterr, "symbolic links are not removed, nor what they lead to");
		return FILEMAP_EMODE;
	}
	target->fd = r;
	return r < 0 ? r : 0;
}

/* Of a file that is known its name is gone; of one that is not, there is no such file. */
static int pin_expected(struct fm__target *target, const struct filemap_identity *expected,
			struct filemap_error *reterr)
{
	int r = pin(target, reterr);
	if (r != -ENOENT || !expected)
		return r;
	return fm__fail_errno(reterr, FILEMAP_EGONE, ENOENT, "look up file", "file");
}

static int check_identity(int fd, const struct filemap_identity *expected, struct filemap_error *reterr)
{
	struct filemap_identity found;
	int r;

	if (!expected)
		return 0;
	r = fm__identity_of_fd(fd, &found);
	if (r < 0)
		return fm__fail(reterr, r, "identify file", "file");
	if (filemap_identity_equal(&found, expected))
		return 0;
	return fm__fail(reterr, FILEMAP_EREPLACED, "compare file", "file");
}

static int remove_from(struct fm__target *target, const struct filemap_identity *identity,
		       struct filemap_error *reterr)
{
	struct fm__removal removal = {.state = 0};
	int r = pin_expected(target, identity, reterr);
	if (r < 0)
		return r;
	r = check_identity(target->fd, identity, reterr);
	if (r >= 0)
		r = fm__removal_run(&removal, target, reterr);
	fm__sys_close(target->fd);
	return r;
}

static int remove_path(int dirfd, const char *path, const struct filemap_identity *identity,
		       struct filemap_error *reterr)
{
	struct fm__target target;
	int r = fm__parent_open(dirfd, path, O_RDONLY, &target.name);
	if (r < 0)
		return fm__fail(reterr, r, "open parent directory", "parent directory");
	target.dirfd = r;
	r = remove_from(&target, identity, reterr);
	fm__sys_close(target.dirfd);
	return r;
}

int filemap_remove_file(int dirfd, const char *path, const struct filemap_identity *identity,
			struct filemap_error *reterr)
{
	int r = fm__parent_check(dirfd, path, reterr);
	if (r < 0)
		return r;
	r = remove_path(dirfd, path, identity, reterr);
	if (r < 0)
		fm__fail_detail_if_none(reterr, path);
	return r;
}
