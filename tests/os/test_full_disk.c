/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Mappings on real disks that are full to the last block: an error and no signal, file and window as they were,
 * every byte that is there can be stored to, and once there is room the same call succeeds.
 */
#include "disk.h"

#define OLD 10000u    /* bytes of a file: its last page is not whole */
#define MUCH 1000000u /* does not fit any more */

static struct filemap_error error;

static const struct disk *const all_disks[] = {&disk_tmpfs, &disk_ext4,  &disk_ext3, &disk_ext2,
					       &disk_xfs,   &disk_btrfs, NULL};
/* Where blocks that were given stay (filemap_reservable()). */
static const struct disk *const firm_disks[] = {&disk_tmpfs, &disk_ext4, &disk_ext3,
						&disk_ext2,  &disk_xfs,  NULL};

static bool failed_at(const char *step)
{
	bool same = error.step && strcmp(error.step, step) == 0 && error.sys_errno == ENOSPC;
	if (!same)
		fprintf(stderr, "step: %s, errno %d\n", error.step ? error.step : "none", error.sys_errno);
	memset(&error, 0, sizeof error);
	return same;
}

static int open_sized(const char *path, unsigned flags, uint64_t size, uint64_t reserve, struct filemap **ret)
{
	return filemap_open(path, FILEMAP_WRITE,
			    FILEMAP_OPTIONS(.flags = flags, .size = size, .reserve = reserve), ret, &error);
}

/* ---- opening ---- */

static int create(const struct disk *disk, const char *root)
{
	struct filemap *map = NULL;

	(void)disk;
	NEED_OK(disk_fill(root));
	const int before = disk_entries(root);
	NEED(open_sized(at(root, "new"), FILEMAP_CREATE, MUCH, 0, &map) == -ENOSPC && !map);
	NEED(disk_entries(root) == before);
	NEED(open_sized(at(root, "new"), FILEMAP_CREATE_NEW, MUCH, 2 * MUCH, &map) == -ENOSPC && !map);
	NEED(disk_entries(root) == before);
	NEED_OK(disk_free(root));
	NEED_OK(open_sized(at(root, "new"), FILEMAP_CREATE, MUCH, 0, &map));
	NEED(disk_fill(root) == 0 && filemap_size(map) == MUCH);
	NEED(!filemap_reservable(map) || disk_touch(map) == 0);
	filemap_close(map);
	return 0;
}

static void file_with_a_size_is_not_made_on_a_full_disk(void **state)
{
	disk_on(state, all_disks, create);
}

static int truncate_old(const struct disk *disk, const char *root)
{
	struct filemap *map = NULL;
	const char *path = at(root, "old");

	(void)disk;
	NEED_OK(disk_write_file(path, OLD));
	NEED_OK(disk_fill(root));
	const int64_t blocks = disk_blocks(path);
	NEED(open_sized(path, FILEMAP_TRUNCATE, MUCH, 0, &map) == -ENOSPC && !map);
	NEED(failed_at("allocate blocks"));
	NEED(disk_holds(path, OLD, OLD) && disk_blocks(path) == blocks);
	NEED_OK(disk_free(root));
	NEED_OK(open_sized(path, FILEMAP_CREATE | FILEMAP_TRUNCATE, MUCH, 0, &map));
	NEED_OK(disk_fill(root));
	NEED(!filemap_reservable(map) || disk_touch(map) == 0);
	filemap_close(map);
	NEED(disk_holds(path, 0, MUCH));
	return 0;
}

static void content_survives_a_truncation_that_has_no_room(void **state)
{
	disk_on(state, all_disks, truncate_old);
}

