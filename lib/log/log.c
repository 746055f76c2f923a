/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Opening, finishing and closing a log for writing. Invariant: nothing is changed before the options are
 * checked and the lock is held; a log that is corrupt is left as it is; the handle appears only when
 * everything below the tail is durable and the preparer runs.
 */
#include <errno.h>

#include "base/error.h"
#include "base/util.h"
#include "log/writer.h"
#include "map/map.h"
#include "sys/sys.h"

/* ---- the directory ---- */

static int create_dir(struct filemap_log *log, const char *path, const struct filemap_log_options *o,
		      struct filemap_error *reterr)
{
	struct fm__log_geometry g = {.segment_size = o->segment_size, .unit = o->frame_unit};
	int r = fm__sys_random(g.uuid, sizeof g.uuid);

	if (r < 0)
		return fm__fail(reterr, r, "draw a random number", "uuid");
	g.uuid[6] = (uint8_t)((g.uuid[6] & 0x0f) | 0x40); /* RFC 4122: version 4, */
	g.uuid[8] = (uint8_t)((g.uuid[8] & 0x3f) | 0x80); /* its variant */
	return fm__log_dir_create(path, &g, o->permissions, &log->dir, reterr);
}

static int open_locked(struct filemap_log *log, const char *path, struct filemap_error *reterr)
{
	int r = fm__log_dir_open(path, FM_LOG_RW, &log->dir, reterr);

	if (r < 0)
		return r;
	return fm__log_dir_lock(&log->dir, reterr);
}

static int open_dir(struct filemap_log *log, const char *path, const struct filemap_log_options *o,
		    struct filemap_error *reterr)
{
	struct filemap_error error = {0};
	int r;

	if (o->flags & FILEMAP_LOG_CREATE_NEW)
		return create_dir(log, path, o, reterr);
	r = open_locked(log, path, &error);
	if (r == -ENOENT && log->dir.fd < 0 && (o->flags & FILEMAP_LOG_CREATE)) {
		r = create_dir(log, path, o, &error);
		if (r == -EEXIST) /* somebody else has just made it */
			r = open_locked(log, path, &error);
	}
	if (r < 0 && reterr)
		*reterr = error;
	return r;
}

/* ---- recovery ---- */

/*
 * R0: readers have to know that the old control page does not count now. The geometry is only a hint here:
 * the examination reads meta again, by the rules. A page that cannot be looked at ends the opening, before anything
 * is changed that readers would not be told of. *ret_state: what to put back if nothing gets changed; 0 = no page.
 */
static int announce_recovery(struct filemap_log *log, struct fm__log_ctl_view *ret_old, uint32_t *ret_state,
			     struct filemap_error *reterr)
{
	struct fm__log_meta meta;
	int r = fm__log_ctl_take_over(&log->dir, &log->ctl);

	if (r == -ENOENT || r == -EINVAL)
		return 0;
	if (r < 0)
		return fm__fail(reterr, r, "open control page", "ctl");
	r = fm__log_meta_read(log->dir.meta_fd, &meta);
	if (r == FILEMAP_ECORRUPT || r == FILEMAP_EVERSION)
		return 0;
	if (r < 0)
		return fm__fail(reterr, r, "read", "meta");
	if (!fm__log_ctl_trusted(log->ctl, &meta.geometry))
		return 0;
	fm__log_ctl_load(log->ctl, ret_old);
	fm__log_ctl_set_state(log->ctl, FM_LOG_CTL_RECOVERING);
	*ret_state = ret_old->state;
	return 0;
}

static int examine(struct filemap_log *log, struct fm__log_found *ret, struct filemap_error *reterr)
{
	int r = fm__log_examine(&log->dir, 0, ret, reterr);

	if (r < 0)
		return r;
	if (ret->state == FILEMAP_LOG_CORRUPT) {
		r = fm__fail(reterr, FILEMAP_ECORRUPT, "find the end", "log");
		fm__fail_hint(reterr,
			      "a durable record is damaged or missing; filemap_log_verify tells more");
		fm__fail_range(reterr, ret->end, ret->durable > ret->end ? ret->durable - ret->end : 0);
		fm__fail_detail(reterr, log->dir.path);
		return r;
	}
	if (ret->meta.discard_to != 0)
		return fm__fail(reterr, FILEMAP_EVERSION, "finish a discard", "log");
	return 0;
}

