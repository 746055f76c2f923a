/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Operations of the model that show or change bytes: through the checked calls, through plain pointers,
 * and through a descriptor that the library knows nothing of.
 *
 * Invariant: bytes behind the end of the file are touched only on purpose, by model_op_store_tail().
 */
#include "model.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include <filemap/cursor.h>

/* A range of the window. It lies outside now and then, and then says so. */
struct piece {
	size_t offset, length;
	bool outside;
};

static size_t pick_length(struct model *m, size_t room)
{
	switch (model_random(m, 6)) {
	case 0:
		return room;
	case 1:
		return (size_t)model_random(m, room + 1);
	case 2:
	case 3:
		return (size_t)model_random(m, (room < m->page ? room : m->page) + 1);
	default:
		return (size_t)model_random(m, (room < 64 ? room : 64) + 1);
	}
}

static struct piece pick_inside(struct model *m, const struct model_slot *s)
{
	const size_t visible = model_visible(m, s);
	struct piece p = {.offset = (size_t)model_place(m, visible)};

	p.length = pick_length(m, visible - p.offset);
	return p;
}

/* The end of a window that is longer than the file must not be touched: it is only asked for inside there. */
static struct piece pick(struct model *m, const struct model_slot *s)
{
	struct piece p = pick_inside(m, s);

	if (model_visible(m, s) != s->size || !model_chance(m, 8))
		return p;
	p.outside = true;
	switch (model_random(m, 4)) {
	case 0:
		p.offset = s->size + 1 + (size_t)model_random(m, m->page);
		break;
	case 1:
		p.offset = SIZE_MAX - (size_t)model_random(m, 3);
		p.length = 1 + (size_t)model_random(m, 64);
		break;
	case 2:
		p.length = SIZE_MAX - 1 - (size_t)model_random(m, s->size + 1);
		break;
	default:
		p.length = s->size - p.offset + 1 + (size_t)model_random(m, 64);
		break;
	}
	return p;
}

/* What a private copy of the last page would have behind the end is not known while stores are there. */
static bool may_be_private(const struct model *m, const struct model_slot *s, struct piece p)
{
	size_t end = s->size;

	if (p.offset < s->size && p.length < s->size - p.offset)
		end = p.offset + p.length;
	return s->mode != FILEMAP_COW || !m->tail_is_dirty || s->offset + end <= m->size - m->size % m->page;
}

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void note(struct model *m, const struct model_slot *s, const char *what, struct piece p)
{
	model_note(m, "%s slot %d, %zu+%zu%s", what, (int)(s - m->slots), p.offset, p.length,
		   p.outside ? ", outside" : "");
}

static void compare_read(struct model *m, const struct model_slot *s, size_t offset, const void *is,
			 size_t length)
{
	model_expected(m, s, offset, length, m->scratch_too);
	if (memcmp(is, m->scratch_too, length) != 0)
		model_fail(m, "other bytes were read than are there");
}

/* ---- reading ---- */

void model_op_read_some(struct model *m)
{
	struct model_slot *s = model_any(m);
	struct model_expect expect = {.count = 0};
	struct piece p;
	int64_t n;

	if (!s)
		return;
	p = pick(m, s);
	note(m, s, "read_some", p);
	model_allow(&expect, p.offset > s->size, FILEMAP_ERANGE);
	n = filemap_read_some(s->map, p.offset, m->scratch, p.length);
	if (!model_result(m, &expect, (int)n))
		return;
	if ((size_t)n != min_size(p.length, s->size - p.offset))
		model_fail(m, "%" PRId64 " bytes were read", n);
	compare_read(m, s, p.offset, m->scratch, (size_t)n);
}

void model_op_read_exact(struct model *m)
{
	struct model_slot *s = model_any(m);
	struct model_expect expect = {.count = 0};
	struct piece p;

	if (!s)
		return;
	p = pick(m, s);
	note(m, s, "read_exact", p);
	model_allow(&expect, p.outside, FILEMAP_ERANGE);
	memset(m->scratch, 0xEE, 64);
	if (model_result(m, &expect, filemap_read_exact(s->map, p.offset, m->scratch, p.length)))
		compare_read(m, s, p.offset, m->scratch, p.length);
	else if (m->scratch[0] != 0xEE || memcmp(m->scratch, m->scratch + 1, 63) != 0)
		model_fail(m, "a refused read has copied something");
}

