/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The preparer: a library thread that makes the next segment ahead of the claims (order rule O1) and seals
 * those that are durable (O5). Invariant: `ready` says n only after segment n is on the device by name, is
 * named by meta.last and is mapped; a failure leaves nothing that hinders the next attempt a second later.
 */
#include <signal.h>

#include "base/error.h"
#include "base/util.h"
#include "log/guarded.h"
#include "log/writer.h"
#include "map/map.h"
#include "sys/sys.h"

/* All signals stay with the program's threads. */
int fm__log_thread(pthread_t *ret, void *(*body)(void *), void *context)
{
	sigset_t mask;
	int r = fm__sys_block_signals(&mask);

	if (r < 0)
		return r;
	r = -pthread_create(ret, NULL, body, context);
	(void)fm__sys_restore_signals(&mask);
	return r;
}

static int decode_header(void *context)
{
	struct fm__log_slot *slot = context;
	struct fm__log_header header;

	if (fm__log_header_decode(slot->base, &header) == 0)
		slot->time_base = header.time_base; /* checked by whoever opened the descriptor */
	return 0;
}

int fm__log_map_segment(struct filemap_log *log, uint64_t n, int fd, struct filemap_error *reterr)
{
	struct fm__log_slot slot = {.n = n};
	struct fm__log_places places = {{NULL, 0}, {NULL, 0}};
	char name[FM_LOG_NAME_SIZE];
	int r;

	fm__log_segment_name(n, "seg", name);
	r = fm__map_adopt(fd, name, FILEMAP_WRITE, FILEMAP_DONTFORK, &slot.map, reterr);
	if (r < 0) {
		fm__sys_close(fd);
		return r;
	}
	slot.base = filemap_data_mut(slot.map);
	places.segment = (struct fm__log_place){slot.base, filemap_size(slot.map)};
	r = places.segment.length == log->g.segment_size ? fm__log_guarded(&places, decode_header, &slot)
							 : FILEMAP_ECORRUPT;
	if (r < 0) {
		filemap_close(slot.map);
		return fm__fail(reterr, r, "map segment", "segment");
	}
	*fm__log_slot(log, n) = slot;
	return 0;
}

/* ---- one segment ---- */

/* Without this the name would be in the way of the next attempt. */
static void take_back(const struct filemap_log *log, uint64_t n)
{
	char name[FM_LOG_NAME_SIZE];

	fm__log_segment_name(n, "seg", name);
	(void)fm__sys_unlinkat(log->dir.fd, name, 0);
}

static int prepare(struct filemap_log *log, uint64_t n)
{
	int fd, r;

	r = fm__log_segment_prepare(&log->dir, &log->g, n, log->epoch, &fd, NULL);
	if (r < 0)
		return r;
	r = fm__log_map_segment(log, n, fd, NULL);
	if (r < 0) {
		take_back(log, n);
		return r;
	}
	r = fm__log_meta_last(log, n);
	if (r < 0)
		return r;
	r = fm__log_ctl_set_last(log->ctl, n);
	if (r < 0) {
		fm__log_poison(log, r);
		return r;
	}
	__atomic_store_n(&log->ready, n, __ATOMIC_RELEASE);
	return 0;
}

/* ---- the thread; `lock` held in all of these ---- */

static bool prepare_due(const struct filemap_log *log)
{
	uint64_t ready = fm__log_load(&log->ready);

	return fm__log_usable(log) == 0 && !log->stop &&
	       (fm__log_wanted(log) > ready || log->demanded > ready) &&
	       ready + 1 - log->oldest < log->slot_count;
}

static int prepare_next(struct filemap_log *log)
{
	uint64_t n = fm__log_load(&log->ready) + 1;
	int r;

	pthread_mutex_unlock(&log->lock);
	r = prepare(log, n);
	pthread_mutex_lock(&log->lock);
	log->prepare_error = r;
	if (r == 0)
		log->prepared++;
	pthread_cond_broadcast(&log->changed);
	return r;
}

static int seal_next(struct filemap_log *log)
{
	int r;

	pthread_mutex_unlock(&log->lock);
	r = fm__log_seal_oldest(log);
	pthread_mutex_lock(&log->lock);
	if (r == 0) {
		log->oldest++;
		log->sealed++;
	}
	pthread_cond_broadcast(&log->changed);
	return r;
}

