/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A log on a device that really fails: nothing is acknowledged any more, and recovery writes again (rule R8a). */
#include "device.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include <filemap/filemap.h>

#include "fuse_fault.h"
#include "log_app.h"

#define SEGMENT "log/0000000000000000.seg"
#define SAFE 20 /* records that are durable before the device breaks */
#define ALL 30

static uint64_t commit_word_on_device(const struct device *device, uint64_t lsn)
{
	uint64_t word;

	device_read(device, SEGMENT, lsn, &word, sizeof word);
	return word;
}

static int wait_durable(struct filemap_log *log, uint64_t lsn)
{
	return filemap_log_wait(log, lsn, FILEMAP_DURABLE, -1);
}

static void assert_poisoned(struct filemap_log *log, uint64_t durable, uint64_t safe, uint64_t lost)
{
	struct filemap_log_position position = {0};

	assert_int_equal(filemap_log_wait(log, lost, FILEMAP_DURABLE, 0), FILEMAP_EPOISONED);
	assert_int_equal(filemap_log_wait(log, safe, FILEMAP_DURABLE, 0), 1);
	assert_int_equal(filemap_log_durable(log), durable);
	assert_int_equal(app_append(log, ALL, &position), FILEMAP_EPOISONED);
	assert_int_equal(filemap_log_sync(log, NULL), FILEMAP_EPOISONED);
	assert_int_equal(filemap_log_poll(log), FILEMAP_EPOISONED);
	assert_int_equal(filemap_log_finish(log, NULL), FILEMAP_EPOISONED);
}

/* From a device that works to a log that is poisoned, closed, and on a device that works again. Returns the first
 * position that was never acknowledged. */
static uint64_t break_under_log(struct device *device, struct filemap_queue *queue)
{
	const char *dir = device_path(device, "log");
	struct filemap_log *log = app_open(dir, queue, NULL);
	struct filemap_log_position first_lost = {0};
	uint64_t safe, lost, durable;

	safe = app_append_some(log, 0, SAFE);
	assert_int_equal(wait_durable(log, safe), 1);
	durable = filemap_log_durable(log);
	assert_ok(app_append(log, SAFE, &first_lost));
	lost = app_append_some(log, SAFE + 1, ALL - SAFE - 1);
	device_break(device);
	assert_int_equal(wait_durable(log, lost), FILEMAP_EPOISONED);
	assert_poisoned(log, durable, safe, lost);
	assert_int_equal(app_count(dir, FILEMAP_PUBLISHED), ALL);
	assert_int_equal(app_count(dir, FILEMAP_DURABLE), SAFE);
	device_heal(device);
	assert_poisoned(log, durable, safe, lost);
	filemap_log_close(log);
	return first_lost.lsn;
}

static void log_whose_device_failed_stops_and_recovery_writes_again(void **state)
{
	struct device *device = device_of(state);
	const char *dir = device_path(device, "log");
	struct filemap_log_report report;
	struct filemap_log *log;
	uint64_t lost = break_under_log(device, NULL);

	assert_int_equal(commit_word_on_device(device, lost), 0);
	log = app_open(dir, NULL, &report);
	assert_int_equal(report.state, FILEMAP_LOG_CLEAN);
	assert_true(report.end > lost);
	assert_true(commit_word_on_device(device, lost) != 0);
	filemap_log_close(log);
	device_remount(device);
	assert_int_equal(app_count(dir, FILEMAP_PUBLISHED), ALL);
	log = app_open(dir, NULL, NULL);
	assert_int_equal(wait_durable(log, app_append_some(log, ALL, 5)), 1);
	assert_ok(filemap_log_finish(log, NULL));
	filemap_log_close(log);
	device_remount(device);
	assert_int_equal(app_count(dir, FILEMAP_DURABLE), ALL + 5);
}

