/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * filemap/log.h - a crash-safe, memory-mapped append log.
 *
 * A log is a directory of segment files. One process appends, with any number of threads; any number of
 * processes read. A record is bytes of any content; its position (LSN) and the generation of its writer
 * (epoch) name it for ever.
 *
 *   filemap_log_open()     takes the writer's lock, finds the end, repairs nothing that was durable
 *   filemap_log_append()   a copy into mapped memory and a checksum; usually no system call
 *   filemap_log_wait()     until a record is durable; many waiters share one flush
 *   filemap_log_finish()   makes everything durable and marks the log as closed in order
 *
 * A record is acknowledged twice. PUBLISHED, when append returns and no earlier append of another thread is
 * still at work: it survives the death of the process, but not a power failure, and not a failed write-back.
 * DURABLE, when filemap_log_wait() says so: it survives power failure, too. Store outside the log only
 * positions of durable records, as (LSN, epoch): after a power failure the LSNs of records that were not
 * durable may be given again, with a higher epoch.
 *
 * What surprises people:
 *
 * - Nothing becomes durable by itself. Somebody has to wait, sync, poll or finish; only an append that runs
 *   into max_lag flushes, and the kernel writes back when it likes, which acknowledges nothing.
 * - A failed flush is final. The kernel has given up those pages: no later flush tells. The log is poisoned:
 *   every call returns FILEMAP_EPOISONED, but for close, the plain questions and waits for what was reached
 *   before. Close and open again: the opening writes again whatever it is going to trust.
 * - A segment is a mapped file: where somebody cuts it, or its device fails, touching it is a SIGBUS. With a
 *   handler (filemap_guard_install() or filemap_guard_adopt(), before the log is used) it is an error instead:
 *   append returns FILEMAP_EFAULT, and the log is poisoned as by a failed flush, for what was claimed can never be
 *   completed, nor what follows it acknowledged. The library's own threads are guarded, too. Without a handler
 *   the program dies of it; the next opening finds what was durable. Cutting `ctl` is the same. What nobody
 *   touches is looked at, handler or not: each flush is followed by a look at the size of the segments, and what was cut
 *   off never becomes durable. One that is cut and grown again in between goes unnoticed.
 * - A thread that dies inside append leaves a hole; no record behind it is ever published or durable. There
 *   is no cancellation point inside; filemap_log_stats() tells the age of the oldest open claim.
 * - A copied directory is a valid log if it was copied while no writer had it open. Opening it for writing gives
 *   it blocks of its own where the copy has holes or shares them, or fails with -ENOSPC.
 * - On file systems where written zeros reserve no space (btrfs, bcachefs, zfs, FUSE, NFS) an opening is
 *   refused: a full disk would become SIGBUS in the middle of an append. What lies below an overlay
 *   cannot be seen. On tmpfs a log works, and is gone after a power failure.
 *
 * Threads: every function may be called by many threads at once, but for filemap_log_finish() and
 * filemap_log_close(), during which no other call may be at work or come.
 *
 * After fork the writer is the parent's. In the child every call that could fail is FILEMAP_EFORKED and
 * filemap_log_close() only frees the child's copy; the lock stays with the parent. A child made by
 * clone(2) or vfork(2) behind libc's back is not recognised and must not touch the log.
 */
#ifndef FILEMAP_LOG_H
#define FILEMAP_LOG_H

#include <filemap/queue.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FILEMAP_LOG_CREATE (1u << 0)     /* make the directory and the log if there is none */
#define FILEMAP_LOG_CREATE_NEW (1u << 1) /* make it; -EEXIST if there is one */

#define FILEMAP_PUBLISHED 0u /* in the shared page cache: survives the death of the writer */
#define FILEMAP_DURABLE 1u   /* on the device: survives power loss */

#define FILEMAP_LOG_CLEAN 0u   /* ends where its last record ends */
#define FILEMAP_LOG_TORN 1u    /* something unfinished stood behind the last record */
#define FILEMAP_LOG_CORRUPT 2u /* a record that was durable is damaged or missing */