/* R0 to R8e but for the handle itself; *ret_end is E. */
static int recover(struct filemap_log *log, struct filemap_log_report *ret_report, uint64_t *ret_end,
		   struct filemap_error *reterr)
{
	struct fm__log_ctl_view old = {0};
	struct fm__log_found found;
	uint32_t state = 0;
	int r = announce_recovery(log, &old, &state, reterr);

	if (r < 0)
		return r;
	r = examine(log, &found, reterr);
	if (r < 0) {
		if (state != 0)
			(void)fm__log_ctl_set_state(log->ctl, state);
		return r;
	}
	fm__log_found_report(&found, ret_report);
	r = fm__log_recover(&log->dir, state != 0 ? &old : NULL, &found, ret_end, reterr);
	if (r == 0)
		r = fm__log_sweep(&log->dir, &found.meta, reterr);
	if (r < 0)
		return r;
	log->meta = found.meta;
	log->g = found.meta.geometry;
	log->first = found.meta.first;
	log->epoch = found.meta.epoch;
	log->oldest = FM_MAX(found.sealed_below, fm__log_segment_of(&log->g, log->first));
	ret_report->epoch = log->epoch;
	ret_report->discarded = *ret_end - found.end;
	return 0;
}

/* ---- the handle ---- */

/* Room for every segment that is not sealed, the tail's, the next one and what max_lag allows. */
static int make_slots(struct filemap_log *log)
{
	uint64_t lag = log->max_lag / log->g.segment_size + 4;

	log->slot_count = FM_MIN(FM_MAX(lag, UINT64_C(8)), (uint64_t)FM_LOG_SLOTS_MAX);
	log->slot_count = FM_MAX(log->slot_count, log->meta.last + 4 - FM_MIN(log->oldest, log->meta.last));
	log->slots = fm__zalloc((size_t)log->slot_count * sizeof *log->slots);
	return log->slots ? 0 : -ENOMEM;
}

/* From the tail on it is going to be stored into. */
static int map_segment(struct filemap_log *log, uint64_t n, uint64_t tail, struct filemap_error *reterr)
{
	struct fm__log_header header;
	int fd, r;

	r = fm__log_segment_open(&log->dir, &log->g, n, FM_LOG_RW, &fd, &header, reterr);
	if (r < 0)
		return r;
	r = fm__log_segment_own(fd, &log->g, n, tail, reterr);
	if (r < 0) {
		fm__sys_close(fd);
		return r;
	}
	return fm__log_map_segment(log, n, fd, reterr);
}

static int start_positions(struct filemap_log *log, uint64_t tail, struct filemap_error *reterr)
{
	int r = make_slots(log);

	if (r < 0)
		return fm__fail(reterr, r, "allocate memory", "segments");
	for (uint64_t n = fm__log_segment_of(&log->g, tail); n <= log->meta.last; n++) {
		r = map_segment(log, n, tail, reterr);
		if (r < 0)
			return r;
	}
	log->ready = log->meta.last;
	log->durable = log->published = tail;
	log->marked = log->meta.durable;
	log->rotate_ms = UINT64_MAX;
	if (fm__log_segment_of(&log->g, tail) <= log->ready)
		log->rotate_ms =
			fm__log_slot(log, fm__log_segment_of(&log->g, tail))->time_base + (UINT32_MAX - 1);
	fm__log_claim_start(log, tail);
	return 0;
}

static int start(struct filemap_log *log, uint64_t tail, struct filemap_error *reterr)
{
	int r = start_positions(log, tail, reterr);

	if (r < 0)
		return r;
	if (!log->ctl)
		r = fm__log_ctl_open_writer(&log->dir, &log->ctl, reterr);
	if (r < 0)
		return r;
	r = fm__log_ctl_start(log->ctl, &log->g,
			      &(struct fm__log_ctl_view){.state = FM_LOG_CTL_OPEN,
							 .epoch = log->epoch,
							 .first = log->first,
							 .last = log->meta.last,
							 .published = tail,
							 .durable = tail});
	if (r < 0)
		return fm__fail(reterr, r, "write control page", "ctl");
	r = fm__log_preparer_start(log);
	return r < 0 ? fm__fail(reterr, r, "start thread", "preparer") : 0;
}

static struct filemap_log *new_log(const struct filemap_log_options *o)
{
	struct filemap_log *log = fm__zalloc(sizeof *log);

	if (!log)
		return NULL;
	if (fm__log_init_locks(log) < 0) {
		fm__free(log);
		return NULL;
	}
	log->dir = FM_LOG_DIR_CLOSED;
	log->queue = o->queue;
	log->max_lag = o->max_lag;
	return log;
}

