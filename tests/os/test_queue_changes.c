/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Changes of a file's size and name through a queue, on each of its shapes: what is seen between the request and
 * the end of its ticket, what is refused meanwhile, and that a failure or a cancellation leaves all as it was.
 */
#include "queue_shapes.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t resize(struct filemap_queue *queue, struct filemap *map, uint64_t size)
{
	uint64_t ticket = 0;

	assert_ok(filemap_queue_resize(queue, map, size, NULL, NULL, &ticket));
	return ticket;
}

static uint64_t queue_remove(struct filemap_queue *queue, struct filemap *map)
{
	uint64_t ticket = 0;

	assert_ok(filemap_queue_remove(queue, map, NULL, NULL, &ticket));
	return ticket;
}

static struct filemap *open_with(const struct t_dir *dir, const char *name, unsigned mode,
				 const struct filemap_options *options)
{
	struct filemap *map;

	assert_ok(filemap_open(t_path(dir, name), mode, options, &map, NULL));
	return map;
}

static int64_t size_of(const struct filemap *map)
{
	return t_file_size(filemap_path(map));
}

/* Nothing is out any more: neither a pin nor a change. */
static void finish(struct filemap_queue *queue, struct filemap *map)
{
	assert_ok(filemap_try_close(map));
	filemap_queue_close(queue);
}

/* Until all has been done that is done behind the caller's back; the ticket is not collected. */
static void await_readable(struct filemap_queue *queue)
{
	struct pollfd one = {.fd = filemap_queue_eventfd(queue), .events = POLLIN};

	assert_ok(filemap_queue_submit(queue));
	assert_int_equal(poll(&one, 1, -1), 1);
}

/* ---- growth ---- */

static void growth_is_published_by_the_wait_and_not_before(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	char *before = filemap_data_mut(map);
	uint64_t ticket;

	(void)filemap_queue_eventfd(queue);
	(void)filemap_queue_poll(queue);
	ticket = resize(queue, map, 3 * SIZE);
	await_readable(queue);
	assert_int_equal(filemap_size(map), SIZE);
	assert_ptr_equal(filemap_data_mut(map), before);
	before[5] = 'y'; /* it can be used as it was */
	assert_int_equal(filemap_write_all(map, SIZE, "z", 1), FILEMAP_ERANGE);
	assert_ok(filemap_flush(map));
	assert_int_equal(result_of(queue, ticket), 0);
	assert_int_equal(filemap_size(map), 3 * SIZE);
	assert_int_equal(size_of(map), 3 * SIZE);
	assert_int_equal(((const char *)filemap_data(map))[5], 'y');
	assert_true(all_are(map, 6, SIZE - 6, 'x'));
	assert_true(all_are(map, SIZE, 2 * SIZE, 0));
	memset(filemap_data_mut(map), 'n', 3 * SIZE);
	assert_ok(filemap_flush(map));
	finish(queue, map);
}

static void growth_within_a_reserve_moves_nothing(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map =
		open_with(dir, "a", FILEMAP_WRITE,
			  FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 100, .reserve = 4 * SIZE));
	char *before = filemap_data_mut(map);

	memset(before, 'x', 100);
	for (uint64_t size = SIZE; size <= 4 * SIZE; size += SIZE) {
		uint64_t ticket = resize(queue, map, size + 1 - (size == 4 * SIZE));
		const uint64_t shown = filemap_size(map);

		assert_ok(filemap_queue_submit(queue));
		assert_int_equal(filemap_size(map), shown);
		assert_int_equal(result_of(queue, ticket), 0);
		assert_int_equal(filemap_size(map), size_of(map));
		assert_ptr_equal(filemap_data_mut(map), before);
	}
	assert_int_equal(filemap_queue_resize(queue, map, 4 * SIZE + 1, NULL, NULL, NULL), FILEMAP_ERANGE);
	assert_true(all_are(map, 0, 100, 'x'));
	assert_true(all_are(map, 100, 4 * SIZE - 100, 0));
	finish(queue, map);
}

