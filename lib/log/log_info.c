/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Looking at a log that is open for writing. Owns nothing and waits for nobody's flush. */
#include "log/writer.h"
#include "sys/sys.h"

uint64_t filemap_log_first(const struct filemap_log *log)
{
	return log->first;
}

uint64_t filemap_log_published(const struct filemap_log *log)
{
	return fm__log_load(&log->published);
}

uint64_t filemap_log_durable(const struct filemap_log *log)
{
	return fm__log_load(&log->durable);
}

uint64_t filemap_log_tail(const struct filemap_log *log)
{
	return fm__log_tail(log);
}

static uint64_t age_of_hole(const struct filemap_log *log)
{
	uint64_t since = __atomic_load_n(&log->hole_since_ns, __ATOMIC_RELAXED);
	uint64_t now;

	if (since == 0 || fm__log_load(&log->published) >= fm__log_tail(log))
		return 0;
	now = fm__sys_monotonic_ns();
	return now > since ? now - since : 1;
}

int filemap_log_stats(const struct filemap_log *log, struct filemap_log_stats *ret)
{
	/* The lock is no part of what the caller sees change. */
	struct filemap_log *writable = (struct filemap_log *)(uintptr_t)log;
	struct filemap_log_stats stats = {
		.records = __atomic_load_n(&log->appended.records, __ATOMIC_RELAXED),
		.bytes = __atomic_load_n(&log->appended.bytes, __ATOMIC_RELAXED),
		.oldest_claim_ns = age_of_hole(log),
	};

	if (__atomic_load_n(&log->refused, __ATOMIC_ACQUIRE) & FM_LOG_FORKED)
		return FILEMAP_EFORKED;
	pthread_mutex_lock(&writable->lock);
	stats.flushes = log->flushes;
	stats.flushed_records = log->flushed.records;
	stats.flushed_bytes = log->flushed.bytes;
	stats.segments_prepared = log->prepared;
	stats.segments_sealed = log->sealed;
	pthread_mutex_unlock(&writable->lock);
	*ret = stats;
	return 0;
}
