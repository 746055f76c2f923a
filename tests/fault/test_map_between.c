/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What somebody else does between two system calls of opening and resizing: the size, the type and the name
 * that count are those that are true under the lock, and nobody else's file is removed or cut.
 */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "fault.h"
#include "split.h"

static const char *path, *other_path;
static int locking_fd = -1;

static void make_files(void **state)
{
	path = t_path(*state, "file");
	other_path = t_path(*state, "other");
	t_write_file(path, "hello", 5);
	t_write_file(other_path, "other", 5);
	fault_reset();
}

static void lengthen(void *context)
{
	(void)context;
	assert_ok(truncate(path, 9000));
}

static void replace(void *context)
{
	(void)context;
	assert_ok(rename(other_path, path));
}

static void replace_by_fifo(void *context)
{
	(void)context;
	assert_ok(unlink(path));
	assert_ok(mkfifo(path, 0600));
}

static void put_in_place_of(void *context)
{
	const int fd = open(other_path, O_RDWR | O_CLOEXEC);
	assert_true(dup3(fd, *(int *)context, O_CLOEXEC) >= 0);
	close(fd);
}

static void lock_it(void *context)
{
	(void)context;
	locking_fd = open(path, O_RDWR | O_CLOEXEC);
	assert_ok(flock(locking_fd, LOCK_EX | LOCK_NB));
}

static void close_it(void *context)
{
	filemap_close(context);
}

static void size_is_that_under_the_lock(void **state)
{
	const unsigned modes[] = {FILEMAP_READ, FILEMAP_WRITE};
	for (size_t i = 0; i < 2; i++) {
		struct filemap *map;
		int fd;
		make_files(state);
		fault_hook("flock", 1, lengthen, NULL);
		assert_ok(filemap_open(path, modes[i], NULL, &map, NULL));
		assert_int_equal(filemap_size(map), 9000);
		filemap_close(map);
		make_files(state);
		fd = open(path, O_RDWR | O_CLOEXEC);
		fault_hook("flock", 1, lengthen, NULL);
		assert_ok(filemap_open_fd(fd, modes[i], NULL, &map, NULL));
		assert_int_equal(filemap_size(map), 9000);
		filemap_close(map);
		close(fd);
	}
	fault_reset();
}

/* Those who cooperate give a size under a lock of its own: who comes second finds it. */
static void size_for_an_empty_file_is_given_once_among_cooperators(void **state)
{
	struct filemap *map;
	make_files(state);
	t_write_file(path, "", 0);
	fault_hook("ofd_lock", 1, lengthen, NULL);
	assert_ok(filemap_open(path, FILEMAP_WRITE,
			       FILEMAP_OPTIONS(.size = 100, .sharing = FILEMAP_SHARING_COOPERATE), &map,
			       NULL));
	assert_int_equal(filemap_size(map), 9000);
	filemap_close(map);
	fault_reset();
}

static void type_is_that_of_what_was_opened(void **state)
{
	const unsigned modes[] = {FILEMAP_READ, FILEMAP_WRITE};
	for (size_t i = 0; i < 2; i++) {
		struct filemap_error error;
		struct filemap *map;
		make_files(state);
		fault_hook("openat", i == 0 ? 1 : 2, replace_by_fifo, NULL); /* the parent is opened before */
		assert_int_equal(filemap_open(path, modes[i], NULL, &map, &error), -ENODEV);
		assert_string_equal(error.step, "check file type");
		t_census_same(*state);
		assert_ok(unlink(path));
	}
	fault_reset();
}

static void descriptor_that_means_another_file_meanwhile_is_refused(void **state)
{
	struct filemap *map;
	make_files(state);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	fault_hook("reopen", 1, put_in_place_of, &fd);
	assert_int_equal(filemap_open_fd(fd, FILEMAP_WRITE, NULL, &map, NULL), FILEMAP_EREPLACED);
	fault_reset();
	close(fd);
	t_census_same(*state);
}

/* Whoever holds its lock relies on it. */
static void new_file_that_somebody_has_locked_is_not_removed(void **state)
{
	struct filemap *map;
	make_files(state);
	assert_ok(unlink(path));
	fault_hook("flock", 1, lock_it, NULL);
	assert_int_equal(
		filemap_open(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE), &map, NULL),
		FILEMAP_ELOCKED);
	fault_reset();
	assert_int_equal(t_file_size(path), 0);
	close(locking_fd);
}

