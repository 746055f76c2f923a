/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Group commit: flushes of one mapping that touch are one flush of the device as long as they wait. Counted by the
 * queue's statistics and by the device of queue_plug.h, which has to agree; predicted by a model of page ranges.
 */
#include "queue_plug.h"

#include <unistd.h>

struct range {
	size_t offset, length;
};

/* ---- the model ---- */

/* Which pages of the system a range touches, with the first behind it. */
static void cover(const struct range *range, size_t *ret_first, size_t *ret_end)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);

	*ret_first = range->offset / page;
	*ret_end = (range->offset + range->length + page - 1) / page;
}

static bool touch(const struct range *a, const struct range *b)
{
	size_t first[2], end[2];

	cover(a, &first[0], &end[0]);
	cover(b, &first[1], &end[1]);
	return first[0] <= end[1] && first[1] <= end[0];
}

/* How many flushes of the device it takes: the parts that hang together. Empty ranges are none. */
static unsigned count_parts(const struct range *ranges, unsigned count)
{
	unsigned part[64], parts = 0;

	for (unsigned i = 0; i < count; i++) {
		part[i] = i;
		parts += ranges[i].length != 0;
		for (unsigned j = 0; j < i; j++) {
			const unsigned from = part[j], to = part[i];

			if (ranges[i].length == 0 || ranges[j].length == 0 || from == to ||
			    !touch(&ranges[i], &ranges[j]))
				continue;
			for (unsigned k = 0; k <= i; k++)
				if (part[k] == from)
					part[k] = to;
			parts--;
		}
	}
	return parts;
}

/* One submission of them all, on an idle queue: what the statistics say is what the device was asked for. */
static void assert_flushed_in(struct plug *plug, struct filemap_queue *queue, struct filemap *map,
			      const struct range *ranges, unsigned count, unsigned expected)
{
	const struct filemap_queue_stats before = stats_of(queue);
	const uint32_t synced_before = synced(plug);
	unsigned empty = 0;
	struct filemap_queue_stats now;

	for (unsigned i = 0; i < count; i++) {
		empty += ranges[i].length == 0;
		assert_ok(filemap_queue_flush(queue, map, ranges[i].offset, ranges[i].length, NULL, NULL,
					      NULL));
	}
	assert_ok(filemap_queue_drain(queue));
	now = stats_of(queue);
	assert_int_equal(now.device_flushes - before.device_flushes, expected);
	assert_int_equal(now.coalesced - before.coalesced, count - empty - expected);
	assert_int_equal(synced(plug) - synced_before, expected);
	for (unsigned i = 0; i < count; i++) {
		struct filemap_completion done;

		assert_int_equal(filemap_queue_wait(queue, FILEMAP_ANY, 0, &done), 1);
		assert_int_equal(done.result, 0);
	}
}

/* ---- in one submission ---- */