/** A log that is open for writing. Made by filemap_log_open(), ended by filemap_log_close(). */
struct filemap_log;
/** A log that is open for reading. Made by filemap_log_reader_open(). */
struct filemap_log_reader;

/** The name of a record: no two records of a log, of all times, have the same. */
struct filemap_log_position {
	uint64_t lsn;   /* byte position in the endless stream of the log; the first is 4096 */
	uint32_t epoch; /* generation of the writer, from 1 */
	uint32_t reserved;
};

/**
 * How to open a log for writing. Zero is the default everywhere; build one with FILEMAP_LOG_OPTIONS().
 * What counts at creation is ignored for a log that exists: it keeps what it has.
 */
struct filemap_log_options {
	uint32_t struct_size;  /* sizeof(struct filemap_log_options) */
	uint32_t flags;        /* 0, FILEMAP_LOG_CREATE or FILEMAP_LOG_CREATE_NEW */
	uint64_t segment_size; /* bytes, at creation: power of two, 2^20 .. 2^30; 0 = 2^26 */
	uint64_t max_lag;      /* bytes appended but not durable beyond which append waits; 0 = 64 MiB */
	uint32_t frame_unit;   /* bytes to which records are aligned, at creation: 32, 64 or 128; 0 = 32 */
	uint32_t permissions;  /* of a created log's files; 0 = 0666 before umask */
	struct filemap_queue *queue; /* borrowed, outlives the log; all record flushes go through it; see
					filemap_log_poll(). NULL: waiters flush */
	uint64_t reserved[2];  /* must be 0 */
};

#ifndef __cplusplus
#define FILEMAP_LOG_OPTIONS(...)                                                                   \
	(&(const struct filemap_log_options){.struct_size = sizeof(struct filemap_log_options),    \
					     __VA_ARGS__})
#endif

/**
 * What an opening, a reader or a verification found in a log's directory.
 *
 * Written on success only; copied, nothing in it is to be freed. All positions are LSNs: bytes in the endless
 * stream of the log, never file offsets.
 */
struct filemap_log_report {
	uint32_t state;        /* FILEMAP_LOG_CLEAN, FILEMAP_LOG_TORN or FILEMAP_LOG_CORRUPT */
	uint32_t epoch;        /* generation of the last writer; after an opening that of this one */
	uint64_t first, end;   /* intact records lie in [first, end) */
	uint64_t durable;      /* everything below is known to have been on the device before */
	uint64_t records;      /* those that the scan met in [scanned_from, end) */
	uint64_t bytes;        /* the sum of their payload lengths */
	uint64_t scanned_from; /* == end after an orderly close: there was nothing to scan */
	uint64_t discarded;    /* bytes at and above `end` that an opening put aside as unfinished; else 0 */
	uint64_t damaged_at;   /* CORRUPT: the first position that is damaged or missing; else 0 */
	uint64_t evidence_at;  /* CORRUPT: where it stands that damaged_at was durable, 0 = file `meta`; else 0 */
	uint64_t segments;     /* files that hold, or may hold, records */
	uint64_t segment_size; /* bytes */
	uint32_t frame_unit;   /* bytes */
	uint32_t reserved0;
	uint8_t uuid[16];      /* identity of the log, made at its creation */
	uint64_t reserved[4];
};

/** What a writer has done since it was opened. */
struct filemap_log_stats {
	uint64_t records, bytes; /* appended through this handle; bytes of payload */
	uint64_t flushes;        /* groups that were made durable */
	uint64_t flushed_records, flushed_bytes; /* of those above: durable */
	uint64_t segments_prepared, segments_sealed;
	uint64_t oldest_claim_ns; /* for how long at least an append has kept others from being published; 0 = none */
	uint64_t reserved[8];
};

