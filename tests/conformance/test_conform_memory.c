/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Conformance: what the mapping layer does with pages once they are mapped, under the names of the original's
 * tests: protection and machine code, advice, locking in memory, and the options that concern pages.
 */
#include "conform.h"

#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/vfs.h>

/* int f(void) { return 0xAB; } */
#if defined(__x86_64__) || defined(__i386__)
static const unsigned char code[] = {0xB8, 0xAB, 0x00, 0x00, 0x00, 0xC3};
#define HAVE_CODE true
#elif defined(__aarch64__)
static const unsigned char code[] = {0x60, 0x15, 0x80, 0x52, 0xC0, 0x03, 0x5F, 0xD6};
#define HAVE_CODE true
#else
static const unsigned char code[] = {0};
#define HAVE_CODE false
#endif

static struct filemap *anonymous_ok(size_t length, const struct filemap_options *options)
{
	struct filemap *map = NULL;
	assert_ok(filemap_anonymous(length, options, &map, NULL));
	assert_int_equal(filemap_size(map), length);
	return map;
}

/* Whether it became executable; where the file system forbids it, the mapping is closed and the case over. */
static void make_executable(struct filemap *map)
{
	const int r = filemap_freeze_exec(map, NULL);

	if (r == -EPERM || r == -EACCES) {
		filemap_close(map);
		t_skip("the test directory is mounted noexec");
	}
	assert_ok(r);
	assert_true(filemap_is_exec(map));
	assert_null(filemap_data_mut(map));
}

static int call(const struct filemap *map)
{
	int (*function)(void) = (int (*)(void))filemap_code(map, 0);
	assert_non_null(function);
	return function();
}

static void conform_jit_x86_anon_machine_code_runs(void **state)
{
	(void)state;
	if (!HAVE_CODE)
		t_skip("no machine code for this processor");
	struct filemap *map = anonymous_ok(4096, NULL);
	assert_null((void *)(uintptr_t)filemap_code(map, 0));
	assert_ok(filemap_write_all(map, 0, code, sizeof code));
	make_executable(map);
	assert_int_equal(call(map), 0xAB);
	assert_null((void *)(uintptr_t)filemap_code(map, 4096));
	assert_ok(filemap_thaw(map, NULL));
	assert_null((void *)(uintptr_t)filemap_code(map, 0));
	filemap_close(map);
}

static void conform_jit_x86_file_machine_code_runs(void **state)
{
	const char *path = t_path(*state, "file");
	if (!HAVE_CODE)
		t_skip("no machine code for this processor");
	struct filemap *map = create_ok(path, 4096);
	assert_ok(filemap_write_all(map, 0, code, sizeof code));
	make_executable(map);
	assert_int_equal(call(map), 0xAB);
	filemap_close(map);
	map = open_exec(path, NULL);
	assert_int_equal(call(map), 0xAB);
	filemap_close(map);
}

/* Writable, frozen, writable, executable, writable; what is stored at the end is TEXT. */
static void change_protection(struct filemap *map, const char *text)
{
	assert_non_null(filemap_data_mut(map));
	assert_ok(filemap_freeze(map, NULL));
	assert_null(filemap_data_mut(map));
	assert_ok(filemap_thaw(map, NULL));
	assert_non_null(filemap_data_mut(map));
	memcpy(filemap_data_mut(map), text, strlen(text));
	assert_ok(filemap_flush(map));
	assert_text_at(map, 0, text);
	make_executable(map);
	assert_text_at(map, 0, text);
	assert_ok(filemap_thaw(map, NULL));
	assert_false(filemap_is_exec(map));
	assert_non_null(filemap_data_mut(map));
}

static void conform_mprotect_file_reaches_the_file(void **state)
{
	char got[6];
	struct filemap *map = create_ok(t_path(*state, "file"), 256);
	change_protection(map, "abc123");
	assert_int_equal(pread(filemap_fd(map), got, 6, 0), 6);
	assert_memory_equal(got, "abc123", 6);
	filemap_close(map);
}

static void conform_mprotect_copy_does_not_reach_the_file(void **state)
{
	const char *path = text_file(state, "before");
	struct filemap *map = open_ok(path, FILEMAP_COW, NULL);
	change_protection(map, "abc123");
	filemap_close(map);
	assert_file(path, "before");
}

static void conform_mprotect_anon_changes_at_will(void **state)
{
	(void)state;
	struct filemap *map = anonymous_ok(256, NULL);
	change_protection(map, "abc123");
	filemap_close(map);
}

