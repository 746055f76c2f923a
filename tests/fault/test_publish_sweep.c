/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Publishing with every system call failing in turn, and with the process killed at each, on every way to a new
 * file and with content from memory, from a file and from a pipe. Nothing is left, but for the last step.
 */
#include "new_file.h"

#define SIZE 300000

enum source { BYTES, REGULAR, PIPE, SOURCES };

static unsigned char content[SIZE];
static struct filemap_bytes bytes = {content, SIZE};
static int source_fd; /* of a file, or of a pipe */

static void use_source(const struct t_dir *dir)
{
	use_dir(dir);
	for (size_t i = 0; i < SIZE; i++)
		content[i] = (unsigned char)(i * 7 + i / 4096 + 1);
}

static void open_source(enum source source)
{
	source_fd = -1;
	if (source == REGULAR) {
		source_fd = open(dir_path, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
		if (source_fd < 0)
			t_skip("this file system has no files without names");
		assert_int_equal(write(source_fd, content, SIZE), SIZE);
		assert_int_equal(lseek(source_fd, 0, SEEK_SET), 0);
	} else if (source == PIPE) {
		int ends[2];
		assert_ok(pipe(ends));
		assert_int_equal(write(ends[1], content, 50000), 50000);
		close(ends[1]);
		source_fd = ends[0];
	}
}

static void prepare(enum way way, enum source source)
{
	remove_all();
	open_source(source);
	memset(&error, 0, sizeof error);
	fault_reset();
	if (way == HIDDEN)
		fault_arm_also("openat", 2, EOPNOTSUPP);
	if (way == COPIED)
		fault_arm_also("link_fd", 1, ENOENT);
	arm_nth();
}

static int publish(void)
{
	const int r = source_fd < 0
			      ? filemap_publish(AT_FDCWD, path, filemap_fill_bytes, &bytes, NULL, &error)
			      : filemap_publish(AT_FDCWD, path, filemap_fill_fd, &source_fd, NULL, &error);
	if (source_fd >= 0)
		close(source_fd);
	return r;
}

static bool is_complete(enum source source)
{
	static unsigned char found[SIZE + 1];
	const size_t size = source == PIPE ? 50000 : SIZE;
	return t_file_size(path) == (int64_t)size && t_read_file(path, found, sizeof found) == size &&
	       memcmp(found, content, size) == 0;
}

static int count_calls(enum way way, enum source source)
{
	int count = 0;

	nth = 0;
	prepare(way, source);
	fault_trace_start();
	assert_ok(publish());
	for (const char *at = fault_trace(); *at; at++)
		count += *at == ' ';
	fault_reset();
	return count;
}

static bool failed_at_last(void)
{
	return strcmp(error.step, "sync link count") == 0 || strcmp(error.step, "sync parent directory") == 0;
}

static void check_failure(int r, enum source source)
{
	assert_int_equal(r, failed_at_last() ? FILEMAP_EUNSYNCED : -EIO);
	assert_int_equal(error.code, r);
	assert_int_equal(error.sys_errno, EIO);
	assert_string_equal(error.detail, path);
	assert_int_equal(find_hidden(), 0);
	if (failed_at_last()) {
		assert_non_null(error.hint);
		assert_true(is_complete(source));
	} else {
		assert_int_equal(t_file_size(path), -1);
	}
}

/* Returns how many calls made it fail. */
static int sweep(const struct t_dir *dir, enum way way, enum source source)
{
	const int calls = count_calls(way, source);
	int failed = 0;

	for (nth = 1; nth <= calls; nth++) {
		prepare(way, source);
		const int r = publish();
		fault_reset();
		t_census_same(dir);
		if (r < 0)
			check_failure(r, source);
		else
			assert_true(is_complete(source) && find_hidden() == 0);
		failed += r < 0;
	}
	nth = 0;
	return failed;
}

static void nothing_is_left_at_every_call(void **state)
{
	use_source(*state);
	/* openat fstatat openat pwrite fsync link_fd fsync fsync */
	assert_int_equal(sweep(*state, UNNAMED, BYTES), 8);
	/* openat fstatat openat(met) random openat pwrite fsync rename fsync */
	assert_int_equal(sweep(*state, HIDDEN, BYTES), 9);
	/* openat fstatat openat pwrite fsync link_fd(met) fstat random openat copy_range set_mode fsync rename
	 * fsync */
	assert_int_equal(sweep(*state, COPIED, BYTES), 14);
}

static void content_of_descriptors_arrives_or_nothing_is_left_at_every_call(void **state)
{
	use_source(*state);
	/* fstat position copy_range set_position read in place of pwrite */
	assert_int_equal(sweep(*state, UNNAMED, REGULAR), 12);
	/* fstat, read pwrite read */
	assert_true(sweep(*state, UNNAMED, PIPE) >= 10);
	for (enum source source = REGULAR; source < SOURCES; source++)
		for (enum way way = HIDDEN; way < WAYS; way++)
			assert_true(sweep(*state, way, source) >= 10);
}

static void memory_that_is_short_leaves_nothing(void **state)
{
	use_source(*state);
	prepare(UNNAMED, REGULAR);
	fault_arm_call("zalloc", 1, ENOMEM);
	assert_int_equal(publish(), -ENOMEM);
	assert_int_equal(t_file_size(path), -1);
	fault_reset();
}

static void signal_before_the_content_came_is_eintr(void **state)
{
	use_source(*state);
	prepare(UNNAMED, PIPE);
	fault_arm_call("read", 1, EINTR);
	assert_int_equal(publish(), -EINTR);
	assert_string_equal(error.step, "write content");
	assert_int_equal(t_file_size(path), -1);
	fault_reset();
}

/* Of the file that is the source, and of the new one when it has to be copied: at each place, in each way. */
static void kernel_that_does_not_copy_is_met_by_reading(void **state)
{
	static const int errors[] = {EXDEV, EOPNOTSUPP, EINVAL, ENOSYS, ETXTBSY, EPERM};
	use_source(*state);
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		prepare(UNNAMED, REGULAR);
		fault_arm_call("copy_range", 1, errors[i]);
		assert_ok(publish());
		assert_true(is_complete(REGULAR));
		prepare(COPIED, BYTES);
		fault_arm_also("copy_range", 1, errors[i]);
		assert_ok(publish());
		assert_true(is_complete(BYTES));
	}
	fault_reset();
}

