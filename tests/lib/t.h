/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The test harness: cmocka with Meson's exit-code protocol.
 *
 *   static void open_missing_is_enoent(void **state) { struct t_dir *dir = *state; ... }
 *   T_MAIN(T_TEST(open_missing_is_enoent), T_PLAIN(pure_arithmetic))
 *
 * T_TEST gives the case a fresh directory and takes a census of descriptors and mappings before and
 * after. The program exits 0, 1 (a case failed) or 77 (every case was skipped); it prints
 * "t: N passed, N failed, N skipped" as its last line, from which ./run makes its sum.
 */
#ifndef T_H
#define T_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct t_census {
	int descriptors; /* open ones, without the census's own */
	int mappings;    /* lines of /proc/self/maps that name a file below the case's directory */
};

struct t_dir {
	char path[256]; /* absolute; removed with everything in it after the case */
	int fd;         /* O_PATH-free directory descriptor, part of the first census */
	struct t_census before;
};

/* Directory: below $FILEMAP_TEST_DIR, else $TMPDIR, else /tmp. */
int t_setup_dir(void **state);
int t_teardown_dir(void **state); /* fails the case on a leaked descriptor or mapping */
struct t_census t_census_take(const char *dir_path);
void t_census_same(const struct t_dir *dir); /* asserts in the middle of a case */

const char *t_path(const struct t_dir *dir, const char *name); /* in a ring of static buffers */
void t_write_file(const char *path, const void *bytes, size_t length);
size_t t_read_file(const char *path, void *to, size_t size);
int64_t t_file_size(const char *path); /* -1: it does not exist */
void t_skip(const char *reason);       /* prints "skip: REASON" and skips the case */
int t_run(const char *name, const struct CMUnitTest *tests, size_t count);

/* Run `body` in a forked child; its return value is the child's exit status, which is returned
 * (-signal if it died of one). The child leaves with _exit, never through cmocka. */
int t_in_child(int (*body)(void *context), void *context);

/* The program was told to do without io_uring, and cannot have it. */
bool t_forbids_uring(void);

/* For good: a user without any privilege. 0, or -1. To be called in a child, by root. */
int t_become_nobody(void);

#define T_TEST(f) cmocka_unit_test_setup_teardown(f, t_setup_dir, t_teardown_dir)
#define T_PLAIN(f) cmocka_unit_test(f)
#define T_MAIN(...)                                                          \
	int main(void)                                                       \
	{                                                                    \
		const struct CMUnitTest tests[] = {__VA_ARGS__};             \
		return t_run(__FILE__, tests, sizeof tests / sizeof *tests); \
	}

#define assert_ok(expression) assert_int_equal((expression), 0)

#endif
