/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A queue in a loop of libuv: a poll handle for its completions, and a prepare handle, which runs before each sleep,
 * to begin what was queued. What it serves is in lines.c.
 *
 * usage: queue_libuv FILE [threads]   standard input: a pipe, a socket or a terminal
 */
#include "lines.h"

#include <uv.h>

struct server {
	struct lines lines;
	uv_poll_t input, completions;
	uv_prepare_t before_sleep;
};

static void on_input(uv_poll_t *handle, int status, int events)
{
	struct server *server = handle->data;

	(void)events;
	if (status < 0)
		lines_fail(&server->lines, "standard input", status); /* libuv's codes are -errno, too */
	else
		lines_read(&server->lines, 0);
}

static void on_completions(uv_poll_t *handle, int status, int events)
{
	struct server *server = handle->data;

	(void)status, (void)events;
	(void)filemap_queue_poll(server->lines.queue); /* the callbacks run here */
}

/* Queue and begin what was stored since; while the queue is full, do not look at the input. */
static void on_sleep(uv_prepare_t *handle)
{
	struct server *server = handle->data;
	const int next = lines_next(&server->lines);

	if (next == LINES_INPUT)
		uv_poll_start(&server->input, UV_READABLE, on_input);
	else
		uv_poll_stop(&server->input);
	if (next == LINES_END)
		uv_stop(handle->loop);
	(void)filemap_queue_submit(server->lines.queue);
}

static int start(struct server *server, uv_loop_t *loop)
{
	int r = uv_prepare_init(loop, &server->before_sleep);

	server->before_sleep.data = server->input.data = server->completions.data = server;
	if (r == 0)
		r = uv_poll_init(loop, &server->completions, filemap_queue_eventfd(server->lines.queue));
	if (r == 0)
		r = uv_poll_init(loop, &server->input,
				 0); /* sets O_NONBLOCK, which others see who share it */
	if (r == 0)
		r = uv_poll_start(&server->completions, UV_READABLE, on_completions);
	return r < 0 ? r : uv_prepare_start(&server->before_sleep, on_sleep);
}

static void close_handle(uv_handle_t *handle, void *unused)
{
	(void)unused;
	uv_close(handle, NULL);
}

/* The handles go before the queue, whose descriptor they watch. */
int main(int argc, char **argv)
{
	static struct server server;
	uv_loop_t loop;
	int r = lines_open(&server.lines, argc, argv);

	if (r != 0)
		return r;
	r = uv_loop_init(&loop);
	if (r == 0) {
		r = start(&server, &loop);
		if (r == 0)
			uv_run(&loop, UV_RUN_DEFAULT);
		uv_walk(&loop, close_handle, NULL);
		uv_run(&loop, UV_RUN_DEFAULT);
		uv_loop_close(&loop);
	}
	if (r < 0)
		lines_fail(&server.lines, "libuv", r);
	return lines_close(&server.lines);
}
