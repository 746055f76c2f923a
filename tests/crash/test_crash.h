/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the crash tests share: seeds, plays and explores; the first violation ends it. */
#ifndef TEST_CRASH_H
#define TEST_CRASH_H

#include "sim.h"
#include "t.h"

struct crash_case {
	struct sim_plan plan;
	struct sim_explore explore;
	uint64_t seeds; /* usual number; $FILEMAP_SIM_SEEDS percent of them run */
};

/* Recoveries that were made; stops at the first violation. */
static inline unsigned crash_run(const struct crash_case *c, const char *parent)
{
	unsigned recoveries = 0;

	sim_violations_reset();
	for (uint64_t seed = 0; seed < sim_seeds(c->seeds) && sim_violations == 0; seed++) {
		struct sim_plan plan = c->plan;
		struct sim_explore explore = c->explore;
		struct sim_run run;

		plan.seed = explore.seed = c->plan.seed + seed;
		if (plan.fail_flush > 0)
			plan.fail_flush = 1 + (long)((plan.seed * 7) % (uint64_t)c->plan.fail_flush);
		sim_play(&run, &plan, parent);
		if (sim_violations == 0)
			recoveries += sim_explore(&run, &explore, parent);
		sim_run_free(&run);
	}
	return recoveries;
}

static inline void crash_finds_nothing(const struct crash_case *c, const char *parent)
{
	unsigned before = sim_world.failures, recoveries = crash_run(c, parent);

	if (sim_violations > 0)
		fail_msg("%s", sim_first_violation);
	assert_true(recoveries > 0);
	if (c->plan.fail_flush > 0)
		assert_true(sim_world.failures - before > sim_seeds(c->seeds) / 2);
	print_message("simulator: %u recoveries\n", recoveries);
}

#endif