/* The holes would need blocks that are not there, although the file is long enough. */
static int truncate_sparse(const struct disk *disk, const char *root)
{
	struct filemap *map = NULL;
	const char *path = at(root, "old");

	(void)disk;
	NEED_OK(disk_write_file(path, OLD));
	NEED_OK(truncate(path, MUCH));
	NEED_OK(disk_fill(root));
	NEED(open_sized(path, FILEMAP_TRUNCATE, MUCH, 0, &map) == -ENOSPC && !map);
	NEED(disk_holds(path, OLD, MUCH));
	NEED(open_sized(path, FILEMAP_TRUNCATE, MUCH / 2, 0, &map) == -ENOSPC && !map);
	NEED(disk_holds(path, OLD, MUCH));
	NEED_OK(disk_free(root));
	NEED_OK(open_sized(path, FILEMAP_TRUNCATE, MUCH, 0, &map));
	filemap_close(map);
	NEED(disk_holds(path, 0, MUCH));
	return 0;
}

static void content_with_holes_survives_a_truncation_that_has_no_room(void **state)
{
	disk_on(state, all_disks, truncate_sparse);
}

/* What the file has is enough: emptying it gives the blocks back, and it takes them again; or it keeps its content. */
static int truncate_alike(const struct disk *disk, const char *root)
{
	struct filemap *map;
	const char *path = at(root, "old");

	(void)disk;
	NEED_OK(disk_write_file(path, MUCH));
	NEED_OK(disk_fill(root));
	if (open_sized(path, FILEMAP_TRUNCATE, MUCH, 0, &map) < 0) { /* XFS keeps some of them to itself */
		NEED(strcmp(disk->type, "xfs") == 0 && failed_at("allocate blocks"));
		NEED(disk_holds(path, MUCH, MUCH));
		return 0;
	}
	NEED_OK(disk_touch(map));
	filemap_close(map);
	NEED(disk_holds(path, 0, MUCH));
	return 0;
}

static void truncation_to_no_more_than_there_was_loses_nothing_on_a_full_disk(void **state)
{
	disk_on(state, firm_disks, truncate_alike);
}

/* ---- growing ---- */

static int refuse_growth(struct filemap *map, const char *path, size_t written, size_t size)
{
	const int64_t blocks = disk_blocks(path);
	const void *data = filemap_data(map);

	NEED(filemap_resize(map, MUCH, &error) == -ENOSPC);
	NEED(!strcmp(error.step, "clear old end") || !strcmp(error.step, "allocate blocks"));
	NEED(filemap_size(map) == size && filemap_data(map) == data &&
	     filemap_state(map) == FILEMAP_STATE_LIVE);
	NEED(disk_holds(path, written, size) && disk_blocks(path) == blocks);
	NEED(!filemap_reservable(map) || disk_touch(map) == 0);
	return 0;
}

static int accept_growth(struct filemap *map, const char *root, const char *path, size_t written)
{
	NEED_OK(disk_free(root));
	NEED_OK(filemap_resize(map, MUCH, &error));
	NEED(filemap_size(map) == MUCH);
	NEED_OK(disk_fill(root));
	NEED(!filemap_reservable(map) || disk_touch(map) == 0);
	NEED(disk_holds(path, written, MUCH));
	return 0;
}

static int resize_with(const char *root, unsigned flags, size_t size, uint64_t reserve)
{
	struct filemap *map;
	const char *path = at(root, "old");

	NEED_OK(disk_write_file(path, size));
	NEED_OK(open_sized(path, flags, 0, reserve, &map));
	NEED_OK(disk_fill(root));
	NEED_OK(refuse_growth(map, path, size, size));
	NEED_OK(refuse_growth(map, path, size, size));
	NEED_OK(accept_growth(map, root, path, size));
	filemap_close(map);
	NEED_OK(unlink(path));
	return disk_free(root);
}

static int resize(const struct disk *disk, const char *root)
{
	(void)disk;
	NEED_OK(resize_with(root, 0, OLD, 0));
	NEED_OK(resize_with(root, 0, OLD, 2 * MUCH));
	NEED_OK(resize_with(root, 0, 8192, 2 * MUCH));
	return 0;
}

