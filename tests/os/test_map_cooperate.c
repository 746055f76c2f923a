/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * FILEMAP_SHARING_COOPERATE: processes that grow the same file at the same time lose nothing, and nobody cuts
 * what others have grown.
 */
#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filemap/filemap.h>

#define PROCESSES 3
#define GROWTHS 300
#define SLOT 16u
#define STRIDE (SLOT * (PROCESSES + 1))

/* What each process grew the file to; the 16 bytes before that end are its own, by their place. */
struct record {
	uint32_t go;
	uint64_t ends[PROCESSES][GROWTHS];
};

struct grower {
	const char *path;
	const struct filemap_options *options;
	struct record *record;
	unsigned number;
};

static uint64_t next_own_end(uint64_t size, unsigned number)
{
	return size / STRIDE * STRIDE + STRIDE + SLOT * (number + 1);
}

/* 0, or where it went wrong. */
static int grow_once(struct filemap *map, struct grower *grower, uint64_t *ret_end)
{
	unsigned char bytes[SLOT];
	uint64_t size, end;
	int r;

	do {
		if (filemap_refresh(map, &size, NULL) < 0)
			return 10;
		end = next_own_end(size, grower->number);
		r = filemap_resize(map, end, NULL);
	} while (r == FILEMAP_EMODE); /* somebody else was faster: that would have been a cut */
	if (r < 0)
		return 11;
	memset(bytes, (int)(grower->number + 1), sizeof bytes);
	if (filemap_size(map) < end || filemap_write_all(map, end - SLOT, bytes, SLOT) < 0)
		return 12;
	*ret_end = end;
	return 0;
}

static int grow_many_times(void *context)
{
	struct grower *grower = context;
	struct filemap *map;

	if (filemap_open(grower->path, FILEMAP_WRITE, grower->options, &map, NULL) < 0)
		return 1;
	__atomic_add_fetch(&grower->record->go, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&grower->record->go, __ATOMIC_SEQ_CST) < PROCESSES)
		sched_yield();
	for (int i = 0; i < GROWTHS; i++) {
		const int r = grow_once(map, grower, &grower->record->ends[grower->number][i]);
		if (r != 0)
			return r;
	}
	filemap_close(map);
	return 0;
}

static void check_nothing_is_lost(const char *path, const struct record *record)
{
	const size_t size = (size_t)t_file_size(path);
	unsigned char *bytes = malloc(size);
	assert_int_equal(t_read_file(path, bytes, size), size);
	for (unsigned p = 0; p < PROCESSES; p++)
		for (int i = 0; i < GROWTHS; i++) {
			const uint64_t end = record->ends[p][i];
			assert_true(end <= size);
			for (uint64_t at = end - SLOT; at < end; at++)
				assert_int_equal(bytes[at], p + 1);
		}
	free(bytes);
}

