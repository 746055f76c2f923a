/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * filemap/map.h - files mapped into memory.
 *
 * A mapping is opened with filemap_open(), read and written through pointers or the checked calls
 * below, made durable with filemap_flush() or filemap_sync(), and given up with filemap_close().
 *
 * What no library can change, first:
 * - A shared mapping is the file. Another process that ignores advisory locks can change its bytes at any
 *   moment, or cut the file: touching pages behind its end then raises SIGBUS.
 * - Stores reach the device when the kernel likes, in any order, also without a flush.
 * - A disk that fills up raises SIGBUS on stores into a file that has holes. Growth therefore allocates
 *   blocks unless FILEMAP_SPARSE is set; file systems that copy on write (btrfs, and others) cannot promise
 *   them even so.
 * - The lock belongs to the open file description. A forked child shares it, and so keeps it after the
 *   parent has died, unless it closes the handle.
 *
 * Thread classes, named in each description: R - any thread, together with everything but E; W - changes
 * bytes only, any thread, like R; E - exclusive: no other call on this handle at the same time.
 *
 * In a forked child that did not open the handle, reads, stores and flushes work, filemap_resize() is
 * FILEMAP_EFORKED, and filemap_close() unmaps and closes without touching the lock. A child that libc did
 * not make (clone(2), vfork(2)) is not recognised as one.
 *
 * A handle must not be NULL except where it is said; a closed one must not be used at all.
 */
#ifndef FILEMAP_MAP_H
#define FILEMAP_MAP_H

#include <filemap/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A mode is exactly one of these. */
#define FILEMAP_READ 1u  /* read-only; shared lock */
#define FILEMAP_WRITE 8u /* shared read-write; exclusive lock */

/*
 * Flags of struct filemap_options. Those marked W need FILEMAP_WRITE: with FILEMAP_READ they are
 * FILEMAP_EOPTION, as is every bit that is not listed. CREATE_NEW excludes CREATE and TRUNCATE.
 */
#define FILEMAP_CREATE (1u << 0) /* W: make the file if there is none; never through a symbolic link */
#define FILEMAP_CREATE_NEW (1u << 1) /* W: make the file; one that exists is -EEXIST */
#define FILEMAP_TRUNCATE (1u << 2) /* W: empty the file, after it is locked and everything was checked */
#define FILEMAP_SPARSE (1u << 3) /* W: growth makes holes, so that a full disk is SIGBUS later */
#define FILEMAP_EMPTY (1u << 4) /* a window of no bytes, for ever; length and reserve must be 0 */
#define FILEMAP_NOFOLLOW (1u << 5) /* a symbolic link as last component is -ELOOP */
#define FILEMAP_NO_DURABLE_NAME (1u << 6) /* W: do not sync the directory: a crash may lose the file */
#define FILEMAP_LOCK_IF_SUPPORTED (1u << 7) /* go on without a kernel lock where the file system has none */
#define FILEMAP_DONTFORK (1u << 8) /* a forked child does not get the bytes: touching them is SIGSEGV */

/*
 * Families of advisory locks. They do not see each other: every program that uses a file has to use the
 * same one. FLOCK meets flock(1) and everything that calls flock(2).
 */
#define FILEMAP_LOCK_DEFAULT 0u /* = FLOCK */
#define FILEMAP_LOCK_FLOCK 1u /* flock(2) */
#define FILEMAP_LOCK_OFD 2u  /* fcntl(2) open file description locks, on the whole file */
#define FILEMAP_LOCK_NONE 3u /* none at all, in this process neither: the caller answers */

/* Bits of filemap_state(). */
#define FILEMAP_STATE_LIVE (1u << 0)     /* there is a window */
#define FILEMAP_STATE_TAINTED (1u << 1)  /* a flush failed: loads and stores go on, no durability any more */
#define FILEMAP_STATE_POISONED (1u << 2) /* the window is gone: only close is left */

struct filemap; /* from filemap_open() to filemap_close() */

/**
 * The first member of every struct filemap: what a bounds check needs.
 *
 * Read-only for callers; the layout is frozen for the soversion. Sizes are published with release order
 * and are to be loaded with acquire order (`__atomic_load_n(&view->size, __ATOMIC_ACQUIRE)`); one check
 * against a size is the whole check, because both are 0 when the mapping is poisoned.
 */
