/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Checked arithmetic at its edges. */
#include "t.h"

#include "base/checked.h"

static void add_at_the_edge_fits(void **state)
{
	uint64_t sum = 1;
	(void)state;

	assert_true(fm__add_u64(UINT64_MAX - 1, 1, &sum));
	assert_true(sum == UINT64_MAX);
	assert_true(fm__add_u64(0, 0, &sum));
	assert_true(sum == 0);
}

static void add_over_the_edge_is_refused(void **state)
{
	uint64_t sum;
	size_t size;
	(void)state;

	assert_false(fm__add_u64(UINT64_MAX, 1, &sum));
	assert_false(fm__add_u64(UINT64_MAX, UINT64_MAX, &sum));
	assert_false(fm__add_size(SIZE_MAX, 1, &size));
	assert_true(fm__add_size(SIZE_MAX, 0, &size));
	assert_true(size == SIZE_MAX);
}

static void align_down_drops_the_low_bits(void **state)
{
	(void)state;
	assert_true(fm__align_down(4095, 4096) == 0);
	assert_true(fm__align_down(4096, 4096) == 4096);
	assert_true(fm__align_down(UINT64_MAX, 65536) == UINT64_MAX - 65535);
	assert_true(fm__align_down(77, 1) == 77);
}

static void align_up_goes_to_the_next_multiple(void **state)
{
	uint64_t up = 1;
	(void)state;

	assert_true(fm__align_up(0, 4096, &up));
	assert_true(up == 0);
	assert_true(fm__align_up(1, 4096, &up));
	assert_true(up == 4096);
	assert_true(fm__align_up(4096, 4096, &up));
	assert_true(up == 4096);
	assert_true(fm__align_up(UINT64_MAX - 4095, 4096, &up));
	assert_true(up == UINT64_MAX - 4095);
}

static void align_up_beyond_the_edge_is_refused_and_keeps_the_result(void **state)
{
	uint64_t up = 7;
	(void)state;

	assert_false(fm__align_up(UINT64_MAX - 4094, 4096, &up));
	assert_false(fm__align_up(UINT64_MAX, 2, &up));
	assert_true(up == 7);
}

static void to_size_fits_exactly_when_size_t_can_hold_it(void **state)
{
	size_t size;
	(void)state;

	assert_true(fm__to_size(SIZE_MAX, &size));
	assert_true(size == SIZE_MAX);
	assert_int_equal(fm__to_size(UINT64_MAX, &size), SIZE_MAX == UINT64_MAX);
}

static void power_of_two_is_exactly_one_bit(void **state)
{
	(void)state;
	assert_false(fm__is_power_of_two(0));
	for (unsigned bit = 0; bit < 64; bit++) {
		const uint64_t value = UINT64_C(1) << bit;

		assert_true(fm__is_power_of_two(value));
		if (bit > 0)
			assert_false(fm__is_power_of_two(value | 1));
		if (bit > 1)
			assert_false(fm__is_power_of_two(value - 1));
	}
}

T_MAIN(T_PLAIN(add_at_the_edge_fits), T_PLAIN(add_over_the_edge_is_refused),
       T_PLAIN(align_down_drops_the_low_bits), T_PLAIN(align_up_goes_to_the_next_multiple),
       T_PLAIN(align_up_beyond_the_edge_is_refused_and_keeps_the_result),
       T_PLAIN(to_size_fits_exactly_when_size_t_can_hold_it), T_PLAIN(power_of_two_is_exactly_one_bit))
