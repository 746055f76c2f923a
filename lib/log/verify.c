/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * filemap_log_verify: the examination without the lock, for anybody who may read.
 *
 * Invariant: nothing is changed, and a living writer is never mistaken for damage. While one lives, its own
 * word - published, in the control page - is the limit, and where that cannot be had the answer is "busy".
 */
#include <errno.h>

#include "base/error.h"
#include "base/options.h"
#include "base/util.h"
#include "log/examine.h"
#include "sys/sys.h"

#define TRIES 200
#define PAUSE_MS 10u
#define AGAIN 1 /* somebody moved meanwhile */

static uint64_t live_start(const struct fm__log_examination *e)
{
	const struct fm__log_meta *meta = &e->found.meta;
	uint64_t sealed = fm__log_start(&meta->geometry, meta->sealed);

	return e->flags & FM_LOG_EXAMINE_ALL ? meta->first : FM_MAX(meta->first, sealed);
}

static int examine_live(struct fm__log_examination *e, const struct fm__log_ctl_view *view)
{
	struct fm__log_found *found = &e->found;
	struct fm__log_meta *meta = &found->meta;
	uint64_t from;
	int r;

	r = fm__log_examine_meta(e->dir, 0, meta, e->reterr);
	if (r < 0)
		return r;
	found->epoch = view->epoch;
	found->durable = view->durable;
	found->sealed_below = e->seals = meta->sealed;
	from = live_start(e);
	meta->last = FM_MAX(meta->last, fm__log_segment_of(&meta->geometry, view->published));
	fm__log_scan_init(&e->scan, e->dir, &meta->geometry, e->reterr);
	r = fm__log_examine_walk(e, FM_MIN(from, view->published), view->published);
	if (r < 0)
		return r;
	if (found->end < view->published)
		found->state = FILEMAP_LOG_CORRUPT;
	return 0;
}

int fm__log_examine_live(const struct fm__log_dir *dir, unsigned flags, const struct fm__log_ctl_view *view,
			 struct fm__log_found *ret, struct filemap_error *reterr)
{
	struct fm__log_examination e = {
		.dir = dir, .flags = flags, .reterr = reterr, .broken = UINT64_MAX, .scan.fd = -1};
	int r;

	r = examine_live(&e, view);
	fm__log_scan_done(&e.scan);
	if (r == 0)
		*ret = e.found;
	return r;
}

/* AGAIN: there is no word of the writer that can be trusted, yet or any more. */
static int verify_live(const struct fm__log_dir *dir, unsigned flags, struct fm__log_found *ret,
		       struct filemap_error *reterr)
{
	struct fm__log_ctl_view view;
	struct fm__log_meta meta;
	struct fm__log_ctl *ctl;
	bool trusted;
	int r;

	r = fm__log_examine_meta(dir, 0, &meta, reterr);
	if (r < 0)
		return r;
	r = fm__log_ctl_open_reader(dir, &ctl);
	if (r == -ENOENT)
		return AGAIN;
	if (r < 0)
		return fm__fail(reterr, r, "open control page", "ctl");
	fm__log_ctl_load(ctl, &view);
	trusted = fm__log_ctl_trusted(ctl, &meta.geometry) && view.state != FM_LOG_CTL_RECOVERING;
	fm__log_ctl_close(ctl);
	return trusted ? fm__log_examine_live(dir, flags, &view, ret, reterr) : AGAIN;
}

/* What was found holds only if no writer lived meanwhile: none lives now, and none has left its mark in meta. */
static int verify_closed(const struct fm__log_dir *dir, unsigned flags, struct fm__log_found *ret,
			 struct filemap_error *reterr)
{
	struct fm__log_meta before, after;
	int r, found, lives;

	r = fm__log_examine_meta(dir, 0, &before, reterr);
	if (r < 0)
		return r;
	found = fm__log_examine(dir, flags, ret, reterr);
	lives = fm__log_dir_writer_lives(dir);
	if (lives < 0)
		return fm__fail(reterr, lives, "ask for the writer", "LOCK");
	if (lives > 0)
		return AGAIN;
	r = fm__log_examine_meta(dir, 0, &after, reterr);
	if (r == 0 && after.sequence != before.sequence)
		return AGAIN;
	return found < 0 ? found : r;
}

static int verify_once(const struct fm__log_dir *dir, unsigned flags, struct fm__log_found *ret,
		       struct filemap_error *reterr)
{
	int lives = fm__log_dir_writer_lives(dir);

	if (lives < 0)
		return fm__fail(reterr, lives, "ask for the writer", "LOCK");
	if (lives == 0)
		return verify_closed(dir, flags, ret, reterr);
	return verify_live(dir, flags, ret, reterr);
}

static int verify(const struct fm__log_dir *dir, unsigned flags, struct fm__log_found *ret,
		  struct filemap_error *reterr)
{
	struct filemap_error error; /* of a try that may yet be repeated */
	int r;

	for (int tries = 0; tries < TRIES; tries++) {
		r = verify_once(dir, flags, ret, &error);
		if (r < 0 && reterr)
			*reterr = error;
		if (r != AGAIN)
			return r;
		r = fm__sys_sleep_ms(PAUSE_MS);
		if (r < 0)
			return fm__fail(reterr, r, "wait for the writer", "ctl");
	}
	r = fm__fail(reterr, FILEMAP_EBUSY, "wait for the writer", "ctl");
	fm__fail_hint(reterr, "another process is opening the log; try again");
	return r;
}

int filemap_log_verify(const char *dir, unsigned flags, struct filemap_log_report *ret_report,
		       struct filemap_error *reterr)
{
	struct fm__log_found found;
	struct fm__log_dir opened;
	int r;

	if (!dir)
		return fm__options_refuse(reterr, "dir", "name the log's directory");
	if (!ret_report)
		return fm__options_refuse(reterr, "ret_report", "pass a report to be filled");
	if (flags & ~FILEMAP_LOG_DEEP)
		return fm__options_refuse(reterr, "flags", "0 or FILEMAP_LOG_DEEP");
	r = fm__log_dir_open(dir, FM_LOG_RO, &opened, reterr);
	if (r < 0)
		return r;
	r = verify(&opened, flags & FILEMAP_LOG_DEEP ? FM_LOG_EXAMINE_ALL : FM_LOG_EXAMINE_SCAN, &found,
		   reterr);
	fm__log_dir_close(&opened);
	if (r < 0)
		return r;
	fm__log_found_report(&found, ret_report);
	return 0;
}
