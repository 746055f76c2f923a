/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* filemap_recover_quarantine(): what was hidden has its name again, over nothing, and nothing else is touched. */
#include "remove.h"

#include <sys/syscall.h>
#include <sys/wait.h>

#include "deny.h"

#define CHILD_CANNOT 77
#define DEL ".0123456789abcdef.del"
#define DELD ".0123456789abcdef.deld"

static struct filemap_error error;

static int recover(void **state)
{
	const struct t_dir *dir = *state;
	memset(&error, 0, sizeof error);
	const int r = filemap_recover_quarantine(dir->fd, &error);
	assert_int_equal(error.code, r < 0 ? r : 0);
	t_census_same(dir);
	return r;
}

static void make_text(void **state, const char *name, const char *text)
{
	t_write_file(t_path(*state, name), text, strlen(text));
}

static void make_private(void **state, const char *name)
{
	assert_ok(mkdir(t_path(*state, name), 0700));
}

/* As a removal that was killed leaves it. */
static void hide_in_directory(void **state, const char *directory, const char *name, const char *text)
{
	char path[300];
	make_private(state, directory);
	snprintf(path, sizeof path, "%s/%s", directory, name);
	make_text(state, path, text);
}

static void assert_name(void **state, const char *name, const char *text)
{
	assert_text(t_path(*state, name), text);
}

static bool exists(void **state, const char *name)
{
	struct stat status;
	return lstat(t_path(*state, name), &status) == 0;
}

static void directory_without_hidden_names_is_left_alone(void **state)
{
	static const char *const others[] = {".a.0123456789abcdef.tmp",
					     ".a.0123456789ABCDEF.del",
					     ".a.123456789abcdef.del",
					     "a.0123456789abcdef.del",
					     "..0123456789abcdef.del",
					     "...0123456789abcdef.del",
					     ".a.del",
					     "....0123456789abcdef.deld"};
	const int count = sizeof others / sizeof *others;

	assert_int_equal(recover(state), 0);
	for (int i = 0; i < count; i++)
		make_text(state, others[i], others[i]);
	assert_int_equal(recover(state), 0);
	for (int i = 0; i < count; i++)
		assert_name(state, others[i], others[i]);
	assert_int_equal(names_left(state), count);
}

static void hidden_name_is_given_back(void **state)
{
	make_text(state, ".file" DEL, "hidden");
	make_text(state, "other", "other");
	assert_int_equal(recover(state), 1);
	assert_name(state, "file", "hidden");
	assert_name(state, "other", "other");
	assert_int_equal(names_left(state), 2);
	assert_int_equal(recover(state), 0);
}

static void content_of_a_hidden_directory_is_given_back(void **state)
{
	hide_in_directory(state, ".file" DELD, "file", "hidden");
	assert_int_equal(recover(state), 1);
	assert_name(state, "file", "hidden");
	assert_int_equal(names_left(state), 1);
}

static void empty_hidden_directory_is_removed(void **state)
{
	make_private(state, ".file" DELD);
	assert_int_equal(recover(state), 0);
	assert_nothing_left(state);
}

static void record_is_not_needed(void **state)
{
	const struct t_dir *dir = *state;
	make_text(state, ".file" DEL, "hidden");
	make_text(state, "file", "new");
	assert_int_equal(filemap_recover_quarantine(dir->fd, NULL), -EEXIST);
	assert_ok(unlink(t_path(dir, "file")));
	assert_int_equal(filemap_recover_quarantine(dir->fd, NULL), 1);
}

static void any_number_of_names_is_given_back(void **state)
{
	const int count = 300;
	char name[64];

	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof name, ".f%d.%016x.%s", i, (unsigned)i * 2654435761u,
			 i % 3 ? "del" : "deld");
		if (i % 3)
			make_text(state, name, name);
		else
			make_private(state, name);
		snprintf(name + strlen(name), 16, "/f%d", i);
		if (i % 3 == 0)
			make_text(state, name, "in a directory");
	}
	assert_int_equal(recover(state), count);
	assert_int_equal(names_left(state), count);
	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof name, "f%d", i);
		assert_true(exists(state, name));
	}
}

