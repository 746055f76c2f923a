/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Disks that are full in other ways: no inode left though there are blocks; a quota that is used up; memory in huge
 * pages. The code tells, nothing is left behind, and what is open goes on.
 */
#include "disk.h"

#define OLD 10000u
#define MUCH 1000000u
#define QUOTA 8000000u

static struct filemap_error error;

static const struct disk few_on_ext4 = {"ext4", "-m 0 -N 16", "", 32, false};
static const struct disk few_on_tmpfs = {"tmpfs", NULL, "size=8m,nr_inodes=12", 8, false};
static const struct disk huge_tmpfs = {"tmpfs", NULL, "size=16m,huge=always", 16, false};
static const struct disk *const with_few_inodes[] = {&few_on_ext4, &few_on_tmpfs, NULL};
static const struct disk *const with_quota[] = {&disk_btrfs, NULL};
static const struct disk *const with_huge_pages[] = {&huge_tmpfs, NULL};

/* ---- inodes ---- */

static int use_up_inodes(const char *root)
{
	char name[32];

	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "file-%d", i);
		int fd = open(at(root, name), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0)
			return errno == ENOSPC ? 0 : -1;
		close(fd);
	}
	return -1;
}

static int make_anything(const char *root)
{
	const struct filemap_bytes bytes = {"bytes", 5};
	struct filemap_log *log;
	struct filemap *map;

	NEED(filemap_open(at(root, "new"), FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 1),
			  &map, &error) == -ENOSPC);
	NEED(filemap_publish(AT_FDCWD, at(root, "new"), filemap_fill_bytes, (void *)&bytes, NULL, &error) ==
	     -ENOSPC);
	NEED(filemap_replace_file(AT_FDCWD, at(root, "old"), filemap_fill_bytes, (void *)&bytes, NULL,
				  &error) == -ENOSPC);
	NEED_OK(filemap_open(at(root, "old"), FILEMAP_READ, NULL, &map, &error));
	NEED(filemap_copy_to(map, 0, 10, at(root, "new"), &error) == -ENOSPC);
	filemap_close(map);
	NEED(filemap_log_open(at(root, "log"), FILEMAP_LOG_OPTIONS(.flags = FILEMAP_LOG_CREATE), &log, NULL,
			      &error) == -ENOSPC);
	return 0;
}

static int without_inodes(const struct disk *disk, const char *root)
{
	struct filemap *map;

	(void)disk;
	NEED_OK(disk_write_file(at(root, "old"), OLD));
	NEED_OK(use_up_inodes(root));
	const int before = disk_entries(root);
	NEED_OK(make_anything(root));
	NEED(disk_entries(root) == before && disk_holds(at(root, "old"), OLD, OLD));
	NEED_OK(filemap_open(at(root, "old"), FILEMAP_WRITE, NULL, &map, &error));
	NEED_OK(filemap_resize(map, MUCH, &error));
	NEED_OK(disk_touch(map));
	NEED_OK(filemap_remove(map, &error));
	filemap_close(map);
	NEED(disk_entries(root) == before - 1);
	NEED_OK(filemap_open(at(root, "new"), FILEMAP_WRITE,
			     FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = OLD), &map, &error));
	filemap_close(map);
	return 0;
}

static void nothing_is_made_without_inodes_and_what_is_open_goes_on(void **state)
{
	disk_on(state, with_few_inodes, without_inodes);
}

/* A log that got its directory but not all of its files. */
static int log_with_few(const struct disk *disk, const char *root)
{
	(void)disk;
	NEED_OK(use_up_inodes(root));
	for (int freed = 0; freed < 6; freed++) {
		struct filemap_log *log;
		char name[32];
		const int before = disk_entries(root);
		const int r = filemap_log_open(
			at(root, "log"),
			FILEMAP_LOG_OPTIONS(.flags = FILEMAP_LOG_CREATE, .segment_size = 1u << 20), &log,
			NULL, &error);
		if (r == 0) {
			NEED(freed >= 3);
			NEED_OK(filemap_log_append(log, "record", 6, NULL));
			NEED_OK(filemap_log_finish(log, &error));
			filemap_log_close(log);
			return 0;
		}
		NEED(r == -ENOSPC && (disk_entries(root) == before || freed >= 3));
		snprintf(name, sizeof name, "file-%d", freed);
		NEED_OK(unlink(at(root, name)));
	}
	return 1;
}