static void growth_clears_what_was_stored_behind_the_end(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map =
		open_with(dir, "a", FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 100));

	memset(filemap_data_mut(map), 'x', 200); /* in the same page */
	assert_int_equal(result_of(queue, resize(queue, map, SIZE)), 0);
	assert_true(all_are(map, 0, 100, 'x'));
	assert_true(all_are(map, 100, SIZE - 100, 0));
	finish(queue, map);
}

static void the_same_size_is_a_success(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");

	assert_int_equal(result_of(queue, resize(queue, map, SIZE)), 0);
	assert_int_equal(filemap_size(map), SIZE);
	assert_true(all_are(map, 0, SIZE, 'x'));
	finish(queue, map);
}

static void growth_that_is_cancelled_leaves_the_file(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	uint64_t ticket = resize(queue, map, 2 * SIZE);

	assert_ok(filemap_queue_cancel(queue, ticket));
	assert_int_equal(result_of(queue, ticket), -ECANCELED);
	assert_int_equal(filemap_size(map), SIZE);
	assert_int_equal(size_of(map), SIZE);
	assert_int_equal(result_of(queue, resize(queue, map, 2 * SIZE)), 0);
	finish(queue, map);
}

static void memory_is_resized_alike(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	const uint32_t kinds[] = {0, FILEMAP_SHARED};
	struct filemap *map;

	(void)dir;
	for (int i = 0; i < 2; i++) {
		assert_ok(filemap_anonymous(SIZE, FILEMAP_OPTIONS(.flags = kinds[i]), &map, NULL));
		memset(filemap_data_mut(map), 'x', SIZE);
		assert_int_equal(result_of(queue, resize(queue, map, 2 * SIZE)), 0);
		assert_int_equal(filemap_size(map), 2 * SIZE);
		assert_true(all_are(map, 0, SIZE, 'x'));
		assert_true(all_are(map, SIZE, SIZE, 0));
		assert_int_equal(result_of(queue, resize(queue, map, PAGE)), 0);
		assert_int_equal(filemap_size(map), PAGE);
		assert_true(all_are(map, 0, PAGE, 'x'));
		assert_ok(filemap_try_close(map));
	}
	filemap_queue_close(queue);
}

/* ---- cutting ---- */

static void a_cut_takes_the_window_at_once_and_the_file_later(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	uint64_t ticket = resize(queue, map, PAGE + 5);

	assert_int_equal(filemap_size(map), PAGE + 5);
	assert_int_equal(filemap_close_truncated(map, 5, NULL), FILEMAP_EBUSY);
	assert_int_equal(size_of(map), SIZE);
	assert_int_equal(result_of(queue, ticket), 0);
	assert_int_equal(filemap_size(map), PAGE + 5);
	assert_int_equal(size_of(map), PAGE + 5);
	assert_true(all_are(map, 0, PAGE + 5, 'x'));
	assert_int_equal(result_of(queue, resize(queue, map, SIZE)), 0);
	assert_true(all_are(map, PAGE + 5, SIZE - PAGE - 5, 0));
	finish(queue, map);
}

static void a_cut_that_is_cancelled_gives_the_window_back(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	uint64_t ticket = resize(queue, map, PAGE);

	assert_ok(filemap_queue_cancel(queue, ticket));
	assert_int_equal(filemap_size(map), PAGE); /* its ticket has not ended */
	assert_int_equal(result_of(queue, ticket), -ECANCELED);
	assert_int_equal(filemap_size(map), SIZE);
	assert_int_equal(size_of(map), SIZE);
	assert_true(all_are(map, 0, SIZE, 'x'));
	memset(filemap_data_mut(map), 'y', SIZE);
	assert_ok(filemap_flush(map));
	finish(queue, map);
}

static void a_cut_to_nothing_and_back(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");

	assert_int_equal(result_of(queue, resize(queue, map, 0)), 0);
	assert_int_equal(filemap_size(map), 0);
	assert_int_equal(size_of(map), 0);
	assert_int_equal(result_of(queue, resize(queue, map, SIZE)), 0);
	assert_int_equal(filemap_size(map), SIZE);
	assert_true(all_are(map, 0, SIZE, 0));
	finish(queue, map);
}

