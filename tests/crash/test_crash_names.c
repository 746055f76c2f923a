/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A crash at any moment of removing, publishing, replacing and recovering: of the operations on names that were
 * not synced any set is lost, of the bytes any part. What the headers promise holds in every such state.
 */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "names_play.h"
#include "sys/sys.h"

#define LONG_NAME                                                                                        \
	"a name so long that there is no room for another one to be made of it, as the file system has " \
	"names of two hundred and fifty-five bytes at most and the hidden one would have to repeat all " \
	"of these bytes, and to add a point, sixteen digits and .del"
#define HIDDEN ".f.0123456789abcdef.del"
#define HIDDEN_DIR ".f.0123456789abcdef.deld"
#define END INT_MAX

/* ---- what is there from the start ---- */

static void put_old(struct names_play *play)
{
	names_put(play, play->terms.name, NAMES_OLD);
	if (play->terms.has_foreign)
		names_put(play, "foreign", NAMES_FOREIGN);
	if (play->terms.has_third)
		names_put(play, "third", NAMES_THIRD);
	if (filemap_file_identity(play->fd, play->terms.name, &play->identity, NULL) < 0)
		fail_msg("identity");
}

static void put_others(struct names_play *play)
{
	if (play->terms.has_third)
		names_put(play, "third", NAMES_THIRD);
}

static void put_mapped(struct names_play *play)
{
	put_old(play);
	assert_ok(filemap_open(names_path(play, play->terms.name), FILEMAP_WRITE, NULL, &play->map, NULL));
}

static void put_mapped_shared(struct names_play *play)
{
	put_mapped(play);
	assert_ok(chmod(play->dir, 0777));
}

static void put_mapped_twice(struct names_play *play)
{
	put_mapped(play);
	assert_ok(link(names_path(play, "f"), names_path(play, "second")));
}

static void put_mapped_replaced(struct names_play *play)
{
	put_mapped(play);
	assert_ok(rename(names_path(play, "foreign"), names_path(play, "f")));
}

static void put_private_mode(struct names_play *play)
{
	put_old(play);
	assert_ok(chmod(names_path(play, "f"), 0640));
	play->terms.mode = 0640;
	play->terms.owner = geteuid() == 0 ? 1234 : geteuid();
	assert_ok(chown(names_path(play, "f"), play->terms.owner, (gid_t)-1));
	assert_ok(filemap_file_identity(play->fd, "f", &play->identity, NULL));
}

static void put_hidden(struct names_play *play)
{
	names_put(play, HIDDEN, NAMES_OLD);
	put_others(play);
}

static void put_hidden_dir(struct names_play *play)
{
	assert_ok(mkdir(names_path(play, HIDDEN_DIR), 0700));
	names_put(play, HIDDEN_DIR "/f", NAMES_OLD);
}

static void put_hidden_and_taken(struct names_play *play)
{
	put_hidden(play);
	names_put(play, "f", NAMES_THIRD);
}

static void put_hidden_linked(struct names_play *play)
{
	put_hidden(play);
	play->terms.has_second = true;
}

/* Something to copy from, which is elsewhere. */
static void put_source(struct names_play *play)
{
	char path[400], bytes[NAMES_LENGTH];

	memset(bytes, NAMES_NEW, sizeof bytes);
	snprintf(path, sizeof path, "%s.source", play->dir);
	t_write_file(path, bytes, sizeof bytes);
	assert_ok(filemap_open(path, FILEMAP_READ, NULL, &play->map, NULL));
	put_others(play);
}

/* ---- what fails, and who comes between ---- */

static void foreign_comes(void *context)
{
	const struct names_play *play = context;
	assert_ok(fm__sys_rename(play->fd, "foreign", play->terms.name, true));
}

/* Onto a name that is free: replacing is its own doing, and ends what it replaces. */
static void third_comes(void *context)
{
	const struct names_play *play = context;
	assert_ok(fm__sys_rename(play->fd, "third", play->terms.name, false));
}

static void third_replaces(void *context)
{
	const struct names_play *play = context;
	assert_ok(fm__sys_rename(play->fd, "third", play->terms.name, true));
}

