/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Names that files have on their way out: what is written is read back, and nothing else is read. */
#include "t.h"

#include <errno.h>

#include "map/hidden.h"

#define NUMBER UINT64_C(0x0123456789abcdef)
#define LONGEST (FM_HIDDEN_SIZE - 1 - 22) /* with ".", ".RANDOM" and ".del" it fits exactly */

static char hidden[FM_HIDDEN_SIZE], name[FM_HIDDEN_SIZE];

static void assert_round_trip(const char *expected, const char *suffix)
{
	memset(name, 'x', sizeof name);
	assert_ok(fm__hidden_write(expected, NUMBER, suffix, hidden));
	assert_true(fm__hidden_read(hidden, suffix, name));
	assert_string_equal(name, expected);
}

static void name_is_read_back_as_it_was(void **state)
{
	static const char *const names[] = {
		"a",
		"file.txt",
		".config",
		"...",
		"..a",
		" ",
		"a.del",
		"-",
		"\xC3\xA4",
		"\xFF\x80",
		"tab\tnew\nline",
		".a.0123456789abcdef.del",
		".a.0123456789abcdef.deld",
		"0123456789abcdef",
		"a.0123456789abcdef",
	};
	(void)state;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		assert_round_trip(names[i], FM_HIDDEN_REMOVED);
		assert_round_trip(names[i], FM_HIDDEN_REMOVED_FROM);
		assert_round_trip(names[i], FM_HIDDEN_NEW);
	}
}

static void number_has_sixteen_digits_always(void **state)
{
	(void)state;

	assert_ok(fm__hidden_write("a", 0, "del", hidden));
	assert_string_equal(hidden, ".a.0000000000000000.del");
	assert_ok(fm__hidden_write("a", 10, "tmp", hidden));
	assert_string_equal(hidden, ".a.000000000000000a.tmp");
	assert_ok(fm__hidden_write("a", UINT64_MAX, "deld", hidden));
	assert_string_equal(hidden, ".a.ffffffffffffffff.deld");
	assert_true(fm__hidden_read(hidden, "deld", name));
}

static void numbers_are_not_the_same_twice(void **state)
{
	uint64_t first = 0, second = 0;
	(void)state;

	assert_ok(fm__hidden_number(&first));
	assert_ok(fm__hidden_number(&second));
	assert_true(first != second);
}

static const char *name_of(size_t length, const char *character)
{
	static char text[400];
	const size_t size = strlen(character);

	memset(text, 0, sizeof text);
	for (size_t i = 0; i + size <= length; i += size)
		memcpy(text + i, character, size);
	return text;
}

static void name_that_leaves_no_room_is_enametoolong(void **state)
{
	(void)state;

	assert_round_trip(name_of(LONGEST, "n"), "del");
	assert_int_equal(strlen(hidden), FM_HIDDEN_SIZE - 1);
	assert_int_equal(fm__hidden_write(name_of(LONGEST + 1, "n"), NUMBER, "del", hidden), -ENAMETOOLONG);
	assert_int_equal(fm__hidden_write(name_of(LONGEST, "n"), NUMBER, "deld", hidden), -ENAMETOOLONG);
	assert_int_equal(fm__hidden_write(name_of(255, "n"), NUMBER, "del", hidden), -ENAMETOOLONG);
	assert_int_equal(fm__hidden_write(name_of(390, "n"), NUMBER, "del", hidden), -ENAMETOOLONG);
}

/* The beginning of the name, more than half of what there is room for: `prefix` bytes, then whole characters. */
static void assert_cut(size_t prefix, const char *character)
{
	char from[400] = "nnnnnnn";

	strcpy(from + prefix, name_of(255 - prefix, character));
	fm__hidden_write_cut(from, NUMBER, "deld", hidden);
	assert_true(strlen(hidden) <= 143);
	assert_true(fm__hidden_read(hidden, "deld", name));
	assert_true(strlen(name) > 64 && strncmp(name, from, strlen(name)) == 0);
	assert_int_equal((strlen(name) - prefix) % strlen(character), 0);
}

static void name_is_cut_between_characters(void **state)
{
	(void)state;

	for (size_t prefix = 0; prefix < 4; prefix++) {
		assert_cut(prefix, "n");
		assert_cut(prefix, "\xC3\xA4");
		assert_cut(prefix, "\xE2\x82\xAC");
		assert_cut(prefix, "\xF0\x9F\x98\x80");
	}
	fm__hidden_write_cut("short", NUMBER, "deld", hidden);
	assert_string_equal(hidden, ".short.0123456789abcdef.deld");
}

/* Names are bytes: some never were text. */
static void name_of_any_bytes_is_cut_to_one_that_is_read(void **state)
{
	(void)state;

	for (size_t prefix = 0; prefix < 4; prefix++) {
		assert_cut(prefix, "\x80");
		assert_cut(prefix, "\xFF");
		assert_cut(prefix, ".");
	}
}

static void assert_is_none(const char *text)
{
	strcpy(name, "as it was");
	if (fm__hidden_read(text, "del", name))
		fail_msg("'%s' was taken for a hidden name of '%s'", text, name);
}

static void other_names_are_not_read(void **state)
{
	static const char *const others[] = {
		"",
		".",
		"..",
		"a",
		"del",
		".del",
		".a.del",
		"a.0123456789abcdef.del",
		"ab.0123456789abcdef.del",
		".a.0123456789abcde.del",
		".a.0123456789abcdef0.del",
		".a.0123456789abcdef_del",
		".a.0123456789abcdeF.del",
		".a.0123456789ABCDEF.del",
		".a.0123456789abcdeg.del",
		".a.0x23456789abcdef.del",
		".a. 123456789abcdef.del",
		".a.+123456789abcdef.del",
		".a.0123456789abcdef",
		".a.0123456789abcdef.",
		".a.0123456789abcdef.de",
		".a.0123456789abcdef.DEL",
		".a.0123456789abcdef.del ",
		".a.0123456789abcdef.del.",
		".a.0123456789abcdef.deld",
		".a.0123456789abcdef.tmp",
		".a.0123456789abcdefdel",
		".a0123456789abcdef.del",
		".a.0123456789.bcdef.del",
	};
	(void)state;

	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_is_none(others[i]);
}

static void name_that_is_none_is_not_given_back(void **state)
{
	(void)state;

	assert_is_none(".0123456789abcdef.del");
	assert_is_none("..0123456789abcdef.del");
	assert_is_none("...0123456789abcdef.del");
	assert_is_none("....0123456789abcdef.del");
	assert_true(fm__hidden_read(".....0123456789abcdef.del", "del", name));
	assert_string_equal(name, "...");
}

static void overlong_names_are_not_read(void **state)
{
	char text[700];
	(void)state;

	for (size_t length = LONGEST; length < 390; length++) {
		snprintf(text, sizeof text, ".%s.0123456789abcdef.del", name_of(length, "n"));
		if (length + 1 >= FM_HIDDEN_SIZE)
			assert_is_none(text);
		else
			assert_true(fm__hidden_read(text, "del", name) && strlen(name) == length);
	}
}

T_MAIN(T_PLAIN(name_is_read_back_as_it_was), T_PLAIN(number_has_sixteen_digits_always),
       T_PLAIN(numbers_are_not_the_same_twice), T_PLAIN(name_that_leaves_no_room_is_enametoolong),
       T_PLAIN(name_is_cut_between_characters), T_PLAIN(name_of_any_bytes_is_cut_to_one_that_is_read),
       T_PLAIN(other_names_are_not_read), T_PLAIN(name_that_is_none_is_not_given_back),
       T_PLAIN(overlong_names_are_not_read))
