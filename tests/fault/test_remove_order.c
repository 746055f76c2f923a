/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The order of kernel calls of a removal as a written sequence. What must stay: the look at the name before
 * anything is moved, the look at what was moved before it is unlinked, one sync of the directory, last; and
 * no call at all where nothing is to be done.
 */
#include "remove_cases.h"

/* Whether the directory is this user's is asked only where root does not own it. */
static void assert_trace(const char *expected)
{
	const char *const ask = "[is_user] ", *at = strstr(expected, ask);
	const int before = at != NULL ? (int)(at - expected) : (int)strlen(expected);
	char wanted[1024];

	snprintf(wanted, sizeof wanted, "%.*s%s%s", before, expected,
		 at != NULL && geteuid() != 0 ? "is_user " : "", at != NULL ? at + strlen(ask) : "");
	assert_string_equal(fault_trace(), wanted);
	fault_reset();
}

#define OTHER_USER ((uid_t)12345)

static struct scene scene;

static int remove_traced(void **state, enum way way, struct filemap_error *reterr)
{
	scene_open(&scene, state, way);
	scene_arm(&scene);
	fault_trace_start();
	return filemap_remove(scene.map, reterr);
}

static int remove_again(struct filemap_error *reterr)
{
	fault_trace_start();
	return filemap_remove(scene.map, reterr);
}

static unsigned name_state(void)
{
	return filemap_state(scene.map) &
	       (FILEMAP_STATE_NEEDS_UNLINK | FILEMAP_STATE_NEEDS_PARENT_SYNC | FILEMAP_STATE_REMOVED);
}

static void close_traced(const char *expected)
{
	fault_trace_start();
	filemap_close(scene.map);
	assert_trace(expected);
}

static void removal_hides_compares_unlinks_and_syncs_once(void **state)
{
	assert_int_equal(remove_traced(state, WAY_HIDDEN, NULL), 0);
	/* the file, its name, the directory; hidden; compared; unlinked; its links, durable */
	assert_trace("fstat fstatat fstat [is_user] random move fstatat unlinkat fstat fsync ");
	assert_int_equal(name_state(), FILEMAP_STATE_REMOVED);
	close_traced("unmap flock close close ");
}

static void removal_from_a_shared_directory_works_in_one_of_its_own(void **state)
{
	assert_int_equal(remove_traced(state, WAY_PRIVATE, NULL), 0);
	/* made, entered and found to be ours; the file moved, compared, unlinked; the directory away */
	assert_trace("fstat fstatat fstat [is_user] random mkdirat openat fstat is_user move fstatat "
		     "unlinkat unlinkat close fstat fsync ");
	close_traced("unmap flock close close ");
}

static void weak_removal_compares_last_thing_before_it_unlinks(void **state)
{
	assert_int_equal(remove_traced(state, WAY_WEAK, NULL), FILEMAP_WEAKLY_CHECKED);
	assert_trace("fstat fstatat fstat [is_user] random move move random mkdirat "
		     "fstatat unlinkat fstat fsync ");
	close_traced("unmap flock close close ");
}

/* Too long for ".NAME.RANDOM.del": no call is wasted on it. */
static void long_name_goes_by_a_directory(void **state)
{
	char name[256], path[600];
	scene_make(&scene, state, WAY_HIDDEN);
	memset(name, 'n', sizeof name);
	name[250] = '\0';
	snprintf(path, sizeof path, "%s/%s", scene.directory, name);
	assert_ok(rename(scene.file, path));
	assert_ok(filemap_open(path, FILEMAP_WRITE, NULL, &scene.map, NULL));
	fault_trace_start();
	assert_int_equal(filemap_remove(scene.map, NULL), 0);
	assert_trace("fstat fstatat fstat [is_user] random random mkdirat openat fstat is_user move fstatat "
		     "unlinkat unlinkat close fstat fsync ");
	close_traced("unmap flock close close ");
}

