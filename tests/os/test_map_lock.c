/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Locks against this process, other processes and plain flock(2). Order between processes comes from
 * pipes; where a wait has to end, it is an event that ends it, not a time.
 */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <filemap/filemap.h>

static int try_open(const char *path, unsigned mode, const struct filemap_options *options)
{
	struct filemap_error error = {0};
	struct filemap *map;
	int r = filemap_open(path, mode, options, &map, &error);
	if (r < 0) {
		assert_int_equal(error.code, r);
		assert_non_null(error.step);
		assert_non_null(error.subject);
		return r;
	}
	filemap_close(map);
	return 0;
}

static struct filemap *open_ok(const char *path, unsigned mode, const struct filemap_options *options)
{
	struct filemap *map = NULL;
	assert_ok(filemap_open(path, mode, options, &map, NULL));
	return map;
}

static const char *make_file(void **state)
{
	const char *path = t_path(*state, "file");
	t_write_file(path, "hello", 5);
	return path;
}

static void writer_excludes_everybody_in_this_process(void **state)
{
	const char *path = make_file(state);
	struct filemap *map = open_ok(path, FILEMAP_WRITE, NULL);
	assert_int_equal(try_open(path, FILEMAP_WRITE, NULL), FILEMAP_ELOCKED);
	assert_int_equal(try_open(path, FILEMAP_READ, NULL), FILEMAP_ELOCKED);
	filemap_close(map);
	assert_ok(try_open(path, FILEMAP_WRITE, NULL));
}

static void readers_share_and_exclude_a_writer(void **state)
{
	const char *path = make_file(state);
	struct filemap *a = open_ok(path, FILEMAP_READ, NULL), *b = open_ok(path, FILEMAP_READ, NULL);
	assert_int_equal(try_open(path, FILEMAP_WRITE, NULL), FILEMAP_ELOCKED);
	filemap_close(a);
	assert_int_equal(try_open(path, FILEMAP_WRITE, NULL), FILEMAP_ELOCKED);
	filemap_close(b);
	assert_ok(try_open(path, FILEMAP_WRITE, NULL));
}

static void alias_by_another_name_is_found(void **state)
{
	const char *path = make_file(state);
	assert_ok(link(path, t_path(*state, "hard")));
	assert_ok(symlink("file", t_path(*state, "soft")));
	struct filemap *map = open_ok(path, FILEMAP_WRITE, NULL);
	assert_int_equal(try_open(t_path(*state, "hard"), FILEMAP_READ, NULL), FILEMAP_ELOCKED);
	assert_int_equal(try_open(t_path(*state, "soft"), FILEMAP_READ, NULL), FILEMAP_ELOCKED);
	filemap_close(map);
}

/* The families do not see each other in the kernel; the process-wide table sees both. */
static void alias_by_another_family_is_found_in_this_process(void **state)
{
	const char *path = make_file(state);
	struct filemap *map = open_ok(path, FILEMAP_WRITE, NULL);
	assert_int_equal(try_open(path, FILEMAP_READ, FILEMAP_OPTIONS(.lock_family = FILEMAP_LOCK_OFD)),
			 FILEMAP_ELOCKED);
	filemap_close(map);
}

static void lock_none_is_not_in_the_way_of_anybody(void **state)
{
	const char *path = make_file(state);
	struct filemap *none =
		open_ok(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.lock_family = FILEMAP_LOCK_NONE));
	struct filemap *map = open_ok(path, FILEMAP_WRITE, NULL);
	assert_ok(try_open(path, FILEMAP_READ, FILEMAP_OPTIONS(.lock_family = FILEMAP_LOCK_NONE)));
	filemap_close(map);
	filemap_close(none);
}

static void plain_flock_excludes_and_is_excluded(void **state)
{
	const char *path = make_file(state);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_ok(flock(fd, LOCK_SH | LOCK_NB));
	assert_int_equal(try_open(path, FILEMAP_WRITE, NULL), FILEMAP_ELOCKED);
	struct filemap *map = open_ok(path, FILEMAP_READ, NULL);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
	filemap_close(map);
	assert_ok(flock(fd, LOCK_EX | LOCK_NB));
	close(fd);
}

