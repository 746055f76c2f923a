/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Sealed snapshots of mappings, what every other call says of a snapshot, and why a COW mapping is none. */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "copy.h"
#include "smaps.h"

#define PAGE 4096
#define SIZE (10 * PAGE + 100)

static unsigned char content[SIZE];
static struct filemap_error error;

static const char *make_source(const struct t_dir *dir)
{
	const char *path = t_path(dir, "source");
	fill_bytes(content, SIZE);
	t_write_file(path, content, SIZE);
	return path;
}

static struct filemap *open_source(const struct t_dir *dir, unsigned mode)
{
	struct filemap *map = NULL;
	assert_ok(filemap_open(make_source(dir), mode, NULL, &map, &error));
	return map;
}

static struct filemap *take(const struct filemap *map)
{
	struct filemap *copy = NULL;
	assert_ok(filemap_snapshot_map(map, 0, FILEMAP_TO_END, &copy, &error));
	assert_true(filemap_is_immutable(copy));
	return copy;
}

static void store_elsewhere(const char *path, size_t at, const char *text)
{
	const int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, text, strlen(text), (off_t)at), strlen(text));
	close(fd);
}

static void private_pages_are_in_the_snapshot(void **state)
{
	struct filemap *map = open_source(*state, FILEMAP_COW), *copy;
	memset(filemap_data_mut(map), 'p', 5000);
	copy = take(map);
	memset(filemap_data_mut(map), 'q', 5000);
	memset(content, 'p', 5000);
	assert_int_equal(filemap_size(copy), SIZE);
	assert_memory_equal(filemap_data(copy), content, SIZE);
	assert_string_equal(filemap_path(copy), filemap_path(map));
	filemap_close(map);
	assert_memory_equal(filemap_data(copy), content, SIZE);
	filemap_close(copy);
}

static void every_mode_can_be_taken_and_lives_alone(void **state)
{
	static const unsigned modes[] = {FILEMAP_READ, FILEMAP_EXEC, FILEMAP_COW, FILEMAP_WRITE};
	for (size_t i = 0; i < 4; i++) {
		struct filemap *map = open_source(*state, modes[i]), *copy = take(map);
		const char *path = t_path(*state, "source");
		filemap_close(map);
		store_elsewhere(path, 10, "changed");
		assert_ok(truncate(path, 0));
		assert_int_equal(filemap_mode(copy), FILEMAP_READ);
		assert_memory_equal(filemap_data(copy), content, SIZE);
		filemap_close(copy);
	}
}

static void memory_can_be_taken(void **state)
{
	struct filemap *map, *copy;
	unsigned char bytes[100];
	make_source(*state);
	for (uint32_t shared = 0; shared < 2; shared++) {
		assert_ok(filemap_anonymous(
			SIZE, FILEMAP_OPTIONS(.flags = shared ? FILEMAP_SHARED : 0, .label = "memory"), &map,
			NULL));
		memcpy(filemap_data_mut(map), content, SIZE);
		copy = take(map);
		assert_false(filemap_is_immutable(map));
		filemap_close(map);
		assert_memory_equal(filemap_data(copy), content, SIZE);
		assert_string_equal(filemap_path(copy), "memory");
		filemap_close(copy);
	}
	memcpy(bytes, content, sizeof bytes);
	assert_ok(filemap_wrap_bytes("wrapped", bytes, sizeof bytes, &map, NULL));
	copy = take(map);
	filemap_close(map);
	memset(bytes, 0, sizeof bytes);
	assert_int_equal(filemap_size(copy), sizeof bytes);
	assert_memory_equal(filemap_data(copy), content, sizeof bytes);
	filemap_close(copy);
}