/* Again and again the same ones first. */
static void names_that_are_taken_do_not_hide_the_others(void **state)
{
	char name[64];

	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof name, ".a.%016x.del", (unsigned)i);
		make_text(state, name, "another a");
	}
	make_text(state, "a", "first");
	make_text(state, ".longer" DEL, "longer");
	assert_int_equal(recover(state), -EEXIST);
	assert_string_equal(error.detail, ".a.0000000000000000.del");
	assert_name(state, "longer", "longer");
	assert_name(state, "a", "first");
	assert_int_equal(names_left(state), 202);
}

static void whatever_has_a_hidden_name_is_renamed_as_it_is(void **state)
{
	const struct t_dir *dir = *state;
	struct stat status;
	char to[16] = "";

	make_private(state, ".dir" DEL);
	make_text(state, ".dir" DEL "/inside", "inside");
	assert_ok(symlink("nothing", t_path(dir, ".link" DEL)));
	assert_ok(mkfifo(t_path(dir, ".fifo" DEL), 0600));
	make_private(state, ".fifo2" DELD);
	assert_ok(mkfifo(t_path(dir, ".fifo2" DELD "/fifo2"), 0600));
	make_private(state, ".dir2" DELD);
	make_private(state, ".dir2" DELD "/dir2");
	assert_int_equal(recover(state), 5);
	assert_name(state, "dir/inside", "inside");
	assert_int_equal(readlink(t_path(dir, "link"), to, sizeof to), 7);
	assert_memory_equal(to, "nothing", 7);
	assert_ok(lstat(t_path(dir, "fifo"), &status));
	assert_true(S_ISFIFO(status.st_mode));
	assert_ok(lstat(t_path(dir, "fifo2"), &status));
	assert_true(S_ISFIFO(status.st_mode));
	assert_ok(rmdir(t_path(dir, "dir2")));
	assert_int_equal(names_left(state), 4);
}

static void directories_that_no_removal_made_are_left_alone(void **state)
{
	const struct t_dir *dir = *state;

	make_text(state, ".file" DELD, "no directory");
	assert_ok(mkfifo(t_path(dir, ".fifo" DELD), 0600));
	make_private(state, "real");
	make_text(state, "real/link", "behind a link");
	assert_ok(symlink("real", t_path(dir, ".link" DELD)));
	hide_in_directory(state, ".open" DELD, "open", "of anybody");
	assert_ok(chmod(t_path(dir, ".open" DELD), 0701));
	hide_in_directory(state, ".two" DELD, "two", "beside");
	make_text(state, ".two" DELD "/more", "another");
	hide_in_directory(state, ".one" DELD, "other", "by another name");
	hide_in_directory(state, ".name" DELD, "name.txt", "by a longer name");
	make_private(state, ".none" DELD);
	assert_ok(chmod(t_path(dir, ".none" DELD), 0755));
	assert_int_equal(recover(state), 0);
	assert_int_equal(names_left(state), 9);
	assert_name(state, ".name" DELD "/name.txt", "by a longer name");
	assert_name(state, ".file" DELD, "no directory");
	assert_name(state, "real/link", "behind a link");
	assert_name(state, ".open" DELD "/open", "of anybody");
	assert_name(state, ".two" DELD "/two", "beside");
	assert_name(state, ".two" DELD "/more", "another");
	assert_name(state, ".one" DELD "/other", "by another name");
	assert_ok(chmod(t_path(dir, ".open" DELD), 0710));
	assert_int_equal(recover(state), 0);
	assert_name(state, ".open" DELD "/open", "of anybody");
}

