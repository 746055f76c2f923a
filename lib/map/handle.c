/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * handle: makes, fills and releases struct filemap.
 *
 * Invariant: a view never shows a byte that is not mapped: growing stores the pointers before the sizes,
 * and poisoning the sizes before the pointers, each with release order.
 */
#include <errno.h>

#include "base/fork.h"
#include "map/private.h"
#include "sys/sys.h"

#define HUGE_2M_LOG2 21
#define HUGE_1G_LOG2 30
#define HUGE_SHIFT 26 /* MAP_HUGE_SHIFT: where mmap(2) wants the size of huge pages */

int fm__filemap_new(struct fm__origin *origin, const struct fm__plan *plan, struct filemap **ret)
{
	struct filemap *map = fm__origin_room(origin);
	if (!map)
		return -ENOMEM;
	map->kind = plan->kind;
	map->mode = plan->mode;
	map->flags = plan->flags;
	map->window = plan->window;
	map->reserve = plan->reserve;
	map->uses = 1;
	fm__origin_join(origin, map);
	*ret = map;
	return 0;
}

bool fm__filemap_is_absent(const struct filemap *map)
{
	return (map->flags & FILEMAP_DONTFORK) && fm__origin_is_inherited(map->origin);
}

static void unmap_region(struct filemap *map)
{
	if (map->region && !fm__filemap_is_absent(map))
		fm__sys_unmap(map->region, map->region_length);
}

void fm__filemap_free(struct filemap *map)
{
	unmap_region(map);
	fm__origin_leave(map);
}

static unsigned huge_log2(const struct filemap *map)
{
	if (map->flags & FILEMAP_HUGE_2M)
		return HUGE_2M_LOG2;
	return map->flags & FILEMAP_HUGE_1G ? HUGE_1G_LOG2 : 0;
}

size_t fm__filemap_page(const struct filemap *map)
{
	unsigned huge = huge_log2(map);
	return huge ? (size_t)1 << huge : fm__sys_page_size();
}

int fm__filemap_prot(const struct filemap *map)
{
	bool exec = map->frozen == FM_FROZEN_EXEC || map->mode == FILEMAP_EXEC;
	if (map->window.length == 0)
		return PROT_NONE; /* an EMPTY window shows nothing, for ever */
	if (fm__filemap_is_writable(map))
		return PROT_READ | PROT_WRITE;
	return PROT_READ | (exec ? PROT_EXEC : 0);
}

static int memory_flags(const struct filemap *map)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	if (map->flags & FILEMAP_STACK)
		flags |= MAP_STACK;
	if (huge_log2(map))
		flags |= MAP_HUGETLB | (int)(huge_log2(map) << HUGE_SHIFT);
	return flags;
}

/* Address space that is only reserved is not asked of the swap space. Of the pool of huge pages it is: there is
 * nothing else behind them, and a page that is missing later would be a signal. */
int fm__filemap_map_flags(const struct filemap *map)
{
	bool memory = map->kind == FM_KIND_MEMORY;
	int flags = memory ? memory_flags(map) : map->mode == FILEMAP_COW ? MAP_PRIVATE : MAP_SHARED;
	if ((map->flags & FILEMAP_NORESERVE) || (memory && map->reserve != 0 && !huge_log2(map)))
		flags |= MAP_NORESERVE;
	return flags;
}

int fm__filemap_map(struct filemap *map, const struct fm__span *span)
{
	void *region;
	int r = fm__sys_map(NULL, span->map_length, fm__filemap_prot(map), fm__filemap_map_flags(map),
			    fm__filemap_fd(map), span->file_start, &region);
	if (r < 0)
		return r;
	map->region = region;
	map->region_length = span->map_length;
	map->file_start = span->file_start;
	return 0;
}

/* While the region stays where it is, so does the data, empty or not: sizes alone can be published. */
void fm__filemap_publish(struct filemap *map, const struct fm__span *span)
{
	unsigned char *data = map->region + (map->window.length ? span->skew : 0);
	unsigned char *data_mut = fm__filemap_is_writable(map) ? data : NULL;

	__atomic_store_n(&map->view.data, data, __ATOMIC_RELAXED);
	__atomic_store_n(&map->view.data_mut, data_mut, __ATOMIC_RELAXED);
	__atomic_store_n(&map->view.size_mut, data_mut ? span->size : 0, __ATOMIC_RELEASE);
	__atomic_store_n(&map->view.size, span->size, __ATOMIC_RELEASE);
}

void fm__filemap_poison(struct filemap *map, int cause)
{
	__atomic_store_n(&map->poison_cause, cause, __ATOMIC_RELEASE);
	__atomic_store_n(&map->view.size_mut, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&map->view.size, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&map->view.data_mut, NULL, __ATOMIC_RELEASE);
	__atomic_store_n(&map->view.data, NULL, __ATOMIC_RELEASE);
}

int fm__filemap_check_window(const struct filemap *map)
{
	return __atomic_load_n(&map->poison_cause, __ATOMIC_ACQUIRE) ? FILEMAP_EPOISONED : 0;
}

int fm__filemap_check_durable(const struct filemap *map)
{
	if (fm__backing_cause(map->origin->backing) != 0)
		return FILEMAP_EPOISONED;
	return fm__filemap_check_window(map);
}

bool fm__filemap_is_writable(const struct filemap *map)
{
	return map->frozen == FM_THAWED && (map->mode & (FILEMAP_WRITE | FILEMAP_COW));
}

bool fm__filemap_has_device(const struct filemap *map)
{
	return map->kind == FM_KIND_FILE && map->mode != FILEMAP_COW && !(map->flags & FILEMAP_SHARED);
}

bool fm__filemap_is_pinned(const struct filemap *map)
{
	return __atomic_load_n(&map->uses, __ATOMIC_ACQUIRE) > 1 + map->own_pins;
}

size_t fm__view_size(const struct filemap *map)
{
	return __atomic_load_n(&map->view.size, __ATOMIC_ACQUIRE);
}