static void ofd_lock_excludes_and_is_excluded(void **state)
{
	const char *path = make_file(state);
	const struct filemap_options *ofd = FILEMAP_OPTIONS(.lock_family = FILEMAP_LOCK_OFD);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	const int fd = open(path, O_RDWR | O_CLOEXEC);
	struct filemap *map = open_ok(path, FILEMAP_READ, ofd);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), -1);
	filemap_close(map);
	assert_ok(fcntl(fd, F_OFD_SETLK, &lock));
	assert_int_equal(try_open(path, FILEMAP_READ, ofd), FILEMAP_ELOCKED);
	assert_int_equal(try_open(path, FILEMAP_WRITE, ofd), FILEMAP_ELOCKED);
	close(fd);
	assert_ok(try_open(path, FILEMAP_WRITE, ofd));
}

/* A process that holds the file open for writing until the pipe to it is closed. */
struct holder {
	pid_t pid;
	int release;
};

static struct holder hold_in_another_process(const char *path)
{
	int ready[2], release[2];
	char byte;
	assert_ok(pipe2(ready, O_CLOEXEC));
	assert_ok(pipe2(release, O_CLOEXEC));
	fflush(NULL);
	const pid_t pid = fork();
	if (pid == 0) {
		struct filemap *map;
		close(release[1]);
		if (filemap_open(path, FILEMAP_WRITE, NULL, &map, NULL) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		(void)!read(release[0], &byte, 1);
		_exit(0);
	}
	close(ready[1]);
	close(release[0]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return (struct holder){pid, release[1]};
}

static void end_holder(struct holder holder)
{
	int status;
	close(holder.release);
	assert_int_equal(waitpid(holder.pid, &status, 0), holder.pid);
	assert_int_equal(status, 0);
}

static void other_process_excludes_and_lets_go_at_its_end(void **state)
{
	const char *path = make_file(state);
	struct holder holder = hold_in_another_process(path);
	struct filemap_error error;
	struct filemap *map = NULL;
	assert_int_equal(filemap_open(path, FILEMAP_READ, NULL, &map, &error), FILEMAP_ELOCKED);
	assert_string_equal(error.step, "lock");
	assert_string_equal(error.subject, "file");
	assert_string_equal(error.detail, path);
	assert_null(map);
	end_holder(holder);
	assert_ok(try_open(path, FILEMAP_READ, NULL));
}

static void refused_truncate_changes_nothing(void **state)
{
	const char *path = make_file(state);
	struct holder holder = hold_in_another_process(path);
	assert_int_equal(try_open(path, FILEMAP_WRITE,
				  FILEMAP_OPTIONS(.flags = FILEMAP_TRUNCATE | FILEMAP_CREATE, .size = 99)),
			 FILEMAP_ELOCKED);
	end_holder(holder);
	assert_int_equal(t_file_size(path), 5);
}

static void deadline_ends_the_wait(void **state)
{
	const char *path = make_file(state);
	struct filemap *map = open_ok(path, FILEMAP_WRITE, NULL);
	assert_int_equal(try_open(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.lock_wait_ms = 5)), FILEMAP_ELOCKED);
	filemap_close(map);
}

static void *close_later(void *map)
{
	filemap_close(map);
	return NULL;
}

static void wait_ends_when_the_lock_is_given_up(void **state)
{
	const char *path = make_file(state);
	struct filemap *map = open_ok(path, FILEMAP_WRITE, NULL);
	pthread_t thread;
	assert_ok(pthread_create(&thread, NULL, close_later, map));
	assert_ok(try_open(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.lock_wait_ms = FILEMAP_FOREVER)));
	assert_ok(pthread_join(thread, NULL));
}

static void ignore_signal(int number)
{
	(void)number;
}

