/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* One suite for a queue, run on each of its shapes: they may differ in nothing but the backend's name. What needs a
 * request to stay in flight is in test_queue_order.c and tests/fault/test_queue_faults.c. */
#include "queue_shapes.h"

#include <poll.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the suite ---- */

static void a_flush_ends_with_0_and_its_own_ticket(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	struct filemap_completion done;
	uint64_t ticket = flush(queue, map, NULL, NULL);

	assert_string_equal(filemap_queue_backend(queue), shape->name);
	memset(&done, 0xFF, sizeof done);
	assert_int_equal(filemap_queue_wait(queue, ticket, -1, &done), 1);
	assert_int_equal(done.ticket, ticket);
	assert_int_equal(done.result, 0);
	assert_int_equal(done.sys_errno, 0);
	assert_int_equal(done.reserved[0] | done.reserved[1], 0);
	filemap_queue_close(queue);
	filemap_close(map);
}

static void tickets_ascend_from_1(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 2);
	struct filemap *map = open_map(dir, "a");

	for (uint64_t expected = 1; expected <= 5; expected++) {
		assert_int_equal(flush(queue, map, NULL, NULL), expected);
		assert_int_equal(filemap_queue_wait(queue, expected, -1, NULL), 1);
	}
	filemap_queue_close(queue);
	filemap_close(map);
}

static void an_ended_ticket_is_enoent(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	struct filemap_completion done = {.ticket = 77};
	uint64_t ticket = flush(queue, map, NULL, NULL);

	assert_int_equal(filemap_queue_wait(queue, ticket, -1, NULL), 1);
	assert_int_equal(filemap_queue_wait(queue, ticket, -1, &done), -ENOENT);
	assert_int_equal(filemap_queue_wait(queue, FILEMAP_ANY, -1, &done), -ENOENT);
	assert_int_equal(filemap_queue_wait(queue, ticket + 1, -1, &done), -ENOENT);
	assert_int_equal(filemap_queue_wait(queue, 0, -1, &done), -ENOENT);
	assert_int_equal(done.ticket, 77);
	filemap_queue_close(queue);
	filemap_close(map);
}

static void wait_any_ends_each_ticket_once(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 100);
	struct filemap *map = open_map(dir, "a");
	struct filemap_completion done;
	unsigned ended[101] = {0};

	for (int i = 0; i < 100; i++)
		(void)flush(queue, map, NULL, NULL);
	while (filemap_queue_wait(queue, FILEMAP_ANY, -1, &done) == 1) {
		assert_in_range(done.ticket, 1, 100);
		assert_int_equal(done.result, 0);
		ended[done.ticket]++;
	}
	for (int i = 1; i <= 100; i++)
		assert_int_equal(ended[i], 1);
	filemap_queue_close(queue);
	filemap_close(map);
}

static void beyond_depth_is_ebusy_until_one_is_claimed(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 3);
	struct filemap *map = open_map(dir, "a");
	uint64_t ticket = 99;

	for (int i = 0; i < 3; i++)
		(void)flush(queue, map, NULL, NULL);
	assert_int_equal(filemap_queue_flush(queue, map, 0, 1, NULL, NULL, &ticket), FILEMAP_EBUSY);
	assert_ok(filemap_queue_drain(queue)); /* finished, but unclaimed */
	assert_int_equal(filemap_queue_flush(queue, map, 0, 1, NULL, NULL, &ticket), FILEMAP_EBUSY);
	assert_int_equal(ticket, 99);
	assert_int_equal(filemap_queue_wait(queue, 2, 0, NULL), 1);
	assert_int_equal(flush(queue, map, NULL, NULL), 4);
	filemap_queue_close(queue);
	filemap_close(map);
}

static void a_refused_range_queues_nothing(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 1);
	struct filemap *map = open_map(dir, "a");
	uint64_t ticket = 99;

	assert_int_equal(filemap_queue_flush(queue, map, SIZE, 1, NULL, NULL, &ticket), FILEMAP_ERANGE);
	assert_int_equal(ticket, 99);
	assert_int_equal(filemap_queue_wait(queue, FILEMAP_ANY, -1, NULL), -ENOENT);
	assert_int_equal(flush(queue, map, NULL, NULL), 1);
	filemap_queue_close(queue);
	filemap_close(map);
}

