/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Flushes through a ring of the program's own: what they write, and that prep and finish are square in any state. */
#include <liburing.h>

#include <filemap/filemap.h>
#include <filemap/uring.h>

#include "dirty.h"

#include "map/private.h"

#define PAGES 8u

static size_t page;

static void open_uring(struct io_uring *ring)
{
	const int r = io_uring_queue_init(16, ring, 0);

	page = fm__sys_page_size();
	if (r == -EPERM || r == -ENOSYS || r == -ENOMEM)
		t_skip("io_uring is missing or forbidden here");
	assert_ok(r);
}

/* Sparse: a page that a store creates is a folio of its own. */
static struct filemap *open_sparse(const struct t_dir *dir, uint64_t size)
{
	struct filemap *map;

	const int r = filemap_open(t_path(dir, "own"), FILEMAP_WRITE,
				   FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | FILEMAP_SPARSE, .size = size),
				   &map, NULL);
	if (r == -EFBIG || r == -ENOMEM || r == FILEMAP_ERANGE)
		t_skip("no room for such a sparse file and mapping");
	assert_ok(r);
	return map;
}

static void store(struct filemap *map)
{
	unsigned char *at = filemap_data_mut(map);

	for (unsigned i = 0; i < PAGES; i++)
		at[i * page]++;
}

static struct io_uring_sqe *prep(struct io_uring *ring, struct filemap *map, size_t offset, size_t length,
				 uint64_t data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	assert_non_null(sqe);
	memset(sqe, 0xFF, sizeof *sqe);
	io_uring_sqe_set_data64(sqe, data);
	assert_ok(filemap_prep_flush(map, offset, length, sqe));
	assert_true(sqe->user_data == data);
	return sqe;
}

static int complete(struct io_uring *ring, uint64_t *ret_data)
{
	struct io_uring_cqe *cqe;
	int r;

	do
		r = io_uring_submit_and_wait(ring, 1);
	while (r == -EINTR);
	assert_true(r >= 0);
	assert_ok(io_uring_wait_cqe(ring, &cqe));
	*ret_data = cqe->user_data;
	r = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return r;
}

/* All the way: prepared, submitted, finished. */
static int flush(struct io_uring *ring, struct filemap *map, size_t offset, size_t length)
{
	uint64_t data;

	(void)prep(ring, map, offset, length, 77);
	const int res = complete(ring, &data);
	assert_true(data == 77);
	return filemap_finish_flush(map, offset, length, res);
}

static bool is_pinned(const struct filemap *map)
{
	return fm__filemap_is_pinned(map);
}

/* ---- what is written ---- */

static void leaves(struct io_uring *ring, struct filemap *map, const char *expected, size_t offset,
		   size_t length)
{
	char drawn[DIRTY_PAGES + 1] = "";

	for (int attempt = 0; attempt < 5 && strcmp(drawn, expected) != 0; attempt++) {
		store(map);
		assert_ok(flush(ring, map, offset, length));
		draw_dirty_pages(filemap_fd(map), drawn);
	}
	assert_string_equal(drawn, expected);
}

static void a_flush_writes_exactly_its_pages(void **state)
{
	struct io_uring ring;
	open_uring(&ring);
	struct filemap *map = open_sparse(*state, PAGES * page);
	const bool visible = dirt_is_visible(filemap_fd(map));

	if (visible) {
		leaves(&ring, map, "D..DDDDD", page, 2 * page);
		leaves(&ring, map, "D...DDDD", page, 2 * page + 1);
		leaves(&ring, map, "D.DDDDDD", 2 * page - 1, 1);
		leaves(&ring, map, ".DDDDDDD", 0, 1);
		leaves(&ring, map, ".DDDDDDD", 0, page);
		leaves(&ring, map, "DDDDD...", 5 * page, FILEMAP_TO_END);
		leaves(&ring, map, "........", 0, FILEMAP_TO_END);
		store(map);
		assert_ok(flush(&ring, map, page, 0));
	}
	assert_false(is_pinned(map));
	filemap_close(map);
	io_uring_queue_exit(&ring);
	if (!visible)
		t_skip("dirty pages are not visible here: tmpfs, or no cachestat(2)");
}

