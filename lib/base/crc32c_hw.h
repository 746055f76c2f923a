/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What crc32c.c needs of the CPU: crc32c_x86.c, crc32c_arm.c or crc32c_none.c implements it. */
#ifndef FM_BASE_CRC32C_HW_H
#define FM_BASE_CRC32C_HW_H

#include <stddef.h>
#include <stdint.h>

/* The name of the instructions, NULL if this CPU has none. Always the same answer; any thread. */
const char *fm__crc32c_hw_name(void);

/* The bare register, without the xor at start and end. Only if fm__crc32c_hw_name() is not NULL. */
uint32_t fm__crc32c_hw(uint32_t state, const unsigned char *bytes, size_t length);

extern const uint32_t fm__crc32c_slice[8][256];

#endif