static void a_flush_of_nothing_ends_with_0(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	struct filemap_completion done;
	uint64_t ticket;

	assert_ok(filemap_queue_flush(queue, map, 100, 0, NULL, NULL, &ticket));
	assert_int_equal(filemap_queue_wait(queue, ticket, -1, &done), 1);
	assert_int_equal(done.result, 0);
	filemap_queue_close(queue);
	filemap_close(map);
}

static void a_callback_runs_in_drain_on_this_thread(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	struct seen seen = {.result = 1};
	uint64_t ticket = flush(queue, map, note, &seen);

	assert_ok(filemap_queue_submit(queue));
	assert_int_equal(seen.calls, 0);
	assert_ok(filemap_queue_drain(queue));
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.result, 0);
	assert_int_equal(seen.ticket, ticket);
	assert_true(pthread_equal(seen.thread, pthread_self()));
	assert_int_equal(filemap_queue_wait(queue, ticket, -1, NULL), -ENOENT);
	filemap_queue_close(queue);
	filemap_close(map);
}

static void a_wait_for_a_ticket_with_a_callback_runs_it(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	struct filemap_completion done;
	struct seen named = {0}, any = {0};
	uint64_t first = flush(queue, map, note, &named);

	assert_int_equal(filemap_queue_wait(queue, first, -1, &done), 1);
	assert_int_equal(named.calls, 1);
	assert_int_equal(done.ticket, first);
	(void)flush(queue, map, note, &any);
	assert_int_equal(filemap_queue_wait(queue, FILEMAP_ANY, -1, &done), 1);
	assert_int_equal(any.calls, 1);
	assert_int_equal(done.ticket, any.ticket);
	assert_int_equal(filemap_queue_poll(queue), 0);
	filemap_queue_close(queue);
	filemap_close(map);
}

static void drain_leaves_tickets_without_callback_to_claim(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	struct seen seen = {0};
	uint64_t plain = flush(queue, map, NULL, NULL);

	(void)flush(queue, map, note, &seen);
	assert_ok(filemap_queue_drain(queue));
	assert_int_equal(seen.calls, 1);
	assert_int_equal(filemap_queue_wait(queue, plain, 0, NULL), 1);
	filemap_queue_close(queue);
	filemap_close(map);
}

struct chain {
	struct filemap *map;
	int left;
};

static void flush_again(struct filemap_queue *queue, uint64_t ticket, int result, void *context)
{
	struct chain *chain = context;

	(void)ticket;
	assert_int_equal(result, 0);
	if (--chain->left > 0)
		(void)flush(queue, chain->map, flush_again, chain);
}

static void a_callback_queues_the_next_at_depth_1(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 1);
	struct chain chain = {open_map(dir, "a"), 10};

	(void)flush(queue, chain.map, flush_again, &chain);
	assert_ok(filemap_queue_drain(queue));
	assert_int_equal(chain.left, 0);
	filemap_queue_close(queue);
	filemap_close(chain.map);
}

static void close_map(struct filemap_queue *queue, uint64_t ticket, int result, void *context)
{
	struct filemap **map = context;

	(void)queue;
	(void)ticket;
	assert_int_equal(result, 0);
	filemap_close(*map);
	*map = NULL;
}

static void a_callback_closes_its_map(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");

	(void)flush(queue, map, close_map, &map);
	assert_ok(filemap_queue_drain(queue));
	assert_null(map);
	filemap_queue_close(queue);
}

static void collect_inside(struct filemap_queue *queue, uint64_t ticket, int result, void *context)
{
	int *answers = context;

	(void)result;
	answers[0] = filemap_queue_poll(queue);
	answers[1] = filemap_queue_wait(queue, ticket, 0, NULL);
	answers[2] = filemap_queue_drain(queue);
	answers[3] = filemap_queue_submit(queue);
}

static void collecting_from_a_callback_is_edeadlk(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	int answers[4] = {0, 0, 0, 1};

	(void)flush(queue, map, collect_inside, answers);
	assert_ok(filemap_queue_drain(queue));
	for (int i = 0; i < 3; i++)
		assert_int_equal(answers[i], -EDEADLK);
	assert_int_equal(answers[3], 0);
	filemap_queue_close(queue);
	filemap_close(map);
}

