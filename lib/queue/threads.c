/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The backend that works everywhere: a pool of threads that make one call each at a time.
 *
 * The workers take groups under the queue's lock and work on them without it. They are started at the opening with signals blocked and end in close, when nothing is in flight.
 */
#include <signal.h>

#include <errno.h>

#include "queue/gather.h"
#include "queue/queue.h"
#include "sys/sys.h"

struct pool {
	pthread_cond_t work; /* a group is ready, or stopping */
	uint32_t stopping;   /* queue->lock */
	uint32_t count;      /* of threads; constant after open */
	pthread_t threads[];
};

static void make_call(struct fm__group *group)
{
	fm__group_begin(group);
	fm__group_answer(group, fm__call_run(&group->call));
}

/* One for each group that waits, as far as there is a place for it: who is at work looks for more by itself. */
static void wake_workers(struct filemap_queue *queue, struct pool *pool)
{
	uint32_t places = queue->workers - queue->at_work;

	for (struct fm__node *node = queue->ready.first; node != NULL && places != 0; node = node->next) {
		pthread_cond_signal(&pool->work);
		places--;
	}
}

static void work_on(struct filemap_queue *queue, struct fm__group *group)
{
	pthread_mutex_unlock(&queue->lock);
	make_call(group);
	pthread_mutex_lock(&queue->lock);
	fm__gather_return(queue, group);
	if (fm__schedule_advance(queue) != 0)
		fm__queue_announce(queue);
	if (queue->ready.first != NULL && queue->ready.first->next != NULL)
		wake_workers(
			queue,
			queue->backend_state); /* what it has set free is more than this thread can take */
}

static void *work(void *context)
{
	struct filemap_queue *queue = context;
	struct pool *pool;

	pthread_mutex_lock(&queue->lock);
	pool = queue->backend_state;
	while (!pool->stopping) {
		struct fm__group *group = fm__gather_take(queue);

		if (group != NULL)
			work_on(queue, group);
		else
			pthread_cond_wait(&pool->work, &queue->lock);
	}
	pthread_mutex_unlock(&queue->lock);
	return NULL;
}

/* Lock held. */
static void stop_workers(struct filemap_queue *queue, struct pool *pool)
{
	pool->stopping = 1;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&queue->lock);
	for (uint32_t i = 0; i < pool->count; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_mutex_lock(&queue->lock);
}

static int start_workers(struct filemap_queue *queue, struct pool *pool)
{
	sigset_t before;
	int r;

	r = fm__sys_block_signals(&before);
	if (r < 0)
		return r;
	while (r == 0 && pool->count < queue->workers) {
		r = -pthread_create(&pool->threads[pool->count], NULL, work, queue);
		if (r == 0)
			pool->count++;
	}
	(void)fm__sys_restore_signals(&before);
	return r;
}

static void free_pool(struct filemap_queue *queue, struct pool *pool)
{
	queue->backend_state = NULL;
	pthread_cond_destroy(&pool->work);
	fm__free(pool);
}

static int pool_open(struct filemap_queue *queue, const char **ret_step)
{
	struct pool *pool;
	int r;

	*ret_step = "start workers";
	pool = fm__zalloc(sizeof *pool + queue->workers * sizeof pool->threads[0]);
	if (pool == NULL)
		return -ENOMEM;
	pthread_cond_init(&pool->work, NULL);
	/* The workers wait at the lock until all of them are started. */
	pthread_mutex_lock(&queue->lock);
	queue->backend_state = pool;
	r = start_workers(queue, pool);
	if (r < 0) {
		stop_workers(queue, pool);
		free_pool(queue, pool);
	}
	pthread_mutex_unlock(&queue->lock);
	return r;
}

static void pool_start(struct filemap_queue *queue)
{
	wake_workers(queue, queue->backend_state);
}

static void pool_close(struct filemap_queue *queue)
{
	struct pool *pool = queue->backend_state;

	stop_workers(queue, pool);
	free_pool(queue, pool);
}

/* The threads and the waiters of the condition are the parent's. */
static void pool_abandon(struct filemap_queue *queue)
{
	fm__free(queue->backend_state);
}

const struct fm__queue_backend fm__queue_threads = {
	.name = "threads",
	.open = pool_open,
	.start = pool_start,
	.collect = NULL,
	.wait = fm__queue_sleep,
	.close = pool_close,
	.abandon = pool_abandon,
};
