/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Crash, recover, compare. What is acknowledged as durable is there, byte for byte, after any crash; what
 * is published survives the death of the process; the output is a prefix; a crash is never corruption.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

static const char *const crash_names[] = {"power", "kill", "evict", "meta-damage", "record-damage"};

static bool was_inflight(const struct sim_lineage *lineage, uint64_t id)
{
	for (size_t i = 0; i < lineage->inflight_count; i++)
		if (lineage->inflight[i] == id)
			return true;
	return false;
}

/* Everything that was appended before the output's last record must be in it. */
static void compare(const struct sim_lineage *lineage, const struct sim_records *output, uint64_t safe,
		    const char *who)
{
	const struct sim_records *known = &lineage->records;
	size_t k = 0;

	for (size_t i = 0; i < output->count; i++) {
		const struct sim_record *found = &output->list[i];

		for (; k < known->count && known->list[k].lsn < found->lsn; k++)
			sim_violation("%s: record %llu at %llu is missing before one at %llu", who,
				      (unsigned long long)known->list[k].id,
				      (unsigned long long)known->list[k].lsn, (unsigned long long)found->lsn);
		if (k < known->count && known->list[k].lsn == found->lsn) {
			if (known->list[k].id != found->id || known->list[k].epoch != found->epoch)
				sim_violation("%s: another record stands at %llu", who,
					      (unsigned long long)found->lsn);
			k++;
		} else if (!was_inflight(lineage, found->id)) {
			sim_violation("%s: record %llu at %llu is stale", who, (unsigned long long)found->id,
				      (unsigned long long)found->lsn);
		}
	}
	if (k < known->count && known->list[k].lsn < safe)
		sim_violation("%s: acknowledged record %llu at %llu is lost (below %llu)", who,
			      (unsigned long long)known->list[k].id, (unsigned long long)known->list[k].lsn,
			      (unsigned long long)safe);
}

static bool same_records(const struct sim_records *a, const struct sim_records *b)
{
	for (size_t i = 0; a->count == b->count && i < a->count; i++)
		if (a->list[i].lsn != b->list[i].lsn || a->list[i].id != b->list[i].id ||
		    a->list[i].epoch != b->list[i].epoch)
			return false;
	return a->count == b->count;
}

/* ---- the steps of a recovery ---- */

struct child {
	struct sim_run run;
	const struct sim_lineage *lineage;
	uint64_t safe;
	struct sim_rng rng;
	struct sim_records first;           /* what a reader saw before anybody recovered */
	unsigned looks;                     /* flushes of the opening until a foreign reader looks on */
	struct filemap_log_reader *watcher; /* open all the time */
	struct sim_records watched;
};

static bool no_log_yet(const struct child *child, int r)
{
	return r == -ENOENT && !child->lineage->opened;
}

static void complain(const char *what, int r, const struct filemap_error *error)
{
	char text[250];

	filemap_error_format(error, text, sizeof text);
	sim_violation("%s: %s%s (%s)", what, filemap_error_name(r), r == FILEMAP_ECORRUPT ? " CORRUPT" : "",
		      text);
}

static void verify_before(struct child *child)
{
	struct filemap_log_report report;
	struct filemap_error error = {0};
	int r = filemap_log_verify(child->run.dir, 0, &report, &error);

	if (no_log_yet(child, r))
		return;
	if (r < 0)
		complain("verify", r, &error);
	else if (report.state == FILEMAP_LOG_CORRUPT)
		sim_violation("verify says CORRUPT at %llu, evidence at %llu",
			      (unsigned long long)report.damaged_at, (unsigned long long)report.evidence_at);
}

static void read_before(struct child *child)
{
	struct filemap_error error = {0};
	int r;

	r = sim_read_all(child->run.dir, FILEMAP_PUBLISHED, &child->first, NULL, &error);
	if (no_log_yet(child, r))
		return;
	if (r < 0)
		complain("reader before recovery", r, &error);
	else
		compare(child->lineage, &child->first, child->safe, "reader before recovery");
}

static void last_output(const struct sim_run *run, struct sim_records *ret)
{
	memset(ret, 0, sizeof *ret);
	sim_lock(); /* the log's threads add events */
	for (size_t i = run->count; i-- > 0;)
		if (run->events[i].kind == SIM_OPENED) {
			sim_records_clone(&run->events[i].output, ret);
			break;
		}
	sim_unlock();
}

static void start_watching(struct child *child)
{
	const struct filemap_log_reader_options options = {.struct_size = sizeof options,
							   .level = FILEMAP_PUBLISHED};

	if (filemap_log_reader_open(child->run.dir, &options, &child->watcher, NULL, NULL) < 0)
		child->watcher = NULL; /* read_before() has said so, if it is wrong */
}

