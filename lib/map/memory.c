/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * memory: finds the pages of a range, and does to them what the options of opening ask for.
 *
 * Invariant: what the system may refuse is asked before the file is changed; after publishing nothing fails
 * the opening any more.
 */
#include <errno.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/util.h"
#include "map/memory.h"
#include "map/touch.h"
#include "sys/sys.h"

#define POPULATE_STEP ((size_t)4 << 20) /* an unreadable page costs the rest of its step only */

int fm__memory_check(const struct filemap *map)
{
	int r = fm__filemap_check_window(map);
	if (r < 0)
		return r;
	if (map->kind == FM_KIND_BORROWED)
		return FILEMAP_EMODE;
	return fm__filemap_is_absent(map) ? FILEMAP_EFORKED : 0;
}

/* [offset, offset + length) lies within the window. */
static struct fm__pages find_pages(const struct filemap *map, size_t offset, size_t length)
{
	struct fm__pages pages;
	uint64_t cover;

	fm__range_cover(map->window.offset + offset, length, fm__filemap_page(map), &pages.start, &cover);
	pages.at = map->region + (size_t)(pages.start - map->file_start);
	pages.length = (size_t)cover;
	return pages;
}

int fm__memory_pages(const struct filemap *map, size_t offset, size_t length, struct fm__pages *ret)
{
	int r = fm__range_resolve(fm__view_size(map), offset, &length);
	if (r < 0)
		return r;
	*ret = find_pages(map, offset, length);
	return 0;
}

static int advise_region(const struct filemap *map, uint32_t advice, struct filemap_error *reterr)
{
	int r = fm__memory_advise(map->region, map->region_length, advice);
	if (r < 0)
		return fm__fail(reterr, r, "advise", "advice");
	return 0;
}

static int exclude(const struct filemap *map, uint32_t flag, int advice, const char *subject,
		   struct filemap_error *reterr)
{
	if (!(map->flags & flag))
		return 0;
	int r = fm__sys_madvise(map->region, map->region_length, advice);
	return r < 0 ? fm__fail(reterr, r, "advise", subject) : 0;
}

/* mlock(2) itself stores to what it locks: of a COW window that would make private copies of every page. */
int fm__memory_lock(const struct filemap *map, void *at, size_t length, bool on_fault)
{
	bool copies = map->mode == FILEMAP_COW && map->kind == FM_KIND_FILE;
	int r = fm__sys_mlock(at, length, on_fault || copies);
	if (r < 0 || on_fault || !copies)
		return r;
	r = fm__touch(at, length, fm__filemap_page(map), false);
	return r == FILEMAP_EFAULT ? -ENOMEM : r;
}

/*
 * Only from a reserve the rest is left out, which may be far larger than the limit. Otherwise the whole region
 * is one piece, which the kernel can move and which hands its lock on to what it grows by.
 */
static int lock_window(const struct filemap *map, uint64_t window_bytes, bool on_fault)
{
	struct fm__pages pages = {.at = map->region, .length = map->region_length};

	if (map->window.length == 0)
		return 0;
	if (map->reserve != 0)
		pages = find_pages(map, 0, (size_t)window_bytes);
	return pages.length ? fm__memory_lock(map, pages.at, pages.length, on_fault) : 0;
}

int fm__memory_prepare(struct filemap *map, const struct fm__plan *plan, uint64_t window_bytes,
		       struct filemap_error *reterr)
{
	int r;

	if (plan->advice == 0 && !(map->flags & (FILEMAP_DONTFORK | FILEMAP_DONTDUMP | FILEMAP_MLOCK)))
		return 0;
	r = exclude(map, FILEMAP_DONTFORK, MADV_DONTFORK, "FILEMAP_DONTFORK", reterr);
	if (r < 0)
		return r;
	r = exclude(map, FILEMAP_DONTDUMP, MADV_DONTDUMP, "FILEMAP_DONTDUMP", reterr);
	if (r < 0)
		return r;
	r = advise_region(map, plan->advice, reterr);
	if (r < 0 || !(map->flags & FILEMAP_MLOCK))
		return r;
	r = lock_window(map, window_bytes, true);
	return r < 0 ? fm__fail(reterr, r, "lock in memory", "FILEMAP_MLOCK") : 0;
}

/* Private memory is there only once it was stored to; a private copy of a file's page would be a loss. */
static void populate(const struct filemap *map)
{
	struct fm__pages pages = find_pages(map, 0, fm__view_size(map));
	bool stores = map->kind == FM_KIND_MEMORY && fm__filemap_is_writable(map);
	size_t page = fm__filemap_page(map), step = FM_MAX(POPULATE_STEP, page);

	for (size_t done = 0; done < pages.length; done += step)
		(void)fm__touch(pages.at + done, FM_MIN(pages.length - done, step), page, stores);
}

/* The lock holds, also when not every page could be had: of an empty file none can. */
void fm__memory_fill(struct filemap *map)
{
	if (map->flags & FILEMAP_POPULATE)
		populate(map);
	if (map->flags & FILEMAP_MLOCK)
		(void)lock_window(map, fm__view_size(map), false);
}
