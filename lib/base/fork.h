/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Telling a forked child from the process that opened a handle, without a system call. */
#ifndef FM_BASE_FORK_H
#define FM_BASE_FORK_H

/* A number that is another one in each forked child. A handle keeps the one of its opening; the two
 * differ = the handle was inherited. Not told apart: a child made by clone(2) or vfork(2) behind
 * libc's back. */
unsigned fm__fork_generation(void);

#endif
