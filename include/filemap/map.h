/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * filemap/map.h - files mapped into memory.
 *
 * A mapping is opened with filemap_open(), read and written through pointers or the checked calls
 * below, made durable with filemap_flush() or filemap_sync(), and given up with filemap_close().
 *
 * What no library can change, first:
 * - A shared mapping is the file. Another process that ignores advisory locks can change its bytes at any
 *   moment, or cut the file: touching pages behind its end then raises SIGBUS (see guard.h).
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
 * FILEMAP_EFORKED, and filemap_close() unmaps and closes without touching the lock. A flush that fails in one
 * of parent and child taints the handle of both, because the kernel tells only one of them. What FILEMAP_DONTFORK
 * keeps from a child can be neither touched nor advised, discarded, locked, counted, refreshed, frozen or
 * thawed there (FILEMAP_EFORKED). A child that libc did not make (clone(2), vfork(2)) is not recognised as
 * one.
 *
 * A handle must not be NULL except where it is said; a closed one must not be used at all.
 */
#ifndef FILEMAP_MAP_H
#define FILEMAP_MAP_H

#include <filemap/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A mode is exactly one of these; any combination is FILEMAP_EOPTION. */
#define FILEMAP_READ 1u  /* read-only; shared lock */
#define FILEMAP_EXEC 2u  /* read and execute; shared lock */
#define FILEMAP_COW 4u   /* private copy on write; shared lock; needs only permission to read */
#define FILEMAP_WRITE 8u /* shared read-write; exclusive lock, or shared with COOPERATE */

/*
 * Flags of struct filemap_options. The letters say where a flag has an effect: F - files by name; D - files
 * by descriptor; W - of those with FILEMAP_WRITE only; C - FILEMAP_COW; A - anonymous memory. Elsewhere
 * it is FILEMAP_EOPTION (`detail` names the flag), as is every bit that is not listed. CREATE_NEW excludes
 * CREATE and TRUNCATE.
 */
#define FILEMAP_CREATE (1u << 0) /* FW: make the file if there is none; never through a symbolic link */
#define FILEMAP_CREATE_NEW (1u << 1) /* FW: make the file; one that exists is -EEXIST */
#define FILEMAP_TRUNCATE (1u << 2) /* FDW: empty the file, after it is locked and everything was checked */
#define FILEMAP_SPARSE (1u << 3) /* FDW: growth makes holes, so that a full disk is SIGBUS later */
#define FILEMAP_EMPTY (1u << 4) /* FD: a window of no bytes, for ever; length and reserve must be 0 */
#define FILEMAP_NOFOLLOW (1u << 5) /* F: a symbolic link as last component is -ELOOP */
#define FILEMAP_NO_DURABLE_NAME (1u << 6) /* FW: do not sync it and its directory: a crash may lose it */
#define FILEMAP_LOCK_IF_SUPPORTED (1u << 7) /* FD: go on without a kernel lock where there are none */
#define FILEMAP_DONTFORK (1u << 8) /* FDA: a forked child does not get the bytes: touching them is SIGSEGV */
#define FILEMAP_POPULATE (1u << 9) /* FDA: bring the pages in at once; those that cannot be are left out */
#define FILEMAP_PIN_PARENT (1u << 10) /* F: keep the directory open, as FILEMAP_WRITE always does */
#define FILEMAP_DOWNGRADE_ON_FREEZE (1u << 11) /* FDW: filemap_freeze() gives others the shared lock */
#define FILEMAP_NORESERVE (1u << 12) /* CA, private, not huge: count no swap space for unwritten pages */
#define FILEMAP_STACK (1u << 13) /* A, private: suitable as a thread's stack */
#define FILEMAP_HUGE_2M (1u << 14) /* A, private: pages of 2 MiB from the system's pool, or -ENOMEM */
#define FILEMAP_HUGE_1G (1u << 15) /* A, private: pages of 1 GiB, likewise; excludes HUGE_2M */
#define FILEMAP_MLOCK (1u << 16) /* FDA: keep the window's pages in memory, see filemap_mlock() */
#define FILEMAP_DONTDUMP (1u << 17) /* FDA: leave the bytes out of core dumps */
#define FILEMAP_SHARED (1u << 18) /* A: a memory file, which forked children share and windows can show */
#define FILEMAP_REMOVE_ON_CLOSE (1u << 19) /* F: closing removes; implies PIN_PARENT and NOFOLLOW */
#define FILEMAP_REFLINK (1u << 20) /* filemap_snapshot() only: a clone that shares blocks, or -EOPNOTSUPP */

/* Values of `sharing`. */
#define FILEMAP_SHARING_DEFAULT 0u /* one WRITE mapping or many others */
#define FILEMAP_SHARING_COOPERATE 1u /* the shared lock in every mode: many writers and readers that agree */

/* Bits of `advice`, and of filemap_advise(): hints that change no byte. See madvise(2). */
#define FILEMAP_ADVICE_NORMAL (1u << 0)     /* as before any advice; excludes RANDOM and SEQUENTIAL */
#define FILEMAP_ADVICE_RANDOM (1u << 1)     /* no read-ahead */
#define FILEMAP_ADVICE_SEQUENTIAL (1u << 2) /* much read-ahead; pages may go soon after they were read */
#define FILEMAP_ADVICE_WILLNEED (1u << 3)   /* start reading now */
#define FILEMAP_ADVICE_HUGEPAGE (1u << 4)   /* use transparent huge pages where possible */
#define FILEMAP_ADVICE_NOHUGEPAGE (1u << 5) /* do not */
#define FILEMAP_ADVICE_COLD (1u << 6)       /* first to go when memory is short */
#define FILEMAP_ADVICE_PAGEOUT (1u << 7)    /* out of memory now */
#define FILEMAP_ADVICE_DONTDUMP (1u << 8)   /* leave out of core dumps */
#define FILEMAP_ADVICE_DODUMP (1u << 9)
#define FILEMAP_ADVICE_MERGEABLE (1u << 10) /* private pages only: share equal ones (KSM) */
#define FILEMAP_ADVICE_UNMERGEABLE (1u << 11)
#define FILEMAP_ADVICE_COLLAPSE (1u << 12)  /* make huge pages of it now (Linux 6.1) */

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
#define FILEMAP_STATE_FROZEN (1u << 3)   /* not writable until filemap_thaw() */
/* Of the file's name, since filemap_remove() was tried; the same for all windows of a file, at most one: */
#define FILEMAP_STATE_NEEDS_UNLINK (1u << 4)      /* it failed: the name is there, or not of our removing */
#define FILEMAP_STATE_NEEDS_PARENT_SYNC (1u << 5) /* the name is gone, but a crash may bring it back */
#define FILEMAP_STATE_REMOVED (1u << 6)           /* gone, and durably so */

/* What filemap_remove() and its like return beside success: bits, 0 = nothing to add. */
#define FILEMAP_STILL_LINKED 1 /* the file has further names, which were not touched */
#define FILEMAP_WEAKLY_CHECKED 2 /* the last check and the removal were two steps, see filemap_remove() */

/* filemap_lock() and filemap_lock_state(). */
#define FILEMAP_UNLOCKED 0u
#define FILEMAP_SHARED_LOCK 1u
#define FILEMAP_EXCLUSIVE_LOCK 2u

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
	uint64_t reserve;      /* bytes of address space from the window's start, at least the window; 0 = none */
	uint32_t permissions;  /* of a created file, before the umask; 0 = 0666 */
	uint32_t lock_family;  /* FILEMAP_LOCK_FLOCK and its like */
	uint32_t lock_wait_ms; /* 0 = fail at once; FILEMAP_FOREVER; a signal ends the wait */
	uint32_t sharing;      /* FILEMAP_SHARING_COOPERATE or 0 */
	uint32_t advice;       /* FILEMAP_ADVICE_* for the whole window, given once it is mapped */
	uint32_t reserved;     /* must be 0 */
	const char *label; /* anonymous memory: its name in /proc and in errors; else NULL. Borrowed */
	/* Files by name: told once what became of a removal at close, by the thread that closed. `result` is as
	 * from filemap_remove(), or FILEMAP_ELOCKED; `error` is NULL, or filled in and viewed if that is negative.
	 * The handle is gone, and all that it held is given back by then: a file of the name may be made anew. */
	void (*on_remove)(void *context, int result, const struct filemap_error *error);
	void *on_remove_context; /* passed through; must be NULL without on_remove */
};

