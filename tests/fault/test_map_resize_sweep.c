/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Resizing with every system call failing in turn, with pages of 4, 16 and 64 KiB: file and window are
 * as they were, and the handle goes on. The numbered failure points of resize.c are all met here.
 */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "fault.h"
#include "map/map.h"
#include "split.h"

#define MOST_CALLS 100

static struct filemap *create_with(void **state, uint64_t size, struct filemap_options options)
{
	const char *path = t_path(*state, "file");
	struct filemap *map = NULL;
	remove(path);
	fault_reset();
	options.struct_size = sizeof options;
	options.flags |= FILEMAP_CREATE_NEW;
	options.size = size;
	assert_ok(filemap_open(path, FILEMAP_WRITE, &options, &map, NULL));
	memset(filemap_data_mut(map), 0xAA, filemap_size(map));
	return map;
}

static struct filemap *create(void **state, uint64_t size)
{
	return create_with(state, size, (struct filemap_options){0});
}

static void assert_content(const struct filemap *map, size_t old_size)
{
	const unsigned char *bytes = filemap_data(map);
	for (size_t i = 0; i < filemap_size(map); i++)
		assert_int_equal(bytes[i], i < old_size ? 0xAA : 0);
}

static void check_failure(const struct filemap *map, int r, const struct filemap_error *error,
			  uint64_t old_size)
{
	assert_int_equal(r, -EIO);
	assert_int_equal(error->sys_errno, EIO);
	assert_non_null(error->step);
	assert_non_null(error->subject);
	assert_int_equal(filemap_size(map), old_size);
	assert_int_equal(t_file_size(filemap_path(map)), old_size);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	assert_content(map, old_size);
}

/* How many calls made it fail. */
static int sweep(void **state, uint64_t old_size, uint64_t new_size)
{
	int failed = 0;

	for (int n = 1; n < MOST_CALLS; n++) {
		struct filemap_error error = {0};
		struct filemap *map = create(state, old_size);
		fault_arm(n, EIO);
		int r = filemap_resize(map, new_size, &error);
		const int fired = fault_fired();
		fault_reset();
		if (r < 0) {
			failed++;
			check_failure(map, r, &error, old_size);
			assert_ok(filemap_resize(map, new_size, NULL)); /* the handle goes on */
		}
		assert_int_equal(filemap_size(map), new_size);
		assert_int_equal(t_file_size(filemap_path(map)), new_size);
		assert_content(map, old_size);
		assert_ok(filemap_flush(map));
		filemap_close(map);
		t_census_same(*state);
		if (!fired)
			return failed;
	}
	fail_msg("the sweep did not end");
	return failed;
}

static void growth_fails_cleanly_at_every_call(void **state)
{
	for (size_t page = 4096; page <= 65536; page *= 4) {
		fault_page_size(page);
		assert_int_equal(sweep(state, 100, 200), 2);               /* fstat, pwrite */
		assert_int_equal(sweep(state, page, 3 * page), 3);         /* fstat, fallocate, remap */
		assert_int_equal(sweep(state, page + 1, 5 * page + 1), 4); /* all of them */
		assert_int_equal(sweep(state, 0, 2 * page), 3);
	}
	fault_page_size(0);
}

static void shrinking_fails_cleanly_at_every_call(void **state)
{
	for (size_t page = 4096; page <= 65536; page *= 4) {
		fault_page_size(page);
		assert_int_equal(sweep(state, 200, 100), 2); /* fstat, ftruncate; unmap is no harm */
		assert_int_equal(sweep(state, 5 * page + 1, page), 2);
		assert_int_equal(sweep(state, 3 * page, 0), 2);
	}
	fault_page_size(0);
}

