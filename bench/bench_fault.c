/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What protection against faults costs: guarded copies against memcpy(), against the same guard written by hand
 * around it, and against what copies without a handler; guarded_call against calling; plain access while the
 * handler is installed; probing and prefaulting against bare madvise(2).
 *
 * usage: bench_fault [DIRECTORY [ROUNDS]]
 */
#include <filemap/filemap.h>

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

#define WINDOW ((size_t)4 << 20)
#define LARGE ((size_t)256 << 20) /* more than caches hold: most mapped files are */
#define PAGE 4096u

struct work {
	struct filemap *map;
	unsigned char *buffer;
	size_t size; /* of one access */
	size_t window;
	int fd;
};

static volatile uint64_t sink;

/* Each access begins where the one before ended, so that none is a repetition of the same bytes. */
static size_t next(const struct work *work, size_t at)
{
	at += (work->size + 63) & ~(size_t)63;
	return at + work->size > work->window ? 0 : at;
}

static void install(void *context)
{
	(void)context;
	if (!(filemap_guard_state() & FILEMAP_GUARD_INSTALLED))
		bench_require(filemap_guard_install(NULL), "filemap_guard_install");
}

static void uninstall(void *context)
{
	(void)context;
	if (filemap_guard_state() & FILEMAP_GUARD_INSTALLED)
		bench_require(filemap_guard_uninstall(), "filemap_guard_uninstall");
}

static void guarded(void *context, size_t times)
{
	const struct work *work = context;
	size_t at = 0;
	int r = 0;

	for (size_t i = 0; i < times; i++, at = next(work, at))
		r |= filemap_guarded_read(work->map, at, work->buffer, work->size, 0, NULL);
	bench_require(r, "filemap_guarded_read");
}

static void guarded_to_the_end(void *context, size_t times)
{
	const struct work *work = context;
	size_t at = 0;
	int r = 0;

	for (size_t i = 0; i < times; i++, at = next(work, at))
		r |= filemap_guarded_read(work->map, at, work->buffer, work->size, FILEMAP_GUARD_CHECK_END,
					  NULL);
	bench_require(r, "filemap_guarded_read");
}

static void guarded_stores(void *context, size_t times)
{
	const struct work *work = context;
	size_t at = 0;
	int r = 0;

	for (size_t i = 0; i < times; i++, at = next(work, at))
		r |= filemap_guarded_write(work->map, at, work->buffer, work->size, 0, NULL);
	bench_require(r, "filemap_guarded_write");
}

static void plain(void *context, size_t times)
{
	const struct work *work = context;
	size_t at = 0;
	int r = 0;

	for (size_t i = 0; i < times; i++, at = next(work, at))
		r |= filemap_read_exact(work->map, at, work->buffer, work->size);
	bench_require(r, "filemap_read_exact");
}

/* By name, so that the compiler cannot make loads and stores of it for the sizes that it knows. */
static void *(*volatile copy)(void *, const void *, size_t) = memcpy;

static void bare_loads(void *context, size_t times)
{
	const struct work *work = context;
	const unsigned char *data = filemap_data(work->map);
	size_t at = 0;

	for (size_t i = 0; i < times; i++, at = next(work, at))
		copy(work->buffer, data + at, work->size);
}

static void bare_stores(void *context, size_t times)
{
	const struct work *work = context;
	unsigned char *data = filemap_data_mut(work->map);
	size_t at = 0;

	for (size_t i = 0; i < times; i++, at = next(work, at))
		copy(data + at, work->buffer, work->size);
}

static __attribute__((noinline)) int jump_and_copy(void *to, const void *from, size_t size)
{
	static _Thread_local sigjmp_buf *volatile armed; /* a handler would jump there */
	sigjmp_buf jump;

	if (sigsetjmp(jump, 0) != 0)
		return -1;
	armed = &jump;
	copy(to, from, size);
	armed = NULL;
	return armed ? -1 : 0;
}

