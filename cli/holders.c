/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The holders of a file's locks, out of /proc/locks. The lines there name the device of the file system, which is
 * not always the st_dev of its files (btrfs), so the device is looked up by the mount. Subvolumes of one btrfs
 * number their inodes alike: a holder of the same number in another subvolume cannot be told from ours.
 */
#include "holders.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static bool mount_of_fd(int fd, int *ret_mount)
{
	char path[64], line[128];
	bool found = false;
	FILE *info;

	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
	info = fopen(path, "re");
	if (!info)
		return false;
	while (!found && fgets(line, sizeof line, info))
		found = sscanf(line, "mnt_id: %d", ret_mount) == 1;
	fclose(info);
	return found;
}

static void device_of_mount(int mount, struct cli_file_key *key)
{
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t size = 0;
	unsigned major, minor;
	int id;

	if (!mounts)
		return;
	while (getline(&line, &size, mounts) >= 0) {
		if (sscanf(line, "%d %*d %u:%u", &id, &major, &minor) != 3 || id != mount)
			continue;
		key->major = major;
		key->minor = minor;
		break;
	}
	free(line);
	fclose(mounts);
}

static bool key_of_fd(int fd, struct cli_file_key *ret)
{
	struct stat st;
	int mount;

	if (fstat(fd, &st) < 0)
		return false;
	*ret = (struct cli_file_key){major(st.st_dev), minor(st.st_dev), st.st_ino};
	if (mount_of_fd(fd, &mount))
		device_of_mount(mount, ret);
	return true;
}

static bool kind_of(const char *word, char kind[8])
{
	static const char *const kinds[][2] = {{"FLOCK", "flock"}, {"OFDLCK", "ofd"}, {"POSIX", "posix"}};

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strcmp(word, kinds[i][0]) == 0) {
			strcpy(kind, kinds[i][1]);
			return true;
		}
	return false;
}

/* Waiting ones have "->" where the kind would be; leases and delegations are no locks. */
bool cli_holder_parse(const char *line, const struct cli_file_key *key, struct cli_holder *ret)
{
	char kind[16], access[16];
	unsigned major, minor;
	uint64_t inode;
	int pid;

	if (sscanf(line, "%15s %*s %15s %d %x:%x:%" SCNu64, kind, access, &pid, &major, &minor, &inode) != 6)
		return false;
	if (major != key->major || minor != key->minor || inode != key->inode)
		return false;
	*ret = (struct cli_holder){.pid = pid > 0 ? pid : -1, .exclusive = strcmp(access, "WRITE") == 0};
	return kind_of(kind, ret->kind);
}

void cli_holder_name(struct cli_holder *holder)
{
	char path[64];
	FILE *comm;

	holder->command[0] = '\0';
	snprintf(path, sizeof path, "/proc/%d/comm", (int)holder->pid);
	comm = holder->pid > 0 ? fopen(path, "re") : NULL;
	if (!comm)
		return;
	holder->command[fread(holder->command, 1, sizeof holder->command - 1, comm)] = '\0';
	fclose(comm);
	for (char *p = holder->command; *p; p++)
		if (*p == '\n' && p[1] == '\0')
			*p = '\0';
		else if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
}

/* Once for each process and kind: it may have several descriptors, and /proc/locks, which is read in pieces while
 * locks come and go, may tell one twice. */
void cli_holder_add(struct cli_holders *holders, const struct cli_holder *found, pid_t pid)
{
	struct cli_holder *holder;

	for (size_t i = 0; i < holders->count; i++)
		if (holders->holder[i].pid == pid && strcmp(holders->holder[i].kind, found->kind) == 0)
			return;
	if (holders->count == CLI_HOLDERS_MOST)
		return;
	holder = &holders->holder[holders->count++];
	*holder = *found;
	holder->pid = pid;
	cli_holder_name(holder);
}

/* Whether each of them is a living process. */
static bool read_locks(const struct cli_file_key *key, struct cli_holders *ret)
{
	FILE *locks = fopen("/proc/locks", "re");
	struct cli_holder found;
	bool all_known = true;
	char line[160];
	int behind;

	if (!locks)
		return true;
	while (fgets(line, sizeof line, locks)) {
		behind = 0;
		if (sscanf(line, "%*d: %n", &behind) < 0 || behind == 0)
			continue;
		if (cli_holder_parse(line + behind, key, &found) && found.pid != getpid())
			cli_holder_add(ret, &found, found.pid);
	}
	fclose(locks);
	for (size_t i = 0; i < ret->count; i++)
		all_known = all_known && ret->holder[i].command[0] != '\0';
	return all_known;
}

/*
 * A lock of an open file description has no process, and who took a flock may be gone while others still have
 * the descriptor: then the processes that have it now are the answer.
 */
void cli_holders_of_fd(int fd, struct cli_holders *ret)
{
	struct cli_file_key key;
	struct cli_holders scanned = {0};

	ret->count = 0;
	if (!key_of_fd(fd, &key) || read_locks(&key, ret))
		return;
	cli_holders_scan(&key, &scanned);
	if (scanned.count != 0)
		*ret = scanned;
}

void cli_holders_of_path(const char *path, struct cli_holders *ret)
{
	const int fd = open(path, O_PATH | O_CLOEXEC);

	ret->count = 0;
	if (fd < 0)
		return;
	cli_holders_of_fd(fd, ret);
	close(fd);
}

void cli_holders_against(struct cli_holders *holders, uint32_t lock_family, bool exclusive)
{
	size_t kept = 0;

	for (size_t i = 0; i < holders->count; i++) {
		const struct cli_holder *holder = &holders->holder[i];
		const bool is_flock = strcmp(holder->kind, "flock") == 0;

		if (is_flock == (lock_family != FILEMAP_LOCK_OFD) && (exclusive || holder->exclusive))
			holders->holder[kept++] = *holder;
	}
	holders->count = kept;
}

static int holder_text(const struct cli_holder *holder, char *text, size_t size)
{
	if (holder->pid < 0)
		return snprintf(text, size, "an unknown process");
	if (holder->command[0] == '\0')
		return snprintf(text, size, "%d (gone)", (int)holder->pid);
	return snprintf(text, size, "%d (%s)", (int)holder->pid, holder->command);
}

void cli_holders_text(const struct cli_holders *holders, char *text, size_t size)
{
	size_t used = 0;

	snprintf(text, size, "a process that cannot be found");
	for (size_t i = 0; i < holders->count && used < size; i++) {
		if (i != 0)
			used += (size_t)snprintf(text + used, size - used, ", ");
		if (used < size)
			used += (size_t)holder_text(&holders->holder[i], text + used, size - used);
	}
}
