/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The processes that meddle. A racer owns the places of its stock, some of which are free: it exchanges a foreign
 * file with what has the name, moves one into the gap, or takes what is there away. Where it waits for a removal
 * to begin, it strikes after a moment of any length, from nothing to about as long as a removal takes.
 *
 * Invariant: nothing is replaced and nothing unlinked: each number is at one place of somebody at any moment.
 */
#include "race.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LONGEST_PAUSE 15 /* as a power of two, in turns of a loop that does nothing */
#define LONGEST_WATCH 20000u
#define LONGEST_WAKE 1000u

struct racer {
	const struct race *race;
	int stock_fd;
	unsigned random;
	unsigned heard, seen; /* the call that it has answered, the round that it has struck in */
	unsigned places;      /* that were ever used */
	unsigned char *full;  /* by place */
	unsigned moods;       /* rounds until it changes its mind */
	bool wild;            /* strikes whenever it can, whatever the remover does */
};

int race_move(int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned flags)
{
	return syscall(SYS_renameat2, from_dirfd, from, to_dirfd, to, flags) < 0 ? -errno : 0;
}

static unsigned next_random(unsigned *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void pause_for(unsigned turns)
{
	for (volatile unsigned i = 0; i < turns; i++)
		continue;
}

static void pause_a_little(struct racer *racer)
{
	const unsigned most = 1u << next_random(&racer->random) % (LONGEST_PAUSE + 1);
	pause_for(next_random(&racer->random) % most);
}

/* What others can do to us: the name is taken, or nothing has it. All else is told. */
static bool succeeded(const struct race *race, int r)
{
	int none = 0;

	if (r == 0)
		__atomic_add_fetch(&race->game->strikes, 1, __ATOMIC_SEQ_CST);
	else if (r != -EEXIST && r != -ENOENT)
		__atomic_compare_exchange_n(&race->game->failure, &none, r, false, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST);
	return r == 0;
}

/* A place that is full, or free, from a random one on; a new free one if need be; -1: none is full. */
static int find_place(struct racer *racer, unsigned char full)
{
	const unsigned start = next_random(&racer->random) % racer->places;

	for (unsigned i = 0; i < racer->places; i++) {
		const unsigned place = (start + i) % racer->places;
		if (racer->full[place] == full)
			return (int)place;
	}
	return full ? -1 : (int)racer->places++;
}

static void take_away(struct racer *racer)
{
	char to[16];
	const int place = find_place(racer, 0);

	snprintf(to, sizeof to, "%d", place);
	if (succeeded(racer->race,
		      race_move(racer->race->field_fd, RACE_NAME, racer->stock_fd, to, RACE_NOREPLACE)))
		racer->full[place] = 1;
}

static void put(struct racer *racer, unsigned flags)
{
	char from[16];
	const int place = find_place(racer, 1);

	if (place < 0)
		return;
	snprintf(from, sizeof from, "%d", place);
	if (succeeded(racer->race, race_move(racer->stock_fd, from, racer->race->field_fd, RACE_NAME, flags)))
		racer->full[place] = flags == RACE_EXCHANGE;
}

static void strike(struct racer *racer)
{
	const unsigned what = next_random(&racer->random) % 16;

	if (what < 8)
		put(racer, RACE_EXCHANGE);
	else if (what < 14)
		put(racer, RACE_NOREPLACE);
	else
		take_away(racer);
}

/* A new call is answered, and what follows it waited for without giving the processor away. */
static unsigned answer(struct racer *racer)
{
	struct race_game *game = racer->race->game;
	const unsigned call = race_load(&game->call);

	if (call == racer->heard)
		return 0;
	racer->heard = call;
	race_store(&game->answer, call);
	return LONGEST_WAKE;
}

/* Until a removal begins, or nothing happens for long; makes room for the remover's next file meanwhile. */
static void watch(struct racer *racer)
{
	struct race_game *game = racer->race->game;
	unsigned awake = 0;

	for (unsigned i = 0; i < LONGEST_WATCH; i++) {
		const unsigned round = race_load(&game->round);
		if (round != racer->seen || race_load(&game->stopping)) {
			racer->seen = round;
			return;
		}
		awake += answer(racer);
		if (race_load(&game->crowded))
			take_away(racer);
		if (awake > 0)
			awake--;
		else if (i % 16 == 15)
			sched_yield();
	}
}

static void change_mood(struct racer *racer)
{
	racer->wild = next_random(&racer->random) % 4 == 0;
	racer->moods = next_random(&racer->random) % 64 + 1;
}

void race_racer(const struct race *race, unsigned number)
{
	struct racer racer = {.race = race,
			      .stock_fd = race->stock_fd[number],
			      .random = (unsigned)getpid() * 2654435761u | 1,
			      .places = RACE_STOCK};

	racer.full = calloc(RACE_FOREIGN + 8 * (race->rules->rounds + 64), 1);
	for (unsigned i = 0; racer.full && i < RACE_STOCK; i++)
		racer.full[i] = 1;
	while (racer.full && !race_load(&race->game->stopping)) {
		if (racer.moods-- == 0)
			change_mood(&racer);
		if (!racer.wild)
			watch(&racer);
		pause_a_little(&racer);
		strike(&racer);
		if (next_random(&racer.random) % 2)
			strike(&racer);
		sched_yield();
	}
	free(racer.full);
}

/* A name that is taken stays hidden, and one that goes meanwhile is another recovery's or a removal's. */
void race_recoverer(const struct race *race)
{
	unsigned random = (unsigned)getpid() * 2654435761u | 1;

	while (!race_load(&race->game->stopping)) {
		int none = 0;
		const int r = filemap_recover_quarantine(race->field_fd, NULL);
		if (r > 0)
			__atomic_add_fetch(&race->game->recovered, (unsigned)r, __ATOMIC_SEQ_CST);
		if (r < 0 && r != -EEXIST)
			__atomic_compare_exchange_n(&race->game->failure, &none, r, false, __ATOMIC_SEQ_CST,
						    __ATOMIC_SEQ_CST);
		sched_yield();
		pause_for(next_random(&random) % (1u << next_random(&random) % LONGEST_PAUSE));
	}
}
