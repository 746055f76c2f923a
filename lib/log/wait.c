/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Waiting for positions and for the next segment. Invariant: a thread that sleeps here was counted before it
 * last looked at what it waits for, and whoever changes that looks at the count afterwards; nobody polls.
 */
#include <errno.h>
#include <limits.h>
#include <time.h>

#include "base/error.h"
#include "base/util.h"
#include "log/writer.h"
#include "sys/sys.h"

/* ---- deadlines ---- */

struct fm__log_deadline fm__log_deadline(int timeout_ms)
{
	if (timeout_ms < 0)
		return (struct fm__log_deadline){UINT64_MAX};
	return (struct fm__log_deadline){fm__sys_monotonic_ns() + (uint64_t)timeout_ms * 1000000u};
}

/* Rounded up, so that a wait does not end before its time; -1 = for ever. */
int fm__log_remaining_ms(const struct fm__log_deadline *deadline)
{
	uint64_t now, ms;

	if (deadline->at_ns == UINT64_MAX)
		return -1;
	now = fm__sys_monotonic_ns();
	if (now >= deadline->at_ns)
		return 0;
	ms = (deadline->at_ns - now + 999999u) / 1000000u;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

/* 0, or -ETIMEDOUT; `lock` is held before and after. */
int fm__log_sleep(struct filemap_log *log, pthread_cond_t *cond, const struct fm__log_deadline *deadline)
{
	struct timespec at;

	if (deadline->at_ns == UINT64_MAX)
		return -pthread_cond_wait(cond, &log->lock);
	at.tv_sec = (time_t)(deadline->at_ns / 1000000000u);
	at.tv_nsec = (long)(deadline->at_ns % 1000000000u);
	return -pthread_cond_timedwait(cond, &log->lock, &at);
}

/* ---- positions ---- */

static uint64_t position_of(const struct filemap_log *log, unsigned level)
{
	const uint64_t *word = level == FILEMAP_DURABLE ? &log->durable : &log->published;
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

/* 1 reached, 0 not yet, negative: never. What has been reached stays reached. */
int fm__log_reached(const struct filemap_log *log, unsigned level, uint64_t target)
{
	return position_of(log, level) >= target ? 1 : fm__log_usable(log);
}

/* Sleep until something moved; `lock` held. Who needs a frame that is not published yet says so first. */
int fm__log_sleep_for(struct filemap_log *log, uint64_t target, const struct fm__log_deadline *deadline)
{
	int r = 0;

	if (position_of(log, FILEMAP_PUBLISHED) >= target)
		return fm__log_sleep(log, &log->changed, deadline);
	__atomic_fetch_add(&log->publish_sleepers, 1, __ATOMIC_SEQ_CST);
	if (position_of(log, FILEMAP_PUBLISHED) < target)
		r = fm__log_sleep(log, &log->changed, deadline);
	__atomic_fetch_sub(&log->publish_sleepers, 1, __ATOMIC_SEQ_CST);
	return r;
}

static bool may_lead(const struct filemap_log *log, unsigned level, uint64_t target)
{
	return level == FILEMAP_DURABLE && !log->flushing && !log->flusher_leads &&
	       position_of(log, FILEMAP_PUBLISHED) >= target;
}

static int reach_locked(struct filemap_log *log, unsigned level, uint64_t target,
			const struct fm__log_deadline *deadline)
{
	int r;

	for (;;) {
		r = fm__log_reached(log, level, target);
		if (r != 0)
			return r;
		if (log->stop)
			return FILEMAP_EMODE;
		if (level == FILEMAP_DURABLE)
			fm__log_flusher_take_over(log);
		if (may_lead(log, level, target)) {
			fm__log_lead(log);
			continue;
		}
		if (log->flusher_leads)
			pthread_cond_signal(&log->flusher_wake);
		if (fm__log_sleep_for(log, target, deadline) == -ETIMEDOUT)
			return fm__log_reached(log, level, target);
	}
}

int fm__log_reach(struct filemap_log *log, unsigned level, uint64_t target, int timeout_ms)
{
	struct fm__log_deadline deadline;
	int r;

	r = fm__log_reached(log, level, target);
	if (r == 0 && timeout_ms != 0) {
		deadline = fm__log_deadline(timeout_ms);
		if (log->queue && level == FILEMAP_DURABLE)
			return fm__log_group_reach(log, target, &deadline);
		pthread_mutex_lock(&log->lock);
		log->waiters += level == FILEMAP_DURABLE;
		r = reach_locked(log, level, target, &deadline);
		log->waiters -= level == FILEMAP_DURABLE;
		pthread_mutex_unlock(&log->lock);
	}
	return r;
}

int filemap_log_wait(struct filemap_log *log, uint64_t lsn, unsigned level, int timeout_ms)
{
	if (level != FILEMAP_PUBLISHED && level != FILEMAP_DURABLE)
		return FILEMAP_EOPTION;
	if (__atomic_load_n(&log->refused, __ATOMIC_ACQUIRE) & FM_LOG_FORKED)
		return FILEMAP_EFORKED;
	if (lsn == UINT64_MAX)
		return FILEMAP_ERANGE;
	(void)fm__log_publish(log);
	return fm__log_reach(log, level, lsn + 1, timeout_ms);
}

int filemap_log_sync(struct filemap_log *log, struct filemap_error *reterr)
{
	int r = fm__log_usable(log);

	if (r == 0)
		r = fm__log_reach(log, FILEMAP_DURABLE, fm__log_tail(log), -1);
	/* Nobody appended meanwhile: say on the device how much of it was there. */
	if (r >= 0 && fm__log_load(&log->durable) == fm__log_tail(log))
		r = fm__log_meta_mark(log);
	if (r < 0)
		return fm__fail_errno(reterr, r, -__atomic_load_n(&log->cause, __ATOMIC_ACQUIRE),
				      "make durable", "log");
	return 0;
}

/* ---- the next segment ---- */

/* All slots are taken: somebody has to flush before the oldest can be sealed and given up. */
static bool is_full(const struct filemap_log *log)
{
	return fm__log_load(&log->ready) + 1 - log->oldest >= log->slot_count;
}

static int flush_oldest(struct filemap_log *log)
{
	uint64_t target = fm__log_start(&log->g, log->oldest + 1);
	int r;

	pthread_mutex_unlock(&log->lock);
	r = fm__log_reach(log, FILEMAP_DURABLE, target, -1);
	pthread_mutex_lock(&log->lock);
	return r < 0 ? r : 0;
}

int fm__log_await_segment(struct filemap_log *log, uint64_t n)
{
	const struct fm__log_deadline never = {UINT64_MAX};
	int r = 0;

	pthread_mutex_lock(&log->lock);
	log->demanded = FM_MAX(log->demanded, n);
	while (r == 0 && fm__log_load(&log->ready) < n) {
		r = fm__log_usable(log);
		if (r == 0)
			r = log->stop ? FILEMAP_EMODE : log->prepare_error;
		if (r < 0)
			break;
		if (is_full(log) && !fm__log_seal_due(log)) {
			r = flush_oldest(log);
			continue;
		}
		pthread_cond_signal(&log->prepare_wake);
		(void)fm__log_sleep(log, &log->changed, &never);
	}
	pthread_mutex_unlock(&log->lock);
	return r;
}
