/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The arithmetic of windows on files: pure, no system call, no pointer. */
#ifndef FM_MAP_WINDOW_H
#define FM_MAP_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FM_WINDOW_FOLLOWS UINT64_MAX /* as a length: the end of the file, wherever it is */

/* What the user asked for; kept for the life of the mapping and applied to each size of the file. */
struct fm__window {
	uint64_t offset;
	uint64_t length; /* FM_WINDOW_FOLLOWS, or fixed and clamped to the file; 0 = always empty */
};

/* A window on a file of a known size. */
struct fm__span {
	uint64_t file_start; /* of the mapped pages: the window's offset, rounded down */
	size_t skew;         /* from there to the window's first byte */
	size_t size;         /* bytes of the window */
	size_t map_length;   /* whole pages, at least one, also for an empty window */
};

/* How an option says "to the end of the file". */
bool fm__window_is_to_end(uint64_t length);

/* 0, or FILEMAP_ERANGE if the window does not lie within a file of this size. */
int fm__window_check(const struct fm__window *window, uint64_t file_size);

/* The window, clamped to the file. `reserve` widens map_length. FILEMAP_ERANGE: this address space
 * cannot hold it. `page` is a power of two. */
int fm__window_span(const struct fm__window *window, uint64_t file_size, uint64_t reserve, size_t page,
		    struct fm__span *ret);

/* Check a range of a window of `size` bytes; FILEMAP_TO_END becomes a number. */
int fm__range_resolve(size_t size, size_t offset, size_t *length);

/* The whole pages around [start, start + length) of a file. The sum must fit. */
void fm__range_cover(uint64_t start, uint64_t length, size_t page, uint64_t *ret_start, uint64_t *ret_length);

#endif
