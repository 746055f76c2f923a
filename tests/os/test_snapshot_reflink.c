/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Snapshots as clones: on file systems that share blocks, and the errors of those that do not. */
#include "t.h"

#include "disk.h"

#define SIZE 300000

static const struct disk *const sharing_disks[] = {&disk_xfs, &disk_btrfs, NULL};
static const struct disk *const other_disks[] = {&disk_tmpfs, &disk_ext4, NULL};
static struct filemap_error error;

static int take(const char *path, size_t max_bytes, uint64_t offset, uint64_t length, struct filemap **ret)
{
	memset(&error, 0, sizeof error);
	return filemap_snapshot(path, max_bytes,
				FILEMAP_OPTIONS(.flags = FILEMAP_REFLINK, .offset = offset, .length = length),
				ret, &error);
}

static bool shows(const struct filemap *map, size_t from, size_t size)
{
	const unsigned char *bytes = filemap_data(map);
	if (filemap_size(map) != size)
		return false;
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != disk_byte(from + i))
			return false;
	return true;
}

static int stay_apart(const char *path, struct filemap *map)
{
	struct filemap *writer;
	NEED_OK(filemap_open(path, FILEMAP_WRITE, NULL, &writer, NULL)); /* no lock is left on it */
	memset(filemap_data_mut(writer), 0, SIZE);
	NEED_OK(filemap_sync(writer));
	filemap_close(writer);
	NEED(shows(map, 0, SIZE));
	NEED_OK(truncate(path, 0));
	NEED_OK(unlink(path));
	NEED(shows(map, 0, SIZE));
	return 0;
}

static int be_what_it_says(struct filemap *map, const char *path)
{
	struct filemap *window;
	struct stat status;
	char proc[64];
	NEED(shows(map, 0, SIZE));
	NEED(!filemap_is_immutable(map)); /* a disk can fail */
	NEED(filemap_mode(map) == FILEMAP_READ && filemap_lock_state(map) == FILEMAP_UNLOCKED);
	NEED(strcmp(filemap_path(map), path) == 0);
	NEED_OK(fstat(filemap_fd(map), &status));
	NEED(status.st_nlink == 0 && (status.st_mode & 0777) == 0400);
	NEED((fcntl(filemap_fd(map), F_GETFL) & O_ACCMODE) == O_RDONLY);
	NEED(filemap_window(map, FILEMAP_WRITE, 0, 1, &window, NULL) == FILEMAP_EMODE);
	NEED(filemap_remove(map, NULL) == FILEMAP_EMODE);
	NEED(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL) == FILEMAP_EMODE);
	NEED_OK(filemap_sync(map));
	snprintf(proc, sizeof proc, "/proc/self/fd/%d", filemap_fd(map));
	NEED(linkat(AT_FDCWD, proc, AT_FDCWD, "linked", AT_SYMLINK_FOLLOW) == -1);
	return 0;
}

/* Stores that are not flushed yet are in it. */
static int hold_what_was_stored_last(const char *root)
{
	const char *path = at(root, "fresh");
	struct filemap *writer, *map;
	NEED_OK(filemap_open(
		path, FILEMAP_WRITE,
		FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = SIZE, .sharing = FILEMAP_SHARING_COOPERATE),
		&writer, NULL));
	for (size_t i = 0; i < SIZE; i++)
		((unsigned char *)filemap_data_mut(writer))[i] = disk_byte(i);
	NEED_OK(take(path, SIZE, 0, 0, &map));
	memset(filemap_data_mut(writer), 0, SIZE);
	NEED(shows(map, 0, SIZE));
	filemap_close(map);
	filemap_close(writer);
	return unlink(path);
}

static int show_windows(const char *path)
{
	struct filemap *map = NULL;
	NEED_OK(take(path, 1000, 5001, 1000, &map));
	NEED(shows(map, 5001, 1000) && filemap_offset(map) == 5001);
	filemap_close(map);
	NEED(take(path, 999, 5001, 1000, &map) == -EFBIG);
	NEED(take(path, SIZE - 1, 0, 0, &map) == -EFBIG);
	NEED(take(path, SIZE, SIZE + 1, 0, &map) == FILEMAP_ERANGE);
	return 0;
}

static int clone_on(const struct disk *disk, const char *root)
{
	char path[300];
	struct filemap *map;
	snprintf(path, sizeof path, "%s", at(root, "source"));
	(void)disk;
	NEED_OK(disk_write_file(path, SIZE));
	NEED_OK(take(path, SIZE, 0, 0, &map));
	NEED(disk_entries(root) == 1);
	NEED_OK(be_what_it_says(map, path));
	NEED_OK(show_windows(path));
	NEED_OK(stay_apart(path, map));
	filemap_close(map);
	NEED(disk_entries(root) == 0);
	NEED_OK(hold_what_was_stored_last(root));
	NEED_OK(disk_write_file(path, 0));
	NEED_OK(take(path, 0, 0, 0, &map));
	NEED(filemap_size(map) == 0);
	filemap_close(map);
	return 0;
}

static void clone_shows_the_content_whatever_becomes_of_the_file(void **state)
{
	disk_on(state, sharing_disks, clone_on);
}

static int refuse_on(const struct disk *disk, const char *root)
{
	struct filemap *map = NULL;
	const char *path = at(root, "source");
	int before;
	(void)disk;
	NEED_OK(disk_write_file(path, SIZE));
	before = disk_entries(root);
	NEED(take(path, SIZE, 0, 0, &map) == -EOPNOTSUPP);
	NEED(error.hint && strcmp(error.step, "clone") == 0 && map == NULL);
	NEED(disk_entries(root) == before);
	NEED_OK(filemap_snapshot(path, SIZE, NULL, &map, NULL));
	NEED(shows(map, 0, SIZE));
	filemap_close(map);
	return 0;
}

static void file_system_without_clones_is_eopnotsupp(void **state)
{
	disk_on(state, other_disks, refuse_on);
}

static int refuse_directory(const struct disk *disk, const char *root)
{
	struct filemap *map = NULL;
	char path[300];
	snprintf(path, sizeof path, "%s", at(root, "source"));
	(void)disk;
	NEED_OK(disk_write_file(path, SIZE));
	NEED_OK(mount(NULL, root, NULL, MS_REMOUNT | MS_RDONLY, NULL));
	NEED(take(path, SIZE, 0, 0, &map) == -EROFS);
	NEED_OK(mount(NULL, root, NULL, MS_REMOUNT, NULL));
	NEED_OK(chmod(root, 0555));
	NEED_OK(chmod(path, 0444));
	if (geteuid() == 0)
		NEED_OK(t_become_nobody());
	NEED(take(path, SIZE, 0, 0, &map) == -EACCES);
	return 0;
}

static void directory_that_cannot_be_written_is_told(void **state)
{
	static const struct disk *const disks[] = {&disk_btrfs, NULL};
	struct t_dir *dir = *state;
	assert_ok(chmod(dir->path, 0755));
	disk_on(state, disks, refuse_directory);
}

T_MAIN(T_TEST(clone_shows_the_content_whatever_becomes_of_the_file),
       T_TEST(file_system_without_clones_is_eopnotsupp), T_TEST(directory_that_cannot_be_written_is_told))