static void no_moving(struct names_play *play)
{
	(void)play;
	names_fail("move", 0, EINVAL);
	names_fail("move_over", 0, EXDEV);
}

static void no_refusal_to_replace(struct names_play *play)
{
	(void)play;
	names_fail("move", 0, EINVAL);
}

static void foreign_first(struct names_play *play)
{
	names_hook("move", 1, foreign_comes, play);
}

static void foreign_then_third(struct names_play *play)
{
	names_hook("move", 1, foreign_comes, play);
	names_hook("move", 2, third_comes, play);
}

static void foreign_first_cannot_go_back(struct names_play *play)
{
	foreign_first(play);
	names_fail("move", 2, EIO);
}

static void foreign_first_sync_fails(struct names_play *play)
{
	foreign_first(play);
	names_fail("sync_dir", 1, EIO);
}

static void foreign_first_no_refusal(struct names_play *play)
{
	names_hook("move_over", 1, foreign_comes, play);
	names_fail("move", 0, EINVAL);
}

static void third_while_hidden(struct names_play *play)
{
	names_hook("unlinkat", 1, third_comes, play);
}

static void unlink_fails(struct names_play *play)
{
	(void)play;
	names_fail("unlinkat", 1, EIO);
}

static void unlink_and_back_fail(struct names_play *play)
{
	(void)play;
	names_fail("unlinkat", 1, EIO);
	names_fail("move", 2, EIO);
}

static void sync_fails(struct names_play *play)
{
	(void)play;
	names_fail("sync_dir", 1, EIO);
}

static void rmdir_fails(struct names_play *play)
{
	(void)play;
	names_fail("rmdir", 1, EIO);
}

static void no_unnamed(struct names_play *play)
{
	(void)play;
	names_fail("tmpfile", 0, EOPNOTSUPP);
}

static void no_linking(struct names_play *play)
{
	(void)play;
	names_fail("link_fd", 0, ENOENT);
}

static void third_before_link(struct names_play *play)
{
	names_hook("link_fd", 1, third_comes, play);
}

static void no_unnamed_third_before_rename(struct names_play *play)
{
	names_fail("tmpfile", 0, EOPNOTSUPP);
	names_hook("rename", 1, third_comes, play);
}

static void foreign_before_swap(struct names_play *play)
{
	names_hook("swap", 1, foreign_comes, play);
}

static void foreign_and_third_around_swap(struct names_play *play)
{
	names_hook("swap", 1, foreign_comes, play);
	names_hook("swap", 2, third_replaces, play);
}

static void foreign_before_swap_sync_fails(struct names_play *play)
{
	names_hook("swap", 1, foreign_comes, play);
	names_fail("sync_dir", 1, EIO);
}

static void unlink_and_swap_back_fail(struct names_play *play)
{
	(void)play;
	names_fail("unlinkat", 1, EIO);
	names_fail("swap", 2, EIO);
}

static void no_swapping(struct names_play *play)
{
	(void)play;
	names_fail("swap", 0, EINVAL);
}

/* ---- what the library does ---- */

static void remove_mapped(struct names_play *play)
{
	struct filemap_error error;
	names_returned(filemap_remove(play->map, &error), &error);
}

static void remove_mapped_twice(struct names_play *play)
{
	remove_mapped(play);
	remove_mapped(play);
}

static void remove_unmapped(struct names_play *play)
{
	struct filemap_error error;
	names_returned(filemap_remove_file(play->fd, play->terms.name, &play->identity, &error), &error);
}

static void close_removes(struct names_play *play)
{
	assert_ok(filemap_set_remove_on_close(play->map, 1));
	filemap_close(play->map);
	play->map = NULL;
	names_returned(0, NULL);
}

static void copy(struct names_play *play)
{
	struct filemap_error error;
	int r = filemap_copy_to(play->map, 0, FILEMAP_TO_END, names_path(play, play->terms.name), &error);
	names_returned(r, &error);
}

static int fill_in_steps(int fd, void *context)
{
	char bytes[NAMES_LENGTH];

	memset(bytes, *(const char *)context, sizeof bytes);
	if (write(fd, bytes, NAMES_LENGTH / 3) < 0)
		return -errno;
	if (fm__sys_pwrite(fd, bytes, NAMES_LENGTH / 3, NAMES_LENGTH / 3) < 0)
		return -EIO;
	return fm__sys_pwrite(fd, bytes, NAMES_LENGTH / 3, 2 * (NAMES_LENGTH / 3));
}

