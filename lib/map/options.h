/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What filemap_open() was asked for, after validation: no field of a plan can be wrong. */
#ifndef FM_MAP_OPTIONS_H
#define FM_MAP_OPTIONS_H

#include <filemap/map.h>

#include "map/window.h"

/* Offsets and sizes of files are those that off_t can hold. */
#define FM_FILE_MAX ((uint64_t)INT64_MAX)

struct fm__plan {
	unsigned mode;
	uint32_t flags;
	struct fm__window window;
	uint64_t size;    /* of a file that is found, or made, empty */
	uint64_t reserve; /* bytes of address space from the window's start; 0 = none */
	unsigned permissions;
	uint32_t lock_family; /* never FILEMAP_LOCK_DEFAULT */
	uint32_t lock_wait_ms;
};

/* No system call. The error names the field. `path` and `ret_map` are checked for the caller's sake. */
int fm__plan_make(const char *path, unsigned mode, const struct filemap_options *options,
		  struct fm__plan *ret, struct filemap_error *reterr);

#endif
