/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Conformance: one long round through a mapping (items B1 to B15), on memory and on a file with the same
 * results. Each step starts from what the one before it needs, so that it can be run alone.
 */
#include "conform.h"

#define ROOM 8096
#define FIRST "Hello, plain file"           /* 17 */
#define SECOND "Hello, modified plain file" /* 26 */
#define FIRST_SIZE (sizeof FIRST - 1)
#define SECOND_SIZE (sizeof SECOND - 1)

typedef void step(struct filemap *map, const struct t_dir *dir);

static void on_both(void **state, step *run)
{
	struct filemap *memory = memory_ok(FILEMAP_WRITE, NULL, 0);
	struct filemap *file = create_ok(t_path(*state, "file"), 0);
	run(memory, *state);
	filemap_close(memory);
	run(file, *state);
	filemap_close(file);
}

static void grow(struct filemap *map)
{
	assert_ok(filemap_resize(map, ROOM, NULL));
	assert_int_equal(filemap_size(map), ROOM);
}

static struct filemap_i128 i128(int64_t value)
{
	return (struct filemap_i128){.low = (uint64_t)value, .high = value < 0 ? -1 : 0};
}

static struct filemap_u128 u128(uint64_t value)
{
	return (struct filemap_u128){.low = value};
}

/* XX(suffix, type, position, value), without gaps: pointer-sized numbers are 64 bits wide. */
#define SIGNED_ROW(XX)                                   \
	XX(i8, int8_t, 100, -8)                          \
	XX(i16be, int16_t, 101, -16)                     \
	XX(i16le, int16_t, 103, -61)                     \
	XX(i32be, int32_t, 105, -32)                     \
	XX(i32le, int32_t, 109, -23)                     \
	XX(i64be, int64_t, 113, -64)                     \
	XX(i64le, int64_t, 121, -46)                     \
	XX(i64be, int64_t, 129, -64)                     \
	XX(i64le, int64_t, 137, -46)                     \
	XX(i128be, struct filemap_i128, 145, i128(-128)) \
	XX(i128le, struct filemap_i128, 161, i128(-821)) \
	XX(f32be, float, 177, 32.0f)                     \
	XX(f32le, float, 181, 23.0f)                     \
	XX(f64be, double, 185, 64.0)                     \
	XX(f64le, double, 193, 46.0)

#define UNSIGNED_ROW(XX)                               \
	XX(u8, uint8_t, 0, 8)                          \
	XX(u16be, uint16_t, 1, 16)                     \
	XX(u16le, uint16_t, 3, 61)                     \
	XX(u32be, uint32_t, 5, 32)                     \
	XX(u32le, uint32_t, 9, 23)                     \
	XX(u64be, uint64_t, 13, 64)                    \
	XX(u64le, uint64_t, 21, 46)                    \
	XX(u64be, uint64_t, 29, 64)                    \
	XX(u64le, uint64_t, 37, 46)                    \
	XX(u128be, struct filemap_u128, 45, u128(128)) \
	XX(u128le, struct filemap_u128, 61, u128(821))

