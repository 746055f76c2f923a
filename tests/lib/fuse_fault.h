/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A file system whose device breaks when a test says so: FUSE, served by a child, kept in shared memory.
 *
 * Each file has its bytes twice: what the kernel has written, and of that what a sync has made durable. The
 * test looks at the durable ones, which no page cache stands in front of.
 */
#ifndef T_FUSE_FAULT_H
#define T_FUSE_FAULT_H

#include <stdint.h>

#define FUSE_FAULT_FILES 24
#define FUSE_FAULT_BYTES (1u << 20) /* of one file at most */
#define FUSE_FAULT_LOG 512

/* A write, or, with no length, a sync of a file. */
struct fuse_fault_request {
	uint64_t offset, length;
};

struct fuse_fault_file {
	char path[96]; /* from the mount point on, with a slash; "" = free */
	uint32_t mode; /* as in st_mode */
	uint64_t size;
	unsigned char written[FUSE_FAULT_BYTES], durable[FUSE_FAULT_BYTES];
};

struct fuse_fault {
	/* Atomic switches, of the test: an errno that every such request ends with, 0 = it works. */
	int fsync_error, write_error, read_error;
	/* Atomic: a sync that fails loses what was written since the last good one, as a device's cache does. */
	int loses;
	/* Atomic: while `hold` is set syncs of files stay with the server, and with them everything behind; each of
	 * `passes` lets one go. The server counts in `held` those that have come to stay. */
	int hold;
	uint32_t passes, held;
	/* Atomic, of the server: requests until now, also those that failed. */
	uint32_t fsyncs, writes, reads;
	/* Those that succeeded, in order; the oldest ones only. Of the server; `logged` is atomic, and the test may
	 * set it to 0 while nothing runs. */
	uint32_t logged;
	struct fuse_fault_request log[FUSE_FAULT_LOG];

	int server; /* process; of the test */
	char mounted_at[256];
	struct fuse_fault_file files[FUSE_FAULT_FILES]; /* of the server; stands still while nothing runs */
};

/* NULL: it cannot be had here, and *ret_why says why. The mount point is an empty directory; the caller is in
 * a mount namespace of its own and has no descriptor that the server must not have. */
struct fuse_fault *fuse_fault_start(const char *mount_point, const char **ret_why);
void fuse_fault_stop(struct fuse_fault *device); /* unmounts, ends the server; NULL does nothing */

/* Break or heal: what follows sees it. */
void fuse_fault_set(int *the_switch, int value);

/* The file of a path that begins with a slash; NULL = there is none. */
const struct fuse_fault_file *fuse_fault_find(const struct fuse_fault *device, const char *path);

#endif
