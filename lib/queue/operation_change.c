/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The requests that change a file's size or name, or make a directory durable: resize, remove, sync_dir.
 *
 * Invariant: what others see of a mapping (its window, the state of its name) changes on a caller's thread only: in the
 * call that queues, and in the one that ends the ticket.
 */
#include <fcntl.h>

#include "queue/queue.h"
#include "sys/sys.h"

/* What a step came to: another call, or the result. */
static bool has_call(struct fm__request *request, int r)
{
	request->result = r;
	return r >= 0 && request->call.kind != FM_CALL_NONE;
}

/* ---- resize ---- */

static bool begin_resize(struct fm__request *request)
{
	int r;

	r = fm__map_resize_prepare(&request->u.resizing, &request->call, &request->error);
	if (r >= 0 && request->call.kind == FM_CALL_NONE)
		r = fm__map_resize_answer(&request->u.resizing, 0, &request->error);
	return has_call(request, r);
}

static bool advance_resize(struct fm__request *request, int answer)
{
	request->result = answer;
	if (request->begun)
		request->result = fm__map_resize_answer(&request->u.resizing, answer, &request->error);
	return false;
}

static void end_resize(struct fm__request *request, struct filemap *map)
{
	if (map != NULL)
		request->result = fm__map_resize_end(&request->u.resizing, request->result, &request->error);
}

static const struct fm__operation resize_operation = {
	.step = "resize",
	.subject = "file",
	.begin = begin_resize,
	.advance = advance_resize,
	.end = end_resize,
};

int filemap_queue_resize(struct filemap_queue *queue, struct filemap *map, uint64_t file_size,
			 filemap_completed *completed, void *context, uint64_t *ret_ticket)
{
	struct fm__request *request;
	int r;

	r = fm__queue_request(queue, &resize_operation, &request);
	if (r < 0)
		return r;
	r = fm__map_resize_begin(map, file_size, &request->u.resizing, NULL);
	if (r >= 0)
		request->pinned = map;
	return fm__queue_accept(queue, request, r, 0, completed, context, ret_ticket);
}

/* ---- remove ---- */

static bool begin_remove(struct fm__request *request)
{
	return has_call(request,
			fm__map_remove_prepare(&request->u.removing, &request->call, &request->error));
}

static bool advance_remove(struct fm__request *request, int answer)
{
	request->result = answer;
	if (request->begun)
		request->result = fm__map_remove_answer(&request->u.removing, answer, &request->error);
	return false;
}

static void end_remove(struct fm__request *request, struct filemap *map)
{
	if (map != NULL)
		request->result = fm__map_remove_end(&request->u.removing, request->result, &request->error);
}

/* The end knows that it is not the parent's: it frees, closes and unpins. */
static void abandon_remove(struct fm__request *request)
{
	if (request->pinned == NULL)
		return;
	request->pinned = NULL;
	(void)fm__map_remove_end(&request->u.removing, FILEMAP_EFORKED, NULL);
}

static const struct fm__operation remove_operation = {
	.step = "remove",
	.subject = "file",
	.begin = begin_remove,
	.advance = advance_remove,
	.end = end_remove,
	.abandon = abandon_remove,
};

int filemap_queue_remove(struct filemap_queue *queue, struct filemap *map, filemap_completed *completed,
			 void *context, uint64_t *ret_ticket)
{
	struct fm__request *request;
	int r;

	r = fm__queue_request(queue, &remove_operation, &request);
	if (r < 0)
		return r;
	r = fm__map_remove_begin(map, &request->u.removing, NULL);
	if (r >= 0)
		request->pinned = map;
	return fm__queue_accept(queue, request, r, 0, completed, context, ret_ticket);
}

/* ---- sync of a directory ---- */

static bool advance_sync_dir(struct fm__request *request, int answer)
{
	const int fd = request->u.dirfd;

	request->u.dirfd =
		-1; /* first: a fork may come in between, when the number means something else already */
	fm__sys_close(fd);
	request->result = answer;
	return false;
}

static void abandon_sync_dir(struct fm__request *request)
{
	fm__sys_close(request->u.dirfd);
}

static const struct fm__operation sync_dir_operation = {
	.step = "sync directory",
	.subject = "directory",
	.advance = advance_sync_dir,
	.abandon = abandon_sync_dir,
};

/* A description of its own: the caller's may be gone, or mean another directory, when the kernel gets to it. */
int filemap_queue_sync_dir(struct filemap_queue *queue, int dirfd, filemap_completed *completed,
			   void *context, uint64_t *ret_ticket)
{
	struct fm__request *request;
	int r;

	r = fm__queue_request(queue, &sync_dir_operation, &request);
	if (r < 0)
		return r;
	r = fm__sys_openat(dirfd, ".", O_RDONLY | O_DIRECTORY, 0);
	request->u.dirfd = r < 0 ? -1 : r;
	request->call = (struct fm__call){.kind = FM_CALL_SYNC, .fd = r};
	return fm__queue_accept(queue, request, r, 0, completed, context, ret_ticket);
}
