/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Logs on real disks that are full to the last block: an append is an error and no signal, what was acknowledged is
 * there, and once there is room the same handle goes on.
 */
#include "disk.h"

#include <linux/falloc.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "log/writer.h"

#define SEGMENT (UINT64_C(1) << 20)
#define LENGTH 5000u

static struct filemap_error error;

static const struct disk *const disks[] = {&disk_tmpfs, &disk_ext4, NULL};
static const struct disk *const one_disk[] = {&disk_ext4, NULL};
static const struct disk *const sharing_disks[] = {&disk_xfs, NULL};
static const struct disk *const many_disks[] = {&disk_tmpfs, &disk_ext4, &disk_ext3,
						&disk_ext2,  &disk_xfs,  NULL};

static int open_log(const char *path, struct filemap_queue *queue, struct filemap_log **ret)
{
	return filemap_log_open(
		path,
		FILEMAP_LOG_OPTIONS(.flags = FILEMAP_LOG_CREATE, .segment_size = SEGMENT, .queue = queue),
		ret, NULL, &error);
}

/* Record i is i, many times. */
static int append(struct filemap_log *log, uint32_t i, struct filemap_log_position *ret)
{
	uint32_t bytes[LENGTH / sizeof i];

	for (size_t k = 0; k < LENGTH / sizeof i; k++)
		bytes[k] = i;
	return filemap_log_append(log, bytes, sizeof bytes, ret);
}

static bool is_record(const struct filemap_log_record *record, uint32_t i)
{
	const uint32_t *bytes = (const void *)record->data;

	if (record->length != LENGTH)
		return false;
	for (size_t k = 0; k < LENGTH / sizeof i; k++) {
		if (bytes[k] != i)
			return false;
	}
	return true;
}

/* How many durable records there are, from 0 on and without a gap; -1 if that is not so. */
static int64_t count(const char *path)
{
	const struct filemap_log_reader_options options = {.struct_size = sizeof options,
							   .level = FILEMAP_DURABLE};
	struct filemap_log_reader *reader;
	struct filemap_log_record record;
	uint32_t i = 0;
	int r;

	if (filemap_log_reader_open(path, &options, &reader, NULL, NULL) < 0)
		return -1;
	while ((r = filemap_log_reader_next(reader, &record)) == 1) {
		if (!is_record(&record, i++))
			return -1;
	}
	filemap_log_reader_close(reader);
	return r == 0 ? (int64_t)i : -1;
}

/* Until there is no room; *ret is the next number. */
static int append_all(struct filemap_log *log, uint32_t *next, uint64_t *ret_last)
{
	struct filemap_log_position position;
	int r;

	while ((r = append(log, *next, &position)) == 0) {
		(*next)++;
		*ret_last = position.lsn;
	}
	return r;
}

/* Preparing is tried again every second; ten of them are for slow machines. */
static int append_soon(struct filemap_log *log, uint32_t i, uint64_t *ret_lsn)
{
	struct filemap_log_position position = {0};
	int r = append(log, i, &position);

	for (int tries = 0; r == -ENOSPC && tries < 1000; tries++) {
		usleep(10000);
		r = append(log, i, &position);
	}
	*ret_lsn = position.lsn;
	return r;
}

static int run_full(struct filemap_log *log, const char *root, uint32_t *next)
{
	uint64_t last = 0;

	NEED(append_all(log, next, &last) == -ENOSPC && *next > 100);
	NEED(append(log, *next, NULL) == -ENOSPC);
	NEED(filemap_log_wait(log, last, FILEMAP_DURABLE, -1) == 1);
	NEED_OK(filemap_log_sync(log, &error));
	NEED(count(at(root, "log")) == *next);
	NEED_OK(disk_free(root));
	NEED_OK(append_soon(log, *next, &last));
	(*next)++;
	NEED(filemap_log_wait(log, last, FILEMAP_DURABLE, -1) == 1);
	return 0;
}

static int fill_and_go_on(const char *root, struct filemap_queue *queue)
{
	struct filemap_log *log;
	uint32_t next = 0;
	uint64_t last;

	NEED_OK(open_log(at(root, "log"), queue, &log));
	NEED_OK(disk_fill(root));
	NEED_OK(run_full(log, root, &next));
	NEED_OK(disk_fill(root));
	NEED(append_all(log, &next, &last) == -ENOSPC);
	NEED_OK(filemap_log_finish(log, &error));
	filemap_log_close(log);
	NEED(count(at(root, "log")) == next);
	return 0;
}

