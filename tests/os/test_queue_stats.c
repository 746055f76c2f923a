/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The counters of a queue, and who may use one: every function in a forked child, on another thread than the
 * queue's own, and with nothing where nothing is allowed. On each shape.
 */
#include "queue_shapes.h"

#include <unistd.h>

static uint64_t total(const struct filemap_queue_stats *stats)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < FILEMAP_LATENCY_BUCKETS; i++)
		sum += stats->latency[i];
	return sum;
}

static uint64_t reserved_of(const struct filemap_queue_stats *stats)
{
	uint64_t bits = 0;

	for (unsigned i = 0; i < sizeof stats->reserved / sizeof *stats->reserved; i++)
		bits |= stats->reserved[i];
	return bits;
}

/* ---- counters ---- */

static void a_fresh_queue_has_done_nothing(struct t_dir *dir, const struct shape *shape)
{
	static const struct filemap_queue_stats none;
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap_queue_stats now;

	(void)dir;
	assert_ok(filemap_queue_submit(queue));
	assert_int_equal(filemap_queue_poll(queue), 0);
	assert_ok(filemap_queue_drain(queue));
	now = stats_of(queue);
	assert_memory_equal(&now, &none, sizeof now);
	assert_int_equal(filemap_latency_quantile(now.latency, 500000), 0);
	filemap_queue_close(queue);
}

static void each_counter_counts_what_it_says(struct t_dir *dir, const struct shape *shape)
{
	need_device(dir);
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a"), *cut = open_map(dir, "b");
	struct filemap_queue_stats now;

	assert_ok(truncate(filemap_path(cut), PAGE));
	(void)flush_pages(queue, map, 0, 1);
	(void)flush_pages(queue, map, 4, 1); /* does not touch */
	(void)barrier(queue);
	assert_ok(filemap_queue_sync(queue, map, NULL, NULL, NULL));
	(void)barrier(queue);
	assert_ok(filemap_queue_commit(queue, map, PAGE, 1, 0, "h", 1, NULL, NULL, NULL));
	assert_ok(filemap_queue_writeback(queue, map, 0, 1, NULL, NULL, NULL));
	assert_ok(filemap_queue_prefault(queue, cut, FILEMAP_PREFAULT_READ, 0, SIZE, NULL, NULL, NULL));
	assert_ok(filemap_queue_sync_dir(queue, dir->fd, NULL, NULL, NULL));
	assert_ok(filemap_queue_cancel(queue, flush(queue, map, NULL, NULL)));
	assert_int_equal(filemap_queue_flush(queue, map, SIZE, 1, NULL, NULL, NULL), FILEMAP_ERANGE);
	now = stats_of(queue);
	assert_int_equal(now.queued, 10);
	assert_int_equal(now.in_flight + now.finished, 10);
	assert_int_equal(now.at_work, 0);
	assert_int_equal(now.most_in_flight, 10);
	assert_int_equal(now.device_flushes, 0);
	assert_ok(filemap_queue_drain(queue));
	now = stats_of(queue);
	assert_int_equal(now.queued, 10);
	assert_int_equal(now.finished, 10);
	assert_int_equal(now.failed, 1);
	assert_int_equal(now.cancelled, 1);
	assert_int_equal(now.flushes, 5);
	assert_int_equal(now.coalesced, 0);
	assert_int_equal(now.in_flight, 0);
	assert_int_equal(now.at_work, 0);
	assert_int_equal(now.most_in_flight, 10);
	assert_int_equal(reserved_of(&now), 0);
	assert_int_equal(total(&now), 10 - 2 - 1);
	assert_true(filemap_latency_quantile(now.latency, 1000000) >=
		    filemap_latency_quantile(now.latency, 1));
	assert_true(filemap_latency_quantile(now.latency, 1) > 0);
	filemap_queue_close(queue);
	filemap_close(map);
	filemap_close(cut);
}

