/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Operations in parts, one after the other on one thread, with the call made on the spot: what the queue does. */
#ifndef T_LATER_H
#define T_LATER_H

#include <errno.h>

#include <filemap/filemap.h>

#include "map/map.h"
#include "sys/call.h"
#include "sys/sys.h"

#include "t.h"

#define PAGE ((size_t)sysconf(_SC_PAGESIZE))

/* A new file, mapped for writing, all bytes 0xAA. */
static inline struct filemap *later_create(const struct t_dir *dir, const char *name, uint64_t size,
					   struct filemap_options options)
{
	const char *path = t_path(dir, name);
	struct filemap *map = NULL;

	remove(path);
	options.struct_size = sizeof options;
	options.flags |= FILEMAP_CREATE_NEW;
	options.size = size;
	assert_ok(filemap_open(path, FILEMAP_WRITE, &options, &map, NULL));
	memset(filemap_data_mut(map), 0xAA, filemap_size(map));
	return map;
}

/* What was there, and zeros behind it. */
static inline void later_assert_content(const struct filemap *map, size_t old_size)
{
	const unsigned char *bytes = filemap_data(map);

	for (size_t i = 0; i < filemap_size(map); i++)
		assert_int_equal(bytes[i], i < old_size ? 0xAA : 0);
}

/* Who makes the call, and answers: 0 or -errno. */
typedef int later_maker(const struct fm__call *call);

/* What is between begin and end. */
static inline int later_change(struct fm__resizing *resizing, later_maker *make, struct filemap_error *error)
{
	struct fm__call call;
	int r = fm__map_resize_prepare(resizing, &call, error);

	return r < 0 ? r : fm__map_resize_answer(resizing, make(&call), error);
}

static inline int later_resize_by(struct filemap *map, uint64_t size, later_maker *make,
				  struct filemap_error *error)
{
	struct fm__resizing resizing;
	int r = fm__map_resize_begin(map, size, &resizing, error);

	if (r < 0)
		return r;
	r = later_change(&resizing, make, error);
	return fm__map_resize_end(&resizing, r, error);
}

static inline int later_resize(struct filemap *map, uint64_t size, struct filemap_error *error)
{
	return later_resize_by(map, size, fm__call_run, error);
}

static inline int later_unlink(struct fm__removing *removing, later_maker *make, struct filemap_error *error)
{
	struct fm__call call;
	int r = fm__map_remove_prepare(removing, &call, error);

	return r < 0 ? r : fm__map_remove_answer(removing, make(&call), error);
}

static inline int later_remove_by(struct filemap *map, later_maker *make, struct filemap_error *error)
{
	struct fm__removing removing;
	int r = fm__map_remove_begin(map, &removing, error);

	if (r < 0)
		return r;
	r = later_unlink(&removing, make, error);
	return fm__map_remove_end(&removing, r, error);
}

static inline int later_remove(struct filemap *map, struct filemap_error *error)
{
	return later_remove_by(map, fm__call_run, error);
}

#endif
