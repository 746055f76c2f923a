/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The pages of a mapping on the real kernel: advice, dropping, touching and locking them. */
#include "smaps.h"
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filemap/filemap.h>

#define PAGES 8
#define NOBODY 65534
#define CHILD_CANNOT 77

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* PAGES pages of which page i holds the letter 'a' + i. */
static const char *make_file(void **state)
{
	const char *path = t_path(*state, "file");
	const size_t page = page_size();
	char *bytes = malloc(PAGES * page);

	assert_non_null(bytes);
	for (size_t i = 0; i < PAGES; i++)
		memset(bytes + i * page, 'a' + (int)i, page);
	t_write_file(path, bytes, PAGES * page);
	free(bytes);
	return path;
}

static struct filemap *open_file(const char *path, unsigned mode, const struct filemap_options *options)
{
	struct filemap_error error;
	struct filemap *map;

	if (filemap_open(path, mode, options, &map, &error) < 0)
		fail_msg("%s: %s: %s", error.step, error.subject, error.detail);
	return map;
}

static struct filemap *make_memory(size_t length, const struct filemap_options *options)
{
	struct filemap_error error;
	struct filemap *map;

	if (filemap_anonymous(length, options, &map, &error) < 0)
		fail_msg("%s: %s: %s", error.step, error.subject, error.detail);
	return map;
}

static unsigned char byte_at(const struct filemap *map, size_t offset)
{
	return ((const unsigned char *)filemap_data(map))[offset];
}

static void store(struct filemap *map, size_t offset, char value)
{
	((volatile char *)filemap_data_mut(map))[offset] = value;
}

/* ---- advice ---- */

#define EVERY_BIT 13

/* COLLAPSE finds nothing to make huge pages of in so few. */
static bool may_answer(int r, unsigned bit)
{
	if (r == 0 || r == -EINVAL)
		return true;
	return bit == FILEMAP_ADVICE_COLLAPSE && (r == -EAGAIN || r == -ENOMEM || r == -EBUSY);
}

static void assert_advice_keeps_bytes(struct filemap *map, const char *kind)
{
	for (unsigned i = 0; i < EVERY_BIT; i++) {
		const int r = filemap_advise(map, 1u << i, 0, FILEMAP_TO_END);
		if (!may_answer(r, 1u << i))
			fail_msg("advice %u on %s: %d", i, kind, r);
		for (size_t p = 0; p < PAGES; p++)
			assert_int_equal(byte_at(map, p * page_size()), 'a' + (int)p);
	}
	assert_ok(filemap_advise(map, FILEMAP_ADVICE_NORMAL | FILEMAP_ADVICE_WILLNEED, 1, page_size()));
	filemap_close(map);
}

static void every_advice_is_taken_or_unknown_and_changes_no_byte(void **state)
{
	const char *path = make_file(state);
	struct filemap *memory = make_memory(PAGES * page_size(), NULL);
	struct filemap *shared = make_memory(PAGES * page_size(), FILEMAP_OPTIONS(.flags = FILEMAP_SHARED));

	for (size_t i = 0; i < PAGES; i++) {
		store(memory, i * page_size(), (char)('a' + (int)i));
		store(shared, i * page_size(), (char)('a' + (int)i));
	}
	assert_advice_keeps_bytes(open_file(path, FILEMAP_READ, NULL), "READ");
	assert_advice_keeps_bytes(open_file(path, FILEMAP_COW, NULL), "COW");
	assert_advice_keeps_bytes(open_file(path, FILEMAP_WRITE, NULL), "WRITE");
	assert_advice_keeps_bytes(memory, "memory");
	assert_advice_keeps_bytes(shared, "shared memory");
}

static void advice_reaches_the_pages_of_the_range_and_no_other(void **state)
{
	struct filemap *map = open_file(make_file(state), FILEMAP_WRITE, NULL);
	const unsigned char *data = filemap_data(map);
	const size_t page = page_size();

	assert_ok(filemap_advise(map, FILEMAP_ADVICE_RANDOM | FILEMAP_ADVICE_DONTDUMP, 2 * page - 1, 2));
	assert_false(smaps_has_flag(data, "rr"));
	assert_true(smaps_has_flag(data + page, "rr"));
	assert_true(smaps_has_flag(data + 2 * page, "rr"));
	assert_true(smaps_has_flag(data + 2 * page, "dd"));
	assert_false(smaps_has_flag(data + 3 * page, "rr"));
	assert_ok(filemap_advise(map, FILEMAP_ADVICE_NORMAL, page, page));
	assert_false(smaps_has_flag(data + page, "rr"));
	assert_ok(filemap_advise(map, FILEMAP_ADVICE_SEQUENTIAL | FILEMAP_ADVICE_DODUMP, 2 * page, 1));
	assert_true(smaps_has_flag(data + 2 * page, "sr"));
	assert_false(smaps_has_flag(data + 2 * page, "dd"));
	filemap_close(map);
}

