/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The writer of a log through its public interface, on real files, read back by the reader. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log/format.h"
#include "log_app.h"

static void log_after_finish_reads_back_and_opens_clean(void **state)
{
	const char *dir = t_path(*state, "log");
	struct filemap_log_report report;
	struct filemap_log *log = app_open(dir, NULL, &report);

	assert_int_equal(report.state, FILEMAP_LOG_CLEAN);
	app_append_some(log, 0, 100);
	assert_ok(filemap_log_finish(log, NULL));
	assert_int_equal(filemap_log_durable(log), filemap_log_tail(log));
	assert_ok(filemap_log_finish(log, NULL));
	assert_int_equal(app_append(log, 100, NULL), FILEMAP_EMODE);
	filemap_log_close(log);
	assert_int_equal(app_count(dir, FILEMAP_DURABLE), 100);
	log = app_open(dir, NULL, &report);
	assert_int_equal(report.state, FILEMAP_LOG_CLEAN);
	assert_int_equal(report.discarded, 0);
	app_append_some(log, 100, 100);
	assert_ok(filemap_log_sync(log, NULL));
	filemap_log_close(log);
	assert_int_equal(app_count(dir, FILEMAP_DURABLE), 200);
}

static void log_closed_without_finish_keeps_published_records(void **state)
{
	const char *dir = t_path(*state, "log");
	struct filemap_log_report report, again;
	struct filemap_log *log = app_open(dir, NULL, &report);

	app_append_some(log, 0, 50);
	filemap_log_close(log);
	log = app_open(dir, NULL, &again);
	assert_int_equal(again.records, 50);
	assert_int_equal(again.epoch, report.epoch + 1);
	assert_int_equal(filemap_log_durable(log), filemap_log_tail(log));
	filemap_log_close(log);
	assert_int_equal(app_count(dir, FILEMAP_PUBLISHED), 50);
}

static void log_over_many_segments_reads_back_and_is_sealed(void **state)
{
	const char *dir = t_path(*state, "log");
	struct filemap_log *log = app_open(dir, NULL, NULL);
	struct filemap_log_report report;
	struct filemap_log_stats stats;

	app_append_some(log, 0, 5000);
	assert_ok(filemap_log_finish(log, NULL));
	assert_ok(filemap_log_stats(log, &stats));
	assert_true(stats.segments_prepared >= 4);
	assert_int_equal(stats.segments_sealed, filemap_log_tail(log) / APP_SEGMENT);
	assert_int_equal(stats.records, 5000);
	assert_int_equal(stats.flushed_records, 5000);
	assert_int_equal(stats.flushed_bytes, stats.bytes);
	assert_int_equal(stats.oldest_claim_ns, 0);
	filemap_log_close(log);
	assert_int_equal(app_count(dir, FILEMAP_DURABLE), 5000);
	assert_ok(filemap_log_verify(dir, 0, &report, NULL));
	assert_int_equal(report.state, FILEMAP_LOG_CLEAN);
}

static void log_with_small_max_lag_flushes_while_appending(void **state)
{
	const char *dir = t_path(*state, "log");
	const struct filemap_log_options options = {.struct_size = sizeof options,
						    .flags = FILEMAP_LOG_CREATE_NEW,
						    .segment_size = APP_SEGMENT,
						    .max_lag = 4096};
	struct filemap_log *log;

	assert_ok(filemap_log_open(dir, &options, &log, NULL, NULL));
	for (uint64_t id = 0; id < 300; id++) {
		assert_ok(app_append(log, id, NULL));
		assert_true(filemap_log_tail(log) - filemap_log_durable(log) <= 4096 + APP_LENGTH_MAX + 64);
	}
	filemap_log_close(log);
	assert_int_equal(app_count(dir, FILEMAP_PUBLISHED), 300);
}