/**
 * Options made in place: `FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 4096)`.
 *
 * A pointer that is valid until the end of the block that it stands in. Not in C++: filemap_options_init().
 */
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

/** A moment, since the epoch; all zero where it is not known. */
struct filemap_time {
	int64_t seconds;
	uint32_t nanoseconds, reserved;
};

/**
 * What filemap_stat() tells.
 *
 * Of memory that is no file only `size` and the times are set, the times all to the moment when it was
 * made; everything else is 0, the type in `mode`, too.
 */
struct filemap_stat {
	uint64_t size, device, inode, links, blocks; /* blocks of 512 bytes */
	uint64_t special_device; /* always 0 for regular files */
	uint32_t mode, owner, group, block_size; /* mode: type and permissions, as st_mode */
	struct filemap_time accessed, modified, changed;
	struct filemap_time created; /* zero where the file system does not keep it */
	uint64_t reserved[4];
};

/** Which part of a range is in memory: what filemap_residency() counts, in pages. */
struct filemap_residency {
	uint64_t page_size; /* bytes */
	uint64_t pages;     /* that the range touches */
	uint64_t resident;  /* of those, in memory */
	uint64_t dirty;     /* of those, not yet written; FILEMAP_UNKNOWN where the kernel cannot say */
	uint64_t writeback; /* being written now; FILEMAP_UNKNOWN likewise */
	uint64_t reserved[3];
};
#define FILEMAP_UNKNOWN UINT64_MAX

/**
 * Which file it is, whatever its name: to be compared, printed, and kept for later.
 *
 * Inode numbers are given to new files soon after old ones are gone, so the number alone is no identity. The
 * file handle, where the file system has one, and the moment of creation tell the two apart. Device numbers
 * may change when a file system is mounted again.
 */
struct filemap_identity {
	uint64_t device, inode;
	struct filemap_time created; /* zero where the file system does not keep it */
	uint32_t handle_type, handle_length; /* length 0 = the file system has no handles */
	unsigned char handle[128];
	uint64_t reserved[2];
};

/** Room for filemap_identity_format(), with the final zero. */
#define FILEMAP_IDENTITY_TEXT 384

/* How filemap_discard() drops pages. All destroy what the range held, or may. */
#define FILEMAP_DISCARD_DONTNEED 1u /* private pages: back to the file's, or to zeros; at once */
#define FILEMAP_DISCARD_FREE 2u /* private memory: to zeros, when the system needs it or never */
#define FILEMAP_DISCARD_REMOVE 3u /* files: free the blocks, zeros from now on, for everybody */

/* How filemap_prefault() touches pages. */
#define FILEMAP_PREFAULT_READ 1u  /* as a load would */
#define FILEMAP_PREFAULT_WRITE 2u /* as a store would, without changing a byte */

