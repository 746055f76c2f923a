/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Queues on a kernel that refuses, fails and takes its time.
 *
 * This program stands in front of the ring (every call of the queue to it) and of
 * fm__map_flush_end(), the point each flush passes before its ticket is done. A closed gate holds
 * requests in flight: the library's threads at that point, the ring of a ONE_THREAD queue before
 * its entries reach the kernel.
 */
#include "fault.h"
#include "t.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

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
IN_FRONT_OF(fm__ring_push_flush, struct fm__ring *ring, int fd, uint64_t offset, uint64_t length,
	    uint64_t data)
IN_FRONT_OF(fm__ring_push_poll, struct fm__ring *ring, int fd, uint64_t data)
IN_FRONT_OF(fm__ring_submit, struct fm__ring *ring)
IN_FRONT_OF(fm__ring_wait, struct fm__ring *ring, int timeout_ms)
IN_FRONT_OF(fm__ring_reap, struct fm__ring *ring, struct fm__ring_completion *to, unsigned count)
IN_FRONT_OF(fm__ring_register_eventfd, struct fm__ring *ring, int eventfd)
IN_FRONT_OF(fm__map_flush_end, struct fm__flush *flush, int result)

#define HELD 8

static struct {
	int open_error, register_error, submit_error, wait_error; /* negative: answered instead */
	int full;                                                 /* so many pushes find no entry */
	int reaped_nth, reaped_error;                             /* the nth completion fails */

	uint64_t offsets[HELD], lengths[HELD];
	int pushes;

	struct piece {
		int fd;
		uint64_t offset, length, data;
	} held[HELD]; /* pushed while the gate before the kernel was closed */
	int held_count, hold;
} ring_plan;

static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_moved = PTHREAD_COND_INITIALIZER;
static int gate_closed, gate_waiting, gate_passed;
static ino_t flushed_inode;

/* Of plans that are made while a library thread runs. */
static void plan(int *field, int value)
{
	__atomic_store_n(field, value, __ATOMIC_RELEASE);
}

static int planned(const int *field)
{
	return __atomic_load_n(field, __ATOMIC_ACQUIRE);
}

static bool counted_down(int *field)
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

int __wrap_fm__ring_push_flush(struct fm__ring *ring, int fd, uint64_t offset, uint64_t length, uint64_t data)
{
	if (ring_plan.full > 0) {
		ring_plan.full--;
		return -EBUSY;
	}
	if (ring_plan.pushes < HELD) {
		ring_plan.offsets[ring_plan.pushes] = offset;
		ring_plan.lengths[ring_plan.pushes] = length;
	}
	ring_plan.pushes++;
	if (!ring_plan.hold)
		return __real_fm__ring_push_flush(ring, fd, offset, length, data);
	ring_plan.held[ring_plan.held_count++] = (struct piece){fd, offset, length, data};
	return 0;
}

static void let_through(struct fm__ring *ring)
{
	if (ring_plan.hold)
		return;
	for (int i = 0; i < ring_plan.held_count; i++)
		(void)__real_fm__ring_push_flush(ring, ring_plan.held[i].fd, ring_plan.held[i].offset,
						 ring_plan.held[i].length, ring_plan.held[i].data);
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

int __wrap_fm__ring_reap(struct fm__ring *ring, struct fm__ring_completion *to, unsigned count)
{
	int reaped = __real_fm__ring_reap(ring, to, count);
	for (int i = 0; i < reaped; i++)
		if (to[i].user_data != 0 && counted_down(&ring_plan.reaped_nth))
			to[i].result = planned(&ring_plan.reaped_error);
	return reaped;
}

int __wrap_fm__map_flush_end(struct fm__flush *flush, int result)
{
	struct stat st;

	pthread_mutex_lock(&gate_lock);
	gate_waiting++;
	pthread_cond_broadcast(&gate_moved);
	while (gate_closed)
		pthread_cond_wait(&gate_moved, &gate_lock);
	gate_waiting--;
	gate_passed++;
	if (fm__sys_fstat(flush->fd, &st) == 0)
		flushed_inode = st.st_ino;
	pthread_mutex_unlock(&gate_lock);
	return __real_fm__map_flush_end(flush, result);
}

/* ---- fixtures ---- */

static void start(void)
{
	fault_reset();
	memset(&ring_plan, 0, sizeof ring_plan);
	gate_closed = gate_passed = 0;
	flushed_inode = 0;
}

static void need_ring(void)
{
	static char reason[128];
	struct fm__ring *ring;
	int r = __real_fm__ring_open(4, &ring);

	if (r == 0) {
		fm__ring_close(ring);
		return;
	}
	snprintf(reason, sizeof reason, "io_uring is not usable here: %s", filemap_strerror(r));
	t_skip(reason);
}

static int open_shape(const struct shape *shape, struct filemap_queue **ret_queue,
		      struct filemap_error *error)
{
	const struct filemap_queue_options options = {
		.struct_size = sizeof options, .backend = shape->backend, .flags = shape->flags};

	return filemap_queue_open(&options, ret_queue, error);
}

static struct filemap_queue *open_queue(const struct shape *shape)
{
	struct filemap_queue *queue;

	start();
	if (shape->backend == FILEMAP_QUEUE_URING)
		need_ring();
	assert_ok(open_shape(shape, &queue, NULL));
	return queue;
}

static struct filemap *open_map(const struct t_dir *dir, const char *name)
{
	struct filemap *map;

	assert_ok(filemap_open(t_path(dir, name), FILEMAP_WRITE,
			       FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = SIZE), &map, NULL));
	memset(filemap_data_mut(map), 'x', SIZE);
	return map;
}

