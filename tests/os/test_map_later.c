/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Flushing, prefaulting, committing and removing in parts, driven as the queue does: each comes to what its synchronous
 * twin comes to, can be called off, and can be ended after the mapping was closed.
 */
#include "t.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <filemap/guard.h>

#include "later.h"

#define TMPFS_TYPE 0x01021994

static struct filemap *create_named(void **state, const char *name, uint64_t size,
				    struct filemap_options options)
{
	return later_create(*state, name, size, options);
}

static struct filemap *create(void **state, uint64_t size)
{
	return create_named(state, "file", size, (struct filemap_options){0});
}

/* ---- flush, sync, writeback ---- */

static void flush_outlives_the_mapping(void **state)
{
	struct filemap *map = create(state, 3 * PAGE);
	struct fm__flush flush;

	assert_ok(fm__map_flush_begin(map, PAGE + 1, 1, &flush));
	assert_non_null(flush.backing);
	assert_int_equal(flush.offset, PAGE);
	assert_int_equal(flush.length, PAGE);
	assert_int_equal(filemap_try_close(map), FILEMAP_EBUSY);
	filemap_close(map);
	assert_ok(fm__map_flush_end(&flush, fm__sys_flush_range(flush.fd, flush.offset, flush.length, NULL)));
	assert_null(flush.backing);
}

static void nothing_to_flush_holds_nothing(void **state)
{
	struct filemap *map = create(state, PAGE), *memory;
	struct fm__flush flush;

	assert_ok(fm__map_flush_begin(map, PAGE, 0, &flush));
	assert_null(flush.backing);
	assert_ok(fm__map_flush_end(&flush, 0));
	assert_int_equal(fm__map_flush_begin(map, PAGE, 1, &flush), FILEMAP_ERANGE);
	assert_int_equal(fm__map_writeback_begin(map, 0, PAGE + 1, &flush), FILEMAP_ERANGE);
	assert_ok(filemap_anonymous(PAGE, NULL, &memory, NULL));
	assert_ok(fm__map_flush_begin(memory, 0, PAGE, &flush));
	assert_null(flush.backing);
	assert_ok(fm__map_sync_begin(memory, &flush));
	assert_null(flush.backing);
	assert_ok(fm__map_writeback_begin(memory, 0, PAGE, &flush));
	assert_null(flush.backing);
	assert_ok(fm__map_writeback_end(&flush, 0));
	filemap_close(memory);
	assert_ok(filemap_try_close(map));
}

static void noted_failure_taints_at_once_and_reaches_those_beside_it(void **state)
{
	struct filemap *map = create(state, 2 * PAGE);
	struct fm__flush first, second, third;
	uint64_t offset, length;

	assert_ok(fm__map_flush_begin(map, 0, PAGE, &first));
	assert_ok(fm__map_sync_begin(map, &second));
	fm__map_flush_note(&first, -EIO);
	fm__map_flush_note(&first, -EIO);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE | FILEMAP_STATE_TAINTED);
	assert_int_equal(filemap_doubt(map, &offset, &length), 1);
	assert_int_equal(offset, 0);
	assert_int_equal(length, 2 * PAGE);
	assert_int_equal(fm__map_flush_begin(map, 0, 1, &third), FILEMAP_EPOISONED);
	assert_int_equal(fm__map_sync_begin(map, &third), FILEMAP_EPOISONED);
	assert_int_equal(fm__map_flush_end(&second, 0), FILEMAP_EPOISONED);
	assert_int_equal(fm__map_flush_end(&first, -EIO), -EIO);
	assert_int_equal(filemap_poison_cause(map), -EIO);
	filemap_close(map);
}

static void what_was_never_begun_taints_nothing(void **state)
{
	const int never[] = {-EINTR, -ECANCELED, -EAGAIN};
	struct filemap *map = create(state, PAGE);

	for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
		struct fm__flush flush;

		assert_ok(fm__map_flush_begin(map, 0, PAGE, &flush));
		fm__map_flush_note(&flush, never[i]);
		assert_int_equal(fm__map_flush_end(&flush, never[i]), never[i]);
	}
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	assert_ok(filemap_flush(map));
	assert_ok(filemap_try_close(map));
}

