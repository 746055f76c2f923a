/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What the tests of guarded access share. Each case runs in a child, because a signal has one handler in a
 * process; MUST ends the child and prints what was not so. Files are filled with byte_at() of copy.h.
 */
#ifndef OS_GUARDING_H
#define OS_GUARDING_H

#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "copy.h"

#define SKIPPED 77
#define PAGES ((size_t)4)

#define MUST(condition)                                                       \
	do {                                                                  \
		if (!(condition))                                             \
			return missed(#condition, __FILE__, __LINE__, errno); \
	} while (0)

static inline int missed(const char *condition, const char *file, int line, int error)
{
	printf("%s:%d: not so: %s (errno %d)\n", file, line, condition, error);
	fflush(stdout);
	return 1;
}

/* A load that happens: valgrind leaves out those whose value nobody uses. */
static _Thread_local volatile unsigned char loaded;

static inline unsigned char load(const void *at)
{
	loaded = *(const volatile unsigned char *)at;
	return loaded;
}

static inline void must_in_child(void **state, int (*body)(void *), const char *reason)
{
	const int r = t_in_child(body, *state);
	if (r == SKIPPED)
		t_skip(reason);
	assert_int_equal(r, 0);
}

static inline bool is_valgrind(void)
{
	const char *preloaded = getenv("LD_PRELOAD");
	return preloaded != NULL && strstr(preloaded, "vgpreload") != NULL;
}

/* One that valgrind cannot run: it stops at bad pointers that are meant, and does not repeat an access that was mended. */
#define NATIVE_CASE(name, body)                                                                      \
	static void name(void **state)                                                               \
	{                                                                                            \
		if (is_valgrind())                                                                   \
			t_skip("valgrind objects to what is bad by intention, or cannot repeat it"); \
		must_in_child(state, body, "");                                                      \
	}

/* A case that runs in a child of its own. */
#define CHILD_CASE(name, body)                  \
	static void name(void **state)          \
	{                                       \
		must_in_child(state, body, ""); \
	}

/* The thread sanitizer calls handlers with all signals blocked and an errno of its own, which a jump leaves. */
#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZED true
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZED true
#endif
#endif
#ifndef THREAD_SANITIZED
#define THREAD_SANITIZED false
#endif

static inline size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* ---- a file that is cut under its mapping ---- */

struct stage {
	struct filemap *map;
	int fd;                /* the same file */
	size_t window, length; /* the window's offset; bytes of the whole file */
	int code;              /* si_code that a fault has: 0 without a handler */
};

static inline int stage_fill(struct stage *stage)
{
	unsigned char *bytes = malloc(stage->length);
	ssize_t n;

	fill_bytes(bytes, stage->length);
	n = pwrite(stage->fd, bytes, stage->length, 0);
	free(bytes);
	return n == (ssize_t)stage->length ? 0 : -1;
}

static inline int stage_cut(struct stage *stage, size_t end)
{
	return ftruncate(stage->fd, (off_t)end);
}

/* As it was: the pages are there again, with their bytes. */
static inline int stage_grow(struct stage *stage)
{
	return stage_fill(stage);
}

static inline int stage_open(struct stage *stage, const char *path, unsigned mode, size_t window)
{
	stage->length = PAGES * page_size();
	stage->window = window;
	stage->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0700);
	if (stage->fd < 0 || stage_fill(stage) < 0)
		return -1;
	return filemap_open(path, mode, FILEMAP_OPTIONS(.offset = window, .lock_family = FILEMAP_LOCK_NONE),
			    &stage->map, NULL);
}

static inline void stage_close(struct stage *stage)
{
	filemap_close(stage->map);
	close(stage->fd);
}

/* A plain mapping of a file that is empty by now: any access is a fault that is nobody's. */
static inline unsigned char *foreign_bytes(const struct t_dir *dir, size_t length)
{
	const int fd = open(t_path(dir, "foreign"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *at;

	if (fd < 0 || ftruncate(fd, (off_t)length) < 0)
		return NULL;
	at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED || ftruncate(fd, 0) < 0)
		return NULL;
	close(fd);
	return at;
}

/* ---- what must come of a range of a cut file ---- */

/* The first byte from the window's start that cannot be had: behind the end, or behind the end's page. */
static inline size_t first_missing(const struct stage *stage, size_t end, bool checks)
{
	const size_t page = page_size();
	const size_t last = checks ? end : (end + page - 1) / page * page;
	return last < stage->window ? 0 : last - stage->window;
}

static inline int expect_fault(const struct stage *stage, const struct filemap_fault *fault, size_t offset,
			       bool checks)
{
	MUST(fault->offset == offset);
	MUST(fault->cause == FILEMAP_FAULT_PAST_END);
	MUST(fault->signal_code == stage->code || (checks && fault->signal_code == 0));
	MUST(fault->index == 0);
	return 0;
}

/* Bytes of the file from `offset` of the window: byte_at() up to its end, then zeros. */
static inline int expect_bytes(const struct stage *stage, size_t end, size_t offset,
			       const unsigned char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		const size_t at = stage->window + offset + i;
		MUST(bytes[i] == (at < end ? byte_at(at) : 0));
	}
	return 0;
}

