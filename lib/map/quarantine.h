/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A place where what a name meant can be looked at before it is unlinked, out of the way of others. */
#ifndef FM_MAP_QUARANTINE_H
#define FM_MAP_QUARANTINE_H

#include <sys/stat.h>

#include <filemap/base.h>

#include "map/hidden.h"

enum fm__hideout_kind {
	FM_HIDEOUT_NONE,
	FM_HIDEOUT_NAME,      /* another name in the same directory */
	FM_HIDEOUT_DIRECTORY, /* the same name in a directory that only this user can enter */
};

/* All that is needed to find it again. */
struct fm__hideout {
	enum fm__hideout_kind kind;
	uint64_t number;
};

/* One that is open, with a file in it. */
struct fm__quarantine {
	struct fm__hideout at;
	int parent_fd;    /* borrowed: of the directory with the name */
	const char *name; /* borrowed */
	int fd;           /* where the file is: parent_fd, or a directory of its own */
	const char *held; /* its name there: `hidden`, or `name` */
	char hidden[FM_HIDDEN_SIZE];
};

/* 1: others than this user can rename what is in the directory, or what has this file's owner in it. */
int fm__directory_is_shared(int dirfd, const struct stat *file);

#define FM_QUARANTINE_IMPOSSIBLE 2 /* of this kind, here: no room or no support; nothing has changed */

/* Move what the name means there. 0; FM_QUARANTINE_IMPOSSIBLE; -ENOENT: the name means nothing; -errno: q->at says
 * where it can be, if it was moved in spite of that. */
int fm__quarantine_take(struct fm__quarantine *q, int parent_fd, const char *name,
			enum fm__hideout_kind kind);

/* Find one again in which a file had to be left. -ENOENT: it is gone. */
int fm__quarantine_find(struct fm__quarantine *q, int parent_fd, const char *name,
			const struct fm__hideout *at);

/* 1 = it holds this file, 0 = another one; -ENOENT: nothing, somebody gave it back; -errno. */
int fm__quarantine_holds(const struct fm__quarantine *q, const struct stat *file);

/* Its place, relative to the directory, as the detail of an error. */
void fm__quarantine_describe(const struct fm__quarantine *q, struct filemap_error *reterr);

int fm__quarantine_unlink(const struct fm__quarantine *q);

/* Back under the name, never over anything: -EEXIST. */
int fm__quarantine_put_back(const struct fm__quarantine *q);

/* A directory that is empty by now goes; descriptors are closed. -errno: it stays, and what was unlinked in it is
 * not durable. */
int fm__quarantine_end(struct fm__quarantine *q);

#endif
