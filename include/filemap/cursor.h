/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * filemap/cursor.h - a mapping read and written from front to back, and as a stdio stream.
 *
 * A cursor is a part of a window and a position in it. It lives in the caller's memory, owns nothing and needs
 * no end; it must not be used after its mapping was closed. It belongs to one thread at a time; several cursors
 * may work on one mapping (reading as class R, writing as W).
 */
#ifndef FILEMAP_CURSOR_H
#define FILEMAP_CURSOR_H

#include <stdio.h>

#include <filemap/access.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Where one is. Set by filemap_cursor_init(); to be read by anybody, changed by the functions below only. */
struct filemap_cursor {
	struct filemap *map; /* borrowed */
	size_t start;        /* bytes from the window's start */
	size_t length;       /* bytes; FILEMAP_TO_END = up to the window's end, wherever that is by now */
	uint64_t position;   /* bytes from `start`; may lie behind the end */
};

/**
 * Put a cursor on a part of a window, at its beginning.
 *
 * @param map     Borrowed, as long as the cursor is used.
 * @param offset  Bytes from the window's start.
 * @param length  Bytes; FILEMAP_TO_END = up to the window's end, which is looked up at each use.
 * @retval 0                  Done.
 * @retval FILEMAP_ERANGE     The part does not lie within the window.
 * @retval FILEMAP_EPOISONED  The window is gone.
 * @since 0.1
 */
FILEMAP_API int filemap_cursor_init(struct filemap_cursor *cursor, struct filemap *map, size_t offset,
	size_t length);

/** The length of the part in bytes: less than at first if the mapping shrank, 0 if it is poisoned. @since 0.1 */
FILEMAP_API size_t filemap_cursor_size(const struct filemap_cursor *cursor);

/** The position: bytes from the start of the part. @since 0.1 */
FILEMAP_API uint64_t filemap_cursor_tell(const struct filemap_cursor *cursor);

/** Bytes from the position to the end of the part; 0 behind it. @since 0.1 */
FILEMAP_API size_t filemap_cursor_remaining(const struct filemap_cursor *cursor);

/**
 * Go to another position; behind the end is allowed, and nothing can be read or written there.
 *
 * @param whence  SEEK_SET, SEEK_CUR or SEEK_END, of which @p offset counts on.
 * @return The new position in bytes.
 * @retval FILEMAP_ERANGE   It would lie before the start, or be more than INT64_MAX; nothing has changed.
 * @retval FILEMAP_EOPTION  `whence` is none of the three.
 * @since 0.1
 */
FILEMAP_API int64_t filemap_cursor_seek(struct filemap_cursor *cursor, int64_t offset, int whence);

/**
 * Go on by a number of bytes, not behind the end.
 *
 * @retval 0               Done.
 * @retval FILEMAP_ERANGE  Fewer remain; nothing has changed.
 * @since 0.1
 */
FILEMAP_API int filemap_cursor_skip(struct filemap_cursor *cursor, size_t length);

/**
 * Get a pointer to the next bytes, without going on.
 *
 * @param length  Bytes; FILEMAP_TO_END = all that remain.
 * @param ret     Viewed, as filemap_data(). Written on success only.
 * @retval 0                  They are there.
 * @retval FILEMAP_ERANGE     Fewer remain.
 * @retval FILEMAP_EPOISONED  The window is gone.
 * @since 0.1
 */
FILEMAP_API int filemap_cursor_peek(const struct filemap_cursor *cursor, size_t length, const void **ret);

/**
 * Copy the next bytes, as many as remain, and go on by them.
 *
 * @return The bytes copied; 0 at the end. FILEMAP_EPOISONED.
 * @since 0.1
 */
FILEMAP_API int64_t filemap_cursor_read_some(struct filemap_cursor *cursor, void *to, size_t length);

/**
 * Copy the next bytes, all or none; otherwise as filemap_cursor_read_some().
 *
 * @retval 0               Done.
 * @retval FILEMAP_ERANGE  Fewer remain; nothing was copied and the position stays.
 * @since 0.1
 */
FILEMAP_API int filemap_cursor_read_exact(struct filemap_cursor *cursor, void *to, size_t length);

/**
 * Store bytes at the position, as many as fit, and go on by them.
 *
 * @return The bytes stored; 0 at the end. FILEMAP_EMODE, FILEMAP_EPOISONED.
 * @since 0.1
 */
FILEMAP_API int64_t filemap_cursor_write_some(struct filemap_cursor *cursor, const void *from, size_t length);

/**
 * Store bytes at the position, all or none; otherwise as filemap_cursor_write_some().
 *
 * @retval 0               Done.
 * @retval FILEMAP_ERANGE  They do not fit; nothing was stored and the position stays.
 * @since 0.1
 */
