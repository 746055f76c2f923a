/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A real disk that breaks when a test says so: zram, whose memory is limited to nothing, with ext4 on it.
 *
 * Whatever happens to the test, the disk is given back: by a child that outlives it and sees it end.
 */
#ifndef T_ZRAM_H
#define T_ZRAM_H

struct zram {
	int number;    /* of the disk; -1 = none */
	int keeper;    /* the child that gives it back */
	int alive;     /* a pipe to it that closes with this process */
	char path[64]; /* of the block device, made by us */
	char mounted_at[256];
};

/* 0, or -1: it cannot be had here, and *ret_why says why. To be called before the mount namespace is left that
 * the keeper shall live in, and early: the keeper has a copy of all descriptors. */
int zram_add(struct zram *ret, const char **ret_why);

/* Make ext4 on it, without a journal: a journal that cannot be written ends the file system for good, and what
 * is tested is data. Then mount it; in a mount namespace of the caller's own. */
int zram_mount(struct zram *disk, const char *mount_point, const char **ret_why);
int zram_remount(struct zram *disk); /* with nothing cached; 0 or -1 */
void zram_unmount(struct zram *disk);

void zram_break(
	const struct zram *disk); /* from now on bytes that are not all the same cannot be written: EIO */
void zram_heal(const struct zram *disk);

void zram_remove(struct zram *disk);

#endif
