/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Opening real files: what is mapped, what is created, and with which size and permissions. */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "map/map.h"

static struct filemap *open_ok(const char *path, unsigned mode, const struct filemap_options *options)
{
	struct filemap_error error = {0};
	struct filemap *map = NULL;
	int r = filemap_open(path, mode, options, &map, &error);
	if (r < 0) {
		char line[512];
		filemap_error_format(&error, line, sizeof line);
		fail_msg("open: %s", line);
	}
	return map;
}

static void read_of_a_file_shows_its_bytes(void **state)
{
	const char *path = t_path(*state, "file");
	t_write_file(path, "hello", 5);
	struct filemap *map = open_ok(path, FILEMAP_READ, NULL);
	assert_int_equal(filemap_size(map), 5);
	assert_memory_equal(filemap_data(map), "hello", 5);
	assert_null(filemap_data_mut(map));
	assert_int_equal(filemap_mode(map), FILEMAP_READ);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	assert_string_equal(filemap_path(map), path);
	assert_int_equal(filemap_offset(map), 0);
	assert_int_equal(filemap_poison_cause(map), 0);
	filemap_close(map);
}

static void write_through_the_mapping_is_the_file(void **state)
{
	const char *path = t_path(*state, "file");
	char bytes[8];
	t_write_file(path, "hello", 5);
	struct filemap *map = open_ok(path, FILEMAP_WRITE, NULL);
	memcpy(filemap_data_mut(map), "J", 1);
	filemap_close(map);
	assert_int_equal(t_read_file(path, bytes, sizeof bytes), 5);
	assert_memory_equal(bytes, "Jello", 5);
}

static void create_of_a_new_file_allocates_its_size(void **state)
{
	const char *path = t_path(*state, "file");
	struct filemap_stat status;
	struct filemap *map =
		open_ok(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 100000));
	assert_int_equal(filemap_size(map), 100000);
	assert_ok(filemap_stat(map, &status));
	assert_int_equal(status.size, 100000);
	assert_true(status.blocks * 512 >= 100000);
	assert_int_equal(status.links, 1);
	for (size_t i = 0; i < 100000; i++)
		assert_int_equal(((const char *)filemap_data(map))[i], 0);
	filemap_close(map);
	assert_int_equal(t_file_size(path), 100000);
}

static void create_sparse_takes_no_blocks(void **state)
{
	struct filemap_stat status;
	struct filemap *map =
		open_ok(t_path(*state, "file"), FILEMAP_WRITE,
			FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW | FILEMAP_SPARSE, .size = 1 << 20));
	assert_ok(filemap_stat(map, &status));
	assert_int_equal(status.size, 1 << 20);
	assert_true(status.blocks * 512 < 1 << 20);
	filemap_close(map);
}

static void create_uses_permissions_and_umask(void **state)
{
	struct filemap_stat status;
	const mode_t old = umask(022);
	struct filemap *map =
		open_ok(t_path(*state, "a"), FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE));
	assert_ok(filemap_stat(map, &status));
	assert_int_equal(status.mode & 07777, 0644);
	filemap_close(map);
	map = open_ok(t_path(*state, "b"), FILEMAP_WRITE,
		      FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .permissions = 0460));
	assert_ok(filemap_stat(map, &status));
	assert_int_equal(status.mode & 07777, 0440);
	filemap_close(map);
	umask(old);
}

static void create_of_an_existing_file_keeps_content_and_size(void **state)
{
	const char *path = t_path(*state, "file");
	t_write_file(path, "hello", 5);
	struct filemap *map =
		open_ok(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 4096));
	assert_int_equal(filemap_size(map), 5);
	assert_memory_equal(filemap_data(map), "hello", 5);
	filemap_close(map);
}

static void size_is_given_to_a_file_that_was_found_empty(void **state)
{
	const char *path = t_path(*state, "file");
	t_write_file(path, "", 0);
	struct filemap *map = open_ok(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.size = 4097));
	assert_int_equal(filemap_size(map), 4097);
	filemap_close(map);
	assert_int_equal(t_file_size(path), 4097);
}