static void what_was_kept_from_dumps_and_children_is_so_in_the_snapshot(void **state)
{
	static const uint32_t flags[] = {0, FILEMAP_DONTDUMP, FILEMAP_DONTFORK};
	const char *path = make_source(*state);
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		struct filemap *map, *copy;
		assert_ok(filemap_open(path, FILEMAP_READ, FILEMAP_OPTIONS(.flags = flags[i]), &map, NULL));
		copy = take(map);
		assert_int_equal(smaps_has_flag(filemap_data(copy), "dd"), flags[i] == FILEMAP_DONTDUMP);
		assert_int_equal(smaps_has_flag(filemap_data(copy), "dc"), flags[i] == FILEMAP_DONTFORK);
		filemap_close(copy);
		filemap_close(map);
	}
}

static void part_of_a_window_begins_at_its_offset(void **state)
{
	struct filemap *map, *copy;
	make_source(*state);
	assert_ok(filemap_open(t_path(*state, "source"), FILEMAP_READ, FILEMAP_OPTIONS(.offset = 5000), &map,
			       NULL));
	assert_ok(filemap_snapshot_map(map, 100, 4097, &copy, NULL));
	assert_int_equal(filemap_size(copy), 4097);
	assert_int_equal(filemap_offset(copy), 0);
	assert_memory_equal(filemap_data(copy), content + 5100, 4097);
	filemap_close(copy);
	assert_ok(filemap_snapshot_map(map, SIZE - 5000, 0, &copy, NULL));
	assert_int_equal(filemap_size(copy), 0);
	assert_true(filemap_is_immutable(copy));
	filemap_close(copy);
	assert_int_equal(filemap_snapshot_map(map, 0, SIZE - 4999, &copy, &error), FILEMAP_ERANGE);
	assert_int_equal(filemap_snapshot_map(map, SIZE, 0, &copy, &error), FILEMAP_ERANGE);
	assert_int_equal(filemap_snapshot_map(map, 0, 1, NULL, &error), FILEMAP_EOPTION);
	filemap_close(map);
}

/* No handler, no signal; the rest of the last page is no content. */
/* A gigabyte of nothing around two pages: what was only stored is content, too. */
static void holes_of_a_file_cost_nothing(void **state)
{
	const size_t size = (size_t)1 << 30, middle = size / 2 + 5;
	struct filemap *map, *copy;
	struct filemap_stat stat;

	assert_ok(filemap_open(t_path(*state, "sparse"), FILEMAP_WRITE,
			       FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | FILEMAP_SPARSE, .size = size), &map,
			       NULL));
	assert_ok(filemap_write_all(map, middle, "middle", 6));
	assert_ok(filemap_write_all(map, size - 3, "end", 3));
	assert_ok(filemap_snapshot_map(map, 5, FILEMAP_TO_END, &copy, NULL));
	assert_ok(filemap_stat(copy, &stat));
	assert_int_equal(stat.size, size - 5);
	assert_in_range(stat.blocks, 2, 4096);
	assert_memory_equal((const char *)filemap_data(copy) + middle - 5, "middle", 6);
	assert_memory_equal((const char *)filemap_data(copy) + size - 8, "end", 3);
	assert_int_equal(((const char *)filemap_data(copy))[middle - 6], 0);
	filemap_close(copy);
	filemap_close(map);
}

/* A private page lies where the file has a hole: the file knows nothing of it. */
static void private_pages_in_holes_are_in_the_snapshot(void **state)
{
	const char *path = t_path(*state, "sparse");
	struct filemap *map, *copy;

	assert_ok(filemap_open(path, FILEMAP_WRITE,
			       FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | FILEMAP_SPARSE, .size = 64 * PAGE),
			       &map, NULL));
	filemap_close(map);
	assert_ok(filemap_open(path, FILEMAP_COW, NULL, &map, NULL));
	assert_ok(filemap_write_all(map, 40 * PAGE + 7, "private", 7));
	assert_ok(filemap_snapshot_map(map, PAGE, FILEMAP_TO_END, &copy, NULL));
	assert_memory_equal((const char *)filemap_data(copy) + 39 * PAGE + 7, "private", 7);
	filemap_close(copy);
	filemap_close(map);
}

