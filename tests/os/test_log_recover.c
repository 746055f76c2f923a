/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Rules R1-R8 of recovery, and verify, over logs that were built byte by byte. */
#include <errno.h>

#include "log/ctl.h"
#include "log/recover.h"
#include "log/scan.h"
#include "log_image.h"

static struct fm__log_found examine(const struct image *image, unsigned flags)
{
	struct fm__log_found found;

	assert_ok(fm__log_examine(&image->dir, flags, &found, NULL));
	return found;
}

static void expect(const struct image *image, uint32_t state, uint64_t end, uint64_t durable)
{
	struct fm__log_found found = examine(image, 0);

	assert_int_equal(found.state, state);
	assert_int_equal(found.end, end);
	assert_int_equal(found.durable, durable);
	if (state != FILEMAP_LOG_CORRUPT)
		assert_int_equal(found.records, image_check_records(image, found.scanned_from, end));
}

/* Examine and recover; the epoch rises by one above all that was seen. Returns E. */
static uint64_t recover(struct image *image, struct fm__log_ctl_view *ctl)
{
	struct fm__log_found found = examine(image, 0);
	uint32_t epoch = found.epoch;
	uint64_t end;

	assert_ok(fm__log_recover(&image->dir, ctl, &found, &end, NULL));
	assert_ok(fm__log_sweep(&image->dir, &found.meta, NULL));
	assert_int_equal(found.meta.epoch, epoch + 1);
	assert_int_equal(found.meta.state, FM_LOG_META_OPEN);
	assert_ok(fm__log_meta_read(image->dir.meta_fd, &image->meta));
	assert_int_equal(image->meta.epoch, epoch + 1);
	image->epoch = epoch + 1;
	image->tail = end;
	return end;
}

static void examine_empty_log_is_clean_without_scan(void **state)
{
	struct image *image = image_new(*state);
	struct fm__log_found found;

	image->meta.state = FM_LOG_META_CLEAN;
	image->meta.end = image->meta.durable = FM_LOG_FIRST;
	image_meta(image);
	found = examine(image, 0);
	assert_int_equal(found.state, FILEMAP_LOG_CLEAN);
	assert_int_equal(found.clean_meta, 1);
	assert_int_equal(found.end, FM_LOG_FIRST);
	assert_int_equal(recover(image, NULL), FM_LOG_FIRST);
	expect(image, FILEMAP_LOG_CLEAN, FM_LOG_FIRST, FM_LOG_FIRST);
	image_close(image);
}

static void examine_closed_log_is_clean_without_scan(void **state)
{
	struct image *image = image_new(*state);
	struct fm__log_found found;

	for (int i = 0; i < 10; i++)
		image_append(image, 128, FM_LOG_DATA, 0);
	image->meta.state = FM_LOG_META_CLEAN;
	image->meta.end = image->meta.durable = image->tail;
	image_meta(image);
	found = examine(image, 0);
	assert_int_equal(found.clean_meta, 1);
	assert_int_equal(found.scanned_from, image->tail);
	assert_int_equal(found.records, 0);
	found = examine(image, FM_LOG_EXAMINE_ALL);
	assert_int_equal(found.clean_meta, 0);
	assert_int_equal(found.records, 10);
	assert_int_equal(found.end, image->tail);
	/* a frame at the end: meta is older than the log, so scan */
	image_append(image, 128, FM_LOG_DATA, 0);
	expect(image, FILEMAP_LOG_CLEAN, image->tail, image->tail - 128);
	image_close(image);
}

static void examine_closed_log_that_lost_its_last_record_is_corrupt(void **state)
{
	struct image *image = image_new(*state);
	uint8_t zeros[128] = {0};
	struct fm__log_found found;
	uint64_t last;

	image_append(image, 128, FM_LOG_DATA, 0);
	last = image_append(image, 128, FM_LOG_DATA, 0);
	image->meta.state = FM_LOG_META_CLEAN;
	image->meta.end = image->meta.durable = image->tail;
	image_meta(image);
	image_write(image, last, zeros, sizeof zeros);
	found = examine(image, FM_LOG_EXAMINE_SCAN);
	assert_int_equal(found.state, FILEMAP_LOG_CORRUPT);
	assert_int_equal(found.end, last);
	assert_int_equal(found.durable, image->tail);
	assert_int_equal(found.evidence_at, 0);
	image_close(image);
}

