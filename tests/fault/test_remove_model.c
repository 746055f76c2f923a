/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Removal against a model of it: random steps of somebody who renames, replaces, links and hides the file, of
 * the program that removes, closes and opens again, and of calls that fail. After every step the return code,
 * the state and the content of the directory are what the model says. FILEMAP_SEED=N runs that seed alone, with
 * every step printed.
 */
#include "t.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filemap/filemap.h>

#include "fault.h"

#define SEEDS 40
#define STEPS 60
#define FOREIGN 3
#define BYTES 64
#define NAME_STATES (FILEMAP_STATE_NEEDS_UNLINK | FILEMAP_STATE_NEEDS_PARENT_SYNC | FILEMAP_STATE_REMOVED)

enum where {
	NOWHERE,
	NAMED,
	ASIDE,
	HIDDEN,
};

static struct model {
	struct t_dir *top;
	struct filemap *map, *window;
	int pin; /* keeps the file's number after the close */
	ino_t own_inode, foreign_inode[FOREIGN];
	uint64_t random;
	bool prints;

	bool is_moved; /* the directory has another name */
	enum where own;
	bool is_linked, is_symlink; /* a second name of the file; the name is a symbolic link */
	int foreign;                /* which of them has the name; -1 = none */
	bool is_locked, is_due;
	unsigned state;

	int told, told_result;
} m;

/* ---- the world ---- */

static unsigned choose(unsigned count)
{
	m.random ^= m.random << 13;
	m.random ^= m.random >> 7;
	m.random ^= m.random << 17;
	return (unsigned)(m.random >> 33) % count;
}

static const char *directory(void)
{
	return t_path(m.top, m.is_moved ? "elsewhere" : "d");
}

static const char *in(const char *name)
{
	char path[300];

	snprintf(path, sizeof path, "%s/%s", m.is_moved ? "elsewhere" : "d", name);
	return t_path(m.top, path);
}

static const char *parked(int foreign)
{
	const char name[] = {'o', 't', 'h', 'e', 'r', (char)('0' + foreign), '\0'};

	return t_path(m.top, name);
}

static ino_t make_file(const char *path, char byte)
{
	char bytes[BYTES];
	struct stat status;

	memset(bytes, byte, sizeof bytes);
	t_write_file(path, bytes, sizeof bytes);
	assert_ok(lstat(path, &status));
	return status.st_ino;
}

static void be_told(void *context, int result, const struct filemap_error *error)
{
	(void)context;
	(void)error;
	m.told++;
	m.told_result = result;
}

static void open_new(void)
{
	m.own_inode = make_file(in("file"), 'o');
	m.own = NAMED;
	m.pin = open(in("file"), O_RDONLY | O_CLOEXEC);
	assert_true(m.pin >= 0);
	assert_ok(
		filemap_open(in("file"), FILEMAP_WRITE, FILEMAP_OPTIONS(.on_remove = be_told), &m.map, NULL));
	m.window = NULL;
	m.is_locked = true;
	m.is_due = false;
	m.state = 0;
}

static void make_world(void **state, unsigned seed)
{
	m = (struct model){.top = *state, .foreign = -1, .random = 88172645463325252u + seed};
	m.prints = getenv("FILEMAP_SEED") != NULL;
	for (int i = 0; i < 20; i++)
		choose(2);
	fault_reset();
	assert_ok(mkdir(directory(), 0700));
	assert_ok(chmod(directory(), seed % 2 == 0 ? 0755 : 0777));
	for (int i = 0; i < FOREIGN; i++)
		m.foreign_inode[i] = make_file(parked(i), (char)('0' + i));
	open_new();
}

static void unlink_if_there(const char *path)
{
	assert_true(unlink(path) == 0 || errno == ENOENT);
}

static bool is_name_free(void)
{
	return m.own != NAMED && m.foreign < 0 && !m.is_symlink;
}

/* ---- what is really there ---- */

static char content_of(const char *path)
{
	char bytes[BYTES + 1];

	assert_int_equal(t_read_file(path, bytes, sizeof bytes), BYTES);
	for (int i = 1; i < BYTES; i++)
		assert_int_equal(bytes[i], bytes[0]);
	return bytes[0];
}

static void check_name(void)
{
	struct stat status;
	const int r = lstat(in("file"), &status);

	assert_int_equal(r < 0, is_name_free());
	if (r < 0)
		return;
	assert_int_equal(S_ISLNK(status.st_mode), m.is_symlink);
	if (m.own == NAMED)
		assert_int_equal(status.st_ino, m.own_inode);
	if (m.foreign >= 0)
		assert_int_equal(content_of(in("file")), '0' + m.foreign);
}

