/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Operations of the model that open: by path and by descriptor, in every mode, and windows.
 *
 * Invariant: an origin is in use as long as one of its slots is; its lock counts against all others until then.
 */
#include "model.h"

#include <errno.h>
#include <inttypes.h>

/* ---- what an opening asks for ---- */

struct wish {
	unsigned mode, flags, family, sharing, advice;
	uint64_t offset, length, reserve, size;
	bool by_descriptor;
};

static unsigned pick_mode(struct model *m)
{
	const uint64_t x = model_random(m, 100);

	if (x < 50)
		return FILEMAP_WRITE;
	if (x < 75)
		return FILEMAP_COW;
	return x < 92 ? FILEMAP_READ : FILEMAP_EXEC;
}

static unsigned flag(struct model *m, unsigned percent, unsigned bit)
{
	return model_chance(m, percent) ? bit : 0;
}

static unsigned pick_flags(struct model *m, const struct wish *wish)
{
	unsigned flags = flag(m, 5, FILEMAP_POPULATE) | flag(m, 5, FILEMAP_DONTFORK) |
			 flag(m, 3, FILEMAP_EMPTY) | flag(m, 3, FILEMAP_DONTDUMP);

	if (!wish->by_descriptor)
		flags |= flag(m, 5, FILEMAP_NOFOLLOW) | flag(m, 5, FILEMAP_PIN_PARENT);
	if (wish->family != FILEMAP_LOCK_NONE)
		flags |= flag(m, 5, FILEMAP_LOCK_IF_SUPPORTED);
	if (wish->mode == FILEMAP_COW)
		flags |= flag(m, 5, FILEMAP_NORESERVE);
	if (wish->mode != FILEMAP_WRITE)
		return flags;
	flags |= flag(m, 8, FILEMAP_TRUNCATE) | flag(m, 30, FILEMAP_SPARSE);
	if (wish->family != FILEMAP_LOCK_NONE && !wish->sharing)
		flags |= flag(m, 15, FILEMAP_DOWNGRADE_ON_FREEZE);
	if (!wish->by_descriptor && !(flags & FILEMAP_TRUNCATE))
		flags |= flag(m, 2, FILEMAP_CREATE_NEW);
	if (!wish->by_descriptor && !(flags & FILEMAP_CREATE_NEW))
		flags |= flag(m, 20, FILEMAP_CREATE);
	return flags;
}

static void pick_window(struct model *m, struct wish *wish, uint64_t file_size)
{
	if (model_chance(m, 40))
		wish->offset = model_place(m, file_size);
	if (model_chance(m, 3))
		wish->offset = file_size + 1 + model_random(m, 100);
	if (wish->flags & FILEMAP_EMPTY)
		return;
	if (model_chance(m, 40) && file_size > wish->offset)
		wish->length = 1 + model_place(m, file_size - wish->offset - 1);
	if (wish->length && model_chance(m, 4))
		wish->length += file_size + 1;
	if (model_chance(m, wish->mode == FILEMAP_WRITE ? 40 : 20))
		wish->reserve = 1 + model_place(m, 2 * m->limit);
}

/* Which size the file has when it is open. */
static uint64_t final_size(const struct model *m, const struct wish *wish)
{
	const bool emptied = m->size == 0 || (wish->flags & FILEMAP_TRUNCATE);
	return wish->mode == FILEMAP_WRITE && emptied ? wish->size : m->size;
}

static struct wish pick_wish(struct model *m)
{
	static const unsigned advice[] = {FILEMAP_ADVICE_NORMAL, FILEMAP_ADVICE_RANDOM,
					  FILEMAP_ADVICE_SEQUENTIAL, FILEMAP_ADVICE_WILLNEED};
	const uint64_t lock = model_random(m, 100);
	struct wish wish = {.mode = pick_mode(m), .by_descriptor = model_chance(m, 15)};

	wish.family = lock < 65 ? FILEMAP_LOCK_DEFAULT : lock < 85 ? FILEMAP_LOCK_NONE : FILEMAP_LOCK_OFD;
	if (wish.family != FILEMAP_LOCK_NONE && model_chance(m, 15))
		wish.sharing = FILEMAP_SHARING_COOPERATE;
	wish.flags = pick_flags(m, &wish) | (m->may_mlock ? flag(m, 4, FILEMAP_MLOCK) : 0);
	if (model_chance(m, 8))
		wish.advice = advice[model_random(m, 4)];
	if (wish.mode == FILEMAP_WRITE && model_chance(m, 60))
		wish.size = model_place(m, m->limit);
	pick_window(m, &wish, final_size(m, &wish));
	return wish;
}

