/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The inside of a queue, as its own files and the backends see it. */
#ifndef FM_QUEUE_QUEUE_H
#define FM_QUEUE_QUEUE_H

#include <filemap/queue.h>

#include <pthread.h>

#include "map/map.h"
#include "queue/backend.h"

/*
 * free -> filling -> queued -> running -> done -> free
 *
 *   free       on queue->free
 *   filling    with the thread that is in filemap_queue_flush()
 *   queued     on queue->queued, waits for a submit
 *   running    on queue->submitted until the backend begins it, then the backend's alone
 *   done       on queue->called or queue->plain, the result is final
 *
 * The backing is referenced from queued on until the backend has ended the request.
 */
enum fm__request_state {
	FM_REQUEST_FREE,
	FM_REQUEST_FILLING,
	FM_REQUEST_QUEUED,
	FM_REQUEST_RUNNING,
	FM_REQUEST_DONE
};

struct fm__request {
	struct fm__request *next, *previous; /* of the list it is on; whoever owns the list */
	enum fm__request_state state;        /* queue->lock */
	int result;                          /* the backend until done */
	uint64_t ticket;                     /* 0 while free or filling; queue->lock */
	filemap_completed *completed;        /* NULL: a wait claims it */
	void *context;
	struct fm__flush flush; /* constant while queued and running */

	/* Of the ring backends, the ring's thread only: how far the flush was cut into pieces. */
	uint64_t next_offset, left; /* left == 0: every piece was pushed */
	uint32_t pieces;            /* pushed, not completed */
	uint32_t unsent;            /* of these: not yet taken by the kernel, as far as we know */
	uint32_t undone;            /* a piece came back as never begun */
	uint32_t attempts;          /* that ended so */
};

struct fm__request_list {
	struct fm__request *first, *last;
};

/* A thread in filemap_queue_wait() for one named ticket, in a list on the queue; lives on its
 * stack. */
struct fm__queue_waiter {
	struct fm__queue_waiter *next;
	uint64_t ticket;
	int result;
	uint32_t called; /* 1: the ticket's callback runs on another thread; 2: it has returned */
};

struct filemap_queue {
	/* Constant after open. */
	const struct fm__queue_backend *backend;
	void *backend_state;
	uint32_t flags, depth, workers;
	unsigned generation; /* of forks, at the opening */
	pthread_t owner;     /* with FILEMAP_QUEUE_ONE_THREAD: the only thread let in */
	int event;           /* the eventfd */

	uint32_t progress; /* counts completions; written under the lock, futex waits read without */

	pthread_mutex_t lock; /* all below; taken before no other lock of the library */
	struct fm__request *table;
	struct fm__request_list free, queued, submitted, called, plain;
	struct fm__queue_waiter *waiters;
	uint64_t last_ticket;
	uint32_t in_flight; /* queued and running */
	uint32_t calling;   /* callbacks that run now, on any thread */
	uint32_t sleepers;  /* threads in fm__queue_sleep() */
	uint32_t watched;   /* the caller asked for the eventfd: signal it */
	uint32_t closing;   /* closed from a callback: done when the call that runs it returns */
};

/* ---- lists ---- */
void fm__list_append(struct fm__request_list *list, struct fm__request *request);
void fm__list_remove(struct fm__request_list *list, struct fm__request *request);
struct fm__request *fm__list_pop(struct fm__request_list *list); /* NULL = empty */

/* ---- requests ---- */
/* Give the backing back and make the result final; without the lock, or on an owner's thread. */
void fm__request_end(struct fm__request *request, int result);

/* Run a request on this thread, from start to end; without the lock, or on an owner's thread. */
void fm__request_run(struct fm__request *request);

/* ---- for the backends; lock held ---- */

/* A request that was ended is done. */
void fm__queue_finish(struct filemap_queue *queue, struct fm__request *request);
void fm__queue_announce(struct filemap_queue *queue); /* something is done: wake, signal eventfd */
void fm__queue_wake(struct filemap_queue *queue);     /* sleepers only: they have to look again */
/* Until woken: the `wait` of backends with threads of their own. */
int fm__queue_sleep(struct filemap_queue *queue, int timeout_ms);

/* ---- for collect.c ---- */
void fm__queue_start(struct filemap_queue *queue);            /* lock held: submit everything queued */
int fm__queue_allowed(const struct filemap_queue *queue);     /* 0, FILEMAP_EFORKED, FILEMAP_EMODE */
int fm__queue_in_callback(const struct filemap_queue *queue); /* 1: this thread is in one of it */
void fm__queue_destroy(struct filemap_queue *queue);          /* wait for all in flight, free all */

/* ---- options.c ---- */
int fm__queue_options_check(const struct filemap_queue_options *options, struct filemap_queue_options *ret,
			    struct filemap_error *reterr);

#endif