/* Others may have stored behind the old end by then: the file is never cut back. */
static void cooperating_growth_that_fails_leaves_the_file_longer(void **state)
{
	const struct filemap_options together = {.sharing = FILEMAP_SHARING_COOPERATE};
	const char *const calls[] = {"ofd_lock", "fstat", "pwrite", "fallocate", "remap"};
	const int64_t left[] = {100, 100, 100, sysconf(_SC_PAGESIZE), 50000};
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		struct filemap_error error = {0};
		struct filemap *map = create_with(state, 100, together);
		fault_arm_call(calls[i], 1, EIO);
		assert_int_equal(filemap_resize(map, 50000, &error), -EIO);
		fault_reset();
		assert_int_equal(filemap_size(map), 100);
		assert_int_equal(t_file_size(filemap_path(map)), left[i]);
		assert_int_equal(error.hint != NULL, i >= 2);
		assert_content(map, 100);
		assert_int_equal(filemap_lock_state(map), FILEMAP_SHARED_LOCK);
		assert_ok(filemap_resize(map, 50000, NULL)); /* and the lock for growth is free again */
		assert_content(map, 100);
		filemap_close(map);
	}
}

struct second_grower {
	struct filemap *map;
	int result;
};

static void grow_meanwhile(void *context)
{
	struct second_grower *second = context;
	second->result = filemap_resize(second->map, 60000, NULL);
}

/* What it grew and stored would be cleared as the old end of the first one's look. */
static void nobody_grows_between_the_look_and_the_clearing(void **state)
{
	const struct filemap_options together = {.sharing = FILEMAP_SHARING_COOPERATE};
	struct filemap *map = create_with(state, 100, together);
	struct second_grower second = {.result = 1};
	assert_ok(filemap_open(filemap_path(map), FILEMAP_WRITE,
			       FILEMAP_OPTIONS(.sharing = FILEMAP_SHARING_COOPERATE), &second.map, NULL));
	fault_hook("pwrite", 1, grow_meanwhile, &second);
	assert_ok(filemap_resize(map, 50000, NULL));
	assert_int_equal(second.result, FILEMAP_ELOCKED);
	fault_reset();
	assert_ok(filemap_resize(second.map, 60000, NULL));
	filemap_close(second.map);
	filemap_close(map);
}

/* A signal ends the wait for the lock for growth, and nothing is done without it. */
static void growth_that_is_interrupted_while_waiting_changes_nothing(void **state)
{
	struct flock byte = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)(INT64_MAX - 1), .l_len = 1};
	const struct filemap_options together = {.sharing = FILEMAP_SHARING_COOPERATE};
	struct filemap_error error = {0};
	struct filemap *map = create_with(state, 100, together);
	const int fd = open(filemap_path(map), O_RDWR | O_CLOEXEC);
	assert_ok(fcntl(fd, F_OFD_SETLK, &byte));
	fault_arm_call("sleep_ms", 1, EINTR);
	assert_int_equal(filemap_resize(map, 50000, &error), -EINTR);
	assert_true(fault_fired());
	fault_reset();
	assert_string_equal(error.step, "lock for growth");
	assert_int_equal(filemap_size(map), 100);
	assert_int_equal(t_file_size(filemap_path(map)), 100);
	close(fd);
	assert_ok(filemap_resize(map, 50000, NULL));
	assert_content(map, 100);
	filemap_close(map);
}

static void sparse_growth_together_never_truncates(void **state)
{
	const struct filemap_options sparse = {.flags = FILEMAP_SPARSE, .sharing = FILEMAP_SHARING_COOPERATE};
	struct filemap *map = create_with(state, 0, sparse);
	fault_reset();
	assert_ok(filemap_resize(map, 1 << 20, NULL));
	assert_int_equal(fault_count("ftruncate"), 0);
	assert_int_equal(fault_count("fallocate"), 1);
	fault_arm_call("fallocate", 1, EOPNOTSUPP); /* a byte is written instead */
	assert_ok(filemap_resize(map, 1 << 21, NULL));
	assert_int_equal(fault_count("ftruncate"), 0);
	fault_reset();
	assert_int_equal(t_file_size(filemap_path(map)), 1 << 21);
	assert_content(map, 0);
	filemap_close(map);
}

