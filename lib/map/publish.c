/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * publish: a new file gets a name that nothing has.
 *
 * Invariant: until its content is durable the file has no name, or one that nobody asked for; the name is
 * given in one step, which never overwrites. What can fail, and what it leaves:
 *   1. options, opening the directory, looking at the name: nothing, no file was made
 *   2. making, filling, syncing, naming the file, also by way of a hidden one: nothing; killed there, it
 *      leaves nothing either, or a hidden `.NAME.RANDOM.tmp`
 *   3. syncing the link count, the directory: the complete file, whose name a crash may lose
 */
#include "map/publish.h"

#include <errno.h>
#include <fcntl.h>

#include "base/error.h"
#include "map/new_options.h"
#include "sys/sys.h"

/* What can be known before the content is written should not be found out after it. */
static int check_name(const struct fm__new_file *file, struct filemap_error *reterr)
{
	struct stat status;
	int r = fm__sys_fstatat(file->parent_fd, file->name, &status, AT_SYMLINK_NOFOLLOW);
	if (r == -ENOENT)
		return 0;
	return fm__fail(reterr, r < 0 ? r : -EEXIST, r < 0 ? "look up file" : "create file", "file");
}

static int publish(struct fm__new_file *file, int dirfd, const char *path, const struct fm__content *content,
		   struct filemap_error *reterr)
{
	int r = fm__new_file_open_directory(file, dirfd, path, reterr);
	if (r < 0)
		return r;
	r = check_name(file, reterr);
	if (r < 0)
		return r;
	r = fm__new_file_make(file, content, reterr);
	if (r < 0)
		return r;
	r = fm__new_file_sync(file, reterr);
	if (r < 0)
		return r;
	r = fm__new_file_give_name(file, reterr);
	if (r < 0)
		return r;
	return fm__new_file_sync_name(file, "the file is complete and has its name, but a crash may lose it",
				      reterr);
}

int fm__publish(int dirfd, const char *path, unsigned permissions, const struct fm__content *content,
		struct filemap_error *reterr)
{
	struct fm__new_file file = FM_NEW_FILE(permissions);
	int r = publish(&file, dirfd, path, content, reterr);
	fm__new_file_end(&file);
	if (r < 0)
		fm__fail_detail_if_none(reterr, path);
	return r;
}

int filemap_publish(int dirfd, const char *path, filemap_fill_fn *fill, void *context,
		    const struct filemap_new_options *options, struct filemap_error *reterr)
{
	struct fm__caller_content caller = {fill, context};
	const struct fm__content content = {fm__caller_fill, &caller};
	struct filemap_new_options o;
	int r = fm__new_options_read(&o, dirfd, path, options, 0, reterr);

	if (r < 0)
		return r;
	if (o.expect)
		return fm__options_refuse(reterr, "expect", "a new file takes the place of none");
	return fm__publish(dirfd, path, o.permissions, &content, reterr);
}
