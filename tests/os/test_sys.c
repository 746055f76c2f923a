/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The seam on real files: opening, sizes, bytes, names, memory. */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "deny.h"
#include "t.h"

#include "sys/sys.h"

#define CHILD_CANNOT 50 /* a filter could not be installed */

static int open_new(const struct t_dir *dir, const char *name)
{
	const int fd = fm__sys_openat(dir->fd, name, O_RDWR | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 3);
	return fd;
}

static void open_is_close_on_exec_and_reports_errors_as_codes(void **state)
{
	const struct t_dir *dir = *state;
	const int fd = open_new(dir, "a");

	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fm__sys_openat(dir->fd, "a", O_RDWR | O_CREAT | O_EXCL, 0600), -EEXIST);
	assert_int_equal(fm__sys_openat(dir->fd, "b", O_RDONLY, 0), -ENOENT);
	const int copy = fm__sys_dup(fd);
	assert_true(copy >= 3 && copy != fd);
	assert_true(fcntl(copy, F_GETFD) & FD_CLOEXEC);
	fm__sys_close(copy);
	fm__sys_close(fd);
	fm__sys_close(-1);
	assert_int_equal(fm__sys_dup(fd), -EBADF);
}

/* It must not block: a pipe may hold less than is put in. */
static void pipe_is_close_on_exec_and_never_waits(void **state)
{
	int ends[2];
	(void)state;

	assert_ok(fm__sys_pipe(ends));
	for (int i = 0; i < 2; i++) {
		assert_true(ends[i] >= 3);
		assert_true(fcntl(ends[i], F_GETFD) & FD_CLOEXEC);
		assert_true(fcntl(ends[i], F_GETFL) & O_NONBLOCK);
		fm__sys_close(ends[i]);
	}
}

/* The result tells which of the three stood in for a standard stream; 0 = none. */
static int open_without_standard_streams(void *context)
{
	const struct t_dir *dir = context;

	close(0);
	close(1);
	close(2);
	const int file = fm__sys_openat(dir->fd, "a", O_RDWR | O_CREAT, 0600);
	const int path = fm__sys_openat(dir->fd, ".", O_PATH | O_DIRECTORY, 0);
	const int event = fm__sys_eventfd();
	const int copy = fm__sys_dup(file);
	int ends[2];
	if (fm__sys_pipe(ends) < 0 || ends[0] < 3 || ends[1] < 3)
		return 6;
	if (fcntl(0, F_GETFD) != -1 || fcntl(1, F_GETFD) != -1 || fcntl(2, F_GETFD) != -1)
		return 4;
	if (!(fcntl(file, F_GETFD) & FD_CLOEXEC) || !(fcntl(event, F_GETFD) & FD_CLOEXEC))
		return 5;
	return file < 3 ? 1 : path < 3 ? 2 : event < 3 || copy < 3 ? 3 : 0;
}

static void descriptors_are_never_standard_streams(void **state)
{
	assert_ok(t_in_child(open_without_standard_streams, *state));
}

static void close_keeps_errno(void **state)
{
	(void)state;
	errno = ENOTTY;
	fm__sys_close(987654);
	assert_int_equal(errno, ENOTTY);
}

static void stat_and_type_describe_the_file(void **state)
{
	const struct t_dir *dir = *state;
	struct stat by_fd, by_name;
	uint64_t type;

	const int fd = open_new(dir, "a");
	assert_ok(fm__sys_ftruncate(fd, 12345));
	assert_ok(fm__sys_fstat(fd, &by_fd));
	assert_ok(fm__sys_fstatat(dir->fd, "a", &by_name, AT_SYMLINK_NOFOLLOW));
	assert_true(by_fd.st_ino == by_name.st_ino && by_fd.st_size == 12345);
	assert_int_equal(fm__sys_fstatat(dir->fd, "b", &by_name, 0), -ENOENT);
	fm__sys_close(fd);
	assert_int_equal(fm__sys_fstat(fd, &by_fd), -EBADF);

	const int proc = fm__sys_openat(AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY, 0);
	assert_ok(fm__sys_fs_type(proc, &type));
	assert_true(type == 0x9FA0);
	fm__sys_close(proc);
}