static void file_that_took_the_name_of_a_new_one_is_not_removed(void **state)
{
	char bytes[8];
	struct filemap *map;
	make_files(state);
	assert_ok(unlink(path));
	fault_arm_call("fsync", 1, EIO);
	fault_hook("fsync", 1, replace, NULL);
	assert_int_equal(
		filemap_open(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE), &map, NULL),
		-EIO);
	fault_reset();
	assert_int_equal(t_read_file(path, bytes, sizeof bytes), 5);
	assert_memory_equal(bytes, "other", 5);
}

/* In the very last moment, behind the last look at the name. */
static void file_that_takes_the_name_while_a_new_one_goes_comes_back(void **state)
{
	char bytes[5];
	struct filemap *map;
	make_files(state);
	assert_ok(unlink(path));
	fault_arm_call("fallocate", 1, ENOSPC);
	fault_hook("move", 1, replace, NULL);
	assert_int_equal(filemap_open(path, FILEMAP_WRITE,
				      FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW, .size = 4096), &map, NULL),
			 -ENOSPC);
	fault_reset();
	assert_int_equal(t_read_file(path, bytes, sizeof bytes), 5);
	assert_memory_equal(bytes, "other", 5);
}

static void take_the_name(void *context)
{
	(void)context;
	t_write_file(path, "third", 5);
}

static void replace_and_then_take_the_name(void *context)
{
	replace(context);
	fault_hook("move", 1, take_the_name, NULL); /* the next one, which moves back */
}

/* It cannot come back: whoever failed to open is told where it is. */
static void file_that_cannot_come_back_is_told(void **state)
{
	const struct t_dir *dir = *state;
	struct filemap_error error;
	struct filemap *map;
	char bytes[5];
	make_files(state);
	assert_ok(unlink(path));
	fault_arm_call("fallocate", 1, ENOSPC);
	fault_hook("move", 1, replace_and_then_take_the_name, NULL);
	assert_int_equal(filemap_open(path, FILEMAP_WRITE,
				      FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW, .size = 4096), &map,
				      &error),
			 -ENOSPC);
	fault_reset();
	assert_int_equal(error.code, -ENOSPC);
	assert_int_equal(strncmp(error.detail, ".file.", 6), 0);
	assert_int_equal(t_read_file(t_path(dir, error.detail), bytes, sizeof bytes), 5);
	assert_memory_equal(bytes, "other", 5);
	assert_int_equal(t_read_file(t_path(dir, "file"), bytes, sizeof bytes), 5);
	assert_memory_equal(bytes, "third", 5);
}

static void lock_that_is_given_back_while_waiting_is_had(void **state)
{
	const uint32_t waits[] = {3600000, FILEMAP_FOREVER};
	for (size_t i = 0; i < 2; i++) {
		struct filemap *map, *other;
		make_files(state);
		assert_ok(filemap_open(path, FILEMAP_WRITE, NULL, &other, NULL));
		fault_hook("sleep_ms", 2, close_it, other);
		assert_ok(filemap_open(path, FILEMAP_READ, FILEMAP_OPTIONS(.lock_wait_ms = waits[i]), &map,
				       NULL));
		assert_ok(filemap_open(path, FILEMAP_READ, NULL, &other, NULL));
		fault_hook("sleep_ms", 2, close_it, other);
		assert_ok(filemap_unlock(map));
		assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, waits[i], NULL));
		filemap_close(map);
	}
	fault_reset();
}

/* The kernel says that it could not cut, and the file has a size for which nobody can answer. */
static void cut_to_some(void *context)
{
	assert_ok(truncate(path, *(const off_t *)context));
	fault_arm_call("ftruncate", 1, EIO);
}

static int cut_meanwhile(off_t size, struct filemap **ret, struct filemap_error *error)
{
	int r;
	assert_ok(filemap_open(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_TRUNCATE, .size = 5000),
			       ret, NULL));
	fault_reset();
	fault_hook("ftruncate", 1, cut_to_some, &size);
	r = filemap_resize(*ret, 100, error);
	fault_reset();
	return r;
}

static void cut_that_failed_with_a_third_size_poisons(void **state)
{
	struct filemap_error error;
	struct filemap *map;
	make_files(state);
	assert_int_equal(cut_meanwhile(3000, &map, &error), -EIO);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_POISONED);
	assert_int_equal(filemap_poison_cause(map), -EIO);
	assert_int_equal(filemap_size(map), 0);
	filemap_close(map);
}

static void cut_that_failed_and_was_done_cuts_the_window(void **state)
{
	struct filemap_error error;
	struct filemap *map;
	make_files(state);
	assert_int_equal(cut_meanwhile(100, &map, &error), -EIO);
	assert_non_null(error.hint);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	assert_int_equal(filemap_size(map), 100);
	assert_ok(filemap_resize(map, 5000, NULL));
	assert_int_equal(t_file_size(path), 5000);
	filemap_close(map);
}