static void failed_writeback_taints_nothing(void **state)
{
	struct filemap *map = create(state, PAGE);
	struct fm__flush flush;

	assert_ok(fm__map_writeback_begin(map, 0, FILEMAP_TO_END, &flush));
	assert_non_null(flush.backing);
	assert_int_equal(fm__map_writeback_end(&flush, -EIO), -EIO);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	assert_ok(fm__map_writeback_begin(map, 0, FILEMAP_TO_END, &flush));
	assert_ok(fm__map_writeback_end(&flush, fm__sys_writeback_range(flush.fd, 0, PAGE)));
	assert_ok(filemap_try_close(map));
}

static void memory_file_system_is_told_from_a_device(void **state)
{
	struct filemap *map = create(state, PAGE), *other;
	char path[] = "/dev/shm/filemap-later-XXXXXX";
	struct fm__flush flush;
	struct statfs status;
	int fd;

	assert_ok(statfs(filemap_path(map), &status));
	assert_ok(fm__map_sync_begin(map, &flush));
	assert_int_equal(flush.is_memory, status.f_type == TMPFS_TYPE);
	assert_ok(fm__map_flush_end(&flush, 0));
	filemap_close(map);
	if (statfs("/dev/shm", &status) < 0 || status.f_type != TMPFS_TYPE)
		t_skip("/dev/shm is no tmpfs");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_ok(ftruncate(fd, (off_t)PAGE));
	close(fd);
	assert_ok(filemap_open(path, FILEMAP_WRITE, NULL, &other, NULL));
	assert_ok(fm__map_flush_begin(other, 0, PAGE, &flush));
	assert_int_equal(flush.is_memory, 1);
	assert_ok(fm__map_flush_end(&flush, 0));
	filemap_close(other);
	assert_ok(unlink(path));
}

static struct fm__flush inherited;

static int end_in_child(void *unused)
{
	(void)unused;
	fm__map_flush_note(&inherited, -EIO);
	return fm__map_flush_end(&inherited, -EIO) == FILEMAP_EFORKED ? 7 : 1;
}

static void flush_of_the_parent_is_not_the_child_s_to_end(void **state)
{
	struct filemap *map = create(state, PAGE);

	assert_ok(fm__map_flush_begin(map, 0, PAGE, &inherited));
	assert_int_equal(t_in_child(end_in_child, NULL), 7);
	assert_ok(fm__map_flush_end(&inherited, 0));
	assert_ok(filemap_try_close(map));
}

/* ---- prefault ---- */

static void prefault_is_checked_pinned_and_answered(void **state)
{
	struct filemap *map = create(state, 3 * PAGE);
	struct fm__prefault prefault;

	assert_int_equal(fm__map_prefault_begin(map, 7, 0, 1, &prefault), FILEMAP_EOPTION);
	assert_int_equal(fm__map_prefault_begin(map, FILEMAP_PREFAULT_READ, 0, 4 * PAGE, &prefault),
			 FILEMAP_ERANGE);
	assert_ok(fm__map_prefault_begin(map, FILEMAP_PREFAULT_WRITE, PAGE + 5, 1, &prefault));
	assert_ptr_equal(prefault.at, (char *)filemap_data_mut(map) + PAGE);
	assert_int_equal(prefault.length, PAGE);
	assert_int_equal(filemap_try_close(map), FILEMAP_EBUSY);
	assert_int_equal(fm__map_prefault_advice(&prefault), MADV_POPULATE_WRITE);
	assert_ok(fm__map_prefault_answer(&prefault, 0));
	assert_ok(fm__map_prefault_answer(&prefault, -EINVAL)); /* by hand */
	assert_int_equal(fm__map_prefault_answer(&prefault, -EFAULT), FILEMAP_EFAULT);
	assert_int_equal(fm__map_prefault_answer(&prefault, -ENOMEM), -ENOMEM);
	filemap_unpin(map);
	assert_ok(filemap_freeze(map, NULL));
	assert_int_equal(fm__map_prefault_begin(map, FILEMAP_PREFAULT_WRITE, 0, 1, &prefault), FILEMAP_EMODE);
	assert_ok(fm__map_prefault_begin(map, FILEMAP_PREFAULT_READ, 0, 0, &prefault));
	assert_int_equal(prefault.length, 0);
	assert_int_equal(fm__map_prefault_advice(&prefault), MADV_POPULATE_READ);
	filemap_close(map);
	filemap_unpin(map);
}

