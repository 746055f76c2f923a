/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Every way to a file mapping but the plain one: modes, directories, descriptors, windows, with. */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "smaps.h"

#define PAGE ((size_t)sysconf(_SC_PAGESIZE))

static const char *file_of(struct t_dir *dir, const char *name, const char *content)
{
	const char *path = t_path(dir, name);
	t_write_file(path, content, strlen(content));
	return path;
}

static void content_is(const struct filemap *map, const char *expected)
{
	assert_int_equal(filemap_size(map), strlen(expected));
	assert_memory_equal(filemap_data(map), expected, strlen(expected));
}

static void cow_changes_are_private_and_need_only_read_permission(void **state)
{
	const char *path = file_of(*state, "f", "original");
	struct filemap *map;
	char bytes[8];
	assert_ok(chmod(path, 0444));
	assert_ok(filemap_open(path, FILEMAP_COW, NULL, &map, NULL));
	assert_true(filemap_is_cow(map));
	assert_ok(filemap_write_all(map, 0, "changed!", 8));
	content_is(map, "changed!");
	assert_ok(filemap_flush(map));
	assert_ok(filemap_sync(map));
	assert_int_equal(t_read_file(path, bytes, 8), 8);
	assert_memory_equal(bytes, "original", 8);
	assert_int_equal(filemap_resize(map, 4, NULL), FILEMAP_EMODE);
	filemap_close(map);
}

static int open_cow(void *path)
{
	struct filemap *map;
	int r = t_become_nobody() < 0 ? 1 : 0;
	if (r == 0 && filemap_open(path, FILEMAP_WRITE, NULL, &map, NULL) != -EACCES)
		return 2;
	if (r == 0 && filemap_open(path, FILEMAP_COW, NULL, &map, NULL) != 0)
		return 3;
	return r;
}

static void cow_of_a_file_that_may_only_be_read_works_for_nobody(void **state)
{
	struct t_dir *dir = *state;
	const char *path = file_of(dir, "f", "original");
	if (geteuid() != 0)
		t_skip("needs root, to become nobody");
	assert_ok(chmod(dir->path, 0755));
	assert_ok(chmod(path, 0644));
	assert_int_equal(t_in_child(open_cow, (void *)path), 0);
}

static void exec_runs_code_of_a_file(void **state)
{
#if defined(__x86_64__)
	static const unsigned char code[] = {0xB8, 0xAB, 0x00, 0x00, 0x00, 0xC3}; /* mov eax, 0xAB; ret */
#elif defined(__aarch64__)
	static const unsigned char code[] = {0x60, 0x15, 0x80, 0x52, 0xC0, 0x03, 0x5F, 0xD6};
#else
	static const unsigned char code[] = {0};
	t_skip("no machine code for this processor here");
#endif
	const char *path = t_path(*state, "code");
	struct filemap *map;
	int (*function)(void);
	t_write_file(path, code, sizeof code);
	assert_ok(filemap_open(path, FILEMAP_EXEC, NULL, &map, NULL));
	assert_true(filemap_is_exec(map));
	function = (int (*)(void))filemap_code(map, 0);
	assert_non_null(function);
	assert_int_equal(function(), 0xAB);
	assert_null(filemap_code(map, sizeof code));
	assert_null(filemap_data_mut(map));
	assert_int_equal(filemap_write_all(map, 0, "x", 1), FILEMAP_EMODE);
	filemap_close(map);
	assert_ok(filemap_open(path, FILEMAP_READ, NULL, &map, NULL));
	assert_null(filemap_code(map, 0));
	filemap_close(map);
}

static void open_at_starts_in_the_directory(void **state)
{
	struct t_dir *dir = *state;
	struct filemap *map;
	const char *path = file_of(dir, "f", "found");
	int fd = open(dir->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_ok(filemap_open_at(fd, "f", FILEMAP_READ, NULL, &map, NULL));
	content_is(map, "found");
	filemap_close(map);
	assert_ok(
		filemap_open_at(fd, path, FILEMAP_WRITE, NULL, &map, NULL)); /* absolute: fd does not count */
	filemap_close(map);
	assert_ok(filemap_open_at(fd, "new", FILEMAP_WRITE,
				  FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW, .size = 3), &map, NULL));
	close(fd);
	assert_int_equal(t_file_size(t_path(dir, "new")), 3);
	assert_ok(filemap_resize(map, 9, NULL));
	filemap_close(map);
}

