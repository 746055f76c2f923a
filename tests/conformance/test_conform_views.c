/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Conformance: what can be seen of a window and of its file: metadata (items M), cursors (W), windows without
 * bytes (E), and the edges of every kind of range (P7 to P15, P31, P37, P38).
 */
#include "conform.h"

static struct filemap *hundred(void **state)
{
	char bytes[100];
	const char *path = t_path(*state, "file");
	for (int i = 0; i < 100; i++)
		bytes[i] = (char)i;
	t_write_file(path, bytes, sizeof bytes);
	return open_ok(path, FILEMAP_WRITE, NULL);
}

static void conform_M1_file_tells_all_that_the_kernel_knows(void **state)
{
	struct filemap_stat status;
	struct stat plain;
	struct filemap *map = create_ok(t_path(*state, "file"), 13);
	assert_ok(filemap_write_all(map, 0, "Hello, bytes!", 13));
	assert_ok(filemap_stat(map, &status));
	assert_ok(fstat(filemap_fd(map), &plain));
	assert_true(S_ISREG(status.mode));
	assert_false(S_ISLNK(status.mode));
	assert_int_equal(status.size, 13);
	assert_int_equal(status.device, plain.st_dev);
	assert_int_equal(status.inode, plain.st_ino);
	assert_int_equal(status.mode, plain.st_mode);
	assert_int_equal(status.links, 1);
	assert_int_equal(status.owner, plain.st_uid);
	assert_int_equal(status.group, plain.st_gid);
	assert_int_equal(status.special_device, 0);
	assert_int_equal(status.blocks, plain.st_blocks);
	assert_int_equal(status.block_size, plain.st_blksize);
	assert_int_equal(status.modified.seconds, plain.st_mtim.tv_sec);
	assert_int_equal(status.modified.nanoseconds, plain.st_mtim.tv_nsec);
	assert_int_equal(status.changed.seconds, plain.st_ctim.tv_sec);
	assert_int_equal(status.accessed.seconds, plain.st_atim.tv_sec);
	filemap_close(map);
}

static void conform_M1_file_tells_when_it_was_made_where_that_is_kept(void **state)
{
	struct filemap_stat status;
	struct statx extended = {0};
	struct filemap *map = create_ok(t_path(*state, "file"), 13);
	assert_ok(filemap_stat(map, &status));
	assert_ok(statx(filemap_fd(map), "", AT_EMPTY_PATH, STATX_BTIME, &extended));
	const bool kept = (extended.stx_mask & STATX_BTIME) != 0;
	assert_int_equal(status.created.seconds, kept ? extended.stx_btime.tv_sec : 0);
	assert_int_equal(status.created.nanoseconds, kept ? extended.stx_btime.tv_nsec : 0);
	filemap_close(map);
	if (!kept)
		t_skip("the file system does not keep the time of birth");
}

static void assert_same_time(struct filemap_time a, struct filemap_time b)
{
	assert_int_equal(a.seconds, b.seconds);
	assert_int_equal(a.nanoseconds, b.nanoseconds);
}

static void assert_no_file(const struct filemap_stat *status)
{
	assert_int_equal(status->mode, 0);
	assert_int_equal(status->device, 0);
	assert_int_equal(status->inode, 0);
	assert_int_equal(status->links, 0);
	assert_int_equal(status->owner, 0);
	assert_int_equal(status->group, 0);
	assert_int_equal(status->special_device, 0);
	assert_int_equal(status->blocks, 0);
	assert_int_equal(status->block_size, 0);
	assert_true(status->created.seconds > 0);
	assert_same_time(status->modified, status->created);
	assert_same_time(status->accessed, status->created);
	assert_same_time(status->changed, status->created);
}

static void conform_M2_memory_tells_its_size_and_when_it_was_made(void **state)
{
	struct filemap_stat status;
	struct filemap *map = memory_ok(FILEMAP_READ, "Hello, bytes!", 13);
	(void)state;
	assert_ok(filemap_stat(map, &status));
	assert_int_equal(status.size, 13);
	assert_no_file(&status);
	filemap_close(map);
}

