/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Many threads on one queue, everything at once, while signals come in: requests of all kinds, with and without
 * callbacks, maps closed in flight, barriers, cancelling, callbacks that queue more, polls, waits for named tickets and
 * for any. Counted, not timed: at the end each request that was accepted has ended exactly once, with a result
 * that it may have, and nothing is left. Then the same with a queue for each thread.
 */
#include "t.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <filemap/queue.h>

#include "sys/ring.h"
#include "sys/sys.h"

#define THREADS 8
#define ROUNDS 120
#define DEPTH 32
#define COMMON 3
#define TICKETS (THREADS * ROUNDS * 4)
#define SIZE ((size_t)65536)
#define HEADER ((size_t)64) /* of each thread, behind each other at the start of a map */
#define COMMIT_PAGE ((size_t)4096)
#define OWN_LARGEST ((size_t)262144)

/* One queue, used by one thread or by all. */
struct storm {
	struct filemap_queue *queue;
	struct filemap **common;
	unsigned accepted, failures; /* atomic, as all below */
	unsigned called_of[TICKETS], claimed_of[TICKETS], cancelled_of[TICKETS];
	unsigned has_callback[TICKETS], may_fail[TICKETS];
	int result_of[TICKETS];
};

struct rider {
	struct storm *storm;
	const struct t_dir *dir;
	unsigned number, random;
	uint64_t last;        /* ticket */
	unsigned is_changing; /* atomic: a change of `own` is in flight */
	unsigned is_committing;
	struct filemap *own; /* nobody else's */
	char name[320];
};

