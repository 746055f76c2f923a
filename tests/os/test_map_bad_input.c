/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What bad input gets: the specific error with step and subject, and nothing created, changed or left. */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filemap/filemap.h>

static struct filemap_error error;

/* The code of an open that has to fail; checks what every failure owes. */
static int refused(const char *path, unsigned mode, const struct filemap_options *options)
{
	struct filemap *map = NULL;
	memset(&error, 0, sizeof error);
	int r = filemap_open(path, mode, options, &map, &error);
	assert_true(r < 0);
	assert_null(map);
	assert_int_equal(error.code, r);
	assert_non_null(error.step);
	assert_non_null(error.subject);
	assert_int_equal(error.sys_errno, r > -4096 ? -r : 0);
	assert_int_equal(filemap_open(path, mode, options, &map, NULL), r);
	return r;
}

static void missing_file_is_enoent_and_not_created(void **state)
{
	const char *path = t_path(*state, "missing");
	assert_int_equal(refused(path, FILEMAP_READ, NULL), -ENOENT);
	assert_string_equal(error.detail, path);
	assert_int_equal(refused(path, FILEMAP_WRITE, NULL), -ENOENT);
	assert_int_equal(t_file_size(path), -1);
}

static void missing_directory_names_the_parent(void **state)
{
	const char *path = t_path(*state, "none/file");
	assert_int_equal(refused(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE)), -ENOENT);
	assert_string_equal(error.subject, "parent directory");
	assert_int_equal(refused(path, FILEMAP_READ, NULL), -ENOENT);
	t_write_file(t_path(*state, "plain"), "x", 1);
	assert_int_equal(refused(t_path(*state, "plain/file"), FILEMAP_WRITE, NULL), -ENOTDIR);
}

static void directory_is_eisdir(void **state)
{
	const struct t_dir *dir = *state;
	assert_int_equal(refused(dir->path, FILEMAP_READ, NULL), -EISDIR);
	assert_int_equal(refused(dir->path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE)),
			 -EISDIR);
	assert_int_equal(refused(t_path(dir, ""), FILEMAP_WRITE, NULL), -EISDIR);
	assert_int_equal(refused(t_path(dir, "."), FILEMAP_WRITE, NULL), -EISDIR);
	assert_int_equal(refused("/", FILEMAP_WRITE, NULL), -EISDIR);
	assert_int_equal(refused("/", FILEMAP_READ, NULL), -EISDIR);
}

static void fifo_is_enodev_without_waiting(void **state)
{
	const char *path = t_path(*state, "fifo");
	assert_ok(mkfifo(path, 0600));
	assert_int_equal(refused(path, FILEMAP_READ, NULL), -ENODEV);
	assert_int_equal(refused(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE)), -ENODEV);
	assert_string_equal(error.step, "check file type");
	assert_int_equal(refused(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW)), -EEXIST);
}

static void socket_and_device_are_enodev(void **state)
{
	const struct t_dir *dir = *state;
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int r = snprintf(name.sun_path, sizeof name.sun_path, "%s/socket", dir->path);
	assert_true(r > 0 && r < (int)sizeof name.sun_path);
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_ok(bind(fd, (const struct sockaddr *)&name, sizeof name));
	assert_int_equal(refused(name.sun_path, FILEMAP_READ, NULL), -ENODEV);
	close(fd);
	assert_int_equal(refused("/dev/null", FILEMAP_READ, NULL), -ENODEV);
	assert_int_equal(refused("/dev/null", FILEMAP_WRITE, NULL), -ENODEV);
}

static void generated_file_of_proc_is_enodev(void **state)
{
	(void)state;
	assert_int_equal(refused("/proc/version", FILEMAP_READ, NULL), -ENODEV);
	assert_non_null(error.hint);
}

static void create_does_not_go_through_a_link_to_nothing(void **state)
{
	const char *link = t_path(*state, "link");
	assert_ok(symlink("target", link));
	assert_int_equal(refused(link, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE)), -ELOOP);
	assert_string_equal(error.step, "create file");
	assert_int_equal(refused(link, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW)), -EEXIST);
	assert_int_equal(refused(link, FILEMAP_READ, NULL), -ENOENT);
	assert_int_equal(t_file_size(t_path(*state, "target")), -1);
}

