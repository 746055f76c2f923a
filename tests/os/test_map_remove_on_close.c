/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The removal at the close of a file's last window: when it is done, who does it, and who is told what, once. */
#include "remove.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "map/map.h"

/* Of a new file, which is removed at close. */
static struct filemap *make_telling(void **state, struct told *told)
{
	t_write_file(PATH_OF(state), "hello", 5);
	return open_telling(state, FILEMAP_WRITE, FILEMAP_REMOVE_ON_CLOSE, told);
}

static void option_removes_at_close_and_not_before(void **state)
{
	struct told told = {0};
	struct filemap *map = make_telling(state, &told);
	assert_int_equal(filemap_state(map), LIVE);
	assert_untouched(state);
	filemap_close(map);
	assert_told(&told, 0);
	assert_true(pthread_equal(told.thread, pthread_self()));
	assert_nothing_left(state);
	t_census_same(*state);
}

static void option_needs_nobody_to_tell(void **state)
{
	t_write_file(PATH_OF(state), "hello", 5);
	filemap_close(
		open_ok(PATH_OF(state), FILEMAP_WRITE, FILEMAP_OPTIONS(.flags = FILEMAP_REMOVE_ON_CLOSE)));
	assert_nothing_left(state);
}

static void option_removes_what_it_created(void **state)
{
	struct told told = {0};
	filemap_close(
		open_telling(state, FILEMAP_WRITE, FILEMAP_CREATE_NEW | FILEMAP_REMOVE_ON_CLOSE, &told));
	assert_told(&told, 0);
	assert_nothing_left(state);
}

/* Alone with the file: its shared lock is made exclusive. */
static void option_removes_in_every_mode(void **state)
{
	const unsigned modes[] = {FILEMAP_READ, FILEMAP_EXEC, FILEMAP_COW};
	for (size_t i = 0; i < 3; i++) {
		struct told told = {0};
		struct filemap *map = NULL;
		t_write_file(PATH_OF(state), "hello", 5);
		const int r = filemap_open(PATH_OF(state), modes[i],
					   FILEMAP_OPTIONS(.flags = FILEMAP_REMOVE_ON_CLOSE,
							   .on_remove = note, .on_remove_context = &told),
					   &map, NULL);
		if (modes[i] == FILEMAP_EXEC && r == -EPERM)
			continue; /* mounted noexec */
		assert_ok(r);
		filemap_close(map);
		assert_told(&told, 0);
		assert_nothing_left(state);
	}
}

static void option_asks_for_no_lock_where_there_is_none(void **state)
{
	struct told told = {0};
	t_write_file(PATH_OF(state), "hello", 5);
	struct filemap *other = open_ok(PATH_OF(state), FILEMAP_READ, NULL);
	filemap_close(
		open_ok(PATH_OF(state), FILEMAP_READ,
			FILEMAP_OPTIONS(.flags = FILEMAP_REMOVE_ON_CLOSE, .lock_family = FILEMAP_LOCK_NONE,
					.on_remove = note, .on_remove_context = &told)));
	assert_told(&told, 0);
	assert_nothing_left(state);
	filemap_close(other);
}

static void option_is_for_cooperating_writers_too(void **state)
{
	struct told told = {0};
	t_write_file(PATH_OF(state), "hello", 5);
	filemap_close(open_ok(PATH_OF(state), FILEMAP_WRITE,
			      FILEMAP_OPTIONS(.flags = FILEMAP_REMOVE_ON_CLOSE,
					      .sharing = FILEMAP_SHARING_COOPERATE, .on_remove = note,
					      .on_remove_context = &told)));
	assert_told(&told, 0);
	assert_nothing_left(state);
}

static void option_is_for_ofd_writers_too(void **state)
{
	struct told told = {0};
	t_write_file(PATH_OF(state), "hello", 5);
	struct filemap *map = open_ok(PATH_OF(state), FILEMAP_WRITE,
				      FILEMAP_OPTIONS(.lock_family = FILEMAP_LOCK_OFD, .on_remove = note,
						      .on_remove_context = &told));
	struct filemap *window;
	assert_ok(filemap_window(map, FILEMAP_READ, 0, 5, &window, NULL));
	assert_ok(filemap_set_remove_on_close(window, 1)); /* the lock is that of the file */
	filemap_close(window);
	filemap_close(map);
	assert_told(&told, 0);
	assert_nothing_left(state);
}

