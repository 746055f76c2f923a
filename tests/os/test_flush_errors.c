/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Flushes that a real device fails: a zram disk without memory, and a FUSE file system that says no. First that
 * the kernel forgets, which is the trap; then that a mapping does not.
 */
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "fuse_fault.h"

#define PAGES 8
#define PAGE ((size_t)sysconf(_SC_PAGESIZE))
#define SIZE (PAGES * PAGE)
#define OLD 1u /* seeds: what is on the device, and what is to come there */
#define NEW 2u
#define TAINTED (FILEMAP_STATE_LIVE | FILEMAP_STATE_TAINTED)

static unsigned char *bytes_of(unsigned seed)
{
	static unsigned char made[2][PAGES * 65536];
	unsigned char *bytes = made[seed - 1];

	if (bytes[0] == 0 && bytes[1] == 0)
		device_fill(bytes, sizeof made[0], seed);
	return bytes;
}

/* A file whose old bytes are on the device. */
static const char *make_old(struct device *device, const char *name)
{
	const char *path = device_path(device, name);
	const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes_of(OLD), SIZE, 0), SIZE);
	assert_ok(fsync(fd));
	close(fd);
	return path;
}

static struct filemap *open_old(struct device *device, const char *name)
{
	struct filemap *map;

	assert_ok(filemap_open(make_old(device, name), FILEMAP_WRITE, NULL, &map, NULL));
	return map;
}

static void store_new(struct filemap *map, unsigned page, unsigned count)
{
	memcpy((unsigned char *)filemap_data_mut(map) + page * PAGE, bytes_of(NEW) + page * PAGE,
	       count * PAGE);
}

static void assert_on_device(struct device *device, const char *name, unsigned page, unsigned seed)
{
	unsigned char *found = malloc(PAGE);

	assert_non_null(found);
	device_read(device, name, page * PAGE, found, PAGE);
	assert_memory_equal(found, bytes_of(seed) + page * PAGE, PAGE);
	free(found);
}

static void assert_whole_file_in_doubt(const struct filemap *map, int cause)
{
	uint64_t offset = 1, length = 0;

	assert_int_equal(filemap_state(map) & TAINTED, TAINTED);
	assert_int_equal(filemap_poison_cause(map), cause);
	assert_int_equal(filemap_doubt(map, &offset, &length), 1);
	assert_int_equal(offset, 0);
	assert_int_equal(length, SIZE);
}

static void assert_refused(struct filemap *map)
{
	assert_int_equal(filemap_flush(map), FILEMAP_EPOISONED);
	assert_int_equal(filemap_flush_range(map, 6 * PAGE, 1), FILEMAP_EPOISONED);
	assert_int_equal(filemap_flush_range(map, 0, 0), FILEMAP_EPOISONED);
	assert_int_equal(filemap_sync(map), FILEMAP_EPOISONED);
}

/* One whose flush of page 2 has failed, the device being healed. */
static struct filemap *open_tainted(struct device *device, const char *name)
{
	struct filemap *map = open_old(device, name);

	store_new(map, 2, 1);
	device_break(device);
	assert_int_equal(filemap_flush_range(map, 2 * PAGE, PAGE), -EIO);
	device_heal(device);
	return map;
}

static void kernel_forgets_what_it_could_not_write(void **state)
{
	struct device *device = device_of(state);
	const int fd = open(make_old(device, "f"), O_RDWR | O_CLOEXEC);
	unsigned char *at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	assert_true(at != MAP_FAILED);
	memcpy(at + 2 * PAGE, bytes_of(NEW) + 2 * PAGE, PAGE);
	device_break(device);
	assert_int_equal(msync(at + 2 * PAGE, PAGE, MS_SYNC), -1);
	assert_int_equal(errno, EIO);
	/* The device is as broken as it was; metadata of the file may be told of first. */
	for (int i = 0; i < 100 && msync(at + 2 * PAGE, PAGE, MS_SYNC) < 0; i++)
		assert_true(device->zram && i < 99);
	device_heal(device);
	assert_ok(msync(at, SIZE, MS_SYNC));
	assert_ok(fsync(fd));
	assert_memory_equal(at + 2 * PAGE, bytes_of(NEW) + 2 * PAGE, PAGE);
	assert_on_device(device, "f", 2, OLD);
	munmap(at, SIZE);
	close(fd);
}

