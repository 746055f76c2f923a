/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Removal with every system call failing in turn, alone and together with one of the calls that follow, in
 * each of the ways in which it can go. After each: the state says what is true of the directory, no byte of
 * either file is lost, nothing leaks, the detail names what is hidden; and without faults the next call ends
 * as documented and leaves nothing behind.
 */
#include "remove_cases.h"

#include <sys/file.h>

#define AFTER 4 /* calls after the first failure that fail, too, one at a time */

#define NAME_STATES (FILEMAP_STATE_NEEDS_UNLINK | FILEMAP_STATE_NEEDS_PARENT_SYNC | FILEMAP_STATE_REMOVED)

/* Of the ways that share their calls with the first three only the first errors are tried. */
static const int errors[] = {EIO, ENOSPC, EACCES, EINTR, ENOMEM, EMFILE};
#define ERROR_COUNT (sizeof errors / sizeof *errors)

struct fault {
	int nth, error; /* nth 0: none */
};

static struct scene scene;

static void arm_faults(const struct fault *faults)
{
	scene_arm(&scene);
	for (int i = 0; i < 2; i++)
		if (faults[i].nth > 0)
			fault_arm_also("", faults[i].nth, faults[i].error);
}

/* Whether the call that was to fail with the fault has this name, by the trace. */
static bool fault_hit(const char *trace, const struct fault *fault, const char *name)
{
	const char *at = trace;

	for (int i = 1; i < fault->nth && at != NULL; i++) {
		at = strchr(at, ' ');
		at = at != NULL ? at + 1 : NULL;
	}
	return fault->nth > 0 && at != NULL && strncmp(at, name, strlen(name)) == 0 &&
	       at[strlen(name)] == ' ';
}

/* A directory of ours that could not be removed, because removing it was what failed. */
static bool may_litter(const char *trace, const struct fault *faults)
{
	return fault_hit(trace, &faults[0], "unlinkat") || fault_hit(trace, &faults[1], "unlinkat") ||
	       way_is_back(scene.way); /* there the first unlinkat fails always */
}

/* The detail is where the file is, relative to the directory. */
static void assert_named_by_detail(const struct filemap_error *error, const struct place *place)
{
	char expected[sizeof error->detail];
	const char *path = scene_hidden_path(&scene, place) + strlen(scene.directory) + 1;

	snprintf(expected, sizeof expected, "%s", path);
	assert_string_equal(error->detail, expected);
}

/* EACCES is what some systems say of a lock that others hold. */
static bool is_expected(int r, const struct fault *faults, const struct filemap_error *error)
{
	if (r >= 0)
		return (r & ~(FILEMAP_WEAKLY_CHECKED | FILEMAP_STILL_LINKED)) == 0;
	if (way_is_back(scene.way) && r == -EPERM)
		return true;
	if (r == FILEMAP_ELOCKED)
		return faults[0].error == EACCES && faults[0].nth > 0;
	if (r == FILEMAP_EUNSYNCED)
		r = -error->sys_errno;
	return r == -faults[0].error || r == -faults[1].error ||
	       (r == FILEMAP_EREPLACED && way_is_foreign(scene.way));
}

/* r, error: of a removal, whose state was `state`. `links`: of our file. */
static void check_truth(int r, unsigned state, const struct filemap_error *error,
			const struct outcome *outcome, bool linked)
{
	const struct place *own = &outcome->own, *foreign = &outcome->foreign;

	scene_assert_contents(&scene, outcome);
	assert_int_equal(linked, own->named || own->hidden || own->aside);
	if (r >= 0) {
		assert_int_equal(state, FILEMAP_STATE_REMOVED);
		assert_false(own->named || own->hidden || foreign->hidden);
		return;
	}
	assert_non_null(error->step);
	assert_non_null(error->subject);
	assert_true(state == FILEMAP_STATE_NEEDS_UNLINK || state == FILEMAP_STATE_NEEDS_PARENT_SYNC);
	if (state == FILEMAP_STATE_NEEDS_PARENT_SYNC)
		assert_false(own->named || own->hidden || own->aside);
	else
		assert_true(own->named || own->hidden || own->aside);
	if (own->hidden)
		assert_named_by_detail(error, own);
	else if (foreign->hidden)
		assert_named_by_detail(error, foreign);
	else
		assert_string_equal(error->detail, scene.file);
}