static int with_waiters(const struct disk *disk, const char *root)
{
	(void)disk;
	return fill_and_go_on(root, NULL);
}

static int with_queue(const char *root, unsigned backend)
{
	struct filemap_queue *queue;
	int r;

	if (filemap_queue_open(FILEMAP_QUEUE_OPTIONS(.backend = backend), &queue, &error) < 0)
		return backend == FILEMAP_QUEUE_URING ? DISK_SKIPPED : 1;
	r = fill_and_go_on(root, queue);
	filemap_queue_close(queue);
	return r;
}

static int with_threads(const struct disk *disk, const char *root)
{
	(void)disk;
	return with_queue(root, FILEMAP_QUEUE_THREADS);
}

static int with_ring(const struct disk *disk, const char *root)
{
	(void)disk;
	return with_queue(root, FILEMAP_QUEUE_URING);
}

static void log_on_a_full_disk_has_an_error_and_goes_on(void **state)
{
	disk_on(state, disks, with_waiters);
}

static void log_with_a_pool_of_threads_on_a_full_disk_has_an_error_and_goes_on(void **state)
{
	disk_on(state, one_disk, with_threads);
}

static void log_with_a_ring_on_a_full_disk_has_an_error_and_goes_on(void **state)
{
	disk_on(state, one_disk, with_ring);
}

/* ---- opening ---- */

/* A writer that died, a disk without a block: opening needs none, or says so and loses nothing. */
static int reopen(const struct disk *disk, const char *root)
{
	struct filemap_log *log;
	uint64_t last = 0;
	uint32_t next = 0;

	(void)disk;
	NEED_OK(open_log(at(root, "log"), NULL, &log));
	NEED_OK(disk_fill(root));
	NEED(append_all(log, &next, &last) == -ENOSPC);
	NEED(filemap_log_wait(log, last, FILEMAP_DURABLE, -1) == 1);
	filemap_log_close(log);
	NEED_OK(open_log(at(root, "log"), NULL, &log));
	NEED(append(log, next, NULL) == -ENOSPC);
	filemap_log_close(log);
	NEED_OK(disk_free(root));
	NEED_OK(open_log(at(root, "log"), NULL, &log));
	NEED_OK(append(log, next++, NULL));
	filemap_log_close(log);
	NEED_OK(open_log(at(root, "log"), NULL, &log));
	NEED(count(at(root, "log")) == next);
	filemap_log_close(log);
	return 0;
}

static void log_that_filled_the_disk_is_opened_again_on_it(void **state)
{
	disk_on(state, many_disks, reopen);
}

static int create(const struct disk *disk, const char *root)
{
	struct filemap_log *log;

	(void)disk;
	NEED_OK(disk_fill(root));
	const int before = disk_entries(root);
	NEED(open_log(at(root, "log"), NULL, &log) == -ENOSPC);
	NEED(disk_entries(root) == before);
	NEED_OK(disk_free(root));
	NEED_OK(open_log(at(root, "log"), NULL, &log));
	NEED_OK(append(log, 0, NULL));
	NEED_OK(filemap_log_finish(log, &error));
	filemap_log_close(log);
	NEED(count(at(root, "log")) == 1);
	return 0;
}

static void log_is_not_made_on_a_full_disk(void **state)
{
	disk_on(state, many_disks, create);
}

/* ---- directories that were copied ---- */

static int make_copy(const char *root, const char *how)
{
	struct filemap_log *log;
	char command[2048];

	NEED_OK(open_log(at(root, "log"), NULL, &log));
	for (uint32_t i = 0; i < 10; i++)
		NEED_OK(append(log, i, NULL));
	NEED_OK(filemap_log_finish(log, &error));
	filemap_log_close(log);
	snprintf(command, sizeof command, "cp -r %s '%s/log' '%s/copy'; sync -f '%s'", how, root, root, root);
	NEED_OK(system(command));
	return 0;
}

