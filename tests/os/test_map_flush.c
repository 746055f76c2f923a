/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Flushing, and the record of failures that the mapping and its asynchronous flushes share. */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "map/map.h"

static struct filemap *create(void **state, uint64_t size, uint64_t offset)
{
	struct filemap *map = NULL;
	assert_ok(filemap_open(t_path(*state, "file"), FILEMAP_WRITE,
			       FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW, .size = size, .offset = offset),
			       &map, NULL));
	return map;
}

static void flush_of_any_range_within_is_durable(void **state)
{
	struct filemap *map = create(state, 20000, 77);
	const size_t size = filemap_size(map);
	memset(filemap_data_mut(map), 0xAA, size);
	assert_ok(filemap_flush_range(map, 0, 4));
	assert_ok(filemap_flush_range(map, 4095, 2));
	assert_ok(filemap_flush_range(map, size, 0));
	assert_ok(filemap_flush_range(map, 5000, FILEMAP_TO_END));
	assert_ok(filemap_flush(map));
	assert_ok(filemap_sync(map));
	filemap_close(map);
}

static void flush_of_a_range_outside_is_refused(void **state)
{
	struct filemap *map = create(state, 100, 0);
	assert_int_equal(filemap_flush_range(map, 101, 0), FILEMAP_ERANGE);
	assert_int_equal(filemap_flush_range(map, 0, 101), FILEMAP_ERANGE);
	assert_int_equal(filemap_flush_range(map, 50, SIZE_MAX - 20), FILEMAP_ERANGE);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	filemap_close(map);
}

static void asynchronous_flush_covers_whole_pages_of_the_file(void **state)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct filemap *map = create(state, 4 * page, 77);
	struct fm__flush flush;
	assert_ok(fm__map_flush_begin(map, page - 78, 2, &flush));
	assert_int_equal(flush.fd, filemap_fd(map));
	assert_int_equal(flush.offset, 0);
	assert_int_equal(flush.length, 2 * page);
	assert_int_equal(fm__map_flush_end(&flush, 0), 0);
	assert_int_equal(fm__map_flush_begin(map, 0, FILEMAP_TO_END - 1, &flush), FILEMAP_ERANGE);
	filemap_close(map);
}

static void asynchronous_flush_of_nothing_has_no_backing(void **state)
{
	struct filemap *map = create(state, 100, 0);
	struct fm__flush flush;
	assert_ok(fm__map_flush_begin(map, 100, 0, &flush));
	assert_null(flush.backing);
	assert_int_equal(fm__map_flush_end(&flush, 0), 0);
	filemap_close(map);
}

static void descriptor_outlives_close_while_a_flush_is_under_way(void **state)
{
	struct filemap *map = create(state, 100, 0), *again;
	struct fm__flush flush;
	assert_ok(fm__map_flush_begin(map, 0, 100, &flush));
	const int fd = flush.fd;
	filemap_close(map);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	assert_ok(fdatasync(fd));
	/* The lock is free all the same. */
	assert_ok(filemap_open(t_path(*state, "file"), FILEMAP_WRITE, NULL, &again, NULL));
	filemap_close(again);
	assert_int_equal(fm__map_flush_end(&flush, 0), 0);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void failed_flush_taints_for_ever(void **state)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct filemap *map = create(state, 8 * page, 0);
	struct fm__flush a, b;
	uint64_t offset = 1, length = 1;
	assert_int_equal(filemap_doubt(map, &offset, &length), 0);
	assert_int_equal(offset + length, 2);
	assert_ok(fm__map_flush_begin(map, 2 * page, 1, &a));
	assert_ok(fm__map_flush_begin(map, 5 * page + 1, 1, &b));
	assert_int_equal(fm__map_flush_end(&b, -EIO), -EIO);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE | FILEMAP_STATE_TAINTED);
	assert_int_equal(fm__map_flush_end(&a, -ENOSPC), -ENOSPC);
	assert_int_equal(filemap_poison_cause(map), -EIO);
	assert_int_equal(filemap_doubt(map, &offset, &length), 1);
	assert_int_equal(offset, 0);
	assert_int_equal(length, 8 * page);
	assert_int_equal(filemap_flush(map), FILEMAP_EPOISONED);
	assert_int_equal(filemap_flush_range(map, 0, 0), FILEMAP_EPOISONED);
	assert_int_equal(filemap_sync(map), FILEMAP_EPOISONED);
	assert_int_equal(fm__map_flush_begin(map, 0, 1, &a), FILEMAP_EPOISONED);
	filemap_close(map);
}

static void success_after_somebody_elses_failure_is_not_told(void **state)
{
	struct filemap *map = create(state, 100, 0);
	struct fm__flush good, bad;
	assert_ok(fm__map_flush_begin(map, 0, 1, &good));
	assert_ok(fm__map_flush_begin(map, 0, 1, &bad));
	assert_int_equal(fm__map_flush_end(&bad, -EIO), -EIO);
	assert_int_equal(fm__map_flush_end(&good, 0), FILEMAP_EPOISONED);
	filemap_close(map);
}

