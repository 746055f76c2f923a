/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What only a ring can do to a queue: be full, be taken away, cut flushes into pieces, give them back undone. */
#include <errno.h>

#include "queue_stage.h"

/* ---- rings that refuse ---- */

static void a_full_ring_delays_only(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape);
	struct filemap *map = open_map(dir, "a");

	ring_plan.full = 3;
	for (int i = 0; i < APART; i++)
		(void)flush_apart(queue, map, i);
	for (uint64_t ticket = 1; ticket <= APART; ticket++)
		assert_int_equal(result_of(queue, ticket), 0);
	assert_int_equal(ring_plan.pushes, APART);
	assert_int_equal(ring_plan.full, 0);
	assert_int_equal(fault_count("flush_range"), 0);
	finish(queue, map);
}

static void a_busy_submission_is_repeated(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape);
	struct filemap *map = open_map(dir, "a");

	plan(&ring_plan.submit_error, -EBUSY);
	(void)flush(queue, map);
	assert_int_equal(result_of(queue, 1), 0);
	assert_int_equal(fault_count("flush_range"), 0);
	finish(queue, map);
}

static void a_refused_submission_is_flushed_by_hand(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape);
	struct filemap *map = open_map(dir, "a");

	plan(&ring_plan.submit_error, -EPERM);
	for (int i = 0; i < 3; i++)
		(void)flush_apart(queue, map, i);
	for (uint64_t ticket = 1; ticket <= 3; ticket++)
		assert_int_equal(result_of(queue, ticket), 0);
	assert_int_equal(fault_count("flush_range"), 3);
	plan(&ring_plan.submit_error, 0); /* never asked again */
	assert_int_equal(result_of(queue, flush(queue, map)), 0);
	assert_int_equal(fault_count("flush_range"), 4);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	finish(queue, map);
}

static void a_refused_wait_leaves_sent_flushes_in_doubt(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape);
	struct filemap *map = open_map(dir, "a");

	plan(&ring_plan.wait_error, -EPERM);
	assert_int_equal(result_of(queue, flush(queue, map)), -EPERM);
	assert_true(filemap_state(map) & FILEMAP_STATE_TAINTED);
	finish(queue, map);
}

/* ---- pieces ---- */

#define LARGE (UINT64_C(5) << 30) /* two pieces */

static struct filemap *open_large(const struct t_dir *dir)
{
	struct filemap *map;
	int r = filemap_open(t_path(dir, "large"), FILEMAP_WRITE,
			     FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | FILEMAP_SPARSE, .size = LARGE), &map,
			     NULL);

	if (r == -EFBIG || r == -ENOMEM || r == FILEMAP_ERANGE)
		t_skip("no room for a sparse file and mapping of 5 GiB");
	assert_ok(r);
	return map;
}

/* Skips before a queue is open. */
static struct filemap_queue *open_queue_and_large(const struct t_dir *dir, const struct shape *shape,
						  struct filemap **ret_map)
{
	struct filemap_queue *queue;

	filemap_close(open_large(dir));
	queue = open_queue(shape);
	*ret_map = open_large(dir);
	return queue;
}

static void a_flush_of_5_gib_goes_in_pieces(struct t_dir *dir, const struct shape *shape)
{
	struct filemap *map;
	struct filemap_queue *queue = open_queue_and_large(dir, shape, &map);

	assert_int_equal(result_of(queue, flush(queue, map)), 0);
	assert_int_equal(ring_plan.pushes, 2);
	assert_int_equal(ring_plan.offsets[0], 0);
	assert_int_equal(ring_plan.lengths[0], FM_RING_FLUSH_MAX);
	assert_int_equal(ring_plan.offsets[1], FM_RING_FLUSH_MAX);
	assert_int_equal(ring_plan.lengths[1], LARGE - FM_RING_FLUSH_MAX);
	assert_int_equal(gate_passed, 1);
	for (int nth = 1; nth <= 2; nth++) {
		filemap_close(map);
		map = open_large(dir);
		plan(&ring_plan.reaped_nth, nth);
		plan(&ring_plan.reaped_error, -EIO);
		assert_int_equal(result_of(queue, flush(queue, map)), -EIO);
		assert_int_equal(gate_passed, 1 + nth);
	}
	finish(queue, map);
}