static void advice_on_a_window_starts_at_its_own_offset(void **state)
{
	const size_t page = page_size();
	struct filemap *map = open_file(make_file(state), FILEMAP_READ,
					FILEMAP_OPTIONS(.offset = page + 100, .length = 3 * page));
	const unsigned char *data = filemap_data(map);

	assert_ok(filemap_advise(map, FILEMAP_ADVICE_RANDOM, page - 100, 1)); /* page 2 of the file */
	assert_false(smaps_has_flag(data, "rr"));
	assert_true(smaps_has_flag(data + page - 100, "rr"));
	assert_false(smaps_has_flag(data + 2 * page - 100, "rr"));
	filemap_close(map);
}

static void advice_that_makes_no_sense_is_refused(void **state)
{
	struct filemap *map = open_file(make_file(state), FILEMAP_WRITE, NULL), *wrapped;
	const size_t size = filemap_size(map);
	char bytes[8];

	assert_int_equal(filemap_advise(map, 0, 0, 1), FILEMAP_EOPTION);
	assert_int_equal(filemap_advise(map, 1u << EVERY_BIT, 0, 1), FILEMAP_EOPTION);
	assert_int_equal(filemap_advise(map, 3, 0, 1), FILEMAP_EOPTION);
	assert_int_equal(filemap_advise(map, FILEMAP_ADVICE_DONTDUMP | FILEMAP_ADVICE_DODUMP, 0, 1),
			 FILEMAP_EOPTION);
	assert_int_equal(filemap_advise(map, 0, size + 1, 1), FILEMAP_EOPTION); /* before the range */
	assert_int_equal(filemap_advise(map, FILEMAP_ADVICE_RANDOM, size, 1), FILEMAP_ERANGE);
	assert_int_equal(filemap_advise(map, FILEMAP_ADVICE_RANDOM, size + 1, 0), FILEMAP_ERANGE);
	assert_ok(filemap_advise(map, FILEMAP_ADVICE_RANDOM, size, 0));
	assert_false(smaps_has_flag(filemap_data(map), "rr"));
	filemap_close(map);
	assert_ok(filemap_wrap_bytes("", bytes, sizeof bytes, &wrapped, NULL));
	assert_int_equal(filemap_advise(wrapped, FILEMAP_ADVICE_RANDOM, 0, 1), FILEMAP_EMODE);
	assert_int_equal(filemap_advise(wrapped, 0, 99, 1), FILEMAP_EMODE); /* before all else */
	filemap_close(wrapped);
}

static void advice_is_supported_bit_by_bit(void **state)
{
	(void)state;
	assert_true(filemap_advice_supported(FILEMAP_ADVICE_NORMAL));
	assert_true(filemap_advice_supported(FILEMAP_ADVICE_RANDOM | FILEMAP_ADVICE_WILLNEED));
	assert_false(filemap_advice_supported(0));
	assert_false(filemap_advice_supported(1u << EVERY_BIT));
	assert_false(filemap_advice_supported(FILEMAP_ADVICE_NORMAL | 1u << 31));
	for (unsigned i = 0; i < EVERY_BIT; i++) {
		struct filemap *map = make_memory(page_size(), NULL);
		store(map, 0, 1);
		/* COLLAPSE finds a page too little, and EINVAL is its word for that, too. */
		const bool given = filemap_advise(map, 1u << i, 0, 1) == 0;
		if (1u << i != FILEMAP_ADVICE_COLLAPSE && given != filemap_advice_supported(1u << i))
			fail_msg("advice %u: given %d", i, given);
		filemap_close(map);
	}
}

/* ---- options of opening ---- */