static void examine_last_frame_torn_at_any_byte_ends_before_it(void **state)
{
	struct image *image = image_new(*state);
	uint8_t whole[128], torn[128];
	uint64_t lsn;

	image_append(image, 96, FM_LOG_DATA, 0);
	lsn = image->tail;
	image_encode(image, lsn, sizeof whole, FM_LOG_DATA, 0, whole);
	for (size_t keep = 0; keep < sizeof whole; keep++) {
		memset(torn, 0, sizeof torn);
		memcpy(torn, whole, keep);
		image_write(image, lsn, torn, sizeof torn);
		expect(image,
		       keep == 0 || fm__log_all_zero(torn, sizeof torn) ? FILEMAP_LOG_CLEAN
									: FILEMAP_LOG_TORN,
		       lsn, FM_LOG_FIRST);
		/* the other way round: the front is missing */
		memcpy(torn, whole, sizeof torn);
		memset(torn, 0, keep + 1);
		image_write(image, lsn, torn, sizeof torn);
		expect(image, fm__log_all_zero(torn, sizeof torn) ? FILEMAP_LOG_CLEAN : FILEMAP_LOG_TORN, lsn,
		       FM_LOG_FIRST);
	}
	image_append(image, sizeof whole, FM_LOG_DATA, 0);
	expect(image, FILEMAP_LOG_CLEAN, lsn + sizeof whole, FM_LOG_FIRST);
	image_close(image);
}

static void examine_hole_before_a_promise_decides_torn_or_corrupt(void **state)
{
	struct image *image = image_new(*state);
	uint64_t hole, behind, below;

	below = image_append(image, 96, FM_LOG_DATA, 0);
	hole = image->tail;
	image->tail += 64;
	/* promises nothing */
	behind = image->tail;
	image_append(image, 96, FM_LOG_DATA, 0);
	expect(image, FILEMAP_LOG_TORN, hole, FM_LOG_FIRST);
	/* promises what lies below the hole */
	image->tail = behind;
	image_append(image, 96, FM_LOG_DATA, hole);
	expect(image, FILEMAP_LOG_TORN, hole, hole);
	image->tail = behind;
	image_append(image, 96, FM_LOG_DATA, below);
	expect(image, FILEMAP_LOG_TORN, hole, below);
	/* promises the hole */
	image->tail = behind;
	image_append(image, 96, FM_LOG_DATA, behind);
	expect(image, FILEMAP_LOG_CORRUPT, hole, behind);
	assert_int_equal(examine(image, 0).evidence_at, behind);
	image_close(image);
}

static void examine_promise_far_behind_a_gap_is_found(void **state)
{
	struct image *image = image_new(*state);
	uint64_t hole;

	image_append(image, 96, FM_LOG_DATA, 0);
	hole = image->tail;
	image_add_segment(image);
	image_add_segment(image);
	/* the last place of the last segment in which a frame can stand */
	image->tail = fm__log_end(image_geometry(image), 2) - 32;
	image_append(image, 32, FM_LOG_DATA, hole + 32);
	image->records[image->count - 1].type = 0;
	expect(image, FILEMAP_LOG_CORRUPT, hole, hole + 32);
	image_close(image);
}

static void examine_frame_longer_than_the_window_is_read(void **state)
{
	struct image *image = image_new(*state);
	uint64_t size = fm__log_end(image_geometry(image), 0) - FM_LOG_FIRST - 4096;

	image_append(image, size, FM_LOG_DATA, 0);
	image_append(image, 4096, FM_LOG_PAD, 0);
	image_add_segment(image);
	image_append(image, 64, FM_LOG_DATA, 0);
	expect(image, FILEMAP_LOG_CLEAN, image->tail, FM_LOG_FIRST);
	assert_int_equal(examine(image, 0).records, 2);
	assert_int_equal(examine(image, 0).bytes, size - 32 + 32);
	image_close(image);
}

