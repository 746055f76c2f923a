/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Owns the count of forks between the first process of a program and this one. The at-fork handler
 * runs in the child, before any other code of it; the count is never changed otherwise.
 */
#include "base/fork.h"

#include <pthread.h>
#include <stdbool.h>

static unsigned generation;
static bool is_watched; /* atomic: spares every later call the once */
static pthread_once_t watching = PTHREAD_ONCE_INIT;

static void in_child(void)
{
	__atomic_fetch_add(&generation, 1, __ATOMIC_RELAXED);
}

static void watch_forks(void)
{
	/* Without memory for the handler a child is not recognised; nothing else depends on it. */
	(void)pthread_atfork(NULL, NULL, in_child);
	__atomic_store_n(&is_watched, true, __ATOMIC_RELEASE);
}

unsigned fm__fork_generation(void)
{
	if (!__atomic_load_n(&is_watched, __ATOMIC_ACQUIRE))
		pthread_once(&watching, watch_forks);
	return __atomic_load_n(&generation, __ATOMIC_RELAXED);
}