/* The timer goes on until it hits a sleep: no moment is too early. */
static void signal_ends_the_wait(void **state)
{
	const char *path = make_file(state);
	struct filemap *map = open_ok(path, FILEMAP_WRITE, NULL);
	const struct sigaction action = {.sa_handler = ignore_signal};
	const struct itimerspec every = {{0, 20000000}, {0, 20000000}}, never = {{0, 0}, {0, 0}};
	struct sigaction old;
	timer_t timer;
	assert_ok(sigaction(SIGALRM, &action, &old));
	assert_ok(timer_create(CLOCK_MONOTONIC, NULL, &timer));
	assert_ok(timer_settime(timer, 0, &every, NULL));
	int r = try_open(path, FILEMAP_READ, FILEMAP_OPTIONS(.lock_wait_ms = FILEMAP_FOREVER));
	assert_ok(timer_settime(timer, 0, &never, NULL));
	timer_delete(timer);
	sigaction(SIGALRM, &old, NULL);
	assert_int_equal(r, -EINTR);
	filemap_close(map);
}

struct waiter {
	const char *path;
	int result;
	char byte;
};

static void *wait_and_read(void *argument)
{
	struct waiter *waiter = argument;
	struct filemap *map;
	waiter->result = filemap_open(waiter->path, FILEMAP_READ,
				      FILEMAP_OPTIONS(.lock_wait_ms = FILEMAP_FOREVER), &map, NULL);
	if (waiter->result == 0) {
		waiter->byte = *(const char *)filemap_data(map);
		filemap_close(map);
	}
	return NULL;
}

/* How many descriptors the kernel says this process has on the file. */
static int count_opened(const struct t_dir *dir, const char *name)
{
	char link[64], target[512], wanted[512];
	int count = 0;
	snprintf(wanted, sizeof wanted, "%s/%s", dir->path, name);
	for (int fd = 0; fd < 256; fd++) {
		snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		ssize_t n = readlink(link, target, sizeof target - 1);
		if (n > 0) {
			target[n] = '\0';
			count += strcmp(target, wanted) == 0;
		}
	}
	return count;
}

static void name_replaced_during_the_wait_opens_the_new_file(void **state)
{
	const char *path = make_file(state);
	const char *fresh = t_path(*state, "fresh");
	struct waiter waiter = {.path = path, .result = 1};
	struct filemap *map = open_ok(path, FILEMAP_WRITE, NULL);
	pthread_t thread;
	t_write_file(fresh, "NEW", 3);
	assert_ok(pthread_create(&thread, NULL, wait_and_read, &waiter));
	while (count_opened(*state, "file") < 2) /* until the waiter has the old file open */
		usleep(1000);
	assert_ok(rename(fresh, path));
	filemap_close(map);
	assert_ok(pthread_join(thread, NULL));
	assert_int_equal(waiter.result, 0);
	assert_int_equal(waiter.byte, 'N');
}

static int use_in_child(void *context)
{
	struct filemap *map = context;
	struct filemap_error error;
	int r;
	if (filemap_resize(map, 9000, &error) != FILEMAP_EFORKED || strcmp(error.subject, "process"))
		return 2;
	if (filemap_write_all(map, 0, "C", 1) < 0 || filemap_flush(map) < 0)
		return 3;
	r = filemap_open(filemap_path(map), FILEMAP_READ, NULL, &(struct filemap *){0}, &error);
	if (r != FILEMAP_ELOCKED) /* the kernel's answer: the table of a child is empty */
		return 4;
	filemap_close(map);
	return 0;
}

static void forked_child_may_write_and_close_but_neither_resize_nor_unlock(void **state)
{
	const char *path = make_file(state);
	struct filemap *map = open_ok(path, FILEMAP_WRITE, NULL);
	assert_int_equal(t_in_child(use_in_child, map), 0);
	assert_int_equal(*(const char *)filemap_data(map), 'C');
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_SH | LOCK_NB), -1); /* still locked by us */
	close(fd);
	assert_ok(filemap_resize(map, 6, NULL));
	filemap_close(map);
}