/**
 * Map a file into memory, locked and checked.
 *
 * In this order: the options are validated; WRITE opens the parent directory and keeps it (as PIN_PARENT
 * does in every mode); the name is opened without waiting for anything, and made if CREATE or CREATE_NEW say
 * so; the lock is taken (WRITE exclusive, the other modes shared, against this process's own mappings,
 * too); the name is checked to mean the locked file still, else all begins again, up to 8 times; the size is
 * read and the window planned and mapped; only then is the file changed: truncated, given `size` with its
 * blocks; a file that was created is synced, and its parent directory.
 *
 * FILEMAP_COW shows the file's own later changes in every page that was not written through the mapping,
 * and loses those that were behind a new end of the file: it is no snapshot. FILEMAP_EXEC can be neither
 * written nor thawed, and needs a file system that is not mounted noexec (-EPERM).
 *
 * With COOPERATE every mode takes the shared lock, so that many mappings that agree on it, in any
 * processes, write and read together while plain writers stay out. TRUNCATE then takes the exclusive lock
 * for the time of the opening; growth never cuts what another one has grown.
 *
 * TRUNCATE with a `size` first tries whether there are blocks for it, while the old content is still there. A crash in
 * between leaves that content, and may leave zeros behind it: the file is longer then.
 *
 * Not promised: that nobody changes or cuts the file, which only other users of the same lock family can
 * be kept from; that the content of a created file is durable (filemap_sync() is for that); that blocks
 * are really reserved on file systems that copy on write.
 *
 * A window that ends behind the end of the file is refused here; later, filemap_resize() clamps it. An
 * empty file is a valid mapping of 0 bytes.
 *
 * @param path      Borrowed. Relative ones start at the working directory of this moment.
 * @param mode      One of FILEMAP_READ, _EXEC, _COW and _WRITE.
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
 * @retval -EAGAIN, -ENOMEM    MLOCK: RLIMIT_MEMLOCK does not allow it; or there is no memory.
 * @return After every failure nothing is held, no file was created and none was changed, with three
 * exceptions: a file that somebody else locked between its creation and ours stays; with TRUNCATE, if blocks
 * that were there a moment ago are gone after the file was emptied, it stays empty; and a created file is
 * removed again in the way of filemap_remove(), without a last sync: if a file had to be left hidden on the
 * way, `detail` is its hidden name instead of the path.
 *
 * Any thread. Blocks for the disk; for a lock no longer than lock_wait_ms.
 * @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_open(const char *path, unsigned mode,
	const struct filemap_options *options, struct filemap **ret_map, struct filemap_error *reterr);

/**
 * Map a file that is found from a given directory; otherwise as filemap_open().
 *
 * @param dirfd  Borrowed: where a relative path starts; AT_FDCWD = the working directory.
 * @retval FILEMAP_EOPTION  `dirfd` is negative and not AT_FDCWD.
 * @retval -EBADF, -ENOTDIR  It is not a directory.
 * Any thread. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_open_at(int dirfd, const char *path, unsigned mode,
	const struct filemap_options *options, struct filemap **ret_map, struct filemap_error *reterr);

/**
 * Map the file behind a descriptor.
 *
 * The file is opened once more, through /proc/self/fd, and made sure to be the same: the mapping has a
 * description of its own, so that its lock neither converts nor releases one that the caller holds, and a
 * flock(2) held through @p fd is another holder like any else. Permissions are asked for anew: a descriptor
 * opened for reading may become a WRITE mapping, if the user may write the file, and one opened for writing
 * fails with -EACCES, if not. A file that has no name any more can be mapped; no name is checked.
 *
 * Flags that are about names (CREATE, CREATE_NEW, NOFOLLOW, NO_DURABLE_NAME, PIN_PARENT, REMOVE_ON_CLOSE),
 * `permissions` and `on_remove` are FILEMAP_EOPTION. filemap_path() is "fd:N".
 *
 * @param fd  Borrowed, during the call only; of a regular file or a memory file.
 * @retval FILEMAP_EOPTION    @p fd is negative.
 * @retval FILEMAP_EREPLACED  What was opened is another file.
 * @retval -EBADF             @p fd is not open.
 * @retval -EPERM             WRITE or TRUNCATE, and a seal of the memory file forbids it: it keeps its content.
 * @retval -ENOENT, -ENOSYS   /proc is not mounted; memory files then cannot be opened again at all.
 * Otherwise as filemap_open(). Any thread. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_open_fd(int fd, unsigned mode, const struct filemap_options *options,
	struct filemap **ret_map, struct filemap_error *reterr);

/**
 * Get the content of a file read-only, mapped where that works and read into memory where not.
 *
 * A regular file of 16 KiB or more is a FILEMAP_READ mapping. What is smaller, a file that only claims to
 * be empty (/proc, /sys), a FIFO, a terminal or another stream is read to its end, under the shared lock if
 * it is a regular file, and closed: the result is memory, see filemap_from_bytes(). Reading from a stream
 * waits for its writers.
 *
 * @param path       Borrowed; "-" is a file of that name, not standard input: see filemap_read_fd().
 * @param max_bytes  The most that the content may have; FILEMAP_TO_END = no limit.
 * @param options    Borrowed; as for filemap_open() with FILEMAP_READ, but `offset`, `length`, `reserve`,
 *                   `on_remove` and the flags EMPTY and REMOVE_ON_CLOSE must be 0. What concerns pages (`advice`,
 *                   MLOCK, POPULATE, DONTFORK, DONTDUMP) has an effect only where the file is mapped.
 * @retval -EFBIG    There is at least one byte more than @p max_bytes.
 * @retval -EISDIR   A directory.
 * Otherwise as filemap_open() and read(2). Any thread. Blocks. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_open_or_read(const char *path, size_t max_bytes,
	const struct filemap_options *options, struct filemap **ret_map, struct filemap_error *reterr);

/**
 * Read a descriptor to its end into memory, from where it stands.
 *
 * @param fd         Borrowed; pipes, sockets and terminals, too. Afterwards it is at its end, or, after a
 *                   failure, somewhere.
 * @param max_bytes  The most that may come; FILEMAP_TO_END = no limit. Exactly so many is a success.
 * @param ret_map    Given; a FILEMAP_READ mapping of memory, see filemap_from_bytes().
 * @retval 0                What came before the end of file is in the mapping.
 * @retval -EFBIG           More came; one byte more was taken from @p fd.
 * @retval FILEMAP_EOPTION  @p fd is negative.
 * @retval -EAGAIN          @p fd is non-blocking and has nothing now.
 * @retval -EINTR           A signal came while there was nothing to read.
 * Otherwise as read(2). Any thread. Blocks for the writers of a pipe. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_read_fd(int fd, size_t max_bytes, struct filemap **ret_map,
	struct filemap_error *reterr);

/**
 * Make memory that behaves like a FILEMAP_WRITE mapping of a file that starts with zeros.
 *
 * Private memory (the default) belongs to this process alone, a forked child has its own copy from the
 * moment of forking, and there is no descriptor (filemap_fd() is -1). With SHARED it is a memory file with a
 * descriptor, which can be windowed, passed on and is shared with forked children.
 *
 * It can be resized, frozen and thawed without a lock, and made executable (filemap_freeze_exec()); flush,
 * sync and writeback only check the range; lock calls succeed and do nothing. Memory is taken when it is
 * touched: where there is none, the system's policy decides.
 *
 * @param length   Bytes; 0 is a valid empty mapping. With HUGE_2M or HUGE_1G whole huge pages are mapped; the
 *                 size stays as asked for.
 * @param options  Borrowed; NULL = defaults. `offset`, `length`, `size`, `permissions`, `lock_family`,
 *                 `lock_wait_ms` and `sharing` have no effect here and are FILEMAP_EOPTION.
 * @retval FILEMAP_ERANGE   More than an address space can hold.
 * @retval FILEMAP_EOPTION  As named by `subject`.
 * @retval -ENOMEM          No memory, or no huge pages (`hint`).
 * Any thread. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_anonymous(size_t length, const struct filemap_options *options,
	struct filemap **ret_map, struct filemap_error *reterr);

/**
 * Copy bytes into memory that behaves like a mapping of a file with this content.
 *
 * As private memory of filemap_anonymous(), in any mode: READ and EXEC cannot be written (EXEC runs), COW
 * can be written but not resized, WRITE can be both.
 *
 * @param label   Borrowed, copied: filemap_path() of the mapping, and its name in errors; NULL = "".
 * @param bytes   Borrowed, copied; may be NULL if @p length is 0.
 * @retval FILEMAP_EOPTION  `mode` is not a mode, or `bytes` is NULL.
 * @retval -ENOMEM          No memory.
 * Any thread. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_from_bytes(const char *label, unsigned mode, const void *bytes,
	size_t length, struct filemap **ret_map, struct filemap_error *reterr);

/**
 * Show the caller's own bytes as a FILEMAP_READ mapping, without copying.
 *
 * Nothing is mapped and nothing is protected: the bytes must stay valid until the handle is closed and the
 * last pin is gone, and are never changed or freed here. filemap_data() is @p bytes, whatever its alignment.
 * Advice, locking in memory and residency are FILEMAP_EMODE.
 *
 * @param label  Borrowed, copied; NULL = "".
 * @param bytes  Viewed until close; may be NULL if @p length is 0.
 * @retval FILEMAP_EOPTION  `bytes` is NULL.
 * @retval FILEMAP_ERANGE   More than PTRDIFF_MAX bytes.
 * @retval -ENOMEM          No memory for the handle.
 * Any thread. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_wrap_bytes(const char *label, const void *bytes, size_t length,
	struct filemap **ret_map, struct filemap_error *reterr);

/**
 * Open a second window on the file of a mapping, through its descriptor and under its lock.
 *
 * It lives by itself: either may be closed first, and the lock is given back with the last. While it is
 * open the file cannot be cut below the window's end through any of them (FILEMAP_EBUSY), except through
 * this one. Failed flushes taint them all: the record belongs to the descriptor.
 *
 * @param parent  Borrowed; a mapping of a file or of SHARED memory.
 * @param mode    READ; COW; EXEC, while no window of the file can store; WRITE, if the parent's mode is that,
 *                the lock allows it as for filemap_thaw(), and no window of the file is executable.
 * @param offset  Bytes from the start of the file, not of the parent's window; any value up to its end.
 * @param length  Bytes; 0 or FILEMAP_TO_END = to the end of the file, following it.
 * @retval FILEMAP_EMODE      The parent is private memory or borrowed bytes, or the mode is not allowed.
 * @retval FILEMAP_ERANGE     The window does not lie within the file as it is now.
 * @retval FILEMAP_EPOISONED  The parent's window is gone.
 * @retval FILEMAP_EFORKED    Only the process that opened the parent may do this.
 * @retval FILEMAP_EBUSY      An asynchronous change of the file's size is in flight (filemap_queue_resize()).
 * @retval -ENOMEM            No memory or too many mappings.
 * Class R on the parent. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_window(struct filemap *parent, unsigned mode, uint64_t offset,
	uint64_t length, struct filemap **ret_map, struct filemap_error *reterr);

/**
 * Copy a file, or a part of it, into a sealed memory file, and map that: bytes that nobody can change any more.
 *
 * The file is opened and locked as by filemap_open() with FILEMAP_READ, copied under the shared lock, and closed. The
 * memory file is sealed against writing, growing and shrinking before it is mapped, so it is immutable for this
 * process as well (filemap_is_immutable()), and reading it cannot fault on the file: filemap_fd() may be
 * passed to other processes. A mapping with FILEMAP_COW is not that: it shows what others write later.
 *
 * Of one moment, if those who write lock the file, too. Changes by others during the copying are looked for (size and
 * times, and of a file that was changed seconds ago the bytes, too), and the copying repeated, up to 8 times;
 * -EAGAIN if there were some each time. What others store through mappings of theirs need not show in the times.
 *
 * REFLINK: instead a clone of the whole file, made in one step and without copying (FICLONE: XFS, btrfs), in an
 * unnamed file in the directory where the path ends (a link's own, not its target's), which has to be writable; it
 * shares blocks until either is written. Nobody else can change it, but a disk that fails is a fault, as with any
 * file: it is not immutable. It costs disk space as the original changes, and is gone with the handle.
 *
 * @param path       Borrowed.
 * @param max_bytes  The most that the window may have; FILEMAP_TO_END = no limit. A copy costs as much memory, but
 *                   for holes.
 * @param options    Borrowed; as for filemap_open() with FILEMAP_READ, but `reserve`, `on_remove` and the
 *                   flags EMPTY, REMOVE_ON_CLOSE and PIN_PARENT must be 0; REFLINK is allowed.
 * @param ret_map    The handle, given; mode READ. It has no lock and no name: filemap_lock() and filemap_remove() are
 *                   FILEMAP_EMODE. filemap_path() is the path, filemap_offset() 0, of a clone the offset in it.
 * @retval 0            Mapped.
 * @retval -EFBIG       There is more than @p max_bytes, or than RLIMIT_FSIZE allows (`hint`).
 * @retval -EAGAIN      Others changed the file during each of the attempts.
 * @retval -ENOMEM, -ENOSPC  No memory for the copy. With REFLINK: no space for the clone.
 * @retval -EOPNOTSUPP, -EXDEV  REFLINK: the file system has no clones, or no unnamed files.
 * @retval -EACCES, -EROFS  REFLINK: no file can be made in the directory.
 * Otherwise as filemap_open(). Any thread. Blocks for the disk. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_snapshot(const char *path, size_t max_bytes,
	const struct filemap_options *options, struct filemap **ret_map, struct filemap_error *reterr);

/**
 * The same of a part of a mapping, private pages included, as its bytes are now: a sealed copy in memory.
 *
 * Pages that cannot be had are an error, not a signal; nobody's handler is needed. Others may be storing
 * meanwhile: then each byte is of some moment during the call. A file that was cut is FILEMAP_ERANGE, not zeros.
 *
 * @param length   Bytes; FILEMAP_TO_END = the rest. A copy costs as much memory, but for holes of the file (COW and
 *                 private memory: holes included).
 * @param ret_map  The handle, given; mode READ, otherwise as from filemap_snapshot(). filemap_path(), and the flags
 *                 DONTFORK and DONTDUMP, are those of @p map.
 * @retval 0                  Mapped; @p map may be closed.
 * @retval FILEMAP_ERANGE     The range does not lie within the window, or not within the file any more.
 * @retval FILEMAP_EFAULT     A page could not be read; `offset` of the error tells where, from the window's start.
 * @retval FILEMAP_EPOISONED  The window is gone. FILEMAP_EFORKED: absent in this process.
 * @retval -ENOMEM, -ENOSPC, -EMFILE, -ENFILE, -EFBIG  No memory for the copy, no descriptor; RLIMIT_FSIZE.
 * Class R on @p map. Blocks for the disk. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_snapshot_map(const struct filemap *map, size_t offset, size_t length,
	struct filemap **ret_map, struct filemap_error *reterr);

/**
 * Map a file read-only, call a function with its bytes, close it again.
 *
 * @param path     Borrowed.
 * @param options  Borrowed; as for filemap_open() with FILEMAP_READ.
 * @param use      Called once if the file could be mapped. The bytes die when it returns. It must not jump out.
 * @param context  Passed through.
 * @param ret_use  What @p use returned; written on success only; may be NULL.
 * @retval 0                @p use was called.
 * @retval FILEMAP_EOPTION  @p use is NULL.
 * Otherwise as filemap_open(). Any thread. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_with(const char *path, const struct filemap_options *options,
	int (*use)(const void *data, size_t size, void *context), void *context, int *ret_use,
	struct filemap_error *reterr);

/**
 * Give up a mapping: unmap, unlock, close.
 *
 * The handle must not be used any more, and pointers into the window are invalid, unless somebody holds a
 * pin (filemap_pin()): then window, lock and descriptor go with the last pin. Promises no durability: what
 * was stored reaches the device some time. Flushes that a queue still works on finish undisturbed; the lock
 * is released all the same. In a forked child nothing is unlocked.
 *
 * If a removal at close is due (REMOVE_ON_CLOSE, filemap_set_remove_on_close(), or a filemap_remove() that
 * failed), the close, or unpin, of the last window of the file does it before the lock is given back.
 *
 * @param map  Taken; NULL does nothing.
 *
 * Class E, but other threads may hold pins and give them back. Does not wait for the device, but to remove.
 * @since 0.1
 */
