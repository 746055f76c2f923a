/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The descriptor of a mapping and the record of its failed flushes; see struct fm__backing in map.h. */
#ifndef FM_MAP_BACKING_H
#define FM_MAP_BACKING_H

#include <stdbool.h>
#include <stdint.h>

#include "map/doubt.h"
#include "map/map.h"
#include "sys/sys.h"

/* Where flushed bytes go. */
#define FM_STORAGE_UNKNOWN 0u
#define FM_STORAGE_MEMORY 1u
#define FM_STORAGE_DEVICE 2u

struct fm__backing {
	int fd;                 /* owned; constant */
	uint32_t references;    /* atomic: the mapping's own and one per asynchronous flush */
	unsigned generation;    /* of the process that counts; changes under the process lock only */
	struct fm__doubt doubt; /* of what can be flushed: taken before it can */
	void *block;            /* constant: the memory that it lies in, freed with it */
	struct fm__flush_windows windows; /* of the asynchronous flushes on threads */
	uint32_t storage; /* atomic: FM_STORAGE_*; found out once, when it is first asked for */
};

/* Without a descriptor, with one reference; zeroed before. */
void fm__backing_init(struct fm__backing *backing, void *block);
void fm__backing_take(struct fm__backing *backing);
void fm__backing_give(struct fm__backing *backing); /* the last one closes and frees */

/* Whether an asynchronous flush holds it, beside the origin. */
bool fm__backing_is_shared(struct fm__backing *backing);

/* Whether its file system keeps everything in memory, so that syncing does nothing. What cannot be found out may have a
 * device. */
bool fm__backing_is_memory(struct fm__backing *backing);

/* A flush of these file bytes failed: their state on the device is unknown for good. */
void fm__backing_taint(struct fm__backing *backing, int cause, uint64_t offset, uint64_t length);
int fm__backing_cause(const struct fm__backing *backing);
int fm__backing_doubt(const struct fm__backing *backing, uint64_t *ret_offset, uint64_t *ret_length);

/* Whether a flush that ended so leaves its bytes in doubt; one that was never started (-EINTR, -ECANCELED,
 * -EAGAIN) does not. */
int fm__flush_is_failure(int result);

#endif
