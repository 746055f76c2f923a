/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What coalescing gains: threads append records to one mapping and each waits until its own is durable, by a queue that
 * all of them share, or each by its own msync.
 *
 * Invariant: a thread begins the next record only when its last one is durable.
 */
#include "bench_queue.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RECORD ((size_t)128)
#define FILE_SIZE ((size_t)16 << 20)
#define MOST_THREADS 16u
#define COUNTS 5u
#define MOST_ROUNDS 64u
#define USUAL_ROUNDS 5.0
#define SLICE_NS 60000000u

enum { MSYNC, THREADS, SHARED, WAYS };

static const size_t counts[COUNTS] = {1, 2, 4, 8, MOST_THREADS};

struct way {
	const char *name;
	struct bq_kind kind;
	struct filemap_queue *queue;
	double rates[MOST_ROUNDS];
	uint64_t commits;
	struct filemap_queue_stats before;
};

struct slice {
	struct bq_file *file;
	struct filemap_queue *queue; /* NULL: msync */
	pthread_barrier_t barrier;
	size_t tail; /* where the next record goes */
	uint64_t commits, end;
};

static void make_durable(const struct slice *slice, size_t offset)
{
	const size_t page = offset / BQ_PAGE * BQ_PAGE;
	struct filemap_completion done;
	uint64_t ticket;

	if (!slice->queue) {
		bench_require(msync(slice->file->data + page, BQ_PAGE, MS_SYNC) < 0 ? -errno : 0, "msync");
		return;
	}
	bench_require(
		filemap_queue_flush(slice->queue, slice->file->map, offset, RECORD, NULL, NULL, &ticket),
		"filemap_queue_flush");
	bench_require(filemap_queue_wait(slice->queue, ticket, -1, &done), "filemap_queue_wait");
	bench_require(done.result, "queued flush");
}

static void *append(void *context)
{
	struct slice *slice = context;
	uint64_t commits = 0;

	pthread_barrier_wait(&slice->barrier);
	while (bench_now_ns() < slice->end) {
		const size_t offset =
			__atomic_fetch_add(&slice->tail, RECORD, __ATOMIC_RELAXED) % slice->file->size;
		memset(slice->file->data + offset, (int)commits, RECORD);
		make_durable(slice, offset);
		commits++;
	}
	__atomic_fetch_add(&slice->commits, commits, __ATOMIC_RELAXED);
	return NULL;
}

/* Commits per second. */
static double run(struct way *way, struct bq_file *file, size_t threads)
{
	struct slice slice = {.file = file, .queue = way->queue, .tail = file->at};
	pthread_t thread[MOST_THREADS];
	uint64_t start;

	pthread_barrier_init(&slice.barrier, NULL, (unsigned)threads + 1);
	for (size_t i = 0; i < threads; i++)
		bench_require(-pthread_create(&thread[i], NULL, append, &slice), "pthread_create");
	start = bench_now_ns();
	slice.end = start + SLICE_NS;
	pthread_barrier_wait(&slice.barrier);
	for (size_t i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	pthread_barrier_destroy(&slice.barrier);
	file->at = slice.tail % file->size;
	way->commits += slice.commits;
	return (double)slice.commits * 1e9 / (double)(bench_now_ns() - start);
}

static void print_way(struct way *ways, size_t number, size_t rounds)
{
	struct way *way = &ways[number];
	struct filemap_queue_stats now;
	double sorted[MOST_ROUNDS], ratios[MOST_ROUNDS];

	for (size_t round = 0; round < rounds; round++)
		ratios[round] = way->rates[round] / ways[MSYNC].rates[round];
	memcpy(sorted, way->rates, sizeof sorted);
	(void)bq_median(ratios, rounds);
	printf("    %-30s %8.0f commits/s  x %5.2f [%.2f %.2f]", way->name, bq_median(sorted, rounds),
	       ratios[rounds / 2], ratios[rounds / 4], ratios[rounds * 3 / 4]);
	if (way->queue) {
		bench_require(filemap_queue_stats(way->queue, &now), "filemap_queue_stats");
		printf("  %.3f device flushes per commit, %2.0f%% coalesced",
		       (double)(now.device_flushes - way->before.device_flushes) / (double)way->commits,
		       100 * (double)(now.coalesced - way->before.coalesced) / (double)way->commits);
	}
	printf("\n");
}

static void measure(const struct bq *bq, struct way *ways, struct bq_file *file, size_t threads)
{
	const size_t rounds = (size_t)fmin(USUAL_ROUNDS * bq->scale, MOST_ROUNDS);

	for (size_t w = 0; w < WAYS; w++) {
		ways[w].commits = 0;
		if (ways[w].queue)
			bench_require(filemap_queue_stats(ways[w].queue, &ways[w].before),
				      "filemap_queue_stats");
	}
	for (size_t round = 0; round < rounds; round++) {
		size_t order[WAYS];

		bq_shuffle(order, WAYS);
		for (size_t turn = 0; turn < WAYS; turn++)
			if (order[turn] == MSYNC || ways[order[turn]].queue)
				ways[order[turn]].rates[round] = run(&ways[order[turn]], file, threads);
	}
	printf("  %zu thread%s\n", threads, threads == 1 ? "" : "s");
	for (size_t w = 0; w < WAYS; w++)
		if (w == MSYNC || ways[w].queue)
			print_way(ways, w, rounds);
	fflush(stdout);
}

void bq_commit(const struct bq *bq)
{
	struct way ways[WAYS] = {
		[MSYNC] = {.name = "each its own msync"},
		[THREADS] = {.kind = {"queue: threads", FILEMAP_QUEUE_THREADS, 0}},
		[SHARED] = {.kind = {"queue: io_uring, shared", FILEMAP_QUEUE_URING, 0}},
	};
	struct bq_file file;

	bq_file_open(bq, &file, 0, FILE_SIZE);
	printf("e. threads that append %zu bytes each to one mapping and wait until they are durable\n",
	       RECORD);
	for (size_t w = THREADS; w < WAYS; w++) {
		ways[w].name = ways[w].kind.name;
		ways[w].queue = bq_queue_open(&ways[w].kind, 0, 0);
	}
	for (size_t c = 0; c < COUNTS; c++)
		measure(bq, ways, &file, counts[c]);
	for (size_t w = 0; w < WAYS; w++)
		filemap_queue_close(ways[w].queue);
	bq_file_close(&file);
}
