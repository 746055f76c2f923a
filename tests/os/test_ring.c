/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The ring on the real kernel: what a flush writes, how completions become visible, what refusals do.
 *
 * The cases where io_uring is denied come first: a process that has once seen a ring work keeps that.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include "deny.h"
#include "dirty.h"
#include "ring.h"

static int open_denied(unsigned number, unsigned error)
{
	struct fm__ring *ring = NULL;

	if (deny_call(number, error) < 0)
		return CHILD_CANNOT;
	const int r = fm__ring_open(8, &ring);
	if (r == -EOPNOTSUPP)
		return CHILD_CANNOT;
	return r == -(int)error && ring == NULL ? 0 : 1;
}

static int open_with_setup_denied(void *context)
{
	(void)context;
	return open_denied(SYS_io_uring_setup, EPERM);
}

static int open_with_setup_missing(void *context)
{
	(void)context;
	return open_denied(SYS_io_uring_setup, ENOSYS);
}

static int open_with_enter_denied(void *context)
{
	(void)context;
	return open_denied(SYS_io_uring_enter, EPERM);
}

static void assert_denied(int (*body)(void *context), void *context)
{
	const int before = t_census_take("/").descriptors;
	const int r = t_in_child(body, context);

	if (r == CHILD_CANNOT)
		t_skip("no seccomp filters, or no io_uring here");
	assert_ok(r);
	assert_int_equal(t_census_take("/").descriptors, before);
}

static void open_with_setup_forbidden_reports_it(void **state)
{
	assert_denied(open_with_setup_denied, *state);
	assert_denied(open_with_setup_missing, *state);
}

static void open_with_only_enter_forbidden_reports_it(void **state)
{
	assert_denied(open_with_enter_denied, *state);
}

/* Registrations are for speed. */
static int work_with_register_denied(void *context)
{
	const int fd = make_sparse_file(context);
	const struct fm__call flush = {FM_CALL_FLUSH, fd, 4096, 4096, NULL, 0, NULL};
	struct fm__ring *ring = NULL;

	if (deny_call(SYS_io_uring_register, EPERM) < 0)
		return CHILD_CANNOT;
	if (fm__ring_open(8, &ring) < 0)
		return CHILD_CANNOT;
	const int event = fm__sys_eventfd();
	if (fm__ring_register_eventfd(ring, event) != -EPERM)
		return 1;
	for (int i = 0; i < 3; i++)
		if (by_ring_quietly(ring, &flush) != 0)
			return 2;
	if (fm__ring_wait(ring, 0) != -ETIME)
		return 3;
	fm__ring_close(ring);
	return 0;
}

static void all_works_with_register_forbidden(void **state)
{
	assert_denied(work_with_register_denied, *state);
}

/* More than a thread may register. */
static void many_rings_of_one_thread_work(void **state)
{
	struct fm__ring *rings[20] = {open_ring(2)};
	const int fd = make_sparse_file(*state);
	const struct fm__call flush = {FM_CALL_FLUSH, fd, 0, 4096, NULL, 0, NULL};

	for (int i = 1; i < 20; i++)
		rings[i] = open_ring(2);
	for (int i = 0; i < 20; i++)
		assert_int_equal(by_ring(rings[i], &flush), 0);
	for (int i = 0; i < 20; i++)
		fm__ring_close(rings[i]);
	fm__sys_close(fd);
}

/* Nobody enters the kernel here but to look: completions that wait there must be seen by that. */
static void looking_again_and_again_finds_a_completion(void **state)
{
	struct fm__ring *ring = open_ring(8);
	const int fd = make_sparse_file(*state);
	const uint64_t limit = fm__sys_monotonic_ns() + LONG_MS * UINT64_C(1000000);

	for (unsigned i = 0; i < 100; i++) {
		assert_ok(push_flush(ring, fd, 0, 4096, i));
		while (fm__ring_wait(ring, 0) == -ETIME)
			assert_true(fm__sys_monotonic_ns() < limit);
		assert_true(complete_one(ring).user_data == i);
	}
	fm__ring_close(ring);
	fm__sys_close(fd);
}

static void flush_completes_with_its_own_user_data(void **state)
{
	const struct t_dir *dir = *state;
	struct fm__ring *ring = open_ring(8);
	const int fd = make_sparse_file(dir);

	store_to_all_pages(fd);
	assert_ok(push_flush(ring, fd, 0, UINT64_MAX, UINT64_C(0xFEDCBA9876543210)));
	const struct fm__ring_completion done = complete_one(ring);
	assert_true(done.user_data == UINT64_C(0xFEDCBA9876543210));
	assert_int_equal(done.result, 0);
	fm__ring_close(ring);
	fm__sys_close(fd);
}

