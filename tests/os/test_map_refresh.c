/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The window follows what others do to the file, in every mode, moved or in place. */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "split.h"

static const char *make_file(void **state, size_t size)
{
	static unsigned char bytes[100000];
	const char *path = t_path(*state, "file");
	memset(bytes, 0xAA, size);
	t_write_file(path, bytes, size);
	return path;
}

static struct filemap *open_ok(const char *path, unsigned mode, const struct filemap_options *options)
{
	struct filemap *map = NULL;
	assert_ok(filemap_open(path, mode, options, &map, NULL));
	return map;
}

/* As another program would, with new bytes that are 0xCC. */
static void others_grow(const char *path, size_t from, size_t to)
{
	static unsigned char bytes[2000000];
	const int fd = open(path, O_WRONLY | O_CLOEXEC);
	memset(bytes, 0xCC, to - from);
	assert_int_equal(pwrite(fd, bytes, to - from, (off_t)from), to - from);
	close(fd);
}

static void assert_bytes(const struct filemap *map, size_t from, size_t to, int value)
{
	const unsigned char *bytes = filemap_data(map);
	for (size_t i = from; i < to; i++)
		assert_int_equal(bytes[i], value);
}

static void window_follows_growth_in_every_mode(void **state)
{
	const unsigned modes[] = {FILEMAP_READ, FILEMAP_EXEC, FILEMAP_COW, FILEMAP_WRITE};
	for (size_t i = 0; i < 4; i++) {
		const char *path = make_file(state, 5000);
		uint64_t size = 0;
		struct filemap *map = open_ok(path, modes[i], NULL);
		others_grow(path, 5000, 300000);
		assert_int_equal(filemap_size(map), 5000);
		assert_ok(filemap_refresh(map, &size, NULL));
		assert_int_equal(size, 300000);
		assert_int_equal(filemap_size(map), 300000);
		assert_bytes(map, 0, 5000, 0xAA);
		assert_bytes(map, 5000, 300000, 0xCC);
		if (modes[i] & (FILEMAP_COW | FILEMAP_WRITE))
			assert_ok(filemap_write_all(map, 299999, "x", 1));
		filemap_close(map);
	}
}

static void window_follows_a_cut(void **state)
{
	const char *path = make_file(state, 50000);
	struct filemap *map = open_ok(path, FILEMAP_READ, NULL);
	const void *data = filemap_data(map);
	assert_ok(truncate(path, 4097));
	assert_ok(filemap_refresh(map, NULL, NULL));
	assert_int_equal(filemap_size(map), 4097);
	assert_ptr_equal(filemap_data(map), data);
	assert_bytes(map, 0, 4097, 0xAA);
	assert_ok(truncate(path, 0));
	assert_ok(filemap_refresh(map, NULL, NULL));
	assert_int_equal(filemap_size(map), 0);
	assert_non_null(filemap_data(map));
	others_grow(path, 0, 20000);
	assert_ok(filemap_refresh(map, NULL, NULL));
	assert_bytes(map, 0, 20000, 0xCC);
	filemap_close(map);
}

static void file_cut_below_the_offset_leaves_an_empty_window(void **state)
{
	const char *path = make_file(state, 50000);
	struct filemap *map = open_ok(path, FILEMAP_READ, FILEMAP_OPTIONS(.offset = 40001, .length = 5000));
	uint64_t size = 1;
	assert_ok(truncate(path, 100));
	assert_ok(filemap_refresh(map, &size, NULL));
	assert_int_equal(size, 100);
	assert_int_equal(filemap_size(map), 0);
	others_grow(path, 100, 42000);
	assert_ok(filemap_refresh(map, NULL, NULL));
	assert_int_equal(filemap_size(map), 1999);
	others_grow(path, 42000, 99999);
	assert_ok(filemap_refresh(map, NULL, NULL));
	assert_int_equal(filemap_size(map), 5000); /* what was asked for, not more */
	assert_bytes(map, 0, 5000, 0xCC);
	filemap_close(map);
}