static void options_for_pages_cover_the_whole_window(void **state)
{
	const uint32_t flags = FILEMAP_DONTFORK | FILEMAP_DONTDUMP;
	const struct filemap_options *options =
		FILEMAP_OPTIONS(.flags = flags, .advice = FILEMAP_ADVICE_RANDOM, .reserve = 64 * page_size());
	const unsigned modes[] = {FILEMAP_READ, FILEMAP_COW, FILEMAP_WRITE};
	const char *path = make_file(state);

	for (size_t i = 0; i < 3; i++) {
		struct filemap *map = open_file(path, modes[i], options);
		const unsigned char *data = filemap_data(map), *last = data + filemap_size(map) - 1;
		assert_true(smaps_has_flag(data, "dc") && smaps_has_flag(last, "dc"));
		assert_true(smaps_has_flag(data, "dd") && smaps_has_flag(last, "dd"));
		assert_true(smaps_has_flag(data, "rr") && smaps_has_flag(last, "rr"));
		filemap_close(map);
	}
	struct filemap *map = make_memory(PAGES * page_size(), FILEMAP_OPTIONS(.flags = flags));
	assert_true(smaps_has_flag(filemap_data(map), "dc") && smaps_has_flag(filemap_data(map), "dd"));
	filemap_close(map);
	map = open_file(path, FILEMAP_READ, NULL);
	assert_false(smaps_has_flag(filemap_data(map), "dc") || smaps_has_flag(filemap_data(map), "dd"));
	filemap_close(map);
}

/* The child has other pages, or none, where the parent had its own. */
static int use_pages_of_the_parent(void *context)
{
	struct filemap *map = context;
	struct filemap_residency count;

	if (filemap_discard(map, FILEMAP_DISCARD_DONTNEED, 0, FILEMAP_TO_END) != FILEMAP_EFORKED)
		return 1;
	if (filemap_advise(map, FILEMAP_ADVICE_COLD, 0, 1) != FILEMAP_EFORKED)
		return 2;
	if (filemap_mlock(map, 0, 1) != FILEMAP_EFORKED || filemap_munlock(map, 0, 1) != FILEMAP_EFORKED)
		return 3;
	if (filemap_residency(map, 0, 1, &count) != FILEMAP_EFORKED)
		return 4;
	return filemap_prefault(map, FILEMAP_PREFAULT_READ, 0, 1) == FILEMAP_EFORKED ? 0 : 5;
}

static void pages_kept_from_a_child_are_not_looked_for_there(void **state)
{
	struct filemap *map = make_memory(PAGES * page_size(), FILEMAP_OPTIONS(.flags = FILEMAP_DONTFORK));
	(void)state;

	assert_ok(t_in_child(use_pages_of_the_parent, map));
	filemap_close(map);
}

static uint64_t resident_pages(const struct filemap *map)
{
	struct filemap_residency count;

	assert_ok(filemap_residency(map, 0, FILEMAP_TO_END, &count));
	return count.resident;
}

