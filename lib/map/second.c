/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * second: further windows on a file that is mapped already, under its descriptor and lock.
 *
 * Invariant: no window can store while another one of the same file can be executed.
 */
#include "base/error.h"
#include "base/options.h"
#include "map/construct.h"
#include "map/permit.h"

static const char *const step = "check window";

static int check_mode(const struct filemap *parent, unsigned mode, struct filemap_error *reterr)
{
	switch (mode) {
	case FILEMAP_READ:
	case FILEMAP_COW:
	case FILEMAP_EXEC:
		return 0;
	case FILEMAP_WRITE:
		if (parent->mode != FILEMAP_WRITE)
			return fm__fail(reterr, FILEMAP_EMODE, step, "mode");
		if (!fm__lock_permits_stores(parent->origin))
			return fm__fail(reterr, FILEMAP_EMODE, step, "lock");
		return 0;
	default:
		return fm__options_refuse(reterr, "mode", "a mode is one of READ, EXEC, COW and WRITE");
	}
}

/* Asked when the window is in the list already: of two that exclude each other at least one sees the other. */
static int check_others(const struct filemap *map, struct filemap_error *reterr)
{
	bool conflict = false;
	if (map->mode == FILEMAP_WRITE)
		conflict = fm__origin_any(map->origin, map, fm__can_execute, 0);
	else if (map->mode == FILEMAP_EXEC)
		conflict = fm__origin_any(map->origin, map, fm__can_store, 0);
	if (!conflict)
		return 0;
	fm__fail(reterr, FILEMAP_EMODE, step, "mode");
	fm__fail_hint(reterr, "a file is either stored to or executed");
	return FILEMAP_EMODE;
}

static int check(const struct filemap *parent, unsigned mode, uint64_t offset, uint64_t length,
		 struct filemap_error *reterr)
{
	int r;

	if (parent->kind != FM_KIND_FILE)
		return fm__fail(reterr, FILEMAP_EMODE, step, "mapping");
	r = fm__filemap_check_window(parent);
	if (r < 0)
		return fm__fail(reterr, r, step, "mapping");
	if (fm__origin_is_inherited(parent->origin))
		return fm__fail(reterr, FILEMAP_EFORKED, step, "process");
	if (fm__origin_change(parent->origin) == FM_CHANGE_SIZE) /* it could show what is about to go */
		return fm__origin_check_unchanging(parent->origin, step, reterr);
	if (offset > FM_FILE_MAX)
		return fm__fail(reterr, FILEMAP_ERANGE, step, "offset");
	if (!fm__window_is_to_end(length) && length > FM_FILE_MAX - offset)
		return fm__fail(reterr, FILEMAP_ERANGE, step, "length");
	return check_mode(parent, mode, reterr);
}

static int map_window(struct filemap *map, struct filemap_error *reterr)
{
	int r = check_others(map, reterr);
	return r < 0 ? r : fm__fill_as_it_is(map, reterr);
}

/* What the parent was asked to do with its pages goes for these, too; what it was to do with the file is done. */
#define INHERITED (FILEMAP_DONTFORK | FILEMAP_DONTDUMP | FILEMAP_SHARED | FILEMAP_SPARSE)

int filemap_window(struct filemap *parent, unsigned mode, uint64_t offset, uint64_t length,
		   struct filemap **ret_map, struct filemap_error *reterr)
{
	struct fm__plan plan = {.kind = FM_KIND_FILE, .mode = mode, .window = {offset, length}};
	struct filemap *map;
	int r;

	if (!ret_map)
		return fm__options_refuse(reterr, "ret_map", NULL);
	r = check(parent, mode, offset, length, reterr);
	if (r < 0)
		return r;
	plan.flags = parent->flags & INHERITED;
	if (fm__window_is_to_end(length))
		plan.window.length = FM_WINDOW_FOLLOWS;
	r = fm__filemap_new(parent->origin, &plan, &map);
	if (r < 0)
		return fm__fail(reterr, r, "allocate", "mapping");
	__atomic_store_n(&parent->origin->size_is_ours, false, __ATOMIC_RELAXED);
	r = map_window(map, reterr);
	return fm__construct_end(map, r, ret_map, reterr);
}