static unsigned name_state(void)
{
	return filemap_state(scene.map) & NAME_STATES;
}

static bool is_linked(void)
{
	struct stat status;

	assert_ok(fstat(filemap_fd(scene.map), &status));
	return status.st_nlink > 0;
}

/* Another one has the name: it never goes. Else the file goes at last. */
static void check_retry(const char *trace, const struct fault *faults)
{
	struct filemap_error error = {0};
	const bool foreign_came = t_file_size(scene.other) < 0;
	const int r = filemap_remove(scene.map, &error);
	const struct outcome outcome = scene_look(&scene);

	assert_int_equal(r < 0 ? r : 0, foreign_came ? FILEMAP_EREPLACED : 0);
	check_truth(r, name_state(), &error, &outcome, is_linked());
	assert_false(outcome.own.hidden || outcome.foreign.hidden);
	assert_int_equal(outcome.foreign.named, foreign_came);
	assert_true(outcome.litter == 0 || may_litter(trace, faults));
	assert_int_equal(outcome.entries, outcome.foreign.named + outcome.own.aside + outcome.litter);
	if (outcome.litter > 0) {
		const int fd = open(scene.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_int_equal(filemap_recover_quarantine(fd, NULL), 0);
		close(fd);
		assert_int_equal(scene_look(&scene).litter, 0);
	}
}

static void report(const struct fault *faults, int r, const char *trace)
{
	if (getenv("FILEMAP_SWEEP") != NULL)
		printf("# %s: call %d %d, call %d %d: %d %s\n", way_names[scene.way], faults[0].nth,
		       faults[0].error, faults[1].nth, faults[1].error, r, trace);
}

/* How many calls the removal made. */
static int run_once(void **state, enum way way, const struct fault *faults)
{
	static char trace[4096];
	struct filemap_error error = {0};
	int calls = 0;

	scene_open(&scene, state, way);
	const struct t_census before = t_census_take(scene.top->path);
	arm_faults(faults);
	fault_trace_start();
	const int r = filemap_remove(scene.map, &error);
	snprintf(trace, sizeof trace, "%s", fault_trace());
	fault_reset();
	for (const char *at = trace; *at != '\0'; at++)
		calls += *at == ' ';
	report(faults, r, trace);
	const struct t_census after = t_census_take(scene.top->path);
	assert_memory_equal(&after, &before, sizeof after);
	const struct outcome outcome = scene_look(&scene);
	assert_true(is_expected(r, faults, &error));
	check_truth(r, name_state(), &error, &outcome, is_linked());
	assert_true(outcome.litter == 0 || may_litter(trace, faults));
	check_retry(trace, faults);
	assert_ok(filemap_set_remove_on_close(scene.map, 0));
	filemap_close(scene.map);
	t_census_same(*state);
	scene_drop(&scene);
	return calls;
}

static void sweep_one_failure(void **state, enum way way)
{
	const int calls = run_once(state, way, (const struct fault[2]){{0}});
	const size_t count = way <= WAY_WEAK ? ERROR_COUNT : 3;

	for (int n = 1; n <= calls; n++)
		for (size_t e = 0; e < count; e++)
			run_once(state, way, (const struct fault[2]){{n, errors[e]}});
}

static void sweep_two_failures(void **state, enum way way)
{
	const int calls = run_once(state, way, (const struct fault[2]){{0}});

	for (int n = 1; n <= calls; n++)
		for (int m = n + 1; m <= n + AFTER; m++)
			run_once(state, way,
				 (const struct fault[2]){{n, EIO}, {m, (n + m) % 4 == 0 ? ENOSPC : EACCES}});
}

/* ---- what was left hidden, and fails again ---- */

static void assert_left(int expected, bool named)
{
	struct filemap_error error = {0};

	assert_int_equal(filemap_remove(scene.map, &error), expected);
	fault_reset();
	const struct outcome outcome = scene_look(&scene);
	assert_int_equal(name_state(), FILEMAP_STATE_NEEDS_UNLINK);
	assert_int_equal(outcome.own.named, named);
	assert_true(outcome.own.hidden);
	assert_named_by_detail(&error, &outcome.own);
}

static void assert_removed_at_last(void)
{
	assert_int_equal(filemap_remove(scene.map, NULL), 0);
	assert_int_equal(scene_look(&scene).entries, 0);
	filemap_close(scene.map);
}

/* Moving back by a link stopped half way: forgetting the second name would be success with a name left. */
static void second_name_that_cannot_be_unlinked_is_told_and_goes_at_last(void **state)
{
	scene_open(&scene, state, WAY_BACK_LINKED);
	scene_arm(&scene);
	fault_arm_also("fsync", 1, EIO);
	assert_left(-EPERM, true);
	for (int i = 0; i < 2; i++) {
		fault_arm_call("unlinkat", 1, EIO);
		assert_left(-EIO, true);
	}
	assert_removed_at_last();
}

static void private_directory_that_cannot_be_entered_again_is_told_and_goes_at_last(void **state)
{
	scene_open(&scene, state, WAY_PRIVATE);
	fault_arm_call("unlinkat", 1, EIO);
	fault_arm_also("move", 2, EIO);
	assert_left(-EIO, false);
	for (int i = 0; i < 2; i++) {
		fault_arm_call("openat", 1, EMFILE);
		assert_left(-EMFILE, false);
	}
	assert_removed_at_last();
}

/* ---- with the close: nobody is there to try again, but the outcome is told, and true ---- */

struct told {
	int times, result;
	struct filemap_error error;
};

static void be_told(void *context, int result, const struct filemap_error *error)
{
	struct told *told = context;

	told->times++;
	told->result = result;
	if (error != NULL)
		told->error = *error;
}

/* What filemap_state() would have said. */
static unsigned state_of(const struct told *told)
{
	if (told->result >= 0)
		return FILEMAP_STATE_REMOVED;
	if (strncmp(told->error.step, "sync ", 5) == 0 || strcmp(told->error.step, "count links") == 0)
		return FILEMAP_STATE_NEEDS_PARENT_SYNC;
	return FILEMAP_STATE_NEEDS_UNLINK;
}

static void recover(const struct outcome *outcome)
{
	const int fd = open(scene.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const int r = filemap_recover_quarantine(fd, NULL);
	const struct outcome now = scene_look(&scene);

	close(fd);
	assert_int_equal(r, outcome->own.hidden || outcome->foreign.hidden);
	assert_false(now.own.hidden || now.foreign.hidden);
	assert_int_equal(now.litter, 0);
	scene_assert_contents(&scene, &now);
}

/* The lock is given back, whatever became of the name. */
static void close_and_check(int pin, struct told *told, const struct fault *faults, const char *trace)
{
	const struct outcome outcome = scene_look(&scene);
	struct stat status;

	assert_int_equal(told->times, 1);
	assert_true(is_expected(told->result, faults, &told->error));
	assert_ok(fstat(pin, &status));
	check_truth(told->result, state_of(told), &told->error, &outcome, status.st_nlink > 0);
	assert_true(outcome.litter == 0 || may_litter(trace, faults));
	assert_ok(flock(pin, LOCK_EX | LOCK_NB));
	close(pin);
	recover(&outcome);
}

static int close_once(void **state, enum way way, unsigned mode, const struct fault *faults)
{
	static char trace[4096];
	struct told told = {0};
	int calls = 0;

	scene_make(&scene, state, way);
	const int pin = open(scene.file, O_RDONLY | O_CLOEXEC);
	assert_ok(filemap_open(scene.file, mode,
			       FILEMAP_OPTIONS(.flags = FILEMAP_REMOVE_ON_CLOSE, .on_remove = be_told,
					       .on_remove_context = &told),
			       &scene.map, NULL));
	arm_faults(faults);
	fault_trace_start();
	filemap_close(scene.map);
	snprintf(trace, sizeof trace, "%s", fault_trace());
	fault_reset();
	report(faults, told.result, trace);
	for (const char *at = trace; *at != '\0'; at++)
		calls += *at == ' ';
	close_and_check(pin, &told, faults, trace);
	t_census_same(*state);
	scene_drop(&scene);
	return calls;
}

static void sweep_close(void **state, enum way way, unsigned mode)
{
	const int calls = close_once(state, way, mode, (const struct fault[2]){{0}});

	for (int n = 1; n <= calls; n++) {
		close_once(state, way, mode, (const struct fault[2]){{n, EIO}});
		close_once(state, way, mode, (const struct fault[2]){{n, ENOSPC}});
		close_once(state, way, mode, (const struct fault[2]){{n, EACCES}, {n + 1, EIO}});
	}
}

static void removal_at_close_tells_the_truth_after_every_failure(void **state)
{
	for (enum way way = WAY_HIDDEN; way <= WAY_FOREIGN; way++)
		sweep_close(state, way, FILEMAP_WRITE);
}

static void removal_at_close_of_a_reader_tells_the_truth_after_every_failure(void **state)
{
	sweep_close(state, WAY_HIDDEN, FILEMAP_READ);
	sweep_close(state, WAY_PRIVATE, FILEMAP_COW);
}

static void hidden_name_survives_every_failure(void **state)
{
	sweep_one_failure(state, WAY_HIDDEN);
}

static void private_directory_survives_every_failure(void **state)
{
	sweep_one_failure(state, WAY_PRIVATE);
}

static void weak_removal_survives_every_failure(void **state)
{
	sweep_one_failure(state, WAY_WEAK);
}

static void putting_foreign_file_back_survives_every_failure(void **state)
{
	for (enum way way = WAY_FOREIGN; way <= WAY_FOREIGN_LINKED; way++)
		sweep_one_failure(state, way);
}

static void putting_own_file_back_survives_every_failure(void **state)
{
	for (enum way way = WAY_BACK; way <= WAY_BACK_LINKED; way++)
		sweep_one_failure(state, way);
}

static void hidden_name_survives_two_failures(void **state)
{
	sweep_two_failures(state, WAY_HIDDEN);
}

static void private_directory_survives_two_failures(void **state)
{
	sweep_two_failures(state, WAY_PRIVATE);
}

static void weak_removal_survives_two_failures(void **state)
{
	sweep_two_failures(state, WAY_WEAK);
}

static void putting_foreign_file_back_survives_two_failures(void **state)
{
	for (enum way way = WAY_FOREIGN; way <= WAY_FOREIGN_LINKED; way++)
		sweep_two_failures(state, way);
}

static void putting_own_file_back_survives_two_failures(void **state)
{
	for (enum way way = WAY_BACK; way <= WAY_BACK_LINKED; way++)
		sweep_two_failures(state, way);
}

T_MAIN(T_TEST(hidden_name_survives_every_failure), T_TEST(private_directory_survives_every_failure),
       T_TEST(weak_removal_survives_every_failure), T_TEST(putting_foreign_file_back_survives_every_failure),
       T_TEST(putting_own_file_back_survives_every_failure), T_TEST(hidden_name_survives_two_failures),
       T_TEST(private_directory_survives_two_failures), T_TEST(weak_removal_survives_two_failures),
       T_TEST(putting_foreign_file_back_survives_two_failures),
       T_TEST(putting_own_file_back_survives_two_failures),
       T_TEST(second_name_that_cannot_be_unlinked_is_told_and_goes_at_last),
       T_TEST(private_directory_that_cannot_be_entered_again_is_told_and_goes_at_last),
       T_TEST(removal_at_close_tells_the_truth_after_every_failure),
       T_TEST(removal_at_close_of_a_reader_tells_the_truth_after_every_failure))
