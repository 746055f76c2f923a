/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * gather: owns the groups of a queue: one call of the kernel each, for all requests that it serves.
 *
 * Invariants: flushes of one file whose ranges overlap or touch are never at work at the same time, so what waits
 * behind one is flushed together; a group begins after every request in it was submitted, and covers exactly their
 * pages. A flush that went well is told only when those of the same file that were at work as it came back have come
 * back, too: the kernel reports an error once, to any of them. A waiting group is blocked by groups that work only, so it
 * is never overtaken for long.
 */
#include "queue/gather.h"

#include "base/util.h"
#include "queue/queue.h"

/* ---- who has to do with whom ---- */

static struct fm__group **bucket(struct filemap_queue *queue, const struct fm__backing *backing)
{
	uint64_t hash = (uint64_t)(uintptr_t)backing * UINT64_C(0x9E3779B97F4A7C15);

	return &queue->mates[(hash >> 32) & queue->slot_mask];
}

static void join_mates(struct filemap_queue *queue, struct fm__group *group)
{
	struct fm__group **head = bucket(queue, group->backing);

	group->next_mate = *head;
	group->mate_link = head;
	if (*head != NULL)
		(*head)->mate_link = &group->next_mate;
	*head = group;
}

static void leave_mates(struct fm__group *group)
{
	if (group->next_mate != NULL)
		group->next_mate->mate_link = group->mate_link;
	*group->mate_link = group->next_mate;
}

static bool touches(const struct fm__group *a, const struct fm__group *b)
{
	return a->backing == b->backing && a->call.kind == FM_CALL_FLUSH && b->call.kind == FM_CALL_FLUSH &&
	       a->call.offset <= b->call.offset + b->call.length &&
	       b->call.offset <= a->call.offset + a->call.length;
}

static uint32_t count_blockers(struct filemap_queue *queue, const struct fm__group *group)
{
	uint32_t count = 0;

	for (const struct fm__group *mate = *bucket(queue, group->backing); mate; mate = mate->next_mate)
		if (mate->state == FM_GROUP_WORKING && touches(group, mate))
			count++;
	return count;
}

/* ---- gathering ---- */

static void absorb(struct fm__group *into, struct fm__group *other)
{
	const uint64_t start = FM_MIN(into->call.offset, other->call.offset);
	const uint64_t end =
		FM_MAX(into->call.offset + into->call.length, other->call.offset + other->call.length);
	struct fm__node *node;

	into->call.offset = start;
	into->call.length = end - start;
	while ((node = fm__list_pop(&other->members)) != NULL) {
		FM_OF(node, struct fm__request, link)->group = into;
		fm__list_append(&into->members, node);
	}
}

/* One that waits, is blocked or not as asked for, and can take this one in. */
static struct fm__group *find_company(struct filemap_queue *queue, const struct fm__group *group,
				      bool blocked)
{
	for (struct fm__group *mate = *bucket(queue, group->backing); mate; mate = mate->next_mate)
		if (mate != group && mate->state == FM_GROUP_WAITING && (mate->blockers != 0) == blocked &&
		    touches(group, mate))
			return mate;
	return NULL;
}

static void wait_for_turn(struct filemap_queue *queue, struct fm__group *group)
{
	group->state = FM_GROUP_WAITING;
	if (group->blockers == 0)
		fm__list_append(&queue->ready, &group->link);
}

static void stop_waiting(struct filemap_queue *queue, struct fm__group *group)
{
	if (group->blockers == 0)
		fm__list_remove(&queue->ready, &group->link);
	if (group->backing != NULL)
		leave_mates(group);
}

/* Larger now, it may reach others that wait as it does. */
static void gather_more(struct filemap_queue *queue, struct fm__group *group)
{
	const bool blocked = group->blockers != 0;
	struct fm__group *other;

	while ((other = find_company(queue, group, blocked)) != NULL) {
		stop_waiting(queue, other);
		absorb(group, other);
	}
	if (blocked)
		group->blockers = count_blockers(queue, group);
}

/* Who is blocked takes in also what is not, and so is not overtaken again and again; who is ready is not made to wait
 * for what is blocked. */
static void gather_flush(struct filemap_queue *queue, struct fm__group *group)
{
	struct fm__group *company;

	group->blockers = count_blockers(queue, group);
	company = find_company(queue, group, true);
	if (company == NULL && group->blockers == 0)
		company = find_company(queue, group, false);
	if (company != NULL) {
		absorb(company, group);
		gather_more(queue, company);
		return;
	}
	join_mates(queue, group);
	wait_for_turn(queue, group);
}