static void flush_of_a_bad_descriptor_completes_with_ebadf(void **state)
{
	struct fm__ring *ring = open_ring(8);
	(void)state;

	assert_ok(push_flush(ring, 987654, 0, 1, 9));
	const struct fm__ring_completion done = complete_one(ring);
	assert_int_equal(done.result, -EBADF);
	assert_true(done.user_data == 9);
	fm__ring_close(ring);
}

static void wait_without_completions_times_out(void **state)
{
	struct fm__ring *ring = open_ring(8);
	struct fm__ring_completion done;
	(void)state;

	assert_int_equal(fm__ring_wait(ring, 0), -ETIME);
	assert_int_equal(fm__ring_wait(ring, 1), -ETIME);
	assert_int_equal(fm__ring_reap(ring, &done, 1), 0);
	fm__ring_close(ring);
}

static void ignore_signal(int number)
{
	(void)number;
}

static void wait_reports_a_signal(void **state)
{
	const struct itimerval often = {{0, 2000}, {0, 2000}}, never = {{0, 0}, {0, 0}};
	struct sigaction action = {.sa_handler = ignore_signal, .sa_flags = SA_RESTART};
	struct fm__ring *ring = open_ring(8);
	(void)state;

	assert_ok(sigaction(SIGALRM, &action, NULL));
	assert_ok(setitimer(ITIMER_REAL, &often, NULL));
	/* The limited one first: where a signal does not get through, the case fails and does not hang. */
	const int limited = fm__ring_wait(ring, LONG_MS);
	const int forever = limited == -EINTR ? fm__ring_wait(ring, -1) : limited;
	assert_ok(setitimer(ITIMER_REAL, &never, NULL));
	fm__ring_close(ring);
	assert_int_equal(limited, -EINTR);
	assert_int_equal(forever, -EINTR);
}

static void poll_completes_once_when_the_descriptor_is_readable(void **state)
{
	struct fm__ring *ring = open_ring(8);
	const int event = fm__sys_eventfd();
	(void)state;

	assert_ok(fm__ring_push_poll(ring, event, 5));
	assert_ok(fm__ring_submit(ring));
	assert_int_equal(fm__ring_wait(ring, 0), -ETIME);
	assert_ok(fm__sys_event_signal(event));
	const struct fm__ring_completion done = complete_one(ring);
	assert_true(done.user_data == 5 && done.result > 0);
	assert_ok(fm__sys_event_signal(event));
	assert_int_equal(fm__ring_wait(ring, 0), -ETIME);
	fm__ring_close(ring);
	fm__sys_close(event);
}

/*
 * Deferred completions are in the ring only after its owner entered: reaping has to do that, or the event
 * never fires again. One signal too many is allowed: the kernel signals work and its result.
 */
static void reap_after_the_eventfd_fired_finds_the_completion(void **state)
{
	struct fm__ring *ring = open_ring(8);
	const int event = fm__sys_eventfd(), fd = make_sparse_file(*state);
	struct fm__ring_completion done;

	assert_ok(fm__ring_register_eventfd(ring, event));
	for (unsigned i = 0; i < 20; i++) {
		assert_ok(push_flush(ring, fd, 0, 4096, i));
		assert_ok(fm__ring_submit(ring));
		do {
			assert_int_equal(fm__sys_poll_in(event, LONG_MS), 1);
			assert_ok(fm__sys_event_clear(event));
		} while (fm__ring_reap(ring, &done, 1) == 0);
		assert_true(done.user_data == i && done.result == 0);
	}
	fm__ring_close(ring);
	fm__sys_close(event);
	fm__sys_close(fd);
}

static void push_into_a_full_ring_is_busy_until_submitted(void **state)
{
	struct fm__ring *ring = open_ring(4);
	const int fd = make_sparse_file(*state);

	for (unsigned i = 0; i < 4; i++)
		assert_ok(push_flush(ring, fd, 0, 1, i));
	assert_int_equal(push_flush(ring, fd, 0, 1, 4), -EBUSY);
	assert_int_equal(fm__ring_push_poll(ring, fd, 4), -EBUSY);
	assert_ok(fm__ring_submit(ring));
	assert_ok(push_flush(ring, fd, 0, 1, 4));
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(complete_one(ring).result, 0);
	assert_int_equal(fm__ring_wait(ring, 0), -ETIME);
	fm__ring_close(ring);
	fm__sys_close(fd);
}