static void recover_tail_torn_across_a_segment_border_is_put_aside_in_both(void **state)
{
	struct image *image = image_new(*state);
	uint64_t hole, end;
	uint8_t byte = 1;

	image_fill_segment(image, 0);
	image_add_segment(image);
	hole = image->records[image->count - 1].lsn;
	image_append(image, 512, FM_LOG_DATA, 0);
	image_write(image, hole + 40, &byte, 1); /* damages the last frame of segment 0 */
	image->count -= 2;
	expect(image, FILEMAP_LOG_TORN, hole, FM_LOG_FIRST);
	end = recover(image, NULL);
	assert_int_equal(end, fm__log_start(image_geometry(image), 1) + 4096);
	expect(image, FILEMAP_LOG_CLEAN, end, hole);
	image_close(image);
}

static void recover_twice_gives_the_same_end(void **state)
{
	struct image *image = image_new(*state);
	struct fm__log_found first, second;
	uint64_t hole, end;

	image_append(image, 96, FM_LOG_DATA, 0);
	hole = image->tail;
	image->tail += 32;
	image_append(image, 6000 / 32 * 32, FM_LOG_DATA, 0);
	image->count--;
	end = recover(image, NULL);
	assert_int_equal(end % 4096, 0);
	first = examine(image, 0);
	assert_int_equal(first.durable, hole);
	assert_int_equal(recover(image, NULL), end);
	second = examine(image, 0);
	assert_int_equal(second.end, first.end);
	assert_int_equal(second.records, first.records);
	assert_int_equal(second.state, FILEMAP_LOG_CLEAN);
	/* and the next frame may promise all of it */
	image_append(image, 64, FM_LOG_DATA, end);
	expect(image, FILEMAP_LOG_CLEAN, image->tail, end);
	image_close(image);
}

static void recover_interrupted_between_segments_starts_again(void **state)
{
	struct image *image = image_new(*state);
	uint64_t hole, start1, end;
	uint8_t header[32];
	struct fm__log_frame pad = {.type = FM_LOG_PAD, .flags = FM_LOG_PAD_DISCARD, .epoch = 9};

	image_append(image, 96, FM_LOG_DATA, 0);
	hole = image->tail;
	image_write(image, hole + 100, "x", 1);
	image_add_segment(image);
	start1 = fm__log_start(image_geometry(image), 1);
	/* of an earlier recovery only the PAD in segment 1 has reached the device */
	pad.lsn = start1;
	pad.size = 8192;
	pad.back = fm__log_back(image_geometry(image), start1, hole);
	fm__log_frame_encode(image_geometry(image), &pad, NULL, 0, header);
	image_write(image, start1, header, sizeof header);
	expect(image, FILEMAP_LOG_TORN, hole, hole);
	assert_int_equal(examine(image, 0).epoch, 9);
	end = recover(image, NULL);
	assert_int_equal(image->epoch, 10);
	assert_int_equal(end, start1 + 4096);
	expect(image, FILEMAP_LOG_CLEAN, end, hole);
	image_close(image);
}

static void recover_never_gives_published_positions_out_again(void **state)
{
	struct image *image = image_new(*state);
	struct fm__log_ctl_view ctl = {0};
	uint64_t end;

	image_append(image, 96, FM_LOG_DATA, 0);
	image_add_segment(image);
	ctl.published = fm__log_start(image_geometry(image), 1) + 5000 / 32 * 32;
	end = recover(image, &ctl);
	assert_int_equal(end, fm__log_start(image_geometry(image), 1) + 8192);
	expect(image, FILEMAP_LOG_CLEAN, end, image->records[0].lsn + 96);
	image_close(image);
}

static void recover_full_last_segment_ends_in_the_next(void **state)
{
	struct image *image = image_new(*state);
	uint64_t end = fm__log_start(image_geometry(image), 1), hole;

	image_fill_segment(image, 0);
	expect(image, FILEMAP_LOG_CLEAN, end, FM_LOG_FIRST);
	assert_int_equal(recover(image, NULL), end);
	hole = image->records[image->count - 1].lsn;
	image_write(image, hole, "\0\0\0\0\0\0\0\0", 8);
	image->count--;
	expect(image, FILEMAP_LOG_TORN, hole, FM_LOG_FIRST);
	assert_int_equal(recover(image, NULL), end);
	expect(image, FILEMAP_LOG_CLEAN, end, hole);
	image_close(image);
}

