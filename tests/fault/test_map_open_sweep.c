/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Opening with every system call failing in turn, until none is left to fail: the error tells the step,
 * nothing leaks, the file is as it was, and the lock is free again.
 */
#include "t.h"

#include <errno.h>

#include <filemap/filemap.h>

#include "fault.h"

#define MOST_CALLS 100

static void assert_untouched(void **state, const char *path)
{
	char bytes[8];
	struct filemap *map;
	fault_reset();
	t_census_same(*state);
	assert_int_equal(t_read_file(path, bytes, sizeof bytes), 5);
	assert_memory_equal(bytes, "hello", 5);
	assert_ok(filemap_open(path, FILEMAP_WRITE, NULL, &map, NULL)); /* no lock is left */
	filemap_close(map);
}

/* How many calls could be made to fail. */
static int sweep(void **state, unsigned mode, const struct filemap_options *options)
{
	const char *path = t_path(*state, "file");
	int failed = 0;

	t_write_file(path, "hello", 5);
	for (int n = 1; n < MOST_CALLS; n++) {
		struct filemap_error error = {0};
		struct filemap *map = NULL;
		fault_reset();
		fault_arm(n, EIO);
		int r = filemap_open(path, mode, options, &map, &error);
		const int fired = fault_fired();
		if (r == 0) {
			assert_int_equal(filemap_size(map), 5);
			filemap_close(map);
		}
		if (!fired)
			return failed;
		if (r < 0) {
			failed++;
			assert_int_equal(r, -EIO);
			assert_int_equal(error.sys_errno, EIO);
			assert_non_null(error.step);
			assert_non_null(error.subject);
			assert_string_equal(error.detail, path);
			assert_null(map);
		}
		assert_untouched(state, path);
	}
	fail_msg("the sweep did not end");
	return failed;
}

static void open_for_reading_fails_cleanly_at_every_call(void **state)
{
	/* fstatat, openat, fstat, flock, fstatat, map */
	assert_int_equal(sweep(state, FILEMAP_READ, NULL), 6);
}

static void open_for_writing_fails_cleanly_at_every_call(void **state)
{
	/* and the parent directory */
	assert_int_equal(sweep(state, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 9999)),
			 7);
}

static void open_with_other_options_fails_cleanly_at_every_call(void **state)
{
	const struct filemap_options *options =
		FILEMAP_OPTIONS(.flags = FILEMAP_DONTFORK | FILEMAP_NOFOLLOW, .lock_family = FILEMAP_LOCK_OFD,
				.lock_wait_ms = 1, .reserve = 1 << 20);
	assert_int_equal(sweep(state, FILEMAP_READ, options), 7);
}

static void open_without_memory_fails_cleanly(void **state)
{
	const char *const calls[] = {"zalloc", "strdup"};
	const char *path = t_path(*state, "file");
	t_write_file(path, "hello", 5);
	for (size_t i = 0; i < 2; i++) {
		struct filemap_error error = {0};
		struct filemap *map = NULL;
		fault_reset();
		fault_arm_call(calls[i], 1, ENOMEM);
		assert_int_equal(filemap_open(path, FILEMAP_WRITE, NULL, &map, &error), -ENOMEM);
		assert_true(fault_fired());
		assert_non_null(error.step);
		assert_non_null(error.subject);
		assert_untouched(state, path);
	}
}

static void lock_of_a_file_system_without_locks_is_the_errno_or_done_without(void **state)
{
	const char *path = t_path(*state, "file");
	struct filemap_error error;
	struct filemap *map, *alias;
	t_write_file(path, "hello", 5);
	fault_reset();
	fault_arm_call_persistent("flock", 1, EOPNOTSUPP);
	assert_int_equal(filemap_open(path, FILEMAP_WRITE, NULL, &map, &error), -EOPNOTSUPP);
	assert_string_equal(error.step, "lock");
	assert_non_null(error.hint);
	const struct filemap_options *options = FILEMAP_OPTIONS(.flags = FILEMAP_LOCK_IF_SUPPORTED);
	assert_ok(filemap_open(path, FILEMAP_WRITE, options, &map, NULL));
	/* This process's own table still keeps mappings apart. */
	assert_int_equal(filemap_open(path, FILEMAP_WRITE, options, &alias, NULL), FILEMAP_ELOCKED);
	filemap_close(map);
	assert_untouched(state, path);
}

static void interrupted_wait_is_eintr(void **state)
{
	const char *path = t_path(*state, "file");
	struct filemap *map, *second;
	t_write_file(path, "hello", 5);
	fault_reset();
	assert_ok(filemap_open(path, FILEMAP_WRITE, NULL, &map, NULL));
	fault_arm_call("sleep_ms", 3, EINTR);
	assert_int_equal(filemap_open(path, FILEMAP_READ, FILEMAP_OPTIONS(.lock_wait_ms = FILEMAP_FOREVER),
				      &second, NULL),
			 -EINTR);
	filemap_close(map);
	assert_untouched(state, path);
}

/* A name that is there for creating and away for looking: eight rounds, then the end. */
static void name_that_never_stays_is_replaced(void **state)
{
	const char *path = t_path(*state, "file");
	struct filemap_error error;
	struct filemap *map = NULL;
	fault_reset();
	fault_arm_call_persistent("fstatat", 1, ENOENT);
	assert_int_equal(
		filemap_open(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE), &map, &error),
		FILEMAP_EREPLACED);
	assert_string_equal(error.step, "check name after locking");
	assert_int_equal(fault_count("openat"), 1 + 8);
	fault_reset();
	t_census_same(*state);
	assert_null(map);
}

T_MAIN(T_TEST(open_for_reading_fails_cleanly_at_every_call),
       T_TEST(open_for_writing_fails_cleanly_at_every_call),
       T_TEST(open_with_other_options_fails_cleanly_at_every_call), T_TEST(open_without_memory_fails_cleanly),
       T_TEST(lock_of_a_file_system_without_locks_is_the_errno_or_done_without),
       T_TEST(interrupted_wait_is_eintr), T_TEST(name_that_never_stays_is_replaced))