static void setter_says_it_later(void **state)
{
	struct told told = {0};
	t_write_file(PATH_OF(state), "hello", 5);
	struct filemap *map = open_telling(state, FILEMAP_WRITE, 0, &told);
	assert_ok(filemap_set_remove_on_close(map, 1));
	assert_ok(filemap_set_remove_on_close(map, 1));
	assert_int_equal(filemap_state(map), LIVE);
	assert_untouched(state);
	filemap_close(map);
	assert_told(&told, 0);
	assert_nothing_left(state);
}

static void setter_calls_the_option_off(void **state)
{
	struct told told = {0};
	struct filemap *map = make_telling(state, &told);
	assert_ok(filemap_set_remove_on_close(map, 0));
	filemap_close(map);
	assert_int_equal(told.calls, 0);
	assert_untouched(state);
}

static void setter_takes_0_and_1_only(void **state)
{
	struct told told = {0};
	struct filemap *map = make_telling(state, &told);
	assert_ok(filemap_set_remove_on_close(map, 0));
	assert_int_equal(filemap_set_remove_on_close(map, 2), FILEMAP_EOPTION);
	assert_int_equal(filemap_set_remove_on_close(map, UINT32_MAX), FILEMAP_EOPTION);
	filemap_close(map);
	assert_int_equal(told.calls, 0);
	assert_untouched(state);
}

static void setter_needs_a_pinned_directory(void **state)
{
	struct filemap *map;
	t_write_file(PATH_OF(state), "hello", 5);
	for (int by_fd = 0; by_fd < 2; by_fd++) {
		const int fd = open(PATH_OF(state), O_RDWR | O_CLOEXEC);
		if (by_fd)
			assert_ok(filemap_open_fd(fd, FILEMAP_WRITE, NULL, &map, NULL));
		else
			map = open_ok(PATH_OF(state), FILEMAP_READ, NULL);
		close(fd);
		assert_int_equal(filemap_set_remove_on_close(map, 1), FILEMAP_EMODE);
		assert_ok(filemap_set_remove_on_close(map, 0));
		filemap_close(map);
		assert_untouched(state);
	}
}

static void setter_means_nothing_for_memory(void **state)
{
	struct filemap *map;
	t_write_file(PATH_OF(state), "hello", 5);
	for (unsigned flags = 0; flags <= FILEMAP_SHARED; flags += FILEMAP_SHARED) {
		assert_ok(
			filemap_anonymous(5, FILEMAP_OPTIONS(.flags = flags, .label = "label"), &map, NULL));
		assert_ok(filemap_set_remove_on_close(map, 1));
		assert_int_equal(filemap_set_remove_on_close(map, 2), FILEMAP_EOPTION);
		filemap_close(map);
	}
	assert_ok(filemap_wrap_bytes(PATH_OF(state), "bytes", 5, &map, NULL));
	assert_ok(filemap_set_remove_on_close(map, 1));
	assert_ok(filemap_set_remove_on_close(map, 0));
	filemap_close(map);
	assert_untouched(state);
}

/* Closed first or last, asked through the one or the other. */
static void last_window_removes(void **state)
{
	for (int order = 0; order < 4; order++) {
		struct told told = {0};
		struct filemap *window, *third;
		t_write_file(PATH_OF(state), "hello", 5);
		struct filemap *map = open_telling(state, FILEMAP_WRITE, 0, &told);
		assert_ok(filemap_window(map, FILEMAP_READ, 0, 5, &window, NULL));
		assert_ok(filemap_window(map, FILEMAP_WRITE, 1, 2, &third, NULL));
		assert_ok(filemap_set_remove_on_close(order & 1 ? window : map, 1));
		filemap_close(order & 2 ? window : map);
		filemap_close(third);
		assert_int_equal(told.calls, 0);
		assert_untouched(state);
		filemap_close(order & 2 ? map : window);
		assert_told(&told, 0);
		assert_nothing_left(state);
		t_census_same(*state);
	}
}