/**
 * Open a log for writing: create it if asked to, take its lock, find its end.
 *
 * Whatever a writer before left unfinished behind the last record is put aside, never taken for a record; what
 * is found intact is made durable before the call returns, so that published == durable == tail. A log in
 * which a durable record is damaged or missing is refused and left as it is. One thread of the library,
 * with all signals blocked but those of faults, prepares and seals segments as long as the log is open.
 *
 * Not promised: that records which were only published survived, after a power failure.
 *
 * @param dir         Path of the log's directory. Borrowed. Its parent has to exist.
 * @param options     NULL = all defaults. Borrowed; options->queue has to outlive the log.
 * @param ret_log     Given: close it with filemap_log_close(). Untouched on failure.
 * @param ret_report  What was found, or NULL. Written on success only.
 * @param reterr      Filled on failure, or NULL.
 *
 * @retval 0                 The log is open.
 * @retval FILEMAP_ELOCKED   Another handle, of any process, has it open for writing.
 * @retval FILEMAP_ECORRUPT  Something durable is damaged or missing: reterr->offset is the position of it.
 *                           Nothing was changed; readers get what lies before it; see filemap_log_verify().
 * @retval FILEMAP_EVERSION  Made by a newer version. Nothing was changed.
 * @retval FILEMAP_EOPTION   An option is invalid, reterr->subject names it; or the file system cannot keep
 *                           a log, reterr->detail names that. Nothing was created.
 * @retval -ENOENT           No such directory, or it is not a log, and FILEMAP_LOG_CREATE was not given.
 * @retval -EEXIST           FILEMAP_LOG_CREATE_NEW: there is a log.
 * @retval -ENOTEMPTY        To be created in a directory that holds something else. Nothing was changed.
 * @retval FILEMAP_EFAULT    A file of it was cut meanwhile, and a handler of SIGBUS is there (guard.h).
 * @return Another -errno of the kernel. A log that could not be created is not there (one that was, and
 *         then could not be started, stays); of one that existed nothing is lost, and the next attempt starts over.
 *
 * Thread safety: any thread. Blocking: reads what the last writer did not seal, writes and flushes; creating
 * writes a whole segment.
 *
 * @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_log_open(const char *dir, const struct filemap_log_options *options,
	struct filemap_log **ret_log, struct filemap_log_report *ret_report, struct filemap_error *reterr);

/**
 * Make everything durable and mark the log as closed in order, so that the next opening need not scan.
 *
 * The handle stays: close it afterwards. Appends are refused from then on. May be called again, after success
 * and after failure.
 *
 * @param reterr  Filled on failure, or NULL.
 *
 * @retval 0                  Every record is durable, and the log says so.
 * @retval FILEMAP_EBUSY      An append is at work, or died; or the queue is full of other requests. The log
 *                            is as before.
 * @retval FILEMAP_EPOISONED  A flush failed, or a page could not be had (EFAULT); reterr->sys_errno has the cause.
 *                            As a log that crashed.
 * @retval FILEMAP_EFORKED    In a forked child.
 * @retval FILEMAP_EMODE      Queue mode: the queue belongs to another thread. The log is as before.
 * @return -errno of the flush that failed: the log is poisoned now.
 *
 * Thread safety: no other call may be at work. Blocking: flushes; waits for the library's thread.
 *
 * @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_log_finish(struct filemap_log *log, struct filemap_error *reterr);

/**
 * Release a log and its lock. NULL is fine.
 *
 * Without filemap_log_finish() before, this promises nothing: published records are in the page cache, as if
 * the process had died, and the next opening finds them by a scan. In queue mode flushes in flight are waited
 * for; call it on a thread that may wait for the queue, and not from a callback of it.
 *
 * Thread safety: no other call may be at work or come. Blocking: waits for the library's threads to end.
 *
 * @since 0.1
 */
FILEMAP_API void filemap_log_close(struct filemap_log *log);

