/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Operations in parts with every system call failing in turn: what each comes to is what the synchronous one comes to
 * when the same call fails. The failure points of resize_later.c and remove_later.c are all met here.
 */
#include "remove_cases.h"

#include "later.h"
#include "split.h"

#define MOST_CALLS 40
#define NAME_STATES (FILEMAP_STATE_NEEDS_UNLINK | FILEMAP_STATE_NEEDS_PARENT_SYNC | FILEMAP_STATE_REMOVED)

/* ---- resize ---- */

static struct filemap *create_named(void **state, const char *name, uint64_t size,
				    struct filemap_options options)
{
	fault_reset();
	return later_create(*state, name, size, options);
}

static struct filemap *create(void **state, uint64_t size)
{
	return create_named(state, "file", size, (struct filemap_options){0});
}

static void assert_same_text(const char *one, const char *other)
{
	assert_int_equal(one != NULL, other != NULL);
	if (one != NULL)
		assert_string_equal(one, other);
}

static void assert_same_error(const struct filemap_error *one, const struct filemap_error *other)
{
	assert_int_equal(one->code, other->code);
	assert_int_equal(one->sys_errno, other->sys_errno);
	assert_same_text(one->step, other->step);
	assert_same_text(one->subject, other->subject);
	assert_same_text(one->hint, other->hint);
}

static void assert_same_state(const struct filemap *one, const struct filemap *other)
{
	assert_int_equal(filemap_state(one), filemap_state(other));
	assert_int_equal(filemap_size(one), filemap_size(other));
	assert_int_equal(t_file_size(filemap_path(one)), t_file_size(filemap_path(other)));
	assert_int_equal(filemap_lock_state(one), filemap_lock_state(other));
}

struct change {
	uint64_t from, to;
	struct filemap_options options;
};

/* The same call fails for the twin, if it makes it. */
static void compare_with_twin(void **state, const struct change *change, const char *call,
			      const struct filemap *map, int r, const struct filemap_error *error)
{
	struct filemap *twin = create_named(state, "twin", change->from, change->options);
	struct filemap_error twin_error = {0};

	fault_arm_call(call, 1, EIO);
	int twin_r = filemap_resize(twin, change->to, &twin_error);
	const bool fired = fault_fired();
	fault_reset();
	if (fired) {
		assert_int_equal(r, twin_r);
		assert_same_error(error, &twin_error);
		assert_same_state(map, twin);
	} else { /* it knows the size without asking */
		assert_string_equal(call, "fstat");
		assert_int_equal(filemap_size(map), change->from);
	}
	filemap_close(twin);
}

/* How many calls made it fail. */
static int sweep(void **state, const struct change *change)
{
	int failed = 0;

	for (int n = 1; n < MOST_CALLS; n++) {
		struct filemap *map = create_named(state, "file", change->from, change->options);
		struct filemap_error error = {0};
		char call[32];

		fault_arm(n, EIO);
		int r = later_resize(map, change->to, &error);
		const bool fired = fault_fired();
		snprintf(call, sizeof call, "%s", fault_fired_call());
		fault_reset();
		if (r < 0) {
			failed++;
			assert_int_equal(r, -EIO);
			later_assert_content(map, change->from);
			compare_with_twin(state, change, call, map, r, &error);
			assert_ok(later_resize(map, change->to, NULL)); /* the handle goes on */
		}
		assert_int_equal(filemap_size(map), change->to);
		assert_int_equal(t_file_size(filemap_path(map)), change->to);
		later_assert_content(map, change->from);
		assert_ok(filemap_try_close(map));
		t_census_same(*state);
		if (!fired)
			return failed;
	}
	fail_msg("the sweep did not end");
	return failed;
}

