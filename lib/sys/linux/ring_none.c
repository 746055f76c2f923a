/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Built without liburing: no ring ever opens, so nothing else here is ever reached with a ring. */
#include <errno.h>

#include "sys/ring.h"

int fm__ring_open(unsigned entries, struct fm__ring **ret)
{
	(void)entries;
	(void)ret;
	return -EOPNOTSUPP;
}

void fm__ring_close(struct fm__ring *ring)
{
	(void)ring;
}

void fm__ring_abandon(struct fm__ring *ring)
{
	(void)ring;
}

int fm__ring_push(struct fm__ring *ring, const struct fm__call *call, uint64_t user_data)
{
	(void)ring;
	(void)call;
	(void)user_data;
	return -EOPNOTSUPP;
}

int fm__ring_push_poll(struct fm__ring *ring, int fd, uint64_t user_data)
{
	(void)ring;
	(void)fd;
	(void)user_data;
	return -EOPNOTSUPP;
}

int fm__ring_submit(struct fm__ring *ring)
{
	(void)ring;
	return -EOPNOTSUPP;
}

int fm__ring_wait(struct fm__ring *ring, int timeout_ms)
{
	(void)ring;
	(void)timeout_ms;
	return -EOPNOTSUPP;
}

int fm__ring_reap(struct fm__ring *ring, struct fm__ring_completion *to, unsigned count)
{
	(void)ring;
	(void)to;
	(void)count;
	return 0;
}

int fm__ring_register_eventfd(struct fm__ring *ring, int eventfd)
{
	(void)ring;
	(void)eventfd;
	return -EOPNOTSUPP;
}

int fm__ring_fill_flush(struct io_uring_sqe *entry, int fd, uint64_t offset, uint64_t length)
{
	(void)entry;
	(void)fd;
	(void)offset;
	(void)length;
	return -EOPNOTSUPP;
}

const char *fm__ring_reason(int error)
{
	(void)error;
	return "the library was built without liburing";
}
