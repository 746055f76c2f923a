/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Between the queue and the kernel, where threads make its calls: a flush of the run's file begins and returns
 * as the recorder says and is not made at all. The memory file system plays a disk.
 */
#include <errno.h>

#include "map/map.h"
#include "queue_sim.h"
#include "queue_wraps.h"

#define EXT4 UINT64_C(0xEF53)

static int flush(uint64_t offset, uint64_t length)
{
	struct queue_flushing *flushing = queue_flush_begins(offset, length);

	queue_flush_pause(flushing);
	return queue_flush_ends(flushing);
}

int __wrap_fm__sys_flush_range(int fd, uint64_t offset, uint64_t length, struct fm__flush_windows *windows)
{
	return queue_is_ours(fd) ? flush(offset, length)
				 : __real_fm__sys_flush_range(fd, offset, length, windows);
}

int __wrap_fm__sys_fsync(int fd)
{
	return queue_is_ours(fd) ? flush(0, QUEUE_BYTES) : __real_fm__sys_fsync(fd);
}

int __wrap_fm__sys_fdatasync(int fd)
{
	return queue_is_ours(fd) ? flush(0, QUEUE_BYTES) : __real_fm__sys_fdatasync(fd);
}

int __wrap_fm__sys_fs_type(int fd, uint64_t *ret)
{
	int r = __real_fm__sys_fs_type(fd, ret);

	if (r == 0)
		*ret = EXT4;
	return r;
}

int __wrap_fm__map_commit_store(struct filemap *map, size_t header_offset, const void *header,
				size_t header_length)
{
	int r = __real_fm__map_commit_store(map, header_offset, header, header_length);

	if (r == 0 && queue_is_ours(filemap_fd(map)))
		queue_record_store(header_offset, header, header_length);
	return r;
}

int __wrap_fm__map_flush_end(struct fm__flush *flush, int result)
{
	int r = __real_fm__map_flush_end(flush, result);

	return queue_world.bug == QUEUE_ERROR_UNTOLD && result == 0 ? 0 : r;
}
