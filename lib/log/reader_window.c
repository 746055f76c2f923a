/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The mapped segments of a reader. Invariant: at most FM_READER_WINDOW are mapped, read-only; the
 * one that was not used for longest goes first, so a record's pointer lives until the reader's next
 * call.
 */
#include "log/reader.h"

#include "base/error.h"
#include "sys/sys.h"

static struct fm__reader_segment *choose(struct filemap_log_reader *reader)
{
	struct fm__reader_segment *oldest = &reader->window[0];

	for (size_t i = 1; i < FM_READER_WINDOW; i++)
		if (reader->window[i].used < oldest->used)
			oldest = &reader->window[i];
	return oldest;
}

static int map_segment(struct filemap_log_reader *reader, uint64_t n, struct fm__reader_segment *to,
		       struct filemap_error *reterr)
{
	char name[FM_LOG_NAME_SIZE];
	struct fm__log_header header;
	struct filemap *map;
	int fd, r;

	r = fm__log_segment_open(&reader->dir, &reader->geometry, n, FM_LOG_RO, &fd, &header, reterr);
	if (r < 0)
		return r;
	fm__log_segment_name(n, "seg", name);
	r = fm__map_adopt(fd, name, FILEMAP_READ, 0, &map, reterr);
	if (r < 0) {
		fm__sys_close(fd);
		return r;
	}
	if (filemap_size(map) != reader->geometry.segment_size) { /* cut since its size was checked */
		filemap_close(map);
		return fm__fail(reterr, FILEMAP_ECORRUPT, "map segment", "segment");
	}
	filemap_close(to->map);
	*to = (struct fm__reader_segment){.map = map, .n = n, .time_base = header.time_base};
	return 0;
}

int fm__reader_segment(struct filemap_log_reader *reader, uint64_t n, const struct fm__reader_segment **ret,
		       struct filemap_error *reterr)
{
	struct fm__reader_segment *segment = NULL;
	int r;

	for (size_t i = 0; i < FM_READER_WINDOW; i++)
		if (reader->window[i].map && reader->window[i].n == n)
			segment = &reader->window[i];
	if (!segment) {
		segment = choose(reader);
		r = map_segment(reader, n, segment, reterr);
		if (r < 0)
			return r;
	}
	segment->used = ++reader->clock;
	*ret = segment;
	return 0;
}

void fm__reader_segments_done(struct filemap_log_reader *reader)
{
	for (size_t i = 0; i < FM_READER_WINDOW; i++) {
		filemap_close(reader->window[i].map);
		reader->window[i].map = NULL;
	}
}
