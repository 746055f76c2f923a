/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The rules R5 and R6: the run of valid frames, and the promises that stand behind its end.
 *
 * Invariant: a frame counts only by its checksum, and a run of them never goes back in epochs - a lower epoch
 * behind a higher one is the remains of a tail that was given up.
 */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/util.h"
#include "log/examine.h"

static void begin_chain(struct fm__log_examination *e, uint64_t lsn)
{
	const struct fm__log_geometry *g = &e->found.meta.geometry;
	uint64_t n = fm__log_segment_of(g, lsn);

	e->chain.n = n;
	e->chain.frames = 0;
	e->chain.crc = 0;
	e->chain.whole = lsn == fm__log_start(g, n);
	e->chain.records = e->found.records;
	e->chain.bytes = e->found.bytes;
}

static void count_frame(struct fm__log_examination *e, const struct fm__log_frame *frame)
{
	uint8_t crc[4];

	fm__put_le32(crc, frame->crc);
	e->chain.crc = fm__crc32c(e->chain.crc, crc, sizeof crc);
	e->chain.frames++;
	e->found.epoch = FM_MAX(e->found.epoch, frame->epoch);
	if (frame->type != FM_LOG_DATA)
		return;
	e->found.records++;
	e->found.bytes += frame->length;
}

/* The walk has left a segment: do its seal and its frames agree? 1, 0, or negative. */
static int chain_agrees(struct fm__log_examination *e)
{
	struct fm__log_trailer trailer;
	int r;

	if (!(e->flags & FM_LOG_EXAMINE_ALL) || !e->chain.whole || e->chain.n >= e->seals)
		return 1;
	r = fm__log_examine_trailer(e->scan.fd, &e->found.meta.geometry, e->chain.n, &trailer, e->reterr);
	if (r <= 0)
		return r;
	return trailer.frames == e->chain.frames && trailer.chain == e->chain.crc;
}

/* All frames are intact and yet they are not those that were sealed: none of them is to be trusted. */
static uint64_t distrust_segment(struct fm__log_examination *e)
{
	e->found.records = e->chain.records;
	e->found.bytes = e->chain.bytes;
	e->broken = fm__log_start(&e->found.meta.geometry, e->chain.n);
	return e->broken;
}

int fm__log_examine_walk(struct fm__log_examination *e, uint64_t from, uint64_t until)
{
	const struct fm__log_geometry *g = &e->found.meta.geometry;
	uint64_t lsn = from, next;
	struct fm__log_frame frame;
	uint32_t epoch = 0;
	int r;

	e->found.scanned_from = e->found.end = from;
	begin_chain(e, from);
	for (; lsn < until && fm__log_segment_of(g, lsn) <= e->found.meta.last; lsn = next) {
		r = fm__log_scan_frame(&e->scan, lsn, &frame);
		if (r < 0)
			return r;
		if (r == 0 || frame.epoch < epoch)
			break;
		epoch = frame.epoch;
		count_frame(e, &frame);
		fm__log_evidence(&e->found, fm__log_promise(g, &frame), lsn);
		next = fm__log_canonical(g, lsn + frame.size);
		if (fm__log_segment_of(g, next) == e->chain.n)
			continue;
		r = chain_agrees(e);
		if (r < 0)
			return r;
		if (r == 0) {
			lsn = distrust_segment(e);
			break;
		}
		begin_chain(e, next);
	}
	e->found.end = lsn;
	return 0;
}

/* [from, to) of one data area; `from` itself is looked at. */
static int look_ahead(struct fm__log_examination *e, uint64_t from, uint64_t to, uint32_t *any)
{
	const struct fm__log_geometry *g = &e->found.meta.geometry;
	struct fm__log_frame frame;
	uint64_t lsn;
	int r;

	for (lsn = from; lsn < to; lsn += g->unit) {
		r = fm__log_scan_candidate(&e->scan, lsn, to, &lsn, any);
		if (r < 0)
			return r;
		if (lsn == to)
			return 0;
		r = fm__log_scan_frame(&e->scan, lsn, &frame);
		if (r < 0)
			return r;
		if (r == 0)
			continue;
		e->found.epoch = FM_MAX(e->found.epoch, frame.epoch);
		fm__log_evidence(&e->found, fm__log_promise(g, &frame), lsn);
	}
	return 0;
}

/* The end itself is looked at as well: a frame of a lower epoch may stand there, and it can only promise less. */
int fm__log_examine_ahead(struct fm__log_examination *e, uint32_t *any)
{
	const struct fm__log_geometry *g = &e->found.meta.geometry;
	uint64_t end = e->found.end, n;
	int r;

	for (n = fm__log_segment_of(g, end); n <= e->found.meta.last; n++) {
		r = look_ahead(e, FM_MAX(end, fm__log_start(g, n)), fm__log_end(g, n), any);
		if (r < 0)
			return r;
	}
	return 0;
}
