/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * hidden: writes and reads ".NAME.RANDOM.SUFFIX". Owns nothing.
 *
 * Invariant: what fm__hidden_write() has written fm__hidden_read() reads back as the same NAME. The number is
 * 16 digits of lower-case hexadecimal, always.
 */
#include "map/hidden.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sys/sys.h"

#define DIGITS 16
#define CUT_LENGTH 96 /* bytes: some file systems allow 143 for a whole name */

int fm__hidden_number(uint64_t *ret)
{
	return fm__sys_random(ret, sizeof *ret);
}

static int write_part(const char *name, size_t length, uint64_t number, const char *suffix, char *to)
{
	return snprintf(to, FM_HIDDEN_SIZE, ".%.*s.%016llx.%s", (int)length, name, (unsigned long long)number,
			suffix);
}

int fm__hidden_write(const char *name, uint64_t number, const char *suffix, char to[FM_HIDDEN_SIZE])
{
	int length = write_part(name, strnlen(name, FM_HIDDEN_SIZE), number, suffix, to);
	return length < FM_HIDDEN_SIZE ? 0 : -ENAMETOOLONG;
}

static bool is_within_character(char c)
{
	return ((unsigned char)c & 0xC0) == 0x80;
}

/* Before a character of UTF-8, not within it; what is no UTF-8 is cut anywhere. */
void fm__hidden_write_cut(const char *name, uint64_t number, const char *suffix, char to[FM_HIDDEN_SIZE])
{
	size_t length = strnlen(name, CUT_LENGTH), back = 0;

	while (back < 3 && back < length && is_within_character(name[length - back]))
		back++;
	if (back < length && !is_within_character(name[length - back]))
		length -= back;
	write_part(name, length, number, suffix, to);
}

static bool is_number(const char *text)
{
	return strspn(text, "0123456789abcdef") >= DIGITS && text[DIGITS] == '.';
}

/* Where NAME ends, or 0: of a hidden name that ends in ".RANDOM.SUFFIX". */
static size_t end_of_name(const char *hidden, const char *suffix)
{
	size_t length = strlen(hidden), tail = 1 + DIGITS + 1 + strlen(suffix);
	const char *at = hidden + length - tail;

	if (length < tail || *at != '.' || !is_number(at + 1) || strcmp(at + DIGITS + 2, suffix) != 0)
		return 0;
	return (size_t)(at - hidden);
}

bool fm__hidden_read(const char *hidden, const char *suffix, char ret_name[FM_HIDDEN_SIZE])
{
	size_t end = end_of_name(hidden, suffix);

	if (hidden[0] != '.' || end < 2 || end >= FM_HIDDEN_SIZE)
		return false;
	memcpy(ret_name, hidden + 1, end - 1);
	ret_name[end - 1] = '\0';
	return strcmp(ret_name, ".") != 0 && strcmp(ret_name, "..") != 0;
}
