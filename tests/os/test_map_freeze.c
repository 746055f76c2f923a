/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Freezing, thawing and running real machine code; write and execute permission are never on together. */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filemap/filemap.h>

/* A function that returns 42. */
#if defined(__x86_64__)
static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3};
#elif defined(__aarch64__)
static const unsigned char code[] = {0x40, 0x05, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6};
#else
static const unsigned char code[] = {0};
#endif

static void need_code(void)
{
	if (sizeof code == 1)
		t_skip("no machine code for this processor");
}

static int run(const struct filemap *map, size_t offset)
{
	return ((int (*)(void))filemap_code(map, offset))();
}

static const char *make_file(void **state)
{
	const char *path = t_path(*state, "file");
	t_write_file(path, code, sizeof code);
	return path;
}

static struct filemap *open_ok(const char *path, unsigned mode, const struct filemap_options *options)
{
	struct filemap *map = NULL;
	assert_ok(filemap_open(path, mode, options, &map, NULL));
	return map;
}

/* The permissions that /proc/self/maps shows for an address, "rw-s". */
static const char *permissions_of(const void *at)
{
	static char found[8];
	char line[512], permissions[8];
	unsigned long from, to;
	FILE *maps = fopen("/proc/self/maps", "re");
	found[0] = '\0';
	while (fgets(line, sizeof line, maps))
		if (sscanf(line, "%lx-%lx %4s", &from, &to, permissions) == 3 && from <= (uintptr_t)at &&
		    (uintptr_t)at < to)
			memcpy(found, permissions, sizeof found);
	fclose(maps);
	return found;
}

static int store(void *map)
{
	signal(SIGSEGV, SIG_DFL); /* not a sanitizer's */
	*(volatile unsigned char *)(uintptr_t)filemap_data(map) = 1;
	return 0;
}

static void assert_store_dies(struct filemap *map)
{
	assert_int_equal(t_in_child(store, map), -SIGSEGV);
}

static void assert_frozen(struct filemap *map)
{
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE | FILEMAP_STATE_FROZEN);
	assert_null(filemap_data_mut(map));
	assert_int_equal(((struct filemap_view *)map)->size_mut, 0);
	assert_int_equal(filemap_write_all(map, 0, "x", 1), FILEMAP_EMODE);
	assert_int_equal(filemap_zero(map, 0, 1), FILEMAP_EMODE);
	assert_non_null(filemap_data(map));
	assert_store_dies(map);
}

static void assert_thawed(struct filemap *map)
{
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	assert_ptr_equal(filemap_data_mut(map), filemap_data(map));
	assert_int_equal(((struct filemap_view *)map)->size_mut, filemap_size(map));
	assert_ok(filemap_write_all(map, 0, "y", 1));
	assert_false(filemap_is_exec(map));
}

static void frozen_mapping_cannot_be_stored_to(void **state)
{
	const char *path = make_file(state);
	const unsigned modes[] = {FILEMAP_WRITE, FILEMAP_COW};
	for (size_t i = 0; i < 2; i++) {
		struct filemap *map = open_ok(path, modes[i], NULL);
		assert_ok(filemap_thaw(map, NULL));
		assert_thawed(map);
		assert_ok(filemap_freeze(map, NULL));
		assert_ok(filemap_freeze(map, NULL));
		assert_frozen(map);
		assert_int_equal(*(const char *)filemap_data(map), 'y');
		assert_ok(filemap_flush(map));
		assert_int_equal(filemap_resize(map, 100, NULL), FILEMAP_EMODE);
		assert_int_equal(filemap_close_truncated(map, 100, NULL), FILEMAP_EMODE);
		assert_ok(filemap_thaw(map, NULL));
		assert_thawed(map);
		filemap_close(map);
	}
}

static void memory_freezes_and_thaws_without_a_lock(void **state)
{
	const uint32_t flags[] = {0, FILEMAP_SHARED};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct filemap *map;
		assert_ok(filemap_anonymous(10000, FILEMAP_OPTIONS(.flags = flags[i]), &map, NULL));
		assert_ok(filemap_freeze(map, NULL));
		assert_frozen(map);
		assert_ok(filemap_thaw(map, NULL));
		assert_thawed(map);
		filemap_close(map);
	}
}

