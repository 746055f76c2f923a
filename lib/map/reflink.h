/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A second file that shares the blocks of the first one until either is written. */
#ifndef FM_MAP_REFLINK_H
#define FM_MAP_REFLINK_H

#include <filemap/map.h>

/* Clone an open file into one without a name, in the directory of the path. A descriptor that can only read. */
int fm__reflink(int fd, const char *path, struct filemap_error *reterr);

#endif
