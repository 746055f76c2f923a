/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Conformance: what the original does at its edges without asserting it: opening, options, resizing, locks, memory
 * (items P1 to P6, P16 to P23, P32 to P36, P39, P41). Ranges are in test_conform_views.c.
 */
#include "conform.h"

static const unsigned modes[] = {FILEMAP_READ, FILEMAP_EXEC, FILEMAP_COW, FILEMAP_WRITE};
#define MODES (sizeof modes / sizeof *modes)

static void conform_P1_missing_file_is_not_made_by_any_mode(void **state)
{
	const char *path = t_path(*state, "missing");
	for (size_t i = 0; i < MODES; i++)
		assert_int_equal(try_open(path, modes[i], NULL), -ENOENT);
	assert_int_equal(t_file_size(path), -1);
}

static void conform_P2_file_is_made_empty_and_with_the_umask(void **state)
{
	struct stat status;
	const char *path = t_path(*state, "file");
	const mode_t old = umask(027);
	struct filemap *map = open_ok(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE));
	umask(old);
	assert_int_equal(filemap_size(map), 0);
	filemap_close(map);
	assert_ok(stat(path, &status));
	assert_int_equal(status.st_mode & 07777, 0640);
	assert_int_equal(status.st_size, 0);
}

static void conform_P3_creating_what_exists_is_refused(void **state)
{
	const char *path = text_file(state, DATA);
	const unsigned flags[] = {FILEMAP_CREATE_NEW | FILEMAP_CREATE, FILEMAP_CREATE_NEW | FILEMAP_TRUNCATE};
	assert_int_equal(try_open(path, FILEMAP_WRITE, NEW_FILE(.size = 5)), -EEXIST);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(try_open(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = flags[i])),
				 FILEMAP_EOPTION);
	assert_file(path, DATA);
}

static void conform_P4_empty_file_is_a_mapping_without_bytes(void **state)
{
	struct filemap *map = open_ok(text_file(state, ""), FILEMAP_READ, NULL);
	assert_int_equal(filemap_size(map), 0);
	assert_non_null(filemap_data(map));
	filemap_close(map);
}

static void conform_P5_what_is_no_regular_file_is_refused(void **state)
{
	const struct t_dir *dir = *state;
	const char *fifo = t_path(dir, "fifo"), *orphan = t_path(dir, "none/file");
	assert_ok(mkfifo(fifo, 0600));
	for (size_t i = 0; i < MODES; i++) {
		assert_int_equal(try_open(dir->path, modes[i], NULL), -EISDIR);
		assert_int_equal(try_open(fifo, modes[i], NULL), -ENODEV);
		assert_int_equal(try_open("/dev/zero", modes[i], NULL), -ENODEV);
		assert_int_equal(try_open(orphan, modes[i], NULL), -ENOENT);
	}
	assert_int_equal(try_open(orphan, FILEMAP_WRITE, NEW_FILE(.size = 1)), -ENOENT);
}

/* As somebody to whom the file is read-only; the superuser becomes such a one. */
static int open_as_reader(void *context)
{
	const struct t_dir *dir = context;
	struct filemap *map = NULL;
	if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
		return 77;
	if (filemap_open_at(dir->fd, "file", FILEMAP_WRITE, NULL, &map, NULL) != -EACCES)
		return 1;
	if (filemap_open_at(dir->fd, "file", FILEMAP_COW, NULL, &map, NULL) < 0)
		return 2;
	if (filemap_write_all(map, 0, OTHER, DATA_SIZE) < 0)
		return 3;
	const int differs = memcmp(filemap_data(map), OTHER, DATA_SIZE);
	filemap_close(map);
	return differs != 0 ? 4 : 0;
}

static void conform_P5_private_mapping_needs_permission_to_read_only(void **state)
{
	struct t_dir *dir = *state;
	const char *path = text_file(state, DATA);
	assert_ok(chmod(path, 0444));
	assert_ok(fchmod(dir->fd, 0755));
	const int r = t_in_child(open_as_reader, dir);
	if (r == 77)
		t_skip("the user cannot be changed here");
	assert_int_equal(r, 0);
	assert_file(path, DATA);
}

