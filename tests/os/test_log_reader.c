/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Reading logs: closed, live, abandoned and damaged ones. */
#include "t.h"

#include <errno.h>
#include <unistd.h>

#include "base/bytes.h"
#include "log/format.h"
#include "sys/sys.h"

#define MIB (UINT64_C(1) << 20)

static const uint8_t *segment_bytes(const struct t_dir *dir, uint64_t n)
{
	static uint8_t bytes[MIB];
	char name[64];

	snprintf(name, sizeof name, "log/%016llx.seg", (unsigned long long)n);
	assert_int_equal(t_read_file(t_path(dir, name), bytes, sizeof bytes), MIB);
	return bytes;
}

static void overwrite(const struct t_dir *dir, uint64_t lsn, const void *bytes, size_t length)
{
	char name[64];
	int fd;

	snprintf(name, sizeof name, "log/%016llx.seg", (unsigned long long)(lsn / MIB));
	fd = fm__sys_openat(dir->fd, name, O_RDWR, 0);
	assert_true(fd >= 0);
	assert_ok(fm__sys_pwrite(fd, bytes, length, lsn % MIB));
	fm__sys_close(fd);
}

static struct filemap_log *open_log(const struct t_dir *dir)
{
	struct filemap_log *log;

	assert_ok(filemap_log_open(t_path(dir, "log"),
				   FILEMAP_LOG_OPTIONS(.flags = FILEMAP_LOG_CREATE, .segment_size = MIB),
				   &log, NULL, NULL));
	return log;
}

static struct filemap_log_reader *open_reader(const struct t_dir *dir, uint32_t level)
{
	const struct filemap_log_reader_options options = {.struct_size = sizeof options, .level = level};
	struct filemap_log_reader *reader;

	assert_ok(filemap_log_reader_open(t_path(dir, "log"), &options, &reader, NULL, NULL));
	return reader;
}

/* Record i is its number, and then so many bytes of it. */
static size_t record_make(unsigned i, char *to)
{
	int length = snprintf(to, 16, "%u ", i);

	memset(to + length, 'a' + (int)(i % 26), i % 1000);
	return (size_t)length + i % 1000;
}

static void append(struct filemap_log *log, unsigned from, unsigned to)
{
	char bytes[1100];

	for (unsigned i = from; i < to; i++)
		assert_ok(filemap_log_append(log, bytes, record_make(i, bytes), NULL));
}

static void finish(struct filemap_log *log)
{
	assert_ok(filemap_log_finish(log, NULL));
	filemap_log_close(log);
}

static void assert_record(const struct filemap_log_record *record, unsigned i)
{
	char bytes[1100];
	size_t length = record_make(i, bytes);

	assert_int_equal(record->length, length);
	assert_memory_equal(record->data, bytes, length);
}

static void assert_next(struct filemap_log_reader *reader, unsigned from, unsigned to)
{
	struct filemap_log_record record;

	for (unsigned i = from; i < to; i++) {
		assert_int_equal(filemap_log_reader_next(reader, &record), 1);
		assert_record(&record, i);
	}
}

static void assert_no_more(struct filemap_log_reader *reader)
{
	struct filemap_log_record record;

	assert_int_equal(filemap_log_reader_next(reader, &record), 0);
}

/* A closed log of `count` records; their positions go to `positions`, if there is room for them. */
static void make_log(const struct t_dir *dir, unsigned count, struct filemap_log_position *positions)
{
	struct filemap_log *log = open_log(dir);
	char bytes[1100];

	for (unsigned i = 0; i < count; i++)
		assert_ok(filemap_log_append(log, bytes, record_make(i, bytes),
					     positions ? &positions[i] : NULL));
	finish(log);
}

/* ---- closed logs ---- */

/* More segments than the window holds. */
static void reader_of_a_closed_log_returns_each_record(void **state)
{
	const struct t_dir *dir = *state;
	struct filemap_log_reader *reader;
	struct filemap_log_record record;
	struct filemap_log_report report;
	uint64_t next = 4096, now = fm__sys_realtime_ms();

	make_log(dir, 14000, NULL);
	assert_ok(filemap_log_reader_open(t_path(dir, "log"), NULL, &reader, &report, NULL));
	assert_true(report.state == FILEMAP_LOG_CLEAN && report.first == 4096 && report.segments >= 7);
	for (unsigned i = 0; i < 14000; i++) {
		assert_int_equal(filemap_log_reader_next(reader, &record), 1);
		assert_record(&record, i);
		assert_true(record.position.lsn >= next && record.position.epoch >= 1);
		assert_true(record.next > record.position.lsn);
		assert_true(record.time_ms + 60000 > now && record.time_ms < now + 600000);
		next = record.next;
	}
	assert_no_more(reader);
	assert_true(next == report.end);
	filemap_log_reader_close(reader);
}