static void add(unsigned *counter)
{
	__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

static unsigned get(const unsigned *counter)
{
	return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

static void set(unsigned *flag, unsigned value)
{
	__atomic_store_n(flag, value, __ATOMIC_RELEASE);
}

static unsigned below(struct rider *rider, unsigned limit)
{
	rider->random = rider->random * 1664525u + 1013904223u;
	return (rider->random >> 16) % limit;
}

static void failed(struct storm *storm, const char *what, int r)
{
	fprintf(stderr, "%s: %d\n", what, r);
	add(&storm->failures);
}

/* ---- tickets end ---- */

static void note(struct storm *storm, uint64_t ticket, int result)
{
	if (ticket == 0 || ticket >= TICKETS)
		failed(storm, "a ticket that was never given", result);
	else
		__atomic_store_n(&storm->result_of[ticket], result, __ATOMIC_RELAXED);
}

static void accepted(struct storm *storm, uint64_t ticket, bool has_callback, bool may_fail)
{
	add(&storm->accepted);
	if (ticket >= TICKETS)
		abort();
	set(&storm->has_callback[ticket], has_callback);
	set(&storm->may_fail[ticket], may_fail);
}

static void called(struct filemap_queue *queue, uint64_t ticket, int result, void *context)
{
	struct storm *storm = context;
	uint64_t next;

	note(storm, ticket, result);
	add(&storm->called_of[ticket % TICKETS]);
	if (ticket % 8 != 0)
		return;
	if (filemap_queue_flush(queue, storm->common[ticket % COMMON], 0, 1, called, storm, &next) == 0)
		accepted(storm, next, true, false);
	(void)filemap_queue_cancel(queue, ticket); /* it has ended */
}

static void called_rider(struct filemap_queue *queue, uint64_t ticket, int result, void *context)
{
	struct rider *rider = context;

	(void)queue;
	note(rider->storm, ticket, result);
	add(&rider->storm->called_of[ticket % TICKETS]);
	set(&rider->is_changing, 0);
}

static void called_commit(struct filemap_queue *queue, uint64_t ticket, int result, void *context)
{
	struct rider *rider = context;

	(void)queue;
	note(rider->storm, ticket, result);
	add(&rider->storm->called_of[ticket % TICKETS]);
	set(&rider->is_committing, 0);
}

static int claim(struct storm *storm, uint64_t ticket, int timeout_ms)
{
	struct filemap_completion done;
	const int r = filemap_queue_wait(storm->queue, ticket, timeout_ms, &done);

	if (r == 1) {
		note(storm, done.ticket, done.result);
		add(&storm->claimed_of[done.ticket % TICKETS]);
	} else if (r != 0 && r != -ENOENT && r != -EINTR) {
		failed(storm, "wait", r);
	}
	return r;
}

static void claim_for_sure(struct storm *storm, uint64_t ticket)
{
	while (claim(storm, ticket, -1) == -EINTR)
		;
}

/* ---- requests ---- */

static void make_room(struct rider *rider)
{
	(void)filemap_queue_poll(rider->storm->queue);
	(void)claim(rider->storm, FILEMAP_ANY, 1);
}

static filemap_completed *any_callback(struct rider *rider)
{
	return below(rider, 2) == 0 ? called : NULL;
}

/* Makes room, and says that it is worth another try. */
static bool is_full(struct rider *rider, int r)
{
	if (r == FILEMAP_EBUSY)
		make_room(rider);
	return r == FILEMAP_EBUSY;
}

/* The ticket, 0 if the request was not taken. */
static uint64_t taken(struct rider *rider, int r, uint64_t ticket, bool has_callback, bool may_fail)
{
	if (r < 0) {
		if (r != -ENOENT)
			failed(rider->storm, "a request", r);
		return 0;
	}
	accepted(rider->storm, ticket, has_callback, may_fail);
	rider->last = ticket;
	return ticket;
}

static struct filemap *any_common(struct rider *rider)
{
	return rider->storm->common[below(rider, COMMON)];
}

static uint64_t flush(struct rider *rider, struct filemap *map, filemap_completed *callback)
{
	struct storm *storm = rider->storm;
	const size_t offset = below(rider, (unsigned)SIZE / 2), length = 1 + below(rider, (unsigned)SIZE / 2);

	uint64_t ticket = 0;
	int r;

	do
		r = filemap_queue_flush(storm->queue, map, offset, length, callback, storm, &ticket);
	while (is_full(rider, r));
	return taken(rider, r, ticket, callback != NULL, false);
}

static uint64_t prefault(struct rider *rider, struct filemap *map, unsigned how, filemap_completed *callback)
{
	struct storm *storm = rider->storm;
	uint64_t ticket = 0;
	int r;

	do
		r = filemap_queue_prefault(storm->queue, map, how, 0, SIZE / 2, callback, storm, &ticket);
	while (is_full(rider, r));
	return taken(rider, r, ticket, callback != NULL, false);
}

static void open_own(struct rider *rider)
{
	const int r = filemap_open(rider->name, FILEMAP_WRITE,
				   FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | FILEMAP_NO_DURABLE_NAME,
						   .size = SIZE, .reserve = OWN_LARGEST),
				   &rider->own, NULL);

	if (r != 0) {
		failed(rider->storm, "open", r);
		abort();
	}
}

static void close_in_flight(struct rider *rider)
{
	struct filemap *own = rider->own;

	memset(filemap_data_mut(own), (int)rider->number, SIZE / 2);
	(void)flush(rider, own, called);
	(void)prefault(rider, own, FILEMAP_PREFAULT_WRITE, NULL);
	(void)filemap_queue_submit(rider->storm->queue);
	filemap_close(own);
	/* The lock belongs to the open file, which the requests keep: another name for the next. */
	snprintf(rider->name, sizeof rider->name, "%s/r%u-%llu", rider->dir->path, rider->number,
		 (unsigned long long)rider->last);
	open_own(rider);
}

/* The call that ends it may be another thread's: the map is left alone until then. */
static void until_changed(struct rider *rider, uint64_t ticket)
{
	if (ticket == 0)
		set(&rider->is_changing, 0);
	while (get(&rider->is_changing) != 0)
		(void)claim(rider->storm, ticket, 10);
}

static void resize(struct rider *rider)
{
	const uint64_t size = SIZE + below(rider, (unsigned)(OWN_LARGEST - SIZE) / 4096 + 1) * (uint64_t)4096;
	uint64_t ticket = 0;
	int r;

	set(&rider->is_changing, 1);
	do
		r = filemap_queue_resize(rider->storm->queue, rider->own, size, called_rider, rider, &ticket);
	while (is_full(rider, r));
	until_changed(rider, taken(rider, r, ticket, true, true));
}

static void remove_own(struct rider *rider)
{
	uint64_t ticket = 0;
	int r;

	set(&rider->is_changing, 1);
	do
		r = filemap_queue_remove(rider->storm->queue, rider->own, called_rider, rider, &ticket);
	while (is_full(rider, r));
	until_changed(rider, taken(rider, r, ticket, true, false));
	filemap_close(rider->own);
	open_own(rider);
}

static void commit(struct rider *rider)
{
	struct filemap *map = any_common(rider);
	const size_t offset = below(rider, 4) * COMMIT_PAGE + rider->number * HEADER;
	unsigned char header[HEADER];
	uint64_t ticket = 0;
	int r;

	if (get(&rider->is_committing) != 0)
		return;
	memset(header, (int)rider->number + 1, sizeof header);
	set(&rider->is_committing, 1);
	do
		r = filemap_queue_commit(rider->storm->queue, map, SIZE / 2, SIZE / 4, offset, header,
					 sizeof header, called_commit, rider, &ticket);
	while (is_full(rider, r));
	if (taken(rider, r, ticket, true, false) == 0)
		set(&rider->is_committing, 0);
}

static void flush_after(struct rider *rider)
{
	struct storm *storm = rider->storm;
	struct filemap *map = any_common(rider);
	filemap_completed *callback = any_callback(rider);
	const uint64_t after = rider->last;
	uint64_t ticket = 0;
	int r;

	do
		r = filemap_queue_flush_after(storm->queue, map, 0, FILEMAP_TO_END, after, callback, storm,
					      &ticket);
	while (is_full(rider, r));
	(void)taken(rider, r, ticket, callback != NULL, false);
}

static int ask(struct storm *storm, unsigned which, struct filemap *map, int dirfd,
	       filemap_completed *callback, uint64_t *ret_ticket)
{
	switch (which) {
	case 0:
		return filemap_queue_sync(storm->queue, map, callback, storm, ret_ticket);
	case 1:
		return filemap_queue_writeback(storm->queue, map, 0, SIZE / 2, callback, storm, ret_ticket);
	case 2:
		return filemap_queue_sync_dir(storm->queue, dirfd, callback, storm, ret_ticket);
	default:
		return filemap_queue_barrier(storm->queue, callback, storm, ret_ticket);
	}
}

static void ask_for_something_else(struct rider *rider)
{
	struct filemap *map = any_common(rider);
	filemap_completed *callback = any_callback(rider);
	const unsigned which = below(rider, 5);
	uint64_t ticket = 0;
	int r;

	if (which == 4) {
		(void)prefault(rider, map, FILEMAP_PREFAULT_READ, callback);
		return;
	}
	do
		r = ask(rider->storm, which, map, rider->dir->fd, callback, &ticket);
	while (is_full(rider, r));
	(void)taken(rider, r, ticket, callback != NULL, false);
}

static void cancel(struct rider *rider)
{
	struct storm *storm = rider->storm;
	const unsigned known = get(&storm->accepted);
	const uint64_t ticket = known > 8 ? known - below(rider, 8) : rider->last;
	const int r = filemap_queue_cancel(storm->queue, ticket);

	if (r == 0)
		set(&storm->cancelled_of[ticket % TICKETS], 1);
	else if (r != -EALREADY && r != -ENOENT)
		failed(storm, "cancel", r);
}

static void look(struct rider *rider)
{
	struct filemap_queue_stats stats;
	struct filemap_error error;
	struct storm *storm = rider->storm;
	const int event = filemap_queue_eventfd(storm->queue);

	if (event < 0 || filemap_queue_stats(storm->queue, &stats) != 0 ||
	    stats.in_flight != stats.queued - stats.finished)
		failed(storm, "stats", event);
	if (filemap_queue_error(storm->queue, rider->last, &error) == 1 && error.step == NULL)
		failed(storm, "error", error.code);
	(void)fm__sys_poll_in(event, 0);
}

static void step(struct rider *rider)
{
	struct storm *storm = rider->storm;

	switch (below(rider, 16)) {
	case 0:
		close_in_flight(rider);
		break;
	case 1:
		resize(rider);
		break;
	case 2:
		remove_own(rider);
		break;
	case 3:
		commit(rider);
		break;
	case 4:
		claim_for_sure(storm, flush(rider, any_common(rider), NULL));
		break;
	case 5:
		(void)flush(rider, any_common(rider), NULL);
		(void)filemap_queue_submit(storm->queue);
		break;
	case 6:
	case 7:
		flush_after(rider);
		break;
	case 8:
		(void)filemap_queue_poll(storm->queue);
		break;
	case 9:
		(void)claim(storm, FILEMAP_ANY, (int)below(rider, 2));
		break;
	case 10:
	case 11:
		cancel(rider);
		break;
	case 12:
		look(rider);
		break;
	case 13:
		(void)flush(rider, any_common(rider), called);
		break;
	default:
		ask_for_something_else(rider);
		break;
	}
}

/* ---- storms ---- */

static void ride(struct rider *rider)
{
	snprintf(rider->name, sizeof rider->name, "%s/r%u", rider->dir->path, rider->number);
	open_own(rider);
	for (int i = 0; i < ROUNDS; i++)
		step(rider);
	while (get(&rider->is_committing) != 0)
		(void)claim(rider->storm, FILEMAP_ANY, 10);
	filemap_close(rider->own);
}

static void *ride_shared(void *context)
{
	ride(context);
	return NULL;
}

static int open_storm(struct storm *storm, uint32_t backend, uint32_t flags, struct filemap **common)
{
	memset(storm, 0, sizeof *storm);
	storm->common = common;
	return filemap_queue_open(FILEMAP_QUEUE_OPTIONS(.backend = backend, .flags = flags, .depth = DEPTH),
				  &storm->queue, NULL);
}

/* On the thread that may use the queue. */
static void end_storm(struct storm *storm)
{
	struct filemap_queue_stats stats;
	int r;

	if (filemap_queue_drain(storm->queue) != 0)
		failed(storm, "drain", 0);
	do
		r = claim(storm, FILEMAP_ANY, 0);
	while (r == 1 || r == -EINTR);
	if (r != -ENOENT)
		failed(storm, "tickets are left", r);
	if (filemap_queue_stats(storm->queue, &stats) != 0 || stats.queued != storm->accepted ||
	    stats.finished != stats.queued || stats.in_flight != 0 || stats.at_work != 0)
		failed(storm, "the statistics", (int)stats.queued);
	filemap_queue_close(storm->queue);
}

static bool may_be_result(const struct storm *storm, unsigned ticket)
{
	const int result = storm->result_of[ticket];

	if (storm->cancelled_of[ticket])
		return result == -ECANCELED;
	return result >= 0 || result == -ECANCELED || (storm->may_fail[ticket] && result == FILEMAP_EBUSY);
}

static void check_tickets(const struct storm *storm)
{
	assert_int_equal(storm->failures, 0);
	for (unsigned ticket = 1; ticket <= storm->accepted; ticket++) {
		assert_int_equal(storm->called_of[ticket], storm->has_callback[ticket]);
		if (!storm->has_callback[ticket])
			assert_int_equal(storm->claimed_of[ticket], 1);
		assert_true(may_be_result(storm, ticket));
	}
}

static void nothing(int signal)
{
	(void)signal;
}

/* Signals come in all the time, to any of the threads. */
static void start_signals(void)
{
	const struct sigaction action = {.sa_handler = nothing};
	const struct itimerval often = {{0, 500}, {0, 500}};

	assert_ok(sigaction(SIGALRM, &action, NULL));
	assert_ok(setitimer(ITIMER_REAL, &often, NULL));
}

static void stop_signals(void)
{
	const struct itimerval never = {{0, 0}, {0, 0}};

	assert_ok(setitimer(ITIMER_REAL, &never, NULL));
}

static void open_common(const struct t_dir *dir, struct filemap *common[COMMON])
{
	static const char *const names[COMMON] = {"c0", "c1", "c2"};

	for (int i = 0; i < COMMON; i++)
		assert_ok(filemap_open(t_path(dir, names[i]), FILEMAP_WRITE,
				       FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = SIZE), &common[i],
				       NULL));
}

