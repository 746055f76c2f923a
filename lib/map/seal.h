/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Memory files that nobody can change any more: made by us, or recognised. */
#ifndef FM_MAP_SEAL_H
#define FM_MAP_SEAL_H

#include "map/construct.h"

/* An empty memory file that can be sealed, named after the path in /proc. The descriptor, which can write. */
int fm__seal_new_file(const char *path, struct filemap_error *reterr);

/* Give it a size; it reads as zeros from `keep` on. */
int fm__seal_set_size(int fd, uint64_t keep, uint64_t size, struct filemap_error *reterr);

/* Seal the memory file of `map`, which nobody has mapped, and map it as the plan says. */
int fm__seal_and_map(struct filemap *map, const struct fm__plan *plan, uint64_t size,
		     struct filemap_error *reterr);

/* 1: the kernel lets nobody write or cut this file, for ever. 0: it does, or it does not tell. */
int fm__seal_is_final(int fd);

#endif
