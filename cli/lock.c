/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * filemap lock: hold a file's lock while a command runs. The mapping is an empty window, so no byte is looked at,
 * and its descriptor is closed by exec: what the command leaves running does not keep the lock.
 */
#include "cli.h"
#include "command.h"
#include "open.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

struct request {
	const char *path;
	bool shared, create;
	uint32_t wait_ms, family;
	char **command;
};

static int open_locked(const struct request *request, unsigned mode, struct filemap **ret,
		       struct filemap_error *error)
{
	const uint32_t create = request->create ? FILEMAP_CREATE | FILEMAP_NO_DURABLE_NAME : 0;
	const bool cooperate = request->shared && mode == FILEMAP_WRITE;

	return filemap_open(
		request->path, mode,
		FILEMAP_OPTIONS(.flags = FILEMAP_EMPTY | create, .lock_family = request->family,
				.lock_wait_ms = request->wait_ms,
				.sharing = cooperate ? FILEMAP_SHARING_COOPERATE : FILEMAP_SHARING_DEFAULT),
		ret, error);
}

/* The shared lock of the opening is given back first: two that upgrade would refuse each other. */
static int open_then_lock(const struct request *request, struct filemap **ret, struct filemap_error *error)
{
	struct filemap *map;
	int r = open_locked(request, FILEMAP_READ, &map, error);

	if (r < 0)
		return r;
	r = filemap_unlock(map);
	if (r == 0)
		r = filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, request->wait_ms, error);
	if (r < 0)
		filemap_close(map);
	else
		*ret = map;
	return r;
}

/* flock(2) locks what may only be read, too; the other family needs a descriptor that can write. */
static bool works_read_only(const struct request *request, int r)
{
	if (request->create || request->family == FILEMAP_LOCK_OFD)
		return false;
	return r == -EACCES || r == -EROFS || r == -EPERM || r == -ETXTBSY;
}

static int take(const struct request *request, struct filemap **ret, struct filemap_error *error)
{
	const unsigned mode = request->shared && !request->create ? FILEMAP_READ : FILEMAP_WRITE;
	const int r = open_locked(request, mode, ret, error);

	return r < 0 && mode == FILEMAP_WRITE && works_read_only(request, r)
		       ? open_then_lock(request, ret, error)
		       : r;
}

static int run_locked(const struct request *request)
{
	struct filemap_error error = {0};
	struct filemap *map;
	int r = take(request, &map, &error);

	if (r < 0)
		return cli_open_failed(request->path, request->family, !request->shared, r, &error, NULL);
	r = cli_command_run(request->command);
	filemap_close(map);
	return r;
}

static bool parse_wait(const char *text, uint32_t *ret)
{
	uint64_t ms;

	if (strcmp(text, "forever") == 0) {
		*ret = FILEMAP_FOREVER;
		return true;
	}
	if (!cli_parse_number(text, &ms) || ms >= FILEMAP_FOREVER)
		return false;
	*ret = (uint32_t)ms;
	return true;
}

static bool parse_family(const char *text, uint32_t *ret)
{
	if (strcmp(text, "flock") == 0)
		*ret = FILEMAP_LOCK_FLOCK;
	else if (strcmp(text, "ofd") == 0)
		*ret = FILEMAP_LOCK_OFD;
	else
		return false;
	return true;
}

static int parse_option(const struct cli_command *self, int option, struct request *request)
{
	if (option == 's')
		request->shared = true;
	else if (option == 'c')
		request->create = true;
	else if (option == 'w' && !parse_wait(optarg, &request->wait_ms))
		return cli_usage(self, "not a number of milliseconds:", optarg);
	else if (option == 'f' && !parse_family(optarg, &request->family))
		return cli_usage(self, "no such family of locks:", optarg);
	return option == '?' ? CLI_USAGE : CLI_OK;
}

/* Options end at FILE: what follows is the command's. */
static int parse(const struct cli_command *self, int argc, char **argv, struct request *ret)
{
	static const struct option options[] = {
		{"shared", no_argument, NULL, 's'},
		{"create", no_argument, NULL, 'c'},
		{"wait", required_argument, NULL, 'w'},
		{"family", required_argument, NULL, 'f'},
		{0},
	};
	int c;

	*ret = (struct request){.family = FILEMAP_LOCK_FLOCK};
	while ((c = getopt_long(argc, argv, "+", options, NULL)) != -1)
		if (parse_option(self, c, ret) != CLI_OK)
			return CLI_USAGE;
	if (argc - optind < 2)
		return cli_usage(self, "a file and a command are needed", NULL);
	ret->path = argv[optind];
	ret->command = argv + optind + 1;
	return CLI_OK;
}

static int run(const struct cli_command *self, int argc, char **argv)
{
	struct request request;
	const int status = parse(self, argc, argv, &request);

	return status == CLI_OK ? run_locked(&request) : status;
}

const struct cli_command cli_lock = {
	"lock",
	"[--create] [--family flock|ofd] [--shared] [--wait MS] FILE COMMAND [ARGUMENT...]",
	"hold a file's lock while a command runs",
	"  --create       make the file if there is none\n"
	"  --family NAME  flock (as flock(1) takes them, the default) or ofd (as fcntl(2) does)\n"
	"  --shared       a lock that others may share; default: an exclusive one\n"
	"  --wait MS      how long to wait for the lock, in milliseconds, or forever; default 0\n\n"
	"Exit status: that of COMMAND; 128 + the number of the signal that ended it; 127 if it is not\n"
	"found, 126 if it cannot be run; 1 if the lock cannot be had.\n",
	run,
};
