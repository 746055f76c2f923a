/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* guard: who handles SIGBUS, as programs ask for it. */
#include <filemap/guard.h>

#include "base/error.h"
#include "fault/guard.h"

int filemap_guard_install(struct filemap_error *reterr)
{
	int r = fm__guard_install();
	return r < 0 ? fm__fail(reterr, r, "install handler", "SIGBUS") : 0;
}

int filemap_guard_uninstall(void)
{
	return fm__guard_uninstall();
}

int filemap_guard_adopt(void)
{
	return fm__guard_adopt();
}

int filemap_guard_disown(void)
{
	return fm__guard_disown();
}

unsigned filemap_guard_state(void)
{
	unsigned state = 0;
	if (fm__guard_is_installed())
		state |= FILEMAP_GUARD_INSTALLED;
	if (fm__guard_is_adopted())
		state |= FILEMAP_GUARD_ADOPTED;
	if (fm__guard_is_on_top())
		state |= FILEMAP_GUARD_ON_TOP;
	return state;
}

bool filemap_fault_dispatch(int signo, void *siginfo, void *ucontext)
{
	return fm__guard_dispatch(signo, siginfo, ucontext);
}
