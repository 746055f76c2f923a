/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Conformance: single properties of the interface (items T1 to T20): memory of every kind, locks, options, file
 * utilities, closing, and reads and writes that must fail. T19 and T21 are with their twins R9 and R11.
 */
#include "conform.h"

static const char four[4] = {1, 2, 3, 4};

static void conform_T1_read_ends_with_the_bytes_there_are(void **state)
{
	char to[8] = {0};
	struct filemap *map = memory_ok(FILEMAP_READ, four, 4);
	(void)state;
	assert_int_equal(filemap_read_some(map, 2, to, sizeof to), 2);
	assert_memory_equal(to, "\3\4\0\0\0\0\0\0", 8);
	filemap_close(map);
}

static void conform_T2_sums_that_overflow_are_errors(void **state)
{
	struct filemap_cursor cursor;
	const void *slice = NULL;
	void *slot = NULL;
	const char *path = t_path(*state, "new");
	struct filemap *map = memory_ok(FILEMAP_WRITE, four, 4);
	assert_int_equal(filemap_slice(map, SIZE_MAX, 1, &slice), FILEMAP_ERANGE);
	assert_int_equal(filemap_slice_mut(map, SIZE_MAX, 1, &slot), FILEMAP_ERANGE);
	assert_int_equal(filemap_cursor_init(&cursor, map, SIZE_MAX, 1), FILEMAP_ERANGE);
	assert_int_equal(filemap_copy_to(map, SIZE_MAX, 1, path, NULL), FILEMAP_ERANGE);
	assert_int_equal(t_file_size(path), -1);
	assert_null(slice);
	assert_null(slot);
	filemap_close(map);
}

static void conform_T3_exact_fits_are_allowed(void **state)
{
	struct filemap_cursor cursor;
	void *slot = NULL;
	struct filemap *map = memory_ok(FILEMAP_WRITE, four, 4);
	(void)state;
	assert_ok(filemap_slice_mut(map, 0, 4, &slot));
	assert_ptr_equal(slot, filemap_data(map));
	assert_ok(filemap_slice_mut(map, 4, 0, &slot));
	assert_ptr_equal(slot, (const char *)filemap_data(map) + 4);
	assert_ok(filemap_cursor_init(&cursor, map, 4, FILEMAP_TO_END));
	assert_int_equal(filemap_cursor_size(&cursor), 0);
	filemap_close(map);
}

static void conform_T4_T6_memory_is_made_of_any_bytes(void **state)
{
	char heap[] = "heap bytes", out[4];
	struct filemap *map = NULL;
	(void)state;
	assert_ok(filemap_from_bytes("heap", FILEMAP_READ, heap, strlen(heap), &map, NULL));
	heap[0] = 'H'; /* it was copied */
	assert_string_equal(filemap_path(map), "heap");
	assert_window(map, "heap bytes");
	filemap_close(map);
	assert_ok(filemap_wrap_bytes("static", "world", 5, &map, NULL));
	assert_string_equal(filemap_path(map), "static");
	assert_window(map, "world");
	filemap_close(map);
	map = memory_ok(FILEMAP_READ, "copy", 4);
	assert_ok(filemap_read_exact(map, 0, out, 4));
	filemap_close(map);
	assert_memory_equal(out, "copy", 4);
}

static void conform_T5_writable_memory_starts_empty_or_with_bytes(void **state)
{
	char out[3];
	struct filemap *map = NULL;
	(void)state;
	assert_ok(filemap_from_bytes("new", FILEMAP_WRITE, NULL, 0, &map, NULL));
	assert_int_equal(filemap_size(map), 0);
	assert_string_equal(filemap_path(map), "new");
	filemap_close(map);
	assert_ok(filemap_anonymous(0, FILEMAP_OPTIONS(.label = "room", .reserve = 100), &map, NULL));
	assert_int_equal(filemap_size(map), 0);
	assert_string_equal(filemap_path(map), "room");
	assert_ok(filemap_resize(map, 100, NULL));
	filemap_close(map);
	map = memory_ok(FILEMAP_WRITE, "slice", 5);
	assert_ok(filemap_freeze(map, NULL));
	assert_window(map, "slice");
	filemap_close(map);
	map = memory_ok(FILEMAP_WRITE, "\x9\x8\x7", 3);
	assert_ok(filemap_read_exact(map, 0, out, 3));
	filemap_close(map);
	assert_memory_equal(out, "\x9\x8\x7", 3);
}

