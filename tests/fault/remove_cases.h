/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A directory with a mapped file in it that is to be removed, in one of the ways in which that can go, and
 * where the file and a foreign one really are afterwards. Shared by the tests of removal under faults.
 */
#ifndef T_REMOVE_CASES_H
#define T_REMOVE_CASES_H

#include "t.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "fault.h"

enum way {
	WAY_HIDDEN,          /* another name in the same directory */
	WAY_PRIVATE,         /* everybody may write the directory: one of our own */
	WAY_WEAK,            /* the file system can do neither */
	WAY_FOREIGN,         /* a foreign file comes before it is moved: hidden, and put back */
	WAY_FOREIGN_PRIVATE, /* likewise */
	WAY_FOREIGN_LINKED,  /* likewise, where renaming cannot refuse to replace */
	WAY_BACK,            /* it cannot be unlinked, and is put back */
	WAY_BACK_PRIVATE,
	WAY_BACK_LINKED,
	WAY_COUNT,
};

static const char *const way_names[] = {"hidden name",
					"private directory",
					"weak",
					"foreign, hidden name",
					"foreign, private directory",
					"foreign, put back by a link",
					"put back",
					"put back from a private directory",
					"put back by a link"};

#define SCENE_BYTES 5000

struct scene {
	enum way way;
	struct t_dir *top;
	char directory[300], file[320], aside[320], other[300];
	struct filemap *map;
	ino_t own, foreign;
};

/* Where one file is. */
struct place {
	bool named, aside, hidden;
	char hidden_name[300]; /* the entry of the directory */
};

struct outcome {
	struct place own, foreign;
	int entries; /* of the directory, but . and .. */
	int litter;  /* entries that are neither of the two files nor a directory with one in it */
};

static inline bool way_is_foreign(enum way way)
{
	return way == WAY_FOREIGN || way == WAY_FOREIGN_PRIVATE || way == WAY_FOREIGN_LINKED;
}

static inline bool way_is_back(enum way way)
{
	return way == WAY_BACK || way == WAY_BACK_PRIVATE || way == WAY_BACK_LINKED;
}

static inline bool way_is_private(enum way way)
{
	return way == WAY_PRIVATE || way == WAY_FOREIGN_PRIVATE || way == WAY_BACK_PRIVATE;
}

/* A link and an unlinking: in between the file has both names. */
static inline bool way_is_linked(enum way way)
{
	return way == WAY_FOREIGN_LINKED || way == WAY_BACK_LINKED;
}

static inline void scene_fill(const char *path, char byte)
{
	char bytes[SCENE_BYTES];

	memset(bytes, byte, sizeof bytes);
	t_write_file(path, bytes, sizeof bytes);
}

static inline ino_t scene_inode(const char *path)
{
	struct stat status;

	assert_ok(lstat(path, &status));
	return status.st_ino;
}

static inline void scene_assert_content(const char *path, char byte)
{
	char bytes[SCENE_BYTES + 1];

	assert_int_equal(t_read_file(path, bytes, sizeof bytes), SCENE_BYTES);
	for (size_t i = 0; i < SCENE_BYTES; i++)
		assert_int_equal(bytes[i], byte);
}

/* The files, without a mapping. */
static inline void scene_make(struct scene *scene, void **state, enum way way)
{
	memset(scene, 0, sizeof *scene);
	scene->way = way;
	scene->top = *state;
	snprintf(scene->directory, sizeof scene->directory, "%s/d", scene->top->path);
	snprintf(scene->file, sizeof scene->file, "%s/file", scene->directory);
	snprintf(scene->aside, sizeof scene->aside, "%s/aside", scene->directory);
	snprintf(scene->other, sizeof scene->other, "%s/other", scene->top->path);
	assert_ok(mkdir(scene->directory, 0755));
	assert_ok(chmod(scene->directory, way_is_private(way) ? 0777 : 0755));
	scene_fill(scene->file, 'o');
	scene_fill(scene->other, 'f');
	scene->own = scene_inode(scene->file);
	scene->foreign = scene_inode(scene->other);
	fault_reset();
}

static inline void scene_open(struct scene *scene, void **state, enum way way)
{
	scene_make(scene, state, way);
	assert_ok(filemap_open(scene->file, FILEMAP_WRITE, NULL, &scene->map, NULL));
	fault_reset();
}

/* Somebody moves our file aside and theirs onto its name. */
static inline void scene_swap(void *context)
{
	const struct scene *scene = context;

	if (access(scene->other, F_OK) < 0)
		return; /* it came already */
	assert_ok(rename(scene->file, scene->aside));
	assert_ok(rename(scene->other, scene->file));
}

