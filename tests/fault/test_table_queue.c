/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The table of queue.h: every operation on every backend, with each of its calls failing once in each plausible way,
 * and then what only a ring can do to it. The state is the ticket's result and that of the mapping: a flush that
 * failed has tainted it, and says which part is in doubt; one that went well has not.
 *
 * Calls of library threads, and those that only wait or wake, come in no fixed number: of threads, only those
 * that a request consists of are named here.
 */
#include "table.h"

#include <malloc.h>

#include <filemap/uring.h>

#include "base/error.h"
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

/* ---- requests of all kinds ---- */

#define LARGER (5 * TABLE_PAGE)
#define SMALLER (TABLE_PAGE + 50)

static int ask_flush(struct table *t)
{
	return filemap_queue_flush(queue, t->map, 0, FILEMAP_TO_END, NULL, NULL, &ticket);
}

static int ask_flush_after(struct table *t)
{
	uint64_t first = 0;
	const int r = filemap_queue_flush(queue, t->map, 0, 1, NULL, NULL, &first);

	if (r < 0)
		return r;
	return filemap_queue_flush_after(queue, t->map, TABLE_PAGE, FILEMAP_TO_END, first, NULL, NULL,
					 &ticket);
}

static int ask_commit(struct table *t)
{
	return filemap_queue_commit(queue, t->map, TABLE_PAGE, FILEMAP_TO_END, 8, "header", 6, NULL, NULL,
				    &ticket);
}

static int ask_sync(struct table *t)
{
	return filemap_queue_sync(queue, t->map, NULL, NULL, &ticket);
}

static int ask_writeback(struct table *t)
{
	return filemap_queue_writeback(queue, t->map, 0, FILEMAP_TO_END, NULL, NULL, &ticket);
}

static int ask_prefault(struct table *t)
{
	return filemap_queue_prefault(queue, t->map, FILEMAP_PREFAULT_READ, 0, 2 * TABLE_PAGE, NULL, NULL,
				      &ticket);
}

static int ask_larger(struct table *t)
{
	return filemap_queue_resize(queue, t->map, LARGER, NULL, NULL, &ticket);
}

static int ask_smaller(struct table *t)
{
	return filemap_queue_resize(queue, t->map, SMALLER, NULL, NULL, &ticket);
}

static int ask_remove(struct table *t)
{
	return filemap_queue_remove(queue, t->map, NULL, NULL, &ticket);
}

static int ask_sync_dir(struct table *t)
{
	return filemap_queue_sync_dir(queue, t->dir->fd, NULL, NULL, &ticket);
}

static int ask_barrier(struct table *t)
{
	(void)t;
	return filemap_queue_barrier(queue, NULL, NULL, &ticket);
}

/* The result of the request, and its whole error. */
static int64_t end_of(struct table *t, int r)
{
	struct filemap_completion done;

	if (r < 0) { /* requests have no record of their own */
		fm__fail(&t->error, r, "queue", "request");
		return r;
	}
	r = filemap_queue_wait_error(queue, ticket, -1, &done, &t->error);
	if (r != 1)
		return r;
	ticket = 0;
	return done.result;
}

