/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * CRC32C: picks the CPU's instructions where it has them, the table otherwise.
 *
 * The choice is asked for anew at every call, from data that never changes after the program's start:
 * no state, no initialisation, no race.
 */
#include "base/crc32c.h"

#include "base/bytes.h"
#include "base/crc32c_hw.h"

static uint32_t table_step1(uint32_t state, unsigned char byte)
{
	return fm__crc32c_slice[0][(state ^ byte) & 0xFF] ^ (state >> 8);
}

static uint32_t table_step8(uint32_t state, uint64_t value)
{
	uint64_t x = value ^ state;

	return fm__crc32c_slice[7][x & 0xFF] ^ fm__crc32c_slice[6][(x >> 8) & 0xFF] ^
	       fm__crc32c_slice[5][(x >> 16) & 0xFF] ^ fm__crc32c_slice[4][(x >> 24) & 0xFF] ^
	       fm__crc32c_slice[3][(x >> 32) & 0xFF] ^ fm__crc32c_slice[2][(x >> 40) & 0xFF] ^
	       fm__crc32c_slice[1][(x >> 48) & 0xFF] ^ fm__crc32c_slice[0][x >> 56];
}

uint32_t fm__crc32c_table(uint32_t crc, const void *data, size_t length)
{
	const unsigned char *bytes = data;
	uint32_t state = ~crc;

	for (; length >= 8; bytes += 8, length -= 8)
		state = table_step8(state, fm__get_le64(bytes));
	for (; length > 0; bytes++, length--)
		state = table_step1(state, *bytes);
	return ~state;
}

uint32_t fm__crc32c(uint32_t crc, const void *data, size_t length)
{
	if (!fm__crc32c_hw_name())
		return fm__crc32c_table(crc, data, length);
	return ~fm__crc32c_hw(~crc, data, length);
}

const char *fm__crc32c_backend(void)
{
	const char *name = fm__crc32c_hw_name();
	return name ? name : "table";
}