static uint64_t evict(const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_ok(fdatasync(fd));
	assert_ok(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	close(fd);
	struct filemap *map = open_file(path, FILEMAP_READ, NULL);
	const uint64_t resident = resident_pages(map);
	filemap_close(map);
	return resident;
}

static void populate_brings_every_page_in(void **state)
{
	const char *path = make_file(state);
	const uint64_t left = evict(path);
	uint64_t resident = 0;
	size_t mapped = 0;

	/* The kernel may drop a clean page at any time. */
	for (int attempt = 0; attempt < 20 && (resident < PAGES || mapped < PAGES * page_size()); attempt++) {
		struct filemap *file =
			open_file(path, FILEMAP_READ, FILEMAP_OPTIONS(.flags = FILEMAP_POPULATE));
		resident = resident_pages(file);
		mapped = smaps_bytes(filemap_data(file), "Rss:");
		filemap_close(file);
	}
	assert_int_equal(resident, PAGES);
	assert_int_equal(mapped, PAGES * page_size());
	struct filemap *map = make_memory(PAGES * page_size(), NULL);
	assert_int_equal(resident_pages(map), 0);
	filemap_close(map);
	map = make_memory(PAGES * page_size(), FILEMAP_OPTIONS(.flags = FILEMAP_POPULATE));
	assert_int_equal(resident_pages(map), PAGES);
	/* Pages of its own, not the one that all who only read share; other memory may lie beside them. */
	assert_true(smaps_bytes(filemap_data(map), "Private_Dirty:") >= PAGES * page_size());
	filemap_close(map);
	if (left == PAGES)
		t_skip("pages of this file system cannot be evicted: the file was in memory before");
}

static void skip_where_nothing_can_be_locked(void)
{
	struct filemap *map = make_memory(2 * PAGES * page_size(), NULL);
	const int r = filemap_mlock(map, 0, FILEMAP_TO_END);

	filemap_close(map);
	if (r == -ENOMEM || r == -EPERM)
		t_skip("RLIMIT_MEMLOCK allows no locked memory");
	assert_ok(r);
}

/* ---- discard ---- */

static void discard_of_cow_pages_shows_the_file_again(void **state)
{
	struct filemap *map = open_file(make_file(state), FILEMAP_COW, NULL);
	const size_t page = page_size();

	for (size_t i = 0; i < PAGES; i++)
		store(map, i * page, 'X');
	assert_ok(filemap_discard(map, FILEMAP_DISCARD_DONTNEED, page, 2 * page));
	for (size_t i = 0; i < PAGES; i++)
		assert_int_equal(byte_at(map, i * page), i == 1 || i == 2 ? 'a' + (int)i : 'X');
	assert_int_equal(filemap_discard(map, FILEMAP_DISCARD_FREE, 0, page), FILEMAP_EMODE);
	assert_int_equal(filemap_discard(map, FILEMAP_DISCARD_REMOVE, 0, page), FILEMAP_EMODE);
	assert_int_equal(byte_at(map, 0), 'X');
	filemap_close(map);
}

static void discard_of_private_memory_leaves_zeros(void **state)
{
	struct filemap *map = make_memory(PAGES * page_size() - 100, NULL);
	const size_t page = page_size();
	(void)state;

	for (size_t i = 0; i < PAGES; i++)
		store(map, i * page, 'X');
	assert_ok(filemap_discard(map, FILEMAP_DISCARD_DONTNEED, page, page));
	assert_ok(filemap_discard(map, FILEMAP_DISCARD_DONTNEED, (PAGES - 1) * page, page - 100));
	for (size_t i = 0; i < PAGES; i++)
		assert_int_equal(byte_at(map, i * page), i == 1 || i == PAGES - 1 ? 0 : 'X');
	assert_ok(filemap_discard(map, FILEMAP_DISCARD_FREE, 0, FILEMAP_TO_END));
	for (size_t i = 0; i < PAGES; i++)
		assert_true(byte_at(map, i * page) == 0 || byte_at(map, i * page) == 'X');
	store(map, 0, 'Y');
	assert_int_equal(byte_at(map, 0), 'Y');
	assert_int_equal(filemap_discard(map, FILEMAP_DISCARD_REMOVE, 0, page), FILEMAP_EMODE);
	filemap_close(map);
}

static void discard_drops_locked_pages_too(void **state)
{
	(void)state;

	skip_where_nothing_can_be_locked();
	struct filemap *map = make_memory(2 * page_size(), NULL);
	store(map, 0, 'X');
	store(map, page_size(), 'X');
	assert_ok(filemap_mlock(map, 0, FILEMAP_TO_END));
	assert_ok(filemap_discard(map, FILEMAP_DISCARD_DONTNEED, 0, page_size()));
	assert_int_equal(byte_at(map, 0), 0);
	assert_int_equal(byte_at(map, page_size()), 'X');
	assert_ok(filemap_discard(map, FILEMAP_DISCARD_FREE, page_size(), FILEMAP_TO_END));
	filemap_close(map);
}

static uint64_t blocks_of(const struct filemap *map)
{
	struct filemap_stat file;

	assert_ok(filemap_stat(map, &file));
	return file.blocks;
}

static void assert_file_byte(int fd, size_t offset, int expected)
{
	unsigned char byte = 0xEE;

	assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
	assert_int_equal(byte, expected);
}

/* The window ends within page 5 of the file, whose other bytes are not its own. */
static void remove_punches_exactly_the_range_into_the_file(void **state)
{
	const char *path = make_file(state);
	const size_t page = page_size();
	struct filemap *map =
		open_file(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.offset = page + 100, .length = 4 * page));
	const uint64_t before = blocks_of(map);

	const int r = filemap_discard(map, FILEMAP_DISCARD_REMOVE, page - 100, page);
	if (r == -EOPNOTSUPP) {
		filemap_close(map);
		t_skip("this file system punches no holes");
	}
	assert_ok(r);
	assert_int_equal(blocks_of(map), before - page / 512);
	assert_file_byte(filemap_fd(map), 2 * page - 1, 'b');
	assert_file_byte(filemap_fd(map), 2 * page, 0);
	assert_file_byte(filemap_fd(map), 3 * page - 1, 0);
	assert_file_byte(filemap_fd(map), 3 * page, 'd');
	assert_int_equal(byte_at(map, page - 100), 0);
	assert_ok(filemap_discard(map, FILEMAP_DISCARD_REMOVE, 4 * page - 100, FILEMAP_TO_END));
	assert_file_byte(filemap_fd(map), 5 * page - 1, 'e');
	assert_file_byte(filemap_fd(map), 5 * page + 99, 0);
	assert_file_byte(filemap_fd(map), 5 * page + 100, 'f');
	assert_int_equal(filemap_size(map), 4 * page);
	filemap_close(map);
	assert_int_equal(t_file_size(path), PAGES * page);
}