static void reader_of_an_empty_log_returns_nothing(void **state)
{
	const struct t_dir *dir = *state;
	struct filemap_log_reader *reader;

	make_log(dir, 0, NULL);
	reader = open_reader(dir, FILEMAP_DURABLE);
	assert_no_more(reader);
	assert_no_more(reader);
	filemap_log_reader_close(reader);
}

static void reader_open_refuses_what_it_cannot_take(void **state)
{
	const struct t_dir *dir = *state;
	struct filemap_log_reader_options options = {.struct_size = sizeof options, .level = 2};
	struct filemap_log_reader *reader = NULL;
	struct filemap_error error;

	make_log(dir, 1, NULL);
	assert_int_equal(filemap_log_reader_open(t_path(dir, "log"), &options, &reader, NULL, &error),
			 FILEMAP_EOPTION);
	assert_string_equal(error.subject, "level");
	options.level = 0;
	options.flags = 2;
	assert_int_equal(filemap_log_reader_open(t_path(dir, "log"), &options, &reader, NULL, &error),
			 FILEMAP_EOPTION);
	assert_string_equal(error.subject, "flags");
	assert_int_equal(filemap_log_reader_open(NULL, NULL, &reader, NULL, &error), FILEMAP_EOPTION);
	assert_int_equal(filemap_log_reader_open(t_path(dir, "none"), NULL, &reader, NULL, &error), -ENOENT);
	assert_int_equal(filemap_log_reader_open(dir->path, NULL, &reader, NULL, &error), -ENOENT);
	assert_string_equal(error.subject, "meta");
	assert_null(reader);
	filemap_log_reader_close(NULL);
}

/* ---- live logs ---- */

static void reader_of_a_live_log_follows_the_writer(void **state)
{
	const struct t_dir *dir = *state;
	struct filemap_log *log = open_log(dir);
	struct filemap_log_reader *reader = open_reader(dir, FILEMAP_PUBLISHED);

	assert_no_more(reader);
	for (unsigned i = 0; i < 5000; i += 500) {
		append(log, i, i + 500);
		assert_int_equal(filemap_log_wait(log, filemap_log_tail(log) - 1, FILEMAP_PUBLISHED, -1), 1);
		assert_next(reader, i, i + 500);
		assert_no_more(reader);
	}
	finish(log);
	assert_no_more(reader);
	filemap_log_reader_close(reader);
}

static void reader_at_durable_never_returns_more(void **state)
{
	const struct t_dir *dir = *state;
	struct filemap_log *log = open_log(dir);
	struct filemap_log_reader *reader = open_reader(dir, FILEMAP_DURABLE);
	struct filemap_log_record record;

	append(log, 0, 100);
	while (filemap_log_reader_next(reader, &record) == 1)
		assert_true(record.next <= filemap_log_durable(log));
	assert_ok(filemap_log_reader_seek(reader, (struct filemap_log_position){.lsn = 4096}));
	assert_ok(filemap_log_sync(log, NULL));
	assert_next(reader, 0, 100);
	assert_no_more(reader);
	finish(log);
	filemap_log_reader_close(reader);
}

static int append_and_die(void *context)
{
	struct filemap_log *log = open_log(context);

	append(log, 0, 300);
	if (filemap_log_wait(log, filemap_log_tail(log) - 1, FILEMAP_PUBLISHED, -1) != 1)
		return 1;
	_exit(0);
}

static void reader_after_the_writer_died_returns_what_was_published(void **state)
{
	const struct t_dir *dir = *state;
	struct filemap_log_reader *reader, *late;
	struct filemap_log_record record;
	struct filemap_log *log;

	make_log(dir, 0, NULL);
	reader = open_reader(dir, FILEMAP_PUBLISHED);
	assert_int_equal(t_in_child(append_and_die, (void *)(uintptr_t)dir), 0);
	assert_next(reader, 0, 300);
	assert_no_more(reader);
	late = open_reader(dir, FILEMAP_PUBLISHED);
	assert_next(late, 0, 300);
	assert_no_more(late);
	filemap_log_reader_close(late);

	log = open_log(dir); /* and the old reader follows the new one */
	append(log, 300, 400);
	assert_ok(filemap_log_sync(log, NULL));
	for (unsigned i = 300; i < 400; i++) {
		assert_int_equal(filemap_log_reader_next(reader, &record), 1);
		assert_record(&record, i);
		assert_true(record.position.epoch > 2);
	}
	finish(log);
	assert_no_more(reader);
	filemap_log_reader_close(reader);
}

