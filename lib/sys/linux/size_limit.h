/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Around calls that can grow a file: an exceeded RLIMIT_FSIZE answers -EFBIG and sends no signal. */
#ifndef FM_SYS_LINUX_SIZE_LIMIT_H
#define FM_SYS_LINUX_SIZE_LIMIT_H

#include <signal.h>
#include <stdint.h>

struct fm__size_limit {
	int active; /* 0: no limit is set, nothing was changed */
	int was_pending;
	sigset_t old_mask;
};

void fm__size_limit_enter(struct fm__size_limit *guard);
int64_t fm__size_limit_leave(struct fm__size_limit *guard, int64_t result); /* returns the result */

#endif
