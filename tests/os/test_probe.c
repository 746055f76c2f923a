/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Probing and prefaulting on real kernels: this one, and what it is without MADV_POPULATE_* (before Linux 5.14) and
 * without process_vm_readv(2), which system call filters take away. No handler is installed: a signal would
 * end the child.
 */
#include "deny.h"
#include "smaps.h"
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "sys/sys.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

#define PAGES 700 /* more than one call peeks at */
#define CHILD_CANNOT 77

#define CHECK(condition)                                                        \
	do {                                                                    \
		if (!(condition)) {                                             \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
			return 1;                                               \
		}                                                               \
	} while (0)

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* ---- kernels ---- */

enum kernel { THIS_ONE, NO_POPULATE, NO_POPULATE_NO_READV, KERNELS };

static int become(enum kernel kernel)
{
	if (kernel == THIS_ONE)
		return 0;
	if (deny_call_with(SYS_madvise, 2, MADV_POPULATE_READ, EINVAL) < 0 ||
	    deny_call_with(SYS_madvise, 2, MADV_POPULATE_WRITE, EINVAL) < 0)
		return CHILD_CANNOT;
	if (kernel == NO_POPULATE_NO_READV && deny_call(SYS_process_vm_readv, EPERM) < 0)
		return CHILD_CANNOT;
	return 0;
}

struct run {
	const struct t_dir *dir;
	enum kernel kernel;
	int (*body)(const struct t_dir *dir, enum kernel kernel);
};

static int run_in_child(void *context)
{
	const struct run *run = context;
	const int r = become(run->kernel);
	return r ? r : run->body(run->dir, run->kernel);
}

static void on_every_kernel(void **state, int (*body)(const struct t_dir *dir, enum kernel kernel))
{
	const struct t_dir *dir = *state;

	for (int kernel = THIS_ONE; kernel < KERNELS; kernel++) {
		struct run run = {dir, kernel, body};
		const int r = t_in_child(run_in_child, &run);
		if (r == CHILD_CANNOT)
			t_skip("no system call filters, or no mount namespace, for this user");
		if (r != 0)
			fail_msg("kernel %d: %d", kernel, r);
		t_census_same(dir);
		unlink(t_path(dir, "file"));
	}
}

static unsigned char letter(size_t page)
{
	return (unsigned char)('a' + page % 26);
}

/* Page i holds letter(i). */
static const char *make_file(const struct t_dir *dir)
{
	const char *path = t_path(dir, "file");
	const size_t page = page_size();
	char *bytes = malloc(PAGES * page);

	assert_non_null(bytes);
	for (size_t i = 0; i < PAGES; i++)
		memset(bytes + i * page, letter(i), page);
	t_write_file(path, bytes, PAGES * page);
	free(bytes);
	return path;
}

static bool holds_letters(const struct filemap *map)
{
	const unsigned char *bytes = filemap_data(map);

	for (size_t at = 0; at < filemap_size(map); at++)
		if (bytes[at] != letter((at + filemap_offset(map)) / page_size()))
			return false;
	return true;
}

static uint64_t blocks_of(const char *path)
{
	struct stat status;

	assert_ok(stat(path, &status));
	return (uint64_t)status.st_blocks;
}

/* ---- what can be had ---- */

static int bring_in_whole(const struct t_dir *dir, enum kernel kernel)
{
	const unsigned modes[] = {FILEMAP_READ, FILEMAP_EXEC, FILEMAP_COW, FILEMAP_WRITE};
	const char *path = make_file(dir);
	struct filemap_fault untouched = {.offset = 77};
	(void)kernel;

	for (size_t i = 0; i < 4; i++) {
		struct filemap *map;
		CHECK(filemap_open(path, modes[i], FILEMAP_OPTIONS(.offset = 100), &map, NULL) == 0);
		CHECK(filemap_probe(map, 5, FILEMAP_TO_END) == 0);
		CHECK(filemap_find_fault(map, 5, FILEMAP_TO_END, &untouched) == 0);
		CHECK(filemap_prefault(map, FILEMAP_PREFAULT_READ, 0, FILEMAP_TO_END) == 0);
		if (modes[i] & (FILEMAP_WRITE | FILEMAP_COW))
			CHECK(filemap_prefault(map, FILEMAP_PREFAULT_WRITE, 7, FILEMAP_TO_END) == 0);
		CHECK(untouched.offset == 77 && holds_letters(map));
		filemap_close(map);
	}
	return 0;
}