static int fill_fails(int fd, void *context)
{
	int r = fill_in_steps(fd, context);
	return r < 0 ? r : -ENODATA;
}

static void publish_with(struct names_play *play, filemap_fill_fn *fill)
{
	struct filemap_error error;
	char letter = NAMES_NEW;
	int r = filemap_publish(play->fd, play->terms.name, fill, &letter, NULL, &error);
	names_returned(r, &error);
}

static void publish(struct names_play *play)
{
	publish_with(play, fill_in_steps);
}

static void publish_failing(struct names_play *play)
{
	publish_with(play, fill_fails);
}

static void replace_with(struct names_play *play, filemap_fill_fn *fill, unsigned flags, bool expected)
{
	const struct filemap_new_options *options =
		FILEMAP_NEW_OPTIONS(.flags = flags, .expect = expected ? &play->identity : NULL);
	struct filemap_error error;
	char letter = NAMES_NEW;
	int r = filemap_replace_file(play->fd, play->terms.name, fill, &letter, options, &error);
	names_returned(r, &error);
}

static void replace(struct names_play *play)
{
	replace_with(play, fill_in_steps, 0, false);
}

static void replace_failing(struct names_play *play)
{
	replace_with(play, fill_fails, 0, false);
}

static void replace_keeping(struct names_play *play)
{
	replace_with(play, fill_in_steps, FILEMAP_KEEP_MODE | FILEMAP_KEEP_OWNER, false);
}

static void replace_expected(struct names_play *play)
{
	replace_with(play, fill_in_steps, 0, true);
}

static void replace_expected_keeping(struct names_play *play)
{
	replace_with(play, fill_in_steps, FILEMAP_KEEP_MODE | FILEMAP_KEEP_OWNER, true);
}

static void recover(struct names_play *play)
{
	struct filemap_error error;
	names_returned(filemap_recover_quarantine(play->fd, &error), &error);
}

/* The one before was killed between its two steps, where renaming cannot refuse to replace. */
static void recover_after_a_killed_one(struct names_play *play)
{
	assert_ok(fm__sys_linkat(play->fd, HIDDEN, play->fd, "f"));
	recover(play);
}

/* ---- the scenes ---- */

#define TERMS(...)          \
	{                   \
		__VA_ARGS__ \
	}
/* Last: what the calls return, one after the other. */
#define SCENE(title_, terms_, prepare_, plan_, act_, ...)                                                  \
	{                                                                                                  \
		.title = (title_), .terms = terms_, .prepare = (prepare_), .plan = (plan_), .act = (act_), \
		.results = {                                                                               \
			__VA_ARGS__,                                                                       \
			END                                                                                \
		}                                                                                          \
	}

#define FOREIGN .promise = NAMES_REMOVES, .has_foreign = true
#define BOTH FOREIGN, .has_third = true

static const struct names_scene remove_scenes[] = {
	SCENE("remove", TERMS(.promise = NAMES_REMOVES), put_mapped, NULL, remove_mapped, 0),
	SCENE("remove, private directory", TERMS(.promise = NAMES_REMOVES), put_mapped_shared, NULL,
	      remove_mapped, 0),
	SCENE("remove, long name", TERMS(.promise = NAMES_REMOVES, .name = LONG_NAME), put_mapped, NULL,
	      remove_mapped, 0),
	SCENE("remove, weak", TERMS(.promise = NAMES_REMOVES), put_mapped, no_moving, remove_mapped,
	      FILEMAP_WEAKLY_CHECKED),
	SCENE("remove, nothing refuses to replace", TERMS(.promise = NAMES_REMOVES), put_mapped,
	      no_refusal_to_replace, remove_mapped, 0),
	SCENE("remove, second name", TERMS(.promise = NAMES_REMOVES, .has_second = true), put_mapped_twice,
	      NULL, remove_mapped, FILEMAP_STILL_LINKED),
	SCENE("remove file", TERMS(.promise = NAMES_REMOVES), put_old, NULL, remove_unmapped, 0),
	SCENE("remove at close", TERMS(.promise = NAMES_REMOVES), put_mapped, NULL, close_removes, 0),
	SCENE("remove, a new file comes", TERMS(.promise = NAMES_REMOVES, .has_third = true), put_mapped,
	      third_while_hidden, remove_mapped, 0),
};

