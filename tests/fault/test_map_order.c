/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The order of kernel calls as a written sequence. What must stay: type before lock, lock before any look
 * at content, name after the lock, everything that can be refused before the first change of the file,
 * the parent's sync after the last one.
 */
#include "t.h"

#include <errno.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "fault.h"

static const char *path;
static struct filemap *map;

static void open_traced(void **state, unsigned mode, const struct filemap_options *options)
{
	path = t_path(*state, "file");
	fault_reset();
	fault_trace_start();
	assert_ok(filemap_open(path, mode, options, &map, NULL));
}

static void close_traced(const char *expected)
{
	fault_trace_start();
	filemap_close(map);
	assert_string_equal(fault_trace(), expected);
	fault_reset();
}

static void create_maps_before_it_allocates_and_syncs_the_parent_last(void **state)
{
	open_traced(state, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 5000));
	/* parent; absent; made; type; lock; name; size; window; blocks; link count; parent */
	assert_string_equal(fault_trace(),
			    "openat fstatat openat fstat flock fstatat map fallocate fsync fsync ");
	close_traced("unmap flock close close ");
}

static void create_without_durable_name_syncs_nothing(void **state)
{
	open_traced(state, FILEMAP_WRITE,
		    FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW | FILEMAP_NO_DURABLE_NAME | FILEMAP_SPARSE,
				    .size = 5000));
	assert_string_equal(fault_trace(), "openat openat fstat flock fstatat map ftruncate ");
	close_traced("unmap flock close close ");
}

static void truncate_comes_after_lock_name_map_size_and_blocks(void **state)
{
	t_write_file(t_path(*state, "file"), "hello", 5);
	open_traced(state, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_TRUNCATE, .size = 5000));
	assert_string_equal(fault_trace(), "openat fstatat openat fstat flock fstatat map "
					   "check_seals ftruncate fallocate fs_type ftruncate fallocate ");
	close_traced("unmap flock close close ");
}

static void opening_to_read_does_not_touch_the_parent(void **state)
{
	t_write_file(t_path(*state, "file"), "hello", 5);
	open_traced(state, FILEMAP_READ, NULL);
	assert_string_equal(fault_trace(), "fstatat openat fstat flock fstatat map ");
	close_traced("unmap flock close ");
}

static void empty_file_is_read_from_before_it_is_believed(void **state)
{
	t_write_file(t_path(*state, "file"), "", 0);
	open_traced(state, FILEMAP_READ, FILEMAP_OPTIONS(.lock_family = FILEMAP_LOCK_OFD));
	assert_string_equal(fault_trace(), "fstatat openat fstat ofd_lock fstatat pread map ");
	close_traced("unmap ofd_lock close ");
}

static void growth_clears_the_old_end_then_allocates_then_remaps(void **state)
{
	open_traced(state, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 5000));
	fault_trace_start();
	assert_ok(filemap_resize(map, 50000, NULL));
	assert_string_equal(fault_trace(), "fstat pwrite fallocate remap ");
	close_traced("unmap flock close close ");
}

static void failed_growth_cuts_the_file_back(void **state)
{
	open_traced(state, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 5000));
	fault_arm_call("remap", 1, ENOMEM);
	fault_trace_start();
	assert_int_equal(filemap_resize(map, 50000, NULL), -ENOMEM);
	assert_string_equal(fault_trace(), "fstat pwrite fallocate remap ftruncate ");
	close_traced("unmap flock close close ");
}

static void shrinking_cuts_then_narrows(void **state)
{
	open_traced(state, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 50000));
	fault_trace_start();
	assert_ok(filemap_resize(map, 5000, NULL));
	assert_string_equal(fault_trace(), "fstat ftruncate unmap ");
	close_traced("unmap flock close close ");
}

static void reserve_needs_no_remap_at_all(void **state)
{
	open_traced(state, FILEMAP_WRITE,
		    FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 4096, .reserve = 1 << 20));
	fault_trace_start();
	assert_ok(filemap_resize(map, 1 << 20, NULL));
	assert_string_equal(fault_trace(), "fallocate ");
	fault_trace_start();
	assert_ok(filemap_resize(map, 4096, NULL));
	assert_string_equal(fault_trace(), "fstat ftruncate ");
	fault_trace_start();
	assert_ok(filemap_resize(map, 8192, NULL));
	assert_string_equal(fault_trace(), "fallocate ");
	close_traced("unmap flock close close ");
}

