/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Logs whose files are cut while they are mapped: errors under a handler of SIGBUS, death without one. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filemap/guard.h>

#include "log/writer.h"
#include "log_app.h"

#define PAGE UINT64_C(65536) /* of any machine */

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define ATOMICS_LOCK 1 /* it makes an atomic store under a lock of its own, which a jump would leave locked */
#else
#define ATOMICS_LOCK 0
#endif

static void skip_if_atomics_lock(void)
{
	if (ATOMICS_LOCK)
		t_skip("a fault in an atomic store is too much for ThreadSanitizer");
}

static void install(void)
{
	assert_ok(filemap_guard_install(NULL));
}

static void uninstall(void)
{
	assert_ok(filemap_guard_uninstall());
}

static const char *file_of(const char *dir, const char *name)
{
	static char path[300];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static void set_size(const char *dir, uint64_t n, uint64_t size)
{
	char name[40];

	snprintf(name, sizeof name, "%016llx.seg", (unsigned long long)n);
	assert_ok(truncate(file_of(dir, name), (off_t)size));
}

static uint64_t page_above(uint64_t lsn)
{
	return (lsn + PAGE - 1) / PAGE * PAGE;
}

/* Records up to the second page behind the last durable one, so that cutting there keeps what is durable. */
static uint64_t append_past_a_page(struct filemap_log *log, uint64_t id)
{
	const uint64_t until = page_above(filemap_log_durable(log)) + PAGE;

	while (filemap_log_tail(log) < until)
		assert_ok(app_append(log, id++, NULL));
	return id;
}

static void nothing_goes_on(struct filemap_log *log)
{
	struct filemap_error error = {0};

	assert_int_equal(app_append(log, 0, NULL), FILEMAP_EPOISONED);
	assert_int_equal(filemap_log_wait(log, filemap_log_tail(log), FILEMAP_DURABLE, -1),
			 FILEMAP_EPOISONED);
	assert_int_equal(filemap_log_wait(log, filemap_log_tail(log), FILEMAP_PUBLISHED, -1),
			 FILEMAP_EPOISONED);
	assert_int_equal(filemap_log_sync(log, &error), FILEMAP_EPOISONED);
	assert_int_equal(error.sys_errno, EFAULT);
	error.sys_errno = 0;
	assert_int_equal(filemap_log_finish(log, &error), FILEMAP_EPOISONED);
	assert_int_equal(error.sys_errno, EFAULT);
}

/* ---- the writer ---- */

static void append_into_cut_segment_poisons_and_keeps_what_was_durable(void **state)
{
	const char *dir = t_path(*state, "log");
	struct filemap_log *log = app_open(dir, NULL, NULL);
	uint64_t last = app_append_some(log, 0, 100), durable;

	install();
	assert_ok(filemap_log_sync(log, NULL));
	durable = filemap_log_durable(log);
	append_past_a_page(log, 100);
	set_size(dir, 0, page_above(durable));
	assert_int_equal(app_append(log, 0, NULL), FILEMAP_EFAULT);
	assert_int_equal(filemap_log_durable(log), durable);
	assert_int_equal(filemap_log_wait(log, last, FILEMAP_DURABLE, -1), 1);
	nothing_goes_on(log);
	assert_int_equal(filemap_log_durable(log), durable);
	filemap_log_close(log);
	uninstall();

	set_size(dir, 0, APP_SEGMENT);
	log = app_open(dir, NULL, NULL);
	assert_true(filemap_log_durable(log) >= durable);
	filemap_log_close(log);
	assert_true(app_count(dir, FILEMAP_DURABLE) >= 100);
}

static void filling_up_a_cut_segment_poisons(void **state)
{
	static const uint8_t large[400000];
	const char *dir = t_path(*state, "log");
	struct filemap_log *log = app_open(dir, NULL, NULL);

	install();
	assert_ok(filemap_log_append(log, large, sizeof large, NULL));
	assert_ok(filemap_log_append(log, large, sizeof large, NULL));
	set_size(dir, 0, filemap_log_tail(log) / PAGE * PAGE);
	assert_int_equal(filemap_log_append(log, large, sizeof large, NULL), FILEMAP_EFAULT);
	nothing_goes_on(log);
	filemap_log_close(log);
	uninstall();
}

static void cut_control_page_poisons(void **state)
{
	const char *dir = t_path(*state, "log");
	struct filemap_log *log;

	skip_if_atomics_lock();
	log = app_open(dir, NULL, NULL);
	install();
	app_append_some(log, 0, 10);
	assert_ok(truncate(file_of(dir, "ctl"), 0));
	assert_int_equal(app_append(log, 10, NULL), FILEMAP_EFAULT);
	nothing_goes_on(log);
	filemap_log_close(log);
	uninstall();
	log = app_open(dir, NULL, NULL);
	filemap_log_close(log);
	assert_int_equal(app_count(dir, FILEMAP_PUBLISHED), 11);
}

/* The record is committed, but whoever publishes on behalf of all cannot see it any more. */
static void publishing_from_cut_segment_poisons(void **state)
{
	const char *dir = t_path(*state, "log");
	struct filemap_log *log = app_open(dir, NULL, NULL);
	struct filemap_log_position position;
	uint64_t published;

	install();
	append_past_a_page(log, 0);
	published = filemap_log_published(log);
	pthread_mutex_lock(&log->publish_lock);
	assert_ok(app_append(log, 1, &position));
	set_size(dir, 0, PAGE);
	pthread_mutex_unlock(&log->publish_lock);
	assert_int_equal(filemap_log_wait(log, position.lsn, FILEMAP_DURABLE, -1), FILEMAP_EPOISONED);
	assert_int_equal(filemap_log_published(log), published);
	nothing_goes_on(log);
	filemap_log_close(log);
	uninstall();
}

/* All that was durable stays: only the place of the seal is cut off, which a thread of the library stores. */
static void sealing_of_cut_segment_poisons(void **state)
{
	const char *dir = t_path(*state, "log");
	struct filemap_log *log = app_open(dir, NULL, NULL);
	struct filemap_error error = {0};
	uint64_t id = 0;

	install();
	while (filemap_log_tail(log) < APP_SEGMENT + 3 * PAGE)
		assert_ok(app_append(log, id++, NULL));
	set_size(dir, 0, APP_SEGMENT - FM_LOG_BLOCK);
	assert_int_equal(filemap_log_finish(log, &error), FILEMAP_EPOISONED);
	assert_int_equal(error.sys_errno, EFAULT);
	filemap_log_close(log);
	uninstall();
	set_size(dir, 0, APP_SEGMENT);
	filemap_log_close(app_open(dir, NULL, NULL));
	assert_int_equal(app_count(dir, FILEMAP_PUBLISHED), id);
}

struct waiter {
	struct filemap_log *log;
	uint64_t lsn;
	unsigned level;
	int result;
};

static void *wait_main(void *context)
{
	struct waiter *waiter = context;

	waiter->result = filemap_log_wait(waiter->log, waiter->lsn, waiter->level, -1);
	return NULL;
}

static void waiters_for_what_never_comes_wake(void **state)
{
	const char *dir = t_path(*state, "log");
	struct filemap_log *log = app_open(dir, NULL, NULL);
	struct waiter waiters[6];
	pthread_t threads[6];

	install();
	append_past_a_page(log, 0);
	for (unsigned i = 0; i < 6; i++) {
		waiters[i] = (struct waiter){log, filemap_log_tail(log), i % 2, 0};
		assert_ok(pthread_create(&threads[i], NULL, wait_main, &waiters[i]));
	}
	set_size(dir, 0, PAGE);
	assert_int_equal(app_append(log, 0, NULL), FILEMAP_EFAULT);
	for (int i = 0; i < 6; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(waiters[i].result, FILEMAP_EPOISONED);
	}
	filemap_log_close(log);
	uninstall();
}

static void *append_main(void *context)
{
	struct waiter *self = context;

	do
		self->result = app_append(self->log, 1, NULL);
	while (self->result == 0);
	return NULL;
}

static void appends_of_many_threads_all_end(void **state)
{
	const char *dir = t_path(*state, "log");
	const struct filemap_log_options options = {.struct_size = sizeof options,
						    .flags = FILEMAP_LOG_CREATE,
						    .segment_size = APP_SEGMENT,
						    .max_lag = APP_SEGMENT};
	struct waiter appenders[3] = {{0}};
	struct filemap_log *log;
	pthread_t threads[3];

	skip_if_atomics_lock();
	install();
	assert_ok(filemap_log_open(dir, &options, &log, NULL, NULL));
	for (int i = 0; i < 3; i++) {
		appenders[i].log = log;
		assert_ok(pthread_create(&threads[i], NULL, append_main, &appenders[i]));
	}
	set_size(dir, 0, 0);
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		assert_true(appenders[i].result == FILEMAP_EFAULT ||
			    appenders[i].result == FILEMAP_EPOISONED);
	}
	nothing_goes_on(log);
	filemap_log_close(log);
	uninstall();
}

