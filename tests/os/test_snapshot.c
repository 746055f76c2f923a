/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Sealed snapshots of files: their content, their seals, and that nothing which happens to the file matters. */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "copy.h"

#define SIZE 300000
#define ALL_SEALS (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static unsigned char content[SIZE];
static struct filemap_error error;

static const char *make_source(const struct t_dir *dir, size_t size)
{
	const char *path = t_path(dir, "source");
	fill_bytes(content, size);
	t_write_file(path, content, size);
	return path;
}

static struct filemap *take(const char *path)
{
	struct filemap *map = NULL;
	assert_ok(filemap_snapshot(path, FILEMAP_TO_END, NULL, &map, &error));
	return map;
}

static void assert_shows(const struct filemap *map, size_t from, size_t size)
{
	assert_int_equal(filemap_size(map), size);
	assert_memory_equal(filemap_data(map), content + from, size);
}

static int64_t blocks_of(const struct filemap *map)
{
	struct filemap_stat file;
	assert_ok(filemap_stat(map, &file));
	return (int64_t)file.blocks * 512;
}

static void snapshot_holds_the_content_and_no_lock(void **state)
{
	static const size_t sizes[] = {1, 4095, 4096, 4097, 131072, SIZE};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		const char *path = make_source(*state, sizes[i]);
		struct filemap *map = take(path), *writer;
		assert_shows(map, 0, sizes[i]);
		assert_true(filemap_is_immutable(map));
		assert_int_equal(filemap_mode(map), FILEMAP_READ);
		assert_int_equal(filemap_offset(map), 0);
		assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
		assert_string_equal(filemap_path(map), path);
		assert_int_equal(filemap_lock_state(map), FILEMAP_UNLOCKED);
		assert_ok(filemap_open(path, FILEMAP_WRITE, NULL, &writer, NULL));
		filemap_close(writer);
		filemap_close(map);
	}
}

static void empty_file_is_an_empty_snapshot(void **state)
{
	struct filemap *map = take(make_source(*state, 0));
	struct stat status;
	assert_int_equal(filemap_size(map), 0);
	assert_non_null(filemap_data(map));
	assert_true(filemap_is_immutable(map));
	assert_ok(fstat(filemap_fd(map), &status));
	assert_int_equal(status.st_size, 0);
	assert_int_equal(ftruncate(filemap_fd(map), 1), -1);
	filemap_close(map);
}

static void file_that_lies_about_its_size_is_refused(void **state)
{
	struct filemap *map;
	(void)state;
	assert_int_equal(filemap_snapshot("/proc/self/status", 1000, NULL, &map, NULL), -ENODEV);
}

static void file_that_is_shorter_than_its_size_is_refused(void **state)
{
	static const char path[] = "/sys/kernel/mm/transparent_hugepage/enabled";
	struct filemap *map;
	struct stat status;
	(void)state;
	if (stat(path, &status) < 0 || status.st_size == 0)
		t_skip("there is no file of sysfs");
	assert_int_equal(filemap_snapshot(path, 1u << 20, NULL, &map, &error), -ENODEV);
	assert_non_null(strstr(error.hint, "less content"));
}

static void exactly_the_cap_fits_and_one_byte_more_does_not(void **state)
{
	const char *path = make_source(*state, SIZE);
	struct filemap *map;
	assert_ok(filemap_snapshot(path, SIZE, NULL, &map, NULL));
	assert_shows(map, 0, SIZE);
	filemap_close(map);
	assert_int_equal(filemap_snapshot(path, SIZE - 1, NULL, &map, &error), -EFBIG);
	assert_string_equal(error.subject, "max_bytes");
	assert_string_equal(error.detail, path);
	assert_int_equal(filemap_snapshot(path, 0, NULL, &map, NULL), -EFBIG);
	make_source(*state, 0);
	assert_ok(filemap_snapshot(path, 0, NULL, &map, NULL));
	filemap_close(map);
}

