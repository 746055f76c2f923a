/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Power cuts at any moment of the life of a log, also while it recovers from one. */
#include "test_crash.h"

#define POWER (1u << SIM_POWER)
#define DAMAGE (1u << SIM_META_DAMAGE)

static void log_after_power_cut_keeps_what_was_durable(void **state)
{
	const struct t_dir *dir = *state;
	const struct crash_case c = {
		.plan = {.seed = 1000,
			 .appends = 14,
			 .sessions = 2,
			 .big_percent = 15,
			 .wait_percent = 40,
			 .finish = true},
		.explore = {.points = 14, .crashes = POWER},
		.seeds = 40,
	};
	crash_finds_nothing(&c, dir->path);
}

static void log_after_power_cuts_in_recovery_keeps_what_was_durable(void **state)
{
	const struct t_dir *dir = *state;
	const struct crash_case c = {
		.plan = {.seed = 2000,
			 .appends = 10,
			 .sessions = 2,
			 .big_percent = 15,
			 .wait_percent = 40,
			 .finish = true},
		.explore = {.points = 5, .nested = 2, .nested_points = 4, .crashes = POWER},
		.seeds = 12,
	};
	crash_finds_nothing(&c, dir->path);
}

static void log_after_power_cut_in_creation_can_be_created(void **state)
{
	const struct t_dir *dir = *state;
	const struct crash_case c = {
		.plan = {.seed = 3000, .appends = 0, .sessions = 1},
		.explore = {.points = 30, .nested = 1, .nested_points = 3, .crashes = POWER},
		.seeds = 3,
	};
	crash_finds_nothing(&c, dir->path);
}

static void log_with_several_producers_keeps_what_was_durable(void **state)
{
	const struct t_dir *dir = *state;
	const struct crash_case c = {
		.plan = {.seed = 4000,
			 .appends = 7,
			 .sessions = 2,
			 .threads = 3,
			 .big_percent = 12,
			 .wait_percent = 50},
		.explore = {.points = 12, .crashes = POWER | 1u << SIM_KILL},
		.seeds = 25,
	};
	crash_finds_nothing(&c, dir->path);
}

static void log_behind_a_queue_keeps_what_was_durable(void **state)
{
	const struct t_dir *dir = *state;
	const struct crash_case c = {
		.plan = {.seed = 5000,
			 .appends = 16,
			 .sessions = 2,
			 .big_percent = 15,
			 .wait_percent = 30,
			 .queue = true,
			 .finish = true},
		.explore = {.points = 12, .crashes = POWER},
		.seeds = 25,
	};
	crash_finds_nothing(&c, dir->path);
}

static void log_with_one_damaged_slot_of_meta_keeps_what_was_durable(void **state)
{
	const struct t_dir *dir = *state;
	const struct crash_case c = {
		.plan = {.seed = 6000,
			 .appends = 10,
			 .sessions = 2,
			 .big_percent = 25,
			 .wait_percent = 50,
			 .finish = true},
		.explore = {.points = 12, .nested = 1, .nested_points = 2, .crashes = DAMAGE},
		.seeds = 12,
	};
	crash_finds_nothing(&c, dir->path);
}

static void log_with_a_damaged_record_is_never_continued(void **state)
{
	const struct t_dir *dir = *state;
	const struct crash_case c = {
		.plan = {.seed = 7000, .appends = 8, .sessions = 2, .wait_percent = 60},
		.explore = {.points = 6, .crashes = 1u << SIM_RECORD_DAMAGE},
		.seeds = 25,
	};
	crash_finds_nothing(&c, dir->path);
}

T_MAIN(T_TEST(log_with_a_damaged_record_is_never_continued),
       T_TEST(log_after_power_cut_keeps_what_was_durable),
       T_TEST(log_after_power_cuts_in_recovery_keeps_what_was_durable),
       T_TEST(log_after_power_cut_in_creation_can_be_created),
       T_TEST(log_with_several_producers_keeps_what_was_durable),
       T_TEST(log_behind_a_queue_keeps_what_was_durable),
       T_TEST(log_with_one_damaged_slot_of_meta_keeps_what_was_durable))
