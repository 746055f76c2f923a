/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The backend that works everywhere: a pool of threads that make one call each at a time.
 *
 * The workers take groups under the queue's lock and work on them without it. They are started at the opening with
 * signals blocked and end in close, when nothing is in flight. Of those that are idle the one that has been so for the
 * shortest time is woken: its processor has not gone to sleep yet, and it has the queue in its cache.
 */
#include <signal.h>

#include <errno.h>

#include "queue/gather.h"
#include "queue/queue.h"
#include "sys/sys.h"

struct worker {
	struct filemap_queue *queue; /* constant */
	pthread_t thread;            /* the opener's */
	struct fm__node link;        /* of the idle ones; queue->lock, as the two below */
	pthread_cond_t wake;         /* it is idle no more, or to stop */
	uint32_t is_idle;
};

struct pool {
	struct fm__list idle; /* the last one to get idle first; queue->lock, as below */
	uint32_t stopping;
	uint32_t count; /* of workers that run; constant after open */
	struct worker workers[];
};

static void make_call(struct fm__group *group)
{
	fm__group_begin(group);
	fm__group_answer(group, fm__call_run(&group->call));
}

static void wake(struct worker *worker)
{
	worker->is_idle = 0;
	pthread_cond_signal(&worker->wake);
}

/* One for each group that waits, as far as there is a place for it: who is at work looks for more by itself. */
static void wake_workers(struct filemap_queue *queue, struct pool *pool)
{
	uint32_t places = queue->workers - queue->at_work;

	for (struct fm__node *node = queue->ready.first; node != NULL && places != 0; node = node->next) {
		if (pool->idle.first == NULL)
			return;
		wake(FM_OF(fm__list_pop(&pool->idle), struct worker, link));
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
		wake_workers(queue, queue->backend_state); /* it is more than this thread can take */
}

static void be_idle(struct pool *pool, struct worker *worker)
{
	worker->is_idle = 1;
	fm__list_prepend(&pool->idle, &worker->link);
	while (worker->is_idle && !pool->stopping)
		pthread_cond_wait(&worker->wake, &worker->queue->lock);
}

static void *work(void *context)
{
	struct worker *worker = context;
	struct filemap_queue *queue = worker->queue;
	struct pool *pool;

	pthread_mutex_lock(&queue->lock);
	pool = queue->backend_state;
	while (!pool->stopping) {
		struct fm__group *group = fm__gather_take(queue);

		if (group != NULL)
			work_on(queue, group);
		else
			be_idle(pool, worker);
	}
	pthread_mutex_unlock(&queue->lock);
	return NULL;
}

/* Lock held. */
static void stop_workers(struct filemap_queue *queue, struct pool *pool)
{
	pool->stopping = 1;
	for (uint32_t i = 0; i < pool->count; i++)
		pthread_cond_signal(&pool->workers[i].wake);
	pthread_mutex_unlock(&queue->lock);
	for (uint32_t i = 0; i < pool->count; i++)
		pthread_join(pool->workers[i].thread, NULL);
	pthread_mutex_lock(&queue->lock);
}

static int start_worker(struct filemap_queue *queue, struct worker *worker)
{
	int r;

	worker->queue = queue;
	pthread_cond_init(&worker->wake, NULL);
	r = -pthread_create(&worker->thread, NULL, work, worker);
	if (r < 0)
		pthread_cond_destroy(&worker->wake);
	return r;
}

static int start_workers(struct filemap_queue *queue, struct pool *pool)
{
	sigset_t before;
	int r;

	r = fm__sys_block_signals(&before);
	if (r < 0)
		return r;
	while (r == 0 && pool->count < queue->workers) {
		r = start_worker(queue, &pool->workers[pool->count]);
		if (r == 0)
			pool->count++;
	}
	(void)fm__sys_restore_signals(&before);
	return r;
}

static void free_pool(struct filemap_queue *queue, struct pool *pool)
{
	queue->backend_state = NULL;
	for (uint32_t i = 0; i < pool->count; i++)
		pthread_cond_destroy(&pool->workers[i].wake);
	fm__free(pool);
}

static int pool_open(struct filemap_queue *queue, const char **ret_step)
{
	struct pool *pool;
	int r;

	*ret_step = "start workers";
	pool = fm__zalloc(sizeof *pool + queue->workers * sizeof pool->workers[0]);
	if (pool == NULL)
		return -ENOMEM;
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
