/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The latency of one flush of one dirty page, by everything that can do it: fdatasync and msync on the caller's own
 * thread, the queues, the program's own ring, and what the queues do written by hand, for what of their latency is the
 * kernel's and the scheduler's.
 *
 * Invariant: all ways flush the same file and store before the clock starts, in turns, in another order each round.
 */
#include "bench_queue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROUNDS 4000u
#define BLOCK 40u
#define SECONDS 11.0
#define FILE_SIZE ((size_t)16 << 20)

static void flush_fdatasync(struct bq_way *way, struct bq_file *file, size_t offset)
{
	(void)way, (void)offset;
	bench_require(fdatasync(file->fd) < 0 ? -errno : 0, "fdatasync");
}

static void flush_msync(struct bq_way *way, struct bq_file *file, size_t offset)
{
	(void)way;
	bench_require(msync(file->data + offset, BQ_PAGE, MS_SYNC) < 0 ? -errno : 0, "msync");
}

static int open_queue(struct bq_way *way)
{
	way->state = bq_queue_open(&way->kind, 0, 0);
	return way->state ? 0 : -1;
}

static void flush_queue(struct bq_way *way, struct bq_file *file, size_t offset)
{
	struct filemap_completion done;
	uint64_t ticket;

	bench_require(filemap_queue_flush(way->state, file->map, offset, BQ_PAGE, NULL, NULL, &ticket),
		      "filemap_queue_flush");
	bench_require(filemap_queue_wait(way->state, ticket, -1, &done), "filemap_queue_wait");
	bench_require(done.result, "queued flush");
}

static void close_queue(struct bq_way *way)
{
	filemap_queue_close(way->state);
}

/* ---- all of them ---- */

enum { FDATASYNC, MSYNC, RING_QUEUE, POOL_QUEUE, POOL_ONE, SHARED_QUEUE, HELPER, PREP, BARE, OWNER, WAYS };

static void describe(struct bq_way *ways)
{
	static const struct bq_way first[] = {
		[FDATASYNC] = {.name = "fdatasync (the floor)", .flush = flush_fdatasync},
		[MSYNC] = {.name = "msync", .flush = flush_msync},
		[RING_QUEUE] = {.kind = {"queue: io_uring, ONE_THREAD", FILEMAP_QUEUE_URING,
					 FILEMAP_QUEUE_ONE_THREAD},
				.target = 1.10},
		[POOL_QUEUE] = {.kind = {"queue: threads", FILEMAP_QUEUE_THREADS, 0}, .target = 1.25},
		[POOL_ONE] = {.kind = {"queue: threads, ONE_THREAD", FILEMAP_QUEUE_THREADS,
				       FILEMAP_QUEUE_ONE_THREAD}},
		[SHARED_QUEUE] = {.kind = {"queue: io_uring, shared", FILEMAP_QUEUE_URING, 0}},
	};

	memcpy(ways, first, sizeof first);
	ways[HELPER] = bq_helper;
	ways[PREP] = bq_ring_prep;
	ways[BARE] = bq_ring_bare;
	ways[OWNER] = bq_ring_owner;
	for (size_t w = RING_QUEUE; w <= SHARED_QUEUE; w++) {
		ways[w].name = ways[w].kind.name;
		ways[w].open = open_queue;
		ways[w].flush = flush_queue;
		ways[w].close = close_queue;
	}
}

static void measure(struct bq_way *way, struct bq_file *file)
{
	const size_t offset = bq_dirty(file);
	const uint64_t start = bench_now_ns();

	way->flush(way, file, offset);
	bench_series_add(&way->series, bench_now_ns() - start);
}

static void run(const struct bq *bq, struct bq_way *ways, struct bq_file *file)
{
	const size_t rounds = (size_t)(ROUNDS * bq->scale);
	const uint64_t deadline = bq_deadline(bq, SECONDS);

	for (size_t w = 0; w < WAYS; w++)
		bench_series_init(&ways[w].series, ways[w].name, rounds);
	for (size_t round = 0; round < rounds && bench_now_ns() < deadline; round++) {
		size_t order[WAYS];

		bq_shuffle(order, WAYS);
		for (size_t turn = 0; turn < WAYS; turn++)
			if (!ways[order[turn]].absent)
				measure(&ways[order[turn]], file);
	}
}

static double ratio_to(const struct bq_way *ways, size_t ours, size_t other)
{
	return bq_ratio(&ways[ours].series, &ways[other].series, BLOCK).median;
}

static void print_table(struct bq_way *ways)
{
	printf("a. one flush of one dirty page: %zu rounds, ratios of medians of %u to fdatasync\n",
	       ways[0].series.count, BLOCK);
	for (size_t w = 0; w < WAYS; w++) {
		const struct bq_ratio ratio = bq_ratio(&ways[w].series, &ways[FDATASYNC].series, BLOCK);

		if (ways[w].absent)
			continue;
		bq_print(&ways[w].series);
		printf("  x %.3f [%.3f %.3f]\n", ratio.median, ratio.low, ratio.high);
	}
}

/* What a queue adds to what the kernel and the scheduler take for the same hand-over without a library. */
static void print_own_part(const struct bq_way *ways, size_t queue, size_t by_hand)
{
	const double own = bq_us(&ways[queue].series, 500000) - bq_us(&ways[by_hand].series, 500000);

	if (ways[queue].absent || ways[by_hand].absent)
		return;
	printf("  %-44s %+8.2f us to \"%s\" (x %.3f)\n", ways[queue].name, own, ways[by_hand].name,
	       ratio_to(ways, queue, by_hand));
}

static void print_hops(const struct bq_way *owner)
{
	if (owner->absent)
		return;
	printf("  hops of \"%s\", p50:\n", owner->name);
	for (size_t i = 0; i < BQ_HOPS; i++) {
		bq_print(&bq_hops[i]);
		printf("\n");
	}
}

static void print_targets(const struct bq_way *ways)
{
	for (size_t w = 0; w < WAYS; w++)
		if (ways[w].target > 0 && !ways[w].absent)
			bq_target(ways[w].name, ratio_to(ways, w, FDATASYNC), ways[w].target, " x fdatasync");
}

void bq_latency(const struct bq *bq)
{
	struct bq_way ways[WAYS];
	struct bq_chart chart = {.count = 0};
	struct bq_file file;

	bq_file_open(bq, &file, 0, FILE_SIZE);
	describe(ways);
	for (size_t w = 0; w < WAYS; w++)
		ways[w].absent = ways[w].open && ways[w].open(&ways[w]) < 0;
	run(bq, ways, &file);
	print_table(ways);
	print_own_part(ways, RING_QUEUE, BARE);
	print_own_part(ways, PREP, BARE);
	print_own_part(ways, POOL_QUEUE, HELPER);
	print_own_part(ways, SHARED_QUEUE, OWNER);
	print_hops(&ways[OWNER]);
	print_targets(ways);
	for (size_t w = 0; w < WAYS; w++) {
		bq_chart_add(&chart, &ways[w].series);
		if (ways[w].close && !ways[w].absent)
			ways[w].close(&ways[w]);
	}
	bq_chart_write(bq, "queue-latency.svg", "One flush of one dirty page", &chart);
	for (size_t w = 0; w < WAYS; w++)
		bench_series_free(&ways[w].series);
	bq_file_close(&file);
}
