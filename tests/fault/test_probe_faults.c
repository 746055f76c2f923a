/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Probing and prefaulting: how many calls they make, and what becomes of each one that fails. */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "fault.h"
#include "sys/sys.h"

#define PAGES ((size_t)1000)

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static struct filemap *open_cut(void **state, size_t pages)
{
	const char *path = t_path(*state, "file");
	struct filemap *map;

	t_write_file(path, "", 0);
	assert_ok(truncate(path, (off_t)(PAGES * page_size())));
	fault_reset();
	assert_ok(filemap_open(path, FILEMAP_WRITE, NULL, &map, NULL));
	assert_ok(truncate(path, (off_t)(pages * page_size())));
	fault_reset();
	return map;
}

static int prefault(struct filemap *map, unsigned how)
{
	return filemap_prefault(map, how, 0, FILEMAP_TO_END);
}

static int probe(struct filemap *map)
{
	return filemap_probe(map, 0, FILEMAP_TO_END);
}

static void a_range_that_is_there_costs_one_call(void **state)
{
	struct filemap *map = open_cut(state, PAGES);

	assert_ok(probe(map));
	assert_ok(prefault(map, FILEMAP_PREFAULT_READ));
	assert_ok(prefault(map, FILEMAP_PREFAULT_WRITE));
	assert_ok(filemap_find_fault(map, 0, FILEMAP_TO_END, NULL));
	assert_int_equal(fault_count("madvise"), 4);
	assert_int_equal(fault_count("peek_own") + fault_count("touch_own"), 0);
	assert_ok(filemap_find_fault(map, 7, 0, NULL));
	assert_ok(filemap_probe(map, 7, 0));
	assert_int_equal(fault_count("madvise"), 4);
	filemap_close(map);
}

static void an_older_kernel_peeks_at_many_pages_and_stores_to_each(void **state)
{
	struct filemap *map = open_cut(state, PAGES);

	fault_arm_call_persistent("madvise", 1, EINVAL);
	assert_ok(probe(map));
	assert_int_equal(fault_count("peek_own"), (PAGES + FM_PEEK_MAX - 1) / FM_PEEK_MAX);
	assert_ok(prefault(map, FILEMAP_PREFAULT_WRITE));
	assert_int_equal(fault_count("touch_own"), PAGES);
	assert_int_equal(fault_count("pipe"), 0);
	fault_reset();
	filemap_close(map);
}

static void pages_are_touched_in_the_unit_in_which_they_are_mapped(void **state)
{
	struct filemap *map = open_cut(state, PAGES);

	fault_page_size(16 * page_size());
	fault_arm_call_persistent("madvise", 1, EINVAL);
	assert_ok(filemap_prefault(map, FILEMAP_PREFAULT_WRITE, 0, 160 * page_size()));
	assert_int_equal(fault_count("touch_own"), 10);
	fault_page_size(0);
	fault_reset();
	filemap_close(map);
}

/* Each refusal halves what is asked for, and each success doubles it. */
static void the_bad_page_is_found_with_few_calls_wherever_it_is(void **state)
{
	for (size_t good = 0; good < PAGES; good += 37) {
		struct filemap *map = open_cut(state, good);
		struct filemap_fault fault;

		assert_int_equal(filemap_find_fault(map, 0, FILEMAP_TO_END, &fault), FILEMAP_EFAULT);
		assert_int_equal(fault.offset, good * page_size());
		assert_int_equal(fault.cause, FILEMAP_FAULT_PAST_END);
		if (fault_count("madvise") > 40)
			fail_msg("%d calls for page %zu of %zu", fault_count("madvise"), good, PAGES);
		filemap_close(map);
	}
}

/* Bad once and good when asked again: whatever the last look at each page said, and always an end. */
static void a_fault_that_has_gone_is_not_reported(void **state)
{
	struct filemap *map = open_cut(state, PAGES);
	struct filemap_fault fault = {.offset = 77};

	for (int nth = 1; nth <= 9; nth++) {
		fault_arm_call("madvise", 1, EFAULT);
		fault_arm_also("madvise", nth, EFAULT);
		assert_ok(filemap_find_fault(map, 0, FILEMAP_TO_END, &fault));
		assert_int_equal(fault.offset, 77);
		fault_reset();
	}
	filemap_close(map);
}

static void a_page_of_broken_memory_is_named(void **state)
{
	struct filemap *map = open_cut(state, PAGES);
	struct filemap_fault fault;

	fault_arm_call_persistent("madvise", 1, EHWPOISON);
	assert_int_equal(prefault(map, FILEMAP_PREFAULT_READ), -EHWPOISON);
	assert_int_equal(prefault(map, FILEMAP_PREFAULT_WRITE), -EHWPOISON);
	assert_int_equal(probe(map), FILEMAP_EFAULT);
	assert_int_equal(filemap_find_fault(map, 5, 3 * page_size(), &fault), FILEMAP_EFAULT);
	assert_int_equal(fault.offset, 5);
	assert_int_equal(fault.cause, FILEMAP_FAULT_HWPOISON);
	assert_int_equal(filemap_find_fault(map, 5, 3 * page_size(), NULL), FILEMAP_EFAULT);
	fault_reset();
	filemap_close(map);
}

