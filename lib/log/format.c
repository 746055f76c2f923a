/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The 4096-byte blocks of format v1 - segment header and trailer - as bytes. The numbers are the
 * offsets of the format text; nothing is cast. Invariant: a block is looked at only after its
 * checksum agreed, so that damage is never taken for a newer version.
 */
#include "log/format.h"

#include "base/bytes.h"
#include "base/checked.h"
#include "base/crc32c.h"
#include "log/block.h"

#define BLOCK_CRC (FM_LOG_BLOCK - 4)

static const char header_magic[8] = "FMLGSEG1";
static const char trailer_magic[8] = "FMLGSEAL";

void fm__log_block_seal(uint8_t block[FM_LOG_BLOCK])
{
	fm__put_le32(block + BLOCK_CRC, fm__crc32c(0, block, BLOCK_CRC));
}

bool fm__log_block_valid(const uint8_t block[FM_LOG_BLOCK])
{
	return fm__get_le32(block + BLOCK_CRC) == fm__crc32c(0, block, BLOCK_CRC);
}

int fm__log_block_check(const uint8_t *block, const char magic[8])
{
	if (memcmp(block, magic, 8) != 0 || !fm__log_block_valid(block))
		return FILEMAP_ECORRUPT;

	uint32_t format = fm__get_le32(block + 8);

	if (format > FM_LOG_FORMAT)
		return FILEMAP_EVERSION;
	return format == FM_LOG_FORMAT ? 0 : FILEMAP_ECORRUPT;
}

bool fm__log_geometry_valid(const struct fm__log_geometry *g)
{
	if (g->unit != 32 && g->unit != 64 && g->unit != 128)
		return false;
	return fm__is_power_of_two(g->segment_size) && g->segment_size >= FM_LOG_SEGMENT_MIN &&
	       g->segment_size <= FM_LOG_SEGMENT_MAX;
}

bool fm__log_geometry_same(const struct fm__log_geometry *a, const struct fm__log_geometry *b)
{
	return a->unit == b->unit && a->segment_size == b->segment_size &&
	       memcmp(a->uuid, b->uuid, sizeof a->uuid) == 0;
}

/* Header and meta keep these fields at the same offsets. */
void fm__log_block_geometry_put(uint8_t *block, const struct fm__log_geometry *g)
{
	fm__put_le32(block + 20, g->unit);
	memcpy(block + 24, g->uuid, sizeof g->uuid);
	fm__put_le64(block + 48, g->segment_size);
}

void fm__log_block_geometry_get(const uint8_t *block, struct fm__log_geometry *ret)
{
	ret->unit = fm__get_le32(block + 20);
	memcpy(ret->uuid, block + 24, sizeof ret->uuid);
	ret->segment_size = fm__get_le64(block + 48);
	ret->reserved = 0;
}

void fm__log_header_encode(const struct fm__log_header *header, uint8_t block[FM_LOG_BLOCK])
{
	memset(block, 0, FM_LOG_BLOCK);
	memcpy(block, header_magic, sizeof header_magic);
	fm__put_le32(block + 8, FM_LOG_FORMAT);
	fm__put_le32(block + 12, header->compat);
	fm__put_le32(block + 16, header->incompat);
	fm__log_block_geometry_put(block, &header->geometry);
	fm__put_le64(block + 40, header->n);
	fm__put_le32(block + 56, header->epoch);
	fm__put_le64(block + 64, header->time_base);
	fm__log_block_seal(block);
}

static bool header_sane(const struct fm__log_header *header)
{
	if (!fm__log_geometry_valid(&header->geometry) || header->epoch == 0)
		return false;
	return header->n < UINT64_MAX / header->geometry.segment_size;
}

int fm__log_header_decode(const uint8_t block[FM_LOG_BLOCK], struct fm__log_header *ret)
{
	struct fm__log_header header = {0};
	int r = fm__log_block_check(block, header_magic);

	if (r < 0)
		return r;
	header.compat = fm__get_le32(block + 12);
	header.incompat = fm__get_le32(block + 16);
	if (header.incompat & ~FM_LOG_INCOMPAT_KNOWN)
		return FILEMAP_EVERSION;
	fm__log_block_geometry_get(block, &header.geometry);
	header.n = fm__get_le64(block + 40);
	header.epoch = fm__get_le32(block + 56);
	header.time_base = fm__get_le64(block + 64);
	if (!header_sane(&header))
		return FILEMAP_ECORRUPT;
	*ret = header;
	return 0;
}

void fm__log_trailer_encode(const struct fm__log_trailer *trailer, uint8_t block[FM_LOG_BLOCK])
{
	memset(block, 0, FM_LOG_BLOCK);
	memcpy(block, trailer_magic, sizeof trailer_magic);
	fm__put_le32(block + 8, FM_LOG_FORMAT);
	fm__put_le32(block + 12, trailer->epoch);
	memcpy(block + 16, trailer->uuid, sizeof trailer->uuid);
	fm__put_le64(block + 32, trailer->n);
	fm__put_le64(block + 40, trailer->frames);
	fm__put_le64(block + 48, trailer->records);
	fm__put_le32(block + 56, trailer->chain);
	fm__put_le32(block + 64, trailer->least_time);
	fm__put_le32(block + 68, trailer->greatest_time);
	for (size_t g = 0; g < 256; g++) {
		fm__put_le32(block + 1024 + 8 * g, trailer->index[g].first);
		fm__put_le32(block + 1028 + 8 * g, trailer->index[g].time);
	}
	fm__log_block_seal(block);
}

int fm__log_trailer_decode(const uint8_t block[FM_LOG_BLOCK], struct fm__log_trailer *ret)
{
	int r = fm__log_block_check(block, trailer_magic);

	if (r < 0)
		return r;
	ret->epoch = fm__get_le32(block + 12);
	memcpy(ret->uuid, block + 16, sizeof ret->uuid);
	ret->n = fm__get_le64(block + 32);
	ret->frames = fm__get_le64(block + 40);
	ret->records = fm__get_le64(block + 48);
	ret->chain = fm__get_le32(block + 56);
	ret->least_time = fm__get_le32(block + 64);
	ret->greatest_time = fm__get_le32(block + 68);
	for (size_t g = 0; g < 256; g++) {
		ret->index[g].first = fm__get_le32(block + 1024 + 8 * g);
		ret->index[g].time = fm__get_le32(block + 1028 + 8 * g);
	}
	return 0;
}
