/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Opening files and syncing names with every system call failing in turn, the order of those calls, and what
 * others may do to the name between two of them.
 */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "fault.h"

#define MOST_CALLS 50
#define READ FILEMAP_FILE_READ
#define WRITE FILEMAP_FILE_WRITE
#define CREATE FILEMAP_FILE_CREATE
#define CREATE_NEW FILEMAP_FILE_CREATE_NEW
#define TRUNCATE FILEMAP_FILE_TRUNCATE
#define DURABLE FILEMAP_FILE_DURABLE

static const char *path;
static struct filemap_error error;

static void assert_file_is(const char *expected)
{
	char bytes[32];

	assert_int_equal(t_file_size(path), strlen(expected));
	assert_int_equal(t_read_file(path, bytes, sizeof bytes), strlen(expected));
	assert_memory_equal(bytes, expected, strlen(expected));
}

/* As it was: "hello", or not there. */
static void assert_unchanged(bool exists)
{
	if (exists)
		assert_file_is("hello");
	else
		assert_int_equal(t_file_size(path), -1);
}

static void check_failure(int r, int fd)
{
	assert_int_equal(r, -EIO);
	assert_int_equal(error.sys_errno, EIO);
	assert_non_null(error.step);
	assert_non_null(error.subject);
	assert_string_equal(error.detail, path);
	assert_int_equal(fd, -1);
}

/* Returns how many calls made it fail. */
static int sweep(void **state, unsigned how, bool exists)
{
	int failed = 0;

	path = t_path(*state, "file");
	for (int n = 1; n < MOST_CALLS; n++) {
		int fd = -1;
		remove(path);
		if (exists)
			t_write_file(path, "hello", 5);
		fault_reset();
		fault_arm(n, EIO);
		const int r = filemap_file_open(path, how, 0, &fd, &error);
		const bool fired = fault_fired();
		fault_reset();
		if (r == 0) {
			close(fd);
			assert_file_is(exists && !(how & TRUNCATE) ? "hello" : "");
		} else {
			failed++;
			check_failure(r, fd);
			assert_unchanged(exists);
		}
		t_census_same(*state);
		if (!fired)
			return failed;
	}
	fail_msg("the sweep did not end");
	return failed;
}

static void open_changes_nothing_at_every_call(void **state)
{
	assert_int_equal(sweep(state, READ, true), 4);             /* fstatat, openat, fstat, set_blocking */
	assert_int_equal(sweep(state, WRITE | TRUNCATE, true), 5); /* and ftruncate */
	assert_int_equal(sweep(state, WRITE | TRUNCATE | CREATE | DURABLE, true), 6); /* and the parent */
}

static void create_leaves_no_file_at_every_call(void **state)
{
	assert_int_equal(sweep(state, WRITE | CREATE, false), 3); /* parent, fstatat, openat */
	assert_int_equal(sweep(state, WRITE | CREATE_NEW, false), 2);
	assert_int_equal(sweep(state, WRITE | CREATE_NEW | DURABLE, false), 4); /* and fsync twice */
	assert_int_equal(sweep(state, READ | WRITE | CREATE | TRUNCATE | DURABLE, false), 5);
}

static void memory_that_is_short_leaves_no_file(void **state)
{
	int fd = -1;
	path = t_path(*state, "file");
	fault_reset();
	fault_arm_call("strdup", 1, ENOMEM);
	assert_int_equal(filemap_file_open(path, WRITE | CREATE, 0, &fd, &error), -ENOMEM);
	assert_unchanged(false);
	for (int n = 1; n <= 2; n++) {
		fault_reset();
		fault_arm_call("strdup", n, ENOMEM);
		assert_int_equal(filemap_sync_parent(path, &error), -ENOMEM);
	}
	fault_reset();
}

static void failed_syncs_are_told(void **state)
{
	static const char *const steps[] = {"open directory", "sync directory"};
	const struct t_dir *dir = *state;
	path = t_path(dir, "file");
	for (int n = 1; n <= 2; n++) {
		fault_reset();
		fault_arm(n, EIO);
		assert_int_equal(filemap_sync_dir(dir->path, &error), -EIO);
		assert_string_equal(error.step, steps[n - 1]);
		assert_string_equal(error.subject, "directory");
		t_census_same(dir);
		fault_arm(n, EIO);
		assert_int_equal(filemap_sync_parent(path, &error), -EIO);
		assert_string_equal(error.step, steps[n - 1]);
		assert_string_equal(error.subject, "parent directory");
		assert_string_equal(error.detail, path);
		t_census_same(dir);
	}
	fault_reset();
}

