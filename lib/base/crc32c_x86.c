/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * CRC32C with the crc32 instruction of SSE4.2.
 *
 * Only functions marked SSE42 hold that instruction, and they run only after the CPU was asked.
 */
#include "base/bytes.h"
#include "base/crc32c_hw.h"

#define SSE42 __attribute__((target("sse4.2")))

const char *fm__crc32c_hw_name(void)
{
	return __builtin_cpu_supports("sse4.2") ? "sse4.2" : NULL;
}

SSE42 uint32_t fm__crc32c_hw(uint32_t state, const unsigned char *bytes, size_t length)
{
	uint64_t wide = state;

	for (; length >= 8; bytes += 8, length -= 8)
		wide = __builtin_ia32_crc32di(wide, fm__get_le64(bytes));
	state = (uint32_t)wide;
	for (; length > 0; bytes++, length--)
		state = __builtin_ia32_crc32qi(state, *bytes);
	return state;
}