/* At a position that the cursor has to have reached by itself. */
#define CURSOR_WRITE(suffix, type, at, value)               \
	assert_int_equal(filemap_cursor_tell(&cursor), at); \
	assert_ok(filemap_cursor_write_##suffix(&cursor, value));

#define CURSOR_READ(suffix, type, at, value)                            \
	{                                                               \
		const type expected = value;                            \
		type got;                                               \
		memset(&got, 0, sizeof got);                            \
		assert_int_equal(filemap_cursor_tell(&cursor), at);     \
		assert_ok(filemap_cursor_read_##suffix(&cursor, &got)); \
		assert_memory_equal(&got, &expected, sizeof got);       \
	}

#define WRITE(suffix, type, at, value) assert_ok(filemap_write_##suffix(map, at, value));

#define READ(suffix, type, at, value)                             \
	{                                                         \
		const type expected = value;                      \
		type got;                                         \
		memset(&got, 0, sizeof got);                      \
		assert_ok(filemap_read_##suffix(map, at, &got));  \
		assert_memory_equal(&got, &expected, sizeof got); \
	}

static void step_grow(struct filemap *map, const struct t_dir *dir)
{
	(void)dir;
	assert_int_equal(filemap_size(map), 0);
	assert_non_null(filemap_data_mut(map));
	grow(map);
	assert_zeros(map, 0, ROOM);
}

static void step_write_row(struct filemap *map)
{
	struct filemap_cursor cursor;
	assert_ok(filemap_cursor_init(&cursor, map, 0, FILEMAP_TO_END));
	assert_ok(filemap_cursor_write_all(&cursor, FIRST, FIRST_SIZE));
	assert_int_equal(filemap_cursor_seek(&cursor, 100, SEEK_SET), 100);
	SIGNED_ROW(CURSOR_WRITE)
	assert_int_equal(filemap_cursor_tell(&cursor), 201);
	assert_ok(filemap_flush(map));
	assert_int_equal(filemap_cursor_seek(&cursor, 0, SEEK_END), ROOM);
}

static void step_row(struct filemap *map, const struct t_dir *dir)
{
	struct filemap_cursor cursor;
	char text[FIRST_SIZE];
	(void)dir;
	grow(map);
	step_write_row(map);
	assert_ok(filemap_cursor_init(&cursor, map, 0, FILEMAP_TO_END));
	assert_ok(filemap_cursor_read_exact(&cursor, text, sizeof text));
	assert_memory_equal(text, FIRST, FIRST_SIZE);
	assert_int_equal(filemap_cursor_seek(&cursor, 100, SEEK_SET), 100);
	SIGNED_ROW(CURSOR_READ)
	/* Both orders as they lie in the file: -16 big-endian, -61 little-endian. */
	assert_memory_equal((const char *)filemap_data(map) + 101, "\xFF\xF0\xC3\xFF", 4);
}

static void step_part(struct filemap *map, const struct t_dir *dir)
{
	struct filemap_cursor cursor;
	(void)dir;
	grow(map);
	assert_ok(filemap_cursor_init(&cursor, map, 7800, 96));
	UNSIGNED_ROW(CURSOR_WRITE)
	assert_int_equal(filemap_cursor_remaining(&cursor), 96 - 77);
	assert_ok(filemap_flush_range(map, 7800, 96));
	assert_ok(filemap_cursor_init(&cursor, map, 7800, 96));
	UNSIGNED_ROW(CURSOR_READ)
	assert_zeros(map, 0, 7800);
	assert_zeros(map, 7800 + 77, ROOM - 7800 - 77);
}

#define UNSIGNED_PLACES(XX)                              \
	XX(u8, uint8_t, 1000, 8)                         \
	XX(u16be, uint16_t, 1001, 16)                    \
	XX(u32be, uint32_t, 1003, 32)                    \
	XX(u64be, uint64_t, 1007, 64)                    \
	XX(u128be, struct filemap_u128, 1015, u128(128)) \
	XX(u16le, uint16_t, 1031, 16)                    \
	XX(u32le, uint32_t, 1033, 32)                    \
	XX(u64le, uint64_t, 1037, 64)                    \
	XX(u128le, struct filemap_u128, 1045, u128(128)) \
	XX(u64be, uint64_t, 1061, 64)                    \
	XX(u64le, uint64_t, 1069, 64)

static void step_unsigned(struct filemap *map, const struct t_dir *dir)
{
	(void)dir;
	grow(map);
	UNSIGNED_PLACES(WRITE)
	UNSIGNED_PLACES(READ)
}

#define SIGNED_PLACES(XX)                                 \
	XX(i8, int8_t, 2000, -8)                          \
	XX(i16be, int16_t, 2001, -16)                     \
	XX(i32be, int32_t, 2003, -32)                     \
	XX(i64be, int64_t, 2007, -64)                     \
	XX(i128be, struct filemap_i128, 2015, i128(-128)) \
	XX(i16le, int16_t, 2031, -16)                     \
	XX(i32le, int32_t, 2033, -32)                     \
	XX(i64le, int64_t, 2037, -64)                     \
	XX(i128le, struct filemap_i128, 2045, i128(-128)) \
	XX(i64be, int64_t, 2061, -64)                     \
	XX(i64le, int64_t, 2069, -64)

static void step_signed(struct filemap *map, const struct t_dir *dir)
{
	(void)dir;
	grow(map);
	SIGNED_PLACES(WRITE)
	SIGNED_PLACES(READ)
}

#define FLOAT_PLACES(XX)              \
	XX(f32be, float, 3000, 32.0f) \
	XX(f32le, float, 3004, 32.0f) \
	XX(f64be, double, 3008, 64.0) \
	XX(f64le, double, 3016, 64.0)

static void step_floats(struct filemap *map, const struct t_dir *dir)
{
	(void)dir;
	grow(map);
	FLOAT_PLACES(WRITE)
	FLOAT_PLACES(READ)
	assert_int_equal(((const unsigned char *)filemap_data(map))[3000], 0x42);
	assert_int_equal(((const unsigned char *)filemap_data(map))[3007], 0x42);
}

static void step_zero(struct filemap *map, const struct t_dir *dir)
{
	step_floats(map, dir);
	assert_ok(filemap_write_u8(map, 2999, 1));
	assert_ok(filemap_write_u8(map, 3024, 1));
	assert_ok(filemap_zero(map, 3000, 24));
	assert_zeros(map, 3000, 24);
	assert_int_equal(((const char *)filemap_data(map))[2999], 1);
	assert_int_equal(((const char *)filemap_data(map))[3024], 1);
}

static void shrink_and_regrow(struct filemap *map)
{
	grow(map);
	assert_ok(filemap_write_all(map, 0, SECOND, SECOND_SIZE));
	assert_ok(filemap_resize(map, 0, NULL));
	assert_int_equal(filemap_size(map), 0);
	assert_ok(filemap_resize(map, 100, NULL));
	assert_int_equal(filemap_size(map), 100);
}

static void step_regrow(struct filemap *map, const struct t_dir *dir)
{
	(void)dir;
	shrink_and_regrow(map);
	assert_zeros(map, 0, 100);
}

static void step_pointers(struct filemap *map, const struct t_dir *dir)
{
	const void *slice = NULL;
	void *slot = NULL;
	char got[SECOND_SIZE];
	(void)dir;
	shrink_and_regrow(map);
	assert_ok(filemap_slice_mut(map, 0, FIRST_SIZE, &slot));
	memcpy(slot, FIRST, FIRST_SIZE);
	assert_text_at(map, 0, FIRST);
	assert_int_equal(filemap_write_some(map, 0, SECOND, SECOND_SIZE), SECOND_SIZE);
	assert_ok(filemap_slice(map, 0, SECOND_SIZE, &slice));
	assert_memory_equal(slice, SECOND, SECOND_SIZE);
	assert_int_equal(filemap_read_some(map, 0, got, sizeof got), SECOND_SIZE);
	assert_memory_equal(got, SECOND, SECOND_SIZE);
}

static void step_number_by_pointer(struct filemap *map, const struct t_dir *dir)
{
	uint32_t value = 0;
	void *slot = NULL;
	(void)dir;
	shrink_and_regrow(map);
	assert_ok(filemap_slice_mut(map, SECOND_SIZE, 4, &slot));
	memcpy(slot, "\0\0\0\x20", 4);
	assert_ok(filemap_read_u32be(map, SECOND_SIZE, &value));
	assert_int_equal(value, 32);
}

static void step_copy(struct filemap *map, const struct t_dir *dir)
{
	char all[100], part[SECOND_SIZE];
	const char *whole = t_path(dir, "whole"), *some = t_path(dir, "part");
	shrink_and_regrow(map);
	assert_ok(filemap_write_all(map, 0, SECOND, SECOND_SIZE));
	assert_ok(filemap_read_exact(map, 0, all, sizeof all));
	assert_memory_equal(all, SECOND, SECOND_SIZE);
	assert_ok(filemap_read_exact(map, 0, part, sizeof part));
	assert_memory_equal(part, SECOND, SECOND_SIZE);
	assert_ok(filemap_copy_to(map, 0, FILEMAP_TO_END, whole, NULL));
	assert_ok(filemap_copy_to(map, 0, SECOND_SIZE, some, NULL));
	assert_int_equal(t_read_file(whole, all, sizeof all), 100);
	assert_memory_equal(all, filemap_data(map), 100);
	assert_int_equal(t_file_size(whole), 100);
	assert_file(some, SECOND);
	assert_ok(unlink(whole));
	assert_ok(unlink(some));
}

static void conform_B1_B2_fresh_mapping_is_empty_and_grows(void **state)
{
	on_both(state, step_grow);
}

static void conform_B3_B4_cursor_reads_the_row_that_it_wrote(void **state)
{
	on_both(state, step_row);
}

static void conform_B5_cursor_on_a_part_stays_in_it(void **state)
{
	on_both(state, step_part);
}

static void conform_B6_unsigned_numbers_come_back(void **state)
{
	on_both(state, step_unsigned);
}

static void conform_B7_signed_numbers_come_back(void **state)
{
	on_both(state, step_signed);
}

static void conform_B8_floating_numbers_come_back(void **state)
{
	on_both(state, step_floats);
}

static void conform_B9_zeroing_touches_its_range_only(void **state)
{
	on_both(state, step_zero);
}

static void conform_B10_emptied_mapping_grows_again_with_zeros(void **state)
{
	on_both(state, step_regrow);
}

static void conform_B11_B12_pointers_and_copies_show_the_same_bytes(void **state)
{
	on_both(state, step_pointers);
}

static void conform_B13_number_stored_by_pointer_is_read_by_its_order(void **state)
{
	on_both(state, step_number_by_pointer);
}

static void conform_B14_B15_copies_in_memory_and_in_new_files_are_equal(void **state)
{
	on_both(state, step_copy);
}

T_MAIN(T_TEST(conform_B1_B2_fresh_mapping_is_empty_and_grows),
       T_TEST(conform_B3_B4_cursor_reads_the_row_that_it_wrote),
       T_TEST(conform_B5_cursor_on_a_part_stays_in_it), T_TEST(conform_B6_unsigned_numbers_come_back),
       T_TEST(conform_B7_signed_numbers_come_back), T_TEST(conform_B8_floating_numbers_come_back),
       T_TEST(conform_B9_zeroing_touches_its_range_only),
       T_TEST(conform_B10_emptied_mapping_grows_again_with_zeros),
       T_TEST(conform_B11_B12_pointers_and_copies_show_the_same_bytes),
       T_TEST(conform_B13_number_stored_by_pointer_is_read_by_its_order),
       T_TEST(conform_B14_B15_copies_in_memory_and_in_new_files_are_equal))