static const struct names_scene foreign_scenes[] = {
	SCENE("remove, foreign from the start", TERMS(FOREIGN, .was_missing = true), put_mapped_replaced,
	      NULL, remove_mapped, FILEMAP_EREPLACED),
	SCENE("remove, foreign put back", TERMS(FOREIGN), put_mapped, foreign_first, remove_mapped,
	      FILEMAP_EREPLACED),
	SCENE("remove, foreign put back from private directory", TERMS(FOREIGN), put_mapped_shared,
	      foreign_first, remove_mapped, FILEMAP_EREPLACED),
	SCENE("remove, foreign put back by a link", TERMS(FOREIGN), put_mapped, foreign_first_no_refusal,
	      remove_mapped, FILEMAP_EREPLACED),
	SCENE("remove, foreign put back by a link from private directory", TERMS(FOREIGN), put_mapped_shared,
	      foreign_first_no_refusal, remove_mapped, FILEMAP_EREPLACED),
	SCENE("remove, foreign cannot be put back", TERMS(FOREIGN), put_mapped, foreign_first_cannot_go_back,
	      remove_mapped, FILEMAP_EREPLACED),
	SCENE("remove, foreign cannot be put back from private directory", TERMS(FOREIGN), put_mapped_shared,
	      foreign_first_cannot_go_back, remove_mapped, FILEMAP_EREPLACED),
	SCENE("remove, foreign put back, sync fails", TERMS(FOREIGN), put_mapped, foreign_first_sync_fails,
	      remove_mapped, FILEMAP_EREPLACED),
	SCENE("remove, third in the way", TERMS(BOTH), put_mapped, foreign_then_third, remove_mapped,
	      FILEMAP_EREPLACED),
	SCENE("remove, third in the way of private directory", TERMS(BOTH), put_mapped_shared,
	      foreign_then_third, remove_mapped, FILEMAP_EREPLACED),
};

static const struct names_scene failing_scenes[] = {
	SCENE("remove, unlink fails", TERMS(.promise = NAMES_REMOVES), put_mapped, unlink_fails,
	      remove_mapped_twice, -EIO, 0),
	SCENE("remove, unlink fails in private directory", TERMS(.promise = NAMES_REMOVES), put_mapped_shared,
	      unlink_fails, remove_mapped_twice, -EIO, 0),
	SCENE("remove, unlink and put back fail", TERMS(.promise = NAMES_REMOVES), put_mapped,
	      unlink_and_back_fail, remove_mapped_twice, -EIO, 0),
	SCENE("remove, unlink and put back fail in private directory", TERMS(.promise = NAMES_REMOVES),
	      put_mapped_shared, unlink_and_back_fail, remove_mapped_twice, -EIO, 0),
	SCENE("remove, sync fails", TERMS(.promise = NAMES_REMOVES), put_mapped, sync_fails,
	      remove_mapped_twice, FILEMAP_EUNSYNCED, 0),
	SCENE("remove, sync fails in private directory", TERMS(.promise = NAMES_REMOVES), put_mapped_shared,
	      sync_fails, remove_mapped_twice, FILEMAP_EUNSYNCED, 0),
	SCENE("remove, private directory stays", TERMS(.promise = NAMES_REMOVES), put_mapped_shared,
	      rmdir_fails, remove_mapped, 0),
};

