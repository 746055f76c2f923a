/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* filemap_remove(): who may, what is removed and what is not, what the state says, what goes on afterwards. */
#include "remove.h"

#include <pthread.h>
#include <sys/file.h>
#include <sys/syscall.h>

#include "deny.h"
#include "map/private.h"

#define PINNED FILEMAP_OPTIONS(.flags = FILEMAP_PIN_PARENT)

static const unsigned reading_modes[] = {FILEMAP_READ, FILEMAP_EXEC, FILEMAP_COW};
#define READING_MODES (sizeof reading_modes / sizeof *reading_modes)

static void make_file(void **state)
{
	t_write_file(t_path(*state, "file"), "hello", 5);
}

/* NULL where code cannot be mapped from this directory. */
static struct filemap *open_mode(const char *path, unsigned mode, const struct filemap_options *options)
{
	struct filemap *map = NULL;
	const int r = filemap_open(path, mode, options, &map, NULL);
	if (mode == FILEMAP_EXEC && r == -EPERM)
		return NULL;
	assert_ok(r);
	return map;
}

static void remove_writer_is_gone_and_stays_so(void **state)
{
	struct filemap_stat status;
	struct filemap *map = make(state);
	assert_int_equal(filemap_state(map), LIVE);
	assert_ok(removed(map));
	assert_nothing_left(state);
	assert_int_equal(filemap_state(map), LIVE | REMOVED);
	assert_ok(filemap_stat(map, &status));
	assert_int_equal(status.links, 0);
	assert_ok(removed(map));
	assert_int_equal(filemap_state(map), LIVE | REMOVED);
	filemap_close(map);
	assert_nothing_left(state);
	t_census_same(*state);
}

static void remove_needs_no_place_for_the_error(void **state)
{
	struct filemap *map = make(state);
	assert_ok(filemap_unlock(map));
	assert_int_equal(filemap_remove(map, NULL), FILEMAP_ELOCKED);
	assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
	assert_ok(filemap_remove(map, NULL));
	filemap_close(map);
}

static void remove_file_that_was_created_by_the_mapping(void **state)
{
	struct filemap *map = open_ok(t_path(*state, "file"), FILEMAP_WRITE,
				      FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW, .size = 10000));
	assert_ok(removed(map));
	assert_nothing_left(state);
	filemap_close(map);
}

static void remove_reader_needs_the_exclusive_lock(void **state)
{
	for (size_t i = 0; i < READING_MODES; i++) {
		make_file(state);
		struct filemap *map = open_mode(t_path(*state, "file"), reading_modes[i], PINNED);
		if (!map)
			continue;
		assert_int_equal(removed(map), FILEMAP_ELOCKED);
		assert_int_equal(filemap_state(map), LIVE);
		assert_untouched(state);
		assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
		assert_ok(removed(map));
		assert_int_equal(filemap_state(map), LIVE | REMOVED);
		assert_memory_equal(filemap_data(map), "hello", 5);
		filemap_close(map);
		assert_nothing_left(state);
	}
}

/* The kernel gives such a lock to descriptors only that can write. */
static void remove_ofd_reader_never_has_the_lock(void **state)
{
	const struct filemap_options *options =
		FILEMAP_OPTIONS(.flags = FILEMAP_PIN_PARENT, .lock_family = FILEMAP_LOCK_OFD);
	make_file(state);
	for (size_t i = 0; i < READING_MODES; i++) {
		struct filemap *map = open_mode(t_path(*state, "file"), reading_modes[i], options);
		if (!map)
			continue;
		assert_int_equal(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL), -EBADF);
		assert_int_equal(removed(map), FILEMAP_ELOCKED);
		assert_int_equal(filemap_state(map), LIVE);
		filemap_close(map);
	}
	assert_untouched(state);
}

