/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* filemap rm: names of files removed durably, the right ones; and what a crash left hidden given back. */
#include "name.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <unistd.h>

struct request {
	bool json, quiet, recover;
	const struct filemap_identity *expect;
	struct filemap_identity identity;
};

static void put_bit(const char *name, int value)
{
	printf(",\"%s\":%s", name, value ? "true" : "false");
}

static void put_string(const char *name, const char *text)
{
	printf(",\"%s\":", name);
	if (text)
		cli_json_string(text);
	else
		fputs("null", stdout);
}

static void print_json(const char *path, int r, const struct filemap_error *error)
{
	fputs("{\"path\":", stdout);
	cli_json_string(path);
	put_bit("removed", r >= 0);
	if (r >= 0) {
		put_bit("still_linked", r & FILEMAP_STILL_LINKED);
		put_bit("weakly_checked", r & FILEMAP_WEAKLY_CHECKED);
	} else {
		put_string("error", filemap_error_name(r));
		put_string("left_as", cli_kept(path, error));
	}
	puts("}");
}

static void note(const char *path, int result)
{
	if (result & FILEMAP_STILL_LINKED)
		cli_error("%s: removed; the file has further names", path);
	if (result & FILEMAP_WEAKLY_CHECKED)
		cli_error("%s: removed in the weaker way: a file moved onto the name just then is lost",
			  path);
}

static int remove_name(const char *path, const struct request *request)
{
	struct filemap_error error = {0};
	const int r = filemap_remove_file(AT_FDCWD, path, request->expect, &error);

	if (request->json)
		print_json(path, r, &error);
	if (r < 0)
		return cli_name_failed(path, r, &error);
	if (!request->quiet)
		note(path, r);
	return CLI_OK;
}

/* After a failure nobody has counted. */
static void print_recovered_json(const char *path, int r, const struct filemap_error *error)
{
	fputs("{\"path\":", stdout);
	cli_json_string(path);
	if (r >= 0) {
		printf(",\"given_back\":%d", r);
	} else {
		put_string("given_back", NULL);
		put_string("error", filemap_error_name(r));
		put_string("left_as", cli_kept(path, error));
	}
	puts("}");
}

static void print_recovered(const char *path, int count)
{
	cli_put_text(stdout, path);
	printf(": %d %s given back\n", count, count == 1 ? "name" : "names");
}

static int recover(const char *path, const struct request *request)
{
	struct filemap_error error = {0};
	const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const int r = fd < 0 ? -errno : filemap_recover_quarantine(fd, &error);

	if (fd >= 0)
		close(fd);
	if (request->json)
		print_recovered_json(path, r, &error);
	if (r < 0)
		return cli_fail(path, r, &error);
	if (!request->json && !request->quiet)
		print_recovered(path, r);
	return CLI_OK;
}

static int parse_option(const struct cli_command *self, int option, struct request *request)
{
	switch (option) {
	case 'e':
		request->expect = &request->identity;
		return cli_parse_identity(self, optarg, &request->identity);
	case 'j':
		request->json = true;
		return CLI_OK;
	case 'q':
		request->quiet = true;
		return CLI_OK;
	case 'r':
		request->recover = true;
		return CLI_OK;
	default:
		return CLI_USAGE;
	}
}

static int parse(const struct cli_command *self, int argc, char **argv, struct request *ret)
{
	static const struct option options[] = {
		{"expect", required_argument, NULL, 'e'},
		{"json", no_argument, NULL, 'j'},
		{"quiet", no_argument, NULL, 'q'},
		{"recover", no_argument, NULL, 'r'},
		{0},
	};
	int c;

	*ret = (struct request){0};
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		const int status = parse_option(self, c, ret);
		if (status != CLI_OK)
			return status;
	}
	if (optind == argc)
		return cli_usage(self, ret->recover ? "no directory given" : "no file given", NULL);
	if (ret->expect && ret->recover)
		return cli_usage(self, "--expect and --recover exclude each other", NULL);
	if (ret->expect && argc - optind > 1)
		return cli_usage(self, "--expect is for one file", NULL);
	return CLI_OK;
}

static int run(const struct cli_command *self, int argc, char **argv)
{
	struct request request;
	int status = parse(self, argc, argv, &request);

	if (status != CLI_OK)
		return status;
	for (; optind < argc; optind++)
		if ((request.recover ? recover : remove_name)(argv[optind], &request) != CLI_OK)
			status = CLI_FAILED;
	return cli_finish_output() == CLI_OK ? status : CLI_FAILED;
}

const struct cli_command cli_rm = {
	"rm",
	"[--expect IDENTITY] [--json] [--quiet] FILE... | --recover [--json] [--quiet] DIRECTORY...",
	"remove files durably, and no others that take their names meanwhile",
	"  --expect IDENTITY  only if FILE is that file, as `filemap info` prints it\n"
	"  --json             one JSON object a line: what became of each\n"
	"  --quiet            no notes on further names, nor on weaker checks; no counts of --recover\n"
	"  --recover          give files that a crash left hidden in DIRECTORY their names back\n\n"
	"Symbolic links and directories are refused. A failure does not keep the others from being "
	"removed.\n",
	run,
};
