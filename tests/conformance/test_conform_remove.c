/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Conformance: removing names (items F7, R14 to R31, P24 to P30 and the parts of M1, T9, T11 and T16 that remove).
 * What is pending there on a handle without a file is here filemap_remove_file() with an identity.
 */
#include "conform.h"

#include <dirent.h>

#define STRANGER "unrelated content"
#define NEEDS_UNLINK (FILEMAP_STATE_LIVE | FILEMAP_STATE_NEEDS_UNLINK)
#define REMOVED (FILEMAP_STATE_LIVE | FILEMAP_STATE_REMOVED)

/* How often and with what a removal at close was reported. */
struct report {
	int calls, result;
	int32_t code;
};

static void note(void *context, int result, const struct filemap_error *error)
{
	struct report *report = context;
	report->calls++;
	report->result = result;
	report->code = result < 0 ? error->code : 0;
}

static void assert_report(const struct report *report, int result)
{
	assert_int_equal(report->calls, 1);
	assert_int_equal(report->result, result);
	assert_int_equal(report->code, result < 0 ? result : 0);
}

static const char *file_path(void **state)
{
	return t_path(*state, "file");
}

static struct filemap *create_with_report(void **state, struct report *report)
{
	return open_ok(file_path(state), FILEMAP_WRITE,
		       NEW_FILE(.size = 8, .on_remove = note, .on_remove_context = report));
}

static void assert_gone(const char *path)
{
	assert_int_equal(t_file_size(path), -1);
	assert_int_equal(try_open(path, FILEMAP_READ, NULL), -ENOENT);
}

/* No file of the case's directory but these stayed, under whatever name. */
static void assert_files_left(void **state, int expected)
{
	const struct t_dir *dir = *state;
	DIR *stream = opendir(dir->path);
	int count = -2; /* . and .. */
	assert_non_null(stream);
	while (readdir(stream))
		count++;
	closedir(stream);
	assert_int_equal(count, expected);
}

static int remove_with_record(struct filemap *map, struct filemap_error *error)
{
	*error = (struct filemap_error){0};
	const int r = filemap_remove(map, error);
	if (r < 0) {
		assert_int_equal(error->code, r);
		assert_non_null(error->step);
	}
	return r;
}

static int remove_it(struct filemap *map)
{
	struct filemap_error error;
	return remove_with_record(map, &error);
}

static struct filemap_identity identity_of(const char *path)
{
	struct filemap_identity identity;
	assert_ok(filemap_file_identity(AT_FDCWD, path, &identity, NULL));
	return identity;
}

static int remove_named(const char *path, const struct filemap_identity *identity)
{
	struct filemap_error error = {0};
	const int r = filemap_remove_file(AT_FDCWD, path, identity, &error);
	assert_int_equal(error.code, r < 0 ? r : 0);
	return r;
}

/* A name that was given to another file, while the first one is held open. */
static int replaced_file(void **state, struct filemap_identity *ret)
{
	const char *path = text_file(state, DATA);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	*ret = identity_of(path);
	assert_ok(unlink(path));
	t_write_file(path, STRANGER, strlen(STRANGER));
	return fd;
}

static void conform_F7_removed_file_cannot_be_opened(void **state)
{
	struct filemap *map = create_ok(file_path(state), DATA_SIZE);
	assert_ok(filemap_write_all(map, 0, DATA, DATA_SIZE));
	assert_ok(filemap_flush(map));
	assert_ok(remove_it(map));
	assert_gone(file_path(state));
	assert_window(map, DATA);
	filemap_close(map);
	assert_files_left(state, 0);
}

static void conform_R14_removal_succeeds_and_closing_adds_nothing(void **state)
{
	struct report report = {0};
	struct filemap *map = create_with_report(state, &report);
	assert_ok(filemap_flush(map));
	assert_ok(remove_it(map));
	filemap_close(map);
	assert_int_equal(report.calls, 0);
	assert_files_left(state, 0);
}

static void conform_R15_name_that_is_gone_is_an_error(void **state)
{
	struct report report = {0};
	struct filemap *map = create_with_report(state, &report);
	assert_ok(unlink(file_path(state)));
	assert_int_equal(remove_it(map), FILEMAP_EGONE);
	filemap_close(map);
	assert_report(&report, FILEMAP_EGONE);
}

