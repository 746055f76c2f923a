/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * adopt: a mapping of a file that a floor above has opened, locked and sized in its own way.
 *
 * Invariant: the descriptor changes hands on success only.
 */
#include "base/error.h"
#include "map/construct.h"
#include "map/memory.h"
#include "sys/sys.h"

static int map_whole(struct filemap *map, struct filemap_error *reterr)
{
	const struct fm__plan plain = {.mode = map->mode};
	struct fm__span span;
	struct stat status;
	int r;

	r = fm__sys_fstat(fm__filemap_fd(map), &status);
	if (r < 0)
		return fm__fail(reterr, r, "read file size", "file");
	r = fm__plan_window(map, (uint64_t)status.st_size, &span, reterr);
	if (r < 0)
		return r;
	r = fm__filemap_map(map, &span);
	if (r < 0)
		return fm__fail(reterr, r, "map", "file");
	r = fm__memory_prepare(map, &plain, span.size, reterr);
	if (r < 0)
		return r;
	fm__filemap_publish(map, &span);
	return 0;
}

int fm__map_adopt(int fd, const char *path, unsigned mode, uint32_t flags, struct filemap **ret_map,
		  struct filemap_error *reterr)
{
	const struct fm__plan plan = {
		.kind = FM_KIND_FILE,
		.mode = mode,
		.flags = flags,
		.window = {0, FM_WINDOW_FOLLOWS},
	};
	struct filemap *map;
	int r;

	r = fm__construct(path, &plan, &map, reterr);
	if (r < 0)
		return r;
	map->origin->lock.family = FILEMAP_LOCK_NONE;
	map->origin->backing->fd = fd;
	r = map_whole(map, reterr);
	if (r < 0)
		map->origin->backing->fd = -1;
	return fm__construct_end(map, r, ret_map, reterr);
}