static void drain_other(struct filemap_queue *queue, uint64_t ticket, int result, void *context)
{
	(void)queue;
	(void)ticket;
	(void)result;
	assert_ok(filemap_queue_drain(context));
}

static void a_callback_drains_another_queue(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0), *other = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	struct seen seen = {0};

	(void)flush(other, map, note, &seen);
	(void)flush(queue, map, drain_other, other);
	assert_ok(filemap_queue_drain(queue));
	assert_int_equal(seen.calls, 1);
	filemap_queue_close(queue);
	filemap_queue_close(other);
	filemap_close(map);
}

static void close_queue(struct filemap_queue *queue, uint64_t ticket, int result, void *context)
{
	(void)ticket;
	(void)result;
	++*(int *)context;
	filemap_queue_close(queue);
}

static void close_from_a_callback_waits_for_its_return(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	int calls = 0;

	for (int i = 0; i < 4; i++)
		(void)flush(queue, map, close_queue, &calls);
	assert_ok(filemap_queue_drain(queue)); /* the census finds a queue that is still open */
	assert_int_equal(calls, 1);
	filemap_close(map);
}

static void close_waits_and_runs_no_callback(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	struct seen seen = {0};

	for (int i = 0; i < 32; i++)
		(void)flush(queue, map, note, &seen);
	assert_ok(filemap_queue_submit(queue));
	(void)flush(queue, map, note, &seen); /* one was not even submitted */
	filemap_close(map);
	filemap_queue_close(queue);
	assert_int_equal(seen.calls, 0);
}

static void a_map_closed_in_flight_is_flushed_all_the_same(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 64);
	struct filemap_completion done;
	char name[16];

	for (int i = 0; i < 32; i++) {
		snprintf(name, sizeof name, "f%d", i);
		struct filemap *map = open_map(dir, name);
		(void)flush(queue, map, NULL, NULL);
		assert_ok(filemap_queue_submit(queue));
		filemap_close(map); /* the next map would be given its descriptor */
	}
	for (int i = 0; i < 32; i++) {
		assert_int_equal(filemap_queue_wait(queue, FILEMAP_ANY, -1, &done), 1);
		assert_int_equal(done.result, 0);
	}
	filemap_queue_close(queue);
}

static int readable(int fd, int timeout_ms)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};

	return poll(&one, 1, timeout_ms);
}

static void the_eventfd_is_readable_until_polled(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	struct seen seen = {0};
	int fd = filemap_queue_eventfd(queue);

	assert_true(fd > 2);
	assert_int_equal(filemap_queue_eventfd(queue), fd);
	assert_int_equal(filemap_queue_poll(queue), 0);
	assert_int_equal(readable(fd, 0), 0);
	(void)flush(queue, map, note, &seen);
	assert_int_equal(readable(fd, 0), 0); /* queued only */
	assert_ok(filemap_queue_submit(queue));
	while (seen.calls == 0) {
		assert_int_equal(readable(fd, -1), 1);
		assert_true(filemap_queue_poll(queue) >= 0);
	}
	assert_int_equal(filemap_queue_poll(queue), 0);
	assert_int_equal(readable(fd, 0), 0);
	filemap_queue_close(queue);
	filemap_close(map);
}

static void the_eventfd_announces_what_finished_before(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");

	(void)flush(queue, map, NULL, NULL);
	assert_ok(filemap_queue_drain(queue));
	assert_int_equal(readable(filemap_queue_eventfd(queue), -1), 1);
	filemap_queue_close(queue);
	filemap_close(map);
}

static void the_eventfd_announces_a_cancellation(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	int fd = filemap_queue_eventfd(queue);
	struct seen seen = {0};

	assert_int_equal(filemap_queue_poll(queue), 0);
	assert_int_equal(readable(fd, 0), 0);
	assert_ok(filemap_queue_cancel(queue, flush(queue, map, note, &seen)));
	assert_int_equal(readable(fd, 0), 1);
	assert_int_equal(filemap_queue_poll(queue), 1);
	assert_int_equal(seen.result, -ECANCELED);
	filemap_queue_close(queue);
	filemap_close(map);
}

struct echo {
	struct filemap *map;
	struct seen seen;
};

