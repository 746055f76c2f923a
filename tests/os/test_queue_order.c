/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What waits for what in a queue, and how it is called off or waited for in vain, on each of its shapes. Where a
 * request has to stay on its way the device of queue_plug.h keeps it: nothing depends on time.
 */
#include "queue_plug.h"

#include <unistd.h>

/* A request that fails without harm: a prefault behind the end of a cut file. */
static struct filemap *open_cut(const struct t_dir *dir, const char *name)
{
	struct filemap *map = open_map(dir, name);

	assert_ok(truncate(filemap_path(map), PAGE));
	return map;
}

static uint64_t fail_at(struct filemap_queue *queue, struct filemap *cut, filemap_completed *completed,
			void *context)
{
	uint64_t ticket = 0;

	assert_ok(filemap_queue_prefault(queue, cut, FILEMAP_PREFAULT_READ, PAGE, 2 * PAGE, completed,
					 context, &ticket));
	return ticket;
}

static uint64_t flush_after(struct filemap_queue *queue, struct filemap *map, uint64_t after)
{
	uint64_t ticket = 0;

	assert_ok(filemap_queue_flush_after(queue, map, 0, FILEMAP_TO_END, after, NULL, NULL, &ticket));
	return ticket;
}

static void finish(struct filemap_queue *queue, struct filemap *map, struct filemap *other)
{
	filemap_queue_close(queue);
	filemap_close(map);
	filemap_close(other);
}

/* ---- after another one ---- */

static void what_comes_after_a_success_is_carried_out(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	struct seen seen[4] = {{0}};
	uint64_t tickets[4], last;

	assert_ok(filemap_queue_sync(queue, map, note, &seen[0], &tickets[0]));
	for (int i = 1; i < 4; i++)
		assert_ok(filemap_queue_flush_after(queue, map, 0, PAGE, tickets[i - 1], note, &seen[i],
						    &tickets[i]));
	assert_ok(filemap_queue_drain(queue));
	for (int i = 0; i < 4; i++) {
		assert_int_equal(seen[i].calls, 1);
		assert_int_equal(seen[i].result, 0);
		assert_true(i == 0 || seen[i].order > seen[i - 1].order);
	}
	last = flush(queue, map, NULL, NULL);
	assert_ok(filemap_queue_drain(queue)); /* finished, and unclaimed */
	assert_int_equal(result_of(queue, flush_after(queue, map, last)), 0);
	assert_int_equal(result_of(queue, last), 0);
	finish(queue, map, NULL);
}

static void what_comes_after_a_failure_is_ecanceled(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a"), *cut = open_cut(dir, "b");
	struct filemap_error error;
	uint64_t failed = fail_at(queue, cut, NULL, NULL), next = flush_after(queue, map, failed),
		 second = flush_after(queue, map, next), beside = flush_after(queue, map, failed),
		 free = flush(queue, map, NULL, NULL), late;

	assert_int_equal(result_with(queue, second, &error), -ECANCELED);
	assert_int_equal(error.sys_errno, ECANCELED);
	assert_int_equal(result_of(queue, beside), -ECANCELED);
	assert_int_equal(result_of(queue, next), -ECANCELED);
	assert_int_equal(result_of(queue, free), 0);
	late = flush_after(queue, map, failed); /* finished, and unclaimed */
	assert_int_equal(result_of(queue, late), -ECANCELED);
	assert_int_equal(result_of(queue, failed), FILEMAP_EFAULT);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE); /* what was not begun taints nothing */
	finish(queue, map, cut);
}

static void what_comes_after_a_cancelled_one_is_ecanceled(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	uint64_t first = flush(queue, map, NULL, NULL), next = flush_after(queue, map, first),
		 second = flush_after(queue, map, next), late;

	assert_ok(filemap_queue_cancel(queue, first));
	late = flush_after(queue, map, first);
	assert_int_equal(result_of(queue, second), -ECANCELED);
	assert_int_equal(result_of(queue, next), -ECANCELED);
	assert_int_equal(result_of(queue, late), -ECANCELED);
	assert_int_equal(result_of(queue, first), -ECANCELED);
	assert_int_equal(stats_of(queue).device_flushes, 0);
	finish(queue, map, NULL);
}

