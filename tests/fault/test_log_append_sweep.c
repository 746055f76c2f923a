/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Each kernel call of a writer's life fails once, in turn. Whatever was acknowledged as durable before or after is
 * there in the end, nothing leaks, and the next opening works.
 */
#include <errno.h>
#include <unistd.h>

#include "fault.h"
#include "log_app.h"

/* What one life of a writer has got to. */
struct life {
	const char *dir;
	uint64_t appended; /* ids in the log, the writers before included */
	uint64_t durable;  /* of these, acknowledged */
	int result;        /* the first failure */
};

static void note(struct life *life, int r)
{
	if (r < 0 && life->result == 0)
		life->result = r;
}

static int open_log(struct life *life, struct filemap_queue *queue, struct filemap_log **ret)
{
	const struct filemap_log_options options = {.struct_size = sizeof options,
						    .flags = FILEMAP_LOG_CREATE,
						    .segment_size = APP_SEGMENT,
						    .queue = queue};
	struct filemap_error error = {0};
	int r = filemap_log_open(life->dir, &options, ret, NULL, &error);

	note(life, r);
	if (r == 0)
		return 0;
	assert_int_equal(error.code, r);
	assert_non_null(error.step);
	assert_non_null(error.subject);
	return r;
}

static void append_some(struct life *life, struct filemap_log *log, unsigned count, unsigned wait_each)
{
	struct filemap_log_position position;

	for (unsigned i = 0; i < count; i++) {
		int r = app_append(log, life->appended, &position);

		note(life, r);
		if (r < 0)
			break;
		life->appended++;
		if (i % wait_each != 0)
			continue;
		r = filemap_log_wait(log, position.lsn, FILEMAP_DURABLE, -1);
		note(life, r);
		if (r == 1)
			life->durable = life->appended;
	}
}

static void live(struct life *life, struct filemap_queue *queue, unsigned count, unsigned wait_each)
{
	struct filemap_log *log;
	int r;

	if (open_log(life, queue, &log) < 0)
		return;
	append_some(life, log, count, wait_each);
	r = filemap_log_sync(log, NULL);
	note(life, r);
	if (r == 0)
		life->durable = life->appended;
	append_some(life, log, 1, 2);
	r = filemap_log_finish(log, NULL);
	note(life, r);
	if (r == 0)
		life->durable = life->appended;
	filemap_log_close(log);
}

/* Without faults: everything acknowledged is there, and one may go on. */
static void check(struct life *life)
{
	struct filemap_log_report report;
	struct filemap_log *log;
	uint64_t found;

	fault_reset();
	log = app_open(life->dir, NULL, &report);
	filemap_log_close(log);
	found = app_count(life->dir, FILEMAP_PUBLISHED);
	assert_true(found >= life->durable);
	assert_true(found <= life->appended);
	life->appended = life->durable = found;
	life->result = 0;
}

static void open_append_and_finish_with_each_call_failing_keep_what_is_durable(void **state)
{
	struct life life = {.dir = t_path(*state, "log")};
	int n;

	check(&life); /* makes it */
	for (n = 1;; n++) {
		fault_arm(n, EIO);
		live(&life, NULL, 5, 2);
		if (!fault_fired()) {
			assert_int_equal(life.result, 0);
			break;
		}
		check(&life);
		t_census_same(*state);
	}
	assert_true(n > 30);
	assert_true(life.durable > 30);
	fault_reset();
}

static void queue_mode_with_each_call_failing_keeps_what_is_durable(void **state)
{
	struct life life = {.dir = t_path(*state, "log")};

	check(&life);
	for (int n = 1;; n++) {
		struct filemap_queue *queue;
		bool fired;

		fault_reset();
		assert_ok(filemap_queue_open(FILEMAP_QUEUE_OPTIONS(.backend = FILEMAP_QUEUE_THREADS), &queue,
					     NULL));
		fault_arm(n, EIO);
		live(&life, queue, 3, 1);
		fired = fault_fired();
		fault_reset();
		filemap_queue_close(queue);
		if (!fired)
			break;
		check(&life);
		t_census_same(*state);
	}
	assert_int_equal(life.result, 0);
}

static void memory_with_each_allocation_failing_keeps_what_is_durable(void **state)
{
	static const char *const calls[] = {"zalloc", "strdup"};
	struct life life = {.dir = t_path(*state, "log")};

	check(&life);
	for (int c = 0; c < 2; c++)
		for (int n = 1;; n++) {
			fault_arm_call(calls[c], n, ENOMEM);
			live(&life, NULL, 2, 1);
			if (!fault_fired()) {
				assert_true(n > 1);
				break;
			}
			check(&life);
			t_census_same(*state);
		}
	fault_reset();
}

/* Over the end of a segment: preparing and sealing fail, too. A failed preparation is an append's error. */
static void rotate_with_calls_failing(void **state, const char *call, int most, int step)
{
	char name[32];

	for (int n = 1; n <= most; n += step) {
		struct life life = {0};
		bool fired;

		snprintf(name, sizeof name, "%s%d", call, n);
		life.dir = t_path(*state, name);
		check(&life);
		fault_arm_call(call, n, ENOSPC);
		live(&life, NULL, 1050, 400);
		fired = fault_fired();
		if (!fired) {
			assert_int_equal(life.result, 0);
			assert_int_equal(life.durable, 1051);
		}
		check(&life);
		t_census_same(*state);
		if (!fired) {
			assert_true(n > 1); /* the call exists */
			return;
		}
	}
}