static void recover_leaves_a_corrupt_log_alone(void **state)
{
	struct image *image = image_new(*state);
	struct filemap_error error = {0};
	struct fm__log_found found;
	struct fm__log_meta after;
	uint64_t end = 7;

	image_append(image, 96, FM_LOG_DATA, 0);
	image->meta.durable = image->tail + 32;
	image_meta(image);
	found = examine(image, 0);
	assert_int_equal(found.state, FILEMAP_LOG_CORRUPT);
	assert_int_equal(fm__log_recover(&image->dir, NULL, &found, &end, &error), FILEMAP_ECORRUPT);
	assert_int_equal(error.offset, image->tail);
	assert_int_equal(end, 7);
	assert_ok(fm__log_meta_read(image->dir.meta_fd, &after));
	assert_int_equal(after.sequence, image->meta.sequence);
	image_close(image);
}

static void examine_stale_frame_of_a_lower_epoch_ends_the_log(void **state)
{
	struct image *image = image_new(*state);
	uint64_t stale;

	image->epoch = 5;
	image_append(image, 96, FM_LOG_DATA, 0);
	stale = image->tail;
	image->epoch = 4;
	image_append(image, 96, FM_LOG_DATA, 0);
	expect(image, FILEMAP_LOG_TORN, stale, FM_LOG_FIRST);
	assert_int_equal(examine(image, 0).epoch, 5);
	image->epoch = 5;
	image->tail = stale;
	image->count--;
	image_append(image, 96, FM_LOG_DATA, 0);
	image->epoch = 6;
	image_append(image, 96, FM_LOG_DATA, 0);
	expect(image, FILEMAP_LOG_CLEAN, image->tail, FM_LOG_FIRST);
	image_close(image);
}

static void examine_frame_of_another_place_is_no_frame(void **state)
{
	struct image *image = image_new(*state);
	uint8_t frame[96];
	uint64_t lsn = image_append(image, 96, FM_LOG_DATA, 0);

	image_read(image, lsn, frame, sizeof frame);
	image_write(image, image->tail, frame, sizeof frame);
	expect(image, FILEMAP_LOG_TORN, image->tail, FM_LOG_FIRST);
	image_close(image);
}

static void examine_missing_segment_is_corrupt_at_its_start(void **state)
{
	struct image *image = image_new(*state);
	struct filemap_error error = {0};
	struct fm__log_found found;
	char name[FM_LOG_NAME_SIZE];

	image_add_segment(image);
	image_add_segment(image);
	fm__log_segment_name(1, "seg", name);
	assert_ok(fm__sys_unlinkat(image->dir.fd, name, 0));
	assert_int_equal(fm__log_examine(&image->dir, 0, &found, &error), FILEMAP_ECORRUPT);
	assert_int_equal(error.offset, fm__log_start(image_geometry(image), 1));
	assert_string_equal(error.detail, name);
	image_close(image);
}

static void examine_damaged_header_or_size_is_corrupt_at_its_start(void **state)
{
	struct image *image = image_new(*state);
	struct filemap_error error = {0};
	struct fm__log_found found;
	int fd;

	image_add_segment(image);
	fd = image_fd(image, 1);
	assert_ok(fm__sys_ftruncate(fd, IMAGE_SEGMENT - 1));
	assert_int_equal(fm__log_examine(&image->dir, 0, &found, &error), FILEMAP_ECORRUPT);
	assert_int_equal(error.offset, fm__log_start(image_geometry(image), 1));
	assert_ok(fm__sys_ftruncate(fd, IMAGE_SEGMENT));
	expect(image, FILEMAP_LOG_CLEAN, FM_LOG_FIRST, FM_LOG_FIRST);
	assert_ok(fm__sys_pwrite(fd, "F", 1, 200));
	assert_int_equal(fm__log_examine(&image->dir, 0, &found, &error), FILEMAP_ECORRUPT);
	assert_int_equal(error.offset, fm__log_start(image_geometry(image), 1));
	fm__sys_close(fd);
	image_close(image);
}