static void after_what_has_ended_is_enoent(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	uint64_t ended = flush(queue, map, NULL, NULL), ticket = 99;
	const uint64_t unknown[] = {ended, ended + 1, ended + 2, 0, FILEMAP_ANY};

	assert_int_equal(result_of(queue, ended), 0);
	for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
		assert_int_equal(filemap_queue_flush_after(queue, map, 0, 1, unknown[i], NULL, NULL, &ticket),
				 -ENOENT);
	assert_int_equal(ticket, 99);
	assert_int_equal(stats_of(queue).queued, 1);
	assert_int_equal(flush(queue, map, NULL, NULL), ended + 1);
	finish(queue, map, NULL);
}

static void a_flush_after_is_checked_as_any_flush(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 2);
	struct filemap *map = open_map(dir, "a");
	uint64_t first = flush(queue, map, NULL, NULL), ticket = 99;

	assert_int_equal(filemap_queue_flush_after(queue, map, SIZE, 1, first, NULL, NULL, &ticket),
			 FILEMAP_ERANGE);
	assert_int_equal(ticket, 99);
	assert_ok(filemap_queue_flush_after(queue, map, 5, 0, first, NULL, NULL, &ticket));
	assert_int_equal(result_of(queue, ticket), 0); /* of nothing */
	assert_int_equal(result_of(queue, first), 0);
	finish(queue, map, NULL);
}

static void a_flush_waits_for_the_one_before_it(struct plug *plug, const struct shape *shape)
{
	struct stage s = stage_open(plug, shape, 4);
	uint64_t next = flush_after(s.queue, s.map, s.busy_ticket), last = flush_after(s.queue, s.map, next);

	assert_ok(filemap_queue_submit(s.queue));
	assert_int_equal(filemap_queue_wait(s.queue, last, 5, NULL), 0);
	assert_int_equal(filemap_queue_wait(s.queue, FILEMAP_ANY, 0, NULL), 0);
	assert_int_equal(stats_of(s.queue).at_work, 1);
	assert_int_equal(stats_of(s.queue).in_flight, 3);
	stage_go(&s);
	assert_int_equal(result_of(s.queue, last), 0);
	assert_int_equal(result_of(s.queue, next), 0);
	assert_int_equal(stats_of(s.queue).in_flight, 0);
	stage_close(&s);
}

/* ---- barriers ---- */

static void a_barrier_ends_with_the_first_failure_since_the_one_before(struct t_dir *dir,
								       const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a"), *cut = open_cut(dir, "b");
	struct filemap_error error;
	uint64_t empty = barrier(queue), good, bad, cancelled, last, behind;

	(void)flush(queue, map, NULL, NULL);
	good = barrier(queue);
	(void)flush(queue, map, NULL, NULL);
	(void)fail_at(queue, cut, NULL, NULL);
	(void)flush(queue, map, NULL, NULL);
	bad = barrier(queue);
	behind = flush(queue, map, NULL, NULL);
	assert_ok(filemap_queue_cancel(queue, flush(queue, map, NULL, NULL)));
	(void)fail_at(queue, cut, NULL, NULL);
	cancelled = barrier(queue);
	last = barrier(queue);
	assert_int_equal(result_of(queue, last), 0);
	assert_int_equal(result_of(queue, empty), 0);
	assert_int_equal(result_of(queue, good), 0);
	assert_int_equal(result_with(queue, bad, &error), FILEMAP_EFAULT);
	assert_int_equal(result_of(queue, cancelled), -ECANCELED);
	assert_int_equal(result_of(queue, behind), 0);
	finish(queue, map, cut);
}

static void a_flush_after_a_barrier_has_its_result(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a"), *cut = open_cut(dir, "b");
	uint64_t good, bad, after_good, after_bad, free;

	(void)flush(queue, map, NULL, NULL);
	good = barrier(queue);
	after_good = flush_after(queue, map, good);
	(void)fail_at(queue, cut, NULL, NULL);
	bad = barrier(queue);
	after_bad = flush_after(queue, map, bad);
	free = flush(queue, map, NULL, NULL);
	assert_int_equal(result_of(queue, after_bad), -ECANCELED);
	assert_int_equal(result_of(queue, after_good), 0);
	assert_int_equal(result_of(queue, free), 0);
	finish(queue, map, cut);
}

