/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Copies of windows: which bytes are in them, under which name, and that nothing else is touched. */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "copy.h"
#include "map/private.h"

#define SIZE 100000
#define TEXT_LENGTH 10

static unsigned char content[SIZE];
static struct filemap_error error;

static struct filemap *open_source(const struct t_dir *dir, unsigned mode,
				   const struct filemap_options *options)
{
	struct filemap *map = NULL;

	fill_bytes(content, SIZE);
	t_write_file(t_path(dir, "source"), content, SIZE);
	assert_ok(filemap_open(t_path(dir, "source"), mode, options, &map, NULL));
	return map;
}

static const char *copy(const struct t_dir *dir, const struct filemap *map, size_t offset, size_t length)
{
	const char *path = t_path(dir, "copy");
	const int r = filemap_copy_to(map, offset, length, path, &error);

	if (r < 0) {
		char line[512];
		filemap_error_format(&error, line, sizeof line);
		fail_msg("copy: %s", line);
	}
	return path;
}

static void copy_of_a_whole_window_has_all_its_bytes(void **state)
{
	struct filemap *map = open_source(*state, FILEMAP_READ, NULL);
	assert_true(file_is(copy(*state, map, 0, SIZE), content, SIZE));
	assert_int_equal(count_entries(((struct t_dir *)*state)->path), 2);
	filemap_close(map);
}

static void copy_has_stores_that_were_never_flushed(void **state)
{
	struct filemap *map = open_source(*state, FILEMAP_WRITE, NULL);
	for (size_t i = 0; i < SIZE; i += 1000)
		content[i] ^= 0x55;
	memcpy(filemap_data_mut(map), content, SIZE);
	assert_true(file_is(copy(*state, map, 0, SIZE), content, SIZE));
	filemap_close(map);
}

/* Bytes at both ends of a hole, one of them stored through the mapping, and a hole up to the end. */
static void copy_keeps_holes_as_holes(void **state)
{
	const size_t size = (size_t)64 << 20, last = (size_t)40 << 20;
	const char *path = t_path(*state, "sparse");
	struct filemap *map;
	struct stat status;
	char byte = 0;
	assert_ok(filemap_open(path, FILEMAP_WRITE,
			       FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW | FILEMAP_SPARSE, .size = size),
			       &map, NULL));
	assert_ok(filemap_write_all(map, 5, "a", 1));
	assert_ok(filemap_write_all(map, last, "z", 1));
	path = copy(*state, map, 1, size - 1);
	assert_ok(stat(path, &status));
	assert_int_equal(status.st_size, size - 1);
	assert_true(status.st_blocks * 512 < 8 << 20);
	filemap_close(map);
	assert_ok(filemap_open(path, FILEMAP_READ, NULL, &map, NULL));
	assert_ok(filemap_read_exact(map, 4, &byte, 1));
	assert_int_equal(byte, 'a');
	assert_ok(filemap_read_exact(map, last - 1, &byte, 1));
	assert_int_equal(byte, 'z');
	assert_ok(filemap_read_exact(map, size - 2, &byte, 1));
	assert_int_equal(byte, 0);
	filemap_close(map);
}

static void copy_does_not_follow_later_stores(void **state)
{
	struct filemap *map = open_source(*state, FILEMAP_WRITE, NULL);
	const char *path = copy(*state, map, 0, SIZE);
	assert_ok(filemap_zero(map, 0, SIZE));
	assert_ok(filemap_sync(map));
	assert_true(file_is(path, content, SIZE));
	filemap_close(map);
}

static void copy_of_a_range_starts_and_ends_anywhere(void **state)
{
	struct filemap *map =
		open_source(*state, FILEMAP_READ, FILEMAP_OPTIONS(.offset = 511, .length = 70001));
	assert_true(file_is(copy(*state, map, 4097, 12345), content + 511 + 4097, 12345));
	filemap_close(map);
}

static void copy_to_the_end_takes_the_rest_of_the_window(void **state)
{
	struct filemap *map =
		open_source(*state, FILEMAP_READ, FILEMAP_OPTIONS(.offset = 8192, .length = 5000));
	assert_true(file_is(copy(*state, map, 3001, FILEMAP_TO_END), content + 8192 + 3001, 1999));
	filemap_close(map);
}

static void copy_of_no_bytes_is_an_empty_file(void **state)
{
	struct filemap *map = open_source(*state, FILEMAP_READ, NULL);
	assert_int_equal(t_file_size(copy(*state, map, 17, 0)), 0);
	assert_ok(unlink(t_path(*state, "copy")));
	assert_int_equal(t_file_size(copy(*state, map, SIZE, FILEMAP_TO_END)), 0);
	filemap_close(map);
}

