/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * schedule: when a request may begin, and what its end lets begin.
 *
 * Invariants: nothing is active that was queued behind a barrier which has not finished; a follower begins only when
 * the request before it has finished without an error; whatever ends does so through queue->returned and
 * fm__schedule_advance(), cancelled or not, so that no chain of requests is as deep as the stack.
 */
#include <errno.h>

#include "queue/gather.h"
#include "queue/latency.h"
#include "queue/queue.h"
#include "sys/sys.h"

static bool is_barrier(const struct fm__request *request)
{
	return request->operation == &fm__operation_barrier;
}

/* A barrier ends with the first failure since the one before. */
static bool advance_barrier(struct fm__request *request, int answer)
{
	request->result = answer;
	return false;
}

const struct fm__operation fm__operation_barrier = {
	.step = "wait for all before",
	.subject = "barrier",
	.advance = advance_barrier,
};

/* ---- who comes after whom ---- */

static void follow(struct fm__request *request, struct fm__request *after)
{
	if (after->state == FM_REQUEST_DONE) {
		request->is_doomed = after->result < 0;
		return;
	}
	request->after = after;
	request->next_follower = after->followers;
	after->followers = request;
}

static void unfollow(struct fm__request *request)
{
	struct fm__request **link;

	if (request->after == NULL)
		return;
	for (link = &request->after->followers; *link != request;)
		link = &(*link)->next_follower;
	*link = request->next_follower;
	request->after = NULL;
}

static struct fm__request *barrier_of(const struct fm__list *list, uint64_t epoch)
{
	for (struct fm__node *node = list->first; node != NULL; node = node->next) {
		struct fm__request *request = FM_OF(node, struct fm__request, link);

		if (is_barrier(request) && request->epoch == epoch)
			return request;
	}
	return NULL;
}

/* For the barrier that ends its epoch; there is none yet if the epoch is the one of now. */
static void note_failure(struct filemap_queue *queue, const struct fm__request *request)
{
	int *result = &queue->epoch_result;
	struct fm__request *barrier;

	if (request->result >= 0 || is_barrier(request))
		return;
	if (request->epoch != queue->epoch) {
		barrier = barrier_of(&queue->held, request->epoch);
		if (barrier == NULL)
			barrier = barrier_of(&queue->queued, request->epoch);
		if (barrier == NULL)
			return;
		result = &barrier->result;
	}
	if (*result == 0)
		*result = request->result;
}

/* ---- beginning ---- */

static void make_ready(struct filemap_queue *queue, struct fm__request *request)
{
	if (request->is_doomed)
		fm__gather_pass(queue, request, -ECANCELED);
	else if (request->call.kind == FM_CALL_NONE && (request->operation->begin == NULL || request->begun))
		fm__gather_pass(queue, request, 0);
	else
		fm__gather_add(queue, request);
}

static void activate(struct filemap_queue *queue, struct fm__request *request)
{
	queue->active += !request->is_active;
	request->is_active = 1;
}

static void let_through(struct filemap_queue *queue, struct fm__request *request)
{
	activate(queue, request);
	if (request->after != NULL)
		request->state = FM_REQUEST_WAITING;
	else
		make_ready(queue, request);
}

static void pass_barrier(struct filemap_queue *queue, struct fm__request *barrier)
{
	activate(queue, barrier);
	queue->barrier_passes = 1;
	fm__gather_pass(queue, barrier, barrier->is_doomed ? -ECANCELED : barrier->result);
}

/* A barrier that is on its way to its end is active: what is behind it waits for that. */
static void release_held(struct filemap_queue *queue)
{
	struct fm__node *node;

	while ((node = queue->held.first) != NULL) {
		struct fm__request *request = FM_OF(node, struct fm__request, link);

		if (is_barrier(request) && queue->active != 0)
			return;
		fm__list_remove(&queue->held, node);
		if (is_barrier(request)) {
			pass_barrier(queue, request);
			return;
		}
		let_through(queue, request);
	}
}

void fm__schedule_queue(struct filemap_queue *queue, struct fm__request *request, struct fm__request *after)
{
	request->state = FM_REQUEST_QUEUED;
	request->epoch = queue->epoch;
	if (is_barrier(request)) {
		request->result = queue->epoch_result;
		queue->epoch_result = 0;
		queue->epoch++;
	}
	if (after != NULL)
		follow(request, after);
	fm__list_append(&queue->queued, &request->link);
}

