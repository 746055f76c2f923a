/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * anonymous: memory that behaves like a mapping of a file.
 *
 * Invariant: what becomes visible is zero, and belongs to nobody else: private pages, or a memory file of its
 * own, which no name leads to and no lock guards.
 */
#include <errno.h>
#include <stdio.h>

#include "base/error.h"
#include "base/options.h"
#include "map/construct.h"
#include "map/memory.h"
#include "sys/sys.h"

/* What the kernel takes at most, with the final zero, for private memory; a memory file may have more. */
#define NAME_SIZE 80

static const char *label_of(const struct fm__plan *plan)
{
	return plan->label ? plan->label : "";
}

/* A label may be long; what stands in /proc is its beginning. */
static void name_of(const struct fm__plan *plan, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, "%s", label_of(plan));
}

/* A kernel that cannot name memory is no reason not to have it. */
static void name_region(const struct filemap *map, const struct fm__plan *plan)
{
	char name[NAME_SIZE];
	name_of(plan, name);
	if (*name)
		fm__sys_name_memory(map->region, map->region_length, name);
}

static void explain_no_huge_pages(const struct filemap *map, int r, struct filemap_error *reterr)
{
	if (r == -ENOMEM && (map->flags & (FILEMAP_HUGE_2M | FILEMAP_HUGE_1G)))
		fm__fail_hint(reterr,
			      "the system's pool has no such huge pages: see /proc/sys/vm/nr_hugepages");
}

int fm__memory_map(struct filemap *map, const struct fm__plan *plan, uint64_t size, struct fm__span *ret,
		   struct filemap_error *reterr)
{
	int r;

	r = fm__window_span(&map->window, size, map->reserve, fm__filemap_page(map), ret);
	if (r < 0)
		return fm__fail(reterr, r, "plan window", "address space");
	r = fm__filemap_map(map, ret);
	if (r < 0) {
		fm__fail(reterr, r, "map", "memory");
		explain_no_huge_pages(map, r, reterr);
		return r;
	}
	name_region(map, plan);
	return fm__memory_prepare(map, plan, ret->size, reterr);
}

static int map_memory_file(struct filemap *map, const struct fm__plan *plan, struct fm__span *span,
			   struct filemap_error *reterr)
{
	char name[NAME_SIZE];
	int r;

	name_of(plan, name);
	r = fm__sys_memory_file(name);
	if (r < 0)
		return fm__fail(reterr, r, "create memory file", "memory");
	map->origin->backing->fd = r;
	r = fm__sys_ftruncate(r, plan->size);
	if (r < 0)
		return fm__fail(reterr, r, "set size", "memory");
	r = fm__plan_window(map, plan->size, span, reterr);
	if (r < 0)
		return r;
	r = fm__filemap_map(map, span);
	if (r < 0)
		return fm__fail(reterr, r, "map", "memory");
	return fm__memory_prepare(map, plan, span->size, reterr);
}

static int make(struct filemap *map, const struct fm__plan *plan, struct filemap_error *reterr)
{
	struct fm__span span;
	int r;

	if (plan->kind == FM_KIND_FILE)
		r = map_memory_file(map, plan, &span, reterr);
	else
		r = fm__memory_map(map, plan, plan->size, &span, reterr);
	if (r < 0)
		return r;
	fm__filemap_publish(map, &span);
	fm__memory_fill(map);
	return 0;
}

int filemap_anonymous(size_t length, const struct filemap_options *options, struct filemap **ret_map,
		      struct filemap_error *reterr)
{
	struct filemap *map;
	struct fm__plan plan;
	int r;

	if (!ret_map)
		return fm__options_refuse(reterr, "ret_map", NULL);
	r = fm__plan_anonymous(length, options, &plan, reterr);
	if (r < 0)
		return r;
	r = fm__construct(label_of(&plan), &plan, &map, reterr);
	if (r < 0)
		return r;
	r = make(map, &plan, reterr);
	return fm__construct_end(map, r, ret_map, reterr);
}
