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
#include "map/part.h"
#include "map/publish.h"
#include "sys/sys.h"

#define PERMISSIONS 0666

static const char *const step = "copy bytes";

/* Behind the end of a file that was cut there is no data either. */
static int end_in_hole(const struct fm__part *source, int fd, struct filemap_error *reterr)
{
	int r = fm__part_check_not_cut(source, step, reterr);
	if (r < 0)
		return r;
	r = fm__sys_ftruncate(fd, source->length);
	return r < 0 ? fm__fail(reterr, r, step, "file") : 0;
}

/* As much as the kernel can do: all, or less where it cannot, or where the file ends. */
static int copy_in_kernel(const struct fm__part *source, int fd, uint64_t *done, struct filemap_error *reterr)
{
	const struct fm__kernel_copy copy = {.from_fd = fm__filemap_fd(source->map),
					     .from = fm__part_in_file(source),
					     .length = source->length,
					     .to_fd = fd};
	int r = fm__kernel_copy(&copy, done);
	if (r < 0)
		return fm__fail(reterr, r, step, "file");
	return r == FM_COPY_ENDS_IN_HOLE ? end_in_hole(source, fd, reterr) : 0;
}

static int write_bytes(const struct fm__part *source, int fd, uint64_t done)
{
	if (fm__filemap_is_absent(source->map))
		return -EFAULT;
	return fm__sys_pwrite(fd, source->bytes + done, source->length - (size_t)done, done);
}

static int copy_from_memory(const struct fm__part *source, int fd, uint64_t done,
			    struct filemap_error *reterr)
{
	int written = write_bytes(source, fd, done);
	int r;

	if (written < 0 && written != -EFAULT)
		return fm__fail(reterr, written, step, "file");
	r = fm__part_check_not_cut(source, step, reterr);
	if (r < 0 || written >= 0)
		return r;
	return fm__part_fail_fault(source, (size_t)done, step, reterr);
}

static int fill(int fd, void *context, struct filemap_error *reterr)
{
	const struct fm__part *source = context;
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
	struct fm__part source;
	const struct fm__content content = {fill, &source};
	int r;

	if (!new_path || !*new_path)
		return fm__options_refuse(reterr, "new_path", "a name is needed");
	r = fm__part_find(map, offset, length, step, &source, reterr);
	if (r < 0)
		return r;
	return fm__publish(AT_FDCWD, new_path, PERMISSIONS, &content, reterr);
}
