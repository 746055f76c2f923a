/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Why a byte of a window could not be had. */
#ifndef FM_MAP_FAULT_H
#define FM_MAP_FAULT_H

#include <filemap/guard.h>

#include "map/private.h"

/* Tells of the byte at `offset` of the window, which could not be loaded, or `stores`: not be stored to. `code` is that
 * of the signal, 0 = there was none. NULL is fine: nobody wants to know. */
void fm__fault_describe(const struct filemap *map, size_t offset, int code, bool stores,
			struct filemap_fault *ret);

/* The window ends before this byte, because the file does. */
void fm__fault_past_end(size_t offset, struct filemap_fault *ret);

#endif
