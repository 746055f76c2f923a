/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The one way in which the library makes a new file appear: complete and durable, or not at all. */
#ifndef FM_MAP_PUBLISH_H
#define FM_MAP_PUBLISH_H

#include "map/new_file.h"

/*
 * Make a file with this content and name. The name is never taken from anything: -EEXIST. Once it is there,
 * content and name are durable. After a failure nothing is left, except when only the last step fails, syncing
 * the name: then the file stays, and the record's hint says that a crash may lose it: FILEMAP_EUNSYNCED.
 *
 * The path is not empty. The detail of the record is the path, unless the content has set its own.
 */
int fm__publish(int dirfd, const char *path, unsigned permissions, const struct fm__content *content,
		struct filemap_error *reterr);

#endif
