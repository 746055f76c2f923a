/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * recover: gives files that were hidden for removal their names back. Owns nothing beyond a call.
 *
 * Invariant: nothing is replaced, and no content goes: what is unlinked is empty, or a second name of a file.
 * What is hidden is handled in rounds of a fixed size, in the order of its length and then its bytes, each
 * round reading the directory to the end before anything in it changes. A name that is given back is shorter than
 * the hidden one, so that no round meets it again, and no hidden name is met twice.
 *
 * In a directory that others can write they can give any directory in it such a name. Only one of the form
 * that removals make is emptied: this user's, for nobody else, holding one thing, whose name is that in the
 * directory's.
 */
#include <filemap/file.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "map/hidden.h"
#include "map/name.h"
#include "sys/sys.h"

#define ROUND 64

struct recovery {
	int fd; /* of the directory */
	int given;
	bool changed;
	int failure; /* the first */
	struct filemap_error *reterr;
	unsigned count;            /* of this round's names, in their order */
	char done[FM_HIDDEN_SIZE]; /* the last one of earlier rounds */
	char names[ROUND][FM_HIDDEN_SIZE];
};

/* What is in a hidden directory: two stand for any more. */
struct content {
	unsigned count;
	char name[NAME_MAX + 1];
};

/* Going on is more than telling: only the first failure is told. */
static int note(struct recovery *rec, int r, const char *step, const char *subject, const char *place)
{
	if (rec->failure < 0)
		return r;
	rec->failure = r;
	fm__fail(rec->reterr, r, step, subject);
	fm__fail_detail(rec->reterr, place);
	if (r == -EEXIST)
		fm__fail_hint(rec->reterr, "the name is taken by now: the file stays hidden");
	return r;
}

static int compare(const char *a, const char *b)
{
	const size_t a_length = strlen(a), b_length = strlen(b);

	if (a_length != b_length)
		return a_length < b_length ? -1 : 1;
	return strcmp(a, b);
}

static bool is_hidden(const char *name)
{
	char unused[FM_HIDDEN_SIZE];

	if (strnlen(name, FM_HIDDEN_SIZE) == FM_HIDDEN_SIZE)
		return false;
	return fm__hidden_read(name, FM_HIDDEN_REMOVED, unused) ||
	       fm__hidden_read(name, FM_HIDDEN_REMOVED_FROM, unused);
}

/* Keep the first ROUND of those that come after `done`. */
static int collect(void *context, const char *name)
{
	struct recovery *rec = context;
	unsigned at = rec->count;

	if (!is_hidden(name) || compare(name, rec->done) <= 0)
		return 0;
	while (at > 0 && compare(name, rec->names[at - 1]) < 0)
		at--;
	if (at == ROUND)
		return 0;
	rec->count += rec->count < ROUND;
	memmove(rec->names[at + 1], rec->names[at], (rec->count - 1 - at) * sizeof rec->names[0]);
	memcpy(rec->names[at], name, strlen(name) + 1);
	return 0;
}

/* A crash leaves both names, never none: that which stays is durable before the other one goes. */
static int unlink_other(const struct recovery *rec, int from_fd, const char *from)
{
	int r = fm__sys_fsync(rec->fd);
	if (r < 0)
		return r;
	r = fm__sys_unlinkat(from_fd, from, 0);
	return r == -ENOENT ? 0 : r;
}

/* A file system that cannot refuse to replace. */
static int link_and_unlink(struct recovery *rec, int from_fd, const char *from, const char *to)
{
	int r = fm__sys_linkat(from_fd, from, rec->fd, to);
	if (r < 0)
		return r;
	rec->changed = true;
	return unlink_other(rec, from_fd, from);
}

/* Who moves by linking can have been interrupted: then the name means this very file already. */
static int unlink_second(struct recovery *rec, int from_fd, const char *from, const char *to)
{
	struct stat hidden, named;

	int r = fm__sys_fstatat(from_fd, from, &hidden, AT_SYMLINK_NOFOLLOW);
	if (r < 0)
		return r;
	r = fm__name_means(rec->fd, to, &hidden, AT_SYMLINK_NOFOLLOW, &named);
	if (r != 1)
		return r < 0 ? r : -EEXIST;
	return unlink_other(rec, from_fd, from);
}

static int move(struct recovery *rec, int from_fd, const char *from, const char *to)
{
	int r = fm__sys_move(from_fd, from, rec->fd, to, FM_MOVE_NEW);
	if (r == -EINVAL || r == -ENOSYS)
		r = link_and_unlink(rec, from_fd, from, to);
	return r == -EEXIST ? unlink_second(rec, from_fd, from, to) : r;
}

/* `place`: where it is hidden, for people. What is gone has been removed, or given back, by others. */
static int give_back(struct recovery *rec, int from_fd, const char *from, const char *to, const char *place)
{
	int r = move(rec, from_fd, from, to);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return note(rec, r, "give name back", "hidden file", place);
	rec->changed = true;
	rec->given++;
	return 0;
}

