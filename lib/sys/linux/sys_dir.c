/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Names in directories: removing, renaming, moving, linking, making, listing. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sys/linux/kernel.h"
#include "sys/sys.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE (1u << 0)
#endif
#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE (1u << 1)
#endif

int fm__sys_unlinkat(int dirfd, const char *name, int flags)
{
	return fm__result(unlinkat(dirfd, name, flags));
}

/* For file systems without RENAME_NOREPLACE. A crash in between leaves both names, never none. */
static int link_then_unlink(int dirfd, const char *from, const char *to)
{
	int r = fm__result(linkat(dirfd, from, dirfd, to, 0));
	if (r < 0)
		return r;
	r = fm__result(unlinkat(dirfd, from, 0));
	if (r < 0)
		(void)unlinkat(dirfd, to, 0);
	return r;
}

int fm__sys_rename(int dirfd, const char *from, const char *to, bool replace)
{
	if (replace)
		return fm__result(renameat(dirfd, from, dirfd, to));
	int r = fm__result(renameat2(dirfd, from, dirfd, to, RENAME_NOREPLACE));
	if (r == -EINVAL || r == -ENOSYS)
		return link_then_unlink(dirfd, from, to);
	return r;
}

int fm__sys_move(int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned how)
{
	unsigned flags = how == FM_MOVE_SWAP ? RENAME_EXCHANGE : RENAME_NOREPLACE;
	if (how == FM_MOVE_OVER)
		return fm__result(renameat(from_dirfd, from, to_dirfd, to));
	return fm__result(renameat2(from_dirfd, from, to_dirfd, to, flags));
}

int fm__sys_linkat(int from_dirfd, const char *from, int to_dirfd, const char *to)
{
	return fm__result(linkat(from_dirfd, from, to_dirfd, to, 0));
}

int fm__sys_mkdirat(int dirfd, const char *path, unsigned mode)
{
	return fm__result(mkdirat(dirfd, path, (mode_t)mode));
}

static int visit_all(DIR *stream, int (*visit)(void *context, const char *name), void *context)
{
	for (;;) {
		errno = 0;
		const struct dirent *entry = readdir(stream);
		if (!entry)
			return -errno;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		int r = visit(context, entry->d_name);
		if (r != 0)
			return r;
	}
}

/* Through a descriptor of its own: the caller's keeps its reading position, and may be O_PATH. */
int fm__sys_list_dir(int dirfd, int (*visit)(void *context, const char *name), void *context)
{
	int fd = fm__sys_openat(dirfd, ".", O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return fd;
	DIR *stream = fdopendir(fd);
	if (!stream) {
		int r = -errno;
		fm__sys_close(fd);
		return r;
	}
	int r = visit_all(stream, visit, context);
	(void)closedir(stream);
	return r;
}
