/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Would the simulator notice? Each case plays one bug that an append log may have, and asks for a violation. */
#include "test_crash.h"

#define POWER (1u << SIM_POWER)
#define KILL (1u << SIM_KILL)
#define EVICT (1u << SIM_EVICT)
#define DAMAGE (1u << SIM_META_DAMAGE)

/* The violation must contain `text`; others are passed over. */
static bool caught(unsigned bugs, const struct crash_case *c, const char *text, const char *parent)
{
	bool found = false;

	for (uint64_t seed = 0; seed < c->seeds && !found; seed++) {
		struct crash_case one = *c;

		one.plan.seed += seed;
		one.seeds = 1;
		sim_world.bugs = bugs;
		(void)crash_run(&one, parent);
		sim_world.bugs = 0;
		found = sim_violations > 0 && strstr(sim_first_violation, text) != NULL;
	}
	if (found)
		print_message("caught: %s\n", sim_first_violation);
	return found;
}

static const struct crash_case usual = {
	.plan = {.seed = 20000,
		 .appends = 12,
		 .sessions = 2,
		 .big_percent = 15,
		 .wait_percent = 50,
		 .finish = true},
	.explore = {.points = 20, .crashes = POWER},
	.seeds = 40,
};

static const struct crash_case nested = {
	.plan = {.seed = 21000, .appends = 10, .sessions = 2, .big_percent = 10, .wait_percent = 40},
	.explore = {.points = 6, .nested = 1, .nested_points = 8, .crashes = POWER},
	.seeds = 40,
};

static const struct crash_case retrying = {
	.plan = {.seed = 22500,
		 .appends = 14,
		 .sessions = 2,
		 .big_percent = 15,
		 .wait_percent = 80,
		 .fail_flush = 30},
	.explore = {.points = 25, .crashes = POWER},
	.seeds = 60,
};

static const struct crash_case failing = {
	.plan = {.seed = 22000,
		 .appends = 12,
		 .sessions = 2,
		 .big_percent = 25,
		 .wait_percent = 30,
		 .fail_flush = 30},
	.explore = {.points = 8, .nested = 1, .nested_points = 8, .crashes = POWER | KILL},
	.seeds = 60,
};

static const struct crash_case damaged = {
	.plan = {.seed = 26000, .appends = 8, .sessions = 2, .wait_percent = 60},
	.explore = {.points = 6, .crashes = 1u << SIM_RECORD_DAMAGE},
	.seeds = 20,
};

struct bug {
	unsigned bugs;
	const struct crash_case *how;
	const char *text;
	const char *parent;
};

static int in_child(void *context)
{
	const struct bug *bug = context;

	return caught(bug->bugs, bug->how, bug->text, bug->parent) ? 42 : 0;
}

/* In a process of its own: a log with a bug may die of it. That proves nothing: the violation has to be seen. */
static int try_bug(unsigned bugs, const struct crash_case *how, const char *text, const char *parent)
{
	struct bug bug = {.bugs = bugs, .how = how, .text = text, .parent = parent};
	int status;

	fflush(NULL);
	status = t_in_child(in_child, &bug);
	if (status < 0)
		print_message("the process died of signal %d\n", -status);
	return status;
}

static void assert_caught(unsigned bugs, const struct crash_case *how, const char *text, const char *parent)
{
	assert_int_equal(try_bug(bugs, how, text, parent), 42);
}

#define BUG_CASE(name, bugs, how, text)                       \
	static void name(void **state)                        \
	{                                                     \
		const struct t_dir *dir = *state;             \
		assert_caught(bugs, &(how), text, dir->path); \
	}