static void growth_on_a_full_disk_changes_neither_file_nor_window(void **state)
{
	disk_on(state, all_disks, resize);
}

/* The last page is a hole: what a store may have left behind the end can only be cleared with a block for it. */
static int resize_hole(const struct disk *disk, const char *root)
{
	struct filemap *map;
	const char *path = at(root, "old");

	(void)disk;
	NEED_OK(disk_write_file(path, 4096));
	NEED_OK(truncate(path, 50000));
	NEED_OK(open_sized(path, FILEMAP_SPARSE, 0, 0, &map));
	NEED_OK(disk_fill(root));
	NEED(filemap_resize(map, MUCH, &error) == -ENOSPC && failed_at("clear old end"));
	NEED(filemap_size(map) == 50000 && disk_holds(path, 4096, 50000));
	NEED_OK(disk_free(root));
	NEED_OK(filemap_resize(map, MUCH, &error));
	filemap_close(map);
	NEED(disk_holds(path, 4096, MUCH));
	return 0;
}

static void growth_from_within_a_hole_has_an_error_on_a_full_disk(void **state)
{
	disk_on(state, all_disks, resize_hole);
}

/* That is what SPARSE asks for. Once more room is there, allocation makes it safe. */
static int resize_sparse(const struct disk *disk, const char *root)
{
	struct filemap *map;
	const char *path = at(root, "old");

	NEED_OK(disk_write_file(path, 8192));
	NEED_OK(open_sized(path, FILEMAP_SPARSE, 0, 0, &map));
	NEED_OK(disk_fill(root));
	NEED_OK(filemap_resize(map, MUCH, &error));
	NEED(disk_holds(path, 8192, MUCH));
	const bool can = disk != &disk_ext2 && disk != &disk_ext3;
	NEED(filemap_allocate(map, 0, FILEMAP_TO_END, &error) == (can ? -ENOSPC : -EOPNOTSUPP));
	NEED(disk_holds(path, 8192, MUCH) && filemap_size(map) == MUCH);
	NEED_OK(disk_free(root));
	NEED(filemap_allocate(map, 0, FILEMAP_TO_END, &error) == (can ? 0 : -EOPNOTSUPP));
	NEED_OK(can ? disk_fill(root) : 0);
	NEED(!filemap_reservable(map) || disk_touch(map) == 0);
	filemap_close(map);
	NEED(disk_holds(path, 8192, MUCH));
	return 0;
}

static void sparse_growth_succeeds_and_allocation_finds_the_disk_full(void **state)
{
	disk_on(state, all_disks, resize_sparse);
}

/* Others may have stored into what was grown: it is not cut, and the error says so. */
static int resize_shared(const struct disk *disk, const char *root)
{
	const struct filemap_options *options = FILEMAP_OPTIONS(.sharing = FILEMAP_SHARING_COOPERATE);
	struct filemap *map, *other;
	const char *path = at(root, "old");

	(void)disk;
	NEED_OK(disk_write_file(path, OLD));
	NEED_OK(filemap_open(path, FILEMAP_WRITE, options, &map, &error));
	NEED_OK(filemap_open(path, FILEMAP_WRITE, options, &other, &error));
	NEED_OK(disk_fill(root));
	NEED(filemap_resize(map, MUCH, &error) == -ENOSPC);
	NEED(error.hint && strstr(error.hint, "larger size"));
	NEED(filemap_size(map) == OLD && filemap_size(other) == OLD);
	NEED(disk_holds(path, OLD, (size_t)t_file_size(path)));
	NEED_OK(disk_free(root));
	NEED_OK(filemap_resize(map, MUCH, &error));
	NEED_OK(filemap_resize(other, MUCH, &error));
	NEED_OK(disk_fill(root));
	NEED(!filemap_reservable(map) || (disk_touch(map) == 0 && disk_touch(other) == 0));
	filemap_close(other);
	filemap_close(map);
	NEED(disk_holds(path, OLD, MUCH));
	return 0;
}