static void foreign_file_that_is_there_is_only_looked_at(void **state)
{
	scene_open(&scene, state, WAY_HIDDEN);
	scene_swap(&scene);
	fault_trace_start();
	assert_int_equal(filemap_remove(scene.map, NULL), FILEMAP_EREPLACED);
	assert_trace("fstat fstatat ");
	assert_int_equal(name_state(), FILEMAP_STATE_NEEDS_UNLINK);
	assert_ok(filemap_set_remove_on_close(scene.map, 0));
	close_traced("unmap flock close close ");
	scene_assert_content(scene.file, 'f');
}

static void foreign_file_that_was_hidden_is_put_back_and_synced(void **state)
{
	assert_int_equal(remove_traced(state, WAY_FOREIGN, NULL), FILEMAP_EREPLACED);
	assert_trace("fstat fstatat fstat [is_user] random move fstatat fstat move fsync ");
	scene_assert_content(scene.file, 'f');
	assert_ok(filemap_set_remove_on_close(scene.map, 0));
	close_traced("unmap flock close close ");
}

/* The sync is of the directory that has the name again, after the move. */
static void foreign_file_comes_back_from_a_private_directory(void **state)
{
	assert_int_equal(remove_traced(state, WAY_FOREIGN_PRIVATE, NULL), FILEMAP_EREPLACED);
	assert_trace(
		"fstat fstatat fstat [is_user] random mkdirat openat fstat is_user move fstatat fstat move "
		"unlinkat close fsync ");
	scene_assert_content(scene.file, 'f');
	assert_ok(filemap_set_remove_on_close(scene.map, 0));
	close_traced("unmap flock close close ");
}

/* Where renaming cannot refuse to replace: the second name is durable before the first one goes. */
static void foreign_file_comes_back_by_a_link_that_is_synced_first(void **state)
{
	assert_int_equal(remove_traced(state, WAY_FOREIGN_LINKED, NULL), FILEMAP_EREPLACED);
	assert_trace(
		"fstat fstatat fstat [is_user] random move move fstatat fstat move linkat fsync unlinkat "
		"fsync ");
	scene_assert_content(scene.file, 'f');
	assert_ok(filemap_set_remove_on_close(scene.map, 0));
	close_traced("unmap flock close close ");
}

/* Its name was never synced, and whose it is makes no difference. */
static void second_name_that_was_left_goes_behind_a_sync(void **state)
{
	scene_open(&scene, state, WAY_FOREIGN_LINKED);
	scene_arm(&scene);
	fault_arm_also("fsync", 1, EIO);
	assert_int_equal(filemap_remove(scene.map, NULL), FILEMAP_EREPLACED);
	assert_int_equal(remove_again(NULL), FILEMAP_EREPLACED);
	assert_trace("fstat fstatat fstatat fsync unlinkat fstatat ");
	scene_assert_content(scene.file, 'f');
	assert_ok(filemap_set_remove_on_close(scene.map, 0));
	close_traced("unmap flock close close ");
}

/* Else a crash could bring the file back in it, and a recovery from there. */
static void private_directory_that_stays_is_synced(void **state)
{
	scene_open(&scene, state, WAY_PRIVATE);
	fault_arm_call("unlinkat", 2, EIO);
	fault_trace_start();
	assert_int_equal(filemap_remove(scene.map, NULL), 0);
	assert_trace("fstat fstatat fstat [is_user] random mkdirat openat fstat is_user move fstatat "
		     "unlinkat unlinkat fsync close fstat fsync ");
	close_traced("unmap flock close close ");
}

static const int no_room[] = {EINVAL, ENOSYS, EOPNOTSUPP, ENOSPC, EDQUOT, EMLINK, ENAMETOOLONG, EXDEV};