static void nothing_behind_a_barrier_begins_before_it_ends(struct plug *plug, const struct shape *shape)
{
	struct stage s = stage_open(plug, shape, 4);
	struct seen seen[6] = {{0}};
	uint64_t ticket;

	/* Before it, and free to go; the barrier; and all kinds of requests behind it. */
	assert_ok(filemap_queue_flush(s.queue, s.map, 0, 1, note, &seen[0], &ticket));
	assert_int_equal(filemap_queue_wait(s.queue, ticket, -1, NULL), 1);
	assert_ok(filemap_queue_barrier(s.queue, note, &seen[1], NULL));
	(void)flush(s.queue, s.map, note, &seen[2]);
	assert_ok(filemap_queue_resize(s.queue, s.map, 2 * SIZE, note, &seen[3], NULL));
	assert_ok(filemap_queue_sync_dir(s.queue, plug->dir->fd, note, &seen[4], NULL));
	assert_ok(filemap_queue_flush(s.queue, s.map, 0, 0, note, &seen[5], NULL)); /* of nothing */
	assert_int_equal(filemap_queue_poll(s.queue), 0);
	assert_int_equal(stats_of(s.queue).at_work, 1);
	assert_int_equal(stats_of(s.queue).in_flight, 6);
	assert_int_equal(t_file_size(filemap_path(s.map)), SIZE);
	assert_int_equal(filemap_queue_wait(s.queue, FILEMAP_ANY, 2, NULL), 0);
	stage_go(&s);
	assert_ok(filemap_queue_drain(s.queue));
	for (int i = 0; i < 6; i++) {
		assert_int_equal(seen[i].calls, 1);
		assert_int_equal(seen[i].result, 0);
		assert_true(i < 2 || seen[i].order > seen[1].order);
	}
	assert_int_equal(t_file_size(filemap_path(s.map)), 2 * SIZE);
	stage_close(&s);
}

static void a_cancelled_barrier_still_holds_what_is_behind_it(struct plug *plug, const struct shape *shape)
{
	struct stage s = stage_open(plug, shape, 4);
	uint64_t wall = barrier(s.queue), behind = flush(s.queue, s.map, NULL, NULL), after;

	assert_ok(filemap_queue_submit(s.queue));
	assert_ok(filemap_queue_cancel(s.queue, wall));
	after = flush_after(s.queue, s.map, wall);
	assert_int_equal(filemap_queue_poll(s.queue), 0);
	assert_int_equal(filemap_queue_wait(s.queue, behind, 2, NULL), 0);
	assert_int_equal(stats_of(s.queue).at_work, 1);
	stage_go(&s);
	assert_int_equal(result_of(s.queue, behind), 0);
	assert_int_equal(result_of(s.queue, after), -ECANCELED);
	assert_int_equal(result_of(s.queue, wall), -ECANCELED);
	stage_close(&s);
}

static void barriers_may_follow_each_other(struct plug *plug, const struct shape *shape)
{
	struct stage s = stage_open(plug, shape, 4);
	struct seen seen[9] = {{0}};

	for (int i = 0; i < 9; i++) {
		if (i % 3 == 1)
			(void)flush(s.queue, s.map, note, &seen[i]);
		else
			assert_ok(filemap_queue_barrier(s.queue, note, &seen[i], NULL));
	}
	assert_int_equal(filemap_queue_poll(s.queue), 0);
	assert_int_equal(stats_of(s.queue).in_flight, 10);
	stage_go(&s);
	assert_ok(filemap_queue_drain(s.queue));
	for (int i = 1; i < 9; i++)
		assert_true(seen[i].order > seen[i - 1].order);
	stage_close(&s);
}

/* ---- calling off ---- */

