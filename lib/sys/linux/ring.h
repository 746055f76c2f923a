/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The inside of a ring, for the ring_*.c that talk to liburing. */
#ifndef FM_SYS_LINUX_RING_H
#define FM_SYS_LINUX_RING_H

#include <sys/types.h>

#include <liburing.h>

#include "sys/ring.h"

struct fm__ring {
	struct io_uring uring;
	pid_t opener; /* the thread; no other enters the ring, see ring_setup.c */
};

/* fm__ring_open() without the trial. */
int fm__ring_open_untried(unsigned entries, struct fm__ring **ret);

#endif