static void conform_map_exec_coverage_of_a_part_of_the_file(void **state)
{
	struct filemap *map = open_exec(text_file(state, DATA), FILEMAP_OPTIONS(.offset = 7, .length = 5));
	assert_window(map, "bytes");
	assert_true(filemap_is_exec(map));
	assert_int_equal(filemap_mode(map), FILEMAP_EXEC);
	assert_null(filemap_data_mut(map));
	assert_int_equal(filemap_thaw(map, NULL), FILEMAP_EMODE);
	filemap_close(map);
}

static void conform_advise_range_rejects_out_of_bounds(void **state)
{
	static const size_t outside[][2] = {{0, 129}, {64, 65}, {SIZE_MAX, 1}, {129, 0}};
	static const size_t inside[][2] = {{0, 128}, {128, 0}, {64, 0}, {0, 0}, {64, SIZE_MAX}};
	struct filemap *map = create_ok(t_path(*state, "file"), 128);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(filemap_advise(map, FILEMAP_ADVICE_RANDOM, outside[i][0], outside[i][1]),
				 FILEMAP_ERANGE);
	for (size_t i = 0; i < 5; i++)
		assert_ok(filemap_advise(map, FILEMAP_ADVICE_RANDOM, inside[i][0], inside[i][1]));
	filemap_close(map);
}

static void conform_advise_changes_no_byte(void **state)
{
	static const unsigned each[] = {
		FILEMAP_ADVICE_NORMAL,   FILEMAP_ADVICE_RANDOM,   FILEMAP_ADVICE_SEQUENTIAL,
		FILEMAP_ADVICE_WILLNEED, FILEMAP_ADVICE_DONTDUMP, FILEMAP_ADVICE_DODUMP,
	};
	struct filemap *map = create_ok(t_path(*state, "file"), 20000);
	memset(filemap_data_mut(map), 0x5A, 20000);
	assert_ok(filemap_advise(map, FILEMAP_ADVICE_RANDOM, 0, FILEMAP_TO_END));
	assert_ok(filemap_advise(map, FILEMAP_ADVICE_SEQUENTIAL, 5000, 7000));
	for (size_t i = 0; i < sizeof each / sizeof *each; i++)
		assert_ok(filemap_advise(map, each[i], 0, 20000));
	for (size_t i = 0; i < 20000; i++)
		assert_int_equal(((const unsigned char *)filemap_data(map))[i], 0x5A);
	filemap_close(map);
}

static void conform_mmap_mut_advise_coverage_of_memory(void **state)
{
	(void)state;
	struct filemap *map = anonymous_ok(20000, FILEMAP_OPTIONS(.advice = FILEMAP_ADVICE_SEQUENTIAL));
	memset(filemap_data_mut(map), 0x5A, 20000);
	assert_ok(filemap_advise(map, FILEMAP_ADVICE_RANDOM, 0, FILEMAP_TO_END));
	assert_ok(filemap_advise(map, FILEMAP_ADVICE_WILLNEED, 100, 200));
	for (size_t i = 0; i < 20000; i++)
		assert_int_equal(((const unsigned char *)filemap_data(map))[i], 0x5A);
	filemap_close(map);
}

static void conform_mmap_advise_range_coverage_of_a_reader(void **state)
{
	struct filemap *map = open_ok(text_file(state, DATA), FILEMAP_READ, NULL);
	assert_ok(filemap_advise(map, FILEMAP_ADVICE_WILLNEED, 3, 4));
	assert_int_equal(filemap_advise(map, 0, 0, 4), FILEMAP_EOPTION);
	assert_int_equal(filemap_advise(map, 1u << 31, 0, 4), FILEMAP_EOPTION);
	assert_int_equal(filemap_advise(map, FILEMAP_ADVICE_RANDOM | FILEMAP_ADVICE_SEQUENTIAL, 0, 4),
			 FILEMAP_EOPTION);
	assert_window(map, DATA);
	filemap_close(map);
}

/* The destructive kinds are a call of their own, and no advice. */
static void discard_pages(size_t first, size_t count)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct filemap *map = anonymous_ok(4 * page, NULL);
	const unsigned char *bytes = filemap_data(map);
	memset(filemap_data_mut(map), 0xFF, 4 * page);
	assert_ok(filemap_discard(map, FILEMAP_DISCARD_DONTNEED, first * page, count * page));
	for (size_t i = 0; i < 4 * page; i++)
		assert_int_equal(bytes[i], i / page - first < count ? 0 : 0xFF);
	filemap_close(map);
}

