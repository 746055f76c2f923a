/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * parent: directories of names. Owns nothing.
 *
 * Invariant: the path is taken apart as text, once; whoever works with the descriptor and the name means one
 * directory throughout, whatever happens to the path meanwhile.
 */
#include "map/parent.h"

#include <errno.h>
#include <string.h>

#include "base/options.h"
#include "sys/sys.h"

static int open_directory_of(int dirfd, const char *path, const char *slash, int access)
{
	char *directory = fm__strdup(path);
	int r;

	if (!directory)
		return -ENOMEM;
	directory[slash - path + (slash == path)] = '\0';
	r = fm__sys_openat(dirfd, directory, access | O_DIRECTORY, 0);
	fm__free(directory);
	return r;
}

int fm__parent_check(int dirfd, const char *path, struct filemap_error *reterr)
{
	if (!path || !*path)
		return fm__options_refuse(reterr, "path", "a name is needed");
	if (dirfd < 0 && dirfd != AT_FDCWD)
		return fm__options_refuse(reterr, "dirfd", "a descriptor, or AT_FDCWD");
	return 0;
}

int fm__parent_open(int dirfd, const char *path, int access, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	int r = slash ? open_directory_of(dirfd, path, slash, access)
		      : fm__sys_openat(dirfd, ".", access | O_DIRECTORY, 0);
	if (r >= 0)
		*ret_name = slash ? slash + 1 : path;
	return r;
}
