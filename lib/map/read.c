/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * read: content that is read to its end into memory, because it cannot be mapped or is not worth it.
 *
 * Invariant: what is given out is the whole content; one byte more than the cap is an error, exactly the cap
 * is not.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/error.h"
#include "base/options.h"
#include "base/util.h"
#include "map/bytes.h"
#include "map/construct.h"
#include "sys/sys.h"

#define FIRST_ROOM 65536u
#define WORTH_MAPPING 16384u

/* 1 = the end, 0 = there may be more. */
static int read_into(struct filemap *map, int fd, size_t *filled, struct filemap_error *reterr)
{
	int64_t n = fm__sys_read(fd, map->region + *filled, fm__view_size(map) - *filled);
	if (n < 0)
		return fm__fail(reterr, (int)n, "read", "file");
	*filled += (size_t)n;
	return n == 0;
}

/* The room is never more than one byte above the cap: that byte tells too much from just enough. */
static int make_room(struct filemap *map, size_t limit, struct filemap_error *reterr)
{
	size_t size = fm__view_size(map);
	size_t doubled = size > limit / 2 ? limit : size * 2;
	return filemap_resize(map, doubled, reterr);
}

static int read_all(struct filemap *map, int fd, size_t max_bytes, struct filemap_error *reterr)
{
	size_t limit = max_bytes < PTRDIFF_MAX ? max_bytes + 1 : PTRDIFF_MAX;
	size_t filled = 0;
	int r = 0;

	while (r == 0) {
		if (filled > max_bytes)
			return fm__fail(reterr, -EFBIG, "read", "max_bytes");
		if (filled == fm__view_size(map))
			r = make_room(map, limit, reterr);
		if (r == 0)
			r = read_into(map, fd, &filled, reterr);
	}
	if (r < 0)
		return r;
	r = filemap_resize(map, filled, reterr);
	return r < 0 ? r : fm__bytes_settle(map, FILEMAP_READ, reterr);
}

static int read_to_memory(int fd, const char *label, size_t max_bytes, uint64_t expected,
			  struct filemap **ret_map, struct filemap_error *reterr)
{
	size_t limit = max_bytes < PTRDIFF_MAX ? max_bytes + 1 : PTRDIFF_MAX;
	struct filemap *map;
	int r;

	r = fm__bytes_new(label, FM_MIN((size_t)FM_MIN(expected + 1, FIRST_ROOM), limit), &map, reterr);
	if (r < 0)
		return r;
	r = read_all(map, fd, max_bytes, reterr);
	return fm__construct_end(map, r, ret_map, reterr);
}

int filemap_read_fd(int fd, size_t max_bytes, struct filemap **ret_map, struct filemap_error *reterr)
{
	char label[32];

	if (!ret_map)
		return fm__options_refuse(reterr, "ret_map", NULL);
	if (fd < 0)
		return fm__options_refuse(reterr, "fd", "a descriptor cannot be negative");
	snprintf(label, sizeof label, "fd:%d", fd);
	return read_to_memory(fd, label, max_bytes, FIRST_ROOM, ret_map, reterr);
}

static int plan_whole_file(const char *path, const struct filemap_options *options, struct fm__plan *ret,
			   struct filemap_error *reterr)
{
	int r = fm__plan_named(AT_FDCWD, path, FILEMAP_READ, options, ret, reterr);
	if (r < 0)
		return r;
	if (ret->window.offset != 0)
		return fm__options_refuse(reterr, "offset", "the whole content is got");
	if (ret->flags & FILEMAP_EMPTY)
		return fm__options_refuse(reterr, "flags", "the whole content is got");
	if (ret->window.length != FM_WINDOW_FOLLOWS)
		return fm__options_refuse(reterr, "length", "the whole content is got");
	if ((ret->flags & FILEMAP_REMOVE_ON_CLOSE) || ret->on_remove)
		return fm__options_refuse(reterr, ret->on_remove ? "on_remove" : "flags",
					  "what may be memory cannot remove a file");
	if (ret->reserve != 0)
		return fm__options_refuse(reterr, "reserve", "what may be memory cannot follow a file");
	return 0;
}

static int read_stream(const char *path, const struct fm__plan *plan, size_t max_bytes,
		       struct filemap **ret_map, struct filemap_error *reterr)
{
	int nofollow = plan->flags & FILEMAP_NOFOLLOW ? O_NOFOLLOW : 0;
	int fd, r;

	fd = fm__sys_openat(AT_FDCWD, path, O_RDONLY | O_NOCTTY | nofollow, 0);
	if (fd < 0) {
		fm__fail(reterr, fd, "open file", "file");
		fm__fail_detail(reterr, path);
		return fd;
	}
	r = read_to_memory(fd, path, max_bytes, FIRST_ROOM, ret_map, reterr);
	fm__sys_close(fd);
	return r;
}

/* 1 = *ret_map is memory with the content, 0 = `map` shows it. */
static int map_or_read(struct filemap *map, const struct fm__plan *plan, size_t max_bytes,
		       struct filemap **ret_map, struct filemap_error *reterr)
{
	struct fm__found found;
	uint64_t size;
	int r;

	r = fm__locate_pin(map->origin, plan, reterr);
	if (r < 0)
		return r;
	r = fm__locate_lock(map->origin, plan, &found, reterr);
	if (r < 0)
		return r;
	size = (uint64_t)found.status.st_size;
	if (size > max_bytes)
		return fm__fail(reterr, -EFBIG, "check size", "max_bytes");
	if (size >= WORTH_MAPPING)
		return fm__fill(map, plan, &found, reterr);
	r = read_to_memory(fm__filemap_fd(map), map->origin->path, max_bytes, size, ret_map, reterr);
	return r < 0 ? r : 1;
}

static int open_regular(const char *path, const struct fm__plan *plan, size_t max_bytes,
			struct filemap **ret_map, struct filemap_error *reterr)
{
	struct filemap *map;
	int r;

	r = fm__construct(path, plan, &map, reterr);
	if (r < 0)
		return r;
	r = map_or_read(map, plan, max_bytes, ret_map, reterr);
	if (r <= 0)
		return fm__construct_end(map, r, ret_map, reterr);
	fm__filemap_free(map); /* and with it the lock: the content is read */
	return 0;
}

/* Only a look: what is opened then is checked again. */
static int look_up(const char *path, const struct fm__plan *plan, struct stat *ret,
		   struct filemap_error *reterr)
{
	int flags = plan->flags & FILEMAP_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0;
	int r = fm__sys_fstatat(AT_FDCWD, path, ret, flags);
	if (r >= 0 && (S_ISDIR(ret->st_mode) || S_ISLNK(ret->st_mode)))
		r = fm__locate_check_type(ret, reterr);
	else if (r < 0)
		fm__fail(reterr, r, "look up file", "file");
	if (r < 0)
		fm__fail_detail(reterr, path);
	return r;
}

int filemap_open_or_read(const char *path, size_t max_bytes, const struct filemap_options *options,
			 struct filemap **ret_map, struct filemap_error *reterr)
{
	struct fm__plan plan;
	struct stat status;
	int r;

	if (!ret_map)
		return fm__options_refuse(reterr, "ret_map", NULL);
	r = plan_whole_file(path, options, &plan, reterr);
	if (r < 0)
		return r;
	r = look_up(path, &plan, &status, reterr);
	if (r < 0)
		return r;
	if (S_ISREG(status.st_mode))
		return open_regular(path, &plan, max_bytes, ret_map, reterr);
	return read_stream(path, &plan, max_bytes, ret_map, reterr);
}
