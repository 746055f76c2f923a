/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * One guard around everything that a call of the log does to mapped bytes. Owns nothing. Invariant: only faults
 * at the places that were named are taken; one in the caller's own bytes goes where it would go without the
 * library.
 */
#include "log/guarded.h"

#include <stdint.h>

#include <filemap/base.h>

#include "fault/guard.h"

static bool lies_in(const struct fm__log_place *place, const void *address)
{
	const void *at = place->at;
	return at && (uintptr_t)address - (uintptr_t)at < place->length;
}

/* In the signal handler. */
static bool claims(const void *context, const void *address)
{
	const struct fm__log_places *places = context;
	return lies_in(&places->segment, address) || lies_in(&places->other, address);
}

int fm__log_guarded(const struct fm__log_places *places, int (*body)(void *context), void *context)
{
	struct fm__guard guard;
	int r;

	if (!fm__guard_is_active())
		return body(context);
	if (sigsetjmp(guard.jump, 0) != 0)
		return FILEMAP_EFAULT;
	fm__guard_enter(&guard, claims, places);
	r = body(context);
	fm__guard_leave(&guard);
	return r;
}
