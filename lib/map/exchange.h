/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* How a new file takes the place of a certain file, and of no other one. */
#ifndef FM_MAP_EXCHANGE_H
#define FM_MAP_EXCHANGE_H

#include "map/new_file.h"

/*
 * Give a file that is complete and hidden the name that `file->old` has. That one is open, so that its number
 * stays its own. 0, or FILEMAP_WEAKLY_CHECKED: done, the old one has lost the name, nothing is synced yet.
 * FILEMAP_EGONE, FILEMAP_EREPLACED, -errno: the name means what it meant; where that failed, too, hint and
 * detail say so. A foreign file is never unlinked: if one has to stay hidden, the detail is its name.
 */
int fm__exchange(struct fm__new_file *file, struct filemap_error *reterr);

#endif
