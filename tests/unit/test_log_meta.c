/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The file meta: offsets, which slot counts, which slot is written. */
#include "t.h"

#include "base/bytes.h"
#include "log/block.h"
#include "log/meta.h"
#include "sys/sys.h"

#define MIB (UINT64_C(1) << 20)

static struct fm__log_meta a_meta(void)
{
	struct fm__log_meta meta = {
		.geometry = {.segment_size = MIB, .unit = 128},
		.incompat = FM_LOG_INCOMPAT_DRAFT,
		.compat = 0x55667788,
		.sequence = 0x0102,
		.epoch = 0x0A0B0C0D,
		.state = FM_LOG_META_CLEAN,
		.first = MIB + 4096,
		.last = 4,
		.durable = 3 * MIB + 8192,
		.end = 4 * MIB + 4096 + 128,
		.discard_from = 0x1112,
		.discard_to = 0x1314,
		.sealed = 3,
	};

	for (int i = 0; i < 16; i++)
		meta.geometry.uuid[i] = (uint8_t)(0x40 + i);
	return meta;
}

static void meta_encoded_has_each_field_at_its_offset(void **state)
{
	static const uint8_t golden[120] = {
		'F',  'M',  'L',  'G',  'M',  'E',  'T',  'A',  1,    0,    0,    0,    0x88, 0x77, 0x66,
		0x55, 0,    0,    0,    0x80, 128,  0,    0,    0,    0x40, 0x41, 0x42, 0x43, 0x44, 0x45,
		0x46, 0x47, 0x48, 0x49, 0x4A, 0x4B, 0x4C, 0x4D, 0x4E, 0x4F, 0x02, 0x01, 0,    0,    0,
		0,    0,    0,    0,    0,    0x10, 0,    0,    0,    0,    0,    0x0D, 0x0C, 0x0B, 0x0A,
		2,    0,    0,    0,    0,    0x10, 0x10, 0,    0,    0,    0,    0,    4,    0,    0,
		0,    0,    0,    0,    0,    0,    0x20, 0x30, 0,    0,    0,    0,    0,    0x80, 0x10,
		0x40, 0,    0,    0,    0,    0,    0x12, 0x11, 0,    0,    0,    0,    0,    0,    0x14,
		0x13, 0,    0,    0,    0,    0,    0,    3,    0,    0,    0,    0,    0,    0,    0,
	};
	const struct fm__log_meta meta = a_meta();
	uint8_t block[FM_LOG_BLOCK];

	(void)state;
	memset(block, 0xEE, sizeof block);
	fm__log_meta_encode(&meta, block);
	assert_memory_equal(block, golden, sizeof golden);
	for (size_t i = sizeof golden; i < 4092; i++)
		assert_int_equal(block[i], 0);
	assert_true(fm__log_block_valid(block));
}

static void meta_decoded_is_what_was_encoded(void **state)
{
	const struct fm__log_meta meta = a_meta();
	struct fm__log_meta found;
	uint8_t block[FM_LOG_BLOCK];

	(void)state;
	memset(&found, 0, sizeof found);
	fm__log_meta_encode(&meta, block);
	assert_ok(fm__log_meta_decode(block, &found));
	assert_memory_equal(&found, &meta, sizeof meta);
}

static void meta_with_any_bit_flipped_is_corrupt(void **state)
{
	const struct fm__log_meta meta = a_meta();
	struct fm__log_meta found;
	uint8_t block[FM_LOG_BLOCK];

	(void)state;
	fm__log_meta_encode(&meta, block);
	for (size_t i = 0; i < sizeof block; i++) {
		block[i] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(fm__log_meta_decode(block, &found), FILEMAP_ECORRUPT);
		block[i] ^= (uint8_t)(1u << i % 8);
	}
}

static int decode_with(size_t offset, size_t size, uint64_t value)
{
	const struct fm__log_meta meta = a_meta();
	struct fm__log_meta found;
	uint8_t block[FM_LOG_BLOCK], bytes[8];

	fm__log_meta_encode(&meta, block);
	fm__put_le64(bytes, value);
	memcpy(block + offset, bytes, size);
	fm__log_block_seal(block);
	return fm__log_meta_decode(block, &found);
}

