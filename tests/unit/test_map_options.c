/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Validation of open's options: each refusal names its field. The path does not exist: nobody looks. */
#include "t.h"

#include <filemap/filemap.h>

#include "base/util.h"
#include "map/options.h"

#define CREATE_SIZED .flags = FILEMAP_CREATE, .size = 1

static int refused_code;

static const char *refused(unsigned mode, const struct filemap_options *options)
{
	struct filemap_error error = {0};
	struct fm__plan plan;
	refused_code = fm__plan_make("missing", mode, options, &plan, &error);
	if (refused_code == 0)
		return "accepted";
	assert_int_equal(error.code, refused_code);
	assert_string_equal(error.step, "check options");
	return error.subject;
}

static void no_options_are_the_defaults(void **state)
{
	struct fm__plan plan;
	(void)state;
	assert_ok(fm__plan_make("x", FILEMAP_READ, NULL, &plan, NULL));
	assert_int_equal(plan.window.length, FM_WINDOW_FOLLOWS);
	assert_int_equal(plan.lock_family, FILEMAP_LOCK_FLOCK);
	assert_int_equal(plan.permissions, 0666);
	assert_int_equal(plan.lock_wait_ms, 0);
}

static void length_zero_and_to_end_mean_the_same(void **state)
{
	struct fm__plan plan;
	(void)state;
	assert_ok(fm__plan_make("x", FILEMAP_READ, FILEMAP_OPTIONS(.length = FILEMAP_TO_END), &plan, NULL));
	assert_int_equal(plan.window.length, FM_WINDOW_FOLLOWS);
	assert_ok(fm__plan_make("x", FILEMAP_READ, FILEMAP_OPTIONS(.flags = FILEMAP_EMPTY), &plan, NULL));
	assert_int_equal(plan.window.length, 0);
}

static void mode_that_is_not_exactly_one_is_refused(void **state)
{
	const unsigned modes[] = {0, 2, 4, 16, FILEMAP_READ | FILEMAP_WRITE, ~0u};
	(void)state;
	for (size_t i = 0; i < FM_ARRAY_SIZE(modes); i++)
		assert_string_equal(refused(modes[i], NULL), "mode");
	assert_int_equal(refused_code, FILEMAP_EOPTION);
}

static void path_is_needed(void **state)
{
	struct filemap_error error;
	struct fm__plan plan;
	(void)state;
	assert_int_equal(fm__plan_make(NULL, FILEMAP_READ, NULL, &plan, &error), FILEMAP_EOPTION);
	assert_string_equal(error.subject, "path");
	assert_int_equal(fm__plan_make("", FILEMAP_READ, NULL, &plan, &error), FILEMAP_EOPTION);
}

static void unknown_flags_are_refused(void **state)
{
	(void)state;
	for (int bit = 9; bit < 32; bit++)
		assert_string_equal(refused(FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = UINT32_C(1) << bit)),
				    "flags");
	assert_int_equal(refused_code, FILEMAP_EOPTION);
}

static void read_refuses_what_only_a_writer_can_do(void **state)
{
	const uint32_t flags[] = {FILEMAP_CREATE, FILEMAP_CREATE_NEW, FILEMAP_TRUNCATE, FILEMAP_SPARSE,
				  FILEMAP_CREATE | FILEMAP_NO_DURABLE_NAME};
	(void)state;
	for (size_t i = 0; i < FM_ARRAY_SIZE(flags); i++)
		assert_string_equal(refused(FILEMAP_READ, FILEMAP_OPTIONS(.flags = flags[i])), "flags");
	assert_string_equal(refused(FILEMAP_READ, FILEMAP_OPTIONS(.size = 1)), "size");
	assert_int_equal(refused_code, FILEMAP_EOPTION);
}

static void contradictions_and_the_useless_are_refused(void **state)
{
	const uint32_t flags[] = {FILEMAP_CREATE | FILEMAP_CREATE_NEW, FILEMAP_CREATE_NEW | FILEMAP_TRUNCATE,
				  FILEMAP_NO_DURABLE_NAME};
	(void)state;
	for (size_t i = 0; i < FM_ARRAY_SIZE(flags); i++)
		assert_string_equal(refused(FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = flags[i])), "flags");
	assert_string_equal(refused(FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_EMPTY, .length = 1)),
			    "length");
	assert_string_equal(refused(FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_EMPTY, .reserve = 1)),
			    "reserve");
	assert_string_equal(refused(FILEMAP_WRITE, FILEMAP_OPTIONS(.permissions = 0600)), "permissions");
	assert_string_equal(refused(FILEMAP_WRITE, FILEMAP_OPTIONS(CREATE_SIZED, .permissions = 010000)),
			    "permissions");
	assert_string_equal(refused(FILEMAP_WRITE, FILEMAP_OPTIONS(CREATE_SIZED, .permissions = 0600)),
			    "accepted");
}