static void nofollow_refuses_a_link_in_both_modes(void **state)
{
	const char *link = t_path(*state, "link");
	t_write_file(t_path(*state, "file"), "hello", 5);
	assert_ok(symlink("file", link));
	assert_int_equal(refused(link, FILEMAP_READ, FILEMAP_OPTIONS(.flags = FILEMAP_NOFOLLOW)), -ELOOP);
	assert_int_equal(refused(link, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_NOFOLLOW)), -ELOOP);
}

static void create_new_of_a_taken_name_is_eexist(void **state)
{
	const char *path = t_path(*state, "file");
	t_write_file(path, "hello", 5);
	assert_int_equal(
		refused(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW, .size = 9)),
		-EEXIST);
	assert_int_equal(t_file_size(path), 5);
}

static void window_outside_the_file_names_its_field(void **state)
{
	const char *path = t_path(*state, "file");
	t_write_file(path, "hello", 5);
	assert_int_equal(refused(path, FILEMAP_READ, FILEMAP_OPTIONS(.offset = 6)), FILEMAP_ERANGE);
	assert_string_equal(error.subject, "offset");
	assert_int_equal(error.offset, 6);
	assert_int_equal(refused(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.offset = 2, .length = 4)),
			 FILEMAP_ERANGE);
	assert_string_equal(error.subject, "length");
	assert_int_equal(refused(path, FILEMAP_READ, FILEMAP_OPTIONS(.offset = 4, .length = UINT64_MAX - 1)),
			 FILEMAP_ERANGE);
	assert_string_equal(error.step, "check options");
}

static void window_is_refused_before_truncation_and_creation(void **state)
{
	const char *path = t_path(*state, "file"), *fresh = t_path(*state, "fresh");
	t_write_file(path, "hello", 5);
	assert_int_equal(refused(path, FILEMAP_WRITE,
				 FILEMAP_OPTIONS(.flags = FILEMAP_TRUNCATE, .size = 3, .offset = 4)),
			 FILEMAP_ERANGE);
	assert_int_equal(t_file_size(path), 5);
	assert_int_equal(
		refused(fresh, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .length = 128)),
		FILEMAP_ERANGE);
	assert_int_equal(refused(fresh, FILEMAP_WRITE,
				 FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW, .size = 9, .offset = 10)),
			 FILEMAP_ERANGE);
	assert_int_equal(t_file_size(fresh), -1);
}

static void size_that_no_file_system_has_leaves_no_file(void **state)
{
	const char *path = t_path(*state, "file");
	int r = refused(path, FILEMAP_WRITE,
			FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = UINT64_C(1) << 46));
	assert_true(r == -ENOSPC || r == -EFBIG || r == -ENOMEM);
	assert_int_equal(t_file_size(path), -1);
	r = refused(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW, .size = INT64_MAX));
	assert_int_equal(r, FILEMAP_ERANGE);
	assert_int_equal(t_file_size(path), -1);
}

struct bad_options {
	struct filemap_options known;
	uint64_t future;
};

static void options_are_refused_and_nothing_created(void **state)
{
	const char *path = t_path(*state, "file");
	struct bad_options longer = {{.struct_size = sizeof longer, .flags = FILEMAP_CREATE}, 1};
	struct filemap_options shorter = {.struct_size = 8, .flags = FILEMAP_CREATE};
	assert_int_equal(refused(path, FILEMAP_WRITE, &longer.known), FILEMAP_EVERSION);
	assert_string_equal(error.subject, "struct_size");
	assert_int_equal(refused(path, FILEMAP_WRITE, &shorter), FILEMAP_EOPTION);
	assert_int_equal(
		refused(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | UINT32_C(1) << 30)),
		FILEMAP_EOPTION);
	assert_string_equal(error.subject, "flags");
	assert_int_equal(refused(path, FILEMAP_READ, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE)),
			 FILEMAP_EOPTION);
	assert_int_equal(t_file_size(path), -1);
}

