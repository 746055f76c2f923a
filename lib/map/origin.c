/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * origin: what the windows of one opened file share, and the list of those windows.
 *
 * Invariant: an origin that was joined lives exactly as long as its list is not empty. The list changes under
 * the process lock, so a forked child finds it whole; every window in it was inherited, too.
 */
#include "map/origin.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "base/fork.h"
#include "map/private.h"
#include "map/remove.h"
#include "sys/sys.h"

/* One allocation for what nearly every opening needs: all of it, once. It lives until the last flush that
 * uses the backing is over. The handle comes first: whoever holds it holds the start of the block, which is what
 * tools that look for leaks look for. */
struct block {
	struct filemap first;
	struct fm__origin origin;
	struct fm__backing backing;
	char path[];
};

static struct filemap *first_of(struct fm__origin *origin)
{
	return &((struct block *)((char *)origin - offsetof(struct block, origin)))->first;
}

int fm__origin_new(const char *path, uint32_t sharing, struct fm__origin **ret)
{
	size_t path_size = strlen(path) + 1;
	struct block *block = fm__zalloc(sizeof *block + path_size);
	if (!block)
		return -ENOMEM;
	memcpy(block->path, path, path_size);
	fm__backing_init(&block->backing, block);
	block->origin.backing = &block->backing;
	block->origin.path = block->path;
	block->origin.parent_fd = -1;
	block->origin.sharing = sharing;
	block->origin.generation = fm__fork_generation();
	*ret = &block->origin;
	return 0;
}

/* The lock goes before the descriptor: an asynchronous flush may keep that. */
void fm__origin_free(struct fm__origin *origin)
{
	fm__lock_give(&origin->lock, origin->backing->fd);
	fm__sys_close(origin->parent_fd);
	fm__backing_give(origin->backing);
}

static void link_in(struct fm__origin *origin, struct filemap *map)
{
	map->origin = origin;
	map->next_window = origin->windows;
	map->window_link = &origin->windows;
	if (origin->windows)
		origin->windows->window_link = &map->next_window;
	origin->windows = map;
	__atomic_add_fetch(&origin->window_count, 1, __ATOMIC_RELEASE);
}

/* Whether it was the last. Counting is the last look at the origin: who is alone from then on may free it. */
static bool link_out(struct filemap *map)
{
	struct fm__origin *origin = map->origin;
	bool last;

	*map->window_link = map->next_window;
	if (map->next_window)
		map->next_window->window_link = map->window_link;
	last = !origin->windows;
	__atomic_sub_fetch(&origin->window_count, 1, __ATOMIC_RELEASE);
	return last;
}

struct filemap *fm__origin_room(struct fm__origin *origin)
{
	bool first = __atomic_load_n(&origin->window_count, __ATOMIC_ACQUIRE) == 0;
	return first ? first_of(origin) : fm__zalloc(sizeof(struct filemap));
}

/* Nobody else knows a new origin yet: its first window needs no lock. */
void fm__origin_join(struct fm__origin *origin, struct filemap *map)
{
	bool first = map == first_of(origin);
	if (!first)
		fm__process_lock();
	link_in(origin, map);
	if (!first)
		fm__process_unlock();
}

static bool leave_last(struct filemap *map)
{
	bool last;

	/* Alone, and it stays so: only through a window of it could another one join. */
	if (__atomic_load_n(&map->origin->window_count, __ATOMIC_ACQUIRE) == 1)
		return true;
	fm__process_lock();
	last = link_out(map);
	fm__process_unlock();
	return last;
}

void fm__origin_leave(struct filemap *map)
{
	struct fm__origin *origin = map->origin;
	bool last = leave_last(map);
	if (map != first_of(origin))
		fm__free(map);
	if (last)
		fm__remove_last(origin);
}

bool fm__origin_any(const struct fm__origin *origin, const struct filemap *except,
		    bool (*test)(const struct filemap *, uint64_t), uint64_t argument)
{
	const struct filemap *map;

	fm__process_lock();
	for (map = origin->windows; map; map = map->next_window)
		if (map != except && test(map, argument))
			break;
	fm__process_unlock();
	return map != NULL;
}

bool fm__origin_is_inherited(const struct fm__origin *origin)
{
	return origin->generation != fm__fork_generation();
}

void fm__origin_set_change(struct fm__origin *origin, uint32_t change)
{
	__atomic_store_n(&origin->change, change, __ATOMIC_RELEASE);
}

uint32_t fm__origin_change(const struct fm__origin *origin)
{
	if (fm__origin_is_inherited(origin))
		return FM_CHANGE_NONE;
	return __atomic_load_n(&origin->change, __ATOMIC_ACQUIRE);
}

int fm__origin_check_unchanging(const struct fm__origin *origin, const char *step,
				struct filemap_error *reterr)
{
	if (fm__origin_change(origin) == FM_CHANGE_NONE)
		return 0;
	fm__fail(reterr, FILEMAP_EBUSY, step, "asynchronous change");
	fm__fail_hint(reterr, "another one of the file's size or name is in flight: end its ticket first");
	return FILEMAP_EBUSY;
}