static void fail_this_cut(void *context)
{
	(void)context;
	fault_arm_call("ftruncate", 1, EIO);
}

/* Part of the blocks are there when it fails. */
static void grow_and_fail(void *context)
{
	lengthen(NULL);
	fault_arm_call("fallocate", 1, EIO);
	if (context)
		fault_hook("ftruncate", 1, fail_this_cut, NULL);
}

/* Then the file's size is not what the window says any more, and the next change looks at it. */
static void growth_that_could_not_be_undone_is_looked_at_by_the_next_one(void **state)
{
	for (int undone = 0; undone < 2; undone++) {
		struct filemap_error error = {0};
		struct filemap *map;
		make_files(state);
		assert_ok(filemap_open(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.reserve = 1 << 20), &map, NULL));
		fault_hook("fallocate", 1, grow_and_fail, undone ? NULL : &map);
		assert_int_equal(filemap_resize(map, 50000, &error), -EIO);
		fault_reset();
		assert_int_equal(filemap_size(map), 5);
		assert_int_equal(t_file_size(path), undone ? 5 : 9000);
		assert_int_equal(error.hint == NULL, undone);
		assert_ok(filemap_resize(map, 6, NULL));
		assert_int_equal(filemap_size(map), 6);
		assert_int_equal(t_file_size(path), 6);
		filemap_close(map);
	}
}

struct look {
	const struct filemap *map;
	size_t size; /* at the time of the call */
};

static void look_at_size(void *context)
{
	struct look *look = context;
	look->size = filemap_size(look->map);
}

/* Who reads the view at the same time never sees a byte that is gone. */
static void window_is_smaller_before_its_bytes_are_gone(void **state)
{
	struct filemap *map;
	make_files(state);
	assert_ok(filemap_open(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_TRUNCATE, .size = 50000),
			       &map, NULL));
	struct look look = {map, 0};
	fault_hook("ftruncate", 1, look_at_size, &look);
	assert_ok(filemap_resize(map, 30000, NULL));
	assert_int_equal(look.size, 30000);
	assert_ok(truncate(path, 10000));
	fault_hook("unmap", 1, look_at_size, &look);
	assert_ok(filemap_refresh(map, NULL, NULL));
	assert_int_equal(look.size, 10000);
	filemap_close(map);
	assert_ok(filemap_anonymous(50000, NULL, &map, NULL));
	look.map = map;
	fault_hook("unmap", 1, look_at_size, &look);
	assert_ok(filemap_resize(map, 20000, NULL));
	assert_int_equal(look.size, 20000);
	fault_reset();
	filemap_close(map);
}

static void put_target(void *context)
{
	t_write_file(context, "made", 4);
}

/* CREATE does not go through a link to nothing; one that leads somewhere by now is looked at again. */
static void link_that_leads_somewhere_meanwhile_is_followed(void **state)
{
	char target[512];
	struct filemap *map;
	make_files(state);
	snprintf(target, sizeof target, "%s", t_path(*state, "target"));
	for (int mapped = 0; mapped < 2; mapped++) {
		int fd = -1;
		assert_ok(unlink(path));
		assert_ok(symlink(target, path));
		fault_reset();
		fault_hook("fstatat", 3, put_target, target); /* nothing there; a link; to what? */
		if (mapped) {
			assert_ok(filemap_open(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE),
					       &map, NULL));
			assert_int_equal(filemap_size(map), 4);
			filemap_close(map);
		} else {
			assert_ok(filemap_file_open(path, FILEMAP_FILE_WRITE | FILEMAP_FILE_CREATE, 0, &fd,
						    NULL));
			close(fd);
		}
		assert_ok(unlink(target));
	}
	fault_reset();
}

/* MLOCK with a reserve: what cannot be kept in memory is not shown. */
static void refresh_that_cannot_be_locked_in_memory_shows_nothing_new(void **state)
{
	if (!memory_can_be_locked())
		t_skip(MLOCK_REASON);
	struct filemap_error error;
	struct filemap *map;
	make_files(state);
	assert_ok(filemap_open(path, FILEMAP_READ,
			       FILEMAP_OPTIONS(.flags = FILEMAP_MLOCK, .reserve = 1 << 20), &map, NULL));
	lengthen(NULL);
	fault_arm_call("mlock", 1, EAGAIN);
	assert_int_equal(filemap_refresh(map, NULL, &error), -EAGAIN);
	fault_reset();
	assert_string_equal(error.step, "lock in memory");
	assert_int_equal(filemap_size(map), 5);
	assert_ok(filemap_refresh(map, NULL, NULL));
	assert_int_equal(filemap_size(map), 9000);
	filemap_close(map);
	assert_ok(filemap_anonymous(100, FILEMAP_OPTIONS(.flags = FILEMAP_MLOCK, .reserve = 1 << 20), &map,
				    NULL));
	fault_arm_call("mlock", 1, EAGAIN);
	assert_int_equal(filemap_resize(map, 50000, NULL), -EAGAIN);
	fault_reset();
	assert_int_equal(filemap_size(map), 100);
	filemap_close(map);
}