static void meta_of_a_newer_format_is_a_version_error(void **state)
{
	(void)state;
	assert_int_equal(decode_with(8, 4, 2), FILEMAP_EVERSION);
	assert_int_equal(decode_with(16, 4, 2), FILEMAP_EVERSION);
	assert_int_equal(decode_with(12, 4, 2), 0);
}

static void meta_with_impossible_fields_is_corrupt(void **state)
{
	(void)state;
	assert_int_equal(decode_with(8, 4, 0), FILEMAP_ECORRUPT);
	assert_int_equal(decode_with(20, 4, 33), FILEMAP_ECORRUPT);
	assert_int_equal(decode_with(48, 8, 1), FILEMAP_ECORRUPT);
	assert_int_equal(decode_with(56, 4, 0), FILEMAP_ECORRUPT);
	assert_int_equal(decode_with(60, 4, 3), FILEMAP_ECORRUPT);
	assert_int_equal(decode_with(64, 8, MIB), FILEMAP_ECORRUPT);        /* first in a header */
	assert_int_equal(decode_with(64, 8, MIB + 4097), FILEMAP_ECORRUPT); /* first unaligned */
	assert_int_equal(decode_with(72, 8, UINT64_MAX), FILEMAP_ECORRUPT);
	assert_int_equal(decode_with(80, 8, 5 * MIB + 4096 + 128), FILEMAP_ECORRUPT);
	assert_int_equal(decode_with(80, 8, 5 * MIB + 4096), 0);
	assert_int_equal(decode_with(88, 8, 5 * MIB - 4096), FILEMAP_ECORRUPT); /* end not canonical */
	assert_int_equal(decode_with(88, 8, 5 * MIB + 4096), 0);
	assert_int_equal(decode_with(88, 8, 4096), FILEMAP_ECORRUPT); /* end below first */
	assert_int_equal(decode_with(112, 8, 6), FILEMAP_ECORRUPT);
}

/* ---- the file ---- */

static int meta_file(const struct t_dir *dir)
{
	int fd = fm__sys_openat(dir->fd, "meta", O_RDWR | O_CREAT, 0666);

	assert_true(fd >= 0);
	assert_ok(fm__sys_ftruncate(fd, FM_LOG_META_SIZE));
	return fd;
}

static void put_slot(int fd, uint64_t offset, uint64_t sequence, uint64_t durable)
{
	struct fm__log_meta meta = a_meta();
	uint8_t block[FM_LOG_BLOCK];

	meta.sequence = sequence;
	meta.durable = durable;
	fm__log_meta_encode(&meta, block);
	assert_ok(fm__sys_pwrite(fd, block, sizeof block, offset));
}

static void damage(int fd, uint64_t offset)
{
	uint8_t byte;

	assert_int_equal(fm__sys_pread(fd, &byte, 1, offset), 1);
	byte ^= 0x10;
	assert_ok(fm__sys_pwrite(fd, &byte, 1, offset));
}

static void meta_read_takes_the_highest_sequence(void **state)
{
	const struct t_dir *dir = *state;
	struct fm__log_meta meta;
	int fd = meta_file(dir);

	put_slot(fd, 0, 8, 4096);
	put_slot(fd, 65536, 7, 8192);
	assert_ok(fm__log_meta_read(fd, &meta));
	assert_true(meta.sequence == 8 && meta.durable == 4096);
	put_slot(fd, 65536, 9, 8192);
	assert_ok(fm__log_meta_read(fd, &meta));
	assert_true(meta.sequence == 9 && meta.durable == 8192);
	damage(fd, 65536 + 80);
	assert_ok(fm__log_meta_read(fd, &meta));
	assert_true(meta.sequence == 8);
	damage(fd, 80);
	assert_int_equal(fm__log_meta_read(fd, &meta), FILEMAP_ECORRUPT);
	fm__sys_close(fd);
}

