/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What others may do to the name, and to hidden ones, between two steps of a replacement: no file of theirs is
 * ever lost, and what cannot have its name again is told.
 */
#include "new_file.h"

static struct filemap_identity identity;
static int moves; /* calls of the last replacement */

static void start(void **state)
{
	use_dir(*state);
	remove_all();
	t_write_file(path, OLD, sizeof OLD - 1);
	assert_ok(filemap_file_identity(AT_FDCWD, path, &identity, NULL));
	memset(&error, 0, sizeof error);
	fault_reset();
}

static int replace(bool expecting)
{
	const int r =
		filemap_replace_file(AT_FDCWD, path, filemap_fill_bytes, new_text(),
				     FILEMAP_NEW_OPTIONS(.expect = expecting ? &identity : NULL), &error);
	moves = fault_count("move");
	fault_reset();
	return r;
}

/* As others do it: complete, and in one step. */
static void put(const char *content)
{
	char other[300];
	snprintf(other, sizeof other, "%.250s/other", dir_path);
	t_write_file(other, content, strlen(content));
	assert_ok(rename(other, path));
}

static void put_foreign(void *unused)
{
	(void)unused;
	put(FOREIGN);
}

static void put_third(void *unused)
{
	(void)unused;
	put(THIRD);
}

static void remove_name(void *unused)
{
	(void)unused;
	assert_ok(unlink(path));
}

static void expect_foreign_back(void)
{
	assert_int_equal(replace(true), FILEMAP_EREPLACED);
	assert_true(holds(path, FOREIGN));
	assert_int_equal(find_hidden(), 0);
	assert_string_equal(error.detail, path);
}

static void file_that_came_before_the_comparison_is_not_touched(void **state)
{
	start(state);
	fault_hook("fstatat", 1, put_foreign, NULL);
	expect_foreign_back();
	assert_int_equal(moves, 0);
}

static void file_that_came_before_the_exchange_is_moved_back(void **state)
{
	start(state);
	fault_hook("move", 1, put_foreign, NULL);
	expect_foreign_back();
	assert_int_equal(moves, 2);
}

/* It was the newest, and is told where it is. */
static void expect_hidden(const char *under_name, const char *content)
{
	assert_int_equal(replace(true), FILEMAP_EREPLACED);
	assert_true(holds(path, under_name));
	assert_int_equal(find_hidden(), 1);
	assert_true(holds(hidden, content));
	assert_string_equal(error.detail, strrchr(hidden, '/') + 1);
	assert_non_null(error.hint);
	assert_memory_equal(error.detail, ".file.", 6);
	assert_string_equal(error.detail + strlen(error.detail) - 4, ".del");
}

static void then_third(void *unused)
{
	put_foreign(unused);
	fault_hook("move", 1, put_third, NULL);
}

static void third_file_that_comes_between_stays_hidden_and_is_told(void **state)
{
	start(state);
	fault_hook("move", 1, then_third, NULL);
	expect_hidden(FOREIGN, THIRD);
}

static void then_remove(void *unused)
{
	put_foreign(unused);
	fault_hook("move", 1, remove_name, NULL);
}

static void foreign_file_is_moved_back_to_a_name_that_went(void **state)
{
	start(state);
	fault_hook("move", 1, then_remove, NULL);
	expect_foreign_back();
}

/* Another process recovers, when the name is free for a moment. */
static void recover(void *unused)
{
	remove_name(unused);
	assert_int_equal(find_hidden(), 1);
	assert_ok(rename(hidden, path));
}

static void then_recover(void *unused)
{
	put_foreign(unused);
	fault_hook("move", 1, recover, NULL);
}

static void foreign_file_that_was_recovered_meanwhile_stays(void **state)
{
	start(state);
	fault_hook("move", 1, then_recover, NULL);
	expect_foreign_back();
}

static void remove_then_third(void *unused)
{
	remove_name(unused);
	fault_hook("move", 1, put_third, NULL);
}

static void then_remove_then_third(void *unused)
{
	put_foreign(unused);
	fault_hook("move", 1, remove_then_third, NULL);
}

static void name_that_went_and_came_again_changes_places_again(void **state)
{
	start(state);
	fault_hook("move", 1, then_remove_then_third, NULL);
	expect_hidden(FOREIGN, THIRD);
}

/* There whenever it is to be made, gone whenever it is to be exchanged. */
static void change_at_each_move(void *unused)
{
	if (unlink(path) < 0)
		put_third(NULL);
	fault_hook("move", 1, change_at_each_move, unused);
}

static void then_change(void *unused)
{
	put_foreign(unused);
	fault_hook("move", 1, change_at_each_move, NULL);
}

static void name_that_changes_again_and_again_leaves_the_foreign_file_hidden(void **state)
{
	start(state);
	fault_hook("move", 1, then_change, NULL);
	expect_hidden(THIRD, FOREIGN);
}

static void fail_move(void *unused)
{
	(void)unused;
	fault_arm_call("move", 1, EIO);
}

static void then_fail_move(void *unused)
{
	put_foreign(unused);
	fault_hook("move", 1, fail_move, NULL);
}