static void window_is_what_is_copied_and_capped(void **state)
{
	const char *path = make_source(*state, SIZE);
	struct filemap *map;
	char bytes[16];
	assert_ok(filemap_snapshot(path, 1000, FILEMAP_OPTIONS(.offset = 5001, .length = 1000), &map, NULL));
	assert_shows(map, 5001, 1000);
	assert_int_equal(filemap_offset(map), 0);
	assert_int_equal(pread(filemap_fd(map), bytes, sizeof bytes, 0), sizeof bytes);
	assert_memory_equal(bytes, content + 5001, sizeof bytes);
	filemap_close(map);
	assert_ok(filemap_snapshot(path, 7, FILEMAP_OPTIONS(.offset = SIZE - 7), &map, NULL));
	assert_shows(map, SIZE - 7, 7);
	filemap_close(map);
	assert_ok(filemap_snapshot(path, 0, FILEMAP_OPTIONS(.offset = SIZE), &map, NULL));
	assert_int_equal(filemap_size(map), 0);
	filemap_close(map);
	assert_int_equal(filemap_snapshot(path, SIZE, FILEMAP_OPTIONS(.offset = SIZE + 1), &map, NULL),
			 FILEMAP_ERANGE);
	assert_int_equal(
		filemap_snapshot(path, SIZE, FILEMAP_OPTIONS(.offset = 1, .length = SIZE), &map, NULL),
		FILEMAP_ERANGE);
}

static void holes_cost_no_memory(void **state)
{
	const char *path = t_path(*state, "source");
	const size_t size = (size_t)64 << 20, at = (size_t)20 << 20;
	const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct filemap *map;
	const unsigned char *bytes;
	assert_ok(ftruncate(fd, (off_t)size));
	fill_bytes(content, 5000);
	assert_int_equal(pwrite(fd, content, 5000, (off_t)at), 5000);
	close(fd);
	map = take(path);
	bytes = filemap_data(map);
	assert_int_equal(filemap_size(map), size);
	assert_true(blocks_of(map) <= 2 << 20); /* a huge page where those are used for memory files */
	assert_memory_equal(bytes + at, content, 5000);
	assert_int_equal(bytes[0] | bytes[at - 1] | bytes[at + 5000] | bytes[size - 1], 0);
	filemap_close(map);
}

static void what_becomes_of_the_file_does_not_matter(void **state)
{
	const char *path = make_source(*state, SIZE);
	struct filemap *map = take(path);
	t_write_file(path, "other", 5);
	assert_shows(map, 0, SIZE);
	assert_ok(truncate(path, 0));
	assert_shows(map, 0, SIZE);
	assert_ok(unlink(path));
	assert_shows(map, 0, SIZE);
	filemap_close(map);
}

static void kernel_refuses_each_way_to_its_bytes(void **state)
{
	struct filemap *map = take(make_source(*state, SIZE));
	const int fd = filemap_fd(map);
	char path[64];
	int writable;
	void *page = (void *)(uintptr_t)filemap_data(map);

	assert_int_equal(fcntl(fd, F_GET_SEALS) & ALL_SEALS, ALL_SEALS);
	assert_int_equal(mprotect(page, 4096, PROT_READ | PROT_WRITE), -1);
	assert_int_equal(errno, EACCES);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	writable = open(path, O_RDWR | O_CLOEXEC);
	assert_true(writable >= 0);
	assert_int_equal(pwrite(writable, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, writable, 0), MAP_FAILED);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(writable, 1), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(writable, SIZE + 1), -1);
	assert_int_equal(fallocate(writable, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(fcntl(writable, F_ADD_SEALS, F_SEAL_WRITE), -1);
	assert_int_equal(madvise(page, 4096, MADV_REMOVE), -1);
	close(writable);
	assert_shows(map, 0, SIZE);
	filemap_close(map);
}

static int use_as_other(void *context)
{
	const struct filemap *map = context;
	const int fd = filemap_fd(map);
	const unsigned char *bytes = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0);
	struct filemap *mine;

	if (bytes == MAP_FAILED || memcmp(bytes, content, SIZE) != 0)
		return 1;
	if (pwrite(fd, "x", 1, 0) != -1 || memcmp(filemap_data(map), content, SIZE) != 0)
		return 2;
	if (filemap_open_fd(fd, FILEMAP_READ, NULL, &mine, NULL) != 0)
		return 3;
	if (!filemap_is_immutable(mine) || memcmp(filemap_data(mine), content, SIZE) != 0)
		return 4;
	filemap_close(mine);
	return 0;
}