static void truncate_empties_and_gives_the_size(void **state)
{
	const char *path = t_path(*state, "file");
	t_write_file(path, "hello", 5);
	struct filemap *map =
		open_ok(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_TRUNCATE, .size = 8));
	assert_int_equal(filemap_size(map), 8);
	assert_memory_equal(filemap_data(map), "\0\0\0\0\0\0\0\0", 8);
	filemap_close(map);
	map = open_ok(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_TRUNCATE));
	assert_int_equal(filemap_size(map), 0);
	filemap_close(map);
	assert_int_equal(t_file_size(path), 0);
}

static void empty_file_is_a_valid_mapping(void **state)
{
	const char *path = t_path(*state, "file");
	char byte = 'x';
	t_write_file(path, "", 0);
	for (unsigned mode = FILEMAP_READ; mode <= FILEMAP_WRITE; mode += FILEMAP_WRITE - FILEMAP_READ) {
		struct filemap *map = open_ok(path, mode, NULL);
		assert_int_equal(filemap_size(map), 0);
		assert_non_null(filemap_data(map));
		assert_int_equal((uintptr_t)filemap_data(map) % (uintptr_t)sysconf(_SC_PAGESIZE), 0);
		assert_int_equal(filemap_data_mut(map) != NULL, mode == FILEMAP_WRITE);
		assert_int_equal(filemap_read_some(map, 0, &byte, 1), 0);
		assert_ok(filemap_flush(map));
		assert_ok(filemap_sync(map));
		assert_int_equal(filemap_flush_range(map, 0, 1), FILEMAP_ERANGE);
		filemap_close(map);
	}
}

static void window_at_any_offset_shows_its_part(void **state)
{
	const char *path = t_path(*state, "file");
	static unsigned char bytes[20000];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)(i * 7 + i / 256);
	t_write_file(path, bytes, sizeof bytes);
	const size_t offsets[] = {0, 1, 77, 4095, 4096, 4097, 12288, 19999, 20000};
	for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
		struct filemap *map = open_ok(path, FILEMAP_READ, FILEMAP_OPTIONS(.offset = offsets[i]));
		assert_int_equal(filemap_size(map), sizeof bytes - offsets[i]);
		assert_int_equal(filemap_offset(map), offsets[i]);
		if (filemap_size(map))
			assert_memory_equal(filemap_data(map), bytes + offsets[i], filemap_size(map));
		assert_ok(filemap_flush(map));
		filemap_close(map);
	}
	struct filemap *map = open_ok(path, FILEMAP_READ, FILEMAP_OPTIONS(.offset = 4000, .length = 5000));
	assert_int_equal(filemap_size(map), 5000);
	assert_memory_equal(filemap_data(map), bytes + 4000, 5000);
	filemap_close(map);
}

static void empty_flag_gives_a_window_of_nothing(void **state)
{
	const char *path = t_path(*state, "file");
	t_write_file(path, "hello", 5);
	struct filemap *map =
		open_ok(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_EMPTY, .offset = 3));
	assert_int_equal(filemap_size(map), 0);
	assert_non_null(filemap_data(map));
	assert_ok(filemap_resize(map, 9000, NULL));
	assert_int_equal(filemap_size(map), 0);
	filemap_close(map);
	assert_int_equal(t_file_size(path), 9000);
}

static void open_works_relative_to_the_working_directory(void **state)
{
	const struct t_dir *dir = *state;
	char old[4096];
	assert_non_null(getcwd(old, sizeof old));
	assert_ok(chdir(dir->path));
	struct filemap *map =
		open_ok("file", FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 1));
	filemap_close(map);
	map = open_ok("./file", FILEMAP_READ, NULL);
	assert_int_equal(filemap_size(map), 1);
	filemap_close(map);
	assert_ok(chdir(old));
}

static void existing_file_is_opened_through_a_link(void **state)
{
	t_write_file(t_path(*state, "file"), "hello", 5);
	assert_ok(symlink("file", t_path(*state, "link")));
	struct filemap *map =
		open_ok(t_path(*state, "link"), FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE));
	assert_int_equal(filemap_size(map), 5);
	filemap_close(map);
}

static void descriptors_are_close_on_exec(void **state)
{
	struct filemap *map =
		open_ok(t_path(*state, "file"), FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE));
	for (int fd = 3; fd < 64; fd++) {
		char link[64], target[512];
		snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		ssize_t n = readlink(link, target, sizeof target - 1);
		const struct t_dir *dir = *state;
		if (n < 0 || fd == dir->fd)
			continue;
		target[n] = '\0';
		if (strstr(target, dir->path))
			assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	}
	filemap_close(map);
}