/* MLOCK: what cannot be kept in memory is not shown. */
static void growth_that_cannot_be_locked_in_memory_is_undone(void **state)
{
	if (!memory_can_be_locked())
		t_skip(MLOCK_REASON);
	const struct filemap_options locked = {.flags = FILEMAP_MLOCK, .reserve = 1 << 20};
	struct filemap_error error = {0};
	struct filemap *map = create_with(state, 100, locked);
	fault_arm_call("mlock", 1, EAGAIN);
	assert_int_equal(filemap_resize(map, 50000, &error), -EAGAIN);
	fault_reset();
	assert_string_equal(error.step, "lock in memory");
	assert_int_equal(filemap_size(map), 100);
	assert_int_equal(t_file_size(filemap_path(map)), 100);
	assert_ok(filemap_resize(map, 50000, NULL));
	assert_content(map, 100);
	filemap_close(map);
}

/* A region of several pieces is mapped anew; whatever fails there, the old one stays. */
static void growth_of_a_split_region_fails_cleanly(void **state)
{
	if (!memory_can_be_locked())
		t_skip(MLOCK_REASON);
	const struct filemap_options locked = {.flags = FILEMAP_MLOCK | FILEMAP_DONTFORK};
	const char *const calls[] = {"map", "madvise", "mlock"};
	if (!split_is_refused())
		t_skip(SPLIT_REASON);
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		struct filemap *map = create_with(state, 50000, locked);
		const void *data = filemap_data(map);
		assert_ok(filemap_advise(map, FILEMAP_ADVICE_RANDOM, 8192, 4096));
		fault_arm_call(calls[i], 1, EIO);
		assert_int_equal(filemap_resize(map, 90000, NULL), -EIO);
		assert_true(fault_fired());
		fault_reset();
		assert_ptr_equal(filemap_data(map), data);
		assert_int_equal(t_file_size(filemap_path(map)), 50000);
		assert_content(map, 50000);
		assert_ok(filemap_resize(map, 90000, NULL));
		assert_content(map, 50000);
		filemap_close(map);
		t_census_same(*state);
	}
}

static void pinned_growth_is_refused_before_the_file_is_changed(void **state)
{
	struct filemap_error error = {0};
	struct filemap *map = create(state, 100);
	assert_ok(filemap_pin(map));
	fault_reset();
	fault_arm_call("remap", 1, ENOMEM);
	assert_int_equal(filemap_resize(map, 50000, &error), FILEMAP_EBUSY);
	assert_string_equal(error.subject, "pin");
	assert_int_equal(fault_count("fallocate"), 0);
	fault_reset();
	filemap_unpin(map);
	assert_ok(filemap_resize(map, 50000, NULL));
	assert_content(map, 100);
	filemap_close(map);
}

static void memory_resize_fails_cleanly_at_every_call(void **state)
{
	if (!memory_can_be_locked())
		t_skip(MLOCK_REASON);
	const char *const calls[] = {"remap", "map", "madvise", "mlock"};
	(void)state;
	if (!split_is_refused())
		t_skip(SPLIT_REASON);
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		struct filemap *map;
		fault_reset();
		assert_ok(filemap_anonymous(50000, FILEMAP_OPTIONS(.flags = FILEMAP_DONTFORK | FILEMAP_MLOCK),
					    &map, NULL));
		memset(filemap_data_mut(map), 0xAA, 50000);
		assert_ok(filemap_advise(map, FILEMAP_ADVICE_RANDOM, 8192, 4096));
		fault_arm_call(calls[i], 1, EIO);
		assert_int_equal(filemap_resize(map, 90000, NULL), -EIO);
		fault_reset();
		assert_int_equal(filemap_size(map), 50000);
		assert_content(map, 50000);
		assert_ok(filemap_resize(map, 90000, NULL));
		assert_content(map, 50000);
		assert_ok(filemap_resize(map, 100, NULL));
		assert_ok(filemap_resize(map, 90000, NULL));
		assert_content(map, 100);
		filemap_close(map);
	}
	fault_reset();
}

