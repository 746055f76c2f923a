/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * blocks: a segment that is to be appended to has blocks of its own for all that is left of it.
 *
 * Invariant: no byte changes. A segment that was prepared here has them anyhow; one that was copied may have holes
 * where it had zeros (tar -S, rsync -S, cp --sparse), or share its blocks with the original (cp --reflink): a
 * store would then need room that a full disk has not.
 */
#include <errno.h>
#include <linux/falloc.h>

#include "base/error.h"
#include "base/util.h"
#include "log/block.h"
#include "log/dir.h"
#include "sys/sys.h"

static bool is_missing(int r)
{
	return r == -EOPNOTSUPP || r == -ENOSYS;
}

static int write_zeros(int fd, uint64_t from, uint64_t to)
{
	static const uint8_t zeros[FM_LOG_BLOCK];

	while (from < to) {
		size_t length = (size_t)FM_MIN(to - from, (uint64_t)sizeof zeros);
		int r = fm__sys_pwrite(fd, zeros, length, from);

		if (r < 0)
			return r;
		from += length;
	}
	return 0;
}

/* Where there is no fallocate(2); nobody else writes, the log is locked and not open yet. */
static int fill_holes(int fd, uint64_t from, uint64_t to)
{
	while (from < to) {
		int64_t hole = fm__sys_seek_hole(fd, from), data;
		int r;

		if (hole < 0 || (uint64_t)hole >= to)
			return hole < 0 ? (int)hole : 0;
		data = fm__sys_seek_data(fd, (uint64_t)hole);
		if (data < 0 && data != -ENXIO)
			return (int)data;
		from = data < 0 ? to : FM_MIN((uint64_t)data, to);
		r = write_zeros(fd, (uint64_t)hole, from);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The same bytes again: what is shared, or a hole, gets blocks or an error, and what is the file's own stays. */
static int write_again(int fd, uint64_t from, uint64_t to)
{
	uint8_t block[FM_LOG_BLOCK];

	for (; from < to; from += sizeof block) {
		int64_t got = fm__sys_pread(fd, block, sizeof block, from);
		int r;

		if (got != (int64_t)sizeof block)
			return got < 0 ? (int)got : -EIO;
		r = fm__sys_pwrite(fd, block, sizeof block, from);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Only where blocks can be shared do they know of parting them; and there (XFS) it wants room also for nothing. */
static int own(int fd, uint64_t from, uint64_t to)
{
	int r = fm__sys_fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_UNSHARE_RANGE, from, to - from);

	if (r == -ENOSPC || r == -EDQUOT)
		return write_again(fd, from, to);
	if (is_missing(r))
		r = fm__sys_fallocate(fd, FALLOC_FL_KEEP_SIZE, from, to - from);
	return is_missing(r) ? fill_holes(fd, from, to) : r;
}

int fm__log_segment_own(int fd, const struct fm__log_geometry *g, uint64_t n, uint64_t tail,
			struct filemap_error *reterr)
{
	const uint64_t start = fm__log_start(g, n);
	char name[FM_LOG_NAME_SIZE];
	uint64_t from = 0;
	int r;

	if (tail > start)
		from = (tail - start) & ~(uint64_t)(FM_LOG_BLOCK - 1);
	r = own(fd, from, g->segment_size);
	if (r >= 0)
		return 0;
	fm__log_segment_name(n, "seg", name);
	fm__fail(reterr, r, "allocate blocks", "segment");
	fm__fail_hint(reterr, "a copied log needs blocks of its own for what is appended");
	fm__fail_detail(reterr, name);
	fm__fail_range(reterr, start, 0);
	return r;
}
