/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * lock: takes, changes and gives back the advisory lock of one origin.
 *
 * Invariant: the table and the kernel are entered together and left together, the kernel never held
 * without the table, and neither while waiting: a waiter polls, so that it can neither starve the
 * others of the table nor miss its deadline. `kind` never says more than the kernel was seen to grant.
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

static int plain_result(int r)
{
	return r == -EWOULDBLOCK || r == -EACCES ? FILEMAP_ELOCKED : r;
}

/* Never waits. The kernel replaces a lock that is held; flock(2) loses it when it cannot. */
static int kernel_try(const struct fm__lock *lock, int fd, unsigned kind)
{
	bool exclusive = kind == FILEMAP_EXCLUSIVE_LOCK;
	if (lock->family == FILEMAP_LOCK_OFD)
		return plain_result(fm__sys_ofd_lock(fd, exclusive ? F_WRLCK : F_RDLCK, 0, 0));
	return plain_result(fm__sys_flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB));
}

static void kernel_give(const struct fm__lock *lock, int fd)
{
	if (lock->family == FILEMAP_LOCK_OFD)
		fm__sys_ofd_lock(fd, F_UNLCK, 0, 0);
	else
		fm__sys_flock(fd, LOCK_UN);
}

static bool is_unsupported(int r)
{
	return r == -EOPNOTSUPP || r == -ENOSYS || r == -ENOLCK || r == -EINVAL;
}

static void set_kind(struct fm__lock *lock, unsigned kind)
{
	__atomic_store_n(&lock->kind, kind, __ATOMIC_RELEASE);
}

/* From nothing held. */
static int try_once(struct fm__lock *lock, int fd, unsigned kind)
{
	const uint64_t device = lock->holder.device, inode = lock->holder.inode;
	int r = fm__table_enter(&lock->holder, device, inode, kind == FILEMAP_EXCLUSIVE_LOCK);
	if (r < 0)
		return r;
	r = kernel_try(lock, fd, kind);
	lock->in_kernel = r >= 0;
	if (r < 0 && !(is_unsupported(r) && lock->if_supported)) {
		fm__table_leave(&lock->holder);
		return r;
	}
	set_kind(lock, kind);
	return 0;
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

static int take(struct fm__lock *lock, int fd, unsigned kind, uint32_t wait_ms)
{
	uint64_t started_ns = wait_ms ? fm__sys_monotonic_ns() : 0;
	unsigned pause_ms = FIRST_PAUSE_MS;

	for (;;) {
		int r = try_once(lock, fd, kind);
		if (r != FILEMAP_ELOCKED || wait_ms == 0)
			return r;
		r = pause_before_retry(started_ns, wait_ms, &pause_ms);
		if (r < 0)
			return r;
	}
}

static int explain(struct filemap_error *reterr, int r)
{
	fm__fail(reterr, r, "lock", "file");
	if (is_unsupported(r))
		fm__fail_hint(reterr, "LOCK_IF_SUPPORTED goes on where the file system has no locks");
	return r;
}

int fm__lock_take(struct fm__lock *lock, int fd, uint64_t device, uint64_t inode, const struct fm__plan *plan,
		  struct filemap_error *reterr)
{
	int r;

	*lock = (struct fm__lock){
		.holder = {.device = device, .inode = inode},
		.family = plan->lock_family,
		.generation = fm__fork_generation(),
		.if_supported = (plan->flags & FILEMAP_LOCK_IF_SUPPORTED) != 0,
	};
	if (plan->lock_family == FILEMAP_LOCK_NONE || plan->lock_family == FILEMAP_LOCK_DEFAULT)
		return 0;
	r = take(lock, fd, plan->lock_kind, plan->lock_wait_ms);
	lock->is_unbroken = r >= 0 && lock->in_kernel;
	return r < 0 ? explain(reterr, r) : 0;
}

static void lose(struct fm__lock *lock, int fd)
{
	if (lock->in_kernel)
		kernel_give(lock, fd);
	lock->in_kernel = false;
	set_kind(lock, FILEMAP_UNLOCKED);
	fm__table_leave(&lock->holder);
}

/* A conversion failed. OFD kept what there was; what flock(2) did is unknown unless the shared lock, which
 * either kind contains, can be had now. 0 = something is held still. */
static int hold_shared_again(struct fm__lock *lock, int fd)
{
	if (lock->family == FILEMAP_LOCK_OFD)
		return 0;
	int r = kernel_try(lock, fd, FILEMAP_SHARED_LOCK);
	if (r < 0)
		lose(lock, fd);
	return r < 0 ? r : 0;
}

/* The kernel first: in the table it is exclusive until no other process can be kept out any more. */
static int downgrade(struct fm__lock *lock, int fd)
{
	int r = lock->in_kernel ? kernel_try(lock, fd, FILEMAP_SHARED_LOCK) : 0;
	if (r < 0 && lock->family == FILEMAP_LOCK_OFD)
		return r;
	if (r < 0)
		r = hold_shared_again(lock, fd);
	if (r < 0)
		return r;
	fm__table_convert(&lock->holder, false);
	set_kind(lock, FILEMAP_SHARED_LOCK);
	return 0;
}

/* The table first: while others of this process share it, the kernel's lock is not risked. */
static int upgrade(struct fm__lock *lock, int fd)
{
	int r = fm__table_convert(&lock->holder, true);
	if (r < 0)
		return r;
	r = lock->in_kernel ? kernel_try(lock, fd, FILEMAP_EXCLUSIVE_LOCK) : 0;
	if (r >= 0) {
		set_kind(lock, FILEMAP_EXCLUSIVE_LOCK);
		return 0;
	}
	if (hold_shared_again(lock, fd) >= 0)
		fm__table_convert(&lock->holder, false);
	return r;
}

static int change(struct fm__lock *lock, int fd, unsigned held, unsigned kind, uint32_t wait_ms)
{
	if (held == FILEMAP_UNLOCKED)
		return take(lock, fd, kind, wait_ms);
	return kind == FILEMAP_SHARED_LOCK ? downgrade(lock, fd) : upgrade(lock, fd);
}

int fm__lock_change(struct fm__lock *lock, int fd, unsigned kind, uint32_t wait_ms,
		    struct filemap_error *reterr)
{
	unsigned held = __atomic_load_n(&lock->kind, __ATOMIC_ACQUIRE);
	int r;

	if (kind == held || lock->family == FILEMAP_LOCK_DEFAULT)
		return 0;
	lock->is_unbroken = false;
	if (kind == FILEMAP_UNLOCKED) {
		lose(lock, fd);
		return 0;
	}
	r = change(lock, fd, held, kind, wait_ms);
	if (r >= 0)
		return 0;
	explain(reterr, r);
	if (held != FILEMAP_UNLOCKED && fm__lock_held(lock) == FILEMAP_UNLOCKED)
		fm__fail_hint(reterr,
			      "the lock that was held got lost on the way: somebody else has one now");
	return r;
}

void fm__lock_give(struct fm__lock *lock, int fd)
{
	if (lock->generation == fm__fork_generation() && lock->kind != FILEMAP_UNLOCKED)
		lose(lock, fd);
}

unsigned fm__lock_held(const struct fm__lock *lock)
{
	if (lock->generation != fm__fork_generation())
		return FILEMAP_UNLOCKED;
	return __atomic_load_n(&lock->kind, __ATOMIC_ACQUIRE);
}
