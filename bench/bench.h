/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Measuring: monotonic nanoseconds, percentiles, and interleaved rounds printed as ratios. */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct bench_series {
	const char *name;
	uint64_t *ns; /* in the order in which they were measured */
	size_t count, size;
};

uint64_t bench_now_ns(void); /* monotonic */
void bench_series_init(struct bench_series *series, const char *name, size_t size);
void bench_series_add(struct bench_series *series, uint64_t ns);
void bench_series_free(struct bench_series *series);
uint64_t bench_percentile(const struct bench_series *series, unsigned percent);
uint64_t bench_quantile(const struct bench_series *series, unsigned ppm); /* of a million */

/* A line: name, p50, p99 in microseconds, and p50 as a ratio to the floor's. */
void bench_print(const struct bench_series *series, const struct bench_series *floor);
void bench_require(int r, const char *what); /* ends the program if r < 0 */

/* One way to do some work: ours first, then what it is measured against. */
struct bench_way {
	const char *name;
	void (*run)(void *context, size_t times); /* measured */
	void (*rewind)(void *context);            /* before each run, not measured; may be NULL */
	void *context;
	double target; /* of ours / this; 0 = there is none */
};

struct bench_plan {
	const char *title;
	size_t rounds, times; /* each round runs each way so many times in a row */
	clockid_t clock;      /* the thread's for what never waits: others on the machine disturb it less */
};

/*
 * Measure all ways in turns and print them. A ratio is the median of those of the rounds, ours / other, in
 * brackets its quartiles: what slows the machine down for a while meets both sides of it.
 */
void bench_compare(const struct bench_plan *plan, const struct bench_way *ways, size_t count);

void bench_stay_on_cpu(void); /* the one where this thread runs now */

#endif
