/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Power cuts under a mapping and its queue.
 *
 * A program stores into one mapping and asks a real queue for flushes and commits. Recorded, in order: each
 * store, when a flush of the device begins and returns (at the seam below the queue: a call of a thread, or an
 * entry of the ring), and what the program was told. Replaying the first k events gives the state at a power
 * cut: each sector has one of the versions stored since the last flush that covers it. Of each such state the
 * checker asks whether what the queue has said is true.
 *
 *   queue_record   the events of the run that is on; what the device does, also wrongly
 *   queue_device   the model: sectors and their versions
 *   queue_play     a random program
 *   queue_check    every event, every kind of cut, against the promises
 */
#ifndef QUEUE_SIM_H
#define QUEUE_SIM_H

#include <filemap/queue.h>

#include "chance.h"

#define QUEUE_SECTOR 512u
#define QUEUE_PAGE 4096u
#define QUEUE_PAGES 32u
#define QUEUE_BYTES (QUEUE_PAGES * QUEUE_PAGE)
#define QUEUE_SECTORS (QUEUE_BYTES / QUEUE_SECTOR)
#define QUEUE_TICKETS 400u

/* ---- two databases in the file: a header each, and slots that the versions of the data take in turn ---- */

#define QUEUE_BASES 2u
#define QUEUE_SLOTS 4u
#define QUEUE_SLOT_BYTES (2 * QUEUE_PAGE)
#define QUEUE_FREE_AT ((2 + QUEUE_BASES * QUEUE_SLOTS * 2) * QUEUE_PAGE) /* from here on anything is stored */

struct queue_header {
	char magic[4];
	uint32_t base, version, length;
	uint64_t data_at, check[3];
};

uint64_t queue_header_at(uint32_t base); /* within one sector */
void queue_header_make(uint32_t base, uint32_t version, struct queue_header *ret);
void queue_payload(uint32_t base, uint32_t version, uint8_t *to, size_t length);

/* ---- events ---- */

enum queue_kind {
	QUEUE_STORE,     /* offset, length, bytes */
	QUEUE_BEGUN,     /* offset, length: a flush of the device */
	QUEUE_FLUSHED,   /* offset, length, begin: the events before `begin` are covered */
	QUEUE_LOST,      /* the same range: became clean and is not on the device */
	QUEUE_SUBMITTED, /* ticket: all up to this one */
	QUEUE_ENDED,     /* ticket: the program was told its result */
};

struct queue_event {
	enum queue_kind kind;
	uint64_t offset, length, begin;
	uint64_t ticket;
	uint8_t *bytes;
};

enum queue_request { QUEUE_FLUSH, QUEUE_COMMIT, QUEUE_BARRIER, QUEUE_HINT }; /* HINT promises nothing */

struct queue_ticket {
	enum queue_request kind;
	uint64_t offset, length;       /* of what it makes durable; of a commit, the data */
	uint64_t after;                /* ticket, or 0 */
	uint64_t barrier;              /* ticket of the last one before it, or 0 */
	uint64_t submitted;            /* number of the event, or 0 */
	uint32_t base, version;        /* of a commit */
	bool ended, called, cancelled; /* called: it has a callback */
	int result;
};

struct queue_run {
	struct queue_event *events; /* numbered from 1 */
	size_t count, room;
	struct queue_ticket tickets[QUEUE_TICKETS + 1]; /* by number, from 1 */
	uint64_t last;                                  /* ticket */
	uint64_t submitted;                             /* all up to this ticket */
	uint64_t most_at_work, merged; /* flushes of the device at once; of them, for more than one ticket */
	bool failed;                   /* a flush was made to fail */
};

/* ---- the recorder ---- */

/* What the library, or the device, is made to do wrong. */
enum queue_bug {
	QUEUE_NO_BUG,
	QUEUE_HEADER_EARLY,     /* stored when the flush of its data begins */
	QUEUE_SHORT,            /* one page less is flushed */
	QUEUE_EARLY_END,        /* reported before it has returned */
	QUEUE_LEADER_ONLY,      /* of merged ranges only the first ticket's is flushed */
	QUEUE_JOINS_AT_WORK,    /* a flush is answered by one that began before it */
	QUEUE_HEADER_UNFLUSHED, /* a commit ends without its second flush */
	QUEUE_ERROR_UNTOLD,     /* a flush that returned 0 beside one that failed ends with 0 */
	QUEUE_BUGS
};

