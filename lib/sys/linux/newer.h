/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What kernels have and the headers of older C libraries lack: the same numbers, by the same names. */
#ifndef FM_SYS_LINUX_NEWER_H
#define FM_SYS_LINUX_NEWER_H

#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#ifndef MFD_HUGETLB
#define MFD_HUGETLB 0x0004U
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3, as MFD_EXEC */
#endif
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif
#ifndef MFD_HUGE_SHIFT
#define MFD_HUGE_SHIFT 26
#endif

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41 /* Linux 5.17 */
#define PR_SET_VMA_ANON_NAME 0
#endif

/* 32-bit systems with 64-bit time_t have a second call with the wider struct. */
#if defined(SYS_futex_time64) && defined(__USE_TIME_BITS64)
#define FM_SYS_FUTEX SYS_futex_time64
#else
#define FM_SYS_FUTEX SYS_futex
#endif

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31) /* Linux 4.7; no C library has it */
#endif

#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020 /* Linux 6.3 */
#endif

#define FM_IORING_OP_FTRUNCATE 55 /* Linux 6.9; an enumerator in <liburing.h> from 2.6 on */

/* Linux 6.5. One number everywhere, but for alpha and mips, which count from bases of their own. */
#if defined(SYS_cachestat)
#define FM_SYS_CACHESTAT SYS_cachestat
#elif defined(__alpha__)
#define FM_SYS_CACHESTAT 561
#elif defined(__mips__)
#define FM_SYS_CACHESTAT (__NR_Linux + 451)
#elif defined(__X32_SYSCALL_BIT) && defined(__ILP32__)
#define FM_SYS_CACHESTAT (__X32_SYSCALL_BIT + 451)
#else
#define FM_SYS_CACHESTAT 451
#endif

struct fm__cachestat_range {
	uint64_t offset;
	uint64_t length; /* 0: to the end of the file */
};

struct fm__cachestat {
	uint64_t cache;
	uint64_t dirty;
	uint64_t writeback;
	uint64_t evicted;
	uint64_t recently_evicted;
};

#endif