static inline int read_one(const struct stage *stage, size_t end, size_t offset, size_t length,
			   unsigned flags)
{
	const bool checks = flags & FILEMAP_GUARD_CHECK_END;
	const size_t missing = first_missing(stage, end, checks);
	static unsigned char to[PAGES * 65536];
	struct filemap_fault fault;
	size_t done = length;
	int r;

	memset(&fault, 0xEE, sizeof fault);
	memset(to, 0xDD, length + 1);
	r = filemap_guarded_read(stage->map, offset, to, length, flags, &fault);
	MUST(to[length] == 0xDD);
	if (offset + length <= missing || length == 0) {
		MUST(r == 0);
		MUST(fault.reserved == UINT64_C(0xEEEEEEEEEEEEEEEE));
	} else {
		const size_t first = offset > missing ? offset : missing;
		MUST(r == FILEMAP_EFAULT);
		MUST(expect_fault(stage, &fault, first, checks) == 0);
		done = first - offset;
	}
	return expect_bytes(stage, end, offset, to, done);
}

/* What it stored is in the mapping below the fault and nowhere else, and the file is as long as it was. */
static inline int write_one(struct stage *stage, size_t end, size_t offset, size_t length, unsigned flags)
{
	const bool checks = flags & FILEMAP_GUARD_CHECK_END;
	const size_t missing = first_missing(stage, end, checks);
	static unsigned char from[PAGES * 65536];
	struct filemap_fault fault;
	struct stat info;
	size_t done = length;
	int r;

	memset(from, 0xA5, length);
	r = filemap_guarded_write(stage->map, offset, from, length, flags, &fault);
	if (offset + length <= missing || length == 0) {
		MUST(r == 0);
	} else {
		const size_t first = offset > missing ? offset : missing;
		MUST(r == FILEMAP_EFAULT);
		MUST(expect_fault(stage, &fault, first, checks) == 0);
		done = first - offset;
	}
	MUST(fstat(stage->fd, &info) == 0 && (size_t)info.st_size == end);
	for (size_t i = 0; i < done; i++)
		MUST(((const unsigned char *)filemap_data(stage->map))[offset + i] == 0xA5);
	for (size_t i = 0; i < offset && stage->window + i < end; i++)
		MUST(((const unsigned char *)filemap_data(stage->map))[i] == byte_at(stage->window + i));
	return 0;
}

typedef int stage_step(struct stage *stage, size_t end, size_t offset, size_t length, unsigned flags);

static inline int read_step(struct stage *stage, size_t end, size_t offset, size_t length, unsigned flags)
{
	return read_one(stage, end, offset, length, flags);
}

/* One cut, all ranges. Each step of a writer begins with the file as it was. */
static inline int try_ranges(struct stage *stage, size_t end, stage_step *step, bool restores)
{
	const size_t p = page_size(), size = filemap_size(stage->map);
	const size_t offsets[] = {0, 1, p - 1, p, p + 7, 2 * p - 3};
	const size_t lengths[] = {0, 1, 3, 64, p - 1, p, p + 1, 2 * p + 5};

	for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++)
		for (size_t j = 0; j < sizeof lengths / sizeof *lengths; j++)
			for (unsigned flags = 0; flags <= FILEMAP_GUARD_CHECK_END; flags++) {
				if (offsets[i] + lengths[j] > size)
					continue;
				if (restores)
					MUST(stage_grow(stage) == 0 && stage_cut(stage, end) == 0);
				MUST(step(stage, end, offsets[i], lengths[j], flags) == 0);
			}
	return 0;
}

static inline int try_cuts(struct stage *stage, stage_step *step, bool restores)
{
	const size_t p = page_size();
	const size_t ends[] = {0, 1, p - 1, p, p + 1, 2 * p + 123, 3 * p - 1, PAGES * p};

	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		MUST(stage_cut(stage, ends[i]) == 0);
		if (try_ranges(stage, ends[i], step, restores) != 0) {
			printf("window at %zu, file cut at %zu\n", stage->window, ends[i]);
			return 1;
		}
		MUST(stage_grow(stage) == 0);
	}
	return 0;
}