static void log_of_parts_is_one_record(void **state)
{
	const char *dir = t_path(*state, "log");
	struct filemap_log *log = app_open(dir, NULL, NULL);
	uint8_t payload[APP_LENGTH_MAX];
	size_t length = app_length(0);
	const struct filemap_bytes parts[] = {
		{payload, 5}, {NULL, 0}, {payload + 5, 1}, {payload + 6, length - 6}};

	app_payload(0, payload);
	assert_ok(filemap_log_appendv(log, parts, 4, NULL));
	assert_ok(filemap_log_finish(log, NULL));
	filemap_log_close(log);
	assert_int_equal(app_count(dir, FILEMAP_DURABLE), 1);
}

static void log_of_empty_records_reads_back(void **state)
{
	const char *dir = t_path(*state, "log");
	struct filemap_log *log = app_open(dir, NULL, NULL);
	const struct filemap_log_reader_options durable = {.struct_size = sizeof durable,
							   .level = FILEMAP_DURABLE};
	struct filemap_log_position position;
	struct filemap_log_reader *reader;
	struct filemap_log_record record;

	assert_ok(filemap_log_append(log, NULL, 0, NULL));
	assert_ok(filemap_log_appendv(log, NULL, 0, &position));
	assert_ok(filemap_log_finish(log, NULL));
	assert_ok(filemap_log_reader_open(dir, &durable, &reader, NULL, NULL));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(filemap_log_reader_next(reader, &record), 1);
		assert_int_equal(record.length, 0);
	}
	assert_int_equal(record.position.lsn, position.lsn);
	assert_int_equal(record.position.epoch, position.epoch);
	assert_int_equal(filemap_log_reader_next(reader, &record), 0);
	filemap_log_reader_close(reader);
	filemap_log_close(log);
}

static void append_of_too_long_record_is_refused_and_claims_nothing(void **state)
{
	struct filemap_log *log = app_open(t_path(*state, "log"), NULL, NULL);
	const struct filemap_bytes overflow[] = {{"x", SIZE_MAX}, {"x", 2}};
	const size_t most = (size_t)(APP_SEGMENT - 8192) / 2 - 32;
	uint8_t *bytes = calloc(1, most + 1);
	uint64_t tail = filemap_log_tail(log);

	assert_int_equal(filemap_log_append(log, bytes, most + 1, NULL), FILEMAP_ERANGE);
	assert_int_equal(filemap_log_append(log, bytes, SIZE_MAX, NULL), FILEMAP_ERANGE);
	assert_int_equal(filemap_log_appendv(log, overflow, 2, NULL), FILEMAP_ERANGE);
	assert_int_equal(filemap_log_tail(log), tail);
	for (int i = 0; i < 5; i++) /* two to a segment */
		assert_ok(filemap_log_append(log, bytes, most, NULL));
	assert_ok(filemap_log_finish(log, NULL));
	filemap_log_close(log);
	free(bytes);
}

/* Every length in turn puts the end of a segment at every distance from the next frame, none included. */
static void log_with_each_rest_of_a_segment_reads_back(void **state)
{
	for (unsigned rest = 0; rest <= 4; rest++) {
		char name[16];
		const char *dir;
		struct filemap_log *log;
		const size_t half = (size_t)(APP_SEGMENT - 8192) / 2 - 32;
		uint8_t *bytes = calloc(1, half);
		struct filemap_log_position position;

		snprintf(name, sizeof name, "log%u", rest);
		dir = t_path(*state, name);
		log = app_open(dir, NULL, NULL);
		assert_ok(filemap_log_append(log, bytes, half, NULL));
		assert_ok(filemap_log_append(log, bytes, half - 32 * rest, NULL));
		assert_ok(filemap_log_sync(log, NULL));
		assert_int_equal(filemap_log_tail(log),
				 rest == 0 ? APP_SEGMENT + 4096 : APP_SEGMENT - 4096 - 32 * rest);
		if (rest % 2 == 0) { /* the tail at the end of a segment survives a reopening */
			filemap_log_close(log);
			log = app_open(dir, NULL, NULL);
		}
		assert_ok(filemap_log_append(log, bytes, 100, &position));
		assert_int_equal(position.lsn, APP_SEGMENT + 4096);
		assert_ok(filemap_log_finish(log, NULL));
		assert_int_equal(filemap_log_durable(log), filemap_log_tail(log));
		filemap_log_close(log);
		free(bytes);
	}
}