static uint64_t flush(struct filemap_queue *queue, struct filemap *map)
{
	uint64_t ticket = 0;

	assert_ok(filemap_queue_flush(queue, map, 0, FILEMAP_TO_END, NULL, NULL, &ticket));
	return ticket;
}

static void finish(struct filemap_queue *queue, struct filemap *map)
{
	filemap_queue_close(queue);
	filemap_close(map);
}

static int result_of(struct filemap_queue *queue, uint64_t ticket)
{
	struct filemap_completion done;

	assert_int_equal(filemap_queue_wait(queue, ticket, -1, &done), 1);
	assert_int_equal(done.ticket, ticket);
	assert_int_equal(done.sys_errno, done.result < 0 && done.result > -4096 ? -done.result : 0);
	return done.result;
}

static void close_gate(const struct shape *shape)
{
	if (shape == &uring_one) {
		ring_plan.hold = 1;
		return;
	}
	pthread_mutex_lock(&gate_lock);
	gate_closed = 1;
	pthread_mutex_unlock(&gate_lock);
}

static void open_gate(void)
{
	if (ring_plan.hold) /* not written while a library thread may read it */
		ring_plan.hold = 0;
	pthread_mutex_lock(&gate_lock);
	gate_closed = 0;
	pthread_cond_broadcast(&gate_moved);
	pthread_mutex_unlock(&gate_lock);
}

/* ---- opening ---- */

static void auto_without_io_uring_falls_to_threads(void **state)
{
	struct t_dir *dir = *state;
	struct filemap *map = open_map(dir, "a");
	struct filemap_queue *queue;

	start();
	ring_plan.open_error = -EPERM;
	assert_ok(filemap_queue_open(&one_thread, &queue, NULL));
	assert_string_equal(filemap_queue_backend(queue), "threads");
	assert_int_equal(result_of(queue, flush(queue, map)), 0);
	assert_int_equal(fault_count("flush_range"), 1);
	finish(queue, map);
}

static void auto_takes(const char *backend, const struct filemap_queue_options *options)
{
	struct filemap_queue *queue;

	assert_ok(filemap_queue_open(options, &queue, NULL));
	assert_string_equal(filemap_queue_backend(queue), backend);
	filemap_queue_close(queue);
}

static void auto_for_one_thread_takes_io_uring(void **state)
{
	(void)state;
	start();
	need_ring();
	auto_takes("io_uring", &one_thread);
}

static void auto_without_eventfd_registration_falls_to_threads(void **state)
{
	(void)state;
	start();
	ring_plan.register_error = -EPERM;
	auto_takes("threads", &one_thread);
}

