/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Snapshots with every system call failing in turn: an error that tells the step, nothing left, no lock kept; and
 * with others who write, cut or grow the file between any two calls.
 */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "../os/disk.h"
#include "fault.h"

#define MOST_CALLS 100
#define SIZE 300000
#define ATTEMPTS 8

static unsigned char content[SIZE];
static char source_path[512];
static struct filemap_error error;
static struct filemap *parent; /* of filemap_snapshot_map() */

static void set_up(const struct t_dir *dir)
{
	fault_reset();
	snprintf(source_path, sizeof source_path, "%s", t_path(dir, "source"));
	for (size_t i = 0; i < SIZE; i++)
		content[i] = (unsigned char)(i * 7 + i / 4096 + 1);
	t_write_file(source_path, content, SIZE);
}

typedef int operation(struct filemap **ret);

static int of_file(struct filemap **ret)
{
	return filemap_snapshot(source_path, SIZE, NULL, ret, &error);
}

static int of_file_dressed(struct filemap **ret)
{
	return filemap_snapshot(source_path, SIZE,
				FILEMAP_OPTIONS(.flags = FILEMAP_DONTDUMP | FILEMAP_DONTFORK,
						.advice = FILEMAP_ADVICE_RANDOM),
				ret, &error);
}

static int of_map(struct filemap **ret)
{
	return filemap_snapshot_map(parent, 0, SIZE, ret, &error);
}

/* What may fail without harm: all is data then, and what releases has released nevertheless. A lock that cannot be
 * given back goes with the descriptor. */
static bool is_tolerated(const char *call)
{
	static const char *const calls[] = {"seek_data", "seek_hole", "close", "unmap"};
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
		if (strcmp(call, calls[i]) == 0)
			return true;
	return strcmp(call, "flock") == 0 && fault_count("flock") == 2;
}

static void check(int r, struct filemap *map, int code)
{
	if (r == 0) {
		if (fault_fired() && !is_tolerated(fault_fired_call()))
			fail_msg("%s may not fail unnoticed", fault_fired_call());
		assert_true(filemap_is_immutable(map));
		assert_int_equal(filemap_size(map), SIZE);
		assert_memory_equal(filemap_data(map), content, SIZE);
		return;
	}
	assert_true(fault_fired());
	assert_int_equal(r, code);
	assert_int_equal(error.code, code);
	assert_non_null(error.step);
	assert_non_null(error.subject);
	assert_true(strcmp(error.detail, source_path) == 0 || strcmp(error.step, "allocate") == 0);
	assert_null(map);
}

static void assert_nothing_is_left(const struct t_dir *dir, struct t_census before)
{
	const struct t_census now = t_census_take(dir->path);
	struct filemap *writer;

	assert_int_equal(now.descriptors, before.descriptors);
	assert_int_equal(now.mappings, before.mappings);
	if (parent)
		return;
	assert_ok(filemap_open(source_path, FILEMAP_WRITE, NULL, &writer, NULL));
	filemap_close(writer);
}

static bool round_of(const struct t_dir *dir, operation *run, int code)
{
	const struct t_census before = t_census_take(dir->path);
	struct filemap *map = NULL;
	bool fired;
	int r;

	memset(&error, 0, sizeof error);
	r = run(&map);
	fired = fault_fired();
	check(r, map, code);
	fault_reset();
	filemap_close(map);
	assert_nothing_is_left(dir, before);
	return fired;
}

/* Returns how many calls there were to fail. */
static int sweep(const struct t_dir *dir, operation *run, const char *call, int code)
{
	for (int n = 1; n < MOST_CALLS; n++) {
		fault_reset();
		if (*call)
			fault_arm_call(call, n, -code);
		else
			fault_arm(n, -code);
		if (!round_of(dir, run, code))
			return n - 1;
	}
	fail_msg("the sweep did not end");
	return 0;
}

static void snapshot_of_a_file_leaves_nothing_at_every_call(void **state)
{
	set_up(*state);
	assert_true(sweep(*state, of_file, "", -EIO) >= 20);
	assert_true(sweep(*state, of_file_dressed, "", -EIO) >= 23);
	assert_true(sweep(*state, of_file, "zalloc", -ENOMEM) >= 3);
}

static void snapshot_of_a_mapping_leaves_nothing_at_every_call(void **state)
{
	static const unsigned modes[] = {FILEMAP_READ, FILEMAP_COW};
	set_up(*state);
	for (size_t i = 0; i < 2; i++) {
		assert_ok(filemap_open(source_path, modes[i], NULL, &parent, NULL));
		assert_true(sweep(*state, of_map, "", -EIO) >= 7);
		assert_true(sweep(*state, of_map, "zalloc", -ENOMEM) >= 1);
		filemap_close(parent);
		parent = NULL;
	}
}