static void any_window_calls_it_off(void **state)
{
	struct told told = {0};
	struct filemap *map = make_telling(state, &told), *window;
	assert_ok(filemap_window(map, FILEMAP_READ, 0, 5, &window, NULL));
	filemap_close(map);
	assert_ok(filemap_set_remove_on_close(window, 0));
	filemap_close(window);
	assert_int_equal(told.calls, 0);
	assert_untouched(state);
}

static void *unpin(void *map)
{
	filemap_unpin(map);
	return NULL;
}

/* And it is told in the thread that gave the pin back. */
static void last_unpin_removes(void **state)
{
	struct told told = {0};
	struct filemap *map = make_telling(state, &told);
	pthread_t thread;
	assert_ok(filemap_pin(map));
	assert_ok(filemap_pin(map));
	filemap_close(map);
	filemap_unpin(map);
	assert_int_equal(told.calls, 0);
	assert_untouched(state);
	assert_memory_equal(filemap_data(map), "hello", 5);
	assert_ok(pthread_create(&thread, NULL, unpin, map));
	assert_ok(pthread_join(thread, NULL));
	assert_told(&told, 0);
	assert_true(pthread_equal(told.thread, thread));
	assert_nothing_left(state);
}

static void try_close_removes_when_it_closes(void **state)
{
	struct told told = {0};
	struct filemap *map = make_telling(state, &told);
	assert_ok(filemap_pin(map));
	assert_int_equal(filemap_try_close(map), FILEMAP_EBUSY);
	assert_int_equal(told.calls, 0);
	assert_untouched(state);
	filemap_unpin(map);
	assert_int_equal(told.calls, 0);
	assert_ok(filemap_try_close(map));
	assert_told(&told, 0);
	assert_nothing_left(state);
}

static void close_truncated_removes_when_it_closes(void **state)
{
	struct told told = {0};
	struct filemap *map = make_telling(state, &told);
	assert_int_equal(filemap_close_truncated(map, UINT64_MAX, NULL), FILEMAP_ERANGE);
	assert_int_equal(told.calls, 0);
	assert_untouched(state);
	assert_ok(link(PATH_OF(state), t_path(*state, "other")));
	assert_ok(filemap_close_truncated(map, 3, NULL));
	assert_told(&told, FILEMAP_STILL_LINKED);
	assert_text(t_path(*state, "other"), "hel");
	assert_int_equal(names_left(state), 1);
}

static int first_byte(const void *data, size_t size, void *context)
{
	(void)context;
	return size > 0 ? *(const char *)data : -1;
}

static void call_with_the_bytes_comes_before_the_removal(void **state)
{
	struct told told = {0};
	int use = 0;
	t_write_file(PATH_OF(state), "hello", 5);
	assert_ok(filemap_with(PATH_OF(state),
			       FILEMAP_OPTIONS(.flags = FILEMAP_REMOVE_ON_CLOSE, .on_remove = note,
					       .on_remove_context = &told),
			       first_byte, NULL, &use, NULL));
	assert_int_equal(use, 'h');
	assert_told(&told, 0);
	assert_nothing_left(state);
}

