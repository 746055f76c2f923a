/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * filemap/guard.h - mapped bytes that cannot be had, as an error instead of a signal.
 *
 * A page of a mapped file cannot be had when another process cut the file, when a store finds no room on
 * the disk, when the disk fails, or when memory is broken. A plain load or store of such a page raises SIGBUS,
 * which ends the program. The calls here return FILEMAP_EFAULT instead, and say where and why.
 *
 * With a handler: filemap_guard_install() once, at the start of the program, makes a guarded copy cost a few
 * nanoseconds more than memcpy(), and makes filemap_guarded_call() possible. A program that has a SIGBUS
 * handler of its own keeps it: filemap_guard_adopt(), and filemap_fault_dispatch() as first thing in that
 * handler. Without either, guarded reads and writes let the kernel copy (process_vm_readv(2), or a pipe where
 * that is forbidden): a microsecond a call, and as safe.
 *
 * The process-wide truth:
 * - A signal has one handler in a process. Installing replaces whoever was there; that one is called for
 *   every fault that is not ours, as the kernel would have called it: its mask and SA_NODEFER,
 *   SA_RESETHAND, SIG_DFL (the program dies of the fault itself, with a true core dump) and SIG_IGN (which does
 *   not help against a fault). Only the stack may differ: ours runs on the alternate one if the thread has one.
 * - Whoever installs a handler after us sees our faults first. If it hands on what is not its own to its
 *   predecessor (as the JVM, Go and most crash reporters do) all is well; if it does not, a fault in a guarded
 *   access ends as it decides: Python's faulthandler then ends the program, so enable it first.
 *   filemap_guard_state() tells whether ours is on top. A JVM with -Xcheck:jni warns of our handler; that is all.
 * - A fault is claimed only if this thread is in a guarded access just now and the address lies in what that
 *   access touches of the mapping. A fault in the caller's own buffer is the caller's.
 * - The handler allocates nothing, takes no lock and prints nothing. It returns to the guarded access by a
 *   jump: what a called function held at that moment is not given back.
 * - AddressSanitizer, ThreadSanitizer and valgrind get along with it. They install handlers of their own before
 *   main(), which stay the predecessors.
 * - Threads that use guarded access with a handler must not block SIGBUS: the kernel ends the program at a fault
 *   whose signal is blocked, whatever the handler.
 *
 * Neither a handler nor a guard tells that a file was cut, as long as the page is there: from the file's end
 * to the end of its page there are zeros to be read. FILEMAP_GUARD_CHECK_END is for that.
 *
 * What needs no guard: a sealed snapshot (filemap_snapshot()), which nobody can cut and no disk stands behind.
 */
#ifndef FILEMAP_GUARD_H
#define FILEMAP_GUARD_H

#include <filemap/map.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Values of `cause`. They are found out after the fault, so a cause that has gone by then is UNKNOWN. */
#define FILEMAP_FAULT_UNKNOWN 0u  /* the page can be had by now, or it could not be found out */
#define FILEMAP_FAULT_PAST_END 1u /* behind the end of the file: somebody cut it */
#define FILEMAP_FAULT_NO_SPACE 2u /* no block for it: the disk is full, or the quota used up */
#define FILEMAP_FAULT_IO 3u       /* the device or the file system failed */
#define FILEMAP_FAULT_HWPOISON 4u /* the memory itself is broken */

/** Where a mapping could not be accessed, and why. Written when a call returns FILEMAP_EFAULT. */
struct filemap_fault {
	uint64_t offset;     /* first byte not done, from the window's start */
	uint32_t cause;      /* FILEMAP_FAULT_* */
	int32_t signal_code; /* si_code of the signal; 0 = there was none */
	uint64_t index;      /* filemap_guarded_call(): which of the maps; else 0 */
	uint64_t reserved;
};

/* Flags of filemap_guarded_read() and filemap_guarded_write(). */
#define FILEMAP_GUARD_CHECK_END (1u << 0) /* look at the file's size, too: zeros behind its end are no bytes */

/* Bits of filemap_guard_state(). */
#define FILEMAP_GUARD_INSTALLED (1u << 0) /* by filemap_guard_install(), and not given up since */
#define FILEMAP_GUARD_ADOPTED (1u << 1)   /* by filemap_guard_adopt() */
#define FILEMAP_GUARD_ON_TOP (1u << 2)    /* the handler of SIGBUS is ours at this moment */

