/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Creating, truncating and giving a size with every system call failing in turn: after a failure a new
 * file is gone, an old one is as it was.
 */
#include "t.h"

#include <errno.h>

#include <filemap/filemap.h>

#include "fault.h"

#define MOST_CALLS 100
#define SIZE 10000

static const char *path;

static void check_failure(void **state, int r, const struct filemap_error *error)
{
	assert_int_equal(r, -EIO);
	assert_int_equal(error->sys_errno, EIO);
	assert_non_null(error->step);
	assert_non_null(error->subject);
	t_census_same(*state);
}

/* `before` prepares, `after` checks after each failure. Returns how many calls made it fail. */
static int sweep(void **state, const struct filemap_options *options, void (*before)(void),
		 void (*after)(void))
{
	int failed = 0;

	path = t_path(*state, "file");
	for (int n = 1; n < MOST_CALLS; n++) {
		struct filemap_error error = {0};
		struct filemap *map = NULL;
		remove(path);
		before();
		fault_reset();
		fault_arm(n, EIO);
		int r = filemap_open(path, FILEMAP_WRITE, options, &map, &error);
		const int fired = fault_fired();
		fault_reset();
		if (r == 0) {
			assert_int_equal(filemap_size(map), SIZE);
			assert_int_equal(t_file_size(path), SIZE);
			filemap_close(map);
		} else {
			failed++;
			check_failure(state, r, &error);
			after();
		}
		if (!fired)
			return failed;
	}
	fail_msg("the sweep did not end");
	return failed;
}

static void nothing(void)
{
}

static void assert_no_file(void)
{
	assert_int_equal(t_file_size(path), -1);
}

static void write_hello(void)
{
	t_write_file(path, "hello", 5);
}

static void assert_hello(void)
{
	char bytes[8];
	assert_int_equal(t_read_file(path, bytes, sizeof bytes), 5);
	assert_memory_equal(bytes, "hello", 5);
}

static void write_empty(void)
{
	t_write_file(path, "", 0);
}

static void assert_empty(void)
{
	assert_int_equal(t_file_size(path), 0);
}

static void create_leaves_no_file_behind_at_every_call(void **state)
{
	/* openat, fstatat, openat, fstat, flock, fstatat, map, fallocate, fsync, fsync */
	const struct filemap_options *options = FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = SIZE);
	assert_int_equal(sweep(state, options, nothing, assert_no_file), 10);
}

static void create_new_sparse_leaves_no_file_behind_at_every_call(void **state)
{
	const struct filemap_options *options =
		FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW | FILEMAP_SPARSE, .size = SIZE);
	assert_int_equal(sweep(state, options, nothing, assert_no_file), 9);
}

static void truncate_leaves_the_content_until_blocks_are_sure(void **state)
{
	const struct filemap_options *options = FILEMAP_OPTIONS(.flags = FILEMAP_TRUNCATE, .size = SIZE);
	struct filemap *map;
	struct filemap_error error;
	path = t_path(*state, "file");
	write_hello();
	const char *const calls[] = {"map", "fallocate", "ftruncate"};
	for (size_t i = 0; i < 3; i++) {
		fault_reset();
		fault_arm_call(calls[i], 1, EIO);
		assert_int_equal(filemap_open(path, FILEMAP_WRITE, options, &map, &error), -EIO);
		check_failure(state, -EIO, &error);
		assert_hello();
	}
	/* Only this failure can meet an emptied file: the blocks that were tried for are gone since. */
	fault_reset();
	fault_arm_call("fallocate", 2, ENOSPC);
	assert_int_equal(filemap_open(path, FILEMAP_WRITE, options, &map, &error), -ENOSPC);
	fault_reset();
	assert_empty();
}

static void truncate_to_nothing_changes_all_or_nothing(void **state)
{
	struct filemap *map;
	path = t_path(*state, "file");
	write_hello();
	for (int n = 1; n < MOST_CALLS; n++) {
		fault_reset();
		fault_arm(n, EIO);
		int r = filemap_open(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_TRUNCATE), &map,
				     NULL);
		const int fired = fault_fired();
		fault_reset();
		if (r < 0) {
			assert_true(fired);
			t_census_same(*state);
			assert_hello();
			continue;
		}
		filemap_close(map);
		assert_empty();
		return;
	}
	fail_msg("the sweep did not end");
}

static void size_for_an_empty_file_is_given_or_it_stays_empty(void **state)
{
	assert_int_equal(sweep(state, FILEMAP_OPTIONS(.size = SIZE), write_empty, assert_empty), 9);
}

static void blocks_are_written_where_they_cannot_be_allocated(void **state)
{
	struct filemap *map;
	struct filemap_stat status;
	struct filemap_error error;
	path = t_path(*state, "file");
	fault_reset();
	fault_arm_call_persistent("fallocate", 1, EOPNOTSUPP);
	assert_ok(filemap_open(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 200001),
			       &map, NULL));
	assert_true(fault_count("pwrite") > 0);
	assert_int_equal(filemap_size(map), 200001);
	assert_ok(filemap_sync(map));
	assert_ok(filemap_stat(map, &status));
	assert_true(status.blocks * 512 >= 200001);
	assert_ok(filemap_resize(map, 400001, &error));
	filemap_close(map);
	fault_reset();
}

