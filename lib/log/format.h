/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Format v1: positions, blocks and frames as bytes. Pure: no kernel, no memory of its own. */
#ifndef FM_LOG_FORMAT_H
#define FM_LOG_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <filemap/log.h>

#define FM_LOG_FORMAT 1u
#define FM_LOG_INCOMPAT_DRAFT (1u << 31)
#define FM_LOG_INCOMPAT_KNOWN FM_LOG_INCOMPAT_DRAFT
#define FM_LOG_BLOCK 4096u
#define FM_LOG_FIRST 4096u /* the first position of a log */
#define FM_LOG_FRAME_HEADER 32u
#define FM_LOG_SEGMENT_MIN (UINT64_C(1) << 20)
#define FM_LOG_SEGMENT_MAX (UINT64_C(1) << 30)

#define FM_LOG_DATA 1u
#define FM_LOG_PAD 2u
#define FM_LOG_BATCH 3u
#define FM_LOG_PAD_FILL 1u
#define FM_LOG_PAD_ABORT 2u
#define FM_LOG_PAD_DISCARD 3u
#define FM_LOG_PAD_LOST 4u
#define FM_LOG_NO_PROMISE UINT32_MAX

struct fm__log_geometry {
	uint8_t uuid[16];
	uint64_t segment_size; /* S */
	uint32_t unit;         /* A */
	uint32_t reserved;
};

static inline uint64_t fm__log_segment_of(const struct fm__log_geometry *g, uint64_t lsn)
{
	return lsn / g->segment_size;
}

static inline uint64_t fm__log_start(const struct fm__log_geometry *g, uint64_t n)
{
	return n * g->segment_size + FM_LOG_BLOCK;
}

static inline uint64_t fm__log_end(const struct fm__log_geometry *g, uint64_t n)
{
	return (n + 1) * g->segment_size - FM_LOG_BLOCK;
}

/* end(n) as a position is always written start(n+1). */
static inline uint64_t fm__log_canonical(const struct fm__log_geometry *g, uint64_t lsn)
{
	uint64_t n = fm__log_segment_of(g, lsn);
	return lsn == fm__log_end(g, n) ? fm__log_start(g, n + 1) : lsn;
}

/* A 4096-byte block ends with the CRC32C of its bytes 0..4091. */
void fm__log_block_seal(uint8_t block[FM_LOG_BLOCK]);
bool fm__log_block_valid(const uint8_t block[FM_LOG_BLOCK]);

/* ---- segment header ---- */
struct fm__log_header {
	struct fm__log_geometry geometry;
	uint64_t n;
	uint32_t epoch;
	uint32_t compat, incompat;
	uint64_t time_base;
};
void fm__log_header_encode(const struct fm__log_header *header, uint8_t block[FM_LOG_BLOCK]);
/* 0; FILEMAP_ECORRUPT; FILEMAP_EVERSION (format > 1 or an unknown incompat bit, even if the rest is odd) */
int fm__log_header_decode(const uint8_t block[FM_LOG_BLOCK], struct fm__log_header *ret);

/* ---- trailer (seal) ---- */
struct fm__log_trailer {
	uint8_t uuid[16];
	uint64_t n, frames, records;
	uint32_t epoch, chain, least_time, greatest_time;
	struct {
		uint32_t first, time;
	} index[256];
};
void fm__log_trailer_encode(const struct fm__log_trailer *trailer, uint8_t block[FM_LOG_BLOCK]);
int fm__log_trailer_decode(const uint8_t block[FM_LOG_BLOCK], struct fm__log_trailer *ret);

/* ---- frames ---- */
struct fm__log_frame {
	uint64_t lsn;
	uint64_t size; /* F, bytes */
	uint32_t crc, length;
	uint16_t type, flags;
	uint32_t epoch, back, time;
};

/* F of a payload: header + payload rounded up to the unit; the greatest that a writer may use. */
uint64_t fm__log_frame_size(const struct fm__log_geometry *g, size_t payload);
uint64_t fm__log_frame_max(const struct fm__log_geometry *g);

/* The promise as stored: (lsn - durable)/A, or FM_LOG_NO_PROMISE where it does not fit. */
uint32_t fm__log_back(const struct fm__log_geometry *g, uint64_t lsn, uint64_t durable);

/* Everything below the returned position was on the device before this frame was committed; 0 = no promise. */
uint64_t fm__log_promise(const struct fm__log_geometry *g, const struct fm__log_frame *frame);

/* The commit word: size (28 bits) and position (36 bits) of a frame, in units. */
uint64_t fm__log_commit_word(const struct fm__log_geometry *g, uint64_t lsn, uint64_t size);
/* The size in a commit word, in bytes; 0 if it is none, or not of this position. */
uint64_t fm__log_commit_size(const struct fm__log_geometry *g, uint64_t lsn, uint64_t word);

/* Computes frame->crc over the parts (their lengths sum up to frame->length) and writes the 32 header
 * bytes, commit word included (bytes 0..7, little endian). */
void fm__log_frame_encode(const struct fm__log_geometry *g, struct fm__log_frame *frame,
			  const struct filemap_bytes *parts, size_t count,
			  uint8_t header[FM_LOG_FRAME_HEADER]);

/* Is there a valid frame at lsn? `at` points to its bytes, `available` of which lie before end(n).
 * Checks everything of "Valid frame" in the format, crc over the payload, too. The type may be any: an unknown
 * one is a valid frame to scan over, for which a reader returns FILEMAP_EVERSION. */
bool fm__log_frame_decode(const struct fm__log_geometry *g, uint64_t lsn, const uint8_t *at,
			  uint64_t available, struct fm__log_frame *ret);

/* Walk the frames of a whole segment (`segment` = its S bytes, mapped or read) and fill the trailer that
 * seals it. Returns 0, or FILEMAP_ECORRUPT if the run of frames does not reach end(n). epoch is left to the
 * caller. Times are those of records; without one, least_time is 0xFFFFFFFF and greatest_time 0. */
int fm__log_trailer_build(const struct fm__log_geometry *g, uint64_t n, const uint8_t *segment,
			  struct fm__log_trailer *ret);

#endif
