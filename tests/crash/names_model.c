/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The model of a crash. Before any event or after the last one: of the operations on names that came before
 * it, those stay for which a directory they changed was synced since; of the others any set may be lost.
 * What is left is done in order; a set of which one cannot be done (its name is not there, or taken) cannot be
 * what is left. A move between two directories is one operation, which either of their syncs makes durable; but
 * the sync of a directory that can be lost itself makes nothing durable.
 * The bytes of a file are those of its last sync, or, independently of that, the last ones, whole, cut in
 * half or with nothing of theirs in it; mode and owner likewise. A file whose first name came behind its last
 * sync may lose all its names: without a journal the disk can hold them, and a link count of 0, which fsck believes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "names_wraps.h"

struct exploration {
	const struct names_run *run;
	names_visit_fn *visit;
	void *context;
	struct known {
		struct names_state state;
		const struct names_event *returns;
		bool just_returned;
	} * known;
	size_t known_count, known_room;
	uint64_t tried;
};

/* ---- operations ---- */

static struct names_entry *find(struct names_state *state, unsigned dir, const char *name)
{
	for (unsigned i = 0; i < state->count; i++)
		if (state->entries[i].dir == dir && strcmp(state->entries[i].name, name) == 0)
			return &state->entries[i];
	return NULL;
}

static bool is_there(const struct names_state *state, unsigned node)
{
	for (unsigned i = 0; i < state->count; i++)
		if (state->entries[i].node == node)
			return true;
	return node == 0;
}

static bool is_empty(const struct names_state *state, unsigned dir)
{
	for (unsigned i = 0; i < state->count; i++)
		if (state->entries[i].dir == dir)
			return false;
	return true;
}

static bool put(struct names_state *state, unsigned dir, const char *name, unsigned node)
{
	if (!is_there(state, dir) || find(state, dir, name) != NULL)
		return false;
	if (state->count == NAMES_ENTRIES)
		names_die("too many names");
	struct names_entry *entry = &state->entries[state->count++];
	memset(entry, 0, sizeof *entry);
	entry->dir = dir;
	entry->node = node;
	snprintf(entry->name, sizeof entry->name, "%s", name);
	return true;
}

static void take(struct names_state *state, struct names_entry *entry, const struct names_event *event)
{
	const unsigned node = entry->node;

	*entry = state->entries[--state->count];
	memset(&state->entries[state->count], 0, sizeof *entry);
	if (event->by_other && !is_there(state, node))
		state->files[node].ended_by_other = 1;
}

static bool unlink_name(const struct names_run *run, struct names_state *state,
			const struct names_event *event)
{
	struct names_entry *entry = find(state, event->dir, event->name);

	if (entry == NULL || run->nodes[entry->node].is_dir != (event->kind == NAMES_RMDIR))
		return false;
	if (event->kind == NAMES_RMDIR && !is_empty(state, entry->node))
		return false;
	take(state, entry, event);
	return true;
}

static bool move(struct names_state *state, const struct names_event *event)
{
	struct names_entry *from = find(state, event->dir, event->name);
	struct names_entry *to = find(state, event->to_dir, event->to);

	if (from == NULL || !is_there(state, event->to_dir) || (to != NULL && !event->replaces))
		return false;
	const unsigned node = from->node;
	if (to != NULL && to->node == node)
		return true;
	if (to != NULL)
		take(state, to, event);
	from = find(state, event->dir, event->name);
	*from = state->entries[--state->count];
	memset(&state->entries[state->count], 0, sizeof *from);
	return put(state, event->to_dir, event->to, node);
}

static bool swap(struct names_state *state, const struct names_event *event)
{
	struct names_entry *from = find(state, event->dir, event->name);
	struct names_entry *to = find(state, event->to_dir, event->to);

	if (from == NULL || to == NULL)
		return false;
	const unsigned node = from->node;
	from->node = to->node;
	to->node = node;
	return true;
}

/* 1 = done, 0 = impossible, -1 = it is no operation on names. */
static int apply(const struct names_run *run, struct names_state *state, const struct names_event *event)
{
	switch (event->kind) {
	case NAMES_LINK:
		return put(state, event->dir, event->name, event->node);
	case NAMES_UNLINK:
	case NAMES_RMDIR:
		return unlink_name(run, state, event);
	case NAMES_MOVE:
		return move(state, event);
	case NAMES_SWAP:
		return swap(state, event);
	default:
		return -1;
	}
}