static void by_hand(void *context, size_t times)
{
	const struct work *work = context;
	const unsigned char *data = filemap_data(work->map);
	size_t at = 0;
	int r = 0;

	for (size_t i = 0; i < times; i++, at = next(work, at))
		r |= jump_and_copy(work->buffer, data + at, work->size);
	bench_require(r, "sigsetjmp");
}

static void by_pread(void *context, size_t times)
{
	const struct work *work = context;
	size_t at = 0;

	for (size_t i = 0; i < times; i++, at = next(work, at))
		if (pread(work->fd, work->buffer, work->size, (off_t)at) != (ssize_t)work->size)
			bench_require(-5, "pread");
}

static void compare_reads(struct work *work, size_t rounds, const char *from, size_t least)
{
	static const size_t sizes[] = {8, 64, 512, 4096, 65536, (size_t)1 << 20};
	const struct bench_way ways[] = {
		{"filemap_guarded_read", guarded, install, work, 0},
		{"memcpy", bare_loads, install, work, 0},
		{"sigsetjmp + memcpy by hand", by_hand, install, work, 0},
		{"filemap_read_exact", plain, install, work, 0},
		{"pread", by_pread, install, work, 0},
		{"... CHECK_END", guarded_to_the_end, install, work, 0},
		{"... without a handler", guarded, uninstall, work, 0},
	};
	char title[64];

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		size_t times = 4 * work->window / (sizes[i] < 256 ? 256 : sizes[i]);
		struct bench_plan plan = {title, rounds, times, CLOCK_THREAD_CPUTIME_ID};

		if (sizes[i] < least)
			continue;
		snprintf(title, sizeof title, "reads of %zu bytes from %s", sizes[i], from);
		work->size = sizes[i];
		bench_compare(&plan, ways, sizeof ways / sizeof *ways);
	}
}

static void compare_writes(struct work *work, size_t rounds)
{
	static const size_t sizes[] = {8, 512, 4096, 65536};
	const struct bench_way ways[] = {
		{"filemap_guarded_write", guarded_stores, install, work, 0},
		{"memcpy", bare_stores, install, work, 0},
		{"... without a handler", guarded_stores, uninstall, work, 0},
	};
	char title[64];

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		size_t times = 4 * work->window / (sizes[i] < 256 ? 256 : sizes[i]);
		struct bench_plan plan = {title, rounds, times, CLOCK_THREAD_CPUTIME_ID};
		snprintf(title, sizeof title, "writes of %zu bytes", sizes[i]);
		work->size = sizes[i];
		bench_compare(&plan, ways, sizeof ways / sizeof *ways);
	}
}

/* What a program does with bytes in place: here their sum. */
static __attribute__((noinline)) int sum_page(void *context)
{
	const struct work *work = context;
	const uint64_t *words = filemap_data(work->map);
	uint64_t sum = 0;

	for (size_t i = 0; i < work->size / sizeof *words; i++)
		sum += words[i];
	sink = sum;
	return 0;
}

static void call_guarded(void *context, size_t times)
{
	const struct work *work = context;
	const struct filemap *maps[] = {work->map};
	int r = 0;

	for (size_t i = 0; i < times; i++)
		r |= filemap_guarded_call(maps, 1, sum_page, context, NULL, NULL);
	bench_require(r, "filemap_guarded_call");
}

static void call_bare(void *context, size_t times)
{
	int (*volatile body)(void *) = sum_page;

	for (size_t i = 0; i < times; i++)
		body(context);
}

static void compare_calls(struct work *work, size_t rounds)
{
	const struct bench_way ways[] = {
		{"filemap_guarded_call", call_guarded, install, work, 0},
		{"a call", call_bare, install, work, 0},
		{"a call, no handler installed", call_bare, uninstall, work, 0},
	};
	const struct bench_plan plan = {"summing a page in place", rounds, 20000, CLOCK_THREAD_CPUTIME_ID};

	work->size = PAGE;
	bench_compare(&plan, ways, sizeof ways / sizeof *ways);
}

