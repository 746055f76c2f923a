/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What filemap_open() was asked for, after validation: no field of a plan can be wrong. */
#ifndef FM_MAP_OPTIONS_H
#define FM_MAP_OPTIONS_H

#include <filemap/map.h>

#include "map/window.h"

/* Offsets and sizes of files are those that off_t can hold. */
#define FM_FILE_MAX ((uint64_t)INT64_MAX)

struct fm__plan {
	unsigned kind; /* FM_KIND_* */
	unsigned mode;
	uint32_t flags;
	struct fm__window window;
	uint64_t size;    /* of a file that is found, or made, empty */
	uint64_t reserve; /* bytes of address space from the window's start; 0 = none */
	unsigned permissions;
	unsigned lock_kind;   /* FILEMAP_SHARED_LOCK or _EXCLUSIVE_LOCK: what opening takes */
	uint32_t lock_family; /* never FILEMAP_LOCK_DEFAULT */
	uint32_t lock_wait_ms;
	uint32_t sharing;
	uint32_t advice;
	const char *label; /* borrowed; NULL = none */
	void (*on_remove)(void *context, int result, const struct filemap_error *error);
	void *on_remove_context;
	int dirfd; /* where the path starts */
};

/* FILEMAP_EOPTION unless it is exactly one of the four. */
int fm__mode_check(unsigned mode, struct filemap_error *reterr);

/* Each makes a plan without a system call, or names the field that is wrong. */
int fm__plan_named(int dirfd, const char *path, unsigned mode, const struct filemap_options *options,
		   struct fm__plan *ret, struct filemap_error *reterr);
int fm__plan_fd(int fd, unsigned mode, const struct filemap_options *options, struct fm__plan *ret,
		struct filemap_error *reterr);
int fm__plan_snapshot(const char *path, const struct filemap_options *options, struct fm__plan *ret,
		      struct filemap_error *reterr);
int fm__plan_anonymous(size_t length, const struct filemap_options *options, struct fm__plan *ret,
		       struct filemap_error *reterr);

#endif
