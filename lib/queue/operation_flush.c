/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The requests of one call that hold nothing but the mapping's open file: flush, sync, writeback; and the barrier.
 *
 * Invariant: the reference of the flush is given back once, whatever becomes of the request.
 */
#include <errno.h>

#include "queue/queue.h"

static bool advance_flush(struct fm__request *request, int answer)
{
	request->result = fm__map_flush_end(&request->flush, answer);
	return false;
}

static bool advance_writeback(struct fm__request *request, int answer)
{
	request->result = fm__map_writeback_end(&request->flush, answer);
	return false;
}

static const struct fm__operation flush_operation = {
	.step = "flush", .subject = "file", .advance = advance_flush};
static const struct fm__operation sync_operation = {
	.step = "sync", .subject = "file", .advance = advance_flush};
static const struct fm__operation writeback_operation = {
	.step = "start writing", .subject = "file", .advance = advance_writeback};

/* What the flush needs of the kernel, if anything. */
static void set_call(struct fm__request *request, enum fm__call_kind kind)
{
	const struct fm__flush *flush = &request->flush;

	if (flush->backing == NULL || flush->is_memory)
		return;
	request->call = (struct fm__call){.kind = kind,
					  .fd = flush->fd,
					  .offset = flush->offset,
					  .length = flush->length,
					  .windows = flush->windows};
}

static void name_range(struct fm__request *request, size_t offset, size_t length)
{
	request->offset = offset;
	request->length = length;
}

static int fill_flush(struct fm__request *request, struct filemap *map, size_t offset, size_t length)
{
	int r;

	name_range(request, offset, length);
	r = fm__map_flush_begin(map, offset, length, &request->flush);
	set_call(request, FM_CALL_FLUSH);
	return r;
}

int filemap_queue_flush_after(struct filemap_queue *queue, struct filemap *map, size_t offset, size_t length,
			      uint64_t after, filemap_completed *completed, void *context,
			      uint64_t *ret_ticket)
{
	struct fm__request *request;
	int r;

	r = fm__queue_request(queue, &flush_operation, &request);
	if (r < 0)
		return r;
	r = after == 0 ? -ENOENT : fill_flush(request, map, offset, length);
	return fm__queue_accept(queue, request, r, after, completed, context, ret_ticket);
}

int filemap_queue_flush(struct filemap_queue *queue, struct filemap *map, size_t offset, size_t length,
			filemap_completed *completed, void *context, uint64_t *ret_ticket)
{
	struct fm__request *request;
	int r;

	r = fm__queue_request(queue, &flush_operation, &request);
	if (r < 0)
		return r;
	r = fill_flush(request, map, offset, length);
	return fm__queue_accept(queue, request, r, 0, completed, context, ret_ticket);
}

int filemap_queue_sync(struct filemap_queue *queue, struct filemap *map, filemap_completed *completed,
		       void *context, uint64_t *ret_ticket)
{
	struct fm__request *request;
	int r;

	r = fm__queue_request(queue, &sync_operation, &request);
	if (r < 0)
		return r;
	r = fm__map_sync_begin(map, &request->flush);
	set_call(request, FM_CALL_SYNC);
	return fm__queue_accept(queue, request, r, 0, completed, context, ret_ticket);
}

int filemap_queue_writeback(struct filemap_queue *queue, struct filemap *map, size_t offset, size_t length,
			    filemap_completed *completed, void *context, uint64_t *ret_ticket)
{
	struct fm__request *request;
	int r;

	r = fm__queue_request(queue, &writeback_operation, &request);
	if (r < 0)
		return r;
	name_range(request, offset, length);
	r = fm__map_writeback_begin(map, offset, length, &request->flush);
	set_call(request, FM_CALL_WRITEBACK);
	return fm__queue_accept(queue, request, r, 0, completed, context, ret_ticket);
}

int filemap_queue_barrier(struct filemap_queue *queue, filemap_completed *completed, void *context,
			  uint64_t *ret_ticket)
{
	struct fm__request *request;
	int r;

	r = fm__queue_request(queue, &fm__operation_barrier, &request);
	if (r < 0)
		return r;
	return fm__queue_accept(queue, request, 0, 0, completed, context, ret_ticket);
}
