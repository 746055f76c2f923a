/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * filemap/queue.h - flushing mappings asynchronously.
 *
 * A queue takes flushes and carries them out behind the caller's back: by io_uring, or by a pool of
 * threads. The two differ in cost, never in what a program sees.
 *
 *   filemap_queue_flush()    gives the request a ticket; nothing is begun yet
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
 * - Two flushes in flight are not ordered, not even for one mapping. What must not reach the device
 *   before something else is durable must not be *stored* before that flush has ended well.
 * - A flush covers what was stored before filemap_queue_submit() (or whichever call began it).
 *   Bytes stored later may or may not be included.
 * - A flush that has begun cannot be called off. A wait that times out gives up waiting, not the
 *   flush.
 * - A failed flush taints its mapping for good, as filemap_flush() would: see there. Later flushes
 *   of it are refused with FILEMAP_EPOISONED, and those that end after its failure was seen end with
 *   it, too. The kernel tells a failure once: one that was in flight beside it may have ended with 0
 *   before that, so distrust what was flushed at the same time; filemap_doubt() covers it.
 * - A mapping may be closed while flushes of it are in flight; they go on, on the right file, and
 *   hold its open file, and with it its flock or OFD lock, until they have ended.
 * - io_uring may be there and be forbidden (containers, kernel.io_uring_disabled). It counts as
 *   available only after a real flush through it has worked.
 *
 * Threads: a queue may be used by many threads at once, except by FILEMAP_QUEUE_ONE_THREAD.
 * Callbacks run in poll, wait and drain, on the thread that called, with no lock of the library
 * held. They may queue and submit further flushes and close maps. poll, wait and drain of the same
 * queue from a callback are refused with -EDEADLK.
 *
 * After fork, a queue belongs to the parent. In the child every call is FILEMAP_EFORKED, and
 * filemap_queue_close() only frees the child's copy. A child made by clone(2) or vfork(2) behind
 * libc's back is not recognised and must not touch it.
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
/** A pool of library threads, signals blocked, one flush each at a time. Works everywhere. */
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
	uint32_t workers;     /* size of the pool; 0 = 2; at most 64; with URING must be 0 */
	uint32_t reserved;    /* must be 0 */
};

/** Build options inline: FILEMAP_QUEUE_OPTIONS(.depth = 8). C only. */
#ifndef __cplusplus
#define FILEMAP_QUEUE_OPTIONS(...)                                                                 \
	(&(const struct filemap_queue_options){                                                    \
		.struct_size = sizeof(struct filemap_queue_options), __VA_ARGS__})
#endif

/**
 * Called when a flush has finished, from filemap_queue_poll(), _wait() or _drain(), on that thread.
 *
 * The ticket has ended and its place in the queue is free: the callback may queue the next flush
 * even at depth 1. It must return; leaving it by longjmp or by ending the thread is not allowed.
 *
 * @param queue    The queue; viewed.
 * @param ticket   The request's number.
 * @param result   0: every byte of the range is durable. -errno: the flush failed, the mapping is
 *                 tainted. FILEMAP_EPOISONED: this flush went well, but an earlier one of the
 *                 mapping had failed.
 * @param context  As given to filemap_queue_flush().
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

/**
 * Queue a flush of a range of a mapping.
 *
 * The flush makes the range durable as filemap_flush_range() does. It is begun by the next submit,
 * poll, wait or drain, not by this call. It keeps the mapping's open file, not the mapping.
 *
 * @param map         Borrowed; may be closed as soon as this has returned.
 * @param offset      In bytes, into the mapping.
 * @param length      In bytes; 0 is valid and ends with 0; FILEMAP_TO_END = all from the offset on.
 * @param completed   Called when it has finished; NULL = a wait collects the result.
 * @param context     Handed to @p completed; kept, never looked at.
 * @param ret_ticket  The request's number; may be NULL.
 * @return 0: queued.
 * @return FILEMAP_EBUSY: `depth` requests are unfinished or unclaimed; collect some. Nothing was
 *         queued.
 * @return FILEMAP_ERANGE, FILEMAP_EPOISONED, FILEMAP_EMODE (another thread than the queue's):
 *         nothing was queued.
 * @return FILEMAP_EFORKED: the queue is the parent's.
 *
 * Any thread (but see FILEMAP_QUEUE_ONE_THREAD), callbacks too. Never waits for the disk.
 * @since 0.1
 */
FILEMAP_API FILEMAP_NODISCARD int filemap_queue_flush(struct filemap_queue *queue,
	struct filemap *map, size_t offset, size_t length, filemap_completed *completed,
	void *context, uint64_t *ret_ticket);

/**
 * Begin everything that is queued.
 *
 * @return 0, also if nothing was queued. What goes wrong with a request is its own result.
 * @return FILEMAP_EMODE, FILEMAP_EFORKED: nothing was begun.
 *
 * Any thread, callbacks too. Does not wait for the disk, with one exception: if the kernel
 * withdraws io_uring from the running process (a seccomp filter), a FILEMAP_QUEUE_ONE_THREAD queue
 * flushes here. Flushes that the kernel had taken by then end with that errno, since their outcome
 * cannot be learnt.
 * @since 0.1
 */
FILEMAP_API int filemap_queue_submit(struct filemap_queue *queue);

/**
 * Run the callbacks of the requests that have finished, without waiting.
 *
 * Submits first. Clears the eventfd. Requests that the callbacks queue are left for the next call.
 * Finished requests without a callback stay claimable.
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

#ifdef __cplusplus
}
#endif

#endif