/**
 * Install the handler for SIGBUS, or count one more user of it.
 *
 * The handler that was there is kept, and gets every fault that is not ours. Each success is to be given up by
 * one filemap_guard_uninstall(). A forked child has what its parent had.
 *
 * @param reterr  Written on failure only; may be NULL.
 * @retval 0              Installed: guarded accesses of all threads use it from now on.
 * @retval FILEMAP_EBUSY  The process had sixteen different handlers before ours already, one after the other; each
 *                        is remembered, as somebody may still hand on to ours expecting it.
 * @retval -EAGAIN, -ENOMEM  The system has no memory for the bookkeeping of forks.
 * @retval -errno         As sigaction(2) said. Nothing is changed after a failure.
 * Any thread, at any time; not from a signal handler. Does not block. @since 0.1
 */
FILEMAP_API int filemap_guard_install(struct filemap_error *reterr);

/**
 * Give up one filemap_guard_install(); the last one puts the previous handler back, if ours is still on top.
 *
 * If another one came on top, everything stays as it is: that one may hand on to ours, which goes on handing
 * on to its predecessor. No guarded access that relies on it may be running in any thread.
 *
 * @retval 0              Given up.
 * @retval FILEMAP_EMODE  It was not installed.
 * @retval -errno         As sigaction(2) said; still installed.
 * As filemap_guard_install(). @since 0.1
 */
FILEMAP_API int filemap_guard_uninstall(void);

/**
 * Say that the program's own handler of SIGBUS calls filemap_fault_dispatch() first.
 *
 * Nothing is installed; guarded accesses rely on that handler from now on. Counted, like
 * filemap_guard_install(), and given up by filemap_guard_disown(). For what is not claimed that handler may jump
 * out of guarded reads and writes, but not out of the body of a filemap_guarded_call().
 *
 * @retval 0  Always.
 * Any thread. Does not block. @since 0.1
 */
FILEMAP_API int filemap_guard_adopt(void);

/**
 * Give up one filemap_guard_adopt(), before the program takes its handler away.
 *
 * @retval 0              Given up.
 * @retval FILEMAP_EMODE  It was not adopted.
 * Any thread, while no guarded access relies on it. @since 0.1
 */
FILEMAP_API int filemap_guard_disown(void);

/**
 * Which of the two is in force, and whether the kernel calls our handler first: bits of FILEMAP_GUARD_*.
 *
 * ON_TOP is a look at this moment, by a system call. Any thread. @since 0.1
 */
FILEMAP_API unsigned filemap_guard_state(void);

/**
 * Handle a SIGBUS if it is a fault of a guarded access of this thread; for the program's own handler.
 *
 * Does not return if it is: the signal mask of the interrupted code is restored and the access returns
 * FILEMAP_EFAULT. So whatever the handler has taken before it calls this is not given back. It works in a
 * handler installed with or without SA_NODEFER and SA_ONSTACK; SA_SIGINFO is needed.
 *
 * @param signo     The handler's first argument.
 * @param siginfo   Its second one: a siginfo_t *.
 * @param ucontext  Its third one; may be NULL (then only SIGBUS itself is let in again).
 * @return false    Not ours: a signal that was sent, an address that nobody is guarding here.
 * Async-signal-safe. @since 0.1
 */
FILEMAP_API bool filemap_fault_dispatch(int signo, void *siginfo, void *ucontext);

/**
 * Copy bytes out of the window; what cannot be had is an error, not a signal.
 *
 * CHECK_END looks at the file's size and times before and after copying, and copies again when the file was
 * changed meanwhile, up to 64 times: success then means that every byte was in the file. That is exact where
 * the file system keeps times fine enough (ext4, XFS, btrfs and tmpfs from Linux 6.13 on); elsewhere a file that
 * is cut and grown again within one clock tick (up to 10 ms) goes unnoticed. It costs two system calls.
 *
 * Not promised: that the bytes are of one moment, while others write them.
 *
 * @param to         At least @p length bytes; borrowed. Not in the part of the mapping that is read.
 * @param length     Bytes; all must lie within the window, and FILEMAP_TO_END is no length here.
 * @param flags      FILEMAP_GUARD_CHECK_END or 0.
 * @param ret_fault  Written when FILEMAP_EFAULT is returned; may be NULL.
 * @retval 0                  All bytes were copied.
 * @retval FILEMAP_EFAULT     Those below ret_fault->offset were copied; what @p to holds from there on is
 *                            undefined.
 * @retval FILEMAP_ERANGE     The range does not lie within the window; nothing was copied.
 * @retval FILEMAP_EOPTION    An unknown flag.
 * @retval FILEMAP_EPOISONED  The window is gone.
 * @retval FILEMAP_EFORKED    FILEMAP_DONTFORK kept the pages from this process.
 * @retval -EAGAIN            CHECK_END: the file was changed each time; the bytes are not vouched for.
 * @retval -EFAULT            Without a handler: @p to cannot be written.
 * @retval -EMFILE, -ENFILE, -ENOMEM  Without a handler, where process_vm_readv(2) is forbidden: no pipe.
 * @retval -errno             CHECK_END: the size could not be read.
 * Class R. Blocks for the disk. @since 0.1
 */
