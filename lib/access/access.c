/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * access: the typed accessors as symbols, and why one of them said no.
 *
 * Invariant: everything is read from the view, the frozen first member of every handle; the bodies are those
 * that callers inline.
 */
#include <filemap/cursor.h>

#define EMIT(suffix, type, bytes, order)                                                              \
	extern inline int filemap_read_##suffix(const struct filemap *map, size_t offset, type *ret); \
	extern inline int filemap_write_##suffix(struct filemap *map, size_t offset, type value);     \
	extern inline int filemap_cursor_read_##suffix(struct filemap_cursor *cursor, type *ret);     \
	extern inline int filemap_cursor_write_##suffix(struct filemap_cursor *cursor, type value);
FILEMAP_ACCESS_TYPES(EMIT)

int filemap_refuse_read(const struct filemap *map)
{
	const struct filemap_view *view = (const struct filemap_view *)map;
	return __atomic_load_n(&view->data, __ATOMIC_RELAXED) == NULL ? FILEMAP_EPOISONED : FILEMAP_ERANGE;
}

int filemap_refuse_write(const struct filemap *map)
{
	const struct filemap_view *view = (const struct filemap_view *)map;
	const int r = filemap_refuse_read(map);
	if (r == FILEMAP_EPOISONED)
		return r;
	return __atomic_load_n(&view->data_mut, __ATOMIC_RELAXED) == NULL ? FILEMAP_EMODE : r;
}
