/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * filemap/queue.h - working on mappings asynchronously: msync(2) and its like, with a completion.
 *
 * A queue takes requests and carries them out behind the caller's back: by io_uring, or by a pool
 * of threads. The two differ in cost, never in what a program sees.
 *
 *   filemap_queue_flush()    and its like give the request a ticket; nothing is begun yet
 *   filemap_queue_submit()   begins everything queued; poll, wait and drain do that first, too
 *   filemap_queue_poll()     runs the callbacks of what has finished
 *   filemap_queue_wait()     waits for one ticket, or for any
 *   filemap_queue_drain()    waits for all
 *
 * A ticket ends exactly once: by its callback, if it has one; else by the first wait that names it
 * or FILEMAP_ANY. From then on it is unknown (-ENOENT). Numbers start at 1, ascend, and are never
 * used again.
 *
 * What surprises people:
 *
 * - Two requests in flight are not ordered, not even for one mapping. filemap_queue_flush_after()
 *   and filemap_queue_barrier() order when requests begin; they do not order stores that were made
 *   before: the kernel may write any dirty page at any time. What must not reach the device before
 *   something else is durable must not be *stored* before that: filemap_queue_commit() does it so.
 * - A flush covers what was stored before filemap_queue_submit() (or whichever call began it).
 *   Bytes stored later may or may not be included.
 * - Flushes of one mapping whose pages overlap or touch are one flush of the device as long as they
 *   wait, and they wait while such a one is at work (group commit). Each ticket ends for itself.
 * - What has begun cannot be called off. A wait that times out gives up waiting, not the request.
 * - A failed flush taints its mapping for good, as filemap_flush() would: see there. Later flushes
 *   of it are refused with FILEMAP_EPOISONED, and those that end after its failure was seen end with
 *   it, too. The kernel tells a failure once, to whichever flush of the file asks next: therefore a
 *   flush ends with 0 only when all those of the mapping that this queue had at work beside it have
 *   returned, and none of them failed. What two queues, or this one and filemap_flush() on another
 *   thread, flush at the same time is not told apart so: distrust all of it when one fails;
 *   filemap_doubt() covers it.
 * - A mapping may be closed while requests on it are in flight. Flushes, syncs and writebacks hold its
 *   open file, and with it its flock or OFD lock, until they have finished. All others hold a pin (see
 *   filemap_pin()) until their ticket has ended, or the queue is closed: meanwhile a window without
 *   reserve cannot grow (FILEMAP_EBUSY).
 * - A process that is killed, or ends without filemap_queue_close(), while flushes are in flight on
 *   io_uring can be gone before they are: the kernel keeps the file open, and locked, until they have
 *   finished. Who opens it next sets `lock_wait_ms`.
 * - io_uring may be there and be forbidden (containers, kernel.io_uring_disabled). It counts as
 *   available only after a real flush through it has worked.
 *
 * Threads: a queue may be used by many threads at once, except by FILEMAP_QUEUE_ONE_THREAD.
 * Callbacks run in poll, wait and drain, on the thread that called, with no lock of the library
 * held. They may queue, submit and cancel requests and close maps. poll, wait and drain of the same
 * queue from a callback are refused with -EDEADLK.
 *
 * After fork, a queue belongs to the parent. In the child every call is FILEMAP_EFORKED, and
 * filemap_queue_close() only frees the child's copy, and gives back its pins. A child made by
 * clone(2) or vfork(2) behind libc's back is not recognised and must not touch it.
 */
#ifndef FILEMAP_QUEUE_H
#define FILEMAP_QUEUE_H

#include <filemap/map.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Backends, for filemap_queue_options.backend. */

/** io_uring for a FILEMAP_QUEUE_ONE_THREAD queue, if it works here; else threads. A queue for many
 *  threads gets threads: a pool is as fast as a ring behind a thread of its own, or faster. */
#define FILEMAP_QUEUE_AUTO 0u
/** io_uring or an error. With FILEMAP_QUEUE_ONE_THREAD the caller's own thread submits and
 *  collects, without any library thread; otherwise one library thread owns the ring. */
#define FILEMAP_QUEUE_URING 1u
/** A pool of library threads, signals blocked, one request each at a time. Works everywhere. A
 *  mapping that is flushed so keeps address space without any memory until it is closed: 16 MiB, or up
 *  to ten times as much as the file has up to the last byte flushed. Not where RLIMIT_AS is set: set it
 *  before the first flush. */
