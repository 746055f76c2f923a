/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A file on its way to a name: made where nobody looks for it, filled, synced. */
#ifndef FM_MAP_NEW_FILE_H
#define FM_MAP_NEW_FILE_H

#include <stdbool.h>
#include <sys/stat.h>

#include <filemap/file.h>

#include "map/hidden.h"

/* Writes the content into an empty file that nobody else knows of. 0, or a code with the record filled in. */
typedef int fm__fill_fn(int fd, void *context, struct filemap_error *reterr);

struct fm__content {
	fm__fill_fn *fill;
	void *context;
};

struct fm__new_file {
	int parent_fd;               /* of the directory; may be synced */
	const char *name;            /* there; borrowed from the path */
	unsigned permissions;        /* before the umask */
	unsigned keep;               /* FILEMAP_KEEP_* bits */
	struct stat old;             /* the file that they are kept from */
	int old_fd;                  /* borrowed; -1 = there is none */
	int fd;                      /* -1 = it is not made yet */
	unsigned mode;               /* what it will have, if that is not what it was made with */
	bool is_synced;              /* content, permissions and link count are */
	char hidden[FM_HIDDEN_SIZE]; /* the name that it has now; "" = none, or its own */
};

#define FM_NEW_FILE(permissions_)                                                       \
	{                                                                               \
		.parent_fd = -1, .permissions = (permissions_), .old_fd = -1, .fd = -1, \
	}

/* Open the directory. -EISDIR: the path, which is not "", ends in a slash. */
int fm__new_file_open_directory(struct fm__new_file *file, int dirfd, const char *path,
				struct filemap_error *reterr);

/* Make and fill it. It has no name, or, where there are no such files, a hidden one, ".tmp". */
int fm__new_file_make(struct fm__new_file *file, const struct fm__content *content,
		      struct filemap_error *reterr);

/* Unless it is: content, permissions and link count. */
int fm__new_file_sync(struct fm__new_file *file, struct filemap_error *reterr);

/* Give one that is synced the name, which is taken from nothing: -EEXIST. */
int fm__new_file_give_name(struct fm__new_file *file, struct filemap_error *reterr);

/*
 * Give it a hidden name. `suffix` is FM_HIDDEN_NEW; or FM_HIDDEN_REMOVED, from which NAME can be read back:
 * where there is no room for all of NAME, it is FM_HIDDEN_NEW after all. To be synced afterwards.
 */
int fm__new_file_hide(struct fm__new_file *file, const char *suffix, struct filemap_error *reterr);

/* Give a hidden one that is synced the name, whatever has it. */
int fm__new_file_rename_over(struct fm__new_file *file, struct filemap_error *reterr);

/* Last: the name becomes durable. FILEMAP_EUNSYNCED: `hint` says what a crash can do. */
int fm__new_file_sync_name(const struct fm__new_file *file, const char *hint, struct filemap_error *reterr);

/* Close all; a hidden name goes, if it still means this file. */
void fm__new_file_end(struct fm__new_file *file);

#endif