/* Between taking the lock and its first word a writer has nothing to say; the reader neither waits nor fails. */
static void reader_while_a_writer_opens_stays_at_its_limit(void **state)
{
	const struct t_dir *dir = *state;
	struct filemap_log_reader *reader;
	int lock;

	make_log(dir, 10, NULL);
	reader = open_reader(dir, FILEMAP_PUBLISHED);
	assert_next(reader, 0, 10);
	lock = fm__sys_openat(dir->fd, "log/LOCK", O_RDWR, 0);
	assert_ok(fm__sys_ofd_lock(lock, F_WRLCK, 0, 1));
	assert_ok(unlink(t_path(dir, "log/ctl")));
	assert_no_more(reader);
	fm__sys_close(lock);
	assert_no_more(reader);
	filemap_log_reader_close(reader);
}

/* ---- damage ---- */

static void reader_at_a_damaged_record_says_so_and_stays(void **state)
{
	const struct t_dir *dir = *state;
	struct filemap_log_position at[20];
	struct filemap_log_reader *reader;
	struct filemap_log_record record;
	uint8_t byte;

	make_log(dir, 20, at);
	byte = segment_bytes(dir, 0)[at[12].lsn + 33] ^ 4;
	overwrite(dir, at[12].lsn + 33, &byte, 1);
	reader = open_reader(dir, FILEMAP_PUBLISHED);
	assert_next(reader, 0, 12);
	assert_int_equal(filemap_log_reader_next(reader, &record), FILEMAP_ECORRUPT);
	assert_int_equal(filemap_log_reader_next(reader, &record), FILEMAP_ECORRUPT);
	assert_ok(filemap_log_reader_seek(reader, at[13]));
	assert_next(reader, 13, 20);
	assert_no_more(reader);
	assert_ok(filemap_log_reader_seek(reader, at[11]));
	byte ^= 4;
	overwrite(dir, at[12].lsn + 33, &byte, 1);
	assert_next(reader, 11, 20);
	filemap_log_reader_close(reader);
}

/* A length that the frame has no room for: nobody reads so far, or asks for so much memory. */
static void copying_reader_at_a_damaged_length_says_so(void **state)
{
	const struct filemap_log_reader_options options = {.struct_size = sizeof options,
							   .flags = FILEMAP_LOG_COPY};
	static const uint32_t lengths[] = {2000, 2 * MIB, UINT32_MAX};
	const struct t_dir *dir = *state;
	struct filemap_log_position at[20];
	struct filemap_log_reader *reader;
	struct filemap_log_record record;

	make_log(dir, 20, at);
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		uint8_t bytes[4];
		fm__put_le32(bytes, lengths[i]);
		overwrite(dir, at[12].lsn + 12, bytes, sizeof bytes);
		assert_ok(filemap_log_reader_open(t_path(dir, "log"), &options, &reader, NULL, NULL));
		assert_next(reader, 0, 12);
		assert_int_equal(filemap_log_reader_next(reader, &record), FILEMAP_ECORRUPT);
		assert_ok(filemap_log_reader_seek(reader, at[13]));
		assert_next(reader, 13, 20);
		filemap_log_reader_close(reader);
	}
}

/* The log was not closed, and a record below its durable position is damaged. */
static void reader_of_a_corrupt_log_serves_what_is_below_the_damage(void **state)
{
	const struct t_dir *dir = *state;
	struct filemap_log_position at[20];
	struct filemap_log_reader *reader;
	struct filemap_log_record record;
	struct filemap_log_report report;
	struct filemap_log *log;
	uint8_t byte;

	make_log(dir, 20, at);
	log = open_log(dir);
	append(log, 20, 21);
	assert_ok(filemap_log_sync(log, NULL));
	filemap_log_close(log); /* without finish */
	byte = segment_bytes(dir, 0)[at[12].lsn + 8] ^ 4;
	overwrite(dir, at[12].lsn + 8, &byte, 1);

	assert_ok(filemap_log_reader_open(t_path(dir, "log"), NULL, &reader, &report, NULL));
	assert_true(report.state == FILEMAP_LOG_CORRUPT && report.damaged_at == at[12].lsn);
	assert_next(reader, 0, 12);
	assert_int_equal(filemap_log_reader_next(reader, &record), FILEMAP_ECORRUPT);
	assert_int_equal(filemap_log_reader_next(reader, &record), FILEMAP_ECORRUPT);
	assert_int_equal(filemap_log_reader_seek(reader, at[13]), FILEMAP_ECORRUPT);
	assert_ok(filemap_log_reader_seek_end(reader));
	assert_int_equal(filemap_log_reader_next(reader, &record), FILEMAP_ECORRUPT);
	assert_ok(filemap_log_reader_seek(reader, at[3]));
	assert_next(reader, 3, 12);
	filemap_log_reader_close(reader);
}

