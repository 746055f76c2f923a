/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * guard: owns each thread's stack of guards, and the jump out of a fault.
 *
 * Invariant: what a signal handler may find on the stack is a complete guard in a live frame.
 */
/* Checked jumps take the way from an alternate stack that disarms itself back to the thread's own for a broken one,
 * and end the program. */
#undef _FORTIFY_SOURCE

#include "fault/guard.h"

#include <ucontext.h>

#include "sys/sys.h"

_Thread_local __attribute__((tls_model("initial-exec"))) struct fm__guard *fm__guard_innermost;

struct fm__guard *fm__guard_suspend(void)
{
	struct fm__guard *guard = fm__guard_innermost;
	fm__guard_set(NULL);
	return guard;
}

void fm__guard_resume(struct fm__guard *guard)
{
	fm__guard_set(guard);
}

/* Faults of an access that this thread is making: not signals that were sent, not wrong alignment, and not news
 * about broken memory that nobody touches. */
static bool is_fault(int code)
{
	return code == BUS_ADRERR || code == BUS_OBJERR || code == BUS_MCEERR_AR;
}

/* As returning from the handler would do it; the access cannot have been made with SIGBUS kept out. */
static void restore(const ucontext_t *interrupted)
{
	sigset_t mask;

	sigemptyset(&mask);
	if (interrupted) {
		mask = interrupted->uc_sigmask;
		sigdelset(&mask, SIGBUS);
		fm__sys_set_mask(SIG_SETMASK, &mask, NULL);
		fm__sys_rearm_stack(interrupted);
	} else {
		sigaddset(&mask, SIGBUS);
		fm__sys_set_mask(SIG_UNBLOCK, &mask, NULL);
	}
}

bool fm__guard_dispatch(int signo, const siginfo_t *info, void *ucontext)
{
	struct fm__guard *guard = fm__guard_innermost;

	if (signo != SIGBUS || !info || !is_fault(info->si_code))
		return false;
	while (guard && !guard->claims(guard->context, info->si_addr))
		guard = guard->outer;
	if (!guard)
		return false;
	guard->address = info->si_addr;
	guard->code = info->si_code;
	fm__guard_set(guard->outer);
	restore(ucontext);
	siglongjmp(guard->jump, 1);
}
