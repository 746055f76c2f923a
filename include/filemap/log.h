/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* filemap/log.h - a crash-safe, memory-mapped append log. */
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

struct filemap_log;
struct filemap_log_reader;

struct filemap_log_position {
	uint64_t lsn;
	uint32_t epoch, reserved;
};

struct filemap_bytes {
	const void *data;
	size_t length;
};

struct filemap_log_options {
	uint32_t struct_size;
	uint32_t flags;
	uint64_t segment_size; /* at creation: power of two, 2^20 .. 2^30; 0 = 2^26 */
	uint64_t max_lag;      /* bytes appended but not durable beyond which append waits; 0 = 64 MiB */
	uint32_t frame_unit;   /* at creation: 32, 64 or 128; 0 = 32 */
	uint32_t permissions;  /* of created files; 0 = 0666 before umask */
	struct filemap_queue *queue; /* borrowed, outlives the log; all record flushes go through it; see filemap_log_poll */
	uint64_t reserved[2];
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

struct filemap_log_stats {
	uint64_t records, bytes;        /* appended through this handle */
	uint64_t flushes;               /* groups that were made durable */
	uint64_t flushed_records, flushed_bytes;
	uint64_t segments_prepared, segments_sealed;
	uint64_t oldest_claim_ns;       /* age of the oldest claim without a commit; 0 = none is open */
	uint64_t reserved[8];
};

FILEMAP_API FILEMAP_NODISCARD int filemap_log_open(const char *dir, const struct filemap_log_options *options,
	struct filemap_log **ret_log, struct filemap_log_report *ret_report, struct filemap_error *reterr);
FILEMAP_API FILEMAP_NODISCARD int filemap_log_finish(struct filemap_log *log, struct filemap_error *reterr);
FILEMAP_API void filemap_log_close(struct filemap_log *log);

FILEMAP_API FILEMAP_NODISCARD int filemap_log_append(struct filemap_log *log, const void *data, size_t length,
	struct filemap_log_position *ret);
FILEMAP_API FILEMAP_NODISCARD int filemap_log_appendv(struct filemap_log *log, const struct filemap_bytes *parts,
	size_t count, struct filemap_log_position *ret);

FILEMAP_API int filemap_log_wait(struct filemap_log *log, uint64_t lsn, unsigned level, int timeout_ms);
FILEMAP_API int filemap_log_poll(struct filemap_log *log);
FILEMAP_API FILEMAP_NODISCARD int filemap_log_sync(struct filemap_log *log, struct filemap_error *reterr);
FILEMAP_API uint64_t filemap_log_first(const struct filemap_log *log);
FILEMAP_API uint64_t filemap_log_published(const struct filemap_log *log);
FILEMAP_API uint64_t filemap_log_durable(const struct filemap_log *log);
FILEMAP_API uint64_t filemap_log_tail(const struct filemap_log *log);
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

/* How to read; all zero = everything that is published. */
struct filemap_log_reader_options {
	uint32_t struct_size; /* sizeof(struct filemap_log_reader_options) */
	uint32_t flags;       /* must be 0 */
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
 * was appended meanwhile. Not promised: that a failing device is reported as an error; the page fault of a
 * sector that cannot be read is a SIGBUS, as with every mapping.
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