static const struct names_scene publish_scenes[] = {
	SCENE("copy", TERMS(.promise = NAMES_PUBLISHES), put_source, NULL, copy, 0),
	SCENE("copy, hidden", TERMS(.promise = NAMES_PUBLISHES, .has_tmp = true), put_source, no_unnamed,
	      copy, 0),
	SCENE("publish", TERMS(.promise = NAMES_PUBLISHES), put_others, NULL, publish, 0),
	SCENE("publish, hidden", TERMS(.promise = NAMES_PUBLISHES, .has_tmp = true), put_others, no_unnamed,
	      publish, 0),
	SCENE("publish, cannot be linked", TERMS(.promise = NAMES_PUBLISHES, .has_tmp = true), put_others,
	      no_linking, publish, 0),
	{.title = "publish, hidden, nothing refuses to replace",
	 .terms = {.promise = NAMES_PUBLISHES, .has_tmp = true},
	 .prepare = put_others,
	 .plan = no_unnamed,
	 .act = publish,
	 .results = {0, END},
	 .bug = NAMES_MOVE_IN_STEPS},
	SCENE("publish, sync fails", TERMS(.promise = NAMES_PUBLISHES), put_others, sync_fails, publish,
	      FILEMAP_EUNSYNCED),
	SCENE("publish, filling fails", TERMS(.promise = NAMES_PUBLISHES), put_others, NULL, publish_failing,
	      -ENODATA),
	SCENE("publish, hidden, filling fails", TERMS(.promise = NAMES_PUBLISHES, .has_tmp = true),
	      put_others, no_unnamed, publish_failing, -ENODATA),
	SCENE("publish, taken", TERMS(.promise = NAMES_PUBLISHES, .is_taken = true), put_old, NULL, publish,
	      -EEXIST),
	SCENE("publish, third comes", TERMS(.promise = NAMES_PUBLISHES, .has_third = true), put_others,
	      third_before_link, publish, -EEXIST),
	SCENE("publish, hidden, third comes",
	      TERMS(.promise = NAMES_PUBLISHES, .has_third = true, .has_tmp = true), put_others,
	      no_unnamed_third_before_rename, publish, -EEXIST),
};

#define REPLACES .promise = NAMES_REPLACES, .has_tmp = true

static const struct names_scene replace_scenes[] = {
	SCENE("replace", TERMS(REPLACES), put_old, NULL, replace, 0),
	SCENE("replace, hidden", TERMS(REPLACES), put_old, no_unnamed, replace, 0),
	SCENE("replace, cannot be linked", TERMS(REPLACES), put_old, no_linking, replace, 0),
	SCENE("replace, keeping", TERMS(REPLACES), put_private_mode, NULL, replace_keeping, 0),
	SCENE("replace, hidden, keeping", TERMS(REPLACES), put_private_mode, no_unnamed, replace_keeping, 0),
	SCENE("replace, missing", TERMS(REPLACES, .was_missing = true), put_others, NULL, replace, 0),
	SCENE("replace, filling fails", TERMS(REPLACES), put_old, NULL, replace_failing, -ENODATA),
	SCENE("replace, sync fails", TERMS(REPLACES), put_old, sync_fails, replace, FILEMAP_EUNSYNCED),
	SCENE("replace expected", TERMS(REPLACES), put_old, NULL, replace_expected, 0),
	SCENE("replace expected, hidden", TERMS(REPLACES), put_old, no_unnamed, replace_expected, 0),
	SCENE("replace expected, keeping", TERMS(REPLACES), put_private_mode, NULL, replace_expected_keeping,
	      0),
	SCENE("replace expected, weak", TERMS(REPLACES), put_old, no_swapping, replace_expected,
	      FILEMAP_WEAKLY_CHECKED),
	SCENE("replace expected, sync fails", TERMS(REPLACES), put_old, sync_fails, replace_expected,
	      FILEMAP_EUNSYNCED),
	SCENE("replace expected, unlink fails", TERMS(REPLACES), put_old, unlink_fails, replace_expected,
	      -EIO),
	SCENE("replace expected, unlink and changing back fail", TERMS(REPLACES), put_old,
	      unlink_and_swap_back_fail, replace_expected, -EIO),
	SCENE("replace expected, foreign comes, sync fails", TERMS(REPLACES, .has_foreign = true), put_old,
	      foreign_before_swap_sync_fails, replace_expected, FILEMAP_EREPLACED),
	SCENE("replace expected, foreign comes", TERMS(REPLACES, .has_foreign = true), put_old,
	      foreign_before_swap, replace_expected, FILEMAP_EREPLACED),
	SCENE("replace expected, foreign and third come",
	      TERMS(REPLACES, .has_foreign = true, .has_third = true), put_old, foreign_and_third_around_swap,
	      replace_expected, FILEMAP_EREPLACED),
};

