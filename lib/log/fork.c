/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What a fork does to open logs: the child's copies of their LOCK descriptors are closed and the handles are
 * marked. Invariant: no child keeps a writer's lock alive after the writer has gone. A child made by vfork(2)
 * or clone(2) behind libc's back is not noticed; when it executes a program the descriptors close.
 */
#include "log/fork.h"

#include <pthread.h>

#include "log/writer.h"
#include "sys/sys.h"

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct filemap_log *registry;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int watch_result;

static void before_fork(void)
{
	pthread_mutex_lock(&registry_lock);
}

static void in_parent(void)
{
	pthread_mutex_unlock(&registry_lock);
}

static void in_child(void)
{
	for (struct filemap_log *log = registry; log; log = log->next_open) {
		fm__sys_close(log->dir.lock_fd);
		log->dir.lock_fd = -1;
		__atomic_fetch_or(&log->refused, FM_LOG_FORKED, __ATOMIC_RELAXED);
	}
	registry = NULL;
	pthread_mutex_unlock(&registry_lock);
}

static void watch(void)
{
	watch_result = -pthread_atfork(before_fork, in_parent, in_child);
}

int fm__log_fork_enter(struct filemap_log *log)
{
	pthread_once(&once, watch);
	if (watch_result < 0)
		return watch_result;
	pthread_mutex_lock(&registry_lock);
	log->next_open = registry;
	registry = log;
	pthread_mutex_unlock(&registry_lock);
	return 0;
}

void fm__log_fork_hold(void)
{
	pthread_mutex_lock(&registry_lock);
}

void fm__log_fork_release(void)
{
	pthread_mutex_unlock(&registry_lock);
}

void fm__log_fork_leave(struct filemap_log *log)
{
	pthread_mutex_lock(&registry_lock);
	for (struct filemap_log **at = &registry; *at; at = &(*at)->next_open) {
		if (*at == log) {
			*at = log->next_open;
			break;
		}
	}
	pthread_mutex_unlock(&registry_lock);
}