BUG_CASE(acknowledging_before_completion_is_caught, SIM_BUG_ACK_BEFORE_FLUSH, usual, "is lost")
BUG_CASE(reading_the_position_after_submitting_is_caught, SIM_BUG_POSITION_AFTER, usual, "is lost")
BUG_CASE(flushing_a_page_too_few_is_caught, SIM_BUG_LENGTH, usual, "is lost")
BUG_CASE(durable_out_of_order_is_caught, SIM_BUG_OUT_OF_ORDER, usual, "")
BUG_CASE(rename_without_directory_sync_is_caught, SIM_BUG_NO_DIR_SYNC, usual, "")
BUG_CASE(segment_named_before_its_flush_is_caught, SIM_BUG_HEADER_NOT_SYNCED, usual, "")
BUG_CASE(saturating_back_is_caught, SIM_BUG_SATURATING_BACK, usual, "CORRUPT")
BUG_CASE(promise_from_published_is_caught, SIM_BUG_PROMISE_PUBLISHED, usual, "CORRUPT")
BUG_CASE(checksum_without_payload_is_caught, SIM_BUG_HEADER_CHECKSUM, usual, "torn")
BUG_CASE(pad_that_is_not_flushed_is_caught, SIM_BUG_PAD_NOT_FLUSHED, nested, "")
BUG_CASE(stopping_at_the_first_zero_is_caught, SIM_BUG_NO_LOOK_AHEAD, damaged, "is taken for the end")
BUG_CASE(trusting_ctl_after_a_reboot_is_caught, SIM_BUG_TRUST_CTL, nested, "during recovery")
BUG_CASE(retry_of_a_failed_flush_is_caught, SIM_BUG_RETRY_FLUSH, retrying, "is lost")
BUG_CASE(recovery_without_dirtying_again_is_caught, SIM_BUG_NO_REDIRTY, failing, "")

static void seal_before_durable_is_caught(void **state)
{
	const struct t_dir *dir = *state;
	const struct crash_case c = {
		.plan = {.seed = 23000, .appends = 14, .sessions = 1, .big_percent = 50, .wait_percent = 20},
		.explore = {.points = 20, .crashes = POWER},
		.seeds = 40,
	};
	assert_caught(SIM_BUG_SEAL_EARLY, &c, "CORRUPT", dir->path);
}

static void meta_written_once_where_twice_is_due_is_caught(void **state)
{
	const struct t_dir *dir = *state;
	const struct crash_case c = {
		.plan = {.seed = 24000, .appends = 12, .sessions = 2, .big_percent = 30, .wait_percent = 60},
		.explore = {.points = 20, .crashes = DAMAGE},
		.seeds = 40,
	};
	assert_caught(SIM_BUG_META_ONCE, &c, "", dir->path);
}

/* Takes a PAD of which only the commit word is there, at the very beginning where no epoch can contradict it. */
static void checksum_of_payload_only_is_caught(void **state)
{
	const struct t_dir *dir = *state;
	const struct crash_case c = {
		.plan = {.seed = 21500, .appends = 2, .sessions = 1},
		.explore = {.points = 10,
			    .nested = 1,
			    .nested_points = 20,
			    .crashes = POWER,
			    .random_only = true},
		.seeds = 100,
	};
	sim_world.tear = true;
	assert_caught(SIM_BUG_PAYLOAD_CHECKSUM, &c, "", dir->path);
	sim_world.tear = false;
}

/* Takes a meta that fell back to an older epoch: one segment, so that nothing else is amiss with that. */
static void epoch_from_meta_only_is_caught(void **state)
{
	const struct t_dir *dir = *state;
	const struct crash_case c = {
		.plan = {.seed = 25000, .appends = 6, .sessions = 2, .wait_percent = 50},
		.explore = {.points = 10, .nested = 1, .nested_points = 6, .crashes = DAMAGE | POWER},
		.seeds = 60,
	};
	assert_caught(SIM_BUG_META_ONCE | SIM_BUG_EPOCH_META, &c, "begun again", dir->path);
	assert_int_equal(try_bug(SIM_BUG_META_ONCE, &c, "begun again", dir->path), 0);
}

T_MAIN(T_TEST(acknowledging_before_completion_is_caught),
       T_TEST(reading_the_position_after_submitting_is_caught), T_TEST(flushing_a_page_too_few_is_caught),
       T_TEST(durable_out_of_order_is_caught), T_TEST(rename_without_directory_sync_is_caught),
       T_TEST(segment_named_before_its_flush_is_caught), T_TEST(saturating_back_is_caught),
       T_TEST(promise_from_published_is_caught), T_TEST(checksum_of_payload_only_is_caught),
       T_TEST(checksum_without_payload_is_caught), T_TEST(pad_that_is_not_flushed_is_caught),
       T_TEST(stopping_at_the_first_zero_is_caught), T_TEST(trusting_ctl_after_a_reboot_is_caught),
       T_TEST(retry_of_a_failed_flush_is_caught), T_TEST(recovery_without_dirtying_again_is_caught),
       T_TEST(seal_before_durable_is_caught), T_TEST(meta_written_once_where_twice_is_due_is_caught),
       T_TEST(epoch_from_meta_only_is_caught))
