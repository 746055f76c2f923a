/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The ring is bounded by the log's max_lag: it never holds more than the records between tail and durable. */
#include "acks.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_SIZE ((size_t)4096)

static int grow(struct cli_acks *acks)
{
	const size_t size = acks->size ? acks->size * 2 : FIRST_SIZE;
	uint64_t *grown = malloc(size * sizeof *grown);

	if (!grown)
		return -ENOMEM;
	for (size_t i = 0; i < acks->count; i++)
		grown[i] = acks->positions[(acks->head + i) & (acks->size - 1)];
	free(acks->positions);
	acks->positions = grown;
	acks->size = size;
	acks->head = 0;
	return 0;
}

int cli_acks_push(struct cli_acks *acks, uint64_t lsn)
{
	if (acks->count == acks->size) {
		int r = grow(acks);
		if (r < 0)
			return r;
	}
	acks->positions[(acks->head + acks->count) & (acks->size - 1)] = lsn;
	acks->count++;
	return 0;
}

void cli_acks_advance(struct cli_acks *acks, uint64_t durable)
{
	while (acks->count != 0 && acks->positions[acks->head] < durable) {
		acks->head = (acks->head + 1) & (acks->size - 1);
		acks->count--;
		acks->durable_records++;
	}
}

void cli_acks_done(struct cli_acks *acks)
{
	free(acks->positions);
}
