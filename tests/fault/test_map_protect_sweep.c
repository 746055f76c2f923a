/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Freezing, thawing, changing the lock, refreshing, committing, allocating and the last cut, with every system
 * call failing in turn: what the handle says of itself is true afterwards, and it can be tried again.
 */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "fault.h"
#include "split.h"

#define MOST_CALLS 50
#define SIZE 50000

/* What a stranger's flock(2) meets: nothing, a shared lock, an exclusive one. */
static unsigned seen_from_outside(const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned seen = FILEMAP_EXCLUSIVE_LOCK;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		seen = FILEMAP_UNLOCKED;
	else if (flock(fd, LOCK_SH | LOCK_NB) == 0)
		seen = FILEMAP_SHARED_LOCK;
	close(fd);
	return seen;
}

static bool region_is(const void *at, char write, char exec)
{
	char line[512], permissions[8] = "";
	unsigned long from, to;
	bool same = false;
	FILE *maps = fopen("/proc/self/maps", "re");
	while (fgets(line, sizeof line, maps))
		if (sscanf(line, "%lx-%lx %4s", &from, &to, permissions) == 3 && from <= (uintptr_t)at &&
		    (uintptr_t)at < to)
			same = permissions[1] == write && permissions[2] == exec;
	fclose(maps);
	return same;
}

/* The kernel's permissions and lock are those that the handle tells of. */
static void check_truth(struct filemap *map)
{
	const bool writable = filemap_data_mut(map) != NULL;
	const bool frozen = filemap_state(map) & FILEMAP_STATE_FROZEN;
	assert_int_equal(frozen, filemap_mode(map) == FILEMAP_READ ? filemap_is_exec(map) : !writable);
	for (size_t at = 0; at < filemap_size(map); at += 4096)
		assert_true(region_is((const char *)filemap_data(map) + at, writable ? 'w' : '-',
				      filemap_is_exec(map) ? 'x' : '-'));
	assert_int_equal(filemap_lock_state(map), seen_from_outside(filemap_path(map)));
}

struct operation {
	unsigned mode;
	uint32_t flags, sharing;
	int (*prepare)(struct filemap *map, struct filemap_error *error); /* or NULL */
	int (*run)(struct filemap *map, struct filemap_error *error);
	void (*check)(struct filemap *map, const struct filemap_error *error); /* of a failure; or NULL */
};

static struct filemap *make(void **state, const struct operation *operation)
{
	static unsigned char bytes[SIZE];
	const char *path = t_path(*state, "file");
	struct filemap *map = NULL;
	fault_reset();
	memset(bytes, 0xAA, sizeof bytes);
	t_write_file(path, bytes, sizeof bytes);
	assert_ok(filemap_open(path, operation->mode,
			       FILEMAP_OPTIONS(.flags = operation->flags, .sharing = operation->sharing),
			       &map, NULL));
	/* three pieces, as advice or mlock on a part leaves them */
	if (split_is_refused())
		assert_ok(filemap_advise(map, FILEMAP_ADVICE_RANDOM, 8192, 4096));
	if (operation->prepare)
		assert_ok(operation->prepare(map, NULL));
	return map;
}

/* How many calls made it fail. */
static int sweep(void **state, const struct operation *operation)
{
	int failed = 0;

	for (int n = 1; n < MOST_CALLS; n++) {
		struct filemap_error error = {0};
		struct filemap *map = make(state, operation);
		fault_arm(n, EIO);
		int r = operation->run(map, &error);
		const bool fired = fault_fired();
		fault_reset();
		if (r < 0) {
			failed++;
			assert_int_equal(error.code, r);
			assert_non_null(error.step);
			assert_non_null(error.subject);
			check_truth(map);
			if (operation->check)
				operation->check(map, &error);
			assert_ok(operation->run(map, NULL)); /* the handle goes on */
		}
		check_truth(map);
		filemap_close(map);
		t_census_same(*state);
		if (!fired)
			return failed;
	}
	fail_msg("the sweep did not end");
	return failed;
}

