/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Operations of the model on the window, the lock and the state.
 *
 * Invariant: what a pin forbids is predicted from the model alone; only whether the kernel can let a window
 * grow where it is decides between two allowed results.
 */
#include "model.h"

#include <errno.h>
#include <inttypes.h>

static bool is_other(const struct model_slot *s, const struct model_slot *other)
{
	return other != s && other->use != MODEL_FREE && other->origin == s->origin;
}

/* Another window of the same mapping shows bytes behind a new end. */
static bool is_shown(const struct model *m, const struct model_slot *s, uint64_t size)
{
	for (unsigned i = 0; i < MODEL_SLOTS; i++) {
		const struct model_slot *other = &m->slots[i];
		if (is_other(s, other) && other->size && other->offset + other->size > size)
			return true;
	}
	return false;
}

static uint64_t pages_of(const struct model *m, const struct model_slot *s, size_t size)
{
	return (s->offset % m->page + size + m->page - 1) / m->page;
}

/* The pages that a window without a reserve cannot have yet. */
static bool needs_pages(const struct model *m, const struct model_slot *s, size_t size)
{
	return !s->reserve && size && pages_of(m, s, size) > pages_of(m, s, s->size ? s->size : 1);
}

static void follow(struct model_slot *s, size_t size)
{
	if (!s->reserve && !s->pins)
		s->data = NULL; /* it may have moved */
	s->size = size;
}

static void settle(struct model *m, struct model_slot *s)
{
	if (!s->data)
		s->data = filemap_data(s->map);
	model_compare_slot(m, s);
}

/* ---- the window ---- */

static struct model_expect expect_resize(const struct model *m, const struct model_slot *s, uint64_t size)
{
	const uint64_t new_size = model_clamp(s, size);
	const bool cuts = size < m->size;
	struct model_expect expect = {.count = 0};

	model_allow(&expect, s->mode != FILEMAP_WRITE || s->frozen, FILEMAP_EMODE);
	model_allow(&expect, s->origin->cooperates && cuts && s->origin->lock != FILEMAP_EXCLUSIVE_LOCK,
		    FILEMAP_EMODE);
	model_allow(&expect, size < s->offset || size > INT64_MAX, FILEMAP_ERANGE);
	model_allow(&expect, s->reserve && new_size > s->room_most, FILEMAP_ERANGE);
	model_allow(&expect, s->pins && new_size < s->size, FILEMAP_EBUSY);
	model_allow(&expect, cuts && is_shown(m, s, size), FILEMAP_EBUSY);
	if (expect.count > 0)
		return expect;
	expect.maybe = true;
	model_allow(&expect, s->reserve && new_size > s->room, FILEMAP_ERANGE);
	model_allow(&expect, s->pins && needs_pages(m, s, (size_t)new_size), FILEMAP_EBUSY);
	model_allow(&expect, is_shown(m, s, size), FILEMAP_EBUSY);
	return expect;
}

void model_op_resize(struct model *m)
{
	struct model_slot *s = model_any(m);
	struct model_expect expect;
	struct filemap_error error;
	uint64_t size;

	if (!s)
		return;
	if ((s->mode != FILEMAP_WRITE || s->frozen) && model_chance(m, 80))
		return;
	if (model_size_is_taken(m, s->origin))
		return;
	size = model_place(m, m->limit);
	if (model_chance(m, 2))
		size = UINT64_MAX - model_random(m, 3);
	model_note(m, "resize slot %d to %" PRIu64, (int)(s - m->slots), size);
	expect = expect_resize(m, s, size);
	model_prepare(&error);
	if (model_report(m, &expect, filemap_resize(s->map, size, &error), &error)) {
		model_set_size(m, size);
		follow(s, (size_t)model_clamp(s, size));
	}
	settle(m, s);
}

/* A window that outgrew its reserve fills it; how much that is, up to the page's end, is not said. */
static void follow_filled(struct model *m, struct model_slot *s)
{
	const size_t size = filemap_size(s->map);

	if (size < s->room || size > s->room_most)
		model_fail(m, "the window has %zu bytes, and a reserve of %" PRIu64, size, s->reserve);
	s->size = size;
}

