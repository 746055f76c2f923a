/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * lock: takes and gives back the advisory lock of one mapping.
 *
 * Invariant: the table and the kernel are entered together and left together, the kernel never held
 * without the table, and neither while waiting: a waiter polls, so that it can neither starve the
 * others of the table nor miss its deadline.
 */
#include "map/lock.h"

#include <errno.h>
#include <sys/file.h>

#include "base/error.h"
#include "base/fork.h"
#include "base/util.h"
#include "sys/sys.h"

#define FIRST_PAUSE_MS 1u
#define LONGEST_PAUSE_MS 50u

static int kernel_try(uint32_t family, int fd, unsigned mode)
{
	bool exclusive = mode == FILEMAP_WRITE;
	int r;
	if (family == FILEMAP_LOCK_OFD)
		r = fm__sys_ofd_lock(fd, exclusive ? F_WRLCK : F_RDLCK, 0, 0);
	else
		r = fm__sys_flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
	return r == -EWOULDBLOCK || r == -EACCES ? FILEMAP_ELOCKED : r;
}

static bool is_unsupported(int r)
{
	return r == -EOPNOTSUPP || r == -ENOSYS || r == -ENOLCK || r == -EINVAL;
}

static int try_once(struct fm__lock *lock, int fd, uint64_t device, uint64_t inode,
		    const struct fm__plan *plan)
{
	int r = fm__table_enter(&lock->holder, device, inode, plan->mode);
	if (r < 0)
		return r;
	r = kernel_try(plan->lock_family, fd, plan->mode);
	if (r >= 0) {
		lock->in_kernel = true;
		return 0;
	}
	if (is_unsupported(r) && (plan->flags & FILEMAP_LOCK_IF_SUPPORTED))
		return 0;
	fm__table_leave(&lock->holder);
	return r;
}

/* 0 = try again; FILEMAP_ELOCKED = the time is over; -EINTR. */
static int pause_before_retry(uint64_t started_ns, uint32_t wait_ms, unsigned *pause_ms)
{
	uint64_t waited_ms = (fm__sys_monotonic_ns() - started_ns) / 1000000;
	unsigned pause = *pause_ms;

	if (wait_ms != FILEMAP_FOREVER) {
		if (waited_ms >= wait_ms)
			return FILEMAP_ELOCKED;
		pause = (unsigned)FM_MIN((uint64_t)pause, wait_ms - waited_ms);
	}
	*pause_ms = FM_MIN(*pause_ms * 2, LONGEST_PAUSE_MS);
	return fm__sys_sleep_ms(pause);
}

int fm__lock_take(struct fm__lock *lock, int fd, uint64_t device, uint64_t inode, const struct fm__plan *plan,
		  struct filemap_error *reterr)
{
	unsigned pause_ms = FIRST_PAUSE_MS;
	uint64_t started_ns = 0;
	int r;

	*lock = (struct fm__lock){
		.family = plan->lock_family,
		.generation = fm__fork_generation(),
	};
	if (plan->lock_family == FILEMAP_LOCK_NONE)
		return 0;
	if (plan->lock_wait_ms != 0)
		started_ns = fm__sys_monotonic_ns();
	for (;;) {
		r = try_once(lock, fd, device, inode, plan);
		if (r != FILEMAP_ELOCKED || plan->lock_wait_ms == 0)
			break;
		r = pause_before_retry(started_ns, plan->lock_wait_ms, &pause_ms);
		if (r < 0)
			break;
	}
	if (r >= 0)
		return 0;
	fm__fail(reterr, r, "lock", "file");
	if (is_unsupported(r))
		fm__fail_hint(reterr, "LOCK_IF_SUPPORTED goes on where the file system has no locks");
	return r;
}

void fm__lock_give(struct fm__lock *lock, int fd)
{
	if (lock->generation != fm__fork_generation())
		return;
	if (lock->in_kernel && lock->family == FILEMAP_LOCK_OFD)
		fm__sys_ofd_lock(fd, F_UNLCK, 0, 0);
	else if (lock->in_kernel)
		fm__sys_flock(fd, LOCK_UN);
	lock->in_kernel = false;
	fm__table_leave(&lock->holder);
}