static void memory_that_is_short_is_told(void **state)
{
	static const struct {
		const char *call, *step;
		int code;
	} cases[] = {
		{"sealable_file", "create memory file", EMFILE},
		{"ftruncate", "set size", ENOMEM},
		{"pwrite", "copy bytes", ENOSPC},
		{"seal", "seal", EBUSY},
		{"reopen", "open again", ENFILE},
		{"map", "map", ENOMEM},
	};
	set_up(*state);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct filemap *map = NULL;
		fault_reset();
		fault_arm_call(cases[i].call, 1, cases[i].code);
		assert_int_equal(of_file(&map), -cases[i].code);
		assert_string_equal(error.step, cases[i].step);
		fault_reset();
		t_census_same(*state);
	}
}

/* Without /proc the descriptor that could write stays: the seals are what forbids it. */
static void sealed_file_is_mapped_without_proc_where_the_kernel_can(void **state)
{
	struct filemap *map = NULL;
	int r;
	set_up(*state);
	fault_arm_call("reopen", 1, ENOENT);
	r = of_file(&map);
	assert_true(fault_fired());
	fault_reset();
	if (r == -EPERM)
		t_skip("this kernel maps no sealed file by a descriptor that could write");
	assert_ok(r);
	assert_memory_equal(filemap_data(map), content, SIZE);
	assert_int_equal(mprotect((void *)(uintptr_t)filemap_data(map), 4096, PROT_READ | PROT_WRITE), -1);
	filemap_close(map);
}

static void refuse_seals(void *context)
{
	(void)context;
	fault_arm_call("seals", 1, EINVAL);
}

/* What is not known to be sealed is not given out as immutable. */
static void seals_that_cannot_be_seen_are_not_trusted(void **state)
{
	struct filemap *map = NULL, *sealed = NULL;
	set_up(*state);
	assert_ok(of_file(&sealed));
	refuse_seals(NULL);
	assert_ok(filemap_open_fd(filemap_fd(sealed), FILEMAP_READ, NULL, &map, NULL));
	assert_false(filemap_is_immutable(map));
	filemap_close(map);
	fault_reset();
	assert_ok(filemap_open_fd(filemap_fd(sealed), FILEMAP_READ, NULL, &map, NULL));
	assert_true(filemap_is_immutable(map));
	filemap_close(map);
	filemap_close(sealed);
	refuse_seals(NULL);
	map = NULL;
	assert_int_equal(of_file(&map), -EINVAL);
	assert_null(map);
	fault_reset();
}

/* ---- others ---- */

static int rounds; /* of meddling that are left */