static void failed_opening_neither_removes_nor_tells(void **state)
{
	const struct {
		unsigned mode;
		uint32_t flags;
		uint64_t offset;
		int expected;
	} cases[] = {
		{FILEMAP_READ, 0, 100, FILEMAP_ERANGE},
		{FILEMAP_WRITE, 0, 100, FILEMAP_ERANGE},
		{FILEMAP_WRITE, FILEMAP_CREATE_NEW, 0, -EEXIST},
		{FILEMAP_WRITE, FILEMAP_HUGE_2M, 0, FILEMAP_EOPTION},
	};
	t_write_file(PATH_OF(state), "hello", 5);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct told told = {0};
		struct filemap *map;
		const struct filemap_options *options =
			FILEMAP_OPTIONS(.flags = cases[i].flags | FILEMAP_REMOVE_ON_CLOSE,
					.offset = cases[i].offset, .on_remove = note,
					.on_remove_context = &told);
		assert_int_equal(filemap_open(PATH_OF(state), cases[i].mode, options, &map, NULL),
				 cases[i].expected);
		assert_int_equal(told.calls, 0);
		assert_untouched(state);
	}
	struct told told = {0};
	struct filemap *map = open_ok(PATH_OF(state), FILEMAP_WRITE, NULL), *other;
	assert_int_equal(filemap_open(PATH_OF(state), FILEMAP_READ,
				      FILEMAP_OPTIONS(.flags = FILEMAP_REMOVE_ON_CLOSE, .on_remove = note,
						      .on_remove_context = &told),
				      &other, NULL),
			 FILEMAP_ELOCKED);
	filemap_close(map);
	assert_int_equal(told.calls, 0);
	assert_untouched(state);
}

static void what_was_removed_before_is_not_told(void **state)
{
	struct told told = {0};
	struct filemap *map = make_telling(state, &told);
	assert_ok(removed(map));
	t_write_file(PATH_OF(state), "hello", 5);
	assert_ok(filemap_set_remove_on_close(map, 1));
	filemap_close(map);
	assert_int_equal(told.calls, 0);
	assert_untouched(state);
}

static void further_links_are_told(void **state)
{
	struct told told = {0};
	struct filemap *map = make_telling(state, &told);
	assert_ok(link(PATH_OF(state), t_path(*state, "other")));
	filemap_close(map);
	assert_told(&told, FILEMAP_STILL_LINKED);
	assert_text(t_path(*state, "other"), "hello");
	assert_int_equal(names_left(state), 1);
}

static void failures_are_told_with_their_record(void **state)
{
	struct told gone = {0}, replaced = {0}, linked = {0};
	struct filemap *map = make_telling(state, &gone);
	assert_ok(unlink(PATH_OF(state)));
	filemap_close(map);
	assert_told(&gone, FILEMAP_EGONE);
	assert_string_equal(gone.detail, PATH_OF(state));

	map = make_telling(state, &linked);
	assert_ok(unlink(PATH_OF(state)));
	assert_ok(symlink("other", PATH_OF(state)));
	filemap_close(map);
	assert_told(&linked, FILEMAP_EMODE);
	assert_int_equal(names_left(state), 1);
	assert_ok(unlink(PATH_OF(state)));

	map = make_telling(state, &replaced);
	assert_ok(rename(PATH_OF(state), t_path(*state, "other")));
	t_write_file(PATH_OF(state), "mine", 4);
	filemap_close(map);
	assert_told(&replaced, FILEMAP_EREPLACED);
	assert_text(PATH_OF(state), "mine");
	assert_text(t_path(*state, "other"), "hello");
	assert_int_equal(names_left(state), 2);
	t_census_same(*state);
}

static void close_tries_again_what_failed_before(void **state)
{
	struct told told = {0};
	t_write_file(PATH_OF(state), "hello", 5);
	struct filemap *map = open_telling(state, FILEMAP_WRITE, 0, &told);
	assert_ok(rename(PATH_OF(state), t_path(*state, "other")));
	assert_int_equal(removed(map), FILEMAP_EGONE);
	assert_ok(rename(t_path(*state, "other"), PATH_OF(state)));
	assert_int_equal(told.calls, 0);
	filemap_close(map);
	assert_told(&told, 0);
	assert_nothing_left(state);
}

static void close_tells_that_it_failed_again(void **state)
{
	struct told told = {0};
	t_write_file(PATH_OF(state), "hello", 5);
	struct filemap *map = open_telling(state, FILEMAP_WRITE, 0, &told);
	assert_ok(rename(PATH_OF(state), t_path(*state, "other")));
	assert_int_equal(removed(map), FILEMAP_EGONE);
	filemap_close(map);
	assert_told(&told, FILEMAP_EGONE);
	assert_text(t_path(*state, "other"), "hello");
}

