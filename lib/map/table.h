/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What this process knows of itself: who maps which file under a lock. A forked child starts with an
 * empty table.
 */
#ifndef FM_MAP_TABLE_H
#define FM_MAP_TABLE_H

#include <stdbool.h>
#include <stdint.h>

/* Lives inside the origin that holds; only table.c touches it, but for the file's numbers. */
struct fm__holder {
	struct fm__holder *next, **link; /* link == NULL: not in the table */
	uint64_t device, inode;          /* stay when it leaves, for the next time */
	unsigned generation;             /* see base/fork.h */
	bool exclusive;
};

/* Has to succeed before anything else here is used: -ENOMEM where fork cannot be watched. */
int fm__process_watch(void);

/* For rare and short changes of state shared by threads; fork waits for it, so a child finds it free. */
void fm__process_lock(void);
void fm__process_unlock(void);

/* How often this process, or one it comes from, has forked since it is watched; under the process lock. */
unsigned fm__process_forks(void);

/* 0 or FILEMAP_ELOCKED, by the kernel lock's own rule: many shared holders or one exclusive. Never waits. */
int fm__table_enter(struct fm__holder *holder, uint64_t device, uint64_t inode, bool exclusive);

/* One that is in the table becomes exclusive, which is refused (FILEMAP_ELOCKED) beside others and then
 * changes nothing; or shared, which always succeeds. */
int fm__table_convert(struct fm__holder *holder, bool exclusive);

void fm__table_leave(struct fm__holder *holder); /* also right if it never entered, or a parent did */

#endif
