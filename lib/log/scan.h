/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Reading a log's segments by position through one bounded window, and the frames in it. */
#ifndef FM_LOG_SCAN_H
#define FM_LOG_SCAN_H

#include "log/dir.h"

#define FM_LOG_SCAN_WINDOW (UINT64_C(1) << 20)

struct fm__log_scan {
	const struct fm__log_dir *dir;
	const struct fm__log_geometry *geometry;
	struct filemap_error *reterr;
	int fd; /* of segment n; -1 = none is open */
	uint64_t n;
	uint8_t *window; /* window_size bytes, of which `have` are those at position `at` */
	size_t window_size, have;
	uint64_t at;
};

void fm__log_scan_init(struct fm__log_scan *scan, const struct fm__log_dir *dir,
		       const struct fm__log_geometry *geometry, struct filemap_error *reterr);
void fm__log_scan_done(struct fm__log_scan *scan);

/* Segment n, opened and checked against the geometry; a segment that is not there is FILEMAP_ECORRUPT at
 * start(n). Reads of the descriptor (given) do not read ahead: folios stay small. */
int fm__log_scan_open(const struct fm__log_dir *dir, const struct fm__log_geometry *geometry, uint64_t n,
		      unsigned access, int *ret_fd, struct fm__log_header *ret_header,
		      struct filemap_error *reterr);

/* `length` bytes from `offset` on; fewer in the file is -EIO, as any failed read. */
int fm__log_read_exactly(int fd, void *to, size_t length, uint64_t offset, struct filemap_error *reterr);

/* Look at `need` bytes at lsn, all inside the data area of one segment: viewed until the next call. */
int fm__log_scan_at(struct fm__log_scan *scan, uint64_t lsn, uint64_t need, const uint8_t **ret);

/* 1 = there is a valid frame at lsn, 0 = there is none, or negative. */
int fm__log_scan_frame(struct fm__log_scan *scan, uint64_t lsn, struct fm__log_frame *ret);

/* The lowest multiple of the unit in [lsn, until) whose commit word belongs there, `until` if there is none.
 * *any becomes 1 if one of the bytes looked at is not zero. All of it lies in one data area. */
int fm__log_scan_candidate(struct fm__log_scan *scan, uint64_t lsn, uint64_t until, uint64_t *ret,
			   uint32_t *any);

/* Are all of these bytes zero? */
bool fm__log_all_zero(const uint8_t *bytes, size_t length);

#endif