/* Of a handle without threads; in the process that opened it or, with `inherited`, in a forked child. */
static void free_log(struct filemap_log *log, uint32_t inherited)
{
	for (uint64_t i = 0; log->slots && i < log->slot_count; i++)
		filemap_close(log->slots[i].map);
	fm__free(log->slots);
	if (inherited)
		fm__log_ctl_forget(log->ctl);
	else
		fm__log_ctl_close(log->ctl);
	/* A child that libc did not tell about keeps the descriptor's lock, unless it is given up by name. */
	if (!inherited && log->dir.lock_fd >= 0)
		(void)fm__sys_ofd_lock(log->dir.lock_fd, F_UNLCK, 0, 1);
	fm__log_dir_close(&log->dir);
	if (!inherited) { /* in a child the locks may be held by threads that it does not have */
		fm__log_fork_leave(log);
		fm__log_done_locks(log);
	}
	fm__free(log);
}

int filemap_log_open(const char *dir, const struct filemap_log_options *options, struct filemap_log **ret_log,
		     struct filemap_log_report *ret_report, struct filemap_error *reterr)
{
	struct filemap_log_report report = {0};
	struct filemap_log_options o;
	struct filemap_log *log;
	uint64_t tail;
	int r;

	r = fm__log_options_read(options, &o, reterr);
	if (r < 0)
		return r;
	r = fm__log_options_place(dir, reterr);
	if (r < 0)
		return r;
	log = new_log(&o);
	if (!log)
		return fm__fail(reterr, -ENOMEM, "allocate memory", "log");
	r = fm__log_fork_enter(log);
	if (r < 0) {
		free_log(log, 0);
		return fm__fail(reterr, r, "watch for fork", "process");
	}
	r = open_dir(log, dir, &o, reterr);
	if (r == 0)
		r = recover(log, &report, &tail, reterr);
	if (r == 0)
		r = start(log, tail, reterr);
	if (r < 0) {
		free_log(log, 0);
		return r;
	}
	*ret_log = log;
	if (ret_report)
		*ret_report = report;
	return 0;
}

/* ---- the end ---- */

static int finish_frames(struct filemap_log *log, uint64_t *ret_tail)
{
	struct fm__log_count count;
	uint64_t tail;
	int r;

	fm__log_claims_stop(log);
	tail = fm__log_tail(log);
	r = fm__log_publish_now(log, &count) == tail ? 0 : FILEMAP_EBUSY;
	if (r == 0)
		r = fm__log_reach(log, FILEMAP_DURABLE, tail, -1);
	else if (fm__log_usable(log) < 0) /* what was appended cannot be read any more */
		r = fm__log_usable(log);
	if (r < 0) {
		fm__log_claims_allow(log);
		return r;
	}
	*ret_tail = tail;
	return 0;
}

/* The order rule O8. */
static int finish(struct filemap_log *log)
{
	uint64_t tail;
	int r;

	r = fm__log_usable(log);
	if (r < 0)
		return r;
	r = finish_frames(log, &tail);
	if (r < 0)
		return r;
	fm__log_threads_stop(log, FM_LOG_STOP_SEALED);
	r = fm__log_usable(log); /* a seal may have failed */
	if (r == 0)
		r = fm__log_meta_clean(log, tail);
	if (r < 0)
		return r;
	(void)fm__log_ctl_set_state(log->ctl, FM_LOG_CTL_CLOSED); /* the lock says as much */
	log->finished = 1;
	return 0;
}

int filemap_log_finish(struct filemap_log *log, struct filemap_error *reterr)
{
	int r = log->finished && fm__log_usable(log) == 0 ? 0 : finish(log);

	if (r >= 0)
		return 0;
	fm__fail_errno(reterr, r, -__atomic_load_n(&log->cause, __ATOMIC_ACQUIRE), "finish", "log");
	if (r == FILEMAP_EBUSY)
		fm__fail_hint(reterr, "an append has not returned yet");
	return r;
}

void filemap_log_close(struct filemap_log *log)
{
	if (!log)
		return;
	if (__atomic_load_n(&log->refused, __ATOMIC_ACQUIRE) & FM_LOG_FORKED) {
		free_log(log, 1);
		return;
	}
	fm__log_threads_stop(log, FM_LOG_STOP_NOW);
	if (log->queue)
		fm__log_group_abandon(log);
	free_log(log, 0);
}