void fm__schedule_submit(struct filemap_queue *queue)
{
	uint64_t now;
	struct fm__node *node;

	if (queue->queued.first == NULL)
		return;
	now = fm__sys_monotonic_ns();
	while ((node = fm__list_pop(&queue->queued)) != NULL) {
		struct fm__request *request = FM_OF(node, struct fm__request, link);

		request->submitted_ns = now;
		request->state = FM_REQUEST_HELD;
		fm__list_append(&queue->held, node);
	}
	/* With a barrier on its way to its end nothing may pass it. */
	if (!queue->barrier_passes)
		release_held(queue);
}

/* ---- ending ---- */

static void count_end(struct filemap_queue *queue, const struct fm__request *request)
{
	struct filemap_queue_stats *stats = &queue->stats;

	stats->finished++;
	if (request->result == -ECANCELED)
		stats->cancelled++;
	else if (request->result < 0)
		stats->failed++;
	if (request->result != -ECANCELED && !is_barrier(request))
		fm__latency_add(stats->latency, fm__sys_monotonic_ns() - request->submitted_ns);
}

static void release_followers(struct filemap_queue *queue, struct fm__request *request)
{
	struct fm__request *follower;

	while ((follower = request->followers) != NULL) {
		request->followers = follower->next_follower;
		follower->after = NULL;
		follower->is_doomed |= request->result < 0;
		if (follower->state == FM_REQUEST_WAITING)
			make_ready(queue, follower);
	}
}

static void finish(struct filemap_queue *queue, struct fm__request *request)
{
	request->state = FM_REQUEST_DONE;
	fm__list_append(request->completed != NULL ? &queue->called : &queue->plain, &request->link);
	queue->in_flight--;
	count_end(queue, request);
	note_failure(queue, request);
	release_followers(queue, request);
	request->is_active = 0; /* whatever ends was let through, or called off */
	queue->active--;
	if (is_barrier(request))
		queue->barrier_passes = 0;
	if (!queue->barrier_passes)
		release_held(queue);
}

/* What has another step waits for its turn again. */
static uint32_t go_on(struct filemap_queue *queue, struct fm__group *group)
{
	struct fm__list members = group->members;
	struct fm__node *node;
	uint32_t finished = 0;

	while ((node = fm__list_pop(&members)) != NULL) {
		struct fm__request *request = FM_OF(node, struct fm__request, link);

		if (request->more) {
			make_ready(queue, request);
			continue;
		}
		finish(queue, request);
		finished++;
	}
	return finished;
}

/* A step may wait for the disk (a page of a commit's header): who waits for what is done by now is told before it. */
static uint32_t advance_all(struct filemap_queue *queue, struct fm__list *groups)
{
	struct fm__node *node;
	uint32_t finished = 0;

	while ((node = fm__list_pop(groups)) != NULL) {
		struct fm__group *group = FM_OF(node, struct fm__group, link);

		pthread_mutex_unlock(&queue->lock);
		fm__group_advance(group);
		pthread_mutex_lock(&queue->lock);
		finished += go_on(queue, group);
		if (finished == 0 || groups->first == NULL)
			continue;
		fm__queue_announce(queue);
		finished = 0;
	}
	return finished;
}

/* Taken all at once: they are this thread's, and no other one's that happens to look. */
uint32_t fm__schedule_advance(struct filemap_queue *queue)
{
	uint32_t finished = 0;

	while (queue->returned.first != NULL) {
		struct fm__list groups = queue->returned;

		queue->returned = (struct fm__list){NULL, NULL};
		finished += advance_all(queue, &groups);
	}
	return finished;
}

/* ---- cancelling ---- */

static int call_off(struct filemap_queue *queue, struct fm__request *request)
{
	switch (request->state) {
	case FM_REQUEST_QUEUED:
		fm__list_remove(&queue->queued, &request->link);
		break;
	case FM_REQUEST_HELD:
		fm__list_remove(&queue->held, &request->link);
		break;
	case FM_REQUEST_READY:
		if (request->begun)
			return -EALREADY;
		fm__gather_withdraw(queue, request);
		break;
	case FM_REQUEST_WAITING:
		break;
	default:
		return -EALREADY;
	}
	unfollow(request);
	activate(queue, request); /* its barrier must not pass before it has heard of this */
	fm__gather_pass(queue, request, -ECANCELED);
	return 0;
}

/* A barrier keeps its place: what is behind it must not come before what it waits for. */
int fm__schedule_cancel(struct filemap_queue *queue, struct fm__request *request)
{
	if (!is_barrier(request))
		return call_off(queue, request);
	if (request->state != FM_REQUEST_QUEUED && request->state != FM_REQUEST_HELD)
		return -EALREADY;
	request->is_doomed = 1;
	return 0;
}
