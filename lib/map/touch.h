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

/* The same for loads, and where it ends: the first page that was bad starts at *ret_good, written with
 * FILEMAP_EFAULT and -EHWPOISON. */
int fm__touch_until(const void *at, size_t length, size_t page, size_t *ret_good);

#endif