static void log_with_a_queue_stops_likewise(void **state)
{
	struct device *device = device_of(state);
	struct filemap_queue *queue;
	struct filemap_log *log;

	assert_ok(filemap_queue_open(NULL, &queue, NULL));
	(void)break_under_log(device, queue);
	log = app_open(device_path(device, "log"), queue, NULL);
	assert_int_equal(wait_durable(log, app_append_some(log, ALL, 5)), 1);
	filemap_log_close(log);
	filemap_queue_close(queue);
	device_remount(device);
	assert_int_equal(app_count(device_path(device, "log"), FILEMAP_PUBLISHED), ALL + 5);
}

/* Records that were acknowledged are on the device even if it fails and the power goes before anyone recovers. */
static void power_failure_after_the_device_failed_loses_nothing_acknowledged(void **state)
{
	struct device *device = device_of(state);
	const char *dir = device_path(device, "log");
	struct filemap_log *log;
	uint64_t count;

	(void)break_under_log(device, NULL);
	device_remount(device);
	count = app_count(dir, FILEMAP_PUBLISHED);
	assert_true(count >= SAFE && count <= ALL);
	log = app_open(dir, NULL, NULL);
	assert_int_equal(wait_durable(log, app_append_some(log, count, 5)), 1);
	filemap_log_close(log);
	device_remount(device);
	assert_int_equal(app_count(dir, FILEMAP_PUBLISHED), count + 5);
}

/* ---- reading ---- */

static void copy_entry(const char *from, const char *to)
{
	const size_t room = FUSE_FAULT_BYTES;
	unsigned char *bytes = malloc(room);
	size_t length;

	assert_non_null(bytes);
	length = t_read_file(from, bytes, room);
	t_write_file(to, bytes, length);
	free(bytes);
}

/* A log is not made on FUSE, but it may have been copied there. */
static const char *make_log_on_fuse(struct device *device)
{
	const char *made = t_path(device->dir, "made"), *copied = device_path(device, "log");
	struct filemap_log *log = app_open(made, NULL, NULL);
	struct dirent *entry;
	char from[600], to[600];
	DIR *dir;

	assert_ok(filemap_log_sync(log, NULL));
	assert_int_equal(wait_durable(log, app_append_some(log, 0, SAFE)), 1);
	filemap_log_close(log);
	assert_ok(mkdir(copied, 0700));
	dir = opendir(made);
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(from, sizeof from, "%s/%s", made, entry->d_name);
		snprintf(to, sizeof to, "%s/%s", copied, entry->d_name);
		copy_entry(from, to);
	}
	closedir(dir);
	return copied;
}

static void forget_cached(const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_ok(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	close(fd);
}

static void segment_that_cannot_be_read_is_an_error_of_reader_and_verify(void **state)
{
	struct device *device = device_of(state);
	const char *dir = make_log_on_fuse(device);
	struct filemap_log_report report;
	struct filemap_log_reader *reader;

	assert_ok(filemap_log_verify(dir, FILEMAP_LOG_DEEP, &report, NULL));
	assert_int_equal(app_count(dir, FILEMAP_PUBLISHED), SAFE);
	forget_cached(device_path(device, SEGMENT));
	fuse_fault_set(&device->fuse->read_error, EIO);
	assert_int_equal(filemap_log_verify(dir, FILEMAP_LOG_DEEP, &report, NULL), -EIO);
	assert_int_equal(filemap_log_reader_open(dir, NULL, &reader, NULL, NULL), -EIO);
	fuse_fault_set(&device->fuse->read_error, 0);
	assert_ok(filemap_log_verify(dir, FILEMAP_LOG_DEEP, &report, NULL));
	assert_int_equal(app_count(dir, FILEMAP_PUBLISHED), SAFE);
}

DEVICE_MAIN(T_ON(zram, log_whose_device_failed_stops_and_recovery_writes_again),
	    T_ON(zram, log_with_a_queue_stops_likewise),
	    T_ON(zram, power_failure_after_the_device_failed_loses_nothing_acknowledged),
	    T_ON(fuse, segment_that_cannot_be_read_is_an_error_of_reader_and_verify))