/**
 * Append a record.
 *
 * Copies the bytes into the log and returns. Usually without a system call; it waits if more than max_lag
 * bytes are not durable (and then flushes them itself), or if the next segment is still being prepared.
 * A record is never split; one that does not fit into what is left of a segment goes to the next.
 *
 * Not promised: durability, see filemap_log_wait().
 *
 * @param data    Borrowed; may be NULL if length is 0. Has to be readable: a fault in it is not guarded, and
 *                a hole in the log if the thread goes on elsewhere. A handler that was adopted (guard.h) must not
 *                jump out of it.
 * @param length  Bytes; 0 is a record. At most (segment size - 8192) / 2 - 32.
 * @param ret     Position of the record, or NULL. Written on success only.
 *
 * @retval 0                  The record is in the log.
 * @retval FILEMAP_ERANGE     Too long for this log's segments. Nothing was appended.
 * @retval FILEMAP_EPOISONED  A flush failed earlier, or a page of the log could not be had. Nothing was appended.
 * @retval FILEMAP_EFAULT     A page of the log cannot be had: a segment was cut, or its device fails. The log is
 *                            poisoned now. The record is not acknowledged; whether it is there, the next
 *                            opening tells. Without a handler of SIGBUS (guard.h) this is a signal.
 * @retval FILEMAP_EFORKED    In a forked child. Nothing was appended.
 * @retval FILEMAP_EMODE      After filemap_log_finish(); or queue mode, max_lag is exceeded and the queue
 *                            belongs to another thread. Nothing was appended.
 * @retval FILEMAP_EBUSY      Queue mode: max_lag is exceeded and the queue is full of other requests.
 *                            Nothing was appended.
 * @retval -ENOSPC            There is no room for the next segment; also -EDQUOT, -EIO and whatever else
 *                            kept it from being prepared. Nothing was appended. Preparing is tried again
 *                            every second, and appends succeed as soon as that does.
 *
 * Thread safety: any number of threads. Records of one thread keep their order. Blocking: see above.
 *
 * @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_log_append(struct filemap_log *log, const void *data, size_t length,
	struct filemap_log_position *ret);

/**
 * Append one record that is made of several parts, in this order.
 *
 * As filemap_log_append() in everything else; lengths that do not add up in a size_t are FILEMAP_ERANGE.
 *
 * @param parts  Borrowed, as is what they point to; may be NULL if count is 0.
 * @param count  How many; 0 is a record without bytes.
 *
 * @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_log_appendv(struct filemap_log *log, const struct filemap_bytes *parts,
	size_t count, struct filemap_log_position *ret);

/**
 * Wait until the record at a position is published or durable.
 *
 * A thread that waits for FILEMAP_DURABLE usually carries out the flush itself, for everything that is
 * published by then and for all who wait; while many wait, a thread of the library does it.
 *
 * @param lsn         Position of a record, as append returned it; one that is still to come is fine.
 * @param level       FILEMAP_PUBLISHED or FILEMAP_DURABLE.
 * @param timeout_ms  Milliseconds; negative = for ever; 0 = only look. A flush that this thread has begun is
 *                    not cut short.
 *
 * @retval 1                  The level is above lsn.
 * @retval 0                  It was not in time.
 * @retval FILEMAP_EPOISONED  It never will be: a flush failed, or a page of the log could not be had.
 * @retval FILEMAP_EFORKED    In a forked child.
 * @retval FILEMAP_EOPTION    There is no such level.
 * @retval FILEMAP_ERANGE     There is no such position (UINT64_MAX).
 * @retval FILEMAP_EMODE      The log is finished and ends below (0 if timeout_ms is 0); or queue mode: the
 *                            queue belongs to another thread.
 * @retval FILEMAP_EBUSY      Queue mode: the queue is full of other requests.
 * @retval -EDEADLK           Queue mode: called from a callback of the queue.
 * @retval -ENOMEM            Queue mode: the flush could not be queued.
 *
 * Thread safety: any number of threads. Blocking: yes; signals do not end it.
 *
 * @since 0.1
 */
FILEMAP_API int filemap_log_wait(struct filemap_log *log, uint64_t lsn, unsigned level, int timeout_ms);

