/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Calls of the kernel as data: what takes long, for a ring, or for a thread that may wait. */
#ifndef FM_SYS_CALL_H
#define FM_SYS_CALL_H

#include <stdint.h>

enum fm__call_kind {
	FM_CALL_NONE,      /* nothing; no ring takes it */
	FM_CALL_FLUSH,     /* fm__sys_flush_range(fd, offset, length, windows) */
	FM_CALL_SYNC,      /* fm__sys_fsync(fd) */
	FM_CALL_WRITEBACK, /* fm__sys_writeback_range(fd, offset, length) */
	FM_CALL_ADVISE,    /* fm__sys_madvise(at, length, advice) */
	FM_CALL_ALLOCATE,  /* fm__sys_fallocate(fd, 0, offset, length) */
	FM_CALL_TRUNCATE   /* fm__sys_ftruncate(fd, length) */
};

struct fm__flush_windows;

struct fm__call {
	enum fm__call_kind kind;
	int fd;
	uint64_t offset, length;
	void *at;
	int advice;
	struct fm__flush_windows *windows; /* for threads; NULL: none are kept */
};

/* Make it on this thread: what the function returns that its kind names; 0 for FM_CALL_NONE. */
int fm__call_run(const struct fm__call *call);

#endif