static void flush_that_failed_is_never_followed_by_one_that_did_not(void **state)
{
	struct device *device = device_of(state);
	struct filemap *map = open_old(device, "f");

	store_new(map, 2, 2);
	device_break(device);
	assert_int_equal(filemap_flush_range(map, 2 * PAGE, PAGE), -EIO);
	assert_whole_file_in_doubt(map, -EIO);
	assert_refused(map);
	device_heal(device);
	assert_refused(map);
	store_new(map, 2, 2);
	assert_refused(map);
	assert_whole_file_in_doubt(map, -EIO);
	filemap_close(map);
}

static void tainted_mapping_goes_on_but_for_promises(void **state)
{
	struct device *device = device_of(state);
	struct filemap *map = open_tainted(device, "f");
	const unsigned char *data = filemap_data(map);
	char byte = 'h';

	store_new(map, 4, 1);
	assert_memory_equal(data + 4 * PAGE, bytes_of(NEW) + 4 * PAGE, PAGE);
	assert_memory_equal(data + 5 * PAGE, bytes_of(OLD) + 5 * PAGE, PAGE);
	assert_ok(filemap_write_all(map, 5 * PAGE, &byte, 1));
	assert_int_equal(filemap_commit(map, PAGE, 1, 0, &byte, 1, NULL), FILEMAP_EPOISONED);
	assert_int_equal(data[0], bytes_of(OLD)[0]);
	assert_int_equal(filemap_close_truncated(map, PAGE, NULL), FILEMAP_EPOISONED);
	assert_int_equal(filemap_size(map), SIZE);
	assert_ok(filemap_freeze(map, NULL));
	assert_int_equal(filemap_state(map), TAINTED | FILEMAP_STATE_FROZEN);
	assert_int_equal(filemap_flush(map), FILEMAP_EPOISONED);
	assert_ok(filemap_thaw(map, NULL));
	filemap_close(map);
}

/* Not on FUSE: the library of its server cannot count the links of what has none. */
static void tainted_mapping_can_be_removed(void **state)
{
	struct device *device = device_of(state);
	struct filemap *map = open_tainted(device, "f");

	assert_ok(filemap_remove(map, NULL));
	assert_int_equal(filemap_state(map), TAINTED | FILEMAP_STATE_REMOVED);
	filemap_close(map);
	assert_int_equal(access(device_path(device, "f"), F_OK), -1);
}

static void windows_share_the_taint(void **state)
{
	struct device *device = device_of(state);
	struct filemap *map = open_old(device, "f"), *early, *late;

	assert_ok(filemap_window(map, FILEMAP_WRITE, 5 * PAGE, PAGE, &early, NULL));
	store_new(map, 2, 1);
	device_break(device);
	assert_int_equal(filemap_flush(map), -EIO);
	device_heal(device);
	assert_ok(filemap_window(map, FILEMAP_READ, 0, PAGE, &late, NULL));
	assert_int_equal(filemap_flush(early), FILEMAP_EPOISONED);
	assert_int_equal(filemap_flush(late), FILEMAP_EPOISONED);
	assert_whole_file_in_doubt(late, -EIO);
	filemap_close(map);
	assert_whole_file_in_doubt(early, -EIO);
	filemap_close(early);
	filemap_close(late);
}

static void taint_outlives_resizing_and_refreshing(void **state)
{
	struct device *device = device_of(state);
	struct filemap *map = open_tainted(device, "f"), *window;
	uint64_t offset, length;

	assert_ok(filemap_resize(map, 2 * SIZE, NULL));
	assert_int_equal(filemap_flush_range(map, SIZE, PAGE), FILEMAP_EPOISONED);
	assert_whole_file_in_doubt(map, -EIO);
	assert_ok(filemap_window(map, FILEMAP_READ, 0, FILEMAP_TO_END, &window, NULL));
	assert_ok(filemap_refresh(window, NULL, NULL));
	assert_int_equal(filemap_flush(window), FILEMAP_EPOISONED);
	filemap_close(window);
	assert_ok(filemap_resize(map, PAGE, NULL));
	assert_int_equal(filemap_flush(map), FILEMAP_EPOISONED);
	assert_int_equal(filemap_doubt(map, &offset, &length), 1);
	assert_int_equal(offset + length, SIZE);
	filemap_close(map);
}