static void lock_options_are_checked(void **state)
{
	(void)state;
	assert_string_equal(refused(FILEMAP_READ, FILEMAP_OPTIONS(.lock_family = 4)), "lock_family");
	assert_string_equal(
		refused(FILEMAP_READ, FILEMAP_OPTIONS(.lock_family = FILEMAP_LOCK_NONE, .lock_wait_ms = 1)),
		"lock_wait_ms");
	assert_string_equal(refused(FILEMAP_READ, FILEMAP_OPTIONS(.lock_family = FILEMAP_LOCK_NONE,
								  .flags = FILEMAP_LOCK_IF_SUPPORTED)),
			    "flags");
	assert_string_equal(refused(FILEMAP_READ, FILEMAP_OPTIONS(.lock_family = FILEMAP_LOCK_NONE)),
			    "accepted");
}

static void on_remove_of_nobody(void *context, int result, const struct filemap_error *error)
{
	(void)context;
	(void)result;
	(void)error;
}

static void fields_without_meaning_must_be_zero(void **state)
{
	int context;
	(void)state;
	assert_string_equal(refused(FILEMAP_READ, FILEMAP_OPTIONS(.sharing = 1)), "sharing");
	assert_string_equal(refused(FILEMAP_READ, FILEMAP_OPTIONS(.advice = 1)), "advice");
	assert_string_equal(refused(FILEMAP_READ, FILEMAP_OPTIONS(.reserved = 1)), "reserved");
	assert_string_equal(refused(FILEMAP_READ, FILEMAP_OPTIONS(.label = "x")), "label");
	assert_string_equal(refused(FILEMAP_READ, FILEMAP_OPTIONS(.on_remove = on_remove_of_nobody)),
			    "on_remove");
	assert_string_equal(refused(FILEMAP_READ, FILEMAP_OPTIONS(.on_remove_context = &context)),
			    "on_remove_context");
}

static void numbers_that_no_file_can_have_are_out_of_range(void **state)
{
	(void)state;
	assert_string_equal(refused(FILEMAP_READ, FILEMAP_OPTIONS(.offset = FM_FILE_MAX + 1)), "offset");
	assert_int_equal(refused_code, FILEMAP_ERANGE);
	assert_string_equal(
		refused(FILEMAP_READ, FILEMAP_OPTIONS(.offset = 4096, .length = UINT64_MAX - 4096)),
		"length");
	assert_int_equal(refused_code, FILEMAP_ERANGE);
	assert_string_equal(refused(FILEMAP_READ, FILEMAP_OPTIONS(.offset = 2, .length = FM_FILE_MAX - 1)),
			    "length");
	assert_string_equal(refused(FILEMAP_READ, FILEMAP_OPTIONS(.offset = 2, .reserve = FM_FILE_MAX - 1)),
			    "reserve");
	assert_string_equal(refused(FILEMAP_WRITE, FILEMAP_OPTIONS(.size = FM_FILE_MAX + 1)), "size");
	assert_int_equal(refused_code, FILEMAP_ERANGE);
}

static void struct_of_another_version_is_judged_by_its_size(void **state)
{
	struct {
		struct filemap_options known;
		uint64_t future;
	} longer = {{.struct_size = sizeof longer}, 0};
	struct filemap_options shorter = {.struct_size = sizeof shorter - 8}, unset = {0};
	(void)state;
	assert_string_equal(refused(FILEMAP_READ, &shorter), "struct_size");
	assert_int_equal(refused_code, FILEMAP_EOPTION);
	assert_string_equal(refused(FILEMAP_READ, &unset), "struct_size");
	assert_string_equal(refused(FILEMAP_READ, &longer.known), "accepted");
	longer.future = 1;
	assert_string_equal(refused(FILEMAP_READ, &longer.known), "struct_size");
	assert_int_equal(refused_code, FILEMAP_EVERSION);
}

static void init_makes_the_defaults(void **state)
{
	struct filemap_options options;
	(void)state;
	memset(&options, 0xA5, sizeof options);
	filemap_options_init(&options, sizeof options);
	assert_int_equal(options.struct_size, sizeof options);
	assert_string_equal(refused(FILEMAP_READ, &options), "accepted");
	filemap_options_init(NULL, sizeof options);
}

static void open_refuses_before_it_looks(void **state)
{
	struct filemap *map = NULL;
	struct filemap_error error;
	(void)state;
	assert_int_equal(
		filemap_open("/nowhere/at/all", FILEMAP_READ, FILEMAP_OPTIONS(.reserved = 7), &map, &error),
		FILEMAP_EOPTION);
	assert_string_equal(error.subject, "reserved");
	assert_int_equal(filemap_open("/nowhere/at/all", FILEMAP_READ, NULL, NULL, &error), FILEMAP_EOPTION);
	assert_string_equal(error.subject, "ret_map");
	assert_null(map);
}

T_MAIN(T_PLAIN(no_options_are_the_defaults), T_PLAIN(length_zero_and_to_end_mean_the_same),
       T_PLAIN(mode_that_is_not_exactly_one_is_refused), T_PLAIN(path_is_needed),
       T_PLAIN(unknown_flags_are_refused), T_PLAIN(read_refuses_what_only_a_writer_can_do),
       T_PLAIN(contradictions_and_the_useless_are_refused), T_PLAIN(lock_options_are_checked),
       T_PLAIN(fields_without_meaning_must_be_zero), T_PLAIN(numbers_that_no_file_can_have_are_out_of_range),
       T_PLAIN(struct_of_another_version_is_judged_by_its_size), T_PLAIN(init_makes_the_defaults),
       T_PLAIN(open_refuses_before_it_looks))
