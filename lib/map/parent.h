/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* From a path to the directory that its last component is in. */
#ifndef FM_MAP_PARENT_H
#define FM_MAP_PARENT_H

#include <filemap/base.h>

/* FILEMAP_EOPTION: there is no name, or what it starts at can be no directory. */
int fm__parent_check(int dirfd, const char *path, struct filemap_error *reterr);

/*
 * Open what stands before the last slash of a path, or `dirfd`, where a relative path starts. Returns the
 * descriptor, which is the caller's, or -errno. *ret_name points into `path`: what stands behind that slash,
 * which can be "". `access` is O_RDONLY for a directory that is to be synced, or O_PATH where searching it is
 * enough.
 */
int fm__parent_open(int dirfd, const char *path, int access, const char **ret_name);

#endif
