/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The ring of a ONE_THREAD queue: the caller's thread pushes, submits, waits and reaps; there is no
 * library thread. Nobody else is let in, so waiting with the queue's lock held keeps nobody out.
 *
 * The kernel signals the queue's eventfd for each completion by itself. What is finished without
 * the ring is announced here.
 */
#include <errno.h>

#include "queue/uring.h"
#include "sys/sys.h"

static int owner_open(struct filemap_queue *queue, const char **ret_step)
{
	struct fm__uring *u;
	int r;

	*ret_step = "open ring";
	u = fm__zalloc(sizeof *u);
	if (u == NULL)
		return -ENOMEM;
	r = fm__uring_open(u, queue->depth);
	if (r < 0)
		goto free_state;
	*ret_step = "register eventfd";
	r = fm__ring_register_eventfd(u->ring, queue->event);
	if (r < 0)
		goto close_ring;
	queue->backend_state = u;
	return 0;

close_ring:
	fm__uring_close(u);
free_state:
	fm__free(u);
	return r;
}

static void announce_ended(struct filemap_queue *queue, struct fm__request_list *ended)
{
	if (fm__uring_finish(queue, ended) != 0)
		fm__queue_announce(queue);
}

static void push(struct filemap_queue *queue)
{
	struct fm__request_list ended = {NULL, NULL};

	fm__uring_push(queue->backend_state, &ended);
	announce_ended(queue, &ended);
}

static void owner_start(struct filemap_queue *queue)
{
	if (queue->submitted.first == NULL)
		return;
	fm__uring_take(queue->backend_state, &queue->submitted);
	push(queue);
}

static int owner_wait(struct filemap_queue *queue, int timeout_ms)
{
	struct fm__request_list ended = {NULL, NULL};
	int r;

	r = fm__uring_wait(queue->backend_state, timeout_ms, &ended);
	announce_ended(queue, &ended);
	return r;
}

static void owner_collect(struct filemap_queue *queue)
{
	struct fm__uring *u = queue->backend_state;
	struct fm__request_list ended = {NULL, NULL};

	if (u->in_ring == 0 && u->pushing.first == NULL)
		return;
	/* Completions show up in the ring only after its thread has entered the kernel. */
	(void)owner_wait(queue, 0);
	(void)fm__uring_reap(u, &ended);
	(void)fm__uring_finish(queue, &ended);
	if (u->pushing.first != NULL)
		push(queue);
}

static void owner_close(struct filemap_queue *queue)
{
	struct fm__uring *u = queue->backend_state;

	fm__uring_close(u);
	fm__free(u);
}

static void owner_abandon(struct filemap_queue *queue)
{
	struct fm__uring *u = queue->backend_state;

	fm__ring_abandon(u->ring);
	fm__free(u);
}

const struct fm__queue_backend fm__queue_uring_owner = {
	.name = "io_uring",
	.open = owner_open,
	.start = owner_start,
	.collect = owner_collect,
	.wait = owner_wait,
	.close = owner_close,
	.abandon = owner_abandon,
};