static void grow_together(void **state, uint32_t flags, uint32_t family)
{
	const struct filemap_options options = {.struct_size = sizeof options,
						.flags = flags | FILEMAP_CREATE,
						.lock_family = family,
						.sharing = FILEMAP_SHARING_COOPERATE};
	struct record *record =
		mmap(NULL, sizeof *record, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const char *path = t_path(*state, "file");
	pid_t pids[PROCESSES];
	int status;

	fflush(NULL);
	for (unsigned p = 0; p < PROCESSES; p++) {
		struct grower grower = {path, &options, record, p};
		pids[p] = fork();
		if (pids[p] == 0)
			_exit(grow_many_times(&grower));
	}
	for (unsigned p = 0; p < PROCESSES; p++) {
		assert_int_equal(waitpid(pids[p], &status, 0), pids[p]);
		assert_int_equal(status, 0);
	}
	check_nothing_is_lost(path, record);
	munmap(record, sizeof *record);
}

static void processes_that_grow_one_file_lose_nothing(void **state)
{
	grow_together(state, 0, FILEMAP_LOCK_FLOCK);
}

static void processes_that_grow_a_sparse_file_lose_nothing(void **state)
{
	grow_together(state, FILEMAP_SPARSE, FILEMAP_LOCK_FLOCK);
}

static void processes_with_ofd_locks_lose_nothing(void **state)
{
	grow_together(state, FILEMAP_SPARSE, FILEMAP_LOCK_OFD);
}

static struct filemap *open_together(void **state, uint32_t family)
{
	struct filemap *map = NULL;
	assert_ok(filemap_open(t_path(*state, "file"), FILEMAP_WRITE,
			       FILEMAP_OPTIONS(.flags = FILEMAP_CREATE, .size = 100, .lock_family = family,
					       .sharing = FILEMAP_SHARING_COOPERATE),
			       &map, NULL));
	return map;
}

static void cut_needs_the_exclusive_lock(void **state)
{
	const uint32_t families[] = {FILEMAP_LOCK_FLOCK, FILEMAP_LOCK_OFD};
	for (size_t i = 0; i < 2; i++) {
		struct filemap_error error;
		struct filemap *a = open_together(state, families[i]), *b = open_together(state, families[i]);
		assert_ok(filemap_resize(b, 50000, NULL));
		assert_ok(filemap_write_all(b, 49999, "x", 1));
		assert_int_equal(filemap_size(a), 100);
		/* longer than what is seen here, shorter than what there is */
		assert_int_equal(filemap_resize(a, 40000, &error), FILEMAP_EMODE);
		assert_string_equal(error.subject, "lock");
		assert_int_equal(filemap_close_truncated(a, 40000, &error), FILEMAP_EMODE);
		assert_int_equal(t_file_size(filemap_path(a)), 50000);
		assert_int_equal(filemap_lock(a, FILEMAP_EXCLUSIVE_LOCK, 0, NULL), FILEMAP_ELOCKED);
		filemap_close(b);
		assert_ok(filemap_lock(a, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
		assert_ok(filemap_resize(a, 40000, NULL));
		assert_int_equal(t_file_size(filemap_path(a)), 40000);
		assert_ok(filemap_lock(a, FILEMAP_SHARED_LOCK, 0, NULL));
		assert_int_equal(filemap_resize(a, 39999, NULL), FILEMAP_EMODE);
		assert_ok(filemap_resize(a, 40000, NULL)); /* no cut */
		filemap_close(a);
		assert_ok(unlink(t_path(*state, "file")));
	}
}

/* A stranger's shared lock is enough: the lock for growth is an exclusive one. 0, or -1. */
static int hold_up(int fd, uint32_t family, bool exclusive)
{
	struct flock byte = {.l_type = exclusive ? F_WRLCK : F_RDLCK,
			     .l_whence = SEEK_SET,
			     .l_start = (off_t)(INT64_MAX - 1),
			     .l_len = 1};
	if (family == FILEMAP_LOCK_OFD)
		return flock(fd, exclusive ? LOCK_EX : LOCK_SH);
	return fcntl(fd, F_OFD_SETLK, &byte);
}

static void growth_that_somebody_holds_up_gives_up(void **state)
{
	const uint32_t families[] = {FILEMAP_LOCK_FLOCK, FILEMAP_LOCK_OFD};
	for (size_t i = 0; i < 2; i++) {
		struct filemap_error error;
		struct filemap *map = open_together(state, families[i]);
		const int fd = open(filemap_path(map), O_RDWR | O_CLOEXEC);
		assert_ok(hold_up(fd, families[i], i == 0));
		assert_int_equal(filemap_resize(map, 5000, &error), FILEMAP_ELOCKED);
		assert_string_equal(error.step, "lock for growth");
		assert_int_equal(t_file_size(filemap_path(map)), 100);
		close(fd);
		assert_ok(filemap_resize(map, 5000, NULL));
		filemap_close(map);
		assert_ok(unlink(t_path(*state, "file")));
	}
}

/* Whoever is alone by the first lock needs no second one: nobody holds it up. */
static void growth_under_the_exclusive_lock_is_not_held_up(void **state)
{
	const uint32_t families[] = {FILEMAP_LOCK_FLOCK, FILEMAP_LOCK_OFD};
	for (size_t i = 0; i < 2; i++) {
		struct filemap *map = open_together(state, families[i]);
		const int fd = open(filemap_path(map), O_RDWR | O_CLOEXEC);
		assert_ok(filemap_lock(map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
		assert_ok(hold_up(fd, families[i], true));
		assert_ok(filemap_resize(map, 5000, NULL));
		close(fd);
		filemap_close(map);
		assert_ok(unlink(t_path(*state, "file")));
	}
}

/* The second lock does not stay, and is not mistaken for the first. */
static void growth_leaves_the_locks_as_they_were(void **state)
{
	const uint32_t families[] = {FILEMAP_LOCK_FLOCK, FILEMAP_LOCK_OFD};
	for (size_t i = 0; i < 2; i++) {
		struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
		struct filemap *map = open_together(state, families[i]), *other;
		assert_ok(filemap_resize(map, 5000, NULL));
		assert_int_equal(filemap_lock_state(map), FILEMAP_SHARED_LOCK);
		const int fd = open(filemap_path(map), O_RDWR | O_CLOEXEC);
		assert_int_equal(fcntl(fd, F_OFD_SETLK, &all), families[i] == FILEMAP_LOCK_OFD ? -1 : 0);
		close(fd);
		other = open_together(state, families[i]);
		assert_ok(filemap_resize(other, 6000, NULL));
		filemap_close(other);
		filemap_close(map);
		assert_ok(unlink(t_path(*state, "file")));
	}
}

/* A reserve makes growth cheap where nobody else can have changed the size; here others can. */
static void growth_in_a_reserve_keeps_what_others_grew_and_stored(void **state)
{
	const struct filemap_options options = {.struct_size = sizeof options,
						.flags = FILEMAP_CREATE,
						.size = 100,
						.reserve = 1 << 20,
						.sharing = FILEMAP_SHARING_COOPERATE};
	struct filemap *a, *b;
	char byte = 0;
	assert_ok(filemap_open(t_path(*state, "file"), FILEMAP_WRITE, &options, &a, NULL));
	assert_ok(filemap_open(t_path(*state, "file"), FILEMAP_WRITE, &options, &b, NULL));
	assert_ok(filemap_resize(b, 50000, NULL));
	assert_ok(filemap_write_all(b, 200, "x", 1));
	assert_int_equal(filemap_resize(a, 40000, NULL), FILEMAP_EMODE);
	assert_ok(filemap_resize(a, 60000, NULL));
	assert_int_equal(filemap_read_some(a, 200, &byte, 1), 1);
	assert_int_equal(byte, 'x');
	filemap_close(b);
	filemap_close(a);
}

T_MAIN(T_TEST(processes_that_grow_one_file_lose_nothing),
       T_TEST(processes_that_grow_a_sparse_file_lose_nothing), T_TEST(processes_with_ofd_locks_lose_nothing),
       T_TEST(cut_needs_the_exclusive_lock), T_TEST(growth_that_somebody_holds_up_gives_up),
       T_TEST(growth_under_the_exclusive_lock_is_not_held_up), T_TEST(growth_leaves_the_locks_as_they_were),
       T_TEST(growth_in_a_reserve_keeps_what_others_grew_and_stored))
