/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Files opened without a mapping: every way of opening on everything that a name can mean; synced names. */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filemap/filemap.h>

#define READ FILEMAP_FILE_READ
#define WRITE FILEMAP_FILE_WRITE
#define APPEND FILEMAP_FILE_APPEND
#define CREATE FILEMAP_FILE_CREATE
#define CREATE_NEW FILEMAP_FILE_CREATE_NEW
#define TRUNCATE FILEMAP_FILE_TRUNCATE
#define DURABLE FILEMAP_FILE_DURABLE
#define ALL 0x7Fu

#define SKIPPED 77
#define NOBODY 65534

static struct filemap_error error;

static bool goes_together(unsigned how)
{
	if (!(how & (READ | WRITE)))
		return false;
	if (!(how & WRITE) && how != READ)
		return false;
	return !(how & CREATE_NEW) || !(how & (CREATE | TRUNCATE));
}

/* What the descriptor is, and that nothing of the opening sticks to it. */
static void check_descriptor(int fd, unsigned how)
{
	const int flags = fcntl(fd, F_GETFL);
	const int access = !(how & WRITE) ? O_RDONLY : how & READ ? O_RDWR : O_WRONLY;

	assert_true(fd > 2);
	assert_int_equal(flags & O_ACCMODE, access);
	assert_int_equal(flags & O_APPEND, how & APPEND ? O_APPEND : 0);
	assert_int_equal(flags & O_NONBLOCK, 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
}

static void check_bytes(const char *path, const char *expected)
{
	char bytes[32];
	const size_t length = t_read_file(path, bytes, sizeof bytes);

	assert_int_equal(length, strlen(expected));
	assert_memory_equal(bytes, expected, length);
}

static void check_failure(const char *path, unsigned how, int expected)
{
	int fd = -77;

	memset(&error, 0, sizeof error);
	assert_int_equal(filemap_file_open(path, how, 0, &fd, &error), expected);
	assert_int_equal(fd, -77);
	assert_int_equal(error.code, expected);
	assert_non_null(error.step);
	assert_string_equal(error.subject, expected == FILEMAP_EOPTION ? "how" : "file");
	assert_string_equal(error.detail, expected == FILEMAP_EOPTION ? "" : path);
	assert_int_equal(filemap_file_open(path, how, 0, &fd, NULL), expected);
}

static void every_way_of_opening_a_file_that_exists(void **state)
{
	const char *path = t_path(*state, "file");
	for (unsigned how = 0; how <= ALL; how++) {
		int fd = -1;
		t_write_file(path, "hello", 5);
		if (!goes_together(how)) {
			check_failure(path, how, FILEMAP_EOPTION);
			check_bytes(path, "hello");
			continue;
		}
		if (how & CREATE_NEW) {
			check_failure(path, how, -EEXIST);
			check_bytes(path, "hello");
			continue;
		}
		assert_ok(filemap_file_open(path, how, 0, &fd, &error));
		check_descriptor(fd, how);
		check_bytes(path, how & TRUNCATE ? "" : "hello");
		close(fd);
	}
}

static void every_way_of_opening_what_does_not_exist(void **state)
{
	const char *path = t_path(*state, "file");
	for (unsigned how = 0; how <= ALL; how++) {
		int fd = -1;
		if (!goes_together(how) || !(how & (CREATE | CREATE_NEW))) {
			check_failure(path, how, goes_together(how) ? -ENOENT : FILEMAP_EOPTION);
			assert_int_equal(t_file_size(path), -1);
			continue;
		}
		assert_ok(filemap_file_open(path, how, 0, &fd, &error));
		check_descriptor(fd, how);
		assert_int_equal(t_file_size(path), 0);
		close(fd);
		assert_ok(unlink(path));
	}
}

/* All ways, with what each must say; the object stays as it is. */
static void refuse_in_every_way(const char *path, int expected)
{
	struct stat before, after;
	assert_ok(lstat(path, &before));
	for (unsigned how = 0; how <= ALL; how++)
		if (goes_together(how))
			check_failure(path, how, how & CREATE_NEW ? -EEXIST : expected);
	assert_ok(lstat(path, &after));
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(before.st_mode, after.st_mode);
}

static void directory_is_eisdir(void **state)
{
	const char *path = t_path(*state, "directory"), *with_slash = t_path(*state, "directory/");
	assert_ok(mkdir(path, 0700));
	refuse_in_every_way(path, -EISDIR);
	for (unsigned how = 0; how <= ALL; how++) /* the kernel's own words for a slash at the end */
		if (goes_together(how))
			check_failure(with_slash, how, -EISDIR);
}

static void fifo_is_enodev_without_waiting_or_waking(void **state)
{
	const char *path = t_path(*state, "fifo");
	assert_ok(mkfifo(path, 0600));
	refuse_in_every_way(path, -ENODEV);
	const int reader = open(path, O_RDONLY | O_NONBLOCK);
	refuse_in_every_way(path, -ENODEV);
	close(reader);
}

static void device_and_socket_are_enodev(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	const int length =
		snprintf(address.sun_path, sizeof address.sun_path, "%s", t_path(*state, "socket"));
	refuse_in_every_way("/dev/null", -ENODEV);
	if (length < (int)sizeof address.sun_path) {
		assert_ok(bind(fd, (const struct sockaddr *)&address, sizeof address));
		refuse_in_every_way(address.sun_path, -ENODEV);
	}
	close(fd);
}

static void link_to_a_file_is_followed(void **state)
{
	const char *path = t_path(*state, "link"), *file = t_path(*state, "file");
	assert_ok(symlink("file", path));
	for (unsigned how = 0; how <= ALL; how++) {
		int fd = -1;
		t_write_file(file, "hello", 5);
		if (!goes_together(how))
			continue;
		if (how & CREATE_NEW) {
			check_failure(path, how, -EEXIST);
			continue;
		}
		assert_ok(filemap_file_open(path, how, 0, &fd, &error));
		check_bytes(path, how & TRUNCATE ? "" : "hello");
		close(fd);
	}
}

static void link_to_nothing_is_never_created_through(void **state)
{
	const char *path = t_path(*state, "link"), *nothing = t_path(*state, "nothing");
	assert_ok(symlink("nothing", path));
	for (unsigned how = 0; how <= ALL; how++) {
		if (!goes_together(how))
			continue;
		check_failure(path, how, how & CREATE_NEW ? -EEXIST : how & CREATE ? -ELOOP : -ENOENT);
		assert_int_equal(t_file_size(nothing), -1);
	}
}

static void link_to_a_fifo_is_enodev(void **state)
{
	assert_ok(mkfifo(t_path(*state, "fifo"), 0600));
	assert_ok(symlink("fifo", t_path(*state, "link")));
	refuse_in_every_way(t_path(*state, "link"), -ENODEV);
}

static void bits_that_are_unknown_are_refused(void **state)
{
	t_write_file(t_path(*state, "file"), "hello", 5);
	for (unsigned bit = 7; bit < 32; bit++)
		check_failure(t_path(*state, "file"), READ | 1u << bit, FILEMAP_EOPTION);
}

static void refuse_argument(const char *path, unsigned how, unsigned permissions, int *ret_fd,
			    const char *subject)
{
	memset(&error, 0, sizeof error);
	assert_int_equal(filemap_file_open(path, how, permissions, ret_fd, &error), FILEMAP_EOPTION);
	assert_string_equal(error.subject, subject);
	assert_int_equal(filemap_file_open(path, how, permissions, ret_fd, NULL), FILEMAP_EOPTION);
}

static void arguments_are_refused_by_their_names(void **state)
{
	const char *path = t_path(*state, "file");
	int fd = -1;
	refuse_argument(NULL, WRITE | CREATE, 0, &fd, "path");
	refuse_argument("", WRITE | CREATE, 0, &fd, "path");
	refuse_argument(path, WRITE | CREATE, 010000, &fd, "permissions");
	refuse_argument(path, WRITE, 0600, &fd, "permissions");
	refuse_argument(path, WRITE | CREATE, 0, NULL, "ret_fd");
	refuse_argument(path, 0, 0, &fd, "how");
	assert_int_equal(t_file_size(path), -1);
	assert_int_equal(fd, -1);
}

static void check_permissions(const char *path, unsigned how, unsigned permissions, unsigned expected)
{
	struct stat status;
	int fd;
	assert_ok(filemap_file_open(path, WRITE | how, permissions, &fd, NULL));
	assert_ok(fstat(fd, &status));
	assert_int_equal(status.st_mode, S_IFREG | expected);
	close(fd);
}

static void permissions_are_those_asked_for_without_the_umask(void **state)
{
	const mode_t old = umask(027);
	check_permissions(t_path(*state, "a"), CREATE, 0, 0640);
	check_permissions(t_path(*state, "b"), CREATE_NEW, 0755, 0750);
	check_permissions(t_path(*state, "c"), CREATE | DURABLE, 0400, 0400);
	check_permissions(t_path(*state, "a"), CREATE, 0777, 0640); /* it is there: nothing changes */
	umask(old);
}

static void appended_bytes_go_to_the_end(void **state)
{
	const char *path = t_path(*state, "file");
	int fd;
	t_write_file(path, "hello", 5);
	assert_ok(filemap_file_open(path, WRITE | APPEND, 0, &fd, NULL));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(write(fd, " you", 4), 4);
	check_bytes(path, "hello you");
	close(fd);
}

static void missing_parent_is_named(void **state)
{
	const char *path = t_path(*state, "none/file");
	int fd = -1;
	check_failure(path, READ, -ENOENT);
	assert_int_equal(filemap_file_open(path, WRITE | CREATE, 0, &fd, &error), -ENOENT);
	assert_string_equal(error.subject, "parent directory");
	assert_string_equal(error.detail, path);
}

static int open_as_nobody(void *context)
{
	const struct t_dir *dir = context;
	int fd = -1;

	if (chmod(dir->path, 0733) < 0 || chmod(t_path(dir, "mine"), 0600) < 0)
		return SKIPPED;
	if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
		return SKIPPED;
	if (filemap_file_open(t_path(dir, "mine"), WRITE | TRUNCATE, 0, &fd, NULL) != -EACCES)
		return 1;
	if (filemap_file_open(t_path(dir, "mine"), READ | WRITE | CREATE, 0, &fd, NULL) != -EACCES)
		return 2;
	if (filemap_file_open(t_path(dir, "new"), WRITE | CREATE | DURABLE, 0, &fd, NULL) != -EACCES)
		return 3; /* the directory cannot be opened, so not synced: said before anything is made */
	if (fd != -1 || t_file_size(t_path(dir, "new")) != -1)
		return 4;
	return filemap_file_open(t_path(dir, "new"), WRITE | CREATE, 0, &fd, NULL) == 0 ? 0 : 5;
}

static void directory_that_may_only_be_searched_is_enough_unless_durable(void **state)
{
	t_write_file(t_path(*state, "mine"), "hello", 5);
	if (getuid() != 0)
		t_skip("only root can become nobody");
	const int r = t_in_child(open_as_nobody, *state);
	if (r == SKIPPED)
		t_skip("cannot become nobody here");
	assert_int_equal(r, 0);
	check_bytes(t_path(*state, "mine"), "hello");
	assert_int_equal(t_file_size(t_path(*state, "new")), 0);
}

static void directory_can_be_synced_and_nothing_else(void **state)
{
	const struct t_dir *dir = *state;
	t_write_file(t_path(dir, "file"), "hello", 5);
	assert_ok(mkfifo(t_path(dir, "fifo"), 0600));
	assert_ok(filemap_sync_dir(dir->path, NULL));
	assert_ok(filemap_sync_dir(t_path(dir, ""), &error));
	assert_ok(filemap_sync_dir(".", &error));
	assert_ok(filemap_sync_dir("/", &error));
	assert_int_equal(filemap_sync_dir(t_path(dir, "file"), &error), -ENOTDIR);
	assert_string_equal(error.step, "open directory");
	assert_string_equal(error.detail, t_path(dir, "file"));
	assert_int_equal(filemap_sync_dir(t_path(dir, "fifo"), NULL), -ENOTDIR);
	assert_int_equal(filemap_sync_dir(t_path(dir, "none"), NULL), -ENOENT);
	assert_int_equal(filemap_sync_dir(NULL, &error), FILEMAP_EOPTION);
	assert_string_equal(error.subject, "path");
	assert_int_equal(filemap_sync_dir("", NULL), FILEMAP_EOPTION);
}

static void parent_of_any_name_can_be_synced(void **state)
{
	const struct t_dir *dir = *state;
	t_write_file(t_path(dir, "file"), "hello", 5);
	assert_ok(symlink("/none/at/all", t_path(dir, "link")));
	assert_ok(filemap_sync_parent(t_path(dir, "file"), NULL));
	assert_ok(filemap_sync_parent(t_path(dir, "never-was"), NULL));
	assert_ok(filemap_sync_parent(t_path(dir, "link"), NULL));
	assert_ok(filemap_sync_parent(t_path(dir, "never-was//"), NULL));
	assert_ok(filemap_sync_parent(dir->path, NULL));
	assert_ok(filemap_sync_parent("plain", NULL));
	assert_ok(filemap_sync_parent("/top", NULL));
	assert_ok(filemap_sync_parent("//top/", NULL));
	assert_ok(filemap_sync_parent("...", NULL));
	assert_int_equal(filemap_sync_parent(t_path(dir, "none/file"), &error), -ENOENT);
	assert_string_equal(error.subject, "parent directory");
	assert_string_equal(error.detail, t_path(dir, "none/file"));
	assert_int_equal(filemap_sync_parent(t_path(dir, "file/x"), &error), -ENOTDIR);
}

static void path_whose_end_is_no_name_has_no_parent_to_sync(void **state)
{
	static const char *const paths[] = {NULL,  "",     "/",   "//",   ".",      "..",    "./",
					    "a/.", "a/..", "/..", "a/./", "a/..//", "/tmp/."};
	(void)state;
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		memset(&error, 0, sizeof error);
		assert_int_equal(filemap_sync_parent(paths[i], &error), FILEMAP_EOPTION);
		assert_string_equal(error.subject, "path");
		assert_int_equal(filemap_sync_parent(paths[i], NULL), FILEMAP_EOPTION);
	}
}

T_MAIN(T_TEST(every_way_of_opening_a_file_that_exists), T_TEST(every_way_of_opening_what_does_not_exist),
       T_TEST(directory_is_eisdir), T_TEST(fifo_is_enodev_without_waiting_or_waking),
       T_TEST(device_and_socket_are_enodev), T_TEST(link_to_a_file_is_followed),
       T_TEST(link_to_nothing_is_never_created_through), T_TEST(link_to_a_fifo_is_enodev),
       T_TEST(bits_that_are_unknown_are_refused), T_TEST(arguments_are_refused_by_their_names),
       T_TEST(permissions_are_those_asked_for_without_the_umask), T_TEST(appended_bytes_go_to_the_end),
       T_TEST(missing_parent_is_named), T_TEST(directory_that_may_only_be_searched_is_enough_unless_durable),
       T_TEST(directory_can_be_synced_and_nothing_else), T_TEST(parent_of_any_name_can_be_synced),
       T_TEST(path_whose_end_is_no_name_has_no_parent_to_sync))
