/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * filemap_log_reader_*: records in order, each checked before it is handed out. Invariant: `lsn` is
 * `first`, or a frame boundary that was reached over valid frames or checked by a seek; a call that
 * fails leaves it where it was - only over a LOST area it moves, once that was reported.
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "base/util.h"
#include "log/examine.h"
#include "log/reader.h"
#include "sys/sys.h"

#define OPEN_TRIES 200
#define OPEN_PAUSE_MS 10u

/* ---- opening ---- */

static int options_check(const char *dir, const struct filemap_log_reader_options *options,
			 struct filemap_log_reader **ret_reader, struct filemap_log_reader_options *ret,
			 struct filemap_error *reterr)
{
	struct filemap_log_reader_options known;
	int r = fm__options_read(&known, sizeof known, options, sizeof known, reterr);

	if (r < 0)
		return r;
	if (!dir)
		return fm__options_refuse(reterr, "dir", "name the log's directory");
	if (!ret_reader)
		return fm__options_refuse(reterr, "ret_reader", "pass a place for the reader");
	if (known.flags & ~FILEMAP_LOG_COPY)
		return fm__options_refuse(reterr, "flags", "0 or FILEMAP_LOG_COPY");
	if (known.level != FILEMAP_PUBLISHED && known.level != FILEMAP_DURABLE)
		return fm__options_refuse(reterr, "level", "FILEMAP_PUBLISHED or FILEMAP_DURABLE");
	if (known.reserved != 0)
		return fm__options_refuse(reterr, "reserved", "must be 0");
	*ret = known;
	return 0;
}

/* A writer that is opening the log has no word yet: it is waited for, but not for ever. */
static int first_refresh(struct filemap_log_reader *reader, struct filemap_log_report *ret_report,
			 struct filemap_error *reterr)
{
	int r;

	for (int tries = 0; tries < OPEN_TRIES; tries++) {
		r = fm__reader_refresh(reader, ret_report, reterr);
		if (r <= 0)
			return r;
		r = fm__sys_sleep_ms(OPEN_PAUSE_MS);
		if (r < 0)
			return fm__fail(reterr, r, "wait for the writer", "ctl");
	}
	r = fm__fail(reterr, FILEMAP_EBUSY, "wait for the writer", "ctl");
	fm__fail_hint(reterr, "another process is opening the log; try again");
	return r;
}

static int open_in_dir(struct filemap_log_reader *reader, struct filemap_log_report *ret_report,
		       struct filemap_error *reterr)
{
	struct filemap_error error; /* of a try that was repeated: not the caller's matter */
	struct fm__log_meta meta;
	int r;

	r = fm__log_examine_meta(&reader->dir, 0, &meta, reterr);
	if (r < 0)
		return r;
	reader->geometry = meta.geometry;
	r = first_refresh(reader, ret_report, &error);
	if (r < 0) {
		if (reterr)
			*reterr = error;
		return r;
	}
	reader->lsn = reader->first;
	return 0;
}

int filemap_log_reader_open(const char *dir, const struct filemap_log_reader_options *options,
			    struct filemap_log_reader **ret_reader, struct filemap_log_report *ret_report,
			    struct filemap_error *reterr)
{
	struct filemap_log_reader *reader;
	struct filemap_log_report report;
	struct filemap_log_reader_options known = {0};
	int r;

	r = options_check(dir, options, ret_reader, &known, reterr);
	if (r < 0)
		return r;
	reader = fm__zalloc(sizeof *reader);
	if (!reader)
		return fm__fail(reterr, -ENOMEM, "allocate memory", "reader");
	reader->level = known.level;
	reader->copies = (known.flags & FILEMAP_LOG_COPY) != 0;
	r = fm__log_dir_open(dir, FM_LOG_RO, &reader->dir, reterr);
	if (r < 0) {
		fm__free(reader);
		return r;
	}
	r = open_in_dir(reader, &report, reterr);
	if (r < 0) {
		filemap_log_reader_close(reader);
		return r;
	}
	*ret_reader = reader;
	if (ret_report)
		*ret_report = report;
	return 0;
}

void filemap_log_reader_close(struct filemap_log_reader *reader)
{
	if (!reader)
		return;
	fm__reader_segments_done(reader);
	fm__log_ctl_close(reader->ctl);
	fm__log_dir_close(&reader->dir);
	fm__free(reader->copy);
	fm__free(reader);
}

/* ---- one frame ---- */

static uint64_t behind(const struct filemap_log_reader *reader, const struct fm__log_frame *frame)
{
	return fm__log_canonical(&reader->geometry, frame->lsn + frame->size);
}

/* Nothing valid below the limit is damage, unless the limits have moved away from it meanwhile. */
static int doubt(struct filemap_log_reader *reader, struct fm__reader_sight *ret)
{
	int r = fm__reader_refresh(reader, NULL, NULL);

	if (r < 0)
		return r;
	if (reader->lsn < reader->first)
		return FILEMAP_EGONE;
	if (reader->lsn >= reader->limit)
		return 0;
	r = fm__reader_look(reader, reader->lsn, ret);
	return r == 0 ? FILEMAP_ECORRUPT : r;
}

