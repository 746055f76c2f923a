/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Pins: what they forbid, what goes on, and that the last one ends a closed mapping. */
#include "t.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "map/map.h"

static struct filemap *create(void **state, uint64_t size, uint64_t reserve)
{
	struct filemap *map = NULL;
	assert_ok(filemap_open(t_path(*state, "file"), FILEMAP_WRITE,
			       FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW, .size = size, .reserve = reserve),
			       &map, NULL));
	memset(filemap_data_mut(map), 0xAA, filemap_size(map));
	return map;
}

static void pinned_mapping_does_not_shrink(void **state)
{
	struct filemap_error error;
	struct filemap *map = create(state, 10000, 0);
	const void *data = filemap_data(map);
	assert_ok(filemap_pin(map));
	assert_ok(filemap_pin(map));
	assert_int_equal(filemap_resize(map, 9999, &error), FILEMAP_EBUSY);
	assert_string_equal(error.subject, "pin");
	assert_int_equal(t_file_size(filemap_path(map)), 10000);
	filemap_unpin(map);
	assert_int_equal(filemap_resize(map, 9999, NULL), FILEMAP_EBUSY);
	assert_ok(filemap_resize(map, 12000, NULL)); /* within the last page */
	assert_ptr_equal(filemap_data(map), data);
	filemap_unpin(map);
	assert_ok(filemap_resize(map, 9999, NULL));
	filemap_close(map);
}

static void pinned_memory_does_not_shrink(void **state)
{
	struct filemap *map;
	(void)state;
	assert_ok(filemap_anonymous(10000, NULL, &map, NULL));
	assert_ok(filemap_pin(map));
	assert_int_equal(filemap_resize(map, 9999, NULL), FILEMAP_EBUSY);
	assert_int_equal(filemap_size(map), 10000);
	filemap_unpin(map);
	assert_ok(filemap_resize(map, 9999, NULL));
	filemap_close(map);
}

/* A page right behind the region, so that it cannot grow where it is. */
static void *block_behind(const struct filemap *map, size_t region)
{
	void *at = (char *)(uintptr_t)filemap_data(map) + region;
	void *page = mmap(at, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	return page == at ? page : NULL; /* something else is there: as good */
}

static void pinned_mapping_does_not_move(void **state)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct filemap *map = create(state, page, 0);
	const void *data = filemap_data(map);
	void *blocker = block_behind(map, page);
	assert_ok(filemap_pin(map));
	assert_int_equal(filemap_resize(map, 100 * page, NULL), FILEMAP_EBUSY);
	assert_int_equal(t_file_size(filemap_path(map)), page); /* decided before */
	assert_ok(truncate(filemap_path(map), (off_t)(50 * page)));
	assert_int_equal(filemap_refresh(map, NULL, NULL), FILEMAP_EBUSY);
	assert_ptr_equal(filemap_data(map), data);
	assert_int_equal(filemap_size(map), page);
	filemap_unpin(map);
	assert_ok(filemap_resize(map, 100 * page, NULL));
	filemap_close(map);
	if (blocker)
		munmap(blocker, 4096);
}

static void pinned_mapping_grows_within_its_reserve(void **state)
{
	struct filemap *map = create(state, 100, 1 << 20);
	const void *data = filemap_data(map);
	assert_ok(filemap_pin(map));
	assert_ok(filemap_resize(map, 1 << 20, NULL));
	assert_ptr_equal(filemap_data(map), data);
	assert_int_equal(((const char *)data)[(1 << 20) - 1], 0);
	filemap_unpin(map);
	filemap_close(map);
}

static void last_pin_ends_a_closed_mapping(void **state)
{
	struct filemap *map = create(state, 5000, 0), *other;
	const unsigned char *data = filemap_data(map);
	const char *path = t_path(*state, "file");
	assert_ok(filemap_pin(map));
	assert_ok(filemap_pin(map));
	filemap_close(map);
	assert_int_equal(data[4999], 0xAA);
	assert_int_equal(filemap_size(map), 5000);
	assert_int_equal(filemap_open(path, FILEMAP_READ, NULL, &other, NULL), FILEMAP_ELOCKED);
	filemap_unpin(map);
	assert_int_equal(data[0], 0xAA);
	assert_int_equal(filemap_open(path, FILEMAP_READ, NULL, &other, NULL), FILEMAP_ELOCKED);
	filemap_unpin(map);
	t_census_same(*state);
	assert_ok(filemap_open(path, FILEMAP_READ, NULL, &other, NULL));
	filemap_close(other);
	filemap_unpin(NULL);
}

#define THREADS 4

static void *pin_and_look(void *argument)
{
	const struct filemap *map = argument;
	for (int i = 0; i < 1000; i++) {
		if (filemap_pin(map) < 0 || *(const unsigned char *)filemap_data(map) != 0xAA)
			return argument;
		filemap_unpin(map);
	}
	filemap_unpin(map); /* the one that was taken for this thread */
	return NULL;
}

static void threads_end_a_mapping_that_was_closed_meanwhile(void **state)
{
	struct filemap *map = create(state, 5000, 0);
	pthread_t threads[THREADS];
	void *failed;
	for (int i = 0; i < THREADS; i++) {
		assert_ok(filemap_pin(map));
		assert_ok(pthread_create(&threads[i], NULL, pin_and_look, map));
	}
	filemap_close(map);
	for (int i = 0; i < THREADS; i++) {
		assert_ok(pthread_join(threads[i], &failed));
		assert_null(failed);
	}
	t_census_same(*state);
}

static void try_close_refuses_while_somebody_uses_it(void **state)
{
	struct filemap *map = create(state, 5000, 0);
	struct fm__flush flush;
	assert_ok(filemap_try_close(NULL));
	assert_ok(filemap_pin(map));
	assert_int_equal(filemap_try_close(map), FILEMAP_EBUSY);
	filemap_unpin(map);
	assert_ok(fm__map_flush_begin(map, 0, FILEMAP_TO_END, &flush));
	assert_int_equal(filemap_try_close(map), FILEMAP_EBUSY);
	assert_int_equal(filemap_close_truncated(map, 10, NULL), FILEMAP_EBUSY);
	assert_int_equal(filemap_size(map), 5000);
	assert_ok(fm__map_flush_end(&flush, 0));
	assert_ok(filemap_try_close(map));
	t_census_same(*state);
}

T_MAIN(T_TEST(pinned_mapping_does_not_shrink), T_TEST(pinned_memory_does_not_shrink),
       T_TEST(pinned_mapping_does_not_move), T_TEST(pinned_mapping_grows_within_its_reserve),
       T_TEST(last_pin_ends_a_closed_mapping), T_TEST(threads_end_a_mapping_that_was_closed_meanwhile),
       T_TEST(try_close_refuses_while_somebody_uses_it))