static void prefault_by_hand_finds_pages_that_are_gone(void **state)
{
	struct filemap *map = create(state, 3 * PAGE);
	struct fm__prefault prefault;

	assert_ok(truncate(filemap_path(map), (off_t)PAGE));
	assert_ok(fm__map_prefault_begin(map, FILEMAP_PREFAULT_READ, 0, FILEMAP_TO_END, &prefault));
	assert_int_equal(fm__map_prefault_answer(&prefault, -EINVAL), FILEMAP_EFAULT);
	filemap_unpin(map);
	filemap_close(map);
}

/* ---- commit ---- */

static void commit_is_checked_and_its_header_stored(void **state)
{
	struct filemap *map = create(state, 2 * PAGE);
	size_t length = FILEMAP_TO_END;

	assert_ok(fm__map_commit_check(map, PAGE, &length, 0, "head", 4, NULL));
	assert_int_equal(length, PAGE);
	assert_int_equal(fm__map_commit_check(map, 0, &length, 0, "head", 4, NULL), FILEMAP_EOPTION);
	length = 1;
	assert_int_equal(fm__map_commit_check(map, 0, &length, 2 * PAGE, "head", 4, NULL), FILEMAP_ERANGE);
	assert_int_equal(fm__map_commit_check(map, 0, &length, PAGE, "head", FILEMAP_TO_END, NULL),
			 FILEMAP_EOPTION);
	assert_ok(fm__map_commit_store(map, 0, "head", 4));
	assert_memory_equal(filemap_data(map), "head", 4);
	assert_ok(filemap_resize(map, PAGE, NULL));
	assert_int_equal(fm__map_commit_store(map, PAGE - 1, "head", 4), FILEMAP_ERANGE);
	assert_ok(filemap_freeze(map, NULL));
	assert_int_equal(fm__map_commit_store(map, 0, "lost", 4), FILEMAP_EMODE);
	assert_memory_equal(filemap_data(map), "head", 4);
	filemap_close(map);
}

/* No handler is installed in this program, before the second time. */
static void header_whose_page_is_gone_is_an_error_not_a_signal(void **state)
{
	struct filemap *map = create(state, 3 * PAGE);

	assert_ok(truncate(filemap_path(map), (off_t)PAGE));
	assert_int_equal(fm__map_commit_store(map, 2 * PAGE, "head", 4), FILEMAP_EFAULT);
	assert_ok(filemap_guard_install(NULL));
	assert_int_equal(fm__map_commit_store(map, 2 * PAGE, "head", 4), FILEMAP_EFAULT);
	assert_ok(fm__map_commit_store(map, 0, "head", 4));
	filemap_close(map);
}

/* ---- remove ---- */

static int answer_errno;

static int do_not_make(const struct fm__call *call)
{
	return call->kind == FM_CALL_NONE ? 0 : -answer_errno;
}

#define NAME_STATES (FILEMAP_STATE_NEEDS_UNLINK | FILEMAP_STATE_NEEDS_PARENT_SYNC | FILEMAP_STATE_REMOVED)

static void removal_is_told_by_its_end(void **state)
{
	struct filemap *map = create(state, 100);
	struct fm__removing removing;
	struct fm__call call;

	assert_ok(fm__map_remove_begin(map, &removing, NULL));
	assert_int_equal(t_file_size(filemap_path(map)), 100);
	assert_ok(fm__map_remove_prepare(&removing, &call, NULL));
	assert_int_equal(call.kind, FM_CALL_SYNC);
	assert_int_equal(t_file_size(filemap_path(map)), -1);
	assert_int_equal(filemap_state(map) & NAME_STATES, 0);
	assert_ok(fm__map_remove_answer(&removing, fm__call_run(&call), NULL));
	assert_ok(fm__map_remove_end(&removing, 0, NULL));
	assert_int_equal(filemap_state(map) & NAME_STATES, FILEMAP_STATE_REMOVED);
	assert_ok(later_remove(map, NULL)); /* once more: nothing to do */
	assert_ok(filemap_try_close(map));
}

