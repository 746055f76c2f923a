/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* How the library removes a name: the file that is open, and never another one. */
#ifndef FM_MAP_REMOVAL_H
#define FM_MAP_REMOVAL_H

#include <filemap/map.h>

#include "map/quarantine.h"

/* Where a removal stands. All zero: nothing was tried. */
struct fm__removal {
	unsigned state;   /* FILEMAP_STATE_NEEDS_UNLINK, _NEEDS_PARENT_SYNC, _REMOVED, or 0 */
	bool is_linked;   /* other names were left at the last look */
	unsigned notices; /* FILEMAP_STILL_LINKED and _WEAKLY_CHECKED, once the name is gone */
	struct fm__hideout
		hideout; /* where the file had to be left, if it is neither gone nor under its name */
};

/* What is to be removed. The descriptor keeps the file's number from being given to another one. */
struct fm__target {
	int dirfd; /* of the directory, for syncing, too: not O_PATH */
	const char *name;
	int fd; /* of the file; may be O_PATH */
};

/*
 * Go on from where the removal stands, to REMOVED: the notices are returned. -errno, FILEMAP_EGONE,
 * FILEMAP_EREPLACED: NEEDS_UNLINK or NEEDS_PARENT_SYNC. FILEMAP_EMODE: a symbolic link; nothing was tried.
 * The detail of the record is a hidden name, if a file had to be left under one, else "".
 */
int fm__removal_run(struct fm__removal *removal, const struct fm__target *target,
		    struct filemap_error *reterr);

/*
 * The same in three steps, for whoever has the directory synced in between, by other hands: unlink, unless that is
 * done; look at what is left, and clear away what was of ours; note what the sync of target->dirfd came to, 0 or
 * -errno. What is returned, and what the removal is then, is as above.
 */
int fm__removal_unlink(struct fm__removal *removal, const struct fm__target *target,
		       struct filemap_error *reterr);
int fm__removal_sync_begin(struct fm__removal *removal, const struct fm__target *target,
			   struct filemap_error *reterr);
int fm__removal_sync_end(struct fm__removal *removal, int synced, struct filemap_error *reterr);

/* A file that was made a moment ago is to be as if it had not been: its name goes, unless it means another one by
 * now. That is not made durable. The record says what made us give up, and keeps saying so; it gets a detail, and a
 * hint, if a file had to be left under a hidden name. `dirfd` may be O_PATH. */
void fm__removal_undo_creation(int dirfd, const char *name, int fd, struct filemap_error *reterr);

#endif
