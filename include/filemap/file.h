/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * filemap/file.h - files and directories around a mapping: opening, making new content appear under a name,
 * removing names, and making all that durable.
 *
 * Where there is a `dirfd`, a relative path starts at that directory, or at the working directory with AT_FDCWD.
 * Publishing, replacing and removing open what stands before the last slash once, and all that follows happens in
 * that directory.
 */
#ifndef FILEMAP_FILE_H
#define FILEMAP_FILE_H

#include <filemap/map.h>

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
#define FILEMAP_FILE_DURABLE (1u << 6)    /* a file that was made survives a crash: sync it and its directory */

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

/**
 * Find out which file a name means, without opening it for reading: for filemap_remove_file() and others.
 *
 * A symbolic link is not followed: it is -ELOOP.
 *
 * @param ret  Written on success only.
 * @retval 0                Done.
 * @retval FILEMAP_EOPTION  `path` is NULL or empty, `dirfd` negative and not AT_FDCWD, or `ret` NULL.
 * @retval -EISDIR, -ENODEV, -ELOOP  It is no regular file.
 * @retval -ENOENT, -EACCES, …  As the kernel said.
 * Any thread. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_file_identity(int dirfd, const char *path,
	struct filemap_identity *ret, struct filemap_error *reterr);

/**
 * Remove the name of a file that is not mapped, in the way of filemap_remove(), and make that durable.
 *
 * The file is the one that the name means when this begins, or, with @p identity, only that one. No lock is
 * asked for: who has the file mapped keeps its bytes.
 *
 * @param identity  Borrowed; what the file must be, see filemap_identity_equal(); NULL = whatever it is.
 * @retval 0                  Removed, durably; or bits: FILEMAP_STILL_LINKED, FILEMAP_WEAKLY_CHECKED.
 * @retval FILEMAP_EOPTION    `path` is NULL or empty, or `dirfd` negative and not AT_FDCWD.
 * @retval FILEMAP_EMODE      A symbolic link: those are not removed.
 * @retval -EISDIR, -ENODEV   A directory; a FIFO, socket or device.
 * @retval -ENOENT            There is no such name.
 * @retval FILEMAP_EGONE      With @p identity: there is none. Without: there was one, and others removed it.
 * @retval FILEMAP_EREPLACED  It is, or became, another file; see filemap_remove() for where that one is.
 * @retval FILEMAP_EUNSYNCED  The name is gone, but a crash may bring it back: filemap_sync_parent().
 * @retval -EBUSY, -errno     As for filemap_remove(); what is hidden then filemap_recover_quarantine() gives back.
 * Any thread. Blocks for the device. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_remove_file(int dirfd, const char *path,
	const struct filemap_identity *identity, struct filemap_error *reterr);

/**
 * After a crash: give files that were hidden for removal their names back, and make that durable.
 *
 * Whatever is called `.NAME.RANDOM.del`, RANDOM being 16 digits of lower-case hexadecimal, becomes NAME again,
 * and so does the NAME in a directory `.NAME.RANDOM.deld`, which is then removed; neither ever replaces anything. Nothing
 * that has content is deleted: whether the file was to go is for the program to know, which removes it again.
 * Only where NAME is that very file already, its second name, the hidden one, is unlinked. A directory that
 * is not this user's, that others may enter, or that holds anything else, is left alone: not counted, no error.
 * So it is to be called by the user who removed. Hidden files `.NAME.RANDOM.tmp` are not looked at: see
 * filemap_publish().
 *
 * May run while others remove files in the directory: they notice, and look again.
 *
 * @param dirfd  Borrowed; of a directory that may be read; AT_FDCWD = the working directory.
 * @return How many names were given back, if all could be.
 * @retval FILEMAP_EOPTION  `dirfd` is negative and not AT_FDCWD.
 * @retval -EEXIST          A name is taken by now: its file stays hidden, and `detail` is the hidden name of
 *                          the first such; all others that could be were given back, and are durable.
 * @retval FILEMAP_EUNSYNCED  All that could be were given back, but a crash may hide them again.
 * @retval -errno           As the kernel said, for `detail`; otherwise as -EEXIST.
 * Any thread. Blocks for the device. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_recover_quarantine(int dirfd, struct filemap_error *reterr);

/**
 * Writes the content of a new file: for filemap_publish() and filemap_replace_file().
 *
 * Called once, by the thread that called those, with an empty file that nobody else knows of: it has no name or,
 * where there are no such files, a hidden one. It may write through @p fd in any way, also map it, but must not
 * close or keep it. It need not sync.
 *
 * @return 0, or any negative code, which ends the operation and is what the caller gets. A positive one is
 * FILEMAP_EOPTION: a file whose completeness is in doubt is not published.
 */
typedef int filemap_fill_fn(int fd, void *context);

/** A filemap_fill_fn that writes the struct filemap_bytes that is its context. @since 0.1 */
FILEMAP_API int filemap_fill_bytes(int fd, void *context);

/**
 * A filemap_fill_fn that copies a descriptor from where it stands to its end; the context is `const int *`.
 *
 * Blocks of a regular file are shared, and its holes kept, where the file system can. Afterwards it stands at
 * its end or, after a failure, anywhere: what was read from a stream is gone then, also with -EINTR (a signal
 * came while there was nothing to read) and -EAGAIN. @since 0.1
 */
FILEMAP_API int filemap_fill_fd(int fd, void *context);