static void store(size_t at, unsigned char byte)
{
	const int fd = open(source_path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
	close(fd);
	content[at] = byte;
}

static void (*meddle)(void);

static void meddle_again(void *context)
{
	meddle();
	if (--rounds > 0)
		fault_hook("pread", 2, meddle_again, context);
}

/* Between two reads of the file; the first was of the beginning. */
static int snapshot_while(void (*what)(void), int times, struct filemap **ret)
{
	fault_reset();
	memset(&error, 0, sizeof error);
	meddle = what;
	rounds = times;
	fault_hook("pread", 2, meddle_again, NULL);
	return of_file(ret);
}

static void write_the_beginning(void)
{
	store(0, (unsigned char)(content[0] + 1));
}

static void copy_that_others_disturbed_is_made_again(void **state)
{
	struct filemap *map = NULL;
	set_up(*state);
	assert_ok(snapshot_while(write_the_beginning, 1, &map));
	assert_memory_equal(filemap_data(map), content, SIZE);
	filemap_close(map);
	fault_reset();
}

static void writer_that_never_stops_is_eagain(void **state)
{
	struct filemap *map = NULL;
	set_up(*state);
	assert_int_equal(snapshot_while(write_the_beginning, 1000, &map), -EAGAIN);
	assert_int_equal(fault_count("sealable_file"), 1);
	assert_int_equal(fault_count("ftruncate"), 2 * ATTEMPTS);
	assert_non_null(error.hint);
	assert_string_equal(error.detail, source_path);
	assert_null(map);
	fault_reset();
}

static void cut_to_a_half(void)
{
	assert_ok(truncate(source_path, SIZE / 2));
}

static void grow_by_a_byte(void)
{
	assert_ok(truncate(source_path, SIZE + 1));
}

static void size_that_others_changed_is_noticed(void **state)
{
	struct filemap *map = NULL;
	set_up(*state);
	assert_ok(snapshot_while(cut_to_a_half, 1, &map));
	assert_int_equal(filemap_size(map), SIZE / 2);
	assert_memory_equal(filemap_data(map), content, SIZE / 2);
	filemap_close(map);
	map = NULL;
	set_up(*state);
	assert_int_equal(snapshot_while(grow_by_a_byte, 1, &map), -EFBIG); /* more than the cap by now */
	assert_null(map);
	fault_reset();
}

static unsigned char *stored; /* a page of the file that is dirty already: stores do not show in its times */

static void store_without_a_trace(void)
{
	stored[0]++;
	content[0]++;
}

static void young_file_is_compared_because_times_are_coarse(void **state)
{
	struct filemap *map = NULL;
	int fd;
	set_up(*state);
	fd = open(source_path, O_RDWR | O_CLOEXEC);
	stored = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	stored[1]++;
	content[1]++;
	assert_ok(snapshot_while(store_without_a_trace, 1, &map));
	assert_memory_equal(filemap_data(map), content, SIZE);
	filemap_close(map);
	fault_reset();
	munmap(stored, 4096);
}

static const struct disk times_in_seconds = {"ext4", "-I 128", "", 8, false};

static void punch_the_beginning(void)
{
	const int fd = open(source_path, O_RDWR | O_CLOEXEC);
	(void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 128 << 10);
	close(fd);
	memset(content, 0, 128 << 10);
}

static int punch_what_is_copied(const struct disk *disk, const char *root)
{
	struct filemap *map = NULL;
	(void)disk;
	snprintf(source_path, sizeof source_path, "%s", at(root, "source"));
	memset(content, 'x', SIZE);
	t_write_file(source_path, content, SIZE);
	NEED_OK(snapshot_while(punch_the_beginning, 1, &map));
	NEED(rounds == 0 && content[0] == 0);
	NEED(memcmp(filemap_data(map), content, SIZE) == 0);
	filemap_close(map);
	return 0;
}

static void hole_that_others_made_of_copied_bytes_is_noticed(void **state)
{
	static const struct disk *const disks[] = {&times_in_seconds, NULL};
	fault_reset();
	disk_on(state, disks, punch_what_is_copied);
}

static void cut_during_the_write(void *context)
{
	(void)context;
	cut_to_a_half();
}

static void mapping_that_is_cut_meanwhile_is_erange(void **state)
{
	static const unsigned modes[] = {FILEMAP_READ, FILEMAP_COW};
	static const char *const calls[] = {"sealable_file", "write", "fstat"};
	for (size_t i = 0; i < 6; i++) {
		struct filemap *map = NULL;
		set_up(*state);
		assert_ok(filemap_open(source_path, modes[i % 2], NULL, &parent, NULL));
		fault_hook(calls[i / 2], 1, cut_during_the_write, NULL);
		assert_int_equal(of_map(&map), FILEMAP_ERANGE);
		assert_null(map);
		filemap_close(parent);
		parent = NULL;
		fault_reset();
	}
}

/* ---- clones ---- */

static int as_clone(struct filemap **ret)
{
	return filemap_snapshot(source_path, SIZE, FILEMAP_OPTIONS(.flags = FILEMAP_REFLINK), ret, &error);
}

static void errors_of_clones_are_told_as_what_they_mean(void **state)
{
	static const struct {
		const char *call;
		int nth, code, expected;
	} cases[] = {
		{"openat", 3, EISDIR, -EOPNOTSUPP},
		{"openat", 3, EINVAL, -EOPNOTSUPP},
		{"openat", 3, EOPNOTSUPP, -EOPNOTSUPP},
		{"openat", 3, EROFS, -EROFS},
		{"openat", 3, EACCES, -EACCES},
		{"openat", 2, EMFILE, -EMFILE},
		{"clone", 1, EXDEV, -EXDEV},
		{"clone", 1, EINVAL, -EOPNOTSUPP},
		{"clone", 1, ENOTTY, -EOPNOTSUPP},
		{"clone", 1, ENOSPC, -ENOSPC},
	};
	set_up(*state);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct filemap *map = NULL;
		fault_reset();
		fault_arm_call(cases[i].call, cases[i].nth, cases[i].code);
		assert_int_equal(as_clone(&map), cases[i].expected);
		assert_true(fault_fired());
		assert_null(map);
		fault_reset();
		t_census_same(*state);
	}
}

T_MAIN(T_TEST(snapshot_of_a_file_leaves_nothing_at_every_call),
       T_TEST(snapshot_of_a_mapping_leaves_nothing_at_every_call), T_TEST(memory_that_is_short_is_told),
       T_TEST(sealed_file_is_mapped_without_proc_where_the_kernel_can),
       T_TEST(seals_that_cannot_be_seen_are_not_trusted), T_TEST(copy_that_others_disturbed_is_made_again),
       T_TEST(writer_that_never_stops_is_eagain), T_TEST(size_that_others_changed_is_noticed),
       T_TEST(young_file_is_compared_because_times_are_coarse),
       T_TEST(hole_that_others_made_of_copied_bytes_is_noticed),
       T_TEST(mapping_that_is_cut_meanwhile_is_erange), T_TEST(errors_of_clones_are_told_as_what_they_mean))
