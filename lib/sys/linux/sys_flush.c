/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Making a range of a descriptor durable. Linux has no call for it but msync(2): a mapping of our own, which is
 * never touched, names the range. To make one and to take it away costs a tenth of a flush, so it can be kept.
 *
 * Invariant: exactly the pages of the range are written; where no mapping is to be had the whole file is.
 */
#include <errno.h>
#include <sys/resource.h>

#include "base/checked.h"
#include "base/util.h"
#include "sys/linux/kernel.h"
#include "sys/sys.h"

/* Of the first window, and how much longer each next one is, as powers of two: 16 MiB, 128 MiB, ... 4 TiB. */
#define FIRST_BITS 24u
#define STEP_BITS 3u

static int map_unreachable(int fd, uint64_t start, size_t length, void **ret)
{
	return fm__sys_map(NULL, length, PROT_NONE, MAP_SHARED | MAP_NORESERVE, fd, start, ret);
}

static size_t window_length(unsigned number)
{
	return (size_t)1 << (FIRST_BITS + STEP_BITS * number);
}

/* The shortest that reaches the end; FM_FLUSH_WINDOWS: none does. */
static unsigned window_of(uint64_t end)
{
	unsigned number = 0;

	while (number < FM_FLUSH_WINDOWS && FIRST_BITS + STEP_BITS * number < sizeof(size_t) * 8 - 1 &&
	       window_length(number) < end)
		number++;
	return FIRST_BITS + STEP_BITS * number < sizeof(size_t) * 8 - 1 ? number : FM_FLUSH_WINDOWS;
}

/* Address space that is limited is the program's. */
static bool is_address_space_limited(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_AS, &limit) < 0 || limit.rlim_cur != RLIM_INFINITY;
}

/* Of two that make the same one, one loses. */
static void *make_window(int fd, unsigned number, struct fm__flush_windows *windows)
{
	void *at, *there = NULL;

	if (is_address_space_limited() || map_unreachable(fd, 0, window_length(number), &at) < 0)
		return NULL;
	if (__atomic_compare_exchange_n(&windows->at[number], &there, at, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return at;
	(void)fm__sys_unmap(at, window_length(number));
	return there;
}

static char *find_window(int fd, uint64_t end, struct fm__flush_windows *windows)
{
	unsigned number;
	void *at;

	if (!windows)
		return NULL;
	number = window_of(end);
	if (number == FM_FLUSH_WINDOWS)
		return NULL;
	at = __atomic_load_n(&windows->at[number], __ATOMIC_ACQUIRE);
	return at ? at : make_window(fd, number, windows);
}

static int flush_once(int fd, uint64_t start, size_t length)
{
	void *at;

	if (map_unreachable(fd, start, length, &at) < 0)
		return fm__sys_fdatasync(fd);
	int r = fm__sys_msync(at, length);
	(void)fm__sys_unmap(at, length);
	return r;
}

int fm__sys_flush_range(int fd, uint64_t offset, uint64_t length, struct fm__flush_windows *windows)
{
	uint64_t page = fm__sys_page_size(), end;
	char *window;
	size_t cover;

	if (length == 0)
		return 0;
	if (!fm__add_u64(offset, length, &end) || end > INT64_MAX)
		return fm__sys_fdatasync(fd);
	uint64_t start = fm__align_down(offset, page);
	if (!fm__align_up(end, page, &end) || !fm__to_size(end - start, &cover))
		return fm__sys_fdatasync(fd);
	window = find_window(fd, end, windows);
	return window ? fm__sys_msync(window + start, cover) : flush_once(fd, start, cover);
}

void fm__sys_end_windows(struct fm__flush_windows *windows)
{
	for (unsigned i = 0; i < FM_FLUSH_WINDOWS; i++) {
		if (windows->at[i])
			(void)fm__sys_unmap(windows->at[i], window_length(i));
		windows->at[i] = NULL;
	}
}