static void copy_of_cow_has_its_private_changes(void **state)
{
	struct filemap *map = open_source(*state, FILEMAP_COW, NULL);
	unsigned char original[SIZE];
	memcpy(original, content, SIZE);
	memset(content + 5000, 'x', 3000);
	assert_ok(filemap_write_all(map, 5000, content + 5000, 3000));
	assert_true(file_is(copy(*state, map, 3, SIZE - 5), content + 3, SIZE - 5));
	assert_true(file_is(t_path(*state, "source"), original, SIZE));
	filemap_close(map);
}

static void copy_of_memory_has_its_bytes(void **state)
{
	struct filemap *map;
	fill_bytes(content, SIZE);
	assert_ok(filemap_from_bytes("memory", FILEMAP_READ, content, SIZE, &map, NULL));
	assert_true(file_is(copy(*state, map, 1, SIZE - 2), content + 1, SIZE - 2));
	filemap_close(map);
}

static void copy_of_borrowed_bytes_has_them(void **state)
{
	struct filemap *map;
	fill_bytes(content, SIZE);
	assert_ok(filemap_wrap_bytes(NULL, content + 3, SIZE - 3, &map, NULL));
	assert_true(file_is(copy(*state, map, 0, FILEMAP_TO_END), content + 3, SIZE - 3));
	filemap_close(map);
}

static void copy_of_a_memory_file_has_its_bytes(void **state)
{
	struct filemap *map;
	fill_bytes(content, SIZE);
	assert_ok(filemap_anonymous(SIZE, FILEMAP_OPTIONS(.flags = FILEMAP_SHARED), &map, NULL));
	memcpy(filemap_data_mut(map), content, SIZE);
	assert_true(file_is(copy(*state, map, 7, SIZE - 7), content + 7, SIZE - 7));
	filemap_close(map);
}

static void copy_of_a_second_window_has_the_bytes_of_that_window(void **state)
{
	struct filemap *map = open_source(*state, FILEMAP_READ, NULL), *window;
	assert_ok(filemap_window(map, FILEMAP_READ, 9001, 500, &window, NULL));
	assert_true(file_is(copy(*state, window, 1, FILEMAP_TO_END), content + 9002, 499));
	filemap_close(window);
	filemap_close(map);
}

static void copy_has_the_permissions_that_the_umask_leaves(void **state)
{
	struct filemap *map = open_source(*state, FILEMAP_READ, NULL);
	const mode_t masks[] = {0, 026, 0777};
	for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
		const mode_t old = umask(masks[i]);
		struct stat status;
		const char *path = copy(*state, map, 0, 10);
		umask(old);
		assert_ok(stat(path, &status));
		assert_int_equal(status.st_mode, S_IFREG | (0666 & ~masks[i]));
		assert_int_equal(status.st_nlink, 1);
		assert_ok(unlink(path));
	}
	filemap_close(map);
}

/* The name is taken by something; it stays what it was, and nothing is added. */
static void refuse_taken(void **state, const char *path)
{
	struct filemap *map = open_source(*state, FILEMAP_READ, NULL);
	const int entries = count_entries(((struct t_dir *)*state)->path);
	struct stat before, after;
	assert_ok(lstat(path, &before));
	memset(&error, 0, sizeof error);
	assert_int_equal(filemap_copy_to(map, 0, SIZE, path, &error), -EEXIST);
	assert_string_equal(error.subject, "file");
	assert_string_equal(error.detail, path);
	assert_ok(lstat(path, &after));
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(before.st_mode, after.st_mode);
	assert_int_equal(before.st_size, after.st_size);
	assert_int_equal(count_entries(((struct t_dir *)*state)->path), entries);
	filemap_close(map);
}

static void name_of_a_file_is_eexist_and_the_file_untouched(void **state)
{
	const char *path = t_path(*state, "taken");
	t_write_file(path, "some bytes", TEXT_LENGTH);
	refuse_taken(state, path);
	assert_true(file_is(path, "some bytes", TEXT_LENGTH));
	refuse_taken(state, t_path(*state, "source"));
	assert_true(file_is(t_path(*state, "source"), content, SIZE));
}

static void name_of_a_directory_is_eexist(void **state)
{
	const char *path = t_path(*state, "taken");
	assert_ok(mkdir(path, 0700));
	refuse_taken(state, path);
	assert_int_equal(count_entries(path), 0);
}

static void name_of_a_fifo_is_eexist(void **state)
{
	const char *path = t_path(*state, "taken");
	assert_ok(mkfifo(path, 0600));
	refuse_taken(state, path);
}

