/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Who handles a signal, and which ones this thread lets in. All of it may be called from a signal handler. */
#include <signal.h>

#include "sys/linux/kernel.h"
#include "sys/linux/newer.h"
#include "sys/sys.h"

int fm__sys_get_action(int signo, struct sigaction *ret)
{
	return fm__result(sigaction(signo, NULL, ret));
}

int fm__sys_set_action(int signo, const struct sigaction *action)
{
	return fm__result(sigaction(signo, action, NULL));
}

int fm__sys_set_mask(int how, const sigset_t *mask, sigset_t *ret_old)
{
	return -pthread_sigmask(how, mask, ret_old);
}

/* The kernel takes the alternate stack away when a signal comes, and gives it back to a handler that returns. */
int fm__sys_rearm_stack(const ucontext_t *interrupted)
{
	if (!((unsigned)interrupted->uc_stack.ss_flags & SS_AUTODISARM))
		return 0;
	return fm__result(sigaltstack(&interrupted->uc_stack, NULL));
}

/* To this thread: at once if the signal is let in, as soon as it is otherwise. */
int fm__sys_raise(int signo)
{
	return fm__result(raise(signo));
}