/* The time of a frame counts from the preparation of its segment, in 32 bits: some 49 days. */
static void log_in_a_segment_too_old_for_its_time_goes_on_in_the_next(void **state)
{
	const char *dir = t_path(*state, "log"), *segment = t_path(*state, "log/0000000000000000.seg");
	struct filemap_log *log = app_open(dir, NULL, NULL);
	struct fm__log_header header;
	uint8_t block[FM_LOG_BLOCK];
	int fd;

	app_append_some(log, 0, 10);
	assert_ok(filemap_log_finish(log, NULL));
	filemap_log_close(log);
	fd = open(segment, O_RDWR);
	assert_int_equal(pread(fd, block, sizeof block, 0), sizeof block);
	assert_ok(fm__log_header_decode(block, &header));
	header.time_base -= UINT64_C(60) * 24 * 3600 * 1000;
	fm__log_header_encode(&header, block);
	assert_int_equal(pwrite(fd, block, sizeof block, 0), sizeof block);
	close(fd);
	log = app_open(dir, NULL, NULL);
	assert_true(app_append_some(log, 10, 1) == APP_SEGMENT + 4096);
	assert_true(app_append_some(log, 11, 10) < 2 * APP_SEGMENT);
	assert_ok(filemap_log_finish(log, NULL));
	filemap_log_close(log);
	assert_int_equal(app_count(dir, FILEMAP_DURABLE), 21);
}

static void wait_for_durable_returns_when_it_is(void **state)
{
	struct filemap_log *log = app_open(t_path(*state, "log"), NULL, NULL);
	uint64_t lsn = app_append_some(log, 0, 3);

	assert_int_equal(filemap_log_wait(log, lsn, FILEMAP_DURABLE, 0), 0);
	assert_int_equal(filemap_log_wait(log, lsn, FILEMAP_PUBLISHED, 0), 1);
	assert_int_equal(filemap_log_wait(log, lsn, FILEMAP_DURABLE, -1), 1);
	assert_true(filemap_log_durable(log) > lsn);
	assert_int_equal(filemap_log_wait(log, filemap_log_tail(log), FILEMAP_DURABLE, 1), 0);
	assert_int_equal(filemap_log_wait(log, filemap_log_tail(log), FILEMAP_PUBLISHED, 1), 0);
	assert_int_equal(filemap_log_wait(log, lsn, 2, 0), FILEMAP_EOPTION);
	assert_int_equal(filemap_log_wait(log, UINT64_MAX, FILEMAP_DURABLE, 0), FILEMAP_ERANGE);
	assert_int_equal(filemap_log_poll(log), FILEMAP_EMODE);
	filemap_log_close(log);
}

static void *append_one(void *log)
{
	assert_ok(app_append(log, 0, NULL));
	return NULL;
}

static void wait_for_a_record_to_come_returns_when_it_does(void **state)
{
	struct filemap_log *log = app_open(t_path(*state, "log"), NULL, NULL);
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, append_one, log), 0);
	assert_int_equal(filemap_log_wait(log, 4096, FILEMAP_DURABLE, -1), 1);
	pthread_join(thread, NULL);
	filemap_log_close(log);
}

static int open_second(void *dir)
{
	struct filemap_error error = {0};
	struct filemap_log *log = NULL;
	int r = filemap_log_open(dir, NULL, &log, NULL, &error);

	return r == FILEMAP_ELOCKED && error.code == r && error.step && error.subject && !log ? 0 : 1;
}

static void open_of_a_log_being_written_is_locked(void **state)
{
	char *dir = strdup(t_path(*state, "log"));
	struct filemap_log *log = app_open(dir, NULL, NULL);

	assert_int_equal(open_second(dir), 0);
	assert_int_equal(t_in_child(open_second, dir), 0);
	app_append_some(log, 0, 1);
	filemap_log_close(log);
	log = app_open(dir, NULL, NULL);
	filemap_log_close(log);
	assert_int_equal(app_count(dir, FILEMAP_PUBLISHED), 1);
	free(dir);
}