static void the_most_in_flight_is_kept(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 7);
	struct filemap *map = open_map(dir, "a");
	struct filemap_queue_stats now;

	for (int round = 7; round > 0; round--) {
		for (int i = 0; i < round; i++)
			assert_ok(filemap_queue_flush(queue, map, 0, 0, NULL, NULL, NULL));
		for (int i = 0; i < round; i++)
			assert_int_equal(filemap_queue_wait(queue, FILEMAP_ANY, -1, NULL), 1);
		now = stats_of(queue);
		assert_int_equal(now.most_in_flight, 7);
		assert_int_equal(now.in_flight, 0);
	}
	assert_int_equal(now.queued, 28);
	assert_int_equal(now.finished, 28);
	assert_int_equal(total(&now), 28);
	assert_int_equal(now.device_flushes, 0);
	filemap_queue_close(queue);
	filemap_close(map);
}

static void count_inside(struct filemap_queue *queue, uint64_t ticket, int result, void *context)
{
	(void)ticket;
	(void)result;
	assert_ok(filemap_queue_stats(queue, context));
}

static void a_callback_reads_the_counters(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap_queue_stats seen;

	(void)dir;
	assert_ok(filemap_queue_barrier(queue, count_inside, &seen, NULL));
	assert_ok(filemap_queue_drain(queue));
	assert_int_equal(seen.queued, 1);
	assert_int_equal(seen.finished, 1);
	assert_int_equal(seen.in_flight, 0);
	filemap_queue_close(queue);
}

struct watch {
	struct filemap_queue *queue;
	int stop;       /* atomic */
	unsigned wrong; /* of the thread until it ends */
};

static void *watch(void *context)
{
	struct watch *watch = context;
	struct filemap_queue_stats now, before = {0};

	while (!__atomic_load_n(&watch->stop, __ATOMIC_ACQUIRE)) {
		watch->wrong += filemap_queue_stats(watch->queue, &now) != 0;
		watch->wrong += now.finished + now.in_flight != now.queued;
		watch->wrong += now.at_work > now.in_flight || now.in_flight > now.most_in_flight;
		watch->wrong += now.finished < before.finished || now.failed + now.cancelled > now.finished;
		before = now;
	}
	return NULL;
}

static void the_counters_agree_at_each_moment(struct t_dir *dir, const struct shape *shape)
{
	struct watch watched = {.queue = open_queue(shape, 0)};
	struct filemap *map = open_map(dir, "a");
	pthread_t thread;

	assert_ok(pthread_create(&thread, NULL, watch, &watched));
	for (int round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 8; i++)
			(void)flush_pages(watched.queue, map, i, 1);
		(void)filemap_queue_cancel(watched.queue, barrier(watched.queue));
		while (filemap_queue_wait(watched.queue, FILEMAP_ANY, -1, NULL) == 1)
			;
	}
	__atomic_store_n(&watched.stop, 1, __ATOMIC_RELEASE);
	assert_ok(pthread_join(thread, NULL));
	assert_int_equal(watched.wrong, 0);
	assert_int_equal(stats_of(watched.queue).queued, 180);
	filemap_queue_close(watched.queue);
	filemap_close(map);
}

static void what_is_not_wanted_may_be_null(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");

	assert_ok(filemap_queue_flush(queue, map, 0, 1, NULL, NULL, NULL));
	assert_ok(filemap_queue_flush_after(queue, map, 0, 1, 1, NULL, NULL, NULL));
	assert_ok(filemap_queue_sync(queue, map, NULL, NULL, NULL));
	assert_ok(filemap_queue_writeback(queue, map, 0, 1, NULL, NULL, NULL));
	assert_ok(filemap_queue_prefault(queue, map, FILEMAP_PREFAULT_READ, 0, 1, NULL, NULL, NULL));
	assert_ok(filemap_queue_commit(queue, map, 0, 1, 8, "h", 1, NULL, NULL, NULL));
	assert_ok(filemap_queue_sync_dir(queue, dir->fd, NULL, NULL, NULL));
	assert_ok(filemap_queue_barrier(queue, NULL, NULL, NULL));
	for (uint64_t ticket = 1; ticket <= 8; ticket++)
		assert_int_equal(filemap_queue_wait_error(queue, ticket, -1, NULL, NULL), 1);
	assert_ok(filemap_queue_resize(queue, map, 2 * SIZE, NULL, NULL, NULL));
	assert_int_equal(filemap_queue_wait(queue, FILEMAP_ANY, -1, NULL), 1);
	assert_ok(filemap_queue_remove(queue, map, NULL, NULL, NULL));
	assert_int_equal(filemap_queue_wait(queue, FILEMAP_ANY, -1, NULL), 1);
	filemap_queue_close(queue);
	filemap_queue_close(NULL);
	filemap_close(map);
}

