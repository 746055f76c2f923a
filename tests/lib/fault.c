/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Stands in front of every call of lib/sys/sys.h: counts it, records it, makes it fail when told to.
 *
 * All state is behind one mutex, which is never held while the real call runs, so that waiting calls
 * of several threads pass. The heap fails only by name
 * ("zalloc", "strdup") and stays out of traces and of the count of the nth call.
 */
#include "fault.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault_pass.h"
#include "map/doubt.h"
#include "map/table.h"
#include "sys/sys.h"

#define MAX_CALLS 128
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

/* What the library makes once for many openings is there before a test counts the calls of one. */
static void warm_up(void) __attribute__((constructor));

static void warm_up(void)
{
	struct fm__doubt doubt;

	if (fm__process_watch() == 0 && fm__doubt_take(&doubt) == 0)
		fm__doubt_give(&doubt);
	fault_reset();
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
int fault_pass(const char *name)
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

bool fault_heap_fails(const char *name)
{
	pthread_mutex_lock(&mutex);
	struct call *call = find_call(name);
	call->name = name;
	call->count++;
	const bool fails = strike(name, true) != 0;
	pthread_mutex_unlock(&mutex);
	return fails;
}

size_t fault_fake_page_size(void)
{
	return __atomic_load_n(&fake_page_size, __ATOMIC_RELAXED);
}