void model_op_slice(struct model *m)
{
	struct model_slot *s = model_any(m);
	struct model_expect expect = {.count = 0};
	const void *bytes = NULL;
	struct piece p;
	size_t length;

	if (!s)
		return;
	p = pick(m, s);
	length = p.length;
	if (!p.outside && model_visible(m, s) == s->size && model_chance(m, 20)) {
		p.length = s->size - p.offset;
		length = FILEMAP_TO_END;
	}
	note(m, s, "slice", p);
	model_allow(&expect, p.outside, FILEMAP_ERANGE);
	if (model_result(m, &expect, filemap_slice(s->map, p.offset, length, &bytes))) {
		if (bytes != (const unsigned char *)filemap_data(s->map) + p.offset)
			model_fail(m, "the slice is somewhere else");
		compare_read(m, s, p.offset, bytes, p.length);
	} else if (bytes) {
		model_fail(m, "a refused slice has written its result");
	}
}

/* ---- writing ---- */

static struct model_expect expect_store(const struct model_slot *s, bool outside)
{
	struct model_expect expect = {.count = 0};

	model_allow(&expect, outside, FILEMAP_ERANGE);
	model_allow(&expect, !model_can_store(s), FILEMAP_EMODE);
	return expect;
}

/* A handle and a range to be written; false: not now. */
static bool pick_store(struct model *m, const char *what, struct model_slot **ret, struct piece *ret_piece)
{
	struct model_slot *s = model_any(m);

	if (!s)
		return false;
	if (!model_can_store(s) && model_chance(m, 80))
		s = model_any(m);
	*ret_piece = pick(m, s);
	*ret = s;
	if (!may_be_private(m, s, *ret_piece))
		return false;
	note(m, s, what, *ret_piece);
	model_bytes(m, m->scratch, ret_piece->outside ? (size_t)m->limit : ret_piece->length);
	return true;
}

void model_op_write_some(struct model *m)
{
	struct model_expect expect;
	struct model_slot *s;
	struct piece p;
	int64_t n;

	if (!pick_store(m, "write_some", &s, &p))
		return;
	expect = expect_store(s, p.offset > s->size);
	n = filemap_write_some(s->map, p.offset, m->scratch, p.length);
	if (!model_result(m, &expect, (int)n))
		return;
	if ((size_t)n != min_size(p.length, s->size - p.offset))
		model_fail(m, "%" PRId64 " bytes were written", n);
	model_store(m, s, p.offset, m->scratch, (size_t)n);
}

void model_op_write_all(struct model *m)
{
	struct model_expect expect;
	struct model_slot *s;
	struct piece p;

	if (!pick_store(m, "write_all", &s, &p))
		return;
	expect = expect_store(s, p.outside);
	if (model_result(m, &expect, filemap_write_all(s->map, p.offset, m->scratch, p.length)))
		model_store(m, s, p.offset, m->scratch, p.length);
}

void model_op_slice_mut(struct model *m)
{
	struct model_expect expect;
	struct model_slot *s;
	void *bytes = NULL;
	struct piece p;

	if (!pick_store(m, "slice_mut", &s, &p))
		return;
	expect = expect_store(s, p.outside);
	if (!model_result(m, &expect, filemap_slice_mut(s->map, p.offset, p.length, &bytes)))
		return;
	memcpy(bytes, m->scratch, p.length);
	model_store(m, s, p.offset, m->scratch, p.length);
}

void model_op_store(struct model *m)
{
	struct model_slot *s;
	struct piece p;

	if (!pick_store(m, "store", &s, &p) || p.outside || !model_can_store(s))
		return;
	memcpy((unsigned char *)filemap_data_mut(s->map) + p.offset, m->scratch, p.length);
	model_store(m, s, p.offset, m->scratch, p.length);
}

/* Behind the end of the file, in its last page: memory like any else, but never content. */
void model_op_store_tail(struct model *m)
{
	struct model_slot *s = model_any(m);
	const uint64_t last_page = m->size - m->size % m->page;
	uint64_t at;
	size_t length;

	if (!s || s->mode != FILEMAP_WRITE || s->frozen || m->size % m->page == 0)
		return;
	if (s->offset > m->size || s->offset + s->size <= last_page || s->size == 0)
		return;
	at = m->size + model_random(m, last_page + m->page - m->size);
	length = pick_length(m, (size_t)(last_page + m->page - at));
	model_note(m, "store_tail slot %d, %zu bytes at %" PRIu64 " of the file", (int)(s - m->slots), length,
		   at);
	model_bytes(m, m->scratch, length);
	memcpy((unsigned char *)filemap_data_mut(s->map) + (at - s->offset), m->scratch, length);
	m->tail_is_dirty = true;
}

