/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Removal against processes that keep moving foreign files onto the name, on tmpfs: no file is
 * lost, none is hidden unless an error says where, and each result is true. The plain way, in the same
 * race, loses files.
 */
#include "race_cases.h"

static int safely(void *context)
{
	const struct t_dir *dir = context;

	if (race_mount_tmpfs(t_path(dir, "memory"), "size=600m,nr_inodes=200k") < 0)
		return RACE_SKIPPED;
	return race_safely(t_path(dir, "memory"));
}

static int plainly(void *context)
{
	const struct t_dir *dir = context;

	if (race_mount_tmpfs(t_path(dir, "memory"), "size=600m,nr_inodes=200k") < 0)
		return RACE_SKIPPED;
	return race_plainly(t_path(dir, "memory"));
}

static void no_file_is_lost_in_a_race_on_tmpfs(void **state)
{
	race_in_child(state, safely, "mounting in a private namespace is not permitted");
}

static void plain_removal_loses_files_in_a_race_on_tmpfs(void **state)
{
	race_in_child(state, plainly, "mounting in a private namespace is not permitted");
}

T_MAIN(T_TEST(no_file_is_lost_in_a_race_on_tmpfs), T_TEST(plain_removal_loses_files_in_a_race_on_tmpfs))