FILEMAP_API int filemap_cursor_write_all(struct filemap_cursor *cursor, const void *from, size_t length);

/**
 * Go behind the next byte of a value, and get what lies before it: a line, a field.
 *
 * @param ret         Viewed, as filemap_data(): without the byte itself. Written unless negative.
 * @param ret_length  Bytes.
 * @retval 1                  Found.
 * @retval 0                  It does not come any more: these are the bytes that remain (none at the end),
 *                            and the cursor is behind them.
 * @retval FILEMAP_EPOISONED  The window is gone.
 * @since 0.1
 */
FILEMAP_API int filemap_cursor_read_until(struct filemap_cursor *cursor, unsigned char byte, const void **ret,
	size_t *ret_length);

/*
 * The typed accessors of a cursor. For each type of FILEMAP_ACCESS_TYPES:
 *
 *   int filemap_cursor_read_<suffix>(struct filemap_cursor *cursor, <type> *ret);
 *   int filemap_cursor_write_<suffix>(struct filemap_cursor *cursor, <type> value);
 *
 * The next number is copied out, or stored, and the cursor goes on by its bytes.
 *
 *   Returns 0; or, with nothing copied and the position where it was, FILEMAP_ERANGE if fewer bytes remain in
 *   the part; otherwise as filemap_read_<suffix>() and filemap_write_<suffix>(). Since 0.1.
 */
#define FILEMAP_CURSOR_DEFINE_(suffix, type, bytes, order)                                         \
	FILEMAP_API FILEMAP_INLINE_ int filemap_cursor_read_##suffix(struct filemap_cursor *cursor, \
		type *ret)                                                                         \
	{                                                                                          \
		const uint64_t at_ = cursor->start + cursor->position;                             \
		const size_t offset_ = FILEMAP_CAST_(size_t, at_);                                 \
		int r_;                                                                            \
		if (__builtin_expect(FILEMAP_CURSOR_LACKS_(bytes), 0))                             \
			FILEMAP_REFUSE_(filemap_refuse_read(cursor->map))                          \
		r_ = filemap_read_##suffix(cursor->map, offset_, ret);                             \
		if (r_ == 0)                                                                       \
			cursor->position += bytes;                                                 \
		return r_;                                                                         \
	}                                                                                          \
	FILEMAP_API FILEMAP_INLINE_ int filemap_cursor_write_##suffix(struct filemap_cursor *cursor, \
		type value)                                                                        \
	{                                                                                          \
		const uint64_t at_ = cursor->start + cursor->position;                             \
		const size_t offset_ = FILEMAP_CAST_(size_t, at_);                                 \
		int r_;                                                                            \
		if (__builtin_expect(FILEMAP_CURSOR_LACKS_(bytes), 0))                             \
			return filemap_refuse_write(cursor->map);                                  \
		r_ = filemap_write_##suffix(cursor->map, offset_, value);                          \
		if (r_ == 0)                                                                       \
			cursor->position += bytes;                                                 \
		return r_;                                                                         \
	}
/* The part is too short, or the place is none that an address could have; the window checks itself. */
#define FILEMAP_CURSOR_LACKS_(bytes)                                                               \
	(cursor->position > cursor->length || cursor->length - cursor->position < bytes || offset_ != at_)
FILEMAP_ACCESS_TYPES(FILEMAP_CURSOR_DEFINE_)
#undef FILEMAP_CURSOR_DEFINE_
#undef FILEMAP_CURSOR_LACKS_

/**
 * Open a stdio stream on a mapping: for code that wants a FILE.
 *
 * It starts at the first byte, never makes the file longer (writing behind the end is ENOSPC for stdio), and
 * can seek. What is written is stored in the window when the stream is flushed; durable it is after
 * filemap_flush(). The stream holds a pin until fclose(3), so the mapping may be closed before. For stdio,
 * FILEMAP_ERANGE is EINVAL, FILEMAP_EMODE is EACCES and FILEMAP_EPOISONED is EIO. So is a page that cannot be had, if a
 * handler is there (guard.h): the stream has ferror(3) then, and its position stays in front of that page.
 *
 * @param map   Borrowed.
 * @param mode  "r" (read) or "r+" (read and write), with "b" or "e" anywhere behind the first letter.
 * @param ret   Given, to be closed with fclose(3).
 * @retval 0                  Done.
 * @retval FILEMAP_EOPTION    Another mode.
 * @retval FILEMAP_EMODE      "r+" on a mapping that is not writable.
 * @retval FILEMAP_EPOISONED  The window is gone.
 * @retval -ENOMEM            No memory.
 * Class R, and W for writing. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_fopen(struct filemap *map, const char *mode, FILE **ret);

#ifdef __cplusplus
}
#endif

#endif