static void a_range_of_4_gib_is_refused_and_nothing_is_taken(void **state)
{
	struct io_uring_sqe sqe, before;
	struct io_uring ring;
	open_uring(&ring);
	struct filemap *map = open_sparse(*state, (UINT64_C(1) << 32) + 4 * page);

	memset(&sqe, 0x5A, sizeof sqe);
	before = sqe;
	assert_int_equal(filemap_prep_flush(map, 0, FILEMAP_TO_END, &sqe), FILEMAP_ERANGE);
	assert_int_equal(filemap_prep_flush(map, page, (size_t)1 << 32, &sqe), FILEMAP_ERANGE);
	/* In whole pages it is 4 GiB. */
	assert_int_equal(filemap_prep_flush(map, 1, ((size_t)1 << 32) - 2, &sqe), FILEMAP_ERANGE);
	assert_int_equal(filemap_prep_flush(map, (size_t)1 << 33, 1, &sqe), FILEMAP_ERANGE);
	assert_memory_equal(&sqe, &before, sizeof sqe);
	assert_false(is_pinned(map));
	((unsigned char *)filemap_data_mut(map))[(UINT64_C(1) << 32) + page] = 1;
	assert_ok(flush(&ring, map, page, ((size_t)1 << 32) - page));
	assert_ok(flush(&ring, map, (size_t)1 << 32, FILEMAP_TO_END));
	assert_ok(filemap_try_close(map));
	io_uring_queue_exit(&ring);
}

static void what_has_no_device_gets_a_no_operation(void **state)
{
	struct filemap *maps[3] = {open_sparse(*state, PAGES * fm__sys_page_size()), NULL, NULL};
	struct io_uring ring;
	uint64_t data;

	open_uring(&ring);
	t_write_file(t_path(*state, "cow"), "some", 4);
	assert_ok(filemap_open(t_path(*state, "cow"), FILEMAP_COW, NULL, &maps[1], NULL));
	assert_ok(filemap_anonymous(page, NULL, &maps[2], NULL));
	for (int i = 0; i < 3; i++) {
		const size_t length = i == 0 ? 0 : 4; /* nothing of a file is nothing, too */
		assert_int_equal(prep(&ring, maps[i], 0, length, 5)->opcode, IORING_OP_NOP);
		assert_true(is_pinned(maps[i]));
		assert_ok(filemap_finish_flush(maps[i], 0, length, complete(&ring, &data)));
		assert_true(data == 5);
		assert_false(is_pinned(maps[i]));
		filemap_close(maps[i]);
	}
	io_uring_queue_exit(&ring);
}

/* ---- beside and behind other requests ---- */

static void a_flush_linked_behind_a_write_covers_it(void **state)
{
	const char text[] = "linked";
	struct io_uring ring;
	uint64_t data[2];
	open_uring(&ring);
	struct filemap *map = open_sparse(*state, PAGES * page);

	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	io_uring_prep_write(sqe, filemap_fd(map), text, sizeof text, page);
	io_uring_sqe_set_data64(sqe, 1);
	sqe->flags |= IOSQE_IO_LINK;
	(void)prep(&ring, map, page, page, 2);
	assert_int_equal(complete(&ring, &data[0]), sizeof text);
	const int res = complete(&ring, &data[1]);
	assert_true(data[0] == 1 && data[1] == 2);
	assert_ok(filemap_finish_flush(map, page, page, res));
	assert_string_equal((const char *)filemap_data(map) + page, text);
	if (dirt_is_visible(filemap_fd(map)))
		assert_int_equal(page_is_dirty(filemap_fd(map), 1), 0);
	filemap_close(map);
	io_uring_queue_exit(&ring);
}