static void io_uring_asked_for_and_denied_is_its_errno_with_a_hint(void **state)
{
	const struct shape *shapes[] = {&uring_one, &uring_shared};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct filemap_error error = {0};
		struct filemap_queue *queue = NULL;

		start();
		ring_plan.open_error = -EPERM;
		assert_int_equal(open_shape(shapes[i], &queue, &error), -EPERM);
		assert_null(queue);
		assert_string_equal(error.step, "open ring");
		assert_string_equal(error.subject, "queue");
		assert_int_equal(error.sys_errno, EPERM);
		assert_non_null(strstr(error.hint, "seccomp"));
	}
}

static int fail_one_opening(const struct t_dir *dir, const struct shape *shape, const char *call, int nth)
{
	struct filemap_error error = {0};
	struct filemap_queue *queue;
	int r;

	start();
	if (call != NULL)
		fault_arm_call(call, nth, ENOMEM);
	else
		fault_arm(nth, EMFILE);
	r = open_shape(shape, &queue, &error);
	if (r == 0) {
		filemap_queue_close(queue);
	} else {
		assert_true(fault_fired());
		assert_non_null(error.step);
		assert_string_equal(error.subject, "queue");
		assert_int_equal(error.code, r);
	}
	t_census_same(dir);
	return fault_fired();
}

static void open_with_each_call_failing_leaks_nothing(struct t_dir *dir, const struct shape *shape)
{
	int n;

	start();
	if (shape->backend == FILEMAP_QUEUE_URING)
		need_ring();
	for (n = 1; fail_one_opening(dir, shape, NULL, n); n++)
		;
	assert_true(n > 1);
	for (n = 1; fail_one_opening(dir, shape, "zalloc", n); n++)
		;
	assert_true(n > 3);
}

/* ---- failing flushes ---- */

static void arm_flush_error(const struct shape *shape)
{
	if (shape->backend == FILEMAP_QUEUE_THREADS) {
		fault_arm_call("flush_range", 1, EIO);
		return;
	}
	plan(&ring_plan.reaped_nth, 1);
	plan(&ring_plan.reaped_error, -EIO);
}

static void a_failed_flush_taints_the_mapping(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape);
	struct filemap *map = open_map(dir, "a"), *other = open_map(dir, "b");

	arm_flush_error(shape);
	assert_int_equal(result_of(queue, flush(queue, map)), -EIO);
	assert_true(filemap_state(map) & FILEMAP_STATE_TAINTED);
	assert_int_equal(filemap_poison_cause(map), -EIO);
	assert_int_equal(filemap_queue_flush(queue, map, 0, 1, NULL, NULL, NULL), FILEMAP_EPOISONED);
	assert_int_equal(filemap_flush(map), FILEMAP_EPOISONED);
	assert_int_equal(result_of(queue, flush(queue, other)), 0);
	filemap_queue_close(queue);
	filemap_close(map);
	filemap_close(other);
}

static void one_failure_of_two_in_flight_taints(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape);
	struct filemap *map = open_map(dir, "a");
	int failed = 0;

	arm_flush_error(shape);
	close_gate(shape);
	(void)flush(queue, map);
	(void)flush(queue, map);
	assert_ok(filemap_queue_submit(queue));
	open_gate();
	for (uint64_t ticket = 1; ticket <= 2; ticket++)
		failed += result_of(queue, ticket) == -EIO;
	assert_int_equal(failed, 1);
	assert_true(filemap_state(map) & FILEMAP_STATE_TAINTED);
	finish(queue, map);
}

/* ---- in flight ---- */

static void a_wait_that_times_out_leaves_the_ticket(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape);
	struct filemap *map = open_map(dir, "a");
	uint64_t ticket = flush(queue, map);
	struct filemap_completion done = {.ticket = 77};

	close_gate(shape);
	assert_int_equal(filemap_queue_wait(queue, ticket, 0, &done), 0);
	assert_int_equal(filemap_queue_wait(queue, FILEMAP_ANY, 0, &done), 0);
	assert_int_equal(filemap_queue_wait(queue, ticket, 5, &done), 0);
	assert_int_equal(filemap_queue_poll(queue), 0);
	assert_int_equal(done.ticket, 77);
	open_gate();
	assert_int_equal(result_of(queue, ticket), 0);
	finish(queue, map);
}

static void nothing(int signal)
{
	(void)signal;
}

struct pest {
	pthread_t victim;
	int stop; /* atomic */
};

