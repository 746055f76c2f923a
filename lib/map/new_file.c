/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * new_file: a file without a name in the directory of its future name; where there are no such files, or they
 * cannot be named, a hidden one takes its place.
 *
 * Invariant: `hidden` is the only name that the file has and does not keep; whoever fails leaves it to
 * fm__new_file_end(). A file that keeps an owner or permissions is, until it has them, open to nobody.
 */
#include "map/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/error.h"
#include "base/util.h"
#include "map/content.h"
#include "map/name.h"
#include "map/parent.h"
#include "sys/sys.h"

#define ATTEMPTS 8   /* at a random name that is not taken */
#define PRIVATE 0600 /* permissions of what is not complete */
#define SET_ID (S_ISUID | S_ISGID)

int fm__new_file_open_directory(struct fm__new_file *file, int dirfd, const char *path,
				struct filemap_error *reterr)
{
	int r;

	if (path[strlen(path) - 1] == '/')
		return fm__fail(reterr, -EISDIR, "create file", "file");
	r = fm__parent_open(dirfd, path, O_RDONLY, &file->name);
	if (r < 0)
		return fm__fail(reterr, r, "open parent directory", "parent directory");
	file->parent_fd = r;
	return 0;
}

/* What becomes of a file when it gets a hidden name; its descriptor, or 0. */
typedef int give_fn(const struct fm__new_file *file, const char *hidden, unsigned permissions);

static int make_under(const struct fm__new_file *file, const char *hidden, unsigned permissions)
{
	return fm__sys_openat(file->parent_fd, hidden, O_RDWR | O_CREAT | O_EXCL, permissions);
}

static int link_under(const struct fm__new_file *file, const char *hidden, unsigned unused)
{
	(void)unused;
	return fm__sys_link_fd(file->fd, file->parent_fd, hidden);
}

static int rename_to(const struct fm__new_file *file, const char *hidden, unsigned unused)
{
	(void)unused;
	return fm__sys_rename(file->parent_fd, file->hidden, hidden, false);
}

/* Whether all of NAME has to be in it is what the suffix says. */
static int choose(const struct fm__new_file *file, bool whole, char to[FM_HIDDEN_SIZE])
{
	uint64_t number;
	int r = fm__hidden_number(&number);

	if (r < 0)
		return r;
	if (whole && fm__hidden_write(file->name, number, FM_HIDDEN_REMOVED, to) >= 0)
		return 0;
	fm__hidden_write_cut(file->name, number, FM_HIDDEN_NEW, to);
	return 0;
}

/* -EEXIST: of so many numbers none was free, which nobody believes. */
static int hide(struct fm__new_file *file, bool whole, give_fn *give, unsigned permissions)
{
	char hidden[FM_HIDDEN_SIZE];
	int r = -EEXIST;

	for (int i = 0; i < ATTEMPTS && (r == -EEXIST || (r == -ENAMETOOLONG && whole)); i++) {
		whole = whole && r != -ENAMETOOLONG;
		r = choose(file, whole, hidden);
		if (r < 0)
			return r;
		r = give(file, hidden, permissions);
	}
	if (r >= 0)
		memcpy(file->hidden, hidden, sizeof hidden);
	return r;
}

static int make_hidden(struct fm__new_file *file, unsigned permissions)
{
	int r = hide(file, false, make_under, permissions);
	if (r < 0)
		return r;
	file->fd = r;
	return 0;
}

/* How kernels and file systems say that they have no files without names. */
static int has_no_unnamed(int r)
{
	return r == -EOPNOTSUPP || r == -EISDIR || r == -EINVAL || r == -ENOSYS;
}

static int read_mode(int fd, unsigned *ret)
{
	struct stat status;
	int r = fm__sys_fstat(fd, &status);
	if (r >= 0)
		*ret = status.st_mode & 07777;
	return r;
}

/* What the umask, or a default ACL, leaves of the permissions, is found out with a file that nobody will use. */
static int make_hidden_for_owner(struct fm__new_file *file)
{
	int r = make_hidden(file, file->permissions);
	if (r < 0)
		return r;
	r = read_mode(file->fd, &file->mode);
	if (r < 0)
		return r;
	r = fm__sys_unlinkat(file->parent_fd, file->hidden, 0);
	if (r < 0)
		return r;
	file->hidden[0] = '\0';
	fm__sys_close(fm__take_fd(&file->fd));
	return make_hidden(file, PRIVATE);
}