static void remove_writer_holds_either_family(void **state)
{
	const uint32_t families[] = {FILEMAP_LOCK_FLOCK, FILEMAP_LOCK_OFD, FILEMAP_LOCK_NONE};
	for (size_t i = 0; i < 3; i++) {
		make_file(state);
		struct filemap *map = open_ok(t_path(*state, "file"), FILEMAP_WRITE,
					      FILEMAP_OPTIONS(.lock_family = families[i]));
		assert_ok(removed(map));
		filemap_close(map);
		assert_nothing_left(state);
	}
}

static void remove_reader_without_locks_asks_for_none(void **state)
{
	const struct filemap_options *options =
		FILEMAP_OPTIONS(.flags = FILEMAP_PIN_PARENT, .lock_family = FILEMAP_LOCK_NONE);
	for (size_t i = 0; i < READING_MODES; i++) {
		make_file(state);
		struct filemap *map = open_mode(t_path(*state, "file"), reading_modes[i], options);
		if (map)
			assert_ok(removed(map));
		assert_int_equal(names_left(state), map ? 0 : 1);
		filemap_close(map);
	}
}

static void remove_writer_that_gave_up_the_lock_needs_it_again(void **state)
{
	struct filemap *map = make(state);
	assert_ok(filemap_unlock(map));
	assert_int_equal(removed(map), FILEMAP_ELOCKED);
	assert_ok(filemap_lock(map, FILEMAP_SHARED_LOCK, 0, NULL));
	assert_int_equal(removed(map), FILEMAP_ELOCKED);
	assert_int_equal(filemap_state(map), LIVE);
	assert_untouched(state);
	assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
	assert_ok(removed(map));
	filemap_close(map);
}

static void remove_frozen_writer_that_shares_the_lock_needs_it_again(void **state)
{
	make_file(state);
	struct filemap *map = open_ok(t_path(*state, "file"), FILEMAP_WRITE,
				      FILEMAP_OPTIONS(.flags = FILEMAP_DOWNGRADE_ON_FREEZE));
	assert_ok(filemap_freeze(map, NULL));
	assert_int_equal(removed(map), FILEMAP_ELOCKED);
	assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
	assert_ok(removed(map));
	assert_int_equal(filemap_state(map), LIVE | FILEMAP_STATE_FROZEN | REMOVED);
	filemap_close(map);
	assert_nothing_left(state);
}

static void remove_cooperating_writer_needs_to_be_alone(void **state)
{
	const struct filemap_options *options = FILEMAP_OPTIONS(.sharing = FILEMAP_SHARING_COOPERATE);
	const char *path = t_path(*state, "file");
	make_file(state);
	struct filemap *map = open_ok(path, FILEMAP_WRITE, options);
	struct filemap *other = open_ok(path, FILEMAP_WRITE, options);
	assert_int_equal(removed(map), FILEMAP_ELOCKED);
	assert_int_equal(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL), FILEMAP_ELOCKED);
	assert_int_equal(removed(map), FILEMAP_ELOCKED);
	assert_int_equal(filemap_state(map), LIVE);
	assert_untouched(state);
	filemap_close(other);
	assert_int_equal(removed(map), FILEMAP_ELOCKED);
	assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
	assert_ok(removed(map));
	filemap_close(map);
	assert_nothing_left(state);
}

static void remove_without_a_pinned_directory_is_refused(void **state)
{
	const char *path = t_path(*state, "file");
	struct filemap_error error;
	struct filemap *map;
	make_file(state);
	for (size_t i = 0; i < READING_MODES; i++) {
		map = open_mode(path, reading_modes[i], NULL);
		if (!map)
			continue;
		assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
		assert_int_equal(removed_with(map, &error), FILEMAP_EMODE);
		assert_int_equal(filemap_state(map), LIVE);
		filemap_close(map);
	}
	const int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_ok(filemap_open_fd(fd, FILEMAP_WRITE, NULL, &map, NULL));
	assert_int_equal(removed(map), FILEMAP_EMODE);
	assert_int_equal(filemap_state(map), LIVE);
	filemap_close(map);
	close(fd);
	assert_untouched(state);
}