static void still_thawed(struct filemap *map, const struct filemap_error *error)
{
	(void)error;
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	assert_int_equal(filemap_lock_state(map),
			 filemap_mode(map) == FILEMAP_WRITE ? FILEMAP_EXCLUSIVE_LOCK : FILEMAP_SHARED_LOCK);
}

static void freezing_fails_cleanly_at_every_call(void **state)
{
	const struct operation operations[] = {
		{FILEMAP_WRITE, 0, 0, NULL, filemap_freeze, still_thawed},
		{FILEMAP_COW, 0, 0, NULL, filemap_freeze, still_thawed},
		{FILEMAP_WRITE, 0, 0, NULL, filemap_freeze_exec, still_thawed},
		{FILEMAP_READ, 0, 0, NULL, filemap_freeze_exec, still_thawed},
	};
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(sweep(state, &operations[i]), 1); /* protect */
}

static void still_frozen(struct filemap *map, const struct filemap_error *error)
{
	(void)error;
	assert_null(filemap_data_mut(map));
}

static void thawing_fails_cleanly_at_every_call(void **state)
{
	const struct operation operations[] = {
		{FILEMAP_WRITE, 0, 0, filemap_freeze, filemap_thaw, still_frozen},
		{FILEMAP_COW, 0, 0, filemap_freeze, filemap_thaw, still_frozen},
		{FILEMAP_WRITE, 0, 0, filemap_freeze_exec, filemap_thaw, still_frozen},
	};
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(sweep(state, &operations[i]), 1);
}

/* Sharing the lock is tried twice, so that one failure is none. */
static void downgrading_freeze_fails_cleanly_at_every_call(void **state)
{
	const struct operation operation = {
		FILEMAP_WRITE, FILEMAP_DOWNGRADE_ON_FREEZE, 0, NULL, filemap_freeze, still_thawed};
	assert_int_equal(sweep(state, &operation), 1);
}

static void freeze_whose_lock_got_lost_gives_the_stores_back(void **state)
{
	const struct operation operation = {FILEMAP_WRITE, FILEMAP_DOWNGRADE_ON_FREEZE, 0, NULL, NULL, NULL};
	struct filemap_error error = {0};
	struct filemap *map = make(state, &operation);
	fault_arm_call_persistent("flock", 1, EWOULDBLOCK);
	assert_int_equal(filemap_freeze(map, &error), FILEMAP_ELOCKED);
	fault_reset();
	assert_non_null(error.hint);
	assert_int_equal(filemap_lock_state(map), FILEMAP_UNLOCKED);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	check_truth(map);
	assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
	assert_ok(filemap_freeze(map, NULL));
	assert_int_equal(filemap_lock_state(map), FILEMAP_SHARED_LOCK);
	check_truth(map);
	filemap_close(map);
}

/* When the old protection cannot be had back either, the safe state is the one that is told. */
static void protection_that_cannot_be_restored_is_frozen(void **state)
{
	const struct operation operation = {FILEMAP_WRITE, 0, 0, NULL, NULL, NULL};
	struct filemap *map = make(state, &operation);
	fault_arm_call_persistent("protect", 1, ENOMEM);
	assert_int_equal(filemap_freeze_exec(map, NULL), -ENOMEM);
	fault_reset();
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE | FILEMAP_STATE_FROZEN);
	assert_null(filemap_data_mut(map));
	assert_false(filemap_is_exec(map));
	assert_int_equal(filemap_write_all(map, 0, "x", 1), FILEMAP_EMODE);
	assert_ok(filemap_thaw(map, NULL));
	check_truth(map);
	assert_ok(filemap_write_all(map, 0, "x", 1));
	filemap_close(map);
}

static int take_exclusive(struct filemap *map, struct filemap_error *error)
{
	return filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, error);
}

static int take_shared(struct filemap *map, struct filemap_error *error)
{
	return filemap_lock(map, FILEMAP_SHARED_LOCK, 0, error);
}

static int give_back(struct filemap *map, struct filemap_error *error)
{
	(void)error;
	return filemap_unlock(map);
}

