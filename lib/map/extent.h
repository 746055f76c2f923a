/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Giving a file blocks: growth that cannot turn into a signal later. */
#ifndef FM_MAP_EXTENT_H
#define FM_MAP_EXTENT_H

#include <stdint.h>

/* Lengthen the file from `from` to `to` bytes, with blocks behind the new ones unless FILEMAP_SPARSE is in
 * `flags`. After a failure the file may be longer: the caller cuts it back, which also frees the blocks. */
int fm__extent_grow(int fd, uint64_t from, uint64_t to, uint32_t flags);

/* The same among others who may make the file longer at any moment: never cuts, also not for SPARSE. */
int fm__extent_grow_shared(int fd, uint64_t from, uint64_t to, uint32_t flags);

/* As without SPARSE, where RLIMIT_FSIZE is known not to be set. */
int fm__extent_grow_unlimited(int fd, uint64_t from, uint64_t to);

/* Find out, changing no content, whether `size` bytes of blocks can be had; if not, the file is cut back to
 * `old_size`. */
int fm__extent_try(int fd, uint64_t old_size, uint64_t size);

/* Write zeros into [from, to). */
int fm__extent_zero(int fd, uint64_t from, uint64_t to);

#endif