static void finish_another(struct filemap_queue *queue, uint64_t ticket, int result, void *context)
{
	struct echo *echo = context;
	(void)ticket;
	(void)result;

	assert_ok(filemap_queue_flush(queue, echo->map, 0, 0, note, &echo->seen, NULL));
	assert_ok(filemap_queue_submit(queue));
}

static void the_eventfd_announces_what_finishes_in_a_callback(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct echo echo = {.map = open_map(dir, "a")};
	int fd = filemap_queue_eventfd(queue);

	assert_ok(filemap_queue_flush(queue, echo.map, 0, 0, finish_another, &echo, NULL));
	assert_int_equal(filemap_queue_poll(queue), 1); /* what the callback queues is for the next one */
	assert_int_equal(echo.seen.calls, 0);
	assert_int_equal(readable(fd, 0), 1);
	assert_int_equal(filemap_queue_poll(queue), 1);
	assert_int_equal(echo.seen.calls, 1);
	assert_int_equal(readable(fd, 0), 0);
	filemap_queue_close(queue);
	filemap_close(echo.map);
}

static void the_eventfd_announces_a_flush_of_nothing(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	int fd = filemap_queue_eventfd(queue);

	(void)filemap_queue_poll(queue);
	assert_ok(filemap_queue_flush(queue, map, 0, 0, NULL, NULL, NULL));
	assert_ok(filemap_queue_submit(queue));
	assert_int_equal(readable(fd, -1), 1);
	filemap_queue_close(queue);
	filemap_close(map);
}

struct family {
	struct filemap_queue *queue;
	struct filemap *map;
	uint64_t ticket;
};

static int use_as_child(void *context)
{
	struct family *f = context;
	uint64_t ticket;

	if (filemap_queue_flush(f->queue, f->map, 0, 1, NULL, NULL, &ticket) != FILEMAP_EFORKED)
		return 1;
	if (filemap_queue_submit(f->queue) != FILEMAP_EFORKED)
		return 2;
	if (filemap_queue_poll(f->queue) != FILEMAP_EFORKED)
		return 3;
	if (filemap_queue_wait(f->queue, f->ticket, -1, NULL) != FILEMAP_EFORKED)
		return 4;
	if (filemap_queue_drain(f->queue) != FILEMAP_EFORKED)
		return 5;
	if (filemap_queue_eventfd(f->queue) != FILEMAP_EFORKED)
		return 6;
	filemap_queue_close(f->queue);
	filemap_close(f->map);
	return 0;
}

static void a_forked_child_is_refused_and_harms_nothing(struct t_dir *dir, const struct shape *shape)
{
	struct family f = {open_queue(shape, 0), open_map(dir, "a"), 0};

	f.ticket = flush(f.queue, f.map, NULL, NULL);
	assert_ok(filemap_queue_submit(f.queue));
	assert_int_equal(t_in_child(use_as_child, &f), 0);
	assert_int_equal(filemap_queue_wait(f.queue, f.ticket, -1, NULL), 1);
	f.ticket = flush(f.queue, f.map, NULL, NULL);
	assert_int_equal(filemap_queue_wait(f.queue, f.ticket, -1, NULL), 1);
	filemap_queue_close(f.queue);
	filemap_close(f.map);
}

struct fork_in_callback {
	int status, calls;
	pid_t child;
};

static void fork_and_return(struct filemap_queue *queue, uint64_t ticket, int result, void *context)
{
	struct fork_in_callback *f = context;

	(void)ticket, (void)result;
	f->calls++;
	if (f->calls > 1)
		return;
	f->child = fork();
	if (f->child == 0)
		filemap_queue_close(queue);
	else
		waitpid(f->child, &f->status, 0);
}

static int collect_and_fork(struct filemap_queue *queue, uint64_t ticket, int how)
{
	if (how == 0)
		return filemap_queue_poll(queue);
	if (how == 1)
		return filemap_queue_drain(queue);
	return filemap_queue_wait(queue, ticket, -1, NULL);
}

