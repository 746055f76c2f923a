/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Every constructor and every mode with every system call, and every allocation, failing in turn: the error
 * tells the step, nothing leaks, the file is as it was, no lock is left, and the output is untouched.
 */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "fault.h"

#define MOST_CALLS 100
#define LARGE 20000 /* what open_or_read maps */

static const char *path;
static struct filemap *parent;  /* of windows; NULL otherwise */
static int source = -1;         /* of descriptors; -1 otherwise */
static uint32_t keep_in_memory; /* FILEMAP_MLOCK, where there is mlock2(2) */

typedef int constructor(struct filemap **ret, struct filemap_error *error);

static int open_read(struct filemap **ret, struct filemap_error *error)
{
	return filemap_open(path, FILEMAP_READ, FILEMAP_OPTIONS(.flags = FILEMAP_PIN_PARENT), ret, error);
}

static int open_exec(struct filemap **ret, struct filemap_error *error)
{
	return filemap_open(path, FILEMAP_EXEC, NULL, ret, error);
}

static int open_cow(struct filemap **ret, struct filemap_error *error)
{
	return filemap_open(path, FILEMAP_COW,
			    FILEMAP_OPTIONS(.flags = FILEMAP_NORESERVE | FILEMAP_POPULATE, .offset = 4097),
			    ret, error);
}

static int open_dressed(struct filemap **ret, struct filemap_error *error)
{
	return filemap_open(path, FILEMAP_WRITE,
			    FILEMAP_OPTIONS(.flags = keep_in_memory | FILEMAP_DONTDUMP | FILEMAP_DONTFORK,
					    .advice = FILEMAP_ADVICE_RANDOM | FILEMAP_ADVICE_NOHUGEPAGE,
					    .reserve = 1 << 20),
			    ret, error);
}

static int open_cooperating(struct filemap **ret, struct filemap_error *error)
{
	return filemap_open(path, FILEMAP_WRITE,
			    FILEMAP_OPTIONS(.sharing = FILEMAP_SHARING_COOPERATE, .size = 4096), ret, error);
}

static int open_at(struct filemap **ret, struct filemap_error *error)
{
	return filemap_open_at(AT_FDCWD, path, FILEMAP_WRITE, NULL, ret, error);
}

static int open_again(struct filemap **ret, struct filemap_error *error)
{
	return filemap_open_fd(source, FILEMAP_WRITE, NULL, ret, error);
}

static int open_or_read(struct filemap **ret, struct filemap_error *error)
{
	return filemap_open_or_read(path, FILEMAP_TO_END, NULL, ret, error);
}

static int read_small(struct filemap **ret, struct filemap_error *error)
{
	return filemap_open_or_read("/proc/version", FILEMAP_TO_END, NULL, ret, error);
}

static int read_descriptor(struct filemap **ret, struct filemap_error *error)
{
	if (lseek(source, 0, SEEK_SET) != 0)
		return -1;
	return filemap_read_fd(source, LARGE, ret, error);
}

static int window_of_parent(struct filemap **ret, struct filemap_error *error)
{
	return filemap_window(parent, FILEMAP_COW, 100, 1000, ret, error);
}

static int anonymous_private(struct filemap **ret, struct filemap_error *error)
{
	return filemap_anonymous(10000,
				 FILEMAP_OPTIONS(.label = "private",
						 .flags = keep_in_memory | FILEMAP_DONTFORK,
						 .reserve = 1 << 20),
				 ret, error);
}

static int anonymous_shared(struct filemap **ret, struct filemap_error *error)
{
	return filemap_anonymous(
		10000, FILEMAP_OPTIONS(.label = "shared", .flags = FILEMAP_SHARED | FILEMAP_POPULATE), ret,
		error);
}

static int bytes_copied(struct filemap **ret, struct filemap_error *error)
{
	return filemap_from_bytes("copied", FILEMAP_READ, "0123456789", 10, ret, error);
}

static int bytes_wrapped(struct filemap **ret, struct filemap_error *error)
{
	return filemap_wrap_bytes("wrapped", "0123456789", 10, ret, error);
}

static int use_nothing(const void *data, size_t size, void *context)
{
	(void)data;
	(void)size;
	(void)context;
	return 0;
}

static int with_file(struct filemap **ret, struct filemap_error *error)
{
	int r = filemap_with(path, NULL, use_nothing, NULL, NULL, error);
	return r < 0 ? r : filemap_wrap_bytes("", "", 0, ret, error);
}

static bool file_is_whole(void)
{
	static unsigned char bytes[LARGE + 1];
	if (t_read_file(path, bytes, sizeof bytes) != LARGE)
		return false;
	for (size_t i = 0; i < LARGE; i++)
		if (bytes[i] != (unsigned char)(i % 251))
			return false;
	return true;
}

