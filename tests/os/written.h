/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What was written, counted in three ways that know nothing of each other: which pages the page cache has clean
 * now, by cachestat(2); how much a block device was given, by its statistics; which bytes a file system of the
 * test's own was asked to write.
 *
 * A file has a few pages that are looked at, all of them dirty before and in the same order as in the list; they
 * may lie far apart.
 */
#ifndef OS_WRITTEN_H
#define OS_WRITTEN_H

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "dirty.h"
#include "disk.h"
#include "fuse_fault.h"

#define WRITTEN_PAGES 16

enum written_place { WRITTEN_HERE, WRITTEN_LOOP, WRITTEN_FUSE, WRITTEN_PLACES };

struct written_spot {
	enum written_place place;
	const char *why; /* it cannot be had */
	char root[300];
	struct fuse_fault *fuse;
	char statistics[64]; /* of the block device */
};

struct written_file {
	const struct written_spot *spot;
	char path[400];
	int fd;
	uint64_t pages[WRITTEN_PAGES]; /* their numbers */
	unsigned count;
	size_t fill;               /* how many bytes each write has that fills it */
	bool maps;                 /* FUSE, and what is flushed is mapped for that: see written_by_fuse() */
	uint64_t metadata;         /* sectors that may be written as well */
	uint64_t sectors, flushes; /* of the device, before */
};

static struct written_spot written_spots[WRITTEN_PLACES] = {
	{.place = WRITTEN_HERE}, {.place = WRITTEN_LOOP}, {.place = WRITTEN_FUSE}};
static char written_base[300];

/* ---- places; one of each for the whole program, in mounts of its own ---- */

static const char *written_mount_loop(struct written_spot *spot)
{
	/* Times are no reason to write: what a flush of allocated pages writes is nothing but data. */
	static const struct disk disk = {"ext4", "-b 4096 -m 0 -E lazy_itable_init=0,lazy_journal_init=0",
					 "noatime,lazytime,noinit_itable,commit=600", 32, false};
	struct stat status;

	if (mount("tmpfs", spot->root, "tmpfs", 0, "size=64m") < 0)
		return "mounting in a private namespace is not permitted";
	strcat(spot->root, "/disk");
	if (mkdir(spot->root, 0700) < 0 || disk_mount_image(&disk, spot->root) < 0 ||
	    stat(spot->root, &status) < 0)
		return "a loop device cannot be had here";
	snprintf(spot->statistics, sizeof spot->statistics, "/sys/dev/block/%u:%u/stat",
		 (unsigned)major(status.st_dev), (unsigned)minor(status.st_dev));
	return access(spot->statistics, R_OK) == 0 ? NULL : "the device's statistics cannot be read";
}

static void written_open_spots(void)
{
	const char *parent = getenv("FILEMAP_TEST_DIR");
	struct written_spot *loop = &written_spots[WRITTEN_LOOP], *fuse = &written_spots[WRITTEN_FUSE];

	if (!parent)
		parent = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
	snprintf(written_base, sizeof written_base, "%.200s/filemap-written-XXXXXX", parent);
	loop->why = fuse->why = "mounting in a private namespace is not permitted";
	if (!mkdtemp(written_base) || unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0)
		return;
	snprintf(loop->root, sizeof loop->root, "%.250s/loop", written_base);
	snprintf(fuse->root, sizeof fuse->root, "%.250s/fuse", written_base);
	if (mkdir(loop->root, 0700) < 0 || mkdir(fuse->root, 0700) < 0)
		return;
	fuse->fuse = fuse_fault_start(fuse->root, &fuse->why);
	loop->why = written_mount_loop(loop);
	if (fuse->fuse)
		fuse->why = NULL;
}

static void written_close_spots(void)
{
	char path[320];

	fuse_fault_stop(written_spots[WRITTEN_FUSE].fuse);
	(void)umount2(written_spots[WRITTEN_LOOP].root, MNT_DETACH);
	snprintf(path, sizeof path, "%s/loop", written_base);
	(void)umount2(path, MNT_DETACH);
	(void)rmdir(path);
	snprintf(path, sizeof path, "%s/fuse", written_base);
	(void)rmdir(path);
	(void)rmdir(written_base);
}

static const struct written_spot *written_need(enum written_place place, const struct t_dir *dir)
{
	struct written_spot *spot = &written_spots[place];

	if (place == WRITTEN_HERE)
		snprintf(spot->root, sizeof spot->root, "%s", dir->path);
	if (spot->why)
		t_skip(spot->why);
	return spot;
}

/* ---- files ---- */

/* Each page is allocated and clean. */
static void written_fill(const struct written_file *file)
{
	const uint64_t page = fm__sys_page_size();
	static unsigned char bytes[1 << 20];

	for (unsigned i = 0; i < file->count; i++)
		for (size_t at = 0; at < page; at += file->fill)
			assert_int_equal(
				pwrite(file->fd, bytes, file->fill, (off_t)(file->pages[i] * page + at)),
				file->fill);
	assert_ok(fsync(file->fd));
}