static int give_back_and_take(struct filemap *map, struct filemap_error *error)
{
	filemap_unlock(map);
	return take_exclusive(map, error);
}

static void changing_the_lock_fails_cleanly_at_every_call(void **state)
{
	const struct operation upgrade = {FILEMAP_READ, 0, 0, NULL, take_exclusive, still_thawed};
	const struct operation downgrade = {FILEMAP_READ, 0, 0, take_exclusive, take_shared, NULL};
	const struct operation unlock = {FILEMAP_READ, 0, 0, NULL, give_back, NULL};
	const struct operation anew = {FILEMAP_READ, 0, 0, NULL, give_back_and_take, NULL};
	assert_int_equal(sweep(state, &upgrade), 1);
	assert_int_equal(sweep(state, &downgrade), 0); /* tried twice */
	assert_int_equal(sweep(state, &unlock), 0);    /* what gives back is done in any case */
	assert_int_equal(sweep(state, &anew), 1);
}

static void upgrade_that_lost_everything_says_so(void **state)
{
	const struct operation operation = {FILEMAP_READ, 0, 0, NULL, NULL, NULL};
	struct filemap_error error = {0};
	struct filemap *map = make(state, &operation), *other;
	fault_arm_call_persistent("flock", 1, EWOULDBLOCK);
	assert_int_equal(take_exclusive(map, &error), FILEMAP_ELOCKED);
	fault_reset();
	assert_non_null(error.hint);
	assert_int_equal(filemap_lock_state(map), FILEMAP_UNLOCKED);
	check_truth(map);
	/* out of the table of this process, too */
	assert_ok(filemap_open(filemap_path(map), FILEMAP_WRITE, NULL, &other, NULL));
	filemap_close(other);
	assert_ok(take_shared(map, NULL));
	check_truth(map);
	filemap_close(map);
}

/* While others of this process share it, the kernel's lock is not put at risk. */
static void upgrade_refused_in_this_process_does_not_ask_the_kernel(void **state)
{
	const struct operation operation = {FILEMAP_READ, 0, 0, NULL, NULL, NULL};
	struct filemap *map = make(state, &operation), *other;
	assert_ok(filemap_open(filemap_path(map), FILEMAP_READ, NULL, &other, NULL));
	fault_reset();
	assert_int_equal(take_exclusive(map, NULL), FILEMAP_ELOCKED);
	assert_int_equal(fault_count("flock"), 0);
	check_truth(map);
	filemap_close(other);
	filemap_close(map);
}

/* The table of this process is all that there is then. */
static void lock_without_a_kernel_changes_in_this_process(void **state)
{
	const struct filemap_options *options = FILEMAP_OPTIONS(.flags = FILEMAP_LOCK_IF_SUPPORTED);
	const char *path = t_path(*state, "file");
	struct filemap *map, *other;
	t_write_file(path, "hello", 5);
	fault_arm_call_persistent("flock", 1, EOPNOTSUPP);
	assert_ok(filemap_open(path, FILEMAP_READ, options, &map, NULL));
	assert_int_equal(filemap_lock_state(map), FILEMAP_SHARED_LOCK);
	assert_int_equal(seen_from_outside(path), FILEMAP_UNLOCKED);
	assert_ok(filemap_open(path, FILEMAP_READ, options, &other, NULL));
	assert_int_equal(take_exclusive(map, NULL), FILEMAP_ELOCKED);
	filemap_close(other);
	assert_ok(take_exclusive(map, NULL));
	assert_int_equal(filemap_lock_state(map), FILEMAP_EXCLUSIVE_LOCK);
	assert_int_equal(filemap_open(path, FILEMAP_READ, options, &other, NULL), FILEMAP_ELOCKED);
	assert_ok(take_shared(map, NULL));
	assert_ok(filemap_unlock(map));
	assert_ok(filemap_open(path, FILEMAP_WRITE, options, &other, NULL));
	assert_int_equal(take_shared(map, NULL), FILEMAP_ELOCKED);
	filemap_close(other);
	assert_ok(take_shared(map, NULL));
	fault_reset();
	filemap_close(map);
}