static void probe(void *context, size_t times)
{
	const struct work *work = context;
	int r = 0;
	for (size_t i = 0; i < times; i++)
		r |= filemap_probe(work->map, 0, work->size);
	bench_require(r, "filemap_probe");
}

static void prefault_read(void *context, size_t times)
{
	const struct work *work = context;
	int r = 0;
	for (size_t i = 0; i < times; i++)
		r |= filemap_prefault(work->map, FILEMAP_PREFAULT_READ, 0, work->size);
	bench_require(r, "filemap_prefault");
}

static void prefault_write(void *context, size_t times)
{
	const struct work *work = context;
	int r = 0;
	for (size_t i = 0; i < times; i++)
		r |= filemap_prefault(work->map, FILEMAP_PREFAULT_WRITE, 0, work->size);
	bench_require(r, "filemap_prefault");
}

static void bare_madvise(const struct work *work, size_t times, int advice)
{
	void *data = filemap_data_mut(work->map);
	int r = 0;
	for (size_t i = 0; i < times; i++)
		r |= madvise(data, work->size, advice);
	bench_require(r, "madvise");
}

static void bare_populate_read(void *context, size_t times)
{
	bare_madvise(context, times, MADV_POPULATE_READ);
}

static void bare_populate_write(void *context, size_t times)
{
	bare_madvise(context, times, MADV_POPULATE_WRITE);
}

static void compare_probes(struct work *work, size_t rounds)
{
	const struct bench_way reads[] = {
		{"filemap_probe", probe, NULL, work, 0},
		{"madvise(MADV_POPULATE_READ)", bare_populate_read, NULL, work, 0},
	};
	const struct bench_way prefaults[] = {
		{"filemap_prefault(READ)", prefault_read, NULL, work, 0},
		{"madvise(MADV_POPULATE_READ)", bare_populate_read, NULL, work, 0},
	};
	const struct bench_way stores[] = {
		{"filemap_prefault(WRITE)", prefault_write, NULL, work, 0},
		{"madvise(MADV_POPULATE_WRITE)", bare_populate_write, NULL, work, 0},
	};
	char title[64];
	const struct bench_plan plan = {title, rounds, 200, CLOCK_THREAD_CPUTIME_ID};

	for (work->size = PAGE; work->size <= WINDOW / 4; work->size *= 16) {
		snprintf(title, sizeof title, "%zu KiB that are there", work->size / 1024);
		bench_compare(&plan, reads, 2);
		bench_compare(&plan, prefaults, 2);
		bench_compare(&plan, stores, 2);
	}
}

static void set_up(struct work *work, const char *below, size_t window)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/filemap-bench-fault", below);
	bench_require(
		filemap_open(path, FILEMAP_WRITE,
			     FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | FILEMAP_TRUNCATE, .size = window),
			     &work->map, NULL),
		"filemap_open");
	memset(filemap_data_mut(work->map), 'x', window);
	work->fd = filemap_fd(work->map);
	work->window = window;
}

static void tear_down(struct work *work)
{
	uninstall(NULL);
	bench_require(filemap_remove(work->map, NULL), "filemap_remove");
	filemap_close(work->map);
}

int main(int argc, char **argv)
{
	const size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 31;
	const char *below = argc > 1 ? argv[1] : ".";
	struct work work = {.buffer = malloc(WINDOW)};

	bench_stay_on_cpu();
	bench_require(work.buffer ? 0 : -12, "malloc");
	memset(work.buffer, 'y', WINDOW);
	set_up(&work, below, WINDOW);
	compare_reads(&work, rounds, "caches", 0);
	compare_writes(&work, rounds);
	compare_calls(&work, rounds);
	compare_probes(&work, rounds);
	tear_down(&work);
	set_up(&work, below, LARGE);
	compare_reads(&work, rounds / 4 + 1, "memory", PAGE);
	tear_down(&work);
	free(work.buffer);
	return 0;
}