static void sync_and_commit_and_close_truncated_taint_too(void **state)
{
	struct device *device = device_of(state);
	struct filemap *map = open_old(device, "a");
	struct filemap_error error = {0};

	store_new(map, 2, 1);
	device_break(device);
	assert_int_equal(filemap_sync(map), -EIO);
	assert_whole_file_in_doubt(map, -EIO);
	filemap_close(map);
	device_heal(device);

	map = open_old(device, "b");
	store_new(map, 2, 1);
	device_break(device);
	assert_int_equal(filemap_commit(map, 2 * PAGE, PAGE, 0, "header", 6, &error), -EIO);
	assert_memory_equal(filemap_data(map), bytes_of(OLD), 6);
	assert_whole_file_in_doubt(map, -EIO);
	filemap_close(map);
	device_heal(device);

	map = open_old(device, "c");
	store_new(map, 2, 1);
	device_break(device);
	assert_int_equal(filemap_close_truncated(map, 3 * PAGE, NULL), -EIO);
	assert_whole_file_in_doubt(map, -EIO);
	assert_int_equal(filemap_size(map), SIZE);
	filemap_close(map);
}

/* The page is lost outside the range that the flush was asked for. */
static void error_of_another_page_puts_that_page_in_doubt(void **state)
{
	struct device *device = device_of(state);
	struct filemap *map = open_old(device, "f");

	store_new(map, 7, 1);
	device_break(device);
	assert_ok(filemap_writeback(map, 7 * PAGE, PAGE));
	device_settle(filemap_path(map));
	device_heal(device);
	assert_on_device(device, "f", 7, OLD);
	assert_int_equal(filemap_flush_range(map, 0, PAGE), -EIO);
	assert_whole_file_in_doubt(map, -EIO);
	filemap_close(map);
}

static void writeback_leaves_the_error_to_the_flush(void **state)
{
	struct device *device = device_of(state);
	struct filemap *map = open_old(device, "f");

	store_new(map, 1, 2);
	device_break(device);
	for (int i = 0; i < 3; i++) {
		(void)filemap_writeback(map, PAGE, 2 * PAGE);
		device_settle(filemap_path(map));
		assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	}
	device_heal(device);
	assert_int_equal(filemap_flush(map), -EIO);
	assert_whole_file_in_doubt(map, -EIO);
	filemap_close(map);
}

/* map.h says not to: what the user's call is told never reaches the mapping. */
static void error_that_the_user_took_from_the_descriptor_is_gone(void **state)
{
	struct device *device = device_of(state);
	struct filemap *map = open_old(device, "f");

	store_new(map, 2, 1);
	device_break(device);
	assert_int_equal(fdatasync(filemap_fd(map)), -1);
	device_heal(device);
	assert_ok(filemap_flush(map));
	assert_on_device(device, "f", 2, OLD);
	filemap_close(map);
}

static void reopening_and_flushing_writes_nothing_and_rewriting_does(void **state)
{
	struct device *device = device_of(state);
	struct filemap *map = open_tainted(device, "f");
	uint64_t offset, length;

	assert_int_equal(filemap_doubt(map, &offset, &length), 1);
	filemap_close(map);
	assert_ok(filemap_open(device_path(device, "f"), FILEMAP_WRITE, NULL, &map, NULL));
	assert_ok(filemap_flush(map));
	assert_ok(filemap_sync(map));
	assert_on_device(device, "f", 2, OLD);
	assert_int_equal(filemap_write_all(map, (size_t)offset, bytes_of(NEW), (size_t)length), 0);
	assert_ok(filemap_flush_range(map, (size_t)offset, (size_t)length));
	for (unsigned page = 0; page < PAGES; page++)
		assert_on_device(device, "f", page, NEW);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	filemap_close(map);
}

static void error_that_nobody_has_seen_is_told_to_a_handle_opened_later(void **state)
{
	struct device *device = device_of(state);
	const char *path = make_old(device, "f");
	const int fd = open(path, O_RDWR | O_CLOEXEC);
	unsigned char *at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct filemap *map;

	assert_true(at != MAP_FAILED);
	memcpy(at + 2 * PAGE, bytes_of(NEW) + 2 * PAGE, PAGE);
	device_break(device);
	assert_ok(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));
	device_settle(path);
	device_heal(device);
	assert_ok(filemap_open(path, FILEMAP_WRITE, NULL, &map, NULL));
	assert_int_equal(filemap_flush_range(map, 5 * PAGE, 1), -EIO);
	assert_whole_file_in_doubt(map, -EIO);
	filemap_close(map);
	munmap(at, SIZE);
	close(fd);
}

/* ---- queues ---- */

static const struct {
	uint32_t backend, flags;
} shapes[] = {
	{FILEMAP_QUEUE_THREADS, 0},
	{FILEMAP_QUEUE_URING, FILEMAP_QUEUE_ONE_THREAD},
	{FILEMAP_QUEUE_URING, 0},
};

static int queue_of(unsigned shape, struct filemap_queue **ret)
{
	return filemap_queue_open(
		FILEMAP_QUEUE_OPTIONS(.backend = shapes[shape].backend, .flags = shapes[shape].flags), ret,
		NULL);
}

