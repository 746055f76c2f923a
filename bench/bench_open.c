/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Open, map and close a file, in each mode: ours; the same system calls made by hand, with the same checks
 * of their results; the five calls that map a file without any check; and other libraries.
 *
 * The file is in the page cache, its names in that of the directories. First no byte is touched, so that what
 * is measured is the opening and not page faults; then the first byte is loaded, as whoever opens a file will.
 *
 * usage: bench_open [DIRECTORY [ROUNDS [TIMES]]]
 */
#include <filemap/filemap.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"
#include "bench_peers.h"

#define FILE_SIZE (1u << 20)
#define TARGET_BY_HAND 1.05
#define TARGET_BARE 1.40

struct subject {
	char path[320];
	unsigned mode;
	int is_touched; /* load the first byte */
	const struct bench_peer *peer;
};

static volatile unsigned char sink;

struct by_hand {
	int parent_fd, fd, protection, sharing;
	const char *name; /* from the parent, or the whole path */
	struct stat status;
	void *window;
};

static void need(int ok, const char *what)
{
	if (!ok)
		bench_require(errno ? -errno : -EIO, what);
}

static void run_ours(void *context, size_t times)
{
	const struct subject *subject = context;
	struct filemap *map;

	for (size_t i = 0; i < times; i++) {
		bench_require(filemap_open(subject->path, subject->mode, NULL, &map, NULL), "filemap_open");
		if (subject->is_touched)
			sink = *(const unsigned char *)filemap_data(map);
		filemap_close(map);
	}
}

static int protection_of(unsigned mode)
{
	if (mode == FILEMAP_READ)
		return PROT_READ;
	return PROT_READ | (mode == FILEMAP_EXEC ? PROT_EXEC : PROT_WRITE);
}

static int sharing_of(unsigned mode)
{
	return mode == FILEMAP_COW ? MAP_PRIVATE : MAP_SHARED;
}

static void open_parent(struct by_hand *hand, const char *path, unsigned mode)
{
	char directory[320];
	const char *slash = strrchr(path, '/');

	hand->parent_fd = -1;
	hand->name = path;
	if (mode != FILEMAP_WRITE)
		return;
	memcpy(directory, path, (size_t)(slash - path));
	directory[slash - path] = '\0';
	hand->parent_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	need(hand->parent_fd >= 0, "open parent");
	hand->name = slash + 1;
}