static void what_is_only_queued_is_called_off(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	struct seen seen = {0};
	uint64_t plain = flush(queue, map, NULL, NULL), called = flush(queue, map, note, &seen);
	struct filemap_error error;

	assert_ok(filemap_queue_cancel(queue, plain));
	assert_ok(filemap_queue_cancel(queue, called));
	assert_int_equal(seen.calls, 0);
	assert_int_equal(filemap_queue_poll(queue), 1);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.ticket, called);
	assert_int_equal(seen.result, -ECANCELED);
	assert_int_equal(filemap_queue_cancel(queue, plain), -EALREADY); /* unclaimed */
	assert_int_equal(result_with(queue, plain, &error), -ECANCELED);
	assert_int_equal(filemap_queue_cancel(queue, plain), -ENOENT);
	assert_int_equal(filemap_queue_cancel(queue, called), -ENOENT);
	assert_int_equal(stats_of(queue).cancelled, 2);
	assert_int_equal(stats_of(queue).failed, 0);
	assert_int_equal(stats_of(queue).device_flushes, 0);
	assert_ok(filemap_try_close(map));
	filemap_queue_close(queue);
}

static void what_has_finished_is_ealready_and_what_has_ended_enoent(struct t_dir *dir,
								    const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	uint64_t ticket = flush(queue, map, NULL, NULL);

	assert_ok(filemap_queue_drain(queue));
	assert_int_equal(filemap_queue_cancel(queue, ticket), -EALREADY);
	assert_int_equal(result_of(queue, ticket), 0);
	assert_int_equal(filemap_queue_cancel(queue, ticket), -ENOENT);
	assert_int_equal(filemap_queue_cancel(queue, ticket + 1), -ENOENT);
	assert_int_equal(filemap_queue_cancel(queue, 0), -ENOENT);
	assert_int_equal(filemap_queue_cancel(queue, FILEMAP_ANY), -ENOENT);
	finish(queue, map, NULL);
}

static void what_waits_for_anything_is_called_off_and_what_works_is_not(struct plug *plug,
									const struct shape *shape)
{
	need_device(plug->dir);
	struct stage s = stage_open(plug, shape, 1);
	const uint32_t before = synced(plug);
	uint64_t ready = flush(s.queue, s.map, NULL, NULL);
	uint64_t touching = flush_pages(s.queue, s.busy, 0, 1);
	uint64_t waiting = flush_after(s.queue, s.map, s.busy_ticket);
	uint64_t held_back, wall = barrier(s.queue);
	struct filemap_completion done;

	held_back = flush(s.queue, s.map, NULL, NULL);
	assert_ok(filemap_queue_submit(s.queue));
	assert_int_equal(filemap_queue_cancel(s.queue, s.busy_ticket), -EALREADY);
	assert_ok(filemap_queue_cancel(s.queue, ready));
	assert_ok(filemap_queue_cancel(s.queue, touching));
	assert_ok(filemap_queue_cancel(s.queue, waiting));
	assert_ok(filemap_queue_cancel(s.queue, held_back));
	/* All that is known at once, while the device still holds. */
	assert_int_equal(result_of(s.queue, ready), -ECANCELED);
	assert_int_equal(result_of(s.queue, touching), -ECANCELED);
	assert_int_equal(filemap_queue_wait(s.queue, s.busy_ticket, 0, &done), 0);
	assert_int_equal(filemap_queue_cancel(s.queue, s.busy_ticket), -EALREADY);
	stage_go(&s);
	assert_int_equal(result_of(s.queue, waiting), -ECANCELED);
	assert_int_equal(result_of(s.queue, held_back), -ECANCELED);
	assert_int_equal(result_of(s.queue, wall), -ECANCELED);
	assert_int_equal(synced(plug), before + 1);
	assert_int_equal(stats_of(s.queue).device_flushes, 1);
	stage_close(&s);
}

