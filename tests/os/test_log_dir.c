/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The directory of a log on a real file system: creation, take-over, the lock, what is no log. */
#include "t.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "log/block.h"
#include "log/dir.h"
#include "sys/sys.h"

#define MIB (UINT64_C(1) << 20)
#define SEGMENT0 "log/0000000000000000.seg"

static const struct fm__log_geometry geometry = {
	.uuid = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, .segment_size = MIB, .unit = 32};

static void make_log(const struct t_dir *dir)
{
	struct fm__log_dir log;

	assert_ok(fm__log_dir_create(t_path(dir, "log"), &geometry, 0666, &log, NULL));
	fm__log_dir_close(&log);
}

static int names_count(void *context, const char *name)
{
	(void)name;
	++*(int *)context;
	return 0;
}

static int names_in(const char *path)
{
	int count = 0, fd = fm__sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);

	assert_true(fd >= 0);
	assert_ok(fm__sys_list_dir(fd, names_count, &count));
	fm__sys_close(fd);
	return count;
}

static void create_makes_an_empty_clean_log(void **state)
{
	const struct t_dir *dir = *state;
	struct fm__log_dir log;
	struct fm__log_meta meta;
	static uint8_t bytes[MIB];
	struct fm__log_header header;

	assert_ok(fm__log_dir_create(t_path(dir, "log"), &geometry, 0640, &log, NULL));
	assert_ok(fm__log_meta_read(log.meta_fd, &meta));
	assert_true(fm__log_geometry_same(&meta.geometry, &geometry));
	assert_true(meta.state == FM_LOG_META_CLEAN && meta.epoch == 1 && meta.last == 0 && meta.sealed == 0);
	assert_true(meta.first == 4096 && meta.durable == 4096 && meta.end == 4096);
	assert_true(meta.incompat == FM_LOG_INCOMPAT_DRAFT && meta.discard_to == 0);
	fm__log_dir_close(&log);

	assert_int_equal(names_in(t_path(dir, "log")), 3);
	assert_int_equal(t_file_size(t_path(dir, "log/LOCK")), 0);
	assert_int_equal(t_file_size(t_path(dir, "log/meta")), FM_LOG_META_SIZE);
	assert_int_equal(t_read_file(t_path(dir, SEGMENT0), bytes, sizeof bytes), MIB);
	assert_ok(fm__log_header_decode(bytes, &header));
	assert_true(header.n == 0 && header.epoch == 1 && header.time_base > UINT64_C(1600000000000));
	for (size_t i = 4096; i < MIB; i++)
		assert_int_equal(bytes[i], 0);
}

static void create_over_a_log_is_eexist(void **state)
{
	const struct t_dir *dir = *state;
	struct fm__log_dir log;
	struct filemap_error error;
	static uint8_t before[FM_LOG_META_SIZE], after[FM_LOG_META_SIZE];

	make_log(dir);
	t_read_file(t_path(dir, "log/meta"), before, sizeof before);
	assert_int_equal(fm__log_dir_create(t_path(dir, "log"), &geometry, 0666, &log, &error), -EEXIST);
	assert_string_equal(error.subject, "log directory");
	t_read_file(t_path(dir, "log/meta"), after, sizeof after);
	assert_memory_equal(before, after, sizeof after);
}

static void create_below_a_missing_directory_is_enoent(void **state)
{
	const struct t_dir *dir = *state;
	struct fm__log_dir log;
	struct filemap_error error;

	assert_int_equal(fm__log_dir_create(t_path(dir, "no/log"), &geometry, 0666, &log, &error), -ENOENT);
	assert_string_equal(error.step, "create");
}

static void create_in_a_directory_with_other_files_changes_nothing(void **state)
{
	const struct t_dir *dir = *state;
	static const char *const strangers[] = {"notes", "0000000000000001.seg", "meta2",
						"000000000000000G.seg", "0000000000000000.seg.old"};
	struct fm__log_dir log;

	for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++) {
		char name[64];

		assert_ok(mkdir(t_path(dir, "log"), 0777));
		snprintf(name, sizeof name, "log/%s", strangers[i]);
		t_write_file(t_path(dir, name), "x", 1);
		assert_int_equal(fm__log_dir_create(t_path(dir, "log"), &geometry, 0666, &log, NULL),
				 -ENOTEMPTY);
		assert_int_equal(names_in(t_path(dir, "log")), 1);
		assert_ok(unlink(t_path(dir, name)));
		assert_ok(rmdir(t_path(dir, "log")));
	}
}

