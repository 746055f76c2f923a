/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The table of queue.h: every operation on every backend, with each of its calls failing once in each plausible way,
 * and then what only a ring can do to it. The state is the ticket's result and that of the mapping: a flush that
 * failed has tainted it, and says which part is in doubt; one that went well has not.
 *
 * Calls of library threads, and those that only wait or wake, come in no fixed number: they are not named here.
 */
#include "table.h"

#include <malloc.h>

#include "queue_stage.h"

static struct filemap_queue *queue;
static uint64_t ticket;
static struct shape shape;

/* ---- what is prepared ---- */

static void use(const struct shape *now, struct table *t)
{
	start();
	shape = *now;
	ticket = 0;
	queue = NULL;
	table_write(t);
}

static void opened(const struct shape *now, struct table *t)
{
	use(now, t);
	assert_ok(open_shape(now, &queue, NULL));
}

static void queued(const struct shape *now, struct table *t)
{
	opened(now, t);
	ticket = flush(queue, t->map);
}

#define PREPARED(on)                             \
	static void use_##on(struct table *t)    \
	{                                        \
		use(&on, t);                     \
	}                                        \
	static void opened_##on(struct table *t) \
	{                                        \
		opened(&on, t);                  \
	}                                        \
	static void queued_##on(struct table *t) \
	{                                        \
		queued(&on, t);                  \
	}
PREPARED(threads)
PREPARED(uring_one)
PREPARED(uring_shared)

static const char *no_ring(void)
{
	struct fm__ring *ring;

	if (__real_fm__ring_open(4, &ring) < 0)
		return "io_uring is not usable here";
	fm__ring_close(ring);
	return NULL;
}

/* Also where valgrind stops all threads while one waits in the ring. */
static const char *no_shared_ring(void)
{
	return under_valgrind() ? "valgrind stops all threads while one waits in io_uring_enter" : no_ring();
}

/* ---- what is said ---- */

static void describe(struct table *t)
{
	struct filemap_completion done;
	uint64_t offset, length;

	/* A wait that was interrupted has left the ticket. */
	if (ticket != 0 && filemap_queue_wait(queue, ticket, -1, &done) == 1)
		table_say_code(t, "ticket", done.result);
	const bool in_doubt = filemap_doubt(t->map, &offset, &length) == 1;
	assert_int_equal(in_doubt, (filemap_state(t->map) & FILEMAP_STATE_TAINTED) != 0);
	if (!in_doubt)
		return;
	table_say_code(t, "cause", filemap_poison_cause(t->map));
	table_say(t, "doubt=%llup+%llup", (unsigned long long)(offset / TABLE_PAGE),
		  (unsigned long long)(length / TABLE_PAGE));
}

static void close_queue(struct table *t)
{
	(void)t;
	filemap_queue_close(queue);
	queue = NULL;
}

/* ---- the operations ---- */

static void run_open(struct table *t)
{
	t->result = open_shape(&shape, &queue, &t->error);
	assert_true(t->result == 0 ? queue != NULL : queue == NULL);
}

static void run_flush(struct table *t)
{
	t->result = filemap_queue_flush(queue, t->map, 0, FILEMAP_TO_END, NULL, NULL, &ticket);
}

static void run_submit(struct table *t)
{
	t->result = filemap_queue_submit(queue);
}

static void run_poll(struct table *t)
{
	t->result = filemap_queue_poll(queue);
}

/* The result of the flush is in the completion: the table has it in the place of the 1 of the wait. */
static void run_wait(struct table *t)
{
	struct filemap_completion done;

	t->result = filemap_queue_wait(queue, ticket, -1, &done);
	if (t->result != 1)
		return;
	assert_int_equal(done.ticket, ticket);
	ticket = 0;
	t->result = done.result;
}

static void run_drain(struct table *t)
{
	t->result = filemap_queue_drain(queue);
}

static void run_eventfd(struct table *t)
{
	const int r = filemap_queue_eventfd(queue);

	t->result = r < 0 ? r : 0;
}

