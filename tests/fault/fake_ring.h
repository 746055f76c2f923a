/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A kernel that takes its time: what a queue asks of a ring, or of a call on a thread, is begun late, answered
 * out of order, with errors, given back undone, or never answered any more, as a seeded scheduler decides.
 *
 * Everything that was asked is kept with the moments at which it was pushed, begun and ended; queue_model.h
 * decides with them which result each request may have. Moments count up with every event.
 *
 * The program is linked with -Wl,--wrap of each fm__ring_* and of the calls of sys.h that requests consist of.
 */
#ifndef T_FAKE_RING_H
#define T_FAKE_RING_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sys/call.h"
#include "sys/ring.h"

#define FAKE_ENTRIES 4096
#define FAKE_PAGES 64 /* of a file: one bit each */
#define FAKE_NO_FILE (-1)

/* How likely each is: once in so many times; 0 = never. */
struct fake_plan {
	uint64_t seed;
	unsigned failing;     /* answers: -EIO and the like */
	unsigned undone;      /* -ECANCELED, -EAGAIN, -EINTR: never begun; by rings only */
	unsigned unknown;     /* -EINVAL of what old kernels have not; by rings only */
	unsigned full;        /* no free entry */
	unsigned short_taken; /* a submission takes some, and answers -EAGAIN or -EBUSY */
	unsigned interrupted; /* waits answer -EINTR */
	unsigned late;        /* a wake that is due is not told yet */
	uint64_t refuse_at;   /* from this moment on submissions, or waits, are refused for good */
	bool refuse_wait;
	int refuse_error;
	unsigned workers; /* so many entries may be with the ring */
};

struct fake_entry {
	enum fm__call_kind kind;
	int file;       /* of fake_file_add() */
	uint64_t pages; /* the bits of the range; a whole file: all */
	int fd;
	uint64_t offset, length;
	void *at;
	int advice;
	uint64_t user_data;
	uint64_t pushed, taken, begun, ended; /* moments; 0 = not so far */
	uint64_t reaped;
	int result;
	bool undone;     /* ended without having begun */
	bool by_thread;  /* a call, not an entry of the ring */
	bool is_lost;    /* the ring was refused while the kernel had it: its outcome is unknown */
	bool maybe_lost; /* so it may seem from outside */
};

void fake_start(const struct fake_plan *plan); /* forgets everything */
uint64_t fake_now(void);                       /* a new moment */
unsigned fake_random(unsigned below);
void fake_advance(void); /* a kernel goes on while nobody looks; returns with nothing taken unanswered */
unsigned fake_unanswered(void);
const char *fake_violation(void); /* what the queue did wrong so far; NULL = nothing */
void fake_violated(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Calls of this thread pass untouched, unless it is a ring's. */
void fake_quiet(bool on);

/* Files of which there may be entries. */
int fake_file_add(int fd, bool is_memory);
void fake_file_place(int file, void *base, size_t length); /* where it is mapped */
void fake_next_is_memory(bool on); /* what is being opened lies on a file system without a device */

/* The log; looked at when nothing is at work. */
unsigned fake_count(void);
int fake_refused(void);                            /* the errno of the refusal, if there was one */
const struct fake_entry *fake_entry(unsigned nth); /* in the order they were pushed */
const struct fake_entry *fake_ended(unsigned nth); /* in the order they ended; NULL behind the last */
uint64_t fake_page_bits(uint64_t offset, uint64_t length);

#endif
