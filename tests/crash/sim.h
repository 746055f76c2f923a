/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The power-cut simulator of the append log.
 *
 * The real library runs on real files in a memory file system. wraps.c stands between it and the kernel
 * (-Wl,--wrap) and writes down each store, size, name and flush as an event. A run is a base state (what
 * device and page cache held before) and its events; replaying the first k of them gives the state at a
 * crash: for each 64-byte line the version that was flushed last and all versions stored since. Collapsing
 * that state by a seed is the power cut, keeping it is the death of the process. The outcome becomes a
 * directory again, the real recovery runs on it (and is a run itself), and check.c compares.
 *
 *   sim_state      device + page cache, with every version that a crash may leave
 *   sim_run        base state, what was acknowledged before, events
 *   sim_lineage    what the application knows: records, positions acknowledged as durable or published
 */
#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <filemap/log.h>

#include "chance.h"

#define SIM_LINE 64u
#define SIM_PAGE 4096u
#define SIM_NAME 48
#define SIM_NO_FILE UINT32_MAX

/* ---- events ---- */
enum sim_kind {
	SIM_STORE,        /* file, offset, length, bytes */
	SIM_SIZE,         /* file, length = new size */
	SIM_FLUSHED,      /* file, offset, length, begin: events before `begin` are covered */
	SIM_FLUSH_FAILED, /* the same range became clean and is not on the device */
	SIM_CREATED,      /* dir, name, file */
	SIM_RENAMED,      /* dir, name, to */
	SIM_UNLINKED,     /* dir, name */
	SIM_DIR_SYNCED,   /* dir, begin */
	SIM_INTENT,       /* record id = offset: append is about to be called */
	SIM_APPENDED,     /* record: append returned */
	SIM_PUBLISHED,    /* offset: everything below was acknowledged as published */
	SIM_DURABLE,      /* offset: everything below was acknowledged as durable */
	SIM_OPENED        /* an opening returned; output = what a reader then found; offset = end */
};

struct sim_record {
	uint64_t lsn, id;
	uint32_t epoch;
	uint64_t promise; /* what the application knew to be durable when this was appended */
};

struct sim_records {
	struct sim_record *list;
	size_t count, room;
};

struct sim_event {
	enum sim_kind kind;
	uint32_t file, dir;
	uint64_t seq, offset, length, begin;
	uint8_t *bytes;
	struct sim_record record;
	struct sim_records output;
	bool is_dir;
	char name[SIM_NAME], to[SIM_NAME];
};

/* ---- state ---- */
struct sim_version {
	uint64_t seq;
	uint32_t line;
	uint8_t bytes[SIM_LINE];
};

struct sim_page {
	uint8_t floor[SIM_PAGE], latest[SIM_PAGE];
	struct sim_version *pending; /* by seq; those since the last covering flush */
	size_t count, room;
	bool stuck; /* a flush failed: clean, not on the device, until stored to again */
};

struct sim_size {
	uint64_t seq, size;
};

struct sim_entry {
	char name[SIM_NAME];
	uint32_t file;
};

struct sim_entries {
	struct sim_entry *list;
	size_t count, room;
};

struct sim_dirop {
	uint64_t seq;
	enum sim_kind kind;
	uint32_t file;
	char name[SIM_NAME], to[SIM_NAME];
};

struct sim_file {
	bool is_dir;
	struct sim_page **pages; /* NULL = zeros that nobody stored to */
	size_t page_room;
	uint64_t size_floor, size;
	struct sim_size *sizes;
	size_t size_count, size_room;
	struct sim_entries entries; /* directory: what is on the device */
	struct sim_dirop *ops;
	size_t op_count, op_room;
};

/* file 0 is the directory that holds the log's directory */
struct sim_state {
	struct sim_file *files;
	size_t count, room;
};

void sim_state_init(struct sim_state *state); /* an empty file 0 */
void sim_state_free(struct sim_state *state);
void sim_state_apply(struct sim_state *state, const struct sim_event *event);
void sim_state_clone(const struct sim_state *from, struct sim_state *to);
struct sim_page *sim_file_page(struct sim_file *file, uint64_t index); /* made if missing */
void sim_entries_apply(struct sim_entries *entries, const struct sim_dirop *op);
void sim_entries_latest(const struct sim_file *dir, struct sim_entries *ret);
uint32_t sim_entries_find(const struct sim_entries *entries, const char *name);
uint32_t sim_state_lookup(const struct sim_state *state, const char *name); /* in the log's directory */

