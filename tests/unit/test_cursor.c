/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Cursors: the position after every success and every refusal, at the edges of the part and the window. */
#include "t.h"

#include <errno.h>

#include <filemap/filemap.h>

#include "map/private.h"

static struct filemap *open_bytes(void **state, unsigned mode, const void *bytes, size_t length)
{
	struct filemap *map = NULL;
	t_write_file(t_path(*state, "file"), bytes, length);
	assert_ok(filemap_open(t_path(*state, "file"), mode, NULL, &map, NULL));
	return map;
}

static struct filemap *open_ones(void **state, size_t length)
{
	unsigned char bytes[8096];
	memset(bytes, 1, sizeof bytes);
	return open_bytes(state, FILEMAP_WRITE, bytes, length);
}

static struct filemap_cursor begin(struct filemap *map, size_t offset, size_t length)
{
	struct filemap_cursor cursor;
	assert_ok(filemap_cursor_init(&cursor, map, offset, length));
	return cursor;
}

/* W1 */
static void reading_goes_from_front_to_back(void **state)
{
	struct filemap *map = open_ones(state, 8096);
	struct filemap_cursor cursor = begin(map, 0, FILEMAP_TO_END);
	unsigned char bytes[10] = {0};
	const void *next;

	assert_int_equal(filemap_cursor_size(&cursor), 8096);
	assert_int_equal(filemap_cursor_tell(&cursor), 0);
	assert_int_equal(filemap_cursor_read_some(&cursor, bytes, 10), 10);
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(bytes[i], 1);
	assert_ok(filemap_cursor_peek(&cursor, FILEMAP_TO_END, &next));
	assert_ptr_equal(next, (const char *)filemap_data(map) + 10);
	assert_int_equal(filemap_cursor_tell(&cursor), 10);
	assert_int_equal(filemap_cursor_skip(&cursor, 8096), FILEMAP_ERANGE);
	assert_ok(filemap_cursor_skip(&cursor, 8086));
	assert_int_equal(filemap_cursor_remaining(&cursor), 0);
	assert_int_equal(filemap_cursor_read_some(&cursor, bytes, 10), 0);
	filemap_close(map);
}

/* W1, W2 */
static void part_of_a_window_has_its_own_end(void **state)
{
	struct filemap *map = open_ones(state, 8096);
	struct filemap_cursor cursor = begin(map, 100, 100);
	const void *next;

	assert_int_equal(filemap_cursor_remaining(&cursor), 100);
	assert_ok(filemap_cursor_skip(&cursor, 10));
	assert_int_equal(filemap_cursor_remaining(&cursor), 90);
	assert_ok(filemap_cursor_peek(&cursor, 90, &next));
	assert_ptr_equal(next, (const char *)filemap_data(map) + 110);
	assert_int_equal(filemap_cursor_peek(&cursor, 91, &next), FILEMAP_ERANGE);
	filemap_close(map);
}

/* W2, T20 */
static void cursor_that_wrote_can_read_it_back(void **state)
{
	struct filemap *map = open_ones(state, 256);
	struct filemap_cursor cursor = begin(map, 0, 256);
	char bytes[5] = "";

	assert_ok(filemap_cursor_skip(&cursor, 4));
	assert_ok(filemap_cursor_write_all(&cursor, "data", 4));
	assert_int_equal(filemap_cursor_seek(&cursor, -4, SEEK_CUR), 4);
	assert_ok(filemap_cursor_read_exact(&cursor, bytes, 4));
	assert_string_equal(bytes, "data");
	assert_int_equal(filemap_cursor_seek(&cursor, 0, SEEK_SET), 0);
	assert_ok(filemap_flush(map));
	filemap_close(map);
}