static void open_at_refuses_what_is_no_directory(void **state)
{
	struct filemap_error error;
	struct filemap *map;
	int fd = open(file_of(*state, "f", "x"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(filemap_open_at(-1, "f", FILEMAP_READ, NULL, &map, &error), FILEMAP_EOPTION);
	assert_string_equal(error.subject, "dirfd");
	assert_int_equal(filemap_open_at(fd, "f", FILEMAP_READ, NULL, &map, &error), -ENOTDIR);
	close(fd);
	assert_int_equal(filemap_open_at(fd, "f", FILEMAP_WRITE, NULL, &map, &error), -EBADF);
	assert_string_equal(error.step, "open parent directory");
}

static void open_fd_has_a_description_and_a_lock_of_its_own(void **state)
{
	const char *path = file_of(*state, "f", "content");
	struct filemap *map;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_ok(flock(fd, LOCK_EX));
	assert_int_equal(filemap_open_fd(fd, FILEMAP_READ, NULL, &map, NULL), FILEMAP_ELOCKED);
	assert_ok(flock(fd, LOCK_SH));
	assert_ok(filemap_open_fd(fd, FILEMAP_READ, NULL, &map, NULL));
	assert_int_not_equal(filemap_fd(map), fd);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1); /* the mapping's is another one */
	assert_ok(flock(fd, LOCK_UN));
	assert_int_equal(filemap_lock_state(map), FILEMAP_SHARED_LOCK);
	filemap_close(map);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
	close(fd);
}

static void open_fd_maps_a_file_without_a_name_and_writes_it(void **state)
{
	const char *path = file_of(*state, "f", "nameless");
	struct filemap *map;
	char bytes[8];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_ok(unlink(path));
	assert_ok(filemap_open_fd(fd, FILEMAP_WRITE, NULL, &map, NULL));
	assert_ok(filemap_write_all(map, 0, "NAME", 4));
	assert_ok(filemap_resize(map, 16, NULL));
	assert_int_equal(pread(fd, bytes, 8, 0), 8);
	assert_memory_equal(bytes, "NAMEless", 8);
	filemap_close(map);
	close(fd);
}

static void open_fd_refuses_what_is_no_regular_file(void **state)
{
	struct t_dir *dir = *state;
	struct filemap_error error;
	struct filemap *map;
	int pipes[2];
	assert_ok(pipe2(pipes, O_CLOEXEC));
	assert_int_equal(filemap_open_fd(pipes[0], FILEMAP_READ, NULL, &map, NULL), -ENODEV);
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(filemap_open_fd(dir->fd, FILEMAP_READ, NULL, &map, NULL), -EISDIR);
	assert_int_equal(filemap_open_fd(-1, FILEMAP_READ, NULL, &map, &error), FILEMAP_EOPTION);
	assert_string_equal(error.subject, "fd");
	assert_int_equal(filemap_open_fd(pipes[0], FILEMAP_READ, NULL, &map, &error), -EBADF);
	assert_int_equal(
		filemap_open_fd(0, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE), &map, &error),
		FILEMAP_EOPTION);
	assert_string_equal(error.detail, "CREATE");
}

static void windows_of_one_file_live_by_themselves_under_one_lock(void **state)
{
	const char *path = file_of(*state, "f", "0123456789");
	struct filemap *parent, *tail, *other;
	assert_ok(filemap_open(path, FILEMAP_WRITE, NULL, &parent, NULL));
	assert_ok(filemap_window(parent, FILEMAP_READ, 7, FILEMAP_TO_END, &tail, NULL));
	content_is(tail, "789");
	assert_int_equal(filemap_offset(tail), 7);
	assert_string_equal(filemap_path(tail), path);
	assert_ok(filemap_write_all(parent, 7, "abc", 3));
	content_is(tail, "abc");
	assert_int_equal(filemap_resize(parent, 9, NULL), FILEMAP_EBUSY);
	filemap_close(parent);
	content_is(tail, "abc");
	assert_int_equal(filemap_open(path, FILEMAP_READ, NULL, &other, NULL), FILEMAP_ELOCKED);
	filemap_close(tail);
	assert_ok(filemap_open(path, FILEMAP_READ, NULL, &other, NULL));
	filemap_close(other);
}

static void window_can_do_no_more_than_its_parent(void **state)
{
	const char *path = file_of(*state, "f", "0123456789");
	struct filemap *parent, *window = NULL;
	assert_ok(filemap_open(path, FILEMAP_READ, NULL, &parent, NULL));
	assert_int_equal(filemap_window(parent, FILEMAP_WRITE, 0, 0, &window, NULL), FILEMAP_EMODE);
	assert_int_equal(filemap_window(parent, 3, 0, 0, &window, NULL), FILEMAP_EOPTION);
	assert_int_equal(filemap_window(parent, FILEMAP_READ, 11, 0, &window, NULL), FILEMAP_ERANGE);
	assert_int_equal(filemap_window(parent, FILEMAP_READ, 5, 6, &window, NULL), FILEMAP_ERANGE);
	assert_int_equal(filemap_window(parent, FILEMAP_READ, UINT64_MAX, 2, &window, NULL), FILEMAP_ERANGE);
	assert_null(window);
	assert_ok(filemap_window(parent, FILEMAP_COW, 0, 4, &window, NULL));
	assert_ok(filemap_write_all(window, 0, "abcd", 4));
	content_is(parent, "0123456789");
	filemap_close(window);
	assert_ok(filemap_window(parent, FILEMAP_EXEC, 10, 0, &window, NULL));
	assert_int_equal(filemap_size(window), 0);
	filemap_close(window);
	filemap_close(parent);
}

