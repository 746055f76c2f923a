/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the blocks of the format have in common: magic, version, geometry, checksum. */
#ifndef FM_LOG_BLOCK_H
#define FM_LOG_BLOCK_H

#include "log/format.h"

/* 0; FILEMAP_ECORRUPT: not this block, or damaged; FILEMAP_EVERSION: intact and of a newer format. */
int fm__log_block_check(const uint8_t *block, const char magic[8]);

/* The fields A, uuid and S, which header and meta keep at the same offsets. */
void fm__log_block_geometry_put(uint8_t *block, const struct fm__log_geometry *g);
void fm__log_block_geometry_get(const uint8_t *block, struct fm__log_geometry *ret);

bool fm__log_geometry_valid(const struct fm__log_geometry *g);
bool fm__log_geometry_same(const struct fm__log_geometry *a, const struct fm__log_geometry *b);

#endif
