/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * doubt: the records of failed flushes, and the shared pages that they lie in.
 *
 * Invariants: a slot that a fork may have given to two processes is never given out again; a cause is stored
 * after its range, and a range only grows, so that processes need no lock between them. The bookkeeping of the
 * pages is each process's own, under the process lock, so a child finds it whole; a child gives out no slot
 * of a page that its parent made, because the parent does.
 */
#include "map/doubt.h"

#include <errno.h>
#include <stdbool.h>

#include "base/fork.h"
#include "base/util.h"
#include "map/table.h"
#include "sys/sys.h"

/* All zeros is the empty range. */
struct fm__doubt_slot {
	uint64_t before; /* atomic; UINT64_MAX - start: it grows as the start comes down */
	uint64_t end;    /* atomic */
	int cause;       /* atomic; negative, 0 = none */
};

struct fm__doubt_page {
	struct fm__doubt_slot *slots; /* constant; one page of memory, shared with children */
	size_t count;                 /* constant; slots in it */
	size_t used;                  /* given out, from the first one on */
	size_t live;                  /* of these, not given back by this process */
	unsigned forks;      /* when the first slot was given out: shared with none of the later ones */
	unsigned generation; /* constant: of the process that made it */
};

static struct fm__doubt_page *current; /* the page to take from, or NULL; under the process lock */

static void page_free(struct fm__doubt_page *page)
{
	if (!page)
		return;
	fm__sys_unmap(page->slots, fm__sys_page_size());
	fm__free(page);
}

static int page_new(struct fm__doubt_page **ret)
{
	struct fm__doubt_page *page = fm__zalloc(sizeof *page);
	void *slots;
	int r;

	if (!page)
		return -ENOMEM;
	r = fm__sys_map(NULL, fm__sys_page_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0,
			&slots);
	if (r < 0) {
		fm__free(page);
		return r;
	}
	page->slots = slots;
	page->count = fm__sys_page_size() / sizeof *page->slots;
	page->generation = fm__fork_generation();
	*ret = page;
	return 0;
}

/* Take from the current page. It may have been given out before, to handles that no fork has copied. */
static bool take(struct fm__doubt *ret)
{
	struct fm__doubt_page *page = current;

	if (!page || page->generation != fm__fork_generation() || page->used == page->count)
		return false;
	if (page->used == 0)
		page->forks = fm__process_forks();
	ret->page = page;
	ret->slot = &page->slots[page->used++];
	page->live++;
	*ret->slot = (struct fm__doubt_slot){0};
	return true;
}

/* Returns what nobody needs any more. */
static struct fm__doubt_page *replace_current(struct fm__doubt_page *page)
{
	struct fm__doubt_page *old = current;

	current = page;
	return old && old->live == 0 ? old : NULL;
}

int fm__doubt_take(struct fm__doubt *ret)
{
	struct fm__doubt_page *page, *unused;
	bool done;
	int r;

	fm__process_lock();
	done = take(ret);
	fm__process_unlock();
	if (done)
		return 0;
	r = page_new(&page);
	if (r < 0)
		return r;
	fm__process_lock();
	unused = take(ret) ? page : replace_current(page);
	if (unused != page)
		(void)take(ret);
	fm__process_unlock();
	page_free(unused);
	return 0;
}

/* Whether an empty page can start over: whatever was given out of it was never in two processes. */
static bool can_start_over(const struct fm__doubt_page *page)
{
	return page == current && page->generation == fm__fork_generation() &&
	       page->forks == fm__process_forks();
}

void fm__doubt_give(struct fm__doubt *doubt)
{
	struct fm__doubt_page *page = doubt->page;

	if (!page)
		return;
	doubt->page = NULL;
	fm__process_lock();
	if (--page->live != 0) {
		page = NULL;
	} else if (can_start_over(page)) {
		page->used = 0;
		page = NULL;
	} else if (page == current) {
		page = NULL; /* what is left of it can be taken */
	}
	fm__process_unlock();
	page_free(page);
}

static void grow(uint64_t *value, uint64_t least)
{
	uint64_t seen = __atomic_load_n(value, __ATOMIC_RELAXED);

	while (seen < least &&
	       !__atomic_compare_exchange_n(value, &seen, least, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
}

void fm__doubt_add(const struct fm__doubt *doubt, int cause, uint64_t offset, uint64_t length)
{
	struct fm__doubt_slot *slot = doubt->slot;
	int none = 0;

	grow(&slot->before, UINT64_MAX - offset);
	grow(&slot->end, length > UINT64_MAX - offset ? UINT64_MAX : offset + length);
	__atomic_compare_exchange_n(&slot->cause, &none, cause, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

int fm__doubt_cause(const struct fm__doubt *doubt)
{
	return doubt->page ? __atomic_load_n(&doubt->slot->cause, __ATOMIC_ACQUIRE) : 0;
}

void fm__doubt_range(const struct fm__doubt *doubt, uint64_t *ret_offset, uint64_t *ret_length)
{
	const struct fm__doubt_slot *slot = doubt->slot;

	*ret_offset = UINT64_MAX - __atomic_load_n(&slot->before, __ATOMIC_ACQUIRE);
	*ret_length = __atomic_load_n(&slot->end, __ATOMIC_ACQUIRE) - *ret_offset;
}
