/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A stage for queues on a kernel that refuses, fails and takes its time: one test program, one queue at a time.
 *
 * A program that includes this stands in front of the ring (every call of the queue to it) and of
 * fm__map_flush_note(), which each flush of the device passes on the thread that learns of its end; and no file lies in memory. A closed gate holds
 * requests in flight: the library's threads at that point, the ring of a ONE_THREAD queue before
 * its entries reach the kernel.
 */
#ifndef T_QUEUE_STAGE_H
#define T_QUEUE_STAGE_H

#include "fault.h"
#include "t.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "queue/queue.h"
#include "sys/ring.h"
#include "sys/sys.h"

#define SIZE ((size_t)262144)

struct shape {
	uint32_t backend, flags;
};

static const struct filemap_queue_options one_thread = {.struct_size = sizeof one_thread,
							.flags = FILEMAP_QUEUE_ONE_THREAD};
static const struct shape threads = {FILEMAP_QUEUE_THREADS, 0};
static const struct shape uring_one = {FILEMAP_QUEUE_URING, FILEMAP_QUEUE_ONE_THREAD};
static const struct shape uring_shared = {FILEMAP_QUEUE_URING, 0};

/* ---- in front of the ring ---- */

#define IN_FRONT_OF(name, ...)          \
	int __real_##name(__VA_ARGS__); \
	int __wrap_##name(__VA_ARGS__);

IN_FRONT_OF(fm__ring_open, unsigned entries, struct fm__ring **ret)
IN_FRONT_OF(fm__ring_push, struct fm__ring *ring, const struct fm__call *call, uint64_t data)
IN_FRONT_OF(fm__ring_push_poll, struct fm__ring *ring, int fd, uint64_t data)
IN_FRONT_OF(fm__ring_submit, struct fm__ring *ring)
IN_FRONT_OF(fm__ring_wait, struct fm__ring *ring, int timeout_ms)
IN_FRONT_OF(fm__ring_reap, struct fm__ring *ring, struct fm__ring_completion *to, unsigned count)
IN_FRONT_OF(fm__ring_register_eventfd, struct fm__ring *ring, int eventfd)
void __real_fm__map_flush_note(const struct fm__flush *flush, int result);
void __wrap_fm__map_flush_note(const struct fm__flush *flush, int result);
IN_FRONT_OF(fm__map_flush_begin, struct filemap *map, size_t offset, size_t length, struct fm__flush *ret)
IN_FRONT_OF(fm__map_sync_begin, struct filemap *map, struct fm__flush *ret)
IN_FRONT_OF(fm__map_writeback_begin, struct filemap *map, size_t offset, size_t length, struct fm__flush *ret)

#define HELD 8

static struct {
	int open_error, register_error, submit_error, wait_error; /* negative: answered instead */
	int full;                                                 /* so many pushes find no entry */
	int one_at_a_time;            /* the second push finds none before the first one is spoilt */
	int reaped_nth, reaped_error; /* the nth completion fails, */
	int reaped_more;              /* and so many behind it */
	int undo_first;               /* the next completion comes back undone */
	int refused_once_spoilt;      /* no submission is taken after that */

	uint64_t offsets[HELD], lengths[HELD];
	int pushes;

	struct piece {
		struct fm__call call;
		uint64_t data;
	} held[HELD]; /* pushed while the gate before the kernel was closed */
	int held_count, hold;
} ring_plan;

static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_moved = PTHREAD_COND_INITIALIZER;
static int gate_closed, gate_waiting, gate_passed;
static ino_t flushed_inode;

/* Of plans that are made while a library thread runs. */
static inline void plan(int *field, int value)
{
	__atomic_store_n(field, value, __ATOMIC_RELEASE);
}

static inline int planned(const int *field)
{
	return __atomic_load_n(field, __ATOMIC_ACQUIRE);
}

static inline bool counted_down(int *field)
{
	return planned(field) > 0 && __atomic_sub_fetch(field, 1, __ATOMIC_ACQ_REL) == 0;
}

int __wrap_fm__ring_open(unsigned entries, struct fm__ring **ret)
{
	return ring_plan.open_error < 0 ? ring_plan.open_error : __real_fm__ring_open(entries, ret);
}

int __wrap_fm__ring_register_eventfd(struct fm__ring *ring, int eventfd)
{
	return ring_plan.register_error < 0 ? ring_plan.register_error
					    : __real_fm__ring_register_eventfd(ring, eventfd);
}

