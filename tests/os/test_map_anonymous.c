/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Memory that behaves like a file: private, shared, copied, borrowed. */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "sys/sys.h"

#define PAGE ((size_t)sysconf(_SC_PAGESIZE))

static bool all_zero(const struct filemap *map)
{
	const unsigned char *bytes = filemap_data(map);
	for (size_t i = 0; i < filemap_size(map); i++)
		if (bytes[i])
			return false;
	return true;
}

static void private_memory_is_a_writable_file_of_zeros(void **state)
{
	struct filemap_stat status;
	struct filemap *map;
	(void)state;
	assert_ok(filemap_anonymous(5000, NULL, &map, NULL));
	assert_int_equal(filemap_mode(map), FILEMAP_WRITE);
	assert_int_equal(filemap_size(map), 5000);
	assert_true(all_zero(map));
	assert_ok(filemap_write_all(map, 4990, "0123456789", 10));
	assert_int_equal(filemap_write_all(map, 4991, "0123456789", 10), FILEMAP_ERANGE);
	assert_ok(filemap_flush(map));
	assert_ok(filemap_sync(map));
	assert_int_equal(filemap_flush_range(map, 5001, 0), FILEMAP_ERANGE);
	assert_int_equal(filemap_fd(map), -1);
	assert_string_equal(filemap_path(map), "");
	assert_int_equal(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL), 0);
	assert_int_equal(filemap_lock(map, FILEMAP_SHARED_LOCK, 0, NULL), 0);
	assert_int_equal(filemap_unlock(map), 0);
	assert_int_equal(filemap_lock_state(map), FILEMAP_UNLOCKED);
	assert_ok(filemap_stat(map, &status));
	assert_int_equal(status.size, 5000);
	assert_int_equal(status.inode, 0);
	assert_int_equal(status.mode, 0);
	assert_true(status.modified.seconds > 0);
	assert_int_equal(status.created.seconds, status.accessed.seconds);
	assert_false(filemap_is_immutable(map));
	filemap_close(map);
}

static void private_memory_grows_and_shrinks_with_zeros(void **state)
{
	const uint64_t reserves[] = {0, 1 << 20};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct filemap *map;
		assert_ok(filemap_anonymous(10, FILEMAP_OPTIONS(.reserve = reserves[i]), &map, NULL));
		memset(filemap_data_mut(map), 0xFF, 10);
		assert_ok(filemap_resize(map, 3 * PAGE + 7, NULL));
		assert_int_equal(((const unsigned char *)filemap_data(map))[9], 0xFF);
		assert_int_equal(((const unsigned char *)filemap_data(map))[10], 0);
		memset(filemap_data_mut(map), 0xFF, filemap_size(map));
		assert_ok(filemap_resize(map, 5, NULL));
		assert_ok(filemap_resize(map, 3 * PAGE, NULL));
		assert_ok(filemap_zero(map, 0, 5));
		assert_true(all_zero(map));
		assert_ok(filemap_resize(map, 0, NULL));
		assert_non_null(filemap_data(map));
		filemap_close(map);
	}
}

static void reserved_memory_does_not_move_and_ends(void **state)
{
	struct filemap *map;
	const void *data;
	(void)state;
	assert_ok(filemap_anonymous(1, FILEMAP_OPTIONS(.reserve = 1 << 20), &map, NULL));
	data = filemap_data(map);
	assert_ok(filemap_resize(map, 1 << 20, NULL));
	assert_ptr_equal(filemap_data(map), data);
	assert_int_equal(filemap_resize(map, (1 << 20) + PAGE, NULL), FILEMAP_ERANGE);
	filemap_close(map);
}

static void memory_of_no_bytes_is_valid(void **state)
{
	struct filemap *map;
	(void)state;
	assert_ok(filemap_anonymous(0, NULL, &map, NULL));
	assert_int_equal(filemap_size(map), 0);
	assert_non_null(filemap_data(map));
	assert_ok(filemap_resize(map, 12, NULL));
	assert_ok(filemap_write_all(map, 0, "hello, world", 12));
	filemap_close(map);
	assert_int_equal(filemap_anonymous((size_t)PTRDIFF_MAX + 1, NULL, &map, NULL), FILEMAP_ERANGE);
	assert_int_equal(filemap_anonymous((size_t)PTRDIFF_MAX, NULL, &map, NULL), FILEMAP_ERANGE);
}

