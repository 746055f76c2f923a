/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Streams and slices with every call to the system failing in turn: nothing is held, given or changed. */
#include "t.h"

#include <errno.h>

#include <filemap/filemap.h>

#include "fault.h"
#include "sys/stream.h"

#define MOST_CALLS 50

static int stream_error; /* what fm__stream_open() is to fail with */
int __real_fm__stream_open(struct fm__stream *stream, const char *mode, FILE **ret);
int __wrap_fm__stream_open(struct fm__stream *stream, const char *mode, FILE **ret);

int __wrap_fm__stream_open(struct fm__stream *stream, const char *mode, FILE **ret)
{
	return stream_error ? stream_error : __real_fm__stream_open(stream, mode, ret);
}

static struct filemap *create(void **state, uint64_t size)
{
	const char *path = t_path(*state, "file");
	struct filemap *map = NULL;

	remove(path);
	fault_reset();
	assert_ok(filemap_open(path, FILEMAP_WRITE,
			       FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW, .size = size), &map, NULL));
	return map;
}

/* Nothing is pinned: a pinned mapping could not shrink. */
static void assert_free(struct filemap *map)
{
	assert_ok(filemap_resize(map, 1, NULL));
}

static void stream_without_memory_is_not_opened(void **state)
{
	struct filemap *map = create(state, 100);
	FILE *stream = stdin;

	fault_arm_call("zalloc", 1, ENOMEM);
	assert_int_equal(filemap_fopen(map, "r", &stream), -ENOMEM);
	assert_true(fault_fired());
	fault_reset();
	assert_ptr_equal(stream, stdin);
	assert_free(map);
	filemap_close(map);
}

static void stream_that_stdio_refuses_is_not_opened(void **state)
{
	struct filemap *map = create(state, 100);
	FILE *stream = stdin;

	stream_error = -ENOMEM;
	assert_int_equal(filemap_fopen(map, "r+", &stream), -ENOMEM);
	stream_error = 0;
	assert_ptr_equal(stream, stdin);
	assert_free(map);
	assert_ok(filemap_fopen(map, "r+", &stream));
	fclose(stream);
	assert_free(map);
	filemap_close(map);
}

static int alloc_with_fault(struct filemap *map, int nth, int code, size_t *cursor)
{
	struct filemap_error error = {0};
	void *bytes = &error;
	int r;

	fault_arm(nth, code);
	r = filemap_alloc_slice(map, cursor, 5000, &bytes, &error);
	if (r < 0) {
		assert_int_equal(error.code, r);
		assert_non_null(error.step);
		assert_non_null(error.subject);
		assert_ptr_equal(bytes, &error);
	} else {
		assert_ptr_equal(bytes, (char *)filemap_data_mut(map) + 16);
	}
	return r;
}

static void assert_nothing_changed(struct filemap *map, size_t cursor)
{
	const unsigned char *bytes = filemap_data(map);

	assert_int_equal(cursor, 8);
	assert_int_equal(filemap_size(map), 100);
	assert_int_equal(t_file_size(filemap_path(map)), 100);
	for (size_t i = 8; i < 100; i++)
		assert_int_equal(bytes[i], 0);
}

static int sweep(void **state, int code)
{
	int failed = 0;

	for (int n = 1; n < MOST_CALLS; n++) {
		struct filemap *map = create(state, 100);
		size_t cursor = 0;
		void *bytes;
		bool fired;

		assert_ok(filemap_alloc_slice(map, &cursor, 0, &bytes, NULL));
		const int r = alloc_with_fault(map, n, code, &cursor);
		fired = fault_fired();
		fault_reset();
		if (r < 0) {
			failed++;
			assert_int_equal(r, -code);
			assert_nothing_changed(map, cursor);
			assert_ok(filemap_alloc_slice(map, &cursor, 5000, &bytes, NULL));
		}
		assert_int_equal(cursor, 8 + 5008);
		filemap_close(map);
		t_census_same(*state);
		if (!fired)
			return failed;
	}
	fail_msg("the sweep did not end");
	return failed;
}

static void slice_fails_cleanly_at_every_call(void **state)
{
	assert_true(sweep(state, EIO) >= 3);
}

/* A full disk once: what is needed is tried after what was wished for. Here that is more than double. */
static void slice_on_a_full_disk_fails_cleanly(void **state)
{
	assert_true(sweep(state, ENOSPC) >= 1);
}

static void slice_that_cannot_have_double_takes_what_it_needs(void **state)
{
	struct filemap *map = create(state, 8192);
	size_t cursor = 8184;
	void *bytes;

	fault_arm_call("fallocate", 1, ENOSPC);
	assert_ok(filemap_alloc_slice(map, &cursor, 8, &bytes, NULL));
	assert_true(fault_fired());
	fault_reset();
	assert_int_equal(filemap_size(map), 8200);
	filemap_close(map);
}

static void other_errors_are_not_tried_twice(void **state)
{
	struct filemap *map = create(state, 8192);
	size_t cursor = 8184;
	void *bytes;

	fault_reset();
	fault_arm_call("fallocate", 1, EIO);
	assert_int_equal(filemap_alloc_slice(map, &cursor, 8, &bytes, NULL), -EIO);
	assert_int_equal(fault_count("fallocate"), 1);
	fault_reset();
	assert_int_equal(cursor, 8184);
	filemap_close(map);
}

T_MAIN(T_TEST(stream_without_memory_is_not_opened), T_TEST(stream_that_stdio_refuses_is_not_opened),
       T_TEST(slice_fails_cleanly_at_every_call), T_TEST(slice_on_a_full_disk_fails_cleanly),
       T_TEST(slice_that_cannot_have_double_takes_what_it_needs), T_TEST(other_errors_are_not_tried_twice))
