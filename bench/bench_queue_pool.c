/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A pool of threads as short as it can be written: one lock, two conditions, a ring of descriptors to be flushed.
 *
 * Invariant: at most BQ_POOL_JOBS jobs are unfinished, so that the ring has room.
 */
#include "bench_queue_pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"

#define MOST_THREADS 64u

struct bq_pool {
	pthread_mutex_t lock;
	pthread_cond_t pushed, done;
	int jobs[BQ_POOL_JOBS];
	size_t first, waiting, finished, threads;
	int stopping;
	pthread_t thread[MOST_THREADS];
};

static void *work(void *context)
{
	struct bq_pool *pool = context;

	pthread_mutex_lock(&pool->lock);
	while (!pool->stopping) {
		int fd;

		if (pool->waiting == 0) {
			pthread_cond_wait(&pool->pushed, &pool->lock);
			continue;
		}
		fd = pool->jobs[pool->first];
		pool->first = (pool->first + 1) % BQ_POOL_JOBS;
		pool->waiting--;
		pthread_mutex_unlock(&pool->lock);
		bench_require(fdatasync(fd) < 0 ? -errno : 0, "fdatasync");
		pthread_mutex_lock(&pool->lock);
		pool->finished++;
		pthread_cond_signal(&pool->done);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

struct bq_pool *bq_pool_open(size_t threads)
{
	struct bq_pool *pool = calloc(1, sizeof *pool);

	bench_require(pool && threads <= MOST_THREADS ? 0 : -ENOMEM, "pool");
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->pushed, NULL);
	pthread_cond_init(&pool->done, NULL);
	for (; pool->threads < threads; pool->threads++)
		bench_require(-pthread_create(&pool->thread[pool->threads], NULL, work, pool),
			      "pthread_create");
	return pool;
}

void bq_pool_close(struct bq_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->stopping = 1;
	pthread_cond_broadcast(&pool->pushed);
	pthread_mutex_unlock(&pool->lock);
	for (size_t i = 0; i < pool->threads; i++)
		pthread_join(pool->thread[i], NULL);
	pthread_mutex_destroy(&pool->lock);
	pthread_cond_destroy(&pool->pushed);
	pthread_cond_destroy(&pool->done);
	free(pool);
}

void bq_pool_push(struct bq_pool *pool, int fd)
{
	pthread_mutex_lock(&pool->lock);
	pool->jobs[(pool->first + pool->waiting) % BQ_POOL_JOBS] = fd;
	pool->waiting++;
	pthread_cond_signal(&pool->pushed);
	pthread_mutex_unlock(&pool->lock);
}

size_t bq_pool_wait(struct bq_pool *pool)
{
	size_t finished;

	pthread_mutex_lock(&pool->lock);
	while (pool->finished == 0)
		pthread_cond_wait(&pool->done, &pool->lock);
	finished = pool->finished;
	pool->finished = 0;
	pthread_mutex_unlock(&pool->lock);
	return finished;
}