static void other_process_gets_the_same_bytes_by_the_descriptor(void **state)
{
	struct filemap *map = take(make_source(*state, SIZE));
	assert_int_equal(t_in_child(use_as_other, map), 0);
	filemap_close(map);
}

static void file_that_a_writer_holds_is_elocked(void **state)
{
	const char *path = make_source(*state, 10);
	struct filemap *map, *writer;
	assert_ok(filemap_open(path, FILEMAP_WRITE, NULL, &writer, NULL));
	assert_int_equal(filemap_snapshot(path, 10, NULL, &map, NULL), FILEMAP_ELOCKED);
	assert_ok(filemap_snapshot(path, 10, FILEMAP_OPTIONS(.lock_family = FILEMAP_LOCK_NONE), &map, NULL));
	assert_shows(map, 0, 10);
	filemap_close(map);
	filemap_close(writer);
}

static const struct {
	const char *field;
	struct filemap_options options;
} refused[] = {
	{"flags", {.flags = FILEMAP_EMPTY}},
	{"flags", {.flags = FILEMAP_REMOVE_ON_CLOSE}},
	{"flags", {.flags = FILEMAP_PIN_PARENT}},
	{"flags", {.flags = FILEMAP_CREATE}},
	{"flags", {.flags = FILEMAP_TRUNCATE}},
	{"flags", {.flags = FILEMAP_SHARED}},
	{"flags", {.flags = FILEMAP_NORESERVE}},
	{"flags", {.flags = 1u << 30}},
	{"reserve", {.reserve = 4096}},
	{"size", {.size = 4096}},
	{"label", {.label = "x"}},
	{"reserved", {.reserved = 1}},
};

static void note_removal(void *context, int result, const struct filemap_error *why)
{
	(void)context;
	(void)result;
	(void)why;
}

static void options_without_a_meaning_are_refused_by_name(void **state)
{
	const char *path = make_source(*state, 10);
	struct filemap *map = NULL;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		struct filemap_options options = refused[i].options;
		options.struct_size = sizeof options;
		assert_int_equal(filemap_snapshot(path, 10, &options, &map, &error), FILEMAP_EOPTION);
		assert_string_equal(error.subject, refused[i].field);
	}
	assert_int_equal(filemap_snapshot(path, 10, FILEMAP_OPTIONS(.on_remove = note_removal), &map, &error),
			 FILEMAP_EOPTION);
	assert_string_equal(error.subject, "on_remove");
	assert_int_equal(filemap_snapshot(NULL, 10, NULL, &map, NULL), FILEMAP_EOPTION);
	assert_int_equal(filemap_snapshot("", 10, NULL, &map, NULL), FILEMAP_EOPTION);
	assert_int_equal(filemap_snapshot(path, 10, NULL, NULL, NULL), FILEMAP_EOPTION);
	assert_null(map);
}

static void flags_that_mean_something_are_taken(void **state)
{
	const char *path = make_source(*state, SIZE);
	const uint32_t flags = FILEMAP_NOFOLLOW | FILEMAP_LOCK_IF_SUPPORTED | FILEMAP_POPULATE |
			       FILEMAP_MLOCK | FILEMAP_DONTDUMP | FILEMAP_DONTFORK;
	struct filemap *map;
	assert_ok(symlink("source", t_path(*state, "link")));
	assert_int_equal(filemap_snapshot(t_path(*state, "link"), SIZE,
					  FILEMAP_OPTIONS(.flags = FILEMAP_NOFOLLOW), &map, NULL),
			 -ELOOP);
	assert_ok(filemap_snapshot(
		path, SIZE, FILEMAP_OPTIONS(.flags = flags, .advice = FILEMAP_ADVICE_RANDOM), &map, &error));
	assert_shows(map, 0, SIZE);
	filemap_close(map);
}

