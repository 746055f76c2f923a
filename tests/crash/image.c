/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What a crash leaves of a state, and states as real directories.
 *
 * A unit (64, 512 or 4096 bytes, or the whole system) takes the content it had at one moment between its
 * last flush and the crash. Names: an operation may be lost if its directory was not synced since, and with
 * it every later one on the same names.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log/meta.h"
#include "sim.h"
#include "wraps.h"

struct cut {
	enum sim_crash crash;
	enum sim_mode mode;
	uint32_t unit;
	uint64_t chosen; /* ONE_LOST, ONE_KEPT: number of the odd unit */
	uint64_t seen;   /* units with a choice so far */
	uint64_t moment; /* PREFIX */
	struct sim_rng *rng;
};

/* How many versions of its page a unit had seen when it was written back. A store may be seen in parts. */
static size_t choose_moment(struct cut *cut, const struct sim_page *page, uint32_t from, uint32_t to)
{
	size_t moments[64], count = 0, seen = 0;
	bool odd;

	for (size_t i = 0; i < page->count; i++) {
		uint32_t at = page->pending[i].line * SIM_LINE;
		if (at < from || at >= to)
			continue;
		if (page->pending[i].seq <= cut->moment)
			seen = i + 1;
		moments[count < 64 ? count : sim_below(cut->rng, 64)] = i + 1;
		count += count < 64;
	}
	if (count == 0)
		return 0;
	odd = cut->seen++ == cut->chosen;
	switch (cut->mode) {
	case SIM_OLD:
		return 0;
	case SIM_NEW:
		return page->count;
	case SIM_ONE_LOST:
		return odd ? 0 : page->count;
	case SIM_ONE_KEPT:
		return odd ? page->count : 0;
	case SIM_PREFIX:
		return seen;
	default:
		count = (size_t)sim_below(cut->rng, count + 1);
		return count == 0 ? 0 : moments[count - 1];
	}
}

static void page_cut(struct sim_page *page, struct cut *cut)
{
	for (uint32_t from = 0; from < SIM_PAGE; from += cut->unit) {
		size_t seen = choose_moment(cut, page, from, from + cut->unit);
		for (size_t i = 0; i < seen; i++) {
			const struct sim_version *v = &page->pending[i];
			uint32_t at = v->line * SIM_LINE;
			if (at >= from && at < from + cut->unit)
				memcpy(page->floor + at, v->bytes, SIM_LINE);
		}
	}
	memcpy(page->latest, page->floor, SIM_PAGE);
	page->count = 0;
	page->stuck = false;
}

static void size_cut(struct sim_file *file, struct cut *cut)
{
	size_t keep = file->size_count;

	if (cut->mode == SIM_OLD)
		keep = 0;
	else if (cut->mode == SIM_PREFIX)
		for (keep = 0; keep < file->size_count && file->sizes[keep].seq <= cut->moment; keep++)
			;
	else if (cut->mode == SIM_RANDOM || sim_chance(cut->rng, 20))
		keep = (size_t)sim_below(cut->rng, file->size_count + 1);
	file->size = keep == 0 ? file->size_floor : file->sizes[keep - 1].size;
	file->size_floor = file->size;
	file->size_count = 0;
	for (uint64_t i = file->size / SIM_PAGE; i < file->page_room; i++) {
		uint32_t in = i == file->size / SIM_PAGE ? (uint32_t)(file->size % SIM_PAGE) : 0;
		if (file->pages[i] == NULL)
			continue;
		memset(file->pages[i]->floor + in, 0, SIM_PAGE - in);
		memset(file->pages[i]->latest + in, 0, SIM_PAGE - in);
	}
}

static bool touches(const struct sim_dirop *op, char lost[][SIM_NAME], size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(op->name, lost[i]) == 0 || strcmp(op->to, lost[i]) == 0)
			return true;
	return false;
}

static void names_cut(struct sim_file *dir, struct cut *cut)
{
	char(*lost)[SIM_NAME] = calloc(dir->op_count * 2 + 1, SIM_NAME);
	size_t count = 0;

	for (size_t i = 0; i < dir->op_count; i++) {
		const struct sim_dirop *op = &dir->ops[i];
		bool gone = touches(op, lost, count);

		if (cut->mode == SIM_OLD || (cut->mode == SIM_PREFIX && op->seq > cut->moment))
			gone = true;
		else if (cut->mode != SIM_NEW && cut->mode != SIM_PREFIX && sim_chance(cut->rng, 35))
			gone = true;
		if (!gone) {
			sim_entries_apply(&dir->entries, op);
			continue;
		}
		memcpy(lost[count++], op->name, SIM_NAME);
		if (op->to[0] != '\0')
			memcpy(lost[count++], op->to, SIM_NAME);
	}
	free(lost);
	dir->op_count = 0;
}

static uint64_t count_units(const struct sim_state *state, uint32_t unit, uint64_t *ret_last)
{
	uint64_t units = 0;

	*ret_last = 0;
	for (size_t f = 0; f < state->count; f++)
		for (size_t p = 0; p < state->files[f].page_room; p++) {
			const struct sim_page *page = state->files[f].pages[p];
			uint64_t seen = 0;
			for (size_t i = 0; page != NULL && i < page->count; i++) {
				seen |= UINT64_C(1) << (page->pending[i].line * SIM_LINE / unit);
				if (page->pending[i].seq > *ret_last)
					*ret_last = page->pending[i].seq;
			}
			units += (uint64_t)__builtin_popcountll(seen);
		}
	return units;
}

