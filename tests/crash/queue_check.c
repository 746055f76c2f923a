/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Cuts the power after every event, in every way, and looks at what is left: what ended with 0 is there, a
 * header is an old one or a new one, and the data that it points to is there completely.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue_sim.h"

struct queue_counts queue_counts;
unsigned queue_violations;
char queue_first_violation[400];

struct checker {
	const struct queue_run *run;
	struct queue_device device;
	struct sim_rng rng;
	uint64_t seed, seq;
	uint64_t finished[QUEUE_TICKETS + 1]; /* tickets known to have finished */
	uint32_t versions[QUEUE_BASES];       /* headers at least this new are promised */
	enum queue_cut cut;
	uint32_t left[QUEUE_SECTORS];
};

void queue_violation(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	if (queue_violations++ == 0)
		vsnprintf(queue_first_violation, sizeof queue_first_violation, format, arguments);
	va_end(arguments);
}

void queue_violations_reset(void)
{
	queue_violations = 0;
	queue_first_violation[0] = '\0';
}

static void complain(const struct checker *checker, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void complain(const struct checker *checker, const char *format, ...)
{
	static const char *const cuts[QUEUE_CUTS + 1] = {"old",      "new",     "random",  "one kept",
							 "one lost", "headers", "none yet"};
	char text[200];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	queue_violation("seed %" PRIu64 ", event %" PRIu64 " of %zu, cut %s: %s", checker->seed, checker->seq,
			checker->run->count, cuts[checker->cut], text);
}

/* ---- what has been promised ---- */

static void promise(struct checker *checker, uint64_t number)
{
	const struct queue_ticket *ticket = &checker->run->tickets[number];

	if (number == 0 || checker->finished[number])
		return;
	checker->finished[number] = 1;
	if (ticket->result != 0 || ticket->kind == QUEUE_BARRIER || ticket->kind == QUEUE_HINT)
		return;
	if (ticket->submitted == 0)
		complain(checker, "ticket %" PRIu64 " ended before it was submitted", number);
	queue_counts.promises++;
	queue_device_promise(&checker->device, ticket->offset, ticket->length, ticket->submitted, number);
	if (ticket->kind == QUEUE_COMMIT && checker->versions[ticket->base] < ticket->version)
		checker->versions[ticket->base] = ticket->version;
}

static void promise_all_before(struct checker *checker, uint64_t number)
{
	for (uint64_t t = 1; t < number; t++)
		promise(checker, t);
}

/* What a ticket's end says of others: what it came after has ended with 0; what is before its barrier, at all. */
static void finish(struct checker *checker, uint64_t number)
{
	const struct queue_ticket *ticket = &checker->run->tickets[number];

	if (ticket->kind == QUEUE_BARRIER && ticket->result != -ECANCELED)
		promise_all_before(checker, number);
	if (ticket->result != 0)
		return;
	promise_all_before(checker, ticket->barrier);
	for (uint64_t t = number; t != 0; t = checker->run->tickets[t].after) {
		if (checker->run->tickets[t].result != 0)
			complain(checker,
				 "ticket %" PRIu64 " ended with 0 after ticket %" PRIu64 ", which did not",
				 number, t);
		promise(checker, t);
	}
}

/* ---- what a cut has left ---- */

static void check_promises(const struct checker *checker)
{
	for (size_t i = 0; i < QUEUE_SECTORS; i++) {
		const struct queue_sector *sector = &checker->device.sectors[i];

		if (sector->list[checker->left[i]].seq < sector->need) {
			complain(checker, "sector %zu of ticket %" PRIu64 ", which ended with 0, is lost", i,
				 sector->need_ticket);
			return;
		}
	}
}

static void check_data(const struct checker *checker, uint32_t base, const struct queue_header *header)
{
	static uint8_t found[QUEUE_SLOT_BYTES], expected[QUEUE_SLOT_BYTES];

	queue_device_read(&checker->device, checker->left, header->data_at, found, header->length);
	queue_payload(base, header->version, expected, header->length);
	if (memcmp(found, expected, header->length) != 0)
		complain(checker, "base %u: the header is version %u, its data is not all there", base,
			 header->version);
}

static void check_header(const struct checker *checker, uint32_t base)
{
	static const struct queue_header none;
	struct queue_header found, expected;

	queue_device_read(&checker->device, checker->left, queue_header_at(base), &found, sizeof found);
	if (found.version < checker->versions[base])
		complain(checker, "base %u: version %u was committed and is not there", base,
			 checker->versions[base]);
	if (memcmp(&found, &none, sizeof none) == 0)
		return;
	queue_header_make(base, found.version, &expected);
	if (memcmp(&found, &expected, sizeof found) != 0)
		complain(checker, "base %u: the header of version %u is torn", base, found.version);
	else
		check_data(checker, base, &found);
}

/* ---- that the simulator does lose what nobody flushed ---- */

static bool loses(const struct checker *checker, uint64_t offset, uint64_t length)
{
	for (uint64_t i = offset / QUEUE_SECTOR; i * QUEUE_SECTOR < offset + length; i++)
		if (checker->left[i] + 1 < checker->device.sectors[i].count)
			return true;
	return false;
}

static void count_in_flight(const struct checker *checker, const struct queue_ticket *ticket)
{
	struct queue_header header;

	if (loses(checker, ticket->offset, ticket->length))
		queue_counts.lost_in_flight++;
	else
		queue_counts.kept_in_flight++;
	if (ticket->kind != QUEUE_COMMIT)
		return;
	queue_device_read(&checker->device, checker->left, queue_header_at(ticket->base), &header,
			  sizeof header);
	if (header.version < ticket->version)
		queue_counts.old_headers++;
	else
		queue_counts.new_headers++;
}

static void count(const struct checker *checker)
{
	const struct queue_run *run = checker->run;

	queue_counts.cuts++;
	queue_counts.lost += loses(checker, 0, QUEUE_BYTES);
	for (uint64_t t = 1; t <= run->last; t++) {
		const struct queue_ticket *ticket = &run->tickets[t];

		if (ticket->submitted > 0 && ticket->submitted < checker->seq && ticket->length > 0 &&
		    !checker->finished[t])
			count_in_flight(checker, ticket);
	}
}

static void cut_here(struct checker *checker)
{
	for (checker->cut = QUEUE_OLD; checker->cut < QUEUE_CUTS; checker->cut++) {
		queue_device_cut(&checker->device, checker->cut, &checker->rng, checker->left);
		check_promises(checker);
		for (uint32_t base = 0; base < QUEUE_BASES; base++)
			check_header(checker, base);
		count(checker);
	}
}

void queue_check(const struct queue_run *run, uint64_t seed)
{
	struct checker *checker = calloc(1, sizeof *checker);

	if (checker == NULL)
		abort();
	checker->run = run;
	checker->seed = seed;
	checker->rng.s = seed;
	queue_device_init(&checker->device);
	queue_counts.merged += run->merged;
	queue_counts.failed += run->failed;
	if (queue_counts.most_at_work < run->most_at_work)
		queue_counts.most_at_work = run->most_at_work;
	for (size_t i = 0; i < run->count && queue_violations == 0; i++) {
		checker->seq = i + 1;
		checker->cut = QUEUE_CUTS;
		queue_device_apply(&checker->device, &run->events[i], checker->seq);
		if (run->events[i].kind == QUEUE_ENDED)
			finish(checker, run->events[i].ticket);
		cut_here(checker);
	}
	queue_device_free(&checker->device);
	free(checker);
}