static bool is_operation(const struct names_event *event)
{
	return event->kind <= NAMES_SWAP;
}

static bool changes(const struct names_event *event, unsigned dir)
{
	return event->dir == dir ||
	       ((event->kind == NAMES_MOVE || event->kind == NAMES_SWAP) && event->to_dir == dir);
}

static bool is_covered(const struct names_run *run, unsigned at, unsigned end);

/* What is synced in a directory that can vanish itself is not durable. */
static bool can_vanish(const struct names_run *run, unsigned dir, unsigned end)
{
	for (unsigned i = 0; i < end; i++)
		if (run->events[i].kind == NAMES_LINK && run->events[i].node == dir)
			return !is_covered(run, i, end);
	return false;
}

static bool is_covered(const struct names_run *run, unsigned at, unsigned end)
{
	for (unsigned i = at + 1; i < end; i++)
		if (run->events[i].kind == NAMES_SYNC && changes(&run->events[at], run->events[i].node) &&
		    !can_vanish(run, run->events[i].node, end))
			return true;
	return false;
}

/* ---- bytes ---- */

struct bytes {
	unsigned durable, owned; /* versions */
	unsigned last;
};

static struct bytes bytes_of(const struct names_run *run, unsigned node, unsigned end)
{
	struct bytes bytes = {run->nodes[node].version, run->nodes[node].version, run->nodes[node].version};

	for (unsigned i = 0; i < end; i++) {
		const struct names_event *event = &run->events[i];
		if (event->node != node || is_operation(event) || event->kind == NAMES_RETURN)
			continue;
		if (event->kind == NAMES_WRITE)
			bytes.last = event->version;
		else
			bytes.durable = bytes.last;
		if (event->kind == NAMES_SYNC)
			bytes.owned = bytes.last;
	}
	return bytes;
}

static bool same_bytes(const struct names_version *a, const struct names_version *b)
{
	return a->length == b->length && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static bool same_owner(const struct names_version *a, const struct names_version *b)
{
	return a->mode == b->mode && a->owner == b->owner;
}

/* All that one file can be. */
static unsigned choices_of(const struct names_run *run, unsigned node, unsigned end,
			   struct names_file_state to[8])
{
	const struct bytes bytes = bytes_of(run, node, end);
	const struct names_version *last = &run->versions[bytes.last];
	bool bytes_differ = !same_bytes(last, &run->versions[bytes.durable]);
	bool owner_differs = !same_owner(last, &run->versions[bytes.owned]);
	unsigned count = 0;

	for (unsigned owner = 0; owner < (owner_differs ? 2u : 1u); owner++) {
		unsigned owned = owner == 0 ? bytes.last : bytes.owned;
		to[count++] = (struct names_file_state){bytes.last, owned, NAMES_WHOLE, 0};
		if (!bytes_differ)
			continue;
		to[count++] = (struct names_file_state){bytes.durable, owned, NAMES_WHOLE, 0};
		to[count++] = (struct names_file_state){bytes.last, owned, NAMES_CUT, 0};
		to[count++] = (struct names_file_state){bytes.last, owned, NAMES_GARBAGE, 0};
	}
	return count;
}

/* Also with the name synced. Whose file was there before, and who else makes one, is not asked. */
static bool can_be_dropped(const struct names_run *run, unsigned node, unsigned end)
{
	bool is_linked = false, is_counted = true;

	for (unsigned i = 0; i < run->base_count; i++)
		is_linked |= run->base[i].node == node;
	for (unsigned i = 0; i < end; i++) {
		const struct names_event *event = &run->events[i];
		if (event->node != node || event->by_other)
			continue;
		is_counted =
			event->kind == NAMES_SYNC || (is_counted && (event->kind != NAMES_LINK || is_linked));
		is_linked |= event->kind == NAMES_LINK;
	}
	return !is_counted;
}

static void drop(struct names_state *state, unsigned node)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < state->count; i++)
		if (state->entries[i].node != node)
			state->entries[kept++] = state->entries[i];
	memset(&state->entries[kept], 0, (state->count - kept) * sizeof *state->entries);
	state->count = kept;
}

/* ---- states ---- */

static int compare_entries(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct names_entry));
}

