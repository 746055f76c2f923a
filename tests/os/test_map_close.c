/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* filemap_close_truncated() on real files: the length, the bytes, and what stays open when it is refused. */
#include "t.h"

#include <errno.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "map/map.h"

static struct filemap *create(void **state, uint64_t size, const struct filemap_options *options)
{
	struct filemap *map = NULL;
	const struct filemap_options *plain = FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW, .size = size);
	assert_ok(filemap_open(t_path(*state, "file"), FILEMAP_WRITE, options ? options : plain, &map, NULL));
	memset(filemap_data_mut(map), 0xAA, filemap_size(map));
	return map;
}

static void assert_file(void **state, size_t filled, size_t size)
{
	static unsigned char bytes[100000];
	assert_int_equal(t_read_file(t_path(*state, "file"), bytes, sizeof bytes), size);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(bytes[i], i < filled ? 0xAA : 0);
	t_census_same(*state);
}

static void file_gets_its_final_length(void **state)
{
	const size_t sizes[] = {0, 1, 4095, 4096, 4097, 9999, 10000, 10001, 12288, 12289, 50000};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		assert_ok(filemap_close_truncated(create(state, 10000, NULL), sizes[i], NULL));
		assert_file(state, sizes[i] < 10000 ? sizes[i] : 10000, sizes[i]);
		assert_ok(unlink(t_path(*state, "file")));
	}
}

static void bytes_stored_behind_the_end_do_not_reach_the_file(void **state)
{
	struct filemap *map = create(state, 100, NULL);
	memset((char *)filemap_data_mut(map) + 100, 0xBB, 1000);
	assert_ok(filemap_close_truncated(map, 6000, NULL));
	assert_file(state, 100, 6000);
}

static void file_may_end_before_the_window(void **state)
{
	struct filemap *map = create(state, 0, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 10000));
	assert_ok(filemap_close_truncated(map, 10000, NULL));
	assert_ok(filemap_open(t_path(*state, "file"), FILEMAP_WRITE, FILEMAP_OPTIONS(.offset = 5000), &map,
			       NULL));
	assert_ok(filemap_close_truncated(map, 3000, NULL));
	assert_file(state, 3000, 3000);
}

static void refused_close_leaves_the_mapping(void **state)
{
	struct filemap_error error;
	struct filemap *map = create(state, 10000, NULL), *window;
	assert_ok(filemap_window(map, FILEMAP_READ, 0, 10, &window, NULL));
	assert_int_equal(filemap_close_truncated(map, 10000, &error), FILEMAP_EBUSY);
	assert_string_equal(error.subject, "window");
	filemap_close(window);
	assert_ok(filemap_pin(map));
	assert_int_equal(filemap_close_truncated(map, 10000, &error), FILEMAP_EBUSY);
	assert_string_equal(error.subject, "pin");
	filemap_unpin(map);
	assert_int_equal(filemap_close_truncated(map, UINT64_MAX, &error), FILEMAP_ERANGE);
	assert_int_equal(filemap_size(map), 10000);
	assert_ok(filemap_close_truncated(map, 5, NULL));
	assert_file(state, 5, 5);
}

static void mapping_that_cannot_be_stored_to_is_not_cut(void **state)
{
	const unsigned modes[] = {FILEMAP_READ, FILEMAP_EXEC, FILEMAP_COW};
	struct filemap *map;
	filemap_close(create(state, 10, NULL));
	for (size_t i = 0; i < 3; i++) {
		assert_ok(filemap_open(t_path(*state, "file"), modes[i], NULL, &map, NULL));
		assert_int_equal(filemap_close_truncated(map, 5, NULL), FILEMAP_EMODE);
		filemap_close(map);
	}
	assert_int_equal(t_file_size(t_path(*state, "file")), 10);
}

static void tainted_mapping_does_not_say_that_it_is_durable(void **state)
{
	struct filemap *map = create(state, 10000, NULL);
	struct fm__flush flush;
	assert_ok(fm__map_flush_begin(map, 0, 1, &flush));
	assert_int_equal(fm__map_flush_end(&flush, -EIO), -EIO);
	assert_int_equal(filemap_close_truncated(map, 5, NULL), FILEMAP_EPOISONED);
	assert_int_equal(filemap_size(map), 10000);
	assert_ok(filemap_freeze(map, NULL)); /* this goes on */
	filemap_close(map);
	assert_int_equal(t_file_size(t_path(*state, "file")), 10000);
}

static int close_in_child(void *context)
{
	return filemap_close_truncated(context, 5, NULL) == FILEMAP_EFORKED ? 0 : 1;
}

static void forked_child_does_not_cut(void **state)
{
	struct filemap *map = create(state, 10, NULL);
	assert_int_equal(t_in_child(close_in_child, map), 0);
	assert_int_equal(t_file_size(t_path(*state, "file")), 10);
	filemap_close(map);
}

static void memory_just_closes(void **state)
{
	struct filemap *map;
	assert_ok(filemap_anonymous(100, NULL, &map, NULL));
	assert_ok(filemap_pin(map));
	assert_int_equal(filemap_close_truncated(map, 5, NULL), FILEMAP_EBUSY);
	filemap_unpin(map);
	assert_ok(filemap_close_truncated(map, 5, NULL));
	assert_ok(filemap_anonymous(100, FILEMAP_OPTIONS(.flags = FILEMAP_SHARED), &map, NULL));
	assert_ok(filemap_close_truncated(map, 5, NULL));
	assert_ok(filemap_from_bytes(NULL, FILEMAP_READ, "abc", 3, &map, NULL));
	assert_int_equal(filemap_close_truncated(map, 2, NULL), FILEMAP_EMODE);
	filemap_close(map);
	t_census_same(*state);
}

T_MAIN(T_TEST(file_gets_its_final_length), T_TEST(bytes_stored_behind_the_end_do_not_reach_the_file),
       T_TEST(file_may_end_before_the_window), T_TEST(refused_close_leaves_the_mapping),
       T_TEST(mapping_that_cannot_be_stored_to_is_not_cut),
       T_TEST(tainted_mapping_does_not_say_that_it_is_durable), T_TEST(forked_child_does_not_cut),
       T_TEST(memory_just_closes))