static void a_range_that_can_be_had_is_brought_in_and_not_changed(void **state)
{
	on_every_kernel(state, bring_in_whole);
}

static int look_at_private_pages(const struct t_dir *dir, enum kernel kernel)
{
	const size_t page = page_size();
	struct filemap *map;
	(void)kernel;

	CHECK(filemap_open(make_file(dir), FILEMAP_COW, NULL, &map, NULL) == 0);
	CHECK(filemap_prefault(map, FILEMAP_PREFAULT_READ, 0, FILEMAP_TO_END) == 0);
	CHECK(filemap_probe(map, 0, FILEMAP_TO_END) == 0);
	CHECK(smaps_bytes(filemap_data(map), "Rss:") == PAGES * page);
	CHECK(smaps_bytes(filemap_data(map), "Anonymous:") == 0);
	CHECK(filemap_prefault(map, FILEMAP_PREFAULT_WRITE, page, 9 * page) == 0);
	CHECK(smaps_bytes(filemap_data(map), "Anonymous:") == 9 * page);
	CHECK(holds_letters(map));
	filemap_close(map);
	return 0;
}

static void only_prefault_for_stores_makes_private_copies(void **state)
{
	on_every_kernel(state, look_at_private_pages);
}

static int touch_memory(const struct t_dir *dir, enum kernel kernel)
{
	const size_t page = page_size();
	struct filemap *map;
	(void)dir;
	(void)kernel;

	CHECK(filemap_anonymous(PAGES * page, FILEMAP_OPTIONS(.advice = FILEMAP_ADVICE_NOHUGEPAGE), &map,
				NULL) == 0);
	CHECK(filemap_prefault(map, FILEMAP_PREFAULT_WRITE, 2 * page - 1, 2) == 0);
	CHECK(smaps_bytes(filemap_data(map), "Anonymous:") == 2 * page);
	CHECK(filemap_prefault(map, FILEMAP_PREFAULT_WRITE, 0, FILEMAP_TO_END) == 0);
	CHECK(smaps_bytes(filemap_data(map), "Anonymous:") == PAGES * page);
	filemap_close(map);
	CHECK(filemap_anonymous(
		      PAGES * page,
		      FILEMAP_OPTIONS(.flags = FILEMAP_POPULATE, .advice = FILEMAP_ADVICE_NOHUGEPAGE), &map,
		      NULL) == 0);
	CHECK(smaps_bytes(filemap_data(map), "Anonymous:") == PAGES * page);
	filemap_close(map);
	return 0;
}

static void memory_is_there_once_it_was_prefaulted_for_stores(void **state)
{
	on_every_kernel(state, touch_memory);
}

static int fill_a_hole(const struct t_dir *dir, enum kernel kernel)
{
	const size_t size = PAGES * page_size();
	const char *path = t_path(dir, "file");
	struct filemap *map;
	(void)kernel;

	CHECK(filemap_open(path, FILEMAP_WRITE,
			   FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | FILEMAP_SPARSE, .size = size), &map,
			   NULL) == 0);
	CHECK(blocks_of(path) < size / 512);
	CHECK(filemap_probe(map, 0, FILEMAP_TO_END) == 0);
	CHECK(filemap_sync(map) == 0 && blocks_of(path) < size / 512);
	CHECK(filemap_prefault(map, FILEMAP_PREFAULT_WRITE, 0, FILEMAP_TO_END) == 0);
	CHECK(filemap_sync(map) == 0 && blocks_of(path) >= size / 512);
	filemap_close(map);
	return 0;
}

static void only_prefault_for_stores_finds_blocks_for_holes(void **state)
{
	on_every_kernel(state, fill_a_hole);
}

/* ---- what cannot ---- */

