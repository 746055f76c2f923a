/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What all parts of the writer change: poison (order rule O7), the durable position, meta (O6), and the locks.
 * Invariant: after the poison nothing advances any more; meta on the device never says more than `durable`
 * did when it was written.
 */
#include <errno.h>
#include <time.h>

#include "log/writer.h"

int fm__log_usable(const struct filemap_log *log)
{
	uint32_t refused = __atomic_load_n(&log->refused, __ATOMIC_ACQUIRE);

	if (refused == 0)
		return 0;
	return refused & FM_LOG_FORKED ? FILEMAP_EFORKED : FILEMAP_EPOISONED;
}

static void wake_all(struct filemap_log *log)
{
	pthread_cond_broadcast(&log->changed);
	pthread_cond_broadcast(&log->prepare_wake);
	pthread_cond_broadcast(&log->flusher_wake);
}

void fm__log_poison(struct filemap_log *log, int cause)
{
	int32_t none = 0;

	if (cause == FILEMAP_EFAULT)
		cause = -EFAULT; /* what is told of it is an errno */
	__atomic_compare_exchange_n(&log->cause, &none, cause, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
	pthread_mutex_lock(&log->lock);
	__atomic_fetch_or(&log->refused, FM_LOG_POISONED, __ATOMIC_SEQ_CST);
	wake_all(log);
	pthread_mutex_unlock(&log->lock);
	(void)fm__log_ctl_set_state(log->ctl, FM_LOG_CTL_POISONED);
}

void fm__log_set_durable(struct filemap_log *log, uint64_t end, const struct fm__log_count *count)
{
	pthread_mutex_lock(&log->lock);
	if (fm__log_usable(log) == 0) {
		__atomic_store_n(&log->durable, end, __ATOMIC_RELEASE);
		log->flushed = *count;
		log->flushes++;
		if (log->preparer_rests || fm__log_seal_due(log))
			pthread_cond_signal(&log->prepare_wake);
	}
	pthread_cond_broadcast(&log->changed);
	pthread_mutex_unlock(&log->lock);
	if (fm__log_ctl_durable(log->ctl, fm__log_load(&log->durable)) < 0)
		fm__log_poison(log, FILEMAP_EFAULT);
}

/* ---- meta ---- */

/* meta_lock held */
static int write_meta(struct filemap_log *log, struct fm__log_meta *meta,
		      int (*write)(int fd, struct fm__log_meta *meta))
{
	int r;

	meta->durable = fm__log_load(&log->durable);
	r = write(log->dir.meta_fd, meta);
	if (r < 0)
		return r;
	log->meta = *meta;
	__atomic_store_n(&log->marked, meta->durable, __ATOMIC_RELEASE);
	return 0;
}

static int finish_meta(struct filemap_log *log, int result)
{
	pthread_mutex_unlock(&log->meta_lock);
	if (result < 0)
		fm__log_poison(log, result);
	return result;
}

int fm__log_meta_last(struct filemap_log *log, uint64_t n)
{
	struct fm__log_meta meta;

	pthread_mutex_lock(&log->meta_lock);
	meta = log->meta;
	meta.last = n;
	return finish_meta(log, write_meta(log, &meta, fm__log_meta_structural));
}

int fm__log_meta_sealed(struct filemap_log *log, uint64_t n)
{
	struct fm__log_meta meta;

	pthread_mutex_lock(&log->meta_lock);
	meta = log->meta;
	if (meta.sealed >= n) /* the recovery has said so already */
		return finish_meta(log, 0);
	meta.sealed = n;
	return finish_meta(log, write_meta(log, &meta, fm__log_meta_structural));
}

int fm__log_meta_clean(struct filemap_log *log, uint64_t end)
{
	struct fm__log_meta meta;

	pthread_mutex_lock(&log->meta_lock);
	meta = log->meta;
	if (meta.state == FM_LOG_META_CLEAN)
		return finish_meta(log, 0);
	meta.state = FM_LOG_META_CLEAN;
	meta.end = end;
	return finish_meta(log, write_meta(log, &meta, fm__log_meta_structural));
}

int fm__log_meta_mark(struct filemap_log *log)
{
	struct fm__log_meta meta;

	pthread_mutex_lock(&log->meta_lock);
	meta = log->meta;
	if (meta.durable >= fm__log_load(&log->durable))
		return finish_meta(log, 0);
	return finish_meta(log, write_meta(log, &meta, fm__log_meta_watermark));
}

/* ---- locks ---- */

static int init_cond(pthread_cond_t *cond)
{
	pthread_condattr_t attributes;
	int r = pthread_condattr_init(&attributes);

	if (r != 0)
		return -r;
	r = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	if (r == 0)
		r = pthread_cond_init(cond, &attributes);
	pthread_condattr_destroy(&attributes);
	return -r;
}

int fm__log_init_locks(struct filemap_log *log)
{
	pthread_mutex_t *mutexes[] = {&log->lock, &log->publish_lock, &log->meta_lock};
	pthread_cond_t *conds[] = {&log->changed, &log->prepare_wake, &log->flusher_wake};

	for (int i = 0; i < 3; i++) {
		int r = -pthread_mutex_init(mutexes[i], NULL);

		if (r == 0)
			r = init_cond(conds[i]);
		if (r < 0)
			return r; /* glibc's and musl's hold nothing that would have to be released */
	}
	return 0;
}

void fm__log_done_locks(struct filemap_log *log)
{
	pthread_cond_destroy(&log->flusher_wake);
	pthread_cond_destroy(&log->prepare_wake);
	pthread_cond_destroy(&log->changed);
	pthread_mutex_destroy(&log->meta_lock);
	pthread_mutex_destroy(&log->publish_lock);
	pthread_mutex_destroy(&log->lock);
}
