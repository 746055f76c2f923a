/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* stat: what the kernel knows of the file behind a mapping, by its descriptor: names may lie. */
#include "map/stat.h"
#include "map/private.h"
#include "sys/sys.h"

static struct filemap_time to_time(const struct statx_timestamp *time)
{
	return (struct filemap_time){.seconds = time->tv_sec, .nanoseconds = time->tv_nsec};
}

/* As st_dev has it. */
static uint64_t to_device(uint32_t major, uint32_t minor)
{
	uint64_t low = (uint64_t)(major & 0xfff) << 8 | (minor & 0xff);

	return (uint64_t)(major & ~0xfffu) << 32 | (uint64_t)(minor & ~0xffu) << 12 | low;
}

static void from_statx(const struct statx *file, struct filemap_stat *ret)
{
	*ret = (struct filemap_stat){
		.size = file->stx_size,
		.device = to_device(file->stx_dev_major, file->stx_dev_minor),
		.inode = file->stx_ino,
		.links = file->stx_nlink,
		.blocks = file->stx_blocks,
		.special_device = to_device(file->stx_rdev_major, file->stx_rdev_minor),
		.mode = file->stx_mode,
		.owner = file->stx_uid,
		.group = file->stx_gid,
		.block_size = file->stx_blksize,
		.accessed = to_time(&file->stx_atime),
		.modified = to_time(&file->stx_mtime),
		.changed = to_time(&file->stx_ctime),
	};
	if (file->stx_mask & STATX_BTIME)
		ret->created = to_time(&file->stx_btime);
}

int fm__stat_fd(int fd, struct filemap_stat *ret)
{
	struct statx file;

	int r = fm__sys_statx(fd, &file);
	if (r < 0)
		return r;
	from_statx(&file, ret);
	return 0;
}

int filemap_stat(const struct filemap *map, struct filemap_stat *ret)
{
	if (map->kind == FM_KIND_FILE)
		return fm__stat_fd(fm__filemap_fd(map), ret);
	*ret = (struct filemap_stat){
		.size = fm__view_size(map),
		.accessed = map->made,
		.modified = map->made,
		.changed = map->made,
		.created = map->made,
	};
	return 0;
}
