/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * snapshot_map: the bytes of a window as they are now, as a sealed memory file.
 *
 * Invariant: write(2) reads the window, so that a page that cannot be had is an error and no signal. What a cut left
 * of the last page, zeros behind the file's end, is never taken for content.
 */
#include <errno.h>

#include "base/error.h"
#include "base/options.h"
#include "map/kernel_copy.h"
#include "map/part.h"
#include "map/seal.h"
#include "sys/sys.h"

static const char *const step = "copy bytes";

/* [*done, end). The file has its size already, so no limit can be met on the way. -errno. */
static int write_bytes(const struct fm__part *part, int fd, size_t end, size_t *done)
{
	while (*done < end) {
		int64_t n = fm__sys_write(fd, part->bytes + *done, end - *done);
		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		*done += (size_t)n;
	}
	return 0;
}

/* What is a hole in the file, and in the window that shares its pages, stays one and costs no memory. */
static int write_data(const struct fm__part *part, int fd, size_t *done)
{
	const struct fm__kernel_copy source = {.from_fd = fm__filemap_fd(part->map),
					       .from = fm__part_in_file(part),
					       .length = part->length,
					       .to_fd = -1};
	uint64_t start, end = 0;
	int64_t r = 0;

	while (r >= 0 && end < part->length) {
		fm__find_data(&source, end, &start, &end);
		*done = (size_t)start;
		r = fm__sys_set_position(fd, start);
		if (r >= 0)
			r = write_bytes(part, fd, (size_t)end, done);
	}
	return r < 0 ? (int)r : 0;
}

static int write_part(const struct fm__part *part, int fd, size_t *done)
{
	if (part->map->kind == FM_KIND_FILE && part->map->mode != FILEMAP_COW)
		return write_data(part, fd, done);
	return write_bytes(part, fd, part->length, done);
}

static int copy(const struct fm__part *part, int fd, struct filemap_error *reterr)
{
	size_t done = 0;
	int written, r;

	r = fm__seal_set_size(fd, 0, part->length, reterr);
	if (r < 0)
		return r;
	written = write_part(part, fd, &done);
	if (written < 0 && written != -EFAULT)
		return fm__fail(reterr, written, step, "memory file");
	r = part->length ? fm__part_check_not_cut(part, step, reterr) : 0;
	if (r < 0)
		return r;
	return written < 0 ? fm__part_fail_fault(part, done, step, reterr) : 0;
}

static int fill(struct filemap *map, const struct fm__plan *plan, const struct fm__part *part,
		struct filemap_error *reterr)
{
	int r = fm__seal_new_file(map->origin->path, reterr);
	if (r < 0)
		return r;
	map->origin->backing->fd = r;
	r = copy(part, r, reterr);
	return r < 0 ? r : fm__seal_and_map(map, plan, part->length, reterr);
}

int filemap_snapshot_map(const struct filemap *map, size_t offset, size_t length, struct filemap **ret_map,
			 struct filemap_error *reterr)
{
	const struct fm__plan plan = {
		.kind = FM_KIND_FILE,
		.mode = FILEMAP_READ,
		.flags = FILEMAP_SHARED | (map->flags & (FILEMAP_DONTFORK | FILEMAP_DONTDUMP)),
		.window = {0, FM_WINDOW_FOLLOWS},
		.lock_kind = FILEMAP_SHARED_LOCK,
		.lock_family = FILEMAP_LOCK_NONE,
	};
	struct filemap *copied;
	struct fm__part part;
	int r;

	if (!ret_map)
		return fm__options_refuse(reterr, "ret_map", NULL);
	r = fm__part_find(map, offset, length, step, &part, reterr);
	if (r < 0)
		return r;
	if (fm__filemap_is_absent(map))
		return fm__fail(reterr, FILEMAP_EFORKED, step, "process");
	r = fm__construct(map->origin->path, &plan, &copied, reterr);
	if (r < 0)
		return r;
	r = fill(copied, &plan, &part, reterr);
	return fm__construct_end(copied, r, ret_map, reterr);
}
