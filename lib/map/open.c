/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * open: the constructors for files that exist, or are to exist, under a name or a descriptor.
 *
 * Invariant: options are checked before the first system call; a file of our own making is removed, while
 * its lock is held, when anything fails after it was made.
 */
#include <fcntl.h>
#include <stdio.h>

#include "base/options.h"
#include "map/construct.h"
#include "map/remove.h"
#include "map/seal.h"

static int open_into(struct filemap *map, const struct fm__plan *plan, struct filemap_error *reterr)
{
	struct fm__found found;
	int r;

	r = fm__locate_pin(map->origin, plan, reterr);
	if (r < 0)
		return r;
	r = fm__locate_lock(map->origin, plan, &found, reterr);
	if (r < 0)
		return r;
	r = fm__fill(map, plan, &found, reterr);
	if (r < 0)
		fm__locate_remove_own(map->origin, &found, reterr); /* while the lock is held */
	return r;
}

int filemap_open_at(int dirfd, const char *path, unsigned mode, const struct filemap_options *options,
		    struct filemap **ret_map, struct filemap_error *reterr)
{
	struct filemap *map;
	struct fm__plan plan;
	int r;

	if (!ret_map)
		return fm__options_refuse(reterr, "ret_map", NULL);
	r = fm__plan_named(dirfd, path, mode, options, &plan, reterr);
	if (r < 0)
		return r;
	r = fm__construct(path, &plan, &map, reterr);
	if (r < 0)
		return r;
	r = open_into(map, &plan, reterr);
	if (r >= 0)
		fm__remove_arm(map->origin, &plan);
	return fm__construct_end(map, r, ret_map, reterr);
}

int filemap_open(const char *path, unsigned mode, const struct filemap_options *options,
		 struct filemap **ret_map, struct filemap_error *reterr)
{
	return filemap_open_at(AT_FDCWD, path, mode, options, ret_map, reterr);
}

static int open_again_into(struct filemap *map, int fd, const struct fm__plan *plan,
			   struct filemap_error *reterr)
{
	struct fm__found found;
	int r = fm__locate_again(map->origin, fd, plan, &found, reterr);
	if (r < 0)
		return r;
	map->origin->is_sealed = plan->mode != FILEMAP_WRITE && fm__seal_is_final(fm__filemap_fd(map));
	return fm__fill(map, plan, &found, reterr);
}

int filemap_open_fd(int fd, unsigned mode, const struct filemap_options *options, struct filemap **ret_map,
		    struct filemap_error *reterr)
{
	char label[32];
	struct filemap *map;
	struct fm__plan plan;
	int r;

	if (!ret_map)
		return fm__options_refuse(reterr, "ret_map", NULL);
	r = fm__plan_fd(fd, mode, options, &plan, reterr);
	if (r < 0)
		return r;
	snprintf(label, sizeof label, "fd:%d", fd);
	r = fm__construct(label, &plan, &map, reterr);
	if (r < 0)
		return r;
	r = open_again_into(map, fd, &plan, reterr);
	return fm__construct_end(map, r, ret_map, reterr);
}

int filemap_with(const char *path, const struct filemap_options *options,
		 int (*use)(const void *data, size_t size, void *context), void *context, int *ret_use,
		 struct filemap_error *reterr)
{
	struct filemap *map;
	int r;

	if (!use)
		return fm__options_refuse(reterr, "use", NULL);
	r = filemap_open(path, FILEMAP_READ, options, &map, reterr);
	if (r < 0)
		return r;
	r = use(filemap_data(map), filemap_size(map), context);
	filemap_close(map);
	if (ret_use)
		*ret_use = r;
	return 0;
}
