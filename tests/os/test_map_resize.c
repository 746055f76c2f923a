/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Resizing real files: windows that follow or are clamped, zeros in what is new. */
#include "t.h"

#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "split.h"

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

static uint64_t reserve_of_limited; /* what the child below opens with */

static int grow_over_the_limit(void *context)
{
	const struct rlimit limit = {1 << 16, 1 << 16};
	struct filemap *map;
	struct filemap_error error;
	if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
		return 1;
	if (filemap_open(context, FILEMAP_WRITE, FILEMAP_OPTIONS(.reserve = reserve_of_limited), &map, NULL) <
	    0)
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
	for (reserve_of_limited = 0; reserve_of_limited <= 1 << 20; reserve_of_limited += 1 << 20) {
		t_write_file(path, "hello", 5);
		assert_int_equal(t_in_child(grow_over_the_limit, (void *)(uintptr_t)path), 0);
	}
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

static struct filemap *anonymous(size_t length, uint32_t flags, uint64_t reserve)
{
	struct filemap *map = NULL;
	assert_ok(filemap_anonymous(length, FILEMAP_OPTIONS(.flags = flags, .reserve = reserve), &map, NULL));
	return map;
}

static void resize_memory(uint32_t flags, uint64_t reserve)
{
	const size_t sizes[] = {101, 3, 4096, 4097, 100, 8192, 300000, 9000, 0, 20000, 1 << 20, 1, 70000};
	struct filemap *map = anonymous(100, flags, reserve);
	const void *data = filemap_data(map);
	size_t before = 100;
	fill(map, 0xAA);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		const size_t kept = sizes[i] < before ? sizes[i] : before;
		assert_ok(filemap_resize(map, sizes[i], NULL));
		assert_int_equal(filemap_size(map), sizes[i]);
		assert_all(map, 0, kept, 0xAA);
		assert_all(map, kept, sizes[i], 0);
		if (reserve)
			assert_ptr_equal(filemap_data(map), data);
		fill(map, 0xAA);
		before = sizes[i];
	}
	filemap_close(map);
}

static void memory_is_resized_like_a_file(void **state)
{
	if (!memory_can_be_locked())
		t_skip(MLOCK_REASON);
	const uint32_t flags[] = {0, FILEMAP_SHARED, FILEMAP_MLOCK, FILEMAP_NORESERVE, FILEMAP_DONTFORK};
	(void)state;
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		resize_memory(flags[i], 0);
		resize_memory(flags[i], 1 << 20);
	}
}

static void memory_does_not_outgrow_its_reserve(void **state)
{
	struct filemap_error error;
	struct filemap *map = anonymous(100, 0, 8192);
	(void)state;
	assert_int_equal(filemap_resize(map, 8193, &error), FILEMAP_ERANGE);
	assert_string_equal(error.subject, "reserve");
	assert_ok(filemap_resize(map, 8192, NULL));
	filemap_close(map);
	map = anonymous(100, 0, 0);
	fill(map, 0xAA);
	assert_true(filemap_resize(map, (uint64_t)1 << 60, NULL) < 0); /* no such address space */
	assert_int_equal(filemap_size(map), 100);
	assert_all(map, 0, 100, 0xAA);
	filemap_close(map);
}

static void bytes_stored_behind_the_end_of_memory_never_reappear(void **state)
{
	struct filemap *map = anonymous(100, 0, 0);
	(void)state;
	fill(map, 0xAA);
	memset((char *)filemap_data_mut(map) + 100, 0xBB, 3000);
	assert_ok(filemap_resize(map, 10000, NULL));
	assert_all(map, 0, 100, 0xAA);
	assert_all(map, 100, 10000, 0);
	filemap_close(map);
}

/* mremap(2) cannot grow what advice, or locking parts, has split. */
static void region_that_was_split_grows_nevertheless(void **state)
{
	if (!memory_can_be_locked())
		t_skip(MLOCK_REASON);
	if (!split_is_refused())
		t_skip(SPLIT_REASON);
	struct filemap *maps[] = {create(state, 50000, NULL), anonymous(50000, 0, 0),
				  anonymous(50000, FILEMAP_SHARED, 0)};
	for (size_t i = 0; i < 3; i++) {
		fill(maps[i], 0xAA);
		assert_ok(filemap_advise(maps[i], FILEMAP_ADVICE_RANDOM, 8192, 4096));
		assert_ok(filemap_mlock(maps[i], 20000, 5000));
		assert_ok(filemap_resize(maps[i], 1 << 20, NULL));
		assert_all(maps[i], 0, 50000, 0xAA);
		assert_all(maps[i], 50000, 1 << 20, 0);
		fill(maps[i], 0xCC);
		assert_ok(filemap_advise(maps[i], FILEMAP_ADVICE_RANDOM, 8192, 4096));
		assert_ok(filemap_resize(maps[i], 10000, NULL)); /* across the pieces */
		assert_all(maps[i], 0, 10000, 0xCC);
		filemap_close(maps[i]);
	}
}

static void only_memory_that_can_be_stored_to_is_resized(void **state)
{
	const unsigned modes[] = {FILEMAP_READ, FILEMAP_EXEC, FILEMAP_COW};
	struct filemap *map;
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_ok(filemap_from_bytes(NULL, modes[i], "abc", 3, &map, NULL));
		assert_int_equal(filemap_resize(map, 10, NULL), FILEMAP_EMODE);
		filemap_close(map);
	}
	assert_ok(filemap_from_bytes(NULL, FILEMAP_WRITE, "abc", 3, &map, NULL));
	assert_ok(filemap_resize(map, 10000, NULL));
	assert_memory_equal(filemap_data(map), "abc\0", 4);
	assert_ok(filemap_freeze(map, NULL));
	assert_int_equal(filemap_resize(map, 10, NULL), FILEMAP_EMODE);
	filemap_close(map);
	assert_ok(filemap_wrap_bytes(NULL, "abc", 3, &map, NULL));
	assert_int_equal(filemap_resize(map, 2, NULL), FILEMAP_EMODE);
	filemap_close(map);
}

