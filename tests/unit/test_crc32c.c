/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* CRC32C against the published values, the polynomial, and its two ways against each other. */
#include "t.h"

#include "base/crc32c.h"
#include "base/crc32c_hw.h"

#define POLYNOMIAL UINT32_C(0x82F63B78)
#define BIG_SIZE (192u * 1024)

static unsigned char big[BIG_SIZE + 16];

static void fill_big(void)
{
	uint64_t x = UINT64_C(0x9E3779B97F4A7C15);

	for (size_t i = 0; i < sizeof big; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		big[i] = (unsigned char)(x >> 32);
	}
}

static uint32_t bitwise(uint32_t crc, const unsigned char *bytes, size_t length)
{
	uint32_t state = ~crc;

	for (size_t i = 0; i < length; i++) {
		state ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			state = (state >> 1) ^ ((state & 1) ? POLYNOMIAL : 0);
	}
	return ~state;
}

static void assert_both_ways(const void *bytes, size_t length, uint32_t expected)
{
	assert_true(fm__crc32c(0, bytes, length) == expected);
	assert_true(fm__crc32c_table(0, bytes, length) == expected);
}

/* RFC 3720, appendix B.4; the value of "123456789" is the check value of every CRC catalogue. */
static void published_vectors_match(void **state)
{
	static const unsigned char iscsi_read[48] = {
		0x01, 0xC0, 0, 0,    0, 0, 0, 0,    0,    0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 0x04, 0,
		0,    0,    0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0,    0,
	};
	unsigned char bytes[32];
	(void)state;

	assert_both_ways("123456789", 9, 0xE3069283);
	assert_both_ways("", 0, 0);
	memset(bytes, 0, sizeof bytes);
	assert_both_ways(bytes, sizeof bytes, 0x8A9136AA);
	memset(bytes, 0xFF, sizeof bytes);
	assert_both_ways(bytes, sizeof bytes, 0x62A8AB43);
	for (unsigned i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)i;
	assert_both_ways(bytes, sizeof bytes, 0x46DD794E);
	for (unsigned i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)(31 - i);
	assert_both_ways(bytes, sizeof bytes, 0x113FDB5C);
	assert_both_ways(iscsi_read, sizeof iscsi_read, 0xD9963A56);
}

static void every_table_entry_follows_from_the_polynomial(void **state)
{
	(void)state;
	for (unsigned byte = 0; byte < 256; byte++) {
		unsigned char bytes[8] = {(unsigned char)byte};

		for (unsigned zeros = 0; zeros < 8; zeros++) {
			const uint32_t remainder = ~bitwise(UINT32_MAX, bytes, zeros + 1);
			assert_true(fm__crc32c_slice[zeros][byte] == remainder);
		}
	}
}

static void both_ways_agree_at_all_short_lengths_and_alignments(void **state)
{
	(void)state;
	fill_big();
	for (size_t at = 0; at < 8; at++) {
		for (size_t length = 0; length <= 300; length++) {
			const uint32_t expected = bitwise(7, big + at, length);

			assert_true(fm__crc32c(7, big + at, length) == expected);
			assert_true(fm__crc32c_table(7, big + at, length) == expected);
		}
	}
}

/* Around the places where an implementation may switch its stride. */
static void both_ways_agree_at_large_lengths(void **state)
{
	static const size_t strides[] = {256, 384, 768, 1024, 3072, 4096, 8192, 12288, 24576, 98304};
	(void)state;

	fill_big();
	for (size_t i = 0; i < sizeof strides / sizeof *strides; i++) {
		for (size_t length = strides[i] - 9; length <= strides[i] + 9; length++) {
			const unsigned char *from = big + length % 16;

			assert_true(fm__crc32c(0, from, length) == fm__crc32c_table(0, from, length));
		}
	}
}

static void both_ways_agree_at_random_lengths(void **state)
{
	uint32_t x = 12345;
	(void)state;

	fill_big();
	for (unsigned i = 0; i < 300; i++) {
		x = x * 1664525u + 1013904223u;
		const size_t at = (x >> 8) % 16, length = (x >> 12) % BIG_SIZE;

		assert_true(fm__crc32c(x, big + at, length) == fm__crc32c_table(x, big + at, length));
	}
	assert_true(fm__crc32c_table(0, big, BIG_SIZE) == bitwise(0, big, BIG_SIZE));
}

static void a_checksum_continued_equals_one_of_the_whole(void **state)
{
	(void)state;
	fill_big();
	const uint32_t whole = fm__crc32c(0, big, 5000);

	for (size_t cut = 0; cut <= 5000; cut += 13) {
		const uint32_t first = fm__crc32c(0, big, cut);

		assert_true(fm__crc32c(first, big + cut, 5000 - cut) == whole);
		assert_true(fm__crc32c_table(first, big + cut, 5000 - cut) == whole);
	}
}

static void one_flipped_bit_changes_the_checksum(void **state)
{
	(void)state;
	fill_big();
	const uint32_t before = fm__crc32c(0, big, 400);

	for (unsigned bit = 0; bit < 400 * 8; bit++) {
		big[bit / 8] ^= (unsigned char)(1u << bit % 8);
		assert_true(fm__crc32c(0, big, 400) != before);
		big[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
}

static void the_backend_is_the_cpus_where_it_has_one(void **state)
{
	const char *name = fm__crc32c_hw_name();
	(void)state;

	assert_string_equal(fm__crc32c_backend(), name ? name : "table");
	printf("crc32c: %s\n", fm__crc32c_backend());
}

T_MAIN(T_PLAIN(published_vectors_match), T_PLAIN(every_table_entry_follows_from_the_polynomial),
       T_PLAIN(both_ways_agree_at_all_short_lengths_and_alignments),
       T_PLAIN(both_ways_agree_at_large_lengths), T_PLAIN(both_ways_agree_at_random_lengths),
       T_PLAIN(a_checksum_continued_equals_one_of_the_whole), T_PLAIN(one_flipped_bit_changes_the_checksum),
       T_PLAIN(the_backend_is_the_cpus_where_it_has_one))