/* ---- who may ---- */

struct family {
	const struct t_dir *dir;
	struct filemap_queue *queue;
	struct filemap *map, *pinned, *resized;
	uint64_t ticket;
};

/* How many of all functions do not answer so. */
static unsigned count_other_answers(const struct family *f, int expected)
{
	struct filemap_queue *queue = f->queue;
	struct filemap *map = f->map;
	struct filemap_queue_stats stats = {.queued = 77};
	struct filemap_error error = {.code = 77};
	struct filemap_completion done = {.ticket = 77};
	uint64_t ticket = 77;
	const int answers[] = {
		filemap_queue_flush(queue, map, 0, 1, NULL, NULL, &ticket),
		filemap_queue_flush_after(queue, map, 0, 1, f->ticket, NULL, NULL, &ticket),
		filemap_queue_commit(queue, map, 0, 1, 8, "h", 1, NULL, NULL, &ticket),
		filemap_queue_sync(queue, map, NULL, NULL, &ticket),
		filemap_queue_writeback(queue, map, 0, 1, NULL, NULL, &ticket),
		filemap_queue_prefault(queue, map, FILEMAP_PREFAULT_READ, 0, 1, NULL, NULL, &ticket),
		filemap_queue_resize(queue, map, PAGE, NULL, NULL, &ticket),
		filemap_queue_remove(queue, map, NULL, NULL, &ticket),
		filemap_queue_sync_dir(queue, f->dir->fd, NULL, NULL, &ticket),
		filemap_queue_barrier(queue, NULL, NULL, &ticket),
		filemap_queue_cancel(queue, f->ticket),
		filemap_queue_submit(queue),
		filemap_queue_poll(queue),
		filemap_queue_wait(queue, f->ticket, 0, &done),
		filemap_queue_wait(queue, FILEMAP_ANY, -1, &done),
		filemap_queue_wait_error(queue, f->ticket, -1, &done, &error),
		filemap_queue_error(queue, f->ticket, &error),
		filemap_queue_drain(queue),
		filemap_queue_eventfd(queue),
		filemap_queue_stats(queue, &stats),
	};
	unsigned others = 0;

	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
		if (answers[i] != expected)
			print_error("function %zu answered %d\n", i, answers[i]);
		others += answers[i] != expected;
	}
	others += ticket != 77 || done.ticket != 77 || error.code != 77 || stats.queued != 77;
	return others + (filemap_size(map) != SIZE);
}

static int use_as_child(void *context)
{
	const struct family *f = context;

	if (count_other_answers(f, FILEMAP_EFORKED) != 0)
		return 1;
	if (filemap_queue_backend(f->queue) == NULL)
		return 2;
	if (filemap_try_close(f->pinned) != FILEMAP_EBUSY)
		return 3;
	filemap_queue_close(f->queue);
	if (filemap_try_close(f->pinned) != 0) /* the child's pins were given back */
		return 4;
	if (filemap_try_close(f->resized) != 0)
		return 5;
	return filemap_try_close(f->map) != 0 ? 6 : 0;
}

