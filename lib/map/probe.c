/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * probe: asks whether a range can be read, and where it cannot.
 *
 * Invariant: no byte of the range is loaded by this program: a page that cannot be had is a result, never a signal.
 * Borrowed bytes may lie anywhere, so nothing is asked of their pages but to be read.
 */
#include <errno.h>

#include <filemap/guard.h>

#include "base/util.h"
#include "fault/guard.h"
#include "map/fault.h"
#include "map/memory.h"
#include "map/touch.h"
#include "sys/sys.h"

struct target {
	struct fm__pages pages;
	size_t page;
	size_t skew; /* from the first page's start to the range's */
};

static struct fm__pages borrowed_pages(const struct filemap *map, size_t offset, size_t length, size_t page)
{
	uintptr_t at = (uintptr_t)filemap_data(map) + offset;
	struct fm__pages pages = {.at = (unsigned char *)(at & ~(uintptr_t)(page - 1))};
	uint64_t start, cover;

	fm__range_cover(at, length, page, &start, &cover);
	pages.length = (size_t)cover;
	return pages;
}

static int find(const struct filemap *map, size_t offset, size_t length, struct target *ret)
{
	int r = fm__filemap_check_window(map);
	if (r < 0)
		return r;
	if (fm__filemap_is_absent(map))
		return FILEMAP_EFORKED;
	r = fm__range_resolve(fm__view_size(map), offset, &length);
	if (r < 0)
		return r;
	ret->page = fm__filemap_page(map);
	if (map->kind == FM_KIND_BORROWED)
		ret->pages = borrowed_pages(map, offset, length, ret->page);
	else
		(void)fm__memory_pages(map, offset, length, &ret->pages);
	ret->skew = (size_t)((const unsigned char *)filemap_data(map) + offset - ret->pages.at);
	return 0;
}

static int look(const struct filemap *map, const struct target *target, size_t *ret_good)
{
	const struct fm__pages *pages = &target->pages;

	if (pages->length == 0)
		return 0;
	if (map->kind == FM_KIND_BORROWED)
		return fm__own_peek(pages->at, pages->length, target->page, ret_good);
	return fm__touch_until(pages->at, pages->length, target->page, ret_good);
}

int filemap_probe(const struct filemap *map, size_t offset, size_t length)
{
	struct target target;
	size_t good;
	int r;

	r = find(map, offset, length, &target);
	if (r < 0 || target.pages.length == 0)
		return r;
	if (map->kind == FM_KIND_BORROWED)
		return look(map, &target, &good);
	r = fm__touch(target.pages.at, target.pages.length, target.page, false);
	return r == -EHWPOISON ? FILEMAP_EFAULT : r;
}

int filemap_find_fault(const struct filemap *map, size_t offset, size_t length,
		       struct filemap_fault *ret_fault)
{
	struct target target;
	size_t good = 0;
	int r;

	r = find(map, offset, length, &target);
	if (r < 0)
		return r;
	r = look(map, &target, &good);
	if (r != FILEMAP_EFAULT && r != -EHWPOISON)
		return r;
	fm__fault_describe(map, offset + (FM_MAX(good, target.skew) - target.skew), 0, false, ret_fault);
	if (r == -EHWPOISON && ret_fault)
		ret_fault->cause = FILEMAP_FAULT_HWPOISON;
	return FILEMAP_EFAULT;
}
