/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Operations in parts, one after the other on one thread, with the call made on the spot: what the queue does. */
#ifndef T_LATER_H
#define T_LATER_H

#include <errno.h>

#include <filemap/filemap.h>

#include "map/map.h"
#include "sys/sys.h"

/* Who makes the call, and answers: 0 or -errno. */
typedef int later_maker(const struct fm__call *call);

static inline int later_make(const struct fm__call *call)
{
	switch (call->kind) {
	case FM_CALL_FLUSH:
		return fm__sys_flush_range(call->fd, call->offset, call->length, NULL);
	case FM_CALL_SYNC:
		return fm__sys_fsync(call->fd);
	case FM_CALL_WRITEBACK:
		return fm__sys_writeback_range(call->fd, call->offset, call->length);
	case FM_CALL_ADVISE:
		return fm__sys_madvise(call->at, (size_t)call->length, call->advice);
	case FM_CALL_ALLOCATE:
		return fm__sys_fallocate(call->fd, 0, call->offset, call->length);
	case FM_CALL_TRUNCATE:
		return fm__sys_ftruncate(call->fd, call->length);
	default:
		return 0;
	}
}

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
	return later_resize_by(map, size, later_make, error);
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
	return later_remove_by(map, later_make, error);
}

#endif
