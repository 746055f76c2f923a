/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Names of files, which are bytes, as JSON and for people. In JSON one that is no UTF-8 becomes a lone surrogate,
 * U+DC80 to U+DCFF (as Python's os.fsdecode has it), so that the text is valid and no two names look alike. For
 * people what is no UTF-8 and what would command the terminal, or begin a line of its own, is written out.
 */
#include "cli.h"

#include <inttypes.h>
#include <stdio.h>

/* The length of the sequence that begins here, 0 if it is none: too long, a surrogate, behind U+10FFFF. */
static unsigned utf8_length(const unsigned char *p)
{
	const unsigned length = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

	if (p[0] > 0xf4)
		return 0;
	for (unsigned i = 1; i < length; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f))
		return 0;
	if ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return length;
}

static unsigned put_character(const unsigned char *p)
{
	const unsigned length = utf8_length(p);

	if (length == 0) {
		printf("\\udc%02x", *p);
		return 1;
	}
	if (*p == '"' || *p == '\\')
		printf("\\%c", *p);
	else if (*p < 0x20 || *p == 0x7f)
		printf("\\u%04x", *p);
	else
		fwrite(p, 1, length, stdout);
	return length;
}

void cli_json_string(const char *text)
{
	putchar('"');
	for (const unsigned char *p = (const unsigned char *)text; *p;)
		p += put_character(p);
	putchar('"');
}

static void put_pages(const char *name, uint64_t pages)
{
	if (pages == FILEMAP_UNKNOWN)
		printf(",\"%s\":null", name);
	else
		printf(",\"%s\":%" PRIu64, name, pages);
}

void cli_json_residency(const struct filemap_residency *residency)
{
	printf("{\"page_size\":%" PRIu64, residency->page_size);
	put_pages("pages", residency->pages);
	put_pages("resident", residency->resident);
	put_pages("dirty", residency->dirty);
	put_pages("writeback", residency->writeback);
	putchar('}');
}

/* The controls of ASCII, and those from U+0080 to U+009F, which are two bytes long. */
static bool is_control(const unsigned char *p)
{
	return *p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] < 0xa0);
}

static unsigned put_readable(FILE *to, const unsigned char *p)
{
	const unsigned length = utf8_length(p);

	if (length != 0 && !is_control(p)) {
		fwrite(p, 1, length, to);
		return length;
	}
	if (*p == '\n' || *p == '\t')
		fputs(*p == '\n' ? "\\n" : "\\t", to);
	else
		fprintf(to, "\\x%02x", *p);
	return 1;
}

void cli_put_text(FILE *to, const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p;)
		p += put_readable(to, p);
}
