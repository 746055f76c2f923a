/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What the files of the fake kernel share: its state, and what they do for one another.
 *
 * Everything lies behind one mutex: functions named fake__* are called with it held, those of fake_ring.h without.
 */
#ifndef T_FAKE_PRIVATE_H
#define T_FAKE_PRIVATE_H

#include "fake_ring.h"

#include <sys/types.h>

#define FAKE_MAX_FILES 64
#define FAKE_MAX_LIVE 128

struct fm__ring {
	pthread_t owner;
	unsigned entries; /* that fit before they are taken */
	int eventfd;      /* -1: none */
	int poll_fd;      /* -1: no poll is armed */
	uint64_t poll_data;
	unsigned visible_count;
	struct fm__ring_completion visible[FAKE_ENTRIES];
};

struct fake_kernel {
	pthread_mutex_t lock;
	struct fake_plan plan;
	uint64_t random, moment;
	struct fm__ring *ring; /* NULL: none is open */
	struct fake_entry log[FAKE_ENTRIES];
	unsigned count;
	unsigned order[FAKE_ENTRIES], ended;          /* indices of the log, as they ended */
	unsigned live[FAKE_MAX_LIVE], live_count;     /* of the ring, not ended */
	unsigned with_ring;                           /* pushed and not reaped, without polls */
	unsigned called[FAKE_MAX_LIVE], called_count; /* by threads, not ended */
	bool refused;
	bool next_is_memory;
	char violation[256];
	struct {
		dev_t device;
		ino_t inode;
		bool is_memory;
		const char *base;
		size_t length;
	} files[FAKE_MAX_FILES];
	int file_count;
};

extern struct fake_kernel fake;

/* fake_kernel.c */
unsigned fake__below(unsigned limit);
bool fake__chance(unsigned once_in); /* 0: never */
void fake__violated(const char *format, ...) __attribute__((format(printf, 1, 2)));
int fake__leave(int r);      /* unlocks; returns r */
void fake__let_others(void); /* unlocks for a while */
int fake__file_of_fd(int fd);
int fake__file_of_address(const char *at);

/* fake_entry.c */
struct fake_entry *fake__add(const struct fm__call *call);
void fake__check_company(const struct fake_entry *entry);
int fake__carry_out(const struct fake_entry *entry);
void fake__begin(struct fake_entry *entry);
void fake__end(struct fake_entry *entry, int result);
void fake__finish(struct fake_entry *entry); /* carries it out, or fails it, and ends it */

/* fake_sched.c */
void fake__go_on(struct fm__ring *ring);     /* some steps, by chance */
void fake__show_poll(struct fm__ring *ring); /* if it is due */
bool fake__is_refused(bool waiting);
int fake__refuse(void);

/* Defines the function that calls of `name` go to; __real_`name` is what they would have gone to. */
#define IN_FRONT_OF(type, name, ...)     \
	type __real_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

#endif
