/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* filemap_remove_file() and filemap_file_identity(): which file, by which name, in whose directory. */
#include "remove.h"

#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "deny.h"

#define CHILD_CANNOT 77
#define ROUNDS 300

static struct filemap_error error;

/* A success leaves the record alone; a failure tells what, of which path. */
static int rm(int dirfd, const char *path, const struct filemap_identity *identity)
{
	memset(&error, 0, sizeof error);
	const int r = filemap_remove_file(dirfd, path, identity, &error);
	assert_int_equal(error.code, r < 0 ? r : 0);
	if (r < 0)
		assert_non_null(error.step);
	return r;
}

static const char *make_file(void **state, const char *name)
{
	const char *path = t_path(*state, name);
	t_write_file(path, "hello", 5);
	return path;
}

static struct filemap_identity identity_of(const char *path)
{
	struct filemap_identity identity;
	assert_ok(filemap_file_identity(AT_FDCWD, path, &identity, NULL));
	return identity;
}

static void remove_file_is_gone_and_nothing_else(void **state)
{
	make_file(state, "file");
	make_file(state, "file2");
	assert_ok(rm(AT_FDCWD, t_path(*state, "file"), NULL));
	assert_int_equal(names_left(state), 1);
	assert_text(t_path(*state, "file2"), "hello");
	assert_int_equal(filemap_remove_file(AT_FDCWD, t_path(*state, "file"), NULL, NULL), -ENOENT);
	assert_ok(filemap_remove_file(AT_FDCWD, t_path(*state, "file2"), NULL, NULL));
	assert_nothing_left(state);
}

static void remove_file_without_any_permission_on_it(void **state)
{
	assert_ok(chmod(make_file(state, "file"), 0));
	assert_ok(rm(AT_FDCWD, t_path(*state, "file"), NULL));
	assert_nothing_left(state);
}

