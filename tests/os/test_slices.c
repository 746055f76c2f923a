/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Rows of slices in real files: the bytes they are made of, growth, and rows that are damaged. */
#include "t.h"

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "map/private.h"

static struct filemap *create(void **state, const struct filemap_options *options)
{
	struct filemap *map = NULL;
	assert_ok(filemap_open(t_path(*state, "file"), FILEMAP_WRITE, options, &map, NULL));
	return map;
}

static struct filemap *create_sized(void **state, uint64_t size)
{
	return create(state, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = size));
}

static void put(struct filemap *map, size_t *cursor, const char *text)
{
	void *bytes;
	assert_ok(filemap_alloc_slice(map, cursor, strlen(text), &bytes, NULL));
	memcpy(bytes, text, strlen(text));
}

static void assert_next(const struct filemap *map, size_t *cursor, const char *text)
{
	const void *bytes;
	size_t length;
	assert_int_equal(filemap_next_slice(map, cursor, &bytes, &length), 1);
	assert_int_equal(length, strlen(text));
	assert_memory_equal(bytes, text, length);
}

static void assert_no_more(const struct filemap *map, size_t cursor)
{
	const size_t before = cursor;
	const void *bytes = &bytes;
	size_t length = 77;
	assert_int_equal(filemap_next_slice(map, &cursor, &bytes, &length), 0);
	assert_int_equal(cursor, before);
	assert_ptr_equal(bytes, &bytes);
	assert_int_equal(length, 77);
}

static void slice_is_length_bytes_and_padding(void **state)
{
	static const unsigned char expected[48] = {6, 0, 0, 0, 0,   0,   0,   0,   'h', 'e', 'l', 'l', 'o', 0,
						   0, 0, 1, 0, 0,   0,   0,   0,   0,   0,   9,   0,   0,   0,
						   0, 0, 0, 0, 'e', 'i', 'g', 'h', 't', 'b', 'y', 't'};
	struct filemap *map = create_sized(state, 48);
	size_t cursor = 0;

	assert_no_more(map, 0);
	put(map, &cursor, "hello");
	assert_int_equal(cursor, 16);
	put(map, &cursor, "");
	assert_int_equal(cursor, 24);
	put(map, &cursor, "eightbyt");
	assert_int_equal(cursor, 40);
	assert_memory_equal(filemap_data(map), expected, 48);
	filemap_close(map);
}

static void slices_come_back_after_reopening(void **state)
{
	struct filemap *map = create_sized(state, 64);
	size_t cursor = 0;

	put(map, &cursor, "one");
	put(map, &cursor, "");
	put(map, &cursor, "three and more");
	filemap_close(map);
	assert_ok(filemap_open(t_path(*state, "file"), FILEMAP_READ, NULL, &map, NULL));
	cursor = 0;
	assert_next(map, &cursor, "one");
	assert_next(map, &cursor, "");
	assert_next(map, &cursor, "three and more");
	assert_no_more(map, cursor);
	filemap_close(map);
	map = create(state, NULL); /* and the row goes on where reading stopped */
	put(map, &cursor, "four");
	assert_no_more(map, cursor);
	cursor = 0;
	assert_next(map, &cursor, "one");
	filemap_close(map);
}

static void row_without_room_for_another_word_is_at_its_end(void **state)
{
	struct filemap *map = create_sized(state, 20);
	size_t cursor = 0;

	put(map, &cursor, "12345678");
	assert_int_equal(cursor, 16);
	assert_no_more(map, 16);
	filemap_close(map);
	map = create_sized(state, 0);
	assert_ok(filemap_resize(map, 16, NULL));
	assert_no_more(map, 16);
	filemap_close(map);
}

static void full_file_is_doubled(void **state)
{
	struct filemap *map = create_sized(state, 4096);
	size_t cursor = 0;
	void *bytes;

	assert_ok(filemap_alloc_slice(map, &cursor, 4088, &bytes, NULL));
	memset(bytes, 'a', 4088);
	assert_int_equal(t_file_size(t_path(*state, "file")), 4096);
	assert_int_equal(cursor, 4096);
	put(map, &cursor, "second");
	assert_int_equal(filemap_size(map), 8192);
	assert_int_equal(t_file_size(t_path(*state, "file")), 8192);
	assert_ok(filemap_alloc_slice(map, &cursor, 100000, &bytes, NULL)); /* more than double */
	assert_int_equal(filemap_size(map), cursor);
	assert_int_equal(((unsigned char *)bytes)[99999], 0);
	cursor = 4096;
	assert_next(map, &cursor, "second");
	filemap_close(map);
}

