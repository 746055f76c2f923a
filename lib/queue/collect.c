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

#include "base/util.h"
#include "sys/sys.h"

/* The callbacks that this thread is in, innermost first. */
struct frame {
	const struct filemap_queue *queue;
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

static void fill(struct filemap_completion *ret, uint64_t ticket, int result)
{
	if (ret == NULL)
		return;
	*ret = (struct filemap_completion){.ticket = ticket, .result = result};
	if (result < 0 && result > -4096)
		ret->sys_errno = -result;
}

static void tell_waiters(struct filemap_queue *queue, uint64_t ticket, int result, uint32_t called)
{
	for (struct fm__queue_waiter *waiter = queue->waiters; waiter != NULL; waiter = waiter->next) {
		if (waiter->ticket != ticket)
			continue;
		waiter->result = result;
		waiter->called = called;
	}
}

/* Takes and gives back the lock; `request` is a copy. */
static void run_callback(struct filemap_queue *queue, const struct fm__request *request)
{
	struct frame frame = {queue, frames};

	tell_waiters(queue, request->ticket, request->result, 1);
	queue->calling++;
	pthread_mutex_unlock(&queue->lock);
	frames = &frame;
	request->completed(queue, request->ticket, request->result, request->context);
	frames = frame.outer;
	pthread_mutex_lock(&queue->lock);
	queue->calling--;
	tell_waiters(queue, request->ticket, request->result, 2);
	fm__queue_wake(queue);
}

static void end_ticket(struct filemap_queue *queue, struct fm__request *request,
		       struct filemap_completion *ret)
{
	struct fm__request copy = *request;

	fm__list_remove(copy.completed != NULL ? &queue->called : &queue->plain, request);
	request->ticket = 0;
	request->state = FM_REQUEST_FREE;
	fm__list_append(&queue->free, request);
	if (copy.completed != NULL)
		run_callback(queue, &copy);
	else
		fm__queue_wake(queue); /* others may wait for the same ticket, or for any */
	fill(ret, copy.ticket, copy.result);
}

/* Callbacks of what is finished now; those that their requests add are left for the next call. */
static int run_finished(struct filemap_queue *queue)
{
	int finished = 0, ran = 0;

	for (const struct fm__request *r = queue->called.first; r != NULL; r = r->next)
		finished++;
	while (ran < finished && queue->called.first != NULL && !queue->closing) {
		end_ticket(queue, queue->called.first, NULL);
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
	int r;

	r = enter(queue);
	if (r < 0)
		return r;
	for (;;) {
		fm__queue_start(queue);
		collect(queue);
		if (run_finished(queue) > 0 && !queue->closing)
			continue;
		if (queue->closing)
			break;
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

static struct fm__request *find_ticket(struct filemap_queue *queue, uint64_t ticket)
{
	for (uint32_t i = 0; i < queue->depth; i++)
		if (queue->table[i].ticket == ticket)
			return &queue->table[i];
	return NULL;
}

/* 1 = ended, 0 = not finished, -ENOENT */
static int take_any(struct filemap_queue *queue, struct filemap_completion *ret)
{
	struct fm__request *request = queue->called.first;

	if (request == NULL)
		request = queue->plain.first;
	if (request == NULL)
		return queue->in_flight != 0 ? 0 : -ENOENT;
	end_ticket(queue, request, ret);
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
	request = find_ticket(queue, waiter->ticket);
	if (request == NULL)
		return -ENOENT;
	if (request->state != FM_REQUEST_DONE)
		return 0;
	end_ticket(queue, request, ret);
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
		r = waiter->ticket == FILEMAP_ANY ? take_any(queue, ret) : take_named(queue, waiter, ret);
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

	while (*link != waiter)
		link = &(*link)->next;
	*link = waiter->next;
}

int filemap_queue_wait(struct filemap_queue *queue, uint64_t ticket, int timeout_ms,
		       struct filemap_completion *ret)
{
	struct fm__queue_waiter waiter = {.ticket = ticket};
	int r;

	r = enter(queue);
	if (r < 0)
		return r;
	if (ticket == 0) /* no request has it; free entries do */
		return leave(queue, -ENOENT);
	waiter.next = queue->waiters;
	queue->waiters = &waiter;
	r = wait_until(queue, &waiter, timeout_ms, ret);
	forget_waiter(queue, &waiter);
	return leave(queue, r);
}
