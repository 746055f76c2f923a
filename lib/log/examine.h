/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the steps R1-R7 of an examination share. Private to examine.c, examine_*.c and verify.c. */
#ifndef FM_LOG_EXAMINE_H
#define FM_LOG_EXAMINE_H

#include "log/recover.h"
#include "log/scan.h"

struct fm__log_examination {
	const struct fm__log_dir *dir;
	unsigned flags; /* FM_LOG_EXAMINE_* */
	struct filemap_error *reterr;
	struct fm__log_found found; /* as far as it is known */
	struct fm__log_scan scan;
	uint64_t broken; /* position of damage to the structure; UINT64_MAX = none */
	uint64_t seals;  /* trailers of lower segments must be there and agree */
	struct {         /* the running seal of the segment that is walked */
		uint64_t n, frames;
		uint32_t crc;
		uint32_t whole;          /* walked from its start on */
		uint64_t records, bytes; /* found.records and found.bytes at its start */
	} chain;
};

static inline uint64_t fm__log_first_segment(const struct fm__log_meta *meta)
{
	return fm__log_segment_of(&meta->geometry, meta->first);
}

/* Something that proves that everything below `durable` was on the device; at = where it stands, 0 = meta. */
static inline void fm__log_evidence(struct fm__log_found *found, uint64_t durable, uint64_t at)
{
	if (durable <= found->durable)
		return;
	found->durable = durable;
	found->evidence_at = at;
}

/* R1. With sync != 0 an unseen write-back error of meta surfaces first. */
int fm__log_examine_meta(const struct fm__log_dir *dir, int sync, struct fm__log_meta *ret,
			 struct filemap_error *reterr);

/* Is each of the segments lowest..highest in the directory? FILEMAP_ECORRUPT at the start of the first missing. */
int fm__log_examine_presence(const struct fm__log_dir *dir, const struct fm__log_geometry *g, uint64_t lowest,
			     uint64_t highest, struct filemap_error *reterr);

/* R2 and R3: fills sealed_below, broken, and what headers and trailers prove. */
int fm__log_examine_segments(struct fm__log_examination *e);

/* 1 = a trailer of segment n that is intact, 0 = none; FILEMAP_EVERSION, -EIO. */
int fm__log_examine_trailer(int fd, const struct fm__log_geometry *g, uint64_t n, struct fm__log_trailer *ret,
			    struct filemap_error *reterr);

/* R5: walk the frames from `from` on, at most to `until`; found.end = where the run of valid frames ends. */
int fm__log_examine_walk(struct fm__log_examination *e, uint64_t from, uint64_t until);

/* R6: look for promises behind found.end; *any becomes 1 if a byte there is not zero. */
int fm__log_examine_ahead(struct fm__log_examination *e, uint32_t *any);

/* Without the lock, while a writer lives: everything from the first position (FM_LOG_EXAMINE_ALL) or from the
 * last seal on up to view->published. */
int fm__log_examine_live(const struct fm__log_dir *dir, unsigned flags, const struct fm__log_ctl_view *view,
			 struct fm__log_found *ret, struct filemap_error *reterr);

#endif