static void name_of_a_link_to_nothing_is_eexist_and_nothing_made_behind_it(void **state)
{
	const char *path = t_path(*state, "taken");
	assert_ok(symlink("behind", path));
	refuse_taken(state, path);
	assert_int_equal(t_file_size(t_path(*state, "behind")), -1);
}

static void name_of_a_link_to_a_file_is_eexist_and_the_file_untouched(void **state)
{
	const char *path = t_path(*state, "taken");
	t_write_file(t_path(*state, "behind"), "some bytes", TEXT_LENGTH);
	assert_ok(symlink("behind", path));
	refuse_taken(state, path);
	assert_true(file_is(t_path(*state, "behind"), "some bytes", TEXT_LENGTH));
}

static void refuse_path(void **state, const char *path, int expected, const char *step, const char *subject)
{
	struct filemap *map = open_source(*state, FILEMAP_READ, NULL);
	const int entries = count_entries(((struct t_dir *)*state)->path);
	memset(&error, 0, sizeof error);
	assert_int_equal(filemap_copy_to(map, 0, SIZE, path, &error), expected);
	assert_string_equal(error.step, step);
	assert_string_equal(error.subject, subject);
	assert_int_equal(filemap_copy_to(map, 0, SIZE, path, NULL), expected);
	assert_int_equal(count_entries(((struct t_dir *)*state)->path), entries);
	filemap_close(map);
}

static void missing_directory_names_the_parent(void **state)
{
	refuse_path(state, t_path(*state, "none/copy"), -ENOENT, "open parent directory", "parent directory");
	refuse_path(state, t_path(*state, "source/copy"), -ENOTDIR, "open parent directory",
		    "parent directory");
}

static void path_without_a_name_is_refused(void **state)
{
	refuse_path(state, NULL, FILEMAP_EOPTION, "check options", "new_path");
	refuse_path(state, "", FILEMAP_EOPTION, "check options", "new_path");
	refuse_path(state, t_path(*state, "copy/"), -EISDIR, "create file", "file");
	refuse_path(state, t_path(*state, ""), -EISDIR, "create file", "file");
	refuse_path(state, t_path(*state, "."), -EEXIST, "create file", "file");
}

static void name_that_is_too_long_is_refused_before_copying(void **state)
{
	char name[300];
	memset(name, 'n', 256);
	name[256] = '\0';
	refuse_path(state, t_path(*state, name), -ENAMETOOLONG, "look up file", "file");
}

static void range_outside_the_window_is_refused(void **state)
{
	struct filemap *map = open_source(*state, FILEMAP_READ, FILEMAP_OPTIONS(.length = 5000));
	const char *path = t_path(*state, "copy");
	memset(&error, 0, sizeof error);
	assert_int_equal(filemap_copy_to(map, 1, 5000, path, &error), FILEMAP_ERANGE);
	assert_string_equal(error.subject, "range");
	assert_int_equal(error.offset, 1);
	assert_int_equal(error.length, 5000);
	assert_int_equal(filemap_copy_to(map, 5001, 0, path, &error), FILEMAP_ERANGE);
	assert_int_equal(filemap_copy_to(map, 1, SIZE_MAX - 1, path, &error), FILEMAP_ERANGE);
	assert_int_equal(t_file_size(path), -1);
	filemap_close(map);
}

static void poisoned_window_is_refused(void **state)
{
	struct filemap *map = open_source(*state, FILEMAP_WRITE, NULL);
	const char *path = t_path(*state, "copy");
	fm__filemap_poison(map, -EIO);
	assert_int_equal(filemap_copy_to(map, 0, 0, path, &error), FILEMAP_EPOISONED);
	assert_string_equal(error.subject, "mapping");
	assert_int_equal(t_file_size(path), -1);
	filemap_close(map);
}

/* The file loses its end while it is mapped: an error, not a shorter copy. */
static void refuse_cut(void **state, unsigned mode, off_t size)
{
	const struct t_dir *dir = *state;
	struct filemap *map = open_source(dir, mode, NULL);
	memset(&error, 0, sizeof error);
	assert_ok(truncate(t_path(dir, "source"), size));
	assert_int_equal(filemap_copy_to(map, 100, SIZE - 100, t_path(dir, "copy"), &error), FILEMAP_ERANGE);
	assert_string_equal(error.subject, "mapping");
	assert_non_null(error.hint);
	assert_int_equal(error.offset, 100);
	assert_int_equal(error.length, SIZE - 100);
	assert_int_equal(count_entries(dir->path), 1);
	if (size > 50000) { /* what is still there can be copied */
		assert_true(file_is(copy(dir, map, 100, 49900), content + 100, 49900));
		assert_ok(unlink(t_path(dir, "copy")));
	}
	filemap_close(map);
}

