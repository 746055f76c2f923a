/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The stalls of a thread that only stores, 64 bytes at a time, while somebody flushes the same pages all the time: by
 * msync on a helper thread, or by a queue that the storing thread drives between its stores.
 *
 * Invariant: only the store itself is between two readings of the clock; a store is begun every few microseconds,
 * whatever the one before took, so that a long stall is not the only one counted for what it delays.
 */
#include "bench_queue.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGES ((size_t)16)
#define STORES ((size_t)400000) /* of each way */
#define EVERY_NS 4000u
#define SLICE_SECONDS 0.1
#define SECONDS 1.6 /* for each way */
#define POLL_EVERY 16u

enum { QUIET, MSYNC, URING, THREADS, SHARED, WAYS };

struct way {
	const char *name;
	struct bq_kind kind;
	struct filemap_queue *queue;
	struct bench_series stores;
	uint64_t flushes, flushing_ns;
	int in_flight;
};

/* ---- flushing on a helper thread ---- */

struct helper {
	pthread_t thread;
	const struct bq_file *file;
	uint64_t flushes;
	int stop;
};

static void *flush_on(void *context)
{
	struct helper *h = context;

	while (!__atomic_load_n(&h->stop, __ATOMIC_RELAXED)) {
		bench_require(msync(h->file->data, PAGES * BQ_PAGE, MS_SYNC) < 0 ? -errno : 0, "msync");
		h->flushes++;
	}
	return NULL;
}

static void start_helper(struct helper *h)
{
	h->stop = 0;
	bench_require(-pthread_create(&h->thread, NULL, flush_on, h), "pthread_create");
}

static void stop_helper(struct helper *h)
{
	__atomic_store_n(&h->stop, 1, __ATOMIC_RELAXED);
	pthread_join(h->thread, NULL);
}

/* ---- flushing by a queue ---- */

static void completed(struct filemap_queue *queue, uint64_t ticket, int result, void *context)
{
	struct way *way = context;

	(void)queue, (void)ticket;
	bench_require(result, "queued flush");
	way->in_flight = 0;
	way->flushes++;
}

static void drive(struct way *way, const struct bq_file *file)
{
	bench_require(filemap_queue_poll(way->queue), "filemap_queue_poll");
	if (way->in_flight)
		return;
	way->in_flight = 1;
	bench_require(filemap_queue_flush(way->queue, file->map, 0, PAGES * BQ_PAGE, completed, way, NULL),
		      "filemap_queue_flush");
	bench_require(filemap_queue_submit(way->queue), "filemap_queue_submit");
}

/* ---- storing ---- */

static size_t next_place(void)
{
	static uint64_t seed = 88172645463325252u;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (size_t)(seed % (PAGES * BQ_PAGE / 64)) * 64;
}

static void store(struct way *way, unsigned char *to, uint64_t number)
{
	unsigned char record[64];
	uint64_t start;

	memset(record, (int)number, sizeof record);
	start = bench_now_ns();
	memcpy(to, record, sizeof record);
	__asm__ volatile("" ::: "memory");
	bench_series_add(&way->stores, bench_now_ns() - start);
}

static void store_until(struct way *way, const struct bq_file *file, uint64_t end)
{
	uint64_t due = bench_now_ns();

	for (uint64_t number = 0; due < end; number++) {
		store(way, file->data + next_place(), number);
		if (way->queue && number % POLL_EVERY == 0)
			drive(way, file);
		due += EVERY_NS;
		bq_spin_until(due);
	}
}

static void run_slice(struct way *ways, size_t number, const struct bq_file *file, struct helper *helper)
{
	struct way *way = &ways[number];
	const uint64_t start = bench_now_ns();

	if (number == MSYNC)
		start_helper(helper);
	store_until(way, file, start + (uint64_t)(SLICE_SECONDS * 1e9));
	if (number == MSYNC)
		stop_helper(helper);
	if (way->queue)
		bench_require(filemap_queue_drain(way->queue), "filemap_queue_drain");
	way->flushing_ns += bench_now_ns() - start;
}

static void print(const struct way *ways)
{
	printf("   stalls of single stores of 64 bytes into %zu pages, one every %u us, while they are "
	       "flushed\n",
	       PAGES, EVERY_NS / 1000);
	for (size_t w = 0; w < WAYS; w++) {
		const struct way *way = &ways[w];

		if (way->stores.count == 0)
			continue;
		bq_print(&way->stores);
		printf("  p99.99 %8.1f  max %8.1f us, %6.0f flushes/s\n", bq_us(&way->stores, 999900),
		       bq_us(&way->stores, 1000000), (double)way->flushes * 1e9 / (double)way->flushing_ns);
	}
}

static void run(const struct bq *bq, struct way *ways, const struct bq_file *file)
{
	const size_t rounds = (size_t)(SECONDS * bq->scale / SLICE_SECONDS) + 1;
	struct helper helper = {.file = file};

	for (size_t round = 0; round < rounds; round++) {
		size_t order[WAYS];

		bq_shuffle(order, WAYS);
		for (size_t turn = 0; turn < WAYS; turn++)
			if (order[turn] <= MSYNC || ways[order[turn]].queue)
				run_slice(ways, order[turn], file, &helper);
	}
	ways[MSYNC].flushes = helper.flushes;
}

void bq_stalls(const struct bq *bq)
{
	struct way ways[WAYS] = {
		[QUIET] = {.name = "nobody flushes"},
		[MSYNC] = {.name = "msync on a helper thread"},
		[URING] = {.kind = {"queue: io_uring, ONE_THREAD", FILEMAP_QUEUE_URING,
				    FILEMAP_QUEUE_ONE_THREAD}},
		[THREADS] = {.kind = {"queue: threads", FILEMAP_QUEUE_THREADS, 0}},
		[SHARED] = {.kind = {"queue: io_uring, shared", FILEMAP_QUEUE_URING, 0}},
	};
	struct bq_chart chart = {.count = 0};
	struct bq_file file;

	bq_file_open(bq, &file, 0, PAGES * BQ_PAGE);
	for (size_t w = 0; w < WAYS; w++) {
		if (w >= URING) {
			ways[w].name = ways[w].kind.name;
			ways[w].queue = bq_queue_open(&ways[w].kind, 0, 0);
		}
		bench_series_init(&ways[w].stores, ways[w].name, (size_t)((double)STORES * bq->scale));
		memset(ways[w].stores.ns, 0, ways[w].stores.size * sizeof *ways[w].stores.ns);
	}
	run(bq, ways, &file);
	print(ways);
	for (size_t w = 0; w < WAYS; w++)
		bq_chart_add(&chart, &ways[w].stores);
	bq_chart_write(bq, "queue-stalls.svg", "Stalls of a store of 64 bytes while its pages are flushed",
		       &chart);
	for (size_t w = 0; w < WAYS; w++) {
		filemap_queue_close(ways[w].queue);
		bench_series_free(&ways[w].stores);
	}
	bq_file_close(&file);
}