static void path_starts_at_the_directory_that_is_given(void **state)
{
	const struct t_dir *dir = *state;
	const int fd = open(dir->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_ok(mkdir(t_path(dir, "sub"), 0700));
	make_file(state, "sub/file");
	make_file(state, "file");
	assert_ok(rm(dir->fd, "sub/file", NULL));
	assert_int_equal(count_names(t_path(dir, "sub")), 0);
	assert_ok(rm(fd, "file", NULL));
	assert_int_equal(rm(fd, "file", NULL), -ENOENT);
	make_file(state, "file");
	assert_ok(rm(fd, "sub/../file", NULL));
	make_file(state, "file");
	assert_ok(rm(fd, t_path(dir, "file"), NULL));
	assert_int_equal(names_left(state), 1);
	close(fd);
}

static int remove_below_the_working_directory(void *context)
{
	const struct t_dir *dir = context;
	if (chdir(dir->path) < 0)
		return 1;
	if (filemap_remove_file(AT_FDCWD, "file", NULL, NULL) != 0)
		return 2;
	return filemap_remove_file(AT_FDCWD, "file", NULL, NULL) == -ENOENT ? 0 : 3;
}

static void path_starts_at_the_working_directory(void **state)
{
	make_file(state, "file");
	assert_ok(t_in_child(remove_below_the_working_directory, *state));
	assert_nothing_left(state);
}

static void symbolic_link_on_the_way_is_followed(void **state)
{
	assert_ok(mkdir(t_path(*state, "sub"), 0700));
	assert_ok(symlink("sub", t_path(*state, "link")));
	make_file(state, "sub/file");
	assert_ok(rm(AT_FDCWD, t_path(*state, "link/file"), NULL));
	assert_int_equal(count_names(t_path(*state, "sub")), 0);
}

static void further_links_are_told_and_left(void **state)
{
	const char *path = make_file(state, "file");
	assert_ok(link(path, t_path(*state, "second")));
	assert_ok(link(path, t_path(*state, "third")));
	assert_int_equal(rm(AT_FDCWD, path, NULL), FILEMAP_STILL_LINKED);
	assert_int_equal(names_left(state), 2);
	assert_int_equal(rm(AT_FDCWD, t_path(*state, "second"), NULL), FILEMAP_STILL_LINKED);
	assert_text(t_path(*state, "third"), "hello");
	assert_ok(rm(AT_FDCWD, t_path(*state, "third"), NULL));
	assert_nothing_left(state);
}

static void mapped_file_keeps_its_bytes(void **state)
{
	struct filemap *map = make(state);
	assert_ok(rm(AT_FDCWD, t_path(*state, "file"), NULL));
	assert_nothing_left(state);
	assert_memory_equal(filemap_data(map), "hello", 5);
	assert_int_equal(filemap_state(map), LIVE);
	filemap_close(map);
}

static void refused(int dirfd, const char *path, const char *subject)
{
	struct filemap_identity identity;
	assert_int_equal(rm(dirfd, path, NULL), FILEMAP_EOPTION);
	assert_string_equal(error.subject, subject);
	assert_int_equal(filemap_file_identity(dirfd, path, &identity, &error), FILEMAP_EOPTION);
	assert_string_equal(error.subject, subject);
	assert_int_equal(filemap_remove_file(dirfd, path, NULL, NULL), FILEMAP_EOPTION);
	assert_int_equal(filemap_file_identity(dirfd, path, &identity, NULL), FILEMAP_EOPTION);
}

static void bad_arguments_are_refused(void **state)
{
	const char *path = make_file(state, "file");
	refused(-1, path, "dirfd");
	refused(-101, "file", "dirfd");
	refused(AT_FDCWD, NULL, "path");
	refused(AT_FDCWD, "", "path");
	assert_int_equal(filemap_file_identity(AT_FDCWD, path, NULL, &error), FILEMAP_EOPTION);
	assert_string_equal(error.subject, "ret");
	assert_untouched(state);
}

/* Neither removed nor identified, and there as before. */
static void assert_refused(const char *path, int removing, int identifying)
{
	struct filemap_identity identity = {.device = 77};

	assert_int_equal(rm(AT_FDCWD, path, NULL), removing);
	assert_string_equal(error.detail, path);
	memset(&error, 0, sizeof error);
	assert_int_equal(filemap_file_identity(AT_FDCWD, path, &identity, &error), identifying);
	assert_int_equal(error.code, identifying);
	assert_string_equal(error.detail, path);
	assert_non_null(error.step);
	assert_true(identity.device == 77);
}

static void what_is_no_regular_file_is_refused(void **state)
{
	const struct t_dir *dir = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_ok(mkdir(t_path(dir, "sub"), 0700));
	assert_ok(mkfifo(t_path(dir, "fifo"), 0600));
	snprintf(address.sun_path, sizeof address.sun_path, "%s", t_path(dir, "socket"));
	assert_ok(bind(fd, (struct sockaddr *)&address, sizeof address));
	close(fd);
	assert_refused(t_path(dir, "sub"), -EISDIR, -EISDIR);
	assert_refused(t_path(dir, "sub/"), -EISDIR, -EISDIR);
	assert_refused(t_path(dir, "sub/."), -EISDIR, -EISDIR);
	assert_refused(t_path(dir, "sub/.."), -EISDIR, -EISDIR);
	assert_refused("/", -EISDIR, -EISDIR);
	assert_refused("/dev/null", -ENODEV, -ENODEV);
	assert_refused(t_path(dir, "fifo"), -ENODEV, -ENODEV);
	assert_refused(t_path(dir, "socket"), -ENODEV, -ENODEV);
	assert_int_equal(names_left(state), 3);
}

static void symbolic_links_are_refused(void **state)
{
	const struct t_dir *dir = *state;
	make_file(state, "file");
	assert_ok(symlink("file", t_path(dir, "link")));
	assert_ok(symlink("nothing", t_path(dir, "dangling")));
	assert_ok(symlink("loop", t_path(dir, "loop")));
	assert_refused(t_path(dir, "link"), FILEMAP_EMODE, -ELOOP);
	assert_refused(t_path(dir, "dangling"), FILEMAP_EMODE, -ELOOP);
	assert_refused(t_path(dir, "loop"), FILEMAP_EMODE, -ELOOP);
	assert_refused(t_path(dir, "loop/file"), -ELOOP, -ELOOP);
	assert_int_equal(names_left(state), 4);
}

static void what_does_not_exist_is_as_the_kernel_says(void **state)
{
	const struct t_dir *dir = *state;
	char name[300] = "";

	make_file(state, "file");
	assert_refused(t_path(dir, "nothing"), -ENOENT, -ENOENT);
	assert_refused(t_path(dir, "nothing/file"), -ENOENT, -ENOENT);
	assert_refused(t_path(dir, "file/file"), -ENOTDIR, -ENOTDIR);
	memset(name, 'n', 256);
	assert_int_equal(rm(dir->fd, name, NULL), -ENAMETOOLONG);
	assert_int_equal(rm(999999, "file", NULL), -EBADF);
	assert_untouched(state);
}

static void file_that_is_expected_is_removed(void **state)
{
	const struct filemap_identity identity = identity_of(make_file(state, "file"));
	struct filemap_identity weak = identity;

	assert_ok(rm(AT_FDCWD, t_path(*state, "file"), &identity));
	make_file(state, "file");
	weak = identity_of(t_path(*state, "file"));
	weak.handle_length = 0;
	memset(&weak.created, 0, sizeof weak.created);
	assert_ok(rm(AT_FDCWD, t_path(*state, "file"), &weak));
	assert_nothing_left(state);
}

static void other_file_than_the_expected_is_left(void **state)
{
	const struct filemap_identity identity = identity_of(make_file(state, "other"));

	make_file(state, "file");
	assert_int_equal(rm(AT_FDCWD, t_path(*state, "file"), &identity), FILEMAP_EREPLACED);
	assert_string_equal(error.detail, t_path(*state, "file"));
	assert_int_equal(names_left(state), 2);
	assert_ok(rename(t_path(*state, "other"), t_path(*state, "file")));
	assert_ok(rm(AT_FDCWD, t_path(*state, "file"), &identity));
	assert_nothing_left(state);
}

static void identity_is_that_of_a_mapping_of_the_file(void **state)
{
	struct filemap_identity mapped, named;
	const struct t_dir *dir = *state;
	struct filemap *map = make(state);

	assert_ok(filemap_identity(map, &mapped));
	memset(&named, 0x77, sizeof named);
	assert_ok(filemap_file_identity(dir->fd, "file", &named, &error));
	assert_memory_equal(&mapped, &named, sizeof named);
	filemap_close(map);
}

static void longest_name_is_removed(void **state)
{
	char name[256] = "";
	const struct t_dir *dir = *state;

	for (int length = 230; length <= 255; length++) {
		memset(name, 'n', (size_t)length);
		make_file(state, name);
		assert_ok(rm(dir->fd, name, NULL));
		assert_nothing_left(state);
	}
	for (size_t i = 0; i < 255; i += 3)
		memcpy(name + i, "\xE2\x82\xAC", 3);
	make_file(state, name);
	assert_ok(rm(dir->fd, name, NULL));
	assert_nothing_left(state);
}

static void directories_that_others_write_leave_nothing_behind(void **state)
{
	static const unsigned modes[] = {0777, 01777, 0770, 02775, 0700};
	const struct t_dir *dir = *state;

	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		assert_ok(mkdir(t_path(dir, "sub"), 0700));
		make_file(state, "sub/file");
		assert_ok(chmod(t_path(dir, "sub"), modes[i]));
		assert_ok(rm(dir->fd, "sub/file", NULL));
		assert_ok(rmdir(t_path(dir, "sub")));
	}
}

