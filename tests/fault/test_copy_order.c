/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The order of kernel calls of a copy as a written sequence. What must stay: the name is looked at before
 * anything is written, the content is synced before the name is given, the directory after it, and last.
 */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "base/error.h"
#include "fault.h"
#include "map/publish.h"

static struct filemap *map;
static const char *path;

static void open_source(void **state, unsigned mode)
{
	path = t_path(*state, "copy");
	t_write_file(t_path(*state, "source"), "some bytes", 10);
	fault_reset();
	assert_ok(filemap_open(t_path(*state, "source"), mode, NULL, &map, NULL));
}

static void copy(size_t length, int expected)
{
	fault_trace_start();
	assert_int_equal(filemap_copy_to(map, 0, length, path, NULL), expected);
}

static void end(const char *expected)
{
	assert_string_equal(fault_trace(), expected);
	fault_reset();
	filemap_close(map);
}

static void copy_syncs_then_names_then_syncs_the_directory(void **state)
{
	open_source(state, FILEMAP_WRITE);
	copy(10, 0);
	/* parent; name; made; bytes; content; named; link count; parent */
	end("openat fstatat openat seek_data seek_hole copy_range fsync link_fd fsync fsync close close ");
}

static void copy_of_cow_looks_whether_the_file_was_cut(void **state)
{
	open_source(state, FILEMAP_COW);
	copy(10, 0);
	end("openat fstatat openat pwrite fstat fsync link_fd fsync fsync close close ");
}

static void copy_of_nothing_is_as_durable(void **state)
{
	open_source(state, FILEMAP_READ);
	copy(0, 0);
	end("openat fstatat openat fsync link_fd fsync fsync close close ");
}

static void hidden_file_is_renamed_after_it_was_synced(void **state)
{
	open_source(state, FILEMAP_READ);
	fault_arm_call("openat", 2, EOPNOTSUPP);
	copy(10, 0);
	end("openat fstatat openat random openat seek_data seek_hole copy_range fsync rename fsync close "
	    "close ");
}

static void fail_rename(void *context)
{
	(void)context;
	fault_arm_call("rename", 1, EIO);
}

static void failed_rename_removes_the_hidden_file(void **state)
{
	open_source(state, FILEMAP_READ);
	fault_arm_call("openat", 2, EOPNOTSUPP);
	fault_hook("rename", 1, fail_rename, NULL);
	copy(10, -EIO);
	end("openat fstatat openat random openat seek_data seek_hole copy_range fsync rename fstat fstatat "
	    "unlinkat close close ");
}

static void file_that_cannot_be_named_is_copied_to_a_hidden_one(void **state)
{
	open_source(state, FILEMAP_READ);
	fault_arm_call("link_fd", 1, ENOENT);
	copy(10, 0);
	end("openat fstatat openat seek_data seek_hole copy_range fsync link_fd "
	    "fstat random openat seek_data seek_hole copy_range set_mode fsync close "
	    "rename fsync close close ");
}

static void taken_name_makes_no_file(void **state)
{
	open_source(state, FILEMAP_READ);
	assert_ok(symlink("nothing", path));
	copy(10, -EEXIST);
	end("openat fstatat close ");
}

static void refused_range_makes_no_call(void **state)
{
	open_source(state, FILEMAP_READ);
	copy(11, FILEMAP_ERANGE);
	end("");
}

static void refuse_rename(void *context)
{
	(void)context;
	fault_arm_call("rename", 1, EPERM);
}

static void refuse_unnamed(void *context)
{
	(void)context;
	fault_arm_call("openat", 1, EOPNOTSUPP);
	fault_hook("rename", 1, refuse_rename, NULL);
}

/* EPERM for a file without a name means another way; for a hidden one there is none. */
static void hidden_file_that_cannot_be_named_is_not_made_again(void **state)
{
	open_source(state, FILEMAP_WRITE);
	fault_hook("openat", 2, refuse_unnamed, NULL);
	copy(10, -EPERM);
	assert_int_equal(fault_count("rename"), 1);
	assert_int_equal(fault_count("unlinkat"), 1);
	fault_reset();
	filemap_close(map);
}

static int fill_and_fail(int fd, void *context, struct filemap_error *reterr)
{
	(void)fd;
	fm__fail(reterr, -EIO, "fill", "content");
	if (context)
		fm__fail_detail(reterr, context);
	return -EIO;
}

static void detail_of_the_content_is_kept(void **state)
{
	static char detail[] = "byte 7";
	struct filemap_error error;
	const struct fm__content with_detail = {fill_and_fail, detail}, without = {fill_and_fail, NULL};
	path = t_path(*state, "copy");
	fault_reset();
	assert_int_equal(fm__publish(AT_FDCWD, path, 0600, &with_detail, &error), -EIO);
	assert_string_equal(error.detail, detail);
	assert_int_equal(fm__publish(AT_FDCWD, path, 0600, &without, &error), -EIO);
	assert_string_equal(error.detail, path);
	assert_int_equal(t_file_size(path), -1);
}

T_MAIN(T_TEST(copy_syncs_then_names_then_syncs_the_directory),
       T_TEST(copy_of_cow_looks_whether_the_file_was_cut), T_TEST(copy_of_nothing_is_as_durable),
       T_TEST(hidden_file_is_renamed_after_it_was_synced), T_TEST(failed_rename_removes_the_hidden_file),
       T_TEST(file_that_cannot_be_named_is_copied_to_a_hidden_one), T_TEST(taken_name_makes_no_file),
       T_TEST(refused_range_makes_no_call), T_TEST(hidden_file_that_cannot_be_named_is_not_made_again),
       T_TEST(detail_of_the_content_is_kept))
