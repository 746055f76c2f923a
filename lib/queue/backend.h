/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What carries out the groups of a queue: a pool of threads, a ring that the caller's thread
 * owns, or a ring with a thread of its own. Everything else (tickets, order, waiting, callbacks) is
 * common.
 */
#ifndef FM_QUEUE_BACKEND_H
#define FM_QUEUE_BACKEND_H

struct filemap_queue;

/* Every operation but open and abandon is entered and left with queue->lock held. */
struct fm__queue_backend {
	const char *name;

	/* Set queue->backend_state; 0 or -errno with *ret_step naming what failed. Nothing is left
	 * behind. */
	int (*open)(struct filemap_queue *queue, const char **ret_step);

	/* Take what fm__gather_take() gives and begin with it, now or soon; never waits for one, unless the ring
	 * broke. */
	void (*start)(struct filemap_queue *queue);

	/* Take in what has its answer by now, and begin with what that makes room for; NULL where the backend's threads do
	 * that. */
	void (*collect)(struct filemap_queue *queue);

	/* Return 0 when something may have finished or the time is over; -EINTR. < 0 = for ever. */
	int (*wait)(struct filemap_queue *queue, int timeout_ms);

	/* Nothing is in flight any more: end the threads, free the state. */
	void (*close)(struct filemap_queue *queue);

	/* In a forked child: free the child's copy, touch nothing that the parent uses. */
	void (*abandon)(struct filemap_queue *queue);
};

extern const struct fm__queue_backend fm__queue_threads;
extern const struct fm__queue_backend fm__queue_uring_owner;
extern const struct fm__queue_backend fm__queue_uring_shared;

#endif