/* The path of the file that is hidden, or NULL; counts what is hidden, and what is nothing's. */
static const char *find_hidden(int *count)
{
	static char path[800];
	DIR *dir = opendir(directory());
	struct stat status;

	*count = 0;
	path[0] = '\0';
	assert_non_null(dir);
	for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		if (entry->d_name[0] != '.' || strlen(entry->d_name) < 3)
			continue;
		++*count;
		snprintf(path, sizeof path, "%s/%s", directory(), entry->d_name);
		assert_ok(lstat(path, &status));
		if (S_ISDIR(status.st_mode))
			strcat(path, "/file");
	}
	closedir(dir);
	return path[0] != '\0' ? path : NULL;
}

static void check_hidden(void)
{
	struct stat status;
	int count;
	const char *path = find_hidden(&count);

	assert_int_equal(count, m.own == HIDDEN);
	if (path == NULL)
		return;
	assert_ok(lstat(path, &status));
	assert_int_equal(status.st_ino, m.own_inode);
}

static void check_world(void)
{
	struct stat status;

	check_name();
	check_hidden();
	assert_int_equal(access(in("aside"), F_OK) == 0, m.own == ASIDE);
	assert_int_equal(access(in("link"), F_OK) == 0, m.is_linked);
	for (int i = 0; i < FOREIGN; i++)
		if (i == m.foreign)
			assert_int_equal(access(parked(i), F_OK), -1);
		else
			assert_int_equal(content_of(parked(i)), '0' + i);
	assert_ok(fstat(m.pin, &status));
	assert_int_equal(status.st_nlink, (m.own != NOWHERE) + m.is_linked);
	assert_int_equal(filemap_state(m.map) & NAME_STATES, m.state);
	if (m.window != NULL)
		assert_int_equal(filemap_state(m.window) & NAME_STATES, m.state);
	assert_int_equal(*(const char *)filemap_data(m.map), 'o'); /* whatever became of the name */
}

/* ---- what others do ---- */

static void move_aside(void)
{
	if (m.own != NAMED)
		return;
	assert_ok(rename(in("file"), in("aside")));
	m.own = ASIDE;
}

static void move_back(void)
{
	if (m.own != ASIDE || !is_name_free())
		return;
	assert_ok(rename(in("aside"), in("file")));
	m.own = NAMED;
}

/* Over whatever has the name. */
static void put_foreign(int which)
{
	if (m.foreign >= 0)
		return;
	assert_ok(rename(parked(which), in("file")));
	m.foreign = which;
	m.is_symlink = false;
	if (m.own == NAMED)
		m.own = NOWHERE;
}

static void replace_by_foreign(void)
{
	put_foreign((int)choose(FOREIGN));
}

static void take_foreign(void)
{
	if (m.foreign < 0)
		return;
	assert_ok(rename(in("file"), parked(m.foreign)));
	m.foreign = -1;
}

static void toggle_link(void)
{
	if (m.is_linked)
		assert_ok(unlink(in("link")));
	else if (m.own == NAMED || m.own == ASIDE)
		assert_ok(link(in(m.own == NAMED ? "file" : "aside"), in("link")));
	else
		return;
	m.is_linked = !m.is_linked;
}

static void toggle_symlink(void)
{
	if (m.is_symlink)
		assert_ok(unlink(in("file")));
	else if (is_name_free())
		assert_ok(symlink("aside", in("file")));
	else
		return;
	m.is_symlink = !m.is_symlink;
}

static void unlink_name(void)
{
	if (m.own != NAMED)
		return;
	assert_ok(unlink(in("file")));
	m.own = NOWHERE;
}

/* The directory was pinned: its name is nothing to anybody. */
static void move_directory(void)
{
	char from[512];

	snprintf(from, sizeof from, "%s", directory());
	m.is_moved = !m.is_moved;
	assert_ok(rename(from, directory()));
}