static void close_common(struct filemap *common[COMMON])
{
	for (int i = 0; i < COMMON; i++)
		assert_ok(filemap_try_close(common[i]));
}

static void run_riders(struct rider *riders, void *(*body)(void *))
{
	pthread_t threads[THREADS];

	start_signals();
	for (unsigned i = 0; i < THREADS; i++)
		assert_ok(pthread_create(&threads[i], NULL, body, &riders[i]));
	for (unsigned i = 0; i < THREADS; i++)
		assert_ok(pthread_join(threads[i], NULL));
	stop_signals();
}

static void each_request_of_a_storm_ends_once(const struct t_dir *dir, uint32_t backend)
{
	static struct storm storm;
	struct filemap *common[COMMON];
	struct rider riders[THREADS];

	open_common(dir, common);
	assert_ok(open_storm(&storm, backend, 0, common));
	for (unsigned i = 0; i < THREADS; i++)
		riders[i] = (struct rider){.storm = &storm, .dir = dir, .number = i, .random = i * 7919 + 1};
	run_riders(riders, ride_shared);
	end_storm(&storm);
	assert_true(storm.accepted > THREADS);
	check_tickets(&storm);
	close_common(common);
}

static void each_request_of_a_storm_ends_once_on_threads(void **state)
{
	each_request_of_a_storm_ends_once(*state, FILEMAP_QUEUE_THREADS);
}

