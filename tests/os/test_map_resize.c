/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Resizing real files: windows that follow or are clamped, zeros in what is new. */
#include "t.h"

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filemap/filemap.h>

static struct filemap *create(void **state, uint64_t size, const struct filemap_options *options)
{
	const char *path = t_path(*state, "file");
	struct filemap *map = NULL;
	const struct filemap_options *plain = FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW, .size = size);
	assert_ok(filemap_open(path, FILEMAP_WRITE, options ? options : plain, &map, NULL));
	return map;
}

static void fill(struct filemap *map, int value)
{
	memset(filemap_data_mut(map), value, filemap_size(map));
}

static void assert_all(const struct filemap *map, size_t from, size_t to, int value)
{
	const unsigned char *bytes = filemap_data(map);
	for (size_t i = from; i < to; i++)
		assert_int_equal(bytes[i], value);
}

static void growth_keeps_the_old_and_zeroes_the_new(void **state)
{
	struct filemap *map = create(state, 100, NULL);
	const size_t sizes[] = {101, 4096, 4097, 8192, 300000, 300001};
	size_t before = 100;
	fill(map, 0xAA);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		assert_ok(filemap_resize(map, sizes[i], NULL));
		assert_int_equal(filemap_size(map), sizes[i]);
		assert_int_equal(t_file_size(filemap_path(map)), sizes[i]);
		assert_all(map, 0, before, 0xAA);
		assert_all(map, before, sizes[i], 0);
		fill(map, 0xAA);
		assert_ok(filemap_flush(map));
		before = sizes[i];
	}
	filemap_close(map);
}

static void growth_allocates_blocks_unless_sparse(void **state)
{
	struct filemap_stat status;
	struct filemap *map = create(state, 1, NULL);
	assert_ok(filemap_resize(map, 1 << 20, NULL));
	assert_ok(filemap_stat(map, &status));
	assert_true(status.blocks * 512 >= 1 << 20);
	filemap_close(map);
	assert_ok(unlink(t_path(*state, "file")));
	map = create(state, 0, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | FILEMAP_SPARSE, .size = 1));
	assert_ok(filemap_resize(map, 1 << 20, NULL));
	assert_ok(filemap_stat(map, &status));
	assert_true(status.blocks * 512 < 1 << 20);
	filemap_close(map);
}

static void bytes_stored_behind_the_end_never_reappear(void **state)
{
	struct filemap *map = create(state, 100, NULL);
	fill(map, 0xAA);
	memset((char *)filemap_data_mut(map) + 100, 0xBB, 3000); /* within the page: no fault, no content */
	assert_ok(filemap_resize(map, 5000, NULL));
	assert_all(map, 0, 100, 0xAA);
	assert_all(map, 100, 5000, 0);
	filemap_close(map);
}

static void shrinking_and_growing_again_shows_zeros(void **state)
{
	struct filemap *map = create(state, 10000, NULL);
	fill(map, 0xAA);
	assert_ok(filemap_resize(map, 3, NULL));
	assert_int_equal(filemap_size(map), 3);
	assert_ok(filemap_resize(map, 10000, NULL));
	assert_all(map, 0, 3, 0xAA);
	assert_all(map, 3, 10000, 0);
	fill(map, 0xAA);
	assert_ok(filemap_resize(map, 0, NULL));
	assert_int_equal(filemap_size(map), 0);
	assert_non_null(filemap_data(map));
	assert_ok(filemap_resize(map, 10000, NULL));
	assert_all(map, 0, 10000, 0);
	filemap_close(map);
}

static void same_size_changes_nothing(void **state)
{
	struct filemap *map = create(state, 5000, NULL);
	const void *data = filemap_data(map);
	fill(map, 0xAA);
	assert_ok(filemap_resize(map, 5000, NULL));
	assert_ptr_equal(filemap_data(map), data);
	assert_all(map, 0, 5000, 0xAA);
	filemap_close(map);
}

static void fixed_length_is_remembered_and_clamped(void **state)
{
	struct filemap *map =
		create(state, 0, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 20, .length = 4));
	assert_int_equal(filemap_size(map), 4);
	assert_ok(filemap_resize(map, 30000, NULL));
	assert_int_equal(filemap_size(map), 4);
	assert_ok(filemap_resize(map, 2, NULL));
	assert_int_equal(filemap_size(map), 2);
	assert_ok(filemap_resize(map, 20, NULL));
	assert_int_equal(filemap_size(map), 4);
	filemap_close(map);
}