static void window_of_a_file_that_was_cut_is_erange_and_no_file(void **state)
{
	refuse_cut(state, FILEMAP_READ, 0);
	refuse_cut(state, FILEMAP_READ, 60000);
	refuse_cut(state, FILEMAP_WRITE, SIZE - 1);
	refuse_cut(state, FILEMAP_COW, 0);
	refuse_cut(state, FILEMAP_COW, 60000);
	refuse_cut(state, FILEMAP_COW, SIZE - 1); /* the page is there still, and reads as zero */
}

static int copy_in_the_working_directory(void *context)
{
	const struct t_dir *dir = context;
	struct filemap *map = open_source(dir, FILEMAP_READ, NULL);
	if (chdir(dir->path) < 0)
		return 1;
	if (filemap_copy_to(map, 0, SIZE, "plain", NULL) != 0)
		return 2;
	filemap_close(map);
	return file_is(t_path(dir, "plain"), content, SIZE) ? 0 : 3;
}

static void path_without_a_directory_is_in_the_working_directory(void **state)
{
	assert_int_equal(t_in_child(copy_in_the_working_directory, *state), 0);
}

struct inherited {
	const struct t_dir *dir;
	struct filemap *map;
};

static int copy_what_was_inherited(void *context)
{
	const struct inherited *inherited = context;
	const char *path = t_path(inherited->dir, "copy");
	if (filemap_copy_to(inherited->map, 0, SIZE, path, NULL) != 0)
		return 1;
	filemap_close(inherited->map);
	return file_is(path, content, SIZE) ? 0 : 2;
}

static void forked_child_copies_what_it_inherited(void **state)
{
	struct inherited inherited = {.dir = *state};
	inherited.map = open_source(*state, FILEMAP_WRITE, NULL);
	assert_int_equal(t_in_child(copy_what_was_inherited, &inherited), 0);
	filemap_close(inherited.map);
}

static int copy_without_the_pages(void *context)
{
	const struct inherited *inherited = context;
	const int r = filemap_copy_to(inherited->map, 0, SIZE, t_path(inherited->dir, "copy"), &error);
	filemap_close(inherited->map);
	if (r != FILEMAP_EFAULT)
		return 1;
	return count_entries(inherited->dir->path) == 1 ? 0 : 2;
}

static void pages_that_cannot_be_read_are_an_error_and_no_signal(void **state)
{
	struct inherited inherited = {.dir = *state};
	inherited.map = open_source(*state, FILEMAP_COW, FILEMAP_OPTIONS(.flags = FILEMAP_DONTFORK));
	assert_int_equal(t_in_child(copy_without_the_pages, &inherited), 0);
	filemap_close(inherited.map);
}

T_MAIN(T_TEST(copy_of_a_whole_window_has_all_its_bytes), T_TEST(copy_has_stores_that_were_never_flushed),
       T_TEST(copy_keeps_holes_as_holes), T_TEST(copy_does_not_follow_later_stores),
       T_TEST(copy_of_a_range_starts_and_ends_anywhere), T_TEST(copy_to_the_end_takes_the_rest_of_the_window),
       T_TEST(copy_of_no_bytes_is_an_empty_file), T_TEST(copy_of_cow_has_its_private_changes),
       T_TEST(copy_of_memory_has_its_bytes), T_TEST(copy_of_borrowed_bytes_has_them),
       T_TEST(copy_of_a_memory_file_has_its_bytes),
       T_TEST(copy_of_a_second_window_has_the_bytes_of_that_window),
       T_TEST(copy_has_the_permissions_that_the_umask_leaves),
       T_TEST(name_of_a_file_is_eexist_and_the_file_untouched), T_TEST(name_of_a_directory_is_eexist),
       T_TEST(name_of_a_fifo_is_eexist),
       T_TEST(name_of_a_link_to_nothing_is_eexist_and_nothing_made_behind_it),
       T_TEST(name_of_a_link_to_a_file_is_eexist_and_the_file_untouched),
       T_TEST(missing_directory_names_the_parent), T_TEST(path_without_a_name_is_refused),
       T_TEST(name_that_is_too_long_is_refused_before_copying), T_TEST(range_outside_the_window_is_refused),
       T_TEST(poisoned_window_is_refused), T_TEST(window_of_a_file_that_was_cut_is_erange_and_no_file),
       T_TEST(path_without_a_directory_is_in_the_working_directory),
       T_TEST(forked_child_copies_what_it_inherited),
       T_TEST(pages_that_cannot_be_read_are_an_error_and_no_signal))