static void resize_in_parts_fails_as_in_one_go_at_every_call(void **state)
{
	for (size_t page = 4096; page <= 65536; page *= 4) {
		fault_page_size(page);
		assert_int_equal(sweep(state, &(struct change){100, 200, {0}}), 3); /* fstat twice, pwrite */
		assert_int_equal(sweep(state, &(struct change){page, 3 * page, {0}}), 4);
		assert_int_equal(sweep(state, &(struct change){page + 1, 5 * page + 1, {0}}), 5);
		assert_int_equal(sweep(state, &(struct change){100, 5 * page, {.flags = FILEMAP_SPARSE}}), 5);
		assert_int_equal(sweep(state, &(struct change){page, 3 * page, {.reserve = 1 << 20}}), 2);
		assert_int_equal(sweep(state, &(struct change){5 * page + 1, page, {0}}), 3);
		assert_int_equal(sweep(state, &(struct change){3 * page, 0, {.reserve = 1 << 20}}), 3);
	}
	fault_page_size(0);
}

static void cooperating_growth_in_parts_leaves_the_file_longer_as_in_one_go(void **state)
{
	const struct change change = {100, 50000, {.sharing = FILEMAP_SHARING_COOPERATE}};
	const char *const calls[] = {"ofd_lock", "fstat", "pwrite", "fallocate", "remap"};

	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		struct filemap *map = create_named(state, "file", change.from, change.options);
		struct filemap_error error = {0};

		fault_arm_call(calls[i], 1, EIO);
		int r = later_resize(map, change.to, &error);
		fault_reset();
		assert_int_equal(r, -EIO);
		compare_with_twin(state, &change, calls[i], map, r, &error);
		later_assert_content(map, 100);
		assert_ok(filemap_resize(map, change.to, NULL)); /* the lock for growth is free again */
		later_assert_content(map, 100);
		assert_ok(filemap_try_close(map));
	}
}

static void growth_in_parts_that_cannot_be_locked_in_memory_is_undone(void **state)
{
	const struct change change = {100, 50000, {.flags = FILEMAP_MLOCK, .reserve = 1 << 20}};
	struct filemap_error error = {0};
	struct filemap *map;

	if (!memory_can_be_locked())
		t_skip(MLOCK_REASON);
	map = create_named(state, "file", change.from, change.options);
	fault_arm_call("mlock", 1, EIO);
	int r = later_resize(map, change.to, &error);
	fault_reset();
	assert_int_equal(r, -EIO);
	assert_string_equal(error.step, "lock in memory");
	compare_with_twin(state, &change, "mlock", map, r, &error);
	assert_ok(later_resize(map, change.to, NULL));
	filemap_close(map);
}

static int refuse(const struct fm__call *call)
{
	(void)call;
	return -EIO;
}

/* With a reserve the size is known without asking; not any more when the file kept what was to be undone. */
static void growth_in_parts_that_could_not_be_undone_is_found_by_the_next_resize(void **state)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct filemap *map = create_named(state, "file", 100, (struct filemap_options){.reserve = 1 << 20});
	struct filemap_error error = {0};

	fault_arm_call("ftruncate", 1, EIO);
	assert_int_equal(later_resize_by(map, 3 * page, refuse, &error), -EIO);
	assert_true(fault_fired());
	fault_reset();
	assert_non_null(error.hint);
	assert_int_equal(t_file_size(filemap_path(map)), page);
	assert_int_equal(filemap_size(map), 100);
	assert_ok(filemap_resize(map, 200, NULL));
	assert_int_equal(t_file_size(filemap_path(map)), 200);
	filemap_close(map);
}

/* ---- a cut that fails ---- */

static int64_t cut_to; /* -1: not at all */
static char cut_path[512];

static int cut_and_complain(const struct fm__call *call)
{
	assert_int_equal(call->kind, FM_CALL_TRUNCATE);
	if (cut_to >= 0)
		assert_ok(truncate(cut_path, (off_t)cut_to));
	return -EIO;
}

static struct filemap *cut_badly(void **state, int64_t to, struct filemap_error *error)
{
	struct filemap *map = create(state, 5000);