/* ---- whether it can be had ---- */

static unsigned lock_kind(const struct wish *wish)
{
	if (wish->family == FILEMAP_LOCK_NONE)
		return FILEMAP_UNLOCKED;
	return wish->mode == FILEMAP_WRITE && !wish->sharing ? FILEMAP_EXCLUSIVE_LOCK : FILEMAP_SHARED_LOCK;
}

static bool is_locked_against(const struct model *m, unsigned kind)
{
	for (unsigned i = 0; i < MODEL_SLOTS; i++) {
		const struct model_origin *o = &m->origins[i];
		if (!o->users || !o->lock || !kind)
			continue;
		if (kind == FILEMAP_EXCLUSIVE_LOCK || o->lock == FILEMAP_EXCLUSIVE_LOCK)
			return true;
	}
	return false;
}

static struct model_expect expect_open(const struct model *m, const struct wish *wish)
{
	const uint64_t size = final_size(m, wish);
	struct model_expect expect = {.count = 0};
	unsigned kind = lock_kind(wish);

	if (wish->flags & FILEMAP_TRUNCATE && kind)
		kind = FILEMAP_EXCLUSIVE_LOCK;
	model_allow(&expect, is_locked_against(m, kind), FILEMAP_ELOCKED);
	model_allow(&expect, wish->flags & FILEMAP_CREATE_NEW, -EEXIST);
	model_allow(&expect, (wish->flags & FILEMAP_CREATE_NEW) && wish->offset + wish->length > wish->size,
		    FILEMAP_ERANGE);
	model_allow(&expect, wish->offset > size || wish->length > size - wish->offset, FILEMAP_ERANGE);
	model_allow(&expect, wish->mode == FILEMAP_EXEC && m->noexec, -EPERM);
	return expect;
}

/* Those who cooperate have to agree on a family: they use the other one among themselves. */
static bool mixes_families(const struct model *m, const struct wish *wish)
{
	for (unsigned i = 0; i < MODEL_SLOTS; i++) {
		const struct model_origin *o = &m->origins[i];
		if (o->users && (o->cooperates || wish->sharing) &&
		    (o->family == FILEMAP_LOCK_OFD) != (wish->family == FILEMAP_LOCK_OFD))
			return true;
	}
	return false;
}

/* ---- doing it ---- */

static struct model_origin *new_origin(struct model *m, const struct wish *wish)
{
	struct model_origin *o = m->origins;

	while (o->users)
		o++;
	*o = (struct model_origin){
		.family = wish->family,
		.lock = lock_kind(wish),
		.cooperates = wish->sharing != 0,
		.is_read_only = wish->mode != FILEMAP_WRITE,
	};
	return o;
}

static void fill_slot(struct model *m, struct model_slot *s, struct filemap *map, struct model_origin *origin,
		      const struct wish *wish)
{
	uint64_t room;

	memset(s, 0, sizeof *s);
	s->use = MODEL_OPEN;
	s->map = map;
	s->origin = origin;
	origin->users++;
	s->mode = wish->mode;
	s->offset = wish->offset;
	s->length = wish->flags & FILEMAP_EMPTY ? 0 : wish->length ? wish->length : MODEL_FOLLOWS;
	s->reserve = wish->reserve;
	s->downgrades = wish->flags & FILEMAP_DOWNGRADE_ON_FREEZE;
	s->size = (size_t)model_clamp(s, m->size);
	s->is_locked = wish->flags & FILEMAP_MLOCK;
	s->data = filemap_data(map);
	room = s->reserve > s->size ? s->reserve : s->size;
	s->room = (size_t)room;
	s->room_most = (size_t)(room + s->offset % m->page);
	s->room_most += (m->page - s->room_most % m->page) % m->page;
	s->room_most -= (size_t)(s->offset % m->page);
}

static void note_wish(struct model *m, const char *what, const struct model_slot *s, const struct wish *wish)
{
	model_note(m,
		   "%s slot %d, mode %u, flags %x, family %u%s, window %" PRIu64 "+%" PRIu64
		   ", reserve %" PRIu64 ", size %" PRIu64 ", advice %x",
		   what, (int)(s - m->slots), wish->mode, wish->flags, wish->family,
		   wish->sharing ? " cooperating" : "", wish->offset, wish->length, wish->reserve, wish->size,
		   wish->advice);
}

