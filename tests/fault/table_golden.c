/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The table as a file under version control: found through TABLE_GOLDEN, a path given by the build.
 *
 * A difference is told as a diff is, lines that are missing with a minus and new ones with a plus, operation
 * by operation. Operations that could not run on this machine are not compared, and keep their lines.
 */
#include "table.h"

#include <limits.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

static const char heading[] =
	"# operation\tcall\terrno\tresult\tstep/subject\tstate\n"
	"# Made by the test of the same name with --update; read it before it is committed.\n";

static bool is_updating;

void table_append(struct table_text *text, const char *line)
{
	const size_t length = strlen(line);

	if (text->length + length + 1 > text->size) {
		text->size = 2 * (text->length + length + 1);
		text->bytes = realloc(text->bytes, text->size);
		assert_non_null(text->bytes);
	}
	memcpy(text->bytes + text->length, line, length + 1);
	text->length += length;
}

static void load(const char *path, struct table_text *ret)
{
	char line[2048];
	FILE *file = fopen(path, "re");

	table_append(ret, "");
	if (file == NULL)
		return;
	while (fgets(line, sizeof line, file) != NULL)
		if (line[0] != '#')
			table_append(ret, line);
	fclose(file);
}

/* The next line, without its end, and goes behind it; false at the end. */
static bool next_line(const char **at, char *line, size_t size)
{
	const size_t length = strcspn(*at, "\n");

	if (**at == '\0')
		return false;
	snprintf(line, size, "%.*s", (int)length, *at);
	*at += length + ((*at)[length] == '\n');
	return true;
}

static bool has_line(const struct table_text *text, const char *line)
{
	const size_t length = strlen(line);
	const char *at = text->bytes;

	while ((at = strstr(at, line)) != NULL) {
		if ((at == text->bytes || at[-1] == '\n') && at[length] == '\n')
			return true;
		at += length;
	}
	return false;
}

static bool is_skipped(const char *line, const char *skipped)
{
	char name[200];
	snprintf(name, sizeof name, "%.*s\n", (int)strcspn(line, "\t"), line);
	return strstr(skipped, name) != NULL;
}

static int print_missing(const struct table_text *from, const struct table_text *in, const char *skipped,
			 char sign)
{
	char line[2048];
	const char *at = from->bytes;
	int count = 0;

	while (next_line(&at, line, sizeof line)) {
		if (is_skipped(line, skipped) || has_line(in, line))
			continue;
		printf("%c%s\n", sign, line);
		count++;
	}
	return count;
}

static void update(const char *path, const struct table_text *then, const struct table_text *now,
		   const char *skipped)
{
	char line[2048];
	const char *at = then->bytes;
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(heading, file);
	fputs(now->bytes, file);
	while (next_line(&at, line, sizeof line))
		if (is_skipped(line, skipped))
			fprintf(file, "%s\n", line);
	assert_ok(fclose(file));
}

int table_compare(const char *area, const struct table_text *now, const char *skipped)
{
	char path[PATH_MAX];
	struct table_text then = {0};
	int differences;

	snprintf(path, sizeof path, "%s/%s.tsv", TABLE_GOLDEN, area);
	load(path, &then);
	if (is_updating) {
		update(path, &then, now, skipped);
		differences = 0;
	} else {
		printf("--- golden/%s.tsv\n+++ this run\n", area);
		differences =
			print_missing(&then, now, skipped, '-') + print_missing(now, &then, skipped, '+');
		printf("%d lines differ\n", differences);
	}
	free(then.bytes);
	return differences;
}

/* The library takes other ways on file systems that cannot promise blocks: the table is made on these. */
bool table_suits(const char *path)
{
	struct statfs system;

	if (statfs(path, &system) < 0)
		return false;
	return (unsigned long)system.f_type == 0xEF53 ||
	       (unsigned long)system.f_type == 0x01021994; /* ext4, tmpfs */
}

static bool may_hold_code(const char *path)
{
	struct statfs system;
	return statfs(path, &system) == 0 && (system.f_flags & ST_NOEXEC) == 0;
}

/* Where the cases' directories are made: in memory if nobody says where, because most operations sync. */
static void choose_place(void)
{
	const char *shared = "/dev/shm", *wish = getenv("FILEMAP_TEST_DIR");
	const bool is_there = table_suits(shared) && access(shared, W_OK) == 0;

	if (is_there && (wish == NULL ? may_hold_code(shared) : !table_suits(wish)))
		setenv("FILEMAP_TEST_DIR", shared, 1);
}

int table_main(int argc, char **argv, const struct CMUnitTest *tests, size_t count)
{
	const char *wish = getenv("FILEMAP_GOLDEN_UPDATE");

	is_updating = (argc > 1 && strcmp(argv[1], "--update") == 0) || (wish != NULL && wish[0] == '1');
	choose_place();
	return t_run(argv[0], tests, count);
}
