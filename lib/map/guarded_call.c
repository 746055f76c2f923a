/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * guarded_call: the program's own code under a guard for the pages of some mappings.
 *
 * Invariant: the handler looks at the mappings as they are at the moment of the fault, by loads only.
 */
#include "base/util.h"
#include "fault/guard.h"
#include "map/fault.h"

struct watched {
	const struct filemap *const *maps;
	size_t count;
	volatile size_t hit; /* the one that a fault was in */
};

static bool is_in(const struct filemap *map, const void *address)
{
	const unsigned char *start = map->region;
	size_t length = map->region_length;

	if (map->kind == FM_KIND_BORROWED) {
		start = map->view.data;
		length = map->view.size;
	}
	return (uintptr_t)address - (uintptr_t)start < length;
}

/* The map that an address lies in; count: in none. Runs in the signal handler. */
static size_t find(const struct watched *watched, const void *address)
{
	size_t i = 0;
	while (i < watched->count && !(watched->maps[i] && is_in(watched->maps[i], address)))
		i++;
	return i;
}

static bool is_watched(const void *context, const void *address)
{
	struct watched *watched = (struct watched *)(uintptr_t)context; /* not const where it was made */
	watched->hit = find(watched, address);
	return watched->hit < watched->count;
}

static int check_map(const struct filemap *map)
{
	int r = fm__filemap_check_window(map);
	if (r < 0)
		return r;
	if (fm__filemap_is_absent(map))
		return FILEMAP_EFORKED;
	return fm__guard_is_active() || filemap_is_immutable(map) ? 0 : FILEMAP_EMODE;
}

static int check(const struct watched *watched, int (*body)(void *context))
{
	int r = 0;

	if (!body || (!watched->maps && watched->count != 0))
		return FILEMAP_EOPTION;
	for (size_t i = 0; i < watched->count && r == 0; i++)
		r = watched->maps[i] ? check_map(watched->maps[i]) : 0;
	return r;
}

static int run(struct fm__guard *guard, struct watched *watched, int (*body)(void *context), void *context,
	       int *ret_body)
{
	int result;

	if (sigsetjmp(guard->jump, 0) != 0)
		return FILEMAP_EFAULT;
	fm__guard_enter(guard, is_watched, watched);
	result = body(context);
	fm__guard_leave(guard);
	if (ret_body)
		*ret_body = result;
	return 0;
}

static void tell(const struct watched *watched, const struct fm__guard *guard,
		 struct filemap_fault *ret_fault)
{
	const struct filemap *map = watched->maps[watched->hit];
	uintptr_t start = (uintptr_t)__atomic_load_n(&map->view.data, __ATOMIC_RELAXED);
	uintptr_t page = (uintptr_t)guard->address & ~(uintptr_t)(fm__filemap_page(map) - 1);

	fm__fault_describe(map, page < start ? 0 : page - start, guard->code, true, ret_fault);
	ret_fault->index = watched->hit;
}

int filemap_guarded_call(const struct filemap *const *maps, size_t count, int (*body)(void *context),
			 void *context, int *ret_body, struct filemap_fault *ret_fault)
{
	struct watched watched = {.maps = maps, .count = count};
	struct fm__guard guard;
	int r;

	r = check(&watched, body);
	if (r < 0)
		return r;
	r = run(&guard, &watched, body, context, ret_body);
	if (r < 0 && ret_fault)
		tell(&watched, &guard, ret_fault);
	return r;
}