struct filemap_view {
	const unsigned char *data; /* NULL = poisoned; else valid also when size is 0 */
	size_t size;               /* bytes of the window */
	unsigned char *data_mut;   /* NULL unless the mapping is writable now */
	size_t size_mut;           /* 0 unless the mapping is writable now */
};

/**
 * How filemap_open() is to open. All zero but struct_size = every default; NULL means the same.
 *
 * Make one with FILEMAP_OPTIONS(.offset = 4096), or with filemap_options_init(). Every field is checked
 * before the first system call, and the error names the field (`subject`). A struct_size of 0 or below
 * that of version 0.1 is FILEMAP_EOPTION; one of a newer version is fine while what is new in it is zero,
 * else FILEMAP_EVERSION.
 */
struct filemap_options {
	uint32_t struct_size;  /* sizeof(struct filemap_options) of the caller */
	uint32_t flags;        /* FILEMAP_CREATE and its like */
	uint64_t offset;       /* of the window in the file, in bytes; any value up to its end */
	uint64_t length;       /* in bytes; 0 or FILEMAP_TO_END = to the end of the file, following it */
	uint64_t size;         /* WRITE: an empty (new or truncated) file gets it; others keep theirs */
	uint64_t reserve;      /* bytes of address space from the window's start to grow in; 0 = none */
	uint32_t permissions;  /* of a created file, before the umask; 0 = 0666 */
	uint32_t lock_family;  /* FILEMAP_LOCK_FLOCK and its like */
	uint32_t lock_wait_ms; /* 0 = fail at once; FILEMAP_FOREVER; a signal ends the wait */
	uint32_t sharing;      /* must be 0 (FILEMAP_SHARING_DEFAULT) */
	uint32_t advice;       /* must be 0 */
	uint32_t reserved;     /* must be 0 */
	const char *label; /* must be NULL for file maps */
	void (*on_remove)(void *context, int result, const struct filemap_error *error); /* must be NULL */
	void *on_remove_context; /* must be NULL */
};

/** Options made in place: `FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 4096)`. Not in C++. */
#ifndef __cplusplus
#define FILEMAP_OPTIONS(...)                                                                       \
	(&(const struct filemap_options){.struct_size = sizeof(struct filemap_options), __VA_ARGS__})
#endif

/**
 * Set options to their defaults, for C++ and other languages.
 *
 * @param options  Borrowed; NULL does nothing.
 * @param size     sizeof(struct filemap_options) of the caller; less than 4 does nothing.
 * @since 0.1
 */
FILEMAP_API void filemap_options_init(struct filemap_options *options, size_t size);

/** What filemap_stat() tells of the file. */
struct filemap_stat {
	uint64_t size, device, inode, links, blocks; /* blocks of 512 bytes */
	uint32_t mode, owner, group, reserved0; /* mode: type and permissions, as st_mode */
	int64_t modified_seconds; /* since the epoch */
	uint32_t modified_nanoseconds, reserved1;
	uint64_t reserved[4];
};