static void foreign_file_that_cannot_be_moved_back_stays_hidden_and_is_told(void **state)
{
	start(state);
	fault_hook("move", 1, then_fail_move, NULL);
	expect_hidden(NEW, FOREIGN);
}

static void fail_sync(void *unused)
{
	put_foreign(unused);
	fault_arm_call("fsync", 1, EIO);
}

static void new_file_stays_hidden_if_the_way_back_is_not_durable(void **state)
{
	start(state);
	fault_hook("move", 1, fail_sync, NULL);
	expect_hidden(FOREIGN, NEW);
}

/* ---- other kinds of things come onto the name ---- */

static void put_directory(void *unused)
{
	remove_name(unused);
	assert_ok(mkdir(path, 0711));
}

static void put_link(void *unused)
{
	remove_name(unused);
	assert_ok(symlink("nothing", path));
}

static void put_fifo(void *unused)
{
	remove_name(unused);
	assert_ok(mkfifo(path, 0600));
}

static void what_is_no_file_is_moved_back_as_well(void **state)
{
	void (*const puts[])(void *) = {put_directory, put_link, put_fifo};
	const mode_t types[] = {S_IFDIR, S_IFLNK, S_IFIFO};
	for (size_t i = 0; i < 3; i++) {
		struct stat status;
		start(state);
		fault_hook("move", 1, puts[i], NULL);
		assert_int_equal(replace(true), FILEMAP_EREPLACED);
		assert_ok(lstat(path, &status));
		assert_int_equal(status.st_mode & S_IFMT, types[i]);
		assert_int_equal(find_hidden(), 0);
	}
}

static void directory_that_came_is_not_renamed_over(void **state)
{
	start(state);
	fault_hook("rename", 1, put_directory, NULL);
	assert_int_equal(replace(false), -EISDIR);
	assert_int_equal(find_hidden(), 0);
}

/* ---- the name goes ---- */

static void name_that_went_before_the_exchange_is_egone(void **state)
{
	const char *const calls[] = {"fstatat", "move"};
	for (size_t i = 0; i < 2; i++) {
		start(state);
		fault_hook(calls[i], 1, remove_name, NULL);
		assert_int_equal(replace(true), FILEMAP_EGONE);
		assert_int_equal(access(path, F_OK), -1);
		assert_int_equal(find_hidden(), 0);
	}
}

static void name_that_went_is_made_if_nothing_is_expected(void **state)
{
	start(state);
	fault_hook("rename", 1, remove_name, NULL);
	assert_ok(replace(false));
	assert_true(holds(path, NEW));
	assert_int_equal(find_hidden(), 0);
}

/* ---- without exchange ---- */

static void put_foreign_without_exchange(void *unused)
{
	put_foreign(unused);
	fault_arm_call("move", 1, EINVAL);
}

static void weak_way_compares_once_more(void **state)
{
	start(state);
	fault_hook("move", 1, put_foreign_without_exchange, NULL);
	expect_foreign_back();
}

/* ---- hidden names ---- */

static void remove_hidden(void *unused)
{
	(void)unused;
	assert_int_equal(find_hidden(), 1);
	assert_ok(unlink(hidden));
}

static void old_file_that_others_removed_from_its_hidden_name_is_replaced(void **state)
{
	start(state);
	fault_hook("unlinkat", 1, remove_hidden, NULL);
	assert_ok(replace(true));
	assert_true(holds(path, NEW));
	assert_int_equal(find_hidden(), 0);
}

static void take_hidden_name(void *unused)
{
	remove_hidden(unused);
	t_write_file(hidden, FOREIGN, sizeof FOREIGN - 1);
	fault_arm_call(unused, 1, EIO);
}

static void hidden_name_that_means_another_file_is_not_removed(void **state)
{
	static char call[] = "rename", exchange[] = "move";
	start(state);
	fault_hook(call, 1, take_hidden_name, call);
	assert_int_equal(replace(false), -EIO);
	assert_int_equal(find_hidden(), 1);
	assert_true(holds(hidden, FOREIGN));
	start(state);
	fault_hook(exchange, 1, take_hidden_name, exchange);
	assert_int_equal(replace(true), -EIO);
	assert_int_equal(find_hidden(), 1);
	assert_true(holds(hidden, FOREIGN));
}

/* Our own, as it happens; but nobody could say so. */
static void new_file_that_came_back_and_cannot_be_identified_stays_hidden(void **state)
{
	start(state);
	fault_hook("move", 1, put_foreign, NULL);
	fault_arm_call("fstatat", 3, EIO);
	expect_hidden(FOREIGN, NEW);
}

static void look_at_hidden_mode(void *context)
{
	struct stat status;

	assert_int_equal(find_hidden(), 1);
	assert_ok(stat(hidden, &status));
	*(unsigned *)context = status.st_mode & 07777;
}

