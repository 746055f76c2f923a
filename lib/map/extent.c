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

#include "base/checked.h"
#include "base/util.h"
#include "sys/sys.h"

#define CHUNK 65536u
#define MARGIN 262144u /* what some want free beside the blocks that they give */

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

/* ftruncate(2) would cut what somebody else grew meanwhile; a block for the last byte cuts nothing. */
struct fm__call fm__extent_plan(int fd, uint64_t from, uint64_t to, uint32_t flags, bool shared)
{
	struct fm__call call = {.kind = FM_CALL_NONE, .fd = fd};

	if (to <= from)
		return call;
	call.kind = FM_CALL_ALLOCATE;
	if ((flags & FILEMAP_SPARSE) && shared) {
		from = to - 1;
	} else if (flags & FILEMAP_SPARSE) {
		call.kind = FM_CALL_TRUNCATE;
		call.length = to;
		return call;
	}
	call.offset = from;
	call.length = to - from;
	return call;
}

static int finish(const struct fm__call *call, int r)
{
	if (call->kind == FM_CALL_ALLOCATE && (r == -EOPNOTSUPP || r == -ENOSYS))
		return fm__extent_zero(call->fd, call->offset, call->offset + call->length);
	return r;
}

int fm__extent_make(const struct fm__call *call)
{
	return finish(call, fm__call_run(call));
}

/* Rings that do not know a call say so as the call itself says other things. */
static bool may_be_unmade(int answer)
{
	return answer == -EINTR || answer == -EAGAIN || answer == -ECANCELED || answer == -EINVAL;
}

int fm__extent_answer(const struct fm__call *call, int answer)
{
	return may_be_unmade(answer) ? fm__extent_make(call) : finish(call, answer);
}

int fm__extent_grow(int fd, uint64_t from, uint64_t to, uint32_t flags, bool shared)
{
	const struct fm__call call = fm__extent_plan(fd, from, to, flags, shared);
	return fm__extent_make(&call);
}

/* Whether blocks that a file gives back can be taken again at once, all of them. XFS keeps some. */
static bool returns_all(int fd)
{
	uint64_t type;
	return fm__sys_fs_type(fd, &type) == 0 &&
	       (type == FM_TYPE_EXT || type == FM_TYPE_TMPFS || type == FM_TYPE_BTRFS);
}

/* Behind the end, as much as the file has less than it will: with holes that is more than it gets longer. */
static int try_by_zeros(int fd, uint64_t old_size, uint64_t size)
{
	struct stat status;
	uint64_t has, end;

	int r = fm__sys_fstat(fd, &status);
	if (r < 0)
		return r;
	has = (uint64_t)status.st_blocks * 512;
	if (has >= size)
		return 0;
	if (!fm__add_u64(old_size, (size - has) + (size - has) / 128, &end) ||
	    !fm__add_u64(end, MARGIN, &end))
		return -EFBIG;
	r = fm__extent_zero(fd, old_size, end);
	return r == -EFBIG ? 0 : r; /* so long it need not become */
}

static int try_blocks(int fd, uint64_t size)
{
	uint64_t more;
	int r = fm__sys_fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, size);

	if (r < 0 || returns_all(fd) || !fm__add_u64(size, MARGIN, &more))
		return r;
	r = fm__sys_fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, more);
	return r == -EFBIG ? 0 : r; /* so long it need not become */
}

int fm__extent_try(int fd, uint64_t old_size, uint64_t size)
{
	int r = try_blocks(fd, size);
	if (r == -EOPNOTSUPP || r == -ENOSYS)
		r = try_by_zeros(fd, old_size, size);
	if (r < 0)
		fm__sys_ftruncate(fd, old_size); /* frees blocks that it got behind the end */
	return r;
}
