/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The order of kernel calls of publishing and replacing as written sequences. What must stay: names are looked
 * at before anything is made, content is synced before any name is given to it, owner comes before content and
 * permissions behind it, what is unlinked was compared right before, and the directory is synced last.
 */
#include "new_file.h"

#define KEEP_BOTH (FILEMAP_KEEP_MODE | FILEMAP_KEEP_OWNER)
#define LOOK "openat openat fstat fstat " /* directory; old file, its type, its owner and mode */
#define IDENTIFY LOOK "statx file_handle "
#define CLOSE "close close close " /* new file, directory, old file */

static struct filemap_identity identity;

static void start(void **state, bool exists)
{
	use_dir(*state);
	remove_all();
	if (exists) {
		t_write_file(path, OLD, sizeof OLD - 1);
		assert_ok(filemap_file_identity(AT_FDCWD, path, &identity, NULL));
	}
	fault_reset();
}

static void publish(int expected_result, const char *expected)
{
	fault_trace_start();
	assert_int_equal(filemap_publish(AT_FDCWD, path, filemap_fill_bytes, new_text(), NULL, &error),
			 expected_result);
	assert_string_equal(fault_trace(), expected);
	fault_reset();
}

static void replace(const struct filemap_new_options *options, int expected_result, const char *expected)
{
	fault_trace_start();
	assert_int_equal(
		filemap_replace_file(AT_FDCWD, path, filemap_fill_bytes, new_text(), options, &error),
		expected_result);
	assert_string_equal(fault_trace(), expected);
	fault_reset();
}

#define EXPECT FILEMAP_NEW_OPTIONS(.expect = &identity)
#define KEEP(keep) FILEMAP_NEW_OPTIONS(.flags = (keep))

static void published_file_is_synced_then_named_then_its_directory_synced(void **state)
{
	start(state, false);
	publish(0, "openat fstatat openat pwrite fsync link_fd fsync fsync close close ");
}

static void hidden_file_is_synced_then_renamed(void **state)
{
	start(state, false);
	fault_arm_call("openat", 2, EOPNOTSUPP);
	publish(0, "openat fstatat openat random openat pwrite fsync rename fsync close close ");
}

static void file_that_cannot_be_named_is_copied_and_synced_before_it_is_named(void **state)
{
	start(state, false);
	fault_arm_call("link_fd", 1, ENOENT);
	publish(0, "openat fstatat openat pwrite fsync link_fd fstat random openat seek_data seek_hole "
		   "copy_range set_mode fsync close rename fsync close close ");
}

static void taken_name_makes_no_file(void **state)
{
	start(state, true);
	publish(-EEXIST, "openat fstatat close ");
	start(state, false);
	assert_int_equal(filemap_publish(AT_FDCWD, NULL, NULL, NULL, NULL, NULL), FILEMAP_EOPTION);
}

static void failed_publish_removes_the_hidden_file_if_it_is_its_own(void **state)
{
	start(state, false);
	fault_arm_call("openat", 2, EOPNOTSUPP);
	fault_arm_also("rename", 1, EIO);
	publish(-EIO, "openat fstatat openat random openat pwrite fsync rename fstat fstatat unlinkat close "
		      "close ");
}

static void new_file_is_hidden_then_renamed_over_the_old(void **state)
{
	start(state, true);
	replace(NULL, 0, LOOK "openat pwrite random link_fd fsync rename fsync " CLOSE);
	fault_arm_call("openat", 3, EOPNOTSUPP);
	replace(NULL, 0, LOOK "openat random openat pwrite fsync rename fsync " CLOSE);
	fault_arm_call("link_fd", 1, ENOENT);
	replace(NULL, 0,
		LOOK "openat pwrite random link_fd fstat random openat seek_data seek_hole copy_range "
		     "set_mode fsync close rename fsync " CLOSE);
}

static void name_that_does_not_exist_is_made_in_the_same_order(void **state)
{
	start(state, false);
	replace(KEEP(KEEP_BOTH), 0,
		"openat openat openat pwrite random link_fd fsync rename fsync close close ");
}

static void expected_file_changes_places_is_compared_and_unlinked(void **state)
{
	start(state, true);
	replace(EXPECT, 0,
		IDENTIFY
		"openat pwrite fsync random link_fd fsync fstat fstatat move fstatat unlinkat fsync " CLOSE);
	start(state, true);
	fault_arm_call("openat", 3, EOPNOTSUPP);
	replace(EXPECT, 0,
		IDENTIFY "openat random openat pwrite fsync random rename fstat fstatat move fstatat "
			 "unlinkat fsync " CLOSE);
	start(state, true);
	fault_arm_call("link_fd", 1, ENOENT);
	replace(EXPECT, 0,
		IDENTIFY "openat pwrite fsync random link_fd fstat random openat seek_data seek_hole "
			 "copy_range set_mode fsync close random rename fstat fstatat move fstatat unlinkat "
			 "fsync " CLOSE);
}

static void file_that_cannot_be_exchanged_is_compared_again_and_renamed_over(void **state)
{
	static const int errors[] = {EINVAL, ENOSYS, EOPNOTSUPP};
	for (size_t i = 0; i < 3; i++) {
		start(state, true);
		fault_arm_call("move", 1, errors[i]);
		replace(EXPECT, FILEMAP_WEAKLY_CHECKED,
			IDENTIFY "openat pwrite fsync random link_fd fsync fstat fstatat move fstatat rename "
				 "fsync " CLOSE);
	}
}

