/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Little-endian integers at every alignment, whatever the machine's own order. */
#include "t.h"

#include "base/bytes.h"

static void put_writes_the_lowest_byte_first(void **state)
{
	static const unsigned char expected[8] = {0xEF, 0xCD, 0xAB, 0x89, 0x67, 0x45, 0x23, 0x01};
	unsigned char bytes[8];
	(void)state;

	fm__put_le64(bytes, UINT64_C(0x0123456789ABCDEF));
	assert_memory_equal(bytes, expected, 8);
	fm__put_le32(bytes, UINT32_C(0x89ABCDEF));
	assert_memory_equal(bytes, expected, 4);
	fm__put_le16(bytes, 0xCDEF);
	assert_memory_equal(bytes, expected, 2);
}

static void get_returns_what_put_wrote_at_every_alignment(void **state)
{
	unsigned char bytes[24];
	(void)state;

	for (unsigned at = 0; at < 16; at++) {
		fm__put_le64(bytes + at, UINT64_C(0xFEDCBA9876543210) + at);
		assert_true(fm__get_le64(bytes + at) == UINT64_C(0xFEDCBA9876543210) + at);
		fm__put_le32(bytes + at, UINT32_C(0xFEDCBA98) + at);
		assert_true(fm__get_le32(bytes + at) == UINT32_C(0xFEDCBA98) + at);
		fm__put_le16(bytes + at, (uint16_t)(0xFEDC + at));
		assert_true(fm__get_le16(bytes + at) == 0xFEDC + at);
	}
}

static void put_touches_only_its_own_bytes(void **state)
{
	static const unsigned char expected[6] = {0xAA, 1, 0, 0, 0, 0xAA};
	unsigned char bytes[6];
	(void)state;

	memset(bytes, 0xAA, sizeof bytes);
	fm__put_le32(bytes + 1, 1);
	assert_memory_equal(bytes, expected, sizeof bytes);
}

T_MAIN(T_PLAIN(put_writes_the_lowest_byte_first), T_PLAIN(get_returns_what_put_wrote_at_every_alignment),
       T_PLAIN(put_touches_only_its_own_bytes))
