/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Address space: mapping, moving, flushing, advising and locking it. A failing call leaves the old mapping. */
#include <unistd.h>

#include "sys/linux/kernel.h"
#include "sys/linux/newer.h"
#include "sys/sys.h"

size_t fm__sys_page_size(void)
{
	static size_t known; /* atomic; it is the same for everybody who finds it out */
	size_t size = __atomic_load_n(&known, __ATOMIC_RELAXED);
	if (size == 0) {
		size = (size_t)sysconf(_SC_PAGESIZE);
		__atomic_store_n(&known, size, __ATOMIC_RELAXED);
	}
	return size;
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

int fm__sys_protect(void *at, size_t length, int prot)
{
	return FM_RETRY(mprotect(at, length, prot));
}

int fm__sys_mlock(void *at, size_t length, bool on_fault)
{
	return FM_RETRY(mlock2(at, length, on_fault ? MLOCK_ONFAULT : 0));
}

int fm__sys_munlock(void *at, size_t length)
{
	return FM_RETRY(munlock(at, length));
}

int fm__sys_mincore(void *at, size_t length, unsigned char *ret_pages)
{
	return FM_RETRY(mincore(at, length, ret_pages));
}

int fm__sys_name_memory(void *at, size_t length, const char *name)
{
	return fm__result(prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, at, length, name));
}
