/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The count after a race: first what is hidden is compared with what the errors told, then it is brought back by
 * recovery, and then each number has to be there exactly once, as the file that it was.
 */
#include "race.h"

#include "t.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

typedef void visit_fn(struct race *race, int dirfd, const char *name);

static void visit_all(struct race *race, int dirfd, visit_fn *visit)
{
	DIR *dir = fdopendir(openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));

	assert_non_null(dir);
	for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			visit(race, dirfd, entry->d_name);
	closedir(dir);
}

/* ---- what is hidden ---- */

static bool was_named(const struct race *race, const char *hidden)
{
	const size_t length = strlen(hidden);

	for (unsigned i = 0; i < race->kept_count; i++)
		if (strncmp(race->kept[i], hidden, length) == 0 &&
		    (race->kept[i][length] == '\0' || race->kept[i][length] == '/'))
			return true;
	return false;
}

static void check_hidden(struct race *race, int dirfd, const char *name)
{
	(void)dirfd;
	if (strcmp(name, RACE_NAME) == 0)
		return;
	if (was_named(race, name)) {
		race->tally.kept++;
		return;
	}
	if (race->tally.unnamed++ == 0)
		print_error("%s: no error named %s\n", race->rules->label, name);
}

/* Who told of a place may have been right, and a recovery came: not so if there was none. */
static void check_named(struct race *race)
{
	for (unsigned i = 0; i < race->kept_count; i++)
		if (faccessat(race->field_fd, race->kept[i], F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			race->tally.missing += !race->rules->recover;
}

/* The name is cleared for each of them. */
static void bring_back(struct race *race)
{
	char to[32];

	for (unsigned i = 0;; i++) {
		const int back = filemap_recover_quarantine(race->field_fd, NULL);
		snprintf(to, sizeof to, "back.%u", i);
		const int moved = race_move(race->field_fd, RACE_NAME, race->own_fd, to, RACE_NOREPLACE);
		if (back == 0 && moved == -ENOENT)
			return;
		assert_true(back >= 0 || back == -EEXIST);
		assert_true(moved == 0 || moved == -ENOENT);
	}
}

static void count_leftover(struct race *race, int dirfd, const char *name)
{
	(void)dirfd;
	print_error("%s: recovery left %s\n", race->rules->label, name);
	race->tally.unnamed++;
}

/* ---- what there is ---- */

static unsigned *seen; /* by number; of the one race that is counted */

static void count_file(struct race *race, int dirfd, const char *name)
{
	char text[16] = "";
	struct stat status;
	const int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	unsigned number;

	assert_true(fd >= 0);
	assert_true(read(fd, text, sizeof text - 1) > 0);
	assert_ok(fstat(fd, &status));
	close(fd);
	number = (unsigned)strtoul(text, NULL, 10);
	assert_true(number < race->files);
	if (race->inodes[number] == 0)
		race->tally.undead++;
	else if (seen[number]++ > 0 || race->inodes[number] != status.st_ino || status.st_nlink != 1)
		race->tally.twice++;
}

static void count_lost(struct race *race)
{
	for (unsigned i = 0; i < race->files; i++)
		race->tally.lost += race->inodes[i] != 0 && seen[i] == 0;
}

void race_count(struct race *race)
{
	visit_all(race, race->field_fd, check_hidden);
	check_named(race);
	bring_back(race);
	visit_all(race, race->field_fd, count_leftover);
	seen = calloc(race->files, sizeof *seen);
	assert_non_null(seen);
	for (unsigned k = 0; k < RACE_RACERS; k++)
		visit_all(race, race->stock_fd[k], count_file);
	visit_all(race, race->own_fd, count_file);
	count_lost(race);
	free(seen);
}