/* The removal through another window needs the exclusive lock until it is over. */
static void lock_is_not_shared_by_freezing_while_a_removal_is_in_flight(void **state)
{
	const struct filemap_options options = {.flags = FILEMAP_DOWNGRADE_ON_FREEZE};
	struct filemap *map = create_named(state, "file", 100, options), *window;
	struct filemap_error error = {0};
	struct fm__removing removing;

	assert_ok(filemap_window(map, FILEMAP_READ, 0, 0, &window, NULL));
	assert_ok(fm__map_remove_begin(window, &removing, NULL));
	assert_int_equal(filemap_freeze(map, &error), FILEMAP_EBUSY);
	assert_string_equal(error.subject, "asynchronous change");
	assert_int_equal(filemap_lock_state(map), FILEMAP_EXCLUSIVE_LOCK);
	assert_non_null(filemap_data_mut(map));
	assert_ok(fm__map_remove_end(&removing, later_unlink(&removing, fm__call_run, NULL), NULL));
	assert_ok(filemap_freeze(map, NULL));
	filemap_close(window);
	filemap_close(map);
}

static void notices_are_told_again(void **state)
{
	struct filemap *map = create(state, 100);

	assert_ok(link(filemap_path(map), t_path(*state, "second")));
	assert_int_equal(later_remove(map, NULL), FILEMAP_STILL_LINKED);
	assert_int_equal(later_remove(map, NULL), FILEMAP_STILL_LINKED);
	assert_int_equal(filemap_remove(map, NULL), FILEMAP_STILL_LINKED);
	filemap_close(map);
}

static void removal_is_refused_by_begin_as_it_is_at_once(void **state)
{
	struct filemap_error one = {0}, other = {0};
	struct fm__removing removing;
	struct filemap *map = create(state, 100);

	assert_ok(filemap_unlock(map));
	assert_int_equal(fm__map_remove_begin(map, &removing, &one), FILEMAP_ELOCKED);
	assert_int_equal(filemap_remove(map, &other), FILEMAP_ELOCKED);
	assert_memory_equal(&one, &other, sizeof one);
	filemap_close(map);
	assert_ok(filemap_open(t_path(*state, "file"), FILEMAP_READ, NULL, &map, NULL));
	assert_int_equal(fm__map_remove_begin(map, &removing, NULL), FILEMAP_EMODE);
	filemap_close(map);
	assert_ok(filemap_anonymous(100, NULL, &map, NULL));
	assert_ok(later_remove(map, NULL));
	assert_ok(filemap_try_close(map));
}

static void failed_sync_is_all_that_is_repeated(void **state)
{
	struct filemap *map = create(state, 100);
	struct filemap_error error = {0};

	answer_errno = EIO;
	assert_int_equal(later_remove_by(map, do_not_make, &error), FILEMAP_EUNSYNCED);
	assert_int_equal(error.sys_errno, EIO);
	assert_string_equal(error.detail, filemap_path(map));
	assert_int_equal(filemap_state(map) & NAME_STATES, FILEMAP_STATE_NEEDS_PARENT_SYNC);
	t_write_file(filemap_path(map), "new", 3); /* another one of the name: it stays */
	assert_ok(later_remove(map, NULL));
	assert_int_equal(filemap_state(map) & NAME_STATES, FILEMAP_STATE_REMOVED);
	assert_int_equal(t_file_size(filemap_path(map)), 3);
	filemap_close(map);
}

static void sync_that_was_not_made_is_made_by_hand(void **state)
{
	const int never[] = {EINTR, EAGAIN, ECANCELED};

	for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
		struct filemap *map = create(state, 100);

		answer_errno = never[i];
		assert_ok(later_remove_by(map, do_not_make, NULL));
		assert_int_equal(filemap_state(map) & NAME_STATES, FILEMAP_STATE_REMOVED);
		filemap_close(map);
	}
}

