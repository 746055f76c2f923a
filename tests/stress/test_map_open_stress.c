/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Threads that open and close one file at the same moment in every mode, give pins back after the handle was
 * closed, and read while the window grows. What is counted are the rules, not the time: a writer is never
 * there together with anybody, and at the end nothing is held.
 */
#include "t.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <filemap/filemap.h>

#define THREADS 8
#define ROUNDS 400
#define SIZE ((size_t)20000)

static const unsigned modes[] = {FILEMAP_READ, FILEMAP_EXEC, FILEMAP_COW, FILEMAP_WRITE};

static unsigned add(unsigned *counter)
{
	return __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST);
}

static unsigned load(const unsigned *counter)
{
	return __atomic_load_n(counter, __ATOMIC_SEQ_CST);
}

static void leave(unsigned *counter)
{
	__atomic_sub_fetch(counter, 1, __ATOMIC_SEQ_CST);
}

static void make_file(const char *path)
{
	char bytes[SIZE];

	memset(bytes, 'm', sizeof bytes);
	t_write_file(path, bytes, sizeof bytes);
}

static struct filemap *open_ok(const char *path, unsigned mode, const struct filemap_options *options)
{
	struct filemap *map = NULL;

	assert_ok(filemap_open(path, mode, options, &map, NULL));
	return map;
}

/* One thread for each context; the caller may do something of its own meanwhile. */
static void start_threads(pthread_t *threads, void *(*body)(void *), void *contexts, size_t size)
{
	for (unsigned i = 0; i < THREADS; i++)
		assert_ok(pthread_create(&threads[i], NULL, body, (char *)contexts + i * size));
}

static void join_threads(const pthread_t *threads)
{
	for (unsigned i = 0; i < THREADS; i++)
		assert_ok(pthread_join(threads[i], NULL));
}

/* The table and the kernel both say that nobody is there. */
static void assert_nobody_holds(const char *path)
{
	static const uint32_t families[] = {FILEMAP_LOCK_FLOCK, FILEMAP_LOCK_OFD};

	for (int i = 0; i < 2; i++)
		filemap_close(open_ok(path, FILEMAP_WRITE, FILEMAP_OPTIONS(.lock_family = families[i])));
}

/* ---- opening and closing ---- */

struct crowd {
	char path[300];
	unsigned sharers, exclusives;           /* atomic: inside now */
	unsigned opened[4], refused[4], broken; /* atomic; by the index in `modes` */
	bool no_exec;
};

struct visitor {
	struct crowd *crowd;
	unsigned random;
};

static unsigned next_random(struct visitor *visitor)
{
	visitor->random = visitor->random * 1664525u + 1013904223u;
	return visitor->random >> 16;
}

static unsigned others(const struct crowd *crowd, bool alone)
{
	return alone ? load(&crowd->sharers) + load(&crowd->exclusives) - 1 : load(&crowd->exclusives);
}

/* Entered after the lock was granted, left before it is given back: who overlaps, overlaps under the lock. */
static void be_inside(struct visitor *visitor, struct filemap *map, bool alone)
{
	struct crowd *crowd = visitor->crowd;
	unsigned *own = alone ? &crowd->exclusives : &crowd->sharers;

	add(own);
	if (others(crowd, alone) > 0)
		add(&crowd->broken);
	if (filemap_size(map) != SIZE || *(const char *)filemap_data(map) != 'm')
		add(&crowd->broken);
	if (next_random(visitor) % 4 == 0)
		sched_yield();
	if (others(crowd, alone) > 0)
		add(&crowd->broken);
	leave(own);
}

static struct filemap_options any_options(struct visitor *visitor)
{
	struct filemap_options options = {.struct_size = sizeof options};

	switch (next_random(visitor) % 12) {
	case 0:
		options.lock_wait_ms = FILEMAP_FOREVER;
		break;
	case 1:
	case 2:
		options.lock_family = FILEMAP_LOCK_OFD;
		break;
	case 3:
	case 4:
		options.sharing = FILEMAP_SHARING_COOPERATE;
		break;
	default:
		break;
	}
	return options;
}

static void visit(struct visitor *visitor)
{
	struct crowd *crowd = visitor->crowd;
	const unsigned i = next_random(visitor) % 4;
	const struct filemap_options options = any_options(visitor);
	struct filemap *map;
	int r;

	if (modes[i] == FILEMAP_EXEC && crowd->no_exec)
		return;
	r = filemap_open(crowd->path, modes[i], &options, &map, NULL);
	if (r < 0) {
		add(r == FILEMAP_ELOCKED ? &crowd->refused[i] : &crowd->broken);
		return;
	}
	add(&crowd->opened[i]);
	be_inside(visitor, map, modes[i] == FILEMAP_WRITE && !options.sharing);
	filemap_close(map);
}