/* The child has no lock of its parent in its table; of the parent's family the kernel would tell it. */
static int open_by_other_family(void *context)
{
	struct filemap *own;
	int r = filemap_open(filemap_path(context), FILEMAP_WRITE, NULL, &own, NULL);
	if (r < 0)
		return 1;
	filemap_close(own);
	filemap_close(context);
	return 0;
}

static void forked_child_starts_with_an_empty_table(void **state)
{
	const struct filemap_options *ofd = FILEMAP_OPTIONS(.lock_family = FILEMAP_LOCK_OFD);
	struct filemap *map = open_ok(make_file(state), FILEMAP_READ, ofd);
	assert_int_equal(t_in_child(open_by_other_family, map), 0);
	assert_int_equal(try_open(filemap_path(map), FILEMAP_WRITE, NULL), FILEMAP_ELOCKED);
	filemap_close(map);
}

/* What the child has put at the address of bytes that it never had must survive the close. */
static int close_without_memory(void *map)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *at = (void *)(uintptr_t)filemap_data(map);
	char *own = mmap(at, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
			 -1, 0);
	if (own != at)
		return 77; /* valgrind does not let go of the address */
	own[0] = 'o';
	filemap_close(map);
	return mincore(own, page, (unsigned char *)&(char[64]){0}) == 0 ? 0 : 2;
}

static void forked_child_closes_a_dontfork_mapping(void **state)
{
	const char *path = make_file(state);
	struct filemap *map = open_ok(path, FILEMAP_READ, FILEMAP_OPTIONS(.flags = FILEMAP_DONTFORK));
	const int r = t_in_child(close_without_memory, map);
	assert_int_equal(*(const char *)filemap_data(map), 'h');
	filemap_close(map);
	if (r == 77)
		t_skip("the address is not free in the child");
	assert_int_equal(r, 0);
}

/* What a plain flock(2) of another description meets: 'n' no lock, 's' a shared one, 'x' an exclusive one. */
static char seen_from_outside(const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	char seen = 'x';
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		seen = 'n';
	else if (flock(fd, LOCK_SH | LOCK_NB) == 0)
		seen = 's';
	close(fd);
	return seen;
}

static void assert_held(const struct filemap *map, unsigned kind)
{
	assert_int_equal(filemap_lock_state(map), kind);
	assert_int_equal(seen_from_outside(filemap_path(map)), "nsx"[kind]);
}

static void mode_decides_what_opening_takes(void **state)
{
	const char *path = make_file(state);
	const unsigned modes[] = {FILEMAP_READ, FILEMAP_COW, FILEMAP_EXEC, FILEMAP_WRITE};
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		struct filemap *map = open_ok(path, modes[i], NULL);
		assert_held(map, modes[i] == FILEMAP_WRITE ? FILEMAP_EXCLUSIVE_LOCK : FILEMAP_SHARED_LOCK);
		filemap_close(map);
		map = open_ok(path, modes[i], FILEMAP_OPTIONS(.sharing = FILEMAP_SHARING_COOPERATE));
		assert_held(map, FILEMAP_SHARED_LOCK);
		filemap_close(map);
		map = open_ok(path, modes[i], FILEMAP_OPTIONS(.lock_family = FILEMAP_LOCK_NONE));
		assert_held(map, FILEMAP_UNLOCKED);
		filemap_close(map);
		assert_int_equal(seen_from_outside(path), 'n');
	}
}

static void upgrade_alone_succeeds_and_can_be_taken_back(void **state)
{
	struct filemap *map = open_ok(make_file(state), FILEMAP_READ, NULL);
	assert_ok(filemap_lock(map, FILEMAP_SHARED_LOCK, 0, NULL));
	assert_held(map, FILEMAP_SHARED_LOCK);
	assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
	assert_held(map, FILEMAP_EXCLUSIVE_LOCK);
	assert_int_equal(try_open(filemap_path(map), FILEMAP_READ, NULL), FILEMAP_ELOCKED);
	assert_ok(filemap_lock(map, FILEMAP_SHARED_LOCK, 0, NULL));
	assert_held(map, FILEMAP_SHARED_LOCK);
	assert_ok(try_open(filemap_path(map), FILEMAP_READ, NULL));
	filemap_close(map);
}

