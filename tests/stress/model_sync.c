/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Operations of the model that change no byte or drop whole pages: flushes, blocks, hints, residency, copies.
 *
 * Invariant: what only hints or makes durable leaves the model as it is; model_compare() finds it out if not.
 */
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

/* A range of the window that need not be in the file: nothing is touched. `outside` now and then. */
static bool pick(struct model *m, const struct model_slot *s, size_t *offset, size_t *length)
{
	*offset = (size_t)model_place(m, s->size);
	*length = (size_t)model_place(m, s->size - *offset);
	if (model_chance(m, 10)) {
		*length = FILEMAP_TO_END;
	} else if (model_chance(m, 6)) {
		*length = s->size - *offset + 1 + (size_t)model_random(m, 100);
		return true;
	}
	return false;
}

static size_t resolved(const struct model_slot *s, size_t offset, size_t length)
{
	return length == FILEMAP_TO_END ? s->size - offset : length;
}

static void note(struct model *m, const struct model_slot *s, const char *what, size_t offset, size_t length)
{
	model_note(m, "%s slot %d, %zu+%zd", what, (int)(s - m->slots), offset, (ssize_t)length);
}

void model_op_flush(struct model *m)
{
	struct model_slot *s = model_any(m);
	struct model_expect expect = {.count = 0};
	size_t offset, length;
	bool outside;

	if (!s)
		return;
	outside = pick(m, s, &offset, &length);
	if (model_chance(m, 30)) {
		note(m, s, "flush", 0, s->size);
		model_result(m, &expect, filemap_flush(s->map));
		return;
	}
	note(m, s, "flush_range", offset, length);
	model_allow(&expect, outside, FILEMAP_ERANGE);
	model_result(m, &expect, filemap_flush_range(s->map, offset, length));
}

void model_op_sync(struct model *m)
{
	struct model_slot *s = model_any(m);
	const struct model_expect expect = {.count = 0};

	if (!s)
		return;
	note(m, s, "sync", 0, s->size);
	model_result(m, &expect, filemap_sync(s->map));
}

void model_op_writeback(struct model *m)
{
	struct model_slot *s = model_any(m);
	struct model_expect expect = {.count = 0};
	size_t offset, length;

	if (!s)
		return;
	model_allow(&expect, pick(m, s, &offset, &length), FILEMAP_ERANGE);
	note(m, s, "writeback", offset, length);
	model_result(m, &expect, filemap_writeback(s->map, offset, length));
}

/* Data and header do not overlap, most of the time; an empty one of either overlaps nothing. */
void model_op_commit(struct model *m)
{
	struct model_slot *s = model_any(m);
	struct model_expect expect = {.count = 0};
	struct filemap_error error;
	size_t data, data_length, at, length;
	bool outside, overlap;

	if (!s || model_visible(m, s) != s->size || (m->tail_is_dirty && s->mode == FILEMAP_COW))
		return;
	outside = pick(m, s, &data, &data_length);
	at = (size_t)model_place(m, s->size);
	length = (size_t)model_random(m, (s->size - at < 600 ? s->size - at : 600) + 1);
	if (model_chance(m, 4))
		length = 4097;
	overlap = length > 0 && data_length > 0 && data < at + length &&
		  (data_length == FILEMAP_TO_END ? at < s->size && data < s->size : at < data + data_length);
	model_note(m, "commit slot %d, data %zu+%zd, header %zu+%zu", (int)(s - m->slots), data,
		   (ssize_t)data_length, at, length);
	model_allow(&expect, length > 4096 || overlap, FILEMAP_EOPTION);
	model_allow(&expect, outside || length > s->size - at, FILEMAP_ERANGE);
	model_allow(&expect, !model_can_store(s), FILEMAP_EMODE);
	model_bytes(m, m->scratch, length);
	model_prepare(&error);
	if (model_report(m, &expect,
			 filemap_commit(s->map, data, data_length, at, m->scratch, length, &error), &error))
		model_store(m, s, at, m->scratch, length);
}

void model_op_allocate(struct model *m)
{
	struct model_slot *s = model_any(m);
	struct model_expect expect = {.count = 0};
	struct filemap_error error;
	size_t offset, length;

	if (!s || model_visible(m, s) != s->size)
		return;
	model_allow(&expect, pick(m, s, &offset, &length), FILEMAP_ERANGE);
	model_allow(&expect, s->mode != FILEMAP_WRITE || s->frozen, FILEMAP_EMODE);
	note(m, s, "allocate", offset, length);
	model_prepare(&error);
	model_report(m, &expect, filemap_allocate(s->map, offset, length, &error), &error);
}