static void conform_T7_writable_memory_has_nothing_to_flush(void **state)
{
	struct filemap *map = memory_ok(FILEMAP_WRITE, "\1\2\3", 3);
	(void)state;
	assert_window(map, "\1\2\3");
	((char *)filemap_data_mut(map))[0] = 9;
	assert_window(map, "\x9\2\3");
	assert_false(filemap_is_cow(map));
	assert_ok(filemap_flush(map));
	assert_ok(filemap_flush_range(map, 0, 1));
	assert_ok(flush_async(map, 0, FILEMAP_TO_END));
	assert_ok(flush_async(map, 0, 1));
	assert_int_equal(filemap_size(map), 3);
	filemap_close(map);
}

static void lock_memory(struct filemap *map)
{
	assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, FILEMAP_FOREVER, NULL));
	assert_ok(filemap_lock(map, FILEMAP_SHARED_LOCK, FILEMAP_FOREVER, NULL));
	assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
	assert_ok(filemap_lock(map, FILEMAP_SHARED_LOCK, 0, NULL));
	assert_int_equal(filemap_lock_state(map), FILEMAP_UNLOCKED);
	assert_ok(filemap_unlock(map));
	filemap_close(map);
}

static void conform_T8_memory_takes_every_lock_and_has_none(void **state)
{
	(void)state;
	lock_memory(memory_ok(FILEMAP_WRITE, four, 4));
	lock_memory(memory_ok(FILEMAP_READ, four, 4));
}

static void conform_T9_memory_answers_like_a_file(void **state)
{
	struct filemap_stat status;
	struct filemap *map = memory_ok(FILEMAP_READ, "data", 4);
	(void)state;
	assert_ok(filemap_stat(map, &status));
	assert_int_equal(status.size, 4);
	assert_int_equal(filemap_size(map), 4);
	assert_false(filemap_is_exec(map));
	assert_false(filemap_is_cow(map));
	filemap_close(map);
	map = memory_ok(FILEMAP_WRITE, "data", 4);
	assert_ok(filemap_stat(map, &status));
	assert_int_equal(status.size, 4);
	assert_ok(filemap_close_truncated(map, 1, NULL));
}

static void conform_T10_every_option_for_a_file_goes_with_the_others(void **state)
{
	const struct filemap_options *options =
		FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW | FILEMAP_POPULATE | FILEMAP_SPARSE |
					 FILEMAP_DONTFORK | FILEMAP_NOFOLLOW | FILEMAP_NO_DURABLE_NAME |
					 FILEMAP_LOCK_IF_SUPPORTED | FILEMAP_PIN_PARENT | FILEMAP_DONTDUMP |
					 FILEMAP_DOWNGRADE_ON_FREEZE,
				.offset = 0, .length = 64, .size = 1024, .reserve = 4096, .permissions = 0644,
				.lock_wait_ms = 1, .lock_family = FILEMAP_LOCK_FLOCK,
				.advice = FILEMAP_ADVICE_RANDOM);
	struct filemap *map = open_ok(t_path(*state, "file"), FILEMAP_WRITE, options);
	assert_int_equal(filemap_size(map), 64);
	filemap_close(map);
	filemap_close(create_ok(t_path(*state, "plain"), 0));
	assert_ok(filemap_anonymous(64, FILEMAP_OPTIONS(.flags = FILEMAP_STACK | FILEMAP_POPULATE), &map,
				    NULL));
	filemap_close(map);
}

static void conform_T11_frozen_memory_reads_and_closes(void **state)
{
	struct filemap *map = memory_ok(FILEMAP_WRITE, four, 4);
	(void)state;
	assert_ok(filemap_freeze(map, NULL));
	assert_memory_equal(filemap_data(map), four, 4);
	assert_null(filemap_data_mut(map));
	filemap_close(map);
}

static void conform_T12_every_lock_call_returns_on_a_writer(void **state)
{
	struct filemap *map = create_ok(t_path(*state, "file"), 0);
	assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, FILEMAP_FOREVER, NULL));
	assert_int_equal(filemap_lock(map, FILEMAP_SHARED_LOCK, FILEMAP_FOREVER, NULL), FILEMAP_ELOCKED);
	assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
	assert_int_equal(filemap_lock(map, FILEMAP_SHARED_LOCK, 0, NULL), FILEMAP_ELOCKED);
	assert_int_equal(filemap_lock(map, 7, 0, NULL), FILEMAP_EOPTION);
	assert_ok(filemap_unlock(map));
	filemap_close(map);
}

