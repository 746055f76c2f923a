/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A durable append of 128 bytes by one thread, against the physical limit: pwrite + fdatasync of a page
 * that was written before. The ways are interleaved, so that a slow moment of the machine meets all of them.
 *
 * usage: bench_durable [DIRECTORY [ROUNDS]]      (a directory on the device to be measured)
 */
#include <filemap/filemap.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define RECORD 128
#define FLOOR_SIZE (16u << 20)

struct bench {
	char dir[256];
	char record[RECORD];
	int floor_fd;
	uint64_t floor_offset;
	struct filemap *map;
	size_t map_offset;
	struct filemap_queue *queue;
	struct filemap_log *log;
};

static const char *in(const struct bench *b, const char *name)
{
	static char path[320];

	snprintf(path, sizeof path, "%s/%s", b->dir, name);
	return path;
}

static void write_zeros(const char *path, size_t size)
{
	static const char page[4096];
	const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	bench_require(fd < 0 ? -errno : 0, path);
	for (size_t at = 0; at < size; at += sizeof page)
		bench_require(pwrite(fd, page, sizeof page, (off_t)at) < 0 ? -errno : 0, "write zeros");
	bench_require(fsync(fd) < 0 ? -errno : 0, "fsync");
	close(fd);
}

static void floor_append(struct bench *b)
{
	bench_require(pwrite(b->floor_fd, b->record, RECORD, (off_t)b->floor_offset) < 0 ? -errno : 0,
		      "pwrite");
	bench_require(fdatasync(b->floor_fd) < 0 ? -errno : 0, "fdatasync");
	b->floor_offset = (b->floor_offset + RECORD) % FLOOR_SIZE;
}

static void map_append(struct bench *b)
{
	bench_require(filemap_write_all(b->map, b->map_offset, b->record, RECORD), "write");
	bench_require(filemap_flush_range(b->map, b->map_offset, RECORD), "flush");
	b->map_offset = (b->map_offset + RECORD) % FLOOR_SIZE;
}

static void queue_append(struct bench *b)
{
	struct filemap_completion done;
	uint64_t ticket;

	bench_require(filemap_write_all(b->map, b->map_offset, b->record, RECORD), "write");
	bench_require(filemap_queue_flush(b->queue, b->map, b->map_offset, RECORD, NULL, NULL, &ticket),
		      "submit");
	bench_require(filemap_queue_wait(b->queue, ticket, -1, &done), "wait");
	bench_require(done.result, "queued flush");
	b->map_offset = (b->map_offset + RECORD) % FLOOR_SIZE;
}

static void log_append(struct bench *b)
{
	struct filemap_log_position position;

	bench_require(filemap_log_append(b->log, b->record, RECORD, &position), "append");
	bench_require(filemap_log_wait(b->log, position.lsn, FILEMAP_DURABLE, -1), "wait durable");
}

static void set_up(struct bench *b, const char *below)
{
	snprintf(b->dir, sizeof b->dir, "%s/filemap-bench.XXXXXX", below);
	if (!mkdtemp(b->dir))
		bench_require(-errno, below);
	memset(b->record, 'r', RECORD);
	write_zeros(in(b, "floor"), FLOOR_SIZE);
	write_zeros(in(b, "map"), FLOOR_SIZE);
	b->floor_fd = open(in(b, "floor"), O_RDWR | O_CLOEXEC);
	bench_require(b->floor_fd < 0 ? -errno : 0, "open");
	bench_require(filemap_open(in(b, "map"), FILEMAP_WRITE, NULL, &b->map, NULL), "map");
	bench_require(
		filemap_queue_open(FILEMAP_QUEUE_OPTIONS(.flags = FILEMAP_QUEUE_ONE_THREAD), &b->queue, NULL),
		"queue");
	bench_require(filemap_log_open(in(b, "log"), FILEMAP_LOG_OPTIONS(.flags = FILEMAP_LOG_CREATE),
				       &b->log, NULL, NULL),
		      "log");
}

static void tear_down(struct bench *b)
{
	char command[320];

	bench_require(filemap_log_finish(b->log, NULL), "finish");
	filemap_log_close(b->log);
	filemap_queue_close(b->queue);
	filemap_close(b->map);
	close(b->floor_fd);
	snprintf(command, sizeof command, "rm -rf '%s'", b->dir);
	if (system(command) != 0)
		fprintf(stderr, "bench: %s was left behind\n", b->dir);
}

int main(int argc, char **argv)
{
	static void (*const ways[])(struct bench *) = {floor_append, map_append, queue_append, log_append};
	static const char *const names[] = {
		"pwrite + fdatasync of a written page (floor)",
		"mapped store + filemap_flush_range",
		"mapped store + queued flush",
		"log append + wait DURABLE",
	};
	enum { WAYS = sizeof ways / sizeof *ways };
	const size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 2000;
	struct bench_series series[WAYS];
	struct bench b = {0};

	set_up(&b, argc > 1 ? argv[1] : ".");
	for (size_t w = 0; w < WAYS; w++)
		bench_series_init(&series[w], names[w], rounds);
	for (size_t round = 0; round < rounds; round++)
		for (size_t w = 0; w < WAYS; w++) {
			const uint64_t start = bench_now_ns();
			ways[w](&b);
			bench_series_add(&series[w], bench_now_ns() - start);
		}
	printf("%zu rounds of %d bytes, queue backend %s\n", rounds, RECORD, filemap_queue_backend(b.queue));
	for (size_t w = 0; w < WAYS; w++)
		bench_print(&series[w], &series[0]);
	tear_down(&b);
	return 0;
}
