/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The second door to the kernel: one submission/completion ring. ring_uring.c implements it with
 * liburing, ring_none.c (no liburing at build time) answers -EOPNOTSUPP to open.
 *
 * One thread at a time uses a ring; with FM_RING_ONE_THREAD always the same one, the one that opened it.
 */
#ifndef FM_SYS_RING_H
#define FM_SYS_RING_H

#include <stdint.h>

struct fm__ring;

struct fm__ring_completion {
	uint64_t user_data;
	int32_t result; /* >= 0 or -errno */
	uint32_t reserved;
};

/* SINGLE_ISSUER|DEFER_TASKRUN where the kernel has them, step by step less where not.
 * Fails with -errno where io_uring is missing, forbidden or out of resources: the opening does a real
 * flush on a private memory file before it says yes. The trial is done once per process. */
int fm__ring_open(unsigned entries, struct fm__ring **ret);
void fm__ring_close(struct fm__ring *ring);   /* does not wait for requests; the owner drains first */
void fm__ring_abandon(struct fm__ring *ring); /* in a forked child: forget it, touch nothing shared */

/* Every range of [offset, offset+length) reaches the device, as msync does it; 0 < length, any size up to
 * FM_RING_FLUSH_MAX in one request. offset 0 with length UINT64_MAX: the whole file. -EBUSY: no free entry. */
#define FM_RING_FLUSH_MAX UINT64_C(0xFFFFF000)
int fm__ring_push_flush(struct fm__ring *ring, int fd, uint64_t offset, uint64_t length, uint64_t user_data);
int fm__ring_push_poll(struct fm__ring *ring, int fd,
		       uint64_t user_data); /* completes once when fd is readable */

int fm__ring_submit(struct fm__ring *ring); /* 0 or -errno; -EBUSY, -EAGAIN: reap first, nothing was lost */
/* Submit, then wait until a completion is there: 0; -ETIME; -EINTR. timeout_ms < 0 = for ever, 0 = only look. */
int fm__ring_wait(struct fm__ring *ring, int timeout_ms);
int fm__ring_reap(struct fm__ring *ring, struct fm__ring_completion *to, unsigned count); /* how many */
int fm__ring_register_eventfd(struct fm__ring *ring, int eventfd); /* signalled with every completion */

#endif