/* A handle is never a null one: memory without bytes says so, a closed file that is pinned is itself. */
static void conform_M3_nothing_is_made_up_about_what_is_empty_or_closed(void **state)
{
	struct filemap_stat status;
	struct filemap *map = memory_ok(FILEMAP_READ, NULL, 0);
	assert_ok(filemap_stat(map, &status));
	assert_int_equal(status.size, 0);
	assert_no_file(&status);
	filemap_close(map);
	map = open_ok(text_file(state, DATA), FILEMAP_READ, NULL);
	assert_ok(filemap_pin(map));
	filemap_close(map);
	assert_ok(filemap_stat(map, &status));
	assert_int_equal(status.size, DATA_SIZE);
	assert_int_equal(status.links, 1);
	filemap_unpin(map);
}

static void conform_W1_cursor_reads_and_lends(void **state)
{
	struct filemap_cursor cursor;
	const void *bytes = NULL;
	char ones[8096], got[10];
	(void)state;
	memset(ones, 1, sizeof ones);
	struct filemap *map = memory_ok(FILEMAP_WRITE, ones, sizeof ones);
	assert_ok(filemap_cursor_init(&cursor, map, 0, FILEMAP_TO_END));
	assert_int_equal(filemap_cursor_size(&cursor), 8096);
	assert_int_equal(filemap_cursor_tell(&cursor), 0);
	assert_int_equal(filemap_cursor_read_some(&cursor, got, 10), 10);
	assert_memory_equal(got, ones, 10);
	assert_ok(filemap_cursor_peek(&cursor, FILEMAP_TO_END, &bytes));
	assert_ptr_equal(bytes, (const char *)filemap_data(map) + 10);
	assert_ok(filemap_cursor_skip(&cursor, 8086));
	assert_int_equal(filemap_cursor_read_some(&cursor, got, 10), 0);
	assert_ok(filemap_cursor_init(&cursor, map, 100, 100));
	assert_int_equal(filemap_cursor_remaining(&cursor), 100);
	assert_ok(filemap_cursor_skip(&cursor, 10));
	assert_int_equal(filemap_cursor_remaining(&cursor), 90);
	assert_ok(filemap_cursor_peek(&cursor, 90, &bytes));
	assert_ptr_equal(bytes, (const char *)filemap_data(map) + 110);
	filemap_close(map);
}

static void conform_W2_cursor_that_writes_reads_as_well(void **state)
{
	struct filemap_cursor cursor;
	const void *bytes = NULL;
	char ones[8096], got[10];
	(void)state;
	memset(ones, 1, sizeof ones);
	struct filemap *map = memory_ok(FILEMAP_WRITE, ones, sizeof ones);
	assert_ok(filemap_cursor_init(&cursor, map, 0, FILEMAP_TO_END));
	assert_int_equal(filemap_cursor_write_some(&cursor, "abcde", 5), 5);
	assert_int_equal(filemap_cursor_read_some(&cursor, got, 10), 10);
	assert_memory_equal(got, ones, 10);
	assert_int_equal(filemap_cursor_tell(&cursor), 15);
	assert_text_at(map, 0, "abcde\1");
	assert_ok(filemap_cursor_init(&cursor, map, 100, 100));
	assert_ok(filemap_cursor_skip(&cursor, 10));
	assert_ok(filemap_cursor_write_all(&cursor, "xyz", 3));
	assert_int_equal(filemap_cursor_remaining(&cursor), 87);
	assert_ok(filemap_cursor_peek(&cursor, 87, &bytes));
	assert_text_at(map, 109, "\1xyz\1");
	filemap_close(map);
}

static void use_no_bytes(struct filemap *map, const struct t_dir *dir)
{
	struct filemap_cursor cursor;
	struct filemap_stat status;
	const void *slice = NULL;
	const char *copy = t_path(dir, "copy");
	char buffer[10] = {0};
	uint8_t u8 = 0;
	assert_int_equal(filemap_size(map), 0);
	assert_false(filemap_is_exec(map));
	assert_false(filemap_is_cow(map));
	assert_non_null(filemap_data(map));
	assert_ok(filemap_slice(map, 0, 0, &slice));
	assert_ok(filemap_stat(map, &status));
	assert_int_equal(status.size, 0);
	assert_ok(filemap_flush(map));
	assert_ok(filemap_flush_range(map, 0, 0));
	assert_ok(flush_async(map, 0, FILEMAP_TO_END));
	assert_ok(flush_async(map, 0, 0));
	assert_int_equal(filemap_write_some(map, 0, buffer, 10), 0);
	assert_int_equal(filemap_write_all(map, 0, buffer, 1), FILEMAP_ERANGE);
	assert_int_equal(filemap_read_exact(map, 0, buffer, 10), FILEMAP_ERANGE);
	assert_int_equal(filemap_read_u8(map, 0, &u8), FILEMAP_ERANGE);
	assert_ok(filemap_zero(map, 0, 0));
	assert_ok(filemap_cursor_init(&cursor, map, 0, FILEMAP_TO_END));
	assert_int_equal(filemap_cursor_read_some(&cursor, buffer, 10), 0);
	assert_ok(filemap_copy_to(map, 0, FILEMAP_TO_END, copy, NULL));
	assert_int_equal(t_file_size(copy), 0);
	assert_ok(unlink(copy));
	assert_ok(filemap_resize(map, 0, NULL));
	assert_ok(filemap_close_truncated(map, 0, NULL));
}

