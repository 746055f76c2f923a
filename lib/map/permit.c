/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * permit: what a window can do to the pages of its file now.
 *
 * Invariant: a private copy is its own affair; only FILEMAP_WRITE stores into the file. The pages of a window
 * that is gone stay mapped, as they were, until it is closed: it counts like any other.
 */
#include "map/permit.h"

bool fm__can_store(const struct filemap *map, uint64_t unused)
{
	(void)unused;
	return map->mode == FILEMAP_WRITE && map->frozen == FM_THAWED;
}

bool fm__can_execute(const struct filemap *map, uint64_t unused)
{
	(void)unused;
	return filemap_is_exec(map);
}

bool fm__lock_permits_stores(const struct fm__origin *origin)
{
	unsigned held = fm__lock_held(&origin->lock);
	if (origin->lock.family == FILEMAP_LOCK_NONE || origin->lock.family == FILEMAP_LOCK_DEFAULT)
		return true;
	return held == FILEMAP_EXCLUSIVE_LOCK ||
	       (held == FILEMAP_SHARED_LOCK && origin->sharing == FILEMAP_SHARING_COOPERATE);
}