static const struct names_scene recover_scenes[] = {
	SCENE("recover", TERMS(.promise = NAMES_RECOVERS), put_hidden, NULL, recover, 1),
	SCENE("recover, private directory", TERMS(.promise = NAMES_RECOVERS), put_hidden_dir, NULL, recover,
	      1),
	SCENE("recover, taken", TERMS(.promise = NAMES_RECOVERS, .has_third = true), put_hidden_and_taken,
	      NULL, recover, -EEXIST),
	SCENE("recover by a link", TERMS(.promise = NAMES_RECOVERS), put_hidden, no_refusal_to_replace,
	      recover, 1),
	SCENE("recover by a link, private directory", TERMS(.promise = NAMES_RECOVERS), put_hidden_dir,
	      no_refusal_to_replace, recover, 1),
	SCENE("recover, sync fails", TERMS(.promise = NAMES_RECOVERS), put_hidden, sync_fails, recover,
	      FILEMAP_EUNSYNCED),
	SCENE("recover, killed and again", TERMS(.promise = NAMES_RECOVERS), put_hidden_linked, NULL,
	      recover_after_a_killed_one, 1),
};

/* ---- the cases ---- */

static void run_all(const struct t_dir *dir, const struct names_scene *scenes, size_t count)
{
	const struct names_counts before = names_counts;
	unsigned failed = 0;

	for (size_t i = 0; i < count; i++) {
		names_violations = 0;
		names_run_scene(&scenes[i], NAMES_NO_BUG, dir->path);
		if (names_violations > 0)
			print_message("%u violations, the first: %s\n", names_violations,
				      names_first_violation);
		failed += names_violations > 0;
	}
	print_message(
		"crashes: %llu scenes, %llu combinations, %llu different states (%llu of them in order), "
		"%llu recoveries\n",
		(unsigned long long)(names_counts.scenes - before.scenes),
		(unsigned long long)(names_counts.combinations - before.combinations),
		(unsigned long long)(names_counts.states - before.states),
		(unsigned long long)(names_counts.ordered - before.ordered),
		(unsigned long long)(names_counts.recoveries - before.recoveries));
	assert_int_equal(failed, 0);
}

#define RUN_ALL(state, scenes) run_all(*(state), scenes, sizeof(scenes) / sizeof *(scenes))

static void remove_crashed_anywhere_is_there_hidden_or_gone(void **state)
{
	RUN_ALL(state, remove_scenes);
}

static void remove_crashed_anywhere_loses_no_foreign_file(void **state)
{
	RUN_ALL(state, foreign_scenes);
}

static void remove_that_failed_and_crashed_anywhere_keeps_its_word(void **state)
{
	RUN_ALL(state, failing_scenes);
}

static void publish_crashed_anywhere_leaves_all_or_nothing(void **state)
{
	RUN_ALL(state, publish_scenes);
}

static void replace_crashed_anywhere_leaves_the_old_or_the_new_file(void **state)
{
	RUN_ALL(state, replace_scenes);
}

static void recovery_crashed_anywhere_loses_nothing(void **state)
{
	RUN_ALL(state, recover_scenes);
}

/* ---- would it be noticed? ---- */

static const struct names_scene *scene_called(const char *title)
{
	static const struct {
		const struct names_scene *scenes;
		size_t count;
	} all[] = {
		{remove_scenes, sizeof remove_scenes / sizeof *remove_scenes},
		{foreign_scenes, sizeof foreign_scenes / sizeof *foreign_scenes},
		{failing_scenes, sizeof failing_scenes / sizeof *failing_scenes},
		{publish_scenes, sizeof publish_scenes / sizeof *publish_scenes},
		{replace_scenes, sizeof replace_scenes / sizeof *replace_scenes},
		{recover_scenes, sizeof recover_scenes / sizeof *recover_scenes},
	};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		for (size_t j = 0; j < all[i].count; j++)
			if (strcmp(all[i].scenes[j].title, title) == 0)
				return &all[i].scenes[j];
	fail_msg("there is no scene '%s'", title);
	return NULL;
}