static void *send_signals(void *context)
{
	struct pest *pest = context;

	while (!__atomic_load_n(&pest->stop, __ATOMIC_ACQUIRE)) {
		(void)pthread_kill(pest->victim, SIGUSR1);
		sched_yield();
	}
	return NULL;
}

static void a_signal_ends_a_wait_with_eintr(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape);
	struct filemap *map = open_map(dir, "a");
	struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART}, before;
	struct pest pest = {.victim = pthread_self()};
	uint64_t ticket = flush(queue, map);
	pthread_t thread;

	assert_ok(sigaction(SIGUSR1, &action, &before));
	close_gate(shape);
	assert_ok(pthread_create(&thread, NULL, send_signals, &pest));
	assert_int_equal(filemap_queue_wait(queue, ticket, -1, NULL), -EINTR);
	assert_int_equal(filemap_queue_wait(queue, FILEMAP_ANY, 1000000, NULL), -EINTR);
	open_gate();
	assert_ok(filemap_queue_drain(queue)); /* goes on in spite of signals */
	__atomic_store_n(&pest.stop, 1, __ATOMIC_RELEASE);
	assert_ok(pthread_join(thread, NULL));
	assert_int_equal(result_of(queue, ticket), 0);
	assert_ok(sigaction(SIGUSR1, &before, NULL));
	finish(queue, map);
}

static void *open_gate_elsewhere(void *context)
{
	int *opened = context;

	pthread_mutex_lock(&gate_lock);
	while (gate_waiting == 0)
		pthread_cond_wait(&gate_moved, &gate_lock);
	*opened = 1;
	gate_closed = 0;
	pthread_cond_broadcast(&gate_moved);
	pthread_mutex_unlock(&gate_lock);
	return NULL;
}

static void close_waits_for_what_is_in_flight(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape);
	struct filemap *map = open_map(dir, "a");
	int opened = 0;
	pthread_t thread;

	close_gate(shape);
	for (int i = 0; i < 5; i++)
		(void)flush(queue, map);
	assert_ok(filemap_queue_submit(queue));
	assert_ok(pthread_create(&thread, NULL, open_gate_elsewhere, &opened));
	filemap_queue_close(queue);
	assert_int_equal(opened, 1);
	assert_int_equal(gate_passed, 5);
	assert_ok(pthread_join(thread, NULL));
	filemap_close(map);
}

/* The gate closed, the mapping closed, its descriptor's number on offer: which file is flushed? */
static void a_map_closed_in_flight_keeps_its_file(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape);
	struct filemap *map = open_map(dir, "a"), *next;
	struct filemap_stat st;
	uint64_t ticket = flush(queue, map);

	assert_ok(filemap_stat(map, &st));
	close_gate(shape);
	assert_ok(filemap_queue_submit(queue));
	filemap_close(map);
	next = open_map(dir, "b");
	open_gate();
	assert_int_equal(result_of(queue, ticket), 0);
	assert_int_equal(flushed_inode, st.inode);
	filemap_close(next);
	filemap_queue_close(queue);
}

static void the_eventfd_is_silent_while_in_flight(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape);
	struct filemap *map = open_map(dir, "a");
	int fd = filemap_queue_eventfd(queue);

	assert_int_equal(filemap_queue_poll(queue), 0);
	close_gate(shape);
	(void)flush(queue, map);
	assert_ok(filemap_queue_submit(queue));
	assert_int_equal(fm__sys_poll_in(fd, 0), 0);
	open_gate();
	assert_ok(filemap_queue_submit(queue));
	if (shape == &uring_one) /* what was held goes to the kernel with the next look */
		assert_int_equal(filemap_queue_wait(queue, 99, 0, NULL), -ENOENT);
	assert_int_equal(fm__sys_poll_in(fd, -1), 1);
	assert_int_equal(result_of(queue, 1), 0);
	finish(queue, map);
}

static int waits_returned; /* atomic */

/* Lets the two other waiters look and sleep again, or return, while the callback runs. */
static void count(struct filemap_queue *queue, uint64_t ticket, int result, void *context)
{
	(void)queue;
	(void)ticket;
	(void)result;
	while (fault_count("futex_wait") < 5 && planned(&waits_returned) == 0)
		sched_yield();
	++*(int *)context;
}

struct waiting {
	struct filemap_queue *queue;
	struct filemap_completion done;
	int r;
};

