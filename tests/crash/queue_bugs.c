/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The seeded bugs of queue_sim.h. Invariant: without a bug nothing of a flush is changed. */
#include "queue_bugs.h"

#include <string.h>

static uint64_t last_begin;

void queue_bugs_reset(void)
{
	last_begin = 0;
}

bool queue_overlaps(const struct queue_ticket *ticket, uint64_t offset, uint64_t length)
{
	return ticket->submitted > 0 && !ticket->ended && ticket->length > 0 &&
	       ticket->offset < offset + length && ticket->offset + ticket->length > offset;
}

void queue_store_headers_early(uint64_t offset, uint64_t length)
{
	const struct queue_run *run = queue_world.run;
	struct queue_header header;

	for (uint64_t t = 1; t <= run->last; t++) {
		const struct queue_ticket *ticket = &run->tickets[t];
		const uint64_t at = queue_header_at(ticket->base);

		if (ticket->kind != QUEUE_COMMIT || !queue_overlaps(ticket, offset, length))
			continue;
		queue_header_make(ticket->base, ticket->version, &header);
		if (memcmp(queue_world.bytes + at, &header, sizeof header) != 0)
			queue_add_store(at, &header, sizeof header);
	}
}

static void narrow_to_leader(struct queue_flushing *flushing)
{
	const struct queue_run *run = queue_world.run;

	for (uint64_t t = 1; t <= run->last; t++) {
		const struct queue_ticket *ticket = &run->tickets[t];

		if (ticket->kind != QUEUE_FLUSH ||
		    !queue_overlaps(ticket, flushing->offset, flushing->length))
			continue;
		flushing->offset = ticket->offset / QUEUE_PAGE * QUEUE_PAGE;
		flushing->length = ticket->offset + ticket->length - flushing->offset;
		return;
	}
}

static bool is_header_page(const struct queue_flushing *flushing)
{
	for (uint32_t base = 0; base < QUEUE_BASES; base++)
		if (queue_header_at(base) / QUEUE_PAGE * QUEUE_PAGE == flushing->offset)
			return flushing->length <= QUEUE_PAGE;
	return false;
}

void queue_break_flush(struct queue_flushing *flushing)
{
	const uint64_t begin = flushing->begin;

	if (queue_world.bug == QUEUE_SHORT)
		flushing->length -= QUEUE_PAGE;
	if (queue_world.bug == QUEUE_LEADER_ONLY)
		narrow_to_leader(flushing);
	if (queue_world.bug == QUEUE_JOINS_AT_WORK && last_begin > 0)
		flushing->begin = last_begin;
	last_begin = begin;
}

bool queue_hides_end(const struct queue_flushing *flushing)
{
	return queue_world.bug == QUEUE_HEADER_UNFLUSHED && is_header_page(flushing);
}
