/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Operations that can meet a limit of the process, each on files of its own and ended so that it can be repeated. */
#ifndef OS_LIMITED_H
#define OS_LIMITED_H

#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filemap/filemap.h>

#define LIMITED_SIZE ((size_t)1 << 20)

struct scene {
	const struct t_dir *dir;
	char old[512], new[512]; /* a file of LIMITED_SIZE bytes 'x'; nothing */
	struct filemap *map;     /* of `old`, WRITE, where the operation wants one */
	int fd;                  /* of `old`, where the operation wants one */
	struct filemap_bytes content;
};

struct operation {
	const char *name;
	bool wants_map, wants_fd;
	/* Releases whatever it got. */
	int (*run)(struct scene *scene, struct filemap_error *error);
	bool makes_new, /* `new` is there after success, and after a failure it is not */
		removes_old, grows_old;
};

static inline int close_if(int r, struct filemap *const *map)
{
	if (r == 0)
		filemap_close(*map);
	return r;
}

static inline int do_read(struct scene *scene, struct filemap_error *error)
{
	struct filemap *map;
	return close_if(filemap_open(scene->old, FILEMAP_READ, NULL, &map, error), &map);
}

static inline int do_write(struct scene *scene, struct filemap_error *error)
{
	struct filemap *map;
	return close_if(filemap_open(scene->old, FILEMAP_WRITE, NULL, &map, error), &map);
}

static inline int do_create(struct scene *scene, struct filemap_error *error)
{
	struct filemap *map;
	const struct filemap_options *options =
		FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = LIMITED_SIZE);
	return close_if(filemap_open(scene->new, FILEMAP_WRITE, options, &map, error), &map);
}

static inline int do_open_fd(struct scene *scene, struct filemap_error *error)
{
	struct filemap *map;
	return close_if(filemap_open_fd(scene->fd, FILEMAP_WRITE, NULL, &map, error), &map);
}

static inline int do_memory(struct scene *scene, struct filemap_error *error)
{
	struct filemap *map;
	(void)scene;
	return close_if(filemap_anonymous(LIMITED_SIZE, NULL, &map, error), &map);
}

static inline int do_shared(struct scene *scene, struct filemap_error *error)
{
	struct filemap *map;
	const struct filemap_options *options = FILEMAP_OPTIONS(.flags = FILEMAP_SHARED);
	(void)scene;
	return close_if(filemap_anonymous(LIMITED_SIZE, options, &map, error), &map);
}

static inline int do_bytes(struct scene *scene, struct filemap_error *error)
{
	struct filemap *map;
	return close_if(
		filemap_from_bytes("", FILEMAP_READ, scene->content.data, scene->content.length, &map, error),
		&map);
}

static inline int do_window(struct scene *scene, struct filemap_error *error)
{
	struct filemap *map;
	return close_if(filemap_window(scene->map, FILEMAP_READ, 100, FILEMAP_TO_END, &map, error), &map);
}

static inline int do_resize(struct scene *scene, struct filemap_error *error)
{
	return filemap_resize(scene->map, 3 * LIMITED_SIZE, error);
}

static inline int do_snapshot(struct scene *scene, struct filemap_error *error)
{
	struct filemap *map;
	return close_if(filemap_snapshot(scene->old, FILEMAP_TO_END, NULL, &map, error), &map);
}

static inline int do_snapshot_map(struct scene *scene, struct filemap_error *error)
{
	struct filemap *map;
	return close_if(filemap_snapshot_map(scene->map, 0, FILEMAP_TO_END, &map, error), &map);
}

static inline int open_queue(const struct filemap_queue_options *options, struct filemap_error *error)
{
	struct filemap_queue *queue;
	const int r = filemap_queue_open(options, &queue, error);

	if (r == 0)
		filemap_queue_close(queue);
	return r;
}

static inline int do_threads(struct scene *scene, struct filemap_error *error)
{
	(void)scene;
	return open_queue(FILEMAP_QUEUE_OPTIONS(.backend = FILEMAP_QUEUE_THREADS, .workers = 4), error);
}

static inline int do_ring(struct scene *scene, struct filemap_error *error)
{
	(void)scene;
	return open_queue(FILEMAP_QUEUE_OPTIONS(.backend = FILEMAP_QUEUE_URING), error);
}

static inline int do_log(struct scene *scene, struct filemap_error *error)
{
	struct filemap_log *log;
	const int r = filemap_log_open(
		scene->new, FILEMAP_LOG_OPTIONS(.flags = FILEMAP_LOG_CREATE, .segment_size = 1 << 20), &log,
		NULL, error);

	if (r == 0)
		filemap_log_close(log);
	return r;
}

static inline int do_publish(struct scene *scene, struct filemap_error *error)
{
	return filemap_publish(AT_FDCWD, scene->new, filemap_fill_bytes, &scene->content, NULL, error);
}

