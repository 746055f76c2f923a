/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Faults and traces at the seam. fault.c defines __wrap_fm__sys_NAME for every kernel call of sys.h
 * (linked with -Wl,--wrap=fm__sys_NAME; meson: the dependency fault_dep links the fault build of the library).
 * close and unmap are never suppressed: an injected failure still releases.
 *
 *   fault_sweep: for (n = 1; ; n++) { fault_arm(n, EIO); r = op(); if (!fault_fired()) break; ... }
 */
#ifndef T_FAULT_H
#define T_FAULT_H

#include <stdbool.h>
#include <stddef.h>

void fault_reset(void);                                    /* nothing armed, trace empty, counts zero */
void fault_arm(int nth, int error);                        /* the nth failable call from now returns -error */
void fault_arm_call(const char *call, int nth, int error); /* the nth call of this one, e.g. "fsync" */
void fault_arm_call_persistent(const char *call, int nth, int error); /* that one and all later ones */
void fault_arm_also(const char *call, int nth, int error); /* beside what is armed, up to 8; "" = any call */
#define FAULT_KILL (-1) /* as `error`: instead of making that call the process dies of SIGKILL */
bool fault_fired(void);
const char *fault_fired_call(void); /* "openat"; "" if none fired */
int fault_count(const char *call);  /* how often it was called since reset */

/* Call `hook` once, before the nth call of this one from now. */
void fault_hook(const char *call, int nth, void (*hook)(void *), void *context);

void fault_trace_start(void);  /* begins to record names, forgets older ones */
const char *fault_trace(void); /* "openat flock fstat map " */

/* The page size that fm__sys_page_size() reports: 0 = the real one; 4, 16, 64 KiB. A larger one than the
 * real one is honest for the library: it maps in those units. */
void fault_page_size(size_t size);

/* The seconds of fm__sys_monotonic_ns and sleeping stay real. */

#endif