#define FILEMAP_QUEUE_THREADS 2u

/** Only the opening thread uses the queue; from another, calls are FILEMAP_EMODE on any backend. */
#define FILEMAP_QUEUE_ONE_THREAD (1u << 0)

#define FILEMAP_ANY UINT64_MAX /* a ticket number that no request ever has */

/** Opaque. Made by filemap_queue_open(), ended by filemap_queue_close(). */
struct filemap_queue;

/**
 * How to open a queue. Zero is the default everywhere; build one with FILEMAP_QUEUE_OPTIONS().
 */
struct filemap_queue_options {
	uint32_t struct_size; /* sizeof(struct filemap_queue_options) */
	uint32_t flags;       /* 0 or FILEMAP_QUEUE_ONE_THREAD */
	uint32_t backend;     /* FILEMAP_QUEUE_AUTO, _URING or _THREADS */
	uint32_t depth;       /* requests unfinished or unclaimed at once; 0 = 64; at most 4096 */
	uint32_t workers;     /* requests at work at once, on as many threads, the library's or the
	                         kernel's; 0 = 4; at most 64. What has to wait can be cancelled */
	uint32_t reserved;    /* must be 0 */
};

/** Build options inline: FILEMAP_QUEUE_OPTIONS(.depth = 8). C only. */
#ifndef __cplusplus
#define FILEMAP_QUEUE_OPTIONS(...)                                                                 \
	(&(const struct filemap_queue_options){                                                    \
		.struct_size = sizeof(struct filemap_queue_options), __VA_ARGS__})
#endif

/**
 * Called when a request has finished, from filemap_queue_poll(), _wait() or _drain(), on that
 * thread.
 *
 * The ticket has ended and its place in the queue is free: the callback may queue the next flush
 * even at depth 1. It must return; leaving it by longjmp or by ending the thread is not allowed.
 *
 * @param queue    The queue; viewed.
 * @param ticket   The request's number.
 * @param result   What the synchronous call would have returned; or -ECANCELED: it was never begun.
 *                 Of a flush: 0: every byte of the range is durable. -errno: it failed, the mapping
 *                 is tainted. FILEMAP_EPOISONED: another one of the mapping has failed.
 * @param context  As given with the request.
 */
typedef void filemap_completed(struct filemap_queue *queue, uint64_t ticket, int result,
	void *context);

/** One finished request, as filemap_queue_wait() reports it. */
struct filemap_completion {
	uint64_t ticket;
	int32_t result;       /* as for filemap_completed */
	int32_t sys_errno;    /* the errno in it (positive), 0 if there is none */
	uint64_t reserved[2]; /* 0 */
};

/**
 * Open a queue.
 *
 * Takes an eventfd, memory for `depth` requests, and either a ring or the worker threads. Nothing
 * is allocated later, so that a flush is never refused for want of memory.
 *
 * @param options    Borrowed; NULL = all defaults.
 * @param ret_queue  Given: end it with filemap_queue_close().
 * @param reterr     May be NULL.
 * @return 0.
 * @return FILEMAP_EOPTION, FILEMAP_EVERSION: reterr->subject names the option; nothing was started.
 * @return -errno: reterr->step says at what. With FILEMAP_QUEUE_URING and step "open ring",
 *         io_uring is not usable: -ENOSYS, -EPERM (forbidden), -ENOMEM, -EMFILE, or -EOPNOTSUPP
 *         (built without it).
 *
 * Any thread. Does not wait for the disk.
 * @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_queue_open(const struct filemap_queue_options *options,
	struct filemap_queue **ret_queue, struct filemap_error *reterr);

/**
 * Close a queue.
 *
 * Begins what is queued, waits until nothing is in flight, however long that takes, and frees
 * everything. Callbacks are not run and results are lost: call filemap_queue_drain() first to have
 * them. A failed flush has tainted its mapping nevertheless. A signal does not end the waiting.
 *
 * No other thread may be in a call on the queue. With FILEMAP_QUEUE_ONE_THREAD, a call from another
 * thread does nothing. From a callback of the queue it is not allowed; if it happens, no further
 * callback is run, the queue is closed as the poll, wait or drain that runs the callback returns,
 * and it must not be used in between. In a forked child, frees the child's copy and waits for
 * nothing.
 *
 * @param queue  Taken; NULL does nothing.
 * @since 0.1
 */