/* A success that does nothing, twice, and leaves the file alone that the label names. */
static void check_memory(void **state, struct filemap *map)
{
	for (int i = 0; i < 2; i++) {
		assert_ok(removed(map));
		assert_int_equal(filemap_state(map), LIVE);
	}
	assert_untouched(state);
	filemap_close(map);
}

static void remove_of_memory_does_nothing(void **state)
{
	const char *path = t_path(*state, "file");
	struct filemap *map, *window;
	const char bytes[] = "hello";
	make_file(state);
	assert_ok(filemap_anonymous(10, NULL, &map, NULL));
	check_memory(state, map);
	assert_ok(filemap_anonymous(10, FILEMAP_OPTIONS(.flags = FILEMAP_SHARED), &map, NULL));
	assert_ok(filemap_window(map, FILEMAP_READ, 0, 5, &window, NULL));
	check_memory(state, window);
	check_memory(state, map);
	assert_ok(filemap_from_bytes(path, FILEMAP_WRITE, bytes, 5, &map, NULL));
	check_memory(state, map);
	assert_ok(filemap_wrap_bytes(path, bytes, 5, &map, NULL));
	check_memory(state, map);
	assert_ok(filemap_open_or_read(path, FILEMAP_TO_END, NULL, &map, NULL)); /* small: read into memory */
	check_memory(state, map);
}

static int work_elsewhere(void *context)
{
	void **state = context;
	const struct t_dir *dir = *state;
	struct filemap *map = NULL;
	if (chdir(dir->path) < 0 || filemap_open("file", FILEMAP_WRITE, NULL, &map, NULL) < 0)
		return 1;
	if (chdir("/") < 0 || filemap_remove(map, NULL) != 0)
		return 2;
	filemap_close(map);
	return 0;
}

static void remove_works_after_a_chdir(void **state)
{
	make_file(state);
	assert_int_equal(t_in_child(work_elsewhere, state), 0);
	assert_nothing_left(state);
}

static void remove_works_after_the_directory_given_was_closed(void **state)
{
	const struct t_dir *dir = *state;
	struct filemap *map;
	make_file(state);
	const int fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_ok(filemap_open_at(fd, "file", FILEMAP_WRITE, NULL, &map, NULL));
	close(fd);
	assert_ok(removed(map));
	filemap_close(map);
	assert_nothing_left(state);
}

static void remove_follows_a_directory_that_was_moved(void **state)
{
	assert_ok(mkdir(t_path(*state, "a"), 0700));
	struct filemap *map = make_named(state, "a/file");
	assert_ok(rename(t_path(*state, "a"), t_path(*state, "b")));
	assert_ok(mkdir(t_path(*state, "a"), 0700));
	t_write_file(t_path(*state, "a/file"), "other", 5);
	assert_ok(removed(map));
	assert_text(t_path(*state, "a/file"), "other");
	assert_int_equal(count_names(t_path(*state, "b")), 0);
	filemap_close(map);
}

static void remove_in_a_directory_that_is_gone_is_egone(void **state)
{
	assert_ok(mkdir(t_path(*state, "a"), 0700));
	struct filemap *map = make_named(state, "a/file");
	assert_ok(unlink(t_path(*state, "a/file")));
	assert_ok(rmdir(t_path(*state, "a")));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(removed(map), FILEMAP_EGONE);
		assert_int_equal(filemap_state(map), LIVE | NEEDS_UNLINK);
	}
	filemap_close(map);
}

/* As nobody, in a directory of nobody's, whose permissions are `mode` while it is tried. */
struct directory_case {
	const char *path;
	unsigned mode;
	int expected;
	unsigned state;
};

static int try_directory(void *context)
{
	const struct directory_case *c = context;
	struct filemap_error error = {0};
	struct filemap *map = NULL;
	char path[400];

	snprintf(path, sizeof path, "%s/file", c->path);
	if (t_become_nobody() < 0 || chmod(c->path, c->mode) < 0)
		return 1;
	if (filemap_open(path, FILEMAP_WRITE, NULL, &map, NULL) < 0)
		return 2;
	if (filemap_remove(map, &error) != c->expected || error.code != c->expected)
		return 3;
	if (filemap_state(map) != (LIVE | c->state) || access(path, F_OK) < 0)
		return 4;
	if (chmod(c->path, 0700) < 0)
		return 5;
	if (filemap_remove(map, NULL) != 0 || access(path, F_OK) == 0)
		return 6;
	filemap_close(map);
	return 0;
}

