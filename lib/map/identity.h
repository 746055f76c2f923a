/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Which file a descriptor stands for, and a descriptor for no more than finding that out. */
#ifndef FM_MAP_IDENTITY_H
#define FM_MAP_IDENTITY_H

#include <filemap/map.h>

/* Of any descriptor, O_PATH too. -errno. */
int fm__identity_of_fd(int fd, struct filemap_identity *ret);

/*
 * Open what the name itself means with O_PATH: that has no effect on it and needs no permission of it, and keeps
 * its number from being given to another file. Returns the descriptor of a regular file, which is the caller's;
 * -EISDIR, -ENODEV; -ELOOP: a symbolic link.
 */
int fm__identity_pin(int dirfd, const char *path, struct filemap_error *reterr);

#endif
