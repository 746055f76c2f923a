/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Owns the groups that are with a ring. A group has its answer when its last piece has completed: the first
 * error of any; its descriptor stays open until then, since the kernel looks it up only when it begins.
 *
 * When the kernel refuses the ring at run time (a seccomp filter, say), what it never took is done on this thread
 * instead. What it took can no more be collected, and the error of a flush would not be reported a second
 * time: such a flush is made again, and answered with the refusal's errno all the same.
 */
#include "queue/uring.h"

#include <errno.h>

#include "base/util.h"
#include "queue/gather.h"
#include "sys/sys.h"

#define FEWEST_ENTRIES 4u
#define REAP_AT_ONCE 16u
#define MOST_ATTEMPTS 3u

/* No more is at work than `workers`, so the kernel starts no more threads for it; up to 64 entries are two pages of
 * locked memory. */
int fm__uring_open(struct fm__uring *u, uint32_t workers)
{
	uint32_t entries = FEWEST_ENTRIES;

	while (entries < workers + 1)
		entries *= 2;
	u->limit = entries - 1; /* one for a wake */
	return fm__ring_open(entries, &u->ring);
}

void fm__uring_close(struct fm__uring *u)
{
	fm__ring_close(u->ring);
}

bool fm__uring_take(struct filemap_queue *queue, struct fm__uring *u)
{
	struct fm__group *group;

	while ((group = fm__gather_take(queue)) != NULL)
		fm__list_append(&u->arrived, &group->link);
	return u->arrived.first != NULL;
}

uint32_t fm__uring_return(struct filemap_queue *queue, struct fm__uring *u)
{
	struct fm__node *node;

	while ((node = fm__list_pop(&u->ended)) != NULL)
		fm__gather_return(queue, FM_OF(node, struct fm__group, link));
	return fm__schedule_advance(queue);
}

static struct fm__group *first(const struct fm__list *list)
{
	return list->first != NULL ? FM_OF(list->first, struct fm__group, link) : NULL;
}

static void end(struct fm__uring *u, struct fm__group *group, int answer)
{
	fm__group_answer(group, answer);
	fm__list_append(&u->ended, &group->link);
}

/* ---- what is done without the ring ---- */

static bool is_flush(const struct fm__group *group)
{
	return group->call.kind == FM_CALL_FLUSH || group->call.kind == FM_CALL_SYNC;
}

static void end_by_hand(struct fm__uring *u, struct fm__group *group)
{
	int r;

	r = fm__call_run(&group->call);
	if (r >= 0 && is_flush(group) && group->pieces > group->unsent)
		r = u->broken;
	if (group->result < 0)
		r = group->result;
	end(u, group, r);
}

static void end_all_by_hand(struct fm__uring *u)
{
	struct fm__node *node;

	while ((node = fm__list_pop(&u->flying)) != NULL)
		end_by_hand(u, FM_OF(node, struct fm__group, link));
	while ((node = fm__list_pop(&u->pushing)) != NULL)
		end_by_hand(u, FM_OF(node, struct fm__group, link));
	u->in_ring = 0;
}

/* ---- to the ring ---- */

static bool is_refusal(int r)
{
	return r < 0 && r != -EBUSY && r != -EAGAIN && r != -EINTR && r != -ETIME;
}

/* Others are one piece, whatever their range. */
static bool has_pieces(const struct fm__call *call)
{
	return call->kind == FM_CALL_FLUSH || call->kind == FM_CALL_WRITEBACK || call->kind == FM_CALL_ADVISE;
}

static void cut(struct fm__uring *u, struct fm__group *group)
{
	group->done = 0;
	group->left = has_pieces(&group->call) ? group->call.length : 1;
	group->pieces = 0;
	group->unsent = 0;
	group->undone = 0;
	fm__list_append(&u->pushing, &group->link);
}

static void begin_arrived(struct fm__uring *u)
{
	struct fm__node *node;

	while ((node = fm__list_pop(&u->arrived)) != NULL) {
		struct fm__group *group = FM_OF(node, struct fm__group, link);

		fm__group_begin(group);
		group->attempts = 0;
		if (group->call.kind == FM_CALL_NONE)
			end(u, group, 0);
		else
			cut(u, group);
	}
}

static void mark_sent(struct fm__list *list)
{
	for (struct fm__node *node = list->first; node != NULL; node = node->next)
		FM_OF(node, struct fm__group, link)->unsent = 0;
}

