/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Shared by the files of this directory: errno becomes a result here and nowhere else. */
#ifndef FM_SYS_LINUX_KERNEL_H
#define FM_SYS_LINUX_KERNEL_H

#include <errno.h>
#include <stdint.h>
#include <sys/types.h>

_Static_assert(sizeof(off_t) == 8, "compile with -D_FILE_OFFSET_BITS=64");

/* -errno for -1, the result itself otherwise. */
static inline int fm__result(int r)
{
	return r < 0 ? -errno : r;
}

/* Evaluates the call again as long as a signal interrupts it. */
#define FM_RETRY(call)                                    \
	__extension__({                                   \
		int retry_;                               \
		do                                        \
			retry_ = fm__result((int)(call)); \
		while (retry_ == -EINTR);                 \
		retry_;                                   \
	})

/* 0, or -EFBIG for an offset that no file can have. */
static inline int fm__to_off(uint64_t value, off_t *ret)
{
	if (value > INT64_MAX)
		return -EFBIG;
	*ret = (off_t)value;
	return 0;
}

/* A new descriptor moved to 3 or above, so that it never stands in for a closed stdin, stdout or stderr. */
int fm__raise_fd(int fd);

#endif
