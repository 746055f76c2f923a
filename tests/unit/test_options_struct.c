/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The rules of sized options structs: none, shorter, longer, older than the first release. */
#include "t.h"

#include "base/options.h"

struct first {
	uint32_t struct_size, a;
};

struct known {
	uint32_t struct_size, a;
	uint64_t b;
};

struct future {
	uint32_t struct_size, a;
	uint64_t b, c;
	unsigned char d[3];
};

static int read_options(struct known *to, const void *from, struct filemap_error *reterr)
{
	memset(to, 0xAA, sizeof *to);
	return fm__options_read(to, sizeof *to, from, sizeof(struct first), reterr);
}

static void assert_refused(const void *from, int expected)
{
	struct known to, untouched;
	struct filemap_error error;

	memset(&untouched, 0xAA, sizeof untouched);
	assert_int_equal(read_options(&to, from, &error), expected);
	assert_int_equal(error.code, expected);
	assert_string_equal(error.step, "check options");
	assert_string_equal(error.subject, "struct_size");
	assert_memory_equal(&to, &untouched, sizeof to);
	assert_int_equal(read_options(&to, from, NULL), expected);
}

static void no_options_are_all_zero(void **state)
{
	struct known to;
	(void)state;

	assert_ok(read_options(&to, NULL, NULL));
	assert_int_equal(to.struct_size, sizeof to);
	assert_true(to.a == 0 && to.b == 0);
}

static void options_of_this_version_are_copied(void **state)
{
	const struct known from = {.struct_size = sizeof from, .a = 5, .b = 6};
	struct known to;
	(void)state;

	assert_ok(read_options(&to, &from, NULL));
	assert_memory_equal(&to, &from, sizeof to);
}

static void shorter_options_get_a_zero_tail(void **state)
{
	/* Allocated to the byte: reading beyond it is an error under valgrind and ASan. */
	struct first *from = malloc(sizeof *from);
	struct known to;
	(void)state;

	assert_non_null(from);
	*from = (struct first){.struct_size = sizeof *from, .a = 5};
	assert_ok(read_options(&to, from, NULL));
	assert_int_equal(to.struct_size, sizeof to);
	assert_true(to.a == 5 && to.b == 0);
	free(from);
}

static void options_shorter_than_the_first_release_are_refused(void **state)
{
	struct first from = {.struct_size = 0, .a = 5};
	(void)state;

	assert_refused(&from, FILEMAP_EOPTION);
	from.struct_size = sizeof from - 1;
	assert_refused(&from, FILEMAP_EOPTION);
}

static void longer_options_with_a_zero_tail_are_taken(void **state)
{
	struct future from = {.struct_size = sizeof from, .a = 5, .b = 6};
	struct known to;
	(void)state;

	assert_ok(read_options(&to, &from, NULL));
	assert_int_equal(to.struct_size, sizeof to);
	assert_true(to.a == 5 && to.b == 6);
}

static void longer_options_with_anything_in_the_tail_are_refused(void **state)
{
	struct future from = {.struct_size = sizeof from, .c = 1};
	(void)state;

	assert_refused(&from, FILEMAP_EVERSION);
	from.c = 0;
	from.d[2] = 1;
	assert_refused(&from, FILEMAP_EVERSION);
	from.struct_size = offsetof(struct future, d) + 2; /* the set byte lies behind the struct */
	struct known to;
	assert_ok(read_options(&to, &from, NULL));
}

static void an_absurd_size_is_refused_without_reading_that_far(void **state)
{
	const struct first from = {.struct_size = UINT32_MAX};
	(void)state;

	assert_refused(&from, FILEMAP_EOPTION);
}

static void refuse_names_the_field_and_the_way_out(void **state)
{
	struct filemap_error error;
	(void)state;

	assert_int_equal(fm__options_refuse(&error, "depth", "at most 4096"), FILEMAP_EOPTION);
	assert_string_equal(error.subject, "depth");
	assert_string_equal(error.hint, "at most 4096");
	assert_int_equal(error.sys_errno, 0);
}

T_MAIN(T_PLAIN(no_options_are_all_zero), T_PLAIN(options_of_this_version_are_copied),
       T_PLAIN(shorter_options_get_a_zero_tail), T_PLAIN(options_shorter_than_the_first_release_are_refused),
       T_PLAIN(longer_options_with_a_zero_tail_are_taken),
       T_PLAIN(longer_options_with_anything_in_the_tail_are_refused),
       T_PLAIN(an_absurd_size_is_refused_without_reading_that_far),
       T_PLAIN(refuse_names_the_field_and_the_way_out))
