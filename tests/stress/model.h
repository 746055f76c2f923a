/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A model of one file and of the mappings on it: what test_map_model checks the library against.
 *
 * The model knows the file's bytes and size, which handles are open, with which windows, locks and pins, and
 * the private pages of each COW window. An operation says beforehand which codes the contract allows, calls the
 * library, and applies to the model what must have happened. Everything random comes from one seed.
 */
#ifndef MODEL_H
#define MODEL_H

#include "t.h"

#include <filemap/filemap.h>

#define MODEL_PAGES 32u /* the file never gets longer */
#define MODEL_SLOTS 6u
#define MODEL_LOG 32u
#define MODEL_FOLLOWS UINT64_MAX /* as a window's length: to the end of the file */

/* One open file description: a handle that was opened, with its windows. */
struct model_origin {
	unsigned users; /* slots; 0 = free */
	unsigned family, lock;
	bool cooperates, is_read_only;
};

enum model_use { MODEL_FREE, MODEL_OPEN, MODEL_PINNED /* closed, and kept by its pins */ };

struct model_slot {
	enum model_use use;
	struct filemap *map;
	struct model_origin *origin;
	unsigned mode, pins;
	uint64_t offset, length; /* MODEL_FOLLOWS, or fixed; 0 = always empty */
	uint64_t reserve;
	size_t size; /* of the window, as it must be now */
	size_t room,
		room_most; /* with a reserve: what the window can surely grow to, and what it cannot pass */
	const void *data;
	bool frozen, exec, downgrades, is_split, is_locked; /* parts were advised; were locked in memory */
	unsigned char *private_pages[MODEL_PAGES];
};

struct model {
	char dir[256], path[280], copy_path[280];
	int fd; /* a descriptor of its own on the file, without a lock */
	size_t page;
	uint64_t limit; /* MODEL_PAGES pages */
	bool noexec, may_mlock,
		tail_is_dirty; /* the last page may hold stored bytes behind the end of the file */
	unsigned char *file, *scratch, *scratch_too; /* file: zero behind the size */
	uint64_t size;
	struct model_slot slots[MODEL_SLOTS];
	struct model_origin origins[MODEL_SLOTS];
	uint64_t seed, random, step;
	unsigned full; /* how often the disk was */
	char log[MODEL_LOG][200];
};

/* The codes that the contract allows for one call. Without any it must succeed. */
struct model_expect {
	int codes[12];
	int count;
	bool maybe; /* success is allowed, too */
};

/* ---- model.c: chance, the log, the bytes ---- */
void model_start(struct model *m, const char *dir, uint64_t seed);
void model_stop(struct model *m); /* closes what is open, compares, frees */
void model_give_up(const struct model *m);
uint64_t model_random(struct model *m, uint64_t below); /* 0 if below is 0 */
bool model_chance(struct model *m, unsigned percent);
uint64_t model_place(struct model *m, uint64_t up_to); /* 0 ... up_to, often near pages and ends */
void model_bytes(struct model *m, unsigned char *to, size_t length); /* none of them zero */
__attribute__((format(printf, 2, 3))) void model_note(struct model *m, const char *format, ...);
__attribute__((format(printf, 2, 3), noreturn)) void model_fail(const struct model *m, const char *format,
								...);

void model_allow(struct model_expect *expect, bool condition, int code);
/* Whether it succeeded; fails the test if that is not among what was expected. */
bool model_result(struct model *m, const struct model_expect *expect, int r);
/* Likewise, with the error record that the call was given. */
bool model_report(struct model *m, const struct model_expect *expect, int r,
		  const struct filemap_error *error);
void model_prepare(struct filemap_error *error);

struct model_slot *model_any(struct model *m); /* an open one, or NULL */
/* Whether a mapping trusts in its exclusive lock, so that only `origin` (NULL = nobody) may change the size. */
bool model_size_is_taken(const struct model *m, const struct model_origin *origin);
struct model_slot *model_spare(struct model *m);
bool model_can_store(const struct model_slot *s);
uint64_t model_clamp(const struct model_slot *s, uint64_t file_size);
size_t model_visible(const struct model *m, const struct model_slot *s); /* window bytes within the file */
void model_expected(const struct model *m, const struct model_slot *s, size_t offset, size_t length,
		    unsigned char *to);
void model_store(struct model *m, struct model_slot *s, size_t offset, const unsigned char *from,
		 size_t length);
void model_make_private(struct model *m, struct model_slot *s, size_t offset, size_t length);
void model_drop_private(struct model *m, struct model_slot *s, uint64_t from_page, uint64_t to_page);
void model_set_size(struct model *m, uint64_t size);
void model_compare_slot(struct model *m, struct model_slot *s);
void model_compare(struct model *m); /* the whole file and each window */

/* ---- model_data.c: operations that change or show bytes ---- */
void model_op_read_some(struct model *m);
void model_op_read_exact(struct model *m);
void model_op_slice(struct model *m);
void model_op_write_some(struct model *m);
void model_op_write_all(struct model *m);
void model_op_slice_mut(struct model *m);
void model_op_store(struct model *m);
void model_op_store_tail(struct model *m);
void model_op_zero(struct model *m);
void model_op_number(struct model *m);
void model_op_cursor(struct model *m);
void model_op_foreign_read(struct model *m);
void model_op_foreign_write(struct model *m);
void model_op_foreign_resize(struct model *m);
void model_op_compare(struct model *m);

/* ---- model_sync.c: operations that change no byte, or drop pages, or make bytes durable ---- */
void model_op_flush(struct model *m);
void model_op_sync(struct model *m);
void model_op_writeback(struct model *m);
void model_op_commit(struct model *m);
void model_op_allocate(struct model *m);
void model_op_discard(struct model *m);
void model_op_prefault(struct model *m);
void model_op_advise(struct model *m);
void model_op_mlock(struct model *m);
void model_op_residency(struct model *m);
void model_op_copy_to(struct model *m);

/* ---- model_open.c: openings ---- */
void model_op_open(struct model *m);
void model_op_window(struct model *m);
void model_op_reopen(struct model *m);

/* ---- model_close.c: closings and pins ---- */
void model_op_close(struct model *m);
void model_op_close_truncated(struct model *m);
void model_op_pin(struct model *m);
void model_op_unpin(struct model *m);
void model_close_all(struct model *m);

/* ---- model_state.c: operations on the window, the lock and the state ---- */
void model_op_resize(struct model *m);
void model_op_refresh(struct model *m);
void model_op_freeze(struct model *m);
void model_op_freeze_exec(struct model *m);
void model_op_thaw(struct model *m);
void model_op_lock(struct model *m);

#endif