/**
 * Map a file into memory, locked and checked.
 *
 * In this order: the options are validated; WRITE opens the parent directory and keeps it; the name is
 * opened without waiting for anything, and made if CREATE or CREATE_NEW say so; the lock is taken (READ
 * shared, WRITE exclusive, against this process's own mappings, too); the name is checked to mean the
 * locked file still, else all begins again, up to 8 times; the size is read and the window planned and
 * mapped; only then is the file changed: truncated, given `size` with its blocks; the parent directory is
 * synced if the file was created.
 *
 * Not promised: that nobody changes or cuts the file, which only other users of the same lock family can
 * be kept from; that the content of a created file is durable (filemap_sync() is for that); that blocks
 * are really reserved on file systems that copy on write.
 *
 * A window that ends behind the end of the file is refused here; later, filemap_resize() clamps it. An
 * empty file is a valid mapping of 0 bytes.
 *
 * @param path      Borrowed. Relative ones start at the working directory of this moment.
 * @param mode      FILEMAP_READ or FILEMAP_WRITE.
 * @param options   Borrowed; NULL = defaults.
 * @param ret_map   Given: the handle, to be closed with filemap_close(). Written on success only.
 * @param reterr    Step, subject and the path as detail; written on failure only; may be NULL.
 * @retval 0                   The mapping is live.
 * @retval FILEMAP_EOPTION     An argument or option; `subject` is its name.
 * @retval FILEMAP_EVERSION    The options struct is from a newer version and uses that.
 * @retval FILEMAP_ERANGE      The window does not lie within the file, or does not fit off_t or memory.
 * @retval FILEMAP_ELOCKED     Another mapping or process holds the lock, until the deadline if one was set.
 * @retval FILEMAP_EREPLACED   The name was given to another file again and again.
 * @retval -EINTR              A signal ended the wait for the lock.
 * @retval -ENOENT, -EACCES, …  As the kernel said: for the parent directory or the file.
 * @retval -EEXIST             CREATE_NEW, and the name is taken (by whatever it is).
 * @retval -EISDIR             A directory.
 * @retval -ENODEV             A FIFO, socket or device; or a file of /proc or /sys that is only generated.
 * @retval -ELOOP              NOFOLLOW met a symbolic link, or CREATE one that leads to nothing.
 * @retval -ENOSPC, -EDQUOT, -EFBIG  There are no blocks for `size`.
 * @return After every failure nothing is held, no file was created and none was changed, with two
 * exceptions: a file that somebody else locked between its creation and ours stays; and with TRUNCATE, if
 * blocks that were there a moment ago are gone after the file was emptied, it stays empty.
 *
 * Any thread. Blocks for the disk; for a lock no longer than lock_wait_ms.
 * @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_open(const char *path, unsigned mode,
	const struct filemap_options *options, struct filemap **ret_map, struct filemap_error *reterr);

/**
 * Give up a mapping: unmap, unlock, close.
 *
 * Pointers into the window are invalid from now on. Promises no durability: what was stored reaches the
 * device some time. Flushes that a queue still works on finish undisturbed; the lock is released at once
 * all the same. In a forked child nothing is unlocked.
 *
 * @param map  Taken; NULL does nothing.
 *
 * Class E. Does not wait for the device.
 * @since 0.1
 */
FILEMAP_API void filemap_close(struct filemap *map);

/**
 * The first byte of the window, for reading.
 *
 * Page-aligned if the window's offset is, also when it is empty. Viewed: valid until the handle is closed,
 * or resized without a reserve.
 *
 * @return NULL only if the mapping is poisoned.
 * Class R. Never blocks; touching the bytes may.
 * @since 0.1
 */
FILEMAP_API const void *filemap_data(const struct filemap *map);

/**
 * The first byte of the window, for writing; otherwise as filemap_data().
 *
 * @return NULL if the mapping is not FILEMAP_WRITE or is poisoned.
 * Class R. @since 0.1
 */
FILEMAP_API void *filemap_data_mut(struct filemap *map);

/**
 * The length of the window in bytes; 0 if poisoned.
 *
 * Class R. @since 0.1
 */
FILEMAP_API size_t filemap_size(const struct filemap *map);

/**
 * Where the window begins, in bytes from the start of the file: the option `offset`.
 *
 * Class R. @since 0.1
 */
FILEMAP_API uint64_t filemap_offset(const struct filemap *map);

/**
 * The path that was given to filemap_open(); it may mean another file by now.
 *
 * @return Viewed: valid until close. Never NULL.
 * Class R. @since 0.1
 */
FILEMAP_API const char *filemap_path(const struct filemap *map);

/**
 * The mapping's own descriptor, borrowed until close.
 *
 * Do not close it, lock or unlock through it, nor flush through it: the kernel reports a write error only
 * once, and what is told here never reaches filemap_flush().
 *
 * Class R. @since 0.1
 */
FILEMAP_API int filemap_fd(const struct filemap *map);

/**
 * The mode of opening: FILEMAP_READ or FILEMAP_WRITE.
 *
 * Class R. @since 0.1
 */
FILEMAP_API unsigned filemap_mode(const struct filemap *map);

