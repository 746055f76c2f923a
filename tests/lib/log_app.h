/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The smallest program that uses a log: record number i has a length and bytes that follow from i, so that a
 * record that is missing, torn or doubled is noticed when they are read back.
 */
#ifndef T_LOG_APP_H
#define T_LOG_APP_H

#include <fcntl.h>
#include <unistd.h>

#include <filemap/log.h>

#include "log/meta.h"
#include "t.h"

#define APP_SEGMENT (UINT64_C(1) << 20)
#define APP_LENGTH_MAX 2048

static inline size_t app_length(uint64_t id)
{
	return 8 + (size_t)((id * UINT64_C(0x9E3779B97F4A7C15)) >> 40) % (APP_LENGTH_MAX - 8);
}

static inline void app_payload(uint64_t id, uint8_t to[APP_LENGTH_MAX])
{
	size_t length = app_length(id);

	memset(to, 0, APP_LENGTH_MAX);
	for (size_t i = 8; i < length; i++)
		to[i] = (uint8_t)(id * 31 + i * 7 + 1);
	memcpy(to, &id, sizeof id);
}

static inline int app_append(struct filemap_log *log, uint64_t id, struct filemap_log_position *ret)
{
	uint8_t payload[APP_LENGTH_MAX];

	app_payload(id, payload);
	return filemap_log_append(log, payload, app_length(id), ret);
}

/* Append `count` records from `id` on, none of which may fail; the position of the last one. */
static inline uint64_t app_append_some(struct filemap_log *log, uint64_t id, uint64_t count)
{
	struct filemap_log_position position = {0};

	for (uint64_t i = 0; i < count; i++)
		assert_ok(app_append(log, id + i, &position));
	return position.lsn;
}

static inline struct filemap_log *app_open(const char *dir, struct filemap_queue *queue,
					   struct filemap_log_report *ret_report)
{
	const struct filemap_log_options options = {
		.struct_size = sizeof options,
		.flags = FILEMAP_LOG_CREATE,
		.segment_size = APP_SEGMENT,
		.queue = queue,
	};
	struct filemap_error error = {0};
	struct filemap_log *log = NULL;
	char text[300];

	if (filemap_log_open(dir, &options, &log, ret_report, &error) < 0) {
		filemap_error_format(&error, text, sizeof text);
		fail_msg("%s", text);
	}
	return log;
}

/* The id of a record, after all its bytes were compared. */
static inline uint64_t app_check(const struct filemap_log_record *record)
{
	uint8_t expected[APP_LENGTH_MAX];
	uint64_t id;

	assert_true(record->length >= sizeof id);
	memcpy(&id, record->data, sizeof id);
	assert_int_equal(record->length, app_length(id));
	app_payload(id, expected);
	assert_memory_equal(record->data, expected, record->length);
	return id;
}

/* Read everything at a level; the ids have to be 0, 1, 2, ... Returns how many there are. */
static inline uint64_t app_count(const char *dir, uint32_t level)
{
	const struct filemap_log_reader_options options = {.struct_size = sizeof options, .level = level};
	struct filemap_log_reader *reader;
	struct filemap_log_record record;
	uint64_t count = 0;
	int r;

	assert_ok(filemap_log_reader_open(dir, &options, &reader, NULL, NULL));
	while ((r = filemap_log_reader_next(reader, &record)) == 1) {
		assert_int_equal(app_check(&record), count);
		count++;
	}
	assert_int_equal(r, 0);
	filemap_log_reader_close(reader);
	return count;
}

/* Whether meta comes to say, by itself, that lsn is durable. Thirty seconds are for slow machines. */
static inline bool app_marked_above(const char *path, uint64_t lsn)
{
	struct fm__log_meta meta = {0};
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	for (int i = 0; i < 3000 && meta.durable <= lsn; i++) {
		usleep(10000);
		assert_ok(fm__log_meta_read(fd, &meta));
	}
	close(fd);
	return meta.durable > lsn;
}

#endif
