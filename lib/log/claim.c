/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Claiming room for frames: one 64-bit word, the segment's number modulo 2^24 above a byte offset of 40
 * bits. Invariant: the word only moves forward and never into a segment that is not ready (order rule O1);
 * what it moved over belongs to exactly one thread until that commits it.
 */
#include "log/writer.h"

#include <errno.h>

#define OFFSET_BITS 40
#define SEGMENT_MASK UINT64_C(0xFFFFFF)
#define STOPPED (UINT64_C(1) << 39) /* offsets need 31 bits: the top one says that claims are refused */
#define OFFSET_MASK (STOPPED - 1)

static uint64_t pack(const struct filemap_log *log, uint64_t lsn)
{
	uint64_t n = fm__log_segment_of(&log->g, lsn);
	return (n & SEGMENT_MASK) << OFFSET_BITS | lsn % log->g.segment_size;
}

/*
 * The whole number of the segment: the nearest one at or above durable's that fits. `durable` has to be
 * loaded before the word, since the tail never lies below it.
 */
static uint64_t unpack(const struct filemap_log *log, uint64_t durable, uint64_t word)
{
	uint64_t low = fm__log_segment_of(&log->g, durable);
	uint64_t n = low + (((word >> OFFSET_BITS) - low) & SEGMENT_MASK);
	return n * log->g.segment_size + (word & OFFSET_MASK);
}

void fm__log_claim_start(struct filemap_log *log, uint64_t tail)
{
	__atomic_store_n(&log->claim, pack(log, tail), __ATOMIC_RELEASE);
}

static uint64_t load_tail(const struct filemap_log *log, uint64_t *ret_word)
{
	uint64_t durable = fm__log_load(&log->durable);

	*ret_word = __atomic_load_n(&log->claim, __ATOMIC_SEQ_CST);
	return unpack(log, durable, *ret_word);
}

uint64_t fm__log_tail(const struct filemap_log *log)
{
	uint64_t word;
	return load_tail(log, &word);
}

/* A quarter of a segment before it is needed is early enough to hide most of the work, and a small log
 * does not pay for a second segment. */
static bool late_in_segment(const struct filemap_log *log, uint64_t lsn)
{
	return lsn % log->g.segment_size >= log->g.segment_size / 4;
}

uint64_t fm__log_wanted(const struct filemap_log *log)
{
	uint64_t tail = fm__log_tail(log);
	return fm__log_segment_of(&log->g, tail) + (late_in_segment(log, tail) ? 1 : 0);
}

static void entered(struct filemap_log *log, uint64_t n)
{
	__atomic_store_n(&log->rotate_ms, fm__log_slot(log, n)->time_base + (UINT32_MAX - 1),
			 __ATOMIC_RELAXED);
}

/* Where a frame would go if the tail is at lsn. */
static void place(const struct filemap_log *log, uint64_t lsn, uint64_t size, uint64_t now_ms,
		  struct fm__log_claimed *ret)
{
	uint64_t n = fm__log_segment_of(&log->g, lsn), end = fm__log_end(&log->g, n);
	bool fits = lsn + size <= end;

	if (now_ms > __atomic_load_n(&log->rotate_ms, __ATOMIC_RELAXED) && lsn > fm__log_start(&log->g, n))
		fits = false;
	if (fits)
		*ret = (struct fm__log_claimed){.lsn = lsn, .need = n};
	else
		*ret = (struct fm__log_claimed){
			.lsn = fm__log_start(&log->g, n + 1), .pad = lsn, .need = n + 1};
}

int fm__log_claim(struct filemap_log *log, uint64_t size, uint64_t now_ms, struct fm__log_claimed *ret)
{
	uint64_t word, lsn, next;

	for (;;) {
		lsn = load_tail(log, &word);
		if (word & STOPPED)
			return FILEMAP_EMODE;
		place(log, lsn, size, now_ms, ret);
		if (ret->need > fm__log_load(&log->ready))
			return -EAGAIN;
		/* `durable` may come to be start(n+1): the word must not stay behind it, in n. */
		next = fm__log_canonical(&log->g, ret->lsn + size);
		if (__atomic_compare_exchange_n(&log->claim, &word, pack(log, next), false, __ATOMIC_SEQ_CST,
						__ATOMIC_RELAXED))
			break;
	}
	if (ret->lsn == fm__log_start(&log->g, ret->need))
		entered(log, ret->need);
	if (late_in_segment(log, ret->lsn + size) && !late_in_segment(log, ret->lsn))
		fm__log_preparer_kick(log);
	return 0;
}

void fm__log_claims_stop(struct filemap_log *log)
{
	__atomic_fetch_or(&log->claim, STOPPED, __ATOMIC_SEQ_CST);
}

void fm__log_claims_allow(struct filemap_log *log)
{
	__atomic_fetch_and(&log->claim, ~STOPPED, __ATOMIC_SEQ_CST);
}
