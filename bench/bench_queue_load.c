/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Throughput: so many ranges of so many files are always outstanding; each that is durable is followed by the next. And
 * the same for several numbers of workers, to choose the default by.
 *
 * Invariant: each range is one dirty page that touches no other dirty one; the files take turns.
 */
#include "bench_queue.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench_queue_pool.h"

#define FILES 64u
#define FILE_SIZE ((size_t)1 << 20)
#define COUNTS 4u
#define MOST_ROUNDS 64u
#define USUAL_ROUNDS 5.0
#define SLICE_NS 30000000u
#define DEFAULT_WORKERS 4u

static const size_t counts[COUNTS] = {1, 4, 16, 64};

struct load {
	struct bq_file *files;
	size_t file_count, outstanding, next, in_flight;
	uint64_t end, done;
};

static struct bq_file *next_file(struct load *load)
{
	return &load->files[load->next++ % load->file_count];
}

/* ---- the ways ---- */

enum { SEQUENTIAL, POOL, THREADS, URING, WAYS };

static const char *const names[WAYS] = {"fdatasync, one by one", "threads calling fdatasync",
					"queue: threads", "queue: io_uring, ONE_THREAD"};

struct ways {
	struct bq_pool *pool;
	struct filemap_queue *queues[WAYS];
};

static void flush_one_by_one(struct load *load)
{
	while (bench_now_ns() < load->end) {
		struct bq_file *file = next_file(load);
		(void)bq_dirty(file);
		bench_require(fdatasync(file->fd) < 0 ? -errno : 0, "fdatasync");
		load->done++;
	}
}

static void push(struct load *load, struct bq_pool *pool)
{
	struct bq_file *file = next_file(load);

	(void)bq_dirty(file);
	load->in_flight++;
	bq_pool_push(pool, file->fd);
}

static void flush_by_pool(struct load *load, struct bq_pool *pool)
{
	while (load->in_flight < load->outstanding)
		push(load, pool);
	while (load->in_flight > 0) {
		const size_t finished = bq_pool_wait(pool);
		load->done += finished;
		load->in_flight -= finished;
		for (size_t i = 0; i < finished && bench_now_ns() < load->end; i++)
			push(load, pool);
	}
}

static void begin(struct load *load, struct filemap_queue *queue);

static void completed(struct filemap_queue *queue, uint64_t ticket, int result, void *context)
{
	struct load *load = context;

	(void)ticket;
	bench_require(result, "queued flush");
	load->done++;
	load->in_flight--;
	if (bench_now_ns() < load->end)
		begin(load, queue);
}

static void begin(struct load *load, struct filemap_queue *queue)
{
	struct bq_file *file = next_file(load);
	const size_t offset = bq_dirty(file);

	load->in_flight++;
	bench_require(filemap_queue_flush(queue, file->map, offset, BQ_PAGE, completed, load, NULL),
		      "filemap_queue_flush");
}

static void flush_by_queue(struct load *load, struct filemap_queue *queue)
{
	while (load->in_flight < load->outstanding)
		begin(load, queue);
	while (load->in_flight > 0) {
		bench_require(filemap_queue_wait(queue, FILEMAP_ANY, -1, NULL), "filemap_queue_wait");
		bench_require(filemap_queue_poll(queue), "filemap_queue_poll");
	}
}

/* Flushes per second; NAN if that way is not there. */
static double run(const struct ways *ways, size_t way, struct bq_file *files, size_t file_count,
		  size_t outstanding)
{
	const uint64_t start = bench_now_ns();
	struct load load = {files, file_count, outstanding, 0, 0, start + SLICE_NS, 0};

	if (way == SEQUENTIAL)
		flush_one_by_one(&load);
	else if (way == POOL)
		flush_by_pool(&load, ways->pool);
	else if (ways->queues[way])
		flush_by_queue(&load, ways->queues[way]);
	else
		return NAN;
	return (double)load.done * 1e9 / (double)(bench_now_ns() - start);
}

static void ways_open(struct ways *ways, uint32_t workers)
{
	static const struct bq_kind kinds[WAYS] = {
		[THREADS] = {"queue: threads", FILEMAP_QUEUE_THREADS, 0},
		[URING] = {"queue: io_uring, ONE_THREAD", FILEMAP_QUEUE_URING, FILEMAP_QUEUE_ONE_THREAD},
	};

	*ways = (struct ways){.pool = bq_pool_open(workers)};
	for (size_t w = THREADS; w < WAYS; w++)
		ways->queues[w] = bq_queue_open(&kinds[w], 64, workers);
}

static void ways_close(struct ways *ways)
{
	bq_pool_close(ways->pool);
	for (size_t w = THREADS; w < WAYS; w++)
		filemap_queue_close(ways->queues[w]);
}

/* ---- rounds of all ways at one point ---- */

struct point {
	double rates[WAYS][MOST_ROUNDS];
	size_t rounds;
};

static double rate(const struct point *point, size_t way)
{
	double sorted[MOST_ROUNDS];

	memcpy(sorted, point->rates[way], sizeof sorted);
	return bq_median(sorted, point->rounds);
}