static void conform_E1_window_without_bytes_behaves_like_any_other(void **state)
{
	use_no_bytes(memory_ok(FILEMAP_WRITE, NULL, 0), *state);
	use_no_bytes(create_ok(t_path(*state, "file"), 0), *state);
}

static void conform_P7_flushed_ranges_end_where_the_window_ends(void **state)
{
	struct filemap *map = hundred(state);
	assert_ok(filemap_flush_range(map, 100, 0));
	assert_ok(flush_async(map, 100, 0));
	static const size_t refused[][2] = {{101, 0}, {0, 101},          {100, 1},
					    {50, 51}, {SIZE_MAX - 1, 2}, {2, SIZE_MAX - 1}};
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		assert_int_equal(filemap_flush_range(map, refused[i][0], refused[i][1]), FILEMAP_ERANGE);
		assert_int_equal(filemap_writeback(map, refused[i][0], refused[i][1]), FILEMAP_ERANGE);
		assert_int_equal(flush_async(map, refused[i][0], refused[i][1]), FILEMAP_ERANGE);
	}
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	filemap_close(map);
}

static void conform_P8_ranges_of_no_bytes_at_the_end_are_fine(void **state)
{
	struct filemap_cursor cursor;
	const void *slice = NULL;
	void *slot = NULL;
	const char *copy = t_path(*state, "copy");
	struct filemap *map = hundred(state);
	assert_ok(filemap_slice(map, 100, 0, &slice));
	assert_ok(filemap_slice_mut(map, 100, 0, &slot));
	assert_ok(filemap_cursor_init(&cursor, map, 100, 0));
	assert_int_equal(filemap_cursor_size(&cursor), 0);
	assert_ok(filemap_copy_to(map, 100, 0, copy, NULL));
	assert_int_equal(t_file_size(copy), 0);
	filemap_close(map);
}

static void conform_P9_short_transfers_end_at_the_end(void **state)
{
	char to[3] = {0};
	struct filemap *map = hundred(state);
	assert_int_equal(filemap_read_some(map, 98, to, 3), 2);
	assert_memory_equal(to, "\x62\x63\0", 3);
	assert_int_equal(filemap_write_some(map, 98, "xyz", 3), 2);
	assert_text_at(map, 98, "xy");
	assert_int_equal(filemap_read_some(map, 100, to, 3), 0);
	assert_int_equal(filemap_write_some(map, 100, "xyz", 3), 0);
	assert_int_equal(filemap_read_some(map, 5, to, 0), 0);
	assert_int_equal(filemap_write_some(map, 5, "xyz", 0), 0);
	assert_int_equal(filemap_read_some(map, 101, to, 3), FILEMAP_ERANGE);
	assert_int_equal(filemap_write_some(map, 101, "xyz", 3), FILEMAP_ERANGE);
	filemap_close(map);
}

static void conform_P10_whole_transfers_happen_or_do_not(void **state)
{
	char to[3] = {7, 7, 7};
	struct filemap *map = hundred(state);
	assert_int_equal(filemap_write_all(map, 98, "xyz", 3), FILEMAP_ERANGE);
	assert_text_at(map, 98, "\x62\x63");
	assert_int_equal(filemap_read_exact(map, 98, to, 3), FILEMAP_ERANGE);
	assert_memory_equal(to, "\7\7\7", 3);
	assert_ok(filemap_write_all(map, 100, "", 0));
	assert_ok(filemap_read_exact(map, 100, to, 0));
	assert_int_equal(filemap_write_all(map, 101, "", 0), FILEMAP_ERANGE);
	assert_int_equal(filemap_read_exact(map, 101, to, 0), FILEMAP_ERANGE);
	filemap_close(map);
}