static void conform_R16_failed_removal_stays_pending(void **state)
{
	struct filemap *map = create_ok(file_path(state), 8);
	assert_ok(unlink(file_path(state)));
	assert_int_equal(remove_it(map), FILEMAP_EGONE);
	assert_int_equal(filemap_state(map), NEEDS_UNLINK);
	assert_string_equal(filemap_path(map), file_path(state));
	filemap_close(map);
}

static void conform_R17_second_try_leaves_a_new_file_alone(void **state)
{
	const char *path = file_path(state);
	struct filemap *map = create_ok(path, 8);
	struct filemap_error error;
	char line[512];
	assert_ok(unlink(path));
	assert_int_equal(remove_it(map), FILEMAP_EGONE);
	t_write_file(path, STRANGER, strlen(STRANGER));
	assert_int_equal(remove_with_record(map, &error), FILEMAP_EREPLACED);
	filemap_error_format(&error, line, sizeof line);
	assert_non_null(strstr(line, filemap_strerror(FILEMAP_EREPLACED)));
	assert_file(path, STRANGER);
	assert_int_equal(filemap_state(map), NEEDS_UNLINK);
	filemap_close(map);
	assert_file(path, STRANGER);
	assert_files_left(state, 1);
}

static void conform_R18_release_tries_again_and_leaves_a_new_file_alone(void **state)
{
	struct report report = {0};
	struct filemap *map = create_with_report(state, &report);
	assert_ok(unlink(file_path(state)));
	assert_int_equal(remove_it(map), FILEMAP_EGONE);
	t_write_file(file_path(state), "", 0);
	filemap_close(map);
	assert_report(&report, FILEMAP_EREPLACED);
	assert_file(file_path(state), "");
	assert_files_left(state, 1);
}

static void conform_R20_renamed_file_is_not_removed_and_not_lost(void **state)
{
	const char *other = t_path(*state, "other");
	struct filemap *map = create_ok(file_path(state), 8);
	assert_ok(rename(file_path(state), other));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(remove_it(map), FILEMAP_EGONE);
		assert_int_equal(filemap_state(map), NEEDS_UNLINK);
	}
	filemap_close(map);
	assert_int_equal(t_file_size(other), 8);
	assert_files_left(state, 1);
}

/* Both what was removed at once and what was flushed before. */
static void conform_R21_R22_new_file_of_the_name_is_left_alone(void **state)
{
	const char *path = file_path(state);
	for (int flushed = 0; flushed < 2; flushed++) {
		struct filemap *map = create_ok(path, 8);
		if (flushed)
			assert_ok(filemap_flush(map));
		assert_ok(unlink(path));
		t_write_file(path, STRANGER, strlen(STRANGER));
		assert_int_equal(remove_it(map), FILEMAP_EREPLACED);
		assert_int_equal(filemap_state(map), NEEDS_UNLINK);
		filemap_close(map);
		assert_file(path, STRANGER);
		assert_files_left(state, 1);
		assert_ok(unlink(path));
	}
}

static void conform_R23_identity_refuses_a_new_file_of_the_name(void **state)
{
	struct filemap_identity identity;
	const int fd = replaced_file(state, &identity);
	for (int i = 0; i < 2; i++)
		assert_int_equal(remove_named(file_path(state), &identity), FILEMAP_EREPLACED);
	assert_file(file_path(state), STRANGER);
	assert_files_left(state, 1);
	close(fd);
}

static void conform_R24_identity_that_agrees_is_removed(void **state)
{
	const char *path = text_file(state, DATA);
	const struct filemap_identity identity = identity_of(path);
	assert_ok(remove_named(path, &identity));
	assert_gone(path);
	assert_files_left(state, 0);
}

/* 0, or which step went wrong. */
static int remove_without_permission(void *context)
{
	struct filemap_identity before, after;
	const char *path = context;
	const int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || filemap_file_identity(AT_FDCWD, path, &before, NULL) < 0)
		return 1;
	close(fd);
	if (chmod(path, 0) < 0 || (open(path, O_RDONLY | O_CLOEXEC) >= 0 && geteuid() != 0))
		return 2;
	if (filemap_file_identity(AT_FDCWD, path, &after, NULL) < 0)
		return 3;
	if (!filemap_identity_equal(&before, &after))
		return 4;
	if (filemap_remove_file(AT_FDCWD, path, &before, NULL) != 0)
		return 5;
	return access(path, F_OK) < 0 && errno == ENOENT ? 0 : 6;
}

