/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Who holds locks on a file, as far as /proc tells. */
#ifndef CLI_HOLDERS_H
#define CLI_HOLDERS_H

#include "cli.h"

#include <sys/types.h>

#define CLI_HOLDERS_MOST 32

/* A file as /proc/locks writes it down. */
struct cli_file_key {
	unsigned major, minor;
	uint64_t inode;
};

struct cli_holder {
	char kind[8]; /* "flock", "ofd" or "posix" */
	bool exclusive;
	pid_t pid;        /* -1: not known */
	char command[40]; /* of the process, without control characters; "" = it is gone */
};

struct cli_holders {
	size_t count;
	struct cli_holder holder[CLI_HOLDERS_MOST]; /* more than that are left out */
};

/* Never fail: what cannot be found out is not in the list, and neither is this process. */
void cli_holders_of_path(const char *path, struct cli_holders *ret);
void cli_holders_of_fd(int fd, struct cli_holders *ret);

/* Keep only those that stand against a lock of a family (FILEMAP_LOCK_*). */
void cli_holders_against(struct cli_holders *holders, uint32_t lock_family, bool exclusive);

/* "12 (sleep), 13 (vim)", or that nobody was found. */
void cli_holders_text(const struct cli_holders *holders, char *text, size_t size);

/* For holders.c: one line of /proc/locks or fdinfo from the kind on. False if it is of another file. */
bool cli_holder_parse(const char *line, const struct cli_file_key *key, struct cli_holder *ret);
void cli_holder_name(struct cli_holder *holder); /* finds the command's name */
void cli_holder_add(struct cli_holders *holders, const struct cli_holder *found, pid_t pid);

/* Look through the descriptors of all processes that may be looked at, and add those that carry a lock. */
void cli_holders_scan(const struct cli_file_key *key, struct cli_holders *holders);

#endif