static uint64_t ask(struct filemap_queue *queue, struct filemap *map, unsigned page)
{
	uint64_t ticket = 0;

	assert_ok(filemap_queue_flush(queue, map, page * PAGE, PAGE, NULL, NULL, &ticket));
	return ticket;
}

static int result_of(struct filemap_queue *queue, uint64_t ticket)
{
	struct filemap_completion completion = {0};

	assert_int_equal(filemap_queue_wait(queue, ticket, -1, &completion), 1);
	return completion.result;
}

static void fail_by_queue(struct device *device, struct filemap_queue *queue, const char *name)
{
	struct filemap *map = open_old(device, name);
	uint64_t first, second, ticket;
	int r;

	store_new(map, 1, 6);
	device_break(device);
	first = ask(queue, map, 1);
	second = ask(queue, map, 5);
	assert_int_equal(result_of(queue, first), -EIO);
	r = result_of(queue, second);
	assert_true(r == -EIO || r == FILEMAP_EPOISONED);
	device_heal(device);
	assert_int_equal(filemap_queue_flush(queue, map, 0, PAGE, NULL, NULL, &ticket), FILEMAP_EPOISONED);
	assert_whole_file_in_doubt(map, -EIO);
	assert_refused(map);
	filemap_close(map);
}

static void flush_by_any_queue_taints_and_is_refused_then(void **state)
{
	struct device *device = device_of(state);

	for (unsigned i = 0; i < sizeof shapes / sizeof *shapes; i++) {
		char name[] = {(char)('a' + i), '\0'};
		struct filemap_queue *queue;

		if (queue_of(i, &queue) < 0) {
			printf("no queue of kind %u here\n", i);
			continue;
		}
		fail_by_queue(device, queue, name);
		filemap_queue_close(queue);
	}
}

static void mapping_closed_before_its_queued_flush_fails_loses_no_answer(void **state)
{
	struct device *device = device_of(state);
	struct filemap *map = open_old(device, "f");
	struct filemap_queue *queue;
	uint64_t ticket;

	assert_ok(queue_of(0, &queue));
	store_new(map, 1, 1);
	device_break(device);
	ticket = ask(queue, map, 1);
	filemap_close(map);
	assert_int_equal(result_of(queue, ticket), -EIO);
	filemap_queue_close(queue);
}

/* ---- forked children ---- */

static int flush_that_fails(void *context)
{
	return filemap_flush_range(context, 2 * PAGE, PAGE) == -EIO ? 0 : 1;
}

static int flush_is_refused(void *context)
{
	uint64_t offset, length;

	if (filemap_flush(context) != FILEMAP_EPOISONED || filemap_poison_cause(context) != -EIO)
		return 1;
	return filemap_doubt(context, &offset, &length) == 1 && offset == 0 && length == SIZE ? 0 : 2;
}

static void error_that_a_child_was_told_taints_its_parent(void **state)
{
	struct device *device = device_of(state);
	struct filemap *map = open_old(device, "f");

	store_new(map, 2, 1);
	device_break(device);
	assert_ok(t_in_child(flush_that_fails, map));
	device_heal(device);
	assert_whole_file_in_doubt(map, -EIO);
	assert_refused(map);
	assert_on_device(device, "f", 2, OLD);
	filemap_close(map);
}

struct two_ends {
	struct filemap *map;
	int go[2];
};

static int flush_when_told(void *context)
{
	struct two_ends *ends = context;
	char byte;

	return read(ends->go[0], &byte, 1) == 1 ? flush_is_refused(ends->map) : 3;
}

static int fail_while_a_child_waits(void *context)
{
	struct two_ends *ends = context;
	int status;
	const pid_t child = fork();

	if (child == 0)
		_exit(flush_when_told(ends));
	if (filemap_flush_range(ends->map, 2 * PAGE, PAGE) != -EIO || write(ends->go[1], "", 1) != 1)
		return 4;
	if (waitpid(child, &status, 0) != child)
		return 5;
	return WEXITSTATUS(status);
}

static void error_that_a_parent_was_told_taints_its_child(void **state)
{
	struct device *device = device_of(state);
	struct two_ends ends = {.map = open_old(device, "f")};

	assert_ok(pipe(ends.go));
	store_new(ends.map, 2, 1);
	device_break(device);
	assert_ok(fail_while_a_child_waits(&ends));
	device_heal(device);
	close(ends.go[0]);
	close(ends.go[1]);
	filemap_close(ends.map);
}

