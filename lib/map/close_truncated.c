/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * close_truncated: a file gets its final length, durably, and its handle ends.
 *
 * Invariant: the handle is closed only after everything else succeeded. What can fail, and what that leaves:
 *   1. checks, reading the size             everything as it was
 *   2. flushing the window                  as filemap_flush(): TAINTED; the file has its old size
 *   3. giving the file its length           as filemap_resize(); below the offset the window is empty
 *   4. syncing the file                     TAINTED; the file has its new length, maybe not on the device
 */
#include "base/error.h"
#include "map/resize.h"

static const char *const step = "check close";

static bool is_there(const struct filemap *map, uint64_t unused)
{
	(void)map;
	(void)unused;
	return true;
}

static int check_unused(const struct filemap *map, struct filemap_error *reterr)
{
	const char *by = NULL;
	if (fm__filemap_is_pinned(map))
		by = "pin";
	else if (fm__origin_any(map->origin, map, is_there, 0))
		by = "window";
	else if (fm__backing_is_shared(map->origin->backing))
		by = "asynchronous flush";
	return by ? fm__fail(reterr, FILEMAP_EBUSY, step, by) : 0;
}

static int check(const struct filemap *map, uint64_t file_size, struct filemap_error *reterr)
{
	uint64_t old_size;
	int r;

	r = fm__resize_check(map, file_size, step, reterr);
	if (r < 0)
		return r;
	r = fm__filemap_check_durable(map);
	if (r < 0)
		return fm__fail(reterr, r, step, "mapping");
	r = check_unused(map, reterr);
	if (r < 0)
		return r;
	r = fm__filemap_file_size(map, &old_size);
	if (r < 0)
		return fm__fail(reterr, r, "read file size", "file");
	return fm__resize_check_cut(map, old_size, file_size, step, reterr);
}

static int flush_and_resize(struct filemap *map, uint64_t file_size, struct filemap_error *reterr)
{
	int r = filemap_flush(map);
	if (r < 0)
		return fm__fail(reterr, r, "flush", "window");
	r = fm__resize_file(map, file_size, reterr);
	if (r < 0)
		return r;
	r = filemap_sync(map);
	return r < 0 ? fm__fail(reterr, r, "sync", "file") : 0;
}

static int close_memory(struct filemap *map, struct filemap_error *reterr)
{
	int r;

	if (map->mode != FILEMAP_WRITE || map->frozen != FM_THAWED)
		return fm__fail(reterr, FILEMAP_EMODE, step, "mode");
	r = check_unused(map, reterr);
	if (r < 0)
		return r;
	filemap_close(map);
	return 0;
}

int filemap_close_truncated(struct filemap *map, uint64_t file_size, struct filemap_error *reterr)
{
	int r;

	if (map->kind == FM_KIND_MEMORY)
		return close_memory(map, reterr);
	r = check(map, file_size, reterr);
	if (r < 0)
		return r;
	r = flush_and_resize(map, file_size, reterr);
	if (r < 0)
		return r;
	filemap_close(map);
	return 0;
}
