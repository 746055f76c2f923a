/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * residency: counts pages in memory.
 *
 * Invariant: only those who own a file or may write it get numbers. To others mincore(2) says that everything
 * is resident, so that nobody learns from the page cache what others read.
 */
#include <errno.h>

#include "base/util.h"
#include "map/memory.h"
#include "sys/sys.h"

/* Asked for at once: the answer, a byte for each page, lies on the stack. No page is smaller. */
#define SMALLEST_PAGE ((size_t)4096)
#define STEP ((size_t)4 << 20)

static int may_know(const struct filemap *map)
{
	int fd = fm__filemap_fd(map);

	if (map->kind != FM_KIND_FILE || fm__sys_may_write(fd) == 0)
		return 0;
	int r = fm__sys_is_owner(fd);
	return r == 0 ? -EPERM : FM_MIN(r, 0);
}

/* A huge page is resident when its first small one is: they come and go together. */
static int count_step(unsigned char *at, size_t length, size_t unit, struct filemap_residency *count)
{
	unsigned char resident[STEP / SMALLEST_PAGE] = {0};
	size_t small = fm__sys_page_size();

	int r = fm__sys_mincore(at, length, resident);
	if (r < 0)
		return r;
	for (size_t i = 0; i < length; i += unit)
		count->resident += resident[i / small] & 1;
	return 0;
}

/* Of pages larger than a step only the first small one is asked for. */
static int count_mapped(unsigned char *at, size_t length, size_t unit, struct filemap_residency *count)
{
	size_t stride = FM_MAX(unit, STEP), step = unit > STEP ? fm__sys_page_size() : STEP;
	int r = 0;

	for (size_t i = 0; i < length && r == 0; i += stride)
		r = count_step(at + i, FM_MIN(length - i, step), unit, count);
	return r;
}

/* The file's pages, not the private copies of this mapping: through a mapping that has none. */
static int count_behind(const struct filemap *map, const struct fm__pages *pages,
			struct filemap_residency *count)
{
	void *at;

	int r = fm__sys_map(NULL, pages->length, PROT_READ, MAP_SHARED, fm__filemap_fd(map), pages->start,
			    &at);
	if (r < 0)
		return r;
	r = count_mapped(at, pages->length, (size_t)count->page_size, count);
	(void)fm__sys_unmap(at, pages->length);
	return r;
}

static int count_cached(const struct filemap *map, const struct fm__pages *pages,
			struct filemap_residency *count)
{
	struct fm__cache_pages cache;

	int r = fm__sys_cachestat(fm__filemap_fd(map), pages->start, pages->length, &cache);
	if (r < 0)
		return r;
	count->resident = cache.cached;
	count->dirty = cache.dirty;
	count->writeback = cache.writeback;
	return 0;
}

static int is_refused(int r)
{
	return r == -ENOSYS || r == -EPERM || r == -EOPNOTSUPP;
}

static int count_pages(const struct filemap *map, const struct fm__pages *pages,
		       struct filemap_residency *count)
{
	int r = -ENOSYS;

	if (pages->length == 0)
		return 0;
	if (map->kind == FM_KIND_FILE)
		r = count_cached(map, pages, count);
	if (!is_refused(r))
		return r;
	count->dirty = FILEMAP_UNKNOWN;
	count->writeback = FILEMAP_UNKNOWN;
	if (map->kind == FM_KIND_FILE && map->mode == FILEMAP_COW)
		return count_behind(map, pages, count);
	return count_mapped(pages->at, pages->length, (size_t)count->page_size, count);
}

int filemap_residency(const struct filemap *map, size_t offset, size_t length, struct filemap_residency *ret)
{
	struct filemap_residency count = {.page_size = 0};
	struct fm__pages pages;

	int r = fm__memory_check(map);
	if (r < 0)
		return r;
	r = fm__memory_pages(map, offset, length, &pages);
	if (r < 0)
		return r;
	r = may_know(map);
	if (r < 0)
		return r;
	count.page_size = fm__filemap_page(map);
	count.pages = pages.length / count.page_size;
	r = count_pages(map, &pages, &count);
	if (r < 0)
		return r;
	*ret = count;
	return 0;
}