static void name_that_is_taken_is_eexist_and_the_others_are_given_back(void **state)
{
	make_text(state, ".b" DEL, "hidden b");
	make_text(state, "b", "new b");
	hide_in_directory(state, ".cc" DELD, "cc", "hidden cc");
	make_text(state, "cc", "new cc");
	make_text(state, ".a" DEL, "hidden a");
	hide_in_directory(state, ".ddd" DELD, "ddd", "hidden ddd");
	assert_int_equal(recover(state), -EEXIST);
	assert_string_equal(error.detail, ".b" DEL);
	assert_string_equal(error.step, "give name back");
	assert_non_null(error.hint);
	assert_name(state, "a", "hidden a");
	assert_name(state, "b", "new b");
	assert_name(state, "cc", "new cc");
	assert_name(state, "ddd", "hidden ddd");
	assert_name(state, ".b" DEL, "hidden b");
	assert_name(state, ".cc" DELD "/cc", "hidden cc");
	assert_int_equal(names_left(state), 6);
	assert_ok(unlink(t_path(*state, "b")));
	assert_int_equal(recover(state), -EEXIST);
	assert_string_equal(error.detail, ".cc" DELD "/cc");
	assert_name(state, "b", "hidden b");
}

/* Of directories, dangling links and the like, too. */
static void nothing_is_ever_replaced(void **state)
{
	const struct t_dir *dir = *state;
	make_text(state, ".a" DEL, "hidden");
	make_private(state, "a");
	make_private(state, ".b" DEL);
	make_private(state, "b");
	make_text(state, ".c" DEL, "hidden");
	assert_ok(symlink("nothing", t_path(dir, "c")));
	assert_int_equal(recover(state), -EEXIST);
	assert_int_equal(names_left(state), 6);
	assert_false(exists(state, "nothing"));
}

static void of_two_of_one_name_the_first_is_given_back(void **state)
{
	make_text(state, ".a.0000000000000001.del", "first");
	make_text(state, ".a.0000000000000002.del", "second");
	hide_in_directory(state, ".a.0000000000000000.deld", "a", "third");
	assert_int_equal(recover(state), -EEXIST);
	assert_name(state, "a", "first");
	assert_name(state, ".a.0000000000000002.del", "second");
	assert_name(state, ".a.0000000000000000.deld/a", "third");
}

/* Moving by linking and unlinking, and dying in between. */
static void second_name_of_the_same_file_goes(void **state)
{
	const struct t_dir *dir = *state;
	struct stat status;

	make_text(state, "a", "same");
	assert_ok(link(t_path(dir, "a"), t_path(dir, ".a" DEL)));
	make_private(state, ".a" DELD);
	assert_ok(link(t_path(dir, "a"), t_path(dir, ".a" DELD "/a")));
	assert_ok(link(t_path(dir, "a"), t_path(dir, "b")));
	assert_int_equal(recover(state), 2);
	assert_int_equal(names_left(state), 2);
	assert_ok(stat(t_path(dir, "a"), &status));
	assert_int_equal(status.st_nlink, 2);
	assert_name(state, "b", "same");
}

/* A name may look hidden itself, and be so because its user chose it. */
static void hidden_name_of_a_hidden_name_is_given_back_once(void **state)
{
	char name[64];

	make_text(state, "..a" DEL ".fedcba9876543210.del", "chosen");
	make_text(state, "..-" DEL ".fedcba9876543210.del", "likewise");
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, ".many%d.%016x.del", i, 0u);
		make_text(state, name, "x");
	}
	assert_int_equal(recover(state), 102);
	assert_name(state, ".a" DEL, "chosen");
	assert_name(state, ".-" DEL, "likewise");
	assert_int_equal(recover(state), 2);
	assert_name(state, "a", "chosen");
	assert_name(state, "-", "likewise");
}

