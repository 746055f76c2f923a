/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The collecting side: poll, wait and drain, and the callbacks, which run nowhere else.
 *
 * Invariants: a done request is taken off its list by exactly one thread, which ends its ticket;
 * the entry is free again before the callback runs, so that a callback can queue the next request
 * at any depth; no lock is held while a callback runs.
 */
#include "queue/queue.h"

#include <errno.h>
#include <limits.h>

#include "base/fork.h"
#include "base/util.h"
#include "sys/sys.h"

/* What is left of a request whose ticket has ended. */
struct ended {
	uint64_t ticket;
	int result;
	filemap_completed *completed;
	void *context;
	struct filemap_error error; /* if it has failed */
};

/* The callbacks that this thread is in, innermost first. */
struct frame {
	const struct filemap_queue *queue;
	const struct ended *ended;
	struct frame *outer;
};

static _Thread_local struct frame *frames;

int fm__queue_in_callback(const struct filemap_queue *queue)
{
	for (const struct frame *frame = frames; frame != NULL; frame = frame->outer)
		if (frame->queue == queue)
			return 1;
	return 0;
}

/* A callback has forked, and this is the child: the parent's threads may have left the lock and the lists in any
 * state. */
static bool is_inherited(const struct filemap_queue *queue)
{
	return queue->generation != fm__fork_generation();
}

/* Nothing more is to be done with it: a callback has closed it, or forked. */
static bool is_over(const struct filemap_queue *queue)
{
	return is_inherited(queue) || queue->closing;
}

/* ---- coming and going ---- */

static int enter(struct filemap_queue *queue)
{
	int r;

	r = fm__queue_allowed(queue);
	if (r < 0)
		return r;
	if (fm__queue_in_callback(queue))
		return -EDEADLK;
	pthread_mutex_lock(&queue->lock);
	fm__queue_start(queue);
	return 0;
}

static int leave(struct filemap_queue *queue, int result)
{
	bool closing = queue->closing;

	if (is_inherited(queue))
		result = FILEMAP_EFORKED;
	else
		pthread_mutex_unlock(&queue->lock);
	if (closing)
		fm__queue_destroy(queue);
	return result;
}

static void collect(struct filemap_queue *queue)
{
	if (queue->backend->collect != NULL)
		queue->backend->collect(queue);
}

/* ---- ending a ticket ---- */

void fm__request_end(struct fm__request *request)
{
	struct filemap *pinned = request->pinned;

	request->pinned =
		NULL; /* first: a fork may come in between, and the child gives back what it finds here */
	if (request->operation->end != NULL)
		request->operation->end(request, pinned);
	else
		filemap_unpin(pinned);
}

static void fill(struct filemap_completion *ret, uint64_t ticket, int result)
{
	if (ret == NULL)
		return;
	*ret = (struct filemap_completion){.ticket = ticket, .result = result};
	if (result < 0 && result > -4096)
		ret->sys_errno = -result;
}

static void tell_waiters(struct filemap_queue *queue, const struct ended *ended, uint32_t called)
{
	for (struct fm__queue_waiter *waiter = queue->waiters; waiter != NULL; waiter = waiter->next) {
		if (waiter->ticket != ended->ticket)
			continue;
		waiter->result = ended->result;
		waiter->called = called;
		if (called == 2 && waiter->reterr != NULL && ended->result < 0)
			*waiter->reterr = ended->error;
	}
}

/* Gives the lock away meanwhile; a child that was forked in it comes back without. */
static void run_callback(struct filemap_queue *queue, const struct ended *ended)
{
	struct frame frame = {queue, ended, frames};

	tell_waiters(queue, ended, 1);
	queue->calling++;
	pthread_mutex_unlock(&queue->lock);
	frames = &frame;
	ended->completed(queue, ended->ticket, ended->result, ended->context);
	frames = frame.outer;
	if (is_inherited(queue))
		return;
	pthread_mutex_lock(&queue->lock);
	queue->calling--;
	tell_waiters(queue, ended, 2);
	fm__queue_wake(queue);
}

