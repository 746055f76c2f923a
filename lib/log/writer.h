/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The writer's handle. Many threads append; one flush is in flight at a time; one library thread prepares
 * and seals segments. Invariant: first <= durable <= published <= tail, and none of them ever falls.
 *
 * Locks: `lock` and `publish_lock` are never held together nor across a kernel call; `meta_lock` is held
 * across the writing of meta and taken alone.
 */
#ifndef FM_LOG_WRITER_H
#define FM_LOG_WRITER_H

#include <pthread.h>

#include <filemap/log.h>

#include "log/ctl.h"
#include "log/dir.h"
#include "log/fork.h"
#include "log/recover.h"

#define FM_LOG_POISONED (1u << 0) /* bits of filemap_log.refused */
#define FM_LOG_FORKED (1u << 1)

#define FM_LOG_LAG_DEFAULT (UINT64_C(64) << 20)
#define FM_LOG_RETRY_MS 1000u /* between two attempts of the preparer */
#define FM_LOG_SLOTS_MAX 1024u
#define FM_LOG_IDLE_MS 1000u /* nothing new was made durable for so long: the watermark is written */

/* A mapped segment. Written by the thread that maps and seals while no claim can be in it. */
struct fm__log_slot {
	uint64_t n;
	struct filemap *map; /* NULL = free */
	uint8_t *base;
	uint64_t time_base;
};

/* How many of something. */
struct fm__log_count {
	uint64_t records, bytes;
};

/* Queue mode: the one group of flushes in flight. On the heap: it outlives a log that could not wait. */
struct fm__log_group {
	struct filemap_log *log; /* NULL: the log was closed meanwhile */
	uint64_t end;            /* durable once every part succeeded */
	struct fm__log_count count;
	uint32_t left;          /* parts without a result, and one for who submits; atomic */
	int32_t result;         /* first failure; atomic */
	uint32_t parts, waited; /* under lock: tickets there are, and those that somebody waited for */
	uint64_t tickets[];
};

struct filemap_log {
	/* Set by the opening, then read only. */
	struct fm__log_dir dir;
	struct fm__log_geometry g;
	struct fm__log_ctl *ctl;
	struct filemap_queue *queue;
	struct fm__log_slot *slots; /* segment n lies in slot n % slot_count */
	uint64_t slot_count, max_lag, first;
	uint32_t epoch;

	/* Atomics. */
	uint32_t refused;
	int32_t cause;             /* what poisoned it; 0 = nothing */
	uint32_t publish_asked;    /* somebody committed since the pass began */
	uint32_t publish_sleepers; /* threads that sleep until `published` moves */
	uint64_t claim;            /* see claim.c */
	uint64_t ready;            /* the highest segment that may be claimed in */
	uint64_t rotate_ms; /* from this time on frames go to the next segment: `time` would overflow */
	uint64_t published, durable;
	uint64_t marked;        /* `durable` as meta has it on the device */
	uint64_t hole_since_ns; /* a pass stopped at an uncommitted claim; 0 = at the tail */
	struct fm__log_count appended;

	/* Under publish_lock: counts below `published`. */
	pthread_mutex_t publish_lock;
	struct fm__log_count committed;

	/* Under meta_lock: what is on the device. */
	pthread_mutex_t meta_lock;
	struct fm__log_meta meta;

	/* Under lock. */
	pthread_mutex_t lock;
	pthread_cond_t changed;      /* any position, `ready` or the state moved */
	pthread_cond_t prepare_wake; /* the preparer has something to look at */
	pthread_cond_t flusher_wake;
	pthread_t preparer, flusher;
	uint32_t has_preparer, has_flusher;
	uint32_t stop;          /* FM_LOG_STOP_*: the library threads end */
	uint32_t flushing;      /* somebody is flushing */
	uint32_t flusher_leads; /* waiters leave the flushing to the flusher thread */
	uint32_t waiters;       /* threads that wait for `durable` */
	uint64_t oldest;        /* lowest segment that is still mapped or not sealed */
	uint64_t demanded;      /* a claim waits for this segment */
	int32_t prepare_error;  /* why there is no next segment; 0 = none is known */
	uint32_t finished;
	struct fm__log_group *group;
	struct fm__log_count flushed; /* counts below `durable` */
	uint64_t flushes, prepared, sealed;
	uint32_t
		preparer_rests; /* it sleeps without a deadline: the next group wakes it to wait for an idle time */

	struct filemap_log *next_open; /* fork.c */
};

#define FM_LOG_STOP_SEALED 1u /* once everything that can be sealed is */
#define FM_LOG_STOP_NOW 2u

static inline uint64_t fm__log_load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline struct fm__log_slot *fm__log_slot(const struct filemap_log *log, uint64_t n)
{
	return &log->slots[n % log->slot_count];
}

/* Address of a position in a mapped segment. */
static inline uint8_t *fm__log_at(const struct filemap_log *log, uint64_t lsn)
{
	return fm__log_slot(log, fm__log_segment_of(&log->g, lsn))->base + lsn % log->g.segment_size;
}