FILEMAP_API void filemap_close(struct filemap *map);

/**
 * Close a mapping if nobody else uses it.
 *
 * @param map  Taken on success only; NULL does nothing.
 * @retval 0              Closed.
 * @retval FILEMAP_EBUSY  A pin or an asynchronous flush is outstanding; nothing has changed.
 * Class E. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_try_close(struct filemap *map);

/**
 * Flush, give the file its final length, sync, and close: all of it or, after a failure, no closing.
 *
 * In this order: the window is flushed; the file is cut or lengthened as by filemap_resize(), but also
 * below the window's offset; data and metadata are synced; the handle is closed.
 *
 * @param map        Taken on success only. FILEMAP_WRITE, not frozen; private memory just closes.
 * @param file_size  Bytes, of the whole file.
 * @retval 0                  Durable and closed.
 * @retval FILEMAP_EMODE      Not writable: READ, EXEC, COW, FROZEN; or COOPERATE cuts without the exclusive lock.
 * @retval FILEMAP_EBUSY      A pin, an asynchronous request or another window holds it; nothing was done.
 * @retval FILEMAP_EPOISONED  The window is gone, or an earlier flush failed.
 * @retval FILEMAP_ERANGE     More than off_t can hold.
 * @retval FILEMAP_EFORKED    Only the process that opened may do this; private memory closes in any.
 * @return Otherwise as filemap_flush(), filemap_resize() and filemap_sync(); the handle is left open in the
 * state that those describe, and the call may be repeated.
 * Class E. Blocks for the device. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_close_truncated(struct filemap *map, uint64_t file_size,
	struct filemap_error *reterr);

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
 * @return NULL if it cannot be written now: READ, EXEC, wrapped bytes, frozen or poisoned. In mode COW what is
 * stored stays in this process.
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
 * Look at the file's size again and let the window follow.
 *
 * For files that others grow, or cut: a window to the end then ends at the new end; one with a length gets as
 * much of it as there is. The window never reaches behind the end of the file as it was during the call; a
 * file that was cut below the offset leaves a window of 0 bytes. With a reserve, or while the window shrinks,
 * nothing moves; otherwise pointers are invalid after a success that made it grow. Memory that is no file,
 * and an EMPTY window, stay as they are.
 *
 * @param ret_file_size  The file's size in bytes; may be NULL.
 * @retval 0                  Window and file agree.
 * @retval FILEMAP_EBUSY      It would have to move or shrink, and is pinned; or an asynchronous change of the file
 *                            is in flight (filemap_queue_resize(), _remove()). Nothing has changed.
 * @retval FILEMAP_ERANGE     It cannot hold the growth: the reserve is too small, and the window now fills
 *                            it; or there is no such address space, and the window is as it was.
 * @retval FILEMAP_EPOISONED  The window is gone.
 * @retval -ENOMEM, -EFAULT   It could not be moved (EFAULT: advice, mlock or discard on parts of a COW window
 *                            have split it: give it a reserve); the window is as it was.
 * Class E; with a reserve like W beside readers. Blocks for metadata only. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_refresh(struct filemap *map, uint64_t *ret_file_size,
	struct filemap_error *reterr);

/**
 * The path or label of opening; a path may mean another file by now.
 *
 * For a window it is its parent's.
 *
 * @return Viewed: valid until close. Never NULL.
 * Class R. @since 0.1
 */
FILEMAP_API const char *filemap_path(const struct filemap *map);

/**
 * The mapping's own descriptor, borrowed until close; -1 for private memory and borrowed bytes.
 *
 * It is closed on exec: a program that is to have it needs a dup(2) of it, and maps that with filemap_open_fd().
 * Do not close it, lock or unlock through it, nor flush through it: the kernel reports a write error only
 * once, and what is told here never reaches filemap_flush().
 *
 * Class R. @since 0.1
 */
FILEMAP_API int filemap_fd(const struct filemap *map);

/**
 * The mode of opening: FILEMAP_READ, _EXEC, _COW or _WRITE; freezing does not change it.
 *
 * Class R. @since 0.1
 */
FILEMAP_API unsigned filemap_mode(const struct filemap *map);

/**
 * What state the mapping is in: FILEMAP_STATE_LIVE or _POISONED, and _TAINTED, _FROZEN and what has become
 * of the name with either.
 *
 * Class R. @since 0.1
 */
FILEMAP_API unsigned filemap_state(const struct filemap *map);

