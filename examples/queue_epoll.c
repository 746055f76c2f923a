/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A queue in an epoll loop: one thread reads lines, stores them into a mapping and says which are on the device,
 * without ever waiting for it. What it serves is in lines.c.
 *
 * usage: queue_epoll FILE [threads]   standard input: a pipe, a socket or a terminal (epoll takes nothing else)
 */
#include "lines.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

static int watch(int loop, int how, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(loop, how, fd, &event) < 0 ? -errno : 0;
}

/* Taken out while the queue is full, not masked: a hangup would be told all the same, over and over. */
static int watch_input(int loop, int wanted, int *watched)
{
	if (wanted == *watched)
		return 0;
	*watched = wanted;
	return watch(loop, wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, STDIN_FILENO);
}

/* The queue's descriptor stays readable until poll, which runs the callbacks. */
static int serve(struct lines *lines, int loop)
{
	int r = watch(loop, EPOLL_CTL_ADD, filemap_queue_eventfd(lines->queue)), watched = 0, next;
	struct epoll_event event;

	while (r == 0 && (next = lines_next(lines)) != LINES_END) {
		r = watch_input(loop, next == LINES_INPUT, &watched);
		if (r < 0)
			break;
		/* Before sleeping: what is only queued wakes nobody. */
		(void)filemap_queue_submit(lines->queue);
		if (epoll_wait(loop, &event, 1, -1) < 0)
			r = errno == EINTR ? 0 : -errno;
		else if (event.data.fd == STDIN_FILENO)
			lines_read(lines, STDIN_FILENO);
		else
			(void)filemap_queue_poll(lines->queue);
	}
	return r;
}

int main(int argc, char **argv)
{
	struct lines lines;
	int loop, r = lines_open(&lines, argc, argv);

	if (r != 0)
		return r;
	loop = epoll_create1(EPOLL_CLOEXEC);
	r = loop < 0 ? -errno : serve(&lines, loop);
	if (r < 0)
		lines_fail(&lines, "epoll", r);
	if (loop >= 0)
		close(loop);
	return lines_close(&lines);
}