static void a_flush_behind_a_failed_write_was_never_begun(void **state)
{
	struct io_uring ring;
	uint64_t data;
	open_uring(&ring);
	struct filemap *map = open_sparse(*state, PAGES * page);

	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	io_uring_prep_write(sqe, 987654, "x", 1, 0);
	io_uring_sqe_set_data64(sqe, 1);
	sqe->flags |= IOSQE_IO_LINK;
	(void)prep(&ring, map, 0, page, 2);
	int r = complete(&ring, &data);
	assert_int_equal(data == 1 ? r : -EBADF, -EBADF);
	if (data == 1)
		r = complete(&ring, &data);
	else
		assert_int_equal(complete(&ring, &data), -EBADF);
	assert_int_equal(filemap_finish_flush(map, 0, page, r), -ECANCELED);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	assert_ok(flush(&ring, map, 0, page));
	assert_ok(filemap_try_close(map));
	io_uring_queue_exit(&ring);
}

static void several_at_once_end_each_for_itself(void **state)
{
	struct io_uring ring;
	uint64_t data, seen = 0;
	open_uring(&ring);
	struct filemap *map = open_sparse(*state, PAGES * page);

	store(map);
	for (unsigned i = 0; i < PAGES; i++)
		(void)prep(&ring, map, i * page, page, i);
	for (unsigned i = 0; i < PAGES; i++) {
		assert_true(is_pinned(map));
		const int res = complete(&ring, &data);
		assert_ok(filemap_finish_flush(map, data * page, page, res));
		seen |= UINT64_C(1) << data;
	}
	assert_true(seen == (UINT64_C(1) << PAGES) - 1);
	assert_ok(filemap_try_close(map));
	io_uring_queue_exit(&ring);
}

/* ---- what becomes of the mapping meanwhile ---- */

static void a_map_closed_meanwhile_ends_with_its_last_flush(void **state)
{
	struct t_dir *dir = *state;
	struct io_uring ring;
	uint64_t data;
	open_uring(&ring);
	const struct t_census before = t_census_take(dir->path);
	struct filemap *map = open_sparse(dir, PAGES * page);
	const struct t_census open = t_census_take(dir->path);

	store(map);
	(void)prep(&ring, map, 0, page, 1);
	(void)prep(&ring, map, page, page, 2);
	assert_int_equal(filemap_try_close(map), FILEMAP_EBUSY);
	filemap_close(map);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(t_census_take(dir->path).descriptors, open.descriptors);
		assert_int_equal(t_census_take(dir->path).mappings, open.mappings);
		assert_ok(filemap_finish_flush(map, (size_t)i * page, page, complete(&ring, &data)));
	}
	assert_int_equal(t_census_take(dir->path).descriptors, before.descriptors);
	assert_int_equal(t_census_take(dir->path).mappings, before.mappings);
	io_uring_queue_exit(&ring);
}

static void a_failed_flush_taints(void **state)
{
	struct io_uring ring;
	struct io_uring_sqe sqe = {0};
	uint64_t data, offset, length;
	open_uring(&ring);
	struct filemap *map = open_sparse(*state, PAGES * page);
	struct io_uring_sqe never = {0};

	(void)prep(&ring, map, 0, page, 1);
	assert_ok(filemap_prep_flush(map, page, page, &never));
	assert_int_equal(filemap_finish_flush(map, page, page, -EIO), -EIO);
	assert_true(filemap_state(map) & FILEMAP_STATE_TAINTED);
	assert_int_equal(filemap_poison_cause(map), -EIO);
	assert_int_equal(filemap_doubt(map, &offset, &length), 1);
	assert_true(offset == 0 && length >= PAGES * page);
	/* One that was on its way, and went well; it held its pin for itself. */
	assert_true(is_pinned(map));
	const int res = complete(&ring, &data);
	assert_int_equal(filemap_finish_flush(map, 0, page, res), FILEMAP_EPOISONED);
	assert_false(is_pinned(map));
	assert_int_equal(filemap_prep_flush(map, 0, page, &sqe), FILEMAP_EPOISONED);
	assert_false(is_pinned(map));
	filemap_close(map);
	io_uring_queue_exit(&ring);
}

