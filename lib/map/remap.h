/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The region of a mapping gets larger or smaller. Nothing here publishes. */
#ifndef FM_MAP_REMAP_H
#define FM_MAP_REMAP_H

#include "map/private.h"

/*
 * At least `length` bytes: in place, or somewhere else if neither a reserve nor a pin forbids it; FILEMAP_EBUSY:
 * the pin does. After a failure the old region is as it was. The view still has the old address.
 */
int fm__region_widen(struct filemap *map, size_t length);

/* Unmap what is behind `length`; a reserve stays. */
void fm__region_narrow(struct filemap *map, size_t length);

/* MLOCK for window bytes that are mapped and in the file now, but were not from the start. Regions that may
 * move do not need it: they are locked as a whole. */
int fm__region_lock(const struct filemap *map, size_t old_size, size_t new_size);

#endif
