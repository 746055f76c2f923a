/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Measuring: monotonic nanoseconds, percentiles, and interleaved runs printed as ratios. */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>

struct bench_series {
	const char *name;
	uint64_t *ns; /* one value per operation */
	size_t count, size;
};

uint64_t bench_now_ns(void);
void bench_series_init(struct bench_series *series, const char *name, size_t size);
void bench_series_add(struct bench_series *series, uint64_t ns);
uint64_t bench_percentile(struct bench_series *series, unsigned percent); /* sorts */

/* A line: name, p50, p99 in microseconds, and p50 as a ratio to the floor's. */
void bench_print(struct bench_series *series, struct bench_series *floor);
void bench_require(int r, const char *what); /* ends the program if r < 0 */

#endif
