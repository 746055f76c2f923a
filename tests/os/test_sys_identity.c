/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The seam on what a file is and who may write it, also where a sandbox refuses the newer calls. */
#include <errno.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "deny.h"
#include "t.h"

#include "sys/sys.h"

#define CHILD_CANNOT 50
#define NOBODY 65534

static int open_new(const struct t_dir *dir, const char *name, unsigned mode)
{
	const int fd = fm__sys_openat(dir->fd, name, O_RDWR | O_CREAT | O_EXCL, mode);

	assert_true(fd >= 3);
	return fd;
}

/* All fields that both know; 0, or which one differs. */
static int compare(const struct statx *x, const struct stat *file)
{
	if (makedev(x->stx_dev_major, x->stx_dev_minor) != file->st_dev || x->stx_ino != file->st_ino)
		return 1;
	if (x->stx_size != (uint64_t)file->st_size || x->stx_blocks != (uint64_t)file->st_blocks)
		return 2;
	if (x->stx_mode != file->st_mode || x->stx_uid != file->st_uid || x->stx_gid != file->st_gid)
		return 3;
	if (x->stx_nlink != file->st_nlink || x->stx_blksize != (uint32_t)file->st_blksize)
		return 4;
	if (x->stx_mtime.tv_sec != file->st_mtim.tv_sec ||
	    x->stx_mtime.tv_nsec != (uint32_t)file->st_mtim.tv_nsec)
		return 5;
	if (x->stx_atime.tv_sec != file->st_atim.tv_sec || x->stx_ctime.tv_sec != file->st_ctim.tv_sec)
		return 6;
	return (x->stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS ? 0 : 7;
}

static void statx_says_what_stat_says(void **state)
{
	const struct t_dir *dir = *state;
	struct statx x;
	struct stat file;

	const int fd = open_new(dir, "a", 0640);
	assert_ok(fm__sys_pwrite(fd, "hello", 5, 10000));
	assert_ok(fm__sys_fstat(fd, &file));
	assert_ok(fm__sys_statx(fd, &x));
	assert_int_equal(compare(&x, &file), 0);
	if (x.stx_mask & STATX_BTIME)
		assert_true(x.stx_btime.tv_sec != 0 && x.stx_btime.tv_sec <= x.stx_ctime.tv_sec);
	fm__sys_close(fd);
	assert_int_equal(fm__sys_statx(fd, &x), -EBADF);
}

static int statx_behind_a_filter(const struct t_dir *dir, unsigned error)
{
	struct statx x;
	struct stat file;

	const int fd = fm__sys_openat(dir->fd, "a", O_RDWR | O_CREAT, 0600);
	if (fm__sys_fstat(fd, &file) < 0)
		return 20;
	if (deny_call(SYS_statx, error) < 0)
		return CHILD_CANNOT;
	if (fm__sys_statx(fd, &x) != 0)
		return 21;
	return x.stx_mask & STATX_BTIME ? 22 : compare(&x, &file);
}

static int statx_is_unknown(void *context)
{
	return statx_behind_a_filter(context, ENOSYS);
}

static int statx_is_forbidden(void *context)
{
	return statx_behind_a_filter(context, EPERM);
}

static void statx_refused_by_a_sandbox_is_made_of_stat(void **state)
{
	const int r = t_in_child(statx_is_unknown, *state);

	if (r == CHILD_CANNOT)
		t_skip("no seccomp filters here");
	assert_ok(r);
	assert_ok(t_in_child(statx_is_forbidden, *state));
}

struct rights {
	int shown, writable, own; /* descriptors, opened by root */
	bool denied;              /* faccessat2 is refused */
	bool effective;           /* the user stays root by the real ids */
};

static int look_as_nobody(void *context)
{
	const struct rights *rights = context;

	const gid_t other_group = rights->effective ? (gid_t)-1 : NOBODY;
	const uid_t other = rights->effective ? (uid_t)-1 : NOBODY;

	if (setresgid(other_group, NOBODY, other_group) < 0 || setresuid(other, NOBODY, other) < 0)
		return CHILD_CANNOT;
	if (rights->denied && deny_call(SYS_faccessat2, EPERM) < 0)
		return CHILD_CANNOT;
	if (fm__sys_may_write(rights->shown) != -EACCES || fm__sys_is_owner(rights->shown) != 0)
		return 1;
	if (!rights->denied && fm__sys_may_write(rights->writable) != 0)
		return 2;
	if (fm__sys_is_owner(rights->writable) != 0)
		return 3;
	return fm__sys_is_owner(rights->own) == 1 ? 0 : 4;
}

static void rights_are_those_of_the_user_not_of_the_descriptor(void **state)
{
	const struct t_dir *dir = *state;

	if (geteuid() != 0)
		t_skip("only root can become somebody else");
	struct rights rights = {open_new(dir, "shown", 0644), open_new(dir, "writable", 0644),
				open_new(dir, "own", 0), false, false};
	assert_ok(fm__sys_may_write(rights.shown));
	assert_int_equal(fm__sys_is_owner(rights.shown), 1);
	assert_ok(fchmod(rights.writable, 0666));
	assert_ok(fchown(rights.own, NOBODY, NOBODY));
	assert_ok(t_in_child(look_as_nobody, &rights));
	rights.effective = true;
	assert_ok(t_in_child(look_as_nobody, &rights));
	rights.denied = true;
	const int r = t_in_child(look_as_nobody, &rights);
	assert_true(r == 0 || r == CHILD_CANNOT);
	/* Root acts for every owner. */
	assert_int_equal(fm__sys_is_owner(rights.own), 1);
	fm__sys_close(rights.shown);
	fm__sys_close(rights.writable);
	fm__sys_close(rights.own);
}

static int write_on_an_old_kernel(void *context)
{
	const int *fd = context;

	if (deny_call(SYS_faccessat2, ENOSYS) < 0)
		return CHILD_CANNOT;
	return fm__sys_may_write(*fd) == 0 ? 0 : 1;
}

static void right_to_write_is_found_out_on_old_kernels_too(void **state)
{
	int fd = open_new(*state, "a", 0600);
	const int r = t_in_child(write_on_an_old_kernel, &fd);

	fm__sys_close(fd);
	if (r == CHILD_CANNOT)
		t_skip("no seccomp filters here");
	assert_ok(r);
	assert_int_equal(fm__sys_may_write(fd), -EBADF);
}

static void handles_are_the_same_for_one_file_and_others_for_another(void **state)
{
	const struct t_dir *dir = *state;
	unsigned char a[128], again[128], b[128];
	uint32_t type_a = 0, type_again = 0, type_b = 0;
	uint32_t a_length = sizeof a, again_length = sizeof again, b_length = sizeof b, short_length = 1;

	const int fd = open_new(dir, "a", 0600), other = open_new(dir, "b", 0600);
	const int r = fm__sys_file_handle(fd, &type_a, a, &a_length);
	if (r == 0) {
		const int twin = fm__sys_reopen(fd, O_RDONLY);
		assert_ok(fm__sys_file_handle(twin, &type_again, again, &again_length));
		assert_ok(fm__sys_file_handle(other, &type_b, b, &b_length));
		assert_true(a_length > 0 && a_length == again_length && type_a == type_again);
		assert_memory_equal(a, again, a_length);
		assert_true(b_length != a_length || memcmp(a, b, a_length) != 0);
		assert_int_equal(fm__sys_file_handle(fd, &type_a, a, &short_length), -EOVERFLOW);
		fm__sys_close(twin);
	}
	fm__sys_close(fd);
	fm__sys_close(other);
	if (r == -EOPNOTSUPP)
		t_skip("this file system has no handles");
	assert_ok(r);
}

static int handle_behind_a_filter(void *context)
{
	uint32_t type, length = 128;
	unsigned char handle[128];
	const int *fd = context;

	if (deny_call(SYS_name_to_handle_at, EPERM) < 0)
		return CHILD_CANNOT;
	return fm__sys_file_handle(*fd, &type, handle, &length) == -EOPNOTSUPP ? 0 : 1;
}

static void handles_refused_by_a_sandbox_are_not_there(void **state)
{
	int fd = open_new(*state, "a", 0600);
	const int r = t_in_child(handle_behind_a_filter, &fd);

	fm__sys_close(fd);
	if (r == CHILD_CANNOT)
		t_skip("no seccomp filters here");
	assert_ok(r);
}

T_MAIN(T_TEST(statx_says_what_stat_says), T_TEST(statx_refused_by_a_sandbox_is_made_of_stat),
       T_TEST(rights_are_those_of_the_user_not_of_the_descriptor),
       T_TEST(right_to_write_is_found_out_on_old_kernels_too),
       T_TEST(handles_are_the_same_for_one_file_and_others_for_another),
       T_TEST(handles_refused_by_a_sandbox_are_not_there))
