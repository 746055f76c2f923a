/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Bytes between memory, the page cache and the device.
 *
 * Invariant: a result of 0 from a flush means that the kernel wrote the whole range. EINTR is repeated,
 * as the kernel itself does under SA_RESTART; any other error of a flush is never asked about twice,
 * because the second answer would be a false 0.
 */
#include <unistd.h>

#include "base/checked.h"
#include "base/util.h"
#include "sys/linux/kernel.h"
#include "sys/linux/size_limit.h"
#include "sys/sys.h"

static int64_t io_result(ssize_t r)
{
	return r < 0 ? -(int64_t)errno : (int64_t)r;
}

int64_t fm__sys_pread(int fd, void *to, size_t length, uint64_t offset)
{
	unsigned char *bytes = to;
	size_t done = 0;

	while (done < length) {
		off_t at;
		int r = fm__to_off(offset + done, &at);
		if (r < 0)
			return r;
		int64_t n = io_result(pread(fd, bytes + done, length - done, at));
		if (n == -EINTR)
			continue;
		if (n < 0)
			return n;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (int64_t)done;
}

static int write_rest(int fd, const unsigned char *bytes, size_t length, uint64_t offset)
{
	for (size_t done = 0; done < length;) {
		off_t at;
		int r = fm__to_off(offset + done, &at);
		if (r < 0)
			return r;
		int64_t n = io_result(pwrite(fd, bytes + done, length - done, at));
		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? (int)n : -EIO; /* no progress and no reason: do not spin */
		done += (size_t)n;
	}
	return 0;
}

int fm__sys_pwrite(int fd, const void *from, size_t length, uint64_t offset)
{
	struct fm__size_limit guard;

	fm__size_limit_enter(&guard);
	return (int)fm__size_limit_leave(&guard, write_rest(fd, from, length, offset));
}

int64_t fm__sys_read(int fd, void *to, size_t length)
{
	return io_result(read(fd, to, length));
}

static int64_t seek(int fd, uint64_t from, int whence)
{
	off_t start;

	int r = fm__to_off(from, &start);
	if (r < 0)
		return r;
	off_t found = lseek(fd, start, whence);
	return found < 0 ? -errno : found;
}

int64_t fm__sys_seek_data(int fd, uint64_t from)
{
	return seek(fd, from, SEEK_DATA);
}

int64_t fm__sys_seek_hole(int fd, uint64_t from)
{
	return seek(fd, from, SEEK_HOLE);
}

int64_t fm__sys_position(int fd)
{
	return seek(fd, 0, SEEK_CUR);
}

int64_t fm__sys_set_position(int fd, uint64_t to)
{
	return seek(fd, to, SEEK_SET);
}

int fm__sys_fsync(int fd)
{
	return FM_RETRY(fsync(fd));
}

int fm__sys_fdatasync(int fd)
{
	return FM_RETRY(fdatasync(fd));
}

int fm__sys_fadvise(int fd, uint64_t offset, uint64_t length, int advice)
{
	off_t start, size;

	int r = fm__to_off(offset, &start);
	if (r < 0)
		return r;
	r = fm__to_off(FM_MIN(length, (uint64_t)INT64_MAX - offset), &size);
	if (r < 0)
		return r;
	return -posix_fadvise(fd, start, size, advice);
}