static void check_directory(void **state, unsigned mode, int expected, unsigned name_state)
{
	struct t_dir *dir = *state;
	char path[300];
	if (geteuid() != 0)
		t_skip("only root can become nobody");
	snprintf(path, sizeof path, "%s/own", dir->path);
	struct directory_case c = {path, mode, expected, name_state};
	assert_ok(mkdir(path, 0700));
	t_write_file(t_path(dir, "own/file"), "hello", 5);
	assert_ok(chown(path, NOBODY, NOBODY));
	assert_ok(chown(t_path(dir, "own/file"), NOBODY, NOBODY));
	assert_ok(chmod(dir->path, 0755));
	assert_int_equal(t_in_child(try_directory, &c), 0);
	assert_int_equal(count_names(path), 0);
}

/* It could not be synced. */
static void remove_in_a_directory_that_may_not_be_read_is_not_tried_until_it_may(void **state)
{
	check_directory(state, 0300, -EACCES, 0);
}

static void remove_in_a_directory_that_may_not_be_written_fails_until_it_may(void **state)
{
	check_directory(state, 0500, -EACCES, NEEDS_UNLINK);
}

static int remove_what_is_not_mine(void *context)
{
	struct filemap *map = NULL;
	if (t_become_nobody() < 0 || filemap_open(context, FILEMAP_READ, PINNED, &map, NULL) < 0)
		return 1;
	if (filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL) < 0)
		return 2;
	const int r = filemap_remove(map, NULL);
	if ((r != -EPERM && r != -EACCES) || filemap_state(map) != (LIVE | NEEDS_UNLINK))
		return 3;
	filemap_close(map); /* tries again */
	return 0;
}

static void remove_is_denied_in_a_sticky_directory_of_others(void **state)
{
	const struct t_dir *dir = *state;
	if (geteuid() != 0)
		t_skip("only root can become nobody");
	make_file(state);
	assert_ok(chmod(t_path(dir, "file"), 0644));
	assert_ok(chmod(dir->path, 01777));
	assert_int_equal(t_in_child(remove_what_is_not_mine, (void *)(uintptr_t)t_path(dir, "file")), 0);
	assert_untouched(state);
}

/* Where others could meddle, a directory of our own is made for it, and does not stay. */
static void remove_works_where_others_can_write(void **state)
{
	const struct t_dir *dir = *state;
	const unsigned modes[] = {0777, 01777, 0770, 0703};
	for (size_t i = 0; i < 4; i++) {
		assert_ok(chmod(dir->path, modes[i]));
		struct filemap *map = make(state);
		assert_ok(removed(map));
		assert_int_equal(filemap_state(map), LIVE | REMOVED);
		filemap_close(map);
		assert_nothing_left(state);
	}
}

static void remove_works_in_a_directory_of_another_owner(void **state)
{
	const struct t_dir *dir = *state;
	if (geteuid() != 0)
		t_skip("only root gives directories away");
	assert_ok(chown(dir->path, NOBODY, NOBODY));
	struct filemap *map = make(state);
	assert_ok(removed(map));
	filemap_close(map);
	assert_nothing_left(state);
}

static void remove_leaves_other_hard_links(void **state)
{
	struct filemap *map = make(state);
	struct filemap_stat status;
	assert_ok(link(t_path(*state, "file"), t_path(*state, "other")));
	assert_ok(link(t_path(*state, "file"), t_path(*state, "third")));
	assert_int_equal(removed(map), FILEMAP_STILL_LINKED);
	assert_int_equal(filemap_state(map), LIVE | REMOVED);
	assert_ok(filemap_stat(map, &status));
	assert_int_equal(status.links, 2);
	assert_text(t_path(*state, "other"), "hello");
	assert_ok(unlink(t_path(*state, "other")));
	assert_ok(unlink(t_path(*state, "third")));
	assert_int_equal(removed(map), FILEMAP_STILL_LINKED); /* the same as the first time */
	filemap_close(map);
	assert_nothing_left(state);
}