static void reserve_keeps_the_address_until_it_is_full(void **state)
{
	const char *path = make_file(state, 10);
	const uint64_t reserve = 1 << 20;
	struct filemap_error error;
	uint64_t size = 7;
	struct filemap *map = open_ok(path, FILEMAP_READ, FILEMAP_OPTIONS(.reserve = reserve));
	const void *data = filemap_data(map);
	others_grow(path, 10, 70000);
	assert_ok(filemap_refresh(map, NULL, NULL));
	assert_int_equal(filemap_size(map), 70000);
	others_grow(path, 70000, reserve + 5000);
	assert_int_equal(filemap_refresh(map, &size, &error), FILEMAP_ERANGE);
	assert_string_equal(error.subject, "reserve");
	assert_int_equal(size, 7);
	assert_int_equal(filemap_size(map), reserve);
	assert_ptr_equal(filemap_data(map), data);
	assert_bytes(map, 70000, reserve, 0xCC);
	filemap_close(map);
}

static void moved_window_is_whole_after_advice_has_split_it(void **state)
{
	if (!memory_can_be_locked())
		t_skip(MLOCK_REASON);
	if (!split_is_refused())
		t_skip(SPLIT_REASON);
	const char *path = make_file(state, 50000);
	struct filemap *map = open_ok(path, FILEMAP_READ, FILEMAP_OPTIONS(.flags = FILEMAP_MLOCK));
	assert_ok(filemap_advise(map, FILEMAP_ADVICE_RANDOM, 8192, 4096));
	others_grow(path, 50000, 1500000);
	assert_ok(filemap_refresh(map, NULL, NULL));
	assert_bytes(map, 0, 50000, 0xAA);
	assert_bytes(map, 50000, 1500000, 0xCC);
	filemap_close(map);
	t_census_same(*state);
}

static void private_copy_that_was_split_stays_as_it_was(void **state)
{
	if (!split_is_refused())
		t_skip(SPLIT_REASON);
	const char *path = make_file(state, 50000);
	struct filemap *map = open_ok(path, FILEMAP_COW, NULL);
	assert_ok(filemap_write_all(map, 10, "mine", 4));
	assert_ok(filemap_advise(map, FILEMAP_ADVICE_RANDOM, 8192, 4096));
	others_grow(path, 50000, 1500000);
	assert_int_equal(filemap_refresh(map, NULL, NULL), -EFAULT);
	assert_int_equal(filemap_size(map), 50000);
	assert_memory_equal((const char *)filemap_data(map) + 10, "mine", 4);
	filemap_close(map);
}

static void private_copy_keeps_its_changes_when_it_moves(void **state)
{
	const char *path = make_file(state, 50000);
	struct filemap *map = open_ok(path, FILEMAP_COW, NULL);
	assert_ok(filemap_write_all(map, 10, "mine", 4));
	others_grow(path, 50000, 1500000);
	assert_ok(filemap_refresh(map, NULL, NULL));
	assert_memory_equal((const char *)filemap_data(map) + 10, "mine", 4);
	assert_bytes(map, 50000, 1500000, 0xCC);
	filemap_close(map);
}

static void pinned_window_neither_moves_nor_shrinks(void **state)
{
	const char *path = make_file(state, 50000);
	struct filemap *map = open_ok(path, FILEMAP_READ, NULL);
	struct filemap_error error;
	assert_ok(filemap_pin(map));
	assert_ok(truncate(path, 49999));
	assert_int_equal(filemap_refresh(map, NULL, &error), FILEMAP_EBUSY);
	assert_string_equal(error.subject, "pin");
	assert_int_equal(filemap_size(map), 50000);
	filemap_unpin(map);
	assert_ok(filemap_refresh(map, NULL, NULL));
	assert_int_equal(filemap_size(map), 49999);
	filemap_close(map);
}

static void frozen_window_follows_and_stays_frozen(void **state)
{
	const char *path = make_file(state, 100);
	struct filemap *map = open_ok(path, FILEMAP_WRITE, NULL);
	assert_ok(filemap_freeze(map, NULL));
	others_grow(path, 100, 300000);
	assert_ok(filemap_refresh(map, NULL, NULL));
	assert_int_equal(filemap_size(map), 300000);
	assert_null(filemap_data_mut(map));
	assert_ok(filemap_thaw(map, NULL));
	assert_ok(filemap_write_all(map, 299999, "x", 1));
	filemap_close(map);
}

