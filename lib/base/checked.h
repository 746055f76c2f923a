/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Arithmetic that says when it does not fit. All functions are pure. */
#ifndef FM_BASE_CHECKED_H
#define FM_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True and *ret set if a + b fits. */
static inline bool fm__add_u64(uint64_t a, uint64_t b, uint64_t *ret)
{
	return !__builtin_add_overflow(a, b, ret);
}

static inline bool fm__add_size(size_t a, size_t b, size_t *ret)
{
	return !__builtin_add_overflow(a, b, ret);
}

/* `align` is a power of two, here and below. */
static inline uint64_t fm__align_down(uint64_t value, uint64_t align)
{
	return value & ~(align - 1);
}

static inline bool fm__align_up(uint64_t value, uint64_t align, uint64_t *ret)
{
	uint64_t sum;
	if (!fm__add_u64(value, align - 1, &sum))
		return false;
	*ret = fm__align_down(sum, align);
	return true;
}

/* True and *ret set if the value fits a size_t. */
static inline bool fm__to_size(uint64_t value, size_t *ret)
{
	*ret = (size_t)value;
	return *ret == value;
}

static inline bool fm__is_power_of_two(uint64_t value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

#endif
