/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What each kind of call does through the ring, seen by what is dirty, resident, allocated or as long afterwards;
 * also where the kernel has 32 bits, or its end is the last byte, included.
 */
#include <signal.h>
#include <sys/resource.h>

#include "dirty.h"
#include "ring.h"

static void calls_that_no_entry_can_take_are_refused(void **state)
{
	static const struct fm__call calls[] = {
		{FM_CALL_NONE, 3, 0, 0, NULL, 0, NULL},
		{FM_CALL_FLUSH, 3, 0, 0, NULL, 0, NULL},
		{FM_CALL_FLUSH, 3, 0, FM_RING_FLUSH_MAX + 1, NULL, 0, NULL},
		{FM_CALL_FLUSH, 3, 1, UINT64_MAX, NULL, 0, NULL},
		{FM_CALL_FLUSH, 3, UINT64_MAX, 1, NULL, 0, NULL},
		{FM_CALL_WRITEBACK, 3, 0, 0, NULL, 0, NULL},
		{FM_CALL_WRITEBACK, 3, 4096, FM_RING_FLUSH_MAX + 1, NULL, 0, NULL},
		{FM_CALL_WRITEBACK, 3, 1, UINT64_MAX, NULL, 0, NULL},
		{FM_CALL_WRITEBACK, 3, UINT64_MAX, 1, NULL, 0, NULL},
		{FM_CALL_ADVISE, -1, 0, 0, NULL, MADV_NORMAL, NULL},
		{FM_CALL_ADVISE, -1, 0, FM_RING_FLUSH_MAX + 1, NULL, MADV_NORMAL, NULL},
		{FM_CALL_ALLOCATE, 3, UINT64_MAX, 1, NULL, 0, NULL},
		{FM_CALL_ALLOCATE, 3, 0, UINT64_MAX, NULL, 0, NULL},
		{FM_CALL_TRUNCATE, 3, 0, UINT64_MAX, NULL, 0, NULL},
	};
	struct fm__ring *ring = open_ring(2);
	(void)state;

	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
		assert_int_equal(fm__ring_push(ring, &calls[i], 1), -EINVAL);
	assert_ok(fm__ring_submit(ring));
	assert_int_equal(fm__ring_wait(ring, 0), -ETIME);
	fm__ring_close(ring);
}

/* ---- what is written ---- */

struct way {
	struct fm__ring *ring;
	enum fm__call_kind kind;
};

static int write_out(int fd, uint64_t offset, uint64_t length, void *context)
{
	const struct way *way = context;
	const struct fm__call call = {way->kind, fd, offset, length, NULL, 0, NULL};
	return by_ring(way->ring, &call);
}

static void leaves(const struct t_dir *dir, struct way *way, const char *expected, uint64_t offset,
		   uint64_t length)
{
	assert_dirty_after(dir, expected, write_out, (struct dirty_range){offset, length}, way);
}

static void skip_unless_dirt_shows(const struct t_dir *dir)
{
	const int fd = make_sparse_file(dir);
	const bool visible = dirt_is_visible(fd);

	fm__sys_close(fd);
	if (!visible)
		t_skip("dirty pages are not visible here: tmpfs, or no cachestat(2)");
}

/* Flushes and writebacks alike, though their ends are counted differently. */
static void writes_exactly_its_pages(const struct t_dir *dir, enum fm__call_kind kind)
{
	const uint64_t page = fm__sys_page_size();
	skip_unless_dirt_shows(dir);
	struct way way = {open_ring(8), kind};

	leaves(dir, &way, "D..DDDDD", page, 2 * page);
	leaves(dir, &way, "D..DDDDD", page, 2 * page - 1);
	leaves(dir, &way, "D...DDDD", page, 2 * page + 1);
	leaves(dir, &way, "D.DDDDDD", page, 1);
	leaves(dir, &way, "D.DDDDDD", 2 * page - 1, 1);
	leaves(dir, &way, "D..DDDDD", 2 * page - 1, 2);
	leaves(dir, &way, ".DDDDDDD", 0, 1);
	leaves(dir, &way, ".DDDDDDD", 0, 2);
	leaves(dir, &way, ".DDDDDDD", 0, page);
	leaves(dir, &way, "..DDDDDD", 0, page + 1);
	leaves(dir, &way, "........", 0, UINT64_MAX);
	leaves(dir, &way, "........", 0, FM_RING_FLUSH_MAX);
	leaves(dir, &way, "DDDD....", 4 * page, FM_RING_FLUSH_MAX);
	fm__ring_close(way.ring);
}