static int grow_and_refresh(struct filemap *map, struct filemap_error *error)
{
	uint64_t size = 7;
	if (truncate(filemap_path(map), 900000) < 0)
		return 1;
	const int r = filemap_refresh(map, &size, error);
	assert_int_equal(size, r < 0 ? 7 : 900000);
	return r;
}

static int cut_and_refresh(struct filemap *map, struct filemap_error *error)
{
	return truncate(filemap_path(map), 30000) < 0 ? 1 : filemap_refresh(map, NULL, error);
}

static void still_as_large(struct filemap *map, const struct filemap_error *error)
{
	assert_int_equal(error->sys_errno, EIO);
	assert_int_equal(filemap_size(map), SIZE);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
}

static void refreshing_fails_cleanly_at_every_call(void **state)
{
	if (!memory_can_be_locked())
		t_skip(MLOCK_REASON);
	struct operation grow = {FILEMAP_READ, 0, 0, NULL, grow_and_refresh, still_as_large};
	struct operation cut = {FILEMAP_READ, 0, 0, NULL, cut_and_refresh, still_as_large};
	if (!split_is_refused())
		t_skip(SPLIT_REASON);
	assert_int_equal(sweep(state, &grow), 3); /* fstat, remap (and it is split), map */
	grow.flags = FILEMAP_MLOCK | FILEMAP_DONTFORK;
	assert_int_equal(sweep(state, &grow), 6); /* and madvise, mlock, mlock */
	assert_int_equal(sweep(state, &cut), 1);
}

static int commit(struct filemap *map, struct filemap_error *error)
{
	return filemap_commit(map, 8192, 8192, 0, "new", 3, error);
}

static void commit_failing_at_either_flush_taints(void **state)
{
	const struct operation operation = {FILEMAP_WRITE, 0, 0, NULL, NULL, NULL};
	const char *const steps[] = {"flush data", "flush header"};
	for (int n = 1; n <= 2; n++) {
		struct filemap_error error = {0};
		struct filemap *map = make(state, &operation);
		fault_arm_call("msync", n, EIO);
		assert_int_equal(commit(map, &error), -EIO);
		fault_reset();
		assert_string_equal(error.step, steps[n - 1]);
		assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE | FILEMAP_STATE_TAINTED);
		assert_int_equal(*(const unsigned char *)filemap_data(map), n == 1 ? 0xAA : 'n');
		assert_int_equal(commit(map, NULL), FILEMAP_EPOISONED);
		check_truth(map);
		filemap_close(map);
	}
}

static int allocate(struct filemap *map, struct filemap_error *error)
{
	return filemap_allocate(map, 0, FILEMAP_TO_END, error);
}

static int write_back(struct filemap *map, struct filemap_error *error)
{
	const int r = filemap_writeback(map, 0, FILEMAP_TO_END);
	*(error ? error : &(struct filemap_error){0}) =
		(struct filemap_error){.code = r, .sys_errno = -r, .step = "", .subject = ""};
	return r;
}

static void allocating_and_writing_back_fail_cleanly(void **state)
{
	const struct operation blocks = {FILEMAP_WRITE, 0, 0, NULL, allocate, still_as_large};
	const struct operation writing = {FILEMAP_WRITE, 0, 0, NULL, write_back, still_as_large};
	assert_int_equal(sweep(state, &blocks), 1);
	assert_int_equal(sweep(state, &writing), 1);
}

