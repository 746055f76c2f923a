/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A random program over one mapping: it stores, and asks its queue for everything that a queue is asked for.
 *
 * Invariant: a slot of a database is stored to only when a header of a later version than the slot's is known
 * to be durable, and commits of one database that are in flight together have a barrier between them.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "queue_sim.h"
#include "sys/ring.h"

#define YIELDS 20

struct program {
	struct queue_run *run;
	struct filemap *map;
	struct filemap_queue *queue;
	struct sim_rng rng;
	uint32_t asked[QUEUE_BASES], durable[QUEUE_BASES]; /* versions */
	bool refused;                                      /* the mapping is tainted */
};

/* ---- what is stored ---- */

uint64_t queue_header_at(uint32_t base)
{
	return base * QUEUE_PAGE + (base == 0 ? 64 : 1124); /* neither crosses the border of a sector */
}

static uint64_t mix(uint32_t base, uint32_t version)
{
	struct sim_rng rng = {base * UINT64_C(1000003) + version};

	return sim_next(&rng);
}

static uint64_t slot_at(uint32_t base, uint32_t version)
{
	return (2 + (uint64_t)base * QUEUE_SLOTS * 2) * QUEUE_PAGE + version % QUEUE_SLOTS * QUEUE_SLOT_BYTES;
}

void queue_header_make(uint32_t base, uint32_t version, struct queue_header *ret)
{
	const uint64_t m = mix(base, version), before = m % 1000;

	*ret = (struct queue_header){.magic = "queu",
				     .base = base,
				     .version = version,
				     .length = (uint32_t)(1 + m / 1000 % (QUEUE_SLOT_BYTES - before)),
				     .data_at = slot_at(base, version) + before,
				     .check = {m, ~m, m * 3}};
}

void queue_payload(uint32_t base, uint32_t version, uint8_t *to, size_t length)
{
	struct sim_rng rng = {mix(base, version)};

	for (size_t i = 0; i < length; i++)
		to[i] = (uint8_t)(1 + sim_below(&rng, 255));
}

/* ---- tickets ---- */

static void is_over(struct program *program, uint64_t number, int result)
{
	const struct queue_ticket *ticket = &program->run->tickets[number];

	queue_ended(number, result);
	if (result == 0 && ticket->kind == QUEUE_COMMIT && program->durable[ticket->base] < ticket->version)
		program->durable[ticket->base] = ticket->version;
	if (result != 0 && result != -ECANCELED && !queue_has_failed())
		queue_violation("ticket %llu: %s", (unsigned long long)number, filemap_error_name(result));
}

static void flush_something(struct program *program);

static void completed(struct filemap_queue *queue, uint64_t ticket, int result, void *context)
{
	struct program *program = context;

	(void)queue;
	is_over(program, ticket, result);
	if (sim_chance(&program->rng, 20))
		flush_something(program);
}

static filemap_completed *by_chance(struct program *program)
{
	return sim_chance(&program->rng, 40) ? completed : NULL;
}

/* One that has not ended; 0: there is none. */
static uint64_t live_ticket(struct program *program)
{
	const struct queue_run *run = program->run;

	for (unsigned tries = 0; tries < 8 && run->last > 0; tries++) {
		uint64_t ticket = run->last - sim_below(&program->rng, run->last < 12 ? run->last : 12);
		if (!run->tickets[ticket].ended)
			return ticket;
	}
	return 0;
}

static bool is_full(const struct program *program)
{
	return program->refused || program->run->last + 1 >= QUEUE_TICKETS;
}

static void collect(struct program *program, uint64_t ticket, int timeout_ms)
{
	struct filemap_completion done;
	int r;

	queue_submitted();
	if (timeout_ms < 0)
		queue_wait_begins();
	r = filemap_queue_wait(program->queue, ticket, timeout_ms, &done);
	queue_wait_ends();
	if (r == 1 && !program->run->tickets[done.ticket].called)
		is_over(program, done.ticket, done.result);
	else if (r < 0 && r != -ENOENT && r != -EINTR)
		queue_violation("wait: %s", filemap_error_name(r));
}

/* The answer to a request: 0 = it has this ticket. */
static bool was_taken(struct program *program, int r, uint64_t ticket, struct queue_ticket is)
{
	if (r == 0)
		queue_asked(ticket, is);
	else if (r == FILEMAP_EPOISONED && queue_has_failed())
		program->refused = true;
	else if (r != FILEMAP_EBUSY)
		queue_violation("a request was refused: %s", filemap_error_name(r));
	return r == 0;
}