static void check_long_name(void **state, const char *text, size_t length, bool in_directory)
{
	char name[256] = "", hidden[256], path[600];

	for (size_t i = 0; i + strlen(text) <= length; i += strlen(text))
		strcat(name, text);
	if (in_directory) {
		snprintf(hidden, sizeof hidden, ".%.96s" DELD, name);
		make_private(state, hidden);
		snprintf(path, sizeof path, "%s/%s", hidden, name);
	} else {
		snprintf(path, sizeof path, ".%s" DEL, name);
	}
	const struct t_dir *dir = *state;
	const int fd = openat(dir->fd, path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(recover(state), 1);
	assert_int_equal(names_left(state), 1);
	assert_ok(unlinkat(dir->fd, name, 0));
}

static void longest_names_are_given_back(void **state)
{
	check_long_name(state, "n", 169, false);
	check_long_name(state, "n", 170, true);
	check_long_name(state, "n", 255, true);
	check_long_name(state, "\xC3\xA4", 255, true);
	check_long_name(state, "\xE2\x82\xAC", 255, true);
	check_long_name(state, "\xF0\x9F\x98\x80", 255, true);
	check_long_name(state, "\xFF", 255, true);
}

static void bad_directories_are_refused(void **state)
{
	make_text(state, "file", "x");
	const int fd = open(t_path(*state, "file"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(filemap_recover_quarantine(-1, &error), FILEMAP_EOPTION);
	assert_string_equal(error.subject, "dirfd");
	assert_int_equal(filemap_recover_quarantine(-7, NULL), FILEMAP_EOPTION);
	assert_int_equal(filemap_recover_quarantine(fd, &error), -ENOTDIR);
	assert_string_equal(error.step, "open directory");
	assert_int_equal(filemap_recover_quarantine(999999, &error), -EBADF);
	close(fd);
}

static int recover_here(void *context)
{
	const struct t_dir *dir = context;
	if (chdir(dir->path) < 0)
		return 100;
	return filemap_recover_quarantine(AT_FDCWD, NULL);
}

static void working_directory_and_path_descriptors_will_do(void **state)
{
	const struct t_dir *dir = *state;
	const int fd = open(dir->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	make_text(state, ".a" DEL, "a");
	assert_int_equal(t_in_child(recover_here, *state), 1);
	assert_name(state, "a", "a");
	make_text(state, ".b" DEL, "b");
	assert_int_equal(filemap_recover_quarantine(fd, NULL), 1);
	close(fd);
}

/* The directory "sub" of that owner and mode, with a hidden file and a hidden directory of that user. */
static void make_sub(void **state, unsigned mode, unsigned dir_owner, unsigned owner)
{
	static const char *const names[] = {"sub/.a" DEL, "sub/.b" DELD "/b", "sub/.b" DELD};

	make_private(state, "sub");
	make_text(state, names[0], "a");
	hide_in_directory(state, names[2], "b", "b");
	for (int i = 0; i < 3; i++)
		assert_ok(lchown(t_path(*state, names[i]), owner, owner));
	assert_ok(chown(t_path(*state, "sub"), dir_owner, dir_owner));
	assert_ok(chmod(t_path(*state, "sub"), mode));
}

static void assert_sub_is_recovered(void **state)
{
	assert_name(state, "sub/a", "a");
	assert_name(state, "sub/b", "b");
	assert_int_equal(count_names(t_path(*state, "sub")), 2);
}

static void assert_sub_is_untouched(void **state)
{
	assert_name(state, "sub/.a" DEL, "a");
	assert_name(state, "sub/.b" DELD "/b", "b");
	assert_int_equal(count_names(t_path(*state, "sub")), 2);
}

static void remove_sub(void **state)
{
	char command[400];
	snprintf(command, sizeof command, "rm -r '%s'", t_path(*state, "sub"));
	assert_ok(system(command));
}

static int recover_sub(void **state)
{
	const int fd = open(t_path(*state, "sub"), O_PATH | O_DIRECTORY | O_CLOEXEC);
	const int r = filemap_recover_quarantine(fd, &error);
	close(fd);
	return r;
}

/* What somebody else moves there can be a directory of a third user, who would be robbed of its privacy. */
static void assert_only_the_file_is_recovered(void **state)
{
	assert_name(state, "sub/a", "a");
	assert_name(state, "sub/.b" DELD "/b", "b");
	assert_int_equal(count_names(t_path(*state, "sub")), 2);
}

static void root_recovers_files_of_everybody_and_only_its_own_directories(void **state)
{
	static const unsigned modes[] = {0777, 01777, 0700, 0500};

	if (geteuid() != 0)
		t_skip("only root can do this");
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		for (unsigned owners = 0; owners < 4; owners++) {
			make_sub(state, modes[i], owners & 1 ? NOBODY : 0, owners & 2 ? NOBODY : 0);
			const bool is_own = (owners & 2) == 0;
			assert_int_equal(recover_sub(state), is_own ? 2 : 1);
			if (is_own)
				assert_sub_is_recovered(state);
			else
				assert_only_the_file_is_recovered(state);
			remove_sub(state);
		}
	}
}

static int recover_sub_as_nobody(void *state)
{
	if (t_become_nobody() < 0)
		return CHILD_CANNOT;
	const int r = recover_sub(state);
	return r < 0 ? -r : 100 + r;
}

static int as_nobody(void **state, unsigned mode, unsigned dir_owner, unsigned owner)
{
	const struct t_dir *dir = *state;
	assert_ok(chmod(dir->path, 0755));
	make_sub(state, mode, dir_owner, owner);
	return t_in_child(recover_sub_as_nobody, state);
}

static void nobody_recovers_what_is_his_own(void **state)
{
	if (geteuid() != 0)
		t_skip("only root can become nobody");
	assert_int_equal(as_nobody(state, 0777, 0, NOBODY), 102);
	assert_sub_is_recovered(state);
	remove_sub(state);
	assert_int_equal(as_nobody(state, 01777, 0, NOBODY), 102);
	assert_sub_is_recovered(state);
	remove_sub(state);
	assert_int_equal(as_nobody(state, 0700, NOBODY, NOBODY), 102);
	assert_sub_is_recovered(state);
}

/* Entering another one's private directory is not allowed; renaming what is beside it is. */
static void others_private_directories_are_told_and_the_rest_is_recovered(void **state)
{
	if (geteuid() != 0)
		t_skip("only root can become nobody");
	assert_int_equal(as_nobody(state, 0777, 1, 0), EACCES);
	assert_name(state, "sub/a", "a");
	assert_name(state, "sub/.b" DELD "/b", "b");
}

static void directories_that_forbid_it_stay_as_they_are(void **state)
{
	if (geteuid() != 0)
		t_skip("only root can become nobody");
	assert_int_equal(as_nobody(state, 01777, 0, 0), EPERM);
	assert_sub_is_untouched(state);
	remove_sub(state);
	assert_int_equal(as_nobody(state, 0500, NOBODY, NOBODY), EACCES);
	assert_sub_is_untouched(state);
	remove_sub(state);
	assert_int_equal(as_nobody(state, 0755, 0, NOBODY), EACCES);
	assert_sub_is_untouched(state);
	remove_sub(state);
	assert_int_equal(as_nobody(state, 0300, NOBODY, NOBODY), EACCES);
	assert_sub_is_untouched(state);
}

/* As on a file system that cannot refuse to replace: all but directories can be linked. */
static int recover_by_linking(void *context)
{
	const struct t_dir *dir = context;
	if (deny_call(SYS_renameat2, EINVAL) < 0)
		return CHILD_CANNOT;
	const int r = filemap_recover_quarantine(dir->fd, NULL);
	return r < 0 ? -r : 100 + r;
}

static void file_system_that_always_replaces_gets_links(void **state)
{
	make_text(state, ".a" DEL, "a");
	hide_in_directory(state, ".b" DELD, "b", "b");
	make_text(state, ".c" DEL, "hidden c");
	const int r = t_in_child(recover_by_linking, *state);
	if (r == CHILD_CANNOT)
		t_skip("no seccomp filters here");
	assert_int_equal(r, 103);
	assert_name(state, "a", "a");
	assert_name(state, "b", "b");
	assert_int_equal(names_left(state), 3);
	make_text(state, ".c" DEL, "another c");
	make_private(state, ".d" DEL);
	assert_int_equal(t_in_child(recover_by_linking, *state), EEXIST);
	assert_name(state, "c", "hidden c");
	assert_name(state, ".c" DEL, "another c");
	assert_true(exists(state, ".d" DEL));
}

#define LOOP_ROUNDS 400

/* Makes and removes files until told to stop by nobody; beside each there is one that must stay. */
static int remove_in_a_loop(const struct t_dir *dir, const char *sub)
{
	char name[300];

	for (int i = 0; i < LOOP_ROUNDS; i++) {
		snprintf(name, sizeof name, "%s/file%d", sub, i % 7);
		const int fd = openat(dir->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0)
			return 1;
		close(fd);
		int r, tries = 0;
		do
			r = filemap_remove_file(dir->fd, name, NULL, NULL);
		while (r == -EBUSY && tries++ < 1000);
		if (r != 0)
			return r == -ENOENT || r == FILEMAP_EGONE ? 2 : 3;
	}
	return 0;
}

/* 0, or what was wrong: with the removals, or from 10 on with the recoveries. */
static int recover_during_removals(struct t_dir *dir, const char *sub)
{
	const pid_t child = fork();
	int status = 0, r = 0;
	const int fd = openat(dir->fd, sub, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (child == 0)
		_exit(remove_in_a_loop(dir, sub));
	while (waitpid(child, &status, WNOHANG) == 0)
		if (r >= 0)
			r = filemap_recover_quarantine(fd, NULL);
	if (r >= 0)
		r = filemap_recover_quarantine(fd, NULL);
	close(fd);
	if (r < 0)
		return 10 - r;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 9;
}

static void check_during_removals(void **state, unsigned mode)
{
	make_private(state, "sub");
	make_text(state, "sub/kept", "kept");
	make_text(state, "sub/.hidden" DEL, "hidden");
	assert_ok(chmod(t_path(*state, "sub"), mode));
	assert_int_equal(recover_during_removals(*state, "sub"), 0);
	assert_name(state, "sub/kept", "kept");
	assert_name(state, "sub/hidden", "hidden");
	assert_int_equal(count_names(t_path(*state, "sub")), 2);
}

static void recovery_during_removals_by_another_name_loses_nothing(void **state)
{
	check_during_removals(state, 0700);
}

static void recovery_during_removals_through_directories_loses_nothing(void **state)
{
	check_during_removals(state, 0777);
}

T_MAIN(T_TEST(directory_without_hidden_names_is_left_alone), T_TEST(hidden_name_is_given_back),
       T_TEST(content_of_a_hidden_directory_is_given_back), T_TEST(empty_hidden_directory_is_removed),
       T_TEST(record_is_not_needed), T_TEST(any_number_of_names_is_given_back),
       T_TEST(names_that_are_taken_do_not_hide_the_others),
       T_TEST(whatever_has_a_hidden_name_is_renamed_as_it_is),
       T_TEST(directories_that_no_removal_made_are_left_alone),
       T_TEST(name_that_is_taken_is_eexist_and_the_others_are_given_back), T_TEST(nothing_is_ever_replaced),
       T_TEST(of_two_of_one_name_the_first_is_given_back), T_TEST(second_name_of_the_same_file_goes),
       T_TEST(hidden_name_of_a_hidden_name_is_given_back_once), T_TEST(longest_names_are_given_back),
       T_TEST(bad_directories_are_refused), T_TEST(working_directory_and_path_descriptors_will_do),
       T_TEST(root_recovers_files_of_everybody_and_only_its_own_directories),
       T_TEST(nobody_recovers_what_is_his_own),
       T_TEST(others_private_directories_are_told_and_the_rest_is_recovered),
       T_TEST(directories_that_forbid_it_stay_as_they_are),
       T_TEST(file_system_that_always_replaces_gets_links),
       T_TEST(recovery_during_removals_by_another_name_loses_nothing),
       T_TEST(recovery_during_removals_through_directories_loses_nothing))