static void a_forked_child_may_only_close(struct t_dir *dir, const struct shape *shape)
{
	struct family f = {
		dir, open_queue(shape, 0), open_map(dir, "a"), open_map(dir, "b"), open_map(dir, "c"), 0};
	uint64_t tickets[6];

	/* Queued, finished and unclaimed, and maybe at work. */
	assert_ok(filemap_queue_prefault(f.queue, f.pinned, FILEMAP_PREFAULT_READ, 0, SIZE, NULL, NULL,
					 &tickets[0]));
	assert_ok(filemap_queue_drain(f.queue));
	assert_ok(filemap_queue_commit(f.queue, f.pinned, 0, 1, 8, "h", 1, NULL, NULL, &tickets[1]));
	assert_ok(filemap_queue_sync_dir(f.queue, dir->fd, NULL, NULL, &tickets[2]));
	tickets[3] = flush(f.queue, f.map, NULL, NULL);
	assert_ok(filemap_queue_submit(f.queue));
	assert_ok(filemap_queue_resize(f.queue, f.resized, 2 * SIZE, NULL, NULL, &tickets[4]));
	assert_ok(filemap_queue_commit(f.queue, f.map, 0, 1, 8, "h", 1, NULL, NULL, &tickets[5]));
	f.ticket = tickets[3];
	assert_int_equal(t_in_child(use_as_child, &f), 0);
	for (int i = 0; i < 6; i++)
		assert_int_equal(result_of(f.queue, tickets[i]), 0);
	assert_int_equal(filemap_size(f.resized), 2 * SIZE);
	assert_int_equal(stats_of(f.queue).queued, 6);
	assert_ok(filemap_try_close(f.pinned));
	assert_ok(filemap_try_close(f.resized));
	assert_ok(filemap_try_close(f.map));
	filemap_queue_close(f.queue);
}

static int close_as_child(void *context)
{
	const struct family *f = context;

	filemap_queue_close(f->queue);
	return filemap_try_close(f->pinned) != 0;
}

static void a_removal_in_flight_is_the_parents(struct t_dir *dir, const struct shape *shape)
{
	struct family f = {.queue = open_queue(shape, 0), .pinned = open_map(dir, "a")};

	assert_ok(filemap_queue_remove(f.queue, f.pinned, NULL, NULL, &f.ticket));
	assert_int_equal(t_in_child(close_as_child, &f), 0);
	assert_int_equal(t_file_size(t_path(dir, "a")), SIZE);
	assert_int_equal(result_of(f.queue, f.ticket), 0);
	assert_int_equal(t_file_size(t_path(dir, "a")), -1);
	assert_ok(filemap_try_close(f.pinned));
	filemap_queue_close(f.queue);
}

static void *use_from_elsewhere(void *context)
{
	struct family *f = context;
	const unsigned wrong = count_other_answers(f, FILEMAP_EMODE);

	filemap_queue_close(f->queue); /* ignored */
	f->ticket = wrong;
	return NULL;
}

static void any_function_is_emode_on_another_thread(struct t_dir *dir, const struct shape *shape)
{
	struct family f = {.dir = dir, .queue = open_queue(shape, 0), .map = open_map(dir, "a")};
	uint64_t ticket = flush(f.queue, f.map, NULL, NULL);
	pthread_t thread;

	f.ticket = ticket;
	assert_ok(pthread_create(&thread, NULL, use_from_elsewhere, &f));
	assert_ok(pthread_join(thread, NULL));
	assert_int_equal(f.ticket, 0);
	assert_int_equal(stats_of(f.queue).queued, 1);
	assert_int_equal(result_of(f.queue, ticket), 0);
	assert_ok(filemap_try_close(f.map));
	filemap_queue_close(f.queue);
}

/* ---- the cases ---- */

#define CASES(X)                            \
	X(a_fresh_queue_has_done_nothing)   \
	X(each_counter_counts_what_it_says) \
	X(the_most_in_flight_is_kept)       \
	X(a_callback_reads_the_counters)    \
	X(what_is_not_wanted_may_be_null)   \
	X(a_forked_child_may_only_close)    \
	X(a_removal_in_flight_is_the_parents)

CASES(ON_ALL)
ON_SHARED(the_counters_agree_at_each_moment)
ON_ONE(any_function_is_emode_on_another_thread)
#define ENTRY(test) ENTRIES_ALL(test),

T_MAIN(CASES(ENTRY) ENTRIES_SHARED(the_counters_agree_at_each_moment),
       ENTRIES_ONE(any_function_is_emode_on_another_thread))