static void queue_mode_is_poisoned_as_well(void **state)
{
	const char *dir = t_path(*state, "log");
	struct filemap_queue *queue;
	struct filemap_log *log;

	assert_ok(filemap_queue_open(FILEMAP_QUEUE_OPTIONS(.backend = FILEMAP_QUEUE_THREADS), &queue, NULL));
	log = app_open(dir, queue, NULL);
	install();
	append_past_a_page(log, 0);
	set_size(dir, 0, PAGE);
	assert_int_equal(app_append(log, 0, NULL), FILEMAP_EFAULT);
	assert_int_equal(filemap_log_poll(log), FILEMAP_EPOISONED);
	nothing_goes_on(log);
	filemap_log_close(log);
	filemap_queue_close(queue);
	uninstall();
}

/* Nobody loads from what was cut off, or stores to it: flushing the rest of the file succeeds. */
static void flush_of_cut_segment(const char *dir, struct filemap_queue *queue)
{
	struct filemap_log *log = app_open(dir, queue, NULL);
	uint64_t last = app_append_some(log, 0, 10), durable;

	assert_int_equal(filemap_log_wait(log, last, FILEMAP_DURABLE, -1), 1);
	durable = filemap_log_durable(log);
	append_past_a_page(log, 10);
	assert_int_equal(filemap_log_published(log), filemap_log_tail(log));
	set_size(dir, 0, page_above(durable));
	assert_int_equal(filemap_log_wait(log, durable, FILEMAP_DURABLE, -1), FILEMAP_EPOISONED);
	assert_int_equal(filemap_log_durable(log), durable);
	nothing_goes_on(log);
	filemap_log_close(log);
}

