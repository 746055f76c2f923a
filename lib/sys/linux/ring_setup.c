/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * How a ring begins and ends.
 *
 * Invariant: what an older or a sandboxed kernel refuses costs speed and nothing else: each step of the set-up
 * may fail but the last. The registration of the ring belongs to the thread that opened it: only that thread
 * takes it back, since to another the same number may mean another ring.
 */
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"
#include "sys/linux/kernel.h"
#include "sys/linux/ring.h"
#include "sys/sys.h"

/* Without these a wait would cost an entry, or an overflow a completion: Linux 5.11 and later. */
#define NEEDED_FEATURES (IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP)

/*
 * From the best to what every kernel takes; an unknown flag answers EINVAL.
 *
 * SINGLE_ISSUER, DEFER_TASKRUN  (6.0, 6.1) completions are made when the thread enters to have them: nothing
 *                               interrupts the host program in between
 * COOP_TASKRUN                  (5.19) in its place: at its next system call, without an interrupt
 * TASKRUN_FLAG                  (5.19) both then tell in shared memory that completions are waiting: a look costs
 *                               a load, where it would have to enter the kernel for 300 ns
 * SUBMIT_ALL                    (5.18) an entry that the kernel does not know (FTRUNCATE before 6.9) does not hold
 *                               up those behind it
 *
 * Not taken: SQPOLL burns a CPU. CLAMP is for more entries than any queue asks for. CQSIZE: the queue has never
 * more in flight than the ring holds. NO_SQARRAY (6.6) is for liburing to ask for, since it fills the array: newer
 * ones do; 2.3 would write over the head of the queue instead. R_DISABLED needs io_uring_register(2), which sandboxes
 * deny. ATTACH_WQ: the workers are the thread's, whatever the ring.
 */
static const unsigned setup_flags[] = {
	IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
		IORING_SETUP_SUBMIT_ALL,
	IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
	0,
};

static pid_t this_thread(void)
{
	return (pid_t)syscall(SYS_gettid);
}

static int setup(unsigned entries, struct io_uring *uring)
{
	int r = -EINVAL;

	for (size_t i = 0; i < FM_ARRAY_SIZE(setup_flags) && r == -EINVAL; i++)
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

/*
 * The kernel's threads are the calling thread's, not the ring's, and their number was bounded by the entries of the
 * first ring that it ever had. The bound is raised to what this one needs, and never lowered: it is the
 * program's, too. Where that is refused it only takes longer.
 */
static void allow_workers(struct io_uring *uring, unsigned count)
{
	unsigned bounds[2] = {0, 0}; /* bounded and unbounded work; 0 = only tell */

	if (io_uring_register_iowq_max_workers(uring, bounds) < 0 || bounds[0] >= count)
		return;
	bounds[0] = count;
	bounds[1] = 0;
	(void)io_uring_register_iowq_max_workers(uring, bounds);
}

static int finish_setup(struct fm__ring *ring, unsigned entries)
{
	if ((ring->uring.features & NEEDED_FEATURES) != NEEDED_FEATURES)
		return -EOPNOTSUPP;
	int r = raise_ring_fd(&ring->uring);
	if (r < 0)
		return r;
	/*
	 * Measured: 4 to 8 % less for each submission (40 to 60 ns), 1 % off a flush on tmpfs, nothing off one of a
	 * disk. A registered file saved nothing anywhere, and a slot that is used again means the wrong
	 * file. No matter if it is refused: 16 rings of a thread can be registered.
	 */
	(void)io_uring_register_ring_fd(&ring->uring);
	allow_workers(&ring->uring, entries);
	ring->opener = this_thread();
	return 0;
}

int fm__ring_open_untried(unsigned entries, struct fm__ring **ret)
{
	struct fm__ring *ring = fm__zalloc(sizeof *ring);
	if (!ring)
		return -ENOMEM;
	int r = setup(entries, &ring->uring);
	if (r < 0)
		goto free_ring;
	r = finish_setup(ring, entries);
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

/* The registration ends with the opening thread, if that has not ended. */
static void forget_registration(struct io_uring *uring)
{
	uring->int_flags = 0;
	uring->enter_ring_fd = uring->ring_fd;
}

void fm__ring_close(struct fm__ring *ring)
{
	if (!ring)
		return;
	if (ring->opener != this_thread())
		forget_registration(&ring->uring);
	io_uring_queue_exit(&ring->uring);
	fm__free(ring);
}

/* Leaving unmaps and closes this process's copies and enters nothing: safe in a child too. */
void fm__ring_abandon(struct fm__ring *ring)
{
	if (ring)
		ring->opener = 0;
	fm__ring_close(ring);
}
