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
	r = fm__uring_open(u, queue->workers);
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

/* Everything that there is room for, also what this lets begin. How many requests are done by it. */
static uint32_t push(struct filemap_queue *queue)
{
	struct fm__uring *u = queue->backend_state;
	uint32_t done = 0;

	while (fm__uring_take(queue, u) || u->pushing.first != NULL || u->stalled) {
		const uint32_t before = u->in_ring;

		fm__uring_push(u);
		if (u->ended.first == NULL && u->in_ring == before)
			break; /* the ring is full */
		done += fm__uring_return(queue, u);
	}
	return done;
}

/* What the kernel did not take completes nothing: whoever waits for the eventfd has to come back and offer it again. */
static void announce_stall(struct filemap_queue *queue)
{
	const struct fm__uring *u = queue->backend_state;

	if (u->stalled && u->broken == 0)
		fm__queue_announce(queue);
}

static void owner_start(struct filemap_queue *queue)
{
	if (push(queue) != 0)
		fm__queue_announce(queue);
	else
		announce_stall(queue);
}

static int owner_wait(struct filemap_queue *queue, int timeout_ms)
{
	return fm__uring_wait(queue->backend_state, timeout_ms);
}

static void owner_collect(struct filemap_queue *queue)
{
	struct fm__uring *u = queue->backend_state;

	/* Completions show up in the ring only after its thread has entered the kernel. */
	if (u->in_ring != 0) {
		(void)fm__uring_wait(u, 0);
		(void)fm__uring_reap(u);
	}
	if (u->ended.first != NULL)
		(void)fm__uring_return(queue, u);
	(void)push(queue);
	announce_stall(queue);
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
