/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Calls on the pages and the facts of a mapping, with each of their kernel calls failing once. */
#include "t.h"

#include <errno.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "fault.h"
#include "sys/sys.h"

#define PAGES 4

static struct filemap *create(void **state, const char *name)
{
	struct filemap *map;

	fault_reset();
	assert_ok(filemap_open(t_path(*state, name), FILEMAP_WRITE,
			       FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = PAGES * 4096), &map, NULL));
	return map;
}

static int fail_call(const char *call, int error, int (*run)(struct filemap *), struct filemap *map)
{
	fault_arm_call(call, 1, error);
	const int r = run(map);
	if (!fault_fired())
		fail_msg("%s was not called", call);
	fault_reset();
	return r;
}

static int advise(struct filemap *map)
{
	return filemap_advise(map, FILEMAP_ADVICE_RANDOM | FILEMAP_ADVICE_WILLNEED, 0, FILEMAP_TO_END);
}

static int prefault(struct filemap *map)
{
	return filemap_prefault(map, FILEMAP_PREFAULT_WRITE, 0, FILEMAP_TO_END);
}

static int discard(struct filemap *map)
{
	return filemap_discard(map, FILEMAP_DISCARD_REMOVE, 0, FILEMAP_TO_END);
}

static int lock(struct filemap *map)
{
	return filemap_mlock(map, 0, FILEMAP_TO_END);
}

static int unlock(struct filemap *map)
{
	return filemap_munlock(map, 0, FILEMAP_TO_END);
}

static void failures_on_pages_are_reported_as_they_are(void **state)
{
	struct filemap *map = create(state, "file");

	assert_int_equal(fail_call("madvise", EAGAIN, advise, map), -EAGAIN);
	assert_int_equal(fail_call("madvise", EFAULT, prefault, map), FILEMAP_EFAULT);
	assert_int_equal(fail_call("madvise", EHWPOISON, prefault, map), -EHWPOISON);
	assert_int_equal(fail_call("madvise", ENOMEM, prefault, map), -ENOMEM);
	assert_int_equal(fail_call("fallocate", EOPNOTSUPP, discard, map), -EOPNOTSUPP);
	assert_int_equal(fail_call("mlock", EPERM, lock, map), -EPERM);
	assert_int_equal(fail_call("munlock", ENOMEM, unlock, map), -ENOMEM);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	filemap_close(map);
}

static void advice_stops_at_the_first_that_is_refused(void **state)
{
	struct filemap *map = create(state, "file");

	fault_reset();
	fault_arm_call("madvise", 2, EINVAL);
	assert_int_equal(filemap_advise(map,
					FILEMAP_ADVICE_RANDOM | FILEMAP_ADVICE_COLD | FILEMAP_ADVICE_DODUMP,
					0, 1),
			 -EINVAL);
	assert_int_equal(fault_count("madvise"), 2);
	fault_reset();
	assert_ok(filemap_advise(map, FILEMAP_ADVICE_RANDOM, 4096, 0));
	assert_int_equal(fault_count("madvise"), 0);
	filemap_close(map);
}

static bool is_untouched(const void *memory, size_t size)
{
	const unsigned char *bytes = memory;

	for (size_t i = 0; i < size; i++)
		if (bytes[i] != 0x77)
			return false;
	return true;
}

static struct filemap_residency count;
static struct filemap_identity identity;
static struct filemap_stat file;

static int residency(struct filemap *map)
{
	memset(&count, 0x77, sizeof count);
	return filemap_residency(map, 0, FILEMAP_TO_END, &count);
}

static int identify(struct filemap *map)
{
	memset(&identity, 0x77, sizeof identity);
	return filemap_identity(map, &identity);
}

static int look(struct filemap *map)
{
	memset(&file, 0x77, sizeof file);
	return filemap_stat(map, &file);
}

