/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Mappings as stdio streams: what stdio sees at the edges, and who holds the window. */
#include "t.h"

#include <errno.h>

#include <filemap/filemap.h>

#include "map/private.h"

static struct filemap *open_text(void **state, unsigned mode, const char *text)
{
	struct filemap *map = NULL;
	t_write_file(t_path(*state, "file"), text, strlen(text));
	assert_ok(filemap_open(t_path(*state, "file"), mode, NULL, &map, NULL));
	return map;
}

static FILE *stream_of(struct filemap *map, const char *mode)
{
	FILE *stream = NULL;
	assert_ok(filemap_fopen(map, mode, &stream));
	assert_non_null(stream);
	return stream;
}

static void stream_reads_lines_and_numbers(void **state)
{
	struct filemap *map = open_text(state, FILEMAP_READ, "first line\n12 0x1f\nlast");
	FILE *stream = stream_of(map, "r");
	char line[64];
	int a, b;

	assert_non_null(fgets(line, sizeof line, stream));
	assert_string_equal(line, "first line\n");
	assert_int_equal(fscanf(stream, "%d %x\n", &a, (unsigned *)&b), 2);
	assert_int_equal(a + b, 12 + 0x1f);
	assert_non_null(fgets(line, sizeof line, stream));
	assert_string_equal(line, "last");
	assert_null(fgets(line, sizeof line, stream));
	assert_true(feof(stream) && !ferror(stream));
	assert_ok(fclose(stream));
	filemap_close(map);
}

static void stream_reads_more_than_its_buffer(void **state)
{
	enum { SIZE = 100000 };
	static unsigned char bytes[SIZE], got[SIZE + 1];
	struct filemap *map = NULL;
	FILE *stream;

	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = (unsigned char)(i * 7 + i / 251);
	t_write_file(t_path(*state, "file"), bytes, SIZE);
	assert_ok(filemap_open(t_path(*state, "file"), FILEMAP_READ, NULL, &map, NULL));
	stream = stream_of(map, "rb");
	assert_int_equal(fread(got, 1, sizeof got, stream), SIZE);
	assert_memory_equal(got, bytes, SIZE);
	assert_true(feof(stream));
	assert_ok(fclose(stream));
	filemap_close(map);
}

static void seek_counts_from_start_position_and_end(void **state)
{
	struct filemap *map = open_text(state, FILEMAP_READ, "0123456789");
	FILE *stream = stream_of(map, "r");

	assert_ok(fseek(stream, 4, SEEK_SET));
	assert_int_equal(fgetc(stream), '4');
	assert_ok(fseek(stream, 2, SEEK_CUR));
	assert_int_equal(fgetc(stream), '7');
	assert_ok(fseek(stream, -1, SEEK_END));
	assert_int_equal(ftell(stream), 9);
	assert_int_equal(fgetc(stream), '9');
	assert_int_equal(fgetc(stream), EOF);
	assert_ok(fseek(stream, 100, SEEK_SET)); /* behind the end there is nothing to read */
	assert_int_equal(ftell(stream), 100);
	assert_int_equal(fgetc(stream), EOF);
	errno = 0;
	assert_int_equal(fseek(stream, -11, SEEK_END), -1);
	assert_int_equal(errno, EINVAL);
	rewind(stream);
	assert_int_equal(fgetc(stream), '0');
	assert_ok(fclose(stream));
	filemap_close(map);
}

static void what_is_written_is_stored_when_flushed(void **state)
{
	struct filemap *map = open_text(state, FILEMAP_WRITE, "0123456789");
	FILE *stream = stream_of(map, "r+");

	assert_int_equal(fprintf(stream, "%03d", 42), 3);
	assert_memory_equal(filemap_data(map), "0123456789", 10);
	assert_ok(fflush(stream));
	assert_memory_equal(filemap_data(map), "0423456789", 10);
	assert_int_equal(fgetc(stream), '3');
	assert_ok(fseek(stream, 0, SEEK_CUR));
	assert_int_equal(fputc('x', stream), 'x');
	assert_ok(fclose(stream));
	assert_memory_equal(filemap_data(map), "0423x56789", 10);
	filemap_close(map);
}

