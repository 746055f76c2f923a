/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Each kernel call of examine, recover, sweep and verify fails once, in turn: the failure is returned and
 * nothing leaks; the next attempt succeeds and finds every record that was there.
 */
#include <errno.h>

#include "fault.h"
#include "log/recover.h"
#include "log_image.h"

#define SEGMENTS 3
#define FOUR(text) text text text text
#define SIXTEEN(text) FOUR(FOUR(text)) /* a segment in 64 KiB steps */

/* Calls that have no say in the result: advice, and giving back what was only read or has been flushed. */
static bool is_harmless(const char *call)
{
	return strcmp(call, "fadvise") == 0 || strcmp(call, "close") == 0;
}

static uint8_t saved[SEGMENTS][IMAGE_SEGMENT], saved_meta[2][FM_LOG_BLOCK];

/* A sealed segment, records in the next, an unfinished one behind them, which reaches into the last. */
static struct image *build(const struct t_dir *dir)
{
	struct image *image = image_new(dir);

	image_fill_segment(image, 1);
	image_add_segment(image);
	image_seal(image, 0);
	image_append(image, 128, FM_LOG_DATA, 0);
	image_append(image, 256, FM_LOG_DATA, 0);
	image_add_segment(image);
	image_write(image, image->tail + 40, "unfinished", 10);
	image_write(image, fm__log_start(image_geometry(image), 2) + 9000, "x", 1);
	for (uint64_t n = 0; n < SEGMENTS; n++)
		image_read(image, n * IMAGE_SEGMENT, saved[n], IMAGE_SEGMENT);
	for (uint64_t slot = 0; slot < 2; slot++)
		assert_int_equal(fm__sys_pread(image->dir.meta_fd, saved_meta[slot], FM_LOG_BLOCK,
					       slot * FM_LOG_META_SLOT),
				 FM_LOG_BLOCK);
	return image;
}

/* As it was after build(), with a leftover to sweep. */
static void restore(const struct image *image)
{
	for (uint64_t n = 0; n < SEGMENTS; n++)
		image_write(image, n * IMAGE_SEGMENT, saved[n], IMAGE_SEGMENT);
	for (uint64_t slot = 0; slot < 2; slot++)
		assert_ok(fm__sys_pwrite(image->dir.meta_fd, saved_meta[slot], FM_LOG_BLOCK,
					 slot * FM_LOG_META_SLOT));
	fm__sys_close(fm__sys_openat(image->dir.fd, "0000000000000009.prep", O_CREAT | O_RDWR, 0600));
}

static int attempt(const struct image *image, uint64_t *ret_end, struct filemap_error *reterr)
{
	struct fm__log_found found;
	int r;

	r = fm__log_examine(&image->dir, 0, &found, reterr);
	if (r < 0)
		return r;
	r = fm__log_recover(&image->dir, NULL, &found, ret_end, reterr);
	if (r < 0)
		return r;
	return fm__log_sweep(&image->dir, &found.meta, reterr);
}

/* The next attempt succeeds, and everything that was there is there. */
static void check_all(const struct image *image)
{
	struct fm__log_found found;
	uint64_t end = 0;

	assert_ok(attempt(image, &end, NULL));
	assert_int_equal(end, fm__log_start(image_geometry(image), 2) + 12288);
	assert_ok(fm__log_examine(&image->dir, FM_LOG_EXAMINE_ALL, &found, NULL));
	assert_int_equal(found.state, FILEMAP_LOG_CLEAN);
	assert_int_equal(found.records, image->count);
	assert_int_equal(found.end, end);
	assert_int_equal(image_check_records(image, 0, end), image->count);
}

static void sweep(const struct t_dir *dir, const char *call, int error)
{
	struct image *image = build(dir);
	struct t_census before = t_census_take(dir->path), after;
	int nth, r;

	for (nth = 1;; nth++) {
		struct filemap_error reterr = {0};
		uint64_t end;

		fault_reset();
		restore(image);
		if (call)
			fault_arm_call(call, nth, error);
		else
			fault_arm(nth, error);
		r = attempt(image, &end, &reterr);
		if (!fault_fired())
			break;
		if (is_harmless(fault_fired_call())) {
			assert_int_equal(r, 0);
		} else {
			assert_int_equal(r, -error);
			assert_int_equal(reterr.code, r);
			assert_non_null(reterr.step);
			assert_non_null(reterr.subject);
		}
		fault_reset();
		after = t_census_take(dir->path);
		assert_int_equal(after.descriptors, before.descriptors);
		assert_int_equal(after.mappings, before.mappings);
		check_all(image);
	}
	assert_int_equal(r, 0);
	assert_true(nth > (call ? 1 : 20));
	fault_reset();
	image_close(image);
}

