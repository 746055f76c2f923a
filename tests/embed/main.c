/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A program of somebody else's: make a file, write through the mapping, flush by a queue, say what is in it. */
#include <filemap/filemap.h>
#include <stdio.h>
#include <string.h>

static int flush(struct filemap *map)
{
	struct filemap_completion done;
	struct filemap_queue *queue;
	uint64_t ticket;
	int r = filemap_queue_open(NULL, &queue, NULL);
	if (r < 0)
		return r;
	r = filemap_queue_flush(queue, map, 0, FILEMAP_TO_END, NULL, NULL, &ticket);
	if (r == 0)
		r = filemap_queue_wait(queue, ticket, -1, &done);
	filemap_queue_close(queue);
	return r < 0 ? r : done.result;
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "made-by-main";
	struct filemap_error error;
	struct filemap *map;
	int r = filemap_open(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 64), &map,
			     &error);
	if (r < 0)
		return fprintf(stderr, "%s: %s\n", path, error.step), 1;
	r = filemap_write_all(map, 0, "filemap", 7);
	if (r == 0)
		r = flush(map);
	printf("%s %s %zu %s\n", filemap_version(), (const char *)filemap_data(map), filemap_size(map),
	       r == 0 ? "durable" : filemap_strerror(r));
	filemap_close(map);
	return r < 0;
}