static void recover(void)
{
	const int fd = open(directory(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int expected = 0;

	if (m.own == HIDDEN)
		expected = is_name_free() ? 1 : -EEXIST;
	assert_int_equal(filemap_recover_quarantine(fd, NULL), expected);
	close(fd);
	if (expected == 1)
		m.own = NAMED;
}

/* ---- what the program does ---- */

static void be_gone(void)
{
	if (m.state != FILEMAP_STATE_NEEDS_PARENT_SYNC)
		m.own = NOWHERE;
	m.state = FILEMAP_STATE_REMOVED;
}

/* What a removal without faults returns, with the model changed accordingly. */
static int expect_removal(void)
{
	const int notices = m.is_linked ? FILEMAP_STILL_LINKED : 0;

	if (m.state == FILEMAP_STATE_NEEDS_PARENT_SYNC || m.own == HIDDEN || m.own == NAMED) {
		/* after the unlinking the file may have got its name from another one of its names again */
		be_gone();
		return notices;
	}
	if (m.is_symlink)
		return FILEMAP_EMODE;
	m.state = FILEMAP_STATE_NEEDS_UNLINK;
	return m.foreign >= 0 ? FILEMAP_EREPLACED : FILEMAP_EGONE;
}

static int expect_call(void)
{
	int r;

	if (!m.is_locked)
		r = FILEMAP_ELOCKED;
	else
		r = expect_removal();
	if (m.state != 0)
		m.is_due = r < 0;
	return r;
}

/* What it returned when it removed; what is linked since then is not counted again. */
static int removed_result;

static void remove_it(void)
{
	struct filemap *by = m.window != NULL && choose(2) == 0 ? m.window : m.map;
	const bool again = m.state == FILEMAP_STATE_REMOVED;
	const int expected = again ? removed_result : expect_call();

	assert_int_equal(filemap_remove(by, NULL), expected);
	if (m.state == FILEMAP_STATE_REMOVED)
		removed_result = expected;
}

/* An empty directory of ours: it could not be removed, because that was what failed. */
static void sweep_litter(void)
{
	char path[800];
	DIR *dir = opendir(directory());

	for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		snprintf(path, sizeof path, "%s/%s", directory(), entry->d_name);
		if (strstr(entry->d_name, ".deld") != NULL)
			(void)rmdir(path);
	}
	closedir(dir);
}

/* A failure may be met or not; where it was, the file is where it was, hidden, or gone and not yet synced. */
static void adopt_failure(void)
{
	const unsigned before = m.state;
	int hidden;

	m.state = filemap_state(m.map) & NAME_STATES;
	assert_true(m.state == FILEMAP_STATE_NEEDS_UNLINK || m.state == FILEMAP_STATE_NEEDS_PARENT_SYNC);
	assert_true(before != FILEMAP_STATE_NEEDS_PARENT_SYNC || m.state == before);
	m.is_due = true;
	if (m.own != NAMED && m.own != HIDDEN)
		return;
	find_hidden(&hidden);
	if (m.state == FILEMAP_STATE_NEEDS_PARENT_SYNC)
		m.own = NOWHERE;
	else if (hidden > 0)
		m.own = HIDDEN;
	else
		m.own = NAMED;
}

static void remove_with_a_failure(void)
{
	struct model saved = m;
	const int nth = 1 + (int)choose(14);

	if (m.state == FILEMAP_STATE_REMOVED || !m.is_locked)
		return;
	if (m.own == NAMED && choose(4) == 0) {
		fault_arm_call("unlinkat", 1, EIO); /* and it cannot be put back */
		fault_arm_also("move", 2, EIO);
	} else
		fault_arm(nth, EIO);
	const int r = filemap_remove(m.map, NULL);
	const bool litters = strcmp(fault_fired_call(), "unlinkat") == 0;
	/* what cannot say whose a directory is has said that it is somebody else's */
	const bool is_doubted = r == -EEXIST && strcmp(fault_fired_call(), "is_user") == 0;
	fault_reset();
	if (litters)
		sweep_litter();
	if (r == -EIO || r == FILEMAP_EUNSYNCED || is_doubted) {
		adopt_failure();
		return;
	}
	saved.random = m.random;
	m = saved;
	assert_int_equal(r, expect_call());
	if (m.state == FILEMAP_STATE_REMOVED)
		removed_result = r;
}

/* ---- what others do in the middle of a removal ---- */

static void swap_for_foreign(void *context)
{
	(void)context;
	move_aside();
	put_foreign(0);
}

static void meet_foreign(void)
{
	if (m.own != NAMED || m.state == FILEMAP_STATE_REMOVED || !m.is_locked)
		return;
	if (m.state == FILEMAP_STATE_NEEDS_PARENT_SYNC)
		return;
	fault_hook("move", 1, swap_for_foreign, NULL);
	assert_int_equal(filemap_remove(m.map, NULL), FILEMAP_EREPLACED);
	fault_reset();
	m.state = FILEMAP_STATE_NEEDS_UNLINK;
	m.is_due = true;
}

static void put_third(void *context)
{
	(void)context;
	m.foreign = -1; /* it is hidden now */
	put_foreign(1);
}

static void swap_and_wait_for_third(void *context)
{
	swap_for_foreign(context);
	fault_hook("move", 1, put_third, NULL);
}

/* What is kept hidden then is named by the detail, and moved where it came from. */
static void meet_two_foreign(void)
{
	struct filemap_error error = {0};
	char *slash;

	if (m.own != NAMED || m.state == FILEMAP_STATE_REMOVED || !m.is_locked)
		return;
	if (m.state == FILEMAP_STATE_NEEDS_PARENT_SYNC)
		return;
	fault_hook("move", 1, swap_and_wait_for_third, NULL);
	assert_int_equal(filemap_remove(m.map, &error), FILEMAP_EREPLACED);
	fault_reset();
	assert_int_equal(content_of(in(error.detail)), '0');
	assert_ok(rename(in(error.detail), parked(0)));
	slash = strrchr(error.detail, '/');
	if (slash != NULL) {
		*slash = '\0';
		assert_ok(rmdir(in(error.detail)));
	}
	m.state = FILEMAP_STATE_NEEDS_UNLINK;
	m.is_due = true;
}

/* ---- the handle ---- */

static void toggle_lock(void)
{
	if (m.is_locked)
		assert_ok(filemap_unlock(m.map));
	else
		assert_ok(filemap_lock(m.map, FILEMAP_EXCLUSIVE_LOCK, 0, NULL));
	m.is_locked = !m.is_locked;
}

static void arm_or_disarm(void)
{
	const unsigned on = choose(2);

	assert_ok(filemap_set_remove_on_close(m.map, on));
	m.is_due = on == 1;
}

static void toggle_window(void)
{
	if (m.window != NULL)
		filemap_close(m.window); /* not the last one: nothing is removed */
	m.window = NULL;
	if (choose(2) == 0)
		assert_ok(filemap_window(m.map, FILEMAP_READ, 0, 0, &m.window, NULL));
}

static void close_last(void)
{
	const bool due = m.is_due && m.state != FILEMAP_STATE_REMOVED;

	if (m.window != NULL)
		filemap_close(m.window);
	m.window = NULL;
	m.told = 0;
	filemap_close(m.map);
	m.map = NULL;
	assert_int_equal(m.told, due);
	if (due)
		assert_int_equal(m.told_result, expect_removal());
	check_name();
	check_hidden();
}

/* Nothing is left but what the model knows. */
static void clear(void)
{
	take_foreign();
	if (m.is_symlink)
		toggle_symlink();
	recover();
	unlink_if_there(in("file"));
	unlink_if_there(in("aside"));
	unlink_if_there(in("link"));
	m.own = NOWHERE;
	m.is_linked = false;
	close(m.pin);
	assert_ok(rmdir(directory()));
}

/* The lock is taken again for it, if it was given back. */
static void close_and_open(void)
{
	struct stat status;

	assert_ok(stat(directory(), &status));
	close_last();
	clear();
	assert_ok(mkdir(directory(), 0700));
	assert_ok(chmod(directory(), status.st_mode & 07777));
	open_new();
}

static const struct {
	const char *name;
	void (*run)(void);
	unsigned weight;
} steps[] = {
	{"move aside", move_aside, 2},
	{"move back", move_back, 3},
	{"replace by a foreign file", replace_by_foreign, 2},
	{"take the foreign file away", take_foreign, 4},
	{"link", toggle_link, 2},
	{"symlink", toggle_symlink, 2},
	{"unlink", unlink_name, 1},
	{"move the directory", move_directory, 1},
	{"recover", recover, 2},
	{"remove", remove_it, 4},
	{"remove with a failure", remove_with_a_failure, 6},
	{"meet a foreign file", meet_foreign, 2},
	{"meet two foreign files", meet_two_foreign, 2},
	{"lock", toggle_lock, 2},
	{"set remove on close", arm_or_disarm, 2},
	{"window", toggle_window, 2},
	{"close and open", close_and_open, 3},
};
#define STEP_COUNT (sizeof steps / sizeof *steps)

static size_t choose_step(void)
{
	unsigned total = 0, at;
	size_t i = 0;

	for (size_t k = 0; k < STEP_COUNT; k++)
		total += steps[k].weight;
	at = choose(total);
	while (at >= steps[i].weight)
		at -= steps[i++].weight;
	return i;
}

static void take_a_step(unsigned seed, int number)
{
	const size_t step = choose_step();

	if (m.prints)
		printf("# seed %u step %d: %s (own %d, foreign %d, state %x)\n", seed, number,
		       steps[step].name, m.own, m.foreign, m.state);
	steps[step].run();
	check_world();
}

static void end_world(void)
{
	close_last();
	clear();
}

static void run_seed(void **state, unsigned seed)
{
	make_world(state, seed);
	check_world();
	for (int i = 0; i < STEPS; i++)
		take_a_step(seed, i);
	end_world();
	t_census_same(*state);
}

static void removal_agrees_with_its_model(void **state)
{
	const char *wanted = getenv("FILEMAP_SEED");

	if (wanted != NULL) {
		run_seed(state, (unsigned)atoi(wanted));
		return;
	}
	for (unsigned seed = 0; seed < SEEDS; seed++) {
		printf("# seed %u\n", seed);
		run_seed(state, seed);
	}
}

T_MAIN(T_TEST(removal_agrees_with_its_model))
