/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The records of failed flushes: shared by a fork, never shared by accident, and what is lost without memory. */
#include "fault.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "map/doubt.h"
#include "map/table.h"
#include "t.h"

#define MANY 1000

static struct fm__doubt take(void)
{
	struct fm__doubt doubt = {0};

	assert_ok(fm__process_watch());
	assert_ok(fm__doubt_take(&doubt));
	assert_int_equal(fm__doubt_cause(&doubt), 0);
	return doubt;
}

static void assert_range(const struct fm__doubt *doubt, uint64_t offset, uint64_t length)
{
	uint64_t found_offset, found_length;

	fm__doubt_range(doubt, &found_offset, &found_length);
	assert_int_equal(found_offset, offset);
	assert_int_equal(found_length, length);
}

static void range_covers_every_failure_and_the_cause_is_the_first(void **state)
{
	struct fm__doubt doubt = take();
	(void)state;

	fm__doubt_add(&doubt, -EIO, 4096, 4096);
	assert_range(&doubt, 4096, 4096);
	fm__doubt_add(&doubt, -ENOSPC, 5000, 10);
	assert_range(&doubt, 4096, 4096);
	fm__doubt_add(&doubt, -ENOSPC, 0, 1);
	assert_range(&doubt, 0, 8192);
	fm__doubt_add(&doubt, -ENOSPC, 100, UINT64_MAX);
	assert_range(&doubt, 0, UINT64_MAX);
	assert_int_equal(fm__doubt_cause(&doubt), -EIO);
	fm__doubt_give(&doubt);
	assert_int_equal(fm__doubt_cause(&doubt), 0);
	fm__doubt_give(&doubt);
}

static void records_that_live_are_different_ones(void **state)
{
	static struct fm__doubt all[MANY];
	(void)state;

	for (int i = 0; i < MANY; i++)
		all[i] = take();
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(fm__doubt_cause(&all[i]), 0);
		fm__doubt_add(&all[i], -1 - i, (uint64_t)i, 1);
	}
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(fm__doubt_cause(&all[i]), -1 - i);
		assert_range(&all[i], (uint64_t)i, 1);
		fm__doubt_give(&all[i]);
	}
}

static void record_that_is_used_again_is_empty(void **state)
{
	(void)state;
	for (int i = 0; i < MANY; i++) {
		struct fm__doubt doubt = take(), other = take();
		fm__doubt_add(&doubt, -EIO, 7, 7);
		fm__doubt_give(&doubt);
		fm__doubt_give(&other);
	}
}

/* ---- forks ---- */

struct child {
	pid_t pid;
	int go;
};

/* A child that waits for child_go(), runs `body` and ends. */
static struct child child_start(int (*body)(struct fm__doubt *), struct fm__doubt *doubt)
{
	struct child child;
	int ends[2];
	char byte;

	assert_ok(pipe(ends));
	child.pid = fork();
	if (child.pid == 0)
		_exit(read(ends[0], &byte, 1) == 1 ? body(doubt) : 99);
	close(ends[0]);
	child.go = ends[1];
	return child;
}

static void child_go(struct child *child)
{
	int status;

	assert_int_equal(write(child->go, "", 1), 1);
	assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
	assert_int_equal(status, 0);
	close(child->go);
}

static int add_one(struct fm__doubt *doubt)
{
	fm__doubt_add(doubt, -EIO, 8192, 4096);
	return 0;
}

static int find_one(struct fm__doubt *doubt)
{
	return fm__doubt_cause(doubt) == -EIO ? 0 : 1;
}

static int give_and_take_others(struct fm__doubt *doubt)
{
	struct fm__doubt other;

	fm__doubt_give(doubt);
	for (int i = 0; i < MANY; i++) {
		if (fm__doubt_take(&other) < 0 || fm__doubt_cause(&other) != 0)
			return 1;
		fm__doubt_add(&other, -EIO, 0, 1);
		if (i % 2)
			fm__doubt_give(&other);
	}
	return 0;
}

static void what_a_child_adds_its_parent_finds(void **state)
{
	struct fm__doubt doubt = take();
	struct child child = child_start(add_one, &doubt);
	(void)state;

	assert_int_equal(fm__doubt_cause(&doubt), 0);
	child_go(&child);
	assert_int_equal(fm__doubt_cause(&doubt), -EIO);
	assert_range(&doubt, 8192, 4096);
	fm__doubt_give(&doubt);
}

static void what_a_parent_adds_its_child_finds(void **state)
{
	struct fm__doubt doubt = take();
	struct child child = child_start(find_one, &doubt);
	(void)state;

	fm__doubt_add(&doubt, -EIO, 0, 1);
	child_go(&child);
	fm__doubt_give(&doubt);
}

/* The parent has closed what its child still flushes: nobody else may be where the child writes. */
static void record_that_a_child_has_is_not_used_again(void **state)
{
	static struct fm__doubt others[MANY];
	struct fm__doubt doubt = take(), childs = doubt;
	struct child child = child_start(add_one, &childs);
	(void)state;

	fm__doubt_give(&doubt);
	for (int i = 0; i < MANY; i++)
		others[i] = take();
	child_go(&child);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(fm__doubt_cause(&others[i]), 0);
		fm__doubt_give(&others[i]);
	}
}

/* Both go on taking records after the fork, from the memory that they share or not. */
static void what_a_child_takes_its_parent_does_not_have(void **state)
{
	static struct fm__doubt others[MANY];
	struct fm__doubt doubt = take();
	struct child child = child_start(give_and_take_others, &doubt);
	(void)state;

	for (int i = 0; i < MANY; i++)
		others[i] = take();
	child_go(&child);
	assert_int_equal(fm__doubt_cause(&doubt), 0);
	fm__doubt_give(&doubt);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(fm__doubt_cause(&others[i]), 0);
		fm__doubt_give(&others[i]);
	}
}

/* ---- without memory ---- */

static void record_that_cannot_be_had_is_an_error_and_changes_nothing(void **state)
{
	static const struct {
		const char *call;
		int error;
	} cases[] = {{"zalloc", ENOMEM}, {"map", ENOMEM}};
	static struct fm__doubt all[MANY];
	(void)state;

	for (unsigned c = 0; c < sizeof cases / sizeof *cases; c++) {
		int taken = 0, refused = 0;

		fault_arm_call(cases[c].call, 1, cases[c].error);
		while (taken < MANY) {
			const int r = fm__doubt_take(&all[taken]);
			assert_true(r == 0 || r == -cases[c].error);
			refused += r < 0;
			taken += r == 0;
		}
		assert_int_equal(refused, 1);
		fault_reset();
		while (taken > 0)
			fm__doubt_give(&all[--taken]);
	}
}

T_MAIN(T_TEST(range_covers_every_failure_and_the_cause_is_the_first),
       T_TEST(records_that_live_are_different_ones), T_TEST(record_that_is_used_again_is_empty),
       T_TEST(what_a_child_adds_its_parent_finds), T_TEST(what_a_parent_adds_its_child_finds),
       T_TEST(record_that_a_child_has_is_not_used_again), T_TEST(what_a_child_takes_its_parent_does_not_have),
       T_TEST(record_that_cannot_be_had_is_an_error_and_changes_nothing))
