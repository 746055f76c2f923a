/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * adopt: a mapping of a file that a floor above has opened, locked and sized in its own way.
 *
 * Invariant: the descriptor changes hands on success only.
 */
#include "base/error.h"
#include "map/private.h"
#include "sys/sys.h"

static int map_whole(struct filemap *map, int fd, struct filemap_error *reterr)
{
	struct fm__span span;
	struct stat status;
	int r;

	r = fm__sys_fstat(fd, &status);
	if (r < 0)
		return fm__fail(reterr, r, "read file size", "file");
	r = fm__window_span(&map->window, (uint64_t)status.st_size, 0, fm__sys_page_size(), &span);
	if (r < 0)
		return fm__fail(reterr, r, "plan window", "address space");
	map->backing->fd = fd;
	r = fm__filemap_map(map, &span);
	if (r < 0) {
		map->backing->fd = -1;
		return fm__fail(reterr, r, "map", "file");
	}
	fm__filemap_publish(map, &span);
	return 0;
}

int fm__map_adopt(int fd, const char *path, unsigned mode, uint32_t flags, struct filemap **ret_map,
		  struct filemap_error *reterr)
{
	const struct fm__plan plan = {.mode = mode, .flags = flags, .window = {0, FM_WINDOW_FOLLOWS}};
	struct filemap *map;
	int r;

	r = fm__process_watch();
	if (r < 0)
		return fm__fail(reterr, r, "watch for fork", "process");
	r = fm__filemap_new(path, &plan, &map);
	if (r < 0)
		return fm__fail(reterr, r, "allocate", "mapping");
	r = map_whole(map, fd, reterr);
	if (r < 0) {
		fm__filemap_free(map);
		fm__fail_detail(reterr, path);
		return r;
	}
	*ret_map = map;
	return 0;
}
