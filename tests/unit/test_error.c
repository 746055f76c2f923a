/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Codes, their names and texts, and the one-line form of an error record. */
#include "t.h"

#include <errno.h>

#include "base/error.h"

static const char *format(const struct filemap_error *error)
{
	static char line[512];
	const int length = filemap_error_format(error, line, sizeof line);

	assert_int_equal(length, strlen(line));
	assert_null(strchr(line, '\n'));
	return line;
}

static void error_name_of_every_private_code_is_its_constant(void **state)
{
	(void)state;
#define ASSERT_CODE(name, value, text)                                             \
	assert_int_equal(FILEMAP_##name, value);                                   \
	assert_string_equal(filemap_error_name(FILEMAP_##name), "FILEMAP_" #name); \
	assert_string_equal(filemap_strerror(FILEMAP_##name), text);
	FILEMAP_ERROR_MAP(ASSERT_CODE)
#undef ASSERT_CODE
}

static void error_name_of_an_errno_is_its_constant(void **state)
{
	(void)state;
	assert_string_equal(filemap_error_name(-ENOSPC), "ENOSPC");
	assert_string_equal(filemap_error_name(-EAGAIN), "EAGAIN");
	assert_string_equal(filemap_error_name(-EHWPOISON), "EHWPOISON");
	assert_string_equal(filemap_error_name(0), "OK");
}

static void error_name_of_anything_else_is_unknown(void **state)
{
	static const int codes[] = {1,      ENOSPC, -4000,  -4095,     -4096,
				    -19999, -20000, -20014, INT32_MAX, INT32_MIN};
	(void)state;

	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
		assert_string_equal(filemap_error_name(codes[i]), "UNKNOWN");
		assert_string_equal(filemap_strerror(codes[i]), "unknown error");
	}
}

/* Every number to which the C library gives a text has one here, the same in the C locale. */
static void strerror_agrees_with_the_c_library(void **state)
{
	unsigned known = 0;
	(void)state;

	for (int number = 1; number < 200; number++) {
		const char *text = strerror(number);
		if (strncmp(text, "Unknown error", 13) == 0 || strncmp(text, "No error", 8) == 0)
			continue;
#ifdef __GLIBC__
		assert_string_equal(filemap_strerror(-number), text);
#endif
		assert_string_not_equal(filemap_error_name(-number), "UNKNOWN");
		known++;
	}
	assert_true(known > 100);
}

static void fail_fills_the_record_and_returns_the_code(void **state)
{
	struct filemap_error error;
	(void)state;

	memset(&error, 0xAA, sizeof error);
	assert_int_equal(fm__fail(&error, -EIO, "grow", "file"), -EIO);
	assert_int_equal(error.code, -EIO);
	assert_int_equal(error.sys_errno, EIO);
	assert_string_equal(error.step, "grow");
	assert_string_equal(error.subject, "file");
	assert_null(error.hint);
	assert_true(error.offset == 0 && error.length == 0 && error.detail[0] == '\0');
	assert_true(error.reserved[0] == 0 && error.reserved[1] == 0);
}

static void fail_with_a_private_code_has_no_errno_unless_given(void **state)
{
	struct filemap_error error;
	(void)state;

	assert_int_equal(fm__fail(&error, FILEMAP_EMODE, "resize", NULL), FILEMAP_EMODE);
	assert_int_equal(error.sys_errno, 0);
	assert_int_equal(fm__fail_errno(&error, FILEMAP_ELOCKED, EAGAIN, "lock", "file"), FILEMAP_ELOCKED);
	assert_int_equal(error.sys_errno, EAGAIN);
}

static void assert_names(int error, const char *step, const char *subject, const char *name)
{
	struct filemap_error record;

	fm__fail(&record, -error, step, subject);
	if (!record.hint || !strstr(record.hint, name))
		fail_msg("%s at %s: %s", strerror(error), step, record.hint ? record.hint : "no hint");
}

static void errnos_of_limits_bring_a_hint_that_names_them(void **state)
{
	(void)state;
	assert_names(EMFILE, "open file", "file", "RLIMIT_NOFILE");
	assert_names(ENFILE, "open file", "file", "fs.file-max");
	assert_names(EDQUOT, "set size", "file", "quota");
	assert_names(ENOSPC, "create file", "file", "inodes");
	assert_names(ENOSPC, "allocate blocks", "file", "blocks");
	assert_names(ENOSPC, "copy bytes", "memory file", "memory");
	assert_names(EFBIG, "allocate blocks", "file", "RLIMIT_FSIZE");
	assert_names(ENOMEM, "map", "file", "vm.max_map_count");
	assert_names(ENOMEM, "allocate memory", NULL, "RLIMIT_AS");
	assert_names(ENOMEM, "lock in memory", "window", "RLIMIT_MEMLOCK");
	assert_names(EAGAIN, "remap", "file", "RLIMIT_MEMLOCK");
	assert_names(ENOMEM, "open ring", "queue", "RLIMIT_MEMLOCK");
	assert_names(EAGAIN, "start workers", "queue", "RLIMIT_NPROC");
	assert_names(EAGAIN, "start thread", "preparer", "RLIMIT_NPROC");
}

static void hints_of_limits_stay_away_from_what_is_none(void **state)
{
	struct filemap_error error;
	(void)state;

	fm__fail(&error, -EFBIG, "check size", "max_bytes");
	assert_null(error.hint);
	fm__fail(&error, -EAGAIN, "copy bytes", "file");
	assert_null(error.hint);
	fm__fail(&error, FILEMAP_ERANGE, "map", "file");
	assert_null(error.hint);
	fm__fail(&error, -EMFILE, "open file", "file");
	fm__fail_hint_if_none(&error, "another");
	assert_non_null(strstr(error.hint, "RLIMIT_NOFILE"));
	fm__fail_hint(&error, "better");
	assert_string_equal(error.hint, "better");
}

static void fail_without_a_record_only_returns_the_code(void **state)
{
	(void)state;
	assert_int_equal(fm__fail(NULL, -EIO, "flush", NULL), -EIO);
	fm__fail_hint(NULL, "hint");
	fm__fail_hint_if_none(NULL, "hint");
	fm__fail_detail(NULL, "detail");
	fm__fail_range(NULL, 1, 2);
}

static void detail_too_long_is_cut_before_a_character(void **state)
{
	struct filemap_error error;
	char name[400];
	(void)state;

	memset(name, 'a', sizeof name);
	name[sizeof name - 1] = '\0';
	fm__fail(&error, -EIO, "open file", NULL);
	fm__fail_detail(&error, name);
	assert_int_equal(strlen(error.detail), sizeof error.detail - 1);
	memcpy(name + 189, "\xE2\x82\xAC", 3); /* the last of its three bytes would not fit */
	fm__fail_detail(&error, name);
	assert_int_equal(strlen(error.detail), 189);
	memset(name + 189, 'a', 3);
	memcpy(name + 188, "\xE2\x82\xAC", 3); /* fits to the byte */
	fm__fail_detail(&error, name);
	assert_int_equal(strlen(error.detail), 191);
}

static void format_says_step_subject_name_text_and_cause(void **state)
{
	struct filemap_error error;
	(void)state;

	fm__fail_errno(&error, FILEMAP_ELOCKED, EAGAIN, "lock", "file");
	fm__fail_detail(&error, "x.db");
	assert_string_equal(format(&error), "lock file 'x.db': another mapping holds a conflicting lock "
					    "(Resource temporarily unavailable)");
}

static void format_of_an_errno_says_its_text_once(void **state)
{
	struct filemap_error error;
	(void)state;

	fm__fail(&error, -ENOENT, "open file", NULL);
	assert_string_equal(format(&error), "open file: No such file or directory");
}

static void format_leaves_out_a_subject_that_the_step_names(void **state)
{
	struct filemap_error error;
	(void)state;

	fm__fail(&error, -EEXIST, "create file", "file");
	fm__fail_detail(&error, "x.db");
	assert_string_equal(format(&error), "create file 'x.db': File exists");
	fm__fail(&error, -EIO, "sync parent directory", "parent directory");
	assert_string_equal(format(&error), "sync parent directory: Input/output error");
	fm__fail(&error, FILEMAP_ERANGE, "check resize", "file_size");
	assert_memory_equal(format(&error), "check resize file_size: ", 24);
	fm__fail(&error, -EIO, "profile map", "file");
	assert_string_equal(format(&error), "profile map file: Input/output error");
}

static void format_appends_range_and_hint(void **state)
{
	struct filemap_error error;
	(void)state;

	fm__fail(&error, -EIO, "flush", "range");
	fm__fail_range(&error, 4096, 100);
	fm__fail_hint(&error, "store the bytes again");
	assert_string_equal(format(&error), "flush range, offset 4096, 100 bytes: Input/output error; "
					    "store the bytes again");
	fm__fail_range(&error, 4096, UINT64_MAX);
	assert_string_equal(format(&error), "flush range, offset 4096 to the end: Input/output error; "
					    "store the bytes again");
}

static void format_of_nothing_is_no_error(void **state)
{
	struct filemap_error error;
	(void)state;

	memset(&error, 0, sizeof error);
	assert_string_equal(format(&error), "no error");
	assert_string_equal(format(NULL), "no error");
}

static void format_into_too_little_is_cut_and_returns_the_whole_length(void **state)
{
	struct filemap_error error;
	char small[8];
	(void)state;

	fm__fail(&error, -ENOENT, "open file", NULL);
	memset(small, 'x', sizeof small);
	assert_int_equal(filemap_error_format(&error, small, 5), 36);
	assert_memory_equal(small, "open\0xxx", 8);
	assert_int_equal(filemap_error_format(&error, NULL, 0), 36);
}

static void version_is_that_of_the_header(void **state)
{
	char expected[32];
	(void)state;

	snprintf(expected, sizeof expected, "%d.%d.%d", FILEMAP_VERSION_MAJOR, FILEMAP_VERSION_MINOR,
		 FILEMAP_VERSION_PATCH);
	assert_string_equal(filemap_version(), expected);
}

T_MAIN(T_PLAIN(error_name_of_every_private_code_is_its_constant),
       T_PLAIN(error_name_of_an_errno_is_its_constant), T_PLAIN(error_name_of_anything_else_is_unknown),
       T_PLAIN(strerror_agrees_with_the_c_library), T_PLAIN(fail_fills_the_record_and_returns_the_code),
       T_PLAIN(fail_with_a_private_code_has_no_errno_unless_given),
       T_PLAIN(errnos_of_limits_bring_a_hint_that_names_them),
       T_PLAIN(hints_of_limits_stay_away_from_what_is_none),
       T_PLAIN(fail_without_a_record_only_returns_the_code),
       T_PLAIN(detail_too_long_is_cut_before_a_character),
       T_PLAIN(format_says_step_subject_name_text_and_cause), T_PLAIN(format_of_an_errno_says_its_text_once),
       T_PLAIN(format_leaves_out_a_subject_that_the_step_names), T_PLAIN(format_appends_range_and_hint),
       T_PLAIN(format_of_nothing_is_no_error),
       T_PLAIN(format_into_too_little_is_cut_and_returns_the_whole_length),
       T_PLAIN(version_is_that_of_the_header))