/* It has more blocks than it will need: nothing has to be tried by writing. */
static void longer_file_is_truncated_where_blocks_cannot_be_allocated(void **state)
{
	static const unsigned char long_content[400000];
	struct filemap *map;
	path = t_path(*state, "file");
	t_write_file(path, long_content, sizeof long_content);
	fault_reset();
	fault_arm_call_persistent("fallocate", 1, EOPNOTSUPP);
	fault_arm_also("pwrite", 8, EIO); /* whoever reckons wrongly would fill the disk */
	assert_ok(filemap_open(path, FILEMAP_WRITE,
			       FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | FILEMAP_TRUNCATE, .size = 1000),
			       &map, NULL));
	assert_int_equal(filemap_size(map), 1000);
	filemap_close(map);
	fault_reset();
}

static void full_disk_leaves_no_file_behind(void **state)
{
	struct filemap *map;
	struct filemap_error error;
	path = t_path(*state, "file");
	fault_reset();
	fault_arm_call("fallocate", 1, ENOSPC);
	assert_int_equal(filemap_open(path, FILEMAP_WRITE,
				      FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = SIZE), &map, &error),
			 -ENOSPC);
	assert_string_equal(error.step, "allocate blocks");
	fault_reset();
	assert_no_file();
}

static void unsynced_file_or_parent_leaves_no_file_behind(void **state)
{
	static const char *const steps[] = {"sync file", "sync parent directory"};
	struct filemap *map;
	struct filemap_error error;
	path = t_path(*state, "file");
	for (int n = 1; n <= 2; n++) {
		fault_reset();
		fault_arm_call("fsync", n, EIO);
		assert_int_equal(filemap_open(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE),
					      &map, &error),
				 -EIO);
		assert_string_equal(error.step, steps[n - 1]);
		assert_string_equal(error.subject, n == 1 ? "file" : "parent directory");
		fault_reset();
		assert_no_file();
	}
}

static void fail_the_next_block(void *context)
{
	(void)context;
	fault_arm_call("pwrite", 1, ENOSPC);
}

/* Half of it is there when the disk is full. */
static void open_on_a_disk_that_fills_up(uint32_t sharing)
{
	struct filemap *map;
	write_empty();
	fault_reset();
	fault_arm_call("fallocate", 1, EOPNOTSUPP);
	fault_hook("pwrite", 2, fail_the_next_block, NULL);
	assert_int_equal(filemap_open(path, FILEMAP_WRITE,
				      FILEMAP_OPTIONS(.size = 200001, .sharing = sharing), &map, NULL),
			 -ENOSPC);
	fault_reset();
}

static void size_that_was_given_in_part_is_taken_back(void **state)
{
	path = t_path(*state, "file");
	open_on_a_disk_that_fills_up(0);
	assert_empty();
}

/* They may have stored there already. */
static void size_that_was_given_in_part_stays_for_those_who_cooperate(void **state)
{
	path = t_path(*state, "file");
	open_on_a_disk_that_fills_up(FILEMAP_SHARING_COOPERATE);
	assert_true(t_file_size(path) > 0);
}

/* The new length was tried before; the content is there still, and so is its end. */
static void truncation_that_fails_leaves_content_and_length(void **state)
{
	struct filemap *map;
	path = t_path(*state, "file");
	for (int n = 1; n <= 2; n++) {
		write_hello();
		fault_reset();
		fault_arm_call("ftruncate", n, EIO);
		assert_int_equal(filemap_open(path, FILEMAP_WRITE,
					      FILEMAP_OPTIONS(.flags = FILEMAP_TRUNCATE, .size = SIZE), &map,
					      NULL),
				 -EIO);
		fault_reset();
		assert_hello();
	}
}

T_MAIN(T_TEST(create_leaves_no_file_behind_at_every_call),
       T_TEST(create_new_sparse_leaves_no_file_behind_at_every_call),
       T_TEST(truncate_leaves_the_content_until_blocks_are_sure),
       T_TEST(truncate_to_nothing_changes_all_or_nothing),
       T_TEST(size_for_an_empty_file_is_given_or_it_stays_empty),
       T_TEST(blocks_are_written_where_they_cannot_be_allocated),
       T_TEST(longer_file_is_truncated_where_blocks_cannot_be_allocated),
       T_TEST(full_disk_leaves_no_file_behind), T_TEST(unsynced_file_or_parent_leaves_no_file_behind),
       T_TEST(size_that_was_given_in_part_is_taken_back),
       T_TEST(size_that_was_given_in_part_stays_for_those_who_cooperate),
       T_TEST(truncation_that_fails_leaves_content_and_length))
