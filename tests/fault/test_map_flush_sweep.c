/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Flushes that fail, with pages of 4, 16 and 64 KiB: the error once, the doubt for ever. */
#include "t.h"

#include <errno.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "fault.h"
#include "map/map.h"

static struct filemap *create(void **state, uint64_t size, uint64_t offset)
{
	const char *path = t_path(*state, "file");
	struct filemap *map = NULL;
	remove(path);
	fault_reset();
	assert_ok(filemap_open(path, FILEMAP_WRITE,
			       FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW, .size = size, .offset = offset),
			       &map, NULL));
	memset(filemap_data_mut(map), 0xAA, filemap_size(map));
	return map;
}

static void assert_tainted(struct filemap *map, int cause)
{
	fault_reset(); /* the device works again: that must not help */
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE | FILEMAP_STATE_TAINTED);
	assert_int_equal(filemap_poison_cause(map), cause);
	assert_int_equal(filemap_flush(map), FILEMAP_EPOISONED);
	assert_int_equal(filemap_sync(map), FILEMAP_EPOISONED);
	assert_int_equal(filemap_flush_range(map, 0, 0), FILEMAP_EPOISONED);
	assert_int_equal(fault_count("msync") + fault_count("fsync"), 0);
	assert_ok(filemap_write_all(map, 0, "x", 1));
	filemap_close(map);
}

/* The kernel does not say which pages failed: it may have written others by itself, and tells whoever asks next. */
static void failed_flush_range_puts_the_whole_file_in_doubt(void **state)
{
	for (size_t page = 4096; page <= 65536; page *= 4) {
		uint64_t offset = 0, length = 0;
		fault_page_size(page);
		struct filemap *map = create(state, 4 * page, 77);
		fault_arm_call("msync", 1, ENOSPC);
		assert_int_equal(filemap_flush_range(map, 2 * page - 77, 1), -ENOSPC);
		assert_int_equal(filemap_doubt(map, &offset, &length), 1);
		assert_int_equal(offset, 0);
		assert_int_equal(length, 4 * page);
		assert_tainted(map, -ENOSPC);
	}
	fault_page_size(0);
}

static void file_of_unknown_size_is_in_doubt_up_to_the_greatest(void **state)
{
	uint64_t offset = 1, length = 0;
	struct filemap *map = create(state, 25000, 0);
	struct fm__flush flush;
	assert_ok(fm__map_flush_begin(map, 0, 1, &flush));
	fault_arm_call("fstat", 1, EIO);
	assert_int_equal(fm__map_flush_end(&flush, -EIO), -EIO);
	fault_reset();
	assert_int_equal(filemap_doubt(map, &offset, &length), 1);
	assert_int_equal(offset, 0);
	assert_true(length >= INT64_MAX);
	assert_tainted(map, -EIO);
}

/* fsync(2) tells of the whole file, so all of it is in doubt, not only the window. */
static void failed_sync_puts_the_whole_file_in_doubt(void **state)
{
	uint64_t offset = 1, length = 0;
	struct filemap *map = create(state, 25000, 9000);
	fault_arm_call("fsync", 1, EIO);
	assert_int_equal(filemap_sync(map), -EIO);
	assert_int_equal(filemap_doubt(map, &offset, &length), 1);
	assert_int_equal(offset, 0);
	assert_true(length >= 25000);
	assert_tainted(map, -EIO);
}

static void flush_is_one_call_and_sync_another(void **state)
{
	struct filemap *map = create(state, 5000, 0);
	fault_trace_start();
	assert_ok(filemap_flush(map));
	assert_string_equal(fault_trace(), "msync ");
	fault_trace_start();
	assert_ok(filemap_sync(map));
	assert_string_equal(fault_trace(), "fsync ");
	fault_trace_start();
	assert_ok(filemap_flush_range(map, 5000, 0));
	assert_string_equal(fault_trace(), "");
	filemap_close(map);
	fault_reset();
}

static void interrupted_flush_can_be_repeated(void **state)
{
	struct filemap *map = create(state, 5000, 0);
	fault_arm_call("msync", 1, EINTR);
	assert_int_equal(filemap_flush(map), -EINTR);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	assert_ok(filemap_flush(map));
	filemap_close(map);
	fault_reset();
}

static void flush_sweep_ends_with_success(void **state)
{
	for (size_t page = 4096; page <= 65536; page *= 4) {
		int failed = 0;
		fault_page_size(page);
		for (int n = 1;; n++) {
			struct filemap *map = create(state, 3 * page + 1, page + 5);
			fault_arm(n, EDQUOT);
			int r = filemap_sync(map);
			const int fired = fault_fired();
			if (r < 0) {
				failed++;
				assert_int_equal(r, -EDQUOT);
				assert_tainted(map, -EDQUOT);
			} else {
				filemap_close(map);
			}
			t_census_same(*state);
			if (!fired)
				break;
		}
		assert_int_equal(failed, 1);
	}
	fault_page_size(0);
}

static void failed_asynchronous_and_synchronous_flush_add_up(void **state)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct filemap *map = create(state, 8 * page, 0);
	struct fm__flush flush;
	uint64_t offset = 0, length = 0;
	assert_ok(fm__map_flush_begin(map, 6 * page, 1, &flush));
	fault_arm_call("msync", 1, EIO);
	assert_int_equal(filemap_flush_range(map, page, 1), -EIO);
	assert_int_equal(fm__map_flush_end(&flush, -ENOSPC), -ENOSPC);
	assert_int_equal(filemap_doubt(map, &offset, &length), 1);
	assert_int_equal(offset, 0);
	assert_int_equal(length, 8 * page);
	assert_tainted(map, -EIO);
}

T_MAIN(T_TEST(failed_flush_range_puts_the_whole_file_in_doubt),
       T_TEST(file_of_unknown_size_is_in_doubt_up_to_the_greatest),
       T_TEST(failed_sync_puts_the_whole_file_in_doubt), T_TEST(flush_is_one_call_and_sync_another),
       T_TEST(interrupted_flush_can_be_repeated), T_TEST(flush_sweep_ends_with_success),
       T_TEST(failed_asynchronous_and_synchronous_flush_add_up))