static void trace(void **state, unsigned how, bool exists, const char *expected)
{
	int fd = -1;
	path = t_path(*state, "file");
	remove(path);
	if (exists)
		t_write_file(path, "hello", 5);
	fault_reset();
	fault_trace_start();
	assert_ok(filemap_file_open(path, how, 0, &fd, NULL));
	assert_string_equal(fault_trace(), expected);
	fault_reset();
	close(fd);
}

static void file_is_emptied_and_its_parent_synced_last(void **state)
{
	trace(state, READ, true, "fstatat openat fstat set_blocking ");
	trace(state, WRITE | TRUNCATE, true, "fstatat openat fstat set_blocking ftruncate ");
	trace(state, WRITE | CREATE | DURABLE, true, "openat fstatat openat fstat set_blocking close ");
	trace(state, WRITE | CREATE | TRUNCATE | DURABLE, false, "openat fstatat openat fsync fsync close ");
	trace(state, WRITE | CREATE_NEW | DURABLE, false, "openat openat fsync fsync close ");
	trace(state, WRITE | CREATE, false, "openat fstatat openat close ");
}

static void make_file(void *context)
{
	(void)context;
	t_write_file(path, "another", 7);
}

static void remove_file(void *context)
{
	(void)context;
	assert_ok(unlink(path));
}

static void make_fifo(void *context)
{
	(void)context;
	assert_ok(unlink(path));
	assert_ok(mkfifo(path, 0600));
}

static int open_with(unsigned how, const char *call, int nth, void (*hook)(void *), int *ret_fd)
{
	fault_reset();
	fault_hook(call, nth, hook, NULL);
	const int r = filemap_file_open(path, how, 0, ret_fd, &error);
	fault_reset();
	return r;
}

static void file_that_others_make_meanwhile_is_opened(void **state)
{
	int fd = -1;
	path = t_path(*state, "file");
	assert_ok(open_with(WRITE | CREATE, "openat", 2, make_file, &fd));
	assert_file_is("another");
	close(fd);
	remove(path);
	assert_int_equal(open_with(WRITE | CREATE_NEW, "openat", 2, make_file, &fd), -EEXIST);
	assert_file_is("another");
}

static void file_that_others_remove_meanwhile_is_made(void **state)
{
	int fd = -1;
	path = t_path(*state, "file");
	make_file(NULL);
	assert_ok(open_with(WRITE | CREATE, "openat", 2, remove_file, &fd));
	assert_file_is("");
	close(fd);
	assert_int_equal(open_with(WRITE, "openat", 1, remove_file, &fd), -ENOENT);
}

static void fifo_that_comes_between_is_enodev_without_waiting(void **state)
{
	int fd = -1;
	path = t_path(*state, "file");
	make_file(NULL);
	assert_int_equal(open_with(READ, "openat", 1, make_fifo, &fd), -ENODEV);
	remove(path);
	make_file(NULL);
	assert_int_equal(open_with(READ | WRITE | CREATE, "openat", 2, make_fifo, &fd), -ENODEV);
	assert_int_equal(fd, -1);
}

/* There whenever it is to be made, gone whenever it is to be opened. */
static void change_again(void *context)
{
	if (unlink(path) < 0)
		make_file(NULL);
	fault_hook("openat", 1, change_again, context);
}

static void name_that_changes_again_and_again_is_given_up(void **state)
{
	int fd = -1;
	path = t_path(*state, "file");
	assert_int_equal(open_with(WRITE | CREATE, "openat", 2, change_again, &fd), FILEMAP_EREPLACED);
	assert_non_null(error.hint);
	assert_int_equal(fd, -1);
}

static void replace_and_fail(void *context)
{
	(void)context;
	assert_ok(unlink(path));
	make_file(NULL);
	fault_arm_call("fsync", 1, EIO);
}

static void file_of_others_is_not_removed_in_place_of_our_own(void **state)
{
	int fd = -1;
	path = t_path(*state, "file");
	assert_int_equal(open_with(WRITE | CREATE | DURABLE, "fsync", 1, replace_and_fail, &fd), -EIO);
	assert_file_is("another");
}

T_MAIN(T_TEST(open_changes_nothing_at_every_call), T_TEST(create_leaves_no_file_at_every_call),
       T_TEST(memory_that_is_short_leaves_no_file), T_TEST(failed_syncs_are_told),
       T_TEST(file_is_emptied_and_its_parent_synced_last), T_TEST(file_that_others_make_meanwhile_is_opened),
       T_TEST(file_that_others_remove_meanwhile_is_made),
       T_TEST(fifo_that_comes_between_is_enodev_without_waiting),
       T_TEST(name_that_changes_again_and_again_is_given_up),
       T_TEST(file_of_others_is_not_removed_in_place_of_our_own))
