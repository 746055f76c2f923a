/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Touching mapped segments and the control page: a fault is an error if a handler is there, see filemap/guard.h. */
#ifndef FM_LOG_GUARDED_H
#define FM_LOG_GUARDED_H

#include <stddef.h>

/* Whole pages of one mapping. The body may move it: the handler reads it as it is at the fault. */
struct fm__log_place {
	const void *volatile at; /* NULL = none */
	size_t length;
};

/* The places that one body touches, and nothing else of it may fault. */
struct fm__log_places {
	struct fm__log_place segment, other;
};

/*
 * What the body returns, or FILEMAP_EFAULT: it was abandoned in the middle, so what it changes outside the mapping has
 * to be volatile, and it takes nothing that it would have to give back. Without a handler it just runs.
 */
int fm__log_guarded(const struct fm__log_places *places, int (*body)(void *context), void *context);

#endif
