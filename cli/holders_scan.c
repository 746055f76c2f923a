/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Finds the processes that have a descriptor with a lock, in /proc/PID/fdinfo; others' need permission. */
#include "holders.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static FILE *open_at(int directory, const char *name)
{
	const int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");

	if (!file && fd >= 0)
		close(fd);
	return file;
}

static void scan_descriptor(FILE *info, pid_t pid, const struct cli_file_key *key,
			    struct cli_holders *holders)
{
	struct cli_holder found;
	char line[192];
	int behind;

	while (fgets(line, sizeof line, info)) {
		behind = 0;
		if (sscanf(line, "lock: %*d: %n", &behind) < 0 || behind == 0)
			continue;
		if (cli_holder_parse(line + behind, key, &found))
			cli_holder_add(holders, &found, pid);
	}
}

static void scan_process(pid_t pid, const struct cli_file_key *key, struct cli_holders *holders)
{
	const struct dirent *entry;
	char path[64];
	DIR *directory;

	snprintf(path, sizeof path, "/proc/%d/fdinfo", (int)pid);
	directory = opendir(path);
	if (!directory)
		return;
	while ((entry = readdir(directory))) {
		FILE *info = entry->d_name[0] == '.' ? NULL : open_at(dirfd(directory), entry->d_name);
		if (!info)
			continue;
		scan_descriptor(info, pid, key, holders);
		fclose(info);
	}
	closedir(directory);
}

void cli_holders_scan(const struct cli_file_key *key, struct cli_holders *holders)
{
	DIR *processes = opendir("/proc");
	const struct dirent *entry;

	if (!processes)
		return;
	while ((entry = readdir(processes))) {
		const pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (pid > 0 && pid != getpid())
			scan_process(pid, key, holders);
	}
	closedir(processes);
}