static void remove_empties_a_memory_file_for_everybody(void **state)
{
	struct filemap *map = make_memory(2 * page_size(), FILEMAP_OPTIONS(.flags = FILEMAP_SHARED));
	(void)state;

	store(map, 0, 'X');
	store(map, page_size(), 'Y');
	assert_int_equal(filemap_discard(map, FILEMAP_DISCARD_FREE, 0, page_size()), FILEMAP_EMODE);
	assert_int_equal(filemap_discard(map, FILEMAP_DISCARD_DONTNEED, 0, page_size()), FILEMAP_EMODE);
	assert_ok(filemap_discard(map, FILEMAP_DISCARD_REMOVE, 0, page_size()));
	assert_file_byte(filemap_fd(map), 0, 0);
	assert_file_byte(filemap_fd(map), page_size(), 'Y');
	filemap_close(map);
}

static void discard_of_anything_but_whole_pages_is_refused(void **state)
{
	struct filemap *map = open_file(make_file(state), FILEMAP_COW, FILEMAP_OPTIONS(.offset = 100));
	const size_t page = page_size(), size = filemap_size(map);
	const unsigned how = FILEMAP_DISCARD_DONTNEED;

	store(map, page, 'X');
	assert_int_equal(filemap_discard(map, how, 0, page), FILEMAP_ERANGE);
	assert_int_equal(filemap_discard(map, how, page, page), FILEMAP_ERANGE);
	assert_int_equal(filemap_discard(map, how, page - 101, page + 1), FILEMAP_ERANGE);
	assert_int_equal(filemap_discard(map, how, page - 100, page - 1), FILEMAP_ERANGE);
	assert_int_equal(filemap_discard(map, how, page - 100, page + 1), FILEMAP_ERANGE);
	assert_int_equal(filemap_discard(map, how, size + 1, 0), FILEMAP_ERANGE);
	assert_int_equal(filemap_discard(map, how, page - 100, size), FILEMAP_ERANGE);
	assert_int_equal(filemap_discard(map, 0, size + 1, 0), FILEMAP_EOPTION);
	assert_int_equal(filemap_discard(map, 4, 0, 0), FILEMAP_EOPTION);
	assert_ok(filemap_discard(map, how, page, 0));
	assert_int_equal(byte_at(map, page), 'X');
	assert_ok(filemap_discard(map, how, page - 100, FILEMAP_TO_END));
	assert_int_equal(byte_at(map, page), 'b');
	filemap_close(map);
}

static void discard_of_what_cannot_be_stored_to_is_refused(void **state)
{
	const char *path = make_file(state);
	struct filemap *map = open_file(path, FILEMAP_READ, NULL);
	char bytes[] = "bytes";

	for (unsigned how = FILEMAP_DISCARD_DONTNEED; how <= FILEMAP_DISCARD_REMOVE; how++)
		assert_int_equal(filemap_discard(map, how, 0, FILEMAP_TO_END), FILEMAP_EMODE);
	filemap_close(map);
	map = open_file(path, FILEMAP_WRITE, NULL);
	assert_int_equal(filemap_discard(map, FILEMAP_DISCARD_DONTNEED, 0, FILEMAP_TO_END), FILEMAP_EMODE);
	assert_int_equal(filemap_discard(map, FILEMAP_DISCARD_FREE, 0, FILEMAP_TO_END), FILEMAP_EMODE);
	assert_ok(filemap_freeze(map, NULL));
	assert_int_equal(filemap_discard(map, FILEMAP_DISCARD_REMOVE, 0, FILEMAP_TO_END), FILEMAP_EMODE);
	filemap_close(map);
	assert_ok(filemap_from_bytes("", FILEMAP_READ, bytes, sizeof bytes, &map, NULL));
	assert_int_equal(filemap_discard(map, FILEMAP_DISCARD_DONTNEED, 0, FILEMAP_TO_END), FILEMAP_EMODE);
	assert_int_equal(byte_at(map, 0), 'b');
	filemap_close(map);
	assert_ok(filemap_wrap_bytes("", bytes, sizeof bytes, &map, NULL));
	assert_int_equal(filemap_discard(map, 9, 0, FILEMAP_TO_END), FILEMAP_EMODE);
	filemap_close(map);
}

/* ---- prefault ---- */