/* 1: *ret is the frame at reader->lsn, and the reader may see it; 0: it may see nothing yet. */
static int next_frame(struct filemap_log_reader *reader, struct fm__reader_sight *ret)
{
	int r;

	if (reader->lsn >= reader->limit) {
		r = fm__reader_refresh(reader, NULL, NULL);
		if (r < 0)
			return r;
		if (reader->lsn >= reader->limit)
			return reader->corrupt && reader->lsn >= reader->end ? FILEMAP_ECORRUPT : 0;
	}
	if (reader->lsn < reader->first)
		return FILEMAP_EGONE;
	r = fm__reader_look(reader, reader->lsn, ret);
	if (r == 0)
		r = doubt(reader, ret);
	if (r <= 0)
		return r;
	if (behind(reader, &ret->frame) > reader->limit)
		return 0; /* a limit inside a frame: it is not seen before it is all below */
	if (reader->expected_epoch != 0 && ret->frame.epoch != reader->expected_epoch)
		return FILEMAP_EGONE;
	return 1;
}

static void go_to(struct filemap_log_reader *reader, uint64_t lsn, uint32_t expected_epoch)
{
	reader->lsn = lsn;
	reader->expected_epoch = expected_epoch;
}

static void record_from(const struct filemap_log_reader *reader, const struct fm__reader_sight *sight,
			struct filemap_log_record *ret)
{
	const struct fm__log_frame *frame = &sight->frame;

	*ret = (struct filemap_log_record){
		.data = sight->at + FM_LOG_FRAME_HEADER,
		.length = frame->length,
		.position = {.lsn = frame->lsn, .epoch = frame->epoch},
		.next = behind(reader, frame),
		.time_ms = sight->time_base + frame->time,
	};
}

int filemap_log_reader_next(struct filemap_log_reader *reader, struct filemap_log_record *ret)
{
	struct fm__reader_sight sight;
	int r;

	while ((r = next_frame(reader, &sight)) == 1) {
		const struct fm__log_frame *frame = &sight.frame;

		if (frame->type != FM_LOG_DATA && frame->type != FM_LOG_PAD)
			return FILEMAP_EVERSION;
		go_to(reader, behind(reader, frame), 0);
		if (frame->type == FM_LOG_DATA) {
			record_from(reader, &sight, ret);
			return 1;
		}
		if (frame->flags == FM_LOG_PAD_LOST)
			return FILEMAP_ECORRUPT;
	}
	return r;
}

/* ---- moving ---- */

/* The last of the seal's entry points that does not lie behind lsn; 0 = there is no seal. */
static uint64_t entry_point(struct filemap_log_reader *reader, uint64_t lsn)
{
	const struct fm__log_geometry *g = &reader->geometry;
	uint64_t base = fm__log_segment_of(g, lsn) * g->segment_size;
	struct fm__log_trailer trailer;

	if (fm__reader_trailer(reader, base / g->segment_size, &trailer) < 0)
		return 0;
	for (uint64_t i = (lsn - base) / (g->segment_size / 256) + 1; i-- > 0;) {
		uint64_t first = (uint64_t)trailer.index[i].first * g->unit;

		if (first != 0 && base + first <= lsn)
			return base + first;
	}
	return 0;
}

/* A frame boundary in the segment of lsn, not behind it, as close to it as is known. */
static uint64_t boundary_before(struct filemap_log_reader *reader, uint64_t lsn)
{
	uint64_t at = fm__log_start(&reader->geometry, fm__log_segment_of(&reader->geometry, lsn));

	at = FM_MAX(at, reader->first);
	if (reader->lsn <= lsn)
		at = FM_MAX(at, reader->lsn);
	return FM_MAX(at, entry_point(reader, lsn));
}

/*
 * 1 if the frames of its segment, one behind the other, lead to lsn; 0 if not: what lies inside a PAD may
 * still look like a frame, but is none. Ends in *ret. Behind a damaged frame there is no way to tell: what
 * looks like a frame there is taken for one.
 */
static int walk_to(struct filemap_log_reader *reader, uint64_t lsn, struct fm__reader_sight *ret)
{
	uint64_t at;
	int r;

	for (at = boundary_before(reader, lsn); at <= lsn; at = ret->frame.lsn + ret->frame.size) {
		r = fm__reader_look(reader, at, ret);
		if (r < 0 || at == lsn)
			return r;
		if (r == 0)
			return fm__reader_look(reader, lsn, ret);
	}
	return 0;
}

/* The frame named by the position is not there: lost, discarded, or never written. */
static int check_target(struct filemap_log_reader *reader, struct filemap_log_position position)
{
	struct fm__reader_sight sight;
	int r;

	if (position.lsn < reader->first)
		return FILEMAP_EGONE;
	if (position.lsn > reader->end)
		return reader->corrupt ? FILEMAP_ECORRUPT : FILEMAP_EGONE;
	if (position.lsn == reader->end)
		return 0;
	r = walk_to(reader, position.lsn, &sight);
	if (r < 0)
		return r;
	if (r == 0 || (position.epoch != 0 && sight.frame.epoch != position.epoch))
		return FILEMAP_EGONE;
	return 0;
}

int filemap_log_reader_seek(struct filemap_log_reader *reader, struct filemap_log_position position)
{
	int r;

	if (position.reserved != 0)
		return FILEMAP_EOPTION;
	r = fm__reader_refresh(reader, NULL, NULL);
	if (r < 0)
		return r;
	r = check_target(reader, position);
	if (r < 0)
		return r;
	go_to(reader, position.lsn, position.epoch);
	return 0;
}

int filemap_log_reader_seek_end(struct filemap_log_reader *reader)
{
	int r = fm__reader_refresh(reader, NULL, NULL);

	if (r < 0)
		return r;
	go_to(reader, reader->limit, 0);
	return 0;
}
