/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The file `meta`: two slots, of which the older is always the one written (order rule O6). */
#ifndef FM_LOG_META_H
#define FM_LOG_META_H

#include "log/format.h"

#define FM_LOG_META_SIZE 131072u
#define FM_LOG_META_SLOT 65536u
#define FM_LOG_META_OPEN 1u
#define FM_LOG_META_CLEAN 2u

struct fm__log_meta {
	struct fm__log_geometry geometry;
	uint32_t compat, incompat;
	uint64_t sequence;
	uint32_t epoch, state;
	uint64_t first, last, durable, end, discard_from, discard_to, sealed;
};

void fm__log_meta_encode(const struct fm__log_meta *meta, uint8_t block[FM_LOG_BLOCK]);
int fm__log_meta_decode(const uint8_t block[FM_LOG_BLOCK],
			struct fm__log_meta *ret); /* 0, ECORRUPT, EVERSION */

/* The valid slot with the highest sequence; -EIO...; FILEMAP_ECORRUPT: none; FILEMAP_EVERSION: any slot that
 * is intact says so. The caller did R1's fdatasync. */
int fm__log_meta_read(int fd, struct fm__log_meta *ret);

/* Two writes and flushes, sequences s+1 and s+2: meta->sequence becomes s+2. On failure what reached the
 * device is unknown: the caller poisons. */
int fm__log_meta_structural(int fd, struct fm__log_meta *meta);
/* The slot that holds it, as it is, and a flush: what was read may not be on the device. */
int fm__log_meta_again(int fd, const struct fm__log_meta *meta);
/* One write and flush, sequence s+1: for `durable` only. */
int fm__log_meta_watermark(int fd, struct fm__log_meta *meta);

#endif
