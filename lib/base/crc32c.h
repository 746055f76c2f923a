/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* CRC32C (Castagnoli), reflected, start and final xor 0xFFFFFFFF. */
#ifndef FM_BASE_CRC32C_H
#define FM_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continue a checksum: fm__crc32c(fm__crc32c(0, a), b) is the checksum of a then b. Start with 0. */
uint32_t fm__crc32c(uint32_t crc, const void *data, size_t length);

/* The two ways behind it, for the tests that compare them. */
uint32_t fm__crc32c_table(uint32_t crc, const void *data, size_t length);
const char *fm__crc32c_backend(void); /* "sse4.2", "armv8" or "table" */

#endif
