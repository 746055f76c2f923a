/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Copying with every system call failing in turn, on each of the ways to a new file: without a name, under a
 * hidden one, and from the one to the other. After a failure there is nothing, but for the last step.
 */
#include "t.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "fault.h"

#define MOST_CALLS 100
#define SIZE 100000
#define PART 60000

static unsigned char content[SIZE];
static char source_path[512], copy_path[512];
static struct filemap_error error;
static int nth; /* the call that fails now */

static struct filemap *open_source(const struct t_dir *dir, unsigned mode)
{
	struct filemap *map = NULL;

	snprintf(source_path, sizeof source_path, "%s", t_path(dir, "source"));
	snprintf(copy_path, sizeof copy_path, "%s", t_path(dir, "copy"));
	for (size_t i = 0; i < SIZE; i++)
		content[i] = (unsigned char)(i * 7 + i / 4096 + 1);
	t_write_file(source_path, content, SIZE);
	fault_reset();
	assert_ok(filemap_open(source_path, mode, NULL, &map, NULL));
	return map;
}

static struct filemap *open_memory(const struct t_dir *dir)
{
	struct filemap *map = NULL;

	filemap_close(open_source(dir, FILEMAP_READ));
	assert_ok(filemap_from_bytes(NULL, FILEMAP_READ, content, SIZE, &map, NULL));
	return map;
}

static int count_entries(const struct t_dir *dir)
{
	DIR *stream = opendir(dir->path);
	int count = -2; /* . and .. */

	assert_non_null(stream);
	while (readdir(stream) != NULL)
		count++;
	closedir(stream);
	return count;
}

static void assert_copy_is_complete(void)
{
	static unsigned char bytes[SIZE + 1];

	assert_int_equal(t_read_file(copy_path, bytes, sizeof bytes), SIZE);
	assert_memory_equal(bytes, content, SIZE);
}

static bool failed_at_last(void)
{
	return strcmp(error.step, "sync link count") == 0 || strcmp(error.step, "sync parent directory") == 0;
}

static void check_failure(const struct t_dir *dir, int r)
{
	assert_int_equal(r, failed_at_last() ? FILEMAP_EUNSYNCED : -EIO);
	assert_int_equal(error.code, r);
	assert_int_equal(error.sys_errno, EIO);
	assert_non_null(error.subject);
	assert_string_equal(error.detail, copy_path);
	if (!failed_at_last()) {
		assert_int_equal(count_entries(dir), 1);
		return;
	}
	assert_non_null(error.hint);
	assert_string_equal(fault_fired_call(), "fsync");
	assert_int_equal(count_entries(dir), 2);
	assert_copy_is_complete();
}

/* One copy with what `prepare` has armed. */
static int copy_once(const struct t_dir *dir, const struct filemap *map, void (*prepare)(void))
{
	const struct t_census before = t_census_take(dir->path);

	remove(copy_path);
	memset(&error, 0, sizeof error);
	fault_reset();
	prepare();
	const int r = filemap_copy_to(map, 0, SIZE, copy_path, &error);
	const struct t_census after = t_census_take(dir->path);
	assert_int_equal(before.descriptors, after.descriptors);
	assert_int_equal(before.mappings, after.mappings);
	return r;
}

/* Returns how many calls made it fail. */
static int sweep(const struct t_dir *dir, struct filemap *map, void (*prepare)(void))
{
	int failed = 0;

	for (nth = 1; nth < MOST_CALLS; nth++) {
		const int r = copy_once(dir, map, prepare);
		if (r == 0) {
			assert_copy_is_complete();
			assert_int_equal(count_entries(dir), 2);
		} else {
			failed++;
			check_failure(dir, r);
		}
		if (!fault_fired()) {
			filemap_close(map);
			return failed;
		}
	}
	fail_msg("the sweep did not end");
	return failed;
}

static void arm_nth(void)
{
	fault_arm(nth, EIO);
}

static void arm_nth_from_here(void *context)
{
	(void)context;
	arm_nth();
}

/* The fault of the way is the first one; the one that sweeps comes behind it. */
static void refuse_unnamed(void *context)
{
	(void)context;
	fault_arm_call("openat", 1, EOPNOTSUPP);
	fault_hook("random", 1, arm_nth_from_here, NULL);
}

