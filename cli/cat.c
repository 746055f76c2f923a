/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* filemap cat: files to standard output, through a read-only mapping. */
#include "cli.h"
#include "open.h"

#include <getopt.h>
#include <stdio.h>

static int write_map(const struct filemap *map)
{
	const size_t size = filemap_size(map);
	if (size != 0 && fwrite(filemap_data(map), 1, size, stdout) != size)
		return cli_finish_output();
	return CLI_OK;
}

static int cat_file(const char *path, uint32_t lock_family)
{
	struct filemap *map;
	int status = cli_open(path, lock_family, &map);

	if (status != CLI_OK)
		return status;
	status = write_map(map);
	filemap_close(map);
	return status;
}

static int run(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {{"no-lock", no_argument, NULL, 'n'}, {0}};
	uint32_t lock_family = FILEMAP_LOCK_DEFAULT;
	int status = CLI_OK;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c != 'n')
			return CLI_USAGE;
		lock_family = FILEMAP_LOCK_NONE;
	}
	if (optind == argc)
		return cli_usage(self, "no file given", NULL);
	for (; optind < argc; optind++)
		if (cat_file(argv[optind], lock_family) != CLI_OK)
			status = CLI_FAILED;
	if (cli_finish_output() != CLI_OK)
		status = CLI_FAILED;
	return status;
}

const struct cli_command cli_cat = {
	"cat",
	"[--no-lock] FILE...",
	"write files to standard output",
	"  --no-lock   read a file that somebody holds locked, too\n",
	run,
};
