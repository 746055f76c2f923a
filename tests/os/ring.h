/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the tests of the ring share. */
#ifndef OS_RING_H
#define OS_RING_H

#include <errno.h>

#include "t.h"

#include "sys/ring.h"

#define LONG_MS 20000 /* longer than any machine needs: reaching it is a failure */
#define CHILD_CANNOT 50

static inline struct fm__ring *open_ring(unsigned entries)
{
	struct fm__ring *ring = NULL;

	const int r = fm__ring_open(entries, &ring);
	if (r == -EPERM || r == -ENOSYS || r == -EOPNOTSUPP || r == -ENOMEM)
		t_skip("io_uring is missing or forbidden here");
	assert_ok(r);
	return ring;
}

static inline struct fm__ring_completion complete_one(struct fm__ring *ring)
{
	struct fm__ring_completion done = {0};

	assert_ok(fm__ring_wait(ring, LONG_MS));
	assert_int_equal(fm__ring_reap(ring, &done, 1), 1);
	return done;
}

static inline int push_flush(struct fm__ring *ring, int fd, uint64_t offset, uint64_t length,
			     uint64_t user_data)
{
	const struct fm__call call = {FM_CALL_FLUSH, fd, offset, length, NULL, 0, NULL};
	return fm__ring_push(ring, &call, user_data);
}

/* The answer of the kernel, or why the ring did not take it. */
static inline int by_ring(struct fm__ring *ring, const struct fm__call *call)
{
	const int r = fm__ring_push(ring, call, 1);
	return r < 0 ? r : complete_one(ring).result;
}

/* In a child or on a second thread, where nothing may be asserted. -ETIME: no answer. */
static inline int by_ring_quietly(struct fm__ring *ring, const struct fm__call *call)
{
	struct fm__ring_completion done;

	int r = fm__ring_push(ring, call, 1);
	if (r < 0)
		return r;
	do
		r = fm__ring_wait(ring, LONG_MS);
	while (r == -EINTR);
	if (r < 0)
		return r;
	return fm__ring_reap(ring, &done, 1) == 1 ? done.result : -ETIME;
}

#endif
