/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* filemap resize: another length for a file, durably. It grows by blocks, not by a hole, unless that is wanted. */
#include "cli.h"
#include "open.h"

#include <getopt.h>
#include <inttypes.h>

struct request {
	const char *path;
	uint64_t bytes;
	char sign; /* '+' or '-': relative to the size that the file has; 0: its new size */
	uint32_t flags;
};

static bool parse_amount(const char *text, struct request *ret)
{
	const bool relative = text[0] == '+' || text[0] == '-';

	ret->sign = relative ? text[0] : '\0';
	return cli_parse_size(text + relative, &ret->bytes);
}

static bool new_size(const struct request *request, uint64_t size, uint64_t *ret)
{
	if (request->sign == '+' ? request->bytes > UINT64_MAX - size
				 : request->sign == '-' && request->bytes > size) {
		cli_error("%s: has %" PRIu64 " bytes, which cannot become %" PRIu64 " %s", request->path,
			  size, request->bytes, request->sign == '+' ? "more" : "fewer");
		return false;
	}
	*ret = request->sign == '+'   ? size + request->bytes
	       : request->sign == '-' ? size - request->bytes
				      : request->bytes;
	return true;
}

/* Under the lock: nobody who respects it changes the size between looking and resizing. */
static int resize(struct filemap *map, const struct request *request)
{
	struct filemap_error error = {0};
	struct filemap_stat st;
	uint64_t size;
	int r = filemap_stat(map, &st);

	if (r < 0)
		return cli_fail(request->path, r, NULL);
	if (!new_size(request, st.size, &size))
		return CLI_FAILED;
	r = filemap_resize(map, size, &error);
	if (r < 0)
		return cli_fail(request->path, r, &error);
	r = filemap_sync(map);
	return r < 0 ? cli_fail(request->path, r, NULL) : CLI_OK;
}

static int resize_file(const struct request *request)
{
	struct filemap_error error = {0};
	struct filemap *map;
	int r = filemap_open(request->path, FILEMAP_WRITE,
			     FILEMAP_OPTIONS(.flags = FILEMAP_EMPTY | request->flags), &map, &error);

	if (r < 0)
		return cli_open_failed(request->path, FILEMAP_LOCK_DEFAULT, true, r, &error, NULL);
	r = resize(map, request);
	filemap_close(map);
	return r;
}

/* Options end at FILE: what follows may begin with a minus. */
static int run(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {{"sparse", no_argument, NULL, 's'}, {0}};
	struct request request = {0};
	int c;

	while ((c = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (c != 's')
			return CLI_USAGE;
		request.flags = FILEMAP_SPARSE;
	}
	if (optind + 2 != argc)
		return cli_usage(self, "a file and a size are needed", NULL);
	request.path = argv[optind];
	if (!parse_amount(argv[optind + 1], &request))
		return cli_usage(self, "not a size:", argv[optind + 1]);
	return resize_file(&request);
}

const struct cli_command cli_resize = {
	"resize",
	"[--sparse] FILE SIZE",
	"give a file another length, durably",
	"  --sparse    grow by a hole: blocks are not reserved, and a full disk shows only later\n\n"
	"SIZE is a number of bytes, or with K, M, G or T in 1024s; +SIZE and -SIZE are relative to the\n"
	"size that the file has. Takes the exclusive lock.\n",
	run,
};
