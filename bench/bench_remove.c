/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Durable removal, publishing and replacing, against the same without any protection: unlinkat(2) and a sync of
 * the directory; and what stronger ways would cost. All files are of one page, written, synced and mapped.
 *
 * usage: bench_remove [DIRECTORY [ROUNDS]]      (a directory on the device to be measured)
 */
#include <filemap/filemap.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

#define FILES 8
#define SIZE 4096
#define TARGET 1.2

struct directory {
	char path[300];
	int fd;
	int is_ours;         /* its files are mappings of ours, not by hand */
	unsigned flags;      /* of those mappings */
	const char *content; /* SIZE bytes */
	struct {
		char name[16];
		int fd;
		void *window;
		struct filemap *map;
	} file[FILES];
};

static void need(int r, const char *what)
{
	bench_require(r < 0 ? -errno : 0, what);
}

static const char *path_of(const struct directory *d, size_t i)
{
	static char path[400];

	snprintf(path, sizeof path, "%s/%s", d->path, d->file[i].name);
	return path;
}

static void let_go(struct directory *d, size_t i)
{
	if (d->file[i].map)
		filemap_close(d->file[i].map);
	if (d->file[i].window)
		munmap(d->file[i].window, SIZE);
	if (d->file[i].fd >= 0)
		close(d->file[i].fd);
	d->file[i].map = NULL;
	d->file[i].window = NULL;
	d->file[i].fd = -1;
}

static void make(struct directory *d, size_t i)
{
	int fd;

	(void)unlinkat(d->fd, d->file[i].name, 0);
	fd = openat(d->fd, d->file[i].name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	need(fd, "make a file");
	need((int)pwrite(fd, d->content, SIZE, 0), "write");
	need(fsync(fd), "fsync");
	d->file[i].fd = fd;
}

static void map(struct directory *d, size_t i)
{
	if (d->is_ours) {
		close(d->file[i].fd);
		d->file[i].fd = -1;
		bench_require(filemap_open(path_of(d, i), FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = d->flags),
					   &d->file[i].map, NULL),
			      "filemap_open");
		return;
	}
	d->file[i].window = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, d->file[i].fd, 0);
	need(d->file[i].window == MAP_FAILED ? -1 : 0, "mmap");
}

static void refill(void *context)
{
	struct directory *d = context;

	for (size_t i = 0; i < FILES; i++) {
		let_go(d, i);
		make(d, i);
		map(d, i);
	}
	need(fsync(d->fd), "fsync");
}

static void empty(void *context)
{
	struct directory *d = context;

	for (size_t i = 0; i < FILES; i++) {
		let_go(d, i);
		(void)unlinkat(d->fd, d->file[i].name, 0);
	}
	need(fsync(d->fd), "fsync");
}

static void ours_remove(void *context, size_t times)
{
	struct directory *d = context;

	for (size_t i = 0; i < times; i++)
		bench_require(filemap_remove(d->file[i].map, NULL), "filemap_remove");
}

static void ours_remove_file(void *context, size_t times)
{
	struct directory *d = context;

	for (size_t i = 0; i < times; i++)
		bench_require(filemap_remove_file(d->fd, d->file[i].name, NULL, NULL), "filemap_remove_file");
}

static void ours_remove_on_close(void *context, size_t times)
{
	struct directory *d = context;

	for (size_t i = 0; i < times; i++) {
		filemap_close(d->file[i].map);
		d->file[i].map = NULL;
	}
}

static void plain(void *context, size_t times)
{
	struct directory *d = context;

	for (size_t i = 0; i < times; i++) {
		need(unlinkat(d->fd, d->file[i].name, 0), "unlinkat");
		need(fsync(d->fd), "fsync");
	}
}

static void plain_and_close(void *context, size_t times)
{
	struct directory *d = context;

	for (size_t i = 0; i < times; i++) {
		need(unlinkat(d->fd, d->file[i].name, 0), "unlinkat");
		need(fsync(d->fd), "fsync");
		let_go(d, i);
	}
}

/* What can be done without hiding the file: another one can still come in between. */
static void compared(void *context, size_t times)
{
	struct directory *d = context;

	for (size_t i = 0; i < times; i++) {
		struct stat file, named;
		need(fstat(d->file[i].fd, &file), "fstat");
		need(fstatat(d->fd, d->file[i].name, &named, AT_SYMLINK_NOFOLLOW), "fstatat");
		if (file.st_ino != named.st_ino)
			abort();
		need(unlinkat(d->fd, d->file[i].name, 0), "unlinkat");
		need(fsync(d->fd), "fsync");
	}
}

/* The hiding made durable, too, before the removal. */
static void two_syncs(void *context, size_t times)
{
	struct directory *d = context;

	for (size_t i = 0; i < times; i++) {
		need(renameat2(d->fd, d->file[i].name, d->fd, "hidden", RENAME_NOREPLACE), "renameat2");
		need(fsync(d->fd), "fsync");
		need(unlinkat(d->fd, "hidden", 0), "unlinkat");
		need(fsync(d->fd), "fsync");
	}
}

