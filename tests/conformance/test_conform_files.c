/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Conformance: files created, opened in every mode, with and without options, and what is in them afterwards
 * (items F, K, O). There is one kind of handle here, so that the items of wrapper and options types coincide.
 */
#include "conform.h"

static const char *data_file(void **state)
{
	const char *path = t_path(*state, "file");
	struct filemap *map = create_ok(path, 0);
	assert_ok(filemap_resize(map, DATA_SIZE, NULL));
	assert_ok(filemap_write_all(map, 0, DATA, DATA_SIZE));
	assert_ok(filemap_flush(map));
	filemap_close(map);
	return path;
}

static const char *head_and_data_file(void **state)
{
	const char *path = t_path(*state, "file");
	struct filemap *map = create_ok(path, 0);
	assert_ok(filemap_resize(map, HEAD_SIZE + DATA_SIZE, NULL));
	assert_ok(filemap_write_all(map, 0, HEAD, HEAD_SIZE));
	assert_ok(filemap_write_all(map, HEAD_SIZE, DATA, DATA_SIZE));
	assert_ok(filemap_flush(map));
	filemap_close(map);
	return path;
}

static void conform_F1_ranges_need_no_alignment_to_be_flushed(void **state)
{
	unsigned char bytes[100];
	struct filemap *map = create_ok(t_path(*state, "file"), 100);
	memset(bytes, 1, sizeof bytes);
	assert_int_equal(filemap_size(map), 100);
	assert_ok(filemap_write_all(map, 0, bytes, sizeof bytes));
	assert_ok(filemap_flush_range(map, 0, 10));
	assert_ok(flush_async(map, 11, 20));
	assert_ok(flush_async(map, 0, FILEMAP_TO_END));
	filemap_close(map);
}

static void conform_F2_one_writer_or_many_readers_and_nobody_waits(void **state)
{
	const char *path = t_path(*state, "file");
	const struct filemap_options *make = FILEMAP_OPTIONS(.flags = FILEMAP_CREATE);
	struct filemap *writer = open_ok(path, FILEMAP_WRITE, make);
	assert_int_equal(try_open(path, FILEMAP_WRITE, make), FILEMAP_ELOCKED);
	assert_int_equal(try_open(path, FILEMAP_READ, NULL), FILEMAP_ELOCKED);
	filemap_close(writer);
	struct filemap *a = open_ok(path, FILEMAP_READ, NULL), *b = open_ok(path, FILEMAP_READ, NULL);
	assert_int_equal(filemap_size(a), 0);
	assert_int_equal(try_open(path, FILEMAP_WRITE, make), FILEMAP_ELOCKED);
	filemap_close(a);
	filemap_close(b);
	assert_ok(try_open(path, FILEMAP_WRITE, make));
}

static void conform_F3_reader_sees_what_was_flushed(void **state)
{
	struct filemap *map = open_ok(data_file(state), FILEMAP_READ, NULL);
	assert_text_at(map, 0, DATA);
	filemap_close(map);
}

static void conform_F4_O2_positions_count_from_an_unaligned_offset(void **state)
{
	struct filemap *map = open_ok(head_and_data_file(state), FILEMAP_READ, FILEMAP_OPTIONS(.offset = 11));
	assert_text_at(map, 0, DATA);
	assert_int_equal(filemap_offset(map), 11);
	filemap_close(map);
}

static void conform_F5_executable_mapping_can_be_read(void **state)
{
	struct filemap *map = open_exec(data_file(state), NULL);
	assert_text_at(map, 0, DATA);
	assert_true(filemap_is_exec(map));
	filemap_close(map);
}

static void conform_F6_O3_executable_mapping_has_an_offset(void **state)
{
	struct filemap *map = open_exec(head_and_data_file(state), FILEMAP_OPTIONS(.offset = 11));
	assert_text_at(map, 0, DATA);
	filemap_close(map);
}

static void conform_F8_closing_cuts_and_unlocks(void **state)
{
	struct filemap_stat status;
	const char *path = t_path(*state, "file");
	struct filemap *map = create_ok(path, 0);
	assert_ok(filemap_resize(map, 100, NULL));
	assert_ok(filemap_write_all(map, 0, DATA, DATA_SIZE));
	assert_ok(filemap_flush(map));
	assert_ok(filemap_close_truncated(map, 50, NULL));
	map = open_ok(path, FILEMAP_WRITE, NULL);
	assert_ok(filemap_stat(map, &status));
	assert_int_equal(status.size, 50);
	filemap_close(map);
}

static void conform_F9_created_file_grows_and_takes_bytes(void **state)
{
	assert_file(data_file(state), DATA);
}

static void conform_F10_O1_created_file_has_its_size_at_once(void **state)
{
	const char *path = t_path(*state, "file");
	struct filemap *map = create_ok(path, 100);
	assert_int_equal(filemap_size(map), 100);
	assert_ok(filemap_write_all(map, 0, DATA, DATA_SIZE));
	assert_ok(filemap_flush(map));
	filemap_close(map);
	assert_int_equal(t_file_size(path), 100);
}

/* From DATA at the window's start to MORE, of which the file is to be `size` bytes long. */
static void rewrite(struct filemap *map, uint64_t size)
{
	assert_text_at(map, 0, DATA);
	assert_ok(filemap_resize(map, size, NULL));
	assert_int_equal(filemap_size(map), MORE_SIZE);
	assert_ok(filemap_write_all(map, 0, MORE, MORE_SIZE));
	assert_ok(filemap_flush(map));
	filemap_close(map);
}

