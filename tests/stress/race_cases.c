/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The races that are run on each file system: 20,000 rounds with the library, the file hidden in either way, with
 * recovery meanwhile and without; then the plain way, to see that the harness finds what is lost.
 *
 *   FILEMAP_RACE_PERCENT: how many rounds, of the usual number
 */
#include "race_cases.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "race.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PERCENT 10u
#else
#define PERCENT 100u
#endif
#define PERCENT_UNDER_VALGRIND 1u

static unsigned percent(void)
{
	const char *text = getenv("FILEMAP_RACE_PERCENT"), *preloaded = getenv("LD_PRELOAD");

	if (text && *text)
		return (unsigned)strtoul(text, NULL, 10);
	return preloaded && strstr(preloaded, "vgpreload") ? PERCENT_UNDER_VALGRIND : PERCENT;
}

/* Of 20,000 in all, but the last two. */
static const struct race_rules safe_races[] = {
	{"hidden name, two racers", race_remove_mapped, .rounds = 7000, .mode = 0755, .racers = 2},
	{"hidden name, three racers", race_remove_mapped, .rounds = 4000, .mode = 0755, .racers = 3},
	{"private directory", race_remove_mapped, .rounds = 6000, .mode = 0777, .racers = 2},
	{"hidden name, recovery", race_remove_mapped, .rounds = 1800, .mode = 0755, .racers = 2,
	 .recover = true},
	{"private directory, recovery", race_remove_mapped, .rounds = 1200, .mode = 0777, .racers = 2,
	 .recover = true},
	{"hidden name, only recovery", race_remove_mapped, .rounds = 500, .mode = 0755, .recover = true},
	{"private directory, only recovery", race_remove_mapped, .rounds = 500, .mode = 0777,
	 .recover = true},
};

static struct race_tally run(const char *path, const struct race_rules *usual)
{
	static unsigned number;
	struct race_rules rules = *usual;
	struct race_tally tally;
	char below[400];

	snprintf(below, sizeof below, "%s/race.%u", path, number++);
	assert_ok(mkdir(below, 0755));
	rules.rounds = rules.rounds * percent() / 100;
	race_run(below, &rules, &tally);
	return tally;
}

static void assert_nothing_is_lost(const struct race_tally *tally, const struct race_rules *rules)
{
	assert_int_equal(tally->lost, 0);
	assert_int_equal(tally->undead, 0);
	assert_int_equal(tally->twice, 0);
	assert_int_equal(tally->unnamed, 0);
	assert_int_equal(tally->missing, 0);
	assert_int_equal(tally->wrong, 0);
	assert_int_equal(tally->others, 0);
	assert_true(tally->busy == 0 || rules->recover);
	assert_true(tally->removed > 0);
	if (rules->racers > 0)
		assert_true(tally->replaced > 0 || rules->rounds * percent() < 10000);
	else
		assert_int_equal(tally->removed + tally->busy, tally->rounds);
}

bool race_is_possible(const char *path)
{
	char one[400], other[400];
	int r;

	snprintf(one, sizeof one, "%s/one", path);
	snprintf(other, sizeof other, "%s/other", path);
	t_write_file(one, "", 0);
	t_write_file(other, "", 0);
	r = race_move(AT_FDCWD, one, AT_FDCWD, other, RACE_EXCHANGE);
	return unlink(one) == 0 && unlink(other) == 0 && r == 0;
}

int race_safely(const char *path)
{
	for (size_t i = 0; i < sizeof safe_races / sizeof *safe_races; i++) {
		const struct race_tally tally = run(path, &safe_races[i]);
		assert_nothing_is_lost(&tally, &safe_races[i]);
	}
	return 0;
}

#define BATCHES_MOST 60 /* how often it is seen is a matter of the machine: from 1 to 500 of 5,000 rounds */

/* The harness sees what it looks for: the plain way is raced until a file is lost, and what it lost is what the
 * census misses. tests/fault/test_remove_between.c puts the file there in the right moment each time. */
int race_plainly(const char *path)
{
	static const struct race_rules rules = {"plain", race_remove_plainly, .rounds = 2000, .mode = 0755,
						.racers = 2};
	unsigned lost = 0, rounds = 0;

	for (int i = 0; i < BATCHES_MOST && lost == 0; i++) {
		const struct race_tally tally = run(path, &rules);
		assert_int_equal(tally.undead, 0);
		assert_int_equal(tally.twice, 0);
		assert_int_equal(tally.lost, tally.wrong);
		lost += tally.lost;
		rounds += tally.rounds;
	}
	printf("# plain strategy: %u of %u rounds lost a foreign file\n", lost, rounds);
	if (percent() >= 100 && sysconf(_SC_NPROCESSORS_ONLN) > 1)
		assert_true(lost > 0);
	return 0;
}

/* ---- file systems ---- */

int race_mount_tmpfs(const char *path, const char *options)
{
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	if (mkdir(path, 0755) < 0)
		return -1;
	return mount("tmpfs", path, "tmpfs", 0, options);
}

/* The image is in memory: it is the race that counts, not the device. */
int race_mount_ext4(const struct t_dir *dir)
{
	char command[1024];

	if (race_mount_tmpfs(t_path(dir, "memory"), "size=300m") < 0)
		return -1;
	snprintf(command, sizeof command,
		 "exec >/dev/null 2>&1; PATH=$PATH:/sbin:/usr/sbin; cd '%s/memory' && "
		 "truncate -s 256M image && "
		 "mkdir mounted && mkfs.ext4 -q -b 4096 -N 100000 image && mount -o loop image mounted",
		 dir->path);
	return system(command) == 0 ? 0 : -1;
}

void race_in_child(void **state, int (*body)(void *), const char *reason)
{
	const int r = t_in_child(body, *state);

	if (r == RACE_SKIPPED)
		t_skip(reason);
	assert_int_equal(r, 0);
}