static void create_takes_over_an_unfinished_creation(void **state)
{
	const struct t_dir *dir = *state;
	static const uint8_t blank[2 * MIB];
	struct fm__log_dir log;

	assert_ok(mkdir(t_path(dir, "log"), 0777));
	t_write_file(t_path(dir, "log/LOCK"), "", 0);
	t_write_file(t_path(dir, "log/ctl"), "old", 3);
	t_write_file(t_path(dir, "log/meta.new"), "half", 4);
	t_write_file(t_path(dir, "log/0000000000000000.prep"), "half", 4);
	t_write_file(t_path(dir, SEGMENT0), blank, sizeof blank); /* of another size, too */
	assert_ok(fm__log_dir_create(t_path(dir, "log"), &geometry, 0666, &log, NULL));
	fm__log_dir_close(&log);
	assert_int_equal(names_in(t_path(dir, "log")), 3);
	assert_int_equal(t_file_size(t_path(dir, SEGMENT0)), MIB);
}

static void create_over_a_segment_with_data_is_refused(void **state)
{
	const struct t_dir *dir = *state;
	static uint8_t bytes[MIB], after[MIB];
	struct fm__log_dir log;

	assert_ok(mkdir(t_path(dir, "log"), 0777));
	bytes[MIB - 4097] = 1;
	t_write_file(t_path(dir, SEGMENT0), bytes, sizeof bytes);
	assert_int_equal(fm__log_dir_create(t_path(dir, "log"), &geometry, 0666, &log, NULL), -ENOTEMPTY);
	assert_int_equal(names_in(t_path(dir, "log")), 1);
	t_read_file(t_path(dir, SEGMENT0), after, sizeof after);
	assert_memory_equal(bytes, after, sizeof bytes);
}

static int create_in_child(void *context)
{
	struct fm__log_dir log;

	return fm__log_dir_create(context, &geometry, 0666, &log, NULL) == FILEMAP_ELOCKED ? 0 : 1;
}

/* Another process is between LOCK and meta. */
static void create_while_another_creates_is_elocked(void **state)
{
	const struct t_dir *dir = *state;
	struct fm__log_dir other = {.fd = -1, .meta_fd = -1};
	char path[300];

	snprintf(path, sizeof path, "%s", t_path(dir, "log"));
	assert_ok(mkdir(path, 0777));
	t_write_file(t_path(dir, "log/LOCK"), "", 0);
	other.lock_fd = fm__sys_openat(AT_FDCWD, t_path(dir, "log/LOCK"), O_RDWR, 0);
	assert_ok(fm__sys_ofd_lock(other.lock_fd, F_WRLCK, 0, 1));
	assert_int_equal(t_in_child(create_in_child, path), 0);
	assert_int_equal(names_in(path), 1);
	fm__sys_close(other.lock_fd);
}

static void open_what_is_no_log_is_enoent(void **state)
{
	const struct t_dir *dir = *state;
	struct fm__log_dir log;
	struct filemap_error error;

	assert_ok(mkdir(t_path(dir, "empty"), 0777));
	assert_int_equal(fm__log_dir_open(t_path(dir, "empty"), FM_LOG_RW, &log, &error), -ENOENT);
	assert_string_equal(error.subject, "meta");
	assert_string_equal(error.hint, "not a log");
	assert_int_equal(names_in(t_path(dir, "empty")), 0);
	assert_int_equal(fm__log_dir_open(t_path(dir, "none"), FM_LOG_RO, &log, &error), -ENOENT);
	assert_string_equal(error.subject, "log directory");
	t_write_file(t_path(dir, "file"), "x", 1);
	assert_int_equal(fm__log_dir_open(t_path(dir, "file"), FM_LOG_RO, &log, &error), -ENOTDIR);
	assert_ok(mkfifo(t_path(dir, "empty/meta"), 0666));
	assert_int_equal(fm__log_dir_open(t_path(dir, "empty"), FM_LOG_RW, &log, &error), FILEMAP_ECORRUPT);
}

/* ---- the lock ---- */

static int lock_in_child(void *context)
{
	struct filemap_error error;
	struct fm__log_dir log;
	int r;

	if (fm__log_dir_open(context, FM_LOG_RW, &log, NULL) < 0)
		return 1;
	if (fm__log_dir_writer_lives(&log) != 1)
		return 2;
	r = fm__log_dir_lock(&log, &error);
	fm__log_dir_close(&log);
	return r == FILEMAP_ELOCKED && strcmp(error.step, "lock") == 0 ? 0 : 3;
}

