/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * RLIMIT_FSIZE with SIGXFSZ at its default action, which ends the process: whatever makes a file longer is -EFBIG,
 * no signal is sent or left pending, and what was there stays.
 */
#include "disk.h"

#include <sys/resource.h>

#define LIMIT 100000u
#define OLD 10000u
#define MUCH 1000000u

static struct filemap_error error;

static int limit_size(uint64_t size)
{
	const struct rlimit limit = {.rlim_cur = size, .rlim_max = RLIM_INFINITY};

	signal(SIGXFSZ, SIG_DFL);
	return setrlimit(RLIMIT_FSIZE, &limit);
}

static bool is_pending(void)
{
	sigset_t set;
	return sigpending(&set) < 0 || sigismember(&set, SIGXFSZ);
}

static int in_limited_child(void *context, int (*body)(const char *root))
{
	const struct t_dir *dir = context;

	NEED_OK(disk_write_file(at(dir->path, "old"), OLD));
	NEED_OK(limit_size(LIMIT));
	NEED_OK(body(dir->path));
	NEED(!is_pending());
	return 0;
}

static int open_old(const char *root, const struct filemap_options *options, struct filemap **ret)
{
	return filemap_open(at(root, "old"), FILEMAP_WRITE, options, ret, &error);
}

static int opening(const char *root)
{
	struct filemap *map;

	NEED(filemap_open(at(root, "new"), FILEMAP_WRITE,
			  FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = MUCH), &map, &error) == -EFBIG);
	NEED(filemap_open(at(root, "new"), FILEMAP_WRITE,
			  FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | FILEMAP_SPARSE, .size = MUCH), &map,
			  &error) == -EFBIG);
	NEED(t_file_size(at(root, "new")) == -1);
	NEED(open_old(root, FILEMAP_OPTIONS(.flags = FILEMAP_TRUNCATE, .size = MUCH), &map) == -EFBIG);
	NEED(open_old(root,
		      FILEMAP_OPTIONS(.flags = FILEMAP_TRUNCATE, .size = MUCH,
				      .sharing = FILEMAP_SHARING_COOPERATE),
		      &map) == -EFBIG);
	NEED(disk_holds(at(root, "old"), OLD, OLD));
	return 0;
}

static int grow_with(const char *root, const struct filemap_options *options)
{
	struct filemap *map;

	NEED_OK(open_old(root, options, &map));
	NEED(filemap_resize(map, MUCH, &error) == -EFBIG);
	NEED(filemap_size(map) == OLD && filemap_state(map) == FILEMAP_STATE_LIVE);
	NEED(options->sharing || disk_holds(at(root, "old"), OLD, OLD));
	NEED(filemap_close_truncated(map, MUCH, &error) == -EFBIG);
	NEED_OK(filemap_resize(map, LIMIT, &error));
	NEED(filemap_size(map) == LIMIT && disk_touch(map) == 0);
	NEED(filemap_resize(map, LIMIT + 1, &error) == -EFBIG && filemap_size(map) == LIMIT);
	NEED(options->sharing || filemap_close_truncated(map, OLD, &error) == 0);
	if (options->sharing)
		filemap_close(map);
	return 0;
}

static int growing(const char *root)
{
	NEED_OK(grow_with(root, FILEMAP_OPTIONS(.offset = 0)));
	NEED_OK(grow_with(root, FILEMAP_OPTIONS(.reserve = 2 * MUCH)));
	NEED_OK(grow_with(root, FILEMAP_OPTIONS(.flags = FILEMAP_SPARSE)));
	NEED_OK(grow_with(root, FILEMAP_OPTIONS(.sharing = FILEMAP_SHARING_COOPERATE)));
	return 0;
}

/* The limit that counts is that of the growth, not that of the opening. */
static int growing_after_a_change(const char *root)
{
	struct filemap *map;

	NEED_OK(limit_size(RLIM_INFINITY));
	NEED_OK(open_old(root, FILEMAP_OPTIONS(.reserve = 2 * MUCH), &map));
	NEED_OK(limit_size(LIMIT));
	NEED(filemap_resize(map, MUCH, &error) == -EFBIG);
	NEED(filemap_size(map) == OLD && disk_holds(at(root, "old"), OLD, OLD));
	NEED_OK(limit_size(RLIM_INFINITY));
	NEED_OK(filemap_resize(map, MUCH, &error));
	NEED(disk_touch(map) == 0);
	filemap_close(map);
	return 0;
}

