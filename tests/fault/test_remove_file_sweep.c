/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Removing by path with every system call failing in turn, the order of those calls, the process dying before
 * each of them, and what others do to the name between two of them.
 */
#include "t.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "fault.h"

#define MOST_CALLS 50

/* What is swept: the directory's mode decides how the file is hidden. */
struct way {
	unsigned mode;
	const char *name;
	bool expects;
};

static const struct t_dir *dir;
static char directory[300], path[600];
static struct filemap_error error;

static void begin(void **state, const struct way *way)
{
	dir = *state;
	snprintf(directory, sizeof directory, "%s/sub", dir->path);
	snprintf(path, sizeof path, "sub/%s", way->name);
	assert_ok(mkdir(directory, 0700));
	assert_ok(chmod(directory, way->mode));
}

static void make_file(void)
{
	const int fd = openat(dir->fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "hello", 5), 5);
	close(fd);
}

static bool is_there(void)
{
	struct stat status;
	return fstatat(dir->fd, path, &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_size == 5;
}

static int count_names(void)
{
	DIR *stream = opendir(directory);
	int count = -2;

	assert_non_null(stream);
	while (readdir(stream))
		count++;
	closedir(stream);
	return count;
}

static int recover(void)
{
	const int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const int r = filemap_recover_quarantine(fd, NULL);
	close(fd);
	return r;
}

static int rm(void)
{
	memset(&error, 0, sizeof error);
	return filemap_remove_file(dir->fd, path, NULL, &error);
}

/* The file is under its name; or gone, and only that it stays so failed. Beside it an empty directory at most. */
static void check_failure(int r)
{
	const bool is_gone =
		strcmp(error.step, "sync parent directory") == 0 || strcmp(error.step, "count links") == 0;

	assert_int_equal(r, is_gone ? FILEMAP_EUNSYNCED : -EIO);
	assert_int_equal(error.sys_errno, EIO);
	assert_non_null(error.subject);
	assert_int_equal(strncmp(error.detail, path, sizeof error.detail - 1), 0);
	assert_int_equal(is_there(), !is_gone);
}

static int run_with_fault(const struct way *way, int n)
{
	struct filemap_identity identity;

	assert_ok(filemap_file_identity(dir->fd, path, &identity, NULL));
	memset(&error, 0, sizeof error);
	fault_reset();
	fault_arm(n, EIO);
	return filemap_remove_file(dir->fd, path, way->expects ? &identity : NULL, &error);
}

/* Returns how many calls made it fail. */
static int sweep(void **state, const struct way *way)
{
	int failed = 0;

	begin(state, way);
	for (int n = 1; n < MOST_CALLS; n++) {
		if (!is_there())
			make_file();
		const int r = run_with_fault(way, n);
		const bool fired = fault_fired();
		fault_reset();
		t_census_same(dir);
		if (r < 0)
			check_failure(r);
		else
			assert_false(is_there());
		failed += r < 0;
		assert_int_equal(recover(), 0);
		assert_int_equal(count_names(), is_there() ? 1 : 0);
		if (!fired)
			return failed;
	}
	fail_msg("the sweep did not end");
	return failed;
}

static const struct way simple = {0700, "file", false}, expecting = {0700, "file", true},
			shared = {0777, "file", false};

static void every_failing_call_leaves_the_file_or_none(void **state)
{
	assert_int_equal(sweep(state, &simple), 12);
}

static void every_failing_call_with_an_identity_leaves_the_file_or_none(void **state)
{
	assert_int_equal(sweep(state, &expecting), 14); /* statx, file_handle */
}

static void every_failing_call_through_a_directory_leaves_the_file_or_none(void **state)
{
	assert_int_equal(sweep(state, &shared), 15); /* mkdirat, openat, fstat; removing it may fail */
}

static void long_name_goes_through_a_directory(void **state)
{
	char name[256] = "";
	const struct way way = {0700, memset(name, 'n', 255), false};
	assert_int_equal(sweep(state, &way), 16);
}

/* Nobody could keep it, or there is none. */
static void file_without_a_handle_has_an_identity(void **state)
{
	static const int errors[] = {EOPNOTSUPP, EOVERFLOW};
	struct filemap_identity identity;

	begin(state, &simple);
	make_file();
	for (size_t i = 0; i < 2; i++) {
		fault_reset();
		fault_arm_call("file_handle", 1, errors[i]);
		assert_ok(filemap_file_identity(dir->fd, path, &identity, NULL));
		assert_true(fault_fired());
		assert_int_equal(identity.handle_length, 0);
	}
	fault_reset();
}

static void memory_that_is_short_leaves_the_file(void **state)
{
	begin(state, &simple);
	make_file();
	fault_reset();
	fault_arm_call("strdup", 1, ENOMEM);
	assert_int_equal(rm(), -ENOMEM);
	assert_string_equal(error.detail, path);
	fault_reset();
	assert_true(is_there());
}

/* Root is asked for less often. */
static const char *without_is_user(const char *trace)
{
	static char text[1000];

	text[0] = '\0';
	for (const char *at = trace; *at; at += strcspn(at, " ") + 1)
		if (strncmp(at, "is_user ", 8) != 0)
			strncat(text, at, strcspn(at, " ") + 1);
	return text;
}

static void trace(void **state, const struct way *way, const char *expected)
{
	struct filemap_identity identity;

	begin(state, way);
	make_file();
	assert_ok(filemap_file_identity(dir->fd, path, &identity, NULL));
	fault_reset();
	fault_trace_start();
	assert_ok(filemap_remove_file(dir->fd, path, way->expects ? &identity : NULL, NULL));
	assert_string_equal(without_is_user(fault_trace()), expected);
	fault_reset();
	assert_int_equal(count_names(), 0);
}

static void order_of_calls_is_the_documented_one(void **state)
{
	trace(state, &expecting,
	      "openat openat fstat statx file_handle " /* the directory, the file, its type, which it is */
	      "fstat fstatat fstat "                   /* the number, the name, whose directory */
	      "random move fstatat unlinkat "          /* hidden, compared, unlinked */
	      "fstat fsync close close ");             /* counted, made durable */
}

static void order_of_calls_through_a_directory_is_the_documented_one(void **state)
{
	trace(state, &shared,
	      "openat openat fstat fstat fstatat fstat "
	      "random mkdirat openat fstat move fstatat unlinkat unlinkat close "
	      "fstat fsync close close ");
}

static int dying_before;

static int die(void *context)
{
	fault_reset();
	fault_arm(dying_before, FAULT_KILL);
	(void)context;
	return rm() < 0;
}

/* Returns before how many calls it died. */
static int sweep_deaths(void **state, const struct way *way)
{
	begin(state, way);
	for (dying_before = 1; dying_before < MOST_CALLS; dying_before++) {
		if (!is_there())
			make_file();
		const int r = t_in_child(die, NULL);
		const bool was_there = is_there();
		const int given = recover();
		assert_true(given == 0 || (given == 1 && !was_there));
		assert_int_equal(count_names(), is_there() ? 1 : 0);
		if (r == 0)
			return dying_before - 1;
		assert_int_equal(r, -SIGKILL);
	}
	return -1;
}

static void death_before_every_call_leaves_what_can_be_recovered(void **state)
{
	assert_true(sweep_deaths(state, &simple) >= 12);
	assert_false(is_there());
}

static void death_before_every_call_through_a_directory_leaves_what_can_be_recovered(void **state)
{
	assert_true(sweep_deaths(state, &shared) >= 17);
	assert_false(is_there());
}

/* Names are bytes, also those that are too long to be written whole. */
static void death_leaves_files_of_the_longest_names_recoverable(void **state)
{
	static const char *const bytes = "n\x80\xFF";
	char name[256] = "";

	for (int i = 0; i < 3; i++) {
		const struct way way = {0700, memset(name, bytes[i], 255), false};
		assert_true(sweep_deaths(state, &way) >= 17);
		assert_ok(rmdir(directory));
	}
}

static int recoveries;

static void recover_meanwhile(void *context)
{
	(void)context;
	const int r = recover();
	assert_true(r >= 0);
	recoveries += r;
}

/* Somebody recovers before the nth call of one kind, for every n and kind that there is. */
static void recover_before(const char *call, bool must_matter)
{
	recoveries = 0;
	for (int n = 1; n < 12; n++) {
		make_file();
		fault_reset();
		fault_hook(call, n, recover_meanwhile, NULL);
		assert_ok(rm());
		fault_reset();
		assert_int_equal(count_names(), 0);
	}
	assert_true(recoveries > 0 || !must_matter);
}

static void recovery_between_two_calls_is_noticed(void **state)
{
	begin(state, &simple);
	recover_before("move", false);
	recover_before("fstatat", true);
	recover_before("unlinkat", true);
	recover_before("fstat", false);
	recover_before("fsync", false);
}

/* What is made and still empty is removed by it, too. */
static void recovery_between_two_calls_through_a_directory_is_noticed(void **state)
{
	begin(state, &shared);
	recover_before("openat", false);
	recover_before("move", false);
	recover_before("fstat", false);
	recover_before("fstatat", true);
	recover_before("unlinkat", true);
	recover_before("fsync", false);
}

static void replace_by_another(void *context)
{
	(void)context;
	assert_ok(unlinkat(dir->fd, path, 0));
	make_file();
}

static void remove_meanwhile(void *context)
{
	(void)context;
	assert_ok(unlinkat(dir->fd, path, 0));
}

static int rm_with_hook(const char *call, int nth, void (*hook)(void *))
{
	fault_reset();
	fault_hook(call, nth, hook, NULL);
	const int r = rm();
	fault_reset();
	return r;
}

static void file_that_comes_between_is_left_or_moved_back(void **state)
{
	begin(state, &simple);
	make_file();
	assert_int_equal(rm_with_hook("fstatat", 1, replace_by_another), FILEMAP_EREPLACED);
	assert_true(is_there());
	assert_int_equal(rm_with_hook("move", 1, replace_by_another), FILEMAP_EREPLACED);
	assert_true(is_there());
	assert_string_equal(error.detail, path);
	assert_int_equal(count_names(), 1);
	assert_ok(rm());
}

static void file_that_goes_meanwhile_is_egone(void **state)
{
	begin(state, &simple);
	make_file();
	assert_int_equal(rm_with_hook("fstatat", 1, remove_meanwhile), FILEMAP_EGONE);
	make_file();
	assert_int_equal(rm_with_hook("move", 1, remove_meanwhile), FILEMAP_EGONE);
	make_file();
	assert_int_equal(rm_with_hook("openat", 2, remove_meanwhile), -ENOENT);
	assert_int_equal(count_names(), 0);
}

static void move_the_directory(void *context)
{
	char moved[400];

	(void)context;
	snprintf(moved, sizeof moved, "%s/moved", dir->path);
	assert_ok(rename(directory, moved));
	assert_ok(mkdir(directory, 0700));
	make_file();
}

static void directory_that_is_moved_meanwhile_is_still_the_one(void **state)
{
	begin(state, &simple);
	make_file();
	assert_ok(rm_with_hook("openat", 2, move_the_directory));
	assert_true(is_there());
	assert_ok(rmdir(t_path(dir, "moved")));
}

static void take_the_name(void *context)
{
	(void)context;
	make_file();
}

/* Neither unlinked nor moved back: the hidden name is told, and what is under it can be recovered. */
static void file_that_must_stay_hidden_is_named(void **state)
{
	char hidden[300];

	begin(state, &simple);
	make_file();
	fault_reset();
	fault_arm_call("unlinkat", 1, EIO);
	fault_arm_also("move", 2, EIO);
	assert_int_equal(rm(), -EIO);
	fault_reset();
	assert_false(is_there());
	assert_int_equal(strncmp(error.detail, ".file.", 6), 0);
	snprintf(hidden, sizeof hidden, "sub/%s", error.detail);
	assert_ok(faccessat(dir->fd, hidden, F_OK, 0));
	assert_int_equal(recover(), 1);
	assert_true(is_there());
}

static void name_that_is_taken_meanwhile_is_kept(void **state)
{
	begin(state, &simple);
	make_file();
	fault_reset();
	fault_arm_call("unlinkat", 1, EIO);
	fault_hook("unlinkat", 1, take_the_name, NULL);
	assert_int_equal(rm(), -EIO);
	fault_reset();
	assert_int_equal(strncmp(error.detail, ".file.", 6), 0);
	assert_true(is_there());
	assert_int_equal(count_names(), 2);
	assert_int_equal(recover(), -EEXIST);
	assert_ok(unlinkat(dir->fd, path, 0));
	assert_int_equal(recover(), 1);
}

T_MAIN(T_TEST(every_failing_call_leaves_the_file_or_none),
       T_TEST(every_failing_call_with_an_identity_leaves_the_file_or_none),
       T_TEST(every_failing_call_through_a_directory_leaves_the_file_or_none),
       T_TEST(long_name_goes_through_a_directory), T_TEST(memory_that_is_short_leaves_the_file),
       T_TEST(file_without_a_handle_has_an_identity), T_TEST(order_of_calls_is_the_documented_one),
       T_TEST(order_of_calls_through_a_directory_is_the_documented_one),
       T_TEST(death_before_every_call_leaves_what_can_be_recovered),
       T_TEST(death_before_every_call_through_a_directory_leaves_what_can_be_recovered),
       T_TEST(death_leaves_files_of_the_longest_names_recoverable),
       T_TEST(recovery_between_two_calls_is_noticed),
       T_TEST(recovery_between_two_calls_through_a_directory_is_noticed),
       T_TEST(file_that_comes_between_is_left_or_moved_back), T_TEST(file_that_goes_meanwhile_is_egone),
       T_TEST(directory_that_is_moved_meanwhile_is_still_the_one),
       T_TEST(file_that_must_stay_hidden_is_named), T_TEST(name_that_is_taken_meanwhile_is_kept))