static void directory_that_cannot_be_made_is_done_without(void **state)
{
	for (size_t i = 0; i < sizeof no_room / sizeof *no_room; i++) {
		scene_open(&scene, state, WAY_PRIVATE);
		fault_arm_call("mkdirat", 1, no_room[i]);
		fault_trace_start();
		assert_int_equal(filemap_remove(scene.map, NULL), FILEMAP_WEAKLY_CHECKED);
		assert_trace("fstat fstatat fstat [is_user] random mkdirat "
			     "random move fstatat unlinkat fstat fsync ");
		close_traced("unmap flock close close ");
		scene_drop(&scene);
	}
}

/* What a umask does that takes our own permissions away; who exchanges directories must do so each time. */
static void directory_that_cannot_be_entered_is_made_again_and_then_done_without(void **state)
{
	scene_open(&scene, state, WAY_PRIVATE);
	fault_arm_call_persistent("openat", 1, EACCES);
	assert_int_equal(filemap_remove(scene.map, NULL), FILEMAP_WEAKLY_CHECKED);
	assert_int_equal(fault_count("mkdirat"), 8);
	assert_int_equal(fault_count("unlinkat"), 8 + 1);
	fault_reset();
	assert_int_equal(scene_look(&scene).entries, 0);
	filemap_close(scene.map);
	scene_drop(&scene);
}

/* Nobody foresees the number: there is nothing that could be replaced. */
static void move_that_cannot_refuse_to_replace_will_do(void **state)
{
	const int errors[] = {EINVAL, ENOSYS};

	for (size_t i = 0; i < 2; i++) {
		scene_open(&scene, state, WAY_HIDDEN);
		fault_arm_call("move", 1, errors[i]);
		fault_trace_start();
		assert_int_equal(filemap_remove(scene.map, NULL), 0);
		assert_trace("fstat fstatat fstat [is_user] random move move fstatat unlinkat fstat fsync ");
		close_traced("unmap flock close close ");
		scene_drop(&scene);
	}
}

static const char *made_directory(void)
{
	static char path[640];
	DIR *dir = opendir(scene.directory);

	assert_non_null(dir);
	for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
		if (strncmp(entry->d_name, ".file.", 6) == 0)
			snprintf(path, sizeof path, "%s/%s", scene.directory, entry->d_name);
	closedir(dir);
	return path;
}

static void open_to_others(void *unused)
{
	(void)unused;
	assert_ok(chmod(made_directory(), 0750));
}

static void give_to_others(void *unused)
{
	(void)unused;
	assert_ok(chown(made_directory(), OTHER_USER, (gid_t)-1));
}

/* Somebody put another one in its place. */
static void directory_that_others_can_enter_is_not_used(void **state)
{
	void (*const changes[])(void *) = {open_to_others, give_to_others};

	for (size_t i = 0; i < (geteuid() == 0 ? 2 : 1); i++) {
		scene_open(&scene, state, WAY_PRIVATE);
		fault_hook("openat", 1, changes[i], NULL);
		fault_trace_start();
		assert_int_equal(filemap_remove(scene.map, NULL), 0);
		assert_trace(
			"fstat fstatat fstat [is_user] random mkdirat openat fstat is_user close unlinkat "
			"random mkdirat openat fstat is_user move fstatat unlinkat unlinkat close "
			"fstat fsync ");
		assert_int_equal(scene_look(&scene).entries, 0);
		close_traced("unmap flock close close ");
		scene_drop(&scene);
	}
}

static void directory_whose_owner_cannot_be_told_is_not_used(void **state)
{
	scene_open(&scene, state, WAY_PRIVATE);
	fault_arm_call("is_user", geteuid() == 0 ? 1 : 2, EIO);
	assert_int_equal(filemap_remove(scene.map, NULL), 0);
	assert_true(fault_fired());
	assert_int_equal(fault_count("mkdirat"), 2);
	assert_int_equal(fault_count("move"), 1);
	fault_reset();
	filemap_close(scene.map);
}