static void without_unnamed(void)
{
	fault_hook("openat", 2, refuse_unnamed, NULL);
}

static void refuse_link(void *context)
{
	(void)context;
	fault_arm_call("link_fd", 1, ENOENT);
	fault_hook("random", 1, arm_nth_from_here, NULL);
}

static void without_proc(void)
{
	fault_hook("link_fd", 1, refuse_link, NULL);
}

static void copy_of_a_file_leaves_nothing_at_every_call(void **state)
{
	/* openat, fstatat, openat, copy_range, fsync, link_fd, fsync, fsync */
	assert_int_equal(sweep(*state, open_source(*state, FILEMAP_READ), arm_nth), 8);
}

/* A file system that does not tell where data is: everything is copied. */
static void holes_that_are_not_told_are_copied(void **state)
{
	const char *const calls[] = {"seek_data", "seek_hole"};
	for (size_t i = 0; i < 2; i++) {
		struct filemap *map = open_source(*state, FILEMAP_READ);
		fault_arm_call_persistent(calls[i], 1, EINVAL);
		assert_ok(filemap_copy_to(map, 0, FILEMAP_TO_END, copy_path, NULL));
		assert_int_equal(fault_count("pwrite"), 0);
		filemap_close(map);
		fault_reset();
		assert_int_equal(t_file_size(copy_path), SIZE);
		assert_ok(remove(copy_path));
	}
}

static void cut_source_to_nothing(void *context)
{
	(void)context;
	assert_ok(truncate(source_path, 0));
}

/* Behind the end there is no data, as in a hole: it must not become one. */
static void file_that_was_cut_is_no_hole(void **state)
{
	struct filemap *map = open_source(*state, FILEMAP_READ);
	fault_hook("seek_data", 1, cut_source_to_nothing, NULL);
	assert_int_equal(filemap_copy_to(map, 0, FILEMAP_TO_END, copy_path, NULL), FILEMAP_ERANGE);
	assert_int_equal(t_file_size(copy_path), -1);
	filemap_close(map);
	fault_reset();
}

static void copy_of_cow_leaves_nothing_at_every_call(void **state)
{
	/* openat, fstatat, openat, pwrite, fstat, fsync, link_fd, fsync, fsync */
	assert_int_equal(sweep(*state, open_source(*state, FILEMAP_COW), arm_nth), 9);
}

static void copy_of_memory_leaves_nothing_at_every_call(void **state)
{
	/* openat, fstatat, openat, pwrite, fsync, link_fd, fsync, fsync */
	assert_int_equal(sweep(*state, open_memory(*state), arm_nth), 8);
}

static void hidden_file_is_removed_at_every_call(void **state)
{
	/* random, openat, copy_range, fsync, rename, fsync */
	assert_int_equal(sweep(*state, open_source(*state, FILEMAP_READ), without_unnamed), 6);
}

static void file_that_cannot_be_named_is_copied_at_every_call(void **state)
{
	/* random, openat, copy_range, set_mode, fsync, rename, fsync */
	assert_int_equal(sweep(*state, open_source(*state, FILEMAP_WRITE), without_proc), 7);
}

static int armed_error;
static const char *armed_call;

static void arm_error(void)
{
	fault_arm_call(armed_call, strcmp(armed_call, "openat") ? 1 : 2, armed_error);
}

/* Each of these errors of one call is met by another way. */
static void meet(void **state, const char *call, const int *errors, size_t count, const char *instead)
{
	struct filemap *map = open_source(*state, FILEMAP_READ);
	for (size_t i = 0; i < count; i++) {
		armed_call = call;
		armed_error = errors[i];
		assert_ok(copy_once(*state, map, arm_error));
		assert_string_equal(fault_fired_call(), call);
		assert_int_equal(fault_count(instead), 1);
		assert_copy_is_complete();
		assert_int_equal(count_entries(*state), 2);
	}
	armed_error = EIO;
	assert_int_equal(copy_once(*state, map, arm_error), -EIO);
	filemap_close(map);
}

