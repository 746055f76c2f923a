/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the two ring backends share: requests cut into pieces, pushed, and put together again. */
#ifndef FM_QUEUE_URING_H
#define FM_QUEUE_URING_H

#include "queue/queue.h"
#include "sys/ring.h"

#define FM_URING_WAKE UINT64_C(0) /* user data of what is no request */

struct fm__uring {
	struct fm__ring *ring;
	struct fm__request_list pushing; /* begun, not all pieces pushed */
	struct fm__request_list flying;  /* all pieces pushed, not all completed */
	uint32_t in_ring;                /* pieces pushed and not reaped */
	uint32_t limit;                  /* in_ring never exceeds it: the completions always fit */
	int broken;                      /* -errno of the kernel's refusal: never used again */
};

int fm__uring_open(struct fm__uring *u, uint32_t depth);
void fm__uring_close(struct fm__uring *u);

/* All of these: the ring's thread only, no lock needed; ended requests are appended to `ended`. */
void fm__uring_take(struct fm__uring *u, struct fm__request_list *from);
void fm__uring_push(struct fm__uring *u, struct fm__request_list *ended); /* and submit */
/* 0 or -EINTR */
int fm__uring_wait(struct fm__uring *u, int timeout_ms, struct fm__request_list *ended);
/* How many FM_URING_WAKE. */
uint32_t fm__uring_reap(struct fm__uring *u, struct fm__request_list *ended);

/* Lock held: everything that ended is done. How many. */
uint32_t fm__uring_finish(struct filemap_queue *queue, struct fm__request_list *ended);

#endif
