/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A part of a window that is to be copied, and whether it is still all there. */
#ifndef FM_MAP_PART_H
#define FM_MAP_PART_H

#include "map/private.h"

struct fm__part {
	const struct filemap *map;
	const unsigned char *bytes;
	size_t offset, length; /* from the window's start */
};

/* `step` is a static string, for errors. FILEMAP_EPOISONED, FILEMAP_ERANGE. */
int fm__part_find(const struct filemap *map, size_t offset, size_t length, const char *step,
		  struct fm__part *ret, struct filemap_error *reterr);

/* Where its first byte is in the mapped file. */
uint64_t fm__part_in_file(const struct fm__part *part);

/* FILEMAP_ERANGE if the file ends before the part does: pages behind the end cannot be read, and the rest of the last
 * one reads as zeros. */
int fm__part_check_not_cut(const struct fm__part *part, const char *step, struct filemap_error *reterr);

/* FILEMAP_EFAULT: the byte at `done` cannot be read. */
int fm__part_fail_fault(const struct fm__part *part, size_t done, const char *step,
			struct filemap_error *reterr);

#endif