	cut_to = to;
	snprintf(cut_path, sizeof cut_path, "%s", filemap_path(map));
	assert_int_equal(later_resize_by(map, 100, cut_and_complain, error), -EIO);
	assert_string_equal(error->step, "truncate");
	return map;
}

static void failed_cut_in_parts_shows_what_the_file_has(void **state)
{
	struct filemap_error error = {0};
	struct filemap *map = cut_badly(state, -1, &error);

	assert_int_equal(filemap_size(map), 5000);
	later_assert_content(map, 5000);
	assert_ok(filemap_resize(map, 100, NULL));
	filemap_close(map);
	map = cut_badly(state, 100, &error);
	assert_int_equal(filemap_size(map), 100);
	assert_string_equal(error.hint, "the file was cut nevertheless; so was the window");
	assert_int_equal(filemap_state(map), FILEMAP_STATE_LIVE);
	assert_ok(filemap_resize(map, 5000, NULL));
	filemap_close(map);
	map = cut_badly(state, 2000, &error);
	assert_int_equal(filemap_state(map), FILEMAP_STATE_POISONED);
	assert_int_equal(filemap_poison_cause(map), -EIO);
	assert_null(filemap_data(map));
	assert_ok(filemap_try_close(map));
}

static void cut_in_parts_gives_its_address_space_back(void **state)
{
	struct filemap *map = create(state, 500000);

	fault_reset();
	assert_ok(later_resize(map, 100, NULL));
	assert_int_equal(fault_count("unmap"), 1);
	filemap_close(map);
}

static void cut_in_parts_with_unknown_outcome_poisons(void **state)
{
	struct filemap_error error = {0};
	struct filemap *map = create(state, 5000);

	fault_arm_call("fstat", 3, EIO); /* begin, prepare, end */
	assert_int_equal(later_resize_by(map, 100, refuse, &error), -EIO);
	assert_true(fault_fired());
	fault_reset();
	assert_int_equal(filemap_state(map), FILEMAP_STATE_POISONED);
	assert_int_equal(filemap_resize(map, 100, NULL), FILEMAP_EPOISONED); /* not busy any more */
	filemap_close(map);
}

/* What others had grown is cut, but the window cannot follow up to there: nothing that it shows is gone. */
static void cut_that_the_window_cannot_follow_keeps_it_as_it_was(void **state)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct filemap *map = create(state, page);
	struct filemap_error error = {0};

	assert_ok(truncate(filemap_path(map), (off_t)(90 * page)));
	fault_arm_call("remap", 1, EIO);
	assert_int_equal(later_resize(map, 50 * page, &error), -EIO);
	fault_reset();
	assert_string_equal(error.step, "remap");
	assert_string_equal(error.hint, "the file was cut; the window is as it was");
	assert_int_equal(filemap_size(map), page);
	assert_int_equal(t_file_size(filemap_path(map)), 50 * page);
	later_assert_content(map, page);
	assert_ok(filemap_refresh(map, NULL, NULL));
	assert_int_equal(filemap_size(map), 50 * page);
	filemap_close(map);
}

static void memory_that_cannot_grow_in_the_end_is_as_it_was(void **state)
{
	struct filemap_error error = {0};
	struct filemap *map;

	(void)state;
	fault_reset();
	assert_ok(filemap_anonymous(50000, NULL, &map, NULL));
	memset(filemap_data_mut(map), 0xAA, 50000);
	fault_arm_call("remap", 1, ENOMEM);
	assert_int_equal(later_resize(map, 90000, &error), -ENOMEM);
	fault_reset();
	assert_string_equal(error.step, "remap");
	assert_int_equal(filemap_size(map), 50000);
	later_assert_content(map, 50000);
	assert_ok(later_resize(map, 90000, NULL));
	later_assert_content(map, 50000);
	filemap_close(map);
}

/* ---- flush ---- */

