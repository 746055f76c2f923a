/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What is known of a mapped file: which pages are in memory, its fields, its identity. */
#include "deny.h"
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "sys/sys.h"

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

#define PAGES 8
#define NOBODY 65534
#define CHILD_CANNOT 77
#define TMPFS_TYPE 0x01021994u

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* Written page by page, so that each is a folio of its own; clean. */
static const char *make_file(void **state)
{
	const char *path = t_path(*state, "file");
	const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	const size_t page = page_size();
	char *bytes = malloc(page);

	assert_true(fd >= 0 && bytes != NULL);
	memset(bytes, 'x', page);
	for (size_t i = 0; i < PAGES; i++) {
		assert_int_equal(pwrite(fd, bytes, page, (off_t)(i * page)), page);
		assert_ok(fdatasync(fd));
	}
	free(bytes);
	close(fd);
	return path;
}

static struct filemap *open_file(const char *path, unsigned mode)
{
	struct filemap *map;

	assert_ok(filemap_open(path, mode, NULL, &map, NULL));
	return map;
}

static struct filemap_residency count_of(const struct filemap *map, size_t offset, size_t length)
{
	struct filemap_residency count;

	assert_ok(filemap_residency(map, offset, length, &count));
	assert_int_equal(count.page_size, page_size());
	return count;
}

/* The kernel may drop a clean page at any time: touched and counted again, a few times, until all are there. */
static struct filemap_residency count_touched(struct filemap *map, size_t offset, size_t length)
{
	struct filemap_residency count = {0};

	for (int attempt = 0; attempt == 0 || (attempt < 20 && count.resident < count.pages); attempt++) {
		assert_ok(filemap_prefault(map, FILEMAP_PREFAULT_READ, offset, length));
		count = count_of(map, offset, length);
	}
	return count;
}

static void skip_where_pages_stay(const char *path)
{
	struct statfs info;

	assert_ok(statfs(path, &info));
	if ((unsigned)info.f_type == TMPFS_TYPE)
		t_skip("tmpfs: its pages are always in memory and never clean");
}