/* ---- refusals and failures ---- */

static void a_resize_is_refused_as_by_the_synchronous_call(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a"), *window, *others[3];
	uint64_t ticket = 99;

	assert_ok(filemap_window(map, FILEMAP_WRITE, PAGE, FILEMAP_TO_END, &window, NULL));
	assert_int_equal(filemap_resize(window, PAGE - 1, NULL), FILEMAP_ERANGE);
	assert_int_equal(filemap_queue_resize(queue, window, PAGE - 1, NULL, NULL, &ticket), FILEMAP_ERANGE);
	assert_int_equal(filemap_resize(map, PAGE, NULL), FILEMAP_EBUSY); /* what the window shows */
	assert_int_equal(filemap_queue_resize(queue, map, PAGE, NULL, NULL, &ticket), FILEMAP_EBUSY);
	filemap_close(window);
	assert_int_equal(filemap_resize(map, UINT64_MAX, NULL), FILEMAP_ERANGE);
	assert_int_equal(filemap_queue_resize(queue, map, UINT64_MAX, NULL, NULL, &ticket), FILEMAP_ERANGE);
	assert_ok(filemap_pin(map));
	assert_int_equal(filemap_resize(map, PAGE, NULL), FILEMAP_EBUSY);
	assert_int_equal(filemap_queue_resize(queue, map, PAGE, NULL, NULL, &ticket), FILEMAP_EBUSY);
	filemap_unpin(map);
	assert_ok(filemap_freeze(map, NULL));
	assert_int_equal(filemap_resize(map, PAGE, NULL), FILEMAP_EMODE);
	assert_int_equal(filemap_queue_resize(queue, map, PAGE, NULL, NULL, &ticket), FILEMAP_EMODE);
	assert_int_equal(filemap_size(map), SIZE);
	filemap_close(map);
	others[0] = open_with(dir, "a", FILEMAP_READ, NULL);
	others[1] = open_with(dir, "a", FILEMAP_COW, NULL);
	assert_ok(filemap_wrap_bytes(NULL, "abc", 3, &others[2], NULL));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(filemap_resize(others[i], 2 * SIZE, NULL), FILEMAP_EMODE);
		assert_int_equal(filemap_queue_resize(queue, others[i], 2 * SIZE, NULL, NULL, &ticket),
				 FILEMAP_EMODE);
		assert_ok(filemap_try_close(others[i]));
	}
	assert_int_equal(ticket, 99);
	assert_int_equal(stats_of(queue).queued, 0);
	filemap_queue_close(queue);
}

static void assert_changes_busy(struct filemap_queue *queue, struct filemap *map)
{
	uint64_t ticket = 99;

	assert_int_equal(filemap_resize(map, 2 * SIZE, NULL), FILEMAP_EBUSY);
	assert_int_equal(filemap_resize(map, PAGE, NULL), FILEMAP_EBUSY);
	assert_int_equal(filemap_refresh(map, NULL, NULL), FILEMAP_EBUSY);
	assert_int_equal(filemap_remove(map, NULL), FILEMAP_EBUSY);
	assert_int_equal(filemap_queue_resize(queue, map, 2 * SIZE, NULL, NULL, &ticket), FILEMAP_EBUSY);
	assert_int_equal(filemap_queue_resize(queue, map, PAGE, NULL, NULL, &ticket), FILEMAP_EBUSY);
	assert_int_equal(filemap_queue_remove(queue, map, NULL, NULL, &ticket), FILEMAP_EBUSY);
	assert_int_equal(filemap_close_truncated(map, PAGE, NULL), FILEMAP_EBUSY);
	assert_int_equal(ticket, 99);
}

