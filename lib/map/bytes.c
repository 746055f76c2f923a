/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * bytes: mappings of bytes that the program has already: copied, or shown as they are.
 *
 * Invariant: a copy is complete before it gets the permissions of its mode, and only then visible; borrowed
 * bytes are never written, moved or freed.
 */
#include "map/bytes.h"

#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "map/construct.h"
#include "sys/sys.h"

int fm__bytes_new(const char *label, size_t room, struct filemap **ret, struct filemap_error *reterr)
{
	const struct fm__plan plan = {
		.kind = FM_KIND_MEMORY,
		.mode = FILEMAP_WRITE,
		.window = {0, FM_WINDOW_FOLLOWS},
		.label = label,
	};
	struct fm__span span;
	int r;

	r = fm__construct(label, &plan, ret, reterr);
	if (r < 0)
		return r;
	r = fm__memory_map(*ret, &plan, room, &span, reterr);
	if (r < 0)
		return fm__construct_end(*ret, r, ret, reterr);
	fm__filemap_publish(*ret, &span);
	return 0;
}

int fm__bytes_settle(struct filemap *map, unsigned mode, struct filemap_error *reterr)
{
	struct fm__span span = {.size = fm__view_size(map)};
	int r;

	map->mode = mode;
	if (mode == FILEMAP_WRITE || mode == FILEMAP_COW)
		return 0;
	if (mode == FILEMAP_EXEC)
		__builtin___clear_cache((char *)map->region, (char *)map->region + map->region_length);
	r = fm__sys_protect(map->region, map->region_length, fm__filemap_prot(map));
	if (r < 0)
		return fm__fail(reterr, r, "protect", "memory");
	fm__filemap_publish(map, &span);
	return 0;
}

int filemap_from_bytes(const char *label, unsigned mode, const void *bytes, size_t length,
		       struct filemap **ret_map, struct filemap_error *reterr)
{
	struct filemap *map;
	int r;

	if (!ret_map)
		return fm__options_refuse(reterr, "ret_map", NULL);
	r = fm__mode_check(mode, reterr);
	if (r < 0)
		return r;
	if (!bytes && length != 0)
		return fm__options_refuse(reterr, "bytes", NULL);
	r = fm__bytes_new(label ? label : "", length, &map, reterr);
	if (r < 0)
		return r;
	if (length)
		memcpy(map->region, bytes, length);
	r = fm__bytes_settle(map, mode, reterr);
	return fm__construct_end(map, r, ret_map, reterr);
}

int filemap_wrap_bytes(const char *label, const void *bytes, size_t length, struct filemap **ret_map,
		       struct filemap_error *reterr)
{
	static const unsigned char nothing[1];
	const struct fm__plan plan = {
		.kind = FM_KIND_BORROWED,
		.mode = FILEMAP_READ,
		.window = {0, FM_WINDOW_FOLLOWS},
	};
	struct filemap *map;
	int r;

	if (!ret_map)
		return fm__options_refuse(reterr, "ret_map", NULL);
	if (!bytes && length != 0)
		return fm__options_refuse(reterr, "bytes", NULL);
	if (length > PTRDIFF_MAX)
		return fm__fail(reterr, FILEMAP_ERANGE, "check options", "length");
	r = fm__construct(label ? label : "", &plan, &map, reterr);
	if (r < 0)
		return r;
	map->view.data = bytes ? bytes : nothing;
	map->view.size = length;
	*ret_map = map;
	return 0;
}
