/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Counts the lines of a file in place, as often as it is asked, and lives on when somebody cuts the file: what was
 * counted up to there is printed, with the reason.
 *
 * usage: scan FILE    reads lines from standard input; prints a count for each
 */
#include <filemap/filemap.h>

#include <stdio.h>
#include <string.h>

struct count {
	const struct filemap *map;
	volatile size_t done; /* volatile: what changes in a guarded call is wanted after a jump out of it */
	volatile uint64_t lines;
};

/* Loads and arithmetic only: this may be abandoned at any load. */
static int count_lines(void *context)
{
	struct count *count = context;
	const char *data = filemap_data(count->map);
	const size_t size = filemap_size(count->map);
	const char *end;

	while (count->done < size) {
		end = memchr(data + count->done, '\n', size - count->done);
		if (!end)
			break;
		count->lines++;
		count->done = (size_t)(end - data) + 1;
	}
	return 0;
}

static const char *reason(uint32_t cause)
{
	switch (cause) {
	case FILEMAP_FAULT_PAST_END:
		return "the file was cut";
	case FILEMAP_FAULT_IO:
		return "the device failed";
	case FILEMAP_FAULT_HWPOISON:
		return "broken memory";
	default:
		return "it could not be read for a moment";
	}
}

static void count_once(const struct filemap *map)
{
	struct count count = {.map = map};
	struct filemap_fault fault;
	int r = filemap_guarded_call(&map, 1, count_lines, &count, NULL, &fault);

	printf("%llu lines", (unsigned long long)count.lines);
	if (r == FILEMAP_EFAULT)
		printf(" before byte %llu: %s", (unsigned long long)fault.offset, reason(fault.cause));
	else if (r < 0)
		printf(": %s", filemap_strerror(r));
	printf("\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct filemap_error error;
	struct filemap *map;
	char text[512];
	int c;

	if (argc != 2) {
		fprintf(stderr, "usage: scan FILE    (a count for each line of standard input)\n");
		return 2;
	}
	/* Once, at the start of the program: a process has one handler of SIGBUS. */
	if (filemap_guard_install(&error) < 0 ||
	    filemap_open(argv[1], FILEMAP_READ, NULL, &map, &error) < 0) {
		filemap_error_format(&error, text, sizeof text);
		fprintf(stderr, "scan: %s\n", text);
		return 2;
	}
	while ((c = getchar()) != EOF)
		if (c == '\n')
			count_once(map);
	filemap_close(map);
	return filemap_guard_uninstall() < 0;
}