/* Pages that cannot be given back, because they are locked in memory, are cleared. */
static void memory_in_a_reserve_is_cleared_when_it_cannot_be_given_back(void **state)
{
	struct filemap *map;
	(void)state;
	assert_ok(filemap_anonymous(50000, FILEMAP_OPTIONS(.reserve = 1 << 20), &map, NULL));
	memset(filemap_data_mut(map), 0xAA, 50000);
	fault_arm_call("madvise", 1, EINVAL);
	assert_ok(filemap_resize(map, 100, NULL));
	assert_true(fault_fired());
	fault_reset();
	assert_ok(filemap_resize(map, 50000, NULL));
	assert_content(map, 100);
	filemap_close(map);
}

/* The kernel cannot refuse to cut off a tail; if it said so nevertheless, the tail is not used any more. */
static void tail_that_could_not_be_unmapped_is_not_used_again(void **state)
{
	struct filemap *map = create(state, 50000);
	fault_arm_call("unmap", 1, ENOMEM);
	assert_ok(filemap_resize(map, 100, NULL));
	assert_true(fault_fired());
	assert_int_equal(filemap_size(map), 100);
	assert_ok(filemap_resize(map, 40000, NULL));
	assert_int_equal(fault_count("remap"), 1);
	assert_content(map, 100);
	filemap_close(map);
	fault_reset();
}

/* Allocating and cutting back fail for real, through a descriptor that may only read. */
static void growth_that_cannot_be_undone_keeps_the_window(void **state)
{
	struct filemap_error error = {0};
	struct filemap *map = create(state, 100);
	const int kept = dup(filemap_fd(map)), fd = open(filemap_path(map), O_RDONLY | O_CLOEXEC);
	assert_true(dup3(fd, filemap_fd(map), O_CLOEXEC) >= 0);
	close(fd);
	assert_true(filemap_resize(map, 5000, &error) < 0);
	assert_string_equal(error.step, "clear old end");
	assert_non_null(error.hint);
	assert_int_equal(filemap_size(map), 100);
	assert_content(map, 100);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	assert_true(dup3(kept, filemap_fd(map), O_CLOEXEC) >= 0);
	close(kept);
	assert_ok(filemap_resize(map, 5000, NULL));
	filemap_close(map);
}

/* With a reserve the size is known without asking; not any more when the file kept what was to be undone. */
static void growth_that_could_not_be_undone_is_found_by_the_next_resize(void **state)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct filemap *map = create_with(state, 100, (struct filemap_options){.reserve = 16 * page});

	fault_arm_call("fallocate", 1, EIO);
	fault_arm_also("ftruncate", 1, EIO);
	assert_int_equal(filemap_resize(map, 2 * page, NULL), -EIO);
	fault_reset();
	assert_int_equal(t_file_size(filemap_path(map)), page); /* its old end was cleared */
	assert_int_equal(filemap_size(map), 100);
	assert_ok(filemap_resize(map, 200, NULL));
	assert_int_equal(t_file_size(filemap_path(map)), 200);
	assert_int_equal(filemap_size(map), 200);
	assert_content(map, 100);
	filemap_close(map);
}

static void cut_that_failed_gives_the_window_back(void **state)
{
	struct filemap_error error = {0};
	struct filemap *map = create(state, 5000);
	const int fd = open(filemap_path(map), O_RDONLY | O_CLOEXEC);
	assert_true(dup3(fd, filemap_fd(map), O_CLOEXEC) >= 0);
	close(fd);
	assert_true(filemap_resize(map, 100, &error) < 0); /* the file kept its size: so does the window */
	assert_int_equal(filemap_size(map), 5000);
	assert_content(map, 5000);
	filemap_close(map);
}

/* The cut fails for real, below the library, through a descriptor that may only read; then the look fails. */
static void poison_it(struct filemap *map, struct filemap_error *error)
{
	const int fd = open(filemap_path(map), O_RDONLY | O_CLOEXEC);
	assert_true(dup3(fd, filemap_fd(map), O_CLOEXEC) >= 0);
	close(fd);
	fault_arm_call_persistent("fstat", 2, EIO);
	assert_true(filemap_resize(map, 100, error) < 0);
	fault_reset();
}

static struct filemap *poison(void **state, struct filemap_error *error)
{
	struct filemap *map = create(state, 5000);
	poison_it(map, error);
	return map;
}