/* ---- queue mode ---- */

static void write_through_queue(const char *dir, uint32_t backend, uint32_t flags)
{
	struct filemap_queue *queue;
	struct filemap_log *log;
	uint64_t id = 0, lsn;
	int r = filemap_queue_open(FILEMAP_QUEUE_OPTIONS(.backend = backend, .flags = flags), &queue, NULL);

	if (r < 0 && backend == FILEMAP_QUEUE_URING)
		t_skip("io_uring is not available");
	assert_ok(r);
	log = app_open(dir, queue, NULL);
	lsn = app_append_some(log, id, 10);
	assert_int_equal(filemap_log_wait(log, lsn, FILEMAP_DURABLE, 0), 0);
	assert_int_equal(filemap_log_poll(log), 0);
	while (filemap_log_durable(log) <= lsn)
		assert_true(filemap_log_poll(log) >= 0);
	lsn = app_append_some(log, 10, 2000); /* over several segments */
	assert_int_equal(filemap_log_wait(log, lsn, FILEMAP_DURABLE, -1), 1);
	app_append_some(log, 2010, 20);
	assert_ok(filemap_log_sync(log, NULL));
	app_append_some(log, 2030, 20);
	assert_ok(filemap_log_finish(log, NULL));
	filemap_log_close(log);
	filemap_queue_close(queue);
	assert_int_equal(app_count(dir, FILEMAP_DURABLE), 2050);
}

static void log_behind_an_owned_ring_reads_back(void **state)
{
	write_through_queue(t_path(*state, "log"), FILEMAP_QUEUE_URING, FILEMAP_QUEUE_ONE_THREAD);
}

static void log_behind_a_shared_ring_reads_back(void **state)
{
	write_through_queue(t_path(*state, "log"), FILEMAP_QUEUE_URING, 0);
}

static void log_behind_threads_reads_back(void **state)
{
	write_through_queue(t_path(*state, "log"), FILEMAP_QUEUE_THREADS, 0);
	write_through_queue(t_path(*state, "log2"), FILEMAP_QUEUE_THREADS, FILEMAP_QUEUE_ONE_THREAD);
}

static void log_behind_a_queue_of_depth_one_still_advances(void **state)
{
	const char *dir = t_path(*state, "log");
	struct filemap_queue *queue;
	struct filemap_log *log;

	assert_ok(filemap_queue_open(FILEMAP_QUEUE_OPTIONS(.depth = 1, .backend = FILEMAP_QUEUE_THREADS),
				     &queue, NULL));
	log = app_open(dir, queue, NULL);
	app_append_some(log, 0, 3000); /* a group over segments is cut */
	assert_ok(filemap_log_sync(log, NULL));
	assert_int_equal(filemap_log_durable(log), filemap_log_tail(log));
	filemap_log_close(log);
	filemap_queue_close(queue);
	assert_int_equal(app_count(dir, FILEMAP_DURABLE), 3000);
}

static void close_with_a_group_in_flight_waits_for_it(void **state)
{
	const char *dir = t_path(*state, "log");
	struct filemap_queue *queue;
	struct filemap_log *log;

	assert_ok(filemap_queue_open(FILEMAP_QUEUE_OPTIONS(.backend = FILEMAP_QUEUE_THREADS), &queue, NULL));
	log = app_open(dir, queue, NULL);
	app_append_some(log, 0, 3000);
	assert_true(filemap_log_poll(log) >= 0);
	filemap_log_close(log);
	assert_int_equal(filemap_queue_drain(queue), 0);
	filemap_queue_close(queue);
	assert_int_equal(app_count(dir, FILEMAP_PUBLISHED), 3000);
}

/* ---- fork ---- */

static int use_inherited(void *context)
{
	struct filemap_log *log = context;
	struct filemap_log_stats stats;

	if (app_append(log, 9, NULL) != FILEMAP_EFORKED || filemap_log_sync(log, NULL) != FILEMAP_EFORKED ||
	    filemap_log_wait(log, 4096, FILEMAP_DURABLE, 0) != FILEMAP_EFORKED ||
	    filemap_log_poll(log) != FILEMAP_EFORKED || filemap_log_finish(log, NULL) != FILEMAP_EFORKED ||
	    filemap_log_stats(log, &stats) != FILEMAP_EFORKED)
		return 1;
	filemap_log_close(log);
	return 0;
}

