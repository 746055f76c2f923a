/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * filemap/access.h - numbers in a mapping, checked, unaligned, of either byte order.
 *
 * filemap_read_u32le(map, offset, &value) and its like cost a bounds check and a load: they are inline over
 * struct filemap_view. Each is an exported function, too, for other languages.
 *
 * They copy plainly, as memcpy(3): a number that another thread or process stores at the same time can be read
 * half old, half new.
 */
#ifndef FILEMAP_ACCESS_H
#define FILEMAP_ACCESS_H

#include <string.h>

#include <filemap/map.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A number of 128 bits, without a sign, as two of 64. */
struct filemap_u128 {
	uint64_t low, high;
};

/** A number of 128 bits in two's complement. */
struct filemap_i128 {
	uint64_t low;
	int64_t high;
};

/**
 * The types: XX(suffix, C type, bytes, order), with order LE (little-endian), BE (big-endian) or NE (that of
 * this machine). One byte has no order.
 */
#define FILEMAP_ACCESS_TYPES(XX)                                                                   \
	XX(u8, uint8_t, 1, NE)                                                                     \
	XX(i8, int8_t, 1, NE)                                                                      \
	XX(u16le, uint16_t, 2, LE)                                                                 \
	XX(u16be, uint16_t, 2, BE)                                                                 \
	XX(u16ne, uint16_t, 2, NE)                                                                 \
	XX(i16le, int16_t, 2, LE)                                                                  \
	XX(i16be, int16_t, 2, BE)                                                                  \
	XX(i16ne, int16_t, 2, NE)                                                                  \
	XX(u32le, uint32_t, 4, LE)                                                                 \
	XX(u32be, uint32_t, 4, BE)                                                                 \
	XX(u32ne, uint32_t, 4, NE)                                                                 \
	XX(i32le, int32_t, 4, LE)                                                                  \
	XX(i32be, int32_t, 4, BE)                                                                  \
	XX(i32ne, int32_t, 4, NE)                                                                  \
	XX(u64le, uint64_t, 8, LE)                                                                 \
	XX(u64be, uint64_t, 8, BE)                                                                 \
	XX(u64ne, uint64_t, 8, NE)                                                                 \
	XX(i64le, int64_t, 8, LE)                                                                  \
	XX(i64be, int64_t, 8, BE)                                                                  \
	XX(i64ne, int64_t, 8, NE)                                                                  \
	XX(u128le, struct filemap_u128, 16, LE)                                                    \
	XX(u128be, struct filemap_u128, 16, BE)                                                    \
	XX(u128ne, struct filemap_u128, 16, NE)                                                    \
	XX(i128le, struct filemap_i128, 16, LE)                                                    \
	XX(i128be, struct filemap_i128, 16, BE)                                                    \
	XX(i128ne, struct filemap_i128, 16, NE)                                                    \
	XX(f32le, float, 4, LE)                                                                    \
	XX(f32be, float, 4, BE)                                                                    \
	XX(f32ne, float, 4, NE)                                                                    \
	XX(f64le, double, 8, LE)                                                                   \
	XX(f64be, double, 8, BE)                                                                   \
	XX(f64ne, double, 8, NE)

/**
 * Why a range that does not lie within the window cannot be read.
 *
 * What the inline accessors call when their check fails.
 *
 * @retval FILEMAP_EPOISONED  The window is gone.
 * @retval FILEMAP_ERANGE     Otherwise.
 * Class R. @since 0.1
 */
FILEMAP_API int filemap_refuse_read(const struct filemap *map);

/**
 * Why a range cannot be written; otherwise as filemap_refuse_read().
 *
 * @retval FILEMAP_EMODE  The mapping is not writable now.
 * Class R. @since 0.1
 */
FILEMAP_API int filemap_refuse_write(const struct filemap *map);

/*
 * The accessors. For each type of FILEMAP_ACCESS_TYPES, here with its suffix and C type:
 *
 *   int filemap_read_<suffix>(const struct filemap *map, size_t offset, <type> *ret);
 *
 * Copies the number out of the window, in its byte order. Any offset will do, aligned or not. A float or
 * double is its bits: a NaN keeps its payload.
 *
 *   offset  Bytes from the window's start.
 *   ret     Written on success only.
 *   Returns 0; FILEMAP_ERANGE if the number does not lie within the window as a whole; FILEMAP_EPOISONED if
 *   the window is gone. Class R. Blocks for a page that is not in memory. Since 0.1.
 *
 *   int filemap_write_<suffix>(struct filemap *map, size_t offset, <type> value);
 *
 * Stores the number into the window; otherwise as reading. Nothing is durable before a flush.
 *
 *   Returns 0; or, with no byte stored, FILEMAP_ERANGE; FILEMAP_EMODE if the mapping is not writable now;
 *   FILEMAP_EPOISONED. Class W. Since 0.1.
 *
 * What follows makes them. Names that end in _ are not for callers.
 */
#ifdef __cplusplus
#define FILEMAP_INLINE_ inline
#define FILEMAP_CAST_(type, value) (static_cast<type>(value))
#define FILEMAP_VIEW_(map) (reinterpret_cast<const struct filemap_view *>(map))
#else
#ifdef __GNUC_GNU_INLINE__
#define FILEMAP_INLINE_ extern inline /* what C89 with extensions calls inline */
#else
#define FILEMAP_INLINE_ inline
#endif
#define FILEMAP_CAST_(type, value) ((type)(value))
#define FILEMAP_VIEW_(map) ((const struct filemap_view *)(map))
#endif

