/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Replacing with every system call failing in turn, then any two of them, then the process killed at each, on
 * every way to a new file. The name means the old or the new file, complete, and nothing else stays unnoticed.
 */
#include "new_file.h"

#define MODE 0640
#define KEEP_BOTH (FILEMAP_KEEP_MODE | FILEMAP_KEEP_OWNER)

struct setup {
	enum way way;
	bool none; /* the name does not exist */
	bool expecting;
	bool weak; /* a file system that cannot exchange */
	unsigned keep;
};

static const struct setup *now; /* what is tried */
static struct filemap_identity identity;

static void prepare(const struct setup *setup)
{
	now = setup;
	remove_all();
	if (!setup->none) {
		t_write_file(path, OLD, sizeof OLD - 1);
		assert_ok(chmod(path, MODE));
		assert_ok(filemap_file_identity(AT_FDCWD, path, &identity, NULL));
	}
	memset(&error, 0, sizeof error);
	fault_reset();
	if (setup->way == HIDDEN)
		fault_arm_also("openat", 3, EOPNOTSUPP);
	if (setup->way == COPIED)
		fault_arm_also("link_fd", 1, ENOENT);
	if (setup->weak)
		fault_arm_also("move", 1, EINVAL);
	arm_nth();
}

static int replace(void)
{
	return filemap_replace_file(
		AT_FDCWD, path, filemap_fill_bytes, new_text(),
		FILEMAP_NEW_OPTIONS(.flags = now->keep, .expect = now->expecting ? &identity : NULL), &error);
}

/* How many calls there are if nothing fails. */
static int count_calls(const struct setup *setup)
{
	int count = 0;

	nth = nth_more = 0;
	prepare(setup);
	fault_trace_start();
	assert_int_equal(replace(), setup->weak ? FILEMAP_WEAKLY_CHECKED : 0);
	for (const char *at = fault_trace(); *at; at++)
		count += *at == ' ';
	fault_reset();
	return count;
}

static bool is_unchanged(void)
{
	return now->none ? access(path, F_OK) < 0 : holds(path, OLD);
}

static void check_success(void)
{
	struct stat status;
	assert_true(holds(path, NEW));
	assert_int_equal(find_hidden(), 0);
	assert_ok(stat(path, &status));
	if (now->keep & FILEMAP_KEEP_MODE)
		assert_int_equal(status.st_mode & 07777, MODE);
}

static bool failed_at_last(void)
{
	return strcmp(error.step, "sync parent directory") == 0;
}

static void check_failure(int r)
{
	assert_int_equal(r, failed_at_last() ? FILEMAP_EUNSYNCED : -EIO);
	assert_int_equal(error.code, r);
	assert_int_equal(error.sys_errno, EIO);
	assert_non_null(error.subject);
	assert_string_equal(error.detail, path);
	assert_int_equal(find_hidden(), 0);
	if (failed_at_last()) {
		assert_non_null(error.hint);
		assert_true(holds(path, NEW));
	} else {
		assert_true(is_unchanged());
	}
}

/* Returns how many calls made it fail. */
static int sweep(const struct t_dir *dir, const struct setup *setup)
{
	const int calls = count_calls(setup);
	int failed = 0;

	for (nth = 1; nth <= calls; nth++) {
		prepare(setup);
		const struct t_census before = t_census_take(dir_path);
		const int r = replace();
		fault_reset();
		assert_int_equal(before.descriptors, t_census_take(dir_path).descriptors);
		if (r >= 0)
			check_success();
		else
			check_failure(r);
		failed += r < 0;
	}
	nth = 0;
	t_census_same(dir);
	return failed;
}

static void old_file_stays_at_every_call(void **state)
{
	use_dir(*state);
	/* openat openat fstat fstat, openat pwrite, random link_fd, fsync, rename, fsync */
	assert_int_equal(sweep(*state, &(struct setup){.way = UNNAMED}), 11);
	/* openat openat fstat fstat, openat(met) random openat pwrite fsync, rename, fsync */
	assert_int_equal(sweep(*state, &(struct setup){.way = HIDDEN}), 11);
	/* openat openat fstat fstat, openat pwrite, random (link_fd) fstat random openat copy_range
	 * set_mode fsync, rename, fsync */
	assert_int_equal(sweep(*state, &(struct setup){.way = COPIED}), 16);
}

static void name_that_did_not_exist_still_does_not_at_every_call(void **state)
{
	use_dir(*state);
	for (enum way way = UNNAMED; way < WAYS; way++)
		assert_true(sweep(*state, &(struct setup){.way = way, .none = true}) >= 9);
}

