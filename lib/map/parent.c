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

#include "sys/sys.h"

int fm__parent_open(const char *path, int access, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	char *directory = fm__strdup(slash ? path : ".");
	int r;

	if (!directory)
		return -ENOMEM;
	if (slash)
		directory[slash - path + (slash == path)] = '\0';
	r = fm__sys_openat(AT_FDCWD, directory, access | O_DIRECTORY, 0);
	fm__free(directory);
	if (r >= 0)
		*ret_name = slash ? slash + 1 : path;
	return r;
}
