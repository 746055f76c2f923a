/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A ring for callers on any thread: one library thread opens it, pushes, waits and reaps. It takes groups
 * under the queue's lock; an eventfd that the ring polls ends its wait when there is one to take.
 *
 * Invariant: while the thread waits in the ring, a poll on the wake descriptor is armed in it, and
 * `told` says whether that descriptor was signalled since it was cleared.
 */
#include <signal.h>

#include <errno.h>

#include "queue/uring.h"
#include "sys/sys.h"

struct shared {
	struct fm__uring u; /* the thread's own after `ready` */
	pthread_t thread;
	pthread_cond_t started;
	const char *step; /* what the thread failed at, while opening */
	int wake;         /* eventfd */
	int result;       /* of opening the ring; queue->lock until ready, as the three below */
	uint32_t ready;   /* the opening is over */
	uint32_t told;    /* wake is signalled */
	uint32_t stopping;
	uint32_t armed; /* the thread only: the poll is in the ring */
};

/* ---- on the library's thread ---- */

static void arm(struct shared *s)
{
	if (s->armed || s->u.broken != 0)
		return;
	if (fm__ring_push_poll(s->u.ring, s->wake, FM_URING_WAKE) == 0)
		s->armed = 1;
}

/* Wait for work without the ring: it is broken, or has no free entry for the poll. */
static void wait_outside(const struct shared *s)
{
	(void)fm__sys_poll_in(s->wake, s->u.broken != 0 ? -1 : 1);
}

static void wait_for_work(struct shared *s)
{
	fm__uring_push(&s->u);
	if (s->u.ended.first != NULL)
		return;
	arm(s);
	if (s->armed && s->u.broken == 0)
		(void)fm__uring_wait(&s->u, -1);
	else
		wait_outside(s);
	if (fm__uring_reap(&s->u) != 0)
		s->armed = 0;
}

/* Lock held, but for the waiting. */
static void turn(struct filemap_queue *queue, struct shared *s)
{
	(void)fm__uring_take(queue, &s->u);
	if (s->told) {
		(void)fm__sys_event_clear(s->wake);
		s->told = 0;
	}
	pthread_mutex_unlock(&queue->lock);
	wait_for_work(s);
	pthread_mutex_lock(&queue->lock);
	if (fm__uring_return(queue, &s->u) != 0)
		fm__queue_announce(queue);
}

static void *own_ring(void *context)
{
	struct filemap_queue *queue = context;
	struct shared *s;

	pthread_mutex_lock(&queue->lock);
	s = queue->backend_state;
	s->result = fm__uring_open(&s->u, queue->workers);
	s->ready = 1;
	pthread_cond_signal(&s->started);
	if (s->result == 0) {
		while (!s->stopping)
			turn(queue, s);
		fm__uring_close(&s->u);
	}
	pthread_mutex_unlock(&queue->lock);
	return NULL;
}

/* ---- on the callers' threads; lock held ---- */

static void tell(struct shared *s)
{
	if (s->told)
		return;
	s->told = 1;
	(void)fm__sys_event_signal(s->wake);
}

static int start_thread(struct filemap_queue *queue, struct shared *s, const char **ret_step)
{
	sigset_t before;
	int r;

	*ret_step = "start ring thread";
	r = fm__sys_block_signals(&before);
	if (r < 0)
		return r;
	r = -pthread_create(&s->thread, NULL, own_ring, queue);
	(void)fm__sys_restore_signals(&before);
	if (r < 0)
		return r;
	*ret_step = "open ring";
	while (!s->ready)
		pthread_cond_wait(&s->started, &queue->lock);
	if (s->result < 0) {
		pthread_mutex_unlock(&queue->lock);
		pthread_join(s->thread, NULL);
		pthread_mutex_lock(&queue->lock);
	}
	return s->result;
}

static void free_state(struct filemap_queue *queue, struct shared *s)
{
	queue->backend_state = NULL;
	fm__sys_close(s->wake);
	pthread_cond_destroy(&s->started);
	fm__free(s);
}

static int shared_open(struct filemap_queue *queue, const char **ret_step)
{
	struct shared *s;
	int r;

	*ret_step = "create eventfd";
	s = fm__zalloc(sizeof *s);
	if (s == NULL)
		return -ENOMEM;
	r = fm__sys_eventfd();
	if (r < 0) {
		fm__free(s);
		return r;
	}
	s->wake = r;
	pthread_cond_init(&s->started, NULL);
	pthread_mutex_lock(&queue->lock);
	queue->backend_state = s;
	r = start_thread(queue, s, ret_step);
	if (r < 0)
		free_state(queue, s);
	pthread_mutex_unlock(&queue->lock);
	return r;
}

/* With no place free, the thread looks for more when one gets free. */
static void shared_start(struct filemap_queue *queue)
{
	if (queue->at_work < queue->workers)
		tell(queue->backend_state);
}

static void shared_close(struct filemap_queue *queue)
{
	struct shared *s = queue->backend_state;

	s->stopping = 1;
	tell(s);
	pthread_mutex_unlock(&queue->lock);
	pthread_join(s->thread, NULL);
	pthread_mutex_lock(&queue->lock);
	free_state(queue, s);
}

static void shared_abandon(struct filemap_queue *queue)
{
	struct shared *s = queue->backend_state;

	fm__ring_abandon(s->u.ring);
	fm__sys_close(s->wake);
	fm__free(s);
}

const struct fm__queue_backend fm__queue_uring_shared = {
	.name = "io_uring",
	.open = shared_open,
	.start = shared_start,
	.collect = NULL,
	.wait = fm__queue_sleep,
	.close = shared_close,
	.abandon = shared_abandon,
};
