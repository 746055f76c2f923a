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

/* ---- who looks at the eventfd only ---- */

/* Until nothing is in flight, by the eventfd alone. */
static void loop(struct filemap_queue *queue, int event)
{
	struct filemap_queue_stats stats = {.in_flight = 1};

	while (stats.in_flight != 0) {
		assert_int_equal(fm__sys_poll_in(event, -1), 1);
		assert_int_equal(filemap_queue_poll(queue), 0);
		assert_ok(filemap_queue_stats(queue, &stats));
	}
}

/* Nothing in the kernel would signal it. */
static void what_the_ring_did_not_take_is_offered_again(struct t_dir *dir, const struct shape *shape)
{
	static const struct {
		int full, error;
	} rows[] = {{1, 0}, {0, -EAGAIN}, {0, -EBUSY}};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct filemap_queue *queue = open_queue(shape);
		struct filemap *map = open_map(dir, "a");
		const int event = filemap_queue_eventfd(queue);

		assert_int_equal(filemap_queue_poll(queue), 0);
		assert_int_equal(fm__sys_poll_in(event, 0), 0);
		ring_plan.full = rows[i].full;
		plan(&ring_plan.submit_error, rows[i].error);
		(void)flush(queue, map);
		assert_ok(filemap_queue_submit(queue));
		assert_int_equal(fm__sys_poll_in(event, 0), 1);
		plan(&ring_plan.submit_error, 0);
		loop(queue, event);
		assert_int_equal(result_of(queue, 1), 0);
		assert_int_equal(filemap_queue_poll(queue), 0);
		assert_int_equal(fm__sys_poll_in(event, 0), 0); /* it is over */
		finish(queue, map);
	}
}

static void what_was_done_by_hand_is_announced(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape);
	struct filemap *map = open_map(dir, "a");
	const int event = filemap_queue_eventfd(queue);

	assert_int_equal(filemap_queue_poll(queue), 0);
	plan(&ring_plan.submit_error, -EPERM);
	(void)flush(queue, map);
	assert_ok(filemap_queue_submit(queue));
	assert_int_equal(fm__sys_poll_in(event, 0), 1);
	loop(queue, event);
	assert_int_equal(result_of(queue, 1), 0);
	finish(queue, map);
}

/* ---- the order in which the kernel answers ---- */

static void answer_one(struct filemap_queue *queue)
{
	const int before = gate_passed;

	ring_plan.hold = 0;
	while (gate_passed == before) /* this thread's: the ring is */
		assert_int_equal(filemap_queue_poll(queue), 0);
}

/* One comes back before it, one begins later and comes back, too: neither may say yes before the first has. */
static void a_flush_learns_of_the_failure_of_all_that_were_beside_it(struct t_dir *dir,
								     const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape);
	struct filemap *map = open_map(dir, "a");
	struct piece slow;

	ring_plan.hold = 1;
	(void)flush_apart(queue, map, 0);
	(void)flush_apart(queue, map, 1);
	assert_ok(filemap_queue_submit(queue));
	assert_int_equal(ring_plan.held_count, 2);
	slow = ring_plan.held[--ring_plan.held_count];
	answer_one(queue);
	(void)flush_apart(queue, map, 2);
	answer_one(queue);
	for (uint64_t ticket = 1; ticket <= 3; ticket++)
		assert_int_equal(filemap_queue_wait(queue, ticket, 0, NULL), 0);
	ring_plan.held[ring_plan.held_count++] = slow;
	plan(&ring_plan.reaped_error, -EIO);
	plan(&ring_plan.reaped_nth, 1);
	answer_one(queue);
	assert_int_equal(result_of(queue, 1), FILEMAP_EPOISONED);
	assert_int_equal(result_of(queue, 2), -EIO);
	assert_int_equal(result_of(queue, 3), FILEMAP_EPOISONED);
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

static void a_prefault_of_5_gib_goes_in_pieces(struct t_dir *dir, const struct shape *shape)
{
	struct filemap *map;
	struct filemap_queue *queue = open_queue_and_large(dir, shape, &map);
	const char *data = filemap_data(map);
	uint64_t ticket;

	ring_plan.hold = 1;
	assert_ok(filemap_queue_prefault(queue, map, FILEMAP_PREFAULT_READ, 0, LARGE, NULL, NULL, &ticket));
	assert_ok(filemap_queue_submit(queue));
	assert_int_equal(ring_plan.held_count, 2);
	assert_ptr_equal(ring_plan.held[0].call.at, data);
	assert_int_equal(ring_plan.held[0].call.length, FM_RING_FLUSH_MAX);
	assert_ptr_equal(ring_plan.held[1].call.at, data + FM_RING_FLUSH_MAX);
	assert_int_equal(ring_plan.held[1].call.length, LARGE - FM_RING_FLUSH_MAX);
	for (int i = 0; i < 2; i++) /* nobody has that much memory: something else is done in their place */
		ring_plan.held[i].call = (struct fm__call){.kind = FM_CALL_SYNC, .fd = dir->fd};
	ring_plan.hold = 0;
	assert_int_equal(result_of(queue, ticket), 0);
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
ON(what_the_ring_did_not_take_is_offered_again, uring_one)
ON(what_was_done_by_hand_is_announced, uring_one)
ON(a_flush_learns_of_the_failure_of_all_that_were_beside_it, uring_one)
ON(a_prefault_of_5_gib_goes_in_pieces, uring_one)

T_MAIN(T_TEST(the_error_of_a_piece_outlasts_the_ring_on_uring_one),
       ENTRIES_URING(an_undone_flush_is_pushed_again),
       ENTRIES_URING(a_flush_undone_again_and_again_is_done_by_hand),
       T_TEST(a_failed_piece_beside_an_undone_one_is_the_result_on_uring_one),
       ENTRIES_URING(a_full_ring_delays_only), ENTRIES_URING(a_refused_submission_is_flushed_by_hand),
       ENTRIES_URING(a_refused_wait_leaves_sent_flushes_in_doubt),
       ENTRIES_URING(a_flush_of_5_gib_goes_in_pieces), T_TEST(a_busy_submission_is_repeated_on_uring_one),
       T_TEST(what_the_ring_did_not_take_is_offered_again_on_uring_one),
       T_TEST(what_was_done_by_hand_is_announced_on_uring_one),
       T_TEST(a_flush_learns_of_the_failure_of_all_that_were_beside_it_on_uring_one),
       T_TEST(a_prefault_of_5_gib_goes_in_pieces_on_uring_one))
