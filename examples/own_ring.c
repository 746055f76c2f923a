/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Keeps what comes in: standard input goes into a file, and for whatever is on the device "durable N", the number of
 * bytes, goes to standard output. One thread, one io_uring of the program's own, on which reads, flushes of the
 * mapping and writes are side by side; nothing here waits for the disk but the ring.
 *
 * usage: own_ring FILE <INPUT >ANSWERS   status 3: there is no io_uring here
 */
#include <filemap/filemap.h>
#include <filemap/uring.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <liburing.h>

#define BLOCK ((size_t)65536)
#define GROWTH ((size_t)1048576)
#define MOST (GROWTH * 1024)

/* At most one of each is under way, so the ring has always room. */
enum request { NOTHING, READ, FLUSH, ANSWER };

struct keeper {
	struct io_uring ring;
	struct filemap *map;
	size_t stored, flushing, durable,
		answered; /* bytes from the start; flushing: 0 = no flush is under way */
	int reading, answering, ended, failed;
	char answer[32];
};

static int fail(struct keeper *k, const char *what, int r)
{
	fprintf(stderr, "own_ring: %s: %s\n", what, filemap_strerror(r));
	k->failed = 1;
	return r;
}

/* ---- beginning ---- */

/* With a reserve the window grows where it is, also while a flush has it pinned. */
static int make_room(struct keeper *k)
{
	struct filemap_error error = {0};
	const size_t size = filemap_size(k->map);

	if (size - k->stored >= BLOCK)
		return 0;
	const int r = filemap_resize(k->map, size + GROWTH, &error);
	return r < 0 ? fail(k, "grow", r) : 0;
}

/* The kernel stores into the mapping by itself: where a page cannot be had it answers EFAULT, and sends no signal. */
static void begin_read(struct keeper *k)
{
	struct io_uring_sqe *sqe;

	if (make_room(k) < 0)
		return;
	sqe = io_uring_get_sqe(&k->ring);
	io_uring_prep_read(sqe, STDIN_FILENO, (char *)filemap_data_mut(k->map) + k->stored, BLOCK, (__u64)-1);
	io_uring_sqe_set_data64(sqe, READ);
	k->reading = 1;
}

/* All that came while the last flush was under way is flushed at once. */
static void begin_flush(struct keeper *k)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&k->ring);
	const int r = filemap_prep_flush(k->map, k->durable, k->stored - k->durable, sqe);

	if (r < 0) {
		io_uring_prep_nop(sqe); /* an entry that was taken has to be something */
		io_uring_sqe_set_data64(sqe, NOTHING);
		fail(k, "flush", r);
		return;
	}
	io_uring_sqe_set_data64(sqe, FLUSH);
	k->flushing = k->stored;
}

static void begin_answer(struct keeper *k)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&k->ring);

	k->answering = snprintf(k->answer, sizeof k->answer, "durable %zu\n", k->durable);
	k->answered = k->durable;
	io_uring_prep_write(sqe, STDOUT_FILENO, k->answer, (unsigned)k->answering, (__u64)-1);
	io_uring_sqe_set_data64(sqe, ANSWER);
}

static void begin(struct keeper *k)
{
	if (!k->reading && !k->ended && !k->failed)
		begin_read(k);
	if (!k->flushing && k->stored > k->durable && !k->failed)
		begin_flush(k);
	if (!k->answering && k->durable > k->answered)
		begin_answer(k);
}

/* ---- ending ---- */

static int is_undone(int r)
{
	return r == -EINTR || r == -EAGAIN || r == -ECANCELED;
}

static void end_read(struct keeper *k, int result)
{
	k->reading = 0;
	if (result > 0)
		k->stored += (size_t)result;
	else if (result == 0)
		k->ended = 1;
	else if (!is_undone(result))
		fail(k, "read", result);
}

static void end_flush(struct keeper *k, int result)
{
	const int r = filemap_finish_flush(k->map, k->durable, k->flushing - k->durable, result);

	if (r == 0)
		k->durable = k->flushing;
	else if (!is_undone(r)) /* which is begun again */
		fail(k, "flush", r);
	k->flushing = 0;
}

static void end_answer(struct keeper *k, int result)
{
	if (result != k->answering)
		fail(k, "answer", result < 0 ? result : -EIO);
	k->answering = 0;
}

static void end(struct keeper *k, const struct io_uring_cqe *cqe)
{
	if (cqe->user_data == READ)
		end_read(k, cqe->res);
	else if (cqe->user_data == FLUSH)
		end_flush(k, cqe->res);
	else if (cqe->user_data == ANSWER)
		end_answer(k, cqe->res);
}

/* ---- the loop ---- */

/* After a failure nobody waits for input any more; what was begun is seen to its end. */
static int is_busy(const struct keeper *k)
{
	return k->flushing || k->answering || (k->reading && !k->failed);
}

static void keep(struct keeper *k)
{
	struct io_uring_cqe *cqe;
	int r;

	for (begin(k); is_busy(k); begin(k)) {
		r = io_uring_submit_and_wait(&k->ring, 1);
		if (r < 0 && r != -EINTR) {
			fail(k, "ring", r);
			return;
		}
		while (io_uring_peek_cqe(&k->ring, &cqe) == 0) {
			end(k, cqe);
			io_uring_cqe_seen(&k->ring, cqe);
		}
	}
}

static int keep_in(struct keeper *k, const char *path)
{
	struct filemap_error error = {0};
	char text[512];
	int r = filemap_open(
		path, FILEMAP_WRITE,
		FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | FILEMAP_TRUNCATE, .size = GROWTH, .reserve = MOST),
		&k->map, &error);

	if (r < 0) {
		filemap_error_format(&error, text, sizeof text);
		fprintf(stderr, "own_ring: %s\n", text);
		return 1;
	}
	keep(k);
	if (k->reading) /* the kernel may store into the mapping yet: it stays until the process ends */
		return 1;
	r = filemap_resize(k->map, k->durable, &error);
	if (r < 0)
		fail(k, "cut", r);
	filemap_close(k->map);
	return k->failed;
}

int main(int argc, char **argv)
{
	struct keeper k = {0};
	int r;

	if (argc != 2) {
		fputs("usage: own_ring FILE <INPUT >ANSWERS\n", stderr);
		return 2;
	}
	r = io_uring_queue_init(4, &k.ring, 0);
	if (r < 0) {
		fprintf(stderr, "own_ring: io_uring: %s\n", filemap_strerror(r));
		return 3;
	}
	r = keep_in(&k, argv[1]);
	io_uring_queue_exit(&k.ring);
	return r;
}
