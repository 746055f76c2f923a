/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * open: the one way from a path to a mapping.
 *
 * Invariant: options, type, lock, name, size and window are checked, and the pages are mapped, before
 * the first byte of the file is changed. Mapping comes before truncation and allocation because it can
 * fail and changes nothing: the pages behind the end of the file become valid as the file grows.
 *
 * What can fail from there on, and what it leaves:
 *   1. trying the blocks for TRUNCATE with a size: the file is as it was
 *   2. truncating: the file is as it was
 *   3. allocating: a new file is removed, an empty one is empty again; only after 1 and 2 succeeded and
 *      somebody else took the blocks in between is a truncated file left empty
 *   4. syncing the parent directory, of a new file only: it is removed
 */
#include <errno.h>

#include "base/error.h"
#include "map/extent.h"
#include "map/locate.h"
#include "sys/sys.h"

/* /proc and /sys have files of size 0 with content: there is nothing to map. */
static int check_really_empty(int fd, struct filemap_error *reterr)
{
	unsigned char byte;
	int64_t r = fm__sys_pread(fd, &byte, 1, 0);
	if (r < 0)
		return fm__fail(reterr, (int)r, "read first byte", "file");
	if (r == 0)
		return 0;
	fm__fail(reterr, -ENODEV, "check file type", "file");
	fm__fail_hint(reterr, "the file says its size is 0, but has content; read it instead");
	return -ENODEV;
}

static int read_size(const struct filemap *map, const struct fm__found *found, uint64_t *ret,
		     struct filemap_error *reterr)
{
	struct stat status;
	int r = fm__sys_fstat(map->backing->fd, &status);
	if (r < 0)
		return fm__fail(reterr, r, "read file size", "file");
	*ret = (uint64_t)status.st_size;
	if (*ret != 0 || found->created)
		return 0;
	return check_really_empty(map->backing->fd, reterr);
}

static int refuse_window(struct filemap_error *reterr, const struct fm__window *window, uint64_t final)
{
	uint64_t length = window->length == FM_WINDOW_FOLLOWS ? 0 : window->length;
	fm__fail(reterr, FILEMAP_ERANGE, "plan window", window->offset > final ? "offset" : "length");
	fm__fail_hint(reterr, "the window must lie within the file");
	fm__fail_range(reterr, window->offset, length);
	return FILEMAP_ERANGE;
}

static int plan_span(const struct filemap *map, uint64_t final, struct fm__span *ret,
		     struct filemap_error *reterr)
{
	int r = fm__window_check(&map->window, final);
	if (r < 0)
		return refuse_window(reterr, &map->window, final);
	r = fm__window_span(&map->window, final, map->reserve, fm__sys_page_size(), ret);
	if (r < 0)
		return fm__fail(reterr, r, "plan window", "address space");
	return 0;
}

/* With TRUNCATE, blocks are tried for while the content is still there: a full disk costs nothing. */
static int empty_file(const struct fm__plan *plan, int fd, uint64_t size, struct filemap_error *reterr)
{
	int r;

	if (plan->size > 0 && !(plan->flags & FILEMAP_SPARSE)) {
		r = fm__extent_try(fd, size, plan->size);
		if (r < 0)
			return fm__fail(reterr, r, "allocate blocks", "file");
	}
	r = fm__sys_ftruncate(fd, 0);
	return r < 0 ? fm__fail(reterr, r, "truncate", "file") : 0;
}

static int give_size(const struct fm__plan *plan, int fd, uint64_t size, uint64_t final,
		     struct filemap_error *reterr)
{
	int r;

	if (size > 0) {
		if (!(plan->flags & FILEMAP_TRUNCATE))
			return 0;
		r = empty_file(plan, fd, size, reterr);
		if (r < 0)
			return r;
	}
	r = fm__extent_grow(fd, 0, final, plan->flags);
	if (r >= 0)
		return 0;
	fm__sys_ftruncate(fd, 0);
	return fm__fail(reterr, r, "allocate blocks", "file");
}

static int make_name_durable(const struct filemap *map, const struct fm__found *found,
			     struct filemap_error *reterr)
{
	int r;
	if (!found->created || (map->flags & FILEMAP_NO_DURABLE_NAME))
		return 0;
	r = fm__sys_fsync(map->parent_fd);
	return r < 0 ? fm__fail(reterr, r, "sync parent directory", "parent directory") : 0;
}

/* The file is locked; from its size to a window on its final size. */
static int fill(struct filemap *map, const struct fm__plan *plan, const struct fm__found *found,
		struct filemap_error *reterr)
{
	uint64_t size = 0, final;
	struct fm__span span;
	int r;

	r = read_size(map, found, &size, reterr);
	if (r < 0)
		return r;
	final = size == 0 || (plan->flags & FILEMAP_TRUNCATE) ? plan->size : size;
	r = plan_span(map, final, &span, reterr);
	if (r < 0)
		return r;
	r = fm__filemap_map(map, &span);
	if (r < 0)
		return fm__fail(reterr, r, "map", "file");
	r = give_size(plan, map->backing->fd, size, final, reterr);
	if (r < 0)
		return r;
	r = make_name_durable(map, found, reterr);
	if (r < 0)
		return r;
	fm__filemap_publish(map, &span);
	return 0;
}

static int open_into(struct filemap *map, const struct fm__plan *plan, struct filemap_error *reterr)
{
	struct fm__found found;
	int r;

	r = fm__locate_pin(map, reterr);
	if (r < 0)
		return r;
	r = fm__locate_lock(map, plan, &found, reterr);
	if (r < 0)
		return r;
	r = fill(map, plan, &found, reterr);
	if (r < 0)
		fm__locate_remove_own(map, &found); /* while the lock is held */
	return r;
}

int filemap_open(const char *path, unsigned mode, const struct filemap_options *options,
		 struct filemap **ret_map, struct filemap_error *reterr)
{
	struct filemap *map;
	struct fm__plan plan;
	int r;

	if (!ret_map)
		return fm__fail(reterr, FILEMAP_EOPTION, "check options", "ret_map");
	r = fm__plan_make(path, mode, options, &plan, reterr);
	if (r < 0)
		return r;
	r = fm__process_watch();
	if (r < 0)
		return fm__fail(reterr, r, "watch for fork", "process");
	r = fm__filemap_new(path, &plan, &map);
	if (r < 0)
		return fm__fail(reterr, r, "allocate", "mapping");
	r = open_into(map, &plan, reterr);
	if (r < 0) {
		fm__filemap_free(map);
		fm__fail_detail(reterr, path);
		return r;
	}
	*ret_map = map;
	return 0;
}
