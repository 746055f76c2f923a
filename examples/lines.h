/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What queue_epoll.c, queue_libuv.c and queue_glib.c serve: standard input is appended to a file, and "durable N" is
 * printed as soon as its first N lines are on the device. No call here but lines_close() waits for the disk to flush.
 */
#ifndef EXAMPLES_LINES_H
#define EXAMPLES_LINES_H

#include <filemap/filemap.h>

struct lines {
	struct filemap *map;
	struct filemap_queue *queue;
	size_t stored, asked,
		durable; /* bytes of the file: given to the queue up to `asked`; on the device */
	unsigned long long read, told; /* lines */
	int ended, failed;
};

/* Arguments: FILE [threads]; the latter to flush by a pool of threads, and not by io_uring. 0 or an exit status. */
int lines_open(struct lines *lines, int argc, char **argv);

/* Once the descriptor is readable. */
void lines_read(struct lines *lines, int fd);

enum lines_next { LINES_END, LINES_INPUT, LINES_ROOM };

/* Queue a flush of what was read, and say what to wait for until the next call. */
enum lines_next lines_next(struct lines *lines);

void lines_fail(struct lines *lines, const char *what, int r);

/* Waits until all is durable, with its answers. The exit status. */
int lines_close(struct lines *lines);

#endif
