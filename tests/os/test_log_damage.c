/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The damage matrix: each kind of damage to a 4 KiB block, all over a log of three segments, with the class
 * that each cell must get. What is expected is worked out here from the list of the frames that were written,
 * not from the code under test.
 *
 *   segments 0 and 1: full and sealed, meta.sealed = 2
 *   segment 2: frames, from `durable` on without a promise, then zeros
 */
#include "log/recover.h"
#include "log_image.h"

#define SEGMENTS 3
#define BLOCKS (IMAGE_SEGMENT / FM_LOG_BLOCK)

enum kind { FLIP, ZERO, SWAP, DUPLICATE, STALE, MISPLACE, KINDS };

static uint8_t whole[SEGMENTS][IMAGE_SEGMENT], hurt[SEGMENTS][IMAGE_SEGMENT];

static struct image *build(const struct t_dir *dir)
{
	struct image *image = image_new(dir);

	for (int n = 0; n < 2; n++) {
		image_fill_segment(image, 1);
		image_add_segment(image);
		image_seal(image, (uint64_t)n);
	}
	for (int i = 0; i < 100; i++)
		image_append(image, 2048 + 32 * (uint64_t)(i % 5), FM_LOG_DATA, image->tail);
	image->meta.sealed = 2;
	image->meta.durable = image->tail;
	image_meta(image);
	for (int i = 0; i < 100; i++)
		image_append(image, 1024 + 32 * (uint64_t)(i % 7), FM_LOG_DATA, 0);
	for (uint64_t n = 0; n < SEGMENTS; n++)
		image_read(image, n * IMAGE_SEGMENT, whole[n], IMAGE_SEGMENT);
	memcpy(hurt, whole, sizeof hurt);
	return image;
}

/* Apply the damage to `hurt` and say which blocks of the segment it touches. */
static void damage(enum kind kind, uint64_t n, uint64_t block, uint64_t *ret_low, uint64_t *ret_high)
{
	uint8_t *at = hurt[n] + block * FM_LOG_BLOCK;
	uint64_t other = block + 1 < BLOCKS ? block + 1 : block - 1;

	*ret_low = *ret_high = block;
	if (kind == FLIP) {
		at[(block * 37) % FM_LOG_BLOCK] ^= (uint8_t)(1u << block % 8);
	} else if (kind == ZERO) {
		memset(at, 0, FM_LOG_BLOCK);
	} else if (kind == STALE) { /* as it was when only its first half had been written */
		memset(at + FM_LOG_BLOCK / 2, 0, FM_LOG_BLOCK / 2);
	} else if (kind == DUPLICATE) {
		memcpy(at, whole[n] + other * FM_LOG_BLOCK, FM_LOG_BLOCK);
	} else if (kind == MISPLACE) {
		memcpy(at, whole[(n + 1) % SEGMENTS] + block * FM_LOG_BLOCK, FM_LOG_BLOCK);
	} else {
		memcpy(at, whole[n] + other * FM_LOG_BLOCK, FM_LOG_BLOCK);
		memcpy(hurt[n] + other * FM_LOG_BLOCK, whole[n] + block * FM_LOG_BLOCK, FM_LOG_BLOCK);
		*ret_low = FM_MIN(block, other);
		*ret_high = FM_MAX(block, other);
	}
}

static void put_blocks(const struct image *image, uint64_t n, uint64_t low, uint64_t high,
		       const uint8_t *bytes)
{
	char name[FM_LOG_NAME_SIZE];
	int fd;

	fm__log_segment_name(n, "seg", name);
	fd = fm__sys_openat(image->dir.fd, name, O_RDWR, 0);
	assert_true(fd >= 0);
	assert_ok(fm__sys_pwrite(fd, bytes + low * FM_LOG_BLOCK, (high - low + 1) * FM_LOG_BLOCK,
				 low * FM_LOG_BLOCK));
	fm__sys_close(fd);
}

/* First byte of [from, to) in segment n that differs; `to` if none does. */
static uint64_t first_change(uint64_t n, uint64_t from, uint64_t to)
{
	while (from < to && whole[n][from] == hurt[n][from])
		from++;
	return from;
}

static bool is_blank(uint64_t n, uint64_t from, uint64_t to)
{
	while (from < to && hurt[n][from] == 0)
		from++;
	return from == to;
}

