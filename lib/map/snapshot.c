/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * snapshot: the content of a file at one moment, as a mapping that the file has no part in any more.
 *
 * Invariant: the source is looked at before and after the copying, under one lock; a copy between two looks that
 * differ is thrown away. No byte of the copy is mapped before it is sealed, and none of the source ever is.
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "base/util.h"
#include "map/kernel_copy.h"
#include "map/reflink.h"
#include "map/seal.h"
#include "sys/sys.h"

#define ATTEMPTS 8
#define CHANGED 1 /* somebody wrote while it was copied */
#define SHORT 2   /* it ended before its size, as if it had been cut */
#define BUFFER_SIZE ((size_t)128 << 10)
#define SETTLED_S 3 /* the coarsest times are counted in units of 2 s */

/* From the source's file, which `source` stands for without showing it, into `map`. */
struct snapshot {
	struct filemap *source, *map;
	const struct fm__plan *plan;
	size_t max_bytes;
	unsigned char *buffer; /* two of BUFFER_SIZE */
};

static int check_cap(uint64_t size, size_t max_bytes, struct filemap_error *reterr)
{
	return size > max_bytes ? fm__fail(reterr, -EFBIG, "check size", "max_bytes") : 0;
}

static int look(const struct filemap *map, struct stat *ret, struct filemap_error *reterr)
{
	int r = fm__sys_fstat(fm__filemap_fd(map), ret);
	return r < 0 ? fm__fail(reterr, r, "read file size", "file") : 0;
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

/* What is to be done with a piece of the source's data: 0, CHANGED, or an error. Reading it can be SHORT, too. */
typedef int piece_fn(const struct fm__kernel_copy *copy, unsigned char *buffer, size_t length, uint64_t at,
		     struct filemap_error *reterr);

/* The kernel does not copy between file systems: through a buffer, so that no page of the file is mapped. */
static int copy_piece(const struct fm__kernel_copy *copy, unsigned char *buffer, size_t length, uint64_t at,
		      struct filemap_error *reterr)
{
	int r = fm__sys_pwrite(copy->to_fd, buffer, length, at);
	return r < 0 ? fm__fail(reterr, r, "copy bytes", "memory file") : 0;
}

static int compare_piece(const struct fm__kernel_copy *copy, unsigned char *buffer, size_t length,
			 uint64_t at, struct filemap_error *reterr)
{
	unsigned char *copied = buffer + BUFFER_SIZE;
	int64_t n = fm__sys_pread(copy->to_fd, copied, length, at);
	if (n < 0)
		return fm__fail(reterr, (int)n, "compare bytes", "memory file");
	return (size_t)n == length && memcmp(buffer, copied, length) == 0 ? 0 : CHANGED;
}

static int read_data(const struct fm__kernel_copy *copy, uint64_t done, uint64_t end, unsigned char *buffer,
		     piece_fn *use, struct filemap_error *reterr)
{
	int r = 0;

	while (r == 0 && done < end) {
		size_t want = (size_t)FM_MIN(end - done, BUFFER_SIZE);
		int64_t n = fm__sys_pread(copy->from_fd, buffer, want, copy->from + done);
		if (n < 0)
			return fm__fail(reterr, (int)n, "read", "file");
		if ((size_t)n < want)
			return SHORT;
		r = use(copy, buffer, want, done, reterr);
		done += want;
	}
	return r;
}

/* What is a hole in the source is one in the memory file: it was made of its size. */
static int copy_all(const struct fm__kernel_copy *copy, unsigned char *buffer, struct filemap_error *reterr)
{
	uint64_t done = 0, end;
	int r = 0;

	while (r == 0 && done < copy->length) {
		fm__find_data(copy, done, &done, &end);
		r = read_data(copy, done, end, buffer, copy_piece, reterr);
		done = end;
	}
	return r;
}

/* Also of what was copied where by now the source has a hole. */
static int compare_all(const struct fm__kernel_copy *copy, unsigned char *buffer,
		       struct filemap_error *reterr)
{
	const struct fm__kernel_copy copied = {.from_fd = copy->to_fd, .length = copy->length, .to_fd = -1};
	uint64_t done = 0, start, end, copied_start, copied_end;
	int r = 0;

	while (r == 0 && done < copy->length) {
		fm__find_data(copy, done, &start, &end);
		fm__find_data(&copied, done, &copied_start, &copied_end);
		if (copied_start < start) {
			start = copied_start;
			end = copied_end;
		}
		r = read_data(copy, start, end, buffer, compare_piece, reterr);
		done = end;
	}
	return r;
}

/* The window of the source, as it is now. */
static int plan_copy(const struct snapshot *s, const struct stat *status, struct fm__kernel_copy *ret,
		     struct filemap_error *reterr)
{
	struct fm__span span;
	int r;

	if (status->st_size == 0) {
		r = fm__check_really_empty(fm__filemap_fd(s->source), reterr);
		if (r < 0)
			return r;
	}
	r = fm__plan_window(s->source, (uint64_t)status->st_size, &span, reterr);
	if (r < 0)
		return r;
	*ret = (struct fm__kernel_copy){
		.from_fd = fm__filemap_fd(s->source),
		.from = s->source->window.offset,
		.length = span.size,
		.to_fd = fm__filemap_fd(s->map),
	};
	return check_cap(span.size, s->max_bytes, reterr);
}

/* Times that are still young prove nothing: a file system may count in ticks, or in seconds, and stamps a write when it
 * begins. */
static bool is_settled(const struct stat *before)
{
	return before->st_ctim.tv_sec < (int64_t)(fm__sys_realtime_ms() / 1000) - SETTLED_S;
}

/* After the copying. 0, CHANGED, or an error. */
static int check_unchanged(const struct snapshot *s, const struct fm__kernel_copy *copy,
			   const struct stat *before, bool settled, struct filemap_error *reterr)
{
	struct stat after;
	int r = settled ? 0 : compare_all(copy, s->buffer, reterr);
	if (r != 0)
		return r;
	r = look(s->source, &after, reterr);
	if (r < 0)
		return r;
	return is_unchanged(before, &after) ? 0 : CHANGED;
}

/* Files of /sys say that they have a page, and have a line. */
static int check_short(const struct snapshot *s, const struct stat *before, struct filemap_error *reterr)
{
	struct stat after;
	int r = look(s->source, &after, reterr);
	if (r < 0)
		return r;
	return is_unchanged(before, &after) ? SHORT : CHANGED;
}

static int attempt(const struct snapshot *s, uint64_t *ret_size, struct filemap_error *reterr)
{
	struct fm__kernel_copy copy;
	struct stat before;
	bool settled;
	int r;

	r = look(s->source, &before, reterr);
	if (r < 0)
		return r;
	settled = is_settled(&before);
	r = plan_copy(s, &before, &copy, reterr);
	if (r < 0)
		return r;
	r = fm__seal_set_size(copy.to_fd, 0, copy.length, reterr);
	if (r < 0)
		return r;
	*ret_size = copy.length;
	r = copy_all(&copy, s->buffer, reterr);
	if (r == 0)
		r = check_unchanged(s, &copy, &before, settled, reterr);
	return r == SHORT ? check_short(s, &before, reterr) : r;
}

/* Each attempt met the same. */
static int give_up(int r, struct filemap_error *reterr)
{
	if (r == SHORT) {
		fm__fail(reterr, -ENODEV, "check file type", "file");
		fm__fail_hint(reterr, "the file has less content than its size says; read it instead");
		return -ENODEV;
	}
	fm__fail(reterr, -EAGAIN, "copy bytes", "file");
	fm__fail_hint(reterr, "others write to it all the time, without locking it");
	return -EAGAIN;
}

static int attempt_repeatedly(const struct snapshot *s, struct filemap_error *reterr)
{
	uint64_t size = 0;
	int r = CHANGED;

	for (int i = 0; i < ATTEMPTS && r > 0; i++)
		r = attempt(s, &size, reterr);
	if (r > 0)
		return give_up(r, reterr);
	return r < 0 ? r : fm__seal_and_map(s->map, s->plan, size, reterr);
}

static int copy_to_memory(struct snapshot *s, struct filemap_error *reterr)
{
	int r = fm__seal_new_file(s->map->origin->path, reterr);
	if (r < 0)
		return r;
	s->map->origin->backing->fd = r;
	s->buffer = fm__zalloc(2 * BUFFER_SIZE);
	if (!s->buffer)
		return fm__fail(reterr, -ENOMEM, "allocate memory", "buffer");
	r = attempt_repeatedly(s, reterr);
	fm__free(s->buffer);
	return r;
}

static int map_clone(const struct snapshot *s, struct filemap_error *reterr)
{
	struct fm__found found = {.created = 0};
	struct fm__origin *origin = s->map->origin;
	struct fm__span span;
	int r;

	r = fm__reflink(fm__filemap_fd(s->source), origin->path, reterr);
	if (r < 0)
		return r;
	origin->backing->fd = r;
	origin->lock.family = FILEMAP_LOCK_NONE; /* nobody else can open it */
	r = look(s->map, &found.status, reterr);
	if (r < 0)
		return r;
	r = fm__plan_window(s->map, (uint64_t)found.status.st_size, &span, reterr);
	if (r < 0)
		return r;
	r = check_cap(span.size, s->max_bytes, reterr);
	return r < 0 ? r : fm__fill(s->map, s->plan, &found, reterr);
}

/* The plan is about the source; of the mapping it is what the file has no part in. */
static struct fm__plan plan_of_map(const struct fm__plan *plan)
{
	struct fm__plan ret = *plan;
	if (plan->flags & FILEMAP_REFLINK)
		return ret;
	ret.flags |= FILEMAP_SHARED;
	ret.window = (struct fm__window){0, FM_WINDOW_FOLLOWS};
	return ret;
}

static int take(struct snapshot *s, const struct fm__plan *plan_of_source, struct filemap_error *reterr)
{
	struct fm__found found;
	int r = fm__locate_lock(s->source->origin, plan_of_source, &found, reterr);
	if (r < 0)
		return r;
	if (plan_of_source->flags & FILEMAP_REFLINK)
		return map_clone(s, reterr);
	return copy_to_memory(s, reterr);
}

static int take_from(struct filemap *source, const struct fm__plan *plan, size_t max_bytes,
		     struct filemap **ret_map, struct filemap_error *reterr)
{
	const struct fm__plan map_plan = plan_of_map(plan);
	struct snapshot s = {.source = source, .plan = &map_plan, .max_bytes = max_bytes};
	int r;

	r = fm__construct(source->origin->path, &map_plan, &s.map, reterr);
	if (r < 0)
		return r;
	r = take(&s, plan, reterr);
	return fm__construct_end(s.map, r, ret_map, reterr);
}

int filemap_snapshot(const char *path, size_t max_bytes, const struct filemap_options *options,
		     struct filemap **ret_map, struct filemap_error *reterr)
{
	struct filemap *source;
	struct fm__plan plan;
	int r;

	if (!ret_map)
		return fm__options_refuse(reterr, "ret_map", NULL);
	r = fm__plan_snapshot(path, options, &plan, reterr);
	if (r < 0)
		return r;
	r = fm__construct(path, &plan, &source, reterr);
	if (r < 0)
		return r;
	r = take_from(source, &plan, max_bytes, ret_map, reterr);
	fm__filemap_free(source); /* with the lock and the descriptor */
	return r;
}