static void kind_of_the_file_system_is_asked_once(void **state)
{
	struct filemap *map = create(state, 5000);
	struct fm__flush flush;

	fault_arm_call("fs_type", 1, EIO);
	for (int i = 0; i < 3; i++) {
		assert_ok(fm__map_flush_begin(map, 0, 1, &flush));
		assert_int_equal(flush.is_memory, 0); /* who cannot tell may have a device */
		assert_ok(fm__map_flush_end(&flush, 0));
	}
	assert_int_equal(fault_count("fs_type"), 1);
	fault_reset();
	filemap_close(map);
}

/* ---- remove ---- */

static struct scene scene;

/* What a removal has come to. */
struct verdict {
	int r, calls;
	unsigned state;
	struct filemap_error error;
	struct outcome outcome;
};

static int count_calls(const char *trace)
{
	int calls = 0;

	for (; *trace != '\0'; trace++)
		calls += *trace == ' ';
	return calls;
}

static int run_later(void)
{
	fault_reset();
	return later_remove(scene.map, NULL);
}

static int run_now(void)
{
	fault_reset();
	return filemap_remove(scene.map, NULL);
}

/* nth 0: no fault beyond those of the way. */
static void arm(int nth)
{
	scene_arm(&scene);
	if (nth > 0)
		fault_arm_also("", nth, EIO);
	fault_trace_start();
}

static struct verdict judge(int r, const struct filemap_error *error)
{
	struct verdict verdict = {.r = r, .calls = count_calls(fault_trace()), .error = *error};

	fault_reset();
	verdict.state = filemap_state(scene.map) & NAME_STATES;
	verdict.outcome = scene_look(&scene);
	scene_assert_contents(&scene, &verdict.outcome);
	return verdict;
}

static struct verdict remove_now(void **state, enum way way, int nth)
{
	struct filemap_error error = {0};

	scene_open(&scene, state, way);
	arm(nth);
	return judge(filemap_remove(scene.map, &error), &error);
}

static struct verdict remove_later(void **state, enum way way, int nth)
{
	struct filemap_error error = {0};
	struct fm__removing removing;

	scene_open(&scene, state, way);
	assert_ok(fm__map_remove_begin(scene.map, &removing, &error));
	arm(nth);
	int r = later_unlink(&removing, fm__call_run, &error);
	return judge(fm__map_remove_end(&removing, r, &error), &error);
}

static void finish(int r, int expected)
{
	assert_int_equal(r, expected);
	assert_ok(filemap_set_remove_on_close(scene.map, 0));
	assert_ok(filemap_try_close(scene.map));
	scene_drop(&scene);
}

static void assert_same_place(const struct place *one, const struct place *other)
{
	assert_int_equal(one->named, other->named);
	assert_int_equal(one->aside, other->aside);
	assert_int_equal(one->hidden, other->hidden);
}

static void assert_same_verdict(const struct verdict *one, const struct verdict *other)
{
	assert_int_equal(one->r, other->r);
	assert_int_equal(one->calls, other->calls);
	assert_int_equal(one->state, other->state);
	assert_same_place(&one->outcome.own, &other->outcome.own);
	assert_same_place(&one->outcome.foreign, &other->outcome.foreign);
	assert_int_equal(one->outcome.entries, other->outcome.entries);
	if (one->r >= 0)
		return;
	assert_same_error(&one->error, &other->error);
	if (!one->outcome.own.hidden && !one->outcome.foreign.hidden)
		assert_string_equal(one->error.detail, other->error.detail);
}

static void removal_in_parts_fails_as_in_one_go_at_every_call(void **state)
{
	int failed = 0;

	for (enum way way = WAY_HIDDEN; way < WAY_COUNT; way++) {
		int calls = 1;

		for (int nth = 0; nth <= calls; nth++) {
			struct verdict now = remove_now(state, way, nth);
			int again = run_now();
			finish(again, again);
			struct verdict later = remove_later(state, way, nth);
			assert_same_verdict(&later, &now);
			finish(run_later(), again); /* each goes on from where it stands, to the same end */
			t_census_same(*state);
			calls = now.calls > calls ? now.calls : calls;
			failed += now.r < 0;
		}
	}
	assert_true(failed > 40);
}