static int open_as_nobody(void *context)
{
	const struct t_dir *dir = context;
	struct filemap *map;
	if (t_become_nobody() < 0)
		return 77;
	if (filemap_open(t_path(dir, "secret"), FILEMAP_READ, NULL, &map, &error) != -EACCES ||
	    strcmp(error.step, "open file"))
		return 1;
	if (filemap_open(t_path(dir, "readable"), FILEMAP_WRITE, NULL, &map, &error) != -EACCES)
		return 2;
	if (filemap_open(t_path(dir, "fresh"), FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE), &map,
			 &error) != -EACCES ||
	    strcmp(error.step, "create file"))
		return 3;
	/* A directory that may be searched but not read does not hide a readable file. */
	if (filemap_open(t_path(dir, "search/readable"), FILEMAP_READ, NULL, &map, &error) != 0)
		return 4;
	filemap_close(map);
	if (filemap_open(t_path(dir, "search/readable"), FILEMAP_WRITE, NULL, &map, &error) != -EACCES ||
	    strcmp(error.step, "open file"))
		return 5;
	return 0;
}

static void file_without_permission_is_eacces(void **state)
{
	const struct t_dir *dir = *state;
	if (geteuid() != 0)
		t_skip("only root can become nobody");
	t_write_file(t_path(dir, "secret"), "x", 1);
	t_write_file(t_path(dir, "readable"), "x", 1);
	assert_ok(mkdir(t_path(dir, "search"), 0711));
	t_write_file(t_path(dir, "search/readable"), "x", 1);
	assert_ok(chmod(t_path(dir, "secret"), 0));
	assert_ok(chmod(t_path(dir, "readable"), 0444));
	assert_ok(chmod(t_path(dir, "search/readable"), 0444));
	assert_ok(chmod(t_path(dir, "search"), 0711));
	assert_ok(chmod(dir->path, 0755));
	const int r = t_in_child(open_as_nobody, *state);
	if (r == 77)
		t_skip("cannot become nobody here");
	assert_int_equal(r, 0);
	assert_int_equal(t_file_size(t_path(dir, "fresh")), -1);
}

static int resize_on_full_disk(const struct t_dir *dir)
{
	struct filemap *map;
	if (filemap_open(t_path(dir, "small"), FILEMAP_WRITE,
			 FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 5000), &map, NULL) < 0)
		return 10;
	memset(filemap_data_mut(map), 'x', 5000);
	if (filemap_resize(map, 4 << 20, &error) != -ENOSPC || strcmp(error.step, "allocate blocks"))
		return 11;
	if (filemap_size(map) != 5000 || t_file_size(t_path(dir, "small")) != 5000)
		return 12;
	if (((const char *)filemap_data(map))[4999] != 'x' || filemap_state(map) != FILEMAP_STATE_LIVE)
		return 13;
	if (filemap_resize(map, 6000, &error) < 0) /* what was tried for is free again */
		return 14;
	filemap_close(map);
	return 0;
}

static int open_on_full_disk(void *context)
{
	const struct t_dir *dir = context;
	struct filemap *map;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 77;
	if (mount("tmpfs", dir->path, "tmpfs", 0, "size=1m") < 0)
		return 77;
	if (filemap_open(t_path(dir, "big"), FILEMAP_WRITE,
			 FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 4 << 20), &map, &error) != -ENOSPC)
		return 1;
	if (strcmp(error.step, "allocate blocks") || strcmp(error.subject, "file"))
		return 2;
	if (t_file_size(t_path(dir, "big")) != -1)
		return 3;
	t_write_file(t_path(dir, "old"), "hello", 5);
	if (filemap_open(t_path(dir, "old"), FILEMAP_WRITE,
			 FILEMAP_OPTIONS(.flags = FILEMAP_TRUNCATE, .size = 4 << 20), &map,
			 &error) != -ENOSPC ||
	    strcmp(error.step, "allocate blocks"))
		return 4;
	if (t_file_size(t_path(dir, "old")) != 5)
		return 5;
	t_write_file(t_path(dir, "empty"), "", 0);
	if (filemap_open(t_path(dir, "empty"), FILEMAP_WRITE, FILEMAP_OPTIONS(.size = 4 << 20), &map,
			 &error) != -ENOSPC ||
	    t_file_size(t_path(dir, "empty")) != 0)
		return 6;
	return resize_on_full_disk(dir);
}

