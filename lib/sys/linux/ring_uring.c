/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The ring over io_uring, with nothing that liburing 2.3 lacks.
 *
 * Invariant: an entry that was pushed completes exactly once; nothing is lost when the kernel refuses a
 * submission or the completion queue overflows. Only the opener's process enters the ring: a forked child
 * shares its memory and could steal completions, hence fm__ring_abandon().
 */
#include <poll.h>
#include <unistd.h>

#include <liburing.h>

#include "sys/linux/kernel.h"
#include "sys/ring.h"
#include "sys/sys.h"

/* Without these a wait would cost an entry, or an overflow a completion: Linux 5.11 and later. */
#define NEEDED_FEATURES (IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP)

#define TRIALS 3
#define TRIAL_TIMEOUT_MS 5000

struct fm__ring {
	struct io_uring uring;
};

/* From the best to what every kernel takes; an unknown flag answers EINVAL. */
static const unsigned setup_flags[] = {
	IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
	IORING_SETUP_COOP_TASKRUN,
	0,
};

static int setup(unsigned entries, struct io_uring *uring)
{
	int r = -EINVAL;

	for (size_t i = 0; i < sizeof setup_flags / sizeof *setup_flags && r == -EINVAL; i++)
		r = io_uring_queue_init(entries, uring, setup_flags[i]);
	return r;
}

/* The descriptor is the kernel's choice: moved away from 0, 1 and 2. */
static int raise_ring_fd(struct io_uring *uring)
{
	if (uring->ring_fd > STDERR_FILENO)
		return 0;
	int fd = fm__sys_dup(uring->ring_fd);
	if (fd < 0)
		return fd;
	fm__sys_close(uring->ring_fd);
	uring->ring_fd = fd;
	uring->enter_ring_fd = fd;
	return 0;
}

static int open_untried(unsigned entries, struct fm__ring **ret)
{
	struct fm__ring *ring = fm__zalloc(sizeof *ring);
	if (!ring)
		return -ENOMEM;
	int r = setup(entries, &ring->uring);
	if (r < 0)
		goto free_ring;
	r = (ring->uring.features & NEEDED_FEATURES) == NEEDED_FEATURES ? 0 : -EOPNOTSUPP;
	if (r < 0)
		goto exit_uring;
	r = raise_ring_fd(&ring->uring);
	if (r < 0)
		goto exit_uring;
	*ret = ring;
	return 0;

exit_uring:
	io_uring_queue_exit(&ring->uring);
free_ring:
	fm__free(ring);
	return r;
}

static int wait_uninterrupted(struct fm__ring *ring)
{
	int r;

	do
		r = fm__ring_wait(ring, TRIAL_TIMEOUT_MS);
	while (r == -EINTR);
	return r;
}

static int flush_once(struct fm__ring *ring, int fd)
{
	struct fm__ring_completion done;

	int r = fm__ring_push_flush(ring, fd, 0, UINT64_MAX, 1);
	if (r < 0)
		return r;
	r = wait_uninterrupted(ring);
	if (r < 0)
		return r;
	if (fm__ring_reap(ring, &done, 1) != 1)
		return -EIO;
	return done.result;
}

static int is_undone(int r)
{
	return r == -ECANCELED || r == -EINTR || r == -EAGAIN;
}

/* Setup is often allowed where entering is not (seccomp), so only a flush that worked counts. */
static int try_flush(void)
{
	struct fm__ring *ring;

	int r = open_untried(1, &ring);
	if (r < 0)
		return r;
	int fd = fm__raise_fd(fm__result(memfd_create("filemap-trial", MFD_CLOEXEC)));
	r = fd;
	/* A flush for which no worker could be started comes back undone. */
	for (int i = 0; fd >= 0 && i < TRIALS && (i == 0 || is_undone(r)); i++)
		r = flush_once(ring, fd);
	fm__ring_close(ring);
	fm__sys_close(fd);
	return r;
}

static int is_passing(int r)
{
	return r == -EMFILE || r == -ENFILE || r == -ENOMEM || is_undone(r);
}

/*
 * 1: it works; 0: nobody asked yet; negative: it never will. Without a lock, so that a fork in the middle
 * leaves nothing locked in the child; two first callers at once both try and find the same. A shortage is
 * not remembered: it says nothing about the kernel.
 */
static int trial(void)
{
	static int verdict;

	int r = __atomic_load_n(&verdict, __ATOMIC_RELAXED);
	if (r != 0)
		return r < 0 ? r : 0;
	r = try_flush();
	if (!is_passing(r))
		__atomic_store_n(&verdict, r < 0 ? r : 1, __ATOMIC_RELAXED);
	return r;
}

int fm__ring_open(unsigned entries, struct fm__ring **ret)
{
	int r = trial();
	if (r < 0)
		return r;
	return open_untried(entries, ret);
}

void fm__ring_close(struct fm__ring *ring)
{
	if (!ring)
		return;
	io_uring_queue_exit(&ring->uring);
	fm__free(ring);
}

/* Leaving unmaps and closes this process's copies and enters nothing: safe in a child too. */
void fm__ring_abandon(struct fm__ring *ring)
{
	fm__ring_close(ring);
}

/*
 * The kernel takes off + len for the last byte, included, where msync takes the byte before it: len is
 * passed one smaller. 0 and 0 would mean the whole file, so one byte at 0 is asked for as two.
 */
static int flush_length(uint64_t offset, uint64_t length, uint32_t *ret)
{
	if (offset == 0 && length == UINT64_MAX) {
		*ret = 0;
		return 0;
	}
	if (length == 0 || length > FM_RING_FLUSH_MAX || offset > INT64_MAX)
		return -EINVAL;
	*ret = (uint32_t)(length - 1);
	if (offset == 0 && length == 1)
		*ret = 1;
	return 0;
}

int fm__ring_push_flush(struct fm__ring *ring, int fd, uint64_t offset, uint64_t length, uint64_t user_data)
{
	uint32_t len;

	int r = flush_length(offset, length, &len);
	if (r < 0)
		return r;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
	if (!sqe)
		return -EBUSY;
	io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	io_uring_sqe_set_data64(sqe, user_data);
	sqe->off = offset;
	sqe->len = len;
	return 0;
}

int fm__ring_push_poll(struct fm__ring *ring, int fd, uint64_t user_data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
	if (!sqe)
		return -EBUSY;
	io_uring_prep_poll_add(sqe, fd, POLLIN);
	io_uring_sqe_set_data64(sqe, user_data);
	return 0;
}

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

/* Where completions are deferred, or went over the ring's edge, they appear only by entering the kernel. */
static int fetch(struct fm__ring *ring)
{
	int r;

	if (!(ring->uring.flags & IORING_SETUP_DEFER_TASKRUN) && !io_uring_cq_has_overflow(&ring->uring))
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
