/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the two ring backends share: calls cut into pieces, pushed, and put together again. */
#ifndef FM_QUEUE_URING_H
#define FM_QUEUE_URING_H

#include "queue/queue.h"
#include "sys/ring.h"

#define FM_URING_WAKE UINT64_C(0) /* user data of what is no group's */

/* All lists are of groups. */
struct fm__uring {
	struct fm__ring *ring;
	struct fm__list arrived; /* taken, not begun */
	struct fm__list pushing; /* begun, not all pieces pushed */
	struct fm__list flying;  /* all pieces pushed, not all completed */
	struct fm__list ended;   /* have their answer */
	uint32_t in_ring;        /* pieces pushed and not reaped */
	uint32_t limit;          /* in_ring never exceeds it: the completions always fit */
	uint32_t stalled;        /* the last push could not bring everything to the kernel */
	int broken;              /* -errno of the kernel's refusal: never used again */
};

int fm__uring_open(struct fm__uring *u, uint32_t workers);
void fm__uring_close(struct fm__uring *u);

/* The ring's thread only, no lock needed. */
void fm__uring_push(struct fm__uring *u);                /* begin, push and submit */
int fm__uring_wait(struct fm__uring *u, int timeout_ms); /* 0 or -EINTR */
uint32_t fm__uring_reap(struct fm__uring *u);            /* how many FM_URING_WAKE */

/* The ring's thread, lock held. */
bool fm__uring_take(struct filemap_queue *queue, struct fm__uring *u);       /* whether there was anything */
uint32_t fm__uring_return(struct filemap_queue *queue, struct fm__uring *u); /* how many requests are done */

#endif
