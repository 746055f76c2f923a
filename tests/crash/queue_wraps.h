/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The functions that the linker puts in front of the library's own. */
#ifndef QUEUE_WRAPS_H
#define QUEUE_WRAPS_H

#include <stddef.h>
#include <stdint.h>

struct fm__flush_windows;

struct filemap;
struct fm__call;
struct fm__flush;
struct fm__ring;
struct fm__ring_completion;

/* X(result, name, parameters) */
#define QUEUE_WRAPS(X)                                                                                   \
	X(int, fm__sys_flush_range,                                                                      \
	  (int fd, uint64_t offset, uint64_t length, struct fm__flush_windows *windows))                 \
	X(int, fm__sys_fsync, (int fd))                                                                  \
	X(int, fm__sys_fdatasync, (int fd))                                                              \
	X(int, fm__sys_fs_type, (int fd, uint64_t *ret))                                                 \
	X(int, fm__map_commit_store,                                                                     \
	  (struct filemap * map, size_t header_offset, const void *header, size_t header_length))        \
	X(int, fm__map_flush_end, (struct fm__flush * flush, int result))                                \
	X(void, fm__ring_close, (struct fm__ring * ring))                                                \
	X(int, fm__ring_push, (struct fm__ring * ring, const struct fm__call *call, uint64_t user_data)) \
	X(int, fm__ring_wait, (struct fm__ring * ring, int timeout_ms))                                  \
	X(int, fm__ring_reap, (struct fm__ring * ring, struct fm__ring_completion * to, unsigned count))

#define QUEUE_WRAP_DECLARE(result, name, parameters) \
	result __wrap_##name parameters;             \
	result __real_##name parameters;
QUEUE_WRAPS(QUEUE_WRAP_DECLARE)

#endif
