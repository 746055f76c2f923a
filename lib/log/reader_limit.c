/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * How far a reader may read. Invariant: while a writer lives, only its own word counts - an examination
 * would take its unfinished appends for damage; without one, the examination counts if nobody has become
 * the writer meanwhile.
 *
 *	writer lives | control page trusted, not RECOVERING | limit from
 *	yes          | yes                                  | control page
 *	yes          | no                                   | nothing yet: ask again
 *	no           | -                                    | meta, segments (R1-R7)
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/util.h"
#include "log/examine.h"
#include "log/reader.h"

static void take_view(struct filemap_log_reader *reader, const struct fm__log_ctl_view *view)
{
	reader->first = view->first;
	reader->end = view->published;
	reader->limit = reader->level == FILEMAP_DURABLE ? view->durable : view->published;
	reader->corrupt = 0;
	reader->examined = 0;
}

static void report_view(const struct filemap_log_reader *reader, const struct fm__log_ctl_view *view,
			struct filemap_log_report *ret)
{
	const struct fm__log_geometry *g = &reader->geometry;

	*ret = (struct filemap_log_report){
		.state = FILEMAP_LOG_CLEAN,
		.epoch = view->epoch,
		.first = view->first,
		.end = view->published,
		.durable = view->durable,
		.scanned_from = view->published,
		.segments = view->last + 1 - fm__log_segment_of(g, view->first),
		.segment_size = g->segment_size,
		.frame_unit = g->unit,
	};
	memcpy(ret->uuid, g->uuid, sizeof ret->uuid);
}

/* The page is opened anew: it may have been replaced. */
static int refresh_live(struct filemap_log_reader *reader, struct filemap_log_report *ret_report,
			struct filemap_error *reterr)
{
	struct fm__log_ctl_view view;
	int r;

	fm__log_ctl_close(reader->ctl);
	reader->ctl = NULL;
	r = fm__log_ctl_open_reader(&reader->dir, &reader->ctl);
	if (r < 0) {
		reader->ctl = NULL;
		return r == -ENOENT ? 1 : fm__fail(reterr, r, "open control page", "ctl");
	}
	if (!fm__log_ctl_trusted(reader->ctl, &reader->geometry)) {
		fm__log_ctl_close(reader->ctl); /* refresh_quickly() believes what stays open */
		reader->ctl = NULL;
		return 1;
	}
	fm__log_ctl_load(reader->ctl, &view);
	if (view.state == FM_LOG_CTL_RECOVERING)
		return 1;
	take_view(reader, &view);
	if (ret_report)
		report_view(reader, &view, ret_report);
	return 0;
}

static void take_found(struct filemap_log_reader *reader, const struct fm__log_found *found)
{
	uint64_t limit = reader->level == FILEMAP_DURABLE ? found->durable : found->end;

	reader->first = found->meta.first;
	reader->end = found->end;
	reader->limit = FM_MIN(limit, found->end);
	reader->corrupt = found->state == FILEMAP_LOG_CORRUPT;
	reader->examined = found->meta.sequence;
}

/* Each opening for writing moves meta's sequence: as long as it stays, the last examination holds. */
static int refresh_closed(struct filemap_log_reader *reader, struct filemap_log_report *ret_report,
			  struct filemap_error *reterr)
{
	struct fm__log_meta before, after;
	struct fm__log_found found;
	int r, examined, lives;

	r = fm__log_examine_meta(&reader->dir, 0, &before, reterr);
	if (r < 0)
		return r;
	if (!ret_report && reader->examined == before.sequence)
		return 0;
	examined = fm__log_examine(&reader->dir, 0, &found, reterr);
	lives = fm__log_dir_writer_lives(&reader->dir);
	if (lives != 0)
		return lives < 0 ? fm__fail(reterr, lives, "ask for the writer", "LOCK") : 1;
	r = fm__log_examine_meta(&reader->dir, 0, &after, reterr);
	if (r < 0)
		return r;
	if (after.sequence != before.sequence)
		return 1;
	if (examined < 0)
		return examined;
	take_found(reader, &found);
	if (ret_report)
		fm__log_found_report(&found, ret_report);
	return 0;
}

/* A page that says more than before is the page of a writer that lived until then. */
static int refresh_quickly(struct filemap_log_reader *reader)
{
	struct fm__log_ctl_view view;
	uint64_t limit = reader->limit;

	if (!reader->ctl)
		return 1;
	fm__log_ctl_load(reader->ctl, &view);
	if (view.state == FM_LOG_CTL_RECOVERING)
		return 1;
	if ((reader->level == FILEMAP_DURABLE ? view.durable : view.published) <= limit)
		return 1;
	take_view(reader, &view);
	return 0;
}

int fm__reader_refresh(struct filemap_log_reader *reader, struct filemap_log_report *ret_report,
		       struct filemap_error *reterr)
{
	int lives;

	if (!ret_report && refresh_quickly(reader) == 0)
		return 0;
	lives = fm__log_dir_writer_lives(&reader->dir);
	if (lives < 0)
		return fm__fail(reterr, lives, "ask for the writer", "LOCK");
	if (lives == 0)
		return refresh_closed(reader, ret_report, reterr);
	return refresh_live(reader, ret_report, reterr);
}