/* Another link that was renamed over it is no rename at all; one that was put in its place is the same file. */
static void remove_takes_another_link_of_the_file_for_the_file(void **state)
{
	struct filemap *map = make(state);
	assert_ok(link(t_path(*state, "file"), t_path(*state, "other")));
	assert_ok(unlink(t_path(*state, "file")));
	assert_ok(rename(t_path(*state, "other"), t_path(*state, "file")));
	assert_ok(removed(map));
	filemap_close(map);
	assert_nothing_left(state);
}

static void remove_refuses_a_file_opened_through_a_link(void **state)
{
	make_file(state);
	assert_ok(symlink("file", t_path(*state, "link")));
	struct filemap *map = open_ok(t_path(*state, "link"), FILEMAP_WRITE, NULL);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(removed(map), FILEMAP_EMODE);
		assert_int_equal(filemap_state(map), LIVE);
	}
	filemap_close(map);
	assert_text(t_path(*state, "link"), "hello");
	assert_int_equal(names_left(state), 2);
}

/* Also one that leads to the file itself. */
static void remove_refuses_a_link_that_took_the_place_of_the_file(void **state)
{
	struct filemap *map = make(state);
	assert_ok(rename(t_path(*state, "file"), t_path(*state, "other")));
	assert_ok(symlink("other", t_path(*state, "file")));
	assert_int_equal(removed(map), FILEMAP_EMODE);
	assert_int_equal(filemap_state(map), LIVE);
	assert_int_equal(names_left(state), 2);
	assert_ok(rename(t_path(*state, "other"), t_path(*state, "file")));
	assert_ok(removed(map));
	filemap_close(map);
	assert_nothing_left(state);
}

static void remove_of_a_missing_name_is_no_success_however_often(void **state)
{
	struct filemap *map = make(state);
	assert_ok(unlink(t_path(*state, "file")));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(removed(map), FILEMAP_EGONE);
		assert_int_equal(filemap_state(map), LIVE | NEEDS_UNLINK);
	}
	filemap_close(map);
	assert_nothing_left(state);
}

static void remove_leaves_what_took_the_place_of_the_file(void **state)
{
	const char *path = t_path(*state, "file");
	struct stat before, after;
	for (int what = 0; what < 3; what++) {
		struct filemap *map = make(state);
		assert_ok(unlink(path));
		if (what == 0)
			t_write_file(path, "other", 5);
		else
			assert_ok(what == 1 ? mkdir(path, 0700) : mkfifo(path, 0600));
		assert_ok(lstat(path, &before));
		for (int i = 0; i < 2; i++) {
			assert_int_equal(removed(map), FILEMAP_EREPLACED);
			assert_int_equal(filemap_state(map), LIVE | NEEDS_UNLINK);
		}
		filemap_close(map);
		assert_ok(lstat(path, &after));
		assert_int_equal(before.st_ino, after.st_ino);
		assert_int_equal(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec); /* not even moved and back */
		assert_int_equal(names_left(state), 1);
		assert_ok(remove(path));
	}
}

static void remove_succeeds_when_the_file_came_back(void **state)
{
	struct filemap *map = make(state);
	assert_ok(rename(t_path(*state, "file"), t_path(*state, "other")));
	assert_int_equal(removed(map), FILEMAP_EGONE);
	t_write_file(t_path(*state, "file"), "other", 5);
	assert_int_equal(removed(map), FILEMAP_EREPLACED);
	assert_text(t_path(*state, "file"), "other");
	assert_int_equal(filemap_state(map), LIVE | NEEDS_UNLINK);
	assert_ok(rename(t_path(*state, "other"), t_path(*state, "file")));
	assert_ok(removed(map));
	assert_int_equal(filemap_state(map), LIVE | REMOVED);
	filemap_close(map);
	assert_nothing_left(state);
}