FILEMAP_API void filemap_queue_close(struct filemap_queue *queue);

/**
 * Name the backend that was chosen.
 *
 * @return "io_uring" or "threads"; a static string. Any thread, also in a forked child.
 * @since 0.1
 */
FILEMAP_API const char *filemap_queue_backend(const struct filemap_queue *queue);

/*
 * ---- Requests ----
 *
 * All of them take, last:
 *   completed    Called when the request has finished; NULL = a wait collects the result.
 *   context      Handed to `completed`; kept, never looked at.
 *   ret_ticket   The request's number; may be NULL. Written on success only.
 * and return
 *   0                  Queued. It is begun by the next submit, poll, wait or drain, not by this call.
 *   FILEMAP_EBUSY      `depth` requests are unfinished or unclaimed; collect some.
 *   FILEMAP_EMODE      Another thread than the queue's (FILEMAP_QUEUE_ONE_THREAD).
 *   FILEMAP_EFORKED    The queue is the parent's.
 * and what is said below. After any error nothing was queued and nothing has changed.
 *
 * Any thread, callbacks too, as far as the class of the synchronous call allows the mapping to be used
 * there. None of them waits for the disk. A mapping may be closed as soon as they have returned.
 */

/**
 * Queue a flush of a range of a mapping: filemap_flush_range().
 *
 * @param offset  In bytes, into the mapping.
 * @param length  In bytes; 0 is valid and ends with 0; FILEMAP_TO_END = all from the offset on.
 * @return FILEMAP_ERANGE, FILEMAP_EPOISONED: as filemap_flush_range().
 * @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_queue_flush(struct filemap_queue *queue,
	struct filemap *map, size_t offset, size_t length, filemap_completed *completed,
	void *context, uint64_t *ret_ticket);

/**
 * Queue a flush that begins only when another request has ended with success.
 *
 * If that one ends with a negative result, this one is never begun and ends with -ECANCELED, and so
 * do those behind it. What counts is the result when it finished: of a resize, that the file has its
 * size; whether the window can follow shows only when its ticket ends. It orders completions, not
 * stores: what is flushed here may have reached the device before. For "data, then the header that
 * points to it" take filemap_queue_commit().
 *
 * @param after  A ticket of this queue, of any kind of request, that has not ended yet. It may be
 *               finished and unclaimed.
 * @return -ENOENT: @p after was never given, or has ended: whoever ended it has its result. Otherwise
 *         as filemap_queue_flush().
 * @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_queue_flush_after(struct filemap_queue *queue,
	struct filemap *map, size_t offset, size_t length, uint64_t after,
	filemap_completed *completed, void *context, uint64_t *ret_ticket);

/**
 * Queue a commit: data, then the header that points to it. filemap_commit().
 *
 * The data is flushed; when it is durable the header is stored into the window, by the thread that
 * learns of it (the caller's in poll, wait, drain or submit of a FILEMAP_QUEUE_ONE_THREAD queue on
 * io_uring, else the library's), and flushed. Until the ticket has ended the program keeps its hands off
 * the header's bytes. Two commits in flight are not ordered: chain them by a barrier, or wait.
 * A page of the header that cannot be had is FILEMAP_EFAULT, never a signal.
 *
 * @param header         Copied. In the byte order that the file has.
 * @param header_length  Bytes; at most 4096.
 * @return FILEMAP_EOPTION, FILEMAP_ERANGE, FILEMAP_EMODE, FILEMAP_EPOISONED: as filemap_commit().
 * @return -ENOMEM: no memory for the copy.
 * The result is that of filemap_commit(); filemap_queue_error() says which half failed.
 * @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_queue_commit(struct filemap_queue *queue,
	struct filemap *map, size_t data_offset, size_t data_length, size_t header_offset,
	const void *header, size_t header_length, filemap_completed *completed, void *context,
	uint64_t *ret_ticket);

/**
 * Queue a sync of a mapping: filemap_sync(). Data, size and other metadata.
 *
 * @return FILEMAP_EPOISONED: as filemap_sync().
 * @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_queue_sync(struct filemap_queue *queue,
	struct filemap *map, filemap_completed *completed, void *context, uint64_t *ret_ticket);

/**
 * Queue the start of writing a range to the device: filemap_writeback(). Promises nothing.
 *
 * @return FILEMAP_ERANGE, FILEMAP_EPOISONED: as filemap_writeback().
 * @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_queue_writeback(struct filemap_queue *queue,
	struct filemap *map, size_t offset, size_t length, filemap_completed *completed,
	void *context, uint64_t *ret_ticket);

/**
 * Queue the touching of pages, so that later loads or stores do not wait: filemap_prefault().
 *
 * @param how  FILEMAP_PREFAULT_READ or FILEMAP_PREFAULT_WRITE.
 * @return FILEMAP_EOPTION, FILEMAP_EMODE, FILEMAP_ERANGE, FILEMAP_EPOISONED, FILEMAP_EFORKED: as
 *         filemap_prefault().
 * @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_queue_prefault(struct filemap_queue *queue,
	struct filemap *map, unsigned how, size_t offset, size_t length,
	filemap_completed *completed, void *context, uint64_t *ret_ticket);

/**
 * Queue a change of the file's size: filemap_resize().
 *
 * Class E here, and again in the call that ends the ticket, which publishes the new size: there, growth
 * without a reserve moves the window. In between the mapping can be loaded from, stored to and
 * flushed as it was. A window that shrinks is cut by this call already, so that nobody touches what the
 * file is about to lose; if the request fails or is cancelled, the call that ends the ticket gives it
 * back. One change of a file at a time: until the ticket has ended, filemap_resize(),
 * filemap_refresh(), filemap_remove() and their like on any window of the file are FILEMAP_EBUSY.
 *
 * Blocks are allocated, or the file is cut, behind the caller's back; what else belongs to it (with
 * COOPERATE all growth under the shared lock; zeros for the old end's page, on file systems without
 * fallocate(2) for all that is new) is done by the queue's thread, which for FILEMAP_QUEUE_ONE_THREAD on
 * io_uring is the caller's.
 *
 * @param file_size  Bytes, of the whole file.
 * @return What filemap_resize() refuses without a look at the file, and for cuts with one; FILEMAP_EBUSY
 *         also: another change of the file is in flight, or a request that pins a window that would move.
 * @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_queue_resize(struct filemap_queue *queue,
	struct filemap *map, uint64_t file_size, filemap_completed *completed, void *context,
	uint64_t *ret_ticket);

/**
 * Queue the removal of the mapped file's name: filemap_remove().
 *
 * Class E here and in the call that ends the ticket; filemap_state() tells of it from then on. Until
 * then other changes of the file are FILEMAP_EBUSY, as for filemap_queue_resize(). Renaming and
 * unlinking is done by the queue's thread, which for FILEMAP_QUEUE_ONE_THREAD on io_uring is the
 * caller's; the sync of the directory, which takes the time, behind its back.
 *
 * @return FILEMAP_EMODE, FILEMAP_ELOCKED, FILEMAP_EFORKED: as filemap_remove(); FILEMAP_EBUSY also:
 *         another change of the file is in flight. The result may be positive, as there.
 * @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_queue_remove(struct filemap_queue *queue,
	struct filemap *map, filemap_completed *completed, void *context, uint64_t *ret_ticket);

/**
 * Queue a sync of a directory: what was created, renamed and removed in it becomes durable.
 *
 * @param dirfd  An open directory, also O_PATH, or AT_FDCWD; may be closed after the call.
 * @return -EBADF, -ENOTDIR, -EACCES, -EMFILE, ...: it could not be opened for syncing.
 * @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_queue_sync_dir(struct filemap_queue *queue, int dirfd,
	filemap_completed *completed, void *context, uint64_t *ret_ticket);

/**
 * Queue a barrier: it ends when all that was queued before it has finished, and nothing that is queued
 * after it begins before.
 *
 * @return As said of all requests. The result is 0 if all since the barrier before finished without an error;
 *         otherwise that of the first to finish with one (-ECANCELED if that was cancelled). What follows begins
 *         in either case; a flush that is not to takes the barrier as its `after`.
 * @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_queue_barrier(struct filemap_queue *queue,
	filemap_completed *completed, void *context, uint64_t *ret_ticket);

/**
 * Cancel a request that has not begun.
 *
 * Its ticket ends like any other, with the result -ECANCELED: by its callback in the next poll, or
 * by a wait. What is to begin after it (filemap_queue_flush_after()) ends so, too. A barrier stays
 * one: what is behind it still waits.
 *
 * @return 0: it will end with -ECANCELED, and nothing of it is done.
 * @return -EALREADY: it has begun, or finished: it ends with its own result.
 * @return -ENOENT: the number was never given, or the ticket has ended.
 * @return FILEMAP_EMODE, FILEMAP_EFORKED: nothing was done.
 *
 * Any thread, callbacks too. Does not wait.
 * @since 0.1
 */