static void file_that_was_cut_is_erange(void **state)
{
	static const unsigned modes[] = {FILEMAP_READ, FILEMAP_COW, FILEMAP_WRITE};
	static const off_t cuts[] = {0, 3 * PAGE, 3 * PAGE + 5, SIZE - 1};
	for (size_t i = 0; i < 3; i++) {
		for (size_t k = 0; k < 4; k++) {
			struct filemap *map = open_source(*state, modes[i]), *copy = NULL;
			assert_ok(truncate(t_path(*state, "source"), cuts[k]));
			assert_int_equal(filemap_snapshot_map(map, 0, SIZE, &copy, &error), FILEMAP_ERANGE);
			assert_non_null(error.hint);
			assert_null(copy);
			if (k > 0) {
				assert_ok(filemap_snapshot_map(map, 0, 3 * PAGE, &copy, NULL));
				assert_memory_equal(filemap_data(copy), content, 3 * PAGE);
				filemap_close(copy);
			}
			filemap_close(map);
		}
	}
}

static void page_that_cannot_be_read_is_efault_and_told(void **state)
{
	unsigned char *pages =
		mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct filemap *map, *copy = NULL;
	(void)state;
	assert_ok(mprotect(pages + 2 * PAGE, PAGE, PROT_NONE));
	assert_ok(filemap_wrap_bytes("wrapped", pages, 4 * PAGE, &map, NULL));
	assert_int_equal(filemap_snapshot_map(map, 100, FILEMAP_TO_END, &copy, &error), FILEMAP_EFAULT);
	assert_int_equal(error.offset, 2 * PAGE);
	assert_int_equal(error.length, 2 * PAGE);
	assert_int_equal(error.sys_errno, EFAULT);
	assert_null(copy);
	assert_ok(filemap_snapshot_map(map, 3 * PAGE, PAGE, &copy, &error));
	filemap_close(copy);
	filemap_close(map);
	munmap(pages, 4 * PAGE);
}

static int take_in_child(void *context)
{
	struct filemap *copy;
	return filemap_snapshot_map(context, 0, 10, &copy, NULL) == FILEMAP_EFORKED ? 0 : 1;
}

static void what_a_child_does_not_have_is_eforked(void **state)
{
	struct filemap *map;
	(void)state;
	assert_ok(filemap_anonymous(PAGE, FILEMAP_OPTIONS(.flags = FILEMAP_DONTFORK), &map, NULL));
	assert_int_equal(t_in_child(take_in_child, map), 0);
	filemap_close(map);
}

static int take_beyond_the_limit(void *context)
{
	const struct rlimit limit = {8192, 8192};
	struct filemap *map = context, *copy;
	if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
		return 77;
	if (filemap_snapshot_map(map, 0, SIZE, &copy, &error) != -EFBIG || error.hint == NULL)
		return 1;
	if (filemap_snapshot(filemap_path(map), SIZE, NULL, &copy, &error) != -EFBIG || error.hint == NULL)
		return 2;
	return filemap_snapshot_map(map, 0, 8192, &copy, NULL) == 0 ? 0 : 3;
}

static void limit_of_file_sizes_is_efbig_and_no_signal(void **state)
{
	struct filemap *map = open_source(*state, FILEMAP_READ);
	const int r = t_in_child(take_beyond_the_limit, map);
	filemap_close(map);
	if (r == 77)
		t_skip("the limit cannot be set here");
	assert_int_equal(r, 0);
}