static bool is_known(struct exploration *e, const struct names_state *state,
		     const struct names_moment *moment)
{
	for (size_t i = 0; i < e->known_count; i++)
		if (e->known[i].returns == moment->returns &&
		    e->known[i].just_returned == moment->just_returned &&
		    memcmp(&e->known[i].state, state, sizeof *state) == 0)
			return true;
	if (e->known_count == e->known_room) {
		e->known_room = e->known_room * 2 + 64;
		e->known = realloc(e->known, e->known_room * sizeof *e->known);
		if (e->known == NULL)
			names_die("remember state");
	}
	e->known[e->known_count++] = (struct known){*state, moment->returns, moment->just_returned};
	return false;
}

static void choose_bytes(struct exploration *e, struct names_state *state, const struct names_moment *moment,
			 unsigned node);

static void choose_without(struct exploration *e, const struct names_state *state,
			   const struct names_moment *moment, unsigned node)
{
	struct names_state without = *state;
	struct names_moment out_of_order = *moment;

	drop(&without, node);
	out_of_order.in_order = false;
	choose_bytes(e, &without, &out_of_order, node + 1);
}

/* All that the files which still have a name can be, from the one with this number on. */
static void choose_bytes(struct exploration *e, struct names_state *state, const struct names_moment *moment,
			 unsigned node)
{
	struct names_file_state choices[8];

	while (node < e->run->node_count && (e->run->nodes[node].is_dir || !is_there(state, node)))
		node++;
	if (node == e->run->node_count) {
		e->tried++;
		if (!is_known(e, state, moment))
			e->visit(e->run, state, moment, e->context);
		return;
	}
	const struct names_file_state before = state->files[node];
	const unsigned count = choices_of(e->run, node, moment->events, choices);
	for (unsigned i = 0; i < count; i++) {
		choices[i].ended_by_other = before.ended_by_other;
		state->files[node] = choices[i];
		choose_bytes(e, state, moment, node + 1);
	}
	state->files[node] = before;
	if (can_be_dropped(e->run, node, moment->events))
		choose_without(e, state, moment, node);
}

static void begin(const struct names_run *run, struct names_state *state)
{
	memset(state, 0, sizeof *state);
	memcpy(state->entries, run->base, sizeof state->entries);
	state->count = run->base_count;
}

bool names_replay(const struct names_run *run, struct names_state *ret)
{
	begin(run, ret);
	for (unsigned i = 0; i < run->event_count; i++)
		if (apply(run, ret, &run->events[i]) == 0)
			return false;
	for (unsigned i = 0; i < run->node_count; i++)
		ret->files[i].version = ret->files[i].owned = run->nodes[i].seen;
	return true;
}

/* `lost`: a bit for each operation that no sync covers. */
static void collapse(struct exploration *e, struct names_moment *moment, const unsigned *loose,
		     unsigned count, uint64_t lost)
{
	struct names_state state;
	unsigned next = 0;
	bool lost_before = false;

	begin(e->run, &state);
	moment->in_order = true;
	moment->lost = 0;
	for (unsigned i = 0; i < moment->events; i++) {
		bool is_loose = next < count && loose[next] == i;
		bool is_lost = is_loose && (lost >> next & 1) != 0;
		next += is_loose;
		moment->lost |= (uint64_t)is_lost << i;
		if (is_lost)
			lost_before = true;
		else if (lost_before && is_operation(&e->run->events[i]))
			moment->in_order = false;
		if (!is_lost && apply(e->run, &state, &e->run->events[i]) == 0)
			return;
	}
	qsort(state.entries, state.count, sizeof *state.entries, compare_entries);
	choose_bytes(e, &state, moment, 0);
}

static struct names_moment moment_before(const struct names_run *run, unsigned end)
{
	struct names_moment moment = {.events = end};

	for (unsigned i = 0; i < end; i++) {
		moment.just_returned = run->events[i].kind == NAMES_RETURN;
		if (moment.just_returned)
			moment.returns = &run->events[i];
	}
	return moment;
}

uint64_t names_explore(const struct names_run *run, names_visit_fn *visit, void *context)
{
	struct exploration e = {.run = run, .visit = visit, .context = context};

	for (unsigned end = 0; end <= run->event_count; end++) {
		struct names_moment moment = moment_before(run, end);
		unsigned loose[NAMES_EVENTS], count = 0;
		for (unsigned i = 0; i < end; i++)
			if (is_operation(&run->events[i]) && !is_covered(run, i, end))
				loose[count++] = i;
		if (count > 16)
			names_die("too many operations for all sets of them");
		for (uint64_t lost = 0; lost < (uint64_t)1 << count; lost++)
			collapse(&e, &moment, loose, count, lost);
	}
	free(e.known);
	return e.tried;
}
