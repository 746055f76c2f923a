/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Small things that every floor uses. */
#ifndef FM_BASE_UTIL_H
#define FM_BASE_UTIL_H

#define FM_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define FM_MIN(a, b) ((a) < (b) ? (a) : (b))
#define FM_MAX(a, b) ((a) > (b) ? (a) : (b))

/* Hand a descriptor on: the old holder keeps -1. */
static inline int fm__take_fd(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}

#endif
