/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * filemap/uring.h - flushing mappings through the program's own io_uring.
 *
 * For programs that run an event loop on a ring and want a flush beside their other requests, with no
 * queue between. Not part of filemap.h; needs no liburing to compile, and works with whatever fills the
 * ring, if the library was built with liburing.
 *
 *   struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
 *   if (filemap_prep_flush(map, offset, length, sqe) == 0)
 *           io_uring_sqe_set_data(sqe, ...);      and submit, and wait for its completion
 *   r = filemap_finish_flush(map, offset, length, cqe->res);
 *
 * What surprises people:
 *
 * - io_uring takes the end of FSYNC's range as inclusive, a length of 0 as "one byte" behind offset 0, and
 *   has 32 bits for it. A range of msync(2) has to be translated, as it is here.
 * - The kernel looks the descriptor up when it begins, not at the submission, so it has to stay open and
 *   mean the same file until then. The pin sees to that, also if the map is closed meanwhile. What is in
 *   flight when the process is killed keeps the file open, and its lock taken, until it has finished.
 * - The kernel tells a write-back error once for an open file, to any flush of it. What is not given to
 *   filemap_finish_flush() is lost, and the next flush says 0.
 * - What was taken from the ring is submitted with the rest, filled in or not: where filemap_prep_flush()
 *   refuses, make a no-operation of the entry (io_uring_prep_nop()).
 * - A forked child must not touch the ring of its parent.
 */
#ifndef FILEMAP_URING_H
#define FILEMAP_URING_H

#include <filemap/map.h>

#ifdef __cplusplus
extern "C" {
#endif

struct io_uring_sqe; /* of <liburing.h> or <linux/io_uring.h> */

/**
 * Fill in a submission entry that flushes a range of a mapping, as filemap_flush_range() does.
 *
 * Everything in the entry but `user_data` is overwritten: set flags, such as IOSQE_IO_LINK, afterwards. The
 * mapping is pinned (filemap_pin()) until filemap_finish_flush(). For what has no device (COW, memory, a range
 * of 0 bytes) a no-operation is filled in, so that each entry has its completion. A flush covers what was
 * stored before it was submitted.
 *
 * @param offset  In bytes, into the mapping.
 * @param length  In bytes; FILEMAP_TO_END = all from the offset on.
 * @param sqe     Of the caller's ring; written on success only.
 * @return 0: filled in; filemap_finish_flush() has to follow, once, also if it is never submitted.
 * @return FILEMAP_ERANGE: not within the window; or, in whole pages, 4 GiB or more: split it.
 * @return FILEMAP_EPOISONED: as filemap_flush_range().
 * @return -EOPNOTSUPP: the library was built without liburing.
 *
 * Class W. Never blocks. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_prep_flush(struct filemap *map, size_t offset,
	size_t length, struct io_uring_sqe *sqe);

/**
 * Give the result of such an entry back: an error taints the mapping, the pin ends.
 *
 * @param offset  As given to filemap_prep_flush(), with @p length.
 * @param res     Of the completion; -ECANCELED if the entry was never submitted.
 * @return 0: the range is durable.
 * @return FILEMAP_EPOISONED: this flush went well, but another one of the mapping has failed.
 * @return -ECANCELED, -EINTR, -EAGAIN: it was never begun; nothing is tainted, and it may be repeated.
 * @return -errno: it failed; the mapping is TAINTED.
 *
 * A forked child must not call it for what its parent prepared.
 *
 * Class W. The last pin of a closed mapping ends it here; else never blocks. @since 0.1
 */
FILEMAP_API int filemap_finish_flush(struct filemap *map, size_t offset, size_t length, int res);

#ifdef __cplusplus
}
#endif

#endif
