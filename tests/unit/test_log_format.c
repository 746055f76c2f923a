/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Segment header, trailer and positions: each field at the offset that the format text gives, each byte guarded. */
#include "t.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "log/block.h"

#define MIB (UINT64_C(1) << 20)

static struct fm__log_header a_header(void)
{
	struct fm__log_header header = {
		.geometry = {.segment_size = 2 * MIB, .unit = 64},
		.n = UINT64_C(0x0102030405),
		.epoch = 0xA1B2C3D4,
		.compat = 0x11223344,
		.incompat = FM_LOG_INCOMPAT_DRAFT,
		.time_base = UINT64_C(0x0000019ABCDEF012),
	};

	for (int i = 0; i < 16; i++)
		header.geometry.uuid[i] = (uint8_t)(0x80 + i);
	return header;
}

static void header_encoded_has_each_field_at_its_offset(void **state)
{
	static const uint8_t golden[72] = {
		'F',  'M',  'L',  'G',  'S',  'E',  'G',  '1',  1,    0,    0,    0,    0x44, 0x33, 0x22,
		0x11, 0,    0,    0,    0x80, 64,   0,    0,    0,    0x80, 0x81, 0x82, 0x83, 0x84, 0x85,
		0x86, 0x87, 0x88, 0x89, 0x8A, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, 0x05, 0x04, 0x03, 0x02, 0x01,
		0,    0,    0,    0,    0,    0x20, 0,    0,    0,    0,    0,    0xD4, 0xC3, 0xB2, 0xA1,
		0,    0,    0,    0,    0x12, 0xF0, 0xDE, 0xBC, 0x9A, 0x01, 0,    0,
	};
	const struct fm__log_header header = a_header();
	uint8_t block[FM_LOG_BLOCK];

	(void)state;
	memset(block, 0xEE, sizeof block);
	fm__log_header_encode(&header, block);
	assert_memory_equal(block, golden, sizeof golden);
	for (size_t i = sizeof golden; i < 4092; i++)
		assert_int_equal(block[i], 0);
	assert_int_equal(fm__get_le32(block + 4092), fm__crc32c(0, block, 4092));
}

static void header_decoded_is_what_was_encoded(void **state)
{
	const struct fm__log_header header = a_header();
	struct fm__log_header found = {0};
	uint8_t block[FM_LOG_BLOCK];

	(void)state;
	fm__log_header_encode(&header, block);
	assert_ok(fm__log_header_decode(block, &found));
	assert_true(fm__log_geometry_same(&header.geometry, &found.geometry));
	assert_true(found.n == header.n && found.epoch == header.epoch);
	assert_true(found.compat == header.compat && found.incompat == header.incompat);
	assert_true(found.time_base == header.time_base);
}

/* Never FILEMAP_EVERSION either: damage must not pass for a newer program's work. */
static void header_with_any_bit_flipped_is_corrupt(void **state)
{
	const struct fm__log_header header = a_header();
	struct fm__log_header found;
	uint8_t block[FM_LOG_BLOCK];

	(void)state;
	fm__log_header_encode(&header, block);
	for (size_t i = 0; i < sizeof block; i++) {
		block[i] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(fm__log_header_decode(block, &found), FILEMAP_ECORRUPT);
		block[i] ^= (uint8_t)(1u << i % 8);
	}
	assert_ok(fm__log_header_decode(block, &found));
}

static int decode_with(size_t offset, size_t size, uint64_t value)
{
	const struct fm__log_header header = a_header();
	struct fm__log_header found;
	uint8_t block[FM_LOG_BLOCK], bytes[8];

	fm__log_header_encode(&header, block);
	fm__put_le64(bytes, value);
	memcpy(block + offset, bytes, size);
	fm__log_block_seal(block);
	return fm__log_header_decode(block, &found);
}

static void header_of_a_newer_format_is_a_version_error(void **state)
{
	(void)state;
	assert_int_equal(decode_with(8, 4, 2), FILEMAP_EVERSION);
	assert_int_equal(decode_with(16, 4, 1), FILEMAP_EVERSION);
	assert_int_equal(decode_with(16, 4, 0x80000001u), FILEMAP_EVERSION);
	assert_int_equal(decode_with(16, 4, 0x40000000u), FILEMAP_EVERSION);
	assert_int_equal(decode_with(12, 4, UINT32_MAX), 0);
}

static void header_with_impossible_fields_is_corrupt(void **state)
{
	(void)state;
	assert_int_equal(decode_with(8, 4, 0), FILEMAP_ECORRUPT);
	assert_int_equal(decode_with(20, 4, 0), FILEMAP_ECORRUPT);
	assert_int_equal(decode_with(20, 4, 48), FILEMAP_ECORRUPT);
	assert_int_equal(decode_with(20, 4, 256), FILEMAP_ECORRUPT);
	assert_int_equal(decode_with(48, 8, MIB / 2), FILEMAP_ECORRUPT);
	assert_int_equal(decode_with(48, 8, 3 * MIB), FILEMAP_ECORRUPT);
	assert_int_equal(decode_with(48, 8, 2048 * MIB), FILEMAP_ECORRUPT);
	assert_int_equal(decode_with(56, 4, 0), FILEMAP_ECORRUPT);
	assert_int_equal(decode_with(40, 8, UINT64_MAX / (2 * MIB)), FILEMAP_ECORRUPT);
}

