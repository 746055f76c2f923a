/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * copy: memcpy() that a fault in the mapped side ends with an error.
 *
 * Invariant: what is reported as done is done, every byte of it. memcpy() copies in no certain order, so after
 * a fault it is done again, forward and page by page, up to the page that faults.
 *
 * A fault in the other side is the program's, whose handler may jump out of here for good. It must not leave our guard
 * behind on a stack that is gone by then, and only our own handler could know when to drop it: so such a fault, too,
 * ends the copy first, and is met again without the guard.
 */
#include <stdint.h>
#include <string.h>

#include <filemap/base.h>

#include "base/util.h"
#include "fault/guard.h"
#include "sys/sys.h"

/* Whole pages: of broken memory the kernel may name the beginning of its page only. */
static bool is_within(const struct fm__range *range, const void *address)
{
	uintptr_t mask = range->page - 1, first = range->first & ~mask;
	uintptr_t behind = (range->first + range->length + mask) & ~mask;
	return (uintptr_t)address - first < behind - first;
}

struct access {
	const struct fm__range *mapped; /* one of the two sides */
	unsigned char *to;
	const unsigned char *from;
	size_t length;
};

static bool loads(const struct access *access)
{
	return (uintptr_t)access->from - access->mapped->first < access->mapped->length;
}

/* The side that is not mapped. */
static struct fm__range buffer_of(const struct access *access)
{
	uintptr_t first = loads(access) ? (uintptr_t)access->to : (uintptr_t)access->from;
	return (struct fm__range){first, access->length, fm__sys_page_size()};
}

/* Runs in the signal handler. */
static bool is_accessed(const void *context, const void *address)
{
	const struct access *access = context;
	const struct fm__range buffer = buffer_of(access);
	return is_within(access->mapped, address) || is_within(&buffer, address);
}

static int try_once(const struct access *access, const void **ret_address)
{
	struct fm__guard guard;

	if (sigsetjmp(guard.jump, 0) != 0) {
		*ret_address = guard.address;
		return guard.code;
	}
	fm__guard_enter(&guard, is_accessed, access);
	memcpy(access->to, access->from, access->length);
	fm__guard_leave(&guard);
	return 0;
}

/* The same fault once more, without our guard: the program's handler may jump, mend it, or end the program. */
static void meet_in_buffer(const struct access *access, const void *address)
{
	const uintptr_t first = buffer_of(access).first;
	volatile unsigned char *byte = (volatile unsigned char *)FM_MAX(first, (uintptr_t)address);

	if (loads(access))
		*byte = 0; /* what is there is overwritten anyway */
	else
		(void)*byte;
}

int fm__guard_try(void *to, const void *from, size_t length, const struct fm__range *range)
{
	const struct access access = {range, to, from, length};
	const void *address;
	int code = try_once(&access, &address);

	while (code != 0 && !is_within(range, address)) {
		meet_in_buffer(&access, address);
		code = try_once(&access, &address);
	}
	return code;
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