static void conform_P6_mapping_without_bytes_accepts_what_touches_none(void **state)
{
	struct filemap_cursor cursor;
	const void *slice = NULL;
	struct filemap *map = create_ok(t_path(*state, "file"), 0);
	assert_ok(filemap_flush(map));
	assert_ok(flush_async(map, 0, FILEMAP_TO_END));
	assert_ok(filemap_flush_range(map, 0, 0));
	assert_int_equal(filemap_flush_range(map, 0, 1), FILEMAP_ERANGE);
	assert_ok(filemap_write_all(map, 0, "", 0));
	assert_int_equal(filemap_write_all(map, 0, "x", 1), FILEMAP_ERANGE);
	assert_int_equal(filemap_write_some(map, 0, "x", 1), 0);
	assert_ok(filemap_slice(map, 0, 0, &slice));
	assert_non_null(slice);
	assert_ok(filemap_cursor_init(&cursor, map, 0, FILEMAP_TO_END));
	assert_ok(filemap_resize(map, 0, NULL));
	filemap_close(map);
}

static void conform_P16_option_without_effect_is_refused_by_name(void **state)
{
	const char *path = text_file(state, DATA);
	struct filemap *map = NULL;
	struct filemap_error error = {0};
	static const unsigned fixed[] = {FILEMAP_READ, FILEMAP_EXEC, FILEMAP_COW};
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(filemap_open(path, fixed[i], FILEMAP_OPTIONS(.size = 99), &map, &error),
				 FILEMAP_EOPTION);
		assert_string_equal(error.subject, "size");
		assert_int_equal(filemap_open(path, fixed[i], FILEMAP_OPTIONS(.flags = FILEMAP_TRUNCATE),
					      &map, &error),
				 FILEMAP_EOPTION);
		assert_string_equal(error.subject, "flags");
		assert_non_null(strstr(error.detail, "TRUNCATE"));
	}
	assert_file(path, DATA);
}

static void conform_P16_existing_file_is_emptied_when_asked(void **state)
{
	const char *path = text_file(state, DATA);
	struct filemap *map = open_ok(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_TRUNCATE));
	assert_int_equal(filemap_size(map), 0);
	filemap_close(map);
	assert_int_equal(t_file_size(path), 0);
}

static void conform_P17_size_is_for_empty_files_only(void **state)
{
	const char *path = text_file(state, DATA);
	struct filemap *map = open_ok(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.size = 99));
	assert_window(map, DATA);
	filemap_close(map);
	map = open_ok(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_TRUNCATE, .size = 99));
	assert_int_equal(filemap_size(map), 99);
	assert_zeros(map, 0, 99);
	filemap_close(map);
	map = open_ok(text_file(state, ""), FILEMAP_WRITE, FILEMAP_OPTIONS(.size = 7));
	assert_int_equal(filemap_size(map), 7);
	filemap_close(map);
}

static void conform_P18_mode_is_one_word_that_cannot_contradict_itself(void **state)
{
	const char *path = text_file(state, DATA);
	static const unsigned none[] = {0, FILEMAP_READ | FILEMAP_WRITE, FILEMAP_COW | FILEMAP_EXEC, 16};
	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		assert_int_equal(try_open(path, none[i], NULL), FILEMAP_EOPTION);
	assert_int_equal(try_open(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = 1u << 31)), FILEMAP_EOPTION);
	assert_int_equal(try_open(path, FILEMAP_WRITE, NEW_FILE(.size = 0)), -EEXIST);
	assert_file(path, DATA);
}

