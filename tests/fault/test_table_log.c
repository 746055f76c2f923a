/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The table of log.h: every operation of writers and readers, with each of its calls failing once in each plausible
 * way. The state is whether the log still takes records, how far it is durable, and what a new opening finds.
 * Asserted on each line: every record is found that was acknowledged as durable, or published by a process that
 * lives, whole and in order; no log is half made.
 *
 * One thread makes the calls of each operation: the program's, or the preparer while that one waits for it.
 */
#include "table.h"

#include <malloc.h>
#include <sys/stat.h>

#include "map/map.h"

#if defined(__SANITIZE_THREAD__)
#define IS_THREAD_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define IS_THREAD_SANITIZED 1
#endif
#endif
#ifndef IS_THREAD_SANITIZED
#define IS_THREAD_SANITIZED 0
#endif

#define SEGMENT (UINT64_C(1) << 20)
#define MOST_BYTES 520000
#define MOST_RECORDS 16

static char path[320];
static struct filemap_log *log_;
static struct filemap_log_reader *reader;
static struct filemap_queue *queue;
static size_t sizes[MOST_RECORDS]; /* of the records that were appended */
static uint64_t appended, acknowledged, last_lsn;
static uint32_t epoch;
static unsigned char bytes[MOST_BYTES];

/* ---- in front of the mapping ---- */

int __real_fm__map_flush_begin(struct filemap *map, size_t offset, size_t length, struct fm__flush *ret);
int __wrap_fm__map_flush_begin(struct filemap *map, size_t offset, size_t length, struct fm__flush *ret);

/* The directory may lie in memory, where a queue has nothing to flush: the table is that of a device. */
int __wrap_fm__map_flush_begin(struct filemap *map, size_t offset, size_t length, struct fm__flush *ret)
{
	const int r = __real_fm__map_flush_begin(map, offset, length, ret);

	if (r == 0)
		ret->is_memory = 0;
	return r;
}

/* ---- records ---- */

static const void *record_bytes(uint64_t id, size_t size)
{
	memset(bytes, (int)id + 1, size);
	return bytes;
}

static int append(size_t size)
{
	struct filemap_log_position position;
	const int r = filemap_log_append(log_, record_bytes(appended, size), size, &position);

	if (r < 0)
		return r;
	assert_true(appended < MOST_RECORDS);
	sizes[appended++] = size;
	last_lsn = position.lsn;
	epoch = position.epoch;
	return 0;
}

static void append_three(void)
{
	for (size_t i = 0; i < 3; i++)
		assert_ok(append(100 * (i + 1)));
}

/* All that are there are the first ones that were appended. Returns how many. */
static uint64_t count_records(void)
{
	struct filemap_log_record record;
	uint64_t count = 0;
	int r;

	assert_ok(filemap_log_reader_open(path, NULL, &reader, NULL, NULL));
	while ((r = filemap_log_reader_next(reader, &record)) == 1) {
		assert_true(count < appended);
		assert_int_equal(record.length, sizes[count]);
		assert_memory_equal(record.data, record_bytes(count, sizes[count]), record.length);
		count++;
	}
	assert_int_equal(r, 0);
	filemap_log_reader_close(reader);
	reader = NULL;
	return count;
}

/* ---- the states that operations start from ---- */

static int open_log(unsigned flags, struct filemap_error *error)
{
	return filemap_log_open(path,
				FILEMAP_LOG_OPTIONS(.flags = flags, .segment_size = SEGMENT, .queue = queue),
				&log_, NULL, error);
}

static void nothing(struct table *t)
{
	snprintf(path, sizeof path, "%s/log", t->dir->path);
	log_ = NULL;
	reader = NULL;
	queue = NULL;
	appended = acknowledged = last_lsn = 0;
}

/* Making a log writes every page of a segment: it is done once, and its files are kept. */
static struct kept {
	const char *name;
	unsigned char *bytes;
	size_t size;
} kept[] = {{.name = "meta"}, {.name = "LOCK"}, {.name = "ctl"}, {.name = "0000000000000000.seg"}};

static const char *kept_path(const struct table *t, const struct kept *file)
{
	char name[64];

	snprintf(name, sizeof name, "log/%s", file->name);
	return t_path(t->dir, name);
}