/**
 * Queue mode: take note of flushes that have ended, and begin the next one if there is something to flush.
 *
 * Runs the callbacks of other finished requests of the queue, too, as filemap_queue_poll() does. One group of
 * flushes is in flight at a time, for everything that was published when it began. Call it again when
 * filemap_queue_eventfd() of the queue is readable.
 *
 * @retval 1                  filemap_log_durable() has advanced.
 * @retval 0                  It has not.
 * @retval FILEMAP_EPOISONED  A flush failed, or a page of the log could not be had.
 * @retval FILEMAP_EFORKED    In a forked child.
 * @retval FILEMAP_EMODE      The log was opened without a queue, or the queue belongs to another thread.
 * @retval -EDEADLK           Called from a callback of the queue.
 * @retval -ENOMEM            The flush could not be queued; the next call tries again.
 *
 * Thread safety: any thread that may poll the queue. Blocking: no.
 *
 * @since 0.1
 */
FILEMAP_API int filemap_log_poll(struct filemap_log *log);

/**
 * Make everything durable that was appended before the call.
 *
 * If nothing is appended meanwhile, it also notes on the device how far it was durable (a second flush):
 * later damage to any of it is then recognised as such. To acknowledge single records, filemap_log_wait()
 * is cheaper: there the note follows within about a second of idleness, and until then (or until more is appended
 * and flushed) damage to the last group cannot be told from a torn tail.
 *
 * @param reterr  Filled on failure, or NULL; sys_errno is what the failed flush said.
 *
 * @retval 0                  Done.
 * @retval FILEMAP_EPOISONED  A flush failed, now or earlier, or a page could not be had (EFAULT).
 * @retval FILEMAP_EFORKED    In a forked child.
 * @return In queue mode also what filemap_log_wait() says; -errno if the note could not be written: the log is
 *         poisoned then.
 *
 * Thread safety: any thread. Blocking: flushes; waits for appends of other threads that are at work.
 *
 * @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_log_sync(struct filemap_log *log, struct filemap_error *reterr);

/** The position of the first record that is kept. Any thread; does not block. @since 0.1 */
FILEMAP_API uint64_t filemap_log_first(const struct filemap_log *log);

/** Every record below is published. Never falls. Any thread; does not block. @since 0.1 */
FILEMAP_API uint64_t filemap_log_published(const struct filemap_log *log);

/** Every record below is durable. Never falls; stands still once poisoned. Any thread; does not block.
 *  @since 0.1 */
FILEMAP_API uint64_t filemap_log_durable(const struct filemap_log *log);

/** Where the next record would begin if it fits there. Any thread; does not block. @since 0.1 */
FILEMAP_API uint64_t filemap_log_tail(const struct filemap_log *log);

/**
 * Tell what this handle has done.
 *
 * The counters are read one after the other: while others append they need not agree. With a queue that is
 * shorter than a group has segments, the flushed_* counters lag behind until a group fits.
 *
 * @param ret  Written on success only.
 *
 * @retval 0                Done, also of a poisoned log.
 * @retval FILEMAP_EFORKED  In a forked child.
 *
 * Thread safety: any thread. Blocking: no.
 *
 * @since 0.1
 */
FILEMAP_API int filemap_log_stats(const struct filemap_log *log, struct filemap_log_stats *ret);

#define FILEMAP_LOG_DEEP (1u << 0) /* filemap_log_verify: read every record, not only the unsealed tail */

/**
 * Check a log and say whether it is intact, ends in an unfinished record, or has lost something.
 *
 * Works without the writer's lock and changes nothing. Without a writer it applies the rules by which an
 * opening decides, but always scans: the headers and seals of all segments, and every frame from the last
 * seal on; with FILEMAP_LOG_DEEP every frame of the log, and each sealed segment against its seal. While a
 * writer lives, what it has published when the call begins is checked, from its last seal on or from the
 * first record: the state is then CLEAN or CORRUPT, never TORN.
 *
 * Not promised: that a plain check notices damage inside records of sealed segments; that a deep one notices
 * damage which the page cache hides from it; that a log which is intact now stays so.
 *
 * @param dir         Path of the log's directory. Borrowed.
 * @param flags       0 or FILEMAP_LOG_DEEP.
 * @param ret_report  Filled on success. Borrowed.
 * @param reterr      Filled on failure, or NULL; `offset` is the position of damage.
 *
 * @retval 0                 The check came to its end: see ret_report->state, also for damaged records.
 * @retval FILEMAP_ECORRUPT  meta, or a whole segment or its header, is damaged or missing.
 * @retval FILEMAP_EVERSION  Made by a newer version, or with a discard pending.
 * @retval FILEMAP_EBUSY     For two seconds a writer was about to open the log; try again.
 * @retval FILEMAP_EOPTION   An argument is invalid.
 * @retval -ENOENT           No such directory, or it is not a log.
 * @retval -EIO              A read failed, or an earlier write-back had failed unnoticed.
 * @return Another -errno of the kernel.
 *
 * Thread safety: may be called by any number of threads and processes at once.
 * Blocking: reads the log; without a writer also flushes what is still dirty in it.
 *
 * @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_log_verify(const char *dir, unsigned flags,
	struct filemap_log_report *ret_report, struct filemap_error *reterr);

#define FILEMAP_LOG_COPY (1u << 0) /* reader: hand out copies of records, which nobody can cut */