/* What a page lacks is room if the file has no block there, in the middle or at its end; else it is the device. */
static void a_page_without_a_block_wants_room_and_another_one_is_broken(void **state)
{
	static const uint32_t causes[] = {FILEMAP_FAULT_IO, FILEMAP_FAULT_NO_SPACE, FILEMAP_FAULT_IO,
					  FILEMAP_FAULT_NO_SPACE};
	const size_t unit = 65536; /* no block is larger */
	struct filemap *map = open_cut(state, 0);
	struct filemap_fault fault;
	const int fd = open(filemap_path(map), O_RDWR | O_CLOEXEC);

	for (size_t i = 0; i < 4; i += 2)
		assert_int_equal(pwrite(fd, "x", 1, (off_t)(i * unit)), 1);
	assert_ok(ftruncate(fd, (off_t)(4 * unit)));
	if (lseek(fd, (off_t)unit, SEEK_DATA) != (off_t)(2 * unit))
		t_skip("the file system tells of no holes");
	close(fd);
	for (size_t i = 0; i < 4; i++) {
		fault_arm_call_persistent("peek_own", 1, EFAULT);
		fault_arm_also("madvise", 1, EFAULT);
		assert_int_equal(filemap_find_fault(map, i * unit, 1, &fault), FILEMAP_EFAULT);
		fault_reset();
		assert_int_equal(fault.cause, causes[i]);
	}
	filemap_close(map);
}

static int find(struct filemap *map)
{
	return filemap_find_fault(map, 0, FILEMAP_TO_END, NULL);
}

static int prefault_read(struct filemap *map)
{
	return prefault(map, FILEMAP_PREFAULT_READ);
}

static int prefault_write(struct filemap *map)
{
	return prefault(map, FILEMAP_PREFAULT_WRITE);
}

/* With a call that fails and, before it, what a kernel lacks. */
static void assert_answer(struct filemap *map, int (*run)(struct filemap *), const char *call, int error,
			  int expected, bool old, bool refused)
{
	fault_reset();
	if (old)
		fault_arm_call("madvise", 1, EINVAL);
	if (refused)
		fault_arm_also("peek_own", 1, EPERM);
	fault_arm_also(call, 1, error);
	const int r = run(map);
	fault_reset();
	if (r != expected)
		fail_msg("%s: %d becomes %d, not %d", call, error, r, expected);
}

static void failures_are_reported_as_they_are(void **state)
{
	int (*const reads[])(struct filemap *) = {probe, find, prefault_read};
	struct filemap *map = open_cut(state, PAGES);

	for (size_t i = 0; i < 3; i++) {
		assert_answer(map, reads[i], "madvise", EINTR, -EINTR, false, false);
		assert_answer(map, reads[i], "madvise", ENOMEM, -ENOMEM, false, false);
		assert_answer(map, reads[i], "peek_own", EFAULT, FILEMAP_EFAULT, true, false);
		assert_answer(map, reads[i], "peek_own", ENOMEM, -ENOMEM, true, false);
		assert_answer(map, reads[i], "peek_own", ENOSYS, 0, true, false);
		assert_answer(map, reads[i], "peek_own", EPERM, 0, true, false);
		assert_answer(map, reads[i], "pipe", EMFILE, -EMFILE, true, true);
		assert_answer(map, reads[i], "pipe", ENFILE, -ENFILE, true, true);
		assert_answer(map, reads[i], "write", EFAULT, FILEMAP_EFAULT, true, true);
	}
	assert_answer(map, prefault_write, "touch_own", EFAULT, FILEMAP_EFAULT, true, false);
	assert_answer(map, prefault_write, "touch_own", ENOMEM, -ENOMEM, true, false);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	filemap_close(map);
	t_census_same(*state);
}

T_MAIN(T_TEST(a_range_that_is_there_costs_one_call),
       T_TEST(an_older_kernel_peeks_at_many_pages_and_stores_to_each),
       T_TEST(pages_are_touched_in_the_unit_in_which_they_are_mapped),
       T_TEST(the_bad_page_is_found_with_few_calls_wherever_it_is),
       T_TEST(a_fault_that_has_gone_is_not_reported), T_TEST(a_page_of_broken_memory_is_named),
       T_TEST(a_page_without_a_block_wants_room_and_another_one_is_broken),
       T_TEST(failures_are_reported_as_they_are))
