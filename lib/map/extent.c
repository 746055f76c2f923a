/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * extent: allocates blocks for a file, by fallocate or, where there is none, by writing zeros.
 *
 * Invariant: no byte before `from` is touched, so that cutting the file back undoes everything.
 */
#include "map/extent.h"

#include <errno.h>
#include <linux/falloc.h>

#include <filemap/map.h>

#include "base/util.h"
#include "sys/sys.h"

#define CHUNK 65536u

static const unsigned char zeros[CHUNK];

int fm__extent_zero(int fd, uint64_t from, uint64_t to)
{
	while (from < to) {
		size_t step = (size_t)FM_MIN(to - from, CHUNK);
		int r = fm__sys_pwrite(fd, zeros, step, from);
		if (r < 0)
			return r;
		from += step;
	}
	return 0;
}

static int grow_by_zeros(int r, int fd, uint64_t from, uint64_t to)
{
	return r == -EOPNOTSUPP || r == -ENOSYS ? fm__extent_zero(fd, from, to) : r;
}

int fm__extent_grow(int fd, uint64_t from, uint64_t to, uint32_t flags)
{
	if (to <= from)
		return 0;
	if (flags & FILEMAP_SPARSE)
		return fm__sys_ftruncate(fd, to);
	return grow_by_zeros(fm__sys_fallocate(fd, 0, from, to - from), fd, from, to);
}

int fm__extent_grow_unlimited(int fd, uint64_t from, uint64_t to)
{
	if (to <= from)
		return 0;
	return grow_by_zeros(fm__sys_allocate(fd, from, to - from), fd, from, to);
}

/* ftruncate(2) would cut what somebody else grew meanwhile; a block for the last byte cuts nothing. */
int fm__extent_grow_shared(int fd, uint64_t from, uint64_t to, uint32_t flags)
{
	if (to <= from || !(flags & FILEMAP_SPARSE))
		return fm__extent_grow(fd, from, to, flags);
	return fm__extent_grow(fd, to - 1, to, 0);
}

int fm__extent_try(int fd, uint64_t old_size, uint64_t size)
{
	int r = fm__sys_fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, size);
	if (r == -EOPNOTSUPP || r == -ENOSYS)
		return 0;
	if (r < 0)
		fm__sys_ftruncate(fd, old_size); /* frees blocks that it got behind the end */
	return r;
}
