/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The application of the simulator: opens, appends, waits, closes, and writes down what it was told. It tells
 * only the truth: a position is noted after the library has acknowledged it.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "sim.h"

#define WAIT_MS 20000
#define LENGTH_MAX 520000u

unsigned sim_violations;
char sim_first_violation[600];
char sim_where[200];

void sim_violation(const char *format, ...)
{
	char text[300];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	sim_lock();
	if (sim_violations++ == 0)
		snprintf(sim_first_violation, sizeof sim_first_violation, "%s: %s", sim_where, text);
	sim_unlock();
}

void sim_violations_reset(void)
{
	sim_violations = 0;
	sim_first_violation[0] = '\0';
	sim_where[0] = '\0';
}

int sim_open_log(const char *dir, struct filemap_queue *queue, struct filemap_log **ret,
		 struct filemap_log_report *report, struct filemap_error *error)
{
	const struct filemap_log_options options = {
		.struct_size = sizeof options,
		.flags = FILEMAP_LOG_CREATE,
		.segment_size = SIM_SEGMENT_SIZE,
		.frame_unit = sim_world.unit,
		.queue = queue,
	};
	int r;

	sim_opening = true;
	r = filemap_log_open(dir, &options, ret, report, error);
	sim_opening = false;
	return r;
}

/* ---- reading ---- */

static void check_payload(const struct filemap_log_record *record, struct sim_record *ret)
{
	static uint8_t expected[LENGTH_MAX];

	*ret = (struct sim_record){
		.lsn = record->position.lsn, .epoch = record->position.epoch, .id = UINT64_MAX};
	if (record->length >= 8)
		ret->id = fm__get_le64(record->data);
	if (record->length < 8 || record->length > sizeof expected || sim_length(ret->id) != record->length) {
		sim_violation("the record at %llu is foreign", (unsigned long long)ret->lsn);
		return;
	}
	sim_payload(ret->id, expected, record->length);
	if (memcmp(expected, record->data, record->length) != 0)
		sim_violation("the record at %llu is torn", (unsigned long long)ret->lsn);
}

int sim_read_on(struct filemap_log_reader *reader, struct sim_records *records)
{
	struct filemap_log_record record;
	struct sim_record found;
	int r;

	while ((r = filemap_log_reader_next(reader, &record)) == 1) {
		check_payload(&record, &found);
		if (records->count > 0 && records->list[records->count - 1].lsn >= found.lsn)
			sim_violation("records come out of order at %llu", (unsigned long long)found.lsn);
		sim_records_add(records, found);
	}
	return r;
}

int sim_read_all(const char *dir, uint32_t level, struct sim_records *ret, struct filemap_log_report *report,
		 struct filemap_error *error)
{
	const struct filemap_log_reader_options options = {.struct_size = sizeof options, .level = level};
	struct filemap_log_reader *reader;
	int r;

	memset(ret, 0, sizeof *ret);
	r = filemap_log_reader_open(dir, &options, &reader, report, error);
	if (r < 0)
		return r;
	r = sim_read_on(reader, ret);
	filemap_log_reader_close(reader);
	return r;
}

void sim_note_opened(const char *dir, const struct filemap_log *log, uint32_t epoch)
{
	struct sim_records output;
	struct sim_event *event;
	int r;

	r = sim_read_all(dir, FILEMAP_DURABLE, &output, NULL, NULL);
	if (r < 0)
		sim_violation("reading behind an opening: %s", filemap_error_name(r));
	for (size_t i = 0; i < output.count; i++)
		if (output.list[i].epoch >= epoch)
			sim_violation("epoch %u is begun again", epoch);
	if (!sim_enter()) {
		free(output.list);
		return;
	}
	event = sim_event(SIM_OPENED);
	event->output = output;
	event->offset = filemap_log_durable(log);
	sim_leave();
}

/* ---- appending ---- */

static size_t choose_length(struct sim_rng *rng, const struct sim_plan *plan)
{
	if (sim_chance(rng, plan->big_percent))
		return (size_t)(100000 + sim_below(rng, 400000));
	if (sim_chance(rng, 15))
		return (size_t)(600 + sim_below(rng, 8000));
	return (size_t)(8 + sim_below(rng, 200));
}

/* A flush that was made to fail is allowed to stop everything; nothing else is. */
static void refused(const char *what, int r)
{
	bool failed;

	sim_lock();
	failed = sim_world.flush_failed;
	sim_unlock();
	if (!failed)
		sim_violation("%s: %s", what, filemap_error_name(r));
}

static int append_one(struct filemap_log *log, struct sim_rng *rng, const struct sim_plan *plan,
		      struct filemap_log_position *ret)
{
	size_t length = choose_length(rng, plan);
	uint64_t id = sim_new_id(length);
	uint8_t *payload = malloc(length);
	int r;

