/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Conformance: what was once wrong in the original and must not come back (items R1 to R11, and T19 and T21,
 * which say the same of its asynchronous side). Poisoned mappings are in test_conform_faults.c.
 */
#include "conform.h"

static void conform_R1_second_mapping_waits_for_the_end_of_the_writer(void **state)
{
	const char *path = t_path(*state, "file");
	struct filemap *writer = create_ok(path, 0);
	assert_int_equal(try_open(path, FILEMAP_WRITE, NULL), FILEMAP_ELOCKED);
	assert_int_equal(try_open(path, FILEMAP_READ, NULL), FILEMAP_ELOCKED);
	filemap_close(writer);
	assert_ok(try_open(path, FILEMAP_READ, NULL));
	assert_ok(try_open(path, FILEMAP_WRITE, NULL));
}

static void conform_R2_refused_truncation_keeps_the_content(void **state)
{
	const char *path = text_file(state, "keep it");
	struct filemap *holder = open_ok(path, FILEMAP_WRITE, NULL);
	assert_int_equal(try_open(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_TRUNCATE)),
			 FILEMAP_ELOCKED);
	assert_window(holder, "keep it");
	filemap_close(holder);
	assert_file(path, "keep it");
}

/* FOREVER, so that a lock that waited for itself would not end. */
static void conform_R3_writer_locks_again_without_waiting(void **state)
{
	struct filemap *map = create_ok(t_path(*state, "file"), 0);
	assert_int_equal(filemap_lock_state(map), FILEMAP_EXCLUSIVE_LOCK);
	assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, FILEMAP_FOREVER, NULL));
	assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
	assert_int_equal(filemap_lock(map, FILEMAP_SHARED_LOCK, FILEMAP_FOREVER, NULL), FILEMAP_ELOCKED);
	assert_int_equal(filemap_lock(map, FILEMAP_SHARED_LOCK, 0, NULL), FILEMAP_ELOCKED);
	assert_int_equal(filemap_lock_state(map), FILEMAP_EXCLUSIVE_LOCK);
	filemap_close(map);
}

static void conform_R3_reader_is_promoted_only_when_it_is_alone(void **state)
{
	const char *path = text_file(state, DATA);
	struct filemap *map = open_ok(path, FILEMAP_READ, NULL), *other = open_ok(path, FILEMAP_READ, NULL);
	assert_ok(filemap_lock(map, FILEMAP_SHARED_LOCK, FILEMAP_FOREVER, NULL));
	assert_ok(filemap_lock(map, FILEMAP_SHARED_LOCK, 0, NULL));
	assert_int_equal(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, FILEMAP_FOREVER, NULL), FILEMAP_ELOCKED);
	assert_int_equal(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL), FILEMAP_ELOCKED);
	assert_int_equal(filemap_lock_state(map), FILEMAP_SHARED_LOCK);
	filemap_close(other);
	assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
	assert_int_equal(filemap_lock_state(map), FILEMAP_EXCLUSIVE_LOCK);
	assert_int_equal(try_open(path, FILEMAP_READ, NULL), FILEMAP_ELOCKED);
	filemap_close(map);
}

static void conform_R3_reader_may_be_exclusive_after_unlocking(void **state)
{
	const char *path = text_file(state, DATA);
	struct filemap *map = open_ok(path, FILEMAP_READ, NULL);
	assert_ok(filemap_unlock(map));
	assert_int_equal(filemap_lock_state(map), FILEMAP_UNLOCKED);
	assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
	assert_int_equal(try_open(path, FILEMAP_READ, NULL), FILEMAP_ELOCKED);
	assert_ok(filemap_unlock(map));
	assert_ok(try_open(path, FILEMAP_WRITE, NULL));
	filemap_close(map);
}

static void conform_R4_refused_resize_leaves_the_private_mapping(void **state)
{
	struct filemap_error error = {0};
	struct filemap *map = open_ok(text_file(state, "original"), FILEMAP_COW, NULL);
	assert_int_equal(filemap_resize(map, 0, &error), FILEMAP_EMODE);
	assert_int_equal(error.code, FILEMAP_EMODE);
	assert_window(map, "original");
	assert_ok(filemap_write_all(map, 0, "modified", 8));
	assert_window(map, "modified");
	filemap_close(map);
}

static void conform_R5_shrinking_clamps_the_length_of_the_window(void **state)
{
	char bytes[1024];
	const char *path = t_path(*state, "file");
	filemap_close(create_ok(path, 8192));
	struct filemap *map = open_ok(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.length = 8192));
	assert_int_equal(filemap_size(map), 8192);
	assert_ok(filemap_resize(map, 1024, NULL));
	assert_int_equal(filemap_size(map), 1024);
	memset(bytes, 7, sizeof bytes);
	assert_ok(filemap_write_all(map, 0, bytes, sizeof bytes));
	assert_ok(filemap_flush(map));
	filemap_close(map);
}

