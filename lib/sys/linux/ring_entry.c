/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Calls of the kernel as entries of a ring.
 *
 * Invariant: an entry does exactly what the call by hand does, or it is refused before it is taken: where the
 * kernel has 32 bits for a length, a longer one is no longer one, never a shorter call.
 */
#include <poll.h>
#include <string.h>

#include "sys/linux/kernel.h"
#include "sys/linux/newer.h"
#include "sys/linux/ring.h"

static struct io_uring_sqe blank(int opcode, int fd)
{
	struct io_uring_sqe entry;

	memset(&entry, 0, sizeof entry);
	entry.opcode = (uint8_t)opcode;
	entry.fd = fd;
	return entry;
}

static int is_whole_file(const struct fm__call *call)
{
	return call->offset == 0 && call->length == UINT64_MAX;
}

static int fits(const struct fm__call *call)
{
	return call->length != 0 && call->length <= FM_RING_FLUSH_MAX && call->offset <= INT64_MAX;
}

/*
 * The kernel takes off + len for the last byte, included, where msync takes the byte before it: len is
 * passed one smaller. 0 and 0 would mean the whole file, so one byte at 0 is asked for as two.
 */
static int fill_flush(struct io_uring_sqe *entry, const struct fm__call *call)
{
	entry->opcode = IORING_OP_FSYNC;
	entry->fsync_flags = IORING_FSYNC_DATASYNC;
	if (is_whole_file(call))
		return 0;
	if (!fits(call))
		return -EINVAL;
	entry->off = call->offset;
	entry->len = (uint32_t)(call->length - 1);
	if (entry->off == 0 && entry->len == 0)
		entry->len = 1;
	return 0;
}

static int fill_sync(struct io_uring_sqe *entry, const struct fm__call *call)
{
	(void)call;
	entry->opcode = IORING_OP_FSYNC;
	return 0;
}

/* Here the end is the byte behind, and len 0 is all from off on. */
static int fill_writeback(struct io_uring_sqe *entry, const struct fm__call *call)
{
	entry->opcode = IORING_OP_SYNC_FILE_RANGE;
	entry->sync_range_flags = SYNC_FILE_RANGE_WRITE;
	if (is_whole_file(call))
		return 0;
	if (!fits(call))
		return -EINVAL;
	entry->off = call->offset;
	entry->len = (uint32_t)call->length;
	return 0;
}

/* Newer kernels have 64 bits for the length, in off, and take len where that is 0, as all do. */
static int fill_advice(struct io_uring_sqe *entry, const struct fm__call *call)
{
	if (call->length == 0 || call->length > FM_RING_FLUSH_MAX)
		return -EINVAL;
	entry->opcode = IORING_OP_MADVISE;
	entry->fd = -1;
	entry->addr = (uintptr_t)call->at;
	entry->len = (uint32_t)call->length;
	entry->fadvise_advice = (uint32_t)call->advice;
	return 0;
}

static int fill_allocation(struct io_uring_sqe *entry, const struct fm__call *call)
{
	if (call->offset > INT64_MAX || call->length > INT64_MAX)
		return -EINVAL;
	entry->opcode = IORING_OP_FALLOCATE;
	entry->off = call->offset;
	entry->addr = call->length;
	return 0; /* len is the mode */
}

static int fill_truncation(struct io_uring_sqe *entry, const struct fm__call *call)
{
	if (call->length > INT64_MAX)
		return -EINVAL;
	entry->opcode = FM_IORING_OP_FTRUNCATE;
	entry->off = call->length;
	return 0;
}

/* All but the user data. */
static int fill(struct io_uring_sqe *entry, const struct fm__call *call)
{
	*entry = blank(IORING_OP_NOP, call->fd);
	switch (call->kind) {
	case FM_CALL_FLUSH:
		return fill_flush(entry, call);
	case FM_CALL_SYNC:
		return fill_sync(entry, call);
	case FM_CALL_WRITEBACK:
		return fill_writeback(entry, call);
	case FM_CALL_ADVISE:
		return fill_advice(entry, call);
	case FM_CALL_ALLOCATE:
		return fill_allocation(entry, call);
	case FM_CALL_TRUNCATE:
		return fill_truncation(entry, call);
	case FM_CALL_NONE:
		break;
	}
	return -EINVAL;
}

static int append(struct fm__ring *ring, const struct io_uring_sqe *entry, uint64_t user_data)
{
	struct io_uring_sqe *place = io_uring_get_sqe(&ring->uring);
	if (!place)
		return -EBUSY;
	*place = *entry;
	place->user_data = user_data;
	return 0;
}

int fm__ring_push(struct fm__ring *ring, const struct fm__call *call, uint64_t user_data)
{
	struct io_uring_sqe entry;

	int r = fill(&entry, call);
	return r < 0 ? r : append(ring, &entry, user_data);
}

int fm__ring_push_poll(struct fm__ring *ring, int fd, uint64_t user_data)
{
	struct io_uring_sqe entry;

	io_uring_prep_poll_add(&entry, fd, POLLIN);
	return append(ring, &entry, user_data);
}

int fm__ring_fill_flush(struct io_uring_sqe *entry, int fd, uint64_t offset, uint64_t length)
{
	const struct fm__call call = {.kind = FM_CALL_FLUSH, .fd = fd, .offset = offset, .length = length};
	struct io_uring_sqe filled = blank(IORING_OP_NOP, -1);

	int r = length == 0 ? 0 : fill(&filled, &call);
	if (r < 0)
		return r;
	filled.user_data = entry->user_data;
	*entry = filled;
	return 0;
}
