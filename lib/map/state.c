/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * state: what a handle says of itself.
 *
 * Invariant: nothing here changes a handle, and only filemap_stat() asks the kernel.
 */
#include "map/private.h"
#include "sys/sys.h"

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
	return map->path;
}

int filemap_fd(const struct filemap *map)
{
	return map->backing->fd;
}

unsigned filemap_mode(const struct filemap *map)
{
	return map->mode;
}

unsigned filemap_state(const struct filemap *map)
{
	unsigned state = filemap_is_poisoned(map) ? FILEMAP_STATE_POISONED : FILEMAP_STATE_LIVE;
	if (fm__backing_cause(map->backing) != 0)
		state |= FILEMAP_STATE_TAINTED;
	return state;
}

bool filemap_is_poisoned(const struct filemap *map)
{
	return fm__filemap_check_window(map) < 0;
}

int filemap_poison_cause(const struct filemap *map)
{
	int cause = __atomic_load_n(&map->poison_cause, __ATOMIC_ACQUIRE);
	return cause ? cause : fm__backing_cause(map->backing);
}

int filemap_doubt(const struct filemap *map, uint64_t *ret_offset, uint64_t *ret_length)
{
	return fm__backing_doubt(map->backing, ret_offset, ret_length);
}

int filemap_stat(const struct filemap *map, struct filemap_stat *ret)
{
	struct stat status;
	int r;

	r = fm__filemap_check_window(map);
	if (r < 0)
		return r;
	r = fm__sys_fstat(map->backing->fd, &status);
	if (r < 0)
		return r;
	*ret = (struct filemap_stat){
		.size = (uint64_t)status.st_size,
		.device = status.st_dev,
		.inode = status.st_ino,
		.links = status.st_nlink,
		.blocks = (uint64_t)status.st_blocks,
		.mode = status.st_mode,
		.owner = status.st_uid,
		.group = status.st_gid,
		.modified_seconds = status.st_mtim.tv_sec,
		.modified_nanoseconds = (uint32_t)status.st_mtim.tv_nsec,
	};
	return 0;
}