/* ---- requests ---- */

static void store_something(struct program *program)
{
	uint8_t bytes[3000];
	const size_t length =
		1 + sim_below(&program->rng, sim_chance(&program->rng, 70) ? 200 : sizeof bytes);
	const uint64_t offset =
		QUEUE_FREE_AT + sim_below(&program->rng, QUEUE_BYTES - QUEUE_FREE_AT - length + 1);

	for (size_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)sim_next(&program->rng);
	queue_store(offset, bytes, length);
}

static void choose_range(struct program *program, uint64_t *offset, uint64_t *length)
{
	const uint64_t pages = (QUEUE_BYTES - QUEUE_FREE_AT) / QUEUE_PAGE, least = QUEUE_FREE_AT / QUEUE_PAGE;
	const unsigned kind = (unsigned)sim_below(&program->rng, 100);

	*offset = QUEUE_FREE_AT + sim_below(&program->rng, QUEUE_BYTES - QUEUE_FREE_AT);
	*length = 1 + sim_below(&program->rng, kind < 80 ? QUEUE_PAGE / 2 : 6 * QUEUE_PAGE);
	if (kind < 30) /* a few pages, at their borders or about */
		*offset = (least + sim_below(&program->rng, pages)) * QUEUE_PAGE;
	if (kind < 15 && *offset > QUEUE_FREE_AT)
		*offset -= 1;
	if (kind >= 96)
		*offset = 0;
	if (kind >= 96 || *length > QUEUE_BYTES - *offset)
		*length = QUEUE_BYTES - *offset;
}

static void flush_something(struct program *program)
{
	filemap_completed *const callback = by_chance(program);
	struct queue_ticket is = {.kind = QUEUE_FLUSH, .called = callback != NULL};
	uint64_t ticket = 0;
	int r;

	if (is_full(program))
		return;
	choose_range(program, &is.offset, &is.length);
	is.after = sim_chance(&program->rng, 30) ? live_ticket(program) : 0;
	if (is.after > 0)
		r = filemap_queue_flush_after(program->queue, program->map, (size_t)is.offset,
					      (size_t)is.length, is.after, callback, program, &ticket);
	else
		r = filemap_queue_flush(program->queue, program->map, (size_t)is.offset, (size_t)is.length,
					callback, program, &ticket);
	(void)was_taken(program, r, ticket, is);
}

static void sync_everything(struct program *program)
{
	filemap_completed *const callback = by_chance(program);
	uint64_t ticket = 0;

	int r = filemap_queue_sync(program->queue, program->map, callback, program, &ticket);
	(void)was_taken(program, r, ticket,
			(struct queue_ticket){
				.kind = QUEUE_FLUSH, .length = QUEUE_BYTES, .called = callback != NULL});
}

static void write_something_back(struct program *program)
{
	filemap_completed *const callback = by_chance(program);
	uint64_t ticket = 0, offset, length;

	choose_range(program, &offset, &length);
	int r = filemap_queue_writeback(program->queue, program->map, (size_t)offset, (size_t)length,
					callback, program, &ticket);
	(void)was_taken(program, r, ticket,
			(struct queue_ticket){.kind = QUEUE_HINT, .called = callback != NULL});
}

static bool put_barrier(struct program *program)
{
	uint64_t ticket = 0;

	int r = filemap_queue_barrier(program->queue, NULL, NULL, &ticket);
	return was_taken(program, r, ticket, (struct queue_ticket){.kind = QUEUE_BARRIER});
}

static bool is_committing(const struct program *program, uint32_t base)
{
	for (uint64_t t = 1; t <= program->run->last; t++) {
		const struct queue_ticket *ticket = &program->run->tickets[t];
		if (ticket->kind == QUEUE_COMMIT && ticket->base == base && !ticket->ended)
			return true;
	}
	return false;
}

/* Of one whose commit was cancelled or refused nobody may ever see the header. */
static void commit_something(struct program *program)
{
	const uint32_t base = (uint32_t)sim_below(&program->rng, QUEUE_BASES),
		       version = program->asked[base] + 1;
	filemap_completed *const callback = by_chance(program);
	uint8_t payload[QUEUE_SLOT_BYTES];
	struct queue_header header;
	uint64_t ticket = 0;
	int r;

	if (version >= program->durable[base] + QUEUE_SLOTS)
		return;
	if (is_committing(program, base) && !put_barrier(program))
		return;
	queue_header_make(base, version, &header);
	queue_payload(base, version, payload, header.length);
	queue_store(header.data_at, payload, header.length);
	r = filemap_queue_commit(program->queue, program->map, (size_t)header.data_at, header.length,
				 (size_t)queue_header_at(base), &header, sizeof header, callback, program,
				 &ticket);
	if (was_taken(program, r, ticket,
		      (struct queue_ticket){.kind = QUEUE_COMMIT,
					    .offset = header.data_at,
					    .length = header.length,
					    .base = base,
					    .version = version,
					    .called = callback != NULL}))
		program->asked[base] = version;
}

