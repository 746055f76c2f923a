/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Frames byte by byte, promises, and the trailer of a full segment. */
#include "t.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "log/format.h"

#define MIB (UINT64_C(1) << 20)
#define DATA_END (MIB - 4096)

static struct fm__log_geometry geometry(void)
{
	struct fm__log_geometry g = {.segment_size = MIB, .unit = 32};

	for (int i = 0; i < 16; i++)
		g.uuid[i] = (uint8_t)(i * 17);
	return g;
}

/* A frame with this payload, as a writer stores it; returns its size. */
static uint64_t put(uint8_t *at, struct fm__log_frame *frame, const char *payload)
{
	const struct fm__log_geometry g = geometry();
	const struct filemap_bytes part = {payload, strlen(payload)};

	frame->length = (uint32_t)part.length;
	if (frame->size == 0)
		frame->size = fm__log_frame_size(&g, part.length);
	memcpy(at + 32, payload, part.length);
	fm__log_frame_encode(&g, frame, &part, 1, at);
	return frame->size;
}

static void frame_encoded_has_each_field_at_its_offset(void **state)
{
	static const uint8_t golden[8] = {2, 0, 0, 0x10, 0x08, 0, 0, 0};
	const struct fm__log_geometry g = geometry();
	struct fm__log_frame frame = {.lsn = 4096 + 32,
				      .type = FM_LOG_DATA,
				      .flags = 0xAB01,
				      .epoch = 0x01020304,
				      .back = 0x05060708,
				      .time = 0x090A0B0C};
	uint8_t at[64] = {0}, text[16 + 8 + 8 + 20 + 5];

	(void)state;
	put(at, &frame, "hello");
	/* (4128 / 32) << 28 | 64 / 32 = 129 << 28 | 2 */
	assert_memory_equal(at, golden, 8);
	assert_memory_equal(at + 12, "\5\0\0\0\1\0\1\xAB\4\3\2\1\x08\7\6\5\x0C\x0B\x0A\x09hello", 25);

	memcpy(text, g.uuid, 16);
	memcpy(text + 16, "\x20\x10\0\0\0\0\0\0", 8);
	memcpy(text + 24, at, 8);
	memcpy(text + 32, at + 12, 25);
	assert_int_equal(fm__get_le32(at + 8), fm__crc32c(0, text, sizeof text));
	assert_int_equal(fm__get_le32(at + 8), frame.crc);
}

static void frame_of_several_parts_equals_the_frame_of_their_sum(void **state)
{
	const struct fm__log_geometry g = geometry();
	const struct filemap_bytes parts[3] = {{"he", 2}, {NULL, 0}, {"llo", 3}};
	struct fm__log_frame one = {.lsn = 4096, .type = FM_LOG_DATA, .epoch = 1}, many;
	uint8_t a[64] = {0}, b[32];

	(void)state;
	put(a, &one, "hello");
	many = one;
	fm__log_frame_encode(&g, &many, parts, 3, b);
	assert_memory_equal(a, b, 32);
}

static void frame_decoded_is_what_was_encoded(void **state)
{
	const struct fm__log_geometry g = geometry();
	struct fm__log_frame frame = {.lsn = 8192,
				      .type = FM_LOG_DATA,
				      .flags = 0x700,
				      .epoch = 9,
				      .back = 4,
				      .time = 77},
			     found;
	uint8_t at[96] = {0};

	(void)state;
	put(at, &frame, "a payload of thirty-three bytes..");
	assert_int_equal(frame.size, 96);
	assert_true(fm__log_frame_decode(&g, 8192, at, sizeof at, &found));
	assert_true(found.lsn == 8192 && found.size == 96 && found.length == 33 && found.crc == frame.crc);
	assert_true(found.type == FM_LOG_DATA && found.flags == 0x700 && found.epoch == 9);
	assert_true(found.back == 4 && found.time == 77);
}