static void *visit_often(void *context)
{
	for (int i = 0; i < ROUNDS; i++)
		visit(context);
	return NULL;
}

static bool is_noexec(const char *path)
{
	struct filemap *map;

	if (filemap_open(path, FILEMAP_EXEC, NULL, &map, NULL) < 0)
		return true;
	filemap_close(map);
	return false;
}

static void crowd_of_all_modes_never_meets_a_writer(void **state)
{
	const struct t_dir *dir = *state;
	struct crowd crowd = {.broken = 0};
	struct visitor visitors[THREADS];
	pthread_t threads[THREADS];

	snprintf(crowd.path, sizeof crowd.path, "%s/file", dir->path);
	make_file(crowd.path);
	crowd.no_exec = is_noexec(crowd.path);
	for (unsigned i = 0; i < THREADS; i++)
		visitors[i] = (struct visitor){&crowd, i * 7919 + 1};
	start_threads(threads, visit_often, visitors, sizeof *visitors);
	join_threads(threads);
	assert_int_equal(crowd.broken, 0);
	for (int i = 0; i < 4; i++)
		assert_true(crowd.opened[i] > 0 || (modes[i] == FILEMAP_EXEC && crowd.no_exec));
	t_census_same(dir);
	assert_nobody_holds(crowd.path);
}

/* ---- windows of one mapping ---- */

struct opener {
	struct filemap *parent;
	unsigned number, broken;
};

/* A window that outlives the next one: they are closed in another order than they were opened. */
static void *open_windows(void *context)
{
	struct opener *opener = context;
	struct filemap *last = NULL;

	for (unsigned i = 0; i < ROUNDS; i++) {
		const unsigned mode = (i + opener->number) % 2 ? FILEMAP_WRITE : FILEMAP_COW;
		struct filemap *map;
		if (filemap_window(opener->parent, mode, opener->number + i, 0, &map, NULL) < 0) {
			opener->broken++;
			continue;
		}
		opener->broken += *(const char *)filemap_data(map) != 'm';
		opener->broken += filemap_size(map) != SIZE - opener->number - i;
		filemap_close(last);
		last = map;
	}
	filemap_close(last);
	return NULL;
}

static void windows_open_and_close_on_many_threads(void **state)
{
	const char *path = t_path(*state, "file");
	struct opener openers[THREADS];
	pthread_t threads[THREADS];
	struct filemap *parent;

	make_file(path);
	parent = open_ok(path, FILEMAP_WRITE, NULL);
	for (unsigned i = 0; i < THREADS; i++)
		openers[i] = (struct opener){.parent = parent, .number = i};
	start_threads(threads, open_windows, openers, sizeof *openers);
	join_threads(threads);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(openers[i].broken, 0);
	assert_ok(filemap_resize(parent, 1, NULL)); /* no window is left that would show more */
	assert_ok(filemap_try_close(parent));
	t_census_same(*state);
	assert_nobody_holds(path);
}

/* ---- pins ---- */

struct pinner {
	struct filemap *map;
	const char *path;
	int broken;
};

/* The handle may be closed already: until the pin is given back, the bytes and the lock are there. */
static void *read_and_unpin(void *context)
{
	struct pinner *pinner = context;
	struct filemap *other;
	unsigned char byte;

	pinner->broken += filemap_read_exact(pinner->map, SIZE - 1, &byte, 1) != 0 || byte != 'm';
	pinner->broken += filemap_open(pinner->path, FILEMAP_WRITE, NULL, &other, NULL) != FILEMAP_ELOCKED;
	filemap_unpin(pinner->map);
	return NULL;
}

static void close_beneath_pins(const char *path, unsigned mode)
{
	struct filemap *map = open_ok(path, mode, NULL);
	struct pinner pinners[THREADS];
	pthread_t threads[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		assert_ok(filemap_pin(map));
		pinners[i] = (struct pinner){.map = map, .path = path};
	}
	start_threads(threads, read_and_unpin, pinners, sizeof *pinners);
	filemap_close(map);
	join_threads(threads);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pinners[i].broken, 0);
}