static void what_was_cut_before_its_flush_is_never_durable(void **state)
{
	flush_of_cut_segment(t_path(*state, "log"), NULL);
}

static void what_was_cut_before_its_flush_is_never_durable_in_queue_mode(void **state)
{
	struct filemap_queue *queue;

	assert_ok(filemap_queue_open(FILEMAP_QUEUE_OPTIONS(.backend = FILEMAP_QUEUE_THREADS), &queue, NULL));
	flush_of_cut_segment(t_path(*state, "log"), queue);
	filemap_queue_close(queue);
}

struct scene {
	const char *dir;
	struct filemap_log *log;
};

static int append_unguarded(void *context)
{
	struct scene *scene = context;
	const struct rlimit no_core = {0, 0};

	setrlimit(RLIMIT_CORE, &no_core);
	signal(SIGBUS, SIG_DFL); /* the harness has a handler, sanitizers, too */
	scene->log = app_open(scene->dir, NULL, NULL);
	if (truncate(file_of(scene->dir, "0000000000000000.seg"), 0) < 0)
		return 1;
	return app_append(scene->log, 0, NULL) < 0 ? 2 : 3;
}

static void append_into_cut_segment_without_handler_dies(void **state)
{
	struct scene scene = {.dir = t_path(*state, "log")};
	assert_int_equal(t_in_child(append_unguarded, &scene), -SIGBUS);
}

/* ---- readers ---- */

static uint64_t make_log(const char *dir)
{
	struct filemap_log *log = app_open(dir, NULL, NULL);
	uint64_t count = append_past_a_page(log, 0);

	assert_ok(filemap_log_finish(log, NULL));
	filemap_log_close(log);
	return count;
}

static struct filemap_log_reader *open_reader(const char *dir, uint32_t flags)
{
	const struct filemap_log_reader_options options = {.struct_size = sizeof options, .flags = flags};
	struct filemap_log_reader *reader;

	assert_ok(filemap_log_reader_open(dir, &options, &reader, NULL, NULL));
	return reader;
}

static int read_from(struct filemap_log_reader *reader, uint64_t *count)
{
	struct filemap_log_record record;
	int r;

	while ((r = filemap_log_reader_next(reader, &record)) == 1)
		assert_int_equal(app_check(&record), (*count)++);
	return r;
}

