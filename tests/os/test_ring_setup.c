/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Kernels that refuse set-up flags: the ring comes down step by step, and works on each. This program stands in
 * front of io_uring_queue_init(), by defining it: what it lets through is liburing's own with the same flags.
 */
#include <pthread.h>

#include <liburing.h>

#include "dirty.h"
#include "ring.h"

static unsigned refused; /* flags that this kernel does not know */
static unsigned asked[8];
static int asked_count;

int io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
	struct io_uring_params parameters;

	if (asked_count < 8)
		asked[asked_count++] = flags;
	if (flags & refused)
		return -EINVAL;
	memset(&parameters, 0, sizeof parameters);
	parameters.flags = flags;
	return io_uring_queue_init_params(entries, ring, &parameters);
}

struct rung {
	const char *directory;
	unsigned refused;
	int steps; /* until it stands */
};

static int wait_by_looking(struct fm__ring *ring)
{
	const uint64_t limit = fm__sys_monotonic_ns() + LONG_MS * UINT64_C(1000000);
	int r;

	do
		r = fm__ring_wait(ring, 0);
	while (r == -ETIME && fm__sys_monotonic_ns() < limit);
	return r;
}

static int looked(struct fm__ring *ring)
{
	struct fm__ring_completion done;

	const int r = wait_by_looking(ring);
	if (r < 0)
		return r;
	return fm__ring_reap(ring, &done, 1) == 1 ? done.result : -EIO;
}

/* Everything that depends on how completions come in: waiting, only looking, by eventfd, over the edge. */
static int work(struct fm__ring *ring, int fd)
{
	const struct fm__call flush = {FM_CALL_FLUSH, fd, 4096, 4096, NULL, 0, NULL};
	const int event = fm__sys_eventfd();
	struct fm__ring_completion done[5];
	int reaped = 0;

	if (by_ring_quietly(ring, &flush) != 0)
		return 20;
	if (fm__ring_push(ring, &flush, 1) < 0 || looked(ring) != 0)
		return 21;
	if (fm__ring_register_eventfd(ring, event) < 0 || fm__ring_push(ring, &flush, 1) < 0 ||
	    fm__ring_submit(ring) < 0 || fm__sys_poll_in(event, LONG_MS) != 1 || looked(ring) != 0)
		return 22;
	/* These complete as they are submitted: nothing more comes that would have to be fetched. */
	for (int i = 0; i < 20; i++)
		if (fm__ring_push_poll(ring, event, 1) < 0 || fm__ring_submit(ring) < 0)
			return 23;
	while (reaped < 20 && wait_by_looking(ring) == 0)
		reaped += fm__ring_reap(ring, done, 5);
	return reaped == 20 && fm__ring_wait(ring, 0) == -ETIME ? 0 : 24;
}

static int open_at(void *context)
{
	const struct rung *rung = context;
	struct fm__ring *ring;

	refused = rung->refused;
	int r = fm__ring_open(2, &ring);
	if (r == -EPERM || r == -ENOSYS || r == -ENOMEM)
		return CHILD_CANNOT;
	if (r < 0)
		return 1;
	if (asked_count != 2 * rung->steps ||
	    (asked[asked_count - 1] & refused)) /* the trial, and this one */
		return 2;
	const int fd = fm__sys_openat(AT_FDCWD, rung->directory, O_RDWR | O_TMPFILE, 0600);
	r = work(ring, fd < 0 ? fm__sys_memory_file("rung") : fd);
	fm__ring_close(ring);
	return r;
}

static void stands_on(const struct t_dir *dir, unsigned refused_flags, int steps)
{
	struct rung rung = {dir->path, refused_flags, steps};
	const int r = t_in_child(open_at, &rung);

	if (r == CHILD_CANNOT)
		t_skip("io_uring is missing or forbidden here");
	assert_ok(r);
}

static void a_kernel_that_knows_all_flags_is_asked_once(void **state)
{
	stands_on(*state, 0, 1);
}

static void a_kernel_without_deferred_work_gets_cooperative_work(void **state)
{
	stands_on(*state, IORING_SETUP_DEFER_TASKRUN, 2);
	stands_on(*state, IORING_SETUP_SINGLE_ISSUER, 2);
}

static void a_kernel_without_any_flag_gets_none(void **state)
{
	stands_on(*state, ~0u, 3);
	stands_on(*state, IORING_SETUP_TASKRUN_FLAG, 3);
	stands_on(*state, IORING_SETUP_SUBMIT_ALL, 3);
}

struct visit {
	struct fm__ring *foreign;
	struct fm__call flush;
	int result;
};

static void *close_foreign_ring(void *context)
{
	struct visit *visit = context;
	struct fm__ring *own = NULL;

	visit->result = fm__ring_open(8, &own);
	fm__ring_close(visit->foreign);
	if (visit->result == 0)
		visit->result = by_ring_quietly(own, &visit->flush);
	fm__ring_close(own);
	return NULL;
}

static int have_one_closed_elsewhere(void *context)
{
	const struct rung *rung = context;
	struct visit visit = {NULL, {FM_CALL_FLUSH, fm__sys_memory_file("visit"), 0, 4096, NULL, 0, NULL}, 1};
	struct fm__ring *second;
	pthread_t thread;

	refused = rung->refused;
	if (fm__ring_open(8, &visit.foreign) < 0 || fm__ring_open(8, &second) < 0)
		return CHILD_CANNOT;
	if (pthread_create(&thread, NULL, close_foreign_ring, &visit) != 0 || pthread_join(thread, NULL) != 0)
		return 1;
	if (visit.result != 0)
		return 2;
	if (by_ring_quietly(second, &visit.flush) != 0)
		return 3;
	fm__ring_close(second);
	return 0;
}

/* The numbers under which rings are registered are each thread's own. */
static void a_ring_closed_by_another_thread_leaves_other_rings_alone(void **state)
{
	static const unsigned kernels[] = {0, IORING_SETUP_DEFER_TASKRUN, ~0u};
	(void)state;

	for (int i = 0; i < 3; i++) {
		struct rung rung = {NULL, kernels[i], 0};
		const int r = t_in_child(have_one_closed_elsewhere, &rung);
		if (r == CHILD_CANNOT)
			t_skip("io_uring is missing or forbidden here");
		assert_ok(r);
	}
}

T_MAIN(T_TEST(a_kernel_that_knows_all_flags_is_asked_once),
       T_TEST(a_kernel_without_deferred_work_gets_cooperative_work),
       T_TEST(a_kernel_without_any_flag_gets_none),
       T_TEST(a_ring_closed_by_another_thread_leaves_other_rings_alone))