static int remove_without_permission_as_nobody(void *context)
{
	if (geteuid() == 0 && t_become_nobody() < 0)
		return 100;
	return remove_without_permission(context);
}

static void conform_R25_file_without_permissions_is_known_and_removed(void **state)
{
	struct t_dir *dir = *state;
	char path[300];
	snprintf(path, sizeof path, "%s/own", dir->path);
	assert_ok(mkdir(path, 0700));
	if (geteuid() == 0) {
		assert_ok(chown(path, 65534, 65534));
		assert_ok(chmod(dir->path, 0755));
	}
	strcat(path, "/file");
	assert_int_equal(t_in_child(remove_without_permission_as_nobody, path), 0);
	assert_int_equal(t_file_size(path), -1);
}

static void conform_R26_symbolic_link_is_never_the_file(void **state)
{
	const char *target = text_file(state, DATA), *name = t_path(*state, "link");
	struct filemap_identity identity, unchanged = {.inode = 7};
	assert_ok(symlink("file", name));
	struct filemap *map = open_ok(name, FILEMAP_READ, NULL); /* through the link */
	assert_ok(filemap_identity(map, &identity));
	filemap_close(map);
	assert_int_equal(filemap_file_identity(AT_FDCWD, name, &unchanged, NULL), -ELOOP);
	assert_int_equal(unchanged.inode, 7);
	assert_int_equal(remove_named(name, &identity), FILEMAP_EMODE);
	assert_int_equal(remove_named(name, NULL), FILEMAP_EMODE);
	assert_file(target, DATA);
	assert_file(name, DATA);
	assert_files_left(state, 2);
}

static void conform_R27_wish_to_remove_is_fulfilled_at_release(void **state)
{
	struct report report = {0};
	struct filemap *map = create_with_report(state, &report);
	assert_ok(filemap_set_remove_on_close(map, 1));
	assert_int_equal(t_file_size(file_path(state)), 8);
	filemap_close(map);
	assert_report(&report, 0);
	assert_gone(file_path(state));
	assert_files_left(state, 0);
}

static void conform_R28_release_removes_what_was_pending(void **state)
{
	struct report report = {0};
	struct filemap *map = create_with_report(state, &report);
	assert_ok(rename(file_path(state), t_path(*state, "other")));
	assert_int_equal(remove_it(map), FILEMAP_EGONE);
	assert_ok(rename(t_path(*state, "other"), file_path(state)));
	filemap_close(map);
	assert_report(&report, 0);
	assert_files_left(state, 0);
}

static void conform_R29_release_leaves_a_new_file_of_the_name_alone(void **state)
{
	const char *path = file_path(state);
	struct report report = {0};
	struct filemap *map = create_with_report(state, &report);
	assert_ok(filemap_set_remove_on_close(map, 1));
	assert_ok(unlink(path));
	t_write_file(path, STRANGER, strlen(STRANGER));
	filemap_close(map);
	assert_report(&report, FILEMAP_EREPLACED);
	assert_file(path, STRANGER);
	assert_files_left(state, 1);
}

static struct filemap *memory_named(const char *label)
{
	struct filemap *map = NULL;
	assert_ok(filemap_from_bytes(label, FILEMAP_WRITE, "memory", 6, &map, NULL));
	assert_string_equal(filemap_path(map), label);
	return map;
}

static void conform_R30_label_of_memory_is_no_name(void **state)
{
	const char *path = text_file(state, "do not delete me");
	struct filemap *map = memory_named(path);
	assert_ok(filemap_set_remove_on_close(map, 1));
	filemap_close(map);
	assert_file(path, "do not delete me");
}

static void conform_R31_nothing_is_removed_that_is_not_known(void **state)
{
	const struct filemap_identity unknown = {0};
	const char *path = text_file(state, "keep");
	struct filemap *map = memory_named(path);
	assert_ok(remove_it(map));
	assert_ok(filemap_set_remove_on_close(map, 1));
	filemap_close(map);
	assert_int_equal(remove_named(path, &unknown), FILEMAP_EREPLACED);
	assert_file(path, "keep");
	assert_files_left(state, 1);
}

static void conform_P24_P25_closing_does_the_removal_that_was_asked_for(void **state)
{
	struct report report = {0};
	struct filemap *map = create_with_report(state, &report);
	assert_ok(filemap_write_all(map, 0, "abcdefgh", 8));
	assert_ok(filemap_set_remove_on_close(map, 1));
	assert_ok(filemap_close_truncated(map, 4, NULL));
	assert_report(&report, 0);
	assert_gone(file_path(state));
	assert_files_left(state, 0);
}

