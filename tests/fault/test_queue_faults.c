/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Queues whose opening, flushes and waits fail, on all backends. */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "queue_stage.h"

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
	need_ring(&uring_one);
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
		assert_string_equal(error.hint, fm__ring_reason(-EPERM));
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
		need_ring(shape);
	for (n = 1; fail_one_opening(dir, shape, NULL, n); n++)
		;
	assert_true(n > 1);
	for (n = 1; fail_one_opening(dir, shape, "zalloc", n); n++)
		;
	assert_true(n > 3);
}

/* How many threads of this process a signal of the program could end up on. */
static int open_to_signals(void)
{
	DIR *tasks = opendir("/proc/self/task");
	int count = 0;

	assert_non_null(tasks);
	for (const struct dirent *task = readdir(tasks); task != NULL; task = readdir(tasks)) {
		char path[300], line[128];
		FILE *status;

		snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
		status = task->d_name[0] == '.' ? NULL : fopen(path, "r");
		while (status != NULL && fgets(line, sizeof line, status) != NULL)
			if (strncmp(line, "SigBlk:", 7) == 0)
				count += ((strtoull(line + 7, NULL, 16) >> (SIGUSR1 - 1)) & 1) == 0;
		if (status != NULL)
			fclose(status);
	}
	closedir(tasks);
	return count;
}

static void no_signal_of_the_program_ends_up_on_a_thread_of_the_queue(struct t_dir *dir,
								      const struct shape *shape)
{
	struct filemap_queue *queue;
	int before;

	(void)dir;
	filemap_queue_close(open_queue(shape)); /* so that what is skipped, or starts once, is over */
	before = open_to_signals();
	queue = open_queue(shape);
	assert_int_equal(open_to_signals(), before);
	filemap_queue_close(queue);
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

/* The kernel tells a failure once: who was at work beside it cannot know. */
static void one_failure_of_two_in_flight_spoils_both(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape);
	struct filemap *map = open_map(dir, "a");
	int failed = 0, spoilt = 0;

	arm_flush_error(shape);
	close_gate(shape);
	(void)flush_apart(queue, map, 0);
	(void)flush_apart(queue, map, 1);
	assert_ok(filemap_queue_submit(queue));
	open_gate();
	for (uint64_t ticket = 1; ticket <= 2; ticket++) {
		const int r = result_of(queue, ticket);

		failed += r == -EIO;
		spoilt += r == FILEMAP_EPOISONED;
	}
	assert_int_equal(failed, 1);
	assert_int_equal(spoilt, 1);
	assert_true(filemap_state(map) & FILEMAP_STATE_TAINTED);
	finish(queue, map);
}

static void a_failed_flush_of_many_tickets_is_the_result_of_each(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape);
	struct filemap *map = open_map(dir, "a");

	arm_flush_error(shape);
	for (int i = 0; i < 5; i++)
		(void)flush(queue, map);
	for (uint64_t ticket = 1; ticket <= 5; ticket++)
		assert_int_equal(result_of(queue, ticket), -EIO);
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
	struct filemap_queue *queue;
	struct filemap *map;
	struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART}, before;
	struct pest pest = {.victim = pthread_self()};
	uint64_t ticket;
	pthread_t thread;

	if (under_valgrind())
		t_skip("valgrind is never done with signals that come without a pause");
	queue = open_queue(shape);
	map = open_map(dir, "a");
	ticket = flush(queue, map);
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
		(void)flush_apart(queue, map, i);
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
	struct filemap_error error;
	int r;
};

