/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * construct: what every constructor begins and ends with.
 *
 * Invariant: the caller gets the handle if all went well, and nothing of it is left if not.
 */
#include "map/construct.h"

#include "base/error.h"
#include "sys/sys.h"

/* A file's times are the kernel's affair; memory has only this moment. */
static void note_birth(struct filemap *map)
{
	uint64_t now_ms;
	if (map->kind == FM_KIND_FILE)
		return;
	now_ms = fm__sys_realtime_ms();
	map->made.seconds = (int64_t)(now_ms / 1000);
	map->made.nanoseconds = (uint32_t)(now_ms % 1000) * 1000000;
}

/* A place for failed flushes, of what can be flushed: through this mapping or through a window of it. */
static int have_doubt(struct fm__origin *origin, const struct fm__plan *plan)
{
	if (plan->kind != FM_KIND_FILE || (plan->flags & FILEMAP_SHARED))
		return 0;
	return fm__doubt_take(&origin->backing->doubt);
}

int fm__construct(const char *path, const struct fm__plan *plan, struct filemap **ret,
		  struct filemap_error *reterr)
{
	struct fm__origin *origin;
	int r;

	r = fm__process_watch();
	if (r < 0)
		return fm__fail(reterr, r, "watch for fork", "process");
	r = fm__origin_new(path, plan->sharing, &origin);
	if (r < 0)
		return fm__fail(reterr, r, "allocate", "mapping");
	r = have_doubt(origin, plan);
	if (r >= 0)
		r = fm__filemap_new(origin, plan, ret);
	if (r < 0) {
		fm__origin_free(origin);
		return fm__fail(reterr, r, "allocate", "mapping");
	}
	note_birth(*ret);
	return 0;
}

int fm__construct_end(struct filemap *map, int r, struct filemap **ret_map, struct filemap_error *reterr)
{
	if (r >= 0) {
		*ret_map = map;
		return 0;
	}
	fm__fail_detail_if_none(reterr, map->origin->path);
	fm__filemap_free(map);
	return r;
}
