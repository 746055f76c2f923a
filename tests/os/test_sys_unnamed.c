/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The seam on files without names: opened again, made in memory, given a name; and what the cache copies. */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "deny.h"
#include "t.h"

#include "sys/sys.h"

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

#define CHILD_CANNOT 50
#define NOBODY 65534

static int open_new(const struct t_dir *dir, const char *name)
{
	const int fd = fm__sys_openat(dir->fd, name, O_RDWR | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 3);
	return fd;
}

static void assert_same_file(int a, int b)
{
	struct stat one, other;

	assert_ok(fm__sys_fstat(a, &one));
	assert_ok(fm__sys_fstat(b, &other));
	assert_true(one.st_ino == other.st_ino && one.st_dev == other.st_dev);
}

static void reopen_gives_a_description_of_its_own_even_without_a_name(void **state)
{
	const struct t_dir *dir = *state;
	const int fd = open_new(dir, "a");

	assert_ok(fm__sys_pwrite(fd, "hello", 5, 0));
	assert_ok(fm__sys_unlinkat(dir->fd, "a", 0));
	const int again = fm__sys_reopen(fd, O_RDONLY);
	assert_true(again >= 3 && (fcntl(again, F_GETFD) & FD_CLOEXEC));
	assert_same_file(fd, again);
	assert_int_equal(fcntl(again, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(lseek(again, 3, SEEK_SET), 3);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
	fm__sys_close(again);
	fm__sys_close(fd);
	assert_int_equal(fm__sys_reopen(fd, O_RDONLY), -ENOENT);
}

static int make_memory_files_without_standard_streams(void *context)
{
	(void)context;
	close(0);
	close(1);
	close(2);
	const int fd = fm__sys_memory_file("test");
	const int again = fm__sys_reopen(fd, O_RDWR);
	if (fcntl(0, F_GETFD) != -1 || fcntl(1, F_GETFD) != -1 || fcntl(2, F_GETFD) != -1)
		return 1;
	return fd >= 3 && again >= 3 ? 0 : 2;
}

static void memory_files_hold_bytes_and_are_no_standard_streams(void **state)
{
	char byte = 0;
	(void)state;

	const int fd = fm__sys_memory_file("test");
	assert_true(fd >= 3 && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
	assert_ok(fm__sys_pwrite(fd, "x", 1, 5000));
	assert_int_equal(fm__sys_pread(fd, &byte, 1, 5000), 1);
	assert_int_equal(byte, 'x');
	fm__sys_close(fd);
	assert_ok(t_in_child(make_memory_files_without_standard_streams, NULL));
}

static void memory_files_can_be_mapped_as_code(void **state)
{
	const size_t page = fm__sys_page_size();
	void *at;
	(void)state;

	const int fd = fm__sys_memory_file("test");
	assert_ok(fm__sys_ftruncate(fd, page));
	assert_ok(fm__sys_map(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0, &at));
	*(volatile char *)at = 1;
	assert_ok(fm__sys_protect(at, page, PROT_READ | PROT_EXEC));
	assert_ok(fm__sys_unmap(at, page));
	fm__sys_close(fd);
}

static void sealable_files_take_seals_and_hold_no_code(void **state)
{
	const int fd = fm__sys_sealable_file("test"), probe = memfd_create("probe", MFD_CLOEXEC | 0x8);
	struct stat status;
	(void)state;

	assert_true(fd >= 3 && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
	assert_ok(fm__sys_fstat(fd, &status));
	assert_true((status.st_mode & 0111) == 0 || probe < 0); /* MFD_NOEXEC_SEAL: from Linux 6.3 on */
	fm__sys_close(probe);
	assert_ok(fm__sys_seal(fd, F_SEAL_GROW));
	assert_true(fm__sys_seals(fd) & F_SEAL_GROW);
	assert_int_equal(fm__sys_ftruncate(fd, 1), -EPERM);
	fm__sys_close(fd);
}

static int open_unnamed(const struct t_dir *dir)
{
	const int fd = fm__sys_openat(dir->fd, ".", O_TMPFILE | O_RDWR, 0644);

	if (fd == -EOPNOTSUPP || fd == -EISDIR)
		t_skip("this file system has no files without names");
	assert_true(fd >= 3);
	return fd;
}

static void link_fd_gives_a_name_and_never_replaces_one(void **state)
{
	const struct t_dir *dir = *state;
	const int fd = open_unnamed(dir);

	assert_ok(fm__sys_pwrite(fd, "new", 3, 0));
	t_write_file(t_path(dir, "taken"), "old!", 4);
	assert_int_equal(fm__sys_link_fd(fd, dir->fd, "taken"), -EEXIST);
	assert_int_equal(t_file_size(t_path(dir, "taken")), 4);
	assert_ok(fm__sys_link_fd(fd, dir->fd, "name"));
	assert_int_equal(t_file_size(t_path(dir, "name")), 3);
	fm__sys_close(fd);
}

static int link_as_nobody(void *context)
{
	const struct t_dir *dir = context;
	int r = fchmod(dir->fd, 0777);

	if (r < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return CHILD_CANNOT;
	const int fd = fm__sys_openat(dir->fd, ".", O_TMPFILE | O_RDWR, 0644);
	if (fd < 0)
		return CHILD_CANNOT;
	if (fm__sys_link_fd(fd, dir->fd, "name") != 0)
		return 1;
	return fm__sys_link_fd(fd, dir->fd, "name") == -EEXIST ? 0 : 2;
}

static void link_fd_works_without_privilege(void **state)
{
	const struct t_dir *dir = *state;
	const int r = t_in_child(link_as_nobody, *state);

	if (r == CHILD_CANNOT)
		t_skip("only root can become somebody else, or there are no files without names");
	assert_ok(r);
	assert_int_equal(t_file_size(t_path(dir, "name")), 0);
}

/* As a kernel before 6.10 answers those who lack the privilege. */
static int link_without_the_empty_path(void *context)
{
	const struct t_dir *dir = context;

	const int fd = fm__sys_openat(dir->fd, ".", O_TMPFILE | O_RDWR, 0644);
	if (fd < 0 || deny_call_with(SYS_linkat, 4, AT_EMPTY_PATH, ENOENT) < 0)
		return CHILD_CANNOT;
	return fm__sys_link_fd(fd, dir->fd, "name") == 0 ? 0 : 1;
}

static void link_fd_goes_through_proc_where_it_must(void **state)
{
	const struct t_dir *dir = *state;
	const int r = t_in_child(link_without_the_empty_path, *state);

	if (r == CHILD_CANNOT)
		t_skip("no seccomp filters here, or no files without names");
	assert_ok(r);
	assert_int_equal(t_file_size(t_path(dir, "name")), 0);
}

static void copy_range_copies_up_to_the_end(void **state)
{
	const struct t_dir *dir = *state;
	const int from = open_new(dir, "from"), to = open_new(dir, "to");
	char bytes[8] = "";

	assert_ok(fm__sys_pwrite(from, "0123456789", 10, 0));
	const int64_t copied = fm__sys_copy_range(from, 4, to, 100, UINT64_MAX);
	if (copied == -EOPNOTSUPP || copied == -EXDEV || copied == -ENOSYS)
		t_skip("this file system copies nothing by itself");
	assert_int_equal(copied, 6);
	assert_int_equal(fm__sys_pread(to, bytes, 6, 100), 6);
	assert_memory_equal(bytes, "456789", 6);
	assert_int_equal(fm__sys_copy_range(from, 10, to, 0, 1), 0);
	assert_int_equal(fm__sys_copy_range(from, UINT64_MAX, to, 0, 1), -EFBIG);
	assert_int_equal(fm__sys_copy_range(from, 0, to, UINT64_MAX, 1), -EFBIG);
	fm__sys_close(from);
	fm__sys_close(to);
	assert_int_equal(fm__sys_copy_range(from, 0, to, 0, 1), -EBADF);
}

/* SIGXFSZ at its default: it would end the child. */
static int copy_beyond_the_limit(void *context)
{
	const struct rlimit limit = {4096, 4096};
	const struct t_dir *dir = context;

	const int from = fm__sys_openat(dir->fd, "from", O_RDWR | O_CREAT, 0600);
	const int to = fm__sys_openat(dir->fd, "to", O_RDWR | O_CREAT, 0600);
	if (fm__sys_pwrite(from, "0123456789", 10, 0) < 0 || setrlimit(RLIMIT_FSIZE, &limit) < 0)
		return 1;
	const int64_t r = fm__sys_copy_range(from, 0, to, 8192, 10);
	return r == -EFBIG || r == -EOPNOTSUPP || r == -EXDEV ? 0 : 2;
}

static void copy_range_beyond_the_size_limit_is_an_error_and_no_signal(void **state)
{
	assert_ok(t_in_child(copy_beyond_the_limit, *state));
}

static void writeback_range_starts_and_checks(void **state)
{
	const int fd = open_new(*state, "a");

	assert_ok(fm__sys_pwrite(fd, "hello", 5, 0));
	assert_ok(fm__sys_writeback_range(fd, 0, 5));
	assert_ok(fm__sys_writeback_range(fd, 0, UINT64_MAX));
	assert_ok(fm__sys_writeback_range(fd, 3, 0));
	assert_int_equal(fm__sys_writeback_range(fd, UINT64_MAX, 1), -EFBIG);
	fm__sys_close(fd);
	assert_int_equal(fm__sys_writeback_range(fd, 0, 1), -EBADF);
}

static int count_behind_a_filter(void *context)
{
	struct fm__cache_pages pages;
	const int *fd = context;

	if (deny_call(SYS_cachestat, ENOSYS) < 0)
		return CHILD_CANNOT;
	return fm__sys_cachestat(*fd, 0, 1, &pages) == -ENOSYS ? 0 : 1;
}

static void cachestat_of_an_old_kernel_is_enosys(void **state)
{
	int fd = open_new(*state, "a");
	const int r = t_in_child(count_behind_a_filter, &fd);

	fm__sys_close(fd);
	if (r == CHILD_CANNOT)
		t_skip("no seccomp filters here");
	assert_ok(r);
}

T_MAIN(T_TEST(reopen_gives_a_description_of_its_own_even_without_a_name),
       T_TEST(memory_files_hold_bytes_and_are_no_standard_streams),
       T_TEST(memory_files_can_be_mapped_as_code), T_TEST(sealable_files_take_seals_and_hold_no_code),
       T_TEST(link_fd_gives_a_name_and_never_replaces_one), T_TEST(link_fd_works_without_privilege),
       T_TEST(link_fd_goes_through_proc_where_it_must), T_TEST(copy_range_copies_up_to_the_end),
       T_TEST(copy_range_beyond_the_size_limit_is_an_error_and_no_signal),
       T_TEST(writeback_range_starts_and_checks), T_TEST(cachestat_of_an_old_kernel_is_enosys))
