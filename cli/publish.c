/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * filemap publish and filemap replace: a name for content that is complete and durable. The source is opened before
 * the new file is begun, so that what cannot be read changes nothing.
 */
#include "name.h"
#include "source.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

struct request {
	const char *path, *from;
	uint32_t lock_family;
	bool quiet;
	struct filemap_new_options options;
	struct filemap_identity expect;
};

typedef int put_fn(int dirfd, const char *path, filemap_fill_fn *fill, void *context,
		   const struct filemap_new_options *options, struct filemap_error *reterr);

/* Whether it was the source or the disk that failed, the two names are what there is to say. */
static int put_failed(const struct request *request, const struct cli_source *source, int code,
		      const struct filemap_error *error)
{
	if (source->result >= 0)
		return cli_name_failed(request->path, code, error);
	cli_error("%s: copy from %s: %s", request->path, source->name, filemap_strerror(code));
	return CLI_FAILED;
}

static int put(const struct request *request, put_fn *function)
{
	struct filemap_error error = {0};
	struct cli_source source;
	int r = cli_source_open(request->from, request->lock_family, &source);

	if (r != CLI_OK)
		return r;
	signal(SIGXFSZ, SIG_IGN); /* a file that gets too large is told like a full disk */
	r = function(AT_FDCWD, request->path, cli_source_fill, &source, &request->options, &error);
	cli_source_close(&source);
	if (r < 0)
		return put_failed(request, &source, r, &error);
	if (r & FILEMAP_WEAKLY_CHECKED && !request->quiet)
		cli_error("%s: replaced in the weaker way: a file moved onto the name just then is lost",
			  request->path);
	return CLI_OK;
}

/* Nine bits, of which 0 means the default in the library. */
static int parse_mode(const struct cli_command *self, const char *text, uint32_t *ret)
{
	uint32_t mode = 0;

	for (const char *p = text; *p >= '0' && *p <= '7' && mode <= 0777; p++)
		mode = mode << 3 | (uint32_t)(*p - '0');
	if (text[strspn(text, "01234567")] != '\0' || mode == 0 || mode > 0777)
		return cli_usage(self, "not permissions from 1 to 777, in octal:", text);
	umask(0); /* what is asked for is what it gets */
	*ret = mode;
	return CLI_OK;
}

static int parse_option(const struct cli_command *self, int option, struct request *request)
{
	switch (option) {
	case 'e':
		request->options.expect = &request->expect;
		return cli_parse_identity(self, optarg, &request->expect);
	case 'f':
		request->from = optarg;
		return CLI_OK;
	case 'm':
		return parse_mode(self, optarg, &request->options.permissions);
	case 'n':
		request->lock_family = FILEMAP_LOCK_NONE;
		return CLI_OK;
	case 'p':
		request->options.flags |= FILEMAP_KEEP_MODE;
		return CLI_OK;
	case 'o':
		request->options.flags |= FILEMAP_KEEP_OWNER;
		return CLI_OK;
	case 'q':
		request->quiet = true;
		return CLI_OK;
	default:
		return CLI_USAGE;
	}
}

static int parse(const struct cli_command *self, int argc, char **argv, const struct option *options,
		 struct request *ret)
{
	int c;

	*ret = (struct request){.lock_family = FILEMAP_LOCK_DEFAULT};
	ret->options.struct_size = sizeof ret->options;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		const int status = parse_option(self, c, ret);
		if (status != CLI_OK)
			return status;
	}
	if (optind + 1 != argc)
		return cli_usage(self, "the name of one file is needed", NULL);
	ret->path = argv[optind];
	return CLI_OK;
}

static int run_publish(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"from", required_argument, NULL, 'f'},
		{"mode", required_argument, NULL, 'm'},
		{"no-lock", no_argument, NULL, 'n'},
		{0},
	};
	struct request request;
	const int status = parse(self, argc, argv, options, &request);

	return status == CLI_OK ? put(&request, filemap_publish) : status;
}

static int run_replace(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"expect", required_argument, NULL, 'e'}, {"from", required_argument, NULL, 'f'},
		{"keep-mode", no_argument, NULL, 'p'},    {"keep-owner", no_argument, NULL, 'o'},
		{"mode", required_argument, NULL, 'm'},   {"no-lock", no_argument, NULL, 'n'},
		{"quiet", no_argument, NULL, 'q'},        {0},
	};
	struct request request;
	const int status = parse(self, argc, argv, options, &request);

	return status == CLI_OK ? put(&request, filemap_replace_file) : status;
}

const struct cli_command cli_publish = {
	"publish",
	"[--from SOURCE] [--mode OCTAL] [--no-lock] FILE",
	"make a file appear under a new name, complete and durable",
	"  --from SOURCE  the content; default, and \"-\": standard input\n"
	"  --mode OCTAL   these permissions, whatever the umask; default: 0666 less the umask\n"
	"  --no-lock      read a SOURCE that somebody holds locked, too\n\n"
	"What exists is never overwritten. The file appears when all input was read, written and synced.\n",
	run_publish,
};

const struct cli_command cli_replace = {
	"replace",
	"[OPTION...] FILE",
	"give a file new content in one step, durably",
	"  --expect IDENTITY  only if FILE is that file, as `filemap info` prints it\n"
	"  --from SOURCE      the new content; default, and \"-\": standard input\n"
	"  --keep-mode        with the permissions of the old file\n"
	"  --keep-owner       with its owner and group\n"
	"  --mode OCTAL       these permissions, whatever the umask; default: 0666 less the umask; with\n"
	"                     --keep-mode they are for a FILE that does not exist\n"
	"  --no-lock          read a SOURCE that somebody holds locked, too\n"
	"  --quiet            no notes\n\n"
	"Whoever opens FILE finds the old content or the new, each complete; after a failure it is the old.\n"
	"A FILE that does not exist is made, except with --expect.\n",
	run_replace,
};