static int look_behind_a_cut(const struct t_dir *dir, enum kernel kernel)
{
	const size_t page = page_size(), cuts[] = {0, 1, 256, 257, PAGES - 1};
	const char *path = make_file(dir);
	(void)kernel;

	for (size_t i = 0; i < 5; i++) {
		struct filemap_fault fault;
		struct filemap *map;
		const size_t good = cuts[i] * page;
		CHECK(truncate(path, PAGES * page) == 0);
		CHECK(filemap_open(path, FILEMAP_WRITE, NULL, &map, NULL) == 0);
		CHECK(truncate(path, (off_t)good) == 0);
		CHECK(filemap_probe(map, 0, good) == 0);
		CHECK(filemap_find_fault(map, 0, good, &fault) == 0);
		CHECK(filemap_probe(map, 0, good + 1) == FILEMAP_EFAULT);
		CHECK(filemap_probe(map, good + 9, 1) == FILEMAP_EFAULT);
		CHECK(filemap_find_fault(map, 0, FILEMAP_TO_END, NULL) == FILEMAP_EFAULT);
		memset(&fault, 0x77, sizeof fault);
		CHECK(filemap_find_fault(map, 0, FILEMAP_TO_END, &fault) == FILEMAP_EFAULT);
		CHECK(fault.offset == good && fault.cause == FILEMAP_FAULT_PAST_END);
		CHECK(fault.signal_code == 0 && fault.index == 0 && fault.reserved == 0);
		/* The first byte of the range, where the page begins before it. */
		CHECK(filemap_find_fault(map, good + 9, 1, &fault) == FILEMAP_EFAULT);
		CHECK(fault.offset == good + 9);
		CHECK(filemap_prefault(map, FILEMAP_PREFAULT_READ, 0, good) == 0);
		CHECK(filemap_prefault(map, FILEMAP_PREFAULT_READ, 0, good + 1) == FILEMAP_EFAULT);
		CHECK(filemap_prefault(map, FILEMAP_PREFAULT_WRITE, 0, good) == 0);
		CHECK(filemap_prefault(map, FILEMAP_PREFAULT_WRITE, 0, FILEMAP_TO_END) == FILEMAP_EFAULT);
		CHECK(t_file_size(path) == (int64_t)good && filemap_state(map) == FILEMAP_STATE_LIVE);
		filemap_close(map);
	}
	return 0;
}

static void the_first_page_behind_a_cut_is_found(void **state)
{
	on_every_kernel(state, look_behind_a_cut);
}

static int look_through_a_window(const struct t_dir *dir, enum kernel kernel)
{
	const size_t page = page_size();
	const char *path = make_file(dir);
	struct filemap_fault fault;
	struct filemap *map;
	(void)kernel;

	CHECK(filemap_open(path, FILEMAP_READ, FILEMAP_OPTIONS(.offset = page + 100), &map, NULL) == 0);
	CHECK(truncate(path, (off_t)(5 * page + 1)) == 0);
	CHECK(filemap_probe(map, 0, 5 * page - 100) == 0); /* zeros behind the end, in its page */
	CHECK(filemap_find_fault(map, 3, FILEMAP_TO_END, &fault) == FILEMAP_EFAULT);
	CHECK(fault.offset == 5 * page - 100 && fault.cause == FILEMAP_FAULT_PAST_END);
	filemap_close(map);
	return 0;
}

static void faults_of_a_window_count_from_its_start(void **state)
{
	on_every_kernel(state, look_through_a_window);
}

static int fill_a_disk(const struct t_dir *dir, enum kernel kernel)
{
	const size_t megabyte = 1 << 20;
	struct filemap *map;
	(void)kernel;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", dir->path, "tmpfs", 0, "size=1m") < 0)
		return CHILD_CANNOT;
	CHECK(filemap_open(t_path(dir, "sparse"), FILEMAP_WRITE,
			   FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | FILEMAP_SPARSE, .size = 2 * megabyte),
			   &map, NULL) == 0);
	CHECK(filemap_prefault(map, FILEMAP_PREFAULT_WRITE, 0, FILEMAP_TO_END) == FILEMAP_EFAULT);
	CHECK(filemap_discard(map, FILEMAP_DISCARD_REMOVE, 0, FILEMAP_TO_END) == 0);
	CHECK(filemap_prefault(map, FILEMAP_PREFAULT_WRITE, megabyte, megabyte / 2) == 0);
	memset((char *)filemap_data_mut(map) + megabyte, 'x', megabyte / 2); /* cannot run out of blocks */
	filemap_close(map);
	return 0;
}