static void expected_file_stays_at_every_call(void **state)
{
	use_dir(*state);
	/* and statx file_handle of the old one; fsync before link_fd; fstat fstatat move fstatat unlinkat in place of
	 * rename */
	assert_int_equal(sweep(*state, &(struct setup){.way = UNNAMED, .expecting = true}), 18);
	for (enum way way = HIDDEN; way < WAYS; way++)
		assert_true(sweep(*state, &(struct setup){.way = way, .expecting = true}) >= 16);
}

static void file_that_cannot_be_exchanged_stays_at_every_call(void **state)
{
	use_dir(*state);
	for (enum way way = UNNAMED; way < WAYS; way++)
		assert_true(sweep(*state, &(struct setup){.way = way, .expecting = true, .weak = true}) >=
			    14);
}

static void what_is_kept_is_kept_or_the_old_file_stays_at_every_call(void **state)
{
	static const unsigned keeps[] = {FILEMAP_KEEP_MODE, FILEMAP_KEEP_OWNER, KEEP_BOTH};
	use_dir(*state);
	for (size_t i = 0; i < 3; i++)
		for (enum way way = UNNAMED; way < WAYS; way++)
			assert_true(sweep(*state, &(struct setup){.way = way, .keep = keeps[i]}) >= 12);
}

static const char *hidden_name(void)
{
	return strrchr(hidden, '/') + 1;
}

/* Whatever fails after the first failure: the old bytes are under the name, or where `detail` says. */
static void check_after_two(int r)
{
	const int count = find_hidden();

	if (r >= 0 || failed_at_last()) {
		check_success();
		return;
	}
	assert_true(count <= 1);
	if (is_unchanged()) {
		assert_true(count == 0 || !holds(hidden, OLD)); /* which is ours, and could not be removed */
		return;
	}
	assert_true(holds(path, NEW));
	assert_int_equal(count, 1);
	assert_true(holds(hidden, OLD));
	assert_string_equal(error.detail, hidden_name());
	assert_non_null(error.hint);
}

static void sweep_two(const struct t_dir *dir, const struct setup *setup)
{
	const int calls = count_calls(setup);

	for (int first = 1; first <= calls; first++) {
		for (int more = 1; more <= 6; more++) {
			nth = first;
			nth_more = more;
			prepare(setup);
			const int r = replace();
			fault_reset();
			check_after_two(r);
		}
	}
	nth = nth_more = 0;
	t_census_same(dir);
}

static void two_failures_lose_nothing(void **state)
{
	use_dir(*state);
	sweep_two(*state, &(struct setup){.way = UNNAMED, .expecting = true});
	sweep_two(*state, &(struct setup){.way = HIDDEN, .keep = FILEMAP_KEEP_OWNER});
}

/* ---- the process is killed ---- */

static bool ends_in(const char *name, const char *suffix)
{
	const size_t length = strlen(name), tail = strlen(suffix);
	return length > tail && strcmp(name + length - tail, suffix) == 0;
}

static void check_after_kill(void)
{
	const int count = find_hidden();

	assert_true(holds(path, NEW) || is_unchanged());
	assert_true(count <= 1);
	if (count == 0 || ends_in(hidden, ".tmp"))
		return;
	assert_true(now->expecting && ends_in(hidden, ".del"));
	assert_true(holds(path, NEW) ? holds(hidden, OLD) : holds(hidden, NEW));
}

static int kill_at;

static int replace_and_die(void *context)
{
	prepare(context);
	fault_arm_also("", kill_at, FAULT_KILL);
	return replace() < 0;
}

static void kill_at_each(const struct setup *setup)
{
	const int calls = count_calls(setup);

	for (kill_at = 1; kill_at <= calls; kill_at++) {
		struct setup own = *setup;
		const int r = t_in_child(replace_and_die, &own);
		assert_true(r == 0 || r == -9);
		check_after_kill();
	}
}

static void killed_process_leaves_one_complete_file_under_the_name(void **state)
{
	use_dir(*state);
	for (enum way way = UNNAMED; way < WAYS; way++) {
		kill_at_each(&(struct setup){.way = way});
		kill_at_each(&(struct setup){.way = way, .expecting = true});
	}
}

T_MAIN(T_TEST(old_file_stays_at_every_call), T_TEST(name_that_did_not_exist_still_does_not_at_every_call),
       T_TEST(expected_file_stays_at_every_call), T_TEST(file_that_cannot_be_exchanged_stays_at_every_call),
       T_TEST(what_is_kept_is_kept_or_the_old_file_stays_at_every_call), T_TEST(two_failures_lose_nothing),
       T_TEST(killed_process_leaves_one_complete_file_under_the_name))
