/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* filemap info: what a file is, how it would be mapped, what of it is in memory, who has it locked. */
#include "info.h"
#include "open.h"

#include <getopt.h>

struct request {
	uint32_t lock_family;
	void (*print)(const struct cli_info *info);
};

static const char *mode_name(unsigned mode)
{
	static const char *const names[] = {[FILEMAP_READ] = "read",
					    [FILEMAP_EXEC] = "exec",
					    [FILEMAP_COW] = "cow",
					    [FILEMAP_WRITE] = "write"};

	return mode < sizeof names / sizeof *names && names[mode] ? names[mode] : "unknown";
}

static const char *lock_name(unsigned state)
{
	static const char *const names[] = {[FILEMAP_UNLOCKED] = "none",
					    [FILEMAP_SHARED_LOCK] = "shared",
					    [FILEMAP_EXCLUSIVE_LOCK] = "exclusive"};

	return state < sizeof names / sizeof *names ? names[state] : "unknown";
}

static int collect(const char *path, const struct filemap *map, struct cli_info *ret)
{
	struct filemap_identity identity;
	int r = filemap_stat(map, &ret->stat);

	if (r >= 0)
		r = filemap_identity(map, &identity);
	if (r < 0)
		return cli_fail(path, r, NULL);
	filemap_identity_format(&identity, ret->identity, sizeof ret->identity);
	ret->path = path;
	ret->mode = mode_name(filemap_mode(map));
	ret->lock = lock_name(filemap_lock_state(map));
	ret->reservable = filemap_reservable(map);
	ret->residency_result = filemap_residency(map, 0, FILEMAP_TO_END, &ret->residency);
	cli_holders_of_fd(filemap_fd(map), &ret->holders);
	return CLI_OK;
}

static int info_file(const char *path, const struct request *request)
{
	struct cli_info info;
	struct filemap *map;
	int r = cli_open(path, request->lock_family, &map);

	if (r != CLI_OK)
		return r;
	r = collect(path, map, &info);
	if (r == CLI_OK)
		request->print(&info);
	filemap_close(map);
	return r;
}

static int run(const struct cli_command *self, int argc, char **argv)
{
	static const struct option options[] = {
		{"no-lock", no_argument, NULL, 'n'},
		{"json", no_argument, NULL, 'j'},
		{0},
	};
	struct request request = {FILEMAP_LOCK_DEFAULT, cli_info_text};
	int status = CLI_OK;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'n')
			request.lock_family = FILEMAP_LOCK_NONE;
		else if (c == 'j')
			request.print = cli_info_json;
		else
			return CLI_USAGE;
	}
	if (optind == argc)
		return cli_usage(self, "no file given", NULL);
	for (; optind < argc; optind++)
		if (info_file(argv[optind], &request) != CLI_OK)
			status = CLI_FAILED;
	return cli_finish_output() == CLI_OK ? status : CLI_FAILED;
}

const struct cli_command cli_info = {
	"info",
	"[--json] [--no-lock] FILE...",
	"show size, identity, locks and residency of files",
	"  --json      one JSON object a line\n"
	"  --no-lock   do not ask for the shared lock\n",
	run,
};
