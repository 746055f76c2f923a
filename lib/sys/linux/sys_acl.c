/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Access control lists, as far as permissions mean something else where there is one.
 *
 * Invariant: a file, or a file system, without them is no failure; not to know whether there is one is.
 */
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sys/linux/kernel.h"
#include "sys/linux/proc_fd.h"
#include "sys/sys.h"

#ifndef SYS_getxattrat
#define SYS_getxattrat 464 /* Linux 6.13; headers may be older */
#endif

#define ACCESS_LIST "system.posix_acl_access"
#define HEADER 4u
#define ENTRY 8u
#define GROUP_OF_FILE 0x04
#define MOST 65536u /* no attribute is longer */

struct receiver { /* struct xattr_args of the kernel */
	uint64_t value;
	uint32_t size, flags;
};

static unsigned read_16(const unsigned char *at)
{
	return at[0] | (unsigned)at[1] << 8;
}

/* 1: found. */
static int find_group(const unsigned char *list, size_t length, unsigned *ret)
{
	for (size_t at = HEADER; at + ENTRY <= length; at += ENTRY)
		if (read_16(list + at) == GROUP_OF_FILE) {
			*ret = read_16(list + at + 2) & 7;
			return 1;
		}
	return 0;
}

static int64_t read_without_proc(int fd, void *to)
{
	const struct receiver receiver = {(uint64_t)(uintptr_t)to, MOST, 0};
	int64_t n = syscall(SYS_getxattrat, fd, "", AT_EMPTY_PATH, ACCESS_LIST, &receiver, sizeof receiver);
	return n < 0 ? -errno : n;
}

/* The descriptor may be one of O_PATH, which fgetxattr(2) does not take. */
static int64_t read_list(int fd, void *to)
{
	char path[FM_PROC_FD_SIZE];
	fm__proc_fd(fd, path);
	ssize_t n = getxattr(path, ACCESS_LIST, to, MOST);
	if (n >= 0)
		return n;
	return errno == ENOENT ? read_without_proc(fd, to) : -errno;
}

static int is_none(int64_t r)
{
	return r == -ENODATA || r == -EOPNOTSUPP;
}

int fm__sys_acl_group(int fd, unsigned *ret)
{
	unsigned char *list = fm__zalloc(MOST);
	if (!list)
		return -ENOMEM;
	int64_t n = read_list(fd, list);
	int r = n < 0 ? (int)n : find_group(list, (size_t)n, ret);
	fm__free(list);
	return is_none(n) ? 0 : r;
}

int fm__sys_acl_drop(int fd)
{
	int r = fm__result(fremovexattr(fd, ACCESS_LIST));
	return is_none(r) ? 0 : r;
}
