/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Stands in front of every call of lib/sys/sys.h: counts it, records it, makes it fail when told to.
 *
 * All state is behind one mutex, which is never held while the real call runs, so that waiting calls
 * of several threads pass. What gives something back (close, unmap, unlock, wake, restore) is done
 * even when its failure is injected, as the kernel would have done. The heap fails only by name
 * ("zalloc", "strdup") and stays out of traces and of the count of the nth call.
 */
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "sys/sys.h"

#define MAX_CALLS 80
#define MAX_ARMS 8
#define TRACE_SIZE (1 << 18)

struct call {
	const char *name;
	int count;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct call calls[MAX_CALLS];
static struct arm {
	char call[32]; /* "" = any call */
	int nth;       /* counts down; 0 = nothing armed */
	int error;
	bool persistent;
} arms[MAX_ARMS];
static const char *fired_call;
static struct {
	char call[32];
	int nth; /* counts down; 0 = none */
	void (*run)(void *);
	void *context;
} hook;
static bool tracing;
static char trace[TRACE_SIZE];
static size_t trace_length;
static size_t fake_page_size;

static void set_arm(struct arm *arm, const char *call, int nth, int error, bool persistent)
{
	snprintf(arm->call, sizeof arm->call, "%s", call);
	arm->nth = nth;
	arm->error = error;
	arm->persistent = persistent;
}

static void arm(const char *call, int nth, int error, bool persistent)
{
	pthread_mutex_lock(&mutex);
	memset(arms, 0, sizeof arms);
	set_arm(&arms[0], call, nth, error, persistent);
	fired_call = NULL;
	pthread_mutex_unlock(&mutex);
}

void fault_arm(int nth, int error)
{
	arm("", nth, error, false);
}

void fault_arm_call(const char *call, int nth, int error)
{
	arm(call, nth, error, false);
}

void fault_arm_call_persistent(const char *call, int nth, int error)
{
	arm(call, nth, error, true);
}

void fault_arm_also(const char *call, int nth, int error)
{
	size_t i = 0;

	pthread_mutex_lock(&mutex);
	while (i < MAX_ARMS && arms[i].nth != 0)
		i++;
	if (i == MAX_ARMS)
		abort();
	set_arm(&arms[i], call, nth, error, false);
	pthread_mutex_unlock(&mutex);
}

void fault_hook(const char *call, int nth, void (*run)(void *), void *context)
{
	pthread_mutex_lock(&mutex);
	snprintf(hook.call, sizeof hook.call, "%s", call);
	hook.nth = nth;
	hook.run = run;
	hook.context = context;
	pthread_mutex_unlock(&mutex);
}

void fault_reset(void)
{
	arm("", 0, 0, false);
	pthread_mutex_lock(&mutex);
	hook.nth = 0;
	memset(calls, 0, sizeof calls);
	tracing = false;
	trace_length = 0;
	trace[0] = '\0';
	pthread_mutex_unlock(&mutex);
}

const char *fault_fired_call(void)
{
	pthread_mutex_lock(&mutex);
	const char *name = fired_call != NULL ? fired_call : "";
	pthread_mutex_unlock(&mutex);
	return name;
}

bool fault_fired(void)
{
	return fault_fired_call()[0] != '\0';
}

static struct call *find_call(const char *name)
{
	size_t i = 0;