static void upgrade_beside_another_mapping_keeps_the_shared_lock(void **state)
{
	const char *path = make_file(state);
	struct filemap_error error;
	struct filemap *a = open_ok(path, FILEMAP_READ, NULL), *b = open_ok(path, FILEMAP_READ, NULL);
	assert_int_equal(filemap_lock(a, FILEMAP_EXCLUSIVE_LOCK, FILEMAP_FOREVER, &error), FILEMAP_ELOCKED);
	assert_string_equal(error.step, "lock");
	filemap_close(b);
	assert_held(a, FILEMAP_SHARED_LOCK);
	assert_ok(filemap_lock(a, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
	filemap_close(a);
}

/* The kernel drops the shared lock in a failing upgrade; it has to be there again. */
static void upgrade_beside_a_stranger_keeps_the_shared_lock(void **state)
{
	const char *path = make_file(state);
	struct filemap *map = open_ok(path, FILEMAP_READ, NULL);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_ok(flock(fd, LOCK_SH | LOCK_NB));
	assert_int_equal(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, FILEMAP_FOREVER, NULL), FILEMAP_ELOCKED);
	close(fd);
	assert_held(map, FILEMAP_SHARED_LOCK);
	assert_ok(try_open(path, FILEMAP_READ, NULL)); /* in the table it is shared again, too */
	filemap_close(map);
}

static void ofd_lock_changes_without_a_gap(void **state)
{
	const char *path = make_file(state);
	const struct filemap_options *ofd =
		FILEMAP_OPTIONS(.lock_family = FILEMAP_LOCK_OFD, .sharing = FILEMAP_SHARING_COOPERATE);
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	const int fd = open(path, O_RDWR | O_CLOEXEC);
	struct filemap *map = open_ok(path, FILEMAP_WRITE, ofd);
	assert_ok(fcntl(fd, F_OFD_SETLK, &lock));
	assert_int_equal(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL), FILEMAP_ELOCKED);
	assert_int_equal(filemap_lock_state(map), FILEMAP_SHARED_LOCK);
	lock.l_type = F_WRLCK;
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), -1); /* ours was kept */
	lock.l_type = F_UNLCK;
	assert_ok(fcntl(fd, F_OFD_SETLK, &lock));
	assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
	lock.l_type = F_RDLCK;
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), -1);
	assert_ok(filemap_lock(map, FILEMAP_SHARED_LOCK, 0, NULL));
	assert_ok(fcntl(fd, F_OFD_SETLK, &lock));
	close(fd);
	filemap_close(map);
}

static void exclusive_ofd_lock_needs_a_writable_description(void **state)
{
	struct filemap *map =
		open_ok(make_file(state), FILEMAP_READ, FILEMAP_OPTIONS(.lock_family = FILEMAP_LOCK_OFD));
	assert_int_equal(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL), -EBADF);
	assert_int_equal(filemap_lock_state(map), FILEMAP_SHARED_LOCK);
	filemap_close(map);
}

static void writer_shares_its_lock_only_when_it_cannot_store(void **state)
{
	const char *path = make_file(state);
	struct filemap_error error;
	struct filemap *map = open_ok(path, FILEMAP_WRITE, NULL), *window;
	assert_ok(filemap_window(map, FILEMAP_WRITE, 0, 0, &window, NULL));
	assert_ok(filemap_freeze(map, NULL));
	assert_int_equal(filemap_lock(map, FILEMAP_SHARED_LOCK, 0, &error), FILEMAP_ELOCKED);
	assert_held(map, FILEMAP_EXCLUSIVE_LOCK); /* for the window's sake */
	filemap_close(window);
	assert_ok(filemap_lock(map, FILEMAP_SHARED_LOCK, 0, &error));
	assert_held(map, FILEMAP_SHARED_LOCK);
	assert_int_equal(filemap_thaw(map, &error), FILEMAP_EMODE);
	assert_string_equal(error.subject, "lock");
	assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
	assert_ok(filemap_thaw(map, NULL));
	filemap_close(map);
}

