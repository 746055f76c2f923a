/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The model's chance, the record of what was done, and what a call may answer. */
#include "model.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>

#define UNTOUCHED 12345
#define FULL_MOST 50 /* others fill the disk for a moment: everything must be as it was, then */

uint64_t model_random(struct model *m, uint64_t below)
{
	uint64_t x = m->random += UINT64_C(0x9E3779B97F4A7C15); /* splitmix64 */

	x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
	x ^= x >> 31;
	return below ? x % below : 0;
}

bool model_chance(struct model *m, unsigned percent)
{
	return model_random(m, 100) < percent;
}

uint64_t model_place(struct model *m, uint64_t up_to)
{
	uint64_t at = model_random(m, up_to + 1);

	switch (model_random(m, 8)) {
	case 0:
		return 0;
	case 1:
		return up_to;
	case 2:
		return at - at % m->page;
	case 3:
		at = at - at % m->page + model_random(m, 3);
		return at == 0 || at - 1 > up_to ? up_to : at - 1;
	default:
		return at;
	}
}

void model_bytes(struct model *m, unsigned char *to, size_t length)
{
	uint64_t x = model_random(m, UINT64_MAX);

	for (size_t i = 0; i < length; i += sizeof x) {
		const uint64_t word = x | UINT64_C(0x0101010101010101);
		memcpy(to + i, &word, length - i < sizeof word ? length - i : sizeof word);
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
	}
}

void model_note(struct model *m, const char *format, ...)
{
	char *line = m->log[m->step % MODEL_LOG];
	va_list list;
	int n = snprintf(line, sizeof m->log[0], "%" PRIu64 ": ", m->step);

	va_start(list, format);
	vsnprintf(line + n, sizeof m->log[0] - (size_t)n, format, list);
	va_end(list);
}

static void print_slot(const struct model *m, const struct model_slot *s)
{
	fprintf(stderr, "  slot %d: mode %u%s, window %" PRIu64 "+%" PRIu64 ", size %zu, reserve %" PRIu64,
		(int)(s - m->slots), s->mode, s->use == MODEL_PINNED ? " (closed)" : "", s->offset,
		s->length == MODEL_FOLLOWS ? 0 : s->length, s->size, s->reserve);
	fprintf(stderr, ", pins %u%s%s, origin %d (lock %u, family %u%s)\n", s->pins,
		s->frozen ? ", frozen" : "", s->exec ? ", exec" : "", (int)(s->origin - m->origins),
		s->origin->lock, s->origin->family, s->origin->cooperates ? ", cooperates" : "");
}

void model_give_up(const struct model *m)
{
	fprintf(stderr, "the last operations:\n");
	for (uint64_t i = m->step + 1; i < m->step + 1 + MODEL_LOG; i++)
		if (m->log[i % MODEL_LOG][0])
			fprintf(stderr, "  %s\n", m->log[i % MODEL_LOG]);
	fprintf(stderr, "file: %" PRIu64 " bytes%s\n", m->size,
		m->tail_is_dirty ? ", stores behind its end" : "");
	for (unsigned i = 0; i < MODEL_SLOTS; i++)
		if (m->slots[i].use != MODEL_FREE)
			print_slot(m, &m->slots[i]);
	fprintf(stderr,
		"again with: FILEMAP_MODEL_SEED=%" PRIu64 " FILEMAP_MODEL_STEPS=%" PRIu64 " (in %s)\n",
		m->seed, m->step + 1, m->dir);
}

void model_fail(const struct model *m, const char *format, ...)
{
	char text[400];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof text, format, list);
	va_end(list);
	fprintf(stderr, "step %" PRIu64 ": %s\n", m->step, text);
	model_give_up(m);
	fail_msg("%s", text);
	abort(); /* never reached */
}

/* ---- results ---- */

void model_allow(struct model_expect *expect, bool condition, int code)
{
	if (condition)
		expect->codes[expect->count++] = code;
}

bool model_result(struct model *m, const struct model_expect *expect, int r)
{
	if (r >= 0 && (expect->count == 0 || expect->maybe))
		return true;
	for (int i = 0; i < expect->count; i++)
		if (r == expect->codes[i])
			return false;
	if (r == -ENOSPC && ++m->full <= FULL_MOST)
		return false;
	model_fail(m, "%s (%d), expected %s%s", filemap_error_name(r), r,
		   expect->count ? filemap_error_name(expect->codes[0]) : "success",
		   expect->count > 1 ? " or some others" : "");
}

void model_prepare(struct filemap_error *error)
{
	memset(error, 0, sizeof *error);
	error->code = UNTOUCHED;
}

bool model_report(struct model *m, const struct model_expect *expect, int r,
		  const struct filemap_error *error)
{
	if (r >= 0 && error->code != UNTOUCHED)
		model_fail(m, "a success has written the error record");
	if (r < 0 && (error->code != r || !error->step))
		model_fail(m, "%s: the record says %s at '%s'", filemap_error_name(r),
			   filemap_error_name(error->code), error->step ? error->step : "");
	return model_result(m, expect, r);
}
