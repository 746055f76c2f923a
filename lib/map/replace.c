/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * replace: a new file takes the name of an old one, or of none.
 *
 * Invariant: the name means the old file or the complete new one at every moment. The old file is open from the
 * first look at it, so that its number stays its own. What can fail, and what it leaves:
 *   1. options, opening the directory, looking at the old file: the old file, no new one was made
 *   2. making, filling, hiding, syncing the new file: the old file; killed there, it leaves also nothing or
 *      `.NAME.RANDOM.tmp`, which is the new one in part, or (with `expect` `.NAME.RANDOM.del`) all of it
 *   3. renaming it over the name: as in 2; with `expect`, changing places: see exchange.c
 *   4. syncing the directory: the new file, which a crash may turn back into the old one
 */
#include <filemap/file.h>

#include <errno.h>
#include <fcntl.h>

#include "base/error.h"
#include "base/util.h"
#include "map/exchange.h"
#include "map/identity.h"
#include "map/new_options.h"
#include "sys/sys.h"

struct replacement {
	struct fm__new_file file;
	const struct filemap_identity *expect; /* NULL = whatever it is */
	int old_fd;                            /* O_PATH; -1 = there is none */
};

static int check_expected(const struct replacement *o, struct filemap_error *reterr)
{
	struct filemap_identity found;
	int r;

	if (!o->expect)
		return 0;
	r = fm__identity_of_fd(o->old_fd, &found);
	if (r < 0)
		return fm__fail(reterr, r, "identify file", "file");
	if (filemap_identity_equal(&found, o->expect))
		return 0;
	return fm__fail(reterr, FILEMAP_EREPLACED, "compare file", "file");
}

static int look_at_old(struct replacement *o, struct filemap_error *reterr)
{
	int r = fm__sys_fstat(o->old_fd, &o->file.old);
	return r < 0 ? fm__fail(reterr, r, "identify file", "file") : check_expected(o, reterr);
}

static int refuse_link(struct filemap_error *reterr)
{
	fm__fail_errno(reterr, FILEMAP_EMODE, ELOOP, "look up file", "file");
	fm__fail_hint(reterr, "symbolic links are not replaced, nor what they lead to");
	return FILEMAP_EMODE;
}

/* Of a name that does not exist there is nothing to keep. */
static int find_none(struct replacement *o, struct filemap_error *reterr)
{
	o->file.keep = 0;
	if (!o->expect)
		return 0;
	return fm__fail_errno(reterr, FILEMAP_EGONE, ENOENT, "look up file", "file");
}

static int find_old(struct replacement *o, struct filemap_error *reterr)
{
	struct filemap_error why;
	int r = fm__identity_pin(o->file.parent_fd, o->file.name, &why);

	if (r == -ENOENT)
		return find_none(o, reterr);
	if (r == -ELOOP)
		return refuse_link(reterr);
	if (r < 0) {
		if (reterr)
			*reterr = why;
		return r;
	}
	o->old_fd = o->file.old_fd = r;
	return look_at_old(o, reterr);
}

/* The name of a file that may be exchanged says what it belongs to, if it has to stay: it is given to none that
 * a crash could leave incomplete. The other one is for nobody's use, so one sync will do. */
static int hide(struct replacement *o, struct filemap_error *reterr)
{
	int r = o->expect ? fm__new_file_sync(&o->file, reterr) : 0;
	if (r < 0)
		return r;
	r = fm__new_file_hide(&o->file, o->expect ? FM_HIDDEN_REMOVED : FM_HIDDEN_NEW, reterr);
	return r < 0 ? r : fm__new_file_sync(&o->file, reterr);
}

static int take_name(struct replacement *o, struct filemap_error *reterr)
{
	int r = hide(o, reterr);
	if (r < 0)
		return r;
	return o->expect ? fm__exchange(&o->file, reterr) : fm__new_file_rename_over(&o->file, reterr);
}

static int replace(struct replacement *o, int dirfd, const char *path, const struct fm__content *content,
		   struct filemap_error *reterr)
{
	int notices, r = fm__new_file_open_directory(&o->file, dirfd, path, reterr);
	if (r < 0)
		return r;
	r = find_old(o, reterr);
	if (r < 0)
		return r;
	r = fm__new_file_make(&o->file, content, reterr);
	if (r < 0)
		return r;
	notices = take_name(o, reterr);
	if (notices < 0)
		return notices;
	r = fm__new_file_sync_name(&o->file, "the new file has the name, but a crash may turn it back",
				   reterr);
	return r < 0 ? r : notices;
}

int filemap_replace_file(int dirfd, const char *path, filemap_fill_fn *fill, void *context,
			 const struct filemap_new_options *options, struct filemap_error *reterr)
{
	struct fm__caller_content caller = {fill, context};
	const struct fm__content content = {fm__caller_fill, &caller};
	struct filemap_new_options o;
	int r = fm__new_options_read(&o, dirfd, path, options, FILEMAP_KEEP_MODE | FILEMAP_KEEP_OWNER,
				     reterr);
	if (r < 0)
		return r;

	struct replacement replacement = {
		.file = FM_NEW_FILE(o.permissions), .expect = o.expect, .old_fd = -1};
	replacement.file.keep = o.flags;
	r = replace(&replacement, dirfd, path, &content, reterr);
	fm__new_file_end(&replacement.file);
	fm__sys_close(fm__take_fd(&replacement.old_fd));
	if (r < 0)
		fm__fail_detail_if_none(reterr, path);
	return r;
}
