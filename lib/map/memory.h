/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The pages behind a window: which of them a range means, and what the options ask for them. */
#ifndef FM_MAP_MEMORY_H
#define FM_MAP_MEMORY_H

#include "map/private.h"

/* The whole pages that a range of the window touches. */
struct fm__pages {
	unsigned char *at;
	size_t length;
	uint64_t start; /* in the file */
};

/* 0, or FILEMAP_EPOISONED, FILEMAP_EMODE for borrowed bytes, FILEMAP_EFORKED where they are absent. */
int fm__memory_check(const struct filemap *map);

/* FILEMAP_ERANGE if the range does not lie within the window. */
int fm__memory_pages(const struct filemap *map, size_t offset, size_t length, struct fm__pages *ret);

/* Keep the pages of a range in memory; with on_fault each from its first access on. */
int fm__memory_lock(const struct filemap *map, void *at, size_t length, bool on_fault);

/*
 * For opening: the region is mapped and `window_bytes` of it are to be the window; the file is unchanged.
 * Whatever the options ask for and the system refuses is refused here.
 */
int fm__memory_prepare(struct filemap *map, const struct fm__plan *plan, uint64_t window_bytes,
		       struct filemap_error *reterr);

/* After publishing: brings in the pages that POPULATE and MLOCK want; those that cannot be are left out. */
void fm__memory_fill(struct filemap *map);

/* Each bit of `advice` in turn, lowest first; -errno of the first that is refused. */
int fm__memory_advise(void *at, size_t length, unsigned advice);

#endif