static void removed_file_is_not_removed_again_from_a_new_one(void **state)
{
	struct filemap *map = make(state);
	assert_ok(removed(map));
	struct filemap *fresh = make(state); /* neither the name nor the lock is in the way */
	assert_ok(removed(map));
	filemap_close(map);
	assert_untouched(state);
	filemap_close(fresh);
	assert_untouched(state);
}

static void removed_file_can_be_used_until_it_is_closed(void **state)
{
	struct filemap *map = make(state);
	struct filemap *window;
	assert_ok(removed(map));
	assert_memory_equal(filemap_data(map), "hello", 5);
	assert_ok(filemap_resize(map, 10000, NULL));
	memset(filemap_data_mut(map), 0xAA, 10000);
	assert_ok(filemap_flush(map));
	assert_ok(filemap_sync(map));
	assert_ok(filemap_window(map, FILEMAP_READ, 5000, 5000, &window, NULL));
	assert_int_equal(((const unsigned char *)filemap_data(window))[4999], 0xAA);
	assert_int_equal(filemap_state(window), LIVE | REMOVED);
	filemap_close(window);
	assert_ok(filemap_freeze(map, NULL));
	assert_ok(filemap_thaw(map, NULL));
	assert_ok(filemap_unlock(map));
	assert_ok(removed(map)); /* nothing to do needs no lock */
	assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
	assert_ok(filemap_close_truncated(map, 100, NULL));
	assert_nothing_left(state);
	t_census_same(*state);
}

static void remove_of_a_frozen_mapping_works(void **state)
{
	struct filemap *map = make(state);
	assert_ok(filemap_freeze(map, NULL));
	assert_ok(removed(map));
	assert_int_equal(filemap_state(map), LIVE | FILEMAP_STATE_FROZEN | REMOVED);
	assert_memory_equal(filemap_data(map), "hello", 5);
	filemap_close(map);
	assert_nothing_left(state);
}

static void remove_of_a_tainted_mapping_works(void **state)
{
	struct filemap *map = make(state);
	struct fm__flush flush;
	assert_ok(fm__map_flush_begin(map, 0, 5, &flush));
	assert_int_equal(fm__map_flush_end(&flush, -EIO), -EIO);
	assert_ok(removed(map));
	assert_int_equal(filemap_state(map), LIVE | FILEMAP_STATE_TAINTED | REMOVED);
	filemap_close(map);
	assert_nothing_left(state);
}

static void remove_of_a_poisoned_mapping_works(void **state)
{
	struct filemap *map = make(state);
	fm__filemap_poison(map, -EIO);
	assert_ok(removed(map));
	assert_int_equal(filemap_state(map), FILEMAP_STATE_POISONED | REMOVED);
	filemap_close(map);
	assert_nothing_left(state);
}

static void remove_works_while_a_pin_is_out(void **state)
{
	struct filemap *map = make(state);
	assert_ok(filemap_pin(map));
	assert_ok(removed(map));
	filemap_close(map);
	assert_memory_equal(filemap_data(map), "hello", 5);
	filemap_unpin(map);
	assert_nothing_left(state);
}

static void windows_share_what_became_of_the_name(void **state)
{
	struct filemap *map = make(state), *window;
	assert_ok(filemap_window(map, FILEMAP_READ, 0, 5, &window, NULL));
	assert_ok(rename(t_path(*state, "file"), t_path(*state, "other")));
	assert_int_equal(removed(window), FILEMAP_EGONE);
	assert_int_equal(name_state(map), NEEDS_UNLINK);
	assert_int_equal(name_state(window), NEEDS_UNLINK);
	assert_ok(rename(t_path(*state, "other"), t_path(*state, "file")));
	assert_ok(removed(map));
	assert_int_equal(name_state(map), REMOVED);
	assert_int_equal(name_state(window), REMOVED);
	assert_ok(removed(window));
	filemap_close(map);
	assert_int_equal(filemap_state(window), LIVE | REMOVED);
	assert_memory_equal(filemap_data(window), "hello", 5);
	filemap_close(window);
	assert_nothing_left(state);
}