/* The library's threads and the requests are the parent's, also for what the callback returns to. */
static void a_child_forked_in_a_callback_comes_back_to_eforked(struct t_dir *dir, const struct shape *shape)
{
	for (int how = 0; how < 3; how++) {
		struct filemap_queue *queue = open_queue(shape, 0);
		struct filemap *map = open_map(dir, "a");
		struct fork_in_callback f = {0};
		uint64_t ticket;
		int r;

		assert_ok(filemap_queue_flush(queue, map, 0, 0, fork_and_return, &f, &ticket));
		assert_ok(filemap_queue_flush(queue, map, 0, 0, fork_and_return, &f, NULL));
		(void)flush(queue, map, NULL, NULL);
		r = collect_and_fork(queue, ticket, how);
		if (f.child == 0) {
			filemap_close(map);
			_exit(r == FILEMAP_EFORKED && f.calls == 1 ? 0 : 1);
		}
		assert_true(WIFEXITED(f.status) && WEXITSTATUS(f.status) == 0);
		assert_true(r >= 0);
		assert_ok(filemap_queue_drain(queue));
		assert_int_equal(f.calls, 2);
		filemap_queue_close(queue);
		filemap_close(map);
	}
}

static int open_as_child(void *context)
{
	struct family *f = context;
	const struct filemap_queue_options *options =
		FILEMAP_QUEUE_OPTIONS(.backend = FILEMAP_QUEUE_AUTO, .flags = FILEMAP_QUEUE_ONE_THREAD);

	if (filemap_queue_open(options, &f->queue, NULL) != 0)
		return 1;
	if (filemap_queue_flush(f->queue, f->map, 0, 1, NULL, NULL, &f->ticket) != 0)
		return 2;
	if (filemap_queue_wait(f->queue, f->ticket, -1, NULL) != 1)
		return 3;
	filemap_queue_close(f->queue);
	filemap_close(f->map);
	return 0;
}

static void a_forked_child_opens_its_own(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct family f = {NULL, open_map(dir, "a"), 0};

	assert_int_equal(t_in_child(open_as_child, &f), 0);
	filemap_queue_close(queue);
	filemap_close(f.map);
}

/* ---- one thread, many threads ---- */

static void *use_from_elsewhere(void *context)
{
	struct family *f = context;
	uint64_t wrong = 0;

	wrong += filemap_queue_flush(f->queue, f->map, 0, 1, NULL, NULL, NULL) != FILEMAP_EMODE;
	wrong += filemap_queue_submit(f->queue) != FILEMAP_EMODE;
	wrong += filemap_queue_poll(f->queue) != FILEMAP_EMODE;
	wrong += filemap_queue_wait(f->queue, FILEMAP_ANY, 0, NULL) != FILEMAP_EMODE;
	wrong += filemap_queue_drain(f->queue) != FILEMAP_EMODE;
	wrong += filemap_queue_eventfd(f->queue) != FILEMAP_EMODE;
	filemap_queue_close(f->queue); /* ignored */
	f->ticket = wrong;
	return NULL;
}

static void another_thread_is_emode(struct t_dir *dir, const struct shape *shape)
{
	struct family f = {open_queue(shape, 0), open_map(dir, "a"), 99};
	pthread_t thread;

	assert_ok(pthread_create(&thread, NULL, use_from_elsewhere, &f));
	assert_ok(pthread_join(thread, NULL));
	assert_int_equal(f.ticket, 0);
	assert_int_equal(filemap_queue_wait(f.queue, flush(f.queue, f.map, NULL, NULL), -1, NULL), 1);
	filemap_queue_close(f.queue);
	filemap_close(f.map);
}

struct heir {
	struct family family;
	const struct shape *shape;
	pthread_t owner;
	int is_same; /* the next thread has the pthread_t of the one that ended */
};

static void *open_and_end(void *context)
{
	struct heir *heir = context;

	heir->owner = pthread_self();
	heir->family.queue = open_queue(heir->shape, 0);
	return NULL;
}

static void *inherit(void *context)
{
	struct heir *heir = context;

	heir->is_same = pthread_equal(heir->owner, pthread_self()) != 0;
	return use_from_elsewhere(&heir->family);
}

/* In a process of its own: nobody can close such a queue any more. */
static int let_inherit(void *context)
{
	struct heir *heir = context;
	pthread_t thread;

	if (pthread_create(&thread, NULL, open_and_end, heir) != 0 || pthread_join(thread, NULL) != 0 ||
	    pthread_create(&thread, NULL, inherit, heir) != 0 || pthread_join(thread, NULL) != 0)
		return 77;
	return heir->is_same ? (int)heir->family.ticket : 78;
}