static void a_flush_writes_exactly_its_pages(void **state)
{
	writes_exactly_its_pages(*state, FM_CALL_FLUSH);
}

static void a_writeback_begins_exactly_its_pages(void **state)
{
	writes_exactly_its_pages(*state, FM_CALL_WRITEBACK);
}

static void a_sync_writes_the_whole_file(void **state)
{
	skip_unless_dirt_shows(*state);
	struct way way = {open_ring(8), FM_CALL_SYNC};

	leaves(*state, &way, "........", 0, 0);
	leaves(*state, &way, "........", fm__sys_page_size(), 1);
	fm__ring_close(way.ring);
}

/* ---- beyond 4 GiB ---- */

#define GIB4 (UINT64_C(1) << 32)

/* Pairs that are one page to somebody with 32 bits, and the last page of the longest entry with the first behind it. */
static uint64_t far_page(unsigned i)
{
	const uint64_t page = fm__sys_page_size();
	const uint64_t at[] = {0, page, FM_RING_FLUSH_MAX - page, FM_RING_FLUSH_MAX, GIB4, GIB4 + page};
	return at[i];
}

#define FAR_PAGES 6

static void store_to_far_pages(int fd)
{
	const size_t page = fm__sys_page_size();
	void *at;

	for (unsigned i = 0; i < FAR_PAGES; i++) {
		assert_ok(fm__sys_map(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, far_page(i), &at));
		*(volatile unsigned char *)at = 1;
		assert_ok(fm__sys_unmap(at, page));
	}
}

static void draw_far_pages(int fd, char to[FAR_PAGES + 1])
{
	struct fm__cache_pages pages;

	for (unsigned i = 0; i < FAR_PAGES; i++) {
		assert_ok(fm__sys_cachestat(fd, far_page(i), fm__sys_page_size(), &pages));
		to[i] = pages.dirty > 0 ? 'D' : '.';
	}
	to[FAR_PAGES] = '\0';
}

/* As assert_dirty_after(): somebody else's sync(2) may come in between. A page that is still being written from the
 * last time would be passed over by a writeback, hence all is clean at first. */
static void leaves_far(int fd, struct way *way, const char *expected, uint64_t offset, uint64_t length)
{
	char drawn[FAR_PAGES + 1] = "";

	for (int attempt = 0; attempt < 5 && strcmp(drawn, expected) != 0; attempt++) {
		assert_ok(fm__sys_fdatasync(fd));
		store_to_far_pages(fd);
		assert_int_equal(write_out(fd, offset, length, way), 0);
		draw_far_pages(fd, drawn);
	}
	assert_string_equal(drawn, expected);
}

static void has_more_than_32_bits(const struct t_dir *dir, enum fm__call_kind kind)
{
	const uint64_t page = fm__sys_page_size();
	skip_unless_dirt_shows(dir);
	struct way way = {open_ring(8), kind};
	const int fd = make_sparse_file(dir);

	assert_ok(fm__sys_ftruncate(fd, GIB4 + 8 * page));
	leaves_far(fd, &way, "DDDD.D", GIB4, page);
	leaves_far(fd, &way, "DDDDD.", GIB4 + page, page);
	leaves_far(fd, &way, "...DDD", 0, FM_RING_FLUSH_MAX);
	leaves_far(fd, &way, "DDD...", FM_RING_FLUSH_MAX, FM_RING_FLUSH_MAX);
	leaves_far(fd, &way, "DDDD..", GIB4, FM_RING_FLUSH_MAX);
	leaves_far(fd, &way, "......", 0, UINT64_MAX);
	fm__sys_close(fd);
	fm__ring_close(way.ring);
}

