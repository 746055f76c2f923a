/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The model of device and page cache. Invariant: a page's `latest` is its `floor` with all pending
 * versions laid over it in order, and no pending version is older than the last flush that covered it.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

static void *copy_array(const void *from, size_t count, size_t size)
{
	void *to;

	if (count == 0)
		return NULL;
	to = malloc(count * size);
	if (to == NULL)
		abort();
	return memcpy(to, from, count * size);
}

static struct sim_file *state_file(struct sim_state *state, uint32_t id)
{
	while (state->count <= id) {
		state->files = sim_grow(state->files, state->count, &state->room, sizeof *state->files);
		memset(&state->files[state->count++], 0, sizeof *state->files);
	}
	return &state->files[id];
}

void sim_state_init(struct sim_state *state)
{
	memset(state, 0, sizeof *state);
	state_file(state, 0)->is_dir = true;
}

static void file_free(struct sim_file *file)
{
	for (size_t i = 0; i < file->page_room; i++) {
		if (file->pages[i] != NULL)
			free(file->pages[i]->pending);
		free(file->pages[i]);
	}
	free(file->pages);
	free(file->sizes);
	free(file->entries.list);
	free(file->ops);
}

void sim_state_free(struct sim_state *state)
{
	for (size_t i = 0; i < state->count; i++)
		file_free(&state->files[i]);
	free(state->files);
	memset(state, 0, sizeof *state);
}

static struct sim_page *page_clone(const struct sim_page *from)
{
	struct sim_page *to;

	if (from == NULL)
		return NULL;
	to = copy_array(from, 1, sizeof *from);
	to->pending = copy_array(from->pending, from->count, sizeof *from->pending);
	to->room = from->count;
	return to;
}

static void file_clone(const struct sim_file *from, struct sim_file *to)
{
	*to = *from;
	to->pages = copy_array(from->pages, from->page_room, sizeof *from->pages);
	for (size_t i = 0; i < from->page_room; i++)
		to->pages[i] = page_clone(from->pages[i]);
	to->sizes = copy_array(from->sizes, from->size_count, sizeof *from->sizes);
	to->size_room = from->size_count;
	to->entries.list = copy_array(from->entries.list, from->entries.count, sizeof *from->entries.list);
	to->entries.room = from->entries.count;
	to->ops = copy_array(from->ops, from->op_count, sizeof *from->ops);
	to->op_room = from->op_count;
}

void sim_state_clone(const struct sim_state *from, struct sim_state *to)
{
	memset(to, 0, sizeof *to);
	if (from->count == 0)
		return;
	state_file(to, (uint32_t)(from->count - 1));
	for (size_t i = 0; i < from->count; i++)
		file_clone(&from->files[i], &to->files[i]);
}

struct sim_page *sim_file_page(struct sim_file *file, uint64_t index)
{
	while (file->page_room <= index) {
		size_t room = file->page_room == 0 ? 16 : file->page_room * 2;
		file->pages = realloc(file->pages, room * sizeof *file->pages);
		if (file->pages == NULL)
			abort();
		memset(file->pages + file->page_room, 0, (room - file->page_room) * sizeof *file->pages);
		file->page_room = room;
	}
	if (file->pages[index] == NULL)
		file->pages[index] = calloc(1, sizeof *file->pages[index]);
	if (file->pages[index] == NULL)
		abort();
	return file->pages[index];
}

/* ---- stores and sizes ---- */

static bool all_zero(const uint8_t *bytes, size_t length)
{
	return length == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0);
}

/*
 * A copy within one line goes upward by words; sometimes the device gets the line in the middle of it. The cut
 * is the same whenever this event is replayed.
 */
static uint32_t cut_copy(uint64_t seq, uint32_t at, uint32_t part)
{
	struct sim_rng rng = {seq * 64 + at};
	uint32_t words = (at + part - 1) / 8 - at / 8;

	if (words == 0 || !sim_chance(&rng, sim_world.tear ? 100 : 25))
		return part;
	return (at / 8 + 1 + (uint32_t)sim_below(&rng, words)) * 8 - at;
}