static void pins_given_back_during_the_close_release_everything_once(void **state)
{
	const char *path = t_path(*state, "file");

	make_file(path);
	for (int i = 0; i < ROUNDS / 10; i++) {
		close_beneath_pins(path, i % 2 ? FILEMAP_WRITE : FILEMAP_READ);
		t_census_same(*state);
		assert_nobody_holds(path);
	}
}

/* ---- growth beside readers ---- */

struct growth {
	struct filemap *map;
	unsigned done; /* atomic */
};

struct reader {
	struct growth *growth;
	const void *data;
	unsigned broken;
	size_t last_size;
};

/* All bytes that the size of a moment allows can be read, from where they always were. */
static void read_once(struct reader *reader)
{
	struct filemap *map = reader->growth->map;
	const size_t size = filemap_size(map);
	const void *slice;
	uint8_t first = 0, last = 0;

	reader->broken += size < reader->last_size;
	reader->last_size = size;
	reader->broken += filemap_read_u8(map, 0, &first) != 0 || first != 'm';
	reader->broken +=
		filemap_read_exact(map, size - 1, &last, 1) != 0 || last != (size == SIZE ? 'm' : 0);
	reader->broken += filemap_slice(map, 0, size, &slice) != 0 || slice != reader->data;
	reader->broken += filemap_data(map) != reader->data || filemap_pin(map) != 0;
	filemap_unpin(map);
}

static void *read_until_done(void *context)
{
	struct reader *reader = context;

	do
		read_once(reader);
	while (!load(&reader->growth->done));
	return NULL;
}

static int grow_by_resize(struct filemap *map, uint64_t size)
{
	return filemap_resize(map, size, NULL);
}

/* Somebody else makes the file longer; the window follows. */
static int grow_by_refresh(struct filemap *map, uint64_t size)
{
	uint64_t told;

	if (truncate(filemap_path(map), (off_t)size) < 0)
		return -1;
	return filemap_refresh(map, &told, NULL);
}

static void readers_beside_growth(const char *path, unsigned mode, int (*grow)(struct filemap *, uint64_t))
{
	struct growth growth = {.done = 0};
	struct reader readers[THREADS];
	pthread_t threads[THREADS];
	int r = 0;

	make_file(path);
	growth.map = open_ok(path, mode, FILEMAP_OPTIONS(.reserve = 2 * ROUNDS * SIZE));
	for (unsigned i = 0; i < THREADS; i++)
		readers[i] = (struct reader){.growth = &growth, .data = filemap_data(growth.map)};
	start_threads(threads, read_until_done, readers, sizeof *readers);
	for (unsigned i = 1; i < ROUNDS && r == 0; i++)
		r = grow(growth.map, SIZE + i * 1001);
	add(&growth.done);
	join_threads(threads);
	assert_ok(r);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(readers[i].broken, 0);
	assert_int_equal(filemap_size(growth.map), SIZE + (ROUNDS - 1) * 1001);
	filemap_close(growth.map);
}

static void readers_beside_growth_in_a_reserve_see_every_byte(void **state)
{
	readers_beside_growth(t_path(*state, "file"), FILEMAP_WRITE, grow_by_resize);
}

static void readers_beside_a_refresh_in_a_reserve_see_every_byte(void **state)
{
	readers_beside_growth(t_path(*state, "one"), FILEMAP_READ, grow_by_refresh);
	readers_beside_growth(t_path(*state, "two"), FILEMAP_COW, grow_by_refresh);
}

static void *close_one(void *context)
{
	struct filemap **map = context;
	filemap_close(*map);
	return NULL;
}

/* Memory has no lock, whose giving back would put the two closes one after the other. */
static void last_two_windows_of_memory_are_closed_at_once(void **state)
{
	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct filemap *first, *second;
		pthread_t thread;
		assert_ok(filemap_anonymous(4096, FILEMAP_OPTIONS(.flags = FILEMAP_SHARED), &first, NULL));
		assert_ok(filemap_window(first, FILEMAP_READ, 0, 0, &second, NULL));
		assert_ok(pthread_create(&thread, NULL, close_one, round % 2 ? &first : &second));
		filemap_close(round % 2 ? second : first);
		assert_ok(pthread_join(thread, NULL));
	}
}

T_MAIN(T_TEST(crowd_of_all_modes_never_meets_a_writer), T_TEST(windows_open_and_close_on_many_threads),
       T_TEST(pins_given_back_during_the_close_release_everything_once),
       T_TEST(readers_beside_growth_in_a_reserve_see_every_byte),
       T_TEST(readers_beside_a_refresh_in_a_reserve_see_every_byte),
       T_TEST(last_two_windows_of_memory_are_closed_at_once))