/* Whoever was not alone with the file all the time looks at its size before changing it. */
static void growth_asks_for_the_size_where_others_may_have_changed_it(void **state)
{
	struct filemap *window;
	open_traced(state, FILEMAP_WRITE,
		    FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 4096, .reserve = 1 << 20));
	assert_ok(filemap_window(map, FILEMAP_WRITE, 0, 0, &window, NULL));
	assert_ok(filemap_resize(window, 12288, NULL));
	filemap_close(window);
	fault_trace_start();
	assert_ok(filemap_resize(map, 8192, NULL)); /* a cut, though the window grows */
	assert_string_equal(fault_trace(), "fstat ftruncate ");
	assert_int_equal(filemap_size(map), 8192);
	close_traced("unmap flock close close ");

	open_traced(state, FILEMAP_WRITE,
		    FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 4096, .reserve = 1 << 20));
	assert_ok(filemap_unlock(map));
	assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
	fault_trace_start();
	assert_ok(filemap_resize(map, 16384, NULL));
	assert_string_equal(fault_trace(), "fstat fallocate ");
	close_traced("unmap flock close close ");
}

static void close_truncated_flushes_resizes_syncs_and_closes(void **state)
{
	open_traced(state, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 5000));
	fault_trace_start();
	assert_ok(filemap_close_truncated(map, 6000, NULL));
	/* a look; window; look, old end; file; end */
	assert_string_equal(fault_trace(), "fstat msync fstat pwrite fsync unmap flock close close ");
	open_traced(state, FILEMAP_WRITE, NULL);
	fault_trace_start();
	assert_ok(filemap_close_truncated(map, 100, NULL));
	assert_string_equal(fault_trace(),
			    "fstat msync fstat ftruncate unmap fsync unmap flock close close ");
	fault_reset();
}

static void see_no_header(void *context)
{
	memcpy(context, filemap_data(map), 4);
}

static void see_header(void *context)
{
	memcpy((char *)context + 4, filemap_data(map), 4);
}

/* Before the first flush the old header stands, before the second the new one. */
static void commit_stores_the_header_between_two_flushes(void **state)
{
	char seen[9] = "";
	open_traced(state, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 9000));
	memcpy(filemap_data_mut(map), "old.", 4);
	fault_trace_start();
	fault_hook("msync", 1, see_no_header, seen);
	assert_ok(filemap_commit(map, 4096, 4096, 0, "new.", 4, NULL));
	assert_string_equal(fault_trace(), "msync msync ");
	assert_memory_equal(seen, "old.", 4);
	memcpy(filemap_data_mut(map), "old.", 4);
	fault_hook("msync", 2, see_header, seen);
	assert_ok(filemap_commit(map, 4096, 4096, 0, "new.", 4, NULL));
	assert_string_equal(seen, "old.new.");
	close_traced("unmap flock close close ");
}

static void cooperating_growth_is_locked_from_the_look_to_the_end(void **state)
{
	open_traced(
		state, FILEMAP_WRITE,
		FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 5000, .sharing = FILEMAP_SHARING_COOPERATE));
	fault_trace_start();
	assert_ok(filemap_resize(map, 50000, NULL));
	assert_string_equal(fault_trace(), "ofd_lock fstat pwrite fallocate remap ofd_lock ");
	close_traced("unmap flock close close ");
}

static void freeze_forbids_stores_before_it_shares_the_lock(void **state)
{
	open_traced(state, FILEMAP_WRITE,
		    FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | FILEMAP_DOWNGRADE_ON_FREEZE, .size = 5000));
	fault_trace_start();
	assert_ok(filemap_freeze(map, NULL));
	assert_string_equal(fault_trace(), "protect flock ");
	close_traced("unmap flock close close ");
}

static void refused_options_make_no_call(void **state)
{
	fault_reset();
	fault_trace_start();
	assert_int_equal(filemap_open(t_path(*state, "file"), FILEMAP_WRITE,
				      FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .reserved = 1), &map, NULL),
			 FILEMAP_EOPTION);
	assert_string_equal(fault_trace(), "");
	fault_reset();
}

static void window_that_does_not_fit_creates_nothing(void **state)
{
	fault_reset();
	fault_trace_start();
	assert_int_equal(filemap_open(t_path(*state, "file"), FILEMAP_WRITE,
				      FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .length = 1), &map, NULL),
			 FILEMAP_ERANGE);
	assert_string_equal(fault_trace(), "openat fstatat close "); /* the parent, a look, the parent */
	fault_reset();
}