static void cut_source(void *size)
{
	assert_ok(ftruncate(source_fd, *(off_t *)size));
}

/* What was read is what was there: neither more bytes, nor zeros in place of those that went. */
static void source_that_is_cut_meanwhile_gives_what_it_has(void **state)
{
	static off_t sizes[] = {0, 5000};
	static unsigned char found[SIZE];
	use_source(*state);
	for (size_t i = 0; i < 2; i++) {
		const char *const calls[] = {"seek_data", "copy_range"};
		for (size_t j = 0; j < 2; j++) {
			prepare(UNNAMED, REGULAR);
			fault_hook(calls[j], 1, cut_source, &sizes[i]);
			assert_ok(publish());
			fault_reset();
			assert_int_equal(t_file_size(path), sizes[i]);
			t_read_file(path, found, sizeof found);
			assert_memory_equal(found, content, (size_t)sizes[i]);
		}
	}
}

static void source_that_is_cut_below_its_position_gives_nothing(void **state)
{
	static off_t size = 0;

	use_source(*state);
	prepare(UNNAMED, REGULAR);
	assert_int_equal(lseek(source_fd, 5000, SEEK_SET), 5000);
	fault_hook("seek_data", 1, cut_source, &size);
	assert_ok(publish());
	fault_reset();
	assert_int_equal(t_file_size(path), 0);
}

static void cut_to_a_hole(void *unused)
{
	(void)unused;
	assert_ok(ftruncate(source_fd, 0));
	assert_ok(ftruncate(source_fd, SIZE / 2));
}

static void source_that_became_a_shorter_hole_is_as_long_as_that(void **state)
{
	use_source(*state);
	prepare(UNNAMED, REGULAR);
	fault_hook("seek_data", 1, cut_to_a_hole, NULL);
	assert_ok(publish());
	fault_reset();
	assert_int_equal(t_file_size(path), SIZE / 2);
}

static void grow_source(void *unused)
{
	(void)unused;
	assert_int_equal(pwrite(source_fd, "more", 4, SIZE), 4);
}

static void source_that_grows_meanwhile_is_read_to_its_end(void **state)
{
	use_source(*state);
	prepare(UNNAMED, REGULAR);
	fault_hook("copy_range", 1, grow_source, NULL);
	assert_ok(publish());
	fault_reset();
	assert_int_equal(t_file_size(path), SIZE + 4);
}

static int kill_at;

static int publish_and_die(void *context)
{
	prepare(*(enum way *)context, BYTES);
	fault_arm_also("", kill_at, FAULT_KILL);
	return publish() < 0;
}

static void killed_process_leaves_the_complete_file_or_none(void **state)
{
	use_source(*state);
	for (enum way way = UNNAMED; way < WAYS; way++) {
		const int calls = count_calls(way, BYTES);
		for (kill_at = 1; kill_at <= calls; kill_at++) {
			const int r = t_in_child(publish_and_die, &way);
			assert_true(r == 0 || r == -9);
			assert_true(is_complete(BYTES) || (r == -9 && t_file_size(path) == -1));
			const int count = find_hidden();
			assert_true(count <= (way != UNNAMED));
			assert_true(count == 0 || strstr(hidden, ".tmp") != NULL);
		}
	}
}

T_MAIN(T_TEST(nothing_is_left_at_every_call),
       T_TEST(content_of_descriptors_arrives_or_nothing_is_left_at_every_call),
       T_TEST(memory_that_is_short_leaves_nothing), T_TEST(signal_before_the_content_came_is_eintr),
       T_TEST(kernel_that_does_not_copy_is_met_by_reading),
       T_TEST(source_that_is_cut_meanwhile_gives_what_it_has),
       T_TEST(source_that_is_cut_below_its_position_gives_nothing),
       T_TEST(source_that_became_a_shorter_hole_is_as_long_as_that),
       T_TEST(source_that_grows_meanwhile_is_read_to_its_end),
       T_TEST(killed_process_leaves_the_complete_file_or_none))