static void unlocked_mapping_can_be_locked_again(void **state)
{
	const char *path = make_file(state);
	struct filemap *map = open_ok(path, FILEMAP_READ, NULL), *other;
	assert_ok(filemap_unlock(map));
	assert_ok(filemap_unlock(map));
	assert_held(map, FILEMAP_UNLOCKED);
	other = open_ok(path, FILEMAP_WRITE, NULL);
	assert_int_equal(filemap_lock(map, FILEMAP_SHARED_LOCK, 5, NULL), FILEMAP_ELOCKED);
	assert_int_equal(filemap_lock_state(map), FILEMAP_UNLOCKED);
	filemap_close(other);
	assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
	assert_held(map, FILEMAP_EXCLUSIVE_LOCK);
	filemap_close(map);
	assert_ok(try_open(path, FILEMAP_WRITE, NULL));
}

static void waiting_lock_gets_what_is_given_back(void **state)
{
	const char *path = make_file(state);
	struct filemap *map = open_ok(path, FILEMAP_READ, NULL), *other;
	pthread_t thread;
	assert_ok(filemap_unlock(map));
	other = open_ok(path, FILEMAP_WRITE, NULL);
	assert_ok(pthread_create(&thread, NULL, close_later, other));
	assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, FILEMAP_FOREVER, NULL));
	assert_ok(pthread_join(thread, NULL));
	assert_held(map, FILEMAP_EXCLUSIVE_LOCK);
	filemap_close(map);
}

static void lock_calls_without_a_lock_say_so(void **state)
{
	struct filemap_error error;
	struct filemap *map =
		open_ok(make_file(state), FILEMAP_READ, FILEMAP_OPTIONS(.lock_family = FILEMAP_LOCK_NONE));
	assert_int_equal(filemap_lock(map, FILEMAP_SHARED_LOCK, 0, &error), FILEMAP_EMODE);
	assert_string_equal(error.subject, "lock_family");
	assert_int_equal(filemap_unlock(map), FILEMAP_EMODE);
	assert_int_equal(filemap_lock(map, FILEMAP_UNLOCKED, 0, &error), FILEMAP_EOPTION);
	assert_int_equal(filemap_lock(map, 3, 0, &error), FILEMAP_EOPTION);
	assert_string_equal(error.subject, "kind");
	filemap_close(map);
	assert_ok(filemap_anonymous(10, NULL, &map, NULL));
	assert_ok(filemap_lock(map, FILEMAP_SHARED_LOCK, 0, NULL));
	assert_ok(filemap_unlock(map));
	assert_int_equal(filemap_lock_state(map), FILEMAP_UNLOCKED);
	filemap_close(map);
}

static int lock_in_child(void *context)
{
	struct filemap *map = context;
	struct filemap_error error;
	if (filemap_lock(map, FILEMAP_SHARED_LOCK, 0, &error) != FILEMAP_EFORKED)
		return 1;
	if (filemap_unlock(map) != FILEMAP_EFORKED || filemap_lock_state(map) != FILEMAP_UNLOCKED)
		return 2;
	filemap_close(map);
	return 0;
}

static void forked_child_does_not_touch_the_lock(void **state)
{
	struct filemap *map = open_ok(make_file(state), FILEMAP_WRITE, NULL);
	assert_int_equal(t_in_child(lock_in_child, map), 0);
	assert_held(map, FILEMAP_EXCLUSIVE_LOCK);
	filemap_close(map);
}

static void lock_goes_with_the_last_window(void **state)
{
	const char *path = make_file(state);
	struct filemap *map = open_ok(path, FILEMAP_WRITE, NULL), *window;
	assert_ok(filemap_window(map, FILEMAP_READ, 1, 2, &window, NULL));
	filemap_close(map);
	assert_held(window, FILEMAP_EXCLUSIVE_LOCK);
	assert_int_equal(try_open(path, FILEMAP_READ, NULL), FILEMAP_ELOCKED);
	filemap_close(window);
	assert_ok(try_open(path, FILEMAP_WRITE, NULL));
}

