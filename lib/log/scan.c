/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The eyes of recovery: a window over the data areas, by pread only.
 *
 * The window is 1 MiB and grows for a longer frame only after the frame's header has proved to be possible,
 * so that rubbish cannot ask for memory. Nothing is mapped: a damaged device is an error here, not a signal,
 * and the pages that stay behind in the cache are small ones.
 */
#include <errno.h>

#include "log/scan.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/util.h"
#include "sys/sys.h"

#define CHUNK (UINT64_C(1) << 16)

void fm__log_scan_init(struct fm__log_scan *scan, const struct fm__log_dir *dir,
		       const struct fm__log_geometry *geometry, struct filemap_error *reterr)
{
	*scan = (struct fm__log_scan){.dir = dir, .geometry = geometry, .reterr = reterr, .fd = -1};
}

void fm__log_scan_done(struct fm__log_scan *scan)
{
	fm__sys_close(fm__take_fd(&scan->fd));
	fm__free(scan->window);
	scan->window = NULL;
	scan->window_size = 0;
	scan->have = 0;
}

int fm__log_scan_open(const struct fm__log_dir *dir, const struct fm__log_geometry *geometry, uint64_t n,
		      unsigned access, int *ret_fd, struct fm__log_header *ret_header,
		      struct filemap_error *reterr)
{
	char name[FM_LOG_NAME_SIZE];
	int r;

	r = fm__log_segment_open(dir, geometry, n, access, ret_fd, ret_header, reterr);
	if (r == 0) {
		/* Only advice: without it the log is read ahead in larger folios, but no less right. */
		(void)fm__sys_fadvise(*ret_fd, 0, 0, POSIX_FADV_RANDOM);
		return 0;
	}
	if (r == -ENOENT || r == -ELOOP) {
		fm__log_segment_name(n, "seg", name);
		r = fm__fail_errno(reterr, FILEMAP_ECORRUPT, -r, "find segment", "segment");
		fm__fail_detail(reterr, name);
	}
	if (r == FILEMAP_ECORRUPT)
		fm__fail_range(reterr, fm__log_start(geometry, n), 0);
	return r;
}

int fm__log_read_exactly(int fd, void *to, size_t length, uint64_t offset, struct filemap_error *reterr)
{
	int64_t got = fm__sys_pread(fd, to, length, offset);

	if (got == (int64_t)length)
		return 0;
	got = fm__fail(reterr, got < 0 ? (int)got : -EIO, "read segment", "segment");
	fm__fail_range(reterr, offset, length);
	return (int)got;
}

static int enter_segment(struct fm__log_scan *scan, uint64_t n)
{
	struct fm__log_header header;
	int fd, r;

	if (scan->fd >= 0 && scan->n == n)
		return 0;
	r = fm__log_scan_open(scan->dir, scan->geometry, n, FM_LOG_RO, &fd, &header, scan->reterr);
	if (r < 0)
		return r;
	fm__sys_close(scan->fd);
	scan->fd = fd;
	scan->n = n;
	scan->have = 0;
	return 0;
}

static int grow_window(struct fm__log_scan *scan, size_t need)
{
	uint8_t *window;

	if (scan->window_size >= need)
		return 0;
	need = FM_MAX(need, (size_t)FM_LOG_SCAN_WINDOW);
	window = fm__zalloc(need);
	if (!window)
		return fm__fail(scan->reterr, -ENOMEM, "allocate memory", "read window");
	fm__free(scan->window);
	scan->window = window;
	scan->window_size = need;
	scan->have = 0;
	return 0;
}

static int fill_window(struct fm__log_scan *scan, uint64_t lsn)
{
	const struct fm__log_geometry *g = scan->geometry;
	uint64_t left = fm__log_end(g, scan->n) - lsn;
	size_t length = (size_t)FM_MIN(left, (uint64_t)scan->window_size);
	int r;

	scan->have = 0;
	r = fm__log_read_exactly(scan->fd, scan->window, length, lsn % g->segment_size, scan->reterr);
	if (r < 0)
		return r;
	scan->at = lsn;
	scan->have = length;
	return 0;
}

int fm__log_scan_at(struct fm__log_scan *scan, uint64_t lsn, uint64_t need, const uint8_t **ret)
{
	int r;

	r = enter_segment(scan, fm__log_segment_of(scan->geometry, lsn));
	if (r < 0)
		return r;
	r = grow_window(scan, (size_t)need);
	if (r < 0)
		return r;
	if (lsn < scan->at || lsn + need > scan->at + scan->have) {
		r = fill_window(scan, lsn);
		if (r < 0)
			return r;
	}
	*ret = scan->window + (lsn - scan->at);
	return 0;
}

/* Could the header at `at` be a frame that fits? Then *ret is how many of its bytes the checksum needs. */
static bool plausible(const struct fm__log_geometry *g, uint64_t lsn, const uint8_t *at, uint64_t *ret)
{
	uint64_t size = fm__log_commit_size(g, lsn, fm__get_le64(at));
	uint64_t length = fm__get_le32(at + 12);
	uint64_t left = fm__log_end(g, fm__log_segment_of(g, lsn)) - lsn;

	*ret = FM_LOG_FRAME_HEADER + length;
	return size <= left && *ret <= size;
}

int fm__log_scan_frame(struct fm__log_scan *scan, uint64_t lsn, struct fm__log_frame *ret)
{
	const struct fm__log_geometry *g = scan->geometry;
	uint64_t left = fm__log_end(g, fm__log_segment_of(g, lsn)) - lsn;
	const uint8_t *at;
	uint64_t need;
	int r;

	if (left < FM_LOG_FRAME_HEADER)
		return 0;
	r = fm__log_scan_at(scan, lsn, FM_LOG_FRAME_HEADER, &at);
	if (r < 0)
		return r;
	if (!plausible(g, lsn, at, &need))
		return 0;
	r = fm__log_scan_at(scan, lsn, need, &at);
	if (r < 0)
		return r;
	return fm__log_frame_decode(g, lsn, at, left, ret);
}

bool fm__log_all_zero(const uint8_t *bytes, size_t length)
{
	return length == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0);
}

/* Offset of the first commit word in the chunk that belongs where it stands; `length` if there is none. */
static uint64_t find_commit(const struct fm__log_geometry *g, uint64_t lsn, const uint8_t *chunk,
			    uint64_t length)
{
	uint64_t offset;

	for (offset = 0; offset < length; offset += g->unit) {
		uint64_t word = fm__get_le64(chunk + offset);

		if (word != 0 && fm__log_commit_size(g, lsn + offset, word) != 0)
			break;
	}
	return offset;
}

int fm__log_scan_candidate(struct fm__log_scan *scan, uint64_t lsn, uint64_t until, uint64_t *ret,
			   uint32_t *any)
{
	while (lsn < until) {
		uint64_t length = FM_MIN(CHUNK, until - lsn), found;
		const uint8_t *chunk;
		int r;

		r = fm__log_scan_at(scan, lsn, length, &chunk);
		if (r < 0)
			return r;
		if (!fm__log_all_zero(chunk, (size_t)length)) {
			*any = 1;
			found = find_commit(scan->geometry, lsn, chunk, length);
			if (found < length) {
				*ret = lsn + found;
				return 0;
			}
		}
		lsn += length;
	}
	*ret = until;
	return 0;
}