static void writing_behind_the_end_is_enospc(void **state)
{
	struct filemap *map = open_text(state, FILEMAP_WRITE, "0123456789");
	FILE *stream = stream_of(map, "r+");

	assert_ok(fseek(stream, 7, SEEK_SET));
	assert_int_equal(fwrite("abcdef", 1, 6, stream), 6); /* into the buffer */
	errno = 0;
	assert_int_equal(fflush(stream), EOF);
	assert_int_equal(errno, ENOSPC);
	assert_true(ferror(stream));
	assert_memory_equal(filemap_data(map), "0123456abc", 10);
	clearerr(stream);
	assert_ok(fseek(stream, 50, SEEK_SET));
	assert_int_equal(fputc('y', stream), 'y');
	errno = 0;
	assert_int_equal(fclose(stream), EOF);
	assert_int_equal(errno, ENOSPC);
	assert_memory_equal(filemap_data(map), "0123456abc", 10);
	assert_int_equal(filemap_size(map), 10);
	filemap_close(map);
	assert_int_equal(t_file_size(t_path(*state, "file")), 10);
}

static void unbuffered_write_is_short_at_the_end(void **state)
{
	struct filemap *map = open_text(state, FILEMAP_WRITE, "0123456789");
	FILE *stream = stream_of(map, "r+");

	setbuf(stream, NULL);
	assert_ok(fseek(stream, 7, SEEK_SET));
	errno = 0;
	assert_int_equal(fwrite("abcdef", 1, 6, stream), 3);
	assert_int_equal(errno, ENOSPC);
	assert_memory_equal(filemap_data(map), "0123456abc", 10);
	fclose(stream);
	filemap_close(map);
}

static void reading_stream_cannot_write(void **state)
{
	struct filemap *map = open_text(state, FILEMAP_WRITE, "0123");
	FILE *stream = stream_of(map, "r");

	assert_int_equal(fputc('x', stream), EOF);
	assert_true(ferror(stream));
	assert_ok(fclose(stream));
	assert_memory_equal(filemap_data(map), "0123", 4);
	filemap_close(map);
}

static void only_the_listed_modes_are_taken(void **state)
{
	static const char *const good[] = {"r",   "rb",  "re",   "r+",   "r+b",
					   "rb+", "reb", "r+be", "re+b", "rbe+"};
	static const char *const bad[] = {"",    "w",   "w+",  "a",    "+r", "br", "rr", "rw",
					  "r+w", "r++", "rbb", "reeb", "r ", "R",  "rx", "r,ccs=UTF-8"};
	struct filemap *map = open_text(state, FILEMAP_WRITE, "0123");
	FILE *stream;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		stream = stream_of(map, good[i]);
		assert_int_equal(fgetc(stream), '0');
		assert_true((fputc('0', stream) == '0') == (strchr(good[i], '+') != NULL));
		fclose(stream);
	}
	stream = stdin;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(filemap_fopen(map, bad[i], &stream), FILEMAP_EOPTION);
	assert_int_equal(filemap_fopen(map, NULL, &stream), FILEMAP_EOPTION);
	assert_ptr_equal(stream, stdin);
	filemap_close(map);
}

static void writing_stream_needs_a_writable_mapping(void **state)
{
	struct filemap *map = open_text(state, FILEMAP_READ, "0123");
	FILE *stream = stdin;

	assert_int_equal(filemap_fopen(map, "r+", &stream), FILEMAP_EMODE);
	assert_ptr_equal(stream, stdin);
	filemap_close(map); /* the census finds a pin that stayed out */
}

static void empty_mapping_is_an_empty_stream(void **state)
{
	struct filemap *map = open_text(state, FILEMAP_WRITE, "");
	FILE *stream = stream_of(map, "r+");

	assert_int_equal(fgetc(stream), EOF);
	assert_ok(fseek(stream, 0, SEEK_SET));
	assert_int_equal(fputc('x', stream), 'x');
	assert_int_equal(fflush(stream), EOF);
	fclose(stream);
	filemap_close(map);
}

