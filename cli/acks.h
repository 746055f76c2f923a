/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Which of the appended records are durable: their positions in a queue, oldest first. */
#ifndef CLI_ACKS_H
#define CLI_ACKS_H

#include <stddef.h>
#include <stdint.h>

struct cli_acks {
	uint64_t *positions; /* a ring of `size` (a power of two) */
	size_t size, head, count;
	uint64_t durable_records; /* popped so far */
};

int cli_acks_push(struct cli_acks *acks, uint64_t lsn);         /* 0 or -ENOMEM */
void cli_acks_advance(struct cli_acks *acks, uint64_t durable); /* pops everything below */
void cli_acks_done(struct cli_acks *acks);

#endif
