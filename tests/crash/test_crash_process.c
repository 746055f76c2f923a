/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The death of the process, and write-back that fails: afterwards pages are clean and not on the device, and
 * no later flush says so.
 */
#include "test_crash.h"

#define POWER (1u << SIM_POWER)
#define KILL (1u << SIM_KILL)
#define EVICT (1u << SIM_EVICT)

static void log_of_killed_process_keeps_what_was_published(void **state)
{
	const struct t_dir *dir = *state;
	const struct crash_case c = {
		.plan = {.seed = 10000,
			 .appends = 14,
			 .sessions = 2,
			 .big_percent = 15,
			 .wait_percent = 20,
			 .finish = true},
		.explore = {.points = 14, .crashes = KILL},
		.seeds = 30,
	};
	crash_finds_nothing(&c, dir->path);
}

static void log_killed_and_then_without_power_keeps_what_was_durable(void **state)
{
	const struct t_dir *dir = *state;
	const struct crash_case c = {
		.plan = {.seed = 11000, .appends = 12, .sessions = 2, .big_percent = 15, .wait_percent = 30},
		.explore = {.points = 5, .nested = 2, .nested_points = 4, .crashes = KILL | POWER},
		.seeds = 10,
	};
	crash_finds_nothing(&c, dir->path);
}

static void log_after_failed_flush_keeps_what_was_durable(void **state)
{
	const struct t_dir *dir = *state;
	const struct crash_case c = {
		.plan = {.seed = 12000,
			 .appends = 12,
			 .sessions = 2,
			 .big_percent = 15,
			 .wait_percent = 50,
			 .fail_flush = 40},
		.explore = {.points = 10, .nested = 1, .nested_points = 4, .crashes = POWER | KILL | EVICT},
		.seeds = 30,
	};
	crash_finds_nothing(&c, dir->path);
}

/* Few flushes, so that those of meta fail, too; then the recovery is cut at each of its steps. */
static void log_after_failed_flush_of_meta_can_be_recovered(void **state)
{
	const struct t_dir *dir = *state;
	const struct crash_case c = {
		.plan = {.seed = 14000,
			 .appends = 2,
			 .sessions = 2,
			 .wait_percent = 50,
			 .fail_flush = 20,
			 .finish = true},
		.explore = {.points = 6, .nested = 1, .nested_points = 30, .crashes = POWER | KILL},
		.seeds = 16,
	};
	crash_finds_nothing(&c, dir->path);
}

static void log_behind_a_queue_after_failed_flush_keeps_what_was_durable(void **state)
{
	const struct t_dir *dir = *state;
	const struct crash_case c = {
		.plan = {.seed = 13000,
			 .appends = 16,
			 .sessions = 2,
			 .big_percent = 15,
			 .wait_percent = 40,
			 .queue = true,
			 .fail_flush = 40},
		.explore = {.points = 10, .crashes = POWER | KILL | EVICT},
		.seeds = 20,
	};
	crash_finds_nothing(&c, dir->path);
}

T_MAIN(T_TEST(log_of_killed_process_keeps_what_was_published),
       T_TEST(log_killed_and_then_without_power_keeps_what_was_durable),
       T_TEST(log_after_failed_flush_keeps_what_was_durable),
       T_TEST(log_after_failed_flush_of_meta_can_be_recovered),
       T_TEST(log_behind_a_queue_after_failed_flush_keeps_what_was_durable))
