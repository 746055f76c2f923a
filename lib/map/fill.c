/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * fill: the one way from a locked descriptor to a mapping.
 *
 * Invariant: type, lock, name, size and window are checked, and the pages are mapped, before
 * the first byte of the file is changed. Mapping comes before truncation and allocation because it can
 * fail and changes nothing: the pages behind the end of the file become valid as the file grows.
 *
 * What can fail from there on, and what it leaves:
 *   1. trying the size and its blocks for TRUNCATE: the file is cut back to what it was
 *   2. truncating: the file is as it was
 *   3. allocating: a new file is removed, an empty one is empty again; only after 1 and 2 succeeded and
 *      somebody else took the blocks in between is a truncated file left empty
 *   4. syncing file and parent directory, of a new file only: it is removed
 */
#include <errno.h>

#include "base/error.h"
#include "map/construct.h"
#include "map/extent.h"
#include "map/growth.h"
#include "map/memory.h"
#include "sys/sys.h"

/* /proc and /sys have files of size 0 with content: there is nothing to map. */
int fm__check_really_empty(int fd, struct filemap_error *reterr)
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

/* Those who cooperate may have changed the size since the lock was taken, until they are kept from it. */
static int read_size(const struct filemap *map, const struct fm__plan *plan, const struct fm__found *found,
		     uint64_t *ret, struct filemap_error *reterr)
{
	bool moving = plan->size != 0 && plan->lock_kind == FILEMAP_SHARED_LOCK;
	struct stat status = found->status;
	int r = moving ? fm__sys_fstat(fm__filemap_fd(map), &status) : 0;
	if (r < 0)
		return fm__fail(reterr, r, "read file size", "file");
	*ret = (uint64_t)status.st_size;
	if (*ret != 0 || found->created)
		return 0;
	return fm__check_really_empty(fm__filemap_fd(map), reterr);
}

static int refuse_window(struct filemap_error *reterr, const struct fm__window *window, uint64_t final)
{
	uint64_t length = window->length == FM_WINDOW_FOLLOWS ? 0 : window->length;
	fm__fail(reterr, FILEMAP_ERANGE, "plan window", window->offset > final ? "offset" : "length");
	fm__fail_hint(reterr, "the window must lie within the file");
	fm__fail_range(reterr, window->offset, length);
	return FILEMAP_ERANGE;
}

int fm__plan_window(const struct filemap *map, uint64_t final, struct fm__span *ret,
		    struct filemap_error *reterr)
{
	int r = fm__window_check(&map->window, final);
	if (r < 0)
		return refuse_window(reterr, &map->window, final);
	r = fm__window_span(&map->window, final, map->reserve, fm__filemap_page(map), ret);
	if (r < 0)
		return fm__fail(reterr, r, "plan window", "address space");
	return 0;
}

/* What may not be as long as that, by a limit of the process or of the file system, is found out by trying. */
static int try_size(const struct fm__plan *plan, int fd, uint64_t size)
{
	int r = plan->size > size ? fm__sys_ftruncate(fd, plan->size) : 0;
	if (r < 0 || plan->size == 0 || (plan->flags & FILEMAP_SPARSE))
		return r;
	return fm__extent_try(fd, size, plan->size);
}

/* With TRUNCATE, size and blocks are tried for while the content is still there: a full disk costs nothing. */
static int empty_file(const struct fm__plan *plan, int fd, uint64_t size, struct filemap_error *reterr)
{
	int r = fm__sys_check_seals(fd, plan->size > 0);
	if (r < 0)
		return fm__fail(reterr, r, "truncate", "file seals");
	r = try_size(plan, fd, size);
	if (r < 0)
		return fm__fail(reterr, r, "allocate blocks", "file");
	r = fm__sys_ftruncate(fd, 0);
	if (r >= 0)
		return 0;
	fm__sys_ftruncate(fd, size); /* what was tried */
	return fm__fail(reterr, r, "truncate", "file");
}

/* Those who cooperate may have looked at the file meanwhile: for them it stays as long as it got. */
static int grow_from_empty(const struct fm__plan *plan, int fd, uint64_t final, struct filemap_error *reterr)
{
	bool alone = plan->lock_kind == FILEMAP_EXCLUSIVE_LOCK;
	int r = fm__extent_grow(fd, 0, final, plan->flags, !alone);
	if (r >= 0)
		return 0;
	if (alone)
		fm__sys_ftruncate(fd, 0);
	return fm__fail(reterr, r, "allocate blocks", "file");
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
	return grow_from_empty(plan, fd, final, reterr);
}

