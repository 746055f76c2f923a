/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Why a ring cannot be had, for people: the errno says little, the settings of the system and of this thread
 * say more.
 *
 * Invariant: a setting is named only if it is set so that it can be the reason.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sys/linux/kernel.h"
#include "sys/linux/ring.h"
#include "sys/sys.h"

#define DISABLED "/proc/sys/kernel/io_uring_disabled" /* Linux 6.6, if io_uring was built in */
#define CAP_IPC_LOCK_BIT 14

/* The beginning of a small file, as text. */
static int read_text(const char *path, char *to, size_t size)
{
	int fd = fm__raise_fd(fm__result(open(path, O_RDONLY | O_CLOEXEC)));
	if (fd < 0)
		return fd;
	int r = FM_RETRY(read(fd, to, size - 1));
	fm__sys_close(fd);
	to[r < 0 ? 0 : r] = '\0';
	return r < 0 ? r : 0;
}

/* A line of this thread's own: a filter may be another one in other threads. 0 if nothing can be read. */
static uint64_t status_number(const char *key, int base)
{
	char text[4096];

	if (read_text("/proc/thread-self/status", text, sizeof text) < 0)
		return 0;
	const char *line = strstr(text, key);
	return line ? strtoull(line + strlen(key), NULL, base) : 0;
}

static bool is_filtered(void)
{
	return status_number("\nSeccomp:", 10) != 0;
}

/* 0, 1 or 2; -1: the kernel has no such setting. */
static int disabled(void)
{
	char text[16];
	return read_text(DISABLED, text, sizeof text) < 0 ? -1 : (int)strtol(text, NULL, 10);
}

static bool is_limited(int which)
{
	struct rlimit limit;
	return getrlimit((__rlimit_resource_t)which, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

static const char *why_forbidden(void)
{
	const int setting = disabled();

	if (setting == 2)
		return "io_uring is switched off: the sysctl kernel.io_uring_disabled is 2";
	if (is_filtered())
		return "a seccomp filter (of a container or a sandbox) forbids io_uring";
	if (setting == 1)
		return "io_uring is for privileged processes and for the group of the sysctl "
		       "kernel.io_uring_group only: kernel.io_uring_disabled is 1";
	return "a security module of the kernel (SELinux, AppArmor, Smack) forbids io_uring";
}

static const char *why_missing(void)
{
	if (is_filtered())
		return "a seccomp filter (of a container or a sandbox) hides io_uring, or the kernel has "
		       "none";
	if (disabled() >= 0)
		return "the kernel has io_uring, but something in between (a sandbox, an emulation) hides it";
	return "the kernel has no io_uring: it is older than 5.1, or built without CONFIG_IO_URING";
}

/* Before Linux 5.12, and in newer ones again, a ring counts as locked memory of its user. */
static const char *why_no_memory(void)
{
	const bool may_lock = (status_number("\nCapEff:", 16) >> CAP_IPC_LOCK_BIT) & 1;
	const bool locked = is_limited(RLIMIT_MEMLOCK) && !may_lock;
	const bool virtual = is_limited(RLIMIT_AS);

	if (locked && virtual)
		return "RLIMIT_MEMLOCK (ulimit -l), which all rings of a user share, or RLIMIT_AS "
		       "(ulimit -v) leaves no memory for a ring";
	if (locked)
		return "RLIMIT_MEMLOCK (ulimit -l), which all rings of a user share, leaves no memory for a "
		       "ring";
	if (virtual)
		return "RLIMIT_AS (ulimit -v) leaves no memory for a ring";
	return "no memory for a ring: it is used up, or limited by a cgroup or vm.max_map_count";
}

const char *fm__ring_reason(int error)
{
	switch (error) {
	case -EPERM:
	case -EACCES:
		return why_forbidden();
	case -ENOSYS:
		return why_missing();
	case -ENOMEM:
		return why_no_memory();
	case -EMFILE:
		return "RLIMIT_NOFILE (ulimit -n) allows this process no more descriptors";
	case -ENFILE:
		return "the whole system may have no more files open: see fs.file-max";
	case -EOPNOTSUPP:
		return "the kernel's io_uring is too old: Linux 5.11 is needed";
	case -EINVAL:
		return "the kernel refuses each way to set up a ring, or to flush through it";
	case -ETIME:
		return "io_uring can be set up, but a flush through it did not end";
	default:
		return "io_uring can be set up, but a flush through it did not work";
	}
}
