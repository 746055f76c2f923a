/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Commit, write-back, allocation: what they refuse, and what is in the file afterwards. */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "map/map.h"

static struct filemap *create(void **state, uint64_t size, uint32_t flags)
{
	struct filemap *map = NULL;
	assert_ok(filemap_open(t_path(*state, "file"), FILEMAP_WRITE,
			       FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW | flags, .size = size), &map,
			       NULL));
	return map;
}

static void header_is_stored_after_the_data(void **state)
{
	struct filemap *map = create(state, 10000, 0);
	unsigned char bytes[10000];
	memset((char *)filemap_data_mut(map) + 4096, 0xAA, 5000);
	assert_ok(filemap_commit(map, 4096, 5000, 8, "head", 4, NULL));
	assert_ok(filemap_commit(map, 0, 0, 20, "more", 4, NULL)); /* no data is fine */
	assert_ok(filemap_commit(map, 4096, FILEMAP_TO_END, 4000, bytes, 0, NULL));
	t_read_file(filemap_path(map), bytes, sizeof bytes);
	assert_memory_equal(bytes + 8, "head", 4);
	assert_memory_equal(bytes + 20, "more", 4);
	assert_int_equal(bytes[9095], 0xAA);
	filemap_close(map);
}

static void commit_that_makes_no_sense_does_nothing(void **state)
{
	static const unsigned char header[5000] = {1};
	struct filemap_error error;
	struct filemap *map = create(state, 10000, 0);
	assert_int_equal(filemap_commit(map, 0, 100, 200, NULL, 4, &error), FILEMAP_EOPTION);
	assert_string_equal(error.subject, "header");
	assert_int_equal(filemap_commit(map, 0, 100, 200, header, 4097, &error), FILEMAP_EOPTION);
	assert_string_equal(error.subject, "header_length");
	assert_int_equal(filemap_commit(map, 0, 100, 200, header, FILEMAP_TO_END, NULL), FILEMAP_EOPTION);
	assert_int_equal(filemap_commit(map, 0, 100, 99, header, 4, &error), FILEMAP_EOPTION);
	assert_string_equal(error.subject, "header_offset");
	assert_int_equal(filemap_commit(map, 100, FILEMAP_TO_END, 97, header, 4, NULL), FILEMAP_EOPTION);
	assert_int_equal(filemap_commit(map, 9999, 2, 0, header, 4, &error), FILEMAP_ERANGE);
	assert_string_equal(error.subject, "data");
	assert_int_equal(filemap_commit(map, 0, 100, 9997, header, 4, &error), FILEMAP_ERANGE);
	assert_string_equal(error.subject, "header");
	for (size_t i = 0; i < 10000; i++)
		assert_int_equal(((const unsigned char *)filemap_data(map))[i], 0);
	assert_ok(filemap_commit(map, 100, 4, 96, header, 4, NULL)); /* side by side is fine */
	assert_ok(filemap_commit(map, 5000, 4, 0, header, 4096, NULL));
	assert_ok(filemap_freeze(map, NULL));
	assert_int_equal(filemap_commit(map, 0, 4, 8, header, 4, NULL), FILEMAP_EMODE);
	filemap_close(map);
}

static void tainted_mapping_does_not_commit(void **state)
{
	struct filemap *map = create(state, 10000, 0);
	struct fm__flush flush;
	assert_ok(fm__map_flush_begin(map, 0, 1, &flush));
	assert_int_equal(fm__map_flush_end(&flush, -ENOSPC), -ENOSPC);
	assert_int_equal(filemap_commit(map, 0, 4, 8, "head", 4, NULL), FILEMAP_EPOISONED);
	assert_int_equal(((const char *)filemap_data(map))[8], 0);
	filemap_close(map);
}

