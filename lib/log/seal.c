/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Sealing (order rule O5). Invariant: the trailer of segment n is written only when everything in n is durable
 * and n-1 is sealed, and meta says so only after the trailer was flushed. After it the segment is not mapped.
 */
#include <errno.h>

#include "log/guarded.h"
#include "log/store.h"
#include "log/writer.h"
#include "map/map.h"
#include "sys/sys.h"

bool fm__log_seal_due(const struct filemap_log *log)
{
	return fm__log_usable(log) == 0 &&
	       fm__log_load(&log->durable) >= fm__log_start(&log->g, log->oldest + 1);
}

/* The segment may lie below those that the opening mapped: then the writer before us left it unsealed. */
static int map_if_needed(struct filemap_log *log, uint64_t n)
{
	struct fm__log_header header;
	int fd, r;

	if (fm__log_slot(log, n)->map)
		return 0;
	r = fm__log_segment_open(&log->dir, &log->g, n, FM_LOG_RW, &fd, &header, NULL);
	if (r < 0)
		return r;
	r = fm__log_segment_own(fd, &log->g, n, fm__log_end(&log->g, n), NULL); /* the seal needs a block */
	if (r < 0) {
		fm__sys_close(fd);
		return r;
	}
	return fm__log_map_segment(log, n, fd, NULL);
}

struct sealing {
	const struct filemap_log *log;
	const struct fm__log_slot *slot;
	struct fm__log_trailer *trailer;
};

static size_t trailer_at(const struct filemap_log *log)
{
	return (size_t)(log->g.segment_size - FM_LOG_BLOCK);
}

static int store_trailer(void *context)
{
	const struct sealing *sealing = context;
	const struct filemap_log *log = sealing->log;
	uint8_t block[FM_LOG_BLOCK];
	int r;

	r = fm__log_trailer_build(&log->g, sealing->slot->n, sealing->slot->base, sealing->trailer);
	if (r < 0)
		return r;
	sealing->trailer->epoch = log->epoch;
	fm__log_trailer_encode(sealing->trailer, block);
	fm__log_store(sealing->slot->base + trailer_at(log), block, sizeof block);
	return 0;
}

static int write_trailer(struct filemap_log *log, uint64_t n, struct fm__log_trailer *trailer)
{
	const struct fm__log_slot *slot = fm__log_slot(log, n);
	const struct fm__log_places places = {.segment = {slot->base, (size_t)log->g.segment_size}};
	struct sealing sealing = {log, slot, trailer};
	int r;

	r = fm__log_guarded(&places, store_trailer, &sealing);
	if (r < 0)
		return r;
	return filemap_flush_range(slot->map, trailer_at(log), FM_LOG_BLOCK);
}

int fm__log_seal_oldest(struct filemap_log *log)
{
	uint64_t n = log->oldest; /* this thread alone changes it */
	struct fm__log_trailer *trailer;
	int r;

	r = map_if_needed(log, n);
	if (r < 0)
		return r;
	trailer = fm__zalloc(sizeof *trailer);
	if (!trailer)
		return -ENOMEM;
	r = write_trailer(log, n, trailer);
	fm__free(trailer);
	if (r == 0)
		r = fm__log_meta_sealed(log, n + 1);
	if (r < 0) {
		fm__log_poison(log, r);
		return r;
	}
	filemap_close(fm__log_slot(log, n)->map);
	*fm__log_slot(log, n) = (struct fm__log_slot){0};
	return 0;
}