static void log_in_a_forked_child_is_refused_and_untouched(void **state)
{
	const char *dir = t_path(*state, "log");
	struct filemap_log *log = app_open(dir, NULL, NULL);

	app_append_some(log, 0, 5);
	assert_int_equal(t_in_child(use_inherited, log), 0);
	app_append_some(log, 5, 5);
	assert_ok(filemap_log_finish(log, NULL));
	filemap_log_close(log);
	assert_int_equal(app_count(dir, FILEMAP_DURABLE), 10);
}

static void log_closed_while_a_forked_child_lives_can_be_opened(void **state)
{
	const char *dir = t_path(*state, "log");
	struct filemap_log *log = app_open(dir, NULL, NULL);
	int hold[2], status;
	pid_t child;
	char byte;

	assert_ok(pipe(hold));
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(hold[1]);
		_exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
	}
	close(hold[0]);
	filemap_log_close(log);
	log = app_open(dir, NULL, NULL);
	filemap_log_close(log);
	close(hold[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0); /* it lived until now */
}

/* ---- bad input ---- */

static void refuse(const char *dir, const struct filemap_log_options *options, int code, const char *subject)
{
	struct filemap_error error = {0};
	struct filemap_log *log = NULL;

	assert_int_equal(filemap_log_open(dir, options, &log, NULL, &error), code);
	assert_null(log);
	assert_int_equal(error.code, code);
	assert_non_null(error.step);
	assert_string_equal(error.subject, subject);
	assert_int_equal(access(dir, F_OK), -1);
}

static void open_with_bad_options_names_the_field_and_creates_nothing(void **state)
{
	const char *dir = t_path(*state, "log");
	const uint32_t create = FILEMAP_LOG_CREATE;

	refuse(dir, FILEMAP_LOG_OPTIONS(.flags = create | 1u << 7), FILEMAP_EOPTION, "flags");
	refuse(dir, FILEMAP_LOG_OPTIONS(.flags = create, .segment_size = 3u << 20), FILEMAP_EOPTION,
	       "segment_size");
	refuse(dir, FILEMAP_LOG_OPTIONS(.flags = create, .segment_size = 1u << 19), FILEMAP_EOPTION,
	       "segment_size");
	refuse(dir, FILEMAP_LOG_OPTIONS(.flags = create, .segment_size = UINT64_C(1) << 31), FILEMAP_EOPTION,
	       "segment_size");
	refuse(dir, FILEMAP_LOG_OPTIONS(.flags = create, .frame_unit = 48), FILEMAP_EOPTION, "frame_unit");
	refuse(dir, FILEMAP_LOG_OPTIONS(.flags = create, .permissions = 01777), FILEMAP_EOPTION,
	       "permissions");
	refuse(dir, FILEMAP_LOG_OPTIONS(.flags = create, .reserved = {0, 1}), FILEMAP_EOPTION, "reserved");
	refuse(dir, &(const struct filemap_log_options){.struct_size = 8}, FILEMAP_EOPTION, "struct_size");
	refuse(dir, &(const struct filemap_log_options){.struct_size = 0}, FILEMAP_EOPTION, "struct_size");
}

static void open_of_nothing_is_enoent_and_creates_nothing(void **state)
{
	const char *dir = t_path(*state, "log");

	refuse(dir, NULL, -ENOENT, "log directory");
}

static void open_of_a_directory_that_is_no_log_changes_nothing(void **state)
{
	const char *dir = t_path(*state, "log"), *file = t_path(*state, "log/letter");
	struct filemap_error error = {0};
	struct filemap_log *log = NULL;

	assert_ok(mkdir(dir, 0777));
	t_write_file(file, "dear", 4);
	assert_int_equal(filemap_log_open(dir, NULL, &log, NULL, &error), -ENOENT);
	assert_string_equal(error.subject, "meta");
	assert_int_equal(
		filemap_log_open(dir, FILEMAP_LOG_OPTIONS(.flags = FILEMAP_LOG_CREATE), &log, NULL, &error),
		-ENOTEMPTY);
	assert_null(log);
	assert_int_equal(t_file_size(file), 4);
	assert_int_equal(t_file_size(t_path(*state, "log/LOCK")), -1);
}