/* What a change of the mapping has come to shows before anybody is told of it. */
static void conclude(struct filemap_queue *queue, struct fm__request *request)
{
	if (request->pinned == NULL && request->operation->end == NULL)
		return;
	queue->calling++;
	pthread_mutex_unlock(&queue->lock);
	fm__request_end(request);
	pthread_mutex_lock(&queue->lock);
	queue->calling--;
}

static void copy_end(const struct fm__request *request, struct ended *ret)
{
	ret->ticket = request->ticket;
	ret->result = request->result;
	ret->completed = request->completed;
	ret->context = request->context;
	if (request->result < 0)
		ret->error = request->error;
}

static void end_ticket(struct filemap_queue *queue, struct fm__request *request,
		       struct filemap_completion *ret, struct filemap_error *reterr)
{
	struct ended ended;

	fm__list_remove(request->completed != NULL ? &queue->called : &queue->plain, &request->link);
	request->state = FM_REQUEST_ENDING;
	conclude(queue, request);
	copy_end(request, &ended);
	fm__queue_free_request(queue, request);
	if (ended.completed != NULL)
		run_callback(queue, &ended);
	else
		fm__queue_wake(queue); /* others may wait for the same ticket, or for any */
	fill(ret, ended.ticket, ended.result);
	if (reterr != NULL && ended.result < 0)
		*reterr = ended.error;
}

/* Callbacks of what is finished now; those that their requests add are left for the next call. */
static int run_finished(struct filemap_queue *queue)
{
	int finished = 0, ran = 0;

	for (const struct fm__node *node = queue->called.first; node != NULL; node = node->next)
		finished++;
	while (ran < finished && !is_over(queue) && queue->called.first != NULL) {
		end_ticket(queue, FM_OF(queue->called.first, struct fm__request, link), NULL, NULL);
		ran++;
	}
	return ran;
}

/* ---- poll and drain ---- */

int filemap_queue_poll(struct filemap_queue *queue)
{
	int r;

	r = enter(queue);
	if (r < 0)
		return r;
	/* Cleared before the look: what finishes after the look signals again. */
	if (queue->watched)
		(void)fm__sys_event_clear(queue->event);
	collect(queue);
	return leave(queue, run_finished(queue));
}

int filemap_queue_drain(struct filemap_queue *queue)
{
	int r, ran;

	r = enter(queue);
	if (r < 0)
		return r;
	for (;;) {
		fm__queue_start(queue);
		collect(queue);
		ran = run_finished(queue);
		if (is_over(queue))
			break;
		if (ran > 0 || queue->queued.first != NULL)
			continue; /* also what others have queued while the lock was away */
		if (queue->in_flight != 0)
			(void)queue->backend->wait(queue, -1); /* a signal does not end a drain */
		else if (queue->calling != 0)
			(void)fm__queue_sleep(queue, -1);
		else
			break;
	}
	return leave(queue, 0);
}

/* ---- wait ---- */

/* 1 = ended, 0 = not finished, -ENOENT */
static int take_any(struct filemap_queue *queue, struct filemap_completion *ret, struct filemap_error *reterr)
{
	struct fm__node *node = queue->called.first;

	if (node == NULL)
		node = queue->plain.first;
	if (node == NULL)
		return queue->in_flight != 0 ? 0 : -ENOENT;
	end_ticket(queue, FM_OF(node, struct fm__request, link), ret, reterr);
	return 1;
}

static int take_named(struct filemap_queue *queue, struct fm__queue_waiter *waiter,
		      struct filemap_completion *ret)
{
	struct fm__request *request;

	if (waiter->called == 2) {
		fill(ret, waiter->ticket, waiter->result);
		return 1;
	}
	if (waiter->called == 1)
		return 0;
	request = fm__queue_find(queue, waiter->ticket);
	if (request == NULL)
		return -ENOENT;
	if (request->state != FM_REQUEST_DONE)
		return 0;
	end_ticket(queue, request, ret, waiter->reterr);
	return 1;
}