static void conform_P19_refused_creation_leaves_no_file(void **state)
{
	const char *path = t_path(*state, "file");
	assert_int_equal(try_open(path, FILEMAP_WRITE, NEW_FILE(.length = 128)), FILEMAP_ERANGE);
	assert_int_equal(try_open(path, FILEMAP_WRITE, NEW_FILE(.size = 4, .offset = 5)), FILEMAP_ERANGE);
	assert_int_equal(
		try_open(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .length = 128)),
		FILEMAP_ERANGE);
	assert_int_equal(t_file_size(path), -1);
}

static void conform_P20_length_of_the_window_is_remembered(void **state)
{
	const char *path = t_path(*state, "file");
	filemap_close(create_ok(path, 10));
	struct filemap *map = open_ok(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.length = 4));
	assert_ok(filemap_resize(map, 20, NULL));
	assert_int_equal(filemap_size(map), 4);
	assert_int_equal(t_file_size(path), 20);
	assert_ok(filemap_resize(map, 2, NULL));
	assert_int_equal(filemap_size(map), 2);
	assert_ok(filemap_resize(map, 20, NULL));
	assert_int_equal(filemap_size(map), 4);
	filemap_close(map);
}

static void conform_P21_offset_is_the_smallest_size_but_for_closing(void **state)
{
	const char *path = t_path(*state, "file");
	filemap_close(create_ok(path, 10));
	struct filemap *map = open_ok(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.offset = 5));
	assert_ok(filemap_resize(map, 5, NULL));
	assert_int_equal(filemap_size(map), 0);
	assert_int_equal(filemap_resize(map, 4, NULL), FILEMAP_ERANGE);
	assert_ok(filemap_resize(map, 9, NULL));
	assert_int_equal(filemap_size(map), 4);
	assert_ok(filemap_flush_range(map, 0, 4));
	assert_ok(filemap_close_truncated(map, 3, NULL));
	assert_int_equal(t_file_size(path), 3);
}

static void conform_P22_impossible_size_leaves_the_mapping_alone(void **state)
{
	static const uint64_t sizes[] = {UINT64_C(1) << 62, INT64_MAX, UINT64_MAX};
	const char *path = text_file(state, DATA);
	struct filemap *map = open_ok(path, FILEMAP_WRITE, NULL);
	for (size_t i = 0; i < 3; i++) {
		const int r = filemap_resize(map, sizes[i], NULL);
		assert_true(r == FILEMAP_ERANGE || r == -EFBIG || r == -ENOMEM || r == -ENOSPC);
		assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
		assert_window(map, DATA);
		assert_int_equal(t_file_size(path), DATA_SIZE);
	}
	assert_ok(filemap_write_all(map, 0, OTHER, DATA_SIZE));
	assert_ok(filemap_flush(map));
	assert_ok(filemap_resize(map, 5, NULL));
	filemap_close(map);
	assert_file(path, "TWELV");
}

static void conform_P23_closing_takes_the_handle_and_frees_the_lock(void **state)
{
	const char *path = text_file(state, DATA);
	struct filemap *map = open_ok(path, FILEMAP_WRITE, NULL);
	filemap_close(map);
	t_census_same(*state);
	assert_ok(try_open(path, FILEMAP_WRITE, NULL));
	filemap_close(NULL);
}

static void conform_P32_private_mappings_share_the_file_with_readers(void **state)
{
	const char *path = text_file(state, DATA);
	struct filemap *cow = open_ok(path, FILEMAP_COW, NULL);
	assert_int_equal(filemap_lock_state(cow), FILEMAP_SHARED_LOCK);
	assert_ok(try_open(path, FILEMAP_READ, NULL));
	assert_ok(try_open(path, FILEMAP_COW, NULL));
	assert_int_equal(try_open(path, FILEMAP_WRITE, NULL), FILEMAP_ELOCKED);
	filemap_close(cow);
}