/* Its pthread_t is that of the owner, in most C libraries. */
static void a_thread_after_the_owner_s_end_is_emode(struct t_dir *dir, const struct shape *shape)
{
	struct heir heir = {.family = {NULL, NULL, 99}, .shape = shape};
	int r;

	need(shape);
	heir.family.map = open_map(dir, "a");
	r = t_in_child(let_inherit, &heir);
	filemap_close(heir.family.map);
	if (r == 78)
		t_skip("no thread got the pthread_t of another one");
	assert_int_equal(r, 0);
}

#define THREADS 4
#define TICKETS 200

struct claims {
	struct filemap_queue *queue;
	unsigned ended[TICKETS + 1]; /* atomic */
	unsigned failures;           /* atomic */
};

static void *claim_all(void *context)
{
	struct claims *claims = context;
	struct filemap_completion done;
	int r;

	while ((r = filemap_queue_wait(claims->queue, FILEMAP_ANY, -1, &done)) == 1)
		__atomic_add_fetch(&claims->ended[done.ticket], 1, __ATOMIC_RELAXED);
	if (r != -ENOENT)
		__atomic_add_fetch(&claims->failures, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void several_threads_waiting_for_any_get_each_ticket_once(struct t_dir *dir, const struct shape *shape)
{
	struct claims claims = {.queue = open_queue(shape, TICKETS)};
	struct filemap *map = open_map(dir, "a");
	pthread_t waiters[THREADS];

	for (int i = 0; i < TICKETS; i++)
		(void)flush(claims.queue, map, NULL, NULL);
	for (int i = 0; i < THREADS; i++)
		assert_ok(pthread_create(&waiters[i], NULL, claim_all, &claims));
	for (int i = 0; i < THREADS; i++)
		assert_ok(pthread_join(waiters[i], NULL));
	assert_int_equal(claims.failures, 0);
	for (int i = 1; i <= TICKETS; i++)
		assert_int_equal(claims.ended[i], 1);
	filemap_queue_close(claims.queue);
	filemap_close(map);
}

struct meeting {
	struct filemap_queue *queue;
	pthread_barrier_t inside;
	uint64_t ticket;
	int returned; /* atomic: the callback has come to its end */
};

static void meet(struct filemap_queue *queue, uint64_t ticket, int result, void *context)
{
	struct meeting *meeting = context;

	(void)queue;
	(void)ticket;
	(void)result;
	pthread_barrier_wait(&meeting->inside);
	for (int i = 0; i < 1000; i++)
		sched_yield(); /* a drain that does not wait for the return is caught more often */
	__atomic_store_n(&meeting->returned, 1, __ATOMIC_RELEASE);
}

static void *poll_until_met(void *context)
{
	struct meeting *meeting = context;

	while (filemap_queue_poll(meeting->queue) == 0)
		;
	return NULL;
}

static void drain_waits_for_a_callback_on_another_thread(struct t_dir *dir, const struct shape *shape)
{
	struct meeting meeting = {.queue = open_queue(shape, 0)};
	struct filemap *map = open_map(dir, "a");
	pthread_t thread;

	assert_ok(pthread_barrier_init(&meeting.inside, NULL, 2));
	meeting.ticket = flush(meeting.queue, map, meet, &meeting);
	assert_ok(pthread_create(&thread, NULL, poll_until_met, &meeting));
	pthread_barrier_wait(&meeting.inside); /* the ticket is with the other thread now */
	assert_ok(filemap_queue_drain(meeting.queue));
	assert_int_equal(__atomic_load_n(&meeting.returned, __ATOMIC_ACQUIRE), 1);
	assert_ok(pthread_join(thread, NULL));
	pthread_barrier_destroy(&meeting.inside);
	filemap_queue_close(meeting.queue);
	filemap_close(map);
}

static void auto_for_many_threads_takes_threads(void **state)
{
	struct filemap_queue *queue;

	(void)state;
	assert_ok(filemap_queue_open(NULL, &queue, NULL));
	assert_string_equal(filemap_queue_backend(queue), "threads");
	filemap_queue_close(queue);
}

/* ---- the cases ---- */

ON_ALL(a_flush_ends_with_0_and_its_own_ticket)
ON_ALL(tickets_ascend_from_1)
ON_ALL(an_ended_ticket_is_enoent)
ON_ALL(wait_any_ends_each_ticket_once)
ON_ALL(beyond_depth_is_ebusy_until_one_is_claimed)
ON_ALL(a_refused_range_queues_nothing)
ON_ALL(a_flush_of_nothing_ends_with_0)
ON_ALL(a_callback_runs_in_drain_on_this_thread)
ON_ALL(a_wait_for_a_ticket_with_a_callback_runs_it)
ON_ALL(drain_leaves_tickets_without_callback_to_claim)
ON_ALL(a_callback_queues_the_next_at_depth_1)
ON_ALL(a_callback_closes_its_map)
ON_ALL(collecting_from_a_callback_is_edeadlk)
ON_ALL(a_callback_drains_another_queue)
ON_ALL(close_from_a_callback_waits_for_its_return)
ON_ALL(close_waits_and_runs_no_callback)
ON_ALL(a_map_closed_in_flight_is_flushed_all_the_same)
ON_ALL(the_eventfd_is_readable_until_polled)
ON_ALL(the_eventfd_announces_what_finished_before)
ON_ALL(the_eventfd_announces_a_flush_of_nothing)
ON_ALL(the_eventfd_announces_a_cancellation)
ON_ALL(the_eventfd_announces_what_finishes_in_a_callback)
ON_ALL(a_forked_child_is_refused_and_harms_nothing)
ON_ALL(a_forked_child_opens_its_own)
ON_ALL(a_child_forked_in_a_callback_comes_back_to_eforked)
ON_ONE(another_thread_is_emode)
ON_ONE(a_thread_after_the_owner_s_end_is_emode)
ON_SHARED(several_threads_waiting_for_any_get_each_ticket_once)
ON_SHARED(drain_waits_for_a_callback_on_another_thread)

T_MAIN(ENTRIES_ALL(a_flush_ends_with_0_and_its_own_ticket), ENTRIES_ALL(tickets_ascend_from_1),
       ENTRIES_ALL(an_ended_ticket_is_enoent), ENTRIES_ALL(wait_any_ends_each_ticket_once),
       ENTRIES_ALL(beyond_depth_is_ebusy_until_one_is_claimed), ENTRIES_ALL(a_refused_range_queues_nothing),
       ENTRIES_ALL(a_flush_of_nothing_ends_with_0), ENTRIES_ALL(a_callback_runs_in_drain_on_this_thread),
       ENTRIES_ALL(a_wait_for_a_ticket_with_a_callback_runs_it),
       ENTRIES_ALL(drain_leaves_tickets_without_callback_to_claim),
       ENTRIES_ALL(a_callback_queues_the_next_at_depth_1), ENTRIES_ALL(a_callback_closes_its_map),
       ENTRIES_ALL(collecting_from_a_callback_is_edeadlk), ENTRIES_ALL(a_callback_drains_another_queue),
       ENTRIES_ALL(close_from_a_callback_waits_for_its_return), ENTRIES_ALL(close_waits_and_runs_no_callback),
       ENTRIES_ALL(a_map_closed_in_flight_is_flushed_all_the_same),
       ENTRIES_ALL(the_eventfd_is_readable_until_polled),
       ENTRIES_ALL(the_eventfd_announces_what_finished_before),
       ENTRIES_ALL(the_eventfd_announces_a_flush_of_nothing),
       ENTRIES_ALL(the_eventfd_announces_a_cancellation),
       ENTRIES_ALL(the_eventfd_announces_what_finishes_in_a_callback),
       ENTRIES_ALL(a_forked_child_is_refused_and_harms_nothing), ENTRIES_ALL(a_forked_child_opens_its_own),
       ENTRIES_ALL(a_child_forked_in_a_callback_comes_back_to_eforked), ENTRIES_ONE(another_thread_is_emode),
       ENTRIES_ONE(a_thread_after_the_owner_s_end_is_emode),
       ENTRIES_SHARED(several_threads_waiting_for_any_get_each_ticket_once),
       ENTRIES_SHARED(drain_waits_for_a_callback_on_another_thread),
       T_TEST(auto_for_many_threads_takes_threads))
