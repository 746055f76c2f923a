/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Growing and shrinking a mapped file by steps: ours, against the bare calls. Both use the same file, because
 * it matters where on the device a file is; before each run it is brought back to the size of the beginning,
 * which is not measured.
 *
 * With a reserve the address space is there already, and growth is the allocation of blocks alone; without,
 * the mapping follows the file. With a sync, a byte is stored into each new step and made durable.
 *
 * usage: bench_grow [DIRECTORY [ROUNDS]]      (a directory on the file system to be measured)
 */
#include <filemap/filemap.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

#define BASE (1u << 20)
#define TARGET_RESERVE 1.05

/* A mapping of the file: `map`, or the other three. */
struct grower {
	struct filemap *map;
	int fd;
	unsigned char *window;
	size_t mapped;
	uint64_t size, step;
	uint64_t start; /* the size that each run begins with */
	int is_reserved, is_sparse;
};

static void need(int ok, const char *what)
{
	if (!ok)
		bench_require(errno ? -errno : -EIO, what);
}

static void resize_ours(struct grower *g, uint64_t size)
{
	bench_require(filemap_resize(g->map, size, NULL), "filemap_resize");
	g->size = size;
}

static void remap_by_hand(struct grower *g)
{
	if (g->is_reserved)
		return;
	g->window = mremap(g->window, g->mapped, (size_t)g->size, MREMAP_MAYMOVE);
	need(g->window != MAP_FAILED, "mremap");
	g->mapped = (size_t)g->size;
}

static void resize_by_hand(struct grower *g, uint64_t size)
{
	const uint64_t old_size = g->size;

	g->size = size;
	if (size < old_size)
		remap_by_hand(g);
	if (size < old_size || g->is_sparse)
		need(ftruncate(g->fd, (off_t)size) == 0, "ftruncate");
	else if (size > old_size)
		need(fallocate(g->fd, 0, (off_t)old_size, (off_t)(size - old_size)) == 0, "fallocate");
	if (size > old_size)
		remap_by_hand(g);
}

static void rewind_ours(void *context)
{
	struct grower *g = context;
	resize_ours(g, g->start);
}

static void rewind_by_hand(void *context)
{
	struct grower *g = context;
	struct stat status;

	need(fstat(g->fd, &status) == 0, "fstat");
	g->size = (uint64_t)status.st_size;
	resize_by_hand(g, g->start);
}

static void grow_ours(void *context, size_t times)
{
	struct grower *g = context;

	for (size_t i = 0; i < times; i++)
		resize_ours(g, g->size + g->step);
}

static void grow_by_hand(void *context, size_t times)
{
	struct grower *g = context;

	for (size_t i = 0; i < times; i++)
		resize_by_hand(g, g->size + g->step);
}

static void shrink_ours(void *context, size_t times)
{
	struct grower *g = context;

	for (size_t i = 0; i < times; i++)
		resize_ours(g, g->size - g->step);
}

static void shrink_by_hand(void *context, size_t times)
{
	struct grower *g = context;

	for (size_t i = 0; i < times; i++)
		resize_by_hand(g, g->size - g->step);
}

static void grow_and_sync_ours(void *context, size_t times)
{
	struct grower *g = context;

	for (size_t i = 0; i < times; i++) {
		resize_ours(g, g->size + g->step);
		((unsigned char *)filemap_data_mut(g->map))[g->size - 1] = 1;
		bench_require(filemap_sync(g->map), "filemap_sync");
	}
}

static void grow_and_sync_by_hand(void *context, size_t times)
{
	struct grower *g = context;

	for (size_t i = 0; i < times; i++) {
		resize_by_hand(g, g->size + g->step);
		g->window[g->size - 1] = 1;
		need(fsync(g->fd) == 0, "fsync");
	}
}