/* The very file is cut, and its bytes come back. */
static void read_through_a_cut(const char *dir, uint32_t flags)
{
	const uint64_t total = make_log(dir);
	struct filemap_log_reader *reader = open_reader(dir, flags);
	struct filemap_log_position start = {.lsn = FM_LOG_FIRST};
	uint8_t *bytes = malloc(APP_SEGMENT);
	const char *path;
	uint64_t count = 0, before;
	int fd;

	path = file_of(dir, "0000000000000000.seg");
	assert_int_equal(t_read_file(path, bytes, APP_SEGMENT), APP_SEGMENT);
	assert_ok(filemap_log_reader_seek(reader, start)); /* maps it */
	assert_int_equal(read_from(reader, &count), 0);
	assert_int_equal(count, total);
	assert_ok(filemap_log_reader_seek(reader, start));
	set_size(dir, 0, PAGE);
	count = 0;
	assert_int_equal(read_from(reader, &count), FILEMAP_EFAULT);
	assert_true(count > 0 && count < total);
	before = count;
	assert_int_equal(read_from(reader, &count), FILEMAP_EFAULT);
	assert_int_equal(count, before);
	set_size(dir, 0, 0);
	assert_int_equal(filemap_log_reader_seek(reader, start), FILEMAP_EFAULT);

	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, bytes, APP_SEGMENT, 0), APP_SEGMENT);
	close(fd);
	assert_int_equal(read_from(reader, &count), 0);
	assert_int_equal(count, total);
	filemap_log_reader_close(reader);
	free(bytes);
}

static void reader_of_cut_segment_goes_on_when_it_is_back(void **state)
{
	install();
	read_through_a_cut(t_path(*state, "log"), 0);
	uninstall();
}

static void copying_reader_of_cut_segment_goes_on_when_it_is_back(void **state)
{
	install();
	read_through_a_cut(t_path(*state, "log"), FILEMAP_LOG_COPY);
	uninstall();
}

static void copying_reader_needs_no_handler(void **state)
{
	read_through_a_cut(t_path(*state, "log"), FILEMAP_LOG_COPY);
}

static void copied_record_outlives_the_file(void **state)
{
	const char *dir = t_path(*state, "log");
	struct filemap_log_reader *reader;
	struct filemap_log_record record;

	make_log(dir);
	reader = open_reader(dir, FILEMAP_LOG_COPY);
	assert_int_equal(filemap_log_reader_next(reader, &record), 1);
	set_size(dir, 0, 0);
	assert_int_equal(app_check(&record), 0);
	filemap_log_reader_close(reader);
}

/* Nobody knows how far to read then; no record is made up, and none is called damaged. */
static void reader_beside_a_cut_control_page_waits(void **state)
{
	const char *dir = t_path(*state, "log");
	struct filemap_log *log = app_open(dir, NULL, NULL);
	struct filemap_log_reader *reader;
	uint64_t count = 0;

	install();
	app_append_some(log, 0, 20);
	reader = open_reader(dir, 0);
	assert_int_equal(read_from(reader, &count), 0);
	assert_int_equal(count, 20);
	assert_ok(truncate(file_of(dir, "ctl"), 0));
	assert_int_equal(read_from(reader, &count), 0);
	assert_int_equal(count, 20);
	filemap_log_reader_close(reader);
	filemap_log_close(log);
	uninstall();
}

T_MAIN(T_TEST(append_into_cut_segment_poisons_and_keeps_what_was_durable),
       T_TEST(filling_up_a_cut_segment_poisons), T_TEST(cut_control_page_poisons),
       T_TEST(publishing_from_cut_segment_poisons), T_TEST(sealing_of_cut_segment_poisons),
       T_TEST(waiters_for_what_never_comes_wake), T_TEST(appends_of_many_threads_all_end),
       T_TEST(queue_mode_is_poisoned_as_well), T_TEST(what_was_cut_before_its_flush_is_never_durable),
       T_TEST(what_was_cut_before_its_flush_is_never_durable_in_queue_mode),
       T_TEST(append_into_cut_segment_without_handler_dies),
       T_TEST(reader_of_cut_segment_goes_on_when_it_is_back),
       T_TEST(copying_reader_of_cut_segment_goes_on_when_it_is_back), T_TEST(copying_reader_needs_no_handler),
       T_TEST(copied_record_outlives_the_file), T_TEST(reader_beside_a_cut_control_page_waits))
