/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What all windows of one opened file share: its descriptor, lock, directory and name. It lives from the
 * opening to the last of its windows.
 */
#ifndef FM_MAP_ORIGIN_H
#define FM_MAP_ORIGIN_H

#include "map/backing.h"
#include "map/lock.h"
#include "map/removal.h"

/* What is being changed by parts, from its begin to its end; set and unset by class E calls. */
#define FM_CHANGE_NONE 0u
#define FM_CHANGE_SIZE 1u
#define FM_CHANGE_NAME 2u

struct fm__origin {
	struct fm__backing
		*backing;           /* constant, one reference; backing->fd is -1 for memory without a file */
	struct fm__lock lock;       /* changed by class E calls */
	int parent_fd;              /* constant: the pinned directory; -1 = none */
	bool parent_is_path;        /* constant: the directory may be searched only, so not synced */
	char *path;                 /* constant; as given, or a label */
	uint32_t sharing;           /* constant */
	bool size_is_ours;          /* atomic; nobody but its one window has changed the size since opening */
	unsigned generation;        /* constant: of the process that opened */
	struct fm__removal removal; /* changed by class E calls */
	uint32_t change;            /* atomic: FM_CHANGE_*; the asynchronous one that is in flight */
	bool is_sealed;             /* constant: a memory file that nobody can write or cut any more */
	bool is_writable;           /* constant: the descriptor, and so what LOCK_OFD can lock */
	bool remove_on_close;       /* changed by class E calls */
	void (*on_remove)(void *context, int result, const struct filemap_error *error); /* constant */
	void *on_remove_context;                                                         /* constant */
	struct filemap *windows; /* under the process lock: at least one from join on */
	uint32_t window_count;   /* atomic; changed under the process lock */
};

/* Nothing open, nothing locked, no window yet. -ENOMEM. */
int fm__origin_new(const char *path, uint32_t sharing, struct fm__origin **ret);

/* Room for one more window, zeroed; NULL = no memory. The first costs none. */
struct filemap *fm__origin_room(struct fm__origin *origin);

/* Into the list; what others look at there is set before. Windows join while another one lives, or as first. */
void fm__origin_join(struct fm__origin *origin, struct filemap *map);

/* Gives the room back. The last window takes the origin with it: removes the name if that is due, unlocks, closes,
 * frees. */
void fm__origin_leave(struct filemap *map);
void fm__origin_free(struct fm__origin *origin); /* one that no window has joined, or all have left */

/* Whether `test` is true for a window of the origin other than `except`. Runs under the process lock: test
 * must not take it, and not call the kernel. */
bool fm__origin_any(const struct fm__origin *origin, const struct filemap *except,
		    bool (*test)(const struct filemap *, uint64_t), uint64_t argument);

/* FILEMAP_EBUSY while a change is in flight; a forked child has no part in its parent's. */
int fm__origin_check_unchanging(const struct fm__origin *origin, const char *step,
				struct filemap_error *reterr);
void fm__origin_set_change(struct fm__origin *origin, uint32_t change);
uint32_t fm__origin_change(const struct fm__origin *origin);

/* Whether this process is not the one that opened. */
bool fm__origin_is_inherited(const struct fm__origin *origin);

#endif