static void assert_all_busy(struct filemap_queue *queue, struct filemap *map, struct filemap *window)
{
	assert_changes_busy(queue, map);
	assert_int_equal(filemap_freeze(map, NULL), FILEMAP_EBUSY);
	assert_int_equal(filemap_try_close(map), FILEMAP_EBUSY);
	assert_changes_busy(queue, window);
	/* What changes bytes only goes on. */
	assert_ok(filemap_write_all(window, 0, "w", 1));
	assert_ok(filemap_flush(map));
	assert_ok(filemap_sync(window));
}

static void other_changes_are_ebusy_while_one_is_in_flight(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map, *window;

	for (int kind = 0; kind < 2; kind++) {
		uint64_t ticket;

		map = open_map(dir, "a");
		assert_ok(filemap_window(map, FILEMAP_WRITE, 0, PAGE, &window, NULL));
		ticket = kind == 0 ? resize(queue, map, 2 * SIZE) : queue_remove(queue, map);
		assert_all_busy(queue, map, window); /* queued */
		assert_ok(filemap_queue_drain(queue));
		assert_all_busy(queue, map, window); /* finished, and not collected */
		assert_int_equal(result_of(queue, ticket), 0);
		assert_ok(filemap_refresh(window, NULL, NULL));
		assert_ok(filemap_resize(map, 3 * SIZE, NULL));
		assert_ok(filemap_freeze(map, NULL));
		assert_ok(filemap_thaw(map, NULL));
		assert_ok(filemap_remove(map, NULL));
		assert_ok(filemap_try_close(window));
		assert_ok(filemap_try_close(map));
	}
	filemap_queue_close(queue);
}

static void two_windows_of_a_file_change_it_one_after_the_other(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a"), *window;
	uint64_t ticket;

	assert_ok(filemap_window(map, FILEMAP_WRITE, 0, FILEMAP_TO_END, &window, NULL));
	ticket = resize(queue, window, 2 * SIZE);
	assert_int_equal(filemap_queue_resize(queue, map, 3 * SIZE, NULL, NULL, NULL), FILEMAP_EBUSY);
	assert_int_equal(result_of(queue, ticket), 0);
	assert_int_equal(filemap_size(window), 2 * SIZE);
	assert_int_equal(filemap_size(map), SIZE);
	assert_int_equal(result_of(queue, resize(queue, map, 3 * SIZE)), 0);
	assert_int_equal(filemap_size(map), 3 * SIZE);
	filemap_close(window);
	finish(queue, map);
}

static void two_mappings_that_cooperate_grow_the_file_through_one_queue(struct t_dir *dir,
									const struct shape *shape)
{
	const struct filemap_options *together = FILEMAP_OPTIONS(.sharing = FILEMAP_SHARING_COOPERATE);
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *one, *other, *third;
	uint64_t first, second;

	filemap_close(open_map(dir, "a"));
	one = open_with(dir, "a", FILEMAP_WRITE, together);
	other = open_with(dir, "a", FILEMAP_WRITE, together);
	third = open_with(dir, "a", FILEMAP_WRITE, together);
	first = resize(queue, one, 2 * SIZE);
	assert_ok(filemap_queue_submit(queue));
	assert_ok(filemap_resize(third, 2 * SIZE, NULL)); /* whether the first was collected or not */
	assert_int_equal(result_of(queue, first), 0);
	first = resize(queue, one, 3 * SIZE);
	second = resize(queue, other, 3 * SIZE);
	assert_int_equal(result_of(queue, first), 0);
	assert_int_equal(result_of(queue, second), 0);
	assert_int_equal(filemap_size(one), 3 * SIZE);
	assert_int_equal(filemap_size(other), 3 * SIZE);
	filemap_close(third);
	filemap_close(other);
	finish(queue, one);
}

struct limited {
	const struct t_dir *dir;
	const struct shape *shape;
};

#define NEED(condition)                                                                         \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			return 1;                                                               \
		}                                                                               \
	} while (0)

static bool equal(const struct filemap_error *a, const struct filemap_error *b)
{
	return a->code == b->code && a->sys_errno == b->sys_errno && strcmp(a->step, b->step) == 0 &&
	       strcmp(a->subject, b->subject) == 0 && (a->hint == NULL) == (b->hint == NULL);
}