static void freezing_what_cannot_be_stored_to_does_nothing(void **state)
{
	const char *path = make_file(state);
	struct filemap_error error;
	struct filemap *map = open_ok(path, FILEMAP_READ, NULL);
	assert_ok(filemap_freeze(map, NULL));
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	assert_int_equal(filemap_thaw(map, &error), FILEMAP_EMODE);
	assert_string_equal(error.subject, "mode");
	filemap_close(map);
	map = open_ok(path, FILEMAP_EXEC, NULL);
	assert_ok(filemap_freeze(map, NULL));
	assert_ok(filemap_freeze_exec(map, NULL));
	assert_int_equal(filemap_thaw(map, NULL), FILEMAP_EMODE);
	filemap_close(map);
	assert_ok(filemap_wrap_bytes(NULL, code, sizeof code, &map, NULL));
	assert_int_equal(filemap_freeze(map, NULL), FILEMAP_EMODE);
	assert_int_equal(filemap_freeze_exec(map, NULL), FILEMAP_EMODE);
	filemap_close(map);
}

static void mapped_code_runs(void **state)
{
	need_code();
	struct filemap *map = open_ok(make_file(state), FILEMAP_EXEC, NULL);
	assert_true(filemap_is_exec(map));
	assert_int_equal(run(map, 0), 42);
	assert_null((void *)(uintptr_t)filemap_code(map, sizeof code));
	assert_string_equal(permissions_of(filemap_data(map)), "r-xs");
	filemap_close(map);
}

static void frozen_code_of_a_file_runs_in_every_mode(void **state)
{
	need_code();
	const char *path = make_file(state);
	const unsigned modes[] = {FILEMAP_READ, FILEMAP_COW, FILEMAP_WRITE};
	for (size_t i = 0; i < 3; i++) {
		struct filemap *map = open_ok(path, modes[i], NULL);
		assert_null((void *)(uintptr_t)filemap_code(map, 0));
		assert_ok(filemap_freeze_exec(map, NULL));
		assert_ok(filemap_freeze_exec(map, NULL));
		assert_int_equal(run(map, 0), 42);
		assert_int_equal(permissions_of(filemap_data(map))[1], '-');
		assert_int_equal(permissions_of(filemap_data(map))[2], 'x');
		assert_frozen(map);
		assert_int_equal(filemap_freeze(map, NULL), FILEMAP_EMODE);
		filemap_close(map);
	}
}

static void code_that_was_stored_runs_and_can_be_changed(void **state)
{
	need_code();
	const uint32_t flags[] = {0, FILEMAP_SHARED};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct filemap *map;
		assert_ok(filemap_anonymous(5000, FILEMAP_OPTIONS(.flags = flags[i]), &map, NULL));
		assert_ok(filemap_write_all(map, 4092, code, sizeof code)); /* over the end of a page */
		assert_ok(filemap_freeze(map, NULL));
		assert_ok(filemap_freeze_exec(map, NULL)); /* from frozen, too */
		assert_int_equal(run(map, 4092), 42);
		assert_ok(filemap_thaw(map, NULL));
		assert_thawed(map);
		assert_int_equal(permissions_of(filemap_data(map))[2], '-');
		assert_null((void *)(uintptr_t)filemap_code(map, 4092));
		assert_ok(filemap_write_all(map, 8, code, sizeof code));
		assert_ok(filemap_freeze_exec(map, NULL));
		assert_int_equal(run(map, 8), 42);
		filemap_close(map);
	}
}

static void window_at_an_odd_offset_freezes_as_a_whole(void **state)
{
	need_code();
	unsigned char bytes[6000] = {0};
	const char *path = t_path(*state, "file");
	memcpy(bytes + 4099, code, sizeof code);
	t_write_file(path, bytes, sizeof bytes);
	struct filemap *map =
		open_ok(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.offset = 4097, .reserve = 100000));
	assert_ok(filemap_freeze_exec(map, NULL));
	assert_int_equal(((const unsigned char *)filemap_data(map))[2], code[0]);
	assert_int_equal(filemap_size(map), 6000 - 4097);
	if (sizeof code == 6) /* code of other processors has to be aligned */
		assert_int_equal(run(map, 2), 42);
	assert_ok(filemap_thaw(map, NULL));
	assert_thawed(map);
	filemap_close(map);
}

static void no_window_can_store_while_another_one_executes(void **state)
{
	struct filemap_error error;
	struct filemap *map = open_ok(make_file(state), FILEMAP_WRITE, NULL), *window;
	assert_ok(filemap_window(map, FILEMAP_WRITE, 0, 0, &window, NULL));
	assert_int_equal(filemap_freeze_exec(map, &error), FILEMAP_EBUSY);
	assert_string_equal(error.subject, "window");
	assert_thawed(map);
	assert_ok(filemap_freeze(window, NULL));
	assert_ok(filemap_freeze_exec(map, NULL));
	assert_int_equal(filemap_thaw(window, NULL), FILEMAP_EBUSY);
	assert_frozen(window);
	assert_ok(filemap_thaw(map, NULL));
	assert_ok(filemap_thaw(window, NULL));
	filemap_close(window);
	filemap_close(map);
}