static void mark(struct filemap_log *log)
{
	pthread_mutex_unlock(&log->lock);
	(void)fm__log_meta_mark(log); /* a failure poisons */
	pthread_mutex_lock(&log->lock);
}

/* Not before these: an attempt has just failed, or the log is not idle yet. The thread's own. */
struct agenda {
	struct fm__log_deadline seal, prepare, mark; /* at_ns 0 = at any time */
	uint64_t seen;                               /* `durable` since the idle time began */
};

static bool is_over(const struct fm__log_deadline *deadline)
{
	return fm__log_remaining_ms(deadline) == 0;
}

static struct fm__log_deadline retry_after(int r)
{
	return r < 0 ? fm__log_deadline(FM_LOG_RETRY_MS) : (struct fm__log_deadline){0};
}

/*
 * What was made durable last is promised by no frame until another follows: once the log has been idle for a
 * while, the watermark in meta says it instead (order rule O6).
 */
static bool is_unmarked(const struct filemap_log *log)
{
	return fm__log_usable(log) == 0 && fm__log_load(&log->durable) > fm__log_load(&log->marked);
}

static void watch_idle(const struct filemap_log *log, struct agenda *agenda)
{
	const uint64_t durable = fm__log_load(&log->durable);

	if (durable == agenda->seen)
		return;
	agenda->seen = durable;
	agenda->mark = fm__log_deadline(FM_LOG_IDLE_MS);
}

static void sleep_until_due(struct filemap_log *log, const struct agenda *agenda, bool seal)
{
	const bool unmarked = is_unmarked(log);
	struct fm__log_deadline until = {UINT64_MAX};

	if (seal)
		until.at_ns = agenda->seal.at_ns;
	if (prepare_due(log))
		until.at_ns = FM_MIN(until.at_ns, agenda->prepare.at_ns);
	if (unmarked)
		until.at_ns = FM_MIN(until.at_ns, agenda->mark.at_ns);
	log->preparer_rests = !unmarked;
	(void)fm__log_sleep(log, &log->prepare_wake, &until);
	log->preparer_rests = 0;
}

/* One thing that is due, or a sleep; false = the thread has nothing left to do. */
static bool step(struct filemap_log *log, struct agenda *agenda)
{
	const bool seal = fm__log_seal_due(log) && log->stop != FM_LOG_STOP_NOW;

	if (log->stop && (!seal || !is_over(&agenda->seal)))
		return false;
	watch_idle(log, agenda);
	if (seal && is_over(&agenda->seal))
		agenda->seal = retry_after(seal_next(log));
	else if (prepare_due(log) && is_over(&agenda->prepare))
		agenda->prepare = retry_after(prepare_next(log));
	else if (is_unmarked(log) && is_over(&agenda->mark))
		mark(log);
	else
		sleep_until_due(log, agenda, seal);
	return true;
}

static void *preparer_main(void *context)
{
	struct agenda agenda = {0};
	struct filemap_log *log = context;

	pthread_mutex_lock(&log->lock);
	while (step(log, &agenda))
		;
	pthread_mutex_unlock(&log->lock);
	return NULL;
}

/* ---- from outside ---- */

int fm__log_preparer_start(struct filemap_log *log)
{
	int r = fm__log_thread(&log->preparer, preparer_main, log);

	if (r < 0)
		return r;
	log->has_preparer = 1;
	return 0;
}

void fm__log_preparer_kick(struct filemap_log *log)
{
	pthread_mutex_lock(&log->lock);
	pthread_cond_signal(&log->prepare_wake);
	pthread_mutex_unlock(&log->lock);
}

void fm__log_threads_stop(struct filemap_log *log, uint32_t how)
{
	pthread_mutex_lock(&log->lock);
	log->stop = how;
	pthread_cond_broadcast(&log->changed);
	pthread_cond_broadcast(&log->prepare_wake);
	pthread_cond_broadcast(&log->flusher_wake);
	pthread_mutex_unlock(&log->lock);
	if (log->has_preparer)
		pthread_join(log->preparer, NULL);
	if (log->has_flusher)
		pthread_join(log->flusher, NULL);
	log->has_preparer = log->has_flusher = 0;
}