static int look_into(void *context, const char *name)
{
	struct content *content = context;

	content->count++;
	if (strnlen(name, sizeof content->name) == sizeof content->name)
		return content->count = 2;
	memcpy(content->name, name, strlen(name) + 1);
	return content->count > 1;
}

/* Whether a removal of this name would have made a directory of that one, but for the number. */
static bool is_made_for(const char *name, const char *directory)
{
	const size_t length = strlen(directory), tail = strlen("0123456789abcdef." FM_HIDDEN_REMOVED_FROM);
	char made[FM_HIDDEN_SIZE];

	fm__hidden_write_cut(name, 0, FM_HIDDEN_REMOVED_FROM, made);
	return strlen(made) == length && memcmp(made, directory, length - tail) == 0;
}

static int give_content_back(struct recovery *rec, int fd, const char *directory, const char *name)
{
	char place[FM_HIDDEN_SIZE + NAME_MAX + 1];

	snprintf(place, sizeof place, "%s/%s", directory, name);
	return give_back(rec, fd, name, name, place);
}

/* Not empty: a removal that still goes on has put something there, and takes care of it. */
static void remove_directory(struct recovery *rec, const char *directory)
{
	int r = fm__sys_unlinkat(rec->fd, directory, AT_REMOVEDIR);
	if (r >= 0)
		rec->changed = true;
	else if (r != -ENOENT && r != -ENOTEMPTY && r != -EEXIST)
		note(rec, r, "remove hidden directory", "hidden directory", directory);
}

static void empty_directory(struct recovery *rec, int fd, const char *directory)
{
	struct content content = {.count = 0};
	struct stat status;
	int r = fm__sys_fstat(fd, &status);
	if (r >= 0 && ((status.st_mode & (S_IRWXG | S_IRWXO)) || fm__sys_is_user(status.st_uid) != 1))
		return;
	if (r >= 0)
		r = fm__sys_list_dir(fd, look_into, &content);
	if (r < 0) {
		note(rec, r, "list hidden directory", "hidden directory", directory);
		return;
	}
	if (content.count > 1 || (content.count == 1 && !is_made_for(content.name, directory)))
		return;
	if (content.count == 0 || give_content_back(rec, fd, directory, content.name) >= 0)
		remove_directory(rec, directory);
}

/* Nothing but a directory can be one. */
static void recover_directory(struct recovery *rec, const char *directory)
{
	int fd = fm__sys_openat(rec->fd, directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
		return;
	if (fd < 0) {
		note(rec, fd, "open hidden directory", "hidden directory", directory);
		return;
	}
	empty_directory(rec, fd, directory);
	fm__sys_close(fd);
}

static void recover_name(struct recovery *rec, const char *hidden)
{
	char name[FM_HIDDEN_SIZE];

	if (fm__hidden_read(hidden, FM_HIDDEN_REMOVED, name))
		(void)give_back(rec, rec->fd, hidden, name, hidden);
	else
		recover_directory(rec, hidden);
}

/* 1: there may be more. */
static int recover_round(struct recovery *rec)
{
	int r;

	rec->count = 0;
	r = fm__sys_list_dir(rec->fd, collect, rec);
	if (r < 0)
		return note(rec, r, "list directory", "directory", "");
	for (unsigned i = 0; i < rec->count; i++)
		recover_name(rec, rec->names[i]);
	if (rec->count < ROUND)
		return 0;
	memcpy(rec->done, rec->names[ROUND - 1], sizeof rec->done);
	return 1;
}

/* What was given back and is not durable is worse to know nothing of than what was not. */
static int recover_all(struct recovery *rec)
{
	int r;

	do
		r = recover_round(rec);
	while (r > 0);
	r = rec->changed ? fm__sys_fsync(rec->fd) : 0;
	if (r < 0)
		return fm__fail_errno(rec->reterr, FILEMAP_EUNSYNCED, -r, "sync directory", "directory");
	return rec->failure < 0 ? rec->failure : rec->given;
}

int filemap_recover_quarantine(int dirfd, struct filemap_error *reterr)
{
	struct recovery *rec;
	int r;

	if (dirfd < 0 && dirfd != AT_FDCWD)
		return fm__options_refuse(reterr, "dirfd", "a descriptor or AT_FDCWD is needed");
	rec = fm__zalloc(sizeof *rec);
	if (!rec)
		return fm__fail(reterr, -ENOMEM, "allocate memory", "directory");
	rec->reterr = reterr;
	r = rec->fd = fm__sys_openat(dirfd, ".", O_RDONLY | O_DIRECTORY, 0);
	if (r < 0)
		fm__fail(reterr, r, "open directory", "directory");
	else
		r = recover_all(rec);
	fm__sys_close(rec->fd);
	fm__free(rec);
	return r;
}