static struct fm__log_trailer a_trailer(void)
{
	struct fm__log_trailer trailer = {.n = 0x0B0A,
					  .frames = 0x0D0C,
					  .records = 0x0F0E,
					  .epoch = 0x01020304,
					  .chain = 0x05060708,
					  .least_time = 0x11121314,
					  .greatest_time = 0x15161718};

	for (uint32_t g = 0; g < 256; g++) {
		trailer.index[g].first = g * 7 + 1;
		trailer.index[g].time = g * 11 + 3;
	}
	memset(trailer.uuid, 0x55, sizeof trailer.uuid);
	return trailer;
}

static void trailer_encoded_has_each_field_at_its_offset(void **state)
{
	const struct fm__log_trailer trailer = a_trailer();
	uint8_t block[FM_LOG_BLOCK];

	(void)state;
	memset(block, 0xEE, sizeof block);
	fm__log_trailer_encode(&trailer, block);
	assert_memory_equal(block, "FMLGSEAL\1\0\0\0\4\3\2\1", 16);
	assert_memory_equal(block + 16, trailer.uuid, 16);
	assert_memory_equal(block + 32, "\x0A\x0B\0\0\0\0\0\0\x0C\x0D\0\0\0\0\0\0\x0E\x0F\0\0\0\0\0\0", 24);
	assert_memory_equal(block + 56, "\x08\x07\x06\x05\0\0\0\0\x14\x13\x12\x11\x18\x17\x16\x15", 16);
	for (size_t i = 72; i < 1024; i++)
		assert_int_equal(block[i], 0);
	for (uint32_t g = 0; g < 256; g++) {
		assert_int_equal(fm__get_le32(block + 1024 + 8 * g), g * 7 + 1);
		assert_int_equal(fm__get_le32(block + 1028 + 8 * g), g * 11 + 3);
	}
	for (size_t i = 3072; i < 4092; i++)
		assert_int_equal(block[i], 0);
	assert_true(fm__log_block_valid(block));
}

static void trailer_decoded_is_what_was_encoded(void **state)
{
	const struct fm__log_trailer trailer = a_trailer();
	struct fm__log_trailer found;
	uint8_t block[FM_LOG_BLOCK];

	(void)state;
	memset(&found, 0, sizeof found);
	fm__log_trailer_encode(&trailer, block);
	assert_ok(fm__log_trailer_decode(block, &found));
	assert_memory_equal(&found, &trailer, sizeof found);
}

static void trailer_with_any_bit_flipped_is_corrupt(void **state)
{
	const struct fm__log_trailer trailer = a_trailer();
	struct fm__log_trailer found;
	uint8_t block[FM_LOG_BLOCK];

	(void)state;
	fm__log_trailer_encode(&trailer, block);
	for (size_t i = 0; i < sizeof block; i++) {
		block[i] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(fm__log_trailer_decode(block, &found), FILEMAP_ECORRUPT);
		block[i] ^= (uint8_t)(1u << i % 8);
	}
	fm__put_le32(block + 8, 2);
	fm__log_block_seal(block);
	assert_int_equal(fm__log_trailer_decode(block, &found), FILEMAP_EVERSION);
}

static void position_at_the_end_of_a_segment_is_the_start_of_the_next(void **state)
{
	const struct fm__log_geometry g = {.segment_size = MIB, .unit = 32};

	(void)state;
	assert_true(fm__log_start(&g, 0) == FM_LOG_FIRST);
	assert_true(fm__log_end(&g, 0) == MIB - 4096);
	assert_true(fm__log_canonical(&g, MIB - 4096) == MIB + 4096);
	assert_true(fm__log_canonical(&g, MIB - 4096 - 32) == MIB - 4096 - 32);
	assert_true(fm__log_canonical(&g, MIB + 4096) == MIB + 4096);
	assert_true(fm__log_canonical(&g, 4096) == 4096);
	assert_true(fm__log_segment_of(&g, fm__log_end(&g, 41)) == 41);
	assert_true(fm__log_canonical(&g, fm__log_end(&g, 41)) == fm__log_start(&g, 42));
}

T_MAIN(T_PLAIN(header_encoded_has_each_field_at_its_offset), T_PLAIN(header_decoded_is_what_was_encoded),
       T_PLAIN(header_with_any_bit_flipped_is_corrupt), T_PLAIN(header_of_a_newer_format_is_a_version_error),
       T_PLAIN(header_with_impossible_fields_is_corrupt),
       T_PLAIN(trailer_encoded_has_each_field_at_its_offset), T_PLAIN(trailer_decoded_is_what_was_encoded),
       T_PLAIN(trailer_with_any_bit_flipped_is_corrupt),
       T_PLAIN(position_at_the_end_of_a_segment_is_the_start_of_the_next))