/* With the signal's default action: were it sent to this process, it would die. */
static int grow_beyond_limit(void *context)
{
	const struct limited *limited = context;
	const struct rlimit limit = {SIZE + PAGE, SIZE + PAGE};
	struct filemap_queue *queue = open_queue(limited->shape, 0);
	struct filemap *map = open_map(limited->dir, "a");
	struct filemap_completion done;
	struct filemap_error error = {0}, expected = {0};
	uint64_t ticket;

	NEED(signal(SIGXFSZ, SIG_DFL) != SIG_ERR && setrlimit(RLIMIT_FSIZE, &limit) == 0);
	NEED(filemap_resize(map, 2 * SIZE, &expected) == -EFBIG);
	NEED(filemap_queue_resize(queue, map, 2 * SIZE, NULL, NULL, &ticket) == 0);
	NEED(filemap_queue_wait_error(queue, ticket, -1, &done, &error) == 1);
	NEED(done.result == -EFBIG && done.sys_errno == EFBIG);
	NEED(equal(&error, &expected));
	NEED(filemap_size(map) == SIZE && size_of(map) == SIZE);
	NEED(all_are(map, 0, SIZE, 'x'));
	NEED(filemap_queue_resize(queue, map, SIZE + PAGE, NULL, NULL, &ticket) == 0);
	NEED(filemap_queue_wait(queue, ticket, -1, &done) == 1 && done.result == 0);
	NEED(filemap_size(map) == SIZE + PAGE);
	NEED(filemap_try_close(map) == 0);
	filemap_queue_close(queue);
	return 0;
}

static void growth_beyond_the_limit_is_efbig_with_all_as_before(struct t_dir *dir, const struct shape *shape)
{
	struct limited limited = {dir, shape};

	need(shape);
	assert_int_equal(t_in_child(grow_beyond_limit, &limited), 0);
}

static void a_failed_growth_says_what_the_synchronous_one_says(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	const uint64_t huge = UINT64_C(1) << 45; /* more than the disk has, or the file system can number */
	struct filemap_error expected = {0}, error;
	const int r = filemap_resize(map, huge, &expected);

	if (r == 0 || r == FILEMAP_ERANGE) {
		filemap_queue_close(queue);
		filemap_close(map);
		t_skip("the disk is larger than any file may be here");
	}
	assert_int_equal(result_with(queue, resize(queue, map, huge), &error), r);
	assert_errors_equal(&error, &expected);
	assert_int_equal(filemap_size(map), SIZE);
	assert_int_equal(size_of(map), SIZE);
	assert_true(all_are(map, 0, SIZE, 'x'));
	finish(queue, map);
}

/* ---- closing ---- */

static void the_callback_of_a_resize_sees_the_new_size(struct filemap_queue *queue, uint64_t ticket,
						       int result, void *context)
{
	struct filemap *map = context;

	(void)ticket;
	assert_int_equal(result, 0);
	assert_int_equal(filemap_size(map), 2 * SIZE);
	((char *)filemap_data_mut(map))[2 * SIZE - 1] = 'z';
	assert_ok(filemap_resize(map, 3 * SIZE, NULL)); /* the pin and the change are over, too */
	assert_ok(filemap_queue_resize(queue, map, PAGE, NULL, NULL, NULL));
}

static void a_callback_sees_its_change_and_may_make_the_next(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 1);
	struct filemap *map = open_map(dir, "a");

	assert_ok(filemap_queue_resize(queue, map, 2 * SIZE, the_callback_of_a_resize_sees_the_new_size, map,
				       NULL));
	assert_ok(filemap_queue_drain(queue));
	assert_int_equal(result_of(queue, 2), 0);
	assert_int_equal(size_of(map), PAGE);
	assert_int_equal(filemap_size(map), PAGE);
	finish(queue, map);
}

/* ---- removal ---- */

