/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Power cuts at any moment of a program that flushes and commits by a queue: what has ended with 0 is there; what
 * has not may be missing. And each bug that a queue, or its device, may have is noticed.
 */
#include "t.h"

#include <errno.h>

#include "queue_sim.h"

static const struct queue_shape threads = {FILEMAP_QUEUE_THREADS, 0, "threads"};
static const struct queue_shape threads_one = {FILEMAP_QUEUE_THREADS, FILEMAP_QUEUE_ONE_THREAD,
					       "threads, one"};
static const struct queue_shape uring_one = {FILEMAP_QUEUE_URING, FILEMAP_QUEUE_ONE_THREAD, "io_uring, one"};
static const struct queue_shape uring_shared = {FILEMAP_QUEUE_URING, 0, "io_uring"};

static void need(const struct queue_shape *shape)
{
	static char reason[160];
	const int r = queue_usable(shape);

	if (r == 0)
		return;
	snprintf(reason, sizeof reason, "io_uring is not usable here: %s", filemap_error_name(r));
	t_skip(reason);
}

/* Stops at the first violation. */
static void run(const struct queue_shape *shape, struct queue_plan plan, uint64_t seeds, const char *parent)
{
	static struct queue_run one;

	need(shape);
	queue_violations_reset();
	queue_counts = (struct queue_counts){0};
	for (uint64_t i = 0; i < sim_seeds(seeds) && queue_violations == 0; i++, plan.seed++) {
		queue_play(&one, shape, &plan, parent);
		queue_check(&one, plan.seed);
		queue_run_free(&one);
	}
}

static void report(const struct queue_shape *shape)
{
	const struct queue_counts *c = &queue_counts;

	print_message("%s: %llu cuts, %llu lost something; %llu promises; in flight: %llu lost, %llu kept; "
		      "headers: "
		      "%llu old, %llu new; %llu merged, %llu at once, %llu failed\n",
		      shape->name, (unsigned long long)c->cuts, (unsigned long long)c->lost,
		      (unsigned long long)c->promises, (unsigned long long)c->lost_in_flight,
		      (unsigned long long)c->kept_in_flight, (unsigned long long)c->old_headers,
		      (unsigned long long)c->new_headers, (unsigned long long)c->merged,
		      (unsigned long long)c->most_at_work, (unsigned long long)c->failed);
}

/* ---- what a queue promises ---- */

static void power_cut_keeps_what_ended_with_0(const struct t_dir *dir, const struct queue_shape *shape)
{
	run(shape, (struct queue_plan){.seed = 1000, .steps = 110}, 14, dir->path);
	report(shape);
	if (queue_violations > 0)
		fail_msg("%s: %s", shape->name, queue_first_violation);
	assert_true(queue_counts.promises > 0 && queue_counts.merged > 0 && queue_counts.most_at_work > 1);
}

static void power_cut_loses_what_has_not_ended(const struct t_dir *dir, const struct queue_shape *shape)
{
	run(shape, (struct queue_plan){.seed = 2000, .steps = 110}, 5, dir->path);
	assert_int_equal(queue_violations, 0);
	assert_true(queue_counts.lost > 0);
	assert_true(queue_counts.lost_in_flight > 0 && queue_counts.kept_in_flight > 0);
	assert_true(queue_counts.old_headers > 0 && queue_counts.new_headers > 0);
}

static void failed_flush_is_no_promise(const struct t_dir *dir, const struct queue_shape *shape)
{
	run(shape, (struct queue_plan){.seed = 3000, .steps = 80, .fail = 12}, 14, dir->path);
	report(shape);
	if (queue_violations > 0)
		fail_msg("%s: %s", shape->name, queue_first_violation);
	assert_true(queue_counts.failed > sim_seeds(14) / 2);
}

/* ---- one flush, looked at closely ---- */

#define FLUSHED_AT (QUEUE_FREE_AT + 5u)
#define UNFLUSHED_AT (QUEUE_FREE_AT + QUEUE_PAGE)

static char byte_left(const struct queue_run *one, size_t events, enum queue_cut cut, uint64_t offset)
{
	struct queue_device *device = malloc(sizeof *device);
	uint32_t left[QUEUE_SECTORS];
	struct sim_rng rng = {1};
	char byte;

	assert_non_null(device);
	queue_device_init(device);
	for (size_t i = 0; i < events; i++)
		queue_device_apply(device, &one->events[i], i + 1);
	queue_device_cut(device, cut, &rng, left);
	queue_device_read(device, left, offset, &byte, 1);
	queue_device_free(device);
	free(device);
	return byte;
}

static void flush_page_of_two(const struct t_dir *dir, const struct queue_shape *shape, struct queue_run *one)
{
	struct filemap_queue *queue;
	struct filemap *map;
	uint64_t ticket;

	assert_ok(filemap_open(t_path(dir, "two"), FILEMAP_WRITE,
			       FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = QUEUE_BYTES), &map, NULL));
	assert_ok(filemap_queue_open(FILEMAP_QUEUE_OPTIONS(.backend = shape->backend, .flags = shape->flags),
				     &queue, NULL));
	queue_record_begin(one, map, 1);
	queue_store(FLUSHED_AT, "a", 1);
	queue_store(UNFLUSHED_AT, "b", 1);
	assert_ok(filemap_queue_flush(queue, map, FLUSHED_AT, 1, NULL, NULL, &ticket));
	queue_wait_begins();
	assert_int_equal(filemap_queue_wait(queue, ticket, -1, NULL), 1);
	filemap_queue_close(queue);
	queue_record_end();
	filemap_close(map);
}