static void no_window_writes_while_another_one_executes(void **state)
{
	const char *path = file_of(*state, "f", "0123456789");
	struct filemap *parent, *window = NULL;
	assert_ok(filemap_open(path, FILEMAP_WRITE, NULL, &parent, NULL));
	assert_int_equal(filemap_window(parent, FILEMAP_EXEC, 0, 0, &window, NULL), FILEMAP_EMODE);
	assert_ok(filemap_freeze_exec(parent, NULL));
	assert_int_equal(filemap_window(parent, FILEMAP_WRITE, 0, 0, &window, NULL), FILEMAP_EMODE);
	assert_ok(filemap_thaw(parent, NULL));
	assert_ok(filemap_window(parent, FILEMAP_WRITE, 0, 0, &window, NULL));
	assert_int_equal(filemap_freeze_exec(parent, NULL), FILEMAP_EBUSY);
	filemap_close(window);
	filemap_close(parent);
}

static int sum(const void *data, size_t size, void *context)
{
	const unsigned char *bytes = data;
	for (size_t i = 0; i < size; i++)
		*(int *)context += bytes[i];
	return (int)size;
}

static void with_lends_the_bytes_and_closes(void **state)
{
	const char *path = file_of(*state, "f", "\1\2\3");
	struct filemap *map;
	int total = 0, result = -1;
	assert_ok(filemap_with(path, NULL, sum, &total, &result, NULL));
	assert_int_equal(total, 6);
	assert_int_equal(result, 3);
	assert_ok(filemap_open(path, FILEMAP_WRITE, NULL, &map, NULL));
	assert_int_equal(filemap_with(path, NULL, sum, &total, &result, NULL), FILEMAP_ELOCKED);
	filemap_close(map);
	assert_int_equal(filemap_with(path, NULL, NULL, NULL, NULL, NULL), FILEMAP_EOPTION);
	assert_int_equal(total, 6);
}

static void pin_parent_keeps_the_directory_in_every_mode(void **state)
{
	struct t_dir *dir = *state;
	const char *path = file_of(dir, "f", "x");
	struct t_census before = t_census_take(dir->path);
	struct filemap *map;
	assert_ok(filemap_open(path, FILEMAP_READ, NULL, &map, NULL));
	assert_int_equal(t_census_take(dir->path).descriptors, before.descriptors + 1);
	filemap_close(map);
	assert_ok(filemap_open(path, FILEMAP_READ, FILEMAP_OPTIONS(.flags = FILEMAP_PIN_PARENT), &map, NULL));
	assert_int_equal(t_census_take(dir->path).descriptors, before.descriptors + 2);
	filemap_close(map);
}

static int write_in_search_only_directory(void *context)
{
	struct filemap_error error;
	struct filemap *map;
	char path[512];
	snprintf(path, sizeof path, "%s/f", (char *)context);
	if (t_become_nobody() < 0)
		return 1;
	if (filemap_open(path, FILEMAP_WRITE, NULL, &map, NULL) != 0)
		return 2;
	filemap_close(map);
	snprintf(path, sizeof path, "%s/new", (char *)context);
	if (filemap_open(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE), &map, &error) !=
	    -EACCES)
		return 3;
	if (strcmp(error.step, "open parent directory") != 0 || access(path, F_OK) == 0)
		return 4;
	if (filemap_open(path, FILEMAP_WRITE,
			 FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | FILEMAP_NO_DURABLE_NAME), &map, NULL) != 0)
		return 5;
	filemap_close(map);
	return 0;
}

static void directory_that_may_only_be_searched_is_enough_unless_it_must_be_synced(void **state)
{
	struct t_dir *dir = *state;
	char sub[512];
	if (geteuid() != 0)
		t_skip("needs root, to become nobody");
	snprintf(sub, sizeof sub, "%s", t_path(dir, "sub"));
	assert_ok(mkdir(sub, 0700));
	t_write_file(t_path(dir, "sub/f"), "x", 1);
	assert_ok(chmod(t_path(dir, "sub/f"), 0666));
	assert_ok(chmod(dir->path, 0755));
	assert_ok(chmod(sub, 0733));
	assert_int_equal(t_in_child(write_in_search_only_directory, sub), 0);
}