static int relock_in_child(void *context)
{
	struct fm__log_dir log;
	int r;

	if (fm__log_dir_open(context, FM_LOG_RW, &log, NULL) < 0)
		return 1;
	r = fm__log_dir_writer_lives(&log) != 0 ? 2 : -fm__log_dir_lock(&log, NULL);
	fm__log_dir_close(&log);
	return r;
}

static void lock_held_by_another_process_is_elocked(void **state)
{
	const struct t_dir *dir = *state;
	struct fm__log_dir log;
	char path[300];

	snprintf(path, sizeof path, "%s", t_path(dir, "log"));
	assert_ok(fm__log_dir_create(path, &geometry, 0666, &log, NULL));
	assert_int_equal(t_in_child(lock_in_child, path), 0);
	fm__log_dir_close(&log);
	assert_int_equal(t_in_child(relock_in_child, path), 0);
}

static void lock_on_a_file_that_lost_its_name_is_ereplaced(void **state)
{
	const struct t_dir *dir = *state;
	struct fm__log_dir log, fresh;

	make_log(dir);
	assert_ok(fm__log_dir_open(t_path(dir, "log"), FM_LOG_RW, &log, NULL));
	assert_ok(unlink(t_path(dir, "log/LOCK")));
	assert_int_equal(fm__log_dir_lock(&log, NULL), FILEMAP_EREPLACED);
	t_write_file(t_path(dir, "log/LOCK"), "", 0);
	assert_int_equal(fm__log_dir_lock(&log, NULL), FILEMAP_EREPLACED);
	assert_ok(fm__log_dir_open(t_path(dir, "log"), FM_LOG_RW, &fresh, NULL));
	assert_ok(fm__log_dir_lock(&fresh, NULL));
	fm__log_dir_close(&fresh);
	fm__log_dir_close(&log);
}

/* ---- segments ---- */

static void segment_prepared_is_zeros_behind_a_header(void **state)
{
	const struct t_dir *dir = *state;
	static uint8_t bytes[MIB];
	struct fm__log_dir log;
	struct fm__log_header header;
	int fd, again;

	make_log(dir);
	assert_ok(fm__log_dir_open(t_path(dir, "log"), FM_LOG_RW, &log, NULL));
	t_write_file(t_path(dir, "log/00000000000000ab.prep"), "leftover", 8);
	assert_ok(fm__log_segment_prepare(&log, &geometry, 0xab, 7, &fd, NULL));
	assert_int_equal(t_file_size(t_path(dir, "log/00000000000000ab.prep")), -1);
	assert_int_equal(t_read_file(t_path(dir, "log/00000000000000ab.seg"), bytes, MIB), MIB);
	for (size_t i = 4096; i < MIB; i++)
		assert_int_equal(bytes[i], 0);
	assert_ok(fm__log_segment_open(&log, &geometry, 0xab, FM_LOG_RO, &again, &header, NULL));
	assert_true(header.epoch == 7 && header.n == 0xab);
	assert_int_equal(fm__log_segment_prepare(&log, &geometry, 0, 7, &again, NULL), -EEXIST);
	assert_int_equal(t_file_size(t_path(dir, "log/0000000000000000.prep")), -1);
	fm__sys_close(again);
	fm__sys_close(fd);
	fm__log_dir_close(&log);
}

static int open_segment(const struct t_dir *dir, uint64_t n, struct filemap_error *reterr)
{
	struct fm__log_dir log;
	struct fm__log_header header;
	int fd, r;

	assert_ok(fm__log_dir_open(t_path(dir, "log"), FM_LOG_RO, &log, NULL));
	r = fm__log_segment_open(&log, &geometry, n, FM_LOG_RO, &fd, &header, reterr);
	if (r == 0)
		fm__sys_close(fd);
	fm__log_dir_close(&log);
	return r;
}

static void put_header(const struct t_dir *dir, const struct fm__log_header *header, uint32_t format)
{
	static uint8_t bytes[MIB];

	fm__log_header_encode(header, bytes);
	fm__put_le32(bytes + 8, format);
	fm__log_block_seal(bytes);
	t_write_file(t_path(dir, SEGMENT0), bytes, sizeof bytes);
}