static void log_is_made_once_there_are_inodes_for_all_its_files(void **state)
{
	disk_on(state, with_few_inodes, log_with_few);
}

/* ---- quota ---- */

static int set_quota(const char *root)
{
	char command[2048];

	snprintf(command, sizeof command,
		 "exec >/dev/null 2>&1; PATH=$PATH:/sbin:/usr/sbin; cd '%s' && btrfs subvolume create sub && "
		 "btrfs quota enable . && btrfs quota rescan -w . ; btrfs qgroup limit %u sub && sync -f .",
		 root, QUOTA);
	return system(command) == 0 ? 0 : -1;
}

static int new_over_quota(const char *root)
{
	static const unsigned char bytes[2 * QUOTA];
	const struct filemap_bytes part = {bytes, sizeof bytes};
	struct filemap *map;

	NEED_OK(filemap_wrap_bytes(NULL, bytes, sizeof bytes, &map, &error));
	NEED(filemap_copy_to(map, 0, FILEMAP_TO_END, at(root, "sub/new"), &error) == -EDQUOT);
	NEED(filemap_publish(AT_FDCWD, at(root, "sub/new"), filemap_fill_bytes, (void *)&part, NULL,
			     &error) == -EDQUOT);
	NEED(filemap_replace_file(AT_FDCWD, at(root, "sub/old"), filemap_fill_bytes, (void *)&part, NULL,
				  &error) == -EDQUOT);
	filemap_close(map);
	return 0;
}

static int over_quota(const struct disk *disk, const char *root)
{
	struct filemap *map;

	(void)disk;
	if (set_quota(root) < 0)
		return DISK_SKIPPED;
	NEED_OK(disk_write_file(at(root, "sub/old"), OLD));
	NEED(filemap_open(at(root, "sub/new"), FILEMAP_WRITE,
			  FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 2 * QUOTA), &map,
			  &error) == -EDQUOT);
	NEED(filemap_open(at(root, "sub/old"), FILEMAP_WRITE,
			  FILEMAP_OPTIONS(.flags = FILEMAP_TRUNCATE, .size = 2 * QUOTA), &map,
			  &error) == -EDQUOT);
	NEED(disk_holds(at(root, "sub/old"), OLD, OLD));
	NEED_OK(filemap_open(at(root, "sub/old"), FILEMAP_WRITE, NULL, &map, &error));
	NEED(filemap_resize(map, 2 * QUOTA, &error) == -EDQUOT && filemap_size(map) == OLD);
	NEED(disk_holds(at(root, "sub/old"), OLD, OLD));
	NEED_OK(filemap_resize(map, MUCH, &error));
	filemap_close(map);
	NEED_OK(new_over_quota(root));
	NEED(disk_entries(at(root, "sub")) == 1 && disk_holds(at(root, "sub/old"), OLD, MUCH));
	return 0;
}

static void quota_is_edquot_and_changes_nothing(void **state)
{
	disk_on(state, with_quota, over_quota);
}

/* ---- huge pages ---- */

static int grow_in_huge_pages(const struct disk *disk, const char *root)
{
	struct filemap *map;
	const char *path = at(root, "old");

	NEED_OK(disk_write_file(path, OLD));
	NEED_OK(filemap_open(path, FILEMAP_WRITE, NULL, &map, &error));
	NEED(filemap_resize(map, (uint64_t)disk->mib << 21, &error) == -ENOSPC);
	NEED(filemap_size(map) == OLD && disk_holds(path, OLD, OLD));
	NEED_OK(filemap_resize(map, 4 * MUCH, &error));
	NEED_OK(disk_fill(root));
	NEED_OK(disk_touch(map));
	NEED(filemap_resize(map, 8 * MUCH, &error) == -ENOSPC);
	NEED_OK(disk_touch(map));
	filemap_close(map);
	NEED(disk_holds(path, OLD, 4 * MUCH));
	return 0;
}

static void growth_in_huge_pages_is_as_in_small_ones(void **state)
{
	disk_on(state, with_huge_pages, grow_in_huge_pages);
}

T_MAIN(T_TEST(nothing_is_made_without_inodes_and_what_is_open_goes_on),
       T_TEST(log_is_made_once_there_are_inodes_for_all_its_files),
       T_TEST(quota_is_edquot_and_changes_nothing), T_TEST(growth_in_huge_pages_is_as_in_small_ones))
