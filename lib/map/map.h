/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the floors above may know of a mapping beyond the public header. */
#ifndef FM_MAP_MAP_H
#define FM_MAP_MAP_H

#include <filemap/map.h>

/*
 * One reference-counted descriptor and error record per mapping, shared by the mapping and the
 * asynchronous requests on it; it outlives filemap_close(). The descriptor is the mapping's own open
 * file description: every flush goes through it, so that no write-back error is missed.
 */
struct fm__backing;

/* A flush of file bytes that may run on any thread, after the mapping was closed, too. */
struct fm__flush {
	struct fm__backing *backing; /* referenced; NULL = nothing to do, the result is 0 at once */
	int fd;                      /* borrowed from the backing */
	uint32_t reserved;
	uint64_t offset, length; /* of the file; page cover of the range asked for */
};

/* Check the range (and the state: FILEMAP_EPOISONED, FILEMAP_ERANGE) and take a reference. */
int fm__map_flush_begin(struct filemap *map, size_t offset, size_t length, struct fm__flush *ret);

/* `result` is 0 or -errno. Taints the backing on error, gives the reference back; returns what the caller
 * of the flush is to be told: 0 only if this flush and every earlier one of the mapping succeeded. */
int fm__map_flush_end(struct fm__flush *flush, int result);

/*
 * A mapping of a descriptor that the library itself opened: no lock, no alias table, no parent. The whole
 * file is mapped. `fd` is taken on success (closed with the mapping); on failure the caller keeps it.
 * `path` is for messages only and copied. FILEMAP_DONTFORK is the only flag.
 */
int fm__map_adopt(int fd, const char *path, unsigned mode, uint32_t flags, struct filemap **ret_map,
		  struct filemap_error *reterr);

#endif