/**
 * What state the mapping is in: bits FILEMAP_STATE_LIVE or _POISONED, and _TAINTED with either.
 *
 * Class R. @since 0.1
 */
FILEMAP_API unsigned filemap_state(const struct filemap *map);

/**
 * Whether the window is gone: a resize could neither finish nor restore.
 *
 * Class R. @since 0.1
 */
FILEMAP_API bool filemap_is_poisoned(const struct filemap *map);

/**
 * The first error behind POISONED or, without that, behind TAINTED.
 *
 * @return Negative, as the failing call had returned it; 0 if the mapping is neither.
 * Class R. @since 0.1
 */
FILEMAP_API int filemap_poison_cause(const struct filemap *map);

/**
 * The part of the file whose state on the device is unknown since a flush failed.
 *
 * It covers every flush that failed, in whole pages, and never shrinks. To recover, rewrite it from a
 * source you trust through a new handle, and flush that: the bytes that can be read may only be cached.
 *
 * @param ret_offset, ret_length  Bytes from the start of the file; may reach past its end. Written if 1.
 * @retval 1  There is such a range.
 * @retval 0  No flush failed.
 * Class R. @since 0.1
 */
FILEMAP_API int filemap_doubt(const struct filemap *map, uint64_t *ret_offset, uint64_t *ret_length);

/**
 * Ask the kernel about the mapped file, whatever its name is by now.
 *
 * @param ret  Written on success only.
 * @retval 0                  Done.
 * @retval FILEMAP_EPOISONED  The window is gone.
 * @retval -errno             fstat(2) failed.
 * Class R. @since 0.1
 */
FILEMAP_API int filemap_stat(const struct filemap *map, struct filemap_stat *ret);

/**
 * Check a range and get a pointer to it, for reading.
 *
 * @param offset  Bytes from the window's start.
 * @param length  Bytes; 0 is fine up to the end; FILEMAP_TO_END = the rest.
 * @param ret     Viewed, as filemap_data(). Written on success only.
 * @retval 0                  The whole range lies within the window.
 * @retval FILEMAP_ERANGE     It does not.
 * @retval FILEMAP_EPOISONED  The window is gone.
 * Class R. Never blocks. @since 0.1
 */
FILEMAP_API int filemap_slice(const struct filemap *map, size_t offset, size_t length, const void **ret);

/**
 * Check a range and get a pointer to it, for writing; otherwise as filemap_slice().
 *
 * @retval FILEMAP_EMODE  The mapping is not writable.
 * Class R. @since 0.1
 */
FILEMAP_API int filemap_slice_mut(struct filemap *map, size_t offset, size_t length, void **ret);

/**
 * Copy bytes out of the window, as many as there are.
 *
 * Not atomic: bytes that others store meanwhile may be seen in part.
 *
 * @param offset  Bytes from the window's start.
 * @param to      Borrowed; room for @p length bytes, which must not overlap the range.
 * @return The bytes copied: 0 only at the end (or for length 0), less than asked only before it.
 * @retval FILEMAP_ERANGE     The offset lies behind the end.
 * @retval FILEMAP_EPOISONED  The window is gone.
 * Class R. Blocks for pages that are not in memory. @since 0.1
 */
FILEMAP_API int64_t filemap_read_some(const struct filemap *map, size_t offset, void *to, size_t length);

/**
 * Copy bytes out of the window, all or nothing; otherwise as filemap_read_some().
 *
 * @retval 0               All @p length bytes were copied.
 * @retval FILEMAP_ERANGE  The range does not lie within the window; nothing was copied.
 * Class R. @since 0.1
 */
FILEMAP_API int filemap_read_exact(const struct filemap *map, size_t offset, void *to, size_t length);

/**
 * Copy bytes into the window, as many as fit. Nothing is durable before a flush, and all can be earlier.
 *
 * @param offset  Bytes from the window's start.
 * @param from    Borrowed; must not overlap the range.
 * @return The bytes copied: 0 only at the end (or for length 0).
 * @retval FILEMAP_ERANGE     The offset lies behind the end.
 * @retval FILEMAP_EMODE      The mapping is not writable.
 * @retval FILEMAP_EPOISONED  The window is gone.
 * Class W. Blocks for pages that are not in memory. @since 0.1
 */