/**
 * Whether code can run in the window now: mode EXEC, or after filemap_freeze_exec().
 *
 * Class R. @since 0.1
 */
FILEMAP_API bool filemap_is_exec(const struct filemap *map);

/**
 * Whether the mode is FILEMAP_COW.
 *
 * Class R. @since 0.1
 */
FILEMAP_API bool filemap_is_cow(const struct filemap *map);

/**
 * Whether nobody can change the bytes any more, in this or any process, as long as the handle lives.
 *
 * True only where the kernel guarantees it: sealed snapshots (filemap_snapshot(), filemap_snapshot_map()),
 * READ and EXEC mappings of memory files that somebody sealed against writing and shrinking
 * (filemap_open_fd()), and memory that was filled once and cannot be written (filemap_from_bytes() with READ or
 * EXEC, filemap_read_fd()). Touching such bytes cannot fault on a file; broken memory, a swap device that fails,
 * and, of a memory file's holes, a system that overcommits nothing (vm.overcommit_memory=2) and has no page left
 * remain. Never for another mapping of a file, whatever its permissions, nor for a REFLINK clone (its disk can
 * fail), nor for wrapped bytes.
 *
 * Class R. @since 0.1
 */
FILEMAP_API bool filemap_is_immutable(const struct filemap *map);

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
 * The kernel does not say which pages it could not write, and whoever flushes any page is told of others that
 * it wrote by itself: so it is the whole file, as long as it was at each flush that failed, in whole pages,
 * and never shrinks. To recover, rewrite it from a source you trust through a new handle, and flush that: the
 * bytes that can be read may only be cached, and flushing what was not stored again writes nothing. Who knows
 * what was stored since it was last flushed with success needs to rewrite only that.
 *
 * @param ret_offset  Bytes from the start of the file. Written if 1.
 * @param ret_length  Bytes; may reach past the file's end. Written if 1.
 * @retval 1  There is such a range.
 * @retval 0  No flush failed.
 * Class R. @since 0.1
 */
FILEMAP_API int filemap_doubt(const struct filemap *map, uint64_t *ret_offset, uint64_t *ret_length);

/**
 * Remove the name of the mapped file, and no other file, and make that durable.
 *
 * All happens in the directory that was pinned at opening: a chdir, or a directory that was moved, changes
 * nothing. If the name means another file by now, that one is not touched. Otherwise
 *
 *  1. the name is renamed to `.NAME.RANDOM.del`, a name that nobody can foresee and nothing is replaced by;
 *  2. what was moved is compared with the open file, whose number nobody else can get while it is open;
 *  3. it is unlinked under that name, if it is the file; else moved back, replacing nothing;
 *  4. the directory is synced, once.
 *
 * Where others than this user can write the directory, so that they could meddle between 2 and 3, step 1
 * moves it into a directory `.NAME.RANDOM.deld` of permissions 0700 made for it, in which no other user can;
 * likewise if the name is too long for another one to be made of it. Where no such directory can be made (no
 * room; a file system on which all belongs to one user), or not even one name more, the next weaker way is taken
 * and the result says FILEMAP_WEAKLY_CHECKED: a hidden name that others can see; or the name is compared and
 * unlinked at once, and a file that is moved onto it between these two steps is lost.
 *
 * The bytes stay valid until close. Memory and borrowed bytes have no name: for them it is a success that does
 * nothing, whatever their label is.
 *
 * What others can see: the name is gone a moment before the file is; a foreign file that came onto the name in
 * that moment is absent until it is moved back. What can still go wrong: this user's own processes, and root's,
 * if they search the directory for names ending in .del and work on those. What a crash leaves: the file under
 * its name, or hidden as above (filemap_recover_quarantine() moves it back), or gone; after success, gone.
 *
 * All that is said of local file systems. A network file system may give the number of an open file to another
 * one, and keeps a file that is open under a name of its own: STILL_LINKED, and an empty directory that stays.
 * On overlayfs moving copies a file of a lower layer, and STILL_LINKED counts names in that layer.
 *
 * After a failure the name is NEEDS_UNLINK or NEEDS_PARENT_SYNC (filemap_state()), calling again goes on from
 * there, and closing tries once more, unless filemap_set_remove_on_close() calls it off. Only what this unlinked
 * counts as removed. Once removed it stays so: calling again returns the same and does nothing.
 *
 * READ, EXEC and COW need PIN_PARENT at opening and the exclusive lock (filemap_lock()), as does WRITE
 * that gave it up or has COOPERATE; not so with LOCK_NONE.
 *
 * @retval 0                  Removed, durably; or one or both of FILEMAP_STILL_LINKED and FILEMAP_WEAKLY_CHECKED.
 * @retval FILEMAP_EMODE      No directory is pinned (open_fd, or no PIN_PARENT), or the name is a symbolic
 *                            link: those are not removed. Nothing was tried, no state has changed.
 * @retval FILEMAP_ELOCKED    The exclusive lock is not held; likewise.
 * @retval FILEMAP_EFORKED    Only the process that opened may do this; likewise.
 * @retval FILEMAP_EBUSY      An asynchronous change of the file is in flight; likewise.
 * @retval -EACCES            With `step` "open parent directory": it may not be read, so not be synced; likewise.
 *                            Otherwise: it may not be written. NEEDS_UNLINK.
 * @retval FILEMAP_EGONE      The name does not exist, and it was not we who removed it. NEEDS_UNLINK.
 * @retval FILEMAP_EREPLACED  The name means another file, which was left alone or moved back, with the directory
 *                            synced. If a third one had taken its place, `detail` is the hidden name, in the
 *                            same directory, under which it is kept. NEEDS_UNLINK.
 * @retval FILEMAP_EUNSYNCED  The name is gone, but syncing failed: a crash may bring it back. NEEDS_PARENT_SYNC:
 *                            calling again only syncs, which most file systems refuse from then on.
 * @retval -EBUSY             Something is mounted on the file; or (`hint`) the name changed under our hands again
 *                            and again. NEEDS_UNLINK.
 * @retval -errno             As the kernel said. NEEDS_UNLINK. If the file could neither be unlinked nor moved
 *                            back, `detail` is the hidden name, under which calling again finds it.
 * Class E for all windows of the file. Blocks for the device. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_remove(struct filemap *map, struct filemap_error *reterr);

/**
 * Say whether the close of the file's last window is to remove it, as filemap_remove() does.
 *
 * The outcome is told to the option `on_remove`, or to nobody. Freezing changes nothing about it. Of several
 * mappings of one file that remove at close, in any processes, the last to go removes it: a lock that is not
 * exclusive is given back, the exclusive one is tried, once, and who cannot have it leaves the file to the
 * others (FILEMAP_ELOCKED). A forked child, and a file that is removed already, do nothing and tell nothing.
 * With 0 a removal that failed is not tried again either.
 *
 * @param on  0 or 1.
 * @retval 0                Done; so it is for memory, which has no name.
 * @retval FILEMAP_EOPTION  `on` is neither.
 * @retval FILEMAP_EMODE    1, and no directory is pinned, as for filemap_remove(); or the exclusive lock cannot
 *                          be had: LOCK_OFD in another mode than WRITE.
 * @retval FILEMAP_EFORKED  Only the process that opened may do this.
 * @retval FILEMAP_EBUSY    An asynchronous change of the file is in flight.
 * Class E for all windows of the file. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_set_remove_on_close(struct filemap *map, unsigned on);

/**
 * Ask the kernel about the mapped file, whatever its name is by now.
 *
 * Also when the mapping is poisoned. A file without a name has 0 links.
 *
 * @param ret  Written on success only.
 * @retval 0       Done.
 * @retval -errno  fstat(2) failed.
 * Class R. @since 0.1
 */
FILEMAP_API int filemap_stat(const struct filemap *map, struct filemap_stat *ret);

/**
 * Find out which file is mapped.
 *
 * The open mapping keeps its file, and so the numbers, from being given to another one.
 *
 * @param ret  Written on success only.
 * @retval 0              Done; also when the mapping is poisoned.
 * @retval FILEMAP_EMODE  Private memory and borrowed bytes are no files.
 * @retval -errno         fstat(2) failed.
 * Class R. @since 0.1
 */