static bool maps_mention(const char *text)
{
	char line[512];
	bool found = false;
	FILE *maps = fopen("/proc/self/maps", "re");
	while (fgets(line, sizeof line, maps))
		found = found || strstr(line, text);
	fclose(maps);
	return found;
}

static void memory_carries_its_label(void **state)
{
	struct filemap *map;
	char long_label[600];
	(void)state;
	memset(long_label, 'x', sizeof long_label - 1);
	long_label[sizeof long_label - 1] = '\0';
	assert_ok(filemap_anonymous(9, FILEMAP_OPTIONS(.label = "my cache", .flags = FILEMAP_SHARED), &map,
				    NULL));
	assert_string_equal(filemap_path(map), "my cache");
	assert_true(maps_mention("memfd:my cache"));
	filemap_close(map);
	assert_ok(filemap_anonymous(9, FILEMAP_OPTIONS(.label = long_label, .flags = FILEMAP_SHARED), &map,
				    NULL));
	assert_string_equal(filemap_path(map), long_label);
	filemap_close(map);
	assert_ok(filemap_anonymous(9, FILEMAP_OPTIONS(.label = "private cache"), &map, NULL));
	assert_string_equal(filemap_path(map), "private cache");
	if (!maps_mention("[anon:private cache]"))
		print_message("this kernel does not name private memory\n");
	filemap_close(map);
}

static int store_in_child(void *map)
{
	return filemap_write_all(map, 0, "child", 5) == 0 ? 0 : 1;
}

static void shared_memory_is_seen_by_children_and_private_is_not(void **state)
{
	struct filemap *shared, *own;
	(void)state;
	assert_ok(filemap_anonymous(8, FILEMAP_OPTIONS(.flags = FILEMAP_SHARED), &shared, NULL));
	assert_ok(filemap_anonymous(8, NULL, &own, NULL));
	assert_true(filemap_fd(shared) >= 3);
	assert_int_equal(t_in_child(store_in_child, shared), 0);
	assert_int_equal(t_in_child(store_in_child, own), 0);
	assert_memory_equal(filemap_data(shared), "child", 5);
	assert_true(all_zero(own));
	filemap_close(own);
	filemap_close(shared);
}

static void shared_memory_can_be_windowed_resized_and_opened_by_descriptor(void **state)
{
	struct filemap *memory, *window, *again;
	(void)state;
	assert_ok(filemap_anonymous(2 * PAGE, FILEMAP_OPTIONS(.flags = FILEMAP_SHARED), &memory, NULL));
	assert_ok(filemap_window(memory, FILEMAP_READ, PAGE, 0, &window, NULL));
	assert_ok(filemap_write_all(memory, PAGE, "there", 5));
	assert_memory_equal(filemap_data(window), "there", 5);
	assert_int_equal(filemap_resize(memory, PAGE, NULL), FILEMAP_EBUSY);
	assert_ok(filemap_resize(memory, 4 * PAGE, NULL));
	assert_ok(filemap_refresh(window, NULL, NULL));
	assert_int_equal(filemap_size(window), 3 * PAGE);
	filemap_close(window);
	assert_ok(filemap_open_fd(filemap_fd(memory), FILEMAP_WRITE, NULL, &again, NULL));
	assert_memory_equal((const char *)filemap_data(again) + PAGE, "there", 5);
	filemap_close(again);
	filemap_close(memory);
}

static int free_huge_pages(void)
{
	int pages = 0;
	FILE *file = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
	if (file && fscanf(file, "%d", &pages) != 1)
		pages = 0;
	if (file)
		fclose(file);
	return pages;
}

