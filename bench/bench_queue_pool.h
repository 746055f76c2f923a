/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a program writes that has no queue: threads that call fdatasync, fed by one thread. */
#ifndef BENCH_QUEUE_POOL_H
#define BENCH_QUEUE_POOL_H

#include <stddef.h>

#define BQ_POOL_JOBS 64u

struct bq_pool;

struct bq_pool *bq_pool_open(size_t threads);
void bq_pool_close(struct bq_pool *pool);
void bq_pool_push(struct bq_pool *pool, int fd); /* at most BQ_POOL_JOBS unfinished */
size_t bq_pool_wait(struct bq_pool *pool);       /* how many have finished since the last time, at least 1 */

#endif
