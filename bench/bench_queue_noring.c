/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* In the place of bench_queue_ring.c where there is no liburing: these ways are left out, and say so. */
#include "bench_queue.h"

#include <errno.h>
#include <stdio.h>

static int open_nothing(struct bq_way *way)
{
	printf("  %-44s left out: built without liburing\n", way->name);
	return -EOPNOTSUPP;
}

struct bench_series bq_hops[BQ_HOPS];
const struct bq_way bq_ring_prep = {.name = "own ring, filemap_prep_flush", .open = open_nothing};
const struct bq_way bq_ring_bare = {.name = "by hand: FSYNC on a ring", .open = open_nothing};
const struct bq_way bq_ring_owner = {.name = "by hand: a ring owned by a thread", .open = open_nothing};