static void root_removes_in_directories_of_other_users(void **state)
{
	static const unsigned modes[] = {0777, 01777, 0755, 0};
	const struct t_dir *dir = *state;

	if (geteuid() != 0)
		t_skip("only root can do this");
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		assert_ok(mkdir(t_path(dir, "sub"), 0700));
		make_file(state, "sub/file");
		assert_ok(chown(t_path(dir, "sub/file"), NOBODY, NOBODY));
		assert_ok(chown(t_path(dir, "sub"), NOBODY, NOBODY));
		assert_ok(chmod(t_path(dir, "sub"), modes[i]));
		assert_ok(rm(dir->fd, "sub/file", NULL));
		assert_ok(rmdir(t_path(dir, "sub")));
	}
}

struct nobody_case {
	unsigned mode;             /* of the directory */
	unsigned dir_owner, owner; /* of the file */
	int expected;
};

static int remove_as_nobody(void *context)
{
	const char *path = context;
	if (t_become_nobody() < 0)
		return CHILD_CANNOT;
	const int r = filemap_remove_file(AT_FDCWD, path, NULL, &error);
	if (r == 0)
		return 0;
	return strcmp(error.detail, path) == 0 ? -r : 99;
}

static void check_as_nobody(void **state, const struct nobody_case *c)
{
	const struct t_dir *dir = *state;
	char path[400];

	snprintf(path, sizeof path, "%s/sub/file", dir->path);
	assert_ok(mkdir(t_path(dir, "sub"), 0700));
	make_file(state, "sub/file");
	assert_ok(chown(path, c->owner, c->owner));
	assert_ok(chown(t_path(dir, "sub"), c->dir_owner, c->dir_owner));
	assert_ok(chmod(t_path(dir, "sub"), c->mode));
	assert_int_equal(t_in_child(remove_as_nobody, path), -c->expected);
	assert_int_equal(count_names(t_path(dir, "sub")), c->expected == 0 ? 0 : 1);
	assert_int_equal(access(path, F_OK) == 0, c->expected != 0);
	unlink(path);
	assert_ok(rmdir(t_path(dir, "sub")));
}