static void evict(struct sim_state *state, struct cut *cut)
{
	for (size_t f = 0; f < state->count; f++)
		for (size_t p = 0; p < state->files[f].page_room; p++) {
			struct sim_page *page = state->files[f].pages[p];
			if (page != NULL && page->stuck && sim_chance(cut->rng, 80))
				page_cut(page, cut);
		}
}

static bool slot_intact(const struct sim_file *meta, uint64_t slot)
{
	uint64_t page = slot * (FM_LOG_META_SLOT / SIM_PAGE);
	struct fm__log_meta decoded;

	return page < meta->page_room && meta->pages[page] != NULL &&
	       fm__log_meta_decode(meta->pages[page]->latest, &decoded) == 0;
}

/* Nothing is being written to it and both slots are good: one of them may get lost. */
bool sim_meta_at_rest(const struct sim_state *state)
{
	uint32_t id = sim_state_lookup(state, "meta");
	const struct sim_file *meta;

	if (id == SIM_NO_FILE)
		return false;
	meta = &state->files[id];
	for (size_t p = 0; p < meta->page_room; p++)
		if (meta->pages[p] != NULL && meta->pages[p]->count > 0)
			return false;
	return meta->size_count == 0 && slot_intact(meta, 0) && slot_intact(meta, 1);
}

static void damage_meta(struct sim_state *state, struct sim_rng *rng)
{
	uint32_t id = sim_state_lookup(state, "meta");
	uint64_t slot = sim_below(rng, 2) * (FM_LOG_META_SLOT / SIM_PAGE);
	struct sim_page *page;

	if (id == SIM_NO_FILE)
		return;
	page = sim_file_page(&state->files[id], slot);
	for (unsigned i = 0; i < 512; i++)
		page->floor[i] = (uint8_t)sim_next(rng);
	memcpy(page->latest, page->floor, SIM_PAGE);
}

void sim_crash_state(const struct sim_state *state, enum sim_crash crash, enum sim_mode mode, uint32_t unit,
		     struct sim_rng *rng, struct sim_state *ret)
{
	struct cut cut = {.crash = crash, .mode = mode, .unit = unit, .rng = rng};
	uint64_t last, units = count_units(state, unit, &last);

	sim_state_clone(state, ret);
	cut.chosen = sim_below(rng, units);
	cut.moment = last - sim_below(rng, last < 200 ? last + 1 : 200);
	if (crash == SIM_KILL || crash == SIM_RECORD_DAMAGE)
		return;
	if (crash == SIM_EVICT) {
		evict(ret, &cut);
		return;
	}
	for (size_t f = 0; f < ret->count; f++) {
		struct sim_file *file = &ret->files[f];
		for (size_t p = 0; p < file->page_room; p++)
			if (file->pages[p] != NULL)
				page_cut(file->pages[p], &cut);
		if (file->size_count > 0)
			size_cut(file, &cut);
		if (file->op_count > 0)
			names_cut(file, &cut);
	}
	if (crash == SIM_META_DAMAGE)
		damage_meta(ret, rng);
}

/* ---- real directories ---- */

static void die(const char *what, const char *path)
{
	fprintf(stderr, "simulator: %s %s: %s\n", what, path, strerror(errno));
	abort();
}

static void make_file(const struct sim_file *file, uint32_t id, const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	struct stat st;

	if (fd < 0 || ftruncate(fd, (off_t)file->size) < 0 || fstat(fd, &st) < 0)
		die("create", path);
	for (uint64_t i = 0; i < file->page_room && i * SIM_PAGE < file->size; i++) {
		uint64_t left = file->size - i * SIM_PAGE;
		size_t length = left < SIM_PAGE ? (size_t)left : SIM_PAGE;
		if (file->pages[i] != NULL &&
		    pwrite(fd, file->pages[i]->latest, length, (off_t)(i * SIM_PAGE)) != (ssize_t)length)
			die("write", path);
	}
	sim_bind(&st, id);
	close(fd);
}

static void make_dir(const struct sim_state *state, uint32_t id, const char *path)
{
	struct sim_entries entries;
	struct stat st;
	char below[400];

	if (stat(path, &st) < 0)
		die("stat", path);
	sim_bind(&st, id);
	sim_entries_latest(&state->files[id], &entries);
	for (size_t i = 0; i < entries.count; i++) {
		uint32_t child = entries.list[i].file;

		snprintf(below, sizeof below, "%s/%s", path, entries.list[i].name);
		sim_name_file(child, entries.list[i].name);
		if (!state->files[child].is_dir) {
			make_file(&state->files[child], child, below);
			continue;
		}
		if (mkdir(below, 0755) < 0)
			die("mkdir", below);
		make_dir(state, child, below);
	}
	free(entries.list);
}

void sim_materialize(const struct sim_state *state, const char *root)
{
	make_dir(state, 0, root);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void sim_remove_tree(const char *root)
{
	if (nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS) < 0)
		die("remove", root);
}