static void a_flush_has_more_than_32_bits(void **state)
{
	has_more_than_32_bits(*state, FM_CALL_FLUSH);
}

static void a_writeback_has_more_than_32_bits(void **state)
{
	has_more_than_32_bits(*state, FM_CALL_WRITEBACK);
}

/* ---- memory ---- */

static void *map_memory(size_t length)
{
	void *at;

	if (fm__sys_map(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			0, &at) < 0)
		t_skip("no address space");
	(void)fm__sys_madvise(at, length, MADV_NOHUGEPAGE);
	return at;
}

static char residency(void *at)
{
	unsigned char resident;

	assert_ok(fm__sys_mincore(at, fm__sys_page_size(), &resident));
	return resident & 1 ? 'R' : '.';
}

static int advise(struct fm__ring *ring, unsigned char *at, uint64_t length, int advice)
{
	const struct fm__call call = {FM_CALL_ADVISE, -1, 0, length, at, advice, NULL};
	return by_ring(ring, &call);
}

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static void advice_reaches_exactly_its_pages(void **state)
{
	const size_t page = fm__sys_page_size();
	struct fm__ring *ring = open_ring(8);
	unsigned char *at = map_memory(6 * page);
	char drawn[7] = "";
	(void)state;

	const int r = advise(ring, at + page, 2 * page, MADV_POPULATE_WRITE);
	if (r != -EINVAL) { /* before Linux 5.14 */
		assert_int_equal(r, 0);
		for (unsigned i = 0; i < 6; i++)
			drawn[i] = residency(at + i * page);
		assert_string_equal(drawn, ".RR...");
	}
	assert_int_equal(advise(ring, at, page, 12345), -EINVAL);
	assert_ok(fm__sys_unmap(at + 5 * page, page));
	assert_int_equal(advise(ring, at + 4 * page, 2 * page, MADV_DONTNEED), -ENOMEM);
	fm__ring_close(ring);
	assert_ok(fm__sys_unmap(at, 5 * page));
}

static void the_longest_advice_ends_where_it_says(void **state)
{
	const size_t page = fm__sys_page_size(), length = FM_RING_FLUSH_MAX + 2 * page;
	struct fm__ring *ring = open_ring(8);
	unsigned char *at = map_memory(length);
	unsigned char *last = at + FM_RING_FLUSH_MAX - page, *behind = at + FM_RING_FLUSH_MAX;
	(void)state;

	at[0] = last[0] = behind[0] = 1;
	assert_int_equal(advise(ring, at, FM_RING_FLUSH_MAX, MADV_DONTNEED), 0);
	assert_int_equal(at[0] + last[0], 0);
	assert_int_equal(behind[0], 1);
	fm__ring_close(ring);
	assert_ok(fm__sys_unmap(at, length));
}

/* ---- sizes ---- */

static uint64_t size_of(int fd)
{
	struct stat status;

	assert_ok(fm__sys_fstat(fd, &status));
	return (uint64_t)status.st_size;
}

static void an_allocation_has_blocks_and_a_size(void **state)
{
	const uint64_t offset = GIB4 + 65536;
	struct fm__ring *ring = open_ring(8);
	const int fd = make_sparse_file(*state);
	const struct fm__call call = {FM_CALL_ALLOCATE, fd, offset, 65536, NULL, 0, NULL};
	struct stat status;

	const int r = by_ring(ring, &call);
	if (r == -EOPNOTSUPP) {
		fm__ring_close(ring);
		fm__sys_close(fd);
		t_skip("this file system cannot allocate blocks");
	}
	assert_int_equal(r, 0);
	assert_ok(fm__sys_fstat(fd, &status));
	assert_true((uint64_t)status.st_size == offset + 65536);
	assert_true(status.st_blocks >= 128 && status.st_blocks < 1024);
	fm__ring_close(ring);
	fm__sys_close(fd);
}