static void adopted_descriptor_is_mapped_whole_and_closed(void **state)
{
	const char *path = t_path(*state, "file");
	struct filemap *map;
	t_write_file(path, "hello", 5);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_ok(fm__map_adopt(fd, path, FILEMAP_WRITE, FILEMAP_DONTFORK, &map, NULL));
	assert_int_equal(filemap_fd(map), fd);
	assert_int_equal(filemap_size(map), 5);
	assert_ok(filemap_resize(map, 10000, NULL));
	assert_int_equal(filemap_size(map), 10000);
	filemap_close(map);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void adopting_fails_and_leaves_the_descriptor(void **state)
{
	const char *path = t_path(*state, "file");
	struct filemap *map = NULL;
	struct filemap_error error;
	t_write_file(path, "hello", 5);
	int fd = open(path, O_RDONLY | O_CLOEXEC); /* cannot be mapped for writing */
	assert_int_equal(fm__map_adopt(fd, path, FILEMAP_WRITE, 0, &map, &error), -EACCES);
	assert_string_equal(error.step, "map");
	assert_string_equal(error.detail, path);
	assert_null(map);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	close(fd);
}

static void close_of_nothing_is_fine(void **state)
{
	(void)state;
	filemap_close(NULL);
}

#define OLD_SIZE 1000

static int truncate_beyond_the_limit(void *path)
{
	const struct rlimit limit = {65536, 65536};
	struct filemap *map;
	if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
		return 1;
	if (filemap_open(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_TRUNCATE, .size = 1 << 20),
			 &map, NULL) != -EFBIG)
		return 2;
	if (filemap_open(path, FILEMAP_WRITE,
			 FILEMAP_OPTIONS(.flags = FILEMAP_TRUNCATE | FILEMAP_SPARSE, .size = 1 << 20), &map,
			 NULL) != -EFBIG)
		return 3;
	return 0;
}

static void truncate_to_a_size_beyond_a_limit_keeps_the_content(void **state)
{
	const char *path = t_path(*state, "file");
	char bytes[OLD_SIZE], after[OLD_SIZE + 1];
	struct filemap *map;
	memset(bytes, 'x', sizeof bytes);
	t_write_file(path, bytes, sizeof bytes);
	assert_ok(t_in_child(truncate_beyond_the_limit, (void *)(uintptr_t)path));
	/* Hardly a file system allows so much; one that does has done what it was asked for. */
	if (filemap_open(path, FILEMAP_WRITE,
			 FILEMAP_OPTIONS(.flags = FILEMAP_TRUNCATE | FILEMAP_SPARSE,
					 .size = UINT64_C(1) << 62, .length = 4096),
			 &map, NULL) == 0) {
		filemap_close(map);
		return;
	}
	assert_int_equal(t_read_file(path, after, sizeof after), sizeof bytes);
	assert_memory_equal(after, bytes, sizeof bytes);
}

T_MAIN(T_TEST(read_of_a_file_shows_its_bytes), T_TEST(write_through_the_mapping_is_the_file),
       T_TEST(create_of_a_new_file_allocates_its_size), T_TEST(create_sparse_takes_no_blocks),
       T_TEST(create_uses_permissions_and_umask), T_TEST(create_of_an_existing_file_keeps_content_and_size),
       T_TEST(size_is_given_to_a_file_that_was_found_empty), T_TEST(truncate_empties_and_gives_the_size),
       T_TEST(empty_file_is_a_valid_mapping), T_TEST(window_at_any_offset_shows_its_part),
       T_TEST(empty_flag_gives_a_window_of_nothing), T_TEST(open_works_relative_to_the_working_directory),
       T_TEST(existing_file_is_opened_through_a_link), T_TEST(descriptors_are_close_on_exec),
       T_TEST(adopted_descriptor_is_mapped_whole_and_closed),
       T_TEST(adopting_fails_and_leaves_the_descriptor), T_PLAIN(close_of_nothing_is_fine),
       T_TEST(truncate_to_a_size_beyond_a_limit_keeps_the_content))