static struct fm__group *lead(struct fm__request *request)
{
	struct fm__group *group = &request->own_group;

	*group = (struct fm__group){.call = request->call};
	fm__list_append(&group->members, &request->link);
	request->group = group;
	return group;
}

static bool learns_errors(const struct fm__request *request)
{
	return request->flush.backing != NULL &&
	       (request->call.kind == FM_CALL_FLUSH || request->call.kind == FM_CALL_SYNC);
}

void fm__gather_add(struct filemap_queue *queue, struct fm__request *request)
{
	struct fm__group *group = lead(request);

	request->state = FM_REQUEST_READY;
	if (learns_errors(request))
		group->backing = request->flush.backing;
	if (group->backing != NULL && group->call.kind == FM_CALL_FLUSH) {
		gather_flush(queue, group);
		return;
	}
	if (group->backing != NULL)
		join_mates(queue, group);
	wait_for_turn(queue, group);
}

void fm__gather_pass(struct filemap_queue *queue, struct fm__request *request, int result)
{
	struct fm__group *group = lead(request);

	request->state = FM_REQUEST_WORKING;
	group->result = result;
	group->state = FM_GROUP_RETURNED;
	fm__list_append(&queue->returned, &group->link);
}

void fm__gather_withdraw(struct filemap_queue *queue, struct fm__request *request)
{
	struct fm__group *group = request->group;
	struct fm__list members = group->members;
	struct fm__node *node;

	stop_waiting(queue, group);
	while ((node = fm__list_pop(&members)) != NULL) {
		struct fm__request *member = FM_OF(node, struct fm__request, link);

		if (member != request)
			fm__gather_add(queue, member);
	}
}

/* ---- work ---- */

/* What touches a group that begins to work waits for it. */
static void block_mates(struct filemap_queue *queue, const struct fm__group *group)
{
	for (struct fm__group *mate = *bucket(queue, group->backing); mate; mate = mate->next_mate) {
		if (mate->state != FM_GROUP_WAITING || !touches(group, mate))
			continue;
		if (mate->blockers++ == 0)
			fm__list_remove(&queue->ready, &mate->link);
	}
}

struct fm__group *fm__gather_take(struct filemap_queue *queue)
{
	struct fm__group *group;

	if (queue->at_work >= queue->workers || queue->ready.first == NULL)
		return NULL;
	group = FM_OF(fm__list_pop(&queue->ready), struct fm__group, link);
	group->state = FM_GROUP_WORKING;
	group->serial = ++queue->serial;
	queue->at_work++;
	for (struct fm__node *node = group->members.first; node != NULL; node = node->next)
		FM_OF(node, struct fm__request, link)->state = FM_REQUEST_WORKING;
	if (group->backing != NULL)
		block_mates(queue, group);
	return group;
}

static void count_flush(struct filemap_queue *queue, const struct fm__group *group)
{
	uint32_t members = 0;

	if (group->backing == NULL)
		return;
	for (const struct fm__node *node = group->members.first; node != NULL; node = node->next)
		members++;
	queue->stats.device_flushes++;
	queue->stats.flushes += members;
	queue->stats.coalesced += members - 1;
}

static void settle(struct filemap_queue *queue, struct fm__group *group)
{
	if (group->backing != NULL)
		leave_mates(group);
	group->state = FM_GROUP_RETURNED;
	fm__list_append(&queue->returned, &group->link);
}

/* Returns how many of its file are at work still. */
static uint32_t release_mates(struct filemap_queue *queue, const struct fm__group *group)
{
	struct fm__group *mate, *next;
	uint32_t working = 0;

	for (mate = *bucket(queue, group->backing); mate != NULL; mate = next) {
		next = mate->next_mate;
		if (mate == group || mate->backing != group->backing)
			continue;
		if (mate->state == FM_GROUP_WORKING)
			working++;
		else if (mate->state == FM_GROUP_WAITING && touches(group, mate) && --mate->blockers == 0)
			fm__list_append(&queue->ready, &mate->link);
		else if (mate->state == FM_GROUP_SETTLING && group->serial < mate->serial &&
			 --mate->unsettled == 0)
			settle(queue, mate);
	}
	return working;
}

void fm__gather_return(struct filemap_queue *queue, struct fm__group *group)
{
	uint32_t working = 0;

	queue->at_work--;
	count_flush(queue, group);
	if (group->backing != NULL)
		working = release_mates(queue, group);
	if (working == 0 || group->result < 0) {
		settle(queue, group);
		return;
	}
	group->state = FM_GROUP_SETTLING;
	group->serial = ++queue->serial;
	group->unsettled = working;
}
