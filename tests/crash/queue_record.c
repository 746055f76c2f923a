/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The run that is on: its events, and the flushes that are at work.
 *
 * Invariant: an event and the store that it describes happen under one lock, so that the order of events is the
 * order of stores. A flush that returns may have been held back for some steps of the program.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "queue_bugs.h"
#include "queue_sim.h"

#define AT_WORK_MAX 128
#define HELD_BACK_MAX 8 /* steps of the program */

struct queue_world queue_world;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static struct queue_flushing at_work[AT_WORK_MAX];
static struct queue_event deferred; /* QUEUE_EARLY_END: has been reported, has not happened */

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "queue simulator: %s\n", what);
	abort();
}

/* ---- events; locked ---- */

static uint64_t add(struct queue_event event)
{
	struct queue_run *run = queue_world.run;

	run->events = sim_grow(run->events, run->count, &run->room, sizeof *run->events);
	run->events[run->count++] = event;
	return run->count;
}

void queue_add_store(uint64_t offset, const void *bytes, size_t length)
{
	uint8_t *copy = malloc(length + 1);

	if (copy == NULL || offset + length > QUEUE_BYTES)
		die("a store cannot be recorded");
	memcpy(queue_world.bytes + offset, bytes, length);
	memcpy(copy, bytes, length);
	add((struct queue_event){.kind = QUEUE_STORE, .offset = offset, .length = length, .bytes = copy});
}

/* ---- runs ---- */

void queue_record_begin(struct queue_run *run, struct filemap *map, uint64_t seed)
{
	struct stat st;

	if (fstat(filemap_fd(map), &st) < 0 || filemap_size(map) != QUEUE_BYTES)
		die("no such mapping");
	memset(run, 0, sizeof *run);
	memset(at_work, 0, sizeof at_work);
	deferred = (struct queue_event){0};
	queue_bugs_reset();
	pthread_mutex_lock(&lock);
	queue_world.bytes = filemap_data_mut(map);
	queue_world.inode = st.st_ino;
	queue_world.step = 0;
	queue_world.waiting = false;
	queue_world.program = (uint64_t)pthread_self();
	queue_world.rng.s = seed * 77;
	queue_world.run = run;
	pthread_mutex_unlock(&lock);
}

void queue_record_end(void)
{
	const struct queue_run *run;
	uint8_t *bytes = calloc(1, QUEUE_BYTES);

	pthread_mutex_lock(&lock);
	run = queue_world.run;
	queue_world.run = NULL;
	for (size_t i = 0; bytes != NULL && i < run->count; i++)
		if (run->events[i].kind == QUEUE_STORE)
			memcpy(bytes + run->events[i].offset, run->events[i].bytes, run->events[i].length);
	if (bytes == NULL || memcmp(bytes, queue_world.bytes, QUEUE_BYTES) != 0)
		die("something was stored past the recorder");
	pthread_mutex_unlock(&lock);
	free(bytes);
}

void queue_run_free(struct queue_run *run)
{
	for (size_t i = 0; i < run->count; i++)
		free(run->events[i].bytes);
	free(run->events);
	run->events = NULL;
}

bool queue_is_ours(int fd)
{
	struct stat st;
	bool is_ours;

	pthread_mutex_lock(&lock);
	is_ours = queue_world.run != NULL && fstat(fd, &st) == 0 && st.st_ino == queue_world.inode;
	pthread_mutex_unlock(&lock);
	return is_ours;
}

bool queue_is_on(void)
{
	bool is_on;

	pthread_mutex_lock(&lock);
	is_on = queue_world.run != NULL;
	pthread_mutex_unlock(&lock);
	return is_on;
}

bool queue_must_return(void)
{
	bool must;

	pthread_mutex_lock(&lock);
	must = queue_world.waiting || (uint64_t)pthread_self() != queue_world.program;
	pthread_mutex_unlock(&lock);
	return must;
}

uint64_t queue_random(uint64_t bound)
{
	uint64_t value;

	pthread_mutex_lock(&lock);
	value = sim_below(&queue_world.rng, bound);
	pthread_mutex_unlock(&lock);
	return value;
}

/* ---- the program ---- */

void queue_record_store(uint64_t offset, const void *bytes, size_t length)
{
	pthread_mutex_lock(&lock);
	queue_add_store(offset, bytes, length);
	pthread_mutex_unlock(&lock);
}

void queue_store(uint64_t offset, const void *bytes, size_t length)
{
	queue_record_store(offset, bytes, length);
}

struct queue_ticket *queue_asked(uint64_t ticket, struct queue_ticket is)
{
	struct queue_run *run = queue_world.run;

	if (ticket != run->last + 1 || ticket > QUEUE_TICKETS)
		die("tickets do not ascend by one");
	for (uint64_t t = run->last; t > 0 && is.barrier == 0; t--)
		if (run->tickets[t].kind == QUEUE_BARRIER)
			is.barrier = t;
	pthread_mutex_lock(&lock);
	run->tickets[ticket] = is;
	run->last = ticket;
	pthread_mutex_unlock(&lock);
	return &run->tickets[ticket];
}

void queue_submitted(void)
{
	struct queue_run *run = queue_world.run;
	uint64_t event;

	pthread_mutex_lock(&lock);
	if (run->submitted < run->last) {
		event = add((struct queue_event){.kind = QUEUE_SUBMITTED, .ticket = run->last});
		while (run->submitted < run->last)
			run->tickets[++run->submitted].submitted = event;
	}
	pthread_mutex_unlock(&lock);
}

