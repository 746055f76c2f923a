/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The torn tail becomes PAD DISCARD frames: 32 bytes over each part, the rest stays as it is.
 *
 * Invariant: a position that anybody may have seen is never given out again, so the cover reaches beyond the
 * last byte that is not zero and beyond what the last writer had published. Each PAD promises the end of the
 * log and no more: all below that was made durable before.
 */
#include <errno.h>

#include "log/discard.h"

#include "base/checked.h"
#include "base/error.h"
#include "base/util.h"
#include "log/scan.h"
#include "sys/sys.h"

#define CHUNK ((size_t)1 << 16)

struct tail {
	const struct fm__log_dir *dir;
	const struct fm__log_found *found;
	uint64_t published;
	uint8_t *buffer; /* CHUNK bytes */
	struct filemap_error *reterr;
};

static size_t last_non_zero(const uint8_t *bytes, size_t length)
{
	while (length > 0 && bytes[length - 1] == 0)
		length--;
	return length;
}

/* One behind the last byte in [from, to) that is not zero; 0 = there is none. Positions. */
static int find_last(struct tail *tail, int fd, uint64_t from, uint64_t to, uint64_t *ret)
{
	while (from < to) {
		size_t length = (size_t)FM_MIN((uint64_t)CHUNK, to - from), used;
		uint64_t at = to - length;
		int r;

		r = fm__log_read_exactly(fd, tail->buffer, length,
					 at % tail->found->meta.geometry.segment_size, tail->reterr);
		if (r < 0)
			return r;
		if (!fm__log_all_zero(tail->buffer, length)) {
			used = last_non_zero(tail->buffer, length);
			*ret = at + used;
			return 0;
		}
		to = at;
	}
	*ret = 0;
	return 0;
}

/* z(n), or 0 */
static int used_until(struct tail *tail, uint64_t n, uint64_t *ret)
{
	const struct fm__log_geometry *g = &tail->found->meta.geometry;
	uint64_t from = FM_MAX(tail->found->end, fm__log_start(g, n)), to = fm__log_end(g, n), used = 0;
	struct fm__log_header header;
	int fd, r;

	if (tail->found->state == FILEMAP_LOG_TORN) {
		r = fm__log_scan_open(tail->dir, g, n, FM_LOG_RO, &fd, &header, tail->reterr);
		if (r < 0)
			return r;
		r = find_last(tail, fd, from, to, &used);
		fm__sys_close(fd);
		if (r < 0)
			return r;
	}
	if (tail->published > from)
		used = FM_MAX(used, FM_MIN(tail->published, to));
	*ret = fm__align_down(used + (FM_LOG_BLOCK - 1), FM_LOG_BLOCK);
	return 0;
}

static uint32_t time_since(uint64_t base)
{
	uint64_t now = fm__sys_realtime_ms();

	if (now < base)
		return 0;
	return (uint32_t)FM_MIN(now - base, (uint64_t)UINT32_MAX - 1);
}

static int write_pad(struct tail *tail, int fd, uint64_t from, uint64_t to, uint64_t time_base)
{
	const struct fm__log_meta *meta = &tail->found->meta;
	const struct fm__log_geometry *g = &meta->geometry;
	struct fm__log_frame pad = {
		.lsn = from,
		.size = to - from,
		.type = FM_LOG_PAD,
		.flags = FM_LOG_PAD_DISCARD,
		.epoch = meta->epoch,
		.back = fm__log_back(g, from, tail->found->promise_end),
		.time = time_since(time_base),
	};
	uint8_t header[FM_LOG_FRAME_HEADER];
	int r;

	fm__log_frame_encode(g, &pad, NULL, 0, header);
	r = fm__sys_pwrite(fd, header, sizeof header, from % g->segment_size);
	if (r < 0)
		return fm__fail(tail->reterr, r, "put the torn tail aside", "segment");
	r = fm__sys_fdatasync(fd);
	if (r < 0)
		return fm__fail(tail->reterr, r, "flush the discarded tail", "segment");
	return 0;
}

static int discard_in_segment(struct tail *tail, uint64_t n, uint64_t to)
{
	const struct fm__log_geometry *g = &tail->found->meta.geometry;
	uint64_t from = FM_MAX(tail->found->end, fm__log_start(g, n));
	struct fm__log_header header;
	int fd, r;

	if (from >= to)
		return 0;
	r = fm__log_scan_open(tail->dir, g, n, FM_LOG_RW, &fd, &header, tail->reterr);
	if (r < 0)
		return r;
	r = write_pad(tail, fd, from, to, header.time_base);
	fm__sys_close(fd);
	return r;
}

static int discard_parts(struct tail *tail, uint64_t *ret_end)
{
	const struct fm__log_meta *meta = &tail->found->meta;
	const struct fm__log_geometry *g = &meta->geometry;
	uint64_t lowest = fm__log_segment_of(g, tail->found->end), n, k = 0, used, until = 0;
	int r;

	for (n = meta->last; n >= lowest && until == 0; n--) {
		r = used_until(tail, n, &used);
		if (r < 0)
			return r;
		if (used != 0) {
			k = n;
			until = used;
		}
		if (n == 0)
			break;
	}
	if (until == 0) {
		*ret_end = tail->found->end;
		return 0;
	}
	for (n = lowest; n <= k; n++) {
		r = discard_in_segment(tail, n, n < k ? fm__log_end(g, n) : until);
		if (r < 0)
			return r;
	}
	*ret_end = fm__log_canonical(g, until);
	return 0;
}

int fm__log_discard_tail(const struct fm__log_dir *dir, const struct fm__log_found *found, uint64_t published,
			 uint64_t *ret_end, struct filemap_error *reterr)
{
	struct tail tail = {.dir = dir, .found = found, .published = published, .reterr = reterr};
	int r;

	tail.buffer = fm__zalloc(CHUNK);
	if (!tail.buffer)
		return fm__fail(reterr, -ENOMEM, "allocate memory", "read buffer");
	r = discard_parts(&tail, ret_end);
	fm__free(tail.buffer);
	return r;
}
