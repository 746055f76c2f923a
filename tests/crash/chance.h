/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What all simulators share: chance that follows from a seed, how many seeds, arrays that grow. */
#ifndef CHANCE_H
#define CHANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_rng {
	uint64_t s;
};
uint64_t sim_next(struct sim_rng *rng);
uint64_t sim_below(struct sim_rng *rng, uint64_t bound); /* 0 .. bound-1; bound 0 gives 0 */
bool sim_chance(struct sim_rng *rng, unsigned percent);

uint64_t sim_seeds(uint64_t usual); /* $FILEMAP_SIM_SEEDS percent of it */

/* Make room for one more element; dies without memory. */
void *sim_grow(void *array, size_t count, size_t *room, size_t size);

#endif