static void conform_advise_writes_unsafely_is_discarding(void **state)
{
	(void)state;
	discard_pages(0, 4);
}

static void conform_advise_writes_unsafely_to_part_of_map_is_discarding_a_part(void **state)
{
	(void)state;
	discard_pages(1, 1);
	discard_pages(2, 2);
	struct filemap *map = anonymous_ok(100, NULL);
	assert_int_equal(filemap_discard(map, FILEMAP_DISCARD_DONTNEED, 1, 1), FILEMAP_ERANGE);
	filemap_close(map);
}

static void conform_advise_is_supported_linux_variants(void **state)
{
	(void)state;
	assert_true(filemap_advice_supported(FILEMAP_ADVICE_NORMAL));
	assert_true(filemap_advice_supported(FILEMAP_ADVICE_RANDOM));
	assert_true(filemap_advice_supported(FILEMAP_ADVICE_SEQUENTIAL));
	assert_true(filemap_advice_supported(FILEMAP_ADVICE_WILLNEED));
	assert_true(filemap_advice_supported(FILEMAP_ADVICE_DONTDUMP | FILEMAP_ADVICE_DODUMP));
	assert_false(filemap_advice_supported(0));
	assert_false(filemap_advice_supported(1u << 31));
	assert_false(filemap_advice_supported(FILEMAP_ADVICE_NORMAL | 1u << 31));
}

static long locked_kilobytes(void)
{
	char line[256];
	long kilobytes = -1;
	FILE *status = fopen("/proc/self/status", "re");
	assert_non_null(status);
	while (fgets(line, sizeof line, status) != NULL)
		(void)sscanf(line, "VmLck: %ld", &kilobytes);
	fclose(status);
	return kilobytes;
}

/* The sanitizers make mlock(2) do nothing; a limit of 0 may forbid it. */
static void need_mlock(void)
{
	static char page[8192];
	const bool there = mlock(page, sizeof page) == 0 && locked_kilobytes() > 0;
	munlock(page, sizeof page);
	if (!there)
		t_skip("memory cannot be locked here");
	assert_int_equal(locked_kilobytes(), 0);
}

static void conform_lock_keeps_pages_and_does_not_count(void **state)
{
	need_mlock();
	struct filemap *map = create_ok(t_path(*state, "file"), 128);
	assert_ok(filemap_mlock(map, 0, FILEMAP_TO_END));
	const long once = locked_kilobytes();
	assert_true(once > 0);
	assert_ok(filemap_mlock(map, 0, FILEMAP_TO_END));
	assert_int_equal(locked_kilobytes(), once);
	assert_ok(filemap_munlock(map, 0, FILEMAP_TO_END));
	assert_int_equal(locked_kilobytes(), 0);
	assert_ok(filemap_munlock(map, 0, FILEMAP_TO_END));
	filemap_close(map);
}

static void conform_mmap_mut_lock_and_raw_conversion_of_memory(void **state)
{
	(void)state;
	need_mlock();
	struct filemap *map = anonymous_ok(128, NULL);
	const struct filemap_view *view = (const struct filemap_view *)map;
	assert_ok(filemap_mlock(map, 0, 128));
	assert_true(locked_kilobytes() > 0);
	assert_ptr_equal(view->data, filemap_data(map));
	view->data_mut[0] = 1;
	assert_ok(filemap_munlock(map, 0, 128));
	assert_int_equal(locked_kilobytes(), 0);
	filemap_close(map);
}

static void conform_mmap_raw_api_coverage(void **state)
{
	struct filemap *map = create_ok(t_path(*state, "file"), 128);
	const struct filemap_view *view = (const struct filemap_view *)map;
	assert_int_equal(view->size, 128);
	assert_ptr_equal(view->data, view->data_mut);
	view->data_mut[127] = 'z';
	assert_ok(filemap_flush(map));
	assert_ok(filemap_flush_range(map, 120, 8));
	assert_ok(flush_async(map, 120, 8));
	assert_ok(filemap_resize(map, 256, NULL));
	assert_int_equal(view->size, 256);
	assert_int_equal(view->data[127], 'z');
	filemap_close(map);
}

static bool is_in_memory_only(const char *path)
{
	struct statfs status;
	assert_ok(statfs(path, &status));
	return status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC;
}

