/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Queue mode: the flushes go through the program's own queue, and whoever calls moves them on. Invariant: one
 * group is in flight at a time, so groups end in order; `durable` moves once every part of the group has
 * succeeded; a failed or cancelled part poisons (order rule O7).
 */
#include <errno.h>

#include "log/writer.h"
#include "sys/sys.h"

/* ---- ending ---- */

static void group_ended(struct fm__log_group *group)
{
	struct filemap_log *log = group->log;
	int r = group->result;

	if (!log)
		return;
	if (r == 0)
		r = fm__log_check_parts(log, fm__log_load(&log->durable), group->end);
	if (r < 0)
		fm__log_poison(log, r);
	else
		fm__log_set_durable(log, group->end, &group->count);
	pthread_mutex_lock(&log->lock);
	log->group = NULL;
	pthread_cond_broadcast(&log->changed);
	pthread_mutex_unlock(&log->lock);
}

/* `left` also counts the submitter while it submits: only the last one sees the whole result. */
static void give_part(struct fm__log_group *group, int result)
{
	int32_t none = 0;

	if (result < 0)
		__atomic_compare_exchange_n(&group->result, &none, result, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_RELAXED);
	if (__atomic_sub_fetch(&group->left, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	group_ended(group);
	fm__free(group);
}

static void part_completed(struct filemap_queue *queue, uint64_t ticket, int result, void *context)
{
	(void)queue;
	(void)ticket;
	give_part(context, result);
}

/* ---- starting ---- */

static int submit_part(struct filemap_log *log, struct fm__log_group *group, uint64_t n, uint64_t from)
{
	size_t offset = 0, length = fm__log_part(log, n, from, group->end, &offset);
	int r;

	if (length == 0)
		return 0;
	__atomic_add_fetch(&group->left, 1, __ATOMIC_RELAXED);
	r = filemap_queue_flush(log->queue, fm__log_slot(log, n)->map, offset, length, part_completed, group,
				&group->tickets[group->parts]);
	if (r < 0)
		__atomic_sub_fetch(&group->left, 1, __ATOMIC_RELAXED);
	else
		group->parts++;
	return r;
}

/*
 * All parts, or as many as the queue takes: then the group ends where the first refused one begins, and its
 * counts are those of the group before. Negative if not a single one was taken.
 */
static int submit_parts(struct filemap_log *log, struct fm__log_group *group, uint64_t from)
{
	uint64_t last = fm__log_segment_of(&log->g, group->end);

	for (uint64_t n = fm__log_segment_of(&log->g, from); n <= last; n++) {
		int r = submit_part(log, group, n, from);

		if (r == 0)
			continue;
		if (group->parts == 0)
			return r;
		group->end = fm__log_start(&log->g, n);
		group->count = log->flushed;
		break;
	}
	return 0;
}

static struct fm__log_group *new_group(struct filemap_log *log, uint64_t from, uint64_t end)
{
	uint64_t parts = fm__log_segment_of(&log->g, end) - fm__log_segment_of(&log->g, from) + 1;
	struct fm__log_group *group = fm__zalloc(sizeof *group + (size_t)parts * sizeof *group->tickets);

	if (!group)
		return NULL;
	group->log = log;
	group->end = end;
	group->left = 1;
	return group;
}

/* As fm__log_lead(), `flushing` keeps others out, so that `durable` and `flushed` stand still. */
static int submit_group(struct filemap_log *log)
{
	struct fm__log_count count;
	uint64_t from = fm__log_load(&log->durable);
	uint64_t end = fm__log_publish_now(log, &count);
	struct fm__log_group *group;
	int r;

	if (end == from)
		return 0;
	group = new_group(log, from, end);
	if (!group)
		return -ENOMEM;
	group->count = count;
	r = submit_parts(log, group, from);
	if (r < 0) {
		fm__free(group);
		if (r == FILEMAP_EPOISONED)
			fm__log_poison(log, r);
		return r;
	}
	pthread_mutex_lock(&log->lock);
	log->group = group;
	pthread_mutex_unlock(&log->lock);
	r = filemap_queue_submit(log->queue);
	give_part(group, 0);
	return r;
}

/* `lock` held before and after. 0, or why there is no group in flight now. */
static int start_group(struct filemap_log *log)
{
	int r = fm__log_usable(log);

	if (r < 0 || log->group || log->flushing)
		return r;
	log->flushing = 1;
	pthread_mutex_unlock(&log->lock);
	r = submit_group(log);
	pthread_mutex_lock(&log->lock);
	log->flushing = 0;
	pthread_cond_broadcast(&log->changed);
	return r;
}

int filemap_log_poll(struct filemap_log *log)
{
	uint64_t before = fm__log_load(&log->durable);
	int r = fm__log_usable(log);

	if (r < 0)
		return r;
	if (!log->queue)
		return FILEMAP_EMODE;
	r = filemap_queue_poll(log->queue);
	if (r < 0)
		return r;
	pthread_mutex_lock(&log->lock);
	r = start_group(log);
	pthread_mutex_unlock(&log->lock);
	if (r < 0 && r != FILEMAP_EBUSY) /* full: the next poll finds room */
		return r;
	r = fm__log_usable(log);
	return r < 0 ? r : fm__log_load(&log->durable) != before;
}

/* ---- waiting ---- */

/*
 * Wait for one part of the group; `lock` held before and after. -ENOENT from the queue: the callback has run,
 * or runs on another thread. Once all parts are in that state the last callback announces the end itself.
 */
static int wait_part(struct filemap_log *log, const struct fm__log_deadline *deadline)
{
	struct fm__log_group *group = log->group;
	uint64_t ticket;
	int r;

	if (group->waited == group->parts)
		return fm__log_sleep(log, &log->changed, deadline);
	ticket = group->tickets[group->waited];
	pthread_mutex_unlock(&log->lock);
	r = filemap_queue_wait(log->queue, ticket, fm__log_remaining_ms(deadline), NULL);
	pthread_mutex_lock(&log->lock);
	if (r == 0)
		return -ETIMEDOUT;
	if (r != 1 && r != -ENOENT)
		return r == -EINTR ? 0 : r;
	/* Ticket numbers are never used twice: a match means that this is still the same group. */
	if (log->group == group && group->waited < group->parts && group->tickets[group->waited] == ticket)
		group->waited++;
	return 0;
}

/* The queue is full of the program's own requests: their callbacks may make room, nothing else here does. */
static int make_queue_room(struct filemap_log *log)
{
	int r;

	pthread_mutex_unlock(&log->lock);
	r = filemap_queue_poll(log->queue);
	pthread_mutex_lock(&log->lock);
	return r == 0 ? FILEMAP_EBUSY : r;
}

static int move_on(struct filemap_log *log, uint64_t target, const struct fm__log_deadline *deadline)
{
	int r;

	if (log->group)
		return wait_part(log, deadline);
	if (log->flushing)
		return fm__log_sleep(log, &log->changed, deadline);
	if (fm__log_load(&log->published) < target)
		return fm__log_sleep_for(log, target, deadline);
	r = start_group(log);
	if (r == FILEMAP_EBUSY)
		r = make_queue_room(log);
	return r;
}

int fm__log_group_reach(struct filemap_log *log, uint64_t target, const struct fm__log_deadline *deadline)
{
	int r;

	pthread_mutex_lock(&log->lock);
	for (;;) {
		r = fm__log_reached(log, FILEMAP_DURABLE, target);
		if (r == 0 && log->stop)
			r = FILEMAP_EMODE;
		if (r != 0)
			break;
		r = move_on(log, target, deadline);
		if (r < 0)
			break;
	}
	if (r == -ETIMEDOUT)
		r = fm__log_reached(log, FILEMAP_DURABLE, target);
	pthread_mutex_unlock(&log->lock);
	return r;
}

/* Before the log goes: no callback may find it gone. A queue that does not let us wait keeps the group. */
void fm__log_group_abandon(struct filemap_log *log)
{
	const struct fm__log_deadline never = {UINT64_MAX};
	int r = 0;

	pthread_mutex_lock(&log->lock);
	while (log->group && r >= 0)
		r = wait_part(log, &never);
	if (log->group)
		log->group->log = NULL;
	pthread_mutex_unlock(&log->lock);
}
