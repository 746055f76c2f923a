/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Descriptors: opening, what they stand for, their size.
 *
 * Invariant: every descriptor that leaves this file is close-on-exec and at least 3. A file size limit
 * (RLIMIT_FSIZE) is an error here, never the signal that would end the host program.
 */
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "sys/linux/kernel.h"
#include "sys/linux/size_limit.h"
#include "sys/sys.h"

#define FIRST_FD 3

int fm__raise_fd(int fd)
{
	if (fd < 0 || fd >= FIRST_FD)
		return fd;
	int raised = fm__result(fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD));
	fm__sys_close(fd);
	return raised;
}

int fm__sys_openat(int dirfd, const char *path, int flags, unsigned mode)
{
	return fm__raise_fd(FM_RETRY(openat(dirfd, path, flags | O_CLOEXEC, (mode_t)mode)));
}

/* Linux releases the descriptor even when it reports EINTR: never repeated. */
void fm__sys_close(int fd)
{
	int saved = errno;

	if (fd >= 0)
		(void)close(fd);
	errno = saved;
}

int fm__sys_dup(int fd)
{
	return fm__result(fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD));
}

int fm__sys_set_blocking(int fd)
{
	int flags = fm__result(fcntl(fd, F_GETFL));
	if (flags < 0)
		return flags;
	return fm__result(fcntl(fd, F_SETFL, flags & ~O_NONBLOCK));
}

int fm__sys_fstat(int fd, struct stat *ret)
{
	return fm__result(fstat(fd, ret));
}

int fm__sys_fstatat(int dirfd, const char *path, struct stat *ret, int flags)
{
	return fm__result(fstatat(dirfd, path, ret, flags));
}

int fm__sys_fs_type(int fd, uint64_t *ret)
{
	struct statfs info;

	int r = FM_RETRY(fstatfs(fd, &info));
	if (r < 0)
		return r;
	*ret = (uint32_t)info.f_type; /* a signed word, sign-extended where long has 32 bits */
	return 0;
}

int fm__sys_free_blocks(int fd, uint64_t *ret)
{
	struct statfs info;

	int r = FM_RETRY(fstatfs(fd, &info));
	if (r < 0)
		return r;
	*ret = info.f_bavail;
	return 0;
}

/* glibc asks through prlimit64(2), which takes three times as long, and this is asked at each growth. */
#if defined(SYS_getrlimit) && UINTPTR_MAX > 0xFFFFFFFFu
#define GETRLIMIT(which, to) ((int)syscall(SYS_getrlimit, (which), (to)))
#else
#define GETRLIMIT(which, to) getrlimit((which), (to))
#endif

static bool is_limited(void)
{
	struct rlimit limit;
	if (GETRLIMIT(RLIMIT_FSIZE, &limit) < 0 && getrlimit(RLIMIT_FSIZE, &limit) < 0)
		return false;
	return limit.rlim_cur != RLIM_INFINITY;
}

/* The signal of RLIMIT_FSIZE is sent to the thread that wrote: blocked around the call, taken back after. */
void fm__size_limit_enter(struct fm__size_limit *guard)
{
	sigset_t pending, ours;

	guard->active = 0;
	if (!is_limited())
		return;
	sigemptyset(&ours);
	sigaddset(&ours, SIGXFSZ);
	if (pthread_sigmask(SIG_BLOCK, &ours, &guard->old_mask) != 0)
		return;
	guard->active = 1;
	guard->was_pending = sigpending(&pending) == 0 && sigismember(&pending, SIGXFSZ) == 1;
}

int64_t fm__size_limit_leave(struct fm__size_limit *guard, int64_t result)
{
	static const struct timespec at_once = {0, 0};
	sigset_t ours;

	if (!guard->active)
		return result;
	sigemptyset(&ours);
	sigaddset(&ours, SIGXFSZ);
	if (result == -EFBIG && !guard->was_pending)
		(void)sigtimedwait(&ours, NULL, &at_once);
	(void)pthread_sigmask(SIG_SETMASK, &guard->old_mask, NULL);
	return result;
}

int fm__sys_ftruncate(int fd, uint64_t size)
{
	struct fm__size_limit guard;
	off_t length;

	int r = fm__to_off(size, &length);
	if (r < 0)
		return r;
	fm__size_limit_enter(&guard);
	return (int)fm__size_limit_leave(&guard, FM_RETRY(ftruncate(fd, length)));
}

static int allocate(int fd, int mode, uint64_t offset, uint64_t length)
{
	off_t start, size;

	int r = fm__to_off(offset, &start);
	if (r < 0)
		return r;
	r = fm__to_off(length, &size);
	if (r < 0)
		return r;
	return FM_RETRY(fallocate(fd, mode, start, size));
}

int fm__sys_fallocate(int fd, int mode, uint64_t offset, uint64_t length)
{
	struct fm__size_limit guard;
	fm__size_limit_enter(&guard);
	return (int)fm__size_limit_leave(&guard, allocate(fd, mode, offset, length));
}
