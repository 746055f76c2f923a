/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Owns a queue: its table of requests, fixed at the opening, its lock and its eventfd. Invariant:
 * every entry of the table is on one list or with exactly one thread, in_flight counts those
 * between filling and done, and a ticket number is given once.
 */
#include "queue/queue.h"

#include <errno.h>
#include <limits.h>

#include "base/error.h"
#include "base/fork.h"
#include "sys/sys.h"

static const char no_ring[] =
	"io_uring is missing from the kernel, switched off by kernel.io_uring_disabled, "
	"or forbidden by a container's seccomp filter; "
	"FILEMAP_QUEUE_THREADS works everywhere";

int fm__queue_allowed(const struct filemap_queue *queue)
{
	if (queue->generation != fm__fork_generation())
		return FILEMAP_EFORKED;
	if ((queue->flags & FILEMAP_QUEUE_ONE_THREAD) && !pthread_equal(queue->owner, pthread_self()))
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
		fm__fail_hint_if_none(reterr, no_ring);
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
	fm__free(queue->table);
	fm__free(queue);
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
	queue->owner = pthread_self();
	queue->table = fm__zalloc(options->depth * sizeof *queue->table);
	if (queue->table == NULL) {
		free_queue(queue);
		return NULL;
	}
	for (uint32_t i = 0; i < options->depth; i++)
		fm__list_append(&queue->free, &queue->table[i]);
	return queue;
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

void fm__queue_destroy(struct filemap_queue *queue)
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
	pthread_mutex_destroy(&queue->lock);
	free_queue(queue);
}

/* A thread of the parent may have held the lock or been in the middle of anything: only the memory
 * is touched. The references of requests need not be given back: a child's backings count without
 * them. */
static void abandon_in_child(struct filemap_queue *queue)
{
	queue->backend->abandon(queue);
	free_queue(queue);
}

void filemap_queue_close(struct filemap_queue *queue)
{
	int r;

	if (queue == NULL)
		return;
	r = fm__queue_allowed(queue);
	if (r == FILEMAP_EFORKED)
		abandon_in_child(queue);
	if (r < 0)
		return;
	if (fm__queue_in_callback(queue)) {
		pthread_mutex_lock(&queue->lock);
		queue->closing = 1;
		pthread_mutex_unlock(&queue->lock);
		return;
	}
	fm__queue_destroy(queue);
}

/* ---- requests ---- */

static struct fm__request *take_free(struct filemap_queue *queue)
{
	struct fm__request *request;

	pthread_mutex_lock(&queue->lock);
	request = fm__list_pop(&queue->free);
	if (request != NULL)
		request->state = FM_REQUEST_FILLING;
	pthread_mutex_unlock(&queue->lock);
	return request;
}

static void give_free(struct filemap_queue *queue, struct fm__request *request)
{
	pthread_mutex_lock(&queue->lock);
	request->state = FM_REQUEST_FREE;
	fm__list_append(&queue->free, request);
	pthread_mutex_unlock(&queue->lock);
}

static uint64_t enqueue(struct filemap_queue *queue, struct fm__request *request)
{
	uint64_t ticket;

	pthread_mutex_lock(&queue->lock);
	ticket = ++queue->last_ticket;
	request->ticket = ticket;
	request->state = FM_REQUEST_QUEUED;
	fm__list_append(&queue->queued, request);
	queue->in_flight++;
	pthread_mutex_unlock(&queue->lock);
	return ticket;
}

int filemap_queue_flush(struct filemap_queue *queue, struct filemap *map, size_t offset, size_t length,
			filemap_completed *completed, void *context, uint64_t *ret_ticket)
{
	struct fm__request *request;
	uint64_t ticket;
	int r;

	r = fm__queue_allowed(queue);
	if (r < 0)
		return r;
	request = take_free(queue);
	if (request == NULL)
		return FILEMAP_EBUSY;
	r = fm__map_flush_begin(map, offset, length, &request->flush);
	if (r < 0) {
		give_free(queue, request);
		return r;
	}
	request->completed = completed;
	request->context = context;
	request->result = 0;
	ticket = enqueue(queue, request);
	if (ret_ticket != NULL)
		*ret_ticket = ticket;
	return 0;
}

/* Requests without anything to flush are done here: no backend ever sees one. */
void fm__queue_start(struct filemap_queue *queue)
{
	struct fm__request *request;
	bool ended = false;

	while ((request = fm__list_pop(&queue->queued)) != NULL) {
		if (request->flush.backing == NULL) {
			fm__request_end(request, 0);
			fm__queue_finish(queue, request);
			ended = true;
			continue;
		}
		request->state = FM_REQUEST_RUNNING;
		fm__list_append(&queue->submitted, request);
	}
	if (ended)
		fm__queue_announce(queue);
	queue->backend->start(queue);
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

/* ---- completion, as the backends report it ---- */

void fm__queue_finish(struct filemap_queue *queue, struct fm__request *request)
{
	request->state = FM_REQUEST_DONE;
	fm__list_append(request->completed != NULL ? &queue->called : &queue->plain, request);
	queue->in_flight--;
}

void fm__queue_wake(struct filemap_queue *queue)
{
	__atomic_fetch_add(&queue->progress, 1, __ATOMIC_RELEASE);
	if (queue->sleepers != 0)
		(void)fm__sys_futex_wake(&queue->progress);
}

void fm__queue_announce(struct filemap_queue *queue)
{
	fm__queue_wake(queue);
	if (queue->watched)
		(void)fm__sys_event_signal(queue->event);
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