/* The file itself because of its link count, without which a file system that has no journal loses the name. */
static int make_name_durable(const struct filemap *map, const struct fm__found *found,
			     struct filemap_error *reterr)
{
	int r;
	if (!found->created || (map->flags & FILEMAP_NO_DURABLE_NAME))
		return 0;
	r = fm__sys_fsync(fm__filemap_fd(map));
	if (r < 0)
		return fm__fail(reterr, r, "sync file", "file");
	r = fm__sys_fsync(map->origin->parent_fd);
	return r < 0 ? fm__fail(reterr, r, "sync parent directory", "parent directory") : 0;
}

static int map_span(struct filemap *map, const struct fm__plan *plan, const struct fm__span *span,
		    struct filemap_error *reterr)
{
	int r = fm__filemap_map(map, span);
	if (r < 0)
		return fm__fail(reterr, r, "map", "file");
	return fm__memory_prepare(map, plan, span->size, reterr);
}

int fm__fill_as_it_is(struct filemap *map, struct filemap_error *reterr)
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
	r = map_span(map, &plain, &span, reterr);
	if (r < 0)
		return r;
	fm__filemap_publish(map, &span);
	return 0;
}

/* From the file's size to pages that are mapped within its final size. */
static int map_and_size(struct filemap *map, const struct fm__plan *plan, const struct fm__found *found,
			struct fm__span *span, struct filemap_error *reterr)
{
	uint64_t size = 0, final;
	int r;

	r = read_size(map, plan, found, &size, reterr);
	if (r < 0)
		return r;
	final = size == 0 || (plan->flags & FILEMAP_TRUNCATE) ? plan->size : size;
	r = fm__plan_window(map, final, span, reterr);
	if (r < 0)
		return r;
	r = map_span(map, plan, span, reterr);
	if (r < 0)
		return r;
	return give_size(plan, fm__filemap_fd(map), size, final, reterr);
}

/* Somebody else who cooperates may be giving the file its size at the same time. */
static int size_together(struct filemap *map, const struct fm__plan *plan, const struct fm__found *found,
			 struct fm__span *span, struct filemap_error *reterr)
{
	int r;

	if (plan->size == 0)
		return map_and_size(map, plan, found, span, reterr);
	r = fm__growth_begin(map->origin, reterr);
	if (r < 0)
		return r;
	r = map_and_size(map, plan, found, span, reterr);
	fm__growth_end(map->origin);
	return r;
}

/* TRUNCATE had to exclude also those who cooperate. */
static int share_again(struct filemap *map, const struct fm__plan *plan, struct filemap_error *reterr)
{
	if (plan->sharing != FILEMAP_SHARING_COOPERATE || plan->lock_kind != FILEMAP_EXCLUSIVE_LOCK)
		return 0;
	return fm__lock_change(&map->origin->lock, fm__filemap_fd(map), FILEMAP_SHARED_LOCK, 0, reterr);
}

/* With a reserve growth is to be cheap: whether it has to ask for the size each time is found out here. */
static void note_who_sizes(struct filemap *map)
{
	const struct fm__origin *origin = map->origin;
	bool alone = origin->lock.is_unbroken && fm__lock_held(&origin->lock) == FILEMAP_EXCLUSIVE_LOCK;
	bool follows = map->window.length == FM_WINDOW_FOLLOWS;
	if (map->reserve != 0 && alone && follows && !(map->flags & FILEMAP_SPARSE))
		map->origin->size_is_ours = true;
}

int fm__fill(struct filemap *map, const struct fm__plan *plan, const struct fm__found *found,
	     struct filemap_error *reterr)
{
	struct fm__span span;
	int r;

	r = size_together(map, plan, found, &span, reterr);
	if (r < 0)
		return r;
	r = make_name_durable(map, found, reterr);
	if (r < 0)
		return r;
	r = share_again(map, plan, reterr);
	if (r < 0)
		return r;
	fm__filemap_publish(map, &span);
	note_who_sizes(map);
	fm__memory_fill(map);
	return 0;
}
