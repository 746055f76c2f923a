/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The shapes of a queue, and how a case is written once and runs on each of them: they may differ in nothing but
 * the backend's name. Where io_uring is forbidden its shapes are skipped, and AUTO has to do as threads.
 */
#ifndef OS_QUEUE_SHAPES_H
#define OS_QUEUE_SHAPES_H

#include "t.h"

#include <sys/statfs.h>

#include <errno.h>
#include <pthread.h>

#include <filemap/queue.h>

#include "sys/ring.h"

#define PAGE ((size_t)65536) /* whole pages, however long they are here */
#define PAGES 8
#define SIZE (PAGES * PAGE)

struct shape {
	uint32_t backend, flags;
	const char *name;
};

static const struct shape threads = {FILEMAP_QUEUE_THREADS, 0, "threads"};
static const struct shape threads_one = {FILEMAP_QUEUE_THREADS, FILEMAP_QUEUE_ONE_THREAD, "threads"};
static const struct shape uring_one = {FILEMAP_QUEUE_URING, FILEMAP_QUEUE_ONE_THREAD, "io_uring"};
static const struct shape uring_shared = {FILEMAP_QUEUE_URING, 0, "io_uring"};

static inline bool under_valgrind(void)
{
	const char *preloaded = getenv("LD_PRELOAD");

	return preloaded != NULL && strstr(preloaded, "vgpreload") != NULL;
}

static inline void need(const struct shape *shape)
{
	static char reason[128];
	struct fm__ring *ring;
	int r;

	if (shape->backend != FILEMAP_QUEUE_URING)
		return;
	if (shape == &uring_shared && under_valgrind())
		t_skip("valgrind stops all threads while one waits in io_uring_enter");
	r = fm__ring_open(4, &ring);
	if (r == 0) {
		fm__ring_close(ring);
		return;
	}
	snprintf(reason, sizeof reason, "io_uring is not usable here: %s", filemap_strerror(r));
	t_skip(reason);
}

/* In memory there is nothing to flush: the queue does not even begin with it. */
static inline void need_device(const struct t_dir *dir)
{
	struct statfs system;

	assert_int_equal(statfs(t_path(dir, "."), &system), 0);
	if (system.f_type == 0x01021994)
		t_skip("the test's directory is on tmpfs");
}

/* Forbidding io_uring is what AUTO is for. */
static inline uint32_t backend_of(const struct shape *shape)
{
	return shape == &threads_one && t_forbids_uring() ? FILEMAP_QUEUE_AUTO : shape->backend;
}

static inline struct filemap_queue *open_queue_with(const struct shape *shape, uint32_t depth,
						    uint32_t workers)
{
	struct filemap_queue *queue;

	need(shape);
	assert_ok(
		filemap_queue_open(FILEMAP_QUEUE_OPTIONS(.backend = backend_of(shape), .flags = shape->flags,
							 .depth = depth, .workers = workers),
				   &queue, NULL));
	assert_string_equal(filemap_queue_backend(queue), shape->name);
	return queue;
}

static inline struct filemap_queue *open_queue(const struct shape *shape, uint32_t depth)
{
	return open_queue_with(shape, depth, 0);
}

static inline struct filemap *open_map(const struct t_dir *dir, const char *name)
{
	struct filemap *map;

	assert_ok(filemap_open(t_path(dir, name), FILEMAP_WRITE,
			       FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = SIZE), &map, NULL));
	memset(filemap_data_mut(map), 'x', SIZE);
	return map;
}

static inline bool all_are(const struct filemap *map, size_t offset, size_t length, char byte)
{
	const char *at = filemap_data(map);

	return length == 0 || (at[offset] == byte && memcmp(at + offset, at + offset + 1, length - 1) == 0);
}

static inline uint64_t flush_pages(struct filemap_queue *queue, struct filemap *map, unsigned page,
				   unsigned pages)
{
	uint64_t ticket = 0;

	assert_ok(filemap_queue_flush(queue, map, page * PAGE, pages * PAGE, NULL, NULL, &ticket));
	return ticket;
}

static inline uint64_t flush(struct filemap_queue *queue, struct filemap *map, filemap_completed *completed,
			     void *context)
{
	uint64_t ticket = 0;

	assert_ok(filemap_queue_flush(queue, map, 0, FILEMAP_TO_END, completed, context, &ticket));
	return ticket;
}

static inline uint64_t barrier(struct filemap_queue *queue)
{
	uint64_t ticket = 0;

	assert_ok(filemap_queue_barrier(queue, NULL, NULL, &ticket));
	return ticket;
}

/* Ends it; the record is as the result says. */
static inline int result_with(struct filemap_queue *queue, uint64_t ticket, struct filemap_error *error)
{
	struct filemap_completion done;

	memset(error, 0, sizeof *error);
	assert_int_equal(filemap_queue_wait_error(queue, ticket, -1, &done, error), 1);
	assert_int_equal(done.ticket, ticket);
	assert_int_equal(done.sys_errno, done.result < 0 && done.result > -4096 ? -done.result : 0);
	assert_int_equal(error->code, done.result < 0 ? done.result : 0);
	assert_true(done.result >= 0 || error->step != NULL);
	return done.result;
}

static inline int result_of(struct filemap_queue *queue, uint64_t ticket)
{
	struct filemap_error error;

	return result_with(queue, ticket, &error);
}

static inline void assert_errors_equal(const struct filemap_error *a, const struct filemap_error *b)
{
	assert_int_equal(a->code, b->code);
	assert_int_equal(a->sys_errno, b->sys_errno);
	assert_string_equal(a->step ? a->step : "", b->step ? b->step : "");
	assert_string_equal(a->subject ? a->subject : "", b->subject ? b->subject : "");
	assert_string_equal(a->hint ? a->hint : "", b->hint ? b->hint : "");
	assert_string_equal(a->detail, b->detail);
	assert_int_equal(a->offset, b->offset);
	assert_int_equal(a->length, b->length);
}

static inline struct filemap_queue_stats stats_of(struct filemap_queue *queue)
{
	struct filemap_queue_stats stats;

	memset(&stats, 0xFF, sizeof stats);
	assert_ok(filemap_queue_stats(queue, &stats));
	return stats;
}

/* What a callback was told. `order` counts all that have run. */
struct seen {
	int calls, result, order;
	uint64_t ticket;
	pthread_t thread;
};

static int callbacks_run;

static inline void note(struct filemap_queue *queue, uint64_t ticket, int result, void *context)
{
	struct seen *seen = context;

	(void)queue;
	seen->calls++;
	seen->result = result;
	seen->order = ++callbacks_run;
	seen->ticket = ticket;
	seen->thread = pthread_self();
}

/* ---- the table of shapes ---- */

#define ON(test, shape)                             \
	static void test##_on_##shape(void **state) \
	{                                           \
		test(*state, &shape);               \
	}
#define ON_ALL(test) ON(test, threads) ON(test, threads_one) ON(test, uring_one) ON(test, uring_shared)
#define ON_SHARED(test) ON(test, threads) ON(test, uring_shared)
#define ON_ONE(test) ON(test, threads_one) ON(test, uring_one)

#define ENTRIES_ALL(test)                                                                      \
	T_TEST(test##_on_threads), T_TEST(test##_on_threads_one), T_TEST(test##_on_uring_one), \
		T_TEST(test##_on_uring_shared)
#define ENTRIES_SHARED(test) T_TEST(test##_on_threads), T_TEST(test##_on_uring_shared)
#define ENTRIES_ONE(test) T_TEST(test##_on_threads_one), T_TEST(test##_on_uring_one)

#endif