static void prefault_brings_in_the_pages_of_the_range(void **state)
{
	struct filemap *map = make_memory(PAGES * page_size(), NULL);
	const size_t page = page_size();
	struct filemap_residency count;
	(void)state;

	assert_ok(filemap_prefault(map, FILEMAP_PREFAULT_WRITE, 2 * page - 1, 2));
	assert_ok(filemap_residency(map, page, 2 * page, &count));
	assert_int_equal(count.resident, 2);
	assert_int_equal(resident_pages(map), 2);
	assert_ok(filemap_prefault(map, FILEMAP_PREFAULT_READ, 0, FILEMAP_TO_END));
	assert_int_equal(resident_pages(map), PAGES);
	assert_int_equal(byte_at(map, 2 * page), 0);
	filemap_close(map);
}

static void prefault_of_a_hole_finds_blocks_and_changes_no_byte(void **state)
{
	const size_t size = PAGES * page_size();
	struct filemap *map =
		open_file(t_path(*state, "new"), FILEMAP_WRITE,
			  FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | FILEMAP_SPARSE, .size = size));
	const uint64_t before = blocks_of(map);

	assert_ok(filemap_prefault(map, FILEMAP_PREFAULT_WRITE, 0, FILEMAP_TO_END));
	for (size_t i = 0; i < size; i++)
		assert_int_equal(byte_at(map, i), 0);
	assert_ok(filemap_sync(map));
	assert_true(blocks_of(map) >= before + size / 512);
	filemap_close(map);
}

static void prefault_checks_before_it_touches(void **state)
{
	struct filemap *map = open_file(make_file(state), FILEMAP_READ, NULL), *wrapped;
	const size_t size = filemap_size(map);
	char bytes[8];

	assert_int_equal(filemap_prefault(map, 0, 0, 1), FILEMAP_EOPTION);
	assert_int_equal(filemap_prefault(map, 3, size, 1), FILEMAP_EOPTION);
	assert_int_equal(filemap_prefault(map, FILEMAP_PREFAULT_WRITE, size, 1), FILEMAP_EMODE);
	assert_int_equal(filemap_prefault(map, FILEMAP_PREFAULT_READ, size, 1), FILEMAP_ERANGE);
	assert_ok(filemap_prefault(map, FILEMAP_PREFAULT_READ, size, 0));
	assert_ok(filemap_prefault(map, FILEMAP_PREFAULT_READ, 0, FILEMAP_TO_END));
	filemap_close(map);
	assert_ok(filemap_wrap_bytes("", bytes, sizeof bytes, &wrapped, NULL));
	assert_int_equal(filemap_prefault(wrapped, 9, 99, 1), FILEMAP_EMODE);
	filemap_close(wrapped);
}

static void prefault_of_a_file_that_was_cut_is_an_error_and_no_signal(void **state)
{
	const char *path = make_file(state);
	const size_t page = page_size();
	struct filemap *map = open_file(path, FILEMAP_WRITE, NULL);

	assert_ok(truncate(path, (off_t)(3 * page))); /* somebody who asks for no lock */
	assert_ok(filemap_prefault(map, FILEMAP_PREFAULT_READ, 0, 3 * page));
	assert_int_equal(filemap_prefault(map, FILEMAP_PREFAULT_READ, 0, 3 * page + 1), FILEMAP_EFAULT);
	assert_int_equal(filemap_prefault(map, FILEMAP_PREFAULT_WRITE, 3 * page, 1), FILEMAP_EFAULT);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	filemap_close(map);
}

static int prefault_on_a_full_disk(void *context)
{
	const struct t_dir *dir = context;
	const size_t megabyte = 1 << 20;
	struct filemap *map;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return CHILD_CANNOT;
	if (mount("tmpfs", dir->path, "tmpfs", 0, "size=1m") < 0)
		return CHILD_CANNOT;
	if (filemap_open(t_path(dir, "sparse"), FILEMAP_WRITE,
			 FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | FILEMAP_SPARSE, .size = 2 * megabyte),
			 &map, NULL) < 0)
		return 1;
	if (filemap_prefault(map, FILEMAP_PREFAULT_WRITE, 0, FILEMAP_TO_END) != FILEMAP_EFAULT)
		return 2;
	if (filemap_discard(map, FILEMAP_DISCARD_REMOVE, 0, FILEMAP_TO_END) != 0)
		return 3;
	if (filemap_prefault(map, FILEMAP_PREFAULT_WRITE, 0, megabyte / 2) != 0)
		return 4;
	memset(filemap_data_mut(map), 'x', megabyte / 2); /* cannot run out of blocks */
	filemap_close(map);
	return 0;
}