static void huge_pages_are_whole_or_refused(void **state)
{
	struct filemap_error error;
	struct filemap *map;
	(void)state;
	if (free_huge_pages() == 0) {
		assert_int_equal(
			filemap_anonymous(100, FILEMAP_OPTIONS(.flags = FILEMAP_HUGE_2M), &map, &error),
			-ENOMEM);
		assert_non_null(error.hint);
		return;
	}
	assert_ok(filemap_anonymous(100, FILEMAP_OPTIONS(.flags = FILEMAP_HUGE_2M), &map, &error));
	assert_int_equal(filemap_size(map), 100);
	assert_int_equal((uintptr_t)filemap_data(map) % (2 << 20), 0);
	filemap_close(map);
}

static void stack_and_unreserved_memory_can_be_used(void **state)
{
	struct filemap *map;
	(void)state;
	assert_ok(filemap_anonymous(
		8 * PAGE, FILEMAP_OPTIONS(.flags = FILEMAP_STACK | FILEMAP_NORESERVE | FILEMAP_POPULATE),
		&map, NULL));
	memset(filemap_data_mut(map), 1, 8 * PAGE);
	filemap_close(map);
}

static void copied_bytes_behave_like_a_file_of_their_mode(void **state)
{
	const unsigned modes[] = {FILEMAP_READ, FILEMAP_EXEC, FILEMAP_COW, FILEMAP_WRITE};
	char bytes[] = "some bytes";
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		bool writable = modes[i] == FILEMAP_COW || modes[i] == FILEMAP_WRITE;
		struct filemap *map;
		assert_ok(filemap_from_bytes("label", modes[i], bytes, 10, &map, NULL));
		assert_string_equal(filemap_path(map), "label");
		assert_int_equal(filemap_mode(map), modes[i]);
		assert_memory_equal(filemap_data(map), bytes, 10);
		assert_ptr_not_equal(filemap_data(map), bytes);
		assert_int_equal(filemap_write_all(map, 0, "SOME", 4), writable ? 0 : FILEMAP_EMODE);
		assert_int_equal(filemap_resize(map, 20, NULL),
				 modes[i] == FILEMAP_WRITE ? 0 : FILEMAP_EMODE);
		assert_int_equal(filemap_is_exec(map), modes[i] == FILEMAP_EXEC);
		assert_int_equal(filemap_is_immutable(map), !writable);
		filemap_close(map);
	}
	assert_string_equal(bytes, "some bytes");
}

static int store_to(void *address)
{
	*(volatile char *)address = 'x';
	return 0;
}

static void copied_bytes_that_are_read_only_are_protected(void **state)
{
	struct filemap *map;
	(void)state;
	assert_ok(filemap_from_bytes(NULL, FILEMAP_READ, "x", 1, &map, NULL));
	assert_true(t_in_child(store_to, (void *)(uintptr_t)filemap_data(map)) != 0);
	filemap_close(map);
}

static void no_bytes_are_fine_and_missing_ones_are_not(void **state)
{
	struct filemap_error error;
	struct filemap *map;
	(void)state;
	assert_ok(filemap_from_bytes("", FILEMAP_READ, NULL, 0, &map, NULL));
	assert_int_equal(filemap_size(map), 0);
	filemap_close(map);
	assert_ok(filemap_wrap_bytes("", NULL, 0, &map, NULL));
	assert_non_null(filemap_data(map));
	filemap_close(map);
	assert_int_equal(filemap_from_bytes("", FILEMAP_READ, NULL, 1, &map, &error), FILEMAP_EOPTION);
	assert_string_equal(error.subject, "bytes");
	assert_int_equal(filemap_from_bytes("", 0, "x", 1, &map, &error), FILEMAP_EOPTION);
	assert_string_equal(error.subject, "mode");
	assert_int_equal(filemap_wrap_bytes("", NULL, 1, &map, &error), FILEMAP_EOPTION);
	assert_int_equal(filemap_wrap_bytes("", "", (size_t)PTRDIFF_MAX + 1, &map, &error), FILEMAP_ERANGE);
}