static int milliseconds_left(uint64_t deadline_ns)
{
	uint64_t now = fm__sys_monotonic_ns();

	if (now >= deadline_ns)
		return 0;
	return (int)FM_MIN((deadline_ns - now + 999999) / 1000000, (uint64_t)INT_MAX);
}

/* With a callback running on another thread nothing need be in flight: only an announcement
 * helps. */
static int wait_once(struct filemap_queue *queue, const struct fm__queue_waiter *waiter, int timeout_ms)
{
	if (waiter->called == 1 || queue->in_flight == 0)
		return fm__queue_sleep(queue, timeout_ms);
	return queue->backend->wait(queue, timeout_ms);
}

static int wait_until(struct filemap_queue *queue, struct fm__queue_waiter *waiter, int timeout_ms,
		      struct filemap_completion *ret)
{
	uint64_t deadline = 0;
	int left = timeout_ms, r;

	if (timeout_ms > 0)
		deadline = fm__sys_monotonic_ns() + (uint64_t)timeout_ms * 1000000;
	for (;;) {
		collect(queue);
		r = waiter->ticket == FILEMAP_ANY ? take_any(queue, ret, waiter->reterr)
						  : take_named(queue, waiter, ret);
		if (r != 0)
			return r;
		if (timeout_ms > 0)
			left = milliseconds_left(deadline);
		if (left == 0)
			return 0;
		r = wait_once(queue, waiter, left);
		if (r < 0)
			return r;
	}
}

static void forget_waiter(struct filemap_queue *queue, const struct fm__queue_waiter *waiter)
{
	struct fm__queue_waiter **link = &queue->waiters;

	if (is_inherited(queue))
		return;
	while (*link != waiter)
		link = &(*link)->next;
	*link = waiter->next;
}

int filemap_queue_wait_error(struct filemap_queue *queue, uint64_t ticket, int timeout_ms,
			     struct filemap_completion *ret, struct filemap_error *reterr)
{
	struct fm__queue_waiter waiter = {.ticket = ticket, .reterr = reterr};
	int r;

	r = enter(queue);
	if (r < 0)
		return r;
	waiter.next = queue->waiters;
	queue->waiters = &waiter;
	r = wait_until(queue, &waiter, timeout_ms, ret);
	forget_waiter(queue, &waiter);
	return leave(queue, r);
}

int filemap_queue_wait(struct filemap_queue *queue, uint64_t ticket, int timeout_ms,
		       struct filemap_completion *ret)
{
	return filemap_queue_wait_error(queue, ticket, timeout_ms, ret, NULL);
}

/* ---- errors in full ---- */

static const struct ended *in_callback(const struct filemap_queue *queue, uint64_t ticket)
{
	for (const struct frame *frame = frames; frame != NULL; frame = frame->outer)
		if (frame->queue == queue && frame->ended->ticket == ticket)
			return frame->ended;
	return NULL;
}

static int tell_error(int result, const struct filemap_error *error, struct filemap_error *ret)
{
	if (result >= 0)
		return 0;
	*ret = *error;
	return 1;
}

/* Lock held. */
static int find_error(struct filemap_queue *queue, uint64_t ticket, struct filemap_error *ret)
{
	const struct fm__request *request = ticket != 0 ? fm__queue_find(queue, ticket) : NULL;

	if (request == NULL || request->state == FM_REQUEST_ENDING)
		return -ENOENT;
	if (request->state != FM_REQUEST_DONE)
		return -EINPROGRESS;
	return tell_error(request->result, &request->error, ret);
}

int filemap_queue_error(struct filemap_queue *queue, uint64_t ticket, struct filemap_error *ret)
{
	const struct ended *called;
	int r;

	r = fm__queue_allowed(queue);
	if (r < 0)
		return r;
	called = in_callback(queue, ticket);
	if (called != NULL)
		return tell_error(called->result, &called->error, ret);
	pthread_mutex_lock(&queue->lock);
	r = find_error(queue, ticket, ret);
	pthread_mutex_unlock(&queue->lock);
	return r;
}
