/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Little-endian integers in bytes at any alignment; on-disk structures are never cast. */
#ifndef FM_BASE_BYTES_H
#define FM_BASE_BYTES_H

#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define FM_LE16(v) __builtin_bswap16(v)
#define FM_LE32(v) __builtin_bswap32(v)
#define FM_LE64(v) __builtin_bswap64(v)
#else
#define FM_LE16(v) (v)
#define FM_LE32(v) (v)
#define FM_LE64(v) (v)
#endif

static inline uint16_t fm__get_le16(const void *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof v);
	return FM_LE16(v);
}

static inline uint32_t fm__get_le32(const void *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof v);
	return FM_LE32(v);
}

static inline uint64_t fm__get_le64(const void *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return FM_LE64(v);
}

static inline void fm__put_le16(void *p, uint16_t v)
{
	v = FM_LE16(v);
	memcpy(p, &v, sizeof v);
}

static inline void fm__put_le32(void *p, uint32_t v)
{
	v = FM_LE32(v);
	memcpy(p, &v, sizeof v);
}

static inline void fm__put_le64(void *p, uint64_t v)
{
	v = FM_LE64(v);
	memcpy(p, &v, sizeof v);
}

#endif