static void borrowed_bytes_are_shown_as_they_are(void **state)
{
	char bytes[] = "borrowed";
	struct filemap *map, *window;
	struct filemap_stat status;
	const void *slice;
	(void)state;
	assert_ok(filemap_wrap_bytes("mine", bytes + 1, 7, &map, NULL));
	assert_ok(filemap_stat(map, &status));
	assert_int_equal(status.size, 7);
	assert_true(status.modified.seconds > 0);
	assert_ptr_equal(filemap_data(map), bytes + 1);
	bytes[1] = 'O';
	assert_ok(filemap_slice(map, 0, 7, &slice));
	assert_memory_equal(slice, "Orrowed", 7);
	assert_null(filemap_data_mut(map));
	assert_int_equal(filemap_write_all(map, 0, "x", 1), FILEMAP_EMODE);
	assert_int_equal(filemap_resize(map, 1, NULL), FILEMAP_EMODE);
	assert_int_equal(filemap_window(map, FILEMAP_READ, 0, 0, &window, NULL), FILEMAP_EMODE);
	assert_int_equal(filemap_freeze_exec(map, NULL), FILEMAP_EMODE);
	assert_int_equal(filemap_advise(map, FILEMAP_ADVICE_RANDOM, 0, 7), FILEMAP_EMODE);
	assert_int_equal(filemap_mlock(map, 0, 7), FILEMAP_EMODE);
	assert_ok(filemap_flush(map));
	assert_false(filemap_is_immutable(map));
	filemap_close(map);
	assert_string_equal(bytes, "bOrrowed");
}

/* A page that the pool does not have is an error now, not a signal at the first store. */
static void huge_pages_of_a_reserve_are_asked_of_the_pool_too(void **state)
{
	const uint64_t reserve = UINT64_C(1) << 40; /* no pool is that large */
	struct filemap_error error;
	struct filemap *map;
	(void)state;
	assert_int_equal(filemap_anonymous(100, FILEMAP_OPTIONS(.flags = FILEMAP_HUGE_2M, .reserve = reserve),
					   &map, &error),
			 -ENOMEM);
	assert_non_null(strstr(error.hint, "nr_hugepages"));
}

static void memory_that_is_frozen_is_not_closed_by_a_cut(void **state)
{
	struct filemap_error error;
	struct filemap *map;
	(void)state;
	assert_ok(filemap_anonymous(100, NULL, &map, NULL));
	assert_ok(filemap_freeze(map, NULL));
	assert_int_equal(filemap_close_truncated(map, 0, &error), FILEMAP_EMODE);
	assert_string_equal(error.subject, "mode");
	filemap_close(map);
}

/* Growth clears what was there; what was not there stays away until it is touched. */
static void growth_of_memory_brings_no_pages_in(void **state)
{
	const uint32_t flags[] = {0, FILEMAP_SHARED};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct filemap_residency count;
		struct filemap *map;
		assert_ok(filemap_anonymous(100, FILEMAP_OPTIONS(.flags = flags[i]), &map, NULL));
		assert_ok(filemap_resize(map, 100 * PAGE, NULL));
		assert_ok(filemap_residency(map, 0, FILEMAP_TO_END, &count));
		assert_true(count.resident <= 2);
		filemap_close(map);
	}
}

static void memory_file_is_as_long_as_the_window(void **state)
{
	struct filemap_stat status;
	struct filemap *map;
	uint64_t size;
	(void)state;
	assert_ok(filemap_anonymous(777, FILEMAP_OPTIONS(.flags = FILEMAP_SHARED), &map, NULL));
	assert_ok(filemap_stat(map, &status));
	assert_int_equal(status.size, 777);
	assert_ok(filemap_refresh(map, &size, NULL));
	assert_int_equal(size, 777);
	filemap_close(map);
}

