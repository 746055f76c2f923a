/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The fields of an open file in the public form. */
#ifndef FM_MAP_STAT_H
#define FM_MAP_STAT_H

#include <filemap/map.h>

int fm__stat_fd(int fd, struct filemap_stat *ret);

#endif
