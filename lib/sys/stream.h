/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The third door: a FILE of libc over functions of ours. It allocates, and it speaks errno, so it belongs to
 * the kernel's side of the house. Tests step in with -Wl,--wrap=fm__stream_open.
 */
#ifndef FM_SYS_STREAM_H
#define FM_SYS_STREAM_H

#include <stdint.h>
#include <stdio.h>

struct fm__stream;

/* Each is called with the stream it was opened with; negative results are -errno and nothing else. */
struct fm__stream_ops {
	int64_t (*read)(struct fm__stream *stream, void *to, size_t length); /* 0 = end */
	/* As many as there is room for: less than `length` shows as -ENOSPC. */
	int64_t (*write)(struct fm__stream *stream, const void *from, size_t length);
	int64_t (*seek)(struct fm__stream *stream, int64_t offset, int whence); /* the new position */
	void (*close)(struct fm__stream *stream);                               /* once, by fclose(3) */
};

/* The first member of whatever a stream is about. */
struct fm__stream {
	const struct fm__stream_ops *ops;
};

/* `mode` as for fopen(3). -ENOMEM; nothing was called then, and the stream stays the caller's. */
int fm__stream_open(struct fm__stream *stream, const char *mode, FILE **ret);

#endif
