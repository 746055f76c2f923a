/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The path under which /proc shows a descriptor of this process: it leads to the file, name or no name. */
#ifndef FM_SYS_LINUX_PROC_FD_H
#define FM_SYS_LINUX_PROC_FD_H

#include <stdio.h>

#define FM_PROC_FD_SIZE 32

static inline void fm__proc_fd(int fd, char to[FM_PROC_FD_SIZE])
{
	(void)snprintf(to, FM_PROC_FD_SIZE, "/proc/self/fd/%d", fd);
}

#endif
