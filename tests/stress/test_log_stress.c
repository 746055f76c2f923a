/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Many threads append to one log of small segments, some wait, some ask for statistics. All records come back,
 * those of each thread in its order, and no position is given twice.
 */
#include <pthread.h>

#include "log_app.h"

#define PRODUCERS 8
#define EACH 600

struct producer {
	struct filemap_log *log;
	pthread_t thread;
	uint64_t number;
	uint64_t lsn[EACH];
	int failed;
};

static uint64_t id_of(uint64_t producer, uint64_t i)
{
	return producer << 32 | i;
}

static int wait_now_and_then(const struct producer *p, uint64_t i)
{
	struct filemap_log_stats stats;

	if (i % (p->number + 3) == 0)
		return filemap_log_wait(p->log, p->lsn[i], FILEMAP_DURABLE, -1) == 1 ? 0 : -1;
	if (i % 16 == 5)
		return filemap_log_wait(p->log, p->lsn[i], FILEMAP_PUBLISHED, -1) == 1 ? 0 : -1;
	if (i % 64 == 7)
		return filemap_log_stats(p->log, &stats);
	if (i % 200 == 11)
		return filemap_log_sync(p->log, NULL);
	return 0;
}

static void *produce(void *context)
{
	struct producer *p = context;
	struct filemap_log_position position;

	for (uint64_t i = 0; i < EACH && !p->failed; i++) {
		if (app_append(p->log, id_of(p->number, i), &position) < 0) {
			p->failed = 1;
			break;
		}
		p->lsn[i] = position.lsn;
		if (wait_now_and_then(p, i) < 0)
			p->failed = 1;
	}
	return NULL;
}

static void read_all_back(const char *dir, const struct producer *producers)
{
	const struct filemap_log_reader_options options = {.struct_size = sizeof options,
							   .level = FILEMAP_DURABLE};
	struct filemap_log_reader *reader;
	struct filemap_log_record record;
	uint64_t next[PRODUCERS] = {0};
	int r;

	assert_ok(filemap_log_reader_open(dir, &options, &reader, NULL, NULL));
	while ((r = filemap_log_reader_next(reader, &record)) == 1) {
		uint64_t id = app_check(&record), p = id >> 32;

		assert_true(p < PRODUCERS);
		assert_int_equal((uint32_t)id, next[p]);
		assert_int_equal(record.position.lsn, producers[p].lsn[next[p]]);
		next[p]++;
	}
	assert_int_equal(r, 0);
	for (unsigned p = 0; p < PRODUCERS; p++)
		assert_int_equal(next[p], EACH);
	filemap_log_reader_close(reader);
}

static void run_producers(const char *dir, struct filemap_queue *queue)
{
	struct producer *producers = calloc(PRODUCERS, sizeof *producers);
	struct filemap_log *log = app_open(dir, queue, NULL);
	struct filemap_log_report report;

	for (unsigned i = 0; i < PRODUCERS; i++) {
		producers[i].log = log;
		producers[i].number = i;
		assert_int_equal(pthread_create(&producers[i].thread, NULL, produce, &producers[i]), 0);
	}
	for (unsigned i = 0; i < PRODUCERS; i++) {
		pthread_join(producers[i].thread, NULL);
		assert_int_equal(producers[i].failed, 0);
	}
	assert_ok(filemap_log_finish(log, NULL));
	filemap_log_close(log);
	read_all_back(dir, producers);
	assert_ok(filemap_log_verify(dir, FILEMAP_LOG_DEEP, &report, NULL));
	assert_int_equal(report.state, FILEMAP_LOG_CLEAN);
	assert_int_equal(report.records, PRODUCERS * EACH);
	free(producers);
}

static void log_of_many_producers_keeps_each_ones_order(void **state)
{
	run_producers(t_path(*state, "log"), NULL);
}

static void log_of_many_producers_behind_a_queue_keeps_each_ones_order(void **state)
{
	struct filemap_queue *queue;

	assert_ok(filemap_queue_open(FILEMAP_QUEUE_OPTIONS(.backend = FILEMAP_QUEUE_THREADS), &queue, NULL));
	run_producers(t_path(*state, "log"), queue);
	filemap_queue_close(queue);
}

/* ---- nobody's commit is forgotten ---- */

#define ROUNDS 20000

struct meeting {
	struct filemap_log *log;
	pthread_barrier_t before, after;
	int failed;
};

static void *append_each_round(void *context)
{
	struct meeting *m = context;

	for (int i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&m->before);
		for (int k = 0; k < 3; k++)
			if (filemap_log_append(m->log, &i, sizeof i, NULL) < 0)
				__atomic_store_n(&m->failed, 1, __ATOMIC_RELAXED);
		pthread_barrier_wait(&m->after);
	}
	return NULL;
}

/* Two threads end an append at the same moment, and neither comes back: each counts on the other to publish. */
static void log_whose_appends_have_all_returned_is_published_to_its_tail(void **state)
{
	struct meeting m = {.log = app_open(t_path(*state, "log"), NULL, NULL)};
	unsigned behind = 0;
	pthread_t threads[2];

	pthread_barrier_init(&m.before, NULL, 3);
	pthread_barrier_init(&m.after, NULL, 3);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, append_each_round, &m), 0);
	for (int i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&m.before);
		pthread_barrier_wait(&m.after);
		behind += filemap_log_published(m.log) != filemap_log_tail(m.log);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&m.before);
	pthread_barrier_destroy(&m.after);
	assert_int_equal(behind, 0);
	assert_int_equal(m.failed, 0);
	filemap_log_close(m.log);
}

T_MAIN(T_TEST(log_of_many_producers_keeps_each_ones_order),
       T_TEST(log_of_many_producers_behind_a_queue_keeps_each_ones_order),
       T_TEST(log_whose_appends_have_all_returned_is_published_to_its_tail))
