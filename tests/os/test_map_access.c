/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Slices and copies: every edge of the bounds check, and nothing touched when it says no. */
#include "t.h"

#include <filemap/filemap.h>

#define SIZE 100u

static struct filemap *open_hundred(void **state, unsigned mode)
{
	const char *path = t_path(*state, "file");
	unsigned char bytes[SIZE];
	struct filemap *map = NULL;
	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = (unsigned char)i;
	t_write_file(path, bytes, SIZE);
	assert_ok(filemap_open(path, mode, NULL, &map, NULL));
	return map;
}

static void slice_within_the_window_is_a_view(void **state)
{
	struct filemap *map = open_hundred(state, FILEMAP_READ);
	const void *slice = NULL;
	assert_ok(filemap_slice(map, 10, 20, &slice));
	assert_ptr_equal(slice, (const char *)filemap_data(map) + 10);
	assert_ok(filemap_slice(map, 40, FILEMAP_TO_END, &slice));
	assert_ptr_equal(slice, (const char *)filemap_data(map) + 40);
	assert_ok(filemap_slice(map, SIZE, 0, &slice));
	filemap_close(map);
}

static void slice_outside_the_window_is_refused(void **state)
{
	struct filemap *map = open_hundred(state, FILEMAP_WRITE);
	const void *slice = &slice;
	void *slice_mut = &slice_mut;
	assert_int_equal(filemap_slice(map, SIZE, 1, &slice), FILEMAP_ERANGE);
	assert_int_equal(filemap_slice(map, SIZE + 1, 0, &slice), FILEMAP_ERANGE);
	assert_int_equal(filemap_slice(map, 50, SIZE_MAX - 20, &slice), FILEMAP_ERANGE);
	assert_int_equal(filemap_slice_mut(map, 1, SIZE, &slice_mut), FILEMAP_ERANGE);
	assert_ptr_equal(slice, &slice);
	assert_ptr_equal(slice_mut, &slice_mut);
	filemap_close(map);
}

static void read_some_stops_at_the_end(void **state)
{
	struct filemap *map = open_hundred(state, FILEMAP_READ);
	unsigned char bytes[SIZE] = {0};
	assert_int_equal(filemap_read_some(map, 98, bytes, 3), 2);
	assert_int_equal(bytes[1], 99);
	assert_int_equal(bytes[2], 0);
	assert_int_equal(filemap_read_some(map, SIZE, bytes, 3), 0);
	assert_int_equal(filemap_read_some(map, SIZE + 1, bytes, 3), FILEMAP_ERANGE);
	assert_int_equal(filemap_read_some(map, 0, NULL, 0), 0);
	filemap_close(map);
}

static void read_exact_is_all_or_nothing(void **state)
{
	struct filemap *map = open_hundred(state, FILEMAP_READ);
	unsigned char bytes[SIZE] = {0};
	assert_int_equal(filemap_read_exact(map, 98, bytes, 3), FILEMAP_ERANGE);
	assert_int_equal(filemap_read_exact(map, 0, bytes, FILEMAP_TO_END), FILEMAP_ERANGE);
	assert_int_equal(bytes[0] + bytes[1] + bytes[2], 0);
	assert_ok(filemap_read_exact(map, 97, bytes, 3));
	assert_int_equal(bytes[2], 99);
	assert_ok(filemap_read_exact(map, SIZE, bytes, 0));
	filemap_close(map);
}

static void write_some_stops_at_the_end(void **state)
{
	struct filemap *map = open_hundred(state, FILEMAP_WRITE);
	assert_int_equal(filemap_write_some(map, 98, "abc", 3), 2);
	assert_int_equal(filemap_write_some(map, SIZE, "abc", 3), 0);
	assert_int_equal(filemap_write_some(map, SIZE + 1, "abc", 3), FILEMAP_ERANGE);
	assert_memory_equal((const char *)filemap_data(map) + 98, "ab", 2);
	filemap_close(map);
	assert_int_equal(t_file_size(t_path(*state, "file")), SIZE);
}

static void write_all_is_all_or_nothing(void **state)
{
	struct filemap *map = open_hundred(state, FILEMAP_WRITE);
	assert_int_equal(filemap_write_all(map, 98, "abc", 3), FILEMAP_ERANGE);
	assert_int_equal(((const unsigned char *)filemap_data(map))[98], 98);
	assert_ok(filemap_write_all(map, 97, "abc", 3));
	assert_memory_equal((const char *)filemap_data(map) + 97, "abc", 3);
	assert_ok(filemap_write_all(map, SIZE, NULL, 0));
	filemap_close(map);
}

static void zero_clears_exactly_its_range(void **state)
{
	struct filemap *map = open_hundred(state, FILEMAP_WRITE);
	const unsigned char *bytes = filemap_data(map);
	assert_ok(filemap_zero(map, 10, 5));
	assert_int_equal(bytes[9], 9);
	assert_int_equal(bytes[10] + bytes[14], 0);
	assert_int_equal(bytes[15], 15);
	assert_ok(filemap_zero(map, 90, FILEMAP_TO_END));
	assert_int_equal(bytes[99], 0);
	assert_int_equal(filemap_zero(map, 95, 6), FILEMAP_ERANGE);
	filemap_close(map);
}

static void writing_to_a_read_mapping_is_refused(void **state)
{
	struct filemap *map = open_hundred(state, FILEMAP_READ);
	void *slice;
	assert_int_equal(filemap_slice_mut(map, 0, 1, &slice), FILEMAP_EMODE);
	assert_int_equal(filemap_write_some(map, 0, "a", 1), FILEMAP_EMODE);
	assert_int_equal(filemap_write_all(map, 0, "a", 1), FILEMAP_EMODE);
	assert_int_equal(filemap_zero(map, 0, 1), FILEMAP_EMODE);
	assert_int_equal(filemap_resize(map, 200, NULL), FILEMAP_EMODE);
	assert_ok(filemap_flush(map));
	filemap_close(map);
}

static void view_is_the_first_member(void **state)
{
	struct filemap *map = open_hundred(state, FILEMAP_WRITE);
	const struct filemap_view *view = (const void *)map;
	assert_ptr_equal(view->data, filemap_data(map));
	assert_ptr_equal(view->data_mut, filemap_data_mut(map));
	assert_int_equal(view->size, SIZE);
	assert_int_equal(view->size_mut, SIZE);
	filemap_close(map);
	map = open_hundred(state, FILEMAP_READ);
	view = (const void *)map;
	assert_null(view->data_mut);
	assert_int_equal(view->size_mut, 0);
	filemap_close(map);
}

T_MAIN(T_TEST(slice_within_the_window_is_a_view), T_TEST(slice_outside_the_window_is_refused),
       T_TEST(read_some_stops_at_the_end), T_TEST(read_exact_is_all_or_nothing),
       T_TEST(write_some_stops_at_the_end), T_TEST(write_all_is_all_or_nothing),
       T_TEST(zero_clears_exactly_its_range), T_TEST(writing_to_a_read_mapping_is_refused),
       T_TEST(view_is_the_first_member))