/* How to read; all zero = everything that is published. */
struct filemap_log_reader_options {
	uint32_t struct_size; /* sizeof(struct filemap_log_reader_options) */
	uint32_t flags;       /* 0 or FILEMAP_LOG_COPY */
	uint32_t level;       /* FILEMAP_PUBLISHED or FILEMAP_DURABLE: how far to read */
	uint32_t reserved;    /* must be 0 */
};

/* One record, as filemap_log_reader_next() hands it out. */
struct filemap_log_record {
	const void *data; /* viewed: until the reader's next call */
	size_t length;    /* bytes; may be 0 */
	struct filemap_log_position position; /* of this record, to be stored and sought later */
	uint64_t next;    /* LSN behind the record: store it as {next, 0} to go on there */
	uint64_t time_ms; /* when it was appended, milliseconds since 1970 UTC, by the writer's clock */
	uint64_t reserved[2];
};

/**
 * Open a log for reading, at its first record.
 *
 * Any number of readers, in any number of processes, may read while one process writes. Nothing is
 * changed in the directory, and no lock is held: a reader never hinders a writer. Read permission is
 * enough. While a writer lives, the reader follows it; otherwise the end of the log is found here, which
 * reads what was not sealed or closed in order. A damaged log opens, too: *ret_report says so, records
 * below the damage are served, and then filemap_log_reader_next() fails.
 *
 * FILEMAP_PUBLISHED serves what was appended, even if a power loss might still take it away; FILEMAP_DURABLE
 * only what is known to be on the device. Without a writer, after a crash, that may be less than what the
 * writer had once acknowledged, although nothing of it is lost: the next opening for writing vouches for it
 * again. Not promised: that ret_report is still true when the function returns, if a writer lives.
 *
 * @param dir         Path of the log's directory; borrowed.
 * @param options     NULL = all defaults; borrowed.
 * @param ret_reader  Given: close it with filemap_log_reader_close(). Untouched on failure.
 * @param ret_report  What was found; may be NULL. Untouched on failure.
 * @param reterr      Where and why it failed; may be NULL.
 *
 * @retval 0                 The reader stands at the first record.
 * @retval -ENOENT           There is no such directory, or it is not a log (subject "meta").
 * @retval FILEMAP_EOPTION   An argument or option is invalid; nothing was looked at.
 * @retval FILEMAP_EVERSION  The log was made by a newer version.
 * @retval FILEMAP_ECORRUPT  `meta` is damaged, so that not even the first record can be found.
 * @retval FILEMAP_EBUSY     Another process has been opening the log for writing for two seconds; try again.
 * @retval -EINTR            A signal handler ran during that wait.
 * @return Another -errno of the kernel. In each case nothing stays open.
 *
 * Thread safety: may be called by any thread; a reader is used by one thread at a time.
 * Blocking: reads the log; without a writer also flushes what is still dirty in it.
 *
 * @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_log_reader_open(const char *dir,
	const struct filemap_log_reader_options *options, struct filemap_log_reader **ret_reader,
	struct filemap_log_report *ret_report, struct filemap_error *reterr);

/**
 * Close a reader and let go of everything it mapped.
 *
 * Pointers of its last record die here. NULL is ignored; errno is kept.
 *
 * Thread safety: no other thread may be using the reader. Blocking: no.
 *
 * @since 0.1
 */