static void cancel_something(struct program *program)
{
	const uint64_t ticket = live_ticket(program);
	int r;

	if (ticket == 0 || program->run->tickets[ticket].kind == QUEUE_COMMIT)
		return; /* its version would be missing in the row */
	r = filemap_queue_cancel(program->queue, ticket);
	if (r != 0 && r != -EALREADY)
		queue_violation("cancel: %s", filemap_error_name(r));
}

/* ---- the course ---- */

static void begin_or_collect(struct program *program, uint64_t kind)
{
	int r = 0;

	queue_submitted();
	if (kind < 45)
		r = filemap_queue_submit(program->queue);
	else if (kind < 85)
		r = filemap_queue_poll(program->queue);
	else if (kind < 95)
		collect(program, FILEMAP_ANY, 0);
	else if (kind < 98)
		collect(program, FILEMAP_ANY, -1);
	else
		collect(program, live_ticket(program), -1);
	if (r < 0)
		queue_violation("submit or poll: %s", filemap_error_name(r));
}

/* Without it a program is over before any other thread has begun to work. */
static void let_others_run(void)
{
	for (int i = 0; i < YIELDS; i++)
		sched_yield();
}

static void step(struct program *program)
{
	const uint64_t kind = sim_below(&program->rng, 100);

	if (kind < 32)
		store_something(program);
	else if (kind >= 80 || is_full(program))
		begin_or_collect(program, sim_below(&program->rng, 100));
	else if (kind < 54)
		flush_something(program);
	else if (kind < 55)
		sync_everything(program);
	else if (kind < 58)
		write_something_back(program);
	else if (kind < 70)
		commit_something(program);
	else if (kind < 72)
		(void)put_barrier(program);
	else if (kind < 75)
		cancel_something(program);
	else
		let_others_run();
	queue_stepped();
}

static void collect_all(struct program *program)
{
	program->refused = true; /* callbacks ask for no more */
	queue_submitted();
	queue_wait_begins();
	if (filemap_queue_drain(program->queue) < 0)
		queue_violation("drain");
	for (uint64_t t = 1; t <= program->run->last; t++)
		if (!program->run->tickets[t].ended)
			collect(program, t, -1);
	for (uint64_t t = 1; t <= program->run->last; t++)
		if (!program->run->tickets[t].ended)
			queue_violation("ticket %llu never ended", (unsigned long long)t);
}

int queue_usable(const struct queue_shape *shape)
{
	struct fm__ring *ring;
	int r;

	if (shape->backend != FILEMAP_QUEUE_URING)
		return 0;
	r = fm__ring_open(4, &ring);
	if (r == 0)
		fm__ring_close(ring);
	return r;
}

static void open_both(struct program *program, const struct queue_shape *shape, const char *path)
{
	int r;

	r = filemap_open(path, FILEMAP_WRITE,
			 FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | FILEMAP_TRUNCATE, .size = QUEUE_BYTES),
			 &program->map, NULL);
	if (r == 0)
		r = filemap_queue_open(
			FILEMAP_QUEUE_OPTIONS(.backend = shape->backend, .flags = shape->flags),
			&program->queue, NULL);
	if (r < 0) {
		fprintf(stderr, "queue simulator: %s\n", filemap_error_name(r));
		abort();
	}
}

void queue_play(struct queue_run *run, const struct queue_shape *shape, const struct queue_plan *plan,
		const char *parent)
{
	struct program program = {.run = run, .rng = {plan->seed}};
	char path[400];

	snprintf(path, sizeof path, "%s/mapped", parent);
	open_both(&program, shape, path);
	queue_record_begin(run, program.map, plan->seed);
	queue_world.fail = plan->fail == 0 ? 0 : 1 + (unsigned)(plan->seed % plan->fail);
	for (unsigned i = 0; i < plan->steps; i++)
		step(&program);
	collect_all(&program);
	filemap_queue_close(program.queue);
	queue_world.fail = 0;
	queue_record_end();
	filemap_close(program.map);
	(void)unlink(path);
}