/* The end of the log after damage to the data area of segment n: the start of the frame that was hit. */
static uint64_t end_after(const struct image *image, uint64_t n, uint64_t change)
{
	uint64_t lsn = n * IMAGE_SEGMENT + change, end = image->tail;

	for (uint32_t i = 0; i < image->count; i++) {
		const struct image_record *record = &image->records[i];

		if (lsn >= record->lsn && lsn < record->lsn + record->size)
			return record->lsn;
	}
	return end;
}

static void check_cell(const struct image *image, uint64_t n)
{
	const uint64_t data_end = IMAGE_SEGMENT - FM_LOG_BLOCK;
	uint64_t change = first_change(n, FM_LOG_BLOCK, data_end), end = image->tail;
	bool header = first_change(n, 0, FM_LOG_BLOCK) != FM_LOG_BLOCK;
	bool seal = n < 2 && first_change(n, data_end, IMAGE_SEGMENT) != IMAGE_SEGMENT;
	struct filemap_error error = {0};
	struct fm__log_found found;
	uint32_t state;
	int r = fm__log_examine(&image->dir, FM_LOG_EXAMINE_ALL, &found, &error);

	if (header) {
		assert_int_equal(r, FILEMAP_ECORRUPT);
		assert_int_equal(error.offset, n * IMAGE_SEGMENT + FM_LOG_BLOCK);
		return;
	}
	assert_int_equal(r, 0);
	if (change != data_end)
		end = end_after(image, n, change);
	if (seal)
		end = FM_MIN(end, (n + 1) * IMAGE_SEGMENT + FM_LOG_BLOCK);
	if (end < image->meta.durable || seal)
		state = FILEMAP_LOG_CORRUPT;
	else
		state = is_blank(2, end % IMAGE_SEGMENT, data_end) ? FILEMAP_LOG_CLEAN : FILEMAP_LOG_TORN;
	assert_int_equal(found.end, end);
	assert_int_equal(found.state, state);
	/* what is served is a prefix of what was written, to the byte */
	assert_int_equal(found.records, image_check_records(image, 0, end));
}

/* Without the deep look the damage in a sealed segment may be missed, but nothing may be made up. */
static void check_opening(const struct image *image, uint64_t n)
{
	struct fm__log_found found;
	int r = fm__log_examine(&image->dir, 0, &found, NULL);

	if (r == FILEMAP_ECORRUPT) {
		assert_int_equal(n, 2);
		return;
	}
	assert_int_equal(r, 0);
	assert_true(found.end <= image->tail);
	if (n < 2)
		assert_int_equal(found.end, image->tail);
}

static void run_kind(const struct t_dir *dir, enum kind kind)
{
	struct image *image = build(dir);
	uint64_t low, high;

	check_cell(image, 0);
	for (uint64_t n = 0; n < SEGMENTS; n++) {
		for (uint64_t block = 0; block < BLOCKS; block += block < 3 || block > BLOCKS - 5 ? 1 : 35) {
			damage(kind, n, block, &low, &high);
			put_blocks(image, n, low, high, hurt[n]);
			check_cell(image, n);
			check_opening(image, n);
			put_blocks(image, n, low, high, whole[n]);
			memcpy(hurt[n] + low * FM_LOG_BLOCK, whole[n] + low * FM_LOG_BLOCK,
			       (high - low + 1) * FM_LOG_BLOCK);
		}
	}
	check_cell(image, 0);
	image_close(image);
}

static void damage_of_one_bit_is_found_wherever_it_is(void **state)
{
	run_kind(*state, FLIP);
}

static void damage_by_zeroed_block_is_found_wherever_it_is(void **state)
{
	run_kind(*state, ZERO);
}

static void damage_by_swapped_blocks_is_found_wherever_it_is(void **state)
{
	run_kind(*state, SWAP);
}

static void damage_by_duplicated_block_is_found_wherever_it_is(void **state)
{
	run_kind(*state, DUPLICATE);
}

static void damage_by_stale_block_is_found_wherever_it_is(void **state)
{
	run_kind(*state, STALE);
}

static void damage_by_block_of_another_segment_is_found_wherever_it_is(void **state)
{
	run_kind(*state, MISPLACE);
}

T_MAIN(T_TEST(damage_of_one_bit_is_found_wherever_it_is),
       T_TEST(damage_by_zeroed_block_is_found_wherever_it_is),
       T_TEST(damage_by_swapped_blocks_is_found_wherever_it_is),
       T_TEST(damage_by_duplicated_block_is_found_wherever_it_is),
       T_TEST(damage_by_stale_block_is_found_wherever_it_is),
       T_TEST(damage_by_block_of_another_segment_is_found_wherever_it_is))