static void meta_slot_in_the_wrong_place_does_not_count(void **state)
{
	const struct t_dir *dir = *state;
	struct fm__log_meta meta;
	int fd = meta_file(dir);

	put_slot(fd, 65536, 8, 4096);
	assert_int_equal(fm__log_meta_read(fd, &meta), FILEMAP_ECORRUPT);
	put_slot(fd, 0, 6, 4096);
	assert_ok(fm__log_meta_read(fd, &meta));
	assert_int_equal(meta.sequence, 6);
	fm__sys_close(fd);
}

static void meta_with_one_newer_slot_is_a_version_error(void **state)
{
	const struct t_dir *dir = *state;
	struct fm__log_meta meta = a_meta();
	uint8_t block[FM_LOG_BLOCK];
	int fd = meta_file(dir);

	put_slot(fd, 0, 8, 4096);
	meta.sequence = 5;
	fm__log_meta_encode(&meta, block);
	fm__put_le32(block + 8, 2);
	fm__log_block_seal(block);
	assert_ok(fm__sys_pwrite(fd, block, sizeof block, 65536));
	assert_int_equal(fm__log_meta_read(fd, &meta), FILEMAP_EVERSION);
	damage(fd, 65536 + 100); /* a damaged one says nothing */
	assert_ok(fm__log_meta_read(fd, &meta));
	fm__sys_close(fd);
}

static void meta_cut_short_is_corrupt(void **state)
{
	const struct t_dir *dir = *state;
	struct fm__log_meta meta;
	int fd = meta_file(dir);

	put_slot(fd, 0, 8, 4096);
	assert_ok(fm__sys_ftruncate(fd, 4095));
	assert_int_equal(fm__log_meta_read(fd, &meta), FILEMAP_ECORRUPT);
	fm__sys_close(fd);
}

static void watermark_written_leaves_the_newest_slot_alone(void **state)
{
	const struct t_dir *dir = *state;
	struct fm__log_meta meta = a_meta(), found;
	uint8_t before[FM_LOG_BLOCK], after[FM_LOG_BLOCK];
	int fd = meta_file(dir);

	put_slot(fd, 0, meta.sequence, 4096); /* even */
	assert_true(fm__sys_pread(fd, before, sizeof before, 0) == sizeof before);
	meta.durable = 8192;
	assert_ok(fm__log_meta_watermark(fd, &meta));
	assert_int_equal(meta.sequence, 0x0103);
	assert_true(fm__sys_pread(fd, after, sizeof after, 0) == sizeof after);
	assert_memory_equal(before, after, sizeof before);
	assert_ok(fm__log_meta_read(fd, &found));
	assert_memory_equal(&found, &meta, sizeof meta);
	fm__sys_close(fd);
}

static void structural_update_reaches_both_slots(void **state)
{
	const struct t_dir *dir = *state;
	struct fm__log_meta meta = a_meta(), found;
	int fd = meta_file(dir);

	meta.sealed = 2;
	assert_ok(fm__log_meta_structural(fd, &meta));
	assert_int_equal(meta.sequence, 0x0104);
	damage(fd, 0);
	assert_ok(fm__log_meta_read(fd, &found));
	assert_true(found.sealed == 2 && found.sequence == 0x0103);
	damage(fd, 0);
	damage(fd, 65536);
	assert_ok(fm__log_meta_read(fd, &found));
	assert_true(found.sealed == 2 && found.sequence == 0x0104);
	assert_int_equal(t_file_size(t_path(dir, "meta")), FM_LOG_META_SIZE);
	fm__sys_close(fd);
}

T_MAIN(T_PLAIN(meta_encoded_has_each_field_at_its_offset), T_PLAIN(meta_decoded_is_what_was_encoded),
       T_PLAIN(meta_with_any_bit_flipped_is_corrupt), T_PLAIN(meta_of_a_newer_format_is_a_version_error),
       T_PLAIN(meta_with_impossible_fields_is_corrupt), T_TEST(meta_read_takes_the_highest_sequence),
       T_TEST(meta_slot_in_the_wrong_place_does_not_count),
       T_TEST(meta_with_one_newer_slot_is_a_version_error), T_TEST(meta_cut_short_is_corrupt),
       T_TEST(watermark_written_leaves_the_newest_slot_alone), T_TEST(structural_update_reaches_both_slots))
