/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Conformance: the layer that maps memory, item by item under the names that the original's tests have: files,
 * anonymous memory, private copies, flushing, offsets, and lengths that no address space holds.
 */
#include "conform.h"

#include <pthread.h>

static struct filemap *anonymous_ok(size_t length, const struct filemap_options *options)
{
	struct filemap *map = NULL;
	assert_ok(filemap_anonymous(length, options, &map, NULL));
	assert_int_equal(filemap_size(map), length);
	return map;
}

static void count_up(struct filemap *map)
{
	unsigned char *bytes = filemap_data_mut(map);
	assert_non_null(bytes);
	assert_int_equal(filemap_size(map), 128);
	assert_zeros(map, 0, 128);
	for (int i = 0; i < 128; i++)
		bytes[i] = (unsigned char)i;
	for (int i = 0; i < 128; i++)
		assert_int_equal(((const unsigned char *)filemap_data(map))[i], i);
}

static void conform_map_file_bytes_are_stored_and_loaded(void **state)
{
	const char *path = t_path(*state, "file");
	filemap_close(create_ok(path, 128));
	struct filemap *map = open_ok(path, FILEMAP_WRITE, NULL);
	count_up(map);
	filemap_close(map);
}

static void conform_map_fd_maps_what_the_descriptor_has_open(void **state)
{
	struct filemap *map = NULL;
	const int fd = open(t_path(*state, "file"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_ok(ftruncate(fd, 128));
	assert_ok(filemap_open_fd(fd, FILEMAP_WRITE, NULL, &map, NULL));
	count_up(map);
	assert_int_not_equal(filemap_fd(map), fd);
	filemap_close(map);
	assert_int_equal(lseek(fd, 0, SEEK_END), 128); /* still open and ours */
	close(fd);
}

static void conform_map_empty_file_has_an_aligned_address(void **state)
{
	static const unsigned modes[] = {FILEMAP_READ, FILEMAP_COW, FILEMAP_WRITE};
	const char *path = text_file(state, "");
	for (size_t i = 0; i < 3; i++) {
		struct filemap *map = open_ok(path, modes[i], NULL);
		assert_int_equal(filemap_size(map), 0);
		assert_non_null(filemap_data(map));
		assert_int_equal((uintptr_t)filemap_data(map) % sizeof(size_t), 0);
		filemap_close(map);
	}
}

static void conform_map_anon_is_zero_and_writable(void **state)
{
	(void)state;
	struct filemap *map = anonymous_ok(128, NULL);
	count_up(map);
	filemap_close(map);
	map = anonymous_ok(128, FILEMAP_OPTIONS(.flags = FILEMAP_SHARED));
	count_up(map);
	filemap_close(map);
}

static void conform_map_anon_zero_len_is_a_mapping(void **state)
{
	(void)state;
	struct filemap *map = anonymous_ok(0, NULL);
	assert_non_null(filemap_data_mut(map));
	filemap_close(map);
}

static void conform_map_anon_len_overflow_is_an_error(void **state)
{
	static const size_t lengths[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX - 1, SIZE_MAX};
	struct filemap_error error = {0};
	struct filemap *map = NULL;
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(filemap_anonymous(lengths[i], NULL, &map, &error), FILEMAP_ERANGE);
		assert_int_equal(error.code, FILEMAP_ERANGE);
		assert_null(map);
	}
}

static void conform_remap_len_overflow_keeps_the_length(void **state)
{
	struct filemap *memory = anonymous_ok(1024, NULL), *file = create_ok(t_path(*state, "file"), 1024);
	assert_int_equal(filemap_resize(memory, (uint64_t)PTRDIFF_MAX + 1, NULL), FILEMAP_ERANGE);
	assert_int_equal(filemap_size(memory), 1024);
	assert_zeros(memory, 0, 1024);
	assert_int_equal(filemap_resize(file, (uint64_t)INT64_MAX + 1, NULL), FILEMAP_ERANGE);
	assert_int_equal(filemap_size(file), 1024);
	assert_zeros(file, 0, 1024);
	filemap_close(memory);
	filemap_close(file);
}

static void conform_file_write_is_seen_by_read(void **state)
{
	char got[8];
	struct filemap *map = create_ok(t_path(*state, "file"), 128);
	memcpy(filemap_data_mut(map), "abc123xy", 8);
	assert_ok(filemap_flush(map));
	assert_int_equal(pread(filemap_fd(map), got, 8, 0), 8);
	assert_memory_equal(got, "abc123xy", 8);
	filemap_close(map);
}

static void conform_flush_range_works_from_an_unaligned_offset(void **state)
{
	char got[6];
	const char *path = t_path(*state, "file");
	filemap_close(create_ok(path, 128));
	struct filemap *map = open_ok(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.offset = 2, .length = 6));
	assert_ok(filemap_write_all(map, 0, "abc123", 6));
	assert_ok(flush_async(map, 0, 6));
	assert_ok(filemap_flush_range(map, 0, 6));
	assert_int_equal(pread(filemap_fd(map), got, 6, 2), 6);
	assert_memory_equal(got, "abc123", 6);
	filemap_close(map);
}