/* P37 */
static void writing_stops_at_the_end_of_the_part(void **state)
{
	static const char expected[] = "0123abcdefghCDEF";
	struct filemap *map = open_bytes(state, FILEMAP_WRITE, "0123456789ABCDEF", 16);
	struct filemap_cursor cursor = begin(map, 4, 8);

	assert_int_equal(filemap_cursor_write_some(&cursor, "abcdef", 6), 6);
	assert_int_equal(filemap_cursor_write_some(&cursor, "ghijkl", 6), 2);
	assert_int_equal(filemap_cursor_write_some(&cursor, "m", 1), 0);
	assert_int_equal(filemap_cursor_write_all(&cursor, "m", 1), FILEMAP_ERANGE);
	assert_int_equal(filemap_cursor_write_u16le(&cursor, 0), FILEMAP_ERANGE);
	assert_int_equal(filemap_cursor_tell(&cursor), 8);
	assert_int_equal(filemap_cursor_seek(&cursor, -2, SEEK_END), 6);
	assert_int_equal(filemap_cursor_write_u32le(&cursor, 0), FILEMAP_ERANGE);
	assert_int_equal(filemap_cursor_tell(&cursor), 6);
	assert_memory_equal(filemap_data(map), expected, 16);
	filemap_close(map);
}

/* P37: a position behind the end is one, where nothing can be done. */
static void seek_goes_behind_the_end_but_not_before_the_start(void **state)
{
	struct filemap *map = open_ones(state, 16);
	struct filemap_cursor cursor = begin(map, 4, 8);
	const void *next;
	uint8_t value;
	char byte;

	assert_int_equal(filemap_cursor_seek(&cursor, 100, SEEK_SET), 100);
	assert_int_equal(filemap_cursor_tell(&cursor), 100);
	assert_int_equal(filemap_cursor_remaining(&cursor), 0);
	assert_int_equal(filemap_cursor_write_some(&cursor, "x", 1), 0);
	assert_int_equal(filemap_cursor_read_some(&cursor, &byte, 1), 0);
	assert_int_equal(filemap_cursor_read_u8(&cursor, &value), FILEMAP_ERANGE);
	assert_int_equal(filemap_cursor_write_u8(&cursor, 0), FILEMAP_ERANGE);
	assert_ok(filemap_cursor_peek(&cursor, FILEMAP_TO_END, &next));
	assert_ptr_equal(next, (const char *)filemap_data(map) + 12);
	assert_int_equal(filemap_cursor_skip(&cursor, 1), FILEMAP_ERANGE);
	assert_int_equal(filemap_cursor_seek(&cursor, -101, SEEK_CUR), FILEMAP_ERANGE);
	assert_int_equal(filemap_cursor_seek(&cursor, -9, SEEK_END), FILEMAP_ERANGE);
	assert_int_equal(filemap_cursor_seek(&cursor, -1, SEEK_SET), FILEMAP_ERANGE);
	assert_int_equal(filemap_cursor_seek(&cursor, 0, 77), FILEMAP_EOPTION);
	assert_int_equal(filemap_cursor_tell(&cursor), 100);
	assert_int_equal(filemap_cursor_seek(&cursor, -100, SEEK_CUR), 0);
	filemap_close(map);
}

static void position_never_exceeds_int64(void **state)
{
	struct filemap *map = open_ones(state, 16);
	struct filemap_cursor cursor = begin(map, 8, FILEMAP_TO_END);
	uint64_t value;

	assert_true(filemap_cursor_seek(&cursor, INT64_MAX, SEEK_SET) == INT64_MAX);
	assert_int_equal(filemap_cursor_seek(&cursor, 1, SEEK_CUR), FILEMAP_ERANGE);
	assert_int_equal(filemap_cursor_seek(&cursor, INT64_MAX, SEEK_END), FILEMAP_ERANGE);
	assert_int_equal(filemap_cursor_read_u64le(&cursor, &value), FILEMAP_ERANGE);
	assert_int_equal(filemap_cursor_write_u64le(&cursor, 1), FILEMAP_ERANGE);
	assert_true(filemap_cursor_tell(&cursor) == INT64_MAX);
	filemap_close(map);
}

