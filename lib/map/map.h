/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the floors above may know of a mapping beyond the public header. */
#ifndef FM_MAP_MAP_H
#define FM_MAP_MAP_H

#include <filemap/map.h>

#include "sys/call.h"

/*
 * One reference-counted descriptor and error record per mapping, shared by the mapping and the
 * asynchronous requests on it; it outlives filemap_close(). The descriptor is the mapping's own open
 * file description: every flush goes through it, so that no write-back error is missed.
 */
struct fm__backing;

/*
 * ---- Operations in parts ----
 *
 * What the queue does asynchronously. Each begins on the thread of the caller, where all that can be refused
 * without waiting is; `prepare` and what follows until the result is known run on one thread at a time, any one; `end` of
 * what changes the handle runs on the thread of a caller again, when nobody else uses the handle.
 */

/* A flush, sync or writeback of file bytes that may run on any thread, after the mapping was closed, too. */
struct fm__flush {
	struct fm__backing *backing;       /* referenced; NULL = nothing to do, the result is 0 at once */
	int fd;                            /* borrowed from the backing */
	unsigned generation;               /* of the process that began it */
	uint64_t offset, length;           /* of the file; page cover of the range asked for */
	struct fm__flush_windows *windows; /* the backing's; for threads */
	uint32_t is_memory; /* the file system has no device (tmpfs): no call is needed, but for the end */
};

/* Check the range (and the state: FILEMAP_EPOISONED, FILEMAP_ERANGE) and take a reference. */
int fm__map_flush_begin(struct filemap *map, size_t offset, size_t length, struct fm__flush *ret);
int fm__map_sync_begin(struct filemap *map, struct fm__flush *ret); /* for FM_CALL_SYNC */
int fm__map_writeback_begin(struct filemap *map, size_t offset, size_t length, struct fm__flush *ret);

/* A flush or sync came back with this: a failure taints the backing, at once. Keeps the reference; may be repeated.
 * Nothing is done for 0, and for what was never begun (-ECANCELED, -EINTR, -EAGAIN). */
void fm__map_flush_note(const struct fm__flush *flush, int result);

/* `result` is 0 or -errno. Taints as above, gives the reference back; returns what the caller
 * of the flush is to be told: 0 only if this flush and every earlier one of the mapping succeeded. */
int fm__map_flush_end(struct fm__flush *flush, int result);
int fm__map_writeback_end(struct fm__flush *flush, int result); /* taints nothing */

/* For a flush of a pinned mapping whose begin was ended at once: takes a reference again, in any state and whatever
 * the window has become, and is ended by fm__map_flush_end(). */
void fm__map_flush_resume(const struct filemap *map, struct fm__flush *ret);

/* A pin of a mapping in any state; ended by filemap_unpin(). */
void fm__map_hold(const struct filemap *map);

/* Pages to be touched. */
struct fm__prefault {
	struct filemap *map; /* pinned by begin; the caller unpins */
	void *at;
	size_t length; /* 0 = nothing to do */
	unsigned how;  /* FILEMAP_PREFAULT_* */
};
int fm__map_prefault_begin(struct filemap *map, unsigned how, size_t offset, size_t length,
			   struct fm__prefault *ret);
/* The advice for FM_CALL_ADVISE of at and length, and what its answer means: the result of filemap_prefault(). Where
 * the kernel does not know the advice (-EINVAL) the pages are touched by this call. */
int fm__map_prefault_advice(const struct fm__prefault *prefault);
int fm__map_prefault_answer(const struct fm__prefault *prefault, int answer);

/* A commit: what filemap_commit() refuses; lengths resolved. The caller pins, flushes the data by fm__map_flush_begin(),
 * stores, flushes the header. */
int fm__map_commit_check(const struct filemap *map, size_t data_offset, size_t *data_length,
			 size_t header_offset, const void *header, size_t header_length,
			 struct filemap_error *reterr);
/* Any thread: a bad page is FILEMAP_EFAULT, with and without a handler. */
int fm__map_commit_store(struct filemap *map, size_t header_offset, const void *header, size_t header_length);

/*
 * A change of the file's size. From begin to end the mapping is pinned, and every other change of the origin's size or
 * name is FILEMAP_EBUSY. A window that shrinks is cut by begin.
 */
struct fm__resizing {
	struct filemap *map;
	uint64_t old_size, new_size; /* of the file; the old one since prepare */
	size_t old_view;             /* bytes of the window before */
	uint32_t state;              /* resize_later.c's */
	struct fm__call call;        /* that is to be made, or was */
};
int fm__map_resize_begin(struct filemap *map, uint64_t file_size, struct fm__resizing *ret,
			 struct filemap_error *reterr);
/* 0: *ret_call is to be made (kind FM_CALL_NONE: none is needed); negative: undone, as far as possible. */
int fm__map_resize_prepare(struct fm__resizing *resizing, struct fm__call *ret_call,
			   struct filemap_error *reterr);
/* The call has answered: the result so far. Undoes after a failure. */
int fm__map_resize_answer(struct fm__resizing *resizing, int answer, struct filemap_error *reterr);
/* Publishes, restores or poisons; gives pin and change back; the result of filemap_resize(). -ECANCELED: it was
 * never prepared. */
int fm__map_resize_end(struct fm__resizing *resizing, int result, struct filemap_error *reterr);

/* The removal of the name; as above. It is tried on a copy of the removal's record: end brings that home. */
struct fm__removing {
	struct filemap *map;
	struct fm__removing_state *state; /* owned; allocated by begin */
};
int fm__map_remove_begin(struct filemap *map, struct fm__removing *ret, struct filemap_error *reterr);
int fm__map_remove_prepare(struct fm__removing *removing, struct fm__call *ret_call,
			   struct filemap_error *reterr);
int fm__map_remove_answer(struct fm__removing *removing, int answer, struct filemap_error *reterr);
int fm__map_remove_end(struct fm__removing *removing, int result, struct filemap_error *reterr);

/*
 * A mapping of a descriptor that the library itself opened: no lock, no alias table, no parent. The whole
 * file is mapped. `fd` is taken on success (closed with the mapping); on failure the caller keeps it.
 * `path` is for messages only and copied. FILEMAP_DONTFORK is the only flag.
 */
int fm__map_adopt(int fd, const char *path, unsigned mode, uint32_t flags, struct filemap **ret_map,
		  struct filemap_error *reterr);

#endif