static void growth_that_others_share_has_an_error_on_a_full_disk(void **state)
{
	disk_on(state, all_disks, resize_shared);
}

/* Slices until the disk is full: those that were given stay, and so does the cursor. */
static int take_slices(struct filemap *map, size_t *cursor, unsigned *count)
{
	void *slice;
	int r;

	while ((r = filemap_alloc_slice(map, cursor, 1000, &slice, &error)) == 0)
		memset(slice, (int)(*count)++ % 256, 1000);
	return r;
}

static int count_slices(const struct filemap *map, unsigned count)
{
	const unsigned char *slice;
	size_t cursor = 0, length;

	for (unsigned i = 0; i < count; i++) {
		NEED(filemap_next_slice(map, &cursor, (const void **)&slice, &length) == 1 && length == 1000);
		NEED(slice[0] == i % 256 && slice[999] == i % 256);
	}
	NEED(filemap_next_slice(map, &cursor, (const void **)&slice, &length) == 0);
	return 0;
}

static int slices(const struct disk *disk, const char *root)
{
	struct filemap *map;
	size_t cursor = 0, kept;
	unsigned count = 0;
	void *slice;

	(void)disk;
	NEED_OK(open_sized(at(root, "new"), FILEMAP_CREATE, 8192, 0, &map));
	NEED_OK(disk_fill(root));
	NEED(take_slices(map, &cursor, &count) == -ENOSPC && count >= 8);
	kept = cursor;
	NEED(filemap_alloc_slice(map, &cursor, 1000, &slice, &error) == -ENOSPC && cursor == kept);
	NEED_OK(count_slices(map, count));
	NEED_OK(disk_free(root));
	NEED_OK(filemap_alloc_slice(map, &cursor, 1000, &slice, &error));
	memset(slice, (int)count % 256, 1000);
	NEED_OK(count_slices(map, count + 1));
	filemap_close(map);
	return 0;
}

static void slices_on_a_full_disk_are_an_error_and_keep_those_before(void **state)
{
	disk_on(state, firm_disks, slices);
}

/* ---- what needs no more blocks ---- */

static int queue_flush(struct filemap *map, unsigned backend)
{
	struct filemap_queue *queue;
	struct filemap_completion completion;
	uint64_t ticket;

	if (filemap_queue_open(FILEMAP_QUEUE_OPTIONS(.backend = backend), &queue, &error) < 0)
		return backend == FILEMAP_QUEUE_THREADS;
	memset(filemap_data_mut(map), 'q', 8192);
	NEED_OK(filemap_queue_flush(queue, map, 0, FILEMAP_TO_END, NULL, NULL, &ticket));
	NEED(filemap_queue_wait(queue, ticket, -1, &completion) == 1 && completion.result == 0);
	filemap_queue_close(queue);
	return 0;
}

static int make_durable(const struct disk *disk, const char *root)
{
	struct filemap *map;
	const char *path = at(root, "old");

	(void)disk;
	NEED_OK(open_sized(path, FILEMAP_CREATE, MUCH, 0, &map));
	NEED_OK(disk_fill(root));
	memset(filemap_data_mut(map), 'x', MUCH);
	NEED_OK(filemap_commit(map, 8192, MUCH - 8192, 0, "header", 6, &error));
	NEED_OK(queue_flush(map, FILEMAP_QUEUE_THREADS));
	NEED_OK(queue_flush(map, FILEMAP_QUEUE_URING));
	NEED_OK(filemap_flush(map));
	NEED_OK(filemap_sync(map));
	NEED(filemap_state(map) == FILEMAP_STATE_LIVE);
	NEED(filemap_close_truncated(map, 8 * MUCH * disk->mib, &error) == -ENOSPC &&
	     filemap_size(map) == MUCH);
	NEED(t_file_size(path) == MUCH);
	NEED_OK(filemap_close_truncated(map, OLD, &error));
	NEED(t_file_size(path) == OLD);
	return 0;
}

