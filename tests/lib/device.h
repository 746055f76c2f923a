/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * One test, two devices that really fail: a case is written once and runs on each of them.
 *
 * The test runs in a mount namespace of its own. device_of() skips the case where its device cannot be had.
 */
#ifndef T_DEVICE_H
#define T_DEVICE_H

#include <stdint.h>

#include "t.h"

struct fuse_fault;
struct zram;

struct device {
	struct t_dir *dir; /* of the harness */
	char at[300];      /* where it is mounted */
	struct fuse_fault *fuse;
	struct zram *zram; /* one of the two, or none */
	const char *why;   /* there is none */
};

/* For the table of cases: T_ON(fuse, f) and T_ON(zram, f), or both. */
#define T_ON(device, f)                                                            \
	{                                                                          \
#f "_on_" #device, f, device_setup_##device, device_teardown, NULL \
	}
#define T_ON_BOTH(f) T_ON(fuse, f), T_ON(zram, f)

/* Instead of T_MAIN. */
#define DEVICE_MAIN(...)                                                          \
	int main(void)                                                            \
	{                                                                         \
		const struct CMUnitTest tests[] = {__VA_ARGS__};                  \
		return device_run(__FILE__, tests, sizeof tests / sizeof *tests); \
	}

int device_run(const char *name, const struct CMUnitTest *tests, size_t count);
int device_setup_fuse(void **state);
int device_setup_zram(void **state);
int device_teardown(void **state);

struct device *device_of(void **state);
const char *device_path(const struct device *device, const char *name); /* in a ring of static buffers */

/* From now on writing back fails with EIO, and then again it does not. */
void device_break(struct device *device);
void device_heal(struct device *device);

/* Until the kernel has nothing more in flight of the file. */
void device_settle(const char *path);

/* What is on the device, whatever the page cache says; the file's pages are clean or the device works. */
void device_read(const struct device *device, const char *name, uint64_t offset, void *to, size_t length);

/* As if the machine had been started again: what was only cached is gone. Of a disk; nothing there is open. */
void device_remount(struct device *device);

/* Bytes that follow from a seed, no page like another: they cannot be stored in no space. */
void device_fill(unsigned char *to, size_t length, unsigned seed);

#endif