static void failed_sync_through_a_window_leaves_the_whole_file_in_doubt(void **state)
{
	uint64_t offset = 1, length = 0;
	struct filemap *map;
	make_files(state);
	assert_ok(truncate(path, 100000));
	assert_ok(filemap_open(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.offset = 5000, .length = 100), &map,
			       NULL));
	fault_arm_call("fsync", 1, EIO);
	assert_int_equal(filemap_sync(map), -EIO);
	fault_reset();
	assert_int_equal(filemap_doubt(map, &offset, &length), 1);
	assert_int_equal(offset, 0);
	assert_true(length >= 100000);
	filemap_close(map);
}

static void window_of_shared_memory_has_nothing_to_flush(void **state)
{
	struct filemap *memory, *window;
	(void)state;
	assert_ok(filemap_anonymous(10000, FILEMAP_OPTIONS(.flags = FILEMAP_SHARED), &memory, NULL));
	assert_ok(filemap_window(memory, FILEMAP_WRITE, 0, 0, &window, NULL));
	fault_reset();
	assert_ok(filemap_flush(window));
	assert_ok(filemap_sync(window));
	assert_int_equal(fault_count("msync") + fault_count("fsync"), 0);
	filemap_close(window);
	filemap_close(memory);
}

/* All that is in the file by now, as by somebody who saw its new size. */
static void store_everywhere(void *context)
{
	static char bytes[300000];
	const int64_t size = t_file_size(path);
	const int fd = open(path, O_RDWR | O_CLOEXEC);

	memset(bytes, 'x', sizeof bytes);
	assert_true(size > 5 && size <= (int64_t)sizeof bytes);
	assert_int_equal(pwrite(fd, bytes, (size_t)size, 0), size);
	close(fd);
	*(int64_t *)context = size;
}

/* Where zeros have to be written for want of fallocate(2), others see the first of them before the last. */
static void stores_into_what_others_are_growing_by_zeros_stay(void **state)
{
	for (int nth = 2; nth <= 5; nth++) {
		struct filemap *map;
		int64_t stored = 0;

		make_files(state);
		assert_ok(filemap_open(path, FILEMAP_WRITE,
				       FILEMAP_OPTIONS(.sharing = FILEMAP_SHARING_COOPERATE), &map, NULL));
		fault_reset();
		fault_arm_call_persistent("fallocate", 1, EOPNOTSUPP);
		fault_hook("pwrite", nth, store_everywhere, &stored);
		assert_ok(filemap_resize(map, 250000, NULL));
		assert_true(stored > 5 && stored < 250000);
		for (int64_t i = 0; i < 250000; i++)
			assert_int_equal(((const char *)filemap_data(map))[i], i < stored ? 'x' : 0);
		filemap_close(map);
	}
}

T_MAIN(T_TEST(size_is_that_under_the_lock), T_TEST(size_for_an_empty_file_is_given_once_among_cooperators),
       T_TEST(type_is_that_of_what_was_opened),
       T_TEST(descriptor_that_means_another_file_meanwhile_is_refused),
       T_TEST(new_file_that_somebody_has_locked_is_not_removed),
       T_TEST(file_that_took_the_name_of_a_new_one_is_not_removed),
       T_TEST(file_that_takes_the_name_while_a_new_one_goes_comes_back),
       T_TEST(file_that_cannot_come_back_is_told), T_TEST(lock_that_is_given_back_while_waiting_is_had),
       T_TEST(cut_that_failed_with_a_third_size_poisons),
       T_TEST(cut_that_failed_and_was_done_cuts_the_window),
       T_TEST(growth_that_could_not_be_undone_is_looked_at_by_the_next_one),
       T_TEST(window_is_smaller_before_its_bytes_are_gone),
       T_TEST(link_that_leads_somewhere_meanwhile_is_followed),
       T_TEST(refresh_that_cannot_be_locked_in_memory_shows_nothing_new),
       T_TEST(failed_sync_through_a_window_leaves_the_whole_file_in_doubt),
       T_TEST(window_of_shared_memory_has_nothing_to_flush),
       T_TEST(stores_into_what_others_are_growing_by_zeros_stay))
