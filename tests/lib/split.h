/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a test of memory needs of the machine, found out by trying. */
#ifndef T_SPLIT_H
#define T_SPLIT_H

#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

/* Whether mremap(2) refuses to grow several pieces: valgrind has one of its own, with another reason. */
static inline bool split_is_refused(void)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *at = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *moved;

	if (at == MAP_FAILED || mprotect(at + page, page, PROT_READ) < 0)
		return false;
	moved = mremap(at, 4 * page, 4096 * page, MREMAP_MAYMOVE);
	const bool refused = moved == MAP_FAILED && errno == EFAULT;
	munmap(moved == MAP_FAILED ? at : moved, (moved == MAP_FAILED ? 4 : 4096) * page);
	return refused;
}

/* Whether 2 MiB can be kept in memory: limits may be small, and valgrind 3.19 does not know mlock2(2). */
static inline bool memory_can_be_locked(void)
{
	const size_t size = (size_t)2 << 20;
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const bool locked = at != MAP_FAILED && mlock2(at, size, MLOCK_ONFAULT) == 0;

	if (at != MAP_FAILED)
		munmap(at, size);
	return locked;
}

#define MLOCK_REASON "no memory can be locked here"
#define SPLIT_REASON "mremap is not the kernel's here"

#endif
