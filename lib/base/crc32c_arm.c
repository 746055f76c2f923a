/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * CRC32C with the instructions of ARMv8, which are optional there: the kernel says whether they exist.
 *
 * Written as assembler lines because compilers offer the intrinsics only when the whole file is
 * compiled for such a CPU, and then may use other instructions of it too.
 */
#include <sys/auxv.h>

#include "base/bytes.h"
#include "base/crc32c_hw.h"

#define HAS_CRC32 (1ul << 7) /* HWCAP_CRC32 */

const char *fm__crc32c_hw_name(void)
{
	return (getauxval(AT_HWCAP) & HAS_CRC32) ? "armv8" : NULL;
}

static uint32_t step8(uint32_t state, uint64_t value)
{
	__asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(state) : "r"(value));
	return state;
}

static uint32_t step1(uint32_t state, uint32_t value)
{
	__asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(state) : "r"(value));
	return state;
}

uint32_t fm__crc32c_hw(uint32_t state, const unsigned char *bytes, size_t length)
{
	for (; length >= 8; bytes += 8, length -= 8)
		state = step8(state, fm__get_le64(bytes));
	for (; length > 0; bytes++, length--)
		state = step1(state, *bytes);
	return state;
}
