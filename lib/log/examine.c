/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The rules R1-R7: where a log ends, and whether it ends there rightly.
 *
 * Invariant: nothing is written. Two numbers are kept apart all the way: `end`, the first position without a
 * valid frame, and `durable`, below which everything was on the device by evidence - promises, meta.durable,
 * seals - and by nothing else. end < durable is the only way to be CORRUPT, besides damage to the structure.
 */
#include <string.h>

#include "log/examine.h"

#include "base/error.h"
#include "base/util.h"
#include "sys/sys.h"

static bool meta_sane(const struct fm__log_meta *meta)
{
	const struct fm__log_geometry *g = &meta->geometry;
	uint64_t first = fm__log_first_segment(meta);

	if (meta->last >= UINT64_MAX / g->segment_size - 2 || meta->sealed > meta->last + 1)
		return false;
	if (meta->first % g->unit != 0 || meta->first < fm__log_start(g, first))
		return false;
	return meta->first < fm__log_end(g, first) && first <= meta->last + 1;
}

static int read_meta(int fd, int sync, struct fm__log_meta *ret, struct filemap_error *reterr)
{
	int r;

	if (sync) {
		r = fm__sys_fdatasync(fd);
		if (r < 0)
			return fm__fail(reterr, r, "flush before reading", "meta");
	}
	r = fm__log_meta_read(fd, ret);
	if (r < 0)
		return fm__fail(reterr, r, "read meta", "meta");
	if (!meta_sane(ret))
		return fm__fail(reterr, FILEMAP_ECORRUPT, "check meta", "meta");
	if (ret->discard_to != 0)
		return fm__fail(reterr, FILEMAP_EVERSION, "check meta", "pending discard");
	return 0;
}

int fm__log_examine_meta(const struct fm__log_dir *dir, int sync, struct fm__log_meta *ret,
			 struct filemap_error *reterr)
{
	int fd, r;

	/* A descriptor of its own: one that is older may have been told of the error already. */
	fd = fm__sys_openat(dir->fd, "meta", O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd < 0)
		return fm__fail(reterr, fd, "open meta", "meta");
	r = read_meta(fd, sync, ret, reterr);
	fm__sys_close(fd);
	return r;
}

/* R4: a log that was closed in order ends where it says, if nothing was committed there. */
static int closed_at_end(struct fm__log_examination *e)
{
	const struct fm__log_meta *meta = &e->found.meta;
	const struct fm__log_geometry *g = &meta->geometry;
	uint64_t end = meta->end, n = fm__log_segment_of(g, end);
	const uint8_t *at;
	int r;

	if (e->flags || meta->state != FM_LOG_META_CLEAN || e->broken != UINT64_MAX)
		return 0;
	if (end < e->found.durable || end % g->unit != 0 || end < fm__log_start(g, n))
		return 0;
	if (n == meta->last + 1)
		return end == fm__log_start(g, n);
	if (n > meta->last || end >= fm__log_end(g, n))
		return 0;
	r = fm__log_scan_at(&e->scan, end, sizeof(uint64_t), &at);
	if (r < 0)
		return r;
	return fm__log_all_zero(at, sizeof(uint64_t));
}

/* R7 */
static void judge(struct fm__log_found *found, uint64_t broken, uint32_t any)
{
	if (found->end < found->durable || found->end >= broken) {
		found->state = FILEMAP_LOG_CORRUPT;
		return;
	}
	found->state = any ? FILEMAP_LOG_TORN : FILEMAP_LOG_CLEAN;
	found->evidence_at = 0;
}

static int scan_all(struct fm__log_examination *e)
{
	struct fm__log_found *found = &e->found;
	const struct fm__log_meta *meta = &found->meta;
	uint64_t from = fm__log_start(&meta->geometry, found->sealed_below);
	uint32_t any = 0;
	int r;

	if (e->flags & FM_LOG_EXAMINE_ALL || from < meta->first)
		from = meta->first;
	r = fm__log_examine_walk(e, from, e->broken);
	if (r < 0)
		return r;
	r = fm__log_examine_ahead(e, &any);
	if (r < 0)
		return r;
	judge(found, e->broken, any);
	return 0;
}

static int examine_steps(struct fm__log_examination *e)
{
	struct fm__log_found *found = &e->found;
	const struct fm__log_meta *meta = &found->meta;
	int r;

	r = fm__log_examine_meta(e->dir, 1, &found->meta, e->reterr);
	if (r < 0)
		return r;
	found->epoch = meta->epoch;
	found->durable = FM_MAX(meta->first, meta->durable);
	fm__log_scan_init(&e->scan, e->dir, &meta->geometry, e->reterr);
	r = fm__log_examine_segments(e);
	if (r < 0)
		return r;
	r = closed_at_end(e);
	if (r < 0)
		return r;
	if (r == 0)
		return scan_all(e);
	found->state = FILEMAP_LOG_CLEAN;
	found->clean_meta = 1;
	found->end = found->durable = found->scanned_from = meta->end;
	found->evidence_at = 0;
	return 0;
}

int fm__log_examine(const struct fm__log_dir *dir, unsigned flags, struct fm__log_found *ret,
		    struct filemap_error *reterr)
{
	struct fm__log_examination e = {
		.dir = dir, .flags = flags, .reterr = reterr, .broken = UINT64_MAX, .scan.fd = -1};
	int r;

	r = examine_steps(&e);
	fm__log_scan_done(&e.scan);
	if (r < 0)
		return r;
	e.found.promise_end = e.found.end;
	*ret = e.found;
	return 0;
}

void fm__log_found_report(const struct fm__log_found *found, struct filemap_log_report *ret)
{
	const struct fm__log_meta *meta = &found->meta;
	bool corrupt = found->state == FILEMAP_LOG_CORRUPT;

	*ret = (struct filemap_log_report){
		.state = found->state,
		.epoch = found->epoch,
		.first = meta->first,
		.end = found->end,
		.durable = found->durable,
		.records = found->records,
		.bytes = found->bytes,
		.scanned_from = found->scanned_from,
		.damaged_at = corrupt ? found->end : 0,
		.evidence_at = corrupt ? found->evidence_at : 0,
		.segments = meta->last + 1 - fm__log_first_segment(meta),
		.segment_size = meta->geometry.segment_size,
		.frame_unit = meta->geometry.unit,
	};
	memcpy(ret->uuid, meta->geometry.uuid, sizeof ret->uuid);
}
