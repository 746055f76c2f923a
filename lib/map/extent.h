/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Giving a file blocks: growth that cannot turn into a signal later. */
#ifndef FM_MAP_EXTENT_H
#define FM_MAP_EXTENT_H

#include <stdbool.h>
#include <stdint.h>

#include "sys/call.h"

/* f_type of statfs(2). */
#define FM_TYPE_EXT UINT64_C(0xEF53) /* ext2, ext3 and ext4 */
#define FM_TYPE_BTRFS UINT64_C(0x9123683E)
#define FM_TYPE_TMPFS UINT64_C(0x01021994)
#define FM_TYPE_XFS UINT64_C(0x58465342)
#define FM_TYPE_RAMFS UINT64_C(0x858458F6)
#define FM_TYPE_HUGETLBFS UINT64_C(0x958458F6)

/* Lengthen the file from `from` to `to` bytes, with blocks behind the new ones unless FILEMAP_SPARSE is in
 * `flags`. After a failure the file may be longer: the caller cuts it back, which also frees the blocks. `shared`: others
 * may make the file longer at any moment: it is never cut, also not for SPARSE. */
int fm__extent_grow(int fd, uint64_t from, uint64_t to, uint32_t flags, bool shared);

/* The call that does so: ALLOCATE, TRUNCATE or NONE. */
struct fm__call fm__extent_plan(int fd, uint64_t from, uint64_t to, uint32_t flags, bool shared);

/* Make it here, with zeros where there is no fallocate(2). */
int fm__extent_make(const struct fm__call *call);

/* Somebody else has made it, and this is the answer. What was not made is made here (interruptions, and rings that do
 * not know the call), zeros are written here. */
int fm__extent_answer(const struct fm__call *call, int answer);

/* Find out, changing no content, whether `size` bytes of blocks can be had, also once the file has given back those
 * that it has; if not, it is cut back to `old_size`. After success it may be longer, or have blocks behind its end. */
int fm__extent_try(int fd, uint64_t old_size, uint64_t size);

/* Write zeros into [from, to). */
int fm__extent_zero(int fd, uint64_t from, uint64_t to);

#endif
