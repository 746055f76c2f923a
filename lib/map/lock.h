/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The advisory lock of a mapping: the process-wide table first, then the kernel. */
#ifndef FM_MAP_LOCK_H
#define FM_MAP_LOCK_H

#include <filemap/map.h>

#include "map/options.h"
#include "map/table.h"

struct fm__lock {
	struct fm__holder holder; /* must not move while held */
	uint32_t family;          /* FILEMAP_LOCK_DEFAULT = memory: there is nothing to lock */
	unsigned kind;            /* atomic: what is held, FILEMAP_UNLOCKED and its like */
	unsigned generation;      /* of the process that took it */
	bool in_kernel;           /* the kernel granted it, too; false with LOCK_NONE or LOCK_IF_SUPPORTED */
	bool if_supported;        /* LOCK_IF_SUPPORTED */
	bool is_unbroken;         /* held in the kernel, as it was taken at opening, ever since */
};

/* Take plan->lock_kind, waiting as the plan says. FILEMAP_ELOCKED; -EINTR; the kernel's errno where the file
 * system has no such lock. Nothing is held after a failure. */
int fm__lock_take(struct fm__lock *lock, int fd, uint64_t device, uint64_t inode, const struct fm__plan *plan,
		  struct filemap_error *reterr);

/* Change what is held, from and to any kind; from shared to exclusive is tried once. After a failed upgrade
 * the shared lock is taken again; lock->kind says what is held in the end. */
int fm__lock_change(struct fm__lock *lock, int fd, unsigned kind, uint32_t wait_ms,
		    struct filemap_error *reterr);

/* What is held; UNLOCKED for memory, for LOCK_NONE and in a process that did not take it. */
unsigned fm__lock_held(const struct fm__lock *lock);

/* Does nothing in a forked child: the lock belongs to the description, which the parent uses. */
void fm__lock_give(struct fm__lock *lock, int fd);

#endif
