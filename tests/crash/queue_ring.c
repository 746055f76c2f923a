/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Between the queue and a real ring: entries that flush the run's file begin when they are pushed, and their
 * completions are held back and come out of order.
 *
 * Invariant: a thread that would wait for ever gets at least one of the completions that are held back.
 */
#include <errno.h>
#include <stdlib.h>

#include "queue_sim.h"
#include "queue_wraps.h"
#include "sys/ring.h"

#define HELD_MAX 4096u

/* One ring at a time, and one thread at a time in it. */
static struct fm__ring_completion held[HELD_MAX];
static unsigned held_count;

int __wrap_fm__ring_push(struct fm__ring *ring, const struct fm__call *call, uint64_t user_data)
{
	const bool flushes = call->kind == FM_CALL_FLUSH || call->kind == FM_CALL_SYNC;
	const bool is_ours = flushes && queue_is_ours(call->fd);
	struct queue_flushing *flushing;
	int r;

	r = __real_fm__ring_push(ring, call, user_data);
	if (r < 0 || !is_ours)
		return r;
	if (call->kind == FM_CALL_SYNC)
		flushing = queue_flush_begins(0, QUEUE_BYTES);
	else
		flushing = queue_flush_begins(call->offset, call->length);
	flushing->user_data = user_data;
	flushing->in_ring = true;
	return r;
}

/* What it still had to say is of no interest to anybody. */
void __wrap_fm__ring_close(struct fm__ring *ring)
{
	held_count = 0;
	__real_fm__ring_close(ring);
}

int __wrap_fm__ring_wait(struct fm__ring *ring, int timeout_ms)
{
	int r;

	if (!queue_is_on() || held_count == 0)
		return __real_fm__ring_wait(ring, timeout_ms);
	r = __real_fm__ring_wait(ring, 0);
	return r == -ETIME && queue_must_return() ? 0 : r;
}

static bool is_ripe(const struct fm__ring_completion *completion)
{
	const struct queue_flushing *flushing = queue_flush_find(completion->user_data);

	return flushing == NULL || queue_flush_is_ripe(flushing);
}

static struct fm__ring_completion take(unsigned index)
{
	struct fm__ring_completion completion = held[index];
	struct queue_flushing *flushing = queue_flush_find(completion.user_data);

	held[index] = held[--held_count];
	if (flushing != NULL) {
		int r = queue_flush_ends(flushing);
		if (r < 0)
			completion.result = r;
	}
	return completion;
}

static unsigned deliver(struct fm__ring_completion *to, unsigned count)
{
	unsigned given = 0, tries = 2 * held_count;

	while (given < count && held_count > 0 && tries-- > 0) {
		unsigned index = (unsigned)queue_random(held_count);
		if (is_ripe(&held[index]) && queue_random(4) > 0)
			to[given++] = take(index);
	}
	if (given == 0 && count > 0 && held_count > 0 && queue_must_return())
		to[given++] = take(0);
	return given;
}

int __wrap_fm__ring_reap(struct fm__ring *ring, struct fm__ring_completion *to, unsigned count)
{
	int r;

	if (!queue_is_on() && held_count == 0)
		return __real_fm__ring_reap(ring, to, count);
	r = __real_fm__ring_reap(ring, held + held_count, HELD_MAX - held_count);
	if (r < 0)
		return r;
	held_count += (unsigned)r;
	return (int)deliver(to, count);
}