static void conform_P11_numbers_fit_up_to_the_last_byte(void **state)
{
	uint64_t value = 1;
	struct filemap *map = hundred(state);
	assert_ok(filemap_read_u64le(map, 92, &value));
	assert_true(value == UINT64_C(0x636261605f5e5d5c));
	assert_ok(filemap_write_u64le(map, 92, 1));
	assert_ok(filemap_read_u64le(map, 3, &value)); /* unaligned */
	assert_true(value == UINT64_C(0x0a09080706050403));
	assert_int_equal(filemap_read_u64le(map, 93, &value), FILEMAP_ERANGE);
	assert_int_equal(filemap_write_u64le(map, 93, 2), FILEMAP_ERANGE);
	assert_int_equal(filemap_read_u64le(map, SIZE_MAX, &value), FILEMAP_ERANGE);
	assert_int_equal(filemap_write_u64le(map, SIZE_MAX, 2), FILEMAP_ERANGE);
	assert_ok(filemap_read_u64le(map, 92, &value));
	assert_true(value == 1);
	filemap_close(map);
}

static void conform_P12_zeroing_outside_is_an_error_and_stores_nothing(void **state)
{
	struct filemap *map = hundred(state);
	assert_int_equal(filemap_zero(map, 95, 905), FILEMAP_ERANGE);
	assert_int_equal(filemap_zero(map, 20, SIZE_MAX - 9), FILEMAP_ERANGE);
	assert_int_equal(filemap_zero(map, 200, 100), FILEMAP_ERANGE);
	assert_text_at(map, 95, "\x5f\x60\x61\x62\x63");
	assert_ok(filemap_zero(map, 100, 0));
	assert_ok(filemap_zero(map, 95, FILEMAP_TO_END));
	assert_zeros(map, 95, 5);
	assert_text_at(map, 93, "\x5d\x5e");
	filemap_close(map);
}

static void conform_P13_slices_outside_are_errors(void **state)
{
	const void *slice = NULL;
	char to[2];
	struct filemap *map = hundred(state);
	assert_int_equal(filemap_slice(map, 99, 2, &slice), FILEMAP_ERANGE);
	assert_null(slice);
	assert_int_equal(filemap_read_exact(map, 99, to, 2), FILEMAP_ERANGE);
	assert_ok(filemap_slice(map, 100, 0, &slice));
	assert_ptr_equal(slice, (const char *)filemap_data(map) + 100);
	filemap_close(map);
}

static void conform_P14_copy_never_takes_a_name_that_is_there(void **state)
{
	struct filemap_error error = {0};
	struct filemap *map = hundred(state);
	const char *taken = t_path(*state, "taken"), *link = t_path(*state, "link");
	t_write_file(taken, "mine", 4);
	assert_ok(symlink("nowhere", link));
	assert_int_equal(filemap_copy_to(map, 0, 4, taken, &error), -EEXIST);
	assert_int_equal(error.code, -EEXIST);
	assert_int_equal(filemap_copy_to(map, 0, 4, link, NULL), -EEXIST);
	assert_file(taken, "mine");
	assert_int_equal(t_file_size(t_path(*state, "nowhere")), -1);
	filemap_close(map);
}

static void conform_P15_window_may_begin_at_the_end(void **state)
{
	const char *path = text_file(state, DATA);
	struct filemap *map = open_ok(path, FILEMAP_READ, FILEMAP_OPTIONS(.offset = DATA_SIZE));
	assert_int_equal(filemap_size(map), 0);
	assert_non_null(filemap_data(map));
	filemap_close(map);
	map = open_ok(path, FILEMAP_READ, FILEMAP_OPTIONS(.flags = FILEMAP_EMPTY));
	assert_int_equal(filemap_size(map), 0);
	filemap_close(map);
	map = open_ok(path, FILEMAP_READ, FILEMAP_OPTIONS(.length = 0));
	assert_window(map, DATA);
	filemap_close(map);
}

static void conform_P31_private_flushes_check_their_range(void **state)
{
	struct filemap *map = open_ok(text_file(state, "seven b"), FILEMAP_COW, NULL);
	assert_int_equal(filemap_flush_range(map, 0, 999), FILEMAP_ERANGE);
	assert_int_equal(flush_async(map, 0, 999), FILEMAP_ERANGE);
	assert_ok(filemap_flush_range(map, 0, 7));
	filemap_close(map);
}