static void assert_untouched(const struct t_dir *dir, struct t_census before)
{
	struct t_census now;
	struct filemap *map;
	int r;

	fault_reset();
	now = t_census_take(dir->path);
	assert_int_equal(now.descriptors, before.descriptors);
	assert_int_equal(now.mappings, before.mappings);
	assert_true(file_is_whole());
	r = filemap_open(path, FILEMAP_WRITE, NULL, &map, NULL);
	assert_int_equal(r, parent ? FILEMAP_ELOCKED : 0);
	if (r == 0)
		filemap_close(map);
}

static void check_failure(int r, const struct filemap_error *error, const struct filemap *map, int code)
{
	assert_int_equal(r, code);
	assert_int_equal(error->code, code);
	assert_non_null(error->step);
	assert_non_null(error->subject);
	assert_null(map);
}

/* Returns whether a call was left to fail. */
static bool round_of(const struct t_dir *dir, constructor *make, int code)
{
	struct t_census before = t_census_take(dir->path);
	struct filemap_error error = {0};
	struct filemap *map = NULL;
	int r = make(&map, &error);
	bool fired = fault_fired();

	if (r < 0 && fired)
		check_failure(r, &error, map, code);
	else
		assert_ok(r);
	filemap_close(map);
	assert_untouched(dir, before);
	return fired;
}

static void sweep(const struct t_dir *dir, constructor *make)
{
	const char *const allocations[] = {"zalloc", "strdup"};
	int n = 0, rounds = 0;
	do {
		fault_reset();
		fault_arm(++n, EIO);
		rounds++;
	} while (round_of(dir, make, -EIO) && n < MOST_CALLS);
	assert_true(n < MOST_CALLS);
	for (size_t i = 0; i < 2; i++) {
		n = 0;
		do {
			fault_reset();
			fault_arm_call(allocations[i], ++n, ENOMEM);
			rounds++;
		} while (round_of(dir, make, -ENOMEM) && n < MOST_CALLS);
		assert_true(n < MOST_CALLS);
	}
	assert_true(rounds > 3); /* every constructor allocates */
}

static void set_up(struct t_dir *dir)
{
	static unsigned char bytes[LARGE];
	struct filemap *map;
	fault_reset();
	if (filemap_anonymous(1, FILEMAP_OPTIONS(.flags = FILEMAP_MLOCK), &map, NULL) == 0) {
		keep_in_memory = FILEMAP_MLOCK;
		filemap_close(map);
	}
	path = t_path(dir, "file");
	for (size_t i = 0; i < LARGE; i++)
		bytes[i] = (unsigned char)(i % 251);
	t_write_file(path, bytes, LARGE);
}

static void files_by_name_in_every_mode(void **state)
{
	constructor *const makers[] = {open_read,        open_exec, open_cow,     open_dressed,
				       open_cooperating, open_at,   open_or_read, with_file};
	set_up(*state);
	for (size_t i = 0; i < sizeof makers / sizeof *makers; i++)
		sweep(*state, makers[i]);
}

static void files_by_descriptor(void **state)
{
	set_up(*state);
	source = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(source >= 0);
	sweep(*state, open_again);
	sweep(*state, read_descriptor);
	close(source);
	source = -1;
}

static void windows(void **state)
{
	set_up(*state);
	fault_reset();
	assert_ok(filemap_open(path, FILEMAP_READ, NULL, &parent, NULL));
	sweep(*state, window_of_parent);
	filemap_close(parent);
	parent = NULL;
}

static void memory_and_content_that_is_read(void **state)
{
	constructor *const makers[] = {read_small, anonymous_private, anonymous_shared, bytes_copied,
				       bytes_wrapped};
	set_up(*state);
	for (size_t i = 0; i < sizeof makers / sizeof *makers; i++)
		sweep(*state, makers[i]);
}

/* TRUNCATE excludes those who cooperate while it empties the file, and no longer. */
static void truncating_cooperator_that_fails_holds_nothing(void **state)
{
	const struct filemap_options *options = FILEMAP_OPTIONS(.sharing = FILEMAP_SHARING_COOPERATE,
								.flags = FILEMAP_TRUNCATE, .size = LARGE);
	bool fired = true;
	set_up(*state);
	for (int n = 1; fired && n < MOST_CALLS; n++) {
		struct filemap *map = NULL;
		int r;
		fault_reset();
		fault_arm(n, EIO);
		r = filemap_open(path, FILEMAP_WRITE, options, &map, NULL);
		fired = fault_fired();
		fault_reset();
		if (r == 0)
			assert_int_equal(filemap_lock_state(map), FILEMAP_SHARED_LOCK);
		filemap_close(map);
		t_census_same(*state);
		assert_ok(filemap_open(path, FILEMAP_WRITE, NULL, &map, NULL));
		filemap_close(map);
	}
	assert_false(fired);
}

T_MAIN(T_TEST(files_by_name_in_every_mode), T_TEST(files_by_descriptor), T_TEST(windows),
       T_TEST(memory_and_content_that_is_read), T_TEST(truncating_cooperator_that_fails_holds_nothing))