/* Tools leave out zeros, or share blocks: the room for appending is not there, or not the copy's own. */
static int append_to_copy(const char *root)
{
	struct filemap_log *log;
	uint32_t next = 10;
	uint64_t last;
	int r;

	NEED_OK(disk_fill(root));
	r = open_log(at(root, "copy"), NULL, &log);
	if (r < 0) {
		NEED(r == -ENOSPC && count(at(root, "copy")) == 10);
		NEED_OK(disk_free(root));
		NEED_OK(open_log(at(root, "copy"), NULL, &log));
		NEED_OK(disk_fill(root));
	}
	NEED(append_all(log, &next, &last) == -ENOSPC && next > 100);
	NEED_OK(filemap_log_finish(log, &error));
	filemap_log_close(log);
	NEED(count(at(root, "copy")) == next);
	return 0;
}

static int sparse_copy(const struct disk *disk, const char *root)
{
	(void)disk;
	NEED_OK(make_copy(root, "--sparse=always"));
	return append_to_copy(root);
}

static int shared_copy(const struct disk *disk, const char *root)
{
	(void)disk;
	NEED_OK(make_copy(root, "--reflink=always"));
	return append_to_copy(root);
}

static void log_copied_with_holes_has_room_before_it_is_open(void **state)
{
	disk_on(state, many_disks, sparse_copy);
}

static void log_copied_with_shared_blocks_has_its_own_before_it_is_open(void **state)
{
	disk_on(state, sharing_disks, shared_copy);
}

/* A process that died: the first segment is full and durable, and meta does not say that it is sealed. */
static int die_before_sealing(void *context)
{
	struct filemap_log_position position = {0};
	struct filemap_log *log;

	NEED_OK(open_log(context, NULL, &log));
	for (uint32_t i = 0; i < 220; i++)
		NEED_OK(append(log, i, &position));
	pthread_mutex_lock(&log->meta_lock);
	NEED(filemap_log_wait(log, position.lsn, FILEMAP_DURABLE, -1) == 1);
	NEED_OK(append(log, 220, &position)); /* it promises that the others are durable */
	NEED(filemap_log_wait(log, position.lsn, FILEMAP_DURABLE, -1) == 1);
	return 0;
}

static int make_hole(const char *path, uint64_t offset, uint64_t length)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), r;

	NEED(fd >= 0);
	r = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length);
	close(fd);
	return r;
}

static int finish_and_count_seals(struct filemap_log *log, uint64_t *ret)
{
	struct filemap_log_stats stats;

	NEED_OK(filemap_log_finish(log, &error));
	NEED_OK(filemap_log_stats(log, &stats));
	filemap_log_close(log);
	*ret = stats.segments_sealed;
	return 0;
}

/* A thread of the library seals; where the seal goes there is a hole, and no room. */
static int seal_in_hole(const struct disk *disk, const char *root)
{
	struct filemap_log *log;
	uint64_t seals;

	(void)disk;
	NEED_OK(t_in_child(die_before_sealing, (void *)(uintptr_t)at(root, "log")));
	NEED_OK(make_hole(at(root, "log/0000000000000000.seg"), SEGMENT - FM_LOG_BLOCK, FM_LOG_BLOCK));
	NEED_OK(disk_fill(root));
	NEED_OK(open_log(at(root, "log"), NULL, &log));
	NEED_OK(append(log, 221, NULL));
	NEED_OK(finish_and_count_seals(log, &seals));
	NEED(seals == 0);
	NEED_OK(disk_free(root));
	NEED_OK(open_log(at(root, "log"), NULL, &log));
	NEED_OK(finish_and_count_seals(log, &seals));
	NEED(seals == 1 && count(at(root, "log")) == 222);
	return 0;
}

static void seal_in_a_hole_on_a_full_disk_waits_for_room(void **state)
{
	disk_on(state, disks, seal_in_hole);
}

T_MAIN(T_TEST(log_on_a_full_disk_has_an_error_and_goes_on),
       T_TEST(log_with_a_pool_of_threads_on_a_full_disk_has_an_error_and_goes_on),
       T_TEST(log_with_a_ring_on_a_full_disk_has_an_error_and_goes_on),
       T_TEST(log_that_filled_the_disk_is_opened_again_on_it), T_TEST(log_is_not_made_on_a_full_disk),
       T_TEST(log_copied_with_holes_has_room_before_it_is_open),
       T_TEST(log_copied_with_shared_blocks_has_its_own_before_it_is_open),
       T_TEST(seal_in_a_hole_on_a_full_disk_waits_for_room))
