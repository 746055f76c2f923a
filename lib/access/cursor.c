/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * cursor: a position in a part of a window.
 *
 * A cursor owns nothing. Invariant: `start` was within the window once and the position is at most INT64_MAX,
 * so that their sum always fits; how much of the part is there is asked anew at each use, because the window
 * can shrink and grow. A failed call leaves the position.
 */
#include <filemap/cursor.h>

#include <string.h>

#include "base/util.h"

int filemap_cursor_init(struct filemap_cursor *cursor, struct filemap *map, size_t offset, size_t length)
{
	const void *unused;
	int r = filemap_slice(map, offset, length, &unused);
	if (r < 0)
		return r;
	*cursor = (struct filemap_cursor){.map = map, .start = offset, .length = length};
	return 0;
}

size_t filemap_cursor_size(const struct filemap_cursor *cursor)
{
	const size_t window = filemap_size(cursor->map);
	if (cursor->start >= window)
		return 0;
	return FM_MIN(cursor->length, window - cursor->start);
}

uint64_t filemap_cursor_tell(const struct filemap_cursor *cursor)
{
	return cursor->position;
}

/* The position, or the end of the part if it lies behind that. */
static size_t place(const struct filemap_cursor *cursor, size_t size)
{
	return (size_t)FM_MIN(cursor->position, size);
}

size_t filemap_cursor_remaining(const struct filemap_cursor *cursor)
{
	const size_t size = filemap_cursor_size(cursor);
	return size - place(cursor, size);
}

int64_t filemap_cursor_seek(struct filemap_cursor *cursor, int64_t offset, int whence)
{
	int64_t base, target;

	switch (whence) {
	case SEEK_SET:
		base = 0;
		break;
	case SEEK_CUR:
		base = (int64_t)cursor->position;
		break;
	case SEEK_END:
		base = (int64_t)filemap_cursor_size(cursor);
		break;
	default:
		return FILEMAP_EOPTION;
	}
	if (__builtin_add_overflow(base, offset, &target) || target < 0)
		return FILEMAP_ERANGE;
	cursor->position = (uint64_t)target;
	return target;
}

int filemap_cursor_skip(struct filemap_cursor *cursor, size_t length)
{
	if (length > filemap_cursor_remaining(cursor))
		return FILEMAP_ERANGE;
	cursor->position += length;
	return 0;
}

/* Where the position is in the window, with what remains from there; 0 bytes at the end of either. */
static size_t locate(const struct filemap_cursor *cursor, size_t *ret_remaining)
{
	const size_t size = filemap_cursor_size(cursor);
	const size_t done = place(cursor, size);
	*ret_remaining = size - done;
	return size == 0 ? FM_MIN(cursor->start, filemap_size(cursor->map)) : cursor->start + done;
}

/* All that remains, for reading. */
static int rest(const struct filemap_cursor *cursor, const void **ret, size_t *ret_length)
{
	size_t remaining;
	const size_t at = locate(cursor, &remaining);
	int r = filemap_slice(cursor->map, at, remaining, ret);
	if (r < 0)
		return r;
	*ret_length = remaining;
	return 0;
}

/* The same for storing. */
static int rest_mut(const struct filemap_cursor *cursor, void **ret, size_t *ret_length)
{
	size_t remaining;
	const size_t at = locate(cursor, &remaining);
	int r = filemap_slice_mut(cursor->map, at, remaining, ret);
	if (r < 0)
		return r;
	*ret_length = remaining;
	return 0;
}

int filemap_cursor_peek(const struct filemap_cursor *cursor, size_t length, const void **ret)
{
	const void *bytes;
	size_t remaining;
	int r = rest(cursor, &bytes, &remaining);
	if (r < 0)
		return r;
	if (length != FILEMAP_TO_END && length > remaining)
		return FILEMAP_ERANGE;
	*ret = bytes;
	return 0;
}

static void copy_and_go_on(struct filemap_cursor *cursor, void *to, const void *from, size_t length)
{
	if (length)
		memcpy(to, from, length);
	cursor->position += length;
}

int64_t filemap_cursor_read_some(struct filemap_cursor *cursor, void *to, size_t length)
{
	const void *bytes;
	size_t remaining;
	int r = rest(cursor, &bytes, &remaining);
	if (r < 0)
		return r;
	length = FM_MIN(length, remaining);
	copy_and_go_on(cursor, to, bytes, length);
	return (int64_t)length;
}

int filemap_cursor_read_exact(struct filemap_cursor *cursor, void *to, size_t length)
{
	const void *bytes;
	size_t remaining;
	int r = rest(cursor, &bytes, &remaining);
	if (r < 0)
		return r;
	if (length > remaining)
		return FILEMAP_ERANGE;
	copy_and_go_on(cursor, to, bytes, length);
	return 0;
}

int64_t filemap_cursor_write_some(struct filemap_cursor *cursor, const void *from, size_t length)
{
	void *bytes;
	size_t remaining;
	int r = rest_mut(cursor, &bytes, &remaining);
	if (r < 0)
		return r;
	length = FM_MIN(length, remaining);
	copy_and_go_on(cursor, bytes, from, length);
	return (int64_t)length;
}

int filemap_cursor_write_all(struct filemap_cursor *cursor, const void *from, size_t length)
{
	void *bytes;
	size_t remaining;
	int r = rest_mut(cursor, &bytes, &remaining);
	if (r < 0)
		return r;
	if (length > remaining)
		return FILEMAP_ERANGE;
	copy_and_go_on(cursor, bytes, from, length);
	return 0;
}

int filemap_cursor_read_until(struct filemap_cursor *cursor, unsigned char byte, const void **ret,
			      size_t *ret_length)
{
	const unsigned char *found;
	const void *bytes;
	size_t remaining;
	int r = rest(cursor, &bytes, &remaining);
	if (r < 0)
		return r;
	found = remaining ? memchr(bytes, byte, remaining) : NULL;
	*ret = bytes;
	*ret_length = found == NULL ? remaining : (size_t)(found - (const unsigned char *)bytes);
	cursor->position += *ret_length + (found != NULL);
	return found != NULL;
}
