/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The harness itself: what it must notice is done here in small, since a blind harness passes everything. */
#include "t.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

static void census_with_an_open_descriptor_differs(void **state)
{
	const struct t_dir *dir = *state;
	const int fd = open(dir->path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	const struct t_census now = t_census_take(dir->path);
	close(fd);
	assert_int_equal(now.descriptors, dir->before.descriptors + 1);
	t_census_same(dir);
}

static void census_with_a_mapping_of_the_directory_differs(void **state)
{
	const struct t_dir *dir = *state;
	const char *path = t_path(dir, "mapped");

	t_write_file(path, "x", 1);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	void *at = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	assert_ptr_not_equal(at, MAP_FAILED);
	const struct t_census now = t_census_take(dir->path);
	munmap(at, 1);
	assert_int_equal(now.mappings, dir->before.mappings + 1);
	t_census_same(dir);
}

static int leave_with(void *context)
{
	return *(const int *)context;
}

static int die_of(void *context)
{
	signal(*(const int *)context, SIG_DFL);
	raise(*(const int *)context);
	return 0;
}

static int assert_wrongly(void *context)
{
	(void)context;
	close(STDOUT_FILENO);
	close(STDERR_FILENO);
	assert_true(false);
	return 0;
}

static void child_that_returns_gives_its_status(void **state)
{
	int status = 41;

	(void)state;
	assert_int_equal(t_in_child(leave_with, &status), 41);
}

static void child_that_dies_gives_its_signal(void **state)
{
	int number = SIGKILL;

	(void)state;
	assert_int_equal(t_in_child(die_of, &number), -SIGKILL);
}

static void child_that_fails_an_assertion_never_comes_back(void **state)
{
	const struct t_dir *dir = *state;

	assert_int_not_equal(t_in_child(assert_wrongly, NULL), 0);
	assert_int_equal(access(dir->path, F_OK), 0); /* it did not clean up in our name */
}

static void file_written_is_read_back(void **state)
{
	const struct t_dir *dir = *state;
	const char *path = t_path(dir, "file");
	char bytes[8];

	assert_int_equal(t_file_size(path), -1);
	t_write_file(path, "abc", 3);
	assert_int_equal(t_file_size(path), 3);
	assert_int_equal(t_read_file(path, bytes, sizeof bytes), 3);
	assert_memory_equal(bytes, "abc", 3);
}

T_MAIN(T_TEST(census_with_an_open_descriptor_differs), T_TEST(census_with_a_mapping_of_the_directory_differs),
       T_PLAIN(child_that_returns_gives_its_status), T_PLAIN(child_that_dies_gives_its_signal),
       T_TEST(child_that_fails_an_assertion_never_comes_back), T_TEST(file_written_is_read_back))
