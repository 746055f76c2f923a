/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Typed accessors: each type and byte order against bytes written by hand, at every alignment, inline and
 * through the exported symbol. They know a handle by its view only, so most handles here are nothing else.
 */
#include "t.h"

#include <filemap/filemap.h>

/* The most significant byte first. A number of n bytes is made of the first n. */
static const unsigned char digits[16] = {0xF1, 0xE2, 0xD3, 0xC4, 0xB5, 0xA6, 0x97, 0x88,
					 0x79, 0x6A, 0x5B, 0x4C, 0x3D, 0x2E, 0x1F, 0x10};

enum order { BE, LE, NE };

struct fake {
	struct filemap_view view; /* first */
	unsigned char bytes[48];
};

static struct filemap *fake_handle(struct fake *fake, size_t size)
{
	memset(fake->bytes, 0xAA, sizeof fake->bytes);
	fake->view = (struct filemap_view){fake->bytes, size, fake->bytes, size};
	return (struct filemap *)fake;
}

static uint64_t number(const unsigned char *from, size_t length)
{
	uint64_t value = 0;
	for (size_t i = 0; i < length; i++)
		value = value << 8 | from[i];
	return value;
}

/* The bits of an integer or a float of up to 8 bytes, or the two halves of 16. */
static void make_value(void *to, size_t length)
{
	const uint64_t wide = number(digits, length == 16 ? 8 : length);
	const uint64_t low = number(digits + 8, 8);
	const uint8_t n8 = (uint8_t)wide;
	const uint16_t n16 = (uint16_t)wide;
	const uint32_t n32 = (uint32_t)wide;

	if (length == 16) { /* both structs have the low half first */
		memcpy(to, &low, 8);
		memcpy((char *)to + 8, &wide, 8);
		return;
	}
	memcpy(to,
	       length == 1   ? (const void *)&n8
	       : length == 2 ? (const void *)&n16
	       : length == 4 ? (const void *)&n32
			     : (const void *)&wide,
	       length);
}

static void make_stored(unsigned char *to, size_t length, enum order order)
{
	const uint16_t probe = 1;
	if (order == NE)
		order = *(const unsigned char *)&probe ? LE : BE;
	for (size_t i = 0; i < length; i++)
		to[i] = digits[order == BE ? i : length - 1 - i];
}

static void assert_only(const struct fake *fake, size_t at, const unsigned char *stored, size_t length)
{
	for (size_t i = 0; i < sizeof fake->bytes; i++)
		if (i < at || i >= at + length)
			assert_int_equal(fake->bytes[i], 0xAA);
	assert_memory_equal(fake->bytes + at, stored, length);
}

