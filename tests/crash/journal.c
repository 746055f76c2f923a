/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The run that is on: its events, which inode and which address is which file. One recursive lock; an
 * event and the store that it describes happen under it, so that the order of events is the order of stores.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim.h"
#include "wraps.h"

struct sim_world sim_world;
__thread bool sim_opening;

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static __thread unsigned inside;

struct binding {
	uint64_t dev, ino;
	uint32_t file;
};

struct mapping {
	uint8_t *at;
	size_t length;
	uint32_t file;
	uint64_t offset;
	bool is_ctl;
};

static struct binding *bindings;
static size_t binding_count, binding_room;
static struct mapping *mappings;
static size_t mapping_count, mapping_room;
static uint8_t ctl_seen[SIM_PAGE];
static uint32_t ctl_file = SIM_NO_FILE;
static uint32_t next_file;

void sim_lock(void)
{
	pthread_mutex_lock(&lock);
}

void sim_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

bool sim_enter(void)
{
	if (inside > 0)
		return false;
	sim_lock();
	if (sim_world.run == NULL) {
		sim_unlock();
		return false;
	}
	inside++;
	sim_watch_ctl();
	return true;
}

void sim_leave(void)
{
	inside--;
	sim_unlock();
}

/* ---- events ---- */

struct sim_event *sim_event(enum sim_kind kind)
{
	struct sim_run *run = sim_world.run;
	struct sim_event *event;

	run->events = sim_grow(run->events, run->count, &run->room, sizeof *run->events);
	event = &run->events[run->count++];
	memset(event, 0, sizeof *event);
	event->kind = kind;
	event->seq = ++sim_world.seq;
	return event;
}

struct sim_event *sim_last_event(void)
{
	struct sim_run *run = sim_world.run;
	return run->count == 0 ? NULL : &run->events[run->count - 1];
}

void sim_event_store(uint32_t file, uint64_t offset, const void *bytes, size_t length)
{
	struct sim_event *event;

	if (length == 0)
		return;
	event = sim_event(SIM_STORE);
	event->file = file;
	event->offset = offset;
	event->length = length;
	event->bytes = malloc(length);
	if (event->bytes == NULL)
		abort();
	memcpy(event->bytes, bytes, length);
}

void sim_note(enum sim_kind kind, uint64_t offset)
{
	if (!sim_enter())
		return;
	sim_event(kind)->offset = offset;
	sim_leave();
}

void sim_note_record(struct sim_record record)
{
	if (!sim_enter())
		return;
	sim_event(SIM_APPENDED)->record = record;
	sim_leave();
}

/* ---- inodes ---- */

void sim_bind(const struct stat *st, uint32_t file)
{
	for (size_t i = 0; i < binding_count; i++)
		if (bindings[i].dev == st->st_dev && bindings[i].ino == st->st_ino) {
			bindings[i].file = file; /* an inode number used again */
			return;
		}
	bindings = sim_grow(bindings, binding_count, &binding_room, sizeof *bindings);
	bindings[binding_count++] = (struct binding){st->st_dev, st->st_ino, file};
}

uint32_t sim_new_file(const struct stat *st)
{
	sim_bind(st, next_file);
	return next_file++;
}

uint32_t sim_file_of(const struct stat *st)
{
	for (size_t i = 0; i < binding_count; i++)
		if (bindings[i].dev == st->st_dev && bindings[i].ino == st->st_ino)
			return bindings[i].file;
	return SIM_NO_FILE;
}

uint32_t sim_file_of_fd(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? SIM_NO_FILE : sim_file_of(&st);
}

uint32_t sim_resolve(int dirfd, const char *path, char name[SIM_NAME])
{
	char parent[400];
	const char *base;
	size_t length = strlen(path);
	struct stat st;

	while (length > 1 && path[length - 1] == '/')
		length--;
	snprintf(parent, sizeof parent, "%.*s", (int)length, path);
	base = strrchr(parent, '/');
	if (base == NULL) {
		snprintf(name, SIM_NAME, "%.*s", SIM_NAME - 1, parent);
		return dirfd == AT_FDCWD ? SIM_NO_FILE : sim_file_of_fd(dirfd);
	}
	snprintf(name, SIM_NAME, "%.*s", SIM_NAME - 1, base + 1);
	parent[base == parent ? 1 : base - parent] = '\0';
	return fstatat(dirfd, parent, &st, 0) < 0 ? SIM_NO_FILE : sim_file_of(&st);
}

