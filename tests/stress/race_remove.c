/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The ways of removing that race: the library's, as a mapping of any mode, as a file that is not mapped, and at
 * close; and the plain one, which compares and unlinks in two steps.
 */
#include "race.h"

#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#define LONGEST_CALL 2000 /* with no racers there is no answer */

struct witness {
	struct race *race;
	struct race_outcome *outcome;
};

static void note(const struct witness *witness, int result, const struct filemap_error *error)
{
	witness->outcome->result = result;
	if (result < 0)
		race_remember(witness->race, error);
}

/* Closing tries again what failed, and tells. */
static void note_close(void *context, int result, const struct filemap_error *error)
{
	note(context, result, error);
}

/* As soon as a racer is seen to be running. */
static void begin_round(struct race *race)
{
	struct race_game *game = race->game;
	const unsigned call = __atomic_add_fetch(&game->call, 1, __ATOMIC_SEQ_CST);

	for (int i = 0; i < LONGEST_CALL && race->rules->racers > 0 && race_load(&game->answer) != call; i++)
		sched_yield();
	__atomic_add_fetch(&game->round, 1, __ATOMIC_SEQ_CST);
}

/* Whether it is the file that the remover has just made. */
static bool is_own(const struct filemap *map, int fd)
{
	struct filemap_stat mapped;
	struct stat own;

	assert_ok(fstat(fd, &own));
	assert_ok(filemap_stat(map, &mapped));
	return mapped.inode == own.st_ino;
}

/* NULL: the name means nothing, or a foreign file. */
static struct filemap *open_own(struct witness *witness, int fd, unsigned round)
{
	static const unsigned modes[] = {FILEMAP_WRITE, FILEMAP_WRITE, FILEMAP_READ, FILEMAP_COW};
	static const unsigned families[] = {FILEMAP_LOCK_FLOCK, FILEMAP_LOCK_NONE, FILEMAP_LOCK_NONE,
					    FILEMAP_LOCK_NONE};
	const unsigned i = round % 4;
	struct filemap_options options = {.struct_size = sizeof options,
					  .flags = FILEMAP_PIN_PARENT,
					  .lock_family = families[i],
					  .on_remove = note_close,
					  .on_remove_context = witness};
	struct filemap *map;
	int r = filemap_open(witness->race->name, modes[i], &options, &map, NULL);

	if (r < 0) {
		assert_true(r == -ENOENT || r == FILEMAP_EREPLACED);
		return NULL;
	}
	if (is_own(map, fd))
		return map;
	filemap_close(map);
	return NULL;
}

static void remove_map(const struct witness *witness, struct filemap *map, unsigned round)
{
	struct filemap_error error = {0};

	begin_round(witness->race);
	if (round % 8 == 7) { /* only at close */
		witness->outcome->result = 1;
		assert_ok(filemap_set_remove_on_close(map, 1));
		filemap_close(map);
		return;
	}
	note(witness, filemap_remove(map, &error), &error);
	if (round / 8 % 2) {
		witness->outcome->state = filemap_state(map);
		assert_ok(filemap_set_remove_on_close(map, 0));
	}
	filemap_close(map);
}

/* Saying which file it must be: else a foreign one would rightly go. */
static bool remove_unmapped(const struct witness *witness, int fd)
{
	struct filemap_identity identity;
	struct filemap_error error = {0};
	struct stat own;
	const int dirfd = witness->race->field_fd;
	int r = filemap_file_identity(dirfd, RACE_NAME, &identity, NULL);

	assert_ok(fstat(fd, &own));
	if (r == -ENOENT || (r == 0 && identity.inode != own.st_ino))
		return false;
	assert_int_equal(r, 0);
	begin_round(witness->race);
	note(witness, filemap_remove_file(dirfd, RACE_NAME, &identity, &error), &error);
	return true;
}

bool race_remove_mapped(struct race *race, int fd, unsigned round, struct race_outcome *ret)
{
	struct witness witness = {race, ret};
	struct filemap *map;

	if (round % 8 == 5)
		return remove_unmapped(&witness, fd);
	map = open_own(&witness, fd, round);
	if (map)
		remove_map(&witness, map, round);
	return map != NULL;
}

/* As durable as the library's. */
static int remove_name(int dirfd, const struct stat *own)
{
	struct stat named;

	if (fstatat(dirfd, RACE_NAME, &named, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? FILEMAP_EGONE : -errno;
	if (named.st_ino != own->st_ino || named.st_dev != own->st_dev)
		return FILEMAP_EREPLACED;
	if (unlinkat(dirfd, RACE_NAME, 0) < 0)
		return errno == ENOENT ? FILEMAP_EGONE : -errno;
	return fsync(dirfd) < 0 ? -errno : 0;
}

bool race_remove_plainly(struct race *race, int fd, unsigned round, struct race_outcome *ret)
{
	struct stat own, named;

	(void)round;
	assert_ok(fstat(fd, &own));
	if (fstatat(race->field_fd, RACE_NAME, &named, AT_SYMLINK_NOFOLLOW) < 0 || named.st_ino != own.st_ino)
		return false;
	begin_round(race);
	ret->result = remove_name(race->field_fd, &own);
	return true;
}
