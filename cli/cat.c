/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * filemap cat: files to standard output. The bytes go from the mapping into write(2) and are touched by the kernel
 * alone: where a file is being cut, or its device breaks, write(2) fails with EFAULT, while a copy into the buffers
 * of stdio would end the command by SIGBUS.
 */
#include "cli.h"
#include "open.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>

struct request {
	uint32_t lock_family;
	uint64_t offset, length, max;
};

static int tell_fault(const char *path, const struct filemap *map, uint64_t position)
{
	struct filemap_stat st;

	if (filemap_stat(map, &st) == 0 && st.size <= position)
		cli_error("%s: it was cut to %llu bytes while it was read", path,
			  (unsigned long long)st.size);
	else
		cli_error("%s: byte %llu cannot be read", path, (unsigned long long)position);
	return CLI_FAILED;
}

static int write_range(const char *path, const struct filemap *map, const struct request *request)
{
	const uint64_t size = filemap_size(map);
	const uint64_t start = request->offset < size ? request->offset : size;
	const uint64_t length = request->length < size - start ? request->length : size - start;
	const unsigned char *data = filemap_data(map);
	size_t written;
	int r = cli_write_all(data + start, (size_t)length, &written);

	if (r == -EFAULT)
		return tell_fault(path, map, start + written);
	return r < 0 ? cli_fail("standard output", r, NULL) : CLI_OK;
}

static int cat_file(const char *path, const struct request *request)
{
	const size_t max = request->max < FILEMAP_TO_END ? (size_t)request->max : FILEMAP_TO_END;
	struct filemap *map;
	int status = cli_open_stream(path, max, request->lock_family, &map);

	if (status != CLI_OK)
		return status;
	status = write_range(path, map, request);
	filemap_close(map);
	return status;
}

static int parse_option(const struct cli_command *self, int option, struct request *request)
{
	uint64_t *number = option == 'o'   ? &request->offset
			   : option == 'l' ? &request->length
					   : &request->max;

	if (option == '?')
		return CLI_USAGE;
	if (option == 'n')
		request->lock_family = FILEMAP_LOCK_NONE;
	else if (!cli_parse_size(optarg, number))
		return cli_usage(self, "not a number of bytes:", optarg);
	return CLI_OK;
}

static int parse(const struct cli_command *self, int argc, char **argv, struct request *ret)
{
	static const struct option options[] = {
		{"no-lock", no_argument, NULL, 'n'},
		{"offset", required_argument, NULL, 'o'},
		{"length", required_argument, NULL, 'l'},
		{"max", required_argument, NULL, 'm'},
		{0},
	};
	int c;

	*ret = (struct request){FILEMAP_LOCK_DEFAULT, 0, UINT64_MAX, UINT64_MAX};
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (parse_option(self, c, ret) != CLI_OK)
			return CLI_USAGE;
	return optind == argc ? cli_usage(self, "no file given", NULL) : CLI_OK;
}

static int run(const struct cli_command *self, int argc, char **argv)
{
	struct request request;
	int status = parse(self, argc, argv, &request);

	if (status != CLI_OK)
		return status;
	signal(SIGPIPE, SIG_IGN); /* a reader that went away is told like a full disk */
	for (; optind < argc; optind++)
		if (cat_file(argv[optind], &request) != CLI_OK)
			status = CLI_FAILED;
	return status;
}

const struct cli_command cli_cat = {
	"cat",
	"[--length N] [--max N] [--no-lock] [--offset N] FILE|-...",
	"write files to standard output",
	"  --length N  at most N bytes of each file (K, M, G and T count in 1024s)\n"
	"  --max N     refuse a file, or standard input, that has more than N bytes\n"
	"  --no-lock   read a file that somebody holds locked, too\n"
	"  --offset N  leave out the first N bytes of each file\n\n"
	"\"-\" is standard input; FIFOs and files of /proc can be read as well.\n",
	run,
};
