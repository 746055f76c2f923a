/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The seeded bugs: what is written down differs from what the library did, as if it had been careless. Only its
 * own operations are changed, never those of others.
 */
#include <stdio.h>
#include <string.h>

#include "names.h"
#include "names_wraps.h"

#define AWAY ".f.0123456789abcdef.tmp" /* one more step of a careless exchange */

enum names_bug names_bug;

static bool is_hidden(const char *name)
{
	size_t length = strlen(name);
	return name[0] == '.' && length > 22 && strcmp(name + length - 4, ".del") == 0;
}

static void stray(char *name)
{
	if (is_hidden(name))
		memcpy(name + strlen(name) - 4, ".old", 4);
}

/* Where an event of this kind, and of this node unless NONE, is the last one; the end if there is none. */
static unsigned last(const struct names_run *run, enum names_kind kind, unsigned node)
{
	for (unsigned i = run->event_count; i-- > 0;)
		if (run->events[i].kind == kind && (node == NAMES_NONE || run->events[i].node == node))
			return i;
	return run->event_count;
}

static unsigned node_named(const struct names_run *run, const char *name)
{
	for (unsigned i = 0; i < run->base_count; i++)
		if (run->base[i].dir == 0 && strcmp(run->base[i].name, name) == 0)
			return run->base[i].node;
	return NAMES_NONE;
}

/* The bugs that leave events out, or put them elsewhere. */
static unsigned choose_place(const struct names_run *run, const struct names_event *event)
{
	const bool sync = event->kind == NAMES_SYNC, dir = sync && run->nodes[event->node].is_dir;

	switch (names_bug) {
	case NAMES_NO_FILE_SYNC:
		return sync && !dir ? NAMES_NONE : run->event_count;
	case NAMES_NO_LINK_SYNC:
		return sync && !dir && last(run, NAMES_SYNC, event->node) != run->event_count
			       ? NAMES_NONE
			       : run->event_count;
	case NAMES_NO_DIR_SYNC:
		return dir ? NAMES_NONE : run->event_count;
	case NAMES_SYNC_BEFORE_UNLINK:
		return dir ? last(run, NAMES_UNLINK, NAMES_NONE) : run->event_count;
	case NAMES_SYNC_BEFORE_WRITE:
		return sync && !dir ? last(run, NAMES_WRITE, event->node) : run->event_count;
	case NAMES_NAME_BEFORE_SYNC:
		return event->kind == NAMES_LINK ? last(run, NAMES_SYNC, event->node) : run->event_count;
	case NAMES_RETURN_EARLY:
		return event->kind == NAMES_RETURN ? last(run, NAMES_SYNC, NAMES_NONE) : run->event_count;
	case NAMES_PUT_BACK_LOST:
		return event->kind == NAMES_MOVE && is_hidden(event->name) ? NAMES_NONE : run->event_count;
	case NAMES_IN_PLACE:
		return event->kind == NAMES_LINK || event->kind == NAMES_MOVE ? NAMES_NONE : run->event_count;
	default:
		return run->event_count;
	}
}

/* Those that make several of one. */
static bool split(struct names_run *run, const struct names_event *event)
{
	struct names_event one = *event, two = *event, three = *event;

	if (names_bug == NAMES_UNLINK_THEN_MOVE && event->kind == NAMES_MOVE && event->replaces) {
		one.kind = NAMES_UNLINK;
		memcpy(one.name, event->to, sizeof one.name);
		two.replaces = false;
	} else if (names_bug == NAMES_MOVE_IN_STEPS && event->kind == NAMES_MOVE && !event->replaces) {
		one.kind = NAMES_LINK;
		one.dir = event->to_dir;
		memcpy(one.name, event->to, sizeof one.name);
		two.kind = NAMES_UNLINK;
	} else if (names_bug == NAMES_SWAP_IN_STEPS && event->kind == NAMES_SWAP) {
		one.kind = two.kind = three.kind = NAMES_MOVE;
		snprintf(one.to, sizeof one.to, AWAY);
		two.dir = event->to_dir;
		two.to_dir = event->dir;
		memcpy(two.name, event->to, sizeof two.name);
		memcpy(two.to, event->name, sizeof two.to);
		snprintf(three.name, sizeof three.name, AWAY);
		three.to_dir = event->to_dir;
		names_insert(run, run->event_count, one);
		names_insert(run, run->event_count, two);
		names_insert(run, run->event_count, three);
		return true;
	} else {
		return false;
	}
	names_insert(run, run->event_count, one);
	names_insert(run, run->event_count, two);
	return true;
}

/* Those that change one. */
static void falsify(const struct names_run *run, struct names_event *event)
{
	if (names_bug == NAMES_STRAY_NAME && event->kind != NAMES_RETURN) {
		stray(event->name);
		stray(event->to);
	}
	if (names_bug == NAMES_OTHER_DIR_SYNC && event->kind == NAMES_SYNC && event->node == 0)
		event->node = run->node_count - 1;
	if (names_bug == NAMES_FOREIGN_UNLINKED && event->kind == NAMES_MOVE && is_hidden(event->name))
		event->kind = NAMES_UNLINK;
	if (names_bug == NAMES_IN_PLACE && event->kind == NAMES_WRITE)
		event->node = node_named(run, "f");
}

void names_insert_falsely(struct names_run *run, struct names_event event)
{
	if (split(run, &event))
		return;
	falsify(run, &event);
	unsigned at = choose_place(run, &event);
	if (at != NAMES_NONE)
		names_insert(run, at, event);
}