static void failed_questions_write_no_answer(void **state)
{
	struct filemap *map = create(state, "file");

	assert_int_equal(fail_call("cachestat", EIO, residency, map), -EIO);
	assert_true(is_untouched(&count, sizeof count));
	assert_int_equal(fail_call("statx", EIO, identify, map), -EIO);
	assert_true(is_untouched(&identity, sizeof identity));
	assert_int_equal(fail_call("file_handle", ENOMEM, identify, map), -ENOMEM);
	assert_true(is_untouched(&identity, sizeof identity));
	assert_int_equal(fail_call("statx", EIO, look, map), -EIO);
	assert_true(is_untouched(&file, sizeof file));
	filemap_close(map);
}

static void file_system_without_handles_still_has_identities(void **state)
{
	struct filemap *map = create(state, "file");
	struct filemap_identity whole;

	assert_ok(filemap_identity(map, &whole));
	assert_ok(fail_call("file_handle", EOPNOTSUPP, identify, map));
	assert_int_equal(identity.handle_length, 0);
	assert_int_equal(identity.handle_type, 0);
	assert_true(filemap_identity_equal(&identity, &whole));
	assert_ok(fail_call("file_handle", EOVERFLOW, identify, map));
	assert_int_equal(identity.handle_length, 0);
	filemap_close(map);
}

static void fail_now(void *call)
{
	fault_arm_call(call, 1, EAGAIN);
}

static int fail_after_cachestat(const char *call, struct filemap *map)
{
	char name[16];

	snprintf(name, sizeof name, "%s", call);
	fault_arm_call("cachestat", 1, ENOSYS);
	fault_hook(call, 1, fail_now, name);
	const int r = residency(map);
	assert_string_equal(fault_fired_call(), call);
	assert_true(is_untouched(&count, sizeof count));
	fault_reset();
	return r;
}

/* The fallback of kernels before 6.5, in shared and in private windows, which map for it. */
static void residency_falls_back_and_leaks_nothing(void **state)
{
	const struct t_dir *dir = *state;
	struct filemap *map = create(state, "file"), *cow;

	assert_ok(filemap_window(map, FILEMAP_COW, 0, FILEMAP_TO_END, &cow, NULL));
	const struct t_census before = t_census_take(dir->path);
	fault_arm_call_persistent("cachestat", 1, ENOSYS);
	assert_ok(residency(map));
	assert_ok(residency(cow));
	assert_true(count.dirty == FILEMAP_UNKNOWN && count.writeback == FILEMAP_UNKNOWN);
	assert_int_equal(count.pages, PAGES * 4096 / count.page_size);
	assert_int_equal(fail_after_cachestat("mincore", map), -EAGAIN);
	assert_int_equal(fail_after_cachestat("mincore", cow), -EAGAIN);
	assert_int_equal(fail_after_cachestat("map", cow), -EAGAIN);
	const struct t_census after = t_census_take(dir->path);
	assert_int_equal(after.mappings, before.mappings);
	assert_int_equal(after.descriptors, before.descriptors);
	filemap_close(cow);
	filemap_close(map);
}

/* Nobody's file is told about to nobody: no right, no number. */
static void residency_is_told_to_owners_who_may_not_write(void **state)
{
	struct filemap *map = create(state, "file");

	fault_arm_call("may_write", 1, EACCES);
	assert_ok(residency(map));
	assert_int_equal(fault_count("is_owner"), 1);
	fault_reset();
	assert_ok(residency(map));
	assert_int_equal(fault_count("is_owner"), 0);
	fault_reset();
	filemap_close(map);
}

static int open_prepared(const char *path, struct filemap **ret, struct filemap_error *error)
{
	return filemap_open(path, FILEMAP_WRITE,
			    FILEMAP_OPTIONS(.flags = FILEMAP_CREATE | FILEMAP_DONTFORK | FILEMAP_DONTDUMP |
						     FILEMAP_MLOCK | FILEMAP_POPULATE,
					    .size = PAGES * 4096, .advice = FILEMAP_ADVICE_RANDOM),
			    ret, error);
}

