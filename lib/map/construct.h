/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What every constructor begins and ends with. */
#ifndef FM_MAP_CONSTRUCT_H
#define FM_MAP_CONSTRUCT_H

#include "map/locate.h"
#include "map/private.h"

/* An origin with an empty handle. */
int fm__construct(const char *path, const struct fm__plan *plan, struct filemap **ret,
		  struct filemap_error *reterr);

/* r >= 0: hand the handle over. Otherwise free it, and name its path in the error. Returns r. */
int fm__construct_end(struct filemap *map, int r, struct filemap **ret_map, struct filemap_error *reterr);

/* Map the file that is locked by now, and give it the size that was asked for. */
int fm__fill(struct filemap *map, const struct fm__plan *plan, const struct fm__found *found,
	     struct filemap_error *reterr);

/* Map a file that is open and whose size is nobody's business here. */
int fm__fill_as_it_is(struct filemap *map, struct filemap_error *reterr);

/* -ENODEV: a file that says its size is 0, but has content. */
int fm__check_really_empty(int fd, struct filemap_error *reterr);

/* The window of the plan on a file of this size; says which option does not fit. */
int fm__plan_window(const struct filemap *map, uint64_t file_size, struct fm__span *ret,
		    struct filemap_error *reterr);

/* Private memory of this size, as the plan says; nothing of it is made to be seen. */
int fm__memory_map(struct filemap *map, const struct fm__plan *plan, uint64_t size, struct fm__span *ret,
		   struct filemap_error *reterr);

#endif