static void cooperating_writers_share_and_keep_a_plain_one_out(void **state)
{
	const char *path = make_file(state);
	const struct filemap_options *together = FILEMAP_OPTIONS(.sharing = FILEMAP_SHARING_COOPERATE);
	struct filemap *a = open_ok(path, FILEMAP_WRITE, together),
		       *b = open_ok(path, FILEMAP_WRITE, together);
	assert_int_equal(try_open(path, FILEMAP_WRITE, NULL), FILEMAP_ELOCKED);
	assert_ok(try_open(path, FILEMAP_READ, NULL));
	assert_ok(filemap_write_all(a, 0, "J", 1));
	assert_int_equal(*(const char *)filemap_data(b), 'J');
	filemap_close(a);
	assert_ok(filemap_lock(b, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
	assert_int_equal(try_open(path, FILEMAP_WRITE, together), FILEMAP_ELOCKED);
	assert_ok(filemap_lock(b, FILEMAP_SHARED_LOCK, 0, NULL)); /* it can store, and cooperates */
	assert_ok(try_open(path, FILEMAP_WRITE, together));
	filemap_close(b);
}

/* Also of bytes that the file does not have. */
static void ofd_lock_is_on_every_byte(void **state)
{
	const off_t places[] = {0, 1, 4, 5, 1 << 20, INT64_MAX - 1};
	const char *path = make_file(state);
	struct filemap *map = open_ok(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.lock_family = FILEMAP_LOCK_OFD));
	const int fd = open(path, O_RDWR | O_CLOEXEC);
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		struct flock byte = {
			.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = places[i], .l_len = 1};
		assert_int_equal(fcntl(fd, F_OFD_SETLK, &byte), -1);
		assert_true(errno == EAGAIN || errno == EACCES);
	}
	close(fd);
	filemap_close(map);
}

T_MAIN(T_TEST(writer_excludes_everybody_in_this_process), T_TEST(readers_share_and_exclude_a_writer),
       T_TEST(alias_by_another_name_is_found), T_TEST(alias_by_another_family_is_found_in_this_process),
       T_TEST(lock_none_is_not_in_the_way_of_anybody), T_TEST(plain_flock_excludes_and_is_excluded),
       T_TEST(ofd_lock_excludes_and_is_excluded), T_TEST(other_process_excludes_and_lets_go_at_its_end),
       T_TEST(refused_truncate_changes_nothing), T_TEST(deadline_ends_the_wait),
       T_TEST(wait_ends_when_the_lock_is_given_up), T_TEST(signal_ends_the_wait),
       T_TEST(name_replaced_during_the_wait_opens_the_new_file),
       T_TEST(forked_child_may_write_and_close_but_neither_resize_nor_unlock),
       T_TEST(forked_child_starts_with_an_empty_table), T_TEST(forked_child_closes_a_dontfork_mapping),
       T_TEST(mode_decides_what_opening_takes), T_TEST(upgrade_alone_succeeds_and_can_be_taken_back),
       T_TEST(upgrade_beside_another_mapping_keeps_the_shared_lock),
       T_TEST(upgrade_beside_a_stranger_keeps_the_shared_lock), T_TEST(ofd_lock_changes_without_a_gap),
       T_TEST(exclusive_ofd_lock_needs_a_writable_description),
       T_TEST(writer_shares_its_lock_only_when_it_cannot_store), T_TEST(unlocked_mapping_can_be_locked_again),
       T_TEST(waiting_lock_gets_what_is_given_back), T_TEST(lock_calls_without_a_lock_say_so),
       T_TEST(forked_child_does_not_touch_the_lock), T_TEST(lock_goes_with_the_last_window),
       T_TEST(cooperating_writers_share_and_keep_a_plain_one_out), T_TEST(ofd_lock_is_on_every_byte))
