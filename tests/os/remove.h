/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the cases of removing share: openings that must succeed, records that must agree, names that are left. */
#ifndef OS_REMOVE_H
#define OS_REMOVE_H

#include "t.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filemap/filemap.h>

#define LIVE FILEMAP_STATE_LIVE
#define NEEDS_UNLINK FILEMAP_STATE_NEEDS_UNLINK
#define REMOVED FILEMAP_STATE_REMOVED
#define NAME_STATES (NEEDS_UNLINK | FILEMAP_STATE_NEEDS_PARENT_SYNC | REMOVED)
#define NOBODY 65534

static inline struct filemap *open_ok(const char *path, unsigned mode, const struct filemap_options *options)
{
	struct filemap_error error = {0};
	struct filemap *map = NULL;
	char line[512];

	if (filemap_open(path, mode, options, &map, &error) < 0) {
		filemap_error_format(&error, line, sizeof line);
		fail_msg("%s", line);
	}
	return map;
}

/* A new file of that name in the case's directory, with "hello" in it, mapped for writing. */
static inline struct filemap *make_named(void **state, const char *name)
{
	const char *path = t_path(*state, name);
	t_write_file(path, "hello", 5);
	return open_ok(path, FILEMAP_WRITE, NULL);
}

static inline struct filemap *make(void **state)
{
	return make_named(state, "file");
}

/* The code of a removal; the record agrees with it, and is left alone by a success. */
static inline int removed_with(struct filemap *map, struct filemap_error *error)
{
	memset(error, 0, sizeof *error);
	const int r = filemap_remove(map, error);

	assert_int_equal(error->code, r < 0 ? r : 0);
	if (r < 0) {
		assert_non_null(error->step);
		assert_int_equal(error->sys_errno, r > -4096 ? -r : r == FILEMAP_EGONE ? ENOENT : 0);
	}
	return r;
}

static inline int removed(struct filemap *map)
{
	struct filemap_error error;
	return removed_with(map, &error);
}

static inline unsigned name_state(const struct filemap *map)
{
	return filemap_state(map) & NAME_STATES;
}

/* How many names there are in a directory, whatever they are. */
static inline int count_names(const char *path)
{
	DIR *stream = opendir(path);
	int count = -2; /* . and .. */

	assert_non_null(stream);
	while (readdir(stream))
		count++;
	closedir(stream);
	return count;
}

static inline int names_left(void **state)
{
	const struct t_dir *dir = *state;
	return count_names(dir->path);
}

static inline void assert_text(const char *path, const char *text)
{
	char got[64];

	assert_int_equal(t_read_file(path, got, sizeof got), strlen(text));
	assert_memory_equal(got, text, strlen(text));
}

/* The file is there with its content, alone in the directory. */
static inline void assert_untouched(void **state)
{
	assert_text(t_path(*state, "file"), "hello");
	assert_int_equal(names_left(state), 1);
}

/* Neither the file nor anything that was made to remove it. */
static inline void assert_nothing_left(void **state)
{
	assert_int_equal(names_left(state), 0);
}

#define PATH_OF(state) t_path(*(state), "file")

/* What on_remove was told. */
struct told {
	int calls, result;
	int32_t code;
	char detail[192];
	pthread_t thread;
};

static inline void note(void *context, int result, const struct filemap_error *error)
{
	struct told *told = context;
	told->calls++;
	told->result = result;
	told->thread = pthread_self();
	if (result >= 0) {
		assert_null(error);
		return;
	}
	told->code = error->code;
	memcpy(told->detail, error->detail, sizeof told->detail);
}

static inline void assert_told(const struct told *told, int result)
{
	assert_int_equal(told->calls, 1);
	assert_int_equal(told->result, result);
	assert_int_equal(told->code, result < 0 ? result : 0);
}

static inline struct filemap *open_telling(void **state, unsigned mode, uint32_t flags, struct told *told)
{
	return open_ok(PATH_OF(state), mode,
		       FILEMAP_OPTIONS(.flags = flags, .on_remove = note, .on_remove_context = told));
}

#endif
