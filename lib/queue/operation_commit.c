/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * commit: the data's flush, the header's store, the header's flush; each a turn of its own, gathered like any other.
 *
 * Invariant: not a byte of the header is stored before the data's flush has settled: before nothing can be learnt any
 * more that it had failed.
 */
#include <string.h>

#include <errno.h>

#include "base/error.h"
#include "queue/queue.h"
#include "sys/sys.h"

static void flush_next(struct fm__request *request)
{
	const struct fm__flush *flush = &request->flush;

	request->call.kind = FM_CALL_NONE;
	if (flush->backing == NULL || flush->is_memory)
		return;
	request->call = (struct fm__call){.kind = FM_CALL_FLUSH,
					  .fd = flush->fd,
					  .offset = flush->offset,
					  .length = flush->length,
					  .windows = flush->windows};
}

static bool fail(struct fm__request *request, int r, const char *step, const char *subject)
{
	request->result = fm__fail(&request->error, r, step, subject);
	return false;
}

/* The data is durable: the header is stored, and what was stored to is to be flushed. */
static bool store_header(struct fm__request *request)
{
	int r;

	r = fm__map_commit_store(request->pinned, request->u.commit.offset, request->u.commit.header,
				 request->u.commit.length);
	if (r < 0)
		return fail(request, r, "store header", "mapping");
	request->u.commit.is_stored = 1;
	r = fm__map_flush_begin(request->pinned, request->u.commit.offset, request->u.commit.length,
				&request->flush);
	if (r < 0)
		return fail(request, r, "flush header", "file");
	flush_next(request);
	return true;
}

/* Without data there is no first call; the header's page may wait for the disk: not in the caller's submit. */
static bool begin_commit(struct fm__request *request)
{
	(void)request;
	return true;
}

static bool advance_commit(struct fm__request *request, int answer)
{
	const char *step = request->u.commit.is_stored ? "flush header" : "flush data";
	int r;

	r = fm__map_flush_end(&request->flush, answer);
	if (r == -ECANCELED && !request->begun)
		return fail(request, r, "commit", "file");
	if (r < 0)
		return fail(request, r, step, "file");
	request->result = 0;
	return request->u.commit.is_stored ? false : store_header(request);
}

static void end_commit(struct fm__request *request, struct filemap *map)
{
	unsigned char *header = request->u.commit.header;

	request->u.commit.header = NULL; /* first: a fork may come in between */
	fm__free(header);
	filemap_unpin(map);
}

static void abandon_commit(struct fm__request *request)
{
	fm__free(request->u.commit.header);
}

static const struct fm__operation commit_operation = {
	.step = "commit",
	.subject = "file",
	.begin = begin_commit,
	.advance = advance_commit,
	.end = end_commit,
	.abandon = abandon_commit,
};

static int copy_header(struct fm__request *request, size_t offset, const void *header, size_t length)
{
	request->u.commit.offset = offset;
	request->u.commit.length = length;
	if (length == 0)
		return 0;
	request->u.commit.header = fm__zalloc(length);
	if (request->u.commit.header == NULL)
		return -ENOMEM;
	memcpy(request->u.commit.header, header, length);
	return 0;
}

static int begin_data(struct fm__request *request, struct filemap *map, size_t offset, size_t length)
{
	int r;

	r = fm__map_flush_begin(map, offset, length, &request->flush);
	if (r < 0)
		return r;
	flush_next(request);
	fm__map_hold(map);
	request->pinned = map;
	return 0;
}

int filemap_queue_commit(struct filemap_queue *queue, struct filemap *map, size_t data_offset,
			 size_t data_length, size_t header_offset, const void *header, size_t header_length,
			 filemap_completed *completed, void *context, uint64_t *ret_ticket)
{
	struct fm__request *request;
	int r;

	r = fm__queue_request(queue, &commit_operation, &request);
	if (r < 0)
		return r;
	r = fm__map_commit_check(map, data_offset, &data_length, header_offset, header, header_length, NULL);
	if (r >= 0)
		r = copy_header(request, header_offset, header, header_length);
	request->offset = data_offset;
	request->length = data_length;
	if (r >= 0)
		r = begin_data(request, map, data_offset, data_length);
	return fm__queue_accept(queue, request, r, 0, completed, context, ret_ticket);
}