static void cooperating_mapping_executes_only_alone(void **state)
{
	struct filemap_error error;
	struct filemap *map = open_ok(make_file(state), FILEMAP_WRITE,
				      FILEMAP_OPTIONS(.sharing = FILEMAP_SHARING_COOPERATE));
	assert_int_equal(filemap_freeze_exec(map, &error), FILEMAP_EMODE);
	assert_string_equal(error.subject, "lock");
	assert_ok(filemap_freeze(map, NULL));
	assert_ok(filemap_thaw(map, NULL)); /* under the shared lock */
	assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
	assert_ok(filemap_freeze_exec(map, NULL));
	filemap_close(map);
}

static void pinned_mapping_neither_freezes_nor_thaws(void **state)
{
	struct filemap_error error;
	struct filemap *map = open_ok(make_file(state), FILEMAP_WRITE, NULL);
	assert_ok(filemap_pin(map));
	assert_int_equal(filemap_freeze(map, &error), FILEMAP_EBUSY);
	assert_string_equal(error.subject, "pin");
	assert_int_equal(filemap_freeze_exec(map, NULL), FILEMAP_EBUSY);
	assert_thawed(map);
	filemap_unpin(map);
	assert_ok(filemap_freeze(map, NULL));
	assert_ok(filemap_pin(map));
	assert_int_equal(filemap_thaw(map, NULL), FILEMAP_EBUSY);
	assert_ok(filemap_freeze(map, NULL)); /* is frozen: nothing to do */
	filemap_unpin(map);
	filemap_close(map);
}

static void downgrade_on_freeze_lets_readers_in(void **state)
{
	const char *path = make_file(state);
	const struct filemap_options *share = FILEMAP_OPTIONS(.flags = FILEMAP_DOWNGRADE_ON_FREEZE);
	struct filemap *map = open_ok(path, FILEMAP_WRITE, share), *window, *reader;
	assert_ok(filemap_window(map, FILEMAP_WRITE, 0, 0, &window, NULL));
	assert_int_equal(filemap_freeze(map, NULL), FILEMAP_EBUSY);
	assert_int_equal(filemap_lock_state(map), FILEMAP_EXCLUSIVE_LOCK);
	assert_thawed(map);
	filemap_close(window);
	assert_ok(filemap_freeze(map, NULL));
	assert_int_equal(filemap_lock_state(map), FILEMAP_SHARED_LOCK);
	reader = open_ok(path, FILEMAP_READ, NULL);
	assert_int_equal(filemap_thaw(map, NULL), FILEMAP_EMODE);
	assert_int_equal(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL), FILEMAP_ELOCKED);
	filemap_close(reader);
	assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
	assert_ok(filemap_thaw(map, NULL));
	assert_thawed(map);
	assert_ok(filemap_unlock(map));
	assert_ok(filemap_freeze(map, NULL));
	assert_int_equal(filemap_thaw(map, NULL), FILEMAP_EMODE); /* without a lock */
	filemap_close(map);
}

static int freeze_in_child(void *context)
{
	if (filemap_freeze(context, NULL) != FILEMAP_EFORKED || filemap_data_mut(context) == NULL)
		return 1;
	return 0;
}

static void forked_child_does_not_downgrade(void **state)
{
	struct filemap *map = open_ok(make_file(state), FILEMAP_WRITE,
				      FILEMAP_OPTIONS(.flags = FILEMAP_DOWNGRADE_ON_FREEZE));
	assert_int_equal(t_in_child(freeze_in_child, map), 0);
	assert_int_equal(filemap_lock_state(map), FILEMAP_EXCLUSIVE_LOCK);
	filemap_close(map);
}

static void freezing_works_after_advice_has_split_the_region(void **state)
{
	struct filemap *map = open_ok(make_file(state), FILEMAP_WRITE, NULL);
	assert_ok(filemap_resize(map, 40000, NULL));
	assert_ok(filemap_advise(map, FILEMAP_ADVICE_RANDOM, 8192, 4096));
	assert_ok(filemap_freeze(map, NULL));
	assert_string_equal(permissions_of((const char *)filemap_data(map) + 39999), "r--s");
	assert_frozen(map);
	assert_ok(filemap_thaw(map, NULL));
	assert_thawed(map);
	filemap_close(map);
}