static void reflink_is_a_flag_of_snapshots_only(void **state)
{
	const char *path = make_source(*state, 10);
	const struct filemap_options *options = FILEMAP_OPTIONS(.flags = FILEMAP_REFLINK);
	static const unsigned modes[] = {FILEMAP_READ, FILEMAP_EXEC, FILEMAP_COW, FILEMAP_WRITE};
	const int fd = open(path, O_RDWR | O_CLOEXEC);
	struct filemap *map;
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(filemap_open(path, modes[i], options, &map, &error), FILEMAP_EOPTION);
		assert_string_equal(error.detail, "REFLINK");
		assert_int_equal(filemap_open_fd(fd, modes[i], options, &map, &error), FILEMAP_EOPTION);
		assert_string_equal(error.detail, "REFLINK");
	}
	assert_int_equal(filemap_open_or_read(path, 10, options, &map, NULL), FILEMAP_EOPTION);
	assert_int_equal(filemap_anonymous(10, options, &map, NULL), FILEMAP_EOPTION);
	assert_int_equal(
		filemap_anonymous(10, FILEMAP_OPTIONS(.flags = FILEMAP_REFLINK | FILEMAP_SHARED), &map, NULL),
		FILEMAP_EOPTION);
	close(fd);
}

static void directories_and_names_of_nothing_are_refused(void **state)
{
	const struct t_dir *dir = *state;
	struct filemap *map;
	assert_int_equal(filemap_snapshot(dir->path, 10, NULL, &map, NULL), -EISDIR);
	assert_int_equal(filemap_snapshot(t_path(dir, "none"), 10, NULL, &map, &error), -ENOENT);
	assert_non_null(strstr(error.detail, "none"));
	assert_ok(mkfifo(t_path(dir, "fifo"), 0600));
	assert_int_equal(filemap_snapshot(t_path(dir, "fifo"), 10, NULL, &map, NULL), -ENODEV);
}

struct writer {
	int fd;
	bool locks;
	unsigned rounds;
	int stop;
};

/* Whole generations, each of one byte. */
static void *write_all_the_time(void *context)
{
	struct writer *writer = context;
	static unsigned char bytes[65536];
	while (!__atomic_load_n(&writer->stop, __ATOMIC_ACQUIRE)) {
		memset(bytes, (int)(writer->rounds & 0xff), sizeof bytes);
		if (writer->locks && flock(writer->fd, LOCK_EX) < 0)
			break;
		if (pwrite(writer->fd, bytes, sizeof bytes, 0) < 0)
			break;
		__atomic_add_fetch(&writer->rounds, 1, __ATOMIC_RELEASE);
		if (writer->locks && (flock(writer->fd, LOCK_UN) < 0 || usleep(200) < 0))
			break;
	}
	return NULL;
}

static void start(struct writer *writer, const char *path, pthread_t *thread)
{
	writer->fd = open(path, O_RDWR | O_CLOEXEC);
	assert_ok(pthread_create(thread, NULL, write_all_the_time, writer));
	while (__atomic_load_n(&writer->rounds, __ATOMIC_ACQUIRE) < 2)
		usleep(100);
}