static void keep_log(struct table *t)
{
	assert_ok(open_log(FILEMAP_LOG_CREATE, NULL));
	assert_ok(filemap_log_finish(log_, NULL));
	filemap_log_close(log_);
	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
		const int64_t size = t_file_size(kept_path(t, &kept[i]));

		assert_true(size >= 0);
		kept[i].size = (size_t)size;
		kept[i].bytes = malloc(kept[i].size + 1);
		assert_non_null(kept[i].bytes);
		assert_int_equal(t_read_file(kept_path(t, &kept[i]), kept[i].bytes, kept[i].size), size);
	}
	table_empty_dir(t->dir);
}

static void make_log(struct table *t, struct filemap_queue *its_queue)
{
	nothing(t);
	if (kept[0].bytes == NULL)
		keep_log(t);
	assert_ok(mkdir(path, 0700));
	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
		t_write_file(kept_path(t, &kept[i]), kept[i].bytes, kept[i].size);
	queue = its_queue;
	assert_ok(open_log(0, NULL));
}

static void empty_log(struct table *t)
{
	make_log(t, NULL);
}

static void close_log(void)
{
	filemap_log_close(log_);
	log_ = NULL;
}

static void written_log(struct table *t)
{
	empty_log(t);
	append_three();
}

static void synced_log(struct table *t)
{
	written_log(t);
	assert_ok(filemap_log_sync(log_, NULL));
	acknowledged = appended;
}

static void finished_log(struct table *t)
{
	written_log(t);
	assert_ok(filemap_log_finish(log_, NULL));
	acknowledged = appended;
	close_log();
}

/* Behind what was durable stands something that was only published. */
static void crashed_log(struct table *t)
{
	synced_log(t);
	assert_ok(append(77));
	close_log();
}

/* Before the place from which on the next segment is prepared. */
static void filling_log(struct table *t)
{
	empty_log(t);
	assert_ok(append(200000));
}

/* Two segments; the first one can be sealed as soon as it is durable. */
static void two_segments(struct table *t)
{
	struct filemap_log_stats stats;

	empty_log(t);
	assert_ok(append(510000));
	assert_ok(append(510000));
	assert_ok(append(100000));
	assert_ok(filemap_log_stats(log_, &stats));
	assert_int_equal(stats.segments_prepared, 1);
}

static void reader_of_a_crashed_log(struct table *t)
{
	crashed_log(t);
	assert_ok(filemap_log_reader_open(path, NULL, &reader, NULL, NULL));
}

static void reader_of_a_live_log(struct table *t)
{
	synced_log(t);
	assert_ok(filemap_log_reader_open(path, NULL, &reader, NULL, NULL));
}

static void with_queue(struct table *t)
{
	struct filemap_queue *made;

	assert_ok(filemap_queue_open(FILEMAP_QUEUE_OPTIONS(.backend = FILEMAP_QUEUE_THREADS, .workers = 1),
				     &made, NULL));
	make_log(t, made);
	append_three();
}

/* ---- what is said ---- */

/* Of a log that is open: does it go on? What was said to be durable is, and is said again. */
static void say_log(struct table *t)
{
	const uint64_t durable = filemap_log_durable(log_), published = filemap_log_published(log_);

	assert_true(durable <= published && published <= filemap_log_tail(log_));
	assert_true(acknowledged == 0 || filemap_log_wait(log_, 4096, FILEMAP_DURABLE, 0) == 1);
	assert_true(acknowledged < appended || durable > last_lsn);
	table_say(t, durable == published ? "durable" : durable > 4096 ? "durable in part" : "not durable");
	table_say_code(t, "append", append(10));
}

static void describe(struct table *t)
{
	struct stat status;

	if (log_ != NULL)
		say_log(t);
	else
		table_say(t, stat(path, &status) == 0 ? "a log" : "no log");
	if (reader != NULL)
		table_say(t, "reader");
}

/* Whatever failed: a new opening finds all records, those too that were not acknowledged, since no power failed. */
static void check_reopened(struct table *t)
{
	(void)t;
	filemap_log_reader_close(reader);
	reader = NULL;
	close_log();
	filemap_queue_close(queue);
	queue = NULL;
	assert_ok(open_log(FILEMAP_LOG_CREATE, NULL));
	close_log();
	assert_true(acknowledged <= appended);
	assert_int_equal(count_records(), appended);
}

