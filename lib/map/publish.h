/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The one way in which the library makes a new file appear: complete and durable, or not at all. */
#ifndef FM_MAP_PUBLISH_H
#define FM_MAP_PUBLISH_H

#include <filemap/base.h>

/*
 * Writes the content into an empty file that nobody else can find. 0, or a code with the record filled in.
 * It may be called a second time, with another empty file, where the first one cannot be given a name.
 */
typedef int fm__fill_fn(int fd, void *context, struct filemap_error *reterr);

/*
 * Make a file with this content and name. The name is never taken from anything: -EEXIST. Once it is there,
 * content and name are durable. After a failure nothing is left, except when only the last step fails, syncing
 * the directory: then the file stays and the record's hint says that a crash may lose it.
 *
 * The path is not empty. The detail of the record is the path, unless `fill` has set its own.
 */
int fm__publish(const char *path, unsigned permissions, fm__fill_fn *fill, void *context,
		struct filemap_error *reterr);

#endif