static void rotation_with_each_flush_failing_keeps_what_is_durable(void **state)
{
	rotate_with_calls_failing(state, "fdatasync", 100, 1);
	rotate_with_calls_failing(state, "fsync", 100, 1);
	rotate_with_calls_failing(state, "msync", 100, 1);
}

static void rotation_with_each_name_failing_keeps_what_is_durable(void **state)
{
	rotate_with_calls_failing(state, "rename", 100, 1);
	rotate_with_calls_failing(state, "openat", 100, 1);
	rotate_with_calls_failing(state, "unlinkat", 100, 1);
}

static void rotation_with_maps_and_writes_failing_keeps_what_is_durable(void **state)
{
	rotate_with_calls_failing(state, "map", 100, 1);
	rotate_with_calls_failing(state, "madvise", 100, 1);
	rotate_with_calls_failing(state, "pwrite", 1000, 101);
}

static void append_on_a_full_disk_goes_on_when_there_is_room_again(void **state)
{
	const char *dir = t_path(*state, "log");
	struct filemap_log *log = app_open(dir, NULL, NULL);
	uint64_t id = 0;
	int r;

	fault_arm_call_persistent("pwrite", 1, ENOSPC);
	while ((r = app_append(log, id, NULL)) == 0)
		id++;
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(app_append(log, id, NULL), -ENOSPC); /* at once, again */
	assert_true(filemap_log_tail(log) > APP_SEGMENT - 8192);
	fault_reset();
	while ((r = app_append(log, id, NULL)) == -ENOSPC)
		usleep(1000); /* the preparer tries again by itself */
	assert_ok(r);
	assert_ok(filemap_log_finish(log, NULL));
	filemap_log_close(log);
	assert_int_equal(app_count(dir, FILEMAP_DURABLE), id + 1);
}

/* The idle time goes on while preparing fails again and again. */
static void idle_log_on_a_full_disk_writes_its_watermark(void **state)
{
	struct filemap_log *log = app_open(t_path(*state, "log"), NULL, NULL);
	uint64_t last;

	fault_arm_call_persistent("openat", 1, ENOSPC);
	last = app_append_some(log, 0, 600); /* far enough for the next segment to be wanted */
	assert_int_equal(filemap_log_wait(log, last, FILEMAP_DURABLE, -1), 1);
	assert_true(app_marked_above(t_path(*state, "log/meta"), last));
	assert_true(fault_fired());
	fault_reset();
	filemap_log_close(log);
}

static void flush_that_failed_poisons_for_good(void **state)
{
	const char *dir = t_path(*state, "log");
	struct filemap_log *log = app_open(dir, NULL, NULL);
	struct filemap_error error = {0};
	struct filemap_log_position position;
	uint64_t durable;

	assert_ok(app_append(log, 0, &position));
	assert_int_equal(filemap_log_wait(log, position.lsn, FILEMAP_DURABLE, -1), 1);
	durable = filemap_log_durable(log);
	assert_ok(app_append(log, 1, &position));
	fault_arm_call("msync", 1, EIO);
	assert_int_equal(filemap_log_wait(log, position.lsn, FILEMAP_DURABLE, -1), FILEMAP_EPOISONED);
	assert_true(fault_fired());
	fault_reset();
	assert_int_equal(filemap_log_wait(log, position.lsn, FILEMAP_DURABLE, -1), FILEMAP_EPOISONED);
	assert_int_equal(filemap_log_wait(log, 4096, FILEMAP_DURABLE, -1), 1); /* what was said stays true */
	assert_int_equal(filemap_log_durable(log), durable);
	assert_int_equal(app_append(log, 2, NULL), FILEMAP_EPOISONED);
	assert_int_equal(filemap_log_sync(log, &error), FILEMAP_EPOISONED);
	assert_int_equal(error.sys_errno, EIO);
	assert_int_equal(filemap_log_finish(log, NULL), FILEMAP_EPOISONED);
	filemap_log_close(log);
	assert_true(app_count(dir, FILEMAP_PUBLISHED) >= 1);
}

T_MAIN(T_TEST(open_append_and_finish_with_each_call_failing_keep_what_is_durable),
       T_TEST(queue_mode_with_each_call_failing_keeps_what_is_durable),
       T_TEST(memory_with_each_allocation_failing_keeps_what_is_durable),
       T_TEST(rotation_with_each_flush_failing_keeps_what_is_durable),
       T_TEST(rotation_with_each_name_failing_keeps_what_is_durable),
       T_TEST(rotation_with_maps_and_writes_failing_keeps_what_is_durable),
       T_TEST(append_on_a_full_disk_goes_on_when_there_is_room_again),
       T_TEST(idle_log_on_a_full_disk_writes_its_watermark), T_TEST(flush_that_failed_poisons_for_good))
