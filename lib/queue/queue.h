/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The inside of a queue, as its own files and the backends see it. */
#ifndef FM_QUEUE_QUEUE_H
#define FM_QUEUE_QUEUE_H

#include <filemap/queue.h>

#include <pthread.h>

#include "queue/backend.h"
#include "queue/request.h"

/* A thread in filemap_queue_wait() for one named ticket, in a list on the queue; lives on its
 * stack. */
struct fm__queue_waiter {
	struct fm__queue_waiter *next;
	uint64_t ticket;
	int result;
	uint32_t called; /* 1: the ticket's callback runs on another thread; 2: it has returned */
	struct filemap_error *reterr; /* or NULL */
};

struct filemap_queue {
	/* Constant after open. */
	const struct fm__queue_backend *backend;
	void *backend_state;
	uint32_t flags, depth, workers;
	uint32_t slot_mask;  /* of the tables below; a power of two, less one */
	unsigned generation; /* of forks, at the opening */
	unsigned long owner; /* with FILEMAP_QUEUE_ONE_THREAD: the number of the only thread let in */
	int event;           /* the eventfd */

	uint32_t progress; /* counts completions; written under the lock, futex waits read without */

	pthread_mutex_t lock;       /* all below; no other lock of the library is taken while it is held */
	struct fm__request *table;  /* `depth` of them */
	struct fm__request **slots; /* those with a ticket, by its number */
	struct fm__group **mates;   /* groups by their backing: gather.c */
	struct fm__list free, queued, held, called, plain; /* of requests, see enum fm__request_state */
	struct fm__list ready, returned;                   /* of groups */
	struct fm__queue_waiter *waiters;
	uint64_t last_ticket;
	uint64_t epoch;          /* barriers queued so far */
	int epoch_result;        /* of the first failure since the last one of these, 0 = none */
	uint64_t serial;         /* counts begun and returned groups */
	uint32_t active;         /* requests that were let through by the barriers, and have not finished */
	uint32_t barrier_passes; /* one is on its way to its end */
	uint32_t at_work;        /* groups with the backend */
	uint32_t in_flight;      /* requests that have a ticket and no result */
	uint32_t calling;        /* callbacks that run now, on any thread, or are about to */
	uint32_t sleepers;       /* threads in fm__queue_sleep() */
	uint32_t watched;        /* the caller asked for the eventfd: signal it */
	uint32_t closing;        /* closed from a callback: done when the call that runs it returns */
	struct filemap_queue_stats stats;
};

/* ---- schedule.c; lock held ---- */
void fm__schedule_queue(struct filemap_queue *queue, struct fm__request *request, struct fm__request *after);
/* Begin with everything queued: what can be is ready, or finished. */
void fm__schedule_submit(struct filemap_queue *queue);
/* -EALREADY, or 0: the request is on queue->returned. */
int fm__schedule_cancel(struct filemap_queue *queue, struct fm__request *request);
/* All that has returned goes on: is done, or ready once more. How many were done and not announced.
 * Gives the lock away meanwhile. */
uint32_t fm__schedule_advance(struct filemap_queue *queue);

/* ---- for the backends; lock held ---- */
/* Something is done: wake, signal the eventfd. Gives the lock away meanwhile. */
void fm__queue_announce(struct filemap_queue *queue);
void fm__queue_wake(struct filemap_queue *queue); /* sleepers only: they have to look again */
/* Until woken: the `wait` of backends with threads of their own. */
int fm__queue_sleep(struct filemap_queue *queue, int timeout_ms);

/* ---- for the operations: a request is made, filled in, and queued or given back ---- */

/* 0, FILEMAP_EFORKED, FILEMAP_EMODE, FILEMAP_EBUSY. */
int fm__queue_request(struct filemap_queue *queue, const struct fm__operation *operation,
		      struct fm__request **ret);
/* r: what filling it in came to; negative: it is given back, and that returned. `after` is a ticket, 0 = none. */
int fm__queue_accept(struct filemap_queue *queue, struct fm__request *request, int r, uint64_t after,
		     filemap_completed *completed, void *context, uint64_t *ret_ticket);

/* ---- for collect.c ---- */
/* Lock held: everything queued is scheduled, and the backend begins with what is ready. Gives the lock away meanwhile. */
void fm__queue_start(struct filemap_queue *queue);
int fm__queue_allowed(const struct filemap_queue *queue);     /* 0, FILEMAP_EFORKED, FILEMAP_EMODE */
int fm__queue_in_callback(const struct filemap_queue *queue); /* 1: this thread is in one of it */
void fm__queue_destroy(
	struct filemap_queue *queue); /* wait for all in flight, free all; in a child only free */
struct fm__request *fm__queue_find(const struct filemap_queue *queue, uint64_t ticket); /* lock held */
void fm__queue_free_request(struct filemap_queue *queue, struct fm__request *request);  /* lock held */
/* Without the lock: what ends a request beside its ticket. */
void fm__request_end(struct fm__request *request);

/* ---- options.c ---- */
int fm__queue_options_check(const struct filemap_queue_options *options, struct filemap_queue_options *ret,
			    struct filemap_error *reterr);

#endif
