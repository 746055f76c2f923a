/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * guarded: copies in and out of a window that faults end with an error.
 *
 * Invariant: below the offset that is reported every byte was copied; with CHECK_END every one was in the file, too.
 */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "fault/guard.h"
#include "map/fault.h"
#include "sys/sys.h"

#define ATTEMPTS 64

/* One access: `buffer` is read if it stores, and written if it loads. */
struct copy {
	const struct filemap *map;
	unsigned char *mapped;
	unsigned char *buffer;
	size_t offset, length; /* of the window */
	bool stores;
};

static int check(const struct filemap *map, size_t offset, size_t length, unsigned flags)
{
	size_t whole = length;
	int r;

	if (flags & ~FILEMAP_GUARD_CHECK_END)
		return FILEMAP_EOPTION;
	r = fm__filemap_check_window(map);
	if (r < 0)
		return r;
	if (fm__filemap_is_absent(map))
		return FILEMAP_EFORKED;
	if (length == FILEMAP_TO_END)
		return FILEMAP_ERANGE;
	return fm__range_resolve(fm__view_size(map), offset, &whole);
}

/* The first `length` bytes of it. Nobody can take away what is immutable, so that needs no help of anybody. */
static int copy_some(const struct copy *copy, size_t length, struct fm__hit *hit)
{
	size_t page = fm__filemap_page(copy->map);

	if (copy->stores)
		return fm__guard_write(copy->mapped, copy->buffer, length, page, hit);
	if (fm__guard_is_active() || !filemap_is_immutable(copy->map))
		return fm__guard_read(copy->buffer, copy->mapped, length, page, hit);
	memcpy(copy->buffer, copy->mapped, length);
	return 0;
}

static int copy_all(const struct copy *copy, struct filemap_fault *ret_fault)
{
	struct fm__hit hit;
	int r = copy_some(copy, copy->length, &hit);
	if (r == FILEMAP_EFAULT)
		fm__fault_describe(copy->map, copy->offset + hit.done, hit.code, copy->stores, ret_fault);
	return r;
}

/* How many bytes of the access lie within the file. */
static size_t within(const struct copy *copy, const struct stat *status)
{
	uint64_t size = (uint64_t)status->st_size, start = copy->map->window.offset + copy->offset;
	return size <= start ? 0 : (size_t)FM_MIN(size - start, copy->length);
}

static int past_end(const struct copy *copy, size_t done, struct filemap_fault *ret_fault)
{
	fm__fault_past_end(copy->offset + done, ret_fault);
	return FILEMAP_EFAULT;
}

static bool is_same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_unchanged(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && is_same_time(&a->st_mtim, &b->st_mtim) &&
	       is_same_time(&a->st_ctim, &b->st_ctim);
}

/* -EAGAIN: the file was changed meanwhile, so that it may have been shorter for a moment. */
static int try_read(const struct copy *copy, struct filemap_fault *ret_fault)
{
	struct stat before, after;
	struct fm__hit hit;
	size_t length;
	int copied, r;

	r = fm__sys_fstat(fm__filemap_fd(copy->map), &before);
	if (r < 0)
		return r;
	length = within(copy, &before);
	copied = copy_some(copy, length, &hit);
	r = fm__sys_fstat(fm__filemap_fd(copy->map), &after);
	if (r < 0)
		return r;
	if (!is_unchanged(&before, &after))
		return -EAGAIN;
	if (copied == FILEMAP_EFAULT)
		fm__fault_describe(copy->map, copy->offset + hit.done, hit.code, false, ret_fault);
	if (copied < 0)
		return copied;
	return length < copy->length ? past_end(copy, length, ret_fault) : 0;
}

static int read_checked(const struct copy *copy, struct filemap_fault *ret_fault)
{
	int r = -EAGAIN;
	for (int i = 0; i < ATTEMPTS && r == -EAGAIN; i++)
		r = try_read(copy, ret_fault);
	return r;
}