/* Memory and private copies have no device: ranges are checked, headers stored. */
static void without_a_device_only_ranges_are_checked(void **state)
{
	struct filemap *maps[4];
	struct fm__flush flush;
	char byte = 0;
	filemap_close(create(state, 5000, 0));
	assert_ok(filemap_open(t_path(*state, "file"), FILEMAP_COW, NULL, &maps[0], NULL));
	assert_ok(filemap_anonymous(5000, NULL, &maps[1], NULL));
	assert_ok(filemap_anonymous(5000, FILEMAP_OPTIONS(.flags = FILEMAP_SHARED), &maps[2], NULL));
	assert_ok(filemap_from_bytes(NULL, FILEMAP_COW, (const char[5000]){0}, 5000, &maps[3], NULL));
	for (int i = 0; i < 4; i++) {
		assert_ok(filemap_flush(maps[i]));
		assert_ok(filemap_sync(maps[i]));
		assert_ok(filemap_writeback(maps[i], 0, FILEMAP_TO_END));
		assert_int_equal(filemap_flush_range(maps[i], 4999, 2), FILEMAP_ERANGE);
		assert_int_equal(filemap_writeback(maps[i], 5001, 0), FILEMAP_ERANGE);
		assert_ok(filemap_commit(maps[i], 100, 100, 3, "h", 1, NULL));
		assert_int_equal(filemap_commit(maps[i], 4999, 2, 3, "h", 1, NULL), FILEMAP_ERANGE);
		assert_int_equal(((const char *)filemap_data(maps[i]))[3], 'h');
		assert_ok(fm__map_flush_begin(maps[i], 0, FILEMAP_TO_END, &flush));
		assert_null(flush.backing);
		assert_ok(fm__map_flush_end(&flush, 0));
		filemap_close(maps[i]);
	}
	assert_int_equal(t_read_file(t_path(*state, "file"), &byte, 1), 1);
	assert_ok(filemap_wrap_bytes(NULL, "abc", 3, &maps[0], NULL));
	assert_ok(filemap_flush_range(maps[0], 0, 3));
	assert_int_equal(filemap_flush_range(maps[0], 0, 4), FILEMAP_ERANGE);
	filemap_close(maps[0]);
}

static void writeback_of_a_file_starts(void **state)
{
	struct filemap *map = create(state, 10000, 0);
	memset(filemap_data_mut(map), 0xAA, 10000);
	assert_ok(filemap_writeback(map, 1, 5000));
	assert_ok(filemap_writeback(map, 0, 0));
	assert_ok(filemap_writeback(map, 0, FILEMAP_TO_END));
	assert_int_equal(filemap_writeback(map, 10000, 1), FILEMAP_ERANGE);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	filemap_close(map);
}

static int64_t blocks_of(const struct filemap *map)
{
	struct filemap_stat status;
	assert_ok(filemap_stat(map, &status));
	return (int64_t)status.blocks * 512;
}

static void allocation_fills_holes_only(void **state)
{
	struct filemap *map = create(state, 1 << 20, FILEMAP_SPARSE);
	struct filemap_error error;
	assert_ok(filemap_write_all(map, 1 << 19, "x", 1));
	assert_true(blocks_of(map) < 1 << 19);
	assert_ok(filemap_allocate(map, 0, 0, NULL));
	assert_true(blocks_of(map) < 1 << 19);
	assert_ok(filemap_allocate(map, 0, FILEMAP_TO_END, NULL));
	assert_true(blocks_of(map) >= 1 << 20);
	assert_int_equal(((const char *)filemap_data(map))[1 << 19], 'x');
	assert_int_equal(t_file_size(filemap_path(map)), 1 << 20);
	assert_int_equal(filemap_allocate(map, 1, 1 << 20, &error), FILEMAP_ERANGE);
	assert_string_equal(error.subject, "range");
	assert_ok(truncate(filemap_path(map), 100)); /* whatever others do, the size is not given back */
	assert_ok(filemap_allocate(map, 0, 4096, NULL));
	assert_int_equal(t_file_size(filemap_path(map)), 100);
	assert_ok(filemap_refresh(map, NULL, NULL));
	assert_ok(filemap_freeze(map, NULL));
	assert_int_equal(filemap_allocate(map, 0, 10, NULL), FILEMAP_EMODE);
	filemap_close(map);
	assert_ok(filemap_open(t_path(*state, "file"), FILEMAP_COW, NULL, &map, NULL));
	assert_int_equal(filemap_allocate(map, 0, 10, NULL), FILEMAP_EMODE);
	filemap_close(map);
	assert_ok(filemap_anonymous(100, NULL, &map, NULL));
	assert_ok(filemap_allocate(map, 0, 100, NULL));
	assert_int_equal(filemap_allocate(map, 0, 101, NULL), FILEMAP_ERANGE);
	assert_false(filemap_reservable(map));
	filemap_close(map);
}

