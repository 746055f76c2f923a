/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Corners of writer and reader that a review found open once. */
#include <fcntl.h>
#include <unistd.h>

#include "log/meta.h"
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

static void wait_behind_the_end_of_a_finished_log_ends(void **state)
{
	struct filemap_log *log = app_open(t_path(*state, "log"), NULL, NULL);
	uint64_t last = app_append_some(log, 0, 5);

	assert_ok(filemap_log_finish(log, NULL));
	assert_int_equal(filemap_log_wait(log, last, FILEMAP_DURABLE, -1), 1);
	assert_int_equal(filemap_log_wait(log, filemap_log_tail(log), FILEMAP_DURABLE, -1), FILEMAP_EMODE);
	filemap_log_close(log);
}

static uint64_t durable_in_meta(const char *path)
{
	struct fm__log_meta meta;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_ok(fm__log_meta_read(fd, &meta));
	close(fd);
	return meta.durable;
}

/* No later frame promises the last group: the idle writer does it. Thirty seconds are for slow machines. */
static void idle_log_writes_its_watermark(void **state)
{
	const char *meta = t_path(*state, "log/meta");
	struct filemap_log *log = app_open(t_path(*state, "log"), NULL, NULL);
	uint64_t last = app_append_some(log, 0, 5);

	assert_int_equal(filemap_log_wait(log, last, FILEMAP_DURABLE, -1), 1);
	for (int i = 0; i < 3000 && durable_in_meta(meta) <= last; i++)
		usleep(10000);
	assert_true(durable_in_meta(meta) > last);
	filemap_log_close(log);
}

T_MAIN(T_TEST(seek_into_a_discarded_area_is_gone), T_TEST(wait_behind_the_end_of_a_finished_log_ends),
       T_TEST(idle_log_writes_its_watermark))