	while (i < MAX_CALLS && calls[i].name != NULL && strcmp(calls[i].name, name) != 0)
		i++;
	if (i == MAX_CALLS)
		abort();
	return &calls[i];
}

int fault_count(const char *call)
{
	pthread_mutex_lock(&mutex);
	const int count = find_call(call)->count;
	pthread_mutex_unlock(&mutex);
	return count;
}

void fault_trace_start(void)
{
	pthread_mutex_lock(&mutex);
	tracing = true;
	trace_length = 0;
	trace[0] = '\0';
	pthread_mutex_unlock(&mutex);
}

const char *fault_trace(void)
{
	return trace;
}

void fault_page_size(size_t size)
{
	__atomic_store_n(&fake_page_size, size, __ATOMIC_RELAXED);
}

static void record(const char *name)
{
	const size_t length = strlen(name);

	if (!tracing || trace_length + length + 2 > sizeof trace)
		return;
	memcpy(trace + trace_length, name, length);
	memcpy(trace + trace_length + length, " ", 2);
	trace_length += length + 1;
}

/* Whether the call `name` is the one that `arm` waits for; `by_name`: not unless it was named. */
static bool is_due(struct arm *arm, const char *name, bool by_name)
{
	if (arm->nth == 0)
		return false;
	if (arm->call[0] == '\0' ? by_name : strcmp(arm->call, name) != 0)
		return false;
	if (arm->nth > 1) {
		arm->nth--;
		return false;
	}
	if (!arm->persistent)
		arm->nth = 0;
	return true;
}

/* The error to fail with now, or 0. All arms count every call, also one that another arm makes fail. */
static int strike(const char *name, bool by_name)
{
	int error = 0;

	for (size_t i = 0; i < MAX_ARMS; i++)
		if (is_due(&arms[i], name, by_name))
			error = arms[i].error;
	if (error == FAULT_KILL)
		kill(getpid(), SIGKILL);
	if (error != 0)
		fired_call = name;
	return error;
}

static void run_hook(const char *name)
{
	pthread_mutex_lock(&mutex);
	const bool due = hook.nth > 0 && strcmp(hook.call, name) == 0 && --hook.nth == 0;
	void (*const run)(void *) = hook.run;
	void *const context = hook.context;
	pthread_mutex_unlock(&mutex);
	if (due)
		run(context);
}

/* 0: go on with the real call; else the -error to return. */
static int pass(const char *name)
{
	run_hook(name);
	pthread_mutex_lock(&mutex);
	struct call *call = find_call(name);
	call->name = name;
	call->count++;
	record(name);
	const int r = -strike(name, false);
	pthread_mutex_unlock(&mutex);
	return r;
}

static bool heap_fails(const char *name)
{
	pthread_mutex_lock(&mutex);
	struct call *call = find_call(name);
	call->name = name;
	call->count++;
	const bool fails = strike(name, true) != 0;
	pthread_mutex_unlock(&mutex);
	return fails;
}

/* One wrapper: REFUSE fails instead of the real call, RELEASE does the real call in any case. */
#define REFUSE(type, name, parameters, arguments)                   \
	type __real_fm__sys_##name parameters;                      \
	type __wrap_fm__sys_##name parameters;                      \
	type __wrap_fm__sys_##name parameters                       \
	{                                                           \
		const int r = pass(#name);                          \
		return r < 0 ? r : __real_fm__sys_##name arguments; \
	}
#define RELEASE(name, parameters, arguments)                   \
	int __real_fm__sys_##name parameters;                  \
	int __wrap_fm__sys_##name parameters;                  \
	int __wrap_fm__sys_##name parameters                   \
	{                                                      \
		const int injected = pass(#name);              \
		const int r = __real_fm__sys_##name arguments; \
		return injected < 0 ? injected : r;            \
	}

REFUSE(int, openat, (int dirfd, const char *path, int flags, unsigned mode), (dirfd, path, flags, mode))
REFUSE(int, dup, (int fd), (fd))
REFUSE(int, set_blocking, (int fd), (fd))
REFUSE(int, fstat, (int fd, struct stat *ret), (fd, ret))
REFUSE(int, fstatat, (int dirfd, const char *path, struct stat *ret, int flags), (dirfd, path, ret, flags))
REFUSE(int, fs_type, (int fd, uint64_t *ret), (fd, ret))
REFUSE(int, statx, (int fd, struct statx *ret), (fd, ret))
REFUSE(int, check_seals, (int fd, bool grows), (fd, grows))
REFUSE(int, may_write, (int fd), (fd))
REFUSE(int, is_owner, (int fd), (fd))
REFUSE(int, file_handle, (int fd, uint32_t *ret_type, unsigned char *to, uint32_t *length),
       (fd, ret_type, to, length))
REFUSE(int, reopen, (int fd, int flags), (fd, flags))
REFUSE(int, memory_file, (const char *name), (name))
REFUSE(int, link_fd, (int fd, int dirfd, const char *name), (fd, dirfd, name))
REFUSE(int64_t, seek_data, (int fd, uint64_t from), (fd, from))
REFUSE(int64_t, seek_hole, (int fd, uint64_t from), (fd, from))
REFUSE(int64_t, position, (int fd), (fd))
REFUSE(int64_t, set_position, (int fd, uint64_t to), (fd, to))
REFUSE(int64_t, copy_range, (int from_fd, uint64_t from, int to_fd, uint64_t to, uint64_t length),
       (from_fd, from, to_fd, to, length))
REFUSE(int, writeback_range, (int fd, uint64_t offset, uint64_t length), (fd, offset, length))
REFUSE(int, cachestat, (int fd, uint64_t offset, uint64_t length, struct fm__cache_pages *ret),
       (fd, offset, length, ret))
REFUSE(int, ftruncate, (int fd, uint64_t size), (fd, size))
REFUSE(int, allocate, (int fd, uint64_t offset, uint64_t length), (fd, offset, length))
REFUSE(int, fallocate, (int fd, int mode, uint64_t offset, uint64_t length), (fd, mode, offset, length))
REFUSE(int64_t, pread, (int fd, void *to, size_t length, uint64_t offset), (fd, to, length, offset))
REFUSE(int, pwrite, (int fd, const void *from, size_t length, uint64_t offset), (fd, from, length, offset))
REFUSE(int64_t, read, (int fd, void *to, size_t length), (fd, to, length))
REFUSE(int, fsync, (int fd), (fd))
REFUSE(int, fdatasync, (int fd), (fd))
REFUSE(int, flush_range, (int fd, uint64_t offset, uint64_t length), (fd, offset, length))
REFUSE(int, fadvise, (int fd, uint64_t offset, uint64_t length, int advice), (fd, offset, length, advice))
REFUSE(int, ofd_test, (int fd, int type, uint64_t start, uint64_t length), (fd, type, start, length))
REFUSE(int, unlinkat, (int dirfd, const char *name, int flags), (dirfd, name, flags))
REFUSE(int, rename, (int dirfd, const char *from, const char *to, bool replace), (dirfd, from, to, replace))
REFUSE(int, move, (int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned how),
       (from_dirfd, from, to_dirfd, to, how))
REFUSE(int, linkat, (int from_dirfd, const char *from, int to_dirfd, const char *to),
       (from_dirfd, from, to_dirfd, to))
REFUSE(int, acl_drop, (int fd), (fd))
REFUSE(int, acl_group, (int fd, unsigned *ret), (fd, ret))
REFUSE(int, set_mode, (int fd, unsigned permissions), (fd, permissions))
REFUSE(int, set_owner, (int fd, unsigned owner, unsigned group), (fd, owner, group))
REFUSE(int, is_user, (unsigned owner), (owner))
REFUSE(int, mkdirat, (int dirfd, const char *path, unsigned mode), (dirfd, path, mode))
REFUSE(int, list_dir, (int dirfd, int (*visit)(void *context, const char *name), void *context),
       (dirfd, visit, context))
REFUSE(int, map, (void *at, size_t length, int prot, int flags, int fd, uint64_t offset, void **ret),
       (at, length, prot, flags, fd, offset, ret))
REFUSE(int, remap, (void *at, size_t old_length, size_t new_length, int flags, void **ret),
       (at, old_length, new_length, flags, ret))
REFUSE(int, msync, (void *at, size_t length), (at, length))
REFUSE(int, madvise, (void *at, size_t length, int advice), (at, length, advice))
REFUSE(int, protect, (void *at, size_t length, int prot), (at, length, prot))
REFUSE(int, mlock, (void *at, size_t length, bool on_fault), (at, length, on_fault))
REFUSE(int, mincore, (void *at, size_t length, unsigned char *ret_pages), (at, length, ret_pages))
REFUSE(int, name_memory, (void *at, size_t length, const char *name), (at, length, name))
REFUSE(int, sleep_ms, (unsigned ms), (ms))
REFUSE(int, poll_in, (int fd, int timeout_ms), (fd, timeout_ms))
REFUSE(int, eventfd, (void), ())
REFUSE(int, futex_wait, (const uint32_t *word, uint32_t value, int timeout_ms), (word, value, timeout_ms))
REFUSE(int, random, (void *to, size_t length), (to, length))
REFUSE(int, boot_id, (uint8_t ret[16]), (ret))
REFUSE(int, block_signals, (void *old_mask), (old_mask))
RELEASE(unmap, (void *at, size_t length), (at, length))
RELEASE(munlock, (void *at, size_t length), (at, length))
RELEASE(event_signal, (int fd), (fd))
RELEASE(event_clear, (int fd), (fd))
RELEASE(futex_wake, (const uint32_t *word), (word))
RELEASE(restore_signals, (const void *old_mask), (old_mask))

void __real_fm__sys_close(int fd);
void __wrap_fm__sys_close(int fd);
void __wrap_fm__sys_close(int fd)
{
	if (fd >= 0)
		(void)pass("close");
	__real_fm__sys_close(fd);
}

int __real_fm__sys_flock(int fd, int operation);
int __wrap_fm__sys_flock(int fd, int operation);
int __wrap_fm__sys_flock(int fd, int operation)
{
	const int injected = pass("flock");

	if (injected < 0 && (operation & LOCK_UN) == 0)
		return injected;
	const int r = __real_fm__sys_flock(fd, operation);
	return injected < 0 ? injected : r;
}

int __real_fm__sys_ofd_lock(int fd, int type, uint64_t start, uint64_t length);
int __wrap_fm__sys_ofd_lock(int fd, int type, uint64_t start, uint64_t length);
int __wrap_fm__sys_ofd_lock(int fd, int type, uint64_t start, uint64_t length)
{
	const int injected = pass("ofd_lock");

	if (injected < 0 && type != F_UNLCK)
		return injected;
	const int r = __real_fm__sys_ofd_lock(fd, type, start, length);
	return injected < 0 ? injected : r;
}

size_t __real_fm__sys_page_size(void);
size_t __wrap_fm__sys_page_size(void);
size_t __wrap_fm__sys_page_size(void)
{
	const size_t real = __real_fm__sys_page_size();
	const size_t fake = __atomic_load_n(&fake_page_size, __ATOMIC_RELAXED);

	return fake > real ? fake : real;
}

void *__real_fm__zalloc(size_t size);
void *__wrap_fm__zalloc(size_t size);
void *__wrap_fm__zalloc(size_t size)
{
	return heap_fails("zalloc") ? NULL : __real_fm__zalloc(size);
}

char *__real_fm__strdup(const char *text);
char *__wrap_fm__strdup(const char *text);
char *__wrap_fm__strdup(const char *text)
{
	return heap_fails("strdup") ? NULL : __real_fm__strdup(text);
}
