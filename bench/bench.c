/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Owns the clock and the arithmetic of all benchmarks.
 *
 * Invariant: a series keeps the order in which it was measured, so that the values of two series that
 * were measured in turns can be compared round by round.
 */
#include "bench.h"

#include <filemap/base.h>

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAYS_MAX 12

static uint64_t read_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t bench_now_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

static void *need(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

void bench_series_init(struct bench_series *series, const char *name, size_t size)
{
	*series = (struct bench_series){.name = name, .size = size};
	series->ns = need(calloc(size, sizeof *series->ns));
}

void bench_series_add(struct bench_series *series, uint64_t ns)
{
	if (series->count < series->size)
		series->ns[series->count++] = ns;
}

void bench_series_free(struct bench_series *series)
{
	free(series->ns);
}

static int compare_ns(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static int compare_ratios(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

uint64_t bench_quantile(const struct bench_series *series, unsigned ppm)
{
	uint64_t *sorted, found;

	if (series->count == 0)
		return 0;
	sorted = need(malloc(series->count * sizeof *sorted));
	memcpy(sorted, series->ns, series->count * sizeof *sorted);
	qsort(sorted, series->count, sizeof *sorted, compare_ns);
	found = sorted[(series->count - 1) * (uint64_t)ppm / 1000000];
	free(sorted);
	return found;
}

uint64_t bench_percentile(const struct bench_series *series, unsigned percent)
{
	return bench_quantile(series, percent * 10000);
}

void bench_print(const struct bench_series *series, const struct bench_series *floor)
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

void bench_stay_on_cpu(void)
{
	const int here = sched_getcpu();
	cpu_set_t only;

	if (here < 0)
		return;
	CPU_ZERO(&only);
	CPU_SET(here, &only);
	(void)sched_setaffinity(0, sizeof only, &only);
}

static uint64_t measure(const struct bench_way *way, const struct bench_plan *plan)
{
	uint64_t start;

	if (way->rewind)
		way->rewind(way->context);
	start = read_clock(plan->clock);
	way->run(way->context, plan->times);
	return read_clock(plan->clock) - start;
}

static void print_ratio(const struct bench_series *ours, const struct bench_series *other, double target)
{
	const size_t count = ours->count;
	double *ratios = need(calloc(count, sizeof *ratios));

	for (size_t round = 0; round < count; round++)
		ratios[round] = (double)ours->ns[round] / (double)other->ns[round];
	qsort(ratios, count, sizeof *ratios, compare_ratios);
	printf("   ours / it %6.3f [%.3f %.3f]", ratios[count / 2], ratios[count / 4], ratios[count * 3 / 4]);
	if (target > 0)
		printf("   target %.2f", target);
	free(ratios);
}

static void print_ways(const struct bench_way *ways, const struct bench_series *series, size_t count,
		       size_t times)
{
	for (size_t w = 0; w < count; w++) {
		printf("  %-44s %10.2f ns", ways[w].name,
		       (double)bench_percentile(&series[w], 50) / (double)times);
		if (w > 0)
			print_ratio(&series[0], &series[w], ways[w].target);
		printf("\n");
	}
	fflush(stdout);
}

void bench_compare(const struct bench_plan *plan, const struct bench_way *ways, size_t count)
{
	struct bench_series series[WAYS_MAX];

	if (count > WAYS_MAX)
		abort();
	for (size_t w = 0; w < count; w++) {
		bench_series_init(&series[w], ways[w].name, plan->rounds);
		measure(&ways[w], plan); /* warms up what it needs */
	}
	/* Each round begins with another way: nobody always comes after the same one. */
	for (size_t round = 0; round < plan->rounds; round++)
		for (size_t turn = 0; turn < count; turn++) {
			const size_t w = (round + turn) % count;
			bench_series_add(&series[w], measure(&ways[w], plan));
		}
	printf("%s: median of %zu rounds of %zu\n", plan->title, plan->rounds, plan->times);
	print_ways(ways, series, count, plan->times);
	for (size_t w = 0; w < count; w++)
		bench_series_free(&series[w]);
}