static void put_link_in_its_place(void *unused)
{
	const char *made = made_directory();

	(void)unused;
	assert_ok(rmdir(made));
	assert_ok(symlink(t_path(scene.top, "ours"), made));
}

/* What it leads to may well be ours alone: nothing is to be moved there. */
static void link_in_place_of_our_directory_is_not_followed(void **state)
{
	scene_open(&scene, state, WAY_PRIVATE);
	assert_ok(mkdir(t_path(scene.top, "ours"), 0700));
	fault_hook("openat", 1, put_link_in_its_place, NULL);
	const int r = filemap_remove(scene.map, NULL);
	assert_true(r == -ENOTDIR || r == -ELOOP);
	assert_int_equal(fault_count("move"), 0);
	assert_int_equal(name_state(), FILEMAP_STATE_NEEDS_UNLINK);
	assert_int_equal(filemap_remove(scene.map, NULL), 0);
	filemap_close(scene.map);
}

/* What was unlinked in it would not be durable: the removal is not over before the directory is gone, or synced. */
static void private_directory_that_could_not_be_synced_is_tried_again(void **state)
{
	scene_open(&scene, state, WAY_PRIVATE);
	fault_arm_call("unlinkat", 2, EIO);
	fault_arm_also("fsync", 1, EIO);
	fault_trace_start();
	assert_int_equal(filemap_remove(scene.map, NULL), 0);
	assert_trace("fstat fstatat fstat [is_user] random mkdirat openat fstat is_user move fstatat "
		     "unlinkat unlinkat fsync close fstat openat fstat is_user unlinkat close fsync ");
	assert_int_equal(scene_look(&scene).entries, 0);
	close_traced("unmap flock close close ");
}

