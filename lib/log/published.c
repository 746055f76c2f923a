/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * `published` (order rule O3): the canonical end of the unbroken run of committed frames. One thread walks
 * at a time, on behalf of all: whoever finds the walk taken leaves a request that the walker sees.
 * Invariant: a commit is walked over by its own thread or by one that walks after it. A page that cannot be
 * had ends the walk there, and poisons the log.
 */
#include "base/bytes.h"
#include "log/guarded.h"
#include "log/store.h"
#include "log/writer.h"
#include "sys/sys.h"

#define FRAME_LENGTH 12 /* offsets in a frame's header */
#define FRAME_TYPE 16

struct walk {
	struct filemap_log *log;
	struct fm__log_places places;
	uint64_t from, tail;
	volatile uint64_t at, records, bytes; /* what was walked over, also if a fault ended it */
};

static void pass_frame(struct walk *walk, const uint8_t *frame, uint64_t size)
{
	if (fm__get_le16(frame + FRAME_TYPE) == FM_LOG_DATA) {
		const uint32_t length = fm__get_le32(frame + FRAME_LENGTH);

		walk->records++;
		walk->bytes += length;
	}
	walk->at = fm__log_canonical(&walk->log->g, walk->at + size);
}

/* Only what was claimed is looked at, and there only a commit word of that very position is believed: the bytes
 * of a segment that nobody has written yet may be damaged, too. */
static int walk_on(void *context)
{
	struct walk *walk = context;
	struct filemap_log *log = walk->log;
	uint64_t at;

	while ((at = walk->at) < walk->tail) {
		const uint8_t *frame = fm__log_at(log, at);
		uint64_t size;

		walk->places.segment.at = frame - at % log->g.segment_size;
		size = fm__log_commit_size(&log->g, at, fm__log_load_commit(frame));
		if (size == 0)
			break;
		pass_frame(walk, frame, size);
	}
	if (at != walk->from)
		fm__log_ctl_store_published(log->ctl, at);
	return 0;
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

/* publish_lock held. 0, or FILEMAP_EFAULT: then the caller poisons, without the lock. */
static int walk(struct filemap_log *log)
{
	const uint64_t from = fm__log_load(&log->published);
	struct walk walk = {.log = log, .from = from, .tail = fm__log_tail(log), .at = from};
	int r;

	walk.places.segment.length = (size_t)log->g.segment_size;
	fm__log_ctl_place(log->ctl, &walk.places.other);
	r = fm__log_guarded(&walk.places, walk_on, &walk);
	log->committed.records += walk.records;
	log->committed.bytes += walk.bytes;
	note_hole(log, walk.at, walk.at != from);
	if (walk.at != from)
		__atomic_store_n(&log->published, walk.at, __ATOMIC_SEQ_CST);
	return r;
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
int fm__log_publish(struct filemap_log *log)
{
	int r = 0;
	uint32_t again = __atomic_exchange_n(&log->publish_asked, 1, __ATOMIC_SEQ_CST) | 1;

	while (again && pthread_mutex_trylock(&log->publish_lock) == 0) {
		(void)__atomic_exchange_n(&log->publish_asked, 0, __ATOMIC_SEQ_CST);
		r = walk(log);
		pthread_mutex_unlock(&log->publish_lock);
		wake_sleepers(log);
		again = __atomic_fetch_add(&log->publish_asked, 0, __ATOMIC_SEQ_CST);
		if (r < 0) {
			fm__log_poison(log, r);
			break;
		}
	}
	return r;
}

uint64_t fm__log_publish_now(struct filemap_log *log, struct fm__log_count *ret)
{
	uint64_t published;
	int r;

	pthread_mutex_lock(&log->publish_lock);
	r = walk(log);
	published = fm__log_load(&log->published);
	*ret = log->committed;
	pthread_mutex_unlock(&log->publish_lock);
	if (r == 0)
		r = fm__log_ctl_wake_published(log->ctl);
	wake_sleepers(log);
	if (r < 0)
		fm__log_poison(log, r);
	else if (__atomic_fetch_add(&log->publish_asked, 0, __ATOMIC_SEQ_CST))
		(void)fm__log_publish(log);
	return published;
}
