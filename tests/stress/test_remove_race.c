/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Removal against processes that keep moving foreign files onto the name, in the test directory: no file is
 * lost, none is hidden unless an error says where, and each result is true. The plain way, in the same
 * race, loses files.
 */
#include "race_cases.h"

static int safely(void *context)
{
	const struct t_dir *dir = context;

	if (!race_is_possible(dir->path))
		return RACE_SKIPPED;
	return race_safely(dir->path);
}

static int plainly(void *context)
{
	const struct t_dir *dir = context;

	if (!race_is_possible(dir->path))
		return RACE_SKIPPED;
	return race_plainly(dir->path);
}

static void no_file_is_lost_in_a_race_on_the_test_directory(void **state)
{
	race_in_child(state, safely, "names cannot be exchanged on this file system");
}

static void plain_removal_loses_files_in_a_race_on_the_test_directory(void **state)
{
	race_in_child(state, plainly, "names cannot be exchanged on this file system");
}

T_MAIN(T_TEST(no_file_is_lost_in_a_race_on_the_test_directory),
       T_TEST(plain_removal_loses_files_in_a_race_on_the_test_directory))
