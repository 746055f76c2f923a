/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Conformance: what only a failing or interrupted kernel call can show (items R12, R13, R19, B15, P22, P40, P42), with
 * the seam's calls made to fail, or the world changed between two of them.
 */
#include "conform.h"

#include "fault.h"

/* A cut that has happened behind the library's back, whose outcome cannot be looked up any more. */
static struct filemap *poisoned(void **state)
{
	const char *path = t_path(*state, "file");
	struct filemap *map = create_ok(path, 5000);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(dup3(fd, filemap_fd(map), O_CLOEXEC) >= 0); /* ftruncate(2) of it fails */
	close(fd);
	for (int nth = 1; nth < 8 && !filemap_is_poisoned(map); nth++) {
		fault_arm_call_persistent("fstat", nth, EIO);
		assert_true(filemap_resize(map, 100, NULL) < 0);
		fault_reset();
	}
	assert_true(filemap_is_poisoned(map));
	return map;
}

static void assert_refused(int r, const struct filemap_error *error)
{
	char line[512];
	assert_int_equal(r, FILEMAP_EPOISONED);
	assert_int_equal(error->code, FILEMAP_EPOISONED);
	filemap_error_format(error, line, sizeof line);
	assert_non_null(strstr(line, filemap_strerror(FILEMAP_EPOISONED)));
}

static void conform_R12_poisoned_mapping_is_not_frozen(void **state)
{
	struct filemap_error error = {0};
	struct filemap *map = poisoned(state);
	assert_refused(filemap_freeze(map, &error), &error);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_POISONED);
	filemap_close(map);
}

static void conform_R13_poisoned_mapping_is_not_made_executable(void **state)
{
	struct filemap_error error = {0};
	struct filemap *map = poisoned(state);
	assert_refused(filemap_freeze_exec(map, &error), &error);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_POISONED);
	filemap_close(map);
}

static void conform_R19_name_that_is_gone_has_only_to_become_durable(void **state)
{
	const char *path = t_path(*state, "file");
	struct filemap *map = create_ok(path, 8);
	fault_reset();
	fault_arm_call("fsync", 1, EIO);
	assert_int_equal(filemap_remove(map, NULL), FILEMAP_EUNSYNCED);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE | FILEMAP_STATE_NEEDS_PARENT_SYNC);
	assert_int_equal(t_file_size(path), -1);
	fault_reset();
	fault_trace_start();
	assert_ok(filemap_remove(map, NULL));
	assert_string_equal(fault_trace(), "fstat fsync "); /* counts links, and touches no name */
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE | FILEMAP_STATE_REMOVED);
	fault_reset();
	filemap_close(map);
}

static void conform_P40_poisoned_mapping_still_knows_its_file(void **state)
{
	struct filemap_error error = {0};
	struct filemap_stat status;
	struct filemap *map = poisoned(state);
	assert_int_equal(filemap_size(map), 0);
	assert_null(filemap_data(map));
	assert_int_equal(filemap_flush(map), FILEMAP_EPOISONED);
	assert_refused(filemap_resize(map, 10, &error), &error);
	assert_refused(filemap_close_truncated(map, 10, &error), &error);
	assert_int_equal(filemap_write_all(map, 0, "x", 1), FILEMAP_EPOISONED);
	assert_int_equal(filemap_write_u8(map, 0, 1), FILEMAP_EPOISONED);
	assert_true(filemap_poison_cause(map) < 0);
	assert_string_equal(filemap_path(map), t_path(*state, "file"));
	assert_ok(filemap_stat(map, &status));
	assert_int_equal(status.size, 5000);
	filemap_close(map);
	assert_ok(try_open(t_path(*state, "file"), FILEMAP_WRITE, NULL));
}

static void conform_P40_poisoned_mapping_removes_its_file(void **state)
{
	struct filemap *map = poisoned(state);
	assert_ok(filemap_remove(map, NULL));
	assert_int_equal(filemap_state(map), FILEMAP_STATE_POISONED | FILEMAP_STATE_REMOVED);
	assert_int_equal(t_file_size(t_path(*state, "file")), -1);
	filemap_close(map);
}