static void sizes_no_file_can_have_are_refused(void **state)
{
	const struct t_dir *dir = *state;
	const int fd = open_new(dir, "a");
	void *at;

	assert_int_equal(fm__sys_ftruncate(fd, UINT64_MAX), -EFBIG);
	assert_int_equal(fm__sys_fallocate(fd, 0, UINT64_MAX, 1), -EFBIG);
	assert_int_equal(fm__sys_fallocate(fd, 0, 0, UINT64_MAX), -EFBIG);
	assert_int_equal(fm__sys_pwrite(fd, "x", 1, UINT64_MAX), -EFBIG);
	assert_int_equal(fm__sys_map(NULL, 1, PROT_READ, MAP_SHARED, fd, UINT64_MAX - 4095, &at), -EFBIG);
	assert_int_equal(t_file_size(t_path(dir, "a")), 0);
	fm__sys_close(fd);
}

static void fallocate_grows_the_file_by_real_blocks(void **state)
{
	const struct t_dir *dir = *state;
	struct stat info;

	const int fd = open_new(dir, "a");
	assert_ok(fm__sys_fallocate(fd, 0, 0, 65536));
	assert_ok(fm__sys_fstat(fd, &info));
	assert_true(info.st_size == 65536 && info.st_blocks * 512 >= 65536);
	assert_int_equal(fm__sys_fallocate(fd, 0, 0, 0), -EINVAL);
	fm__sys_close(fd);
}

static void pwrite_and_pread_move_all_bytes(void **state)
{
	const struct t_dir *dir = *state;
	char bytes[16] = "";

	const int fd = open_new(dir, "a");
	assert_ok(fm__sys_pwrite(fd, "hello world", 11, 5));
	assert_int_equal(fm__sys_pread(fd, bytes, 11, 5), 11);
	assert_string_equal(bytes, "hello world");
	assert_int_equal(fm__sys_pread(fd, bytes, sizeof bytes, 11), 5);
	assert_int_equal(fm__sys_pread(fd, bytes, sizeof bytes, 16), 0);
	assert_int_equal(fm__sys_read(fd, bytes, 5), 5);
	assert_memory_equal(bytes, "\0\0\0\0\0", 5);
	assert_ok(fm__sys_fadvise(fd, 0, UINT64_MAX, POSIX_FADV_DONTNEED));
	assert_int_equal(fm__sys_fadvise(fd, 0, 1, 99), -EINVAL);
	fm__sys_close(fd);
	assert_int_equal(fm__sys_pread(fd, bytes, 1, 0), -EBADF);
	assert_int_equal(fm__sys_pwrite(fd, bytes, 1, 0), -EBADF);
	assert_int_equal(fm__sys_read(fd, bytes, 1), -EBADF);
}

static void pwrite_to_a_full_device_reports_it(void **state)
{
	const int fd = fm__sys_openat(AT_FDCWD, "/dev/full", O_WRONLY, 0);
	(void)state;

	if (fd < 0)
		t_skip("no /dev/full");
	assert_int_equal(fm__sys_pwrite(fd, "x", 1, 0), -ENOSPC);
	fm__sys_close(fd);
}

static int limit_file_size(uint64_t size)
{
	const struct rlimit limit = {size, size};

	return setrlimit(RLIMIT_FSIZE, &limit);
}

static int exceed_in_every_way(int fd)
{
	static const char bytes[4096];

	if (fm__sys_ftruncate(fd, 65536) != -EFBIG)
		return 2;
	if (fm__sys_fallocate(fd, 0, 0, 65536) != -EFBIG)
		return 3;
	if (fm__sys_pwrite(fd, bytes, sizeof bytes, 8192) != -EFBIG)
		return 4;
	if (fm__sys_pwrite(fd, bytes, sizeof bytes, 6144) != -EFBIG) /* half of it fits */
		return 5;
	return fm__sys_ftruncate(fd, 8192) == 0 ? 0 : 6;
}