static int remove_in_child(void *context)
{
	if (filemap_remove(context, NULL) != FILEMAP_EFORKED)
		return 1;
	return filemap_state(context) == LIVE ? 0 : 2;
}

static void remove_in_a_forked_child_is_refused(void **state)
{
	struct filemap *map = make(state);
	assert_int_equal(t_in_child(remove_in_child, map), 0);
	assert_untouched(state);
	assert_ok(removed(map));
	filemap_close(map);
}

static void *remove_there(void *context)
{
	return (void *)(intptr_t)filemap_remove(context, NULL);
}

static void remove_may_be_called_by_another_thread(void **state)
{
	struct filemap *map = make(state);
	void *result = map;
	pthread_t thread;
	assert_ok(pthread_create(&thread, NULL, remove_there, map));
	assert_ok(pthread_join(thread, &result));
	assert_null(result);
	filemap_close(map);
	assert_nothing_left(state);
}

/* renameat2(2) fails with this errno; 50: filters are not allowed here. */
struct without_moves {
	const char *path;
	unsigned error;
	int expected;
};

static int remove_without_moves(void *context)
{
	const struct without_moves *without = context;
	struct filemap *map = NULL;
	if (filemap_open(without->path, FILEMAP_WRITE, NULL, &map, NULL) < 0)
		return 1;
	if (deny_call(SYS_renameat2, without->error) < 0)
		return 50;
	for (int i = 0; i < 2; i++)
		if (filemap_remove(map, NULL) != without->expected || filemap_state(map) != (LIVE | REMOVED))
			return 2;
	filemap_close(map);
	return 0;
}

static void check_without_moves(void **state, unsigned error, int expected)
{
	struct without_moves without = {t_path(*state, "file"), error, expected};
	make_file(state);
	const int r = t_in_child(remove_without_moves, &without);
	if (r == 50)
		t_skip("system call filters are not allowed here");
	assert_ok(r);
	assert_nothing_left(state);
}

static void remove_works_where_files_cannot_be_moved_over_nothing_only(void **state)
{
	check_without_moves(state, EINVAL, 0);
	check_without_moves(state, ENOSYS, 0);
}

static void remove_says_that_it_had_no_room_to_look_twice(void **state)
{
	check_without_moves(state, ENOSPC, FILEMAP_WEAKLY_CHECKED);
	check_without_moves(state, ENOKEY, FILEMAP_WEAKLY_CHECKED);
}

static void remove_in_a_full_directory_takes_one_name(void **state)
{
	enum { FILES = 2000 };
	char name[32];
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof name, "file%d", i);
		const int fd = open(t_path(*state, name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		assert_true(fd >= 0);
		close(fd);
	}
	struct filemap *map = open_ok(t_path(*state, "file777"), FILEMAP_WRITE, NULL);
	assert_ok(removed(map));
	filemap_close(map);
	assert_int_equal(t_file_size(t_path(*state, "file777")), -1);
	assert_int_equal(names_left(state), FILES - 1);
}

static void check_name(void **state, const char *name)
{
	struct filemap *map = make_named(state, name);
	t_write_file(t_path(*state, "neighbour"), "other", 5);
	assert_ok(removed(map));
	assert_int_equal(filemap_state(map), LIVE | REMOVED);
	filemap_close(map);
	assert_text(t_path(*state, "neighbour"), "other");
	assert_int_equal(names_left(state), 1);
}

static void remove_takes_names_of_any_length(void **state)
{
	const int lengths[] = {1, 2, 100, 230, 231, 232, 233, 234, 235, 236, 250, 254, 255};
	char name[256];
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		memset(name, 'n', sizeof name);
		name[lengths[i]] = '\0';
		check_name(state, name);
	}
}

