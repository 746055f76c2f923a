/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The recorder: every operation on the names of one directory and of those in it, in the order in which it
 * happened. Writes are found by looking: bytes that have changed since the last event were written before
 * this one. A seeded bug changes what is written down, never what is done.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "names.h"
#include "names_wraps.h"

static struct names_run *current;
bool names_by_other;

void names_die(const char *what)
{
	fprintf(stderr, "names: %s: %s\n", what, strerror(errno));
	abort();
}

bool names_recording(void)
{
	return current != NULL;
}

/* ---- nodes ---- */

unsigned names_node_of(int fd)
{
	struct stat status;

	if (current == NULL || fstat(fd, &status) < 0)
		return NAMES_NONE;
	for (unsigned i = 0; i < current->node_count; i++)
		if (current->nodes[i].inode == status.st_ino && current->nodes[i].device == status.st_dev)
			return i;
	return NAMES_NONE;
}

static struct names_version read_version(const struct names_node *node)
{
	struct names_version version = {0};
	struct stat status;
	char path[64];
	ssize_t n;

	snprintf(path, sizeof path, "/proc/self/fd/%d", node->pin);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0)
		names_die("look at file");
	n = pread(fd, version.bytes, sizeof version.bytes, 0);
	if (n < 0 || status.st_size > (off_t)sizeof version.bytes)
		names_die("read file");
	version.length = (size_t)n;
	version.mode = status.st_mode & 07777;
	version.owner = status.st_uid;
	close(fd);
	return version;
}

static unsigned add_version(const struct names_node *node)
{
	if (current->version_count == NAMES_EVENTS)
		names_die("too many versions");
	current->versions[current->version_count] = read_version(node);
	return current->version_count++;
}

unsigned names_add_node(int fd)
{
	struct names_node *node = &current->nodes[current->node_count];
	struct stat status;
	char path[64];

	if (current->node_count == NAMES_NODES || fstat(fd, &status) < 0)
		names_die("one more file");
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	*node = (struct names_node){.device = status.st_dev,
				    .inode = status.st_ino,
				    .pin = open(path, O_PATH | O_CLOEXEC),
				    .is_dir = S_ISDIR(status.st_mode)};
	if (node->pin < 0)
		names_die("pin file");
	if (!node->is_dir)
		node->version = node->seen = add_version(node);
	return current->node_count++;
}

unsigned names_node_at(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		names_die("find what was made");
	unsigned node = names_node_of(fd);
	if (node == NAMES_NONE)
		node = names_add_node(fd);
	close(fd);
	return node;
}

/* ---- events ---- */

void names_insert(struct names_run *run, unsigned at, struct names_event event)
{
	if (run->event_count == NAMES_EVENTS)
		names_die("too many events");
	memmove(&run->events[at + 1], &run->events[at], (run->event_count - at) * sizeof *run->events);
	run->event_count++;
	run->events[at] = event;
}

static void append(struct names_event event)
{
	event.by_other = names_by_other;
	if (names_bug == NAMES_NO_BUG || names_by_other)
		names_insert(current, current->event_count, event);
	else
		names_insert_falsely(current, event);
}

/* What was written since the last event, in whatever way. */
void names_look_for_writes(void)
{
	for (unsigned i = 0; current != NULL && i < current->node_count; i++) {
		struct names_node *node = &current->nodes[i];
		if (node->is_dir)
			continue;
		struct names_version now = read_version(node);
		if (memcmp(&now, &current->versions[node->seen], sizeof now) == 0)
			continue;
		node->seen = add_version(node);
		append((struct names_event){.kind = NAMES_WRITE, .node = i, .version = node->seen});
	}
}

void names_add(struct names_event event, const char *name, const char *to)
{
	names_look_for_writes();
	if (strchr(name, '/') != NULL || strchr(to, '/') != NULL)
		names_die("a path where a name was expected");
	snprintf(event.name, sizeof event.name, "%s", name);
	snprintf(event.to, sizeof event.to, "%s", to);
	append(event);
}

static void add_entries(unsigned dir, int fd);

static int add_entry(unsigned dir, int dirfd, const char *name)
{
	struct names_entry *entry = &current->base[current->base_count];

	if (current->base_count++ == NAMES_ENTRIES)
		names_die("too many names");
	entry->dir = dir;
	snprintf(entry->name, sizeof entry->name, "%s", name);
	entry->node = names_node_at(dirfd, name);
	if (current->nodes[entry->node].is_dir)
		add_entries(entry->node, openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	return 0;
}

struct found {
	char names[NAMES_ENTRIES][NAMES_NAME];
	unsigned count;
};

static int note_name(void *context, const char *name)
{
	struct found *found = context;
	if (found->count == NAMES_ENTRIES)
		names_die("too many names");
	snprintf(found->names[found->count++], NAMES_NAME, "%s", name);
	return 0;
}

static void add_entries(unsigned dir, int fd)
{
	struct found found = {.count = 0};

	if (fd < 0 || fm__sys_list_dir(fd, note_name, &found) < 0)
		names_die("list directory");
	for (unsigned i = 0; i < found.count; i++)
		add_entry(dir, fd, found.names[i]);
	close(fd);
}

void names_begin(struct names_run *run, const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		names_die("open directory");
	memset(run, 0, sizeof *run);
	current = run;
	add_entries(names_add_node(fd), fd);
}

void names_end(struct names_run *run)
{
	names_look_for_writes();
	for (unsigned i = 0; i < run->node_count; i++) {
		close(run->nodes[i].pin);
		run->nodes[i].pin = -1;
	}
	current = NULL;
}

void names_returned(int result, const struct filemap_error *error)
{
	struct names_event event = {.kind = NAMES_RETURN, .node = NAMES_NONE, .result = result};

	names_look_for_writes();
	if (result < 0) {
		event.sync_failed = strncmp(error->step, "sync ", 5) == 0 ||
				    (error->hint != NULL && strstr(error->hint, "syncing") != NULL);
		snprintf(event.name, sizeof event.name, "%s", error->detail);
	}
	append(event);
}
