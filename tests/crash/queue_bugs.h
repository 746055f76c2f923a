/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a broken library, or device, would do; under the recorder's lock. */
#ifndef QUEUE_BUGS_H
#define QUEUE_BUGS_H

#include "queue_sim.h"

void queue_bugs_reset(void);
/* The ticket is in flight, and its range and this one share a byte. */
bool queue_overlaps(const struct queue_ticket *ticket, uint64_t offset, uint64_t length);
void queue_store_headers_early(uint64_t offset, uint64_t length);
void queue_break_flush(struct queue_flushing *flushing); /* as it begins */
bool queue_hides_end(const struct queue_flushing *flushing);

/* Of the recorder. */
void queue_add_store(uint64_t offset, const void *bytes, size_t length);

#endif