static void kernel_that_does_not_copy_is_met_by_writing(void **state)
{
	static const int errors[] = {EXDEV, EOPNOTSUPP, EINVAL, ENOSYS, ETXTBSY, EPERM};
	meet(state, "copy_range", errors, sizeof errors / sizeof *errors, "pwrite");
}

static void system_without_unnamed_files_is_met_by_a_hidden_one(void **state)
{
	static const int errors[] = {EOPNOTSUPP, EISDIR, EINVAL, ENOSYS};
	meet(state, "openat", errors, sizeof errors / sizeof *errors, "rename");
}

static void file_that_cannot_be_named_is_met_by_a_hidden_one(void **state)
{
	static const int errors[] = {ENOENT, EPERM, EACCES, EOPNOTSUPP, ENOSYS};
	meet(state, "link_fd", errors, sizeof errors / sizeof *errors, "rename");
}

static void memory_that_is_short_leaves_nothing(void **state)
{
	struct filemap *map = open_source(*state, FILEMAP_READ);
	armed_call = "strdup";
	armed_error = ENOMEM;
	assert_int_equal(copy_once(*state, map, arm_error), -ENOMEM);
	assert_int_equal(count_entries(*state), 1);
	filemap_close(map);
}

static void cut_source(void *context)
{
	(void)context;
	assert_ok(truncate(source_path, PART));
}

/* The file has its end again when the rest is asked for. */
static void mend_source(void *context)
{
	t_write_file(source_path, content, SIZE);
	if (context)
		fault_arm_call("copy_range", 1, EXDEV);
}

static void cut_then_mend(void *context)
{
	cut_source(NULL);
	fault_hook("copy_range", 1, mend_source, context);
}

static void short_then_whole(void)
{
	fault_hook("copy_range", 1, cut_then_mend, NULL);
}

static void short_then_refused(void)
{
	fault_hook("copy_range", 1, cut_then_mend, content);
}

static void short_for_good(void)
{
	fault_hook("copy_range", 1, cut_source, NULL);
}

static void short_copy_goes_on_where_it_stopped(void **state)
{
	struct filemap *map = open_source(*state, FILEMAP_READ);
	assert_ok(copy_once(*state, map, short_then_whole));
	assert_int_equal(fault_count("copy_range"), 2);
	assert_int_equal(fault_count("pwrite"), 0);
	assert_copy_is_complete();
	filemap_close(map);
}

static void short_copy_goes_on_from_memory(void **state)
{
	struct filemap *map = open_source(*state, FILEMAP_READ);
	assert_ok(copy_once(*state, map, short_then_refused));
	assert_int_equal(fault_count("copy_range"), 2);
	assert_int_equal(fault_count("pwrite"), 1);
	assert_copy_is_complete();
	filemap_close(map);
}

static void file_that_is_cut_meanwhile_is_erange_and_leaves_nothing(void **state)
{
	struct filemap *map = open_source(*state, FILEMAP_READ);
	assert_int_equal(copy_once(*state, map, short_for_good), FILEMAP_ERANGE);
	assert_non_null(error.hint);
	assert_int_equal(count_entries(*state), 1);
	filemap_close(map);
}

static void take_name(void *context)
{
	(void)context;
	t_write_file(copy_path, "another", 7);
}

static void take_name_before_the_link(void)
{
	fault_hook("link_fd", 1, take_name, NULL);
}

static void take_name_before_the_rename(void)
{
	fault_arm_call("openat", 2, EOPNOTSUPP);
	fault_hook("rename", 1, take_name, NULL);
}

static void name_that_is_taken_meanwhile_is_eexist_and_untouched(void **state)
{
	void (*const ways[])(void) = {take_name_before_the_link, take_name_before_the_rename};
	struct filemap *map = open_source(*state, FILEMAP_READ);
	for (size_t i = 0; i < 2; i++) {
		char bytes[16];
		assert_int_equal(copy_once(*state, map, ways[i]), -EEXIST);
		assert_string_equal(error.step, "name file");
		assert_int_equal(t_read_file(copy_path, bytes, sizeof bytes), 7);
		assert_memory_equal(bytes, "another", 7);
		assert_int_equal(count_entries(*state), 2);
	}
	filemap_close(map);
}