static const size_t outside[][2] = {{0, 129}, {64, 65}, {SIZE_MAX, 1}, {129, 0}, {1, SIZE_MAX - 1}};
static const size_t inside[][2] = {{0, 128}, {128, 0}, {64, 0}, {0, 0}, {64, SIZE_MAX}};
#define RANGES 5

static void check_ranges(struct filemap *map, int (*call)(struct filemap *map, size_t offset, size_t length))
{
	for (size_t i = 0; i < RANGES; i++)
		assert_int_equal(call(map, outside[i][0], outside[i][1]), FILEMAP_ERANGE);
	for (size_t i = 0; i < RANGES; i++)
		assert_ok(call(map, inside[i][0], inside[i][1]));
	filemap_close(map);
}

static int flush_now(struct filemap *map, size_t offset, size_t length)
{
	return filemap_flush_range(map, offset, length);
}

static void conform_flush_range_rejects_out_of_bounds_of_a_file(void **state)
{
	check_ranges(create_ok(t_path(*state, "a"), 128), flush_now);
	check_ranges(create_ok(t_path(*state, "b"), 128), flush_async);
	check_ranges(create_ok(t_path(*state, "c"), 128), filemap_writeback);
}

static void conform_raw_flush_range_rejects_out_of_bounds_of_memory(void **state)
{
	(void)state;
	check_ranges(anonymous_ok(128, NULL), flush_now);
	check_ranges(anonymous_ok(128, NULL), flush_async);
	check_ranges(anonymous_ok(128, NULL), filemap_writeback);
}

static void conform_map_copy_changes_stay_private(void **state)
{
	const char *path = t_path(*state, "file");
	filemap_close(create_ok(path, 128));
	struct filemap *copy = open_ok(path, FILEMAP_COW, NULL), *other = open_ok(path, FILEMAP_READ, NULL);
	count_up(copy);
	assert_ok(filemap_flush(copy));
	assert_zeros(other, 0, 128);
	filemap_close(copy);
	filemap_close(other);
}

static void conform_map_copy_read_only_shows_the_file(void **state)
{
	struct filemap *map = open_ok(text_file(state, "abc123"), FILEMAP_COW, NULL);
	assert_ok(filemap_freeze(map, NULL));
	assert_window(map, "abc123");
	assert_null(filemap_data_mut(map));
	filemap_close(map);
}

#define FAR (UINT64_C(0x100000001)) /* behind 4 GiB and not on a page */

static void use_far_window(const char *path, uint64_t length)
{
	struct filemap *map = open_ok(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.offset = FAR, .length = length));
	assert_int_equal(filemap_size(map), 5432);
	assert_zeros(map, 0, 5432);
	assert_ok(filemap_write_all(map, 5426, "abc123", 6));
	assert_text_at(map, 5426, "abc123");
	assert_ok(filemap_flush(map));
	assert_ok(filemap_zero(map, 5426, 6));
	filemap_close(map);
}

static void conform_map_offset_may_be_far_into_the_file(void **state)
{
	const char *path = text_file(state, "");
	if (truncate(path, (off_t)(FAR + 5432)) < 0)
		t_skip("the file system has no files of more than 4 GiB");
	use_far_window(path, 0);
	use_far_window(path, 5432);
	assert_int_equal(t_file_size(path), FAR + 5432);
}

static void conform_index_of_a_pointer_loads_and_stores(void **state)
{
	struct filemap *map = create_ok(t_path(*state, "file"), 128);
	((unsigned char *)filemap_data_mut(map))[0] = 42;
	((unsigned char *)filemap_data_mut(map))[127] = 43;
	assert_int_equal(((const unsigned char *)filemap_data(map))[0], 42);
	assert_int_equal(((const unsigned char *)filemap_data(map))[127], 43);
	filemap_close(map);
}

