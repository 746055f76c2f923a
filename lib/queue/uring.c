/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Owns the requests that are with a ring. A request ends when its last piece has completed, with
 * the first error of any; its descriptor stays open until then, since the kernel looks it up only
 * when it begins.
 *
 * When the kernel refuses the ring at run time (a seccomp filter, say), pieces that it never took
 * are flushed on this thread instead. Pieces that it took can no more be collected, and the error
 * of one would not be reported a second time: their requests are flushed, and end with the
 * refusal's errno all the same.
 */
#include "queue/uring.h"

#include <errno.h>

#include "base/util.h"
#include "sys/sys.h"

#define MOST_ENTRIES 64u /* two pages of locked memory */
#define REAP_AT_ONCE 16u
#define MOST_ATTEMPTS 3u

int fm__uring_open(struct fm__uring *u, uint32_t depth)
{
	uint32_t entries = 4;

	while (entries < MOST_ENTRIES && entries < depth + 1)
		entries *= 2;
	u->limit = entries - 1; /* one for a wake */
	return fm__ring_open(entries, &u->ring);
}

void fm__uring_close(struct fm__uring *u)
{
	fm__ring_close(u->ring);
}

static void begin(struct fm__uring *u, struct fm__request *request)
{
	request->next_offset = request->flush.offset;
	request->left = request->flush.length;
	request->pieces = 0;
	request->unsent = 0;
	request->undone = 0;
	fm__list_append(&u->pushing, request);
}

void fm__uring_take(struct fm__uring *u, struct fm__request_list *from)
{
	struct fm__request *request;

	while ((request = fm__list_pop(from)) != NULL) {
		request->attempts = 0;
		begin(u, request);
	}
}

static void end(struct fm__request *request, int result, struct fm__request_list *ended)
{
	fm__request_end(request, result);
	fm__list_append(ended, request);
}

/* ---- the ring is broken ---- */

static void end_by_hand(const struct fm__uring *u, struct fm__request *request,
			struct fm__request_list *ended)
{
	const struct fm__flush *flush = &request->flush;
	int r;

	r = fm__sys_flush_range(flush->fd, flush->offset, flush->length);
	if (r >= 0 && request->pieces > request->unsent)
		r = u->broken;
	if (request->result < 0)
		r = request->result;
	end(request, r < 0 ? r : 0, ended);
}

static void end_all_by_hand(struct fm__uring *u, struct fm__request_list *ended)
{
	struct fm__request *request;

	while ((request = fm__list_pop(&u->flying)) != NULL)
		end_by_hand(u, request, ended);
	while ((request = fm__list_pop(&u->pushing)) != NULL)
		end_by_hand(u, request, ended);
	u->in_ring = 0;
}

/* ---- to the ring ---- */

static bool is_refusal(int r)
{
	return r < 0 && r != -EBUSY && r != -EAGAIN && r != -EINTR && r != -ETIME;
}

static void mark_sent(struct fm__request_list *list)
{
	for (struct fm__request *request = list->first; request != NULL; request = request->next)
		request->unsent = 0;
}

static void submit(struct fm__uring *u)
{
	int r;

	r = fm__ring_submit(u->ring);
	if (is_refusal(r)) {
		u->broken = r;
		return;
	}
	/* -EBUSY and -EAGAIN: the kernel may have taken some. */
	mark_sent(&u->pushing);
	mark_sent(&u->flying);
}

/* 0, -EBUSY, or what else the ring answers */
static int push_piece(struct fm__uring *u, struct fm__request *request)
{
	uint64_t length = FM_MIN(request->left, FM_RING_FLUSH_MAX);
	int r;

	r = fm__ring_push_flush(u->ring, request->flush.fd, request->next_offset, length,
				(uint64_t)(uintptr_t)request);
	if (r < 0)
		return r;
	request->next_offset += length;
	request->left -= length;
	request->pieces++;
	request->unsent++;
	u->in_ring++;
	return 0;
}

/* Pushes until the ring is full or nothing is left; 0 or why not. */
static int push_all(struct fm__uring *u)
{
	struct fm__request *request;
	int r;

	while ((request = u->pushing.first) != NULL && u->in_ring < u->limit) {
		r = push_piece(u, request);
		if (r < 0)
			return r;
		if (request->left != 0)
			continue;
		fm__list_remove(&u->pushing, request);
		fm__list_append(&u->flying, request);
	}
	return 0;
}

void fm__uring_push(struct fm__uring *u, struct fm__request_list *ended)
{
	int r = 0;

	if (u->broken == 0) {
		r = push_all(u);
		if (u->in_ring != 0)
			submit(u);
	}
	if (is_refusal(r) && u->broken == 0)
		u->broken = r;
	if (u->broken != 0)
		end_all_by_hand(u, ended);
}

/* ---- from the ring ---- */

int fm__uring_wait(struct fm__uring *u, int timeout_ms, struct fm__request_list *ended)
{
	int r;

	/* Nothing in the ring would end the wait for requests that did not fit into it. */
	if (u->broken != 0 || (u->in_ring == 0 && u->pushing.first != NULL))
		return 0;
	r = fm__ring_wait(u->ring, timeout_ms);
	if (is_refusal(r)) {
		u->broken = r;
		end_all_by_hand(u, ended);
	}
	return r == -EINTR ? r : 0;
}

/*
 * The kernel gives a flush back without having begun it when it cannot start a worker for it, which happens
 * while signals come in. Nobody has cancelled anything: it is done again, at last on this thread.
 */
static bool is_undone(int result)
{
	return result == -ECANCELED || result == -EAGAIN || result == -EINTR;
}

static void do_again(struct fm__uring *u, struct fm__request *request, struct fm__request_list *ended)
{
	if (++request->attempts < MOST_ATTEMPTS)
		begin(u, request);
	else
		end_by_hand(u, request, ended);
}

static void complete_piece(struct fm__uring *u, const struct fm__ring_completion *completion,
			   struct fm__request_list *ended)
{
	struct fm__request *request = (struct fm__request *)(uintptr_t)completion->user_data;

	u->in_ring--;
	request->pieces--;
	if (is_undone(completion->result))
		request->undone = 1;
	else if (completion->result < 0 && request->result == 0)
		request->result = completion->result;
	if (request->pieces != 0 || request->left != 0)
		return;
	fm__list_remove(&u->flying, request);
	if (request->undone && request->result == 0)
		do_again(u, request, ended);
	else
		end(request, request->result, ended);
}

uint32_t fm__uring_reap(struct fm__uring *u, struct fm__request_list *ended)
{
	struct fm__ring_completion completions[REAP_AT_ONCE];
	uint32_t wakes = 0;
	int count = REAP_AT_ONCE;

	while (u->broken == 0 && count == REAP_AT_ONCE) {
		count = fm__ring_reap(u->ring, completions, REAP_AT_ONCE);
		for (int i = 0; i < count; i++) {
			if (completions[i].user_data == FM_URING_WAKE)
				wakes++;
			else
				complete_piece(u, &completions[i], ended);
		}
	}
	return wakes;
}

uint32_t fm__uring_finish(struct filemap_queue *queue, struct fm__request_list *ended)
{
	struct fm__request *request;
	uint32_t count = 0;

	while ((request = fm__list_pop(ended)) != NULL) {
		fm__queue_finish(queue, request);
		count++;
	}
	return count;
}
