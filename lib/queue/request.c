/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Requests and lists of them. A request is on at most one list; it holds a reference on its
 * mapping's backing from being queued until it ends, and gives it back exactly once.
 */
#include "queue/queue.h"
#include "sys/sys.h"

void fm__list_append(struct fm__request_list *list, struct fm__request *request)
{
	request->next = NULL;
	request->previous = list->last;
	if (list->last != NULL)
		list->last->next = request;
	else
		list->first = request;
	list->last = request;
}

void fm__list_remove(struct fm__request_list *list, struct fm__request *request)
{
	if (request->previous != NULL)
		request->previous->next = request->next;
	else
		list->first = request->next;
	if (request->next != NULL)
		request->next->previous = request->previous;
	else
		list->last = request->previous;
}

struct fm__request *fm__list_pop(struct fm__request_list *list)
{
	struct fm__request *first = list->first;

	if (first != NULL)
		fm__list_remove(list, first);
	return first;
}

void fm__request_end(struct fm__request *request, int result)
{
	if (request->flush.backing != NULL)
		result = fm__map_flush_end(&request->flush, result);
	request->result = result;
}

void fm__request_run(struct fm__request *request)
{
	struct fm__flush *flush = &request->flush;
	int r = 0;

	if (flush->backing != NULL)
		r = fm__sys_flush_range(flush->fd, flush->offset, flush->length);
	fm__request_end(request, r < 0 ? r : 0);
}