static void conform_T13_reader_tells_what_it_shows(void **state)
{
	struct filemap_stat status;
	const char *path = text_file(state, "hello!!!");
	struct filemap *map = open_ok(path, FILEMAP_READ, NULL);
	assert_window(map, "hello!!!");
	assert_string_equal(filemap_path(map), path);
	assert_false(filemap_is_exec(map));
	assert_ok(filemap_stat(map, &status));
	assert_int_equal(status.size, 8);
	assert_ok(filemap_lock(map, FILEMAP_SHARED_LOCK, FILEMAP_FOREVER, NULL));
	assert_ok(filemap_unlock(map));
	assert_window(map, "hello!!!");
	filemap_close(map);
}

/* Opens, asks the descriptor for what it may do, writes one byte if it may, closes. */
static void use_file(const char *path, unsigned how, int access)
{
	int fd = -1;
	assert_ok(filemap_file_open(path, how, 0, &fd, NULL));
	assert_true(fd > 2);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, access);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	if (access != O_RDONLY)
		assert_int_equal(write(fd, "x", 1), 1);
	assert_ok(close(fd));
}

static void conform_T14_files_are_opened_and_directories_made_durable(void **state)
{
	const struct t_dir *dir = *state;
	const unsigned both = FILEMAP_FILE_READ | FILEMAP_FILE_WRITE;
	const char *path = t_path(dir, "file");
	int fd = -1;
	use_file(path, both | FILEMAP_FILE_CREATE_NEW | FILEMAP_FILE_DURABLE, O_RDWR);
	assert_int_equal(filemap_file_open(path, both | FILEMAP_FILE_CREATE_NEW, 0, &fd, NULL), -EEXIST);
	assert_int_equal(fd, -1);
	use_file(path, FILEMAP_FILE_READ, O_RDONLY);
	use_file(path, both, O_RDWR);
	assert_file(path, "x");
	use_file(path, FILEMAP_FILE_WRITE | FILEMAP_FILE_APPEND, O_WRONLY);
	assert_file(path, "xx");
	use_file(path, both | FILEMAP_FILE_CREATE, O_RDWR);
	assert_file(path, "xx");
	use_file(path, both | FILEMAP_FILE_CREATE | FILEMAP_FILE_TRUNCATE, O_RDWR);
	assert_file(path, "x");
	assert_int_equal(filemap_file_open(t_path(dir, "none"), both, 0, &fd, NULL), -ENOENT);
	assert_ok(filemap_sync_dir(dir->path, NULL));
	assert_ok(filemap_sync_parent(path, NULL));
	assert_int_equal(filemap_sync_dir(path, NULL), -ENOTDIR);
}

static void conform_T15_closing_without_a_size_leaves_the_length(void **state)
{
	const char *path = t_path(*state, "file");
	struct filemap *map = create_ok(path, 8);
	assert_ok(filemap_write_all(map, 0, "abcdefgh", 8));
	assert_ok(filemap_flush(map));
	filemap_close(map);
	assert_file(path, "abcdefgh");
}

static void conform_T16_closing_ends_a_file_and_memory_alike(void **state)
{
	const char *path = t_path(*state, "file");
	struct filemap *map = create_ok(path, 8);
	assert_ok(filemap_write_all(map, 0, "abcdefgh", 8));
	assert_ok(filemap_flush(map));
	assert_ok(filemap_close_truncated(map, 4, NULL));
	assert_file(path, "abcd");
	map = open_ok(path, FILEMAP_WRITE, NULL);
	assert_ok(filemap_try_close(map));
	assert_file(path, "abcd");
	map = memory_ok(FILEMAP_WRITE, "data", 4);
	assert_ok(filemap_try_close(map));
	filemap_close(NULL);
	assert_ok(filemap_try_close(NULL));
}

static void conform_T17_private_mapping_has_nothing_to_flush(void **state)
{
	const char *path = text_file(state, "keep me whole");
	struct filemap *map = open_ok(path, FILEMAP_COW, NULL);
	assert_ok(filemap_write_all(map, 0, "K", 1));
	assert_ok(filemap_flush(map));
	assert_ok(filemap_flush_range(map, 0, 4));
	assert_ok(flush_async(map, 0, FILEMAP_TO_END));
	assert_ok(flush_async(map, 0, 4));
	filemap_close(map);
	assert_file(path, "keep me whole");
}