static unsigned name_state(const struct filemap *map)
{
	return filemap_state(map) &
	       (FILEMAP_STATE_NEEDS_UNLINK | FILEMAP_STATE_NEEDS_PARENT_SYNC | FILEMAP_STATE_REMOVED);
}

static void a_removed_file_is_gone_when_its_ticket_ends(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	uint64_t ticket = queue_remove(queue, map);

	assert_int_equal(size_of(map), SIZE);
	assert_int_equal(name_state(map), 0);
	assert_ok(filemap_queue_drain(queue));
	assert_int_equal(name_state(map), 0); /* unclaimed */
	assert_int_equal(result_of(queue, ticket), 0);
	assert_int_equal(name_state(map), FILEMAP_STATE_REMOVED);
	assert_int_equal(size_of(map), -1);
	assert_int_equal(rmdir(dir->path), 0); /* nor is anything else there */
	assert_int_equal(mkdir(dir->path, 0700), 0);
	assert_true(all_are(map, 0, SIZE, 'x')); /* the bytes stay */
	assert_int_equal(filemap_remove(map, NULL), 0);
	assert_int_equal(result_of(queue, queue_remove(queue, map)), 0); /* once more does nothing */
	finish(queue, map);
}

static void a_name_that_means_another_file_is_left_alone(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	struct filemap_error error, expected = {0};
	char found[4];

	t_write_file(t_path(dir, "b"), "else", 4);
	assert_ok(rename(t_path(dir, "b"), t_path(dir, "a")));
	assert_int_equal(result_with(queue, queue_remove(queue, map), &error), FILEMAP_EREPLACED);
	assert_int_equal(name_state(map), FILEMAP_STATE_NEEDS_UNLINK);
	assert_int_equal(filemap_remove(map, &expected), FILEMAP_EREPLACED);
	assert_errors_equal(&error, &expected);
	assert_int_equal(t_read_file(t_path(dir, "a"), found, sizeof found), 4);
	assert_memory_equal(found, "else", 4);
	assert_ok(unlink(t_path(dir, "a")));
	assert_int_equal(result_with(queue, queue_remove(queue, map), &error), FILEMAP_EGONE);
	assert_int_equal(filemap_remove(map, &expected), FILEMAP_EGONE);
	assert_errors_equal(&error, &expected);
	assert_ok(filemap_set_remove_on_close(map, 0));
	finish(queue, map);
}

static void a_second_name_is_told_by_a_positive_result(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	struct filemap_error error = {.code = 77};
	struct filemap_completion done;
	uint64_t ticket, after;

	assert_ok(link(t_path(dir, "a"), t_path(dir, "b")));
	ticket = queue_remove(queue, map);
	assert_ok(filemap_queue_flush_after(queue, map, 0, 1, ticket, NULL, NULL, &after));
	assert_int_equal(result_of(queue, after), 0); /* it counts as a success */
	assert_int_equal(filemap_queue_error(queue, ticket, &error), 0);
	assert_int_equal(filemap_queue_wait_error(queue, ticket, -1, &done, &error), 1);
	assert_int_equal(done.result, FILEMAP_STILL_LINKED);
	assert_int_equal(done.sys_errno, 0);
	assert_int_equal(error.code, 77);
	assert_int_equal(stats_of(queue).failed, 0);
	assert_int_equal(result_of(queue, queue_remove(queue, map)), FILEMAP_STILL_LINKED);
	assert_int_equal(t_file_size(t_path(dir, "a")), -1);
	assert_int_equal(t_file_size(t_path(dir, "b")), SIZE);
	finish(queue, map);
}