static void each_request_of_a_storm_ends_once_on_uring_shared(void **state)
{
	struct fm__ring *ring;
	const int r = fm__ring_open(4, &ring);

	if (r < 0) {
		t_skip(filemap_strerror(r));
		return;
	}
	fm__ring_close(ring);
	each_request_of_a_storm_ends_once(*state, FILEMAP_QUEUE_URING);
}

static struct filemap *common_of_all[COMMON];

static void *ride_alone(void *context)
{
	struct rider *rider = context;
	const int r = open_storm(rider->storm, FILEMAP_QUEUE_AUTO, FILEMAP_QUEUE_ONE_THREAD, common_of_all);

	if (r != 0) {
		failed(rider->storm, "open", r);
		return NULL;
	}
	ride(rider);
	end_storm(rider->storm);
	return NULL;
}

static void each_request_of_eight_one_thread_queues_ends_once(void **state)
{
	static struct storm storms[THREADS];
	struct rider riders[THREADS];

	open_common(*state, common_of_all);
	for (unsigned i = 0; i < THREADS; i++)
		riders[i] = (struct rider){
			.storm = &storms[i], .dir = *state, .number = i, .random = i * 104729 + 1};
	run_riders(riders, ride_alone);
	for (unsigned i = 0; i < THREADS; i++)
		check_tickets(&storms[i]);
	close_common(common_of_all);
}

