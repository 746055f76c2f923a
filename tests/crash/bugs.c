/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The seeded bugs: what a careless log would do, acted out around the real one. The library carries no
 * hook for them: some functions that are called from one file into another are replaced at link time, and some
 * events are kept from the model. With sim_world.bugs == 0 everything here is the real thing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "bugs.h"
#include "sim.h"
#include "wraps.h"

/* ---- what a file is ---- */

static struct named {
	enum sim_file_kind kind;
	uint64_t number;
} * named;
static size_t named_count, named_room;
static uint32_t pad_file = SIM_NO_FILE; /* the last write to it was a PAD of the recovery */

void sim_name_file(uint32_t file, const char *name)
{
	struct named entry = {SIM_IS_OTHER, 0};

	if (strstr(name, ".seg") != NULL || strstr(name, ".prep") != NULL)
		entry = (struct named){SIM_IS_SEGMENT, strtoull(name, NULL, 16)};
	else if (strncmp(name, "meta", 4) == 0)
		entry.kind = SIM_IS_META;
	else if (strcmp(name, "ctl") == 0 || strncmp(name, "ctl.", 4) == 0)
		entry.kind = SIM_IS_CTL;
	while (named_count <= file) {
		named = sim_grow(named, named_count, &named_room, sizeof *named);
		named[named_count++] = (struct named){SIM_IS_OTHER, 0};
	}
	named[file] = entry;
}

enum sim_file_kind sim_kind_of(uint32_t file)
{
	return file < named_count ? named[file].kind : SIM_IS_OTHER;
}

uint64_t sim_segment_number(uint32_t file)
{
	return file < named_count ? named[file].number : 0;
}

uint64_t sim_highest_segment(void)
{
	uint64_t highest = 0;

	for (size_t i = 0; i < named_count; i++)
		if (named[i].kind == SIM_IS_SEGMENT && named[i].number > highest)
			highest = named[i].number;
	return highest;
}

void sim_forget_names(void)
{
	named_count = 0;
	pad_file = SIM_NO_FILE;
}

/* ---- events that a bug keeps away ---- */

bool sim_bug_hides_write(uint32_t file, size_t length)
{
	if (sim_kind_of(file) != SIM_IS_SEGMENT || !sim_opening)
		return false;
	pad_file = length == FM_LOG_FRAME_HEADER ? file : SIM_NO_FILE;
	return sim_bug(SIM_BUG_NO_REDIRTY) && length != FM_LOG_FRAME_HEADER &&
	       file < sim_world.run->base.count; /* not the making of a new one */
}

/* A flush of records: of a range, neither of a whole file nor of a trailer. */
static bool of_records(uint32_t file, uint64_t offset, uint64_t length)
{
	return sim_kind_of(file) == SIM_IS_SEGMENT && length != UINT64_MAX &&
	       offset + length <= FM_LOG_SEGMENT_MIN - FM_LOG_BLOCK;
}

bool sim_bug_hides_flush(uint32_t file, uint64_t offset, uint64_t *length, uint64_t *begin, bool is_dir)
{
	bool records = of_records(file, offset, *length), whole = *length == UINT64_MAX;

	if (is_dir)
		return sim_bug(SIM_BUG_NO_DIR_SYNC);
	if (records && sim_bug(SIM_BUG_ACK_BEFORE_FLUSH | SIM_BUG_SEAL_EARLY))
		return true;
	if (records && sim_bug(SIM_BUG_OUT_OF_ORDER))
		return sim_segment_number(file) < sim_highest_segment();
	if (records && sim_bug(SIM_BUG_POSITION_AFTER))
		*begin -= *begin > 4 ? 4 : 0;
	if (records && sim_bug(SIM_BUG_LENGTH))
		*length -= *length > SIM_PAGE ? SIM_PAGE : *length;
	if (whole && file == pad_file && sim_bug(SIM_BUG_PAD_NOT_FLUSHED))
		return true;
	return whole && !sim_opening && sim_kind_of(file) == SIM_IS_SEGMENT &&
	       sim_bug(SIM_BUG_HEADER_NOT_SYNCED);
}

/* ---- functions that a bug replaces ---- */

int __wrap_fm__log_meta_structural(int fd, struct fm__log_meta *meta)
{
	return sim_bug(SIM_BUG_META_ONCE) ? fm__log_meta_watermark(fd, meta)
					  : __real_fm__log_meta_structural(fd, meta);
}

