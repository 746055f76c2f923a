/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * touch: brings pages in without touching them, by MADV_POPULATE_*; before Linux 5.14 (-EINVAL) one by one.
 *
 * Invariant: no signal, no handler, no byte changed, and nothing read or written through the file. 0 means that
 * every page was there at some moment of the call.
 */
#include "map/touch.h"

#include <errno.h>

#include <filemap/base.h>

#include "base/util.h"
#include "fault/guard.h"
#include "sys/sys.h"

static void *writable(const void *at)
{
	return (void *)(uintptr_t)at;
}

int fm__touch_advice(bool stores)
{
	return stores ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
}

int fm__touch_answer(int answer)
{
	if (answer == -EFAULT)
		return FILEMAP_EFAULT;
	return answer < 0 ? answer : 0;
}

static int populate(const void *at, size_t length, bool stores)
{
	return fm__touch_answer(fm__sys_madvise(writable(at), length, fm__touch_advice(stores)));
}

static int store_to_each(const unsigned char *at, size_t length, size_t page)
{
	for (size_t done = 0; done < length; done += page) {
		int r = fm__sys_touch_own(writable(at + done));
		if (r < 0)
			return r == -EFAULT ? FILEMAP_EFAULT : r;
	}
	return 0;
}

int fm__touch(const void *at, size_t length, size_t page, bool stores)
{
	size_t good;

	int r = populate(at, length, stores);
	if (r != -EINVAL)
		return r;
	return stores ? store_to_each(at, length, page) : fm__own_peek(at, length, page, &good);
}

/* Kernels that cannot say how far they came are asked for less after each refusal, for more after each success. */
int fm__touch_until(const void *at, size_t length, size_t page, size_t *ret_good)
{
	const unsigned char *bytes = at;
	size_t good = 0, step = length, rest;

	while (good < length) {
		size_t piece = FM_MIN(step, length - good);
		int r = populate(bytes + good, piece, false);
		if (r == -EINVAL) {
			r = fm__own_peek(bytes + good, length - good, page, &rest);
			*ret_good = good + (r < 0 ? rest : length - good);
			return r;
		}
		if (r == 0) {
			good += piece;
			step = piece < length / 2 ? piece * 2 : length;
			continue;
		}
		if ((r != FILEMAP_EFAULT && r != -EHWPOISON) || piece <= page) {
			*ret_good = good;
			return r;
		}
		step = (piece / page + 1) / 2 * page;
	}
	return 0;
}
