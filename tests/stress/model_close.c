/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Operations of the model that close, and pins, which put that off.
 *
 * Invariant: a slot is free when its handle is closed and its last pin is back; its origin goes with the last
 * slot, and the lock with the origin.
 */
#include "model.h"

#include <inttypes.h>

static void free_slot(struct model *m, struct model_slot *s)
{
	model_drop_private(m, s, 0, MODEL_PAGES);
	s->origin->users--;
	memset(s, 0, sizeof *s);
}

static void close_slot(struct model *m, struct model_slot *s)
{
	model_note(m, "close slot %d", (int)(s - m->slots));
	filemap_close(s->map);
	if (s->pins)
		s->use = MODEL_PINNED;
	else
		free_slot(m, s);
}

void model_op_close(struct model *m)
{
	struct model_slot *s = model_any(m);
	struct model_expect expect = {.count = 0};

	if (!s)
		return;
	if (model_chance(m, 60)) {
		close_slot(m, s);
		return;
	}
	model_note(m, "try_close slot %d", (int)(s - m->slots));
	model_allow(&expect, s->pins > 0, FILEMAP_EBUSY);
	if (model_result(m, &expect, filemap_try_close(s->map)))
		free_slot(m, s);
}

static bool has_other_window(const struct model *m, const struct model_slot *s)
{
	for (unsigned i = 0; i < MODEL_SLOTS; i++)
		if (&m->slots[i] != s && m->slots[i].use != MODEL_FREE && m->slots[i].origin == s->origin)
			return true;
	return false;
}

void model_op_close_truncated(struct model *m)
{
	struct model_slot *s = model_any(m);
	const uint64_t size = model_place(m, m->limit);
	struct model_expect expect = {.count = 0};
	struct filemap_error error;

	if (!s || model_size_is_taken(m, s->origin))
		return;
	model_note(m, "close_truncated slot %d to %" PRIu64, (int)(s - m->slots), size);
	model_allow(&expect, s->mode != FILEMAP_WRITE || s->frozen, FILEMAP_EMODE);
	model_allow(&expect,
		    s->origin->cooperates && size < m->size && s->origin->lock != FILEMAP_EXCLUSIVE_LOCK,
		    FILEMAP_EMODE);
	model_allow(&expect, s->pins > 0 || has_other_window(m, s), FILEMAP_EBUSY);
	if (s->reserve && model_clamp(s, size) > s->room) { /* the window would have to grow first, maybe */
		expect.maybe = expect.count == 0;
		model_allow(&expect, true, FILEMAP_ERANGE);
	}
	model_prepare(&error);
	if (!model_report(m, &expect, filemap_close_truncated(s->map, size, &error), &error))
		return;
	model_set_size(m, size);
	free_slot(m, s);
}

static void unpin(struct model *m, struct model_slot *s)
{
	model_note(m, "unpin slot %d", (int)(s - m->slots));
	filemap_unpin(s->map);
	s->pins--;
	if (!s->pins && s->use == MODEL_PINNED)
		free_slot(m, s);
}

void model_op_pin(struct model *m)
{
	struct model_slot *s = model_any(m);
	const struct model_expect expect = {.count = 0};

	if (!s || s->pins > 2)
		return;
	model_note(m, "pin slot %d", (int)(s - m->slots));
	if (model_result(m, &expect, filemap_pin(s->map)))
		s->pins++;
}

void model_op_unpin(struct model *m)
{
	const unsigned first = (unsigned)model_random(m, MODEL_SLOTS);

	for (unsigned i = 0; i < MODEL_SLOTS; i++) {
		struct model_slot *s = &m->slots[(first + i) % MODEL_SLOTS];
		if (s->use == MODEL_FREE || !s->pins)
			continue;
		unpin(m, s);
		return;
	}
}

/* In any order, the pins of some before and of others after. */
void model_close_all(struct model *m)
{
	const unsigned first = (unsigned)model_random(m, MODEL_SLOTS);

	for (unsigned i = 0; i < MODEL_SLOTS; i++) {
		struct model_slot *s = &m->slots[(first + i) % MODEL_SLOTS];
		if (s->use == MODEL_OPEN)
			close_slot(m, s);
		while (s->use == MODEL_PINNED)
			unpin(m, s);
	}
	model_note(m, "all closed");
}