static void *read_and_close(void *argument)
{
	struct filemap *map = argument;
	const bool same = memcmp(filemap_data(map), DATA, DATA_SIZE) == 0;
	filemap_close(map); /* opened by another thread */
	return same ? map : NULL;
}

static void *read_half(void *argument)
{
	struct filemap *map = argument;
	char got[DATA_SIZE] = {0};
	for (int i = 0; i < 1000; i++) {
		if (filemap_read_exact(map, 0, got, DATA_SIZE) < 0 || memcmp(got, DATA, DATA_SIZE) != 0)
			return NULL;
	}
	return map;
}

static void conform_sync_send_handles_are_shared_and_moved_between_threads(void **state)
{
	struct filemap *map = open_ok(text_file(state, DATA), FILEMAP_WRITE, NULL);
	pthread_t threads[2];
	void *result = NULL;
	for (int i = 0; i < 2; i++)
		assert_ok(pthread_create(&threads[i], NULL, read_half, map));
	for (int i = 0; i < 2; i++) {
		assert_ok(pthread_join(threads[i], &result));
		assert_non_null(result);
	}
	assert_ok(pthread_create(&threads[0], NULL, read_and_close, map));
	assert_ok(pthread_join(threads[0], &result));
	assert_non_null(result);
}

static void assert_raw(const struct filemap *map)
{
	const struct filemap_view *view = (const struct filemap_view *)map;
	assert_int_equal(__atomic_load_n(&view->size, __ATOMIC_ACQUIRE), 6);
	assert_non_null(view->data);
	assert_int_equal(view->data[0], 'a');
}

static void conform_raw_view_is_the_handle_itself(void **state)
{
	struct filemap *map = open_ok(text_file(state, "abc123"), FILEMAP_WRITE, NULL);
	const struct filemap_view *view = (const struct filemap_view *)map;
	assert_raw(map);
	assert_ptr_equal(view->data_mut, filemap_data_mut(map));
	assert_int_equal(view->size_mut, 6);
	view->data_mut[0] = 'A';
	assert_text_at(map, 0, "Abc123");
	filemap_close(map);
}

static void conform_raw_read_only_view_has_nothing_to_store_to(void **state)
{
	struct filemap *map = open_ok(text_file(state, "abc123"), FILEMAP_READ, NULL);
	assert_raw(map);
	assert_null(((const struct filemap_view *)map)->data_mut);
	assert_int_equal(((const struct filemap_view *)map)->size_mut, 0);
	filemap_close(map);
}

static void conform_owning_ref_is_a_pin_that_outlives_the_close(void **state)
{
	const void *slice = NULL;
	const char *path = text_file(state, "abc123");
	struct filemap *map = open_ok(path, FILEMAP_READ, NULL);
	assert_ok(filemap_slice(map, 3, 3, &slice));
	assert_ok(filemap_pin(map));
	filemap_close(map);
	assert_memory_equal(slice, "123", 3);
	assert_int_equal(try_open(path, FILEMAP_WRITE, NULL), FILEMAP_ELOCKED);
	filemap_unpin(map);
	assert_ok(try_open(path, FILEMAP_WRITE, NULL));
}

static void conform_remap_grow_follows_the_file(void **state)
{
	uint64_t size = 0;
	const char *path = t_path(*state, "file");
	struct filemap *map = create_ok(path, 128);
	memset(filemap_data_mut(map), 1, 128);
	assert_ok(filemap_resize(map, 2000, NULL));
	assert_int_equal(filemap_size(map), 2000);
	assert_zeros(map, 128, 1872);
	memset(filemap_data_mut(map), 2, 2000);
	filemap_close(map);
	map = open_ok(path, FILEMAP_READ, NULL);
	assert_ok(truncate(path, 50000)); /* by somebody else */
	assert_ok(filemap_refresh(map, &size, NULL));
	assert_int_equal(size, 50000);
	assert_int_equal(filemap_size(map), 50000);
	assert_zeros(map, 2000, 48000);
	filemap_close(map);
}