static void tainted_mapping_still_loads_stores_and_resizes(void **state)
{
	struct filemap *map = create(state, 100, 0);
	struct fm__flush flush;
	assert_ok(fm__map_flush_begin(map, 0, 1, &flush));
	assert_int_equal(fm__map_flush_end(&flush, -EIO), -EIO);
	assert_false(filemap_is_poisoned(map));
	assert_ok(filemap_write_all(map, 0, "abc", 3));
	assert_ok(filemap_resize(map, 5000, NULL));
	assert_memory_equal(filemap_data(map), "abc", 3);
	assert_int_equal(filemap_flush(map), FILEMAP_EPOISONED);
	filemap_close(map);
}

static void interrupted_or_cancelled_flush_does_not_taint(void **state)
{
	struct filemap *map = create(state, 100, 0);
	struct fm__flush flush;
	assert_ok(fm__map_flush_begin(map, 0, 1, &flush));
	assert_int_equal(fm__map_flush_end(&flush, -EINTR), -EINTR);
	assert_ok(fm__map_flush_begin(map, 0, 1, &flush));
	assert_int_equal(fm__map_flush_end(&flush, -ECANCELED), -ECANCELED);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	assert_ok(filemap_flush(map));
	filemap_close(map);
}

struct racer {
	struct filemap *map;
	int failures;
};

static void *begin_and_fail(void *argument)
{
	struct racer *racer = argument;
	for (size_t i = 0; i < 1000; i++) {
		struct fm__flush flush;
		if (fm__map_flush_begin(racer->map, i % 4 * 4096, 1, &flush) == 0)
			racer->failures += fm__map_flush_end(&flush, i < 500 ? 0 : -EIO) != 0;
		filemap_state(racer->map);
	}
	return NULL;
}

static void taint_is_safe_from_many_threads(void **state)
{
	struct filemap *map = create(state, 16384, 0);
	struct racer racers[4] = {{map, 0}, {map, 0}, {map, 0}, {map, 0}};
	pthread_t threads[4];
	int failures = 0;
	for (size_t i = 0; i < 4; i++)
		assert_ok(pthread_create(&threads[i], NULL, begin_and_fail, &racers[i]));
	for (size_t i = 0; i < 4; i++) {
		assert_ok(pthread_join(threads[i], NULL));
		failures += racers[i].failures;
	}
	assert_true(failures > 0);
	assert_int_equal(filemap_poison_cause(map), -EIO);
	filemap_close(map);
}

static int close_in_child(void *context)
{
	struct fm__flush *flush = ((void **)context)[0];
	struct filemap *map = ((void **)context)[1];
	struct fm__flush own;
	const int fd = filemap_fd(map);
	if (fm__map_flush_end(flush, 0) != FILEMAP_EFORKED)
		return 1;
	if (fm__map_flush_begin(map, 0, 1, &own) < 0 || fm__map_flush_end(&own, 0) != 0)
		return 2;
	filemap_close(map);
	return fcntl(fd, F_GETFD) == -1 ? 0 : 3;
}

static int only_close(void *map)
{
	const int fd = filemap_fd(map);
	filemap_close(map);
	return fcntl(fd, F_GETFD) == -1 ? 0 : 1;
}

static void forked_child_closes_the_descriptor_of_a_flush_in_its_parent(void **state)
{
	struct filemap *map = create(state, 100, 0);
	struct fm__flush flush;
	assert_ok(fm__map_flush_begin(map, 0, 1, &flush));
	assert_int_equal(t_in_child(only_close, map), 0);
	assert_int_equal(fm__map_flush_end(&flush, 0), 0);
	filemap_close(map);
}

static void forked_child_counts_only_its_own_flushes(void **state)
{
	struct filemap *map = create(state, 100, 0);
	struct fm__flush flush;
	void *both[2] = {&flush, map};
	assert_ok(fm__map_flush_begin(map, 0, 1, &flush));
	assert_int_equal(t_in_child(close_in_child, both), 0);
	assert_int_equal(fm__map_flush_end(&flush, 0), 0);
	filemap_close(map);
}

static void flush_of_nothing_that_ends_with_an_error_taints_nothing(void **state)
{
	struct filemap *map = create(state, 100, 0);
	struct fm__flush flush;
	assert_ok(fm__map_flush_begin(map, 50, 0, &flush));
	assert_int_equal(flush.length, 0);
	assert_int_equal(fm__map_flush_end(&flush, -EIO), -EIO);
	assert_ok(fm__map_flush_begin(map, 50, 0, &flush));
	assert_int_equal(fm__map_flush_end(&flush, 1), 0);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	filemap_close(map);
}

T_MAIN(T_TEST(flush_of_any_range_within_is_durable), T_TEST(flush_of_a_range_outside_is_refused),
       T_TEST(asynchronous_flush_covers_whole_pages_of_the_file),
       T_TEST(asynchronous_flush_of_nothing_has_no_backing),
       T_TEST(descriptor_outlives_close_while_a_flush_is_under_way), T_TEST(failed_flush_taints_for_ever),
       T_TEST(success_after_somebody_elses_failure_is_not_told),
       T_TEST(tainted_mapping_still_loads_stores_and_resizes),
       T_TEST(interrupted_or_cancelled_flush_does_not_taint), T_TEST(taint_is_safe_from_many_threads),
       T_TEST(forked_child_closes_the_descriptor_of_a_flush_in_its_parent),
       T_TEST(forked_child_counts_only_its_own_flushes),
       T_TEST(flush_of_nothing_that_ends_with_an_error_taints_nothing))