static void a_full_disk_is_an_error_and_no_signal(void **state)
{
	on_every_kernel(state, fill_a_disk);
}

static int look_at_borrowed(const struct t_dir *dir, enum kernel kernel)
{
	const size_t page = page_size();
	struct filemap_fault fault;
	struct filemap *map;
	char *at = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	(void)dir;
	(void)kernel;

	CHECK(at != MAP_FAILED && mprotect(at, page, PROT_NONE) == 0);
	CHECK(mprotect(at + 300 * page, page, PROT_NONE) == 0 &&
	      mprotect(at + 305 * page, page, PROT_NONE) == 0);
	CHECK(filemap_wrap_bytes("", at + page + 33, (PAGES - 1) * page - 33, &map, NULL) == 0);
	CHECK(filemap_probe(map, 0, 299 * page - 33) == 0);
	CHECK(filemap_probe(map, 0, 299 * page - 32) == FILEMAP_EFAULT);
	CHECK(filemap_probe(map, 301 * page, 2 * page) == 0);
	CHECK(filemap_find_fault(map, 1, FILEMAP_TO_END, &fault) == FILEMAP_EFAULT);
	CHECK(fault.offset == 299 * page - 33 && fault.cause == FILEMAP_FAULT_UNKNOWN);
	CHECK(filemap_find_fault(map, 299 * page, 1, &fault) == FILEMAP_EFAULT);
	CHECK(fault.offset == 299 * page);
	CHECK(filemap_probe(map, 0, FILEMAP_TO_END) == FILEMAP_EFAULT);
	CHECK(filemap_probe(map, 0, SIZE_MAX - 1) == FILEMAP_ERANGE);
	filemap_close(map);
	CHECK(filemap_wrap_bytes("", "bytes", 5, &map, NULL) == 0);
	CHECK(filemap_probe(map, 0, 5) == 0 && filemap_find_fault(map, 4, 1, &fault) == 0);
	CHECK(filemap_probe(map, 5, FILEMAP_TO_END) == 0 && filemap_probe(map, 6, 0) == FILEMAP_ERANGE);
	filemap_close(map);
	CHECK(filemap_wrap_bytes("", NULL, 0, &map, NULL) == 0);
	CHECK(filemap_probe(map, 0, FILEMAP_TO_END) == 0);
	filemap_close(map);
	return munmap(at, PAGES * page);
}

static void borrowed_bytes_are_probed_wherever_they_lie(void **state)
{
	on_every_kernel(state, look_at_borrowed);
}

/* ---- who stores meanwhile ---- */

#define TOUCHES 20000

struct counter {
	volatile uint16_t *half; /* of the word that is touched */
	volatile bool *stop;
	uint16_t count;
	volatile bool started;
};

/* Adds by a plain load and store: nobody else stores to this half. */
static void *count_plainly(void *context)
{
	struct counter *counter = context;

	while (!*counter->stop) {
		*counter->half = (uint16_t)(*counter->half + 1);
		__sync_synchronize(); /* or this thread would go on reading its own stores, lost or not */
		counter->count++;
		counter->started = true;
	}
	return NULL;
}

