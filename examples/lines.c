/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The file of lines.h. Two flushes in flight have no order: so each covers everything that is not known to be durable,
 * and when it has ended all lines up to its end are, whichever ended first.
 */
#include "lines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK ((size_t)1024)
#define FIRST_SIZE ((size_t)4096)
#define DEPTH 2 /* one flush at work, and one that takes along all that was stored meanwhile */

struct answer {
	struct lines *lines;
	unsigned long long count;
	size_t end;
};

void lines_fail(struct lines *lines, const char *what, int r)
{
	fprintf(stderr, "%s: %s\n", what, filemap_strerror(r));
	lines->failed = 1;
}

/* Runs in poll and drain, on the thread that called them. */
static void flushed(struct filemap_queue *queue, uint64_t ticket, int result, void *context)
{
	const struct answer answer = *(struct answer *)context;
	struct lines *lines = answer.lines;

	(void)queue, (void)ticket;
	free(context);
	if (result < 0) {
		lines_fail(lines, "flush", result);
		return;
	}
	if (answer.end > lines->durable)
		lines->durable = answer.end;
	if (answer.count > lines->told) {
		lines->told = answer.count;
		printf("durable %llu\n", lines->told);
		fflush(stdout);
	}
}

static int queue_flush(struct lines *lines)
{
	struct answer *answer = malloc(sizeof *answer);
	int r;

	if (!answer)
		return -ENOMEM;
	*answer = (struct answer){lines, lines->read, lines->stored};
	r = filemap_queue_flush(lines->queue, lines->map, lines->durable, lines->stored - lines->durable,
				flushed, answer, NULL);
	if (r < 0)
		free(answer);
	else
		lines->asked = lines->stored;
	return r;
}

/* A full queue is no failure: nothing is read until there is room in it. */
enum lines_next lines_next(struct lines *lines)
{
	const int r = lines->asked < lines->stored && !lines->failed ? queue_flush(lines) : 0;

	if (r == FILEMAP_EBUSY)
		return LINES_ROOM;
	if (r < 0)
		lines_fail(lines, "flush", r);
	return lines->failed || lines->ended ? LINES_END : LINES_INPUT;
}

/* With its blocks: a full disk is an error here, not SIGBUS at a store. */
static int make_room(struct lines *lines, void **ret)
{
	int r = 0;

	if (filemap_size(lines->map) - lines->stored < CHUNK)
		r = filemap_resize(lines->map, 2 * filemap_size(lines->map), NULL);
	return r < 0 ? r : filemap_slice_mut(lines->map, lines->stored, CHUNK, ret);
}

void lines_read(struct lines *lines, int fd)
{
	void *room;
	ssize_t n;
	int r = make_room(lines, &room);

	if (r < 0) {
		lines_fail(lines, "file", r);
		return;
	}
	n = read(fd, room, CHUNK);
	if (n < 0 && errno != EINTR && errno != EAGAIN)
		lines_fail(lines, "standard input", -errno);
	if (n == 0)
		lines->ended = 1;
	for (ssize_t i = 0; i < n; i++)
		lines->read += ((const char *)room)[i] == '\n';
	if (n > 0)
		lines->stored += (size_t)n;
}

int lines_open(struct lines *lines, int argc, char **argv)
{
	const uint32_t backend = argc == 3 ? FILEMAP_QUEUE_THREADS : FILEMAP_QUEUE_AUTO;
	struct filemap_error error;
	char text[512];

	*lines = (struct lines){0};
	if (argc < 2 || argc > 3 || (argc == 3 && strcmp(argv[2], "threads") != 0)) {
		fprintf(stderr, "usage: %s FILE [threads]\n", argv[0]);
		return 2;
	}
	if (filemap_open(argv[1], FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = FIRST_SIZE),
			 &lines->map, &error) < 0 ||
	    filemap_queue_open(FILEMAP_QUEUE_OPTIONS(.flags = FILEMAP_QUEUE_ONE_THREAD, .backend = backend,
						     .depth = DEPTH),
			       &lines->queue, &error) < 0) {
		filemap_error_format(&error, text, sizeof text);
		fprintf(stderr, "%s: %s\n", argv[1], text);
		filemap_close(lines->map);
		return 1;
	}
	lines->stored = strnlen(filemap_data(lines->map), filemap_size(lines->map));
	lines->asked = lines->durable = lines->stored;
	return 0;
}

/* Behind the lines are zeros, also after a crash; they are cut off only here. */
int lines_close(struct lines *lines)
{
	int r;

	(void)filemap_queue_drain(lines->queue);
	filemap_queue_close(lines->queue);
	r = filemap_close_truncated(lines->map, lines->stored, NULL);
	if (r < 0) {
		lines_fail(lines, "closing", r);
		filemap_close(lines->map);
	}
	return lines->failed;
}
