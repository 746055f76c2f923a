/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What stands in front of the kernel: calls fail or are preceded by others as planned; those that succeed are
 * written down. Outside of a recording all pass, but that syncing may be left out.
 */
#include <errno.h>
#include <string.h>

#include "names.h"
#include "names_wraps.h"

struct planned {
	const char *call;
	unsigned nth; /* counts down; 0 = each */
	int error;
	void (*run)(void *);
	void *context;
	bool met, over;
};

bool names_without_sync;
static struct planned plan[8];
static unsigned planned;

void names_recorder_reset(void)
{
	planned = 0;
	names_bug = NAMES_NO_BUG;
	names_by_other = false;
}

static struct planned *next_planned(const char *call, unsigned nth)
{
	if (planned == sizeof plan / sizeof *plan)
		names_die("too many plans");
	plan[planned] = (struct planned){.call = call, .nth = nth};
	return &plan[planned++];
}

void names_fail(const char *call, unsigned nth, int error)
{
	next_planned(call, nth)->error = error;
}

void names_hook(const char *call, unsigned nth, void (*run)(void *), void *context)
{
	struct planned *one = next_planned(call, nth);

	one->run = run;
	one->context = context;
}

unsigned names_planned(void)
{
	return planned;
}

unsigned names_fired(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < planned; i++)
		count += plan[i].met;
	return count;
}

static bool is_due(struct planned *one, const char *call)
{
	if (one->over || strcmp(one->call, call) != 0)
		return false;
	if (one->nth > 0 && --one->nth > 0)
		return false;
	return true;
}

static void run_other(const struct planned *one)
{
	names_look_for_writes();
	names_by_other = true;
	one->run(one->context);
	names_look_for_writes();
	names_by_other = false;
}

/* 0: go on with the real call; else what to return. */
static int pass(const char *call)
{
	int r = 0;

	for (unsigned i = 0; names_recording() && !names_by_other && i < planned; i++) {
		bool always = plan[i].nth == 0;
		if (!is_due(&plan[i], call))
			continue;
		plan[i].met = true;
		plan[i].over = !always;
		if (plan[i].run != NULL)
			run_other(&plan[i]);
		else if (r == 0)
			r = -plan[i].error;
	}
	return r;
}

/* One that changes a file, which is seen by looking. */
#define CHANGES(type, name, parameters, arguments)              \
	type __real_fm__sys_##name parameters;                  \
	type __wrap_fm__sys_##name parameters;                  \
	type __wrap_fm__sys_##name parameters                   \
	{                                                       \
		const int refused = pass(#name);                \
		if (refused < 0)                                \
			return refused;                         \
		const type r = __real_fm__sys_##name arguments; \
		names_look_for_writes();                        \
		return r;                                       \
	}

CHANGES(int, pwrite, (int fd, const void *from, size_t length, uint64_t offset), (fd, from, length, offset))
CHANGES(int64_t, copy_range, (int from_fd, uint64_t from, int to_fd, uint64_t to, uint64_t length),
	(from_fd, from, to_fd, to, length))
CHANGES(int, ftruncate, (int fd, uint64_t size), (fd, size))
CHANGES(int, fallocate, (int fd, int mode, uint64_t offset, uint64_t length), (fd, mode, offset, length))
CHANGES(int, set_mode, (int fd, unsigned permissions), (fd, permissions))
CHANGES(int, set_owner, (int fd, unsigned owner, unsigned group), (fd, owner, group))

/* ---- syncs ---- */

static int sync_file(int fd, enum names_kind kind, const char *call, int (*real)(int fd))
{
	const unsigned node = names_node_of(fd);
	int r = pass(call);

	if (r == 0 && !names_without_sync)
		r = real(fd);
	if (r == 0 && node != NAMES_NONE)
		names_add((struct names_event){.kind = kind, .node = node}, "", "");
	return r;
}

int __real_fm__sys_fsync(int fd);
int __wrap_fm__sys_fsync(int fd);
int __wrap_fm__sys_fsync(int fd)
{
	struct stat status;
	bool dir = fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);

	return sync_file(fd, NAMES_SYNC, dir ? "sync_dir" : "fsync", __real_fm__sys_fsync);
}

int __real_fm__sys_fdatasync(int fd);
int __wrap_fm__sys_fdatasync(int fd);
int __wrap_fm__sys_fdatasync(int fd)
{
	return sync_file(fd, NAMES_SYNC_BYTES, "fdatasync", __real_fm__sys_fdatasync);
}

/* ---- names ---- */

int __real_fm__sys_openat(int dirfd, const char *path, int flags, unsigned mode);
int __wrap_fm__sys_openat(int dirfd, const char *path, int flags, unsigned mode);
int __wrap_fm__sys_openat(int dirfd, const char *path, int flags, unsigned mode)
{
	const bool unnamed = (flags & O_TMPFILE) == O_TMPFILE;
	int r = pass(unnamed ? "tmpfile" : "openat");

	if (r == 0)
		r = __real_fm__sys_openat(dirfd, path, flags, mode);
	if (r < 0 || !names_recording() || (!unnamed && (flags & O_CREAT) == 0))
		return r;
	if (names_node_of(r) != NAMES_NONE)
		return r;
	unsigned node = names_add_node(r), dir = names_node_of(dirfd);
	if (dir != NAMES_NONE && !unnamed)
		names_add((struct names_event){.kind = NAMES_LINK, .dir = dir, .node = node}, path, "");
	return r;
}

