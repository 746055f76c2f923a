/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * How long a thread that stores is kept from storing because its data has to be durable: by msync in it, or by all
 * calls on a queue, from the flush to the poll that ran the callback, with other work in between.
 *
 * Invariant: polls that found nothing are counted too.
 */
#include "bench_queue.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROUNDS 2500u
#define BLOCK 25u
#define SECONDS 7.0
#define FILE_SIZE ((size_t)16 << 20)
#define WORK_NS 50000u /* of the program's own, between two polls */

enum { MSYNC, FDATASYNC, URING, THREADS, SHARED, WAYS };

struct way {
	const char *name;
	struct bq_kind kind;
	struct filemap_queue *queue;
	struct bench_series blocked, until; /* per flush: in calls; until it was known to be durable */
	uint64_t polls, flushes;
};

static void completed(struct filemap_queue *queue, uint64_t ticket, int result, void *context)
{
	int *done = context;

	(void)queue, (void)ticket;
	bench_require(result, "queued flush");
	*done = 1;
}

static uint64_t flush_queued(struct way *way, struct bq_file *file, size_t offset)
{
	uint64_t start = bench_now_ns(), blocked;
	int done = 0;

	bench_require(filemap_queue_flush(way->queue, file->map, offset, 64, completed, &done, NULL),
		      "filemap_queue_flush");
	bench_require(filemap_queue_submit(way->queue), "filemap_queue_submit");
	blocked = bench_now_ns() - start;
	while (!done) {
		bq_spin_until(bench_now_ns() + WORK_NS);
		start = bench_now_ns();
		bench_require(filemap_queue_poll(way->queue), "filemap_queue_poll");
		blocked += bench_now_ns() - start;
		way->polls++;
	}
	way->flushes++;
	return blocked;
}

static uint64_t flush_here(size_t number, struct bq_file *file, size_t offset)
{
	const uint64_t start = bench_now_ns();
	int r;

	r = number == MSYNC ? msync(file->data + offset, BQ_PAGE, MS_SYNC) : fdatasync(file->fd);
	bench_require(r < 0 ? -errno : 0, "flush");
	return bench_now_ns() - start;
}

static void measure(struct way *ways, size_t number, struct bq_file *file)
{
	struct way *way = &ways[number];
	const size_t offset = bq_dirty(file);
	const uint64_t start = bench_now_ns();
	uint64_t blocked;

	if (number <= FDATASYNC)
		blocked = flush_here(number, file, offset);
	else
		blocked = flush_queued(way, file, offset);
	bench_series_add(&way->until, bench_now_ns() - start);
	bench_series_add(&way->blocked, blocked);
}

static void run(const struct bq *bq, struct way *ways, struct bq_file *file)
{
	const size_t rounds = (size_t)(ROUNDS * bq->scale);
	const uint64_t deadline = bq_deadline(bq, SECONDS);

	for (size_t w = 0; w < WAYS; w++) {
		bench_series_init(&ways[w].blocked, ways[w].name, rounds);
		bench_series_init(&ways[w].until, ways[w].name, rounds);
	}
	for (size_t round = 0; round < rounds && bench_now_ns() < deadline; round++) {
		size_t order[WAYS];

		bq_shuffle(order, WAYS);
		for (size_t turn = 0; turn < WAYS; turn++)
			if (order[turn] <= FDATASYNC || ways[order[turn]].queue)
				measure(ways, order[turn], file);
	}
}

static void print(const struct way *ways)
{
	printf("c. time that a storing thread is blocked by one flush: %zu rounds; ratios to msync in it\n",
	       ways[MSYNC].blocked.count);
	for (size_t w = 0; w < WAYS; w++) {
		const struct bq_ratio ratio = bq_ratio(&ways[w].blocked, &ways[MSYNC].blocked, BLOCK);

		if (ways[w].blocked.count == 0)
			continue;
		bq_print(&ways[w].blocked);
		printf("  x %.3f [%.3f %.3f]", ratio.median, ratio.low, ratio.high);
		if (ways[w].flushes > 0)
			printf("  durable p50 %.0f us, %.1f polls", bq_us(&ways[w].until, 500000),
			       (double)ways[w].polls / (double)ways[w].flushes);
		printf("\n");
	}
}

void bq_blocked(const struct bq *bq)
{
	struct way ways[WAYS] = {
		[MSYNC] = {.name = "msync in the thread"},
		[FDATASYNC] = {.name = "fdatasync in the thread"},
		[URING] = {.kind = {"queue: io_uring, ONE_THREAD", FILEMAP_QUEUE_URING,
				    FILEMAP_QUEUE_ONE_THREAD}},
		[THREADS] = {.kind = {"queue: threads", FILEMAP_QUEUE_THREADS, 0}},
		[SHARED] = {.kind = {"queue: io_uring, shared", FILEMAP_QUEUE_URING, 0}},
	};
	struct bq_chart chart = {.count = 0};
	struct bq_file file;

	bq_file_open(bq, &file, 0, FILE_SIZE);
	for (size_t w = URING; w < WAYS; w++) {
		ways[w].name = ways[w].kind.name;
		ways[w].queue = bq_queue_open(&ways[w].kind, 0, 0);
	}
	run(bq, ways, &file);
	print(ways);
	for (size_t w = 0; w < WAYS; w++)
		bq_chart_add(&chart, &ways[w].blocked);
	bq_chart_write(bq, "queue-blocked.svg", "Time that a storing thread is blocked by one flush", &chart);
	for (size_t w = 0; w < WAYS; w++) {
		filemap_queue_close(ways[w].queue);
		bench_series_free(&ways[w].blocked);
		bench_series_free(&ways[w].until);
	}
	bq_file_close(&file);
}