static void stores_commits_and_flushes_go_on_on_a_full_disk(void **state)
{
	disk_on(state, firm_disks, make_durable);
}

static int close_longer(const struct disk *disk, const char *root)
{
	struct filemap *map;
	const char *path = at(root, "old");

	(void)disk;
	NEED_OK(disk_write_file(path, OLD));
	NEED_OK(open_sized(path, 0, 0, 0, &map));
	NEED_OK(disk_fill(root));
	NEED(filemap_close_truncated(map, MUCH, &error) == -ENOSPC);
	NEED(filemap_size(map) == OLD && filemap_state(map) == FILEMAP_STATE_LIVE &&
	     disk_holds(path, OLD, OLD));
	NEED_OK(disk_free(root));
	NEED_OK(filemap_close_truncated(map, MUCH, &error));
	NEED(disk_holds(path, OLD, MUCH));
	return 0;
}

static void closing_with_growth_keeps_the_handle_on_a_full_disk(void **state)
{
	disk_on(state, all_disks, close_longer);
}

static int remove_one(const struct disk *disk, const char *root)
{
	struct filemap *map;
	const char *path = at(root, "old");

	(void)disk;
	NEED_OK(disk_write_file(path, OLD));
	NEED_OK(open_sized(path, 0, 0, 0, &map));
	NEED_OK(disk_fill(root));
	NEED_OK(filemap_remove(map, &error));
	filemap_close(map);
	NEED(disk_entries(root) == (strncmp(disk->type, "ext", 3) ? 1 : 2));
	NEED(strcmp(disk->type, "xfs") == 0 ||
	     disk_write_file(path, 4096) == 0); /* XFS keeps what it needs */
	return 0;
}

static void removal_on_a_full_disk_works_and_gives_room(void **state)
{
	disk_on(state, firm_disks, remove_one);
}

/* ---- new files ---- */

static int copy_all(const char *root, struct filemap *map)
{
	const int before = disk_entries(root);

	NEED(filemap_copy_to(map, 0, FILEMAP_TO_END, at(root, "copy"), &error) == -ENOSPC);
	NEED(disk_entries(root) == before);
	NEED_OK(disk_free(root));
	NEED_OK(filemap_copy_to(map, 0, FILEMAP_TO_END, at(root, "copy"), &error));
	NEED(disk_holds(at(root, "copy"), MUCH, MUCH));
	return unlink(at(root, "copy"));
}

static int copy_memory(const char *root, const void *bytes)
{
	struct filemap *map;

	NEED_OK(filemap_from_bytes(NULL, FILEMAP_READ, bytes, MUCH, &map, &error));
	NEED_OK(disk_fill(root));
	NEED_OK(copy_all(root, map));
	filemap_close(map);
	return 0;
}

static bool shares_blocks(const struct disk *disk)
{
	return strcmp(disk->type, "xfs") == 0 || strcmp(disk->type, "btrfs") == 0;
}

static int copy(const struct disk *disk, const char *root)
{
	struct filemap *map;

	NEED_OK(disk_write_file(at(root, "old"), MUCH));
	NEED_OK(filemap_open(at(root, "old"), FILEMAP_READ, NULL, &map, &error));
	NEED_OK(copy_memory(root, filemap_data(map)));
	NEED_OK(disk_fill(root));
	NEED_OK(shares_blocks(disk) ? 0 : copy_all(root, map));
	filemap_close(map);
	return 0;
}

static void copy_on_a_full_disk_leaves_nothing(void **state)
{
	disk_on(state, all_disks, copy);
}

