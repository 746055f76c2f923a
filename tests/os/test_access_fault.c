/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the library itself loads and stores on a call - headers, lengths, streams - in a file that was cut. */
#include "t.h"

#include <errno.h>
#include <unistd.h>

#include <filemap/filemap.h>

#define PAGE ((size_t)65536) /* of any machine */

static struct filemap *open_and_cut(void **state, uint64_t size)
{
	struct filemap *map = NULL;

	assert_ok(filemap_guard_install(NULL));
	assert_ok(filemap_open(t_path(*state, "file"), FILEMAP_WRITE,
			       FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW, .size = 3 * PAGE), &map, NULL));
	memset(filemap_data_mut(map), 'x', 3 * PAGE);
	assert_ok(truncate(filemap_path(map), (off_t)size));
	return map;
}

static void done(struct filemap *map)
{
	filemap_close(map);
	assert_ok(filemap_guard_uninstall());
}

static void commit_of_a_header_behind_the_cut_is_an_error(void **state)
{
	struct filemap *map = open_and_cut(state, PAGE);
	struct filemap_error error = {0};

	assert_int_equal(filemap_commit(map, 0, 100, 2 * PAGE, "head", 4, &error), FILEMAP_EFAULT);
	assert_string_equal(error.step, "store header");
	assert_ok(filemap_commit(map, 0, 100, 200, "head", 4, NULL));
	done(map);
}

static void stream_reads_up_to_the_cut_and_goes_on_later(void **state)
{
	struct filemap *map = open_and_cut(state, PAGE);
	char *bytes = malloc(3 * PAGE);
	FILE *stream = NULL;

	assert_ok(filemap_fopen(map, "r", &stream));
	errno = 0;
	assert_int_equal(fread(bytes, 1, 3 * PAGE, stream), PAGE);
	assert_int_equal(errno, EIO);
	assert_true(ferror(stream));
	assert_false(feof(stream));
	assert_int_equal(bytes[PAGE - 1], 'x');
	clearerr(stream);
	assert_ok(truncate(filemap_path(map), (off_t)(3 * PAGE)));
	assert_int_equal(fread(bytes, 1, 3 * PAGE, stream), 2 * PAGE);
	assert_int_equal(bytes[0], 0);
	assert_true(feof(stream));
	fclose(stream);
	free(bytes);
	done(map);
}

static void stream_that_writes_behind_the_cut_says_so(void **state)
{
	struct filemap *map = open_and_cut(state, PAGE);
	FILE *stream = NULL;

	assert_ok(filemap_fopen(map, "r+", &stream));
	assert_ok(setvbuf(stream, NULL, _IONBF, 0));
	assert_int_equal(fwrite("abc", 1, 3, stream), 3);
	assert_ok(fseek(stream, (long)PAGE, SEEK_SET));
	errno = 0;
	assert_int_equal(fwrite("abc", 1, 3, stream), 0);
	assert_int_equal(errno, EIO);
	assert_true(ferror(stream));
	fclose(stream);
	assert_memory_equal(filemap_data(map), "abcx", 4);
	done(map);
}

static void slices_behind_the_cut_are_an_error(void **state)
{
	struct filemap *map = open_and_cut(state, PAGE);
	const size_t at = 2 * PAGE;
	struct filemap_error error = {0};
	const void *bytes;
	size_t cursor = at, length;
	void *room;

	assert_int_equal(filemap_next_slice(map, &cursor, &bytes, &length), FILEMAP_EFAULT);
	assert_int_equal(filemap_alloc_slice(map, &cursor, 100, &room, &error), FILEMAP_EFAULT);
	assert_string_equal(error.step, "store length");
	assert_int_equal(cursor, at);
	assert_ok(truncate(filemap_path(map), (off_t)(3 * PAGE)));
	assert_ok(filemap_alloc_slice(map, &cursor, 100, &room, NULL));
	assert_int_equal(cursor, at + 8 + 104);
	cursor = at;
	assert_int_equal(filemap_next_slice(map, &cursor, &bytes, &length), 1);
	assert_int_equal(length, 100);
	done(map);
}

T_MAIN(T_TEST(commit_of_a_header_behind_the_cut_is_an_error),
       T_TEST(stream_reads_up_to_the_cut_and_goes_on_later),
       T_TEST(stream_that_writes_behind_the_cut_says_so), T_TEST(slices_behind_the_cut_are_an_error))