static void evict(const char *path)
{
	const int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_ok(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	close(fd);
}

static void pages_that_were_written_are_resident_until_evicted(void **state)
{
	const char *path = make_file(state);

	skip_where_pages_stay(path);
	const unsigned modes[] = {FILEMAP_READ, FILEMAP_COW, FILEMAP_WRITE};
	for (size_t i = 0; i < 3; i++) {
		struct filemap *map = open_file(path, modes[i]);
		assert_int_equal(count_touched(map, 0, FILEMAP_TO_END).resident, PAGES);
		assert_int_equal(count_of(map, 0, FILEMAP_TO_END).pages, PAGES);
		filemap_close(map);
		evict(path);
		map = open_file(path, modes[i]);
		assert_int_equal(count_of(map, 0, FILEMAP_TO_END).resident, 0);
		assert_int_equal(count_of(map, 0, FILEMAP_TO_END).pages, PAGES);
		filemap_close(map);
	}
}

static void pages_count_when_the_range_touches_them(void **state)
{
	const char *path = make_file(state);
	const size_t page = page_size();
	struct filemap *map;

	assert_ok(filemap_open(path, FILEMAP_READ, FILEMAP_OPTIONS(.offset = 100), &map, NULL));
	assert_int_equal(count_of(map, 0, 1).pages, 1);
	assert_int_equal(count_touched(map, 0, page - 100).resident, 1);
	assert_int_equal(count_of(map, 0, page - 99).pages, 2);
	assert_int_equal(count_touched(map, page - 101, 2).resident, 2);
	assert_int_equal(count_of(map, page - 100, page).pages, 1);
	assert_int_equal(count_of(map, 5, 0).pages, 0);
	assert_int_equal(count_of(map, 5, 0).resident, 0);
	filemap_close(map);
}

/* Whether the kernel can say what is dirty; somebody else's sync(2) may clean pages at any time. */
static void dirty_pages_are_those_that_were_stored_to(void **state)
{
	const char *path = make_file(state);
	struct filemap_residency count = {0};
	const size_t page = page_size();

	skip_where_pages_stay(path);
	struct filemap *map = open_file(path, FILEMAP_WRITE);
	assert_ok(filemap_prefault(map, FILEMAP_PREFAULT_READ, 0, FILEMAP_TO_END));
	count = count_of(map, 0, FILEMAP_TO_END);
	if (count.dirty == FILEMAP_UNKNOWN) {
		assert_true(count.writeback == FILEMAP_UNKNOWN);
		filemap_close(map);
		t_skip("no cachestat(2) here");
	}
	assert_true(count.dirty == 0 && count.writeback == 0);
	for (int attempt = 0; attempt < 20 && (count.dirty + count.writeback != 2 || count.resident < PAGES);
	     attempt++) {
		((volatile char *)filemap_data_mut(map))[page] = 'y';
		((volatile char *)filemap_data_mut(map))[3 * page] = 'y';
		count = count_touched(map, 0, FILEMAP_TO_END);
	}
	assert_int_equal(count.dirty + count.writeback, 2);
	assert_int_equal(count.resident, PAGES);
	assert_int_equal(count_of(map, 4 * page, FILEMAP_TO_END).dirty, 0);
	assert_ok(filemap_flush(map));
	assert_int_equal(count_of(map, 0, FILEMAP_TO_END).dirty, 0);
	filemap_close(map);
}

static void cow_counts_the_pages_of_the_file_not_its_own(void **state)
{
	const char *path = make_file(state);

	skip_where_pages_stay(path);
	evict(path);
	struct filemap *map = open_file(path, FILEMAP_COW);
	uint64_t resident = 0;
	for (int attempt = 0; attempt < 20 && resident < PAGES; attempt++) {
		assert_ok(filemap_discard(map, FILEMAP_DISCARD_DONTNEED, 0, FILEMAP_TO_END));
		memset(filemap_data_mut(map), 'y', filemap_size(map));
		resident = count_of(map, 0, FILEMAP_TO_END).resident;
	}
	assert_int_equal(resident, PAGES);
	evict(path);
	assert_int_equal(count_of(map, 0, FILEMAP_TO_END).resident, 0);
	filemap_close(map);
}

static void memory_counts_what_was_touched(void **state)
{
	const size_t page = page_size();
	struct filemap *map;
	(void)state;

	assert_ok(filemap_anonymous(2000 * page, NULL, &map, NULL));
	assert_int_equal(count_of(map, 0, FILEMAP_TO_END).resident, 0);
	assert_ok(filemap_advise(map, FILEMAP_ADVICE_NOHUGEPAGE, 0, FILEMAP_TO_END));
	((volatile char *)filemap_data_mut(map))[3 * page] = 'y';
	((volatile char *)filemap_data_mut(map))[1999 * page] = 'y';
	const struct filemap_residency count = count_of(map, 0, FILEMAP_TO_END);
	assert_int_equal(count.pages, 2000);
	assert_int_equal(count.resident, 2);
	assert_true(count.dirty == FILEMAP_UNKNOWN && count.writeback == FILEMAP_UNKNOWN);
	assert_int_equal(count_of(map, 4 * page, 1995 * page).resident, 0);
	filemap_close(map);
	assert_ok(filemap_anonymous(4 * page, FILEMAP_OPTIONS(.flags = FILEMAP_SHARED), &map, NULL));
	((volatile char *)filemap_data_mut(map))[3 * page] = 'y';
	assert_int_equal(count_of(map, 0, FILEMAP_TO_END).resident, 1);
	filemap_close(map);
}

static void huge_pages_count_as_what_they_are(void **state)
{
	const size_t huge = (size_t)2 << 20;
	struct filemap_residency count;
	struct filemap *map;
	(void)state;

	if (filemap_anonymous(3 * huge, FILEMAP_OPTIONS(.flags = FILEMAP_HUGE_2M), &map, NULL) < 0)
		t_skip("no huge pages in the system's pool");
	((volatile char *)filemap_data_mut(map))[huge] = 'y';
	assert_ok(filemap_residency(map, 0, FILEMAP_TO_END, &count));
	assert_int_equal(count.page_size, huge);
	assert_int_equal(count.pages, 3);
	assert_int_equal(count.resident, 1);
	filemap_close(map);
}

static void range_outside_and_borrowed_bytes_are_refused(void **state)
{
	struct filemap *map = open_file(make_file(state), FILEMAP_READ), *wrapped;
	struct filemap_residency count = {.pages = 77};
	char bytes[8];

	assert_int_equal(filemap_residency(map, filemap_size(map), 1, &count), FILEMAP_ERANGE);
	assert_int_equal(filemap_residency(map, filemap_size(map) + 1, 0, &count), FILEMAP_ERANGE);
	filemap_close(map);
	assert_ok(filemap_wrap_bytes("", bytes, sizeof bytes, &wrapped, NULL));
	assert_int_equal(filemap_residency(wrapped, 99, 1, &count), FILEMAP_EMODE);
	filemap_close(wrapped);
	assert_int_equal(count.pages, 77);
}

/* Of the pages the kernel before 6.5 tells residency only: 0, or which count was wrong. */
static int count_on_an_old_kernel(void *context)
{
	struct filemap *const *maps = context;
	struct filemap_residency count;

	if (deny_call(SYS_cachestat, ENOSYS) < 0)
		return CHILD_CANNOT;
	for (int i = 0; i < 2; i++) {
		if (filemap_residency(maps[i], 0, FILEMAP_TO_END, &count) != 0)
			return 10 + i;
		if (count.pages != PAGES || count.resident != 0)
			return 20 + i;
		if (count.dirty != FILEMAP_UNKNOWN || count.writeback != FILEMAP_UNKNOWN)
			return 30 + i;
	}
	for (int i = 0; i < 2; i++)
		if (filemap_prefault(maps[i], FILEMAP_PREFAULT_READ, 0, 3 * page_size()) != 0)
			return 40 + i;
	for (int i = 0; i < 2; i++)
		if (filemap_residency(maps[i], 0, 3 * page_size(), &count) != 0 || count.resident != 3)
			return 50 + i;
	return 0;
}

static void residency_on_an_old_kernel_knows_nothing_of_dirt(void **state)
{
	const char *path = make_file(state);
	struct filemap *maps[2];

	skip_where_pages_stay(path);
	maps[0] = open_file(path, FILEMAP_READ);
	maps[1] = open_file(path, FILEMAP_COW);
	evict(path);
	const int r = t_in_child(count_on_an_old_kernel, maps);
	filemap_close(maps[0]);
	filemap_close(maps[1]);
	if (r == CHILD_CANNOT)
		t_skip("no seccomp filters here");
	assert_ok(r);
}

/* Asking who owns a file takes a descriptor. */
static int count_without_descriptors(const char *path)
{
	struct filemap_residency count;
	struct rlimit limit;
	struct filemap *map;

	if (filemap_open(path, FILEMAP_READ, NULL, &map, NULL) < 0)
		return 40;
	getrlimit(RLIMIT_NOFILE, &limit);
	const rlim_t before = limit.rlim_cur;
	limit.rlim_cur = 0;
	setrlimit(RLIMIT_NOFILE, &limit);
	const int r = filemap_residency(map, 0, 1, &count);
	limit.rlim_cur = before;
	setrlimit(RLIMIT_NOFILE, &limit);
	filemap_close(map);
	return r == -EMFILE ? 0 : 41;
}

static int count_as_nobody(void *context)
{
	const char *const *paths = context;
	struct filemap_residency count;
	struct filemap *map;

	if (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return CHILD_CANNOT;
	const int expected[] = {-EPERM, 0, 0};
	for (int i = 0; i < 3; i++) {
		if (filemap_open(paths[i], FILEMAP_READ, NULL, &map, NULL) < 0)
			return 10 + i;
		if (filemap_residency(map, 0, 1, &count) != expected[i])
			return 20 + i;
		filemap_close(map);
	}
	return count_without_descriptors(paths[0]);
}

static void residency_of_somebody_elses_file_is_not_told_to_readers(void **state)
{
	const struct t_dir *dir = *state;
	char shown[300], writable[300], own[300];
	const char *paths[] = {shown, writable, own};

	if (geteuid() != 0)
		t_skip("only root can become somebody else");
	snprintf(shown, sizeof shown, "%s/shown", dir->path);
	snprintf(writable, sizeof writable, "%s/writable", dir->path);
	snprintf(own, sizeof own, "%s/own", dir->path);
	for (int i = 0; i < 3; i++)
		t_write_file(paths[i], "bytes", 5);
	assert_ok(chmod(dir->path, 0755));
	assert_ok(chmod(shown, 0644));
	assert_ok(chmod(writable, 0666));
	assert_ok(chown(own, NOBODY, NOBODY));
	assert_ok(chmod(own, 0400));
	const int r = t_in_child(count_as_nobody, paths);
	if (r == CHILD_CANNOT)
		t_skip("cannot become somebody else");
	assert_ok(r);
}

static bool is_time(const struct filemap_time *time, const struct timespec *expected)
{
	return time->seconds == expected->tv_sec && time->nanoseconds == (uint32_t)expected->tv_nsec &&
	       time->reserved == 0;
}

static void stat_tells_what_the_kernel_tells(void **state)
{
	const char *path = make_file(state);
	struct filemap *map = open_file(path, FILEMAP_WRITE);
	struct filemap_stat file;
	struct statx x;
	struct stat info;

	assert_ok(stat(path, &info));
	memset(&file, 0xAA, sizeof file);
	assert_ok(filemap_stat(map, &file));
	assert_true(file.size == (uint64_t)info.st_size && file.device == info.st_dev);
	assert_true(file.inode == info.st_ino && file.links == 1 && file.special_device == 0);
	assert_true(file.blocks == (uint64_t)info.st_blocks && file.block_size == (uint32_t)info.st_blksize);
	assert_true(file.mode == info.st_mode && file.owner == info.st_uid && file.group == info.st_gid);
	assert_true(is_time(&file.accessed, &info.st_atim) && is_time(&file.modified, &info.st_mtim));
	assert_true(is_time(&file.changed, &info.st_ctim));
	for (int i = 0; i < 4; i++)
		assert_int_equal(file.reserved[i], 0);
	if (statx(AT_FDCWD, path, 0, STATX_BTIME, &x) == 0 && (x.stx_mask & STATX_BTIME)) {
		assert_true(file.created.seconds == x.stx_btime.tv_sec);
		assert_true(file.created.nanoseconds == x.stx_btime.tv_nsec && file.created.seconds != 0);
	} else {
		assert_true(file.created.seconds == 0 && file.created.nanoseconds == 0);
	}
	assert_ok(unlink(path));
	assert_ok(filemap_stat(map, &file));
	assert_int_equal(file.links, 0);
	filemap_close(map);
}

static int stat_without_statx(void *context)
{
	struct filemap *map = context;
	struct filemap_stat file;

	if (deny_call(SYS_statx, ENOSYS) < 0)
		return CHILD_CANNOT;
	if (filemap_stat(map, &file) != 0 || file.size != PAGES * page_size() || file.links != 1)
		return 1;
	return file.created.seconds == 0 && file.created.nanoseconds == 0 ? 0 : 2;
}

static void stat_without_statx_knows_no_time_of_birth(void **state)
{
	struct filemap *map = open_file(make_file(state), FILEMAP_READ);
	const int r = t_in_child(stat_without_statx, map);

	filemap_close(map);
	if (r == CHILD_CANNOT)
		t_skip("no seccomp filters here");
	assert_ok(r);
}

static void stat_of_memory_is_its_size_and_its_birth(void **state)
{
	const struct filemap_stat nothing = {.size = 0};
	struct filemap_stat file;
	struct filemap *map;
	const time_t before = time(NULL);
	(void)state;

	assert_ok(filemap_anonymous(12345, NULL, &map, NULL));
	memset(&file, 0xAA, sizeof file);
	assert_ok(filemap_stat(map, &file));
	assert_int_equal(file.size, 12345);
	assert_true(file.created.seconds >= before && file.created.seconds <= time(NULL));
	assert_memory_equal(&file.modified, &file.created, sizeof file.created);
	assert_memory_equal(&file.accessed, &file.created, sizeof file.created);
	assert_memory_equal(&file.changed, &file.created, sizeof file.created);
	file.size = 0;
	file.created = file.modified = file.accessed = file.changed = nothing.created;
	assert_memory_equal(&file, &nothing, sizeof file);
	filemap_close(map);
	assert_ok(filemap_wrap_bytes("", "bytes", 5, &map, NULL));
	assert_ok(filemap_stat(map, &file));
	assert_int_equal(file.size, 5);
	filemap_close(map);
}

static struct filemap_identity identity_of(const struct filemap *map)
{
	struct filemap_identity identity;

	assert_ok(filemap_identity(map, &identity));
	return identity;
}

static void identity_is_made_of_what_the_kernel_tells(void **state)
{
	struct filemap *map = open_file(make_file(state), FILEMAP_READ);
	unsigned char handle[128];
	uint32_t type = 0, length = sizeof handle;
	struct filemap_stat file;

	const struct filemap_identity identity = identity_of(map);
	assert_ok(filemap_stat(map, &file));
	assert_true(identity.device == file.device && identity.inode == file.inode);
	assert_memory_equal(&identity.created, &file.created, sizeof file.created);
	if (fm__sys_file_handle(filemap_fd(map), &type, handle, &length) < 0)
		length = 0;
	assert_true(identity.handle_type == type && identity.handle_length == length);
	assert_memory_equal(identity.handle, handle, length);
	filemap_close(map);
}

static void identity_follows_the_file_and_not_its_name(void **state)
{
	const char *path = make_file(state);
	char text[FILEMAP_IDENTITY_TEXT];
	struct filemap_identity kept;

	struct filemap *map = open_file(path, FILEMAP_READ);
	const struct filemap_identity first = identity_of(map);
	assert_true(filemap_identity_format(&first, text, sizeof text) < FILEMAP_IDENTITY_TEXT);
	assert_ok(rename(path, t_path(*state, "moved")));
	make_file(state);
	struct filemap *other = open_file(path, FILEMAP_READ);
	struct filemap *moved = open_file(t_path(*state, "moved"), FILEMAP_READ);
	const struct filemap_identity second = identity_of(other), third = identity_of(moved);
	assert_ok(filemap_identity_parse(text, &kept));
	assert_true(filemap_identity_equal(&first, &third));
	assert_true(filemap_identity_equal(&kept, &third));
	assert_false(filemap_identity_equal(&first, &second));
	assert_memory_equal(&kept, &first, sizeof first);
	filemap_close(map);
	filemap_close(other);
	filemap_close(moved);
}

/* The number of a file that is gone is given to the next one: birth and handle tell them apart. */
static void identity_of_a_reused_number_is_another(void **state)
{
	char path[512];
	bool reused = false;

	snprintf(path, sizeof path, "%s", make_file(state));
	struct filemap *map = open_file(path, FILEMAP_READ);
	const struct filemap_identity first = identity_of(map);
	filemap_close(map);
	if (first.handle_length == 0 && first.created.seconds == 0)
		t_skip("this file system has neither handles nor times of birth");
	for (int i = 0; i < 100 && !reused; i++) {
		assert_ok(unlink(path));
		t_write_file(path, "new", 3);
		map = open_file(path, FILEMAP_READ);
		const struct filemap_identity next = identity_of(map);
		filemap_close(map);
		reused = next.inode == first.inode;
		assert_false(filemap_identity_equal(&first, &next));
	}
	if (!reused)
		t_skip("this file system did not give the number to another file");
}

static void identity_of_memory_is_that_of_its_file_if_it_has_one(void **state)
{
	struct filemap_identity identity;
	struct filemap *map, *other;
	(void)state;

	assert_ok(filemap_anonymous(100, NULL, &map, NULL));
	assert_int_equal(filemap_identity(map, &identity), FILEMAP_EMODE);
	filemap_close(map);
	assert_ok(filemap_wrap_bytes("", "bytes", 5, &map, NULL));
	assert_int_equal(filemap_identity(map, &identity), FILEMAP_EMODE);
	filemap_close(map);
	assert_ok(filemap_anonymous(100, FILEMAP_OPTIONS(.flags = FILEMAP_SHARED), &map, NULL));
	assert_ok(filemap_anonymous(100, FILEMAP_OPTIONS(.flags = FILEMAP_SHARED), &other, NULL));
	const struct filemap_identity first = identity_of(map), second = identity_of(other);
	assert_true(filemap_identity_equal(&first, &first));
	assert_false(filemap_identity_equal(&first, &second));
	filemap_close(map);
	filemap_close(other);
}

T_MAIN(T_TEST(pages_that_were_written_are_resident_until_evicted),
       T_TEST(pages_count_when_the_range_touches_them), T_TEST(dirty_pages_are_those_that_were_stored_to),
       T_TEST(cow_counts_the_pages_of_the_file_not_its_own), T_PLAIN(memory_counts_what_was_touched),
       T_PLAIN(huge_pages_count_as_what_they_are), T_TEST(range_outside_and_borrowed_bytes_are_refused),
       T_TEST(residency_on_an_old_kernel_knows_nothing_of_dirt),
       T_TEST(residency_of_somebody_elses_file_is_not_told_to_readers),
       T_TEST(stat_tells_what_the_kernel_tells), T_TEST(stat_without_statx_knows_no_time_of_birth),
       T_PLAIN(stat_of_memory_is_its_size_and_its_birth), T_TEST(identity_is_made_of_what_the_kernel_tells),
       T_TEST(identity_follows_the_file_and_not_its_name), T_TEST(identity_of_a_reused_number_is_another),
       T_PLAIN(identity_of_memory_is_that_of_its_file_if_it_has_one))