FILEMAP_API int filemap_queue_cancel(struct filemap_queue *queue, uint64_t ticket);

/* ---- Beginning and collecting ---- */

/**
 * Begin everything that is queued.
 *
 * @return 0, also if nothing was queued. What goes wrong with a request is its own result.
 * @return FILEMAP_EMODE, FILEMAP_EFORKED: nothing was begun.
 *
 * Any thread, callbacks too. Does not wait for the disk, with these exceptions, all of a
 * FILEMAP_QUEUE_ONE_THREAD queue on io_uring: what filemap_queue_resize() and _remove() say of their
 * first steps; and if the kernel withdraws io_uring from the running process (a seccomp filter), what
 * is queued is done here. Flushes that the kernel had taken by then end with that errno, since their
 * outcome cannot be learnt.
 * @since 0.1
 */
FILEMAP_API int filemap_queue_submit(struct filemap_queue *queue);

/**
 * Run the callbacks of the requests that have finished, without waiting.
 *
 * Submits first. Clears the eventfd. Requests that the callbacks queue are left for the next call.
 * Finished requests without a callback stay claimable. A FILEMAP_QUEUE_ONE_THREAD queue on io_uring
 * goes on with what consists of several steps, or waits for room or for another request, here and in
 * the other calls only.
 *
 * @return How many callbacks were run, 0 or more.
 * @return -EDEADLK (from a callback of this queue), FILEMAP_EMODE, FILEMAP_EFORKED: nothing was
 *         done.
 *
 * Any thread.
 * @since 0.1
 */