static int new_content(const char *root, int (*make)(const char *path, const struct filemap_bytes *bytes))
{
	unsigned char *content = calloc(1, MUCH);
	const struct filemap_bytes bytes = {content, MUCH};
	const int before = disk_entries(root) + 1;

	NEED_OK(disk_fill(root));
	for (size_t i = 0; i < MUCH; i++)
		content[i] = disk_byte(i);
	NEED(make(at(root, "old"), &bytes) == -ENOSPC);
	NEED(make(at(root, "old"), &bytes) == -ENOSPC);
	NEED(disk_entries(root) == before);
	free(content);
	return 0;
}

static int publish_one(const char *path, const struct filemap_bytes *bytes)
{
	return filemap_publish(AT_FDCWD, path, filemap_fill_bytes, (void *)bytes, NULL, &error);
}

static int replace_any(const char *path, const struct filemap_bytes *bytes)
{
	return filemap_replace_file(AT_FDCWD, path, filemap_fill_bytes, (void *)bytes, NULL, &error);
}

static int replace_expected(const char *path, const struct filemap_bytes *bytes)
{
	struct filemap_identity identity;
	int r = filemap_file_identity(AT_FDCWD, path, &identity, &error);

	return r < 0 ? r
		     : filemap_replace_file(AT_FDCWD, path, filemap_fill_bytes, (void *)bytes,
					    FILEMAP_NEW_OPTIONS(.expect = &identity), &error);
}

static int publish(const struct disk *disk, const char *root)
{
	const struct filemap_bytes few = {"few bytes", 9};

	(void)disk;
	NEED_OK(new_content(root, publish_one));
	NEED(t_file_size(at(root, "old")) == -1);
	NEED_OK(disk_free(root));
	NEED_OK(publish_one(at(root, "old"), &few));
	NEED(t_file_size(at(root, "old")) == 9);
	return 0;
}

static void publishing_on_a_full_disk_leaves_nothing(void **state)
{
	disk_on(state, all_disks, publish);
}

static int replace(const struct disk *disk, const char *root)
{
	const struct filemap_bytes few = {"few bytes", 9};

	(void)disk;
	NEED_OK(disk_write_file(at(root, "old"), OLD));
	NEED_OK(new_content(root, replace_any));
	NEED_OK(disk_free(root));
	NEED_OK(unlink(at(root, "filler")));
	NEED_OK(new_content(root, replace_expected));
	NEED(disk_holds(at(root, "old"), OLD, OLD));
	NEED_OK(disk_free(root));
	NEED(replace_expected(at(root, "old"), &few) >= 0);
	NEED(t_file_size(at(root, "old")) == 9);
	return 0;
}

static void replacing_on_a_full_disk_keeps_the_old_content(void **state)
{
	disk_on(state, all_disks, replace);
}

T_MAIN(T_TEST(file_with_a_size_is_not_made_on_a_full_disk),
       T_TEST(content_survives_a_truncation_that_has_no_room),
       T_TEST(content_with_holes_survives_a_truncation_that_has_no_room),
       T_TEST(truncation_to_no_more_than_there_was_loses_nothing_on_a_full_disk),
       T_TEST(growth_on_a_full_disk_changes_neither_file_nor_window),
       T_TEST(growth_from_within_a_hole_has_an_error_on_a_full_disk),
       T_TEST(sparse_growth_succeeds_and_allocation_finds_the_disk_full),
       T_TEST(growth_that_others_share_has_an_error_on_a_full_disk),
       T_TEST(slices_on_a_full_disk_are_an_error_and_keep_those_before),
       T_TEST(stores_commits_and_flushes_go_on_on_a_full_disk),
       T_TEST(closing_with_growth_keeps_the_handle_on_a_full_disk),
       T_TEST(removal_on_a_full_disk_works_and_gives_room), T_TEST(copy_on_a_full_disk_leaves_nothing),
       T_TEST(publishing_on_a_full_disk_leaves_nothing),
       T_TEST(replacing_on_a_full_disk_keeps_the_old_content))