/* Where there is an access control list the bits of the group are the mask of all users and groups in it: without
 * it they would open the file to a group that it may have shut out. The new file's own, which the directory may have
 * given it, goes: its users would be let in. */
static int keep_permissions(struct fm__new_file *file)
{
	unsigned group;
	int r = fm__sys_acl_group(file->old_fd, &group);
	if (r < 0)
		return r;
	file->mode = file->old.st_mode & 07777;
	if (r == 1)
		file->mode &= ~(unsigned)S_IRWXG | group << 3;
	return fm__sys_acl_drop(file->fd);
}

/* A file that its own user runs with the rights of its owner is no such file for another owner. */
static int keep_mode(struct fm__new_file *file)
{
	struct stat status;
	int r = keep_permissions(file);
	if (r < 0)
		return r;
	if (!(file->mode & SET_ID) || (file->keep & FILEMAP_KEEP_OWNER))
		return 0;
	r = fm__sys_fstat(file->fd, &status);
	if (r < 0)
		return r;
	if (status.st_uid != file->old.st_uid)
		file->mode &= ~(unsigned)S_ISUID;
	if (status.st_gid != file->old.st_gid)
		file->mode &= ~(unsigned)S_ISGID;
	return 0;
}

/* Whether permissions are set behind the content. */
static bool sets_mode(const struct fm__new_file *file)
{
	return file->keep != 0 || (file->permissions & SET_ID) != 0;
}

static int make(struct fm__new_file *file)
{
	unsigned permissions = file->keep & FILEMAP_KEEP_MODE ? PRIVATE : file->permissions;
	int r = fm__sys_openat(file->parent_fd, ".", O_RDWR | O_TMPFILE, permissions);
	if (r < 0 && !has_no_unnamed(r))
		return r;
	if (r < 0 && file->keep == FILEMAP_KEEP_OWNER)
		return make_hidden_for_owner(file);
	if (r < 0)
		r = make_hidden(file, permissions);
	else
		file->fd = r;
	if (r < 0)
		return r;
	if (file->keep & FILEMAP_KEEP_MODE)
		return keep_mode(file);
	return sets_mode(file) ? read_mode(file->fd, &file->mode) : 0;
}

/* Before the content, because it is what can be refused. */
static int give_owner(const struct fm__new_file *file, struct filemap_error *reterr)
{
	int r;

	if (!(file->keep & FILEMAP_KEEP_OWNER))
		return 0;
	r = fm__sys_set_owner(file->fd, file->old.st_uid, file->old.st_gid);
	return r < 0 ? fm__fail(reterr, r, "set owner", "file") : 0;
}

/* Behind the content, because writing takes set-id bits away, as changing the owner does. */
static int give_mode(const struct fm__new_file *file, unsigned mode, struct filemap_error *reterr)
{
	int r = fm__sys_set_mode(file->fd, mode);
	return r < 0 ? fm__fail(reterr, r, "set permissions", "file") : 0;
}

int fm__new_file_sync(struct fm__new_file *file, struct filemap_error *reterr)
{
	int r = file->is_synced ? 0 : fm__sys_fsync(file->fd);
	if (r < 0)
		return fm__fail(reterr, r, "sync file", "file");
	file->is_synced = true;
	return 0;
}

int fm__new_file_make(struct fm__new_file *file, const struct fm__content *content,
		      struct filemap_error *reterr)
{
	int r = make(file);
	if (r < 0)
		return fm__fail(reterr, r, "create file", "file");
	r = give_owner(file, reterr);
	if (r < 0)
		return r;
	r = content->fill(file->fd, content->context, reterr);
	if (r < 0)
		return r;
	return sets_mode(file) ? give_mode(file, file->mode, reterr) : 0;
}

/* ENOENT: the kernel wants /proc for it, and there is none. The others: a file system without links, or a
 * security module that does not know what this is about. Where it is for good, a hidden file fails, too. */
static int cannot_be_named(const struct fm__new_file *file, int r)
{
	return file->hidden[0] == '\0' &&
	       (r == -ENOENT || r == -EPERM || r == -EACCES || r == -EOPNOTSUPP || r == -ENOSYS);
}