static void sweep_deletes_leftovers_and_nothing_else(void **state)
{
	static const char *const gone[] = {"0000000000000001.seg", "00000000000000ff.seg",
					   "0000000000000001.prep", ".0000000000000007.seg.del"};
	static const char *const stay[] = {"0000000000000000.seg", "meta",  "LOCK",      "notes.txt",
					   ".other.del",           "1.seg", "quarantine"};
	struct image *image = image_new(*state);
	struct stat st;

	for (size_t i = 0; i < FM_ARRAY_SIZE(gone); i++)
		fm__sys_close(fm__sys_openat(image->dir.fd, gone[i], O_CREAT | O_RDWR, 0600));
	for (size_t i = 0; i < FM_ARRAY_SIZE(stay); i++)
		fm__sys_close(fm__sys_openat(image->dir.fd, stay[i], O_CREAT | O_RDWR, 0600));
	expect(image, FILEMAP_LOG_CLEAN, FM_LOG_FIRST,
	       FM_LOG_FIRST); /* an extra segment above last is no matter */
	recover(image, NULL);
	for (size_t i = 0; i < FM_ARRAY_SIZE(gone); i++)
		assert_int_equal(fm__sys_fstatat(image->dir.fd, gone[i], &st, 0), -ENOENT);
	for (size_t i = 0; i < FM_ARRAY_SIZE(stay); i++)
		assert_ok(fm__sys_fstatat(image->dir.fd, stay[i], &st, 0));
	image_close(image);
}

/* Segments 0 and 1 full and sealed, some frames in 2. */
static struct image *sealed_image(const struct t_dir *dir)
{
	struct image *image = image_new(dir);

	image_fill_segment(image, 1);
	image_add_segment(image);
	image_fill_segment(image, 1);
	image_add_segment(image);
	image_append(image, 96, FM_LOG_DATA, 0);
	image_seal(image, 0);
	image_seal(image, 1);
	return image;
}

static void examine_scans_from_the_last_seal(void **state)
{
	struct image *image = sealed_image(*state);
	uint64_t start2 = fm__log_start(image_geometry(image), 2);
	struct fm__log_found found;

	expect(image, FILEMAP_LOG_CLEAN, image->tail, start2);
	found = examine(image, 0);
	assert_int_equal(found.scanned_from, start2);
	assert_int_equal(found.sealed_below, 2);
	recover(image, NULL);
	assert_int_equal(image->meta.sealed, 2);
	found = examine(image, FM_LOG_EXAMINE_ALL);
	assert_int_equal(found.state, FILEMAP_LOG_CLEAN);
	assert_int_equal(found.records, image->count);
	image_close(image);
}

static void examine_missing_seal_below_another_is_corrupt(void **state)
{
	struct image *image = sealed_image(*state);
	uint64_t start1 = fm__log_start(image_geometry(image), 1);
	struct fm__log_found found;

	image_write(image, fm__log_end(image_geometry(image), 0) + 100, "x", 1);
	found = examine(image, 0);
	assert_int_equal(found.state, FILEMAP_LOG_CORRUPT);
	assert_int_equal(found.end, start1);
	assert_int_equal(found.evidence_at, fm__log_end(image_geometry(image), 1));
	/* the same if it is the last seal that meta vouches for */
	image_seal(image, 0);
	image->meta.sealed = 2;
	image_meta(image);
	image_write(image, fm__log_end(image_geometry(image), 1) + 100, "x", 1);
	assert_int_equal(examine(image, 0).state, FILEMAP_LOG_CLEAN); /* not looked at */
	found = examine(image, FM_LOG_EXAMINE_SCAN);
	assert_int_equal(found.state, FILEMAP_LOG_CORRUPT);
	assert_int_equal(found.end, fm__log_start(image_geometry(image), 2));
	image_close(image);
}