FILEMAP_API int filemap_guarded_read(const struct filemap *map, size_t offset, void *to, size_t length,
	unsigned flags, struct filemap_fault *ret_fault);

/**
 * Copy bytes into the window; otherwise as filemap_guarded_read().
 *
 * CHECK_END looks at the size afterwards: what was stored behind the end of the file, in its last page, is
 * in no file. After FILEMAP_EFAULT the bytes below ret_fault->offset are stored, and of those from there on any may
 * be, too: a copy need not go forwards.
 *
 * @param from  Borrowed.
 * @retval FILEMAP_EMODE  The mapping is not writable now.
 * @retval -EFAULT        Without a handler: @p from cannot be read.
 * Class W. Blocks for the disk. @since 0.1
 */
FILEMAP_API int filemap_guarded_write(struct filemap *map, size_t offset, const void *from, size_t length,
	unsigned flags, struct filemap_fault *ret_fault);

/**
 * Run code of the program that touches mappings; a fault there ends it with an error.
 *
 * The body may load, store and compute, on these maps and elsewhere, and call guarded accesses; nothing else. It is
 * abandoned by a jump: what it allocated, locked or opened stays so, destructors do not run, and it must not
 * leave by a jump or an exception itself. Local variables of the caller that it changes must be volatile.
 *
 * @param maps       Borrowed, as is the array; only faults in the windows of these are caught. NULLs are left out.
 * @param count      May be 0.
 * @param context    Passed through.
 * @param ret_body   What @p body returned; written on success only; may be NULL.
 * @param ret_fault  Written when FILEMAP_EFAULT is returned, with `index`; may be NULL. `offset` is the page of
 *                   the fault, or the window's start.
 * @retval 0                  The body returned.
 * @retval FILEMAP_EFAULT     It was abandoned at a fault; what it had stored by then is stored.
 * @retval FILEMAP_EMODE      Neither installed nor adopted, and one of the maps is not immutable
 *                            (filemap_is_immutable()). The body was not called, as in all cases below.
 * @retval FILEMAP_EOPTION    @p body is NULL, or @p maps is and @p count is not 0.
 * @retval FILEMAP_EPOISONED  The window of one of the maps is gone. FILEMAP_EFORKED: absent in this process.
 * Class R, or W if the body stores. Nesting is fine. Blocks as the body does. @since 0.1
 */
FILEMAP_API int filemap_guarded_call(const struct filemap *const *maps, size_t count, int (*body)(void *context),
	void *context, int *ret_body, struct filemap_fault *ret_fault);

/**
 * Whether reading a range would fault, found out by reading it: no signal, and no handler needed.
 *
 * It brings the range into memory. The answer is of that moment: for bytes that are to be used use guarded access.
 *
 * @param length  Bytes; 0 does nothing; FILEMAP_TO_END = the rest.
 * @retval 0                  Every page could be read.
 * @retval FILEMAP_EFAULT     One could not; filemap_find_fault() tells which.
 * @retval FILEMAP_ERANGE     The range does not lie within the window.
 * @retval FILEMAP_EPOISONED  The window is gone.
 * @retval FILEMAP_EFORKED    FILEMAP_DONTFORK kept the pages from this process.
 * @retval -EMFILE, -ENFILE, -ENOMEM  Kernels before 5.14 that forbid process_vm_readv(2): no pipe.
 * @retval -EINTR             A signal came first, to be repeated.
 * Class R. Blocks for the disk. @since 0.1
 */
FILEMAP_API int filemap_probe(const struct filemap *map, size_t offset, size_t length);

/**
 * As filemap_probe(), and find the first page that cannot be read, and why.
 *
 * @param ret_fault  Written when FILEMAP_EFAULT is returned; may be NULL. `offset` is the first byte of the
 *                   range that lies in that page.
 * Class R. Blocks for the disk. @since 0.1
 */
FILEMAP_API int filemap_find_fault(const struct filemap *map, size_t offset, size_t length,
	struct filemap_fault *ret_fault);

#ifdef __cplusplus
}
#endif

#endif