static void every_kind_that_waits_for_a_worker_is_called_off(struct plug *plug, const struct shape *shape)
{
	need_device(plug->dir);
	struct stage s = stage_open(plug, shape, 1);
	struct filemap *cut = open_map(plug->dir, "cut"), *doomed = open_map(plug->dir, "doomed");
	uint64_t tickets[8];

	tickets[0] = flush(s.queue, s.map, NULL, NULL);
	assert_ok(filemap_queue_sync(s.queue, s.map, NULL, NULL, &tickets[1]));
	assert_ok(filemap_queue_writeback(s.queue, s.map, 0, PAGE, NULL, NULL, &tickets[2]));
	assert_ok(filemap_queue_prefault(s.queue, s.map, FILEMAP_PREFAULT_READ, 0, PAGE, NULL, NULL,
					 &tickets[3]));
	assert_ok(filemap_queue_commit(s.queue, s.map, 0, PAGE, PAGE, "HEAD", 4, NULL, NULL, &tickets[4]));
	assert_ok(filemap_queue_resize(s.queue, cut, PAGE, NULL, NULL, &tickets[5]));
	assert_ok(filemap_queue_remove(s.queue, doomed, NULL, NULL, &tickets[6]));
	assert_ok(filemap_queue_sync_dir(s.queue, plug->dir->fd, NULL, NULL, &tickets[7]));
	assert_ok(filemap_queue_submit(s.queue));
	for (int i = 0; i < 8; i++)
		assert_ok(filemap_queue_cancel(s.queue, tickets[i]));
	for (int i = 0; i < 8; i++)
		assert_int_equal(result_of(s.queue, tickets[i]), -ECANCELED);
	assert_true(all_are(s.map, 0, SIZE, 'x'));
	assert_int_equal(filemap_size(cut), SIZE);
	assert_int_equal(t_file_size(filemap_path(cut)), SIZE);
	assert_int_equal(t_file_size(filemap_path(doomed)), SIZE);
	assert_ok(filemap_try_close(cut));
	assert_ok(filemap_try_close(doomed));
	assert_ok(filemap_pin(s.map)); /* none is left, so this is the only one */
	filemap_unpin(s.map);
	assert_ok(filemap_resize(s.map, PAGE, NULL));
	stage_go(&s);
	stage_close(&s);
}

static void one_of_those_flushed_together_is_called_off_alone(struct plug *plug, const struct shape *shape)
{
	need_device(plug->dir);
	for (int which = 0; which < 3; which++) { /* also the first, in whose name the others may go */
		struct stage s = stage_open(plug, shape, 1);
		uint64_t tickets[3];

		for (int i = 0; i < 3; i++)
			tickets[i] = flush_pages(s.queue, s.map, (unsigned)i, 1);
		assert_ok(filemap_queue_submit(s.queue));
		assert_ok(filemap_queue_cancel(s.queue, tickets[which]));
		assert_int_equal(result_of(s.queue, tickets[which]), -ECANCELED);
		stage_go(&s);
		for (int i = 0; i < 3; i++)
			if (i != which)
				assert_int_equal(result_of(s.queue, tickets[i]), 0);
		assert_int_equal(stats_of(s.queue).flushes, 3);
		assert_int_equal(stats_of(s.queue).cancelled, 1);
		stage_close(&s);
		__atomic_store_n(&plug->device->held, 0, __ATOMIC_SEQ_CST);
	}
}

static void all_of_those_flushed_together_are_called_off(struct plug *plug, const struct shape *shape)
{
	need_device(plug->dir);
	struct stage s = stage_open(plug, shape, 1);
	uint64_t tickets[3];

	for (int i = 0; i < 3; i++)
		tickets[i] = flush_pages(s.queue, s.map, (unsigned)i, 1);
	assert_ok(filemap_queue_submit(s.queue));
	for (int i = 0; i < 3; i++)
		assert_ok(filemap_queue_cancel(s.queue, tickets[i]));
	stage_go(&s);
	for (int i = 0; i < 3; i++)
		assert_int_equal(result_of(s.queue, tickets[i]), -ECANCELED);
	assert_int_equal(stats_of(s.queue).device_flushes, 1);
	assert_int_equal(stats_of(s.queue).coalesced, 0);
	stage_close(&s);
}

/* ---- commit ---- */

/* While a thread of the library may store there: the device's server has told us that it does not. */
__attribute__((noinline, no_sanitize_thread)) static bool reads(const char *at, const char *text)
{
	const volatile char *bytes = at;

	while (*text != '\0' && *bytes == *text) {
		bytes++;
		text++;
	}
	return *text == '\0';
}