static void conform_P24_closed_file_is_removed_by_its_name(void **state)
{
	struct filemap_identity identity;
	struct filemap *map = create_ok(file_path(state), 8);
	assert_ok(filemap_identity(map, &identity));
	filemap_close(map);
	assert_int_equal(t_file_size(file_path(state)), 8); /* nobody had asked for more */
	assert_ok(remove_named(file_path(state), &identity));
	assert_gone(file_path(state));
	assert_int_equal(remove_named(file_path(state), &identity), FILEMAP_EGONE);
}

static void conform_P26_freezing_keeps_the_wish_to_remove(void **state)
{
	struct report report = {0};
	struct filemap *map = create_with_report(state, &report);
	assert_ok(filemap_set_remove_on_close(map, 1));
	assert_ok(filemap_freeze(map, NULL));
	filemap_close(map);
	assert_report(&report, 0);
	assert_files_left(state, 0);
}

static void conform_P27_removing_twice_is_removing_once(void **state)
{
	struct filemap *map = create_ok(file_path(state), 8);
	assert_ok(remove_it(map));
	t_write_file(file_path(state), STRANGER, strlen(STRANGER));
	assert_ok(remove_it(map));
	assert_int_equal(filemap_state(map), REMOVED);
	filemap_close(map);
	assert_file(file_path(state), STRANGER);
}

static void conform_P28_other_hard_links_stay_and_are_reported(void **state)
{
	const char *other = t_path(*state, "other");
	struct filemap *map = create_ok(file_path(state), DATA_SIZE);
	assert_ok(filemap_write_all(map, 0, DATA, DATA_SIZE));
	assert_ok(link(file_path(state), other));
	assert_int_equal(remove_it(map), FILEMAP_STILL_LINKED);
	assert_int_equal(filemap_state(map), REMOVED);
	filemap_close(map);
	assert_gone(file_path(state));
	assert_file(other, DATA);
	assert_files_left(state, 1);
}

static void conform_P29_file_behind_a_symbolic_link_is_not_removed(void **state)
{
	const char *target = text_file(state, DATA), *name = t_path(*state, "link");
	struct report report = {0};
	assert_ok(symlink("file", name));
	struct filemap *map = open_ok(name, FILEMAP_WRITE,
				      FILEMAP_OPTIONS(.on_remove = note, .on_remove_context = &report));
	assert_int_equal(remove_it(map), FILEMAP_EMODE);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	filemap_close(map);
	assert_int_equal(report.calls, 0); /* nothing was tried that could be tried again */
	assert_file(target, DATA);
	assert_file(name, DATA);
	assert_files_left(state, 2);
}

static void conform_P30_private_mapping_removes_only_when_it_is_alone(void **state)
{
	const char *path = text_file(state, DATA);
	struct filemap *map = open_ok(path, FILEMAP_COW, FILEMAP_OPTIONS(.flags = FILEMAP_PIN_PARENT));
	struct filemap *reader = open_ok(path, FILEMAP_READ, NULL);
	assert_int_equal(remove_it(map), FILEMAP_ELOCKED);
	assert_int_equal(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL), FILEMAP_ELOCKED);
	assert_int_equal(remove_it(map), FILEMAP_ELOCKED);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	assert_file(path, DATA);
	filemap_close(reader);
	assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
	assert_ok(remove_it(map));
	filemap_close(map);
	assert_gone(path);
}

static void conform_P30_private_mapping_removes_at_release_only_when_it_is_alone(void **state)
{
	const char *path = text_file(state, DATA);
	for (int alone = 0; alone < 2; alone++) {
		struct report report = {0};
		struct filemap *map =
			open_ok(path, FILEMAP_COW,
				FILEMAP_OPTIONS(.flags = FILEMAP_REMOVE_ON_CLOSE, .on_remove = note,
						.on_remove_context = &report));
		struct filemap *reader = alone ? NULL : open_ok(path, FILEMAP_READ, NULL);
		filemap_close(map);
		assert_report(&report, alone ? 0 : FILEMAP_ELOCKED);
		filemap_close(reader);
		assert_int_equal(t_file_size(path), alone ? -1 : (int64_t)DATA_SIZE);
	}
}

