/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What a reader sees at a position, in the mapping or as a copy. Invariant: what is handed out was checked where the
 * caller finds it: the very bytes of the copy, or the mapped ones, under the guard if a handler is there.
 */
#include <errno.h>

#include "base/bytes.h"
#include "fault/guard.h"
#include "log/guarded.h"
#include "log/reader.h"
#include "sys/sys.h"

struct decoding {
	const struct fm__log_geometry *g;
	uint64_t lsn;
	const uint8_t *at;
	struct fm__log_frame *ret;
};

static uint64_t room(const struct fm__log_geometry *g, uint64_t lsn)
{
	return fm__log_end(g, fm__log_segment_of(g, lsn)) - lsn;
}

static int decode(void *context)
{
	const struct decoding *d = context;
	return fm__log_frame_decode(d->g, d->lsn, d->at, room(d->g, d->lsn), d->ret);
}

/* How many bytes a frame with this header has that count; 0 = it is none. Rubbish must not ask for memory. */
static size_t extent(const struct fm__log_geometry *g, uint64_t lsn, const uint8_t *header)
{
	uint64_t size = fm__log_commit_size(g, lsn, fm__get_le64(header));
	uint64_t length = FM_LOG_FRAME_HEADER + (uint64_t)fm__get_le32(header + 12);

	return size <= room(g, lsn) && length <= size ? (size_t)length : 0;
}

static int make_room(struct filemap_log_reader *reader, size_t length)
{
	uint8_t *copy;

	if (reader->copy_size >= length)
		return 0;
	copy = fm__zalloc(length);
	if (!copy)
		return -ENOMEM;
	fm__free(reader->copy);
	reader->copy = copy;
	reader->copy_size = length;
	return 0;
}

static int fetch(void *to, const uint8_t *from, size_t length)
{
	struct fm__hit hit;
	return fm__guard_read(to, from, length, fm__sys_page_size(), &hit);
}

/* The header is not read again: somebody may be changing it. */
static int copy(struct filemap_log_reader *reader, uint64_t lsn, struct fm__reader_sight *sight)
{
	const struct fm__log_geometry *g = &reader->geometry;
	uint8_t header[FM_LOG_FRAME_HEADER];
	size_t length;
	int r;

	if (room(g, lsn) < sizeof header)
		return 0;
	r = fetch(header, sight->at, sizeof header);
	if (r < 0)
		return r;
	length = extent(g, lsn, header);
	if (length == 0)
		return 0;
	r = make_room(reader, length);
	if (r < 0)
		return r;
	memcpy(reader->copy, header, sizeof header);
	r = fetch(reader->copy + sizeof header, sight->at + sizeof header, length - sizeof header);
	if (r < 0)
		return r;
	sight->at = reader->copy;
	return fm__log_frame_decode(g, lsn, sight->at, room(g, lsn), &sight->frame);
}

int fm__reader_look(struct filemap_log_reader *reader, uint64_t lsn, struct fm__reader_sight *ret)
{
	const struct fm__log_geometry *g = &reader->geometry;
	const struct fm__reader_segment *segment;
	struct fm__log_places places = {{NULL, 0}, {NULL, 0}};
	const uint8_t *base;
	int r;

	if (lsn >= fm__log_end(g, fm__log_segment_of(g, lsn)))
		return 0;
	r = fm__reader_segment(reader, fm__log_segment_of(g, lsn), &segment, NULL);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	base = filemap_data(segment->map);
	ret->at = base + lsn % g->segment_size;
	ret->time_base = segment->time_base;
	if (reader->copies)
		return copy(reader, lsn, ret);
	places.segment = (struct fm__log_place){base, (size_t)g->segment_size};
	return fm__log_guarded(&places, decode, &(struct decoding){g, lsn, ret->at, &ret->frame});
}

int fm__reader_trailer(struct filemap_log_reader *reader, uint64_t n, struct fm__log_trailer *ret)
{
	const struct fm__log_geometry *g = &reader->geometry;
	const struct fm__reader_segment *segment;
	uint8_t block[FM_LOG_BLOCK];
	int r;

	r = fm__reader_segment(reader, n, &segment, NULL);
	if (r < 0)
		return r;
	r = fetch(block, (const uint8_t *)filemap_data(segment->map) + g->segment_size - FM_LOG_BLOCK,
		  sizeof block);
	if (r < 0)
		return r;
	r = fm__log_trailer_decode(block, ret);
	if (r == 0 && (ret->n != n || memcmp(ret->uuid, g->uuid, sizeof g->uuid) != 0))
		r = FILEMAP_ECORRUPT;
	return r;
}