static void page_store(struct sim_page *page, uint64_t seq, uint32_t at, const uint8_t *bytes,
		       uint32_t length)
{
	page->stuck = false;
	while (length > 0) {
		uint32_t line = at / SIM_LINE, part = SIM_LINE - at % SIM_LINE;
		struct sim_version *version;

		if (part > length)
			part = length;
		part = cut_copy(seq, at, part);
		if (memcmp(page->latest + at, bytes, part) != 0) {
			memcpy(page->latest + at, bytes, part);
			page->pending = sim_grow(page->pending, page->count, &page->room, sizeof *version);
			version = &page->pending[page->count++];
			version->seq = seq;
			version->line = line;
			memcpy(version->bytes, page->latest + line * SIM_LINE, SIM_LINE);
		}
		at += part;
		bytes += part;
		length -= part;
	}
}

static void file_store(struct sim_file *file, const struct sim_event *event)
{
	uint64_t at = event->offset, end = event->offset + event->length;
	const uint8_t *bytes = event->bytes;

	while (at < end) {
		uint64_t index = at / SIM_PAGE;
		uint32_t in = (uint32_t)(at % SIM_PAGE), part = SIM_PAGE - in;

		if (part > end - at)
			part = (uint32_t)(end - at);
		/* zeros over zeros need no page: preparing a segment costs nothing */
		if ((index < file->page_room && file->pages[index] != NULL) || !all_zero(bytes, part))
			page_store(sim_file_page(file, index), event->seq, in, bytes, part);
		at += part;
		bytes += part;
	}
}

static void file_set_size(struct sim_file *file, uint64_t seq, uint64_t size)
{
	static const uint8_t zeros[SIM_PAGE];

	for (uint64_t i = size / SIM_PAGE; i < file->page_room; i++) {
		uint32_t in = i == size / SIM_PAGE ? (uint32_t)(size % SIM_PAGE) : 0;
		if (file->pages[i] != NULL)
			page_store(file->pages[i], seq, in, zeros, SIM_PAGE - in);
	}
	file->size = size;
	file->sizes = sim_grow(file->sizes, file->size_count, &file->size_room, sizeof *file->sizes);
	file->sizes[file->size_count++] = (struct sim_size){seq, size};
}

/* ---- flushes ---- */

static void page_flush(struct sim_page *page, uint64_t begin, uint32_t from, uint32_t to)
{
	size_t kept = 0;

	if (page->stuck)
		return;
	for (size_t i = 0; i < page->count; i++) {
		const struct sim_version *v = &page->pending[i];
		uint32_t at = v->line * SIM_LINE;

		if (v->seq < begin && at < to && at + SIM_LINE > from)
			memcpy(page->floor + at, v->bytes, SIM_LINE);
		else
			page->pending[kept++] = *v;
	}
	page->count = kept;
}

static void page_flush_failed(struct sim_page *page, uint64_t begin)
{
	if (page->count > 0 && page->pending[page->count - 1].seq < begin)
		page->stuck = true;
}

static void file_flush(struct sim_file *file, const struct sim_event *event)
{
	uint64_t end =
		event->length > UINT64_MAX - event->offset ? UINT64_MAX : event->offset + event->length;
	size_t covered = 0;

	for (uint64_t i = event->offset / SIM_PAGE; i < file->page_room && i * SIM_PAGE < end; i++) {
		uint64_t base = i * SIM_PAGE;
		uint32_t from = event->offset > base ? (uint32_t)(event->offset - base) : 0;
		uint32_t to = end - base < SIM_PAGE ? (uint32_t)(end - base) : SIM_PAGE;

		if (file->pages[i] == NULL)
			continue;
		if (event->kind == SIM_FLUSH_FAILED)
			page_flush_failed(file->pages[i], event->begin);
		else
			page_flush(file->pages[i], event->begin, from, to);
	}
	if (event->kind == SIM_FLUSH_FAILED)
		return;
	while (covered < file->size_count && file->sizes[covered].seq < event->begin)
		file->size_floor = file->sizes[covered++].size;
	file->size_count -= covered;
	if (file->size_count > 0)
		memmove(file->sizes, file->sizes + covered, file->size_count * sizeof *file->sizes);
}