static void flushed_page_survives_and_its_neighbour_may_not(const struct t_dir *dir,
							    const struct queue_shape *shape)
{
	struct queue_run one;

	need(shape);
	flush_page_of_two(dir, shape, &one);
	assert_int_equal(byte_left(&one, one.count, QUEUE_OLD, FLUSHED_AT), 'a');
	assert_int_equal(byte_left(&one, one.count, QUEUE_OLD, UNFLUSHED_AT), 0);
	assert_int_equal(byte_left(&one, one.count, QUEUE_NEW, UNFLUSHED_AT), 'b');
	assert_int_equal(byte_left(&one, one.count - 1, QUEUE_OLD, FLUSHED_AT), 0); /* before it returned */
	assert_int_equal(byte_left(&one, one.count - 1, QUEUE_NEW, FLUSHED_AT), 'a');
	queue_run_free(&one);
}

/* ---- would the simulator notice? ---- */

static bool is_caught(enum queue_bug bug, const struct t_dir *dir, const struct queue_shape *shape)
{
	queue_world.bug = bug;
	run(shape,
	    (struct queue_plan){.seed = 4000, .steps = 110, .fail = bug == QUEUE_ERROR_UNTOLD ? 12 : 0}, 200,
	    dir->path);
	queue_world.bug = QUEUE_NO_BUG;
	if (queue_violations > 0)
		print_message("%s: %s\n", shape->name, queue_first_violation);
	return queue_violations > 0;
}

#define CAUGHT(name, bug)                                                                       \
	static void name##_is_noticed(const struct t_dir *dir, const struct queue_shape *shape) \
	{                                                                                       \
		assert_true(is_caught(bug, dir, shape));                                        \
	}
CAUGHT(header_stored_before_its_data_is_durable, QUEUE_HEADER_EARLY)
CAUGHT(flush_of_a_page_less, QUEUE_SHORT)
CAUGHT(end_before_the_flush_has_returned, QUEUE_EARLY_END)
CAUGHT(flush_of_only_the_first_of_merged_ranges, QUEUE_LEADER_ONLY)
CAUGHT(flush_that_joins_one_at_work, QUEUE_JOINS_AT_WORK)
CAUGHT(commit_without_a_flush_of_its_header, QUEUE_HEADER_UNFLUSHED)
CAUGHT(success_beside_a_failure, QUEUE_ERROR_UNTOLD)

/* ---- the table ---- */

#define ON(test, shape)                             \
	static void test##_on_##shape(void **state) \
	{                                           \
		test(*state, &shape);               \
	}
#define ON_ALL(test) ON(test, threads) ON(test, threads_one) ON(test, uring_one) ON(test, uring_shared)
#define ON_TWO(test) ON(test, threads) ON(test, uring_one)

#define ENTRIES_ALL(test)                                                                      \
	T_TEST(test##_on_threads), T_TEST(test##_on_threads_one), T_TEST(test##_on_uring_one), \
		T_TEST(test##_on_uring_shared)
#define ENTRIES_TWO(test) T_TEST(test##_on_threads), T_TEST(test##_on_uring_one)

ON_ALL(power_cut_keeps_what_ended_with_0)
ON_ALL(failed_flush_is_no_promise)
ON_ALL(flushed_page_survives_and_its_neighbour_may_not)
ON_TWO(power_cut_loses_what_has_not_ended)
ON_TWO(header_stored_before_its_data_is_durable_is_noticed)
ON_TWO(flush_of_a_page_less_is_noticed)
ON_TWO(end_before_the_flush_has_returned_is_noticed)
ON_TWO(flush_of_only_the_first_of_merged_ranges_is_noticed)
ON_TWO(flush_that_joins_one_at_work_is_noticed)
ON_TWO(commit_without_a_flush_of_its_header_is_noticed)
ON_TWO(success_beside_a_failure_is_noticed)

T_MAIN(ENTRIES_ALL(flushed_page_survives_and_its_neighbour_may_not),
       ENTRIES_ALL(power_cut_keeps_what_ended_with_0), ENTRIES_ALL(failed_flush_is_no_promise),
       ENTRIES_TWO(power_cut_loses_what_has_not_ended),
       ENTRIES_TWO(header_stored_before_its_data_is_durable_is_noticed),
       ENTRIES_TWO(flush_of_a_page_less_is_noticed),
       ENTRIES_TWO(end_before_the_flush_has_returned_is_noticed),
       ENTRIES_TWO(flush_of_only_the_first_of_merged_ranges_is_noticed),
       ENTRIES_TWO(flush_that_joins_one_at_work_is_noticed),
       ENTRIES_TWO(commit_without_a_flush_of_its_header_is_noticed),
       ENTRIES_TWO(success_beside_a_failure_is_noticed))
