/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Chance, seeds and arrays for the simulators. Invariant: the same seed gives the same numbers everywhere. */
#include "chance.h"

#include <stdlib.h>
#include <unistd.h>

uint64_t sim_next(struct sim_rng *rng)
{
	uint64_t z = (rng->s += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

uint64_t sim_below(struct sim_rng *rng, uint64_t bound)
{
	return bound == 0 ? 0 : sim_next(rng) % bound;
}

bool sim_chance(struct sim_rng *rng, unsigned percent)
{
	return sim_below(rng, 100) < percent;
}

uint64_t sim_seeds(uint64_t usual)
{
	const char *percent = getenv("FILEMAP_SIM_SEEDS");
	uint64_t seeds = percent == NULL ? usual : usual * strtoull(percent, NULL, 10) / 100;

	return seeds == 0 ? 1 : seeds;
}

void *sim_grow(void *array, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return array;
	*room = *room == 0 ? 8 : *room * 2;
	array = realloc(array, *room * size);
	if (array == NULL)
		abort();
	return array;
}

/* Memory is the fastest disk to play with. */
__attribute__((constructor)) static void choose_directory(void)
{
	if (access("/dev/shm", W_OK | X_OK) == 0)
		setenv("FILEMAP_TEST_DIR", "/dev/shm", 0);
}