void model_op_refresh(struct model *m)
{
	struct model_slot *s = model_any(m);
	struct model_expect expect = {.maybe = true};
	struct filemap_error error;
	uint64_t told = 7, size;
	bool too_large;
	int r;

	if (!s)
		return;
	size = model_clamp(s, m->size);
	too_large = s->reserve && size > s->room_most;
	model_note(m, "refresh slot %d", (int)(s - m->slots));
	model_allow(&expect, s->pins && (size < s->size || needs_pages(m, s, (size_t)size)), FILEMAP_EBUSY);
	model_allow(&expect, s->reserve && size > s->room, FILEMAP_ERANGE);
	if (s->mode == FILEMAP_COW && s->is_split && !s->reserve)
		model_allow(&expect, true, -EFAULT);
	if (too_large || (s->pins && size < s->size))
		expect.maybe = false;
	model_prepare(&error);
	r = filemap_refresh(s->map, &told, &error);
	if (model_report(m, &expect, r, &error)) {
		if (told != m->size)
			model_fail(m, "it is said that the file has %" PRIu64 " bytes", told);
		follow(s, (size_t)size);
	} else if (r == FILEMAP_ERANGE) {
		follow_filled(m, s);
	}
	settle(m, s);
}

/* ---- the state ---- */

static bool other_can_store(const struct model *m, const struct model_slot *s)
{
	for (unsigned i = 0; i < MODEL_SLOTS; i++) {
		const struct model_slot *other = &m->slots[i];
		if (is_other(s, other) && other->mode == FILEMAP_WRITE && !other->frozen)
			return true;
	}
	return false;
}

static bool other_is_exec(const struct model *m, const struct model_slot *s)
{
	for (unsigned i = 0; i < MODEL_SLOTS; i++)
		if (is_other(s, &m->slots[i]) && (m->slots[i].exec || m->slots[i].mode == FILEMAP_EXEC))
			return true;
	return false;
}

static bool is_writable_mode(const struct model_slot *s)
{
	return s->mode == FILEMAP_WRITE || s->mode == FILEMAP_COW;
}

/* Whether freezing would leave the lock to readers, which windows that share it do not say clearly. */
static bool has_unclear_lock(const struct model *m, const struct model_slot *s)
{
	for (unsigned i = 0; i < MODEL_SLOTS; i++)
		if (is_other(s, &m->slots[i]) && m->slots[i].downgrades)
			return true;
	return s->downgrades && s->origin->lock == FILEMAP_UNLOCKED;
}

static void apply_freeze(struct model_slot *s)
{
	if (s->mode == FILEMAP_WRITE && s->downgrades && s->origin->lock == FILEMAP_EXCLUSIVE_LOCK)
		s->origin->lock = FILEMAP_SHARED_LOCK;
	s->frozen = true;
}

void model_op_freeze(struct model *m)
{
	struct model_slot *s = model_any(m);
	struct model_expect expect = {.count = 0};
	struct filemap_error error;

	if (!s || has_unclear_lock(m, s))
		return;
	model_note(m, "freeze slot %d", (int)(s - m->slots));
	if (s->exec) {
		model_allow(&expect, true, FILEMAP_EMODE);
		model_allow(&expect, s->pins, FILEMAP_EBUSY);
	} else if (!is_writable_mode(s) || s->frozen) {
		expect.maybe = true;
		model_allow(&expect, s->pins, FILEMAP_EBUSY);
	} else {
		model_allow(&expect, s->pins, FILEMAP_EBUSY);
		model_allow(&expect, s->downgrades && other_can_store(m, s), FILEMAP_EBUSY);
	}
	model_prepare(&error);
	if (model_report(m, &expect, filemap_freeze(s->map, &error), &error) && is_writable_mode(s) &&
	    !s->frozen)
		apply_freeze(s);
	settle(m, s);
}

void model_op_freeze_exec(struct model *m)
{
	struct model_slot *s = model_any(m);
	struct model_expect expect = {.count = 0};
	struct filemap_error error;

	if (!s || has_unclear_lock(m, s))
		return;
	model_note(m, "freeze_exec slot %d", (int)(s - m->slots));
	expect.maybe = s->exec || s->mode == FILEMAP_EXEC;
	model_allow(&expect, s->pins, FILEMAP_EBUSY);
	model_allow(&expect, other_can_store(m, s), FILEMAP_EBUSY);
	model_allow(&expect, s->downgrades && !s->frozen && other_can_store(m, s), FILEMAP_EBUSY);
	model_allow(&expect, s->origin->cooperates && s->origin->lock != FILEMAP_EXCLUSIVE_LOCK,
		    FILEMAP_EMODE);
	model_allow(&expect, m->noexec, -EPERM);
	model_allow(&expect, m->noexec, -EACCES);
	model_prepare(&error);
	if (model_report(m, &expect, filemap_freeze_exec(s->map, &error), &error)) {
		if (is_writable_mode(s) && !s->frozen)
			apply_freeze(s);
		s->exec = s->mode != FILEMAP_EXEC;
	}
	settle(m, s);
}

