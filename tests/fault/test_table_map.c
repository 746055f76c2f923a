/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The complete sweep of what is done with a mapping: made durable, resized, frozen, locked, advised, asked, copied
 * out of and closed.
 */
#include "split.h"
#include "sys/sys.h"
#include "table.h"

#include <sys/file.h>
#include <sys/mman.h>

static const char *no_mlock(void)
{
	return memory_can_be_locked() ? NULL : MLOCK_REASON;
}

#define RUN(name, call)                   \
	static void name(struct table *t) \
	{                                 \
		t->result = call;         \
	}
#define PREPARE(name, mode, options)          \
	static void name(struct table *t)     \
	{                                     \
		table_open(t, mode, options); \
	}

PREPARE(cow, FILEMAP_COW, NULL)
PREPARE(with_reserve, FILEMAP_WRITE, FILEMAP_OPTIONS(.reserve = 8 * TABLE_PAGE))
PREPARE(sparse, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_SPARSE))
PREPARE(cooperating, FILEMAP_WRITE, FILEMAP_OPTIONS(.sharing = FILEMAP_SHARING_COOPERATE))
PREPARE(cooperating_ofd, FILEMAP_WRITE,
	FILEMAP_OPTIONS(.sharing = FILEMAP_SHARING_COOPERATE, .lock_family = FILEMAP_LOCK_OFD))
PREPARE(ofd, FILEMAP_WRITE, FILEMAP_OPTIONS(.lock_family = FILEMAP_LOCK_OFD))
PREPARE(downgrading, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_DOWNGRADE_ON_FREEZE))
PREPARE(locked_in_memory, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_MLOCK))

static void private_memory(struct table *t)
{
	assert_ok(filemap_anonymous(TABLE_SIZE, NULL, &t->map, NULL));
	memset(filemap_data_mut(t->map), 1, TABLE_SIZE);
}

static void reserved_memory(struct table *t)
{
	assert_ok(filemap_anonymous(TABLE_SIZE, FILEMAP_OPTIONS(.reserve = 8 * TABLE_PAGE), &t->map, NULL));
}

static void shared_memory(struct table *t)
{
	assert_ok(filemap_anonymous(TABLE_SIZE, FILEMAP_OPTIONS(.flags = FILEMAP_SHARED), &t->map, NULL));
}

/* ---- durable ---- */

RUN(flush, filemap_flush(t->map))
RUN(flush_range, filemap_flush_range(t->map, 100, 200))
RUN(sync_all, filemap_sync(t->map))
RUN(write_back, filemap_writeback(t->map, 0, FILEMAP_TO_END))
RUN(commit, filemap_commit(t->map, TABLE_PAGE, 100, 0, "header", 6, &t->error))

static const struct table_operation flushes[] = {
	{.name = "flush", .prepare = table_write, .run = flush, .flags = TABLE_NO_ERROR},
	{.name = "flush of a reading mapping", .prepare = table_read, .run = flush, .flags = TABLE_NO_ERROR},
	{.name = "flush of COW", .prepare = cow, .run = flush, .flags = TABLE_NO_ERROR},
	{.name = "flush of memory", .prepare = private_memory, .run = flush, .flags = TABLE_NO_ERROR},
	{.name = "flush_range", .prepare = table_write, .run = flush_range, .flags = TABLE_NO_ERROR},
	{.name = "sync", .prepare = table_write, .run = sync_all, .flags = TABLE_NO_ERROR},
	{.name = "writeback", .prepare = table_write, .run = write_back, .flags = TABLE_NO_ERROR},
	{.name = "commit", .prepare = table_write, .run = commit},
};

static void every_way_to_the_device(void **state)
{
	table_run(*state, "flush", flushes, sizeof flushes / sizeof *flushes);
}

/* ---- size ---- */

RUN(grow, filemap_resize(t->map, 4 * TABLE_PAGE + 1, &t->error))
RUN(grow_by_pages, filemap_resize(t->map, 4 * TABLE_PAGE, &t->error))
RUN(shrink, filemap_resize(t->map, TABLE_PAGE + 1, &t->error))
RUN(shrink_to_nothing, filemap_resize(t->map, 0, &t->error))
RUN(allocate, filemap_allocate(t->map, 0, FILEMAP_TO_END, &t->error))

