/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Validation of open's options: each refusal names its field. The path does not exist: nobody looks. */
#include "t.h"

#include <fcntl.h>

#include <filemap/filemap.h>

#include "base/util.h"
#include "map/options.h"

#define CREATE_SIZED .flags = FILEMAP_CREATE, .size = 1

static int refused_code;

static const char *refused(unsigned mode, const struct filemap_options *options)
{
	struct filemap_error error = {0};
	struct fm__plan plan;
	refused_code = fm__plan_named(AT_FDCWD, "missing", mode, options, &plan, &error);
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
	assert_ok(fm__plan_named(AT_FDCWD, "x", FILEMAP_READ, NULL, &plan, NULL));
	assert_int_equal(plan.window.length, FM_WINDOW_FOLLOWS);
	assert_int_equal(plan.lock_family, FILEMAP_LOCK_FLOCK);
	assert_int_equal(plan.permissions, 0666);
	assert_int_equal(plan.lock_wait_ms, 0);
}

static void length_zero_and_to_end_mean_the_same(void **state)
{
	struct fm__plan plan;
	(void)state;
	assert_ok(fm__plan_named(AT_FDCWD, "x", FILEMAP_READ, FILEMAP_OPTIONS(.length = FILEMAP_TO_END),
				 &plan, NULL));
	assert_int_equal(plan.window.length, FM_WINDOW_FOLLOWS);
	assert_ok(fm__plan_named(AT_FDCWD, "x", FILEMAP_READ, FILEMAP_OPTIONS(.flags = FILEMAP_EMPTY), &plan,
				 NULL));
	assert_int_equal(plan.window.length, 0);
}

static void mode_that_is_not_exactly_one_is_refused(void **state)
{
	const unsigned modes[] = {0,  3, 5, 6, 16, FILEMAP_READ | FILEMAP_WRITE, FILEMAP_EXEC | FILEMAP_WRITE,
				  ~0u};
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
	assert_int_equal(fm__plan_named(AT_FDCWD, NULL, FILEMAP_READ, NULL, &plan, &error), FILEMAP_EOPTION);
	assert_string_equal(error.subject, "path");
	assert_int_equal(fm__plan_named(AT_FDCWD, "", FILEMAP_READ, NULL, &plan, &error), FILEMAP_EOPTION);
}

static void unknown_flags_are_refused(void **state)
{
	(void)state;
	for (int bit = 20; bit < 32; bit++)
		assert_string_equal(refused(FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = UINT32_C(1) << bit)),
				    "flags");
	assert_int_equal(refused_code, FILEMAP_EOPTION);
}

/* What FILEMAP_OPTIONS says of each flag, in the letters of the header: r READ and EXEC, c COW, w WRITE, by
 * name; R, C, W by descriptor; m private memory, s a memory file. Companions make a flag pass other checks. */
static const struct {
	uint32_t flag;
	const char *name, *kinds;
	uint32_t companion;
} documented[] = {
	{FILEMAP_CREATE, "CREATE", "w", 0},
	{FILEMAP_CREATE_NEW, "CREATE_NEW", "w", 0},
	{FILEMAP_TRUNCATE, "TRUNCATE", "wW", 0},
	{FILEMAP_SPARSE, "SPARSE", "wW", 0},
	{FILEMAP_EMPTY, "EMPTY", "rcwRCW", 0},
	{FILEMAP_NOFOLLOW, "NOFOLLOW", "rcw", 0},
	{FILEMAP_NO_DURABLE_NAME, "NO_DURABLE_NAME", "w", FILEMAP_CREATE},
	{FILEMAP_LOCK_IF_SUPPORTED, "LOCK_IF_SUPPORTED", "rcwRCW", 0},
	{FILEMAP_DONTFORK, "DONTFORK", "rcwRCWms", 0},
	{FILEMAP_POPULATE, "POPULATE", "rcwRCWms", 0},
	{FILEMAP_PIN_PARENT, "PIN_PARENT", "rcw", 0},
	{FILEMAP_DOWNGRADE_ON_FREEZE, "DOWNGRADE_ON_FREEZE", "wW", 0},
	{FILEMAP_NORESERVE, "NORESERVE", "cCm", 0},
	{FILEMAP_STACK, "STACK", "m", 0},
	{FILEMAP_HUGE_2M, "HUGE_2M", "m", 0},
	{FILEMAP_HUGE_1G, "HUGE_1G", "m", 0},
	{FILEMAP_MLOCK, "MLOCK", "rcwRCWms", 0},
	{FILEMAP_DONTDUMP, "DONTDUMP", "rcwRCWms", 0},
	{FILEMAP_SHARED, "SHARED", "s", 0},
	{FILEMAP_REMOVE_ON_CLOSE, "REMOVE_ON_CLOSE", "rcw", 0},
};