static void conform_R6_size_below_the_offset_is_refused_and_harmless(void **state)
{
	const char *path = t_path(*state, "file");
	filemap_close(create_ok(path, 2048));
	struct filemap *map = open_ok(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.offset = 1024));
	assert_int_equal(filemap_resize(map, 500, NULL), FILEMAP_ERANGE);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	assert_int_equal(filemap_size(map), 1024);
	assert_ok(filemap_flush(map));
	filemap_close(map);
	assert_int_equal(t_file_size(path), 2048);
}

static void conform_R7_created_file_has_the_permissions_asked_for(void **state)
{
	struct stat status;
	const char *path = t_path(*state, "file");
	filemap_close(open_ok(path, FILEMAP_WRITE, NEW_FILE(.permissions = 0600, .size = 8)));
	assert_ok(stat(path, &status));
	assert_int_equal(status.st_mode & 0777, 0600);
}

static void conform_R8_window_that_the_file_does_not_have_is_refused(void **state)
{
	const char *path = text_file(state, "abcd");
	const struct filemap_options *much = FILEMAP_OPTIONS(.length = 128);
	assert_int_equal(try_open(t_path(*state, "new"), FILEMAP_WRITE, NEW_FILE(.length = 128)),
			 FILEMAP_ERANGE);
	assert_int_equal(t_file_size(t_path(*state, "new")), -1);
	assert_int_equal(
		try_open(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .length = 128)),
		FILEMAP_ERANGE);
	assert_int_equal(try_open(path, FILEMAP_WRITE, much), FILEMAP_ERANGE);
	assert_int_equal(try_open(path, FILEMAP_COW, much), FILEMAP_ERANGE);
	assert_int_equal(try_open(path, FILEMAP_READ, much), FILEMAP_ERANGE);
	assert_int_equal(try_open(path, FILEMAP_READ, FILEMAP_OPTIONS(.offset = 64)), FILEMAP_ERANGE);
	struct filemap *map = open_ok(path, FILEMAP_READ, FILEMAP_OPTIONS(.offset = 1, .length = 2));
	assert_window(map, "bc");
	filemap_close(map);
	assert_file(path, "abcd");
}

static void conform_R9_T19_window_is_checked_against_the_size_to_come(void **state)
{
	const char *path = text_file(state, "preserved");
	assert_int_equal(try_open(path, FILEMAP_WRITE,
				  FILEMAP_OPTIONS(.flags = FILEMAP_TRUNCATE, .offset = 1, .length = 2)),
			 FILEMAP_ERANGE);
	assert_file(path, "preserved");
	assert_int_equal(try_open(path, FILEMAP_WRITE,
				  FILEMAP_OPTIONS(.flags = FILEMAP_TRUNCATE, .size = 4, .length = 64)),
			 FILEMAP_ERANGE);
	assert_file(path, "preserved");
}

static void conform_R10_closing_with_a_size_cuts_the_file(void **state)
{
	const char *path = t_path(*state, "file");
	struct filemap *map = create_ok(path, 0);
	assert_ok(filemap_resize(map, 8, NULL));
	assert_ok(filemap_write_all(map, 0, "abcdefgh", 8));
	assert_ok(filemap_flush(map));
	assert_ok(filemap_close_truncated(map, 4, NULL));
	assert_file(path, "abcd");
}

/* A refused close leaves the handle, still whole, to be closed in another way. */
static void conform_R11_T21_closing_a_private_mapping_never_cuts_the_file(void **state)
{
	const char *path = text_file(state, "keep me whole");
	struct filemap *map = open_ok(path, FILEMAP_COW, NULL);
	assert_int_equal(filemap_close_truncated(map, 0, NULL), FILEMAP_EMODE);
	assert_file(path, "keep me whole");
	assert_ok(filemap_write_all(map, 0, "K", 1));
	filemap_close(map);
	assert_file(path, "keep me whole");
}

T_MAIN(T_TEST(conform_R1_second_mapping_waits_for_the_end_of_the_writer),
       T_TEST(conform_R2_refused_truncation_keeps_the_content),
       T_TEST(conform_R3_writer_locks_again_without_waiting),
       T_TEST(conform_R3_reader_is_promoted_only_when_it_is_alone),
       T_TEST(conform_R3_reader_may_be_exclusive_after_unlocking),
       T_TEST(conform_R4_refused_resize_leaves_the_private_mapping),
       T_TEST(conform_R5_shrinking_clamps_the_length_of_the_window),
       T_TEST(conform_R6_size_below_the_offset_is_refused_and_harmless),
       T_TEST(conform_R7_created_file_has_the_permissions_asked_for),
       T_TEST(conform_R8_window_that_the_file_does_not_have_is_refused),
       T_TEST(conform_R9_T19_window_is_checked_against_the_size_to_come),
       T_TEST(conform_R10_closing_with_a_size_cuts_the_file),
       T_TEST(conform_R11_T21_closing_a_private_mapping_never_cuts_the_file))
