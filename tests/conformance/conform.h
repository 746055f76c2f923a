/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What the conformance cases share: texts of known length, openings that must succeed, and content compared
 * through the mapping and through the file. A case is called conform_ITEM_SENTENCE, or conform_ITEM_ITEM_...
 * where one case asserts several items of table.tsv; check.py compares the two.
 */
#ifndef CONFORM_H
#define CONFORM_H

#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filemap/filemap.h>

#define HEAD "eleven byte"           /* 11 */
#define DATA "twelve bytes"          /* 12 */
#define OTHER "TWELVE BYTES"         /* 12 */
#define MORE "twenty-one bytes long" /* 21 */
#define HEAD_SIZE (sizeof HEAD - 1)
#define DATA_SIZE (sizeof DATA - 1)
#define MORE_SIZE (sizeof MORE - 1)

#define NEW_FILE(...) FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW, __VA_ARGS__)

/* The code of an opening that is expected to fail; the error record must agree with it. */
static inline int try_open(const char *path, unsigned mode, const struct filemap_options *options)
{
	struct filemap_error error = {0};
	struct filemap *map = NULL;
	const int r = filemap_open(path, mode, options, &map, &error);

	if (r == 0) {
		filemap_close(map);
		return 0;
	}
	assert_null(map);
	assert_int_equal(error.code, r);
	assert_non_null(error.step);
	return r;
}

static inline struct filemap *open_ok(const char *path, unsigned mode, const struct filemap_options *options)
{
	struct filemap_error error = {0};
	struct filemap *map = NULL;
	char line[512];

	if (filemap_open(path, mode, options, &map, &error) < 0) {
		filemap_error_format(&error, line, sizeof line);
		fail_msg("%s", line);
	}
	assert_non_null(map);
	return map;
}

/* EXEC, or the case ends here where the directory is on a file system without execution. */
static inline struct filemap *open_exec(const char *path, const struct filemap_options *options)
{
	struct filemap *map = NULL;
	const int r = filemap_open(path, FILEMAP_EXEC, options, &map, NULL);

	if (r == -EPERM)
		t_skip("the test directory is mounted noexec");
	assert_ok(r);
	return map;
}

static inline struct filemap *create_ok(const char *path, uint64_t size)
{
	return open_ok(path, FILEMAP_WRITE, NEW_FILE(.size = size));
}

static inline struct filemap *memory_ok(unsigned mode, const void *bytes, size_t length)
{
	struct filemap *map = NULL;
	assert_ok(filemap_from_bytes("memory", mode, bytes, length, &map, NULL));
	return map;
}

/* A new file with this text in it, and no mapping. */
static inline const char *text_file(void **state, const char *text)
{
	const char *path = t_path(*state, "file");
	t_write_file(path, text, strlen(text));
	return path;
}

static inline void assert_text_at(const struct filemap *map, size_t offset, const char *text)
{
	char got[256];

	assert_true(strlen(text) <= sizeof got);
	assert_ok(filemap_read_exact(map, offset, got, strlen(text)));
	assert_memory_equal(got, text, strlen(text));
}

/* The window is this text and nothing else. */
static inline void assert_window(const struct filemap *map, const char *text)
{
	assert_int_equal(filemap_size(map), strlen(text));
	assert_non_null(filemap_data(map));
	assert_memory_equal(filemap_data(map), text, strlen(text));
}

static inline void assert_file(const char *path, const char *text)
{
	char got[256];

	assert_int_equal(t_read_file(path, got, sizeof got), strlen(text));
	assert_memory_equal(got, text, strlen(text));
}

static inline void assert_zeros(const struct filemap *map, size_t offset, size_t length)
{
	const void *slice = NULL;

	assert_ok(filemap_slice(map, offset, length, &slice));
	for (size_t i = 0; i < length; i++)
		assert_int_equal(((const unsigned char *)slice)[i], 0);
}

/* Flush by a queue and wait for the end of it: what it came to, or why it was not taken. */
static inline int flush_async(struct filemap *map, size_t offset, size_t length)
{
	struct filemap_completion completion = {.result = 1};
	struct filemap_queue *queue = NULL;
	uint64_t ticket = 0;

	assert_ok(filemap_queue_open(NULL, &queue, NULL));
	int r = filemap_queue_flush(queue, map, offset, length, NULL, NULL, &ticket);
	if (r == 0) {
		assert_int_equal(filemap_queue_wait(queue, ticket, -1, &completion), 1);
		r = completion.result;
	}
	filemap_queue_close(queue);
	return r;
}

#endif