static void nobody_removes_what_the_directory_allows(void **state)
{
	static const struct nobody_case cases[] = {
		{0700, NOBODY, NOBODY, 0},
		{0700, NOBODY, 0, 0},
		{0777, 0, NOBODY, 0},
		{0777, 0, 0, 0},
		{0777, 1, 0, 0},
		{01777, 0, NOBODY, 0},
		{01777, 1, NOBODY, 0},
		{01777, 0, 0, -EPERM},
		{0500, NOBODY, NOBODY, -EACCES},
		{0755, 0, NOBODY, -EACCES},
		{0300, NOBODY, NOBODY, -EACCES},
		{0600, NOBODY, NOBODY, -EACCES},
	};

	if (geteuid() != 0)
		t_skip("only root can become nobody");
	assert_ok(chmod(((const struct t_dir *)*state)->path, 0755));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		check_as_nobody(state, &cases[i]);
}

static int identify_as_nobody(void *context)
{
	struct filemap_identity identity;
	if (t_become_nobody() < 0)
		return CHILD_CANNOT;
	if (open(context, O_RDONLY | O_CLOEXEC) >= 0)
		return 1;
	return filemap_file_identity(AT_FDCWD, context, &identity, NULL) == 0 ? 0 : 2;
}

static void identity_needs_no_permission_on_the_file(void **state)
{
	char path[400];
	if (geteuid() != 0)
		t_skip("only root can become nobody");
	snprintf(path, sizeof path, "%s", make_file(state, "file"));
	assert_ok(chmod(path, 0));
	assert_ok(chmod(((const struct t_dir *)*state)->path, 0755));
	assert_ok(t_in_child(identify_as_nobody, path));
}

/* As on a file system that cannot refuse to replace: there is nothing that could be replaced. */
static int remove_without_noreplace(void *context)
{
	const struct t_dir *dir = context;
	if (deny_call(SYS_renameat2, EINVAL) < 0)
		return CHILD_CANNOT;
	return filemap_remove_file(dir->fd, "file", NULL, NULL) == 0 ? 0 : 1;
}

/* Nothing can be hidden. */
static int remove_without_moving(void *context)
{
	const struct t_dir *dir = context;
	if (deny_call(SYS_renameat2, EXDEV) < 0)
		return CHILD_CANNOT;
	return filemap_remove_file(dir->fd, "file", NULL, NULL) == FILEMAP_WEAKLY_CHECKED ? 0 : 1;
}

static void in_child(void **state, int (*body)(void *))
{
	make_file(state, "file");
	const int r = t_in_child(body, *state);
	if (r == CHILD_CANNOT)
		t_skip("no seccomp filters here");
	assert_int_equal(r, 0);
	assert_nothing_left(state);
}

static void file_system_that_always_replaces_is_no_hindrance(void **state)
{
	in_child(state, remove_without_noreplace);
}

static void weak_check_is_told(void **state)
{
	in_child(state, remove_without_moving);
}