static void recovery_with_any_call_failing_returns_it_and_can_be_repeated(void **state)
{
	sweep(*state, NULL, EIO);
}

static void recovery_without_memory_returns_enomem_and_can_be_repeated(void **state)
{
	sweep(*state, "zalloc", ENOMEM);
}

static void recovery_with_failing_flush_returns_it_and_can_be_repeated(void **state)
{
	sweep(*state, "fdatasync", EIO);
}

static void recovery_on_a_full_device_returns_it_and_can_be_repeated(void **state)
{
	sweep(*state, "pwrite", ENOSPC);
}

/* Durability as a written sequence: what is believed is written and flushed again, meta's slot, too; then the new
 * epoch, twice; then the PADs. */
static void recovery_makes_durable_then_says_so_then_puts_aside(void **state)
{
	struct image *image = build(*state);
	struct fm__log_found found;
	uint64_t end;

	image->meta.durable = fm__log_start(image_geometry(image), 1);
	image_meta(image);
	fault_reset();
	fault_trace_start();
	assert_ok(fm__log_examine(&image->dir, 0, &found, NULL));
	/* meta on a descriptor of its own; each segment likewise, with header and trailer; then the scan */
	assert_string_equal(fault_trace(), "openat fdatasync pread pread close list_dir openat "
					   "openat fstat pread fadvise fdatasync pread close "
					   "openat fstat pread fadvise fdatasync pread close "
					   "openat fstat pread fadvise fdatasync pread close "
					   "openat fstat pread fadvise pread "
					   "openat fstat pread fadvise close pread close ");
	fault_trace_start();
	assert_ok(fm__log_recover(&image->dir, NULL, &found, &end, NULL));
	assert_string_equal(fault_trace(),
			    "openat fstat pread fadvise pread pwrite fdatasync close "
			    "openat fstat pread fadvise pread pwrite fdatasync close "
			    "pwrite fdatasync "
			    "pwrite fdatasync pwrite fdatasync "
			    "openat fstat pread fadvise " SIXTEEN(
				    "pread ") "close "
					      "openat fstat pread fadvise pwrite fdatasync close "
					      "openat fstat pread fadvise pwrite fdatasync close ");
	fault_reset();
	image_close(image);
}

static void verify_with_any_call_failing_returns_it(void **state)
{
	struct t_dir *dir = *state;
	struct image *image = build(dir);
	struct filemap_log_report report;
	int nth, r;

	fm__sys_close(fm__take_fd(&image->dir.lock_fd));
	for (nth = 1;; nth++) {
		struct filemap_error error = {0};

		fault_reset();
		fault_arm(nth, EIO);
		r = filemap_log_verify(t_path(dir, "log"), FILEMAP_LOG_DEEP, &report, &error);
		if (!fault_fired())
			break;
		if (is_harmless(fault_fired_call()))
			continue;
		assert_int_equal(r, -EIO);
		assert_int_equal(error.code, -EIO);
		assert_non_null(error.step);
		assert_non_null(error.subject);
	}
	fault_reset();
	assert_int_equal(r, 0);
	assert_int_equal(report.state, FILEMAP_LOG_TORN);
	assert_int_equal(report.records, image->count);
	image_close(image);
}

T_MAIN(T_TEST(recovery_with_any_call_failing_returns_it_and_can_be_repeated),
       T_TEST(recovery_without_memory_returns_enomem_and_can_be_repeated),
       T_TEST(recovery_with_failing_flush_returns_it_and_can_be_repeated),
       T_TEST(recovery_on_a_full_device_returns_it_and_can_be_repeated),
       T_TEST(recovery_makes_durable_then_says_so_then_puts_aside),
       T_TEST(verify_with_any_call_failing_returns_it))
