/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * new_options: checks what is asked of a new file.
 *
 * Invariant: nothing here asks the kernel anything, so a refused request has changed nothing.
 */
#include "map/new_options.h"

#include "base/error.h"
#include "map/parent.h"

#define DEFAULT_PERMISSIONS 0666u

int fm__new_options_read(struct filemap_new_options *to, int dirfd, const char *path,
			 const struct filemap_new_options *from, uint32_t known_flags,
			 struct filemap_error *reterr)
{
	int r = fm__parent_check(dirfd, path, reterr);
	if (r < 0)
		return r;
	r = fm__options_read(to, sizeof *to, from, sizeof *to, reterr);
	if (r < 0)
		return r;
	if (to->flags & ~known_flags)
		return fm__options_refuse(reterr, "flags", "a flag that is not known here is set");
	if (to->permissions & ~07777u)
		return fm__options_refuse(reterr, "permissions", "only the bits 07777 may be set");
	if (to->reserved != 0)
		return fm__options_refuse(reterr, "reserved", "this field must be zero");
	if (to->permissions == 0)
		to->permissions = DEFAULT_PERMISSIONS;
	return 0;
}

int fm__caller_fill(int fd, void *context, struct filemap_error *reterr)
{
	const struct fm__caller_content *content = context;
	int r = content->fill ? content->fill(fd, content->context) : 0;
	if (r > 0)
		return fm__fail(reterr, FILEMAP_EOPTION, "write content", "fill");
	return r < 0 ? fm__fail(reterr, r, "write content", "file") : 0;
}