static void *wait_for_1(void *context)
{
	struct waiting *w = context;

	w->r = filemap_queue_wait(w->queue, 1, -1, &w->done);
	plan(&waits_returned, 1);
	return NULL;
}

static void until_sleepers(struct filemap_queue *queue, uint32_t count_wanted)
{
	for (uint32_t now = 0; now < count_wanted; sched_yield()) {
		pthread_mutex_lock(&queue->lock);
		now = queue->sleepers;
		pthread_mutex_unlock(&queue->lock);
	}
}

/* Three threads wait for ticket 1 before it can finish; how many return what. */
static void three_waits(struct filemap_queue *queue, int *ret_ones, int *ret_gone)
{
	struct waiting waits[3] = {{.queue = queue}, {.queue = queue}, {.queue = queue}};
	pthread_t waiters[3];

	plan(&waits_returned, 0);
	for (int i = 0; i < 3; i++)
		assert_ok(pthread_create(&waiters[i], NULL, wait_for_1, &waits[i]));
	until_sleepers(queue, 3);
	open_gate();
	for (int i = 0; i < 3; i++) {
		assert_ok(pthread_join(waiters[i], NULL));
		*ret_ones += waits[i].r == 1 && waits[i].done.ticket == 1;
		*ret_gone += waits[i].r == -ENOENT;
	}
}

static void all_waits_for_a_ticket_with_a_callback_return_1(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape);
	struct filemap *map = open_map(dir, "a");
	int calls = 0, ones = 0, gone = 0;

	close_gate(shape);
	assert_ok(filemap_queue_flush(queue, map, 0, 1, count, &calls, NULL));
	three_waits(queue, &ones, &gone);
	assert_int_equal(ones, 3);
	assert_int_equal(calls, 1);
	finish(queue, map);
}

static void one_wait_for_a_plain_ticket_returns_1_the_others_enoent(struct t_dir *dir,
								    const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape);
	struct filemap *map = open_map(dir, "a");
	int ones = 0, gone = 0;

	close_gate(shape);
	(void)flush(queue, map);
	three_waits(queue, &ones, &gone);
	assert_int_equal(ones, 1);
	assert_int_equal(gone, 2);
	finish(queue, map);
}

/* ---- rings that refuse ---- */

static void a_full_ring_delays_only(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape);
	struct filemap *map = open_map(dir, "a");

	ring_plan.full = 3;
	for (int i = 0; i < 64; i++)
		(void)flush(queue, map);
	for (uint64_t ticket = 1; ticket <= 64; ticket++)
		assert_int_equal(result_of(queue, ticket), 0);
	assert_int_equal(ring_plan.pushes, 64);
	assert_int_equal(ring_plan.full, 0);
	assert_int_equal(fault_count("flush_range"), 0);
	finish(queue, map);
}

static void a_busy_submission_is_repeated(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape);
	struct filemap *map = open_map(dir, "a");

	plan(&ring_plan.submit_error, -EBUSY);
	(void)flush(queue, map);
	assert_int_equal(result_of(queue, 1), 0);
	assert_int_equal(fault_count("flush_range"), 0);
	finish(queue, map);
}

static void a_refused_submission_is_flushed_by_hand(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape);
	struct filemap *map = open_map(dir, "a");

	plan(&ring_plan.submit_error, -EPERM);
	for (int i = 0; i < 3; i++)
		(void)flush(queue, map);
	for (uint64_t ticket = 1; ticket <= 3; ticket++)
		assert_int_equal(result_of(queue, ticket), 0);
	assert_int_equal(fault_count("flush_range"), 3);
	plan(&ring_plan.submit_error, 0); /* never asked again */
	assert_int_equal(result_of(queue, flush(queue, map)), 0);
	assert_int_equal(fault_count("flush_range"), 4);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	finish(queue, map);
}

static void a_refused_wait_leaves_sent_flushes_in_doubt(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape);
	struct filemap *map = open_map(dir, "a");

	plan(&ring_plan.wait_error, -EPERM);
	assert_int_equal(result_of(queue, flush(queue, map)), -EPERM);
	assert_true(filemap_state(map) & FILEMAP_STATE_TAINTED);
	finish(queue, map);
}

/* ---- pieces ---- */