/* P38: the position stays. */
static void typed_read_that_fails_leaves_the_position(void **state)
{
	struct filemap *map = open_bytes(state, FILEMAP_READ, "12345", 5);
	struct filemap_cursor cursor = begin(map, 0, FILEMAP_TO_END);
	uint32_t u32 = 77;
	uint8_t u8;
	char bytes[4];

	assert_ok(filemap_cursor_read_u8(&cursor, &u8));
	assert_ok(filemap_cursor_read_u8(&cursor, &u8));
	assert_int_equal(filemap_cursor_read_u32be(&cursor, &u32), FILEMAP_ERANGE);
	assert_int_equal(u32, 77);
	assert_int_equal(filemap_cursor_tell(&cursor), 2);
	assert_int_equal(filemap_cursor_read_exact(&cursor, bytes, 4), FILEMAP_ERANGE);
	assert_int_equal(filemap_cursor_read_exact(&cursor, bytes, FILEMAP_TO_END), FILEMAP_ERANGE);
	assert_int_equal(filemap_cursor_tell(&cursor), 2);
	assert_int_equal(filemap_cursor_read_some(&cursor, bytes, 4), 3);
	assert_memory_equal(bytes, "345", 3);
	assert_int_equal(filemap_cursor_read_some(&cursor, bytes, 4), 0);
	filemap_close(map);
}