/* What makes the removal go its way; faults are to be armed on top, with fault_arm_also(). */
static inline void scene_arm(struct scene *scene)
{
	fault_reset();
	if (scene->way == WAY_WEAK) {
		fault_arm_call_persistent("move", 1, EINVAL);
		fault_arm_also("mkdirat", 1, ENOSPC);
	}
	if (way_is_linked(scene->way)) { /* there and back: refusing to replace is not supported */
		fault_arm_call("move", 1, EINVAL);
		fault_arm_also("move", 3, EINVAL);
	}
	if (way_is_back(scene->way))
		fault_arm_also("unlinkat", 1, EPERM);
	if (way_is_foreign(scene->way))
		fault_hook("move", 1, scene_swap, scene);
}

static inline void scene_found(const struct scene *scene, struct outcome *outcome, ino_t inode,
			       const char *entry, bool inside)
{
	struct place *place = inode == scene->own ? &outcome->own : &outcome->foreign;

	if (inode != scene->own && inode != scene->foreign) {
		outcome->litter++;
		return;
	}
	if (!inside && strcmp(entry, "file") == 0)
		place->named = true;
	else if (!inside && strcmp(entry, "aside") == 0)
		place->aside = true;
	else {
		assert_false(place->hidden);
		place->hidden = true;
		snprintf(place->hidden_name, sizeof place->hidden_name, "%s", entry);
	}
}

/* A directory with nothing but one of the two files in it, under its name; an empty one is litter. */
static inline void scene_look_into(const struct scene *scene, struct outcome *outcome, const char *entry)
{
	char path[640];
	struct stat status;

	snprintf(path, sizeof path, "%s/%s/file", scene->directory, entry);
	if (lstat(path, &status) == 0)
		scene_found(scene, outcome, status.st_ino, entry, true);
	else
		outcome->litter++;
}

static inline struct outcome scene_look(const struct scene *scene)
{
	struct outcome outcome = {0};
	DIR *dir = opendir(scene->directory);
	struct stat status;

	assert_non_null(dir);
	for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		outcome.entries++;
		assert_ok(fstatat(dirfd(dir), entry->d_name, &status, AT_SYMLINK_NOFOLLOW));
		if (S_ISDIR(status.st_mode))
			scene_look_into(scene, &outcome, entry->d_name);
		else
			scene_found(scene, &outcome, status.st_ino, entry->d_name, false);
	}
	closedir(dir);
	return outcome;
}

/* The path of a file that is hidden, by the entry of the directory. */
static inline const char *scene_hidden_path(const struct scene *scene, const struct place *place)
{
	static char path[640];
	const size_t length = strlen(place->hidden_name);
	const bool inside = length > 5 && strcmp(place->hidden_name + length - 5, ".deld") == 0;

	snprintf(path, sizeof path, "%s/%s%s", scene->directory, place->hidden_name, inside ? "/file" : "");
	return path;
}

/* Wherever the two files are, every byte of them is there. The foreign one is somewhere, always. */
static inline void scene_assert_contents(const struct scene *scene, const struct outcome *outcome)
{
	const struct place *own = &outcome->own, *foreign = &outcome->foreign;

	if (own->named)
		scene_assert_content(scene->file, 'o');
	if (own->aside)
		scene_assert_content(scene->aside, 'o');
	if (own->hidden)
		scene_assert_content(scene_hidden_path(scene, own), 'o');
	if (foreign->named)
		scene_assert_content(scene->file, 'f');
	else if (foreign->hidden)
		scene_assert_content(scene_hidden_path(scene, foreign), 'f');
	else
		scene_assert_content(scene->other, 'f');
	assert_true(own->named + own->hidden + own->aside <= 1 + way_is_linked(scene->way));
	assert_true(foreign->named + foreign->hidden + foreign->aside <= 1 + way_is_linked(scene->way));
}

/* Everything away, for the next round of a sweep. */
static inline void scene_drop(struct scene *scene)
{
	DIR *dir = opendir(scene->directory);
	char inside[300];

	assert_non_null(dir);
	for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(dir), entry->d_name, 0) == 0)
			continue;
		snprintf(inside, sizeof inside, "%s/file", entry->d_name);
		unlinkat(dirfd(dir), inside, 0);
		assert_ok(unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR));
	}
	closedir(dir);
	assert_ok(rmdir(scene->directory));
	unlink(scene->other);
}

#endif