static void examine_valid_frames_that_were_not_sealed_are_corrupt(void **state)
{
	struct image *image = sealed_image(*state);
	struct fm__log_found found;
	struct image_record record;
	uint32_t i = 0;

	image->meta.sealed = 2;
	image_meta(image);
	while (image->records[i].lsn < fm__log_start(image_geometry(image), 1) + 10000)
		i++;
	record = image->records[i];
	image->tail = record.lsn;
	image_append(image, record.size, FM_LOG_DATA, 0); /* another promise, another checksum */
	assert_int_equal(examine(image, 0).state, FILEMAP_LOG_CLEAN);
	found = examine(image, FM_LOG_EXAMINE_ALL);
	assert_int_equal(found.state, FILEMAP_LOG_CORRUPT);
	assert_int_equal(found.end, fm__log_start(image_geometry(image), 1));
	assert_int_equal(found.records, image_check_records(image, 0, found.end));
	image_close(image);
}

static void examine_needs_one_meta_slot(void **state)
{
	struct image *image = image_new(*state);
	struct filemap_error error = {0};
	struct fm__log_found found;
	uint8_t block[FM_LOG_BLOCK], junk[FM_LOG_BLOCK];

	memset(junk, 0x5a, sizeof junk);
	image_append(image, 96, FM_LOG_DATA, 0);
	for (uint64_t slot = 0; slot < 2; slot++) {
		uint64_t at = slot * FM_LOG_META_SLOT;

		assert_int_equal(fm__sys_pread(image->dir.meta_fd, block, sizeof block, at), sizeof block);
		assert_ok(fm__sys_pwrite(image->dir.meta_fd, junk, sizeof junk, at));
		expect(image, FILEMAP_LOG_CLEAN, image->tail, FM_LOG_FIRST);
		assert_ok(fm__sys_pwrite(image->dir.meta_fd, block, sizeof block, at));
	}
	assert_ok(fm__sys_pwrite(image->dir.meta_fd, junk, sizeof junk, 0));
	assert_ok(fm__sys_pwrite(image->dir.meta_fd, junk, sizeof junk, FM_LOG_META_SLOT));
	assert_int_equal(fm__log_examine(&image->dir, 0, &found, &error), FILEMAP_ECORRUPT);
	assert_string_equal(error.subject, "meta");
	image_close(image);
}

static void examine_newer_version_or_pending_discard_is_eversion(void **state)
{
	struct image *image = image_new(*state);
	struct filemap_error error = {0};
	struct fm__log_found found;

	image->meta.discard_from = FM_LOG_FIRST;
	image->meta.discard_to = 8192;
	image_meta(image);
	assert_int_equal(fm__log_examine(&image->dir, 0, &found, &error), FILEMAP_EVERSION);
	assert_string_equal(error.subject, "pending discard");
	image->meta.discard_from = image->meta.discard_to = 0;
	image->meta.incompat |= 1;
	image_meta(image);
	assert_int_equal(fm__log_examine(&image->dir, 0, &found, &error), FILEMAP_EVERSION);
	image_close(image);
}

static void verify_reports_what_was_found_and_changes_nothing(void **state)
{
	struct t_dir *dir = *state;
	struct image *image = sealed_image(dir);
	struct filemap_log_report report;
	struct filemap_error error = {0};
	static uint8_t before[IMAGE_SEGMENT], after[IMAGE_SEGMENT];

	image_write(image, image->tail + 64, "x", 1);
	fm__sys_close(fm__take_fd(&image->dir.lock_fd));
	image_read(image, 2 * IMAGE_SEGMENT, before, sizeof before);
	assert_ok(filemap_log_verify(t_path(dir, "log"), 0, &report, &error));
	assert_int_equal(report.state, FILEMAP_LOG_TORN);
	assert_int_equal(report.end, image->tail);
	assert_int_equal(report.records, 1);
	assert_int_equal(report.segments, 3);
	assert_int_equal(report.segment_size, IMAGE_SEGMENT);
	assert_ok(filemap_log_verify(t_path(dir, "log"), FILEMAP_LOG_DEEP, &report, &error));
	assert_int_equal(report.records, image->count);
	assert_int_equal(report.first, FM_LOG_FIRST);
	image_read(image, 2 * IMAGE_SEGMENT, after, sizeof after);
	assert_memory_equal(before, after, sizeof before);

	assert_int_equal(filemap_log_verify(t_path(dir, "log"), 2, &report, &error), FILEMAP_EOPTION);
	assert_string_equal(error.subject, "flags");
	assert_int_equal(filemap_log_verify(NULL, 0, &report, &error), FILEMAP_EOPTION);
	assert_int_equal(filemap_log_verify(t_path(dir, "log"), 0, NULL, &error), FILEMAP_EOPTION);
	assert_int_equal(filemap_log_verify(t_path(dir, "none"), 0, &report, &error), -ENOENT);
	image_close(image);
}