int __real_fm__sys_mkdirat(int dirfd, const char *path, unsigned mode);
int __wrap_fm__sys_mkdirat(int dirfd, const char *path, unsigned mode);
int __wrap_fm__sys_mkdirat(int dirfd, const char *path, unsigned mode)
{
	const unsigned dir = names_node_of(dirfd);
	int r = pass("mkdirat");

	if (r == 0)
		r = __real_fm__sys_mkdirat(dirfd, path, mode);
	if (r == 0 && dir != NAMES_NONE)
		names_add((struct names_event){.kind = NAMES_LINK,
					       .dir = dir,
					       .node = names_node_at(dirfd, path)},
			  path, "");
	return r;
}

int __real_fm__sys_link_fd(int fd, int dirfd, const char *name);
int __wrap_fm__sys_link_fd(int fd, int dirfd, const char *name);
int __wrap_fm__sys_link_fd(int fd, int dirfd, const char *name)
{
	const unsigned dir = names_node_of(dirfd), node = names_node_of(fd);
	int r = pass("link_fd");

	if (r == 0)
		r = __real_fm__sys_link_fd(fd, dirfd, name);
	if (r == 0 && dir != NAMES_NONE)
		names_add((struct names_event){.kind = NAMES_LINK, .dir = dir, .node = node}, name, "");
	return r;
}

int __real_fm__sys_linkat(int from_dirfd, const char *from, int to_dirfd, const char *to);
int __wrap_fm__sys_linkat(int from_dirfd, const char *from, int to_dirfd, const char *to);
int __wrap_fm__sys_linkat(int from_dirfd, const char *from, int to_dirfd, const char *to)
{
	const unsigned dir = names_node_of(to_dirfd);
	int r = pass("linkat");

	if (r == 0)
		r = __real_fm__sys_linkat(from_dirfd, from, to_dirfd, to);
	if (r == 0 && dir != NAMES_NONE)
		names_add((struct names_event){.kind = NAMES_LINK,
					       .dir = dir,
					       .node = names_node_at(to_dirfd, to)},
			  to, "");
	return r;
}

int __real_fm__sys_unlinkat(int dirfd, const char *name, int flags);
int __wrap_fm__sys_unlinkat(int dirfd, const char *name, int flags);
int __wrap_fm__sys_unlinkat(int dirfd, const char *name, int flags)
{
	const bool dir = (flags & AT_REMOVEDIR) != 0;
	const unsigned node = names_node_of(dirfd);
	int r = pass(dir ? "rmdir" : "unlinkat");

	if (r == 0)
		r = __real_fm__sys_unlinkat(dirfd, name, flags);
	if (r == 0 && node != NAMES_NONE)
		names_add((struct names_event){.kind = dir ? NAMES_RMDIR : NAMES_UNLINK, .dir = node}, name,
			  "");
	return r;
}

static void add_move(struct names_event event, int from_dirfd, const char *from, int to_dirfd, const char *to)
{
	event.dir = names_node_of(from_dirfd);
	event.to_dir = names_node_of(to_dirfd);
	if ((event.dir == NAMES_NONE) != (event.to_dir == NAMES_NONE))
		names_die("a file leaves the directory");
	if (event.dir == NAMES_NONE)
		return;
	event.node = names_node_at(to_dirfd, to);
	names_add(event, from, to);
}

int __real_fm__sys_rename(int dirfd, const char *from, const char *to, bool replace);
int __wrap_fm__sys_rename(int dirfd, const char *from, const char *to, bool replace);
int __wrap_fm__sys_rename(int dirfd, const char *from, const char *to, bool replace)
{
	int r = pass("rename");

	if (r == 0)
		r = __real_fm__sys_rename(dirfd, from, to, replace);
	if (r == 0)
		add_move((struct names_event){.kind = NAMES_MOVE, .replaces = replace}, dirfd, from, dirfd,
			 to);
	return r;
}

int __real_fm__sys_move(int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned how);
int __wrap_fm__sys_move(int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned how);
int __wrap_fm__sys_move(int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned how)
{
	struct names_event event = {.kind = how == FM_MOVE_SWAP ? NAMES_SWAP : NAMES_MOVE};
	int r = pass(how == FM_MOVE_SWAP ? "swap" : how == FM_MOVE_OVER ? "move_over" : "move");

	if (r == 0)
		r = __real_fm__sys_move(from_dirfd, from, to_dirfd, to, how);
	event.replaces = how == FM_MOVE_OVER || (r == -EEXIST && names_bug == NAMES_PUT_BACK_REPLACES);
	if (r == 0 || (r == -EEXIST && event.replaces))
		add_move(event, from_dirfd, from, to_dirfd, to);
	return r;
}