/* Put a frame without payload over [from, to). */
static void put_frame(const struct t_dir *dir, struct filemap_log_position from, uint64_t to, uint16_t type,
		      uint16_t flags)
{
	struct fm__log_header header;
	struct fm__log_frame frame = {.lsn = from.lsn,
				      .size = to - from.lsn,
				      .type = type,
				      .flags = flags,
				      .epoch = from.epoch,
				      .back = FM_LOG_NO_PROMISE};
	uint8_t bytes[FM_LOG_FRAME_HEADER];

	assert_ok(fm__log_header_decode(segment_bytes(dir, from.lsn / MIB), &header));
	fm__log_frame_encode(&header.geometry, &frame, NULL, 0, bytes);
	overwrite(dir, from.lsn, bytes, sizeof bytes);
}

static void reader_reports_a_lost_area_once_and_goes_on(void **state)
{
	const struct t_dir *dir = *state;
	struct filemap_log_position at[20];
	struct filemap_log_reader *reader;
	struct filemap_log_record record;

	make_log(dir, 20, at);
	put_frame(dir, at[5], at[8].lsn, FM_LOG_PAD, FM_LOG_PAD_LOST);
	put_frame(dir, at[10], at[12].lsn, FM_LOG_PAD, FM_LOG_PAD_DISCARD);
	reader = open_reader(dir, FILEMAP_PUBLISHED);
	assert_next(reader, 0, 5);
	assert_int_equal(filemap_log_reader_next(reader, &record), FILEMAP_ECORRUPT);
	assert_next(reader, 8, 10);
	assert_next(reader, 12, 20);
	assert_no_more(reader);
	filemap_log_reader_close(reader);
}

static void reader_at_an_unknown_kind_of_frame_is_a_version_error(void **state)
{
	const struct t_dir *dir = *state;
	struct filemap_log_position at[20];
	struct filemap_log_reader *reader;
	struct filemap_log_record record;

	make_log(dir, 20, at);
	put_frame(dir, at[5], at[6].lsn, 3, 0);
	put_frame(dir, at[9], at[10].lsn, 900, 0);
	reader = open_reader(dir, FILEMAP_PUBLISHED);
	assert_next(reader, 0, 5);
	assert_int_equal(filemap_log_reader_next(reader, &record), FILEMAP_EVERSION);
	assert_int_equal(filemap_log_reader_next(reader, &record), FILEMAP_EVERSION);
	assert_ok(filemap_log_reader_seek(reader, at[9]));
	assert_int_equal(filemap_log_reader_next(reader, &record), FILEMAP_EVERSION);
	filemap_log_reader_close(reader);
}

static void reader_without_a_segment_it_needs_is_corrupt(void **state)
{
	const struct t_dir *dir = *state;
	struct filemap_log_reader *reader;
	struct filemap_log_record record;
	int r;

	make_log(dir, 5000, NULL);
	reader = open_reader(dir, FILEMAP_PUBLISHED);
	assert_next(reader, 0, 10);
	assert_ok(unlink(t_path(dir, "log/0000000000000001.seg")));
	while ((r = filemap_log_reader_next(reader, &record)) == 1)
		assert_true(record.position.lsn < MIB);
	assert_int_equal(r, FILEMAP_ECORRUPT);
	filemap_log_reader_close(reader);
}

/* ---- seeking ---- */

static void seek_goes_to_any_record_and_back(void **state)
{
	const struct t_dir *dir = *state;
	static struct filemap_log_position at[14000];
	struct filemap_log_reader *reader;

	make_log(dir, 14000, at);
	reader = open_reader(dir, FILEMAP_DURABLE);
	for (unsigned i = 13999; i > 700; i -= 700) {
		assert_ok(filemap_log_reader_seek(reader, at[i]));
		assert_next(reader, i, i + 1);
	}
	assert_ok(filemap_log_reader_seek(reader, (struct filemap_log_position){.lsn = at[77].lsn}));
	assert_next(reader, 77, 80);
	assert_ok(filemap_log_reader_seek_end(reader));
	assert_no_more(reader);
	filemap_log_reader_close(reader);
}

