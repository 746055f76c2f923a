/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the tests of filemap_copy_to() share: bytes that tell their place, and a look at what is there. */
#ifndef OS_COPY_H
#define OS_COPY_H

#include "t.h"

#include <dirent.h>

#include <filemap/filemap.h>

/* No two pages are alike. */
static inline unsigned char byte_at(size_t i)
{
	return (unsigned char)(i * 7 + i / 4096 + 1);
}

static inline void fill_bytes(void *to, size_t length)
{
	for (size_t i = 0; i < length; i++)
		((unsigned char *)to)[i] = byte_at(i);
}

/* Entries of a directory, hidden ones, too; -1 if it cannot be read. */
static inline int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	int count = -2; /* . and .. */

	if (dir == NULL)
		return -1;
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

/* Whether the file holds exactly these bytes. */
static inline bool file_is(const char *path, const void *bytes, size_t length)
{
	unsigned char *content = malloc(length + 1);
	const bool same = t_file_size(path) == (int64_t)length &&
			  t_read_file(path, content, length + 1) == length &&
			  (length == 0 || memcmp(content, bytes, length) == 0);
	free(content);
	return same;
}

#endif
