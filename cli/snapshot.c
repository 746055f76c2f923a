/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * filemap snapshot: a file as it is at one moment, to standard output or for a command. What the command gets is a
 * descriptor of the snapshot: whatever becomes of the file while it runs, it reads the same bytes.
 */
#include "cli.h"
#include "command.h"
#include "open.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VARIABLE "FILEMAP_SNAPSHOT"
#define FIRST_FD 10 /* those below are what scripts redirect */

struct request {
	const char *path;
	uint32_t flags, lock_family;
	uint64_t max;
	char **command; /* NULL = none */
};

static int take(const struct request *request, struct filemap **ret)
{
	const size_t max = request->max < FILEMAP_TO_END ? (size_t)request->max : FILEMAP_TO_END;
	struct filemap_error error = {0};
	const int r = filemap_snapshot(
		request->path, max,
		FILEMAP_OPTIONS(.flags = request->flags, .lock_family = request->lock_family), ret, &error);

	if (r >= 0)
		return CLI_OK;
	return cli_open_failed(request->path, request->lock_family, false, r, &error,
			       "; --no-lock copies it anyway");
}

static int write_out(const char *path, const struct filemap *map)
{
	size_t written;
	int r;

	signal(SIGPIPE, SIG_IGN); /* a reader that went away is told like a full disk */
	r = cli_write_all(filemap_data(map), filemap_size(map), &written);
	if (r == -EFAULT) /* of a clone: its disk failed */
		return cli_fail(path, FILEMAP_EFAULT, NULL);
	return r < 0 ? cli_fail("standard output", r, NULL) : CLI_OK;
}

/* A second descriptor, for those who want a name: who opens that reads from the start, however often. */
static int hand_over(int fd)
{
	char path[32];
	int named_fd = fcntl(fd, F_DUPFD, FIRST_FD);

	if (named_fd < 0)
		return errno == EINVAL ? -EMFILE : -errno; /* the limit lies below the first one */
	snprintf(path, sizeof path, "/proc/self/fd/%d", named_fd);
	if (setenv(VARIABLE, path, 1) < 0 || dup2(fd, STDIN_FILENO) < 0)
		return -errno;
	return 0;
}

static int run_with(const struct filemap *map, char **command)
{
	const int r = hand_over(filemap_fd(map));

	return r < 0 ? cli_fail("snapshot", r, NULL) : cli_command_run(command);
}

static int use(const struct request *request)
{
	struct filemap *map;
	int status = take(request, &map);

	if (status != CLI_OK)
		return status;
	status = request->command ? run_with(map, request->command) : write_out(request->path, map);
	filemap_close(map);
	return status;
}

static int parse_option(const struct cli_command *self, int option, struct request *request)
{
	if (option == 'n')
		request->lock_family = FILEMAP_LOCK_NONE;
	else if (option == 'r')
		request->flags |= FILEMAP_REFLINK;
	else if (option == 'm' && !cli_parse_size(optarg, &request->max))
		return cli_usage(self, "not a number of bytes:", optarg);
	return option == '?' ? CLI_USAGE : CLI_OK;
}

/* Options end at FILE: what follows is the command's. */
static int parse(const struct cli_command *self, int argc, char **argv, struct request *ret)
{
	static const struct option options[] = {
		{"max", required_argument, NULL, 'm'},
		{"no-lock", no_argument, NULL, 'n'},
		{"reflink", no_argument, NULL, 'r'},
		{0},
	};
	int c;

	*ret = (struct request){.max = UINT64_MAX};
	while ((c = getopt_long(argc, argv, "+", options, NULL)) != -1)
		if (parse_option(self, c, ret) != CLI_OK)
			return CLI_USAGE;
	if (optind == argc)
		return cli_usage(self, "no file given", NULL);
	ret->path = argv[optind];
	ret->command = optind + 1 < argc ? argv + optind + 1 : NULL;
	return CLI_OK;
}

static int run(const struct cli_command *self, int argc, char **argv)
{
	struct request request;
	const int status = parse(self, argc, argv, &request);

	return status == CLI_OK ? use(&request) : status;
}

const struct cli_command cli_snapshot = {
	"snapshot",
	"[--max N] [--no-lock] [--reflink] FILE [COMMAND [ARGUMENT...]]",
	"copy a file's content, then write it out or run a command on it",
	"  --max N     refuse a file that has more than N bytes (K, M, G and T count in 1024s)\n"
	"  --no-lock   copy a file that somebody holds locked, too\n"
	"  --reflink   a clone on the same disk instead of a copy in memory (XFS, btrfs)\n\n"
	"Nobody can change the copy, and the file may change or go. COMMAND has it as standard input,\n"
	"and its name in the environment variable " VARIABLE ".\n\n"
	"Exit status: that of COMMAND; 128 + the number of the signal that ended it; 127 if it is not\n"
	"found, 126 if it cannot be run; 1 if there is no snapshot.\n",
	run,
};