static void recover(void *context)
{
	const struct scene *recovered = context;
	const int fd = open(recovered->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(filemap_recover_quarantine(fd, NULL), 0);
	close(fd);
}

static void private_directory_that_recovery_removed_is_not_missed(void **state)
{
	scene_open(&scene, state, WAY_PRIVATE);
	fault_arm_call("unlinkat", 2, EIO);
	fault_arm_also("fsync", 1, EIO);
	fault_hook("openat", 2, recover, &scene);
	assert_int_equal(filemap_remove(scene.map, NULL), 0);
	assert_int_equal(name_state(), FILEMAP_STATE_REMOVED);
	assert_int_equal(scene_look(&scene).entries, 0);
	fault_reset();
	close_traced("unmap flock close close ");
}

static void name_that_is_gone_is_only_looked_up(void **state)
{
	scene_open(&scene, state, WAY_HIDDEN);
	assert_ok(unlink(scene.file));
	fault_trace_start();
	assert_int_equal(filemap_remove(scene.map, NULL), FILEMAP_EGONE);
	assert_trace("fstat fstatat ");
	assert_ok(filemap_set_remove_on_close(scene.map, 0));
	close_traced("unmap flock close close ");
}

static void symbolic_link_is_only_looked_at(void **state)
{
	scene_open(&scene, state, WAY_HIDDEN);
	assert_ok(rename(scene.file, scene.aside));
	assert_ok(symlink("aside", scene.file));
	fault_trace_start();
	assert_int_equal(filemap_remove(scene.map, NULL), FILEMAP_EMODE);
	assert_trace("fstat fstatat ");
	assert_int_equal(name_state(), 0);
	close_traced("unmap flock close close "); /* nothing was tried: nothing is tried again */
}

/* With the links that are left: others may have come or gone. */
static void failed_sync_is_only_repeated(void **state)
{
	scene_open(&scene, state, WAY_HIDDEN);
	fault_arm_call("fsync", 1, EIO);
	assert_int_equal(filemap_remove(scene.map, NULL), FILEMAP_EUNSYNCED);
	assert_int_equal(name_state(), FILEMAP_STATE_NEEDS_PARENT_SYNC);
	fault_reset();
	assert_int_equal(remove_again(NULL), 0);
	assert_trace("fstat fsync ");
	assert_int_equal(name_state(), FILEMAP_STATE_REMOVED);
	close_traced("unmap flock close close ");
}

static void removed_name_is_not_removed_again(void **state)
{
	assert_int_equal(remove_traced(state, WAY_HIDDEN, NULL), 0);
	fault_reset();
	assert_int_equal(remove_again(NULL), 0);
	assert_trace("");
	close_traced("unmap flock close close ");
}

/* What was left hidden is found there again; the name would only matter if it meant the same file. */
static void file_that_was_left_hidden_is_unlinked_there(void **state)
{
	scene_open(&scene, state, WAY_HIDDEN);
	fault_arm_call("unlinkat", 1, EIO);
	fault_arm_also("move", 2, EIO);
	fault_trace_start();
	assert_int_equal(filemap_remove(scene.map, NULL), -EIO);
	assert_trace("fstat fstatat fstat [is_user] random move fstatat unlinkat move ");
	assert_int_equal(remove_again(NULL), 0);
	assert_trace("fstat fstatat fstatat unlinkat fstat fsync ");
	close_traced("unmap flock close close ");
}

static void file_that_cannot_be_unlinked_is_put_back(void **state)
{
	scene_open(&scene, state, WAY_HIDDEN);
	fault_arm_call("unlinkat", 1, EPERM);
	fault_trace_start();
	assert_int_equal(filemap_remove(scene.map, NULL), -EPERM);
	assert_trace("fstat fstatat fstat [is_user] random move fstatat unlinkat move ");
	scene_assert_content(scene.file, 'o');
	assert_ok(filemap_set_remove_on_close(scene.map, 0));
	close_traced("unmap flock close close ");
}

/* It was opened by searching it only: for the sync it is opened once more, before anything is moved. */
static void directory_that_was_not_readable_is_opened_for_the_sync_first(void **state)
{
	scene_make(&scene, state, WAY_HIDDEN);
	fault_arm_call("openat", 1, EACCES);
	assert_ok(filemap_open(scene.file, FILEMAP_WRITE, NULL, &scene.map, NULL));
	assert_true(fault_fired());
	fault_reset();
	fault_trace_start();
	assert_int_equal(filemap_remove(scene.map, NULL), 0);
	assert_trace("openat fstat fstatat fstat [is_user] random move fstatat unlinkat fstat fsync close ");
	close_traced("unmap flock close close ");
}

static void directory_that_cannot_be_synced_is_left_as_it_is(void **state)
{
	scene_make(&scene, state, WAY_HIDDEN);
	fault_arm_call("openat", 1, EACCES);
	assert_ok(filemap_open(scene.file, FILEMAP_WRITE, NULL, &scene.map, NULL));
	fault_reset();
	fault_arm_call("openat", 1, EACCES);
	fault_trace_start();
	assert_int_equal(filemap_remove(scene.map, NULL), -EACCES);
	assert_trace("openat ");
	assert_int_equal(name_state(), 0);
	close_traced("unmap flock close close ");
	scene_assert_content(scene.file, 'o');
}

/* ---- which place comes first ---- */

struct owners {
	mode_t mode;
	uid_t directory, file; /* 0 = whoever runs this */
};

static void make_owned(void **state, const struct owners *owners)
{
	scene_make(&scene, state, WAY_HIDDEN);
	if (owners->file != 0)
		assert_ok(chown(scene.file, owners->file, (gid_t)-1));
	if (owners->directory != 0)
		assert_ok(chown(scene.directory, owners->directory, (gid_t)-1));
	assert_ok(chmod(scene.file, 0666));
	assert_ok(chmod(scene.directory, owners->mode));
}

/* 1: through a directory of its own; 0: under a hidden name. */
static int remove_by_directory(void *unused)
{
	(void)unused;
	if (filemap_open(scene.file, FILEMAP_WRITE, NULL, &scene.map, NULL) < 0)
		return 2;
	fault_reset();
	fault_trace_start();
	if (filemap_remove(scene.map, NULL) != 0)
		return 3;
	const int by_directory = strstr(fault_trace(), "mkdirat") != NULL;
	filemap_close(scene.map);
	return by_directory;
}

static void assert_first_place(void **state, const struct owners *owners, int by_directory)
{
	make_owned(state, owners);
	assert_int_equal(remove_by_directory(NULL), by_directory);
	scene_drop(&scene);
}

static void whoever_else_can_write_the_directory_cannot_enter_ours(void **state)
{
	const mode_t unshared[] = {0700, 0755, 01755}, shared[] = {0770, 0720, 0702, 0777};

	for (size_t i = 0; i < sizeof unshared / sizeof *unshared; i++)
		assert_first_place(state, &(struct owners){.mode = unshared[i]}, 0);
	for (size_t i = 0; i < sizeof shared / sizeof *shared; i++)
		assert_first_place(state, &(struct owners){.mode = shared[i]}, 1);
}

/* There the owner of a file can rename it as well, and the owner of the directory everything. */
static void sticky_directory_protects_what_is_our_own_only(void **state)
{
	assert_first_place(state, &(struct owners){.mode = 01777}, 0);
	if (geteuid() != 0)
		t_skip("only root gives files away");
	assert_first_place(state, &(struct owners){01777, 0, OTHER_USER}, 1);
	assert_first_place(state, &(struct owners){01777, OTHER_USER, 0}, 1);
	assert_first_place(state, &(struct owners){0700, OTHER_USER, 0}, 1);
}

static int remove_as_nobody(void *unused)
{
	return t_become_nobody() < 0 ? 4 : remove_by_directory(unused);
}

/* Root can do as it likes anywhere: its files are nobody else's to be protected from. */
static void sticky_directory_protects_what_is_root_s(void **state)
{
	if (geteuid() != 0)
		t_skip("only root can become nobody");
	make_owned(state, &(struct owners){01777, 65534, 0});
	assert_ok(chmod(scene.top->path, 0755));
	assert_int_equal(t_in_child(remove_as_nobody, NULL), 0);
	scene_drop(&scene);
}

/* ---- which calls a close makes ---- */

static void open_with(void **state, unsigned mode, unsigned flags)
{
	scene_make(&scene, state, WAY_HIDDEN);
	assert_ok(filemap_open(scene.file, mode, FILEMAP_OPTIONS(.flags = flags), &scene.map, NULL));
	fault_reset();
}

static void close_without_removal_makes_no_further_call(void **state)
{
	open_with(state, FILEMAP_WRITE, 0);
	close_traced("unmap flock close close ");
	scene_drop(&scene);
	open_with(state, FILEMAP_READ, FILEMAP_PIN_PARENT);
	close_traced("unmap flock close close ");
	scene_drop(&scene);
	open_with(state, FILEMAP_READ, 0);
	close_traced("unmap flock close ");
}

static void removal_at_close_comes_before_the_lock_is_given_back(void **state)
{
	open_with(state, FILEMAP_WRITE, FILEMAP_REMOVE_ON_CLOSE);
	close_traced("unmap fstat fstatat fstat [is_user] random move fstatat unlinkat fstat fsync "
		     "flock close close ");
	assert_int_equal(t_file_size(scene.file), -1);
}

static void removal_at_close_of_a_reader_takes_the_exclusive_lock_first(void **state)
{
	open_with(state, FILEMAP_READ, FILEMAP_REMOVE_ON_CLOSE);
	close_traced(
		"unmap flock flock fstat fstatat fstat [is_user] random move fstatat unlinkat fstat fsync "
		"flock close close ");
	assert_int_equal(t_file_size(scene.file), -1);
}

static void failed_removal_is_tried_again_at_close(void **state)
{
	scene_open(&scene, state, WAY_HIDDEN);
	fault_arm_call("fsync", 1, EIO);
	assert_int_equal(filemap_remove(scene.map, NULL), FILEMAP_EUNSYNCED);
	close_traced("unmap fstat fsync flock close close ");
}

static void removal_without_the_exclusive_lock_makes_no_call(void **state)
{
	open_with(state, FILEMAP_READ, FILEMAP_PIN_PARENT);
	fault_trace_start();
	assert_int_equal(filemap_remove(scene.map, NULL), FILEMAP_ELOCKED);
	assert_trace("");
	assert_ok(filemap_lock(scene.map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
	fault_trace_start();
	assert_int_equal(filemap_remove(scene.map, NULL), 0);
	assert_trace("fstat fstatat fstat [is_user] random move fstatat unlinkat fstat fsync ");
	close_traced("unmap flock close close ");
}

static void memory_makes_no_call(void **state)
{
	(void)state;
	assert_ok(filemap_anonymous(4096, NULL, &scene.map, NULL));
	fault_reset();
	fault_trace_start();
	assert_int_equal(filemap_remove(scene.map, NULL), 0);
	assert_ok(filemap_set_remove_on_close(scene.map, 1));
	assert_trace("");
	close_traced("unmap ");
}

T_MAIN(T_TEST(removal_hides_compares_unlinks_and_syncs_once),
       T_TEST(removal_from_a_shared_directory_works_in_one_of_its_own),
       T_TEST(weak_removal_compares_last_thing_before_it_unlinks), T_TEST(long_name_goes_by_a_directory),
       T_TEST(foreign_file_that_is_there_is_only_looked_at),
       T_TEST(foreign_file_that_was_hidden_is_put_back_and_synced),
       T_TEST(foreign_file_comes_back_from_a_private_directory),
       T_TEST(foreign_file_comes_back_by_a_link_that_is_synced_first),
       T_TEST(second_name_that_was_left_goes_behind_a_sync), T_TEST(private_directory_that_stays_is_synced),
       T_TEST(directory_that_cannot_be_made_is_done_without),
       T_TEST(directory_that_cannot_be_entered_is_made_again_and_then_done_without),
       T_TEST(move_that_cannot_refuse_to_replace_will_do),
       T_TEST(directory_that_others_can_enter_is_not_used),
       T_TEST(directory_whose_owner_cannot_be_told_is_not_used),
       T_TEST(link_in_place_of_our_directory_is_not_followed),
       T_TEST(private_directory_that_could_not_be_synced_is_tried_again),
       T_TEST(private_directory_that_recovery_removed_is_not_missed),
       T_TEST(name_that_is_gone_is_only_looked_up), T_TEST(symbolic_link_is_only_looked_at),
       T_TEST(failed_sync_is_only_repeated), T_TEST(removed_name_is_not_removed_again),
       T_TEST(file_that_was_left_hidden_is_unlinked_there), T_TEST(file_that_cannot_be_unlinked_is_put_back),
       T_TEST(directory_that_was_not_readable_is_opened_for_the_sync_first),
       T_TEST(directory_that_cannot_be_synced_is_left_as_it_is),
       T_TEST(whoever_else_can_write_the_directory_cannot_enter_ours),
       T_TEST(sticky_directory_protects_what_is_our_own_only),
       T_TEST(sticky_directory_protects_what_is_root_s), T_TEST(close_without_removal_makes_no_further_call),
       T_TEST(removal_at_close_comes_before_the_lock_is_given_back),
       T_TEST(removal_at_close_of_a_reader_takes_the_exclusive_lock_first),
       T_TEST(failed_removal_is_tried_again_at_close),
       T_TEST(removal_without_the_exclusive_lock_makes_no_call), T_TEST(memory_makes_no_call))
