/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Kernels that refuse set-up flags: the ring comes down step by step, and works on each. This program stands in
 * front of io_uring_queue_init(), by defining it: what it lets through is liburing's own with the same flags.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>

#include <liburing.h>

#include "dirty.h"
#include "ring.h"
#include "sys/linux/ring.h"

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

/* The kernel's workers are this thread's, whatever the ring; asked of one that changes nothing itself. */
static int bounds_of_thread(unsigned bounds[2])
{
	struct io_uring asking;
	int r = io_uring_queue_init(1, &asking, 0);
	if (r < 0)
		return r;
	bounds[0] = bounds[1] = 0;
	r = io_uring_register_iowq_max_workers(&asking, bounds);
	io_uring_queue_exit(&asking);
	return r;
}

static int count_workers(void *context)
{
	unsigned first[2], wide[2], narrow[2];
	struct fm__ring *ring;
	(void)context;

	refused = 0;
	/* A ring of one entry comes first: it bounds the workers. */
	if (bounds_of_thread(first) < 0 || fm__ring_open(64, &ring) < 0)
		return CHILD_CANNOT;
	fm__ring_close(ring);
	if (bounds_of_thread(wide) < 0 || fm__ring_open(4, &ring) < 0)
		return 1;
	fm__ring_close(ring);
	if (bounds_of_thread(narrow) < 0)
		return 2;
	if (wide[0] < 64)
		return 3;
	if (narrow[0] != wide[0])
		return 4;
	return wide[1] == first[1] && narrow[1] == first[1] ? 0 : 5;
}

static void a_ring_lets_the_kernel_work_on_all_its_entries_and_never_on_fewer(void **state)
{
	(void)state;
	const int r = t_in_child(count_workers, NULL);

	if (r == CHILD_CANNOT)
		t_skip("io_uring is missing or forbidden here, or does not bound its workers");
	assert_ok(r);
}

static int run_out_of_descriptors(void *context)
{
	struct rlimit limit;
	struct fm__ring *ring;
	int r;
	(void)context;

	refused = 0;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 1;
	const struct rlimit none = {0, limit.rlim_max};
	if (setrlimit(RLIMIT_NOFILE, &none) < 0)
		return 2;
	r = fm__ring_open(4, &ring);
	if (r != -EMFILE)
		return r < 0 ? CHILD_CANNOT : 3;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || fm__ring_open(4, &ring) < 0)
		return 4;
	fm__ring_close(ring);
	return 0;
}

static void what_lacked_descriptors_once_is_tried_again(void **state)
{
	(void)state;
	const int r = t_in_child(run_out_of_descriptors, NULL);

	if (r == CHILD_CANNOT)
		t_skip("io_uring is missing or forbidden here");
	assert_ok(r);
}

static int look_at_entries(void *context)
{
	struct fm__call call = {FM_CALL_SYNC, 1, 4096, 4096, NULL, 0, NULL};
	struct fm__ring *ring;
	(void)context;

	refused = 0;
	if (fm__ring_open(4, &ring) < 0)
		return CHILD_CANNOT;
	const struct io_uring_sqe *entries = ring->uring.sq.sqes;
	for (int i = 0; i < 3; i++) {
		call.kind = (enum fm__call_kind[]){FM_CALL_SYNC, FM_CALL_FLUSH, FM_CALL_WRITEBACK}[i];
		if (fm__ring_push(ring, &call, 1) < 0)
			return 1;
	}
	if (entries[0].opcode != IORING_OP_FSYNC || entries[0].fsync_flags != 0)
		return 2;
	if (entries[1].opcode != IORING_OP_FSYNC || entries[1].fsync_flags != IORING_FSYNC_DATASYNC)
		return 3;
	if (entries[2].opcode != IORING_OP_SYNC_FILE_RANGE ||
	    entries[2].sync_range_flags != SYNC_FILE_RANGE_WRITE)
		return 4;
	return 0;
}

static void a_sync_is_of_metadata_too_and_a_writeback_only_begins(void **state)
{
	(void)state;
	const int r = t_in_child(look_at_entries, NULL);

	if (r == CHILD_CANNOT)
		t_skip("io_uring is missing or forbidden here");
	assert_ok(r);
}

T_MAIN(T_TEST(a_kernel_that_knows_all_flags_is_asked_once),
       T_TEST(a_kernel_without_deferred_work_gets_cooperative_work),
       T_TEST(a_kernel_without_any_flag_gets_none),
       T_TEST(a_ring_closed_by_another_thread_leaves_other_rings_alone),
       T_TEST(what_lacked_descriptors_once_is_tried_again),
       T_TEST(a_sync_is_of_metadata_too_and_a_writeback_only_begins),
       T_TEST(a_ring_lets_the_kernel_work_on_all_its_entries_and_never_on_fewer))
