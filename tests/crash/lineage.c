/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What the application knows at a moment: the records it appended and the positions it was told are safe.
 * A record's payload is made from its number, so that whatever a reader returns can be traced to one append.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "sim.h"

static size_t *lengths;
static size_t length_count, length_room;

uint64_t sim_new_id(size_t length)
{
	uint64_t id;

	sim_lock();
	lengths = sim_grow(lengths, length_count, &length_room, sizeof *lengths);
	id = length_count;
	lengths[length_count++] = length;
	sim_unlock();
	return id;
}

size_t sim_length(uint64_t id)
{
	size_t length = SIZE_MAX;

	sim_lock();
	if (id < length_count)
		length = lengths[id];
	sim_unlock();
	return length;
}

/* Small ones are all noise; large ones are zeros with islands, so that their pages stay few. */
void sim_payload(uint64_t id, void *to, size_t length)
{
	struct sim_rng rng = {id * 77 + 5};
	uint8_t *bytes = to;

	memset(bytes, 0, length);
	for (size_t at = 0; length <= 512 && at < length; at++)
		bytes[at] = (uint8_t)sim_next(&rng);
	for (unsigned i = 0; length > 512 && i < 10; i++) {
		size_t at = (size_t)sim_below(&rng, length - 64);
		for (size_t j = 0; j < 40; j++)
			bytes[at + j] = (uint8_t)sim_next(&rng);
	}
	if (length >= 8)
		fm__put_le64(bytes, id);
	if (length > 8)
		bytes[length - 1] |= 1;
}

void sim_records_add(struct sim_records *records, struct sim_record record)
{
	size_t i;

	records->list = sim_grow(records->list, records->count, &records->room, sizeof *records->list);
	for (i = records->count++; i > 0 && records->list[i - 1].lsn > record.lsn; i--)
		records->list[i] = records->list[i - 1];
	records->list[i] = record;
}

void sim_records_clone(const struct sim_records *from, struct sim_records *to)
{
	memset(to, 0, sizeof *to);
	for (size_t i = 0; i < from->count; i++) {
		to->list = sim_grow(to->list, to->count, &to->room, sizeof *to->list);
		to->list[to->count++] = from->list[i];
	}
}

void sim_lineage_clone(const struct sim_lineage *from, struct sim_lineage *to)
{
	*to = *from;
	sim_records_clone(&from->records, &to->records);
	sim_records_clone(&from->history, &to->history);
	to->inflight = NULL;
	to->inflight_count = to->inflight_room = 0;
	for (size_t i = 0; i < from->inflight_count; i++) {
		to->inflight = sim_grow(to->inflight, i, &to->inflight_room, sizeof *to->inflight);
		to->inflight[to->inflight_count++] = from->inflight[i];
	}
}

void sim_lineage_free(struct sim_lineage *lineage)
{
	free(lineage->records.list);
	free(lineage->history.list);
	free(lineage->inflight);
	memset(lineage, 0, sizeof *lineage);
}

static void landed(struct sim_lineage *lineage, struct sim_record record)
{
	for (size_t i = 0; i < lineage->inflight_count; i++)
		if (lineage->inflight[i] == record.id) {
			lineage->inflight[i] = lineage->inflight[--lineage->inflight_count];
			break;
		}
	for (size_t i = 0; i < lineage->history.count; i++)
		if (lineage->history.list[i].lsn == record.lsn &&
		    lineage->history.list[i].epoch == record.epoch &&
		    lineage->history.list[i].id != record.id)
			sim_violation("(%llu, epoch %u) was given to two records",
				      (unsigned long long)record.lsn, record.epoch);
	record.promise = lineage->durable;
	sim_records_add(&lineage->records, record);
	sim_records_add(&lineage->history, record);
}

static bool known(const struct sim_records *records, uint64_t id)
{
	for (size_t i = 0; i < records->count; i++)
		if (records->list[i].id == id)
			return true;
	return false;
}

static void reopened(struct sim_lineage *lineage, const struct sim_event *event)
{
	free(lineage->records.list);
	sim_records_clone(&event->output, &lineage->records);
	for (size_t i = 0; i < event->output.count; i++)
		if (!known(&lineage->history, event->output.list[i].id))
			sim_records_add(&lineage->history, event->output.list[i]);
	lineage->inflight_count = 0;
	lineage->durable = lineage->published = event->offset;
	lineage->opened = true;
}

void sim_lineage_apply(struct sim_lineage *lineage, const struct sim_event *event)
{
	switch (event->kind) {
	case SIM_INTENT:
		lineage->inflight = sim_grow(lineage->inflight, lineage->inflight_count,
					     &lineage->inflight_room, sizeof *lineage->inflight);
		lineage->inflight[lineage->inflight_count++] = event->offset;
		return;
	case SIM_APPENDED:
		landed(lineage, event->record);
		return;
	case SIM_DURABLE:
		if (event->offset > lineage->durable)
			lineage->durable = event->offset;
		return;
	case SIM_PUBLISHED:
		if (event->offset > lineage->published)
			lineage->published = event->offset;
		return;
	case SIM_OPENED:
		reopened(lineage, event);
		return;
	default:
		return;
	}
}