static void copied_bytes_that_only_read_show_no_way_to_store(void **state)
{
	const unsigned modes[] = {FILEMAP_READ, FILEMAP_EXEC};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct filemap *map;
		assert_ok(filemap_from_bytes(NULL, modes[i], "hello", 5, &map, NULL));
		assert_null(((const struct filemap_view *)map)->data_mut);
		assert_int_equal(((const struct filemap_view *)map)->size_mut, 0);
		filemap_close(map);
	}
}

static void pinned_memory_that_must_move_is_the_pins_fault(void **state)
{
	struct filemap_error error;
	struct filemap *map;
	void *behind;
	(void)state;
	assert_ok(filemap_anonymous(PAGE, NULL, &map, NULL));
	behind = (char *)(uintptr_t)filemap_data(map) + PAGE;
	behind = mmap(behind, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	assert_ok(filemap_pin(map));
	assert_int_equal(filemap_resize(map, 2 * PAGE, &error), FILEMAP_EBUSY);
	assert_string_equal(error.subject, "pin");
	assert_int_equal(filemap_size(map), PAGE);
	filemap_unpin(map);
	if (behind != MAP_FAILED)
		munmap(behind, PAGE);
	filemap_close(map);
}

static void moment_of_making_is_told_in_nanoseconds(void **state)
{
	struct filemap_stat status = {0};
	(void)state;
	for (int i = 0; i < 100 && status.created.nanoseconds < 1000000; i++) {
		struct filemap *map;
		assert_ok(filemap_anonymous(100, NULL, &map, NULL));
		assert_ok(filemap_stat(map, &status));
		filemap_close(map);
		usleep(1000); /* in the first millisecond of a second the number is small */
	}
	assert_true(status.created.nanoseconds >= 1000000 && status.created.nanoseconds < 1000000000);
}

/* As far as the kernel gives names to memory that is no file. */
static void label_of_private_memory_stands_in_proc(void **state)
{
	char line[512];
	bool found = false;
	struct filemap *map;
	(void)state;
	assert_ok(filemap_anonymous(PAGE, FILEMAP_OPTIONS(.label = "a label"), &map, NULL));
	if (fm__sys_name_memory((void *)(uintptr_t)filemap_data(map), PAGE, "a label") < 0) {
		filemap_close(map);
		t_skip("this kernel does not name memory");
	}
	filemap_close(map);
	assert_ok(filemap_anonymous(PAGE, FILEMAP_OPTIONS(.label = "another label"), &map, NULL));
	FILE *maps = fopen("/proc/self/maps", "re");
	while (fgets(line, sizeof line, maps))
		found = found || strstr(line, "another label") != NULL;
	fclose(maps);
	assert_true(found);
	filemap_close(map);
}

T_MAIN(T_TEST(private_memory_is_a_writable_file_of_zeros),
       T_TEST(private_memory_grows_and_shrinks_with_zeros), T_TEST(reserved_memory_does_not_move_and_ends),
       T_TEST(memory_of_no_bytes_is_valid), T_TEST(memory_carries_its_label),
       T_TEST(shared_memory_is_seen_by_children_and_private_is_not),
       T_TEST(shared_memory_can_be_windowed_resized_and_opened_by_descriptor),
       T_TEST(huge_pages_are_whole_or_refused), T_TEST(stack_and_unreserved_memory_can_be_used),
       T_TEST(copied_bytes_behave_like_a_file_of_their_mode),
       T_TEST(copied_bytes_that_are_read_only_are_protected),
       T_TEST(no_bytes_are_fine_and_missing_ones_are_not), T_TEST(borrowed_bytes_are_shown_as_they_are),
       T_PLAIN(huge_pages_of_a_reserve_are_asked_of_the_pool_too),
       T_TEST(memory_that_is_frozen_is_not_closed_by_a_cut), T_TEST(growth_of_memory_brings_no_pages_in),
       T_TEST(memory_file_is_as_long_as_the_window), T_TEST(copied_bytes_that_only_read_show_no_way_to_store),
       T_TEST(pinned_memory_that_must_move_is_the_pins_fault),
       T_TEST(moment_of_making_is_told_in_nanoseconds), T_TEST(label_of_private_memory_stands_in_proc))
