/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * `published` (order rule O3): the canonical end of the unbroken run of committed frames. One thread walks
 * at a time, on behalf of all: whoever finds the walk taken leaves a request that the walker sees.
 * Invariant: a commit is walked over by its own thread or by one that walks after it.
 */
#include "base/bytes.h"
#include "log/store.h"
#include "log/writer.h"
#include "sys/sys.h"

#define FRAME_LENGTH 12 /* offsets in a frame's header */
#define FRAME_TYPE 16

static void count_frame(struct filemap_log *log, const uint8_t *at)
{
	if (fm__get_le16(at + FRAME_TYPE) != FM_LOG_DATA)
		return;
	log->committed.records++;
	log->committed.bytes += fm__get_le32(at + FRAME_LENGTH);
}

/* Remember since when a claim in front of the tail has kept the walk from going on. */
static void note_hole(struct filemap_log *log, uint64_t at, bool moved)
{
	uint64_t since = __atomic_load_n(&log->hole_since_ns, __ATOMIC_RELAXED);

	if (at >= fm__log_tail(log))
		since = 0;
	else if (moved || since == 0)
		since = fm__sys_monotonic_ns();
	__atomic_store_n(&log->hole_since_ns, since, __ATOMIC_RELAXED);
}

/* publish_lock held. Only what was claimed is looked at, and there only a commit word of that very position is
 * believed: the bytes of a segment that nobody has written yet may be damaged, too. */
static void walk(struct filemap_log *log)
{
	uint64_t from = fm__log_load(&log->published), at = from;
	uint64_t tail = fm__log_tail(log);

	while (at < tail) {
		const uint8_t *frame = fm__log_at(log, at);
		uint64_t size = fm__log_commit_size(&log->g, at, fm__log_load_commit(frame));

		if (size == 0)
			break;
		count_frame(log, frame);
		at = fm__log_canonical(&log->g, at + size);
	}
	note_hole(log, at, at != from);
	if (at == from)
		return;
	__atomic_store_n(&log->published, at, __ATOMIC_SEQ_CST);
	fm__log_ctl_store_published(log->ctl, at);
}

static void wake_sleepers(struct filemap_log *log)
{
	if (__atomic_load_n(&log->publish_sleepers, __ATOMIC_SEQ_CST) == 0)
		return;
	pthread_mutex_lock(&log->lock);
	pthread_cond_broadcast(&log->changed);
	pthread_cond_signal(&log->flusher_wake);
	pthread_mutex_unlock(&log->lock);
}

/*
 * All three accesses to publish_asked are read-modify-writes: in their one order a request comes either
 * before the walker's last look, which then sees it, or after it, and then the lock is free.
 */
void fm__log_publish(struct filemap_log *log)
{
	uint32_t again = __atomic_exchange_n(&log->publish_asked, 1, __ATOMIC_SEQ_CST) | 1;

	while (again && pthread_mutex_trylock(&log->publish_lock) == 0) {
		(void)__atomic_exchange_n(&log->publish_asked, 0, __ATOMIC_SEQ_CST);
		walk(log);
		pthread_mutex_unlock(&log->publish_lock);
		wake_sleepers(log);
		again = __atomic_fetch_add(&log->publish_asked, 0, __ATOMIC_SEQ_CST);
	}
}

uint64_t fm__log_publish_now(struct filemap_log *log, struct fm__log_count *ret)
{
	uint64_t published;

	pthread_mutex_lock(&log->publish_lock);
	walk(log);
	published = fm__log_load(&log->published);
	*ret = log->committed;
	pthread_mutex_unlock(&log->publish_lock);
	fm__log_ctl_wake_published(log->ctl);
	wake_sleepers(log);
	if (__atomic_fetch_add(&log->publish_asked, 0, __ATOMIC_SEQ_CST))
		fm__log_publish(log);
	return published;
}
