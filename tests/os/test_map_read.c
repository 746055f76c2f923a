/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Content that is mapped where that is worth it, and read where not: files, pipes, /proc. */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <filemap/filemap.h>

#define SMALL 16383u
#define LARGE 16384u

static const char *file_of_size(struct t_dir *dir, const char *name, size_t size)
{
	const char *path = t_path(dir, name);
	unsigned char *bytes = malloc(size + 1);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (unsigned char)(i * 7 + i / 251);
	t_write_file(path, bytes, size);
	free(bytes);
	return path;
}

static void holds_the_pattern(const struct filemap *map, size_t size)
{
	const unsigned char *bytes = filemap_data(map);
	assert_int_equal(filemap_size(map), size);
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != (unsigned char)(i * 7 + i / 251))
			fail_msg("byte %zu is wrong", i);
}

static void large_files_are_mapped_and_small_ones_read(void **state)
{
	const char *small = file_of_size(*state, "small", SMALL),
		   *large = file_of_size(*state, "large", LARGE);
	struct filemap *map, *writer;
	assert_ok(filemap_open_or_read(small, FILEMAP_TO_END, NULL, &map, NULL));
	holds_the_pattern(map, SMALL);
	assert_int_equal(filemap_fd(map), -1);
	assert_true(filemap_is_immutable(map));
	assert_ok(filemap_open(small, FILEMAP_WRITE, NULL, &writer, NULL)); /* the lock is given back */
	filemap_close(writer);
	filemap_close(map);
	assert_ok(filemap_open_or_read(large, FILEMAP_TO_END, NULL, &map, NULL));
	holds_the_pattern(map, LARGE);
	assert_true(filemap_fd(map) >= 0);
	assert_int_equal(filemap_lock_state(map), FILEMAP_SHARED_LOCK);
	filemap_close(map);
}

static void a_locked_file_is_not_read_either(void **state)
{
	const char *path = file_of_size(*state, "small", 10);
	struct filemap *map, *writer;
	assert_ok(filemap_open(path, FILEMAP_WRITE, NULL, &writer, NULL));
	assert_int_equal(filemap_open_or_read(path, FILEMAP_TO_END, NULL, &map, NULL), FILEMAP_ELOCKED);
	filemap_close(writer);
}

static void exactly_the_cap_fits_and_one_byte_more_does_not(void **state)
{
	const size_t sizes[] = {0, 1, 100, SMALL, LARGE, 70000};
	struct filemap *map;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		const char *path = file_of_size(*state, "f", sizes[i]);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		assert_ok(filemap_open_or_read(path, sizes[i], NULL, &map, NULL));
		holds_the_pattern(map, sizes[i]);
		filemap_close(map);
		assert_ok(filemap_read_fd(fd, sizes[i], &map, NULL));
		holds_the_pattern(map, sizes[i]);
		filemap_close(map);
		if (sizes[i] == 0)
			assert_int_equal(read(fd, &map, 1), 0);
		else {
			assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
			assert_int_equal(filemap_open_or_read(path, sizes[i] - 1, NULL, &map, NULL), -EFBIG);
			assert_int_equal(filemap_read_fd(fd, sizes[i] - 1, &map, NULL), -EFBIG);
			assert_int_equal(lseek(fd, 0, SEEK_CUR), sizes[i]);
		}
		close(fd);
	}
}

static void what_only_claims_to_be_empty_is_read(void **state)
{
	struct filemap *map;
	(void)state;
	assert_int_equal(filemap_open("/proc/self/status", FILEMAP_READ, NULL, &map, NULL), -ENODEV);
	assert_ok(filemap_open_or_read("/proc/self/status", FILEMAP_TO_END, NULL, &map, NULL));
	assert_true(filemap_size(map) > 5);
	assert_memory_equal(filemap_data(map), "Name:", 5);
	filemap_close(map);
	assert_int_equal(filemap_open_or_read("/proc/self/status", 5, NULL, &map, NULL), -EFBIG);
}

static void *feed(void *path)
{
	unsigned char bytes[1000];
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	for (size_t round = 0; round < 200; round++) {
		for (size_t i = 0; i < sizeof bytes; i++) {
			size_t at = round * sizeof bytes + i;
			bytes[i] = (unsigned char)(at * 7 + at / 251);
		}
		if (write(fd, bytes, sizeof bytes) != sizeof bytes)
			break;
	}
	close(fd);
	return NULL;
}

static void fifo_is_read_until_its_writers_are_gone(void **state)
{
	const char *path = t_path(*state, "fifo");
	struct filemap *map;
	pthread_t thread;
	assert_ok(mkfifo(path, 0600));
	assert_int_equal(filemap_open(path, FILEMAP_READ, NULL, &map, NULL), -ENODEV);
	assert_ok(pthread_create(&thread, NULL, feed, (void *)(uintptr_t)path));
	assert_ok(filemap_open_or_read(path, FILEMAP_TO_END, NULL, &map, NULL));
	pthread_join(thread, NULL);
	holds_the_pattern(map, 200000);
	filemap_close(map);
}