static char hidden[256];

/* What is in the directory beside the source while the copy waits for its name. */
static void look_at_hidden(void *context)
{
	DIR *stream = opendir(context);
	const struct dirent *entry;

	assert_non_null(stream);
	hidden[0] = '\0';
	while ((entry = readdir(stream)) != NULL)
		if (strncmp(entry->d_name, "..", 2) != 0 && entry->d_name[0] == '.' && entry->d_name[1])
			snprintf(hidden, sizeof hidden, "%s", entry->d_name);
	closedir(stream);
}

static void check_hidden(struct t_dir *dir, const struct filemap *map, const char *name, const char *start)
{
	fault_reset();
	fault_arm_call("openat", 2, EOPNOTSUPP);
	fault_hook("rename", 1, look_at_hidden, dir->path);
	assert_ok(filemap_copy_to(map, 0, SIZE, t_path(dir, name), NULL));
	fault_reset();
	const size_t length = strlen(start);
	assert_memory_equal(hidden, start, length);
	assert_int_equal(strspn(hidden + length, "0123456789abcdef"), 16);
	assert_string_equal(hidden + length + 16, ".tmp");
	assert_int_equal(t_file_size(t_path(dir, hidden)), -1);
}

static void hidden_name_begins_with_the_name_cut_between_letters(void **state)
{
	struct filemap *map = open_source(*state, FILEMAP_READ);
	char longest[256] = "n", start[100] = ".n";

	for (size_t i = 1; i < 255; i += 2)
		memcpy(longest + i, "\xC3\xA4", 3);
	memcpy(start + 2, longest + 1, 94);
	start[96] = '.'; /* 95 bytes of it: the 96th is half a letter */
	check_hidden(*state, map, "copy", ".copy.");
	check_hidden(*state, map, longest, start);
	filemap_close(map);
}

static void take_hidden(void *context)
{
	if (context)
		fault_arm_call_persistent("openat", 1, EEXIST);
	else
		fault_arm_call("openat", 1, EEXIST);
}

static void first_hidden_name_taken(void)
{
	fault_arm_call("openat", 2, EOPNOTSUPP);
	fault_hook("openat", 3, take_hidden, NULL);
}

static void every_hidden_name_taken(void)
{
	fault_arm_call("openat", 2, EOPNOTSUPP);
	fault_hook("openat", 3, take_hidden, content);
}

static void hidden_name_that_is_taken_is_chosen_anew_a_few_times(void **state)
{
	struct filemap *map = open_source(*state, FILEMAP_READ);
	assert_ok(copy_once(*state, map, first_hidden_name_taken));
	assert_int_equal(fault_count("random"), 2);
	assert_copy_is_complete();
	assert_int_equal(copy_once(*state, map, every_hidden_name_taken), -EEXIST);
	assert_int_equal(fault_count("random"), 8);
	assert_int_equal(count_entries(*state), 1);
	filemap_close(map);
}

T_MAIN(T_TEST(copy_of_a_file_leaves_nothing_at_every_call), T_TEST(holes_that_are_not_told_are_copied),
       T_TEST(file_that_was_cut_is_no_hole), T_TEST(copy_of_cow_leaves_nothing_at_every_call),
       T_TEST(copy_of_memory_leaves_nothing_at_every_call), T_TEST(hidden_file_is_removed_at_every_call),
       T_TEST(file_that_cannot_be_named_is_copied_at_every_call),
       T_TEST(kernel_that_does_not_copy_is_met_by_writing),
       T_TEST(system_without_unnamed_files_is_met_by_a_hidden_one),
       T_TEST(file_that_cannot_be_named_is_met_by_a_hidden_one), T_TEST(memory_that_is_short_leaves_nothing),
       T_TEST(short_copy_goes_on_where_it_stopped), T_TEST(short_copy_goes_on_from_memory),
       T_TEST(file_that_is_cut_meanwhile_is_erange_and_leaves_nothing),
       T_TEST(name_that_is_taken_meanwhile_is_eexist_and_untouched),
       T_TEST(hidden_name_begins_with_the_name_cut_between_letters),
       T_TEST(hidden_name_that_is_taken_is_chosen_anew_a_few_times))
