/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * adopt: a mapping of a file that a floor above has opened, locked and sized in its own way.
 *
 * Invariant: the descriptor changes hands on success only.
 */
#include "map/construct.h"

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
	r = fm__fill_as_it_is(map, reterr);
	if (r < 0)
		map->origin->backing->fd = -1;
	return fm__construct_end(map, r, ret_map, reterr);
}