static void watch_on(struct child *child, const char *when)
{
	int r = child->watcher == NULL ? 0 : sim_read_on(child->watcher, &child->watched);

	if (r == FILEMAP_ECORRUPT)
		sim_violation("watching reader %s: CORRUPT", when);
}

static void stop_watching(struct child *child)
{
	struct sim_records output;

	watch_on(child, "at the end");
	last_output(&child->run, &output);
	for (size_t i = 0; child->watcher != NULL && i < output.count; i++)
		if (i >= child->watched.count || child->watched.list[i].id != output.list[i].id) {
			sim_violation("the watching reader did not see record %llu",
				      (unsigned long long)output.list[i].id);
			break;
		}
	free(output.list);
	free(child->watched.list);
	filemap_log_reader_close(child->watcher);
}

/* Foreign readers in the midst of the recovery. */
static void look_on(void *context)
{
	struct child *child = context;
	struct filemap_error error = {0};
	struct sim_records output;
	int r;

	if (child->looks == 0 || --child->looks > 0)
		return;
	sim_world.foreign = true;
	sim_opening = false;
	watch_on(child, "during recovery");
	watch_on(child, "during recovery");
	r = sim_read_all(child->run.dir, FILEMAP_DURABLE, &output, NULL, &error);
	sim_opening = true;
	sim_world.foreign = false;
	if (r == FILEMAP_ECORRUPT)
		complain("reader during recovery", r, &error);
	else if (r == 0)
		compare(child->lineage, &output, child->safe, "reader during recovery");
	free(output.list);
}

static struct filemap_log *open_again(struct child *child, const char *what)
{
	struct filemap_log_report report;
	struct filemap_error error = {0};
	struct filemap_log *log;
	int r;

	r = sim_open_log(child->run.dir, NULL, &log, &report, &error);
	if (r < 0) {
		complain(what, r, &error);
		return NULL;
	}
	if (report.state == FILEMAP_LOG_CORRUPT)
		sim_violation("%s: CORRUPT", what);
	sim_note_opened(child->run.dir, log, report.epoch);
	return log;
}

/* Recover, append, close; then again: the same records and the new ones. */
static void recover_twice(struct child *child)
{
	static const struct sim_plan some = {.appends = 3, .wait_percent = 60, .big_percent = 4};
	struct sim_records output;
	struct filemap_log *log;

	log = open_again(child, "recovery");
	if (log == NULL)
		return;
	last_output(&child->run, &output);
	compare(child->lineage, &output, child->safe, "recovery");
	if (!same_records(&output, &child->first))
		sim_violation("recovery and a reader before it disagree: %zu and %zu records", output.count,
			      child->first.count);
	free(output.list);
	if (sim_chance(&child->rng, 70))
		sim_append_some(log, &child->rng, &some);
	sim_close_log(log, sim_chance(&child->rng, 30));
	log = open_again(child, "second opening");
	if (log == NULL)
		return;
	if (sim_chance(&child->rng, 20))
		sim_append_some(log, &child->rng, &some);
	sim_close_log(log, sim_chance(&child->rng, 30));
}

/* Openings after an orderly end of the process: nothing that it was told may be missing. */
static void check_course(const struct child *child)
{
	struct sim_lineage lineage;
	bool crashed = true;

	sim_lineage_clone(child->lineage, &lineage);
	for (size_t i = 0; i < child->run.count; i++) {
		const struct sim_event *event = &child->run.events[i];

		if (event->kind == SIM_OPENED && !crashed)
			compare(&lineage, &event->output, lineage.published, "next opening");
		if (event->kind == SIM_OPENED)
			crashed = false;
		sim_lineage_apply(&lineage, event);
	}
	sim_lineage_free(&lineage);
}

static unsigned explore(const struct sim_run *run, const struct sim_explore *how, unsigned level,
			const char *parent);

static unsigned check_crash(const struct sim_state *left, const struct sim_lineage *lineage,
			    enum sim_crash crash, const struct sim_explore *how, unsigned level,
			    uint64_t seed, const char *parent)
{
	struct child child = {.lineage = lineage, .rng = {seed}};
	unsigned recoveries = 1;

	child.safe = crash == SIM_KILL && lineage->published > lineage->durable ? lineage->published
										: lineage->durable;
	sim_run_begin(&child.run, left, lineage, parent);
	child.run.before.published = child.safe; /* a power cut ends what was only published */
	verify_before(&child);
	read_before(&child);
	if (sim_chance(&child.rng, 40))
		start_watching(&child);
	child.looks = sim_chance(&child.rng, 40) ? 1 + (unsigned)sim_below(&child.rng, 6) : 0;
	sim_world.at_flush_context = &child;
	sim_world.at_flush = look_on;
	recover_twice(&child);
	sim_world.at_flush = NULL;
	stop_watching(&child);
	sim_run_end(&child.run);
	check_course(&child);
	if (level < how->nested && sim_violations == 0)
		recoveries += explore(&child.run, how, level + 1, parent);
	sim_run_free(&child.run);
	free(child.first.list);
	return recoveries;
}

