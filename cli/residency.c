/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * filemap residency: which pages of a file are in memory. Each cell is asked for by itself, at a moment of its own;
 * the total is their sum, so that numbers and picture agree.
 */
#include "residency.h"
#include "open.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DEFAULT_WIDTH ((size_t)64)
#define LEAST_WIDTH ((size_t)10)
#define GREATEST_WIDTH ((size_t)65536)
#define MARGIN ((size_t)4) /* what stands around the cells */

struct request {
	uint32_t lock_family;
	size_t width;
	void (*print)(const struct cli_picture *picture);
};

static size_t default_width(void)
{
	struct winsize window;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) < 0 || window.ws_col == 0)
		return DEFAULT_WIDTH;
	return window.ws_col > LEAST_WIDTH + MARGIN ? window.ws_col - MARGIN : LEAST_WIDTH;
}

static void add(uint64_t *sum, uint64_t pages)
{
	*sum = *sum == FILEMAP_UNKNOWN || pages == FILEMAP_UNKNOWN ? FILEMAP_UNKNOWN : *sum + pages;
}

static int look(const struct filemap *map, size_t begin, size_t end, struct cli_picture *picture)
{
	struct filemap_residency *cell = &picture->cells[picture->count];
	const int r = filemap_residency(map, begin, end - begin, cell);

	if (r < 0)
		return r;
	add(&picture->total.resident, cell->resident);
	add(&picture->total.dirty, cell->dirty);
	add(&picture->total.writeback, cell->writeback);
	picture->count++;
	return 0;
}

/* Cell i of n begins at page i * pages / n, without letting the product overflow. */
static size_t boundary(uint64_t pages, size_t cells, size_t i)
{
	return (size_t)(pages / cells * i + pages % cells * i / cells);
}

static int fill(const struct filemap *map, size_t cells, struct cli_picture *picture)
{
	const size_t size = filemap_size(map);
	const size_t page = (size_t)picture->total.page_size;

	for (size_t i = 0; i < cells; i++) {
		const size_t begin = boundary(picture->total.pages, cells, i) * page;
		const size_t end = boundary(picture->total.pages, cells, i + 1) * page;
		const int r = look(map, begin, i + 1 == cells || end > size ? size : end, picture);
		if (r < 0)
			return r;
	}
	return 0;
}

static int draw(const char *path, const struct filemap *map, size_t width, struct cli_picture **ret)
{
	struct filemap_residency whole;
	struct cli_picture *picture;
	size_t cells;
	int r = filemap_residency(map, 0, FILEMAP_TO_END, &whole);

	if (r < 0)
		return r;
	cells = whole.pages < width ? (size_t)whole.pages : width;
	picture = calloc(1, sizeof *picture + cells * sizeof *picture->cells);
	if (!picture)
		return -ENOMEM;
	picture->path = path;
	picture->total.page_size = whole.page_size;
	picture->total.pages = whole.pages;
	r = fill(map, cells, picture);
	if (r < 0)
		free(picture);
	else
		*ret = picture;
	return r;
}

static int tell_failed(const char *path, int r)
{
	if (r != -EPERM)
		return cli_fail(path, r, NULL);
	cli_error("%s: %s; the kernel tells only owners, and who may write the file", path,
		  filemap_strerror(r));
	return CLI_FAILED;
}

static int show_file(const char *path, const struct request *request)
{
	struct cli_picture *picture;
	struct filemap *map;
	int r = cli_open(path, request->lock_family, &map);

	if (r != CLI_OK)
		return r;
	r = draw(path, map, request->width, &picture);
	filemap_close(map);
	if (r < 0)
		return tell_failed(path, r);
	request->print(picture);
	free(picture);
	return CLI_OK;
}

static bool parse_width(const char *text, size_t *ret)
{
	uint64_t width;

	if (!cli_parse_number(text, &width) || width == 0 || width > GREATEST_WIDTH)
		return false;
	*ret = (size_t)width;
	return true;
}

static int parse(const struct cli_command *self, int argc, char **argv, struct request *ret)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"no-lock", no_argument, NULL, 'n'},
		{"width", required_argument, NULL, 'w'},
		{0},
	};
	int c;

	*ret = (struct request){FILEMAP_LOCK_DEFAULT, default_width(), cli_picture_text};
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'j')
			ret->print = cli_picture_json;
		else if (c == 'n')
			ret->lock_family = FILEMAP_LOCK_NONE;
		else if (c != 'w')
			return CLI_USAGE;
		else if (!parse_width(optarg, &ret->width))
			return cli_usage(self, "not a number of cells from 1 to 65536:", optarg);
	}
	return optind == argc ? cli_usage(self, "no file given", NULL) : CLI_OK;
}

static int run(const struct cli_command *self, int argc, char **argv)
{
	struct request request;
	int status = parse(self, argc, argv, &request);

	if (status != CLI_OK)
		return status;
	for (; optind < argc; optind++)
		if (show_file(argv[optind], &request) != CLI_OK)
			status = CLI_FAILED;
	return cli_finish_output() == CLI_OK ? status : CLI_FAILED;
}

const struct cli_command cli_residency = {
	"residency",
	"[--json] [--no-lock] [--width N] FILE...",
	"show which pages of files are in memory",
	"  --json      one JSON object a line\n"
	"  --no-lock   do not ask for the shared lock\n"
	"  --width N   cells in the picture; default: as wide as the terminal, or 64\n",
	run,
};
