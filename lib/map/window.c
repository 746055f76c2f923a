/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * window: which pages of a file a window needs, and which bytes of them are its own.
 *
 * Invariant: every sum is checked; a span that is returned fits the address space and PTRDIFF_MAX.
 */
#include "map/window.h"

#include <filemap/base.h>

#include "base/checked.h"
#include "base/util.h"

bool fm__window_is_to_end(uint64_t length)
{
	return length == 0 || length == FILEMAP_TO_END || length == UINT64_MAX;
}

int fm__window_check(const struct fm__window *window, uint64_t file_size)
{
	if (window->offset > file_size)
		return FILEMAP_ERANGE;
	if (window->length == FM_WINDOW_FOLLOWS)
		return 0;
	return window->length > file_size - window->offset ? FILEMAP_ERANGE : 0;
}

static uint64_t clamped_size(const struct fm__window *window, uint64_t file_size)
{
	if (window->offset >= file_size)
		return 0;
	return FM_MIN(window->length, file_size - window->offset);
}

int fm__window_span(const struct fm__window *window, uint64_t file_size, uint64_t reserve, size_t page,
		    struct fm__span *ret)
{
	struct fm__span span;
	uint64_t bytes, size = clamped_size(window, file_size);

	span.file_start = fm__align_down(window->offset, page);
	span.skew = (size_t)(window->offset - span.file_start);
	if (!fm__add_u64(FM_MAX(size, reserve), span.skew, &bytes))
		return FILEMAP_ERANGE;
	if (!fm__align_up(FM_MAX(bytes, 1), page, &bytes) || bytes > PTRDIFF_MAX)
		return FILEMAP_ERANGE;
	if (span.file_start > INT64_MAX - bytes)
		return FILEMAP_ERANGE; /* a page that off_t cannot name the end of */
	span.size = (size_t)size;
	span.map_length = (size_t)bytes;
	*ret = span;
	return 0;
}

int fm__range_resolve(size_t size, size_t offset, size_t *length)
{
	if (offset > size)
		return FILEMAP_ERANGE;
	if (*length == FILEMAP_TO_END)
		*length = size - offset;
	return *length > size - offset ? FILEMAP_ERANGE : 0;
}

void fm__range_cover(uint64_t start, uint64_t length, size_t page, uint64_t *ret_start, uint64_t *ret_length)
{
	uint64_t first = fm__align_down(start, page);
	uint64_t end = fm__align_down(start + length + (page - 1), page);
	*ret_start = first;
	*ret_length = length ? end - first : 0;
}