static void submit(struct fm__uring *u)
{
	int r;

	r = fm__ring_submit(u->ring);
	u->stalled |= r < 0;
	if (is_refusal(r)) {
		u->broken = r;
		return;
	}
	/* -EBUSY and -EAGAIN: the kernel may have taken some. */
	mark_sent(&u->pushing);
	mark_sent(&u->flying);
}

/* As much as one entry can say. */
static struct fm__call next_piece(const struct fm__group *group)
{
	struct fm__call piece = group->call;

	if (!has_pieces(&piece))
		return piece;
	piece.length = FM_MIN(group->left, FM_RING_FLUSH_MAX);
	if (piece.kind == FM_CALL_ADVISE)
		piece.at = (char *)piece.at + group->done;
	else
		piece.offset += group->done;
	return piece;
}

/* 0, -EBUSY, or what else the ring answers */
static int push_piece(struct fm__uring *u, struct fm__group *group)
{
	const struct fm__call piece = next_piece(group);
	const uint64_t length = has_pieces(&piece) ? piece.length : 1;
	int r;

	r = fm__ring_push(u->ring, &piece, (uint64_t)(uintptr_t)group);
	if (r < 0)
		return r;
	group->done += length;
	group->left -= length;
	group->pieces++;
	group->unsent++;
	u->in_ring++;
	return 0;
}

/* Pushes until the ring is full or nothing is left; 0 or why not. */
static int push_all(struct fm__uring *u)
{
	struct fm__group *group;
	int r;

	while ((group = first(&u->pushing)) != NULL && u->in_ring < u->limit) {
		r = push_piece(u, group);
		if (r < 0 && r != -EINVAL)
			return r;
		if (r >= 0 && group->left != 0)
			continue;
		fm__list_remove(&u->pushing, &group->link);
		if (r >= 0)
			fm__list_append(&u->flying, &group->link);
		else
			end_by_hand(u, group); /* it cannot be said in an entry */
	}
	return 0;
}

void fm__uring_push(struct fm__uring *u)
{
	int r = 0;

	begin_arrived(u);
	u->stalled = 0;
	if (u->broken == 0) {
		r = push_all(u);
		u->stalled = r < 0;
		if (u->in_ring != 0)
			submit(u);
	}
	if (is_refusal(r) && u->broken == 0)
		u->broken = r;
	if (u->broken != 0)
		end_all_by_hand(u);
}

/* ---- from the ring ---- */

int fm__uring_wait(struct fm__uring *u, int timeout_ms)
{
	int r;

	/* Nothing in the ring would end the wait for what did not fit into it. */
	if (u->broken != 0 || u->ended.first != NULL || (u->in_ring == 0 && u->pushing.first != NULL))
		return 0;
	r = fm__ring_wait(u->ring, timeout_ms);
	if (is_refusal(r)) {
		u->broken = r;
		end_all_by_hand(u);
	}
	return r == -EINTR ? r : 0;
}

/*
 * The kernel gives a call back without having begun it when it cannot start a worker for it, which happens
 * while signals come in. Nobody has cancelled anything: it is made again, at last on this thread.
 */
static bool is_undone(int result)
{
	return result == -ECANCELED || result == -EAGAIN || result == -EINTR;
}

static void do_again(struct fm__uring *u, struct fm__group *group)
{
	if (++group->attempts < MOST_ATTEMPTS)
		cut(u, group);
	else
		end_by_hand(u, group);
}

static void complete_piece(struct fm__uring *u, const struct fm__ring_completion *completion)
{
	struct fm__group *group = (struct fm__group *)(uintptr_t)completion->user_data;

	u->in_ring--;
	group->pieces--;
	if (is_undone(completion->result))
		group->undone = 1;
	else if (completion->result < 0 && group->result == 0)
		group->result = completion->result;
	if (group->pieces != 0 || group->left != 0)
		return;
	fm__list_remove(&u->flying, &group->link);
	if (group->undone && group->result == 0)
		do_again(u, group);
	else
		end(u, group, group->result);
}

uint32_t fm__uring_reap(struct fm__uring *u)
{
	struct fm__ring_completion completions[REAP_AT_ONCE];
	uint32_t wakes = 0;
	int count = REAP_AT_ONCE;

	while (u->broken == 0 && count == REAP_AT_ONCE) {
		count = fm__ring_reap(u->ring, completions, REAP_AT_ONCE);
		for (int i = 0; i < count; i++) {
			if (completions[i].user_data == FM_URING_WAKE)
				wakes++;
			else
				complete_piece(u, &completions[i]);
		}
	}
	return wakes;
}
