/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * stream: a mapping as a stdio stream.
 *
 * A stream owns a pin and a cursor over the whole window. Invariant: from a successful filemap_fopen() to
 * fclose() the pin is out, so the window neither moves nor goes away, also if the mapping is closed first. Where a
 * handler is there stdio meets an error instead of a fault: nobody can guard its calls from outside.
 */
#include <errno.h>

#include <filemap/cursor.h>
#include <filemap/guard.h>

#include "base/util.h"
#include "fault/guard.h"
#include "sys/stream.h"
#include "sys/sys.h"

struct map_stream {
	struct fm__stream stream; /* first */
	struct filemap_cursor cursor;
};

/* stdio knows errno only. */
static int64_t to_errno(int64_t r)
{
	switch (r) {
	case FILEMAP_ERANGE:
		return -EINVAL;
	case FILEMAP_EMODE:
		return -EACCES;
	case FILEMAP_EPOISONED:
	case FILEMAP_EFAULT:
	case FILEMAP_EFORKED:
		return -EIO;
	default:
		return r;
	}
}

/* What lies before the page that cannot be had is read first. */
static int64_t read_guarded(struct filemap_cursor *cursor, void *to, size_t length)
{
	const size_t some = FM_MIN(length, filemap_cursor_remaining(cursor));
	const size_t at = cursor->start + (size_t)cursor->position;
	struct filemap_fault fault;
	int r;

	if (some == 0)
		return 0;
	r = filemap_guarded_read(cursor->map, at, to, some, 0, &fault);
	if (r == 0)
		fault.offset = at + some;
	else if (r != FILEMAP_EFAULT || fault.offset <= at)
		return r;
	cursor->position += fault.offset - at;
	return (int64_t)(fault.offset - at);
}

/* All or nothing: stdio would take fewer bytes for a full file. */
static int64_t write_guarded(struct filemap_cursor *cursor, const void *from, size_t length)
{
	const size_t some = FM_MIN(length, filemap_cursor_remaining(cursor));
	int r;

	if (some == 0)
		return 0;
	r = filemap_guarded_write(cursor->map, cursor->start + (size_t)cursor->position, from, some, 0, NULL);
	if (r < 0)
		return r;
	cursor->position += some;
	return (int64_t)some;
}

static int64_t stream_read(struct fm__stream *stream, void *to, size_t length)
{
	struct map_stream *self = (struct map_stream *)stream;
	if (fm__guard_is_active())
		return to_errno(read_guarded(&self->cursor, to, length));
	return to_errno(filemap_cursor_read_some(&self->cursor, to, length));
}

static int64_t stream_write(struct fm__stream *stream, const void *from, size_t length)
{
	struct map_stream *self = (struct map_stream *)stream;
	if (fm__guard_is_active())
		return to_errno(write_guarded(&self->cursor, from, length));
	return to_errno(filemap_cursor_write_some(&self->cursor, from, length));
}

static int64_t stream_seek(struct fm__stream *stream, int64_t offset, int whence)
{
	struct map_stream *self = (struct map_stream *)stream;
	return to_errno(filemap_cursor_seek(&self->cursor, offset, whence));
}

static void stream_close(struct fm__stream *stream)
{
	struct map_stream *self = (struct map_stream *)stream;
	filemap_unpin(self->cursor.map);
	fm__free(self);
}

static const struct fm__stream_ops map_stream_ops = {
	.read = stream_read,
	.write = stream_write,
	.seek = stream_seek,
	.close = stream_close,
};

/* "r" or "r+", each of "+", "b" and "e" at most once; NULL for anything else. */
static const char *plain_mode(const char *mode)
{
	unsigned plus = 0, binary = 0, close_on_exec = 0;
	if (mode == NULL || *mode != 'r')
		return NULL;
	while (*++mode) {
		plus += *mode == '+';
		binary += *mode == 'b';
		close_on_exec += *mode == 'e';
		if (*mode != '+' && *mode != 'b' && *mode != 'e')
			return NULL;
	}
	if (plus > 1 || binary > 1 || close_on_exec > 1)
		return NULL;
	return plus ? "r+" : "r";
}

/* The mapping is pinned, and stays so on success only. */
static int open_pinned(struct filemap *map, const char *mode, FILE **ret)
{
	struct map_stream *self;
	int r;

	if (mode[1] == '+' && filemap_data_mut(map) == NULL)
		return FILEMAP_EMODE;
	self = fm__zalloc(sizeof *self);
	if (self == NULL)
		return -ENOMEM;
	self->stream.ops = &map_stream_ops;
	r = filemap_cursor_init(&self->cursor, map, 0, FILEMAP_TO_END);
	if (r == 0)
		r = fm__stream_open(&self->stream, mode, ret);
	if (r < 0)
		fm__free(self);
	return r;
}

int filemap_fopen(struct filemap *map, const char *mode, FILE **ret)
{
	const char *plain = plain_mode(mode);
	int r;

	if (plain == NULL)
		return FILEMAP_EOPTION;
	r = filemap_pin(map);
	if (r < 0)
		return r;
	r = open_pinned(map, plain, ret);
	if (r < 0)
		filemap_unpin(map);
	return r;
}