static void run_close(struct table *t)
{
	close_queue(t);
	ticket = 0;
	t->result = 0;
}

/* ---- what a ring does ---- */

static void reap(int error, int more)
{
	plan(&ring_plan.reaped_error, error);
	plan(&ring_plan.reaped_more, more);
	plan(&ring_plan.reaped_nth, 1);
}

#define REAPS(name, error, more)   \
	static void name(void)     \
	{                          \
		reap(error, more); \
	}
REAPS(reaps_eio, -EIO, 0)
REAPS(reaps_enospc, -ENOSPC, 0)
REAPS(reaps_edquot, -EDQUOT, 0)
REAPS(reaps_ecanceled, -ECANCELED, 0)
REAPS(reaps_eagain, -EAGAIN, 0)
REAPS(reaps_eintr, -EINTR, 0)
REAPS(reaps_ecanceled_always, -ECANCELED, 1000)

#define REFUSES(name, field, value)            \
	static void name(void)                 \
	{                                      \
		plan(&ring_plan.field, value); \
	}
REFUSES(refuses_ring, open_error, -EPERM)
REFUSES(refuses_ring_for_memory, open_error, -ENOMEM)
REFUSES(refuses_registering, register_error, -EPERM)
REFUSES(is_full, full, 3)
REFUSES(refuses_submission, submit_error, -EPERM)
REFUSES(is_busy, submit_error, -EBUSY)
REFUSES(refuses_waiting, wait_error, -EPERM)

/* ---- the table ----
 *
 * What is got over: a flush that fails while a drain or a close waits for it is the result of its ticket, and taints.
 * A flush that the ring gives back undone, or cannot take, is done again, at last by hand.
 */

#define NONE "-" /* no call of the seam fails: the ring does */
#define PLAIN (TABLE_NO_ERROR | TABLE_ONCE)
#define OPERATION(text, before, call, ...)                                                                  \
	{                                                                                                   \
		.name = text, .prepare = before, .run = call, .describe = describe, .cleanup = close_queue, \
		__VA_ARGS__                                                                                 \
	}
#define RING(text, before, call, what) \
	OPERATION(text, before, call, .arm = what, .only = NONE, .flags = PLAIN, .lacks = no_ring)