/* SIGXFSZ at its default: it would end the child. */
static int exceed_the_limit(void *context)
{
	const struct t_dir *dir = context;
	sigset_t set;

	const int fd = fm__sys_openat(dir->fd, "a", O_RDWR | O_CREAT, 0600);
	if (fd < 0 || limit_file_size(8192) < 0)
		return 1;
	const int r = exceed_in_every_way(fd);
	if (r != 0)
		return r;
	sigpending(&set);
	if (sigismember(&set, SIGXFSZ))
		return 7;
	sigprocmask(SIG_SETMASK, NULL, &set);
	return sigismember(&set, SIGXFSZ) ? 8 : 0;
}

static void file_size_limit_is_an_error_and_no_signal(void **state)
{
	assert_ok(t_in_child(exceed_the_limit, *state));
}

/* The host blocks the signal and has one pending: that one is the host's and stays. */
static int exceed_with_a_pending_signal(void *context)
{
	const struct t_dir *dir = context;
	sigset_t set;

	const int fd = fm__sys_openat(dir->fd, "a", O_RDWR | O_CREAT, 0600);
	if (fd < 0 || limit_file_size(8192) < 0)
		return 1;
	sigemptyset(&set);
	sigaddset(&set, SIGXFSZ);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGXFSZ);
	const int r = exceed_in_every_way(fd);
	if (r != 0)
		return r;
	sigpending(&set);
	if (!sigismember(&set, SIGXFSZ))
		return 7;
	sigprocmask(SIG_SETMASK, NULL, &set);
	return sigismember(&set, SIGXFSZ) ? 0 : 8;
}

static void file_size_limit_leaves_the_hosts_pending_signal(void **state)
{
	assert_ok(t_in_child(exceed_with_a_pending_signal, *state));
}

static void assert_content(const struct t_dir *dir, const char *name, const char *expected)
{
	char bytes[16] = "";

	t_read_file(t_path(dir, name), bytes, sizeof bytes - 1);
	assert_string_equal(bytes, expected);
}

static void rename_without_replace_keeps_an_existing_name(void **state)
{
	const struct t_dir *dir = *state;

	t_write_file(t_path(dir, "from"), "new", 3);
	t_write_file(t_path(dir, "to"), "old", 3);
	assert_int_equal(fm__sys_rename(dir->fd, "from", "to", false), -EEXIST);
	assert_content(dir, "from", "new");
	assert_content(dir, "to", "old");
	assert_ok(fm__sys_rename(dir->fd, "from", "to", true));
	assert_content(dir, "to", "new");
	assert_ok(fm__sys_rename(dir->fd, "to", "free", false));
	assert_content(dir, "free", "new");
	assert_int_equal(t_file_size(t_path(dir, "to")), -1);
	assert_int_equal(fm__sys_rename(dir->fd, "none", "x", false), -ENOENT);
}

static int rename_by_linking(void *context)
{
	const struct t_dir *dir = context;

	if (deny_call(SYS_renameat2, ENOSYS) < 0)
		return CHILD_CANNOT;
	if (fm__sys_rename(dir->fd, "from", "to", false) != -EEXIST)
		return 1;
	if (fm__sys_rename(dir->fd, "none", "x", false) != -ENOENT)
		return 2;
	return fm__sys_rename(dir->fd, "from", "free", false) == 0 ? 0 : 3;
}

static void rename_without_kernel_support_still_never_replaces(void **state)
{
	const struct t_dir *dir = *state;

	t_write_file(t_path(dir, "from"), "new", 3);
	t_write_file(t_path(dir, "to"), "old", 3);
	const int r = t_in_child(rename_by_linking, *state);
	if (r == CHILD_CANNOT)
		t_skip("no seccomp filters here");
	assert_ok(r);
	assert_content(dir, "to", "old");
	assert_content(dir, "free", "new");
	assert_int_equal(t_file_size(t_path(dir, "from")), -1);
}

struct seen {
	unsigned count, stop_at;
	bool all_ours;
};

static int see(void *context, const char *name)
{
	struct seen *seen = context;

	seen->count++;
	seen->all_ours &= strncmp(name, "name-", 5) == 0;
	return seen->count == seen->stop_at ? 42 : 0;
}