uint32_t __wrap_fm__log_back(const struct fm__log_geometry *g, uint64_t lsn, uint64_t durable)
{
	uint32_t back = __real_fm__log_back(g, lsn, durable);

	if (sim_bug(SIM_BUG_PROMISE_PUBLISHED))
		return 0;
	if (sim_bug(SIM_BUG_SATURATING_BACK) && back > 15) /* stands for a field of four bits */
		return 15;
	return back;
}

static uint32_t crc_of_parts(const struct filemap_bytes *parts, size_t count)
{
	uint32_t crc = 0;

	for (size_t i = 0; i < count; i++)
		crc = fm__crc32c(crc, parts[i].data, parts[i].length);
	return crc;
}

void __wrap_fm__log_frame_encode(const struct fm__log_geometry *g, struct fm__log_frame *frame,
				 const struct filemap_bytes *parts, size_t count,
				 uint8_t header[FM_LOG_FRAME_HEADER])
{
	__real_fm__log_frame_encode(g, frame, parts, count, header);
	if (sim_bug(SIM_BUG_PAYLOAD_CHECKSUM))
		frame->crc = crc_of_parts(parts, count);
	else if (sim_bug(SIM_BUG_HEADER_CHECKSUM))
		frame->crc = fm__crc32c(0, header + 12, FM_LOG_FRAME_HEADER - 12);
	fm__put_le32(header + 8, frame->crc);
}

static uint32_t careless_crc(const uint8_t *at, uint32_t length)
{
	if (sim_bug(SIM_BUG_HEADER_CHECKSUM))
		return fm__crc32c(0, at + 12, FM_LOG_FRAME_HEADER - 12);
	return fm__crc32c(0, at + FM_LOG_FRAME_HEADER, length);
}

static bool careless_decode(const struct fm__log_geometry *g, uint64_t lsn, const uint8_t *at,
			    uint64_t available, struct fm__log_frame *ret)
{
	uint64_t word = fm__get_le64(at);

	ret->lsn = lsn;
	ret->size = (word & ((UINT64_C(1) << 28) - 1)) * g->unit;
	if (word == 0 || word != fm__log_commit_word(g, lsn, ret->size) || ret->size > available)
		return false;
	ret->crc = fm__get_le32(at + 8);
	ret->length = fm__get_le32(at + 12);
	ret->type = fm__get_le16(at + 16);
	ret->flags = fm__get_le16(at + 18);
	ret->epoch = fm__get_le32(at + 20);
	ret->back = fm__get_le32(at + 24);
	ret->time = fm__get_le32(at + 28);
	if (ret->length > ret->size - FM_LOG_FRAME_HEADER)
		return false;
	return careless_crc(at, ret->length) == ret->crc;
}

bool __wrap_fm__log_frame_decode(const struct fm__log_geometry *g, uint64_t lsn, const uint8_t *at,
				 uint64_t available, struct fm__log_frame *ret)
{
	if (sim_bug(SIM_BUG_PAYLOAD_CHECKSUM | SIM_BUG_HEADER_CHECKSUM))
		return careless_decode(g, lsn, at, available, ret);
	return __real_fm__log_frame_decode(g, lsn, at, available, ret);
}

int __wrap_fm__log_examine(const struct fm__log_dir *dir, unsigned flags, struct fm__log_found *ret,
			   struct filemap_error *reterr)
{
	int r = __real_fm__log_examine(dir, flags, ret, reterr);

	if (r == 0 && sim_bug(SIM_BUG_EPOCH_META))
		ret->epoch = ret->meta.epoch;
	return r;
}

int __wrap_fm__log_examine_ahead(struct fm__log_examination *e, uint32_t *any)
{
	struct fm__log_found before = e->found;
	int r;

	r = __real_fm__log_examine_ahead(e, any);
	if (!sim_bug(SIM_BUG_NO_LOOK_AHEAD))
		return r;
	e->found = before;
	*any = 0; /* what lies behind the end was never looked at */
	return r;
}

bool __wrap_fm__log_ctl_trusted(const struct fm__log_ctl *ctl, const struct fm__log_geometry *g)
{
	/* The writer's own distrust would cover it up: the bug is the reader's. */
	return (sim_bug(SIM_BUG_TRUST_CTL) && sim_world.foreign) || __real_fm__log_ctl_trusted(ctl, g);
}