FILEMAP_API int filemap_queue_poll(struct filemap_queue *queue);

/**
 * Wait until a request has finished, and end its ticket.
 *
 * Submits first. Exactly one ticket ends; if it has a callback, that is run here, before the
 * return. Other finished requests keep theirs for a later call. With FILEMAP_ANY, requests with a
 * callback come first.
 *
 * If several threads wait for one ticket: without a callback, one of them gets it and the others
 * -ENOENT; with a callback, it runs once and all of them return 1 after it has returned.
 *
 * @param ticket      A number, or FILEMAP_ANY.
 * @param timeout_ms  0 = only look; negative = for ever.
 * @param ret         Written if 1 is returned; may be NULL.
 * @return 1: finished; its result is in @p ret, not here.
 * @return 0: the time is over; the request goes on and the ticket stays.
 * @return -EINTR: a signal handler ran while waiting, with or without SA_RESTART, on any backend;
 *         the ticket stays. A signal just before the wait is not noticed.
 * @return -ENOENT: the number was never given, or the ticket has ended, or its callback is running
 *         already; FILEMAP_ANY: nothing is in flight or unclaimed.
 * @return -EDEADLK (from a callback of this queue), FILEMAP_EMODE, FILEMAP_EFORKED: nothing was
 *         done.
 *
 * Any thread. Blocks.
 * @since 0.1
 */
FILEMAP_API int filemap_queue_wait(struct filemap_queue *queue, uint64_t ticket, int timeout_ms,
	struct filemap_completion *ret);

/**
 * Wait as filemap_queue_wait() does, and get the whole error if the request has failed.
 *
 * @param reterr  Written if 1 is returned and the result is negative, as the synchronous call would
 *                have written it; may be NULL.
 * @return As filemap_queue_wait().
 *
 * Any thread. Blocks.
 * @since 0.1
 */
FILEMAP_API int filemap_queue_wait_error(struct filemap_queue *queue, uint64_t ticket,
	int timeout_ms, struct filemap_completion *ret, struct filemap_error *reterr);

/**
 * Get the whole error of a request that has failed, in its callback or as long as it is unclaimed.
 *
 * @param ret  Written if 1 is returned: step, subject and range of the failure.
 * @return 1: it failed. 0: it has finished without an error.
 * @return -EINPROGRESS: it has not finished yet.
 * @return -ENOENT: the number was never given, or the ticket has ended (outside its callback).
 * @return FILEMAP_EMODE, FILEMAP_EFORKED.
 *
 * Any thread, callbacks too; of a ticket that is ending just then, only its callback.
 * @since 0.1
 */