/* A directory that others write, but none of our own in it: they can see the hidden name. */
static int remove_without_a_private_directory(void *context)
{
	if (t_become_nobody() < 0)
		return CHILD_CANNOT;
	umask(0777);
	return filemap_remove_file(AT_FDCWD, context, NULL, NULL) == FILEMAP_WEAKLY_CHECKED ? 0 : 1;
}

/* As on a file system where everything belongs to one user. */
static int remove_where_all_is_of_another_user(void *context)
{
	setfsuid(NOBODY);
	return filemap_remove_file(AT_FDCWD, context, NULL, NULL) == FILEMAP_WEAKLY_CHECKED ? 0 : 1;
}

static void check_shared(void **state, int (*body)(void *))
{
	const struct t_dir *dir = *state;
	char path[400];

	if (geteuid() != 0)
		t_skip("only root can become another user");
	snprintf(path, sizeof path, "%s/sub/file", dir->path);
	assert_ok(chmod(dir->path, 0755));
	assert_ok(mkdir(t_path(dir, "sub"), 0700));
	make_file(state, "sub/file");
	assert_ok(chown(t_path(dir, "sub"), NOBODY, NOBODY));
	assert_ok(chmod(t_path(dir, "sub"), 0777));
	assert_int_equal(t_in_child(body, path), 0);
	assert_ok(rmdir(t_path(dir, "sub")));
}

static void hidden_name_that_others_can_see_is_told(void **state)
{
	check_shared(state, remove_without_a_private_directory);
}

static void directory_that_never_is_our_own_is_no_hindrance(void **state)
{
	check_shared(state, remove_where_all_is_of_another_user);
}

/* Each of two that remove the same names: 0 or "it is not there". Returns the failures that are neither. */
static int remove_all(void *context)
{
	const struct t_dir *dir = context;
	char name[32];
	int others = 0;

	for (int i = 0; i < ROUNDS; i++) {
		snprintf(name, sizeof name, "file%d", i);
		const int r = filemap_remove_file(dir->fd, name, NULL, NULL);
		others += r != 0 && r != -ENOENT && r != FILEMAP_EGONE;
	}
	return others > 100 ? 100 : others;
}

static int race(void *context)
{
	int status, others;
	const pid_t child = fork();

	if (child < 0)
		return 101;
	others = remove_all(context);
	if (child == 0)
		_exit(others);
	if (waitpid(child, &status, 0) < 0 || !WIFEXITED(status))
		return 102;
	return others + WEXITSTATUS(status);
}

static void two_that_remove_the_same_names_leave_none(void **state)
{
	char name[32];

	for (int i = 0; i < ROUNDS; i++) {
		snprintf(name, sizeof name, "file%d", i);
		make_file(state, name);
	}
	assert_int_equal(t_in_child(race, *state), 0);
	assert_nothing_left(state);
}

T_MAIN(T_TEST(remove_file_is_gone_and_nothing_else), T_TEST(remove_file_without_any_permission_on_it),
       T_TEST(path_starts_at_the_directory_that_is_given), T_TEST(path_starts_at_the_working_directory),
       T_TEST(symbolic_link_on_the_way_is_followed), T_TEST(further_links_are_told_and_left),
       T_TEST(mapped_file_keeps_its_bytes), T_TEST(bad_arguments_are_refused),
       T_TEST(what_is_no_regular_file_is_refused), T_TEST(symbolic_links_are_refused),
       T_TEST(what_does_not_exist_is_as_the_kernel_says), T_TEST(file_that_is_expected_is_removed),
       T_TEST(other_file_than_the_expected_is_left), T_TEST(identity_is_that_of_a_mapping_of_the_file),
       T_TEST(longest_name_is_removed), T_TEST(directories_that_others_write_leave_nothing_behind),
       T_TEST(root_removes_in_directories_of_other_users), T_TEST(nobody_removes_what_the_directory_allows),
       T_TEST(identity_needs_no_permission_on_the_file),
       T_TEST(file_system_that_always_replaces_is_no_hindrance), T_TEST(weak_check_is_told),
       T_TEST(hidden_name_that_others_can_see_is_told),
       T_TEST(directory_that_never_is_our_own_is_no_hindrance),
       T_TEST(two_that_remove_the_same_names_leave_none))
