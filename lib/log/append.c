/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Appending (order rule O2): claim, payload, header, commit word. Invariant: between the claim and the
 * commit there is nothing that can wait or be cancelled, so that a claim becomes a hole only if its thread dies
 * or a page cannot be had, and then the log is poisoned; after the commit the segment may vanish and is
 * not touched again.
 */
#include <errno.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/util.h"
#include "log/guarded.h"
#include "log/store.h"
#include "log/writer.h"
#include "sys/sys.h"

static int sum_lengths(const struct filemap_log *log, const struct filemap_bytes *parts, size_t count,
		       size_t *ret)
{
	size_t sum = 0;

	for (size_t i = 0; i < count; i++) {
		if (!fm__add_size(sum, parts[i].length, &sum))
			return FILEMAP_ERANGE;
	}
	if (sum > log->g.segment_size || fm__log_frame_size(&log->g, sum) > fm__log_frame_max(&log->g))
		return FILEMAP_ERANGE;
	*ret = sum;
	return 0;
}

static uint32_t frame_time(const struct filemap_log *log, uint64_t lsn, uint64_t now_ms)
{
	uint64_t base = fm__log_slot(log, fm__log_segment_of(&log->g, lsn))->time_base;

	if (now_ms <= base)
		return 0;
	return (uint32_t)FM_MIN(now_ms - base, (uint64_t)UINT32_MAX - 1);
}

static void write_frame(struct filemap_log *log, struct fm__log_frame *frame,
			const struct filemap_bytes *parts, size_t count)
{
	uint8_t header[FM_LOG_FRAME_HEADER], *at = fm__log_at(log, frame->lsn);
	size_t offset = FM_LOG_FRAME_HEADER;

	for (size_t i = 0; i < count; i++) {
		fm__log_store(at + offset, parts[i].data, parts[i].length);
		offset += parts[i].length;
	}
	frame->epoch = log->epoch;
	frame->back = fm__log_back(&log->g, frame->lsn, fm__log_load(&log->durable));
	fm__log_frame_encode(&log->g, frame, parts, count, header);
	fm__log_store(at + 8, header + 8, FM_LOG_FRAME_HEADER - 8);
	fm__log_store_commit(at, fm__get_le64(header));
}

static void write_fill(struct filemap_log *log, uint64_t lsn, uint64_t now_ms)
{
	uint64_t end = fm__log_end(&log->g, fm__log_segment_of(&log->g, lsn));
	struct fm__log_frame frame = {
		.lsn = lsn,
		.size = end - lsn,
		.type = FM_LOG_PAD,
		.flags = FM_LOG_PAD_FILL,
		.time = frame_time(log, lsn, now_ms),
	};

	write_frame(log, &frame, NULL, 0);
}

struct writing {
	struct filemap_log *log;
	struct fm__log_frame *frame;
	const struct filemap_bytes *parts;
	size_t count;
	uint64_t pad, now_ms; /* pad: where the segment before it is to be filled up; 0 = it is not */
};

static int write_claimed(void *context)
{
	const struct writing *writing = context;

	if (writing->pad != 0)
		write_fill(writing->log, writing->pad, writing->now_ms);
	write_frame(writing->log, writing->frame, writing->parts, writing->count);
	return 0;
}

static struct fm__log_place segment_of(const struct filemap_log *log, uint64_t lsn)
{
	if (lsn == 0)
		return (struct fm__log_place){NULL, 0};
	return (struct fm__log_place){fm__log_at(log, lsn) - lsn % log->g.segment_size,
				      (size_t)log->g.segment_size};
}

/* A claim that cannot be committed is a hole for ever: nothing behind it may be acknowledged. */
static int write_and_publish(struct writing *writing)
{
	struct filemap_log *log = writing->log;
	const struct fm__log_places places = {
		.segment = segment_of(log, writing->frame->lsn),
		.other = segment_of(log, writing->pad),
	};
	int r = fm__log_guarded(&places, write_claimed, writing);

	if (r < 0) {
		fm__log_poison(log, r);
		return r;
	}
	return fm__log_publish(log);
}

/* Backpressure: wait until at most max_lag bytes are appended but not durable. */
static int make_room(struct filemap_log *log)
{
	uint64_t durable = fm__log_load(&log->durable), tail = fm__log_tail(log);
	int r;

	if (tail - durable <= log->max_lag)
		return 0;
	r = fm__log_reach(log, FILEMAP_DURABLE, tail - log->max_lag, -1);
	return r < 0 ? r : 0;
}

static int claim_or_wait(struct filemap_log *log, uint64_t size, uint64_t now_ms, struct fm__log_claimed *ret)
{
	int r;

	for (;;) {
		r = fm__log_usable(log);
		if (r < 0)
			return r;
		r = fm__log_claim(log, size, now_ms, ret);
		if (r != -EAGAIN)
			return r;
		r = fm__log_await_segment(log, ret->need);
		if (r < 0)
			return r;
	}
}

static void count_record(struct filemap_log *log, size_t length)
{
	__atomic_fetch_add(&log->appended.records, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&log->appended.bytes, length, __ATOMIC_RELAXED);
}

int filemap_log_appendv(struct filemap_log *log, const struct filemap_bytes *parts, size_t count,
			struct filemap_log_position *ret)
{
	struct fm__log_frame frame = {.type = FM_LOG_DATA};
	struct fm__log_claimed claimed;
	uint64_t now_ms;
	size_t length;
	int r;

	r = fm__log_usable(log);
	if (r < 0)
		return r;
	r = sum_lengths(log, parts, count, &length);
	if (r < 0)
		return r;
	r = make_room(log);
	if (r < 0)
		return r;
	now_ms = fm__sys_realtime_ms();
	frame.length = (uint32_t)length;
	frame.size = fm__log_frame_size(&log->g, length);
	r = claim_or_wait(log, frame.size, now_ms, &claimed);
	if (r < 0)
		return r;
	frame.lsn = claimed.lsn;
	frame.time = frame_time(log, frame.lsn, now_ms);
	r = write_and_publish(&(struct writing){log, &frame, parts, count, claimed.pad, now_ms});
	if (r < 0)
		return r;
	count_record(log, length);
	if (ret)
		*ret = (struct filemap_log_position){.lsn = frame.lsn, .epoch = log->epoch};
	return 0;
}

int filemap_log_append(struct filemap_log *log, const void *data, size_t length,
		       struct filemap_log_position *ret)
{
	const struct filemap_bytes part = {.data = data, .length = length};
	return filemap_log_appendv(log, &part, 1, ret);
}
