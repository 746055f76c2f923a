/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* From a name to a locked descriptor, and back: does the name still mean this file? */
#ifndef FM_MAP_LOCATE_H
#define FM_MAP_LOCATE_H

#include <sys/stat.h>

#include "map/private.h"

struct fm__found {
	struct stat status; /* of the file, as it is under the lock */
	unsigned created;   /* 1: by this very call */
};

/* The name in the pinned directory; without one the path as it was given. */
const char *fm__locate_name(const struct fm__origin *origin);

/* WRITE and PIN_PARENT: open the directory of the path into origin->parent_fd. Otherwise nothing. */
int fm__locate_pin(struct fm__origin *origin, const struct fm__plan *plan, struct filemap_error *reterr);

/* Open (or create) the file, lock it, and make sure that the name still names it. The descriptor goes to
 * the backing, the lock to the origin; a failure leaves neither, and no file of ours. */
int fm__locate_lock(struct fm__origin *origin, const struct fm__plan *plan, struct fm__found *ret,
		    struct filemap_error *reterr);

/* Open the file behind a descriptor once more, and lock it. What was opened stays with the origin, also
 * after a failure. */
int fm__locate_again(struct fm__origin *origin, int fd, const struct fm__plan *plan, struct fm__found *ret,
		     struct filemap_error *reterr);

/* Remove the file that this call created, unless the name means another one by now. */
void fm__locate_remove_own(const struct fm__origin *origin, const struct fm__found *found,
			   struct filemap_error *reterr);

/* -EISDIR, -ENODEV or, for a symbolic link that was not followed, -ELOOP; 0 for a regular file. */
int fm__locate_check_type(const struct stat *status, struct filemap_error *reterr);

#endif
