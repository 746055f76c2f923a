/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Many threads on one queue, everything at once: flushes with and without callbacks, maps closed in
 * flight, polls, waits for named tickets and for any. Counted, not timed: at the end each request
 * that was accepted has ended exactly once, and nothing is left.
 */
#include "t.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <filemap/queue.h>

#include "sys/ring.h"

#define THREADS 8
#define ROUNDS 150
#define DEPTH 32
#define SIZE ((size_t)16384)

struct storm {
	const struct t_dir *dir;
	struct filemap_queue *queue;
	struct filemap *common;
	unsigned accepted, called, failures; /* atomic, as the two below */
	unsigned called_of[THREADS * ROUNDS + 1], claimed_of[THREADS * ROUNDS + 1]; /* by ticket */
	int with_callback[THREADS * ROUNDS + 1]; /* by ticket; its own thread's */
};

struct rider {
	struct storm *storm;
	unsigned number, random;
};

static void add(unsigned *counter)
{
	__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

static unsigned next_random(struct rider *rider)
{
	rider->random = rider->random * 1664525u + 1013904223u;
	return rider->random >> 16;
}

static void called(struct filemap_queue *queue, uint64_t ticket, int result, void *context)
{
	struct storm *storm = context;

	(void)queue;
	add(&storm->called);
	add(&storm->called_of[ticket]);
	if (result != 0)
		add(&storm->failures);
}

static void claim(struct storm *storm, uint64_t ticket, int timeout_ms)
{
	struct filemap_completion done;
	int r = filemap_queue_wait(storm->queue, ticket, timeout_ms, &done);

	if (r == 1 && done.result != 0)
		add(&storm->failures);
	if (r == 1)
		add(&storm->claimed_of[done.ticket]);
	if (r < 0 && r != -ENOENT)
		add(&storm->failures);
}

static uint64_t flush(struct rider *rider, struct filemap *map, int with_callback)
{
	struct storm *storm = rider->storm;
	uint64_t ticket;
	int r;

	while ((r = filemap_queue_flush(storm->queue, map, 0, FILEMAP_TO_END, with_callback ? called : NULL,
					storm, &ticket)) == FILEMAP_EBUSY) {
		(void)filemap_queue_poll(storm->queue);
		claim(storm, FILEMAP_ANY, 1);
	}
	if (r < 0) {
		add(&storm->failures);
		return 0;
	}
	add(&storm->accepted);
	storm->with_callback[ticket] = with_callback;
	return ticket;
}

static void flush_short_lived_map(struct rider *rider)
{
	char name[300];
	struct filemap *map;

	snprintf(name, sizeof name, "%s/r%u", rider->storm->dir->path, rider->number);
	if (filemap_open(name, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = SIZE), &map,
			 NULL) != 0) {
		add(&rider->storm->failures);
		return;
	}
	memset(filemap_data_mut(map), (int)rider->number, SIZE);
	(void)flush(rider, map, 1);
	(void)filemap_queue_submit(rider->storm->queue);
	filemap_close(map);
	/* The lock belongs to the open file, which the request keeps: the next round may have to
	 * wait. */
	(void)filemap_queue_drain(rider->storm->queue);
}

static void *ride(void *context)
{
	struct rider *rider = context;
	struct storm *storm = rider->storm;

	for (int i = 0; i < ROUNDS; i++) {
		switch (next_random(rider) % 6) {
		case 0:
			flush_short_lived_map(rider);
			break;
		case 1:
			(void)flush(rider, storm->common, 1);
			break;
		case 2:
			claim(storm, flush(rider, storm->common, 0), -1);
			break;
		case 3:
			(void)flush(rider, storm->common, 0);
			(void)filemap_queue_submit(storm->queue);
			break;
		case 4:
			(void)filemap_queue_poll(storm->queue);
			break;
		default:
			claim(storm, FILEMAP_ANY, (int)(next_random(rider) % 2));
			break;
		}
	}
	return NULL;
}

static void run_storm(struct storm *storm)
{
	pthread_t threads[THREADS];
	struct rider riders[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		riders[i] = (struct rider){storm, i, i * 7919 + 1};
		assert_ok(pthread_create(&threads[i], NULL, ride, &riders[i]));
	}
	for (unsigned i = 0; i < THREADS; i++)
		assert_ok(pthread_join(threads[i], NULL));
}

static void each_request_of_a_storm_ends_once(const struct t_dir *dir, uint32_t backend)
{
	static struct storm storm;

	memset(&storm, 0, sizeof storm);
	storm.dir = dir;
	assert_ok(filemap_queue_open(FILEMAP_QUEUE_OPTIONS(.backend = backend, .depth = DEPTH), &storm.queue,
				     NULL));
	assert_ok(filemap_open(t_path(dir, "common"), FILEMAP_WRITE,
			       FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = SIZE), &storm.common, NULL));
	run_storm(&storm);
	assert_ok(filemap_queue_drain(storm.queue));
	for (int i = 0; i < DEPTH; i++)
		claim(&storm, FILEMAP_ANY, -1);
	assert_int_equal(storm.failures, 0);
	assert_true(storm.accepted > THREADS);
	for (unsigned ticket = 1; ticket <= storm.accepted; ticket++) {
		assert_int_equal(storm.called_of[ticket], storm.with_callback[ticket]);
		if (!storm.with_callback[ticket])
			assert_int_equal(storm.claimed_of[ticket], 1);
	}
	assert_int_equal(filemap_queue_wait(storm.queue, FILEMAP_ANY, 0, NULL), -ENOENT);
	filemap_queue_close(storm.queue);
	filemap_close(storm.common);
}

static void each_request_of_a_storm_ends_once_on_threads(void **state)
{
	each_request_of_a_storm_ends_once(*state, FILEMAP_QUEUE_THREADS);
}

static void each_request_of_a_storm_ends_once_on_uring_shared(void **state)
{
	struct fm__ring *ring;
	int r = fm__ring_open(4, &ring);

	if (r < 0) {
		t_skip(filemap_strerror(r));
		return;
	}
	fm__ring_close(ring);
	each_request_of_a_storm_ends_once(*state, FILEMAP_QUEUE_URING);
}

static void one_thread_ends_a_thousand_at_depth_4096(void **state)
{
	struct filemap_queue *queue;
	struct filemap *map;
	int calls = 0;
	static struct storm storm;

	assert_ok(filemap_queue_open(FILEMAP_QUEUE_OPTIONS(.flags = FILEMAP_QUEUE_ONE_THREAD, .depth = 4096),
				     &queue, NULL));
	assert_ok(filemap_open(t_path(*state, "a"), FILEMAP_WRITE,
			       FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = SIZE), &map, NULL));
	for (int i = 0; i < 1000; i++)
		assert_ok(filemap_queue_flush(queue, map, 0, 1, called, &storm, NULL));
	while (calls < 1000) {
		int r = filemap_queue_poll(queue);
		assert_true(r >= 0);
		calls += r;
		sched_yield();
	}
	assert_int_equal(storm.called, 1000);
	assert_int_equal(storm.failures, 0);
	filemap_queue_close(queue);
	filemap_close(map);
}

T_MAIN(T_TEST(each_request_of_a_storm_ends_once_on_threads),
       T_TEST(each_request_of_a_storm_ends_once_on_uring_shared),
       T_TEST(one_thread_ends_a_thousand_at_depth_4096))