/* After its end no page is dirty any more, unlike after MS_ASYNC. */
static void conform_mmap_mut_flush_async_coverage(void **state)
{
	struct filemap_residency pages;
	const char *path = t_path(*state, "file");
	struct filemap *map = create_ok(path, 50000);
	memset(filemap_data_mut(map), 'a', 50000);
	assert_ok(flush_async(map, 0, FILEMAP_TO_END));
	assert_ok(filemap_residency(map, 0, FILEMAP_TO_END, &pages));
	assert_ok(filemap_writeback(map, 0, FILEMAP_TO_END));
	filemap_close(map);
	if (pages.dirty == FILEMAP_UNKNOWN)
		t_skip("the kernel does not count dirty pages");
	if (is_in_memory_only(path))
		t_skip("the test directory has no device");
	assert_int_equal(pages.dirty, 0);
	assert_int_equal(pages.writeback, 0);
}

static void conform_populate_no_reserve_map_variants(void **state)
{
	static const unsigned modes[] = {FILEMAP_READ, FILEMAP_COW, FILEMAP_WRITE};
	const char *path = text_file(state, DATA);
	for (size_t i = 0; i < 3; i++) {
		const unsigned more = modes[i] == FILEMAP_COW ? FILEMAP_NORESERVE : 0;
		struct filemap *map =
			open_ok(path, modes[i], FILEMAP_OPTIONS(.flags = FILEMAP_POPULATE | more));
		assert_window(map, DATA);
		filemap_close(map);
	}
	struct filemap *map =
		anonymous_ok(128, FILEMAP_OPTIONS(.flags = FILEMAP_POPULATE | FILEMAP_NORESERVE));
	assert_zeros(map, 0, 128);
	filemap_close(map);
}

static void conform_mmap_options_builder_setters_coverage(void **state)
{
	struct filemap_options options;
	filemap_options_init(&options, sizeof options);
	options.offset = 4;
	options.length = 8;
	options.size = 64;
	options.flags = FILEMAP_CREATE_NEW | FILEMAP_POPULATE;
	struct filemap *map = open_ok(t_path(*state, "file"), FILEMAP_WRITE, &options);
	assert_int_equal(filemap_size(map), 8);
	assert_int_equal(filemap_offset(map), 4);
	assert_zeros(map, 0, 8);
	filemap_close(map);
	filemap_close(anonymous_ok(64, FILEMAP_OPTIONS(.flags = FILEMAP_STACK | FILEMAP_NORESERVE)));
}

/* The pool of huge pages is empty on most machines; then the error says what to do. */
static void conform_map_anon_huge_flag_coverage(void **state)
{
	static const unsigned flags[] = {FILEMAP_HUGE_2M, FILEMAP_HUGE_1G};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct filemap_error error = {0};
		struct filemap *map = NULL;
		const int r = filemap_anonymous(100, FILEMAP_OPTIONS(.flags = flags[i]), &map, &error);
		if (r == 0) {
			assert_int_equal(filemap_size(map), 100);
			assert_zeros(map, 0, 100);
			filemap_close(map);
			continue;
		}
		assert_int_equal(r, -ENOMEM);
		assert_non_null(error.hint);
	}
}

T_MAIN(T_TEST(conform_jit_x86_anon_machine_code_runs), T_TEST(conform_jit_x86_file_machine_code_runs),
       T_TEST(conform_mprotect_file_reaches_the_file), T_TEST(conform_mprotect_copy_does_not_reach_the_file),
       T_TEST(conform_mprotect_anon_changes_at_will), T_TEST(conform_map_exec_coverage_of_a_part_of_the_file),
       T_TEST(conform_advise_range_rejects_out_of_bounds), T_TEST(conform_advise_changes_no_byte),
       T_TEST(conform_mmap_mut_advise_coverage_of_memory),
       T_TEST(conform_mmap_advise_range_coverage_of_a_reader),
       T_TEST(conform_advise_writes_unsafely_is_discarding),
       T_TEST(conform_advise_writes_unsafely_to_part_of_map_is_discarding_a_part),
       T_TEST(conform_advise_is_supported_linux_variants),
       T_TEST(conform_lock_keeps_pages_and_does_not_count),
       T_TEST(conform_mmap_mut_lock_and_raw_conversion_of_memory), T_TEST(conform_mmap_raw_api_coverage),
       T_TEST(conform_mmap_mut_flush_async_coverage), T_TEST(conform_populate_no_reserve_map_variants),
       T_TEST(conform_mmap_options_builder_setters_coverage), T_TEST(conform_map_anon_huge_flag_coverage))
