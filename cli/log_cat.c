/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* filemap log cat: the records of a log to standard output. */
#include "cli.h"

#include <getopt.h>
#include <stdio.h>

struct request {
	uint32_t level;
	int (*put)(const struct filemap_log_record *record);
};

static int put_line(const struct filemap_log_record *record)
{
	if (record->length != 0 && fwrite(record->data, 1, record->length, stdout) != record->length)
		return -1;
	return putchar('\n') == EOF ? -1 : 0;
}

static int put_prefixed(const struct filemap_log_record *record)
{
	const uint32_t n = (uint32_t)record->length;
	const unsigned char prefix[4] = {(unsigned char)n, (unsigned char)(n >> 8), (unsigned char)(n >> 16),
					 (unsigned char)(n >> 24)};

	if (fwrite(prefix, 1, sizeof prefix, stdout) != sizeof prefix)
		return -1;
	return fwrite(record->data, 1, record->length, stdout) == record->length ? 0 : -1;
}

static int copy(struct filemap_log_reader *reader, const struct request *request, const char *dir)
{
	struct filemap_log_record record;
	int r;

	while ((r = filemap_log_reader_next(reader, &record)) > 0)
		if (request->put(&record) < 0)
			return cli_finish_output();
	if (r < 0) {
		fflush(stdout);
		return cli_fail(dir, r, NULL);
	}
	return cli_finish_output();
}

static int parse(const struct cli_command *self, int argc, char **argv, struct request *ret)
{
	static const struct option options[] = {
		{"length-prefixed", no_argument, NULL, 'l'},
		{"durable", no_argument, NULL, 'd'},
		{0},
	};
	int c;

	*ret = (struct request){FILEMAP_PUBLISHED, put_line};
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'l')
			ret->put = put_prefixed;
		else if (c == 'd')
			ret->level = FILEMAP_DURABLE;
		else
			return CLI_USAGE;
	}
	if (optind + 1 != argc)
		return cli_usage(self, "exactly one directory is needed", NULL);
	return CLI_OK;
}

static int run(const struct cli_command *self, int argc, char **argv)
{
	struct filemap_log_reader_options options = {.struct_size = sizeof options};
	struct filemap_error error = {0};
	struct filemap_log_reader *reader;
	struct request request;
	int r = parse(self, argc, argv, &request);

	if (r != CLI_OK)
		return r;
	options.level = request.level;
	options.flags = FILEMAP_LOG_COPY; /* stdio touches the bytes, and nobody can guard that */
	r = filemap_log_reader_open(argv[optind], &options, &reader, NULL, &error);
	if (r < 0)
		return cli_fail(argv[optind], r, &error);
	r = copy(reader, &request, argv[optind]);
	filemap_log_reader_close(reader);
	return r;
}

const struct cli_command cli_log_cat = {
	"log cat",
	"[--durable] [--length-prefixed] DIR",
	"write the records of a log, a line each",
	"  --durable           only what is known to be on the device, not what a living writer has\n"
	"                      published since, or a killed one had\n"
	"  --length-prefixed   u32 little-endian length, then the payload, instead of lines\n",
	run,
};