static void stream_keeps_the_window_after_close(void **state)
{
	struct t_dir *dir = *state;
	struct filemap *map = open_text(state, FILEMAP_WRITE, "0123456789");
	FILE *stream = stream_of(map, "r+");
	char bytes[11] = "";

	filemap_close(map);
	assert_true(t_census_take(dir->path).mappings > dir->before.mappings);
	assert_int_equal(fputs("abc", stream), 1);
	assert_ok(fseek(stream, 0, SEEK_SET));
	assert_int_equal(fread(bytes, 1, 10, stream), 10);
	assert_string_equal(bytes, "abc3456789");
	assert_ok(fclose(stream));
	t_census_same(dir);
	assert_int_equal(t_read_file(t_path(*state, "file"), bytes, 10), 10);
	assert_string_equal(bytes, "abc3456789");
}

static void mapping_with_a_stream_does_not_shrink(void **state)
{
	struct filemap *map = open_text(state, FILEMAP_WRITE, "0123456789");
	FILE *a = stream_of(map, "r"), *b = stream_of(map, "r");

	assert_int_equal(filemap_resize(map, 5, NULL), FILEMAP_EBUSY);
	assert_ok(fclose(a));
	assert_int_equal(filemap_resize(map, 5, NULL), FILEMAP_EBUSY);
	assert_ok(fclose(b));
	assert_ok(filemap_resize(map, 5, NULL));
	filemap_close(map);
}

static void pinned_mapping_does_not_grow_for_a_slice(void **state)
{
	struct filemap_error error;
	struct filemap *map = open_text(state, FILEMAP_WRITE, "");
	FILE *stream;
	size_t cursor = 0;
	void *bytes = &error;

	assert_ok(filemap_alloc_slice(map, &cursor, 4088, &bytes, NULL));
	stream = stream_of(map, "r");
	bytes = &error;
	/* far more than what could grow in place */
	assert_int_equal(filemap_alloc_slice(map, &cursor, 1 << 20, &bytes, &error), FILEMAP_EBUSY);
	assert_int_equal(error.code, FILEMAP_EBUSY);
	assert_int_equal(cursor, 4096);
	assert_ptr_equal(bytes, &error);
	assert_int_equal(t_file_size(t_path(*state, "file")), 4096);
	assert_ok(fclose(stream));
	assert_ok(filemap_alloc_slice(map, &cursor, 1 << 20, &bytes, &error));
	filemap_close(map);
}

static void poisoned_mapping_has_no_stream(void **state)
{
	struct filemap *map = open_text(state, FILEMAP_WRITE, "0123");
	FILE *before = stream_of(map, "r+"), *after = stdin;

	fm__filemap_poison(map, -EIO);
	assert_int_equal(filemap_fopen(map, "r", &after), FILEMAP_EPOISONED);
	assert_ptr_equal(after, stdin);
	errno = 0;
	assert_int_equal(fgetc(before), EOF);
	assert_int_equal(errno, EIO);
	assert_true(ferror(before));
	fclose(before);
	filemap_close(map);
}

T_MAIN(T_TEST(stream_reads_lines_and_numbers), T_TEST(stream_reads_more_than_its_buffer),
       T_TEST(seek_counts_from_start_position_and_end), T_TEST(what_is_written_is_stored_when_flushed),
       T_TEST(writing_behind_the_end_is_enospc), T_TEST(unbuffered_write_is_short_at_the_end),
       T_TEST(reading_stream_cannot_write), T_TEST(only_the_listed_modes_are_taken),
       T_TEST(writing_stream_needs_a_writable_mapping), T_TEST(empty_mapping_is_an_empty_stream),
       T_TEST(stream_keeps_the_window_after_close), T_TEST(mapping_with_a_stream_does_not_shrink),
       T_TEST(pinned_mapping_does_not_grow_for_a_slice), T_TEST(poisoned_mapping_has_no_stream))
