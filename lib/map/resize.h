/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The parts of resizing that more than one file needs. */
#ifndef FM_MAP_RESIZE_H
#define FM_MAP_RESIZE_H

#include "map/private.h"

/* The size that the file has now. */
int fm__filemap_file_size(const struct filemap *map, uint64_t *ret);

/* Mode, state, process, changes in flight and size: what can be refused without a look at the file. `step` is for errors. */
int fm__resize_check(const struct filemap *map, uint64_t file_size, const char *step,
		     struct filemap_error *reterr);

/* That, and what else filemap_resize() refuses so. */
int fm__resize_check_own(const struct filemap *map, uint64_t file_size, struct filemap_error *reterr);

/* FILEMAP_EMODE if it would cut what those who cooperate have grown, without the exclusive lock. */
int fm__resize_check_cut(const struct filemap *map, uint64_t old_size, uint64_t file_size, const char *step,
			 struct filemap_error *reterr);

/* A file, or private memory, after the checks; a file may end below the window's offset. */
int fm__resize_file(struct filemap *map, uint64_t file_size, struct filemap_error *reterr);
int fm__resize_memory(struct filemap *map, uint64_t file_size, struct filemap_error *reterr);

/* The window of a file of this size, within the reserve. */
int fm__resize_plan(const struct filemap *map, uint64_t file_size, struct fm__span *ret,
		    struct filemap_error *reterr);

#endif
