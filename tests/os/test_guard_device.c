/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Guarded reads of a device that cannot be read: the cause is the device, also where no block is free, as on all
 * file systems that are only read, and on those that tell nothing of their blocks.
 */
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "fuse_fault.h"

#define BYTES ((size_t)8 * 65536)

/* So that they have to be read again. */
static void forget_pages(const struct device *device)
{
	const int fd = open(device_path(device, "f"), O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	close(fd);
}

static void make_file(struct device *device)
{
	static unsigned char bytes[BYTES];
	const int fd = open(device_path(device, "f"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	memset(bytes, 0x5A, sizeof bytes);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, BYTES), BYTES);
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(close(fd), 0);
	forget_pages(device);
}

static void assert_device_is_blamed(struct device *device, unsigned mode, unsigned flags)
{
	struct filemap_fault fault;
	struct filemap *map;
	unsigned char bytes[8];

	fuse_fault_set(&device->fuse->read_error, 0);
	assert_ok(filemap_open(device_path(device, "f"), mode,
			       FILEMAP_OPTIONS(.lock_family = FILEMAP_LOCK_NONE), &map, NULL));
	fuse_fault_set(&device->fuse->read_error, EIO);
	for (size_t at = 100; at < BYTES; at += 3 * 65536) {
		assert_int_equal(filemap_guarded_read(map, at, bytes, 8, flags, &fault), FILEMAP_EFAULT);
		assert_int_equal(fault.offset, at);
		assert_int_equal(fault.cause, FILEMAP_FAULT_IO);
	}
	filemap_close(map);
	fuse_fault_set(&device->fuse->read_error, 0);
	forget_pages(device);
}

static void read_that_the_device_fails_is_an_io_error_though_no_block_is_free(void **state)
{
	struct device *device = device_of(state);
	struct statfs info;

	make_file(device);
	assert_int_equal(statfs(device->at, &info), 0);
	assert_int_equal(info.f_bavail, 0);
	for (unsigned flags = 0; flags <= FILEMAP_GUARD_CHECK_END; flags++) {
		assert_device_is_blamed(device, FILEMAP_READ, flags);
		assert_device_is_blamed(device, FILEMAP_COW, flags);
		assert_device_is_blamed(device, FILEMAP_WRITE, flags);
		assert_ok(filemap_guard_install(NULL));
		assert_device_is_blamed(device, FILEMAP_READ, flags);
		assert_device_is_blamed(device, FILEMAP_WRITE, flags);
		assert_ok(filemap_guard_uninstall());
	}
}

DEVICE_MAIN(T_ON(fuse, read_that_the_device_fails_is_an_io_error_though_no_block_is_free))