/* Refused before the file is made larger, and what was made is removed. */
static void options_that_are_refused_leave_no_file(void **state)
{
	const char *path = t_path(*state, "new");
	struct filemap_error error;
	struct filemap *map;

	fault_reset();
	for (int nth = 1; nth <= 3; nth++) {
		fault_arm_call("madvise", nth, EINVAL);
		assert_int_equal(open_prepared(path, &map, &error), -EINVAL);
		assert_string_equal(error.step, "advise");
		fault_reset();
		assert_int_equal(t_file_size(path), -1);
		t_census_same(*state);
	}
	fault_arm_call("mlock", 1, ENOMEM);
	assert_int_equal(open_prepared(path, &map, &error), -ENOMEM);
	assert_string_equal(error.step, "lock in memory");
	assert_non_null(error.hint);
	assert_int_equal(fault_count("fallocate"), 0);
	fault_reset();
	assert_int_equal(t_file_size(path), -1);
	t_census_same(*state);
}

/* valgrind 3.19 does not know mlock2(2), and limits may be small. */
static void skip_where_nothing_can_be_locked(void)
{
	void *at;

	fault_reset();
	assert_ok(fm__sys_map(NULL, PAGES * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &at));
	const int r = fm__sys_mlock(at, PAGES * 4096, true);
	assert_ok(fm__sys_unmap(at, PAGES * 4096));
	if (r < 0)
		t_skip("no memory can be locked here");
}

/* What comes after publishing only makes the pages come sooner. */
static void pages_that_cannot_be_brought_in_are_left_out(void **state)
{
	const int errors[] = {EFAULT, EHWPOISON, EINVAL, ENOMEM};
	struct filemap *map;

	skip_where_nothing_can_be_locked();
	for (size_t i = 0; i < 4; i++) {
		fault_reset();
		fault_arm_call("madvise", 4, errors[i]);
		assert_ok(open_prepared(t_path(*state, "new"), &map, NULL));
		assert_true(fault_fired());
		assert_int_equal(fault_count("madvise"), 4);
		/* Before Linux 5.14 */
		assert_int_equal(fault_count("peek_own"), errors[i] == EINVAL);
		fault_reset();
		filemap_close(map);
	}
	fault_arm_call("mlock", 2, ENOMEM);
	assert_ok(open_prepared(t_path(*state, "new"), &map, NULL));
	assert_true(fault_fired());
	fault_reset();
	filemap_close(map);
}

/* DONTNEED is tried first; EINVAL means that the pages are locked, and have a call of their own. */
static void discard_of_memory_tries_what_the_pages_allow(void **state)
{
	struct filemap *map;
	(void)state;

	fault_reset();
	assert_ok(filemap_anonymous(PAGES * 4096, NULL, &map, NULL));
	fault_arm_call("madvise", 1, EINVAL);
	assert_int_equal(filemap_discard(map, FILEMAP_DISCARD_DONTNEED, 0, FILEMAP_TO_END), 0);
	assert_int_equal(fault_count("madvise"), 2);
	fault_reset();
	fault_arm_call("madvise", 1, EINVAL);
	assert_int_equal(filemap_discard(map, FILEMAP_DISCARD_FREE, 0, FILEMAP_TO_END), 0);
	assert_int_equal(fault_count("madvise"), 2);
	fault_reset();
	fault_arm_call_persistent("madvise", 1, EINVAL);
	assert_int_equal(filemap_discard(map, FILEMAP_DISCARD_FREE, 0, FILEMAP_TO_END), -EINVAL);
	fault_reset();
	fault_arm_call("madvise", 1, EIO);
	assert_int_equal(filemap_discard(map, FILEMAP_DISCARD_DONTNEED, 0, FILEMAP_TO_END), -EIO);
	fault_reset();
	filemap_close(map);
}

