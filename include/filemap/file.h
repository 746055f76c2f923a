/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * filemap/file.h - files and directories around a mapping: opening, and making names durable.
 */
#ifndef FILEMAP_FILE_H
#define FILEMAP_FILE_H

#include <filemap/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How filemap_file_open() opens: READ or WRITE or both, and any of the others with WRITE. */
#define FILEMAP_FILE_READ (1u << 0)
#define FILEMAP_FILE_WRITE (1u << 1)
#define FILEMAP_FILE_APPEND (1u << 2)     /* each write goes to the end */
#define FILEMAP_FILE_CREATE (1u << 3)     /* make it if there is none; never through a symbolic link */
#define FILEMAP_FILE_CREATE_NEW (1u << 4) /* make it; one that exists is -EEXIST; excludes CREATE, TRUNCATE */
#define FILEMAP_FILE_TRUNCATE (1u << 5)   /* empty it; no lock is asked for */
#define FILEMAP_FILE_DURABLE (1u << 6)    /* a file that was made is there after a crash: sync the directory */

/**
 * Open a regular file as it is commonly wanted: close-on-exec, never waiting for a FIFO, never a device.
 *
 * @param path         Borrowed.
 * @param how          FILEMAP_FILE_* bits.
 * @param permissions  Of a created file, before the umask; 0 = 0666. Only with CREATE or CREATE_NEW.
 * @param ret_fd       Given: to be closed with close(2). Written on success only.
 * @param reterr       Written on failure only; may be NULL.
 * @retval 0                Open.
 * @retval FILEMAP_EOPTION  Bits that do not go together, or unknown ones; `subject` names the argument.
 * @retval FILEMAP_EREPLACED  CREATE, and somebody makes and removes the file again and again.
 * @retval -EISDIR, -ENODEV, -ELOOP, -EEXIST, -ENOENT, …  As for filemap_open(). After a failure there is no
 *                          new file, and none was emptied.
 * Any thread. Blocks for the disk. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_file_open(const char *path, unsigned how, unsigned permissions,
	int *ret_fd, struct filemap_error *reterr);

/**
 * Make the names in a directory durable: those that were made, renamed or removed before.
 *
 * @param path  Borrowed; of a directory that may be read.
 * @retval 0         Done.
 * @retval -ENOTDIR  It is none.
 * @retval -errno    It could not be opened, or fsync(2) failed: what is durable is unknown.
 * Any thread. Blocks for the device. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_sync_dir(const char *path, struct filemap_error *reterr);

/**
 * Make the name of a file durable: filemap_sync_dir() of the directory that it is in.
 *
 * Symbolic links are not followed by the last component: it is the name itself that becomes durable.
 *
 * @param path  Borrowed; of anything; it need not exist (any more).
 * @retval FILEMAP_EOPTION  `path` is empty, "/", or ends in a component "." or "..".
 * Any thread. Blocks for the device. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_sync_parent(const char *path, struct filemap_error *reterr);

#ifdef __cplusplus
}
#endif

#endif
