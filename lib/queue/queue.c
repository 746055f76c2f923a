/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Owns a queue: its lock, its eventfd and its backend, from opening to closing. Invariant: nobody gets at it who may not
 * (another thread of a ONE_THREAD queue, a forked child), and it goes only when nothing is in flight.
 */
#include "queue/queue.h"

#include <errno.h>
#include <limits.h>

#include "base/error.h"
#include "base/fork.h"
#include "sys/ring.h"
#include "sys/sys.h"

/* A number of this thread's own, never given again: what pthread_self() says of one that has ended is said of the
 * next one, too. */
static unsigned long this_thread(void)
{
	static _Thread_local unsigned long number;
	static unsigned long last;

	if (number == 0)
		number = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
	return number;
}

int fm__queue_allowed(const struct filemap_queue *queue)
{
	if (queue->generation != fm__fork_generation())
		return FILEMAP_EFORKED;
	if ((queue->flags & FILEMAP_QUEUE_ONE_THREAD) && queue->owner != this_thread())
		return FILEMAP_EMODE;
	return 0;
}

/* ---- opening ---- */

static int open_backend(struct filemap_queue *queue, const struct fm__queue_backend *backend,
			struct filemap_error *reterr)
{
	const char *step = "start queue";
	int r;

	queue->backend = backend;
	r = backend->open(queue, &step);
	if (r < 0)
		fm__fail(reterr, r, step, "queue");
	return r;
}

static int open_uring(struct filemap_queue *queue, struct filemap_error *reterr)
{
	bool one_thread = queue->flags & FILEMAP_QUEUE_ONE_THREAD;
	int r;

	r = open_backend(queue, one_thread ? &fm__queue_uring_owner : &fm__queue_uring_shared, reterr);
	if (r < 0)
		fm__fail_hint_if_none(reterr, fm__ring_reason(r));
	return r;
}

/* A pool does as well as an owned ring in fan-out, without two hops between threads: AUTO takes the
 * ring only where it saves the threads. */
static int choose_backend(struct filemap_queue *queue, uint32_t wanted, struct filemap_error *reterr)
{
	if (wanted == FILEMAP_QUEUE_URING)
		return open_uring(queue, reterr);
	if (wanted == FILEMAP_QUEUE_AUTO && (queue->flags & FILEMAP_QUEUE_ONE_THREAD) &&
	    open_uring(queue, NULL) == 0)
		return 0;
	return open_backend(queue, &fm__queue_threads, reterr);
}

static void free_queue(struct filemap_queue *queue)
{
	fm__sys_close(queue->event);
	fm__free(queue->mates);
	fm__free(queue->slots);
	fm__free(queue->table);
	fm__free(queue);
}

static int make_tables(struct filemap_queue *queue)
{
	uint32_t slots = 1;

	while (slots < queue->depth)
		slots *= 2;
	queue->slot_mask = slots - 1;
	queue->table = fm__zalloc(queue->depth * sizeof *queue->table);
	queue->slots = fm__zalloc(slots * sizeof *queue->slots);
	queue->mates = fm__zalloc(slots * sizeof *queue->mates);
	if (queue->table == NULL || queue->slots == NULL || queue->mates == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < queue->depth; i++)
		fm__list_append(&queue->free, &queue->table[i].link);
	return 0;
}

static struct filemap_queue *new_queue(const struct filemap_queue_options *options)
{
	struct filemap_queue *queue = fm__zalloc(sizeof *queue);

	if (queue == NULL)
		return NULL;
	queue->event = -1;
	queue->flags = options->flags;
	queue->depth = options->depth;
	queue->workers = options->workers;
	queue->generation = fm__fork_generation();
	queue->owner = this_thread();
	if (make_tables(queue) == 0)
		return queue;
	free_queue(queue);
	return NULL;
}

int filemap_queue_open(const struct filemap_queue_options *options, struct filemap_queue **ret_queue,
		       struct filemap_error *reterr)
{
	struct filemap_queue_options o;
	struct filemap_queue *queue;
	int r;

	r = fm__queue_options_check(options, &o, reterr);
	if (r < 0)
		return r;
	queue = new_queue(&o);
	if (queue == NULL)
		return fm__fail(reterr, -ENOMEM, "allocate", "queue");
	r = fm__sys_eventfd();
	if (r < 0) {
		free_queue(queue);
		return fm__fail(reterr, r, "create eventfd", "queue");
	}
	queue->event = r;
	pthread_mutex_init(&queue->lock, NULL);
	r = choose_backend(queue, o.backend, reterr);
	if (r < 0) {
		pthread_mutex_destroy(&queue->lock);
		free_queue(queue);
		return r;
	}
	*ret_queue = queue;
	return 0;
}

/* ---- closing ---- */

/* Nobody is told of them any more, but what they hold is given back, and what they have changed is published. */
static void end_unclaimed(struct fm__list *done)
{
	struct fm__node *node;

	while ((node = fm__list_pop(done)) != NULL)
		fm__request_end(FM_OF(node, struct fm__request, link));
}

static void finish_and_free(struct filemap_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	fm__queue_start(queue);
	while (queue->in_flight != 0) {
		(void)queue->backend->wait(queue, -1);
		if (queue->backend->collect != NULL)
			queue->backend->collect(queue);
	}
	queue->backend->close(queue);
	pthread_mutex_unlock(&queue->lock);
	end_unclaimed(&queue->called);
	end_unclaimed(&queue->plain);
	pthread_mutex_destroy(&queue->lock);
	free_queue(queue);
}

/* A thread of the parent may have held the lock or been in the middle of anything: only the memory
 * is touched. The references of requests need not be given back: a child's backings count without
 * them. Pins do: the child has its own count of them. */