static void stop(struct writer *writer, pthread_t thread)
{
	__atomic_store_n(&writer->stop, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	close(writer->fd);
}

/* The sweep has those that meet it on every attempt; here it is up to chance. */
static void unlocked_writer_is_eagain_or_gets_a_whole_file(void **state)
{
	const char *path = make_source(*state, 65536);
	struct writer writer = {.locks = false};
	pthread_t thread;

	start(&writer, path, &thread);
	for (int i = 0; i < 100; i++) {
		struct filemap *map = NULL;
		const int r = filemap_snapshot(path, FILEMAP_TO_END, NULL, &map, &error);
		assert_true(r == 0 || (r == -EAGAIN && error.hint != NULL));
		if (r == 0)
			assert_int_equal(filemap_size(map), 65536);
		filemap_close(map);
	}
	stop(&writer, thread);
}

static void locking_writer_is_seen_at_one_moment(void **state)
{
	const char *path = make_source(*state, 65536);
	struct writer writer = {.locks = true};
	pthread_t thread;

	start(&writer, path, &thread);
	for (int i = 0; i < 30; i++) {
		struct filemap *map = NULL;
		const unsigned char *bytes;
		assert_ok(filemap_snapshot(path, FILEMAP_TO_END,
					   FILEMAP_OPTIONS(.lock_wait_ms = FILEMAP_FOREVER), &map, &error));
		bytes = filemap_data(map);
		assert_int_equal(filemap_size(map), 65536);
		assert_memory_equal(bytes, bytes + 1, 65535); /* all are alike */
		filemap_close(map);
	}
	stop(&writer, thread);
}

/* What others sealed is immutable if it can be neither written nor cut, and cannot be written here. */
static void memory_files_that_others_sealed_are_recognised(void **state)
{
	static const struct {
		int seals, expected;
	} cases[] = {{0, 0},
		     {F_SEAL_WRITE, 0},
		     {F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, 0},
		     {F_SEAL_WRITE | F_SEAL_SHRINK, 1},
		     {ALL_SEALS, 1}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const int fd = memfd_create("others", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		struct filemap *map, *window;
		assert_int_equal(write(fd, "bytes", 5), 5);
		assert_ok(fcntl(fd, F_ADD_SEALS, cases[i].seals));
		assert_ok(filemap_open_fd(fd, FILEMAP_READ, NULL, &map, &error));
		assert_int_equal(filemap_is_immutable(map), cases[i].expected);
		assert_ok(filemap_window(map, FILEMAP_COW, 0, 5, &window, NULL));
		assert_false(filemap_is_immutable(window));
		filemap_close(window);
		assert_ok(filemap_window(map, FILEMAP_READ, 1, 3, &window, NULL));
		assert_int_equal(filemap_is_immutable(window), cases[i].expected);
		filemap_close(window);
		filemap_close(map);
		assert_ok(filemap_open_fd(fd, FILEMAP_COW, NULL, &map, &error));
		assert_false(filemap_is_immutable(map));
		filemap_close(map);
		close(fd);
	}
}

static void mapping_of_a_file_is_never_immutable(void **state)
{
	const char *path = make_source(*state, 10);
	static const unsigned modes[] = {FILEMAP_READ, FILEMAP_EXEC, FILEMAP_COW, FILEMAP_WRITE};
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct filemap *map;
	assert_ok(chmod(path, 0400));
	for (size_t i = 0; i < 3; i++) {
		assert_ok(filemap_open(path, modes[i], NULL, &map, NULL));
		assert_false(filemap_is_immutable(map));
		filemap_close(map);
		assert_ok(filemap_open_fd(fd, modes[i], NULL, &map, NULL));
		assert_false(filemap_is_immutable(map));
		filemap_close(map);
	}
	close(fd);
}

T_MAIN(T_TEST(snapshot_holds_the_content_and_no_lock), T_TEST(empty_file_is_an_empty_snapshot),
       T_TEST(file_that_lies_about_its_size_is_refused),
       T_TEST(file_that_is_shorter_than_its_size_is_refused),
       T_TEST(exactly_the_cap_fits_and_one_byte_more_does_not), T_TEST(window_is_what_is_copied_and_capped),
       T_TEST(holes_cost_no_memory), T_TEST(what_becomes_of_the_file_does_not_matter),
       T_TEST(kernel_refuses_each_way_to_its_bytes),
       T_TEST(other_process_gets_the_same_bytes_by_the_descriptor),
       T_TEST(file_that_a_writer_holds_is_elocked), T_TEST(options_without_a_meaning_are_refused_by_name),
       T_TEST(flags_that_mean_something_are_taken), T_TEST(reflink_is_a_flag_of_snapshots_only),
       T_TEST(directories_and_names_of_nothing_are_refused),
       T_TEST(unlocked_writer_is_eagain_or_gets_a_whole_file), T_TEST(locking_writer_is_seen_at_one_moment),
       T_TEST(memory_files_that_others_sealed_are_recognised), T_TEST(mapping_of_a_file_is_never_immutable))