#define ASKED(name)                                   \
	static void run_##name(struct table *t)       \
	{                                             \
		t->result = ask_##name(t);            \
	}                                             \
	static void whole_##name(struct table *t)     \
	{                                             \
		t->result = end_of(t, ask_##name(t)); \
	}
#define WHOLE(name)                                   \
	static void whole_##name(struct table *t)     \
	{                                             \
		t->result = end_of(t, ask_##name(t)); \
	}
WHOLE(flush)
WHOLE(smaller)
ASKED(flush_after)
ASKED(commit)
ASKED(sync)
ASKED(writeback)
ASKED(prefault)
ASKED(larger)
ASKED(remove)
ASKED(sync_dir)
ASKED(barrier)

static void run_cancel(struct table *t)
{
	(void)t;
	t->result = filemap_queue_cancel(queue, ticket);
}

static void run_error(struct table *t)
{
	struct filemap_error error;

	t->result = filemap_queue_error(queue, ticket, &error);
}

static void run_stats(struct table *t)
{
	struct filemap_queue_stats stats;

	t->result = filemap_queue_stats(queue, &stats);
}

/* ---- the caller's own ring ---- */

static int answer; /* of its entry */

static const char *no_entries(void)
{
	static uint64_t room[32];

	return fm__ring_fill_flush((struct io_uring_sqe *)(void *)room, 0, 0, 0) == -EOPNOTSUPP
		       ? "the library was built without liburing"
		       : NULL;
}

static void run_prep(struct table *t)
{
	t->result = filemap_prep_flush(t->map, 0, FILEMAP_TO_END, (struct io_uring_sqe *)(void *)t->ret);
	if (t->result == 0)
		(void)filemap_finish_flush(t->map, 0, FILEMAP_TO_END, -ECANCELED);
}

static void prepped(struct table *t)
{
	start();
	queue = NULL;
	ticket = 0;
	table_write(t);
	answer = 0;
	assert_ok(filemap_prep_flush(t->map, 0, FILEMAP_TO_END, (struct io_uring_sqe *)(void *)t->ret));
}

static void run_finish(struct table *t)
{
	t->result = filemap_finish_flush(t->map, 0, FILEMAP_TO_END, answer);
}

#define ANSWERS(name, error)    \
	static void name(void)  \
	{                       \
		answer = error; \
	}
ANSWERS(answers_eio, -EIO)
ANSWERS(answers_enospc, -ENOSPC)
ANSWERS(answers_ecanceled, -ECANCELED)
ANSWERS(answers_eintr, -EINTR)
ANSWERS(answers_eagain, -EAGAIN)

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
REAPS(reaps_efault, -EFAULT, 0)
REAPS(reaps_einval, -EINVAL, 0)
REAPS(reaps_eopnotsupp, -EOPNOTSUPP, 0)

/* The second of two. */
static void reaps_eio_later(void)
{
	reap(-EIO, 0);
	plan(&ring_plan.reaped_nth, 2);
}

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

#define ASK(text, call) OPERATION(text, opened_threads, call, .flags = PLAIN)
/* A name that cannot be moved aside is unlinked in its place: see test_table_remove.c. */
#define OTHER_WAYS \
	"random:ENOSYS move:EDQUOT move:EEXIST move:EINVAL move:ENOENT move:ENOSPC move:ENOSYS move:EXDEV"
#define BY_THREAD(text, call, calls) \
	OPERATION("queue_wait_error THREADS, " text, opened_threads, call, .only = calls)
#define BY_RING(text, call) \
	OPERATION("queue_wait_error URING,ONE_THREAD, " text, opened_uring_one, call, .lacks = no_ring)
#define COMPLETION(text, call, what)                                                               \
	OPERATION("queue_wait_error URING,ONE_THREAD, " text, opened_uring_one, call, .arm = what, \
		  .only = NONE, .lacks = no_ring)
#define FINISH(text, what) \
	OPERATION(text, prepped, run_finish, .arm = what, .only = NONE, .flags = PLAIN, .lacks = no_entries)

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
	/* requests */
	ASK("queue_flush_after THREADS", run_flush_after),
	ASK("queue_commit THREADS", run_commit),
	ASK("queue_sync THREADS", run_sync),
	ASK("queue_writeback THREADS", run_writeback),
	ASK("queue_prefault THREADS", run_prefault),
	ASK("queue_resize THREADS", run_larger),
	ASK("queue_remove THREADS", run_remove),
	ASK("queue_sync_dir THREADS", run_sync_dir),
	ASK("queue_barrier THREADS", run_barrier),
	OPERATION("queue_cancel THREADS", queued_threads, run_cancel, .flags = PLAIN),
	OPERATION("queue_error THREADS", queued_threads, run_error, .flags = PLAIN),
	OPERATION("queue_stats THREADS", queued_threads, run_stats, .flags = PLAIN),
	/* and what becomes of them */
	BY_THREAD("flush", whole_flush, "flush_range"),
	BY_THREAD("flush_after", whole_flush_after, "flush_range"),
	BY_THREAD("commit", whole_commit, "flush_range zalloc"),
	BY_THREAD("sync", whole_sync, "fsync"),
	BY_THREAD("writeback", whole_writeback, "writeback_range"),
	OPERATION("queue_wait_error THREADS, prefault", opened_threads, whole_prefault, .only = "madvise",
		  .excuses = "madvise:EINVAL"), /* they are touched one by one */
	BY_THREAD("resize, larger", whole_larger, "fallocate ftruncate remap map"),
	BY_THREAD("resize, smaller", whole_smaller, "fallocate ftruncate remap map"),
	OPERATION("queue_wait_error THREADS, remove", opened_threads, whole_remove,
		  .only = "move unlinkat fsync", .excuses = OTHER_WAYS),
	BY_THREAD("sync_dir", whole_sync_dir, "fsync openat"),
	BY_THREAD("barrier", whole_barrier, NONE),
	BY_RING("flush", whole_flush),
	BY_RING("flush_after", whole_flush_after),
	BY_RING("commit", whole_commit),
	BY_RING("sync", whole_sync),
	BY_RING("writeback", whole_writeback),
	BY_RING("prefault", whole_prefault),
	BY_RING("resize, larger", whole_larger),
	BY_RING("resize, smaller", whole_smaller),
	OPERATION("queue_wait_error URING,ONE_THREAD, remove", opened_uring_one, whole_remove,
		  .lacks = no_ring, .excuses = OTHER_WAYS),
	BY_RING("sync_dir", whole_sync_dir),
	BY_RING("barrier", whole_barrier),
	COMPLETION("flush_after: completion EIO", whole_flush_after, reaps_eio),
	COMPLETION("commit: completion EIO", whole_commit, reaps_eio),
	COMPLETION("commit: second completion EIO", whole_commit, reaps_eio_later),
	COMPLETION("sync: completion EIO", whole_sync, reaps_eio),
	COMPLETION("writeback: completion EIO", whole_writeback, reaps_eio),
	COMPLETION("writeback: completion ECANCELED", whole_writeback, reaps_ecanceled),
	COMPLETION("prefault: completion EFAULT", whole_prefault, reaps_efault),
	COMPLETION("prefault: completion EINVAL", whole_prefault, reaps_einval),
	COMPLETION("resize, larger: completion ENOSPC", whole_larger, reaps_enospc),
	COMPLETION("resize, larger: completion EOPNOTSUPP", whole_larger, reaps_eopnotsupp),
	COMPLETION("resize, larger: completion ECANCELED", whole_larger, reaps_ecanceled),
	COMPLETION("resize, smaller: completion EIO", whole_smaller, reaps_eio),
	COMPLETION("resize, smaller: completion EINVAL", whole_smaller, reaps_einval),
	COMPLETION("remove: completion EIO", whole_remove, reaps_eio),
	COMPLETION("sync_dir: completion EIO", whole_sync_dir, reaps_eio),
	/* the caller's own ring */
	OPERATION("prep_flush", use_threads, run_prep, .flags = PLAIN, .lacks = no_entries),
	OPERATION("finish_flush", prepped, run_finish, .flags = PLAIN, .lacks = no_entries),
	FINISH("finish_flush: EIO", answers_eio),
	FINISH("finish_flush: ENOSPC", answers_enospc),
	FINISH("finish_flush: ECANCELED", answers_ecanceled),
	FINISH("finish_flush: EINTR", answers_eintr),
	FINISH("finish_flush: EAGAIN", answers_eagain),
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
