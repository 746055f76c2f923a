/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The removal of a mapped file's name, now or when its last window goes. */
#ifndef FM_MAP_REMOVE_H
#define FM_MAP_REMOVE_H

#include "map/options.h"
#include "map/origin.h"

/* The file is open by now: what the plan says of its removal counts. */
void fm__remove_arm(struct fm__origin *origin, const struct fm__plan *plan);

#define FM_REMOVE_NOTHING 1 /* memory, and what is removed already: the notices are the result */

/* Whether the name can be removed now, by this process: 0, FM_REMOVE_NOTHING, or what filemap_remove() refuses with,
 * with the path as detail. */
int fm__remove_check(const struct fm__origin *origin, struct filemap_error *reterr);
int fm__remove_name_path(const struct fm__origin *origin, int r, struct filemap_error *reterr);

/* What is to be removed, with a directory that can be synced; let go of it afterwards. Any thread. */
int fm__remove_find(const struct fm__origin *origin, struct fm__target *ret, struct filemap_error *reterr);
void fm__remove_let_go(const struct fm__origin *origin, const struct fm__target *target);

/* A removal came to this: whether close is to try again. */
void fm__remove_tried(struct fm__origin *origin, int result);

/* The last window is gone: remove the name, if that is due, free the origin, and tell what came of it. */
void fm__remove_last(struct fm__origin *origin);

#endif