static void seek_refused(struct filemap_log_reader *reader, uint64_t lsn, uint32_t epoch)
{
	const struct filemap_log_position position = {.lsn = lsn, .epoch = epoch};

	assert_int_equal(filemap_log_reader_seek(reader, position), FILEMAP_EGONE);
}

static void seek_to_what_is_no_record_is_egone_and_stays(void **state)
{
	const struct t_dir *dir = *state;
	struct filemap_log_position at[200], odd;
	struct filemap_log_reader *reader;
	struct filemap_log_record record;

	make_log(dir, 200, at);
	reader = open_reader(dir, FILEMAP_PUBLISHED);
	assert_next(reader, 0, 100);
	seek_refused(reader, at[5].lsn, at[5].epoch + 1);
	seek_refused(reader, at[5].lsn, at[5].epoch - 1);
	seek_refused(reader, at[5].lsn + 1, 0);
	seek_refused(reader, at[199].lsn + 32, 0);
	seek_refused(reader, 0, 0);
	seek_refused(reader, 4064, 0);
	seek_refused(reader, MIB - 4096, 0);
	seek_refused(reader, MIB, 0);
	seek_refused(reader, MIB + 4096, 0);
	seek_refused(reader, UINT64_MAX, 0);
	seek_refused(reader, UINT64_MAX - 31, 0);
	odd = at[5];
	odd.reserved = 1;
	assert_int_equal(filemap_log_reader_seek(reader, odd), FILEMAP_EOPTION);
	assert_next(reader, 100, 199);
	assert_int_equal(filemap_log_reader_next(reader, &record), 1);
	assert_ok(filemap_log_reader_seek(reader, (struct filemap_log_position){.lsn = record.next}));
	assert_no_more(reader);
	filemap_log_reader_close(reader);
}

/* Where there is no record yet, the epoch is kept: another record in that place is not the one meant. */
static void seek_to_the_end_with_an_epoch_checks_the_record_that_comes(void **state)
{
	const struct t_dir *dir = *state;
	struct filemap_log_reader *reader;
	struct filemap_log_record record;
	struct filemap_log_position end = {0};
	struct filemap_log *log = open_log(dir);

	append(log, 0, 10);
	assert_ok(filemap_log_sync(log, NULL));
	reader = open_reader(dir, FILEMAP_PUBLISHED);
	end.lsn = filemap_log_published(log);
	end.epoch = 4711;
	assert_ok(filemap_log_reader_seek(reader, end));
	assert_no_more(reader);
	append(log, 10, 11);
	assert_ok(filemap_log_sync(log, NULL));
	assert_int_equal(filemap_log_reader_next(reader, &record), FILEMAP_EGONE);
	assert_int_equal(filemap_log_reader_next(reader, &record), FILEMAP_EGONE);
	end.epoch = 0;
	assert_ok(filemap_log_reader_seek(reader, end));
	assert_next(reader, 10, 11);
	finish(log);
	filemap_log_reader_close(reader);
}

T_MAIN(T_TEST(reader_of_a_closed_log_returns_each_record), T_TEST(reader_of_an_empty_log_returns_nothing),
       T_TEST(reader_open_refuses_what_it_cannot_take), T_TEST(reader_of_a_live_log_follows_the_writer),
       T_TEST(reader_at_durable_never_returns_more),
       T_TEST(reader_after_the_writer_died_returns_what_was_published),
       T_TEST(reader_while_a_writer_opens_stays_at_its_limit),
       T_TEST(reader_at_a_damaged_record_says_so_and_stays),
       T_TEST(copying_reader_at_a_damaged_length_says_so),
       T_TEST(reader_of_a_corrupt_log_serves_what_is_below_the_damage),
       T_TEST(reader_reports_a_lost_area_once_and_goes_on),
       T_TEST(reader_at_an_unknown_kind_of_frame_is_a_version_error),
       T_TEST(reader_without_a_segment_it_needs_is_corrupt), T_TEST(seek_goes_to_any_record_and_back),
       T_TEST(seek_to_what_is_no_record_is_egone_and_stays),
       T_TEST(seek_to_the_end_with_an_epoch_checks_the_record_that_comes))