static void written_make(struct written_file *file, const struct written_spot *spot, uint64_t size)
{
	file->spot = spot;
	snprintf(file->path, sizeof file->path, "%s/file", spot->root);
	file->fd = open(file->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(file->fd >= 0);
	if (file->fill == 0)
		file->fill = fm__sys_page_size();
	if (ftruncate(file->fd, (off_t)size) < 0) {
		close(file->fd);
		unlink(file->path);
		t_skip("the file system has no files of this size");
	}
	written_fill(file);
	if (!dirt_is_visible(file->fd)) {
		close(file->fd);
		unlink(file->path);
		t_skip("dirty pages are not visible here: tmpfs, or no cachestat(2)");
	}
	(void)syncfs(file->fd);
}

static void written_remove(struct written_file *file)
{
	close(file->fd);
	assert_ok(unlink(file->path));
}

static void written_draw(const struct written_file *file, char to[WRITTEN_PAGES + 1])
{
	for (unsigned i = 0; i < file->count; i++)
		to[i] = page_is_dirty(file->fd, (unsigned)file->pages[i]) == 1 ? 'D' : '.';
	to[file->count] = '\0';
}

/* ---- before and after ---- */

static void written_read_statistics(const struct written_spot *spot, uint64_t *sectors, uint64_t *flushes)
{
	uint64_t fields[17] = {0};
	FILE *from = fopen(spot->statistics, "re");

	assert_non_null(from);
	for (int i = 0; i < 17; i++)
		if (fscanf(from, "%" SCNu64, &fields[i]) != 1)
			break;
	fclose(from);
	*sectors = fields[6];
	*flushes = fields[15];
}

static void written_begin(struct written_file *file)
{
	if (file->spot->place == WRITTEN_LOOP)
		written_read_statistics(file->spot, &file->sectors, &file->flushes);
	if (file->spot->fuse)
		__atomic_store_n(&file->spot->fuse->logged, 0, __ATOMIC_SEQ_CST);
}

static unsigned written_dots(const char *drawn)
{
	unsigned dots = 0;

	for (; *drawn; drawn++)
		dots += *drawn == '.';
	return dots;
}

/* '.' is written, once; a flush of the device has come after, or with no promise none at all. */
static bool written_by_device(const struct written_file *file, const char *expected, bool durable,
			      char why[256])
{
	const uint64_t page = fm__sys_page_size() / 512;
	uint64_t sectors, flushes;

	written_read_statistics(file->spot, &sectors, &flushes);
	sectors -= file->sectors;
	flushes -= file->flushes;
	snprintf(why, 256, "the device was given %" PRIu64 " sectors and %" PRIu64 " flushes for %s", sectors,
		 flushes, expected);
	return sectors >= written_dots(expected) * page &&
	       sectors <= written_dots(expected) * page + file->metadata && (flushes > 0) == durable;
}

/*
 * Where a mapping of a FUSE file ends, the kernel writes all dirty pages of the file: after the sync, if the mapping
 * was made to name the range of a flush.
 */
static bool written_by_fuse(const struct written_file *file, const char *expected, bool durable,
			    char why[256])
{
	const struct fuse_fault *fuse = file->spot->fuse;
	const uint32_t logged = __atomic_load_n(&fuse->logged, __ATOMIC_SEQ_CST);
	const uint64_t page = fm__sys_page_size();
	char drawn[WRITTEN_PAGES + 1];
	uint64_t bytes = 0;
	uint32_t syncs = 0;

	memset(drawn, 'D', file->count);
	drawn[file->count] = '\0';
	for (uint32_t i = 0; i < logged && i < FUSE_FAULT_LOG; i++) {
		const struct fuse_fault_request *one = &fuse->log[i];

		if (file->maps && syncs > 0)
			break;
		syncs += one->length == 0;
		bytes += one->length;
		for (unsigned p = 0; p < file->count; p++)
			if (one->offset <= file->pages[p] * page &&
			    one->offset + one->length >= (file->pages[p] + 1) * page)
				drawn[p] = drawn[p] == 'D' ? '.' : '2';
	}
	snprintf(why, 256, "the file system was asked to write %s, %" PRIu64 " bytes, with %u syncs, not %s",
		 drawn, bytes, syncs, expected);
	return strcmp(drawn, expected) == 0 && bytes == written_dots(expected) * page &&
	       (syncs > 0) == durable;
}

static bool written_as_expected(const struct written_file *file, const char *expected, bool durable,
				char why[256])
{
	char drawn[WRITTEN_PAGES + 1];

	if (file->spot->fuse && !written_by_fuse(file, expected, durable, why))
		return false;
	if (file->spot->place == WRITTEN_LOOP && !written_by_device(file, expected, durable, why))
		return false;
	written_draw(file, drawn);
	snprintf(why, 256, "the page cache has %s, not %s", drawn, expected);
	return file->maps || strcmp(drawn, expected) == 0;
}

#endif