/* ---- the operations ---- */

static void run_open(struct table *t)
{
	t->result = open_log(FILEMAP_LOG_CREATE, &t->error);
}

static void run_append(struct table *t)
{
	t->result = append(50);
}

/* The first one makes the next segment wanted, the last one has to wait for it, and does not want another. */
static void run_append_to_next(struct table *t)
{
	t->result = append(520000);
	for (int i = 0; i < 2 && t->result == 0; i++)
		t->result = append(200000);
}

static void run_wait(struct table *t)
{
	t->result = filemap_log_wait(log_, last_lsn, FILEMAP_DURABLE, -1);
	if (t->result == 1)
		acknowledged = appended;
}

static void acknowledge(struct table *t)
{
	if (t->result == 0)
		acknowledged = appended;
}

static void run_sync(struct table *t)
{
	t->result = filemap_log_sync(log_, &t->error);
	acknowledge(t);
}

static void run_finish(struct table *t)
{
	t->result = filemap_log_finish(log_, &t->error);
	acknowledge(t);
}

static void run_close(struct table *t)
{
	close_log();
	t->result = 0;
}

static void run_verify(struct table *t)
{
	struct filemap_log_report report;

	memcpy(&report, t->ret, sizeof report);
	t->result = filemap_log_verify(path, FILEMAP_LOG_DEEP, &report, &t->error);
	memcpy(t->ret, &report, sizeof report);
	if (t->result == 0)
		assert_true(report.records == appended && report.state != FILEMAP_LOG_CORRUPT);
}

static void run_reader_open(struct table *t)
{
	t->result = filemap_log_reader_open(path, NULL, &reader, NULL, &t->error);
	assert_true(t->result == 0 ? reader != NULL : reader == NULL);
}

/* All there are: a reader whose call failed has stayed where it was. */
static void run_reader_next(struct table *t)
{
	struct filemap_log_record record;

	memcpy(&record, t->ret, sizeof record);
	t->result = filemap_log_reader_next(reader, &record);
	memcpy(t->ret, &record, sizeof record);
	if (t->result == 1)
		assert_int_equal(record.length, sizes[0]);
}

static void run_reader_seek(struct table *t)
{
	t->result = filemap_log_reader_seek(reader,
					    (struct filemap_log_position){.lsn = last_lsn, .epoch = epoch});
}

static void run_reader_seek_end(struct table *t)
{
	t->result = filemap_log_reader_seek_end(reader);
}

static void run_reader_close(struct table *t)
{
	filemap_log_reader_close(reader);
	reader = NULL;
	t->result = 0;
}

static void run_stats(struct table *t)
{
	struct filemap_log_stats stats;

	t->result = filemap_log_stats(log_, &stats);
	assert_int_equal(stats.records, appended);
}

static void run_poll(struct table *t)
{
	t->result = filemap_log_poll(log_);
}

/* Hundreds of openings are slow under it. */
static const char *one_thread(void)
{
	return IS_THREAD_SANITIZED ? "one thread: nothing for the thread sanitizer to find" : NULL;
}

/* ---- the table ----
 *
 * What is got over, and why that is right:
 *   fadvise, madvise  advice; DONTFORK keeps the page from a child, which does not write to it anyway
 *   boot_id, and openat and read in it  a control page without a boot is believed by nobody later: all is scanned
 *   openat:ELOOP      what bears the control page's name is none: no writer lives
 *   unlinkat:ENOENT   the leftover that is removed first is not there
 *   fallocate#1       no room to part shared blocks in, maybe for nothing: the bytes are written again
 *   openat#2 to zalloc of a seek  the seal, which only shortens the way to the position
 *   zalloc            sealing: the next writer does it
 *   ofd_lock          the descriptor's closing unlocks, too
 */

#define RECORD TABLE_OWN_STATE
#define PLAIN (TABLE_OWN_STATE | TABLE_NO_ERROR)
#define OPERATION(text, before, call, ...)                                          \
	{                                                                           \
		.name = text, .prepare = before, .run = call, .describe = describe, \
		.cleanup = check_reopened, __VA_ARGS__                              \
	}

