/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* filemap log verify and log info: look at a log without changing it. */
#include "cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

struct request {
	unsigned flags;
	void (*print)(const char *dir, const struct filemap_log_report *report);
};

static const struct option long_options[] = {
	{"deep", no_argument, NULL, 'd'},
	{"json", no_argument, NULL, 'j'},
	{0},
};

static int parse(const struct cli_command *self, int argc, char **argv, struct request *ret)
{
	int c;

	*ret = (struct request){.print = cli_log_report};
	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (c == 'd')
			ret->flags |= FILEMAP_LOG_DEEP;
		else if (c == 'j')
			ret->print = cli_log_report_json;
		else
			return CLI_USAGE;
	}
	if (optind + 1 != argc)
		return cli_usage(self, "exactly one directory is needed", NULL);
	return CLI_OK;
}

static int verify_status(int r)
{
	if (r == FILEMAP_ECORRUPT)
		return CLI_CORRUPT;
	return r == -EIO ? CLI_IO_ERROR : CLI_FAILED;
}

static int run_verify(const struct cli_command *self, int argc, char **argv)
{
	static const int statuses[] = {CLI_OK, CLI_TORN, CLI_CORRUPT};
	struct filemap_log_report report;
	struct filemap_error error = {0};
	struct request request;
	int r = parse(self, argc, argv, &request);

	if (r != CLI_OK)
		return r;
	r = filemap_log_verify(argv[optind], request.flags, &report, &error);
	if (r < 0) {
		cli_fail(argv[optind], r, &error);
		return verify_status(r);
	}
	request.print(argv[optind], &report);
	r = cli_finish_output();
	return r != CLI_OK ? r : statuses[report.state];
}

static int run_info(const struct cli_command *self, int argc, char **argv)
{
	struct filemap_log_report report;
	struct filemap_error error = {0};
	struct request request;
	int r = parse(self, argc, argv, &request);

	if (r != CLI_OK)
		return r;
	r = filemap_log_verify(argv[optind], request.flags, &report, &error);
	if (r < 0)
		return cli_fail(argv[optind], r, &error);
	request.print(argv[optind], &report);
	return cli_finish_output();
}

const struct cli_command cli_log_verify = {
	"log verify",
	"[--deep] [--json] DIR",
	"check a log and say whether it is clean",
	"  --deep      read every record of every segment, not only the unsealed end\n"
	"  --json      the report as one JSON object\n\n"
	"Changes nothing. Exit status: 0 clean, 3 torn tail, 4 corrupt, 5 I/O error.\n",
	run_verify,
};

const struct cli_command cli_log_info = {
	"log info",
	"[--deep] [--json] DIR",
	"show a log's extent, geometry and state",
	"  --deep      count the records of all segments, not only of the unsealed end\n"
	"  --json      the report as one JSON object\n",
	run_info,
};
