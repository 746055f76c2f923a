/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What a submission costs the thread that makes it: filemap_queue_flush() and filemap_queue_submit(), by the clock on
 * the wall and by that of the thread, one request at a time while others are in flight, and many with one submission.
 *
 * Invariant: every request is for a dirty page that touches no other one, so that each is a flush of the device.
 */
#include "bench_queue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_SIZE ((size_t)4 << 20)
#define REQUESTS 1920u /* of each length, kind and shape */
#define SECONDS 0.7    /* at most, for each of them */
#define TARGET_US 3.0

/* CLOCK_MONOTONIC is read inside: reading the thread's own clock is a system call. */
struct cost {
	struct bench_series wall, cpu;
};

static void cost_init(struct cost *cost, const char *name, const struct bq *bq)
{
	bench_series_init(&cost->wall, name, (size_t)(REQUESTS * bq->scale));
	bench_series_init(&cost->cpu, name, cost->wall.size);
}

static void cost_free(struct cost *cost)
{
	bench_series_free(&cost->wall);
	bench_series_free(&cost->cpu);
}

static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* What reading the clocks adds to the thread's time. */
static uint64_t clock_cost(void)
{
	struct bench_series empty;
	uint64_t cost;

	bench_series_init(&empty, "clocks", 1000);
	while (empty.count < empty.size) {
		const uint64_t start = cpu_ns();
		(void)bench_now_ns();
		(void)bench_now_ns();
		bench_series_add(&empty, cpu_ns() - start);
	}
	cost = bench_quantile(&empty, 500000);
	bench_series_free(&empty);
	return cost;
}

static void submit(struct filemap_queue *queue, struct bq_file *file, const size_t *offsets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		bench_require(filemap_queue_flush(queue, file->map, offsets[i], BQ_PAGE, NULL, NULL, NULL),
			      "filemap_queue_flush");
	bench_require(filemap_queue_submit(queue), "filemap_queue_submit");
}

static void collect(struct filemap_queue *queue)
{
	struct filemap_completion done;

	while (filemap_queue_wait(queue, FILEMAP_ANY, -1, &done) == 1)
		bench_require(done.result, "queued flush");
}

static void add(struct cost *cost, uint64_t wall, uint64_t cpu, size_t count, uint64_t clocks)
{
	bench_series_add(&cost->wall, wall / count);
	bench_series_add(&cost->cpu, (cpu > clocks ? cpu - clocks : 0) / count);
}

static void measure(struct filemap_queue *queue, struct bq_file *file, size_t count, uint64_t clocks,
		    struct cost *cost)
{
	size_t offsets[64];
	uint64_t cpu, wall, wall_end, cpu_end;

	for (size_t i = 0; i < count; i++)
		offsets[i] = bq_dirty(file);
	cpu = cpu_ns();
	wall = bench_now_ns();
	submit(queue, file, offsets, count);
	wall_end = bench_now_ns();
	cpu_end = cpu_ns();
	add(cost, wall_end - wall, cpu_end - cpu, count, clocks);
}

enum shape { EACH, TOGETHER };

static void fill(struct filemap_queue *queue, struct bq_file *file, size_t length, enum shape shape,
		 uint64_t clocks, struct cost *cost)
{
	if (shape == TOGETHER)
		measure(queue, file, length, clocks, cost);
	else
		for (size_t i = 0; i < length; i++)
			measure(queue, file, 1, clocks, cost);
	collect(queue);
}

static void print(const char *name, size_t length, enum shape shape, const struct cost *cost)
{
	printf("  %-30s %2zu %-10s wall p50 %6.2f p99 %7.2f  CPU p50 %6.2f p99 %7.2f us", name, length,
	       shape == TOGETHER ? "together" : "one by one", bq_us(&cost->wall, 500000),
	       bq_us(&cost->wall, 990000), bq_us(&cost->cpu, 500000), bq_us(&cost->cpu, 990000));
}

static void measure_length(const struct bq *bq, const struct bq_kind *kind, struct filemap_queue *queue,
			   struct bq_file *file, size_t length, enum shape shape)
{
	const uint64_t deadline = bq_deadline(bq, SECONDS), clocks = clock_cost();
	struct cost cost;

	cost_init(&cost, kind->name, bq);
	for (size_t done = 0; done < cost.wall.size && bench_now_ns() < deadline; done += length)
		fill(queue, file, length, shape, clocks, &cost);
	print(kind->name, length, shape, &cost);
	printf("  target %s\n", bq_us(&cost.wall, 500000) <= TARGET_US ? "MET" : "MISSED");
	cost_free(&cost);
}

/* What the kernel takes for the same hand-over without a library: a submission, a signal to a thread that sleeps. */
static void measure_by_hand(const struct bq *bq, const struct bq_way *by_hand, struct bq_file *file)
{
	const uint64_t deadline = bq_deadline(bq, SECONDS), clocks = clock_cost();
	struct bq_way way = *by_hand;
	struct cost cost;

	if (way.open(&way) < 0)
		return;
	cost_init(&cost, way.name, bq);
	while (cost.wall.count < cost.wall.size && bench_now_ns() < deadline) {
		const size_t offset = bq_dirty(file);
		const uint64_t cpu = cpu_ns(), wall = bench_now_ns();
		uint64_t wall_end;

		way.begin(&way, file, offset);
		wall_end = bench_now_ns();
		add(&cost, wall_end - wall, cpu_ns() - cpu, 1, clocks);
		way.end(&way);
	}
	print(way.name, 1, EACH, &cost);
	printf("\n");
	cost_free(&cost);
	way.close(&way);
}

void bq_caller(const struct bq *bq)
{
	static const struct bq_kind kinds[] = {
		{"io_uring, ONE_THREAD", FILEMAP_QUEUE_URING, FILEMAP_QUEUE_ONE_THREAD},
		{"threads", FILEMAP_QUEUE_THREADS, 0},
		{"io_uring, shared", FILEMAP_QUEUE_URING, 0},
	};
	static const size_t lengths[] = {1, 16, 64};
	struct bq_file file;

	bq_file_open(bq, &file, 0, FILE_SIZE);
	printf("b. the caller's cost of one submission; target: p50 by the clock on the wall at most %.0f "
	       "us\n",
	       TARGET_US);
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		struct filemap_queue *queue = bq_queue_open(&kinds[k], 64, 0);

		if (!queue)
			continue;
		for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++)
			for (enum shape shape = EACH; shape <= (lengths[l] > 1 ? TOGETHER : EACH); shape++)
				measure_length(bq, &kinds[k], queue, &file, lengths[l], shape);
		filemap_queue_close(queue);
	}
	measure_by_hand(bq, &bq_ring_bare, &file);
	measure_by_hand(bq, &bq_helper, &file);
	fflush(stdout);
	bq_file_close(&file);
}