/* ---- crashes ---- */
enum sim_crash {
	SIM_POWER,         /* power cut: any version of each unit */
	SIM_KILL,          /* the process died: every store is there, nothing else is forgotten */
	SIM_EVICT,         /* the same, and pages of a failed flush were dropped and read again */
	SIM_META_DAMAGE,   /* power cut at rest, and one slot of meta is unreadable */
	SIM_RECORD_DAMAGE, /* the process died, and an acknowledged record is damaged */
	SIM_CRASHES
};

enum sim_mode { SIM_OLD, SIM_NEW, SIM_RANDOM, SIM_ONE_LOST, SIM_ONE_KEPT, SIM_PREFIX, SIM_MODES };

/* What a crash leaves; `ret` is new. */
void sim_crash_state(const struct sim_state *state, enum sim_crash crash, enum sim_mode mode, uint32_t unit,
		     struct sim_rng *rng, struct sim_state *ret);
bool sim_meta_at_rest(const struct sim_state *state);
/* Make the files of a state below `root` (an existing empty directory) and bind their inodes. */
void sim_materialize(const struct sim_state *state, const char *root);
void sim_remove_tree(const char *root);

/* ---- what the application knows ---- */
struct sim_lineage {
	struct sim_records records; /* by lsn: survivors of the last opening, then what was appended */
	struct sim_records history; /* everything ever appended, of lost ends too */
	uint64_t *inflight;         /* ids whose append had not returned */
	size_t inflight_count, inflight_room;
	uint64_t durable, published;
	bool opened;
};

void sim_lineage_clone(const struct sim_lineage *from, struct sim_lineage *to);
void sim_lineage_free(struct sim_lineage *lineage);
void sim_lineage_apply(struct sim_lineage *lineage, const struct sim_event *event);
void sim_records_add(struct sim_records *records, struct sim_record record);
void sim_records_clone(const struct sim_records *from, struct sim_records *to);

/* ---- runs ---- */
struct sim_run {
	struct sim_state base;
	struct sim_lineage before;
	struct sim_event *events;
	size_t count, room;
	uint64_t boot;
	char root[300]; /* real directory, while it runs; the log is ROOT/log */
	char dir[304];
};

/* The library is about to work on `base` (cloned). Journaling is on until sim_run_end. */
void sim_run_begin(struct sim_run *run, const struct sim_state *base, const struct sim_lineage *before,
		   const char *parent);
void sim_run_end(struct sim_run *run);
void sim_run_free(struct sim_run *run);

/* ---- journal: the current run; thread-safe ---- */
struct sim_world {
	struct sim_run *run;
	uint64_t seq;
	uint64_t boot;   /* changes with each power cut */
	unsigned bugs;   /* SIM_BUG_* that wraps.c and bugs.c act out */
	long fail_flush; /* > 0: the so-manieth flush from now fails once */
	bool flush_failed;
	unsigned failures;        /* flushes that were made to fail, of all runs */
	bool tear;                /* the device may see every copy within a line in two parts, not some */
	bool shake;               /* yield at stores, at random */
	bool foreign;             /* a reader looks on from at_flush */
	uint32_t unit;            /* of logs that are created */
	void (*at_flush)(void *); /* called without the lock at each flush of an opening */
	void *at_flush_context;
};
extern struct sim_world sim_world;
extern __thread bool sim_opening; /* this thread is in an opening */

void sim_lock(void);
void sim_unlock(void);
bool sim_enter(void); /* false: nested, or no run: call the real one and record nothing. true: locked */
void sim_leave(void);
struct sim_event *sim_event(enum sim_kind kind); /* appended to the run; locked; lives until the next one */
struct sim_event *sim_last_event(void);          /* or NULL; locked */
void sim_event_store(uint32_t file, uint64_t offset, const void *bytes, size_t length);
void sim_note(enum sim_kind kind, uint64_t offset);
void sim_note_record(struct sim_record record);

/* Inodes and mappings of the current run; locked. */
struct stat;
void sim_bind(const struct stat *st, uint32_t file);
uint32_t sim_new_file(const struct stat *st);
uint32_t sim_file_of(const struct stat *st); /* SIM_NO_FILE: not ours */
uint32_t sim_file_of_fd(int fd);
uint32_t sim_resolve(int dirfd, const char *path, char name[SIM_NAME]); /* directory; SIM_NO_FILE */
void sim_mapped(void *at, size_t length, uint32_t file, uint64_t offset, bool is_ctl);
void sim_unmapped(void *at, size_t length);
uint32_t sim_find_mapping(const void *at, uint64_t *ret_offset);
void sim_watch_ctl(void); /* stores into ctl are atomics of their own: found by comparing */
void sim_forget_bindings(void);

