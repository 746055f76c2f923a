/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * That the complete sweep is complete: each exported function has lines in a golden file, or is one of those that
 * never call the system; and each call of lib/sys/sys.h has its errnos in table_faults.c.
 */
#include "table.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>

#define MOST_BYTES (1 << 20)

/* Loads, stores, arithmetic and words: nothing of them can fail because of the system. */
static const char pure[] =
	" code data data_mut doubt error_format error_name fd identity_equal identity_format identity_parse"
	" is_cow is_exec is_immutable is_poisoned lock_state mode next_slice offset options_init path pin"
	" poison_cause read_exact read_some refuse_read refuse_write size slice slice_mut state strerror "
	"unpin version"
	" write_all write_some zero"
	" cursor_init cursor_peek cursor_read_exact cursor_read_some cursor_read_until cursor_remaining "
	"cursor_seek"
	" cursor_size cursor_skip cursor_tell cursor_write_all cursor_write_some"
	" latency_bound latency_bucket latency_quantile"
	" log_durable log_first log_published log_tail queue_backend"
	" log_appendv"    /* log_append is this, with one part */
	" fault_dispatch" /* in a signal handler, of a fault: tests/os sends it real ones */
	" ";

/* What cannot fail, and what releases: no fault is made of them. */
static const char infallible[] = " page_size realtime_ms monotonic_ns end_windows ";

static bool contains(const char *list, const char *name)
{
	char word[80];
	snprintf(word, sizeof word, " %s ", name);
	return strstr(list, word) != NULL;
}

/* read_u32le and its like. */
static bool is_typed(const char *name)
{
	if (strncmp(name, "cursor_", 7) == 0)
		name += 7;
	if (strncmp(name, "read_", 5) != 0 && strncmp(name, "write_", 6) != 0)
		return false;
	name = strchr(name, '_') + 1;
	return strchr("uif", name[0]) != NULL && isdigit((unsigned char)name[1]);
}

static char *load(const char *path)
{
	char *bytes = calloc(1, MOST_BYTES);
	assert_non_null(bytes);
	const size_t length = t_read_file(path, bytes, MOST_BYTES);
	assert_true(length > 0 && length < MOST_BYTES);
	return bytes;
}

/* The first words of all operations, " open open_at resize "; the caller frees it. */
static char *swept(void)
{
	char *names = calloc(1, MOST_BYTES);
	const struct dirent *entry;
	DIR *stream = opendir(TABLE_GOLDEN);
	size_t length = 0;

	assert_non_null(names);
	assert_non_null(stream);
	while ((entry = readdir(stream)) != NULL) {
		char path[PATH_MAX];
		if (strstr(entry->d_name, ".tsv") == NULL)
			continue;
		snprintf(path, sizeof path, "%s/%s", TABLE_GOLDEN, entry->d_name);
		char *bytes = load(path);
		for (const char *at = bytes; *at != '\0'; at += strcspn(at, "\n") + 1) {
			const int size = (int)strcspn(at, " ,\t");
			length += (size_t)snprintf(names + length, MOST_BYTES - length, " %.*s ", size, at);
			if (at[strcspn(at, "\n")] == '\0')
				break;
		}
		free(bytes);
	}
	closedir(stream);
	assert_true(length < MOST_BYTES);
	return names;
}

static void every_exported_function_has_lines_or_is_pure(void **state)
{
	char *exported = load(TABLE_SOURCE "/lib/filemap.map"), *names = swept(), *next = NULL;
	int missing = 0, swept_ones = 0;

	(void)state;
	for (char *word = strtok_r(exported, " \t\n;", &next); word != NULL;
	     word = strtok_r(NULL, " \t\n;", &next)) {
		if (strncmp(word, "filemap_", 8) != 0)
			continue;
		const char *name = word + 8;
		const bool has_lines = contains(names, name),
			   is_pure = contains(pure, name) || is_typed(name);
		swept_ones += has_lines;
		if (has_lines != is_pure)
			continue;
		printf("%s: filemap_%s\n", is_pure ? "pure, and swept" : "neither swept nor pure", name);
		missing++;
	}
	free(exported);
	free(names);
	assert_true(swept_ones > 60);
	assert_int_equal(missing, 0);
}

static void every_call_of_the_seam_has_its_errnos(void **state)
{
	char *header = load(TABLE_SOURCE "/lib/sys/sys.h");
	const char *at = header;
	int missing = 0, found = 0;

	(void)state;
	while ((at = strstr(at, "fm__sys_")) != NULL) {
		char name[40];
		at += strlen("fm__sys_");
		const size_t length = strspn(at, "abcdefghijklmnopqrstuvwxyz_0123456789");
		snprintf(name, sizeof name, "%.*s", (int)length, at);
		if (at[length] != '(' || length == 0)
			continue;
		found++;
		if (table_plausible(name) == NULL && !contains(infallible, name)) {
			printf("no errnos: fm__sys_%s\n", name);
			missing++;
		}
	}
	free(header);
	assert_true(found > 70);
	assert_int_equal(missing, 0);
}

T_MAIN(T_PLAIN(every_exported_function_has_lines_or_is_pure), T_PLAIN(every_call_of_the_seam_has_its_errnos))
