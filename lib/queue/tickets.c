/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * tickets: owns the entries of a queue's table: free, being filled in, or found by their number.
 *
 * Invariant: an entry has a ticket from being accepted until it is free again, and no two have the same; what was taken to
 * fill one in that is then refused is given back.
 */
#include <errno.h>

#include "base/util.h"
#include "queue/queue.h"

static struct fm__request *take_free(struct filemap_queue *queue, const struct fm__operation *operation)
{
	struct fm__request *request = NULL;
	struct fm__node *node;

	pthread_mutex_lock(&queue->lock);
	node = fm__list_pop(&queue->free);
	if (node != NULL) {
		request = FM_OF(node, struct fm__request, link);
		*request = (struct fm__request){.operation = operation, .state = FM_REQUEST_FILLING};
	}
	pthread_mutex_unlock(&queue->lock);
	return request;
}

int fm__queue_request(struct filemap_queue *queue, const struct fm__operation *operation,
		      struct fm__request **ret)
{
	struct fm__request *request;
	int r;

	r = fm__queue_allowed(queue);
	if (r < 0)
		return r;
	request = take_free(queue, operation);
	if (request == NULL)
		return FILEMAP_EBUSY;
	*ret = request;
	return 0;
}

static struct fm__request **slot(const struct filemap_queue *queue, uint64_t ticket)
{
	return &queue->slots[ticket & queue->slot_mask];
}

struct fm__request *fm__queue_find(const struct filemap_queue *queue, uint64_t ticket)
{
	struct fm__request *request = *slot(queue, ticket);

	while (request != NULL && request->ticket != ticket)
		request = request->same_slot;
	return request;
}

void fm__queue_free_request(struct filemap_queue *queue, struct fm__request *request)
{
	struct fm__request **link;

	if (request->ticket != 0) {
		for (link = slot(queue, request->ticket); *link != request;)
			link = &(*link)->same_slot;
		*link = request->same_slot;
	}
	request->ticket = 0;
	request->state = FM_REQUEST_FREE;
	fm__list_prepend(&queue->free, &request->link); /* the next one finds it in the processor's cache */
}

/* Lock held. */
static void give_ticket(struct filemap_queue *queue, struct fm__request *request)
{
	struct fm__request **head;

	request->ticket = ++queue->last_ticket;
	head = slot(queue, request->ticket);
	request->same_slot = *head;
	*head = request;
	queue->in_flight++;
	queue->stats.queued++;
	queue->stats.most_in_flight = FM_MAX(queue->stats.most_in_flight, queue->in_flight);
}

/* Lock held. */
static int enqueue(struct filemap_queue *queue, struct fm__request *request, uint64_t after)
{
	struct fm__request *before = NULL;

	if (after != 0) {
		before = fm__queue_find(queue, after);
		if (before == NULL || before->state == FM_REQUEST_ENDING)
			return -ENOENT;
	}
	give_ticket(queue, request);
	fm__schedule_queue(queue, request, before);
	return 0;
}

/* What was taken while filling it in, as if it had been cancelled before it began. */
static void refuse(struct filemap_queue *queue, struct fm__request *request)
{
	(void)request->operation->advance(request, -ECANCELED);
	fm__request_end(request);
	pthread_mutex_lock(&queue->lock);
	fm__queue_free_request(queue, request);
	pthread_mutex_unlock(&queue->lock);
}

int fm__queue_accept(struct filemap_queue *queue, struct fm__request *request, int r, uint64_t after,
		     filemap_completed *completed, void *context, uint64_t *ret_ticket)
{
	uint64_t ticket = 0;

	if (r >= 0) {
		request->completed = completed;
		request->context = context;
		pthread_mutex_lock(&queue->lock);
		r = enqueue(queue, request, after);
		ticket = request->ticket;
		pthread_mutex_unlock(&queue->lock);
	}
	if (r < 0) {
		refuse(queue, request);
		return r;
	}
	if (ret_ticket != NULL)
		*ret_ticket = ticket;
	return 0;
}
