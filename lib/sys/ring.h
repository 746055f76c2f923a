/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The second door to the kernel: one submission/completion ring. The ring_*.c implement it with
 * liburing, ring_none.c (no liburing at build time) answers -EOPNOTSUPP to open.
 *
 * Only the thread that opened a ring uses it. Any thread may close it, as long as nobody uses it; what the opener
 * registered with the kernel then lasts until that thread ends.
 */
#ifndef FM_SYS_RING_H
#define FM_SYS_RING_H

#include <stdint.h>

#include "sys/call.h"

struct fm__ring;
struct io_uring_sqe;

struct fm__ring_completion {
	uint64_t user_data;
	int32_t result; /* >= 0 or -errno */
	uint32_t reserved;
};

/* The set-up flags that suit a library where the kernel has them, step by step less where not: see ring_setup.c.
 * Fails with -errno where io_uring is missing, forbidden or out of resources: the opening does a real
 * flush on a private memory file before it says yes. The trial is done once per process. For this thread the kernel
 * works on at least so many entries at once from then on, if it lets itself be told. */
int fm__ring_open(unsigned entries, struct fm__ring **ret);
void fm__ring_close(struct fm__ring *ring);   /* does not wait for requests; the owner drains first */
void fm__ring_abandon(struct fm__ring *ring); /* in a forked child: forget it, touch nothing shared */

/*
 * What fm__sys_* would do for the call. -EBUSY: no free entry. -EINVAL: no entry can take it, it has to be made by hand
 * or in pieces: FM_CALL_NONE; FM_CALL_FLUSH, _WRITEBACK and _ADVISE of 0 bytes, or of more than FM_RING_FLUSH_MAX, since
 * there are 32 bits for the length (pieces of whole pages; of the first two, offset 0 with length UINT64_MAX is the
 * whole file); an offset or a size beyond INT64_MAX.
 * What the kernel does not know (FM_CALL_TRUNCATE before 6.9) completes with -EINVAL, and holds nothing up. RLIMIT_FSIZE
 * is -EFBIG, without a signal.
 */
#define FM_RING_FLUSH_MAX UINT64_C(0xFFFFF000)
int fm__ring_push(struct fm__ring *ring, const struct fm__call *call, uint64_t user_data);
int fm__ring_push_poll(struct fm__ring *ring, int fd,
		       uint64_t user_data); /* completes once when fd is readable */

int fm__ring_submit(struct fm__ring *ring); /* 0 or -errno; -EBUSY, -EAGAIN: reap first, nothing was lost */
/* Submit, then wait until a completion is there: 0; -ETIME; -EINTR. timeout_ms < 0 = for ever, 0 = only look. */
int fm__ring_wait(struct fm__ring *ring, int timeout_ms);
int fm__ring_reap(struct fm__ring *ring, struct fm__ring_completion *to, unsigned count); /* how many */
int fm__ring_register_eventfd(struct fm__ring *ring, int eventfd); /* signalled with every completion */

/* What can be said of why an opening answered `error`: a static sentence for people. Looks at the system's and the
 * process's settings; keeps nothing open. */
const char *fm__ring_reason(int error);

/* Fill in an entry of somebody else's ring, all but its user data: a flush, or for length 0 a no-operation.
 * -EINVAL: more than FM_RING_FLUSH_MAX; -EOPNOTSUPP: built without liburing. */
int fm__ring_fill_flush(struct io_uring_sqe *entry, int fd, uint64_t offset, uint64_t length);

#endif
