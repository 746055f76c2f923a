/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Requests that stay in flight for as long as a case wants: on a file system of the test's own, whose server keeps
 * syncs to itself. A program that includes this has PLUG_MAIN for T_MAIN and P_TEST for T_TEST, and its cases take
 * a struct plug where others take their directory.
 */
#ifndef OS_QUEUE_PLUG_H
#define OS_QUEUE_PLUG_H

#include "queue_shapes.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

#include "fuse_fault.h"

struct plug {
	struct t_dir *dir; /* of the harness */
	struct fuse_fault *device;
	const char *why; /* there is none */
};

static const char *no_mounts;

static inline int plug_setup(void **state)
{
	struct plug *plug = calloc(1, sizeof *plug);
	void *dir;

	if (plug == NULL || t_setup_dir(&dir) != 0) {
		free(plug);
		return -1;
	}
	plug->dir = dir;
	plug->why = no_mounts;
	mkdir(t_path(dir, "plug"), 0700);
	if (!plug->why)
		plug->device = fuse_fault_start(t_path(dir, "plug"), &plug->why);
	*state = plug;
	return 0;
}

static inline int plug_teardown(void **state)
{
	struct plug *plug = *state;
	void *dir = plug->dir;

	fuse_fault_stop(plug->device);
	free(plug);
	return t_teardown_dir(&dir);
}

static inline int plug_run(const char *name, const struct CMUnitTest *tests, size_t count)
{
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0)
		no_mounts = "mounting in a private namespace is not permitted";
	return t_run(name, tests, count);
}

static inline void let_go(struct plug *plug)
{
	fuse_fault_set(&plug->device->hold, 0);
}

/* A file of the plugged device, its pages clean and in memory. Closing it asks nothing of the server any more. */
static inline struct filemap *open_plugged(struct plug *plug, const char *name)
{
	char below[64];
	struct filemap *map;

	if (!plug->device)
		t_skip(plug->why);
	snprintf(below, sizeof below, "plug/%s", name);
	map = open_map(plug->dir, below);
	filemap_close(map);
	assert_ok(filemap_open(t_path(plug->dir, below), FILEMAP_WRITE, NULL, &map, NULL));
	memset(filemap_data_mut(map), 'x', SIZE);
	assert_ok(filemap_flush(map));
	return map;
}

/* From now on no sync of a file comes back. */
static inline void hold(struct plug *plug)
{
	fuse_fault_set(&plug->device->hold, 1);
}

/* Until the server has kept so many, in all. */
static inline void await_held(const struct plug *plug, uint32_t count)
{
	const struct timespec pause = {0, 100000};

	while (__atomic_load_n(&plug->device->held, __ATOMIC_SEQ_CST) < count)
		nanosleep(&pause, NULL);
}

static inline uint32_t held(const struct plug *plug)
{
	return __atomic_load_n(&plug->device->held, __ATOMIC_SEQ_CST);
}

static inline uint32_t synced(const struct plug *plug)
{
	return __atomic_load_n(&plug->device->fsyncs, __ATOMIC_SEQ_CST);
}

static inline void let_one_go(struct plug *plug)
{
	__atomic_add_fetch(&plug->device->passes, 1, __ATOMIC_SEQ_CST);
}

/* What the device would still have after a power cut. */
static inline const unsigned char *durable_of(const struct plug *plug, const char *name)
{
	char path[64];
	const struct fuse_fault_file *file;

	snprintf(path, sizeof path, "/%s", name);
	file = fuse_fault_find(plug->device, path);
	assert_non_null(file);
	return file->durable;
}

/* One worker, and it is busy for as long as the device holds: what is queued behind it waits. */
struct stage {
	struct plug *plug;
	struct filemap_queue *queue;
	struct filemap *busy, *map; /* the file that is held, and one elsewhere */
	uint64_t busy_ticket;
};

static inline struct stage stage_open(struct plug *plug, const struct shape *shape, uint32_t workers)
{
	struct stage s = {.plug = plug};

	need(shape);
	s.busy = open_plugged(plug, "busy");
	s.queue = open_queue_with(shape, 0, workers);
	s.map = open_map(plug->dir, "a");
	hold(plug);
	s.busy_ticket = flush(s.queue, s.busy, NULL, NULL);
	assert_ok(filemap_queue_submit(s.queue));
	await_held(plug, 1);
	return s;
}

/* Let the device go on, and collect what kept the worker busy. */
static inline void stage_go(struct stage *s)
{
	let_go(s->plug);
	assert_int_equal(result_of(s->queue, s->busy_ticket), 0);
}

static inline void stage_close(struct stage *s)
{
	let_go(s->plug);
	filemap_queue_close(s->queue);
	filemap_close(s->busy);
	filemap_close(s->map);
}

#define P_TEST(f) cmocka_unit_test_setup_teardown(f, plug_setup, plug_teardown)
#define PLUGGED(test)                                                                          \
	P_TEST(test##_on_threads), P_TEST(test##_on_threads_one), P_TEST(test##_on_uring_one), \
		P_TEST(test##_on_uring_shared)
#define PLUG_MAIN(...)                                                          \
	int main(void)                                                          \
	{                                                                       \
		const struct CMUnitTest tests[] = {__VA_ARGS__};                \
		return plug_run(__FILE__, tests, sizeof tests / sizeof *tests); \
	}

#endif