/* ---- mappings ---- */

void sim_unmapped(void *at, size_t length)
{
	uint8_t *from = at, *to = from + length;

	for (size_t i = 0; i < mapping_count; i++) {
		struct mapping *m = &mappings[i];
		uint8_t *end = m->at + m->length;

		if (to <= m->at || from >= end)
			continue;
		if (from > m->at) { /* the head stays; nobody punches holes here */
			m->length = (size_t)(from - m->at);
			continue;
		}
		if (to < end) {
			m->offset += (uint64_t)(to - m->at);
			m->length = (size_t)(end - to);
			m->at = to;
			continue;
		}
		*m = mappings[--mapping_count];
		i--;
	}
}

void sim_mapped(void *at, size_t length, uint32_t file, uint64_t offset, bool is_ctl)
{
	sim_unmapped(at, length);
	mappings = sim_grow(mappings, mapping_count, &mapping_room, sizeof *mappings);
	mappings[mapping_count++] = (struct mapping){at, length, file, offset, is_ctl};
}

uint32_t sim_find_mapping(const void *at, uint64_t *ret_offset)
{
	const uint8_t *p = at;

	for (size_t i = 0; i < mapping_count; i++)
		if (p >= mappings[i].at && p < mappings[i].at + mappings[i].length) {
			*ret_offset = mappings[i].offset + (uint64_t)(p - mappings[i].at);
			return mappings[i].file;
		}
	return SIM_NO_FILE;
}

static void watch(const struct mapping *m)
{
	if (ctl_file != m->file) {
		ctl_file = m->file;
		memset(ctl_seen, 0xA5, sizeof ctl_seen); /* the first look takes all */
	}
	for (uint32_t at = 0; at < 4 * SIM_LINE; at += 8) {
		uint64_t now =
			__atomic_load_n((const uint64_t *)(const void *)(m->at + at), __ATOMIC_ACQUIRE);
		if (memcmp(ctl_seen + at, &now, 8) == 0)
			continue;
		memcpy(ctl_seen + at, &now, 8);
		sim_event_store(m->file, at, &now, 8);
	}
}

void sim_watch_ctl(void)
{
	for (size_t i = 0; i < mapping_count; i++)
		if (mappings[i].is_ctl && mappings[i].length >= 4 * SIM_LINE)
			watch(&mappings[i]);
}

void sim_forget_bindings(void)
{
	binding_count = 0;
	mapping_count = 0;
	sim_forget_names();
	ctl_file = SIM_NO_FILE;
}

/* ---- runs ---- */

void sim_run_begin(struct sim_run *run, const struct sim_state *base, const struct sim_lineage *before,
		   const char *parent)
{
	static unsigned number;

	memset(run, 0, sizeof *run);
	sim_state_clone(base, &run->base);
	sim_lineage_clone(before, &run->before);
	snprintf(run->root, sizeof run->root, "%s/%u", parent, number++);
	snprintf(run->dir, sizeof run->dir, "%s/log", run->root);
	if (mkdir(run->root, 0755) < 0)
		abort();
	sim_lock();
	sim_forget_bindings();
	sim_materialize(&run->base, run->root);
	next_file = (uint32_t)run->base.count;
	run->boot = sim_world.boot;
	sim_world.run = run;
	sim_unlock();
}

void sim_run_end(struct sim_run *run)
{
	sim_lock();
	sim_watch_ctl();
	sim_world.run = NULL;
	sim_forget_bindings();
	sim_unlock();
	sim_remove_tree(run->root);
}

void sim_run_free(struct sim_run *run)
{
	for (size_t i = 0; i < run->count; i++) {
		free(run->events[i].bytes);
		free(run->events[i].output.list);
	}
	free(run->events);
	sim_state_free(&run->base);
	sim_lineage_free(&run->before);
}