/* Storing changes the file's times by itself: only the size can be looked at. */
static int write_checked(const struct copy *copy, struct filemap_fault *ret_fault)
{
	struct stat status;
	struct fm__hit hit = {.done = copy->length};
	int stored, r;

	stored = copy_some(copy, copy->length, &hit);
	if (stored < 0 && stored != FILEMAP_EFAULT)
		return stored;
	r = fm__sys_fstat(fm__filemap_fd(copy->map), &status);
	if (r < 0)
		return r;
	if (within(copy, &status) < hit.done)
		return past_end(copy, within(copy, &status), ret_fault);
	if (stored < 0)
		fm__fault_describe(copy->map, copy->offset + hit.done, hit.code, true, ret_fault);
	return stored;
}

static int carry_out(const struct copy *copy, unsigned flags, struct filemap_fault *ret_fault)
{
	if (copy->length == 0)
		return 0;
	if (!(flags & FILEMAP_GUARD_CHECK_END) || copy->map->kind != FM_KIND_FILE ||
	    filemap_is_immutable(copy->map))
		return copy_all(copy, ret_fault);
	return copy->stores ? write_checked(copy, ret_fault) : read_checked(copy, ret_fault);
}

static int read_thoroughly(const struct filemap *map, size_t offset, void *to, size_t length, unsigned flags,
			   struct filemap_fault *ret_fault)
{
	struct copy copy = {.map = map, .buffer = to, .offset = offset, .length = length};
	int r = check(map, offset, length, flags);
	if (r < 0)
		return r;
	copy.mapped = (unsigned char *)(uintptr_t)__atomic_load_n(&map->view.data, __ATOMIC_RELAXED) + offset;
	return carry_out(&copy, flags, ret_fault);
}

static int write_thoroughly(struct filemap *map, size_t offset, const void *from, size_t length,
			    unsigned flags, struct filemap_fault *ret_fault)
{
	struct copy copy = {.map = map,
			    .buffer = (unsigned char *)(uintptr_t)from,
			    .offset = offset,
			    .length = length,
			    .stores = true};
	int r = check(map, offset, length, flags);
	if (r < 0)
		return r;
	if (!fm__filemap_is_writable(map))
		return FILEMAP_EMODE;
	copy.mapped = __atomic_load_n(&map->view.data_mut, __ATOMIC_RELAXED) + offset;
	return carry_out(&copy, flags, ret_fault);
}

/* The usual case, decided by as few looks as possible: the handler is there, nobody has to be asked, and there is
 * at least one byte, so that the window is there and of the right kind. */
static bool is_simple(const struct filemap *map, size_t size, size_t offset, size_t length, unsigned flags)
{
	return fm__guard_is_active() && flags == 0 && !(map->flags & FILEMAP_DONTFORK) && offset < size &&
	       length - 1 < size - offset;
}

/* 0 = copied; else it has to be gone about thoroughly. */
static int copy_simply(void *to, const void *from, const void *mapped, size_t length,
		       const struct filemap *map)
{
	const struct fm__range range = {(uintptr_t)mapped, length, fm__filemap_page(map)};
	return fm__guard_try(to, from, length, &range);
}

int filemap_guarded_read(const struct filemap *map, size_t offset, void *to, size_t length, unsigned flags,
			 struct filemap_fault *ret_fault)
{
	size_t size = __atomic_load_n(&map->view.size, __ATOMIC_ACQUIRE);
	const unsigned char *data = __atomic_load_n(&map->view.data, __ATOMIC_RELAXED);

	if (is_simple(map, size, offset, length, flags) &&
	    copy_simply(to, data + offset, data + offset, length, map) == 0)
		return 0;
	return read_thoroughly(map, offset, to, length, flags, ret_fault);
}

int filemap_guarded_write(struct filemap *map, size_t offset, const void *from, size_t length, unsigned flags,
			  struct filemap_fault *ret_fault)
{
	size_t size = __atomic_load_n(&map->view.size_mut, __ATOMIC_ACQUIRE);
	unsigned char *data = __atomic_load_n(&map->view.data_mut, __ATOMIC_RELAXED);

	if (is_simple(map, size, offset, length, flags) &&
	    copy_simply(data + offset, from, data + offset, length, map) == 0)
		return 0;
	return write_thoroughly(map, offset, from, length, flags, ret_fault);
}
