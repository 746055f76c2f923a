/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Identities of files as values: comparing them, writing them down, reading them again. */
#include "t.h"

#include <filemap/map.h>

static struct filemap_identity plain(void)
{
	return (struct filemap_identity){
		.device = 0xfd01,
		.inode = 0x2c,
		.created = {.seconds = 1700000000, .nanoseconds = 12345},
		.handle_type = 1,
		.handle_length = 4,
		.handle = {0xde, 0xad, 0x00, 0x0f},
	};
}

static struct filemap_identity largest(void)
{
	struct filemap_identity identity = {
		.device = UINT64_MAX,
		.inode = UINT64_MAX,
		.created = {.seconds = INT64_MIN, .nanoseconds = 999999999},
		.handle_type = UINT32_MAX,
		.handle_length = sizeof identity.handle,
	};

	memset(identity.handle, 0xff, sizeof identity.handle);
	return identity;
}

static void assert_text(struct filemap_identity identity, const char *expected)
{
	char text[FILEMAP_IDENTITY_TEXT];

	assert_int_equal(filemap_identity_format(&identity, text, sizeof text), strlen(expected));
	assert_string_equal(text, expected);
}

static void text_has_every_field(void **state)
{
	struct filemap_identity identity = plain();
	(void)state;

	assert_text(identity, "id1:fd01:2c:1700000000.000012345:1:dead000f");
	identity.created.seconds = -7;
	assert_text(identity, "id1:fd01:2c:-7.000012345:1:dead000f");
	identity.created = (struct filemap_time){.seconds = 0};
	assert_text(identity, "id1:fd01:2c:-:1:dead000f");
	identity.handle_length = 0;
	assert_text(identity, "id1:fd01:2c:-:-:-");
}

static void text_that_does_not_fit_is_cut_and_measured(void **state)
{
	const struct filemap_identity identity = plain();
	char text[8] = "unused?";
	(void)state;

	assert_int_equal(filemap_identity_format(&identity, NULL, 0), 43);
	assert_int_equal(filemap_identity_format(&identity, text, 1), 43);
	assert_string_equal(text, "");
	assert_int_equal(filemap_identity_format(&identity, text, 5), 43);
	assert_string_equal(text, "id1:");
}

static void largest_text_fits_the_promised_room(void **state)
{
	const struct filemap_identity identity = largest();
	char text[FILEMAP_IDENTITY_TEXT];
	(void)state;

	const int length = filemap_identity_format(&identity, text, sizeof text);
	assert_true(length > 256 && length < FILEMAP_IDENTITY_TEXT);
	assert_int_equal(strlen(text), length);
	for (int i = 0; i < length; i++)
		assert_true(text[i] > ' ' && text[i] < 0x7f);
}

static void assert_round_trip(struct filemap_identity identity)
{
	struct filemap_identity again;
	char text[FILEMAP_IDENTITY_TEXT];

	memset(&again, 0xAA, sizeof again);
	filemap_identity_format(&identity, text, sizeof text);
	assert_ok(filemap_identity_parse(text, &again));
	assert_memory_equal(&again, &identity, sizeof identity);
	assert_true(filemap_identity_equal(&again, &identity));
}

static void identities_come_back_from_their_text_bit_by_bit(void **state)
{
	struct filemap_identity identity = plain();
	(void)state;

	assert_round_trip(identity);
	assert_round_trip(largest());
	assert_round_trip((struct filemap_identity){.device = 0});
	identity.created = (struct filemap_time){.seconds = INT64_MAX};
	assert_round_trip(identity);
	identity.created = (struct filemap_time){.nanoseconds = 1};
	assert_round_trip(identity);
	identity.created = (struct filemap_time){.seconds = -1};
	identity.handle_length = 0;
	identity.handle_type = 0;
	memset(identity.handle, 0, sizeof identity.handle);
	assert_round_trip(identity);
}

static const char *const wrong[] = {
	"",
	"id1",
	"id1:",
	"id2:fd01:2c:-:-:-",
	"ID1:fd01:2c:-:-:-",
	" id1:fd01:2c:-:-:-",
	"id1:fd01:2c:-:-:- ",
	"id1:fd01:2c:-:-:-\n",
	"id1:fd01:2c:-:-",
	"id1:fd01:2c:-:-:",
	"id1:fd01:2c:-:-:-:",
	"id1::2c:-:-:-",
	"id1:fd01::-:-:-",
	"id1:FD01:2c:-:-:-",
	"id1:0xfd:2c:-:-:-",
	"id1:0fd01:2c:-:-:-",
	"id1:+1:2c:-:-:-",
	"id1:-1:2c:-:-:-",
	"id1:10000000000000000:2c:-:-:-",
	"id1:fd01:10000000000000001:-:-:-",
	"id1:fd01:2c::-:-",
	"id1:fd01:2c:0.000000000:-:-",
	"id1:fd01:2c:-0.000000001:-:-",
	"id1:fd01:2c:1:-:-",
	"id1:fd01:2c:1.:-:-",
	"id1:fd01:2c:1.5:-:-",
	"id1:fd01:2c:1.0000000001:-:-",
	"id1:fd01:2c:1.1000000000:-:-",
	"id1:fd01:2c:01.000000001:-:-",
	"id1:fd01:2c:9223372036854775808.000000000:-:-",
	"id1:fd01:2c:18446744073709551617.000000000:-:-",
	"id1:fd01:2c:-9223372036854775809.000000000:-:-",
	"id1:fd01:2c:-:1:",
	"id1:fd01:2c:-:1:-",
	"id1:fd01:2c:-:-:00",
	"id1:fd01:2c:-:1:0",
	"id1:fd01:2c:-:1:000",
	"id1:fd01:2c:-:1:0g",
	"id1:fd01:2c:-:1:0F",
	"id1:fd01:2c:-:1: 00",
	"id1:fd01:2c:-:01:00",
	"id1:fd01:2c:-::00",
	"id1:fd01:2c:-:100000001:00",
	"id1:fd01 :2c:-:-:-",
};