FILEMAP_API void filemap_log_reader_close(struct filemap_log_reader *reader);

/**
 * Hand out the next record.
 *
 * Each record is checked against its checksum before it is handed out, and points into a read-only mapping
 * of the segment: nothing is copied. At the end the limit is loaded again, so that calling later finds what
 * was appended meanwhile.
 *
 * A segment that somebody cut, and a sector that cannot be read, are FILEMAP_EFAULT if a handler is there
 * (filemap_guard_install(), filemap_guard_adopt()), else SIGBUS, as with every mapping. That is about this call: a
 * plain load from ret->data may meet the same afterwards, and is not guarded. With FILEMAP_LOG_COPY ret->data
 * is a copy in the reader's own memory, the very bytes that were checked: nothing here or there is a signal
 * then, handler or not (without one, copying costs two system calls a record).
 *
 * @param reader  The reader.
 * @param ret     The record, written only if 1 is returned; data is viewed until the reader's next call.
 *
 * @retval 1                 *ret is a record; the reader stands behind it.
 * @retval 0                 There is none yet, at the reader's level; the reader stays where it is.
 * @retval FILEMAP_ECORRUPT  Here a record is damaged or missing that must be there. The reader stays, and
 *                           the next call says so again - except over an area that a repair has marked as
 *                           lost: that is reported once, and the next call goes on behind it.
 * @retval FILEMAP_EGONE     The records here were removed in front, or the position sought with an epoch
 *                           was given to another record. The reader stays; seek elsewhere.
 * @retval FILEMAP_EVERSION  A record of a kind that only a newer version knows. The reader stays.
 * @retval FILEMAP_EFAULT    A page of the record cannot be had now. The reader stays: the next call tries again.
 * @retval -ENOMEM           FILEMAP_LOG_COPY: no memory for the copy. The reader stays.
 * @return -errno of the kernel; the reader stays.
 *
 * Thread safety: one thread at a time for each reader; readers are independent of each other.
 * Blocking: never waits for a writer; may wait for the device, and at the end of a log without a
 * writer may read what was not sealed.
 *
 * @since 0.1
 */
FILEMAP_API int filemap_log_reader_next(struct filemap_log_reader *reader, struct filemap_log_record *ret);

/**
 * Go to a stored position.
 *
 * position.lsn is that of a record, the `next` of a record, or the end of the log. With an epoch the record
 * there must be of that epoch, too: otherwise the position names a record that was lost or discarded, and
 * never another one in its place. Where there is no record yet, the epoch is remembered and checked by
 * filemap_log_reader_next(). A position beyond the reader's level may be sought; its record comes later.
 *
 * @param reader    The reader.
 * @param position  LSN and epoch; epoch 0 is not checked, reserved must be 0.
 *
 * @retval 0                 The next record is the one at the position, or the first one behind it.
 * @retval FILEMAP_EGONE     No such position: removed, discarded, lost, of another epoch, or no position of
 *                           a record at all. The reader stays where it was.
 * @retval FILEMAP_ECORRUPT  The position lies behind the damage of a damaged log. The reader stays.
 * @retval FILEMAP_EFAULT    As filemap_log_reader_next(). The reader stays.
 * @retval FILEMAP_EOPTION   position.reserved is not 0. The reader stays.
 * @return -errno of the kernel; the reader stays.
 *
 * Thread safety and blocking: as filemap_log_reader_next().
 *
 * @since 0.1
 */
FILEMAP_API int filemap_log_reader_seek(struct filemap_log_reader *reader, struct filemap_log_position position);

/**
 * Go to where the next record will appear, at the reader's level.
 *
 * @retval 0  The next record is one that is not there yet.
 * @return A negative code, as filemap_log_reader_next(); the reader stays where it was.
 *
 * Thread safety and blocking: as filemap_log_reader_next().
 *
 * @since 0.1
 */
FILEMAP_API int filemap_log_reader_seek_end(struct filemap_log_reader *reader);

#ifdef __cplusplus
}
#endif

#endif
