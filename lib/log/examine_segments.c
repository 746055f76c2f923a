/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The rules R2 and R3: are all segments there, are they this log's, how far are they sealed.
 *
 * Invariant: a segment at or above meta.sealed is flushed through a descriptor that was opened here before
 * anything in it is believed, so that a write-back error nobody has seen yet is seen now.
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/util.h"
#include "log/examine.h"
#include "sys/sys.h"

struct presence {
	uint64_t lowest, highest, count;
};

static int count_segment(void *context, const char *name)
{
	struct presence *presence = context;
	uint64_t n;

	if (fm__log_segment_parse(name, "seg", &n) && n >= presence->lowest && n <= presence->highest)
		presence->count++;
	return 0;
}

static int missing(const struct fm__log_geometry *g, uint64_t n, const char *name,
		   struct filemap_error *reterr)
{
	fm__fail_errno(reterr, FILEMAP_ECORRUPT, ENOENT, "find segment", "segment");
	fm__fail_detail(reterr, name);
	fm__fail_range(reterr, fm__log_start(g, n), 0);
	return FILEMAP_ECORRUPT;
}

/* Ends soon, whatever meta says about the last segment: fewer names than segments, so one of the next is missing. */
static int find_missing(const struct fm__log_dir *dir, const struct fm__log_geometry *g,
			const struct presence *presence, struct filemap_error *reterr)
{
	char name[FM_LOG_NAME_SIZE];
	struct stat st;

	for (uint64_t n = presence->lowest; n <= presence->highest; n++) {
		int r;

		fm__log_segment_name(n, "seg", name);
		r = fm__sys_fstatat(dir->fd, name, &st, AT_SYMLINK_NOFOLLOW);
		if (r == -ENOENT)
			return missing(g, n, name, reterr);
		if (r < 0)
			return fm__fail(reterr, r, "find segment", "segment");
	}
	return 0;
}

int fm__log_examine_presence(const struct fm__log_dir *dir, const struct fm__log_geometry *g, uint64_t lowest,
			     uint64_t highest, struct filemap_error *reterr)
{
	struct presence presence = {.lowest = lowest, .highest = highest};
	int r;

	if (lowest > highest)
		return 0;
	r = fm__sys_list_dir(dir->fd, count_segment, &presence);
	if (r < 0)
		return fm__fail(reterr, r, "list directory", "log directory");
	if (presence.count == highest - lowest + 1)
		return 0;
	return find_missing(dir, g, &presence, reterr);
}

int fm__log_examine_trailer(int fd, const struct fm__log_geometry *g, uint64_t n, struct fm__log_trailer *ret,
			    struct filemap_error *reterr)
{
	uint8_t block[FM_LOG_BLOCK];
	int r;

	r = fm__log_read_exactly(fd, block, sizeof block, g->segment_size - FM_LOG_BLOCK, reterr);
	if (r < 0)
		return r;
	r = fm__log_trailer_decode(block, ret);
	if (r == FILEMAP_EVERSION)
		return fm__fail(reterr, r, "read trailer", "segment");
	if (r < 0)
		return 0;
	return ret->n == n && memcmp(ret->uuid, g->uuid, sizeof g->uuid) == 0;
}

/* 1 = sealed, 0 = not */
static int check_open_segment(struct fm__log_examination *e, uint64_t n, int fd)
{
	struct fm__log_trailer trailer;
	int r;

	if (n >= e->found.meta.sealed) {
		r = fm__sys_fdatasync(fd);
		if (r < 0) {
			r = fm__fail(e->reterr, r, "flush before reading", "segment");
			fm__fail_range(e->reterr, fm__log_start(&e->found.meta.geometry, n), 0);
			return r;
		}
	}
	r = fm__log_examine_trailer(fd, &e->found.meta.geometry, n, &trailer, e->reterr);
	if (r > 0)
		e->found.epoch = FM_MAX(e->found.epoch, trailer.epoch);
	return r;
}

static int check_segment(struct fm__log_examination *e, uint64_t n)
{
	struct fm__log_header header;
	int fd, r;

	r = fm__log_scan_open(e->dir, &e->found.meta.geometry, n, FM_LOG_RO, &fd, &header, e->reterr);
	if (r < 0)
		return r;
	e->found.epoch = FM_MAX(e->found.epoch, header.epoch);
	r = check_open_segment(e, n, fd);
	fm__sys_close(fd);
	return r;
}

/* What R3 concludes: s0 is the lowest segment without a seal, `above` one behind the highest with a seal. */
static void conclude(struct fm__log_examination *e, uint64_t s0, uint64_t above)
{
	struct fm__log_found *found = &e->found;
	const struct fm__log_geometry *g = &found->meta.geometry;
	uint64_t first = fm__log_first_segment(&found->meta);

	found->sealed_below = s0;
	e->seals = s0;
	if (s0 < found->meta.sealed || s0 < above)
		e->broken = fm__log_start(g, s0 + 1);
	if (found->meta.sealed > first)
		fm__log_evidence(found, fm__log_start(g, found->meta.sealed), 0);
	if (s0 > first)
		fm__log_evidence(found, fm__log_start(g, s0), fm__log_end(g, s0 - 1));
	if (above > s0)
		fm__log_evidence(found, fm__log_start(g, above), fm__log_end(g, above - 1));
}

int fm__log_examine_segments(struct fm__log_examination *e)
{
	const struct fm__log_meta *meta = &e->found.meta;
	uint64_t lowest = fm__log_first_segment(meta), n, s0 = meta->last + 1, above = 0;
	int r;

	r = fm__log_examine_presence(e->dir, &meta->geometry, lowest, meta->last, e->reterr);
	if (r < 0)
		return r;
	if (e->flags == 0)
		lowest = FM_MAX(lowest, meta->sealed);
	for (n = lowest; n <= meta->last; n++) {
		r = check_segment(e, n);
		if (r < 0)
			return r;
		if (r > 0)
			above = n + 1;
		else
			s0 = FM_MIN(s0, n);
	}
	conclude(e, s0, above);
	return 0;
}