static void pipe_is_read_from_where_it_stands(void **state)
{
	struct filemap_error error;
	struct filemap *map;
	int pipes[2];
	(void)state;
	assert_ok(pipe2(pipes, O_CLOEXEC | O_NONBLOCK));
	assert_int_equal(filemap_read_fd(pipes[0], 10, &map, &error), -EAGAIN);
	assert_string_equal(error.step, "read");
	assert_int_equal(write(pipes[1], "abc", 3), 3);
	close(pipes[1]);
	assert_ok(filemap_read_fd(pipes[0], 10, &map, NULL));
	assert_int_equal(filemap_size(map), 3);
	assert_memory_equal(filemap_data(map), "abc", 3);
	filemap_close(map);
	assert_ok(filemap_read_fd(pipes[0], 0, &map, NULL));
	assert_int_equal(filemap_size(map), 0);
	filemap_close(map);
	close(pipes[0]);
	assert_int_equal(filemap_read_fd(-1, 10, &map, &error), FILEMAP_EOPTION);
	assert_int_equal(filemap_read_fd(pipes[0], 10, &map, &error), -EBADF);
}

static void directories_links_and_windows_are_refused(void **state)
{
	struct t_dir *dir = *state;
	const char *path = file_of_size(dir, "f", 3);
	struct filemap_error error;
	struct filemap *map;
	assert_int_equal(filemap_open_or_read(dir->path, 9, NULL, &map, NULL), -EISDIR);
	assert_int_equal(filemap_open_or_read(t_path(dir, "none"), 9, NULL, &map, &error), -ENOENT);
	assert_non_null(strstr(error.detail, "none"));
	assert_ok(symlink("f", t_path(dir, "link")));
	assert_ok(filemap_open_or_read(t_path(dir, "link"), 9, NULL, &map, NULL));
	filemap_close(map);
	assert_int_equal(filemap_open_or_read(t_path(dir, "link"), 9,
					      FILEMAP_OPTIONS(.flags = FILEMAP_NOFOLLOW), &map, NULL),
			 -ELOOP);
	assert_int_equal(filemap_open_or_read(path, 9, FILEMAP_OPTIONS(.offset = 1), &map, &error),
			 FILEMAP_EOPTION);
	assert_string_equal(error.subject, "offset");
	assert_int_equal(filemap_open_or_read(path, 9, FILEMAP_OPTIONS(.length = 1), &map, &error),
			 FILEMAP_EOPTION);
	assert_int_equal(filemap_open_or_read(path, 9, FILEMAP_OPTIONS(.reserve = 1), &map, &error),
			 FILEMAP_EOPTION);
	assert_int_equal(filemap_open_or_read(path, 9, FILEMAP_OPTIONS(.flags = FILEMAP_EMPTY), &map, &error),
			 FILEMAP_EOPTION);
}

static void ignore_signal(int number)
{
	(void)number;
}

/* The timer goes on until it hits the wait: no moment is too early. */
static void signal_ends_the_wait_for_a_writer(void **state)
{
	const struct sigaction action = {.sa_handler = ignore_signal};
	const struct itimerspec every = {{0, 20000000}, {0, 20000000}};
	struct sigaction old;
	struct filemap *map;
	timer_t timer;
	int ends[2];
	(void)state;
	assert_ok(pipe(ends));
	assert_ok(sigaction(SIGALRM, &action, &old));
	assert_ok(timer_create(CLOCK_MONOTONIC, NULL, &timer));
	assert_ok(timer_settime(timer, 0, &every, NULL));
	const int r = filemap_read_fd(ends[0], FILEMAP_TO_END, &map, NULL);
	timer_delete(timer);
	sigaction(SIGALRM, &old, NULL);
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(r, -EINTR);
}

/* One byte more tells too much from just enough; the rest is left to whoever reads on. */
static void descriptor_is_read_to_one_byte_behind_the_cap_at_most(void **state)
{
	static unsigned char bytes[300000];
	const char *path = t_path(*state, "file");
	struct filemap *map;
	t_write_file(path, bytes, sizeof bytes);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(filemap_read_fd(fd, 100000, &map, NULL), -EFBIG);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 100001);
	close(fd);
}

T_MAIN(T_TEST(large_files_are_mapped_and_small_ones_read), T_TEST(a_locked_file_is_not_read_either),
       T_TEST(exactly_the_cap_fits_and_one_byte_more_does_not), T_TEST(what_only_claims_to_be_empty_is_read),
       T_TEST(fifo_is_read_until_its_writers_are_gone), T_TEST(pipe_is_read_from_where_it_stands),
       T_TEST(directories_links_and_windows_are_refused), T_TEST(signal_ends_the_wait_for_a_writer),
       T_TEST(descriptor_is_read_to_one_byte_behind_the_cap_at_most))
