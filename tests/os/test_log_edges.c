/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Corners of writer and reader that a review found open once. */
#include <fcntl.h>
#include <unistd.h>

#include "log_app.h"

/* What lies inside a PAD may still look like a frame; a position in there is gone, not another record. */
static void seek_into_a_discarded_area_is_gone(void **state)
{
	const char *dir = t_path(*state, "log");
	static const uint8_t zeros[8];
	struct filemap_log_position at[3];
	struct filemap_log_reader *reader;
	struct filemap_log_report report;
	struct filemap_log *log = app_open(dir, NULL, NULL);
	int fd;

	for (uint64_t i = 0; i < 3; i++)
		assert_ok(app_append(log, i, &at[i]));
	filemap_log_close(log);
	/* The power cut took the first frame, and left the others. */
	fd = open(t_path(*state, "log/0000000000000000.seg"), O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, zeros, sizeof zeros, (off_t)at[0].lsn), sizeof zeros);
	close(fd);
	log = app_open(dir, NULL, &report);
	assert_int_equal(report.state, FILEMAP_LOG_TORN);
	filemap_log_close(log);

	assert_ok(filemap_log_reader_open(dir, NULL, &reader, NULL, NULL));
	assert_int_equal(filemap_log_reader_seek(reader, at[1]), FILEMAP_EGONE);
	at[2].epoch = 0;
	assert_int_equal(filemap_log_reader_seek(reader, at[2]), FILEMAP_EGONE);
	filemap_log_reader_close(reader);
}

/* Sealed segments have entry points; the last segment has none. */
static void seek_finds_each_record_of_sealed_segments(void **state)
{
	enum { RECORDS = 3500 };
	static struct filemap_log_position at[RECORDS];
	const char *dir = t_path(*state, "log");
	struct filemap_log *log = app_open(dir, NULL, NULL);
	struct filemap_log_reader *reader;
	struct filemap_log_record record;
	struct filemap_log_stats stats;

	for (uint64_t i = 0; i < RECORDS; i++)
		assert_ok(app_append(log, i, &at[i]));
	assert_ok(filemap_log_finish(log, NULL));
	assert_ok(filemap_log_stats(log, &stats));
	assert_true(stats.segments_sealed >= 3);
	filemap_log_close(log);
	assert_ok(filemap_log_reader_open(dir, NULL, &reader, NULL, NULL));
	for (uint64_t i = 0; i < RECORDS; i++) {
		uint64_t id = i * 1607 % RECORDS; /* to and fro */

		assert_ok(filemap_log_reader_seek(reader, at[id]));
		assert_int_equal(filemap_log_reader_next(reader, &record), 1);
		assert_int_equal(app_check(&record), id);
		at[id].lsn += 32;
		assert_int_equal(filemap_log_reader_seek(reader, at[id]), FILEMAP_EGONE);
	}
	filemap_log_reader_close(reader);
}

static void wait_behind_the_end(const char *dir, struct filemap_queue *queue)
{
	struct filemap_log *log = app_open(dir, queue, NULL);
	uint64_t last = app_append_some(log, 0, 5), tail;

	assert_ok(filemap_log_finish(log, NULL));
	tail = filemap_log_tail(log);
	assert_int_equal(filemap_log_wait(log, last, FILEMAP_DURABLE, -1), 1);
	assert_int_equal(filemap_log_wait(log, tail, FILEMAP_DURABLE, -1), FILEMAP_EMODE);
	assert_int_equal(filemap_log_wait(log, tail, FILEMAP_PUBLISHED, -1), FILEMAP_EMODE);
	assert_int_equal(filemap_log_wait(log, tail, FILEMAP_DURABLE, 0), 0);
	filemap_log_close(log);
}

static void wait_behind_the_end_of_a_finished_log_ends(void **state)
{
	struct filemap_queue *queue;

	wait_behind_the_end(t_path(*state, "log"), NULL);
	assert_ok(filemap_queue_open(FILEMAP_QUEUE_OPTIONS(.backend = FILEMAP_QUEUE_THREADS), &queue, NULL));
	wait_behind_the_end(t_path(*state, "queued"), queue);
	filemap_queue_close(queue);
}

/* Nothing looks there before it is written: what damage left behind the end is no commit. */
static void damage_behind_the_end_is_never_published(void **state)
{
	static const uint64_t noise[] = {UINT64_MAX, 0x123456789ABCDEF0, 1};
	const char *dir = t_path(*state, "log"), *segment = t_path(*state, "log/0000000000000000.seg");

	for (uint64_t i = 0; i < sizeof noise / sizeof *noise; i++) {
		struct filemap_log *log = app_open(dir, NULL, NULL);
		struct filemap_log_position position;
		uint64_t end;
		int fd;

		app_append_some(log, i * 2, 1);
		assert_ok(filemap_log_finish(log, NULL));
		end = filemap_log_tail(log);
		filemap_log_close(log);
		fd = open(segment, O_RDWR | O_CLOEXEC);
		for (off_t at = 32; at < 4096; at += 32)
			assert_int_equal(pwrite(fd, &noise[i], 8, (off_t)end + at), 8);
		close(fd);
		log = app_open(dir, NULL, NULL);
		assert_ok(app_append(log, i * 2 + 1, &position));
		assert_int_equal(filemap_log_wait(log, position.lsn, FILEMAP_DURABLE, -1), 1);
		assert_int_equal(filemap_log_published(log), filemap_log_tail(log));
		assert_ok(filemap_log_finish(log, NULL));
		filemap_log_close(log);
		assert_int_equal(app_count(dir, FILEMAP_DURABLE), i * 2 + 2);
		log = app_open(dir, NULL, NULL);
		assert_ok(filemap_log_finish(log, NULL));
		filemap_log_close(log);
	}
}

/* No later frame promises the last group: the idle writer does it. */
static void idle_log_writes_its_watermark(void **state)
{
	const char *meta = t_path(*state, "log/meta");
	struct filemap_log *log = app_open(t_path(*state, "log"), NULL, NULL);
	uint64_t last = app_append_some(log, 0, 5);

	assert_int_equal(filemap_log_wait(log, last, FILEMAP_DURABLE, -1), 1);
	assert_true(app_marked_above(meta, last));
	filemap_log_close(log);
}

T_MAIN(T_TEST(seek_into_a_discarded_area_is_gone), T_TEST(seek_finds_each_record_of_sealed_segments),
       T_TEST(wait_behind_the_end_of_a_finished_log_ends), T_TEST(damage_behind_the_end_is_never_published),
       T_TEST(idle_log_writes_its_watermark))