/* Whatever call fails, a growth or cut that failed leaves file and window as they were. */
static void resize_with_faults(void **state, uint64_t size)
{
	for (int nth = 1;; nth++) {
		const char *path = t_path(*state, "file");
		struct filemap *map = create_ok(path, 5000);
		assert_ok(filemap_write_all(map, 0, DATA, DATA_SIZE));
		fault_reset();
		fault_arm(nth, ENOSPC);
		const int r = filemap_resize(map, size, NULL);
		const bool fired = fault_fired();
		fault_reset();
		assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
		assert_int_equal(filemap_size(map), r < 0 ? 5000 : size);
		assert_text_at(map, 0, DATA);
		filemap_close(map);
		assert_int_equal(t_file_size(path), r < 0 ? 5000 : (int64_t)size);
		assert_ok(unlink(path));
		if (!fired)
			break;
	}
}

static void conform_P22_failed_growth_keeps_the_mapping(void **state)
{
	resize_with_faults(state, 50000);
}

static void conform_P22_failed_cut_keeps_the_mapping(void **state)
{
	resize_with_faults(state, 100);
}

/* The last call of all may fail when the copy is complete already: then it is there, whole. */
static void conform_B15_failed_copy_leaves_no_part_of_a_file(void **state)
{
	struct filemap *map = open_ok(text_file(state, DATA), FILEMAP_READ, NULL);
	const char *copy = t_path(*state, "copy");
	for (int nth = 1;; nth++) {
		struct filemap_error error = {0};
		fault_reset();
		fault_arm(nth, EIO);
		const int r = filemap_copy_to(map, 0, FILEMAP_TO_END, copy, &error);
		const bool fired = fault_fired();
		fault_reset();
		if (r == 0 || t_file_size(copy) >= 0)
			assert_file(copy, DATA);
		if (r < 0 && t_file_size(copy) >= 0)
			assert_non_null(error.hint);
		if (!fired)
			break;
		assert_true(r == 0 || error.code == r);
		(void)unlink(copy);
	}
	assert_file(copy, DATA);
	filemap_close(map);
}

static void replace_file(void *context)
{
	const struct t_dir *dir = context;
	assert_ok(rename(t_path(dir, "fresh"), t_path(dir, "file")));
}

static void remove_file(void *context)
{
	assert_ok(unlink(t_path(context, "file")));
}

static void conform_P42_name_given_to_another_file_before_the_lock_is_noticed(void **state)
{
	const char *path = text_file(state, "stale");
	for (int i = 0; i < 2; i++) {
		t_write_file(path, "stale", 5);
		t_write_file(t_path(*state, "fresh"), "fresh", 5);
		fault_reset();
		fault_hook("flock", 1, replace_file, *state);
		struct filemap *map = open_ok(path, i == 0 ? FILEMAP_READ : FILEMAP_WRITE, NULL);
		fault_reset();
		assert_window(map, "fresh");
		filemap_close(map);
	}
}

static void conform_P42_file_that_lost_its_name_before_the_lock_is_not_mapped(void **state)
{
	const char *path = text_file(state, "stale");
	fault_reset();
	fault_hook("flock", 1, remove_file, *state);
	assert_int_equal(try_open(path, FILEMAP_READ, NULL), -ENOENT);
	fault_reset();
}

T_MAIN(T_TEST(conform_R12_poisoned_mapping_is_not_frozen),
       T_TEST(conform_R13_poisoned_mapping_is_not_made_executable),
       T_TEST(conform_R19_name_that_is_gone_has_only_to_become_durable),
       T_TEST(conform_B15_failed_copy_leaves_no_part_of_a_file),
       T_TEST(conform_P40_poisoned_mapping_still_knows_its_file),
       T_TEST(conform_P40_poisoned_mapping_removes_its_file),
       T_TEST(conform_P22_failed_growth_keeps_the_mapping), T_TEST(conform_P22_failed_cut_keeps_the_mapping),
       T_TEST(conform_P42_name_given_to_another_file_before_the_lock_is_noticed),
       T_TEST(conform_P42_file_that_lost_its_name_before_the_lock_is_not_mapped))