static void set_up_ours(struct grower *g, const char *path, size_t most)
{
	bench_require(filemap_open(path, FILEMAP_WRITE,
				   FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW |
							    (g->is_sparse ? FILEMAP_SPARSE : 0),
						   .size = BASE, .reserve = g->is_reserved ? most : 0),
				   &g->map, NULL),
		      "filemap_open");
	g->size = BASE;
}

static void set_up_by_hand(struct grower *g, const char *path, size_t most)
{
	g->fd = open(path, O_RDWR | O_CLOEXEC);
	need(g->fd >= 0, path);
	g->mapped = g->is_reserved ? most : BASE;
	g->window = mmap(NULL, g->mapped, PROT_READ | PROT_WRITE, MAP_SHARED, g->fd, 0);
	need(g->window != MAP_FAILED, "mmap");
}

static const struct comparison {
	const char *title, *by_hand;
	void (*ours)(void *context, size_t times);
	void (*hand)(void *context, size_t times);
	size_t step, times;
	int is_reserved, is_sparse, is_shrinking, is_synced;
	double target;
} comparisons[] = {
	{"grow by 64 KiB, with reserve", "fallocate", grow_ours, grow_by_hand, 1u << 16, 32, 1, 0, 0, 0,
	 TARGET_RESERVE},
	{"grow by 1 MiB, with reserve", "fallocate", grow_ours, grow_by_hand, 1u << 20, 32, 1, 0, 0, 0,
	 TARGET_RESERVE},
	{"grow by 1 MiB, with reserve, SPARSE", "ftruncate", grow_ours, grow_by_hand, 1u << 20, 32, 1, 1, 0,
	 0, 0},
	{"grow by 1 MiB", "fallocate, mremap", grow_ours, grow_by_hand, 1u << 20, 32, 0, 0, 0, 0, 0},
	{"grow by 1 MiB, SPARSE", "ftruncate, mremap", grow_ours, grow_by_hand, 1u << 20, 32, 0, 1, 0, 0, 0},
	{"shrink by 1 MiB", "mremap, ftruncate", shrink_ours, shrink_by_hand, 1u << 20, 32, 0, 0, 1, 0, 0},
	{"grow by 1 MiB and sync, with reserve", "fallocate, fsync", grow_and_sync_ours,
	 grow_and_sync_by_hand, 1u << 20, 4, 1, 0, 0, 1, 0},
	{"grow by 1 MiB and sync", "fallocate, mremap, fsync", grow_and_sync_ours, grow_and_sync_by_hand,
	 1u << 20, 4, 0, 0, 0, 1, 0},
};

static void run(const struct comparison *c, const char *directory, size_t rounds)
{
	const uint64_t most = BASE + c->step * c->times;
	const struct bench_plan plan = {c->title, c->is_synced ? rounds / 4 + 1 : rounds, c->times,
					c->is_synced ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID};
	struct grower ours = {.step = c->step, .is_reserved = c->is_reserved, .is_sparse = c->is_sparse};
	struct grower hand = ours;
	const struct bench_way ways[] = {
		{"ours", c->ours, rewind_ours, &ours, 0},
		{c->by_hand, c->hand, rewind_by_hand, &hand, c->target},
	};
	char path[320];

	ours.start = hand.start = c->is_shrinking ? most : BASE;
	snprintf(path, sizeof path, "%s/filemap-bench-grow.%ld", directory, (long)getpid());
	set_up_ours(&ours, path, (size_t)most);
	set_up_by_hand(&hand, path, (size_t)most);
	bench_compare(&plan, ways, sizeof ways / sizeof *ways);
	filemap_close(ours.map);
	munmap(hand.window, hand.mapped);
	close(hand.fd);
	need(unlink(path) == 0, "unlink");
}

int main(int argc, char **argv)
{
	const size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 101;

	bench_stay_on_cpu();
	for (size_t c = 0; c < sizeof comparisons / sizeof *comparisons; c++)
		run(&comparisons[c], argc > 1 ? argv[1] : ".", rounds);
	return 0;
}
