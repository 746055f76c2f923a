/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Reads the options of a queue and fills in the defaults. Pure: nothing is opened or started before
 * all of them were found valid.
 */
#include "base/options.h"
#include "queue/queue.h"

#define DEFAULT_DEPTH 64u
#define MOST_DEPTH 4096u
#define DEFAULT_WORKERS 4u
#define MOST_WORKERS 64u
#define FIRST_SIZE ((size_t)24) /* of struct filemap_queue_options in 0.1 */

_Static_assert(sizeof(struct filemap_queue_options) == FIRST_SIZE, "the options of 0.1 have 24 bytes");

static int check_fields(const struct filemap_queue_options *o, struct filemap_error *reterr)
{
	if (o->flags & ~FILEMAP_QUEUE_ONE_THREAD)
		return fm__options_refuse(reterr, "flags", "only FILEMAP_QUEUE_ONE_THREAD is known");
	if (o->backend > FILEMAP_QUEUE_THREADS)
		return fm__options_refuse(reterr, "backend", "AUTO, URING or THREADS");
	if (o->depth > MOST_DEPTH)
		return fm__options_refuse(reterr, "depth", "at most 4096");
	if (o->workers > MOST_WORKERS)
		return fm__options_refuse(reterr, "workers", "at most 64");
	if (o->reserved != 0)
		return fm__options_refuse(reterr, "reserved", "must be 0");
	return 0;
}

int fm__queue_options_check(const struct filemap_queue_options *options, struct filemap_queue_options *ret,
			    struct filemap_error *reterr)
{
	struct filemap_queue_options o;
	int r;

	r = fm__options_read(&o, sizeof o, options, FIRST_SIZE, reterr);
	if (r < 0)
		return r;
	r = check_fields(&o, reterr);
	if (r < 0)
		return r;
	if (o.depth == 0)
		o.depth = DEFAULT_DEPTH;
	if (o.workers == 0)
		o.workers = DEFAULT_WORKERS;
	*ret = o;
	return 0;
}