static struct filemap *fail_then_call_off(void **state, struct told *told)
{
	struct filemap *map = make_telling(state, told);
	assert_ok(rename(PATH_OF(state), t_path(*state, "other")));
	assert_int_equal(removed(map), FILEMAP_EGONE);
	assert_ok(rename(t_path(*state, "other"), PATH_OF(state)));
	assert_ok(filemap_set_remove_on_close(map, 0));
	assert_int_equal(filemap_state(map), LIVE | NEEDS_UNLINK);
	return map;
}

static void close_does_not_try_again_what_was_called_off(void **state)
{
	struct told told = {0};
	filemap_close(fail_then_call_off(state, &told));
	assert_int_equal(told.calls, 0);
	assert_untouched(state);
}

/* A call that was refused has tried nothing, so nothing is to be tried again. */
static void close_does_not_try_what_was_refused(void **state)
{
	struct told told = {0};
	struct filemap *map = fail_then_call_off(state, &told);
	assert_ok(filemap_unlock(map));
	assert_int_equal(removed(map), FILEMAP_ELOCKED);
	filemap_close(map);
	assert_int_equal(told.calls, 0);
	assert_untouched(state);
	map = open_telling(state, FILEMAP_WRITE, 0, &told);
	assert_ok(filemap_unlock(map));
	assert_int_equal(removed(map), FILEMAP_ELOCKED);
	filemap_close(map);
	assert_int_equal(told.calls, 0);
	assert_untouched(state);
}

static void refusal_does_not_call_the_option_off(void **state)
{
	struct told told = {0};
	struct filemap *map = make_telling(state, &told);
	assert_ok(filemap_unlock(map));
	assert_int_equal(removed(map), FILEMAP_ELOCKED);
	filemap_close(map); /* takes the lock that is to be had */
	assert_told(&told, 0);
	assert_nothing_left(state);
}

static void freezing_changes_nothing_about_it(void **state)
{
	const uint32_t flags[] = {0, FILEMAP_DOWNGRADE_ON_FREEZE};
	for (size_t i = 0; i < 2; i++) {
		struct told told = {0};
		t_write_file(PATH_OF(state), "hello", 5);
		struct filemap *map =
			open_telling(state, FILEMAP_WRITE, FILEMAP_REMOVE_ON_CLOSE | flags[i], &told);
		assert_ok(filemap_freeze(map, NULL));
		filemap_close(map);
		assert_told(&told, 0);
		assert_nothing_left(state);
	}
}

static void tainted_mapping_is_removed(void **state)
{
	struct told told = {0};
	struct filemap *map = make_telling(state, &told);
	struct fm__flush flush;
	assert_ok(fm__map_flush_begin(map, 0, 5, &flush));
	assert_int_equal(fm__map_flush_end(&flush, -EIO), -EIO);
	filemap_close(map);
	assert_told(&told, 0);
	assert_nothing_left(state);
}

static void mappings_of_one_process_leave_it_to_the_last(void **state)
{
	enum { MAPPINGS = 3 };
	struct told told[MAPPINGS] = {{0}};
	struct filemap *maps[MAPPINGS];
	t_write_file(PATH_OF(state), "hello", 5);
	for (int i = 0; i < MAPPINGS; i++)
		maps[i] = open_telling(state, FILEMAP_READ, FILEMAP_REMOVE_ON_CLOSE, &told[i]);
	for (int i = 0; i < MAPPINGS; i++) {
		assert_untouched(state);
		filemap_close(maps[i]);
		assert_told(&told[i], i < MAPPINGS - 1 ? FILEMAP_ELOCKED : 0);
	}
	assert_nothing_left(state);
}

/* One that does not remove is among them: it keeps the file from all others, and leaves it. */
static void mapping_that_stays_keeps_the_file(void **state)
{
	struct told told = {0};
	t_write_file(PATH_OF(state), "hello", 5);
	struct filemap *map = open_telling(state, FILEMAP_READ, FILEMAP_REMOVE_ON_CLOSE, &told);
	struct filemap *other = open_ok(PATH_OF(state), FILEMAP_READ, NULL);
	filemap_close(map);
	assert_told(&told, FILEMAP_ELOCKED);
	assert_memory_equal(filemap_data(other), "hello", 5);
	filemap_close(other);
	assert_untouched(state);
}