static void a_flush_that_never_began_taints_nothing(void **state)
{
	static const int results[] = {-ECANCELED, -EINTR, -EAGAIN};
	struct io_uring ring;
	open_uring(&ring);
	struct filemap *map = open_sparse(*state, PAGES * page);
	struct io_uring_sqe sqe = {0};

	for (int i = 0; i < 3; i++) {
		assert_ok(filemap_prep_flush(map, 0, page, &sqe));
		assert_true(is_pinned(map));
		assert_int_equal(filemap_finish_flush(map, 0, page, results[i]), results[i]);
		assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
		assert_false(is_pinned(map));
	}
	assert_ok(flush(&ring, map, 0, page));
	filemap_close(map);
	io_uring_queue_exit(&ring);
}

/* The range that was nothing is something by now, and the other way round. */
static void a_window_that_changed_gives_back_the_same(void **state)
{
	struct io_uring_sqe sqe = {0};
	struct filemap *map;

	page = fm__sys_page_size();
	assert_ok(filemap_open(
		t_path(*state, "own"), FILEMAP_WRITE,
		FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | FILEMAP_SPARSE, .size = page, .reserve = 64 * page),
		&map, NULL));
	assert_ok(filemap_prep_flush(map, page, FILEMAP_TO_END, &sqe));
	const int grown = filemap_resize(map, 4 * page, NULL);
	assert_ok(filemap_finish_flush(map, page, FILEMAP_TO_END, 0));
	assert_ok(grown);
	assert_false(is_pinned(map));
	assert_ok(filemap_prep_flush(map, 0, FILEMAP_TO_END, &sqe));
	assert_int_equal(filemap_resize(map, page, NULL), FILEMAP_EBUSY);
	fm__filemap_poison(map, -EIO);
	assert_int_equal(filemap_size(map), 0);
	assert_ok(filemap_finish_flush(map, 0, FILEMAP_TO_END, 0));
	assert_false(is_pinned(map));
	assert_int_equal(filemap_prep_flush(map, 0, FILEMAP_TO_END, &sqe), FILEMAP_EPOISONED);
	assert_ok(filemap_try_close(map));
}

/* Both a failure that is told, and what is given back, once the map was closed. */
static void a_failure_after_the_close_is_told(void **state)
{
	struct t_dir *dir = *state;
	struct io_uring_sqe sqe = {0};
	struct filemap *map = open_sparse(dir, PAGES * fm__sys_page_size());

	page = fm__sys_page_size();
	assert_ok(filemap_prep_flush(map, 0, page, &sqe));
	assert_ok(filemap_prep_flush(map, page, page, &sqe));
	filemap_close(map);
	assert_int_equal(filemap_finish_flush(map, 0, page, -ENOSPC), -ENOSPC);
	assert_int_equal(filemap_finish_flush(map, page, page, 0), FILEMAP_EPOISONED);
	t_census_same(dir);
}

T_MAIN(T_TEST(a_flush_writes_exactly_its_pages), T_TEST(a_range_of_4_gib_is_refused_and_nothing_is_taken),
       T_TEST(what_has_no_device_gets_a_no_operation), T_TEST(a_flush_linked_behind_a_write_covers_it),
       T_TEST(a_flush_behind_a_failed_write_was_never_begun), T_TEST(several_at_once_end_each_for_itself),
       T_TEST(a_map_closed_meanwhile_ends_with_its_last_flush), T_TEST(a_failed_flush_taints),
       T_TEST(a_flush_that_never_began_taints_nothing), T_TEST(a_window_that_changed_gives_back_the_same),
       T_TEST(a_failure_after_the_close_is_told))
