/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Address space: mapping, moving, flushing and advising it. A failing call leaves the old mapping. */
#include <unistd.h>

#include "sys/linux/kernel.h"
#include "sys/sys.h"

size_t fm__sys_page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

int fm__sys_map(void *at, size_t length, int prot, int flags, int fd, uint64_t offset, void **ret)
{
	off_t start;

	int r = fm__to_off(offset, &start);
	if (r < 0)
		return r;
	void *map = mmap(at, length, prot, flags, fd, start);
	if (map == MAP_FAILED)
		return -errno;
	*ret = map;
	return 0;
}

int fm__sys_unmap(void *at, size_t length)
{
	return fm__result(munmap(at, length));
}

int fm__sys_remap(void *at, size_t old_length, size_t new_length, int flags, void **ret)
{
	void *map = mremap(at, old_length, new_length, flags);
	if (map == MAP_FAILED)
		return -errno;
	*ret = map;
	return 0;
}

int fm__sys_msync(void *at, size_t length)
{
	return FM_RETRY(msync(at, length, MS_SYNC));
}

int fm__sys_madvise(void *at, size_t length, int advice)
{
	return FM_RETRY(madvise(at, length, advice));
}