static void frame_with_any_bit_flipped_is_invalid(void **state)
{
	const struct fm__log_geometry g = geometry();
	struct fm__log_frame frame = {.lsn = 8192, .type = FM_LOG_DATA, .epoch = 9}, found;
	uint8_t at[64] = {0};

	(void)state;
	put(at, &frame, "0123456789");
	for (size_t i = 0; i < 42 * 8; i++) {
		at[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_false(fm__log_frame_decode(&g, 8192, at, sizeof at, &found));
		at[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	memset(at + 42, 0xFF, 22); /* behind the payload nobody interprets anything */
	assert_true(fm__log_frame_decode(&g, 8192, at, sizeof at, &found));
}

static void frame_elsewhere_or_of_another_log_is_invalid(void **state)
{
	struct fm__log_geometry g = geometry();
	struct fm__log_frame frame = {.lsn = 8192, .type = FM_LOG_DATA, .epoch = 9}, found;
	uint8_t at[64] = {0};
	const uint64_t period = UINT64_C(32) << 36; /* the commit word of this position is the same */

	(void)state;
	put(at, &frame, "0123456789");
	assert_false(fm__log_frame_decode(&g, 8192 + 32, at, sizeof at, &found));
	assert_false(fm__log_frame_decode(&g, 8192 + MIB, at, sizeof at, &found));
	assert_true(fm__log_commit_word(&g, 8192, 64) == fm__log_commit_word(&g, 8192 + period, 64));
	assert_false(fm__log_frame_decode(&g, 8192 + period, at, sizeof at, &found));
	g.uuid[3] ^= 1;
	assert_false(fm__log_frame_decode(&g, 8192, at, sizeof at, &found));
}

static bool valid_at(uint64_t lsn, uint64_t size, uint64_t available)
{
	static uint8_t at[8192];
	const struct fm__log_geometry g = geometry();
	struct fm__log_frame frame = {.lsn = lsn,
				      .size = size,
				      .type = FM_LOG_PAD,
				      .flags = FM_LOG_PAD_FILL,
				      .epoch = 1},
			     found;

	memset(at, 0, sizeof at);
	put(at, &frame, "");
	return fm__log_frame_decode(&g, lsn, at, available, &found);
}

static void frame_outside_of_a_data_area_is_invalid(void **state)
{
	(void)state;
	assert_true(valid_at(4096, 32, 32));
	assert_true(valid_at(DATA_END - 32, 32, 32));
	assert_true(valid_at(DATA_END - 64, 64, 64));
	assert_true(valid_at(MIB + 4096, 32, 32));
	assert_false(valid_at(0, 32, 32));
	assert_false(valid_at(4064, 32, 32));
	assert_false(valid_at(DATA_END, 32, 32));
	assert_false(valid_at(MIB, 32, 32));
	assert_false(valid_at(DATA_END - 32, 64, 4096));
	assert_false(valid_at(4096, 64, 32));
	assert_false(valid_at(4096, 32, 31));
	assert_false(valid_at(4096 + 16, 32, 32));
}

static void frame_whose_sizes_disagree_is_invalid(void **state)
{
	const struct fm__log_geometry g = geometry();
	struct fm__log_frame data = {.lsn = 4096, .size = 32, .type = FM_LOG_DATA, .epoch = 1};
	struct fm__log_frame pad = {.lsn = 4096, .size = 64, .type = FM_LOG_PAD, .epoch = 1};
	struct fm__log_frame none = {.lsn = 4096, .size = 64, .type = FM_LOG_DATA}, found;
	uint8_t at[64] = {0};

	(void)state;
	put(at, &data, "x");
	assert_false(fm__log_frame_decode(&g, 4096, at, sizeof at, &found));
	put(at, &pad, "x");
	assert_false(fm__log_frame_decode(&g, 4096, at, sizeof at, &found));
	put(at, &none, "x"); /* epoch 0 */
	assert_false(fm__log_frame_decode(&g, 4096, at, sizeof at, &found));
	memset(at, 0, sizeof at); /* not committed */
	assert_false(fm__log_frame_decode(&g, 4096, at, sizeof at, &found));
}

/* A scan has to get over it; refusing it is the reader's matter. */
static void frame_of_an_unknown_type_is_valid(void **state)
{
	const struct fm__log_geometry g = geometry();
	struct fm__log_frame frame = {.lsn = 4096, .type = 4711, .epoch = 1}, found;
	uint8_t at[64] = {0};

	(void)state;
	put(at, &frame, "x");
	assert_true(fm__log_frame_decode(&g, 4096, at, sizeof at, &found));
	assert_int_equal(found.type, 4711);
}

static void promise_never_says_more_than_is_durable(void **state)
{
	const struct fm__log_geometry g = geometry();
	struct fm__log_frame frame = {.lsn = UINT64_C(1) << 40};
	const uint64_t lsn = frame.lsn;

	(void)state;
	assert_int_equal(fm__log_back(&g, lsn, lsn), 0);
	assert_int_equal(fm__log_back(&g, lsn, lsn - 64), 2);
	assert_int_equal(fm__log_back(&g, lsn, lsn - 65), 3);
	assert_true(fm__log_back(&g, lsn, lsn + 32) == FM_LOG_NO_PROMISE);
	/* what does not fit is no promise; a saturated one would claim too much */
	assert_true(fm__log_back(&g, lsn, lsn - UINT64_C(32) * 0xFFFFFFFE) == 0xFFFFFFFE);
	assert_true(fm__log_back(&g, lsn, lsn - UINT64_C(32) * 0xFFFFFFFF) == FM_LOG_NO_PROMISE);
	assert_true(fm__log_back(&g, lsn, 4096) == FM_LOG_NO_PROMISE);

	frame.back = 2;
	assert_true(fm__log_promise(&g, &frame) == lsn - 64);
	frame.back = FM_LOG_NO_PROMISE;
	assert_true(fm__log_promise(&g, &frame) == 0);
	frame.lsn = 4096;
	frame.back = 129;
	assert_true(fm__log_promise(&g, &frame) == 0);
}

static void frame_size_is_rounded_up_and_never_wraps(void **state)
{
	struct fm__log_geometry g = geometry();

	(void)state;
	assert_true(fm__log_frame_size(&g, 0) == 32);
	assert_true(fm__log_frame_size(&g, 1) == 64);
	assert_true(fm__log_frame_size(&g, 32) == 64);
	assert_true(fm__log_frame_size(&g, SIZE_MAX) >= SIZE_MAX);
	assert_true(fm__log_frame_size(&g, SIZE_MAX - 40) > fm__log_frame_max(&g));
	assert_true(fm__log_frame_max(&g) == (MIB - 8192) / 2);
	g.unit = 128;
	assert_true(fm__log_frame_size(&g, 1) == 128);
	assert_true(fm__log_frame_size(&g, 97) == 256);
	assert_true(fm__log_frame_max(&g) % 128 == 0);
}

/* ---- the trailer ---- */

/* Three records, a PAD in the middle, and a PAD up to the end; of segment 3. */
static void fill_segment(uint8_t *segment, uint32_t last_epoch)
{
	const uint64_t base = 3 * MIB;
	struct fm__log_frame frames[] = {
		{.lsn = base + 4096, .type = FM_LOG_DATA, .epoch = 5, .time = 20},
		{.lsn = base + 4160,
		 .size = MIB / 2,
		 .type = FM_LOG_PAD,
		 .flags = FM_LOG_PAD_ABORT,
		 .epoch = 5,
		 .time = 99},
		{.lsn = base + 4160 + MIB / 2, .type = FM_LOG_DATA, .epoch = 6, .time = 10},
		{.lsn = base + 4224 + MIB / 2, .type = FM_LOG_BATCH, .epoch = 6, .time = 30},
		{.lsn = base + 4288 + MIB / 2,
		 .size = DATA_END - 4288 - MIB / 2,
		 .type = FM_LOG_PAD,
		 .flags = FM_LOG_PAD_FILL,
		 .epoch = last_epoch,
		 .time = 1},
	};
	const struct fm__log_geometry g = geometry();
	const struct filemap_bytes batch = {"\2\0\0\0\0\0\0\0\1\0\0\0\1\0\0\0a\0\0\0\0\0\0\0b", 25};

	memset(segment, 0, MIB);
	put(segment + 4096, &frames[0], "one");
	put(segment + 4160, &frames[1], "");
	put(segment + 4160 + MIB / 2, &frames[2], "two");
	frames[3].length = 25;
	frames[3].size = 64;
	memcpy(segment + 4224 + MIB / 2 + 32, batch.data, batch.length);
	fm__log_frame_encode(&g, &frames[3], &batch, 1, segment + 4224 + MIB / 2);
	put(segment + 4288 + MIB / 2, &frames[4], "");
}

static uint8_t segment[MIB];

static void trailer_built_counts_and_chains_all_frames(void **state)
{
	static const uint64_t at[5] = {4096, 4160, 4160 + MIB / 2, 4224 + MIB / 2, 4288 + MIB / 2};
	const struct fm__log_geometry g = geometry();
	struct fm__log_trailer trailer;
	uint8_t crcs[20];

	(void)state;
	fill_segment(segment, 6);
	assert_ok(fm__log_trailer_build(&g, 3, segment, &trailer));
	for (int i = 0; i < 5; i++)
		memcpy(crcs + i * 4, segment + at[i] + 8, 4);
	assert_int_equal(trailer.chain, fm__crc32c(0, crcs, sizeof crcs));
	assert_memory_equal(trailer.uuid, g.uuid, 16);
	assert_true(trailer.n == 3 && trailer.frames == 5 && trailer.records == 4);
	assert_true(trailer.least_time == 10 && trailer.greatest_time == 30);
}

static void trailer_index_names_the_first_frame_of_each_group(void **state)
{
	const struct fm__log_geometry g = geometry();
	struct fm__log_trailer trailer;

	(void)state;
	fill_segment(segment, 6);
	assert_ok(fm__log_trailer_build(&g, 3, segment, &trailer));
	/* groups of 4096 bytes: 0 and 1 start at or before 4096 */
	assert_true(trailer.index[0].first == 128 && trailer.index[0].time == 0);
	assert_true(trailer.index[1].first == 128 && trailer.index[1].time == 0);
	/* 2 .. 129 end in the big PAD; the next frame is at 4160 + 2^19, behind 129 * 4096 = 2^19 + 4096 */
	for (int i = 2; i <= 129; i++) {
		assert_int_equal(trailer.index[i].first, (4160 + MIB / 2) / 32);
		assert_int_equal(trailer.index[i].time, 20);
	}
	for (int i = 130; i < 256; i++) {
		assert_int_equal(trailer.index[i].first, 0);
		assert_int_equal(trailer.index[i].time, 30);
	}
}

static void trailer_of_a_broken_run_is_refused(void **state)
{
	const struct fm__log_geometry g = geometry();
	struct fm__log_trailer trailer;

	(void)state;
	fill_segment(segment, 5); /* the epoch falls */
	assert_int_equal(fm__log_trailer_build(&g, 3, segment, &trailer), FILEMAP_ECORRUPT);
	fill_segment(segment, 6);
	assert_int_equal(fm__log_trailer_build(&g, 4, segment, &trailer), FILEMAP_ECORRUPT);
	segment[4160 + MIB / 2 + 33] ^= 1;
	assert_int_equal(fm__log_trailer_build(&g, 3, segment, &trailer), FILEMAP_ECORRUPT);
	fill_segment(segment, 6);
	memset(segment + 4288 + MIB / 2, 0, 32);
	assert_int_equal(fm__log_trailer_build(&g, 3, segment, &trailer), FILEMAP_ECORRUPT);
}

T_MAIN(T_PLAIN(frame_encoded_has_each_field_at_its_offset),
       T_PLAIN(frame_of_several_parts_equals_the_frame_of_their_sum),
       T_PLAIN(frame_decoded_is_what_was_encoded), T_PLAIN(frame_with_any_bit_flipped_is_invalid),
       T_PLAIN(frame_elsewhere_or_of_another_log_is_invalid),
       T_PLAIN(frame_outside_of_a_data_area_is_invalid), T_PLAIN(frame_whose_sizes_disagree_is_invalid),
       T_PLAIN(frame_of_an_unknown_type_is_valid), T_PLAIN(promise_never_says_more_than_is_durable),
       T_PLAIN(frame_size_is_rounded_up_and_never_wraps), T_PLAIN(trailer_built_counts_and_chains_all_frames),
       T_PLAIN(trailer_index_names_the_first_frame_of_each_group),
       T_PLAIN(trailer_of_a_broken_run_is_refused))