FILEMAP_API int filemap_identity(const struct filemap *map, struct filemap_identity *ret);

/**
 * Whether two identities are of one file: all that both of them know agrees.
 *
 * Any thread. @since 0.1
 */
FILEMAP_API bool filemap_identity_equal(const struct filemap_identity *a, const struct filemap_identity *b);

/**
 * Write an identity as one line of printable ASCII without blanks, for logs and options.
 *
 * @param buffer  Filled and terminated if @p size > 0; FILEMAP_IDENTITY_TEXT bytes are always enough.
 * @return The length that the whole text has, as snprintf(3).
 * Any thread. @since 0.1
 */
FILEMAP_API int filemap_identity_format(const struct filemap_identity *identity, char *buffer, size_t size);

/**
 * Read what filemap_identity_format() wrote.
 *
 * @param ret  Written on success only.
 * @retval 0                Done.
 * @retval FILEMAP_EOPTION  It is no identity: nothing may stand before, in or behind it.
 * Any thread. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_identity_parse(const char *text, struct filemap_identity *ret);

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
 * Copy a range to a new file, which is complete and durable when it appears.
 *
 * The bytes are written to a file without a name in the same directory (or, where there are none, under a
 * hidden temporary one), synced, given the name, and its link count and the directory are synced. Where the range is a file's own
 * and the file system can, blocks are shared or copied by the kernel; bytes that others change meanwhile may
 * be copied in part. Holes of the file stay holes. Permissions are 0666 before the umask.
 *
 * @param new_path  Borrowed; never overwritten.
 * @param length    Bytes; FILEMAP_TO_END = the rest; 0 makes an empty file.
 * @retval 0                  The file is there, with content and name durable.
 * @retval FILEMAP_EOPTION    `new_path` is NULL or empty.
 * @retval FILEMAP_ERANGE     The range does not lie within the window, or the file was cut behind it.
 * @retval FILEMAP_EFAULT     A page cannot be read, as in a forked child with FILEMAP_DONTFORK.
 * @retval FILEMAP_EPOISONED  The window is gone.
 * @retval -EEXIST            The name is taken (by whatever it is).
 * @retval FILEMAP_EUNSYNCED  The file is there and complete, but a crash may lose it: filemap_sync_parent().
 * @retval -ENOSPC, -EIO, …   As the kernel said. There is no file.
 * Class R. Blocks for the device. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_copy_to(const struct filemap *map, size_t offset, size_t length,
	const char *new_path, struct filemap_error *reterr);

/**
 * Take room for one more slice, in a row of slices that a window holds, growing it if needed.
 *
 * Each is a little-endian 64-bit number, its length plus one, then its bytes, then zeros up to a multiple of
 * 8. The room behind the last one must be zero, as it is in a new file. The file is doubled when it is full
 * (made just long enough where there is no room for twice as much), by filemap_resize(), with all that this
 * means for pointers into the window.
 *
 * @param cursor  Bytes from the window's start where the row goes on, a multiple of 8: 0 for a new one.
 *                Moved behind the slice on success.
 * @param size    Bytes of the slice; 0 is one, too.
 * @param ret     Viewed, as filemap_data_mut(): the slice, with what the file held there (zeros).
 * @retval 0                Done.
 * @retval FILEMAP_ERANGE   The cursor is not within the window, no multiple of 8, or the sum is too large; or
 *                          the window has a length of its own, and is full.
 * @retval FILEMAP_EMODE    Not writable, or it must grow and cannot be resized.
 * @retval FILEMAP_EFAULT   The page of the length cannot be had, and a handler is there (guard.h; else SIGBUS).
 * Otherwise as filemap_resize(). Class E. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_alloc_slice(struct filemap *map, size_t *cursor, size_t size,
	void **ret, struct filemap_error *reterr);

/**
 * Go to the next slice of filemap_alloc_slice().
 *
 * @param cursor      Moved behind the slice if there is one; start with 0.
 * @param ret         Viewed, as filemap_data().
 * @param ret_length  Its bytes.
 * @retval 1                  There is one.
 * @retval 0                  There are no more: the cursor is where the next would be made.
 * @retval FILEMAP_ERANGE     The cursor is not within the window or no multiple of 8.
 * @retval FILEMAP_ECORRUPT   What is there reaches behind the window.
 * @retval FILEMAP_EFAULT     The page of the length cannot be had, and a handler is there (guard.h; else SIGBUS).
 * @retval FILEMAP_EPOISONED  The window is gone.
 * Class R. @since 0.1
 */
FILEMAP_API int filemap_next_slice(const struct filemap *map, size_t *cursor, const void **ret,
	size_t *ret_length);

/**
 * Make the whole window durable: filemap_flush_range() of all of it.
 *
 * Class W. Blocks for the device. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_flush(struct filemap *map);

/**
 * Wait until what was stored in a range before this call is on the device.
 *
 * For COW, memory and borrowed bytes there is no device: the range is checked, and that is all.
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
 * Start writing a range to the device, without waiting and without promising anything.
 *
 * It spreads the work of a later flush over time. Errors of the device show at the next flush.
 *
 * @param length  Bytes; 0 does nothing; FILEMAP_TO_END = the rest.
 * @retval 0                  Started, or there is nothing to write (COW, memory, borrowed bytes).
 * @retval FILEMAP_ERANGE     The range does not lie within the window.
 * @retval FILEMAP_EPOISONED  The window is gone.
 * @retval -errno             sync_file_range(2) failed; nothing is tainted.
 * Class W. May block while the device's queue is full. @since 0.1
 */
FILEMAP_API int filemap_writeback(struct filemap *map, size_t offset, size_t length);

