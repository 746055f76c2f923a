/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Justifies each result of a ticket by the log of the fake kernel.
 *
 * Invariant: `from` and `finished` of a ticket are bounds that hold whatever the queue did: it was submitted, what
 * it was behind had finished, and its own pages were answered. What breaks a bound breaks a promise of queue.h.
 */
#include "queue_model_private.h"

#include <errno.h>

#include <filemap/queue.h>

#define DURABLE (MODEL__KIND(FM_CALL_FLUSH) | MODEL__KIND(FM_CALL_SYNC))

/* ---- what the log says ---- */

struct claim {
	int file;
	unsigned kinds; /* of calls */
	uint64_t pages;
	uint64_t from;  /* begun later than this */
	uint64_t until; /* and ended before */
};

static bool concerns(const struct fake_entry *entry, const struct claim *claim)
{
	return entry->file == claim->file && (MODEL__KIND(entry->kind) & claim->kinds) != 0 &&
	       (claim->pages == 0 || (entry->pages & claim->pages) != 0);
}

static bool has_failed(const struct fake_entry *entry)
{
	return entry->ended != 0 && entry->result < 0 && !entry->undone;
}

/* It was with the ring when that was refused, or may have seemed so. */
static bool is_in_doubt(const struct fake_entry *entry)
{
	return fake_refused() != 0 && !entry->by_thread && entry->reaped == 0 &&
	       (entry->maybe_lost || entry->is_lost);
}

/* The kernel may have told another flush of the file what went wrong with this one. */
static bool is_spoilt(int file, uint64_t ended)
{
	for (unsigned i = 0; i < fake_count(); i++) {
		const struct fake_entry *entry = fake_entry(i);

		if (entry->file == file && (MODEL__KIND(entry->kind) & DURABLE) != 0 && has_failed(entry) &&
		    entry->begun < ended)
			return true;
	}
	return false;
}

/* All the pages were answered 0; *ret_when: the last of them. */
static bool is_done(const struct claim *claim, bool may_be_spoilt, uint64_t *ret_when)
{
	const struct fake_entry *entry;
	uint64_t done = 0;

	for (unsigned i = 0; (entry = fake_ended(i)) != NULL && entry->ended <= claim->until; i++) {
		if (!concerns(entry, claim) || entry->result != 0 || entry->begun <= claim->from)
			continue;
		if (may_be_spoilt && is_spoilt(claim->file, entry->ended))
			continue;
		done |= entry->pages;
		if ((claim->pages & ~done) != 0)
			continue;
		*ret_when = entry->ended;
		return true;
	}
	return false;
}

/* One of the pages was answered so; 0 as result: with any error. */
static bool is_answered(const struct claim *claim, int result, uint64_t *ret_when)
{
	const struct fake_entry *entry;

	for (unsigned i = 0; (entry = fake_ended(i)) != NULL && entry->ended <= claim->until; i++) {
		if (!concerns(entry, claim) || !has_failed(entry) || entry->begun <= claim->from)
			continue;
		if (result != 0 && entry->result != result)
			continue;
		*ret_when = entry->ended;
		return true;
	}
	for (unsigned i = 0; i < fake_count(); i++) {
		entry = fake_entry(i);
		if (!concerns(entry, claim) || !is_in_doubt(entry) ||
		    (result != 0 && result != fake_refused()))
			continue;
		*ret_when = claim->from;
		return true;
	}
	return false;
}

/* ---- tickets ---- */

static void unjustified(uint64_t number, const char *why)
{
	fake_violated("ticket %llu (kind %d, file %d, pages %llx) ends with %d: %s",
		      (unsigned long long)number, (int)model_ticket(number)->kind, model_ticket(number)->file,
		      (unsigned long long)model_ticket(number)->pages, model_ticket(number)->result, why);
}

static struct claim claim_of(const struct model_ticket *ticket, unsigned kinds, uint64_t pages, uint64_t from)
{
	return (struct claim){ticket->file, kinds, pages, from, ticket->ended};
}

/* Durable is what was answered so, page by page; every failure of the file takes that back. */
static void judge_durable(uint64_t number, unsigned kinds)
{
	struct model_ticket *ticket = model_ticket(number);
	const uint64_t pages = ticket->kind == MODEL_SYNC ? UINT64_MAX : ticket->pages;
	struct claim claim = claim_of(ticket, kinds, pages, ticket->from);
	const struct claim all = {ticket->file, DURABLE, 0, 0, ticket->ended};
	uint64_t when = ticket->from;

	if (ticket->result == FILEMAP_EPOISONED && ticket->has_device) {
		if (!is_answered(&all, 0, &when))
			unjustified(number, "no flush of its file has failed");
	} else if (ticket->result < 0) {
		claim.pages |= ticket->header_pages;
		if (!is_answered(&claim, ticket->result, &when))
			unjustified(number, "no entry for it was answered so");
	} else if (ticket->has_device) {
		if (pages != 0 && !is_done(&claim, true, &when))
			unjustified(number, "its pages were not all flushed");
		claim = claim_of(ticket, kinds, ticket->header_pages, when);
		if (ticket->header_pages != 0 && !is_done(&claim, true, &when))
			unjustified(number, "its header was not flushed after its data");
	}
	if (when > ticket->finished)
		ticket->finished = when;
}

