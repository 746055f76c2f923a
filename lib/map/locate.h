/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* From a name to a locked descriptor, and back: does the name still mean this file? */
#ifndef FM_MAP_LOCATE_H
#define FM_MAP_LOCATE_H

#include <sys/stat.h>

#include "map/private.h"

struct fm__found {
	struct stat status; /* of the file that is open now: identity and type */
	unsigned created;   /* 1: by this very call */
};

/* WRITE: open the directory of the path into map->parent_fd. READ: nothing. */
int fm__locate_pin(struct filemap *map, struct filemap_error *reterr);

/* Open (or create) the file, lock it, and make sure that the name still names it. The descriptor goes to
 * the backing, the lock to the map; a failure leaves neither, and no file of ours. */
int fm__locate_lock(struct filemap *map, const struct fm__plan *plan, struct fm__found *ret,
		    struct filemap_error *reterr);

/* Remove the file that this call created, unless the name means another one by now. */
void fm__locate_remove_own(const struct filemap *map, const struct fm__found *found);

#endif