static void window_at_an_offset_follows_the_end(void **state)
{
	struct filemap_error error;
	struct filemap *map =
		create(state, 0, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 5000, .offset = 4990));
	assert_int_equal(filemap_size(map), 10);
	fill(map, 0xAA);
	assert_ok(filemap_resize(map, 20000, NULL));
	assert_int_equal(filemap_size(map), 15010);
	assert_all(map, 0, 10, 0xAA);
	assert_all(map, 10, 15010, 0);
	assert_ok(filemap_flush_range(map, 3, 4100));
	assert_ok(filemap_resize(map, 4990, NULL));
	assert_int_equal(filemap_size(map), 0);
	assert_int_equal(filemap_resize(map, 4989, &error), FILEMAP_ERANGE);
	assert_string_equal(error.subject, "offset");
	assert_int_equal(t_file_size(filemap_path(map)), 4990);
	assert_ok(filemap_resize(map, 4994, NULL));
	assert_int_equal(filemap_size(map), 4);
	assert_all(map, 0, 4, 0);
	filemap_close(map);
}

static void reserve_keeps_the_address(void **state)
{
	struct filemap_error error;
	struct filemap *map =
		create(state, 0, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 10, .reserve = 1 << 20));
	const void *data = filemap_data(map);
	fill(map, 0xAA);
	for (uint64_t size = 11; size < 1 << 20; size *= 3) {
		assert_ok(filemap_resize(map, size, NULL));
		assert_ptr_equal(filemap_data(map), data);
		assert_all(map, 10, size, 0);
		((char *)filemap_data_mut(map))[size - 1] = 0;
	}
	assert_ok(filemap_resize(map, 5, NULL));
	assert_ok(filemap_resize(map, 1 << 20, NULL));
	assert_ptr_equal(filemap_data(map), data);
	assert_int_equal(filemap_resize(map, (1 << 20) + 1, &error), FILEMAP_ERANGE);
	assert_string_equal(error.subject, "reserve");
	assert_int_equal(filemap_size(map), 1 << 20);
	assert_int_equal(t_file_size(filemap_path(map)), 1 << 20);
	filemap_close(map);
}

static void size_that_cannot_be_is_refused_and_nothing_changed(void **state)
{
	struct filemap_error error;
	struct filemap *map = create(state, 10, NULL);
	fill(map, 0xAA);
	assert_int_equal(filemap_resize(map, UINT64_MAX, &error), FILEMAP_ERANGE);
	assert_string_equal(error.subject, "file_size");
	int r = filemap_resize(map, UINT64_C(1) << 62, &error);
	assert_true(r < 0);
	assert_non_null(error.step);
	assert_int_equal(filemap_size(map), 10);
	assert_int_equal(t_file_size(filemap_path(map)), 10);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	assert_all(map, 0, 10, 0xAA);
	assert_ok(filemap_resize(map, 20, NULL));
	filemap_close(map);
}

static int grow_over_the_limit(void *context)
{
	const struct rlimit limit = {1 << 16, 1 << 16};
	struct filemap *map;
	struct filemap_error error;
	if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
		return 1;
	if (filemap_open(context, FILEMAP_WRITE, NULL, &map, NULL) < 0)
		return 2;
	if (filemap_resize(map, 1 << 17, &error) != -EFBIG || strcmp(error.step, "allocate blocks"))
		return 3;
	if (filemap_size(map) != 5 || t_file_size(context) != 5 || memcmp(filemap_data(map), "hello", 5))
		return 4;
	if (filemap_resize(map, 1 << 16, NULL) < 0)
		return 5;
	filemap_close(map);
	return 0;
}

static void file_size_limit_is_an_error_and_no_signal(void **state)
{
	const char *path = t_path(*state, "file");
	t_write_file(path, "hello", 5);
	assert_int_equal(t_in_child(grow_over_the_limit, (void *)(uintptr_t)path), 0);
}

static void size_changed_by_others_is_taken_up(void **state)
{
	struct filemap *map = create(state, 5000, NULL);
	assert_ok(truncate(filemap_path(map), 100));
	assert_ok(filemap_resize(map, 6000, NULL));
	assert_int_equal(filemap_size(map), 6000);
	assert_all(map, 0, 6000, 0);
	filemap_close(map);
}

T_MAIN(T_TEST(growth_keeps_the_old_and_zeroes_the_new), T_TEST(growth_allocates_blocks_unless_sparse),
       T_TEST(bytes_stored_behind_the_end_never_reappear), T_TEST(shrinking_and_growing_again_shows_zeros),
       T_TEST(same_size_changes_nothing), T_TEST(fixed_length_is_remembered_and_clamped),
       T_TEST(window_at_an_offset_follows_the_end), T_TEST(reserve_keeps_the_address),
       T_TEST(size_that_cannot_be_is_refused_and_nothing_changed),
       T_TEST(file_size_limit_is_an_error_and_no_signal), T_TEST(size_changed_by_others_is_taken_up))