static int freeze_on_noexec(void *context)
{
	const char *dir = context;
	char path[512];
	struct filemap *map;
	int r;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", dir, "tmpfs", MS_NOEXEC, "size=1m") < 0)
		return 77;
	snprintf(path, sizeof path, "%s/file", dir);
	if (filemap_open(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 100), &map,
			 NULL))
		return 1;
	r = filemap_freeze_exec(map, NULL);
	if (r != -EACCES && r != -EPERM)
		return 2;
	if (filemap_state(map) != FILEMAP_STATE_LIVE || filemap_is_exec(map) || !filemap_data_mut(map))
		return 3;
	if (filemap_write_all(map, 0, "x", 1) < 0 || filemap_freeze(map, NULL) < 0)
		return 4;
	r = filemap_freeze_exec(map, NULL);
	if ((r != -EACCES && r != -EPERM) ||
	    filemap_state(map) != (FILEMAP_STATE_LIVE | FILEMAP_STATE_FROZEN))
		return 5;
	if (filemap_thaw(map, NULL) < 0 || filemap_write_all(map, 0, "y", 1) < 0)
		return 6;
	filemap_close(map);
	return 0;
}

static void file_system_without_execution_refuses_and_nothing_changed(void **state)
{
	struct t_dir *dir = *state;
	const int r = t_in_child(freeze_on_noexec, dir->path);
	if (r == 77)
		t_skip("no mount namespace for this user");
	assert_int_equal(r, 0);
}

/* Only freezing what could be stored to shares the lock. */
static void frozen_mapping_that_becomes_executable_keeps_the_lock_that_it_has(void **state)
{
	struct filemap *map = open_ok(make_file(state), FILEMAP_WRITE,
				      FILEMAP_OPTIONS(.flags = FILEMAP_DOWNGRADE_ON_FREEZE));
	assert_ok(filemap_freeze(map, NULL));
	assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
	assert_ok(filemap_freeze_exec(map, NULL));
	assert_int_equal(filemap_lock_state(map), FILEMAP_EXCLUSIVE_LOCK);
	filemap_close(map);
}

static void downgrade_on_freeze_takes_no_lock_where_none_is_held(void **state)
{
	const uint32_t families[] = {FILEMAP_LOCK_NONE, FILEMAP_LOCK_FLOCK, FILEMAP_LOCK_OFD};
	const char *path = make_file(state);
	for (size_t i = 0; i < 3; i++) {
		struct filemap *map = open_ok(path, FILEMAP_WRITE,
					      FILEMAP_OPTIONS(.flags = FILEMAP_DOWNGRADE_ON_FREEZE,
							      .lock_family = families[i])),
			       *other;
		assert_int_equal(filemap_unlock(map), i == 0 ? FILEMAP_EMODE : 0);
		assert_ok(filemap_freeze(map, NULL));
		assert_int_equal(filemap_lock_state(map), FILEMAP_UNLOCKED);
		other = open_ok(path, FILEMAP_WRITE, NULL);
		filemap_close(other);
		filemap_close(map);
	}
}

/* Copies are nobody else's affair. */
static void cow_window_thaws_while_another_one_executes(void **state)
{
	struct filemap *map = open_ok(make_file(state), FILEMAP_READ, NULL), *copy;
	assert_ok(filemap_window(map, FILEMAP_COW, 0, 0, &copy, NULL));
	assert_ok(filemap_freeze(copy, NULL));
	assert_ok(filemap_freeze_exec(map, NULL));
	assert_ok(filemap_thaw(copy, NULL));
	assert_thawed(copy);
	filemap_close(copy);
	filemap_close(map);
}

static void thawing_what_is_thawed_does_nothing(void **state)
{
	struct filemap *map = open_ok(make_file(state), FILEMAP_WRITE, NULL);
	assert_ok(filemap_pin(map));
	assert_ok(filemap_thaw(map, NULL));
	assert_ok(filemap_unlock(map));
	assert_ok(filemap_thaw(map, NULL));
	assert_thawed(map);
	filemap_unpin(map);
	filemap_close(map);
}

T_MAIN(T_TEST(frozen_mapping_cannot_be_stored_to), T_TEST(memory_freezes_and_thaws_without_a_lock),
       T_TEST(freezing_what_cannot_be_stored_to_does_nothing), T_TEST(mapped_code_runs),
       T_TEST(frozen_code_of_a_file_runs_in_every_mode), T_TEST(code_that_was_stored_runs_and_can_be_changed),
       T_TEST(window_at_an_odd_offset_freezes_as_a_whole),
       T_TEST(no_window_can_store_while_another_one_executes),
       T_TEST(cooperating_mapping_executes_only_alone), T_TEST(pinned_mapping_neither_freezes_nor_thaws),
       T_TEST(downgrade_on_freeze_lets_readers_in), T_TEST(forked_child_does_not_downgrade),
       T_TEST(freezing_works_after_advice_has_split_the_region),
       T_TEST(file_system_without_execution_refuses_and_nothing_changed),
       T_TEST(frozen_mapping_that_becomes_executable_keeps_the_lock_that_it_has),
       T_TEST(downgrade_on_freeze_takes_no_lock_where_none_is_held),
       T_TEST(cow_window_thaws_while_another_one_executes), T_TEST(thawing_what_is_thawed_does_nothing))