/* ---- crash points ---- */

static int by_value(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;
	return x < y ? -1 : x > y;
}

static bool is_point(enum sim_kind kind)
{
	return kind >= SIM_FLUSHED && kind <= SIM_OPENED && kind != SIM_INTENT;
}

/* Behind a flush that failed things become interesting. */
static size_t interesting_from(const struct sim_run *run)
{
	for (size_t i = 0; i < run->count; i++)
		if (run->events[i].kind == SIM_FLUSH_FAILED)
			return i;
	return 0;
}

/* Half of them anywhere, half around flushes, names and acknowledgements. */
static size_t choose_point(const struct sim_run *run, unsigned i, size_t from, struct sim_rng *rng)
{
	size_t point = from + (size_t)sim_below(rng, run->count + 1 - from);

	for (unsigned tries = 0; i % 2 == 0 && tries < 200 && point < run->count; tries++) {
		if (is_point(run->events[point].kind))
			break;
		point = from + (size_t)sim_below(rng, run->count - from);
	}
	return i % 4 == 0 && point < run->count ? point + 1 : point;
}

static size_t *choose_points(const struct sim_run *run, unsigned count, struct sim_rng *rng)
{
	size_t *points = calloc(count + 1, sizeof *points), from = interesting_from(run);

	for (unsigned i = 0; i < count; i++)
		points[i] = choose_point(run, i, i % 3 == 0 ? 0 : from, rng);
	qsort(points, count, sizeof *points, by_value);
	return points;
}

static enum sim_crash choose_crash(unsigned allowed, const struct sim_state *state, struct sim_rng *rng)
{
	for (;;) {
		enum sim_crash crash = (enum sim_crash)sim_below(rng, SIM_CRASHES);
		if ((allowed & 1u << crash) == 0)
			continue;
		if (crash == SIM_META_DAMAGE && !sim_meta_at_rest(state))
			crash = SIM_POWER;
		return crash;
	}
}

static unsigned crash_here(const struct sim_run *run, const struct sim_state *state,
			   const struct sim_lineage *lineage, size_t point, const struct sim_explore *how,
			   unsigned level, struct sim_rng *rng, const char *parent)
{
	static const uint32_t units[] = {64, 512, 4096};
	static uint64_t boots = 1000000;
	struct sim_explore below = *how;
	enum sim_crash crash = choose_crash(how->crashes, state, rng);
	enum sim_mode mode = how->random_only ? SIM_RANDOM : (enum sim_mode)sim_below(rng, SIM_MODES);
	uint32_t unit = units[sim_below(rng, 3)];
	char where[sizeof sim_where];
	struct sim_state left;
	unsigned recoveries;

	if (crash == SIM_META_DAMAGE) /* two slots damaged one after the other are damage, not a crash */
		below.crashes = (how->crashes & ~(1u << SIM_META_DAMAGE)) | 1u << SIM_POWER;
	memcpy(where, sim_where, sizeof where);
	snprintf(sim_where, sizeof sim_where, "%.120s, event %zu/%zu %s mode %d unit %u", where, point,
		 run->count, crash_names[crash], mode, unit);
	sim_crash_state(state, crash, mode, unit, rng, &left);
	sim_world.boot = crash == SIM_POWER || crash == SIM_META_DAMAGE ? ++boots : run->boot;
	if (crash == SIM_RECORD_DAMAGE)
		recoveries = sim_check_damage(&left, lineage, sim_next(rng), parent);
	else
		recoveries = check_crash(&left, lineage, crash, &below, level, sim_next(rng), parent);
	memcpy(sim_where, where, sizeof where);
	sim_state_free(&left);
	return recoveries;
}

static unsigned explore(const struct sim_run *run, const struct sim_explore *how, unsigned level,
			const char *parent)
{
	unsigned count = level == 0 ? how->points : how->nested_points, recoveries = 0;
	struct sim_rng rng = {how->seed * 31 + level * 7 + run->count};
	size_t *points = choose_points(run, count, &rng), at = 0;
	struct sim_lineage lineage;
	struct sim_state state;

	sim_state_clone(&run->base, &state);
	sim_lineage_clone(&run->before, &lineage);
	for (unsigned i = 0; i < count && sim_violations == 0; i++) {
		for (; at < points[i]; at++) {
			sim_state_apply(&state, &run->events[at]);
			sim_lineage_apply(&lineage, &run->events[at]);
		}
		recoveries += crash_here(run, &state, &lineage, at, how, level, &rng, parent);
	}
	sim_state_free(&state);
	sim_lineage_free(&lineage);
	free(points);
	return recoveries;
}

unsigned sim_explore(const struct sim_run *run, const struct sim_explore *how, const char *parent)
{
	return explore(run, how, 0, parent);
}
