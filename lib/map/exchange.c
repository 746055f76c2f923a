/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * exchange: a hidden new file and a name's file change places; what is hidden then is compared, and unlinked.
 *
 * Invariant: nothing is unlinked under the hidden name that was not seen there, a moment before, to be the old
 * file or our own. Whoever cannot say what is hidden forgets the name, so that nobody unlinks it later.
 * What can fail, and what it leaves under the name and under the hidden one:
 *   1. comparing before, changing places: the old (or foreign) file; ours, which goes
 *   2. comparing after, unlinking the old one: they change places back, as in 1
 *   3. changing back: our file; the other one, hidden, is told in `detail`
 *   4. syncing the directory behind that, which keeps a crash from undoing it after ours is unlinked: as in 1,
 *      but ours stays hidden and is told
 *   5. a third file came in between: the foreign file; the third, hidden, is told
 * Killed between changing places and unlinking, it leaves one of both hidden.
 */
#include "map/exchange.h"

#include <errno.h>
#include <fcntl.h>

#include "base/error.h"
#include "map/name.h"
#include "map/quarantine.h"
#include "sys/sys.h"

static int compare(const struct fm__new_file *file, struct filemap_error *reterr)
{
	struct stat named;
	int r = fm__sys_fstatat(file->parent_fd, file->name, &named, AT_SYMLINK_NOFOLLOW);
	if (r == -ENOENT)
		return fm__fail_errno(reterr, FILEMAP_EGONE, ENOENT, "compare file", "file");
	if (r < 0)
		return fm__fail(reterr, r, "compare file", "file");
	if (fm__is_same_file(&named, &file->old))
		return 0;
	return fm__fail(reterr, FILEMAP_EREPLACED, "compare file", "file");
}

static int change_places(const struct fm__new_file *file)
{
	return fm__sys_move(file->parent_fd, file->hidden, file->parent_fd, file->name, FM_MOVE_SWAP);
}

static int cannot_change_places(int r)
{
	return r == -EINVAL || r == -ENOSYS || r == -EOPNOTSUPP;
}

static int hidden_means(const struct fm__new_file *file, const struct stat *which)
{
	struct stat named;
	return fm__name_means(file->parent_fd, file->hidden, which, AT_SYMLINK_NOFOLLOW, &named);
}

/* Nobody unlinks the hidden name any more. */
static void leave_hidden(struct fm__new_file *file, const char *hint, struct filemap_error *reterr)
{
	fm__fail_hint(reterr, hint);
	fm__fail_detail(reterr, file->hidden);
	file->hidden[0] = '\0';
}

/* If somebody removed our file from the name meanwhile, the other one is moved back; then -ENOENT means that it
 * was given back by somebody. 1: nothing is hidden any more. */
static int change_back(const struct fm__new_file *file)
{
	int r = -EEXIST;

	for (int round = 0; round < FM_NAME_ROUNDS && r == -EEXIST; round++) {
		r = change_places(file);
		if (r != -ENOENT)
			return r;
		r = fm__sys_move(file->parent_fd, file->hidden, file->parent_fd, file->name, FM_MOVE_NEW);
		if (r >= 0 || r == -ENOENT)
			return 1;
	}
	return r;
}

static void check_what_came_back(struct fm__new_file *file, struct filemap_error *reterr)
{
	struct stat own;
	int r = fm__sys_fstat(file->fd, &own);
	if (r >= 0)
		r = hidden_means(file, &own);
	if (r != 1)
		leave_hidden(file, "another file came between; it is under the hidden name", reterr);
}

/* The record is filled in already, with why. */
static void put_back(struct fm__new_file *file, struct filemap_error *reterr)
{
	int r = change_back(file);
	if (r < 0) {
		leave_hidden(file, "the new file has the name; the other one is under the hidden name",
			     reterr);
		return;
	}
	if (r == 1)
		file->hidden[0] = '\0';
	r = fm__sys_fsync(file->parent_fd);
	if (file->hidden[0] == '\0') {
		if (r < 0)
			fm__fail_hint(reterr,
				      "syncing failed: see filemap_recover_quarantine() after a crash");
		return;
	}
	if (r < 0)
		leave_hidden(file, "the new file is under the hidden name: syncing the directory failed",
			     reterr);
	else
		check_what_came_back(file, reterr);
}

/* ENOENT: somebody was faster; it is gone from there, which is what was wanted. */
static int unlink_old(struct fm__new_file *file, struct filemap_error *reterr)
{
	int r = fm__sys_unlinkat(file->parent_fd, file->hidden, 0);
	if (r < 0 && r != -ENOENT)
		return fm__fail(reterr, r, "unlink replaced file", "file");
	file->hidden[0] = '\0';
	return 0;
}

/* Moving a file can give it another number: overlayfs copies it, and tells that to its open descriptors, too. */
static int hidden_is_old(const struct fm__new_file *file)
{
	struct stat now;
	int r = hidden_means(file, &file->old);
	if (r != 0)
		return r;
	r = fm__sys_fstat(file->old_fd, &now);
	if (r < 0)
		return r;
	return fm__is_same_file(&now, &file->old) ? 0 : hidden_means(file, &now);
}

static int finish(struct fm__new_file *file, struct filemap_error *reterr)
{
	int r = hidden_is_old(file);
	if (r < 0)
		fm__fail(reterr, r, "compare replaced file", "file");
	else if (r == 0)
		r = fm__fail(reterr, FILEMAP_EREPLACED, "compare replaced file", "file");
	else
		r = unlink_old(file, reterr);
	if (r < 0)
		put_back(file, reterr);
	return r;
}

/* What comes onto the name between the two steps is lost. */
static int compare_and_rename_over(struct fm__new_file *file, struct filemap_error *reterr)
{
	int r = compare(file, reterr);
	if (r < 0)
		return r;
	r = fm__new_file_rename_over(file, reterr);
	return r < 0 ? r : FILEMAP_WEAKLY_CHECKED;
}

/* What is hidden others can exchange, too, where they can write the directory. */
int fm__exchange(struct fm__new_file *file, struct filemap_error *reterr)
{
	int shared = fm__directory_is_shared(file->parent_fd, &file->old);
	int r = shared < 0 ? fm__fail(reterr, shared, "identify parent directory", "parent directory")
			   : compare(file, reterr);
	if (r < 0)
		return r;
	r = change_places(file);
	if (r >= 0) {
		r = finish(file, reterr);
		return r < 0 || !shared ? r : FILEMAP_WEAKLY_CHECKED;
	}
	if (r == -ENOENT)
		return fm__fail_errno(reterr, FILEMAP_EGONE, ENOENT, "name file", "file");
	if (cannot_change_places(r))
		return compare_and_rename_over(file, reterr);
	return fm__fail(reterr, r, "name file", "file");
}
