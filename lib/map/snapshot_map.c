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
#include "map/seal.h"
#include "sys/sys.h"

struct part {
	const struct filemap *map;
	const unsigned char *bytes;
	size_t offset, length; /* from the window's start */
};

static const char *const step = "copy bytes";

static int find(const struct filemap *map, size_t offset, size_t length, struct part *ret,
		struct filemap_error *reterr)
{
	int r = fm__filemap_check_window(map);
	if (r < 0)
		return fm__fail(reterr, r, step, "mapping");
	if (fm__filemap_is_absent(map))
		return fm__fail(reterr, FILEMAP_EFORKED, step, "process");
	r = fm__range_resolve(fm__view_size(map), offset, &length);
	if (r < 0) {
		fm__fail(reterr, r, step, "range");
		fm__fail_range(reterr, offset, length);
		return r;
	}
	ret->bytes = __atomic_load_n(&map->view.data, __ATOMIC_RELAXED) + offset;
	ret->offset = offset;
	ret->length = length;
	return 0;
}

static int check_not_cut(const struct part *part, struct filemap_error *reterr)
{
	uint64_t start = part->map->window.offset + part->offset;
	struct stat status;
	int r;

	if (part->map->kind != FM_KIND_FILE || part->length == 0)
		return 0;
	r = fm__sys_fstat(fm__filemap_fd(part->map), &status);
	if (r < 0)
		return fm__fail(reterr, r, step, "mapping");
	if ((uint64_t)status.st_size >= start + part->length)
		return 0;
	fm__fail(reterr, FILEMAP_ERANGE, step, "mapping");
	fm__fail_hint(reterr, "the mapped file was cut; see filemap_refresh()");
	fm__fail_range(reterr, part->offset, part->length);
	return FILEMAP_ERANGE;
}

static int fail_fault(const struct part *part, size_t done, struct filemap_error *reterr)
{
	fm__fail_errno(reterr, FILEMAP_EFAULT, EFAULT, step, "mapping");
	fm__fail_hint(reterr, "a page of the window cannot be read");
	fm__fail_range(reterr, part->offset + done, part->length - done);
	return FILEMAP_EFAULT;
}

/* The file has its size already, so no limit can be met on the way. -errno. */
static int write_bytes(const struct part *part, int fd, size_t *done)
{
	while (*done < part->length) {
		int64_t n = fm__sys_write(fd, part->bytes + *done, part->length - *done);
		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		*done += (size_t)n;
	}
	return 0;
}

static int copy(const struct part *part, int fd, struct filemap_error *reterr)
{
	size_t done = 0;
	int written, r;

	r = fm__seal_set_size(fd, 0, part->length, reterr);
	if (r < 0)
		return r;
	written = write_bytes(part, fd, &done);
	if (written < 0 && written != -EFAULT)
		return fm__fail(reterr, written, step, "memory file");
	r = check_not_cut(part, reterr);
	if (r < 0)
		return r;
	return written < 0 ? fail_fault(part, done, reterr) : 0;
}

static int fill(struct filemap *map, const struct fm__plan *plan, const struct part *part,
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
	struct part part = {.map = map};
	int r;

	if (!ret_map)
		return fm__options_refuse(reterr, "ret_map", NULL);
	r = find(map, offset, length, &part, reterr);
	if (r < 0)
		return r;
	r = fm__construct(map->origin->path, &plan, &copied, reterr);
	if (r < 0)
		return r;
	r = fill(copied, &plan, &part, reterr);
	return fm__construct_end(copied, r, ret_map, reterr);
}