/* Type before opening and after, lock, name and size after locking, map. */
static void open_by_hand(struct by_hand *hand, const char *path, unsigned mode)
{
	const int write = mode == FILEMAP_WRITE;
	struct stat named;
	int base;

	open_parent(hand, path, mode);
	base = write ? hand->parent_fd : AT_FDCWD;
	need(fstatat(base, hand->name, &named, 0) == 0 && S_ISREG(named.st_mode), "stat");
	hand->fd = openat(base, hand->name, (write ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	need(hand->fd >= 0, "open");
	need(fstat(hand->fd, &hand->status) == 0 && S_ISREG(hand->status.st_mode), "fstat");
	need(flock(hand->fd, (write ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0, "flock");
	need(fstatat(base, hand->name, &named, 0) == 0, "stat");
	need(named.st_ino == hand->status.st_ino && named.st_dev == hand->status.st_dev, "name");
	hand->status = named; /* the size under the lock */
	hand->window =
		mmap(NULL, (size_t)hand->status.st_size, protection_of(mode), sharing_of(mode), hand->fd, 0);
	need(hand->window != MAP_FAILED, "mmap");
}

static void run_by_hand(void *context, size_t times)
{
	const struct subject *subject = context;
	struct by_hand hand;

	for (size_t i = 0; i < times; i++) {
		open_by_hand(&hand, subject->path, subject->mode);
		if (subject->is_touched)
			sink = *(const unsigned char *)hand.window;
		munmap(hand.window, (size_t)hand.status.st_size);
		flock(hand.fd, LOCK_UN);
		close(hand.fd);
		if (hand.parent_fd >= 0)
			close(hand.parent_fd);
	}
}

static void run_bare(void *context, size_t times)
{
	const struct subject *subject = context;
	const int flags = subject->mode == FILEMAP_WRITE ? O_RDWR : O_RDONLY;

	for (size_t i = 0; i < times; i++) {
		const int fd = open(subject->path, flags | O_CLOEXEC);
		struct stat status;
		void *window;

		need(fd >= 0 && fstat(fd, &status) == 0, "open");
		window = mmap(NULL, (size_t)status.st_size, protection_of(subject->mode),
			      sharing_of(subject->mode), fd, 0);
		need(window != MAP_FAILED, "mmap");
		if (subject->is_touched)
			sink = *(const unsigned char *)window;
		munmap(window, (size_t)status.st_size);
		close(fd);
	}
}

static void run_peer(void *context, size_t times)
{
	const struct subject *subject = context;

	for (size_t i = 0; i < times; i++)
		need(subject->peer->open_close(subject->path, subject->mode) == 0, subject->peer->name);
}

static const struct {
	const char *name, *package;
	const struct bench_peer *peer;
} peers[] = {
	{"GLib", "libglib2.0-dev", &bench_peer_glib},
	{"Boost.Iostreams", "libboost-iostreams-dev", &bench_peer_iostreams},
	{"Boost.Interprocess", "libboost-dev", &bench_peer_interprocess},
	{"libpmem", "libpmem-dev", &bench_peer_libpmem},
};
#define PEERS (sizeof peers / sizeof *peers)

static size_t add_peers(struct bench_way *ways, struct subject *subjects, size_t count, unsigned mode)
{
	for (size_t p = 0; p < PEERS; p++)
		if (peers[p].peer && (peers[p].peer->modes & mode)) {
			subjects[count].peer = peers[p].peer;
			ways[count++] = (struct bench_way){peers[p].peer->name, run_peer, NULL, NULL, 0};
		}
	return count;
}

static void compare_mode(const struct subject *file, const struct bench_plan *plan)
{
	struct subject subjects[3 + PEERS];
	struct bench_way ways[3 + PEERS] = {
		{"ours", run_ours, NULL, NULL, 0},
		{"the same calls by hand", run_by_hand, NULL, NULL, TARGET_BY_HAND},
		{"bare open, fstat, mmap, munmap, close", run_bare, NULL, NULL, TARGET_BARE},
	};
	size_t count = 3;

	for (size_t w = 0; w < sizeof subjects / sizeof *subjects; w++)
		subjects[w] = *file;
	if (!file->is_touched)
		count = add_peers(ways, subjects, count, file->mode);
	for (size_t w = 0; w < count; w++)
		ways[w].context = &subjects[w];
	bench_compare(plan, ways, count);
}

static void make_file(const char *path)
{
	static const unsigned char zeros[FILE_SIZE];
	const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0700);

	need(fd >= 0, path);
	need(write(fd, zeros, sizeof zeros) == (ssize_t)sizeof zeros, "write");
	need(fsync(fd) == 0, "fsync");
	close(fd);
}

static void name_missing_peers(void)
{
	for (size_t p = 0; p < PEERS; p++)
		if (!peers[p].peer)
			printf("not measured: %s was not there at build time (%s)\n", peers[p].name,
			       peers[p].package);
}

static const struct {
	const char *title, *touched;
	unsigned mode;
} modes[] = {
	{"READ", "READ, load a byte", FILEMAP_READ},
	{"EXEC", "EXEC, load a byte", FILEMAP_EXEC},
	{"COW", "COW, load a byte", FILEMAP_COW},
	{"WRITE", "WRITE, load a byte", FILEMAP_WRITE},
};

int main(int argc, char **argv)
{
	struct bench_plan plan = {NULL, argc > 2 ? strtoul(argv[2], NULL, 10) : 401,
				  argc > 3 ? strtoul(argv[3], NULL, 10) : 100, CLOCK_THREAD_CPUTIME_ID};
	struct subject file = {.mode = 0};

	snprintf(file.path, sizeof file.path, "%s/filemap-bench-open.%ld", argc > 1 ? argv[1] : ".",
		 (long)getpid());
	make_file(file.path);
	bench_stay_on_cpu();
	for (file.is_touched = 0; file.is_touched <= 1; file.is_touched++)
		for (size_t m = 0; m < sizeof modes / sizeof *modes; m++) {
			plan.title = file.is_touched ? modes[m].touched : modes[m].title;
			file.mode = modes[m].mode;
			compare_mode(&file, &plan);
		}
	name_missing_peers();
	return unlink(file.path) == 0 ? 0 : 1;
}