/**
 * Make data durable, and only then store and make durable the header that points to it.
 *
 * This is the order that "flush the data, then flush the header" does not have when the header was stored
 * before: the kernel may write any page at any time. The header is stored into the window by this call, after
 * the data is on the device. A crash leaves the old header or the new one with its data; a header that does
 * not lie within one sector of the device (512 bytes, aligned in the file) may be torn, so give it a checksum.
 * In COW and memory nothing is durable; the header is stored all the same.
 *
 * @param data_offset    As for filemap_flush_range(), with @p data_length: the data, already stored.
 * @param header_offset  Where the header goes, in bytes from the window's start.
 * @param header         Borrowed; must not lie within the window. In the byte order that the file has.
 * @param header_length  Bytes; at most 4096.
 * @retval 0                  Both are durable.
 * @retval FILEMAP_EOPTION    The header is NULL or longer than 4096 bytes, or overlaps the data; nothing was
 *                            done.
 * @retval FILEMAP_ERANGE     A range does not lie within the window; nothing was done.
 * @retval FILEMAP_EMODE      The mapping is not writable now.
 * @retval FILEMAP_EPOISONED  As filemap_flush_range().
 * @retval FILEMAP_EFAULT     A page of the header cannot be had, and a handler is there (guard.h; else SIGBUS): the
 *                            data is durable; how much of the header is stored is undefined.
 * @return Otherwise as filemap_flush_range(); `step` says which flush failed. While it was the data's, the
 * old header stands; when it was the header's, the new one is stored but may never reach the device.
 * Class W. Blocks for the device, twice. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_commit(struct filemap *map, size_t data_offset, size_t data_length,
	size_t header_offset, const void *header, size_t header_length, struct filemap_error *reterr);

/**
 * Give the file another length, and the window what follows from it.
 *
 * A window without a length ends where the file does; one with a length is clamped to the file and gets
 * its length back when there is room again. Growth allocates blocks unless FILEMAP_SPARSE was set, and all
 * new bytes read as zero. Holes that the file has already stay holes: filemap_allocate(). Where the file system
 * has no fallocate(2) (ext2, ext3), zeros are written behind the old end, and nowhere else. With a reserve the window never moves; without one every pointer into it is
 * invalid after a success that made it grow, and still valid after a failure. Other windows of the same file
 * stay as they are until filemap_refresh().
 *
 * With COOPERATE the size of this moment counts, not that of the last call: a size below what others have
 * grown the file to is a cut, and needs the exclusive lock (filemap_lock()). Private memory is resized alike.
 *
 * Growth within a reserve is one allocation call for a window to the end of the file, without SPARSE, that is
 * the only one and has held the exclusive lock since its opening. Then the file's size is not asked for again: what
 * others did to it in spite of the lock is not seen. RLIMIT_FSIZE is -EFBIG here as everywhere, without the signal.
 *
 * Promises no durability: filemap_sync() makes the new size durable.
 *
 * @param file_size  Bytes, of the whole file, not of the window; not less than the window's offset.
 * @param reterr     Written on failure only; may be NULL.
 * @retval 0                  File and window have their new sizes.
 * @retval FILEMAP_EMODE      The mapping is not FILEMAP_WRITE, or is frozen; or COOPERATE cuts without the
 *                            exclusive lock.
 * @retval FILEMAP_EBUSY      It would shrink or move, and is pinned; or cut what another window shows; or an
 *                            asynchronous change of the file is in flight.
 * @retval FILEMAP_ELOCKED    COOPERATE: another one was growing the file, or holds a lock of the other family
 *                            on it, for a whole second. -EINTR: a signal came meanwhile.
 * @retval FILEMAP_EFORKED    Only the process that opened may do this.
 * @retval FILEMAP_ERANGE     Less than the offset, more than off_t, memory or the reserve can hold.
 * @retval FILEMAP_EPOISONED  The window is gone already.
 * @retval -ENOSPC, -EDQUOT, -EFBIG, -ENOMEM, -EIO, …  As the kernel said.
 * @return After every failure file and window are as they were, except: if the file could not be cut back
 * after a failed growth (and with COOPERATE, where it is not tried) it stays longer, with the window as it
 * was (`hint` says so); if a failed cut had happened nevertheless, the window is the smaller one; if its
 * outcome cannot be found out, the mapping is POISONED.
 *
 * Class E for all windows of the file; with a reserve growth is like W beside readers. Blocks for the disk.
 * @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_resize(struct filemap *map, uint64_t file_size,
	struct filemap_error *reterr);

/**
 * Give a range of the window blocks, where it has holes, without changing size or content.
 *
 * After it stores into the range find their blocks: a full disk is an error here, not a signal there (see
 * filemap_reservable() for where that cannot be promised). In memory it does nothing.
 *
 * @param length  Bytes; FILEMAP_TO_END = the rest.
 * @retval 0                  The range has blocks.
 * @retval FILEMAP_EMODE      The mapping is not FILEMAP_WRITE, or is frozen.
 * @retval FILEMAP_ERANGE     The range does not lie within the window.
 * @retval FILEMAP_EPOISONED  The window is gone.
 * @retval FILEMAP_EFORKED    Only the process that opened may do this.
 * @retval FILEMAP_EBUSY      An asynchronous change of the file is in flight.
 * @retval -EOPNOTSUPP        The file system cannot.
 * @retval -ENOSPC, -EDQUOT, -EIO, …  As the kernel said; parts of the range may have got blocks.
 * Class W. Blocks for the disk. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_allocate(struct filemap *map, size_t offset, size_t length,
	struct filemap_error *reterr);

/**
 * Whether allocated blocks mean that stores cannot run out of them.
 *
 * True on ext2 to ext4, on tmpfs, and on XFS for files that share no blocks with a clone (which is not
 * looked at). False on btrfs, bcachefs, ZFS, overlay, FUSE and network file systems, and for what is unknown;
 * false for private memory, which the system may take back its promise of. A disk can still fail.
 *
 * Class R. @since 0.1
 */
FILEMAP_API bool filemap_reservable(const struct filemap *map);

/**
 * Forbid stores through this mapping, until filemap_thaw(): one that is tried nevertheless is SIGSEGV.
 *
 * The exclusive lock stays, unless DOWNGRADE_ON_FREEZE asked to share it: readers can then map the file.
 * Other windows and other processes can still store. Freezing what is frozen, or READ or EXEC, does nothing.
 *
 * @retval 0                  Frozen: filemap_data_mut() is NULL; flushing goes on working.
 * @retval FILEMAP_EBUSY      A pin is out, or DOWNGRADE_ON_FREEZE while another window of the file can store or an
 *                            asynchronous change of the file is in flight.
 * @retval FILEMAP_EMODE      It is executable (freeze_exec), or borrowed bytes.
 * @retval FILEMAP_ELOCKED    The lock was to be shared and got lost to somebody; the mapping is as it was,
 *                            without a lock (see filemap_lock_state()).
 * @retval FILEMAP_EPOISONED  The window is gone.
 * @retval FILEMAP_EFORKED    DOWNGRADE_ON_FREEZE: only the process that opened may do this.
 * @retval -ENOMEM            Nothing has changed.
 * Class E. Does not block. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_freeze(struct filemap *map, struct filemap_error *reterr);

/**
 * Make the bytes executable, and forbid stores, until filemap_thaw(); otherwise as filemap_freeze().
 *
 * Also from the frozen state, and in mode READ. The instruction cache is brought up to date. The bytes are
 * run as they are at each moment: where others can write the file, they can write the code. Write and execute
 * permission are never on together through this library.
 *
 * @retval FILEMAP_EBUSY     Also: another window of the file can store.
 * @retval FILEMAP_EMODE     Borrowed bytes; or COOPERATE without the exclusive lock.
 * @retval -EACCES, -EPERM   The file system is mounted noexec, or the system forbids it.
 * Class E. Blocks for pages that are not in memory. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_freeze_exec(struct filemap *map, struct filemap_error *reterr);

/**
 * Allow stores again.
 *
 * WRITE needs the exclusive lock held by this handle, or with COOPERATE any: take it back with filemap_lock()
 * after DOWNGRADE_ON_FREEZE. COW and memory need none. Execution is over. What is writable stays so.
 *
 * @retval 0                  filemap_data_mut() is there again.
 * @retval FILEMAP_EMODE      The mode is READ or EXEC, or the lock is not held.
 * @retval FILEMAP_EBUSY      A pin is out; or, in mode WRITE, another window of the file is executable.
 * @retval FILEMAP_EPOISONED  The window is gone.
 * @retval -ENOMEM            Nothing has changed.
 * Class E. Does not block. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_thaw(struct filemap *map, struct filemap_error *reterr);

/**
 * The address of code in an executable mapping, to be cast to the function's type and called.
 *
 * @param offset  Bytes from the window's start.
 * @return NULL if it is not executable now, or the offset is not within the window.
 * Class R; the code must not run any more when the mapping is thawed or closed. @since 0.1
 */
FILEMAP_API void (*filemap_code(const struct filemap *map, size_t offset))(void);

/**
 * Take the advisory lock, or change it.
 *
 * The lock belongs to the file's description: windows of one mapping share it. Having it already is a success.
 * From shared to exclusive is tried once, whatever @p wait_ms says, because two that wait for each other
 * would wait for ever, and the kernel may drop the shared one on the way: it is taken again at once, but
 * filemap_lock_state() tells what is really held. In any mode either kind can be taken, but for one of
 * LOCK_OFD: exclusive needs FILEMAP_WRITE there (-EBADF). Memory has no lock: for it this is always a success.
 *
 * @param kind     FILEMAP_SHARED_LOCK or FILEMAP_EXCLUSIVE_LOCK.
 * @param wait_ms  0 = try once; FILEMAP_FOREVER; a signal ends the wait.
 * @retval 0                It is held.
 * @retval FILEMAP_ELOCKED  Others hold a lock against it; or the exclusive one of a mapping that can store
 *                          was to be shared, without COOPERATE.
 * @retval FILEMAP_EOPTION  `kind` is neither.
 * @retval FILEMAP_EMODE    It was opened with FILEMAP_LOCK_NONE.
 * @retval FILEMAP_EFORKED  Only the process that opened may do this.
 * @retval FILEMAP_EBUSY    An asynchronous change of the file is in flight, which relies on the lock.
 * @retval -EINTR           A signal ended the wait.
 * @retval -errno           As the kernel said.
 * Class E for all windows of the file. Blocks no longer than @p wait_ms. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_lock(struct filemap *map, unsigned kind, uint32_t wait_ms,
	struct filemap_error *reterr);

/**
 * Give the advisory lock back; the mapping stays. Nobody is kept out of the file any more.
 *
 * @retval 0                No lock is held, by the mapping or its windows; so it was for memory.
 * @retval FILEMAP_EMODE    It was opened with FILEMAP_LOCK_NONE.
 * @retval FILEMAP_EFORKED  Only the process that opened may do this.
 * @retval FILEMAP_EBUSY    As for filemap_lock().
 * Class E for all windows of the file. @since 0.1
 */