static void a_removal_is_refused_as_by_the_synchronous_call(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *maps[3];
	uint64_t ticket = 99;

	filemap_close(open_map(dir, "a"));
	maps[0] = open_with(dir, "a", FILEMAP_READ, NULL); /* no directory is pinned */
	maps[1] = open_with(dir, "a", FILEMAP_READ, FILEMAP_OPTIONS(.flags = FILEMAP_PIN_PARENT));
	maps[2] = open_with(dir, "a", FILEMAP_COW, FILEMAP_OPTIONS(.flags = FILEMAP_PIN_PARENT));
	for (int i = 0; i < 3; i++) {
		const int expected = i == 0 ? FILEMAP_EMODE : FILEMAP_ELOCKED;

		assert_int_equal(filemap_remove(maps[i], NULL), expected);
		assert_int_equal(filemap_queue_remove(queue, maps[i], NULL, NULL, &ticket), expected);
		assert_int_equal(name_state(maps[i]), 0);
		assert_ok(filemap_try_close(maps[i]));
	}
	assert_int_equal(ticket, 99);
	assert_int_equal(t_file_size(t_path(dir, "a")), SIZE);
	assert_ok(filemap_anonymous(SIZE, NULL, &maps[0], NULL));
	assert_int_equal(result_of(queue, queue_remove(queue, maps[0])), 0); /* memory has no name */
	finish(queue, maps[0]);
}

static void a_removal_that_is_cancelled_leaves_the_file(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a");
	uint64_t ticket = queue_remove(queue, map);

	assert_ok(filemap_queue_cancel(queue, ticket));
	assert_int_equal(result_of(queue, ticket), -ECANCELED);
	assert_int_equal(name_state(map), 0);
	assert_int_equal(filemap_lock_state(map), FILEMAP_EXCLUSIVE_LOCK);
	finish(queue, map);
	assert_int_equal(t_file_size(t_path(dir, "a")), SIZE); /* nor does the close remove it */
}

static void a_removal_by_its_window_is_one_of_the_file(struct t_dir *dir, const struct shape *shape)
{
	struct filemap_queue *queue = open_queue(shape, 0);
	struct filemap *map = open_map(dir, "a"), *window;
	uint64_t ticket;

	assert_ok(filemap_window(map, FILEMAP_READ, PAGE, PAGE, &window, NULL));
	ticket = queue_remove(queue, window);
	filemap_close(window);
	assert_int_equal(filemap_queue_remove(queue, map, NULL, NULL, NULL), FILEMAP_EBUSY);
	assert_int_equal(result_of(queue, ticket), 0);
	assert_int_equal(name_state(map), FILEMAP_STATE_REMOVED);
	assert_int_equal(size_of(map), -1);
	finish(queue, map);
}

/* ---- the cases ---- */

#define CASES(X)                                                       \
	X(growth_is_published_by_the_wait_and_not_before)              \
	X(growth_within_a_reserve_moves_nothing)                       \
	X(growth_clears_what_was_stored_behind_the_end)                \
	X(the_same_size_is_a_success)                                  \
	X(growth_that_is_cancelled_leaves_the_file)                    \
	X(memory_is_resized_alike)                                     \
	X(a_cut_takes_the_window_at_once_and_the_file_later)           \
	X(a_cut_that_is_cancelled_gives_the_window_back)               \
	X(a_cut_to_nothing_and_back)                                   \
	X(a_resize_is_refused_as_by_the_synchronous_call)              \
	X(other_changes_are_ebusy_while_one_is_in_flight)              \
	X(two_windows_of_a_file_change_it_one_after_the_other)         \
	X(two_mappings_that_cooperate_grow_the_file_through_one_queue) \
	X(growth_beyond_the_limit_is_efbig_with_all_as_before)         \
	X(a_failed_growth_says_what_the_synchronous_one_says)          \
	X(a_callback_sees_its_change_and_may_make_the_next)            \
	X(a_removed_file_is_gone_when_its_ticket_ends)                 \
	X(a_name_that_means_another_file_is_left_alone)                \
	X(a_second_name_is_told_by_a_positive_result)                  \
	X(a_removal_is_refused_as_by_the_synchronous_call)             \
	X(a_removal_that_is_cancelled_leaves_the_file)                 \
	X(a_removal_by_its_window_is_one_of_the_file)

CASES(ON_ALL)
#define ENTRY(test) ENTRIES_ALL(test),

T_MAIN(CASES(ENTRY))
