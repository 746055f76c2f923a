/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the fault tests of publishing and replacing share: one name, its content, and what lies beside it. */
#ifndef FAULT_NEW_FILE_H
#define FAULT_NEW_FILE_H

#include "t.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "fault.h"

#define NEW "new content"
#define OLD "old"
#define FOREIGN "foreign!"
#define THIRD "the third one"

static char dir_path[256], path[512]; /* of the directory; of the file "file" in it */
static char hidden[300];              /* the path of what is hidden there, see find_hidden() */
static struct filemap_error error;

static inline void *new_text(void)
{
	static struct filemap_bytes text = {NEW, sizeof NEW - 1};
	return &text;
}

static inline void use_dir(const struct t_dir *dir)
{
	snprintf(dir_path, sizeof dir_path, "%s", dir->path);
	snprintf(path, sizeof path, "%s", t_path(dir, "file"));
}

static inline bool holds(const char *of, const char *expected)
{
	char bytes[64];
	return t_file_size(of) == (int64_t)strlen(expected) &&
	       t_read_file(of, bytes, sizeof bytes) == strlen(expected) &&
	       memcmp(bytes, expected, strlen(expected)) == 0;
}

/* How many entries the directory has beside "file"; one of them is then in `hidden`. */
static inline int find_hidden(void)
{
	DIR *stream = opendir(dir_path);
	const struct dirent *entry;
	int count = 0;

	assert_non_null(stream);
	hidden[0] = '\0';
	while ((entry = readdir(stream)) != NULL) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
		    !strcmp(entry->d_name, "file"))
			continue;
		snprintf(hidden, sizeof hidden, "%.*s/%.*s", 200, dir_path, 90, entry->d_name);
		count++;
	}
	closedir(stream);
	return count;
}

static inline void remove_all(void)
{
	while (find_hidden() > 0)
		assert_ok(remove(hidden));
	if (remove(path) < 0)
		assert_int_equal(errno, ENOENT);
}

/* The ways to a new file. */
enum way { UNNAMED, HIDDEN, COPIED, WAYS };

static int nth, nth_more; /* the calls that fail: this one, and the one so many behind it; 0 = none */

static inline void arm_nth(void)
{
	if (nth > 0)
		fault_arm_also("", nth, EIO);
	if (nth_more > 0)
		fault_arm_also("", nth + nth_more, EIO);
}

#endif