/* A page that cannot be had costs the rest of its step only. */
static void populating_goes_on_behind_what_cannot_be_had(void **state)
{
	struct filemap *map;
	const char *path = t_path(*state, "file");
	t_write_file(path, "", 0);
	assert_ok(truncate(path, 9 << 20));
	fault_reset();
	fault_arm_call("madvise", 1, EFAULT);
	assert_ok(filemap_open(path, FILEMAP_READ, FILEMAP_OPTIONS(.flags = FILEMAP_POPULATE), &map, NULL));
	assert_int_equal(fault_count("madvise"), 3); /* 4 MiB each */
	fault_reset();
	filemap_close(map);
}

/* What mlock(2) itself says of pages that cannot be had; before Linux 5.14 they are peeked at. */
static void locking_a_cow_window_reports_like_mlock(void **state)
{
	struct filemap *map;
	filemap_close(create(state, "file"));
	assert_ok(filemap_open(t_path(*state, "file"), FILEMAP_COW, NULL, &map, NULL));
	fault_reset();
	if (filemap_mlock(map, 0, 4096) < 0) {
		filemap_close(map);
		t_skip("no memory can be locked here");
	}
	assert_int_equal(fail_call("madvise", EFAULT, lock, map), -ENOMEM);
	assert_int_equal(fail_call("madvise", EAGAIN, lock, map), -EAGAIN);
	assert_int_equal(fail_call("madvise", EINVAL, lock, map), 0);
	fault_arm_call("madvise", 1, EINVAL);
	fault_arm_also("peek_own", 1, EFAULT);
	assert_int_equal(lock(map), -ENOMEM);
	fault_reset();
	filemap_close(map);
}

/* Filters of system calls say EPERM to what they do not know. */
static void residency_of_a_copy_is_that_of_the_file_at_its_place(void **state)
{
	const int errors[] = {ENOSYS, EPERM, EOPNOTSUPP};
	const char *path = t_path(*state, "file");
	struct filemap *map;
	t_write_file(path, "", 0);
	assert_ok(truncate(path, 64 << 20));
	assert_ok(filemap_open(path, FILEMAP_COW, FILEMAP_OPTIONS(.offset = 32 << 20), &map, NULL));
	for (size_t i = 0; i < 3; i++) {
		count.resident = 0;
		/* The kernel may drop a clean page at any time. */
		for (int attempt = 0; attempt < 20 && count.resident * count.page_size != 8192; attempt++) {
			fault_reset();
			assert_ok(filemap_prefault(map, FILEMAP_PREFAULT_READ, 0, 8192));
			fault_arm_call("cachestat", 1, errors[i]);
			assert_ok(filemap_residency(map, 0, 8192, &count));
		}
		assert_int_equal(count.resident * count.page_size, 8192);
	}
	fault_reset();
	filemap_close(map);
}

static void only_missing_huge_pages_get_a_hint_at_their_pool(void **state)
{
	const int errors[] = {EPERM, ENOMEM};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct filemap_error error = {0};
		struct filemap *map;
		fault_reset();
		fault_arm_call("map", 1, errors[i]);
		assert_int_equal(
			filemap_anonymous(100, FILEMAP_OPTIONS(.flags = FILEMAP_HUGE_2M), &map, &error),
			-errors[i]);
		assert_int_equal(error.hint != NULL, errors[i] == ENOMEM);
	}
	fault_reset();
}

T_MAIN(T_TEST(failures_on_pages_are_reported_as_they_are), T_TEST(advice_stops_at_the_first_that_is_refused),
       T_TEST(failed_questions_write_no_answer), T_TEST(file_system_without_handles_still_has_identities),
       T_TEST(residency_falls_back_and_leaks_nothing), T_TEST(residency_is_told_to_owners_who_may_not_write),
       T_TEST(options_that_are_refused_leave_no_file), T_TEST(pages_that_cannot_be_brought_in_are_left_out),
       T_TEST(discard_of_memory_tries_what_the_pages_allow),
       T_TEST(populating_goes_on_behind_what_cannot_be_had), T_TEST(locking_a_cow_window_reports_like_mlock),
       T_TEST(residency_of_a_copy_is_that_of_the_file_at_its_place),
       T_TEST(only_missing_huge_pages_get_a_hint_at_their_pool))
