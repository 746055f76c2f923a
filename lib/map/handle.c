/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * handle: makes, fills and releases struct filemap.
 *
 * Invariant: a view never shows a byte that is not mapped: growing stores the pointers before the sizes,
 * and poisoning the sizes before the pointers, each with release order.
 */
#include "map/private.h"

#include <errno.h>

#include "base/fork.h"
#include "sys/sys.h"

int fm__filemap_new(const char *path, const struct fm__plan *plan, struct filemap **ret)
{
	struct filemap *map = fm__zalloc(sizeof *map);
	if (!map)
		return -ENOMEM;
	map->parent_fd = -1;
	map->mode = plan->mode;
	map->flags = plan->flags;
	map->window = plan->window;
	map->reserve = plan->reserve;
	map->generation = fm__fork_generation();
	map->path = fm__strdup(path);
	map->backing = fm__backing_new(-1);
	if (!map->path || !map->backing) {
		fm__filemap_free(map);
		return -ENOMEM;
	}
	*ret = map;
	return 0;
}

/* A child never had what DONTFORK kept from it; something else may be at that address. */
static void unmap_region(struct filemap *map)
{
	bool inherited = map->generation != fm__fork_generation();
	if (map->region && !(inherited && (map->flags & FILEMAP_DONTFORK)))
		fm__sys_unmap(map->region, map->region_length);
}

/* The lock goes after the window and before the descriptor: an asynchronous flush may keep that. */
void fm__filemap_free(struct filemap *map)
{
	unmap_region(map);
	if (map->backing) {
		fm__lock_give(&map->lock, map->backing->fd);
		fm__backing_give(map->backing);
	}
	fm__sys_close(map->parent_fd);
	fm__free(map->path);
	fm__free(map);
}

void filemap_close(struct filemap *map)
{
	if (map)
		fm__filemap_free(map);
}

int fm__filemap_map(struct filemap *map, const struct fm__span *span)
{
	int prot = PROT_READ | (map->mode == FILEMAP_WRITE ? PROT_WRITE : 0);
	void *region;
	int r;

	if (map->window.length == 0)
		prot = PROT_NONE; /* an EMPTY window shows nothing, for ever */
	r = fm__sys_map(NULL, span->map_length, prot, MAP_SHARED, map->backing->fd, span->file_start,
			&region);
	if (r < 0)
		return r;
	if (map->flags & FILEMAP_DONTFORK) {
		r = fm__sys_madvise(region, span->map_length, MADV_DONTFORK);
		if (r < 0) {
			fm__sys_unmap(region, span->map_length);
			return r;
		}
	}
	map->region = region;
	map->region_length = span->map_length;
	map->file_start = span->file_start;
	return 0;
}

/* While the region stays where it is, so does the data, empty or not: sizes alone can be published. */
void fm__filemap_publish(struct filemap *map, const struct fm__span *span)
{
	unsigned char *data = map->region + (map->window.length ? span->skew : 0);
	unsigned char *data_mut = map->mode == FILEMAP_WRITE ? data : NULL;

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
	if (fm__backing_cause(map->backing) != 0)
		return FILEMAP_EPOISONED;
	return fm__filemap_check_window(map);
}

size_t fm__view_size(const struct filemap *map)
{
	return __atomic_load_n(&map->view.size, __ATOMIC_ACQUIRE);
}