static void conform_P37_writing_stops_at_the_end_of_the_part(void **state)
{
	struct filemap_cursor cursor;
	struct filemap *map = hundred(state);
	assert_ok(filemap_cursor_init(&cursor, map, 4, 8));
	assert_int_equal(filemap_cursor_write_some(&cursor, "abcdef", 6), 6);
	assert_int_equal(filemap_cursor_write_some(&cursor, "ghijkl", 6), 2);
	assert_int_equal(filemap_cursor_write_some(&cursor, "m", 1), 0);
	assert_int_equal(filemap_cursor_write_all(&cursor, "m", 1), FILEMAP_ERANGE);
	assert_text_at(map, 3, "\3abcdefgh\x0c\x0d");
	assert_int_equal(filemap_cursor_seek(&cursor, 50, SEEK_SET), 50);
	assert_int_equal(filemap_cursor_write_some(&cursor, "m", 1), 0);
	assert_int_equal(filemap_cursor_remaining(&cursor), 0);
	assert_int_equal(filemap_cursor_seek(&cursor, -51, SEEK_CUR), FILEMAP_ERANGE);
	assert_int_equal(filemap_cursor_tell(&cursor), 50);
	assert_int_equal(filemap_cursor_seek(&cursor, -2, SEEK_END), 6);
	assert_int_equal(filemap_cursor_write_u32le(&cursor, 1), FILEMAP_ERANGE);
	assert_text_at(map, 3, "\3abcdefgh\x0c\x0d");
	assert_int_equal(filemap_cursor_tell(&cursor), 6);
	filemap_close(map);
}

static void conform_P38_number_that_does_not_fit_leaves_the_position(void **state)
{
	struct filemap_cursor cursor;
	uint32_t value = 7;
	char to[4];
	struct filemap *map = hundred(state);
	assert_ok(filemap_cursor_init(&cursor, map, 0, FILEMAP_TO_END));
	assert_int_equal(filemap_cursor_seek(&cursor, 97, SEEK_SET), 97);
	assert_int_equal(filemap_cursor_read_u32le(&cursor, &value), FILEMAP_ERANGE);
	assert_int_equal(value, 7);
	assert_int_equal(filemap_cursor_tell(&cursor), 97);
	assert_int_equal(filemap_cursor_read_exact(&cursor, to, 4), FILEMAP_ERANGE);
	assert_int_equal(filemap_cursor_tell(&cursor), 97);
	assert_int_equal(filemap_cursor_read_some(&cursor, to, 4), 3);
	assert_int_equal(filemap_cursor_read_some(&cursor, to, 4), 0);
	assert_int_equal(filemap_cursor_seek(&cursor, 1000, SEEK_SET), 1000);
	assert_int_equal(filemap_cursor_read_some(&cursor, to, 4), 0);
	filemap_close(map);
}

T_MAIN(T_TEST(conform_M1_file_tells_all_that_the_kernel_knows),
       T_TEST(conform_M1_file_tells_when_it_was_made_where_that_is_kept),
       T_TEST(conform_M2_memory_tells_its_size_and_when_it_was_made),
       T_TEST(conform_M3_nothing_is_made_up_about_what_is_empty_or_closed),
       T_TEST(conform_W1_cursor_reads_and_lends), T_TEST(conform_W2_cursor_that_writes_reads_as_well),
       T_TEST(conform_E1_window_without_bytes_behaves_like_any_other),
       T_TEST(conform_P7_flushed_ranges_end_where_the_window_ends),
       T_TEST(conform_P8_ranges_of_no_bytes_at_the_end_are_fine),
       T_TEST(conform_P9_short_transfers_end_at_the_end),
       T_TEST(conform_P10_whole_transfers_happen_or_do_not),
       T_TEST(conform_P11_numbers_fit_up_to_the_last_byte),
       T_TEST(conform_P12_zeroing_outside_is_an_error_and_stores_nothing),
       T_TEST(conform_P13_slices_outside_are_errors),
       T_TEST(conform_P14_copy_never_takes_a_name_that_is_there),
       T_TEST(conform_P15_window_may_begin_at_the_end), T_TEST(conform_P31_private_flushes_check_their_range),
       T_TEST(conform_P37_writing_stops_at_the_end_of_the_part),
       T_TEST(conform_P38_number_that_does_not_fit_leaves_the_position))