static void conform_P33_freezing_keeps_the_exclusive_lock(void **state)
{
	const char *path = text_file(state, DATA);
	struct filemap *map = open_ok(path, FILEMAP_WRITE, NULL);
	assert_ok(filemap_freeze(map, NULL));
	assert_int_equal(filemap_lock_state(map), FILEMAP_EXCLUSIVE_LOCK);
	assert_int_equal(try_open(path, FILEMAP_READ, NULL), FILEMAP_ELOCKED);
	assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
	assert_ok(filemap_lock(map, FILEMAP_SHARED_LOCK, 0, NULL)); /* it cannot store: it may share */
	assert_ok(try_open(path, FILEMAP_READ, NULL));
	assert_int_equal(filemap_thaw(map, NULL), FILEMAP_EMODE);
	filemap_close(map);
	assert_ok(try_open(path, FILEMAP_WRITE, NULL));
}

static void conform_P33_freezing_shares_the_lock_when_asked(void **state)
{
	const char *path = text_file(state, DATA);
	struct filemap *map =
		open_ok(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_DOWNGRADE_ON_FREEZE));
	assert_ok(filemap_freeze(map, NULL));
	assert_int_equal(filemap_lock_state(map), FILEMAP_SHARED_LOCK);
	assert_ok(try_open(path, FILEMAP_READ, NULL));
	assert_int_equal(try_open(path, FILEMAP_WRITE, NULL), FILEMAP_ELOCKED);
	filemap_close(map);
}

static void conform_P34_freezing_keeps_private_changes(void **state)
{
	struct filemap *map = open_ok(text_file(state, DATA), FILEMAP_COW, NULL);
	assert_ok(filemap_write_all(map, 0, OTHER, DATA_SIZE));
	assert_ok(filemap_freeze(map, NULL));
	assert_window(map, OTHER);
	assert_null(filemap_data_mut(map));
	filemap_close(map);
}

