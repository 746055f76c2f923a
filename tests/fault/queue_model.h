/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What a queue may answer: a book of the tickets of one queue, held against the log of the fake kernel.
 *
 * Nothing is predicted while the queue runs but what queue.h says of each call at once. At the end every ticket
 * must be justified by what the kernel answered, and every entry by the tickets it was made for.
 */
#ifndef T_QUEUE_MODEL_H
#define T_QUEUE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define MODEL_TICKETS 512

enum model_kind {
	MODEL_FLUSH,
	MODEL_COMMIT,
	MODEL_SYNC,
	MODEL_WRITEBACK,
	MODEL_PREFAULT,
	MODEL_RESIZE,
	MODEL_REMOVE,
	MODEL_SYNC_DIR,
	MODEL_BARRIER
};

struct model_ticket {
	enum model_kind kind;
	int file;        /* of the fake kernel */
	bool has_device; /* else there is nothing to wait for */
	uint64_t pages, header_pages;
	uint64_t after; /* 0: nothing */
	bool has_callback;
	uint64_t queued, submitted, ended, cancelled; /* moments; 0 = not so far */
	int result;

	/* The verdict's: */
	uint64_t from;     /* it cannot have begun before */
	uint64_t finished; /* nor have finished before */
};

void model_start(void);
struct model_ticket *model_add(uint64_t number); /* the next number, or it is a violation */
struct model_ticket *model_ticket(uint64_t number);
uint64_t model_last(void);
unsigned model_open(void);  /* tickets that have not ended */
void model_submitted(void); /* a call begins that submits all */
void model_ended(uint64_t number, int result);

/* All is over: violations go to the fake kernel's. */
void model_verify(void);
void model_print(void); /* the book and the log */

#endif
