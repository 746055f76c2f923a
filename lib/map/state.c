/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * state: what a handle says of itself.
 *
 * Invariant: nothing here changes a handle or asks the kernel.
 */
#include "map/private.h"

const void *filemap_data(const struct filemap *map)
{
	return __atomic_load_n(&map->view.data, __ATOMIC_ACQUIRE);
}

void *filemap_data_mut(struct filemap *map)
{
	return __atomic_load_n(&map->view.data_mut, __ATOMIC_ACQUIRE);
}

size_t filemap_size(const struct filemap *map)
{
	return fm__view_size(map);
}

uint64_t filemap_offset(const struct filemap *map)
{
	return map->window.offset;
}

const char *filemap_path(const struct filemap *map)
{
	return map->origin->path;
}

int filemap_fd(const struct filemap *map)
{
	return fm__filemap_fd(map);
}

unsigned filemap_mode(const struct filemap *map)
{
	return map->mode;
}

unsigned filemap_state(const struct filemap *map)
{
	unsigned state = filemap_is_poisoned(map) ? FILEMAP_STATE_POISONED : FILEMAP_STATE_LIVE;
	if (map->frozen != FM_THAWED)
		state |= FILEMAP_STATE_FROZEN;
	if (fm__backing_cause(map->origin->backing) != 0)
		state |= FILEMAP_STATE_TAINTED;
	return state | map->origin->removal.state;
}

bool filemap_is_exec(const struct filemap *map)
{
	return map->mode == FILEMAP_EXEC || map->frozen == FM_FROZEN_EXEC;
}

bool filemap_is_cow(const struct filemap *map)
{
	return map->mode == FILEMAP_COW;
}

bool filemap_is_immutable(const struct filemap *map)
{
	if (map->mode & (FILEMAP_WRITE | FILEMAP_COW))
		return false;
	return map->kind == FM_KIND_MEMORY || map->origin->is_sealed;
}

bool filemap_is_poisoned(const struct filemap *map)
{
	return fm__filemap_check_window(map) < 0;
}

int filemap_poison_cause(const struct filemap *map)
{
	int cause = __atomic_load_n(&map->poison_cause, __ATOMIC_ACQUIRE);
	return cause ? cause : fm__backing_cause(map->origin->backing);
}

int filemap_doubt(const struct filemap *map, uint64_t *ret_offset, uint64_t *ret_length)
{
	return fm__backing_doubt(map->origin->backing, ret_offset, ret_length);
}
