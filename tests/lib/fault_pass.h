/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Between the wrappers of fault_wraps.c and the engine in fault.c. */
#ifndef FAULT_PASS_H
#define FAULT_PASS_H

#include <stdbool.h>
#include <stddef.h>

int fault_pass(const char *name); /* 0: go on with the real call; else the -error to return */
bool fault_heap_fails(const char *name);
size_t fault_fake_page_size(void);

#endif