/* ---- dropping pages ---- */

/* Aligned in the file, now and then not. */
static bool pick_pages(struct model *m, const struct model_slot *s, size_t *offset, size_t *length)
{
	const bool outside = pick(m, s, offset, length);
	uint64_t first = s->offset + *offset, end = first + resolved(s, *offset, *length);

	if (!outside && !model_chance(m, 10)) {
		first -= first % m->page;
		if (first < s->offset)
			first += m->page;
		if (*length != FILEMAP_TO_END && end != s->offset + s->size)
			end -= end % m->page;
		if (first > s->offset + s->size || end < first)
			first = end = s->offset + *offset;
		*offset = (size_t)(first - s->offset);
		if (*length != FILEMAP_TO_END)
			*length = (size_t)(end - first);
	}
	return outside;
}

static bool on_pages(const struct model *m, const struct model_slot *s, size_t offset, size_t length)
{
	const uint64_t first = s->offset + offset, end = first + length;

	return first % m->page == 0 && (end % m->page == 0 || end == s->offset + s->size);
}

static void apply_discard(struct model *m, struct model_slot *s, unsigned how, size_t offset, size_t length)
{
	const uint64_t first = s->offset + offset, end = first + length;

	if (length == 0)
		return;
	if (how == FILEMAP_DISCARD_REMOVE)
		memset(m->file + first, 0, length);
	else
		model_drop_private(m, s, first / m->page, (end + m->page - 1) / m->page);
}

void model_op_discard(struct model *m)
{
	static const unsigned kinds[] = {FILEMAP_DISCARD_DONTNEED, FILEMAP_DISCARD_FREE,
					 FILEMAP_DISCARD_REMOVE, FILEMAP_DISCARD_REMOVE, 9};
	struct model_slot *s = model_any(m);
	struct model_expect expect = {.count = 0};
	size_t offset, length, bytes;
	unsigned how;
	bool outside;

	if (!s || model_visible(m, s) != s->size)
		return;
	how = s->mode == FILEMAP_COW && model_chance(m, 70) ? FILEMAP_DISCARD_DONTNEED
							    : kinds[model_random(m, 5)];
	outside = pick_pages(m, s, &offset, &length);
	bytes = resolved(s, offset, length);
	model_note(m, "discard slot %d, %zu+%zu, how %u", (int)(s - m->slots), offset, bytes, how);
	model_allow(&expect, how == 9, FILEMAP_EOPTION);
	model_allow(&expect, outside || !on_pages(m, s, offset, bytes), FILEMAP_ERANGE);
	expect.maybe = !outside && bytes == 0 && how != 9;
	model_allow(&expect, how == FILEMAP_DISCARD_FREE, FILEMAP_EMODE);
	model_allow(&expect, how == FILEMAP_DISCARD_DONTNEED && (s->mode != FILEMAP_COW || s->frozen),
		    FILEMAP_EMODE);
	model_allow(&expect, how == FILEMAP_DISCARD_REMOVE && (s->mode != FILEMAP_WRITE || s->frozen),
		    FILEMAP_EMODE);
	if (model_result(m, &expect, filemap_discard(s->map, how, offset, length)))
		apply_discard(m, s, how, offset, bytes);
}

void model_op_prefault(struct model *m)
{
	struct model_slot *s = model_any(m);
	struct model_expect expect = {.count = 0};
	size_t offset, length;
	unsigned how;

	if (!s || model_visible(m, s) != s->size)
		return;
	how = model_chance(m, 50) ? FILEMAP_PREFAULT_READ : FILEMAP_PREFAULT_WRITE;
	if (how == FILEMAP_PREFAULT_WRITE && s->mode == FILEMAP_COW && m->tail_is_dirty)
		return;
	model_allow(&expect, pick(m, s, &offset, &length), FILEMAP_ERANGE);
	model_allow(&expect, how == FILEMAP_PREFAULT_WRITE && !model_can_store(s), FILEMAP_EMODE);
	model_note(m, "prefault slot %d, %zu+%zd, how %u", (int)(s - m->slots), offset, (ssize_t)length, how);
	if (model_result(m, &expect, filemap_prefault(s->map, how, offset, length)) &&
	    how == FILEMAP_PREFAULT_WRITE && s->mode == FILEMAP_COW)
		model_make_private(m, s, offset, resolved(s, offset, length));
}

