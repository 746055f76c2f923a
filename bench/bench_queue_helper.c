/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A thread that flushes for another one, by hand: the least that any pool of threads has to do.
 *
 * Invariant: one request at a time.
 */
#include "bench_queue.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct helper {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t asked, answered;
	int fd; /* to be flushed; -1: nothing */
	int stopping;
};

static void *help(void *context)
{
	struct helper *h = context;

	pthread_mutex_lock(&h->lock);
	while (!h->stopping) {
		if (h->fd < 0) {
			pthread_cond_wait(&h->asked, &h->lock);
			continue;
		}
		pthread_mutex_unlock(&h->lock);
		bench_require(fdatasync(h->fd) < 0 ? -errno : 0, "fdatasync");
		pthread_mutex_lock(&h->lock);
		h->fd = -1;
		pthread_cond_signal(&h->answered);
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

static int open_helper(struct bq_way *way)
{
	struct helper *h = calloc(1, sizeof *h);

	bench_require(h ? 0 : -ENOMEM, "helper");
	h->fd = -1;
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->asked, NULL);
	pthread_cond_init(&h->answered, NULL);
	bench_require(-pthread_create(&h->thread, NULL, help, h), "pthread_create");
	way->state = h;
	return 0;
}

static void begin_helper(struct bq_way *way, struct bq_file *file, size_t offset)
{
	struct helper *h = way->state;

	(void)offset;
	pthread_mutex_lock(&h->lock);
	h->fd = file->fd;
	pthread_cond_signal(&h->asked);
	pthread_mutex_unlock(&h->lock);
}

static void end_helper(struct bq_way *way)
{
	struct helper *h = way->state;

	pthread_mutex_lock(&h->lock);
	while (h->fd >= 0)
		pthread_cond_wait(&h->answered, &h->lock);
	pthread_mutex_unlock(&h->lock);
}

static void flush_helper(struct bq_way *way, struct bq_file *file, size_t offset)
{
	begin_helper(way, file, offset);
	end_helper(way);
}

static void close_helper(struct bq_way *way)
{
	struct helper *h = way->state;

	pthread_mutex_lock(&h->lock);
	h->stopping = 1;
	pthread_cond_signal(&h->asked);
	pthread_mutex_unlock(&h->lock);
	pthread_join(h->thread, NULL);
	free(h);
}

const struct bq_way bq_helper = {.name = "by hand: fdatasync on a thread",
				 .open = open_helper,
				 .flush = flush_helper,
				 .begin = begin_helper,
				 .end = end_helper,
				 .close = close_helper};