static void cut_with_unknown_outcome_poisons(void **state)
{
	struct filemap_error error;
	struct filemap *map = poison(state, &error);
	assert_non_null(error.hint);
	assert_string_equal(error.step, "truncate");
	assert_int_equal(filemap_state(map), FILEMAP_STATE_POISONED);
	assert_true(filemap_is_poisoned(map));
	assert_int_equal(filemap_poison_cause(map), error.code);
	assert_null(filemap_data(map));
	assert_null(filemap_data_mut(map));
	assert_int_equal(filemap_size(map), 0);
	filemap_close(map);
}

static void poisoned_mapping_refuses_all_but_close(void **state)
{
	struct filemap_error error;
	struct filemap *map = poison(state, &error);
	struct filemap_stat status;
	struct fm__flush flush;
	const void *slice;
	char byte;
	assert_int_equal(filemap_slice(map, 0, 0, &slice), FILEMAP_EPOISONED);
	assert_int_equal(filemap_read_some(map, 0, &byte, 1), FILEMAP_EPOISONED);
	assert_int_equal(filemap_write_all(map, 0, "x", 1), FILEMAP_EPOISONED);
	assert_int_equal(filemap_zero(map, 0, 0), FILEMAP_EPOISONED);
	assert_int_equal(filemap_flush(map), FILEMAP_EPOISONED);
	assert_int_equal(filemap_sync(map), FILEMAP_EPOISONED);
	assert_int_equal(filemap_resize(map, 10, &error), FILEMAP_EPOISONED);
	assert_string_equal(error.subject, "mapping");
	assert_int_equal(filemap_freeze(map, NULL), FILEMAP_EPOISONED);
	assert_int_equal(filemap_freeze_exec(map, NULL), FILEMAP_EPOISONED);
	assert_int_equal(filemap_thaw(map, NULL), FILEMAP_EPOISONED);
	assert_int_equal(filemap_refresh(map, NULL, NULL), FILEMAP_EPOISONED);
	assert_int_equal(filemap_pin(map), FILEMAP_EPOISONED);
	assert_int_equal(filemap_allocate(map, 0, 0, NULL), FILEMAP_EPOISONED);
	assert_int_equal(filemap_writeback(map, 0, 0), FILEMAP_EPOISONED);
	assert_int_equal(filemap_commit(map, 0, 0, 0, "", 0, NULL), FILEMAP_EPOISONED);
	assert_int_equal(filemap_close_truncated(map, 10, NULL), FILEMAP_EPOISONED);
	assert_null((void *)(uintptr_t)filemap_code(map, 0));
	assert_ok(filemap_stat(map, &status));
	assert_int_equal(status.size, 5000);
	assert_int_equal(fm__map_flush_begin(map, 0, 0, &flush), FILEMAP_EPOISONED);
	assert_non_null(filemap_path(map));
	filemap_close(map);
}

static void bytes_of_old_pages_never_reappear_with_any_page_size(void **state)
{
	for (size_t page = 4096; page <= 65536; page *= 4) {
		fault_page_size(page);
		struct filemap *map = create(state, 100);
		memset((char *)filemap_data_mut(map) + 100, 0xBB, 3000);
		assert_ok(filemap_resize(map, 4 * page, NULL));
		assert_content(map, 100);
		filemap_close(map);
	}
	fault_page_size(0);
}

static void window_at_an_offset_resizes_with_any_page_size(void **state)
{
	for (size_t page = 4096; page <= 65536; page *= 4) {
		const char *path = t_path(*state, "file");
		struct filemap *map;
		fault_page_size(page);
		remove(path);
		assert_ok(filemap_open(
			path, FILEMAP_WRITE,
			FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW, .size = 2 * page, .offset = page + 77),
			&map, NULL));
		assert_int_equal(filemap_size(map), page - 77);
		memset(filemap_data_mut(map), 0xAA, page - 77);
		assert_ok(filemap_resize(map, 7 * page + 5, NULL));
		assert_int_equal(filemap_size(map), 6 * page - 72);
		assert_content(map, page - 77);
		assert_ok(filemap_flush_range(map, page - 78, 2));
		assert_ok(filemap_resize(map, page + 80, NULL));
		assert_int_equal(filemap_size(map), 3);
		filemap_close(map);
	}
	fault_page_size(0);
}