/* A number turned to the order, and where the low half of 128 bits stands. */
#define FILEMAP_ORDER_NE_(bits, value) (value)
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define FILEMAP_ORDER_LE_(bits, value) (__builtin_bswap##bits(value))
#define FILEMAP_ORDER_BE_(bits, value) (value)
#define FILEMAP_LOW_NE_ 8
#else
#define FILEMAP_ORDER_LE_(bits, value) (value)
#define FILEMAP_ORDER_BE_(bits, value) (__builtin_bswap##bits(value))
#define FILEMAP_LOW_NE_ 0
#endif
#define FILEMAP_LOW_LE_ 0
#define FILEMAP_LOW_BE_ 8

/* Both ways alike: bytes to a number, and a number to bytes. */
#define FILEMAP_COPY_(bits, order, to, from)                                                       \
	{                                                                                          \
		uint##bits##_t stored_, turned_;                                                   \
		memcpy(&stored_, from, sizeof stored_);                                            \
		turned_ = FILEMAP_ORDER_##order##_(bits, stored_);                                 \
		memcpy(to, &turned_, sizeof turned_);                                              \
	}
#define FILEMAP_LOAD_1_(order, ret, from) FILEMAP_COPY_(8, order, ret, from)
#define FILEMAP_LOAD_2_(order, ret, from) FILEMAP_COPY_(16, order, ret, from)
#define FILEMAP_LOAD_4_(order, ret, from) FILEMAP_COPY_(32, order, ret, from)
#define FILEMAP_LOAD_8_(order, ret, from) FILEMAP_COPY_(64, order, ret, from)
#define FILEMAP_LOAD_16_(order, ret, from)                                                         \
	FILEMAP_COPY_(64, order, &(ret)->low, (from) + FILEMAP_LOW_##order##_)                     \
	FILEMAP_COPY_(64, order, &(ret)->high, (from) + (8 - FILEMAP_LOW_##order##_))
#define FILEMAP_STORE_1_(order, to, value) FILEMAP_COPY_(8, order, to, value)
#define FILEMAP_STORE_2_(order, to, value) FILEMAP_COPY_(16, order, to, value)
#define FILEMAP_STORE_4_(order, to, value) FILEMAP_COPY_(32, order, to, value)
#define FILEMAP_STORE_8_(order, to, value) FILEMAP_COPY_(64, order, to, value)
#define FILEMAP_STORE_16_(order, to, value)                                                        \
	FILEMAP_COPY_(64, order, (to) + FILEMAP_LOW_##order##_, &(value)->low)                     \
	FILEMAP_COPY_(64, order, (to) + (8 - FILEMAP_LOW_##order##_), &(value)->high)

/* An error, as the compiler is to know: else it warns of numbers that may not have been read (r == 0 && ...). */
#define FILEMAP_REFUSE_(refusal)                                                                   \
	{                                                                                          \
		const int refused_ = (refusal);                                                    \
		if (refused_ >= 0)                                                                 \
			__builtin_unreachable();                                                   \
		return refused_;                                                                   \
	}

/* The size first, with acquire order: the pointer that belongs to it was published before. */
#define FILEMAP_ACCESS_DEFINE_(suffix, type, bytes, order)                                         \
	FILEMAP_API FILEMAP_INLINE_ int filemap_read_##suffix(const struct filemap *map,           \
		size_t offset, type *ret)                                                          \
	{                                                                                          \
		const size_t size_ = __atomic_load_n(&FILEMAP_VIEW_(map)->size, __ATOMIC_ACQUIRE); \
		const unsigned char *from_;                                                        \
		if (__builtin_expect(offset > size_ || size_ - offset < bytes, 0))                 \
			FILEMAP_REFUSE_(filemap_refuse_read(map))                                  \
		from_ = __atomic_load_n(&FILEMAP_VIEW_(map)->data, __ATOMIC_RELAXED) + offset;     \
		FILEMAP_LOAD_##bytes##_(order, ret, from_)                                         \
		return 0;                                                                          \
	}                                                                                          \
	FILEMAP_API FILEMAP_INLINE_ int filemap_write_##suffix(struct filemap *map, size_t offset, \
		type value)                                                                        \
	{                                                                                          \
		const size_t size_ = __atomic_load_n(&FILEMAP_VIEW_(map)->size_mut, __ATOMIC_ACQUIRE); \
		unsigned char *to_;                                                                \
		if (__builtin_expect(offset > size_ || size_ - offset < bytes, 0))                 \
			return filemap_refuse_write(map);                                          \
		to_ = __atomic_load_n(&FILEMAP_VIEW_(map)->data_mut, __ATOMIC_RELAXED) + offset;   \
		FILEMAP_STORE_##bytes##_(order, to_, &value)                                       \
		return 0;                                                                          \
	}
FILEMAP_ACCESS_TYPES(FILEMAP_ACCESS_DEFINE_)
#undef FILEMAP_ACCESS_DEFINE_

#ifdef __cplusplus
}
#endif

#endif
