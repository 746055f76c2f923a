/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Owns one zram disk: adds, formats, breaks, heals and removes it.
 *
 * Invariant: while a disk is there its keeper waits at the other end of a pipe, and removes it when the pipe is
 * closed, by zram_remove() or by the end of the test.
 */
#include "zram.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define DISK_SIZE "24M"
#define GIVE_BACK_TRIES 2000 /* every 10 ms: a test that failed holds it until it has ended */

static int write_text(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t written;

	if (fd < 0)
		return -1;
	written = write(fd, text, strlen(text));
	close(fd);
	return written == (ssize_t)strlen(text) ? 0 : -1;
}

static int read_text(const char *path, char *to, size_t size)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return -1;
	got = read(fd, to, size - 1);
	close(fd);
	to[got > 0 ? got : 0] = '\0';
	return got > 0 ? 0 : -1;
}

static int set(const struct zram *disk, const char *attribute, const char *value)
{
	char path[96];

	snprintf(path, sizeof path, "/sys/block/zram%d/%s", disk->number, attribute);
	return write_text(path, value);
}

/* A mount that is let go may be in use for a moment more. */
static void give_back(const struct zram *disk)
{
	char number[16];

	snprintf(number, sizeof number, "%d", disk->number);
	unlink(disk->path);
	for (int i = 0; i < GIVE_BACK_TRIES; i++) {
		if (set(disk, "reset", "1") == 0 &&
		    write_text("/sys/class/zram-control/hot_remove", number) == 0)
			return;
		usleep(10000);
	}
}

static void keep(const struct zram *disk, int alive)
{
	char byte;

	(void)setsid(); /* what ends the test does not end the keeper */
	while (read(alive, &byte, 1) < 0 && errno == EINTR)
		;
	give_back(disk);
	_exit(0);
}

static int start_keeper(struct zram *disk)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	disk->keeper = fork();
	if (disk->keeper == 0) {
		close(ends[1]);
		keep(disk, ends[0]);
	}
	close(ends[0]);
	disk->alive = ends[1];
	return disk->keeper < 0 ? -1 : 0;
}

/* The name in /dev may be missing in a container: a node of our own. */
static int make_node(struct zram *disk)
{
	char path[64], numbers[32];
	unsigned major_number, minor_number;

	snprintf(path, sizeof path, "/sys/block/zram%d/dev", disk->number);
	snprintf(disk->path, sizeof disk->path, "/tmp/filemap-zram%d-%d", disk->number, (int)getpid());
	if (read_text(path, numbers, sizeof numbers) < 0)
		return -1;
	if (sscanf(numbers, "%u:%u", &major_number, &minor_number) != 2)
		return -1;
	return mknod(disk->path, S_IFBLK | 0600, makedev(major_number, minor_number));
}

int zram_add(struct zram *ret, const char **ret_why)
{
	char number[16];

	*ret = (struct zram){.number = -1, .alive = -1};
	*ret_why = "zram disks cannot be added here";
	if (read_text("/sys/class/zram-control/hot_add", number, sizeof number) < 0)
		return -1;
	ret->number = atoi(number);
	if (make_node(ret) < 0 || start_keeper(ret) < 0) {
		give_back(ret);
		ret->number = -1;
		return -1;
	}
	return 0;
}

static int mount_it(const struct zram *disk)
{
	return mount(disk->path, disk->mounted_at, "ext4", MS_NOATIME, "errors=continue");
}

int zram_mount(struct zram *disk, const char *mount_point, const char **ret_why)
{
	char command[192];

	*ret_why = "no ext4 on zram here (mkfs.ext4, mount)";
	if (set(disk, "mem_limit", "0") < 0 || set(disk, "disksize", DISK_SIZE) < 0)
		return -1;
	snprintf(command, sizeof command,
		 "PATH=$PATH:/sbin:/usr/sbin mkfs.ext4 -q -F -b 4096 -O ^has_journal %s >/dev/null 2>&1",
		 disk->path);
	if (system(command) != 0)
		return -1;
	snprintf(disk->mounted_at, sizeof disk->mounted_at, "%s", mount_point);
	if (mount_it(disk) == 0)
		return 0;
	disk->mounted_at[0] = '\0';
	return -1;
}

int zram_remount(struct zram *disk)
{
	return umount(disk->mounted_at) < 0 ? -1 : mount_it(disk);
}

void zram_unmount(struct zram *disk)
{
	if (!disk->mounted_at[0])
		return;
	zram_heal(disk);
	(void)umount2(disk->mounted_at, MNT_DETACH);
	disk->mounted_at[0] = '\0';
	(void)set(disk, "reset", "1");
}

void zram_break(const struct zram *disk)
{
	(void)set(disk, "mem_limit", "4K");
}

void zram_heal(const struct zram *disk)
{
	(void)set(disk, "mem_limit", "0");
}

void zram_remove(struct zram *disk)
{
	int status;
	bool busy;

	if (disk->number < 0)
		return;
	zram_unmount(disk);
	busy = set(disk, "reset", "1") < 0;
	close(disk->alive);
	while (!busy && waitpid(disk->keeper, &status, 0) < 0 && errno == EINTR)
		;
	disk->number = -1;
}
