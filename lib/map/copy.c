/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * copy: bytes of a window as the content of a new file.
 *
 * Invariant: what a window shares with its file the kernel copies from the file, which is the same bytes:
 * also those that were stored and never flushed. Private pages, and whatever the kernel cannot copy, are
 * written from memory. A file that was cut behind the window's back is an error, never a shorter copy.
 */
#include <errno.h>

#include "base/error.h"
#include "base/options.h"
#include "map/kernel_copy.h"
#include "map/private.h"
#include "map/publish.h"
#include "sys/sys.h"

#define PERMISSIONS 0666

struct source {
	const struct filemap *map;
	const unsigned char *bytes;
	size_t length;
	uint64_t file_offset; /* of the first byte, if the mapping is of a file */
};

static const char *const step = "copy bytes";

static int find(const struct filemap *map, size_t offset, size_t length, struct source *ret,
		struct filemap_error *reterr)
{
	int r = fm__filemap_check_window(map);
	if (r < 0)
		return fm__fail(reterr, r, step, "mapping");
	r = fm__range_resolve(fm__view_size(map), offset, &length);
	if (r < 0) {
		fm__fail(reterr, r, step, "range");
		fm__fail_range(reterr, offset, length);
		return r;
	}
	ret->map = map;
	ret->bytes = __atomic_load_n(&map->view.data, __ATOMIC_RELAXED) + offset;
	ret->length = length;
	ret->file_offset = map->window.offset + offset;
	return 0;
}

/* Pages behind the end cannot be read, and the rest of the last one reads as zeros. */
static int check_not_cut(const struct source *source, struct filemap_error *reterr)
{
	struct stat status;
	int r;

	if (source->map->kind != FM_KIND_FILE)
		return 0;
	r = fm__sys_fstat(fm__filemap_fd(source->map), &status);
	if (r < 0)
		return fm__fail(reterr, r, step, "mapping");
	if ((uint64_t)status.st_size >= source->file_offset + source->length)
		return 0;
	fm__fail(reterr, FILEMAP_ERANGE, step, "mapping");
	fm__fail_hint(reterr, "the mapped file was cut; see filemap_refresh()");
	fm__fail_range(reterr, source->file_offset, source->length);
	return FILEMAP_ERANGE;
}

/* Behind the end of a file that was cut there is no data either. */
static int end_in_hole(const struct source *source, int fd, struct filemap_error *reterr)
{
	int r = check_not_cut(source, reterr);
	if (r < 0)
		return r;
	r = fm__sys_ftruncate(fd, source->length);
	return r < 0 ? fm__fail(reterr, r, step, "file") : 0;
}

/* As much as the kernel can do: all, or less where it cannot, or where the file ends. */
static int copy_in_kernel(const struct source *source, int fd, uint64_t *done, struct filemap_error *reterr)
{
	const struct fm__kernel_copy copy = {.from_fd = fm__filemap_fd(source->map),
					     .from = source->file_offset,
					     .length = source->length,
					     .to_fd = fd};
	int r = fm__kernel_copy(&copy, done);
	if (r < 0)
		return fm__fail(reterr, r, step, "file");
	return r == FM_COPY_ENDS_IN_HOLE ? end_in_hole(source, fd, reterr) : 0;
}

static int write_bytes(const struct source *source, int fd, uint64_t done)
{
	if (fm__filemap_is_absent(source->map))
		return -EFAULT;
	return fm__sys_pwrite(fd, source->bytes + done, source->length - (size_t)done, done);
}

static int copy_from_memory(const struct source *source, int fd, uint64_t done, struct filemap_error *reterr)
{
	int written = write_bytes(source, fd, done);
	int r;

	if (written < 0 && written != -EFAULT)
		return fm__fail(reterr, written, step, "file");
	r = check_not_cut(source, reterr);
	if (r < 0 || written >= 0)
		return r;
	fm__fail_errno(reterr, FILEMAP_EFAULT, EFAULT, step, "mapping");
	fm__fail_hint(reterr, "a page of the window cannot be read");
	return FILEMAP_EFAULT;
}

static int fill(int fd, void *context, struct filemap_error *reterr)
{
	const struct source *source = context;
	uint64_t done = 0;

	if (source->map->kind == FM_KIND_FILE && source->map->mode != FILEMAP_COW) {
		int r = copy_in_kernel(source, fd, &done, reterr);
		if (r < 0)
			return r;
	}
	return done < source->length ? copy_from_memory(source, fd, done, reterr) : 0;
}

int filemap_copy_to(const struct filemap *map, size_t offset, size_t length, const char *new_path,
		    struct filemap_error *reterr)
{
	struct source source;
	const struct fm__content content = {fill, &source};
	int r;

	if (!new_path || !*new_path)
		return fm__options_refuse(reterr, "new_path", "a name is needed");
	r = find(map, offset, length, &source, reterr);
	if (r < 0)
		return r;
	return fm__publish(AT_FDCWD, new_path, PERMISSIONS, &content, reterr);
}