void queue_ended(uint64_t ticket, int result)
{
	struct queue_run *run = queue_world.run;

	pthread_mutex_lock(&lock);
	if (ticket == 0 || ticket > run->last || run->tickets[ticket].ended)
		die("a ticket ends that was never given, or twice");
	run->tickets[ticket].ended = true;
	run->tickets[ticket].result = result;
	add((struct queue_event){.kind = QUEUE_ENDED, .ticket = ticket});
	pthread_mutex_unlock(&lock);
}

static void set_waiting(bool waiting)
{
	pthread_mutex_lock(&lock);
	queue_world.waiting = waiting;
	pthread_cond_broadcast(&moved);
	pthread_mutex_unlock(&lock);
}

void queue_wait_begins(void)
{
	set_waiting(true);
}

void queue_wait_ends(void)
{
	set_waiting(false);
}

void queue_stepped(void)
{
	pthread_mutex_lock(&lock);
	queue_world.step++;
	pthread_cond_broadcast(&moved);
	pthread_mutex_unlock(&lock);
}

bool queue_has_failed(void)
{
	bool failed;

	pthread_mutex_lock(&lock);
	failed = queue_world.run->failed;
	pthread_mutex_unlock(&lock);
	return failed;
}

/* ---- the seam ---- */

static void count_at_work(const struct queue_flushing *flushing)
{
	struct queue_run *run = queue_world.run;
	uint64_t count = 0, tickets = 0;

	for (size_t i = 0; i < AT_WORK_MAX; i++)
		count += at_work[i].used;
	if (run->most_at_work < count)
		run->most_at_work = count;
	for (uint64_t t = 1; t <= run->last; t++)
		tickets += queue_overlaps(&run->tickets[t], flushing->offset, flushing->length);
	run->merged += tickets > 1;
}

static struct queue_flushing *free_place(void)
{
	for (size_t i = 0; i < AT_WORK_MAX; i++)
		if (!at_work[i].used)
			return &at_work[i];
	die("too many flushes at work");
}

/* Whole pages, as the kernel takes them. */
static struct queue_flushing flush_of_pages(uint64_t offset, uint64_t length)
{
	const uint64_t start = offset / QUEUE_PAGE * QUEUE_PAGE;
	const uint64_t end = length > QUEUE_BYTES - offset ? QUEUE_BYTES : offset + length;

	return (struct queue_flushing){.offset = start,
				       .length = (end - start + QUEUE_PAGE - 1) / QUEUE_PAGE * QUEUE_PAGE,
				       .used = true};
}

struct queue_flushing *queue_flush_begins(uint64_t offset, uint64_t length)
{
	struct queue_flushing *place;

	pthread_mutex_lock(&lock);
	place = free_place();
	*place = flush_of_pages(offset, length);
	if (queue_world.bug == QUEUE_HEADER_EARLY)
		queue_store_headers_early(place->offset, place->length);
	place->begin = add(
		(struct queue_event){.kind = QUEUE_BEGUN, .offset = place->offset, .length = place->length});
	place->until = queue_world.step + (unsigned)sim_below(&queue_world.rng, HELD_BACK_MAX);
	queue_break_flush(place);
	count_at_work(place);
	pthread_mutex_unlock(&lock);
	return place;
}

static bool is_ripe(const struct queue_flushing *flushing)
{
	return queue_world.waiting || queue_world.step >= flushing->until;
}

void queue_flush_pause(const struct queue_flushing *flushing)
{
	pthread_mutex_lock(&lock);
	while (!is_ripe(flushing))
		pthread_cond_wait(&moved, &lock);
	pthread_mutex_unlock(&lock);
}

bool queue_flush_is_ripe(const struct queue_flushing *flushing)
{
	bool ripe;

	pthread_mutex_lock(&lock);
	ripe = is_ripe(flushing);
	pthread_mutex_unlock(&lock);
	return ripe;
}

struct queue_flushing *queue_flush_find(uint64_t user_data)
{
	for (size_t i = 0; i < AT_WORK_MAX; i++)
		if (at_work[i].used && at_work[i].in_ring && at_work[i].user_data == user_data)
			return &at_work[i];
	return NULL;
}

static struct queue_flushing *any_other(const struct queue_flushing *flushing)
{
	const size_t first = sim_below(&queue_world.rng, AT_WORK_MAX);

	for (size_t i = 0; i < AT_WORK_MAX; i++) {
		struct queue_flushing *other = &at_work[(first + i) % AT_WORK_MAX];
		if (other->used && other != flushing)
			return other;
	}
	return NULL;
}

/*
 * The kernel has one error for the file and tells it to one of the flushes that are at work, whosever pages
 * it was; the one that could not write may be told 0, and may come back before the other.
 */
static void fail_one(struct queue_flushing *flushing)
{
	struct queue_flushing *other = any_other(flushing);
	const uint64_t kind = other == NULL ? 0 : sim_below(&queue_world.rng, 5);

	if (queue_world.fail == 0 || --queue_world.fail > 0)
		return;
	queue_world.run->failed = true;
	(kind == 1 || kind == 2 ? other : flushing)->lost = true;
	(kind > 2 ? other : flushing)->told = true;
}

static void add_end(const struct queue_flushing *flushing)
{
	const struct queue_event event = {.kind = flushing->lost ? QUEUE_LOST : QUEUE_FLUSHED,
					  .offset = flushing->offset,
					  .length = flushing->length,
					  .begin = flushing->begin};

	if (event.length == 0 || queue_hides_end(flushing))
		return;
	if (queue_world.bug != QUEUE_EARLY_END) {
		add(event);
		return;
	}
	if (deferred.length > 0)
		add(deferred);
	deferred = event;
}

int queue_flush_ends(struct queue_flushing *flushing)
{
	int r;

	pthread_mutex_lock(&lock);
	fail_one(flushing);
	r = flushing->told ? -EIO : 0;
	add_end(flushing);
	flushing->used = false;
	pthread_mutex_unlock(&lock);
	return r;
}