static inline int do_replace(struct scene *scene, struct filemap_error *error)
{
	return filemap_replace_file(AT_FDCWD, scene->old, filemap_fill_bytes, &scene->content, NULL, error);
}

static inline int do_copy(struct scene *scene, struct filemap_error *error)
{
	return filemap_copy_to(scene->map, 0, FILEMAP_TO_END, scene->new, error);
}

static inline int do_remove_file(struct scene *scene, struct filemap_error *error)
{
	return filemap_remove_file(AT_FDCWD, scene->old, NULL, error);
}

static inline int do_remove(struct scene *scene, struct filemap_error *error)
{
	return filemap_remove(scene->map, error);
}

static inline int do_identity(struct scene *scene, struct filemap_error *error)
{
	struct filemap_identity identity;
	return filemap_file_identity(AT_FDCWD, scene->old, &identity, error);
}

static const struct operation operations[] = {
	{.name = "open READ", .run = do_read},
	{.name = "open WRITE", .run = do_write},
	{.name = "open CREATE", .run = do_create, .makes_new = true},
	{.name = "open_fd", .run = do_open_fd, .wants_fd = true},
	{.name = "anonymous", .run = do_memory},
	{.name = "anonymous SHARED", .run = do_shared},
	{.name = "from_bytes", .run = do_bytes},
	{.name = "window", .run = do_window, .wants_map = true},
	{.name = "resize", .run = do_resize, .wants_map = true, .grows_old = true},
	{.name = "snapshot", .run = do_snapshot},
	{.name = "snapshot_map", .run = do_snapshot_map, .wants_map = true},
	{.name = "queue of threads", .run = do_threads},
	{.name = "queue on io_uring", .run = do_ring},
	{.name = "publish", .run = do_publish, .makes_new = true},
	{.name = "replace", .run = do_replace},
	{.name = "copy_to", .run = do_copy, .wants_map = true, .makes_new = true},
	{.name = "remove_file", .run = do_remove_file, .removes_old = true},
	{.name = "remove", .run = do_remove, .wants_map = true, .removes_old = true},
	{.name = "file_identity", .run = do_identity},
	{.name = "log_open CREATE", .run = do_log},
};

#define OPERATIONS (sizeof operations / sizeof *operations)

static char scene_content[LIMITED_SIZE];

static inline void scene_make(struct scene *scene, const struct operation *operation, const struct t_dir *dir)
{
	*scene = (struct scene){.dir = dir, .fd = -1};
	memset(scene_content, 'x', LIMITED_SIZE);
	scene->content = (struct filemap_bytes){scene_content, LIMITED_SIZE};
	snprintf(scene->old, sizeof scene->old, "%s/old", dir->path);
	snprintf(scene->new, sizeof scene->new, "%s/new", dir->path);
	t_write_file(scene->old, scene_content, LIMITED_SIZE);
	if (operation->wants_map)
		assert_ok(filemap_open(scene->old, FILEMAP_WRITE, NULL, &scene->map, NULL));
	if (operation->wants_fd)
		scene->fd = open(scene->old, O_RDWR | O_CLOEXEC);
}

static inline void remove_log(const char *path)
{
	char command[600];

	snprintf(command, sizeof command, "rm -rf '%s'", path);
	if (system(command) != 0)
		fprintf(stderr, "cannot remove %s\n", path);
}

/* A log that was not finished stays for the next attempt. */
static inline void scene_end(struct scene *scene, int r)
{
	struct stat status;

	if (scene->map)
		filemap_close(scene->map);
	if (scene->fd >= 0)
		close(scene->fd);
	unlink(scene->old);
	if (r == 0 && stat(scene->new, &status) == 0 && S_ISDIR(status.st_mode))
		remove_log(scene->new);
	unlink(scene->new);
}

/* NULL, or what is wrong with the files. */
static inline const char *scene_is_wrong(const struct scene *scene, const struct operation *operation, int r)
{
	static char bytes[LIMITED_SIZE + 1];
	const int64_t size = t_file_size(scene->old), expected = (int64_t)LIMITED_SIZE;

	if (operation->makes_new && (t_file_size(scene->new) >= 0) != (r == 0))
		return "the new file";
	if (operation->removes_old && r == 0)
		return size < 0 ? NULL : "the old file is there";
	if (size != (operation->grows_old && r == 0 ? 3 * expected : expected))
		return "the old file's size";
	if (operation->wants_map && filemap_size(scene->map) != (size_t)size)
		return "the window";
	if (size == expected && (t_read_file(scene->old, bytes, sizeof bytes) != LIMITED_SIZE ||
				 memcmp(bytes, scene_content, LIMITED_SIZE) != 0))
		return "the old file's content";
	return NULL;
}

#endif