/* Nothing is tainted, and nobody else's failure counts. */
static void judge_alone(uint64_t number, unsigned kinds)
{
	struct model_ticket *ticket = model_ticket(number);
	const struct claim claim = claim_of(ticket, kinds, ticket->pages, ticket->from);

	if (ticket->result < 0) {
		if (!is_answered(&claim, ticket->result, &ticket->finished))
			unjustified(number, "no entry for it was answered so");
	} else if (ticket->has_device && ticket->pages != 0) {
		if (!is_done(&claim, false, &ticket->finished))
			unjustified(number, "no entry for it was answered so");
	}
}

/* Results of their own kind; but without any failure there is none. */
static void judge_loosely(uint64_t number, unsigned kinds)
{
	struct model_ticket *ticket = model_ticket(number);
	const struct claim claim = claim_of(ticket, kinds, 0, ticket->from);
	uint64_t when;

	if (ticket->result < 0 && ticket->result != FILEMAP_EBUSY && !is_answered(&claim, 0, &when))
		unjustified(number, "no entry for it has failed");
}

/* Its result is final only with the call that ends it: what counts for others is the one before that. */
static bool is_changing_late(const struct model_ticket *ticket)
{
	return ticket->kind == MODEL_RESIZE && ticket->result < 0;
}

/* Of those since the barrier before: one of the failures, 0 if there is none. */
static bool may_be_of_barrier(uint64_t number, int result)
{
	bool has_failed_one = false;

	for (uint64_t i = number - 1; i > 0 && model_ticket(i)->kind != MODEL_BARRIER; i--) {
		if (model_ticket(i)->ended == 0 || is_changing_late(model_ticket(i)))
			return true;
		if (model_ticket(i)->result < 0 && model_ticket(i)->result == result)
			return true;
		has_failed_one |= model_ticket(i)->result < 0;
	}
	return result == 0 && !has_failed_one;
}

static void judge_barrier(uint64_t number)
{
	if (!may_be_of_barrier(number, model_ticket(number)->result))
		unjustified(number, "the requests before it say otherwise");
}

static void judge_result(uint64_t number)
{
	switch (model_ticket(number)->kind) {
	case MODEL_FLUSH:
		judge_durable(number, DURABLE);
		break;
	case MODEL_COMMIT:
		judge_durable(number, DURABLE);
		break;
	case MODEL_SYNC:
		judge_durable(number, MODEL__KIND(FM_CALL_SYNC));
		break;
	case MODEL_WRITEBACK:
		judge_alone(number, MODEL__KIND(FM_CALL_WRITEBACK));
		break;
	case MODEL_SYNC_DIR:
		judge_alone(number, MODEL__KIND(FM_CALL_SYNC));
		break;
	case MODEL_PREFAULT:
		judge_loosely(number, MODEL__KIND(FM_CALL_ADVISE));
		break;
	case MODEL_RESIZE:
		judge_loosely(number, MODEL__KIND(FM_CALL_ALLOCATE) | MODEL__KIND(FM_CALL_TRUNCATE));
		break;
	case MODEL_REMOVE:
		break;
	case MODEL_BARRIER:
		judge_barrier(number);
		break;
	}
}

static void judge(uint64_t number)
{
	struct model_ticket *ticket = model_ticket(number);
	const struct model_ticket *after = model_ticket(ticket->after);
	const bool is_orphan =
		ticket->after != 0 && after->ended != 0 && after->result < 0 && !is_changing_late(after);

	if (ticket->cancelled != 0 && ticket->result != -ECANCELED)
		unjustified(number, "it was cancelled");
	else if (is_orphan && ticket->result != -ECANCELED)
		unjustified(number, "what it was to follow has failed");
	else if (ticket->result != -ECANCELED)
		judge_result(number);
	else if (is_orphan || (ticket->after != 0 && (after->ended == 0 || is_changing_late(after))))
		ticket->finished = after->finished;
	else if (ticket->cancelled == 0 &&
		 !(ticket->kind == MODEL_BARRIER && may_be_of_barrier(number, -ECANCELED)))
		unjustified(number, "nobody has cancelled it");
}

/* `passed`: what stands before the last barrier has not finished earlier. */
static void bound(struct model_ticket *ticket, uint64_t passed)
{
	ticket->from = ticket->submitted != 0 ? ticket->submitted : ticket->queued;
	if (passed > ticket->from)
		ticket->from = passed;
	if (ticket->after != 0 && model_ticket(ticket->after)->finished > ticket->from)
		ticket->from = model_ticket(ticket->after)->finished;
	ticket->finished = ticket->cancelled != 0 ? ticket->queued : ticket->from;
}

void model__judge_tickets(void)
{
	uint64_t passed = 0, latest = 0;

	for (uint64_t i = 1; i <= model_last(); i++) {
		struct model_ticket *ticket = model_ticket(i);

		bound(ticket, passed);
		if (ticket->kind == MODEL_BARRIER && latest > ticket->finished && ticket->cancelled == 0)
			ticket->finished = latest;
		if (ticket->ended != 0)
			judge(i);
		if (ticket->kind == MODEL_BARRIER)
			passed = latest;
		if (ticket->finished > latest)
			latest = ticket->finished;
	}
}
