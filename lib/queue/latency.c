/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Owns the scale of the latency histograms. Pure arithmetic.
 *
 * Invariant: in units of 128 ns, numbers below 8 have a bucket each, and so has each eighth of a doubling from
 * there on; the buckets' bounds ascend, and the last bucket has none.
 */
#include <filemap/queue.h>

#include "queue/latency.h"

#define UNIT_BITS 7u /* 128 ns */
#define STEP_BITS 3u /* 8 steps in each doubling */
#define STEPS (1u << STEP_BITS)
#define LAST (FILEMAP_LATENCY_BUCKETS - 1u)
#define WHOLE UINT64_C(1000000)

/* A number of at least STEPS units is its highest four bits, shifted: the highest of them is always set. */
unsigned filemap_latency_bucket(uint64_t ns)
{
	const uint64_t units = ns >> UNIT_BITS;
	unsigned shift, bucket;

	if (units < STEPS)
		return (unsigned)units;
	shift = 63u - (unsigned)__builtin_clzll(units) - STEP_BITS;
	bucket = shift * STEPS + (unsigned)(units >> shift);
	return bucket < LAST ? bucket : LAST;
}

uint64_t filemap_latency_bound(unsigned bucket)
{
	uint64_t next; /* the first number of units behind the bucket */

	if (bucket >= LAST)
		return UINT64_MAX;
	next = bucket < STEPS ? bucket + 1 : (uint64_t)(bucket % STEPS + STEPS + 1) << (bucket / STEPS - 1);
	return (next << UNIT_BITS) - 1;
}

/* The smallest number that is at least the share of the total, without a product that overflows. */
static uint64_t share_of(uint64_t total, unsigned ppm)
{
	const uint64_t share = ppm < WHOLE ? ppm : WHOLE;
	const uint64_t rest = (total % WHOLE * share + WHOLE - 1) / WHOLE;

	return total / WHOLE * share + rest;
}

uint64_t filemap_latency_quantile(const uint64_t *buckets, unsigned ppm)
{
	uint64_t total = 0, seen = 0, wanted;

	for (unsigned b = 0; b <= LAST; b++)
		total += buckets[b];
	if (total == 0)
		return 0;
	wanted = share_of(total, ppm);
	for (unsigned b = 0; b < LAST; b++) {
		seen += buckets[b];
		if (seen >= wanted && seen > 0)
			return filemap_latency_bound(b);
	}
	return filemap_latency_bound(LAST);
}

void fm__latency_add(uint64_t *buckets, uint64_t ns)
{
	buckets[filemap_latency_bucket(ns)]++;
}