	if (payload == NULL)
		abort();
	sim_payload(id, payload, length);
	sim_note(SIM_INTENT, id);
	r = filemap_log_append(log, payload, length, ret);
	free(payload);
	if (r < 0) {
		refused("append", r);
		return r;
	}
	sim_note_record((struct sim_record){.lsn = ret->lsn, .epoch = ret->epoch, .id = id});
	return 0;
}

static int wait_for(struct filemap_log *log, uint64_t lsn)
{
	int r = filemap_log_wait(log, lsn, FILEMAP_DURABLE, WAIT_MS);

	if (r == 1)
		sim_note(SIM_DURABLE, lsn + 1);
	else if (r == 0)
		sim_violation("a wait for %llu timed out", (unsigned long long)lsn);
	else
		refused("wait", r);
	return r;
}

void sim_append_some(struct filemap_log *log, struct sim_rng *rng, const struct sim_plan *plan)
{
	for (unsigned i = 0; i < plan->appends; i++) {
		struct filemap_log_position position;
		int r;

		r = append_one(log, rng, plan, &position);
		if (r < 0)
			return;
		if (sim_chance(rng, 50))
			sim_note(SIM_PUBLISHED, filemap_log_published(log));
		if (sim_chance(rng, plan->wait_percent) && wait_for(log, position.lsn) < 0)
			return;
		if (plan->queue && sim_chance(rng, 50))
			(void)filemap_log_poll(log);
		if (sim_chance(rng, 30))
			sim_note(SIM_DURABLE, filemap_log_durable(log));
	}
}

void sim_close_log(struct filemap_log *log, bool finish)
{
	struct filemap_error error;

	if (finish) {
		uint64_t tail = filemap_log_tail(log);
		int r = filemap_log_finish(log, &error);
		if (r < 0)
			refused("finish", r);
		else
			sim_note(SIM_DURABLE, tail);
	}
	filemap_log_close(log);
}

/* ---- a run from nothing ---- */

struct producer {
	struct filemap_log *log;
	const struct sim_plan *plan;
	struct sim_rng rng;
	pthread_t thread;
};

static void *produce(void *context)
{
	struct producer *producer = context;

	sim_append_some(producer->log, &producer->rng, producer->plan);
	return NULL;
}

static void append_with_threads(struct filemap_log *log, struct sim_rng *rng, const struct sim_plan *plan)
{
	struct producer producers[8];
	unsigned count = plan->threads > 8 ? 8 : plan->threads;

	if (count < 2) {
		sim_append_some(log, rng, plan);
		return;
	}
	for (unsigned i = 0; i < count; i++) {
		producers[i] = (struct producer){.log = log, .plan = plan, .rng = {sim_next(rng)}};
		if (pthread_create(&producers[i].thread, NULL, produce, &producers[i]) != 0)
			abort();
	}
	for (unsigned i = 0; i < count; i++)
		pthread_join(producers[i].thread, NULL);
}

static int session(const struct sim_run *run, struct sim_rng *rng, const struct sim_plan *plan,
		   struct filemap_queue *queue)
{
	struct filemap_log_report report;
	struct filemap_error error;
	struct filemap_log *log;
	int r;

	r = sim_open_log(run->dir, queue, &log, &report, &error);
	if (r < 0) {
		refused(error.step, r);
		return r;
	}
	sim_note_opened(run->dir, log, report.epoch);
	append_with_threads(log, rng, plan);
	sim_close_log(log, plan->finish && sim_chance(rng, 50));
	return 0;
}

static struct filemap_queue *open_queue(const struct sim_plan *plan)
{
	const struct filemap_queue_options options = {
		.struct_size = sizeof options, .backend = FILEMAP_QUEUE_THREADS, .workers = 3};
	struct filemap_queue *queue = NULL;

	if (plan->queue && filemap_queue_open(&options, &queue, NULL) < 0)
		abort();
	return queue;
}

void sim_play(struct sim_run *run, const struct sim_plan *plan, const char *parent)
{
	static const uint32_t units[] = {32, 64, 128};
	struct sim_lineage nothing = {0};
	struct sim_rng rng = {plan->seed};
	struct filemap_queue *queue;
	struct sim_state empty;

	sim_state_init(&empty);
	sim_world.boot++;
	sim_world.flush_failed = false;
	sim_world.unit = units[sim_below(&rng, 3)];
	sim_world.shake = plan->threads > 1;
	snprintf(sim_where, sizeof sim_where, "seed %llu", (unsigned long long)plan->seed);
	queue = open_queue(plan);
	sim_run_begin(run, &empty, &nothing, parent);
	sim_world.fail_flush = plan->fail_flush;
	for (unsigned i = 0; i < plan->sessions && !sim_world.flush_failed; i++)
		if (session(run, &rng, plan, queue) < 0)
			break;
	filemap_queue_close(queue);
	sim_world.fail_flush = 0;
	sim_run_end(run);
	sim_world.flush_failed = false;
	sim_world.shake = false;
	sim_state_free(&empty);
}