static void locked_file_is_not_looked_at(void **state)
{
	struct filemap *second;
	t_write_file(t_path(*state, "file"), "", 0);
	open_traced(state, FILEMAP_WRITE, NULL);
	fault_trace_start();
	assert_int_equal(filemap_open(path, FILEMAP_READ, NULL, &second, NULL), FILEMAP_ELOCKED);
	assert_string_equal(fault_trace(), "fstatat openat fstat close ");
	close_traced("unmap flock close close ");
}

static void cooperating_size_is_locked_from_the_look_to_the_end(void **state)
{
	open_traced(
		state, FILEMAP_WRITE,
		FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 5000, .sharing = FILEMAP_SHARING_COOPERATE));
	assert_string_equal(fault_trace(), "openat fstatat openat fstat flock fstatat ofd_lock fstat map "
					   "fallocate ofd_lock fsync fsync ");
	close_traced("unmap flock close close ");
}

/* A lock that only this process knows keeps no other process from changing the size. */
static void growth_asks_for_the_size_where_the_kernel_has_no_lock(void **state)
{
	path = t_path(*state, "file");
	fault_reset();
	fault_arm_call_persistent("flock", 1, EOPNOTSUPP);
	assert_ok(filemap_open(path, FILEMAP_WRITE,
			       FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | FILEMAP_LOCK_IF_SUPPORTED,
					       .size = 4096, .reserve = 1 << 20),
			       &map, NULL));
	fault_trace_start();
	assert_ok(filemap_resize(map, 16384, NULL));
	assert_string_equal(fault_trace(), "fstat fallocate ");
	close_traced("unmap close close ");
}

static void commit_that_is_refused_flushes_nothing(void **state)
{
	struct filemap_error error;
	open_traced(state, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 9000));
	assert_ok(filemap_freeze(map, NULL));
	fault_trace_start();
	assert_int_equal(filemap_commit(map, 4096, 4096, 0, "new.", 4, &error), FILEMAP_EMODE);
	assert_string_equal(error.step, "check commit");
	assert_string_equal(fault_trace(), "");
	assert_ok(filemap_thaw(map, NULL));
	fault_arm_call("msync", 1, EIO);
	assert_int_equal(filemap_flush(map), -EIO);
	fault_trace_start();
	assert_int_equal(filemap_commit(map, 4096, 4096, 0, "new.", 4, &error), FILEMAP_EPOISONED);
	assert_string_equal(error.step, "check commit");
	assert_string_equal(fault_trace(), "");
	close_traced("unmap flock close close ");
}

/* Below the offset the end of the window, which is empty, is not that of the file. */
static void growth_asks_for_the_size_after_a_cut_below_the_window(void **state)
{
	open_traced(
		state, FILEMAP_WRITE,
		FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 8192, .offset = 4096, .reserve = 1 << 20));
	fault_arm_call("fsync", 1, EIO);
	assert_int_equal(filemap_close_truncated(map, 100, NULL), -EIO);
	assert_int_equal(t_file_size(path), 100);
	fault_trace_start();
	assert_ok(filemap_resize(map, 8192, NULL));
	assert_memory_equal(fault_trace(), "fstat ", 6);
	assert_int_equal(t_file_size(path), 8192);
	close_traced("unmap flock close close ");
}

T_MAIN(T_TEST(create_maps_before_it_allocates_and_syncs_the_parent_last),
       T_TEST(create_without_durable_name_syncs_nothing),
       T_TEST(truncate_comes_after_lock_name_map_size_and_blocks),
       T_TEST(opening_to_read_does_not_touch_the_parent),
       T_TEST(empty_file_is_read_from_before_it_is_believed),
       T_TEST(growth_clears_the_old_end_then_allocates_then_remaps), T_TEST(failed_growth_cuts_the_file_back),
       T_TEST(shrinking_cuts_then_narrows), T_TEST(reserve_needs_no_remap_at_all),
       T_TEST(growth_asks_for_the_size_where_others_may_have_changed_it),
       T_TEST(refused_options_make_no_call), T_TEST(window_that_does_not_fit_creates_nothing),
       T_TEST(locked_file_is_not_looked_at), T_TEST(close_truncated_flushes_resizes_syncs_and_closes),
       T_TEST(commit_stores_the_header_between_two_flushes),
       T_TEST(cooperating_growth_is_locked_from_the_look_to_the_end),
       T_TEST(freeze_forbids_stores_before_it_shares_the_lock),
       T_TEST(cooperating_size_is_locked_from_the_look_to_the_end),
       T_TEST(growth_asks_for_the_size_where_the_kernel_has_no_lock),
       T_TEST(commit_that_is_refused_flushes_nothing),
       T_TEST(growth_asks_for_the_size_after_a_cut_below_the_window))
