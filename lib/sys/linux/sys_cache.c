/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The page cache: copying within the kernel, starting writeback, counting pages.
 *
 * Invariant: none of these promises durability; that is sys_io.c's alone.
 */
#include <unistd.h>

#include "base/util.h"
#include "sys/linux/kernel.h"
#include "sys/linux/newer.h"
#include "sys/linux/size_limit.h"
#include "sys/sys.h"

#define COPY_MAX 0x40000000 /* one call moves no more than this anyway, and sums of offsets stay in range */

int64_t fm__sys_copy_range(int from_fd, uint64_t from, int to_fd, uint64_t to, uint64_t length)
{
	size_t size = (size_t)FM_MIN(length, (uint64_t)COPY_MAX);
	struct fm__size_limit guard;
	off_t in, out;

	int r = fm__to_off(from, &in);
	if (r < 0)
		return r;
	r = fm__to_off(to, &out);
	if (r < 0)
		return r;
	fm__size_limit_enter(&guard);
	return fm__size_limit_leave(&guard, FM_RETRY(copy_file_range(from_fd, &in, to_fd, &out, size, 0)));
}

int fm__sys_writeback_range(int fd, uint64_t offset, uint64_t length)
{
	off_t start;

	int r = fm__to_off(offset, &start);
	if (r < 0 || length == 0) /* which the kernel would take for "to the end" */
		return r;
	off_t size = (off_t)FM_MIN(length, (uint64_t)INT64_MAX - offset);
	return FM_RETRY(sync_file_range(fd, start, size, SYNC_FILE_RANGE_WRITE));
}

int fm__sys_cachestat(int fd, uint64_t offset, uint64_t length, struct fm__cache_pages *ret)
{
	struct fm__cachestat_range range = {.offset = offset, .length = length};
	struct fm__cachestat pages = {0};

	int r = length == 0 ? 0 : FM_RETRY(syscall(FM_SYS_CACHESTAT, fd, &range, &pages, 0));
	if (r < 0)
		return r;
	*ret = (struct fm__cache_pages){
		.cached = pages.cache, .dirty = pages.dirty, .writeback = pages.writeback};
	return 0;
}
