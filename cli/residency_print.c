/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The picture of `filemap residency`: blocks on a terminal that can show them, ASCII elsewhere, and JSON. */
#include "residency.h"

#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum mark { ABSENT, PARTLY, RESIDENT, DIRTY, WRITEBACK, MARKS };

static const char *const ascii_marks[MARKS] = {".", "+", "#", "d", "w"};
static const char *const utf8_marks[MARKS] = {"\u00b7", "\u2584", "\u2588", "\u25c6", "\u25b2"};
static const char *const meanings[MARKS] = {"not in memory", "partly", "in memory", "dirty", "being written"};

static const char *const *choose_marks(void)
{
	if (!isatty(STDOUT_FILENO) || !setlocale(LC_CTYPE, ""))
		return ascii_marks;
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0 ? utf8_marks : ascii_marks;
}

static bool some(uint64_t pages)
{
	return pages != 0 && pages != FILEMAP_UNKNOWN;
}

static enum mark mark_of(const struct filemap_residency *cell)
{
	if (some(cell->writeback))
		return WRITEBACK;
	if (some(cell->dirty))
		return DIRTY;
	if (cell->resident == 0)
		return ABSENT;
	return cell->resident < cell->pages ? PARTLY : RESIDENT;
}

static void print_row(const struct cli_picture *picture, const char *const *marks)
{
	fputs("  [", stdout);
	for (size_t i = 0; i < picture->count; i++)
		fputs(marks[mark_of(&picture->cells[i])], stdout);
	puts("]");
}

static void print_legend(const struct cli_picture *picture, const char *const *marks)
{
	const uint64_t few = picture->total.pages / picture->count;
	const uint64_t many = few + (picture->total.pages % picture->count != 0);

	fputs(" ", stdout);
	for (unsigned i = 0; i < MARKS; i++)
		printf(" %s %s%s", marks[i], meanings[i], i + 1 < MARKS ? "," : ";");
	if (few == many)
		printf(" a cell is %" PRIu64 " page%s\n", few, few == 1 ? "" : "s");
	else
		printf(" a cell is %" PRIu64 " or %" PRIu64 " pages\n", few, many);
}

static void print_count(const char *name, uint64_t pages, const struct filemap_residency *total)
{
	const double of = total->pages ? (double)total->pages : 1.0;

	if (pages == FILEMAP_UNKNOWN)
		printf("  %-13s unknown\n", name);
	else
		printf("  %-13s %" PRIu64 " of %" PRIu64 " pages, %.1f %%\n", name, pages, total->pages,
		       100.0 * (double)pages / of);
}

void cli_picture_text(const struct cli_picture *picture)
{
	const char *const *marks = choose_marks();

	cli_put_text(stdout, picture->path);
	putchar('\n');
	print_row(picture, marks);
	if (picture->count != 0)
		print_legend(picture, marks);
	print_count("in memory", picture->total.resident, &picture->total);
	print_count("dirty", picture->total.dirty, &picture->total);
	print_count("being written", picture->total.writeback, &picture->total);
}

void cli_picture_json(const struct cli_picture *picture)
{
	fputs("{\"path\":", stdout);
	cli_json_string(picture->path);
	fputs(",\"total\":", stdout);
	cli_json_residency(&picture->total);
	fputs(",\"cells\":[", stdout);
	for (size_t i = 0; i < picture->count; i++) {
		if (i != 0)
			putchar(',');
		cli_json_residency(&picture->cells[i]);
	}
	puts("]}");
}