static void full_disk_is_enospc_and_leaves_everything_as_it_was(void **state)
{
	const int r = t_in_child(open_on_full_disk, *state);
	if (r == 77)
		t_skip("mounting in a private namespace is not permitted");
	assert_int_equal(r, 0);
}

/* A seal would stop truncation halfway: after the content is gone, or with what was tried still there. */
static void sealed_memory_is_refused_before_it_is_emptied(void **state)
{
	const struct {
		int seals;
		uint64_t size;
		int result;
		off_t left;
	} cases[] = {
		{F_SEAL_GROW, 3, -EPERM, 5},   {F_SEAL_GROW, 0, 0, 0},        {F_SEAL_SHRINK, 3, -EPERM, 5},
		{F_SEAL_SHRINK, 0, -EPERM, 5}, {F_SEAL_SHRINK, 9, -EPERM, 5}, {F_SEAL_SEAL, 9, 0, 9},
	};
	struct filemap *map;
	struct stat status;
	(void)state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const int fd = memfd_create("sealed", MFD_ALLOW_SEALING | MFD_CLOEXEC);
		assert_true(fd >= 0);
		assert_int_equal(pwrite(fd, "hello", 5, 0), 5);
		assert_ok(fcntl(fd, F_ADD_SEALS, cases[i].seals));
		const int r = filemap_open_fd(
			fd, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_TRUNCATE, .size = cases[i].size),
			&map, &error);
		assert_int_equal(r, cases[i].result);
		if (r < 0)
			assert_string_equal(error.subject, "file seals");
		else
			filemap_close(map);
		assert_ok(fstat(fd, &status));
		assert_int_equal(status.st_size, cases[i].left);
		close(fd);
	}
}

static void flags_and_advice_that_contradict_are_refused(void **state)
{
	struct filemap *map;
	(void)state;
	assert_int_equal(filemap_anonymous(100, FILEMAP_OPTIONS(.flags = FILEMAP_HUGE_2M | FILEMAP_HUGE_1G),
					   &map, &error),
			 FILEMAP_EOPTION);
	assert_string_equal(error.detail, "HUGE_1G");
	assert_ok(filemap_anonymous(100, NULL, &map, NULL));
	assert_int_equal(filemap_advise(map, FILEMAP_ADVICE_WILLNEED | FILEMAP_ADVICE_PAGEOUT, 0, 100),
			 FILEMAP_EOPTION);
	assert_int_equal(filemap_advise(map, FILEMAP_ADVICE_WILLNEED | FILEMAP_ADVICE_COLD, 0, 100),
			 FILEMAP_EOPTION);
	assert_int_equal(filemap_advise(map, FILEMAP_ADVICE_DONTDUMP | FILEMAP_ADVICE_DODUMP, 0, 100),
			 FILEMAP_EOPTION);
	assert_int_equal(filemap_advise(map, FILEMAP_ADVICE_COLLAPSE | FILEMAP_ADVICE_NOHUGEPAGE, 0, 100),
			 FILEMAP_EOPTION);
	assert_int_equal(filemap_advise(map, FILEMAP_ADVICE_MERGEABLE | FILEMAP_ADVICE_UNMERGEABLE, 0, 100),
			 FILEMAP_EOPTION);
	filemap_close(map);
}

T_MAIN(T_TEST(missing_file_is_enoent_and_not_created), T_TEST(missing_directory_names_the_parent),
       T_TEST(directory_is_eisdir), T_TEST(fifo_is_enodev_without_waiting),
       T_TEST(socket_and_device_are_enodev), T_TEST(generated_file_of_proc_is_enodev),
       T_TEST(create_does_not_go_through_a_link_to_nothing), T_TEST(nofollow_refuses_a_link_in_both_modes),
       T_TEST(create_new_of_a_taken_name_is_eexist), T_TEST(window_outside_the_file_names_its_field),
       T_TEST(window_is_refused_before_truncation_and_creation),
       T_TEST(size_that_no_file_system_has_leaves_no_file), T_TEST(options_are_refused_and_nothing_created),
       T_TEST(file_without_permission_is_eacces), T_TEST(full_disk_is_enospc_and_leaves_everything_as_it_was),
       T_TEST(sealed_memory_is_refused_before_it_is_emptied),
       T_TEST(flags_and_advice_that_contradict_are_refused))