static void verify_beside_a_writer_is_limited_by_what_it_published(void **state)
{
	struct t_dir *dir = *state;
	struct image *image = sealed_image(dir); /* holds the lock */
	struct filemap_log_report report;
	struct fm__log_ctl_view view = {
		.state = FM_LOG_CTL_OPEN, .epoch = image->epoch, .first = FM_LOG_FIRST};
	struct fm__log_ctl *ctl;
	uint64_t lsn = image->records[image->count - 1].lsn;

	image->meta.sealed = 1;
	image_meta(image);
	view.last = 2;
	view.published = image->tail;
	view.durable = lsn;
	image_append(image, 96, FM_LOG_DATA, image->tail); /* committed, not yet published */
	assert_ok(fm__log_ctl_open_writer(&image->dir, &ctl, NULL));
	fm__log_ctl_start(ctl, image_geometry(image), &view);
	assert_ok(filemap_log_verify(t_path(dir, "log"), FILEMAP_LOG_DEEP, &report, NULL));
	assert_int_equal(report.state, FILEMAP_LOG_CLEAN);
	assert_int_equal(report.end, view.published);
	assert_int_equal(report.durable, lsn);
	assert_int_equal(report.records, image->count - 1);
	assert_ok(filemap_log_verify(t_path(dir, "log"), 0, &report, NULL));
	assert_int_equal(report.scanned_from, fm__log_start(image_geometry(image), 1));
	image_write(image, lsn + 50, "\0", 1);
	assert_ok(filemap_log_verify(t_path(dir, "log"), 0, &report, NULL));
	assert_int_equal(report.state, FILEMAP_LOG_CORRUPT);
	assert_int_equal(report.damaged_at, lsn);
	fm__log_ctl_close(ctl);
	image_close(image);
}

T_MAIN(T_TEST(examine_empty_log_is_clean_without_scan), T_TEST(examine_closed_log_is_clean_without_scan),
       T_TEST(examine_closed_log_that_lost_its_last_record_is_corrupt),
       T_TEST(examine_last_frame_torn_at_any_byte_ends_before_it),
       T_TEST(examine_hole_before_a_promise_decides_torn_or_corrupt),
       T_TEST(examine_promise_far_behind_a_gap_is_found),
       T_TEST(examine_frame_longer_than_the_window_is_read),
       T_TEST(recover_tail_torn_across_a_segment_border_is_put_aside_in_both),
       T_TEST(recover_twice_gives_the_same_end), T_TEST(recover_interrupted_between_segments_starts_again),
       T_TEST(recover_never_gives_published_positions_out_again),
       T_TEST(recover_full_last_segment_ends_in_the_next), T_TEST(recover_leaves_a_corrupt_log_alone),
       T_TEST(examine_stale_frame_of_a_lower_epoch_ends_the_log),
       T_TEST(examine_frame_of_another_place_is_no_frame),
       T_TEST(examine_missing_segment_is_corrupt_at_its_start),
       T_TEST(examine_damaged_header_or_size_is_corrupt_at_its_start),
       T_TEST(sweep_deletes_leftovers_and_nothing_else), T_TEST(examine_scans_from_the_last_seal),
       T_TEST(examine_missing_seal_below_another_is_corrupt),
       T_TEST(examine_valid_frames_that_were_not_sealed_are_corrupt), T_TEST(examine_needs_one_meta_slot),
       T_TEST(examine_newer_version_or_pending_discard_is_eversion),
       T_TEST(verify_reports_what_was_found_and_changes_nothing),
       T_TEST(verify_beside_a_writer_is_limited_by_what_it_published))