static void prefault_of_a_hole_on_a_full_disk_is_an_error_and_no_signal(void **state)
{
	const int r = t_in_child(prefault_on_a_full_disk, *state);

	if (r == CHILD_CANNOT)
		t_skip("no mount namespace or tmpfs for this user");
	assert_ok(r);
}

/* ---- mlock ---- */

static void mlock_locks_whole_pages_until_close_and_counts_nothing(void **state)
{
	skip_where_nothing_can_be_locked();
	struct filemap *map = open_file(make_file(state), FILEMAP_WRITE, NULL);
	const size_t page = page_size(), before = locked_bytes();

	assert_ok(filemap_mlock(map, 2 * page - 1, 2));
	assert_int_equal(locked_bytes(), before + 2 * page);
	assert_ok(filemap_mlock(map, 2 * page - 1, 2));
	assert_int_equal(locked_bytes(), before + 2 * page);
	assert_ok(filemap_mlock(map, 0, FILEMAP_TO_END));
	assert_int_equal(locked_bytes(), before + PAGES * page);
	filemap_close(map);
	assert_int_equal(locked_bytes(), before);
}

static void mlock_brings_the_pages_in(void **state)
{
	(void)state;
	skip_where_nothing_can_be_locked();
	struct filemap *map = make_memory(PAGES * page_size(), NULL);

	assert_ok(filemap_mlock(map, page_size(), 3 * page_size()));
	assert_int_equal(resident_pages(map), 3);
	filemap_close(map);
}

static void munlock_lets_whole_pages_go_however_often_they_were_locked(void **state)
{
	skip_where_nothing_can_be_locked();
	struct filemap *map = open_file(make_file(state), FILEMAP_READ, NULL);
	const size_t page = page_size(), before = locked_bytes();

	assert_ok(filemap_mlock(map, 0, 4 * page));
	assert_ok(filemap_mlock(map, 0, 4 * page));
	assert_ok(filemap_munlock(map, 2 * page - 1, 2));
	const size_t after = locked_bytes();
	assert_ok(filemap_munlock(map, 0, FILEMAP_TO_END));
	assert_ok(filemap_munlock(map, 0, FILEMAP_TO_END));
	const size_t rest = locked_bytes();
	filemap_close(map);
	if (after == before + 4 * page && rest == after)
		t_skip("a sanitizer answers munlock(2) without doing it");
	assert_int_equal(after, before + 2 * page);
	assert_int_equal(rest, before);
}

static void mlock_of_a_range_outside_or_of_borrowed_bytes_is_refused(void **state)
{
	struct filemap *map = open_file(make_file(state), FILEMAP_READ, NULL), *wrapped;
	const size_t size = filemap_size(map), before = locked_bytes();
	char bytes[8];

	assert_int_equal(filemap_mlock(map, size, 1), FILEMAP_ERANGE);
	assert_int_equal(filemap_munlock(map, 0, size + 1), FILEMAP_ERANGE);
	assert_ok(filemap_mlock(map, size, 0));
	assert_ok(filemap_munlock(map, 0, 0));
	filemap_close(map);
	assert_ok(filemap_wrap_bytes("", bytes, sizeof bytes, &wrapped, NULL));
	assert_int_equal(filemap_mlock(wrapped, 0, 1), FILEMAP_EMODE);
	assert_int_equal(filemap_munlock(wrapped, 99, 1), FILEMAP_EMODE);
	filemap_close(wrapped);
	assert_int_equal(locked_bytes(), before);
}

static void window_opened_to_be_locked_stays_so_as_it_grows(void **state)
{
	const size_t page = page_size(), before = locked_bytes();
	const uint64_t reserves[] = {0, 64 * page};
	const char *path = make_file(state);

	skip_where_nothing_can_be_locked();
	for (int i = 0; i < 2; i++) {
		struct filemap *map = open_file(
			path, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_MLOCK, .reserve = reserves[i]));
		assert_int_equal(locked_bytes(), before + PAGES * page);
		assert_int_equal(resident_pages(map), PAGES);
		assert_ok(filemap_resize(map, 2 * PAGES * page, NULL));
		assert_int_equal(locked_bytes(), before + 2 * PAGES * page);
		assert_int_equal(resident_pages(map), 2 * PAGES);
		assert_ok(filemap_resize(map, PAGES * page, NULL));
		filemap_close(map);
		assert_int_equal(locked_bytes(), before);
	}
}

