/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Resizing in parts, driven as the queue does: it comes to what filemap_resize() comes to, can be called off, excludes
 * other changes of the file while it is in flight, and can be ended after the mapping was closed.
 */
#include "t.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "later.h"

static struct filemap *create_named(void **state, const char *name, uint64_t size,
				    struct filemap_options options)
{
	return later_create(*state, name, size, options);
}

static struct filemap *create(void **state, uint64_t size)
{
	return create_named(state, "file", size, (struct filemap_options){0});
}

/* ---- resize ---- */

static const struct filemap_options kinds[] = {
	{.flags = 0},
	{.reserve = 1 << 20},
	{.flags = FILEMAP_SPARSE},
	{.sharing = FILEMAP_SHARING_COOPERATE},
	{.flags = FILEMAP_SPARSE, .sharing = FILEMAP_SHARING_COOPERATE},
	{.length = 6000},
};
static const struct {
	uint64_t from, to;
} steps[] = {{6000, 6001},  {6000, 300000}, {8192, 8192},   {8192, 16384},
	     {6000, 20000}, {300000, 6000}, {300000, 8192}, {20000, 10000}};

static void assert_same(const struct filemap *one, const struct filemap *other)
{
	struct stat a, b;

	assert_int_equal(filemap_size(one), filemap_size(other));
	assert_int_equal(filemap_state(one), filemap_state(other));
	if (filemap_size(one) != 0)
		assert_memory_equal(filemap_data(one), filemap_data(other), filemap_size(one));
	if (filemap_fd(one) < 0)
		return;
	assert_ok(fstat(filemap_fd(one), &a));
	assert_ok(fstat(filemap_fd(other), &b));
	assert_int_equal(a.st_size, b.st_size);
}