/* Somebody who cooperates sees what is new as soon as the file has it, and stores there. */
struct neighbour {
	struct filemap *map;
	size_t at;
	bool stored;
};

static void store_what_is_new(void *context)
{
	struct neighbour *neighbour = context;
	assert_ok(filemap_refresh(neighbour->map, NULL, NULL));
	neighbour->stored = filemap_write_all(neighbour->map, neighbour->at, "theirs", 6) == 0;
}

static bool store_before(void **state, const char *call)
{
	const struct filemap_options together = {.sharing = FILEMAP_SHARING_COOPERATE};
	struct filemap *map = create_with(state, 100, together);
	struct neighbour neighbour = {NULL, 200, false};
	assert_ok(filemap_open(t_path(*state, "file"), FILEMAP_WRITE,
			       FILEMAP_OPTIONS(.sharing = FILEMAP_SHARING_COOPERATE), &neighbour.map, NULL));
	fault_hook(call, 1, store_what_is_new, &neighbour);
	assert_ok(filemap_resize(map, 50000, NULL));
	if (neighbour.stored)
		assert_memory_equal((const char *)filemap_data(map) + neighbour.at, "theirs", 6);
	filemap_close(neighbour.map);
	filemap_close(map);
	return neighbour.stored;
}

static void growth_never_clears_what_a_neighbour_stored_behind_the_old_end(void **state)
{
	const bool early = store_before(state, "pwrite"), late = store_before(state, "fallocate");
	assert_true(early || late);
}

static void poisoned_window_can_be_stored_to_and_so_forbids_execution(void **state)
{
	struct filemap_error error;
	struct filemap *map = create(state, 5000), *window, *other;
	assert_ok(filemap_window(map, FILEMAP_READ, 0, 50, &window, NULL));
	poison_it(map, &error);
	assert_true(filemap_is_poisoned(map));
	assert_int_equal(filemap_freeze_exec(window, NULL), FILEMAP_EBUSY);
	assert_int_equal(filemap_window(window, FILEMAP_EXEC, 0, 50, &other, NULL), FILEMAP_EMODE);
	filemap_close(map);
	assert_ok(filemap_freeze_exec(window, NULL));
	filemap_close(window);
}

T_MAIN(T_TEST(growth_fails_cleanly_at_every_call), T_TEST(shrinking_fails_cleanly_at_every_call),
       T_TEST(tail_that_could_not_be_unmapped_is_not_used_again),
       T_TEST(growth_that_cannot_be_undone_keeps_the_window),
       T_TEST(growth_that_could_not_be_undone_is_found_by_the_next_resize),
       T_TEST(cut_that_failed_gives_the_window_back), T_TEST(cut_with_unknown_outcome_poisons),
       T_TEST(poisoned_mapping_refuses_all_but_close),
       T_TEST(bytes_of_old_pages_never_reappear_with_any_page_size),
       T_TEST(window_at_an_offset_resizes_with_any_page_size),
       T_TEST(cooperating_growth_that_fails_leaves_the_file_longer),
       T_TEST(growth_that_is_interrupted_while_waiting_changes_nothing),
       T_TEST(sparse_growth_together_never_truncates),
       T_TEST(growth_that_cannot_be_locked_in_memory_is_undone),
       T_TEST(growth_of_a_split_region_fails_cleanly),
       T_TEST(pinned_growth_is_refused_before_the_file_is_changed),
       T_TEST(memory_resize_fails_cleanly_at_every_call),
       T_TEST(memory_in_a_reserve_is_cleared_when_it_cannot_be_given_back),
       T_TEST(nobody_grows_between_the_look_and_the_clearing),
       T_TEST(growth_never_clears_what_a_neighbour_stored_behind_the_old_end),
       T_TEST(poisoned_window_can_be_stored_to_and_so_forbids_execution))