/* The volatile pointers are for the symbols: nothing can be inlined through them. */
#define ROUND_TRIP(suffix, type, length, order)                                                       \
	static void suffix##_round_trip_at(size_t at)                                                 \
	{                                                                                             \
		int (*volatile read)(const struct filemap *, size_t, type *) = filemap_read_##suffix; \
		int (*volatile write)(struct filemap *, size_t, type) = filemap_write_##suffix;       \
		unsigned char stored[16];                                                             \
		type value, got;                                                                      \
		struct fake fake;                                                                     \
		struct filemap *map = fake_handle(&fake, at + (length));                              \
                                                                                                      \
		make_value(&value, length);                                                           \
		make_stored(stored, length, order);                                                   \
		assert_ok(filemap_write_##suffix(map, at, value));                                    \
		assert_only(&fake, at, stored, length);                                               \
		memset(&got, 0, sizeof got);                                                          \
		assert_ok(filemap_read_##suffix(map, at, &got));                                      \
		assert_memory_equal(&got, &value, length);                                            \
		map = fake_handle(&fake, at + (length));                                              \
		assert_ok(write(map, at, value));                                                     \
		assert_only(&fake, at, stored, length);                                               \
		memset(&got, 0, sizeof got);                                                          \
		assert_ok(read(map, at, &got));                                                       \
		assert_memory_equal(&got, &value, length);                                            \
	}                                                                                             \
	static void suffix##_round_trips(void **state)                                                \
	{                                                                                             \
		(void)state;                                                                          \
		assert_int_equal(sizeof(type), length);                                               \
		for (size_t at = 0; at < 16; at++)                                                    \
			suffix##_round_trip_at(at);                                                   \
	}
FILEMAP_ACCESS_TYPES(ROUND_TRIP)

/* P11: the last offset that fits has worked above; every one behind it is refused, nothing touched. */
#define REFUSED(suffix, type, length, order)                                                              \
	static void suffix##_outside_the_window_is_refused(void **state)                                  \
	{                                                                                                 \
		const size_t offsets[] = {33 - (length),           32,      33, SIZE_MAX - (length),      \
					  SIZE_MAX - (length) + 1, SIZE_MAX};                             \
		type value, before;                                                                       \
		struct fake fake;                                                                         \
		struct filemap *map = fake_handle(&fake, 32);                                             \
		(void)state;                                                                              \
                                                                                                          \
		make_value(&value, length);                                                               \
		before = value;                                                                           \
		for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {                           \
			assert_int_equal(filemap_read_##suffix(map, offsets[i], &value), FILEMAP_ERANGE); \
			assert_int_equal(filemap_write_##suffix(map, offsets[i], value), FILEMAP_ERANGE); \
		}                                                                                         \
		assert_memory_equal(&value, &before, length);                                             \
		assert_only(&fake, 0, fake.bytes, 0);                                                     \
		map = fake_handle(&fake, (length)-1);                                                     \
		assert_int_equal(filemap_read_##suffix(map, 0, &value), FILEMAP_ERANGE);                  \
		assert_int_equal(filemap_write_##suffix(map, 0, value), FILEMAP_ERANGE);                  \
		assert_only(&fake, 0, fake.bytes, 0);                                                     \
	}
FILEMAP_ACCESS_TYPES(REFUSED)

#define REFUSED_BY_STATE(suffix, type, length, order)                                       \
	static void suffix##_knows_the_state(void **state)                                  \
	{                                                                                   \
		struct fake fake;                                                           \
		struct filemap *map = fake_handle(&fake, 32);                               \
		type value, got;                                                            \
		(void)state;                                                                \
                                                                                            \
		make_value(&value, length);                                                 \
		fake.view.data_mut = NULL; /* READ, EXEC, frozen */                         \
		fake.view.size_mut = 0;                                                     \
		assert_ok(filemap_read_##suffix(map, 0, &got));                             \
		assert_int_equal(filemap_write_##suffix(map, 0, value), FILEMAP_EMODE);     \
		assert_int_equal(filemap_write_##suffix(map, 99, value), FILEMAP_EMODE);    \
		fake.view = (struct filemap_view){0}; /* poisoned */                        \
		got = value;                                                                \
		assert_int_equal(filemap_read_##suffix(map, 0, &got), FILEMAP_EPOISONED);   \
		assert_int_equal(filemap_write_##suffix(map, 0, value), FILEMAP_EPOISONED); \
		assert_memory_equal(&got, &value, length);                                  \
		assert_only(&fake, 0, fake.bytes, 0);                                       \
	}
FILEMAP_ACCESS_TYPES(REFUSED_BY_STATE)

static void numbers_are_what_people_write_down(void **state)
{
	static const unsigned char bytes[] = {0x01, 0x02, 0x03, 0x04, 0xFE, 0xFF, 0xFF, 0xFE, 0x3F, 0x80,
					      0,    0,    0,    0,    0,    0,    0,    0,    0xF8, 0x3F};
	const struct filemap_view view = {bytes, sizeof bytes, NULL, 0};
	const struct filemap *map = (const struct filemap *)&view;
	uint32_t u32;
	int16_t i16;
	float f32;
	double f64;
	(void)state;

	assert_ok(filemap_read_u32be(map, 0, &u32));
	assert_int_equal(u32, 0x01020304);
	assert_ok(filemap_read_u32le(map, 0, &u32));
	assert_int_equal(u32, 0x04030201);
	assert_ok(filemap_read_i16le(map, 4, &i16));
	assert_int_equal(i16, -2);
	assert_ok(filemap_read_i16be(map, 6, &i16));
	assert_int_equal(i16, -2);
	assert_ok(filemap_read_f32be(map, 8, &f32));
	assert_true(f32 == 1.0F);
	assert_ok(filemap_read_f64le(map, 12, &f64));
	assert_true(f64 == 1.5);
}

static void numbers_of_128_bits_have_their_halves_in_order(void **state)
{
	struct fake fake;
	struct filemap *map = fake_handle(&fake, sizeof fake.bytes);
	const struct filemap_u128 one_and_two = {.low = 1, .high = 2};
	const struct filemap_i128 minus_two = {.low = UINT64_MAX - 1, .high = -1};
	struct filemap_i128 got = {0};
	static const unsigned char big[16] = {[7] = 2, [15] = 1}, little[16] = {[0] = 1, [8] = 2};
	(void)state;

	assert_ok(filemap_write_u128be(map, 1, one_and_two));
	assert_memory_equal(fake.bytes + 1, big, 16);
	assert_ok(filemap_write_u128le(map, 1, one_and_two));
	assert_memory_equal(fake.bytes + 1, little, 16);
	assert_ok(filemap_write_i128be(map, 1, minus_two));
	assert_int_equal(fake.bytes[1], 0xFF);
	assert_int_equal(fake.bytes[16], 0xFE);
	assert_ok(filemap_read_i128be(map, 1, &got));
	assert_true(got.high == -1 && got.low == UINT64_MAX - 1);
}

static void nan_keeps_its_payload(void **state)
{
	static const unsigned char nan[8] = {0x7F, 0xF8, 0x12, 0x34, 0x56, 0x78, 0x9A, 0xBC};
	struct fake fake;
	struct filemap *map = fake_handle(&fake, 17);
	double value;
	(void)state;

	memcpy(fake.bytes, nan, 8);
	assert_ok(filemap_read_f64be(map, 0, &value));
	assert_true(value != value);
	assert_ok(filemap_write_f64be(map, 9, value));
	assert_memory_equal(fake.bytes + 9, nan, 8);
}

static struct filemap *open_file(void **state, unsigned mode, const void *bytes, size_t length)
{
	struct filemap *map = NULL;
	t_write_file(t_path(*state, "file"), bytes, length);
	assert_ok(filemap_open(t_path(*state, "file"), mode, NULL, &map, NULL));
	return map;
}

/* P11 */
static void last_fitting_offset_of_a_file_needs_no_alignment(void **state)
{
	const unsigned char bytes[100] = {[92] = 7};
	struct filemap *map = open_file(state, FILEMAP_READ, bytes, sizeof bytes);
	uint64_t value;

	assert_ok(filemap_read_u64le(map, 92, &value));
	assert_int_equal(value, 7);
	assert_ok(filemap_read_u64le(map, 91, &value));
	assert_int_equal(value, 7 << 8);
	assert_int_equal(filemap_read_u64le(map, 93, &value), FILEMAP_ERANGE);
	assert_int_equal(filemap_read_u64le(map, SIZE_MAX, &value), FILEMAP_ERANGE);
	assert_int_equal(filemap_write_u64le(map, 0, 1), FILEMAP_EMODE);
	filemap_close(map);
}

/* T18 */
static void offset_at_the_end_is_too_far_for_a_byte(void **state)
{
	struct filemap *map = open_file(state, FILEMAP_WRITE, "\1\2\3\4", 4);
	uint8_t u8 = 0;
	int8_t i8 = 0;

	assert_int_equal(filemap_read_u8(map, 99, &u8), FILEMAP_ERANGE);
	assert_int_equal(filemap_read_i8(map, 99, &i8), FILEMAP_ERANGE);
	assert_int_equal(filemap_read_u8(map, 4, &u8), FILEMAP_ERANGE);
	assert_int_equal(filemap_read_i8(map, 4, &i8), FILEMAP_ERANGE);
	assert_ok(filemap_read_u8(map, 3, &u8));
	assert_int_equal(u8, 4);
	filemap_close(map);
}

static void what_was_written_is_in_the_file(void **state)
{
	static const unsigned char expected[8] = {0, 0, 0x12, 0x34, 0x78, 0x56, 0, 0};
	const char zeros[8] = {0};
	unsigned char bytes[8];
	struct filemap *map = open_file(state, FILEMAP_WRITE, zeros, sizeof zeros);

	assert_ok(filemap_write_u16be(map, 2, 0x1234));
	assert_ok(filemap_write_u16le(map, 4, 0x5678));
	filemap_close(map);
	assert_int_equal(t_read_file(t_path(*state, "file"), bytes, sizeof bytes), sizeof bytes);
	assert_memory_equal(bytes, expected, sizeof bytes);
}

static void resize_moves_the_bound(void **state)
{
	struct filemap *map = open_file(state, FILEMAP_WRITE, "12345678", 8);
	uint32_t value = 1;

	assert_int_equal(filemap_read_u32ne(map, 20000, &value), FILEMAP_ERANGE);
	assert_ok(filemap_resize(map, 20004, NULL));
	assert_ok(filemap_read_u32ne(map, 20000, &value));
	assert_int_equal(value, 0);
	assert_ok(filemap_resize(map, 7, NULL));
	assert_int_equal(filemap_write_u32ne(map, 4, 1), FILEMAP_ERANGE);
	filemap_close(map);
}

static void frozen_mapping_refuses_to_write_until_thawed(void **state)
{
	struct filemap *map = open_file(state, FILEMAP_WRITE, "12345678", 8);
	uint8_t value = 0;

	assert_ok(filemap_freeze(map, NULL));
	assert_int_equal(filemap_write_u8(map, 0, 'x'), FILEMAP_EMODE);
	assert_ok(filemap_read_u8(map, 0, &value));
	assert_int_equal(value, '1');
	assert_ok(filemap_thaw(map, NULL));
	assert_ok(filemap_write_u8(map, 0, 'x'));
	filemap_close(map);
}

static void private_copy_and_memory_can_be_written(void **state)
{
	struct filemap *map = open_file(state, FILEMAP_COW, "12345678", 8);
	char bytes[8];

	assert_ok(filemap_write_u64ne(map, 0, 0));
	filemap_close(map);
	assert_int_equal(t_read_file(t_path(*state, "file"), bytes, 8), 8);
	assert_memory_equal(bytes, "12345678", 8);
	assert_ok(filemap_anonymous(9, NULL, &map, NULL));
	assert_ok(filemap_write_u64ne(map, 1, 1));
	assert_int_equal(filemap_write_u64ne(map, 2, 1), FILEMAP_ERANGE);
	filemap_close(map);
}

static void wrapped_bytes_are_read_where_they_are(void **state)
{
	static const unsigned char bytes[5] = {0, 1, 2, 3, 4};
	struct filemap *map = NULL;
	uint32_t value = 0;
	(void)state;

	assert_ok(filemap_wrap_bytes("five", bytes, sizeof bytes, &map, NULL));
	assert_ok(filemap_read_u32be(map, 1, &value));
	assert_int_equal(value, 0x01020304);
	assert_int_equal(filemap_write_u32be(map, 1, 0), FILEMAP_EMODE);
	filemap_close(map);
}

#define CASES(suffix, type, length, order)                                              \
	T_PLAIN(suffix##_round_trips), T_PLAIN(suffix##_outside_the_window_is_refused), \
		T_PLAIN(suffix##_knows_the_state),

T_MAIN(FILEMAP_ACCESS_TYPES(CASES) T_PLAIN(numbers_are_what_people_write_down),
       T_PLAIN(numbers_of_128_bits_have_their_halves_in_order), T_PLAIN(nan_keeps_its_payload),
       T_TEST(last_fitting_offset_of_a_file_needs_no_alignment),
       T_TEST(offset_at_the_end_is_too_far_for_a_byte), T_TEST(what_was_written_is_in_the_file),
       T_TEST(resize_moves_the_bound), T_TEST(frozen_mapping_refuses_to_write_until_thawed),
       T_TEST(private_copy_and_memory_can_be_written), T_TEST(wrapped_bytes_are_read_where_they_are))