static void window_of_an_empty_file_is_locked_when_it_grows(void **state)
{
	const uint64_t reserves[] = {0, 64 * page_size()};

	skip_where_nothing_can_be_locked();
	const size_t before = locked_bytes();
	for (int i = 0; i < 2; i++) {
		struct filemap *map =
			open_file(t_path(*state, "new"), FILEMAP_WRITE,
				  FILEMAP_OPTIONS(.flags = FILEMAP_MLOCK | FILEMAP_CREATE | FILEMAP_TRUNCATE,
						  .reserve = reserves[i]));
		assert_ok(filemap_resize(map, PAGES * page_size(), NULL));
		assert_int_equal(locked_bytes(), before + PAGES * page_size());
		memset(filemap_data_mut(map), 'x', PAGES * page_size());
		assert_int_equal(smaps_bytes(filemap_data(map), "Locked:"), PAGES * page_size());
		filemap_close(map);
		assert_int_equal(locked_bytes(), before);
	}
}

static int open_beyond_the_limit(void *context)
{
	const struct rlimit limit = {2 * page_size(), 2 * page_size()};
	const struct filemap_options *locked =
		FILEMAP_OPTIONS(.flags = FILEMAP_MLOCK | FILEMAP_TRUNCATE, .size = 4 * page_size());
	struct filemap_error error;
	const char *path = context;
	struct filemap *map;

	if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return CHILD_CANNOT;
	if (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return CHILD_CANNOT;
	const int r = filemap_open(path, FILEMAP_WRITE, locked, &map, &error);
	if (r != -ENOMEM && r != -EAGAIN && r != -EPERM)
		return 1;
	if (strcmp(error.step, "lock in memory") != 0 || locked_bytes() != 0)
		return 2;
	if (filemap_open(path, FILEMAP_WRITE, NULL, &map, &error) < 0)
		return 3;
	if (filemap_mlock(map, 0, FILEMAP_TO_END) >= 0 || filemap_mlock(map, 0, page_size()) != 0)
		return 4;
	return locked_bytes() == page_size() ? 0 : 5;
}

static void memory_lock_beyond_the_limit_is_refused_before_the_file_changes(void **state)
{
	const struct t_dir *dir = *state;
	char path[512], bytes[2] = "";

	snprintf(path, sizeof path, "%s", make_file(state));
	assert_ok(chmod(path, 0666));
	assert_ok(chmod(dir->path, 0755));
	const int r = t_in_child(open_beyond_the_limit, path);
	if (r == CHILD_CANNOT)
		t_skip("only root can become somebody else");
	assert_ok(r);
	assert_int_equal(t_file_size(path), PAGES * page_size());
	assert_int_equal(t_read_file(path, bytes, 2), 2);
	assert_memory_equal(bytes, "aa", 2);
}

T_MAIN(T_TEST(every_advice_is_taken_or_unknown_and_changes_no_byte),
       T_TEST(advice_reaches_the_pages_of_the_range_and_no_other),
       T_TEST(advice_on_a_window_starts_at_its_own_offset), T_TEST(advice_that_makes_no_sense_is_refused),
       T_PLAIN(advice_is_supported_bit_by_bit), T_TEST(options_for_pages_cover_the_whole_window),
       T_PLAIN(pages_kept_from_a_child_are_not_looked_for_there), T_TEST(populate_brings_every_page_in),
       T_TEST(discard_of_cow_pages_shows_the_file_again), T_PLAIN(discard_of_private_memory_leaves_zeros),
       T_PLAIN(discard_drops_locked_pages_too), T_TEST(remove_punches_exactly_the_range_into_the_file),
       T_PLAIN(remove_empties_a_memory_file_for_everybody),
       T_TEST(discard_of_anything_but_whole_pages_is_refused),
       T_TEST(discard_of_what_cannot_be_stored_to_is_refused),
       T_PLAIN(prefault_brings_in_the_pages_of_the_range),
       T_TEST(prefault_of_a_hole_finds_blocks_and_changes_no_byte), T_TEST(prefault_checks_before_it_touches),
       T_TEST(prefault_of_a_file_that_was_cut_is_an_error_and_no_signal),
       T_TEST(prefault_of_a_hole_on_a_full_disk_is_an_error_and_no_signal),
       T_TEST(mlock_locks_whole_pages_until_close_and_counts_nothing), T_PLAIN(mlock_brings_the_pages_in),
       T_TEST(munlock_lets_whole_pages_go_however_often_they_were_locked),
       T_TEST(mlock_of_a_range_outside_or_of_borrowed_bytes_is_refused),
       T_TEST(window_opened_to_be_locked_stays_so_as_it_grows),
       T_TEST(window_of_an_empty_file_is_locked_when_it_grows),
       T_TEST(memory_lock_beyond_the_limit_is_refused_before_the_file_changes))
