/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A guard: a stretch of code of one thread in which faults at certain addresses end in a jump.
 *
 * Guards of a thread form a stack, each in the frame of whoever entered it. The handler looks from the
 * innermost one outwards for one that claims the address; those within are dropped, as their frames are.
 */
#ifndef FM_FAULT_GUARD_H
#define FM_FAULT_GUARD_H

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fm__guard {
	/* Runs in the signal handler: reads memory, nothing else. */
	bool (*claims)(const void *context, const void *address);
	const void *context;
	struct fm__guard *outer;
	const void *volatile address; /* of the fault, once there was one */
	volatile int code;            /* its si_code */
	sigjmp_buf jump;
};

/*
 * Each thread's innermost guard. It has its room in every thread from the start (initial-exec): a signal handler must
 * not be the first to ask for it, because that may allocate.
 */
extern _Thread_local __attribute__((tls_model("initial-exec"))) struct fm__guard *fm__guard_innermost;

/* A handler of this thread sees everything that was done before, and nothing of what comes after. */
static inline void fm__guard_set(struct fm__guard *guard)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(&fm__guard_innermost, guard, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/*
 *	struct fm__guard guard;
 *	if (sigsetjmp(guard.jump, 0) != 0)
 *		...                                   a fault: the guard has been left
 *	fm__guard_enter(&guard, claims, context);
 *	...                                           loads and stores
 *	fm__guard_leave(&guard);
 */
static inline void fm__guard_enter(struct fm__guard *guard,
				   bool (*claims)(const void *context, const void *address),
				   const void *context)
{
	guard->claims = claims;
	guard->context = context;
	guard->outer = fm__guard_innermost;
	fm__guard_set(guard);
}

static inline void fm__guard_leave(struct fm__guard *guard)
{
	fm__guard_set(guard->outer);
}

/* Jumps if a guard of this thread claims the fault; false if none does. For signal handlers. */
bool fm__guard_dispatch(int signo, const siginfo_t *info, void *ucontext);

/* While somebody else's handler runs, who may jump out of it: none of our guards is entered. */
struct fm__guard *fm__guard_suspend(void);
void fm__guard_resume(struct fm__guard *guard);

/* The handler of SIGBUS, counted. FILEMAP_EBUSY: it lies below those of others too often. */
int fm__guard_install(void);
int fm__guard_uninstall(void); /* FILEMAP_EMODE: nobody has */
int fm__guard_adopt(void);
int fm__guard_disown(void);
bool fm__guard_is_installed(void);
bool fm__guard_is_adopted(void);
bool fm__guard_is_on_top(void); /* the kernel calls it first */

extern unsigned fm__guard_users; /* atomic: how many have installed or adopted */

static inline bool fm__guard_is_active(void)
{
	return __atomic_load_n(&fm__guard_users, __ATOMIC_ACQUIRE) != 0;
}

/* Addresses: [first, first + length), and the rest of the first and last page of that size. */
struct fm__range {
	uintptr_t first;
	size_t length, page;
};

/* memcpy() with the handler. 0, or the si_code of a fault in the range; which bytes were copied is not known then. */
int fm__guard_try(void *to, const void *from, size_t length, const struct fm__range *range);

/* What a guarded copy met. */
struct fm__hit {
	size_t done; /* bytes copied: all of those before the first one that was not */
	int code;    /* si_code; 0 = the kernel's own hands met it, without a signal */
};

/*
 * Copy. A fault in the mapped side is FILEMAP_EFAULT with *ret_hit; one in the other side is the caller's, as if
 * there was no guard. `page` is the unit in which the mapped side faults. By the handler if it is active, else by the
 * kernel: -EFAULT then means that the other side is bad, and -EMFILE, -ENFILE, -ENOMEM that there is no pipe.
 */
int fm__guard_read(void *to, const void *mapped, size_t length, size_t page, struct fm__hit *ret_hit);
int fm__guard_write(void *mapped, const void *from, size_t length, size_t page, struct fm__hit *ret_hit);

/* The same by the kernel's hands, handler or not: process_vm_readv(2), or a pipe where that is forbidden. */
int fm__own_read(void *to, const void *mapped, size_t length, size_t *ret_done);
int fm__own_write(void *mapped, const void *from, size_t length, size_t *ret_done);

/* Reads a byte of each page of [at, at + length); `at` begins one. FILEMAP_EFAULT: *ret_done is the length before the
 * first bad one. Errors as above. */
int fm__own_peek(const void *at, size_t length, size_t page, size_t *ret_done);

#endif