static void conform_remap_shrink_stays_writable(void **state)
{
	const char *path = t_path(*state, "file");
	struct filemap *map = create_ok(path, 20000);
	const void *before = filemap_data(map);
	assert_ok(filemap_resize(map, 400, NULL));
	assert_int_equal(filemap_size(map), 400);
	assert_ptr_equal(filemap_data(map), before);
	memset(filemap_data_mut(map), 3, 400);
	assert_ok(filemap_flush(map));
	filemap_close(map);
	assert_int_equal(t_file_size(path), 400);
}

static void conform_remap_with_offset_that_is_no_page(void **state)
{
	const char *path = t_path(*state, "file");
	filemap_close(create_ok(path, 205));
	struct filemap *map = open_ok(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.offset = 77));
	assert_int_equal(filemap_size(map), 128);
	memset(filemap_data_mut(map), 1, 128);
	assert_ok(filemap_resize(map, 20077, NULL));
	assert_int_equal(filemap_size(map), 20000);
	assert_zeros(map, 128, 19872);
	memset(filemap_data_mut(map), 2, 20000);
	assert_ok(filemap_flush(map));
	filemap_close(map);
}

static void conform_mmap_raw_remap_grow_of_memory(void **state)
{
	(void)state;
	struct filemap *map = anonymous_ok(128, NULL);
	memset(filemap_data_mut(map), 1, 128);
	assert_ok(filemap_resize(map, 200000, NULL));
	assert_int_equal(((const char *)filemap_data(map))[127], 1);
	assert_zeros(map, 128, 199872);
	((char *)filemap_data_mut(map))[199999] = 5;
	filemap_close(map);
}

static void conform_map_options_offset_past_file_len_is_refused(void **state)
{
	const char *path = text_file(state, "four");
	static const unsigned modes[] = {FILEMAP_READ, FILEMAP_COW, FILEMAP_WRITE};
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(try_open(path, modes[i], FILEMAP_OPTIONS(.offset = 1024)), FILEMAP_ERANGE);
}

static void conform_validate_len_overflow_refuses_what_no_pointer_spans(void **state)
{
	const char *path = text_file(state, "four");
	struct filemap *map = NULL;
	assert_int_equal(filemap_wrap_bytes(NULL, "x", (size_t)PTRDIFF_MAX + 1, &map, NULL), FILEMAP_ERANGE);
	assert_null(map);
	assert_int_equal(try_open(path, FILEMAP_READ, FILEMAP_OPTIONS(.length = (uint64_t)PTRDIFF_MAX + 1)),
			 FILEMAP_ERANGE);
	assert_int_equal(try_open(path, FILEMAP_READ, FILEMAP_OPTIONS(.offset = UINT64_MAX, .length = 2)),
			 FILEMAP_ERANGE);
}

T_MAIN(T_TEST(conform_map_file_bytes_are_stored_and_loaded),
       T_TEST(conform_map_fd_maps_what_the_descriptor_has_open),
       T_TEST(conform_map_empty_file_has_an_aligned_address), T_TEST(conform_map_anon_is_zero_and_writable),
       T_TEST(conform_map_anon_zero_len_is_a_mapping), T_TEST(conform_map_anon_len_overflow_is_an_error),
       T_TEST(conform_remap_len_overflow_keeps_the_length), T_TEST(conform_file_write_is_seen_by_read),
       T_TEST(conform_flush_range_works_from_an_unaligned_offset),
       T_TEST(conform_flush_range_rejects_out_of_bounds_of_a_file),
       T_TEST(conform_raw_flush_range_rejects_out_of_bounds_of_memory),
       T_TEST(conform_map_copy_changes_stay_private), T_TEST(conform_map_copy_read_only_shows_the_file),
       T_TEST(conform_map_offset_may_be_far_into_the_file),
       T_TEST(conform_index_of_a_pointer_loads_and_stores),
       T_TEST(conform_sync_send_handles_are_shared_and_moved_between_threads),
       T_TEST(conform_raw_view_is_the_handle_itself),
       T_TEST(conform_raw_read_only_view_has_nothing_to_store_to),
       T_TEST(conform_owning_ref_is_a_pin_that_outlives_the_close),
       T_TEST(conform_remap_grow_follows_the_file), T_TEST(conform_remap_shrink_stays_writable),
       T_TEST(conform_remap_with_offset_that_is_no_page), T_TEST(conform_mmap_raw_remap_grow_of_memory),
       T_TEST(conform_map_options_offset_past_file_len_is_refused),
       T_TEST(conform_validate_len_overflow_refuses_what_no_pointer_spans))