static void *wait_for_1(void *context)
{
	struct waiting *w = context;

	w->r = filemap_queue_wait_error(w->queue, 1, -1, &w->done, &w->error);
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
		*ret_ones += waits[i].r == 1 && waits[i].done.ticket == 1 &&
			     waits[i].error.code == waits[i].done.result;
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

static void all_waits_for_a_failed_ticket_with_a_callback_have_its_error(struct t_dir *dir,
									 const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape);
	struct filemap *map = open_map(dir, "a");
	int calls = 0, ones = 0, gone = 0;

	arm_flush_error(shape);
	close_gate(shape);
	assert_ok(filemap_queue_flush(queue, map, 0, 1, count, &calls, NULL));
	three_waits(queue, &ones, &gone);
	assert_int_equal(ones, 3);
	assert_int_equal(calls, 1);
	assert_true(filemap_state(map) & FILEMAP_STATE_TAINTED);
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

static void queue_another(void *context)
{
	struct filemap_queue *queue = context;
	uint64_t ticket;

	assert_ok(filemap_queue_barrier(queue, NULL, NULL, &ticket));
	if (ticket < 4)
		fault_hook("event_signal", 1, queue_another, queue);
}

/* As another thread would, while the lock is away to tell of the one before. */
static void drain_begins_what_is_queued_after_its_first_look(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape);
	struct filemap *map = open_map(dir, "a");

	assert_true(filemap_queue_eventfd(queue) >= 0);
	assert_ok(filemap_queue_barrier(queue, NULL, NULL, NULL));
	fault_hook("event_signal", 1, queue_another, queue);
	assert_ok(filemap_queue_drain(queue));
	for (uint64_t ticket = 1; ticket <= 4; ticket++)
		assert_int_equal(filemap_queue_wait(queue, ticket, 0, NULL), 1);
	finish(queue, map);
}

static void a_commit_of_no_data_stores_no_header_after_a_failure(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape);
	struct filemap *map = open_map(dir, "a");
	const char before = *(const char *)filemap_data(map);
	uint64_t ticket;

	assert_ok(filemap_queue_commit(queue, map, 0, 0, 0, "\xA5", 1, NULL, NULL, &ticket));
	fault_arm_call("msync", 1, EIO);
	assert_int_equal(filemap_flush(map), -EIO);
	assert_int_equal(result_of(queue, ticket), FILEMAP_EPOISONED);
	assert_int_equal(*(const char *)filemap_data(map), before);
	finish(queue, map);
}

/* ---- the table of shapes ---- */

ON_ALL(open_with_each_call_failing_leaks_nothing)
ON_SHARED(no_signal_of_the_program_ends_up_on_a_thread_of_the_queue)
ON_ALL(a_failed_flush_taints_the_mapping)
ON_ALL(one_failure_of_two_in_flight_spoils_both)
ON_ALL(a_failed_flush_of_many_tickets_is_the_result_of_each)
ON_ALL(a_wait_that_times_out_leaves_the_ticket)
ON_ALL(a_signal_ends_a_wait_with_eintr)
ON_SHARED(close_waits_for_what_is_in_flight)
ON_ALL(a_map_closed_in_flight_keeps_its_file)
ON_ALL(the_eventfd_is_silent_while_in_flight)
ON_SHARED(all_waits_for_a_ticket_with_a_callback_return_1)
ON_SHARED(all_waits_for_a_failed_ticket_with_a_callback_have_its_error)
ON_SHARED(one_wait_for_a_plain_ticket_returns_1_the_others_enoent)
ON_ALL(drain_begins_what_is_queued_after_its_first_look)
ON_ALL(a_commit_of_no_data_stores_no_header_after_a_failure)

T_MAIN(T_TEST(auto_without_io_uring_falls_to_threads), T_TEST(auto_for_one_thread_takes_io_uring),
       T_TEST(auto_without_eventfd_registration_falls_to_threads),
       T_TEST(io_uring_asked_for_and_denied_is_its_errno_with_a_hint),
       ENTRIES_SHARED(no_signal_of_the_program_ends_up_on_a_thread_of_the_queue),
       ENTRIES_ALL(open_with_each_call_failing_leaks_nothing), ENTRIES_ALL(a_failed_flush_taints_the_mapping),
       ENTRIES_ALL(one_failure_of_two_in_flight_spoils_both),
       ENTRIES_ALL(a_failed_flush_of_many_tickets_is_the_result_of_each),
       ENTRIES_ALL(a_wait_that_times_out_leaves_the_ticket), ENTRIES_ALL(a_signal_ends_a_wait_with_eintr),
       ENTRIES_SHARED(close_waits_for_what_is_in_flight), ENTRIES_ALL(a_map_closed_in_flight_keeps_its_file),
       ENTRIES_ALL(the_eventfd_is_silent_while_in_flight),
       ENTRIES_SHARED(all_waits_for_a_ticket_with_a_callback_return_1),
       ENTRIES_SHARED(all_waits_for_a_failed_ticket_with_a_callback_have_its_error),
       ENTRIES_SHARED(one_wait_for_a_plain_ticket_returns_1_the_others_enoent),
       ENTRIES_ALL(drain_begins_what_is_queued_after_its_first_look),
       ENTRIES_ALL(a_commit_of_no_data_stores_no_header_after_a_failure))