static int copy_all(struct fm__new_file *file, int from_fd, const struct stat *from,
		    struct filemap_error *reterr)
{
	int r = make_hidden(file, PRIVATE);
	if (r >= 0 && (file->keep & FILEMAP_KEEP_MODE))
		r = fm__sys_acl_drop(file->fd);
	if (r < 0)
		return fm__fail(reterr, r, "create file", "file");
	r = give_owner(file, reterr);
	if (r < 0)
		return r;
	r = fm__content_copy(from_fd, (uint64_t)from->st_size, file->fd);
	if (r < 0)
		return fm__fail(reterr, r, "copy to hidden file", "file");
	r = give_mode(file, from->st_mode & 07777, reterr);
	if (r < 0)
		return r;
	file->is_synced = false;
	return fm__new_file_sync(file, reterr);
}

/* The content is not asked for again: who wrote it may not be able to. Synced, because it has a name already. */
static int copy_to_hidden(struct fm__new_file *file, struct filemap_error *reterr)
{
	struct stat from;
	int from_fd, r = fm__sys_fstat(file->fd, &from);
	if (r < 0)
		return fm__fail(reterr, r, "read file size", "file");
	from_fd = fm__take_fd(&file->fd);
	r = copy_all(file, from_fd, &from, reterr);
	fm__sys_close(from_fd);
	return r;
}

/* The first name is also a link count, which a file system without a journal keeps in the file: where that does
 * not reach the disk, too, a crash takes the file for one without names, and fsck takes the name away. */
static int link_first(struct fm__new_file *file, int r)
{
	if (r >= 0)
		file->is_synced = false;
	return r;
}

static int try_name(struct fm__new_file *file)
{
	int r;
	if (file->hidden[0] == '\0')
		return link_first(file, fm__sys_link_fd(file->fd, file->parent_fd, file->name));
	r = fm__sys_rename(file->parent_fd, file->hidden, file->name, false);
	if (r >= 0)
		file->hidden[0] = '\0';
	return r;
}

int fm__new_file_give_name(struct fm__new_file *file, struct filemap_error *reterr)
{
	int r = try_name(file);
	if (cannot_be_named(file, r)) {
		r = copy_to_hidden(file, reterr);
		if (r < 0)
			return r;
		r = try_name(file);
	}
	return r < 0 ? fm__fail(reterr, r, "name file", "file") : 0;
}

static int rename_hidden(struct fm__new_file *file, bool whole, struct filemap_error *reterr)
{
	int r = whole ? hide(file, whole, rename_to, 0) : 0;
	return r < 0 ? fm__fail(reterr, r, "name file", "file") : 0;
}

int fm__new_file_hide(struct fm__new_file *file, const char *suffix, struct filemap_error *reterr)
{
	bool whole = strcmp(suffix, FM_HIDDEN_REMOVED) == 0;
	int r;

	if (file->hidden[0] != '\0')
		return rename_hidden(file, whole, reterr);
	r = link_first(file, hide(file, whole, link_under, 0));
	if (cannot_be_named(file, r)) {
		r = copy_to_hidden(file, reterr);
		return r < 0 ? r : rename_hidden(file, whole, reterr);
	}
	return r < 0 ? fm__fail(reterr, r, "name file", "file") : 0;
}

int fm__new_file_rename_over(struct fm__new_file *file, struct filemap_error *reterr)
{
	int r = fm__sys_rename(file->parent_fd, file->hidden, file->name, true);
	if (r < 0)
		return fm__fail(reterr, r, "name file", "file");
	file->hidden[0] = '\0';
	return 0;
}

static int fail_unsynced(int r, const char *step, const char *subject, const char *hint,
			 struct filemap_error *reterr)
{
	fm__fail_errno(reterr, FILEMAP_EUNSYNCED, -r, step, subject);
	fm__fail_hint(reterr, hint);
	return FILEMAP_EUNSYNCED;
}

int fm__new_file_sync_name(const struct fm__new_file *file, const char *hint, struct filemap_error *reterr)
{
	int r = file->is_synced ? 0 : fm__sys_fsync(file->fd);
	if (r < 0)
		return fail_unsynced(r, "sync link count", "file", hint, reterr);
	r = fm__sys_fsync(file->parent_fd);
	if (r < 0)
		return fail_unsynced(r, "sync parent directory", "parent directory", hint, reterr);
	return 0;
}

void fm__new_file_end(struct fm__new_file *file)
{
	if (file->hidden[0] != '\0' && file->fd >= 0)
		fm__name_remove_own(file->parent_fd, file->hidden, file->fd);
	fm__sys_close(fm__take_fd(&file->fd));
	fm__sys_close(fm__take_fd(&file->parent_fd));
}