static void the_error_of_a_piece_outlasts_the_ring(struct t_dir *dir, const struct shape *shape)
{
	struct filemap *map;
	struct filemap_queue *queue = open_queue_and_large(dir, shape, &map);

	ring_plan.one_at_a_time = 1;
	ring_plan.reaped_nth = 1;
	ring_plan.reaped_error = -EIO;
	ring_plan.refused_once_spoilt = 1;
	assert_int_equal(result_of(queue, flush(queue, map)), -EIO);
	assert_int_equal(fault_count("flush_range"), 1); /* the rest, by hand */
	finish(queue, map);
}

/* ---- flushes that nobody cancelled ---- */

static void an_undone_flush_is_pushed_again(struct t_dir *dir, const struct shape *shape)
{
	static const int errors[] = {-ECANCELED, -EAGAIN, -EINTR};

	for (int i = 0; i < 3; i++) {
		struct filemap_queue *queue = open_queue(shape);
		struct filemap *map = open_map(dir, "a");

		plan(&ring_plan.reaped_error, errors[i]);
		plan(&ring_plan.reaped_nth, 1);
		assert_int_equal(result_of(queue, flush(queue, map)), 0);
		assert_int_equal(ring_plan.pushes, 2);
		assert_int_equal(gate_passed, 1);
		assert_int_equal(fault_count("flush_range"), 0);
		assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
		finish(queue, map);
	}
}

static void a_flush_undone_again_and_again_is_done_by_hand(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape);
	struct filemap *map = open_map(dir, "a");

	plan(&ring_plan.reaped_error, -ECANCELED);
	plan(&ring_plan.reaped_more, 1000);
	plan(&ring_plan.reaped_nth, 1);
	assert_int_equal(result_of(queue, flush(queue, map)), 0);
	assert_int_equal(ring_plan.pushes, 3);
	assert_int_equal(fault_count("flush_range"), 1);
	plan(&ring_plan.reaped_nth, 0);
	assert_int_equal(result_of(queue, flush(queue, map)), 0); /* the ring goes on */
	assert_int_equal(fault_count("flush_range"), 1);
	finish(queue, map);
}

static void a_failed_piece_beside_an_undone_one_is_the_result(struct t_dir *dir, const struct shape *shape)
{
	struct filemap *map;
	struct filemap_queue *queue = open_queue_and_large(dir, shape, &map);

	ring_plan.undo_first = 1;
	plan(&ring_plan.reaped_error, -EIO);
	plan(&ring_plan.reaped_nth, 2);
	assert_int_equal(result_of(queue, flush(queue, map)), -EIO);
	assert_int_equal(ring_plan.pushes, 2);
	finish(queue, map);
}

/* ---- the table of shapes ---- */

ON(the_error_of_a_piece_outlasts_the_ring, uring_one)
ON_URING(an_undone_flush_is_pushed_again)
ON_URING(a_flush_undone_again_and_again_is_done_by_hand)
ON(a_failed_piece_beside_an_undone_one_is_the_result, uring_one)

ON_URING(a_full_ring_delays_only)
ON_URING(a_refused_submission_is_flushed_by_hand)
ON_URING(a_refused_wait_leaves_sent_flushes_in_doubt)
ON_URING(a_flush_of_5_gib_goes_in_pieces)
ON(a_busy_submission_is_repeated, uring_one)

T_MAIN(T_TEST(the_error_of_a_piece_outlasts_the_ring_on_uring_one),
       ENTRIES_URING(an_undone_flush_is_pushed_again),
       ENTRIES_URING(a_flush_undone_again_and_again_is_done_by_hand),
       T_TEST(a_failed_piece_beside_an_undone_one_is_the_result_on_uring_one),
       ENTRIES_URING(a_full_ring_delays_only), ENTRIES_URING(a_refused_submission_is_flushed_by_hand),
       ENTRIES_URING(a_refused_wait_leaves_sent_flushes_in_doubt),
       ENTRIES_URING(a_flush_of_5_gib_goes_in_pieces), T_TEST(a_busy_submission_is_repeated_on_uring_one))