static const struct table_operation operations[] = {
	OPERATION("log_open CREATE", nothing, run_open,
		  .excuses = "unlinkat:ENOENT fadvise madvise boot_id openat#22 read fallocate#1",
		  .lacks = one_thread, .flags = RECORD, .most = 1),
	OPERATION("log_open of a finished log", finished_log, run_open,
		  .excuses = "fadvise madvise boot_id openat#6 read openat:ELOOP fallocate#1",
		  .lacks = one_thread, .flags = RECORD, .most = 2),
	OPERATION("log_open of a crashed log", crashed_log, run_open,
		  .excuses = "fadvise madvise boot_id openat#6 read openat:ELOOP fallocate#1",
		  .lacks = one_thread, .flags = RECORD, .most = 2),
	OPERATION("log_append", empty_log, run_append, .flags = PLAIN),
	OPERATION("log_append into the next segment", filling_log, run_append_to_next,
		  .excuses = "unlinkat:ENOENT", .flags = PLAIN | TABLE_ONCE, .most = 2),
	OPERATION("log_wait DURABLE", written_log, run_wait, .flags = PLAIN),
	OPERATION("log_wait DURABLE by a queue", with_queue, run_wait, .flags = PLAIN,
		  .only = "flush_range zalloc"),
	OPERATION("log_poll", with_queue, run_poll, .flags = PLAIN, .only = "zalloc"),
	OPERATION("log_sync", written_log, run_sync, .flags = RECORD),
	OPERATION("log_finish", written_log, run_finish, .flags = RECORD),
	OPERATION("log_finish with a segment to seal", two_segments, run_finish, .excuses = "zalloc",
		  .flags = RECORD, .most = 2),
	OPERATION("log_close", written_log, run_close, .excuses = "ofd_lock", .flags = PLAIN),
	OPERATION("log_stats", written_log, run_stats, .flags = PLAIN),
	OPERATION("log_verify DEEP", crashed_log, run_verify, .excuses = "fadvise", .lacks = one_thread,
		  .flags = RECORD, .most = 2),
	OPERATION("log_verify DEEP of a live log", synced_log, run_verify,
		  .excuses = "fadvise boot_id openat#6 read openat:ELOOP", .lacks = one_thread,
		  .flags = RECORD, .most = 2),
	OPERATION("log_reader_open of a crashed log", crashed_log, run_reader_open, .excuses = "fadvise",
		  .lacks = one_thread, .flags = RECORD, .most = 2),
	OPERATION("log_reader_open of a live log", synced_log, run_reader_open,
		  .excuses = "boot_id openat#6 read openat:ELOOP", .lacks = one_thread, .flags = RECORD,
		  .most = 2),
	OPERATION("log_reader_next of a crashed log", reader_of_a_crashed_log, run_reader_next,
		  .lacks = one_thread, .flags = PLAIN),
	OPERATION("log_reader_next of a live log", reader_of_a_live_log, run_reader_next, .lacks = one_thread,
		  .flags = PLAIN),
	OPERATION("log_reader_seek of a crashed log", reader_of_a_crashed_log, run_reader_seek,
		  .lacks = one_thread, .excuses = "openat#2 fstat#1 pread#3 fstat#2 map#1 read_own zalloc",
		  .flags = PLAIN),
	OPERATION("log_reader_seek_end of a crashed log", reader_of_a_crashed_log, run_reader_seek_end,
		  .lacks = one_thread, .flags = PLAIN),
	OPERATION("log_reader_seek_end of a live log", reader_of_a_live_log, run_reader_seek_end,
		  .excuses = "boot_id openat#2 read openat:ELOOP", .lacks = one_thread, .flags = PLAIN),
	OPERATION("log_reader_close", reader_of_a_crashed_log, run_reader_close, .lacks = one_thread,
		  .flags = PLAIN),
};

static void every_call_on_logs_fails_once(void **state)
{
	table_run(*state, "log", operations, sizeof operations / sizeof *operations);
}

/* Logs are made by the hundred: in memory, unless somebody wants them elsewhere. One arena: those of threads would
 * look like leaks. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {T_TEST(every_call_on_logs_fails_once)};

	if (access("/dev/shm", W_OK | X_OK) == 0)
		setenv("FILEMAP_TEST_DIR", "/dev/shm", 0);
	mallopt(M_ARENA_MAX, 1);
	return table_main(argc, argv, tests, 1);
}