static void count(struct filemap_queue *queue, uint64_t ticket, int result, void *context)
{
	(void)queue;
	(void)ticket;
	*(int *)context += result == 0 ? 1 : 1000000;
}

static void one_thread_ends_a_thousand_at_depth_4096(void **state)
{
	struct filemap_queue *queue;
	struct filemap *map;
	int calls = 0, done = 0;

	assert_ok(filemap_queue_open(FILEMAP_QUEUE_OPTIONS(.flags = FILEMAP_QUEUE_ONE_THREAD, .depth = 4096),
				     &queue, NULL));
	assert_ok(filemap_open(t_path(*state, "a"), FILEMAP_WRITE,
			       FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = SIZE), &map, NULL));
	for (int i = 0; i < 1000; i++)
		assert_ok(filemap_queue_flush(queue, map, 0, 1, count, &done, NULL));
	while (calls < 1000) {
		const int r = filemap_queue_poll(queue);

		assert_true(r >= 0);
		calls += r;
		sched_yield();
	}
	assert_int_equal(done, 1000);
	filemap_queue_close(queue);
	filemap_close(map);
}

T_MAIN(T_TEST(each_request_of_a_storm_ends_once_on_threads),
       T_TEST(each_request_of_a_storm_ends_once_on_uring_shared),
       T_TEST(each_request_of_eight_one_thread_queues_ends_once),
       T_TEST(one_thread_ends_a_thousand_at_depth_4096))
