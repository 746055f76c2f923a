/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Owns the book of the tickets, and justifies each entry of the log of the fake kernel by them.
 *
 * Invariant: tickets are numbered from 1 without a gap, and each ends at most once. An entry stands for pages that
 * a ticket asked for which had begun by then and had not ended.
 */
#include "queue_model_private.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct model_ticket book[MODEL_TICKETS];
static uint64_t last;
static unsigned open_count;

uint64_t fake_page_bits(uint64_t offset, uint64_t length)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), first = offset / page;
	uint64_t end;

	if (length == 0 || first >= FAKE_PAGES)
		return 0;
	if (length > FAKE_PAGES * page)
		return UINT64_MAX << first;
	end = (offset + length + page - 1) / page;
	return (UINT64_MAX << first) & (end >= FAKE_PAGES ? UINT64_MAX : (UINT64_C(1) << end) - 1);
}

/* ---- the book ---- */

void model_start(void)
{
	memset(book, 0, sizeof book);
	last = 0;
	open_count = 0;
}

struct model_ticket *model_add(uint64_t number)
{
	if (number != last + 1)
		fake_violated("ticket %llu follows %llu", (unsigned long long)number,
			      (unsigned long long)last);
	last++;
	open_count++;
	book[last].queued = fake_now();
	return &book[last];
}

struct model_ticket *model_ticket(uint64_t number)
{
	return &book[number];
}

uint64_t model_last(void)
{
	return last;
}

unsigned model_open(void)
{
	return open_count;
}

void model_submitted(void)
{
	const uint64_t now = fake_now();

	for (uint64_t i = 1; i <= last; i++)
		if (book[i].submitted == 0)
			book[i].submitted = now;
}

void model_ended(uint64_t number, int result)
{
	struct model_ticket *ticket = &book[number];

	if (number == 0 || number > last) {
		fake_violated("ticket %llu ends, and was never given", (unsigned long long)number);
		return;
	}
	if (ticket->ended != 0)
		fake_violated("ticket %llu ends twice", (unsigned long long)number);
	ticket->ended = fake_now();
	ticket->result = result;
	open_count--;
}

/* ---- entries ---- */

static unsigned calls_of(enum model_kind kind)
{
	static const unsigned calls[] = {
		[MODEL_FLUSH] = MODEL__KIND(FM_CALL_FLUSH),
		[MODEL_COMMIT] = MODEL__KIND(FM_CALL_FLUSH),
		[MODEL_SYNC] = MODEL__KIND(FM_CALL_SYNC),
		[MODEL_WRITEBACK] = MODEL__KIND(FM_CALL_WRITEBACK),
		[MODEL_PREFAULT] = MODEL__KIND(FM_CALL_ADVISE),
		[MODEL_RESIZE] = MODEL__KIND(FM_CALL_ALLOCATE) | MODEL__KIND(FM_CALL_TRUNCATE),
		[MODEL_REMOVE] = MODEL__KIND(FM_CALL_SYNC),
		[MODEL_SYNC_DIR] = MODEL__KIND(FM_CALL_SYNC),
		[MODEL_BARRIER] = 0,
	};

	return calls[kind];
}

static uint64_t pages_wanted(const struct fake_entry *entry)
{
	uint64_t wanted = 0;

	for (uint64_t i = 1; i <= last; i++) {
		const struct model_ticket *ticket = &book[i];

		if (ticket->file != entry->file || (calls_of(ticket->kind) & MODEL__KIND(entry->kind)) == 0)
			continue;
		if (ticket->from >= entry->pushed || ticket->cancelled != 0 ||
		    (ticket->ended != 0 && ticket->ended < entry->pushed))
			continue;
		if (ticket->kind == MODEL_FLUSH || ticket->kind == MODEL_COMMIT ||
		    ticket->kind == MODEL_WRITEBACK || ticket->kind == MODEL_PREFAULT)
			wanted |= ticket->pages | ticket->header_pages;
		else
			wanted = UINT64_MAX;
	}
	return wanted;
}

/* Closing a mapping whose directory could not be synced tries that once more. */
static bool is_of_a_close(const struct fake_entry *entry)
{
	for (uint64_t i = 1; i <= last; i++)
		if (book[i].kind == MODEL_REMOVE && book[i].file == entry->file && book[i].result < 0 &&
		    book[i].ended < entry->pushed)
			return entry->by_thread && entry->kind == FM_CALL_SYNC;
	return false;
}

static void judge_entries(void)
{
	for (unsigned i = 0; i < fake_count(); i++) {
		const struct fake_entry *entry = fake_entry(i);
		const uint64_t wanted = pages_wanted(entry);

		if (((entry->pages & ~wanted) != 0 || wanted == 0) && !is_of_a_close(entry))
			fake_violated(
				"entry %u (kind %d, file %d, pages %llx) at %llu: only %llx were asked for",
				i, (int)entry->kind, entry->file, (unsigned long long)entry->pages,
				(unsigned long long)entry->pushed, (unsigned long long)wanted);
	}
}

void model_verify(void)
{
	model__judge_tickets();
	judge_entries();
}

#define NUMBER(n) ((unsigned long long)(n))

void model_print(void)
{
	for (uint64_t i = 1; i <= last; i++)
		printf("ticket %llu kind %d file %d pages %llx+%llx after %llu: queued %llu submitted %llu "
		       "cancelled %llu ended %llu result %d; from %llu finished %llu\n",
		       NUMBER(i), (int)book[i].kind, book[i].file, NUMBER(book[i].pages),
		       NUMBER(book[i].header_pages), NUMBER(book[i].after), NUMBER(book[i].queued),
		       NUMBER(book[i].submitted), NUMBER(book[i].cancelled), NUMBER(book[i].ended),
		       book[i].result, NUMBER(book[i].from), NUMBER(book[i].finished));
	for (unsigned i = 0; i < fake_count(); i++) {
		const struct fake_entry *entry = fake_entry(i);

		printf("entry %u kind %d file %d pages %llx by %s: pushed %llu taken %llu begun %llu ended "
		       "%llu "
		       "reaped %llu result %d%s%s\n",
		       i, (int)entry->kind, entry->file, NUMBER(entry->pages),
		       entry->by_thread ? "thread" : "ring", NUMBER(entry->pushed), NUMBER(entry->taken),
		       NUMBER(entry->begun), NUMBER(entry->ended), NUMBER(entry->reaped), entry->result,
		       entry->undone ? ", undone" : "", entry->is_lost ? ", lost" : "");
	}
}
