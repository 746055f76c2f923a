/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Which pages of a file are dirty, by cachestat(2): what a flush really wrote.
 *
 * assert_dirty_after() stores to all pages of a fresh mapped file, runs one flush and draws the pages as
 * text: 'D' still dirty, '.' clean.
 */
#ifndef OS_DIRTY_H
#define OS_DIRTY_H

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "t.h"

#include "sys/sys.h"

#ifndef SYS_cachestat
#define SYS_cachestat 451 /* Linux 6.5; the same number on every architecture but alpha */
#endif

#define DIRTY_PAGES 8
#define TMPFS_TYPE 0x01021994u

struct dirty_range {
	uint64_t offset, length;
};

struct dirty_counts {
	uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

static int page_is_dirty(int fd, unsigned page)
{
	struct dirty_range range = {page * fm__sys_page_size(), fm__sys_page_size()};
	struct dirty_counts counts;

	if (syscall(SYS_cachestat, fd, &range, &counts, 0) < 0)
		return -errno;
	return counts.dirty > 0;
}

static void draw_dirty_pages(int fd, char to[DIRTY_PAGES + 1])
{
	for (unsigned page = 0; page < DIRTY_PAGES; page++)
		to[page] = page_is_dirty(fd, page) == 1 ? 'D' : '.';
	to[DIRTY_PAGES] = '\0';
}

/* A file on tmpfs is never clean, so nothing could be seen there. */
static bool dirt_is_visible(int fd)
{
	uint64_t type;

	assert_ok(fm__sys_fs_type(fd, &type));
	return type != TMPFS_TYPE && page_is_dirty(fd, 0) >= 0;
}

/* Sparse: a page that a store creates is a folio of its own, so nothing else becomes dirty with it. */
static int make_sparse_file(const struct t_dir *dir)
{
	const int fd = fm__sys_openat(dir->fd, "dirty", O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_ok(fm__sys_ftruncate(fd, DIRTY_PAGES * fm__sys_page_size()));
	return fd;
}

static void store_to_all_pages(int fd)
{
	const size_t page = fm__sys_page_size();
	void *at;

	assert_ok(fm__sys_map(NULL, DIRTY_PAGES * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0, &at));
	for (unsigned i = 0; i < DIRTY_PAGES; i++)
		((volatile unsigned char *)at)[i * page] = 1;
	assert_ok(fm__sys_unmap(at, DIRTY_PAGES * page));
}

/* Somebody else's sync(2) may clean pages in between, so an unexpected drawing is drawn a few times. */
static inline void assert_dirty_after(const struct t_dir *dir, const char *expected,
				      int (*flush)(int fd, uint64_t offset, uint64_t length, void *context),
				      struct dirty_range range, void *context)
{
	char drawn[DIRTY_PAGES + 1];

	for (int attempt = 0; attempt < 5; attempt++) {
		const int fd = make_sparse_file(dir);

		if (!dirt_is_visible(fd)) {
			fm__sys_close(fd);
			t_skip("dirty pages are not visible here: tmpfs, or no cachestat(2)");
		}
		store_to_all_pages(fd);
		assert_ok(flush(fd, range.offset, range.length, context));
		draw_dirty_pages(fd, drawn);
		fm__sys_close(fd);
		if (strcmp(drawn, expected) == 0)
			return;
	}
	assert_string_equal(drawn, expected);
}

#endif