static struct filemap *open_large(const struct t_dir *dir, uint64_t size)
{
	struct filemap *map;
	int r = filemap_open(t_path(dir, "large"), FILEMAP_WRITE,
			     FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | FILEMAP_SPARSE, .size = size), &map,
			     NULL);

	if (r == -EFBIG || r == -ENOMEM || r == FILEMAP_ERANGE)
		t_skip("no room for a sparse file and mapping of 5 GiB");
	assert_ok(r);
	return map;
}

static void a_flush_of_5_gib_goes_in_pieces(struct t_dir *dir, const struct shape *shape)
{
	const uint64_t size = UINT64_C(5) << 30;
	struct filemap_queue *queue;
	struct filemap *map;

	filemap_close(open_large(dir, size)); /* skips before a queue is open */
	queue = open_queue(shape);
	map = open_large(dir, size);
	assert_int_equal(result_of(queue, flush(queue, map)), 0);
	assert_int_equal(ring_plan.pushes, 2);
	assert_int_equal(ring_plan.offsets[0], 0);
	assert_int_equal(ring_plan.lengths[0], FM_RING_FLUSH_MAX);
	assert_int_equal(ring_plan.offsets[1], FM_RING_FLUSH_MAX);
	assert_int_equal(ring_plan.lengths[1], size - FM_RING_FLUSH_MAX);
	assert_int_equal(gate_passed, 1);
	for (int nth = 1; nth <= 2; nth++) {
		filemap_close(map);
		map = open_large(dir, size);
		plan(&ring_plan.reaped_nth, nth);
		plan(&ring_plan.reaped_error, -EIO);
		assert_int_equal(result_of(queue, flush(queue, map)), -EIO);
		assert_int_equal(gate_passed, 1 + nth);
	}
	finish(queue, map);
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

ON_ALL(open_with_each_call_failing_leaks_nothing)
ON_ALL(a_failed_flush_taints_the_mapping)
ON_ALL(one_failure_of_two_in_flight_taints)
ON_ALL(a_wait_that_times_out_leaves_the_ticket)
ON_ALL(a_signal_ends_a_wait_with_eintr)
ON_SHARED(close_waits_for_what_is_in_flight)
ON_ALL(a_map_closed_in_flight_keeps_its_file)
ON_ALL(the_eventfd_is_silent_while_in_flight)
ON_SHARED(all_waits_for_a_ticket_with_a_callback_return_1)
ON_SHARED(one_wait_for_a_plain_ticket_returns_1_the_others_enoent)
ON_URING(a_full_ring_delays_only)
ON_URING(a_refused_submission_is_flushed_by_hand)
ON_URING(a_refused_wait_leaves_sent_flushes_in_doubt)
ON_URING(a_flush_of_5_gib_goes_in_pieces)
ON(a_busy_submission_is_repeated, uring_one)

T_MAIN(T_TEST(auto_without_io_uring_falls_to_threads), T_TEST(auto_for_one_thread_takes_io_uring),
       T_TEST(auto_without_eventfd_registration_falls_to_threads),
       T_TEST(io_uring_asked_for_and_denied_is_its_errno_with_a_hint),
       ENTRIES_ALL(open_with_each_call_failing_leaks_nothing), ENTRIES_ALL(a_failed_flush_taints_the_mapping),
       ENTRIES_ALL(one_failure_of_two_in_flight_taints), ENTRIES_ALL(a_wait_that_times_out_leaves_the_ticket),
       ENTRIES_ALL(a_signal_ends_a_wait_with_eintr), ENTRIES_SHARED(close_waits_for_what_is_in_flight),
       ENTRIES_ALL(a_map_closed_in_flight_keeps_its_file), ENTRIES_ALL(the_eventfd_is_silent_while_in_flight),
       ENTRIES_SHARED(all_waits_for_a_ticket_with_a_callback_return_1),
       ENTRIES_SHARED(one_wait_for_a_plain_ticket_returns_1_the_others_enoent),
       ENTRIES_URING(a_full_ring_delays_only), ENTRIES_URING(a_refused_submission_is_flushed_by_hand),
       ENTRIES_URING(a_refused_wait_leaves_sent_flushes_in_doubt),
       ENTRIES_URING(a_flush_of_5_gib_goes_in_pieces), T_TEST(a_busy_submission_is_repeated_on_uring_one))