void model_op_zero(struct model *m)
{
	struct model_expect expect;
	struct model_slot *s;
	struct piece p;

	if (!pick_store(m, "zero", &s, &p))
		return;
	expect = expect_store(s, p.outside);
	memset(m->scratch, 0, p.outside ? 0 : p.length);
	if (model_result(m, &expect, filemap_zero(s->map, p.offset, p.length)))
		model_store(m, s, p.offset, m->scratch, p.length);
}

/* One number of four bytes, in a known order. */
void model_op_number(struct model *m)
{
	struct model_expect expect, read = {.count = 0};
	struct model_slot *s;
	uint32_t number = 0;
	struct piece p;

	if (!pick_store(m, "number", &s, &p))
		return;
	p.outside = p.offset > s->size || s->size - p.offset < 4;
	if (!p.outside && model_visible(m, s) < p.offset + 4)
		return;
	p.length = 4;
	if (!p.outside && !may_be_private(m, s, p))
		return;
	expect = expect_store(s, p.outside);
	model_bytes(m, m->scratch, 4);
	if (model_result(m, &expect,
			 filemap_write_u32be(s->map, p.offset,
					     (uint32_t)m->scratch[0] << 24 | (uint32_t)m->scratch[1] << 16 |
						     (uint32_t)m->scratch[2] << 8 | m->scratch[3])))
		model_store(m, s, p.offset, m->scratch, 4);
	model_allow(&read, p.outside, FILEMAP_ERANGE);
	if (!model_result(m, &read, filemap_read_u32le(s->map, p.offset, &number)))
		return;
	for (int i = 0; i < 4; i++)
		m->scratch[i] = (unsigned char)(number >> 8 * i);
	compare_read(m, s, p.offset, m->scratch, 4);
}

/* A part of the window, from front to back: bytes are read, and those behind them written. */
void model_op_cursor(struct model *m)
{
	struct model_expect expect, none = {.count = 0};
	struct filemap_cursor cursor;
	struct model_slot *s;
	struct piece p;
	size_t half;

	if (!pick_store(m, "cursor", &s, &p) || p.outside)
		return;
	half = p.length / 2;
	model_result(m, &none, filemap_cursor_init(&cursor, s->map, p.offset, p.length));
	model_result(m, &none, filemap_cursor_read_exact(&cursor, m->scratch, half));
	compare_read(m, s, p.offset, m->scratch, half);
	if (filemap_cursor_tell(&cursor) != half || filemap_cursor_remaining(&cursor) != p.length - half)
		model_fail(m, "the cursor is not behind what was read");
	expect = expect_store(s, false);
	model_bytes(m, m->scratch, p.length - half);
	if (model_result(m, &expect, filemap_cursor_write_all(&cursor, m->scratch, p.length - half)))
		model_store(m, s, p.offset + half, m->scratch, p.length - half);
}

/* ---- behind the library's back ---- */

void model_op_foreign_read(struct model *m)
{
	const uint64_t at = model_place(m, m->size);
	const size_t length = pick_length(m, (size_t)(m->size - at));

	model_note(m, "pread %zu bytes at %" PRIu64, length, at);
	if (pread(m->fd, m->scratch, length, (off_t)at) != (ssize_t)length)
		model_fail(m, "pread gives less");
	if (memcmp(m->scratch, m->file + at, length) != 0)
		model_fail(m, "pread gives other bytes");
}

/* Growth by others clears no tail: that is the kernel's, and not every file system's, affair. */
void model_op_foreign_write(struct model *m)
{
	const uint64_t at = model_place(m, m->size);
	const bool stays = m->tail_is_dirty || model_size_is_taken(m, NULL);
	const uint64_t end = stays || model_chance(m, 90) ? m->size : m->limit;
	const size_t length = pick_length(m, (size_t)(end - at));

	model_note(m, "pwrite %zu bytes at %" PRIu64, length, at);
	model_bytes(m, m->scratch, length);
	if (pwrite(m->fd, m->scratch, length, (off_t)at) != (ssize_t)length)
		model_fail(m, "pwrite writes less");
	if (at + length > m->size)
		model_set_size(m, at + length);
	memcpy(m->file + at, m->scratch, length);
}

void model_op_foreign_resize(struct model *m)
{
	const uint64_t size = model_place(m, m->tail_is_dirty ? m->size : m->limit);

	if (size == m->size || model_size_is_taken(m, NULL))
		return;
	model_note(m, "ftruncate to %" PRIu64, size);
	if (ftruncate(m->fd, (off_t)size) < 0)
		model_fail(m, "ftruncate fails");
	model_set_size(m, size);
}

void model_op_compare(struct model *m)
{
	model_note(m, "compare all");
	model_compare(m);
}