FILEMAP_API int64_t filemap_write_some(struct filemap *map, size_t offset, const void *from, size_t length);

/**
 * Copy bytes into the window, all or nothing; otherwise as filemap_write_some().
 *
 * @retval 0               All @p length bytes were stored.
 * @retval FILEMAP_ERANGE  The range does not lie within the window; nothing was stored.
 * Class W. @since 0.1
 */
FILEMAP_API int filemap_write_all(struct filemap *map, size_t offset, const void *from, size_t length);

/**
 * Store zeros into a range. Blocks of the file stay allocated.
 *
 * @param length  Bytes; FILEMAP_TO_END = the rest.
 * @retval 0                  Done.
 * @retval FILEMAP_ERANGE     The range does not lie within the window; nothing was stored.
 * @retval FILEMAP_EMODE      The mapping is not writable.
 * @retval FILEMAP_EPOISONED  The window is gone.
 * Class W. @since 0.1
 */
FILEMAP_API int filemap_zero(struct filemap *map, size_t offset, size_t length);

/**
 * Make the whole window durable: filemap_flush_range() of all of it.
 *
 * Class W. Blocks for the device. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_flush(struct filemap *map);

/**
 * Wait until what was stored in a range before this call is on the device.
 *
 * Also the file's size, as far as it is needed to read the range. Works on whole pages. Orders nothing
 * among stores made before it: any of them may have reached the device earlier. Promises nothing for
 * metadata (filemap_sync()) or for names.
 *
 * A failure is for ever: the kernel forgets which pages it could not write, so a second flush would
 * succeed without having written them. The mapping is TAINTED from then on, see filemap_doubt().
 *
 * @param offset  Bytes from the window's start.
 * @param length  Bytes; 0 does nothing; FILEMAP_TO_END = the rest.
 * @retval 0                  The range is durable.
 * @retval FILEMAP_ERANGE     The range does not lie within the window; nothing was done.
 * @retval FILEMAP_EPOISONED  The window is gone, or a flush failed before or meanwhile;
 *                            filemap_poison_cause() has the first error.
 * @retval -EINTR             A signal came first; not a failure, to be repeated.
 * @retval -EIO, -ENOSPC, -EDQUOT, …  This flush failed; the mapping is TAINTED.
 * Class W. Blocks for the device. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_flush_range(struct filemap *map, size_t offset, size_t length);

/**
 * Make the window, the file's size and its other metadata durable; otherwise as filemap_flush().
 *
 * Class W. Blocks for the device. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_sync(struct filemap *map);

/**
 * Give the file another length, and the window what follows from it.
 *
 * A window without a length ends where the file does; one with a length is clamped to the file and gets
 * its length back when there is room again. Growth allocates blocks unless FILEMAP_SPARSE was set, and all
 * new bytes read as zero. With a reserve the window never moves; without one every pointer into it is
 * invalid after a success, and still valid after a failure.
 *
 * Promises no durability: filemap_sync() makes the new size durable.
 *
 * @param file_size  Bytes, of the whole file, not of the window; not less than the window's offset.
 * @param reterr     Written on failure only; may be NULL.
 * @retval 0                  File and window have their new sizes.
 * @retval FILEMAP_EMODE      The mapping is not FILEMAP_WRITE.
 * @retval FILEMAP_EFORKED    Only the process that opened may do this.
 * @retval FILEMAP_ERANGE     Less than the offset, more than off_t, memory or the reserve can hold.
 * @retval FILEMAP_EPOISONED  The window is gone already.
 * @retval -ENOSPC, -EDQUOT, -EFBIG, -ENOMEM, -EIO, …  As the kernel said.
 * @return After every failure file and window are as they were, except: if the file could not be cut back
 * after a failed growth it stays longer, with the window as it was (`hint` says so); if a failed cut had
 * happened nevertheless, the window is the smaller one; if its outcome cannot be found out, the mapping is
 * POISONED.
 *
 * Class E; with a reserve growth is like W beside readers. Blocks for the disk.
 * @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_resize(struct filemap *map, uint64_t file_size,
	struct filemap_error *reterr);

#ifdef __cplusplus
}
#endif

#endif