/* A touch that stored an old word would take counts back. */
static int store_meanwhile(struct filemap *map)
{
	volatile uint16_t *halves = filemap_data_mut(map);
	volatile bool stop = false;
	struct counter counters[2] = {{.half = halves, .stop = &stop}, {.half = halves + 1, .stop = &stop}};
	pthread_t threads[2];
	int r = 0;

	for (int i = 0; i < 2; i++)
		CHECK(pthread_create(&threads[i], NULL, count_plainly, &counters[i]) == 0);
	while (!counters[0].started || !counters[1].started)
		sched_yield();
	for (int i = 0; i < TOUCHES && r == 0; i++)
		r = filemap_prefault(map, FILEMAP_PREFAULT_WRITE, 0, 4);
	stop = true;
	for (int i = 0; i < 2; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK(r == 0 && halves[0] == counters[0].count && halves[1] == counters[1].count);
	return 0;
}

static int store_everywhere(const struct t_dir *dir, enum kernel kernel)
{
	const size_t page = page_size();
	struct filemap *map;

	if (kernel == NO_POPULATE_NO_READV)
		return 0;
	CHECK(filemap_open(t_path(dir, "file"), FILEMAP_WRITE,
			   FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | FILEMAP_SPARSE, .size = page), &map,
			   NULL) == 0);
	CHECK(store_meanwhile(map) == 0);
	filemap_close(map);
	CHECK(filemap_anonymous(page, NULL, &map, NULL) == 0);
	CHECK(store_meanwhile(map) == 0);
	filemap_close(map);
	return 0;
}

static void stores_of_others_are_never_lost(void **state)
{
	on_every_kernel(state, store_everywhere);
}

/* ---- what is no answer ---- */

static int probe_in_child(void *context)
{
	struct filemap *map = context;
	return filemap_probe(map, 0, 1) == FILEMAP_EFORKED &&
			       filemap_find_fault(map, 0, 1, NULL) == FILEMAP_EFORKED
		       ? 0
		       : 1;
}

static void probing_checks_before_it_touches(void **state)
{
	const char *path = make_file(*state);
	struct filemap_fault fault = {.offset = 77};
	struct filemap *map;

	assert_ok(filemap_open(path, FILEMAP_READ, FILEMAP_OPTIONS(.flags = FILEMAP_DONTFORK), &map, NULL));
	const size_t size = filemap_size(map);
	assert_int_equal(filemap_probe(map, size, 1), FILEMAP_ERANGE);
	assert_int_equal(filemap_probe(map, size + 1, 0), FILEMAP_ERANGE);
	assert_int_equal(filemap_find_fault(map, 1, size, &fault), FILEMAP_ERANGE);
	assert_int_equal(fault.offset, 77);
	assert_ok(filemap_probe(map, size, 0));
	assert_ok(filemap_probe(map, size, FILEMAP_TO_END));
	assert_ok(t_in_child(probe_in_child, map));
	filemap_close(map);
}

static int denied_pipe(const struct t_dir *dir, enum kernel kernel)
{
	struct filemap *map;

	CHECK(filemap_open(make_file(dir), FILEMAP_WRITE, NULL, &map, NULL) == 0);
	if (deny_call(SYS_pipe2, EMFILE) < 0)
		return CHILD_CANNOT;
	const int expected = kernel == NO_POPULATE_NO_READV ? -EMFILE : 0;
	CHECK(filemap_probe(map, 0, 1) == expected);
	CHECK(filemap_find_fault(map, 0, 1, NULL) == expected);
	CHECK(filemap_prefault(map, FILEMAP_PREFAULT_READ, 0, 1) == expected);
	CHECK(filemap_prefault(map, FILEMAP_PREFAULT_WRITE, 0, FILEMAP_TO_END) == 0);
	filemap_close(map);
	return 0;
}

static void only_the_last_resort_needs_descriptors(void **state)
{
	on_every_kernel(state, denied_pipe);
}

T_MAIN(T_TEST(a_range_that_can_be_had_is_brought_in_and_not_changed),
       T_TEST(only_prefault_for_stores_makes_private_copies),
       T_TEST(memory_is_there_once_it_was_prefaulted_for_stores),
       T_TEST(only_prefault_for_stores_finds_blocks_for_holes), T_TEST(the_first_page_behind_a_cut_is_found),
       T_TEST(faults_of_a_window_count_from_its_start), T_TEST(a_full_disk_is_an_error_and_no_signal),
       T_TEST(borrowed_bytes_are_probed_wherever_they_lie), T_TEST(stores_of_others_are_never_lost),
       T_TEST(probing_checks_before_it_touches), T_TEST(only_the_last_resort_needs_descriptors))
