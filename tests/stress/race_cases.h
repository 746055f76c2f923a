/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the tests of racing removal on each file system share. */
#ifndef STRESS_RACE_CASES_H
#define STRESS_RACE_CASES_H

#include "t.h"

#define RACE_SKIPPED 77

/* Whether racers can do their work on the file system of an empty directory. */
bool race_is_possible(const char *path);

/* Below a directory. They fail the case, or return 0. */
int race_safely(const char *path);
int race_plainly(const char *path);

/* For this process, which is a child with mounts of its own from then on. -1: not permitted here. */
int race_mount_tmpfs(const char *path, const char *options); /* `path` is made */
int race_mount_ext4(const struct t_dir *dir);                /* at memory/mounted */

/* A failed case ends the child, and with it its racers and mounts. */
void race_in_child(void **state, int (*body)(void *), const char *reason);

#endif