static void a_header_is_stored_only_when_the_data_is_durable(struct plug *plug, const struct shape *shape)
{
	struct filemap_queue *queue;
	struct filemap *map;
	const char *at;
	uint64_t ticket;

	need(shape);
	map = open_plugged(plug, "file");
	queue = open_queue(shape, 0);
	at = filemap_data(map);
	hold(plug);
	memset((char *)filemap_data_mut(map) + PAGE, 'd', PAGE);
	assert_ok(filemap_queue_commit(queue, map, PAGE, PAGE, 8, "HEAD", 4, NULL, NULL, &ticket));
	assert_ok(filemap_queue_submit(queue));
	await_held(plug, 1);
	assert_int_equal(filemap_queue_wait(queue, ticket, 2, NULL), 0);
	assert_true(reads(at + 7, "xxxxxx"));
	assert_int_equal(durable_of(plug, "file")[PAGE], 'x');
	assert_int_equal(filemap_queue_cancel(queue, ticket), -EALREADY);
	let_one_go(plug);
	while (held(plug) < 2)
		assert_int_equal(filemap_queue_poll(queue), 0);
	assert_true(reads(at + 7, "xHEADx"));
	assert_int_equal(durable_of(plug, "file")[PAGE], 'd');
	assert_int_equal(durable_of(plug, "file")[8], 'x');
	assert_int_equal(filemap_queue_cancel(queue, ticket), -EALREADY);
	let_one_go(plug);
	assert_int_equal(result_of(queue, ticket), 0);
	assert_memory_equal(durable_of(plug, "file") + 8, "HEAD", 4);
	assert_int_equal(stats_of(queue).flushes, 2);
	let_go(plug);
	finish(queue, map, NULL);
}

/* ---- collecting ---- */

static void waits_in_vain_leave_every_ticket(struct plug *plug, const struct shape *shape)
{
	struct stage s = stage_open(plug, shape, 1);
	struct filemap_error error = {.code = 77};
	struct filemap_completion done = {.ticket = 77};
	uint64_t wall = barrier(s.queue);

	for (int timeout = 0; timeout <= 3; timeout += 3) {
		assert_int_equal(filemap_queue_wait(s.queue, s.busy_ticket, timeout, &done), 0);
		assert_int_equal(filemap_queue_wait_error(s.queue, wall, timeout, &done, &error), 0);
		assert_int_equal(filemap_queue_wait(s.queue, FILEMAP_ANY, timeout, &done), 0);
	}
	assert_int_equal(filemap_queue_error(s.queue, s.busy_ticket, &error), -EINPROGRESS);
	assert_int_equal(filemap_queue_error(s.queue, wall, &error), -EINPROGRESS);
	assert_int_equal(filemap_queue_error(s.queue, barrier(s.queue), &error), -EINPROGRESS);
	assert_int_equal(filemap_queue_error(s.queue, wall + 2, &error), -ENOENT);
	assert_int_equal(filemap_queue_error(s.queue, 0, &error), -ENOENT);
	assert_int_equal(filemap_queue_error(s.queue, FILEMAP_ANY, &error), -ENOENT);
	assert_int_equal(done.ticket, 77);
	assert_int_equal(error.code, 77);
	stage_go(&s);
	assert_int_equal(result_of(s.queue, wall), 0);
	stage_close(&s);
}

static void a_wait_for_any_ends_those_with_a_callback_first(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	uint64_t plain = barrier(queue), called;
	struct filemap_completion done;
	struct seen seen = {0};

	assert_int_equal(filemap_queue_cancel(queue, plain), 0); /* both finish at once */
	assert_ok(filemap_queue_flush(queue, map, 0, 0, note, &seen, &called));
	assert_ok(filemap_queue_cancel(queue, called));
	assert_int_equal(filemap_queue_wait(queue, FILEMAP_ANY, -1, &done), 1);
	assert_int_equal(done.ticket, called);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(filemap_queue_wait(queue, FILEMAP_ANY, -1, &done), 1);
	assert_int_equal(done.ticket, plain);
	assert_int_equal(filemap_queue_wait(queue, FILEMAP_ANY, -1, &done), -ENOENT);
	finish(queue, map, NULL);
}

