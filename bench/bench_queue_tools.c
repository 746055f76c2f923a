/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What the parts of bench_queue share.
 *
 * Invariant: a file's pages were written before anything is measured, so that no flush allocates blocks; and two
 * pages that are dirtied one after the other never touch, so that a queue cannot make one flush of them.
 */
#include "bench_queue.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POINTS 160u
#define NINES 4.0 /* plots end at the 99.99th percentile */

/* ---- files ---- */

static int write_pages(const char *path, size_t size)
{
	static const char page[BQ_PAGE] = "written";
	const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	bench_require(fd < 0 ? -errno : 0, path);
	for (size_t at = 0; at < size; at += sizeof page)
		bench_require(pwrite(fd, page, sizeof page, (off_t)at) < 0 ? -errno : 0, "write pages");
	bench_require(fsync(fd) < 0 ? -errno : 0, "fsync");
	return fd;
}

void bq_file_open(const struct bq *bq, struct bq_file *file, unsigned number, size_t size)
{
	char path[320];

	snprintf(path, sizeof path, "%s/%u", bq->dir, number);
	*file = (struct bq_file){.size = size, .fd = write_pages(path, size)};
	bench_require(filemap_open(path, FILEMAP_WRITE, NULL, &file->map, NULL), "filemap_open");
	file->data = filemap_data_mut(file->map);
	unlink(path);
}

void bq_file_close(struct bq_file *file)
{
	filemap_close(file->map);
	close(file->fd);
}

size_t bq_dirty(struct bq_file *file)
{
	const size_t offset = file->at;

	file->at = (file->at + 2 * BQ_PAGE) % file->size;
	file->data[offset]++;
	return offset;
}

/* ---- queues ---- */

struct filemap_queue *bq_queue_open(const struct bq_kind *kind, uint32_t depth, uint32_t workers)
{
	struct filemap_queue *queue = NULL;
	struct filemap_error error;
	char why[512];
	int r;

	r = filemap_queue_open(FILEMAP_QUEUE_OPTIONS(.flags = kind->flags, .backend = kind->backend,
						     .depth = depth, .workers = workers),
			       &queue, &error);
	if (r >= 0)
		return queue;
	filemap_error_format(&error, why, sizeof why);
	printf("  %-44s left out: %s\n", kind->name, why);
	return NULL;
}

/* ---- numbers ---- */

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

double bq_median(double *values, size_t count)
{
	qsort(values, count, sizeof *values, compare);
	return count == 0 ? NAN : values[count / 2];
}

static double median_of(const struct bench_series *series, size_t from, size_t count)
{
	struct bench_series part = *series;

	part.ns += from;
	part.count = count;
	return (double)bench_quantile(&part, 500000);
}

struct bq_ratio bq_ratio(const struct bench_series *ours, const struct bench_series *other, size_t block)
{
	const size_t common = ours->count < other->count ? ours->count : other->count;
	const size_t blocks = common / block;
	struct bq_ratio ratio = {NAN, NAN, NAN};
	double *ratios = calloc(blocks + 1, sizeof *ratios);

	bench_require(ratios ? 0 : -ENOMEM, "ratios");
	for (size_t b = 0; b < blocks; b++)
		ratios[b] = median_of(ours, b * block, block) / median_of(other, b * block, block);
	if (blocks > 0) {
		ratio.median = bq_median(ratios, blocks);
		ratio.low = ratios[blocks / 4];
		ratio.high = ratios[blocks * 3 / 4];
	}
	free(ratios);
	return ratio;
}

void bq_target(const char *what, double measured, double target, const char *unit)
{
	printf("  target %s %s: %.3f%s, at most %.2f%s\n", measured <= target ? "MET   " : "MISSED", what,
	       measured, unit, target, unit);
}

double bq_us(const struct bench_series *series, unsigned ppm)
{
	return (double)bench_quantile(series, ppm) / 1e3;
}

void bq_print(const struct bench_series *series)
{
	printf("  %-44s p50 %8.2f  p99 %8.2f  p99.9 %8.2f us", series->name, bq_us(series, 500000),
	       bq_us(series, 990000), bq_us(series, 999000));
}

static uint64_t next_random(void)
{
	static uint64_t seed = 88172645463325252u;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

void bq_shuffle(size_t *order, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const size_t other = next_random() % (i + 1);
		order[i] = order[other];
		order[other] = i;
	}
}

void bq_spin_until(uint64_t ns)
{
	while (bench_now_ns() < ns)
		;
}

uint64_t bq_deadline(const struct bq *bq, double seconds)
{
	return bench_now_ns() + (uint64_t)(seconds * bq->scale * 1e9);
}

/* ---- plots ---- */

static int compare_ns(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* From the shortest up to where one value is left: beyond that there is nothing to draw. */
void bq_chart_add(struct bq_chart *chart, const struct bench_series *series)
{
	const double last = fmin(NINES, log10((double)(series->count ? series->count : 1)));
	double *x = calloc(2 * POINTS, sizeof *x), *y = x + POINTS;

	if (!x || series->count == 0 || chart->count == PLOT_LINES_MAX) {
		free(x);
		return;
	}
	qsort(series->ns, series->count, sizeof *series->ns, compare_ns);
	for (unsigned i = 0; i < POINTS; i++) {
		x[i] = last * i / (POINTS - 1);
		y[i] = (double)series->ns[(size_t)((double)(series->count - 1) * (1 - pow(10, -x[i])))] / 1e3;
	}
	if (chart->low == 0 || y[0] < chart->low)
		chart->low = y[0];
	chart->high = fmax(chart->high, y[POINTS - 1]);
	chart->lines[chart->count++] = (struct plot_line){series->name, x, y, POINTS};
}

void bq_plot(const struct bq *bq, const char *name, const char *title, const struct plot *panels,
	     size_t count)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%s", bq->plots, name);
	bench_require(plot_write(path, title, panels, count), path);
	printf("  plot: %s\n", path);
	fflush(stdout);
}

void bq_chart_write(const struct bq *bq, const char *name, const char *title, struct bq_chart *chart)
{
	static const struct plot_tick percentiles[] = {{0, "min"}, {0.30103, "p50"}, {1, "p90"},
						       {2, "p99"}, {3, "p99.9"},     {NINES, "p99.99"}};
	const struct plot plot = {
		.title = title,
		.x = {"percentile", 0, NINES, 0, percentiles, sizeof percentiles / sizeof *percentiles},
		.y = {"microseconds", chart->low / 1.2, chart->high * 1.2, 1, NULL, 0},
		.lines = chart->lines,
		.line_count = chart->count,
	};

	bq_plot(bq, name, "filemap: asynchronous flushing", &plot, 1);
	for (size_t i = 0; i < chart->count; i++)
		free((void *)(uintptr_t)chart->lines[i].x);
}