static void conform_M1_remove_file_tells_all_about_itself_until_it_is_closed(void **state)
{
	struct filemap_stat status;
	struct filemap *map =
		open_ok(file_path(state), FILEMAP_WRITE,
			FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW | FILEMAP_REMOVE_ON_CLOSE, .size = 13));
	assert_ok(filemap_write_all(map, 0, "Hello, fmmap!", 13));
	assert_ok(filemap_stat(map, &status));
	assert_int_equal(status.size, 13);
	assert_int_equal(status.links, 1);
	assert_ok(remove_it(map));
	assert_ok(filemap_stat(map, &status));
	assert_int_equal(status.size, 13);
	assert_int_equal(status.links, 0);
	assert_true(S_ISREG(status.mode));
	filemap_close(map);
	assert_files_left(state, 0);
}

static void conform_T9_remove_memory_has_no_name_to_remove(void **state)
{
	const unsigned modes[] = {FILEMAP_READ, FILEMAP_WRITE};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct filemap *map = memory_ok(modes[i], "data", 4);
		assert_ok(remove_it(map));
		assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
		assert_window(map, "data");
		filemap_close(map);
	}
}

static void conform_T11_remove_frozen_memory_has_no_name_to_remove(void **state)
{
	struct filemap *map = memory_ok(FILEMAP_WRITE, "data", 4);
	(void)state;
	assert_ok(filemap_freeze(map, NULL));
	assert_ok(remove_it(map));
	assert_window(map, "data");
	filemap_close(map);
}

static void conform_T16_remove_ends_a_name_and_leaves_memory_alone(void **state)
{
	struct filemap *map = create_ok(file_path(state), 4);
	assert_ok(filemap_write_all(map, 0, "data", 4));
	assert_ok(filemap_flush(map));
	assert_ok(remove_it(map));
	assert_window(map, "data"); /* handle and bytes are whole until it is closed */
	assert_ok(filemap_sync(map));
	assert_ok(filemap_resize(map, 8, NULL));
	filemap_close(map);
	assert_gone(file_path(state));
	map = memory_ok(FILEMAP_WRITE, "data", 4);
	assert_ok(remove_it(map));
	assert_ok(filemap_close_truncated(map, 4, NULL));
}

T_MAIN(T_TEST(conform_F7_removed_file_cannot_be_opened),
       T_TEST(conform_R14_removal_succeeds_and_closing_adds_nothing),
       T_TEST(conform_R15_name_that_is_gone_is_an_error), T_TEST(conform_R16_failed_removal_stays_pending),
       T_TEST(conform_R17_second_try_leaves_a_new_file_alone),
       T_TEST(conform_R18_release_tries_again_and_leaves_a_new_file_alone),
       T_TEST(conform_R20_renamed_file_is_not_removed_and_not_lost),
       T_TEST(conform_R21_R22_new_file_of_the_name_is_left_alone),
       T_TEST(conform_R23_identity_refuses_a_new_file_of_the_name),
       T_TEST(conform_R24_identity_that_agrees_is_removed),
       T_TEST(conform_R25_file_without_permissions_is_known_and_removed),
       T_TEST(conform_R26_symbolic_link_is_never_the_file),
       T_TEST(conform_R27_wish_to_remove_is_fulfilled_at_release),
       T_TEST(conform_R28_release_removes_what_was_pending),
       T_TEST(conform_R29_release_leaves_a_new_file_of_the_name_alone),
       T_TEST(conform_R30_label_of_memory_is_no_name),
       T_TEST(conform_R31_nothing_is_removed_that_is_not_known),
       T_TEST(conform_P24_P25_closing_does_the_removal_that_was_asked_for),
       T_TEST(conform_P24_closed_file_is_removed_by_its_name),
       T_TEST(conform_P26_freezing_keeps_the_wish_to_remove),
       T_TEST(conform_P27_removing_twice_is_removing_once),
       T_TEST(conform_P28_other_hard_links_stay_and_are_reported),
       T_TEST(conform_P29_file_behind_a_symbolic_link_is_not_removed),
       T_TEST(conform_P30_private_mapping_removes_only_when_it_is_alone),
       T_TEST(conform_P30_private_mapping_removes_at_release_only_when_it_is_alone),
       T_TEST(conform_M1_remove_file_tells_all_about_itself_until_it_is_closed),
       T_TEST(conform_T9_remove_memory_has_no_name_to_remove),
       T_TEST(conform_T11_remove_frozen_memory_has_no_name_to_remove),
       T_TEST(conform_T16_remove_ends_a_name_and_leaves_memory_alone))
