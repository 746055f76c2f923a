/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Owns the functions of ring.h, which stand in front of the real ones, and the one ring there is at a time.
 *
 * Invariant: only the thread that opened the ring calls them. What was pushed is live until it ends, and with the
 * ring until it is reaped. A wait without an end is for something that can come.
 */
#include "fake_private.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void enter(const struct fm__ring *ring, const char *call)
{
	pthread_mutex_lock(&fake.lock);
	if (!pthread_equal(ring->owner, pthread_self()))
		fake__violated("%s on another thread than the one that opened the ring", call);
}

IN_FRONT_OF(int, fm__ring_open, unsigned entries, struct fm__ring **ret)
{
	struct fm__ring *ring = calloc(1, sizeof *ring);

	if (ring == NULL)
		return -ENOMEM;
	ring->owner = pthread_self();
	ring->entries = entries;
	ring->eventfd = ring->poll_fd = -1;
	pthread_mutex_lock(&fake.lock);
	if (fake.ring != NULL)
		abort();
	fake.ring = ring;
	*ret = ring;
	return fake__leave(0);
}

IN_FRONT_OF(void, fm__ring_close, struct fm__ring *ring)
{
	enter(ring, "close");
	if (fake.live_count > 0)
		fake__violated("the ring is closed with %u entries unanswered", fake.live_count);
	fake.ring = NULL;
	(void)fake__leave(0);
	free(ring);
}

IN_FRONT_OF(int, fm__ring_register_eventfd, struct fm__ring *ring, int eventfd)
{
	enter(ring, "register_eventfd");
	ring->eventfd = eventfd;
	return fake__leave(0);
}

static unsigned untaken(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < fake.live_count; i++)
		count += fake.log[fake.live[i]].taken == 0;
	return count;
}

IN_FRONT_OF(int, fm__ring_push, struct fm__ring *ring, const struct fm__call *call, uint64_t user_data)
{
	struct fake_entry *entry;

	enter(ring, "push");
	if (call->kind == FM_CALL_NONE)
		fake__violated("FM_CALL_NONE is pushed");
	if (untaken() >= ring->entries || fake__chance(fake.plan.full))
		return fake__leave(-EBUSY);
	entry = fake__add(call);
	entry->user_data = user_data;
	fake__check_company(entry);
	if (fake.live_count == FAKE_MAX_LIVE)
		abort();
	fake.live[fake.live_count++] = fake.count - 1;
	fake.with_ring++;
	return fake__leave(0);
}

IN_FRONT_OF(int, fm__ring_push_poll, struct fm__ring *ring, int fd, uint64_t user_data)
{
	enter(ring, "push_poll");
	if (fake__chance(fake.plan.full))
		return fake__leave(-EBUSY);
	if (ring->poll_fd >= 0)
		fake__violated("a second wake is armed");
	ring->poll_fd = fd;
	ring->poll_data = user_data;
	return fake__leave(0);
}

static int submit(void)
{
	if (fake__is_refused(false))
		return fake__refuse();
	/* Of a submission that stops in between the caller does not learn where. */
	for (unsigned i = 0; i < fake.live_count; i++)
		fake.log[fake.live[i]].maybe_lost = true;
	for (unsigned i = 0; i < fake.live_count; i++) {
		struct fake_entry *entry = &fake.log[fake.live[i]];

		if (entry->taken != 0)
			continue;
		if (fake__chance(fake.plan.short_taken))
			return fake__below(2) == 0 ? -EAGAIN : -EBUSY;
		entry->taken = ++fake.moment;
	}
	return 0;
}

/* maybe_lost means something only once the ring is refused. */
IN_FRONT_OF(int, fm__ring_submit, struct fm__ring *ring)
{
	int r;

	enter(ring, "submit");
	r = submit();
	if (r == 0 && fake__below(2) == 0)
		fake__go_on(ring);
	return fake__leave(r);
}

/* Nothing but the wake can come. */
static void wait_for_wake(struct fm__ring *ring)
{
	struct pollfd wanted = {.fd = ring->poll_fd, .events = POLLIN};

	if (ring->poll_fd < 0) {
		fprintf(stderr, "seed %llu: waits for ever in a ring where nothing is to come\n",
			(unsigned long long)fake.plan.seed);
		abort();
	}
	pthread_mutex_unlock(&fake.lock);
	(void)poll(&wanted, 1, -1);
	pthread_mutex_lock(&fake.lock);
	fake__show_poll(ring);
}

static int wait_visible(struct fm__ring *ring, int timeout_ms)
{
	for (unsigned round = 0; ring->visible_count == 0; round++) {
		if (timeout_ms >= 0 && round > (timeout_ms > 0 ? 2 : 0))
			return -ETIME;
		if (timeout_ms < 0 && fake.live_count == 0) {
			wait_for_wake(ring);
			continue;
		}
		if (timeout_ms < 0 && untaken() == fake.live_count)
			return -EAGAIN; /* the kernel has nothing */
		fake__go_on(ring);
		if (fake__chance(4))
			fake__let_others();
	}
	return 0;
}

IN_FRONT_OF(int, fm__ring_wait, struct fm__ring *ring, int timeout_ms)
{
	int r;

	enter(ring, "wait");
	r = submit();
	if (ring->visible_count > 0)
		return fake__leave(0);
	if (r < 0)
		return fake__leave(r);
	if (fake__is_refused(true))
		return fake__leave(fake__refuse());
	if (fake__chance(fake.plan.interrupted))
		return fake__leave(-EINTR);
	return fake__leave(wait_visible(ring, timeout_ms));
}

static struct fake_entry *of_user_data(uint64_t user_data)
{
	for (unsigned i = fake.count; i-- > 0;)
		if (!fake.log[i].by_thread && fake.log[i].user_data == user_data && fake.log[i].ended != 0 &&
		    fake.log[i].reaped == 0)
			return &fake.log[i];
	return NULL;
}

IN_FRONT_OF(int, fm__ring_reap, struct fm__ring *ring, struct fm__ring_completion *to, unsigned count)
{
	unsigned taken = 0;

	enter(ring, "reap");
	if (fake__chance(2) && !fake.refused)
		fake__go_on(ring);
	for (; taken < count && taken < ring->visible_count; taken++) {
		struct fake_entry *entry = of_user_data(ring->visible[taken].user_data);

		to[taken] = ring->visible[taken];
		if (entry == NULL)
			continue;
		entry->reaped = ++fake.moment;
		fake.with_ring--;
	}
	ring->visible_count -= taken;
	memmove(ring->visible, ring->visible + taken, ring->visible_count * sizeof ring->visible[0]);
	return fake__leave((int)taken);
}
