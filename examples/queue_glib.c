/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A queue as a source of GLib's main loop: it is prepared before each sleep, which begins what was queued, and
 * dispatched when completions can be collected. What it serves is in lines.c.
 *
 * usage: queue_glib FILE [threads]   standard input: anything
 */
#include "lines.h"

#include <errno.h>
#include <glib-unix.h>

struct queue_source {
	GSource source;
	struct filemap_queue *queue;
	gpointer readable;
};

static gboolean queue_prepare(GSource *source, gint *timeout)
{
	(void)filemap_queue_submit(((struct queue_source *)source)->queue);
	*timeout = -1;
	return FALSE;
}

static gboolean queue_check(GSource *source)
{
	return g_source_query_unix_fd(source, ((struct queue_source *)source)->readable) != 0;
}

static gboolean queue_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
	(void)filemap_queue_poll(((struct queue_source *)source)->queue); /* the callbacks run here */
	return callback ? callback(data) : G_SOURCE_CONTINUE;
}

/* `callback` is called after those of the queue. The source goes before the queue. */
static GSource *queue_source_attach(struct filemap_queue *queue, GSourceFunc callback, gpointer data)
{
	static GSourceFuncs functions = {
		.prepare = queue_prepare, .check = queue_check, .dispatch = queue_dispatch};
	GSource *source = g_source_new(&functions, sizeof(struct queue_source));
	struct queue_source *self = (struct queue_source *)source;

	self->queue = queue;
	self->readable = g_source_add_unix_fd(source, filemap_queue_eventfd(queue), G_IO_IN);
	g_source_set_callback(source, callback, data, NULL);
	g_source_attach(source, NULL);
	return source;
}

struct server {
	struct lines lines;
	GMainLoop *loop;
	guint input; /* 0 while the queue is full */
};

static gboolean on_input(gint fd, GIOCondition condition, gpointer data);

static gboolean go_on(gpointer data)
{
	struct server *server = data;
	const int next = lines_next(&server->lines);

	if (next == LINES_INPUT && server->input == 0)
		server->input = g_unix_fd_add(0, G_IO_IN | G_IO_HUP | G_IO_ERR, on_input, server);
	if (next != LINES_INPUT && server->input != 0) {
		g_source_remove(server->input);
		server->input = 0;
	}
	if (next == LINES_END)
		g_main_loop_quit(server->loop);
	return G_SOURCE_CONTINUE;
}

static gboolean on_input(gint fd, GIOCondition condition, gpointer data)
{
	struct server *server = data;

	(void)condition;
	lines_read(&server->lines, fd);
	return go_on(server);
}

int main(int argc, char **argv)
{
	struct server server = {0};
	GSource *completions;
	const int r = lines_open(&server.lines, argc, argv);

	if (r != 0)
		return r;
	server.loop = g_main_loop_new(NULL, FALSE);
	completions = queue_source_attach(server.lines.queue, go_on, &server);
	go_on(&server);
	g_main_loop_run(server.loop);
	g_source_destroy(completions);
	g_source_unref(completions);
	g_main_loop_unref(server.loop);
	return lines_close(&server.lines);
}
