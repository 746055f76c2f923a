/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* fm__sys_flush_range() by descriptor: exactly the pages of the range reach the device. */
#include "dirty.h"

static int by_range(int fd, uint64_t offset, uint64_t length, void *context)
{
	(void)context;
	return fm__sys_flush_range(fd, offset, length, NULL);
}

/* A descriptor that cannot be mapped for reading. */
static int by_write_only(int fd, uint64_t offset, uint64_t length, void *context)
{
	const struct t_dir *dir = context;
	const int other = fm__sys_openat(dir->fd, "dirty", O_WRONLY, 0);
	(void)fd;

	const int r = fm__sys_flush_range(other, offset, length, NULL);
	fm__sys_close(other);
	return r;
}

static int by_msync(int fd, uint64_t offset, uint64_t length, void *context)
{
	void *at;
	(void)context;

	int r = fm__sys_map(NULL, length, PROT_READ, MAP_SHARED, fd, offset, &at);
	if (r < 0)
		return r;
	r = fm__sys_msync(at, length);
	(void)fm__sys_unmap(at, length);
	return r;
}

static int by_fdatasync(int fd, uint64_t offset, uint64_t length, void *context)
{
	(void)offset;
	(void)length;
	(void)context;
	return fm__sys_fdatasync(fd);
}

static int by_fsync(int fd, uint64_t offset, uint64_t length, void *context)
{
	(void)offset;
	(void)length;
	(void)context;
	return fm__sys_fsync(fd);
}

static void flush_of_whole_pages_writes_them_and_no_other(void **state)
{
	const uint64_t page = fm__sys_page_size();

	assert_dirty_after(*state, "D..DDDDD", by_range, (struct dirty_range){page, 2 * page}, NULL);
	assert_dirty_after(*state, ".DDDDDDD", by_range, (struct dirty_range){0, page}, NULL);
	assert_dirty_after(*state, "DDDDDDD.", by_range, (struct dirty_range){7 * page, page}, NULL);
	assert_dirty_after(*state, "D..DDDDD", by_msync, (struct dirty_range){page, 2 * page}, NULL);
}

static void flush_of_parts_writes_every_page_it_touches(void **state)
{
	const uint64_t page = fm__sys_page_size();

	assert_dirty_after(*state, "D.DDDDDD", by_range, (struct dirty_range){page, 1}, NULL);
	assert_dirty_after(*state, "D..DDDDD", by_range, (struct dirty_range){2 * page - 1, 2}, NULL);
	assert_dirty_after(*state, "D...DDDD", by_range, (struct dirty_range){2 * page - 1, page + 2}, NULL);
}

static void flush_of_nothing_writes_nothing(void **state)
{
	assert_dirty_after(*state, "DDDDDDDD", by_range, (struct dirty_range){0, 0}, NULL);
}

static void flush_to_any_end_beyond_the_file_writes_the_rest(void **state)
{
	const uint64_t page = fm__sys_page_size();

	assert_dirty_after(*state, "........", by_range, (struct dirty_range){0, UINT64_MAX}, NULL);
	assert_dirty_after(*state, "DDDD....", by_range, (struct dirty_range){4 * page, 100 * page}, NULL);
	assert_dirty_after(*state, "........", by_range, (struct dirty_range){4 * page, UINT64_MAX}, NULL);
	assert_dirty_after(*state, "........", by_fdatasync, (struct dirty_range){0, 0}, NULL);
	assert_dirty_after(*state, "........", by_fsync, (struct dirty_range){0, 0}, NULL);
}

static void flush_where_a_mapping_is_refused_writes_the_whole_file(void **state)
{
	const uint64_t page = fm__sys_page_size();

	assert_dirty_after(*state, "........", by_write_only, (struct dirty_range){page, page}, *state);
}

static void flush_of_a_bad_descriptor_is_ebadf(void **state)
{
	(void)state;
	assert_int_equal(fm__sys_flush_range(-1, 0, 1, NULL), -EBADF);
	assert_int_equal(fm__sys_flush_range(-1, 0, UINT64_MAX, NULL), -EBADF);
	assert_int_equal(fm__sys_fdatasync(-1), -EBADF);
	assert_int_equal(fm__sys_fsync(-1), -EBADF);
}

static int by_writeback(int fd, uint64_t offset, uint64_t length, void *context)
{
	(void)context;
	return fm__sys_writeback_range(fd, offset, length);
}

static void writeback_starts_the_pages_of_the_range_and_no_other(void **state)
{
	const uint64_t page = fm__sys_page_size();

	assert_dirty_after(*state, "D..DDDDD", by_writeback, (struct dirty_range){page, 2 * page}, NULL);
	assert_dirty_after(*state, "DDDDDDDD", by_writeback, (struct dirty_range){page, 0}, NULL);
	assert_dirty_after(*state, "D.......", by_writeback, (struct dirty_range){page, UINT64_MAX}, NULL);
}

static void cachestat_counts_cached_and_dirty_pages(void **state)
{
	const int fd = make_sparse_file(*state);
	const size_t page = fm__sys_page_size();
	struct fm__cache_pages pages = {1, 1, 1};

	if (!dirt_is_visible(fd)) {
		fm__sys_close(fd);
		t_skip("dirty pages are not visible here: tmpfs, or no cachestat(2)");
	}
	assert_ok(fm__sys_cachestat(fd, 0, DIRTY_PAGES * page, &pages));
	assert_true(pages.cached == 0 && pages.dirty == 0 && pages.writeback == 0);
	store_to_all_pages(fd);
	assert_ok(fm__sys_cachestat(fd, page, 3 * page, &pages));
	assert_int_equal(pages.cached, 3);
	assert_int_equal(pages.dirty + pages.writeback, 3);
	assert_ok(fm__sys_cachestat(fd, page, 0, &pages));
	assert_int_equal(pages.cached, 0);
	fm__sys_close(fd);
	assert_int_equal(fm__sys_cachestat(fd, 0, 1, &pages), -EBADF);
}

T_MAIN(T_TEST(flush_of_whole_pages_writes_them_and_no_other),
       T_TEST(flush_of_parts_writes_every_page_it_touches), T_TEST(flush_of_nothing_writes_nothing),
       T_TEST(flush_to_any_end_beyond_the_file_writes_the_rest),
       T_TEST(flush_where_a_mapping_is_refused_writes_the_whole_file),
       T_PLAIN(flush_of_a_bad_descriptor_is_ebadf),
       T_TEST(writeback_starts_the_pages_of_the_range_and_no_other),
       T_TEST(cachestat_counts_cached_and_dirty_pages))