static void removal_in_parts_opens_the_directory_that_was_not_readable(void **state)
{
	const int errors[] = {0, EACCES};

	for (size_t i = 0; i < 2; i++) {
		struct filemap_error error = {0};

		scene_make(&scene, state, WAY_HIDDEN);
		fault_arm_call("openat", 1, EACCES);
		assert_ok(filemap_open(scene.file, FILEMAP_WRITE, NULL, &scene.map, NULL));
		assert_true(fault_fired());
		fault_reset();
		if (errors[i] != 0)
			fault_arm_call("openat", 1, errors[i]);
		fault_trace_start();
		assert_int_equal(later_remove(scene.map, &error), -errors[i]);
		assert_int_equal(strncmp(fault_trace(), "openat ", 7), 0); /* before anything is moved */
		assert_int_equal(fault_count("close"), errors[i] == 0);
		fault_reset();
		assert_int_equal(filemap_state(scene.map) & NAME_STATES,
				 errors[i] == 0 ? FILEMAP_STATE_REMOVED : 0);
		if (errors[i] != 0)
			assert_string_equal(error.step, "open parent directory");
		filemap_close(scene.map); /* nothing was tried: it does not try again */
		assert_int_equal(t_file_size(scene.file) < 0, errors[i] == 0);
		scene_drop(&scene);
		t_census_same(*state);
	}
}

/* As filemap_remove() does: a failed one is tried again by close, one that succeeded is not. */
static void failed_removal_in_parts_is_tried_again_at_close(void **state)
{
	scene_open(&scene, state, WAY_HIDDEN);
	fault_arm_call("fsync", 1, EIO);
	assert_int_equal(later_remove(scene.map, NULL), FILEMAP_EUNSYNCED);
	fault_reset();
	fault_trace_start();
	filemap_close(scene.map);
	assert_string_equal(fault_trace(), "unmap fstat fsync flock close close ");
	fault_reset();
	scene_drop(&scene);
}

static void removal_without_memory_is_refused_and_changes_nothing(void **state)
{
	struct filemap_error error = {0};
	struct fm__removing removing;

	scene_open(&scene, state, WAY_HIDDEN);
	fault_arm_call("zalloc", 1, ENOMEM);
	assert_int_equal(fm__map_remove_begin(scene.map, &removing, &error), -ENOMEM);
	assert_true(fault_fired());
	fault_reset();
	assert_int_equal(error.code, -ENOMEM);
	assert_ok(filemap_resize(scene.map, 100, NULL)); /* not busy */
	assert_ok(later_remove(scene.map, NULL));
	assert_ok(filemap_try_close(scene.map));
	scene_drop(&scene);
}

T_MAIN(T_TEST(resize_in_parts_fails_as_in_one_go_at_every_call),
       T_TEST(cooperating_growth_in_parts_leaves_the_file_longer_as_in_one_go),
       T_TEST(growth_in_parts_that_cannot_be_locked_in_memory_is_undone),
       T_TEST(growth_in_parts_that_could_not_be_undone_is_found_by_the_next_resize),
       T_TEST(failed_cut_in_parts_shows_what_the_file_has), T_TEST(cut_in_parts_gives_its_address_space_back),
       T_TEST(cut_in_parts_with_unknown_outcome_poisons),
       T_TEST(cut_that_the_window_cannot_follow_keeps_it_as_it_was),
       T_TEST(memory_that_cannot_grow_in_the_end_is_as_it_was), T_TEST(kind_of_the_file_system_is_asked_once),
       T_TEST(removal_in_parts_fails_as_in_one_go_at_every_call),
       T_TEST(removal_in_parts_opens_the_directory_that_was_not_readable),
       T_TEST(failed_removal_in_parts_is_tried_again_at_close),
       T_TEST(removal_without_memory_is_refused_and_changes_nothing))
