/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The walk over a full segment that yields its trailer: counts, the chain over all checksums, and
 * 256 entry points. Invariant: a trailer comes only from an unbroken run of valid frames from
 * start(n) to end(n).
 */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/util.h"
#include "log/format.h"

static uint64_t records_in(const struct fm__log_frame *frame, const uint8_t *payload)
{
	if (frame->type == FM_LOG_DATA)
		return 1;
	return frame->type == FM_LOG_BATCH && frame->length >= 8 ? fm__get_le32(payload) : 0;
}

/* Entry g is the first frame at or behind g/256 of the segment, with the greatest time before it. */
static void index_frame(struct fm__log_trailer *trailer, size_t *group, uint32_t unit, uint64_t at,
			uint64_t segment_size)
{
	for (; *group < 256 && at >= *group * (segment_size / 256); ++*group) {
		trailer->index[*group].first = (uint32_t)(at / unit);
		trailer->index[*group].time = trailer->greatest_time;
	}
}

static void count_frame(struct fm__log_trailer *trailer, const struct fm__log_frame *frame,
			const uint8_t *payload)
{
	uint64_t records = records_in(frame, payload);
	uint8_t crc[4];

	fm__put_le32(crc, frame->crc);
	trailer->chain = fm__crc32c(trailer->chain, crc, sizeof crc);
	trailer->frames++;
	trailer->records += records;
	if (records == 0)
		return;
	trailer->least_time = FM_MIN(trailer->least_time, frame->time);
	trailer->greatest_time = FM_MAX(trailer->greatest_time, frame->time);
}

int fm__log_trailer_build(const struct fm__log_geometry *g, uint64_t n, const uint8_t *segment,
			  struct fm__log_trailer *ret)
{
	const uint64_t end = g->segment_size - FM_LOG_BLOCK;
	struct fm__log_frame frame = {0};
	uint32_t epoch = 1;
	size_t group = 0;

	memset(ret, 0, sizeof *ret);
	memcpy(ret->uuid, g->uuid, sizeof ret->uuid);
	ret->n = n;
	ret->least_time = UINT32_MAX;

	for (uint64_t at = FM_LOG_BLOCK; at < end; at += frame.size) {
		if (!fm__log_frame_decode(g, n * g->segment_size + at, segment + at, end - at, &frame) ||
		    frame.epoch < epoch)
			return FILEMAP_ECORRUPT;
		epoch = frame.epoch;
		index_frame(ret, &group, g->unit, at, g->segment_size);
		count_frame(ret, &frame, segment + at + FM_LOG_FRAME_HEADER);
	}
	for (; group < 256; group++)
		ret->index[group].time = ret->greatest_time;
	return 0;
}
