/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Frames: their 32 header bytes and the one test of validity. Invariant: the checksum covers uuid
 * and position, so a frame is valid only where it was written, in the log for which it was written;
 * every size is checked against end(n) before a byte behind it is read.
 */
#include "base/bytes.h"
#include "base/checked.h"
#include "base/crc32c.h"
#include "base/util.h"
#include "log/format.h"

#define COMMIT_SIZE_BITS 28
#define COMMIT_SIZE_MASK ((UINT64_C(1) << COMMIT_SIZE_BITS) - 1)

uint64_t fm__log_frame_size(const struct fm__log_geometry *g, size_t payload)
{
	uint64_t size;

	if (!fm__add_u64(payload, FM_LOG_FRAME_HEADER, &size) || !fm__align_up(size, g->unit, &size))
		return UINT64_MAX;
	return size;
}

uint64_t fm__log_frame_max(const struct fm__log_geometry *g)
{
	return fm__align_down((g->segment_size - 2 * (uint64_t)FM_LOG_BLOCK) / 2, g->unit);
}

/* Rounded up: a promise may say less than is true, never more. */
uint32_t fm__log_back(const struct fm__log_geometry *g, uint64_t lsn, uint64_t durable)
{
	if (durable > lsn)
		return FM_LOG_NO_PROMISE;

	uint64_t distance = lsn - durable;
	uint64_t units = distance / g->unit + (distance % g->unit != 0);

	return units < FM_LOG_NO_PROMISE ? (uint32_t)units : FM_LOG_NO_PROMISE;
}

uint64_t fm__log_promise(const struct fm__log_geometry *g, const struct fm__log_frame *frame)
{
	uint64_t distance = (uint64_t)frame->back * g->unit;

	if (frame->back == FM_LOG_NO_PROMISE || distance > frame->lsn)
		return 0;
	return frame->lsn - distance;
}

uint64_t fm__log_commit_word(const struct fm__log_geometry *g, uint64_t lsn, uint64_t size)
{
	return (lsn / g->unit) << COMMIT_SIZE_BITS | size / g->unit;
}

uint64_t fm__log_commit_size(const struct fm__log_geometry *g, uint64_t lsn, uint64_t word)
{
	uint64_t size = (word & COMMIT_SIZE_MASK) * g->unit;

	return word == fm__log_commit_word(g, lsn, size) ? size : 0;
}

/* The start of the checksum: uuid, position, header bytes 0..7 and 12..31. */
static uint32_t header_crc(const struct fm__log_geometry *g, uint64_t lsn, const uint8_t *header)
{
	uint8_t bytes[16 + 8 + 8 + 20];

	memcpy(bytes, g->uuid, 16);
	fm__put_le64(bytes + 16, lsn);
	memcpy(bytes + 24, header, 8);
	memcpy(bytes + 32, header + 12, 20);
	return fm__crc32c(0, bytes, sizeof bytes);
}

void fm__log_frame_encode(const struct fm__log_geometry *g, struct fm__log_frame *frame,
			  const struct filemap_bytes *parts, size_t count,
			  uint8_t header[FM_LOG_FRAME_HEADER])
{
	fm__put_le64(header, fm__log_commit_word(g, frame->lsn, frame->size));
	fm__put_le32(header + 12, frame->length);
	fm__put_le16(header + 16, frame->type);
	fm__put_le16(header + 18, frame->flags);
	fm__put_le32(header + 20, frame->epoch);
	fm__put_le32(header + 24, frame->back);
	fm__put_le32(header + 28, frame->time);

	frame->crc = header_crc(g, frame->lsn, header);
	for (size_t i = 0; i < count; i++)
		frame->crc = fm__crc32c(frame->crc, parts[i].data, parts[i].length);
	fm__put_le32(header + 8, frame->crc);
}

static void header_get(const uint8_t *header, struct fm__log_frame *ret)
{
	ret->crc = fm__get_le32(header + 8);
	ret->length = fm__get_le32(header + 12);
	ret->type = fm__get_le16(header + 16);
	ret->flags = fm__get_le16(header + 18);
	ret->epoch = fm__get_le32(header + 20);
	ret->back = fm__get_le32(header + 24);
	ret->time = fm__get_le32(header + 28);
}

/* Bytes that a frame at lsn may take at most; 0 = no frame can start there. */
static uint64_t room_at(const struct fm__log_geometry *g, uint64_t lsn, uint64_t available)
{
	uint64_t n = fm__log_segment_of(g, lsn);
	uint64_t end = fm__log_end(g, n);

	if (lsn % g->unit != 0 || lsn < fm__log_start(g, n) || lsn >= end)
		return 0;
	return FM_MIN(available, end - lsn);
}

static bool sizes_agree(const struct fm__log_frame *frame, uint64_t room)
{
	if (frame->size < FM_LOG_FRAME_HEADER || frame->size > room)
		return false;
	if (frame->type == FM_LOG_PAD)
		return frame->length == 0;
	return frame->length <= frame->size - FM_LOG_FRAME_HEADER;
}

/* The header is copied first: what was checked is what is returned, even if somebody writes meanwhile. */
bool fm__log_frame_decode(const struct fm__log_geometry *g, uint64_t lsn, const uint8_t *at,
			  uint64_t available, struct fm__log_frame *ret)
{
	uint64_t room = room_at(g, lsn, available);
	uint8_t header[FM_LOG_FRAME_HEADER];
	struct fm__log_frame frame = {.lsn = lsn};

	if (room < FM_LOG_FRAME_HEADER)
		return false;
	memcpy(header, at, sizeof header);
	frame.size = fm__log_commit_size(g, lsn, fm__get_le64(header));
	header_get(header, &frame);
	if (!sizes_agree(&frame, room) || frame.epoch == 0)
		return false;
	if (fm__crc32c(header_crc(g, lsn, header), at + FM_LOG_FRAME_HEADER, frame.length) != frame.crc)
		return false;
	*ret = frame;
	return true;
}