FILEMAP_API int filemap_unlock(struct filemap *map);

/**
 * What lock is held: FILEMAP_UNLOCKED, FILEMAP_SHARED_LOCK or FILEMAP_EXCLUSIVE_LOCK.
 *
 * UNLOCKED, too, for memory, for FILEMAP_LOCK_NONE and in a forked child. With LOCK_IF_SUPPORTED on a file
 * system without locks it is what counts in this process.
 *
 * Class R. @since 0.1
 */
FILEMAP_API unsigned filemap_lock_state(const struct filemap *map);

/**
 * Keep the window where and as large as it is until filemap_unpin().
 *
 * While a pin is out the mapping does not move, shrink, freeze or thaw (FILEMAP_EBUSY); growth in place goes
 * on. filemap_close() gives up the handle, and the last unpin the window, the lock and the descriptor:
 * whoever holds a pin may go on with class R calls until then. Pins count; a forked child has all of its
 * parent's.
 *
 * @retval 0                  Pinned.
 * @retval FILEMAP_EPOISONED  The window is gone; nothing is pinned.
 * Class R. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_pin(const struct filemap *map);

/**
 * Give one pin back; the last one of a closed mapping releases everything.
 *
 * @param map  NULL does nothing.
 * Any thread. @since 0.1
 */
FILEMAP_API void filemap_unpin(const struct filemap *map);

/**
 * Give the kernel hints on a range, which never change a byte.
 *
 * The pages that the range touches are meant, also in part.
 *
 * @param advice  Bits of FILEMAP_ADVICE_*, given one after another, lowest first.
 * @param length  Bytes; 0 does nothing; FILEMAP_TO_END = the rest.
 * @retval 0                  Given.
 * @retval FILEMAP_EOPTION    No bit, an unknown one, or two that contradict each other.
 * @retval FILEMAP_ERANGE     The range does not lie within the window.
 * @retval FILEMAP_EMODE      Borrowed bytes.
 * @retval FILEMAP_EPOISONED  The window is gone.
 * @retval -EINVAL            This kernel, or this kind of file, does not know one of them; those below it
 *                            were given. -EAGAIN, -ENOMEM, -EBUSY: COLLAPSE could not.
 * Class R. WILLNEED, PAGEOUT and COLLAPSE may block for the disk. @since 0.1
 */
FILEMAP_API int filemap_advise(struct filemap *map, unsigned advice, size_t offset, size_t length);

/**
 * Whether this kernel knows all of some FILEMAP_ADVICE_* bits, found out by trying on no bytes.
 *
 * It may still refuse one for a certain file.
 *
 * @return false also for 0 and unknown bits. Any thread. @since 0.1
 */
FILEMAP_API bool filemap_advice_supported(unsigned advice);

/**
 * Drop the content of whole pages.
 *
 * @param how     DONTNEED: mode COW or private memory, changes made through the mapping are lost. FREE:
 *                private memory; each page keeps its content or becomes zero, some time, until it is stored
 *                to. REMOVE: FILEMAP_WRITE, of a file or SHARED memory; a hole is punched into the file.
 * @param offset  Bytes from the window's start; a page must begin there, in the file.
 * @param length  Bytes, whole pages, or up to the window's end; FILEMAP_TO_END = the rest; 0 does nothing.
 * @retval 0                  Done.
 * @retval FILEMAP_EOPTION    `how` is none of the three.
 * @retval FILEMAP_EMODE      Not for this mode or kind, or it is frozen.
 * @retval FILEMAP_ERANGE     Not within the window, or not on whole pages.
 * @retval FILEMAP_EPOISONED  The window is gone.
 * @retval -EOPNOTSUPP        The file system cannot.
 * Class W. REMOVE blocks for the disk. @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_discard(struct filemap *map, unsigned how, size_t offset,
	size_t length);

/**
 * Bring a range into memory, and report what could not be, where touching it would raise SIGBUS.
 *
 * Pages may leave again at any time; filemap_mlock() keeps them.
 *
 * @param how     FILEMAP_PREFAULT_READ; or _WRITE, which also finds blocks for holes: a full disk is an error.
 * @param length  Bytes; 0 does nothing; FILEMAP_TO_END = the rest.
 * @retval 0                  All its pages are there.
 * @retval FILEMAP_EOPTION    `how` is neither.
 * @retval FILEMAP_ERANGE     The range does not lie within the window.
 * @retval FILEMAP_EMODE      WRITE on a mapping that is not writable; borrowed bytes.
 * @retval FILEMAP_EFAULT     Touching a page would be a fault: the file was cut, the disk is full or broken.
 * @retval FILEMAP_EPOISONED  The window is gone.
 * @retval -EHWPOISON         A page of broken memory; FILEMAP_EFAULT on kernels before 5.14.
 * @retval -EMFILE, -ENFILE   Kernels before 5.14 that forbid process_vm_readv(2): no pipe.
 * @retval -ENOMEM, -EINTR    No memory; a signal came first, to be repeated.
 * Class R, and W with _WRITE. Blocks for the disk. @since 0.1
 */
FILEMAP_API int filemap_prefault(struct filemap *map, unsigned how, size_t offset, size_t length);

/**
 * Bring the pages of a range into memory and keep them there, until filemap_munlock() or close.
 *
 * Repeating it does nothing more: locks do not count. It says nothing of writing: locked pages are flushed
 * like others.
 *
 * @param length  Bytes; 0 does nothing; FILEMAP_TO_END = the rest.
 * @retval 0                  Locked.
 * @retval FILEMAP_ERANGE     The range does not lie within the window.
 * @retval FILEMAP_EMODE      Borrowed bytes.
 * @retval FILEMAP_EPOISONED  The window is gone.
 * @retval -ENOMEM, -EPERM, -EAGAIN  RLIMIT_MEMLOCK does not allow it; or not every page could be had, and
 *                            the others are locked.
 * Class R. Blocks for the disk. @since 0.1
 */
FILEMAP_API int filemap_mlock(struct filemap *map, size_t offset, size_t length);

/**
 * Let the pages of a range go again; otherwise as filemap_mlock(). Pages that were not locked are fine.
 *
 * Class R. @since 0.1
 */
FILEMAP_API int filemap_munlock(struct filemap *map, size_t offset, size_t length);

/**
 * Count which pages of a range are in memory, dirty, or being written.
 *
 * It is a moment: all may be different when the call returns. Of a file it is the file's pages that count,
 * whoever brought them in; of COW likewise, not its private copies. Dirty and write-back pages are known
 * from Linux 6.5 on.
 *
 * @param length  Bytes; FILEMAP_TO_END = the rest.
 * @param ret     Written on success only.
 * @retval 0                  Counted.
 * @retval FILEMAP_ERANGE     The range does not lie within the window.
 * @retval FILEMAP_EMODE      Borrowed bytes.
 * @retval FILEMAP_EPOISONED  The window is gone.
 * @retval -EPERM             The file belongs to somebody else and may only be read: the kernel would tell
 *                            untruths to those who must not know.
 * @retval -EMFILE, -ENFILE, -ENOMEM  It could not be found out whether the file is the caller's.
 * Class R. @since 0.1
 */
FILEMAP_API int filemap_residency(const struct filemap *map, size_t offset, size_t length,
	struct filemap_residency *ret);

#ifdef __cplusplus
}
#endif

#endif
