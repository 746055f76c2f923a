/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Flushing with a ring of the program's own: by filemap_prep_flush(), by hand, and by hand with the ring on a thread of
 * its own, which reads the clock at each hop.
 *
 * Invariant: one request at a time.
 */
#include "bench_queue.h"

#include <filemap/uring.h>

#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ENTRIES 8u
#define MOST_HOPS ((size_t)1 << 20)

struct bench_series bq_hops[BQ_HOPS];

static int open_ring(struct io_uring *ring)
{
	int r;

	r = io_uring_queue_init(ENTRIES, ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
	return r == -EINVAL ? io_uring_queue_init(ENTRIES, ring, 0) : r;
}

static int open_own(struct bq_way *way)
{
	struct io_uring *ring = malloc(sizeof *ring);
	int r;

	bench_require(ring ? 0 : -ENOMEM, "ring");
	r = open_ring(ring);
	if (r < 0) {
		printf("  %-44s left out: io_uring: %s\n", way->name, strerror(-r));
		free(ring);
		return r;
	}
	way->state = ring;
	return 0;
}

static void close_own(struct bq_way *way)
{
	io_uring_queue_exit(way->state);
	free(way->state);
}

static int finish(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int res;

	bench_require(io_uring_submit_and_wait(ring, 1), "io_uring_submit_and_wait");
	bench_require(io_uring_wait_cqe(ring, &cqe), "io_uring_wait_cqe");
	res = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return res;
}

static void flush_prep(struct bq_way *way, struct bq_file *file, size_t offset)
{
	struct io_uring *ring = way->state;

	bench_require(filemap_prep_flush(file->map, offset, BQ_PAGE, io_uring_get_sqe(ring)),
		      "filemap_prep_flush");
	bench_require(filemap_finish_flush(file->map, offset, BQ_PAGE, finish(ring)), "filemap_finish_flush");
}

static void prep_bare(struct io_uring *ring, int fd, size_t offset)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	sqe->off = offset;
	sqe->len = BQ_PAGE - 1; /* inclusive */
}

static void flush_bare(struct bq_way *way, struct bq_file *file, size_t offset)
{
	prep_bare(way->state, file->fd, offset);
	bench_require(finish(way->state), "FSYNC");
}

static void begin_bare(struct bq_way *way, struct bq_file *file, size_t offset)
{
	prep_bare(way->state, file->fd, offset);
	bench_require(io_uring_submit(way->state), "io_uring_submit");
}

static void end_bare(struct bq_way *way)
{
	bench_require(finish(way->state), "FSYNC");
}

/* ---- a ring owned by a thread ---- */

struct owner {
	struct io_uring ring; /* the thread's */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t answered;
	const struct bq_file *file; /* to be flushed; NULL: nothing */
	size_t offset;
	uint64_t asked, awake, completed; /* when */
	int result, wake, opened, stopping;
};

/* When it came. */
static uint64_t wait_for_request(struct owner *o)
{
	uint64_t count, awake;

	io_uring_prep_poll_add(io_uring_get_sqe(&o->ring), o->wake, 1 /* POLLIN */);
	bench_require(finish(&o->ring), "poll");
	awake = bench_now_ns();
	bench_require(read(o->wake, &count, sizeof count) < 0 ? -errno : 0, "read eventfd");
	return awake;
}

/* 0: there is nothing more to do. */
static int serve(struct owner *o)
{
	const uint64_t awake = wait_for_request(o);
	int go_on;

	pthread_mutex_lock(&o->lock);
	o->awake = awake;
	go_on = !o->stopping;
	if (go_on) {
		prep_bare(&o->ring, o->file->fd, o->offset);
		pthread_mutex_unlock(&o->lock);
		o->result = finish(&o->ring);
		o->completed = bench_now_ns();
		pthread_mutex_lock(&o->lock);
		o->file = NULL;
		pthread_cond_signal(&o->answered);
	}
	pthread_mutex_unlock(&o->lock);
	return go_on;
}

static void *own(void *context)
{
	struct owner *o = context;

	pthread_mutex_lock(&o->lock);
	o->result = open_ring(&o->ring);
	o->opened = 1;
	pthread_cond_signal(&o->answered);
	pthread_mutex_unlock(&o->lock);
	if (o->result < 0)
		return NULL;
	while (serve(o))
		;
	io_uring_queue_exit(&o->ring);
	return NULL;
}

static void tell(struct owner *o)
{
	const uint64_t one = 1;
	bench_require(write(o->wake, &one, sizeof one) < 0 ? -errno : 0, "write eventfd");
}

static void free_owner(struct owner *o)
{
	pthread_join(o->thread, NULL);
	close(o->wake);
	for (size_t i = 0; i < BQ_HOPS; i++)
		bench_series_free(&bq_hops[i]);
	free(o);
}

static int open_owner(struct bq_way *way)
{
	static const char *const names[BQ_HOPS] = {"  asked until the owner is awake",
						   "  until it has the completion",
						   "  until the asking thread is awake"};
	struct owner *o = calloc(1, sizeof *o);
	int result;

	bench_require(o ? 0 : -ENOMEM, "owner");
	for (size_t i = 0; i < BQ_HOPS; i++)
		bench_series_init(&bq_hops[i], names[i], MOST_HOPS);
	o->wake = eventfd(0, EFD_CLOEXEC);
	bench_require(o->wake < 0 ? -errno : 0, "eventfd");
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->answered, NULL);
	bench_require(-pthread_create(&o->thread, NULL, own, o), "pthread_create");
	pthread_mutex_lock(&o->lock);
	while (!o->opened)
		pthread_cond_wait(&o->answered, &o->lock);
	result = o->result;
	pthread_mutex_unlock(&o->lock);
	way->state = o;
	if (result < 0) {
		printf("  %-44s left out: io_uring: %s\n", way->name, strerror(-result));
		free_owner(o);
	}
	return result;
}

static void flush_owner(struct bq_way *way, struct bq_file *file, size_t offset)
{
	struct owner *o = way->state;
	uint64_t end;

	pthread_mutex_lock(&o->lock);
	o->file = file;
	o->offset = offset;
	o->asked = bench_now_ns();
	tell(o);
	while (o->file)
		pthread_cond_wait(&o->answered, &o->lock);
	end = bench_now_ns();
	bench_series_add(&bq_hops[0], o->awake - o->asked);
	bench_series_add(&bq_hops[1], o->completed - o->awake);
	bench_series_add(&bq_hops[2], end - o->completed);
	bench_require(o->result, "FSYNC");
	pthread_mutex_unlock(&o->lock);
}

static void close_owner(struct bq_way *way)
{
	struct owner *o = way->state;

	pthread_mutex_lock(&o->lock);
	o->stopping = 1;
	tell(o);
	pthread_mutex_unlock(&o->lock);
	free_owner(o);
}

const struct bq_way bq_ring_prep = {
	.name = "own ring, filemap_prep_flush", .open = open_own, .flush = flush_prep, .close = close_own};
const struct bq_way bq_ring_bare = {.name = "by hand: FSYNC on a ring",
				    .open = open_own,
				    .flush = flush_bare,
				    .begin = begin_bare,
				    .end = end_bare,
				    .close = close_own};
const struct bq_way bq_ring_owner = {.name = "by hand: a ring owned by a thread",
				     .open = open_owner,
				     .flush = flush_owner,
				     .close = close_owner};