static const struct table_operation operations[] = {
	OPERATION("queue_open THREADS", use_threads, run_open, .only = "eventfd block_signals zalloc"),
	OPERATION("queue_open URING,ONE_THREAD", use_uring_one, run_open, .only = "eventfd zalloc",
		  .lacks = no_ring),
	OPERATION("queue_open URING", use_uring_shared, run_open, .only = "eventfd block_signals zalloc",
		  .lacks = no_shared_ring),
	OPERATION("queue_flush THREADS", opened_threads, run_flush, .flags = PLAIN, .only = "zalloc dup"),
	OPERATION("queue_submit THREADS", queued_threads, run_submit, .flags = PLAIN, .only = NONE),
	OPERATION("queue_wait THREADS", queued_threads, run_wait, .flags = PLAIN, .only = "flush_range"),
	OPERATION("queue_drain THREADS", queued_threads, run_drain, .flags = PLAIN, .only = "flush_range",
		  .excuses = "flush_range"),
	OPERATION("queue_close THREADS", queued_threads, run_close, .flags = PLAIN, .only = "flush_range",
		  .excuses = "flush_range"),
	OPERATION("queue_poll THREADS", opened_threads, run_poll, .flags = PLAIN),
	OPERATION("queue_eventfd THREADS", opened_threads, run_eventfd, .flags = PLAIN),
	OPERATION("queue_eventfd URING", opened_uring_shared, run_eventfd, .flags = PLAIN, .only = NONE,
		  .lacks = no_shared_ring),
	OPERATION("queue_flush URING,ONE_THREAD", opened_uring_one, run_flush, .flags = PLAIN,
		  .only = "zalloc dup", .lacks = no_ring),
	OPERATION("queue_submit URING,ONE_THREAD", queued_uring_one, run_submit, .flags = PLAIN,
		  .only = "zalloc", .lacks = no_ring),
	OPERATION("queue_wait URING,ONE_THREAD", queued_uring_one, run_wait, .flags = PLAIN, .only = "zalloc",
		  .lacks = no_ring),
	OPERATION("queue_drain URING,ONE_THREAD", queued_uring_one, run_drain, .flags = PLAIN,
		  .only = "zalloc", .lacks = no_ring),
	OPERATION("queue_close URING,ONE_THREAD", queued_uring_one, run_close, .flags = PLAIN,
		  .only = "zalloc", .lacks = no_ring),
	OPERATION("queue_open URING,ONE_THREAD: ring EPERM", use_uring_one, run_open, .arm = refuses_ring,
		  .only = NONE),
	OPERATION("queue_open URING,ONE_THREAD: ring ENOMEM", use_uring_one, run_open,
		  .arm = refuses_ring_for_memory, .only = NONE),
	OPERATION("queue_open URING,ONE_THREAD: registering EPERM", use_uring_one, run_open,
		  .arm = refuses_registering, .only = NONE, .lacks = no_ring),
	OPERATION("queue_open URING: ring EPERM", use_uring_shared, run_open, .arm = refuses_ring,
		  .only = NONE),
	RING("queue_wait URING,ONE_THREAD: completion EIO", queued_uring_one, run_wait, reaps_eio),
	RING("queue_wait URING,ONE_THREAD: completion ENOSPC", queued_uring_one, run_wait, reaps_enospc),
	RING("queue_wait URING,ONE_THREAD: completion EDQUOT", queued_uring_one, run_wait, reaps_edquot),
	RING("queue_wait URING,ONE_THREAD: completion ECANCELED", queued_uring_one, run_wait,
	     reaps_ecanceled),
	RING("queue_wait URING,ONE_THREAD: completion EAGAIN", queued_uring_one, run_wait, reaps_eagain),
	RING("queue_wait URING,ONE_THREAD: completion EINTR", queued_uring_one, run_wait, reaps_eintr),
	RING("queue_wait URING,ONE_THREAD: every completion ECANCELED", queued_uring_one, run_wait,
	     reaps_ecanceled_always),
	RING("queue_wait URING,ONE_THREAD: no free entry", queued_uring_one, run_wait, is_full),
	RING("queue_wait URING,ONE_THREAD: submission EPERM", queued_uring_one, run_wait, refuses_submission),
	RING("queue_wait URING,ONE_THREAD: submission EBUSY", queued_uring_one, run_wait, is_busy),
	RING("queue_wait URING,ONE_THREAD: waiting EPERM", queued_uring_one, run_wait, refuses_waiting),
	RING("queue_drain URING,ONE_THREAD: completion EIO", queued_uring_one, run_drain, reaps_eio),
	RING("queue_close URING,ONE_THREAD: completion EIO", queued_uring_one, run_close, reaps_eio),
	OPERATION("queue_wait URING: completion EIO", queued_uring_shared, run_wait, .arm = reaps_eio,
		  .only = NONE, .flags = PLAIN, .lacks = no_shared_ring),
	OPERATION("queue_drain URING: completion ENOSPC", queued_uring_shared, run_drain, .arm = reaps_enospc,
		  .only = NONE, .flags = PLAIN, .lacks = no_shared_ring),
	OPERATION("queue_wait URING: submission EPERM", queued_uring_shared, run_wait,
		  .arm = refuses_submission, .only = NONE, .flags = PLAIN, .lacks = no_shared_ring),
};

static void every_call_on_queues_fails_once(void **state)
{
	table_run(*state, "queue", operations, sizeof operations / sizeof *operations);
}

/* One arena: those of threads would look like leaks. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {T_TEST(every_call_on_queues_fails_once)};

	mallopt(M_ARENA_MAX, 1);
	return table_main(argc, argv, tests, 1);
}