int __wrap_fm__ring_push(struct fm__ring *ring, const struct fm__call *call, uint64_t data)
{
	if (ring_plan.one_at_a_time && ring_plan.pushes == 1 && planned(&ring_plan.reaped_nth) > 0)
		return -EBUSY;
	if (ring_plan.full > 0) {
		ring_plan.full--;
		return -EBUSY;
	}
	if (ring_plan.pushes < HELD) {
		ring_plan.offsets[ring_plan.pushes] = call->offset;
		ring_plan.lengths[ring_plan.pushes] = call->length;
	}
	ring_plan.pushes++;
	if (!ring_plan.hold)
		return __real_fm__ring_push(ring, call, data);
	ring_plan.held[ring_plan.held_count++] = (struct piece){*call, data};
	return 0;
}

static inline void let_through(struct fm__ring *ring)
{
	if (ring_plan.hold)
		return;
	for (int i = 0; i < ring_plan.held_count; i++)
		(void)__real_fm__ring_push(ring, &ring_plan.held[i].call, ring_plan.held[i].data);
	ring_plan.held_count = 0;
}

int __wrap_fm__ring_push_poll(struct fm__ring *ring, int fd, uint64_t data)
{
	return __real_fm__ring_push_poll(ring, fd, data);
}

int __wrap_fm__ring_submit(struct fm__ring *ring)
{
	int r;

	let_through(ring);
	if (ring_plan.refused_once_spoilt && planned(&ring_plan.reaped_nth) == 0)
		return -EPERM;
	r = planned(&ring_plan.submit_error);
	return r < 0 ? r : __real_fm__ring_submit(ring);
}

int __wrap_fm__ring_wait(struct fm__ring *ring, int timeout_ms)
{
	int r;

	let_through(ring);
	/* An idle ring's thread may wait already: the plan is for a wait with requests. */
	r = ring_plan.pushes > 0 ? planned(&ring_plan.wait_error) : 0;
	return r < 0 ? r : __real_fm__ring_wait(ring, timeout_ms);
}

static inline void spoil(struct fm__ring_completion *completion)
{
	if (counted_down(&ring_plan.undo_first))
		completion->result = -ECANCELED;
	if (!counted_down(&ring_plan.reaped_nth))
		return;
	completion->result = planned(&ring_plan.reaped_error);
	if (planned(&ring_plan.reaped_more) == 0)
		return;
	plan(&ring_plan.reaped_nth, 1);
	plan(&ring_plan.reaped_more, planned(&ring_plan.reaped_more) - 1);
}

int __wrap_fm__ring_reap(struct fm__ring *ring, struct fm__ring_completion *to, unsigned count)
{
	int reaped = __real_fm__ring_reap(ring, to, count);
	for (int i = 0; i < reaped; i++)
		if (to[i].user_data != 0)
			spoil(&to[i]);
	return reaped;
}

void __wrap_fm__map_flush_note(const struct fm__flush *flush, int result)
{
	struct stat st;

	pthread_mutex_lock(&gate_lock);
	gate_waiting++;
	pthread_cond_broadcast(&gate_moved);
	while (gate_closed)
		pthread_cond_wait(&gate_moved, &gate_lock);
	gate_waiting--;
	gate_passed++;
	if (fstat(flush->fd, &st) == 0) /* not the seam's: that is counted */
		flushed_inode = st.st_ino;
	pthread_mutex_unlock(&gate_lock);
	__real_fm__map_flush_note(flush, result);
}

/* The test's directory may lie in memory; what is tested here is what goes to a device. */
static inline int with_device(struct fm__flush *flush, int r)
{
	if (r == 0)
		flush->is_memory = 0;
	return r;
}

int __wrap_fm__map_flush_begin(struct filemap *map, size_t offset, size_t length, struct fm__flush *ret)
{
	return with_device(ret, __real_fm__map_flush_begin(map, offset, length, ret));
}

int __wrap_fm__map_sync_begin(struct filemap *map, struct fm__flush *ret)
{
	return with_device(ret, __real_fm__map_sync_begin(map, ret));
}

int __wrap_fm__map_writeback_begin(struct filemap *map, size_t offset, size_t length, struct fm__flush *ret)
{
	return with_device(ret, __real_fm__map_writeback_begin(map, offset, length, ret));
}

/* ---- fixtures ---- */

static inline void start(void)
{
	fault_reset();
	memset(&ring_plan, 0, sizeof ring_plan);
	gate_closed = gate_passed = 0;
	flushed_inode = 0;
}