static void resize_in_parts_comes_to_the_same(void **state)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		for (size_t j = 0; j < sizeof steps / sizeof *steps; j++) {
			struct filemap *one = create_named(state, "one", steps[j].from, kinds[i]);
			struct filemap *other = create_named(state, "other", steps[j].from, kinds[i]);

			if (kinds[i].sharing != 0) {
				assert_ok(filemap_lock(one, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
				assert_ok(filemap_lock(other, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
			}
			assert_ok(later_resize(one, steps[j].to, NULL));
			assert_ok(filemap_resize(other, steps[j].to, NULL));
			assert_same(one, other);
			assert_ok(later_resize(one, steps[j].from, NULL)); /* and the handle goes on */
			assert_ok(filemap_resize(other, steps[j].from, NULL));
			assert_same(one, other);
			assert_ok(filemap_try_close(one));
			filemap_close(other);
		}
}

static void memory_in_parts_comes_to_the_same(void **state)
{
	(void)state;
	for (size_t reserve = 0; reserve <= 1 << 20; reserve += 1 << 20)
		for (size_t j = 0; j < sizeof steps / sizeof *steps; j++) {
			struct filemap *one, *other;

			assert_ok(filemap_anonymous(steps[j].from, FILEMAP_OPTIONS(.reserve = reserve), &one,
						    NULL));
			assert_ok(filemap_anonymous(steps[j].from, FILEMAP_OPTIONS(.reserve = reserve),
						    &other, NULL));
			memset(filemap_data_mut(one), 0xAA, steps[j].from);
			memset(filemap_data_mut(other), 0xAA, steps[j].from);
			assert_ok(later_resize(one, steps[j].to, NULL));
			assert_ok(filemap_resize(other, steps[j].to, NULL));
			assert_same(one, other);
			assert_ok(later_resize(one, steps[j].from, NULL));
			assert_ok(filemap_resize(other, steps[j].from, NULL));
			assert_same(one, other);
			filemap_close(one);
			filemap_close(other);
		}
}

static void growth_is_shown_by_the_end_only(void **state)
{
	struct filemap *map = create(state, 100);
	const void *data = filemap_data(map);
	struct fm__resizing resizing;
	struct fm__call call;

	assert_ok(fm__map_resize_begin(map, 10 * PAGE, &resizing, NULL));
	memset((char *)filemap_data_mut(map) + 100, 0xBB, 1000); /* behind the end: no content */
	assert_ok(fm__map_resize_prepare(&resizing, &call, NULL));
	assert_int_equal(call.kind, FM_CALL_ALLOCATE);
	assert_int_equal(call.offset, PAGE);
	assert_int_equal(call.length, 9 * PAGE);
	assert_ok(fm__map_resize_answer(&resizing, fm__call_run(&call), NULL));
	assert_int_equal(t_file_size(filemap_path(map)), 10 * PAGE);
	assert_int_equal(filemap_size(map), 100);
	assert_ptr_equal(filemap_data(map), data);
	assert_ok(filemap_flush(map));
	assert_ok(fm__map_resize_end(&resizing, 0, NULL));
	assert_int_equal(filemap_size(map), 10 * PAGE);
	later_assert_content(map, 100);
	filemap_close(map);
}

static void shrinking_window_is_cut_by_begin_and_given_back_by_a_cancelled_end(void **state)
{
	struct filemap *map = create(state, 3 * PAGE);
	struct filemap_error error = {0};
	struct fm__resizing resizing;

	assert_ok(fm__map_resize_begin(map, 100, &resizing, NULL));
	assert_int_equal(filemap_size(map), 100);
	assert_int_equal(t_file_size(filemap_path(map)), 3 * PAGE);
	assert_int_equal(fm__map_resize_end(&resizing, -ECANCELED, &error), -ECANCELED);
	assert_int_equal(error.code, -ECANCELED);
	assert_int_equal(filemap_size(map), 3 * PAGE);
	later_assert_content(map, 3 * PAGE);
	assert_ok(fm__map_resize_begin(map, 9 * PAGE, &resizing, NULL));
	assert_int_equal(fm__map_resize_end(&resizing, -ECANCELED, NULL), -ECANCELED);
	assert_int_equal(filemap_size(map), 3 * PAGE);
	assert_int_equal(t_file_size(filemap_path(map)), 3 * PAGE);
	assert_ok(filemap_resize(map, 100, NULL));
	assert_ok(filemap_try_close(map));
}

static void cancelled_resize_of_memory_keeps_its_bytes(void **state)
{
	struct fm__resizing resizing;
	struct filemap *map;

	(void)state;
	assert_ok(filemap_anonymous(3 * PAGE, NULL, &map, NULL));
	memset(filemap_data_mut(map), 0xAA, 3 * PAGE);
	assert_ok(fm__map_resize_begin(map, 100, &resizing, NULL));
	assert_int_equal(filemap_size(map), 100);
	assert_int_equal(fm__map_resize_end(&resizing, -ECANCELED, NULL), -ECANCELED);
	assert_int_equal(filemap_size(map), 3 * PAGE);
	later_assert_content(map, 3 * PAGE);
	assert_ok(filemap_pin(map));
	assert_int_equal(fm__map_resize_begin(map, 100, &resizing, NULL), FILEMAP_EBUSY);
	filemap_unpin(map);
	filemap_close(map);
}

/* Everything else that changes the file, through any of its windows. */
static void assert_all_is_busy(struct filemap *map, struct filemap *window)
{
	struct filemap_error error = {0};
	struct fm__resizing resizing;
	struct fm__removing removing;

	assert_int_equal(filemap_resize(map, 5 * PAGE, &error), FILEMAP_EBUSY);
	assert_string_equal(error.subject, "asynchronous change");
	assert_int_equal(filemap_resize(window, 5 * PAGE, NULL), FILEMAP_EBUSY);
	assert_int_equal(filemap_refresh(map, NULL, NULL), FILEMAP_EBUSY);
	assert_int_equal(filemap_refresh(window, NULL, NULL), FILEMAP_EBUSY);
	assert_int_equal(filemap_close_truncated(window, 100, NULL), FILEMAP_EBUSY);
	assert_int_equal(filemap_allocate(window, 0, 1, NULL), FILEMAP_EBUSY);
	assert_int_equal(filemap_remove(window, &error), FILEMAP_EBUSY);
	assert_string_equal(error.detail, filemap_path(map));
	assert_int_equal(filemap_set_remove_on_close(window, 1), FILEMAP_EBUSY);
	assert_int_equal(filemap_lock(window, FILEMAP_EXCLUSIVE_LOCK, 0, NULL), FILEMAP_EBUSY);
	assert_int_equal(filemap_unlock(window), FILEMAP_EBUSY);
	assert_int_equal(filemap_freeze(map, NULL), FILEMAP_EBUSY);
	assert_int_equal(filemap_try_close(map), FILEMAP_EBUSY);
	assert_int_equal(fm__map_resize_begin(window, 5 * PAGE, &resizing, NULL), FILEMAP_EBUSY);
	assert_int_equal(fm__map_remove_begin(window, &removing, NULL), FILEMAP_EBUSY);
	assert_ok(filemap_flush(map));
	assert_ok(filemap_sync(window));
}

static void one_change_of_a_file_is_in_flight_at_a_time(void **state)
{
	struct filemap *map = create(state, 3 * PAGE), *window, *other;
	struct fm__resizing resizing;
	struct fm__removing removing;

	assert_ok(filemap_window(map, FILEMAP_WRITE, 0, PAGE, &window, NULL));
	assert_ok(fm__map_resize_begin(map, 2 * PAGE, &resizing, NULL));
	assert_all_is_busy(map, window);
	assert_int_equal(filemap_window(map, FILEMAP_READ, 0, 0, &other, NULL), FILEMAP_EBUSY);
	assert_ok(later_change(&resizing, fm__call_run, NULL));
	assert_all_is_busy(map, window);
	assert_ok(fm__map_resize_end(&resizing, 0, NULL));
	assert_int_equal(t_file_size(filemap_path(map)), 2 * PAGE);
	assert_ok(fm__map_remove_begin(map, &removing, NULL));
	assert_all_is_busy(map, window);
	assert_int_equal(fm__map_remove_end(&removing, -ECANCELED, NULL), -ECANCELED);
	assert_ok(filemap_refresh(window, NULL, NULL));
	assert_ok(filemap_set_remove_on_close(window, 0));
	assert_ok(filemap_unlock(window));
	assert_int_equal(filemap_remove(map, NULL), FILEMAP_ELOCKED);
	filemap_close(window);
	filemap_close(map);
}

/* ---- pins ---- */

static void pins_of_others_forbid_to_cut_before_anything_is_changed(void **state)
{
	struct filemap *map = create(state, 3 * PAGE);
	struct filemap_error error = {0};
	struct fm__resizing resizing;

	assert_ok(filemap_pin(map));
	assert_int_equal(fm__map_resize_begin(map, PAGE, &resizing, &error), FILEMAP_EBUSY);
	assert_string_equal(error.subject, "pin");
	assert_int_equal(filemap_size(map), 3 * PAGE);
	filemap_unpin(map);
	assert_ok(later_resize(map, PAGE, NULL));
	filemap_close(map);
}

/* What is mapped right behind the window keeps it from growing in place. */
static void *wall_behind(const struct filemap *map)
{
	char *end = (char *)(uintptr_t)filemap_data(map) + (filemap_size(map) + PAGE - 1) / PAGE * PAGE;
	void *wall = mmap(end, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	return wall == MAP_FAILED ? NULL : wall; /* there is one already */
}

static void our_own_pin_lets_the_window_move_and_later_ones_do_not(void **state)
{
	struct filemap *map = create(state, 3 * PAGE);
	void *wall = wall_behind(map);
	struct filemap_error error = {0};
	struct fm__resizing resizing;
	const void *data;

	assert_ok(later_resize(map, 200 * PAGE, NULL));
	assert_int_equal(filemap_size(map), 200 * PAGE);
	later_assert_content(map, 3 * PAGE);
	if (wall != NULL)
		munmap(wall, PAGE);
	wall = wall_behind(map);
	data = filemap_data(map);
	assert_ok(fm__map_resize_begin(map, 400 * PAGE, &resizing, NULL));
	assert_ok(later_change(&resizing, fm__call_run, NULL));
	assert_ok(filemap_pin(map));
	assert_int_equal(fm__map_resize_end(&resizing, 0, &error), FILEMAP_EBUSY);
	assert_string_equal(error.subject, "pin");
	assert_ptr_equal(filemap_data(map), data);
	assert_int_equal(filemap_size(map), 200 * PAGE);
	assert_int_equal(t_file_size(filemap_path(map)), 200 * PAGE);
	filemap_unpin(map);
	if (wall != NULL)
		munmap(wall, PAGE);
	assert_ok(filemap_try_close(map));
}

static void growth_within_a_reserve_ignores_pins(void **state)
{
	struct filemap *map = create_named(state, "file", 100, (struct filemap_options){.reserve = 1 << 20});
	const void *data = filemap_data(map);

	assert_ok(filemap_pin(map));
	assert_ok(later_resize(map, 10 * PAGE, NULL));
	assert_ptr_equal(filemap_data(map), data);
	later_assert_content(map, 100);
	filemap_unpin(map);
	assert_ok(filemap_try_close(map));
}

static void closed_mapping_is_resized_and_goes_with_the_end(void **state)
{
	struct filemap *map = create(state, 100);
	struct fm__resizing resizing;

	assert_ok(fm__map_resize_begin(map, 10 * PAGE, &resizing, NULL));
	filemap_close(map);
	assert_ok(later_change(&resizing, fm__call_run, NULL));
	assert_ok(fm__map_resize_end(&resizing, 0, NULL));
	assert_int_equal(t_file_size(t_path(*state, "file")), 10 * PAGE);
}

/* The handle is gone, but not who holds the pin. */
static void pin_of_another_keeps_a_closed_mapping_in_its_place(void **state)
{
	struct filemap *map = create(state, 3 * PAGE);
	void *wall = wall_behind(map);
	const char *data = filemap_data(map);
	struct fm__resizing resizing;

	assert_ok(fm__map_resize_begin(map, 400 * PAGE, &resizing, NULL));
	assert_ok(filemap_pin(map));
	filemap_close(map);
	assert_ok(later_change(&resizing, fm__call_run, NULL));
	assert_int_equal(fm__map_resize_end(&resizing, 0, NULL), FILEMAP_EBUSY);
	assert_ptr_equal(filemap_data(map), data);
	assert_int_equal(data[0] & 0xFF, 0xAA);
	filemap_unpin(map);
	if (wall != NULL)
		munmap(wall, PAGE);
	assert_int_equal(t_file_size(t_path(*state, "file")), 3 * PAGE);
}

/* ---- others ---- */

static void what_another_window_shows_is_not_cut(void **state)
{
	struct filemap *map = create(state, 3 * PAGE), *window;
	struct filemap_error error = {0};
	struct fm__resizing resizing;

	assert_ok(filemap_window(map, FILEMAP_READ, PAGE, PAGE, &window, NULL));
	assert_int_equal(fm__map_resize_begin(map, PAGE + 1, &resizing, &error), FILEMAP_EBUSY);
	assert_string_equal(error.subject, "window");
	assert_int_equal(filemap_size(map), 3 * PAGE);
	assert_ok(later_resize(map, 2 * PAGE, NULL));
	filemap_close(window);
	filemap_close(map);
}

static struct filemap *join(void **state)
{
	struct filemap *map;

	assert_ok(filemap_open(t_path(*state, "file"), FILEMAP_WRITE,
			       FILEMAP_OPTIONS(.sharing = FILEMAP_SHARING_COOPERATE), &map, NULL));
	return map;
}

static void those_who_cooperate_grow_one_at_a_time_and_cut_only_alone(void **state)
{
	struct flock byte = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)(INT64_MAX - 1), .l_len = 1};
	const struct filemap_options together = {.sharing = FILEMAP_SHARING_COOPERATE};
	struct filemap *map = create_named(state, "file", 100, together), *other = join(state);
	struct filemap_error error = {0};
	struct fm__resizing resizing;
	struct fm__call call;

	assert_int_equal(fm__map_resize_begin(map, 50, &resizing, &error), FILEMAP_EMODE);
	assert_string_equal(error.subject, "lock");
	assert_ok(fm__map_resize_begin(map, 5 * PAGE, &resizing, NULL));
	assert_ok(fm__map_resize_prepare(&resizing, &call, NULL));
	assert_int_equal(call.kind, FM_CALL_NONE); /* it was made, under the lock for growth */
	assert_int_equal(t_file_size(filemap_path(map)), 5 * PAGE);
	assert_ok(fcntl(filemap_fd(other), F_OFD_SETLK, &byte)); /* which is free again */
	byte.l_type = F_UNLCK;
	assert_ok(fcntl(filemap_fd(other), F_OFD_SETLK, &byte));
	assert_ok(fm__map_resize_answer(&resizing, 0, NULL));
	assert_ok(filemap_resize(other, 7 * PAGE, NULL));
	assert_ok(fm__map_resize_end(&resizing, 0, NULL));
	assert_int_equal(filemap_size(map), 5 * PAGE);
	assert_int_equal(t_file_size(filemap_path(map)), 7 * PAGE);
	filemap_close(other);
	filemap_close(map);
}

static void growth_that_needs_no_call_is_not_under_way(void **state)
{
	const struct filemap_options together = {.sharing = FILEMAP_SHARING_COOPERATE};
	struct filemap *map = create_named(state, "file", 100, together), *other = join(state);
	struct fm__resizing resizing;
	struct fm__call call;

	assert_ok(fm__map_resize_begin(map, 200, &resizing, NULL));
	assert_ok(fm__map_resize_prepare(&resizing, &call, NULL));
	assert_int_equal(call.kind, FM_CALL_NONE);
	assert_ok(filemap_resize(other, 2 * PAGE, NULL));
	assert_ok(fm__map_resize_answer(&resizing, 0, NULL));
	assert_ok(fm__map_resize_end(&resizing, 0, NULL));
	assert_int_equal(filemap_size(map), 200);
	assert_int_equal(t_file_size(filemap_path(map)), 2 * PAGE);
	filemap_close(other);
	filemap_close(map);
}

static void file_that_others_have_grown_meanwhile_is_not_cut(void **state)
{
	const struct filemap_options together = {.sharing = FILEMAP_SHARING_COOPERATE};
	struct filemap *map = create_named(state, "file", 100, together), *other = join(state);
	struct filemap_error error = {0};
	struct fm__resizing resizing;
	struct fm__call call;

	assert_ok(fm__map_resize_begin(map, 2 * PAGE, &resizing, NULL));
	assert_ok(filemap_resize(other, 3 * PAGE, NULL));
	assert_int_equal(fm__map_resize_prepare(&resizing, &call, &error), FILEMAP_EMODE);
	assert_int_equal(fm__map_resize_end(&resizing, FILEMAP_EMODE, &error), FILEMAP_EMODE);
	assert_string_equal(error.subject, "lock");
	assert_int_equal(filemap_size(map), 100);
	assert_int_equal(t_file_size(filemap_path(map)), 3 * PAGE);
	assert_ok(filemap_resize(other, 4 * PAGE, NULL)); /* the lock for growth was given back */
	filemap_close(other);
	filemap_close(map);
}

/* The lock was exclusive, but not all do as they are told. */
static void size_of_the_moment_decides_between_growing_and_cutting(void **state)
{
	struct filemap *map = create(state, 2 * PAGE);
	struct fm__resizing resizing;

	assert_ok(fm__map_resize_begin(map, 3 * PAGE, &resizing, NULL));
	assert_ok(truncate(filemap_path(map), (off_t)(9 * PAGE)));
	assert_ok(later_change(&resizing, fm__call_run, NULL));
	assert_ok(fm__map_resize_end(&resizing, 0, NULL));
	assert_int_equal(filemap_size(map), 3 * PAGE);
	assert_int_equal(t_file_size(filemap_path(map)), 3 * PAGE);
	assert_ok(fm__map_resize_begin(map, 2 * PAGE, &resizing, NULL));
	assert_ok(truncate(filemap_path(map), 100));
	assert_ok(later_change(&resizing, fm__call_run, NULL));
	assert_ok(fm__map_resize_end(&resizing, 0, NULL));
	assert_int_equal(filemap_size(map), 2 * PAGE);
	assert_int_equal(t_file_size(filemap_path(map)), 2 * PAGE);
	later_assert_content(map, 100);
	filemap_close(map);
}

/* ---- answers ---- */

static int answer_errno;

static int do_not_make(const struct fm__call *call)
{
	return call->kind == FM_CALL_NONE ? 0 : -answer_errno;
}

static void call_that_was_not_made_is_made_by_hand(void **state)
{
	const int never[] = {EINVAL, EINTR, EAGAIN, ECANCELED};

	for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
		struct filemap *map = create(state, 100);

		answer_errno = never[i];
		assert_ok(later_resize_by(map, 5 * PAGE, do_not_make, NULL));
		later_assert_content(map, 100);
		assert_ok(later_resize_by(map, PAGE, do_not_make, NULL));
		assert_int_equal(filemap_size(map), PAGE);
		assert_int_equal(t_file_size(filemap_path(map)), PAGE);
		assert_ok(filemap_remove(map, NULL));
		filemap_close(map);
	}
}

static void zeros_are_written_where_blocks_cannot_be_asked_for(void **state)
{
	const int unsupported[] = {EOPNOTSUPP, ENOSYS};

	for (size_t i = 0; i < 2; i++) {
		struct filemap *map =
			create_named(state, i == 0 ? "file" : "other", 100, (struct filemap_options){0});

		answer_errno = unsupported[i];
		assert_ok(later_resize_by(map, 50 * PAGE, do_not_make, NULL));
		later_assert_content(map, 100);
		assert_int_equal(lseek(filemap_fd(map), 0, SEEK_HOLE), 50 * PAGE);
		filemap_close(map);
	}
}

static void failed_call_leaves_file_and_window_as_they_were(void **state)
{
	const uint64_t sizes[] = {50 * PAGE, 100};

	for (size_t i = 0; i < 2; i++) {
		struct filemap *map = create(state, 3 * PAGE + 7);
		struct filemap_error error = {0};

		answer_errno = ENOSPC;
		assert_int_equal(later_resize_by(map, sizes[i], do_not_make, &error), -ENOSPC);
		assert_string_equal(error.step, i == 0 ? "allocate blocks" : "truncate");
		assert_int_equal(filemap_size(map), 3 * PAGE + 7);
		assert_int_equal(t_file_size(filemap_path(map)), 3 * PAGE + 7);
		later_assert_content(map, 3 * PAGE + 7);
		assert_ok(later_resize(map, sizes[i], NULL));
		filemap_close(map);
	}
}

static struct fm__resizing resizing_of_parent;

static int end_resize_in_child(void *context)
{
	if (fm__map_resize_end(&resizing_of_parent, 0, NULL) != FILEMAP_EFORKED)
		return 1;
	return filemap_refresh(context, NULL, NULL) == 0 ? 7 : 2; /* the parent's change is not ours */
}

static void resize_of_the_parent_is_not_the_child_s_to_end(void **state)
{
	struct filemap *map = create(state, 3 * PAGE);
	int r;

	assert_ok(fm__map_resize_begin(map, PAGE, &resizing_of_parent, NULL));
	assert_int_equal(t_in_child(end_resize_in_child, map), 7);
	r = later_change(&resizing_of_parent, fm__call_run, NULL);
	assert_ok(fm__map_resize_end(&resizing_of_parent, r, NULL));
	assert_int_equal(filemap_size(map), PAGE);
	filemap_close(map);
}

T_MAIN(T_TEST(resize_in_parts_comes_to_the_same), T_TEST(memory_in_parts_comes_to_the_same),
       T_TEST(growth_is_shown_by_the_end_only),
       T_TEST(shrinking_window_is_cut_by_begin_and_given_back_by_a_cancelled_end),
       T_TEST(cancelled_resize_of_memory_keeps_its_bytes),
       T_TEST(one_change_of_a_file_is_in_flight_at_a_time),
       T_TEST(pins_of_others_forbid_to_cut_before_anything_is_changed),
       T_TEST(our_own_pin_lets_the_window_move_and_later_ones_do_not),
       T_TEST(growth_within_a_reserve_ignores_pins), T_TEST(closed_mapping_is_resized_and_goes_with_the_end),
       T_TEST(pin_of_another_keeps_a_closed_mapping_in_its_place),
       T_TEST(what_another_window_shows_is_not_cut),
       T_TEST(those_who_cooperate_grow_one_at_a_time_and_cut_only_alone),
       T_TEST(growth_that_needs_no_call_is_not_under_way),
       T_TEST(file_that_others_have_grown_meanwhile_is_not_cut),
       T_TEST(size_of_the_moment_decides_between_growing_and_cutting),
       T_TEST(call_that_was_not_made_is_made_by_hand),
       T_TEST(zeros_are_written_where_blocks_cannot_be_asked_for),
       T_TEST(failed_call_leaves_file_and_window_as_they_were),
       T_TEST(resize_of_the_parent_is_not_the_child_s_to_end))