static void empty_file_grows_by_what_is_needed(void **state)
{
	struct filemap *map = create_sized(state, 0);
	size_t cursor = 0;

	put(map, &cursor, "x");
	assert_int_equal(filemap_size(map), 16);
	put(map, &cursor, "y");
	put(map, &cursor, "z");
	assert_int_equal(filemap_size(map), 64);
	filemap_close(map);
}

static void thousands_of_slices_grow_a_file_and_come_back(void **state)
{
	struct filemap *map = create_sized(state, 0);
	size_t cursor = 0;
	char text[64];

	for (int i = 0; i < 5000; i++) {
		snprintf(text, sizeof text, "%0*d", i % 50, i);
		put(map, &cursor, text);
	}
	cursor = 0;
	for (int i = 0; i < 5000; i++) {
		snprintf(text, sizeof text, "%0*d", i % 50, i);
		assert_next(map, &cursor, text);
	}
	assert_no_more(map, cursor);
	filemap_close(map);
}

static void window_at_an_offset_doubles_the_file(void **state)
{
	struct filemap *map =
		create(state, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 5008, .offset = 5000));
	size_t cursor = 0;

	put(map, &cursor, "");
	assert_int_equal(filemap_size(map), 8);
	put(map, &cursor, "next");
	assert_int_equal(t_file_size(t_path(*state, "file")), 10016);
	assert_int_equal(filemap_size(map), 5016);
	cursor = 0;
	assert_next(map, &cursor, "");
	assert_next(map, &cursor, "next");
	filemap_close(map);
}

static void reserve_that_cannot_hold_double_holds_what_is_needed(void **state)
{
	struct filemap_error error;
	struct filemap *map =
		create(state, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 12288, .reserve = 16384));
	const void *data = filemap_data(map);
	size_t cursor = 12288;
	void *bytes = NULL;

	assert_ok(filemap_alloc_slice(map, &cursor, 1000, &bytes, NULL));
	assert_int_equal(filemap_size(map), 12288 + 1008);
	assert_ptr_equal(filemap_data(map), data);
	bytes = &bytes;
	assert_int_equal(filemap_alloc_slice(map, &cursor, 4096, &bytes, &error), FILEMAP_ERANGE);
	assert_string_equal(error.subject, "reserve");
	assert_int_equal(cursor, 12288 + 1008);
	assert_ptr_equal(bytes, &bytes);
	assert_int_equal(t_file_size(t_path(*state, "file")), 12288 + 1008);
	filemap_close(map);
}

static void window_of_its_own_length_does_not_grow_the_file(void **state)
{
	struct filemap_error error;
	struct filemap *map =
		create(state, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 100, .length = 64));
	size_t cursor = 0;
	void *bytes;

	assert_ok(filemap_alloc_slice(map, &cursor, 48, &bytes, NULL));
	assert_int_equal(filemap_alloc_slice(map, &cursor, 8, &bytes, &error), FILEMAP_ERANGE);
	assert_string_equal(error.subject, "length");
	assert_int_equal(t_file_size(t_path(*state, "file")), 100);
	assert_ok(filemap_resize(map, 64, NULL)); /* now nothing tells that growth would be of no use */
	assert_int_equal(filemap_alloc_slice(map, &cursor, 8, &bytes, &error), FILEMAP_ERANGE);
	assert_string_equal(error.subject, "length");
	assert_int_equal(t_file_size(t_path(*state, "file")), 64);
	assert_int_equal(cursor, 56);
	assert_ok(filemap_alloc_slice(map, &cursor, 0, &bytes, NULL));
	filemap_close(map);
}

static void cursor_that_cannot_be_is_refused(void **state)
{
	const size_t wrong[] = {1, 4, 60, 72, SIZE_MAX, SIZE_MAX - 7};
	struct filemap *map = create_sized(state, 64);

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct filemap_error error;
		size_t cursor = wrong[i], length = 77;
		void *bytes = &error;
		const void *next = &error;
		assert_int_equal(filemap_alloc_slice(map, &cursor, 1, &bytes, &error), FILEMAP_ERANGE);
		assert_string_equal(error.subject, "cursor");
		assert_int_equal(filemap_next_slice(map, &cursor, &next, &length), FILEMAP_ERANGE);
		assert_true(cursor == wrong[i] && bytes == &error && next == &error && length == 77);
	}
	assert_int_equal(t_file_size(t_path(*state, "file")), 64);
	assert_no_more(map, 0);
	filemap_close(map);
}