static void abandon_in_child(struct filemap_queue *queue)
{
	queue->backend->abandon(queue);
	for (uint32_t i = 0; i < queue->depth; i++) {
		struct fm__request *request = &queue->table[i];

		if (request->ticket == 0)
			continue;
		if (request->operation->abandon != NULL)
			request->operation->abandon(request);
		filemap_unpin(request->pinned);
	}
	free_queue(queue);
}

void fm__queue_destroy(struct filemap_queue *queue)
{
	if (fm__queue_allowed(queue) == FILEMAP_EFORKED)
		abandon_in_child(queue);
	else
		finish_and_free(queue);
}

/* In a child that was forked in the callback nobody else is left to ask, and the lock may be held for ever. */
static void close_later(struct filemap_queue *queue)
{
	const bool is_ours = fm__queue_allowed(queue) == 0;

	if (is_ours)
		pthread_mutex_lock(&queue->lock);
	queue->closing = 1;
	if (is_ours)
		pthread_mutex_unlock(&queue->lock);
}

void filemap_queue_close(struct filemap_queue *queue)
{
	if (queue == NULL || fm__queue_allowed(queue) == FILEMAP_EMODE)
		return;
	if (fm__queue_in_callback(queue))
		close_later(queue);
	else
		fm__queue_destroy(queue);
}

/* ---- beginning, cancelling ---- */

/* Let the backend begin with what is ready. */
static void go(struct filemap_queue *queue)
{
	if (queue->ready.first != NULL)
		queue->backend->start(queue);
}

void fm__queue_start(struct filemap_queue *queue)
{
	fm__schedule_submit(queue);
	if (fm__schedule_advance(queue) != 0)
		fm__queue_announce(queue);
	go(queue);
}

int filemap_queue_submit(struct filemap_queue *queue)
{
	int r;

	r = fm__queue_allowed(queue);
	if (r < 0)
		return r;
	pthread_mutex_lock(&queue->lock);
	fm__queue_start(queue);
	pthread_mutex_unlock(&queue->lock);
	return 0;
}

int filemap_queue_cancel(struct filemap_queue *queue, uint64_t ticket)
{
	struct fm__request *request = NULL;
	int r;

	r = fm__queue_allowed(queue);
	if (r < 0)
		return r;
	pthread_mutex_lock(&queue->lock);
	if (ticket != 0)
		request = fm__queue_find(queue, ticket);
	r = request != NULL ? fm__schedule_cancel(queue, request) : -ENOENT;
	if (fm__schedule_advance(queue) != 0)
		fm__queue_announce(queue);
	go(queue);
	pthread_mutex_unlock(&queue->lock);
	return r;
}

/* ---- completion, as the backends report it ---- */

void fm__queue_wake(struct filemap_queue *queue)
{
	__atomic_fetch_add(&queue->progress, 1, __ATOMIC_RELEASE);
	if (queue->sleepers != 0)
		(void)fm__sys_futex_wake(&queue->progress);
}

/* Who is woken needs the lock at once: it is given away first. */
void fm__queue_announce(struct filemap_queue *queue)
{
	const bool is_awaited = queue->sleepers != 0, is_watched = queue->watched;

	__atomic_fetch_add(&queue->progress, 1, __ATOMIC_RELEASE);
	if (!is_awaited && !is_watched)
		return;
	pthread_mutex_unlock(&queue->lock);
	if (is_awaited)
		(void)fm__sys_futex_wake(&queue->progress);
	if (is_watched)
		(void)fm__sys_event_signal(queue->event);
	pthread_mutex_lock(&queue->lock);
}

int fm__queue_sleep(struct filemap_queue *queue, int timeout_ms)
{
	uint32_t seen = __atomic_load_n(&queue->progress, __ATOMIC_ACQUIRE);
	int r;

	/* With SA_RESTART the kernel restarts a futex wait without a time limit; a limited one
	 * returns -EINTR, as a wait on a ring always does. */
	if (timeout_ms < 0)
		timeout_ms = INT_MAX;
	queue->sleepers++;
	pthread_mutex_unlock(&queue->lock);
	r = fm__sys_futex_wait(&queue->progress, seen, timeout_ms);
	pthread_mutex_lock(&queue->lock);
	queue->sleepers--;
	return r == -EINTR ? r : 0;
}

/* ---- properties ---- */

const char *filemap_queue_backend(const struct filemap_queue *queue)
{
	return queue->backend->name;
}

int filemap_queue_eventfd(struct filemap_queue *queue)
{
	int r;

	r = fm__queue_allowed(queue);
	if (r < 0)
		return r;
	pthread_mutex_lock(&queue->lock);
	if (!queue->watched) {
		queue->watched = 1;
		/* Whatever finished before anybody watched: one look too many does no harm. */
		r = fm__sys_event_signal(queue->event);
	}
	pthread_mutex_unlock(&queue->lock);
	return r < 0 ? r : queue->event;
}

static uint64_t count_at_work(const struct filemap_queue *queue)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < queue->depth; i++)
		if (queue->table[i].ticket != 0 && queue->table[i].state == FM_REQUEST_WORKING)
			count++;
	return count;
}

int filemap_queue_stats(struct filemap_queue *queue, struct filemap_queue_stats *ret)
{
	int r;

	r = fm__queue_allowed(queue);
	if (r < 0)
		return r;
	pthread_mutex_lock(&queue->lock);
	*ret = queue->stats;
	ret->in_flight = queue->in_flight;
	ret->at_work = count_at_work(queue);
	pthread_mutex_unlock(&queue->lock);
	return 0;
}
