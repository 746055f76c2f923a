/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * One race: directories, processes and rounds. In each round the remover makes a file, gives it the name as soon
 * as that is free, opens it and removes it, and keeps a descriptor to see what really became of it.
 */
#include "race.h"

#include "t.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRIES_PER_ROUND 4 /* the file is often gone before it can be opened */

static int make_directory(const char *path, const char *name, mode_t mode)
{
	char whole[400];
	int fd;

	snprintf(whole, sizeof whole, "%s/%s", path, name);
	assert_ok(mkdir(whole, 0700));
	assert_ok(chmod(whole, mode));
	fd = open(whole, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

/* Its descriptor. */
static int make_file(struct race *race, int dirfd, const char *name, unsigned number)
{
	char text[16];
	struct stat status;
	const int length = snprintf(text, sizeof text, "%u", number);
	const int fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, (size_t)length), length);
	assert_ok(fstat(fd, &status));
	race->inodes[number] = status.st_ino;
	return fd;
}

static void make_stock(struct race *race, const char *path)
{
	char name[32];

	close(make_directory(path, "stock", 0700));
	for (unsigned k = 0; k < RACE_RACERS; k++) {
		snprintf(name, sizeof name, "stock/%u", k);
		race->stock_fd[k] = make_directory(path, name, 0700);
		for (unsigned i = 0; i < RACE_STOCK; i++) {
			snprintf(name, sizeof name, "%u", i);
			close(make_file(race, race->stock_fd[k], name, race->files++));
		}
	}
}

