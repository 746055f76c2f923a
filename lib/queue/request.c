/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The steps of requests: begun, answered, advanced, each on one thread at a time.
 *
 * Invariant: a failure of a flush is on record before the lock is taken to tell of it, so that no flush of the same
 * mapping that was at work beside it can end with success.
 */
#include "queue/request.h"

#include "base/error.h"

static struct fm__request *first_member(const struct fm__group *group)
{
	return FM_OF(group->members.first, struct fm__request, link);
}

/* Several steps have requests that lead no others: what they need is their own affair. */
void fm__group_begin(struct fm__group *group)
{
	for (struct fm__node *node = group->members.first; node != NULL; node = node->next) {
		struct fm__request *request = FM_OF(node, struct fm__request, link);

		if (request->begun)
			continue;
		request->begun = 1;
		request->more = 1;
		if (request->operation->begin == NULL || request->call.kind != FM_CALL_NONE)
			continue;
		request->more = request->operation->begin(request);
		group->call = request->call;
		if (!request->more)
			group->call.kind = FM_CALL_NONE;
	}
}

void fm__group_answer(struct fm__group *group, int answer)
{
	group->result = answer < 0 ? answer : 0;
	if (group->backing != NULL)
		fm__map_flush_note(&first_member(group)->flush, group->result);
}

static void name_error(struct fm__request *request)
{
	if (request->result >= 0 || request->error.step != NULL)
		return;
	fm__fail(&request->error, request->result, request->operation->step, request->operation->subject);
	fm__fail_range(&request->error, request->offset, request->length);
}

void fm__group_advance(struct fm__group *group)
{
	for (struct fm__node *node = group->members.first; node != NULL; node = node->next) {
		struct fm__request *request = FM_OF(node, struct fm__request, link);

		if (request->more || !request->begun)
			request->more = request->operation->advance(request, group->result);
		if (!request->more)
			name_error(request);
	}
}
