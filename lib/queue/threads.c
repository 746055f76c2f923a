/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The backend that works everywhere: a pool of threads that flush one request each at a time.
 *
 * The workers take requests off queue->submitted under the queue's lock and run them without it.
 * They are started at the opening with signals blocked and end in close, when nothing is in flight.
 */
#include <signal.h>

#include <errno.h>

#include "queue/queue.h"
#include "sys/sys.h"

struct pool {
	pthread_cond_t work; /* submitted is not empty, or stopping */
	uint32_t stopping;   /* queue->lock */
	uint32_t count;      /* of threads; constant after open */
	pthread_t threads[];
};

static void work_once(struct filemap_queue *queue, struct fm__request *request)
{
	pthread_mutex_unlock(&queue->lock);
	fm__request_run(request);
	pthread_mutex_lock(&queue->lock);
	fm__queue_finish(queue, request);
	fm__queue_announce(queue);
}

static void *work(void *context)
{
	struct filemap_queue *queue = context;
	struct pool *pool;

	pthread_mutex_lock(&queue->lock);
	pool = queue->backend_state;
	while (!pool->stopping) {
		struct fm__request *request = fm__list_pop(&queue->submitted);

		if (request != NULL)
			work_once(queue, request);
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
	struct pool *pool = queue->backend_state;
	const struct fm__request *request = queue->submitted.first;

	if (request == NULL)
		return;
	if (request->next == NULL)
		pthread_cond_signal(&pool->work);
	else
		pthread_cond_broadcast(&pool->work);
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
