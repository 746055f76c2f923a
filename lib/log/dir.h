/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The directory of a log: its names, its lock, its creation, its segments as files. */
#ifndef FM_LOG_DIR_H
#define FM_LOG_DIR_H

#include "log/meta.h"

struct fm__log_dir {
	int fd;               /* O_RDONLY|O_DIRECTORY */
	int lock_fd;          /* LOCK; -1 = not opened */
	int meta_fd;          /* -1 = not opened */
	unsigned permissions; /* of files created in it */
	char *path;           /* as given, for messages */
};

#define FM_LOG_DIR_CLOSED ((struct fm__log_dir){.fd = -1, .lock_fd = -1, .meta_fd = -1})

#define FM_LOG_NAME_SIZE 40
/* "%016x.seg", "%016x.prep" */
void fm__log_segment_name(uint64_t n, const char *suffix, char name[FM_LOG_NAME_SIZE]);
bool fm__log_segment_parse(const char *name, const char *suffix, uint64_t *ret_n);

/* Open an existing log directory: dir->fd, LOCK, meta. A directory without meta is no log: -ENOENT with subject
 * "meta" and the hint "not a log". LOCK and meta are opened as `access` says. `dir` is closed after a failure. */
#define FM_LOG_RO 0u
#define FM_LOG_RW 1u
int fm__log_dir_open(const char *path, unsigned access, struct fm__log_dir *dir,
		     struct filemap_error *reterr);
/* The first half of it: the directory itself and the path, no file in it. */
int fm__log_dir_start(const char *path, struct fm__log_dir *ret, struct filemap_error *reterr);
void fm__log_dir_close(struct fm__log_dir *dir); /* also gives up the lock; fine if it is closed */
/* The other half: dir->lock_fd. Nothing is locked yet. */
int fm__log_dir_open_lock(struct fm__log_dir *dir, int flags, unsigned permissions);
/* Make the names in the directory, and its own name, durable. */
int fm__log_dir_sync_names(const struct fm__log_dir *dir, struct filemap_error *reterr);

/* R0: take the writer lock (OFD write lock on byte 0 of LOCK), then check that the name LOCK is still the
 * locked inode. FILEMAP_ELOCKED: another process writes; FILEMAP_EREPLACED: not the
 * same file any more. On failure the lock is not held. */
int fm__log_dir_lock(struct fm__log_dir *dir, struct filemap_error *reterr);
int fm__log_dir_writer_lives(const struct fm__log_dir *dir); /* 1, 0 or -errno */

/* "Creation" of the format: directory, LOCK (taken and held), segment 0, meta. Opens like dir_open(RW).
 * The names become durable with the first opening (recover.c). -EEXIST if there is a meta already. Takes over only what the format allows, else -ENOTEMPTY. `dir` is closed
 * after a failure. */
int fm__log_dir_create(const char *path, const struct fm__log_geometry *g, unsigned permissions,
		       struct fm__log_dir *dir, struct filemap_error *reterr);

/* O1 up to the directory sync (without meta): n becomes a segment of S bytes of zeros and a header. The
 * descriptor (O_RDWR) is given: the one to map and to flush through. -EEXIST is not expected: leftovers named
 * .prep are replaced. On failure nothing named .seg was made. */
int fm__log_segment_prepare(const struct fm__log_dir *dir, const struct fm__log_geometry *g, uint64_t n,
			    uint32_t epoch, int *ret_fd, struct filemap_error *reterr);

/* Open segment n and check size and header against g. FILEMAP_ECORRUPT, FILEMAP_EVERSION, -ENOENT. */
int fm__log_segment_open(const struct fm__log_dir *dir, const struct fm__log_geometry *g, uint64_t n,
			 unsigned access, int *ret_fd, struct fm__log_header *ret_header,
			 struct filemap_error *reterr);

/* Give segment n blocks of its own from position `tail` on (blocks.c). Nobody else may write. */
int fm__log_segment_own(int fd, const struct fm__log_geometry *g, uint64_t n, uint64_t tail,
			struct filemap_error *reterr);

#endif
