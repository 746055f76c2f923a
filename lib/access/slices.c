/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * slices: a row of slices, each with its length before it, in a window that grows by doubling.
 *
 * A slice is le64(length + 1), its bytes, and zeros up to a multiple of 8: a zero length word is the end of the
 * row, which is why the room behind it must be zero. Invariant: a cursor that was given out is a multiple of 8
 * and within the window, and a failed call has moved none.
 */
#include <errno.h>

#include <filemap/guard.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/util.h"
#include "fault/guard.h"

#define WORD sizeof(uint64_t)

/* Where a slice ends, with its padding; false if no window could hold it. */
static bool slice_end(size_t cursor, size_t size, size_t *ret)
{
	uint64_t padded;
	size_t whole;
	return fm__align_up(size, WORD, &padded) && fm__to_size(padded, &whole) &&
	       fm__add_size(whole, WORD, &whole) && fm__add_size(cursor, whole, ret);
}

/* The library's own loads and stores: guarded where a handler is there. */
static int load(const struct filemap *map, size_t at, unsigned char *to, size_t length)
{
	if (fm__guard_is_active())
		return filemap_guarded_read(map, at, to, length, 0, NULL);
	return filemap_read_exact(map, at, to, length);
}

static int store(struct filemap *map, size_t at, const unsigned char *from, size_t length)
{
	if (fm__guard_is_active())
		return filemap_guarded_write(map, at, from, length, 0, NULL);
	return filemap_write_all(map, at, from, length);
}

/* A file that has no room for twice as much may have room for what is needed. */
static bool is_too_much(int r)
{
	return r == FILEMAP_ERANGE || r == -ENOSPC || r == -EDQUOT || r == -EFBIG || r == -ENOMEM;
}

static int grow_file(struct filemap *map, uint64_t file_size, uint64_t needed, struct filemap_error *reterr)
{
	const uint64_t doubled = file_size > UINT64_MAX / 2 ? needed : FM_MAX(file_size * 2, needed);
	int r = filemap_resize(map, doubled, reterr);
	if (is_too_much(r) && doubled > needed)
		r = filemap_resize(map, needed, reterr);
	return r;
}

/* The window has a length of its own, which no file size changes: give back what was taken for it. */
static int give_back(struct filemap *map, uint64_t file_size, struct filemap_error *reterr)
{
	int undone = filemap_resize(map, file_size, NULL);
	int r = fm__fail(reterr, FILEMAP_ERANGE, "grow window", "length");
	fm__fail_hint(reterr, undone < 0 ? "the window has a fixed length; the file was left longer"
					 : "the window has a fixed length");
	return r;
}

/* Make the window reach `end`. */
static int grow_to(struct filemap *map, size_t end, struct filemap_error *reterr)
{
	struct filemap_stat status;
	uint64_t needed;
	int r;

	if (filemap_mode(map) != FILEMAP_WRITE)
		return fm__fail(reterr, FILEMAP_EMODE, "grow window", "mode");
	if (!fm__add_u64(filemap_offset(map), end, &needed))
		return fm__fail(reterr, FILEMAP_ERANGE, "grow window", "size");
	r = filemap_stat(map, &status);
	if (r < 0)
		return fm__fail(reterr, r, "get file size", "file");
	if (status.size >= needed) { /* there is room in the file, so others grew it or the length is fixed */
		r = filemap_refresh(map, NULL, reterr);
		if (filemap_size(map) >= end) /* also if the reserve could not hold all of the file */
			return 0;
		if (r < 0)
			return r;
		return fm__fail(reterr, FILEMAP_ERANGE, "grow window", "length");
	}
	r = grow_file(map, status.size, needed, reterr);
	if (r < 0 || filemap_size(map) >= end)
		return r;
	return give_back(map, status.size, reterr);
}

int filemap_alloc_slice(struct filemap *map, size_t *cursor, size_t size, void **ret,
			struct filemap_error *reterr)
{
	const size_t at = *cursor;
	unsigned char word[WORD];
	void *bytes;
	size_t end;
	int r;

	r = filemap_slice_mut(map, at, 0, &bytes);
	if (r < 0)
		return fm__fail(reterr, r, "allocate slice", r == FILEMAP_ERANGE ? "cursor" : "mapping");
	if (at % WORD)
		return fm__fail(reterr, FILEMAP_ERANGE, "allocate slice", "cursor");
	if (!slice_end(at, size, &end))
		return fm__fail(reterr, FILEMAP_ERANGE, "allocate slice", "size");
	if (end > filemap_size(map)) {
		r = grow_to(map, end, reterr);
		if (r < 0)
			return r;
	}
	r = filemap_slice_mut(map, at, end - at, &bytes);
	if (r < 0)
		return fm__fail(reterr, r, "allocate slice", "window");
	fm__put_le64(word, (uint64_t)size + 1);
	r = store(map, at, word, sizeof word);
	if (r < 0)
		return fm__fail(reterr, r, "store length", "mapping");
	*cursor = end;
	*ret = (unsigned char *)bytes + WORD;
	return 0;
}

/* Less than a length word remains: the end of the row, unless somebody cut a slice there. */
static int end_of_row(const struct filemap *map, size_t at, size_t length)
{
	unsigned char bytes[WORD];
	int r = load(map, at, bytes, length);

	if (r < 0)
		return r;
	for (size_t i = 0; i < length; i++)
		if (bytes[i])
			return FILEMAP_ECORRUPT;
	return 0;
}

int filemap_next_slice(const struct filemap *map, size_t *cursor, const void **ret, size_t *ret_length)
{
	const size_t at = *cursor;
	const size_t window = filemap_size(map);
	unsigned char word_bytes[WORD];
	const void *bytes;
	uint64_t word;
	size_t end;
	int r;

	r = filemap_slice(map, FM_MIN(at, window), 0, &bytes);
	if (r < 0)
		return r;
	if (at > window || at % WORD)
		return FILEMAP_ERANGE;
	if (window - at < WORD)
		return end_of_row(map, at, window - at);
	r = load(map, at, word_bytes, WORD);
	if (r < 0)
		return r;
	word = fm__get_le64(word_bytes);
	if (word == 0)
		return 0;
	if (word - 1 > window || !slice_end(at, (size_t)(word - 1), &end) || end > window)
		return FILEMAP_ECORRUPT;
	*ret = (const unsigned char *)bytes + WORD;
	*ret_length = (size_t)(word - 1);
	*cursor = end;
	return 1;
}