static const size_t odd_windows[] = {0, 1, 4095, 4097};

/* Every way to read, on a file of a mode. */
static inline int try_reads(const struct t_dir *dir, unsigned mode, int code)
{
	for (size_t i = 0; i < sizeof odd_windows / sizeof *odd_windows; i++) {
		struct stage stage = {.code = code};
		int r = stage_open(&stage, t_path(dir, "file"), mode, odd_windows[i]);
		if (r == -EPERM && mode == FILEMAP_EXEC)
			return 0; /* mounted noexec */
		MUST(r == 0);
		MUST(try_cuts(&stage, read_step, false) == 0);
		stage_close(&stage);
	}
	return 0;
}

static inline int try_writes(const struct t_dir *dir, int code)
{
	for (size_t i = 0; i < sizeof odd_windows / sizeof *odd_windows; i += 2) {
		struct stage stage = {.code = code};
		MUST(stage_open(&stage, t_path(dir, "file"), FILEMAP_WRITE, odd_windows[i]) == 0);
		MUST(try_cuts(&stage, write_one, true) == 0);
		stage_close(&stage);
	}
	return 0;
}

/* Private pages are shown as they are, and go when the file is cut before them. */
static inline int try_private_pages(const struct t_dir *dir, int code)
{
	const size_t p = page_size();
	struct stage stage = {.code = code};
	struct filemap_fault fault;
	unsigned char bytes[16];

	MUST(stage_open(&stage, t_path(dir, "file"), FILEMAP_COW, 0) == 0);
	MUST(filemap_guarded_write(stage.map, 2 * p - 4, "private!", 8, 0, NULL) == 0);
	MUST(pread(stage.fd, bytes, 1, (off_t)(2 * p - 4)) == 1 && bytes[0] == byte_at(2 * p - 4));
	MUST(filemap_guarded_read(stage.map, 2 * p - 4, bytes, 8, FILEMAP_GUARD_CHECK_END, NULL) == 0);
	MUST(memcmp(bytes, "private!", 8) == 0);
	MUST(pwrite(stage.fd, "other", 5, (off_t)(2 * p)) == 5);
	MUST(filemap_guarded_read(stage.map, 2 * p, bytes, 4, 0, NULL) == 0 && !memcmp(bytes, "ate!", 4));
	MUST(stage_cut(&stage, 2 * p) == 0);
	MUST(filemap_guarded_read(stage.map, 2 * p - 4, bytes, 8, 0, &fault) == FILEMAP_EFAULT);
	MUST(expect_fault(&stage, &fault, 2 * p, false) == 0 && !memcmp(bytes, "priv", 4));
	MUST(filemap_guarded_write(stage.map, 2 * p - 4, "PRIVATE!", 8, 0, &fault) == FILEMAP_EFAULT);
	MUST(expect_fault(&stage, &fault, 2 * p, false) == 0);
	MUST(filemap_guarded_read(stage.map, 2 * p - 4, bytes, 4, 0, NULL) == 0 && !memcmp(bytes, "PRIV", 4));
	stage_close(&stage);
	return 0;
}

/* ---- who handles SIGBUS ---- */

static inline int set_action(void (*handler)(int, siginfo_t *, void *), int flags, const sigset_t *mask)
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};

	if (mask)
		action.sa_mask = *mask;
	return sigaction(SIGBUS, &action, NULL);
}

static inline int set_plain(void (*handler)(int), int flags)
{
	const struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
	return sigaction(SIGBUS, &action, NULL);
}

/* Whether the kernel calls exactly this. */
static inline bool is_action(const struct sigaction *expected)
{
	struct sigaction now;

	if (sigaction(SIGBUS, NULL, &now) < 0 || now.sa_flags != expected->sa_flags)
		return false;
	for (int signo = 1; signo < 32; signo++)
		if (sigismember(&now.sa_mask, signo) != sigismember(&expected->sa_mask, signo))
			return false;
	return now.sa_sigaction == expected->sa_sigaction;
}

static inline bool same_mask(const sigset_t *a, const sigset_t *b)
{
	for (int signo = 1; signo <= SIGRTMAX; signo++)
		if (sigismember(a, signo) != sigismember(b, signo))
			return false;
	return true;
}

static inline sigset_t mask_now(void)
{
	sigset_t mask;

	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	return mask;
}

#endif
