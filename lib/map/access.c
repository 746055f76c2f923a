/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * access: bytes in and out of the window, through the view and nothing else.
 *
 * Invariant: no system call and no lock; a range is checked as a whole before its first byte is touched.
 */
#include <string.h>

#include "base/util.h"
#include "map/private.h"

/* The bytes of a range that must lie within the window. */
static int find(const struct filemap *map, size_t offset, size_t *length, const unsigned char **ret)
{
	int r = fm__filemap_check_window(map);
	if (r < 0)
		return r;
	r = fm__range_resolve(fm__view_size(map), offset, length);
	if (r < 0)
		return r;
	*ret = __atomic_load_n(&map->view.data, __ATOMIC_RELAXED) + offset;
	return 0;
}

static int find_mut(struct filemap *map, size_t offset, size_t *length, unsigned char **ret)
{
	const unsigned char *bytes;
	int r;

	if (!fm__filemap_is_writable(map))
		return fm__filemap_check_window(map) < 0 ? FILEMAP_EPOISONED : FILEMAP_EMODE;
	r = find(map, offset, length, &bytes);
	if (r < 0)
		return r;
	*ret = __atomic_load_n(&map->view.data_mut, __ATOMIC_RELAXED) + offset;
	return 0;
}

int filemap_slice(const struct filemap *map, size_t offset, size_t length, const void **ret)
{
	const unsigned char *bytes;
	int r = find(map, offset, &length, &bytes);
	if (r < 0)
		return r;
	*ret = bytes;
	return 0;
}

int filemap_slice_mut(struct filemap *map, size_t offset, size_t length, void **ret)
{
	unsigned char *bytes;
	int r = find_mut(map, offset, &length, &bytes);
	if (r < 0)
		return r;
	*ret = bytes;
	return 0;
}

int64_t filemap_read_some(const struct filemap *map, size_t offset, void *to, size_t length)
{
	const unsigned char *bytes;
	size_t there = FILEMAP_TO_END;
	int r = find(map, offset, &there, &bytes);
	if (r < 0)
		return r;
	length = FM_MIN(length, there);
	if (length)
		memcpy(to, bytes, length);
	return (int64_t)length;
}

/* TO_END is no length for a buffer: without this it would be taken for one. */
static int refuse_to_end(size_t length)
{
	return length == FILEMAP_TO_END ? FILEMAP_ERANGE : 0;
}

int filemap_read_exact(const struct filemap *map, size_t offset, void *to, size_t length)
{
	const unsigned char *bytes;
	int r = refuse_to_end(length);
	if (r < 0)
		return r;
	r = find(map, offset, &length, &bytes);
	if (r < 0)
		return r;
	if (length)
		memcpy(to, bytes, length);
	return 0;
}

int64_t filemap_write_some(struct filemap *map, size_t offset, const void *from, size_t length)
{
	size_t there = FILEMAP_TO_END;
	unsigned char *bytes;
	int r = find_mut(map, offset, &there, &bytes);
	if (r < 0)
		return r;
	length = FM_MIN(length, there);
	if (length)
		memcpy(bytes, from, length);
	return (int64_t)length;
}

int filemap_write_all(struct filemap *map, size_t offset, const void *from, size_t length)
{
	unsigned char *bytes;
	int r = refuse_to_end(length);
	if (r < 0)
		return r;
	r = find_mut(map, offset, &length, &bytes);
	if (r < 0)
		return r;
	if (length)
		memcpy(bytes, from, length);
	return 0;
}

int filemap_zero(struct filemap *map, size_t offset, size_t length)
{
	unsigned char *bytes;
	int r = find_mut(map, offset, &length, &bytes);
	if (r < 0)
		return r;
	if (length)
		memset(bytes, 0, length);
	return 0;
}