static void writing_window_needs_what_its_parent_needed(void **state)
{
	const char *path = file_of(*state, "f", "0123456789");
	struct filemap *parent, *window = NULL;
	struct filemap_error error;
	assert_ok(filemap_open(path, FILEMAP_WRITE, NULL, &parent, NULL));
	assert_ok(filemap_unlock(parent));
	assert_int_equal(filemap_window(parent, FILEMAP_WRITE, 0, 0, &window, &error), FILEMAP_EMODE);
	assert_string_equal(error.subject, "lock");
	assert_ok(filemap_window(parent, FILEMAP_READ, 0, 0, &window, NULL));
	filemap_close(window);
	assert_ok(filemap_lock(parent, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
	assert_ok(filemap_window(parent, FILEMAP_WRITE, 0, 0, &window, NULL));
	filemap_close(window);
	filemap_close(parent);
	assert_ok(filemap_open(path, FILEMAP_READ, FILEMAP_OPTIONS(.lock_family = FILEMAP_LOCK_NONE), &parent,
			       NULL));
	assert_int_equal(filemap_window(parent, FILEMAP_WRITE, 0, 0, &window, &error), FILEMAP_EMODE);
	assert_string_equal(error.subject, "mode");
	filemap_close(parent);
}

static int open_window(void *parent)
{
	struct filemap *window;
	return filemap_window(parent, FILEMAP_READ, 0, 0, &window, NULL) == FILEMAP_EFORKED ? 0 : 1;
}

static void forked_child_gets_no_window(void **state)
{
	struct filemap *parent;
	assert_ok(filemap_open(file_of(*state, "f", "0123456789"), FILEMAP_WRITE, NULL, &parent, NULL));
	assert_int_equal(t_in_child(open_window, parent), 0);
	filemap_close(parent);
}

static void window_is_kept_from_children_and_dumps_like_its_parent(void **state)
{
	const char *path = file_of(*state, "f", "0123456789");
	const uint32_t flags[] = {0, FILEMAP_DONTFORK, FILEMAP_DONTDUMP};
	for (size_t i = 0; i < 3; i++) {
		struct filemap *parent, *window;
		assert_ok(
			filemap_open(path, FILEMAP_READ, FILEMAP_OPTIONS(.flags = flags[i]), &parent, NULL));
		assert_ok(filemap_window(parent, FILEMAP_COW, 0, 0, &window, NULL));
		assert_int_equal(smaps_has_flag(filemap_data(window), "dc"), i == 1);
		assert_int_equal(smaps_has_flag(filemap_data(window), "dd"), i == 2);
		filemap_close(window);
		filemap_close(parent);
	}
}

static void window_of_a_sparse_file_grows_it_without_blocks(void **state)
{
	struct filemap *parent, *window;
	struct filemap_stat status;
	assert_ok(filemap_open(t_path(*state, "f"), FILEMAP_WRITE,
			       FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | FILEMAP_SPARSE, .size = 10), &parent,
			       NULL));
	assert_ok(filemap_window(parent, FILEMAP_WRITE, 0, 0, &window, NULL));
	assert_ok(filemap_resize(window, 1 << 21, NULL));
	assert_ok(filemap_stat(window, &status));
	assert_true(status.blocks * 512 < 1 << 20);
	filemap_close(window);
	filemap_close(parent);
}

T_MAIN(T_TEST(cow_changes_are_private_and_need_only_read_permission),
       T_TEST(cow_of_a_file_that_may_only_be_read_works_for_nobody), T_TEST(exec_runs_code_of_a_file),
       T_TEST(open_at_starts_in_the_directory), T_TEST(open_at_refuses_what_is_no_directory),
       T_TEST(open_fd_has_a_description_and_a_lock_of_its_own),
       T_TEST(open_fd_maps_a_file_without_a_name_and_writes_it),
       T_TEST(open_fd_refuses_what_is_no_regular_file),
       T_TEST(windows_of_one_file_live_by_themselves_under_one_lock),
       T_TEST(window_can_do_no_more_than_its_parent), T_TEST(no_window_writes_while_another_one_executes),
       T_TEST(with_lends_the_bytes_and_closes), T_TEST(pin_parent_keeps_the_directory_in_every_mode),
       T_TEST(directory_that_may_only_be_searched_is_enough_unless_it_must_be_synced),
       T_TEST(writing_window_needs_what_its_parent_needed), T_TEST(forked_child_gets_no_window),
       T_TEST(window_is_kept_from_children_and_dumps_like_its_parent),
       T_TEST(window_of_a_sparse_file_grows_it_without_blocks))
