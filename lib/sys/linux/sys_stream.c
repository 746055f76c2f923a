/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * sys_stream: stdio streams, by fopencookie(3) of glibc and musl.
 *
 * Invariant: what stdio wants to know comes as errno, set here from -errno; a write that stored less than it
 * was given has said so, because stdio drops the rest.
 */
#include "sys/stream.h"

#include "sys/linux/kernel.h"

static ssize_t cookie_read(void *cookie, char *to, size_t length)
{
	struct fm__stream *stream = cookie;
	const int64_t r = stream->ops->read(stream, to, length);
	if (r >= 0)
		return (ssize_t)r;
	errno = (int)-r;
	return -1;
}

/* Never negative: 0 is how a cookie says that nothing could be written. */
static ssize_t cookie_write(void *cookie, const char *from, size_t length)
{
	struct fm__stream *stream = cookie;
	const int64_t r = stream->ops->write(stream, from, length);
	if (r < 0) {
		errno = (int)-r;
		return 0;
	}
	if ((size_t)r < length)
		errno = ENOSPC;
	return (ssize_t)r;
}

static int cookie_seek(void *cookie, off64_t *offset, int whence)
{
	struct fm__stream *stream = cookie;
	const int64_t r = stream->ops->seek(stream, *offset, whence);
	if (r < 0) {
		errno = (int)-r;
		return -1;
	}
	*offset = r;
	return 0;
}

static int cookie_close(void *cookie)
{
	struct fm__stream *stream = cookie;
	stream->ops->close(stream);
	return 0;
}

int fm__stream_open(struct fm__stream *stream, const char *mode, FILE **ret)
{
	const cookie_io_functions_t functions = {
		.read = cookie_read,
		.write = cookie_write,
		.seek = cookie_seek,
		.close = cookie_close,
	};
	FILE *file = fopencookie(stream, mode, functions);
	if (file == NULL)
		return -errno;
	*ret = file;
	return 0;
}
