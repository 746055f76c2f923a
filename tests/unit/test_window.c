/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The arithmetic of windows, at its edges: no file, no mapping. */
#include "t.h"

#include "map/options.h"
#include "map/window.h"

#define PAGE 4096u

static struct fm__span span_of(uint64_t offset, uint64_t length, uint64_t file_size, size_t page)
{
	const struct fm__window window = {offset, length};
	struct fm__span span;
	assert_ok(fm__window_span(&window, file_size, 0, page, &span));
	return span;
}

static void window_that_follows_ends_where_the_file_does(void **state)
{
	struct fm__span span = span_of(0, FM_WINDOW_FOLLOWS, 10000, PAGE);
	(void)state;
	assert_int_equal(span.file_start, 0);
	assert_int_equal(span.skew, 0);
	assert_int_equal(span.size, 10000);
	assert_int_equal(span.map_length, 3 * PAGE);
}

static void window_at_an_unaligned_offset_starts_at_its_page(void **state)
{
	(void)state;
	for (size_t page = 4096; page <= 65536; page *= 4) {
		struct fm__span span = span_of(page + 77, 100, 4 * page, page);
		assert_int_equal(span.file_start, page);
		assert_int_equal(span.skew, 77);
		assert_int_equal(span.size, 100);
		assert_int_equal(span.map_length, page);
	}
}

static void window_across_a_page_border_takes_both_pages(void **state)
{
	struct fm__span span = span_of(PAGE - 1, 2, 3 * PAGE, PAGE);
	(void)state;
	assert_int_equal(span.file_start, 0);
	assert_int_equal(span.map_length, 2 * PAGE);
}

static void empty_window_still_maps_a_page(void **state)
{
	struct fm__span span = span_of(0, FM_WINDOW_FOLLOWS, 0, PAGE);
	(void)state;
	assert_int_equal(span.size, 0);
	assert_int_equal(span.map_length, PAGE);
	span = span_of(PAGE, 0, 3 * PAGE, PAGE);
	assert_int_equal(span.size, 0);
	assert_int_equal(span.map_length, PAGE);
}

static void fixed_window_is_clamped_and_comes_back(void **state)
{
	(void)state;
	assert_int_equal(span_of(5, 10, 20, PAGE).size, 10);
	assert_int_equal(span_of(5, 10, 8, PAGE).size, 3);
	assert_int_equal(span_of(5, 10, 5, PAGE).size, 0);
	assert_int_equal(span_of(5, 10, 2, PAGE).size, 0);
	assert_int_equal(span_of(5, 10, 15, PAGE).size, 10);
}

static void window_outside_the_file_is_refused(void **state)
{
	const struct fm__window behind = {11, FM_WINDOW_FOLLOWS}, at_end = {10, FM_WINDOW_FOLLOWS};
	const struct fm__window too_long = {4, 7}, fits = {4, 6}, wraps = {4, UINT64_MAX - 1};
	(void)state;
	assert_int_equal(fm__window_check(&behind, 10), FILEMAP_ERANGE);
	assert_int_equal(fm__window_check(&at_end, 10), 0);
	assert_int_equal(fm__window_check(&too_long, 10), FILEMAP_ERANGE);
	assert_int_equal(fm__window_check(&fits, 10), 0);
	assert_int_equal(fm__window_check(&wraps, 10), FILEMAP_ERANGE);
}

static void window_larger_than_the_address_space_is_refused(void **state)
{
	const struct fm__window window = {0, FM_WINDOW_FOLLOWS};
	struct fm__span span = {.size = 1};
	(void)state;
	assert_int_equal(fm__window_span(&window, FM_FILE_MAX, 0, PAGE, &span), FILEMAP_ERANGE);
	assert_int_equal(fm__window_span(&window, 1, UINT64_MAX, PAGE, &span), FILEMAP_ERANGE);
	assert_int_equal(span.size, 1);
}

static void last_page_of_all_has_an_end_that_no_offset_names(void **state)
{
	const struct fm__window last = {FM_FILE_MAX - 5, FM_WINDOW_FOLLOWS};
	const struct fm__window before = {FM_FILE_MAX - PAGE - 5, 5};
	struct fm__span span = {.size = 1};
	(void)state;
	assert_int_equal(fm__window_span(&last, FM_FILE_MAX, 0, PAGE, &span), FILEMAP_ERANGE);
	assert_ok(fm__window_span(&before, FM_FILE_MAX, 0, PAGE, &span));
	assert_int_equal(span.size, 5);
}

static void reserve_widens_the_mapping_and_not_the_window(void **state)
{
	const struct fm__window window = {100, FM_WINDOW_FOLLOWS};
	struct fm__span span;
	(void)state;
	assert_ok(fm__window_span(&window, 200, 3 * PAGE, PAGE, &span));
	assert_int_equal(span.size, 100);
	assert_int_equal(span.map_length, 4 * PAGE);
	assert_ok(fm__window_span(&window, 9 * PAGE, PAGE, PAGE, &span));
	assert_int_equal(span.map_length, 9 * PAGE);
}

static void range_is_resolved_and_checked(void **state)
{
	size_t length = FILEMAP_TO_END;
	(void)state;
	assert_ok(fm__range_resolve(100, 40, &length));
	assert_int_equal(length, 60);
	length = 0;
	assert_ok(fm__range_resolve(100, 100, &length));
	assert_int_equal(fm__range_resolve(100, 101, &length), FILEMAP_ERANGE);
	length = 61;
	assert_int_equal(fm__range_resolve(100, 40, &length), FILEMAP_ERANGE);
	length = SIZE_MAX - 10; /* the sum would wrap */
	assert_int_equal(fm__range_resolve(100, 40, &length), FILEMAP_ERANGE);
}

static void cover_is_the_pages_around_a_range(void **state)
{
	uint64_t start, length;
	(void)state;
	fm__range_cover(PAGE + 1, 1, PAGE, &start, &length);
	assert_int_equal(start, PAGE);
	assert_int_equal(length, PAGE);
	fm__range_cover(PAGE - 1, 2, PAGE, &start, &length);
	assert_int_equal(start, 0);
	assert_int_equal(length, 2 * PAGE);
	fm__range_cover(PAGE, PAGE, PAGE, &start, &length);
	assert_int_equal(start, PAGE);
	assert_int_equal(length, PAGE);
	fm__range_cover(PAGE + 5, 0, PAGE, &start, &length);
	assert_int_equal(length, 0);
}

T_MAIN(T_PLAIN(window_that_follows_ends_where_the_file_does),
       T_PLAIN(window_at_an_unaligned_offset_starts_at_its_page),
       T_PLAIN(window_across_a_page_border_takes_both_pages), T_PLAIN(empty_window_still_maps_a_page),
       T_PLAIN(fixed_window_is_clamped_and_comes_back), T_PLAIN(window_outside_the_file_is_refused),
       T_PLAIN(window_larger_than_the_address_space_is_refused),
       T_PLAIN(last_page_of_all_has_an_end_that_no_offset_names),
       T_PLAIN(reserve_widens_the_mapping_and_not_the_window), T_PLAIN(range_is_resolved_and_checked),
       T_PLAIN(cover_is_the_pages_around_a_range))
