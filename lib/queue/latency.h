/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Counting latencies in a histogram of FILEMAP_LATENCY_BUCKETS counters; see filemap_latency_bucket(). */
#ifndef FM_QUEUE_LATENCY_H
#define FM_QUEUE_LATENCY_H

#include <stdint.h>

/* The caller sees to it that one thread at a time does. */
void fm__latency_add(uint64_t *buckets, uint64_t ns);

#endif
