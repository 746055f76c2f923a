/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* States as real directories, and what is found in those; texts for people. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "names.h"
#include "names_wraps.h"

/* ---- making ---- */

/* What the state's file holds. */
static struct names_version content(const struct names_run *run, const struct names_file_state *file)
{
	struct names_version is = run->versions[file->version];

	is.mode = run->versions[file->owned].mode;
	is.owner = run->versions[file->owned].owner;
	if (file->damage == NAMES_CUT)
		is.length /= 2;
	if (file->damage == NAMES_GARBAGE)
		memset(is.bytes, 0xA5, is.length);
	return is;
}

static void write_file(int dirfd, const char *name, const struct names_version *is)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, is->bytes, is->length) != (ssize_t)is->length)
		names_die("write file of a state");
	if (is->owner != geteuid() && fchown(fd, is->owner, (gid_t)-1) < 0)
		names_die("give file of a state away");
	if (fchmod(fd, is->mode) < 0)
		names_die("set mode of file of a state");
	close(fd);
}

struct made {
	const struct names_run *run;
	const struct names_state *state;
	int fd[NAMES_NODES]; /* 0 = not made yet */
};

static void make_entries(struct made *made, unsigned dir);

static void make_entry(struct made *made, const struct names_entry *entry)
{
	int *fd = &made->fd[entry->node], dirfd = made->fd[entry->dir];

	if (made->run->nodes[entry->node].is_dir) {
		if (mkdirat(dirfd, entry->name, 0700) < 0)
			names_die("make directory of a state");
		*fd = openat(dirfd, entry->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		make_entries(made, entry->node);
	} else if (*fd == 0) {
		struct names_version is = content(made->run, &made->state->files[entry->node]);
		write_file(dirfd, entry->name, &is);
		*fd = openat(dirfd, entry->name, O_PATH | O_CLOEXEC);
	} else {
		char path[64];
		snprintf(path, sizeof path, "/proc/self/fd/%d", *fd);
		if (linkat(AT_FDCWD, path, dirfd, entry->name, AT_SYMLINK_FOLLOW) < 0)
			names_die("link file of a state");
	}
}

static void make_entries(struct made *made, unsigned dir)
{
	for (unsigned i = 0; i < made->state->count; i++)
		if (made->state->entries[i].dir == dir)
			make_entry(made, &made->state->entries[i]);
}

void names_materialise(const struct names_run *run, const struct names_state *state, const char *path)
{
	struct made made = {.run = run, .state = state};

	names_clear(path);
	if (mkdir(path, 0700) < 0)
		names_die("make a state");
	made.fd[0] = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make_entries(&made, 0);
	for (unsigned i = 0; i < NAMES_NODES; i++)
		if (made.fd[i] > 0)
			close(made.fd[i]);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
	(void)status, (void)type, (void)where;
	return remove(path);
}

void names_clear(const char *path)
{
	if (nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
		names_die("clear away");
}

/* ---- looking ---- */

static void look_in(int fd, const char *prefix, struct names_view *ret);

static void look_at(int dirfd, const char *prefix, const char *name, struct names_view *ret)
{
	struct names_seen *seen = &ret->list[ret->count];
	struct stat status;

	if (ret->count++ == NAMES_ENTRIES)
		names_die("too many names");
	memset(seen, 0, sizeof *seen);
	snprintf(seen->path, sizeof seen->path, "%s%s", prefix, name);
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0)
		names_die("look at a state's file");
	seen->is_dir = S_ISDIR(status.st_mode);
	if (seen->is_dir) {
		char below[NAMES_NAME + 1];
		snprintf(below, sizeof below, "%s/", name);
		look_in(fd, below, ret);
		return;
	}
	ssize_t n = read(fd, seen->is.bytes, sizeof seen->is.bytes);
	if (n < 0)
		names_die("read a state's file");
	seen->is.length = (size_t)n;
	seen->is.mode = status.st_mode & 07777;
	seen->is.owner = status.st_uid;
	close(fd);
}

/* Takes the descriptor. */
static void look_in(int fd, const char *prefix, struct names_view *ret)
{
	DIR *stream = fdopendir(fd);

	if (stream == NULL)
		names_die("list a state");
	for (const struct dirent *entry; (entry = readdir(stream)) != NULL;)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			look_at(fd, prefix, entry->d_name, ret);
	closedir(stream);
}

static int compare_paths(const void *a, const void *b)
{
	return strcmp(((const struct names_seen *)a)->path, ((const struct names_seen *)b)->path);
}

void names_look(const char *path, struct names_view *ret)
{
	ret->count = 0;
	look_in(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), "", ret);
	qsort(ret->list, ret->count, sizeof *ret->list, compare_paths);
}

/* ---- texts ---- */

void names_describe_event(const struct names_event *event, char *to, size_t size)
{
	static const char *const kinds[] = {"link",  "unlink", "rmdir",      "move",  "swap",
					    "write", "sync",   "sync-bytes", "return"};
	const char *who = event->by_other ? "other's " : "";

	if (event->kind == NAMES_MOVE || event->kind == NAMES_SWAP)
		snprintf(to, size, "%s%s %u/%.60s %u/%.60s", who, kinds[event->kind], event->dir, event->name,
			 event->to_dir, event->to);
	else if (event->kind == NAMES_RETURN)
		snprintf(to, size, "return %d", event->result);
	else if (event->kind <= NAMES_RMDIR)
		snprintf(to, size, "%s%s %u/%.60s", who, kinds[event->kind], event->dir, event->name);
	else
		snprintf(to, size, "%s%s #%u", who, kinds[event->kind], event->node);
}