static void open_wish(struct model *m, struct model_slot *s, const struct wish *wish)
{
	const struct filemap_options *options =
		FILEMAP_OPTIONS(.flags = wish->flags, .offset = wish->offset, .length = wish->length,
				.size = wish->size, .reserve = wish->reserve, .lock_family = wish->family,
				.sharing = wish->sharing, .advice = wish->advice);
	struct model_expect expect = expect_open(m, wish);
	struct filemap_error error;
	struct filemap *map = NULL;
	int r;

	note_wish(m, wish->by_descriptor ? "open_fd" : "open", s, wish);
	model_prepare(&error);
	r = wish->by_descriptor ? filemap_open_fd(m->fd, wish->mode, options, &map, &error)
				: filemap_open(m->path, wish->mode, options, &map, &error);
	if (!model_report(m, &expect, r, &error)) {
		if (map)
			model_fail(m, "a refused opening has written its result");
		return;
	}
	if (wish->mode == FILEMAP_WRITE && (wish->flags & FILEMAP_TRUNCATE))
		model_set_size(m, 0);
	if (final_size(m, wish) != m->size)
		model_set_size(m, final_size(m, wish));
	fill_slot(m, s, map, new_origin(m, wish), wish);
	model_compare_slot(m, s);
}

void model_op_open(struct model *m)
{
	struct model_slot *s = model_spare(m);
	struct wish wish = pick_wish(m);

	if (!s || mixes_families(m, &wish))
		return;
	if (model_size_is_taken(m, NULL) && ((wish.flags & FILEMAP_TRUNCATE) || wish.size))
		return;
	open_wish(m, s, &wish);
}

/* What can be stored to through one window must not be executed through another. */
static bool is_exec_against_store(const struct model *m, const struct model_origin *origin, unsigned mode)
{
	for (unsigned i = 0; i < MODEL_SLOTS; i++) {
		const struct model_slot *s = &m->slots[i];
		if (s->use == MODEL_FREE || s->origin != origin)
			continue;
		if (mode == FILEMAP_WRITE && (s->exec || s->mode == FILEMAP_EXEC))
			return true;
		if (mode == FILEMAP_EXEC && s->mode == FILEMAP_WRITE && !s->frozen)
			return true;
	}
	return false;
}

static struct model_expect expect_window(const struct model *m, const struct model_slot *parent,
					 const struct wish *wish)
{
	const struct model_origin *o = parent->origin;
	struct model_expect expect = {.count = 0};

	model_allow(&expect, wish->mode == FILEMAP_WRITE && parent->mode != FILEMAP_WRITE, FILEMAP_EMODE);
	model_allow(&expect,
		    wish->mode == FILEMAP_WRITE && o->family != FILEMAP_LOCK_NONE &&
			    (o->cooperates ? !o->lock : o->lock != FILEMAP_EXCLUSIVE_LOCK),
		    FILEMAP_EMODE);
	model_allow(&expect, is_exec_against_store(m, o, wish->mode), FILEMAP_EMODE);
	model_allow(&expect, wish->offset > m->size || wish->length > m->size - wish->offset, FILEMAP_ERANGE);
	model_allow(&expect, wish->mode == FILEMAP_EXEC && m->noexec, -EPERM);
	return expect;
}

void model_op_window(struct model *m)
{
	struct model_slot *parent = model_any(m), *s = model_spare(m);
	struct wish wish = {.mode = pick_mode(m)};
	struct model_expect expect;
	struct filemap_error error;
	struct filemap *map = NULL;

	if (!s || !parent)
		return;
	pick_window(m, &wish, m->size);
	wish.reserve = 0;
	expect = expect_window(m, parent, &wish);
	note_wish(m, "window", s, &wish);
	model_prepare(&error);
	if (model_report(m, &expect,
			 filemap_window(parent->map, wish.mode, wish.offset, wish.length, &map, &error),
			 &error)) {
		fill_slot(m, s, map, parent->origin, &wish);
		model_compare_slot(m, s);
	}
}

/* Nothing is left: the file is what it must be, nobody holds a lock, and what can be opened, can be opened. */
void model_op_reopen(struct model *m)
{
	struct wish wish;

	model_close_all(m);
	model_compare(m);
	wish = pick_wish(m);
	open_wish(m, &m->slots[0], &wish);
	model_compare(m);
}