static int plan_kind(char kind, uint32_t flags, struct filemap_error *error)
{
	const struct filemap_options options = {.struct_size = sizeof options, .flags = flags};
	struct fm__plan plan;
	switch (kind) {
	case 'm':
		return fm__plan_anonymous(1, &options, &plan, error);
	case 's':
		return fm__plan_anonymous(1, FILEMAP_OPTIONS(.flags = flags | FILEMAP_SHARED), &plan, error);
	case 'R':
	case 'C':
	case 'W':
		return fm__plan_fd(0,
				   kind == 'R'   ? FILEMAP_EXEC
				   : kind == 'C' ? FILEMAP_COW
						 : FILEMAP_WRITE,
				   &options, &plan, error);
	default:
		return fm__plan_named(AT_FDCWD, "x",
				      kind == 'r'   ? FILEMAP_READ
				      : kind == 'c' ? FILEMAP_COW
						    : FILEMAP_WRITE,
				      &options, &plan, error);
	}
}

static void every_flag_is_refused_by_name_where_it_has_no_effect(void **state)
{
	(void)state;
	for (size_t i = 0; i < FM_ARRAY_SIZE(documented); i++) {
		for (const char *kind = "rcwRCWms"; *kind; kind++) {
			struct filemap_error error = {0};
			bool fits = strchr(documented[i].kinds, *kind) != NULL;
			uint32_t flags = documented[i].flag | (*kind == 'w' ? documented[i].companion : 0);
			int r;
			if (*kind == 'm' && documented[i].flag == FILEMAP_SHARED)
				continue; /* with it memory is a memory file */
			r = plan_kind(*kind, flags, &error);
			assert_int_equal(r, fits ? 0 : FILEMAP_EOPTION);
			if (!fits) {
				assert_string_equal(error.subject, "flags");
				assert_string_equal(error.detail, documented[i].name);
			}
		}
	}
}

static void huge_pages_are_one_size_and_reserved(void **state)
{
	const uint32_t wrong[] = {FILEMAP_HUGE_2M | FILEMAP_HUGE_1G, FILEMAP_HUGE_2M | FILEMAP_NORESERVE};
	const char *const names[] = {"HUGE_1G", "NORESERVE"};
	struct filemap_error error;
	struct fm__plan plan;
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(fm__plan_anonymous(1, FILEMAP_OPTIONS(.flags = wrong[i]), &plan, &error),
				 FILEMAP_EOPTION);
		assert_string_equal(error.detail, names[i]);
	}
}

static void only_a_writer_gives_a_file_a_size(void **state)
{
	const unsigned modes[] = {FILEMAP_READ, FILEMAP_EXEC, FILEMAP_COW};
	(void)state;
	for (size_t i = 0; i < FM_ARRAY_SIZE(modes); i++)
		assert_string_equal(refused(modes[i], FILEMAP_OPTIONS(.size = 1)), "size");
	assert_int_equal(refused_code, FILEMAP_EOPTION);
}

static void advice_that_contradicts_itself_or_comes_too_early_is_refused(void **state)
{
	const uint32_t wrong[] = {FILEMAP_ADVICE_RANDOM | FILEMAP_ADVICE_SEQUENTIAL,
				  FILEMAP_ADVICE_NORMAL | FILEMAP_ADVICE_RANDOM,
				  FILEMAP_ADVICE_HUGEPAGE | FILEMAP_ADVICE_NOHUGEPAGE,
				  FILEMAP_ADVICE_DONTDUMP | FILEMAP_ADVICE_DODUMP,
				  FILEMAP_ADVICE_COLD,
				  FILEMAP_ADVICE_PAGEOUT,
				  FILEMAP_ADVICE_COLLAPSE,
				  UINT32_C(1) << 13,
				  UINT32_C(1) << 31};
	(void)state;
	for (size_t i = 0; i < FM_ARRAY_SIZE(wrong); i++)
		assert_string_equal(refused(FILEMAP_READ, FILEMAP_OPTIONS(.advice = wrong[i])), "advice");
	assert_string_equal(refused(FILEMAP_READ, FILEMAP_OPTIONS(.advice = FILEMAP_ADVICE_RANDOM |
									    FILEMAP_ADVICE_WILLNEED)),
			    "accepted");
}

