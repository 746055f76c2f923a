/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * flush: from dirty pages to the device, here and for the queue.
 *
 * Invariant: a failure is recorded before it is returned, and once it is recorded nobody is told that a
 * flush of this mapping succeeded: the kernel marks pages clean when writing them failed, so that the
 * next flush of the same bytes would say yes and lie.
 */
#include "base/fork.h"
#include "base/util.h"
#include "map/private.h"
#include "sys/sys.h"

/* A range of the window as whole pages of the file; length 0 if there is nothing to do. */
static int find(const struct filemap *map, size_t offset, size_t length, uint64_t *ret_offset,
		uint64_t *ret_length)
{
	int r = fm__range_resolve(fm__view_size(map), offset, &length);
	if (r < 0)
		return r;
	if (!fm__filemap_has_device(map))
		length = 0;
	fm__range_cover(map->window.offset + offset, length, fm__sys_page_size(), ret_offset, ret_length);
	return 0;
}

static int cover(const struct filemap *map, size_t offset, size_t length, uint64_t *ret_offset,
		 uint64_t *ret_length)
{
	int r = fm__filemap_check_durable(map);
	return r < 0 ? r : find(map, offset, length, ret_offset, ret_length);
}

/* The kernel does not say which pages it could not write. They may lie outside the range of the flush that is told:
 * what it wrote on its own, and failed with, is told to the next flush of any page. So it is the whole file. */
static void taint(struct fm__backing *backing, int cause, uint64_t least)
{
	struct stat status;
	uint64_t start, end = FM_FILE_MAX;

	if (fm__sys_fstat(backing->fd, &status) == 0)
		end = FM_MAX(least, (uint64_t)status.st_size);
	fm__range_cover(0, FM_MAX(end, 1), fm__sys_page_size(), &start, &end);
	fm__backing_taint(backing, cause, start, end);
}

/* What the caller of a flush up to `end` is told; records the failure. */
static int settle(struct fm__backing *backing, int result, uint64_t end)
{
	if (fm__flush_is_failure(result))
		taint(backing, result, end);
	if (result < 0)
		return result;
	return fm__backing_cause(backing) ? FILEMAP_EPOISONED : 0;
}

int filemap_flush(struct filemap *map)
{
	return filemap_flush_range(map, 0, FILEMAP_TO_END);
}

/* Through the pages, or through the descriptor where this process has none. */
static int write_pages(const struct filemap *map, uint64_t start, uint64_t bytes)
{
	if (fm__filemap_is_absent(map))
		return fm__sys_flush_range(fm__filemap_fd(map), start, bytes, NULL);
	return fm__sys_msync(map->region + (size_t)(start - map->file_start), (size_t)bytes);
}

int filemap_flush_range(struct filemap *map, size_t offset, size_t length)
{
	uint64_t start, bytes;
	int r;

	r = cover(map, offset, length, &start, &bytes);
	if (r < 0 || bytes == 0)
		return r;
	r = write_pages(map, start, bytes);
	return settle(map->origin->backing, r, start + bytes);
}

int filemap_sync(struct filemap *map)
{
	int r = fm__filemap_check_durable(map);
	if (r < 0 || !fm__filemap_has_device(map))
		return r;
	r = fm__sys_fsync(fm__filemap_fd(map)); /* writes the pages of all windows, too */
	return settle(map->origin->backing, r, map->window.offset + fm__view_size(map));
}

int filemap_writeback(struct filemap *map, size_t offset, size_t length)
{
	uint64_t start, bytes;
	int r;

	r = fm__filemap_check_window(map);
	if (r < 0)
		return r;
	r = find(map, offset, length, &start, &bytes);
	if (r < 0 || bytes == 0)
		return r;
	return fm__sys_writeback_range(fm__filemap_fd(map), start, bytes);
}

/* The backing that a request holds on to; without one there is nothing to do. */
static void take(const struct filemap *map, struct fm__flush *flush)
{
	struct fm__backing *backing = map->origin->backing;

	fm__backing_take(backing);
	flush->backing = backing;
	flush->fd = backing->fd;
	flush->windows = &backing->windows;
	flush->generation = fm__fork_generation();
	flush->is_memory = fm__backing_is_memory(backing);
}

static bool is_inherited(const struct fm__flush *flush)
{
	return flush->generation != fm__fork_generation();
}

int fm__map_flush_begin(struct filemap *map, size_t offset, size_t length, struct fm__flush *ret)
{
	struct fm__flush flush = {.fd = -1};
	int r = cover(map, offset, length, &flush.offset, &flush.length);
	if (r < 0)
		return r;
	if (flush.length != 0)
		take(map, &flush);
	*ret = flush;
	return 0;
}

/* All windows' pages; as far as this one ends is what is in doubt if it fails, at least. */
int fm__map_sync_begin(struct filemap *map, struct fm__flush *ret)
{
	struct fm__flush flush = {.fd = -1};
	int r = fm__filemap_check_durable(map);
	if (r < 0)
		return r;
	if (fm__filemap_has_device(map)) {
		flush.length = map->window.offset + fm__view_size(map);
		take(map, &flush);
	}
	*ret = flush;
	return 0;
}

int fm__map_writeback_begin(struct filemap *map, size_t offset, size_t length, struct fm__flush *ret)
{
	struct fm__flush flush = {.fd = -1};
	int r = fm__filemap_check_window(map);
	if (r < 0)
		return r;
	r = find(map, offset, length, &flush.offset, &flush.length);
	if (r < 0)
		return r;
	if (flush.length != 0)
		take(map, &flush);
	*ret = flush;
	return 0;
}

/* No range: what a failure leaves in doubt is the whole file. */
void fm__map_flush_resume(const struct filemap *map, struct fm__flush *ret)
{
	*ret = (struct fm__flush){.fd = -1};
	if (fm__filemap_has_device(map))
		take(map, ret);
}

void fm__map_flush_note(const struct fm__flush *flush, int result)
{
	if (flush->backing && !is_inherited(flush) && fm__flush_is_failure(result))
		taint(flush->backing, result, flush->offset + flush->length);
}

/* The parent's request: its reference is not counted here. */
static int forget(struct fm__flush *flush)
{
	flush->backing = NULL;
	return FILEMAP_EFORKED;
}

static void give(struct fm__flush *flush)
{
	fm__backing_give(flush->backing);
	flush->backing = NULL;
}

int fm__map_flush_end(struct fm__flush *flush, int result)
{
	int r;

	if (!flush->backing)
		return result < 0 ? result : 0;
	if (is_inherited(flush))
		return forget(flush);
	r = settle(flush->backing, result, flush->offset + flush->length);
	give(flush);
	return r;
}

int fm__map_writeback_end(struct fm__flush *flush, int result)
{
	if (flush->backing && is_inherited(flush))
		return forget(flush);
	if (flush->backing)
		give(flush);
	return result < 0 ? result : 0;
}
