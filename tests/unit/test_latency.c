/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The scale of the latency histograms: its borders, how fine it is, and quantiles against sorted samples. */
#include "t.h"

#include <filemap/queue.h>

#include "queue/latency.h"

#define LAST (FILEMAP_LATENCY_BUCKETS - 1u)
#define UNIT UINT64_C(128)
#define END (UNIT << 34) /* 36 minutes: where the last bucket would end */
#define SAMPLES 4001u

/* Written down step by step, as the header says it: 8 steps of 128 ns, then 8 in each doubling. */
static void every_bucket_ends_where_the_scale_says(void **state)
{
	uint64_t begin = 0, step = UNIT;
	(void)state;

	for (unsigned b = 0; b < LAST; b++) {
		if (b >= 16 && b % 8 == 0)
			step *= 2;
		assert_true(filemap_latency_bound(b) == begin + step - 1);
		assert_true(filemap_latency_bucket(begin) == b);
		assert_true(filemap_latency_bucket(begin + step / 2) == b);
		assert_true(filemap_latency_bucket(begin + step - 1) == b);
		assert_true(filemap_latency_bucket(begin + step) == b + 1);
		begin += step;
	}
	assert_true(begin + step == END);
}

static void last_bucket_takes_all_that_is_longer(void **state)
{
	(void)state;

	assert_int_equal(filemap_latency_bucket(END - 1), LAST);
	assert_int_equal(filemap_latency_bucket(END), LAST);
	assert_int_equal(filemap_latency_bucket(2 * END), LAST);
	assert_int_equal(filemap_latency_bucket(UINT64_MAX - 1), LAST);
	assert_int_equal(filemap_latency_bucket(UINT64_MAX), LAST);
	assert_true(filemap_latency_bound(LAST) == UINT64_MAX);
	assert_true(filemap_latency_bound(LAST + 1) == UINT64_MAX);
	assert_true(filemap_latency_bound(UINT32_MAX) == UINT64_MAX);
}

static void assert_close_above(uint64_t ns)
{
	const uint64_t bound = filemap_latency_bound(filemap_latency_bucket(ns));

	assert_true(bound >= ns);
	assert_true(bound - ns <= (ns / 8 > UNIT - 1 ? ns / 8 : UNIT - 1));
}

static void bound_is_at_most_an_eighth_more(void **state)
{
	(void)state;

	for (uint64_t ns = 0; ns < 70000; ns++)
		assert_close_above(ns);
	for (unsigned bit = 0; bit < 37; bit++)
		for (uint64_t eighths = 8; eighths < 16; eighths++)
			for (int more = -3; more <= 3; more++)
				assert_close_above((eighths << bit) + (uint64_t)(more + 3));
}

static void longer_is_never_in_a_lower_bucket(void **state)
{
	unsigned before = 0;
	(void)state;

	for (uint64_t ns = 0; ns < 70000; ns++) {
		const unsigned bucket = filemap_latency_bucket(ns);
		assert_true(bucket == before || bucket == before + 1);
		before = bucket;
	}
	for (uint64_t ns = 70000; ns < UINT64_MAX / 2; ns += ns / 100) {
		const unsigned bucket = filemap_latency_bucket(ns);
		assert_true(bucket == before || bucket == before + 1);
		before = bucket;
	}
	assert_int_equal(before, LAST);
}

static void added_latency_is_counted_in_its_bucket_alone(void **state)
{
	uint64_t buckets[FILEMAP_LATENCY_BUCKETS] = {0}, expected[FILEMAP_LATENCY_BUCKETS] = {0};
	(void)state;

	for (uint64_t ns = 1; ns < UINT64_MAX / 4; ns *= 3) {
		fm__latency_add(buckets, ns);
		expected[filemap_latency_bucket(ns)]++;
	}
	assert_memory_equal(buckets, expected, sizeof buckets);
}

static int compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* Numbers of every size, the same in every run. */
static void fill(uint64_t *samples, uint64_t *buckets)
{
	uint64_t seed = 88172645463325252u;

	for (unsigned i = 0; i < SAMPLES; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		samples[i] = seed >> (24 + i % 40);
		fm__latency_add(buckets, samples[i]);
	}
	qsort(samples, SAMPLES, sizeof *samples, compare);
}

static void quantiles_are_those_of_the_sorted_samples(void **state)
{
	static uint64_t samples[SAMPLES], buckets[FILEMAP_LATENCY_BUCKETS];
	(void)state;

	fill(samples, buckets);
	for (unsigned ppm = 0; ppm <= 1000000; ppm += 125) {
		const uint64_t reached = ((uint64_t)SAMPLES * ppm + 999999) / 1000000; /* rounded up */
		const uint64_t sample = samples[reached ? reached - 1 : 0];
		const uint64_t bound = filemap_latency_bound(filemap_latency_bucket(sample));
		assert_true(filemap_latency_quantile(buckets, ppm) == bound);
	}
}

static void share_of_more_than_all_is_the_longest(void **state)
{
	uint64_t buckets[FILEMAP_LATENCY_BUCKETS] = {0};
	(void)state;

	buckets[20] = 5;
	buckets[90] = 1;
	assert_true(filemap_latency_quantile(buckets, 1000000) == filemap_latency_bound(90));
	assert_true(filemap_latency_quantile(buckets, 1000001) == filemap_latency_bound(90));
	assert_true(filemap_latency_quantile(buckets, UINT32_MAX) == filemap_latency_bound(90));
	buckets[LAST] = 1;
	assert_true(filemap_latency_quantile(buckets, 1000000) == UINT64_MAX);
}

static void one_sample_is_every_quantile_of_its_own(void **state)
{
	uint64_t buckets[FILEMAP_LATENCY_BUCKETS] = {0};
	(void)state;

	assert_true(filemap_latency_quantile(buckets, 500000) == 0);
	assert_true(filemap_latency_quantile(buckets, 1000000) == 0);
	buckets[100] = 1;
	for (unsigned ppm = 0; ppm <= 1000000; ppm += 1000)
		assert_true(filemap_latency_quantile(buckets, ppm) == filemap_latency_bound(100));
}

static void quantile_of_huge_counts_does_not_overflow(void **state)
{
	uint64_t buckets[FILEMAP_LATENCY_BUCKETS] = {0};
	(void)state;

	buckets[10] = UINT64_MAX / 2;
	buckets[11] = UINT64_MAX / 4;
	buckets[12] = UINT64_MAX / 8;
	assert_true(filemap_latency_quantile(buckets, 500000) == filemap_latency_bound(10));
	assert_true(filemap_latency_quantile(buckets, 571428) == filemap_latency_bound(10));
	assert_true(filemap_latency_quantile(buckets, 571429) == filemap_latency_bound(11));
	assert_true(filemap_latency_quantile(buckets, 857143) == filemap_latency_bound(12));
}

T_MAIN(T_PLAIN(every_bucket_ends_where_the_scale_says), T_PLAIN(last_bucket_takes_all_that_is_longer),
       T_PLAIN(bound_is_at_most_an_eighth_more), T_PLAIN(longer_is_never_in_a_lower_bucket),
       T_PLAIN(added_latency_is_counted_in_its_bucket_alone),
       T_PLAIN(quantiles_are_those_of_the_sorted_samples), T_PLAIN(share_of_more_than_all_is_the_longest),
       T_PLAIN(one_sample_is_every_quantile_of_its_own), T_PLAIN(quantile_of_huge_counts_does_not_overflow))