/* Flags of struct filemap_new_options. */
#define FILEMAP_KEEP_MODE (1u << 0)  /* replace: the old permissions, set-id only for the same owner; no ACLs */
#define FILEMAP_KEEP_OWNER (1u << 1) /* replace: its owner and group, or -EPERM */

/** How a new file is to be; all zero but struct_size = every default; NULL means the same. */
struct filemap_new_options {
	uint32_t struct_size; /* sizeof(struct filemap_new_options) of the caller */
	uint32_t flags;       /* FILEMAP_KEEP_MODE and its like */
	uint32_t permissions; /* before the umask; 0 = 0666; with KEEP_MODE: of one that did not exist */
	uint32_t reserved;    /* must be 0 */
	const struct filemap_identity *expect; /* replace: the file that must be replaced, or NULL. Borrowed */
};

/** As FILEMAP_OPTIONS(). Not in C++: zero the struct and set struct_size. */
#ifndef __cplusplus
#define FILEMAP_NEW_OPTIONS(...)                                                                   \
	(&(const struct filemap_new_options){.struct_size = sizeof(struct filemap_new_options), __VA_ARGS__})
#endif

/**
 * Make a file appear under a new name, complete and durable, or not at all.
 *
 * A file without a name is made in the directory, which must be one that may be read, and filled; it is synced;
 * it is given the name, which is never taken from anything; its link count and the directory are synced. Where
 * there are no files without names, a hidden one, `.NAME.RANDOM.tmp`, is made instead and renamed, replacing
 * nothing.
 *
 * What a crash leaves: nothing, or the complete file; in the second way also, for nobody's use, the hidden one,
 * which may be deleted when nobody publishes here. After success the file is there with all its content.
 *
 * @param fill     Called once the name was seen to be free; may be NULL for an empty file.
 * @param context  Passed through.
 * @retval 0                The file is there.
 * @retval FILEMAP_EOPTION  An argument or option; `subject` is its name. `flags` and `expect` must be 0 here.
 * @retval -EEXIST          The name is taken, whatever by.
 * @retval -EISDIR          The path ends in a slash.
 * @retval FILEMAP_EUNSYNCED  The complete file is there, but a crash may lose it: filemap_sync_parent().
 * @retval -errno           As @p fill or the kernel said: there is no new file.
 * Any thread. Blocks for the device. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_publish(int dirfd, const char *path, filemap_fill_fn *fill,
	void *context, const struct filemap_new_options *options, struct filemap_error *reterr);

/**
 * Give a name new content in one step: whoever opens it finds the old file or the complete new one.
 *
 * A new file is made and filled, as by filemap_publish(); it is given a hidden name, and synced; that is renamed
 * over @p path; the directory, which must be one that may be read, is synced. It is a new file: mappings and
 * descriptors of the old one keep the old, further hard links of it, too, and locks on the old are not asked for.
 * A name that does not exist is made. Permissions and owner are the old file's only on request; other attributes
 * are never kept.
 *
 * KEEP_MODE keeps what the permissions give, no access control list: where the old file has one, the bits of the
 * group are what the list gives the group itself, within its mask; one that the new file inherits from its
 * directory is dropped. Where others can write the directory the old file may be theirs: there use `expect` with
 * KEEP_MODE and KEEP_OWNER.
 *
 * With `expect` only that file is replaced: the two change places in one step, what is under the hidden name
 * then is compared, and unlinked if it is the expected one; else they change places back. Where the file
 * system cannot do that, the name is compared and replaced at once; and where others than this user can write
 * the directory, they can meddle with the hidden name: both is FILEMAP_WEAKLY_CHECKED.
 *
 * What a crash leaves: the old file or the new one under the name, each complete, never neither. Also, for
 * nobody's use, `.NAME.RANDOM.tmp`, complete or not; or with `expect` `.NAME.RANDOM.del` (`.tmp`, where that is
 * too long): before the exchange it is the new file, after it the old one. It may be deleted once the name is seen
 * to be right; until then filemap_recover_quarantine() says -EEXIST. After success the new file has the name.
 *
 * In a directory where names may be made and not removed (append-only) it fails, and `.tmp` has to stay.
 *
 * @param fill     As for filemap_publish().
 * @retval 0                  Replaced, or made; with `expect` also FILEMAP_WEAKLY_CHECKED.
 * @retval FILEMAP_EOPTION    An argument or option; `subject` is its name.
 * @retval FILEMAP_EMODE      The name is a symbolic link: neither it nor what it leads to is replaced.
 * @retval FILEMAP_EGONE      With `expect`: the name does not exist.
 * @retval FILEMAP_EREPLACED  With `expect`: it is, or became, another file, which is under the name still, or
 *                            again. If a third one came between, `detail` is the hidden name of the one that
 *                            had to stay under it.
 * @retval -EISDIR, -ENODEV   It is a directory; a FIFO, socket or device.
 * @retval -EPERM             KEEP_OWNER is not allowed to this user.
 * @retval FILEMAP_EUNSYNCED  The name means the new file, but a crash may turn it back: filemap_sync_parent().
 * @retval -errno             As @p fill or the kernel said: the name means the old file. Only if `expect` was
 *                            replaced, and could neither be unlinked nor changed back, it means the new one, and
 *                            `detail` is the hidden name of the old.
 * Any thread. Blocks for the device. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_replace_file(int dirfd, const char *path, filemap_fill_fn *fill,
	void *context, const struct filemap_new_options *options, struct filemap_error *reterr);

#ifdef __cplusplus
}
#endif

#endif
