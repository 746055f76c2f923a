/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The ring over io_uring, with nothing that liburing 2.3 lacks: submitting, waiting, reaping.
 *
 * Invariant: an entry that was pushed completes exactly once; nothing is lost when the kernel refuses a
 * submission or the completion queue overflows. Only the opener's process enters the ring: a forked child
 * shares its memory and could steal completions, hence fm__ring_abandon().
 */
#include "sys/linux/ring.h"
#include "sys/linux/kernel.h"

/* The kernel may take fewer than all; the rest stays in the queue and is offered again. */
int fm__ring_submit(struct fm__ring *ring)
{
	while (io_uring_sq_ready(&ring->uring) > 0) {
		int r = io_uring_submit(&ring->uring);
		if (r < 0 && r != -EINTR)
			return r;
		if (r == 0)
			return -EAGAIN;
	}
	return 0;
}

/*
 * Where completions are deferred, or went over the ring's edge, they appear only by entering the kernel. It tells
 * of both (TASKRUN_FLAG); the plain rung of the set-up has only the edge.
 */
static int is_due(const struct io_uring *uring)
{
	return (IO_URING_READ_ONCE(*uring->sq.kflags) & (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN)) != 0;
}

static int fetch(struct fm__ring *ring)
{
	int r;

	if (!is_due(&ring->uring))
		return 0;
	do
		r = io_uring_get_events(&ring->uring);
	while (r == -EINTR);
	return r < 0 ? r : 0;
}

static int look(struct fm__ring *ring)
{
	int r = fetch(ring);
	if (io_uring_cq_ready(&ring->uring) > 0)
		return 0;
	return r < 0 ? r : -ETIME;
}

int fm__ring_wait(struct fm__ring *ring, int timeout_ms)
{
	struct __kernel_timespec limit = {.tv_sec = timeout_ms / 1000,
					  .tv_nsec = (timeout_ms % 1000) * 1000000LL};
	struct io_uring_cqe *first;

	int r = fm__ring_submit(ring);
	if (io_uring_cq_ready(&ring->uring) > 0)
		return 0;
	if (r < 0)
		return r;
	if (timeout_ms == 0)
		return look(ring);
	r = io_uring_wait_cqe_timeout(&ring->uring, &first, timeout_ms < 0 ? NULL : &limit);
	if (io_uring_cq_ready(&ring->uring) > 0)
		return 0;
	return r < 0 ? r : -EINTR;
}

static unsigned take(struct fm__ring *ring, struct fm__ring_completion *to, unsigned count)
{
	struct io_uring_cqe *cqe;
	unsigned taken = 0;

	while (taken < count && io_uring_cq_ready(&ring->uring) > 0 &&
	       io_uring_peek_cqe(&ring->uring, &cqe) == 0) {
		to[taken++] = (struct fm__ring_completion){.user_data = cqe->user_data, .result = cqe->res};
		io_uring_cqe_seen(&ring->uring, cqe);
	}
	return taken;
}

int fm__ring_reap(struct fm__ring *ring, struct fm__ring_completion *to, unsigned count)
{
	unsigned taken = take(ring, to, count);
	if (taken < count && fetch(ring) == 0)
		taken += take(ring, to + taken, count - taken);
	return (int)taken;
}

int fm__ring_register_eventfd(struct fm__ring *ring, int eventfd)
{
	return io_uring_register_eventfd(&ring->uring, eventfd);
}