#define ONE_OF_EACH(suffix, type, length, order)                           \
	assert_ok(filemap_cursor_write_##suffix(&writer, suffix##_value)); \
	at += (length);                                                    \
	assert_int_equal(filemap_cursor_tell(&writer), at);

#define EACH_BACK(suffix, type, length, order)                            \
	{                                                                 \
		type back;                                                \
		assert_ok(filemap_cursor_read_##suffix(&reader, &back));  \
		assert_memory_equal(&back, &suffix##_value, sizeof back); \
		at += (length);                                           \
		assert_int_equal(filemap_cursor_tell(&reader), at);       \
	}

#define VALUE_OF_EACH(suffix, type, length, order) \
	type suffix##_value;                       \
	memset(&suffix##_value, 0x30 + (length), sizeof suffix##_value);

static void numbers_of_every_type_come_back_in_their_order(void **state)
{
	struct filemap *map = open_ones(state, 8096);
	struct filemap_cursor writer = begin(map, 3, FILEMAP_TO_END);
	struct filemap_cursor reader = writer;
	uint64_t at = 0;
	FILEMAP_ACCESS_TYPES(VALUE_OF_EACH)

	FILEMAP_ACCESS_TYPES(ONE_OF_EACH)
	at = 0;
	FILEMAP_ACCESS_TYPES(EACH_BACK)
	assert_int_equal(at, 2 + 6 * 2 + 9 * 4 + 9 * 8 + 6 * 16);
	filemap_close(map);
}

static void typed_accessors_start_where_the_part_does(void **state)
{
	struct filemap *map = open_bytes(state, FILEMAP_WRITE, "0123456789", 10);
	struct filemap_cursor cursor = begin(map, 3, 4);
	uint16_t value = 0;

	assert_ok(filemap_cursor_read_u16be(&cursor, &value));
	assert_int_equal(value, '3' << 8 | '4');
	assert_ok(filemap_cursor_write_u16be(&cursor, 'a' << 8 | 'b'));
	assert_memory_equal(filemap_data(map), "01234ab789", 10);
	assert_int_equal(filemap_cursor_read_u8(&cursor, (uint8_t[1]){0}), FILEMAP_ERANGE);
	filemap_close(map);
}

static void lines_are_read_until_their_end(void **state)
{
	struct filemap *map = open_bytes(state, FILEMAP_READ, "one\n\nthree", 10);
	struct filemap_cursor cursor = begin(map, 0, FILEMAP_TO_END);
	const void *line;
	size_t length;

	assert_int_equal(filemap_cursor_read_until(&cursor, '\n', &line, &length), 1);
	assert_int_equal(length, 3);
	assert_memory_equal(line, "one", 3);
	assert_int_equal(filemap_cursor_tell(&cursor), 4);
	assert_int_equal(filemap_cursor_read_until(&cursor, '\n', &line, &length), 1);
	assert_int_equal(length, 0);
	assert_int_equal(filemap_cursor_read_until(&cursor, '\n', &line, &length), 0);
	assert_int_equal(length, 5);
	assert_memory_equal(line, "three", 5);
	assert_int_equal(filemap_cursor_tell(&cursor), 10);
	assert_int_equal(filemap_cursor_read_until(&cursor, '\n', &line, &length), 0);
	assert_int_equal(length, 0);
	assert_ptr_equal(line, (const char *)filemap_data(map) + 10);
	filemap_close(map);
}

static void byte_behind_the_part_is_not_found(void **state)
{
	struct filemap *map = open_bytes(state, FILEMAP_READ, "abc\n", 4);
	struct filemap_cursor cursor = begin(map, 0, 3);
	const void *line;
	size_t length;

	assert_int_equal(filemap_cursor_read_until(&cursor, '\n', &line, &length), 0);
	assert_int_equal(length, 3);
	filemap_close(map);
}

/* T18 */
static void part_outside_the_window_is_refused(void **state)
{
	struct filemap *map = open_ones(state, 4);
	struct filemap_cursor cursor = {.position = 7};

	assert_int_equal(filemap_cursor_init(&cursor, map, 99, FILEMAP_TO_END), FILEMAP_ERANGE);
	assert_int_equal(filemap_cursor_init(&cursor, map, 5, 0), FILEMAP_ERANGE);
	assert_int_equal(filemap_cursor_init(&cursor, map, 2, 3), FILEMAP_ERANGE);
	assert_int_equal(filemap_cursor_init(&cursor, map, 2, SIZE_MAX - 1), FILEMAP_ERANGE);
	assert_int_equal(cursor.position, 7);
	assert_null(cursor.map);
	assert_ok(filemap_cursor_init(&cursor, map, 4, 0));
	assert_int_equal(filemap_cursor_size(&cursor), 0);
	assert_int_equal(filemap_cursor_seek(&cursor, 0, SEEK_END), 0);
	filemap_close(map);
}

static void cursor_on_a_read_mapping_cannot_write(void **state)
{
	struct filemap *map = open_bytes(state, FILEMAP_READ, "1234", 4);
	struct filemap_cursor cursor = begin(map, 0, FILEMAP_TO_END);

	assert_int_equal(filemap_cursor_write_some(&cursor, "a", 1), FILEMAP_EMODE);
	assert_int_equal(filemap_cursor_write_all(&cursor, "a", 1), FILEMAP_EMODE);
	assert_int_equal(filemap_cursor_write_u8(&cursor, 1), FILEMAP_EMODE);
	assert_int_equal(filemap_cursor_seek(&cursor, 0, SEEK_END), 4);
	assert_int_equal(filemap_cursor_write_some(&cursor, "a", 1), FILEMAP_EMODE);
	assert_int_equal(filemap_cursor_write_u8(&cursor, 1), FILEMAP_EMODE);
	filemap_close(map);
}

static void window_that_shrank_takes_the_part_with_it(void **state)
{
	struct filemap *map = open_ones(state, 8096);
	struct filemap_cursor cursor = begin(map, 100, 200), late = begin(map, 5000, 10);
	const void *next;
	uint32_t value;
	char byte;

	assert_ok(filemap_cursor_skip(&cursor, 50));
	assert_ok(filemap_resize(map, 152, NULL));
	assert_int_equal(filemap_cursor_size(&cursor), 52);
	assert_int_equal(filemap_cursor_remaining(&cursor), 2);
	assert_int_equal(filemap_cursor_read_u32le(&cursor, &value), FILEMAP_ERANGE);
	assert_int_equal(filemap_cursor_tell(&cursor), 50);
	assert_int_equal(filemap_cursor_size(&late), 0);
	assert_int_equal(filemap_cursor_remaining(&late), 0);
	assert_int_equal(filemap_cursor_read_some(&late, &byte, 1), 0);
	assert_int_equal(filemap_cursor_write_some(&late, "a", 1), 0);
	assert_int_equal(filemap_cursor_read_u32le(&late, &value), FILEMAP_ERANGE);
	assert_ok(filemap_cursor_peek(&late, 0, &next));
	assert_ptr_equal(next, (const char *)filemap_data(map) + 152);
	assert_ok(filemap_resize(map, 8096, NULL));
	assert_int_equal(filemap_cursor_size(&cursor), 200);
	assert_int_equal(filemap_cursor_size(&late), 10);
	filemap_close(map);
}

static void open_end_follows_the_growth(void **state)
{
	struct filemap *map = open_ones(state, 10);
	struct filemap_cursor open = begin(map, 4, FILEMAP_TO_END), fixed = begin(map, 4, 6);

	assert_int_equal(filemap_cursor_seek(&open, 0, SEEK_END), 6);
	assert_int_equal(filemap_cursor_write_u32le(&open, 1), FILEMAP_ERANGE);
	assert_ok(filemap_resize(map, 100, NULL));
	assert_int_equal(filemap_cursor_size(&open), 96);
	assert_int_equal(filemap_cursor_size(&fixed), 6);
	assert_ok(filemap_cursor_write_u32le(&open, 1));
	assert_int_equal(filemap_cursor_tell(&open), 10);
	filemap_close(map);
}

static void cursor_on_a_poisoned_mapping_says_so(void **state)
{
	struct filemap *map = open_ones(state, 100);
	struct filemap_cursor cursor = begin(map, 10, 20), other = {.position = 7};
	const void *next = &next;
	size_t length = 77;
	uint8_t value = 77;
	char byte = 77;

	fm__filemap_poison(map, -EIO);
	assert_int_equal(filemap_cursor_init(&other, map, 0, 0), FILEMAP_EPOISONED);
	assert_int_equal(filemap_cursor_size(&cursor), 0);
	assert_int_equal(filemap_cursor_read_some(&cursor, &byte, 1), FILEMAP_EPOISONED);
	assert_int_equal(filemap_cursor_read_exact(&cursor, &byte, 1), FILEMAP_EPOISONED);
	assert_int_equal(filemap_cursor_write_some(&cursor, &byte, 1), FILEMAP_EPOISONED);
	assert_int_equal(filemap_cursor_write_all(&cursor, &byte, 1), FILEMAP_EPOISONED);
	assert_int_equal(filemap_cursor_read_u8(&cursor, &value), FILEMAP_EPOISONED);
	assert_int_equal(filemap_cursor_write_u8(&cursor, 1), FILEMAP_EPOISONED);
	assert_int_equal(filemap_cursor_peek(&cursor, 0, &next), FILEMAP_EPOISONED);
	assert_int_equal(filemap_cursor_read_until(&cursor, 0, &next, &length), FILEMAP_EPOISONED);
	assert_ptr_equal(next, &next);
	assert_int_equal(length + value + (size_t)byte, 3 * 77);
	assert_int_equal(filemap_cursor_tell(&cursor), 0);
	filemap_close(map);
}

T_MAIN(T_TEST(reading_goes_from_front_to_back), T_TEST(part_of_a_window_has_its_own_end),
       T_TEST(cursor_that_wrote_can_read_it_back), T_TEST(writing_stops_at_the_end_of_the_part),
       T_TEST(seek_goes_behind_the_end_but_not_before_the_start), T_TEST(position_never_exceeds_int64),
       T_TEST(typed_read_that_fails_leaves_the_position),
       T_TEST(numbers_of_every_type_come_back_in_their_order),
       T_TEST(typed_accessors_start_where_the_part_does), T_TEST(lines_are_read_until_their_end),
       T_TEST(byte_behind_the_part_is_not_found), T_TEST(part_outside_the_window_is_refused),
       T_TEST(cursor_on_a_read_mapping_cannot_write), T_TEST(window_that_shrank_takes_the_part_with_it),
       T_TEST(open_end_follows_the_growth), T_TEST(cursor_on_a_poisoned_mapping_says_so))
