/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Each kernel call of creating a log, preparing a segment and reading a log fails once, in turn: the failure
 * is returned with its step, nothing is left behind, and the next attempt succeeds.
 */
#include <errno.h>
#include <sys/stat.h>

#include "fault.h"
#include "log/dir.h"
#include "sys/sys.h"
#include "t.h"

#define MIB (UINT64_C(1) << 20)

static const struct fm__log_geometry geometry = {.uuid = {7}, .segment_size = MIB, .unit = 32};

static int count_name(void *context, const char *name)
{
	(void)name;
	++*(int *)context;
	return 0;
}

/* -1: there is no such directory. */
static int names_in(const struct t_dir *dir, const char *name)
{
	int count = 0, fd = fm__sys_openat(dir->fd, name, O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0)
		return -1;
	assert_ok(fm__sys_list_dir(fd, count_name, &count));
	fm__sys_close(fd);
	return count;
}

static int create(const struct t_dir *dir, struct filemap_error *reterr)
{
	struct fm__log_dir log;
	int r = fm__log_dir_create(t_path(dir, "log"), &geometry, 0666, &log, reterr);

	if (r == 0)
		fm__log_dir_close(&log);
	return r;
}

static void assert_told(const struct filemap_error *error, int r)
{
	assert_true(r < 0);
	assert_int_equal(error->code, r);
	assert_true(error->step && error->step[0] != '\0' && error->subject);
}

/* Advice, and giving back what was flushed or only read. */
static bool is_harmless(const char *call)
{
	return strcmp(call, "close") == 0 || strcmp(call, "unmap") == 0 || strcmp(call, "fadvise") == 0;
}

/* A log that was made after all, out of the way of the next attempt. */
static void remove_log(const struct t_dir *dir, int left)
{
	static const char *const names[] = {"meta", "LOCK", "0000000000000000.seg"};
	int fd = fm__sys_openat(dir->fd, "log", O_RDONLY | O_DIRECTORY, 0);

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		assert_ok(fm__sys_unlinkat(fd, names[i], 0));
	fm__sys_close(fd);
	if (left < 0)
		assert_ok(fm__sys_unlinkat(dir->fd, "log", AT_REMOVEDIR));
}

/* `left`: names in the directory after a failure; -1 = it must not exist. A run of writes to one file is
 * looked at in its first calls and then at every 37th. */
static void sweep_create(const struct t_dir *dir, int left)
{
	struct filemap_error error;
	int n, r;

	for (n = 1;; n += n < 12 || n > 250 ? 1 : 37) {
		error = (struct filemap_error){0};
		fault_reset();
		fault_arm(n, EIO);
		r = create(dir, &error);
		if (!fault_fired())
			break;
		if (r == 0 && !is_harmless(fault_fired_call()))
			fail_msg("%s failed and nobody was told", fault_fired_call());
		fault_reset();
		if (r == 0)
			remove_log(dir, left);
		else
			assert_told(&error, r);
		assert_int_equal(names_in(dir, "log"), left);
		t_census_same(dir);
	}
	assert_ok(r);
	assert_true(n > 290); /* 256 + 32 pages were written */
	fault_reset();
	assert_int_equal(names_in(dir, "log"), 3);
}

static void create_failing_at_any_call_leaves_nothing(void **state)
{
	sweep_create(*state, -1);
}

static void create_failing_in_an_empty_directory_leaves_it_empty(void **state)
{
	const struct t_dir *dir = *state;

	assert_ok(mkdir(t_path(dir, "log"), 0777));
	sweep_create(dir, 0);
}

static void create_on_a_full_disk_is_enospc(void **state)
{
	const struct t_dir *dir = *state;
	struct filemap_error error;

	fault_reset();
	fault_arm_call("pwrite", 100, ENOSPC);
	assert_int_equal(create(dir, &error), -ENOSPC);
	fault_reset();
	assert_string_equal(error.step, "write");
	assert_string_equal(error.subject, "segment");
	assert_int_equal(names_in(dir, "log"), -1);
	assert_ok(create(dir, NULL));
}

static void segment_failing_at_any_call_leaves_no_segment(void **state)
{
	const struct t_dir *dir = *state;
	struct filemap_error error;
	struct fm__log_dir log;
	int fd = -1, n, r;

	assert_ok(create(dir, NULL));
	assert_ok(fm__log_dir_open(t_path(dir, "log"), FM_LOG_RW, &log, NULL));
	for (n = 1;; n += n < 6 || n > 250 ? 1 : 37) {
		fault_reset();
		fault_arm(n, EIO);
		r = fm__log_segment_prepare(&log, &geometry, 1, 1, &fd, &error);
		if (!fault_fired())
			break;
		if (r == 0)
			fail_msg("%s failed and nobody was told", fault_fired_call());
		fault_reset();
		assert_told(&error, r);
		assert_int_equal(t_file_size(t_path(dir, "log/0000000000000001.seg")), -1);
	}
	fault_reset();
	assert_ok(r);
	fm__sys_close(fd);
	fm__log_dir_close(&log);
	assert_int_equal(names_in(dir, "log"), 4);
}

/* ---- the reader ---- */

static int read_all(const char *path, int *ret_count, struct filemap_error *reterr)
{
	struct filemap_log_reader *reader;
	struct filemap_log_record record;
	int r = filemap_log_reader_open(path, NULL, &reader, NULL, reterr);

	*ret_count = 0;
	if (r < 0)
		return r;
	while ((r = filemap_log_reader_next(reader, &record)) == 1)
		++*ret_count;
	filemap_log_reader_close(reader);
	return r;
}

/* 3000 records of 1000 bytes; then the writer vanishes. */
static void make_log(const struct t_dir *dir)
{
	static const char bytes[1000];
	struct filemap_log *log;

	assert_ok(filemap_log_open(t_path(dir, "log"),
				   FILEMAP_LOG_OPTIONS(.flags = FILEMAP_LOG_CREATE, .segment_size = MIB),
				   &log, NULL, NULL));
	for (int i = 0; i < 3000; i++)
		assert_ok(filemap_log_append(log, bytes, sizeof bytes, NULL));
	assert_ok(filemap_log_sync(log, NULL));
	filemap_log_close(log);
}

static void reader_failing_at_any_call_says_so_and_leaks_nothing(void **state)
{
	const struct t_dir *dir = *state;
	char path[300];
	int n, r, count;

	snprintf(path, sizeof path, "%s", t_path(dir, "log"));
	make_log(dir);
	for (n = 1;; n++) {
		struct filemap_error error = {0};

		fault_reset();
		fault_arm(n, EIO);
		r = read_all(path, &count, &error);
		if (!fault_fired())
			break;
		if (r == 0) {
			assert_true(is_harmless(fault_fired_call()));
			assert_int_equal(count, 3000);
		}
		fault_reset();
		assert_true(r == 0 || r == -EIO || r == -ENOMEM);
		if (error.code != 0) /* the opening failed; a reader that is open has no record */
			assert_told(&error, r);
		t_census_same(dir);
	}
	fault_reset();
	assert_ok(r);
	assert_int_equal(count, 3000);
	assert_true(n > 20);
}

T_MAIN(T_TEST(create_failing_at_any_call_leaves_nothing),
       T_TEST(create_failing_in_an_empty_directory_leaves_it_empty), T_TEST(create_on_a_full_disk_is_enospc),
       T_TEST(segment_failing_at_any_call_leaves_no_segment),
       T_TEST(reader_failing_at_any_call_says_so_and_leaks_nothing))