static void remove_takes_names_of_any_bytes(void **state)
{
	const char *const names[] = {"new\nline",
				     "\xC3\xA4\xE2\x82\xAC",
				     "\xFF\xFE",
				     ".hidden",
				     "...",
				     "..x",
				     "-",
				     "-rf",
				     " ",
				     "a b",
				     "back\\slash",
				     "%s%n",
				     "*",
				     "\x7F\x01",
				     ".file.0123456789abcdef.del",
				     ".del",
				     "file.tmp",
				     ".file.0123456789abcdef.deld"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		check_name(state, names[i]);
}

static void remove_takes_paths_with_odd_slashes(void **state)
{
	assert_ok(mkdir(t_path(*state, "a"), 0700));
	const char *const paths[] = {"a//file", "a/./file", "a/../a/file", "./a///file"};
	for (size_t i = 0; i < 4; i++) {
		struct filemap *map = make_named(state, paths[i]);
		assert_ok(removed(map));
		filemap_close(map);
		assert_int_equal(count_names(t_path(*state, "a")), 0);
	}
}

T_MAIN(T_TEST(remove_writer_is_gone_and_stays_so), T_TEST(remove_needs_no_place_for_the_error),
       T_TEST(remove_file_that_was_created_by_the_mapping), T_TEST(remove_reader_needs_the_exclusive_lock),
       T_TEST(remove_ofd_reader_never_has_the_lock), T_TEST(remove_writer_holds_either_family),
       T_TEST(remove_reader_without_locks_asks_for_none),
       T_TEST(remove_writer_that_gave_up_the_lock_needs_it_again),
       T_TEST(remove_frozen_writer_that_shares_the_lock_needs_it_again),
       T_TEST(remove_cooperating_writer_needs_to_be_alone),
       T_TEST(remove_without_a_pinned_directory_is_refused), T_TEST(remove_of_memory_does_nothing),
       T_TEST(remove_works_after_a_chdir), T_TEST(remove_works_after_the_directory_given_was_closed),
       T_TEST(remove_follows_a_directory_that_was_moved), T_TEST(remove_in_a_directory_that_is_gone_is_egone),
       T_TEST(remove_in_a_directory_that_may_not_be_read_is_not_tried_until_it_may),
       T_TEST(remove_in_a_directory_that_may_not_be_written_fails_until_it_may),
       T_TEST(remove_is_denied_in_a_sticky_directory_of_others), T_TEST(remove_works_where_others_can_write),
       T_TEST(remove_works_in_a_directory_of_another_owner), T_TEST(remove_leaves_other_hard_links),
       T_TEST(remove_takes_another_link_of_the_file_for_the_file),
       T_TEST(remove_refuses_a_file_opened_through_a_link),
       T_TEST(remove_refuses_a_link_that_took_the_place_of_the_file),
       T_TEST(remove_of_a_missing_name_is_no_success_however_often),
       T_TEST(remove_leaves_what_took_the_place_of_the_file), T_TEST(remove_succeeds_when_the_file_came_back),
       T_TEST(removed_file_is_not_removed_again_from_a_new_one),
       T_TEST(removed_file_can_be_used_until_it_is_closed), T_TEST(remove_of_a_frozen_mapping_works),
       T_TEST(remove_of_a_tainted_mapping_works), T_TEST(remove_of_a_poisoned_mapping_works),
       T_TEST(remove_works_while_a_pin_is_out), T_TEST(windows_share_what_became_of_the_name),
       T_TEST(remove_in_a_forked_child_is_refused), T_TEST(remove_may_be_called_by_another_thread),
       T_TEST(remove_works_where_files_cannot_be_moved_over_nothing_only),
       T_TEST(remove_says_that_it_had_no_room_to_look_twice),
       T_TEST(remove_in_a_full_directory_takes_one_name), T_TEST(remove_takes_names_of_any_length),
       T_TEST(remove_takes_names_of_any_bytes), T_TEST(remove_takes_paths_with_odd_slashes))