/* The directory is synced before our own file is unlinked: else a crash could keep that and not the move. */
static void failed_unlink_changes_places_back_and_syncs_before_removing_our_own(void **state)
{
	start(state, true);
	fault_arm_call("unlinkat", 1, EIO);
	replace(EXPECT, -EIO,
		IDENTIFY "openat pwrite fsync random link_fd fsync fstat fstatat move fstatat unlinkat move "
			 "fsync fstat "
			 "fstatat fstat fstatat unlinkat " CLOSE);
	assert_true(holds(path, OLD));
	assert_int_equal(find_hidden(), 0);
}

static void owner_comes_before_content_and_permissions_behind_it(void **state)
{
	start(state, true);
	replace(KEEP(KEEP_BOTH), 0,
		LOOK "openat acl_group acl_drop set_owner pwrite set_mode random link_fd fsync rename "
		     "fsync " CLOSE);
	replace(KEEP(FILEMAP_KEEP_MODE), 0,
		LOOK "openat acl_group acl_drop pwrite set_mode random link_fd fsync rename fsync " CLOSE);
	replace(KEEP(FILEMAP_KEEP_OWNER), 0,
		LOOK "openat fstat set_owner pwrite set_mode random link_fd fsync rename fsync " CLOSE);
	assert_ok(chmod(path, 04755));
	replace(KEEP(FILEMAP_KEEP_MODE), 0,
		LOOK
		"openat acl_group acl_drop fstat pwrite set_mode random link_fd fsync rename fsync " CLOSE);
}

static void list_of_the_directory_is_dropped_before_there_is_content(void **state)
{
	start(state, true);
	fault_arm_call("openat", 3, EOPNOTSUPP);
	replace(KEEP(FILEMAP_KEEP_MODE), 0,
		LOOK "openat random openat acl_group acl_drop pwrite set_mode fsync rename fsync " CLOSE);
	fault_arm_call("link_fd", 1, ENOENT);
	replace(KEEP(FILEMAP_KEEP_MODE), 0,
		LOOK "openat acl_group acl_drop pwrite set_mode random link_fd fstat random openat acl_drop "
		     "seek_data seek_hole copy_range set_mode fsync close rename fsync " CLOSE);
}

/* Writing takes them away; what the umask leaves is asked of the file. */
static void set_id_permissions_are_given_behind_the_content(void **state)
{
	start(state, false);
	fault_trace_start();
	assert_ok(filemap_publish(AT_FDCWD, path, filemap_fill_bytes, new_text(),
				  FILEMAP_NEW_OPTIONS(.permissions = 04755), &error));
	assert_string_equal(fault_trace(), "openat fstatat openat fstat pwrite set_mode fsync link_fd fsync "
					   "fsync close close ");
	fault_reset();
}

/* What the umask leaves is asked of a file of its own: the one that is used is open to nobody until the end. */
static void hidden_file_for_another_owner_is_made_twice(void **state)
{
	start(state, true);
	fault_arm_call("openat", 3, EOPNOTSUPP);
	replace(KEEP(FILEMAP_KEEP_OWNER), 0,
		LOOK
		"openat random openat fstat unlinkat close random openat set_owner pwrite set_mode fsync "
		"rename fsync " CLOSE);
}

static void refused_file_is_found_before_one_is_made(void **state)
{
	start(state, true);
	identity.inode++;
	replace(EXPECT, FILEMAP_EREPLACED, IDENTIFY "close close ");
	start(state, true);
	assert_ok(unlink(path));
	replace(EXPECT, FILEMAP_EGONE, "openat openat close ");
	assert_ok(symlink("nothing", path));
	replace(NULL, FILEMAP_EMODE, "openat openat fstat close close ");
}

static void owner_that_is_refused_is_found_before_filling(void **state)
{
	start(state, true);
	fault_arm_call("set_owner", 1, EPERM);
	replace(KEEP(FILEMAP_KEEP_OWNER), -EPERM, LOOK "openat fstat set_owner " CLOSE);
	assert_true(holds(path, OLD));
}

T_MAIN(T_TEST(published_file_is_synced_then_named_then_its_directory_synced),
       T_TEST(hidden_file_is_synced_then_renamed),
       T_TEST(file_that_cannot_be_named_is_copied_and_synced_before_it_is_named),
       T_TEST(taken_name_makes_no_file), T_TEST(failed_publish_removes_the_hidden_file_if_it_is_its_own),
       T_TEST(new_file_is_hidden_then_renamed_over_the_old),
       T_TEST(name_that_does_not_exist_is_made_in_the_same_order),
       T_TEST(expected_file_changes_places_is_compared_and_unlinked),
       T_TEST(file_that_cannot_be_exchanged_is_compared_again_and_renamed_over),
       T_TEST(failed_unlink_changes_places_back_and_syncs_before_removing_our_own),
       T_TEST(owner_comes_before_content_and_permissions_behind_it),
       T_TEST(list_of_the_directory_is_dropped_before_there_is_content),
       T_TEST(set_id_permissions_are_given_behind_the_content),
       T_TEST(hidden_file_for_another_owner_is_made_twice), T_TEST(refused_file_is_found_before_one_is_made),
       T_TEST(owner_that_is_refused_is_found_before_filling))
