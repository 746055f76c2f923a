/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Why there is no ring: each way to take io_uring from a process is told in words that fit it. */
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "deny.h"
#include "ring.h"

#include "sys/sys.h"

#define SWITCH "/proc/sys/kernel/io_uring_disabled"

static bool says(int error, const char *words)
{
	return strstr(fm__ring_reason(error), words) != NULL;
}

static bool is_built_in(void)
{
	return !says(-EPERM, "without liburing");
}

static void assert_in_child(int (*body)(void *context), void *context)
{
	if (!is_built_in())
		t_skip("built without liburing");
	const int r = t_in_child(body, context);
	if (r == CHILD_CANNOT)
		t_skip("this cannot be set up here");
	assert_ok(r);
}

static int open_one(void)
{
	struct fm__ring *ring = NULL;
	const int r = fm__ring_open(8, &ring);

	fm__ring_close(ring);
	return r;
}

/* ---- seccomp ---- */

static int under_filter(unsigned number, int error)
{
	if (deny_call(number, (unsigned)-error) < 0)
		return CHILD_CANNOT;
	return open_one() == error && says(error, "seccomp") ? 0 : 1;
}

static int setup_forbidden(void *context)
{
	(void)context;
	return under_filter(SYS_io_uring_setup, -EPERM);
}

static int setup_hidden(void *context)
{
	(void)context;
	return under_filter(SYS_io_uring_setup, -ENOSYS);
}

static int enter_forbidden(void *context)
{
	(void)context;
	return under_filter(SYS_io_uring_enter, -EPERM);
}

static void a_filter_is_named(void **state)
{
	assert_in_child(setup_forbidden, *state);
	assert_in_child(setup_hidden, *state);
	assert_in_child(enter_forbidden, *state);
}

static void no_filter_is_named_where_there_is_none(void **state)
{
	char text[4096];
	(void)state;

	const int fd = fm__sys_openat(AT_FDCWD, "/proc/thread-self/status", O_RDONLY, 0);
	const int64_t length = fm__sys_read(fd, text, sizeof text - 1);
	fm__sys_close(fd);
	assert_true(length > 0);
	text[length] = '\0';
	if (!strstr(text, "Seccomp:\t0"))
		t_skip("this process is under a filter itself");
	assert_false(says(-EPERM, "seccomp"));
	assert_false(says(-ENOSYS, "seccomp"));
}

/* ---- the system's switch ---- */

struct setting {
	const struct t_dir *dir;
	const char *value, *words;
};

/* Another file in its place, seen by this child only: the switch itself is everybody's. */
static int switched(void *context)
{
	const struct setting *setting = context;
	const char *path = t_path(setting->dir, "switch");

	t_write_file(path, setting->value, strlen(setting->value));
	if (access(SWITCH, F_OK) < 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(path, SWITCH, "none", MS_BIND, NULL) < 0)
		return CHILD_CANNOT;
	return says(-EPERM, setting->words) ? 0 : 1;
}

static void the_switch_is_named(void **state)
{
	struct setting off = {*state, "2\n", "io_uring_disabled is 2"};
	struct setting some = {*state, "1\n", "io_uring_disabled is 1"};
	struct setting on = {*state, "0\n", "security module"};

	assert_in_child(switched, &off);
	assert_in_child(switched, &some);
	assert_in_child(switched, &on);
}

/* ---- limits ---- */

static int limit(int which, rlim_t value)
{
	const struct rlimit limit = {value, value};
	return setrlimit((__rlimit_resource_t)which, &limit);
}

static int without_locked_memory(void *context)
{
	(void)context;
	if (limit(RLIMIT_AS, RLIM_INFINITY) < 0 || limit(RLIMIT_MEMLOCK, 0) < 0 || t_become_nobody() < 0)
		return CHILD_CANNOT;
	if (!says(-ENOMEM, "RLIMIT_MEMLOCK"))
		return 1;
	const int r = open_one(); /* from 5.12 on for years it was not counted */
	return r == 0 || r == -ENOMEM || r == -EPERM ? 0 : 2;
}

/* Who may lock what he likes is not kept from it by the limit. */
static int privileged_without_locked_memory(void *context)
{
	(void)context;
	if (geteuid() != 0 || limit(RLIMIT_AS, RLIM_INFINITY) < 0 || limit(RLIMIT_MEMLOCK, 0) < 0)
		return CHILD_CANNOT;
	return says(-ENOMEM, "RLIMIT_MEMLOCK") ? 1 : 0;
}

static int without_address_space(void *context)
{
	(void)context;
	if (geteuid() != 0 || limit(RLIMIT_AS, (rlim_t)1 << 46) < 0)
		return CHILD_CANNOT;
	return says(-ENOMEM, "RLIMIT_AS") && !says(-ENOMEM, "RLIMIT_MEMLOCK") ? 0 : 1;
}

static int without_both(void *context)
{
	(void)context;
	if (limit(RLIMIT_AS, (rlim_t)1 << 46) < 0 || limit(RLIMIT_MEMLOCK, 0) < 0 || t_become_nobody() < 0)
		return CHILD_CANNOT;
	return says(-ENOMEM, "RLIMIT_AS") && says(-ENOMEM, "RLIMIT_MEMLOCK") ? 0 : 1;
}

static void a_limit_of_memory_is_named(void **state)
{
	assert_in_child(without_locked_memory, *state);
	assert_in_child(privileged_without_locked_memory, *state);
	assert_in_child(without_address_space, *state);
	assert_in_child(without_both, *state);
}

static int without_descriptors(void *context)
{
	(void)context;
	const int next = fm__sys_openat(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY, 0);
	if (next < 0 || limit(RLIMIT_NOFILE, (rlim_t)next + 1) < 0)
		return CHILD_CANNOT;
	const int r = open_one();
	if (r != -EMFILE)
		return r == -EPERM || r == -ENOSYS || r == -ENOMEM ? CHILD_CANNOT : 1;
	return says(r, "RLIMIT_NOFILE") ? 0 : 2;
}

static void the_limit_of_descriptors_is_named(void **state)
{
	assert_in_child(without_descriptors, *state);
}

/* ---- all of them ---- */

static void each_reason_is_a_line_of_its_own(void **state)
{
	static const int errors[] = {-EPERM,      -ENOSYS, -ENOMEM, -EMFILE, -ENFILE,
				     -EOPNOTSUPP, -EINVAL, -ETIME,  -EIO};
	const size_t count = is_built_in() ? sizeof errors / sizeof *errors : 1;
	const struct t_census before = t_census_take("/");
	(void)state;

	for (size_t i = 0; i < count; i++) {
		const char *reason = fm__ring_reason(errors[i]);
		assert_true(strlen(reason) > 20 && strlen(reason) < 160);
		assert_null(strchr(reason, '\n'));
		assert_int_not_equal(reason[strlen(reason) - 1], '.');
		for (size_t other = 0; other < i; other++)
			assert_string_not_equal(reason, fm__ring_reason(errors[other]));
	}
	assert_int_equal(t_census_take("/").descriptors, before.descriptors);
}

T_MAIN(T_TEST(a_filter_is_named), T_TEST(no_filter_is_named_where_there_is_none), T_TEST(the_switch_is_named),
       T_TEST(a_limit_of_memory_is_named), T_TEST(the_limit_of_descriptors_is_named),
       T_TEST(each_reason_is_a_line_of_its_own))
