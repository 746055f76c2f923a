/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A name that everybody fights for: one process removes its own files from it, others keep moving foreign files
 * onto it and away again, and in the end every file is counted.
 *
 *   field/file     the name
 *   stock/K/N      what racer K has at hand, in places with numbers
 *   own/N          a file of the remover before it gets the name
 *
 * Each file contains its number. Racers only exchange, and move without replacing: they destroy nothing.
 */
#ifndef STRESS_RACE_H
#define STRESS_RACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <filemap/filemap.h>

#define RACE_NAME "file"
#define RACE_NOREPLACE (1u << 0) /* as renameat2(2) has them */
#define RACE_EXCHANGE (1u << 1)
#define RACE_RACERS 3
#define RACE_STOCK 32 /* foreign files of each racer, at the start */
#define RACE_FOREIGN (RACE_RACERS * RACE_STOCK)
#define RACE_KEPT 4096 /* hidden names in errors that are remembered */

/* What remover, racers and recoverer share. All of it atomic. */
struct race_game {
	unsigned round;    /* grows when a removal is about to begin */
	unsigned call;     /* grows before that; the remover waits for a racer that is awake */
	unsigned answer;   /* the call that one has heard */
	unsigned crowded;  /* the remover waits for the name to become free */
	unsigned stopping; /* the processes are to end */
	unsigned strikes;  /* moves of racers that succeeded */
	unsigned recovered;
	int failure; /* the first -errno that neither a racer nor the recoverer had expected */
};

/* One removal, which tells about itself. */
struct race_outcome {
	int result;
	unsigned state; /* filemap_state(), or 0 where there is no mapping */
	bool retried;   /* closing tried again, and `result` is of that */
};

struct race;

/* Remove the name of the file that `fd` means, and close what was opened. false: it is another one already. */
typedef bool race_remove_fn(struct race *race, int fd, unsigned round, struct race_outcome *ret);

struct race_rules {
	const char *label;
	race_remove_fn *remove;
	unsigned rounds;
	mode_t mode;     /* of the directory with the name */
	unsigned racers; /* up to RACE_RACERS; with 0 only the recoverer is there */
	bool recover;    /* filemap_recover_quarantine() all the time, too */
};

/* What became of it. */
struct race_tally {
	unsigned rounds, removed, gone, replaced, busy, others;
	unsigned kept;         /* files that errors named the place of */
	unsigned wrong;        /* results that are not true of the remover's own file, or of its state */
	unsigned lost, undead; /* files that are not there, or are there though they were removed */
	unsigned twice;        /* numbers that two files have, or files that are not the same any more */
	unsigned unnamed;      /* hidden files, or directories, that no error told about */
	unsigned missing;      /* places that an error told about, and nothing is there */
	int last_other;
};

struct race {
	char field[300], name[300];
	int field_fd, own_fd, stock_fd[RACE_RACERS];
	struct race_game *game;
	const struct race_rules *rules;
	pid_t children[RACE_RACERS + 1];
	unsigned children_count;
	unsigned files;   /* numbers that are given */
	uint64_t *inodes; /* by number; 0 = the file is gone, and rightly so */
	char (*kept)[320];
	unsigned kept_count;
	struct race_tally tally;
};

/* Below `path`, which is empty and is left to be cleared away, in a child of the test. Fails the case if the world
 * is not as it needs. */
void race_run(const char *path, const struct race_rules *rules, struct race_tally *ret);

/* The bodies of the other processes: until game->stopping. */
void race_racer(const struct race *race, unsigned number);
void race_recoverer(const struct race *race);

/* Ways of removing: the library's, in all its forms, and fstatat(2) with unlinkat(2). */
bool race_remove_mapped(struct race *race, int fd, unsigned round, struct race_outcome *ret);
bool race_remove_plainly(struct race *race, int fd, unsigned round, struct race_outcome *ret);

/* Count all files. Nothing is hidden afterwards. */
void race_count(struct race *race);

/* An error that names a place where a file is kept. */
void race_remember(struct race *race, const struct filemap_error *error);

int race_move(int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned flags);

static inline unsigned race_load(const unsigned *value)
{
	return __atomic_load_n(value, __ATOMIC_SEQ_CST);
}

static inline void race_store(unsigned *value, unsigned to)
{
	__atomic_store_n(value, to, __ATOMIC_SEQ_CST);
}

#endif