static void list_dir_visits_every_name_once_until_told_to_stop(void **state)
{
	const struct t_dir *dir = *state;
	struct seen seen = {.all_ours = true}, stopped = {.stop_at = 3};

	for (int i = 0; i < 20; i++) {
		char name[32];
		snprintf(name, sizeof name, "name-%d", i);
		assert_ok(fm__sys_mkdirat(dir->fd, name, 0700));
	}
	assert_ok(fm__sys_list_dir(dir->fd, see, &seen));
	assert_int_equal(seen.count, 20);
	assert_true(seen.all_ours);
	assert_int_equal(fm__sys_list_dir(dir->fd, see, &stopped), 42);
	assert_int_equal(stopped.count, 3);
	assert_int_equal(fm__sys_mkdirat(dir->fd, "name-1", 0700), -EEXIST);
	assert_ok(fm__sys_unlinkat(dir->fd, "name-1", AT_REMOVEDIR));
	assert_int_equal(fm__sys_unlinkat(dir->fd, "name-1", 0), -ENOENT);
	assert_int_equal(fm__sys_list_dir(-1, see, &seen), -EBADF);
}

static void memory_maps_moves_and_unmaps(void **state)
{
	const struct t_dir *dir = *state;
	const size_t page = fm__sys_page_size();
	unsigned char byte = 0;
	void *at;

	assert_true(page >= 4096 && (page & (page - 1)) == 0);
	const int fd = open_new(dir, "a");
	assert_ok(fm__sys_ftruncate(fd, 2 * page));
	assert_ok(fm__sys_map(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, page, &at));
	*(unsigned char *)at = 77;
	assert_ok(fm__sys_msync(at, page));
	assert_int_equal(fm__sys_pread(fd, &byte, 1, page), 1);
	assert_int_equal(byte, 77);
	assert_ok(fm__sys_madvise(at, page, MADV_DONTFORK));
	assert_int_equal(fm__sys_madvise(at, page, 9999), -EINVAL);
	assert_ok(fm__sys_remap(at, page, 2 * page, MREMAP_MAYMOVE, &at));
	assert_int_equal(*(unsigned char *)at, 77);
	assert_ok(fm__sys_unmap(at, 2 * page));
	assert_int_equal(fm__sys_msync(at, page), -ENOMEM);
	fm__sys_close(fd);
	assert_int_equal(fm__sys_map(NULL, page, PROT_READ, MAP_SHARED, fd, 0, &at), -EBADF);
}

static void heap_memory_is_zero_even_without_size(void **state)
{
	unsigned char *memory = fm__zalloc(1000), *nothing = fm__zalloc(0);
	char *copy = fm__strdup("text");
	(void)state;

	assert_non_null(memory);
	assert_non_null(nothing);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(memory[i], 0);
	assert_string_equal(copy, "text");
	fm__free(memory);
	fm__free(nothing);
	fm__free(copy);
	fm__free(NULL);
}

T_MAIN(T_TEST(open_is_close_on_exec_and_reports_errors_as_codes),
       T_PLAIN(pipe_is_close_on_exec_and_never_waits), T_TEST(descriptors_are_never_standard_streams),
       T_PLAIN(close_keeps_errno), T_TEST(stat_and_type_describe_the_file),
       T_TEST(sizes_no_file_can_have_are_refused), T_TEST(fallocate_grows_the_file_by_real_blocks),
       T_TEST(pwrite_and_pread_move_all_bytes), T_PLAIN(pwrite_to_a_full_device_reports_it),
       T_TEST(file_size_limit_is_an_error_and_no_signal),
       T_TEST(file_size_limit_leaves_the_hosts_pending_signal),
       T_TEST(rename_without_replace_keeps_an_existing_name),
       T_TEST(rename_without_kernel_support_still_never_replaces),
       T_TEST(list_dir_visits_every_name_once_until_told_to_stop), T_TEST(memory_maps_moves_and_unmaps),
       T_PLAIN(heap_memory_is_zero_even_without_size))
