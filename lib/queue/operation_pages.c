/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* prefault: pages touched by the kernel, for a mapping that is pinned as long as that takes. */
#include "queue/queue.h"

static bool advance_prefault(struct fm__request *request, int answer)
{
	request->result = answer;
	if (request->begun)
		request->result = fm__map_prefault_answer(&request->u.prefault, answer);
	return false;
}

static const struct fm__operation prefault_operation = {
	.step = "touch pages",
	.subject = "mapping",
	.advance = advance_prefault,
};

static void set_pages(struct fm__request *request)
{
	const struct fm__prefault *prefault = &request->u.prefault;

	request->pinned = prefault->map;
	if (prefault->length == 0)
		return;
	request->call = (struct fm__call){
		.kind = FM_CALL_ADVISE,
		.fd = -1,
		.at = prefault->at,
		.length = prefault->length,
		.advice = fm__map_prefault_advice(prefault),
	};
}

int filemap_queue_prefault(struct filemap_queue *queue, struct filemap *map, unsigned how, size_t offset,
			   size_t length, filemap_completed *completed, void *context, uint64_t *ret_ticket)
{
	struct fm__request *request;
	int r;

	r = fm__queue_request(queue, &prefault_operation, &request);
	if (r < 0)
		return r;
	request->offset = offset;
	request->length = length;
	r = fm__map_prefault_begin(map, how, offset, length, &request->u.prefault);
	if (r >= 0)
		set_pages(request);
	return fm__queue_accept(queue, request, r, 0, completed, context, ret_ticket);
}
