/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The steps of a change of a file's size: resize.c takes them in one go, resize_later.c in parts. */
#ifndef FM_MAP_CHANGE_H
#define FM_MAP_CHANGE_H

#include "map/private.h"
#include "sys/call.h"

/* One change of the file's size, once it is known from what to what. */
struct fm__change {
	struct filemap *map;
	uint64_t old_size, new_size;
	struct fm__span span; /* of the new size */
	bool shared;          /* COOPERATE: the file is never cut behind somebody's back */
	bool known;           /* the old size was not asked for: nobody else can have changed it */
};

/* All but the old size. FILEMAP_ERANGE as fm__resize_plan(). */
int fm__change_plan(struct filemap *map, uint64_t file_size, struct fm__change *ret,
		    struct filemap_error *reterr);

/* The old size: asked for where it can be another one than the window's end. */
int fm__change_look(struct fm__change *change, struct filemap_error *reterr);

/* Of a cut: whether the lock allows it, and no other window shows what would go. Any thread. */
int fm__change_check_cut(const struct fm__change *change, struct filemap_error *reterr);

/* That, and pins: a pinned region that has to grow does so now, behind the file's end. Nothing else is changed. */
int fm__change_check(const struct fm__change *change, struct filemap_error *reterr);

/* Growth of the file: zeros for the page with the old end, then the blocks behind it, by this call. Any thread. */
int fm__change_clear_tail(const struct fm__change *change);
struct fm__call fm__change_growth_call(const struct fm__change *change);
const char *fm__change_growth_step(const struct fm__change *change);

/* Room for the grown window, locked in memory if it is to be; *ret_step says what failed. It is not published. */
int fm__change_make_room(const struct fm__change *change, const char **ret_step);

/* Growth has failed in this step with `cause`: cut the file back. Returns the cause. Any thread. */
int fm__change_undo_growth(const struct fm__change *change, int cause, const char *step,
			   struct filemap_error *reterr);

/* The cut has failed with `cause`: the size that the file has now decides what can be shown, at most `old_view`
 * bytes. Returns the cause. */
int fm__change_undo_cut(const struct fm__change *change, size_t old_view, int cause,
			struct filemap_error *reterr);

#endif