static void conform_T18_ranges_behind_the_end_are_refused(void **state)
{
	struct filemap_cursor cursor;
	char buffer[8] = {0};
	uint8_t u8 = 0;
	int8_t i8 = 0;
	struct filemap *map = memory_ok(FILEMAP_WRITE, four, 4);
	(void)state;
	assert_int_equal(filemap_cursor_init(&cursor, map, 99, FILEMAP_TO_END), FILEMAP_ERANGE);
	assert_int_equal(filemap_read_some(map, 99, buffer, 8), FILEMAP_ERANGE);
	assert_int_equal(filemap_write_some(map, 99, "abc", 3), FILEMAP_ERANGE);
	assert_int_equal(filemap_read_exact(map, 99, buffer, 8), FILEMAP_ERANGE);
	assert_int_equal(filemap_read_exact(map, 0, buffer, 8), FILEMAP_ERANGE);
	assert_int_equal(filemap_write_all(map, 99, "data", 4), FILEMAP_ERANGE);
	assert_int_equal(filemap_write_all(map, 0, buffer, 8), FILEMAP_ERANGE);
	assert_int_equal(filemap_read_u8(map, 99, &u8), FILEMAP_ERANGE);
	assert_int_equal(filemap_read_i8(map, 99, &i8), FILEMAP_ERANGE);
	assert_int_equal(filemap_read_u8(map, 4, &u8), FILEMAP_ERANGE);
	assert_int_equal(filemap_read_i8(map, 4, &i8), FILEMAP_ERANGE);
	assert_memory_equal(filemap_data(map), four, 4);
	assert_memory_equal(buffer, "\0\0\0\0\0\0\0\0", 8);
	filemap_close(map);
}

static void conform_T20_cursor_lends_bytes_and_takes_bytes(void **state)
{
	struct filemap_cursor cursor;
	const void *bytes = NULL;
	char ones[256];
	(void)state;
	memset(ones, 1, sizeof ones);
	struct filemap *map = memory_ok(FILEMAP_WRITE, ones, sizeof ones);
	assert_ok(filemap_cursor_init(&cursor, map, 0, 256));
	assert_ok(filemap_cursor_peek(&cursor, FILEMAP_TO_END, &bytes));
	assert_memory_equal(bytes, ones, 256);
	assert_ok(filemap_cursor_skip(&cursor, 4));
	assert_int_equal(filemap_cursor_remaining(&cursor), 252);
	assert_ok(filemap_cursor_init(&cursor, map, 0, FILEMAP_TO_END));
	assert_ok(filemap_cursor_write_all(&cursor, "data", 4));
	assert_ok(filemap_flush(map));
	assert_int_equal(filemap_cursor_seek(&cursor, 0, SEEK_SET), 0);
	assert_text_at(map, 0, "data\1");
	filemap_close(map);
}

T_MAIN(T_TEST(conform_T1_read_ends_with_the_bytes_there_are),
       T_TEST(conform_T2_sums_that_overflow_are_errors), T_TEST(conform_T3_exact_fits_are_allowed),
       T_TEST(conform_T4_T6_memory_is_made_of_any_bytes),
       T_TEST(conform_T5_writable_memory_starts_empty_or_with_bytes),
       T_TEST(conform_T7_writable_memory_has_nothing_to_flush),
       T_TEST(conform_T8_memory_takes_every_lock_and_has_none), T_TEST(conform_T9_memory_answers_like_a_file),
       T_TEST(conform_T10_every_option_for_a_file_goes_with_the_others),
       T_TEST(conform_T11_frozen_memory_reads_and_closes),
       T_TEST(conform_T12_every_lock_call_returns_on_a_writer),
       T_TEST(conform_T13_reader_tells_what_it_shows),
       T_TEST(conform_T14_files_are_opened_and_directories_made_durable),
       T_TEST(conform_T15_closing_without_a_size_leaves_the_length),
       T_TEST(conform_T16_closing_ends_a_file_and_memory_alike),
       T_TEST(conform_T17_private_mapping_has_nothing_to_flush),
       T_TEST(conform_T18_ranges_behind_the_end_are_refused),
       T_TEST(conform_T20_cursor_lends_bytes_and_takes_bytes))