static void what_needs_another_mode_is_refused(struct filemap *copy)
{
	struct filemap *window = NULL;
	assert_int_equal(filemap_resize(copy, 1, NULL), FILEMAP_EMODE);
	assert_int_equal(filemap_write_all(copy, 0, "x", 1), FILEMAP_EMODE);
	assert_int_equal(filemap_allocate(copy, 0, 1, NULL), FILEMAP_EMODE);
	assert_int_equal(filemap_thaw(copy, NULL), FILEMAP_EMODE);
	assert_int_equal(filemap_discard(copy, FILEMAP_DISCARD_DONTNEED, 0, PAGE), FILEMAP_EMODE);
	assert_int_equal(filemap_discard(copy, FILEMAP_DISCARD_REMOVE, 0, PAGE), FILEMAP_EMODE);
	assert_int_equal(filemap_prefault(copy, FILEMAP_PREFAULT_WRITE, 0, PAGE), FILEMAP_EMODE);
	assert_int_equal(filemap_window(copy, FILEMAP_WRITE, 0, PAGE, &window, NULL), FILEMAP_EMODE);
	assert_int_equal(filemap_lock(copy, FILEMAP_SHARED_LOCK, 0, NULL), FILEMAP_EMODE);
	assert_int_equal(filemap_unlock(copy), FILEMAP_EMODE);
	assert_int_equal(filemap_remove(copy, NULL), FILEMAP_EMODE);
	assert_int_equal(filemap_set_remove_on_close(copy, 1), FILEMAP_EMODE);
	assert_null(window);
	assert_null(filemap_data_mut(copy));
}

static void what_only_looks_works(struct filemap *copy)
{
	struct filemap_stat file;
	struct filemap_identity identity;
	struct filemap_residency residency;
	uint64_t size;
	assert_ok(filemap_flush(copy));
	assert_ok(filemap_sync(copy));
	assert_ok(filemap_freeze(copy, NULL));
	assert_ok(filemap_stat(copy, &file));
	assert_int_equal(file.size, SIZE);
	assert_ok(filemap_identity(copy, &identity));
	assert_ok(filemap_residency(copy, 0, FILEMAP_TO_END, &residency));
	assert_int_equal(residency.resident, residency.pages);
	assert_ok(filemap_refresh(copy, &size, NULL));
	assert_int_equal(size, SIZE);
	assert_ok(filemap_advise(copy, FILEMAP_ADVICE_WILLNEED, 0, FILEMAP_TO_END));
	assert_ok(filemap_prefault(copy, FILEMAP_PREFAULT_READ, 0, FILEMAP_TO_END));
	assert_int_equal(filemap_lock_state(copy), FILEMAP_UNLOCKED);
	assert_ok(filemap_pin(copy));
	filemap_unpin(copy);
}

static void every_call_on_a_snapshot_answers(void **state)
{
	struct filemap *map = open_source(*state, FILEMAP_READ), *copies[2];
	copies[0] = take(map);
	filemap_close(map);
	assert_ok(filemap_snapshot(t_path(*state, "source"), SIZE, NULL, &copies[1], NULL));
	for (size_t i = 0; i < 2; i++) {
		what_needs_another_mode_is_refused(copies[i]);
		what_only_looks_works(copies[i]);
		assert_int_equal(filemap_state(copies[i]), FILEMAP_STATE_LIVE);
		assert_memory_equal(filemap_data(copies[i]), content, SIZE);
	}
	assert_ok(filemap_copy_to(copies[0], 0, FILEMAP_TO_END, t_path(*state, "copied"), NULL));
	assert_true(file_is(t_path(*state, "copied"), content, SIZE));
	assert_ok(filemap_snapshot_map(copies[0], 1, 10, &map, NULL));
	filemap_close(copies[0]);
	filemap_close(copies[1]);
	assert_memory_equal(filemap_data(map), content + 1, 10);
	filemap_close(map);
}

static void windows_of_a_snapshot_outlive_it(void **state)
{
	struct filemap *map = open_source(*state, FILEMAP_READ), *copy = take(map), *read, *cow, *exec = NULL;
	int r;
	filemap_close(map);
	assert_ok(filemap_window(copy, FILEMAP_READ, PAGE, PAGE, &read, NULL));
	assert_ok(filemap_window(copy, FILEMAP_COW, 0, PAGE, &cow, NULL));
	r = filemap_window(copy, FILEMAP_EXEC, 0, PAGE, &exec, NULL);
	assert_true(r == 0 || r == -EACCES || r == -EPERM);
	filemap_close(copy);
	assert_true(filemap_is_immutable(read));
	assert_false(filemap_is_immutable(cow));
	memset(filemap_data_mut(cow), 0, PAGE);
	assert_memory_equal(filemap_data(read), content + PAGE, PAGE);
	if (r == 0) {
		assert_true(filemap_is_immutable(exec));
		assert_memory_equal(filemap_data(exec), content, PAGE);
		filemap_close(exec);
	}
	filemap_close(cow);
	filemap_close(read);
}