/* A process of its own: says when it has the file, closes it when it is told to, and says what it was told. */
struct process {
	pid_t pid;
	int to, from;
};

static int run_reader(const char *path, int in, int out)
{
	struct told told = {0};
	struct filemap *map;
	char byte = 0;
	if (filemap_open(path, FILEMAP_READ,
			 FILEMAP_OPTIONS(.flags = FILEMAP_REMOVE_ON_CLOSE, .on_remove = note,
					 .on_remove_context = &told),
			 &map, NULL) < 0)
		return 1;
	if (write(out, &byte, 1) != 1 || read(in, &byte, 1) != 1)
		return 2;
	filemap_close(map);
	if (told.calls != 1 || write(out, &told.result, sizeof told.result) != sizeof told.result)
		return 3;
	return 0;
}

static struct process start_reader(const char *path)
{
	struct process process;
	int to[2], from[2];
	char byte;
	assert_ok(pipe(to));
	assert_ok(pipe(from));
	fflush(NULL);
	process.pid = fork();
	if (process.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* it would wait for ever, once a case has failed */
		_exit(run_reader(path, to[0], from[1]));
	}
	close(to[0]);
	close(from[1]);
	process.to = to[1];
	process.from = from[0];
	assert_int_equal(read(process.from, &byte, 1), 1);
	return process;
}

static int end_reader(const struct process *process)
{
	int result = 1, status = -1;
	assert_int_equal(write(process->to, "", 1), 1);
	assert_int_equal(read(process->from, &result, sizeof result), sizeof result);
	assert_int_equal(waitpid(process->pid, &status, 0), process->pid);
	assert_int_equal(status, 0);
	close(process->to);
	close(process->from);
	return result;
}

static void processes_leave_it_to_the_last(void **state)
{
	enum { PROCESSES = 4 };
	struct process processes[PROCESSES];
	t_write_file(PATH_OF(state), "hello", 5);
	for (int i = 0; i < PROCESSES; i++)
		processes[i] = start_reader(PATH_OF(state));
	for (int i = 0; i < PROCESSES; i++) {
		assert_untouched(state);
		assert_int_equal(end_reader(&processes[(i + 1) % PROCESSES]),
				 i < PROCESSES - 1 ? FILEMAP_ELOCKED : 0);
	}
	assert_nothing_left(state);
}

struct inherited {
	struct filemap *map;
	const struct told *told;
};

static int close_in_child(void *context)
{
	const struct inherited *inherited = context;
	if (filemap_set_remove_on_close(inherited->map, 1) != FILEMAP_EFORKED ||
	    filemap_set_remove_on_close(inherited->map, 0) != FILEMAP_EFORKED)
		return 1;
	filemap_close(inherited->map);
	return inherited->told->calls == 0 ? 0 : 2;
}

#define ROUNDS 200

/* Both go on when both have come; a word of its own for each meeting. */
static void meet(unsigned *came)
{
	__atomic_add_fetch(came, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(came, __ATOMIC_ACQUIRE) < 2)
		sched_yield();
}

struct meetings {
	unsigned made[ROUNDS], opened[ROUNDS], closed[ROUNDS];
	int result[2];
};

static void keep_result(void *context, int result, const struct filemap_error *error)
{
	(void)error;
	*(int *)context = result;
}

static void open_and_close_together(struct meetings *meetings, const char *path, int round, int who)
{
	struct filemap *map;

	meet(&meetings->made[round]);
	map = open_ok(path, FILEMAP_READ,
		      FILEMAP_OPTIONS(.flags = FILEMAP_REMOVE_ON_CLOSE, .on_remove = keep_result,
				      .on_remove_context = &meetings->result[who]));
	meet(&meetings->opened[round]);
	filemap_close(map);
	meet(&meetings->closed[round]);
}