/* ---- log_options.c ---- */
/* Read, check and complete with defaults; touches nothing. */
int fm__log_options_read(const struct filemap_log_options *from, struct filemap_log_options *ret,
			 struct filemap_error *reterr);
/* Refuse file systems on which prewritten zeros reserve nothing. `path` need not exist yet. */
int fm__log_options_place(const char *path, struct filemap_error *reterr);

/* ---- state.c ---- */
int fm__log_usable(const struct filemap_log *log); /* 0, FILEMAP_EFORKED, FILEMAP_EPOISONED */
void fm__log_poison(struct filemap_log *log, int cause);
void fm__log_set_durable(struct filemap_log *log, uint64_t end, const struct fm__log_count *count);
int fm__log_meta_last(struct filemap_log *log, uint64_t n); /* structural; poisons on failure, as all three */
int fm__log_meta_sealed(struct filemap_log *log, uint64_t n);  /* structural: every segment below n */
int fm__log_meta_clean(struct filemap_log *log, uint64_t end); /* structural; what was clean already stays */
int fm__log_meta_mark(struct filemap_log *log);                /* the watermark; nothing to do = 0 */
int fm__log_init_locks(struct filemap_log *log);
void fm__log_done_locks(struct filemap_log *log);

/* ---- claim.c ---- */
struct fm__log_claimed {
	uint64_t lsn;
	uint64_t pad;  /* where a PAD FILL is due up to the end of its segment; 0 = none */
	uint64_t need; /* -EAGAIN: the segment that has to be ready first */
};
void fm__log_claim_start(struct filemap_log *log, uint64_t tail);
int fm__log_claim(struct filemap_log *log, uint64_t size, uint64_t now_ms, struct fm__log_claimed *ret);
void fm__log_claims_stop(struct filemap_log *log);
void fm__log_claims_allow(struct filemap_log *log);
uint64_t fm__log_tail(const struct filemap_log *log);   /* canonical */
uint64_t fm__log_wanted(const struct filemap_log *log); /* the segment that should be ready by now */

/* ---- published.c ---- */
int fm__log_publish(struct filemap_log *log); /* 0; FILEMAP_EFAULT: a page was not to be had, poisoned now */
/* The same, but not without having looked; the position and what lies below it, also if that poisoned. */
uint64_t fm__log_publish_now(struct filemap_log *log, struct fm__log_count *ret);

/* ---- flush.c ---- */
void fm__log_lead(struct filemap_log *log); /* `lock` held before and after; a flush on this thread */
void fm__log_flusher_take_over(struct filemap_log *log); /* `lock` held */
/* The part of segment n in [from, to): offset and length in it; 0 = nothing of it. */
size_t fm__log_part(const struct filemap_log *log, uint64_t n, uint64_t from, uint64_t to,
		    size_t *ret_offset);
/* After a flush of [from, to): 0, or FILEMAP_EFAULT if a segment was cut below it. The kernel drops such pages in
 * silence, and flushing what is left succeeds. */
int fm__log_check_parts(const struct filemap_log *log, uint64_t from, uint64_t to);

/* ---- wait.c ---- */
int fm__log_reach(struct filemap_log *log, unsigned level, uint64_t target, int timeout_ms);
int fm__log_await_segment(struct filemap_log *log, uint64_t n);
struct fm__log_deadline {
	uint64_t at_ns; /* UINT64_MAX = never */
};
struct fm__log_deadline fm__log_deadline(int timeout_ms);
int fm__log_remaining_ms(const struct fm__log_deadline *deadline);
int fm__log_sleep_for(struct filemap_log *log, uint64_t target, const struct fm__log_deadline *deadline);
/* 1 reached, 0 not yet, negative: never. */
int fm__log_reached(const struct filemap_log *log, unsigned level, uint64_t target);
int fm__log_sleep(struct filemap_log *log, pthread_cond_t *cond, const struct fm__log_deadline *deadline);

/* ---- group.c: queue mode ---- */
int fm__log_group_reach(struct filemap_log *log, uint64_t target, const struct fm__log_deadline *deadline);
void fm__log_group_abandon(struct filemap_log *log);

/* ---- prepare.c, seal.c ---- */
int fm__log_thread(pthread_t *ret, void *(*body)(void *), void *context);
/* Takes fd, also on failure. FILEMAP_ECORRUPT: it was cut meanwhile. */
int fm__log_map_segment(struct filemap_log *log, uint64_t n, int fd, struct filemap_error *reterr);
int fm__log_preparer_start(struct filemap_log *log);
void fm__log_preparer_kick(struct filemap_log *log);
void fm__log_threads_stop(struct filemap_log *log, uint32_t how);
bool fm__log_seal_due(const struct filemap_log *log); /* `lock` held */
int fm__log_seal_oldest(struct filemap_log *log);     /* the preparer only */

#endif