static void size_that_cannot_be_is_refused(void **state)
{
	const size_t wrong[] = {SIZE_MAX,      SIZE_MAX - 7,  SIZE_MAX - 8,
				SIZE_MAX - 16, SIZE_MAX - 64, SIZE_MAX / 2};
	struct filemap *map = create_sized(state, 64);

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct filemap_error error;
		size_t cursor = 8;
		void *bytes = &error;
		assert_int_equal(filemap_alloc_slice(map, &cursor, wrong[i], &bytes, &error), FILEMAP_ERANGE);
		assert_int_equal(error.code, FILEMAP_ERANGE);
		assert_non_null(error.step);
		assert_true(cursor == 8 && bytes == &error);
	}
	assert_int_equal(t_file_size(t_path(*state, "file")), 64);
	assert_no_more(map, 8);
	filemap_close(map);
}

static void mapping_that_cannot_be_written_or_grown_is_refused(void **state)
{
	struct filemap_error error;
	struct filemap *map = create_sized(state, 16);
	size_t cursor = 0;
	void *bytes = &error;

	filemap_close(map);
	assert_ok(filemap_open(t_path(*state, "file"), FILEMAP_READ, NULL, &map, NULL));
	assert_int_equal(filemap_alloc_slice(map, &cursor, 1, &bytes, &error), FILEMAP_EMODE);
	assert_int_equal(error.code, FILEMAP_EMODE);
	assert_int_equal(cursor, 0);
	assert_ptr_equal(bytes, &error);
	filemap_close(map);
}

static int fill_a_limited_disk(void *context)
{
	const struct rlimit limit = {12288, 12288};
	struct filemap_error error;
	struct filemap *map;
	size_t cursor = 8192;
	void *bytes = NULL;

	if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
		return 1;
	if (filemap_open(context, FILEMAP_WRITE, NULL, &map, NULL) < 0)
		return 2;
	if (filemap_alloc_slice(map, &cursor, 4000, &bytes, &error) < 0) /* twice as much is too much */
		return 3;
	if (filemap_size(map) != 8192 + 4008 || cursor != 8192 + 4008)
		return 4;
	if (filemap_alloc_slice(map, &cursor, 100, &bytes, &error) != -EFBIG || error.code != -EFBIG)
		return 5;
	if (filemap_size(map) != 8192 + 4008 || cursor != 8192 + 4008)
		return 6;
	filemap_close(map);
	return 0;
}

static void what_the_disk_has_left_is_used(void **state)
{
	const char *path = t_path(*state, "file");
	struct filemap *map = create_sized(state, 8192);

	filemap_close(map);
	assert_int_equal(t_in_child(fill_a_limited_disk, (void *)path), 0);
	assert_int_equal(t_file_size(path), 8192 + 4008);
}

static void damaged_rows_are_told(void **state)
{
	struct filemap *map = create_sized(state, 36);
	size_t cursor = 0, length;
	const void *bytes;
	static const uint64_t words[] = {22, 30, 1000, UINT64_MAX, UINT64_MAX - 7, UINT64_C(1) << 32};

	put(map, &cursor, "");
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		assert_ok(filemap_write_u64le(map, 8, words[i]));
		assert_int_equal(filemap_next_slice(map, &cursor, &bytes, &length), FILEMAP_ECORRUPT);
		assert_int_equal(cursor, 8);
	}
	assert_ok(filemap_write_u64le(map, 8, 16 + 1)); /* up to 32: the last that fits */
	assert_int_equal(filemap_next_slice(map, &cursor, &bytes, &length), 1);
	assert_int_equal(cursor, 32);
	assert_no_more(map, cursor);
	assert_ok(filemap_write_u8(map, 33, 1)); /* a length word that was cut */
	assert_int_equal(filemap_next_slice(map, &cursor, &bytes, &length), FILEMAP_ECORRUPT);
	filemap_close(map);
}

static void padding_behind_the_window_is_damage(void **state)
{
	struct filemap *map = create_sized(state, 16);
	size_t cursor = 0, length;
	const void *bytes;

	put(map, &cursor, "12345");
	assert_ok(filemap_resize(map, 14, NULL));
	cursor = 0;
	assert_int_equal(filemap_next_slice(map, &cursor, &bytes, &length), FILEMAP_ECORRUPT);
	filemap_close(map);
}