static void memory_has_no_file_and_no_lock(void **state)
{
	const struct filemap_options wrong[] = {
		{.struct_size = sizeof *wrong, .offset = 1},
		{.struct_size = sizeof *wrong, .length = 1},
		{.struct_size = sizeof *wrong, .size = 1},
		{.struct_size = sizeof *wrong, .permissions = 1},
		{.struct_size = sizeof *wrong, .lock_family = 1},
		{.struct_size = sizeof *wrong, .lock_wait_ms = 1},
		{.struct_size = sizeof *wrong, .sharing = 1},
	};
	const char *const fields[] = {"offset",      "length",       "size",   "permissions",
				      "lock_family", "lock_wait_ms", "sharing"};
	struct filemap_error error;
	struct fm__plan plan;
	(void)state;
	for (size_t i = 0; i < FM_ARRAY_SIZE(wrong); i++) {
		assert_int_equal(fm__plan_anonymous(1, &wrong[i], &plan, &error), FILEMAP_EOPTION);
		assert_string_equal(error.subject, fields[i]);
	}
	assert_int_equal(fm__plan_anonymous((size_t)PTRDIFF_MAX + 1, NULL, &plan, &error), FILEMAP_ERANGE);
	assert_string_equal(error.subject, "length");
}

static void the_lock_follows_from_mode_and_sharing(void **state)
{
	struct fm__plan plan;
	(void)state;
	assert_ok(fm__plan_named(AT_FDCWD, "x", FILEMAP_WRITE, NULL, &plan, NULL));
	assert_int_equal(plan.lock_kind, FILEMAP_EXCLUSIVE_LOCK);
	assert_ok(fm__plan_named(AT_FDCWD, "x", FILEMAP_COW, NULL, &plan, NULL));
	assert_int_equal(plan.lock_kind, FILEMAP_SHARED_LOCK);
	assert_ok(fm__plan_named(AT_FDCWD, "x", FILEMAP_WRITE,
				 FILEMAP_OPTIONS(.sharing = FILEMAP_SHARING_COOPERATE), &plan, NULL));
	assert_int_equal(plan.lock_kind, FILEMAP_SHARED_LOCK);
	assert_ok(fm__plan_named(
		AT_FDCWD, "x", FILEMAP_WRITE,
		FILEMAP_OPTIONS(.sharing = FILEMAP_SHARING_COOPERATE, .flags = FILEMAP_TRUNCATE), &plan,
		NULL));
	assert_int_equal(plan.lock_kind, FILEMAP_EXCLUSIVE_LOCK);
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

static void fields_without_meaning_must_be_zero(void **state)
{
	int context;
	(void)state;
	assert_string_equal(refused(FILEMAP_READ, FILEMAP_OPTIONS(.sharing = 2)), "sharing");
	assert_string_equal(
		refused(FILEMAP_READ, FILEMAP_OPTIONS(.sharing = 1, .lock_family = FILEMAP_LOCK_NONE)),
		"sharing");
	assert_string_equal(refused(FILEMAP_READ, FILEMAP_OPTIONS(.reserved = 1)), "reserved");
	assert_string_equal(refused(FILEMAP_READ, FILEMAP_OPTIONS(.label = "x")), "label");
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
       T_PLAIN(unknown_flags_are_refused), T_PLAIN(every_flag_is_refused_by_name_where_it_has_no_effect),
       T_PLAIN(huge_pages_are_one_size_and_reserved), T_PLAIN(only_a_writer_gives_a_file_a_size),
       T_PLAIN(advice_that_contradicts_itself_or_comes_too_early_is_refused),
       T_PLAIN(memory_has_no_file_and_no_lock), T_PLAIN(the_lock_follows_from_mode_and_sharing),
       T_PLAIN(contradictions_and_the_useless_are_refused), T_PLAIN(lock_options_are_checked),
       T_PLAIN(fields_without_meaning_must_be_zero), T_PLAIN(numbers_that_no_file_can_have_are_out_of_range),
       T_PLAIN(struct_of_another_version_is_judged_by_its_size), T_PLAIN(init_makes_the_defaults),
       T_PLAIN(open_refuses_before_it_looks))
