/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * copy: memcpy() that a fault in the mapped side ends with an error.
 *
 * Invariant: what is reported as done is done, every byte of it. memcpy() copies in no certain order, so after
 * a fault it is done again, forward and page by page, up to the page that faults.
 */
#include <stdint.h>
#include <string.h>

#include <filemap/base.h>

#include "base/util.h"
#include "fault/guard.h"

/* Runs in the signal handler. Whole pages: of broken memory the kernel may name the beginning of its page only. */
static bool is_within(const void *context, const void *address)
{
	const struct fm__range *range = context;
	uintptr_t mask = range->page - 1, first = range->first & ~mask;
	uintptr_t behind = (range->first + range->length + mask) & ~mask;
	return (uintptr_t)address - first < behind - first;
}

int fm__guard_try(void *to, const void *from, size_t length, const struct fm__range *range)
{
	struct fm__guard guard;

	if (sigsetjmp(guard.jump, 0) != 0)
		return guard.code;
	fm__guard_enter(&guard, is_within, range);
	memcpy(to, from, length);
	fm__guard_leave(&guard);
	return 0;
}

static int copy_forward(unsigned char *to, const unsigned char *from, size_t length, const void *mapped,
			size_t page, struct fm__hit *ret_hit)
{
	const struct fm__range range = {(uintptr_t)mapped, length, page};
	size_t done = 0, step = FM_MIN(length, page - ((uintptr_t)mapped & (page - 1)));
	int code;

	while (done < length) {
		code = fm__guard_try(to + done, from + done, step, &range);
		if (code != 0) {
			*ret_hit = (struct fm__hit){done, code};
			return FILEMAP_EFAULT;
		}
		done += step;
		step = FM_MIN(length - done, page);
	}
	return 0;
}

static int copy_guarded(void *to, const void *from, size_t length, const void *mapped, size_t page,
			struct fm__hit *ret_hit)
{
	const struct fm__range range = {(uintptr_t)mapped, length, page};

	if (fm__guard_try(to, from, length, &range) == 0)
		return 0;
	return copy_forward(to, from, length, mapped, page, ret_hit);
}

int fm__guard_read(void *to, const void *mapped, size_t length, size_t page, struct fm__hit *ret_hit)
{
	struct fm__hit hit = {0};
	int r;

	if (fm__guard_is_active())
		return copy_guarded(to, mapped, length, mapped, page, ret_hit);
	r = fm__own_read(to, mapped, length, &hit.done);
	if (r == FILEMAP_EFAULT)
		*ret_hit = hit;
	return r;
}

int fm__guard_write(void *mapped, const void *from, size_t length, size_t page, struct fm__hit *ret_hit)
{
	struct fm__hit hit = {0};
	int r;

	if (fm__guard_is_active())
		return copy_guarded(mapped, from, length, mapped, page, ret_hit);
	r = fm__own_write(mapped, from, length, &hit.done);
	if (r == FILEMAP_EFAULT)
		*ret_hit = hit;
	return r;
}
