/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The wraps take hold, in this program's calls and in the library's own: else every sweep would pass. */
#include "fault.h"
#include "t.h"

#include <errno.h>
#include <signal.h>
#include <sys/file.h>

#include <filemap/map.h>

#include "sys/sys.h"

static void armed_call_fails_once(void **state)
{
	const struct t_dir *dir = *state;

	fault_reset();
	fault_arm_call("fsync", 2, EIO);
	assert_ok(fm__sys_fsync(dir->fd));
	assert_false(fault_fired());
	assert_int_equal(fm__sys_fsync(dir->fd), -EIO);
	assert_string_equal(fault_fired_call(), "fsync");
	assert_ok(fm__sys_fsync(dir->fd));
	assert_int_equal(fault_count("fsync"), 3);
}

static void persistently_armed_call_fails_from_then_on(void **state)
{
	const struct t_dir *dir = *state;

	fault_reset();
	fault_arm_call_persistent("fsync", 2, ENOSPC);
	assert_ok(fm__sys_fsync(dir->fd));
	assert_int_equal(fm__sys_fsync(dir->fd), -ENOSPC);
	assert_int_equal(fm__sys_fsync(dir->fd), -ENOSPC);
	fault_reset();
	assert_ok(fm__sys_fsync(dir->fd));
}

static void nth_call_of_any_kind_fails(void **state)
{
	const struct t_dir *dir = *state;
	struct stat stat;

	fault_reset();
	fault_arm(2, EACCES);
	assert_ok(fm__sys_fsync(dir->fd));
	assert_int_equal(fm__sys_fstat(dir->fd, &stat), -EACCES);
	assert_string_equal(fault_fired_call(), "fstat");
}

static void calls_armed_one_beside_another_all_fail(void **state)
{
	const struct t_dir *dir = *state;
	struct stat stat;

	fault_reset();
	fault_arm_call_persistent("fsync", 1, EIO);
	fault_arm_also("fstat", 1, EACCES);
	fault_arm_also("", 3, ENOMEM);
	assert_int_equal(fm__sys_fsync(dir->fd), -EIO);
	assert_int_equal(fm__sys_fstat(dir->fd, &stat), -EACCES);
	assert_int_equal(fm__sys_fstat(dir->fd, &stat), -ENOMEM);
	assert_ok(fm__sys_fstat(dir->fd, &stat));
	assert_int_equal(fm__sys_fsync(dir->fd), -EIO);
	fault_reset();
	assert_ok(fm__sys_fsync(dir->fd));
}

static int die_before_unlinking(void *context)
{
	const struct t_dir *dir = context;

	fault_reset();
	fault_arm_call("unlinkat", 1, FAULT_KILL);
	fm__sys_fsync(dir->fd);
	fm__sys_unlinkat(dir->fd, "file", 0);
	return 0;
}

static void process_dies_before_the_armed_call(void **state)
{
	t_write_file(t_path(*state, "file"), "x", 1);
	assert_int_equal(t_in_child(die_before_unlinking, *state), -SIGKILL);
	assert_int_equal(t_file_size(t_path(*state, "file")), 1);
}

static void failing_release_still_releases(void **state)
{
	const struct t_dir *dir = *state;
	const size_t page = fm__sys_page_size();
	void *at;

	fault_reset();
	t_write_file(t_path(dir, "file"), "x", 1);
	const int fd = fm__sys_openat(dir->fd, "file", O_RDONLY, 0);
	assert_true(fd >= 0);
	assert_ok(fm__sys_map(NULL, page, PROT_READ, MAP_SHARED, fd, 0, &at));
	assert_ok(fm__sys_flock(fd, LOCK_EX));
	fault_arm_call("unmap", 1, EINVAL);
	assert_int_equal(fm__sys_unmap(at, page), -EINVAL);
	fault_arm_call("flock", 1, EINVAL);
	assert_int_equal(fm__sys_flock(fd, LOCK_UN), -EINVAL);
	fault_arm_call("close", 1, EIO);
	fm__sys_close(fd);
	t_census_same(dir);
}

static void heap_fails_only_by_name(void **state)
{
	(void)state;
	fault_reset();
	fault_arm(1, ENOMEM);
	void *memory = fm__zalloc(8);
	assert_non_null(memory);
	fm__free(memory);
	fault_arm_call("zalloc", 1, ENOMEM);
	assert_null(fm__zalloc(8));
	fault_reset();
}

static void calls_inside_the_library_are_seen_and_fail(void **state)
{
	const struct t_dir *dir = *state;
	const char *path = t_path(dir, "file");
	struct filemap_error error;
	struct filemap *map;

	t_write_file(path, "x", 1);
	fault_reset();
	fault_trace_start();
	assert_ok(filemap_open(path, FILEMAP_READ, NULL, &map, &error));
	filemap_close(map);
	assert_non_null(strstr(fault_trace(), "flock "));
	assert_non_null(strstr(fault_trace(), "map "));
	fault_arm_call("map", 1, ENOMEM);
	assert_int_equal(filemap_open(path, FILEMAP_READ, NULL, &map, &error), -ENOMEM);
	assert_string_equal(fault_fired_call(), "map");
}

static void page_size_is_the_faked_one(void **state)
{
	(void)state;
	const size_t real = fm__sys_page_size();

	fault_page_size(real * 16);
	assert_int_equal(fm__sys_page_size(), real * 16);
	fault_page_size(0);
	assert_int_equal(fm__sys_page_size(), real);
}

T_MAIN(T_TEST(armed_call_fails_once), T_TEST(persistently_armed_call_fails_from_then_on),
       T_TEST(nth_call_of_any_kind_fails), T_TEST(calls_armed_one_beside_another_all_fail),
       T_TEST(process_dies_before_the_armed_call), T_TEST(failing_release_still_releases),
       T_PLAIN(heap_fails_only_by_name), T_TEST(calls_inside_the_library_are_seen_and_fail),
       T_PLAIN(page_size_is_the_faked_one))
