/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* filemap info: what a file is and how it would be mapped. */
#include "cli.h"
#include "open.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

static void modified_text(const struct filemap_stat *st, char *text, size_t size)
{
	const time_t seconds = (time_t)st->modified_seconds;
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(text, size, "%" PRId64, st->modified_seconds);
}

static void print_text(const char *path, const struct filemap_stat *st, const char *lock)
{
	char modified[40];

	modified_text(st, modified, sizeof modified);
	printf("%s\n", path);
	printf("  size       %" PRIu64 " bytes\n", st->size);
	printf("  allocated  %" PRIu64 " bytes\n", st->blocks * 512);
	printf("  identity   device %" PRIu64 ", inode %" PRIu64 "\n", st->device, st->inode);
	printf("  links      %" PRIu64 "\n", st->links);
	printf("  access     %04o, owner %" PRIu32 ", group %" PRIu32 "\n", st->mode & 07777u, st->owner,
	       st->group);
	printf("  modified   %s\n", modified);
	printf("  lock       %s\n", lock);
}

static void print_json(const char *path, const struct filemap_stat *st, const char *lock)
{
	fputs("{\"path\":", stdout);
	cli_json_string(path);
	printf(",\"size\":%" PRIu64 ",\"allocated\":%" PRIu64 ",\"device\":%" PRIu64 ",\"inode\":%" PRIu64
	       ",\"links\":%" PRIu64 ",\"mode\":\"%04o\",\"owner\":%" PRIu32 ",\"group\":%" PRIu32
	       ",\"modified\":%" PRId64 ",\"lock\":\"%s\"}\n",
	       st->size, st->blocks * 512, st->device, st->inode, st->links, st->mode & 07777u, st->owner,
	       st->group, st->modified_seconds, lock);
}

struct request {
	uint32_t lock_family;
	void (*print)(const char *path, const struct filemap_stat *st, const char *lock);
};

static int info_file(const char *path, const struct request *request)
{
	const bool locked = request->lock_family != FILEMAP_LOCK_NONE;
	struct filemap_stat st;
	struct filemap *map;
	int r = cli_open(path, request->lock_family, &map);

	if (r != CLI_OK)
		return r;
	r = filemap_stat(map, &st);
	if (r >= 0)
		request->print(path, &st, locked ? "shared, taken" : "none");
	filemap_close(map);
	return r < 0 ? cli_fail(path, r, NULL) : CLI_OK;
}

static int run(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"no-lock", no_argument, NULL, 'n'},
		{"json", no_argument, NULL, 'j'},
		{0},
	};
	struct request request = {FILEMAP_LOCK_DEFAULT, print_text};
	int status = CLI_OK;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'n')
			request.lock_family = FILEMAP_LOCK_NONE;
		else if (c == 'j')
			request.print = print_json;
		else
			return CLI_USAGE;
	}
	if (optind == argc)
		return cli_usage(self, "no file given", NULL);
	for (; optind < argc; optind++)
		if (info_file(argv[optind], &request) != CLI_OK)
			status = CLI_FAILED;
	return cli_finish_output() == CLI_OK ? status : CLI_FAILED;
}

const struct cli_command cli_info = {
	"info",
	"[--json] [--no-lock] FILE...",
	"show size, identity and lock of files",
	"  --json      one JSON object a line\n"
	"  --no-lock   do not ask for the shared lock\n",
	run,
};
