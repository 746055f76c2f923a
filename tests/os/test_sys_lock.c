/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Both lock families between open file descriptions, copies of them, and processes. */
#include <errno.h>
#include <sys/file.h>

#include "t.h"

#include "sys/sys.h"

static int open_new(const struct t_dir *dir, const char *name)
{
	const int fd = fm__sys_openat(dir->fd, name, O_RDWR | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 3);
	return fd;
}

static void flock_conflicts_between_descriptions_not_copies(void **state)
{
	const struct t_dir *dir = *state;
	const int a = open_new(dir, "a"), copy = fm__sys_dup(a);
	const int b = fm__sys_openat(dir->fd, "a", O_RDONLY, 0);

	assert_ok(fm__sys_flock(a, LOCK_EX | LOCK_NB));
	assert_ok(fm__sys_flock(copy, LOCK_EX | LOCK_NB));
	assert_int_equal(fm__sys_flock(b, LOCK_SH | LOCK_NB), -EWOULDBLOCK);
	assert_ok(fm__sys_flock(a, LOCK_UN));
	assert_ok(fm__sys_flock(b, LOCK_SH | LOCK_NB));
	fm__sys_close(a);
	fm__sys_close(b);
	fm__sys_close(copy);
}

/* The parent's lock: [100, 200) for writing, by the inherited descriptor. */
static int meet_parents_lock(void *context)
{
	const struct t_dir *dir = context;
	const int other = fm__sys_openat(dir->fd, "a", O_RDWR, 0);

	if (fm__sys_ofd_lock(other, F_RDLCK, 199, 1) != -EAGAIN)
		return 1;
	if (fm__sys_ofd_lock(other, F_WRLCK, 0, UINT64_MAX) != -EAGAIN)
		return 2;
	if (fm__sys_ofd_test(other, F_WRLCK, 150, 1) != 1)
		return 3;
	if (fm__sys_ofd_test(other, F_WRLCK, 200, 1) != 0)
		return 4;
	return fm__sys_ofd_lock(other, F_WRLCK, 200, UINT64_MAX) == 0 ? 0 : 5;
}

static void ofd_lock_excludes_other_processes_by_range(void **state)
{
	const struct t_dir *dir = *state;
	const int fd = open_new(dir, "a");

	assert_ok(fm__sys_ofd_lock(fd, F_WRLCK, 100, 100));
	assert_ok(t_in_child(meet_parents_lock, *state));
	assert_ok(fm__sys_ofd_test(fd, F_WRLCK, 0, UINT64_MAX)); /* one's own is no conflict */
	assert_ok(fm__sys_ofd_lock(fd, F_UNLCK, 0, UINT64_MAX));
	assert_int_equal(t_in_child(meet_parents_lock, *state), 1);
	fm__sys_close(fd);
	assert_int_equal(fm__sys_ofd_lock(fd, F_WRLCK, 0, 1), -EBADF);
}

T_MAIN(T_TEST(flock_conflicts_between_descriptions_not_copies),
       T_TEST(ofd_lock_excludes_other_processes_by_range))
