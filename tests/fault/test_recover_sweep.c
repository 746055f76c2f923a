/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Recovery with every system call failing in turn, the order of those calls, the process dying before each of
 * them, and what others do between two of them. Whatever happens: each file is there, once, with its content.
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

#define DEL ".0123456789abcdef.del"
#define DELD ".0123456789abcdef.deld"

static const struct t_dir *dir;
static int sub_fd;
static struct t_census before;
static struct filemap_error error;

static void make(const char *name)
{
	const int fd = openat(sub_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, name, strlen(name)), strlen(name));
	close(fd);
}

/* A hidden name, a hidden directory, an empty one, one that is taken, and a second name of a file. */
static void make_all(bool with_conflict)
{
	make(".a" DEL);
	assert_ok(mkdirat(sub_fd, ".bb" DELD, 0700));
	make(".bb" DELD "/bb");
	assert_ok(mkdirat(sub_fd, ".ccc" DELD, 0700));
	make("dddd");
	assert_ok(linkat(sub_fd, "dddd", sub_fd, ".dddd" DEL, 0));
	if (!with_conflict)
		return;
	make("eeeee");
	make(".eeeee" DEL);
}

static void begin(void **state)
{
	dir = *state;
	assert_ok(mkdir(t_path(dir, "sub"), 0700));
	sub_fd = open(t_path(dir, "sub"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	before = t_census_take(dir->path);
}

static void clean(void)
{
	static const char *const files[] = {"a", ".a" DEL, "bb", ".bb" DELD "/bb", "dddd", ".dddd" DEL};

	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		unlinkat(sub_fd, files[i], 0);
	unlinkat(sub_fd, ".bb" DELD, AT_REMOVEDIR);
	unlinkat(sub_fd, ".ccc" DELD, AT_REMOVEDIR);
}

static void end(void)
{
	close(sub_fd);
}

static bool is_file(const char *name)
{
	struct stat status;
	return fstatat(sub_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode);
}

static bool holds(const char *name, const char *content)
{
	char bytes[64] = "";
	const int fd = openat(sub_fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	const bool same = read(fd, bytes, sizeof bytes) == (ssize_t)strlen(content) &&
			  memcmp(bytes, content, strlen(content)) == 0;
	close(fd);
	return same;
}

/* Hidden or not; by linking, and with a crash or a failure in between, it can be both. */
static void assert_none_is_lost(bool with_conflict, bool by_linking)
{
	assert_true(is_file("a") + is_file(".a" DEL) == 1 || by_linking);
	assert_true(is_file("bb") + is_file(".bb" DELD "/bb") == 1 || by_linking);
	assert_true(holds("a", ".a" DEL) || holds(".a" DEL, ".a" DEL));
	assert_true(holds("bb", ".bb" DELD "/bb") || holds(".bb" DELD "/bb", ".bb" DELD "/bb"));
	assert_true(holds("dddd", "dddd"));
	assert_true(!with_conflict || (holds("eeeee", "eeeee") && holds(".eeeee" DEL, ".eeeee" DEL)));
}

static int count_names(void)
{
	DIR *stream = opendir(t_path(dir, "sub"));
	int count = -2;

	assert_non_null(stream);
	while (readdir(stream))
		count++;
	closedir(stream);
	return count;
}

static int recover(void)
{
	memset(&error, 0, sizeof error);
	return filemap_recover_quarantine(sub_fd, &error);
}

static void assert_all_is_recovered(void)
{
	assert_true(holds("a", ".a" DEL) && holds("bb", ".bb" DELD "/bb") && holds("dddd", "dddd"));
	assert_int_equal(count_names(), 3);
}

static void check_failure(int r, bool by_linking)
{
	static const char *const steps[] = {
		"open directory",        "list directory",          "give name back", "open hidden directory",
		"list hidden directory", "remove hidden directory", "sync directory"};
	bool known = false;

	assert_true(r == (strcmp(error.step, "sync directory") == 0 ? FILEMAP_EUNSYNCED : -EIO) ||
		    r == -EEXIST);
	assert_int_equal(error.code, r);
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
		known = known || strcmp(error.step, steps[i]) == 0;
	assert_true(known);
	if (strstr(error.subject, "hidden"))
		assert_int_equal(error.detail[0], '.');
	assert_none_is_lost(false, by_linking);
}

static void start_faults(bool by_linking)
{
	fault_reset();
	if (by_linking)
		fault_arm_call_persistent("move", 1, EINVAL);
}

static int count_calls(bool by_linking)
{
	int count = 0;

	make_all(false);
	start_faults(by_linking);
	fault_trace_start();
	assert_int_equal(recover(), 3);
	for (const char *at = fault_trace(); *at; at++)
		count += *at == ' ';
	fault_reset();
	assert_all_is_recovered();
	clean();
	return count;
}

/* A second recovery finishes what the first could not. Returns how many calls made it fail. */
static int sweep(bool by_linking)
{
	const int count = count_calls(by_linking);
	int failed = 0;

	for (int n = 1; n <= count; n++) {
		make_all(false);
		start_faults(by_linking);
		fault_arm_also("", n, EIO);
		const int r = recover();
		/* what cannot say whose a directory is has said that it is somebody else's */
		const bool is_doubted = strcmp(fault_fired_call(), "is_user") == 0;
		fault_reset();
		assert_int_equal(t_census_take(dir->path).descriptors, before.descriptors);
		failed += r < 0;
		if (r < 0)
			check_failure(r, by_linking);
		else
			assert_true(r == 3 || is_doubted || (by_linking && r == 2));
		assert_true(recover() >= 0);
		assert_all_is_recovered();
		clean();
	}
	return failed;
}

static void every_failing_call_loses_nothing_and_is_made_up_for(void **state)
{
	begin(state);
	/* Opening, listing (which opens), 3 moves, 2 looks at a second name, syncing, its unlinking; each of 2
	 * directories: opened, asked, listed, removed; syncing. */
	assert_int_equal(sweep(false), 3 + 3 + 4 + 2 * 5 + 1);
	end();
}

/* Without moves, 3 are linked, and 2 of those unlinked, each behind a sync. */
static void every_failing_call_of_linking_loses_nothing_and_is_made_up_for(void **state)
{
	begin(state);
	assert_int_equal(sweep(true), 3 + 3 + 4 + 2 * 2 + 3 + 2 * 5 + 1);
	end();
}

static void memory_that_is_short_changes_nothing(void **state)
{
	begin(state);
	make_all(false);
	fault_reset();
	fault_arm_call("zalloc", 1, ENOMEM);
	assert_int_equal(recover(), -ENOMEM);
	fault_reset();
	assert_true(is_file(".a" DEL));
	end();
}

/* The first failure is what is told, the rest goes on. */
static void failures_hold_nothing_else_up(void **state)
{
	begin(state);
	make_all(true);
	fault_reset();
	fault_arm_call("fstat", 2, EIO); /* of the second directory */
	assert_int_equal(recover(), -EIO);
	fault_reset();
	assert_string_equal(error.step, "list hidden directory");
	assert_string_equal(error.detail, ".ccc" DELD);
	assert_true(is_file("a") && is_file("bb") && !is_file(".dddd" DEL) && is_file(".eeeee" DEL));
	assert_int_equal(recover(), -EEXIST);
	assert_string_equal(error.detail, ".eeeee" DEL);
	assert_none_is_lost(true, false);
	end();
}

/* That all others are durable would be untrue. */
static void failed_sync_is_told_before_all_else(void **state)
{
	begin(state);
	make_all(true);
	fault_reset();
	fault_arm_call("fsync", 2, EIO); /* the first is for one that was linked back */
	assert_int_equal(recover(), FILEMAP_EUNSYNCED);
	fault_reset();
	assert_int_equal(error.sys_errno, EIO);
	assert_string_equal(error.step, "sync directory");
	assert_none_is_lost(true, false);
	end();
}

static void assert_trace(int expected, const char *calls)
{
	fault_reset();
	fault_trace_start();
	assert_int_equal(recover(), expected);
	assert_string_equal(fault_trace(), calls);
	fault_reset();
}

static void order_of_calls_is_the_documented_one(void **state)
{
	begin(state);
	assert_trace(0, "openat list_dir openat close ");
	make_all(false);
	assert_trace(3, "openat list_dir openat "
			"move "                                                     /* a */
			"openat fstat is_user list_dir openat move unlinkat close " /* bb */
			"openat fstat is_user list_dir openat unlinkat close "      /* ccc */
			"move fstatat fstatat fsync unlinkat "                      /* dddd */
			"fsync close ");
	end();
}

static int dying_before;

static int die(void *by_linking)
{
	start_faults(by_linking != NULL);
	fault_arm_also("", dying_before, FAULT_KILL);
	return recover() < 0;
}

static void sweep_deaths(void *by_linking)
{
	int r;

	dying_before = 0;
	do {
		dying_before++;
		make_all(false);
		r = t_in_child(die, by_linking);
		assert_none_is_lost(false, by_linking != NULL);
		assert_true(recover() >= 0);
		assert_all_is_recovered();
		clean();
	} while (r == -SIGKILL);
	assert_int_equal(r, 0);
	assert_true(dying_before > 17);
}

static void death_before_every_call_is_made_up_for(void **state)
{
	begin(state);
	sweep_deaths(NULL);
	end();
}

static void death_before_every_call_of_linking_is_made_up_for(void **state)
{
	begin(state);
	sweep_deaths(&dying_before);
	end();
}

static void unlink_hidden(void *context)
{
	assert_ok(unlinkat(sub_fd, context, 0));
}

static int recover_with_hook(const char *call, int nth, void (*hook)(void *), void *context)
{
	fault_reset();
	fault_hook(call, nth, hook, context);
	const int r = recover();
	fault_reset();
	return r;
}

static char hidden_a[] = ".a" DEL, hidden_bb[] = ".bb" DELD "/bb", name_a[] = "a",
	    more_bb[] = ".bb" DELD "/more", directory_ccc[] = ".ccc" DELD;

/* By the removal that had hidden it. */
static void file_that_goes_meanwhile_is_no_failure(void **state)
{
	begin(state);
	make_all(false);
	assert_int_equal(recover_with_hook("move", 1, unlink_hidden, hidden_a), 2);
	assert_int_equal(count_names(), 2);
	clean();
	make_all(false);
	assert_int_equal(recover_with_hook("move", 2, unlink_hidden, hidden_bb), 2);
	assert_int_equal(count_names(), 2);
	end();
}

/* It has its name by the link already, and counts. */
static void hidden_name_that_goes_after_the_link_is_no_failure(void **state)
{
	begin(state);
	make(hidden_a);
	fault_reset();
	fault_arm_call("move", 1, EINVAL);
	fault_hook("unlinkat", 1, unlink_hidden, hidden_a);
	assert_int_equal(recover(), 1);
	assert_int_equal(count_names(), 1);
	end();
}

static void make_again(void *context)
{
	make(context);
}

static void name_that_comes_meanwhile_is_not_replaced(void **state)
{
	begin(state);
	make(hidden_a);
	assert_int_equal(recover_with_hook("move", 1, make_again, name_a), -EEXIST);
	assert_true(holds("a", "a") && holds(hidden_a, hidden_a));
	end();
}

/* As a removal does that has just made the directory. */
static void directory_that_is_filled_meanwhile_is_left(void **state)
{
	begin(state);
	make_all(false);
	assert_int_equal(recover_with_hook("unlinkat", 1, make_again, more_bb), 3);
	assert_true(is_file(more_bb));
	end();
}

/* Systems differ in how they say that it is none, or not empty. */
static void directory_that_is_none_or_not_empty_is_no_failure(void **state)
{
	static const struct {
		const char *call;
		int nth, error;
	} cases[] = {{"openat", 3, ENOTDIR},
		     {"openat", 3, ELOOP},
		     {"unlinkat", 1, ENOTEMPTY},
		     {"unlinkat", 1, EEXIST}};

	begin(state);
	assert_ok(mkdirat(sub_fd, directory_ccc, 0700));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		fault_reset();
		fault_arm_call(cases[i].call, cases[i].nth, cases[i].error);
		assert_int_equal(recover(), 0);
		assert_true(fault_fired());
		assert_int_equal(count_names(), 1);
	}
	fault_reset();
	assert_int_equal(recover(), 0);
	end();
}

static void remove_directory(void *context)
{
	assert_ok(unlinkat(sub_fd, context, AT_REMOVEDIR));
}

static void directory_that_goes_meanwhile_is_no_failure(void **state)
{
	begin(state);
	for (int n = 1; n <= 2; n++) {
		assert_ok(mkdirat(sub_fd, directory_ccc, 0700));
		assert_int_equal(
			recover_with_hook(n == 1 ? "fstat" : "unlinkat", 1, remove_directory, directory_ccc),
			0);
		assert_int_equal(count_names(), 0);
	}
	assert_ok(mkdirat(sub_fd, directory_ccc, 0700));
	assert_int_equal(recover_with_hook("openat", 3, remove_directory, directory_ccc), 0);
	end();
}

T_MAIN(T_TEST(every_failing_call_loses_nothing_and_is_made_up_for),
       T_TEST(every_failing_call_of_linking_loses_nothing_and_is_made_up_for),
       T_TEST(memory_that_is_short_changes_nothing), T_TEST(failures_hold_nothing_else_up),
       T_TEST(failed_sync_is_told_before_all_else), T_TEST(order_of_calls_is_the_documented_one),
       T_TEST(death_before_every_call_is_made_up_for),
       T_TEST(death_before_every_call_of_linking_is_made_up_for),
       T_TEST(file_that_goes_meanwhile_is_no_failure), T_TEST(name_that_comes_meanwhile_is_not_replaced),
       T_TEST(directory_that_is_filled_meanwhile_is_left),
       T_TEST(hidden_name_that_goes_after_the_link_is_no_failure),
       T_TEST(directory_that_is_none_or_not_empty_is_no_failure),
       T_TEST(directory_that_goes_meanwhile_is_no_failure))
