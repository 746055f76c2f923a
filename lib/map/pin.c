/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * pin: who still uses a mapping, and its end.
 *
 * Invariant: `uses` counts the handle and each pin; whoever takes it to 0 is the last that knows the mapping,
 * and releases it.
 */
#include "map/private.h"

void fm__map_hold(const struct filemap *map)
{
	struct filemap *counted =
		(struct filemap *)(uintptr_t)map; /* the count is no part of what it shows */
	__atomic_add_fetch(&counted->uses, 1, __ATOMIC_RELAXED);
}

static void give_up(struct filemap *map)
{
	if (__atomic_sub_fetch(&map->uses, 1, __ATOMIC_ACQ_REL) == 0)
		fm__filemap_free(map);
}

void filemap_close(struct filemap *map)
{
	if (!map)
		return;
	__atomic_store_n(&map->is_closed, true, __ATOMIC_RELAXED);
	give_up(map);
}

int filemap_try_close(struct filemap *map)
{
	if (!map)
		return 0;
	if (fm__filemap_is_pinned(map) || fm__backing_is_shared(map->origin->backing))
		return FILEMAP_EBUSY;
	give_up(map);
	return 0;
}

int filemap_pin(const struct filemap *map)
{
	int r = fm__filemap_check_window(map);
	if (r < 0)
		return r;
	fm__map_hold(map);
	return 0;
}

void filemap_unpin(const struct filemap *map)
{
	if (map)
		give_up((struct filemap *)(uintptr_t)map);
}