void model_op_thaw(struct model *m)
{
	struct model_slot *s = model_any(m);
	const struct model_origin *o;
	struct model_expect expect = {.count = 0};
	struct filemap_error error;

	if (!s)
		return;
	o = s->origin;
	model_note(m, "thaw slot %d", (int)(s - m->slots));
	model_allow(&expect, !is_writable_mode(s), FILEMAP_EMODE);
	if (s->frozen) {
		model_allow(&expect, s->pins, FILEMAP_EBUSY);
		model_allow(&expect, s->mode == FILEMAP_WRITE && other_is_exec(m, s), FILEMAP_EBUSY);
		model_allow(&expect,
			    s->mode == FILEMAP_WRITE && o->family != FILEMAP_LOCK_NONE &&
				    (o->cooperates ? !o->lock : o->lock != FILEMAP_EXCLUSIVE_LOCK),
			    FILEMAP_EMODE);
	}
	if (expect.count == 0) {
		expect.maybe = true;
		model_allow(&expect, s->pins, FILEMAP_EBUSY);
		model_allow(&expect, other_is_exec(m, s), FILEMAP_EBUSY);
	}
	model_prepare(&error);
	if (model_report(m, &expect, filemap_thaw(s->map, &error), &error))
		s->frozen = s->exec = false;
	settle(m, s);
}

/* ---- the lock ---- */

static bool others_hold(const struct model *m, const struct model_origin *own, unsigned kind)
{
	for (unsigned i = 0; i < MODEL_SLOTS; i++) {
		const struct model_origin *o = &m->origins[i];
		if (o != own && o->users && o->lock &&
		    (kind == FILEMAP_EXCLUSIVE_LOCK || o->lock == FILEMAP_EXCLUSIVE_LOCK))
			return true;
	}
	return false;
}

static void take_lock(struct model *m, struct model_slot *s)
{
	struct model_origin *o = s->origin;
	const unsigned kind = model_chance(m, 50) ? FILEMAP_SHARED_LOCK : FILEMAP_EXCLUSIVE_LOCK;
	const bool stores = (s->mode == FILEMAP_WRITE && !s->frozen) || other_can_store(m, s);
	struct model_expect expect = {.count = 0};
	struct filemap_error error;

	model_note(m, "lock slot %d, kind %u", (int)(s - m->slots), kind);
	model_allow(&expect, o->family == FILEMAP_LOCK_NONE, FILEMAP_EMODE);
	model_allow(&expect, o->lock != kind && others_hold(m, o, kind), FILEMAP_ELOCKED);
	model_allow(&expect,
		    kind == FILEMAP_SHARED_LOCK && o->lock == FILEMAP_EXCLUSIVE_LOCK && stores &&
			    !o->cooperates,
		    FILEMAP_ELOCKED);
	if (o->family == FILEMAP_LOCK_OFD && o->is_read_only && kind == FILEMAP_EXCLUSIVE_LOCK)
		model_allow(&expect, o->lock != kind, -EBADF);
	model_prepare(&error);
	if (model_report(m, &expect, filemap_lock(s->map, kind, 0, &error), &error))
		o->lock = kind;
}

void model_op_lock(struct model *m)
{
	struct model_slot *s = model_any(m);
	struct model_expect expect = {.count = 0};

	if (!s)
		return;
	if (model_chance(m, 80)) {
		take_lock(m, s);
	} else {
		model_note(m, "unlock slot %d", (int)(s - m->slots));
		model_allow(&expect, s->origin->family == FILEMAP_LOCK_NONE, FILEMAP_EMODE);
		if (model_result(m, &expect, filemap_unlock(s->map)))
			s->origin->lock = FILEMAP_UNLOCKED;
	}
	settle(m, s);
}