static void window_follows_a_file_that_another_one_grew(void **state)
{
	struct filemap *map = create_sized(state, 16), *other = NULL;
	size_t cursor = 0;

	assert_ok(filemap_window(map, FILEMAP_WRITE, 0, 0, &other, NULL));
	put(map, &cursor, "12345678");
	assert_ok(filemap_resize(other, 4096, NULL));
	assert_int_equal(filemap_size(map), 16);
	put(map, &cursor, "behind");
	assert_int_equal(filemap_size(map), 4096); /* there was room: nothing had to grow */
	assert_int_equal(t_file_size(t_path(*state, "file")), 4096);
	filemap_close(other);
	cursor = 0;
	assert_next(map, &cursor, "12345678");
	assert_next(map, &cursor, "behind");
	filemap_close(map);
}

static void memory_holds_slices_like_a_file(void **state)
{
	struct filemap *map = NULL;
	size_t cursor = 0;
	(void)state;

	assert_ok(filemap_anonymous(0, NULL, &map, NULL));
	put(map, &cursor, "one");
	put(map, &cursor, "two");
	put(map, &cursor, "a longer one that needs more room than there was");
	assert_true(filemap_size(map) >= cursor);
	cursor = 0;
	assert_next(map, &cursor, "one");
	assert_next(map, &cursor, "two");
	assert_next(map, &cursor, "a longer one that needs more room than there was");
	filemap_close(map);
}

static void private_copy_takes_slices_but_does_not_grow(void **state)
{
	struct filemap_error error;
	struct filemap *map = create_sized(state, 32);
	size_t cursor = 0;
	void *bytes;

	filemap_close(map);
	assert_ok(filemap_open(t_path(*state, "file"), FILEMAP_COW, NULL, &map, NULL));
	put(map, &cursor, "12345678");
	assert_int_equal(filemap_alloc_slice(map, &cursor, 9, &bytes, &error), FILEMAP_EMODE);
	assert_int_equal(error.code, FILEMAP_EMODE);
	assert_int_equal(cursor, 16);
	assert_int_equal(t_file_size(t_path(*state, "file")), 32);
	put(map, &cursor, "87654321");
	filemap_close(map);
}

static void poisoned_mapping_has_no_slices(void **state)
{
	struct filemap_error error;
	struct filemap *map = create_sized(state, 32);
	size_t cursor = 0, length = 77;
	void *bytes = &error;
	const void *next = &error;

	fm__filemap_poison(map, -EIO);
	assert_int_equal(filemap_alloc_slice(map, &cursor, 1, &bytes, &error), FILEMAP_EPOISONED);
	assert_int_equal(filemap_next_slice(map, &cursor, &next, &length), FILEMAP_EPOISONED);
	assert_true(cursor == 0 && bytes == &error && next == &error && length == 77);
	filemap_close(map);
}

/* Others made the file longer than the reserve: what the reserve holds of it is room all the same. */
static void room_that_others_made_beyond_the_reserve_is_used(void **state)
{
	const char *path = t_path(*state, "outgrown");
	struct filemap *map;
	size_t cursor = 0;
	void *slice;
	t_write_file(path, "", 0);
	assert_ok(truncate(path, 4096));
	assert_ok(filemap_open(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.reserve = 65536), &map, NULL));
	assert_ok(truncate(path, 1 << 20));
	assert_ok(filemap_alloc_slice(map, &cursor, 5000, &slice, NULL));
	memset(slice, 'x', 5000);
	assert_int_equal(filemap_size(map), 65536);
	assert_int_equal(filemap_alloc_slice(map, &cursor, 65536, &slice, NULL), FILEMAP_ERANGE);
	filemap_close(map);
}

T_MAIN(T_TEST(room_that_others_made_beyond_the_reserve_is_used), T_TEST(slice_is_length_bytes_and_padding),
       T_TEST(slices_come_back_after_reopening), T_TEST(row_without_room_for_another_word_is_at_its_end),
       T_TEST(full_file_is_doubled), T_TEST(empty_file_grows_by_what_is_needed),
       T_TEST(thousands_of_slices_grow_a_file_and_come_back), T_TEST(window_at_an_offset_doubles_the_file),
       T_TEST(reserve_that_cannot_hold_double_holds_what_is_needed),
       T_TEST(window_of_its_own_length_does_not_grow_the_file), T_TEST(cursor_that_cannot_be_is_refused),
       T_TEST(size_that_cannot_be_is_refused), T_TEST(mapping_that_cannot_be_written_or_grown_is_refused),
       T_TEST(what_the_disk_has_left_is_used), T_TEST(damaged_rows_are_told),
       T_TEST(padding_behind_the_window_is_damage), T_TEST(window_follows_a_file_that_another_one_grew),
       T_TEST(memory_holds_slices_like_a_file), T_TEST(private_copy_takes_slices_but_does_not_grow),
       T_TEST(poisoned_mapping_has_no_slices))