/* ---- names ---- */

static void entries_remove(struct sim_entries *entries, const char *name)
{
	for (size_t i = 0; i < entries->count; i++)
		if (strcmp(entries->list[i].name, name) == 0) {
			entries->list[i] = entries->list[--entries->count];
			return;
		}
}

static void entries_add(struct sim_entries *entries, const char *name, uint32_t file)
{
	entries_remove(entries, name);
	entries->list = sim_grow(entries->list, entries->count, &entries->room, sizeof *entries->list);
	snprintf(entries->list[entries->count].name, SIM_NAME, "%s", name);
	entries->list[entries->count++].file = file;
}

uint32_t sim_entries_find(const struct sim_entries *entries, const char *name)
{
	for (size_t i = 0; i < entries->count; i++)
		if (strcmp(entries->list[i].name, name) == 0)
			return entries->list[i].file;
	return SIM_NO_FILE;
}

void sim_entries_apply(struct sim_entries *entries, const struct sim_dirop *op)
{
	uint32_t file;

	switch (op->kind) {
	case SIM_CREATED:
		entries_add(entries, op->name, op->file);
		return;
	case SIM_UNLINKED:
		entries_remove(entries, op->name);
		return;
	default:
		file = sim_entries_find(entries, op->name);
		entries_remove(entries, op->name);
		if (file != SIM_NO_FILE)
			entries_add(entries, op->to, file);
	}
}

void sim_entries_latest(const struct sim_file *dir, struct sim_entries *ret)
{
	ret->list = copy_array(dir->entries.list, dir->entries.count, sizeof *ret->list);
	ret->count = ret->room = dir->entries.count;
	for (size_t i = 0; i < dir->op_count; i++)
		sim_entries_apply(ret, &dir->ops[i]);
}

uint32_t sim_state_lookup(const struct sim_state *state, const char *name)
{
	struct sim_entries entries;
	uint32_t file;

	sim_entries_latest(&state->files[0], &entries);
	file = sim_entries_find(&entries, "log");
	free(entries.list);
	if (file == SIM_NO_FILE || file >= state->count)
		return SIM_NO_FILE;
	sim_entries_latest(&state->files[file], &entries);
	file = sim_entries_find(&entries, name);
	free(entries.list);
	return file;
}

static void dir_change(struct sim_state *state, const struct sim_event *event)
{
	struct sim_file *dir;
	struct sim_dirop *op;

	if (event->kind == SIM_CREATED)
		state_file(state, event->file)->is_dir = event->is_dir;
	dir = state_file(state, event->dir);
	dir->ops = sim_grow(dir->ops, dir->op_count, &dir->op_room, sizeof *dir->ops);
	op = &dir->ops[dir->op_count++];
	memset(op, 0, sizeof *op);
	op->seq = event->seq;
	op->kind = event->kind;
	op->file = event->file;
	memcpy(op->name, event->name, SIM_NAME);
	memcpy(op->to, event->to, SIM_NAME);
}

static void dir_sync(struct sim_file *dir, uint64_t begin)
{
	size_t done = 0;

	while (done < dir->op_count && dir->ops[done].seq < begin)
		sim_entries_apply(&dir->entries, &dir->ops[done++]);
	dir->op_count -= done;
	if (dir->op_count > 0)
		memmove(dir->ops, dir->ops + done, dir->op_count * sizeof *dir->ops);
}

void sim_state_apply(struct sim_state *state, const struct sim_event *event)
{
	switch (event->kind) {
	case SIM_STORE:
		file_store(state_file(state, event->file), event);
		return;
	case SIM_SIZE:
		file_set_size(state_file(state, event->file), event->seq, event->length);
		return;
	case SIM_FLUSHED:
	case SIM_FLUSH_FAILED:
		file_flush(state_file(state, event->file), event);
		return;
	case SIM_CREATED:
	case SIM_RENAMED:
	case SIM_UNLINKED:
		dir_change(state, event);
		return;
	case SIM_DIR_SYNCED:
		dir_sync(state_file(state, event->dir), event->begin);
		return;
	default:
		return; /* what the application knows is no matter of the device */
	}
}