static void refresh(struct table *t)
{
	t->result = filemap_refresh(t->map, (uint64_t *)t->ret, &t->error);
}

static void then_grown(struct table *t)
{
	table_read(t);
	assert_ok(truncate(t->file, (off_t)(4 * TABLE_PAGE)));
}

static void then_cut(struct table *t)
{
	table_read(t);
	assert_ok(truncate(t->file, (off_t)TABLE_PAGE));
}

static void exclusive_cooperator(struct table *t)
{
	cooperating(t);
	assert_ok(filemap_lock(t->map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
}

/* Advice on a part splits the region: it cannot be moved as one. */
static void split_region(struct table *t)
{
	table_write(t);
	assert_ok(filemap_advise(t->map, FILEMAP_ADVICE_RANDOM, TABLE_PAGE, 1));
}

static const char *no_split(void)
{
	return split_is_refused() ? NULL : SPLIT_REASON;
}

static void slice(struct table *t)
{
	size_t cursor = 0;
	t->result = filemap_alloc_slice(t->map, &cursor, 1000, (void **)(void *)t->ret, &t->error);
	if (t->result == 0)
		assert_int_equal(cursor, 1008);
	else
		assert_int_equal(cursor, 0);
}

static void empty_file(struct table *t)
{
	assert_ok(filemap_open(t->file, FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW), &t->map,
			       NULL));
}

static void reservable(struct table *t)
{
	t->result = filemap_reservable(t->map);
}

/*
 * Excused: the lock for growth is waited for a second, and its giving back cannot fail; memory in a reserve that cannot
 * be given back is cleared.
 */
static const struct table_operation sizes[] = {
	{.name = "resize, growing", .prepare = table_write, .run = grow},
	{.name = "resize, growing within the reserve", .prepare = with_reserve, .run = grow},
	{.name = "resize, growing SPARSE", .prepare = sparse, .run = grow},
	{.name = "resize, growing COOPERATE",
	 .prepare = cooperating,
	 .run = grow,
	 .excuses = "ofd_lock:EACCES ofd_lock:EAGAIN ofd_lock#2"},
	{.name = "resize, growing COOPERATE OFD",
	 .prepare = cooperating_ofd,
	 .run = grow,
	 .excuses = "flock:EAGAIN flock#2"},
	{.name = "resize, growing a split region", .prepare = split_region, .run = grow, .lacks = no_split},
	{.name = "resize, growing MLOCK",
	 .prepare = locked_in_memory,
	 .run = grow_by_pages,
	 .lacks = no_mlock,
	 .flags = TABLE_REAL_PAGES},
	{.name = "resize, shrinking", .prepare = table_write, .run = shrink},
	{.name = "resize, shrinking within the reserve", .prepare = with_reserve, .run = shrink},
	{.name = "resize, shrinking to nothing", .prepare = table_write, .run = shrink_to_nothing},
	{.name = "resize, shrinking COOPERATE",
	 .prepare = exclusive_cooperator,
	 .run = shrink,
	 .excuses = "ofd_lock:EACCES ofd_lock:EAGAIN ofd_lock#2"},
	{.name = "resize, growing memory", .prepare = private_memory, .run = grow},
	{.name = "resize, growing memory in its reserve", .prepare = reserved_memory, .run = grow},
	{.name = "resize, shrinking memory", .prepare = private_memory, .run = shrink},
	{.name = "resize, shrinking memory in its reserve",
	 .prepare = reserved_memory,
	 .run = shrink,
	 .excuses = "madvise"},
	{.name = "resize, growing SHARED memory", .prepare = shared_memory, .run = grow},
	{.name = "resize, shrinking SHARED memory", .prepare = shared_memory, .run = shrink},
	{.name = "refresh, grown", .prepare = then_grown, .run = refresh},
	{.name = "refresh, cut", .prepare = then_cut, .run = refresh},
	{.name = "allocate", .prepare = sparse, .run = allocate},
	{.name = "alloc_slice, growing", .prepare = empty_file, .run = slice},
	{.name = "reservable", .prepare = table_write, .run = reservable},
};

static void every_change_of_size(void **state)
{
	table_run(*state, "resize", sizes, sizeof sizes / sizeof *sizes);
}

/* ---- protection and locks ---- */

RUN(freeze, filemap_freeze(t->map, &t->error))
RUN(freeze_exec, filemap_freeze_exec(t->map, &t->error))
RUN(thaw, filemap_thaw(t->map, &t->error))
RUN(lock_shared, filemap_lock(t->map, FILEMAP_SHARED_LOCK, 0, &t->error))
RUN(lock_exclusive, filemap_lock(t->map, FILEMAP_EXCLUSIVE_LOCK, 0, &t->error))
RUN(lock_waiting, filemap_lock(t->map, FILEMAP_EXCLUSIVE_LOCK, 20, &t->error))
RUN(unlock, filemap_unlock(t->map))

static void frozen(struct table *t)
{
	table_write(t);
	assert_ok(filemap_freeze(t->map, NULL));
}

static void frozen_memory(struct table *t)
{
	private_memory(t);
	assert_ok(filemap_freeze(t->map, NULL));
}

static void frozen_and_executable(struct table *t)
{
	table_write(t);
	assert_ok(filemap_freeze_exec(t->map, NULL));
}

static void unlocked(struct table *t)
{
	table_write(t);
	assert_ok(filemap_unlock(t->map));
}

/* Excused: a shared lock that could not be had of the exclusive one is tried once more; giving back cannot fail. */
static const struct table_operation protections[] = {
	{.name = "freeze", .prepare = table_write, .run = freeze},
	{.name = "freeze DOWNGRADE_ON_FREEZE", .prepare = downgrading, .run = freeze, .excuses = "flock#1"},
	{.name = "freeze of memory", .prepare = private_memory, .run = freeze},
	{.name = "freeze_exec", .prepare = table_write, .run = freeze_exec, .lacks = table_no_exec},
	{.name = "freeze_exec of memory", .prepare = private_memory, .run = freeze_exec},
	{.name = "thaw", .prepare = frozen, .run = thaw},
	{.name = "thaw of executable", .prepare = frozen_and_executable, .run = thaw, .lacks = table_no_exec},
	{.name = "thaw of memory", .prepare = frozen_memory, .run = thaw},
	{.name = "lock, exclusive from nothing", .prepare = unlocked, .run = lock_exclusive},
	{.name = "lock, waiting", .prepare = unlocked, .run = lock_waiting, .excuses = "flock:EAGAIN"},
	{.name = "lock, exclusive from shared", .prepare = cooperating, .run = lock_exclusive},
	{.name = "lock, shared from exclusive",
	 .prepare = exclusive_cooperator,
	 .run = lock_shared,
	 .excuses = "flock#1"},
	{.name = "lock OFD, exclusive from shared", .prepare = cooperating_ofd, .run = lock_exclusive},
	{.name = "unlock",
	 .prepare = table_write,
	 .run = unlock,
	 .flags = TABLE_NO_ERROR,
	 .excuses = "flock"},
	{.name = "unlock OFD", .prepare = ofd, .run = unlock, .flags = TABLE_NO_ERROR, .excuses = "ofd_lock"},
};

static void every_change_of_protection_and_lock(void **state)
{
	table_run(*state, "protect", protections, sizeof protections / sizeof *protections);
}

/* ---- pages ---- */

RUN(advise, filemap_advise(t->map, FILEMAP_ADVICE_RANDOM | FILEMAP_ADVICE_WILLNEED, 0, FILEMAP_TO_END))
RUN(advise_cold, filemap_advise(t->map, FILEMAP_ADVICE_COLD | FILEMAP_ADVICE_DONTDUMP, 0, FILEMAP_TO_END))
RUN(discard_dontneed, filemap_discard(t->map, FILEMAP_DISCARD_DONTNEED, 0, TABLE_PAGE))
RUN(discard_free, filemap_discard(t->map, FILEMAP_DISCARD_FREE, 0, TABLE_PAGE))
RUN(discard_remove, filemap_discard(t->map, FILEMAP_DISCARD_REMOVE, 0, TABLE_PAGE))
RUN(prefault_read, filemap_prefault(t->map, FILEMAP_PREFAULT_READ, 0, 2 * TABLE_PAGE))
RUN(prefault_write, filemap_prefault(t->map, FILEMAP_PREFAULT_WRITE, 0, 2 * TABLE_PAGE))
RUN(lock_memory, filemap_mlock(t->map, 0, 2 * TABLE_PAGE))
RUN(unlock_memory, filemap_munlock(t->map, 0, FILEMAP_TO_END))

/* Whether the kernel knows it is an answer, not a failure. */
static void advice_supported(struct table *t)
{
	t->result = filemap_advice_supported(FILEMAP_ADVICE_RANDOM);
}

static void residency(struct table *t)
{
	t->result = filemap_residency(t->map, 0, FILEMAP_TO_END, (struct filemap_residency *)(void *)t->ret);
}

static void changed_cow(struct table *t)
{
	cow(t);
	memset(filemap_data_mut(t->map), 0, TABLE_PAGE);
}

static void no_cachestat(void)
{
	fault_arm_also("cachestat", 1, ENOSYS);
}

static const char *lacks_cachestat(void)
{
	struct fm__cache_pages unused;
	const int r = fm__sys_cachestat(table_dir->fd, 0, 1, &unused);
	return r == -ENOSYS || r == -EPERM ? "there is no cachestat(2)" : NULL;
}

static const char *lacks_populate(void)
{
	const int r = fm__sys_madvise(NULL, 0, MADV_POPULATE_READ);
	return r == -EINVAL ? "there is no MADV_POPULATE_READ" : NULL;
}

static const char *no_mlock_populate(void)
{
	const char *reason = lacks_populate();
	return reason != NULL ? reason : no_mlock();
}

/*
 * Excused: DONTNEED of locked pages, and what old kernels do not know, is done in another way; residency is
 * counted with less detail.
 */

#define PAGES_FLAGS TABLE_NO_ERROR
static const struct table_operation pages[] = {
	{.name = "advise", .prepare = table_read, .run = advise, .flags = PAGES_FLAGS},
	{.name = "advise COLD DONTDUMP", .prepare = table_read, .run = advise_cold, .flags = PAGES_FLAGS},
	{.name = "advice_supported", .run = advice_supported, .flags = PAGES_FLAGS, .excuses = "madvise"},
	{.name = "discard DONTNEED",
	 .prepare = changed_cow,
	 .run = discard_dontneed,
	 .flags = PAGES_FLAGS,
	 .excuses = "madvise:EINVAL"},
	{.name = "discard FREE",
	 .prepare = private_memory,
	 .run = discard_free,
	 .flags = PAGES_FLAGS | TABLE_OWN_STATE,
	 .excuses = "madvise:EINVAL"},
	{.name = "discard REMOVE", .prepare = table_write, .run = discard_remove, .flags = PAGES_FLAGS},
	{.name = "prefault READ",
	 .prepare = table_read,
	 .run = prefault_read,
	 .lacks = lacks_populate,
	 .flags = PAGES_FLAGS | TABLE_REAL_PAGES,
	 .excuses = "madvise:EINVAL"},
	{.name = "prefault WRITE",
	 .prepare = table_write,
	 .run = prefault_write,
	 .lacks = lacks_populate,
	 .flags = PAGES_FLAGS | TABLE_REAL_PAGES,
	 .excuses = "madvise:EINVAL"},
	{.name = "mlock",
	 .prepare = table_read,
	 .run = lock_memory,
	 .lacks = no_mlock,
	 .flags = PAGES_FLAGS | TABLE_REAL_PAGES},
	{.name = "mlock of COW",
	 .prepare = cow,
	 .run = lock_memory,
	 .lacks = no_mlock_populate,
	 .flags = PAGES_FLAGS | TABLE_REAL_PAGES,
	 .excuses = "madvise:EINVAL"},
	{.name = "munlock",
	 .prepare = table_read,
	 .run = unlock_memory,
	 .flags = PAGES_FLAGS | TABLE_REAL_PAGES},
	{.name = "residency",
	 .prepare = table_read,
	 .run = residency,
	 .lacks = lacks_cachestat,
	 .flags = PAGES_FLAGS | TABLE_REAL_PAGES,
	 .excuses = "may_write cachestat:ENOSYS cachestat:EOPNOTSUPP cachestat:EPERM"},
	{.name = "residency before Linux 6.5",
	 .prepare = table_read,
	 .arm = no_cachestat,
	 .run = residency,
	 .flags = PAGES_FLAGS | TABLE_REAL_PAGES,
	 .excuses = "may_write cachestat:ENOSYS cachestat:EOPNOTSUPP cachestat:EPERM"},
	{.name = "residency of memory",
	 .prepare = private_memory,
	 .run = residency,
	 .flags = PAGES_FLAGS | TABLE_REAL_PAGES},
};

static void everything_about_pages(void **state)
{
	table_run(*state, "pages", pages, sizeof pages / sizeof *pages);
}

/* ---- asking and closing ---- */

static void status(struct table *t)
{
	t->result = filemap_stat(t->map, (struct filemap_stat *)(void *)t->ret);
}

static void identity(struct table *t)
{
	t->result = filemap_identity(t->map, (struct filemap_identity *)(void *)t->ret);
}

static void stream(struct table *t)
{
	FILE *file = NULL;
	char byte = 0;
	t->result = filemap_fopen(t->map, "r+", &file);
	if (t->result < 0) {
		assert_null(file);
		return;
	}
	assert_int_equal(fread(&byte, 1, 1, file), 1);
	assert_int_equal((unsigned char)byte, table_byte(0));
	assert_ok(fclose(file));
}

static void close_it(struct table *t)
{
	filemap_close(t->map);
	t->map = NULL;
	t->result = 0;
}

static void try_close(struct table *t)
{
	t->result = filemap_try_close(t->map);
	if (t->result == 0)
		t->map = NULL;
}

static void close_pinned(struct table *t)
{
	const struct filemap *pinned = t->map;
	assert_ok(filemap_pin(t->map));
	filemap_close(t->map);
	t->map = NULL;
	filemap_unpin(pinned);
	t->result = 0;
}

static void close_truncated(struct table *t)
{
	t->result = filemap_close_truncated(t->map, TABLE_PAGE + 1, &t->error);
	if (t->result == 0)
		t->map = NULL;
}

RUN(copy_to, filemap_copy_to(t->map, 0, FILEMAP_TO_END, t->other, &t->error))

/*
 * Excused: flock and ofd_lock give back a lock that the closing of the descriptor gives back anyway; a file system
 * without handles has identities without; a copy has other ways than files without a name, holes and the kernel's.
 */
static const struct table_operation ends[] = {
	{.name = "stat", .prepare = table_read, .run = status, .flags = TABLE_NO_ERROR},
	{.name = "identity",
	 .prepare = table_read,
	 .run = identity,
	 .flags = TABLE_NO_ERROR,
	 .excuses = "file_handle:EOPNOTSUPP file_handle:EOVERFLOW"},
	{.name = "fopen", .prepare = table_write, .run = stream, .flags = TABLE_NO_ERROR},
	{.name = "copy_to",
	 .prepare = table_read,
	 .run = copy_to,
	 .excuses = "openat:EISDIR openat:EOPNOTSUPP seek_data seek_hole copy_range:EINVAL copy_range:ENOSYS "
		    "copy_range:EOPNOTSUPP copy_range:EPERM copy_range:ETXTBSY copy_range:EXDEV "
		    "link_fd:EACCES link_fd:ENOENT link_fd:EPERM"},
	{.name = "copy_to of memory",
	 .prepare = private_memory,
	 .run = copy_to,
	 .excuses = "openat:EISDIR openat:EOPNOTSUPP link_fd:EACCES link_fd:ENOENT link_fd:EPERM"},
	{.name = "close READ", .prepare = table_read, .run = close_it, .excuses = "flock"},
	{.name = "close WRITE", .prepare = table_write, .run = close_it, .excuses = "flock"},
	{.name = "close OFD", .prepare = ofd, .run = close_it, .excuses = "ofd_lock"},
	{.name = "close memory", .prepare = private_memory, .run = close_it},
	{.name = "close SHARED memory", .prepare = shared_memory, .run = close_it},
	{.name = "try_close",
	 .prepare = table_write,
	 .run = try_close,
	 .excuses = "flock",
	 .flags = TABLE_NO_ERROR},
	{.name = "close, unpin", .prepare = table_write, .run = close_pinned, .excuses = "flock"},
	{.name = "close_truncated", .prepare = table_write, .run = close_truncated, .excuses = "flock"},
	{.name = "close_truncated of memory", .prepare = private_memory, .run = close_truncated},
};

static void every_question_copy_and_end(void **state)
{
	table_run(*state, "close", ends, sizeof ends / sizeof *ends);
}

TABLE_MAIN(T_TEST(every_way_to_the_device), T_TEST(every_change_of_size),
	   T_TEST(every_change_of_protection_and_lock), T_TEST(everything_about_pages),
	   T_TEST(every_question_copy_and_end))
