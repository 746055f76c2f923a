/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * content: bytes from memory or from a descriptor as the content of a new file.
 *
 * Invariant: what the kernel has copied is followed by what is read from there on, to the end of the source;
 * nothing is written that did not come from it.
 */
#include "map/content.h"

#include <errno.h>

#include <filemap/file.h>

#include "base/util.h"
#include "map/kernel_copy.h"
#include "sys/sys.h"

#define BUFFER_SIZE ((size_t)128 << 10)

int filemap_fill_bytes(int fd, void *context)
{
	const struct filemap_bytes *bytes = context;
	if (!bytes || (!bytes->data && bytes->length != 0))
		return FILEMAP_EOPTION;
	if (bytes->length == 0)
		return 0;
	return fm__sys_pwrite(fd, bytes->data, bytes->length, 0);
}

/* Behind the end of a file that was cut meanwhile there is no data either, but it is no hole. */
static int end_in_hole(const struct fm__kernel_copy *copy, uint64_t *done)
{
	struct stat status;
	int r = fm__sys_fstat(copy->from_fd, &status);
	if (r < 0)
		return r;
	if ((uint64_t)status.st_size < copy->from + *done)
		*done = (uint64_t)status.st_size < copy->from ? 0 : (uint64_t)status.st_size - copy->from;
	return fm__sys_ftruncate(copy->to_fd, *done);
}

static int copy_in_kernel(const struct fm__kernel_copy *copy, uint64_t *done)
{
	int r = fm__kernel_copy(copy, done);
	return r == FM_COPY_ENDS_IN_HOLE ? end_in_hole(copy, done) : r;
}

/* What comes from where the descriptor stands, behind what is there. */
static int copy_stream(int from_fd, int to_fd, uint64_t done, unsigned char *buffer)
{
	for (;;) {
		int64_t n = fm__sys_read(from_fd, buffer, BUFFER_SIZE);
		if (n <= 0)
			return (int)n;
		int r = fm__sys_pwrite(to_fd, buffer, (size_t)n, done);
		if (r < 0)
			return r;
		done += (uint64_t)n;
	}
}

static int copy_rest(int from_fd, int to_fd, uint64_t done)
{
	unsigned char *buffer = fm__zalloc(BUFFER_SIZE);
	if (!buffer)
		return -ENOMEM;
	int r = copy_stream(from_fd, to_fd, done, buffer);
	fm__free(buffer);
	return r;
}

/* The position, which finding holes has moved, is set behind what was copied. */
static int copy_from_there(const struct fm__kernel_copy *copy, uint64_t done)
{
	int64_t position = fm__sys_set_position(copy->from_fd, copy->from + done);
	return position < 0 ? (int)position : copy_rest(copy->from_fd, copy->to_fd, done);
}

/* 1: a regular file that says it has more, from `from` on. 0: one that is read; nothing was taken from it yet. */
static int find_regular(struct fm__kernel_copy *copy)
{
	struct stat status;
	int64_t position;
	int r = fm__sys_fstat(copy->from_fd, &status);

	if (r < 0 || !S_ISREG(status.st_mode))
		return r;
	position = fm__sys_position(copy->from_fd);
	if (position < 0 || status.st_size <= position)
		return position < 0 ? (int)position : 0;
	copy->from = (uint64_t)position;
	copy->length = (uint64_t)(status.st_size - position);
	return 1;
}

int filemap_fill_fd(int fd, void *context)
{
	struct fm__kernel_copy copy = {.to_fd = fd};
	uint64_t done;
	int r;

	if (!context)
		return FILEMAP_EOPTION;
	copy.from_fd = *(const int *)context;
	r = find_regular(&copy);

	if (r <= 0)
		return r < 0 ? r : copy_rest(copy.from_fd, fd, 0);
	r = copy_in_kernel(&copy, &done);
	return r < 0 ? r : copy_from_there(&copy, done);
}

int fm__content_copy(int from_fd, uint64_t length, int to_fd)
{
	const struct fm__kernel_copy copy = {.from_fd = from_fd, .length = length, .to_fd = to_fd};
	uint64_t done;
	int r = copy_in_kernel(&copy, &done);
	return r < 0 || done == length ? r : copy_from_there(&copy, done);
}
