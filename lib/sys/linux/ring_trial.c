/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Whether io_uring works here, by a real flush through it.
 *
 * Invariant: what was found out about the kernel is found out once per process; what only lacked resources
 * is tried again.
 */
#include <sys/mman.h>

#include "sys/linux/kernel.h"
#include "sys/linux/ring.h"
#include "sys/sys.h"

/* As many as two pages of locked memory hold. The first ring of a thread bounds what the kernel works on for it, for
 * all its later ones: a trial of one entry would leave it one at a time. */
#define TRIAL_ENTRIES 64
#define TRIALS 3
#define TRIAL_TIMEOUT_MS 5000

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
	const struct fm__call whole = {.kind = FM_CALL_FLUSH, .fd = fd, .length = UINT64_MAX};
	struct fm__ring_completion done;

	int r = fm__ring_push(ring, &whole, 1);
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

	int r = fm__ring_open_untried(TRIAL_ENTRIES, &ring);
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
	return fm__ring_open_untried(entries, ret);
}