static void a_truncation_sets_the_size(void **state)
{
	static const uint64_t sizes[] = {GIB4 + 12345, 100, 0, 4096};
	struct fm__ring *ring = open_ring(8);
	const int fd = make_sparse_file(*state);
	int r = 0;

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes && r == 0; i++) {
		const struct fm__call call = {FM_CALL_TRUNCATE, fd, 0, sizes[i], NULL, 0, NULL};
		r = by_ring(ring, &call);
		assert_true(r != 0 || size_of(fd) == sizes[i]);
	}
	/* The unknown kind holds up nothing. */
	assert_ok(push_flush(ring, fd, 0, 4096, 7));
	assert_int_equal(complete_one(ring).result, 0);
	fm__ring_close(ring);
	fm__sys_close(fd);
	if (r == -EINVAL)
		t_skip("no truncation through a ring before Linux 6.9");
	assert_int_equal(r, 0);
}

/* SIGXFSZ would end this process; and 4 GiB and a bit are no bit. */
static int grow_beyond_the_limit(void *context)
{
	const int fd = make_sparse_file(context);
	const struct rlimit limit = {.rlim_cur = 1 << 20, .rlim_max = RLIM_INFINITY};
	const struct fm__call large = {FM_CALL_ALLOCATE, fd, 0, GIB4 + 4096, NULL, 0, NULL};
	const struct fm__call far = {FM_CALL_ALLOCATE, fd, GIB4, 4096, NULL, 0, NULL};
	const struct fm__call longer = {FM_CALL_TRUNCATE, fd, 0, GIB4 + 4096, NULL, 0, NULL};
	struct fm__ring *ring;

	if (fm__ring_open(8, &ring) < 0)
		return CHILD_CANNOT;
	signal(SIGXFSZ, SIG_DFL);
	if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
		return 1;
	int r = by_ring_quietly(ring, &large);
	if (r != -EFBIG && r != -EOPNOTSUPP)
		return 2;
	if (r == -EFBIG && by_ring_quietly(ring, &far) != -EFBIG)
		return 3;
	r = by_ring_quietly(ring, &longer);
	if (r != -EFBIG && r != -EINVAL)
		return 4;
	fm__ring_close(ring);
	return fm__sys_openat(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY, 0) < 0 ? 5 : 0;
}

static void a_file_size_limit_is_an_answer_and_no_signal(void **state)
{
	const int r = t_in_child(grow_beyond_the_limit, *state);

	if (r == CHILD_CANNOT)
		t_skip("io_uring is missing or forbidden here");
	assert_ok(r);
}

static void a_flush_of_a_bad_descriptor_is_ebadf_in_all_kinds(void **state)
{
	static const enum fm__call_kind kinds[] = {FM_CALL_FLUSH, FM_CALL_SYNC, FM_CALL_WRITEBACK,
						   FM_CALL_ALLOCATE};
	struct fm__ring *ring = open_ring(8);
	(void)state;

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		const struct fm__call call = {kinds[i], 987654, 0, 4096, NULL, 0, NULL};
		assert_int_equal(by_ring(ring, &call), -EBADF);
	}
	fm__ring_close(ring);
}

T_MAIN(T_TEST(calls_that_no_entry_can_take_are_refused), T_TEST(a_flush_writes_exactly_its_pages),
       T_TEST(a_writeback_begins_exactly_its_pages), T_TEST(a_sync_writes_the_whole_file),
       T_TEST(a_flush_has_more_than_32_bits), T_TEST(a_writeback_has_more_than_32_bits),
       T_TEST(advice_reaches_exactly_its_pages), T_TEST(the_longest_advice_ends_where_it_says),
       T_TEST(an_allocation_has_blocks_and_a_size), T_TEST(a_truncation_sets_the_size),
       T_TEST(a_file_size_limit_is_an_answer_and_no_signal),
       T_TEST(a_flush_of_a_bad_descriptor_is_ebadf_in_all_kinds))