/* What a callback can learn of itself, and of others. */
struct inquiry {
	struct filemap_error own, *other;
	int own_answer, other_answer, collected[4];
	uint64_t other_ticket;
};

static void inquire(struct filemap_queue *queue, uint64_t ticket, int result, void *context)
{
	struct inquiry *inquiry = context;

	(void)result;
	inquiry->own_answer = filemap_queue_error(queue, ticket, &inquiry->own);
	inquiry->other_answer = filemap_queue_error(queue, inquiry->other_ticket, inquiry->other);
	inquiry->collected[0] = filemap_queue_poll(queue);
	inquiry->collected[1] = filemap_queue_wait(queue, inquiry->other_ticket, 0, NULL);
	inquiry->collected[2] = filemap_queue_wait_error(queue, FILEMAP_ANY, 0, NULL, NULL);
	inquiry->collected[3] = filemap_queue_drain(queue);
}

static void errors_are_told_in_callbacks_and_until_claimed(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a"), *cut = open_cut(dir, "b");
	struct filemap_error error = {0}, kept = {0}, told;
	struct inquiry inquiry = {.other = &told};
	uint64_t failed, good = flush(queue, map, NULL, NULL);

	inquiry.other_ticket = fail_at(queue, cut, NULL, NULL);
	assert_ok(filemap_queue_drain(queue));
	failed = fail_at(queue, cut, inquire, &inquiry);
	assert_ok(filemap_queue_drain(queue));
	assert_int_equal(inquiry.own_answer, 1);
	assert_int_equal(inquiry.own.code, FILEMAP_EFAULT);
	assert_non_null(inquiry.own.step);
	assert_int_equal(inquiry.own.offset, PAGE);
	assert_int_equal(inquiry.own.length, 2 * PAGE);
	assert_int_equal(inquiry.other_answer, 1);
	assert_errors_equal(&told, &inquiry.own);
	for (int i = 0; i < 4; i++)
		assert_int_equal(inquiry.collected[i], -EDEADLK);
	assert_int_equal(filemap_queue_error(queue, failed, &error), -ENOENT); /* its callback is over */
	for (int i = 0; i < 2; i++)
		assert_int_equal(filemap_queue_error(queue, inquiry.other_ticket, &kept), 1);
	assert_int_equal(result_with(queue, inquiry.other_ticket, &error), FILEMAP_EFAULT);
	assert_errors_equal(&error, &kept);
	assert_int_equal(filemap_queue_error(queue, inquiry.other_ticket, &kept), -ENOENT);
	memset(&kept, 0x55, sizeof kept);
	error = kept;
	assert_int_equal(filemap_queue_error(queue, good, &kept), 0);
	assert_int_equal(filemap_queue_wait_error(queue, good, -1, NULL, &kept), 1);
	assert_memory_equal(&kept, &error, sizeof kept);
	finish(queue, map, cut);
}

static void an_error_may_be_left_unasked(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *cut = open_cut(dir, "b");
	struct filemap_completion done;

	assert_int_equal(filemap_queue_wait_error(queue, fail_at(queue, cut, NULL, NULL), -1, NULL, NULL), 1);
	assert_int_equal(filemap_queue_wait(queue, fail_at(queue, cut, NULL, NULL), -1, &done), 1);
	assert_int_equal(done.result, FILEMAP_EFAULT);
	assert_int_equal(done.sys_errno, 0); /* a code of its own */
	finish(queue, cut, NULL);
}

/* ---- callbacks that use their queue ---- */

struct busy_callback {
	struct filemap *map, **to_close;
	uint64_t to_cancel, next;
	int cancelled, submitted;
	struct seen seen;
};

static void use_queue(struct filemap_queue *queue, uint64_t ticket, int result, void *context)
{
	struct busy_callback *c = context;

	(void)ticket;
	assert_int_equal(result, 0);
	c->cancelled = filemap_queue_cancel(queue, c->to_cancel);
	assert_ok(filemap_queue_flush(queue, c->map, 0, 1, note, &c->seen, &c->next));
	assert_ok(filemap_queue_barrier(queue, NULL, NULL, NULL));
	c->submitted = filemap_queue_submit(queue);
	filemap_close(*c->to_close);
	*c->to_close = NULL;
}