/* One round of closing with the nth call failing; whether one failed. */
static bool close_with_fault(void **state, int n, uint64_t size)
{
	const struct operation operation = {FILEMAP_WRITE, 0, 0, NULL, NULL, NULL};
	struct filemap_error error = {0};
	struct filemap *map = make(state, &operation);
	fault_arm(n, EIO);
	const int r = filemap_close_truncated(map, size, &error);
	const bool fired = fault_fired();
	const bool durability = strcmp(error.step ? error.step : "", "flush") == 0 ||
				strcmp(error.step ? error.step : "", "sync") == 0;
	fault_reset();
	if (r < 0) {
		assert_int_equal(r, -EIO);
		check_truth(map);
		assert_false(filemap_is_poisoned(map));
		assert_int_equal(filemap_state(map) & FILEMAP_STATE_TAINTED,
				 durability ? FILEMAP_STATE_TAINTED : 0);
		assert_int_equal(filemap_size(map), t_file_size(filemap_path(map)));
		assert_int_equal(filemap_close_truncated(map, size, NULL),
				 durability ? FILEMAP_EPOISONED : 0);
		if (durability)
			filemap_close(map);
	}
	if (r == 0 || !durability)
		assert_int_equal(t_file_size(t_path(*state, "file")), size);
	t_census_same(*state);
	return fired;
}

static void closing_with_a_cut_fails_cleanly_at_every_call(void **state)
{
	const uint64_t sizes[] = {0, 20000, SIZE, SIZE + 1, 900000};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		int n = 1;
		while (close_with_fault(state, n, sizes[i]))
			n++;
		assert_true(n > 5);
	}
}

static void go_on(void *context)
{
	(void)context;
	fault_arm(0, 0);
}

/* Parts may have the new protection: those that could be executed and those that could be stored to end. */
static void protection_that_is_only_had_back_as_frozen_is_set_so(void **state)
{
	const struct operation operation = {FILEMAP_WRITE, 0, 0, NULL, NULL, NULL};
	struct filemap *map = make(state, &operation);
	fault_arm_call_persistent("protect", 1, ENOMEM);
	fault_hook("protect", 3, go_on, NULL); /* the new one, the old one, the safe one */
	assert_int_equal(filemap_freeze_exec(map, NULL), -ENOMEM);
	fault_reset();
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE | FILEMAP_STATE_FROZEN);
	check_truth(map);
	filemap_close(map);
}

/* Other than flock(2) the kernel keeps what it had, and so does the handle. */
static void ofd_lock_that_cannot_be_shared_stays_exclusive(void **state)
{
	const struct filemap_options *ofd = FILEMAP_OPTIONS(.lock_family = FILEMAP_LOCK_OFD);
	const char *path = t_path(*state, "file");
	struct filemap *map, *other;
	t_write_file(path, "hello", 5);
	assert_ok(filemap_open(path, FILEMAP_WRITE, ofd, &map, NULL));
	assert_ok(filemap_freeze(map, NULL));
	fault_arm_call_persistent("ofd_lock", 1, EIO);
	assert_int_equal(take_shared(map, NULL), -EIO);
	fault_reset();
	assert_int_equal(filemap_lock_state(map), FILEMAP_EXCLUSIVE_LOCK);
	assert_int_equal(filemap_open(path, FILEMAP_READ, ofd, &other, NULL), FILEMAP_ELOCKED);
	assert_ok(take_shared(map, NULL));
	assert_ok(filemap_open(path, FILEMAP_READ, ofd, &other, NULL));
	filemap_close(other);
	filemap_close(map);
}

T_MAIN(T_TEST(freezing_fails_cleanly_at_every_call), T_TEST(thawing_fails_cleanly_at_every_call),
       T_TEST(downgrading_freeze_fails_cleanly_at_every_call),
       T_TEST(freeze_whose_lock_got_lost_gives_the_stores_back),
       T_TEST(protection_that_cannot_be_restored_is_frozen),
       T_TEST(changing_the_lock_fails_cleanly_at_every_call), T_TEST(upgrade_that_lost_everything_says_so),
       T_TEST(refreshing_fails_cleanly_at_every_call), T_TEST(commit_failing_at_either_flush_taints),
       T_TEST(allocating_and_writing_back_fail_cleanly),
       T_TEST(closing_with_a_cut_fails_cleanly_at_every_call),
       T_TEST(upgrade_refused_in_this_process_does_not_ask_the_kernel),
       T_TEST(lock_without_a_kernel_changes_in_this_process),
       T_TEST(protection_that_is_only_had_back_as_frozen_is_set_so),
       T_TEST(ofd_lock_that_cannot_be_shared_stays_exclusive))
