/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What other processes do between two steps of an opening. A child that another thread forks meanwhile must not
 * keep the log's lock: neither when the writer dies, nor when its opening fails.
 */
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault.h"
#include "log_app.h"
#include "sys/sys.h"

struct scene {
	const char *path;
	const char *step; /* the call before which the fork comes */
	int hold[2];      /* the innermost child lives until the writing end is closed */
};

/* Comes back when the child has left fork(), too: what happens there is what libc does before it. */
static void fork_bystander(void *context)
{
	const struct scene *scene = context;
	int ready[2];
	pid_t child;
	char byte = 0;

	assert_ok(pipe(ready));
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(scene->hold[1]);
		(void)!write(ready[1], &byte, 1);
		_exit(read(scene->hold[0], &byte, 1) == 0 ? 0 : 1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
}

/* With the log open. */
static int write_and_die(void *context)
{
	struct scene *scene = context;

	fault_reset();
	fault_hook(scene->step, 1, fork_bystander, scene);
	app_append_some(app_open(scene->path, NULL, NULL), 0, 3);
	if (fault_count(scene->step) > 0)
		raise(SIGKILL);
	return 1;
}

static void writer_that_dies_leaves_no_lock_with_a_child_forked_in_its_opening(void **state)
{
	static const char *const steps[] = {"mkdirat", "ofd_lock", "pwrite", "fdatasync", "rename", "fsync"};
	struct scene scene;

	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		char name[16];

		snprintf(name, sizeof name, "log%zu", i);
		scene = (struct scene){.path = t_path(*state, name), .step = steps[i]};
		assert_ok(pipe(scene.hold));
		assert_int_equal(t_in_child(write_and_die, &scene), -SIGKILL);
		filemap_log_close(app_open(scene.path, NULL, NULL));
		assert_int_equal(app_count(scene.path, FILEMAP_PUBLISHED), 3);
		close(scene.hold[0]);
		close(scene.hold[1]);
	}
}

static void fail_an_opening(const struct t_dir *dir, void (*bystander)(void *))
{
	struct scene scene = {.path = t_path(dir, "log")};
	struct filemap_log *log;
	int status;

	filemap_log_close(app_open(scene.path, NULL, NULL));
	assert_ok(pipe(scene.hold));
	fault_reset();
	fault_hook("pwrite", 1, bystander, &scene);
	fault_arm_call("pwrite", 1, EIO);
	assert_int_equal(filemap_log_open(scene.path, NULL, &log, NULL, NULL), -EIO);
	assert_string_equal(fault_fired_call(), "pwrite");
	fault_reset();
	filemap_log_close(app_open(scene.path, NULL, NULL));
	close(scene.hold[0]);
	close(scene.hold[1]);
	assert_true(wait(&status) > 0);
	assert_int_equal(status, 0); /* it lived until now */
}

static void opening_that_fails_leaves_no_lock_with_a_child_forked_in_it(void **state)
{
	fail_an_opening(*state, fork_bystander);
}

/* As a program that does not go through libc may: the descriptor stays open in the child. */
static void clone_bystander(void *context)
{
	const struct scene *scene = context;
	char byte;

	if (syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL) != 0)
		return;
	syscall(SYS_close, scene->hold[1]);
	syscall(SYS_exit_group, syscall(SYS_read, scene->hold[0], &byte, 1) == 0 ? 0 : 1);
}

static void opening_that_fails_gives_its_lock_up_by_name(void **state)
{
	fail_an_opening(*state, clone_bystander);
}

/* ---- creation ---- */

static int create_and_write(void *path)
{
	struct filemap_log *log = app_open(path, NULL, NULL);

	app_append_some(log, 0, 3);
	return filemap_log_finish(log, NULL);
}

static void create_in_a_child(void *path)
{
	assert_int_equal(t_in_child(create_and_write, path), 0);
}

/* It had made LOCK, but another process was the first to lock it: the file is that log's now. */
static void creator_that_comes_second_leaves_LOCK_to_the_log(void **state)
{
	char path[300];
	struct filemap_log *log;

	snprintf(path, sizeof path, "%s", t_path(*state, "log"));
	fault_reset();
	fault_hook("ofd_lock", 1, create_in_a_child, path);
	assert_int_equal(filemap_log_open(path, FILEMAP_LOG_OPTIONS(.flags = FILEMAP_LOG_CREATE_NEW), &log,
					  NULL, NULL),
			 -EEXIST);
	assert_int_equal(fault_count("ofd_lock"), 1);
	fault_reset();
	assert_int_equal(app_count(path, FILEMAP_DURABLE), 3);
	filemap_log_close(app_open(path, NULL, NULL));
}

static void lock_it(void *context)
{
	int *fd = context;

	*fd = fm__sys_openat(AT_FDCWD, "log/LOCK", O_RDWR, 0);
	assert_ok(fm__sys_ofd_lock(*fd, F_WRLCK, 0, 1));
}

/* Whoever holds LOCK may be creating the log by now. */
static void creator_that_finds_its_LOCK_taken_leaves_it(void **state)
{
	struct filemap_log *log;
	struct stat st;
	int fd = -1;

	assert_ok(chdir(t_path(*state, "")));
	fault_reset();
	fault_hook("ofd_lock", 1, lock_it, &fd);
	assert_int_equal(filemap_log_open("log", FILEMAP_LOG_OPTIONS(.flags = FILEMAP_LOG_CREATE_NEW), &log,
					  NULL, NULL),
			 FILEMAP_ELOCKED);
	assert_ok(stat("log/LOCK", &st));
	fm__sys_close(fd);
	filemap_log_close(app_open("log", NULL, NULL)); /* an unfinished creation is taken over */
	assert_ok(chdir("/"));
}

T_MAIN(T_TEST(writer_that_dies_leaves_no_lock_with_a_child_forked_in_its_opening),
       T_TEST(opening_that_fails_leaves_no_lock_with_a_child_forked_in_it),
       T_TEST(opening_that_fails_gives_its_lock_up_by_name),
       T_TEST(creator_that_comes_second_leaves_LOCK_to_the_log),
       T_TEST(creator_that_finds_its_LOCK_taken_leaves_it))