static void conform_P35_two_writers_unlock_and_lock_in_turns(void **state)
{
	const char *path = text_file(state, DATA);
	struct filemap *a = open_ok(path, FILEMAP_WRITE, NULL);
	assert_ok(filemap_unlock(a));
	struct filemap *b = open_ok(path, FILEMAP_WRITE, NULL);
	assert_int_equal(filemap_lock(a, FILEMAP_EXCLUSIVE_LOCK, 0, NULL), FILEMAP_ELOCKED);
	assert_int_equal(filemap_lock(a, FILEMAP_SHARED_LOCK, 0, NULL), FILEMAP_ELOCKED);
	assert_ok(filemap_unlock(b));
	assert_ok(filemap_lock(a, FILEMAP_SHARED_LOCK, 0, NULL));
	assert_int_equal(filemap_lock(b, FILEMAP_EXCLUSIVE_LOCK, 0, NULL), FILEMAP_ELOCKED);
	assert_ok(filemap_lock(b, FILEMAP_SHARED_LOCK, 0, NULL));
	assert_int_equal(filemap_lock(a, FILEMAP_EXCLUSIVE_LOCK, FILEMAP_FOREVER, NULL), FILEMAP_ELOCKED);
	assert_int_equal(filemap_lock_state(a), FILEMAP_SHARED_LOCK);
	assert_ok(filemap_unlock(b));
	assert_ok(filemap_unlock(b));
	assert_ok(filemap_lock(a, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
	filemap_close(a);
	filemap_close(b);
}

static void conform_P36_bytes_that_were_cut_off_come_back_as_zeros(void **state)
{
	struct filemap *map = open_ok(text_file(state, DATA), FILEMAP_WRITE, NULL);
	assert_ok(filemap_resize(map, 3, NULL));
	memset((char *)filemap_data_mut(map) + 3, 'x', 3); /* the rest of the page can be stored to */
	assert_ok(filemap_resize(map, 6, NULL));
	assert_text_at(map, 0, "twe");
	assert_zeros(map, 3, 3);
	assert_ok(filemap_resize(map, 0, NULL));
	assert_ok(filemap_resize(map, 6, NULL));
	assert_zeros(map, 0, 6);
	filemap_close(map);
}

static void conform_P39_memory_keeps_the_rules_of_files(void **state)
{
	struct filemap_stat status;
	struct filemap *map = memory_ok(FILEMAP_WRITE, "abcdef", 6);
	(void)state;
	assert_ok(filemap_resize(map, 3, NULL));
	assert_window(map, "abc");
	assert_ok(filemap_resize(map, 6, NULL));
	assert_text_at(map, 0, "abc");
	assert_zeros(map, 3, 3);
	assert_ok(filemap_flush_range(map, 0, 6));
	assert_int_equal(filemap_flush_range(map, 0, 7), FILEMAP_ERANGE);
	assert_ok(filemap_stat(map, &status));
	assert_int_equal(status.mode, 0);
	assert_int_equal(status.inode, 0);
	assert_ok(filemap_freeze_exec(map, NULL));
	assert_true(filemap_is_exec(map));
	filemap_close(map);
	assert_ok(filemap_close_truncated(memory_ok(FILEMAP_WRITE, "abcdef", 6), 1, NULL));
}

static void conform_P41_flock_is_the_lock_and_contention_has_a_code(void **state)
{
	struct filemap_error error = {0};
	struct filemap *map = NULL;
	const char *path = text_file(state, DATA);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_ok(flock(fd, LOCK_EX | LOCK_NB));
	assert_int_equal(filemap_open(path, FILEMAP_READ, NULL, &map, &error), FILEMAP_ELOCKED);
	assert_int_equal(error.code, FILEMAP_ELOCKED);
	assert_string_equal(error.step, "lock");
	assert_ok(flock(fd, LOCK_SH | LOCK_NB));
	map = open_ok(path, FILEMAP_READ, NULL);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
	assert_int_equal(errno, EWOULDBLOCK);
	filemap_close(map);
	assert_ok(flock(fd, LOCK_UN));
	map = open_ok(path, FILEMAP_WRITE, NULL);
	assert_int_equal(flock(fd, LOCK_SH | LOCK_NB), -1);
	filemap_close(map);
	close(fd);
}

T_MAIN(T_TEST(conform_P1_missing_file_is_not_made_by_any_mode),
       T_TEST(conform_P2_file_is_made_empty_and_with_the_umask),
       T_TEST(conform_P3_creating_what_exists_is_refused),
       T_TEST(conform_P4_empty_file_is_a_mapping_without_bytes),
       T_TEST(conform_P5_what_is_no_regular_file_is_refused),
       T_TEST(conform_P5_private_mapping_needs_permission_to_read_only),
       T_TEST(conform_P6_mapping_without_bytes_accepts_what_touches_none),
       T_TEST(conform_P16_option_without_effect_is_refused_by_name),
       T_TEST(conform_P16_existing_file_is_emptied_when_asked),
       T_TEST(conform_P17_size_is_for_empty_files_only),
       T_TEST(conform_P18_mode_is_one_word_that_cannot_contradict_itself),
       T_TEST(conform_P19_refused_creation_leaves_no_file),
       T_TEST(conform_P20_length_of_the_window_is_remembered),
       T_TEST(conform_P21_offset_is_the_smallest_size_but_for_closing),
       T_TEST(conform_P22_impossible_size_leaves_the_mapping_alone),
       T_TEST(conform_P23_closing_takes_the_handle_and_frees_the_lock),
       T_TEST(conform_P32_private_mappings_share_the_file_with_readers),
       T_TEST(conform_P33_freezing_keeps_the_exclusive_lock),
       T_TEST(conform_P33_freezing_shares_the_lock_when_asked),
       T_TEST(conform_P34_freezing_keeps_private_changes),
       T_TEST(conform_P35_two_writers_unlock_and_lock_in_turns),
       T_TEST(conform_P36_bytes_that_were_cut_off_come_back_as_zeros),
       T_TEST(conform_P39_memory_keeps_the_rules_of_files),
       T_TEST(conform_P41_flock_is_the_lock_and_contention_has_a_code))
