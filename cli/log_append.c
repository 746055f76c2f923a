/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* filemap log append: the arguments, and opening and closing what the loop works on. */
#include "log_append.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static const struct option long_options[] = {
	{"acks", no_argument, NULL, 'a'},
	{"backend", required_argument, NULL, 'b'},
	{"json", no_argument, NULL, 'j'},
	{"length-prefixed", no_argument, NULL, 'l'},
	{"quiet", no_argument, NULL, 'q'},
	{"segment-size", required_argument, NULL, 's'},
	{0},
};

static int parse_option(const struct cli_command *self, int c, struct append_request *request)
{
	switch (c) {
	case 'a':
		request->acks = true;
		return CLI_OK;
	case 'b':
		if (cli_parse_backend(optarg, &request->backend))
			return CLI_OK;
		return cli_usage(self, "--backend is io_uring or threads, not", optarg);
	case 'j':
		request->json = true;
		return CLI_OK;
	case 'l':
		request->split = cli_input_prefixed;
		return CLI_OK;
	case 'q':
		request->quiet = true;
		return CLI_OK;
	case 's':
		if (cli_parse_size(optarg, &request->segment_size))
			return CLI_OK;
		return cli_usage(self, "--segment-size is a number of bytes (K, M, G), not", optarg);
	default:
		return CLI_USAGE;
	}
}

static int parse(const struct cli_command *self, int argc, char **argv, struct append_request *ret)
{
	int c;

	*ret = (struct append_request){.backend = FILEMAP_QUEUE_AUTO, .split = cli_input_line};
	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		int status = parse_option(self, c, ret);
		if (status != CLI_OK)
			return status;
	}
	if (optind == argc || argc - optind > 2)
		return cli_usage(self, "a directory is needed, and at most one file", NULL);
	ret->dir = argv[optind];
	ret->file = optind + 1 < argc ? argv[optind + 1] : NULL;
	return CLI_OK;
}

static int open_input(struct appender *a)
{
	a->input = (struct cli_input){.fd = STDIN_FILENO, .split = a->request->split};
	if (!a->request->file)
		return CLI_OK;
	a->input.fd = open(a->request->file, O_RDONLY | O_CLOEXEC);
	return a->input.fd < 0 ? cli_fail(a->request->file, -errno, NULL) : CLI_OK;
}

static int open_queue(struct appender *a)
{
	struct filemap_error error = {0};
	const int r = filemap_queue_open(
		FILEMAP_QUEUE_OPTIONS(.flags = FILEMAP_QUEUE_ONE_THREAD, .backend = a->request->backend),
		&a->queue, &error);

	return r < 0 ? cli_fail("queue", r, &error) : CLI_OK;
}

static void tell_recovery(const struct appender *a, const struct filemap_log_report *report)
{
	if (a->request->quiet || (report->state == FILEMAP_LOG_CLEAN && report->scanned_from == report->end))
		return;
	fprintf(stderr,
		"%s: recovered (%s): %" PRIu64 " records from position %" PRIu64 " to %" PRIu64 ", %" PRIu64
		" bytes behind put aside, epoch %" PRIu32 "\n",
		a->request->dir, cli_log_state(report->state), report->records, report->scanned_from,
		report->end, report->discarded, report->epoch);
}

static int open_log(struct appender *a)
{
	struct filemap_log_report report;
	struct filemap_error error = {0};
	const int r = filemap_log_open(a->request->dir,
				       FILEMAP_LOG_OPTIONS(.flags = FILEMAP_LOG_CREATE, .queue = a->queue,
							   .segment_size = a->request->segment_size),
				       &a->log, &report, &error);

	if (r < 0)
		return cli_fail(a->request->dir, r, &error);
	tell_recovery(a, &report);
	a->durable = filemap_log_durable(a->log);
	return CLI_OK;
}

static int append_and_finish(struct appender *a)
{
	struct filemap_error error = {0};
	int status = append_all(a);
	const int r = filemap_log_finish(a->log, &error);

	if (r < 0 && status == CLI_OK)
		status = cli_fail(a->request->dir, r, &error);
	append_summary(a);
	return status;
}

/* The input first: a file that cannot be read must not leave an empty log behind. */
static int run_request(struct appender *a)
{
	int status = open_input(a);

	if (status == CLI_OK)
		status = open_queue(a);
	if (status == CLI_OK)
		status = open_log(a);
	return status == CLI_OK ? append_and_finish(a) : status;
}

static int run(const struct cli_command *self, int argc, char **argv)
{
	struct append_request request;
	struct appender a = {.request = &request, .opened_ns = append_now_ns()};
	int status = parse(self, argc, argv, &request);

	if (status != CLI_OK)
		return status;
	a.told_ns = a.opened_ns;
	a.progress = !request.quiet && isatty(STDERR_FILENO);
	status = run_request(&a);
	filemap_log_close(a.log);
	filemap_queue_close(a.queue);
	cli_input_done(&a.input);
	cli_acks_done(&a.acks);
	if (cli_finish_output() != CLI_OK)
		status = CLI_FAILED;
	return status;
}

const struct cli_command cli_log_append = {
	"log append",
	"[OPTION...] DIR [FILE]",
	"append lines of a file or of standard input",
	"  --acks               print `durable RECORDS LSN` whenever more became durable\n"
	"  --backend NAME       flush through io_uring or threads (default: io_uring where it works)\n"
	"  --json               print the summary as a JSON object on standard output\n"
	"  --length-prefixed    input: u32 little-endian length, then the payload, instead of lines\n"
	"  --quiet              no progress, no summary\n"
	"  --segment-size SIZE  of a new log: a power of two from 1M to 1G (default 64M)\n\n"
	"DIR is made if it does not exist. Nothing is called durable before it is on the device.\n",
	run,
};