static void ranges_that_touch_are_one_flush_of_the_device(struct plug *plug, const struct shape *shape)
{
#define P PAGE
	static const struct {
		struct range ranges[6];
		unsigned count, expected;
	} rows[] = {
		{{{0, P}}, 1, 1},
		{{{0, P}, {0, P}, {0, P}, {0, P}}, 4, 1},
		{{{0, SIZE}, {3 * P, 1}, {SIZE - 1, 1}}, 3, 1},
		{{{3 * P, 1}, {0, SIZE}, {SIZE - 1, 1}}, 3, 1},
		{{{0, 2 * P}, {P, 2 * P}, {2 * P, 2 * P}}, 3, 1}, /* overlapping in a chain */
		{{{0, P}, {P, P}, {2 * P, P}}, 3, 1},             /* touching */
		{{{2 * P, P}, {P, P}, {0, P}}, 3, 1},
		{{{0, P}, {2 * P, P}, {4 * P, P}}, 3, 3}, /* apart */
		{{{0, P}, {2 * P, P}, {P, P}}, 3, 1},     /* the third is the bridge */
		{{{0, P}, {2 * P, P}, {4 * P, P}, {6 * P, P}, {P, 5 * P}}, 5, 1},
		{{{0, P}, {2 * P, P}, {5 * P, P}, {7 * P, P}, {P, P}, {6 * P, 1}}, 6, 3},
		{{{1, 10}, {30, 10}, {100, 1}}, 3, 1}, /* one page, bytes apart */
		{{{P - 1, 1}, {P, 1}}, 2, 1},          /* the pages touch */
		{{{P - 1, 2}, {3 * P - 1, 2}}, 2, 2},
		{{{0, P}, {P, 0}, {5 * P, 0}, {P, P}}, 4, 1}, /* empty ones are no bridge, and no flush */
		{{{0, P}, {P, 0}, {2 * P, P}}, 3, 2},
	};
#undef P
	struct filemap_queue *queue;
	struct filemap *map;

	need(shape);
	map = open_plugged(plug, "file");
	queue = open_queue(shape, 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(count_parts(rows[i].ranges, rows[i].count), rows[i].expected);
		assert_flushed_in(plug, queue, map, rows[i].ranges, rows[i].count, rows[i].expected);
	}
	filemap_queue_close(queue);
	filemap_close(map);
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static void random_ranges_are_as_many_flushes_as_parts(struct plug *plug, const struct shape *shape)
{
	const char *wanted = getenv("T_SEED");
	const uint32_t seed = wanted ? (uint32_t)strtoul(wanted, NULL, 0) : (uint32_t)getpid();
	uint32_t random = seed;
	struct range ranges[48];
	struct filemap_queue *queue;
	struct filemap *map;

	need(shape);
	map = open_plugged(plug, "file");
	queue = open_queue(shape, 0);
	print_message("T_SEED=%u\n", seed);
	for (int round = 0; round < 25; round++) {
		const unsigned count = 1 + next_random(&random) % 48;

		for (unsigned i = 0; i < count; i++) {
			ranges[i].offset = next_random(&random) % SIZE;
			ranges[i].length = next_random(&random) % 9000;
			if (ranges[i].length > SIZE - ranges[i].offset)
				ranges[i].length = SIZE - ranges[i].offset;
		}
		assert_flushed_in(plug, queue, map, ranges, count, count_parts(ranges, count));
	}
	filemap_queue_close(queue);
	filemap_close(map);
}

static void different_files_are_not_flushed_together(struct plug *plug, const struct shape *shape)
{
	struct filemap_queue *queue;
	struct filemap *maps[2];
	uint32_t before;

	need(shape);
	maps[0] = open_plugged(plug, "a");
	maps[1] = open_plugged(plug, "b");
	before = synced(plug);
	queue = open_queue(shape, 0);
	for (int i = 0; i < 6; i++)
		(void)flush_pages(queue, maps[i % 2], 0, 2);
	assert_ok(filemap_queue_drain(queue));
	assert_int_equal(stats_of(queue).device_flushes, 2);
	assert_int_equal(stats_of(queue).coalesced, 4);
	assert_int_equal(synced(plug), before + 2);
	filemap_queue_close(queue);
	filemap_close(maps[0]);
	filemap_close(maps[1]);
}

static void what_is_ordered_is_not_flushed_together(struct plug *plug, const struct shape *shape)
{
	struct filemap_queue *queue;
	struct filemap *map;
	uint64_t first;
	uint32_t before;

	need(shape);
	map = open_plugged(plug, "a");
	before = synced(plug);
	queue = open_queue(shape, 0);
	(void)flush_pages(queue, map, 0, 2);
	(void)flush_pages(queue, map, 1, 2);
	(void)barrier(queue);
	(void)flush_pages(queue, map, 0, 2);
	(void)flush_pages(queue, map, 1, 2);
	assert_ok(filemap_queue_drain(queue));
	assert_int_equal(stats_of(queue).device_flushes, 2);
	assert_int_equal(stats_of(queue).coalesced, 2);
	assert_int_equal(synced(plug), before + 2);
	first = flush_pages(queue, map, 0, 2);
	assert_ok(filemap_queue_flush_after(queue, map, 0, 2 * PAGE, first, NULL, NULL, NULL));
	assert_ok(filemap_queue_drain(queue));
	assert_int_equal(stats_of(queue).device_flushes, 4);
	assert_int_equal(stats_of(queue).coalesced, 2);
	assert_int_equal(synced(plug), before + 4);
	filemap_queue_close(queue);
	filemap_close(map);
}

static void the_data_of_a_commit_is_flushed_with_others(struct plug *plug, const struct shape *shape)
{
	struct filemap_queue *queue;
	struct filemap *map;
	uint64_t ticket;
	uint32_t before;

	need(shape);
	map = open_plugged(plug, "a");
	before = synced(plug);
	queue = open_queue(shape, 0);
	assert_ok(filemap_queue_commit(queue, map, 4 * PAGE, PAGE, 0, "HEAD", 4, NULL, NULL, &ticket));
	(void)flush_pages(queue, map, 4, 2);
	assert_int_equal(result_of(queue, ticket), 0);
	assert_ok(filemap_queue_drain(queue));
	assert_int_equal(stats_of(queue).device_flushes, 2);
	assert_int_equal(stats_of(queue).flushes, 3);
	assert_int_equal(stats_of(queue).coalesced, 1);
	assert_int_equal(synced(plug), before + 2);
	filemap_queue_close(queue);
	filemap_close(map);
}

/* ---- beside one that is at work ---- */

static void what_touches_a_flush_at_work_waits_and_is_flushed_together(struct plug *plug,
								       const struct shape *shape)
{
	struct filemap_queue *queue;
	struct filemap *map;
	uint64_t first, last = 0;

	need(shape);
	map = open_plugged(plug, "a");
	queue = open_queue(shape, 0);
	hold(plug);
	first = flush_pages(queue, map, 0, 2);
	assert_ok(filemap_queue_submit(queue));
	await_held(plug, 1);
	for (int i = 0; i < 5; i++) { /* one by one: each is begun, or it waits */
		last = flush_pages(queue, map, (unsigned)i % 3, 1);
		assert_ok(filemap_queue_submit(queue));
	}
	assert_int_equal(stats_of(queue).at_work, 1);
	(void)flush_pages(queue, map, 5, 1); /* touches none */
	assert_ok(filemap_queue_submit(queue));
	while (stats_of(queue).at_work < 2)
		assert_int_equal(filemap_queue_poll(queue), 0);
	assert_int_equal(stats_of(queue).in_flight, 7);
	assert_int_equal(filemap_queue_wait(queue, last, 2, NULL), 0);
	let_go(plug);
	assert_int_equal(result_of(queue, last), 0);
	assert_int_equal(result_of(queue, first), 0);
	assert_ok(filemap_queue_drain(queue));
	assert_int_equal(stats_of(queue).device_flushes, 3);
	assert_int_equal(stats_of(queue).coalesced, 4);
	assert_int_equal(stats_of(queue).flushes, 7);
	filemap_queue_close(queue);
	filemap_close(map);
}

static void await_at_work(struct filemap_queue *queue, uint64_t count)
{
	while (stats_of(queue).at_work < count) /* which begins nothing itself */
		sched_yield();
}

/* Two are at work, apart; one of them comes back, and what touches both still waits. The server keeps one at a
 * time: the next comes to stay when that has gone. */
static void one_goes_and_the_other_is_waited_for(struct plug *plug, struct filemap_queue *queue)
{
	await_at_work(queue, 2);
	await_held(plug, 1);
	let_one_go(plug);
	await_held(plug, 2);
	assert_int_equal(filemap_queue_wait(queue, FILEMAP_ANY, 5, NULL), 0);
	assert_int_equal(stats_of(queue).at_work, 2);
	let_go(plug);
	assert_ok(filemap_queue_drain(queue));
	assert_int_equal(stats_of(queue).device_flushes, 3);
}

static void what_waits_for_two_at_work_waits_for_both(struct plug *plug, const struct shape *shape)
{
	struct filemap *map;
	struct filemap_queue *queue;

	need(shape);
	map = open_plugged(plug, "a");
	queue = open_queue(shape, 0);
	hold(plug);
	(void)flush_pages(queue, map, 0, 1);
	(void)flush_pages(queue, map, 4, 1);
	assert_ok(filemap_queue_submit(queue));
	await_at_work(queue, 2);
	(void)flush_pages(queue, map, 1, 1);
	(void)flush_pages(queue, map, 3, 1);
	(void)flush_pages(queue, map, 2, 1); /* the bridge makes one of them, which touches both at work */
	assert_ok(filemap_queue_submit(queue));
	one_goes_and_the_other_is_waited_for(plug, queue);
	assert_int_equal(stats_of(queue).coalesced, 2);
	filemap_queue_close(queue);
	filemap_close(map);
}

static void what_waits_already_is_held_up_by_what_begins_beside_it(struct plug *plug,
								   const struct shape *shape)
{
	struct filemap *map;
	struct filemap_queue *queue;

	need(shape);
	map = open_plugged(plug, "a");
	queue = open_queue(shape, 0);
	hold(plug);
	(void)flush_pages(queue, map, 0, 1);
	assert_ok(filemap_queue_submit(queue));
	await_held(plug, 1);
	(void)flush_pages(queue, map, 2, 1); /* free to begin */
	(void)flush_pages(queue, map, 1, 1); /* not */
	assert_ok(filemap_queue_submit(queue));
	one_goes_and_the_other_is_waited_for(plug, queue);
	filemap_queue_close(queue);
	filemap_close(map);
}

static void what_a_cancellation_sets_free_begins_at_once(struct plug *plug, const struct shape *shape)
{
	struct filemap *map;
	struct filemap_queue *queue;
	uint64_t between;

	need(shape);
	map = open_plugged(plug, "a");
	queue = open_queue(shape, 0);
	hold(plug);
	(void)flush_pages(queue, map, 0, 1);
	assert_ok(filemap_queue_submit(queue));
	await_held(plug, 1);
	between = flush_pages(queue, map, 1, 1);
	(void)flush_pages(queue, map, 2, 1); /* with the one before it touches what is at work */
	assert_ok(filemap_queue_submit(queue));
	assert_ok(filemap_queue_cancel(queue, between));
	await_at_work(queue, 2);
	let_go(plug);
	assert_ok(filemap_queue_drain(queue));
	assert_int_equal(stats_of(queue).device_flushes, 2);
	filemap_queue_close(queue);
	filemap_close(map);
}

/* With no further call that could begin it, where the library has threads. */
static void what_one_submission_or_one_end_makes_ready_works_at_once(struct plug *plug,
								     const struct shape *shape)
{
	struct filemap *maps[2];
	struct filemap_queue *queue;

	need(shape);
	maps[0] = open_plugged(plug, "a");
	maps[1] = open_plugged(plug, "b");
	queue = open_queue(shape, 0);
	hold(plug);
	for (int i = 0; i < 2; i++)
		(void)flush_pages(queue, maps[i], 0, 1);
	assert_ok(filemap_queue_submit(queue));
	await_at_work(queue, 2);
	(void)barrier(queue);
	for (int i = 0; i < 2; i++)
		(void)flush_pages(queue, maps[i], 0, 1);
	assert_ok(filemap_queue_submit(queue));
	let_one_go(plug);
	let_one_go(plug);
	while (stats_of(queue).device_flushes < 2)
		if (shape == &uring_one)
			assert_int_equal(filemap_queue_poll(queue), 0);
	await_at_work(queue, 2);
	let_go(plug);
	filemap_queue_close(queue);
	for (int i = 0; i < 2; i++)
		filemap_close(maps[i]);
}

static void what_is_stored_before_the_submission_is_flushed_by_it(struct plug *plug,
								  const struct shape *shape)
{
	struct filemap_queue *queue;
	struct filemap *map;
	uint64_t first, second;
	char *at;

	need(shape);
	map = open_plugged(plug, "a");
	queue = open_queue(shape, 0);
	at = filemap_data_mut(map);
	hold(plug);
	at[5] = '1';
	first = flush_pages(queue, map, 0, 1);
	assert_ok(filemap_queue_submit(queue));
	await_held(plug, 1); /* its pages have been written */
	at[5] = '2';
	second = flush_pages(queue, map, 0, 1);
	assert_ok(filemap_queue_submit(queue));
	let_one_go(plug);
	assert_int_equal(result_of(queue, first), 0);
	assert_int_equal(durable_of(plug, "a")[5], '1');
	while (held(plug) < 2)
		assert_int_equal(filemap_queue_poll(queue), 0);
	assert_int_equal(filemap_queue_wait(queue, second, 0, NULL), 0);
	let_one_go(plug);
	assert_int_equal(result_of(queue, second), 0);
	assert_int_equal(durable_of(plug, "a")[5], '2');
	let_go(plug);
	filemap_queue_close(queue);
	filemap_close(map);
}

static void more_groups_than_workers_wait_and_grow(struct plug *plug, const struct shape *shape)
{
	need_device(plug->dir);
	struct stage s = stage_open(plug, shape, 1);

	for (unsigned i = 0; i < 5;
	     i++) { /* submitted apart, flushed together: there was no worker for them */
		(void)flush_pages(s.queue, s.map, i, 1);
		assert_ok(filemap_queue_submit(s.queue));
	}
	(void)flush_pages(s.queue, s.map, 7, 1);
	assert_ok(filemap_queue_submit(s.queue));
	assert_int_equal(stats_of(s.queue).at_work, 1);
	assert_int_equal(stats_of(s.queue).in_flight, 7);
	stage_go(&s);
	assert_ok(filemap_queue_drain(s.queue));
	assert_int_equal(stats_of(s.queue).device_flushes, 3);
	assert_int_equal(stats_of(s.queue).coalesced, 4);
	stage_close(&s);
}

static void a_failure_is_told_to_all_that_were_flushed_together(struct plug *plug, const struct shape *shape)
{
	struct filemap_queue *queue;
	struct filemap *map, *other;
	uint64_t tickets[3], untouched;
	unsigned failed = 0;

	need(shape);
	map = open_plugged(plug, "a");
	other = open_plugged(plug, "b");
	queue = open_queue(shape, 0);
	fuse_fault_set(&plug->device->fsync_error, ENOSPC);
	for (unsigned i = 0; i < 3; i++)
		tickets[i] = flush_pages(queue, map, i, 1);
	for (int i = 0; i < 3; i++) {
		const int r = result_of(queue, tickets[i]);

		assert_true(r == -ENOSPC || r == FILEMAP_EPOISONED);
		failed += r == -ENOSPC;
	}
	assert_true(failed >= 1);
	assert_true(filemap_state(map) & FILEMAP_STATE_TAINTED);
	assert_int_equal(filemap_poison_cause(map), -ENOSPC);
	fuse_fault_set(&plug->device->fsync_error, 0);
	assert_int_equal(filemap_queue_flush(queue, map, 0, 1, NULL, NULL, NULL), FILEMAP_EPOISONED);
	untouched = flush(queue, other, NULL, NULL);
	assert_int_equal(result_of(queue, untouched), 0);
	assert_int_equal(stats_of(queue).failed, 3);
	filemap_queue_close(queue);
	filemap_close(map);
	filemap_close(other);
}

/* ---- the cases ---- */

#define CASES(X)                                                      \
	X(ranges_that_touch_are_one_flush_of_the_device)              \
	X(random_ranges_are_as_many_flushes_as_parts)                 \
	X(different_files_are_not_flushed_together)                   \
	X(what_is_ordered_is_not_flushed_together)                    \
	X(the_data_of_a_commit_is_flushed_with_others)                \
	X(what_touches_a_flush_at_work_waits_and_is_flushed_together) \
	X(what_waits_for_two_at_work_waits_for_both)                  \
	X(what_waits_already_is_held_up_by_what_begins_beside_it)     \
	X(what_a_cancellation_sets_free_begins_at_once)               \
	X(what_one_submission_or_one_end_makes_ready_works_at_once)   \
	X(what_is_stored_before_the_submission_is_flushed_by_it)      \
	X(more_groups_than_workers_wait_and_grow)                     \
	X(a_failure_is_told_to_all_that_were_flushed_together)

CASES(ON_ALL)
#define ENTRY(test) PLUGGED(test),

PLUG_MAIN(CASES(ENTRY))
