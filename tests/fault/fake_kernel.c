/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Owns the state of the fake kernel: its lock, its chance and its moments, the first violation, the log and the
 * files that entries may name.
 *
 * Invariant: chance is decided by the seed and the order of the calls alone, and moments only count up. Of all
 * violations the first is kept.
 */
#include "fake_private.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct fake_kernel fake = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- chance, time and blame; lock held ---- */

unsigned fake__below(unsigned limit)
{
	fake.random ^= fake.random << 13;
	fake.random ^= fake.random >> 7;
	fake.random ^= fake.random << 17;
	return (unsigned)((fake.random * UINT64_C(2685821657736338717)) >> 33) % limit;
}

bool fake__chance(unsigned once_in)
{
	return once_in != 0 && fake__below(once_in) == 0;
}

static void blame(const char *format, va_list arguments)
{
	if (fake.violation[0] == '\0')
		vsnprintf(fake.violation, sizeof fake.violation, format, arguments);
}

void fake__violated(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	blame(format, arguments);
	va_end(arguments);
}

/* ---- the lock ---- */

int fake__leave(int r)
{
	pthread_mutex_unlock(&fake.lock);
	return r;
}

void fake__let_others(void)
{
	pthread_mutex_unlock(&fake.lock);
	sched_yield();
	pthread_mutex_lock(&fake.lock);
}

/* ---- for the test ---- */

void fake_start(const struct fake_plan *plan)
{
	pthread_mutex_lock(&fake.lock);
	fake.plan = *plan;
	fake.random = plan->seed * UINT64_C(0x9E3779B97F4A7C15) | 1;
	for (int i = 0; i < 4; i++)
		(void)fake__below(2);
	fake.moment = 0;
	fake.count = fake.ended = fake.live_count = fake.with_ring = fake.called_count = 0;
	fake.refused = fake.next_is_memory = false;
	fake.violation[0] = '\0';
	fake.file_count = 0;
	pthread_mutex_unlock(&fake.lock);
}

uint64_t fake_now(void)
{
	pthread_mutex_lock(&fake.lock);
	const uint64_t now = ++fake.moment;
	pthread_mutex_unlock(&fake.lock);
	return now;
}

unsigned fake_random(unsigned limit)
{
	pthread_mutex_lock(&fake.lock);
	const unsigned r = fake__below(limit);
	pthread_mutex_unlock(&fake.lock);
	return r;
}

const char *fake_violation(void)
{
	pthread_mutex_lock(&fake.lock);
	const bool is_clean = fake.violation[0] == '\0';
	pthread_mutex_unlock(&fake.lock);
	return is_clean ? NULL : fake.violation;
}

void fake_violated(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	pthread_mutex_lock(&fake.lock);
	blame(format, arguments);
	pthread_mutex_unlock(&fake.lock);
	va_end(arguments);
}

int fake_refused(void)
{
	return fake.refused ? fake.plan.refuse_error : 0;
}

unsigned fake_count(void)
{
	return fake.count;
}

const struct fake_entry *fake_entry(unsigned nth)
{
	return &fake.log[nth];
}

const struct fake_entry *fake_ended(unsigned nth)
{
	return nth < fake.ended ? &fake.log[fake.order[nth]] : NULL;
}

/* ---- files; lock held ---- */

int fake_file_add(int fd, bool is_memory)
{
	struct stat st;
	int file;

	if (fstat(fd, &st) < 0)
		abort();
	pthread_mutex_lock(&fake.lock);
	if (fake.file_count == FAKE_MAX_FILES)
		abort();
	file = fake.file_count++;
	fake.files[file].device = st.st_dev;
	fake.files[file].inode = st.st_ino;
	fake.files[file].is_memory = is_memory;
	fake.files[file].base = NULL;
	pthread_mutex_unlock(&fake.lock);
	return file;
}

void fake_file_place(int file, void *base, size_t length)
{
	pthread_mutex_lock(&fake.lock);
	for (int i = 0; i < fake.file_count; i++) /* closed by now, or moved */
		if (i != file && fake.files[i].base != NULL && fake.files[i].base < (char *)base + length &&
		    (char *)base < fake.files[i].base + fake.files[i].length)
			fake.files[i].base = NULL;
	fake.files[file].base = base;
	fake.files[file].length = length;
	pthread_mutex_unlock(&fake.lock);
}

void fake_next_is_memory(bool on)
{
	__atomic_store_n(&fake.next_is_memory, on, __ATOMIC_RELAXED);
}

/* The newest one first: numbers of inodes are used again. */
int fake__file_of_fd(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return FAKE_NO_FILE;
	for (int i = fake.file_count - 1; i >= 0; i--)
		if (fake.files[i].device == st.st_dev && fake.files[i].inode == st.st_ino)
			return i;
	return FAKE_NO_FILE;
}

int fake__file_of_address(const char *at)
{
	for (int i = fake.file_count - 1; i >= 0; i--)
		if (fake.files[i].base != NULL && at >= fake.files[i].base &&
		    at < fake.files[i].base + fake.files[i].length)
			return i;
	return FAKE_NO_FILE;
}
