/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Damage that is no crash: the commit word of an acknowledged record is gone, and a later frame says that the
 * record was durable. Nobody may take the gap for the end of the log: it has to be called CORRUPT, what lies
 * before it has to be readable, and no opening may go on behind it.
 */
#include <stdlib.h>
#include <string.h>

#include "log/dir.h"
#include "sim.h"

/* Promised by a frame behind it; NULL = none. Positions that were durable when a frame was made are in it. */
static const struct sim_record *choose_victim(const struct sim_lineage *lineage, struct sim_rng *rng)
{
	const struct sim_records *known = &lineage->records;
	uint64_t promise = 0;
	size_t count = 0;

	for (size_t i = known->count; i-- > 0;) {
		if (known->list[i].lsn < promise) {
			count = i + 1;
			break;
		}
		if (known->list[i].promise > promise)
			promise = known->list[i].promise;
	}
	return count > 0 ? &known->list[sim_below(rng, count)] : NULL;
}

static void damage(struct sim_state *state, uint64_t lsn)
{
	char name[FM_LOG_NAME_SIZE];
	struct sim_page *page;
	uint64_t offset = lsn % SIM_SEGMENT_SIZE;
	uint32_t id;

	fm__log_segment_name(lsn / SIM_SEGMENT_SIZE, "seg", name);
	id = sim_state_lookup(state, name);
	if (id == SIM_NO_FILE)
		return;
	page = sim_file_page(&state->files[id], offset / SIM_PAGE);
	memset(page->latest + offset % SIM_PAGE, 0, 8);
	memcpy(page->floor, page->latest, SIM_PAGE);
}

static void expect_corrupt(const struct sim_run *run, uint64_t lsn)
{
	struct filemap_log_report report;
	int r = filemap_log_verify(run->dir, FILEMAP_LOG_DEEP, &report, NULL);

	if (r < 0 || report.state != FILEMAP_LOG_CORRUPT || report.damaged_at != lsn)
		sim_violation("verify: damage at %llu is taken for the end (%s, state %u)",
			      (unsigned long long)lsn, filemap_error_name(r), r < 0 ? 0 : report.state);
}

static void expect_prefix(const struct sim_run *run, const struct sim_lineage *lineage, uint64_t lsn)
{
	struct sim_records found = {0};
	size_t before = 0;
	int r = sim_read_all(run->dir, FILEMAP_PUBLISHED, &found, NULL, NULL);

	while (before < lineage->records.count && lineage->records.list[before].lsn < lsn)
		before++;
	if (r != FILEMAP_ECORRUPT || found.count != before)
		sim_violation("reader: %s after %zu records, damage is behind %zu", filemap_error_name(r),
			      found.count, before);
	free(found.list);
}

static void expect_refusal(const struct sim_run *run)
{
	struct filemap_log *log;
	int r = sim_open_log(run->dir, NULL, &log, NULL, NULL);

	if (r != FILEMAP_ECORRUPT)
		sim_violation("opening of a damaged log: %s", filemap_error_name(r));
	if (r == 0)
		filemap_log_close(log);
}

unsigned sim_check_damage(const struct sim_state *left, const struct sim_lineage *lineage, uint64_t seed,
			  const char *parent)
{
	struct sim_rng rng = {seed};
	const struct sim_record *victim = choose_victim(lineage, &rng);
	struct sim_state damaged;
	struct sim_run run;

	if (victim == NULL)
		return 0;
	sim_state_clone(left, &damaged);
	damage(&damaged, victim->lsn);
	sim_run_begin(&run, &damaged, lineage, parent);
	expect_corrupt(&run, victim->lsn);
	expect_prefix(&run, lineage, victim->lsn);
	expect_refusal(&run);
	sim_run_end(&run);
	sim_run_free(&run);
	sim_state_free(&damaged);
	return 1;
}