static uint64_t reap_all(struct fm__ring *ring, unsigned expected)
{
	struct fm__ring_completion done[3];
	uint64_t seen = 0;

	for (unsigned reaped = 0; reaped < expected;) {
		assert_ok(fm__ring_wait(ring, LONG_MS));
		const int count = fm__ring_reap(ring, done, 3);
		assert_true(count > 0);
		for (int i = 0; i < count; i++) {
			assert_int_equal(done[i].result, 0);
			assert_false(seen & (UINT64_C(1) << done[i].user_data));
			seen |= UINT64_C(1) << done[i].user_data;
		}
		reaped += (unsigned)count;
	}
	return seen;
}

/* 40 unreaped completions for a queue of 8. */
static void completions_over_the_edge_of_the_queue_are_not_lost(void **state)
{
	struct fm__ring *ring = open_ring(4);
	const int fd = make_sparse_file(*state);

	for (unsigned i = 0; i < 40; i++) {
		assert_ok(push_flush(ring, fd, 0, 1, i));
		assert_ok(fm__ring_submit(ring));
	}
	assert_true(reap_all(ring, 40) == (UINT64_C(1) << 40) - 1);
	assert_int_equal(fm__ring_wait(ring, 0), -ETIME);
	fm__ring_close(ring);
	fm__sys_close(fd);
}

static int abandon(void *context)
{
	fm__ring_abandon(context);
	return 0;
}

static void abandon_in_a_child_leaves_the_parents_requests(void **state)
{
	struct fm__ring *ring = open_ring(8);
	const int event = fm__sys_eventfd();
	(void)state;

	assert_ok(fm__ring_push_poll(ring, event, 6));
	assert_ok(fm__ring_submit(ring));
	assert_ok(fm__ring_push_poll(ring, event, 7)); /* one more that was not submitted yet */
	assert_ok(t_in_child(abandon, ring));
	assert_ok(fm__sys_event_signal(event));
	const uint64_t both = complete_one(ring).user_data + complete_one(ring).user_data;
	assert_true(both == 6 + 7);
	fm__ring_close(ring);
	fm__sys_close(event);
}

static int flush_without_standard_streams(void *context)
{
	struct fm__ring_completion done;
	struct fm__ring *ring;

	for (int fd = 0; fd < 3; fd++)
		close(fd);
	const int file = make_sparse_file(context);
	int r = fm__ring_open(8, &ring);
	if (r < 0)
		return r == -EMFILE ? 1 : CHILD_CANNOT;
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) != -1)
			return 2;
	if (push_flush(ring, file, 0, 1, 1) < 0 || fm__ring_wait(ring, LONG_MS) < 0)
		return 3;
	r = fm__ring_reap(ring, &done, 1);
	fm__ring_close(ring);
	return r == 1 && done.result == 0 ? 0 : 4;
}

static void ring_descriptor_is_never_a_standard_stream(void **state)
{
	const int r = t_in_child(flush_without_standard_streams, *state);

	if (r == CHILD_CANNOT)
		t_skip("io_uring is missing or forbidden here");
	assert_ok(r);
}

static void *open_and_close(void *context)
{
	struct fm__ring *ring = NULL;
	int *result = context;

	*result = fm__ring_open(2, &ring);
	fm__ring_close(ring);
	return NULL;
}

static void rings_open_from_several_threads_at_once(void **state)
{
	pthread_t threads[4];
	int results[4];

	(void)state;
	fm__ring_close(open_ring(2));
	for (int i = 0; i < 4; i++)
		assert_ok(pthread_create(&threads[i], NULL, open_and_close, &results[i]));
	for (int i = 0; i < 4; i++) {
		assert_ok(pthread_join(threads[i], NULL));
		assert_ok(results[i]);
	}
}

T_MAIN(T_TEST(open_with_setup_forbidden_reports_it), T_TEST(open_with_only_enter_forbidden_reports_it),
       T_TEST(all_works_with_register_forbidden), T_TEST(flush_completes_with_its_own_user_data),
       T_TEST(flush_of_a_bad_descriptor_completes_with_ebadf), T_TEST(wait_without_completions_times_out),
       T_TEST(wait_reports_a_signal), T_TEST(poll_completes_once_when_the_descriptor_is_readable),
       T_TEST(reap_after_the_eventfd_fired_finds_the_completion),
       T_TEST(push_into_a_full_ring_is_busy_until_submitted),
       T_TEST(completions_over_the_edge_of_the_queue_are_not_lost),
       T_TEST(abandon_in_a_child_leaves_the_parents_requests),
       T_TEST(ring_descriptor_is_never_a_standard_stream), T_TEST(rings_open_from_several_threads_at_once),
       T_TEST(many_rings_of_one_thread_work), T_TEST(looking_again_and_again_finds_a_completion))
