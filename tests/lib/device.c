/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * device: sets a device up for each case and takes it away again.
 *
 * Invariant: the one disk of the program is added before it enters its mount namespace, so that its keeper
 * does not hold what is mounted there; it is formatted anew for each case.
 */
#include "device.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fuse_fault.h"
#include "zram.h"

#define DIRECT_BLOCK 4096
#define SETTLE_TRIES 2000

static struct zram disk;
static const char *no_disk, *no_mounts;

int device_run(const char *name, const struct CMUnitTest *tests, size_t count)
{
	int result;

	if (zram_add(&disk, &no_disk) == 0)
		no_disk = NULL;
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0)
		no_mounts = "mounting in a private namespace is not permitted";
	result = t_run(name, tests, count);
	zram_remove(&disk);
	return result;
}

static int setup(void **state, struct device **ret)
{
	struct device *device = calloc(1, sizeof *device);
	void *dir;

	if (device == NULL || t_setup_dir(&dir) != 0) {
		free(device);
		return -1;
	}
	device->dir = dir;
	device->why = no_mounts;
	snprintf(device->at, sizeof device->at, "%s/device", device->dir->path);
	mkdir(device->at, 0700);
	*ret = device;
	*state = device;
	return 0;
}

int device_setup_fuse(void **state)
{
	struct device *device;

	if (setup(state, &device) < 0)
		return -1;
	if (!device->why)
		device->fuse = fuse_fault_start(device->at, &device->why);
	return 0;
}

int device_setup_zram(void **state)
{
	struct device *device;

	if (setup(state, &device) < 0)
		return -1;
	if (!device->why)
		device->why = no_disk;
	if (!device->why && zram_mount(&disk, device->at, &device->why) == 0)
		device->zram = &disk;
	return 0;
}

int device_teardown(void **state)
{
	struct device *device = *state;
	void *dir = device->dir;

	fuse_fault_stop(device->fuse);
	if (device->zram)
		zram_unmount(device->zram);
	free(device);
	return t_teardown_dir(&dir);
}

struct device *device_of(void **state)
{
	struct device *device = *state;

	if (!device->fuse && !device->zram)
		t_skip(device->why);
	return device;
}

const char *device_path(const struct device *device, const char *name)
{
	char below[128];

	snprintf(below, sizeof below, "device/%s", name);
	return t_path(device->dir, below);
}

void device_break(struct device *device)
{
	if (device->zram)
		zram_break(device->zram);
	else
		fuse_fault_set(&device->fuse->write_error, 5 /* EIO */);
}

void device_heal(struct device *device)
{
	if (device->zram)
		zram_heal(device->zram);
	else
		fuse_fault_set(&device->fuse->write_error, 0);
}

void device_remount(struct device *device)
{
	assert_ok(zram_remount(device->zram));
}

/* By cachestat(2), whose number is 451 on all architectures but alpha; a kernel without it has to be waited for. */
static int is_busy(int fd)
{
	uint64_t range[2] = {0, 0}, counts[5] = {0};

	if (syscall(451, fd, range, counts, 0) < 0)
		return -1;
	return counts[1] != 0 || counts[2] != 0;
}

void device_settle(const char *path)
{
	const struct timespec pause = {0, 1000000}, blind = {0, 200000000};
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	int busy = 1;

	assert_true(fd >= 0);
	for (int i = 0; i < SETTLE_TRIES && busy > 0; i++) {
		busy = is_busy(fd);
		if (busy > 0)
			nanosleep(&pause, NULL);
	}
	close(fd);
	if (busy < 0)
		nanosleep(&blind, NULL);
}

/* It looks at no clean page, but may be told once of one that could not be written before. */
static bool pread_direct(int fd, void *to, size_t bytes, off_t offset, size_t least)
{
	ssize_t got = pread(fd, to, bytes, offset);

	if (got < 0)
		got = pread(fd, to, bytes, offset);
	return got >= (ssize_t)least;
}

static void read_direct(const char *path, uint64_t offset, void *to, size_t length)
{
	const uint64_t start = offset & ~(uint64_t)(DIRECT_BLOCK - 1);
	const size_t bytes =
		(size_t)(offset - start + length + DIRECT_BLOCK - 1) & ~(size_t)(DIRECT_BLOCK - 1);
	void *buffer = aligned_alloc(DIRECT_BLOCK, bytes);
	const int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);

	assert_non_null(buffer);
	assert_true(fd >= 0);
	assert_true(pread_direct(fd, buffer, bytes, (off_t)start, (size_t)(offset - start) + length));
	memcpy(to, (char *)buffer + (offset - start), length);
	close(fd);
	free(buffer);
}

void device_read(const struct device *device, const char *name, uint64_t offset, void *to, size_t length)
{
	const struct fuse_fault_file *file;
	char path[128];

	if (device->zram) {
		read_direct(device_path(device, name), offset, to, length);
		return;
	}
	snprintf(path, sizeof path, "/%s", name);
	file = fuse_fault_find(device->fuse, path);
	assert_non_null(file);
	memcpy(to, file->durable + offset, length);
}

void device_fill(unsigned char *to, size_t length, unsigned seed)
{
	uint32_t x = seed * 2654435761u + 1;

	for (size_t i = 0; i < length; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		to[i] = (unsigned char)(x >> 24);
	}
}