static void a_callback_queues_cancels_submits_and_closes(struct plug *plug, const struct shape *shape)
{
	struct stage s = stage_open(plug, shape, 4);
	struct filemap *closed = open_map(plug->dir, "closed");
	struct busy_callback c = {.map = s.map, .to_close = &closed};
	uint64_t first;

	assert_ok(filemap_queue_flush(s.queue, closed, 0, PAGE, use_queue, &c, &first));
	c.to_cancel = flush_after(s.queue, closed, s.busy_ticket); /* waits for what the device holds */
	assert_int_equal(filemap_queue_wait(s.queue, first, -1, NULL), 1);
	assert_null(closed);
	assert_int_equal(c.cancelled, 0);
	assert_int_equal(c.submitted, 0);
	assert_int_equal(result_of(s.queue, c.to_cancel), -ECANCELED);
	stage_go(&s);
	assert_ok(filemap_queue_drain(s.queue));
	assert_int_equal(c.seen.calls, 1);
	assert_int_equal(c.seen.result, 0);
	stage_close(&s);
}

static void a_drain_ends_whole_chains(struct plug *plug, const struct shape *shape)
{
	struct stage s = stage_open(plug, shape, 1);
	struct seen seen[3] = {{0}};
	uint64_t wall;

	assert_ok(filemap_queue_commit(s.queue, s.map, 0, PAGE, PAGE, "HEAD", 4, note, &seen[0], NULL));
	assert_ok(filemap_queue_barrier(s.queue, note, &seen[1], &wall));
	assert_ok(filemap_queue_flush_after(s.queue, s.map, 0, PAGE, wall, note, &seen[2], NULL));
	assert_int_equal(filemap_queue_poll(s.queue), 0);
	let_go(plug);
	assert_ok(filemap_queue_drain(s.queue));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(seen[i].calls, 1);
		assert_int_equal(seen[i].result, 0);
	}
	assert_int_equal(stats_of(s.queue).in_flight, 0);
	stage_close(&s);
}

/* ---- the cases ---- */

#define CASES(X)                                                      \
	X(what_comes_after_a_success_is_carried_out)                  \
	X(what_comes_after_a_failure_is_ecanceled)                    \
	X(what_comes_after_a_cancelled_one_is_ecanceled)              \
	X(after_what_has_ended_is_enoent)                             \
	X(a_flush_after_is_checked_as_any_flush)                      \
	X(a_barrier_ends_with_the_first_failure_since_the_one_before) \
	X(a_flush_after_a_barrier_has_its_result)                     \
	X(what_is_only_queued_is_called_off)                          \
	X(what_has_finished_is_ealready_and_what_has_ended_enoent)    \
	X(a_wait_for_any_ends_those_with_a_callback_first)            \
	X(errors_are_told_in_callbacks_and_until_claimed)             \
	X(an_error_may_be_left_unasked)

#define PLUGGED_CASES(X)                                               \
	X(a_flush_waits_for_the_one_before_it)                         \
	X(nothing_behind_a_barrier_begins_before_it_ends)              \
	X(a_cancelled_barrier_still_holds_what_is_behind_it)           \
	X(barriers_may_follow_each_other)                              \
	X(what_waits_for_anything_is_called_off_and_what_works_is_not) \
	X(every_kind_that_waits_for_a_worker_is_called_off)            \
	X(one_of_those_flushed_together_is_called_off_alone)           \
	X(all_of_those_flushed_together_are_called_off)                \
	X(a_header_is_stored_only_when_the_data_is_durable)            \
	X(waits_in_vain_leave_every_ticket)                            \
	X(a_callback_queues_cancels_submits_and_closes)                \
	X(a_drain_ends_whole_chains)

CASES(ON_ALL)
PLUGGED_CASES(ON_ALL)
#define ENTRY(test) ENTRIES_ALL(test),
#define PLUGGED_ENTRY(test) PLUGGED(test),

PLUG_MAIN(CASES(ENTRY) PLUGGED_CASES(PLUGGED_ENTRY))
