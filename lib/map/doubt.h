/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The record of failed flushes. It belongs to an open file description, to which the kernel reports a failure
 * once, so it lies in memory that forked children share: whoever is told, the others learn it here.
 */
#ifndef FM_MAP_DOUBT_H
#define FM_MAP_DOUBT_H

#include <stdint.h>

struct fm__doubt_page;

struct fm__doubt {
	struct fm__doubt_page *page; /* constant; NULL = no record: nothing of it can be flushed */
	struct fm__doubt_slot *slot; /* constant; within the page */
};

/* An empty record. -ENOMEM, or what else mmap(2) says. Needs fm__process_watch(). */
int fm__doubt_take(struct fm__doubt *ret);
void fm__doubt_give(struct fm__doubt *doubt); /* for this process; does nothing without a record */

/* A flush of file bytes failed. Any thread, any process that shares the record. */
void fm__doubt_add(const struct fm__doubt *doubt, int cause, uint64_t offset, uint64_t length);

int fm__doubt_cause(const struct fm__doubt *doubt); /* of the first failure; 0 = there was none */

/* What all failures cover; only after a cause was seen. */
void fm__doubt_range(const struct fm__doubt *doubt, uint64_t *ret_offset, uint64_t *ret_length);

#endif
