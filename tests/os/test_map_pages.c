/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What options of opening do to the pages of a mapping, as /proc/self/smaps shows them. */
#include "smaps.h"
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "split.h"

#define LARGE ((size_t)9 << 20) /* more than two steps of populating, and counting, and a part of one */

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static const char *make_file(void **state, size_t size)
{
	const char *path = t_path(*state, "file");
	t_write_file(path, "", 0);
	assert_ok(truncate(path, (off_t)size));
	return path;
}

static struct filemap *open_ok(const char *path, unsigned mode, const struct filemap_options *options)
{
	struct filemap *map = NULL;
	assert_ok(filemap_open(path, mode, options, &map, NULL));
	return map;
}

/* A store to each of them, as mlock(2) does it, would be a private copy of each. */
static void locked_cow_window_is_in_memory_without_copies(void **state)
{
	if (!memory_can_be_locked())
		t_skip(MLOCK_REASON);
	const size_t size = 4 * page_size();
	const char *path = make_file(state, size);
	struct filemap *map = open_ok(path, FILEMAP_COW, FILEMAP_OPTIONS(.flags = FILEMAP_MLOCK));
	assert_int_equal(smaps_bytes(filemap_data(map), "Rss:"), size);
	assert_int_equal(smaps_bytes(filemap_data(map), "Anonymous:"), 0);
	filemap_close(map);
	map = open_ok(path, FILEMAP_COW, NULL);
	assert_int_equal(smaps_bytes(filemap_data(map), "Rss:"), 0);
	assert_ok(filemap_mlock(map, 0, FILEMAP_TO_END));
	assert_int_equal(smaps_bytes(filemap_data(map), "Rss:"), size);
	assert_int_equal(smaps_bytes(filemap_data(map), "Anonymous:"), 0);
	filemap_close(map);
}

static void populated_window_is_in_memory_without_copies_and_stores(void **state)
{
	const unsigned modes[] = {FILEMAP_READ, FILEMAP_COW, FILEMAP_WRITE};
	const char *path = make_file(state, LARGE);
	for (size_t i = 0; i < 3; i++) {
		struct filemap *map = open_ok(path, modes[i], FILEMAP_OPTIONS(.flags = FILEMAP_POPULATE));
		assert_int_equal(smaps_bytes(filemap_data(map), "Rss:"), LARGE);
		assert_int_equal(smaps_bytes(filemap_data(map), "Anonymous:"), 0);
		filemap_close(map);
	}
}

static void growing_window_at_an_offset_is_locked_where_it_is(void **state)
{
	if (!memory_can_be_locked())
		t_skip(MLOCK_REASON);
	const size_t page = page_size(), before = locked_bytes();
	const char *path = make_file(state, 6 * page);
	struct filemap *map =
		open_ok(path, FILEMAP_WRITE,
			FILEMAP_OPTIONS(.flags = FILEMAP_MLOCK, .offset = 5 * page, .reserve = 100 * page));
	assert_int_equal(locked_bytes(), before + page);
	assert_ok(filemap_resize(map, 8 * page, NULL));
	assert_int_equal(locked_bytes(), before + 3 * page);
	assert_true(smaps_has_flag((const char *)filemap_data(map) + 2 * page, "lo"));
	assert_ok(truncate(path, (off_t)(9 * page)));
	assert_ok(filemap_refresh(map, NULL, NULL));
	assert_int_equal(locked_bytes(), before + 4 * page);
	filemap_close(map);
	assert_int_equal(locked_bytes(), before);
}

static void empty_window_locks_nothing_and_shows_nothing(void **state)
{
	char line[512];
	const char *path = make_file(state, 4 * page_size());
	const size_t before = locked_bytes();
	struct filemap *map =
		open_ok(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_EMPTY | FILEMAP_MLOCK));
	assert_int_equal(locked_bytes(), before);
	assert_true(smaps_line(filemap_data(map), NULL, line, sizeof line));
	assert_non_null(strstr(line, " ---s "));
	filemap_close(map);
}

static void memory_that_is_only_reserved_asks_for_no_swap_space(void **state)
{
	const char *path = make_file(state, 100);
	struct filemap *map;
	const uint32_t flags[] = {0, FILEMAP_NORESERVE};
	for (size_t i = 0; i < 2; i++) {
		assert_ok(filemap_anonymous(100, FILEMAP_OPTIONS(.flags = flags[i]), &map, NULL));
		assert_int_equal(smaps_has_flag(filemap_data(map), "nr"), i == 1);
		filemap_close(map);
		map = open_ok(path, FILEMAP_COW, FILEMAP_OPTIONS(.flags = flags[i]));
		assert_int_equal(smaps_has_flag(filemap_data(map), "nr"), i == 1);
		filemap_close(map);
	}
	assert_ok(filemap_anonymous(100, FILEMAP_OPTIONS(.reserve = 1 << 20), &map, NULL));
	assert_true(smaps_has_flag(filemap_data(map), "nr"));
	filemap_close(map);
}

/* By mincore(2), which is asked in steps. */
static void memory_is_counted_where_it_is(void **state)
{
	struct filemap_residency count;
	struct filemap *map;
	(void)state;
	assert_ok(filemap_anonymous(LARGE, NULL, &map, NULL));
	assert_ok(filemap_write_all(map, LARGE - 1, "x", 1));
	assert_ok(filemap_residency(map, 0, FILEMAP_TO_END, &count));
	assert_true(count.resident > 0 && count.resident < count.pages);
	assert_ok(filemap_residency(map, 0, LARGE / 2, &count));
	assert_int_equal(count.resident, 0);
	filemap_close(map);
}

/* The last page, too; somebody else's stores do not come here, somebody else's sync(2) does no harm. */
static void flushed_pages_are_clean_to_the_last_one(void **state)
{
	const size_t page = page_size();
	struct filemap_residency count;
	struct filemap *map = open_ok(make_file(state, 8 * page), FILEMAP_WRITE, NULL);
	memset(filemap_data_mut(map), 'x', 8 * page);
	assert_ok(filemap_residency(map, 0, FILEMAP_TO_END, &count));
	if (count.dirty != 8) {
		filemap_close(map);
		t_skip("dirty pages are not visible here");
	}
	assert_ok(filemap_flush_range(map, 4 * page + 1, 2 * page));
	assert_ok(filemap_residency(map, 4 * page, 3 * page, &count));
	if (count.dirty == 3) {
		filemap_close(map);
		t_skip("pages of this file system are never clean");
	}
	assert_int_equal(count.dirty, 0);
	assert_ok(filemap_flush(map));
	assert_ok(filemap_residency(map, 0, FILEMAP_TO_END, &count));
	assert_int_equal(count.dirty, 0);
	filemap_close(map);
}

T_MAIN(T_TEST(locked_cow_window_is_in_memory_without_copies),
       T_TEST(populated_window_is_in_memory_without_copies_and_stores),
       T_TEST(growing_window_at_an_offset_is_locked_where_it_is),
       T_TEST(empty_window_locks_nothing_and_shows_nothing),
       T_TEST(memory_that_is_only_reserved_asks_for_no_swap_space), T_TEST(memory_is_counted_where_it_is),
       T_TEST(flushed_pages_are_clean_to_the_last_one))
