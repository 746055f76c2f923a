/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Small disks of many kinds, each in a child with mounts of its own, which vanish with it; and what fills them to
 * the last block, says what a file is like, and touches every page of a mapping.
 */
#ifndef OS_DISK_H
#define OS_DISK_H

#include "t.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filemap/filemap.h>

#define DISK_SKIPPED 77

struct disk {
	const char *type, *make, *mount; /* make: options of mkfs; NULL = mounted as it is */
	unsigned mib;
	bool extra; /* beside others only with FILEMAP_DISKS=all in the environment */
};

static const struct disk disk_tmpfs = {"tmpfs", NULL, "size=8m", 8, false};
static const struct disk disk_ext4 = {"ext4", "-m 0", "", 32, false};
static const struct disk disk_ext2 = {"ext2", "-m 0", "", 8, false}; /* has no fallocate(2) */
static const struct disk disk_ext3 = {"ext3", "-m 0", "", 32, true}; /* neither has this */
static const struct disk disk_xfs = {"xfs", "", "", 300, true};
static const struct disk disk_btrfs = {"btrfs", "", "", 128, true};

/* What the case needs, or it ends with a line that says what was not so. */
#define NEED(condition)                                                                         \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			return 1;                                                               \
		}                                                                               \
	} while (0)

#define NEED_OK(expression) NEED((expression) == 0)

struct disk_case {
	const struct disk *disk;
	const struct t_dir *dir;
	int (*body)(const struct disk *disk, const char *root);
};

static inline int disk_mount_image(const struct disk *disk, const char *path)
{
	char command[2048];

	snprintf(command, sizeof command,
		 "exec >/dev/null 2>&1; PATH=$PATH:/sbin:/usr/sbin; truncate -s %uM '%s.image' && "
		 "mkfs.%s -q %s '%s.image' && mount -t %s -o loop%s%s '%s.image' '%s'; r=$?; rm -f "
		 "'%s.image'; exit $r",
		 disk->mib, path, disk->type, disk->make, path, disk->type, *disk->mount ? "," : "",
		 disk->mount, path, path, path);
	return system(command) == 0 ? 0 : -1;
}

/* In a child only: its mounts become its own. */
static inline int disk_mount(const struct disk *disk, const char *path)
{
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	if (mkdir(path, 0700) < 0)
		return -1;
	if (disk->make)
		return disk_mount_image(disk, path);
	return mount(disk->type, path, disk->type, 0, disk->mount);
}

static inline int disk_child(void *context)
{
	const struct disk_case *c = context;
	const char *root = t_path(c->dir, c->disk->type);
	char kept[300];
	int r;

	signal(SIGBUS, SIG_DFL);                 /* not cmocka's: the signal is to be seen */
	snprintf(kept, sizeof kept, "%s", root); /* the ring of t_path() turns */
	if (disk_mount(c->disk, kept) < 0)
		return DISK_SKIPPED;
	r = c->body(c->disk, kept);
	(void)umount2(kept, MNT_DETACH);
	return r;
}

/* The same on each of these disks; skipped if there was none. A signal fails it, SIGBUS above all. */
static inline void disk_on(void **state, const struct disk *const *disks,
			   int (*body)(const struct disk *disk, const char *root))
{
	const char *wanted = getenv("FILEMAP_DISKS");
	const bool all = wanted && strcmp(wanted, "all") == 0;
	unsigned ran = 0;

	for (; *disks; disks++) {
		struct disk_case c = {*disks, *state, body};
		int r;
		if ((*disks)->extra && ran > 0 && !all)
			continue;
		r = t_in_child(disk_child, &c);
		if (r == DISK_SKIPPED) {
			print_message("skip: %s: it cannot be made, mounted or limited here\n",
				      (*disks)->type);
			continue;
		}
		if (r != 0)
			fail_msg("on %s: %s %d", (*disks)->type, r < 0 ? "died of signal" : "status", r);
		ran++;
	}
	if (ran == 0)
		t_skip("no file system could be mounted in a private namespace");
}

/* ---- filling ---- */

static inline int disk_path_in(char *to, size_t size, const char *root, const char *name)
{
	return snprintf(to, size, "%s/%s", root, name) < (int)size ? 0 : -1;
}

/* Paths in the file system; good for some calls. */
static inline const char *at(const char *root, const char *name)
{
	static char ring[8][512];
	static unsigned turn;
	char *path = ring[turn++ % 8];

	return disk_path_in(path, sizeof ring[0], root, name) == 0 ? path : "";
}

/* In ever smaller pieces, as long as any goes in. */
static inline void disk_reserve(int fd)
{
	off_t end = lseek(fd, 0, SEEK_END);

	for (off_t step = 1 << 26; step >= 4096; step /= 2) {
		while (fallocate(fd, 0, end, step) == 0)
			end += step;
	}
}

static inline void disk_pour(int fd)
{
	static const char bytes[65536];

	for (size_t step = sizeof bytes; step > 0; step /= 4) {
		off_t end = lseek(fd, 0, SEEK_END);
		for (ssize_t r; (r = pwrite(fd, bytes, step, end)) > 0;)
			end += r;
	}
}

/* To the last block: whatever is written down late has to be there first. */
static inline int disk_fill(const char *root)
{
	int fd = open(at(root, "filler"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return -1;
	for (int round = 0; round < 3; round++) {
		syncfs(fd);
		disk_reserve(fd);
		disk_pour(fd);
	}
	close(fd);
	return 0;
}

static inline int disk_free(const char *root)
{
	int fd = open(at(root, "filler"), O_RDWR | O_CLOEXEC), r;

	if (fd < 0)
		return -1;
	r = ftruncate(fd, 0);
	close(fd);
	fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	syncfs(fd); /* some give blocks back then only */
	close(fd);
	return r;
}

static inline int disk_entries(const char *root)
{
	DIR *dir = opendir(root);
	int count = -2; /* . and .. */

	if (dir == NULL)
		return -1;
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

/* ---- what a file is like ---- */

static inline unsigned char disk_byte(size_t i)
{
	return (unsigned char)(i * 7 + i / 4096 + 1);
}

static inline int disk_write_file(const char *path, size_t length)
{
	unsigned char *bytes = malloc(length + 1);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool whole;

	for (size_t i = 0; i < length; i++)
		bytes[i] = disk_byte(i);
	whole = fd >= 0 && write(fd, bytes, length) == (ssize_t)length && fsync(fd) == 0;
	close(fd);
	free(bytes);
	return whole ? 0 : -1;
}

/* Whether it starts with what disk_write_file() wrote, and has zeros from there on. */
static inline bool disk_holds(const char *path, size_t written, size_t size)
{
	unsigned char *bytes = malloc(size + 1);
	bool same = t_file_size(path) == (int64_t)size && t_read_file(path, bytes, size + 1) == size;

	for (size_t i = 0; same && i < size; i++)
		same = bytes[i] == (i < written ? disk_byte(i) : 0);
	free(bytes);
	return same;
}

static inline int64_t disk_blocks(const char *path)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || syncfs(fd) < 0 || fstat(fd, &status) < 0)
		status.st_blocks = -1;
	close(fd);
	return status.st_blocks;
}

/* A store into every page, which changes nothing, and then the device: no block may be missing. */
static inline int disk_touch(struct filemap *map)
{
	volatile unsigned char *bytes = filemap_data_mut(map);

	for (size_t i = 0; i < filemap_size(map); i += 512)
		bytes[i] = bytes[i];
	return filemap_sync(map);
}

#endif