static int allocate_in_child(void *map)
{
	return filemap_allocate(map, 0, 1, NULL) == FILEMAP_EFORKED ? 0 : 1;
}

static void forked_child_does_not_allocate(void **state)
{
	struct filemap *map = create(state, 100, FILEMAP_SPARSE);
	assert_int_equal(t_in_child(allocate_in_child, map), 0);
	filemap_close(map);
}

static void reservable_follows_the_file_system(void **state)
{
	struct filemap *map = create(state, 100, 0);
	struct statfs fs;
	assert_ok(fstatfs(filemap_fd(map), &fs));
	const bool known = fs.f_type == 0xEF53 || fs.f_type == 0x01021994 || fs.f_type == 0x58465342;
	assert_int_equal(filemap_reservable(map), known);
	filemap_close(map);
	assert_ok(filemap_anonymous(100, FILEMAP_OPTIONS(.flags = FILEMAP_SHARED), &map, NULL));
	assert_true(filemap_reservable(map)); /* tmpfs */
	filemap_close(map);
}

static int fill_small_disk(void *context)
{
	const char *dir = context;
	char path[512];
	struct filemap *map;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", dir, "tmpfs", 0, "size=256k") < 0)
		return 77;
	snprintf(path, sizeof path, "%s/file", dir);
	if (filemap_open(path, FILEMAP_WRITE,
			 FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | FILEMAP_SPARSE, .size = 1 << 20), &map,
			 NULL))
		return 1;
	if (!filemap_reservable(map) || filemap_allocate(map, 0, FILEMAP_TO_END, NULL) != -ENOSPC)
		return 2;
	if (filemap_size(map) != 1 << 20 || filemap_allocate(map, 1 << 19, 1 << 16, NULL) < 0)
		return 3;
	memset((char *)filemap_data_mut(map) + (1 << 19), 1, 1 << 16); /* no SIGBUS */
	filemap_close(map);
	return 0;
}

static void full_disk_is_an_error_here_and_no_signal_there(void **state)
{
	struct t_dir *dir = *state;
	const int r = t_in_child(fill_small_disk, dir->path);
	if (r == 77)
		t_skip("no mount namespace for this user");
	assert_int_equal(r, 0);
}

static void header_may_stand_right_before_or_behind_the_data(void **state)
{
	struct filemap *map = create(state, 10000, 0);
	assert_ok(filemap_commit(map, 0, 4096, 4096, "head", 4, NULL));
	assert_ok(filemap_commit(map, 4096, 4096, 4092, "head", 4, NULL));
	assert_int_equal(filemap_commit(map, 0, 4097, 4096, "head", 4, NULL), FILEMAP_EOPTION);
	assert_int_equal(filemap_commit(map, 4096, 4096, 4093, "head", 4, NULL), FILEMAP_EOPTION);
	filemap_close(map);
}

/* The blocks before the window are there already. */
static void allocation_is_at_the_place_of_the_window(void **state)
{
	const size_t half = 1 << 20;
	struct filemap_stat status;
	struct filemap *map = create(state, half, 0);
	assert_ok(filemap_stat(map, &status));
	if (!filemap_reservable(map) || status.blocks * 512 > half + half / 2)
		t_skip("blocks cannot be counted on this file system");
	filemap_close(map);
	assert_ok(truncate(t_path(*state, "file"), (off_t)(2 * half)));
	assert_ok(filemap_open(t_path(*state, "file"), FILEMAP_WRITE, FILEMAP_OPTIONS(.offset = half), &map,
			       NULL));
	assert_ok(filemap_allocate(map, 0, FILEMAP_TO_END, NULL));
	assert_ok(filemap_stat(map, &status));
	assert_true(status.blocks * 512 >= 2 * half);
	filemap_close(map);
}

T_MAIN(T_TEST(header_is_stored_after_the_data), T_TEST(commit_that_makes_no_sense_does_nothing),
       T_TEST(tainted_mapping_does_not_commit), T_TEST(without_a_device_only_ranges_are_checked),
       T_TEST(writeback_of_a_file_starts), T_TEST(allocation_fills_holes_only),
       T_TEST(forked_child_does_not_allocate), T_TEST(reservable_follows_the_file_system),
       T_TEST(full_disk_is_an_error_here_and_no_signal_there),
       T_TEST(header_may_stand_right_before_or_behind_the_data),
       T_TEST(allocation_is_at_the_place_of_the_window))