static const struct bug {
	enum names_bug bug;
	const char *scene, *text;
} bugs[] = {
	{NAMES_NO_FILE_SYNC, "copy", "a file that is not complete"},
	{NAMES_NO_FILE_SYNC, "replace", "a file that is not complete"},
	{NAMES_NO_FILE_SYNC, "replace expected", "a file that is not complete"},
	{NAMES_NO_LINK_SYNC, "publish", "the new file is not there after success"},
	{NAMES_NO_LINK_SYNC, "replace expected", "neither the old nor the new file is under the name"},
	{NAMES_NO_DIR_SYNC, "remove", "the file is back after success"},
	{NAMES_NO_DIR_SYNC, "publish", "the new file is not there after success"},
	{NAMES_NO_DIR_SYNC, "replace", "the new file is not there after success"},
	{NAMES_NO_DIR_SYNC, "recover", "the file has not its name after success"},
	{NAMES_NO_DIR_SYNC, "remove, foreign put back", "neither under the name nor where the error says"},
	{NAMES_OTHER_DIR_SYNC, "remove, private directory", "the file is back after success"},
	{NAMES_SYNC_BEFORE_UNLINK, "remove", "the file is back after success"},
	{NAMES_SYNC_BEFORE_UNLINK, "remove, weak", "the file is back after success"},
	{NAMES_SYNC_BEFORE_WRITE, "publish", "a file that is not complete"},
	{NAMES_SYNC_BEFORE_WRITE, "replace, keeping", "mode or owner was not kept"},
	{NAMES_NAME_BEFORE_SYNC, "publish", "a file that is not complete"},
	{NAMES_NAME_BEFORE_SYNC, "replace expected", "a file that is not complete"},
	{NAMES_RETURN_EARLY, "remove", "the file is back after success"},
	{NAMES_RETURN_EARLY, "publish", "the new file is not there after success"},
	{NAMES_UNLINK_THEN_MOVE, "replace", "neither the old nor the new file is under the name"},
	{NAMES_IN_PLACE, "replace", "a file that is not complete"},
	{NAMES_STRAY_NAME, "remove", "a name that nobody has promised"},
	{NAMES_STRAY_NAME, "remove, third in the way", "a name that nobody has promised"},
	{NAMES_PUT_BACK_LOST, "remove, foreign put back", "neither under the name nor where the error says"},
	{NAMES_PUT_BACK_REPLACES, "remove, third in the way", "a file of somebody else's is lost"},
	{NAMES_FOREIGN_UNLINKED, "remove, foreign put back", "a file of somebody else's is lost"},
	{NAMES_SWAP_IN_STEPS, "replace expected", "neither the old nor the new file is under the name"},
	{NAMES_MOVE_IN_STEPS, "remove, foreign put back", "a file of somebody else's is lost"},
	{NAMES_MOVE_IN_STEPS, "recover", "the hidden file is lost"},
};

static void a_library_with_a_bug_is_caught(void **state)
{
	const struct t_dir *dir = *state;

	for (size_t i = 0; i < sizeof bugs / sizeof *bugs; i++) {
		names_violations = 0;
		names_run_scene(scene_called(bugs[i].scene), bugs[i].bug, dir->path);
		if (names_violations == 0)
			fail_msg("bug %d in '%s' was not noticed", bugs[i].bug, bugs[i].scene);
		if (strstr(names_first_violation, bugs[i].text) == NULL)
			fail_msg("bug %d in '%s' was noticed otherwise: %s", bugs[i].bug, bugs[i].scene,
				 names_first_violation);
	}
	print_message("caught: %zu bugs\n", sizeof bugs / sizeof *bugs);
}

T_MAIN(T_TEST(remove_crashed_anywhere_is_there_hidden_or_gone),
       T_TEST(remove_crashed_anywhere_loses_no_foreign_file),
       T_TEST(remove_that_failed_and_crashed_anywhere_keeps_its_word),
       T_TEST(publish_crashed_anywhere_leaves_all_or_nothing),
       T_TEST(replace_crashed_anywhere_leaves_the_old_or_the_new_file),
       T_TEST(recovery_crashed_anywhere_loses_nothing), T_TEST(a_library_with_a_bug_is_caught))