/* Until it is complete nobody else opens it, and then it is as the one that it is the copy of. */
static void file_that_is_copied_for_its_name_is_private_until_it_is_complete(void **state)
{
	struct stat status;
	unsigned mode = 0;

	start(state);
	assert_ok(chmod(path, 04755));
	fault_arm_call("link_fd", 1, EPERM);
	fault_hook("copy_range", 1, look_at_hidden_mode, &mode);
	const mode_t mask = umask(0);
	assert_ok(filemap_replace_file(AT_FDCWD, path, filemap_fill_bytes, new_text(),
				       FILEMAP_NEW_OPTIONS(.flags = FILEMAP_KEEP_MODE), &error));
	umask(mask);
	fault_reset();
	assert_int_equal(mode, 0600);
	assert_ok(stat(path, &status));
	assert_int_equal(status.st_mode & 07777, 04755);
}

static void hidden_file_for_another_owner_is_private_until_it_is_his(void **state)
{
	unsigned mode = 0;

	start(state);
	fault_arm_call("openat", 3, EOPNOTSUPP);
	fault_hook("set_owner", 1, look_at_hidden_mode, &mode);
	const mode_t mask = umask(0);
	assert_ok(filemap_replace_file(AT_FDCWD, path, filemap_fill_bytes, new_text(),
				       FILEMAP_NEW_OPTIONS(.flags = FILEMAP_KEEP_OWNER), &error));
	umask(mask);
	fault_reset();
	assert_int_equal(mode, 0600);
}

static void hidden_file_for_another_mode_is_private_until_it_has_it(void **state)
{
	unsigned mode = 0;

	start(state);
	fault_arm_call("openat", 3, EOPNOTSUPP);
	fault_hook("pwrite", 1, look_at_hidden_mode, &mode);
	const mode_t mask = umask(0);
	assert_ok(filemap_replace_file(AT_FDCWD, path, filemap_fill_bytes, new_text(),
				       FILEMAP_NEW_OPTIONS(.flags = FILEMAP_KEEP_MODE), &error));
	umask(mask);
	fault_reset();
	assert_int_equal(mode, 0600);
}

static void hidden_name_that_is_taken_is_chosen_anew_a_few_times(void **state)
{
	start(state);
	fault_arm_call("link_fd", 1, EEXIST);
	assert_ok(replace(true));
	start(state);
	fault_arm_call_persistent("link_fd", 1, EEXIST);
	assert_int_equal(replace(true), -EEXIST);
	assert_true(holds(path, OLD));
}

static void see_hidden(void *unused)
{
	(void)unused;
	assert_int_equal(find_hidden(), 1);
}

static void check_hidden(bool expecting, const char *call, const char *suffix)
{
	fault_hook(call, 1, see_hidden, NULL);
	assert_ok(replace(expecting));
	const char *name = strrchr(hidden, '/') + 1;
	assert_memory_equal(name, ".file.", 6);
	assert_int_equal(strspn(name + 6, "0123456789abcdef"), 16);
	assert_string_equal(name + 22, suffix);
}

static void file_that_may_be_needed_has_a_name_to_be_recovered_by(void **state)
{
	start(state);
	check_hidden(false, "rename", ".tmp");
	start(state);
	check_hidden(true, "move", ".del");
	start(state);
	fault_arm_call("openat", 3, EOPNOTSUPP);
	check_hidden(true, "move", ".del");
	start(state); /* while it is incomplete it is for nobody */
	fault_arm_call("openat", 3, EOPNOTSUPP);
	check_hidden(true, "pwrite", ".tmp");
	start(state); /* a file system with short names */
	fault_arm_call("link_fd", 1, ENAMETOOLONG);
	check_hidden(true, "move", ".tmp");
}

T_MAIN(T_TEST(file_that_came_before_the_comparison_is_not_touched),
       T_TEST(file_that_came_before_the_exchange_is_moved_back),
       T_TEST(third_file_that_comes_between_stays_hidden_and_is_told),
       T_TEST(foreign_file_is_moved_back_to_a_name_that_went),
       T_TEST(foreign_file_that_was_recovered_meanwhile_stays),
       T_TEST(name_that_went_and_came_again_changes_places_again),
       T_TEST(name_that_changes_again_and_again_leaves_the_foreign_file_hidden),
       T_TEST(foreign_file_that_cannot_be_moved_back_stays_hidden_and_is_told),
       T_TEST(new_file_stays_hidden_if_the_way_back_is_not_durable),
       T_TEST(what_is_no_file_is_moved_back_as_well), T_TEST(directory_that_came_is_not_renamed_over),
       T_TEST(name_that_went_before_the_exchange_is_egone),
       T_TEST(name_that_went_is_made_if_nothing_is_expected), T_TEST(weak_way_compares_once_more),
       T_TEST(old_file_that_others_removed_from_its_hidden_name_is_replaced),
       T_TEST(hidden_name_that_means_another_file_is_not_removed),
       T_TEST(new_file_that_came_back_and_cannot_be_identified_stays_hidden),
       T_TEST(file_that_is_copied_for_its_name_is_private_until_it_is_complete),
       T_TEST(hidden_file_for_another_owner_is_private_until_it_is_his),
       T_TEST(hidden_file_for_another_mode_is_private_until_it_has_it),
       T_TEST(hidden_name_that_is_taken_is_chosen_anew_a_few_times),
       T_TEST(file_that_may_be_needed_has_a_name_to_be_recovered_by))