/* The difference, page by page: what was not stored to shows what others write later. */
static void changes_of_others_show_through_cow(void **state)
{
	struct filemap *cow = open_source(*state, FILEMAP_COW), *copy = take(cow);
	unsigned char *bytes = filemap_data_mut(cow);
	bytes[0] = 'p'; /* makes the first page private */
	store_elsewhere(t_path(*state, "source"), 5, "first");
	store_elsewhere(t_path(*state, "source"), PAGE + 5, "second");
	assert_memory_equal(bytes + 5, content + 5, 5);
	assert_memory_equal(bytes + PAGE + 5, "second", 6);
	assert_false(filemap_is_immutable(cow));
	assert_memory_equal(filemap_data(copy), content, SIZE);
	filemap_close(copy);
	filemap_close(cow);
}

static void cut_discards_private_pages_of_cow(void **state)
{
	struct filemap *cow = open_source(*state, FILEMAP_COW), *copy;
	unsigned char *bytes = filemap_data_mut(cow);
	memset(bytes, 'p', SIZE);
	copy = take(cow);
	assert_ok(truncate(t_path(*state, "source"), 0));
	assert_ok(truncate(t_path(*state, "source"), SIZE));
	for (size_t i = 0; i < SIZE; i++)
		assert_int_equal(bytes[i], 0); /* what was stored is lost */
	for (size_t i = 0; i < SIZE; i++)
		assert_int_equal(((const unsigned char *)filemap_data(copy))[i], 'p');
	filemap_close(copy);
	filemap_close(cow);
}

static int touch_behind_the_cut(void *context)
{
	volatile const unsigned char *bytes = filemap_data(context);
	signal(SIGBUS, SIG_DFL);
	return bytes[PAGE] == 'p';
}

static void touching_cut_pages_of_cow_is_a_signal_and_of_a_snapshot_is_not(void **state)
{
	struct filemap *cow = open_source(*state, FILEMAP_COW), *copy;
	int of_cow, of_copy;
	memset(filemap_data_mut(cow), 'p', SIZE);
	copy = take(cow);
	assert_ok(truncate(t_path(*state, "source"), 10));
	of_cow = t_in_child(touch_behind_the_cut, cow);
	of_copy = t_in_child(touch_behind_the_cut, copy);
	filemap_close(copy);
	filemap_close(cow);
	assert_int_equal(of_copy, 1);
	assert_true(of_cow != 1); /* -SIGBUS, or what a sanitizer makes of it */
}

T_MAIN(T_TEST(private_pages_are_in_the_snapshot), T_TEST(every_mode_can_be_taken_and_lives_alone),
       T_TEST(memory_can_be_taken), T_TEST(what_was_kept_from_dumps_and_children_is_so_in_the_snapshot),
       T_TEST(holes_of_a_file_cost_nothing), T_TEST(private_pages_in_holes_are_in_the_snapshot),
       T_TEST(part_of_a_window_begins_at_its_offset), T_TEST(file_that_was_cut_is_erange),
       T_TEST(page_that_cannot_be_read_is_efault_and_told), T_TEST(what_a_child_does_not_have_is_eforked),
       T_TEST(limit_of_file_sizes_is_efbig_and_no_signal), T_TEST(every_call_on_a_snapshot_answers),
       T_TEST(windows_of_a_snapshot_outlive_it), T_TEST(changes_of_others_show_through_cow),
       T_TEST(cut_discards_private_pages_of_cow),
       T_TEST(touching_cut_pages_of_cow_is_a_signal_and_of_a_snapshot_is_not))