FILEMAP_API int filemap_queue_error(struct filemap_queue *queue, uint64_t ticket,
	struct filemap_error *ret);

/**
 * Wait until nothing is in flight, and run all callbacks.
 *
 * Submits first; what callbacks queue is waited for, too, and so are callbacks on other threads. A
 * signal does not end it. Finished requests without a callback stay claimable.
 *
 * @return 0, whatever the requests' results.
 * @return -EDEADLK (from a callback of this queue), FILEMAP_EMODE, FILEMAP_EFORKED: nothing was
 *         done.
 *
 * Any thread. Blocks for as long as the disk, and other threads that go on queueing, take.
 * @since 0.1
 */
FILEMAP_API int filemap_queue_drain(struct filemap_queue *queue);

/**
 * Get a descriptor for poll(2) or epoll(7) that becomes readable when a completion can be
 * collected.
 *
 * filemap_queue_poll() makes it unreadable again; nothing else does. After it, collect requests
 * without a callback by filemap_queue_wait(queue, FILEMAP_ANY, 0, ...) until that does not return
 * 1. It may be readable with nothing to collect. Remember to submit: what is only queued never
 * becomes readable.
 *
 * @return The descriptor, always the same one; viewed: it dies with the queue. Do not read or close
 *         it.
 * @return FILEMAP_EMODE, FILEMAP_EFORKED, or -errno.
 *
 * Any thread.
 * @since 0.1
 */
FILEMAP_API int filemap_queue_eventfd(struct filemap_queue *queue);

/* ---- Statistics ---- */

/* Logarithmic, with 8 linear steps in each doubling: the bounds of a bucket lie at most 1/8 apart, below 1 us
 * 128 ns. Up to 36 minutes; the last bucket takes what is longer. */
#define FILEMAP_LATENCY_BUCKETS 256

/** What a queue has done since it was opened. Counted when it happens; read at one moment. */
struct filemap_queue_stats {
	uint64_t queued;         /* requests that were given a ticket, barriers too */
	uint64_t finished;       /* of these: have a result */
	uint64_t failed;         /* of these: with a negative one, but -ECANCELED */
	uint64_t cancelled;      /* of these: with -ECANCELED */
	uint64_t flushes;        /* of mappings, come back: flush, sync, commit (twice if it got so far) */
	uint64_t coalesced;      /* of these: saved, because one for another request covered them */
	uint64_t device_flushes; /* of these: made */
	uint64_t in_flight;      /* now: have a ticket and no result */
	uint64_t at_work;        /* now: of these, with the kernel or a thread */
	uint64_t most_in_flight; /* ever */
	uint64_t reserved[6];    /* 0 */
	/* Finished requests but barriers and cancelled ones: from the submission to the result. */
	uint64_t latency[FILEMAP_LATENCY_BUCKETS];
};

/**
 * Read the counters of a queue.
 *
 * @return 0; FILEMAP_EMODE, FILEMAP_EFORKED.
 *
 * Any thread, callbacks too. Does not wait, and does not collect: a FILEMAP_QUEUE_ONE_THREAD queue on
 * io_uring knows of what has finished only after poll, wait or drain.
 * @since 0.1
 */
FILEMAP_API int filemap_queue_stats(struct filemap_queue *queue, struct filemap_queue_stats *ret);

/**
 * The bucket of a histogram that a latency falls into, and the longest latency that falls into it.
 *
 * @return The number of the bucket, below FILEMAP_LATENCY_BUCKETS; nanoseconds, UINT64_MAX for the last
 *         bucket and numbers behind it.
 * Any thread. @since 0.1
 */
FILEMAP_API unsigned filemap_latency_bucket(uint64_t ns);
FILEMAP_API uint64_t filemap_latency_bound(unsigned bucket);

/**
 * A quantile of a histogram: the bound of the bucket in which the given share of all is reached.
 *
 * @param buckets  FILEMAP_LATENCY_BUCKETS counters, as in filemap_queue_stats; borrowed.
 * @param ppm      The share in millionths: 500000 is the median, 999000 the 99.9th percentile; more
 *                 than 1000000 counts as that: the longest.
 * @return Nanoseconds, up to 1/8 more than it was, or 127 ns; 0 if there are none.
 * Any thread. @since 0.1
 */
FILEMAP_API uint64_t filemap_latency_quantile(const uint64_t *buckets, unsigned ppm);

#ifdef __cplusplus
}
#endif

#endif
