/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Bytes of one file as the start of another one, without a detour through memory; blocks may be shared. */
#ifndef FM_MAP_KERNEL_COPY_H
#define FM_MAP_KERNEL_COPY_H

#include <stdint.h>

/* To the start of `to_fd`, which is empty. */
struct fm__kernel_copy {
	int from_fd;
	uint64_t from, length;
	int to_fd;
};

#define FM_COPY_ENDS_IN_HOLE 1

/*
 * As much as the kernel can do. 0: *done bytes, which can be less than all; why is not told. -errno.
 * FM_COPY_ENDS_IN_HOLE: all, but no data was found up to the end, and `to_fd` is not as long yet: the caller
 * looks whether the source was cut, and gives it its size. The position of from_fd is anywhere afterwards.
 */
int fm__kernel_copy(const struct fm__kernel_copy *copy, uint64_t *done);

/* The next piece of data from `done` on, both from copy->from; all is hole: it starts at copy->length. `to_fd` is not
 * looked at. The position of from_fd is anywhere afterwards. */
void fm__find_data(const struct fm__kernel_copy *copy, uint64_t done, uint64_t *ret_data, uint64_t *ret_end);

#endif
