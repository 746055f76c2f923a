/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A reader: a directory, a limit, and a few mapped segments. One thread at a time; nothing is shared. */
#ifndef FM_LOG_READER_H
#define FM_LOG_READER_H

#include "log/ctl.h"
#include "log/dir.h"
#include "map/map.h"

/* Address space is what a 32-bit process has least of. */
#define FM_READER_WINDOW (UINTPTR_MAX > UINT32_MAX ? 4u : 1u)

struct fm__reader_segment {
	struct filemap *map; /* NULL = the place is free */
	uint64_t n;
	uint64_t time_base;
	uint64_t used; /* value of the reader's clock at the last use */
};

struct filemap_log_reader {
	struct fm__log_dir dir;
	struct fm__log_geometry geometry;
	struct fm__log_ctl *ctl; /* of the writer that lived at the last refresh, or NULL */
	uint64_t examined;       /* sequence of the meta whose examination `limit` stems from; 0 = none */
	uint64_t first;          /* records below are gone */
	uint64_t limit;          /* what this reader may see ends here ... */
	uint64_t end;            /* ... and the log here: limit <= end */
	uint64_t lsn;            /* of the next frame */
	uint32_t level;
	uint32_t corrupt;        /* 1: at `end` a record is missing that was durable */
	uint32_t expected_epoch; /* of the frame at `lsn`, which was not there at the seek; 0 = any */
	uint32_t copies;         /* 1: FILEMAP_LOG_COPY */
	uint64_t clock;
	uint8_t *copy; /* of the last frame, if `copies` */
	size_t copy_size;
	struct fm__reader_segment window[FM_READER_WINDOW];
};

/* Load first, limit and end again. 0; 1 = a writer is about to open the log: all stays as it was;
 * or negative. *ret_report (may be NULL) is filled if 0 is returned. */
int fm__reader_refresh(struct filemap_log_reader *reader, struct filemap_log_report *ret_report,
		       struct filemap_error *reterr);

/* A valid frame, where the caller may read it until the reader's next call. */
struct fm__reader_sight {
	struct fm__log_frame frame;
	const uint8_t *at;
	uint64_t time_base;
};

/* 1: there is a valid frame at lsn; 0: there is none; or negative. FILEMAP_EFAULT: its bytes cannot be had now. */
int fm__reader_look(struct filemap_log_reader *reader, uint64_t lsn, struct fm__reader_sight *ret);
/* The seal of segment n, if it has one of this log. */
int fm__reader_trailer(struct filemap_log_reader *reader, uint64_t n, struct fm__log_trailer *ret);

/* Segment n, mapped: viewed until the next call. Errors as fm__log_segment_open. */
int fm__reader_segment(struct filemap_log_reader *reader, uint64_t n, const struct fm__reader_segment **ret,
		       struct filemap_error *reterr);
void fm__reader_segments_done(struct filemap_log_reader *reader);

#endif