static inline bool under_valgrind(void)
{
	const char *preloaded = getenv("LD_PRELOAD");

	return preloaded != NULL && strstr(preloaded, "vgpreload") != NULL;
}

static inline void need_ring(const struct shape *shape)
{
	static char reason[128];
	struct fm__ring *ring;
	int r;

	if (shape == &uring_shared && under_valgrind())
		t_skip("valgrind stops all threads while one waits in io_uring_enter");
	r = __real_fm__ring_open(4, &ring);

	if (r == 0) {
		fm__ring_close(ring);
		return;
	}
	snprintf(reason, sizeof reason, "io_uring is not usable here: %s", filemap_strerror(r));
	t_skip(reason);
}

static inline int open_shape(const struct shape *shape, struct filemap_queue **ret_queue,
			     struct filemap_error *error)
{
	const struct filemap_queue_options options = {
		.struct_size = sizeof options, .backend = shape->backend, .flags = shape->flags};

	return filemap_queue_open(&options, ret_queue, error);
}

static inline struct filemap_queue *open_queue(const struct shape *shape)
{
	struct filemap_queue *queue;

	if (shape->backend == FILEMAP_QUEUE_URING)
		need_ring(
			shape); /* before the start: the first opening of a process tries a flush, which is counted */
	start();
	assert_ok(open_shape(shape, &queue, NULL));
	return queue;
}

static inline struct filemap *open_map(const struct t_dir *dir, const char *name)
{
	struct filemap *map;

	assert_ok(filemap_open(t_path(dir, name), FILEMAP_WRITE,
			       FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = SIZE), &map, NULL));
	memset(filemap_data_mut(map), 'x', SIZE);
	return map;
}

static inline uint64_t flush(struct filemap_queue *queue, struct filemap *map)
{
	uint64_t ticket = 0;

	assert_ok(filemap_queue_flush(queue, map, 0, FILEMAP_TO_END, NULL, NULL, &ticket));
	return ticket;
}

#define APART 32 /* so many flushes of one map touch each other nowhere: every second page of it */

static inline uint64_t flush_apart(struct filemap_queue *queue, struct filemap *map, int nth)
{
	const size_t step = SIZE / APART;
	uint64_t ticket = 0;

	assert_ok(filemap_queue_flush(queue, map, (size_t)nth * step, step / 2, NULL, NULL, &ticket));
	return ticket;
}

static inline void finish(struct filemap_queue *queue, struct filemap *map)
{
	filemap_queue_close(queue);
	filemap_close(map);
}

static inline int result_of(struct filemap_queue *queue, uint64_t ticket)
{
	struct filemap_completion done;

	assert_int_equal(filemap_queue_wait(queue, ticket, -1, &done), 1);
	assert_int_equal(done.ticket, ticket);
	assert_int_equal(done.sys_errno, done.result < 0 && done.result > -4096 ? -done.result : 0);
	return done.result;
}

static inline void close_gate(const struct shape *shape)
{
	if (shape == &uring_one) {
		ring_plan.hold = 1;
		return;
	}
	pthread_mutex_lock(&gate_lock);
	gate_closed = 1;
	pthread_mutex_unlock(&gate_lock);
}

static inline void open_gate(void)
{
	if (ring_plan.hold) /* not written while a library thread may read it */
		ring_plan.hold = 0;
	pthread_mutex_lock(&gate_lock);
	gate_closed = 0;
	pthread_cond_broadcast(&gate_moved);
	pthread_mutex_unlock(&gate_lock);
}

/* ---- the table of shapes ---- */

#define ON(test, shape)                             \
	static void test##_on_##shape(void **state) \
	{                                           \
		test(*state, &shape);               \
	}
#define ON_ALL(test) ON(test, threads) ON(test, uring_one) ON(test, uring_shared)
#define ON_SHARED(test) ON(test, threads) ON(test, uring_shared)
#define ON_URING(test) ON(test, uring_one) ON(test, uring_shared)

#define ENTRIES_ALL(test) \
	T_TEST(test##_on_threads), T_TEST(test##_on_uring_one), T_TEST(test##_on_uring_shared)
#define ENTRIES_SHARED(test) T_TEST(test##_on_threads), T_TEST(test##_on_uring_shared)
#define ENTRIES_URING(test) T_TEST(test##_on_uring_one), T_TEST(test##_on_uring_shared)

#endif
