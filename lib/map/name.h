/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A name in a directory, and whether it means a certain file: others may change that at any moment. */
#ifndef FM_MAP_NAME_H
#define FM_MAP_NAME_H

#include <stdbool.h>
#include <sys/stat.h>

#include <filemap/base.h>

#define FM_NAME_ROUNDS 8  /* how often a name that changes is looked at again */
#define FM_NAME_CHANGED 1 /* somebody replaced, removed or created it: look again */

bool fm__is_same_file(const struct stat *a, const struct stat *b);

/* 1 = the name means this file, 0 = it means another one or nothing, else -errno. *ret: what it means, if
 * anything. `flags` are those of fstatat(2). */
int fm__name_means(int dirfd, const char *name, const struct stat *file, int flags, struct stat *ret);

/* Creating answered that the name exists. FM_NAME_CHANGED, or why it cannot be opened either: -ELOOP. */
int fm__name_explain_exists(int dirfd, const char *name, struct filemap_error *reterr);

/* Remove a hidden name, which nobody else knows, of a file that is open; unless it means another one by now. A name
 * that others know goes by fm__removal_undo_creation(). */
void fm__name_remove_own(int dirfd, const char *name, int fd);

#endif
