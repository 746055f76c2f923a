/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The seam on pages: protecting, locking, counting and naming them. */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "smaps.h"
#include "t.h"

#include "sys/sys.h"

#define PAGES 4

static unsigned char *map_memory(void)
{
	void *at;

	assert_ok(fm__sys_map(NULL, PAGES * fm__sys_page_size(), PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &at));
	return at;
}

static int store_into_protected(void *context)
{
	unsigned char *at = context;

	signal(SIGSEGV, SIG_DFL); /* a sanitizer's handler would make an exit of it */
	if (fm__sys_protect(at, fm__sys_page_size(), PROT_READ) < 0)
		return 1;
	at[fm__sys_page_size()] = 1; /* the next page is as it was */
	*(volatile unsigned char *)at = 1;
	return 2;
}

static void protect_takes_away_stores_and_gives_them_back(void **state)
{
	const size_t page = fm__sys_page_size();
	unsigned char *at = map_memory();
	(void)state;

	assert_int_equal(t_in_child(store_into_protected, at), -SIGSEGV);
	assert_ok(fm__sys_protect(at, page, PROT_READ));
	assert_ok(fm__sys_protect(at, page, PROT_READ | PROT_WRITE));
	*(volatile unsigned char *)at = 1;
	assert_ok(fm__sys_unmap(at, PAGES * page));
	assert_int_equal(fm__sys_protect(at, page, PROT_READ), -ENOMEM);
}

static void mlock_brings_pages_in_at_once_or_when_they_are_touched(void **state)
{
	const size_t page = fm__sys_page_size();
	unsigned char *at = map_memory(), resident[PAGES];
	const size_t before = locked_bytes();
	(void)state;

	const int r = fm__sys_mlock(at, 2 * page, true);
	if (r == -ENOMEM || r == -EPERM)
		t_skip("RLIMIT_MEMLOCK allows no locked memory");
	assert_ok(r);
	assert_int_equal(locked_bytes() - before, 2 * page);
	assert_ok(fm__sys_mincore(at, PAGES * page, resident));
	assert_int_equal(resident[0] & 1, 0);
	assert_ok(fm__sys_mlock(at + page, 2 * page, false));
	assert_int_equal(locked_bytes() - before, 3 * page);
	assert_ok(fm__sys_mincore(at, PAGES * page, resident));
	assert_true(!(resident[0] & 1) && (resident[1] & 1) && (resident[2] & 1) && !(resident[3] & 1));
	assert_ok(fm__sys_unmap(at, PAGES * page));
	assert_int_equal(locked_bytes(), before);
	assert_int_equal(fm__sys_mlock(at, page, false), -ENOMEM);
}

static void munlock_ends_it_and_what_is_not_locked_is_fine(void **state)
{
	const size_t page = fm__sys_page_size();
	unsigned char *at = map_memory();
	const size_t before = locked_bytes();
	(void)state;

	const int r = fm__sys_mlock(at, 2 * page, true);
	assert_ok(fm__sys_munlock(at, PAGES * page));
	assert_ok(fm__sys_munlock(at, PAGES * page));
	const size_t after = locked_bytes();
	assert_ok(fm__sys_unmap(at, PAGES * page));
	if (r < 0)
		t_skip("RLIMIT_MEMLOCK allows no locked memory");
	if (after != before && fm__sys_munlock(at, PAGES * page) == 0)
		t_skip("a sanitizer answers munlock(2) without doing it");
	assert_int_equal(after, before);
	assert_int_equal(fm__sys_munlock(at, page), -ENOMEM);
}

static void mincore_of_nothing_mapped_is_refused(void **state)
{
	const size_t page = fm__sys_page_size();
	unsigned char *at = map_memory(), resident[PAGES];
	(void)state;

	assert_ok(fm__sys_unmap(at, PAGES * page));
	assert_int_equal(fm__sys_mincore(at, PAGES * page, resident), -ENOMEM);
}

static void named_memory_shows_its_name(void **state)
{
	const size_t length = PAGES * fm__sys_page_size();
	unsigned char *at = map_memory();
	char line[512] = "";
	(void)state;

	const int r = fm__sys_name_memory(at, length, "filemap test");
	if (r == 0)
		assert_true(smaps_line(at, NULL, line, sizeof line));
	assert_ok(fm__sys_unmap(at, length));
	if (r == -EINVAL)
		t_skip("this kernel has no names for memory");
	assert_ok(r);
	assert_non_null(strstr(line, "[anon:filemap test]"));
}

T_MAIN(T_PLAIN(protect_takes_away_stores_and_gives_them_back),
       T_PLAIN(mlock_brings_pages_in_at_once_or_when_they_are_touched),
       T_PLAIN(munlock_ends_it_and_what_is_not_locked_is_fine), T_PLAIN(mincore_of_nothing_mapped_is_refused),
       T_PLAIN(named_memory_shows_its_name))