/* Each holds the shared lock against the exclusive one of the other: not so that both of them leave the file. */
static void of_two_that_close_at_once_one_removes(void **state)
{
	const char *path = PATH_OF(state);
	struct meetings *meetings =
		mmap(NULL, sizeof *meetings, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(meetings != MAP_FAILED);
	const pid_t child = fork();
	if (child == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failing parent does not come to the next meeting */
	for (int round = 0; round < ROUNDS; round++) {
		if (child != 0)
			t_write_file(path, "hello", 5);
		open_and_close_together(meetings, path, round, child == 0);
		if (child == 0)
			continue;
		assert_int_equal(t_file_size(path), -1);
		assert_true(meetings->result[0] == 0 || meetings->result[1] == 0);
		assert_true(meetings->result[0] != meetings->result[1]);
	}
	if (child == 0)
		_exit(0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	munmap(meetings, sizeof *meetings);
}

static void forked_child_neither_removes_nor_tells(void **state)
{
	struct told told = {0};
	struct filemap *map = make_telling(state, &told);
	struct inherited inherited = {map, &told};
	assert_int_equal(t_in_child(close_in_child, &inherited), 0);
	assert_untouched(state);
	assert_int_equal(told.calls, 0);
	filemap_close(map);
	assert_told(&told, 0);
	assert_nothing_left(state);
}

struct reopening {
	const char *path;
	int result;
};

/* Neither the name nor the lock, and nothing inside of the library, is held while it is told. */
static void reopen(void *context, int result, const struct filemap_error *error)
{
	struct reopening *reopening = context;
	struct filemap *map = NULL;
	(void)error;
	reopening->result = result;
	if (filemap_open(reopening->path, FILEMAP_WRITE,
			 FILEMAP_OPTIONS(.flags = FILEMAP_CREATE_NEW, .size = 10), &map, NULL) < 0)
		reopening->result = -1;
	filemap_close(map);
}

static void who_is_told_may_make_the_file_anew(void **state)
{
	struct reopening reopening = {PATH_OF(state), 1};
	t_write_file(PATH_OF(state), "hello", 5);
	filemap_close(open_ok(PATH_OF(state), FILEMAP_WRITE,
			      FILEMAP_OPTIONS(.flags = FILEMAP_REMOVE_ON_CLOSE, .on_remove = reopen,
					      .on_remove_context = &reopening)));
	assert_ok(reopening.result);
	assert_int_equal(t_file_size(PATH_OF(state)), 10);
}

T_MAIN(T_TEST(option_removes_at_close_and_not_before), T_TEST(option_needs_nobody_to_tell),
       T_TEST(option_removes_what_it_created), T_TEST(option_removes_in_every_mode),
       T_TEST(option_asks_for_no_lock_where_there_is_none), T_TEST(option_is_for_cooperating_writers_too),
       T_TEST(option_is_for_ofd_writers_too), T_TEST(setter_says_it_later),
       T_TEST(setter_calls_the_option_off), T_TEST(setter_takes_0_and_1_only),
       T_TEST(setter_needs_a_pinned_directory), T_TEST(setter_means_nothing_for_memory),
       T_TEST(last_window_removes), T_TEST(any_window_calls_it_off), T_TEST(last_unpin_removes),
       T_TEST(try_close_removes_when_it_closes), T_TEST(close_truncated_removes_when_it_closes),
       T_TEST(call_with_the_bytes_comes_before_the_removal), T_TEST(failed_opening_neither_removes_nor_tells),
       T_TEST(what_was_removed_before_is_not_told), T_TEST(further_links_are_told),
       T_TEST(failures_are_told_with_their_record), T_TEST(close_tries_again_what_failed_before),
       T_TEST(close_tells_that_it_failed_again), T_TEST(close_does_not_try_again_what_was_called_off),
       T_TEST(close_does_not_try_what_was_refused), T_TEST(refusal_does_not_call_the_option_off),
       T_TEST(freezing_changes_nothing_about_it), T_TEST(tainted_mapping_is_removed),
       T_TEST(mappings_of_one_process_leave_it_to_the_last), T_TEST(mapping_that_stays_keeps_the_file),
       T_TEST(processes_leave_it_to_the_last), T_TEST(of_two_that_close_at_once_one_removes),
       T_TEST(forked_child_neither_removes_nor_tells), T_TEST(who_is_told_may_make_the_file_anew))
