/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The advisory lock of a mapping: the process-wide table first, then the kernel. */
#ifndef FM_MAP_LOCK_H
#define FM_MAP_LOCK_H

#include <filemap/map.h>

#include "map/options.h"
#include "map/table.h"

struct fm__lock {
	struct fm__holder holder; /* must not move while held */
	uint32_t family;
	unsigned generation; /* of the process that took it */
	bool in_kernel;      /* the kernel granted it, too; false with LOCK_NONE or LOCK_IF_SUPPORTED */
};

/* READ shares, WRITE excludes. Waits as the plan says. FILEMAP_ELOCKED; -EINTR; the kernel's errno
 * where the file system has no such lock. Nothing is held after a failure. */
int fm__lock_take(struct fm__lock *lock, int fd, uint64_t device, uint64_t inode, const struct fm__plan *plan,
		  struct filemap_error *reterr);

/* Does nothing in a forked child: the lock belongs to the description, which the parent uses. */
void fm__lock_give(struct fm__lock *lock, int fd);

#endif
