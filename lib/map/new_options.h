/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What callers say about a new file: options, and a function that writes its content. */
#ifndef FM_MAP_NEW_OPTIONS_H
#define FM_MAP_NEW_OPTIONS_H

#include <filemap/file.h>

#include "base/options.h"

/* Check the arguments and read the options; permissions of 0 become 0666. No system call is made. */
int fm__new_options_read(struct filemap_new_options *to, int dirfd, const char *path,
			 const struct filemap_new_options *from, uint32_t known_flags,
			 struct filemap_error *reterr);

struct fm__caller_content {
	filemap_fill_fn *fill; /* NULL = no content */
	void *context;
};

/* The fm__fill_fn of a struct fm__caller_content. */
int fm__caller_fill(int fd, void *context, struct filemap_error *reterr);

#endif
