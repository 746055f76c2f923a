/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Pages, touched by the kernel's hands: an error where a load or a store would be a signal. */
#ifndef FM_MAP_TOUCH_H
#define FM_MAP_TOUCH_H

#include <stdbool.h>
#include <stddef.h>

/*
 * As if a byte of each page of [at, at + length) were loaded, or stored to without changing it. `page` is the unit
 * in which they fault, and `at` is aligned to it. 0, FILEMAP_EFAULT, -EHWPOISON, -EINTR, -ENOMEM; kernels before
 * 5.14 know no -EHWPOISON, and may lack a pipe for loads: -EMFILE, -ENFILE.
 */
int fm__touch(const void *at, size_t length, size_t page, bool stores);

/* How the kernel is asked to do it in one call, madvise(2), and what its answer means: as above, but -EINVAL stays: it
 * does not know the advice. */
int fm__touch_advice(bool stores);
int fm__touch_answer(int answer);

/* The same for loads, and where it ends: the first page that was bad starts at *ret_good, written with
 * FILEMAP_EFAULT and -EHWPOISON. */
int fm__touch_until(const void *at, size_t length, size_t page, size_t *ret_good);

#endif
