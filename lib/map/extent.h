/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Giving a file blocks: growth that cannot turn into a signal later. */
#ifndef FM_MAP_EXTENT_H
#define FM_MAP_EXTENT_H

#include <stdint.h>

/* f_type of statfs(2). */
#define FM_TYPE_EXT UINT64_C(0xEF53) /* ext2, ext3 and ext4 */
#define FM_TYPE_BTRFS UINT64_C(0x9123683E)
#define FM_TYPE_TMPFS UINT64_C(0x01021994)
#define FM_TYPE_XFS UINT64_C(0x58465342)

/* Lengthen the file from `from` to `to` bytes, with blocks behind the new ones unless FILEMAP_SPARSE is in
 * `flags`. After a failure the file may be longer: the caller cuts it back, which also frees the blocks. */
int fm__extent_grow(int fd, uint64_t from, uint64_t to, uint32_t flags);

/* The same among others who may make the file longer at any moment: never cuts, also not for SPARSE. */
int fm__extent_grow_shared(int fd, uint64_t from, uint64_t to, uint32_t flags);

/* Find out, changing no content, whether `size` bytes of blocks can be had, also once the file has given back those
 * that it has; if not, it is cut back to `old_size`. After success it may be longer, or have blocks behind its end. */
int fm__extent_try(int fd, uint64_t old_size, uint64_t size);

/* Write zeros into [from, to). */
int fm__extent_zero(int fd, uint64_t from, uint64_t to);

#endif
