/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Owns what becomes of the entries of the ring: the scheduler, and the refusal that ends it for good.
 *
 * Invariant: what was pushed ends with exactly one completion unless the ring is refused; then what the kernel had
 * ends without one, and nothing is live any more. An entry that was not taken makes no step.
 */
#include "fake_private.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "sys/sys.h"

/* ---- the ring's scheduler; lock held ---- */

static void drop_live(unsigned nth)
{
	memmove(&fake.live[nth], &fake.live[nth + 1], (--fake.live_count - nth) * sizeof fake.live[0]);
}

static void show(struct fm__ring *ring, uint64_t user_data, int result)
{
	if (ring->visible_count == FAKE_ENTRIES)
		abort();
	ring->visible[ring->visible_count++] =
		(struct fm__ring_completion){.user_data = user_data, .result = result};
	if (ring->eventfd >= 0)
		(void)fm__sys_event_signal(ring->eventfd);
}

static bool is_unknown(const struct fake_entry *entry)
{
	return (entry->kind == FM_CALL_TRUNCATE || entry->kind == FM_CALL_ADVISE) &&
	       fake__chance(fake.plan.unknown);
}

static void give_back(struct fm__ring *ring, unsigned nth)
{
	static const int undone[] = {-ECANCELED, -EAGAIN, -EINTR};
	struct fake_entry *entry = &fake.log[fake.live[nth]];

	entry->undone = true;
	fake__end(entry, is_unknown(entry) ? -EINVAL : undone[fake__below(3)]);
	show(ring, entry->user_data, entry->result);
	drop_live(nth);
}

/* One entry takes one step, if it is its turn. */
static void step(struct fm__ring *ring, unsigned nth)
{
	struct fake_entry *entry = &fake.log[fake.live[nth]];

	if (entry->taken == 0)
		return;
	if (entry->begun == 0 && (is_unknown(entry) || fake__chance(fake.plan.undone))) {
		give_back(ring, nth);
	} else if (entry->begun == 0) {
		fake__begin(entry);
	} else {
		fake__finish(entry);
		show(ring, entry->user_data, entry->result);
		drop_live(nth);
	}
}

void fake__show_poll(struct fm__ring *ring)
{
	struct pollfd wanted = {.fd = ring->poll_fd, .events = POLLIN};

	if (ring->poll_fd < 0 || poll(&wanted, 1, 0) != 1)
		return;
	if (wanted.revents & POLLNVAL)
		fake__violated("the wake's descriptor is closed");
	ring->poll_fd = -1;
	show(ring, ring->poll_data, 1);
}

void fake__go_on(struct fm__ring *ring)
{
	unsigned steps = fake__below(2 * fake.live_count + 1);

	while (steps-- > 0 && fake.live_count > 0)
		step(ring, fake__below(fake.live_count));
	if (!fake__chance(fake.plan.late))
		fake__show_poll(ring);
}

void fake_advance(void)
{
	pthread_mutex_lock(&fake.lock);
	for (unsigned i = 0; fake.ring != NULL && i < fake.live_count;) {
		const unsigned before = fake.live_count;

		step(fake.ring, i);
		if (fake.live_count == before && fake.log[fake.live[i]].taken == 0)
			i++;
	}
	pthread_mutex_unlock(&fake.lock);
}

unsigned fake_unanswered(void)
{
	pthread_mutex_lock(&fake.lock);
	const unsigned count = fake.live_count;
	pthread_mutex_unlock(&fake.lock);
	return count;
}

/* ---- the refusal; lock held ---- */

/* What was done of an entry that the kernel had: nobody will know. */
static void lose(struct fake_entry *entry)
{
	if (entry->taken == 0)
		return;
	entry->is_lost = true;
	if (entry->begun == 0)
		entry->begun = entry->taken;
	if (fake__below(2) == 0)
		(void)fake__carry_out(entry);
	fake__end(entry, fake.plan.refuse_error);
}

int fake__refuse(void)
{
	for (unsigned i = 0; i < fake.live_count; i++)
		lose(&fake.log[fake.live[i]]);
	fake.live_count = 0;
	if (fake.refused)
		return fake.plan.refuse_error;
	fake.refused = true;
	for (unsigned i = 0; i < fake.count; i++)
		if (!fake.log[i].by_thread && fake.log[i].reaped == 0 && fake.log[i].ended != 0)
			fake.log[i].maybe_lost = true;
	return fake.plan.refuse_error;
}

bool fake__is_refused(bool waiting)
{
	if (fake.refused)
		return true;
	return fake.plan.refuse_at != 0 && fake.moment >= fake.plan.refuse_at &&
	       fake.plan.refuse_wait == waiting;
}