static void segment_that_does_not_belong_is_corrupt(void **state)
{
	const struct t_dir *dir = *state;
	struct fm__log_header header = {.geometry = geometry, .epoch = 1}, other = header;
	struct filemap_error error;

	make_log(dir);
	put_header(dir, &header, 1);
	assert_ok(open_segment(dir, 0, &error));
	other.n = 1;
	put_header(dir, &other, 1);
	assert_int_equal(open_segment(dir, 0, &error), FILEMAP_ECORRUPT);
	assert_true(error.offset == 4096);
	assert_string_equal(error.detail, "0000000000000000.seg");
	other = header;
	other.geometry.uuid[0] ^= 1;
	put_header(dir, &other, 1);
	assert_int_equal(open_segment(dir, 0, &error), FILEMAP_ECORRUPT);
	other = header;
	other.geometry.unit = 64;
	put_header(dir, &other, 1);
	assert_int_equal(open_segment(dir, 0, &error), FILEMAP_ECORRUPT);
	put_header(dir, &header, 2);
	assert_int_equal(open_segment(dir, 0, &error), FILEMAP_EVERSION);
	assert_ok(truncate(t_path(dir, SEGMENT0), (off_t)MIB - 1));
	assert_int_equal(open_segment(dir, 0, &error), FILEMAP_ECORRUPT);
	assert_int_equal(open_segment(dir, 1, &error), -ENOENT);
}

/* ---- a log of a newer version ---- */

static void open_of_a_newer_format_is_eversion_and_changes_nothing(void **state)
{
	const struct t_dir *dir = *state;
	static uint8_t before[FM_LOG_META_SIZE], after[FM_LOG_META_SIZE];
	struct filemap_log_reader *reader;
	struct filemap_log *log;
	struct filemap_error error;

	make_log(dir);
	t_read_file(t_path(dir, "log/meta"), before, sizeof before);
	fm__put_le32(before + 16, FM_LOG_INCOMPAT_DRAFT | 2);
	fm__log_block_seal(before);
	t_write_file(t_path(dir, "log/meta"), before, sizeof before);
	assert_int_equal(filemap_log_open(t_path(dir, "log"), NULL, &log, NULL, &error), FILEMAP_EVERSION);
	assert_int_equal(filemap_log_open(t_path(dir, "log"),
					  FILEMAP_LOG_OPTIONS(.flags = FILEMAP_LOG_CREATE), &log, NULL,
					  &error),
			 FILEMAP_EVERSION);
	assert_int_equal(filemap_log_reader_open(t_path(dir, "log"), NULL, &reader, NULL, &error),
			 FILEMAP_EVERSION);
	assert_true(error.step && error.subject);
	t_read_file(t_path(dir, "log/meta"), after, sizeof after);
	assert_memory_equal(before, after, sizeof after);
	assert_int_equal(names_in(t_path(dir, "log")), 3);
}

static void segment_names_are_parsed_strictly(void **state)
{
	char name[FM_LOG_NAME_SIZE];
	uint64_t n;

	(void)state;
	fm__log_segment_name(UINT64_C(0xfedcba9876543210), "seg", name);
	assert_string_equal(name, "fedcba9876543210.seg");
	assert_true(fm__log_segment_parse(name, "seg", &n) && n == UINT64_C(0xfedcba9876543210));
	assert_false(fm__log_segment_parse(name, "prep", &n));
	assert_false(fm__log_segment_parse("fedcba987654321.seg", "seg", &n));
	assert_false(fm__log_segment_parse("FEDCBA9876543210.seg", "seg", &n));
	assert_false(fm__log_segment_parse("fedcba9876543210.segx", "seg", &n));
	assert_false(fm__log_segment_parse("fedcba9876543210", "seg", &n));
	assert_false(fm__log_segment_parse("", "seg", &n));
}

T_MAIN(T_TEST(create_makes_an_empty_clean_log), T_TEST(create_over_a_log_is_eexist),
       T_TEST(create_below_a_missing_directory_is_enoent),
       T_TEST(create_in_a_directory_with_other_files_changes_nothing),
       T_TEST(create_takes_over_an_unfinished_creation), T_TEST(create_over_a_segment_with_data_is_refused),
       T_TEST(create_while_another_creates_is_elocked), T_TEST(open_what_is_no_log_is_enoent),
       T_TEST(lock_held_by_another_process_is_elocked),
       T_TEST(lock_on_a_file_that_lost_its_name_is_ereplaced),
       T_TEST(segment_prepared_is_zeros_behind_a_header), T_TEST(segment_that_does_not_belong_is_corrupt),
       T_TEST(open_of_a_newer_format_is_eversion_and_changes_nothing),
       T_PLAIN(segment_names_are_parsed_strictly))