static void assert_more_at(const char *path, size_t offset)
{
	struct filemap *map = open_ok(path, FILEMAP_WRITE, NULL);
	assert_text_at(map, offset, MORE);
	filemap_close(map);
}

static void conform_F11_writer_rewrites_what_was_there(void **state)
{
	const char *path = data_file(state);
	rewrite(open_ok(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE)), MORE_SIZE);
	assert_more_at(path, 0);
}

static void conform_F12_O4_size_leaves_a_file_with_content_alone(void **state)
{
	const char *path = head_and_data_file(state);
	rewrite(open_ok(path, FILEMAP_WRITE,
			FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 100, .offset = 11)),
		MORE_SIZE + 11);
	assert_more_at(path, 11);
	assert_int_equal(t_file_size(path), MORE_SIZE + 11);
}

static void conform_F13_existing_file_is_opened_for_writing(void **state)
{
	const char *path = data_file(state);
	rewrite(open_ok(path, FILEMAP_WRITE, NULL), MORE_SIZE);
	assert_more_at(path, 0);
}

static void conform_F14_O5_existing_file_with_offset_is_resized_from_its_start(void **state)
{
	const char *path = head_and_data_file(state);
	rewrite(open_ok(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.size = 100, .offset = 11)), MORE_SIZE + 11);
	assert_more_at(path, 11);
}

static void conform_F15_private_changes_never_reach_the_file(void **state)
{
	const char *path = data_file(state);
	struct filemap *map = open_ok(path, FILEMAP_COW, NULL);
	assert_text_at(map, 0, DATA);
	assert_ok(filemap_write_all(map, 0, OTHER, DATA_SIZE));
	assert_ok(filemap_flush(map));
	assert_window(map, OTHER);
	filemap_close(map);
	map = open_ok(path, FILEMAP_WRITE, NULL);
	assert_window(map, DATA);
	filemap_close(map);
}

static void conform_F16_O6_private_window_ends_with_the_file(void **state)
{
	const char *path = head_and_data_file(state);
	struct filemap *map = open_ok(path, FILEMAP_COW, FILEMAP_OPTIONS(.offset = 11));
	assert_true(filemap_is_cow(map));
	assert_text_at(map, 0, DATA);
	assert_ok(filemap_write_all(map, 0, OTHER, DATA_SIZE));
	assert_ok(filemap_flush(map));
	assert_window(map, OTHER);
	filemap_close(map);
	map = open_ok(path, FILEMAP_WRITE, NULL);
	assert_text_at(map, 11, DATA);
	filemap_close(map);
}

static struct filemap *data_map(void **state)
{
	return open_ok(data_file(state), FILEMAP_WRITE, NULL);
}

static void conform_F17_frozen_mapping_reads_and_does_not_write(void **state)
{
	struct filemap *map = data_map(state);
	assert_ok(filemap_freeze(map, NULL));
	assert_window(map, DATA);
	assert_null(filemap_data_mut(map));
	assert_int_equal(filemap_write_all(map, 0, "x", 1), FILEMAP_EMODE);
	assert_false(filemap_is_exec(map));
	filemap_close(map);
}

static void conform_F18_frozen_mapping_is_executable_if_asked_for(void **state)
{
	struct filemap *map = data_map(state);
	const int r = filemap_freeze_exec(map, NULL);
	if (r == 0) {
		assert_window(map, DATA);
		assert_null(filemap_data_mut(map));
		assert_true(filemap_is_exec(map));
	}
	filemap_close(map);
	if (r == -EPERM || r == -EACCES)
		t_skip("the test directory is mounted noexec");
	assert_ok(r);
}

/* By a relative name, as the original does it. */
static void conform_K1_closing_makes_an_empty_file_longer(void **state)
{
	struct t_dir *dir = *state;
	struct filemap *map = NULL;
	assert_ok(filemap_open_at(dir->fd, "file", FILEMAP_WRITE, NEW_FILE(.size = 0), &map, NULL));
	assert_int_equal(filemap_size(map), 0);
	assert_ok(filemap_close_truncated(map, 10, NULL));
	assert_int_equal(t_file_size(t_path(dir, "file")), 10);
}

T_MAIN(T_TEST(conform_F1_ranges_need_no_alignment_to_be_flushed),
       T_TEST(conform_F2_one_writer_or_many_readers_and_nobody_waits),
       T_TEST(conform_F3_reader_sees_what_was_flushed),
       T_TEST(conform_F4_O2_positions_count_from_an_unaligned_offset),
       T_TEST(conform_F5_executable_mapping_can_be_read),
       T_TEST(conform_F6_O3_executable_mapping_has_an_offset), T_TEST(conform_F8_closing_cuts_and_unlocks),
       T_TEST(conform_F9_created_file_grows_and_takes_bytes),
       T_TEST(conform_F10_O1_created_file_has_its_size_at_once),
       T_TEST(conform_F11_writer_rewrites_what_was_there),
       T_TEST(conform_F12_O4_size_leaves_a_file_with_content_alone),
       T_TEST(conform_F13_existing_file_is_opened_for_writing),
       T_TEST(conform_F14_O5_existing_file_with_offset_is_resized_from_its_start),
       T_TEST(conform_F15_private_changes_never_reach_the_file),
       T_TEST(conform_F16_O6_private_window_ends_with_the_file),
       T_TEST(conform_F17_frozen_mapping_reads_and_does_not_write),
       T_TEST(conform_F18_frozen_mapping_is_executable_if_asked_for),
       T_TEST(conform_K1_closing_makes_an_empty_file_longer))