static void file_is_not_cut_below_what_another_window_shows(void **state)
{
	struct filemap_error error;
	struct filemap *map = create(state, 50000, NULL), *window;
	assert_ok(filemap_window(map, FILEMAP_WRITE, 20000, 1000, &window, NULL));
	assert_int_equal(filemap_resize(map, 20999, &error), FILEMAP_EBUSY);
	assert_string_equal(error.subject, "window");
	assert_int_equal(t_file_size(filemap_path(map)), 50000);
	assert_ok(filemap_resize(map, 21000, NULL));
	assert_int_equal(filemap_resize(window, 20500, NULL), FILEMAP_EBUSY); /* the first one shows it all */
	filemap_close(map);
	assert_ok(filemap_resize(window, 20500, NULL)); /* through itself */
	assert_int_equal(filemap_size(window), 500);
	filemap_close(window);
}

/* What a reader sees below a size is whole: 0xAA up to the first 64 bytes, zeros behind them. */
static void *read_what_there_is(void *argument)
{
	const struct filemap *map = argument;
	size_t size;

	do {
		const unsigned char *bytes = filemap_data(map);
		size = filemap_size(map);
		if (bytes[0] != 0xAA || bytes[63] != 0xAA || (size > 64 && (bytes[64] || bytes[size - 1])))
			return argument;
	} while (size < 1 << 20);
	return NULL;
}

static void readers_go_on_while_a_reserve_is_filled(void **state)
{
	struct filemap *maps[] = {
		create(state, 0, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 64, .reserve = 1 << 20)),
		anonymous(64, 0, 1 << 20)};
	for (size_t i = 0; i < 2; i++) {
		pthread_t readers[2];
		void *failed;
		fill(maps[i], 0xAA);
		for (int n = 0; n < 2; n++)
			assert_ok(pthread_create(&readers[n], NULL, read_what_there_is, maps[i]));
		for (uint64_t size = 65; size < 1 << 20; size += 777)
			assert_ok(filemap_resize(maps[i], size, NULL));
		assert_ok(filemap_resize(maps[i], 1 << 20, NULL));
		for (int n = 0; n < 2; n++) {
			assert_ok(pthread_join(readers[n], &failed));
			assert_null(failed);
		}
		filemap_close(maps[i]);
	}
}

/* The file ends below the window: growing it gives blocks to all that is new, not only to the window. */
static void growth_after_a_cut_below_the_offset_leaves_no_hole(void **state)
{
	const char *path = t_path(*state, "file");
	struct filemap_stat status;
	struct filemap *map;
	assert_ok(filemap_open(path, FILEMAP_WRITE,
			       FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 1 << 20, .offset = 1 << 18,
					       .reserve = 1 << 20),
			       &map, NULL));
	if (!filemap_reservable(map)) {
		filemap_close(map);
		t_skip("blocks mean nothing on this file system");
	}
	assert_ok(truncate(path, 100));
	assert_ok(filemap_refresh(map, NULL, NULL));
	assert_int_equal(filemap_size(map), 0);
	assert_ok(filemap_resize(map, 1 << 19, NULL));
	assert_ok(filemap_stat(map, &status));
	assert_true(status.blocks * 512 >= 1 << 19);
	filemap_close(map);
}

static void sparse_growth_in_a_reserve_takes_no_blocks(void **state)
{
	struct filemap_stat status;
	struct filemap *map = create(
		state, 0,
		FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | FILEMAP_SPARSE, .size = 1, .reserve = 1 << 22));
	assert_ok(filemap_resize(map, 1 << 21, NULL));
	assert_ok(filemap_stat(map, &status));
	assert_int_equal(status.size, 1 << 21);
	assert_true(status.blocks * 512 < 1 << 20);
	filemap_close(map);
}

T_MAIN(T_TEST(growth_keeps_the_old_and_zeroes_the_new), T_TEST(growth_allocates_blocks_unless_sparse),
       T_TEST(bytes_stored_behind_the_end_never_reappear), T_TEST(shrinking_and_growing_again_shows_zeros),
       T_TEST(same_size_changes_nothing), T_TEST(fixed_length_is_remembered_and_clamped),
       T_TEST(window_at_an_offset_follows_the_end), T_TEST(reserve_keeps_the_address),
       T_TEST(size_that_cannot_be_is_refused_and_nothing_changed),
       T_TEST(file_size_limit_is_an_error_and_no_signal), T_TEST(size_changed_by_others_is_taken_up),
       T_TEST(memory_is_resized_like_a_file), T_TEST(memory_does_not_outgrow_its_reserve),
       T_TEST(bytes_stored_behind_the_end_of_memory_never_reappear),
       T_TEST(region_that_was_split_grows_nevertheless), T_TEST(only_memory_that_can_be_stored_to_is_resized),
       T_TEST(file_is_not_cut_below_what_another_window_shows),
       T_TEST(readers_go_on_while_a_reserve_is_filled),
       T_TEST(growth_after_a_cut_below_the_offset_leaves_no_hole),
       T_TEST(sparse_growth_in_a_reserve_takes_no_blocks))