static void print_ratio(const struct point *point, size_t ours, size_t other)
{
	double ratios[MOST_ROUNDS];

	for (size_t round = 0; round < point->rounds; round++)
		ratios[round] = point->rates[ours][round] / point->rates[other][round];
	(void)bq_median(ratios, point->rounds);
	printf("  %5.2f [%.2f %.2f]", ratios[point->rounds / 2], ratios[point->rounds / 4],
	       ratios[point->rounds * 3 / 4]);
}

static void print_head(const char *first)
{
	printf("  %-17s%8s%8s%8s%9s  threads / pool      io_uring / pool     io_uring / 1by1\n", first,
	       "1 by 1", "pool", "threads", "io_uring");
}

static void print_point(const char *label, const struct point *point)
{
	printf("  %-17s", label);
	for (size_t w = 0; w < WAYS; w++)
		printf("%*.0f", w == URING ? 9 : 8, rate(point, w));
	print_ratio(point, THREADS, POOL);
	print_ratio(point, URING, POOL);
	print_ratio(point, URING, SEQUENTIAL);
	printf("\n");
	fflush(stdout);
}

static void measure(const struct bq *bq, const struct ways *ways, struct bq_file *files, size_t file_count,
		    size_t outstanding, struct point *point)
{
	const double rounds = fmin(USUAL_ROUNDS * bq->scale, MOST_ROUNDS);

	for (point->rounds = 0; (double)point->rounds < rounds; point->rounds++) {
		size_t order[WAYS];

		bq_shuffle(order, WAYS);
		for (size_t turn = 0; turn < WAYS; turn++)
			point->rates[order[turn]][point->rounds] =
				run(ways, order[turn], files, file_count, outstanding);
	}
}

/* ---- outstanding ranges and files ---- */

static double x[COUNTS], y[COUNTS][WAYS][COUNTS]; /* of the plot: by files, way, outstanding */

static void plot(const struct bq *bq)
{
	static const struct plot_tick ticks[COUNTS] = {{1, "1"}, {4, "4"}, {16, "16"}, {64, "64"}};
	static struct plot_line lines[COUNTS][WAYS];
	struct plot panels[COUNTS];
	char titles[COUNTS][32];

	for (size_t f = 0; f < COUNTS; f++) {
		double high = 1;

		for (size_t w = 0; w < WAYS; w++) {
			lines[f][w] = (struct plot_line){names[w], x, y[f][w], COUNTS};
			for (size_t o = 0; o < COUNTS; o++)
				high = fmax(high, y[f][w][o]);
		}
		snprintf(titles[f], sizeof titles[f], "%zu file%s", counts[f], counts[f] == 1 ? "" : "s");
		panels[f] = (struct plot){titles[f],
					  {"outstanding ranges", 1, 64, 1, ticks, COUNTS},
					  {"flushes per second", 0, high * 1.05, 0, NULL, 0},
					  lines[f],
					  isnan(y[f][URING][0]) ? URING : WAYS};
	}
	bq_plot(bq, "queue-throughput.svg", "filemap: durable flushes of one page each", panels, COUNTS);
}

static void by_files(const struct bq *bq, struct bq_file *files)
{
	struct ways ways;
	struct point point;
	char label[32];

	printf("d. flushes/s, %u workers; ratios with quartiles\n", DEFAULT_WORKERS);
	ways_open(&ways, DEFAULT_WORKERS);
	print_head("files outstanding");
	for (size_t f = 0; f < COUNTS; f++)
		for (size_t o = 0; o < COUNTS; o++) {
			measure(bq, &ways, files, counts[f], counts[o], &point);
			snprintf(label, sizeof label, "%5zu %11zu", counts[f], counts[o]);
			print_point(label, &point);
			x[o] = (double)counts[o];
			for (size_t w = 0; w < WAYS; w++)
				y[f][w][o] = rate(&point, w);
		}
	ways_close(&ways);
	plot(bq);
}

/* ---- how many workers ---- */

static void by_workers(const struct bq *bq, struct bq_file *files)
{
	static const uint32_t workers[] = {2, 4, 8};
	static const size_t places[][2] = {{1, 16}, {16, 16}, {1, 64}, {64, 64}};
	struct ways ways;
	struct point point;
	char label[32];

	printf("   flushes/s by the number of workers\n");
	print_head("workers files out");
	for (size_t i = 0; i < sizeof workers / sizeof *workers; i++) {
		ways_open(&ways, workers[i]);
		for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
			measure(bq, &ways, files, places[p][0], places[p][1], &point);
			snprintf(label, sizeof label, "%7u %5zu %3zu", workers[i], places[p][0],
				 places[p][1]);
			print_point(label, &point);
		}
		ways_close(&ways);
	}
}

void bq_load(const struct bq *bq)
{
	static struct bq_file files[FILES];

	for (unsigned i = 0; i < FILES; i++)
		bq_file_open(bq, &files[i], i, FILE_SIZE);
	by_files(bq, files);
	by_workers(bq, files);
	for (unsigned i = 0; i < FILES; i++)
		bq_file_close(&files[i]);
}