static void ours_publish(void *context, size_t times)
{
	struct directory *d = context;
	struct filemap_bytes bytes = {d->content, SIZE};

	for (size_t i = 0; i < times; i++)
		bench_require(filemap_publish(d->fd, d->file[i].name, filemap_fill_bytes, &bytes, NULL, NULL),
			      "filemap_publish");
}

static void ours_replace(void *context, size_t times)
{
	struct directory *d = context;
	struct filemap_bytes bytes = {d->content, SIZE};

	for (size_t i = 0; i < times; i++)
		bench_require(
			filemap_replace_file(d->fd, d->file[i].name, filemap_fill_bytes, &bytes, NULL, NULL),
			"filemap_replace_file");
}

static void write_and_rename(void *context, size_t times)
{
	struct directory *d = context;

	for (size_t i = 0; i < times; i++) {
		int fd = openat(d->fd, "new", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		need(fd, "open");
		need((int)pwrite(fd, d->content, SIZE, 0), "pwrite");
		need(fsync(fd), "fsync");
		need(renameat(d->fd, "new", d->fd, d->file[i].name), "renameat");
		need(fsync(d->fd), "fsync");
		close(fd);
	}
}

static const struct comparison {
	const char *title, *name, *by_hand;
	void (*run)(void *context, size_t times);
	void (*hand)(void *context, size_t times);
	void (*rewind)(void *context);
	unsigned permissions, flags;
	int is_ours;
	double target;
} comparisons[] = {
	{"remove a mapped file", "filemap_remove", "unlinkat, fsync", ours_remove, plain, refill, 0700, 0, 1,
	 TARGET},
	{"remove a mapped file, where others can write the directory", "filemap_remove", "unlinkat, fsync",
	 ours_remove, plain, refill, 0777, 0, 1, 0},
	{"close and remove a mapped file", "filemap_close", "unlinkat, fsync, munmap, close",
	 ours_remove_on_close, plain_and_close, refill, 0700, FILEMAP_REMOVE_ON_CLOSE, 1, TARGET},
	{"remove a file that is not mapped", "filemap_remove_file", "unlinkat, fsync", ours_remove_file,
	 plain, refill, 0700, 0, 0, TARGET},
	{"remove, compared only", "fstat, fstatat, unlinkat, fsync", "unlinkat, fsync", compared, plain,
	 refill, 0700, 0, 0, 0},
	{"remove, the hiding synced, too", "renameat2, fsync, unlinkat, fsync", "unlinkat, fsync", two_syncs,
	 plain, refill, 0700, 0, 0, 0},
	{"publish a page", "filemap_publish", "open, pwrite, fsync, renameat, fsync", ours_publish,
	 write_and_rename, empty, 0700, 0, 0, TARGET},
	{"replace by a page", "filemap_replace_file", "open, pwrite, fsync, renameat, fsync", ours_replace,
	 write_and_rename, refill, 0700, 0, 0, TARGET},
};

static void set_up(struct directory *d, const char *below, const struct comparison *c)
{
	static char content[SIZE];

	snprintf(d->path, sizeof d->path, "%s/filemap-bench-remove.XXXXXX", below);
	need(mkdtemp(d->path) ? 0 : -1, below);
	need(chmod(d->path, c->permissions), "chmod");
	d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	need(d->fd, "open directory");
	d->flags = c->flags;
	d->content = memset(content, 'p', SIZE);
	for (size_t i = 0; i < FILES; i++) {
		snprintf(d->file[i].name, sizeof d->file[i].name, "file-%zu", i);
		d->file[i].fd = -1;
		d->file[i].map = NULL;
		d->file[i].window = NULL;
	}
}

static void tear_down(struct directory *d)
{
	empty(d);
	close(d->fd);
	need(rmdir(d->path), "rmdir");
}

static void run(const struct comparison *c, const char *below, size_t rounds)
{
	const struct bench_plan plan = {c->title, rounds, FILES, CLOCK_MONOTONIC};
	struct directory ours = {.is_ours = c->is_ours}, hand = {.is_ours = 0};
	const struct bench_way ways[] = {
		{c->name, c->run, c->rewind, &ours, 0},
		{c->by_hand, c->hand, c->rewind, &hand, c->target},
	};

	set_up(&ours, below, c);
	set_up(&hand, below, c);
	bench_compare(&plan, ways, sizeof ways / sizeof *ways);
	tear_down(&ours);
	tear_down(&hand);
}

int main(int argc, char **argv)
{
	const size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 51;

	bench_stay_on_cpu();
	for (size_t c = 0; c < sizeof comparisons / sizeof *comparisons; c++)
		run(&comparisons[c], argc > 1 ? argv[1] : ".", rounds);
	return 0;
}
