/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Removal against processes that keep moving foreign files onto the name, on an ext4 of its own: no file is
 * lost, none is hidden unless an error says where, and each result is true. The plain way, in the same
 * race, loses files.
 */
#include "race_cases.h"

static int safely(void *context)
{
	const struct t_dir *dir = context;

	if (race_mount_ext4(dir) < 0)
		return RACE_SKIPPED;
	return race_safely(t_path(dir, "memory/mounted"));
}

static int plainly(void *context)
{
	const struct t_dir *dir = context;

	if (race_mount_ext4(dir) < 0)
		return RACE_SKIPPED;
	return race_plainly(t_path(dir, "memory/mounted"));
}

static void no_file_is_lost_in_a_race_on_ext4(void **state)
{
	race_in_child(state, safely, "no mkfs.ext4, or no loop mounts here");
}

static void plain_removal_loses_files_in_a_race_on_ext4(void **state)
{
	race_in_child(state, plainly, "no mkfs.ext4, or no loop mounts here");
}

T_MAIN(T_TEST(no_file_is_lost_in_a_race_on_ext4), T_TEST(plain_removal_loses_files_in_a_race_on_ext4))