static int slices(const char *root)
{
	struct filemap *map;
	size_t cursor = 0, taken = 0;
	void *slice;
	int r;

	NEED_OK(filemap_open(at(root, "slices"), FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE),
			     &map, &error));
	while ((r = filemap_alloc_slice(map, &cursor, 992, &slice, &error)) == 0)
		taken++;
	NEED(r == -EFBIG && taken == LIMIT / 1000);
	filemap_close(map);
	return 0;
}

static int new_files(const char *root)
{
	static const unsigned char zeros[MUCH];
	const struct filemap_bytes bytes = {zeros, MUCH};
	struct filemap *map;
	const int before = disk_entries(root);

	NEED_OK(filemap_wrap_bytes(NULL, zeros, MUCH, &map, &error));
	NEED(filemap_copy_to(map, 0, FILEMAP_TO_END, at(root, "new"), &error) == -EFBIG);
	NEED(filemap_publish(AT_FDCWD, at(root, "new"), filemap_fill_bytes, (void *)&bytes, NULL, &error) ==
	     -EFBIG);
	NEED(filemap_replace_file(AT_FDCWD, at(root, "old"), filemap_fill_bytes, (void *)&bytes, NULL,
				  &error) == -EFBIG);
	filemap_close(map);
	NEED(disk_entries(root) == before && disk_holds(at(root, "old"), OLD, OLD));
	return 0;
}

/* A log is not made; one that exists is not lost, and goes on when the limit is gone. */
static int logs(const char *root)
{
	const struct filemap_log_options *options =
		FILEMAP_LOG_OPTIONS(.flags = FILEMAP_LOG_CREATE, .segment_size = 1u << 20);
	static const char record[200000];
	struct filemap_log *log;
	int r = 0;

	NEED(filemap_log_open(at(root, "log"), options, &log, NULL, &error) == -EFBIG);
	NEED(t_file_size(at(root, "log")) == -1);
	NEED_OK(limit_size(RLIM_INFINITY));
	NEED_OK(filemap_log_open(at(root, "log"), options, &log, NULL, &error));
	NEED_OK(limit_size(LIMIT));
	for (int i = 0; i < 50 && r == 0; i++)
		r = filemap_log_append(log, record, sizeof record, NULL);
	NEED(r == -EFBIG);
	NEED_OK(filemap_log_finish(log, &error));
	filemap_log_close(log);
	NEED_OK(limit_size(RLIM_INFINITY));
	NEED_OK(filemap_log_open(at(root, "log"), options, &log, NULL, &error));
	for (int i = 0; i < 20; i++)
		NEED_OK(filemap_log_append(log, record, sizeof record, NULL));
	filemap_log_close(log);
	return 0;
}

#define LIMITED(name)                                   \
	static int limited_##name(void *context)        \
	{                                               \
		return in_limited_child(context, name); \
	}
LIMITED(opening)
LIMITED(growing)
LIMITED(slices)
LIMITED(new_files)
LIMITED(logs)

static void opening_above_the_limit_is_efbig_and_changes_nothing(void **state)
{
	assert_ok(t_in_child(limited_opening, *state));
}

static void growth_above_the_limit_is_efbig_and_changes_nothing(void **state)
{
	assert_ok(t_in_child(limited_growing, *state));
}

static int limited_growing_after_a_change(void *context)
{
	return in_limited_child(context, growing_after_a_change);
}

static void limit_that_is_set_after_opening_is_efbig_too(void **state)
{
	assert_ok(t_in_child(limited_growing_after_a_change, *state));
}

static void slices_above_the_limit_are_efbig_and_those_before_fill_it(void **state)
{
	assert_ok(t_in_child(limited_slices, *state));
}

static void new_files_above_the_limit_are_efbig_and_leave_nothing(void **state)
{
	assert_ok(t_in_child(limited_new_files, *state));
}

static void log_above_the_limit_is_efbig_and_goes_on_without_it(void **state)
{
	assert_ok(t_in_child(limited_logs, *state));
}

T_MAIN(T_TEST(opening_above_the_limit_is_efbig_and_changes_nothing),
       T_TEST(growth_above_the_limit_is_efbig_and_changes_nothing),
       T_TEST(limit_that_is_set_after_opening_is_efbig_too),
       T_TEST(slices_above_the_limit_are_efbig_and_those_before_fill_it),
       T_TEST(new_files_above_the_limit_are_efbig_and_leave_nothing),
       T_TEST(log_above_the_limit_is_efbig_and_goes_on_without_it))