static void other_window_follows_a_resize(void **state)
{
	struct filemap *map = open_ok(make_file(state, 100), FILEMAP_WRITE, NULL), *window;
	struct filemap_error error;
	assert_ok(filemap_window(map, FILEMAP_READ, 50, 0, &window, NULL));
	assert_ok(filemap_resize(map, 300000, NULL));
	assert_int_equal(filemap_size(window), 50);
	assert_ok(filemap_refresh(window, NULL, NULL));
	assert_int_equal(filemap_size(window), 299950);
	assert_int_equal(filemap_resize(map, 299999, &error), FILEMAP_EBUSY);
	assert_string_equal(error.subject, "window");
	assert_int_equal(t_file_size(filemap_path(map)), 300000);
	filemap_close(window);
	assert_ok(filemap_resize(map, 10, NULL));
	filemap_close(map);
}

static void memory_and_empty_windows_stay(void **state)
{
	uint64_t size = 0;
	struct filemap *map;
	assert_ok(filemap_anonymous(77, NULL, &map, NULL));
	assert_ok(filemap_refresh(map, &size, NULL));
	assert_int_equal(size, 77);
	filemap_close(map);
	assert_ok(filemap_wrap_bytes(NULL, "abc", 3, &map, NULL));
	assert_ok(filemap_refresh(map, &size, NULL));
	assert_int_equal(size, 3);
	filemap_close(map);
	map = open_ok(make_file(state, 500), FILEMAP_READ, FILEMAP_OPTIONS(.flags = FILEMAP_EMPTY));
	assert_ok(filemap_refresh(map, &size, NULL));
	assert_int_equal(size, 500);
	assert_int_equal(filemap_size(map), 0);
	filemap_close(map);
}

static void window_at_an_odd_offset_fills_its_reserve_and_no_more(void **state)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const char *path = make_file(state, 200);
	struct filemap *map =
		open_ok(path, FILEMAP_READ, FILEMAP_OPTIONS(.offset = 100, .reserve = 2 * page));
	others_grow(path, 200, 10 * page);
	assert_int_equal(filemap_refresh(map, NULL, NULL), FILEMAP_ERANGE);
	assert_int_equal(filemap_size(map), 3 * page - 100); /* the pages that the reserve touches */
	assert_bytes(map, 100, filemap_size(map), 0xCC);
	filemap_close(map);
}

static void pinned_window_that_would_have_to_move_stays(void **state)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const char *path = make_file(state, page);
	struct filemap *map = open_ok(path, FILEMAP_READ, NULL);
	struct filemap_error error;
	void *behind = (char *)(uintptr_t)filemap_data(map) + page;
	behind = mmap(behind, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	assert_ok(filemap_pin(map));
	others_grow(path, page, 10 * page);
	assert_int_equal(filemap_refresh(map, NULL, &error), FILEMAP_EBUSY);
	assert_string_equal(error.subject, "pin");
	assert_int_equal(filemap_size(map), page);
	filemap_unpin(map);
	assert_ok(filemap_refresh(map, NULL, NULL));
	assert_int_equal(filemap_size(map), 10 * page);
	if (behind != MAP_FAILED)
		munmap(behind, page);
	filemap_close(map);
}

T_MAIN(T_TEST(window_follows_growth_in_every_mode), T_TEST(window_follows_a_cut),
       T_TEST(file_cut_below_the_offset_leaves_an_empty_window),
       T_TEST(reserve_keeps_the_address_until_it_is_full),
       T_TEST(moved_window_is_whole_after_advice_has_split_it),
       T_TEST(private_copy_that_was_split_stays_as_it_was),
       T_TEST(private_copy_keeps_its_changes_when_it_moves), T_TEST(pinned_window_neither_moves_nor_shrinks),
       T_TEST(frozen_window_follows_and_stays_frozen), T_TEST(other_window_follows_a_resize),
       T_TEST(memory_and_empty_windows_stay), T_TEST(window_at_an_odd_offset_fills_its_reserve_and_no_more),
       T_TEST(pinned_window_that_would_have_to_move_stays))