/* ---- seeded bugs ---- */
#define SIM_BUG_ACK_BEFORE_FLUSH (1u << 0)
#define SIM_BUG_NO_DIR_SYNC (1u << 1)
#define SIM_BUG_PAD_NOT_FLUSHED (1u << 2)
#define SIM_BUG_NO_REDIRTY (1u << 3)
#define SIM_BUG_META_ONCE (1u << 4)
#define SIM_BUG_SATURATING_BACK (1u << 5)
#define SIM_BUG_PROMISE_PUBLISHED (1u << 6)
#define SIM_BUG_PAYLOAD_CHECKSUM (1u << 7)
#define SIM_BUG_EPOCH_META (1u << 8)
#define SIM_BUG_NO_LOOK_AHEAD (1u << 9)
#define SIM_BUG_TRUST_CTL (1u << 10)
#define SIM_BUG_RETRY_FLUSH (1u << 11)
#define SIM_BUG_POSITION_AFTER (1u << 12)
#define SIM_BUG_LENGTH (1u << 13)
#define SIM_BUG_SEAL_EARLY (1u << 14)
#define SIM_BUG_HEADER_CHECKSUM (1u << 15)
#define SIM_BUG_OUT_OF_ORDER (1u << 17)
#define SIM_BUG_HEADER_NOT_SYNCED (1u << 18)
static inline bool sim_bug(unsigned bug)
{
	return (sim_world.bugs & bug) != 0;
}

/* ---- workloads and checks ---- */
#define SIM_SEGMENT_SIZE (UINT64_C(1) << 20)

struct sim_plan {
	uint64_t seed;
	unsigned appends; /* per session and thread */
	unsigned sessions;
	unsigned threads;      /* producers; 0 and 1: the caller's thread */
	unsigned big_percent;  /* records that fill segments quickly */
	unsigned wait_percent; /* appends that wait until they are durable */
	bool queue;            /* flush through a queue */
	bool finish;           /* may close cleanly, chosen by the seed */
	long fail_flush;       /* see sim_world */
};

struct sim_explore {
	uint64_t seed;
	unsigned points; /* crash points per run */
	unsigned nested; /* levels of crashes during recovery */
	unsigned nested_points;
	unsigned crashes; /* bits 1 << enum sim_crash */
	bool random_only; /* no other mode than SIM_RANDOM */
};

void sim_payload(uint64_t id, void *to, size_t length);
size_t sim_length(uint64_t id);
uint64_t sim_new_id(size_t length);

/* One run of the library from an empty directory. */
void sim_play(struct sim_run *run, const struct sim_plan *plan, const char *parent);
/* Crash it at many points and check each; returns the number of recoveries. */
/* SIM_RECORD_DAMAGE; logs of one segment only. How many logs were looked at: 0 or 1. */
unsigned sim_check_damage(const struct sim_state *left, const struct sim_lineage *lineage, uint64_t seed,
			  const char *parent);
unsigned sim_explore(const struct sim_run *run, const struct sim_explore *how, const char *parent);

/* Append some records, as a plan's session does. */
void sim_append_some(struct filemap_log *log, struct sim_rng *rng, const struct sim_plan *plan);
int sim_open_log(const char *dir, struct filemap_queue *queue, struct filemap_log **ret,
		 struct filemap_log_report *report, struct filemap_error *error);
void sim_note_opened(const char *dir, const struct filemap_log *log, uint32_t epoch); /* reads everything */
void sim_close_log(struct filemap_log *log, bool finish);
/* Everything that a reader returns; a payload that is not what was appended is a violation. */
int sim_read_all(const char *dir, uint32_t level, struct sim_records *ret, struct filemap_log_report *report,
		 struct filemap_error *error);

int sim_read_on(struct filemap_log_reader *reader, struct sim_records *records);

/* Violations: counted, the first one is kept. */
extern unsigned sim_violations;
extern char sim_first_violation[600];
extern char sim_where[200]; /* the crash being checked */
void sim_violation(const char *format, ...) __attribute__((format(printf, 1, 2)));
void sim_violations_reset(void);

#endif
