/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Making frames durable (order rule O4): read `published`, flush the pages between `durable` and it, then
 * advance. Invariant: one flush is in flight at a time; `durable` moves only after every part of it
 * succeeded and was still there; any failure poisons, nothing is tried again. Usually a waiter leads on its own
 * thread; a thread takes over while many wait.
 */
#include "base/util.h"
#include "log/writer.h"
#include "sys/sys.h"

#define CROWD 4        /* waiters from which on the flusher thread leads */
#define QUIET_ROUNDS 8 /* flushes with less than two waiters after which it stops */

size_t fm__log_part(const struct filemap_log *log, uint64_t n, uint64_t from, uint64_t to, size_t *ret_offset)
{
	/* A canonical `to` names the start of the next segment, which need not be there yet. */
	uint64_t low = FM_MAX(from, fm__log_start(&log->g, n)), high = FM_MIN(to, fm__log_end(&log->g, n));

	if (low >= high)
		return 0;
	*ret_offset = (size_t)(low - n * log->g.segment_size);
	return (size_t)(high - low);
}

static int flush_parts(struct filemap_log *log, uint64_t from, uint64_t to)
{
	uint64_t last = fm__log_segment_of(&log->g, to);

	for (uint64_t n = fm__log_segment_of(&log->g, from); n <= last; n++) {
		size_t offset = 0, length = fm__log_part(log, n, from, to, &offset);
		int r;

		if (length == 0)
			continue;
		r = filemap_flush_range(fm__log_slot(log, n)->map, offset, length);
		if (r < 0)
			return r;
	}
	return 0;
}

static int check_part(const struct filemap_log *log, uint64_t n, uint64_t end)
{
	struct stat status;
	int r = fm__sys_fstat(filemap_fd(fm__log_slot(log, n)->map), &status);

	if (r < 0)
		return r;
	return (uint64_t)status.st_size < end ? FILEMAP_EFAULT : 0;
}

int fm__log_check_parts(const struct filemap_log *log, uint64_t from, uint64_t to)
{
	uint64_t last = fm__log_segment_of(&log->g, to);
	int r = 0;

	for (uint64_t n = fm__log_segment_of(&log->g, from); n <= last && r == 0; n++) {
		size_t offset = 0, length = fm__log_part(log, n, from, to, &offset);

		if (length > 0)
			r = check_part(log, n, offset + length);
	}
	return r;
}

static void flush_group(struct filemap_log *log)
{
	struct fm__log_count count;
	uint64_t from = fm__log_load(&log->durable);
	uint64_t to = fm__log_publish_now(log, &count);
	int r = flush_parts(log, from, to);

	if (r == 0)
		r = fm__log_check_parts(log, from, to);
	if (r < 0)
		fm__log_poison(log, r);
	else
		fm__log_set_durable(log, to, &count);
}

void fm__log_lead(struct filemap_log *log)
{
	log->flushing = 1;
	pthread_mutex_unlock(&log->lock);
	flush_group(log);
	pthread_mutex_lock(&log->lock);
	log->flushing = 0;
	pthread_cond_broadcast(&log->changed);
}

/* ---- the flusher thread ---- */

static bool has_work(const struct filemap_log *log)
{
	return log->flusher_leads && !log->flushing && fm__log_usable(log) == 0 &&
	       __atomic_load_n(&log->published, __ATOMIC_SEQ_CST) > fm__log_load(&log->durable);
}

static void *flusher_main(void *context)
{
	struct filemap_log *log = context;
	unsigned quiet = 0;

	pthread_mutex_lock(&log->lock);
	/* Counted as one that sleeps until something is published: announced before has_work() looks. */
	__atomic_fetch_add(&log->publish_sleepers, 1, __ATOMIC_SEQ_CST);
	while (!log->stop) {
		if (!has_work(log)) {
			pthread_cond_wait(&log->flusher_wake, &log->lock);
			continue;
		}
		fm__log_lead(log);
		quiet = log->waiters < 2 ? quiet + 1 : 0;
		if (quiet >= QUIET_ROUNDS) {
			quiet = 0;
			log->flusher_leads = 0;
			__atomic_fetch_sub(&log->publish_sleepers, 1, __ATOMIC_SEQ_CST);
			while (!log->stop && !log->flusher_leads)
				pthread_cond_wait(&log->flusher_wake, &log->lock);
			__atomic_fetch_add(&log->publish_sleepers, 1, __ATOMIC_SEQ_CST);
		}
	}
	log->flusher_leads = 0;
	pthread_cond_broadcast(&log->changed);
	pthread_mutex_unlock(&log->lock);
	return NULL;
}

/* Without a thread to be had the waiters go on leading. */
void fm__log_flusher_take_over(struct filemap_log *log)
{
	if (log->flusher_leads || log->stop || log->waiters < CROWD)
		return;
	if (!log->has_flusher && fm__log_thread(&log->flusher, flusher_main, log) < 0)
		return;
	log->has_flusher = 1;
	log->flusher_leads = 1;
}