static void begin(struct race *race, const char *path, const struct race_rules *rules)
{
	memset(race, 0, sizeof *race);
	race->rules = rules;
	race->inodes = calloc(RACE_FOREIGN + TRIES_PER_ROUND * (size_t)rules->rounds, sizeof *race->inodes);
	race->kept = calloc(RACE_KEPT, sizeof *race->kept);
	assert_true(race->inodes != NULL && race->kept != NULL);
	race->game =
		mmap(NULL, sizeof *race->game, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(race->game, MAP_FAILED);
	snprintf(race->field, sizeof race->field, "%s/field", path);
	snprintf(race->name, sizeof race->name, "%s/field/%s", path, RACE_NAME);
	race->field_fd = make_directory(path, "field", rules->mode);
	race->own_fd = make_directory(path, "own", 0700);
	make_stock(race, path);
}

static void end(struct race *race)
{
	for (unsigned k = 0; k < RACE_RACERS; k++)
		close(race->stock_fd[k]);
	close(race->own_fd);
	close(race->field_fd);
	munmap(race->game, sizeof *race->game);
	free(race->kept);
	free(race->inodes);
}

/* ---- the others ---- */

static void start(struct race *race, unsigned number)
{
	const pid_t self = getpid(), child = fork();

	assert_true(child >= 0);
	if (child > 0) {
		race->children[race->children_count++] = child;
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != self)
		_exit(1);
	if (number < RACE_RACERS)
		race_racer(race, number);
	else
		race_recoverer(race);
	_exit(0);
}

static void start_others(struct race *race)
{
	fflush(NULL);
	for (unsigned i = 0; i < race->rules->racers; i++)
		start(race, i);
	if (race->rules->recover)
		start(race, RACE_RACERS);
}

static void stop_others(struct race *race)
{
	race_store(&race->game->stopping, 1);
	for (unsigned i = 0; i < race->children_count; i++) {
		int status;
		while (waitpid(race->children[i], &status, 0) < 0)
			assert_int_equal(errno, EINTR);
		assert_int_equal(status, 0);
	}
	if (race->game->failure)
		print_error("%s: a racer or the recovery had: %s\n", race->rules->label,
			    filemap_strerror(race->game->failure));
	assert_int_equal(race->game->failure, 0);
}

/* ---- the remover ---- */

/* One that died would be waited for without an end. */
static void assert_others_live(void)
{
	int status;
	assert_true(waitpid(-1, &status, WNOHANG) <= 0);
}

/* Racers take away what has the name; where there are none it is what a removal could not have. */
static void make_room(struct race *race, const char *own)
{
	char to[32];

	snprintf(to, sizeof to, "before.%s", own);
	if (race->rules->racers == 0)
		race_move(race->field_fd, RACE_NAME, race->own_fd, to, RACE_NOREPLACE);
	race_store(&race->game->crowded, 1);
	sched_yield();
}

static void give_name(struct race *race, const char *own)
{
	int r = race_move(race->own_fd, own, race->field_fd, RACE_NAME, RACE_NOREPLACE);

	for (unsigned i = 1; r == -EEXIST; i++) {
		if (i % 1024 == 0)
			assert_others_live();
		make_room(race, own);
		r = race_move(race->own_fd, own, race->field_fd, RACE_NAME, RACE_NOREPLACE);
	}
	race_store(&race->game->crowded, 0);
	assert_int_equal(r, 0);
}

void race_remember(struct race *race, const struct filemap_error *error)
{
	if (strncmp(error->detail, "." RACE_NAME ".", strlen("." RACE_NAME ".")) != 0)
		return; /* the path of the file: nothing is hidden */
	if (!strchr(error->detail, '/') != !(race->rules->mode & (S_IWGRP | S_IWOTH)))
		race->tally.wrong++; /* not hidden in the way that belongs to this directory */
	assert_true(race->kept_count < RACE_KEPT);
	snprintf(race->kept[race->kept_count++], sizeof *race->kept, "%s", error->detail);
}

static void count_outcome(struct race *race, const struct race_outcome *outcome, bool is_there)
{
	struct race_tally *tally = &race->tally;

	if (outcome->result >= 0)
		tally->removed++;
	else if (outcome->result == FILEMAP_EGONE || outcome->result == -ENOENT)
		tally->gone++;
	else if (outcome->result == FILEMAP_EREPLACED)
		tally->replaced++;
	else if (outcome->result == -EBUSY)
		tally->busy++;
	else
		tally->last_other = outcome->result, tally->others++;
	if (outcome->result > 0 || (outcome->result == 0) == is_there)
		tally->wrong++;
	if (outcome->state &&
	    !(outcome->state & (is_there ? FILEMAP_STATE_NEEDS_UNLINK : FILEMAP_STATE_REMOVED)))
		tally->wrong++;
}

/* false: it was another one's before it could be opened. */
static bool play_round(struct race *race, unsigned round)
{
	const unsigned number = race->files++;
	struct race_outcome outcome = {0};
	struct stat status;
	char own[16];
	bool played;
	int fd;

	snprintf(own, sizeof own, "%u", number);
	fd = make_file(race, race->own_fd, own, number);
	give_name(race, own);
	played = race->rules->remove(race, fd, round, &outcome);
	assert_ok(fstat(fd, &status));
	close(fd);
	if (status.st_nlink == 0)
		race->inodes[number] = 0;
	if (!played)
		return false;
	count_outcome(race, &outcome, status.st_nlink > 0);
	return true;
}

static void play(struct race *race)
{
	const unsigned most = race->rules->rounds * TRIES_PER_ROUND;

	for (unsigned i = 0; i < most && race->tally.rounds < race->rules->rounds; i++)
		race->tally.rounds += play_round(race, race->tally.rounds);
	assert_int_equal(race->tally.rounds, race->rules->rounds);
}

static void tell(const struct race *race)
{
	const struct race_tally *tally = &race->tally;

	printf("# %s: %u rounds, %u strikes: %u removed, %u gone, %u replaced, %u busy; %u kept hidden, %u "
	       "given "
	       "back\n",
	       race->rules->label, tally->rounds, race->game->strikes, tally->removed, tally->gone,
	       tally->replaced, tally->busy, tally->kept, race->game->recovered);
	if (tally->others)
		printf("# %s: %u failed otherwise, as with %s\n", race->rules->label, tally->others,
		       filemap_strerror(tally->last_other));
}

void race_run(const char *path, const struct race_rules *rules, struct race_tally *ret)
{
	struct race race;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that is stopped leaves nobody behind */
	begin(&race, path, rules);
	start_others(&race);
	play(&race);
	stop_others(&race);
	race_count(&race);
	tell(&race);
	*ret = race.tally;
	end(&race);
}
