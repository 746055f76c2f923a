/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * table: owns the process-wide set of lock holders by (device, inode).
 *
 * Invariant: for every file, the holders in the table are any number of shared ones or a single
 * exclusive one. One mutex guards everything; nothing is called and nothing is waited for under it.
 * A child of fork has none of its parent's holders: its handles came from another generation.
 */
#include "map/table.h"

#include <pthread.h>
#include <string.h>

#include <filemap/map.h>

#include "base/fork.h"

#define BUCKETS 256

static struct fm__holder *buckets[BUCKETS];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int watch_result;
static unsigned forks;

void fm__process_lock(void)
{
	pthread_mutex_lock(&mutex);
}

void fm__process_unlock(void)
{
	pthread_mutex_unlock(&mutex);
}

unsigned fm__process_forks(void)
{
	return forks;
}

static void prepare_to_fork(void)
{
	fm__process_lock();
	forks++;
}

static void start_over_in_child(void)
{
	memset(buckets, 0, sizeof buckets);
	pthread_mutex_unlock(&mutex);
}

static void watch_fork(void)
{
	watch_result = -pthread_atfork(prepare_to_fork, fm__process_unlock, start_over_in_child);
}

int fm__process_watch(void)
{
	pthread_once(&once, watch_fork);
	return watch_result;
}

static struct fm__holder **bucket_of(uint64_t device, uint64_t inode)
{
	uint64_t mixed = (inode ^ device) * UINT64_C(0x9E3779B97F4A7C15);
	return &buckets[mixed >> 56];
}

/* Whether `wanted`, which may be in the table itself, is kept out by another holder. */
static bool conflicts(const struct fm__holder *first, const struct fm__holder *wanted, bool exclusive)
{
	for (; first; first = first->next) {
		if (first == wanted || first->device != wanted->device || first->inode != wanted->inode)
			continue;
		if (first->exclusive || exclusive)
			return true;
	}
	return false;
}

static void link_in(struct fm__holder **head, struct fm__holder *holder)
{
	holder->next = *head;
	holder->link = head;
	if (*head)
		(*head)->link = &holder->next;
	*head = holder;
}

static void link_out(struct fm__holder *holder)
{
	*holder->link = holder->next;
	if (holder->next)
		holder->next->link = holder->link;
	holder->link = NULL;
}

int fm__table_enter(struct fm__holder *holder, uint64_t device, uint64_t inode, bool exclusive)
{
	struct fm__holder **head = bucket_of(device, inode);
	int r = FILEMAP_ELOCKED;

	*holder = (struct fm__holder){.device = device, .inode = inode, .exclusive = exclusive};
	fm__process_lock();
	holder->generation = fm__fork_generation();
	if (!conflicts(*head, holder, exclusive)) {
		link_in(head, holder);
		r = 0;
	}
	fm__process_unlock();
	return r;
}

int fm__table_convert(struct fm__holder *holder, bool exclusive)
{
	int r = FILEMAP_ELOCKED;

	fm__process_lock();
	if (!conflicts(*bucket_of(holder->device, holder->inode), holder, exclusive)) {
		holder->exclusive = exclusive;
		r = 0;
	}
	fm__process_unlock();
	return r;
}

void fm__table_leave(struct fm__holder *holder)
{
	fm__process_lock();
	if (holder->link && holder->generation == fm__fork_generation())
		link_out(holder);
	fm__process_unlock();
}