struct queue_world {
	struct queue_run *run; /* NULL: nothing is recorded */
	unsigned char *bytes;  /* of the mapping */
	uint64_t inode;
	enum queue_bug bug;
	unsigned fail;    /* > 0: the so-manieth flush of the device from now on fails */
	unsigned step;    /* of the program */
	bool waiting;     /* the program cannot go on: what is held back returns */
	uint64_t program; /* its thread */
	struct sim_rng rng;
};
extern struct queue_world queue_world;

struct queue_flushing {
	uint64_t offset, length, begin;
	unsigned until; /* the step of the program at which it may return */
	bool used, in_ring;
	bool lost;          /* it could not write */
	bool told;          /* of an error, its own or another one's */
	uint64_t user_data; /* in the ring */
};

void queue_record_begin(struct queue_run *run, struct filemap *map, uint64_t seed);
void queue_record_end(void); /* dies if something was stored past the recorder */
void queue_run_free(struct queue_run *run);

/* Of the program. */
void queue_store(uint64_t offset, const void *bytes, size_t length);
struct queue_ticket *queue_asked(uint64_t ticket, struct queue_ticket is);
void queue_submitted(void);
void queue_ended(uint64_t ticket, int result);
void queue_stepped(void);
bool queue_has_failed(void); /* a flush of the run */
void queue_wait_begins(void);
void queue_wait_ends(void);

/* Of the seam. `is_ours`: the file of the run, while one is on. */
bool queue_is_ours(int fd);
struct queue_flushing *queue_flush_begins(uint64_t offset, uint64_t length);
void queue_flush_pause(const struct queue_flushing *flushing); /* until it may return */
bool queue_flush_is_ripe(const struct queue_flushing *flushing);
int queue_flush_ends(struct queue_flushing *flushing); /* 0 or -EIO */
struct queue_flushing *queue_flush_find(uint64_t user_data);
bool queue_is_on(void);       /* a run is */
bool queue_must_return(void); /* this thread waits and will not come back before something has returned */
uint64_t queue_random(uint64_t bound);
void queue_record_store(uint64_t offset, const void *bytes, size_t length);

/* ---- the device ---- */

struct queue_version {
	uint64_t seq;
	uint32_t from, to; /* of the sector: what was stored */
	uint8_t bytes[QUEUE_SECTOR];
};

struct queue_sector {
	struct queue_version *list; /* all that there were; the first is zeros */
	size_t count, room, floor;  /* floor: the oldest that a cut can leave */
	bool lost;
	uint64_t need, need_ticket; /* promised: nothing older than this event's */
};

struct queue_device {
	struct queue_sector sectors[QUEUE_SECTORS];
};

enum queue_cut {
	QUEUE_OLD,
	QUEUE_NEW,
	QUEUE_RANDOM,
	QUEUE_ONE_KEPT,
	QUEUE_ONE_LOST,
	QUEUE_HEADERS,
	QUEUE_CUTS
};

void queue_device_init(struct queue_device *device);
void queue_device_free(struct queue_device *device);
void queue_device_apply(struct queue_device *device, const struct queue_event *event, uint64_t seq);
/* Which version of each sector is left. */
void queue_device_cut(const struct queue_device *device, enum queue_cut cut, struct sim_rng *rng,
		      uint32_t left[QUEUE_SECTORS]);
void queue_device_read(const struct queue_device *device, const uint32_t left[QUEUE_SECTORS], uint64_t offset,
		       void *to, size_t length);
/* From now on what was stored to the range up to the event `seq` must be left. */
void queue_device_promise(struct queue_device *device, uint64_t offset, uint64_t length, uint64_t seq,
			  uint64_t ticket);

/* ---- programs ---- */

struct queue_shape {
	uint32_t backend, flags;
	const char *name;
};

struct queue_plan {
	uint64_t seed;
	unsigned steps;
	unsigned fail; /* one of the first so many flushes fails; 0 = none */
};

int queue_usable(const struct queue_shape *shape); /* 0 or why not */
void queue_play(struct queue_run *run, const struct queue_shape *shape, const struct queue_plan *plan,
		const char *parent);

/* ---- checks ---- */

struct queue_counts {
	uint64_t cuts;
	uint64_t lost; /* cuts that lost something that was stored */
	uint64_t lost_in_flight,
		kept_in_flight;            /* of submitted and unfinished flushes: something or nothing */
	uint64_t old_headers, new_headers; /* while a commit was in flight */
	uint64_t promises;                 /* tickets */
	uint64_t merged, most_at_work, failed;
};
extern struct queue_counts queue_counts;

void queue_check(const struct queue_run *run, uint64_t seed);

/* Violations: counted, the first one is kept. */
extern unsigned queue_violations;
extern char queue_first_violation[400];
void queue_violation(const char *format, ...) __attribute__((format(printf, 1, 2)));
void queue_violations_reset(void);

#endif