static void text_of_any_other_form_is_refused_and_writes_nothing(void **state)
{
	struct filemap_identity identity, before;
	(void)state;

	memset(&identity, 0x55, sizeof identity);
	before = identity;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		if (filemap_identity_parse(wrong[i], &identity) != FILEMAP_EOPTION)
			fail_msg("\"%s\" was read", wrong[i]);
		assert_memory_equal(&identity, &before, sizeof before);
	}
}

static void handle_longer_than_any_is_refused(void **state)
{
	struct filemap_identity identity = largest();
	char text[FILEMAP_IDENTITY_TEXT + 2];
	(void)state;

	const int length = filemap_identity_format(&identity, text, sizeof text);
	memcpy(text + length, "ff", 3);
	assert_int_equal(filemap_identity_parse(text, &identity), FILEMAP_EOPTION);
}

/* Whatever byte of a text is changed or left out, another text is not read as the same file. */
static void one_wrong_character_is_refused_or_another_file(void **state)
{
	const struct filemap_identity identity = plain();
	struct filemap_identity other;
	char text[FILEMAP_IDENTITY_TEXT], changed[FILEMAP_IDENTITY_TEXT];
	(void)state;

	const int length = filemap_identity_format(&identity, text, sizeof text);
	for (int i = 0; i < length; i++) {
		for (int c = 1; c < 256; c++) {
			memcpy(changed, text, sizeof changed);
			changed[i] = (char)c;
			if (changed[i] != text[i] && filemap_identity_parse(changed, &other) == 0)
				assert_false(filemap_identity_equal(&identity, &other));
		}
		memcpy(changed, text, sizeof changed);
		memmove(changed + i, changed + i + 1, (size_t)(length - i));
		if (filemap_identity_parse(changed, &other) == 0)
			assert_false(filemap_identity_equal(&identity, &other));
	}
}

static void assert_equal_is(bool expected, struct filemap_identity a, struct filemap_identity b)
{
	assert_int_equal(filemap_identity_equal(&a, &b), expected);
	assert_int_equal(filemap_identity_equal(&b, &a), expected);
}

static void files_that_differ_in_anything_known_are_two(void **state)
{
	struct filemap_identity other = plain();
	(void)state;

	assert_equal_is(true, plain(), plain());
	other.device++;
	assert_equal_is(false, plain(), other);
	other = plain();
	other.inode++;
	assert_equal_is(false, plain(), other);
	other = plain();
	other.created.nanoseconds++;
	assert_equal_is(false, plain(), other);
	other = plain();
	other.created.seconds++;
	assert_equal_is(false, plain(), other);
	other = plain();
	other.handle_type++;
	assert_equal_is(false, plain(), other);
	other = plain();
	other.handle[3]++;
	assert_equal_is(false, plain(), other);
	other = plain();
	other.handle_length--;
	assert_equal_is(false, plain(), other);
}

static void what_one_of_them_does_not_know_counts_for_nothing(void **state)
{
	struct filemap_identity other = plain();
	(void)state;

	other.created = (struct filemap_time){.seconds = 0};
	assert_equal_is(true, plain(), other);
	other.handle_length = 0;
	other.handle_type = 0;
	assert_equal_is(true, plain(), other);
	other.inode++;
	assert_equal_is(false, plain(), other);
	other = plain();
	other.handle[100] = 1; /* behind its length */
	assert_equal_is(true, plain(), other);
}

T_MAIN(T_PLAIN(text_has_every_field), T_PLAIN(text_that_does_not_fit_is_cut_and_measured),
       T_PLAIN(largest_text_fits_the_promised_room), T_PLAIN(identities_come_back_from_their_text_bit_by_bit),
       T_PLAIN(text_of_any_other_form_is_refused_and_writes_nothing),
       T_PLAIN(handle_longer_than_any_is_refused), T_PLAIN(one_wrong_character_is_refused_or_another_file),
       T_PLAIN(files_that_differ_in_anything_known_are_two),
       T_PLAIN(what_one_of_them_does_not_know_counts_for_nothing))