void model_op_advise(struct model *m)
{
	static const unsigned kinds[] = {FILEMAP_ADVICE_NORMAL,     FILEMAP_ADVICE_RANDOM,
					 FILEMAP_ADVICE_SEQUENTIAL, FILEMAP_ADVICE_WILLNEED,
					 FILEMAP_ADVICE_COLD,       FILEMAP_ADVICE_PAGEOUT};
	struct model_slot *s = model_any(m);
	struct model_expect expect = {.count = 0};
	const unsigned advice = kinds[model_random(m, 6)];
	size_t offset, length;

	if (!s)
		return;
	model_allow(&expect, pick(m, s, &offset, &length), FILEMAP_ERANGE);
	if (advice == FILEMAP_ADVICE_COLD || advice == FILEMAP_ADVICE_PAGEOUT) {
		expect.maybe = expect.count == 0; /* nothing leaves while it is locked in memory */
		model_allow(&expect, s->is_locked || !filemap_advice_supported(advice), -EINVAL);
	}
	model_note(m, "advise slot %d, %zu+%zd, advice %x", (int)(s - m->slots), offset, (ssize_t)length,
		   advice);
	if (model_result(m, &expect, filemap_advise(s->map, advice, offset, length)))
		s->is_split = true;
}

/* How much may be locked in memory is the system's decision. */
void model_op_mlock(struct model *m)
{
	struct model_slot *s = model_any(m);
	struct model_expect expect = {.count = 0};
	size_t offset, length;
	bool outside;

	if (!s || !m->may_mlock || model_visible(m, s) != s->size)
		return;
	outside = pick(m, s, &offset, &length);
	model_allow(&expect, outside, FILEMAP_ERANGE);
	if (model_chance(m, 50)) {
		note(m, s, "munlock", offset, length);
		model_result(m, &expect, filemap_munlock(s->map, offset, length));
	} else {
		note(m, s, "mlock", offset, length);
		expect.maybe = !outside;
		model_allow(&expect, !outside, -ENOMEM);
		model_allow(&expect, !outside, -EPERM);
		model_allow(&expect, !outside, -EAGAIN);
		s->is_locked |= model_result(m, &expect, filemap_mlock(s->map, offset, length));
	}
	s->is_split = true;
}

void model_op_residency(struct model *m)
{
	struct model_slot *s = model_any(m);
	struct model_expect expect = {.count = 0};
	struct filemap_residency residency;
	size_t offset, length;
	uint64_t first, end;

	if (!s)
		return;
	model_allow(&expect, pick(m, s, &offset, &length), FILEMAP_ERANGE);
	note(m, s, "residency", offset, length);
	if (!model_result(m, &expect, filemap_residency(s->map, offset, length, &residency)))
		return;
	length = resolved(s, offset, length);
	first = (s->offset + offset) / m->page;
	end = (s->offset + offset + length + m->page - 1) / m->page;
	if (residency.page_size != m->page || residency.pages != (length ? end - first : 0) ||
	    residency.resident > residency.pages)
		model_fail(m, "%" PRIu64 " of %" PRIu64 " pages are resident", residency.resident,
			   residency.pages);
}

/* ---- copies ---- */

static void check_copy(struct model *m, const struct model_slot *s, size_t offset, size_t length)
{
	const int fd = open(m->copy_path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	if (pread(fd, m->scratch, (size_t)m->limit, 0) != (ssize_t)length)
		model_fail(m, "the copy has another length");
	close(fd);
	model_expected(m, s, offset, length, m->scratch_too);
	if (memcmp(m->scratch, m->scratch_too, length) != 0)
		model_fail(m, "the copy has other bytes");
}

void model_op_copy_to(struct model *m)
{
	struct model_slot *s = model_any(m);
	struct model_expect expect = {.count = 0};
	struct filemap_error error;
	size_t offset, length;
	bool taken;

	if (!s || model_visible(m, s) != s->size)
		return;
	taken = access(m->copy_path, F_OK) == 0;
	model_allow(&expect, taken, -EEXIST);
	model_allow(&expect, pick(m, s, &offset, &length), FILEMAP_ERANGE);
	note(m, s, "copy_to", offset, length);
	model_prepare(&error);
	if (model_report(m, &expect, filemap_copy_to(s->map, offset, length, m->copy_path, &error), &error))
		check_copy(m, s, offset, resolved(s, offset, length));
	if (model_chance(m, 70))
		unlink(m->copy_path);
}