/* ---- what only the file system of our own can do ---- */

static void every_error_of_a_flush_is_its_cause(void **state)
{
	static const int errors[] = {EIO, ENOSPC, EDQUOT};
	struct device *device = device_of(state);

	for (unsigned i = 0; i < sizeof errors / sizeof *errors; i++) {
		char name[] = {(char)('a' + i), '\0'};
		struct filemap *map = open_old(device, name);

		store_new(map, 2, 1);
		fuse_fault_set(&device->fuse->fsync_error, errors[i]);
		assert_int_equal(filemap_flush_range(map, 2 * PAGE, PAGE), -errors[i]);
		fuse_fault_set(&device->fuse->fsync_error, 0);
		assert_whole_file_in_doubt(map, -errors[i]);
		assert_refused(map);
		filemap_close(map);
	}
}

/* The pages were written, and the device lost them from its own cache when it was to make them last. */
static void what_the_device_lost_comes_back_by_rewriting_only(void **state)
{
	struct device *device = device_of(state);
	struct filemap *map = open_old(device, "f");

	store_new(map, 2, 1);
	assert_ok(filemap_writeback(map, 2 * PAGE, PAGE));
	device_settle(filemap_path(map));
	fuse_fault_set(&device->fuse->loses, 1);
	fuse_fault_set(&device->fuse->fsync_error, EIO);
	assert_int_equal(filemap_flush_range(map, 5 * PAGE, PAGE), -EIO);
	fuse_fault_set(&device->fuse->fsync_error, 0);
	assert_whole_file_in_doubt(map, -EIO);
	filemap_close(map);
	assert_ok(filemap_open(device_path(device, "f"), FILEMAP_WRITE, NULL, &map, NULL));
	assert_ok(filemap_sync(map));
	assert_on_device(device, "f", 2, OLD);
	memcpy(filemap_data_mut(map), bytes_of(NEW), SIZE);
	assert_ok(filemap_flush(map));
	assert_on_device(device, "f", 2, NEW);
	assert_on_device(device, "f", 5, NEW);
	filemap_close(map);
}

static void read_of_a_broken_device_is_an_error(void **state)
{
	struct device *device = device_of(state);
	struct filemap *map = open_old(device, "f");
	char byte;

	assert_ok(posix_fadvise(filemap_fd(map), 0, 0, POSIX_FADV_DONTNEED));
	fuse_fault_set(&device->fuse->read_error, EIO);
	assert_int_equal(pread(filemap_fd(map), &byte, 1, 0), -1);
	assert_int_equal(errno, EIO);
	assert_int_equal(filemap_prefault(map, FILEMAP_PREFAULT_READ, 0, SIZE), FILEMAP_EFAULT);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	fuse_fault_set(&device->fuse->read_error, 0);
	assert_ok(filemap_prefault(map, FILEMAP_PREFAULT_READ, 0, SIZE));
	assert_memory_equal(filemap_data(map), bytes_of(OLD), SIZE);
	filemap_close(map);
}

DEVICE_MAIN(T_ON_BOTH(kernel_forgets_what_it_could_not_write),
	    T_ON_BOTH(flush_that_failed_is_never_followed_by_one_that_did_not),
	    T_ON_BOTH(tainted_mapping_goes_on_but_for_promises), T_ON_BOTH(windows_share_the_taint),
	    T_ON(zram, tainted_mapping_can_be_removed), T_ON_BOTH(taint_outlives_resizing_and_refreshing),
	    T_ON_BOTH(sync_and_commit_and_close_truncated_taint_too),
	    T_ON_BOTH(error_of_another_page_puts_that_page_in_doubt),
	    T_ON_BOTH(writeback_leaves_the_error_to_the_flush),
	    T_ON_BOTH(error_that_the_user_took_from_the_descriptor_is_gone),
	    T_ON_BOTH(reopening_and_flushing_writes_nothing_and_rewriting_does),
	    T_ON_BOTH(error_that_nobody_has_seen_is_told_to_a_handle_opened_later),
	    T_ON_BOTH(flush_by_any_queue_taints_and_is_refused_then),
	    T_ON_BOTH(mapping_closed_before_its_queued_flush_fails_loses_no_answer),
	    T_ON_BOTH(error_that_a_child_was_told_taints_its_parent),
	    T_ON_BOTH(error_that_a_parent_was_told_taints_its_child),
	    T_ON(fuse, every_error_of_a_flush_is_its_cause),
	    T_ON(fuse, what_the_device_lost_comes_back_by_rewriting_only),
	    T_ON(fuse, read_of_a_broken_device_is_an_error))