static void foreign_file_stays_and_close_tries_once_more(void **state)
{
	struct filemap *map = create(state, 100);
	char path[512];

	snprintf(path, sizeof path, "%s", filemap_path(map));
	assert_ok(rename(path, t_path(*state, "aside")));
	t_write_file(path, "foreign", 7);
	assert_int_equal(later_remove(map, NULL), FILEMAP_EREPLACED);
	assert_int_equal(filemap_state(map) & NAME_STATES, FILEMAP_STATE_NEEDS_UNLINK);
	assert_ok(rename(t_path(*state, "aside"), path));
	filemap_close(map);
	assert_int_equal(t_file_size(path), -1);
}

static void closed_mapping_is_removed_and_goes_with_the_end(void **state)
{
	const struct filemap_options at_close = {.flags = FILEMAP_REMOVE_ON_CLOSE};
	struct filemap *map = create_named(state, "file", 100, at_close);
	struct fm__removing removing;

	assert_ok(fm__map_remove_begin(map, &removing, NULL));
	filemap_close(map);
	assert_int_equal(t_file_size(t_path(*state, "file")), 100);
	assert_ok(fm__map_remove_end(&removing, later_unlink(&removing, fm__call_run, NULL), NULL));
	assert_int_equal(t_file_size(t_path(*state, "file")), -1);
	map = create_named(state, "file", 100, at_close);
	assert_ok(fm__map_remove_begin(map, &removing, NULL));
	filemap_close(map);
	assert_int_equal(fm__map_remove_end(&removing, -ECANCELED, NULL), -ECANCELED);
	assert_int_equal(t_file_size(t_path(*state, "file")), -1); /* by the close that the pin put off */
}

static struct fm__removing removing_of_parent;

static int end_remove_in_child(void *context)
{
	(void)context;
	return fm__map_remove_end(&removing_of_parent, 0, NULL) == FILEMAP_EFORKED ? 7 : 1;
}

static void removal_of_the_parent_is_not_the_child_s_to_end(void **state)
{
	struct filemap *map = create(state, 100);
	int r;

	assert_ok(fm__map_remove_begin(map, &removing_of_parent, NULL));
	assert_int_equal(t_in_child(end_remove_in_child, map), 7);
	assert_int_equal(t_file_size(filemap_path(map)), 100);
	r = later_unlink(&removing_of_parent, fm__call_run, NULL);
	assert_ok(fm__map_remove_end(&removing_of_parent, r, NULL));
	assert_int_equal(t_file_size(filemap_path(map)), -1);
	filemap_close(map);
}

T_MAIN(T_TEST(flush_outlives_the_mapping), T_TEST(nothing_to_flush_holds_nothing),
       T_TEST(noted_failure_taints_at_once_and_reaches_those_beside_it),
       T_TEST(what_was_never_begun_taints_nothing), T_TEST(failed_writeback_taints_nothing),
       T_TEST(memory_file_system_is_told_from_a_device),
       T_TEST(flush_of_the_parent_is_not_the_child_s_to_end), T_TEST(prefault_is_checked_pinned_and_answered),
       T_TEST(prefault_by_hand_finds_pages_that_are_gone), T_TEST(commit_is_checked_and_its_header_stored),
       T_TEST(header_whose_page_is_gone_is_an_error_not_a_signal), T_TEST(removal_is_told_by_its_end),
       T_TEST(lock_is_not_shared_by_freezing_while_a_removal_is_in_flight), T_TEST(notices_are_told_again),
       T_TEST(removal_is_refused_by_begin_as_it_is_at_once), T_TEST(failed_sync_is_all_that_is_repeated),
       T_TEST(sync_that_was_not_made_is_made_by_hand), T_TEST(foreign_file_stays_and_close_tries_once_more),
       T_TEST(closed_mapping_is_removed_and_goes_with_the_end),
       T_TEST(removal_of_the_parent_is_not_the_child_s_to_end))