static void create_new_of_an_existing_log_is_eexist(void **state)
{
	const char *dir = t_path(*state, "log");
	struct filemap_error error = {0};
	struct filemap_log *log = app_open(dir, NULL, NULL), *second = NULL;

	app_append_some(log, 0, 7);
	filemap_log_close(log);
	assert_int_equal(filemap_log_open(dir, FILEMAP_LOG_OPTIONS(.flags = FILEMAP_LOG_CREATE_NEW), &second,
					  NULL, &error),
			 -EEXIST);
	assert_null(second);
	assert_int_equal(app_count(dir, FILEMAP_PUBLISHED), 7);
}

static void open_of_a_corrupt_log_says_where_and_changes_nothing(void **state)
{
	const char *dir = t_path(*state, "log"), *segment = t_path(*state, "log/0000000000000000.seg");
	const char *ctl = t_path(*state, "log/ctl"), *meta = t_path(*state, "log/meta");
	static uint8_t before[131072], after[131072];
	struct filemap_error error = {0};
	struct filemap_log *log = app_open(dir, NULL, NULL), *second = NULL;
	uint8_t page[4096], again[4096];
	int fd;

	app_append_some(log, 0, 20);
	assert_ok(filemap_log_sync(log, NULL)); /* meta says: durable */
	filemap_log_close(log);
	fd = open(segment, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "damage", 6, 4096 + 32), 6);
	close(fd);
	t_read_file(meta, before, sizeof before);
	t_read_file(ctl, page, sizeof page);
	assert_int_equal(filemap_log_open(dir, NULL, &second, NULL, &error), FILEMAP_ECORRUPT);
	assert_null(second);
	assert_int_equal(error.offset, 4096);
	assert_true(error.length > 0);
	t_read_file(meta, after, sizeof after);
	t_read_file(ctl, again, sizeof again);
	assert_memory_equal(before, after, sizeof before);
	assert_memory_equal(page, again, sizeof page);
}

T_MAIN(T_TEST(log_after_finish_reads_back_and_opens_clean),
       T_TEST(log_closed_without_finish_keeps_published_records),
       T_TEST(log_over_many_segments_reads_back_and_is_sealed),
       T_TEST(log_with_small_max_lag_flushes_while_appending), T_TEST(log_of_parts_is_one_record),
       T_TEST(log_of_empty_records_reads_back),
       T_TEST(append_of_too_long_record_is_refused_and_claims_nothing),
       T_TEST(log_with_each_rest_of_a_segment_reads_back),
       T_TEST(log_in_a_segment_too_old_for_its_time_goes_on_in_the_next),
       T_TEST(wait_for_durable_returns_when_it_is), T_TEST(wait_for_a_record_to_come_returns_when_it_does),
       T_TEST(open_of_a_log_being_written_is_locked), T_TEST(log_behind_an_owned_ring_reads_back),
       T_TEST(log_behind_a_shared_ring_reads_back), T_TEST(log_behind_threads_reads_back),
       T_TEST(log_behind_a_queue_of_depth_one_still_advances),
       T_TEST(close_with_a_group_in_flight_waits_for_it),
       T_TEST(log_in_a_forked_child_is_refused_and_untouched),
       T_TEST(log_closed_while_a_forked_child_lives_can_be_opened),
       T_TEST(open_with_bad_options_names_the_field_and_creates_nothing),
       T_TEST(open_of_nothing_is_enoent_and_creates_nothing),
       T_TEST(open_of_a_directory_that_is_no_log_changes_nothing),
       T_TEST(create_new_of_an_existing_log_is_eexist),
       T_TEST(open_of_a_corrupt_log_says_where_and_changes_nothing))
