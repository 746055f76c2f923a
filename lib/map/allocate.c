/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * allocate: blocks for what is in the window already, and what they are worth.
 *
 * Invariant: neither size nor content of the file changes.
 */
#include <linux/falloc.h>

#include "base/error.h"
#include "map/extent.h"
#include "map/private.h"
#include "sys/sys.h"

static const char *const step = "allocate blocks";

static int check(const struct filemap *map, size_t offset, size_t *length, struct filemap_error *reterr)
{
	int r = fm__filemap_check_window(map);
	if (r < 0)
		return fm__fail(reterr, r, step, "mapping");
	if (map->mode != FILEMAP_WRITE || map->frozen != FM_THAWED)
		return fm__fail(reterr, FILEMAP_EMODE, step, "mode");
	if (fm__origin_is_inherited(map->origin))
		return fm__fail(reterr, FILEMAP_EFORKED, step, "process");
	r = fm__origin_check_unchanging(map->origin, step, reterr);
	if (r < 0)
		return r;
	r = fm__range_resolve(fm__view_size(map), offset, length);
	if (r < 0) {
		fm__fail(reterr, r, step, "range");
		fm__fail_range(reterr, offset, *length);
	}
	return r;
}

int filemap_allocate(struct filemap *map, size_t offset, size_t length, struct filemap_error *reterr)
{
	int r = check(map, offset, &length, reterr);
	if (r < 0 || length == 0 || !fm__filemap_has_device(map))
		return r;
	r = fm__sys_fallocate(fm__filemap_fd(map), FALLOC_FL_KEEP_SIZE, map->window.offset + offset, length);
	return r < 0 ? fm__fail(reterr, r, step, "file") : 0;
}

bool filemap_reservable(const struct filemap *map)
{
	uint64_t type;
	if (map->kind != FM_KIND_FILE || fm__sys_fs_type(fm__filemap_fd(map), &type) < 0)
		return false;
	return type == FM_TYPE_EXT || type == FM_TYPE_TMPFS || type == FM_TYPE_XFS;
}
