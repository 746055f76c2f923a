/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* filemap copy: a new file with the content of another one, durable when its name appears. */
#include "cli.h"
#include "open.h"

#include <getopt.h>

static int copy(const char *from, const char *to, uint32_t lock_family)
{
	struct filemap_error error = {0};
	struct filemap *map;
	int r = cli_open_stream(from, FILEMAP_TO_END, lock_family, &map);

	if (r != CLI_OK)
		return r;
	r = filemap_copy_to(map, 0, FILEMAP_TO_END, to, &error);
	filemap_close(map);
	return r < 0 ? cli_fail(to, r, &error) : CLI_OK;
}

static int run(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {{"no-lock", no_argument, NULL, 'n'}, {0}};
	uint32_t lock_family = FILEMAP_LOCK_DEFAULT;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c != 'n')
			return CLI_USAGE;
		lock_family = FILEMAP_LOCK_NONE;
	}
	if (optind + 2 != argc)
		return cli_usage(self, "a file and the name of a new one are needed", NULL);
	return copy(argv[optind], argv[optind + 1], lock_family);
}

const struct cli_command cli_copy = {
	"copy",
	"[--no-lock] FILE|- NEW",
	"copy a file to a new one, which is complete and durable when it appears",
	"  --no-lock   read a file that somebody holds locked, too\n\n"
	"A file that exists is never overwritten. \"-\" is standard input.\n",
	run,
};
