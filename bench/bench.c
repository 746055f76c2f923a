/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "bench.h"

#include <filemap/base.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t bench_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void bench_series_init(struct bench_series *series, const char *name, size_t size)
{
	*series = (struct bench_series){.name = name, .size = size};
	series->ns = calloc(size, sizeof *series->ns);
	if (!series->ns)
		abort();
}

void bench_series_add(struct bench_series *series, uint64_t ns)
{
	if (series->count < series->size)
		series->ns[series->count++] = ns;
}

static int compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

uint64_t bench_percentile(struct bench_series *series, unsigned percent)
{
	if (series->count == 0)
		return 0;
	qsort(series->ns, series->count, sizeof *series->ns, compare);
	return series->ns[(series->count - 1) * percent / 100];
}

void bench_print(struct bench_series *series, struct bench_series *floor)
{
	const double p50 = (double)bench_percentile(series, 50);
	const double p99 = (double)bench_percentile(series, 99);

	printf("%-44s p50 %8.1f us  p99 %8.1f us  x %.2f\n", series->name, p50 / 1e3, p99 / 1e3,
	       p50 / (double)bench_percentile(floor, 50));
}

void bench_require(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "bench: %s: %s\n", what, filemap_strerror(r));
	exit(1);
}
